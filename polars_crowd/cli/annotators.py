"""`polars-crowd annotators`: how good each annotator is, with a bar to pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

import polars_crowd as pc
from polars_crowd.cli import common
from polars_crowd.cli.agreement import By, Confidence, place
from polars_crowd.cli.bars import Bar, bar_of_column
from polars_crowd.cli.common import progress
from polars_crowd.cli.files import directory_for, tables, write_tables
from polars_crowd.cli.inputs import Input, refuse
from polars_crowd.cli.output import Answer, Block, aside, cut, written
from polars_crowd.cli.reading import columns, completing, option, reads, text
from polars_crowd.inputs.order import in_order

SHOWN = ("num_annotations", "accuracy", "accuracy_low", "accuracy_high", "spam_score", "flags")
"""What the table shows of the annotators; JSON and CSV have all."""
BARS = (
    *("accuracy", "accuracy_low", "accuracy_high", "balanced_accuracy", "balanced_accuracy_low"),
    *("balanced_accuracy_high", "spam_score", "mutual_information", "agreement"),
    *("worst_class_accuracy", "label_entropy", "median_seconds", "repeat_consistency"),
)
"""Columns that may have a bar: the more, the better."""


Against = Annotated[
    str | None,
    option(
        "Results of consensus to judge annotators by, as --out wrote them; by default the consensus of "
        "each example's other annotators.",
        "DIR",
    ),
]
Every = Annotated[
    str | None,
    option(
        "How annotators do over time, in windows of this length, such as 1w, and where one left their "
        "own past.",
        "LENGTH",
    ),
]
TimeColumn = Annotated[str, option("The column with the time of each annotation.", "COL")]
Seconds = Annotated[str, option("The column that says how long each annotation took.", "COL")]
FailUnder = Annotated[
    list[str] | None,
    option(
        "End with exit code 1 if this column is below the bar for an annotator, such as "
        "accuracy_high=0.7; who is not judged misses none. Repeat it for several.",
        "NAME=BAR",
        autocompletion=completing([f"{name}=" for name in BARS]),
    ),
]


@common.told
@reads(tables, columns, text)
def annotators(
    call: typer.Context,
    log: common.Log,
    against: Against = None,
    truth: common.Truth = None,
    by: By = None,
    every: Every = None,
    timestamp: TimeColumn = "timestamp",
    seconds: Seconds = "seconds",
    confidence: Confidence = 0.95,
    fail_under: FailUnder = None,
    executor: common.Executor = None,
    classes: common.ClassesOfLog = None,
    duplicates: common.Duplicates = "error",
    truth_label: common.TruthLabel = None,
    memory_limit: common.MemoryLimit = None,
) -> Answer:
    """Say how good each annotator is, what they do, and whom to look at.

    Annotators are judged by the others, by known labels (--truth), or by results (--against). LOG may be a
    store. With --out DIR the tables annotators, confusion and flags are written, with --every windows and
    alarms.

    Examples:

      polars-crowd annotators log.parquet

      polars-crowd annotators log.csv --truth gold.csv --by language

      polars-crowd annotators log.csv --against results --format csv

      polars-crowd annotators log.csv --truth gold.csv --fail-under accuracy_high=0.8

      polars-crowd annotators log.parquet --every 1w
    """
    bars = [bar_of_column(one, BARS, "accuracy_high=0.7") for one in fail_under or ()]
    given = Input.of(call)
    if against is not None:
        refuse(call, ["truth", "truth_label"], "not with --against.")
    if every is not None:
        refuse(call, ["by", "seconds", "fail_under"], "not with --every.")
    kind = pc.AnnotatorReport if every is None else pc.AnnotatorDrift
    place = directory_for(call, kind.TABLES)
    options: dict[str, Any] = {"timestamp": timestamp, "confidence": confidence}
    options |= {"memory_limit": memory_limit, **given.options}
    with progress() as step, common.executor_of(executor) as workers, given.reading(truth):
        step("judging annotations")
        known = given.labels(truth, "truth", truth_label)
        options |= {"against": pc.open_results(against) if against else known, "executor": workers}
        found: pc.AnnotatorReport | pc.AnnotatorDrift
        if every is None:
            groups = given.groups(by or []) or None
            found = pc.annotator_report(rows_of(given), by=groups, seconds=seconds, **options)
        else:
            found = pc.annotator_drift(rows_of(given), every=every, **options)
        names = given.theirs(*(getattr(found, table) for table in found.TABLES))
        files = write_tables(call, place, found, names)
    if isinstance(found, pc.AnnotatorDrift):
        return over_time(found, files)
    return panel(found, bars, files)


def panel(found: pc.AnnotatorReport, bars: Sequence[Bar], files: Sequence[Path]) -> Answer:
    """The annotators, and whom to look at."""
    ids = found.annotators.columns[: found.annotators.columns.index("num_annotations")]
    misses = list(missed(found.annotators, bars, ids))

    def report() -> Iterator[Block]:
        yield aside(found._header())
        yield Block("Annotators, least accurate first", found.annotators.select(*ids, *SHOWN))
        if found.flags.height:
            named = found.flags.iter_rows(named=True)
            lines = [f"{', '.join(str(row[c]) for c in ids)}: {row['reason']}" for row in named]
            yield Block("\n".join(["\nWhom to look at", *cut(lines, "flag")]))
        if files:
            yield written(files)

    return Answer(
        found.annotators,
        report,
        document=lambda: {"report": found._header(), **tables_of(found)},
        complaints=cut(misses, "miss"),
        fails=bool(misses),
    )


def over_time(found: pc.AnnotatorDrift, files: Sequence[Path]) -> Answer:
    """The windows of each annotator, and where one left their own past."""

    def report() -> Iterator[Block]:
        yield aside(found._header())
        if found.alarms.height:
            yield Block("Alarms, the largest first", found.alarms)
        yield aside("Windows", found.windows)
        if files:
            yield written(files)

    return Answer(
        found.windows, report, document=lambda: {"report": found._header(), **tables_of(found)}
    )


def tables_of(found: pc.AnnotatorReport | pc.AnnotatorDrift | pc.JudgeReport) -> dict[str, Any]:
    """The tables that there are."""
    tables = {name: getattr(found, name) for name in found.TABLES}
    return {name: table for name, table in tables.items() if table is not None}


def rows_of(given: Input) -> Any:
    """The log, with the rows that have no label: they are counted."""
    store = given.store
    if store is not None:
        return store
    rows = given.rows()
    return rows if given.order_by is None else in_order(rows, given.order_by)


def missed(table: pl.DataFrame, bars: Sequence[Bar], ids: Sequence[str]) -> Iterator[str]:
    """Who is below a bar, a message each."""
    for name, bar in bars:
        for row in table.filter(pl.col(name) < bar).iter_rows(named=True):
            yield f"{name}{place(row, ids)} is {row[name]:.4f}, below {bar:g}"
