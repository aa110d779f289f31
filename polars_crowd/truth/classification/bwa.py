r"""BWA: Bayesian weighted average, each class against the rest, annotators by the precision of their labels.

Li, Rubinstein and Cohn (2019), "Truth inference at scale: a Bayesian model for adjudicating highly redundant
crowd annotations", WWW, section 4.

Letters: example i, annotator j with m[j] annotations, label y, K classes, M annotators. For a class k put
x = 1 for the labels y = k and x = 0 for all others. The labels are taken for normal about a truth z[i] that
annotator j sees with precision v[j] (one v per class):

    x ~ N(z[i], 1 / v[j]),        z[i] ~ N(mu, 1 / lambda),        v[j] ~ Gamma(a / 2, b / 2)

The posterior is climbed in turns. Given the precisions:

    z[i] = (lambda mu + sum over the labels of i: v[j] x) / (lambda + sum over the labels of i: v[j])

and given the truths:

    mu   = mean_i z[i]
    v[j] = (a + m[j]) / (b + sum over the labels of j: (x - z[i])^2)

It begins at z[i] = mean x, the share of votes, and b is what makes the precision that of the votes
themselves: b = a 4 (1 - 1/K) mean over all labels: z[i] (1 - z[i]). The posterior is, z being in [0, 1],

    T[i,k] = z[i,k] / sum_k z[i,k]

**Objective**, the log posterior density up to a constant, which no turn lowers, summed over the classes:

    1/2 sum_j ((a + m[j]) log v[j] - b v[j]) - 1/2 sum over all labels: v[j] (x - z[i])^2
        - lambda / 2 sum_i (z[i] - mu)^2

Past answers (`prior=`) add to m[j], and 2 / K to the squares of each class per wrong one: a wrong answer is
wrong for two of the K classes. A known label holds z[i] at 1 for its class and 0 for the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Unpack

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.option_checks import check_positive
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.signatures import shares
from polars_crowd.truth.block import Block
from polars_crowd.truth.em import fit
from polars_crowd.truth.model import ANNOTATOR, CELL, LogSize, Model, Sums
from polars_crowd.truth.options import IterationOptions, Options
from polars_crowd.truth.past import COUNTS, past_counts
from polars_crowd.truth.posterior import Posterior, known_posterior, with_sum
from polars_crowd.truth.result import TruthInference
from polars_crowd.truth.sums import on_grid
from polars_crowd.truth.terms import Terms, at_own_label

LEAST_SPREAD = 1e-6
"""z (1 - z) is at least this on average, so that votes without a dispute have a precision."""


@dataclass(frozen=True)
class Precisions:
    """What is estimated: v (K, M), mu and b (K,), and what they are of, m (M,) and the squares (K, M)."""

    v: Floats
    mu: Floats
    b: Floats
    annotations: Floats
    square: Floats


@dataclass(frozen=True)
class Truths(Posterior):
    """T, and what it is made of."""

    z: Floats
    """Shape (K, n)."""


@dataclass(frozen=True)
class Bwa(Model):
    """Annotators by the precision of their labels."""

    a: float
    prior_precision: float
    """lambda."""
    past: Floats
    """Correct and incorrect answers before the log, shape (2, M)."""

    name = "BWA"
    sums: ClassVar = {"others": ANNOTATOR, "own": CELL, "mass": (), "spread": (), "n": ()}
    class_pseudo_count = np.inf

    def weights(self, skills: Precisions) -> tuple[Floats, Floats]:
        """v and mu."""
        return skills.v, skills.mu

    def e_step(self, block: Block, weights: Any, log_classes: Floats) -> Truths:
        """z over their sum; the examples' part of the objective."""
        v, mu = weights
        V, X = precisions(block, v)
        z = self.truth(block, V, X, mu)
        squares = X - 2 * z * X + z**2 * V + self.prior_precision * (z - mu[:, None]) ** 2
        return Truths(z / z.sum(axis=0), -squares.sum(axis=0) / 2, z)

    def truth(self, block: Block, V: Floats, X: Floats, mu: Floats) -> Floats:
        """z, shape (K, n)."""
        z = (self.prior_precision * mu[:, None] + X) / (self.prior_precision + V)
        return known_posterior(block, z)

    def terms(self, block: Block, weights: Any, log_classes: Floats) -> Terms:
        """v x / (lambda + V), and lambda mu / (lambda + V) of the prior, over their sum."""
        v, mu = weights
        V, X = precisions(block, v)
        z = (self.prior_precision * mu[:, None] + X) / (self.prior_precision + V)
        whole = (self.prior_precision + V) * z.sum(axis=0)
        own = v[block.label, block.annotator]
        terms = at_own_label(block, own) / whole[:, block.example]
        prior = self.prior_precision * mu[:, None] / whole
        return Terms(terms, is_log=False, weight=own, prior=prior)

    def count_found(
        self, block: Block, found: Posterior, T: Floats, weights: Any
    ) -> dict[str, Floats]:
        assert isinstance(found, Truths)
        return self.count(block, on_grid(found.z), weights)

    def count(self, block: Block, z: Floats, weights: Any) -> dict[str, Floats]:
        """Squares of z over the labels of j of other classes, of 1 - z over those of each class: small where
        annotators are right, as nothing large cancels."""
        return {
            "others": np.stack(
                [block.per_annotator(square) for square in squares_of_others(block, z)]
            ),
            "own": block.per_cell((1 - block.of_labels(z)) ** 2),
            "mass": z.sum(axis=1),
            "spread": (z * (1 - z) * block.count).sum(axis=1),
            "n": np.array([float(block.n_examples)]),
        }

    def maximise(self, sums: Sums, skills: Precisions | None, log: LogSize) -> Precisions:
        b = self.first_b(sums, log) if skills is None else skills.b
        own = sums["own"].reshape(log.n_annotators, log.n_classes).T
        mu, square = sums["mass"] / sums["n"][0], sums["others"] + own
        found = Precisions(np.ones(1), mu, b, log.annotations, square)
        return replace(found, v=self.size(found) / self.cost(found))

    def first_b(self, sums: Sums, log: LogSize) -> Floats:
        """b = a 4 (1 - 1/K) mean z (1 - z)."""
        spread = np.maximum(sums["spread"] / log.annotations.sum(), LEAST_SPREAD)
        b: Floats = self.a * 4 * (1 - 1 / max(log.n_classes, 2)) * spread
        return b

    def size(self, skills: Precisions) -> Floats:
        """a + m, shape (M,)."""
        size: Floats = self.a + skills.annotations + self.past.sum(axis=0)
        return size

    def cost(self, skills: Precisions) -> Floats:
        """b + the squares, shape (K, M)."""
        of_past = 2 / len(skills.mu) * self.past[1]
        cost: Floats = skills.b[:, None] + skills.square + of_past
        return cost

    def log_prior(self, skills: Precisions) -> float:
        """The part of the objective that is not the examples'."""
        size, cost = self.size(skills), self.cost(skills)
        v = skills.v
        return float((size * np.log(v) - (cost - skills.square) * v).sum() / 2)

    def moved(self, skills: Precisions, place: Ints) -> Precisions:
        """The precisions of known annotators; unknown ones get that of all together."""
        size = self.a + skills.annotations
        pooled = size.sum() / (size / skills.v).sum(axis=1, keepdims=True)
        return replace(
            skills,
            v=np.append(skills.v, pooled, axis=1)[:, place],
            annotations=np.append(skills.annotations, skills.annotations.sum())[place],
            square=with_sum(skills.square)[:, place],
        )

    def annotator_columns(self, skills: Precisions) -> dict[str, Any]:
        """`precision`, the mean of v over the classes, and the numbers of right and wrong answers."""
        incorrect = skills.square.sum(axis=0) / 2
        counts = zip(COUNTS, (skills.annotations - incorrect, incorrect), strict=True)
        return {"precision": skills.v.mean(axis=0), **dict(counts)}


