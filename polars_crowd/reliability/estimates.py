"""The engine: from what was gathered of a log to coefficients with their intervals.

rounds, grouping = request.open(log)
evidence = gather(rounds, grouping, request)       one round: patterns, annotators' labels (two for some)
found = estimates(evidence, request)               every coefficient of every group
result = report(evidence, found)                   one row per group and coefficient
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import erfc, sqrt

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.errors import Advice, OptionError
from polars_crowd.reliability import who_voted
from polars_crowd.reliability.chance import Estimate
from polars_crowd.reliability.evidence import Evidence
from polars_crowd.reliability.intervals import (
    Uncertainty,
    ValueOf,
    bca,
    of_share,
    replicates,
    stacked,
    too_many_draws,
)
from polars_crowd.reliability.kinds import Coefficient
from polars_crowd.reliability.request import OF_SHARES, Request
from polars_crowd.reliability.scales import PLAIN
from polars_crowd.reliability.soundness import sound, without

TOO_MANY = "analytic interval: too many examples differ to draw them anew"
MOST_DRAWN = 2_000
"""Groups whose examples are drawn anew: each takes up to half a second."""
ANALYTIC = Advice(
    f"Take other intervals, or at most {MOST_DRAWN:,} groups",
    "interval='analytic'",
    "--interval analytic",
)
NO_NULL = "no p-value: its standard error is known where examples have equally many annotations"
NULL_IS_FLAT = "no p-value: an annotator gave all examples the same label"
NOT_DRAWN = "analytic interval: two-way forms are not drawn anew"


@dataclass(frozen=True)
class Found:
    """One coefficient of every group, with its interval."""

    estimate: Estimate
    uncertainty: Uncertainty
    warning: Sequence[str | None]
    """(G,) what limits the interval."""
    reason: Sequence[str | None]
    """(G,) why there is no interval, where that is not for the want of examples."""


def estimates(evidence: Evidence, request: Request) -> dict[Coefficient, Found]:
    """Every coefficient of every group.

    Raises
    ------
    OptionError
        There are too many groups to draw their examples anew.
    """
    if request.interval == "bootstrap" and evidence.n_groups > MOST_DRAWN:
        many = (
            f"it draws the examples of each group anew, and there are {evidence.n_groups:,} groups."
        )
        raise OptionError("interval", "bootstrap", many, ANALYTIC)
    with np.errstate(invalid="ignore", divide="ignore"):
        blocks = [_estimates(block, request) for _, block in evidence.blocks()]
    return {c: _joined([block[c] for block in blocks]) for c in request.coefficients}


def _joined(parts: Sequence[Found]) -> Found:
    if len(parts) == 1:
        return parts[0]
    columns = ("value", "n", "squares", "acceleration")
    estimate = Estimate(*(np.concatenate([getattr(p.estimate, c) for p in parts]) for c in columns))
    for c in ("observed", "expected"):
        values = [getattr(p.estimate, c) for p in parts]
        if all(v is not None for v in values):
            estimate = replace(estimate, **{c: np.concatenate(values)})
    uncertainty = stacked([part.uncertainty for part in parts])
    warning, reason = ([w for p in parts for w in getattr(p, c)] for c in ("warning", "reason"))
    return Found(estimate, uncertainty, warning, reason)


def _estimates(evidence: Evidence, request: Request) -> dict[Coefficient, Found]:
    points = {c: c.estimate_if_known(evidence) for c in request.coefficients}
    intervals = {c: c.interval(found, evidence, request.confidence) for c, found in points.items()}
    warnings: dict[Coefficient, list[str | None]] = {c: [None] * evidence.n_groups for c in points}
    amiss = {c: c.no_cover(found, evidence) for c, found in points.items()}
    if request.interval == "bootstrap":
        for group in range(evidence.n_groups):
            drawn = {c: found for c, found in points.items() if amiss[c][group] is None}
            _resample_group(group, evidence, request, drawn, intervals, warnings)
    if request.interval in OF_SHARES:
        n = evidence.units.over_units(evidence.units.pairable)
        intervals = {c: _of_share(points[c], n, intervals[c], request) for c in points}
    found = {
        c: _sound(c, points[c], intervals[c], warnings[c], amiss[c], evidence, request.confidence)
        for c in points
    }
    if request.tested_by == "null":
        return {c: _under_null(one, c.null_error(evidence)) for c, one in found.items()}
    return found


def _of_share(point: Estimate, n: Floats, found: Uncertainty, request: Request) -> Uncertainty:
    """With the interval of a share of n examples, and no p-value."""
    low, high = of_share(request.interval, point.value, n, request.confidence)
    return Uncertainty(found.standard_error, low, high, np.full(len(n), np.nan))


def _under_null(found: Found, error: Floats) -> Found:
    """With p-values by the standard error of no agreement beyond chance."""
    z = found.estimate.value / np.where(error > 0, error, np.nan)
    p = np.array([erfc(abs(one) / sqrt(2)) for one in z.tolist()])
    undefined = np.isnan(found.estimate.value)
    why = [
        None if no_value else NO_NULL if np.isnan(se) else None if se > 0 else NULL_IS_FLAT
        for no_value, se in zip(undefined.tolist(), error.tolist(), strict=True)
    ]
    return replace(
        found,
        uncertainty=replace(found.uncertainty, p_value=p),
        warning=_first(why, found.warning),
    )


def _sound(
    coefficient: Coefficient,
    point: Estimate,
    interval: Uncertainty,
    warning: Sequence[str | None],
    amiss: Sequence[str | None],
    evidence: Evidence,
    confidence: float,
) -> Found:
    """With intervals as they can be given; `amiss` is why there would be none that covers."""
    interval = without(interval, np.array([why is not None for why in amiss]), error=True)
    warning = _first(warning, coefficient.caution(point, evidence))
    if not coefficient.takes_classes:
        return Found(point, interval, warning, amiss)
    plain = coefficient.measure(evidence.scales)[0] in PLAIN
    is_share = coefficient.name == "percent_agreement" and plain
    interval, reason = sound(point, interval, confidence, is_share=is_share)
    return Found(point, interval, warning, _first(amiss, reason))


def _first(texts: Sequence[str | None], others: Sequence[str | None]) -> list[str | None]:
    return [one or other for one, other in zip(texts, others, strict=True)]


# --- bootstrap -------------------------------------------------------------------------------------


def _resample_group(
    group: int,
    evidence: Evidence,
    request: Request,
    points: Mapping[Coefficient, Estimate],
    intervals: dict[Coefficient, Uncertainty],
    warnings: dict[Coefficient, list[str | None]],
) -> None:
    """Put bootstrap intervals in the place of the analytic ones of a group, where that can be done."""
    one = evidence.of_groups(group, group + 1)
    asked = [c for c in points if np.isfinite(points[c].value[group])]
    samples = _samples(one, asked, request, np.random.default_rng([request.seed, group]))
    for c in asked:
        if c not in samples:
            warnings[c][group] = TOO_MANY if c.drawn_from else NOT_DRAWN
            continue
        acceleration = float(points[c].acceleration[group])
        found = bca(float(points[c].value[group]), samples[c], acceleration, request.confidence)
        intervals[c] = intervals[c].replaced(group, found)


def _samples(
    evidence: Evidence, asked: Sequence[Coefficient], request: Request, rng: np.random.Generator
) -> dict[Coefficient, Floats]:
    """(B,) replicates of each coefficient of one group."""
    n_boot, signed, found = request.n_boot, evidence.signed, {}
    of_votes: dict[Coefficient, ValueOf] = {
        c: partial(c.of_sample, evidence=evidence) for c in asked if c.drawn_from == "votes"
    }
    if of_votes and not too_many_draws(evidence.units, n_boot):
        found = replicates(evidence.units, of_votes, n_boot, rng)
    of_who = {c: c.of_times for c in asked if c.drawn_from == "who voted"}
    if of_who and signed is not None and not signed.too_many_draws(n_boot):
        found |= who_voted.replicates(signed, of_who, evidence.scales.weights, n_boot, rng)
    return found
