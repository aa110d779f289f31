"""What Polars 1 says in another way than Polars 2, and which of its engines is for what."""

from typing import Final, Literal

import polars as pl

Engine = Literal["auto", "in-memory"]
FEW_ROWS = 200_000

HORIZONTAL: Final[Literal["horizontal", "horizontal_extend"]] = (
    "horizontal_extend" if pl.__version__.startswith("1.") else "horizontal"
)
"""How frames of one height stand side by side: the `horizontal` of Polars 1 fills up with nulls."""


def engine_for(n_rows: int) -> Engine:
    """The engine for a query of so many rows in memory: to begin a stream takes longer than few rows do."""
    return "in-memory" if n_rows <= FEW_ROWS else "auto"


def by(key: str) -> pl.Expr:
    """A column of integers to group few rows by: groups of a column as it is are made by all threads, which
    takes longer than few rows do."""
    return pl.col(key) + 0
