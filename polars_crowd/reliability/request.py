"""What `agreement` can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict, get_args

import polars as pl

from polars_crowd.errors import shown
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.inputs.log import LOG_COLUMNS, scan_annotations
from polars_crowd.reliability.grouping import Grouping, parse_grouping
from polars_crowd.rounds.opening import open_rounds
from polars_crowd.rounds.partitions import Partition, Partitioned
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.codes import Codebook

Level = Literal["nominal", "ordinal", "interval", "ratio"]
Interval = Literal["analytic", "bootstrap"]

ICC_FORMS = ("icc(1)", "icc(A,1)", "icc(C,1)", "icc(k)", "icc(A,k)", "icc(C,k)")
COEFFICIENTS = (
    "percent_agreement",
    "cohen_kappa",
    "scott_pi",
    "fleiss_kappa",
    "conger_kappa",
    "light_kappa",
    "brennan_prediger",
    "gwet_ac1",
    "gwet_ac2",
    "krippendorff_alpha",
)
ALL = (*COEFFICIENTS, "icc")
KNOWN = (*ALL, *ICC_FORMS)
DEFAULT = (
    "percent_agreement",
    "fleiss_kappa",
    "conger_kappa",
    "brennan_prediger",
    "gwet_ac1",
    "krippendorff_alpha",
)


@dataclass(frozen=True)
class Request:
    """What `agreement` was asked for."""

    coefficients: tuple[str, ...] = DEFAULT
    weights: Any = "identity"
    level: Level = "nominal"
    confidence: float = 0.95
    interval: Interval = "analytic"
    n_boot: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [c for c in self.coefficients if c not in KNOWN]
        if unknown or not self.coefficients:
            raise ValueError(
                f"coefficients={shown(list(self.coefficients), 20)}; they must be among "
                f"{shown(list(KNOWN), 20)}."
            )
        if len(set(self.coefficients)) < len(self.coefficients):
            raise ValueError(f"coefficients={shown(list(self.coefficients), 20)} names one twice.")
        for name, value, allowed in (
            ("level", self.level, Level),
            ("interval", self.interval, Interval),
        ):
            if value not in get_args(allowed):
                raise ValueError(
                    f"{name}={value!r}; it must be one of {shown(list(get_args(allowed)))}."
                )
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence={self.confidence!r}; it must be between 0 and 1.")
        if self.n_boot < 2:
            raise ValueError(f"n_boot={self.n_boot!r}; at least 2 replicates are needed.")


"""What `agreement` and its relatives are asked for, and how they open a log."""


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
    if isinstance(log, Partitioned):
        if log.classes is None:
            return _open_numbers(log, by, options)
        return open_rounds(log, **options), parse_grouping(
            by, _extra_columns(log.scan_annotations())
        )
    rows = scan_annotations(log)
    grouping = parse_grouping(by, _extra_columns(rows))
    return open_rounds(rows.select(*LOG_COLUMNS, *grouping.columns), **options), grouping


def _open_numbers(log: Partitioned, by: Any, options: Any) -> tuple[Rounds, Grouping]:
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
    if classes is not None or isinstance(log, Partitioned) or not (named or level != "nominal"):
        return
    dtype = scan_annotations(log).collect_schema()["label"]
    if dtype.is_numeric() or dtype.is_temporal() or isinstance(dtype, (pl.Enum, pl.Boolean)):
        return
    option = f"weights={weights!r}" if named else f"level={level!r}"
    raise ValueError(
        f"{option} goes by the order of the classes, and labels of type {dtype} have none but the "
        "alphabet's. Declare it: classes=[...] from lowest to highest."
    )
