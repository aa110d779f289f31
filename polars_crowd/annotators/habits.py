"""How annotators go about it, whatever the truth: what they say, how fast, when, and how long the same.

Labels and seconds are counted under (annotator, label) and (annotator, step), which add up over partitions;
a step is a power of 2^(1/64), so that medians and shares are exact to half a percent of the seconds. The
longest run of one label needs the annotations in the order of their time, and first and last time come with
it: annotators are gone through so many at a time as have BATCH annotations together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from polars_crowd.arrays import Ints
from polars_crowd.compatible import HORIZONTAL
from polars_crowd.errors import AnnotationError, missing_column, shown
from polars_crowd.inputs.numbers import number
from polars_crowd.inputs.order import time_key
from polars_crowd.reliability.grouping import Grouping, groups_of_part
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Frame, Keys, Summary

STEPS = 64
"""Steps of seconds from one power of two to the next."""
LEAST = 1e-3
"""Seconds that shorter times count as."""
BATCH = 5_000_000
"""Annotations that are put in order at a time."""
ROW = "row of the log"
"""The place of a row in a log in memory."""
RUNS = ("longest_run", "first_time", "last_time")


@dataclass(frozen=True)
class Columns:
    """The log's columns with times and seconds, where it has them."""

    time: str | None
    seconds: pl.Expr | None
    order: pl.Expr | None
    """What annotations are put in order by, if by anything."""

    @classmethod
    def of(cls, rows: pl.LazyFrame, time: str | None, seconds: str | None) -> Columns:
        """Names other than the usual ones must be those of columns; None leaves one aside."""
        there = rows.collect_schema()
        for name, usual in ((time, TIME), (seconds, SECONDS)):
            if name not in (None, usual, *there):
                raise missing_column("the log", str(name), list(there))
        time, seconds = (
            name if there.get(name or "", pl.Null()) != pl.Null() else None
            for name in (time, seconds)
        )
        order = pl.col(ROW) if ROW in there else None
        order = order if time is None else time_key(rows, time)
        took = None if seconds is None else seconds_in(rows, seconds)
        return cls(time, took, order)


TIME, SECONDS = "timestamp", "seconds"


def seconds_in(rows: pl.LazyFrame, column: str) -> pl.Expr:
    """The seconds of each row; of text the numbers that it writes."""
    dtype, value = rows.collect_schema()[column], pl.col(column)
    if dtype.is_numeric():
        return value.cast(pl.Float64)
    what, wrong = str(dtype), None
    if dtype == pl.String:
        lost = rows.filter(value.is_not_null() & number(value).is_null())
        wrong = lost.select(value.unique().sort()).collect()[column]
        what = f"text that writes no numbers ({shown(wrong.to_list())})"
    if wrong is None or len(wrong):
        raise AnnotationError(
            f"is {what}, and is to be the seconds of each annotation.",
            "Cast it to a number first.",
            source="the log",
            column=column,
        )
    return number(value)


# --- what is counted -------------------------------------------------------------------------------


def rows_by_group(part: Partition, grouping: Grouping) -> pl.LazyFrame:
    """The group columns, `annotator` and `label` of each annotation, in codes, then the log's others."""
    runs = part.runs
    groups = groups_of_part(part, grouping)
    group = pl.Series(groups.at_rows(runs))
    keys = [pl.lit(groups.frame[key]).gather(group).alias(key) for key in grouping.keys]
    label = pl.lit(runs.votes["label"]).gather("vote").alias("label")
    return runs.rows.lazy().select(*keys, "annotator", label)


def count_habits(part: Partition, grouping: Grouping, seconds: pl.Expr | None) -> Summary:
    """Summary by (annotator, label): `annotations`; by (annotator, step): those that took so long; by
    nothing: in how many partitions an annotator labelled an example `again`."""
    keys = (*grouping.keys, "annotator")
    rows = rows_by_group(part, grouping)
    counts: dict[Keys, Frame] = {
        (*keys, "label"): rows.group_by(*keys, "label").agg(annotations=pl.len()),
        (): pl.DataFrame({"again": [int(part.runs.has_repeats)]}),
    }
    if seconds is None:
        return counts
    took = part.runs.extra.select(seconds=seconds).collect()["seconds"]
    timed = rows.drop("label").with_columns(seconds=pl.lit(took))
    timed = timed.filter(pl.col("seconds").is_finite() & (pl.col("seconds") >= 0))
    step = (pl.col("seconds").clip(LEAST).log(2) * STEPS).round().cast(pl.Int32)
    steps = timed.select(*keys, step=step).group_by(*keys, "step").agg(annotations=pl.len())
    return {**counts, (*keys, "step"): steps}


