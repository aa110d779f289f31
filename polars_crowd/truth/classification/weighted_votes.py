r"""Votes weighed by skill: what `wawa`, `zero_based_skill` and `iwmv` share.

Letters: example i, annotator j with m[j] annotations, label y, K classes, w[j] the weight of j's vote. The
weighted vote and its winners are

    W[i,k] = sum over the labels k of i: w[j]           z[i] = argmax_k W[i,k]

and an annotator is judged by how often the winner is what he said

    correct[j] = sum over the labels y of j: [y = z[i]],       incorrect[j] = m[j] - correct[j]
    a[j]       = correct[j] / (correct[j] + incorrect[j])

Where classes tie, z[i] is the first of them in class order. Counts from the past (`prior=`) are added
before a[j] is taken. A known label is the winner of its example. Who has no annotation that counts gets the
a of all annotators together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.numerics.mixture import first_true
from polars_crowd.truth.block import Block
from polars_crowd.truth.model import ANNOTATOR, LogSize, Model, Sums
from polars_crowd.truth.past import COUNTS
from polars_crowd.truth.posterior import Posterior, known_posterior, with_sum
from polars_crowd.truth.terms import Terms, at_own_label

TIE = 2.0**-34
"""Shares of the vote closer than this are a tie."""


@dataclass(frozen=True)
class Votes:
    """w (M,), correct and incorrect answers and those from the past (2, M); how often w was found anew."""

    weight: Floats
    counts: Floats
    past: Floats
    step: int = 0

    @property
    def share(self) -> Floats:
        """a."""
        return share_correct(self.counts + self.past)


@dataclass(frozen=True)
class WeightedVotes(Model):
    """Annotators by the weight of their votes. A method says how the weights follow from a."""

    past: Floats
    """Correct and incorrect answers before the log, shape (2, M)."""

    sums: ClassVar = {"correct": ANNOTATOR}
    has_objective = False
    class_pseudo_count = np.inf

    def weights(self, skills: Votes) -> Floats:
        """w."""
        return skills.weight

    def e_step(self, block: Block, weights: Floats, log_classes: Floats) -> Posterior:
        """The share of the weighted vote of each class; what they add to the trace is the winner's."""
        W = block.per_class(weights.take(block.annotator))
        T = known_posterior(block, self.posterior(W, block))
        return Posterior(T, T.max(axis=0))

    def posterior(self, W: Floats, block: Block) -> Floats:
        """T[i,k] ∝ W[i,k]; the shares of plain votes where nobody has a weight."""
        total = W.sum(axis=0)
        shares = np.where(total > 0, W, block.vote_shares())
        return shares / np.where(total > 0, total, 1.0)

    def terms(self, block: Block, weights: Floats, log_classes: Floats) -> Terms:
        """The share of each vote, by its weight."""
        w = weights.take(block.annotator)
        total = block.at_rows(block.per_example(w))
        plain = 1 / block.at_rows(block.count.astype(np.float64))
        share = np.divide(w, total, where=total > 0, out=plain)
        return Terms(at_own_label(block, share), is_log=False, weight=w)

    def count(self, block: Block, T: Floats, weights: Any) -> dict[str, Floats]:
        """sum over the labels y of j: [y = z[i]]."""
        return {"correct": block.per_annotator(block.of_labels(winners(T)))}

    def maximise(self, sums: Sums, skills: Votes | None, log: LogSize) -> Votes:
        """The weights for the winners of the last round."""
        counts = log.right_and_wrong(sums["correct"])
        weight = self.weight(share_correct(counts + self.past), skills, log)
        return Votes(weight, counts, self.past, 0 if skills is None else skills.step + 1)

    def weight(self, a: Floats, skills: Votes | None, log: LogSize) -> Floats:
        """w as it follows from a and the weights before."""
        raise NotImplementedError

    def moved(self, skills: Votes, place: Ints) -> Votes:
        """The counts and weights of known annotators; unknown ones get those of all together."""
        size = (skills.counts + skills.past).sum(axis=0)
        return replace(
            skills,
            weight=np.append(skills.weight, np.average(skills.weight, weights=size))[place],
            counts=with_sum(skills.counts)[:, place],
            past=with_sum(skills.past)[:, place],
        )

    def annotator_columns(self, skills: Votes) -> dict[str, Any]:
        """`skill` = a, and the `num_correct` and `num_incorrect` answers behind it."""
        return {"skill": skills.share, **dict(zip(COUNTS, skills.counts, strict=True))}


def winners(T: Floats) -> Floats:
    """1 for the class of the largest T[k,i], the first of those that tie, and 0 for the others."""
    first = first_true(T.max(axis=0) - TIE <= T)
    z: Floats = (np.arange(len(T))[:, None] == first).astype(np.float64)
    return z


def share_correct(counts: Floats) -> Floats:
    """a: correct / (correct + incorrect); of all together where there are none."""
    correct, total = counts[0], counts.sum(axis=0)
    pooled = np.full(len(correct), correct.sum() / total.sum())
    share: Floats = np.divide(correct, total, where=total > 0, out=pooled)
    return share
