"""The engine: from a log to coefficients with their intervals, in one round (two for some).

    rounds = open_rounds(log, ...)
    evidence = gather(rounds, grouping, request)       one round: patterns, annotators' labels
    found = estimates(evidence, request)               every coefficient of every group
    result = report(evidence, found)                   one row per group and coefficient (`result.py`)

A coefficient that does not ask who voted is a function of `Units` (`PATTERNS`); it can be called on any
units: a partition's, a pool's, one class against the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.agreement import annotatorwise
from polars_crowd.agreement.annotatorwise import Profiles, Signed
from polars_crowd.agreement.bootstrap import (
    ValueOf,
    bca,
    replicates,
    stacked,
    too_many_draws,
)
from polars_crowd.agreement.coefficients import (
    Estimate,
    Expected,
    alpha,
    alpha_value,
    brennan_prediger,
    fleiss,
    gwet,
    kappa,
    kappa_value,
    mid_ranks,
    pairable_sums,
    percent,
    ratio,
    sums,
)
from polars_crowd.agreement.grouping import Grouping
from polars_crowd.agreement.icc import ONE_WAY, MeanSquares, icc_interval, icc_value, mean_squares
from polars_crowd.agreement.intervals import Uncertainty, analytic
from polars_crowd.agreement.patterns import Floats, Units, count_patterns, merged_units
from polars_crowd.agreement.request import ICC_FORMS, Level, Request
from polars_crowd.agreement.weights import (
    MAX_CLASSES,
    Identity,
    Matrix,
    SquaredDistance,
    Weights,
    make_weights,
    ratio_distance,
)
from polars_crowd.errors import AnnotationError, shown
from polars_crowd.rounds import Rounds

BY_PATTERN: dict[str, Expected] = {
    "percent_agreement": percent,
    "fleiss_kappa": fleiss,
    "brennan_prediger": brennan_prediger,
    "gwet_ac1": gwet,
    "gwet_ac2": gwet,
}
ICC = {"icc": "icc(1)"} | {form: form for form in ICC_FORMS}
OF_TWO = {"cohen_kappa": annotatorwise.cohen, "scott_pi": annotatorwise.scott}
MAX_ROWS = 5_000_000
"""Annotations up to which the log is looked at annotator by annotator (Light, bootstrap of Conger)."""
MAX_PAIRS = 20_000_000
"""... and pairs of annotations of one example."""
BLOCK = 1 << 24
"""Cells of a (groups x classes) table that are worked on at once."""


# --- values of classes -----------------------------------------------------------------------------


def class_values(classes: pl.Series) -> Floats:
    """The numbers that classes are, or else their ranks 1 .. K."""
    if classes.dtype.is_numeric():
        return classes.cast(pl.Float64).to_numpy()
    return np.arange(1.0, len(classes) + 1)


@dataclass(frozen=True)
class Scales:
    """The weights of the coefficients, and the metric of alpha."""

    weights: Weights
    level: Level
    values: Floats
    are_numbers: bool = True
    """Whether the values are the labels themselves, not their ranks."""

    def of(self, coefficient: str) -> Weights:
        return Identity(len(self.values)) if coefficient == "gwet_ac1" else self.weights

    @cached_property
    def fixed_metric(self) -> Weights:
        if self.level == "nominal" or len(self.values) < 2:
            return Identity(len(self.values))
        if self.level == "interval":
            return SquaredDistance.scaled(self.values)
        if len(self.values) > MAX_CLASSES:
            raise ValueError(
                f"level='ratio' needs a matrix of {len(self.values):,} x {len(self.values):,}; at most "
                f"{MAX_CLASSES:,} different labels can be compared so. Round them, or use "
                "level='interval' on their logarithms."
            )
        distance = ratio_distance(self.values[:, None], self.values[None, :])
        return Matrix(1 - distance / max(distance.max(), 1e-300))

    def metric(self, units: Units) -> Weights:
        """Alpha's weights, 1 - distance: those of the ordinal level depend on the counts."""
        if self.level != "ordinal":
            return self.fixed_metric
        return SquaredDistance.scaled(mid_ranks(units.by_label(units.pairable.astype(np.float64))))


