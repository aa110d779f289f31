r"""KOS: belief propagation between examples and annotators, for two classes. Experimental.

Letters: example i, annotator j; A = +1 for a label of the second class and -1 for one of the first. Every
annotation (i, j) carries a message each way (Karger, Oh and Shah 2011, "Iterative learning for reliable
crowdsourcing systems", NIPS, section 2.1):

    x[i->j] = sum over the other labels of i, by j': A[i,j'] y[j'->i]     the truth of i, as others see it
    y[j->i] = sum over the other labels of j, on i': A[i',j] x[i'->j]     the skill of j, by other examples
    z[i]    = sum over all labels of i: A[i,j] y[j->i]

from y = 1, the mean of the normal distribution that the paper draws from. The truth of i is the second class
where z[i] > 0; the posterior is a share of a weighted vote, not a calibrated probability:

    T[i, second] = (1 + z[i] / sum over all labels of i: |y[j->i]|) / 2

Both sums are group sums less the own term, so that all messages follow from the group sums of the annotators
in the rounds before, which is all that a round leaves:

    Y[j] = sum over all labels of j: A x[i->j],        y[j->i] = (Y[j] - A x[i->j]) / max_j |Y[j]|

A known label sends, as x[i->j], its sign times the number of labels of its example. There is no objective:
the trace is the sum over examples of |2 T[i, second] - 1|. The paper stops after ten rounds (`max_iter=10`);
here it goes on until Y / max |Y| moves by no more than `tol`.

**Why experimental.** The derivation has random regular assignments in mind. On real logs, where a few
annotators do most of the work, it may be no better than guessing: compare with `pc.majority_vote`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Unpack

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import Advice, AnnotationError, OptionError, counted, shown
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.signatures import shares
from polars_crowd.truth.block import UNKNOWN, Block
from polars_crowd.truth.em import fit
from polars_crowd.truth.model import ANNOTATOR, LogSize, Model, Sums
from polars_crowd.truth.options import IterationOptions, Options
from polars_crowd.truth.posterior import Posterior, known_posterior, with_sum
from polars_crowd.truth.result import TruthInference
from polars_crowd.truth.sums import on_grid
from polars_crowd.truth.terms import Terms

NOTHING = 2.0**-30
"""What is left of messages, at most about 1, that cancel but for rounding."""


@dataclass(frozen=True)
class Messages:
    """The group sums of the t rounds so far, and the votes for and against the truth, shape (2, M)."""

    Y: Floats
    """Over its largest size; shape (t, M)."""
    scales: Floats
    """max_j |Y[j]|, shape (t,)."""
    counts: Floats


@dataclass(frozen=True)
class Kos(Model):
    """Annotators by the sum of what they are told."""

    name = "KOS"
    sums: ClassVar = {"told": ANNOTATOR, "correct": ANNOTATOR}
    has_objective = False
    class_pseudo_count = np.inf

    def weights(self, skills: Messages) -> tuple[Floats, Floats]:
        """Y and the scales."""
        return skills.Y, skills.scales

    def e_step(self, block: Block, weights: Any, log_classes: Floats) -> Posterior:
        A, y = signs(block), messages(block, weights)
        z = block.per_example(A * y)
        size = block.per_example(np.abs(y))
        lean = np.divide(z, size, where=size > 0, out=np.zeros_like(z))
        if block.n_classes == 1:
            return Posterior(np.ones((1, block.n_examples)), np.abs(lean))
        T = known_posterior(block, np.stack([1 - lean, 1 + lean]) / 2)
        return Posterior(T, np.abs(lean))

    def terms(self, block: Block, weights: Any, log_classes: Floats) -> Terms:
        """(|y| + A y) / 2 over the sum of |y| for the second class, (|y| - A y) / 2 for the first."""
        A, y = signs(block), messages(block, weights)
        size = block.per_example(np.abs(y))
        of_rows = block.at_rows(np.where(size > 0, size, 1.0))
        unsaid = np.where(size > 0, 0.0, 1 / block.n_classes)
        prior = np.broadcast_to(unsaid, (block.n_classes, block.n_examples))
        sides = np.stack([np.abs(y) - A * y, np.abs(y) + A * y]) / 2
        if block.n_classes == 1:
            sides = np.abs(y)[None]
        return Terms(sides / of_rows, is_log=False, weight=y, prior=prior)

    def count(self, block: Block, T: Floats, weights: Any) -> dict[str, Floats]:
        """sum over all labels of j: A x[i->j]; and the expected right answers."""
        A = signs(block)
        y = np.ones_like(A) if weights is None else messages(block, weights)
        return {
            "told": block.per_annotator(A * truths(block, A, y)),
            "correct": block.per_annotator(block.of_labels(T)),
        }

    def maximise(self, sums: Sums, skills: Messages | None, log: LogSize) -> Messages:
        """One round more."""
        told = np.where(np.abs(sums["told"]) > NOTHING * log.annotations, sums["told"], 0.0)
        largest = float(np.abs(told).max()) or 1.0
        Y, scales = told / largest, np.array([largest])
        if skills is not None:
            Y, scales = np.append(skills.Y, Y, axis=0), np.append(skills.scales, scales)
        return Messages(Y, scales, log.right_and_wrong(sums["correct"]))

    def change(self, old: Messages, new: Messages) -> float | None:
        return float(np.abs(new.Y[-1] - old.Y[-1]).max())

    def moved(self, skills: Messages, place: Ints) -> Messages:
        """The sums of known annotators; unknown ones get the mean."""
        mean = skills.Y.mean(axis=1, keepdims=True)
        Y = np.append(skills.Y, mean, axis=1)[:, place]
        return replace(skills, Y=Y, counts=with_sum(skills.counts)[:, place])

    def annotator_columns(self, skills: Messages) -> dict[str, Any]:
        """`reliability` = Y / max |Y|, from -1 for an adversary to 1."""
        return {"reliability": skills.Y[-1]}


def signs(block: Block) -> Floats:
    """A: -1 for the first class, 1 for the second, shape (R,)."""
    return (2 * block.label - 1).astype(np.float64)


def truths(block: Block, A: Floats, y: Floats) -> Floats:
    """x[i->j]: the group sum of each example, less the own term."""
    x: Floats = block.at_rows(block.per_example(A * y)) - A * y
    if block.known is None:
        return x
    sure = np.where(block.known == UNKNOWN, np.nan, (2.0 * block.known - 1) * block.count)
    known: Floats = block.at_rows(sure)
    return np.where(np.isnan(known), x, known)


def messages(block: Block, weights: tuple[Floats, Floats]) -> Floats:
    """y[j->i] after the rounds whose group sums are given, rounded to what adds up exactly.

    The order of a sum must not decide the sign of messages that cancel.
    """
    A = signs(block)
    y = np.ones_like(A)
    for Y, scale in zip(*weights, strict=True):
        y = on_grid(Y.take(block.annotator) - A * truths(block, A, y) / scale)
        y[np.abs(y) < NOTHING] = 0.0
    return y


def of_two_classes(rounds: Rounds) -> Kos:
    """The model, for a log that it is for."""
    if rounds.n_classes > 2:
        raise AnnotationError(
            f"has {counted(rounds.n_classes, 'class')} ({shown(rounds.book.classes.to_list())}); KOS is "
            "for two.",
            "Ask one class against the rest, or use a method for any number of classes, such as Dawid-Skene.",
            source="the log",
            column="label",
        )
    return Kos()


@shares(IterationOptions, Options)
def kos(log: Any, **options: Unpack[IterationOptions]) -> TruthInference:
    """The truth of each example of two classes by KOS. Experimental: see the module.

    Parameters
    ----------
    init
        The parameters of an earlier fit to begin at. Messages begin alike, whatever the majority or other
        labels say.
    tol
        When to stop before `max_iter`: when no annotator's reliability moves by more than this.

    Returns
    -------
    TruthInference
        `.annotators` has `reliability` = Y / max |Y| in [-1, 1].

    Agrees with
    -----------
    crowd-kit 1.4.2 `KOS(n_iter=10)`: with `max_iter=10` the same labels, up to its random beginning.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> fit = kos(pc.datasets.tutorial().log.filter(pl.col("label") < 2))
    >>> fit.annotators["reliability"].head(2).round(4).to_list()
    [-0.0315, -0.0087]
    """
    init = options.get("init", "majority_vote")
    if not isinstance(init, (str, TruthInference)):
        raise OptionError(
            "init",
            ...,
            "has labels, which KOS does not begin at: its messages begin alike.",
            Advice("Give an earlier fit, or labels that are known", python="gold="),
        )
    return fit(log, of_two_classes, Options(**options))
