"""The only numpy in the core: mixing probabilities over (examples x classes).

A `Mixture` is the posterior of every example as a weighted mean of what the models and the annotators
say about it,

    q[e,k] = ( sum_m w_m p_m[e,k] + base * W[e] + gain * W[e,k] ) / ( sum_m w_m + W[e] ),

with W[e,k] the summed weight of the annotators who chose k on e (nonzero only where there are votes),
W[e] = sum_k W[e,k], base = the likelihood of a label that is not the consensus, base + gain that of the
consensus. It is evaluated where it is asked for: at the votes, at one class per example, or densely in
blocks of examples, never in one matrix unless the caller wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from polars_crowd.arrays import Codes, Flags, Floats, Probabilities
from polars_crowd.numerics.glance import Glance, Models, glance_at, votes_of
from polars_crowd.numerics.threads import mapped

R = TypeVar("R")
BLOCK_CELLS = 1 << 18
"""How many (example, class) cells are mixed at once: as many as it takes that a thread seldom waits for
another to give way between the steps of its block."""
FEW = 1 << 16
"""How many examples or votes, where each needs few numbers."""
TIE = 1e-12
"""Posteriors closer than this are a tie: the order of a sum must not decide a label."""
SMALLEST_LOG = 1e-30
CLIP = 1e-6


@dataclass(frozen=True)
class Mixture:
    """The posterior of N examples over K classes. See the module's formula.

    `models` are (N, K) arrays, in any memory order. `example` and `label` are the positions and codes of
    the votes, sorted by example, and `weight` is W[e,k] there. Every example has a vote.
    """

    models: Models
    model_weights: Floats
    base: float
    gain: float
    example: Codes
    label: Codes
    weight: Floats
    n_classes: int

    @cached_property
    def total(self) -> Floats:
        """W[e], shape (N,)."""
        return np.bincount(self.example, self.weight).astype(np.float64, copy=False)

    @cached_property
    def normaliser(self) -> Floats:
        """sum_m w_m + W[e], shape (N,)."""
        normaliser: Floats = self.total + self.model_weights.sum()
        return normaliser

    def at_votes(self) -> Floats:
        """q at the classes that were chosen, one value per vote."""
        return self._of_votes

    @cached_property
    def _of_votes(self) -> Floats:
        glance = glance_at(self.models)
        known = None if glance is None else glance.of_votes
        return self._at(self.example, self.label, self.weight, known)

    def at(self, label: Codes) -> Floats:
        """q[e, label[e]], one value per example: that of a vote, where there is one."""
        q, is_chosen, of_votes = np.empty(len(label)), np.zeros(len(label), bool), self.at_votes()

        def take(block: slice) -> None:
            votes = votes_of(self.example, block)
            example = self.example[votes]
            own = np.flatnonzero(self.label[votes] == label[example])
            q[example[own]], is_chosen[example[own]] = of_votes[votes][own], True

        each_few(take, len(label))
        others = np.flatnonzero(~is_chosen).astype(np.uint32)
        q[others] = self._without_votes(others, label[others])
        return q

    def _without_votes(self, example: Codes, label: Codes) -> Floats:
        """q of classes that nobody chose."""
        glance = glance_at(self.models)
        known = None if glance is None else glance.of_top(example, label)
        return self._at(example, label, np.zeros(len(label)), known)

    def _at(
        self, example: Codes, label: Codes, weight: Floats, known: Probabilities | None
    ) -> Floats:
        """q[example, label] where W[example, label] = weight; `known` is the only model's p there."""
        q, normaliser = np.empty(len(label)), self.normaliser

        def mix(block: slice) -> None:
            e, k = example[block], label[block]
            mixed = self.base * self.total[e] + self.gain * weight[block]
            there = (known[block],) if known is not None else (p[e, k] for p in self.models)
            for w, p in weighted(self.model_weights, there):
                mixed += w * p
            q[block] = mixed / normaliser[e]

        each_few(mix, len(label))
        return q

    def each(self, work: Callable[[slice, Floats], None]) -> None:
        """`work(block, q)` of each block of examples: the slice, and q as an array of shape (K, block)."""
        normaliser = self.normaliser

        def mix(block: slice) -> None:
            q = self._numerator(block)
            q += self.base * self.total[block]
            q /= normaliser[block]
            work(block, q)

        each_block(mix, len(self.total), self.n_classes)

    def _numerator(self, block: slice) -> Floats:
        """sum_m w_m p_m + gain * W[e,k]: the part of q that differs between an example's classes."""
        q, votes = self._of_models(block), votes_of(self.example, block)
        q[self.label[votes], self.example[votes] - np.uint32(block.start)] += (
            self.gain * self.weight[votes]
        )
        return q

    def _of_models(self, block: slice) -> Floats:
        """sum_m w_m p_m: the first is written where the others are added."""
        q = np.empty((self.n_classes, block.stop - block.start))
        if not self.models:
            q.fill(0)
        for m, (w, p) in enumerate(weighted(self.model_weights, self.models)):
            if m == 0:
                np.multiply(w, p[block].T, out=q)
            else:
                q += w * p[block].T
        return q

    def best(self) -> tuple[Codes, Flags]:
        """The class of largest q per example, and whether another one ties with it."""
        glance = glance_at(self.models)
        if glance is not None and self._votes_raise:
            return self._best_of(glance)
        n = len(self.total)
        label, tied = np.empty(n, dtype=np.uint32), np.empty(n, dtype=bool)
        normaliser = self.normaliser

        def find(block: slice) -> None:
            q = self._numerator(block)
            largest = q >= q.max(axis=0) - TIE * normaliser[block]
            label[block] = first_true(largest)
            tied[block] = np.count_nonzero(largest, axis=0) > 1

        each_block(find, n, self.n_classes)
        return label, tied

    @property
    def _votes_raise(self) -> bool:
        """Whether each vote raises q by more than a tie."""
        return bool((self.gain * self.weight > 2 * TIE * self.normaliser[self.example]).all())

    def _best_of(self, glance: Glance) -> tuple[Codes, Flags]:
        """`best` of one model that was looked through, where each vote raises q by more than a tie.

        Only a class that was voted for, or the most probable one, can be the best: a class without a vote
        stays below the most probable one, which a vote would raise further. If the best one is without a
        vote, so is the second most probable one if it ties with it.
        """
        n, w = len(self.total), self.model_weights[:1]
        label, tied = np.empty(n, dtype=np.uint32), np.empty(n, dtype=bool)

        def find(block: slice) -> None:
            votes = votes_of(self.example, block)
            e, k = self.example[votes] - np.uint32(block.start), self.label[votes]
            q = w * glance.of_votes[votes] + self.gain * self.weight[votes]
            top, of_example = glance.top[block], np.flatnonzero(np.diff(e, prepend=np.uint32(n)))
            has_vote = np.zeros(len(top), dtype=bool)
            has_vote[e[k == top[e]]] = True
            free, next_free = (
                np.where(has_vote, -np.inf, w * p[block]) for p in (glance.largest, glance.second)
            )
            least = np.maximum(np.maximum.reduceat(q, of_example), free)
            least -= TIE * self.normaliser[block]
            among = q >= least[e]
            n_best = np.add.reduceat(among, of_example, dtype=np.uint32)
            tied[block] = n_best + (free >= least) + (next_free >= least) > 1
            best = top.copy()
            best[e[among]] = k[among]
            label[block] = best

        each_few(find, n)
        return label, tied

    def dense(self) -> Floats:
        """q as one array of shape (N, K)."""
        dense = np.empty((len(self.total), self.n_classes))

        def put(block: slice, q: Floats) -> None:
            dense[block] = q.T

        self.each(put)
        return dense

    def row_sums(self) -> Floats:
        """sum_k q[e,k]: 1, unless the models' probabilities did not sum to 1."""
        sums = self.base * self.total * self.n_classes
        sums += self.gain * np.bincount(self.example, self.weight, minlength=len(sums))
        for w, p in weighted(self.model_weights, self.models):
            sums += w * p.sum(axis=1, dtype=np.float64)
        return sums / self.normaliser

    def entropy(self) -> Floats:
        """-sum_k q log q / log K per example, in [0, 1]."""
        entropy = np.empty(len(self.total))

        def find(block: slice, q: Floats) -> None:
            logs = np.log(q, where=q > 0, out=np.zeros_like(q))
            entropy[block] = -(q * logs).sum(axis=0) / np.log(self.n_classes)

        self.each(find)
        return entropy

    def top_two(self, threshold: Floats | None = None) -> tuple[Codes, Floats, Floats]:
        """The first class of largest q[e,k] - threshold[k], that largest value, and the second one."""
        n = len(self.total)
        label, largest, second = np.empty(n, dtype=np.uint32), np.empty(n), np.empty(n)

        def find(block: slice, q: Floats) -> None:
            if threshold is not None:
                q -= threshold[:, None]
            largest[block] = q.max(axis=0)
            label[block] = first_true(q == largest[block])
            q[label[block], np.arange(q.shape[1])] = -np.inf
            second[block] = q.max(axis=0)

        self.each(find)
        return label, largest, second

    def runner_up(
        self, example: Codes, label: Codes, thresholds: Floats, annotator: Codes
    ) -> Floats:
        """max_{k != label} q[e,k] - thresholds[annotator,k], one value per annotation.

        `example` ascends; `thresholds` is (M, K).
        """
        largest = np.empty(len(label))

        def find(block: slice) -> None:
            q = self._rows(example[block]).dense() - thresholds[annotator[block]]
            q[np.arange(len(q)), label[block]] = -np.inf
            largest[block] = q.max(axis=1)

        each_block(find, len(label), self.n_classes)
        return largest

    def _rows(self, example: Codes) -> Mixture:
        """The mixture of these examples, in this ascending order, each as often as it is there."""
        start = np.searchsorted(self.example, example)
        count = np.searchsorted(self.example, example, side="right") - start
        at = np.repeat(start - (np.cumsum(count) - count), count) + np.arange(count.sum())
        return replace(
            self,
            models=tuple(p[example] for p in self.models),
            example=np.repeat(np.arange(len(example), dtype=np.uint32), count),
            label=self.label[at],
            weight=self.weight[at],
        )


