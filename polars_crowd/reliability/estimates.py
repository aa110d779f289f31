"""The engine: from a log to coefficients with their intervals, in one round (two for some).

    rounds = open_rounds(log, ...)
    evidence = gather(rounds, grouping, request)       one round: patterns, annotators' labels
    found = estimates(evidence, request)               every coefficient of every group
    result = report(evidence, found)                   one row per group and coefficient (`result.py`)

A coefficient that does not ask who voted is a function of `Units` (`PATTERNS`); it can be called on any
units: a partition's, a pool's, one class against the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.reliability import who_voted
from polars_crowd.reliability.chance import Estimate, sums
from polars_crowd.reliability.evidence import ICC, OF_TWO, Evidence
from polars_crowd.reliability.icc import ONE_WAY, icc_interval, icc_value, mean_squares
from polars_crowd.reliability.intervals import (
    Uncertainty,
    ValueOf,
    analytic,
    bca,
    replicates,
    stacked,
    too_many_draws,
)
from polars_crowd.reliability.patterns import Units
from polars_crowd.reliability.request import Request
from polars_crowd.reliability.scales import BY_PATTERN, pattern_estimate, pattern_value

# --- values of classes -----------------------------------------------------------------------------


# --- evidence --------------------------------------------------------------------------------------


# --- estimates -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """One coefficient of every group, with its interval."""

    estimate: Estimate
    uncertainty: Uncertainty
    warning: Sequence[str | None]
    """(G,) what limits the interval."""


def estimates(evidence: Evidence, request: Request) -> dict[str, Found]:
    """Every coefficient of every group."""
    with np.errstate(invalid="ignore", divide="ignore"):
        blocks = [_estimates(block, request) for _, block in evidence.blocks()]
    return {c: _joined([block[c] for block in blocks]) for c in request.coefficients}


def _joined(parts: Sequence[Found]) -> Found:
    if len(parts) == 1:
        return parts[0]
    columns = ("value", "n", "squares", "acceleration")
    estimate = Estimate(*(np.concatenate([getattr(p.estimate, c) for p in parts]) for c in columns))
    uncertainty = stacked([part.uncertainty for part in parts])
    return Found(estimate, uncertainty, [w for part in parts for w in part.warning])


def _estimates(evidence: Evidence, request: Request) -> dict[str, Found]:
    points = {c: _estimate(c, evidence) for c in request.coefficients}
    intervals = {c: _analytic(c, points[c], evidence, request.confidence) for c in points}
    warnings: dict[str, list[str | None]] = {c: [None] * evidence.n_groups for c in points}
    if request.interval == "bootstrap":
        for group in range(evidence.n_groups):
            _resample_group(group, evidence, request, points, intervals, warnings)
    return {c: Found(points[c], intervals[c], warnings[c]) for c in points}


def _analytic(
    coefficient: str, found: Estimate, evidence: Evidence, confidence: float
) -> Uncertainty:
    if coefficient in ICC:
        return icc_interval(ICC[coefficient], evidence.mean_squares, confidence)
    return analytic(found.value, found.standard_error, found.n, confidence)


def _estimate(coefficient: str, evidence: Evidence) -> Estimate:
    units, scales = evidence.units, evidence.scales
    if coefficient in ICC:
        value = icc_value(ICC[coefficient], evidence.mean_squares)
        zero = np.zeros(evidence.n_groups)
        return Estimate(value, evidence.counts["num_examples"], zero, zero)
    if coefficient in OF_TWO or coefficient == "light_kappa":
        return _signed_estimate(coefficient, evidence)
    if coefficient == "conger_kappa":
        assert evidence.spread is not None
        found = sums(units, scales.weights)
        return who_voted.conger(units, found, scales.weights, evidence.chance, evidence.spread)
    return pattern_estimate(coefficient, units, scales)


def _signed_estimate(coefficient: str, evidence: Evidence) -> Estimate:
    """Cohen, Scott, Light: NaN for the groups that were not looked at."""
    if evidence.signed is None:
        nothing = np.full(evidence.n_groups, np.nan)
        return Estimate(nothing, np.zeros(evidence.n_groups), nothing, nothing)
    if coefficient == "light_kappa":
        return who_voted.light(evidence.signed, evidence.scales.weights)
    two = evidence.profiles.n_annotators == 2
    return who_voted.of_two(evidence.signed, two, evidence.scales.weights, OF_TWO[coefficient])


# --- bootstrap -------------------------------------------------------------------------------------


def _resample_group(
    group: int,
    evidence: Evidence,
    request: Request,
    points: Mapping[str, Estimate],
    intervals: dict[str, Uncertainty],
    warnings: dict[str, list[str | None]],
) -> None:
    """Put bootstrap intervals in the place of the analytic ones of a group, where that can be done."""
    one = evidence.of_groups(group, group + 1)
    asked = [c for c in points if np.isfinite(points[c].value[group])]
    samples = _samples(one, asked, request, np.random.default_rng([request.seed, group]))
    for c in asked:
        if c not in samples:
            warnings[c][group] = "analytic interval: too many examples differ to draw them anew"
            continue
        acceleration = float(points[c].acceleration[group])
        found = bca(float(points[c].value[group]), samples[c], acceleration, request.confidence)
        intervals[c] = intervals[c].replaced(group, found)


def _samples(
    evidence: Evidence, asked: Sequence[str], request: Request, rng: np.random.Generator
) -> dict[str, Floats]:
    """(B,) replicates of each coefficient of one group."""
    scales, found = evidence.scales, {}
    by_pattern = [c for c in asked if c in BY_PATTERN or c == "krippendorff_alpha"]
    by_pattern += [c for c in asked if ICC.get(c) in ONE_WAY]
    if by_pattern and not too_many_draws(evidence.units, request.n_boot):
        values: dict[str, ValueOf] = {
            c: partial(_replicated, c, evidence=evidence) for c in by_pattern
        }
        found = replicates(evidence.units, values, request.n_boot, rng)
    signed = [c for c in asked if c not in by_pattern]
    if (
        signed
        and evidence.signed is not None
        and not evidence.signed.too_many_draws(request.n_boot)
    ):
        found |= who_voted.replicates(evidence.signed, signed, scales.weights, request.n_boot, rng)
    return found


def _replicated(coefficient: str, sample: Units, evidence: Evidence) -> Floats:
    """(B,) values of a coefficient that does not ask who voted."""
    if coefficient in ICC:
        at = mean_squares(sample, evidence.profiles.units, evidence.scales.values)
        return icc_value(ICC[coefficient], at)
    return pattern_value(coefficient, sample, evidence.scales)
