"""Values of Python: pandas frames, tuples and dicts, whose columns may hold values of several types.

The rule is that of JSON: a column of texts and numbers is text, `7` and `"img_7"`. What cannot be told
apart as text (lists, dates, flags among texts) is an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.errors import SHOWN, Advice, AnnotationError, counted, shown, shown_value
from polars_crowd.inputs.text import checked_names

ONE_TYPE = Advice("Make it one type")
NUMBERS = {"int", "float"}


def column_of(name: str, values: Iterable[Any], what: str) -> pl.Series:
    """Values as a column; `what` it is of, in errors.

    >>> column_of("example", [7, "img_7", None, float("nan")], "the log").to_list()
    ['7', 'img_7', None, None]
    """
    plain = list(map(_plain, values))
    kinds = Counter(type(value).__name__ for value in plain if value is not None)
    if len(kinds) > 1 and set(kinds) <= NUMBERS | {"str"}:
        as_one: type = str if "str" in kinds else float
        plain = [None if value is None else as_one(value) for value in plain]
    elif len(kinds) > 1:
        found = ", ".join(counted(n, f"value of type {kind}") for kind, n in kinds.items())
        first = {type(v).__name__: v for v in reversed(plain) if v is not None}
        raise AnnotationError(
            f"holds values of several types, {found.replace('value of type', 'of type')}: "
            f"{shown(list(first.values()))}.",
            ONE_TYPE,
            source=what,
            column=name,
        )
    return pl.Series(name, plain, strict=True)


def _plain(value: Any) -> Any:
    """A value as Python has it, None if it is missing."""
    if isinstance(value, np.generic):
        value = value.item()
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    # NaN is the only value that differs from itself
    return None if isinstance(value, float) and value != value else value


# --- rows ------------------------------------------------------------------------------------------


def is_records(source: Any) -> bool:
    """Whether a source is a list of dicts."""
    return bool(source) and all(isinstance(row, Mapping) for row in source)


def is_tuples(source: Any) -> bool:
    """Whether a source is a list of tuples of values."""
    return (
        isinstance(source, list)
        and bool(source)
        and all(isinstance(row, tuple) and not any(map(_is_table, row)) for row in source)
    )


def _is_table(value: Any) -> bool:
    return hasattr(value, "__arrow_c_stream__") or isinstance(value, pl.LazyFrame)


def frame_of_records(rows: Sequence[Mapping[str, Any]], what: str) -> pl.LazyFrame:
    """A list of dicts, which need not all have the same keys, as a frame."""
    names = dict.fromkeys(name for row in rows for name in row)
    return pl.LazyFrame([column_of(name, [row.get(name) for row in rows], what) for name in names])


def frame_of_tuples(
    rows: Sequence[tuple[Any, ...]], columns: Sequence[str], what: str
) -> pl.LazyFrame:
    """A list of tuples, a value for each of the columns, as a frame; named ones have their own."""
    if all(hasattr(row, "_asdict") for row in rows):
        return frame_of_records([row._asdict() for row in rows], what)  # type: ignore[attr-defined]
    wrong = [row for row in rows if len(row) != len(columns)]
    if wrong:
        raise AnnotationError(
            f"is a list of tuples, and {counted(len(wrong), 'row')} are not ({', '.join(columns)}):\n"
            + "\n".join(f"  {shown_value(row)}" for row in wrong[:SHOWN]),
            Advice("Give each row a value for each of these columns, or dicts, or a frame"),
            source=what,
        )
    by_column = zip(columns, zip(*rows, strict=True), strict=True)
    return pl.LazyFrame([column_of(name, values, what) for name, values in by_column])


# --- pandas ----------------------------------------------------------------------------------------


def is_pandas(source: Any) -> bool:
    """Whether this is a frame or a series of pandas."""
    return type(source).__module__.partition(".")[0] == "pandas"


def frame_of_pandas(source: Any, what: str) -> pl.DataFrame:
    """A pandas frame or series, with its index as columns if it is named.

    Ordered categories are an Enum: their order is that of the classes.
    """
    named = [name for name in source.index.names if name is not None]
    frame = source.to_frame() if source.ndim == 1 else source
    checked_names([*map(str, named), *map(str, frame.columns)], what)
    frame = frame.reset_index(named) if named else frame
    names = list(map(str, frame.columns))
    return pl.DataFrame([_of_pandas(n, frame.iloc[:, k], what) for k, n in enumerate(names)])


def _of_pandas(name: str, values: Any, what: str) -> pl.Series:
    """A column of a pandas frame."""
    from pandas import CategoricalDtype
    from pandas.api.types import infer_dtype

    if values.dtype == object and infer_dtype(values, skipna=True).startswith("mixed"):
        return column_of(name, values, what)
    read: pl.Series = pl.from_pandas(values).alias(name)
    if isinstance(values.dtype, CategoricalDtype) and values.dtype.ordered:
        return _ordered(read, values.dtype.categories.tolist())
    return read


def _ordered(values: pl.Series, categories: list[Any]) -> pl.Series:
    """Values in the order of their categories, which is that of their type where there is an order."""
    if not isinstance(categories[0], str) and categories == sorted(categories):
        return values
    return values.cast(pl.String).cast(pl.Enum(list(map(str, categories))))
