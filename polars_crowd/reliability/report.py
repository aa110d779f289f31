"""The result: one row per group and coefficient, and the reasons for what is null in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.compatible import HORIZONTAL
from polars_crowd.reliability.estimates import Found
from polars_crowd.reliability.evidence import Evidence
from polars_crowd.reliability.kinds import Coefficient
from polars_crowd.reliability.registry import KNOWN
from polars_crowd.reliability.scales import PLAIN, Scales

APART = 0.2
"""How far kappa and AC1 may part before the reader is warned."""
COUNTS = ("num_examples", "num_annotators", "num_annotations", "num_pairable")
UNCERTAINTY = ("ci_low", "ci_high", "standard_error", "p_value")
AGREEMENT = {"observed_agreement": "observed", "expected_agreement": "expected"}
"""The columns of p_a and p_e, and what they are called of an estimate."""
NUMBERS = ("value", *UNCERTAINTY, *AGREEMENT)
TEXTS = ("weights", "level", "reason", "warning")
COLUMNS = (
    *("coefficient", *NUMBERS),
    *(*TEXTS, *COUNTS),
)
"""Polars prints the first four columns of a wide frame and the last four: the interval and the counts."""


def report(evidence: Evidence, found: Mapping[Coefficient, Found]) -> pl.DataFrame:
    """One row per group and coefficient, groups in order."""
    nothing, notes = [None] * evidence.n_groups, _scale_notes(list(found), evidence.scales)
    prevalence = _prevalence(evidence) if any(c.is_corrected for c in found) else nothing
    parts = []
    for place, (c, one) in enumerate(found.items()):
        first = prevalence if c.is_corrected else nothing
        warnings = [_joined(*all_of, notes[c]) for all_of in zip(first, one.warning, strict=True)]
        in_order = {"group": range(evidence.n_groups), "place": [place] * evidence.n_groups}
        parts.append(_rows(c, evidence, one, {**in_order, "warning": warnings}))
    rows = pl.concat(parts).sort("group", "place")
    values = pl.col(NUMBERS).fill_nan(None)
    return evidence.grouping.named(
        rows.with_columns(values).select(pl.exclude(*COLUMNS, "group", "place"), *COLUMNS)
    )


def _joined(*texts: str | None) -> str | None:
    return "; ".join(filter(None, texts)) or None


def _rows(
    coefficient: Coefficient, evidence: Evidence, found: Found, beside: Mapping[str, Any]
) -> pl.DataFrame:
    """The rows of one coefficient, a group each, with what is beside them."""
    numbers = {"value": found.estimate.value}
    numbers |= {c: getattr(found.uncertainty, c) for c in UNCERTAINTY}
    unknown = np.full(evidence.n_groups, np.nan)
    made_of = {c: getattr(found.estimate, of) for c, of in AGREEMENT.items()}
    numbers |= {c: unknown if values is None else values for c, values in made_of.items()}
    weights, level = coefficient.measure(evidence.scales)
    rows = pl.DataFrame(
        {
            "coefficient": [coefficient.name] * evidence.n_groups,
            **numbers,
            **{c: evidence.counts[c].round().astype(np.int64) for c in COUNTS},
            **_unknown(evidence),
            "weights": [weights] * evidence.n_groups,
            "level": [level] * evidence.n_groups,
            "reason": _reasons(coefficient, evidence, found),
            **beside,
        },
        schema_overrides=dict.fromkeys(TEXTS, pl.String),
    )
    return pl.concat([evidence.groups, rows], how=HORIZONTAL) if evidence.groups.width else rows


def _unknown(evidence: Evidence) -> dict[str, pl.Series]:
    """The number of annotators where nobody knows who they are."""
    null = pl.Series([None] * evidence.n_groups, dtype=pl.Int64)
    return {"num_annotators": null} if evidence.is_anonymous else {}


def _reasons(coefficient: Coefficient, evidence: Evidence, found: Found) -> list[str | None]:
    """Why values or their intervals are null."""
    has_value = np.isfinite(found.estimate.value)
    has_interval = np.isfinite(found.uncertainty.ci_low)
    reasons: list[str | None] = [None] * evidence.n_groups
    for group in np.flatnonzero(~has_interval).tolist():
        reasons[group] = found.reason[group] or coefficient.no_interval
    for group in np.flatnonzero(~has_value).tolist():
        reasons[group] = coefficient.reason(evidence, group)
    return reasons


# --- warnings --------------------------------------------------------------------------------------


def _prevalence(evidence: Evidence) -> Sequence[str | None]:
    """Where kappa and AC1 part: one class is so common that chance explains most agreement."""
    plain = replace(evidence, scales=Scales.plain(evidence.units.n_classes))
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs = [KNOWN[c].of_sample(plain.units, plain) for c in ("fleiss_kappa", "gwet_ac1")]
    return [
        f"prevalence: Fleiss' kappa {a:.2f} and Gwet's AC1 {b:.2f} part by more than {APART}"
        if abs(a - b) > APART
        else None
        for a, b in zip(*pairs, strict=True)
    ]


def _scale_notes(
    coefficients: Sequence[Coefficient], scales: Scales
) -> dict[Coefficient, str | None]:
    """Where some coefficients tell near labels from far ones and others do not, a note on the others."""
    goes_by = {c: _joined(*c.measure(scales)) for c in coefficients if c.takes_classes}
    scaled = [f"{c.name} goes by {name!r}" for c, name in goes_by.items() if name not in PLAIN]
    notes: dict[Coefficient, str | None] = dict.fromkeys(coefficients)
    for c, name in goes_by.items():
        if scaled and name in PLAIN:
            notes[c] = f"labels are equal or not here, while {scaled[0]}: {c.remedy}"
    return notes
