"""What is asked of annotators, and how their log is opened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypedDict

import polars as pl

from polars_crowd.annotators.against import Against, against_of, classes_of_fit
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.inputs.log import LOG_COLUMNS, scan_annotations
from polars_crowd.inputs.tables import log_and_labels
from polars_crowd.limits import Limit
from polars_crowd.reliability.grouping import Grouping
from polars_crowd.reliability.request import grouped
from polars_crowd.rounds.opening import open_rounds
from polars_crowd.rounds.partitions import Partitioned
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Merged


class LogOptions(TypedDict, total=False):
    """How the log of annotators is read."""

    classes: Sequence[Any] | None
    duplicates: Duplicates
    executor: Any
    progress: bool
    memory_limit: Limit


class LogIntervals(LogOptions, total=False):
    """... with intervals."""

    confidence: float


class JudgingOptions(LogOptions, total=False):
    """... and what they are judged by."""

    against: Any


class IntervalOptions(JudgingOptions, LogIntervals, total=False):
    """... with intervals."""


@dataclass(frozen=True)
class Opened:
    """A log that is open, what its annotations are judged by, and what they are grouped by."""

    rounds: Rounds
    against: Against
    grouping: Grouping
    rows: pl.LazyFrame
    """The log, with the columns that were asked for."""

    @property
    def annotators(self) -> pl.Series:
        return self.rounds.book.annotators

    @property
    def classes(self) -> pl.Series:
        return self.rounds.book.classes

    def named(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A merged summary with the groups, annotators and classes as they are called, in place of codes."""
        of_codes = {"annotator": self.annotators}
        of_codes |= dict.fromkeys(("true_label", "label"), self.classes)
        columns = [
            pl.lit(names).gather(code).alias(code)
            for code, names in of_codes.items()
            if code in frame.columns
        ]
        return self.grouping.named(frame.with_columns(columns))


@dataclass(frozen=True)
class Judging:
    """How annotators are judged.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, with columns `example, annotator, label`, or an
        `AnnotationStore`. Rows without a label are no annotations; they are counted.
    against
        What annotations are judged by. By default the consensus of the example's other annotators: nobody is
        judged by their own vote, ties are shared, and an annotation of an example that nobody else labelled
        is left out. Or a fit, or results opened again: their posterior (their consensus labels where it was
        not written), which has seen the annotator's own vote. Or known labels: a frame or file `example,
        label`, or `example, label, probability`, or the name of a column of the log.
    by
        Groups: names of other columns of the log, a frame with a column `example` or `annotator` and
        the group columns, or a list of these. The truth is that of the whole log.
    classes
        The classes in order; by default those of the fit, the Enum's order if the label is one, else
        sorted. A store has its own.
    costs
        What each error costs: a (K, K) matrix in class order, a row for each true class, a column for the
        class that it is taken for. By default 1 for any error.
    confidence
        Of the intervals, between 0 and 1.
    duplicates
        What to do where an annotator labelled an example more than once: `"error"`, or keep the
        `"first"` or `"last"` row (in the order of the log: see `order_by` of `scan_annotations`), or count
        `"all"`. A store has its own.
    executor
        For a store: an executor that works on its partitions.
    progress
        Whether to show progress.
    memory_limit
        How much memory tables may take, such as `"4GB"`, or bytes. By default half of what is free. What
        takes more is refused before it is made.

    Raises
    ------
    AnnotationError
        The log cannot be used: no annotations, null ids, anonymous annotators, duplicates, labels outside of
        `classes`. Labels to judge by are not among the classes, an example has two of them, or none is of an
        example of the log.
    OptionError
        An option has an unknown value or no effect on this call; a fit says no labels of classes.
    MemoryLimitError
        Labels of an example beside all others of it would not fit into memory: there are too many of them.

    Warns
    -----
    AnnotationWarning
        Some of what is judged by is of no example of the log.
    """

    against: Any = None
    by: Any = None
    classes: Sequence[Any] | None = None
    confidence: float = 0.95
    duplicates: Duplicates = "error"
    executor: Any = None
    progress: bool = False
    memory_limit: Limit = None

    what: ClassVar[tuple[str, str]] = ("against", "known")
    """The option with what annotations are judged by, and what its labels are called."""

    def open(
        self,
        log: Any,
        columns: Iterable[str | None] = (),
        taken: Iterable[str] = (),
        row: str | None = None,
    ) -> Opened:
        """The log with some of its other columns, where it has them; the result has columns `taken`.

        A log in memory gets a column that says the place of each `row`, if it is given a name.
        """
        log, given = log_and_labels(log, self.against, self.what[1])
        stored = isinstance(log, Partitioned)
        rows = log.scan_annotations() if stored else scan_annotations(log, keep_missing=True)
        grouping = grouped(rows, self.by, taken)
        if not stored:
            there = rows.collect_schema().names()
            wanted = [c for c in columns if c in there and c not in grouping.columns]
            rows = rows.select(*LOG_COLUMNS, *grouping.columns, *wanted)
            rows = rows if row is None else rows.with_row_index(row)
        options = {name: getattr(self, name) for name in OPENING}
        if self.classes is None and not stored:
            options["classes"] = classes_of_fit(given)
        rounds = open_rounds(log if stored else rows, **options)
        return Opened(rounds, against_of(given, rounds, self.what[0]), grouping, rows)

    def may_repeat(self, merged: Merged) -> bool:
        """Whether the log may have annotators who labelled an example again, by the summary `again`."""
        return bool(merged[()]["again"].item()) or self.duplicates in ("first", "last")


OPENING = ("classes", "duplicates", "executor", "progress", "memory_limit")