def example_blocks(n_examples: int, n_classes: int) -> Iterator[slice]:
    """Slices that cover the examples, each of about BLOCK_CELLS cells."""
    size = max(BLOCK_CELLS // n_classes, 1)
    for start in range(0, n_examples, size):
        yield slice(start, min(start + size, n_examples))


def each_block(work: Callable[[slice], R], n_examples: int, n_classes: int) -> list[R]:
    """`work(block)` of each of `example_blocks`, in their order."""
    return [*mapped(work, [*example_blocks(n_examples, n_classes)])]


def each_few(work: Callable[[slice], None], n: int) -> None:
    """`work(block)` of each FEW of n examples or votes."""
    starts = range(0, n, FEW)
    for _ in mapped(lambda start: work(slice(start, min(start + FEW, n))), starts):
        pass


def first_true(flags: Flags) -> Codes:
    """The first true row of each column."""
    first: Codes = flags.argmax(axis=0).astype(np.uint32)
    return first


def weighted(
    weights: Floats, models: Iterable[Probabilities]
) -> Iterator[tuple[Floats, Probabilities]]:
    """w_m, an array of one, and p_m: by a scalar, NumPy 1 weighs single precision in single precision."""
    return zip(weights[:, None], models, strict=True)


def top_class(probs: Probabilities) -> Codes:
    """argmax_k p[e,k], the first maximum of each row."""
    top = np.empty(len(probs), dtype=np.uint32)

    def find(block: slice) -> None:
        p = probs[block].T
        top[block] = first_true(p == p.max(axis=0))

    each_block(find, *probs.shape)
    return top


def at_votes(models: Models, example: Codes, label: Codes) -> Floats:
    """The models' mean probability of each vote."""
    glance = glance_at(models)
    if glance is not None:
        return glance.at(example, label).astype(np.float64)
    total = np.zeros(len(label))
    for p in models:
        total += p[example, label]
    return total / len(models)


def top_classes(models: Models) -> tuple[Codes, ...]:
    """`top_class` of each model."""
    glance = glance_at(models)
    return (glance.top,) if glance is not None else tuple(map(top_class, models))


def temper(probs: Probabilities, temperature: float) -> Floats:
    """p_t = softmax(log p / t), with zeros clipped."""
    tempered = np.empty(probs.shape)

    def find(block: slice) -> None:
        p = np.maximum(probs[block].astype(np.float64), SMALLEST_LOG)
        p /= p.sum(axis=1, keepdims=True)
        tempered[block] = np.exp(log_softmax(p, temperature))

    each_block(find, *probs.shape)
    return tempered


def cross_entropy(
    probs: Probabilities, temperature: float, example: Codes, label: Codes, share: Floats
) -> float:
    """sum_e -sum_k (c[e,k] / n[e]) log p_t[e,k] / log K, over the votes, whose shares are c / n."""

    def of(block: slice) -> float:
        votes = votes_of(example, block)
        e, k = example[votes] - np.uint32(block.start), label[votes]
        log_p = log_softmax(probs[block], temperature)[e, k]
        return float((share[votes] * np.maximum(log_p, np.log(SMALLEST_LOG))).sum())

    return -sum(each_block(of, *probs.shape)) / float(np.log(probs.shape[1]))


def log_softmax(probs: Probabilities, temperature: float) -> Floats:
    """log softmax(log p / t) of each row."""
    with np.errstate(divide="ignore"):
        log_p = np.log(probs.astype(np.float64)) / temperature
    log_p -= log_p.max(axis=1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    return log_p


DECIMALS = 12
"""Means that agree to this many decimals are tied: the order of a sum must not decide a rank."""


EXACT = 1e-12
"""Means of agreement closer than this are tied: the order of a sum must not decide a vote."""