def annotations_in_time(part: Partition, grouping: Grouping, columns: Columns) -> pl.LazyFrame:
    """A row per annotation: the group columns, `annotator`, `label`; what it is ordered by."""
    runs = part.runs
    example = pl.lit(runs.examples["example"].gather(runs.votes["example"])).gather("vote")
    assert columns.order is not None
    said = runs.extra.select(
        order=columns.order, time=columns.time or pl.lit(None, pl.Datetime)
    ).collect()
    ties = [example.alias("example")] if columns.time else []
    ids = runs.rows.lazy().select(*ties, pl.lit(said["order"]).alias("order"), pl.lit(said["time"]))
    return pl.concat([rows_by_group(part, grouping), ids], how=HORIZONTAL)


# --- what it says ----------------------------------------------------------------------------------


def runs_of_labels(
    rounds: Rounds, grouping: Grouping, columns: Columns, annotations: Ints
) -> pl.DataFrame:
    """The group columns, `annotator`, and RUNS; `annotations` are how many each annotator has."""
    keys = [*grouping.keys, "annotator"]
    rows = rounds.tables({"in time": annotations_in_time}, grouping, columns)["in time"]
    ties = ["example", "label"] if columns.time else []
    found = []
    for low, high in batches(annotations):
        own = rows.filter(pl.col("annotator").is_between(low, high - 1))
        known = own.drop_nulls("order").sort(*keys, "order", *ties)
        same = pl.struct(*keys, "label").rle_id()
        each = known.select(*keys, "time", run=same).group_by(*keys, "run", maintain_order=True)
        runs = each.agg(pl.len(), first=pl.col("time").first(), last=pl.col("time").last())
        by_annotator = runs.group_by(keys, maintain_order=True)
        found.append(
            by_annotator.agg(
                longest_run=pl.col("len").max().cast(pl.Int64),
                first_time=pl.col("first").first(),
                last_time=pl.col("last").last(),
            ).collect()
        )
    return pl.concat(found)


def batches(annotations: Ints) -> Iterator[tuple[int, int]]:
    """Annotators low .. high-1 who have about BATCH annotations together.

    >>> import numpy as np
    >>> list(batches(np.array([4_000_000, 2_000_000, 1, 9_000_000])))
    [(0, 1), (1, 3), (3, 4)]
    """
    low, held = 0, 0
    for annotator, n in enumerate(annotations.tolist()):
        if held and held + n > BATCH:
            yield low, annotator
            low, held = annotator, 0
        held += n
    yield low, len(annotations)


def seconds_of(steps: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """`median_seconds`, `fast_share` (below a tenth of the median of all) and `num_timed` by `keys`."""
    whole = 2.0 ** (middle(steps.group_by("step").agg(pl.col("annotations").sum())) / STEPS)
    by_annotator = steps.sort(*keys, "step").group_by(keys, maintain_order=True)
    is_fast = 2.0 ** (pl.col("step") / STEPS) < whole / 10
    n = pl.col("annotations")
    return by_annotator.agg(
        median_seconds=2.0 ** (_middle() / STEPS),
        fast_share=n.filter(is_fast).sum() / n.sum(),
        num_timed=n.sum(),
    ).with_columns(seconds_of_all=pl.lit(whole))


def _middle() -> pl.Expr:
    """The median step of rows that are sorted by it."""
    upto, half = pl.col("annotations").cum_sum(), pl.col("annotations").sum() / 2
    below, above = pl.col("step").filter(upto >= half), pl.col("step").filter(upto > half)
    return (below.first() + above.first()) / 2


def middle(steps: pl.DataFrame) -> Any:
    return steps.sort("step").select(_middle()).item()
