"""Methods for numeric labels compared: errors against known truths, and held-out labels.

What a method finds of the labels that it has seen predicts another label x of annotator j on example i as
normal, with mean z[i] + b[j] and variance v[j]. The bias b and the variance v are counted from what the
method's truth z leaves of the labels seen, shrunk to those of all annotators together: the same for every
method, so that it is their truths that are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Floats
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.runs.numbers import sort_values
from polars_crowd.truth.evaluation import scoring
from polars_crowd.truth.evaluation.trial import Ran, Rows, Scores, Trial
from polars_crowd.truth.known import KnownValues, check_matched

REACH = 1.96
"""Standard errors on each side of an interval of 95 %."""


@dataclass(frozen=True)
class NumberTrial(Trial):
    """A log of numbers. What is known are numbers, NaN where nothing is."""

    KNOWN: ClassVar = ("mean_absolute_error", "num_compared", "root_mean_square_error", "coverage")
    HELD_OUT: ClassVar = ("held_out_log_loss", "held_out_error")
    OTHERS: ClassVar = "difference_from_others"
    APART: ClassVar = "range"

    @classmethod
    def of(
        cls, log: pl.LazyFrame, truth: Any, folds: int, seed: int, duplicates: Duplicates
    ) -> NumberTrial:
        values = sort_values(log, duplicates=duplicates)
        example, annotator, value = (
            values.rows[c].to_numpy() for c in ("example", "annotator", "value")
        )
        rows = Rows(example.astype(np.intp), annotator.astype(np.intp), value)
        ids = values.examples["example"]
        return cls(rows, ids, values.annotators, known_numbers(truth, ids), folds, seed)

    def labels(self, labels: NDArray[Any]) -> pl.Series:
        return pl.Series(labels)

    def found(self, fit: Any) -> Floats:
        """z."""
        z: Floats = fit.examples.collect()["consensus_label"].to_numpy()
        return z

    def answer(self, fit: Any, examples: pl.DataFrame) -> pl.DataFrame | None:
        """z and its standard error, where it is judged."""
        return None if self.known is None else examples.filter(~np.isnan(self.known))

    def goodness(self, ran: Ran) -> Floats:
        """Less the absolute error of each known example."""
        known = self.known[~np.isnan(self.known)]
        error: Floats = np.abs(ran.answer["consensus_label"].to_numpy() - known)
        return -error

    @staticmethod
    def paired(better: Floats) -> scoring.Paired:
        """The difference of mean absolute errors."""
        return scoring.paired_errors(-better)

    def known_scores(self, ran: Ran) -> Scores:
        error = -self.goodness(ran)
        reach = REACH * ran.answer["standard_error"].fill_null(float("nan")).to_numpy()
        inside = (error <= reach)[~np.isnan(reach)]
        coverage = float(inside.mean()) if len(inside) else None
        return float(error.mean()), len(error), float(np.sqrt((error**2).mean())), coverage

    def held_out(self, found: Floats, seen: Rows, asked: Rows) -> Floats:
        """The number of labels, their log losses and squared errors."""
        mean, variance = predicted(found, seen, asked, len(self.annotators))
        square = (asked.label - mean) ** 2
        loss = (np.log(2 * np.pi * variance) + square / variance) / 2
        return np.array([len(square), loss.sum(), square.sum()])

    def held_out_scores(self, sums: Floats) -> Scores:
        n, loss, square = sums
        return float(loss / n), float(np.sqrt(square / n))

    def to_others(self, own: pl.Series, others: pl.DataFrame) -> float:
        """The mean absolute difference from the other methods."""
        return float(np.mean([np.abs((own - other).to_numpy()).mean() for other in others]))

    @staticmethod
    def apart(names: list[str]) -> pl.Expr:
        """The largest label less the smallest."""
        return pl.max_horizontal(names) - pl.min_horizontal(names)


def known_numbers(truth: Any, examples: pl.Series) -> Floats | None:
    """The known truth of each example, NaN where there is none."""
    if truth is None:
        return None
    values = KnownValues.of(truth, "truth")
    known = values.of_examples(examples)
    n_known = int(np.count_nonzero(~np.isnan(known)))
    check_matched(values.given, n_known, lambda: examples, "truth")
    return known


def predicted(z: Floats, seen: Rows, asked: Rows, n_annotators: int) -> tuple[Floats, Floats]:
    """The mean and the variance of labels that were held out."""
    left = seen.label - z[seen.example]
    weight = np.bincount(seen.annotator, minlength=n_annotators) + scoring.SHRINKAGE
    bias = np.bincount(seen.annotator, left, n_annotators) / weight
    pooled = max(float((left**2).mean()), np.finfo(np.float64).tiny)
    square = np.bincount(seen.annotator, (left - bias[seen.annotator]) ** 2, n_annotators)
    variance = (square + scoring.SHRINKAGE * pooled) / weight
    return z[asked.example] + bias[asked.annotator], variance[asked.annotator]
