"""Charts of annotators: how good each of them is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.numerics.shares import wilson
from polars_crowd.reporting.charts.dots import dots
from polars_crowd.reporting.charts.tables import some_of, table_of
from polars_crowd.reporting.charts.theme import Chart, chart, drawn, left_out, name_of, named

MOST_ANNOTATORS = 30
CONFIDENCE = 0.95
MEASURES = (
    ("Accuracy", "accuracy", "num_judged"),
    ("Accuracy", "accuracy", "num_annotations"),
    ("Annotator quality", "annotator_quality", "num_comparisons"),
    ("Annotator quality", "annotator_quality", "num_examples_labeled"),
)
"""What annotators are measured by: in words, and the columns of the value and of the number behind it."""
KINDS = FINE, FLAGGED = "not flagged", "flagged"
TOO_FEW = "few"


@chart
def annotator_quality(found: Any) -> Chart:
    """How good the annotators are, the worst first, with intervals.

    **How to read it.** A point is an annotator's accuracy, or quality, the line through it where it may truly
    lie, at 95 %; the fewer examples somebody labelled, the longer the line. The dashed line is the median of
    all annotators. Triangles are annotators with a flag in the report.

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
    what, keys, table = qualities(found)
    table = some_of(table.drop_nulls("value"), "found").sort("value", *keys)
    worst = table.head(MOST_ANNOTATORS)
    flagged = worst.select(keys).hash_rows().is_in(flagged_among(found, keys).hash_rows().implode())
    rows = worst.drop(keys).with_row_index("place")
    kind = pl.when(flagged).then(pl.lit(FLAGGED)).otherwise(pl.lit(FINE))
    rows = rows.with_columns(kind=kind, **named(in_groups(worst.select(keys))))
    said = left_out(len(rows), len(table), "annotator", "least accurate", beyond(table["value"]))
    kinds = KINDS if rows["kind"].n_unique() > 1 else None
    layers = dots(what, "Annotator", table["value"].median(), kinds=kinds)
    title = "How good the annotators are"
    return drawn(rows, layers, title, said, "Dashed: the median of all.", height=18 * len(rows))


def beyond(values: pl.Series) -> str:
    """Where those are that are not shown."""
    rest = values.slice(MOST_ANNOTATORS)
    return f"the others are at {rest[0]:.2f} or better" if len(rest) else ""


def in_groups(keys: pl.DataFrame) -> pl.Series:
    """Annotators; where they are reported by groups, with these: `ann (en)`."""
    *groups, annotator = keys
    if not groups:
        return annotator
    said = [", ".join(name_of(value) for value in row) for row in keys.drop("annotator").rows()]
    both = zip(annotator.to_list(), said, strict=True)
    return pl.Series([f"{name_of(one)} ({group})" for one, group in both], dtype=pl.String)


def flagged_among(found: Any, keys: Sequence[str]) -> pl.DataFrame:
    """The keys of annotators with a flag in a report, other than that there is too little to tell."""
    flags = getattr(found, "flags", None)
    if not isinstance(flags, pl.DataFrame):
        return pl.DataFrame(schema=dict.fromkeys(keys, pl.String))
    return flags.filter(pl.col("flag") != TOO_FEW).select(keys)


def qualities(found: Any) -> tuple[str, list[str], pl.DataFrame]:
    """What the annotators are measured by; the keys, which are groups and `annotator`; and these with
    `value`, `low`, `high`, `n`."""
    frame = table_of(found, "annotators", "found", "annotator")
    names = frame.collect_schema().names()
    keys = names[: names.index("annotator") + 1]
    there = (of for of in MEASURES if set(of[1:]) <= set(names))
    what, value, n = next(there, MEASURES[-1])
    table_of(frame, "annotators", "found", value, n)
    ends = {end: pl.col(f"{value}_{end}") for end in ("low", "high") if f"{value}_{end}" in names}
    numbers = {"value": pl.col(value), **ends, "n": pl.col(n)}
    table = frame.select(*keys, **{k: v.cast(pl.Float64) for k, v in numbers.items()}).collect()
    return what, keys, table if ends else with_wilson(table)


def with_wilson(table: pl.DataFrame) -> pl.DataFrame:
    """With the interval of the value as a share of n."""
    value, n = (table[name].fill_null(np.nan).to_numpy() for name in ("value", "n"))
    low, high = wilson(value, n, CONFIDENCE)
    ends = table.with_columns(low=pl.Series(low), high=pl.Series(high))
    return ends.with_columns(pl.col("low", "high").fill_nan(None))
