"""What `agreement` and its relatives are asked for, and how they open a log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypedDict

import polars as pl

from polars_crowd.agreement.grouping import Grouping, parse_grouping
from polars_crowd.agreement.request import Interval, Level
from polars_crowd.checks import Duplicates
from polars_crowd.codes import Codebook
from polars_crowd.log import LOG_COLUMNS, scan_annotations
from polars_crowd.partitions import Partition
from polars_crowd.rounds import Rounds, open_rounds
from polars_crowd.store import AnnotationStore
from polars_crowd.summaries import Summary


class Options(TypedDict, total=False):
    """The options that all coefficients share; see `agreement`."""

    classes: Sequence[Any] | None
    by: Any
    confidence: float
    interval: Interval
    n_boot: int
    seed: int
    duplicates: Duplicates
    executor: Any
    progress: bool


def open_groups(log: Any, by: Any = None, **options: Any) -> tuple[Rounds, Grouping]:
    """The rounds of a log (with the options of `open_rounds`) and its groups."""
    if isinstance(log, AnnotationStore):
        if log.classes is None:
            return _open_numbers(log, by, options)
        grouping = parse_grouping(by, _extra_columns(log.scan_annotations()))
        return open_rounds(log, **options), grouping
    rows = scan_annotations(log)
    grouping = parse_grouping(by, _extra_columns(rows))
    return open_rounds(rows.select(*LOG_COLUMNS, *grouping.columns), **options), grouping


def _open_numbers(log: AnnotationStore, by: Any, options: Any) -> tuple[Rounds, Grouping]:
    """... of a store of numbers, whose classes are the numbers there are: one round more to find them."""
    rounds = open_rounds(log, numeric=True, **options)
    grouping = parse_grouping(by, [])
    numbers = rounds.run(count_numbers)[("value",)]["value"].alias("label")
    book = Codebook(numbers, (), rounds.book.annotators)
    return replace(rounds, book=book), replace(grouping, numbers=numbers.to_numpy())


def count_numbers(part: Partition) -> Summary:
    """The annotations by value."""
    return {("value",): part.values.rows.lazy().group_by("value").agg(annotations=pl.len())}


def _extra_columns(rows: pl.LazyFrame) -> list[str]:
    return [c for c in rows.collect_schema() if c not in LOG_COLUMNS]


def check_order(log: Any, classes: Sequence[Any] | None, weights: Any, level: Level) -> None:
    """Weights and levels that go by the order of the classes need one that was meant."""
    named = isinstance(weights, str) and weights != "identity"
    if classes is not None or isinstance(log, AnnotationStore) or not (named or level != "nominal"):
        return
    dtype = scan_annotations(log).collect_schema()["label"]
    if dtype.is_numeric() or dtype.is_temporal() or isinstance(dtype, (pl.Enum, pl.Boolean)):
        return
    option = f"weights={weights!r}" if named else f"level={level!r}"
    raise ValueError(
        f"{option} goes by the order of the classes, and labels of type {dtype} have none but the "
        "alphabet's. Declare it: classes=[...] from lowest to highest."
    )
