"""What truth inference for numeric labels returns."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar, Unpack

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.inputs.tables import log_and_labels
from polars_crowd.reports import FEW, Heads, header, went
from polars_crowd.rounds.components import warn_of_components
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.results import OfTables
from polars_crowd.rounds.rounds import TablePlan, Tables
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.classes import beside
from polars_crowd.signatures import shares
from polars_crowd.truth.known import KnownValues
from polars_crowd.truth.numeric.block import Numbers, Weighting, of_blocks
from polars_crowd.truth.numeric.model import (
    NumericFit,
    NumericMethod,
    fit_without_iterating,
    open_numbers,
)
from polars_crowd.truth.options import LogOptions, NumberOptions
from polars_crowd.truth.quantiles import quantiles
from polars_crowd.truth.result import Iterated


class NumericTruth(Iterated, OfTables):
    """What a method for numeric labels found out about a log; also `.trace`, `.converged`, `.n_iter`.

    Attributes
    ----------
    examples : LazyFrame
        `example, consensus_label` (a number), `standard_error` (of it, in the labels' unit; null where an
        example has one annotation and the method cannot tell; 0 where the truth was given),
        `annotator_spread` (the standard deviation of its labels, null for one), `num_annotations`.
    annotations : LazyFrame
        `example, annotator, label, label_quality_score, residual` = label - consensus label, then the
        log's other columns, sorted by the first three. The score is exp(-residual^2 / (2 s^2)) in [0, 1],
        with s the standard deviation of all labels about the consensus; null where nobody else labelled the
        example.
    posterior : LazyFrame
        `example, label, probability`: the truth is at most `label` with this probability, one of 0.025,
        0.25, 0.5, 0.75 and 0.975, by a normal distribution with the consensus label and its standard
        error; null labels where there is none.
    annotators : DataFrame
        `annotator`; `annotator_quality`, the mean of the annotator's label quality scores;
        `num_examples_labeled`; the method's own columns; then over the labels of examples that others
        labelled too: `mean_residual` (the bias, as observed) and `root_mean_square_residual` (how far the
        labels lie from the consensus), and `num_abstained` if the log has rows without a label. The furthest
        first.
    """

    ON_DEMAND: ClassVar[tuple[str, ...]] = ("posterior",)
    HEADS: ClassVar[Heads] = {
        "examples": ("examples", FEW),
        "annotators": ("annotators, least accurate first", FEW),
    }

    def __init__(self, fit: NumericFit) -> None:
        self._fit = fit
        self._iterations = fit.iterations
        self._keep(fit.rounds.into)

    @cached_property
    def _tables(self) -> Tables:
        plans: dict[str, TablePlan] = {"examples": example_table, "annotations": annotation_table}
        fit = self._fit
        params = fit.method, fit.weighting, fit.known, fit.spread
        return fit.rounds.tables(plans, *params, summary=sum_scores)

    @property
    def posterior(self) -> pl.LazyFrame:
        return quantiles(self.examples, "consensus_label", "label")

    @cached_property
    def annotators(self) -> pl.DataFrame:
        fit, sums = self._fit, self._fit.sums
        if fit.known is None:
            warn_of_components(fit.rounds, f"the residuals of {self.method}")
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
        shown = table.with_columns(pl.col("annotator_quality", *columns).fill_nan(None))
        order = ("root_mean_square_residual", "annotator")
        shown = shown.sort(order, descending=[True, False], nulls_last=True)
        return fit.rounds.with_abstentions(shown)

    @shares(LogOptions, NumberOptions)
    def predict(self, log: Any, *, gold: Any = None, **options: Unpack[LogOptions]) -> NumericTruth:
        """The truth of another log, with the annotators as they were judged here.

        Parameters
        ----------
        log
            Annotations: whatever `scan_annotations` takes, or a store. Unknown annotators are weighed as the
            others are on average, without a bias.

        Returns
        -------
        NumericTruth
            With the weights of this fit; its trace is empty.
        """
        log, gold = log_and_labels(log, gold, "gold")
        rounds = open_numbers(log, NumberOptions(**options))
        known = None if gold is None else KnownValues.of(gold)
        weighting = self._fit.weighting_for(rounds)
        return NumericTruth(fit_without_iterating(rounds, self._fit.method, weighting, known))

    @property
    def method(self) -> str:
        return self._fit.method.name

    def _options_given(self) -> dict[str, Any]:
        return {"constants": self._fit.method, **self._iterations.asked}

    def _header(self) -> str:
        sums, trace = self._fit.sums, self._iterations.trace
        sizes = {"example": int(sums.examples), "annotator": len(sums.labeled)}
        sizes["annotation"] = int(sums.labeled.sum())
        how = went(trace, self.converged) if trace else ""
        return header(self.method, sizes, how, self._fit.rounds.note)


def example_table(
    part: Partition,
    method: NumericMethod,
    weighting: Weighting,
    known: KnownValues | None,
    s: float,
) -> pl.DataFrame:
    """`.examples` of a partition."""

    def columns(numbers: Numbers) -> tuple[Floats, Floats, Floats]:
        found = method.find(numbers, weighting)
        return found.truth, method.standard_error(numbers, found), numbers.standard_deviation()

    of_columns = zip(*of_blocks(part, columns, known), strict=True)
    truth, error, spread = (np.concatenate(column) for column in of_columns)
    return part.values.examples.select(
        "example",
        consensus_label=pl.Series(truth),
        standard_error=pl.Series(error).fill_nan(None),
        annotator_spread=pl.Series(spread).fill_nan(None),
        num_annotations="num_annotations",
    )


def residuals(
    part: Partition, method: NumericMethod, weighting: Weighting, known: KnownValues | None
) -> Iterator[tuple[Numbers, Floats]]:
    """The blocks of a partition, and label - consensus label of each annotation."""

    def left(numbers: Numbers) -> tuple[Numbers, Floats]:
        truth = method.find(numbers, weighting).truth
        return numbers, numbers.value - numbers.at_rows(truth)

    return of_blocks(part, left, known)


def scores_of(numbers: Numbers, residual: Floats, s: float) -> Floats:
    """exp(-residual^2 / (2 s^2)); NaN where nothing tells how good a label is."""
    score = np.exp(-((residual / s) ** 2) / 2) if s > 0 else np.ones_like(residual)
    return np.where(np.repeat(numbers.tells, numbers.count), score, np.nan)


def annotation_table(part: Partition, *params: Any) -> pl.LazyFrame:
    """`.annotations` of a partition."""
    values, (*of_residuals, s) = part.values, params
    found = list(residuals(part, *of_residuals))
    score = pl.Series(np.concatenate([scores_of(*block, s) for block in found]))
    named = values.rows.lazy().select(
        example=pl.lit(values.examples["example"]).gather("example"),
        annotator=pl.lit(values.annotators).gather("annotator"),
        label="value",
        label_quality_score=score.fill_nan(None),
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
