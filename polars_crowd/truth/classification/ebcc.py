r"""EBCC: enhanced Bayesian classifier combination, classes with sub-types on which annotators err alike.

Letters as in `truth.classification.ibcc`. Each class k has G sub-types g, easy and hard examples of it say;
the truth of an example is a pair (k, g), and what annotators say depends on both:

    tau ~ Dirichlet(1)                            class k has probability tau[k]
    eta[k,:] ~ Dirichlet(a / G)                   its sub-type g has probability eta[k,g]
    theta[j,k,g,:] ~ Dirichlet(b[k,:])            label l has probability theta[j,k,g,l]

with b[k,l] = 4 if k = l else 1. Given (k, g) annotators are independent; given k alone they are not (Li,
Rubinstein and Cohn 2019, "Exploiting worker correlation for label aggregation in crowdsourcing", ICML).

**E-step** (mean field, psi the digamma function; C, N and P are counts with their priors in them):

    log T[i,k,g] = E[log tau[k]] + E[log eta[k,g]]
                   + sum over the labels y of i by j: E[log theta[j,k,g,y]]   + const(i)
    E[log theta[j,k,g,l]] = psi(C[j,k,g,l]) - psi(sum_l C[j,k,g,l]),   so for tau (P) and eta (N)

**M-step**:

    C[j,k,g,l] = b[k,l] + sum over the labels l of j: T[i,k,g]
    N[k,g] = a / G + sum_i T[i,k,g],        P[k] = 1 + sum_i sum_g T[i,k,g]

**Objective**, the evidence lower bound, which no iteration lowers:

    sum_i log sum_kg exp(the right side of the E-step) - KL of theta, eta and tau from their priors

Most sub-types soon have no examples, and cost little from there on: what adds to no sum is not found.

**Where it begins.** At the shares of votes, the part of each class dealt at random to its sub-types, in
Dirichlet(1) parts. Of several beginnings the one with the best bound at the end is kept; a large log has one,
as each takes G times as long as Dawid-Skene and more iterations. The parts are drawn by `seed` from who said
what how often, not from names or places, which do not change them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np

from polars_crowd.arrays import Floats, Ints, Packed
from polars_crowd.errors import heard, warn_again
from polars_crowd.numerics.group_sums import AT_ONCE, GroupSums
from polars_crowd.option_checks import check_count, check_positive
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.signatures import shares
from polars_crowd.truth.block import Block
from polars_crowd.truth.classification.dawid_skene import Confusions, pseudo_counts
from polars_crowd.truth.classification.dirichlet import VARIATIONAL, Dirichlet
from polars_crowd.truth.em import fit_rounds, on_its_own, opened
from polars_crowd.truth.options import Matrices, MatrixOptions, Options
from polars_crowd.truth.pairs import PER_CELL, Counts, Pairs, check_matrices, counted_pairs
from polars_crowd.truth.posterior import Posterior, softmax, with_known
from polars_crowd.truth.result import TruthInference

OWN, OTHER, CLASS = 4.0, 1.0, 1.0
"""Pseudo-counts of the right label, of each other one, and of each class."""
IMPOSSIBLE = 40.0
"""What has the likelihood exp(-40) beside that of another state is no part of a sum of posteriors."""
MANY = 8
"""Where there are so many states, likelihoods are found of a few of them at once."""
BEGINNINGS = 3
"""How many beginnings there are by default,"""
ONE_BEGINNING = 250_000
"""and how many annotations a log has for which it is one: an iteration costs G times that of Dawid-Skene."""


@dataclass(frozen=True)
class Nested(Dirichlet):
    """Shares of states: those of the classes times those of the sub-types in each. Counts are N, flat."""

    n_subtypes: int
    """G."""
    subtype_count: float
    """a."""

    def nested(self, counts: Floats) -> tuple[Floats, Floats]:
        """N, shape (K, G), and P, shape (K,)."""
        N = counts.reshape(-1, self.n_subtypes)
        return N, N.sum(axis=1) - self.subtype_count + CLASS

    def log_mean(self, counts: Floats, axis: int = -1) -> Floats:
        """E[log tau] + E[log eta]."""
        N, P = self.nested(counts)
        by_state: Floats = super().log_mean(N) + super().log_mean(P)[:, None]
        return by_state.ravel()

    def log_prior(self, counts: Floats, prior: Floats | float, axis: int = -1) -> float:
        """-KL of eta and of tau."""
        N, P = self.nested(counts)
        return VARIATIONAL.log_prior(N, prior) + VARIATIONAL.log_prior(P, CLASS)


@dataclass(frozen=True, kw_only=True)
class Ebcc(Confusions):
    """The variational posterior over classes and sub-types. Skills are the counts C, of K G states."""

    keys: Packed
    """What the beginning is drawn from, a number per annotator; shape (M,)."""
    class_rule: Nested  # type: ignore[misc]

    name = "EBCC"
    rule = VARIATIONAL

    def class_of_state(self, n_classes: int) -> Ints:
        return np.repeat(np.arange(n_classes), self.class_rule.n_subtypes)

    def weights(self, skills: Any) -> Floats:
        """log theta, shape (K G, P): where a sub-type has no examples, that of its class's pseudo-counts."""
        G, some = self.class_rule.n_subtypes, with_examples(skills)
        of_none = Counts(skills.pairs, np.zeros_like(skills.seen[::G]), skills.b[::G])
        log_theta = np.repeat(of_none.weights(self.pairs, self.rule), G, axis=0)
        log_theta[some] = of_states(skills, some).weights(self.pairs, self.rule)
        return log_theta

    def log_prior(self, skills: Any) -> float:
        """-KL of theta: nothing, where a sub-type has no examples."""
        if skills.b is not self.b:  # those of an earlier fit
            return super().log_prior(skills)
        return of_states(skills, with_examples(skills)).log_prior(self.rule)

    def e_step(self, block: Block, weights: Any, log_classes: Floats) -> Posterior:
        """The posterior; a state is left out where, whatever the labels, it is as good as impossible."""
        most = log_classes.max(axis=1)
        states = np.flatnonzero(most > most.max() - IMPOSSIBLE)
        joint = self.log_joint(block, weights, log_classes, states)
        possible = np.flatnonzero(most > joint.max(axis=0).min() - IMPOSSIBLE)
        others = np.setdiff1d(possible, states)
        if len(others):
            states = np.append(states, others)
            joint = np.append(joint, self.log_joint(block, weights, log_classes, others), axis=0)
        found = softmax(joint)
        return replace(found, T=spread(found.T, states, len(most)))

    def log_joint(self, block: Block, weights: Any, log_classes: Floats, states: Ints) -> Floats:
        """The right side of the E-step for some of the states."""
        joint = self.log_likelihood(block, weights[states])
        joint += log_classes[states]
        return with_known(joint, block, self.class_of_state(block.n_classes)[states])

    def log_likelihood(self, block: Block, weights: Any) -> Floats:
        """sum over the labels of i: E[log theta[j,k,g,y]]."""
        if len(weights) < MANY:
            return super().log_likelihood(block, weights)
        place, found = self.pairs.place(block.cell), np.empty((len(weights), block.n_examples))
        sums = GroupSums.of(place, block.example, block.n_examples)
        for few in (slice(s, s + AT_ONCE) for s in range(0, len(weights), AT_ONCE)):
            found[few] = sums.of_rows(np.ascontiguousarray(weights[few].T)).T
        return found

    def in_states(self, block: Block, T: Floats) -> Floats:
        """The part of each class, dealt to its sub-types."""
        parts = drawn_parts(example_keys(block, self.keys), self.class_rule.n_subtypes)
        return (T[:, None, :] * parts).reshape(-1, block.n_examples)

    def of_classes(self, skills: Any) -> Counts:
        """The sub-types of each class together."""
        G = self.class_rule.n_subtypes
        seen = skills.seen.reshape(-1, G, len(skills.pairs)).sum(axis=1)
        return Counts(skills.pairs, seen, skills.b[::G])


