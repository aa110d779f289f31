"""Numbers that are written as text: read where numbers are asked for, and every value that is none named."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from polars_crowd.errors import Advice, AnnotationError, counted, shown_value
from polars_crowd.inputs.parts import is_text

CORRECT = Advice("Correct them, or leave their rows out")
MISSING = Advice(
    "Correct them, or name those that say that there is no label",
    python="pc.scan_annotations(log, missing=[...])",
    command="--missing A,B",
)
COMMA = Advice(
    "If the comma is a decimal comma", python="decimal_comma=True", command="--decimal-comma"
)
NAMED = 20
"""How many different values an error names."""


def as_numbers(
    frame: pl.LazyFrame,
    columns: Sequence[str],
    what: str,
    decimal_comma: bool = False,
    advice: Advice = CORRECT,
) -> pl.LazyFrame:
    """The frame with these columns as Float64; `what` names it in errors, which end with the advice.

    Columns of text are gone through once, now, so that what is no number is known of the whole column.

    Raises
    ------
    AnnotationError
        A value is not a number, or a column has a type that holds none.
    """
    schema = frame.collect_schema()
    for column in columns:
        if not (
            is_text(schema[column]) or schema[column].is_numeric() or schema[column] == pl.Null
        ):
            raise AnnotationError(
                f"is {schema[column]}, and numbers are needed.", source=what, column=column
            )
    texts = [column for column in columns if is_text(schema[column])]
    if texts:
        found = _no_numbers(frame, texts, decimal_comma)
        if found.height:
            raise AnnotationError(
                _wrong(found), _decimal_comma(found, decimal_comma) or advice, source=what
            )
    read = [number(pl.col(column), decimal_comma).alias(column) for column in texts]
    others = [pl.col(column).cast(pl.Float64) for column in columns if column not in texts]
    return frame.with_columns(*read, *others)


def labels_as_numbers(log: pl.LazyFrame) -> pl.LazyFrame:
    """The log with numbers as labels where they are text that writes numbers; as it is where none does.

    Raises
    ------
    AnnotationError
        Some of the labels write numbers and others do not; these are named.
    """
    dtype = log.collect_schema()["label"]
    if not is_text(dtype) or isinstance(dtype, pl.Enum):
        return log
    written = number(pl.col("label")).is_not_null().any()
    if not log.select(written).collect().item():
        return log
    return as_numbers(log, ["label"], "the log", advice=MISSING)


def number(text: pl.Expr, decimal_comma: bool = False) -> pl.Expr:
    """The number that a text writes, null if it is none.

    >>> texts = pl.Series(["3.5", "-1e3", "x", "nan", "3,5"])
    >>> pl.select(number(pl.lit(texts))).to_series().to_list()
    [3.5, -1000.0, None, None, None]
    >>> pl.select(number(pl.lit(texts), decimal_comma=True)).to_series().to_list()
    [None, -1000.0, None, None, 3.5]
    """
    text = text.cast(pl.String)
    if decimal_comma:
        point = text.str.contains(".", literal=True)
        text = pl.when(~point).then(text.str.replace(",", ".", literal=True))
    value = text.cast(pl.Float64, strict=False)
    return pl.when(value.is_not_nan()).then(value)


def _no_numbers(frame: pl.LazyFrame, columns: Sequence[str], decimal_comma: bool) -> pl.DataFrame:
    """The values that are no numbers: `column`, `value`, `rows`."""
    texts = [frame.select(column=pl.lit(c), value=pl.col(c).cast(pl.String)) for c in columns]
    wrong = pl.col("value").is_not_null() & number(pl.col("value"), decimal_comma).is_null()
    values = pl.concat(texts).filter(wrong).group_by("column", "value").agg(rows=pl.len())
    return values.sort("column", "rows", "value", descending=[False, True, False]).collect()


def _wrong(found: pl.DataFrame) -> str:
    """What is said of values that are no numbers."""
    lines = [
        f"  column {column!r}: " + values_and_rows(of_column)
        for (column,), of_column in found.group_by("column", maintain_order=True)
    ]
    rows = counted(int(found["rows"].sum()), "value")
    return f": {rows} where numbers are needed are none:\n" + "\n".join(lines)


def _decimal_comma(found: pl.DataFrame, decimal_comma: bool) -> Advice | None:
    """The advice where all of these were numbers if their comma was a decimal comma."""
    read = found.select(number(pl.col("value"), decimal_comma=True).is_not_null().all()).item()
    return COMMA if read and not decimal_comma else None


def values_and_rows(found: pl.DataFrame) -> str:
    """Values and how many rows have each, from a frame `value`, `rows`.

    >>> values_and_rows(pl.DataFrame({"value": ["x", "y"], "rows": [2, 1]}))
    "'x' (2 rows), 'y' (1 row)"
    """
    named = [
        f"{shown_value(value)} ({counted(n, 'row')})"
        for value, n in found.head(NAMED).select("value", "rows").iter_rows()
    ]
    more = found.height - len(named)
    return ", ".join(named) + (f", ... ({more:,} more)" if more else "")
