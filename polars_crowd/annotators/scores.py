"""How good an annotator is, in numbers made of their confusion counts alone.

n[j,k,l] is how often annotator j said l where the truth is k (`against.py`), n[j] their sum, theta[j,k,l] =
n[j,k,l] / n[j,k], C the number of classes that are the truth of some of j's annotations, p the class shares
of all that is judged, over those C classes. In this order:

    accuracy               a    = sum_k n[j,k,k] / n[j]                       with Wilson's interval (1927)
    balanced accuracy      b    = 1/C sum_k theta[j,k,k]
    spam score             S    = 1 / (C (C - 1)) sum_(k<m) sum_l (theta[j,k,l] - theta[j,m,l])^2
    expected cost               = sum_l P_l sum_km s_lk s_lm c_km / sum_km p_k p_m c_km
                           P_l  = sum_k p_k theta[j,k,l],    s_lk = p_k theta[j,k,l] / P_l
    mutual information     I    = sum_kl n[j,k,l] / n[j] log2( n[j,k,l] n[j] / (n[j,k] n[j,.,l]) )
    worst class                 = argmin_k (n[j,k,k] + 1) / (n[j,k] + 2)
    chance                 c    = sum_k n[j,k] n[j,.,k] / n[j]^2

The interval of b is Wilson's for as many annotations as have its variance, with shares shrunk as for the
worst class: b (1 - b) / (1/C^2 sum_k theta[k,k] (1 - theta[k,k]) / n[k]).

S (Raykar and Yu 2012, JMLR 13, 491-518) is 0 for who answers without looking, whatever they prefer, and 1 for
who never errs, or errs always in the same way; with two classes it is (sensitivity + specificity - 1)^2. The
expected cost (Ipeirotis, Provost and Wang 2010) is what it costs to take a label of the annotator's for what
it says about the truth, by the costs c_km of taking k for m: 0 for who tells all, 1 for who tells nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import OptionError
from polars_crowd.option_checks import array_of
from polars_crowd.reliability.chance import ratio
from polars_crowd.reliability.units import sums_at

CELLS = 1 << 22
"""Cells of confusion matrices that are written out at a time."""


@dataclass(frozen=True)
class Margin:
    """Sums of confusion counts over one of their classes: entries (unit, class) that are not 0."""

    unit: Ints
    code: Ints
    """(A,) the class."""
    n: Floats
    at: Ints
    """(E,) the entry of each cell."""


@dataclass(frozen=True)
class Confusions:
    """The counts n[j,k,l] that are not 0, of U annotators (or annotators in groups), sorted."""

    unit: Ints
    """(E,) the annotator of each."""
    truth: Ints
    label: Ints
    n: Floats
    n_units: int
    n_classes: int

    @classmethod
    def of(cls, cells: pl.DataFrame, n_units: int, n_classes: int) -> Confusions:
        """From `unit, true_label, label, weight`, in codes."""
        unit, truth, label = (
            cells[code].to_numpy().astype(np.int64) for code in ("unit", "true_label", "label")
        )
        return cls(unit, truth, label, cells["weight"].to_numpy(), n_units, n_classes)

    def summed(self, unit: Ints, values: Floats) -> Floats:
        """(U,) sums of values by unit."""
        return sums_at(unit, values, self.n_units)

    def margin(self, code: Ints) -> Margin:
        keys, at = np.unique(self.unit * self.n_classes + code, return_inverse=True)
        n = sums_at(at, self.n, len(keys))
        return Margin(keys // self.n_classes, keys % self.n_classes, n, at)

    @cached_property
    def total(self) -> Floats:
        """n[j]."""
        return self.summed(self.unit, self.n)

    @cached_property
    def of_truth(self) -> Margin:
        """n[j,k]."""
        return self.margin(self.truth)

    @cached_property
    def of_label(self) -> Margin:
        """n[j,.,l]."""
        return self.margin(self.label)

    @cached_property
    def theta(self) -> Floats:
        """(E,) theta[j,k,l]."""
        return self.n / self.of_truth.n[self.of_truth.at]

    @cached_property
    def right(self) -> Floats:
        """(A,) n[j,k,k] of each n[j,k]."""
        own = np.where(self.truth == self.label, self.n, 0.0)
        return sums_at(self.of_truth.at, own, len(self.of_truth.n))

    @cached_property
    def n_seen(self) -> Floats:
        """C."""
        return self.summed(self.of_truth.unit, np.ones(len(self.of_truth.unit)))

    @cached_property
    def shrunk(self) -> Floats:
        """(A,) (n[j,k,k] + 1) / (n[j,k] + 2)."""
        return (self.right + 1) / (self.of_truth.n + 2)

    @cached_property
    def prior(self) -> Floats:
        """(K,) the share of each class among all that is judged."""
        by_class = sums_at(self.truth, self.n, self.n_classes)
        return ratio(by_class, by_class.sum())


def accuracy(found: Confusions) -> Floats:
    return ratio(found.summed(found.of_truth.unit, found.right), found.total)


def balanced_accuracy(found: Confusions) -> Floats:
    by_class = found.right / found.of_truth.n
    return ratio(found.summed(found.of_truth.unit, by_class), found.n_seen)


def balanced_size(found: Confusions) -> Floats:
    """How many annotations have the variance of the balanced accuracy."""
    unit, p = found.of_truth.unit, found.shrunk
    variance = ratio(found.summed(unit, p * (1 - p) / found.of_truth.n), found.n_seen**2)
    mean = ratio(found.summed(unit, p), found.n_seen)
    return ratio(mean * (1 - mean), variance)


def spam_score(found: Confusions) -> Floats:
    """S, by sum_(k<m) |theta_k - theta_m|^2 = C sum_k |theta_k|^2 - |sum_k theta_k|^2; NaN with one class."""
    C, size = found.n_seen, len(found.of_label.n)
    by_label = sums_at(found.of_label.at, found.theta, size)
    squares = C * found.summed(found.unit, found.theta**2)
    apart = squares - found.summed(found.of_label.unit, by_label**2)
    return ratio(np.maximum(apart, 0), C * (C - 1))


def checked_costs(costs: Any, n_classes: int) -> Floats | None:
    """c_km; None where any error costs 1."""
    if costs is None:
        return None
    found = array_of("costs", costs, 2)
    if found.shape != (n_classes, n_classes) or (found < 0).any():
        raise OptionError(
            "costs",
            ...,
            f"must be numbers of at least 0, a row and a column for each of the {n_classes} classes.",
        )
    return found


def expected_cost(found: Confusions, costs: Floats | None = None) -> Floats:
    """NaN where nothing that could be told has a cost."""
    return expected_error(found) if costs is None else by_costs(found, costs)


def expected_error(found: Confusions) -> Floats:
    """... where any error costs 1: sum_l P_l (1 - sum_k s_lk^2) / (1 - sum_k p_k^2)."""
    truth, label = found.of_truth, found.of_label
    p = found.prior[truth.code] / found.summed(truth.unit, found.prior[truth.code])[truth.unit]
    joint = p[truth.at] * found.theta
    P = sums_at(label.at, joint, len(label.n))
    told = found.summed(found.unit, joint - joint**2 / P[label.at])
    whole = np.where(found.n_seen > 1, 1 - found.summed(truth.unit, p**2), 0)
    return ratio(np.maximum(told, 0), whole)


def by_costs(found: Confusions, costs: Floats) -> Floats:
    """... by given costs. Annotators are written out block by block."""
    K, step = found.n_classes, max(CELLS // found.n_classes**2, 1)
    blocks = [np.zeros(0)]
    for low in range(0, found.n_units, step):
        high = min(low + step, found.n_units)
        rows = slice(*np.searchsorted(found.unit, [low, high]))
        theta = np.zeros((high - low, K, K))
        theta[found.unit[rows] - low, found.truth[rows], found.label[rows]] = found.theta[rows]
        p = found.prior * (theta.sum(axis=2) > 0)
        p = ratio(p, p.sum(axis=1, keepdims=True))
        joint = p[:, :, None] * theta
        of_label = np.einsum("jkl,jkl->jl", joint, costs @ joint)
        told = np.nansum(ratio(of_label, joint.sum(axis=1)), axis=1)
        blocks.append(ratio(told, np.einsum("jk,km,jm->j", p, costs, p)))
    return np.concatenate(blocks)


def mutual_information(found: Confusions) -> Floats:
    """I, in bits."""
    n_k, n_l = (margin.n[margin.at] for margin in (found.of_truth, found.of_label))
    bits = np.log2(found.n * found.total[found.unit] / (n_k * n_l))
    return np.maximum(ratio(found.summed(found.unit, found.n * bits), found.total), 0)


def chance(found: Confusions) -> Floats:
    """c."""
    unit, p, q = shares(found)
    return ratio(found.summed(unit, p * q), (found.total > 0).astype(np.float64))


def chance_error(found: Confusions) -> Floats:
    """The standard error of a - c where labels say nothing about the truth."""
    unit, p, q = shares(found)
    c = found.summed(unit, p * q)
    variance = c + c**2 - found.summed(unit, p * q * (p + q))
    return np.sqrt(ratio(np.maximum(variance, 0), found.total))


def shares(found: Confusions) -> tuple[Ints, Floats, Floats]:
    """The unit, the share of truths and that of labels, of each class that is both in a unit."""
    truth, label = found.of_truth, found.of_label
    keys, others = (m.unit * found.n_classes + m.code for m in (truth, label))
    both, first, second = np.intersect1d(keys, others, assume_unique=True, return_indices=True)
    unit = both // found.n_classes
    return unit, truth.n[first] / found.total[unit], label.n[second] / found.total[unit]


def worst_classes(found: Confusions) -> tuple[Ints, Floats]:
    """(U,) the worst class, -1 without any, and its shrunk accuracy; of several that of most annotations."""
    margin = found.of_truth
    order = np.lexsort((margin.code, -margin.n, found.shrunk.round(12), margin.unit))
    units, first = np.unique(margin.unit[order], return_index=True)
    code, share = np.full(found.n_units, -1), np.full(found.n_units, np.nan)
    code[units], share[units] = margin.code[order][first], found.shrunk[order][first]
    return code, share


def entropy(unit: Ints, n: Floats, n_units: int) -> Floats:
    """(U,) in bits, of counts by unit."""
    total = sums_at(unit, n, n_units)
    share = n / total[unit]
    return ratio(sums_at(unit, -n * np.log2(share), n_units), total) + 0.0
