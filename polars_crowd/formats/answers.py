"""What every reader gives: all answers that an export holds, to all questions, whatever became of them.

A row is one answer of one annotator to one question about one example. Its `values` are a list of texts,
whatever the question is: a class is a list of one, a set of classes has any number, a number is written out.
What the question asks for is its `kind`: one `class`, a `set` of any number of classes, a `choice`, which is
one of these two (several classes in one of its answers make all of them sets), a `number`, free `text`. From
such rows `export.py` makes the log of one question.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from polars_crowd.formats.records import Records

TIME = pl.Datetime("us", "UTC")
SCHEMA: dict[str, pl.DataType] = {
    "example": pl.String(),
    "annotator": pl.String(),
    "question": pl.String(),
    "kind": pl.String(),
    "values": pl.List(pl.String),
    "status": pl.String(),
    "timestamp": TIME,
    "seconds": pl.Float64(),
    "gold": pl.Boolean(),
    "text": pl.String(),
    "annotator_kind": pl.String(),
}
"""The columns of answers; `status` is `submitted` where a reader has none, the last five may be missing."""
NEEDED = ("example", "annotator", "question", "kind", "values")

SUBMITTED = "submitted"
"""The one status that counts."""
PREDICTION = "prediction"
"""The status of what a model said before anybody answered."""


@dataclass(frozen=True)
class Answers:
    """All answers that an export holds."""

    rows: pl.LazyFrame
    """A row an answer, with the columns of `SCHEMA` that the source has, and what else travels along."""
    gold: pl.LazyFrame | None = None
    """`example, question, values`: the truth that the export says."""
    notes: tuple[str, ...] = ()
    """What was taken for granted."""
    notices: Mapping[str, pl.Expr] = field(default_factory=dict)
    """Further notes, each with what is true of a row that it is about."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """What is in no row, by reason."""
    records: tuple[Records, ...] = ()
    """The JSON files that the rows are read from, for an error to name the record that is broken."""
    counts: Literal["first", "last"] = "last"
    """Which of several answers of one annotator to one question about one example counts."""


def answers_of(
    rows: Iterable[Mapping[str, Any]], more: Mapping[str, Any] | None = None
) -> pl.LazyFrame:
    """Answers that were made one by one; columns that no row has are left out.

    `more` are the types of further columns.
    """
    listed = list(rows)
    there = {name for row in listed for name in row}
    schema = {**SCHEMA, **(more or {})}
    kept = {name: dtype for name, dtype in schema.items() if name in there or name in NEEDED}
    return pl.DataFrame(listed, schema=kept, orient="row").lazy()


def timed(rows: pl.LazyFrame, read: Callable[[pl.Expr], pl.Expr]) -> pl.LazyFrame:
    """The answers with `timestamp`, read from `time`, if any of them has one."""
    if "time" not in rows.collect_schema():
        return rows
    return rows.with_columns(timestamp=read(pl.col("time"))).drop("time")


# --- cells ----------------------------------------------------------------------------------------


def one(value: pl.Expr) -> pl.Expr:
    """The values of an answer that is one value, or none."""
    return pl.when(value.is_not_null()).then(pl.concat_list(value))


def sent(value: pl.Expr) -> pl.Expr:
    """The status of an answer that is a value: without one it is empty."""
    return pl.when(value.is_not_null()).then(pl.lit(SUBMITTED)).otherwise(pl.lit("empty"))


def blank_as_null(cell: pl.Expr, *blanks: str) -> pl.Expr:
    """Cells of text, null where they are blank, or say one of some words for it."""
    return pl.when(~cell.is_in(["", *blanks])).then(cell)


def translated(value: pl.Expr, words: Mapping[str, str], default: str | None = None) -> pl.Expr:
    """What the words of a tool are called here; those of which nobody knows are the default.

    Unlike `replace_strict` this does not hold the whole column in memory.
    """
    found: Any = pl
    for theirs, ours in words.items():
        found = found.when(value == theirs).then(pl.lit(ours))
    otherwise: pl.Expr = found.otherwise(pl.lit(default, pl.String))
    return otherwise


def column(name: str, there: Collection[str]) -> pl.Expr:
    """A column of text; nulls where the file has none of that name."""
    return pl.col(name) if name in there else pl.lit(None, pl.String)


def utc(text: pl.Expr) -> pl.Expr:
    """Times written as ISO 8601, with or without a zone; one without is taken as UTC.

    >>> frame = pl.DataFrame({"t": ["2026-02-02T10:00:01.5Z", "2026-02-02 12:00:01+02:00", "2026-02-02"]})
    >>> [str(time) for time in frame.select(utc(pl.col("t")))["t"]]
    ['2026-02-02 10:00:01.500000+00:00', '2026-02-02 10:00:01+00:00', '2026-02-02 00:00:00+00:00']
    """
    written = text.str.replace(" ", "T", literal=True).str.replace(r"[zZ]$", "+00:00")
    whole = (
        pl.when(written.str.len_chars() == len("2026-02-02"))
        .then(written + "T00:00:00")
        .otherwise(written)
    )
    zoned = (
        pl.when(whole.str.contains(r"[+-]\d{2}:?\d{2}$")).then(whole).otherwise(whole + "+00:00")
    )
    return zoned.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)


def utc_of_seconds(seconds: pl.Expr) -> pl.Expr:
    """Times as seconds since 1970.

    >>> str(pl.select(utc_of_seconds(pl.lit(1772615001.5))).item())
    '2026-03-04 09:03:21.500000+00:00'
    """
    micro = (seconds.cast(pl.Float64) * 1e6).round().cast(pl.Int64)
    return micro.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
