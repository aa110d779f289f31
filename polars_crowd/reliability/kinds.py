"""The kinds of coefficient: what each asks of the evidence, and how it is computed from it.

    Corrected    (p_a - p_e) / (1 - p_e) of count vectors (`chance.py`)         does not ask who voted
    Alpha        Krippendorff's, of count vectors (`chance.py`)                 does not ask who voted
    Conger       p_e from the label shares of each annotator (`conger.py`)
    OfTwo        Cohen's and Scott's kappa of two annotators (`who_voted.py`)
    Light        the mean of Cohen's over all pairs (`who_voted.py`)
    Icc          from mean squares (`icc.py`)

Those that go by ranks are in `ranked.py`. The coefficients themselves, one of a kind each, are in
`registry.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.errors import Advice
from polars_crowd.reliability import conger, who_voted
from polars_crowd.reliability import evidence as limits
from polars_crowd.reliability.chance import (
    EXACT,
    Estimate,
    Expected,
    alpha,
    alpha_value,
    fleiss_null_error,
    kappa,
    kappa_value,
    pairable_sums,
    ratio,
    sums,
)
from polars_crowd.reliability.evidence import Evidence
from polars_crowd.reliability.icc import ONE_WAY, MeanSquares, icc_interval, icc_value, one_way
from polars_crowd.reliability.intervals import Uncertainty, analytic
from polars_crowd.reliability.scales import Scales
from polars_crowd.reliability.soundness import carried
from polars_crowd.reliability.units import Units
from polars_crowd.reliability.weights import Identity, Weights
from polars_crowd.reliability.who_voted import PairExpected, Signed

Drawn = Literal["votes", "who voted"]
ONE_CLASS = "one class only is used: agreement by chance is certain"
ANONYMOUS = "asks who gave which label, and the annotators are anonymous"
GAPS = (
    "approximate interval: where not every annotator labelled every example, it may be too narrow"
)
REPEATED = "an annotator labelled an example more than once: see icc(1)"
NO_PAIR = "no overlap: no two annotators share an example"
FEWEST_BY_CHANCE, MOST_BIAS = 10, 0.25
"""Light's kappa has an interval where a pair of annotators would disagree so often by chance, or more often,
on what it shares, and the bias of their kappas is at most this part of its standard error."""


@dataclass(frozen=True)
class Coefficient(ABC):
    """One coefficient: its formulas, and what it takes."""

    name: str
    scale: Literal["weights", "level"] | None = None
    """The option that says how far labels are apart, if it takes one."""
    annotators: int | None = None
    """How many it compares; by default any number."""
    counts_classes: bool = False
    """Whether it goes by how many classes there are."""
    is_corrected: bool = True
    """Whether it is corrected for chance, so that it may suffer where one class prevails."""

    no_interval = "no interval: it takes two examples or more"
    """Why there is none about a value."""

    @property
    def drawn_from(self) -> Drawn | None:
        """What a bootstrap draws anew."""
        return "votes"

    @property
    def asks_for_repeats(self) -> bool:
        """Whether an annotator may label an example once only."""
        return False

    @property
    def asks_who_voted(self) -> bool:
        return self.drawn_from != "votes"

    @abstractmethod
    def estimate(self, evidence: Evidence) -> Estimate:
        """Its value in every group, NaN where it is undefined."""

    def estimate_if_known(self, evidence: Evidence) -> Estimate:
        """... also where it asks who voted, and nobody knows."""
        unknown = self.asks_who_voted and evidence.is_anonymous
        return _not_looked_at(evidence) if unknown else self.estimate(evidence)

    def interval(self, found: Estimate, evidence: Evidence, confidence: float) -> Uncertainty:
        """... and the interval without a bootstrap."""
        return analytic(found.value, found.standard_error, found.n, confidence)

    @property
    def has_null_error(self) -> bool:
        """Whether its standard error under no agreement beyond chance is known."""
        return type(self).null_error is not Coefficient.null_error

    def null_error(self, evidence: Evidence) -> Floats:
        """(G,) the standard error under no agreement beyond chance, NaN where it is not known."""
        raise NotImplementedError

    def of_sample(self, sample: Units, evidence: Evidence) -> Floats:
        """(B,) values of replicates of the votes of one group."""
        raise NotImplementedError

    def of_times(self, signed: Signed, times: Floats, weights: Weights) -> float:
        """The value where each pattern of one group comes so many times."""
        raise NotImplementedError

    def no_cover(self, found: Estimate, evidence: Evidence) -> Sequence[str | None]:
        """(G,) why no interval about its value would cover what it estimates, where that is so."""
        return [None] * evidence.n_groups

    def caution(self, found: Estimate, evidence: Evidence) -> Sequence[str | None]:
        """(G,) what is to be said of an interval about its value."""
        return carried(found)

    def measure(self, scales: Scales) -> tuple[str | None, str | None]:
        """The names of the weights and of the level that its value goes by."""
        return scales.measure(self.scale)

    @property
    def advice(self) -> dict[str, Advice]:
        """What to do instead of giving the options that it does not take."""
        return {option: self.goes_by for option in ("weights", "level") if option != self.scale}

    @property
    def goes_by(self) -> Advice:
        """How it is told how far labels are apart."""
        if self.scale is None:
            return Advice(f"{self.name} takes labels as equal or not; gwet_ac2 has weights")
        value = {"weights": "quadratic", "level": "interval"}[self.scale]
        how = f"{self.scale}={value!r}", f"--{self.scale} {value}"
        return Advice(f"{self.name} goes by its {self.scale}", *how)

    @property
    def takes_classes(self) -> bool:
        """Whether labels are classes to it, near ones or far ones, and not numbers in any case."""
        return True

    @property
    def remedy(self) -> str:
        """How its value is made to go by how far labels are apart."""
        return f"give {self.scale} too" if self.scale else "see gwet_ac2"

    def reason(self, evidence: Evidence, group: int) -> str:
        """Why it has no value in a group."""
        if evidence.is_anonymous:
            if self.asks_who_voted:
                return ANONYMOUS
        elif reason := self._who(int(evidence.counts["num_annotators"][group])):
            return reason
        if not evidence.counts["num_pairable"][group]:
            return "no overlap: no example has two annotations"
        return self.undefined(evidence, group)

    def _who(self, annotators: int) -> str:
        """... with so many annotators."""
        if annotators < 2:
            return "one annotator only"
        if self.annotators not in (None, annotators):
            return f"compares two annotators, here are {annotators:,}: see conger_kappa"
        return ""

    def undefined(self, evidence: Evidence, group: int) -> str:
        """... where there are annotations to compare."""
        return ONE_CLASS


# --- from count vectors ----------------------------------------------------------------------------


class OfVotes(Coefficient):
    """A function of count vectors: a partition's, a pool's, one class against the rest."""

    @abstractmethod
    def of_units(self, units: Units, scales: Scales) -> Estimate:
        """For every group of units."""

    @abstractmethod
    def value(self, units: Units, scales: Scales) -> Floats:
        """Its value alone: what is computed of each bootstrap replicate."""

    def estimate(self, evidence: Evidence) -> Estimate:
        return self.of_units(evidence.units, evidence.scales)

    def of_sample(self, sample: Units, evidence: Evidence) -> Floats:
        return self.value(sample, evidence.scales)


@dataclass(frozen=True, kw_only=True)
class Corrected(OfVotes):
    """(p_a - p_e) / (1 - p_e)."""

    expected: Expected

    def weights(self, scales: Scales) -> Weights:
        return scales.weights if self.scale == "weights" else Identity(len(scales.values))

    def of_units(self, units: Units, scales: Scales) -> Estimate:
        weights = self.weights(scales)
        return kappa(units, sums(units, weights), weights, self.expected)

    def value(self, units: Units, scales: Scales) -> Floats:
        weights = self.weights(scales)
        found = sums(units, weights)
        p = ratio(found.shares, found.N[:, None])
        return kappa_value(found, self.expected(p, weights).p_e)


@dataclass(frozen=True, kw_only=True)
class Fleiss(Corrected):
    """Fleiss' kappa."""

    def null_error(self, evidence: Evidence) -> Floats:
        return fleiss_null_error(evidence.units)


