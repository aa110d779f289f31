"""Charts of annotators: how good each of them is."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from polars_crowd.numerics.shares import wilson
from polars_crowd.reporting.charts.dots import FINE, FLAGGED, dots
from polars_crowd.reporting.charts.tables import has, some_of, table_of
from polars_crowd.reporting.charts.theme import (
    Chart,
    altair,
    chart,
    drawn,
    left_out,
    names_of,
)

MOST_ANNOTATORS = 30
CONFIDENCE = 0.95
MEASURES = (
    ("Accuracy", "accuracy", "num_annotations"),
    ("Annotator quality", "annotator_quality", "num_examples_labeled"),
)
"""What annotators are measured by: in words, and the columns of the value and of the numbers behind it."""


@chart
def annotator_quality(found: Any) -> Chart:
    """How good the annotators are, the worst first, with intervals.

    **How to read it.** A point is an annotator's accuracy, or quality, the line through it where it may truly
    lie, at 95 %; the fewer examples somebody labelled, the longer the line. The dashed line is the median of
    all annotators. Red triangles are annotators with a flag in the report.

    **What to do.** Look at those whose whole interval lies left of the dashed line: leave them out or retrain
    them. A long line is no reason for either, but one for a few examples with known answers
    (`pc.gold_report`).

    Parameters
    ----------
    found
        An `AnnotatorReport`; a fit of classes, or results that were opened; or a frame with `annotator` and
        `accuracy` (and `accuracy_low, accuracy_high, num_annotations`) or `annotator_quality` (and
        `num_examples_labeled`). Where there are no intervals they are Wilson's, as if each annotation were
        right with the annotator's quality.

    Returns
    -------
    altair.LayerChart
        Of at most 30 annotators.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = pc.dawid_skene(pc.datasets.tutorial().log)
    >>> pc.plot.annotator_quality(fit).to_dict()["title"]["subtitle"][0]
    'The 30 least accurate of 50 annotators; the others are'
    """
    what, table = qualities(found)
    table = some_of(table.drop_nulls("value"), "found").sort("value", "annotator")
    rows = table.head(MOST_ANNOTATORS).with_row_index("place")
    rows = rows.with_columns(kind=flagged_among(rows["annotator"], found))
    rows = rows.with_columns(name=names_of(rows["annotator"])).drop("annotator")
    said = left_out(len(rows), len(table), "annotator", "least accurate", beyond(table["value"]))
    layers = dots(what, "Annotator", table["value"].median(), flagged=rows["kind"].n_unique() > 1)
    title = "How good the annotators are"
    return drawn(rows, layers, title, said, "Dashed: the median of all.", height=altair().Step(18))


def beyond(values: pl.Series) -> str:
    """Where those are that are not shown."""
    rest = values.slice(MOST_ANNOTATORS)
    return f"the others are at {rest[0]:.2f} or better" if len(rest) else ""


def flagged_among(annotators: pl.Series, found: Any) -> pl.Series:
    """Which annotators have a flag in a report."""
    flags = getattr(found, "flags", None)
    flagged = flags["annotator"] if isinstance(flags, pl.DataFrame) else annotators.head(0)
    return annotators.is_in(flagged.implode()).replace_strict(
        {True: FLAGGED, False: FINE}, return_dtype=pl.String
    )


def qualities(found: Any) -> tuple[str, pl.DataFrame]:
    """What the annotators are measured by; and `annotator`, `value`, `low`, `high`, `n`."""
    frame = table_of(found, "annotators", "found", "annotator")
    what, value, n = next(of for of in MEASURES if has(frame, of[1]) or of is MEASURES[-1])
    table_of(frame, "annotators", "found", value, n)
    ends = {
        end: pl.col(f"{value}_{end}") for end in ("low", "high") if has(frame, f"{value}_{end}")
    }
    numbers = {"value": pl.col(value), **ends, "n": pl.col(n)}
    table = frame.select(
        "annotator", **{k: v.cast(pl.Float64) for k, v in numbers.items()}
    ).collect()
    return what, table if ends else with_wilson(table)


def with_wilson(table: pl.DataFrame) -> pl.DataFrame:
    """With the interval of the value as a share of n."""
    value, n = (table[name].fill_null(np.nan).to_numpy() for name in ("value", "n"))
    low, high = wilson(value, np.where(n > 0, n, np.nan), CONFIDENCE)
    ends = table.with_columns(low=pl.Series(low), high=pl.Series(high))
    return ends.with_columns(pl.col("low", "high").fill_nan(None))
