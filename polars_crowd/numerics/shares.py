"""Shares of n: how probable one is, and their intervals.

**X of n**, each with probability p. With I_x(a, b) the regularised incomplete beta function (`special`),

    P(X <= x) = I_(1-p)(n - x, x + 1),        P(X >= x) = I_p(x, n - x + 1)

(Abramowitz and Stegun 1964, 26.5.24), which goes on between the whole numbers.

**The interval of a share** p, by Wilson (1927), JASA 22, 209-212,

    ( p + z^2 / 2n  -+  z sqrt( p (1 - p) / n + z^2 / 4n^2 ) ) / ( 1 + z^2 / n )

with z the normal quantile of (1 + confidence) / 2.
"""

from __future__ import annotations

from math import comb

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.numerics.special import beta_cdf, normal

FEW = 50
"""Up to so many are summed."""
WAYS = np.array([[comb(n, x) for x in range(FEW + 1)] for n in range(FEW + 1)], np.float64)


def at_most(n: float, share: float, x: float) -> float:
    """P(X <= x) for X of n with this share, also for a sum x of weights.

    >>> round(at_most(3, 0.5, 1), 12), at_most(3, 0.5, 3), at_most(3, 0.5, -1)
    (0.5, 1.0, 0.0)
    """
    if x >= n or x <= -1:
        return float(x >= n)
    return beta_cdf(1 - share, share, n - x, x + 1)


def at_least(n: float, share: float, x: float) -> float:
    """P(X >= x)."""
    return 1.0 if x <= 0 else beta_cdf(share, 1 - share, x, n - x + 1)


def at_least_each(n: Ints, share: Floats, x: Ints) -> Floats:
    """P(X >= x) of each n, share < 1 and whole x of 0 or more: of few, the sum of their terms.

    >>> at_least_each(np.array([2, 400]), np.array([0.5, 0.5]), np.array([1, 201])).round(4).tolist()
    [0.75, 0.4801]
    """
    found = np.empty(len(n))
    many = n > FEW
    found[many] = [at_least(*each) for each in zip(n[many], share[many], x[many], strict=True)]
    n, share, x = n[~many], share[~many], x[~many]
    odds = share / (1 - share)
    term = WAYS[n, x] * share**x * (1 - share) ** (n - x)
    total = term.copy()
    for _ in range(int((n - x).max(initial=0))):
        term = term * (n - x) / (x + 1) * odds
        total += term
        x = x + 1
    found[~many] = np.minimum(total, 1.0)
    return found


def wilson(share: Floats, n: Floats, confidence: float) -> tuple[Floats, Floats]:
    """The ends, in [0, 1]; NaN where n is 0.

    >>> low, high = wilson(np.array([0.0, 1.0, np.nan]), np.array([5.0, 5.0, 0.0]), 0.95)
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([0.0, 0.57, nan], [0.43, 1.0, nan])
    """
    n = np.where(n > 0, n, np.nan)
    z2 = normal.inv_cdf((1 + confidence) / 2) ** 2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return np.maximum(middle - reach, 0), np.minimum(middle + reach, 1)
