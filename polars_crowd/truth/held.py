"""Counts of a log with many classes, known from the posterior that they are sums of.

Where annotators use few of many classes nearly every pair (annotator, label) occurs on an example of its own,
and counts, shape (K, P), are larger than the posterior, shape (K, n). Of a log in memory that posterior is
kept between iterations instead, and the counts of a class are made from it when they are needed: of each
class at a time, on the threads that there are,

    seen[k,j,l] = sum over the labels l of j: T[i,k]
    log P(labels of i | k) = sum over the labels y of i by j: log theta[j,k,y]

Nothing of shape (K, P) is ever made, and every number is the one that `truth.pairs` finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.numerics.threads import mapped
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.truth.block import Block, Columns
from polars_crowd.truth.classification.dirichlet import Dirichlet
from polars_crowd.truth.pairs import (
    PER_CELL,
    Counts,
    Pairs,
    check_matrices,
    counted_pairs,
    log_prior_at_pairs,
    log_prior_of_rows,
    own_shares,
)

FROM_CELLS = 1 << 22
"""Counts of up to so many classes times pairs are kept as they are."""
PER_POSTERIOR_CELL = 40
"""Bytes that are held for each class and example."""
AT_ONCE = 8
"""Classes that are a task of a thread."""


def occurring(rounds: Rounds) -> Pairs:
    """The pairs of a log, and how their counts are kept."""
    pairs, K = counted_pairs(rounds)[0], rounds.n_classes
    if K * len(pairs) > FROM_CELLS and rounds.executor is None and len(rounds.handles) == 1:
        handle = rounds.handles[0]
        if handle.memo is not None and handle.runs().examples.height < len(pairs):
            block = whole(Partition(handle))
            check_matrices(rounds, K * block.n_examples * PER_POSTERIOR_CELL)
            made = Counted(Kept(np.empty((K, block.n_examples))))
            return HeldPairs(pairs.code, pairs.n_annotators, K, block, made)
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
    """The posterior that is being counted, and the array of the first one."""

    first: Kept | None
    last: Kept | None = None


@dataclass(frozen=True, eq=False)
class HeldPairs(Pairs):
    """The pairs of a log in memory whose posterior is kept."""

    block: Block
    """The whole log."""
    made: Counted

    def __reduce__(self) -> Any:
        made = Counted(None)
        return HeldPairs, (self.code, self.n_annotators, self.n_classes, self.block, made)

    @property
    def summed(self) -> Ints:
        return self.code[:0]

    @cached_property
    def place_of_rows(self) -> Ints:
        """Where the pair of each annotation is among the pairs, shape (R,)."""
        return self.place(self.block.cell)

    @cached_property
    def _examples(self) -> tuple[Ints, Ints, Ints]:
        """The example of one annotation of each pair, which is mostly its only one; those of all other
        annotations, and where their pairs are."""
        rows = np.arange(len(self.place_of_rows))
        one = np.zeros(len(self), dtype=np.intp)
        one[self.place_of_rows] = rows
        others = np.delete(rows, one)
        example = self.block.example
        return example[one], example[others], self.place_of_rows[others]

    def seen_of(self, T: Floats) -> Floats:
        """The sum over each pair's annotations of a value per example, shape (P,)."""
        one, others, place_of_others = self._examples
        seen: Floats = T.take(one)
        seen += np.bincount(place_of_others, T.take(others), len(self))
        return seen

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
        kept = Kept(weights.values) if isinstance(weights, Likely) else self.made.first
        assert kept is not None, "counted once only without the counts before"
        kept.of(block)[:] = T
        self.made.last = kept
        return {}

    def counts(self, sums: Mapping[str, Floats], b: Floats) -> HeldCounts:  # type: ignore[override]
        assert self.made.last is not None
        T = self.made.last.values
        self.made.first = self.made.last = None
        return HeldCounts(self, T, b)


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

    def of_class(self, k: int) -> Counts:
        """The counts of one class, shapes (1, P) and what broadcasts to (1, M, K)."""
        seen = self.pairs.seen_of(self.T[k])
        return Counts(self.pairs, seen[None], self.b[k : k + 1] if len(self.b) > 1 else self.b)

    def weights(self, pairs: Pairs, rule: Dirichlet) -> Likely:
        """What the E-step of the log needs; what the prior adds is found on the way."""
        found = np.empty_like(self.T)
        totals, at_pairs = zip(*self._in_turn(found, rule), strict=True)
        total = np.concatenate(totals)
        of_rows = log_prior_of_rows(rule, self.pairs, self.b, total)
        self.of_prior[:] = [sum(at_pairs) + of_rows]
        return Likely(found, self, rule, total)

    def _in_turn(self, found: Floats, rule: Dirichlet) -> Iterator[tuple[Floats, float]]:
        """The rows of the log likelihood, and of each few classes m and what the prior adds at pairs."""

        def work(classes: range) -> tuple[Floats, float]:
            totals, at_pairs = [], 0.0
            for k in classes:
                counts = self.of_class(k)
                log_theta = counts.log_theta(self.pairs, rule.log_of)
                of_rows = log_theta[0].take(self.pairs.place_of_rows)
                found[k] = self.pairs.block.per_example(of_rows)
                totals.append(counts.total)
                at_pairs += log_prior_at_pairs(rule, counts, log_theta)
            return np.concatenate(totals), at_pairs

        return mapped(work, self._few_at_a_time)

    @property
    def _few_at_a_time(self) -> list[range]:
        K = self.pairs.n_classes
        return [range(k, min(k + AT_ONCE, K)) for k in range(0, K, AT_ONCE)]

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
        total = np.concatenate([self.of_class(k).total for k in range(pairs.n_classes)])
        return own_shares(pairs, own, self.b, total)

    def by_label(self) -> Floats:
        """seen of all annotators together, shape (K, K)."""
        return np.concatenate([self.of_class(k).by_label() for k in range(self.pairs.n_classes)])

    @property
    def all(self) -> Counts:
        """The same, of all classes at once: as large as these are meant not to be."""
        seen = [self.of_class(k).seen for k in range(self.pairs.n_classes)]
        return Counts(self.pairs, np.concatenate(seen), self.b)

    @property
    def seen(self) -> Floats:
        return self.all.seen

    @property
    def dense(self) -> Floats:
        return self.all.dense

    def of_annotators(self, place: Ints) -> Counts:
        return self.all.of_annotators(place)
