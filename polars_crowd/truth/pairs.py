"""Counts by truth, annotator and label, kept for the pairs (annotator, label) that occur in a log.

Of K classes an annotator uses few where there are many: of M K pairs P occur, and P is no larger than the
number of annotations. Letters as in `truth.classification.dawid_skene`: S states of the truth (or K classes),

    C[j,k,l] = b[j,k,l] + seen[j,k,l],     seen = 0 but at the pairs,     m[j,k] = sum_l C[j,k,l]

so that all that is estimated from C is known from seen, shape (S, P), and from the pseudo-counts b, which are
kept in a shape that broadcasts to (S, M, K). Where even that is more than the posterior that it is a sum of,
`truth.held` keeps the posterior instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import Advice, counted
from polars_crowd.numerics.special import log_gamma
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Summary
from polars_crowd.truth.block import Block
from polars_crowd.truth.classification.dirichlet import Dirichlet
from polars_crowd.truth.posterior import with_sum

PER_CELL = 160
"""Bytes that are held for each class and pair."""
WITHOUT_MATRICES = Advice(
    "Take a method without confusion matrices",
    python="pc.one_coin_dawid_skene(log)",
    command="--method one-coin-dawid-skene",
)
LARGEST_INDEX = 1 << 26
"""Up to this many pairs that there could be, the places of those that occur are looked up in an array."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs (annotator, label) of M annotators and K classes."""

    code: Ints
    """annotator * K + label, ascending, shape (P,)."""
    n_annotators: int
    n_classes: int

    def __reduce__(self) -> Any:
        return Pairs, (self.code, self.n_annotators, self.n_classes)

    def __len__(self) -> int:
        return len(self.code)

    @classmethod
    def all_of(cls, n_annotators: int, n_classes: int) -> Pairs:
        return cls(np.arange(n_annotators * n_classes), n_annotators, n_classes)

    @property
    def is_all(self) -> bool:
        return len(self.code) == self.n_annotators * self.n_classes

    @property
    def summed(self) -> Ints:
        """The pairs that partitions send sums of."""
        return self.code

    @cached_property
    def annotator(self) -> Ints:
        return self.code // self.n_classes

    @cached_property
    def label(self) -> Ints:
        return self.code % self.n_classes

    @cached_property
    def _index(self) -> Ints:
        index = np.zeros(self.n_annotators * self.n_classes, dtype=np.int32)
        index[self.code] = np.arange(len(self.code))
        return index  # type: ignore[return-value]

    def place(self, cell: Ints) -> Ints:
        """Where each annotator * K + label, which occurs, is among the pairs."""
        if self.is_all:
            return cell
        if self.n_annotators * self.n_classes <= LARGEST_INDEX:
            return self._index.take(cell)
        return np.searchsorted(self.code, cell)

    def sums(self, block: Block, T: Floats) -> Floats:
        """sum over the labels l of j: T[i,k], shape (S, P)."""
        place = self.place(block.cell)
        sums = np.zeros((len(T), len(self.code)))
        for s in np.flatnonzero(T.any(axis=1)):
            sums[s] = np.bincount(place, block.at_rows(T[s]), len(self.code))
        return sums

    def counted(self, block: Block, T: Floats, weights: Any) -> dict[str, Floats]:
        """A block's part of what `counts` needs. The likelihoods that it came from are not needed again."""
        return {"confusion": self.sums(block, T)}

    def counts(self, sums: Mapping[str, Floats], b: Floats, before: Any) -> Counts:
        """C of the whole log; `before` are those of the last iteration."""
        return Counts(self, sums["confusion"], b)

    def log_likelihood(self, block: Block, log_theta: Any) -> Floats:
        """sum over the labels of i: log theta[j,k,y], shape (S, n), from (S, P)."""
        place = self.place(block.cell)
        return np.stack([block.per_example(of_state.take(place)) for of_state in log_theta])

    @cached_property
    def _first(self) -> Ints:
        """The first pair of each annotator who has one."""
        return np.flatnonzero(np.diff(self.annotator, prepend=-1))

    def per_annotator(self, values: Floats) -> Floats:
        """The sum of (S, P) over each annotator's pairs, shape (S, M)."""
        sums = np.zeros((len(values), self.n_annotators))
        if len(self.code):
            sums[:, self.annotator[self._first]] = np.add.reduceat(values, self._first, axis=1)
        return sums

    def at(self, b: Floats) -> Floats:
        """Values (S, M, K), or what broadcasts to them, at the pairs: what broadcasts to (S, P)."""
        return at(b, self.annotator, self.label)

    def spread(self, values: Floats) -> Floats:
        """Values (S, P) as an array (S, M, K), zero where there is no pair."""
        dense = np.zeros((len(values), self.n_annotators * self.n_classes))
        dense[:, self.code] = values
        return dense.reshape(-1, self.n_annotators, self.n_classes)


