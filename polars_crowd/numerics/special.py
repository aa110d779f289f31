"""Special functions to the last digits, without SciPy: gamma, beta, and the distributions made of them.

**log Gamma.** Stirling's formula leaves out c(x) = 1/(12 x) - 1/(360 x^3) + ...,

    log Gamma(x) = (x - 1/2) log x - x + log(2 pi) / 2 + c(x),

(Abramowitz and Stegun 1964, 6.1.41; its derivative 6.3.18 is digamma's), which is exact to 1e-15 from x = 8
on; smaller arguments are shifted there.

**Beta.** With I_x(a, b) the regularised incomplete beta function,

    P(T_v <= t)    = 1 - I_x(v/2, 1/2) / 2,     x = v / (v + t^2),  t >= 0
    P(F_v,w <= f)  = I_x(v/2, w/2),             x = v f / (v f + w)

I_x is the continued fraction 26.5.8 of Abramowitz and Stegun, evaluated by Lentz's method. Its factor
x^a (1-x)^b / B(a, b) is written with the remainders c of Stirling's formula, so that it stays exact where
a and b are millions (Loader 2000).

**Gamma.** With P(a, x) the regularised lower incomplete gamma function, chi-square with d degrees of freedom
has the distribution function P(d/2, x/2). P is summed as a series below its mean and as a continued fraction
above; both share the factor

    D(a, x) = x^a e^-x / Gamma(a+1) = exp( -a (m - log(1+m)) - c(a) ) / sqrt(2 pi a),    m = (x - a) / a

in which nothing cancels for large a. Quantiles are found by Newton's method on log P as a function of log x:
log P is concave there, so that the method comes from the left and converges from any start.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from polars_crowd.arrays import Floats

normal = NormalDist()

EPS = 2.0**-53
CLOSE = 1e-15
SETTLED = 1e-14
TINY = 1e-290
LOG_TINY = -650.0
MAX_TERMS = 100_000
SHIFT = 8
"""Digamma and log Gamma are evaluated from here on."""
STIRLING_FROM = 16
"""c(x) is evaluated by its series from here on."""
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760)
Real = TypeVar("Real", float, Floats)


# --- log Gamma and its derivative ------------------------------------------------------------------


def power_series(z: Real, coefficients: tuple[float, ...]) -> Real:
    """a + b z + c z^2 + ..."""
    total = 0 * z
    for coefficient in reversed(coefficients):
        total = total * z + coefficient
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
    series = power_series(1 / (y * y), DIGAMMA) / (y * y)
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
    series = power_series(1 / (y * y), STIRLING) / y
    value: Floats = (y - 0.5) * np.log(y) - y + 0.5 * np.log(2 * np.pi) + series - np.log(product)
    return value


def stirling_rest(x: float) -> float:
    """c(x) = log Gamma(x) - ( (x - 1/2) log x - x + log(2 pi) / 2 )."""
    if x < STIRLING_FROM:
        return math.lgamma(x) - (x - 0.5) * math.log(x) + x - 0.5 * math.log(2 * math.pi)
    return power_series(1 / (x * x), STIRLING) / x


def stirling_rests(x: Floats) -> Floats:
    """... of each."""
    rest = power_series(1 / (x * x), STIRLING) / x
    small = x < STIRLING_FROM
    rest[small] = [stirling_rest(value) for value in x[small].tolist()]
    return rest


# --- beta: Student's t and F ---------------------------------------------------------------------


def t_cdf(t: float, df: float) -> float:
    """P(T <= t) of Student's t with `df` degrees of freedom."""
    return 1 - t_tails(t, df) / 2 if t > 0 else t_tails(t, df) / 2


def t_tails(t: float, df: float) -> float:
    """P(|T| >= |t|): the two-sided p-value."""
    return _odds_cdf(df, t * t, df / 2, 0.5)


@lru_cache(maxsize=4096)
def t_quantile(p: float, df: float) -> float:
    """The t with P(T <= t) = p."""
    if p < 0.5:
        return -t_quantile(1 - p, df)
    return _root(lambda t: t_cdf(t, df) - p, 0.0, normal.inv_cdf(p) + 1)


def f_cdf(f: float, df1: float, df2: float) -> float:
    """P(F <= f) of F with `df1` and `df2` degrees of freedom."""
    return 1 - f_upper(f, df1, df2)


