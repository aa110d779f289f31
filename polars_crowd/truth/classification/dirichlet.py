r"""Rows of probabilities with a Dirichlet prior, estimated by their mode or by a variational posterior.

A row of probabilities :math:`\theta` over L outcomes has been seen :math:`n_l` times with outcome l.

* `MODE`: the prior is Dirichlet(1 + b), that is b pseudo-counts per outcome. The estimate is the mode

      log theta[l] = log (n[l] + b[l]) - log sum_l (n[l] + b[l])

  and the prior's part in the objective is sum_l b[l] log theta[l].

* `VARIATIONAL`: the prior is Dirichlet(b), the posterior q is Dirichlet(n + b). What an E-step needs is

      E_q[log theta[l]] = digamma (n[l] + b[l]) - digamma sum_l (n[l] + b[l])

  and the prior's part in the evidence lower bound is -KL(q || prior).

Both are functions of the counts c = n + b, along an axis. Special functions by Abramowitz and Stegun
(1972), 6.3.18 and 6.1.41, after a shift of the argument to where their series are exact to 1e-15.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.numerics.special import digamma, log_gamma


@dataclass(frozen=True)
class Dirichlet:
    """How rows of probabilities are estimated from counts that hold the prior's."""

    rule: Literal["mode", "variational"]

    def log_of(self, counts: Floats) -> Floats:
        """What log theta is the difference of: of an outcome's counts, and of all."""
        log_counts: Floats = np.log(counts) if self.rule == "mode" else digamma(counts)
        return log_counts

    def log_mean(self, counts: Floats, axis: int = -1) -> Floats:
        """log theta, or its expectation, of each outcome."""
        return self.log_of(counts) - self.log_of(counts.sum(axis=axis, keepdims=True))

    def log_prior(self, counts: Floats, prior: Floats | float, axis: int = -1) -> float:
        """What the rows' prior adds to the objective, summed over all rows."""
        prior = np.broadcast_to(np.asarray(prior, dtype=np.float64), counts.shape)
        log_theta = self.log_mean(counts, axis)
        if self.rule == "mode":
            return float((prior * log_theta).sum())
        surplus = ((counts - prior) * log_theta).sum()
        return float(log_beta(counts, axis).sum() - log_beta(prior, axis).sum() - surplus)


MODE = Dirichlet("mode")
VARIATIONAL = Dirichlet("variational")


def log_beta(counts: Floats, axis: int = -1) -> Floats:
    """log B(c) = sum_l log Gamma(c[l]) - log Gamma(sum_l c[l])."""
    of_sum: Floats = log_gamma(counts.sum(axis=axis))
    of_parts: Floats = log_gamma(counts).sum(axis=axis)
    return of_parts - of_sum
