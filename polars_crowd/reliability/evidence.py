"""What is known of a log, or of each group of it, that the formulas of agreement read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from polars_crowd.arrays import Flags, Floats
from polars_crowd.reliability.conger import CongerChance, Profiles, conger_chance
from polars_crowd.reliability.grouping import Grouping
from polars_crowd.reliability.icc import MeanSquares, one_way, two_way
from polars_crowd.reliability.scales import Scales
from polars_crowd.reliability.units import Units
from polars_crowd.reliability.who_voted import Signed

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
    """The group columns by their keys, a row per group; no columns without grouping."""
    units: Units
    profiles: Profiles
    scales: Scales
    spread: Floats | None = None
    """(3, U) of Conger's kappa."""
    signed: Signed | None = None
    repeats: Floats | None = None
    """(G,) annotations by which annotators labelled an example again."""
    spread_of_ranks: Floats | None = None
    """(G,) sums of squares of the examples' ranks, of Kendall's W."""
    is_ordered: bool = True
    """Whether the order of the classes was meant."""
    is_anonymous: bool = False
    """Whether nobody knows who voted."""

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
    def chance(self) -> CongerChance:
        return conger_chance(self.profiles.units, self.scales.weights)

    @cached_property
    def is_small(self) -> Flags:
        """(G,) whether a group is looked at annotator by annotator."""
        n = self.units.n
        pairs = self.units.over_units(n * (n - 1) / 2)
        return (self.counts["num_annotations"] <= MAX_ROWS) & (pairs <= MAX_PAIRS)

    @cached_property
    def numbers(self) -> Floats:
        """(K,) the labels, NaN where they are no numbers."""
        return self.scales.values if self.scales.are_numbers else self.scales.values * np.nan

    @cached_property
    def one_way(self) -> MeanSquares[Floats]:
        return one_way(self.units, self.numbers)

    @cached_property
    def two_way(self) -> MeanSquares[Floats]:
        return two_way(self.units, self.profiles.units, self.numbers)

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
            repeats=self.repeats[first:last] if self.repeats is not None else None,
            spread_of_ranks=self.spread_of_ranks[first:last]
            if self.spread_of_ranks is not None
            else None,
            signed=self.signed.of_groups(first, last) if self.signed is not None else None,
        )
