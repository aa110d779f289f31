"""What every reader gives: all answers that an export holds, to all questions, whatever became of them.

A row is one answer of one annotator to one question about one example. Its `values` are a list of texts,
whatever the question is: a class is a list of one, a set of classes has any number, a number is written out.
What the question asks for is its `kind`: one `class`, a `set` of any number of classes, a `choice`, which is
one of these two (several classes in one of its answers make all of them sets), a `number`, free `text`. From
such rows `export.py` makes the log of one question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import polars as pl

from polars_crowd.formats.records import UNSHAPED, Records

TEXT = pl.String()
NOTHING = pl.lit(None, TEXT)
TIME = pl.Datetime("us", "UTC")
Row = dict[str, Any]
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
SCHEMA: dict[str, pl.DataType] = {
    "example": TEXT,
    "annotator": TEXT,
    "question": TEXT,
    "kind": TEXT,
    "values": pl.List(pl.String),
    "status": TEXT,
    "timestamp": TIME,
    "seconds": pl.Float64(),
    "gold": pl.Boolean(),
    "text": TEXT,
    "annotator_kind": TEXT,
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
    prefix: str = ""
    """What may stand before the name of a question that is asked for."""
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


def joined(parts: Sequence[Answers]) -> Answers:
    """The answers of several files."""
    first = parts[0]
    if len(parts) == 1:
        return first
    return replace(
        first,
        rows=pl.concat([with_status(part.rows) for part in parts], how="diagonal"),
        gold=_together(part.gold for part in parts),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        left_out=sum((Counter(part.left_out) for part in parts), Counter[str]()),
        records=tuple(one for part in parts for one in part.records),
    )


def with_status(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The answers with a status, which is that of all where a reader has none."""
    there = "status" in rows.collect_schema()
    return rows if there else rows.with_columns(status=pl.lit(SUBMITTED))


def _together(gold: Iterable[pl.LazyFrame | None]) -> pl.LazyFrame | None:
    found = [one.select("example", "question", "values") for one in gold if one is not None]
    return pl.concat(found) if found else None


# --- cells ----------------------------------------------------------------------------------------


def one(value: pl.Expr) -> pl.Expr:
    """The values of an answer that is one value, or none."""
    return pl.when(value.is_not_null()).then(pl.concat_list(value))


def sent(value: pl.Expr) -> pl.Expr:
    """The status of an answer that is a value: without one it is empty."""
    return first_true(empty=value.is_null())


def first_true(otherwise: pl.Expr | str = SUBMITTED, **words: pl.Expr) -> pl.Expr:
    """The first of these words that is true of a row; else what else is said.

    >>> value = pl.Series("value", [1, -1, None])
    >>> value.to_frame().select(first_true(empty=value.is_null(), unscored=value < 0)).to_series().to_list()
    ['submitted', 'unscored', 'empty']
    """
    rest = pl.lit(otherwise) if isinstance(otherwise, str) else otherwise
    return pl.coalesce(*(pl.when(is_so).then(pl.lit(word)) for word, is_so in words.items()), rest)


def kind_of(value: pl.Expr) -> pl.Expr:
    """The kind of a question whose answer is a value: numbers are asked for if all answers are some."""
    return first_true("class", number=value.str.contains(NUMBER))


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


def of_cells(cells: pl.Expr, read: Callable[[Any], Any], dtype: Any) -> pl.Expr:
    """What is read in cells that are not null; a cell that cannot be read is shown."""

    def found(series: pl.Series) -> pl.Series:
        return pl.Series(series.name, [_of_cell(cell, read) for cell in series], dtype=dtype)

    return cells.map_batches(found, return_dtype=dtype, is_elementwise=True)


def _of_cell(cell: Any, read: Callable[[Any], Any]) -> Any:
    try:
        return None if cell is None else read(cell)
    except UNSHAPED as error:
        raise ValueError(f"{str(cell)[:80]!r} is not what it should be: {error!r}") from error


def column(name: str, there: Collection[str]) -> pl.Expr:
    """A column of text; nulls where the file has none of that name."""
    return pl.col(name) if name in there else NOTHING