def with_examples(skills: Counts) -> Ints:
    """The states for which anything was counted."""
    return np.flatnonzero(skills.seen.any(axis=1))


def of_states(skills: Counts, states: Ints) -> Counts:
    """The counts of some states."""
    return replace(skills, seen=skills.seen[states], b=skills.b[states])


def spread(values: Floats, states: Ints, n_states: int) -> Floats:
    """Values of some states, and zeros for the others."""
    if np.array_equal(states, np.arange(n_states)):
        return values
    of_all = np.zeros((n_states, values.shape[1]))
    of_all[states] = values
    return of_all


def mixed(numbers: Packed) -> Packed:
    """Numbers scattered over 64 bits: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    z = numbers + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def annotator_keys(labels: Floats, seed: int) -> Packed:
    """A number of each annotator's label counts, (M, K), in whatever order the classes are."""
    keys = np.full(len(labels), seed, dtype=np.uint64)
    for column in np.sort(labels, axis=1).T.astype(np.uint64):
        keys = mixed(keys ^ mixed(column))
    return keys


def example_keys(block: Block, keys: Packed) -> Packed:
    """A number of who agreed with how many on each example: the sum over its labels, modulo 2^64."""
    votes = block.votes.take(block.vote).astype(np.uint64)
    of_examples: Packed = np.add.reduceat(
        mixed(keys.take(block.annotator) ^ mixed(votes)), block.start
    )
    return of_examples


