r"""How sure a posterior may be: tempering, measured by what a posterior knows of the labels it has not seen.

A likelihood counts ten annotations as ten independent proofs. They are not (examples are hard, annotators
misread alike), so that the posterior T of a method whose annotators err independently is far too sure. It is
raised to a power gamma', and brought to a sum of one:

    T'[i,k] ∝ T[i,k]^gamma'

Letters as in `truth.classification.dawid_skene`; r is an annotation: of example i, by annotator j, label l.

**What the log says of gamma.** Without r, the posterior of i and what is expected of j are

    C[j,k,l]   = sum over the labels l of j: T[i,k]              m[j,k] = sum_l C[j,k,l]
    pooled[k,l] ∝ sum_j C[j,k,l] + 1/K + 1[k = l]
    rest[r,k]  = log T[i,k] - log (C[j,k,l] + 0.1) / (m[j,k] + 0.1 K)
    theta[r,k] = (C[j,k,l] - T[i,k] + 5 pooled[k,l]) / (m[j,k] - T[i,k] + 5)

and gamma* is the exponent at which the posterior without r predicts r best:

    gamma* = argmax sum over r of examples with two annotations or more:
                log sum_k softmax_k(gamma rest[r])[k] theta[r,k]

over a grid from 1 to 0.05. **What is used of it**: gamma' = gamma* / 2 where confidence is "cautious", gamma*
where it is "loo" (leave one out), 1 where it is "model". Half, because errors that annotators share help to
predict the label left out, too: on real logs with known truth, the exponent at which posteriors are best is
0.17 to 0.7 of gamma*. The price: where annotators truly err independently, "cautious" is not sure enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from polars_crowd.arrays import Flags, Floats, Ints
from polars_crowd.errors import Advice, warn
from polars_crowd.numerics.group_sums import GroupSums
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Summary
from polars_crowd.truth.block import UNKNOWN
from polars_crowd.truth.model import CELL, Key, LogSize
from polars_crowd.truth.options import Confidence
from polars_crowd.truth.plans import Answer, Source, log_of
from polars_crowd.truth.sums import added, as_summary, as_sums, on_grid

EXPONENTS = np.array(
    [1, 0.84, 0.7, 0.6, 0.5, 0.42, 0.35, 0.3, 0.25, 0.21, 0.17, 0.14, 0.1, 0.07, 0.05]
)
OF_BEST: Mapping[str, float] = {"cautious": 0.5, "loo": 1.0}
"""gamma' / gamma*."""
SHARED = 0.1
"""At a gamma* up to this, annotators err on the same examples."""
ENOUGH = 1000
"""... if there are as many annotations to say so."""
SMOOTHING = 0.1
SHRINKAGE = 5.0
AT_ONCE = 1 << 13
"""Annotations that all exponents are tried on while they are in the processor's cache."""
MOST_COUNTS = 1 << 23
"""The largest C; where annotators have more, those with the most annotations stand for all."""

COUNTED: Mapping[str, Key] = {"confusion": CELL}
PREDICTED: Mapping[str, Key] = {"log_predicted": (), "n_predicted": ()}


def exponent_of(confidence: Confidence, rounds: Rounds, source: Source, log: LogSize) -> float:
    """gamma'."""
    if confidence == "model":
        return 1.0
    who = asked_of(log)
    asked = replace(log, n_annotators=int(who.max()) + 1, pairs=None)
    counts = as_sums(rounds.run(count_confusion, who, source), COUNTED, asked)["confusion"]
    counts = counts.reshape(log.n_classes, -1, log.n_classes)
    found = as_sums(rounds.run(count_predicted, who, counts, source), PREDICTED, log)
    if not found["n_predicted"][0]:
        return 1.0
    best = best_exponent(found["log_predicted"])
    if best <= SHARED and found["n_predicted"][0] >= ENOUGH:
        warn_of_shared_errors(best)
    return OF_BEST[confidence] * best


def best_exponent(log_predicted: Floats) -> float:
    """gamma*; the largest of those that are as good."""
    good = log_predicted >= log_predicted.max() - 1e-9 * np.abs(log_predicted).max()
    return float(EXPONENTS[np.flatnonzero(good)[0]])


