"""A model's probabilities that are looked through once, column by column, instead of held as (N, K).

Of all p[e,k] the posterior of single labels asks little as long as no class without a vote is asked about
but the most probable one: p at the votes, and of each example the first most probable class and the two
largest p. These are N and V numbers, not N K, and the columns are read once and let go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import DTypeLike

from polars_crowd.arrays import Array, Codes, Probabilities
from polars_crowd.numerics.threads import mapped

ROWS = 1 << 15
"""Examples whose columns are looked through at once: what is found of them stays in a core's cache."""


Columns = Callable[[slice], Sequence[Probabilities]]
"""The columns of some classes, of a block of examples."""


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
    off: float
    """max_e |sum_k p[e,k] - 1|."""

    @classmethod
    def through(
        cls,
        groups: Iterable[Columns],
        example: Codes,
        label: Codes,
        shape: tuple[int, int],
        dtype: DTypeLike,
    ) -> Glance:
        """Of the columns of K classes in their order, in groups that are looked through together."""
        n = shape[0]
        seen = _Seen(n, dtype, np.empty(len(label), dtype))
        starts = range(0, n, ROWS)
        blocks = [*mapped(lambda start: _block(example, label, start, shape), starts)]
        for columns in groups:
            seen.look(blocks, columns)
        off = float(np.abs(seen.sums - 1).max(initial=0))
        found = (seen.of_votes, seen.top, seen.largest, seen.second, seen.least, off)
        return cls(example, label, *found)

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


@dataclass(frozen=True)
class _Block:
    """Some examples, and their votes by label: those for k are the ones from `ends[k]` to `ends[k+1]`."""

    examples: slice
    votes: Codes
    at: Codes
    """Which of the examples each vote is of."""
    ends: Array


def _block(example: Codes, label: Codes, start: int, shape: tuple[int, int]) -> _Block:
    """The examples from `start` on."""
    n, K = shape
    block = slice(start, min(start + ROWS, n))
    votes = votes_of(example, block)
    labels = label[votes].astype(np.min_scalar_type(K))  # few bytes are sorted by counting
    order = np.argsort(labels, kind="stable").astype(np.uint32)
    at = example[votes][order] - np.uint32(start)
    ends = np.searchsorted(labels[order], np.arange(K + 1))
    return _Block(block, order + np.uint32(votes.start), at, ends)


class _Seen:
    """What the columns looked through so far say of each example."""

    def __init__(self, n: int, dtype: DTypeLike, of_votes: Probabilities) -> None:
        self.largest, self.second = (np.full(n, -np.inf, dtype) for _ in range(2))
        self.sums, self.top, self.of_votes = np.zeros(n, dtype), np.zeros(n, np.uint32), of_votes
        self.least, self.n_columns = np.inf, 0

    def look(self, blocks: Sequence[_Block], columns: Columns) -> None:
        """Look through the columns of the next classes."""
        found = [*mapped(lambda block: self._look(block, columns(block.examples)), blocks)]
        self.least = min([self.least, *(least for least, _ in found)])
        self.n_columns += max((n for _, n in found), default=0)

    def _look(self, block: _Block, columns: Sequence[Probabilities]) -> tuple[float, int]:
        """... of a block of examples; the smallest of its p, and how many columns these are."""
        here, ends = block.examples, block.ends
        largest, second = self.largest[here], self.second[here]
        sums, top = self.sums[here], self.top[here]
        least, larger, smaller = np.inf, np.empty(len(top), bool), np.empty_like(sums)
        for k, p in enumerate(columns, self.n_columns):
            np.greater(p, largest, out=larger)
            np.copyto(top, k, where=larger)
            np.minimum(p, largest, out=smaller)
            np.maximum(second, smaller, out=second)
            np.maximum(largest, p, out=largest)
            sums += p
            least = min(least, float(p.min()))
            votes = slice(ends[k], ends[k + 1])
            self.of_votes[block.votes[votes]] = p[block.at[votes]]
        return least, len(columns)


def votes_of(example: Codes, block: slice) -> slice:
    """Where the votes of a block of examples are; `example` ascends."""
    bounds = np.array((block.start, block.stop), dtype=example.dtype)
    start, stop = np.searchsorted(example, bounds)
    return slice(int(start), int(stop))


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
