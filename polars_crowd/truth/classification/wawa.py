r"""Wawa: worker agreement with aggregate, the majority vote weighed by agreement with the majority vote.

Appen (2021), "Calculating worker agreement with aggregate (Wawa)". With the letters of
`truth.classification.weighted_votes`, once through:

    z[i]   = argmax_k n[i,k]                  the majority vote, n[i,k] = how many said k
    a[j]   = mean over the labels y of j: [y = z[i]]
    T[i,k] ∝ sum over the labels k of i: a[j]

There is nothing to iterate and no objective: the trace is the sum over examples of the winner's share T.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.signatures import shares
from polars_crowd.truth.classification.weighted_votes import Votes, WeightedVotes
from polars_crowd.truth.em import fit
from polars_crowd.truth.model import LogSize, Sums
from polars_crowd.truth.options import Options, StartOptions
from polars_crowd.truth.past import past_counts
from polars_crowd.truth.result import TruthInference

UNSEEN = -1
"""The step of weights that come from another log."""


@dataclass(frozen=True)
class Wawa(WeightedVotes):
    """The weights are a, found once."""

    name = "Wawa"

    def maximise(self, sums: Sums, skills: Votes | None, log: LogSize) -> Votes:
        if skills is not None and skills.step != UNSEEN:
            return skills
        return super().maximise(sums, skills, log)

    def weight(self, a: Floats, skills: Votes | None, log: LogSize) -> Floats:
        return a

    def moved(self, skills: Votes, place: Ints) -> Votes:
        return replace(super().moved(skills, place), step=UNSEEN)

    def change(self, old: Votes, new: Votes) -> float | None:
        return float(np.abs(new.weight - old.weight).max()) if old.step == UNSEEN else 0.0


@shares(StartOptions, Options)
def wawa(log: Any, *, prior: Any = None, **options: Unpack[StartOptions]) -> TruthInference:
    """The truth of each example by Wawa: votes weighed by agreement with the majority vote.

    Returns
    -------
    TruthInference
        `.annotators` has `skill` = a and the counts `num_correct` and `num_incorrect` behind it.

    Agrees with
    -----------
    crowd-kit 1.4.2 `Wawa`: the same skills to 1e-12 and the same labels where no vote is tied (of tied
    labels it takes the first in the log).

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = wawa(pc.datasets.tutorial().log)
    >>> fit.annotators["skill"].head(2).round(4).to_list()
    [0.375, 0.2941]
    """
    return fit(log, lambda rounds: Wawa(past_counts(prior, rounds.book)), Options(**options))
