"""Where annotators meet: the pairs of annotations of one example, by who gave them.

M annotators may be M (M - 1) / 2 pairs, and as many times K^2 with their labels. Both are one integer, a
key, by the annotators' ranks among the ids. Pairs are looked at a **span** of annotators at a time: those
whose first annotator lies in it. What is found out about them is rows of a table before the next span is
counted, so that no more than SPAN keys are held beside that table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Ints
from polars_crowd.compatible import engine_for
from polars_crowd.errors import Advice, AnnotationError, counted
from polars_crowd.reliability.gathering import check_annotators
from polars_crowd.reliability.patterns import count_keys
from polars_crowd.reliability.units import pairs_in_blocks, run_lengths
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Sum, Summary, dense

KEY_LIMIT = 1 << 31
"""(annotator, label) codes of which two fit into one integer."""
SPAN = 1 << 21
"""Keys that are counted at once."""
Span = tuple[int, int]
"""Annotators first .. last-1 by rank."""
FIRST, KEY = ("first",), ("key",)


# --- keys ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PairCodes:
    """How (annotator, annotator, label, label) is one integer: annotators by their rank among the ids."""

    rank: Ints
    """(M,) of each annotator's code."""
    annotators: pl.Series
    """The ids by rank."""
    n_classes: int

    @property
    def size(self) -> int:
        """How many keys there could be."""
        return (len(self.rank) * self.n_classes) ** 2

    def pack(self, pair: tuple[Ints, Ints], label: tuple[Ints, Ints]) -> Ints:
        """The key of each pair of annotations, the annotator with the smaller rank first."""
        K = self.n_classes
        return (self.pair(*pair) * K + label[0]) * K + label[1]

    def pair(self, first: Ints, second: Ints) -> Ints:
        """Two annotators, by their ranks, the smaller first, as one number."""
        return first * len(self.rank) + second

    def named(self, pair: str = "pair") -> list[pl.Expr]:
        """The ids of pairs of annotators, `annotator_1` and `annotator_2`."""
        ids, M = pl.lit(self.annotators), len(self.rank)
        return [
            ids.gather(at).alias(f"annotator_{i}")
            for i, at in ((1, pl.col(pair) // M), (2, pl.col(pair) % M))
        ]

    def unpack(self, key: Ints) -> tuple[Ints, Ints, Ints]:
        """The pair of annotators as one number, and the two labels."""
        rest, second = np.divmod(key, self.n_classes)
        pair, first = np.divmod(rest, self.n_classes)
        return pair, first, second


def check_codes(rounds: Rounds) -> PairCodes:
    """The codes of a log, if it has two annotators or more and not too many."""
    check_annotators(rounds.book.annotators)
    return pair_codes(rounds.book.annotators, rounds.n_classes)


def pair_codes(annotators: pl.Series, K: int) -> PairCodes:
    """The codes of so many annotators and classes, if there are."""
    if len(annotators) * K > KEY_LIMIT:
        raise AnnotationError(
            f"the log has {counted(len(annotators), 'annotator')} and {counted(K, 'class')}: too many to "
            f"compare pairwise (at most {KEY_LIMIT:,} annotators x classes). Filter the annotators, or "
            "merge classes."
        )
    by_name = by_id(annotators).arg_sort()
    rank = np.empty(len(annotators), np.int64)
    rank[by_name.to_numpy()] = np.arange(len(annotators))
    return PairCodes(rank, annotators.gather(by_name), K)


def by_id(annotators: pl.Series) -> pl.Series:
    """Ids as they sort: the text of categories, the order of an Enum."""
    return (
        annotators.cast(pl.String) if isinstance(annotators.dtype, pl.Categorical) else annotators
    )


BASE, PER_PAIR = 1 << 28, 120
"""Bytes that are held in any case, and for each pair of annotators."""
FEWER_PAIRS = Advice("Look at fewer pairs of annotations", python="max_pairs=10_000_000")
FEWER_ANNOTATORS = Advice(
    "Look at fewer annotators", python="log.filter(pl.col('annotator').is_in(...))"
)
MORE_SHARED = Advice("Leave out pairs with few shared examples", python="min_shared=10")


def check_size(
    rounds: Rounds, codes: PairCodes, n_pairs: float, min_shared: int, *advice: Advice
) -> None:
    """That the table of the annotators who share so many examples of n_pairs in all fits into memory."""
    M = len(codes.rank)
    of_annotators = min(n_pairs // min_shared, M * (M - 1) / 2)
    enough = f", {min_shared:,} or more" if min_shared > 1 else ""
    what = f"up to {of_annotators:,.0f} pairs of annotators share examples{enough}, which take"
    rounds.check_memory(BASE + of_annotators * PER_PAIR, what, *advice)


def spans(first: pl.DataFrame, codes: PairCodes, share: float = 1.0) -> list[Span]:
    """The annotators in spans of about SPAN keys, from the pairs of annotations that each is the first of, if
    a share of these is counted."""
    M = len(codes.rank)
    keys = np.minimum(
        dense(first, *FIRST, "pairs", M) * share, np.arange(M)[::-1] * codes.n_classes**2
    )
    nth = np.cumsum(keys) // SPAN
    begin = np.flatnonzero(np.diff(nth)) + 1
    return list(pairwise([0, *begin.tolist(), M]))


# --- the meetings of a partition -------------------------------------------------------------------


@dataclass(frozen=True)
class Meetings:
    """A partition's annotations by example and annotator."""

    example: NDArray[Any]
    """(R,) sorted."""
    rank: Ints
    """(R,) of the annotator, sorted within examples."""
    label: NDArray[Any]
    """(R,)"""

    @classmethod
    def of(cls, example: NDArray[Any], rank: Ints, label: NDArray[Any]) -> Meetings:
        """From annotations in any order."""
        columns = pl.DataFrame({"example": example, "rank": rank, "label": label})
        in_order = columns.lazy().sort("example", "rank", "label")
        found = in_order.collect(engine=engine_for(columns.height))
        return cls(*(column.to_numpy() for column in found))

    @cached_property
    def lengths(self) -> Ints:
        """The annotations of each example."""
        return run_lengths(self.example)

    @property
    def pairs_by_first(self) -> Summary:
        """How many pairs of annotations each annotator is the `first` of."""
        lengths = self.lengths
        after = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(self.rank)) - 1
        pairs = pl.DataFrame({"first": self.rank, "pairs": after})
        return {FIRST: pairs.lazy().group_by("first").agg(pl.col("pairs").sum())}

    def pairs(self, span: Span) -> Iterator[tuple[Ints, Ints]]:
        """The positions of pairs of annotations by two annotators, of whom the first is in the span."""
        begin, end = span
        inside = np.flatnonzero((self.rank >= begin) & (self.rank < end))
        for i, j in pairs_in_blocks(self.lengths, 2 * SPAN, inside):
            # an annotator may have labelled an example twice
            different = self.rank[i] != self.rank[j]
            yield i[different], j[different]


def count_meetings(met: Meetings, codes: PairCodes, span: Span) -> Summary:
    """The examples that annotators of a span shared, by key."""
    counts = Sum(KEY)
    counts.add(pl.DataFrame(schema={"key": pl.Int64, "times": pl.Int64}))
    for i, j in met.pairs(span):
        key = codes.pack((met.rank[i], met.rank[j]), (met.label[i], met.label[j]))
        counts.add(count_keys(pl.Series(key), codes.size))
    return {KEY: counts.frame()}
