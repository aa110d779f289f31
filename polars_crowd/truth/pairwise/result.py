"""What the methods for pairwise preferences return: scores with intervals, ranks, and the annotators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.errors import counted, warn
from polars_crowd.inputs.comparisons import COLUMNS, scan_comparisons
from polars_crowd.inputs.sources import open_frame
from polars_crowd.reports import FEW, Heads, header, went
from polars_crowd.truth.numeric.model import warn_of_stopping
from polars_crowd.truth.pairwise.comparisons import Comparisons, count_comparisons
from polars_crowd.truth.pairwise.options import Pairing
from polars_crowd.truth.past import places
from polars_crowd.truth.quantiles import quantiles
from polars_crowd.truth.result import Iterated, Iterations

Climbed = tuple[Floats, Floats | None, Iterations]
DENSE = 3_000
"""Up to this many examples the information is inverted."""
PROBES = 64
SAME = 9
"""Scores that are equal to so many digits share a rank."""


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


class Preferences(Iterated):
    """What a method for pairwise preferences found out; also `.trace`, `.converged`, `.n_iter`.

    Attributes
    ----------
    examples : LazyFrame
        `example, score` (log strength, with mean 0), `standard_error, lower, upper` (its interval), `rank`
        (1 is best; equal scores share one), `num_wins` (a tie is half a win), `num_comparisons`, `component`
        (comparisons connect the examples of one component, and no two components). The best first.
    annotations : LazyFrame
        `left, right, annotator, winner, tie, label_quality_score`, then the log's other columns, in the
        log's order. The score is p, the probability that a fair annotator prefers the winner, and
        1 - |2p - 1| for a tie.
    posterior : LazyFrame
        `example, score, probability`: the score is at most `score` with this probability, one of 0.025,
        0.25, 0.5, 0.75 and 0.975, by a normal distribution with its standard error.
    annotators : DataFrame
        `annotator`; `annotator_quality`, the share of the annotator's comparisons that went to the example
        with the higher score (ties are half); `num_comparisons`; `reliability` where the method has it. The
        worst annotator first.
    """

    HEADS: ClassVar[Heads] = {
        "examples": ("examples, best first", FEW),
        "annotators": ("annotators, worst first", FEW),
    }

    def __init__(
        self,
        log: pl.LazyFrame,
        comparisons: Comparisons,
        strengths: Strengths,
        iterations: Iterations,
        given: Pairing,
    ) -> None:
        self._log = log
        self._comparisons = comparisons
        self._strengths = strengths
        self._iterations = iterations
        self._given = given

    @property
    def method(self) -> str:
        return self._strengths.name

    @property
    def examples(self) -> pl.LazyFrame:
        return self._examples.lazy()

    @cached_property
    def _examples(self) -> pl.DataFrame:
        comparisons, score = self._comparisons, self._strengths.score
        error = standard_errors(comparisons, self._strengths, self._given.seed)
        reach = NormalDist().inv_cdf((1 + self._given.level) / 2) * error
        count, none = comparisons.count, np.zeros(len(comparisons.count))
        table = pl.DataFrame(
            {
                "example": comparisons.examples,
                "score": score,
                "standard_error": error,
                "lower": score - reach,
                "upper": score + reach,
                "rank": pl.Series(-score.round(SAME)).rank("min").cast(pl.Int64),
                "num_wins": comparisons.per_example(count, none),
                "num_comparisons": comparisons.numbers(comparisons.per_example(count, count)),
                "component": pl.Series(comparisons.components, dtype=pl.Int64),
            }
        )
        return table.sort("rank", "example")

    @property
    def annotations(self) -> pl.LazyFrame:
        p = self._preference
        won = pl.when(pl.col("winner") == pl.col("left")).then(p).otherwise(1 - p)
        score = pl.when("tie").then(1 - (2 * p - 1).abs()).otherwise(won)
        others = pl.exclude(*COLUMNS, "tie", "label_quality_score")
        return self._log.select(*COLUMNS, "tie", score.alias("label_quality_score"), others)

    @property
    def posterior(self) -> pl.LazyFrame:
        return quantiles(self.examples, "score", "score")

    @cached_property
    def annotators(self) -> pl.DataFrame:
        comparisons, score = self._comparisons, self._strengths.score.round(SAME)
        better = np.sign(score[comparisons.winner] - score[comparisons.loser]) / 2 + 0.5
        n = comparisons.per_annotator(comparisons.count)
        eta = self._strengths.reliability
        table = pl.DataFrame(
            {
                "annotator": comparisons.annotators,
                "annotator_quality": comparisons.per_annotator(better * comparisons.count) / n,
                "num_comparisons": comparisons.numbers(n),
                **({} if eta is None else {"reliability": eta}),
            }
        )
        return table.sort("annotator_quality", "annotator")

    def predict(self, log: Any) -> pl.LazyFrame:
        """How probable it is that a fair annotator prefers the left example of other comparisons.

        Parameters
        ----------
        log
            A frame with `left, right`, whatever else.

        Returns
        -------
        LazyFrame
            The log with `probability` = x[left] / (x[left] + x[right]), null where the fit does not know
            one of the two.
        """
        return open_frame(log, "the comparisons").with_columns(probability=self._preference)

    @property
    def _preference(self) -> pl.Expr:
        """x[left] / (x[left] + x[right])."""
        known, score = self._comparisons.examples, pl.Series(self._strengths.score)
        difference = _looked_up("left", known, score) - _looked_up("right", known, score)
        return 1 / (1 + (-difference).exp())

    def strengths_of(self, examples: pl.Series) -> Floats:
        """x of these examples, 1 where the fit does not know them; to begin another fit with."""
        place = places(self._comparisons.examples, examples)
        return np.append(self._strengths.x, 1.0)[place]

    def reliabilities_of(self, annotators: pl.Series, otherwise: float) -> Floats:
        """eta of these annotators."""
        place = places(self._comparisons.annotators, annotators)
        known = self._strengths.reliability
        return np.append([] if known is None else known, otherwise)[place]

    def _options_given(self) -> dict[str, Any]:
        given = {name: getattr(self._given, name) for name in ("smoothing", "level", "seed")}
        return {**given, **self._iterations.asked}

    def _header(self) -> str:
        comparisons = self._comparisons
        sizes = {"example": len(comparisons.examples), "annotator": len(comparisons.annotators)}
        sizes["comparison"] = round(comparisons.count.sum())
        return header(self.method, sizes, went(self._iterations.trace, self.converged))


def _looked_up(column: str, known: pl.Series, values: pl.Series) -> pl.Expr:
    return pl.col(column).replace_strict(known, values, default=None, return_dtype=pl.Float64)


def fit_preferences(
    log: Any, name: str, given: Pairing, climbed: Callable[[Comparisons], Climbed]
) -> Preferences:
    """Fit a method to a log of comparisons; `climbed` finds x and eta, and how that went."""
    scan = scan_comparisons(log)
    comparisons = count_comparisons(scan)
    x, eta, iterations = climbed(comparisons)
    warn_of_comparisons(comparisons, iterations)
    strengths = Strengths(name, x, given.smoothing, eta)
    return Preferences(scan, comparisons, strengths, iterations, given)


def warn_of_comparisons(comparisons: Comparisons, iterations: Iterations) -> None:
    """Of groups that nothing connects, and of stopping early."""
    groups = int(comparisons.components.max()) + 1
    if groups > 1:
        warn(
            f"no comparison connects {counted(groups, 'group')} of examples (see the column 'component'): "
            "only the prior relates their scores.",
            "Compare examples of different groups.",
        )
    if not iterations.converged:
        warn_of_stopping(len(iterations.trace))


# --- standard errors -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Information:
    """H: a weighted graph's Laplacian plus a diagonal."""

    comparisons: Comparisons
    weight: Floats
    """I of each count."""
    own: Floats
    """2c x / (1 + x)^2, of the prior."""

    def times(self, v: Floats) -> Floats:
        """H v."""
        c = self.comparisons
        flow = self.weight * (v[c.winner] - v[c.loser])
        return self.own * v + c.per_example(flow, -flow)

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
    """The expected information of the scores, reliabilities given.

    With p = P(preferred) and q = eta p + (1 - eta)(1 - p), a comparison has
    (2 eta - 1)^2 (p (1 - p))^2 / (q (1 - q)), which is p (1 - p) for eta = 1.
    """
    x, c = strengths.x, comparisons
    p = x[c.winner] / (x[c.winner] + x[c.loser])
    eta = np.ones_like(p) if strengths.reliability is None else strengths.reliability[c.annotator]
    q = eta * p + (1 - eta) * (1 - p)
    weight = c.count * (2 * eta - 1) ** 2 * (p * (1 - p)) ** 2 / (q * (1 - q))
    return Information(c, weight, 2 * strengths.smoothing * x / (1 + x) ** 2)


def standard_errors(comparisons: Comparisons, strengths: Strengths, seed: int) -> Floats:
    """Of the centred scores."""
    H = information(comparisons, strengths)
    exact = len(comparisons.examples) <= DENSE
    variance = centred_variances(H) if exact else estimated_variances(H, seed)
    return np.sqrt(np.maximum(variance, 0))


def centred_variances(H: Information) -> Floats:
    """The diagonal of P H^-1 P, where P takes the mean out."""
    inverse = np.linalg.inv(H.dense())
    mean = inverse.mean(axis=0)
    variances: Floats = np.diag(inverse) - 2 * mean + mean.mean()
    return variances


def estimated_variances(H: Information, seed: int) -> Floats:
    """The same, as the mean of v * P H^-1 P v over vectors v of random signs."""
    rng = np.random.default_rng(seed)
    total = np.zeros(len(H.own))
    for _ in range(PROBES):
        sign = rng.choice([-1.0, 1.0], len(total))
        found = H.solve(sign - sign.mean())
        total += sign * (found - found.mean())
    return total / PROBES
