"""CATD: a confidence-aware approach to truth discovery, for numeric labels.

Li, Li, Gao, Su, Zhao, Demirbas, Fan and Han (2014), "A confidence-aware approach for truth discovery on
long-tail data", PVLDB 8(4).

Letters: x[i,j] the label of annotator j on example i, z[i] the truth, m[j] the number of labels of j, and
chi2_q(d) the quantile of chi-square with d degrees of freedom. With normal errors the variance of annotator j
lies below  sum_i (x[i,j] - z[i])^2 / chi2_q(m[j])  with probability 1 - q. Its inverse is the weight:

    w[j] = chi2_q(m[j]) / sum_i (x[i,j] - z[i])^2        q = alpha / 2
    z[i] = sum_j w[j] x[i,j] / sum_j w[j]

Neither step lowers the objective, 1/2 sum_j ( chi2_q(m[j]) log w[j] - w[j] sum_i (x[i,j] - z[i])^2 ). It has
no upper bound (the truth may follow one annotator), hence weights are at most 10^6 times what a label of the
mean square residual would give. Small logs run into that; prefer `gaussian_truth` or `crh` for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.numerics.special import chi2_quantile
from polars_crowd.option_checks import check_share
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.signatures import shares
from polars_crowd.truth.numeric.block import Weighting
from polars_crowd.truth.numeric.model import NumericMethod, Past, Sums, fit_numbers
from polars_crowd.truth.numeric.result import NumericTruth
from polars_crowd.truth.options import NumberOptions, WeightingOptions

MOST = 1e6
"""The largest weight, where 1 is that of the pooled variance."""


@dataclass(frozen=True)
class Catd(NumericMethod):
    """The formulas of CATD."""

    quantile: Floats
    """chi2_q(m[j]), 0 for who has no label that can be compared."""
    unit: float
    """The pooled variance; weights are in units of its inverse."""
    past: Past
    name = "CATD"

    def maximise(self, sums: Sums, weighting: Weighting) -> Weighting:
        judged = self.quantile > 0
        left = (sums.square + self.past.loss)[judged] / self.unit
        square = np.maximum(left, self.quantile[judged] / MOST)
        weight = np.empty(len(judged))
        weight[judged] = self.quantile[judged] / square
        weight[~judged] = weight[judged].mean()
        return Weighting(weight, weighting.bias)

    def most_weight(self, sums: Sums) -> float:
        return MOST

    def objective(self, sums: Sums, weighting: Weighting) -> float:
        w = weighting.weight
        left = (sums.square + self.past.loss) / self.unit
        gained = self.quantile * np.log(w) - w * left
        return float(gained.sum()) / 2


@shares(WeightingOptions, NumberOptions)
def catd(
    log: Any,
    *,
    alpha: float = 0.05,
    prior: Any = None,
    **options: Unpack[WeightingOptions],
) -> NumericTruth:
    """The truth behind numeric labels by CATD: weights from an upper bound of each annotator's variance.

    Made for logs in which most annotators gave few labels.

    Parameters
    ----------
    alpha
        The bound holds with probability 1 - alpha / 2; in (0, 1).
    prior
        What is known of annotators from before, added to what the log says: an earlier fit, or a frame
        `annotator, root_mean_square_residual, num_examples_labeled`.

    Returns
    -------
    NumericTruth
        `.annotators` has the column `weight`, 1 for an annotator with the pooled variance and no doubt.

    Warns
    -----
    AnnotationWarning
        Annotators have the largest weight that there can be: the truth follows them alone, as it may on logs
        with few labels of an annotator or an example.

    Agrees with
    -----------
    The update equations of the paper, iterated in plain numpy with scipy's quantiles, to 1e-9.

    Examples
    --------
    >>> import polars as pl
    >>> from math import cos
    >>> errors = {"a": 0.3, "b": 0.4, "c": 0.5, "d": 1.5}.items()
    >>> rows = [(e, a, e + s * cos(e * k)) for e in range(9) for k, (a, s) in enumerate(errors, 1)]
    >>> log = pl.DataFrame(rows, ["example", "annotator", "label"], orient="row")
    >>> catd(log, tol=1e-3).annotators.select("annotator", pl.col("weight").round(1)).rows()
    [('d', 0.1), ('c', 0.7), ('a', 3.6), ('b', 4.2)]
    """
    check_share("alpha", alpha)

    def method(sums: Sums, rounds: Rounds) -> Catd:
        past = Past.of(prior, np.square, "root_mean_square_residual", rounds.book.annotators)
        annotations = sums.annotations + past.annotations
        judged = annotations > 0
        quantile = np.zeros(len(annotations))
        quantile[judged] = chi2_quantile(alpha / 2, annotations[judged])
        return Catd(quantile, sums.pooled_variance, past)

    return NumericTruth(fit_numbers(log, method, NumberOptions(**options)))
