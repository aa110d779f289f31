"""Agreement coefficients from count vectors, with Gwet's linearised standard errors.

n_ik annotations of example i chose class k; n_i = sum_k n_ik; N examples, N2 of them with n_i >= 2; w_kl are
weights (`weights.py`). Observed and expected agreement, and the coefficient:

    a_i = sum_k n_ik (sum_l w_kl n_il - 1) / (n_i (n_i - 1))        p_a = mean of a_i over n_i >= 2
    kappa = (p_a - p_e) / (1 - p_e)                                 p_k = mean_i n_ik / n_i

    percent agreement   p_e = 0
    Brennan-Prediger    p_e = sum w / K^2
    Fleiss              p_e = sum_kl w_kl p_k p_l
    Gwet AC1, AC2       p_e = sum w / (K (K - 1)) sum_k p_k (1 - p_k)

With e_i = sum_k s_k n_ik / n_i, where s = W p for Fleiss, sum w / (K (K - 1)) (1 - p) for Gwet, and the
constant p_e for the others, the influence of an example is

    kappa_i = (N / N2) (a_i - p_e 1[n_i >= 2]) / (1 - p_e) - 2 (1 - kappa) (e_i - p_e) / (1 - p_e)
    d_i = kappa_i - kappa        var kappa = sum_i d_i^2 / (N (N - 1))

This takes N2 / N as given: where many examples have one annotation only, the standard error is larger than
the spread of kappa. The exact influence t_i = d_i + kappa (1 - (N / N2) 1[n_i >= 2]) is what the bootstrap's
acceleration and the difference of two coefficients go by.

Krippendorff's alpha takes examples with n_i >= 2 only and weighs them by n_i. With R2 = sum n_i over these,
r = R2 / N2, c_i = sum_k n_ik (sum_l w_kl n_il - 1) / (n_i - 1):

    p_a' = sum c_i / R2        p_a = (1 - 1/R2) p_a' + 1/R2        p_k = sum_i n_ik / R2
    p_e = sum_kl w_kl p_k p_l        alpha = (p_a - p_e) / (1 - p_e)        alpha' from p_a'
    a_i = c_i / r - p_a (n_i - r) / r        e_i = sum_k (W p)_k n_ik / r - p_e (n_i - r) / r
    alpha_i = (a_i - p_e) / (1 - p_e) - 2 (1 - alpha') (e_i - p_e) / (1 - p_e)
    var alpha = sum_i (alpha_i - alpha')^2 / (N2 (N2 - 1))

which is 1 - D_o / D_e of Krippendorff (2011) with the distance 1 - w. References: K. Gwet, Handbook of
Inter-Rater Reliability (4th ed. 2014), and Educational and Psychological Measurement 76 (2016) for the
linearisation; K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011).

Everything is computed for all groups at once (a leading axis G), or for all bootstrap replicates of one
group (a leading axis B): formulas see `Sums`, whatever the axis is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.reliability.units import Units
from polars_crowd.reliability.weights import Identity, Weights

# --- statistics ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sums:
    """Sums over the examples of each group."""

    N: Floats
    """(G,) examples."""
    N2: Floats
    """(G,) examples with two annotations or more."""
    agreement: Floats
    """(G,) sum of a_i over these."""
    shares: Floats
    """(G, K) sum of n_ik / n_i over all examples."""


@dataclass(frozen=True)
class PairableSums:
    """Sums over the examples with two annotations or more."""

    N2: Floats
    R2: Floats
    """(G,) their annotations."""
    agreement: Floats
    """(G,) sum of c_i."""
    counts: Floats
    """(G, K) their annotations by class."""


def pair_agreement(units: Units, weights: Weights) -> Floats:
    """(U,) c_i, 0 for an example with one annotation."""
    others = np.where(units.pairable, units.n - 1, 1)
    return np.where(units.pairable, weights.pairs(units) - units.n, 0) / others


def mean_agreement(units: Units, weights: Weights) -> Floats:
    """(U,) a_i, 0 for an example with one annotation."""
    return pair_agreement(units, weights) / units.n


def sums(units: Units, weights: Weights) -> Sums:
    return Sums(
        N=units.over_units(np.ones(len(units.n))),
        N2=units.over_units(units.pairable),
        agreement=units.over_units(mean_agreement(units, weights)),
        shares=units.by_label(1 / units.n),
    )


def pairable_sums(units: Units, weights: Weights) -> PairableSums:
    return PairableSums(
        N2=units.over_units(units.pairable),
        R2=units.over_units(units.n * units.pairable),
        agreement=units.over_units(pair_agreement(units, weights)),
        counts=units.by_label(units.pairable.astype(np.float64)),
    )


def ratio(a: Floats, b: Floats) -> Floats:
    """a / b, NaN where b is 0."""
    undefined = np.full(np.broadcast(a, b).shape, np.nan)
    return np.asarray(np.divide(a, b, out=undefined, where=b != 0))


EXACT = 1e-12
"""An expected agreement closer to 1 than this is 1 (a single class is used); a share below it is none."""


def room(p_e: Floats) -> Floats:
    """1 - p_e, NaN where that is 0."""
    return np.where(1 - p_e > EXACT, 1 - p_e, np.nan)


def corrected(p_a: Floats, p_e: Floats) -> Floats:
    """(p_a - p_e) / (1 - p_e)."""
    return (p_a - p_e) / room(p_e)


# --- chance agreement, one line each ---------------------------------------------------------------


@dataclass(frozen=True)
class Chance:
    """p_e of each group, and the s_k that give its e_i."""

    p_e: Floats
    slope: Floats


Expected = Callable[[Floats, Weights], Chance]
"""From p of shape (G, K) and the weights."""


def percent(p: Floats, weights: Weights) -> Chance:
    """Percent agreement: p_e = 0."""
    return Chance(np.zeros(len(p)), np.zeros_like(p))


def brennan_prediger(p: Floats, weights: Weights) -> Chance:
    """Brennan and Prediger (1981): every class equally likely."""
    uniform = weights.total / p.shape[-1] ** 2
    return Chance(np.full(len(p), uniform), np.full_like(p, uniform))


def fleiss(p: Floats, weights: Weights) -> Chance:
    """Fleiss (1971); Scott (1955) for two annotators: p' W p."""
    slope = weights.times(p)
    return Chance((p * slope).sum(axis=-1), slope)


