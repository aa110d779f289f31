"""Intra-rater agreement: how far annotators agree with themselves where they labelled an example again.

It is agreement, where an example and an annotator together make an example, and the times that the annotator
labelled it are its annotators.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack

import polars as pl

from polars_crowd.errors import AnnotationError
from polars_crowd.inputs.anonymous import check_known_annotators
from polars_crowd.inputs.checks import null_ids
from polars_crowd.inputs.log import LOG_COLUMNS, scan_annotations
from polars_crowd.reliability.coefficients import agreement
from polars_crowd.reliability.request import (
    PERCENT,
    ClassesOption,
    Intervals,
    LevelOption,
    Request,
    WeightsOption,
)
from polars_crowd.signatures import shares

GROUP = "of annotator"


class OfRepeats(WeightsOption, LevelOption, ClassesOption, Intervals, total=False):
    """The options of intra-rater agreement."""


@shares(OfRepeats, Request)
def intra_rater_agreement(
    log: Any,
    *,
    by: Literal["annotator"] | None = "annotator",
    coefficients: str | Sequence[str] = ("percent_agreement", "krippendorff_alpha"),
    **options: Unpack[OfRepeats],
) -> pl.DataFrame:
    """How far annotators agree with themselves, on the examples that they labelled more than once.

    Any coefficient of `agreement`, between the times that an annotator labelled an example, the first, the
    second ... in the order of the log (see `order_by` of `scan_annotations`). Annotations of an example that
    its annotator labelled once are left out.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, or an `AnnotationStore` of `duplicates="all"`.
    by
        `"annotator"`: each of them; None: all together, each with themselves.
    coefficients
        As for `agreement`.
    classes
        The classes in order, also those that nobody used. By default those of the repeated annotations.

    Returns
    -------
    DataFrame
        As `agreement`, one row per annotator (where `by` says so) and coefficient. `num_examples` are the
        examples that the annotator labelled again, each once for each annotator where all are together,
        `num_annotators` how often one was labelled at most.

    Raises
    ------
    AnnotationError
        Nobody labelled an example more than once, or the annotators are anonymous.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pl.DataFrame({
    ...     "example": [1, 1, 2, 2, 3, 3, 3, 1],
    ...     "annotator": ["a", "a", "a", "a", "a", "a", "b", "b"],
    ...     "label": ["x", "x", "y", "x", "y", "y", "x", "x"],
    ... })
    >>> found = pc.intra_rater_agreement(log, coefficients="percent_agreement")
    >>> found.select("annotator", "value", "num_examples").rows()
    [('a', 0.666..., 3)]
    """
    rows = scan_annotations(log)
    check_known_annotators(rows.collect_schema()["annotator"])
    lacking = rows.select(pl.col("example", "annotator").is_null().any()).collect()
    for column in lacking.columns:
        if lacking[column].item():
            raise null_ids(rows, column)
    again = repeated(rows.select(LOG_COLUMNS))
    if again.is_empty():
        raise AnnotationError(
            "nobody labelled an example more than once: there is nothing to compare annotators with "
            "themselves by.",
            source="the log",
        )
    group = GROUP if by else None
    found: pl.DataFrame = agreement(again, coefficients=coefficients, by=group, **options)
    return found.rename({GROUP: "annotator"}) if by else found


def repeated(rows: pl.LazyFrame) -> pl.DataFrame:
    """The annotations of examples that their annotator labelled again, as a log."""
    key = ("example", "annotator")
    labels = (
        rows.group_by(*key, maintain_order=True).agg("label").filter(pl.col("label").list.len() > 1)
    )
    times = pl.int_ranges(pl.col("label").list.len())
    log = labels.select(pl.col("annotator").alias(GROUP), "label", annotator=times).with_row_index(
        "example"
    )
    return log.explode("label", "annotator", empty_as_null=False).collect()


def consistency(rows: pl.LazyFrame, annotators: pl.Series, classes: pl.Series) -> pl.DataFrame:
    """`annotator, num_repeated, repeat_consistency`: how many examples each labelled again, and how far they
    agree with themselves there; of those who did."""
    again = repeated(rows.select(LOG_COLUMNS))
    if again.is_empty():
        numbers = {"num_repeated": pl.Int64(), "repeat_consistency": pl.Float64()}
        return pl.DataFrame(schema={"annotator": annotators.dtype, **numbers})
    found = agreement(again, coefficients=PERCENT, by=GROUP, classes=classes.to_list())
    return found.select(
        pl.col(GROUP).cast(annotators.dtype).alias("annotator"),
        num_repeated=pl.col("num_examples").cast(pl.Int64),
        repeat_consistency="value",
    )
