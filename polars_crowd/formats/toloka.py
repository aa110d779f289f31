"""Toloka: the assignments of a pool, a table with tabs."""

from __future__ import annotations

import json
from typing import Any, Unpack

import polars as pl

from polars_crowd.errors import OptionError, shown
from polars_crowd.formats.answers import (
    NOTHING,
    TEXT,
    Answers,
    column,
    first_true,
    of_cells,
    one,
    sent,
    translated,
)
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look
from polars_crowd.formats.reader import reads
from polars_crowd.formats.times import TIME_READ, dated, utc

INPUT, OUTPUT, GOLDEN, ASSIGNMENT = "INPUT:", "OUTPUT:", "GOLDEN:", "ASSIGNMENT:"
STATUS = {"SKIPPED": "skipped", "REJECTED": "rejected", "EXPIRED": "expired", "ACTIVE": "draft"}
PAGES = "Seconds are those of a page, divided by its tasks."
STATE = f"{ASSIGNMENT}status"
JSON = r"^[\[{]"


@reads(
    "toloka",
    "Toloka",
    lambda look: (
        look.has(f"{ASSIGNMENT}worker_id") and any(name.startswith(OUTPUT) for name in look.keys)
    ),
)
def read_toloka(
    look: Look, *, example: str | None = None, **options: Unpack[ExportOptions]
) -> Answers:
    """Read the assignments of a pool of Toloka, TSV.

    Parameters
    ----------
    example
        What an example is. By default `ASSIGNMENT:task_id`, where there is none the inputs.

    Returns
    -------
    Export
        A question is an output's name. Rows with `GOLDEN:` are control tasks: `gold` says so, and their
        truth is gold. The time of a page is divided by its tasks.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "assignments.tsv")
    >>> _ = path.write_text("INPUT:image\\tOUTPUT:result\\tASSIGNMENT:worker_id\\tASSIGNMENT:status\\n"
    ...                     "1.jpg\\tOK\\tw1\\tAPPROVED\\n")
    >>> read_toloka(path).log.select("example", "annotator", "label").collect().rows()
    [('1.jpg', 'w1', 'OK')]
    """
    table = look.table()
    columns = table.collect_schema().names()
    inputs = [name for name in columns if name.startswith(INPUT)]
    task = f"{ASSIGNMENT}task_id"
    key = [example] if example else [task] if task in columns else inputs
    if not key or not set(key) <= set(columns):
        raise OptionError("example", example, f"the file has {shown(columns, 50)}.")
    if STATE not in columns:
        table = table.with_columns(NOTHING.alias(STATE))
    dated = table.with_columns(
        pl.concat_str(key, separator="|", ignore_nulls=True).alias("example"), *_times(columns)
    )
    outputs = [name.removeprefix(OUTPUT) for name in columns if name.startswith(OUTPUT)]
    return Answers(
        rows=pl.concat([_answered(dated, name) for name in outputs]),
        gold=pl.concat([_truth(dated, name) for name in outputs]),
        notes=(PAGES,) if f"{ASSIGNMENT}submitted" in columns else (),
    )


def _times(columns: list[str]) -> list[pl.Expr]:
    """When an assignment was sent, and how long it took for each of its tasks."""
    written = [column(f"{ASSIGNMENT}{name}", columns) for name in ("submitted", "started")]
    submitted, started = map(utc, written)
    tasks = (
        pl.len().over(f"{ASSIGNMENT}assignment_id")
        if f"{ASSIGNMENT}assignment_id" in columns
        else 1
    )
    seconds = (submitted - started).dt.total_microseconds() / 1e6 / tasks
    return [*dated(pl.coalesce(written)), seconds.alias("seconds")]


def _answered(table: pl.LazyFrame, name: str) -> pl.LazyFrame:
    """The answers to a question."""
    cell = pl.col(f"{OUTPUT}{name}")
    golden = f"{GOLDEN}{name}"
    there = golden in table.collect_schema()
    status = translated(pl.col(STATE), STATUS)
    is_json = cell.str.contains(JSON)
    return table.select(
        "example",
        "timestamp",
        TIME_READ,
        "seconds",
        annotator=f"{ASSIGNMENT}worker_id",
        question=pl.lit(name),
        kind=first_true("class", set=is_json.any()),
        values=_values(cell),
        status=pl.coalesce(status, sent(cell)),
        gold=pl.col(golden).is_not_null() if there else pl.lit(None, pl.Boolean),
    )


def _truth(table: pl.LazyFrame, name: str) -> pl.LazyFrame:
    """The truth of control tasks."""
    golden = f"{GOLDEN}{name}"
    if golden not in table.collect_schema():
        return table.head(0).select(
            "example", question=pl.lit(name), values=pl.lit([], pl.List(TEXT))
        )
    return table.drop_nulls(golden).select(
        "example", question=pl.lit(name), values=_values(pl.col(golden))
    )


def _values(cell: pl.Expr) -> pl.Expr:
    """What stands in a cell: text, or JSON of several choices."""
    listed = of_cells(cell, _choices, pl.List(TEXT))
    return pl.when(cell.str.contains(JSON)).then(listed).otherwise(one(cell))


def _choices(cell: str) -> list[str] | None:
    """The choices in a cell of JSON: the members of an array, or the keys of an object that are true."""
    if cell[:1] not in ("[", "{"):
        return None
    said: Any = json.loads(cell)
    if isinstance(said, dict):
        return [name for name, is_chosen in said.items() if is_chosen is True]
    return [one if isinstance(one, str) else json.dumps(one) for one in said]
