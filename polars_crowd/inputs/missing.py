"""Labels that say that there is none: what a caller names is read like an empty field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from polars_crowd.errors import Advice, OptionError, shown, warn
from polars_crowd.inputs.parts import Dtypes, Part, written_as_integer


@dataclass(frozen=True)
class _Seen:
    """A part without these labels, and in how many rows each of them was."""

    part: Part
    rows: Sequence[int]


def without_missing(parts: Sequence[Part], column: str, missing: Any) -> list[Part]:
    """The parts with null where `column` holds one of the values that are `missing`, as they are written.

    The column is gone through once, now: whether integers are left, and which of the values there are.

    Warns
    -----
    AnnotationWarning
        A value is in no row.
    """
    values = as_written(missing)
    if not values:
        return list(parts)
    seen = [_look(part, column, values) for part in parts]
    rows = [sum(counts) for counts in zip(*(each.rows for each in seen), strict=True)]
    unseen = [value for value, count in zip(values, rows, strict=True) if not count]
    if unseen:
        these = "this label" if len(unseen) == 1 else "these labels"
        warn(
            f"{shown(unseen)}: no row has {these} ({len(unseen)} of {len(values)} that would be missing).",
            Advice(
                "Write them as the log does, or leave them out", "missing=[...]", "--missing A,B"
            ),
        )
    return [each.part for each in seen]


def as_written(missing: Any) -> tuple[str, ...]:
    """The values, each once, as text.

    >>> as_written(["NA", -1, 99, "NA", True])
    ('NA', '-1', '99', 'true')
    """
    values = [missing] if isinstance(missing, str) or not isinstance(missing, Sequence) else missing
    dtypes = [pl.Series([value], strict=False).dtype for value in values]
    if any(dtype.is_nested() or dtype == pl.Object for dtype in dtypes):
        raise OptionError("missing", missing, "it must be a list of labels.")
    if any(value is None or value != value for value in values):
        wrong = "null and NaN are no labels anyway."
        raise OptionError("missing", list(values), wrong, Advice("Leave them out"))
    texts = (v if isinstance(v, str) else pl.Series([v]).cast(pl.String).item() for v in values)
    return tuple(dict.fromkeys(texts))


def _look(part: Part, column: str, values: Sequence[str]) -> _Seen:
    if column not in part.columns:
        return _Seen(part, [0] * len(values))
    as_text = dict.fromkeys(part.integers, pl.String())
    frame = part.scan(as_text)
    dtype = frame.collect_schema()[column]
    if dtype.is_nested() or dtype == pl.Object:
        return _Seen(part, [0] * len(values))
    equal = [is_this(column, dtype, value) for value in values]
    is_missing = pl.any_horizontal(equal).fill_null(value=True)
    counts = [is_equal.sum().alias(f"rows_{k}") for k, is_equal in enumerate(equal)]
    to_settle = column in part.integers
    fits = [(is_missing | written_as_integer(pl.col(column))).all().alias("fits")] * to_settle
    found = frame.select(*counts, *fits, filled=(~is_missing).any()).collect().row(0, named=True)
    integers = dict(part.integers)
    if to_settle:
        integers[column] = found["fits"] if found["filled"] else None

    def scan(dtypes: Dtypes) -> pl.LazyFrame:
        rows = part.scan({**dtypes, column: pl.String()} if to_settle else dtypes)
        kept = pl.when(~is_missing).then(pl.col(column))
        return rows.with_columns(kept.cast(dtypes.get(column, pl.String())) if to_settle else kept)

    rows = [int(found[f"rows_{k}"]) for k in range(len(values))]
    return _Seen(replace(part, scan=scan, integers=integers), rows)


def is_this(column: str, dtype: pl.DataType, value: str) -> pl.Expr:
    """Whether a value is this one; a number, if it equals the number that is written."""
    given = pl.col(column)
    if dtype.is_numeric():
        number = pl.Series([value]).cast(pl.Float64, strict=False).item()
        return pl.lit(value=False) if number is None else given.cast(pl.Float64) == number
    return (given if dtype == pl.String else given.cast(pl.String)) == value
