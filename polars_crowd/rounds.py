"""Rounds: how every method runs.

A method is a short script of **rounds**: run a local plan on every partition, merge the summaries, turn them
into the parameters of the next round.

Plans are functions of modules, parameters and summaries are small: they are all that travels when an
executor runs the partitions in other processes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from polars.io.plugins import register_io_source

from polars_crowd import executors
from polars_crowd.checks import Duplicates
from polars_crowd.codes import Codebook
from polars_crowd.errors import AnnotationError
from polars_crowd.log import scan_annotations
from polars_crowd.partitions import Handle, InMemory, Partition, Transformed
from polars_crowd.pred_probs import Unlabelled, open_models, read_unlabelled
from polars_crowd.progress import tracked
from polars_crowd.results import MadeWith, ResultDirectory, WorkDirectory
from polars_crowd.runs import Runs, sort_runs
from polars_crowd.summaries import Frame, Merged, Summary, collected, merge
from polars_crowd.values import sort_values

Plan = Callable[..., Summary]
TablePlan = Callable[..., Frame]
T = TypeVar("T")


class Partitioned(ABC):
    """A log that lies in partitions already: an `AnnotationStore`."""

    @abstractmethod
    def book(self, numeric: bool) -> Codebook:
        """What the codes of labels and annotators mean."""

    @abstractmethod
    def handles(self, work: Path) -> list[Handle]:
        """The partitions with annotations; frames that are kept go into the directory `work`."""

    @abstractmethod
    def idle_handles(self, work: Path) -> list[Handle]:
        """The partitions whose examples are all unlabelled."""

    @property
    @abstractmethod
    def n_models(self) -> int:
        """How many models' pred_probs it holds."""

    @property
    @abstractmethod
    def is_ensemble(self) -> bool:
        """Whether they were given as a list."""

    @property
    def set_classes(self) -> pl.Series | None:
        """The classes that its labels are sets of, if they are sets."""
        return None


@dataclass(frozen=True)
class Rounds:
    """The partitions of a log, and how plans run on them."""

    handles: Sequence[Handle]
    book: Codebook
    n_models: int = 0
    is_ensemble: bool = False
    executor: Any = None
    progress: bool = False
    into: ResultDirectory | None = None
    idle: Sequence[Handle] = ()
    """Partitions of a store in which no example is annotated."""
    work: object = None
    """Where a store's frames are kept between rounds: goes with the rounds."""

    @property
    def n_classes(self) -> int:
        return len(self.book.classes)

    def run(self, plan: Plan, *params: Any, remember: bool = False) -> Merged:
        """One round: the plan's summaries of all partitions, merged.

        With `remember`, and a directory for results, the summaries are kept there, and a later run makes
        only those of partitions that have changed. Not for rounds that are repeated with other
        parameters many times.
        """
        if self.into is None or not remember:
            return merge(self._each(plan.__name__, summarise, plan, params))
        memory = self.into.remembered(plan, params)

        def run() -> Merged:
            return merge(self._each(plan.__name__, recall_summary, plan, params, memory))

        return memory.recall_all([handle.fingerprint for handle in self.handles], run)

    def tables(
        self,
        plans: Mapping[str, TablePlan],
        *params: Any,
        summary: Plan | None = None,
        made_with: MadeWith | None = None,
        tolerance: float = 0.0,
    ) -> Tables:
        """Tables of results, a plan each: computed when they are asked for, or now if they go into a
        directory, together with a last summary.

        With a `tolerance`, results of partitions that did not change stay where they are if what they
        were made with differs by at most that from `made_with`.
        """
        if self.into is None:
            return Tables(self, dict(plans), params, summary)
        writer = self.into.writer(plans, params, summary, made_with or MadeWith(), tolerance)
        done = merge(self._each("write", write_tables, plans, params, summary, writer))
        self.into.finish(list(plans), self.handles)
        return Tables(self, dict(plans), params, summary, done)

    def transformed(self, transform: Callable[..., Runs], *args: Any) -> Rounds:
        """The same rounds on runs that are changed by `transform(runs, *args)` when they are read."""
        changed = [Transformed(handle, transform, args) for handle in self.handles]
        return replace(self, handles=changed)

    def save(self, name: str, frame: pl.DataFrame) -> None:
        """Write a table of the annotators' size into the directory of results, if there is one."""
        if self.into is not None:
            self.into.save(name, frame)

    def _each(self, title: str, task: Callable[..., T], *args: Any) -> Iterator[T]:
        results = executors.in_order(self.executor, task, self.handles, args)
        return tracked(results, title, len(self.handles), self.progress)


def summarise(handle: Handle, plan: Plan, params: Sequence[Any]) -> Merged:
    """What a worker does in a round."""
    return collected(plan(Partition(handle), *params))


def recall_summary(handle: Handle, plan: Plan, params: Sequence[Any], remembered: Any) -> Merged:
    """... where summaries are kept in a directory of results: those there are not made again."""
    found: Merged = remembered.recall(handle, lambda: summarise(handle, plan, params))
    return found


