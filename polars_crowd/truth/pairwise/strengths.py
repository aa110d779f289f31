"""Strengths of examples, and how sure they are.

Letters as in `truth.pairwise.bradley_terry`: p = P(preferred) by a fair annotator, eta the annotator's
reliability (1 for Bradley-Terry), q = eta p + (1 - eta)(1 - p), y the share of the win that the first example
has, w the weight, c = `smoothing`, P = I - 1/N takes the mean out.

    i = ( (2 eta - 1) p (1 - p) )^2 / ( q (1 - q) )                 the information of a comparison
    H = sum w i (e[a] - e[b]) (e[a] - e[b])' + diag(o)              o = 2c x / (1 + x)^2, of the prior

**Comparisons that are independent.** A win varies by q (1 - q), and a share y of it by y (1 - y) less. On
average a comparison, those of the prior included, varies by this part of it (1 if there is no tie):

    phi = 1 - sum w i y (1 - y) / ( q (1 - q) ) / ( sum w i + sum o )         Var = phi P H^-1 P

**Annotators that are independent**, each with a taste of their own. With g[j] the sum over the comparisons
of annotator j of w (y - q) (2 eta - 1) p (1 - p) / ( q (1 - q) ) (e[a] - e[b]), and m their mean,

    B = M / (M - 1) sum_j (g[j] - m) (g[j] - m)'                    Var = P H^-1 ( B + diag(o) ) H^-1 P

(Liang and Zeger 1986, Biometrika 73), and Student's t with M - 1 degrees of freedom for intervals.

H is inverted up to 3,000 examples; for more, the diagonals are estimated from 64 vectors of random signs
(Hutchinson 1990), to a few per cent where examples have ten comparisons or more; those among annotators from
64 sums of annotators with random signs, to about a tenth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Literal

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.numerics.special import t_quantile
from polars_crowd.truth.pairwise.comparisons import Comparisons

Intervals = Literal["comparisons", "annotators"]
DENSE = 3_000
"""Up to this many examples the information is inverted."""
PROBES = 64


@dataclass(frozen=True)
class Strengths:
    """What a method estimated."""

    name: str
    x: Floats
    """The strength of each example, shape (N,)."""
    smoothing: float
    """c."""
    reliability: Floats | None
    """eta of each annotator, shape (M,), if the method has it."""

    @property
    def score(self) -> Floats:
        """log x, with mean 0."""
        score = np.log(self.x)
        centred: Floats = score - score.mean()
        return centred


@dataclass(frozen=True)
class Information:
    """H: a weighted graph's Laplacian plus a diagonal."""

    comparisons: Comparisons
    weight: Floats
    """w i of each count."""
    own: Floats
    """o, shape (N,)."""
    varies: float
    """phi."""
    pull: Floats
    """What each count adds to g along e[winner] - e[loser]."""

    def times(self, v: Floats) -> Floats:
        """H v."""
        c = self.comparisons
        flow = self.weight * (v[c.winner] - v[c.loser])
        return self.own * v + c.per_example(flow, -flow)

    def meat(self, v: Floats) -> Floats:
        """(B + diag(o)) v."""
        c, n = self.comparisons, len(self.comparisons.annotators)
        by_annotator = c.per_annotator(self.pull * (v[c.winner] - v[c.loser]))
        return self.own * v + n / (n - 1) * self.pulled(by_annotator)

    def pulled(self, u: Floats) -> Floats:
        """sum_j u[j] (g[j] - m)."""
        c = self.comparisons
        flow = self.pull * (u - u.mean())[c.annotator]
        return c.per_example(flow, -flow)

    @cached_property
    def diagonal(self) -> Floats:
        return self.own + self.comparisons.per_example(self.weight, self.weight)

    def dense(self) -> Floats:
        H = np.diag(self.diagonal)
        c = self.comparisons
        np.add.at(H, (c.winner, c.loser), -self.weight)
        np.add.at(H, (c.loser, c.winner), -self.weight)
        return H

    def solve(self, right: Floats) -> Floats:
        """H^-1 right, by conjugate gradients."""
        x, r = np.zeros_like(right), right.copy()
        z = r / self.diagonal
        p, rz = z.copy(), float(r @ z)
        smallest = 1e-16 * rz
        for _ in range(10 * len(right)):
            if rz <= smallest:
                break
            Hp = self.times(p)
            alpha = rz / float(p @ Hp)
            x += alpha * p
            r -= alpha * Hp
            z = r / self.diagonal
            rz, before = float(r @ z), rz
            p = z + rz / before * p
        return x


