"""What an interval must hold, and what is said where it cannot.

An interval goes by how much examples differ in what they add to a coefficient. Where nothing differs there
is none: of percent agreement that is 0 or 1 Wilson's (1927) takes its place, [n / (n + z^2), 1] of n examples
that all agree; of other coefficients it is null. Nor is there one whose replicates all lie on one side of the
value. An interval ends at the least and the largest value that the coefficient can have. Where nearly all
that differs is one example, the interval is there and a warning says so.
"""

from __future__ import annotations

import numpy as np

from polars_crowd.arrays import Flags, Floats
from polars_crowd.numerics.shares import wilson
from polars_crowd.reliability.chance import EXACT, Estimate
from polars_crowd.reliability.intervals import Uncertainty

NOTHING_VARIES = "no interval: every example adds the same, so that nothing varies"
ONE_SIDED = "no interval: all replicates lie on one side of the value"
ONE_EXAMPLE = "nearly all that varies is one example: the interval may be far too narrow"
LEAST = -1.0
CARRIED = 0.7
"""The share |sum t^3| / (sum t^2)^(3/2) from which one example carries the interval: 1 if it is all."""
FEW = 10
"""With fewer examples each of them is much."""


def flat(found: Uncertainty) -> Flags:
    """Where an interval has no width."""
    width: Flags = found.ci_high - found.ci_low <= EXACT
    return width


def beside(value: Floats, found: Uncertainty) -> Flags:
    """Where an interval does not hold the value."""
    out: Flags = (value < found.ci_low - EXACT) | (value > found.ci_high + EXACT)
    return out


def without(found: Uncertainty, where: Flags, *, error: bool = False) -> Uncertainty:
    """The same without intervals, nor p-values, in some groups; with `error` nor standard errors."""
    kept = {c: np.where(where, np.nan, getattr(found, c)) for c in ("ci_low", "ci_high", "p_value")}
    standard_error = np.where(where & error, np.nan, found.standard_error)
    return Uncertainty(standard_error, **kept)


def of_nothing(value: Floats, n: Floats, confidence: float, found: Uncertainty) -> Uncertainty:
    """Wilson's interval of a share that is 0 or 1, where the other has no width."""
    there = flat(found)
    ends = wilson(np.round(value), n, confidence)
    low, high = (
        np.where(there, end, other)
        for end, other in zip(ends, (found.ci_low, found.ci_high), strict=True)
    )
    return Uncertainty(found.standard_error, low, high, np.where(there, np.nan, found.p_value))


def sound(
    estimate: Estimate, found: Uncertainty, confidence: float, *, is_share: bool
) -> tuple[Uncertainty, list[str | None]]:
    """Intervals as they can be given, and why there is none. `is_share`: of examples that agree."""
    value = estimate.value
    if is_share:
        found = of_nothing(value, estimate.n, confidence, found)
    nothing, aside = flat(found), beside(value, found)
    reasons = [
        NOTHING_VARIES if flat_one else ONE_SIDED if one_sided else None
        for flat_one, one_sided in zip(nothing, aside, strict=True)
    ]
    found = without(found, nothing | aside)
    least = np.minimum(value, 0.0 if is_share else LEAST)
    low = np.maximum(found.ci_low, least)
    return Uncertainty(found.standard_error, low, found.ci_high, found.p_value), reasons


def carried(estimate: Estimate) -> list[str | None]:
    """Where one example carries the interval."""
    share = 6 * np.abs(estimate.acceleration)
    is_carried = (share > CARRIED) & (estimate.n >= FEW)
    return [ONE_EXAMPLE if one else None for one in is_carried]
