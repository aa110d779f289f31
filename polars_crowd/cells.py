"""How a table's cells are written for people: the same text in notebooks, reports and Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from polars_crowd.errors import shortened
from polars_crowd.escapes import escaped

COUNTS = ("num_", "count", "n_")
"""How columns of counts are called; other integers may be ids, and are written as they are."""

LONG = 40
"""Characters from which on a text has room of its own."""
LONGEST = 1000
"""Characters of a text that a cell holds."""


def heading(column: str) -> str:
    """A column's name in words.

    >>> heading("ci_low"), heading("num_annotations")
    ('ci low', 'annotations')
    """
    return escaped(column.removeprefix("num_").replace("_", " "))


def is_number(name: str, dtype: pl.DataType) -> bool:
    """Whether a column's values are numbers, to be written as such."""
    return dtype.is_float() or (dtype.is_integer() and name.startswith(COUNTS))


def kind_of(column: pl.Series) -> str | None:
    """What its cells are where that says how they stand: numbers to the right, long texts with room."""
    if is_number(column.name, column.dtype):
        return "number"
    is_long = column.dtype == pl.String and (column.str.len_chars() > LONG).any()
    return "long" if is_long else None


def cells(frame: pl.DataFrame) -> Iterator[list[str]]:
    """The rows as text."""
    numbers = [is_number(name, dtype) for name, dtype in frame.schema.items()]
    for row in frame.iter_rows():
        yield [cell(value, number) for value, number in zip(row, numbers, strict=True)]


def cell(value: Any, number: bool) -> str:
    """A value; a text that steers a terminal or a line is shown as what it is.

    >>> cell(1234, True), cell(1234, False), cell(None, False), cell(["a", "b"], False)
    ('1,234', '1234', '', 'a, b')
    """
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(cell(one, number) for one in value)
    is_text = not number and not isinstance(value, bool)
    return escaped(shortened(str(value), LONGEST)) if is_text else number_text(value)


def number_text(value: Any) -> str:
    """A number for people, the same in every format.

    >>> [number_text(v) for v in (1456, 0.58, 12.5, 1.0, 1e-9, 1234.5, None, float("nan"), True)]
    ['1,456', '0.580', '12.5', '1.00', '1.00e-09', '1,234', '-', '-', 'yes']
    """
    if value is None or value != value:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:#.3g}".rstrip(".") if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)
