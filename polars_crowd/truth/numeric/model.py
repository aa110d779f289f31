"""Truth inference for numeric labels: what its methods share.

A method weighs the annotators. An iteration is one round: every partition finds the weighted mean of its
examples and adds up, by annotator, what that leaves of the labels; from these sums the method finds better
weights. An example with one label says nothing of its annotator and is left out of the sums, unless its
truth is known (`gold=`). A method is a `NumericMethod`: its formulas, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import (
    Advice,
    AnnotationError,
    OptionError,
    counted,
    rows_shown,
    shown,
    warn,
)
from polars_crowd.inputs.numbers import as_numbers
from polars_crowd.inputs.sources import checked_columns, open_frame
from polars_crowd.inputs.tables import log_and_labels
from polars_crowd.rounds.opening import open_rounds
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Merged, Summary
from polars_crowd.truth.em import FEW, Steps, iterate
from polars_crowd.truth.known import KnownValues, check_matched
from polars_crowd.truth.numeric.block import Found, Numbers, Weighting, find_truth, of_blocks
from polars_crowd.truth.options import Options
from polars_crowd.truth.past import places
from polars_crowd.truth.result import Iterations


@dataclass(frozen=True)
class Sums:
    """What is summed over the labels of examples that tell something, shape (M,), and over these examples."""

    labeled: Floats
    """How many labels each annotator gave in all."""
    annotations: Floats
    """m: how many of them tell something."""
    residual: Floats
    """sum r."""
    square: Floats
    """sum r^2."""
    loss: Floats
    """sum r^2 / s[i]^2, with s[i] the spread of the example's labels."""
    variance: Floats
    """sum 1 / (sum_j w[j]), the variance of z if the weights are precisions."""
    log_precision: float
    """sum_i log sum_j w[j], over examples whose truth is not known."""
    freedom: float
    """sum (n - 1), or n where the truth is known: what squares of residuals are divided by."""
    examples: float
    """How many examples there are in all."""
    known: float
    """How many of them have a known truth."""

    @property
    def pooled_variance(self) -> float:
        """The mean square of residuals; NaN where no label can be compared with anything."""
        return float(self.square.sum()) / self.freedom if self.freedom else float("nan")


NEAR = 1e-6
"""How near weights may be to the largest one, in shares of it."""
OF_ANNOTATORS = ("labeled", "annotations", "residual", "square", "loss", "variance")
OF_LOG = tuple(f.name for f in fields(Sums) if f.name not in OF_ANNOTATORS)


def count_residuals(
    part: Partition, method: NumericMethod, weighting: Weighting, known: KnownValues | None
) -> Summary:
    """A round: the sums of a partition under a weighting."""
    totals: dict[str, Any] = {}

    def count(numbers: Numbers) -> dict[str, Any]:
        return sums_of(numbers, method.find(numbers, weighting))

    for sums in of_blocks(part, count, known):
        for name, value in sums.items():
            totals[name] = totals.get(name, 0.0) + value
    by_annotator = pl.DataFrame({name: totals[name] for name in OF_ANNOTATORS})
    return {
        ("annotator",): by_annotator.with_row_index("annotator").filter(pl.col("labeled") > 0),
        (): pl.DataFrame({name: [float(totals[name])] for name in OF_LOG}),
    }


def sums_of(numbers: Numbers, found: Found) -> dict[str, Any]:
    """A block's part of the sums."""
    tells = numbers.at_rows(numbers.tells.astype(np.float64))
    free = numbers.tells & ~numbers.is_known
    square = tells * found.residual**2
    spread = numbers.spread()
    unit = numbers.at_rows(np.where(spread > 0, spread, 1.0))
    return {
        "labeled": numbers.per_annotator(None),
        "annotations": numbers.per_annotator(tells),
        "residual": numbers.per_annotator(tells * found.residual),
        "square": numbers.per_annotator(square),
        "loss": numbers.per_annotator(square / unit**2),
        "variance": numbers.per_annotator(tells / numbers.at_rows(found.precision)),
        "log_precision": np.log(found.precision[free]).sum(),
        "freedom": numbers.count[numbers.tells].sum() - free.sum(),
        "examples": len(numbers.count),
        "known": numbers.is_known.sum(),
    }


def as_sums(merged: Merged, n_annotators: int) -> Sums:
    """The merged frames as arrays."""
    by_annotator, of_log = merged[("annotator",)], merged[()].row(0, named=True)
    code = by_annotator["annotator"].to_numpy().astype(np.intp)
    arrays: dict[str, Any] = {}
    for name in OF_ANNOTATORS:
        arrays[name] = np.zeros(n_annotators)
        arrays[name][code] = by_annotator[name].to_numpy()
    return Sums(**arrays, **of_log)


