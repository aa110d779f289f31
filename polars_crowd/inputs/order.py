"""Which of several rows came first: the rows of a log in the order of a column, such as a time."""

from __future__ import annotations

import polars as pl

from polars_crowd.errors import Advice, AnnotationError, counted, missing_column, rows_shown, shown
from polars_crowd.inputs.numbers import number

DAY, CLOCK = r"\d{4}-\d{2}-\d{2}", r"\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?"
ZONE = r"(?:Z|[+-]\d{2}:?\d{2})$"
ISO = f"^{DAY}(?:[T ]{CLOCK}(?:{ZONE})?)?$"
CLOCKS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")
KEY = "polars_crowd_key"
CAST = Advice(
    "Make it a time or a number, before it is a log", python="pl.col(...).str.to_datetime(...)"
)


def in_order(rows: pl.LazyFrame, column: str) -> pl.LazyFrame:
    """The rows of a log in the order of a column, which is looked through once, now.

    >>> times = ["2024-05-02", "2024-05-01T09:30"]
    >>> log = pl.LazyFrame({"example": [1, 1], "annotator": ["a", "a"], "ts": times})
    >>> in_order(log, "ts").collect()["ts"].to_list()
    ['2024-05-01T09:30', '2024-05-02']

    Raises
    ------
    AnnotationError
        There is no such column, it is text that writes neither numbers nor times of one zone, or it does not
        say which of the rows of an (example, annotator) came last: two are equal there, or one is missing.
    """
    schema = rows.collect_schema()
    if column not in schema:
        raise missing_column("the log", column, list(schema))
    keyed = rows.with_columns(time_key(rows, column).alias(KEY))
    pairs = keyed.group_by("example", "annotator").agg(
        pl.len().alias("rows"),
        pl.col(KEY).n_unique().alias("distinct"),
        pl.col(KEY).has_nulls().alias("lacks"),
        pl.col(column).head(5),
    )
    unsure = (pl.col("rows") > 1) & ((pl.col("distinct") < pl.col("rows")) | pl.col("lacks"))
    found = pairs.filter(unsure).drop("distinct", "lacks").sort("example", "annotator").collect()
    if found.height:
        raise AnnotationError(
            f"does not say which row came last for {counted(found.height, 'pair')} of example and "
            f"annotator:\n"
            f"{rows_shown(found, *found.columns)}",
            "Each of their rows needs a value, another one than the others.",
            source="the log",
            column=column,
        )
    return keyed.sort(KEY, maintain_order=True).drop(KEY)


def written_time(rows: pl.LazyFrame, column: str) -> pl.Expr | None:
    """The time of each row: of dates and times themselves, of text the time that it writes, by the clock of
    its zone. None where the column holds no times.

    >>> rows = pl.LazyFrame({"at": ["2024-05-02T09:30+02:00", "2024-05-01 23:59:59.5+02:00"]})
    >>> rows.select(written_time(rows, "at")).collect()["at"].dt.day().to_list()
    [2, 1]
    """
    dtype = rows.collect_schema()[column]
    if dtype in (pl.Date, pl.Datetime):
        return pl.col(column)
    key = time_key(rows, column) if dtype == pl.String else None
    if key is None or rows.select(key).collect_schema()[column] != pl.String:
        return None
    read = [key.str.to_datetime(form, time_unit="us", strict=False) for form in CLOCKS]
    return pl.coalesce(*read, key.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")))


def time_key(rows: pl.LazyFrame, column: str) -> pl.Expr:
    """What the rows are ordered by; of text the numbers or the times that it writes."""
    value, dtype = pl.col(column), rows.collect_schema()[column]
    if dtype.is_float():
        return value.fill_nan(None)
    if dtype.is_numeric() or dtype.is_temporal():
        return value
    if dtype != pl.String:
        raise AnnotationError(
            f"is {dtype}, which has no order in time.", CAST, source="the log", column=column
        )
    is_number, is_time = number(value).is_not_null(), value.str.contains(ISO)
    zones = value.str.extract(f"({ZONE})").fill_null("").n_unique()
    are = rows.filter(value.is_not_null()).select(
        numbers=is_number.all(), times=is_time.all() & (zones == 1), empty=pl.len() == 0
    )
    numbers, times, empty = are.collect().row(0)
    if numbers or empty:
        return number(value)
    if times:
        return value.str.replace(ZONE, "").str.replace("T", " ", literal=True)
    wrong = rows.filter(~is_number & ~is_time).select(value.unique().sort()).collect()[column]
    seen = shown(wrong.to_list()) if len(wrong) else "times of several zones, or times and numbers"
    raise AnnotationError(
        f"is text that writes neither numbers nor times as 2024-05-31T09:30 of one zone: {seen}.",
        CAST,
        source="the log",
        column=column,
    )