def write_tables(
    handle: Handle,
    plans: Mapping[str, TablePlan],
    params: Sequence[Any],
    summary: Plan | None,
    writer: Any,
) -> Merged:
    """... for the tables of results."""
    good_enough: Merged | None = writer.good_enough(handle)
    if good_enough is not None:
        return good_enough
    part = Partition(handle)
    for name, plan in plans.items():
        writer.write(handle, name, partial(plan, part, *params))
    if summary is None:
        return {}
    found: Merged = writer.recall(handle, lambda: collected(summary(part, *params)))
    return found


@dataclass(frozen=True)
class Tables:
    """Result tables by name, as LazyFrames over all partitions."""

    rounds: Rounds
    plans: Mapping[str, TablePlan]
    params: tuple[Any, ...]
    summary_plan: Plan | None
    written_summary: Merged | None = None

    def __getitem__(self, name: str) -> pl.LazyFrame:
        if self.rounds.into is not None:
            return self.rounds.into.scan(name)
        if len(self.rounds.handles) == 1:
            return self._of(self.rounds.handles[0], name)
        schema = self._of(self.rounds.handles[0], name).collect_schema()
        return register_io_source(self._source(name), schema=schema, is_pure=True)

    @cached_property
    def summary(self) -> Merged:
        """The merged last summary."""
        if self.written_summary is not None:
            return self.written_summary
        assert self.summary_plan is not None
        return self.rounds.run(self.summary_plan, *self.params)

    def _of(self, handle: Handle, name: str) -> pl.LazyFrame:
        return self.plans[name](Partition(handle), *self.params).lazy()

    def _source(self, name: str) -> Callable[..., Iterator[pl.DataFrame]]:
        """A scan that computes one partition after another."""

        def source(
            columns: list[str] | None,
            predicate: pl.Expr | None,
            n_rows: int | None,
            batch_size: int | None,
        ) -> Iterator[pl.DataFrame]:
            for handle in self.rounds.handles:
                frame = self._of(handle, name)
                if predicate is not None:
                    frame = frame.filter(predicate)
                if columns is not None:
                    frame = frame.select(columns)
                part = (frame if n_rows is None else frame.head(n_rows)).collect()
                yield part
                if n_rows is not None:
                    n_rows -= part.height
                    if n_rows <= 0:
                        return

        return source


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
    multi_label: bool = False,
) -> Rounds:
    """The rounds of a log, of whatever kind: a store with its partitions, anything else in memory.

    Raises
    ------
    ValueError
        `executor` for a log that is one partition; pred_probs, classes or duplicates for a store, which
        has its own.
    FileExistsError
        `into` holds something else than results.
    """
    directory = ResultDirectory.open(into) if into is not None else None
    if isinstance(log, Partitioned):
        _refuse_what_a_store_has(pred_probs, classes, duplicates)
        if log.set_classes is not None and not multi_label:
            raise AnnotationError(
                "the store holds label sets, which are for pc.crowdlab and pc.activelab with "
                "multi_label=True, pc.multilabel_agreement and pc.agreement_by_class."
            )
        work = WorkDirectory() if directory is None else directory
        return Rounds(
            handles=log.handles(work.work),
            book=log.book(numeric),
            n_models=log.n_models,
            is_ensemble=log.is_ensemble,
            executor=executor,
            progress=progress,
            into=directory,
            idle=log.idle_handles(work.work),
            work=work,
        )
    if executor is not None:
        raise ValueError(
            "executor= needs a log in partitions: make a store with pc.AnnotationStore.create(path, log) "
            "and give that. A log in memory is worked on by all threads of this process."
        )
    if numeric:
        values = sort_values(scan_annotations(log), duplicates=duplicates)
        book = Codebook(pl.Series("label", [], pl.Float64), (), values.annotators)
        return Rounds([InMemory(None, lambda: values)], book, 0, False, None, progress, directory)
    models_ = open_models(pred_probs, classes) if pred_probs is not None else []
    runs = sort_runs(scan_annotations(log), models_, classes=classes, duplicates=duplicates)
    is_ensemble = isinstance(pred_probs, (list, tuple))
    return rounds_of(
        runs,
        lambda: read_unlabelled(models_, runs.examples["example"], runs.book.names),
        is_ensemble=is_ensemble,
        progress=progress,
        into=directory,
    )


def rounds_of(
    runs: Runs, read_unlabelled: Callable[[], Unlabelled] | None = None, **options: Any
) -> Rounds:
    """The rounds of runs in memory, and of the examples without annotations beside them."""
    handle = InMemory(lambda: runs, read_unlabelled=read_unlabelled)
    return Rounds([handle], runs.book, len(runs.models), **options)


def _refuse_what_a_store_has(
    pred_probs: Any, classes: Sequence[Any] | None, duplicates: Duplicates
) -> None:
    given = {
        "pred_probs": pred_probs is not None,
        "classes": classes is not None,
        "duplicates": duplicates != "error",
    }
    for name, is_given in given.items():
        if is_given:
            raise ValueError(
                f"{name}= is given with a store, which has its own. Give it to "
                "pc.AnnotationStore.create(path, log, ...) instead."
            )
