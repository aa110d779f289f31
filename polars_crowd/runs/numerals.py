"""Ids that are numbered, such as `item-17`, `e0000017` and `frames/000017.png`, as the numbers, and back.

All begin alike, then come up to 17 decimal digits, and all end alike. Where the n digits are W for every id,
the number v that they write sorts like the id. Otherwise the text sorts like its digits with zeros up to W of
them, and of those that are equal then the shorter is the first: it is the number

    v 10^(W - n) (W + 1) + n.

What comes behind the digits must be less than a digit, then, or nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

MOST_DIGITS = 17
"""10^17 times 18 is less than 2^64."""
NUMBERED = re.compile(r"(?P<beginning>.*?)(?P<digits>[0-9]+)(?P<ending>[^0-9]*)", re.DOTALL)


@dataclass(frozen=True)
class Numerals:
    """How numbered ids are written."""

    beginning: str
    ending: str
    digits: int
    """W."""
    are_padded: bool
    """Whether all have W digits."""

    @classmethod
    def of(cls, ids: pl.Series) -> Numerals | None:
        """How these ids are written, if their last numbers are all that they differ in.

        Whether it is so in between is seen when they are read.
        """
        like = NUMBERED.fullmatch(ids[0])
        if like is None or not _is_like(ids[-1], like):
            return None
        text, n = pl.col("id"), pl.col("id").str.len_bytes()
        rows = ids.alias("id").to_frame().lazy()
        first, last = rows.select(first=text.min(), last=text.max()).collect().row(0)
        if not (_is_like(first, like) and _is_like(last, like)):
            return None
        shortest, longest = rows.select(shortest=n.min(), longest=n.max()).collect().row(0)
        beside = len((like["beginning"] + like["ending"]).encode())
        found = cls(like["beginning"], like["ending"], longest - beside, shortest == longest)
        return found if found._can_be and shortest > beside else None

    @property
    def _can_be(self) -> bool:
        return self.digits <= MOST_DIGITS and (self.are_padded or self.ending[:1] < "0")

    def numbers(self, ids: pl.Series) -> pl.Series | None:
        """The numbers of the ids, which sort like them; None if one is written otherwise."""
        text = pl.col("id").str.strip_prefix(self.beginning)
        ends = pl.col("id").str.ends_with(self.ending).all() if self.ending else pl.lit(value=True)
        if self.ending:
            text = text.str.strip_suffix(self.ending)
        number = text.cast(pl.UInt64, strict=False)
        if not self.are_padded:
            n = text.str.len_bytes()
            zeros = pl.lit(pl.Series([10**i for i in range(self.digits + 1)], dtype=pl.UInt64))
            lacking = self.digits - n.cast(pl.Int64)  # less than 0 of some without the ending
            number = number * zeros.gather(lacking.clip(0)) * (self.digits + 1) + n
        read = ids.alias("id").to_frame().lazy().select(number=number, ends=ends).collect()
        return None if read["number"].null_count() or not read["ends"][0] else read["number"]

    def texts(self, numbers: pl.Series) -> pl.Series:
        """The ids of numbers."""
        number = pl.col("number")
        value = number if self.are_padded else number // (self.digits + 1)
        digits = value.cast(pl.String).str.zfill(self.digits)
        if not self.are_padded:
            digits = digits.str.head(number % (self.digits + 1))
        text = pl.concat_str(pl.lit(self.beginning), digits, pl.lit(self.ending))
        return numbers.alias("number").to_frame().lazy().select(text).collect().to_series()


def _is_like(text: str, other: re.Match[str]) -> bool:
    """Whether a text begins like another one, and goes on with a digit (no sign), and ends like it."""
    ends = re.fullmatch(
        "[0-9].*" + re.escape(other["ending"]), text[other.start("digits") :], re.DOTALL
    )
    return ends is not None and text.startswith(other["beginning"])
