"""Coefficients that ask who voted: Cohen's, Scott's and Light's kappa; Conger's stands in `conger.py`.

Cohen (1960) and Scott (1955) compare two annotators on the n examples both labelled; p_kl is the share that
got k from the first and l from the second, a_k and b_l are its margins:

    p_o = sum w_kl p_kl        kappa = (p_o - p_e) / (1 - p_e)
    Cohen   p_e = a' W b       f_kl = (W b)_k + (W a)_l
    Scott   p_e = p' W p       f_kl = (W p)_k + (W p)_l,     p = (a + b) / 2
    d_kl = w_kl - (1 - kappa) f_kl
    var kappa = (sum p_kl d_kl^2 - (sum p_kl d_kl)^2) / (n (1 - p_e)^2)

(Fleiss, Cohen and Everitt 1969). Light's kappa (1971) is the mean of Cohen's over all pairs of annotators who
share examples, where it is defined; the influence of an example on it is the mean of those on the pairs. Of n
shared examples kappa is biased, to the order of 1 / n, by

    (cov(w, f) - (1 - kappa) var(f)) / (n (1 - p_e)^2) - kappa (1 - kappa) / n

over these examples: where pairs share few, Light's kappa lies beside what any interval about it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from polars_crowd.arrays import Array, Flags, Floats, Ints
from polars_crowd.reliability.chance import Estimate, corrected, estimate, ratio, room
from polars_crowd.reliability.grouping import Grouping, codes_in, summed
from polars_crowd.reliability.intervals import Name, draws_of
from polars_crowd.reliability.patterns import LocalUnits, decode, encode, local_units
from polars_crowd.reliability.units import Units, pairs_in_blocks, run_lengths, sums_at
from polars_crowd.reliability.weights import Weights
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.summaries import Summary

MAX_WORK = 1 << 28
"""Replicates times annotations up to which annotators are drawn at all: seconds."""
ROUNDING = 1e-13
"""What sums of shares leave of nothing."""


# --- who labelled an example with what -------------------------------------------------------------


def count_signed_patterns(
    part: Partition, grouping: Grouping, wanted: pl.DataFrame | None
) -> Summary:
    """The examples of each set of (annotator, label), in the wanted groups."""
    local = local_units(part, grouping)
    pattern = encode_signed(local)
    frame = pl.DataFrame({"group": local.group, "pattern": pattern, "examples": local.units.times})
    if wanted is not None:
        kept = codes_in(wanted.with_row_index("group"), local.groups).is_not_null()
        frame = frame.filter(pl.lit(kept).gather("group"))
    return {(*grouping.keys, "pattern"): summed(frame, ["pattern"], local.groups, grouping)}


def encode_signed(local: LocalUnits) -> pl.Series:
    """The pattern of each unit: its annotators, in order, and their labels."""
    order = np.lexsort((local.row_annotator, local.row_unit))
    columns = (local.row_unit, local.row_annotator, local.row_label)
    unit, annotator, label = (rows[order] for rows in columns)
    return encode(annotator, label, run_lengths(unit))


@dataclass(frozen=True)
class Signed:
    """The merged patterns of (annotator, label)."""

    units: Units
    """A unit is a set of (annotator, label); its entries are sorted by annotator."""
    annotator: Ints
    """(E,) of each entry."""

    @classmethod
    def of(cls, patterns: pl.DataFrame, groups: pl.DataFrame, like: Units) -> Signed:
        """The groups that have patterns may be some only of the `groups` of the units `like`."""
        annotator, label, lengths = decode(patterns["pattern"])
        group = codes_in(groups.with_row_index("group"), patterns).to_numpy().astype(np.int64)
        times, votes = patterns["examples"].to_numpy(), np.ones(len(label), np.int64)
        units = Units(group, times, lengths, label, votes, like.n_groups, like.n_classes)
        return cls(units, annotator)

    def of_groups(self, first: int, last: int) -> Signed:
        entries = self.units.entries(first, last)
        return Signed(self.units.of_groups(first, last), self.annotator[entries])

    def drawn(self, times: Array) -> Signed:
        """The same with other multiplicities."""
        return replace(self, units=replace(self.units, times=times))

    def too_many_draws(self, n_boot: int) -> bool:
        return len(self.units.label) * n_boot > MAX_WORK

    @cached_property
    def votes(self) -> Units:
        """The count vectors of the same units."""
        units = self.units
        cell, votes = np.unique(units.unit * units.n_classes + units.label, return_counts=True)
        lengths = run_lengths(cell // units.n_classes)
        return replace(units, lengths=lengths, label=cell % units.n_classes, votes=votes)

    @cached_property
    def pairs(self) -> Pairs:
        return pairs_of(self)


@dataclass(frozen=True)
class Pairs:
    """The pairs of annotations of the same example, those of the smaller annotator first."""

    unit: Ints
    """(Q,) the unit of each pair of annotations."""
    group: Ints
    """(Q,) its group: a pair of annotators."""
    times: Array
    first: Ints
    """(Q,) the label of the first annotator."""
    second: Ints
    owner: Ints
    """(number of pairs of annotators,) the group of units each belongs to."""
    n_classes: int

    def of_label(self, label: Ints) -> Units:
        """Units with one entry each: the labels of one side."""
        ones = np.ones(len(label), np.int64)
        return Units(self.group, self.times, ones, label, ones, len(self.owner), self.n_classes)

    @property
    def sides(self) -> tuple[Units, Units]:
        """The labels of the first and of the second annotator of each pair: a group is a pair."""
        return self.of_label(self.first), self.of_label(self.second)


def pairs_of(signed: Signed) -> Pairs:
    """All pairs of annotations within units by two annotators: nobody is compared with themselves."""
    none = np.zeros(0, np.int64)
    blocks = [(none, none), *pairs_in_blocks(signed.units.lengths)]
    first, second = (np.concatenate(side) for side in zip(*blocks, strict=True))
    of_two = signed.annotator[first] != signed.annotator[second]
    if not of_two.all():
        first, second = first[of_two], second[of_two]
    unit = signed.units.unit[first]
    key = np.stack([signed.units.group[unit], signed.annotator[first], signed.annotator[second]])
    distinct, group = np.unique(key, axis=1, return_inverse=True)
    order = np.argsort(group, kind="stable")
    label = signed.units.label
    return Pairs(
        unit[order],
        group[order],
        signed.units.times[unit][order],
        label[first][order],
        label[second][order],
        distinct[0],
        signed.units.n_classes,
    )


# --- Cohen, Scott, Light ---------------------------------------------------------------------------

PairExpected = Callable[[Floats, Floats, Weights], tuple[Floats, Floats, Floats]]
"""From the margins a and b: p_e, and the two parts of f_kl by k and by l."""


def cohen(a: Floats, b: Floats, weights: Weights) -> tuple[Floats, Floats, Floats]:
    """Cohen: the margins of either annotator."""
    Wb = weights.times(b)
    return (a * Wb).sum(axis=-1), Wb, weights.times(a)


def scott(a: Floats, b: Floats, weights: Weights) -> tuple[Floats, Floats, Floats]:
    """Scott: the mean of both margins."""
    p = (a + b) / 2
    Wp = weights.times(p)
    return (p * Wp).sum(axis=-1), Wp, Wp


def margins(first: Units, second: Units) -> tuple[Floats, Floats, Floats]:
    """(P,) n of each pair of annotators; (P, K) the label shares of either of them, a and b."""
    each = np.ones(len(first.n))
    n = first.over_units(each)
    return n, first.by_label(each) / n[:, None], second.by_label(each) / n[:, None]


@dataclass(frozen=True)
class Compared:
    """Cohen's or Scott's kappa of each pair of annotators, and what it is made of."""

    first: Units
    """The labels of the first annotator of each pair: a group is a pair."""
    n: Floats
    p_e: Floats
    value: Floats
    w: Floats
    """(Q,) like `f` of each pair of annotations."""
    f: Floats

    @classmethod
    def of(cls, pairs: Pairs, weights: Weights, expected: PairExpected) -> Compared:
        first, second = pairs.sides
        n, a, b = margins(first, second)
        w = weights.between(pairs.first, pairs.second)
        p_e, by_first, by_second = expected(a, b, weights)
        value = corrected(first.over_units(w) / n, p_e)
        f = first.at_labels(by_first) + second.at_labels(by_second)
        return cls(first, n, p_e, value, w, f)

    def mean(self, values: Floats) -> Floats:
        """Over the examples of each pair."""
        return self.first.over_units(values) / self.n

    def bias(self) -> Floats:
        """To the order of 1 / n: p_e is too high by (p_o - p_e) / n, and kappa bends."""
        mean_f = self.mean(self.f)
        with_w = self.mean(self.w * self.f) - self.mean(self.w) * mean_f
        bend = with_w - (1 - self.value) * (self.mean(self.f**2) - mean_f**2)
        return (bend / room(self.p_e) ** 2 - self.value * (1 - self.value)) / self.n


def pair_kappa(pairs: Pairs, weights: Weights, expected: PairExpected) -> Estimate:
    """Cohen's or Scott's kappa of each pair of annotators; `influence` by pair of annotations."""
    of = Compared.of(pairs, weights, expected)
    d = of.w - of.first.of_group(1 - of.value) * of.f
    deviation = (d - of.first.of_group(of.mean(d))) / of.first.of_group(room(of.p_e))
    made = estimate(of.first, of.value, of.n, deviation)
    return replace(made, observed=of.mean(of.w), expected=of.p_e)


def cohen_null_error(signed: Signed, weights: Weights, n_groups: int) -> Floats:
    """(G,) the standard error of Cohen's kappa where two annotators choose independently (Fleiss, Cohen and
    Everitt 1969):

        var = (sum_kl a_k b_l (w_kl - (W b)_k - (W a)_l)^2 - p_e^2) / (n (1 - p_e)^2)

    of which the square is sum a_k b_l w_kl^2 - sum a_k (W b)_k^2 - sum b_l (W a)_l^2 + 2 p_e^2.
    """
    pairs = signed.pairs
    n, a, b = margins(*pairs.sides)
    p_e, Wb, Wa = cohen(a, b, weights)
    own = (a * Wb**2).sum(axis=-1) + (b * Wa**2).sum(axis=-1)
    squares = np.zeros(len(n))
    every = np.arange(pairs.n_classes)
    for k in np.flatnonzero(a.any(axis=0)):
        squares += a[:, k] * (b @ weights.between(np.full_like(every, k), every) ** 2)
    left = squares - own + p_e**2
    variance = np.where(left > ROUNDING, left, 0) / n  # none where one of them always says the same
    found = np.full(n_groups, np.nan)
    found[pairs.owner] = np.sqrt(variance) / room(p_e)
    return found


def of_two(signed: Signed, is_two: Flags, weights: Weights, expected: PairExpected) -> Estimate:
    """Cohen's or Scott's kappa by group, NaN for the groups that have not two annotators."""
    pairs = signed.pairs
    found = pair_kappa(pairs, weights, expected)
    alone = is_two[pairs.owner]

    def by_group(values: Floats, default: float = np.nan) -> Floats:
        placed = np.full(len(is_two), default)
        placed[pairs.owner[alone]] = values[alone]
        return placed

    # its variance divides by n^2, where `Estimate.standard_error` divides by n (n - 1)
    squares = found.squares * (found.n - 1) / found.n
    n = by_group(found.n, 0)
    made = Estimate(by_group(found.value), n, by_group(squares), by_group(found.acceleration))
    assert found.observed is not None
    assert found.expected is not None
    return replace(made, observed=by_group(found.observed), expected=by_group(found.expected))


def light(signed: Signed, weights: Weights) -> Estimate:
    """Light's kappa: the mean over the pairs of annotators of Cohen's, where it is defined."""
    pairs, units = signed.pairs, signed.units
    found = pair_kappa(pairs, weights, cohen)
    n_pairs, value = mean_of_pairs(pairs, found.value, units.n_groups)
    N = units.over_units(np.ones(len(units.n)))
    assert found.influence is not None
    share = units.of_group(ratio(N, n_pairs))[pairs.unit] / found.n[pairs.group]
    parts = np.where(np.isfinite(found.value)[pairs.group], found.influence * share, 0)
    influence = sums_at(pairs.unit, parts, len(units.n))
    influence = np.where(np.isfinite(units.of_group(value)), influence, np.nan)
    return estimate(units, value, N, influence)


def of_a_pair(signed: Signed, weights: Weights) -> tuple[Floats, Floats, Floats]:
    """(G,) each, on average: examples that a pair shares, disagreements by chance on them, bias of kappa."""
    found = Compared.of(signed.pairs, weights, cohen)
    each = (found.n, found.n * (1 - found.p_e), found.bias())
    shared, by_chance, bias = (
        mean_of_pairs(signed.pairs, values, signed.units.n_groups)[1] for values in each
    )
    return shared, by_chance, bias


def mean_of_pairs(pairs: Pairs, values: Floats, n_groups: int) -> tuple[Floats, Floats]:
    defined = np.isfinite(values)
    n_pairs = sums_at(pairs.owner, defined, n_groups)
    total = sums_at(pairs.owner, np.where(defined, values, 0), n_groups)
    return n_pairs, ratio(total, n_pairs)


# --- bootstrap -------------------------------------------------------------------------------------


ValueOf = Callable[[Signed, Floats, Weights], float]
"""A coefficient of one group whose patterns come so many times."""


def replicates(
    signed: Signed,
    values: Mapping[Name, ValueOf],
    weights: Weights,
    n_boot: int,
    rng: np.random.Generator,
) -> dict[Name, Floats]:
    """(n_boot,) values of each coefficient of one group, on the same draws."""
    found: dict[Name, list[float]] = {name: [] for name in values}
    with np.errstate(invalid="ignore", divide="ignore"):
        for draws in draws_of(signed.units.times, len(signed.units.label), n_boot, rng):
            for times in draws:
                for name, value_of in values.items():
                    found[name].append(value_of(signed, times, weights))
    return {name: np.array(sample) for name, sample in found.items()}


def pair_value(expected: PairExpected, signed: Signed, times: Floats, weights: Weights) -> float:
    pairs = replace(signed.pairs, times=times[signed.pairs.unit])
    return float(pair_kappa(pairs, weights, expected).value[0])


def light_value(signed: Signed, times: Floats, weights: Weights) -> float:
    pairs = replace(signed.pairs, times=times[signed.pairs.unit])
    return float(mean_of_pairs(pairs, pair_kappa(pairs, weights, cohen).value, 1)[1][0])
