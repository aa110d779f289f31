"""Rounds: how every method runs.

A method is a short script of **rounds**: run a local plan on every partition, merge the summaries, turn them
into the parameters of the next round.

Plans are functions of modules, parameters and summaries are small: they are all that travels when an
executor runs the partitions in other processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, TypeVar

import polars as pl

from polars_crowd.errors import Advice
from polars_crowd.limits import Limit, check_memory
from polars_crowd.reports import FEW
from polars_crowd.rounds import executors
from polars_crowd.rounds.cache import Cache, plan_digest
from polars_crowd.rounds.directory import ResultDirectory, Writer
from polars_crowd.rounds.laying import lay, laying, merge_laid
from polars_crowd.rounds.partitions import Handle, Partition, View, changed, scan_of
from polars_crowd.rounds.progress import tracked
from polars_crowd.rounds.summaries import Frame, Merged, Summary, collected, merge
from polars_crowd.rounds.tolerance import MadeWith
from polars_crowd.runs.abstentions import Abstentions
from polars_crowd.runs.classes import Runs
from polars_crowd.runs.codes import Codebook

Plan = Callable[..., Summary]
TablePlan = Callable[..., Frame]
T = TypeVar("T")


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
    abstentions: Abstentions | None = None
    """What the rows without a label say, if the log has any."""
    notes: tuple[str, ...] = ()
    """What was seen that is odd about the labels."""
    memory_limit: Limit = None
    """What tables may take."""

    def __getstate__(self) -> dict[str, Any]:
        """A copy works in its own process: executors cannot be sent to another."""
        return {**self.__dict__, "executor": None}

    @property
    def n_classes(self) -> int:
        return len(self.book.classes)

    @property
    def note(self) -> str:
        """Where to look, for reports."""
        return f"{', '.join(self.notes)}: see check_annotations" if self.notes else ""

    def check_memory(self, needed: float, what: str, *advice: Advice | str) -> None:
        """That work which holds so many bytes may be done."""
        check_memory(needed, what, self.memory_limit, *advice)

    def with_abstentions(self, annotators: pl.DataFrame) -> pl.DataFrame:
        """A table of the annotators; with `num_abstained`, if the log has rows without a label."""
        return self.abstentions.beside(annotators) if self.abstentions else annotators

    def run(self, plan: Plan, *params: Any, remember: bool = False) -> Merged:
        """One round: the plan's summaries of all partitions, merged.

        With `remember`, and a directory for results, the summaries are kept there, and a later run makes
        only those of partitions that have changed. Not for rounds that are repeated with other
        parameters many times.
        """
        prints = [handle.fingerprint for handle in self.handles]
        if self.into is None or not remember or not all(prints):
            return self._merged(plan.__name__, summarise, plan, params)
        cache, of = self.into.summaries, plan_digest(plan, params)

        def run() -> Merged:
            return self._merged(plan.__name__, recall_summary, plan, params, cache, of)

        return cache.recall_all([f"{each}-{of}" for each in prints], of, run)

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
        done = self._merged("write", write_tables, plans, params, summary, writer)
        self.into.finish(list(plans), self.handles)
        return Tables(self, dict(plans), params, summary, done)

    def quiet(self) -> Rounds:
        """The same rounds without a bar each, for those that are one line together."""
        return replace(self, progress=False)

    def transformed(self, transform: Callable[..., Runs], *args: Any) -> Rounds:
        """The same rounds on runs that are changed by `transform(runs, *args)` when they are read."""
        views = [
            View(handle, changed, transform, *args, memo=handle.memo) for handle in self.handles
        ]
        return replace(self, handles=views)

    def claim(self, method: str) -> Rounds:
        """The same rounds, whose directory of results, if there is one, is from now on that of a method."""
        if self.into is not None:
            self.into.claim(method)
        return self

    def only(self, name: str, plan: TablePlan, *params: Any) -> pl.LazyFrame:
        """The one table of a method that has no other."""
        table = self.tables({name: plan}, *params)[name]
        if self.into is not None:
            self.into.complete(heads={name: (name, FEW)})
        return table

    def _merged(self, title: str, task: Callable[..., Merged], *args: Any) -> Merged:
        """The sum of the summaries that a task returns."""
        with laying(self.executor, self.handles) as ground:
            if ground is None:
                return merge(self._each(title, task, *args))
            found = self._each(title, lay, ground, task, *args)
            return merge_laid(ground, found, self.executor, len(self.handles))

    def _each(self, title: str, task: Callable[..., T], *args: Any) -> Iterator[T]:
        results = executors.in_order(self.executor, task, self.handles, args)
        return tracked(results, title, len(self.handles), self.progress)


def summarise(handle: Handle, plan: Plan, params: Sequence[Any]) -> Merged:
    """What a worker does in a round."""
    return collected(plan(Partition(handle), *params), handle.engine)


def recall_summary(
    handle: Handle, plan: Plan, params: Sequence[Any], cache: Cache, of: str
) -> Merged:
    """... where summaries are kept in a directory of results: those there are not made again."""
    return cache.recall(f"{handle.fingerprint}-{of}", lambda: summarise(handle, plan, params))


def write_tables(
    handle: Handle,
    plans: Mapping[str, TablePlan],
    params: Sequence[Any],
    summary: Plan | None,
    writer: Writer,
) -> Merged:
    """... for the tables of results."""
    good_enough = writer.good_enough(handle)
    if good_enough is not None:
        return good_enough
    part = Partition(handle)
    for name, plan in plans.items():
        writer.write(handle, name, partial(plan, part, *params))
    if summary is None:
        return {}
    return writer.recall(handle, lambda: collected(summary(part, *params)))


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
        handles = self.rounds.handles
        first = self._of(handles[0], name)
        if len(handles) > 1:
            schema = first.collect_schema()
            return scan_of(handles, lambda handle, _: self._of(handle, name), schema)
        if handles[0].work is None:
            return first
        return scan_of(handles, lambda *_: first, first.collect_schema())  # which has the handle

    @cached_property
    def summary(self) -> Merged:
        """The merged last summary."""
        if self.written_summary is not None:
            return self.written_summary
        assert self.summary_plan is not None
        return self.rounds.run(self.summary_plan, *self.params)

    def _of(self, handle: Handle, name: str) -> pl.LazyFrame:
        return self.plans[name](Partition(handle), *self.params).lazy()
