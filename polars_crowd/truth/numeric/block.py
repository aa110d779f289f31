"""Numeric labels as arrays: blocks of whole examples, and the weighted mean of each.

    z[i] = sum_j w[j] (x[i,j] - b[j]) / sum_j w[j]        or the known truth of i, where there is one

with a weight w and a bias b per annotator, and what it leaves of each label, r = x - b[j] - z[i].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import polars as pl

from polars_crowd.arrays import Flags, Floats
from polars_crowd.errors import Advice, AnnotationError, counted, shown
from polars_crowd.numerics.threads import mapped
from polars_crowd.rounds.partitions import Partition
from polars_crowd.truth.block import BLOCK_ROWS, Examples, cut, row_bounds
from polars_crowd.truth.known import KnownValues

W = TypeVar("W")


@dataclass(frozen=True)
class Weighting:
    """How labels are combined: one value per annotator, shape (M,)."""

    weight: Floats
    """w."""
    bias: Floats
    """b."""

    @classmethod
    def equal(cls, n_annotators: int) -> Weighting:
        return cls(np.ones(n_annotators), np.zeros(n_annotators))


@dataclass(frozen=True)
class Numbers(Examples):
    """Examples of a log of numbers."""

    value: Floats
    """x, shape (R,)."""
    known: Floats
    """The truth of examples where it is given, NaN elsewhere; shape (n,)."""

    @cached_property
    def is_known(self) -> Flags:
        return ~np.isnan(self.known)

    @cached_property
    def tells(self) -> Flags:
        """Whether an example says something about its annotators."""
        return (self.count > 1) | self.is_known

    def mean(self, values: Floats, weight: Floats) -> Floats:
        """The weighted mean of each example's values: exact where they are all equal."""
        first = values[self.start]
        away = self.per_example(weight * (values - self.at_rows(first)))
        return first + away / self.per_example(weight)

    def spread(self) -> Floats:
        """s[i]: the root mean square of its labels about their mean, or about the known truth."""
        centre = np.where(self.is_known, self.known, self._plain_mean)
        return np.sqrt(self._square_about(centre) / self.count)

    def standard_deviation(self) -> Floats:
        """The sample's, of each example's labels; NaN for one label."""
        square = self._square_about(self._plain_mean)
        return np.sqrt(square / np.where(self.count > 1, self.count - 1, np.nan))

    @cached_property
    def _plain_mean(self) -> Floats:
        return self.mean(self.value, np.ones(len(self.value)))

    def _square_about(self, centre: Floats) -> Floats:
        return self.per_example((self.value - self.at_rows(centre)) ** 2)


@dataclass(frozen=True)
class Found:
    """The truth of examples, and what their labels leave."""

    truth: Floats
    """z, shape (n,)."""
    residual: Floats
    """r = x - b - z, shape (R,)."""
    weight: Floats
    """w of each label, shape (R,)."""
    precision: Floats
    """sum_j w[j] of each example; infinite where the truth is known. Shape (n,)."""


def find_truth(numbers: Numbers, weighting: Weighting) -> Found:
    """z and r of every example."""
    weight = weighting.weight[numbers.annotator]
    value = numbers.value - weighting.bias[numbers.annotator]
    truth = np.where(numbers.is_known, numbers.known, numbers.mean(value, weight))
    precision = np.where(numbers.is_known, np.inf, numbers.per_example(weight))
    return Found(truth, value - numbers.at_rows(truth), weight, precision)


MOST = 1e145
"""The largest label whose differences can be squared, and a billion of these added."""


def check_size(values: pl.Series) -> None:
    """Labels are not so large that their squares are no floats."""
    large = values.filter(values.abs() > MOST)
    if len(large):
        raise AnnotationError(
            f"has {counted(len(large), 'number')} beyond {MOST:g}, whose squares cannot be computed: "
            f"{shown(large.to_list())}.",
            Advice(
                "Give labels in a larger unit, or leave these rows out",
                python="log.with_columns(pl.col('label') / 1e200)",
            ),
            source="the log",
            column="label",
        )


def of_blocks(
    part: Partition, work: Callable[[Numbers], W], known: KnownValues | None
) -> Iterator[W]:
    """`work(block)` of each block of a partition's examples, in their order, by several threads."""
    values = part.values
    count = values.examples["num_annotations"].to_numpy().astype(np.intp)
    truth = part.once("gold", lambda: known.of_part(part), known) if known else None
    first_row = row_bounds(count)

    def block(examples: slice) -> Numbers:
        rows = values.rows[first_row[examples.start] : first_row[examples.stop]]
        check_size(rows["value"])
        return Numbers(
            value=rows["value"].to_numpy(),
            annotator=rows["annotator"].to_numpy().astype(np.intp),
            count=count[examples],
            n_annotators=len(values.annotators),
            known=np.full(len(count[examples]), np.nan) if truth is None else truth[examples],
        )

    return mapped(lambda examples: work(block(examples)), [*cut(first_row, BLOCK_ROWS)])
