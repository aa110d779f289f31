"""Distinct texts in order, sorted as integers.

Texts are compared as their UTF-8 bytes, which is the order of their characters. Sorted are integers: the
bytes that follow what all of them begin with, a word (8 bytes) at once. Those that tie form **runs**; only
among them the next bytes are looked at, with the number of the run as first bytes of the integer, so that all
runs are sorted at once. Texts that end are padded with zeros; those that tie to the end differ in how many
zeros they end in themselves, and the shorter is the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from polars_crowd.runs.words import WORD, padded, word

FEW = 256
"""Up to this many runs, what all texts of a run begin with is skipped."""
SAMPLE = 64
"""Texts of a run that say what all of them may begin with."""


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
        text, n_runs, start = self.names.gather(self.at), int(self.run[-1]) + 1, self.start
        beginnings = _beginnings(text, self.run) if n_runs <= FEW else [b""]
        skipped = min(map(len, beginnings))
        if skipped > start:
            found = self._sorted_from(skipped, text, [each[:skipped] for each in beginnings])
            if found is not None:
                return found
        found = self._sorted_from(start, text)
        assert found is not None, "nothing is skipped"
        return found

    def _sorted_from(
        self, start: int, text: pl.Series, beginnings: Sequence[bytes] | None = None
    ) -> tuple[Tied, pl.Series] | None:
        """... that are from `start` on; None if not all texts of a run have its beginning."""
        n_runs, begins = int(self.run[-1]) + 1, pl.lit(value=True)
        if beginnings is not None:
            own = pl.lit(pl.Series(beginnings, dtype=pl.Binary)).gather("run")
            begins = pl.col("text").cast(pl.Binary).bin.starts_with(own).all()
        size, rows = WORD - bytes_for(n_runs), pl.LazyFrame({"run": self.run, "text": text})
        keys = rows.select(key=_key(size, start), begins=begins).with_row_index("at")
        in_order = keys.sort("key").collect()
        if not in_order["begins"][0]:
            return None
        at = self.at.gather(in_order["at"])
        return Tied(self.names, at, self.place, self.run, start + size), in_order["key"]

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


def _beginnings(text: pl.Series, run: pl.Series) -> list[bytes]:
    """What some texts of each run begin with."""
    n = run.rle().struct.field("len")
    some = (
        text.slice(start, length).gather_every(max(length // SAMPLE, 1))
        for start, length in zip(n.cum_sum() - n, n, strict=True)
    )
    return [shared(str(texts.min()), str(texts.max())) for texts in some]


def shared(one: str, other: str) -> bytes:
    """The bytes that two texts begin with.

    >>> shared("item-10", "item-2")
    b'item-'
    """
    a, b = one.encode(), other.encode()
    n = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:n]
