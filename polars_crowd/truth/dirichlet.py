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
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHIFT = 8
"""The argument of the asymptotic series is at least this."""


@dataclass(frozen=True)
class Dirichlet:
    """How rows of probabilities are estimated from counts that hold the prior's."""

    rule: Literal["mode", "variational"]

    def log_mean(self, counts: Floats, axis: int = -1) -> Floats:
        """log theta, or its expectation, of each outcome."""
        total = counts.sum(axis=axis, keepdims=True)
        if self.rule == "mode":
            log_theta: Floats = np.log(counts / total)
            return log_theta
        log_mean: Floats = digamma(counts) - digamma(total)
        return log_mean

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


DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760)
LOG_GAMMA = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)


def _power_series(z: Floats, coefficients: tuple[float, ...]) -> Floats:
    """z (a + b z + c z^2 + ...)."""
    total = np.zeros_like(z)
    for coefficient in reversed(coefficients):
        total = (total + coefficient) * z
    return total


def digamma(x: Floats) -> Floats:
    """The derivative of log Gamma(x), for x > 0.

    >>> bool(abs(digamma(np.array(1.0)) + np.euler_gamma) < 1e-14)
    True
    """
    x = np.asarray(x, dtype=np.float64)
    steps = np.zeros_like(x)
    for k in range(SHIFT):
        steps += 1 / (x + k)
    y = x + SHIFT
    series = _power_series(1 / (y * y), DIGAMMA)
    value: Floats = np.log(y) - 0.5 / y - series - steps
    return value


def log_gamma(x: Floats) -> Floats:
    """log Gamma(x), for x > 0.

    >>> bool(abs(log_gamma(np.array(5.0)) - np.log(24)) < 1e-14)
    True
    """
    x = np.asarray(x, dtype=np.float64)
    product = x.copy()
    for k in range(1, SHIFT):
        product *= x + k
    y = x + SHIFT
    series = _power_series(1 / (y * y), LOG_GAMMA) * y
    value: Floats = (y - 0.5) * np.log(y) - y + 0.5 * np.log(2 * np.pi) + series - np.log(product)
    return value