def f_upper(f: float, df1: float, df2: float) -> float:
    """P(F >= f)."""
    return _odds_cdf(df2, df1 * f, df2 / 2, df1 / 2)


@lru_cache(maxsize=4096)
def f_quantile(p: float, df1: float, df2: float) -> float:
    """The f with P(F <= f) = p."""
    df1, df2 = float(df1), float(df2)  # these may grow without end, and no word
    return _root(lambda f: f_cdf(f, df1, df2) - p, 0.0, 1.0)


def _odds_cdf(u: float, v: float, a: float, b: float) -> float:
    """I_x(a, b) at x = u / (u + v)."""
    return beta_cdf(u / (u + v), v / (u + v), a, b) if math.isfinite(v) else 0.0


def beta_cdf(x: float, y: float, a: float, b: float) -> float:
    """I_x(a, b) for 0 <= x <= 1 and y = 1 - x, each given to its own last digit."""
    if x <= 0 or y <= 0:
        return float(y <= 0)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(y, x, b, a)
    return _beta_factor(x, y, a, b) * _beta_fraction(x, a, b) / a


def _beta_factor(x: float, y: float, a: float, b: float) -> float:
    """x^a y^b / B(a, b)."""
    from_mode = x * b - y * a
    peak = 0.5 * math.log(a * b / (2 * math.pi * (a + b)))
    remainder = stirling_rest(a + b) - stirling_rest(a) - stirling_rest(b)
    log_x = _log1p(from_mode / a, x * (a + b) / a)
    log_y = _log1p(-from_mode / b, y * (a + b) / b)
    return math.exp(a * log_x + b * log_y + peak + remainder)


def _log1p(d: float, whole: float) -> float:
    """log(1 + d), where 1 + d = `whole` is known to its own last digit too."""
    return math.log1p(d) if d > -0.5 else math.log(whole)


def _beta_fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function."""
    c, d = 1.0, _away_from_zero(1 - (a + b) * x / (a + 1))
    d = 1 / d
    value = d
    for m in range(1, MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = value
        for step in (even, odd):
            d = 1 / _away_from_zero(1 + step * d)
            c = _away_from_zero(1 + step / c)
            value *= c * d
        if abs(value - before) <= 1e-16 * abs(value):
            break
    return value


def _away_from_zero(x: float) -> float:
    return x if abs(x) > TINY else TINY


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    """Where an increasing function is zero: doubling to bracket, then Ridders' (1979) chords."""
    while (at_high := f(high)) < 0:
        low, high = high, 2 * high
    at_low, found, before = f(low), low, high
    while abs(found - before) > SETTLED * abs(found):
        middle = (low + high) / 2
        at_middle = f(middle)
        before, half = found, math.sqrt(at_middle**2 - at_low * at_high)
        found = middle - (middle - low) * at_middle / half if half else middle
        for x, value in ((middle, at_middle), (found, f(found))):
            if value < 0 and x >= low:
                low, at_low = x, value
            elif value >= 0 and x <= high:
                high, at_high = x, value
    return found


# --- gamma: chi-square ---------------------------------------------------------------------------


def _log_factor(a: Floats, x: Floats) -> Floats:
    """log D(a, x)."""
    m = (x - a) / a
    log_ratio = np.log(x / a, where=m < -0.5, out=np.log1p(np.maximum(m, -0.5)))
    return -a * (m - log_ratio) - stirling_rests(a) - np.log(2 * np.pi * a) / 2


def _series(a: Floats, x: Floats) -> Floats:
    """P(a, x) / D(a, x) = 1 + x/(a+1) + x^2/((a+1)(a+2)) + ..."""
    term, total, n = np.ones_like(x), np.ones_like(x), 0
    while np.any(term > EPS * total) and n < MAX_TERMS:
        n += 1
        term = term * x / (a + n)
        total += term
    return total


def _gamma_fraction(a: Floats, x: Floats) -> Floats:
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
    p[high] = 1 - _gamma_fraction(shape[high], at[high]) * np.exp(
        _log_factor(shape[high], at[high])
    )
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
    log_gamma = np.array([math.lgamma(v + 1) for v in a])
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
    ratio[~low] = np.exp(-log_factor[~low]) - _gamma_fraction(a[~low], x[~low])
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
