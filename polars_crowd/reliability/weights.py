"""Weights: how much two labels agree, from w_kk = 1 (the same) down to 0 or less.

With c_k the value of class k (its number, a date's day, else its rank 1 .. K) and D = max c - min c:

    identity    w_kl = 1[k = l]
    linear      1 - |c_k - c_l| / D
    quadratic   1 - (c_k - c_l)^2 / D^2
    ordinal     1 - C(|k - l| + 1, 2) / C(K, 2), by the ranks k, l
    radical     1 - sqrt(|c_k - c_l| / D)
    ratio       1 - ((c_k - c_l) / (c_k + c_l))^2 / ((max c - min c) / (max c + min c))^2
    circular    1 - sin^2(pi (c_k - c_l) / (D + 1)) / its largest value
    bipolar     1 - (c_k - c_l)^2 / ((c_k + c_l - 2 min c)(2 max c - c_k - c_l)) / its largest value

(Gwet, Handbook of Inter-Rater Reliability, 4th ed. 2014, chapter 3.) Coefficients use weights through
three operations only: W v, the sum of W, and n' W n of a count vector. For identity and squared distances
these need no K x K matrix, so that a million distinct numbers are no problem.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import Advice, OptionError, shown
from polars_crowd.reliability.units import Units

WeightName = Literal[
    "identity", "linear", "quadratic", "ordinal", "radical", "ratio", "circular", "bipolar"
]
Level = Literal[
    "nominal", "ordinal", "interval", "ratio", "linear", "radical", "circular", "bipolar"
]
BY_DISTANCE = {
    "weights": Advice("Take squared distances", "weights='quadratic'", "--weights quadratic"),
    "level": Advice("Take squared distances", "level='interval'", "--level interval"),
}
"""What there is for labels that have no other distance."""
MAX_CLASSES = 5000
"""Up to this many classes a K x K matrix is made."""
CELLS = 1 << 24
"""Cells of a dense block of count vectors."""


class Weights(ABC):
    """A symmetric K x K matrix w with w_kk = 1, by what it does."""

    @property
    @abstractmethod
    def total(self) -> float:
        """sum_kl w_kl."""

    @abstractmethod
    def times(self, v: Floats) -> Floats:
        """(..., K) -> (..., K): W v."""

    @abstractmethod
    def at_entries(self, units: Units) -> Floats:
        """(E,): (W n)_k of each unit at each of its entries."""

    @abstractmethod
    def between(self, k: Ints, j: Ints) -> Floats:
        """w_kj of pairs of classes."""

    def pairs(self, units: Units) -> Floats:
        """(U,): n' W n of each unit."""
        return units.over_entries(units.votes * self.at_entries(units))


@dataclass(frozen=True)
class Identity(Weights):
    """w_kl = 1[k = l]."""

    n_classes: int

    @property
    def total(self) -> float:
        return float(self.n_classes)

    def times(self, v: Floats) -> Floats:
        return v

    def at_entries(self, units: Units) -> Floats:
        return units.votes.astype(np.float64)

    def between(self, k: Ints, j: Ints) -> Floats:
        return np.asarray(k == j, dtype=np.float64)


@dataclass(frozen=True)
class SquaredDistance(Weights):
    """w_kl = 1 - (x_k - x_l)^2, of scores x of shape (K,), or (G, K) where each group has its own.

    W v = (sum v)(1 - x^2) + 2 x (sum x v) - (sum x^2 v), and a count vector with sums S0, S1, S2 of
    1, x and x^2 has n' W n = S0^2 - 2 (S0 S2 - S1^2).
    """

    x: Floats

    @classmethod
    def scaled(cls, values: Floats) -> SquaredDistance:
        """Scores from values, centred and with range 1, along the last axis."""
        low, high = values.min(axis=-1, keepdims=True), values.max(axis=-1, keepdims=True)
        return cls((values - (low + high) / 2) / np.where(high > low, high - low, 1))

    @property
    def total(self) -> float:
        K = self.x.shape[-1]
        return float(K**2 - 2 * (K * (self.x**2).sum() - self.x.sum() ** 2))

    def times(self, v: Floats) -> Floats:
        s0, s1, s2 = (self._sum(v * power) for power in (1.0, self.x, self.x**2))
        return s0 * (1 - self.x**2) + 2 * self.x * s1 - s2

    @staticmethod
    def _sum(v: Floats) -> Floats:
        total: Floats = v.sum(axis=-1, keepdims=True)
        return total

    def at_entries(self, units: Units) -> Floats:
        x, unit = units.at_labels(self.x), units.unit
        s1, s2 = units.dot(self.x)[..., unit], units.dot(self.x**2)[..., unit]
        return units.n[unit] * (1 - x**2) + 2 * x * s1 - s2

    def pairs(self, units: Units) -> Floats:
        s1, s2 = units.dot(self.x), units.dot(self.x**2)
        return units.n**2 - 2 * (units.n * s2 - s1**2)

    def between(self, k: Ints, j: Ints) -> Floats:
        return 1 - (self.x[k] - self.x[j]) ** 2