def at(b: Floats, annotator: Ints, label: Ints) -> Floats:
    """Values (S, M, K), or what broadcasts to them, at some pairs: what broadcasts to (S, pairs)."""
    none = np.zeros(1, dtype=np.intp)
    j = annotator if b.shape[1] > 1 else none
    label = label if b.shape[2] > 1 else none
    at_pairs: Floats = b[:, j, label]
    return at_pairs


def counted_pairs(rounds: Rounds) -> tuple[Pairs, Ints]:
    """The pairs of a log, and how often each occurs, shape (P,)."""
    K, M = rounds.n_classes, len(rounds.book.annotators)
    found = rounds.quiet().run(count_pairs)[("annotator", "label")]
    code = found["annotator"].cast(pl.Int64) * K + found["label"].cast(pl.Int64)
    return Pairs(code.to_numpy().astype(np.intp), M, K), found["annotations"].to_numpy()


def check_matrices(rounds: Rounds, n_bytes: int) -> None:
    """That what is counted of annotators may take so much."""
    M, K = len(rounds.book.annotators), rounds.n_classes
    what = f"the matrices of {counted(M, 'annotator')} with {counted(K, 'class')} take"
    rounds.check_memory(n_bytes, what, WITHOUT_MATRICES)


def count_pairs(part: Partition) -> Summary:
    """How often each annotator says what."""
    rows = part.runs.vote_rows().group_by("annotator", "label").agg(annotations=pl.len())
    return {("annotator", "label"): rows}


@dataclass(frozen=True, eq=False)
class Counts:
    """C of a log."""

    pairs: Pairs
    seen: Floats
    """seen[k,j,l] at the pairs, shape (S, P)."""
    b: Floats
    """b[k,j,l], in a shape of three axes that broadcasts to (S, M, K)."""

    @cached_property
    def at_pairs(self) -> Floats:
        """C, shape (S, P)."""
        return self.seen + self.pairs.at(self.b)

    @cached_property
    def total(self) -> Floats:
        """m[k,j], shape (S, M)."""
        return self.pairs.per_annotator(self.seen) + of_labels(self.b, self.pairs.n_classes)

    @property
    def dense(self) -> Floats:
        """C, shape (S, M, K)."""
        return self.pairs.spread(self.seen) + self.b

    def weights(self, pairs: Pairs, rule: Dirichlet) -> Floats:
        """What the E-step of a log with these pairs needs: log theta, shape (S, P)."""
        return self.log_theta(pairs, rule.log_of)

    def log_prior(self, rule: Dirichlet) -> float:
        """What the prior of theta adds to the objective."""
        C, b = self.at_pairs, self.pairs.at(self.b)
        at_pairs = log_prior_at_pairs(rule, C, b, rule.log_of(C))
        return at_pairs + log_prior_of_rows(rule, self.pairs, self.b, self.total)

    def exchanged(self, order: Ints) -> Counts:
        """The same by the states in another order."""
        return replace(self, seen=self.seen[order])

    def log_theta(self, pairs: Pairs, log_of: Callable[[Floats], Floats]) -> Floats:
        """log theta at some pairs: log C - log m, or what stands for the logs, shape (S, P)."""
        log_theta = log_of(self.moved_to(pairs).at_pairs)
        log_theta -= log_of(self.total).take(pairs.annotator, axis=1)
        return log_theta

    def moved_to(self, pairs: Pairs) -> Counts:
        """The same counts at other pairs; those that are not here have not been seen."""
        if pairs is self.pairs or np.array_equal(pairs.code, self.pairs.code):
            return self
        seen = np.zeros((len(self.seen), len(pairs)))
        place = np.minimum(np.searchsorted(self.pairs.code, pairs.code), len(self.pairs) - 1)
        is_here = self.pairs.code[place] == pairs.code
        seen[:, is_here] = self.seen[:, place[is_here]]
        return Counts(pairs, seen, self.b)

    def of_annotators(self, place: Ints) -> Counts:
        """Those of who is at `place`, and at -1 of all together."""
        pairs = Pairs.all_of(len(place), self.pairs.n_classes)
        seen = with_sum(self.pairs.spread(self.seen))[:, place].reshape(len(self.seen), -1)
        return Counts(pairs, seen, moved_prior(self.b, self.pairs.n_annotators, place))

    def own_shares(self) -> Floats:
        """theta[j,k,k], shape (K, M)."""
        own = self.seen[self.pairs.label, np.arange(len(self.pairs))]
        return own_shares(self.pairs, own, self.b, self.total)

    def by_label(self) -> Floats:
        """seen of all annotators together, shape (S, K)."""
        size = self.pairs.n_classes
        return np.stack([np.bincount(self.pairs.label, row, size) for row in self.seen])


