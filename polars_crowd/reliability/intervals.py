"""Intervals: Student's t around the value with the linearised standard error, or a bootstrap.

se = sqrt(sum_i d_i^2 / (n (n - 1))),   d_i the deviations of the influence values
ci = value -+ t_{n-1, (1 + confidence)/2} se, at most 1,    p = P(|t_{n-1}| >= |value| / se)

A bootstrap draws N examples anew with replacement, which is one multinomial draw of how often each pattern
comes, so that B replicates cost B x patterns, and never another look at the log. Its intervals are
bias-corrected and accelerated (BCa; Efron 1987), or plain percentiles where all replicates lie on one side
of the value: with z0 = Phi^-1(share of replicates below the value), a the
acceleration from the influence of the examples, and z the normal quantile of either end,

    ends = the replicates' quantiles at Phi(z0 + (z0 + z) / (1 - a (z0 + z)))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from polars_crowd.arrays import Array, Floats
from polars_crowd.numerics.shares import wilson
from polars_crowd.numerics.special import f_quantile, normal, t_quantile, t_tails
from polars_crowd.reliability.units import Units

HIGHEST = 1.0


@dataclass(frozen=True)
class Uncertainty:
    """(G,) each; NaN where there is none."""

    standard_error: Floats
    ci_low: Floats
    ci_high: Floats
    p_value: Floats

    @classmethod
    def none(cls, n_groups: int) -> Uncertainty:
        """No interval."""
        return cls(*(np.full(n_groups, np.nan) for _ in range(4)))

    def replaced(self, group: int, other: Uncertainty) -> Uncertainty:
        """The same with those of one group (of `other`, which has one) in their place."""
        columns = {c: getattr(self, c).copy() for c in self.__dataclass_fields__}
        for name, values in columns.items():
            values[group] = getattr(other, name)[0]
        return Uncertainty(**columns)


def analytic(
    value: Floats, error: Floats, n: Floats, confidence: float, highest: float = HIGHEST
) -> Uncertainty:
    """The interval and the p-value of a t statistic."""
    quantile = np.array([_quantile(confidence, float(df)) for df in n - 1])
    tails = [_tails(v, se, float(df)) for v, se, df in zip(value, error, n - 1, strict=True)]
    return Uncertainty(
        standard_error=error,
        ci_low=value - quantile * error,
        ci_high=np.minimum(value + quantile * error, highest),
        p_value=np.array(tails),
    )


def _quantile(confidence: float, df: float) -> float:
    return t_quantile((1 + confidence) / 2, df) if df > 0 else np.nan


def _tails(value: float, error: float, df: float) -> float:
    if not (np.isfinite(value) and np.isfinite(error)) or df <= 0:
        return np.nan
    if error == 0:
        return float(value == 0)
    return t_tails(value / error, df)


def of_share(kind: str, share: Floats, n: Floats, confidence: float) -> tuple[Floats, Floats]:
    """The ends of Wilson's (1927) or Clopper and Pearson's (1934) interval of a share of n."""
    if kind == "wilson":
        return wilson(share, n, confidence)
    each = list(zip((share * n).tolist(), n.tolist(), strict=True))
    low = np.array([_exact_low(x, m, confidence) for x, m in each])
    high = np.array([1 - _exact_low(m - x, m, confidence) for x, m in each])
    return low, high


def _exact_low(x: float, n: float, confidence: float) -> float:
    """The share of which x or more of n are (1 - confidence) / 2 probable: a quantile of beta, by F."""
    if not (np.isfinite(x) and n > 0):
        return np.nan
    x = min(x, n)
    if x <= 0:
        return 0.0
    df1, df2 = 2 * x, 2 * (n - x + 1)
    odds = x / (n - x + 1) * f_quantile((1 - confidence) / 2, df1, df2)
    return odds / (1 + odds)


# --- bootstrap -------------------------------------------------------------------------------------

CELLS = 1 << 24
"""Replicates times entries that are worked on at once."""
MAX_DRAWS = 1 << 31
"""Replicates times patterns up to which they are drawn at all."""

Name = TypeVar("Name")
ValueOf = Callable[[Units], Floats]
"""A coefficient of units: its value in each group."""


@dataclass(frozen=True)
class Resampled(Units):
    """Replicates of one group's units: what is a group elsewhere is a replicate here."""

    draws: Floats
    """(B, U) how often each unit was drawn."""

    def of_group(self, values: Floats) -> Floats:
        return values[:, None]

    def over_units(self, values: NDArray[Any]) -> Floats:
        """(U,) or (B, U) -> (B,)."""
        sums: Floats = (
            self.draws @ values if values.ndim == 1 else (self.draws * values).sum(axis=1)
        )
        return sums

    def by_label(self, values: Floats) -> Floats:
        """(U,) -> (B, K)."""
        order = np.argsort(self.label, kind="stable")
        label, start = np.unique(self.label[order], return_index=True)
        weight = (values[self.unit] * self.votes)[order]
        found = np.zeros((len(self.draws), self.n_classes))
        found[:, label] = np.add.reduceat(self.draws[:, self.unit[order]] * weight, start, axis=1)
        return found

    def at_labels(self, values: Floats) -> Floats:
        """(K,) -> (E,), or (B, K) -> (B, E)."""
        return values[..., self.label]