class NumericMethod:
    """The formulas of one method."""

    name: ClassVar[str]
    """As in the report's header."""

    def find(self, numbers: Numbers, weighting: Weighting) -> Found:
        """The truth of a block's examples under a weighting."""
        return find_truth(numbers, weighting)

    def standard_error(self, numbers: Numbers, found: Found) -> Floats:
        """Of the truth of each example; NaN where there is none. Shape (n,).

        That of a weighted mean: the weighted variance of the labels over n' - 1, where
        n' = (sum w)^2 / sum w^2 is how many labels of equal weight they are worth.
        """
        weight = numbers.per_example(found.weight)
        labels = weight**2 / numbers.per_example(found.weight**2)
        variance = numbers.per_example(found.weight * found.residual**2) / weight
        freedom = np.where(labels > 1 + 1e-9, labels - 1, np.nan)
        return np.where(numbers.is_known, 0.0, np.sqrt(variance / freedom))

    def start(self, sums: Sums) -> Weighting:
        """The first weighting, from what the plain means leave."""
        return self.maximise(sums, Weighting.equal(len(sums.labeled)))

    def maximise(self, sums: Sums, weighting: Weighting) -> Weighting:
        """A better weighting, from what the truth under the last one leaves."""
        raise NotImplementedError

    def objective(self, sums: Sums, weighting: Weighting) -> float:
        """What no iteration lowers."""
        raise NotImplementedError

    def most_weight(self, sums: Sums) -> float:
        """The largest weight that there can be."""
        return np.inf

    def of_unknown(self, weighting: Weighting) -> tuple[float, float]:
        """The weight and bias of an annotator that the method has not seen."""
        return float(weighting.weight.mean()), 0.0

    def annotator_columns(self, weighting: Weighting, sums: Sums) -> dict[str, Floats]:
        """Columns of `.annotators` in the method's own terms."""
        return {"weight": weighting.weight}

    def moved(self, weighting: Weighting, place: Ints) -> Weighting:
        """The weighting of other annotators: those at `place`, an unknown one at place -1."""
        both = zip((weighting.weight, weighting.bias), self.of_unknown(weighting), strict=True)
        return Weighting(*(np.append(known, unknown)[place] for known, unknown in both))


@dataclass(frozen=True)
class NumericFit:
    """A log and what was estimated on it."""

    rounds: Rounds
    method: NumericMethod
    weighting: Weighting
    known: KnownValues | None
    sums: Sums
    """Under the weighting."""
    iterations: Iterations

    @cached_property
    def square(self) -> Floats:
        """sum (x - z)^2, the bias in it, over the labels of each annotator that tell something."""
        sums, bias = self.sums, self.weighting.bias
        square = sums.square + 2 * bias * sums.residual + sums.annotations * bias**2
        return np.maximum(square, 0)

    @property
    def spread(self) -> float:
        """s: the standard deviation of labels about the truth; NaN where none can be compared."""
        freedom = self.sums.freedom
        return float(np.sqrt(self.square.sum() / freedom)) if freedom else float("nan")

    def weighting_for(self, rounds: Rounds) -> Weighting:
        """The weighting for the annotators of another log."""
        place = places(self.rounds.book.annotators, rounds.book.annotators)
        return self.method.moved(self.weighting, place)


def open_numbers(log: Any, options: Options) -> Rounds:
    """The rounds of a numeric log."""
    return open_rounds(log, **options.of_log, numeric=True)


def sums_under(
    rounds: Rounds, method: NumericMethod, weighting: Weighting, known: KnownValues | None
) -> Sums:
    """One round."""
    return as_sums(rounds.run(count_residuals, method, weighting, known), len(weighting.weight))


def fit_without_iterating(
    rounds: Rounds, method: NumericMethod, weighting: Weighting, known: KnownValues | None = None
) -> NumericFit:
    """What a weighting finds of a log."""
    sums = sums_under(rounds, method, weighting, known)
    check_gold(known, sums, rounds)
    return NumericFit(rounds, method, weighting, known, sums, Iterations((), True))


def check_gold(known: KnownValues | None, sums: Sums, rounds: Rounds) -> None:
    """Gold is of examples of the log."""
    if known is not None:
        ids = lambda: Partition(rounds.handles[0]).values.examples["example"]  # noqa: E731
        check_matched(known.given, int(sums.known), ids)


def fit_numbers(
    log: Any, make: Callable[[Sums, Rounds], NumericMethod], options: Options
) -> NumericFit:
    """Fit a method to a numeric log; `make` gets what the plain means leave."""
    log, gold = log_and_labels(log, options.gold, "gold")
    rounds = open_numbers(log, options)
    known = None if gold is None else KnownValues.of(gold)
    equal = Weighting.equal(len(rounds.book.annotators))
    sums = sums_under(rounds, NumericMethod(), equal, known)
    check_gold(known, sums, rounds)
    method = make(sums, rounds)
    rounds.claim(method.name)
    if not sums.pooled_variance > 0:
        _warn_of_nothing_to_compare(sums)
        return NumericFit(rounds, method, equal, known, sums, Iterations((), True))

    quiet = rounds.quiet()

    def expect(weighting: Weighting) -> tuple[Sums, float]:
        found = sums_under(quiet, method, weighting, known)
        return found, method.objective(found, weighting)

    start = first_weighting(options.init, method, rounds, sums)
    steps = Steps(expect, method.maximise)
    weighting, sums, iterations = iterate(steps, start, **options.looping(method.name))
    _warn_of_annotators(sums, rounds)
    _warn_of_bound(method, weighting, sums, rounds)
    if not iterations.converged:
        warn_of_stopping(len(iterations.trace))
    return NumericFit(rounds, method, weighting, known, sums, iterations)