def own_shares(pairs: Pairs, own: Floats, b: Floats, total: Floats) -> Floats:
    """theta[j,k,k], shape (K, M), from seen[l,j,l] at the pairs, shape (P,)."""
    shares, every = np.zeros((pairs.n_classes, pairs.n_annotators)), np.arange(pairs.n_classes)
    shares += b[every % len(b), :, every % b.shape[2]]
    shares[pairs.label, pairs.annotator] += own
    shares /= total
    return shares


def log_prior_at_pairs(
    rule: Dirichlet, C: Floats, b: Floats, log_C: Floats, n_pairs: Any = 1.0
) -> float:
    """What the prior of theta adds to the objective at some pairs, log m aside, where `n_pairs` pairs have
    the same counts; `log_C` is that of all of them."""
    if rule.rule == "mode":
        alike = tuple(axis for axis in (0, 1) if b.shape[axis] == 1)
        return float((b * log_C.sum(axis=alike, keepdims=True)).sum())
    return float((n_pairs * (log_gamma(C) - log_gamma(b)) - (C - b) * log_C).sum())


def log_prior_of_rows(rule: Dirichlet, pairs: Pairs, b: Floats, total: Floats) -> float:
    """What rows add, and the labels that an annotator never gave, where C = b; `total` is m."""
    of_all, log_total = of_labels(b, pairs.n_classes), rule.log_of(total)
    if rule.rule == "variational":
        surplus = (total - of_all) * log_total
        return float((log_gamma(of_all) - log_gamma(total) + surplus).sum())
    if pairs.is_all:
        return -float((of_all * log_total).sum())
    at = np.broadcast_to(pairs.at(b), (len(b), len(pairs)))
    b_log_b = of_labels(b * np.log(b), pairs.n_classes) - pairs.per_annotator(at * np.log(at))
    return float((b_log_b - of_all * log_total).sum())


def with_axes(b: Floats) -> Floats:
    """Pseudo-counts with the three axes of (S, M, K)."""
    return b.reshape((1,) * (3 - b.ndim) + b.shape)


def of_labels(b: Floats, n_classes: int) -> Floats:
    """sum_l b, in a shape that broadcasts to (S, M)."""
    total: Floats = b.sum(axis=2) * (n_classes // b.shape[2])
    return total


def moved_prior(b: Floats, n_annotators: int, place: Ints) -> Floats:
    """Pseudo-counts of the annotators at `place`; at -1 those of all together."""
    if b.shape[1] > 1:
        return with_sum(b)[:, place]
    return b * np.where(place < 0, n_annotators, 1)[:, None] if (place < 0).any() else b
