"""Tables with a row per example: which column holds the ids, which ones the labels or the counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl

from polars_crowd.errors import SHOWN, Advice, AnnotationError, missing_column, shown, warn
from polars_crowd.inputs.objects import column_of, frame_of_pandas, is_pandas
from polars_crowd.inputs.parts import is_text, settled
from polars_crowd.inputs.sources import check_effect, open_parts, stacked
from polars_crowd.inputs.text import Reading

Ids = str | Sequence[Any] | Literal[False] | None
Look = Callable[[pl.DataFrame, Sequence[str], Sequence[str]], list[str]]
"""Of a frame, the columns that may hold ids, and those that else hold the values: which hold ids indeed."""
SAY = Advice(
    "Say which column holds the examples' ids, or that none does",
    python="example='NAME', or example=False",
    command="--example NAME, or --example - for none",
)


@dataclass(frozen=True)
class Table:
    """A table, read; its columns go by their places, `"0"`, `"1"`, ..., since names need not be text."""

    what: str
    """What errors call it."""
    frame: pl.DataFrame
    names: list[Any]
    rows: pl.Series
    """What the rows are called, where no column says it."""
    may_have_ids: bool = True
    """Whether a column may say it."""
    is_written: bool = False
    """Whether the columns come from text, which does not say types."""
    hold: tuple[str, str] = ("labels", "annotators")
    """What the columns of values hold, and what they are called by."""

    def column(self, name: Any, *advice: Advice) -> str:
        """The place of a name."""
        if name not in self.names:
            raise missing_column(self.what, name, list(map(str, self.names)), *advice)
        return str(self.names.index(name))

    def name(self, column: str) -> Any:
        return self.names[int(column)]

    def split(
        self, example: Ids, chosen: Sequence[Any] | None, frequency: str | None, look: Look
    ) -> Split:
        """The table in its parts; `chosen` are the names of the columns of values, or new names for them."""
        given = None if chosen is None else list(chosen)
        own = frequency and self.column(frequency)
        among = (self.column(n) for n in given or () if set(given or ()) <= set(self.names))
        named = list(among) or None
        free = [c for c in self.frame.columns if c != own]
        at = self._ids_at(example, free, named, look)
        values = named or [c for c in free if c != at]
        names = given if given is not None else [self.name(c) for c in values]
        if len(names) != len(values):
            held, called = self.hold
            raise AnnotationError(
                f"has {len(values)} columns of {held}, but {len(names)} {called}.", source=self.what
            )
        times = self.frame[own] if own else None
        frame = self.frame.select(values).rename({c: str(k) for k, c in enumerate(values)})
        return Split(self.what, frame, self._ids(example, at), names, times)

    def _ids(self, example: Ids, at: str | None) -> pl.Series:
        if at is not None:
            return self.frame[at]
        if example is None:
            return self.rows
        ids = _row_numbers(self.frame.height) if example is False else pl.Series(example)
        if len(ids) != self.frame.height:
            raise AnnotationError(
                f"has {self.frame.height} rows of {self.hold[0]}, but {len(ids)} examples.",
                source=self.what,
            )
        return ids

    def _ids_at(
        self, example: Ids, free: Sequence[str], named: Sequence[str] | None, look: Look
    ) -> str | None:
        """Which column holds the ids, if one does."""
        if example is None and "example" in self.names:
            example = "example"
        if isinstance(example, str):
            return self.column(example, SAY)
        if example is not None or not self.may_have_ids:
            return None
        candidates = [c for c in free if c not in (named or ())]
        found = look(self.frame, candidates, named or free)
        if len(found) > 1 or (found and not is_different(self.frame[found[0]])):
            raise AnnotationError(
                f"may have its examples' ids in {shown([self.name(c) for c in found])}; ids that are sure "
                "are in one column, and different in every row.",
                SAY,
                source=self.what,
            )
        if found:
            name = str(self.name(found[0]))
            warn(f"the examples' ids are taken from column {name!r} of {self.what}.", SAY)
        return next(iter(found), None)


@dataclass(frozen=True)
class Split:
    """A table in its parts."""

    what: str
    values: pl.DataFrame
    """The columns of values, by their places."""
    ids: pl.Series
    names: list[Any]
    """What the columns of values are called."""
    frequency: pl.Series | None
    """How often each row was seen, if the table says it."""

    def long(self, name: str, value: str) -> pl.LazyFrame:
        """A row per value: `example`, the column's name and the value, and the row's `frequency`, if any."""
        keys = [self.ids.alias("example")]
        keys += [] if self.frequency is None else [self.frequency.alias("frequency")]
        wide = self.values.lazy().with_columns(keys)
        index = [key.name for key in keys]
        rows = wide.unpivot(index=index, variable_name=name, value_name=value)
        place = pl.col(name).cast(pl.UInt32)
        return rows.with_columns(pl.lit(pl.Series(self.names)).gather(place).alias(name))


# --- reading ---------------------------------------------------------------------------------------


def read_table(
    source: Any, what: str, reading: Reading, hold: tuple[str, str] = ("labels", "annotators")
) -> Table:
    """Any source as a table, or a numpy array."""
    return replace(_read(source, what, reading), hold=hold)


def _read(source: Any, what: str, reading: Reading) -> Table:
    if is_pandas(source) or isinstance(source, np.ndarray):
        check_effect(reading, frozenset(), what)
    if is_pandas(source):
        frame = frame_of_pandas(source.reset_index(drop=True), what)
        index = column_of("example", source.index.tolist(), what)
        may_have_ids = source.index.name is None and index.dtype.is_integer()
        return Table(what, _by_place(frame), list(source.columns), index, may_have_ids)
    if isinstance(source, np.ndarray):
        if source.ndim != 2:
            raise AnnotationError(f"{what} has two dimensions, not {source.ndim}.")
        columns = {str(k): _column(source[:, k], what) for k in range(source.shape[1])}
        names = list(range(source.shape[1]))
        return Table(what, pl.DataFrame(columns), names, _row_numbers(len(source)), False)
    parts = open_parts(source, what, reading)
    frame = stacked(settled(parts), what).collect()
    is_written = any(part.integers for part in parts)
    rows = _row_numbers(frame.height)
    return Table(what, _by_place(frame), frame.columns, rows, is_written=is_written)


def _row_numbers(n: int) -> pl.Series:
    return pl.Series(range(n), dtype=pl.Int64)


def _by_place(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.rename({name: str(k) for k, name in enumerate(frame.columns)})


def _column(values: np.ndarray, what: str) -> pl.Series:
    return pl.Series(values) if values.dtype != object else column_of("", values, what)


# --- which columns hold ids ------------------------------------------------------------------------


def is_different(values: pl.Series) -> bool:
    """Whether there is a value in every row, another one each time."""
    return not values.null_count() and values.n_unique() == len(values)


def ids_apart(frame: pl.DataFrame, free: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Columns beside labels that hold ids: they have no value that is a label in another column.

    Their values are different in every row; if there are none such, they are text where all else is numbers.
    """
    free = [c for c in free if not frame[c].dtype.is_float()]
    different = [c for c in free if is_different(frame[c])]
    texts = [c for c in free if is_text(frame[c].dtype)]
    filled = sum(frame[c].null_count() < frame.height for c in labels)
    found = different or (texts if len(texts) == 1 < filled else [])
    return [c for c in found if _is_apart(frame, c, [label for label in labels if label != c])]


