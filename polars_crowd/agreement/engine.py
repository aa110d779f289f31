"""The engine: from a log to coefficients with their intervals, in one round (two for some).

    rounds = open_rounds(log, ...)
    evidence = gather(rounds, grouping, request)       one round: patterns, annotators' labels
    found = estimates(evidence, request)               every coefficient of every group
    result = report(evidence, found, request)          one row per group and coefficient

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
from polars_crowd.partitions import Rounds

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
APART = 0.2
"""How far kappa and AC1 may part before the reader is warned."""


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
    wanted: NDArray[np.bool_] = of_two | (of_all & _few_annotations(evidence))
    return wanted


def _few_annotations(evidence: Evidence) -> NDArray[np.bool_]:
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


# --- report ----------------------------------------------------------------------------------------

COUNTS = ("n_examples", "n_annotators", "n_annotations", "n_pairable")
UNCERTAINTY = ("standard_error", "ci_low", "ci_high", "p_value")


def report(evidence: Evidence, found: Mapping[str, Found]) -> pl.DataFrame:
    """One row per group and coefficient, groups in order."""
    warning = _prevalence(evidence)
    parts = [_rows(c, at, evidence, f, warning) for at, (c, f) in enumerate(found.items())]
    return pl.concat(parts).sort("group", "place").drop("group", "place")


def _rows(
    coefficient: str, place: int, evidence: Evidence, found: Found, warning: Sequence[str | None]
) -> pl.DataFrame:
    G, counts = evidence.n_groups, evidence.counts
    if coefficient == "percent_agreement" or coefficient in ICC:
        warning = [None] * G
    notes = [
        "; ".join(filter(None, both)) or None for both in zip(warning, found.warning, strict=True)
    ]
    numbers = {"value": found.estimate.value}
    numbers |= {c: getattr(found.uncertainty, c) for c in UNCERTAINTY}
    rows = pl.DataFrame(
        {
            "coefficient": [coefficient] * G,
            **{c: pl.Series(v).fill_nan(None) for c, v in numbers.items()},
            **{c: counts[c].round().astype(np.int64) for c in COUNTS},
            "reason": pl.Series(_reasons(coefficient, evidence, found), dtype=pl.String),
            "warning": pl.Series(notes, dtype=pl.String),
            "group": range(G),
            "place": [place] * G,
        }
    )
    return pl.concat([evidence.groups, rows], how="horizontal") if evidence.groups.width else rows


def _prevalence(evidence: Evidence) -> list[str | None]:
    """Where kappa and AC1 part: one class is so common that chance explains most agreement."""
    units = evidence.units
    K = units.n_classes
    plain = Scales(Identity(K), "nominal", np.arange(K, dtype=np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs = [pattern_value(c, units, plain) for c in ("fleiss_kappa", "gwet_ac1")]
    return [
        f"prevalence: Fleiss' kappa {a:.2f} and Gwet's AC1 {b:.2f} part by more than {APART}"
        if abs(a - b) > APART
        else None
        for a, b in zip(*pairs, strict=True)
    ]


def _reasons(coefficient: str, evidence: Evidence, found: Found) -> list[str | None]:
    return [_reason(coefficient, g, evidence, found) for g in range(evidence.n_groups)]


def _reason(coefficient: str, g: int, evidence: Evidence, found: Found) -> str | None:
    """Why a value or its interval is null."""
    if np.isfinite(found.estimate.value[g]):
        undefined = not np.isfinite(found.uncertainty.ci_low[g])
        return "no interval: it takes two examples or more" if undefined else None
    annotators = int(evidence.counts["n_annotators"][g])
    if annotators < 2:
        return "one annotator only"
    if coefficient in OF_TWO and annotators != 2:
        return f"compares two annotators, here are {annotators:,}: see conger_kappa"
    if not evidence.counts["n_pairable"][g]:
        return "no overlap: no example has two annotations"
    if coefficient in ICC:
        return _reason_of_icc(ICC[coefficient], g, evidence)
    if coefficient == "light_kappa" and not _few_annotations(evidence)[g]:
        return f"over {MAX_PAIRS:,} pairs of annotations: see conger_kappa"
    if coefficient == "light_kappa" and evidence.units.n_classes > 1:
        return "undefined for every pair of annotators"
    return "one class only is used: agreement by chance is certain"


def _reason_of_icc(form: str, g: int, evidence: Evidence) -> str:
    if not evidence.scales.are_numbers:
        return "the labels are no numbers"
    at = evidence.mean_squares
    if form not in ONE_WAY and np.isnan(at.MSE[g]):
        return "not every annotator labelled every example: see icc(1)"
    return "the labels do not vary"
