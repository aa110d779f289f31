r"""MACE: multi-annotator competence estimation. An annotator knows, or spams.

Letters: example i, annotator j with m[j] annotations, label y, K classes. Annotator j knows the truth with
probability tau[j], and says it; otherwise he draws a label from a distribution xi[j,:] of his own:

    P(j says y | truth k) = tau[j] [y = k] + a[j,y],        a[j,y] = (1 - tau[j]) xi[j,y]

All classes are equally likely beforehand.

**E-step** (Hovy et al. 2013, "Learning whom to trust with MACE", NAACL-HLT):

    log T[i,k] = sum over all labels of i: log a[j,y]
               + sum over the labels k of i: log (tau[j] + a[j,k]) - log a[j,k]   + const(i)
    know[j,l]  = sum over the labels l of j: T[i,l] tau[j] / (tau[j] + a[j,l])
    spam[j,l]  = (number of the labels l of j) - know[j,l]

**M-step**, with the pseudo-counts (s, s) of knowing and spamming, and r of each label of a spammer:

    tau[j] = (s + sum_l know[j,l]) / (2 s + m[j])
    xi[j,l] = (r + spam[j,l]) / (K r + sum_l spam[j,l])

**Objective** of `method="em"`, which no iteration lowers:

    sum_i log 1/K sum_k prod P(y | k, j) + sum_j s (log tau[j] + log (1 - tau[j])) + r sum_l log xi[j,l]

`method="vb"` has posteriors for tau and xi in place of points: s and r are the parameters of their Beta and
Dirichlet priors, tau, 1 - tau and xi above are exp E[log tau] and so on (psi is the digamma function),

    log tau[j] = psi(s + know[j]) - psi(2 s + m[j]),    ...

and the objective is the evidence lower bound, with -KL(posterior || prior) for the terms of the priors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, Unpack

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import check_choice
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.signatures import shares
from polars_crowd.truth.block import Block
from polars_crowd.truth.classification.dirichlet import MODE, VARIATIONAL, Dirichlet
from polars_crowd.truth.classification.one_coin import check_pair
from polars_crowd.truth.em import fit
from polars_crowd.truth.model import CELL, LogSize, Model, Sums
from polars_crowd.truth.options import Likelihood, LikelihoodOptions
from polars_crowd.truth.past import past_counts
from polars_crowd.truth.posterior import Posterior, moved_counts, with_sum
from polars_crowd.truth.result import TruthInference

Method = Literal["em", "vb"]

COUNTS = ("num_knowing", "num_spamming")
DEFAULTS: dict[str, tuple[float, float]] = {"em": (0.1, 0.1), "vb": (0.5, 10.0)}


@dataclass(frozen=True)
class Competence:
    """Counts of knowing and spamming (2, M) and of spammers' labels (M, K), the priors' in them; m (M,)."""

    know: Floats
    spam: Floats
    annotations: Floats


@dataclass(frozen=True)
class CellLogs:
    """log a and log (tau + a) - log a of each annotator and label, shape (M * K,) each."""

    error: Floats
    gain: Floats


@dataclass(frozen=True)
class Mace(Model):
    """Annotators by how often they know and what they say when they do not."""

    rule: Dirichlet
    know_pseudo_counts: Floats
    """s, shape (2, 1), or (2, M) with the past."""
    spam_pseudo_counts: Floats
    """r, shape (1, 1) or (M, 1)."""

    name = "MACE"
    sums: ClassVar = {"right": CELL, "labels": CELL}
    class_pseudo_count = np.inf

    def logs(self, skills: Competence) -> tuple[Floats, Floats]:
        """log tau, shape (M, 1), and log a, shape (M, K)."""
        log_tau, log_not = self.rule.log_mean(skills.know, axis=0)
        return log_tau[:, None], log_not[:, None] + self.rule.log_mean(skills.spam)

    def weights(self, skills: Competence) -> CellLogs:
        log_tau, log_a = self.logs(skills)
        return CellLogs(log_a.ravel(), (np.logaddexp(log_tau, log_a) - log_a).ravel())

    def log_likelihood(self, block: Block, weights: CellLogs) -> Floats:
        """sum over all labels: log a; over the labels k: log (tau + a) - log a."""
        errors = block.per_example(weights.error.take(block.cell))
        return errors + block.per_class(weights.gain.take(block.cell))

    def count(self, block: Block, T: Floats, weights: Any) -> dict[str, Floats]:
        """sum over the labels l of j: T[i,l], and their number."""
        return {
            "right": block.per_cell(block.of_labels(T)),
            "labels": block.per_cell(np.ones(len(block.annotator))),
        }

    def knowing(self, skills: Competence | None, log: LogSize) -> Floats:
        """tau / (tau + a), shape (M, K): how likely a right answer was known."""
        if skills is None:
            return np.full((log.n_annotators, log.n_classes), log.n_classes / (log.n_classes + 1))
        log_tau, log_a = self.logs(skills)
        return np.exp(log_tau - np.logaddexp(log_tau, log_a))

    def maximise(self, sums: Sums, skills: Competence | None, log: LogSize) -> Competence:
        shape = (log.n_annotators, log.n_classes)
        know = sums["right"].reshape(shape) * self.knowing(skills, log)
        spam = sums["labels"].reshape(shape) - know
        both = self.know_pseudo_counts + np.stack([know.sum(axis=1), spam.sum(axis=1)])
        return Competence(both, self.spam_pseudo_counts + spam, log.annotations)

    def log_prior(self, skills: Competence) -> float:
        prior = self.rule.log_prior(skills.know, self.know_pseudo_counts, axis=0)
        return prior + self.rule.log_prior(skills.spam, self.spam_pseudo_counts)

    def moved(self, skills: Competence, place: Ints) -> Competence:
        """The counts of known annotators; unknown ones get those of all together."""
        know, spam = with_sum(skills.know)[:, place], with_sum(skills.spam.T)[:, place].T
        m = np.append(skills.annotations, skills.annotations.sum())
        return Competence(know, spam, m[place])

    def for_annotators(self, place: Ints, skills: Competence) -> Self:
        """... with their pseudo-counts."""
        return replace(
            self,
            know_pseudo_counts=moved_counts(self.know_pseudo_counts, skills.know, place),
            spam_pseudo_counts=moved_counts(self.spam_pseudo_counts.T, skills.spam.T, place).T,
        )

    def annotator_columns(self, skills: Competence) -> dict[str, Any]:
        """`competence` = tau, and the expected numbers of annotations, `num_knowing` and `num_spamming`."""
        spamming = (skills.spam - self.spam_pseudo_counts).sum(axis=1)
        counts = zip(COUNTS, (skills.annotations - spamming, spamming), strict=True)
        return {"competence": competence(skills), **dict(counts)}

    def confusion(self, skills: Competence, n_classes: int) -> Floats:
        """tau [l = k] + (1 - tau) xi[l]."""
        tau = competence(skills)[:, None]
        xi = skills.spam / skills.spam.sum(axis=1, keepdims=True)
        own = np.eye(n_classes)[:, None, :]
        shares: Floats = own * tau + (1 - tau) * xi
        return shares

    def example_columns(
        self, block: Block, weights: CellLogs, found: Posterior
    ) -> dict[str, Floats]:
        """`entropy` of T[i,:], in nats."""
        logs = np.log(np.where(found.T > 0, found.T, 1.0))
        return {"entropy": -(found.T * logs).sum(axis=0)}


def competence(skills: Competence) -> Floats:
    """tau, its mean under the counts."""
    tau: Floats = skills.know[0] / skills.know.sum(axis=0)
    return tau


@shares(LikelihoodOptions, Likelihood, max_iter=200)
def mace(
    log: Any,
    *,
    method: Method = "em",
    pseudo_counts: tuple[float, float] | None = None,
    prior: Any = None,
    **options: Unpack[LikelihoodOptions],
) -> TruthInference:
    """The truth of each example by MACE: annotators know, or spam.

    Parameters
    ----------
    method
        `"em"` for the mode of the posterior, `"vb"` for the variational posterior.
    pseudo_counts
        (s, r), above 0: of knowing and of spamming each, and of each label of a spammer; by default
        (0.1, 0.1) for `"em"` and (0.5, 10) for `"vb"`.
    prior
        What is known of annotators from the past: a frame `annotator, num_knowing, num_spamming` of counts,
        added to their pseudo-counts, or an earlier fit.

    Returns
    -------
    TruthInference
        `.annotators` has `competence` = tau, `num_knowing` and `num_spamming`; `.difficulty` the `entropy`
        of each example's posterior.

    Agrees with
    -----------
    crowd-kit 1.4.2 `MACE`, where ids appear in the log in sorted order (else it mixes up annotators): the
    same model. It begins at random, and may end at another mode.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = mace(pc.datasets.tutorial().log)
    >>> fit.annotators["competence"].head(2).round(4).to_list()
    [0.0225, 0.0278]
    """
    check_choice("method", method, Method)
    rule = {"em": MODE, "vb": VARIATIONAL}[method]
    s, r = check_pair(DEFAULTS[method] if pseudo_counts is None else pseudo_counts)[:, :, None]

    def model(rounds: Rounds) -> Mace:
        return Mace(rule, s + past_counts(prior, rounds.book, COUNTS), r)

    return fit(log, model, Likelihood(**options))
