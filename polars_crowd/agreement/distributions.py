"""Student's t, F and the normal distribution, to the last digits and without SciPy.

With I_x(a, b) the regularised incomplete beta function,

    P(T_v <= t)    = 1 - I_x(v/2, 1/2) / 2,     x = v / (v + t^2),  t >= 0
    P(F_v,w <= f)  = I_x(v/2, w/2),             x = v f / (v f + w)

I_x is the continued fraction 26.5.8 of Abramowitz and Stegun (1964), evaluated by Lentz's method. Its factor
x^a (1-x)^b / B(a, b) is written with the remainders of Stirling's formula, so that it stays exact where
a and b are millions (Loader 2000).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

normal = NormalDist()
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)
TINY = 1e-300
MAX_STEPS = 100_000


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
    return _beta_factor(x, y, a, b) * _fraction(x, a, b) / a


def _beta_factor(x: float, y: float, a: float, b: float) -> float:
    """x^a y^b / B(a, b)."""
    from_mode = x * b - y * a
    peak = 0.5 * math.log(a * b / (2 * math.pi * (a + b)))
    remainder = _stirling(a + b) - _stirling(a) - _stirling(b)
    log_x = _log1p(from_mode / a, x * (a + b) / a)
    log_y = _log1p(-from_mode / b, y * (a + b) / b)
    return math.exp(a * log_x + b * log_y + peak + remainder)


def _log1p(d: float, whole: float) -> float:
    """log(1 + d), where 1 + d = `whole` is known to its own last digit too."""
    return math.log1p(d) if d > -0.5 else math.log(whole)


def _stirling(x: float) -> float:
    """log Gamma(x) less Stirling's formula (x - 1/2) log x - x + log(2 pi) / 2."""
    if x < 15:
        return math.lgamma(x) - (x - 0.5) * math.log(x) + x - 0.5 * math.log(2 * math.pi)
    return sum(c / x ** (2 * i + 1) for i, c in enumerate(STIRLING))


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function."""
    c, d = 1.0, _away_from_zero(1 - (a + b) * x / (a + 1))
    d = 1 / d
    value = d
    for m in range(1, MAX_STEPS):
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
    """Where an increasing function is zero: doubling to bracket, then halving."""
    while f(high) < 0:
        low, high = high, 2 * high
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        low, high = (middle, high) if f(middle) < 0 else (low, middle)