def asked_of(log: LogSize) -> Ints:
    """The place in C of each annotator, UNKNOWN for those that are left out, shape (M,)."""
    most = max(1, MOST_COUNTS // log.n_classes**2)
    place = np.full(log.n_annotators, UNKNOWN)
    busiest = np.argsort(-log.annotations, kind="stable")[:most]
    place[np.sort(busiest)] = np.arange(len(busiest))
    return place


# --- the posterior without one annotation -----------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """The annotations of a block that are asked for, R of them, and the posterior of their examples."""

    T: Floats
    """T[i,.] of the example of each, shape (K, R)."""
    cell: Ints
    """Place of the annotator in C, times K, and the label, shape (R,)."""
    label: Ints

    @classmethod
    def of(cls, answer: Answer, who: Ints, chosen: Flags | None = None) -> Asked:
        """Those of the annotators that are asked, of the chosen examples."""
        block = answer.block
        place = who.take(block.annotator)
        asked = place != UNKNOWN
        if chosen is not None:
            asked &= chosen.take(block.example)
        example = block.example[asked]
        label = block.label[asked]
        return cls(on_grid(answer.T)[:, example], place[asked] * block.n_classes + label, label)


def count_confusion(part: Partition, who: Ints, source: Source) -> Summary:
    """C, shape (K, asked * K)."""

    K = part.runs.n_classes
    C = np.zeros((K, (who.max() + 1) * K))
    for cells, sums in source.each(part, lambda answer: by_cell(Asked.of(answer, who), C.shape[1])):
        C[:, cells] += sums
    return as_summary({"confusion": C}, COUNTED, part)


def by_cell(asked: Asked, n_cells: int) -> tuple[Ints | slice, Floats]:
    """A block's part of C: which cells there are, where they are fewer than all, and the sums of each."""
    if n_cells <= len(asked.cell):
        return slice(None), np.stack([np.bincount(asked.cell, T, n_cells) for T in asked.T])
    cells, place = np.unique(asked.cell, return_inverse=True)
    sums = GroupSums.of(np.arange(len(place)), place, len(cells)).of_rows(asked.T.T)
    return cells, sums.T


@dataclass(frozen=True)
class Expected:
    """What is expected of all annotators, from C: the same for every block."""

    log_smooth: Floats
    """log (C[j,k,l] + 0.1) / (m[j,k] + 0.1 K), shape (K, asked * K)."""
    counts: Floats
    """C, shape (K, asked * K)."""
    of_truth: Floats
    """m, shape (K, asked)."""
    pooled: Floats
    """pooled[k,l], shape (K, K)."""

    @classmethod
    def of(cls, counts: Floats) -> Expected:
        """From C in the shape (K, asked, K)."""
        K, of_truth = len(counts), counts.sum(axis=2)
        smooth = counts + SMOOTHING
        smooth /= of_truth[:, :, None] + SMOOTHING * K
        together = counts.sum(axis=1) + 1 / K + np.eye(K)
        pooled = together / together.sum(axis=1, keepdims=True)
        log_smooth = np.log(smooth, out=smooth).reshape(K, -1)
        return cls(log_smooth, counts.reshape(K, -1), of_truth, pooled)


def count_predicted(part: Partition, who: Ints, counts: Floats, source: Source) -> Summary:
    """How well each exponent predicts the annotations left out, and how many there are."""
    expected = Expected.of(counts)

    def count(answer: Answer) -> dict[str, Floats]:
        asked = Asked.of(answer, who, chosen=answer.block.count > 1)
        predicted = log_predicted(asked, expected)
        return {"log_predicted": predicted, "n_predicted": np.array([len(asked.label)])}

    return as_summary(added(source.each(part, count)), PREDICTED, part)


def log_predicted(asked: Asked, expected: Expected) -> Floats:
    """sum over r: log sum_k softmax_k(gamma rest[r])[k] theta[r,k], for every gamma."""
    rest, theta = log_rest(asked, expected), without(asked, expected)
    predicted = np.zeros(len(EXPONENTS))
    for first in range(0, rest.shape[1], AT_ONCE):
        some = slice(first, first + AT_ONCE)
        predicted += log_mixed_by_exponent(rest[:, some].copy(), theta[:, some].copy())
    return predicted


def log_mixed_by_exponent(rest: Floats, theta: Floats) -> Floats:
    """sum over r: log sum_k softmax_k(gamma rest)[k] theta[k], for rest with a largest value of 0."""
    weight = np.empty_like(rest)
    predicted = np.zeros(len(EXPONENTS))
    for i, gamma in enumerate(EXPONENTS):
        np.exp(np.multiply(rest, gamma, out=weight), out=weight)
        total = weight.sum(axis=0)
        weight *= theta
        predicted[i] = np.log(weight.sum(axis=0) / total).sum()
    return predicted


def log_rest(asked: Asked, expected: Expected) -> Floats:
    """log of the posterior without r, its largest value 0, shape (K, R)."""
    rest = log_of(asked.T) - expected.log_smooth[:, asked.cell]
    shifted: Floats = rest - rest.max(axis=0)
    return shifted


def without(asked: Asked, expected: Expected) -> Floats:
    """theta[r,k]: what the annotator's other annotations say of this label, shape (K, R)."""
    own = expected.counts[:, asked.cell] - asked.T
    of_truth = expected.of_truth[:, asked.cell // len(own)] - asked.T
    own += SHRINKAGE * expected.pooled[:, asked.label]
    theta: Floats = own / (of_truth + SHRINKAGE)
    return theta


# --- what is said -----------------------------------------------------------------------------------


def warn_of_shared_errors(best: float) -> None:
    warn(
        "annotators err on the same examples: labels left out are predicted best by posteriors to the "
        f"power of {best:g}, as if all annotators of an example were hardly more than one.",
        Advice(
            "Give known labels, or compare methods on them",
            python="gold=, or pc.compare(log, truth=)",
            command="--gold FILE, or polars-crowd compare --truth FILE",
        ),
    )
