"""What comparing methods returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar

import polars as pl

from polars_crowd.errors import counted
from polars_crowd.reports import FEW, MANY, Heads, Report
from polars_crowd.rounds.results import Fit


class MethodComparison(Fit):
    """What `compare` found out.

    Attributes
    ----------
    methods : DataFrame
        One row per method: with known labels the one that is best on them first, else the best at predicting
        annotations that were left out (with no folds: in the order asked for). `method`; scores against
        known labels and on annotations that were left out, null without any; how near other methods are;
        `seconds`, `n_iter`, `converged`, and `warnings` (a list).

        For classes: `accuracy` (ties count as shares), `num_compared`, the examples whose truth is known,
        `ci_low, ci_high`, the accuracy's interval of 95 % (Wilson's), `log_loss`, `brier_score`,
        `calibration_error`; `held_out_log_loss`, `held_out_calibration_error`; `agreement_with_others`, the
        mean share of the other methods with the same consensus label. For numbers: `mean_absolute_error`,
        `num_compared`, `root_mean_square_error`, `coverage` (the share of truths within 1.96 standard
        errors); `held_out_log_loss`, `held_out_error` (root mean square); `difference_from_others`, the
        mean absolute one.

        `difference_from_best`: the accuracy less that of the best method on the same examples (for numbers
        the mean absolute errors), with `difference_low, difference_high`, its interval of 95 %, and
        `p_value` (`truth.evaluation.scoring` has the formulas); null for the best method.
    labels : DataFrame
        `example`, and a column of consensus labels per method.
    disagreements : DataFrame
        The rows of `labels` in which methods differ, with `num_labels`, how many different labels they have,
        for numbers with `range`, the largest less the smallest; those furthest apart first.
    """

    TABLES: ClassVar[tuple[str, ...]] = ("methods", "labels", "disagreements")
    HEADS: ClassVar[Heads] = {"methods": ("methods", MANY), "disagreements": ("disagreements", FEW)}

    def __init__(
        self,
        methods: pl.DataFrame,
        labels: pl.DataFrame,
        apart: pl.Expr,
        said: Mapping[str, Sequence[Warning]],
    ) -> None:
        self.methods = methods
        self.labels = labels
        self._apart = apart
        self._said = said

    @cached_property
    def disagreements(self) -> pl.DataFrame:
        rows = self.labels.with_columns(self._apart)
        name = rows.columns[-1]
        return rows.filter(pl.col(name) > 0).sort(name, "example", descending=[True, False])

    @property
    def method(self) -> str:
        return "compare"

    def _header(self) -> str:
        n, m = self.labels.height, self.methods.height
        return (
            f"{counted(m, 'method')} on {counted(n, 'example')}; "
            f"{counted(self.disagreements.height, 'example')} on which they disagree{self._ranked_by}"
        )

    @property
    def _ranked_by(self) -> str:
        """What decides the order of the methods."""
        known, held_out = self.methods["num_compared"][0], self.methods["held_out_log_loss"]
        if known is not None:
            return f"; the best on {counted(known, 'known label')} first"
        if held_out.null_count() == len(held_out):
            return ""
        return "; the best at predicting annotations left out first (no measure of the truth)"

    def _report(self) -> Report:
        report = super()._report()
        methods = report.heads["methods"].drop("warnings")
        return Report(report.header, {**report.heads, "methods": methods})