def drawn_parts(keys: Packed, n_parts: int) -> Floats:
    """Dirichlet(1) parts of each number, shape (n_parts, n): exponentials over their sum."""
    number = np.arange(1, n_parts + 1, dtype=np.uint64)[:, None]
    uniform = ((mixed(keys ^ mixed(number)) >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    exponential = -np.log(uniform)
    parts: Floats = exponential / exponential.sum(axis=0)
    return parts


def is_better(found: TruthInference, best: TruthInference) -> bool:
    """Whether its bound is higher by more than rounding, in which partitions differ."""
    bound, highest = float(found.trace[-1]), float(best.trace[-1])
    return bound > highest and not math.isclose(bound, highest, rel_tol=1e-9)


def best_of(rounds: Rounds, models: Sequence[Ebcc], options: Options) -> TruthInference:
    """The fit with the best bound, with the warnings that it gave."""
    rounds.claim(Ebcc.name)
    best: TruthInference | None = None
    said: list[Warning] = []
    for model in models:
        with heard() as caught:
            found = fit_rounds(replace(rounds, into=None), model, options)
        if best is None or is_better(found, best):
            best, said = found, caught
    assert best is not None
    for warning in said:
        warn_again(warning)
    return TruthInference(replace(best._fitted, rounds=rounds), best._iterations)


def seeds_of(seed: int, restarts: int | None, labels: Floats | Ints, begun: bool) -> range:
    """A seed per beginning; `labels` says how often each pair occurs."""
    usual = 1 if labels.sum() >= ONE_BEGINNING else BEGINNINGS
    n = usual if restarts is None else restarts
    return range(seed * n, seed * n + (1 if begun else n))


def models_of(
    pairs: Pairs,
    n_labels: Ints,
    b: Floats,
    n_subtypes: int,
    subtype_count: float,
    seeds: Sequence[int],
) -> list[Ebcc]:
    """The model from each of several beginnings; b[k,j,l] are the pseudo-counts, `n_labels` says how often
    each of the pairs occurs."""
    b = np.repeat(b, n_subtypes, axis=0)
    nested = Nested("variational", n_subtypes, subtype_count)
    share = subtype_count / n_subtypes
    labels = pairs.spread(n_labels[None].astype(np.float64))[0]
    drawn = (annotator_keys(labels, seed) for seed in seeds)
    return [Ebcc(b, pairs, share, keys=keys, class_rule=nested) for keys in drawn]


@shares(MatrixOptions, Matrices, max_iter=500)
def ebcc(
    log: Any,
    *,
    n_subtypes: int = 10,
    subtype_count: float = 0.1,
    restarts: int | None = None,
    seed: int = 0,
    prior: Any = None,
    **options: Unpack[MatrixOptions],
) -> TruthInference:
    """The truth of each example by EBCC: classes have sub-types, so that annotators may err alike.

    Parameters
    ----------
    n_subtypes
        G, at least 1. Time and memory grow with it.
    subtype_count
        a > 0: pseudo-counts of the sub-types of a class, together. Small: few sub-types are used.
    restarts
        How many beginnings there are, at least 1; an earlier fit is one alone. By default 3, and 1 where
        there are 250,000 annotations or more.
    seed
        What the beginnings are drawn from, 0 or more.

    Returns
    -------
    TruthInference
        `.annotators` has `balanced_accuracy`; `.confusion` is over all sub-types of a class.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = ebcc(pc.datasets.tutorial().log)
    >>> fit.annotators["balanced_accuracy"].head(2).round(4).to_list()
    [0.4137, 0.4182]
    """
    check_count("n_subtypes", n_subtypes, 1)
    check_positive(subtype_count=subtype_count)
    if restarts is not None:
        check_count("restarts", restarts, 1)
    check_count("seed", seed, 0)
    chosen = Matrices(**options)
    rounds, chosen = opened(log, chosen)
    pairs, n_labels = counted_pairs(rounds)
    check_matrices(rounds, n_subtypes * rounds.n_classes * len(pairs) * PER_CELL)
    seeds = seeds_of(seed, restarts, n_labels, isinstance(chosen.init, TruthInference))
    own = OTHER + (OWN - OTHER) * np.eye(rounds.n_classes)[:, None, :]
    b = pseudo_counts(own, prior, rounds)
    models = models_of(pairs, n_labels, b, n_subtypes, subtype_count, seeds)
    return on_its_own(log, best_of(rounds, models, chosen))
