"""Intraclass correlation: how much of the variance of numeric labels is between examples.

With x_ij the label of example i by annotator j, n_i annotations of example i, x_i their mean, N examples, R
annotations, M annotators and the means x_j of annotators, the mean squares are

    MSR = sum_i n_i (x_i - x)^2 / (N - 1)                  between examples
    MSW = sum_ij (x_ij - x_i)^2 / (R - N)                  within examples
    MSC = N sum_j (x_j - x)^2 / (M - 1)                    between annotators
    MSE = (sum_ij (x_ij - x_i)^2 - (M - 1) MSC) / ((N - 1)(M - 1))

and the six forms of Shrout and Fleiss (1979), in the notation of McGraw and Wong (1996):

    icc(1)   = (MSR - MSW) / (MSR + (k - 1) MSW)
    icc(k)   = (MSR - MSW) / MSR
    icc(A,1) = (MSR - MSE) / (MSR + (M - 1) MSE + M (MSC - MSE) / N)
    icc(A,k) = (MSR - MSE) / (MSR + (MSC - MSE) / N)
    icc(C,1) = (MSR - MSE) / (MSR + (M - 1) MSE)
    icc(C,k) = (MSR - MSE) / MSR

The one-way forms icc(1), icc(k) need no complete log: k = (R - sum n_i^2 / R) / (N - 1), which is n_i if
these are all the same. The two-way forms take every annotator on every example, once. Intervals are those
of McGraw and Wong (1996, table 7), from F; with unequal n_i they are approximate. The p-value is that of F
for no variance between examples. The variance under the bar is an estimate, which may be 0 or less where the
examples differ less than by chance: there is no value then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.numerics.special import f_quantile, f_upper
from polars_crowd.reliability.chance import EXACT, ratio
from polars_crowd.reliability.intervals import HIGHEST, Uncertainty
from polars_crowd.reliability.patterns import Units

L = TypeVar("L", np.float64, Floats)
ONE_WAY = ("icc(1)", "icc(k)")
NO_DEGREES = 1e-9
"""Fewer degrees of freedom than this are none."""


@dataclass(frozen=True)
class MeanSquares(Generic[L]):
    """(G,) each, or those of one group."""

    N: L
    k: L
    """Annotations per example."""
    within: L
    """R - N, the degrees of freedom of MSW."""
    MSR: L
    MSW: L
    MSC: L
    """NaN, like MSE, where the log is not complete."""
    MSE: L


def mean_squares(units: Units, profiles: Units, values: Floats) -> MeanSquares[Floats]:
    """From the patterns (or their replicates), the annotators' labels and the values of the classes."""
    x = centred(values)
    s, q = units.dot(x), units.dot(x**2)
    N, R, total = (units.over_units(v) for v in (np.ones(len(units.n)), units.n, s))
    between = units.over_units(s**2 / units.n)
    SSW, correction = units.over_units(q) - between, ratio(total**2, R)
    k = ratio(R - ratio(units.over_units(units.n**2), R), N - 1)
    M = profiles.over_units(np.ones(len(profiles.n)))
    complete = _is_complete(units, N * M == R, M)
    SSC = profiles.over_units(profiles.dot(x) ** 2 / profiles.n) - correction
    return MeanSquares(
        N=N,
        k=k,
        within=R - N,
        MSR=ratio(between - correction, N - 1),
        MSW=ratio(SSW, R - N),
        MSC=np.where(complete, ratio(SSC, M - 1), np.nan),
        MSE=np.where(complete, ratio(SSW - SSC, (N - 1) * (M - 1)), np.nan),
    )


def _is_complete(units: Units, enough: Floats, M: Floats) -> Floats:
    """Whether each example of a group has an annotation by each annotator."""
    other = units.over_units(units.n != units.of_group(M))
    return np.asarray(enough & (other == 0))


def centred(values: Floats) -> Floats:
    """Values less the middle of their range, so that squares lose no digits."""
    return np.asarray(values - (values.min() + values.max()) / 2)


