"""Conger's kappa: chance from the label shares of each annotator.

Conger (1980), with P_j the label shares of annotator j, m_j their annotations, M annotators, S = sum_j P_j:

    p_e = (S' W S - sum_j P_j' W P_j) / (M (M - 1)),        V_j = W (S - P_j)
    e_i = p_e + sum over annotations (j, k) of i of u_jk
    u_jk = (N / m_j) (V_jk - P_j' V_j) / (M (M - 1))

and p_a, kappa and the influence as in `chance.py` (Gwet 2014). The e_i need a second look at the log.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.reliability.chance import (
    Estimate,
    Sums,
    acceleration,
    expected_factor,
    kappa_value,
    observed_part,
    ratio,
    single_part,
    sums,
)
from polars_crowd.reliability.grouping import Grouping, codes_in, group_codes
from polars_crowd.reliability.patterns import LocalUnits, by_pattern, local_units
from polars_crowd.reliability.units import Units, run_lengths
from polars_crowd.reliability.weights import Weights
from polars_crowd.reliability.who_voted import Signed
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.codes import largest
from polars_crowd.runs.reading import scale_for

DENSE = 1 << 24
"""Up to this many cells a table by annotator and label is written out."""


@dataclass(frozen=True)
class Profiles:
    """The labels of each annotator of each group."""

    units: Units
    """A unit is an annotator of a group: n = m_j."""
    frame: pl.DataFrame
    """The entries: group columns, `annotator`, `label`, `annotations`."""

    @classmethod
    def of(cls, counts: pl.DataFrame, grouping: Grouping, n_classes: int) -> Profiles:
        """From the merged annotations by group, annotator and label, sorted by these."""
        group, n_groups = group_codes(counts, grouping)
        annotator = counts["annotator"].to_numpy()
        lengths = run_lengths(group * (int(annotator.max()) + 1) + annotator)
        first = np.cumsum(lengths) - lengths
        units = Units(
            group[first],
            np.ones(len(lengths), np.int64),
            lengths,
            counts["label"].to_numpy().astype(np.int64),
            counts["annotations"].to_numpy(),
            n_groups,
            n_classes,
        )
        return cls(units, counts)

    @property
    def n_annotators(self) -> Floats:
        """(G,) annotators."""
        return self.units.over_units(np.ones(len(self.units.n)))

    def of_groups(self, first: int, last: int) -> Profiles:
        return Profiles(
            self.units.of_groups(first, last), self.frame[self.units.entries(first, last)]
        )


@dataclass(frozen=True)
class CongerChance:
    """p_e of each group, and u_jk of each entry of the profiles less its factor N."""

    p_e: Floats
    spread: Floats


def conger_chance(profiles: Units, weights: Weights) -> CongerChance:
    """p_e, and u_jk / N."""
    M = profiles.over_units(np.ones(len(profiles.n)))
    pairs = M * (M - 1)
    S = profiles.by_label(1 / profiles.n)
    WS = weights.times(S)
    own = weights.pairs(profiles) / profiles.n**2
    p_e = ratio((S * WS).sum(axis=-1) - profiles.over_units(own), pairs)
    m = profiles.n[profiles.unit]
    V = profiles.at_labels(WS) - weights.at_entries(profiles) / m
    expected = profiles.over_entries(profiles.votes * V) / profiles.n
    by_pairs = profiles.of_group(ratio(np.ones(len(M)), pairs))
    return CongerChance(p_e, (by_pairs[profiles.unit] * (V - expected[profiles.unit])) / m)


def count_spread(part: Partition, grouping: Grouping, spread: pl.DataFrame) -> Summary:
    """The sums of e_i - p_e, of its square and its cube over the examples of each pattern."""
    local = local_units(part, grouping)
    of_units = {"e": _over_rows(local, spread)}
    e, keys = pl.col("e"), (*grouping.keys, "pattern")
    powers = {"e1": e, "e2": e**2, "e3": e**2 * e}
    sums = {name: power.sum() for name, power in powers.items()}
    return {keys: by_pattern(local, grouping, of_units, **sums)}


def _over_rows(local: LocalUnits, spread: pl.DataFrame) -> pl.Series:
    """(U,) the sum of u_jk over the annotations of each unit, from a frame of group columns, `annotator`,
    `label`, `u`: in fixed point, to the digits of the largest of the group."""
    spread = spread.with_columns(codes_in(local.groups, spread)).drop_nulls("group")
    group, annotator, label = (
        spread[c].to_numpy().astype(np.int64) for c in ("group", "annotator", "label")
    )
    u, largest_u = spread["u"].to_numpy(), np.zeros(local.groups.height)
    np.maximum.at(largest_u, group, np.abs(u))
    scale = scale_for(largest_u, largest(local.runs.examples["num_annotations"]))
    fixed = np.rint(u * scale[group]).astype(np.int64)
    values = _by_cell(local, local.cells_of(group, annotator, label), fixed)
    return local.over_rows(values) / (scale[local.group] if len(scale) > 1 else scale[0])


def _by_cell(local: LocalUnits, known: Ints, values: Ints) -> pl.Expr:
    """Of a column of cells, the values of those that are known."""
    if local.n_cells <= DENSE:
        table = np.zeros(local.n_cells, np.int64)
        table[known] = values
        return pl.lit(pl.Series(table)).gather("cell")
    cells = pl.Series(known).cast(local.cell_type)
    return pl.col("cell").replace_strict(cells, pl.Series(values))


def conger(
    units: Units, found: Sums, weights: Weights, chance: CongerChance, spread: Floats
) -> Estimate:
    """Conger's kappa; `spread` (3, U): the sums of the powers of e_i - p_e over each pattern."""
    value = kappa_value(found, chance.p_e)
    A = observed_part(units, found, weights, value, chance.p_e)
    B = units.of_group(expected_factor(value, chance.p_e))
    squares, _ = _moments(units, A, B, spread)
    exact = _moments(units, A + single_part(units, found, value), B, spread)
    made = Estimate(value, found.N, squares, acceleration(*exact))
    return replace(made, observed=ratio(found.agreement, found.N2), expected=chance.p_e)


def _moments(units: Units, A: Floats, B: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """(G,) sums of (A - B (e_i - p_e))^2 and ^3 over the examples."""
    e1, e2, e3 = spread
    squares = units.times * A**2 - 2 * A * B * e1 + B**2 * e2
    cubes = units.times * A**3 - 3 * A**2 * B * e1 + 3 * A * B**2 * e2 - B**3 * e3
    once = replace(units, times=np.ones_like(units.times))
    return once.over_units(squares), once.over_units(cubes)


# --- bootstrap -------------------------------------------------------------------------------------


def conger_value(signed: Signed, times: Floats, weights: Weights) -> float:
    votes = replace(signed.votes, times=times)
    profiles = _drawn_profiles(signed, times)
    p_e = conger_chance(profiles, weights).p_e
    return float(kappa_value(sums(votes, weights), p_e)[0])


def _drawn_profiles(signed: Signed, times: Floats) -> Units:
    """The labels of the annotators who were drawn."""
    units = signed.units
    key = signed.annotator * units.n_classes + units.label
    counts = np.bincount(key, times[units.unit])
    cell = np.flatnonzero(counts)
    lengths = run_lengths(cell // units.n_classes)
    zeros, ones = np.zeros(len(lengths), np.int64), np.ones(len(lengths), np.int64)
    label = cell % units.n_classes
    return Units(zeros, ones, lengths, label, counts[cell], 1, units.n_classes)