def too_many_draws(units: Units, n_boot: int) -> bool:
    return len(units.n) * n_boot > MAX_DRAWS


def draws_of(times: Array, width: int, n_boot: int, rng: np.random.Generator) -> Iterator[Floats]:
    """(b, U) blocks of `n_boot` draws in all of patterns that come `times` (U,) in the log.

    `width` is the number of values that are worked on for each draw: it sets the size of the blocks.
    """
    n_examples = int(times.sum())
    step = max(CELLS // max(width, 1), 1)
    for at in range(0, n_boot, step):
        size = min(step, n_boot - at)
        drawn = rng.multinomial(n_examples, times / n_examples, size=size)
        yield drawn.astype(np.float64)


def resample(units: Units, draws: Floats) -> Resampled:
    return Resampled(
        units.group,
        units.times,
        units.lengths,
        units.label,
        units.votes,
        len(draws),
        units.n_classes,
        draws,
    )


def replicates(
    units: Units, values: Mapping[Name, ValueOf], n_boot: int, rng: np.random.Generator
) -> dict[Name, Floats]:
    """(n_boot,) values of each coefficient on the same draws."""
    found: dict[Name, list[Floats]] = {name: [] for name in values}
    with np.errstate(invalid="ignore", divide="ignore"):
        for draws in draws_of(units.times, len(units.label), n_boot, rng):
            sample = resample(units, draws)
            for name, value_of in values.items():
                found[name].append(value_of(sample))
    return {name: np.concatenate(blocks) for name, blocks in found.items()}


def bca(
    value: float,
    sample: Floats,
    acceleration: float,
    confidence: float,
    highest: float = HIGHEST,
) -> Uncertainty:
    """The interval, standard error and p-value of one value from its replicates.

    Replicates in which the coefficient is undefined are left out; there is no interval if most are.
    """
    defined = np.sort(sample[np.isfinite(sample)])
    B = len(defined)
    if not np.isfinite(value) or len(sample) > 2 * B or B < 2:
        return Uncertainty.none(1)
    levels = [(1 + side * confidence) / 2 for side in (-1, 1)]
    if defined[0] > value or defined[-1] < value:  # no share below the value to correct for
        ends = [float(np.quantile(defined, level)) for level in levels]
    else:
        ends = [_end(value, defined, acceleration, level) for level in levels]
    beyond = min((defined <= 0).sum(), (defined >= 0).sum())
    return Uncertainty(
        standard_error=np.array([defined.std(ddof=1)]),
        ci_low=np.array([ends[0]]),
        ci_high=np.array([min(ends[1], highest)]),
        p_value=np.array([min(2 * (beyond + 1) / (B + 1), 1.0)]),
    )


def _end(value: float, defined: Floats, acceleration: float, p: float) -> float:
    B = len(defined)
    below = (defined < value).sum() + (defined == value).sum() / 2
    z0 = normal.inv_cdf(min(max(below / B, 0.5 / B), 1 - 0.5 / B))
    z = z0 + normal.inv_cdf(p)
    return float(np.quantile(defined, normal.cdf(z0 + z / (1 - acceleration * z))))


def stacked(parts: Sequence[Uncertainty]) -> Uncertainty:
    """One after another."""
    columns = ("standard_error", "ci_low", "ci_high", "p_value")
    return Uncertainty(*(np.concatenate([getattr(part, c) for part in parts]) for c in columns))
