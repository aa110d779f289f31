"""Intraclass correlation: how much of the variance of numeric labels is between examples.

With x_ij the label of example i by annotator j, n_i annotations of example i and m_j by annotator j, x_i and
x_j their means, N examples, M annotators, R annotations, the one-way mean squares are

    MSR = sum_i n_i (x_i - x)^2 / (N - 1)                  between examples
    MSW = sum_ij (x_ij - x_i)^2 / (R - N)                  within examples

and the forms of Shrout and Fleiss (1979), in the notation of McGraw and Wong (1996), without gaps, where
k = n_i = M and n = m_j = N:

    icc(1)   = (MSR - MSW) / (MSR + (k - 1) MSW)
    icc(k)   = (MSR - MSW) / MSR
    icc(A,1) = (MSR - MSE) / (MSR + (k - 1) MSE + k (MSC - MSE) / n)
    icc(A,k) = (MSR - MSE) / (MSR + (MSC - MSE) / n)
    icc(C,1) = (MSR - MSE) / (MSR + (k - 1) MSE)
    icc(C,k) = (MSR - MSE) / MSR

Where there are gaps, k = (R - sum n_i^2 / R) / (N - 1) and n = (R - sum m_j^2 / R) / (M - 1). The one-way
forms take these as they are. The two-way forms come from the model x_ij = mu + a_i + b_j + e_ij with random
effects of variances A, B, E, by Henderson's method 1 (Biometrics 9, 1953): the sums

    S_a = sum_i n_i (x_i - x)^2,   S_b = sum_j m_j (x_j - x)^2,   S_e = sum_ij (x_ij - x)^2 - S_a - S_b

have the expectations, where each annotator labelled an example once at most,

    S_a:  (R - sum n_i^2 / R) A + (N - sum m_j^2 / R) B + (N - 1) E
    S_b:  (M - sum n_i^2 / R) A + (R - sum m_j^2 / R) B + (M - 1) E
    S_e:  (sum n_i^2 / R - M) A + (sum m_j^2 / R - N) B + (R - N - M + 1) E

which are solved for A, B, E; MSR = E + k A, MSC = E + n B, MSE = E. Without gaps these are the mean squares
of the analysis of variance. With gaps they have no bias, but are not those of restricted maximum likelihood.

Intervals are those of McGraw and Wong (1996, table 7), from F; with gaps they are approximate. The p-value
is that of F for no variance between examples. The variance under the bar is an estimate, which may be 0 or
less where the examples differ less than by chance: there is no value then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.numerics.special import f_quantile, f_upper
from polars_crowd.reliability.chance import EXACT, ratio
from polars_crowd.reliability.intervals import HIGHEST, Uncertainty
from polars_crowd.reliability.units import Units

L = TypeVar("L", np.float64, Floats)
ONE_WAY = ("icc(1)", "icc(k)")
WORST = 1e12
"""The condition beyond which a system of equations has no solution."""
NO_DEGREES = 1e-9
"""Fewer degrees of freedom than this are none."""
BEYOND = 1e100
"""Quantiles of F beyond this are those of next to no degrees of freedom."""


@dataclass(frozen=True)
class MeanSquares(Generic[L]):
    """(G,) each, or those of one group: of one way, or of two."""

    N: L
    k: L
    """Annotations per example."""
    M: L
    n: L
    """Annotations per annotator."""
    MSR: L
    MSC: L
    """NaN with one way."""
    error: L
    """MSW or MSE; NaN, like MSR, where it cannot be told from the others."""
    degrees: L
    """Of freedom of the error: R - N or R - N - M + 1."""


def one_way(units: Units, values: Floats) -> MeanSquares[Floats]:
    """From the patterns (or their replicates) and the values of the classes."""
    N, R, S_a, S_w = _sums(units, values)
    unknown = np.full(len(N), np.nan)
    return MeanSquares(
        N=N,
        k=_per_unit(units, R, N),
        M=unknown,
        n=unknown,
        MSR=ratio(S_a, N - 1),
        MSC=unknown,
        error=ratio(S_w, R - N),
        degrees=R - N,
    )


def two_way(units: Units, profiles: Units, values: Floats) -> MeanSquares[Floats]:
    """... and the labels of the annotators, each of whom labelled an example once at most."""
    N, R, S_a, S_w = _sums(units, values)
    M, _, S_b, _ = _sums(profiles, values)
    rows, columns = (ratio(of.over_units(of.n**2), R) for of in (units, profiles))
    expected = [
        [R - rows, N - columns, N - 1],
        [M - rows, R - columns, M - 1],
        [rows - M, columns - N, R - N - M + 1],
    ]
    A, B, E = _solved(expected, [S_a, S_b, S_w - S_b])
    k, n = _per_unit(units, R, N), _per_unit(profiles, R, M)
    return MeanSquares(N, k, M, n, MSR=E + k * A, MSC=E + n * B, error=E, degrees=R - N - M + 1)


def _sums(units: Units, values: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Units, annotations, and the squares between units and within them."""
    x = centred(values)
    s, q = units.dot(x), units.dot(x**2)
    N, R, total = (units.over_units(v) for v in (np.ones(len(units.n)), units.n, s))
    between = units.over_units(s**2 / units.n)
    return N, R, between - ratio(total**2, R), units.over_units(q) - between


