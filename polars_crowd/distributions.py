"""Distribution functions and quantiles that the methods need, on numpy arrays.

With P(a, x) the regularised lower incomplete gamma function, chi-square with d degrees of freedom has the
distribution function P(d/2, x/2). P is summed as a series below its mean and as a continued fraction
above; both share the factor

    D(a, x) = x^a e^-x / Gamma(a+1) = exp( -a (m - log(1+m)) - c(a) ) / sqrt(2 pi a),    m = (x - a) / a

in which nothing cancels for large a; c(a) is what Stirling's formula for log Gamma leaves out.

Quantiles are found by Newton's method on log P as a function of log x: log P is concave there, so that the
method comes from the left and converges from any start.
"""

from __future__ import annotations

from math import lgamma
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

EPS = 2.0**-53
CLOSE = 1e-15
TINY = 1e-290
LOG_TINY = -650.0
MAX_TERMS = 100_000
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)


def stirling_rest(a: Floats) -> Floats:
    """c(a) = log Gamma(a+1) - (a log a - a + log(2 pi a) / 2)."""
    small = a < 16
    exact = [lgamma(v + 1) - v * np.log(v) + v - np.log(2 * np.pi * v) / 2 for v in a[small]]
    rest = np.empty_like(a)
    rest[small] = exact
    inverse = 1 / a[~small]
    rest[~small] = inverse * np.polynomial.polynomial.polyval(inverse**2, STIRLING)
    return rest


def _log_factor(a: Floats, x: Floats) -> Floats:
    """log D(a, x)."""
    m = (x - a) / a
    log_ratio = np.log(x / a, where=m < -0.5, out=np.log1p(np.maximum(m, -0.5)))
    return -a * (m - log_ratio) - stirling_rest(a) - np.log(2 * np.pi * a) / 2


def _series(a: Floats, x: Floats) -> Floats:
    """P(a, x) / D(a, x) = 1 + x/(a+1) + x^2/((a+1)(a+2)) + ..."""
    term, total, n = np.ones_like(x), np.ones_like(x), 0
    while np.any(term > EPS * total) and n < MAX_TERMS:
        n += 1
        term = term * x / (a + n)
        total += term
    return total


def _fraction(a: Floats, x: Floats) -> Floats:
    """(1 - P(a, x)) / D(a, x) as Legendre's continued fraction, by Lentz's method."""
    b = x + 1 - a
    c, d = np.full_like(x, 1 / TINY), 1 / b
    value, n, change = d.copy(), 0, np.zeros_like(x)
    while np.any(np.abs(change - 1) > CLOSE) and n < MAX_TERMS:
        n += 1
        factor = -n * (n - a)
        b = b + 2
        d = 1 / _not_zero(factor * d + b)
        c = _not_zero(b + factor / c)
        change = c * d
        value *= change
    return a * value


def _not_zero(values: Floats) -> Floats:
    return np.where(np.abs(values) < TINY, TINY, values)


def gamma_cdf(a: ArrayLike, x: ArrayLike) -> Floats:
    """P(a, x) for a > 0 and x >= 0.

    >>> gamma_cdf([1.0, 0.5], 1.0).round(6).tolist()
    [0.632121, 0.842701]
    """
    shape, at = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(x, np.float64))
    shape, at = np.array(shape, ndmin=1), np.array(at, ndmin=1)
    p = np.zeros(at.shape)
    low = (at > 0) & (at < shape + 1)
    high = (at >= shape + 1) & np.isfinite(at)
    p[low] = _series(shape[low], at[low]) * np.exp(_log_factor(shape[low], at[low]))
    p[high] = 1 - _fraction(shape[high], at[high]) * np.exp(_log_factor(shape[high], at[high]))
    p[np.isinf(at)] = 1.0
    return p


def chi2_cdf(x: ArrayLike, df: ArrayLike) -> Floats:
    """The distribution function of chi-square with `df` > 0 degrees of freedom.

    >>> chi2_cdf(3.841459, 1).round(6).tolist()
    [0.95]
    """
    return gamma_cdf(np.asarray(df, np.float64) / 2, np.asarray(x, np.float64) / 2)


def gamma_quantile(p: ArrayLike, a: ArrayLike) -> Floats:
    """The x with P(a, x) = p, for 0 < p < 1 and a > 0; a relative 1e-12 up to p = 0.999."""
    share, shape = np.broadcast_arrays(np.asarray(p, np.float64), np.asarray(a, np.float64))
    share, shape = np.array(share, ndmin=1), np.array(shape, ndmin=1)
    log_x = _first_guess(share, shape)
    for _ in range(60):
        step = _newton_step(log_x, share, shape)
        log_x -= step
        if np.all(np.abs(step) <= 4 * EPS * np.maximum(1, np.abs(log_x))):
            break
    return np.exp(log_x)


def _first_guess(p: Floats, a: Floats) -> Floats:
    """log x by the leading term of the series, which is too small, or by Wilson and Hilferty (1931)."""
    log_gamma = np.array([lgamma(v + 1) for v in a])
    by_series = (np.log(p) + log_gamma) / a
    z = np.array([NormalDist().inv_cdf(v) for v in p])
    root = np.maximum(1 - 1 / (9 * a) + z / np.sqrt(9 * a), TINY)
    guess: Floats = np.maximum(by_series, np.log(a) + 3 * np.log(root))
    return guess


def _newton_step(log_x: Floats, p: Floats, a: Floats) -> Floats:
    """(log P - log p) / (d log P / d log x), where d P / d log x = a D; at most 1."""
    x = np.exp(np.maximum(log_x, LOG_TINY))
    log_factor = _log_factor(a, x)
    low = x < a + 1
    ratio = np.empty_like(x)
    """P / D."""
    ratio[low] = _series(a[low], x[low])
    ratio[~low] = np.exp(-log_factor[~low]) - _fraction(a[~low], x[~low])
    step = (np.log(ratio) + log_factor - np.log(p)) * ratio / a
    return np.clip(step, -1, 1)


def chi2_quantile(p: ArrayLike, df: ArrayLike) -> Floats:
    """The quantile of chi-square with `df` > 0 degrees of freedom, for 0 < p < 1.

    >>> chi2_quantile(0.025, [1, 10, 1000]).round(6).tolist()
    [0.000982, 3.246973, 914.257154]
    """
    if np.ndim(p):
        return 2 * gamma_quantile(p, np.asarray(df, np.float64) / 2)
    degrees, place = np.unique(np.asarray(df, np.float64), return_inverse=True)
    return 2 * gamma_quantile(p, degrees / 2)[place]
