"""The scale of the labels: the weights of the coefficients, and the metric of alpha."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.reliability.chance import (
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
from polars_crowd.reliability.patterns import Units
from polars_crowd.reliability.request import Level
from polars_crowd.reliability.weights import (
    MAX_CLASSES,
    Identity,
    Matrix,
    SquaredDistance,
    Weights,
    ratio_distance,
)

BY_PATTERN: dict[str, Expected] = {
    "percent_agreement": percent,
    "fleiss_kappa": fleiss,
    "brennan_prediger": brennan_prediger,
    "gwet_ac1": gwet,
    "gwet_ac2": gwet,
}


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
