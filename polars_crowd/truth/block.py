"""Blocks of examples as arrays: what the formulas of truth inference see of a log.

A partition is worked on in blocks of whole examples, small enough that a block's arrays stay in the
processor's cache. Everything in a block is sorted by example, so that a sum over an example's annotations
is a sum over a run. Nothing of the size of the log is made beside the sorted runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Floats, Ints, Probabilities
from polars_crowd.numerics.threads import mapped
from polars_crowd.rounds.partitions import Partition
from polars_crowd.runs.classes import Runs

BLOCK_ROWS = 1 << 16
"""About how many annotations a block has; more where there are more sums than that."""
KEPT_ROWS = 1 << 20
"""The blocks of a log in memory of up to this many annotations are kept between rounds."""
BLOCK_CELLS = 1 << 24
"""But no more than this many, times the number of classes."""
LIKELY_CELLS = 1 << 20
"""... where there are no sums."""
UNKNOWN = -1
STEPS_OF_COUNTS = np.rint(np.geomspace(1, 1 << 31, 140)).astype(np.intp)
"""What numbers of annotations are rounded up to, to work on examples of the same together: each number up to
seven, from there on a sixth more each time."""
FEW_TOGETHER = 1 << 13
"""Fewer annotations than this are worked on together with those of more."""

W = TypeVar("W")


@dataclass(frozen=True)
class Examples:
    """n whole examples with their R annotations, sorted by example."""

    annotator: Ints
    """The annotator of each annotation, shape (R,)."""
    count: Ints
    """n[i]: how many annotations each example has, shape (n,)."""
    n_annotators: int
    """M, of the whole log."""

    @property
    def n_examples(self) -> int:
        return len(self.count)

    @cached_property
    def start(self) -> Ints:
        """The first annotation of each example."""
        return np.cumsum(self.count) - self.count

    def per_example(self, rows: Floats) -> Floats:
        """The sum over each example's annotations, shape (n,)."""
        return np.add.reduceat(rows, self.start)

    def per_annotator(self, rows: Floats | None) -> Floats:
        """The sum over each annotator's annotations, or their number, shape (M,)."""
        return np.bincount(self.annotator, rows, self.n_annotators).astype(np.float64, copy=False)

    @cached_property
    def example(self) -> Ints:
        """The example of each annotation, 0 .. n-1, shape (R,)."""
        return runs_of(self.start, len(self.annotator))

    @cached_property
    def by_count(self) -> list[tuple[Ints, Ints]]:
        """Examples of nearly as many annotations, shape (m,), and their annotators, filled up with M."""
        size = STEPS_OF_COUNTS[np.searchsorted(STEPS_OF_COUNTS, self.count)]
        sizes, n = np.unique(size, return_counts=True)
        found, first, waiting = [], 0, 0
        for c, m, larger in zip(sizes, n, (*sizes[1:], np.inf), strict=True):
            waiting += m
            if waiting * larger > FEW_TOGETHER:
                examples = np.flatnonzero((size > first) & (size <= c))
                found.append((examples, self.annotators_of(examples, c)))
                first, waiting = c, 0
        return found

    def annotators_of(self, examples: Ints, most: int) -> Ints:
        """The annotators of examples with up to so many each, filled up with M, shape (most, m)."""
        row = np.arange(most)[:, None]
        annotators = self.annotator.take(self.start[examples] + row, mode="clip")
        annotators[row >= self.count[examples]] = self.n_annotators
        return annotators

    def at_rows(self, examples: Floats) -> Floats:
        """A value per example, for each of its annotations, shape (R,)."""
        return examples.take(self.example)


@dataclass(frozen=True)
class Block(Examples):
    """Examples of a log of classes, with their V votes (example, label)."""

    vote_example: Ints
    """The example of each vote, 0 .. n-1, shape (V,)."""
    vote_label: Ints
    """The label of each vote, shape (V,)."""
    votes: Ints
    """c[i,k]: how many annotations each vote has, shape (V,)."""
    n_classes: int
    """K."""
    ids: pl.Series
    """The examples' ids."""
    models: tuple[Probabilities, ...]
    """A model's probabilities each, shape (n, K)."""
    first: int = 0
    """The place of its first example in the partition."""
    known: Ints | None = None
    """The class of the examples whose truth is given, UNKNOWN for the others; None if there are none."""

    @cached_property
    def vote(self) -> Ints:
        """The vote of each annotation, 0 .. V-1, shape (R,)."""
        return runs_of(np.cumsum(self.votes) - self.votes, len(self.annotator))

    @cached_property
    def label(self) -> Ints:
        """The label of each annotation, shape (R,)."""
        return self.vote_label.take(self.vote)

    @cached_property
    def cell(self) -> Ints:
        """annotator * K + label of each annotation: its place among the pairs of them."""
        return self.annotator * self.n_classes + self.label

    @cached_property
    def place(self) -> Ints:
        """label * n + example of each annotation: its place in an array of shape (K, n)."""
        return (self.vote_label * self.n_examples + self.vote_example).take(self.vote)

    def per_class(self, rows: Floats) -> Floats:
        """The sum over the annotations of example i that chose class k, shape (K, n)."""
        sums = np.bincount(self.place, rows, self.n_classes * self.n_examples)
        return sums.astype(np.float64, copy=False).reshape(self.n_classes, self.n_examples)

    def per_cell(self, rows: Floats | None) -> Floats:
        """The sum over the annotations of each (annotator, label), or their number, shape (M * K,)."""
        sums = np.bincount(self.cell, rows, self.n_annotators * self.n_classes)
        return sums.astype(np.float64, copy=False)

    def of_labels(self, T: Floats) -> Floats:
        """T[y, i] for the label y of each annotation, shape (R,)."""
        return T.ravel().take(self.place)

    def spread(self, values: Floats) -> Floats:
        """A value per vote, as an array of shape (K, n) with zeros where there is no vote."""
        dense = np.zeros((self.n_classes, self.n_examples))
        dense[self.vote_label, self.vote_example] = values
        return dense

    def vote_shares(self) -> Floats:
        """c[i,k] / n[i], shape (K, n): the majority vote as a posterior."""
        return self.spread(self.votes.astype(np.float64)) / self.count


