"""What a log, or each group of it, tells about agreement: gathered in rounds, read by the formulas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from polars_crowd.arrays import Flags, Floats
from polars_crowd.errors import AnnotationError, shown
from polars_crowd.reliability import who_voted
from polars_crowd.reliability.grouping import Grouping
from polars_crowd.reliability.icc import MeanSquares, mean_squares
from polars_crowd.reliability.patterns import Units, count_patterns, merged_units
from polars_crowd.reliability.request import ICC_FORMS, Request
from polars_crowd.reliability.scales import Scales, class_values
from polars_crowd.reliability.weights import make_weights
from polars_crowd.reliability.who_voted import Profiles, Signed
from polars_crowd.rounds.rounds import Rounds

ICC = {"icc": "icc(1)"} | {form: form for form in ICC_FORMS}
OF_TWO = {"cohen_kappa": who_voted.cohen, "scott_pi": who_voted.scott}
MAX_ROWS = 5_000_000
"""Annotations up to which the log is looked at annotator by annotator (Light, bootstrap of Conger)."""
MAX_PAIRS = 20_000_000
"""... and pairs of annotations of one example."""
BLOCK = 1 << 24
"""Cells of a (groups x classes) table that are worked on at once."""


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
            "num_examples": units.over_units(np.ones(len(units.n))),
            "num_annotators": self.profiles.n_annotators,
            "num_annotations": units.over_units(units.n),
            "num_pairable": units.over_units(units.n * units.pairable),
        }

    @cached_property
    def chance(self) -> who_voted.CongerChance:
        return who_voted.conger_chance(self.profiles.units, self.scales.weights)

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
    merged = rounds.run(who_voted.count_spread, evidence.grouping, spread)
    sums_of = merged[(*evidence.grouping.keys, "pattern")]
    return np.stack([sums_of[c].to_numpy() for c in ("e1", "e2", "e3")])


def _spread(block: Evidence) -> Floats:
    profiles = block.profiles.units
    N = profiles.of_group(block.counts["num_examples"])
    return np.nan_to_num(N[profiles.unit] * block.chance.spread)


def _groups_to_sign(evidence: Evidence, request: Request) -> Flags:
    """The groups whose patterns of (annotator, label) are asked for, and small enough."""
    of_two = any(c in OF_TWO for c in request.coefficients) & (evidence.profiles.n_annotators == 2)
    of_all = "light_kappa" in request.coefficients or (
        "conger_kappa" in request.coefficients and request.interval == "bootstrap"
    )
    wanted: Flags = of_two | (of_all & few_annotations(evidence))
    return wanted


def few_annotations(evidence: Evidence) -> Flags:
    n = evidence.units.n
    pairs = evidence.units.over_units(n * (n - 1) / 2)
    return (evidence.counts["num_annotations"] <= MAX_ROWS) & (pairs <= MAX_PAIRS)


def _signed(rounds: Rounds, evidence: Evidence, wanted: Flags) -> Signed:
    groups = evidence.groups.filter(pl.Series(wanted)) if evidence.grouping.keys else None
    merged = rounds.run(who_voted.count_signed_patterns, evidence.grouping, groups)
    patterns = merged[(*evidence.grouping.keys, "pattern")]
    return Signed.of(patterns, evidence.grouping, evidence.groups, evidence.units)
