r"""IWMV: iterative weighted majority voting, weights that are linear in how often an annotator is right.

With the letters of `truth.classification.weighted_votes`, from v[j] = 1, for t = 1, 2, ...

    z[i] = argmax_k sum over the labels k of i: v[j]
    a[j] = mean over the labels y of j: [y = z[i]]
    v[j] = K a[j] - 1

until z is what it was (Li and Yu 2014, arXiv:1411.4086, algorithm 1). Who is right less often than chance
has a negative weight. The weights are the log-odds of one coin per annotator to first order about chance,
log ((K - 1) a / (1 - a)) ~ K / (K - 1) (K a - 1), and so is the posterior:

    T[i,k] ∝ exp( K / (K - 1) sum over the labels k of i: v[j] )

**Objective**, which no iteration lowers:

    G = sum_j m[j] (K a[j] - 1)^2 / (2 K)

It is convex in the numbers of right answers m[j] a[j], with v[j] its derivatives; z[i] takes what is largest
of its linear part, and G lies above that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.signatures import shares
from polars_crowd.truth.block import Block
from polars_crowd.truth.classification.weighted_votes import Votes, WeightedVotes
from polars_crowd.truth.em import fit
from polars_crowd.truth.model import LogSize
from polars_crowd.truth.options import IterationOptions, Options
from polars_crowd.truth.past import past_counts
from polars_crowd.truth.posterior import Posterior, softmax
from polars_crowd.truth.result import TruthInference
from polars_crowd.truth.terms import Terms, at_own_label


@dataclass(frozen=True)
class Iwmv(WeightedVotes):
    """The weights are v = K a - 1."""

    n_classes: int
    """K."""

    name = "IWMV"
    has_objective = True

    def weight(self, a: Floats, skills: Votes | None, log: LogSize) -> Floats:
        """v."""
        return self.n_classes * a - 1

    def e_step(self, block: Block, weights: Floats, log_classes: Floats) -> Posterior:
        found = super().e_step(block, weights, log_classes)
        return Posterior(found.T, np.zeros(block.n_examples))

    def posterior(self, W: Floats, block: Block) -> Floats:
        """T[i,k] ∝ exp( K / (K - 1) W[i,k] )."""
        return softmax(self.n_classes / max(self.n_classes - 1, 1) * W).T

    def terms(self, block: Block, weights: Floats, log_classes: Floats) -> Terms:
        """K / (K - 1) v."""
        v = weights.take(block.annotator)
        K = self.n_classes
        return Terms(at_own_label(block, K / max(K - 1, 1) * v), weight=v)

    def log_prior(self, skills: Votes) -> float:
        """G."""
        size = (skills.counts + skills.past).sum(axis=0)
        return float((size * skills.weight**2).sum() / (2 * self.n_classes))


@shares(IterationOptions, Options, tol=0.0)
def iwmv(log: Any, *, prior: Any = None, **options: Unpack[IterationOptions]) -> TruthInference:
    """The truth of each example by IWMV: votes weighed by K a - 1, which may be negative.

    Parameters
    ----------
    tol
        When to stop: at a gain of the objective below `tol` times its size. At 0, when no winner changes.

    Returns
    -------
    TruthInference
        `.annotators` has `skill` = a and the counts `num_correct` and `num_incorrect` behind it.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = iwmv(pc.datasets.tutorial().log)
    >>> fit.annotators["skill"].head(2).round(4).to_list()
    [0.2083, 0.2647]
    """

    def model(rounds: Rounds) -> Iwmv:
        return Iwmv(past_counts(prior, rounds.book), rounds.n_classes)

    return fit(log, model, Options(**options))
