"""When answers were given: what tools write, as UTC, and what was taken for granted about it."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from polars_crowd.errors import counted

TIME_READ = "polars_crowd_time"
"""Null where a time is what was written; true where it had no zone; false where it could not be read."""
TIMES_READ = {
    "without a zone, taken as UTC": pl.col(TIME_READ),
    "that cannot be read, null here": ~pl.col(TIME_READ),
}
"""What is noted of times, each with the rows that it is about."""
ZONE = r"([zZ]|[+-]\d{2}:?\d{2}| [A-Z]{3,4}( \d{4})?)$"
"""How a time ends that says its zone; some tools write the year behind that."""


def dated(text: pl.Expr, read: Callable[[pl.Expr], pl.Expr] | None = None) -> list[pl.Expr]:
    """`timestamp`, and how it was read."""
    time = (read or utc)(text)
    is_lost = text.is_not_null() & (text != "") & time.is_null()
    how = pl.when(is_lost).then(pl.lit(False)).when(~text.str.contains(ZONE)).then(pl.lit(True))
    return [time.alias("timestamp"), how.alias(TIME_READ)]


def timed(rows: pl.LazyFrame, read: Callable[[pl.Expr], pl.Expr] | None = None) -> pl.LazyFrame:
    """The answers with `timestamp`, read from the text `time`, if any of them has one."""
    if "time" not in rows.collect_schema():
        return rows
    return rows.with_columns(dated(pl.col("time"), read)).drop("time")


def with_time_read(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The rows with what is said of their times, which is nothing where they are numbers."""
    there = TIME_READ in rows.collect_schema()
    return rows if there else rows.with_columns(pl.lit(None, pl.Boolean).alias(TIME_READ))


def notes_of_times(counts: pl.DataFrame) -> list[str]:
    """What was taken for granted about times, by how many they are."""
    sums = {note: int(counts[note].sum()) for note in TIMES_READ}
    return [f"{counted(n, 'time')} {note}." for note, n in sums.items() if n]


def utc(text: pl.Expr) -> pl.Expr:
    """Times written as ISO 8601, with or without a zone; one without is taken as UTC.

    >>> frame = pl.DataFrame({"t": ["2026-02-02T10:00:01.5Z", "2026-02-02 12:00:01+02:00", "2026-02-02"]})
    >>> [str(time) for time in frame.select(utc(pl.col("t")))["t"]]
    ['2026-02-02 10:00:01.500000+00:00', '2026-02-02 10:00:01+00:00', '2026-02-02 00:00:00+00:00']
    """
    written = text.str.replace(r" ?([zZ]|UTC|GMT)$", "+00:00").str.replace(" ", "T", literal=True)
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
