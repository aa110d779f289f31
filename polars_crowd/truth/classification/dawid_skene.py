r"""Dawid-Skene: annotators by their confusion matrices, fitted by EM to the mode of the posterior.

Letters: example i, annotator j, classes k (the truth) and l (a label) of K; T[i,k] = P(truth of i is k | its
labels); pi[k] the share of class k; theta[j,k,l] the probability that j says l where the truth is k. Each row
theta[j,k,:] and pi have a Dirichlet(1 + b) prior: b pseudo-counts per label, `smoothing`.

**E-step** (Dawid and Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM
algorithm", Applied Statistics 28, eq. 2.5; with the prior of Raykar et al. 2010, JMLR 11), in logs:

    log T[i,k] = log pi[k] + sum over the labels y of i by j: log theta[j,k,y]   + const(i)

**M-step** (eqs. 2.3 and 2.4, with pseudo-counts):

    C[j,k,l]     = b[j,k,l] + sum over the labels l of j: T[i,k]
    theta[j,k,l] = C[j,k,l] / sum_l C[j,k,l]
    pi[k]        ∝ b + sum_i T[i,k]

**Objective**, which no iteration lowers:

    sum_i log sum_k pi[k] prod theta[j,k,y]  +  sum_jkl b[j,k,l] log theta[j,k,l]  +  b sum_k log pi[k]

Counts from the past are added to b[j,k,l]; a known label holds T[i] at one class; pred_probs are mixed with
pi (`truth.class_prior`). Class shares that are given stay as they are.

**Which class is which.** Renaming the classes inside theta and pi leaves the objective as it is. A fit that
has nothing but the majority vote to go by (no known labels, past counts or model) exchanges at the end the
names of two classes that agree better with the labels of all annotators under each other's name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self, Unpack

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.numerics.mixture import SMALLEST_LOG
from polars_crowd.option_checks import check_positive
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.signatures import shares
from polars_crowd.truth.block import Block
from polars_crowd.truth.classification.dirichlet import MODE, Dirichlet
from polars_crowd.truth.em import fit
from polars_crowd.truth.given import class_shares
from polars_crowd.truth.held import HeldCounts, occurring
from polars_crowd.truth.model import CELL, LogSize, Model, Sums
from polars_crowd.truth.options import Matrices, MatrixOptions
from polars_crowd.truth.pairs import (
    Counts,
    Pairs,
    moved_prior,
    with_axes,
)
from polars_crowd.truth.past import past_confusion
from polars_crowd.truth.result import TruthInference


@dataclass(frozen=True)
class Confusions(Model):
    """Annotators by their confusion matrices. Skills are the counts C."""

    pseudo_counts: Floats
    """b[k,j,l], in a shape that broadcasts to (K, M, K)."""
    pairs: Pairs
    """Those of annotators and labels that occur."""
    class_pseudo_count: float

    sums: ClassVar = {"confusion": CELL}
    rule: ClassVar[Dirichlet] = MODE

    @property
    def codes(self) -> Ints:
        return self.pairs.summed

    @cached_property
    def b(self) -> Floats:
        """The pseudo-counts, in a shape of three axes."""
        return with_axes(self.pseudo_counts)

    def weights(self, skills: Counts | HeldCounts) -> Any:
        """log theta, shape (K, P), or what is known from it."""
        return skills.weights(self.pairs, self.rule)

    def log_likelihood(self, block: Block, weights: Any) -> Floats:
        """sum over the labels of i: log theta[j,k,y]."""
        return self.pairs.log_likelihood(block, weights)

    def count(self, block: Block, T: Floats, weights: Any) -> dict[str, Floats]:
        """sum over the labels l of j: T[i,k], shape (K, P)."""
        return self.pairs.counted(block, T, weights)

    def maximise(
        self, sums: Sums, skills: Counts | HeldCounts | None, log: LogSize
    ) -> Counts | HeldCounts:
        """C = b + the sums."""
        return self.pairs.counts(sums, self.b, skills)

    def log_prior(self, skills: Counts | HeldCounts) -> float:
        """sum b log theta, once per row of theta."""
        if skills.b is not self.b:  # those of an earlier fit
            return self.rule.log_prior(skills.dense, self.b)
        return skills.log_prior(self.rule)

    def moved(self, skills: Counts | HeldCounts, place: Ints) -> Counts:
        return skills.of_annotators(place)

    def for_annotators(self, place: Ints, skills: Counts | HeldCounts) -> Self:
        """... with their pseudo-counts, and whatever labels."""
        pairs = Pairs.all_of(len(place), skills.pairs.n_classes)
        prior = moved_prior(self.b, skills.pairs.n_annotators, place)
        return replace(self, pseudo_counts=prior, pairs=pairs)

    def of_classes(self, skills: Any) -> Counts | HeldCounts:
        """C by class of the truth."""
        counts: Counts | HeldCounts = skills
        return counts

    def annotator_columns(self, skills: Counts | HeldCounts) -> dict[str, Any]:
        """`balanced_accuracy`: the mean over classes of theta[j,k,k]."""
        return {"balanced_accuracy": self.of_classes(skills).own_shares().mean(axis=0)}

    def confusion(self, skills: Counts | HeldCounts, n_classes: int) -> Floats:
        """P(label l | truth k, annotator j)."""
        counts = self.of_classes(skills).dense
        shares: Floats = counts / counts.sum(axis=-1, keepdims=True)
        return shares

    def confusion_counts(self, skills: Counts | HeldCounts) -> Floats:
        counts = self.of_classes(skills)
        return counts.pairs.spread(counts.seen)


@dataclass(frozen=True)
class DawidSkene(Confusions):
    """The mode of the posterior."""

    class_shares: Floats | None = None
    name: ClassVar[str] = "Dawid-Skene"

    def at_confusion(self, theta: Floats) -> Counts:
        """Counts without pseudo-counts that are theta, zeros aside."""
        pairs = Pairs.all_of(*theta.shape[1:])
        seen = np.maximum(theta, SMALLEST_LOG).reshape(len(theta), -1)
        return Counts(pairs, seen, np.zeros((1, 1, 1)))

    def class_order(self, skills: Counts | HeldCounts) -> Ints | None:
        """The names under which classes agree best with the labels of all annotators; shares that are
        given say which class is which."""
        if self.class_shares is not None or self.pseudo_counts.size > 1:
            return None
        return agreeing_order(skills.by_label())

    def exchanged(self, skills: Counts | HeldCounts, order: Ints) -> Counts | HeldCounts:
        return skills.exchanged(order)


def agreeing_order(by_label: Floats) -> Ints:
    """Exchange pairs of classes as long as that raises the trace of (truth x label) counts, by one
    annotation at least: what next to no example is may be called anything."""
    order = np.arange(len(by_label))
    while True:
        now = by_label[order]
        own = np.diag(now)
        gain = now + now.T - own[:, None] - own
        k, m = np.unravel_index(np.argmax(gain), gain.shape)
        if gain[k, m] < 1:
            return order
        order[[k, m]] = order[[m, k]]


@shares(MatrixOptions, Matrices)
def dawid_skene(
    log: Any,
    pred_probs: Any = None,
    *,
    smoothing: float = 0.1,
    prior: Any = None,
    class_prior: Any = None,
    **options: Unpack[MatrixOptions],
) -> TruthInference:
    """The truth of each example by Dawid-Skene: every annotator has a confusion matrix.

    An iteration takes time in proportion to annotations x classes; counts are kept for the pairs of annotator
    and label that occur, 8 K bytes for each a few times over, or, of a log in memory that has fewer examples
    than pairs, for each example (`truth.held`). For tens of thousands of classes `one_coin_dawid_skene` is
    the method.

    Parameters
    ----------
    smoothing
        b > 0, pseudo-counts per label of each annotator and true class, and per class. 1e-10 is the method
        as published.
    class_prior
        The share of each class among the examples, which is then held fixed instead of estimated (with
        `pred_probs` it is what the models are mixed with): a frame `label, probability` or a mapping of
        labels to probabilities. Each class has one, above 0; they add up to 1.
    init
        Where to begin: at the `"majority_vote"`, at the labels of a frame `example, label`, at an earlier
        fit, which saves iterations when a log has grown a little, or at the confusion matrices of a frame
        `annotator, true_label, label, probability` (as `.confusion` is), each of whose rows adds up to 1;
        what is not there has the probability 0, and annotators without a matrix begin at the mean of those
        given. Class shares begin at those of the votes.

    Returns
    -------
    TruthInference
        `.annotators` has `balanced_accuracy` = mean_k theta[j,k,k].

    Agrees with
    -----------
    crowd-kit 1.4.2 `DawidSkene(n_iter=n, tol=-1e9)`: with `smoothing=1e-10`, `max_iter=n`, `tol=0`,
    `confidence="model"` the posteriors are the same to 1e-6 on logs whose annotators have used every class.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = dawid_skene(pc.datasets.tutorial().log)
    >>> fit.converged, fit.n_iter
    (True, 14)
    >>> fit.annotators["annotator_quality"].head(2).round(4).to_list()
    [0.1464, 0.2742]
    """
    check_positive(smoothing=smoothing)

    def model(rounds: Rounds) -> DawidSkene:
        shares = None if class_prior is None else class_shares(class_prior, rounds.book)
        b = pseudo_counts(smoothing, prior, rounds)
        return DawidSkene(b, occurring(rounds, b), smoothing, shares)

    return fit(log, model, Matrices(pred_probs=pred_probs, **options))


def pseudo_counts(own: Floats | float, prior: Any, rounds: Rounds) -> Floats:
    """b[k,j,l]: the method's own, and what is known from the past."""
    own = np.asarray(own, dtype=np.float64)
    return own if prior is None else own + past_confusion(prior, rounds.book)