def _per_unit(units: Units, R: Floats, N: Floats) -> Floats:
    """(R - sum n_i^2 / R) / (N - 1): n_i where these are all the same."""
    return ratio(R - ratio(units.over_units(units.n**2), R), N - 1)


def _solved(expected: Sequence[Sequence[Floats]], found: Sequence[Floats]) -> Floats:
    """(3, G) variances, NaN where one cannot be told from the others."""
    systems = np.moveaxis(np.array(expected), -1, 0)
    sums = np.stack(found, axis=-1)
    there = np.isfinite(systems).all(axis=(1, 2)) & np.isfinite(sums).all(axis=1)
    there[there] = np.linalg.cond(systems[there]) < WORST
    variances = np.full(sums.shape, np.nan)
    variances[there] = np.linalg.solve(systems[there], sums[there][..., None])[..., 0]
    return variances.T


def centred(values: Floats) -> Floats:
    """Values less the middle of their range, so that squares lose no digits."""
    return np.asarray(values - (values.min() + values.max()) / 2)


def icc_value(form: str, at: MeanSquares[Floats]) -> Floats:
    """One form, for each group; NaN where the variance that it is a share of is not above 0."""
    of_one = at.MSR + (at.k - 1) * at.error
    annotators = (at.MSC - at.error) / at.n
    whole = {
        "icc(1)": of_one,
        "icc(k)": at.MSR,
        "icc(C,1)": of_one,
        "icc(C,k)": at.MSR,
        "icc(A,1)": of_one + at.k * annotators,
        "icc(A,k)": at.MSR + annotators,
    }[form]
    nothing = EXACT * (at.MSR + at.error + np.nan_to_num(at.MSC))
    there = (whole > nothing) & (at.error >= -nothing)
    return ratio(at.MSR - at.error, np.where(there, whole, np.nan))


def icc_interval(
    form: str, at: MeanSquares[Floats], value: Floats, confidence: float
) -> Uncertainty:
    """The interval and p-value of one form, for each group with a value, from F."""
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
    top, absolute = (1 + confidence) / 2, form.startswith("icc(A")
    error, df1, df2 = at.error, at.N - 1, at.degrees
    if not (df1 > 0 and df2 > 0):
        return np.nan, np.nan, np.nan
    if error <= EXACT * at.MSR:  # rounding aside there is no residual
        if absolute and at.MSC > EXACT * at.MSR:
            return *_absolute(form, replace(at, error=np.float64(0)), top), 0.0
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
    n, k, MSR, MSC, MSE = at.n, at.k, at.MSR, at.MSC, at.error
    r = (MSR - MSE) / (MSR + (k - 1) * MSE + k * (MSC - MSE) / n)
    a, b = k * r / (n * (1 - r)), 1 + k * r * (n - 1) / (n * (1 - r))
    v = (a * MSC + b * MSE) ** 2 / ((a * MSC) ** 2 / (at.M - 1) + (b * MSE) ** 2 / at.degrees)
    if not (np.isfinite(v) and v > NO_DEGREES):
        return np.nan, np.nan
    up, down = f_quantile(top, at.N - 1, v), f_quantile(top, v, at.N - 1)
    if not max(up, down) < BEYOND:
        return np.nan, np.nan
    rest = k * MSC + (k * n - k - n) * MSE
    low = n * (MSR - up * MSE) / (up * rest + n * MSR)
    high = n * (down * MSR - MSE) / (rest + n * down * MSR)
    if form == "icc(A,k)":
        low, high = (end * k / (1 + end * (k - 1)) for end in (low, high))
    return low, high
