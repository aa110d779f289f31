r"""Zero-based skill: annotators begin with no skill beyond chance and are moved towards what they agree to.

Ustalov, Pavlichenko and Tseitlin (2024), "Learning from crowds with Crowd-Kit", JOSS 9(96). With the letters
of `truth.classification.weighted_votes`, the weights are skills s[j], equal at first. For t = 0, 1, ...

    z[i] = argmax_k sum over the labels k of i: s[j]
    a[j] = mean over the labels y of j: [y = z[i]]
    s[j] <- s[j] + eta[t] (a[j] - s[j]),         eta[t] = 1, halved after every 20 iterations

until no skill moves by more than `tol`, and T[i,k] ∝ sum over the labels k of i: s[j].

No objective is known for it: the trace is the sum over examples of the winner's share T.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.signatures import shares
from polars_crowd.truth.classification.weighted_votes import Votes, WeightedVotes
from polars_crowd.truth.em import fit
from polars_crowd.truth.model import LogSize
from polars_crowd.truth.options import IterationOptions, Options
from polars_crowd.truth.past import past_counts
from polars_crowd.truth.result import TruthInference

HALVED_EVERY = 20
"""Iterations."""


@dataclass(frozen=True)
class ZeroBasedSkill(WeightedVotes):
    """The weights are skills that learn."""

    name = "Zero-based skill"

    def weight(self, a: Floats, skills: Votes | None, log: LogSize) -> Floats:
        """s + eta (a - s)."""
        if skills is None:
            return a
        eta = 0.5 ** ((skills.step + 1) // HALVED_EVERY)
        return skills.weight + eta * (a - skills.weight)

    def change(self, old: Votes, new: Votes) -> float | None:
        return float(np.abs(new.weight - old.weight).max())

    def annotator_columns(self, skills: Votes) -> dict[str, Any]:
        """`skill` = s, and the `num_correct` and `num_incorrect` answers of the last round."""
        return {**super().annotator_columns(skills), "skill": skills.weight}


@shares(IterationOptions, Options, tol=1e-5)
def zero_based_skill(
    log: Any, *, prior: Any = None, **options: Unpack[IterationOptions]
) -> TruthInference:
    """The truth of each example by zero-based skill: weighted votes whose weights learn.

    Parameters
    ----------
    tol
        When to stop: when no skill moves by more than this.

    Returns
    -------
    TruthInference
        `.annotators` has `skill` = s and the counts `num_correct` and `num_incorrect` behind it.

    Agrees with
    -----------
    crowd-kit 1.4.2 `ZeroBasedSkill`: the same skills to 1e-4 and the same labels where no vote is tied (of
    tied labels it takes the first in the log).

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = zero_based_skill(pc.datasets.tutorial().log)
    >>> fit.annotators["skill"].head(2).round(4).to_list()
    [0.25, 0.2941]
    """
    return fit(
        log, lambda rounds: ZeroBasedSkill(past_counts(prior, rounds.book)), Options(**options)
    )
