"""What truth inference for numeric labels returns."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from polars_crowd.inputs.checks import Duplicates
from polars_crowd.reports import header, went
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.results import FEW, Fit
from polars_crowd.rounds.rounds import TablePlan, Tables
from polars_crowd.truth.known import KnownValues
from polars_crowd.truth.numeric.block import Weighting, blocks
from polars_crowd.truth.numeric.model import NumericFit, NumericMethod, open_numbers, sums_under
from polars_crowd.truth.options import Options
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
        `example, annotator, label, residual` = label - consensus label. One row per annotation, sorted by
        the first two.
    annotators : DataFrame
        `annotator`, the method's own columns, then over the annotator's labels of examples that others
        labelled too: `mean_residual` (the annotator's bias, as observed), `root_mean_square_residual` (how
        far the labels lie from the consensus), and `num_examples_labeled`. The least accurate first.
    trace : Series
        The objective of each iteration; no iteration lowers it. Empty where nothing is iterated.
    converged : bool
    n_iter : int
    """

    HEADS: ClassVar = {
        "examples": ("examples", FEW),
        "annotators": ("annotators, least accurate first", FEW),
    }

    def __init__(self, fit: NumericFit) -> None:
        self._fit = fit
        if fit.rounds.into is not None:
            fit.rounds.save("annotators", self.annotators)
            _ = self._tables

    @cached_property
    def _tables(self) -> Tables:
        plans: dict[str, TablePlan] = {"examples": example_table, "annotations": annotation_table}
        fit = self._fit
        return fit.rounds.tables(plans, fit.method, fit.weighting, fit.known)

    @property
    def examples(self) -> pl.LazyFrame:
        return self._tables["examples"]

    @property
    def annotations(self) -> pl.LazyFrame:
        return self._tables["annotations"]

    @cached_property
    def annotators(self) -> pl.DataFrame:
        fit, sums, bias = self._fit, self._fit.sums, self._fit.weighting.bias
        m = np.where(sums.annotations > 0, sums.annotations, np.nan)
        square = sums.square + 2 * bias * sums.residual + sums.annotations * bias**2
        columns = {
            **fit.method.annotator_columns(fit.weighting, sums),
            "mean_residual": sums.residual / m + bias,
            "root_mean_square_residual": np.sqrt(np.maximum(square, 0) / m),
        }
        table = pl.DataFrame(
            {
                "annotator": fit.rounds.book.annotators,
                **columns,
                "num_examples_labeled": pl.Series(sums.labeled, dtype=pl.Int64),
            }
        )
        return table.with_columns(pl.col(list(columns)).fill_nan(None)).sort(
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

    def predict(
        self,
        log: Any,
        *,
        gold: Any = None,
        duplicates: Duplicates = "error",
        into: str | Path | None = None,
        executor: Any = None,
        progress: bool = False,
    ) -> NumericTruth:
        """The truth of another log, with the annotators as they were judged here.

        Parameters
        ----------
        log
            Annotations: whatever `scan_annotations` takes, or a store. An annotator whom the fit does not
            know is weighed as the others are on average, without a bias.
        gold, duplicates, into, executor, progress
            As for the method.

        Returns
        -------
        NumericTruth
            With the weights of this fit; its trace is empty.
        """
        rounds = open_numbers(
            log,
            Options(duplicates=duplicates, into=into, executor=executor, progress=progress),
        )
        known = None if gold is None else KnownValues.of(gold)
        fit, weighting = self._fit, self._fit.weighting_for(rounds)
        sums = sums_under(rounds, fit.method, weighting, known)
        return NumericTruth(
            NumericFit(rounds, fit.method, weighting, known, sums, Iterations((), True))
        )

    @property
    def method(self) -> str:
        return self._fit.method.name

    def _header(self) -> str:
        sums, trace = self._fit.sums, self._fit.iterations.trace
        sizes = {"example": int(sums.examples), "annotator": len(sums.labeled)}
        sizes["annotation"] = int(sums.labeled.sum())
        return header(self.method, sizes, went(trace, self.converged) if trace else "")


def example_table(
    part: Partition, method: NumericMethod, weighting: Weighting, known: KnownValues | None
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


def annotation_table(
    part: Partition, method: NumericMethod, weighting: Weighting, known: KnownValues | None
) -> pl.DataFrame:
    """`.annotations` of a partition."""
    values = part.values
    residual = [
        numbers.value - numbers.at_rows(method.find(numbers, weighting).truth)
        for numbers in blocks(part, known)
    ]
    return values.rows.select(
        example=pl.lit(values.examples["example"]).gather("example"),
        annotator=pl.lit(values.annotators).gather("annotator"),
        label="value",
        residual=pl.Series(np.concatenate(residual)),
    )
