"""Counts of a log with many classes, known from the posterior that they are sums of.

Where annotators use few of many classes nearly every pair (annotator, label) occurs on an example of its own,
and counts, shape (K, P), are larger than the posterior, shape (K, n). Of a log in memory that posterior is
kept between iterations instead, and the counts of a class are made from it when they are needed: of a few
classes at a time, on the threads that there are,

    seen[k,j,l] = sum over the labels l of j: T[i,k]
    log P(labels of i | k) = sum over the labels y of i by j: log C[j,k,y] - log m[j,k]

Pairs that occur on one example only, the same one, have the same counts, of which one is enough (`Alike`).
Nothing of shape (K, P) is ever made, and every number is the one that `truth.pairs` finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.numerics.group_sums import AT_ONCE, GroupSums
from polars_crowd.numerics.threads import mapped
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.truth.block import Block, Columns
from polars_crowd.truth.classification.dirichlet import Dirichlet
from polars_crowd.truth.pairs import (
    PER_CELL,
    Counts,
    Pairs,
    at,
    check_matrices,
    counted_pairs,
    log_prior_at_pairs,
    log_prior_of_rows,
    of_labels,
    own_shares,
    with_axes,
)

R = TypeVar("R")

FROM_CELLS = 1 << 22
"""Counts of up to so many classes times pairs are kept as they are."""
PER_POSTERIOR_CELL = 24
"""Bytes that are held for each class and example."""
CELLS_AT_ONCE = 1 << 21
"""A task of a thread has AT_ONCE classes, and no more classes times examples than this."""


def occurring(rounds: Rounds, b: Floats) -> Pairs:
    """The pairs of a log with their pseudo-counts, and how their counts are kept."""
    pairs, K = counted_pairs(rounds)[0], rounds.n_classes
    if K * len(pairs) > FROM_CELLS and rounds.executor is None and len(rounds.handles) == 1:
        handle = rounds.handles[0]
        if handle.memo is not None and handle.runs().examples.height < len(pairs):
            block = whole(Partition(handle))
            check_matrices(rounds, K * block.n_examples * PER_POSTERIOR_CELL)
            made = Counted(Kept(np.empty((K, block.n_examples))))
            return HeldPairs(pairs.code, pairs.n_annotators, K, block, with_axes(b).shape, made)
    check_matrices(rounds, K * len(pairs) * PER_CELL)
    return pairs


def whole(part: Partition) -> Block:
    """All examples of a partition as one block."""
    columns = part.once("truth_columns", lambda: Columns.of(part.runs))
    return columns.block(part.runs, slice(0, part.runs.examples.height), None)


@dataclass(eq=False)
class Kept:
    """What is held of a log: P(truth of i is k | its labels), or log P(labels of i | k)."""

    values: Floats
    """Shape (K, n)."""

    def of(self, block: Block) -> Floats:
        """The columns of a block."""
        return self.values[:, block.first : block.first + block.n_examples]


@dataclass(eq=False)
class Counted:
    """The posterior that was counted last, and an array that is free."""

    free: Kept | None
    """Where the first posterior is written, and then the likelihoods of every other iteration: memory that
    is new costs as much as the sums."""
    last: Kept | None = None

    def taken(self, like: Floats) -> Floats:
        """The free array, or that of a posterior which nothing came of, or a new one."""
        kept = self.free or self.last
        self.free = self.last = None
        return np.empty_like(like) if kept is None else kept.values


@dataclass(frozen=True, eq=False)
class HeldPairs(Pairs):
    """The pairs of a log in memory whose posterior is kept."""

    block: Block
    """The whole log."""
    prior: tuple[int, ...]
    """The shape of the pseudo-counts, which broadcasts to (K, M, K)."""
    made: Counted

    def __reduce__(self) -> Any:
        size = (self.n_annotators, self.n_classes)
        return HeldPairs, (self.code, *size, self.block, self.prior, Counted(None))

    @property
    def summed(self) -> Ints:
        return self.code[:0]

    @cached_property
    def place_of_rows(self) -> Ints:
        """Where the pair of each annotation is among the pairs, shape (R,)."""
        return self.place(self.block.cell)

    @cached_property
    def alike(self) -> Alike:
        return Alike.of(self)

    @cached_property
    def of_annotators(self) -> GroupSums:
        """From examples to annotators."""
        return GroupSums.of(self.block.example, self.block.annotator, self.n_annotators)

    def holds(self, block: Block) -> bool:
        """Whether a block is of this log, and not of some of its annotations."""
        end, rows = block.first + block.n_examples, len(block.annotator)
        if (
            end > self.block.n_examples
            or (block.count != self.block.count[block.first : end]).any()
        ):
            return False
        first = int(self.block.start[block.first])
        return bool((block.cell == self.block.cell[first : first + rows]).all())

    def log_likelihood(self, block: Block, weights: Any) -> Floats:
        if not isinstance(weights, Likely):
            return super().log_likelihood(block, weights)
        if self.holds(block):
            return weights.of(block)
        return np.stack([block.per_example(row) for row in weights.log_theta(block.cell)])

    def counted(self, block: Block, T: Floats, weights: Any) -> dict[str, Floats]:
        """Nothing to be added: T takes the place of the likelihood that it was made from."""
        kept = Kept(weights.values) if isinstance(weights, Likely) else self.made.free
        assert kept is not None, "counted once only without the counts before"
        kept.of(block)[:] = T
        self.made.last = kept
        return {}

    def counts(  # type: ignore[override]
        self, sums: Mapping[str, Floats], b: Floats, before: Any
    ) -> HeldCounts:
        """... The posterior before is not needed again."""
        assert self.made.last is not None
        T = self.made.last.values
        self.made.free = Kept(before.T) if isinstance(before, HeldCounts) else None
        self.made.last = None
        return HeldCounts(self, T, b)


@dataclass(frozen=True, eq=False)
class Alike:
    """Pairs in D groups whose counts are the same, those with the most annotations first."""

    of_pair: Ints
    """The group of each pair, shape (P,)."""
    n_pairs: Floats
    """How many pairs each group has, for each of a few classes the same, shape (D, AT_ONCE)."""
    annotator: Ints
    """That of one of its pairs, shape (D,)."""
    label: Ints
    seen: GroupSums
    """From examples to groups."""
    likelihood: GroupSums
    """From groups, and annotators behind them, to the examples of their annotations."""

    @classmethod
    def of(cls, pairs: HeldPairs) -> Alike:
        block, place = pairs.block, pairs.place_of_rows
        n_rows = np.bincount(place)
        _, one, of_pair, n_pairs = np.unique(
            _key(pairs, n_rows), return_index=True, return_inverse=True, return_counts=True
        )
        most_first = np.argsort(-n_rows[one], kind="stable")
        one, n_pairs = one[most_first], n_pairs[most_first].astype(np.float64)
        of_pair = np.argsort(most_first)[of_pair]
        rows = np.flatnonzero(one[of_pair][place] == place)
        example, group = block.example[rows], of_pair[place[rows]]
        parts = np.append(group, len(one) + block.annotator)
        return cls(
            of_pair,
            np.tile(n_pairs[:, None], AT_ONCE),
            pairs.annotator[one],
            pairs.label[one],
            GroupSums.of(example, group, len(one)),
            GroupSums.of(parts, np.append(example, block.example), block.n_examples),
        )


def _key(pairs: HeldPairs, n_rows: Ints) -> Ints:
    """The same for pairs whose counts are the same: those of one annotation on the same example, with the
    same pseudo-counts. Shape (P,)."""
    example = np.empty(len(pairs), dtype=np.intp)
    example[pairs.place_of_rows] = pairs.block.example
    _, of_annotators, of_labels = pairs.prior
    key = example * of_labels + (pairs.label if of_labels > 1 else 0)
    is_alone = (n_rows > 1) | (of_annotators > 1)
    return np.where(is_alone, -1 - np.arange(len(pairs)), key)


@dataclass(eq=False)
class Likely(Kept):
    """log P(labels of i | k), what it was made of, and m."""

    counts: HeldCounts
    rule: Dirichlet
    total: Floats
    """Shape (K, M)."""

    def log_theta(self, cell: Ints) -> Floats:
        """log theta[j,k,l] at some annotator * K + label, shape (K, cells)."""
        pairs, T = self.counts.pairs, self.counts.T
        which, back = np.unique(pairs.place(cell), return_inverse=True)
        rows = np.flatnonzero(np.isin(pairs.place_of_rows, which))
        at = np.searchsorted(which, pairs.place_of_rows[rows])
        examples = pairs.block.example[rows]
        seen = np.zeros((len(T), len(which)))
        for row, of_class in zip(seen, T, strict=True):
            row += np.bincount(at, of_class[examples], len(which))
        few = Pairs(pairs.code[which], pairs.n_annotators, pairs.n_classes)
        C = Counts(few, seen, self.counts.b).at_pairs
        log_theta = self.rule.log_of(C) - self.rule.log_of(self.total)[:, few.annotator]
        return log_theta[:, back]


@dataclass(frozen=True, eq=False)
class HeldCounts:
    """C of a log in memory, as `Counts`."""

    pairs: HeldPairs
    T: Floats
    """The posterior, shape (K, n)."""
    b: Floats
    """b[k,j,l], in a shape of three axes that broadcasts to (K, M, K)."""
    of_prior: list[float] = field(default_factory=list)
    """What the prior adds to the objective, once it is known."""

    def weights(self, pairs: Pairs, rule: Dirichlet) -> Likely:
        """What the E-step of the log needs; what the prior adds is found on the way."""
        found = self.pairs.made.taken(self.T)
        totals, at_pairs = zip(*self._each_few(lambda few: few.found(rule, found)), strict=True)
        total = np.concatenate(totals)
        of_rows = log_prior_of_rows(rule, self.pairs, self.b, total)
        self.of_prior[:] = [sum(at_pairs) + of_rows]
        return Likely(found, self, rule, total)

    def _each_few(self, work: Callable[[Few], R]) -> Iterator[R]:
        """`work` of a few classes at a time, in their order."""
        K, n = self.T.shape
        size = min(max(CELLS_AT_ONCE // n, 1), AT_ONCE)
        few = [slice(k, min(k + size, K)) for k in range(0, K, size)]
        return mapped(lambda classes: work(Few(self, classes)), few)

    def log_prior(self, rule: Dirichlet) -> float:
        if not self.of_prior:
            self.weights(self.pairs, rule)
        return self.of_prior[0]

    def exchanged(self, order: Ints) -> HeldCounts:
        return replace(self, T=self.T[order], of_prior=[])

    def own_shares(self) -> Floats:
        """theta[j,k,k], shape (K, M)."""
        pairs, block = self.pairs, self.pairs.block
        rows = self.T[block.label, block.example]
        own = np.bincount(pairs.place_of_rows, rows, len(pairs)).astype(np.float64, copy=False)
        total = np.concatenate([*self._each_few(lambda few: few.total.T)])
        return own_shares(pairs, own, self.b, total)

    def by_label(self) -> Floats:
        """seen of all annotators together, shape (K, K)."""
        block, K = self.pairs.block, self.pairs.n_classes
        sums = GroupSums.of(block.example, block.label, K)
        return np.concatenate([*self._each_few(lambda few: sums.of_rows(few.posterior).T)])

    @property
    def all(self) -> Counts:
        """The same, of all classes at once: as large as these are meant not to be."""
        seen = [*self._each_few(lambda few: few.seen.take(self.pairs.alike.of_pair, axis=0).T)]
        return Counts(self.pairs, np.concatenate(seen), self.b)

    @property
    def seen(self) -> Floats:
        return self.all.seen

    @property
    def dense(self) -> Floats:
        return self.all.dense

    def of_annotators(self, place: Ints) -> Counts:
        return self.all.of_annotators(place)


@dataclass(frozen=True, eq=False)
class Few:
    """The counts of a few classes, by the examples and the groups of pairs that are alike."""

    counts: HeldCounts
    classes: slice

    @cached_property
    def posterior(self) -> Floats:
        """T, shape (n, few)."""
        return np.ascontiguousarray(self.counts.T[self.classes].T)

    @cached_property
    def b(self) -> Floats:
        """Shape (few, M, K), or what broadcasts to it."""
        b = self.counts.b
        return b[self.classes] if len(b) > 1 else b

    @property
    def seen(self) -> Floats:
        """Shape (D, few)."""
        return self.counts.pairs.alike.seen.of_rows(self.posterior)

    @property
    def total(self) -> Floats:
        """m, shape (M, few)."""
        pairs = self.counts.pairs
        return pairs.of_annotators.of_rows(self.posterior) + of_labels(self.b, pairs.n_classes).T

    def found(self, rule: Dirichlet, log_likelihood: Floats) -> tuple[Floats, float]:
        """m, and what the prior adds at pairs; the likelihoods are written to their rows."""
        alike, total, C = self.counts.pairs.alike, self.total, self.seen
        b = at(self.b, alike.annotator, alike.label).T
        C += b
        n_pairs = alike.n_pairs[:, : C.shape[1]]
        log_C = rule.log_of(C)
        log_C *= n_pairs
        at_pairs = log_prior_at_pairs(rule, C, b, log_C, n_pairs)
        parts = np.concatenate([log_C, -rule.log_of(total)])
        log_likelihood[self.classes] = alike.likelihood.of_rows(parts).T
        return total.T, at_pairs
