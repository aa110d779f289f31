"""The mean and the median of numeric labels: every annotator weighs the same.

    mean    z[i] = sum_j x[i,j] / n[i]                  standard error  s[i] / sqrt(n[i])
    median  z[i] = the middle label of i                standard error  sqrt(pi / 2) s[i] / sqrt(n[i])
                   (the mean of the two middle ones)

with s[i] the standard deviation of the labels of i. The median's standard error is that for many labels with
normal errors.
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.signatures import shares
from polars_crowd.truth.numeric.block import Found, Numbers, Weighting
from polars_crowd.truth.numeric.model import (
    NumericMethod,
    Sums,
    fit_without_iterating,
    open_numbers,
)
from polars_crowd.truth.numeric.result import NumericTruth
from polars_crowd.truth.options import LogOptions, NumberOptions, Options


class Mean(NumericMethod):
    """The mean."""

    name = "Mean"

    def annotator_columns(self, weighting: Weighting, sums: Sums) -> dict[str, Floats]:
        return {}


class Median(Mean):
    """The median."""

    name = "Median"

    def find(self, numbers: Numbers, weighting: Weighting) -> Found:
        truth = medians(numbers)
        residual = numbers.value - numbers.at_rows(truth)
        return Found(truth, residual, np.ones_like(residual), numbers.count.astype(np.float64))

    def standard_error(self, numbers: Numbers, found: Found) -> Floats:
        return np.sqrt(np.pi / 2 / numbers.count) * numbers.standard_deviation()


def medians(numbers: Numbers) -> Floats:
    """The median of each example's labels."""
    example = np.repeat(np.arange(len(numbers.count)), numbers.count)
    value = numbers.value[np.lexsort((numbers.value, example))]
    low, high = (numbers.count - 1) // 2, numbers.count // 2
    middle = value[numbers.start + low]
    median: Floats = middle + (value[numbers.start + high] - middle) / 2
    return median


@shares(LogOptions, NumberOptions)
def mean_truth(log: Any, **options: Unpack[LogOptions]) -> NumericTruth:
    """The mean of each example's numeric labels, and how far each annotator is from it.

    Agrees with
    -----------
    Polars' `mean` and `std` per example.

    Examples
    --------
    >>> import polars as pl
    >>> log = pl.DataFrame({"example": [1, 1, 2], "annotator": ["a", "b", "a"], "label": [1.0, 2.0, 5.0]})
    >>> mean_truth(log).examples.drop("annotator_spread").collect().rows()
    [(1, 1.5, 0.5, 2), (2, 5.0, None, 1)]
    """
    return averaged(log, Mean(), NumberOptions(**options))


@shares(LogOptions, NumberOptions)
def median_truth(log: Any, **options: Unpack[LogOptions]) -> NumericTruth:
    """The median of each example's numeric labels, and how far each annotator is from it.

    A single wild label does not move it, at the price of a larger error where all are fair.

    Agrees with
    -----------
    Polars' `median` per example.

    Examples
    --------
    >>> import polars as pl
    >>> log = pl.DataFrame({"example": [1] * 3, "annotator": ["a", "b", "c"], "label": [1.0, 2.0, 90.0]})
    >>> median_truth(log).examples.collect()["consensus_label"].item()
    2.0
    """
    return averaged(log, Median(), NumberOptions(**options))


def averaged(log: Any, method: NumericMethod, options: Options) -> NumericTruth:
    rounds = open_numbers(log, options)
    equal = Weighting.equal(len(rounds.book.annotators))
    return NumericTruth(fit_without_iterating(rounds, method, equal))