def pattern_estimate(coefficient: str, units: Units, scales: Scales) -> Estimate:
    """A coefficient that does not ask who voted, for every group of units."""
    if coefficient == "krippendorff_alpha":
        metric = scales.metric(units)
        return alpha(units, pairable_sums(units, metric), metric)
    weights = scales.of(coefficient)
    return kappa(units, sums(units, weights), weights, BY_PATTERN[coefficient])


def pattern_value(coefficient: str, units: Units, scales: Scales) -> Floats:
    """Its value alone: what is computed of each bootstrap replicate."""
    if coefficient == "krippendorff_alpha":
        metric = scales.metric(units)
        return alpha_value(pairable_sums(units, metric), metric)
    weights = scales.of(coefficient)
    found = sums(units, weights)
    p = ratio(found.shares, found.N[:, None])
    return kappa_value(found, BY_PATTERN[coefficient](p, weights).p_e)


# --- evidence --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evidence:
    """What is known of a log, or of some of its groups."""

    grouping: Grouping
    groups: pl.DataFrame
    """The group columns, a row per group; no columns without grouping."""
    units: Units
    profiles: Profiles
    scales: Scales
    spread: Floats | None = None
    """(3, U) of Conger's kappa."""
    signed: Signed | None = None

    @property
    def n_groups(self) -> int:
        return self.units.n_groups

    @cached_property
    def counts(self) -> dict[str, Floats]:
        """(G,) each: the columns of counts."""
        units = self.units
        return {
            "n_examples": units.over_units(np.ones(len(units.n))),
            "n_annotators": self.profiles.n_annotators,
            "n_annotations": units.over_units(units.n),
            "n_pairable": units.over_units(units.n * units.pairable),
        }

    @cached_property
    def chance(self) -> annotatorwise.CongerChance:
        return annotatorwise.conger_chance(self.profiles.units, self.scales.weights)

    @cached_property
    def mean_squares(self) -> MeanSquares:
        """NaN where the labels are no numbers."""
        values = self.scales.values if self.scales.are_numbers else self.scales.values * np.nan
        return mean_squares(self.units, self.profiles.units, values)

    def blocks(self) -> Iterator[tuple[int, Evidence]]:
        """The groups in blocks, with the first group of each."""
        step = max(BLOCK // max(self.units.n_classes, 1), 1)
        for first in range(0, self.n_groups, step):
            yield first, self.of_groups(first, min(first + step, self.n_groups))

    def of_groups(self, first: int, last: int) -> Evidence:
        if (first, last) == (0, self.n_groups):
            return self
        low, high = np.searchsorted(self.units.group, [first, last])
        return replace(
            self,
            groups=self.groups[first:last],
            units=self.units.of_groups(first, last),
            profiles=self.profiles.of_groups(first, last),
            spread=self.spread[:, low:high] if self.spread is not None else None,
            signed=self.signed.of_groups(first, last) if self.signed is not None else None,
        )


def gather(rounds: Rounds, grouping: Grouping, request: Request) -> Evidence:
    """One round over the log; a second where the request asks who voted."""
    merged = rounds.run(count_patterns, grouping)
    patterns = merged[(*grouping.keys, "pattern")]
    classes = rounds.book.classes
    values = class_values(classes)
    evidence = Evidence(
        grouping=grouping,
        groups=patterns.select(grouping.keys).unique(maintain_order=True),
        units=merged_units(patterns, grouping, len(classes)),
        profiles=Profiles.of(
            merged[(*grouping.keys, "annotator", "label")], grouping, len(classes)
        ),
        scales=Scales(
            make_weights(request.weights, values), request.level, values, classes.dtype.is_numeric()
        ),
    )
    check_annotators(rounds.book.annotators)
    if "conger_kappa" in request.coefficients:
        evidence = replace(evidence, spread=_conger_spread(rounds, evidence))
    wanted = _groups_to_sign(evidence, request)
    if wanted.any():
        evidence = replace(evidence, signed=_signed(rounds, evidence, wanted))
    return evidence


def check_annotators(annotators: pl.Series) -> None:
    """Agreement takes two annotators or more."""
    if len(annotators) < 2:
        raise AnnotationError(
            f"the log has one annotator only ({shown(annotators.to_list())}): agreement compares "
            "annotators, at least two. For one annotator's consistency over repeated labels, give each "
            "repetition its own annotator id."
        )


def _conger_spread(rounds: Rounds, evidence: Evidence) -> Floats:
    """Conger's second round: the sums of the powers of e_i - p_e over the examples of each pattern."""
    u = np.concatenate([_spread(block) for _, block in evidence.blocks()])
    spread = evidence.profiles.frame.drop("annotations").with_columns(u=u)
    merged = rounds.run(annotatorwise.count_spread, evidence.grouping, spread)
    sums_of = merged[(*evidence.grouping.keys, "pattern")]
    return np.stack([sums_of[c].to_numpy() for c in ("e1", "e2", "e3")])


def _spread(block: Evidence) -> Floats:
    profiles = block.profiles.units
    N = profiles.of_group(block.counts["n_examples"])
    return np.nan_to_num(N[profiles.unit] * block.chance.spread)


def _groups_to_sign(evidence: Evidence, request: Request) -> NDArray[np.bool_]:
    """The groups whose patterns of (annotator, label) are asked for, and small enough."""
    of_two = any(c in OF_TWO for c in request.coefficients) & (evidence.profiles.n_annotators == 2)
    of_all = "light_kappa" in request.coefficients or (
        "conger_kappa" in request.coefficients and request.interval == "bootstrap"
    )
    wanted: NDArray[np.bool_] = of_two | (of_all & few_annotations(evidence))
    return wanted


def few_annotations(evidence: Evidence) -> NDArray[np.bool_]:
    n = evidence.units.n
    pairs = evidence.units.over_units(n * (n - 1) / 2)
    return (evidence.counts["n_annotations"] <= MAX_ROWS) & (pairs <= MAX_PAIRS)


def _signed(rounds: Rounds, evidence: Evidence, wanted: NDArray[np.bool_]) -> Signed:
    groups = evidence.groups.filter(pl.Series(wanted)) if evidence.grouping.keys else None
    merged = rounds.run(annotatorwise.count_signed_patterns, evidence.grouping, groups)
    patterns = merged[(*evidence.grouping.keys, "pattern")]
    return Signed.of(patterns, evidence.grouping, evidence.groups, evidence.units)


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
        return Estimate(value, evidence.counts["n_examples"], zero, zero)
    if coefficient in OF_TWO or coefficient == "light_kappa":
        return _signed_estimate(coefficient, evidence)
    if coefficient == "conger_kappa":
        assert evidence.spread is not None
        found = sums(units, scales.weights)
        return annotatorwise.conger(units, found, scales.weights, evidence.chance, evidence.spread)
    return pattern_estimate(coefficient, units, scales)


def _signed_estimate(coefficient: str, evidence: Evidence) -> Estimate:
    """Cohen, Scott, Light: NaN for the groups that were not looked at."""
    if evidence.signed is None:
        nothing = np.full(evidence.n_groups, np.nan)
        return Estimate(nothing, np.zeros(evidence.n_groups), nothing, nothing)
    if coefficient == "light_kappa":
        return annotatorwise.light(evidence.signed, evidence.scales.weights)
    two = evidence.profiles.n_annotators == 2
    return annotatorwise.of_two(evidence.signed, two, evidence.scales.weights, OF_TWO[coefficient])


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
        found |= annotatorwise.replicates(
            evidence.signed, signed, scales.weights, request.n_boot, rng
        )
    return found


def _replicated(coefficient: str, sample: Units, evidence: Evidence) -> Floats:
    """(B,) values of a coefficient that does not ask who voted."""
    if coefficient in ICC:
        at = mean_squares(sample, evidence.profiles.units, evidence.scales.values)
        return icc_value(ICC[coefficient], at)
    return pattern_value(coefficient, sample, evidence.scales)