def gwet(p: Floats, weights: Weights) -> Chance:
    """Gwet (2008): random labels, on the examples that are hard to label."""
    K = p.shape[-1]
    slope = weights.total / max(K * (K - 1), 1) * (1 - p)
    return Chance((p * slope).sum(axis=-1), slope)


# --- under the null hypothesis --------------------------------------------------------------------


def fleiss_null_error(units: Units) -> Floats:
    """(G,) the standard error of Fleiss' kappa where labels are independent draws, n of each example (Fleiss,
    Nee and Landis 1979, Psychological Bulletin 86); NaN where n is not the same for all. With q = 1 - p,

        var = 2 (S^2 - sum_k p_k q_k (q_k - p_k)) / (N n (n - 1) S^2),   S = sum_k p_k q_k
    """
    found = sums(units, Identity(units.n_classes))
    p = ratio(found.shares, found.N[:, None])
    R, squares = units.over_units(units.n), units.over_units(units.n**2)
    pq = p * (1 - p)
    S = pq.sum(axis=-1)
    above = 2 * (S**2 - (pq * (1 - 2 * p)).sum(axis=-1))
    n = ratio(R, found.N)
    variance = ratio(above, found.N * n * (n - 1) * S**2)
    return np.sqrt(np.where(found.N * squares == R**2, variance, np.nan))


# --- coefficients ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """One coefficient for every group."""

    value: Floats
    """(G,) NaN where it is undefined."""
    n: Floats
    """(G,) the examples it rests on."""
    squares: Floats
    """(G,) sum over these of d_i^2, of which the standard error is made."""
    acceleration: Floats
    """(G,) of the bootstrap's BCa interval: sum t^3 / (6 (sum t^2)^(3/2)) of the exact influence t_i."""
    influence: Floats | None = None
    """(U,) t_i of each unit, where it is the same for all examples of a pattern; its mean is 0."""
    observed: Floats | None = None
    """(G,) p_a, where it is made of it."""
    expected: Floats | None = None
    """(G,) p_e."""

    @property
    def standard_error(self) -> Floats:
        """sqrt(sum d^2 / (n (n - 1))); NaN from fewer than two examples."""
        return np.sqrt(ratio(self.squares, np.maximum(self.n * (self.n - 1), 0)))


