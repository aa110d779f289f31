"""What comparing methods returns, and how a method is run for it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import polars as pl

from polars_crowd.arrays import Ints
from polars_crowd.errors import AnnotationWarning, counted
from polars_crowd.reports import Report
from polars_crowd.rounds.results import FEW, MANY, Fit

Method = Callable[..., Any]
Methods = Sequence[str] | Mapping[str, str | Method]


@dataclass(frozen=True)
class Ran:
    """A fit, and how it went."""

    fit: Any
    examples: pl.DataFrame
    """Its table."""
    seconds: float
    warnings: list[str]

    @property
    def columns(self) -> dict[str, Any]:
        """What the table of methods says of it."""
        return {
            "seconds": self.seconds,
            "n_iter": self.fit.n_iter,
            "converged": self.fit.converged,
            "warnings": self.warnings,
        }


def ran(method: Method, log: pl.DataFrame, **options: Any) -> Ran:
    """Run a method; its warnings are kept."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AnnotationWarning)
        began = time.perf_counter()
        fit = method(log, **options)
        examples = fit.examples.collect()
        seconds = time.perf_counter() - began
    said = [str(w.message) for w in caught if issubclass(w.category, AnnotationWarning)]
    return Ran(fit, examples, seconds, said)


def dealt(n: int, folds: int, seed: int) -> Ints:
    """The fold of each of n annotations."""
    return np.random.default_rng(seed).permutation(n) % folds


def chosen_methods(
    methods: Methods | None, default: Sequence[str], named: Callable[[str], Method]
) -> dict[str, Method]:
    """The methods by the names that they are to have."""
    if methods is None:
        methods = default
    if isinstance(methods, str):
        methods = [methods]
    given = methods if isinstance(methods, Mapping) else {name: name for name in methods}
    if not given or len(given) < len(methods):
        raise ValueError(f"methods={list(methods)!r}; give one method, or several different ones.")
    for taken in ("example", "num_labels", "range"):
        if taken in given:
            raise ValueError(f"a method may not be called {taken!r}.")
    return {name: named(m) if isinstance(m, str) else m for name, m in given.items()}


class MethodComparison(Fit):
    """What `compare` found out.

    Attributes
    ----------
    methods : DataFrame
        One row per method, the best at predicting annotations first (with no folds: in the order asked for):
        `method`; `accuracy` (ties count as shares), `log_loss`, `brier_score`, `calibration_error` against
        the known labels, null without any; `held_out_log_loss`, `held_out_calibration_error` on
        annotations that were left out, null without folds; `agreement_with_others` (the mean share of
        the other methods with the same consensus label), `seconds`, `n_iter`, `converged`, and `warnings`
        (a list of what the method had to say).
    labels : DataFrame
        `example`, and a column of consensus labels per method.
    disagreements : DataFrame
        The rows of `labels` in which methods differ, with `num_labels`, how many different labels they have;
        those with the most first.
    """

    HEADS: ClassVar = {"methods": ("methods", MANY), "disagreements": ("disagreements", FEW)}

    def __init__(self, methods: pl.DataFrame, labels: pl.DataFrame) -> None:
        self.methods = methods
        self.labels = labels

    @cached_property
    def disagreements(self) -> pl.DataFrame:
        names = [name for name in self.labels.columns if name != "example"]
        different = pl.concat_list(names).list.n_unique().cast(pl.Int64)
        rows = self.labels.with_columns(num_labels=different).filter(pl.col("num_labels") > 1)
        return rows.sort("num_labels", "example", descending=[True, False])

    @property
    def method(self) -> str:
        return "compare"

    def _header(self) -> str:
        n, m = self.labels.height, self.methods.height
        return (
            f"{counted(m, 'method')} on {counted(n, 'example')}; "
            f"{counted(self.disagreements.height, 'example')} on which they disagree"
        )

    def _report(self) -> Report:
        report = super()._report()
        methods = report.heads["methods"].drop("warnings")
        return Report(report.header, {**report.heads, "methods": methods})
