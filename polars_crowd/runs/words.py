"""Text as words: 64-bit integers of 8 bytes each."""

from __future__ import annotations

from typing import Literal

import polars as pl

WORD = 8
"""Bytes of a 64-bit integer."""


def padded(text: pl.Expr) -> pl.Expr:
    """The UTF-8 bytes of a text, and a word of zeros."""
    return pl.concat_str(text, pl.lit("\0" * WORD)).cast(pl.Binary)


def word(padded: pl.Expr, start: pl.Expr | int, endianness: Literal["little", "big"]) -> pl.Expr:
    """The 8 bytes from `start`; 0 where the text ends before them."""
    bytes_ = padded.bin.slice(start, WORD)
    return bytes_.bin.reinterpret(dtype=pl.UInt64, endianness=endianness).fill_null(0)