def first_weighting(init: Any, method: NumericMethod, rounds: Rounds, sums: Sums) -> Weighting:
    """From the plain means, or from an earlier fit."""
    if init is None:
        return method.start(sums)
    fit = getattr(init, "_fit", None)
    if not isinstance(fit, NumericFit) or type(fit.method) is not type(method):
        raise OptionError("init", init, f"it must be an earlier fit of {method.name}.")
    return fit.weighting_for(rounds)


def past_rows(
    prior: Any, columns: Sequence[str], annotators: pl.Series
) -> tuple[Ints, dict[str, Floats]]:
    """What is known of annotators from before: where they are among the log's, and the columns' values.

    From a frame with `annotator` and the columns, or from an earlier fit, whose `.annotators` has them.
    """
    frame = open_frame(getattr(prior, "annotators", prior), "prior")
    advice = f"Give annotator, {', '.join(columns)}, or an earlier fit of the same method."
    checked_columns(frame, "prior", ("annotator", *columns), advice)
    numbers = as_numbers(frame.select("annotator", *columns), columns, "prior")
    past = numbers.drop_nulls().collect()
    check_finite(past, columns)
    place = places(annotators, past["annotator"])
    known = place >= 0
    return place[known], {c: past[c].to_numpy().astype(np.float64)[known] for c in columns}


def check_finite(past: pl.DataFrame, columns: Sequence[str]) -> None:
    """What is known from before is finite numbers."""
    wrong = past.filter(~pl.all_horizontal(pl.col(*columns).cast(pl.Float64).is_finite()))
    if wrong.height:
        raise AnnotationError(
            f"has {counted(wrong.height, 'row')} with a number that is not finite:\n"
            f"{rows_shown(wrong, 'annotator', *columns)}",
            "Leave these rows out.",
            source="prior",
        )


@dataclass(frozen=True)
class Past:
    """Losses of annotators from before, shape (M,)."""

    annotations: Floats
    loss: Floats

    @classmethod
    def of(
        cls, prior: Any, mean: Callable[[Floats], Floats], column: str, annotators: pl.Series
    ) -> Past:
        """From their mean losses, which `mean` makes of a column; zero for who has none."""
        found = cls(np.zeros(len(annotators)), np.zeros(len(annotators)))
        if prior is not None:
            place, past = past_rows(prior, (column, "num_examples_labeled"), annotators)
            np.add.at(found.annotations, place, past["num_examples_labeled"])
            np.add.at(found.loss, place, past["num_examples_labeled"] * mean(past[column]))
        return found


def _warn_of_nothing_to_compare(sums: Sums) -> None:
    if not sums.freedom:
        warn(
            f"each of the {counted(int(sums.examples), 'example')} has one annotation only, so annotators "
            "cannot be compared; each label is its own consensus. Collect second annotations for some."
        )
    else:
        warn(
            f"no label of {counted(int(sums.examples), 'example')} differs from the others of its example: "
            "nothing tells annotators apart, and all weigh the same."
        )


def _warn_of_bound(method: NumericMethod, weighting: Weighting, sums: Sums, rounds: Rounds) -> None:
    most = method.most_weight(sums)
    at_most = np.flatnonzero((weighting.weight >= most * (1 - NEAR)) & (sums.annotations > 0))
    if len(at_most):
        names = rounds.book.annotators.gather(at_most).to_list()
        n_labels, median = int(sums.labeled[at_most].sum()), float(np.median(weighting.weight))
        warn(
            f"{counted(len(at_most), 'annotator')} at the largest weight that there can be, {most:.3g} (the "
            f"median is {median:.3g}): {shown(names)}. The consensus follows their "
            f"{counted(n_labels, 'label')} and hardly any other on these examples, which is what made the "
            "weight so large.",
            Advice(
                "Take a method that draws weights to those of all",
                python="pc.gaussian_truth(log, smoothing=1.0)",
                command="--method gaussian",
            ),
        )


def _warn_of_annotators(sums: Sums, rounds: Rounds) -> None:
    few = np.flatnonzero(sums.annotations < FEW)
    if len(few):
        names = rounds.book.annotators.gather(few).to_list()
        warn(
            f"{counted(len(few), 'annotator')} with fewer than {FEW} annotations of examples that others "
            f"annotated too: {shown(names)}. Their parameters say little."
        )


def warn_of_stopping(n_iter: int) -> None:
    warn(
        f"not converged after {counted(n_iter, 'iteration')}.",
        Advice(
            "Allow more iterations, or stop sooner",
            python="max_iter=, tol=",
            command="--max-iter, --tol",
        ),
    )