def information(comparisons: Comparisons, strengths: Strengths) -> Information:
    """The expected information of the scores, reliabilities given."""
    x, c = strengths.x, comparisons
    p = x[c.winner] / (x[c.winner] + x[c.loser])
    eta = np.ones_like(p) if strengths.reliability is None else strengths.reliability[c.annotator]
    q = eta * p + (1 - eta) * (1 - p)
    slope = (2 * eta - 1) * p * (1 - p)
    i = slope**2 / (q * (1 - q))
    own = 2 * strengths.smoothing * x / (1 + x) ** 2
    less = (c.divided * i / (q * (1 - q))).sum()
    varies = 1 - float(less / ((c.count * i).sum() + own.sum()))
    return Information(c, c.count * i, own, max(varies, 0.0), c.count * slope / q)


def standard_errors(
    comparisons: Comparisons, strengths: Strengths, intervals: Intervals, seed: int
) -> Floats:
    """Of the centred scores."""
    H = information(comparisons, strengths)
    exact, rng = len(comparisons.examples) <= DENSE, np.random.default_rng(seed)
    if intervals == "annotators":
        variance = among_annotators(H) if exact else estimated_among_annotators(H, rng)
    else:
        variance = H.varies * (centred_variances(H) if exact else estimated_variances(H, rng))
    return np.sqrt(np.maximum(variance, 0))


def quantile(comparisons: Comparisons, intervals: Intervals, level: float) -> float:
    """How many standard errors an interval reaches."""
    p = (1 + level) / 2
    if intervals == "annotators":
        return t_quantile(p, len(comparisons.annotators) - 1)
    return NormalDist().inv_cdf(p)


def centred_variances(H: Information) -> Floats:
    """The diagonal of P H^-1 P."""
    inverse = np.linalg.inv(H.dense())
    mean = inverse.mean(axis=0)
    variances: Floats = np.diag(inverse) - 2 * mean + mean.mean()
    return variances


def among_annotators(H: Information) -> Floats:
    """The diagonal of P H^-1 (B + diag(o)) H^-1 P, an example after another."""
    inverse = np.linalg.inv(H.dense())
    inverse -= inverse.mean(axis=0)
    return np.array([v @ H.meat(v) for v in inverse])


def estimated_variances(H: Information, rng: np.random.Generator) -> Floats:
    """The diagonal of P H^-1 P, as the mean of v * P H^-1 P v over vectors v of random signs."""
    total = np.zeros(len(H.own))
    for _ in range(PROBES):
        sign = rng.choice([-1.0, 1.0], len(total))
        found = H.solve(sign - sign.mean())
        total += sign * (found - found.mean())
    return total / PROBES


def estimated_among_annotators(H: Information, rng: np.random.Generator) -> Floats:
    """The diagonal of P H^-1 (B + diag(o)) H^-1 P, as the mean square of P H^-1 u, where u sums annotators,
    and what the prior adds, with random signs."""
    total, n = np.zeros(len(H.own)), len(H.comparisons.annotators)
    for _ in range(PROBES):
        u = H.pulled(rng.choice([-1.0, 1.0], n)) * np.sqrt(n / (n - 1))
        found = H.solve(u + np.sqrt(H.own) * rng.choice([-1.0, 1.0], len(total)))
        total += (found - found.mean()) ** 2
    return total / PROBES
