"""What the readers of feedback on traces of language models share.

All of them hold one shape: a trace or span, the name of what is judged, who or what judges, a value, a time.
Humans, judges and code answer side by side, and are told apart by `annotator_kind`.
"""

from __future__ import annotations

import polars as pl

from polars_crowd.formats.answers import SUBMITTED

TEXT = pl.String()
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def kind_of(value: pl.Expr) -> pl.Expr:
    """The kind of a question whose answer is a value: numbers are asked for if all answers are some."""
    is_number = value.str.contains(NUMBER)
    return pl.when(is_number).then(pl.lit("number")).otherwise(pl.lit("class"))


def one(value: pl.Expr) -> pl.Expr:
    """The values of an answer that is one value, or none."""
    return pl.when(value.is_not_null()).then(pl.concat_list(value))


def sent(value: pl.Expr) -> pl.Expr:
    """The status of an answer that is a value: without one it is empty."""
    return pl.when(value.is_not_null()).then(pl.lit(SUBMITTED)).otherwise(pl.lit("empty"))


def called(source: pl.Expr, kinds: dict[str, str]) -> pl.Expr:
    """The `annotator_kind` of a source; null if the tool's word for it says nothing."""
    return source.replace_strict(kinds, default=None, return_dtype=TEXT)
