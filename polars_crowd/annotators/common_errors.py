"""How often two annotators choose the same wrong label, if nobody copied and examples differ in difficulty.

On example i of class k, annotator j chooses the wrong label l with the odds

    o[j,k,l] exp(b),      b = b[i,l] of a law pi[k,l] on a grid

of which o is how often j gives this label where k is right, and b how much example i leads to it. Given b
annotators choose independently of each other. This is the Rasch model (1960) with an effect of examples
whose law is not assumed, but estimated (Bock and Aitkin 1981, Psychometrika 46): with the posterior of b
given all of an example's labels, q[i,l](b), the steps of EM are

    pi[k,l](b)  in proportion to  sum over examples of q[i,l](b)  +  the law of all (k, l) together
    o[j,k,l]    times             (n[j,k,l] + 1) / (sum over examples of sum_b q[i,l](b) p_j(b) + 1)

Two annotators are judged by an example whose difficulty the *others* tell: with q' the posterior of b given
the labels of all but j and j',

    P(j and j' both choose l)  =  sum_b q'[i,l](b) p_j(b) p_j'(b)

so that where the others err alike, or examples of this class are often misread, to err alike is expected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.reliability.units import sums_at
from polars_crowd.runs.classes import Runs

UNKNOWN = -1
GRID = np.array([-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0])
"""Where b may be."""
CELLS = 1 << 18
"""Pairs of annotators on examples that are looked at together."""
SHRUNK = 5.0
"""Annotations with which all annotators speak for one of few."""
POOLED = 20.0
"""Examples with which all classes and labels speak for the law of b in one of few."""
LEAST = 1e-4


@dataclass(frozen=True)
class Group:
    """m examples whose truth is known and that all have n annotators."""

    example: Ints
    """(m,)"""
    annotator: Ints
    """(m, n) codes."""
    label: Ints
    """(m, n)"""
    truth: Ints
    """(m,)"""

    def part(self, rows: slice | Ints) -> Group:
        return Group(self.example[rows], self.annotator[rows], self.label[rows], self.truth[rows])

    def ordered(self, rank: Ints) -> Group:
        """... with the annotators of each example in the order of a rank."""
        order = np.argsort(rank[self.annotator], axis=1, kind="stable")
        annotator, label = (
            np.take_along_axis(of, order, axis=1) for of in (self.annotator, self.label)
        )
        return replace(self, annotator=annotator, label=label)


def groups_in(runs: Runs, truth: Ints) -> list[Group]:
    """The examples of a partition whose truth is known, those with equally many annotators together."""
    n = runs.examples["num_annotations"].to_numpy().astype(np.int64)
    rows = runs.vote_rows().collect()
    annotator, label = (rows[c].to_numpy().astype(np.int64) for c in ("annotator", "label"))
    begins = np.cumsum(n) - n
    found = []
    for size in np.unique(n[(truth != UNKNOWN) & (n > 1)]):
        e = np.flatnonzero((truth != UNKNOWN) & (n == size))
        row = begins[e][:, None] + np.arange(size)
        found.append(Group(e, annotator[row], label[row], truth[e]))
    return found


def in_blocks(groups: list[Group]) -> Iterator[Group]:
    """Examples, not too many at a time."""
    for group in groups:
        m, n = group.annotator.shape
        step = max(CELLS // n**2, 1)
        for low in range(0, m, step):
            yield group.part(slice(low, low + step))


@dataclass(frozen=True)
class Law:
    """All that is estimated."""

    odds: Floats
    """(M, K, K) o[j,k,l]."""
    difficulty: Floats
    """(K, K, G) pi[k,l](b)."""

    @property
    def n_classes(self) -> int:
        return len(self.difficulty)

    @classmethod
    def begin(cls, counts: Floats) -> Law:
        """Odds from how often labels were given, and b about 0."""
        normal = np.exp(-(GRID**2) / 2)
        K = counts.shape[1]
        return cls(first_odds(counts), np.tile(normal / normal.sum(), (K, K, 1)))

    def better(self, counts: Floats, expected: Floats, of_grid: Floats) -> Law:
        """A step of EM."""
        odds = np.clip(self.odds * (counts + 1) / (expected + 1), LEAST**2, LEAST**-2)
        pooled = of_grid.sum(axis=(0, 1)) + 1e-3
        found = of_grid + POOLED * pooled / pooled.sum()
        return Law(odds, found / found.sum(axis=2, keepdims=True))


@dataclass(frozen=True)
class Choices:
    """Who chose one wrong label of each of m examples, and how probable that is at each b."""

    cell: Ints
    """(m, n) the place of (annotator, truth, label)."""
    kind: Ints
    """(m,) the place of (truth, label)."""
    chose: Floats
    """(m, n) 1 or 0."""
    p: Floats
    """(m, n, G) p_j(b)."""
    prior: Floats
    """(m, G)"""

    @classmethod
    def of(cls, group: Group, law: Law, step: int) -> Choices:
        """... of the label that comes `step` classes after the truth."""
        K = law.n_classes
        label = (group.truth + step) % K
        kind = group.truth * K + label
        cell = group.annotator * K**2 + kind[:, None]
        odds = law.odds.ravel()[cell][:, :, None] * np.exp(GRID)
        chose = (group.label == label[:, None]).astype(np.float64)
        return cls(cell, kind, chose, odds / (1 + odds), law.difficulty.reshape(K * K, -1)[kind])

    @property
    def likelihood(self) -> Floats:
        """(m, n, G) of what each did."""
        y = self.chose[:, :, None]
        return np.asarray(np.maximum(y * self.p + (1 - y) * (1 - self.p), 1e-12))

    def posterior(self) -> Floats:
        """(m, G) q."""
        return normalised(np.log(self.prior) + np.log(self.likelihood).sum(axis=1))

    def together(self, i: Ints, j: Ints) -> Floats:
        """(m, P) P(i and j both choose the label), by what the others did."""
        each = np.log(self.likelihood)
        whole = np.log(self.prior) + each.sum(axis=1)
        others = normalised(whole[:, None, :] - each[:, i] - each[:, j])
        return np.asarray((others * self.p[:, i] * self.p[:, j]).sum(axis=2))


def normalised(logs: Floats) -> Floats:
    """Probabilities along the last axis, from logarithms."""
    found = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray(found / found.sum(axis=-1, keepdims=True))


def expected_choices(groups: list[Group], law: Law) -> tuple[Floats, Floats]:
    """(M K K,) how often (annotator, truth, label) is expected; (K K, G) the sums of q by (truth, label)."""
    K, size = law.n_classes, law.odds.size
    of_cells, of_grid = np.zeros(size), np.zeros((K * K, len(GRID)))
    for block in in_blocks(groups):
        for step in range(1, K):
            choices = Choices.of(block, law, step)
            q = choices.posterior()
            expected = np.einsum("mg,mng->mn", q, choices.p)
            of_cells += sums_at(choices.cell.ravel(), expected.ravel(), size)
            np.add.at(of_grid, choices.kind, q)
    return of_cells, of_grid


def same_choices(group: Group, law: Law, i: Ints, j: Ints) -> tuple[Floats, Floats]:
    """(m, P) whether annotators i and j chose the same wrong label, and how probable that is."""
    same, expected = np.zeros((len(group.truth), len(i))), np.zeros((len(group.truth), len(i)))
    for step in range(1, law.n_classes):
        choices = Choices.of(group, law, step)
        same += choices.chose[:, i] * choices.chose[:, j]
        expected += choices.together(i, j)
    return same, expected


# --- the odds --------------------------------------------------------------------------------------


def first_odds(counts: Floats) -> Floats:
    """(M, K, K) o[j,k,l] to begin with, from n[j,k,l].

    The shares of labels of all annotators, more of the wrong ones for who is wrong more often; beside them
    the annotator's own.
    """
    K = counts.shape[1]
    wrong_cells = ~np.eye(K, dtype=np.bool_)
    pooled = counts.sum(axis=0) + 0.5
    pooled /= pooled.sum(axis=1, keepdims=True)
    n, wrong = counts.sum(axis=(1, 2)), counts[:, wrong_cells].sum(axis=1)
    rate = max(wrong.sum(), 0.5) / max(n.sum(), 1.0)
    more = (wrong + SHRUNK * rate) / (n + SHRUNK) / rate
    prior = np.clip(pooled * more[:, None, None], LEAST, 1 - LEAST)
    share = (counts + SHRUNK * prior) / (counts.sum(axis=2, keepdims=True) + SHRUNK)
    return np.asarray(share / (1 - share))
