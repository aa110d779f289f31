"""Rows that stand for several examples each: patterns, with the number of times that each was seen."""

from __future__ import annotations

import polars as pl

from polars_crowd.errors import Advice, AnnotationError, counted, missing_column, rows_shown
from polars_crowd.inputs.numbers import as_numbers

COUNT = Advice("Make it a whole number of at least 0, and leave out what was not counted")
TIME = "polars_crowd_time"


def repeated(rows: pl.LazyFrame, frequency: str, what: str) -> pl.LazyFrame:
    """The rows of each example as often as their column `frequency` says, of examples `id#1`, `id#2`, ...

    >>> pattern = pl.LazyFrame({"example": ["p", "p"], "label": ["x", "y"], "n": [2, 2]})
    >>> repeated(pattern, "n", "the log").collect().rows()
    [('p#1', 'x'), ('p#2', 'x'), ('p#1', 'y'), ('p#2', 'y')]

    Raises
    ------
    AnnotationError
        A frequency is missing, negative or a fraction, or rows of one example differ in it.
    """
    columns = list(rows.collect_schema())
    if frequency not in columns:
        raise missing_column(what, frequency, columns)
    rows = checked_counts(rows, [frequency], what)
    found = rows.group_by("example").agg(
        differ=pl.col(frequency).n_unique() > 1, frequencies=pl.col(frequency).unique().sort()
    )
    differ = found.filter("differ").select("example", "frequencies").sort("example").collect()
    if differ.height:
        raise AnnotationError(
            f"differs within {counted(differ.height, 'example')}:\n"
            f"{rows_shown(differ, *differ.columns)}",
            "An example was seen a certain number of times: give all of its rows the same number.",
            source=what,
            column=frequency,
        )
    times = pl.int_ranges(1, pl.col(frequency) + 1).alias(TIME)
    each = rows.with_columns(times).explode(TIME, empty_as_null=False)
    example = pl.format("{}#{}", pl.col("example").cast(pl.String), TIME)
    return each.with_columns(example.alias("example")).drop(TIME, frequency)


def checked_counts(frame: pl.LazyFrame, columns: list[str], what: str) -> pl.LazyFrame:
    """The frame with these columns as Int64, if they hold counts; they are gone through once, now.

    Raises
    ------
    AnnotationError
        A value is no number, missing, negative or a fraction.
    """
    numbers = as_numbers(frame, columns, what)
    for column in columns:
        count = pl.col(column)
        wrong = count.is_null() | count.is_nan() | (count < 0) | (count != count.round())
        rows = numbers.with_row_index("row").filter(wrong.fill_null(value=True))
        found = rows.select("row", column).collect()
        if found.height:
            raise AnnotationError(
                f"is no count in {counted(found.height, 'row')}:\n{rows_shown(found, 'row', column)}",
                COUNT,
                source=what,
                column=column,
            )
    return numbers.with_columns(pl.col(columns).cast(pl.Int64))
