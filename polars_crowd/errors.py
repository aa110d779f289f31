"""What goes wrong with annotations, said so that the reader can act on it."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import polars as pl

SHOWN = 5
"""How many offending rows an error shows."""


class AnnotationError(ValueError):
    """The log or the pred_probs cannot be used as they are.

    The message names the column, counts the offending rows, shows up to five of them and says what
    to do.
    """


class StoreError(Exception):
    """A store or a directory of results cannot be read or written: a file is missing or damaged, another
    process is writing, a newer version made it. The message names the file and says what to do."""


class UnfinishedError(StoreError):
    """A file cannot be written: the disk is full, the directory went away. Nothing of it is left."""


class PartitionError(RuntimeError):
    """The work on one partition failed: its worker died or raised. The cause is in the message."""


class AnnotationWarning(UserWarning):
    """The result is right, and something about the log limits what it can tell."""


def warn(message: str) -> None:
    """An `AnnotationWarning` at the line that called the library: the first one outside of it."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].partition(".")[0] == __package__:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, AnnotationWarning, stacklevel=level)


def missing_column(what: str, column: str, columns: list[str], advice: str) -> AnnotationError:
    """The error for a column that `what` (the log, the pred_probs) does not have."""
    return AnnotationError(
        f"{what} has no column {column!r}; its columns are {shown(columns, limit=20)}. {advice}"
    )


def shown(values: list[Any], limit: int = SHOWN) -> str:
    """Up to `limit` values, and how many more there are.

    >>> shown(["a", "b", "c"], limit=2)
    "'a', 'b', ... (1 more)"
    """
    more = f", ... ({len(values) - limit} more)" if len(values) > limit else ""
    return ", ".join(repr(v) for v in values[:limit]) + more


def rows_shown(rows: pl.DataFrame) -> str:
    """The first rows of a frame as text, one line a row.

    >>> print(rows_shown(pl.DataFrame({"example": [1], "label": ["cat"]})))
      example=1, label='cat'
    """
    lines = [
        "  " + ", ".join(f"{name}={value!r}" for name, value in row.items())
        for row in rows.head(SHOWN).to_dicts()
    ]
    return "\n".join(lines)


def counted(n: int, noun: str) -> str:
    """A number and its noun in the right form.

    >>> counted(1, "row"), counted(12000, "row"), counted(2, "class")
    ('1 row', '12,000 rows', '2 classes')
    """
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{n:,} {noun if n == 1 else plural}"