def icc_value(form: str, at: MeanSquares[Floats]) -> Floats:
    """One form, for each group; NaN where the variance that it is a share of is not above 0."""
    error = at.MSW if form in ONE_WAY else at.MSE
    of_one = at.MSR + (at.k - 1) * error
    annotators = (at.MSC - at.MSE) / at.N
    whole = {
        "icc(1)": of_one,
        "icc(k)": at.MSR,
        "icc(C,1)": of_one,
        "icc(C,k)": at.MSR,
        "icc(A,1)": of_one + at.k * annotators,
        "icc(A,k)": at.MSR + annotators,
    }[form]
    there = whole > EXACT * (at.MSR + at.MSW)
    return ratio(at.MSR - error, np.where(there, whole, np.nan))


def icc_interval(form: str, at: MeanSquares[Floats], confidence: float) -> Uncertainty:
    """The interval and p-value of one form, for each group, from F."""
    value = icc_value(form, at)
    found = [_interval(form, _one(at, g), confidence) for g in range(len(value))]
    low, high, p = np.array(found).T if found else np.zeros((3, 0))
    undefined = np.isnan(value)
    low, high, p = (np.where(undefined, np.nan, v) for v in (low, high, p))
    return Uncertainty(np.full(len(value), np.nan), low, np.minimum(high, HIGHEST), p)


def _one(at: MeanSquares[Floats], group: int) -> MeanSquares[np.float64]:
    return MeanSquares(*(getattr(at, c)[group] for c in at.__dataclass_fields__))


def _interval(
    form: str, at: MeanSquares[np.float64], confidence: float
) -> tuple[float, float, float]:
    """Its ends, and p."""
    one_way, top = form in ONE_WAY, (1 + confidence) / 2
    error, df2 = (at.MSW, at.within) if one_way else (at.MSE, (at.N - 1) * (at.k - 1))
    df1, absolute = at.N - 1, form.startswith("icc(A")
    if not (df1 > 0 and df2 > 0):
        return np.nan, np.nan, np.nan
    if error <= EXACT * at.MSR:  # rounding aside there is no residual
        if absolute and at.MSC > EXACT * at.MSR:
            return *_absolute(form, replace(at, MSE=np.float64(0)), top), 0.0
        return (1.0, 1.0, 0.0) if at.MSR > 0 else (np.nan, np.nan, np.nan)
    F = at.MSR / error
    p = f_upper(F, df1, df2)
    if absolute:
        return *_absolute(form, at, top), p
    low, high = F / f_quantile(top, df1, df2), F * f_quantile(top, df2, df1)
    if form.endswith("k)"):
        return 1 - 1 / low, 1 - 1 / high, p
    return (low - 1) / (low + at.k - 1), (high - 1) / (high + at.k - 1), p


def _absolute(form: str, at: MeanSquares[np.float64], top: float) -> tuple[float, float]:
    """The ends of icc(A,1) and icc(A,k): F with Satterthwaite's degrees of freedom v."""
    n, k, MSR, MSC, MSE = at.N, at.k, at.MSR, at.MSC, at.MSE
    r = (MSR - MSE) / (MSR + (k - 1) * MSE + k * (MSC - MSE) / n)
    a, b = k * r / (n * (1 - r)), 1 + k * r * (n - 1) / (n * (1 - r))
    v = (a * MSC + b * MSE) ** 2 / ((a * MSC) ** 2 / (k - 1) + (b * MSE) ** 2 / ((n - 1) * (k - 1)))
    if not (np.isfinite(v) and v > NO_DEGREES):
        return np.nan, np.nan
    up, down = f_quantile(top, n - 1, v), f_quantile(top, v, n - 1)
    rest = k * MSC + (k * n - k - n) * MSE
    low = n * (MSR - up * MSE) / (up * rest + n * MSR)
    high = n * (down * MSR - MSE) / (rest + n * down * MSR)
    if form == "icc(A,k)":
        low, high = (end * k / (1 + end * (k - 1)) for end in (low, high))
    return low, high
