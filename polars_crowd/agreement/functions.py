"""The public functions: `agreement`, and one function for each coefficient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from polars_crowd.agreement.engine import (
    COEFFICIENTS,
    DEFAULT,
    Interval,
    Level,
    Request,
    estimates,
    gather,
    report,
)
from polars_crowd.agreement.grouping import Grouping, parse_grouping
from polars_crowd.checks import Duplicates
from polars_crowd.log import LOG_COLUMNS, scan_annotations
from polars_crowd.partitions import Partitioned, Rounds, open_rounds


def agreement(
    log: Any,
    *,
    coefficients: str | Sequence[str] | None = None,
    weights: Any = "identity",
    level: Level = "nominal",
    classes: Sequence[Any] | None = None,
    by: Any = None,
    confidence: float = 0.95,
    interval: Interval = "analytic",
    n_boot: int = 2000,
    seed: int = 0,
    duplicates: Duplicates = "error",
    executor: Any = None,
    progress: bool = False,
) -> pl.DataFrame:
    chosen = _chosen(coefficients)
    request = Request(chosen, weights, level, confidence, interval, n_boot, seed)
    rounds, grouping = open_groups(
        log, by, classes=classes, duplicates=duplicates, executor=executor, progress=progress
    )
    evidence = gather(rounds, grouping, request)
    return report(evidence, estimates(evidence, request))


def _chosen(coefficients: str | Sequence[str] | None) -> tuple[str, ...]:
    if coefficients is None:
        return DEFAULT
    if coefficients == "all":
        return COEFFICIENTS
    return (coefficients,) if isinstance(coefficients, str) else tuple(coefficients)


def open_groups(log: Any, by: Any = None, **options: Any) -> tuple[Rounds, Grouping]:
    """The rounds of a log (with the options of `open_rounds`) and its groups."""
    if isinstance(log, Partitioned):
        rounds = open_rounds(log, **options)
        return rounds, parse_grouping(
            by, rounds.handles[0].runs().others.columns if by is not None else []
        )
    rows = scan_annotations(log)
    grouping = parse_grouping(by, [c for c in rows.collect_schema() if c not in LOG_COLUMNS])
    return open_rounds(rows.select(*LOG_COLUMNS, *grouping.columns), **options), grouping