def squares_of_others(block: Block, z: Floats) -> Iterator[Floats]:
    """z^2 at the labels of other classes, for each class, shape (R,)."""
    for k, of_k in enumerate(z):
        yield np.where(block.label == k, 0.0, block.at_rows(of_k**2))


def precisions(block: Block, v: Floats) -> tuple[Floats, Floats]:
    """The sums of v over all labels of i, and over its labels k, both of shape (K, n)."""
    V = np.stack([block.per_example(of_k.take(block.annotator)) for of_k in v])
    return V, block.per_class(np.ascontiguousarray(v.T).ravel().take(block.cell))


@shares(IterationOptions, Options)
def bwa(
    log: Any,
    *,
    pseudo_count: float = 15.0,
    prior_precision: float = 1.0,
    prior: Any = None,
    **options: Unpack[IterationOptions],
) -> TruthInference:
    """The truth of each example by BWA: a mean of votes, annotators weighed by their precision.

    Parameters
    ----------
    pseudo_count
        a > 0: how many annotations the prior of an annotator's precision is worth.
    prior_precision
        lambda > 0: the weight of the mean over examples in each truth, in units of a precision.

    Returns
    -------
    TruthInference
        `.annotators` has `precision` = the mean of v over the classes, `num_correct` and `num_incorrect`.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = bwa(pc.datasets.tutorial().log)
    >>> fit.annotators["precision"].head(2).round(4).to_list()
    [3.4682, 3.5569]
    """
    check_positive(pseudo_count=pseudo_count, prior_precision=prior_precision)

    def model(rounds: Rounds) -> Bwa:
        return Bwa(pseudo_count, prior_precision, past_counts(prior, rounds.book))

    return fit(log, model, Options(**options))
