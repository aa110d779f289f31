"""What the methods for pairwise preferences return: scores with intervals, ranks, and the annotators."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.errors import OptionError, counted, warn
from polars_crowd.inputs.comparisons import COLUMNS, NAME_COLUMNS, scan_comparisons
from polars_crowd.inputs.sources import checked_columns, open_frame
from polars_crowd.reports import FEW, Heads, header, went
from polars_crowd.truth.numeric.model import warn_of_stopping
from polars_crowd.truth.pairwise.comparisons import Comparisons, count_comparisons
from polars_crowd.truth.pairwise.options import Pairing
from polars_crowd.truth.pairwise.ranks import check_drawn, rank_intervals
from polars_crowd.truth.pairwise.strengths import Strengths, quantile, standard_errors
from polars_crowd.truth.past import places
from polars_crowd.truth.quantiles import quantiles
from polars_crowd.truth.result import Iterated, Iterations

Climbed = tuple[Floats, Floats | None, Iterations]
SAME = 9
"""Scores that are equal to so many digits share a rank."""


class Preferences(Iterated):
    """What a method for pairwise preferences found out; also `.trace`, `.converged`, `.n_iter`.

    Attributes
    ----------
    examples : LazyFrame
        `example, score` (log strength, with mean 0), `standard_error, lower, upper` (its interval), `rank`
        (1 is best; equal scores share one), with `n_boot` its interval `rank_low, rank_high`, `num_wins` (a
        tie is half a win), `num_comparisons`, `component` (comparisons connect the examples of one
        component, and no two components). The best first.
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
        given = self._given
        error = standard_errors(comparisons, self._strengths, given.intervals, given.seed)
        reach = quantile(comparisons, given.intervals, given.level) * error
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
        if given.n_boot:
            low, high = rank_intervals(
                self._log,
                comparisons.examples,
                self._strengths,
                given.intervals,
                given.level,
                given.n_boot,
                given.seed,
            )
            at = table.get_column_index("rank") + 1
            table.insert_column(at, pl.Series("rank_low", low, dtype=pl.Int64))
            table.insert_column(at + 1, pl.Series("rank_high", high, dtype=pl.Int64))
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
        pairs = open_frame(log, "the comparisons")
        checked_columns(pairs, "the comparisons", ("left", "right"), NAME_COLUMNS)
        return pairs.with_columns(probability=self._preference)

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
        given = {
            name: getattr(self._given, name)
            for name in ("smoothing", "level", "intervals", "seed", "n_boot")
        }
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
    if given.intervals == "annotators" and len(comparisons.annotators) < 2:
        raise OptionError("intervals", given.intervals, "it takes two annotators or more.")
    check_drawn(given.n_boot, len(comparisons.examples))
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
