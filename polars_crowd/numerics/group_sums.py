"""Sums of the rows of an array by group, for arrays of a few columns.

`np.add.reduceat` adds along the first axis element by element. Here the first rows of all groups are taken
at once, then the second ones of all groups that have two, and so on; groups of more than FAN_OUT rows are
added in pieces, and the sums of the pieces in the same way. The order of a sum is that of the groups alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from polars_crowd.arrays import Floats, Ints

FAN_OUT = 16
"""Rows that are added one after another."""
AT_ONCE = 4
"""Columns to be summed together: NumPy takes rows of 32 bytes twice as fast as others."""


@dataclass(frozen=True)
class GroupSums:
    """Which rows are added up to which group's sum."""

    ranks: tuple[Ints, ...]
    """The first row of each group, largest groups first, the second one of each that has two, and so on."""
    place: Ints
    """Where each of G groups is among them, the empty ones behind all others, shape (G,)."""
    of_pieces: GroupSums | None = None
    """The pieces of each group, where these groups are pieces of larger ones."""

    @classmethod
    def of(cls, row: Ints, group: Ints, n_groups: int) -> GroupSums:
        """Row row[r] is added to group[r]."""
        order = np.argsort(group, kind="stable")
        size = np.bincount(group, minlength=n_groups)
        if size.max(initial=0) <= FAN_OUT:
            return cls(*_by_rank(row[order], size))
        n_pieces = -(-size // FAN_OUT)
        of_pieces = cls.of(
            np.arange(n_pieces.sum()), np.repeat(np.arange(n_groups), n_pieces), n_groups
        )
        return cls(*_by_rank(row[order], _sizes_of_pieces(size, n_pieces)), of_pieces)

    def of_rows(self, values: Floats) -> Floats:
        """The sum of each group, shape (G, few), from rows of the shape (., few)."""
        sums = np.empty((len(self.place), values.shape[1]))
        first, *others = self.ranks or (self.place[:0],)
        values.take(first, axis=0, out=sums[: len(first)], mode="clip")
        sums[len(first) :] = 0
        taken = np.empty((len(others[0]) if others else 0, values.shape[1]))
        for rows in others:
            some = slice(len(rows))
            sums[some] += values.take(rows, axis=0, out=taken[some], mode="clip")
        if not self.is_in_place:
            sums = sums.take(self.place, axis=0)
        return sums if self.of_pieces is None else self.of_pieces.of_rows(sums)

    @cached_property
    def is_in_place(self) -> bool:
        return bool((np.diff(self.place) > 0).all())


def _by_rank(row: Ints, size: Ints) -> tuple[tuple[Ints, ...], Ints]:
    """`ranks` and `place` of groups of some sizes, whose rows follow each other."""
    largest_first = np.argsort(-size, kind="stable")
    start, size = (np.cumsum(size) - size)[largest_first], size[largest_first]
    ranks = tuple(row[start[size > rank] + rank] for rank in range(size.max(initial=0)))
    return ranks, np.argsort(largest_first)


def _sizes_of_pieces(size: Ints, n_pieces: Ints) -> Ints:
    """FAN_OUT each, and what is left for the last piece of each group."""
    sizes = np.full(n_pieces.sum(), FAN_OUT)
    some = n_pieces > 0
    sizes[np.cumsum(n_pieces)[some] - 1] = (size - (n_pieces - 1) * FAN_OUT)[some]
    return sizes