def of_blocks(
    part: Partition, work: Callable[[Block], W], known: Ints | None = None, sums: int = 0
) -> Iterator[W]:
    """`work(block)` of each block of a partition, in their order; `sums` is how many sums it is added to.

    Blocks are worked on by several threads, and made by them where they are not kept.
    """
    runs = part.runs
    least = BLOCK_ROWS if sums else min(BLOCK_ROWS, LIKELY_CELLS // runs.n_classes)
    size = max(least, min(sums, BLOCK_CELLS // runs.n_classes))
    columns = part.once("truth_columns", lambda: Columns.of(runs))
    cuts = list(cut(columns.first_row, size))
    if runs.rows.height > KEPT_ROWS:
        return mapped(lambda examples: work(columns.block(runs, examples, known)), cuts)

    def make() -> list[Block]:
        return [columns.block(runs, examples, known) for examples in cuts]

    return mapped(work, part.once(f"truth_blocks_{size}", make, known))


def cut(first_row: Ints, size: int) -> Iterator[slice]:
    """Whole examples with about `size` annotations, from where each begins and the last one ends."""
    first = 0
    while first < len(first_row) - 1:
        limit = first_row[first] + size
        last = max(int(np.searchsorted(first_row, limit, side="right")) - 1, first + 1)
        yield slice(first, last)
        first = last


def runs_of(start: Ints, size: int) -> Ints:
    """The run that each of so many places is in, from where runs begin; none is empty.

    As `np.repeat`, which lets no other thread work meanwhile.
    """
    begins = np.zeros(size, dtype=np.int8)
    begins[start[1:]] = 1
    return np.cumsum(begins, dtype=np.intp)


def row_bounds(count: NDArray[Any]) -> Ints:
    """Where the annotations of each example begin, and where the last one's end."""
    bounds = np.zeros(len(count) + 1, dtype=np.intp)
    np.cumsum(count, out=bounds[1:])
    return bounds


@dataclass(frozen=True)
class Columns:
    """The runs' columns as arrays, and where the annotations and votes of each example begin and end."""

    annotator: NDArray[Any]
    vote_example: NDArray[Any]
    vote_label: NDArray[Any]
    votes: NDArray[Any]
    count: NDArray[Any]
    first_row: Ints
    first_vote: Ints

    @classmethod
    def of(cls, runs: Runs) -> Columns:
        n = runs.examples.height
        example, label, votes = (runs.votes[c].to_numpy() for c in ("example", "label", "votes"))
        count = runs.examples["num_annotations"].to_numpy()
        first_vote = np.searchsorted(example, np.arange(n + 1, dtype=example.dtype))
        annotator = runs.rows["annotator"].to_numpy()
        return cls(annotator, example, label, votes, count, row_bounds(count), first_vote)

    def block(self, runs: Runs, examples: slice, known: Ints | None) -> Block:
        rows, votes = _between(self.first_row, examples), _between(self.first_vote, examples)
        return Block(
            annotator=self.annotator[rows].astype(np.intp),
            vote_example=self.vote_example[votes].astype(np.intp) - examples.start,
            vote_label=self.vote_label[votes].astype(np.intp),
            votes=self.votes[votes].astype(np.intp),
            count=self.count[examples].astype(np.intp),
            n_classes=runs.n_classes,
            n_annotators=len(runs.book.annotators),
            ids=runs.examples["example"][examples],
            models=tuple(p[examples] for p in runs.models),
            first=examples.start,
            known=None if known is None else known[examples],
        )


def _between(bounds: Ints, examples: slice) -> slice:
    return slice(int(bounds[examples.start]), int(bounds[examples.stop]))