def estimate(
    units: Units, value: Floats, n: Floats, influence: Floats, deviation: Floats | None = None
) -> Estimate:
    """An estimate from t_i, and d_i where these differ."""
    d = influence if deviation is None else deviation
    moments = (units.over_units(influence**power) for power in (2, 3))
    return Estimate(value, n, units.over_units(d**2), acceleration(*moments), influence)


def acceleration(squares: Floats, cubes: Floats) -> Floats:
    """0 where nothing varies."""
    return np.nan_to_num(ratio(cubes, 6 * squares**1.5))


def kappa(units: Units, found: Sums, weights: Weights, expected: Expected) -> Estimate:
    """A coefficient of p_a and p_e."""
    chance = expected(ratio(found.shares, found.N[:, None]), weights)
    value = kappa_value(found, chance.p_e)
    observed = observed_part(units, found, weights, value, chance.p_e)
    excess = units.dot(chance.slope) / units.n - units.of_group(chance.p_e)
    deviation = observed - units.of_group(expected_factor(value, chance.p_e)) * excess
    influence = deviation + single_part(units, found, value)
    made = estimate(units, value, found.N, influence, deviation)
    return replace(made, observed=ratio(found.agreement, found.N2), expected=chance.p_e)


def single_part(units: Units, found: Sums, value: Floats) -> Floats:
    """(U,) t_i - d_i = kappa (1 - (N / N2) 1[n_i >= 2]): what is lost by taking N2 / N as given."""
    return units.of_group(value) * (1 - units.of_group(ratio(found.N, found.N2)) * units.pairable)


def kappa_value(found: Sums, p_e: Floats) -> Floats:
    """(p_a - p_e) / (1 - p_e)."""
    return corrected(ratio(found.agreement, found.N2), p_e)


def observed_part(
    units: Units, found: Sums, weights: Weights, value: Floats, p_e: Floats
) -> Floats:
    """(U,) (N / N2) (a_i - p_e 1[n_i >= 2]) / (1 - p_e) - kappa."""
    factor = ratio(found.N, found.N2 * room(p_e))
    above = mean_agreement(units, weights) - units.of_group(p_e) * units.pairable
    return units.of_group(factor) * above - units.of_group(value)


def expected_factor(value: Floats, p_e: Floats) -> Floats:
    """2 (1 - kappa) / (1 - p_e)."""
    return ratio(2 * (1 - value), room(p_e))


def alpha(units: Units, found: PairableSums, weights: Weights) -> Estimate:
    """Krippendorff's alpha."""
    chance = fleiss(ratio(found.counts, found.R2[:, None]), weights)
    own, of = ratio(found.agreement, found.R2), units.of_group
    inner = corrected(own, chance.p_e)
    r = of(ratio(found.R2, found.N2))
    p_a, p_e, excess = of(_with_own(own, found.R2)), of(chance.p_e), (units.n - r) / r
    a = pair_agreement(units, weights) / r - p_a * excess
    e = units.dot(chance.slope) / r - p_e * excess
    influence = (a - p_e) / of(room(chance.p_e)) - of(expected_factor(inner, chance.p_e)) * (
        e - p_e
    )
    deviation = np.where(units.pairable, influence - of(inner), 0.0)
    made = estimate(units, alpha_value(found, weights), found.N2, deviation)
    return replace(made, observed=_with_own(own, found.R2), expected=chance.p_e)


def alpha_value(found: PairableSums, weights: Weights) -> Floats:
    """1 - D_o / D_e."""
    p_e = fleiss(ratio(found.counts, found.R2[:, None]), weights).p_e
    return corrected(_with_own(ratio(found.agreement, found.R2), found.R2), p_e)


def _with_own(p_a: Floats, R2: Floats) -> Floats:
    """(1 - 1/R2) p_a + 1/R2: alpha's pairs are drawn with each annotation's own."""
    return p_a + ratio(1 - p_a, R2)


def mid_ranks(counts: Floats) -> Floats:
    """(..., K): n_1 + ... + n_(k-1) + n_k / 2, the scores of the ordinal alpha.

    Its distance (sum_{g=k..l} n_g - (n_k + n_l) / 2)^2 is the squared distance of these.
    """
    return np.cumsum(counts, axis=-1) - counts / 2
