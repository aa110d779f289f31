"""What `agreement` and its relatives are asked for, and how they open a log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypedDict

import numpy as np
import polars as pl

from polars_crowd.errors import Advice, OptionError, check_choice, shown
from polars_crowd.inputs.checks import Duplicates, without_duplicates
from polars_crowd.inputs.log import LOG_COLUMNS, scan_annotations
from polars_crowd.inputs.numbers import labels_as_numbers
from polars_crowd.limits import Limit
from polars_crowd.reliability.grouping import Grouping, parse_grouping
from polars_crowd.reliability.kinds import Coefficient, Icc
from polars_crowd.reliability.ranked import Ranked
from polars_crowd.reliability.scales import has_order, written_numbers
from polars_crowd.reliability.weights import Level
from polars_crowd.rounds.opening import open_rounds
from polars_crowd.rounds.partitions import Partition, Partitioned
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.codes import Codebook

DRAW = Advice("Draw too, or leave it out", "interval='bootstrap'", "--interval bootstrap")
DECLARE = Advice("Declare it, from lowest to highest", "classes=[...]", "--classes A,B,C")

Interval = Literal["analytic", "bootstrap", "wilson", "clopper_pearson"]
OF_SHARES = ("wilson", "clopper_pearson")
"""Intervals of a share of examples."""
Tested = Literal["estimate", "null"]


PERCENT = "percent_agreement"


class WeightsOption(TypedDict, total=False):
    weights: Any


class LevelOption(TypedDict, total=False):
    level: Level


class ClassesOption(TypedDict, total=False):
    classes: Sequence[Any] | None


class TestedOption(TypedDict, total=False):
    tested_by: Tested


class ByOption(TypedDict, total=False):
    by: Any


class Intervals(TypedDict, total=False):
    confidence: float
    interval: Interval
    n_boot: int
    seed: int


class Reading(TypedDict, total=False):
    duplicates: Duplicates
    executor: Any
    progress: bool


class MemoryOption(TypedDict, total=False):
    memory_limit: Limit


class Options(ClassesOption, ByOption, Intervals, Reading, MemoryOption, total=False):
    """The options that all coefficients have."""


class Weighted(WeightsOption, Options, total=False):
    """... with weights."""


class WeightedTested(TestedOption, Weighted, total=False):
    """... and a choice of the standard error that the p-value goes by."""


class Levelled(LevelOption, Options, total=False):
    """... with a level of measurement."""


class Everything(TestedOption, WeightsOption, LevelOption, Options, total=False):
    """... of several coefficients."""


@dataclass(frozen=True)
class Request:
    """What agreement is asked for.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, or an `AnnotationStore`.
    weights
        How much two labels agree: `"identity"`, `"linear"`, `"quadratic"`, `"ordinal"`, `"radical"`,
        `"ratio"`, `"circular"`, `"bipolar"`, or a symmetric (K, K) matrix in class order, at most 1, with 1
        on its diagonal.
    level
        The level of measurement that alpha's distance goes by: `"nominal"`, `"ordinal"`, `"interval"`,
        `"ratio"`; or 1 less the weights `"linear"`, `"radical"`, `"circular"`, `"bipolar"`.
    classes
        The classes in order, also those that nobody used: they count in Brennan-Prediger, AC1, AC2 and
        in the weights. By default the Enum's if the label is one, else the labels there are, sorted. A
        store has its own.
    by
        Groups: names of other columns of the log, a frame with a column `example` or `annotator` and
        the group columns, or a list of these. All groups are computed in the same pass.
    confidence
        Of the intervals, between 0 and 1.
    interval
        `"analytic"`: Student's t with a linearised standard error (Gwet 2014; Fleiss, Cohen and Everitt
        1969 for Cohen's kappa); where many examples have one annotation only, it is on the wide side.
        `"bootstrap"`: BCa over examples drawn anew (Efron 1987). For percent agreement without weights
        also `"wilson"` (1927) or `"clopper_pearson"` (1934), with no p-value: that of a share of n
        examples, those with two annotations or more, which takes them for independent draws that agree
        or not. With two annotations each that is so (Clopper-Pearson is exact, and on the wide side);
        with more an example may agree in part, varies less than it would so, and both are on the wide side.
    tested_by
        The standard error that p-values go by: the `"estimate"` of the interval, or that under the
        `"null"` hypothesis of no agreement beyond chance, with a normal distribution. For Cohen's (Fleiss,
        Cohen and Everitt 1969) and Fleiss' kappa (Fleiss, Nee and Landis 1979; without weights, where all
        examples have equally many annotations, which are independent).
    n_boot
        The number of bootstrap replicates.
    seed
        Where the random numbers of the bootstrap start.
    duplicates
        What to do where an annotator labelled an example more than once: `"error"`, or keep the
        `"first"` or `"last"` row (in the order of the log: see `order_by` of `scan_annotations`), count
        `"all"`, or take the `"mean"` where labels are numbers. A store has its own.
    executor
        For a store: an executor that works on its partitions.
    progress
        Whether to show progress.
    memory_limit
        How much memory tables may take, such as `"4GB"`, or bytes. By default half of what is free. What
        takes more is refused before it is made.

    Returns
    -------
    DataFrame
        One row per group and coefficient: the columns of `by`; `coefficient`; `value`; `ci_low`, `ci_high`,
        `standard_error`, `p_value` (two-sided, of no agreement beyond chance); `observed_agreement` and
        `expected_agreement` that the value is made of, p_a and p_e, where it is; `weights` and `level` that
        the value goes by; `reason` why a value or its interval is null; `warning` where Fleiss' kappa and
        AC1 part by more than 0.2 (one class prevails), where labels are equal or not in this row and near or
        far in others, or an interval could not be drawn; `num_examples`, `num_annotators`,
        `num_annotations`, `num_pairable` (annotations of examples that have two or more).

    Raises
    ------
    AnnotationError
        The log cannot be used: no annotations, null ids, duplicates, labels outside of `classes`, or
        one annotator only. All of the coefficients ask who voted, and the annotators are anonymous (if only
        some do, these are null, with the reason). No id of a frame in `by` is in the log, or a group column
        is called like one of the result's.
    OptionError
        An option has an unknown value or no effect on this call, or weights or a level go by an order that
        the classes have not.
    MemoryLimitError
        The tables would not fit into memory. It says how large they are, and what makes them smaller.
    """

    coefficients: tuple[Coefficient, ...]
    weights: Any = "identity"
    level: Level = "nominal"
    classes: Sequence[Any] | None = None
    by: Any = None
    confidence: float = 0.95
    interval: Interval = "analytic"
    tested_by: Tested = "estimate"
    n_boot: int = 2000
    seed: int = 0
    duplicates: Duplicates = "error"
    executor: Any = None
    progress: bool = False
    memory_limit: Limit = None

    def __post_init__(self) -> None:
        check_choice("level", self.level, Level)
        check_choice("interval", self.interval, Interval)
        check_choice("tested_by", self.tested_by, Tested)
        _check_effect(self)

    @property
    def has_weights(self) -> bool:
        """Whether labels are to be weighed otherwise than as equal or not."""
        return not isinstance(self.weights, str) or self.weights != "identity"

    @property
    def asks_for_numbers(self) -> bool:
        """Whether labels are numbers to this request, not ranks of classes."""
        by_level = self.level not in ("nominal", "ordinal") and self.classes is None
        kinds = (Icc, Ranked) if self.classes is None else (Icc,)
        return by_level or all(isinstance(c, kinds) for c in self.coefficients)

    @property
    def takes_anonymous(self) -> bool:
        """Whether something is asked for that does not take to know who voted."""
        return not all(c.asks_who_voted for c in self.coefficients)

    def with_numbers(self, log: Any) -> Any:
        """The rows of a log that is no store, with labels that write numbers as numbers where such are asked
        for."""
        if isinstance(log, Partitioned):
            return log
        rows = scan_annotations(log)
        return labels_as_numbers(rows) if self.asks_for_numbers else rows

    def open(self, log: Any, taken: Iterable[str] = (), **more: Any) -> tuple[Rounds, Grouping]:
        """The rounds of a log, and its groups, whose names the result has not `taken`."""
        log = self.with_numbers(log)
        check_order(log, self)
        if self.duplicates == "mean" and self.asks_for_numbers and not isinstance(log, Partitioned):
            log = without_duplicates(log, "mean", numeric=True)
            return replace(self, duplicates="all").open(log, taken, **more)
        more = {"anonymous": self.takes_anonymous, **more}
        options = {name: getattr(self, name) for name in ("classes", "duplicates")}
        options |= {"executor": self.executor, "progress": self.progress}
        options |= {"memory_limit": self.memory_limit, **more}
        if isinstance(log, Partitioned):
            if log.classes is None:
                return _open_numbers(log, self.by, taken, options)
            opened = open_rounds(log, **options), grouped(log.scan_annotations(), self.by, taken)
            return _as_numbers(*opened) if self.asks_for_numbers else opened
        rows = scan_annotations(log)
        grouping = grouped(rows, self.by, taken)
        options["are_numbers"] = self.asks_for_numbers
        return open_rounds(rows.select(*LOG_COLUMNS, *grouping.columns), **options), grouping


def _open_numbers(
    log: Partitioned, by: Any, taken: Iterable[str], options: Any
) -> tuple[Rounds, Grouping]:
    """... of a store of numbers, whose classes are the numbers there are: one round more to find them."""
    rounds = open_rounds(log, numeric=True, **options)
    grouping = parse_grouping(by, [], taken)
    grouping.check_ids(log.scan_annotations())
    numbers = rounds.run(count_numbers)[("value",)]["value"].alias("label")
    book = Codebook(numbers, (), rounds.book.annotators)
    return replace(rounds, book=book), replace(grouping, numbers=numbers.to_numpy())


def _as_numbers(rounds: Rounds, grouping: Grouping) -> tuple[Rounds, Grouping]:
    """... of a store of classes, with the numbers that they write as classes, if all write one."""
    written = None if grouping.columns else written_numbers(rounds.book.classes)
    if written is None:
        return rounds, grouping
    numbers = np.unique(written)
    book = replace(rounds.book, classes=pl.Series("label", numbers))
    return replace(rounds, book=book), replace(grouping, numbers=numbers, written=written)


def count_numbers(part: Partition) -> Summary:
    """The annotations by value."""
    return {("value",): part.values.rows.lazy().group_by("value").agg(annotations=pl.len())}


def grouped(rows: pl.LazyFrame, by: Any, taken: Iterable[str]) -> Grouping:
    """What the rows of a log are grouped by."""
    columns = [c for c in rows.collect_schema() if c not in LOG_COLUMNS]
    grouping = parse_grouping(by, columns, taken)
    grouping.check_ids(rows)
    return grouping


# --- what cannot be asked for ----------------------------------------------------------------------


def _check_effect(request: Request) -> None:
    """An option that changes nothing is a misunderstanding."""
    scales = {c.scale for c in request.coefficients}
    given = {"weights": request.has_weights, "level": request.level != "nominal"}
    for option, is_given in given.items():
        if is_given and option not in scales:
            advice = (c.advice[option] for c in request.coefficients)
            raise OptionError(option, getattr(request, option), "it has no effect here.", *advice)
    defaults = {field.name: field.default for field in fields(Request)}
    for option in ("n_boot", "seed"):
        value = getattr(request, option)
        if request.interval != "bootstrap" and value != defaults[option]:
            wrong = f"it has no effect on {request.interval} intervals, which draw nothing."
            raise OptionError(option, value, wrong, DRAW)
    _check_interval(request)
    _check_tested(request)


def _check_interval(request: Request) -> None:
    """Intervals of a share are of percent agreement, where examples agree or not."""
    if request.interval not in OF_SHARES:
        return
    others = [c.name for c in request.coefficients if c.name != PERCENT]
    if others:
        wrong = f"it is of a share of examples, {PERCENT} alone, and not of {shown(others)}."
        raise OptionError("interval", request.interval, wrong)
    if request.has_weights:
        wrong = "it is of examples that agree or not, and weights let them agree in part."
        raise OptionError("interval", request.interval, wrong)


def _check_tested(request: Request) -> None:
    """The standard error under the null hypothesis is known of some coefficients."""
    if request.tested_by == "estimate":
        return
    others = [c.name for c in request.coefficients if not c.has_null_error]
    if others:
        wrong = f"no standard error under the null hypothesis is known here of {shown(others)}."
        advice = Advice("Ask for cohen_kappa or fleiss_kappa alone")
        raise OptionError("tested_by", request.tested_by, wrong, advice)
    if request.has_weights and any(c.name == "fleiss_kappa" for c in request.coefficients):
        wrong = "that of fleiss_kappa is known without weights only."
        raise OptionError("tested_by", request.tested_by, wrong)


def check_order(log: Any, request: Request) -> None:
    """Weights and levels that go by the order of the classes need one that was meant."""
    is_declared = request.classes is not None or isinstance(log, Partitioned)
    if is_declared or not (request.has_weights or request.level != "nominal"):
        return
    dtype = scan_annotations(log).collect_schema()["label"]
    if has_order(dtype):
        return
    option = "weights" if request.has_weights else "level"
    raise OptionError(
        option,
        getattr(request, option),
        f"it goes by the order of the classes, and labels of type {dtype} have none but the alphabet's.",
        DECLARE,
    )
