"""The scale of the labels: the weights of the coefficients, and the metric of alpha."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.arrays import Flags, Floats
from polars_crowd.errors import OptionError, shown
from polars_crowd.inputs.numbers import number
from polars_crowd.reliability.chance import mid_ranks
from polars_crowd.reliability.units import Units
from polars_crowd.reliability.weights import (
    BY_DISTANCE,
    Identity,
    Level,
    SquaredDistance,
    Weights,
    make_weights,
)

PLAIN = ("identity", "nominal")
"""The names of weights and of a level by which labels are equal or not."""
BY_RANK = (*PLAIN, "ordinal", "matrix")
"""... and those that do not go by the numbers that labels are."""


def are_numbers(classes: pl.Series) -> bool:
    """Whether classes are numbers, or points on a line of time."""
    return classes.dtype.is_numeric() or classes.dtype.is_temporal()


def class_values(classes: pl.Series) -> Floats:
    """The numbers that classes are, or that they write (dates as days), or else their ranks 1 .. K."""
    if are_numbers(classes):
        return classes.to_physical().cast(pl.Float64).to_numpy()
    written = written_numbers(classes)
    return np.arange(1.0, len(classes) + 1) if written is None else written


def written_numbers(classes: pl.Series) -> Floats | None:
    """The numbers that all classes of text write, if they do."""
    if classes.dtype != pl.String:
        return None
    written = classes.to_frame("class").select(number(pl.col("class"))).to_series()
    return None if written.null_count() else written.to_numpy()


def are_in_order(classes: pl.Series) -> bool:
    """Whether classes are in an order that was meant: by type, or as text that writes ascending numbers."""
    if has_order(classes.dtype):
        return True
    written = classes.to_frame("class").select(number(pl.col("class").cast(pl.String))).to_series()
    return not written.null_count() and written.is_sorted()


def has_order(dtype: pl.DataType) -> bool:
    """Whether labels of this type are in an order that was meant, or there are none."""
    return (
        dtype.is_numeric()
        or dtype.is_temporal()
        or isinstance(dtype, (pl.Enum, pl.Boolean, pl.Null))
    )


def check_values(option: str, measure: str, classes: pl.Series, values: Floats) -> None:
    """Distances of numbers take finite ones, and ratios numbers from a zero upwards."""
    if measure in BY_RANK:
        return
    infinite = ~np.isfinite(values)
    if infinite.any():
        wrong = f"it goes by distances of numbers, and labels are infinite: {_shown(classes, infinite)}."
        raise OptionError(option, measure, wrong, "Correct them, or leave their rows out.")
    if measure != "ratio":
        return
    if isinstance(classes.dtype, (pl.Date, pl.Datetime)):
        wrong = f"labels of type {classes.dtype} have no zero that ratios could be taken from."
        raise OptionError(option, measure, wrong, BY_DISTANCE[option])
    if (values < 0).any():
        wrong = f"ratios take labels of 0 or more, and there are {_shown(classes, values < 0)}."
        raise OptionError(option, measure, wrong, BY_DISTANCE[option])


def _shown(classes: pl.Series, where: Flags) -> str:
    return shown(classes.filter(pl.Series(where)).to_list())


@dataclass(frozen=True)
class Scales:
    """The weights of the coefficients, and the metric of alpha."""

    weights: Weights
    level: Level
    values: Floats
    are_numbers: bool = True
    """Whether the values are the labels themselves, not their ranks."""
    name: str = "identity"
    """Of the weights."""

    @classmethod
    def of_classes(cls, classes: pl.Series, weights: Any, level: Level) -> Scales:
        """The scale of these labels."""
        values = class_values(classes)
        name = weights if isinstance(weights, str) else "matrix"
        for option, measure in (("weights", name), ("level", level)):
            check_values(option, measure, classes, values)
        made = make_weights(weights, values)
        return cls(made, level, values, are_numbers(classes), name)

    @classmethod
    def plain(cls, n_classes: int) -> Scales:
        """Labels that are equal or not."""
        return cls(Identity(n_classes), "nominal", np.arange(float(n_classes)))

    def measure(self, option: str | None) -> tuple[str | None, str | None]:
        """The weights and the level that a coefficient with this option goes by."""
        if option == "level":
            return None, self.level
        return (self.name if option == "weights" else "identity"), None

    @cached_property
    def fixed_metric(self) -> Weights:
        if self.level == "nominal" or len(self.values) < 2:
            return Identity(len(self.values))
        if self.level == "interval":
            return SquaredDistance.scaled(self.values)
        return make_weights(self.level, self.values, option="level")

    def metric(self, units: Units) -> Weights:
        """Alpha's weights, 1 - distance: those of the ordinal level depend on the counts."""
        if self.level != "ordinal":
            return self.fixed_metric
        return SquaredDistance.scaled(mid_ranks(units.by_label(units.pairable.astype(np.float64))))
