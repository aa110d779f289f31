"""CRH: conflict resolution on heterogeneous data, for numeric labels.

Li, Li, Gao, Zhao, Fan and Han (2014), "Resolving conflicts in heterogeneous data by truth discovery and
source reliability estimation", SIGMOD; with the squared loss normalised by the spread s[i] of an example's
labels, as there, and as PM in Zheng et al. (2017), PVLDB 10(5).

Letters: x[i,j] the label of annotator j on example i, z[i] the truth, m[j] the number of labels of j, M
annotators, m' = mean m.

    L[j] = sum_i (x[i,j] - z[i])^2 / s[i]^2

    minimise  sum_j w[j] L[j]   over z and w,  so that  sum_j m[j]/m' exp(-w[j]) = 1  and  0 < w[j] < W

One step for each in turn, neither of which can raise the sum:

    z[i] = sum_j w[j] x[i,j] / sum_j w[j]          w[j] = -log( L[j] / (lambda m[j]) )

with the lambda that the constraint asks for. Where all annotators have as many labels this is the paper's
w[j] = -log( L[j] / sum_j L[j] ); where they have not, it is the mean loss that counts, as the paper asks.
The bounds on w keep an annotator who always agrees from being the only one heard, and one who never does
from being worth less than nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.signatures import shares
from polars_crowd.truth.numeric.block import Weighting
from polars_crowd.truth.numeric.model import NumericMethod, Past, Sums, fit_numbers
from polars_crowd.truth.numeric.result import NumericTruth
from polars_crowd.truth.options import NumberOptions, WeightingOptions

LEAST = 0.01
"""The smallest weight."""
MOST_EXTRA = np.log(1e6)
"""The largest weight is log M + this."""
HALVINGS = 100


@dataclass(frozen=True)
class Crh(NumericMethod):
    """The formulas of CRH."""

    past: Past
    name = "CRH"

    def maximise(self, sums: Sums, weighting: Weighting) -> Weighting:
        loss, annotations = sums.loss + self.past.loss, sums.annotations + self.past.annotations
        judged = annotations > 0
        weight = np.empty(len(judged))
        weight[judged] = weights_for(loss[judged], annotations[judged])
        weight[~judged] = weight[judged].mean()
        return Weighting(weight, weighting.bias)

    def most_weight(self, sums: Sums) -> float:
        n_judged = np.count_nonzero(sums.annotations + self.past.annotations)
        return float(np.log(n_judged) + MOST_EXTRA)

    def objective(self, sums: Sums, weighting: Weighting) -> float:
        return -float(weighting.weight @ (sums.loss + self.past.loss))

    def annotator_columns(self, weighting: Weighting, sums: Sums) -> dict[str, Floats]:
        mean_loss = sums.loss / np.where(sums.annotations > 0, sums.annotations, np.nan)
        return {"weight": weighting.weight, "mean_loss": mean_loss}


def weights_for(loss: Floats, annotations: Floats) -> Floats:
    """The w that minimise sum w L under the constraint, with lambda found by halving log lambda."""
    least, most = np.exp(-np.log(len(loss)) - MOST_EXTRA), np.exp(-LEAST)
    mean_loss = loss / annotations

    def shares(log_scale: float) -> Floats:
        """exp(-w) for log lambda."""
        clipped: Floats = np.clip(mean_loss / np.exp(log_scale), least, most)
        return clipped

    low = np.log(mean_loss[mean_loss > 0].min())
    high = np.log(mean_loss.max() / least)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if annotations @ shares(middle) > annotations.mean():
            low = middle
        else:
            high = middle
    return -np.log(shares(high))


@shares(WeightingOptions, NumberOptions)
def crh(log: Any, *, prior: Any = None, **options: Unpack[WeightingOptions]) -> NumericTruth:
    """The truth behind numeric labels by CRH: weights that fall with the log of an annotator's loss.

    Nobody is shut out, which makes CRH a safe choice where annotators are not very unlike.

    Parameters
    ----------
    prior
        What is known of annotators from before, added to what the log says: an earlier fit, or a frame
        `annotator, mean_loss, num_examples_labeled`, with losses in units of an example's spread.

    Returns
    -------
    NumericTruth
        `.annotators` has the columns `weight` and `mean_loss` = L[j] / m[j]; the objective of `.trace` is
        - sum_j w[j] L[j].

    Agrees with
    -----------
    The paper's updates in plain numpy, where every annotator labelled every example, to 1e-7. On the 700
    headlines of Snow et al. (2008) the mean absolute error is 11.83 and the root mean square error 17.82;
    those of the mean are 12.02 and 17.84.

    Examples
    --------
    >>> import polars as pl
    >>> errors = {"a": 0.1, "b": -0.2, "c": 1.0}.items()
    >>> rows = [(e, who, e + (-1) ** e * error) for e in range(6) for who, error in errors]
    >>> log = pl.DataFrame(rows, ["example", "annotator", "label"], orient="row")
    >>> crh(log).examples.head(3).collect()["consensus_label"].round(2).to_list()
    [-0.04, 1.04, 1.96]
    """

    def method(sums: Sums, rounds: Rounds) -> Crh:
        return Crh(Past.of(prior, np.asarray, "mean_loss", rounds.book.annotators))

    return NumericTruth(fit_numbers(log, method, NumberOptions(**options)))
