"""The result: one row per group and coefficient, and the reasons for what is null in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from polars_crowd.reliability.estimates import Found
from polars_crowd.reliability.evidence import ICC, MAX_PAIRS, OF_TWO, Evidence, few_annotations
from polars_crowd.reliability.icc import ONE_WAY
from polars_crowd.reliability.scales import Scales, pattern_value
from polars_crowd.reliability.weights import Identity

APART = 0.2
"""How far kappa and AC1 may part before the reader is warned."""
COUNTS = ("num_examples", "num_annotators", "num_annotations", "num_pairable")
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
    annotators = int(evidence.counts["num_annotators"][g])
    if annotators < 2:
        return "one annotator only"
    if coefficient in OF_TWO and annotators != 2:
        return f"compares two annotators, here are {annotators:,}: see conger_kappa"
    if not evidence.counts["num_pairable"][g]:
        return "no overlap: no example has two annotations"
    if coefficient in ICC:
        return _reason_of_icc(ICC[coefficient], g, evidence)
    if coefficient == "light_kappa" and not few_annotations(evidence)[g]:
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