def _is_apart(frame: pl.DataFrame, column: str, others: Sequence[str]) -> bool:
    """Whether no value of a column, as it is written, is in any of the others."""
    if not others or frame.is_empty():
        return False
    values = frame[column].cast(pl.String).implode()
    found = frame.select(pl.col(c).cast(pl.String).is_in(values).any() for c in others)
    return not any(found.row(0))


def ids_beside_counts(frame: pl.DataFrame, free: Sequence[str], counts: Sequence[str]) -> list[str]:
    """Columns beside counts that hold ids: text; or numbers that are different in every row and without which
    all rows have one sum, which they have not with them; or that number three rows or more, from 0 or 1."""
    texts = [c for c in free if is_text(frame[c].dtype)]
    whole = [c for c in counts if frame[c].dtype.is_integer()]
    if texts or frame.height < 2 or _is_constant(frame.select(whole)):
        return texts
    different = [c for c in free if frame[c].dtype.is_integer() and is_different(frame[c])]
    rests = {c: frame.select(w for w in whole if w != c) for c in different}
    return [c for c in different if _numbers_rows(frame[c]) or _is_constant(rests[c])]


def _is_constant(counts: pl.DataFrame) -> bool:
    """Whether the counts of all rows have the same sum."""
    return counts.width > 0 and counts.sum_horizontal().n_unique() == 1


def _numbers_rows(values: pl.Series) -> bool:
    return len(values) > 2 and values[0] in (0, 1) and bool((values.diff().drop_nulls() == 1).all())


# --- values ----------------------------------------------------------------------------------------


def of_one_type(split: Split, advice: Advice) -> pl.DataFrame:
    """The values in one type: as text, if some are text and all others whole numbers."""
    frame, names = split.values, split.names
    empty = [c.name for c in frame if c.null_count() == frame.height]
    frame = frame.with_columns(pl.lit(None).alias(name) for name in empty)
    filled = {name: frame[name].dtype for name in frame.columns if name not in empty}
    if len(set(filled.values())) <= 1 or all(dtype.is_numeric() for dtype in filled.values()):
        return frame.with_columns(_integers_again(frame))
    if all(is_text(dtype) or dtype.is_integer() for dtype in filled.values()):
        return frame.with_columns(pl.col(list(filled)).cast(pl.String))
    types = [f"{names[int(column)]!r} {dtype}" for column, dtype in filled.items()]
    raise AnnotationError(
        f"has columns of several types, {', '.join(types[:SHOWN])}.", advice, source=split.what
    )


def _integers_again(frame: pl.DataFrame) -> list[pl.Expr]:
    """Float columns of whole numbers, NaN for missing, as integers."""
    floats = [c for c in frame.columns if frame[c].dtype.is_float()]
    values = [frame[c].fill_nan(None).drop_nulls() for c in floats]
    whole = all(bool((v == v.round()).all()) for v in values)
    return [pl.col(c).fill_nan(None).cast(pl.Int64 if whole else pl.Float64) for c in floats]
