"""What truth inference for numeric labels returns."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar, Unpack

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.reports import FEW, Heads, header, went
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.results import Fit
from polars_crowd.rounds.rounds import TablePlan, Tables
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.classes import beside
from polars_crowd.signatures import shares
from polars_crowd.truth.known import KnownValues
from polars_crowd.truth.numeric.block import Numbers, Weighting, blocks
from polars_crowd.truth.numeric.model import NumericFit, NumericMethod, open_numbers, sums_under
from polars_crowd.truth.options import LogOptions, NumberOptions
from polars_crowd.truth.quantiles import quantiles
from polars_crowd.truth.result import Iterations


class NumericTruth(Fit):
    """What a method for numeric labels found out about a log.

    Attributes
    ----------
    examples : LazyFrame
        `example, consensus_label` (a number), `standard_error` (of it, in the labels' unit; null where an
        example has one annotation and the method cannot tell; 0 where the truth was given),
        `annotator_spread` (the standard deviation of its labels, null for one), `num_annotations`. One
        row per example, sorted by example.
    annotations : LazyFrame
        `example, annotator, label, label_quality_score, residual` = label - consensus label, then the
        log's other columns. One row per annotation, sorted by the first three. The score is
        exp(-residual^2 / (2 s^2)) in [0, 1], with s the standard deviation of all labels about the
        consensus; null where nobody else labelled the example.
    posterior : LazyFrame
        `example, label, probability`: the truth is at most `label` with this probability, one of 0.025,
        0.25, 0.5, 0.75 and 0.975, by a normal distribution with the consensus label and its standard
        error. One row per example and probability; null labels where there is no standard error.
    annotators : DataFrame
        `annotator`; `annotator_quality`, the mean of the annotator's label quality scores;
        `num_examples_labeled`; the method's own columns; then over the annotator's labels of examples that
        others labelled too: `mean_residual` (the annotator's bias, as observed) and
        `root_mean_square_residual` (how far the labels lie from the consensus). The furthest first.
    trace : Series
        The objective of each iteration; no iteration lowers it. Empty where nothing is iterated.
    converged : bool
    n_iter : int
    """

    TABLES: ClassVar[tuple[str, ...]] = (
        *("examples", "annotations", "posterior"),
        *("annotators", "trace"),
    )
    ON_DEMAND: ClassVar[tuple[str, ...]] = ("posterior",)
    VALUES: ClassVar[tuple[str, ...]] = ("converged", "n_iter")
    HEADS: ClassVar[Heads] = {
        "examples": ("examples", FEW),
        "annotators": ("annotators, least accurate first", FEW),
    }

    def __init__(self, fit: NumericFit) -> None:
        self._fit = fit
        self._keep(fit.rounds.into)

    @cached_property
    def _tables(self) -> Tables:
        plans: dict[str, TablePlan] = {"examples": example_table, "annotations": annotation_table}
        fit = self._fit
        params = fit.method, fit.weighting, fit.known, fit.spread
        return fit.rounds.tables(plans, *params, summary=sum_scores)

    @property
    def examples(self) -> pl.LazyFrame:
        return self._tables["examples"]

    @property
    def annotations(self) -> pl.LazyFrame:
        return self._tables["annotations"]

    @property
    def posterior(self) -> pl.LazyFrame:
        return quantiles(self.examples, "consensus_label", "label")

    @cached_property
    def annotators(self) -> pl.DataFrame:
        fit, sums = self._fit, self._fit.sums
        m = np.where(sums.annotations > 0, sums.annotations, np.nan)
        found = self._tables.summary[("annotator",)]
        score = np.zeros(len(m))
        score[found["annotator"].to_numpy()] = found["score"].to_numpy()
        columns = {
            **fit.method.annotator_columns(fit.weighting, sums),
            "mean_residual": sums.residual / m + fit.weighting.bias,
            "root_mean_square_residual": np.sqrt(fit.square / m),
        }
        table = pl.DataFrame(
            {
                "annotator": fit.rounds.book.annotators,
                "annotator_quality": score / m,
                "num_examples_labeled": pl.Series(sums.labeled, dtype=pl.Int64),
                **columns,
            }
        )
        return table.with_columns(pl.col("annotator_quality", *columns).fill_nan(None)).sort(
            "root_mean_square_residual",
            "annotator",
            descending=[True, False],
            nulls_last=True,
        )

    @property
    def trace(self) -> pl.Series:
        return pl.Series("objective", self._fit.iterations.trace, dtype=pl.Float64)

    @property
    def converged(self) -> bool:
        return self._fit.iterations.converged

    @property
    def n_iter(self) -> int:
        return len(self._fit.iterations.trace)

    @shares(LogOptions, NumberOptions)
    def predict(
        self,
        log: Any,
        *,
        gold: Any = None,
        **options: Unpack[LogOptions],
    ) -> NumericTruth:
        """The truth of another log, with the annotators as they were judged here.

        Parameters
        ----------
        log
            Annotations: whatever `scan_annotations` takes, or a store. An annotator whom the fit does not
            know is weighed as the others are on average, without a bias.

        Returns
        -------
        NumericTruth
            With the weights of this fit; its trace is empty.
        """
        rounds = open_numbers(log, NumberOptions(**options))
        known = None if gold is None else KnownValues.of(gold)
        fit, weighting = self._fit, self._fit.weighting_for(rounds)
        sums = sums_under(rounds, fit.method, weighting, known)
        return NumericTruth(
            NumericFit(rounds, fit.method, weighting, known, sums, Iterations((), True))
        )

    @property
    def method(self) -> str:
        return self._fit.method.name

    def _options_given(self) -> dict[str, Any]:
        return {"constants": self._fit.method, **self._fit.iterations.asked}

    def _header(self) -> str:
        sums, trace = self._fit.sums, self._fit.iterations.trace
        sizes = {"example": int(sums.examples), "annotator": len(sums.labeled)}
        sizes["annotation"] = int(sums.labeled.sum())
        return header(self.method, sizes, went(trace, self.converged) if trace else "")


# --- the local plans of the tables -----------------------------------------------------------------


def example_table(
    part: Partition,
    method: NumericMethod,
    weighting: Weighting,
    known: KnownValues | None,
    s: float,
) -> pl.DataFrame:
    """`.examples` of a partition."""
    truth, error, spread = [], [], []
    for numbers in blocks(part, known):
        found = method.find(numbers, weighting)
        truth.append(found.truth)
        error.append(method.standard_error(numbers, found))
        spread.append(numbers.standard_deviation())
    examples = part.values.examples
    return pl.DataFrame(
        {
            "example": examples["example"],
            "consensus_label": np.concatenate(truth),
            "standard_error": np.concatenate(error),
            "annotator_spread": np.concatenate(spread),
            "num_annotations": examples["num_annotations"],
        }
    ).with_columns(pl.col("standard_error", "annotator_spread").fill_nan(None))


def residuals(
    part: Partition, method: NumericMethod, weighting: Weighting, known: KnownValues | None
) -> Iterator[tuple[Numbers, Floats]]:
    """The blocks of a partition, and label - consensus label of each annotation."""
    for numbers in blocks(part, known):
        truth = method.find(numbers, weighting).truth
        yield numbers, numbers.value - numbers.at_rows(truth)


def scores_of(numbers: Numbers, residual: Floats, s: float) -> Floats:
    """exp(-residual^2 / (2 s^2)); NaN where nothing tells how good a label is."""
    score = np.exp(-((residual / s) ** 2) / 2) if s > 0 else np.ones_like(residual)
    return np.where(np.repeat(numbers.tells, numbers.count), score, np.nan)


def annotation_table(part: Partition, *params: Any) -> pl.LazyFrame:
    """`.annotations` of a partition."""
    values, (*of_residuals, s) = part.values, params
    found = list(residuals(part, *of_residuals))
    named = values.rows.lazy().select(
        example=pl.lit(values.examples["example"]).gather("example"),
        annotator=pl.lit(values.annotators).gather("annotator"),
        label="value",
        label_quality_score=pl.Series(np.concatenate([scores_of(*f, s) for f in found])).fill_nan(
            None
        ),
        residual=pl.Series(np.concatenate([residual for _, residual in found])),
    )
    return beside(named, values.extra, "label_quality_score", "residual")


def sum_scores(part: Partition, *params: Any) -> Summary:
    """By annotator: the sum of label quality scores."""
    *of_residuals, s = params
    score = np.zeros(len(part.values.annotators))
    for numbers, residual in residuals(part, *of_residuals):
        score += numbers.per_annotator(np.nan_to_num(scores_of(numbers, residual, s)))
    frame = pl.DataFrame({"score": score}).with_row_index("annotator")
    return {("annotator",): frame.filter(pl.col("score") > 0)}