@dataclass(frozen=True)
class Alpha(OfVotes):
    """Krippendorff's alpha."""

    def of_units(self, units: Units, scales: Scales) -> Estimate:
        metric = scales.metric(units)
        return alpha(units, pairable_sums(units, metric), metric)

    def value(self, units: Units, scales: Scales) -> Floats:
        metric = scales.metric(units)
        return alpha_value(pairable_sums(units, metric), metric)


# --- from who voted --------------------------------------------------------------------------------


class OfWho(Coefficient):
    """A coefficient that asks who voted."""

    @property
    def drawn_from(self) -> Drawn | None:
        return "who voted"


@dataclass(frozen=True)
class Conger(OfWho):
    """Conger's kappa."""

    def estimate(self, evidence: Evidence) -> Estimate:
        assert evidence.spread is not None
        units, weights = evidence.units, evidence.scales.weights
        found = sums(units, weights)
        return conger.conger(units, found, weights, evidence.chance, evidence.spread)

    def of_times(self, signed: Signed, times: Floats, weights: Weights) -> float:
        return conger.conger_value(signed, times, weights)


@dataclass(frozen=True, kw_only=True)
class OfTwo(OfWho):
    """Cohen's or Scott's kappa of two annotators."""

    expected: PairExpected

    def estimate(self, evidence: Evidence) -> Estimate:
        if evidence.signed is None:
            return _not_looked_at(evidence)
        two = evidence.profiles.n_annotators == 2
        return who_voted.of_two(evidence.signed, two, evidence.scales.weights, self.expected)

    def of_times(self, signed: Signed, times: Floats, weights: Weights) -> float:
        return who_voted.pair_value(self.expected, signed, times, weights)

    def undefined(self, evidence: Evidence, group: int) -> str:
        return ONE_CLASS if shares_examples(evidence, group) else NO_PAIR


