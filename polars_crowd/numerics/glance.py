"""A model's probabilities that are looked through once, column by column, instead of held as (N, K).

Of all p[e,k] the posterior of single labels asks little as long as no class without a vote is asked about
but the most probable one: p at the votes, and of each example the first most probable class and the two
largest p. These are N and V numbers, not N K, and the columns are read once and let go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import overload

import numpy as np

from polars_crowd.arrays import Array, Codes, Probabilities
from polars_crowd.numerics.threads import mapped

ROWS = 1 << 15
"""Examples whose columns are looked through at once: what is found of them stays in a core's cache."""


@dataclass(frozen=True)
class Glance:
    """What was found. `example` and `label` are the votes, sorted by them."""

    example: Codes
    label: Codes
    of_votes: Probabilities
    """p[e,k] of each vote."""
    top: Codes
    """argmax_k p[e,k], the first maximum of each example."""
    largest: Probabilities
    second: Probabilities
    """The second largest p[e,k], which is the largest where two are equal."""
    least: float
    """The smallest p[e,k] of all."""
    sums: Probabilities
    """sum_k p[e,k]."""

    @classmethod
    def through(
        cls, groups: Iterable[list[Probabilities]], example: Codes, label: Codes, n_examples: int
    ) -> Glance:
        """Of the columns of the classes in their order, in groups that are looked through together."""
        columns = iter(groups)
        first = next(columns)
        dtype = first[0].dtype
        seen = _Seen(n_examples, dtype)
        of_votes, votes_for = np.empty(len(label), dtype), _by_label(label)
        k = 0
        for group in chain([first], columns):
            seen.look(group, k)
            for p in group:
                votes = next(votes_for)
                of_votes[votes] = p[example[votes]]
                k += 1
        found = (seen.top, seen.largest, seen.second, seen.least, seen.sums)
        return cls(example, label, of_votes, *found)

    def of_top(self, example: Codes, label: Codes) -> Probabilities | None:
        """p[example, label], if these are the most probable classes; else None."""
        are_top = bool((label == self.top[example]).all())
        return self.largest[example] if are_top else None

    def at(self, example: Codes, label: Codes) -> Probabilities:
        """p[example, label] of some votes."""
        vote = np.searchsorted(self.example, example)
        while len(behind := np.flatnonzero(self.label[vote] != label)):
            vote[behind] += 1
        return self.of_votes[vote]


class _Seen:
    """What the columns looked through so far say of each example."""

    def __init__(self, n: int, dtype: np.dtype[np.floating]) -> None:
        self.largest, self.second = (np.full(n, -np.inf, dtype) for _ in range(2))
        self.sums, self.top = np.zeros(n, dtype), np.zeros(n, np.uint32)
        self.least = np.inf

    def look(self, columns: Sequence[Probabilities], first: int) -> None:
        """Look through the columns of the classes from `first` on."""
        starts = range(0, len(self.top), ROWS)
        least = mapped(
            lambda start: self._block(slice(start, start + ROWS), columns, first), starts
        )
        self.least = min(self.least, *least)

    def _block(self, block: slice, columns: Sequence[Probabilities], first: int) -> float:
        """... of a block of examples; the smallest of its p."""
        largest, second = self.largest[block], self.second[block]
        sums, top = self.sums[block], self.top[block]
        least, larger, smaller = np.inf, np.empty(len(top), bool), np.empty_like(sums)
        for k, column in enumerate(columns, first):
            p = column[block]
            np.greater(p, largest, out=larger)
            np.copyto(top, k, where=larger)
            np.minimum(p, largest, out=smaller)
            np.maximum(second, smaller, out=second)
            np.maximum(largest, p, out=largest)
            sums += p
            least = min(least, float(p.min()))
        return least


def _by_label(label: Codes) -> Iterator[Codes]:
    """The votes for each label, from the first on."""
    K = int(label.max(initial=0)) + 1
    small: Array = label.astype(np.min_scalar_type(K))  # few bytes are sorted by counting
    order = np.argsort(small, kind="stable").astype(np.uint32)
    ends = np.cumsum(np.bincount(label, minlength=K))
    yield from np.split(order, ends)
    while True:
        yield order[:0]


class LookedThrough(Sequence[Probabilities]):
    """One model's probabilities, looked through: `glance` is what was found.

    They are read as an array when they are asked for as a whole.
    """

    def __init__(self, glance: Glance, read: Callable[[], Probabilities]) -> None:
        self.glance = glance
        self._read = read

    @cached_property
    def _models(self) -> tuple[Probabilities, ...]:
        return (self._read(),)

    def __len__(self) -> int:
        return 1

    @overload
    def __getitem__(self, i: int) -> Probabilities: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Probabilities]: ...
    def __getitem__(self, i: int | slice) -> Probabilities | Sequence[Probabilities]:
        return self._models[i]


Models = Sequence[Probabilities]
"""One (N, K) array per model: in memory, or of one model that was looked through."""


def glance_at(models: Models) -> Glance | None:
    """What was found of a model that was looked through."""
    return models.glance if isinstance(models, LookedThrough) else None
