"""What charts are drawn of: a table of a result, or the table itself, reduced to few rows by Polars."""

from __future__ import annotations

from typing import Any

import polars as pl

from polars_crowd.errors import AnnotationError, counted
from polars_crowd.inputs.sources import checked_columns, open_frame
from polars_crowd.reports import Reported

FRAMES = (pl.DataFrame, pl.LazyFrame)
BINS = 20
"""Of scores between 0 and 1."""


def table_of(found: Any, name: str, what: str, *columns: str) -> pl.LazyFrame:
    """The table `name` of a result, or the frame that was given in its place; `what` names it in errors.

    Raises
    ------
    AnnotationError
        It is neither, or a column is missing.
    """
    table = None if isinstance(found, FRAMES) else getattr(found, name, None)
    advice = f"Give a result with a table {name!r}, or that table."
    if isinstance(found, Reported) and table is None:
        raise AnnotationError(
            f"has no table {name!r}: it is a {type(found).__name__}.", advice, source=what
        )
    frame = table.lazy() if isinstance(table, FRAMES) else open_frame(found, what)
    checked_columns(frame, what, columns, advice)
    return frame


def some_of(frame: pl.DataFrame, what: str, wrong: str = "has no rows to draw.") -> pl.DataFrame:
    """The rows there are.

    Raises
    ------
    AnnotationError
        There are none.
    """
    if frame.is_empty():
        raise AnnotationError(wrong, source=what)
    return frame


def has(frame: pl.LazyFrame, column: str) -> bool:
    return column in frame.collect_schema()


def examples_in(table: pl.LazyFrame) -> pl.Expr:
    """How many examples there are: a row is one, or as many as `num_examples` says."""
    return pl.col("num_examples").sum() if has(table, "num_examples") else pl.len().cast(pl.Int64)


def bin_of(score: pl.Expr, bins: int = BINS) -> pl.Expr:
    """Which of the bins of [0, 1] a score is in; 1 is in the last."""
    return (score * bins).floor().clip(0, bins - 1).cast(pl.Int64)


def ends_of_bins() -> dict[str, pl.Expr]:
    """Where the bin `bin` begins and ends."""
    return {"low": pl.col("bin") / BINS, "high": (pl.col("bin") + 1) / BINS}


def share_said(part: int, of: int, noun: str) -> str:
    """A part of a number, in words.

    >>> share_said(30, 200, "example")
    '30 of 200 examples (15%)'
    """
    return f"{part:,} of {counted(of, noun)} ({part / max(of, 1):.0%})"
