"""How good a posterior is: against known labels, and at predicting annotations that it has not seen.

T[i,k] is the probability that the truth of example i is class k, shape (n, K).

    accuracy           mean over i of  1[g in ties] / |ties|,   ties = the classes with the largest T[i,.]
    log loss           mean of  -log T[i,g]
    its interval       that of Wilson (1927), JASA 22, from n and the accuracy
    Brier score        mean of  sum_k (T[i,k] - 1[k = g])^2
    calibration error  sum over ten bins of the largest T:  |share right - mean of the largest T|, weighted

with g the known class of i. A label outside the classes is never right.

**Two methods on the same n examples**: d[i] is how right one is less how right the other is, in [-1, 1];

    difference         mean of d
    its interval       p - q  -+  z sqrt( (p + q - (p - q)^2) / (n + 2) )
                       p = (sum of max(d, 0) + 1) / (n + 2),   q = (sum of max(-d, 0) + 1) / (n + 2)
                       (Bonett and Price 2012, JEBS 37, 479-488)
    p-value            that of McNemar (1947), exact: twice the chance that a fair coin, thrown once for each
                       example with d[i] != 0, falls on the rarer sign as seldom as that, or more seldom

For numbers d[i] is the difference of absolute errors; interval and p-value are those of the paired t-test.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.numerics.shares import at_most, wilson
from polars_crowd.numerics.special import t_quantile, t_tails
from polars_crowd.truth.evaluation.trial import Rows

TIE = 1e-9
"""Probabilities closer than this are tied."""
LEAST = 1e-12
"""Smaller probabilities count as this in log losses."""
BINS = 10
AT_ONCE = 1 << 13
"""Annotations that are predicted while they are in the processor's cache."""
SHRINKAGE = 5.0
"""How many annotations of the pooled annotator are added to each one's own."""


def right(T: Floats, known: Ints) -> Floats:
    """How right each example is: 1, 0, or a share where classes tie."""
    tied = T.max(axis=1, keepdims=True) - T <= TIE
    hit: Floats = tied[np.arange(len(T)), known] / tied.sum(axis=1)
    return hit


def of_share(share: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share of n.

    >>> [round(bound, 2) for bound in of_share(1.0, 5)]
    [0.57, 1.0]
    """
    low, high = wilson(np.array(share), np.array(float(n)), confidence)
    return float(low), float(high)


Paired = tuple[float, float | None, float | None, float | None]
"""A difference, the bounds of its interval, and its p-value."""


def paired_shares(d: Floats, confidence: float = 0.95) -> Paired:
    """Of how right two methods are on the same examples.

    >>> [round(value, 3) for value in paired_shares(np.array([1.0, 1, 1, -1] + [0] * 16))]
    [0.1, -0.124, 0.306, 0.625]
    """
    n = len(d)
    p, q = ((float(np.maximum(side * d, 0).sum()) + 1) / (n + 2) for side in (1, -1))
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * sqrt((p + q - (p - q) ** 2) / (n + 2))
    low, high = max(p - q - reach, -1.0), min(p - q + reach, 1.0)
    return float(d.mean()), low, high, sign_test(d)


def sign_test(d: Floats) -> float:
    """The exact p-value of as many differences of either sign."""
    more, less = int((d > 0).sum()), int((d < 0).sum())
    rarer, n = min(more, less), more + less
    return min(1.0, 2 * at_most(n, 0.5, rarer)) if more != less else 1.0


def paired_errors(d: Floats, confidence: float = 0.95) -> Paired:
    """Of the errors of two methods on the same examples: those of the paired t-test, if there is one."""
    n, mean = len(d), float(d.mean())
    error = float(d.std(ddof=1)) / sqrt(n) if n > 1 else 0.0
    if not error > 0:
        return mean, None, None, None
    reach = t_quantile((1 + confidence) / 2, n - 1) * error
    return mean, mean - reach, mean + reach, t_tails(mean / error, n - 1)


def log_losses(probability: Floats) -> Floats:
    """-log of what was given to what happened."""
    losses: Floats = -np.log(np.maximum(probability, LEAST))
    return losses


def log_loss(probability: Floats) -> float:
    """Their mean."""
    return float(log_losses(probability).mean())


def brier(T: Floats, known: Ints) -> float:
    one_hot = np.arange(T.shape[1]) == known[:, None]
    return float(((T - one_hot) ** 2).sum(axis=1).mean())


def calibration_error(confidence: Floats, hit: Floats) -> float:
    """The expected calibration error, over bins of equal width."""
    return float(np.abs(calibration_gaps(confidence, hit)).sum() / len(hit))


def calibration_gaps(confidence: Floats, hit: Floats) -> Floats:
    """The sum of right - confidence in each bin."""
    place = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
    gaps: Floats = np.bincount(place, hit - confidence, BINS).astype(np.float64, copy=False)
    return gaps


def predicted_labels(T: Floats, seen: Rows, asked: Rows, n_annotators: int) -> Floats:
    """P(label l | example, annotator) of rows that were held out, shape (R, K).

    sum_k T[i,k] theta[j,k,l], where theta is counted from the posterior and the rows that were seen, and
    shrunk to that of all annotators together: the same for every method, so that it is their posteriors that
    are compared. Annotators without any row seen are the pooled one.
    """
    K, R, by_class = T.shape[1], len(asked.example), np.ascontiguousarray(T.T)
    cell = seen.annotator * K + seen.label
    predicted = np.zeros((K, R))
    for k, of_class in enumerate(by_class):
        counts = np.bincount(cell, of_class.take(seen.example), n_annotators * K)
        theta = _shrunk(np.asarray(counts, dtype=np.float64).reshape(n_annotators, K), k).T
        for first in range(0, R, AT_ONCE):
            rows = slice(first, first + AT_ONCE)
            terms = theta.take(asked.annotator[rows], axis=1)
            terms *= of_class.take(asked.example[rows])
            predicted[:, rows] += terms
    return predicted.T


def _shrunk(counts: Floats, k: int) -> Floats:
    """theta[., k, .], shape (M, K)."""
    pooled = counts.sum(axis=0) + 1 / counts.shape[1]
    pooled[k] += 1
    pooled /= pooled.sum()
    shrunk = counts + SHRINKAGE * pooled
    theta: Floats = shrunk / shrunk.sum(axis=1, keepdims=True)
    return theta
