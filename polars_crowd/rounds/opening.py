"""How a log becomes rounds: a store with its partitions, anything else as one partition in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import polars as pl

from polars_crowd.compatible import engine_for
from polars_crowd.errors import Advice, AnnotationError, OptionError, counted
from polars_crowd.inputs import blame, checks
from polars_crowd.inputs.anonymous import check_known_annotators
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.inputs.label_sets import (
    LabelSets,
    check_known,
    check_names,
    open_independent,
    open_label_sets,
)
from polars_crowd.inputs.log import of_sets, scan_annotations
from polars_crowd.inputs.numbers import labels_as_numbers
from polars_crowd.inputs.pred_probs import PredProbs, Unlabelled, open_models
from polars_crowd.inputs.probabilities import read_unlabelled
from polars_crowd.inputs.suspicions import CODES, warn_of_labels
from polars_crowd.limits import Limit, bytes_of
from polars_crowd.rounds.directory import ResultDirectory, WorkDirectory
from polars_crowd.rounds.partitions import InMemory, Partitioned
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.runs.abstentions import Abstentions
from polars_crowd.runs.classes import Runs, sort_runs
from polars_crowd.runs.codes import Codebook, named_classes, resolve_classes
from polars_crowd.runs.numbers import Values, sort_values


class OpenOptions(TypedDict, total=False):
    """How a log is read, and where results go."""

    classes: Sequence[Any] | None
    duplicates: Duplicates
    into: str | Path | None
    executor: Any
    progress: bool


@dataclass(frozen=True)
class Opening:
    """How a log is read, and where results go.

    Parameters
    ----------
    classes
        The classes in order; by default the Enum's order if the label is one, else that of the columns
        of pred_probs. Needed to say what an Array column of pred_probs means. Not for a store, which has its
        own.
    duplicates
        What to do where an annotator labelled an example more than once: `"error"`, or keep the
        `"first"` or `"last"` row (in the order of the log: see `order_by` of `scan_annotations`), or count
        `"all"`. Not for a store.
    into
        A directory for the results: for each table of the log's size a folder with a Parquet file per
        partition, the others beside them. The result's LazyFrames are then scans of these files, which stay
        as long as they are used. Earlier results of the method are there for `pc.open_results` until the run
        has ended; a run that was stopped takes up where it was. One run writes at a time: another is refused
        (StoreError), and told who is at work.
    executor
        For a store: any `concurrent.futures.Executor` whose workers can read the store's files.
    progress
        Whether to show partitions done, rate and time left on stderr (needs the extra `cli`).
    """

    classes: Sequence[Any] | None = None
    duplicates: Duplicates = "error"
    into: str | Path | None = None
    executor: Any = None
    progress: bool = False

    def open(self, log: Any, pred_probs: Any, **more: bool) -> Rounds:
        """The rounds of a log."""
        return open_rounds(
            log,
            pred_probs,
            classes=self.classes,
            duplicates=self.duplicates,
            into=self.into,
            executor=self.executor,
            progress=self.progress,
            **more,
        )

    def open_sets(self, log: Any, pred_probs: Any) -> tuple[Rounds, pl.Series]:
        """The rounds of a log of sets of classes, and its K classes."""
        if isinstance(log, Partitioned):
            values = stored_classes(log)
            return self.open(log, pred_probs, multilabel=True), values
        refuse_executor(self.executor)
        sets, models, book = read_book(log, pred_probs, self.classes)
        with blame.reading(sets.log, *models):
            runs = sort_runs(sets.log, models, duplicates=self.duplicates, book=book)
        rounds = _beside_models(runs, models, pred_probs, self.progress, opened(self.into))
        return rounds, named_classes(book.names, sets.dtype)


def stored_classes(store: Partitioned) -> pl.Series:
    """The classes of a store of sets."""
    classes = store.set_classes
    if classes is None:
        raise AnnotationError(
            "the store holds single labels.",
            Advice(
                "Make one of sets of classes",
                python="pc.AnnotationStore.create(path, log, pred_probs, multilabel=True)",
            ),
        )
    return classes


def read_book(
    log: Any, pred_probs: Any, classes: Sequence[Any] | None
) -> tuple[LabelSets, list[PredProbs], Codebook]:
    """The log, its models, and what the codes of sets and annotators mean."""
    sets = open_label_sets(log)
    check_known_annotators(sets.log.collect_schema()["annotator"])
    models = open_independent(pred_probs, classes)
    _, names = resolve_classes(sets.dtype, models[0].names, classes)
    check_names(names)
    labels, annotators = pl.collect_all(
        [sets.log.select(pl.col(c).unique().sort()) for c in ("label", "annotator")]
    )
    if labels.is_empty():
        raise checks.no_annotations()
    check_known(sets.log, labels["label"], names)
    return sets, models, Codebook(labels["label"], names, annotators["annotator"])


def open_rounds(
    log: Any,
    pred_probs: Any = None,
    *,
    classes: Sequence[Any] | None = None,
    duplicates: Duplicates = "error",
    into: str | Path | None = None,
    executor: Any = None,
    progress: bool = False,
    numeric: bool = False,
    multilabel: bool = False,
    anonymous: bool = False,
    are_numbers: bool = False,
    glance: bool = False,
    memory_limit: Limit = None,
) -> Rounds:
    """The rounds of a log, of whatever kind: a store with its partitions, anything else in memory.

    `anonymous` says that nothing will be asked that takes to know who voted, `are_numbers` that classes are
    numbers, whose distances mean something, `glance` that of a model little more is asked than its
    probabilities of given labels.

    Raises
    ------
    AnnotationError
        The annotators are anonymous, and who voted will be asked.
    ValueError
        `executor` for a log that is one partition; pred_probs, classes or duplicates for a store, which
        has its own.
    FileExistsError
        `into` holds something else than results.

    Warns
    -----
    AnnotationWarning
        Of a log in memory: labels may be what was not meant, and no classes are declared; examples have no
        label.
    """
    if memory_limit is not None:
        bytes_of(memory_limit)
    directory = opened(into)
    if isinstance(log, Partitioned):
        refuse_what_a_store_has(pred_probs, classes, duplicates)
        if log.set_classes is not None and not multilabel:
            raise of_sets("the store's labels")
        book = log.book(numeric)
        if not anonymous:
            check_known_annotators(book.annotators.dtype)
        work = WorkDirectory() if directory is None else directory
        return Rounds(
            handles=log.handles(work.work),
            book=book,
            n_models=log.n_models,
            is_ensemble=log.is_ensemble,
            executor=executor,
            progress=progress,
            into=directory,
            idle=log.idle_handles(work.work),
            work=work,
            memory_limit=memory_limit,
        )
    refuse_executor(executor)
    rows = scan_annotations(log, keep_missing=True)
    if not anonymous:
        check_known_annotators(rows.collect_schema()["annotator"])
    if numeric:
        with blame.reading(rows):
            values = sort_values(labels_as_numbers(rows), duplicates=duplicates)
        book = Codebook(pl.Series("label", [], pl.Float64), (), values.annotators)
        rounds = Rounds([InMemory(sorted_values=values)], book, progress=progress, into=directory)
        notes = look_at_values(values)
        return replace(
            rounds, abstentions=values.abstentions, notes=notes, memory_limit=memory_limit
        )
    models_ = open_models(pred_probs, classes) if pred_probs is not None else []
    with blame.reading(rows, *models_):
        runs = sort_runs(rows, models_, classes=classes, duplicates=duplicates, glance=glance)
    declared = bool(models_) or classes is not None or multilabel
    notes = look_at_runs(runs, declared=declared, are_numbers=are_numbers)
    rounds = _beside_models(runs, models_, pred_probs, progress, directory)
    return replace(rounds, notes=notes, memory_limit=memory_limit)


def look_at_runs(runs: Runs, *, declared: bool, are_numbers: bool = False) -> tuple[str, ...]:
    """Warns of what is odd about the labels of a log, and notes it for reports."""
    notes = _look_at_abstentions(runs.abstentions)
    classes = runs.book.classes
    if declared or isinstance(classes.dtype, pl.Enum):
        return notes
    votes = pl.col("votes").cast(pl.Int64)
    counts = runs.votes.lazy().group_by("label").agg(annotations=votes.sum()).sort("label")
    label = pl.lit(classes).gather("label").alias("label")
    labels = counts.select(label, "annotations").collect(engine=engine_for(runs.votes.height))
    return (*warn_of_labels(labels, are_numbers=are_numbers), *notes)


def look_at_values(values: Values) -> tuple[str, ...]:
    """... where labels are numbers."""
    notes, value = _look_at_abstentions(values.abstentions), pl.col("value")
    if not values.rows.select(value.is_in([float(code) for code in CODES]).any()).item():
        return notes
    labels = values.rows.group_by(label=value).agg(annotations=pl.len()).sort("label")
    return (*warn_of_labels(labels, are_numbers=True), *notes)


def _look_at_abstentions(abstentions: Abstentions | None) -> tuple[str, ...]:
    if abstentions is None or abstentions.examples.is_empty():
        return ()
    checks.warn_of_unlabelled(abstentions.examples)
    return (f"{counted(len(abstentions.examples), 'example')} without any label",)


def opened(into: str | Path | None) -> ResultDirectory | None:
    """The directory for results, if one is given."""
    return ResultDirectory.open(into) if into is not None else None


def _beside_models(
    runs: Runs,
    models: Sequence[PredProbs],
    pred_probs: Any,
    progress: bool,
    into: ResultDirectory | None,
) -> Rounds:
    """The rounds of runs in memory, with the examples that only the models know."""
    return rounds_of(
        runs,
        partial(read_unlabelled, models, runs.examples["example"], runs.book.names),
        is_ensemble=isinstance(pred_probs, (list, tuple)),
        progress=progress,
        into=into,
    )


def rounds_of(
    runs: Runs, read_unlabelled: Callable[[], Unlabelled] | None = None, **options: Any
) -> Rounds:
    """The rounds of runs in memory, and of the examples without annotations beside them."""
    handle = InMemory(runs, read_unlabelled=read_unlabelled)
    rounds = Rounds([handle], runs.book, len(runs.models), **options)
    return replace(rounds, abstentions=runs.abstentions)


MAKE_STORE = Advice(
    "Give it where a store is made",
    python="pc.AnnotationStore.create(path, log, ...)",
    command="polars-crowd store create STORE LOG",
)


def refuse_executor(executor: Any) -> None:
    """Workers are for the partitions of a store."""
    if executor is not None:
        raise OptionError(
            "executor",
            ...,
            "needs a log in partitions. A log in memory is worked on by all threads of this process.",
            Advice(
                "Make a store, and give that",
                python="pc.AnnotationStore.create(path, log)",
                command="polars-crowd store create STORE LOG",
            ),
        )


def refuse_what_a_store_has(
    pred_probs: Any, classes: Sequence[Any] | None, duplicates: Duplicates
) -> None:
    """A store was made with these: another answer now would have no effect."""
    given = {
        "pred_probs": pred_probs is not None,
        "classes": classes is not None,
        "duplicates": duplicates != "error",
    }
    for name, is_given in given.items():
        if is_given:
            raise OptionError(name, ..., "is given with a store, which has its own.", MAKE_STORE)
