"""Count vectors, and the sums over them that coefficients are made of.

A **unit** is what coefficients take for an example: n = (n_1, ..., n_K), the number of annotations of each
class, and how many examples of its group have these. Formulas see units alone, whatever log they are of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polars_crowd.arrays import Array, Flags, Floats, Ints


@dataclass(frozen=True)
class Units:
    """Count vectors, sparse: the entries of a unit follow one another."""

    group: Ints
    """(U,) the group of each unit, 0 .. G-1."""
    times: Array
    """(U,) how many examples of the group have this pattern."""
    lengths: Ints
    """(U,) the number of entries of each unit, at least 1."""
    label: Ints
    """(E,) the class of each entry."""
    votes: Array
    """(E,) its count n_k."""
    n_groups: int
    n_classes: int

    @cached_property
    def starts(self) -> Ints:
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def unit(self) -> Ints:
        """(E,) the unit of each entry."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @cached_property
    def n(self) -> Floats:
        """(U,) the annotations of each unit."""
        return self.over_entries(self.votes.astype(np.float64))

    @cached_property
    def pairable(self) -> Flags:
        """(U,) whether the unit has two annotations or more."""
        return self.n > 1

    def over_entries(self, values: NDArray[Any]) -> NDArray[Any]:
        """(..., E) -> (..., U): the sum over the entries of each unit."""
        if not len(self.starts):
            return np.zeros((*values.shape[:-1], 0), values.dtype)
        return np.add.reduceat(values, self.starts, axis=-1)

    def of_group(self, values: Floats) -> Floats:
        """(G,) -> (U,): each unit's value of its group."""
        return values[self.group]

    def over_units(self, values: NDArray[Any]) -> Floats:
        """(U,) -> (G,): the sum over the examples of each group."""
        return sums_at(self.group, self.times * values, self.n_groups)

    def by_label(self, values: Floats) -> Floats:
        """(U,) -> (G, K): the sum over the examples of n_k times a value of the unit."""
        cell = self.group[self.unit] * self.n_classes + self.label
        weight = (self.times * values)[self.unit] * self.votes
        size = self.n_groups * self.n_classes
        return sums_at(cell, weight, size).reshape(self.n_groups, self.n_classes)

    def at_labels(self, values: Floats) -> Floats:
        """(K,) or (G, K) -> (E,): a value of each entry's class (in its group)."""
        if values.ndim == 1:
            return values[self.label]
        return values[self.group[self.unit], self.label]

    def dot(self, values: Floats) -> Floats:
        """(K,) or (G, K) -> (U,): sum_k n_k values_k."""
        return self.over_entries(self.votes * self.at_labels(values))

    def entries(self, first: int, last: int) -> slice:
        """The entries of the groups first .. last-1; units are sorted by group."""
        low, high = np.searchsorted(self.group, [first, last])
        return slice(int(self.lengths[:low].sum()), int(self.lengths[:high].sum()))

    def of_groups(self, first: int, last: int) -> Units:
        """The units of the groups first .. last-1 alone."""
        low, high = np.searchsorted(self.group, [first, last])
        entries = self.entries(first, last)
        return replace(
            self,
            group=self.group[low:high] - first,
            times=self.times[low:high],
            lengths=self.lengths[low:high],
            label=self.label[entries],
            votes=self.votes[entries],
            n_groups=last - first,
        )


def sums_at(codes: NDArray[Any], values: Array, size: int) -> Floats:
    """(size,): the sum of the values at each code."""
    return np.asarray(np.bincount(codes, values, size), dtype=np.float64)


# --- runs of equal codes ---------------------------------------------------------------------------


def positions(starts: Ints, lengths: Ints) -> Ints:
    """The positions in runs that begin at `starts`, one run after another.

    >>> positions(np.array([7, 2]), np.array([2, 3])).tolist()
    [7, 8, 2, 3, 4]
    """
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def run_lengths(codes: NDArray[Any]) -> Ints:
    """The lengths of the runs of equal codes."""
    changes = np.flatnonzero(codes[1:] != codes[:-1]) + 1
    return np.diff(changes, prepend=0, append=len(codes))[: len(codes)]


BLOCK = 1 << 20
"""Pairs of annotations that are worked on at once."""


def pairs_in_blocks(
    lengths: Ints, size: int = BLOCK, first: Ints | None = None
) -> Iterator[tuple[Ints, Ints]]:
    """The positions (i, j), i < j, of all pairs within runs of these lengths, about `size` at a time; with
    `first`, of those alone whose i is among them.

    >>> [(i.tolist(), j.tolist()) for i, j in pairs_in_blocks(np.array([2, 1, 3]), size=2)]
    [([0], [1]), ([3, 3, 4], [4, 5, 5])]
    """
    end = np.repeat(np.cumsum(lengths), lengths)
    at = np.arange(len(end)) if first is None else first
    left = end[at] - at - 1
    before = np.cumsum(left) - left
    total = int(left.sum())
    cuts = np.searchsorted(before, np.arange(0, total, size), side="right") - 1
    for low, high in pairwise([*cuts, len(at)]):
        one = np.repeat(at[low:high], left[low:high])
        nth = np.arange(before[low], before[low] + len(one)) - np.repeat(
            before[low:high], left[low:high]
        )
        yield one, one + 1 + nth