@dataclass(frozen=True)
class Matrix(Weights):
    """Any symmetric weights."""

    w: Floats

    @property
    def total(self) -> float:
        return float(self.w.sum())

    def times(self, v: Floats) -> Floats:
        return v @ self.w

    def at_entries(self, units: Units) -> Floats:
        step = max(CELLS // len(self.w), 1)
        blocks = [self._block(units, at, at + step) for at in range(0, len(units.lengths), step)]
        return np.concatenate(blocks) if blocks else np.zeros(0)

    def _block(self, units: Units, first: int, last: int) -> Floats:
        """... of the units first .. last-1, whose counts are written out."""
        low, high = np.searchsorted(units.unit, [first, last])
        unit, label = units.unit[low:high] - first, units.label[low:high]
        counts = np.zeros((min(last, len(units.lengths)) - first, len(self.w)))
        counts[unit, label] = units.votes[low:high]
        found: Floats = (counts @ self.w)[unit, label]
        return found

    def between(self, k: Ints, j: Ints) -> Floats:
        return self.w[k, j]


# --- weights by name -------------------------------------------------------------------------------


def make_weights(weights: Any, values: Floats, option: str = "weights") -> Weights:
    """The weights of a name, or of a matrix, for classes with these values in class order.

    `option` is what errors name.
    """
    K = len(values)
    if not isinstance(weights, str):
        return _custom(_as_matrix(weights), K)
    if weights not in get_args(WeightName):
        raise OptionError(
            "weights",
            weights,
            f"it must be one of {shown(list(get_args(WeightName)), 20)}, or a matrix with a row and a column "
            "for each class.",
        )
    if weights == "identity" or K < 2:
        return Identity(K)
    if weights == "quadratic":
        return SquaredDistance.scaled(values)
    if K > MAX_CLASSES:
        raise OptionError(
            option,
            weights,
            f"this needs a matrix of {K:,} x {K:,}; at most {MAX_CLASSES:,} classes can be weighted so.",
            BY_DISTANCE[option],
        )
    distance = DISTANCES[weights](values[:, None], values[None, :])
    largest = distance.max()
    return Matrix(1 - distance / (largest if largest > 0 else 1))


def _as_matrix(weights: Any) -> Floats:
    try:
        return np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        wrong = (
            f"it must be one of {shown(list(get_args(WeightName)), 20)}, or a matrix of numbers."
        )
        raise OptionError("weights", weights, wrong) from None


def _custom(w: Floats, n_classes: int) -> Weights:
    if w.shape != (n_classes, n_classes):
        raise OptionError(
            "weights",
            ...,
            f"has the shape {w.shape}; with {n_classes} classes it must be ({n_classes}, {n_classes}), in "
            "class order.",
        )
    if not (np.isfinite(w).all() and (w == w.T).all() and (np.diag(w) == 1).all() and w.max() <= 1):
        raise OptionError(
            "weights",
            ...,
            "must be finite and symmetric, 1 on the diagonal and at most 1 elsewhere: w[k, l] is the "
            "agreement of class k with class l.",
        )
    return Matrix(w)


def _linear(a: Floats, b: Floats) -> Floats:
    return np.abs(a - b)


def _ordinal(a: Floats, b: Floats) -> Floats:
    K = max(a.shape)
    ranks = np.arange(K)
    apart = np.abs(ranks[:, None] - ranks[None, :]).astype(np.float64)
    return np.asarray(apart * (apart + 1) / 2)


def _radical(a: Floats, b: Floats) -> Floats:
    return np.sqrt(np.abs(a - b))


def ratio_distance(a: Floats, b: Floats) -> Floats:
    """((a - b) / (a + b))^2, with 0 / 0 = 0."""
    total = a + b
    return np.asarray((a - b) / np.where(total == 0, 1, total)) ** 2


def _circular(a: Floats, b: Floats) -> Floats:
    period = max(a.max(), b.max()) - min(a.min(), b.min()) + 1
    return np.asarray(np.sin(np.pi * (a - b) / period)) ** 2


def _bipolar(a: Floats, b: Floats) -> Floats:
    low, high = min(a.min(), b.min()), max(a.max(), b.max())
    to_ends = (a + b - 2 * low) * (2 * high - a - b)
    return np.where(a == b, 0, (a - b) ** 2 / np.where(to_ends == 0, 1, to_ends))


DISTANCES = {
    "linear": _linear,
    "ordinal": _ordinal,
    "radical": _radical,
    "ratio": ratio_distance,
    "circular": _circular,
    "bipolar": _bipolar,
}
