"""Coefficients that go by the order of labels: Kendall's W and Spearman's rank correlation (`ranks.py`)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from polars_crowd.arrays import Flags, Floats
from polars_crowd.errors import Advice
from polars_crowd.reliability import evidence as limits
from polars_crowd.reliability import ranks, who_voted
from polars_crowd.reliability.chance import Estimate
from polars_crowd.reliability.evidence import Evidence
from polars_crowd.reliability.intervals import Uncertainty
from polars_crowd.reliability.kinds import NO_PAIR, OfWho, shares_examples
from polars_crowd.reliability.scales import Scales
from polars_crowd.reliability.weights import Weights
from polars_crowd.reliability.who_voted import Pairs, Signed

ALL_TIED = "annotators gave all examples the same label: there is no order to compare"


@dataclass(frozen=True)
class Ranked(OfWho):
    """A coefficient of the order in which annotators put the examples."""

    is_corrected: bool = False
    no_interval = "no analytic interval: interval='bootstrap' draws one"

    @property
    def goes_by(self) -> Advice:
        return Advice(f"{self.name} goes by the order of the labels")

    @property
    def takes_classes(self) -> bool:
        return False

    def measure(self, scales: Scales) -> tuple[str | None, str | None]:
        return None, "ordinal"

    def estimate(self, evidence: Evidence) -> Estimate:
        zero = np.zeros(evidence.n_groups)
        value = self.values(evidence) if evidence.is_ordered else zero * np.nan
        return Estimate(value, evidence.counts["num_examples"], zero * np.nan, zero)

    def caution(self, found: Estimate, evidence: Evidence) -> Sequence[str | None]:
        return [None] * evidence.n_groups

    def interval(self, found: Estimate, evidence: Evidence, confidence: float) -> Uncertainty:
        return Uncertainty.none(evidence.n_groups)

    @abstractmethod
    def values(self, evidence: Evidence) -> Floats:
        """(G,) of labels that have an order."""

    def undefined(self, evidence: Evidence, group: int) -> str:
        if not evidence.is_ordered:
            return "the labels have no order: say that of the classes, or give numbers"
        return self.unranked(evidence, group)

    def unranked(self, evidence: Evidence, group: int) -> str:
        return ALL_TIED


@dataclass(frozen=True)
class Kendall(Ranked):
    """Kendall's W."""

    @property
    def asks_for_repeats(self) -> bool:
        return True

    def values(self, evidence: Evidence) -> Floats:
        assert evidence.spread_of_ranks is not None
        M, N = (evidence.counts[c] for c in ("num_annotators", "num_examples"))
        value = ranks.concordance(evidence.profiles.units, evidence.spread_of_ranks, M, N)
        return np.where(self._is_complete(evidence), value, np.nan)

    def interval(self, found: Estimate, evidence: Evidence, confidence: float) -> Uncertainty:
        of = (found.value, *(evidence.counts[c] for c in ("num_annotators", "num_examples")))
        p = [ranks.p_of_concordance(*one) for one in zip(*(v.tolist() for v in of), strict=True)]
        return replace(Uncertainty.none(evidence.n_groups), p_value=np.array(p))

    def of_times(self, signed: Signed, times: Floats, weights: Weights) -> float:
        return ranks.concordance_of_draw(signed, times)

    @staticmethod
    def _is_complete(evidence: Evidence) -> Flags:
        M, N = (evidence.counts[c] for c in ("num_annotators", "num_examples"))
        assert evidence.repeats is not None
        complete: Flags = (evidence.counts["num_annotations"] == M * N) & (evidence.repeats == 0)
        return complete

    def unranked(self, evidence: Evidence, group: int) -> str:
        if not self._is_complete(evidence)[group]:
            return "not every annotator labelled every example, once: see spearman"
        return ALL_TIED


@dataclass(frozen=True)
class Spearman(Ranked):
    """The mean of Spearman's rank correlation over all pairs."""

    def values(self, evidence: Evidence) -> Floats:
        if evidence.signed is None:
            return np.full(evidence.n_groups, np.nan)
        return self._of(evidence.signed.pairs, evidence.n_groups)

    def of_times(self, signed: Signed, times: Floats, weights: Weights) -> float:
        return float(self._of(replace(signed.pairs, times=times[signed.pairs.unit]), 1)[0])

    @staticmethod
    def _of(pairs: Pairs, n_groups: int) -> Floats:
        return who_voted.mean_of_pairs(pairs, ranks.rank_correlation(pairs), n_groups)[1]

    def unranked(self, evidence: Evidence, group: int) -> str:
        if not evidence.is_small[group]:
            return f"over {limits.MAX_PAIRS:,} pairs of annotations"
        return ALL_TIED if shares_examples(evidence, group) else NO_PAIR
