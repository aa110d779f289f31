"""What the readers of feedback on traces of language models share.

All of them hold one shape: a trace or span, the name of what is judged, who or what judges, a value, a time.
Humans, judges and code answer side by side, and are told apart by `annotator_kind`.
"""

from __future__ import annotations

import polars as pl

from polars_crowd.formats.answers import first_true

TEXT = pl.String()
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def kind_of(value: pl.Expr) -> pl.Expr:
    """The kind of a question whose answer is a value: numbers are asked for if all answers are some."""
    is_number = value.str.contains(NUMBER)
    return first_true("class", number=is_number)
