"""A 64-bit hash of ids that never changes with the Polars version or the platform.

The id is read as 64-bit words: an integer is one word (two's complement, of which the last 64 bits); a date,
time or boolean the integer behind it; bytes are the text that writes them in hexadecimal; text is the number
of its UTF-8 bytes, then its first 64 bytes and its last 32 (from the end), in words of 8 bytes,
little-endian, padded with zeros. With arithmetic modulo 2^64, from h = OFFSET,

    h <- (h xor word) * PRIME      for each word,
    h <- h xor (h >> 32);  h <- h * MIX;  h <- h xor (h >> 29).

(The first line is FNV-1a over words, Fowler, Noll and Vo; the second a finaliser as in Steele, Lea and
Flood 2014.)
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from polars_crowd.runs.words import WORD, padded, word

OFFSET = 0xCBF29CE484222325
PRIME = 0x100000001B3
MIX = 0xBF58476D1CE4E5B9
FIRST_WORDS = 8
LAST_WORDS = 4


def hashed(ids: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """h of each id, as UInt64."""
    h = pl.lit(OFFSET, pl.UInt64)
    for each in words(ids, dtype):
        h = (h ^ each) * PRIME
    h = (h ^ (h // (1 << 32))) * MIX
    return h ^ (h // (1 << 29))


def words(ids: pl.Expr, dtype: pl.DataType) -> Iterator[pl.Expr]:
    """The words of an id, as UInt64."""
    if dtype == pl.String or isinstance(dtype, (pl.Categorical, pl.Enum)):
        yield from _words_of_text(ids.cast(pl.String))
    elif dtype == pl.Binary:
        yield from _words_of_text(ids.bin.encode("hex"))
    elif dtype == pl.UInt64:
        yield ids
    else:
        number = ids.to_physical() if dtype.is_temporal() else ids
        yield number.cast(pl.Int64, wrap_numerical=True).reinterpret(signed=False)


def _words_of_text(text: pl.Expr) -> Iterator[pl.Expr]:
    bytes_ = padded(text)
    size = text.str.len_bytes().cast(pl.Int64)
    yield size.reinterpret(signed=False)
    for i in range(FIRST_WORDS):
        yield word(bytes_, i * WORD, "little")
    for i in range(1, LAST_WORDS + 1):
        start = pl.max_horizontal(size - i * WORD, pl.lit(0, pl.Int64))
        yield word(bytes_, start, "little")
