"""Gaussian truth: every annotator has a bias and a variance.

The numeric form of learning from crowds (Raykar et al. 2010, JMLR 11, section 5), with the truths integrated
out: maximised over the truths, too, the likelihood grows without end where they follow one annotator.

    x[i,j] = z[i] + b[j] + e,    e ~ Normal(0, v[j]),    z[i] flat

Letters: w[j] = 1 / v[j], W[i] = sum_j w[j] over the annotators of i, m[j] the number of labels of j,
r = x[i,j] - b[j] - z[i]. Given the parameters, the truth of i is normal with

    mean  z[i] = sum_j w[j] (x[i,j] - b[j]) / W[i]      and variance  1 / W[i]                     (E-step)

    log p(x) = 1/2 sum_j m[j] log w[j] - 1/2 sum_i log W[i] - 1/2 sum w[j] r^2 - D/2 log 2 pi

with D = sum_i (n[i] - 1). An example whose truth is known has variance 0 and adds no log W[i].

**Prior.** With s2 the pooled variance of the labels about their plain means and a = `smoothing`,

    v[j] ~ scaled inverse chi-square with a degrees of freedom and scale s2:   as if a labels had said s2
    b[j] ~ Normal(0, s2):                                                      as if one label had said 0

`prior=` puts an earlier fit in their place: its bias, variance and number of labels.

**M-step**, the bias first, then the variance, both given z:

    b[j] = ( w[j] sum (x - z) + b0[j] / s2 ) / ( w[j] m[j] + 1 / s2 )
    v[j] = ( sum (r^2 + 1/W[i]) + a s2 ) / ( m[j] + a )

The likelihood does not change when all biases go up by c and all truths down by c, so the prior decides:
sum_j b[j] = 0. Biases are centred after each step, unless a known truth or an earlier fit fixes them. The
objective is log p(x) plus the log prior, for labels in units of s; no step lowers it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.option_checks import check_number
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.signatures import shares
from polars_crowd.truth.numeric.block import Found, Numbers, Weighting
from polars_crowd.truth.numeric.model import NumericMethod, Sums, fit_numbers, past_rows
from polars_crowd.truth.numeric.result import NumericTruth
from polars_crowd.truth.options import NumberOptions, WeightingOptions

PAST_COLUMNS = ("bias", "standard_deviation", "num_examples_labeled")
LEAST = 1e-12
"""The smallest variance, in units of the pooled one."""


@dataclass(frozen=True)
class Past:
    """The prior of the annotators, in units of the pooled variance; shape (M,)."""

    labels: Floats
    """a."""
    variance: Floats
    bias: Floats
    """b0, in the unit of the labels."""
    bias_variance: Floats


@dataclass(frozen=True)
class Gaussian(NumericMethod):
    """The formulas. Weights are in units of 1 / s2."""

    unit: float
    """s2."""
    past: Past
    has_bias: bool
    name = "Gaussian truth"

    def standard_error(self, numbers: Numbers, found: Found) -> Floats:
        return np.sqrt(self.unit / found.precision)

    def maximise(self, sums: Sums, weighting: Weighting) -> Weighting:
        bias = self._bias(sums, weighting) if self.has_bias else weighting.bias
        moved = bias - weighting.bias
        square = sums.square - 2 * moved * sums.residual + sums.annotations * moved**2
        left = np.maximum(square, 0) / self.unit + sums.variance
        past = self.past
        freedom = sums.annotations + past.labels
        variance = np.divide(
            left + past.labels * past.variance, freedom, where=freedom > 0, out=np.ones_like(left)
        )
        return Weighting(1 / np.maximum(variance, LEAST), self._centred(bias, sums))

    def _bias(self, sums: Sums, weighting: Weighting) -> Floats:
        w, b, past = weighting.weight, weighting.bias, self.past
        differences = sums.residual + sums.annotations * b
        precision = w * sums.annotations + 1 / past.bias_variance
        return (w * differences + past.bias / past.bias_variance) / precision

    def _centred(self, bias: Floats, sums: Sums) -> Floats:
        """The biases that the prior likes best among those with the same differences."""
        if sums.known or not self.has_bias:
            return bias
        precision = (sums.annotations > 0) / self.past.bias_variance
        return bias - (sums.annotations > 0) * np.average(bias - self.past.bias, weights=precision)

    def objective(self, sums: Sums, weighting: Weighting) -> float:
        w = weighting.weight
        fitted = sums.annotations @ np.log(w) - sums.log_precision - w @ sums.square / self.unit
        density = (fitted - sums.freedom * np.log(2 * np.pi)) / 2
        return float(density) + self._log_prior(weighting)

    def _log_prior(self, weighting: Weighting) -> float:
        w, past = weighting.weight, self.past
        of_variance = past.labels @ (np.log(w) - w * past.variance)
        away = (weighting.bias - past.bias) ** 2 / (past.bias_variance * self.unit)
        return float(of_variance - self.has_bias * away.sum()) / 2

    def most_weight(self, sums: Sums) -> float:
        return 1 / LEAST

    def of_unknown(self, weighting: Weighting) -> tuple[float, float]:
        return 1.0, 0.0

    def annotator_columns(self, weighting: Weighting, sums: Sums) -> dict[str, Floats]:
        spread = {"standard_deviation": np.sqrt(self.unit / weighting.weight)}
        return {"bias": weighting.bias, **spread} if self.has_bias else spread


@shares(WeightingOptions, NumberOptions)
def gaussian_truth(
    log: Any,
    *,
    bias: bool = True,
    smoothing: float = 1.0,
    prior: Any = None,
    **options: Unpack[WeightingOptions],
) -> NumericTruth:
    """The truth behind numeric labels where every annotator has a bias and a variance.

    Parameters
    ----------
    bias
        Whether annotators may lie above or below the truth on average. Biases add up to 0, unless `gold` or
        `prior` fix them; where no chain of common examples connects annotators they cannot be compared.
    smoothing
        a >= 0, the number of labels with the pooled variance that are added to each annotator's. A few keep
        who gave few labels from being trusted by chance; many make all annotators weigh the same.
    prior
        What is known of annotators from before: an earlier fit, or a frame `annotator, bias,
        standard_deviation, num_examples_labeled`. Those who are not in it get the prior above.

    Returns
    -------
    NumericTruth
        `.annotators` has the columns `bias` and `standard_deviation`, in the unit of the labels;
        `standard_error` in `.examples` is that of the posterior, sqrt(1 / W[i]).

    Agrees with
    -----------
    The maximum of the marginal likelihood by scipy's optimiser on small logs, to 1e-6.

    Examples
    --------
    >>> import polars as pl
    >>> biases = {"a": -0.5, "b": 0.0, "c": 0.6}.items()
    >>> rows = [(e, who, e + bias) for e in range(6) for who, bias in biases]
    >>> log = pl.DataFrame(rows, ["example", "annotator", "label"], orient="row")
    >>> fit = gaussian_truth(log)
    >>> fit.annotators.sort("annotator").select("annotator", pl.col("bias").round(2)).rows()
    [('a', -0.52), ('b', -0.03), ('c', 0.55)]
    """
    check_number("smoothing", smoothing, 0.0)

    def method(sums: Sums, rounds: Rounds) -> Gaussian:
        unit = sums.pooled_variance
        past = past_of(prior, rounds.book.annotators, unit, smoothing)
        return Gaussian(unit, past, bias)

    return NumericTruth(fit_numbers(log, method, NumberOptions(**options)))


def past_of(prior: Any, annotators: pl.Series, unit: float, smoothing: float) -> Past:
    """The prior, with what is known of annotators from before in its place."""
    M = len(annotators)
    labels, variance = np.full(M, float(smoothing)), np.ones(M)
    bias, bias_variance = np.zeros(M), np.ones(M)
    if prior is not None and unit > 0:
        place, past = past_rows(prior, PAST_COLUMNS, annotators)
        labels[place] = past["num_examples_labeled"]
        variance[place] = np.maximum(past["standard_deviation"] ** 2 / unit, LEAST)
        bias[place] = past["bias"]
        bias_variance[place] = variance[place] / np.maximum(labels[place], 1.0)
    return Past(labels, variance, bias, bias_variance)