@dataclass(frozen=True, kw_only=True)
class Cohen(OfTwo):
    """Cohen's kappa."""

    def null_error(self, evidence: Evidence) -> Floats:
        if evidence.signed is None:
            return np.full(evidence.n_groups, np.nan)
        return who_voted.cohen_null_error(
            evidence.signed, evidence.scales.weights, evidence.n_groups
        )


@dataclass(frozen=True)
class Light(OfWho):
    """Light's kappa."""

    def estimate(self, evidence: Evidence) -> Estimate:
        if evidence.signed is None:
            return _not_looked_at(evidence)
        return who_voted.light(evidence.signed, evidence.scales.weights)

    def of_times(self, signed: Signed, times: Floats, weights: Weights) -> float:
        return who_voted.light_value(signed, times, weights)

    def no_cover(self, found: Estimate, evidence: Evidence) -> Sequence[str | None]:
        """Where pairs of annotators share so few examples that it is biased."""
        if evidence.signed is None:
            return super().no_cover(found, evidence)
        return self.too_sparse(evidence.signed, evidence.scales.weights, found)

    @staticmethod
    def too_sparse(signed: Signed, weights: Weights, found: Estimate) -> Sequence[str | None]:
        """(G,) why no interval about Light's kappa would cover, where that is so."""
        shared, by_chance, bias = who_voted.of_a_pair(signed, weights)
        few = (by_chance < FEWEST_BY_CHANCE) | (np.abs(bias) > MOST_BIAS * found.standard_error)
        biased = few & (found.standard_error > EXACT)
        return [
            f"no interval: a pair of annotators shares {n:.3g} examples on average, too few (or too few of "
            "rarer classes) for the mean of their kappas: see conger_kappa"
            if so
            else None
            for n, so in zip(shared.tolist(), biased.tolist(), strict=True)
        ]

    def undefined(self, evidence: Evidence, group: int) -> str:
        if not evidence.is_small[group]:
            return f"over {limits.MAX_PAIRS:,} pairs of annotations: see conger_kappa"
        if not shares_examples(evidence, group):
            return NO_PAIR
        if evidence.units.n_classes > 1:
            return "undefined for every pair of annotators"
        return ONE_CLASS


def _not_looked_at(evidence: Evidence) -> Estimate:
    """NaN: no group was small enough, or has two annotators."""
    nothing = np.full(evidence.n_groups, np.nan)
    return Estimate(nothing, np.zeros(evidence.n_groups), nothing, nothing)


def shares_examples(evidence: Evidence, group: int) -> bool:
    return evidence.signed is not None and group in evidence.signed.pairs.owner


# --- from mean squares -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Icc(Coefficient):
    """One form of intraclass correlation."""

    form: str
    is_corrected: bool = False
    no_interval = "no interval: a variance that it goes by is none"

    @property
    def drawn_from(self) -> Drawn | None:
        """The two-way forms are not drawn anew."""
        return "votes" if self.form in ONE_WAY else None

    @property
    def goes_by(self) -> Advice:
        return Advice(f"{self.name} takes labels as the numbers they are")

    @property
    def takes_classes(self) -> bool:
        return False

    @property
    def asks_for_repeats(self) -> bool:
        return self.form not in ONE_WAY

    def at(self, evidence: Evidence) -> MeanSquares[Floats]:
        """The mean squares that it goes by."""
        return evidence.two_way if self.asks_for_repeats else evidence.one_way

    def estimate(self, evidence: Evidence) -> Estimate:
        zero = np.zeros(evidence.n_groups)
        value = icc_value(self.form, self.at(evidence))
        if self.asks_for_repeats and evidence.repeats is not None:
            value = np.where(evidence.repeats > 0, np.nan, value)
        return Estimate(value, evidence.counts["num_examples"], zero, zero)

    def interval(self, found: Estimate, evidence: Evidence, confidence: float) -> Uncertainty:
        return icc_interval(self.form, self.at(evidence), found.value, confidence)

    def caution(self, found: Estimate, evidence: Evidence) -> Sequence[str | None]:
        gaps = self.asks_for_repeats & (evidence.two_way.k < evidence.two_way.M - EXACT)
        return [GAPS if gap else None for gap in gaps.tolist()]

    def of_sample(self, sample: Units, evidence: Evidence) -> Floats:
        return icc_value(self.form, one_way(sample, evidence.scales.values))

    def measure(self, scales: Scales) -> tuple[str | None, str | None]:
        return None, "interval"

    def undefined(self, evidence: Evidence, group: int) -> str:
        if not evidence.scales.are_numbers:
            return "the labels are no numbers"
        if not np.isfinite(evidence.scales.values).all():
            return "a label is infinite"
        if self.asks_for_repeats and evidence.repeats is not None and evidence.repeats[group]:
            return REPEATED
        at = self.at(evidence)
        if np.isnan(at.error[group]):
            return "examples, annotators and the rest cannot be told apart: see icc(1)"
        if evidence.one_way.MSR[group] + evidence.one_way.error[group] > 0:
            return "the variance it is a share of is none: examples differ less than by chance"
        return "the labels do not vary"
