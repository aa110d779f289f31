"""Methods for numeric labels compared: errors against known truths, and held-out labels.

What a method finds of the labels that it has seen predicts another label x of annotator j on example i as
normal, with mean z[i] + b[j] and variance v[j]. The bias b and the variance v are counted from what the
method's truth z leaves of the labels seen, shrunk to those of all annotators together: the same for every
method, so that it is their truths that are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import shown
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.runs.numbers import Values, sort_values
from polars_crowd.truth.evaluation.result import (
    Method,
    MethodComparison,
    Methods,
    chosen_methods,
    dealt,
    ran,
)
from polars_crowd.truth.evaluation.scoring import SHRINKAGE
from polars_crowd.truth.known import KnownValues
from polars_crowd.truth.numeric.averages import mean_truth, median_truth
from polars_crowd.truth.numeric.catd import catd
from polars_crowd.truth.numeric.crh import crh
from polars_crowd.truth.numeric.gaussian import gaussian_truth

NUMERIC: dict[str, Method] = {
    "mean": mean_truth,
    "median": median_truth,
    "crh": crh,
    "catd": catd,
    "gaussian": gaussian_truth,
}
"""The methods for numbers by name."""
REACH = 1.96
"""Standard errors on each side of an interval of 95 %."""


def method_named(name: str) -> Method:
    """The method of a name."""
    if name not in NUMERIC:
        raise ValueError(
            f"method {name!r}; for numbers it must be one of {shown(list(NUMERIC), 20)}."
        )
    return NUMERIC[name]


class NumberComparison(MethodComparison):
    """What `compare` found out about methods for numbers.

    Attributes
    ----------
    methods : DataFrame
        `method`; `mean_absolute_error`, `root_mean_square_error` and `coverage` (the share of truths within
        1.96 standard errors) against the known truths, null without any; `held_out_log_loss` and
        `held_out_error` (root mean square) on labels that were left out, null without folds;
        `difference_from_others` (the mean absolute one), `seconds`, `n_iter`, `converged`, `warnings`.
    labels : DataFrame
        `example`, and a column of consensus labels per method.
    disagreements : DataFrame
        The rows of `labels` in which methods differ, with `range` (the largest less the smallest); the
        widest first.
    """

    @cached_property
    def disagreements(self) -> pl.DataFrame:
        names = [name for name in self.labels.columns if name != "example"]
        width = pl.max_horizontal(names) - pl.min_horizontal(names)
        rows = self.labels.with_columns(range=width).filter(pl.col("range") > 0)
        return rows.sort("range", "example", descending=[True, False])


@dataclass(frozen=True)
class Rows:
    """Labels with positions of their examples and codes of their annotators."""

    example: Ints
    annotator: Ints
    value: Floats

    def only(self, chosen: Any) -> Rows:
        return Rows(self.example[chosen], self.annotator[chosen], self.value[chosen])


def compare_numbers(
    log: pl.LazyFrame,
    methods: Methods | None,
    truth: Any,
    folds: int,
    duplicates: Duplicates,
    seed: int,
) -> NumberComparison:
    """What `compare` does with labels that are numbers."""
    chosen = chosen_methods(methods, list(NUMERIC), method_named)
    values = sort_values(log, duplicates=duplicates)
    coded = (values.rows[c].to_numpy() for c in ("example", "annotator", "value"))
    example, annotator, value = coded
    rows = Rows(example.astype(np.intp), annotator.astype(np.intp), value)
    known = known_truth(truth, values)
    done = {
        name: ran(method, log_of(values, rows), duplicates="all") for name, method in chosen.items()
    }
    labels = pl.DataFrame(
        [
            values.examples["example"],
            *(r.examples["consensus_label"].alias(name) for name, r in done.items()),
        ]
    )
    fold = dealt(len(rows.value), folds, seed) if folds else None
    table = [
        {
            "method": name,
            **known_scores(r.examples, known),
            **held_out_scores(chosen[name], values, rows, fold),
            "difference_from_others": _difference(name, labels),
            **r.columns,
        }
        for name, r in done.items()
    ]
    overrides = {**dict.fromkeys(_SCORES, pl.Float64()), "warnings": pl.List(pl.String)}
    found = pl.DataFrame(table, schema_overrides=overrides)
    return NumberComparison(found.sort("held_out_log_loss", maintain_order=True), labels)


_OF_TRUTH = ("mean_absolute_error", "root_mean_square_error", "coverage")
_HELD_OUT = ("held_out_log_loss", "held_out_error")
_SCORES = (*_OF_TRUTH, *_HELD_OUT, "difference_from_others")


def log_of(values: Values, rows: Rows) -> pl.DataFrame:
    """These labels as a log."""
    return pl.DataFrame(
        {
            "example": values.examples["example"].gather(rows.example),
            "annotator": values.annotators.gather(rows.annotator),
            "label": rows.value,
        }
    )


def known_truth(truth: Any, values: Values) -> Floats | None:
    """The known truth of each example, NaN where there is none."""
    if truth is None:
        return None
    return KnownValues.of(truth, "truth").of_examples(values.examples["example"])


def known_scores(examples: pl.DataFrame, known: Floats | None) -> dict[str, float | None]:
    """Against the known truths; null without any."""
    if known is None:
        return dict.fromkeys(_OF_TRUTH)
    judged = ~np.isnan(known)
    error = np.abs(examples["consensus_label"].to_numpy() - known)[judged]
    reach = REACH * examples["standard_error"].fill_null(float("nan")).to_numpy()[judged]
    inside = (error <= reach)[~np.isnan(reach)]
    scores = (
        float(error.mean()),
        float(np.sqrt((error**2).mean())),
        float(inside.mean()) if len(inside) else None,
    )
    return dict(zip(_OF_TRUTH, scores, strict=True))


def held_out_scores(
    method: Method, values: Values, rows: Rows, fold: Ints | None
) -> dict[str, float | None]:
    """At predicting the labels of each fold from the others; null without folds."""
    if fold is None:
        return dict.fromkeys(_HELD_OUT)
    losses, errors = [], []
    for left_out in np.unique(fold):
        seen, asked = rows.only(fold != left_out), rows.only(fold == left_out)
        mean, variance = predicted(method, values, seen, asked)
        error = asked.value - mean
        errors.append(error)
        losses.append((np.log(2 * np.pi * variance) + error**2 / variance) / 2)
    error = np.concatenate(errors)
    scores = float(np.concatenate(losses).mean()), float(np.sqrt((error**2).mean()))
    return dict(zip(_HELD_OUT, scores, strict=True))


def predicted(method: Method, values: Values, seen: Rows, asked: Rows) -> tuple[Floats, Floats]:
    """The mean and the variance of labels that were held out."""
    found = (
        ran(method, log_of(values, seen), duplicates="all").examples["consensus_label"].to_numpy()
    )
    there = np.unique(seen.example)
    truth = np.full(values.examples.height, found.mean())
    truth[there] = found
    left = seen.value - truth[seen.example]
    M = len(values.annotators)
    weight = np.bincount(seen.annotator, minlength=M) + SHRINKAGE
    bias = np.bincount(seen.annotator, left, M) / weight
    pooled = max(float((left**2).mean()), np.finfo(np.float64).tiny)
    square = np.bincount(seen.annotator, (left - bias[seen.annotator]) ** 2, M)
    variance = (square + SHRINKAGE * pooled) / weight
    return truth[asked.example] + bias[asked.annotator], variance[asked.annotator]


def _difference(name: str, labels: pl.DataFrame) -> float | None:
    """The mean absolute difference from the other methods."""
    others: Sequence[str] = [c for c in labels.columns if c not in ("example", name)]
    if not others:
        return None
    return float(np.mean([np.abs((labels[name] - labels[c]).to_numpy()).mean() for c in others]))
