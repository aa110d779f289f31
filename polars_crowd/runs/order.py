"""Distinct texts in order, sorted as integers.

Texts are compared as their UTF-8 bytes, which is the order of their characters. Sorted are integers: the
bytes that follow what all of them begin with, a word (8 bytes) at once. Those that tie form **runs**; only
among them the next bytes are looked at, with the number of the run as first bytes of the integer, so that all
runs are sorted at once. Texts that end are padded with zeros; those that tie to the end differ in how many
zeros they end in themselves, and the shorter is the first.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from polars_crowd.runs.words import WORD, padded, word

FEW = 256
"""Up to this many runs, what all texts of a run begin with is found out, and skipped."""


def sorted_order(names: pl.Series) -> pl.Series:
    """`names.arg_sort()` of distinct ids.

    >>> sorted_order(pl.Series(["e10", "e2", "e1"])).to_list()
    [2, 0, 1]
    """
    if names.dtype != pl.String or len(names) < 2:
        return names.arg_sort()
    everywhere = pl.int_range(len(names), dtype=pl.UInt32, eager=True)
    tied = Tied(names, everywhere, everywhere, pl.zeros(len(names), pl.UInt32, eager=True))
    order = everywhere.clone()
    while len(tied.at):
        tied, keys = tied.sorted()
        order.scatter(tied.place, tied.at)
        tied = tied.among(keys)
    return order


@dataclass(frozen=True)
class Tied:
    """Texts of which the first `start` bytes do not say the order."""

    names: pl.Series
    """All texts."""
    at: pl.Series
    """Where in them the tied ones are, run by run."""
    place: pl.Series
    """Their places in the order, ascending: of each run as many as it has texts."""
    run: pl.Series
    """The number of each one's run, ascending from 0."""
    start: int = 0

    def sorted(self) -> tuple[Tied, pl.Series]:
        """The texts in the order of their next bytes, and the integers that these are."""
        texts = pl.LazyFrame({"run": self.run, "text": self.names.gather(self.at)})
        n_runs, start = int(self.run[-1]) + 1, self.start
        if n_runs <= FEW:
            start = max(start, _shared_beginning(texts))
        size = WORD - bytes_for(n_runs)
        keys = texts.select(key=_key(size, start)).with_row_index("at").sort("key").collect()
        at = self.at.gather(keys["at"])
        return Tied(self.names, at, self.place, self.run, start + size), keys["key"]

    def among(self, keys: pl.Series) -> Tied:
        """Those whose keys, which are sorted, are not theirs alone."""
        again = keys.eq_missing(keys.shift(1))
        several = again | again.shift(-1, fill_value=False)
        run = (~again).cast(pl.UInt32).cum_sum().filter(several).rle_id()
        at, place = self.at.filter(several), self.place.filter(several)
        return Tied(self.names, at, place, run, self.start)


def _key(size: int, start: int) -> pl.Expr:
    """The number of the run, then `size` bytes of the text from `start`; past all texts, their length."""
    text, n = pl.col("text"), pl.col("text").str.len_bytes()
    bytes_ = word(padded(text), start, "big") // (1 << 8 * (WORD - size))
    rest = pl.when(n.max() > start).then(bytes_).otherwise(n.cast(pl.UInt64))
    return rest if size == WORD else pl.col("run").cast(pl.UInt64) * (1 << 8 * size) + rest


def bytes_for(n: int) -> int:
    """How many bytes hold 0 .. n-1."""
    return -(-(n - 1).bit_length() // 8)


def _shared_beginning(texts: pl.LazyFrame) -> int:
    """How many first bytes the texts of each run share, at least."""
    text = pl.col("text")
    ends = texts.group_by("run").agg(first=text.min(), last=text.max()).collect()
    return min(len(shared(*pair)) for pair in ends.select("first", "last").iter_rows())


def shared(one: str, other: str) -> bytes:
    """The bytes that two texts begin with.

    >>> shared("item-10", "item-2")
    b'item-'
    """
    a, b = one.encode(), other.encode()
    n = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:n]
