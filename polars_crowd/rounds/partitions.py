"""Partitions of whole examples: where one is, how it is read, and what is remembered of it between rounds.

All annotations of an example, and its probabilities, lie in the same partition. A log in memory is one
partition, an `AnnotationStore` has many. A **local plan**, `plan(part, *params)`, works on a `Partition`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from weakref import ref

import polars as pl
from polars.io.plugins import register_io_source

from polars_crowd.compatible import Engine, engine_for
from polars_crowd.inputs.pred_probs import Unlabelled
from polars_crowd.rounds.cache import KEPT, Cache, digest
from polars_crowd.runs.classes import Runs
from polars_crowd.runs.codes import Codebook
from polars_crowd.runs.numbers import Values

T = TypeVar("T")
H = TypeVar("H")


class Memo:
    """What was made last of a partition under each name, with all else that it was made of.

    It does not hold the partition: what was made goes with it.
    """

    def __init__(self) -> None:
        self._made: dict[str, tuple[ref[Handle], tuple[object, ...], Any]] = {}

    def once(self, name: str, make: Callable[[], T], handle: Handle, *of: object) -> T:
        """What `make` returns; made before if it was of the same partition and objects."""
        made = self._made.get(name)
        if made is not None and made[0]() is handle and _are_same(made[1], of):
            found: T = made[2]
            return found
        self.forget(name)  # before there is another one
        result = make()
        self._made[name] = (ref(handle), of, result)
        return result

    def forget(self, name: str) -> None:
        self._made.pop(name, None)

    def __reduce__(self) -> tuple[type[Memo], tuple[()]]:
        """A copy begins with nothing: all can be made anew."""
        return Memo, ()


def _are_same(some: Sequence[object], others: Sequence[object]) -> bool:
    return len(some) == len(others) and all(a is b for a, b in zip(some, others, strict=True))


class Handle(ABC):
    """Where a partition is and how it is read. Those of a store can be sent to another process."""

    name: str
    """`part-0007`."""
    fingerprint: str
    """Changes when the partition does."""
    work: Path | None = None
    """The directory for frames kept between rounds; without one they stay in memory."""
    memo: Memo | None = None
    """What later rounds find in memory again; without one each works on the partition anew."""

    @property
    def engine(self) -> Engine:
        """The engine of Polars for its plans."""
        return "auto"

    @property
    @abstractmethod
    def has_runs(self) -> bool:
        """Whether its labels are classes: else it has values only."""

    @abstractmethod
    def runs(self) -> Runs:
        """The partition as sorted runs."""

    @abstractmethod
    def values(self) -> Values:
        """The partition of a numeric log."""

    @abstractmethod
    def unlabelled(self) -> Unlabelled:
        """The partition's examples without annotations."""

    @abstractmethod
    def book(self) -> Codebook:
        """What the codes mean."""


@dataclass(frozen=True)
class InMemory(Handle):
    """The one partition of a log in memory."""

    sorted_runs: Runs | None = None
    sorted_values: Values | None = None
    read_unlabelled: Callable[[], Unlabelled] | None = None
    codebook: Codebook | None = None
    """Of a log without annotations."""
    name: str = "part-0000"
    fingerprint: str = ""
    work: Path | None = None
    memo: Memo = field(default_factory=Memo)

    @property
    def engine(self) -> Engine:
        held = self.sorted_runs or self.sorted_values
        return engine_for(held.rows.height if held else 0)

    @property
    def has_runs(self) -> bool:
        return self.sorted_values is None

    def runs(self) -> Runs:
        assert self.sorted_runs is not None, "a numeric log has values, not runs"
        return self.sorted_runs

    def values(self) -> Values:
        assert self.sorted_values is not None, "a log of classes has runs, not values"
        return self.sorted_values

    def unlabelled(self) -> Unlabelled:
        assert self.read_unlabelled is not None, "no pred_probs, no examples but the annotated"
        return self.memo.once("unlabelled", self.read_unlabelled, self)

    def book(self) -> Codebook:
        return self.codebook or self.runs().book


class View(Handle):
    """A partition whose runs are others: `read(handle, *args)`, a function of a module.

    With `memo`, that of the partition itself, later rounds find in memory what was made of the view.
    """

    def __init__(
        self, handle: Handle, read: Callable[..., Runs], *args: Any, memo: Memo | None = None
    ) -> None:
        self.handle, self.read, self.args = handle, read, args
        self.name, self.work, self.memo = handle.name, handle.work, memo
        given = handle.fingerprint
        self.fingerprint = f"{given}-{digest(read, args)}" if given else ""

    @property
    def engine(self) -> Engine:
        return self.handle.engine

    @property
    def has_runs(self) -> bool:
        return self.handle.has_runs

    def runs(self) -> Runs:
        return self.read(self.handle, *self.args)

    def values(self) -> Values:
        return self.handle.values()

    def unlabelled(self) -> Unlabelled:
        return self.handle.unlabelled()

    def book(self) -> Codebook:
        return self.handle.book()


def changed(handle: Handle, transform: Callable[..., Runs], *args: Any) -> Runs:
    """How a view is read whose runs are changed by `transform(runs, *args)`: tempered, say."""
    return transform(handle.runs(), *args)


class Partition:
    """One partition, while plans work on it."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self._memo = Memo() if handle.memo is None else handle.memo

    @property
    def runs(self) -> Runs:
        """The partition as sorted runs."""
        return self.once("runs", self.handle.runs)

    @property
    def values(self) -> Values:
        """The partition of a numeric log."""
        return self.once("values", self.handle.values)

    def once(self, name: str, make: Callable[[], T], *of: object) -> T:
        """What `make` returns, made once for the plans that work on the partition.

        It is made anew where it was made of another reading of the partition, or of other parameters `of`:
        these have to be the same objects. Of each name the last is held, for as long as plans work on the
        partition; of a log in memory, for as long as the log is.
        """
        return self._memo.once(name, make, self.handle, *of)

    def forget(self, name: str) -> None:
        """Let go of what `once` made."""
        self._memo.forget(name)

    def keep(self, name: str, make: Callable[[], pl.DataFrame], *of: object) -> pl.DataFrame:
        """A frame made once for all rounds, on disk for a store; `of` are the parameters it is made of.

        `make` must be a pure function of the partition and of them: the frame may be made anew at any time.
        """
        if self.handle.work is None:
            return self.once(name, make, *of)
        kept = Cache(self.handle.work / KEPT)
        return kept.recall(self.named(name, *of), lambda: {(): make()})[()]

    def named(self, name: str, *of: object) -> str:
        """The name of what is made of the partition and of parameters, in a directory."""
        return f"{self.handle.fingerprint}-{name}-{digest(*of)}"


def scan_of(
    handles: Sequence[H], read: Callable[[H, list[str]], pl.LazyFrame], schema: pl.Schema
) -> pl.LazyFrame:
    """What `read(handle, columns)` says of each partition, one after another, as one scan.

    No more than a partition is in memory at a time, and errors are those of `read`.
    """

    def source(
        columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        wanted = list(schema) if columns is None else columns
        asked = [] if predicate is None else predicate.meta.root_names()
        for handle in handles:
            frame = read(handle, list(dict.fromkeys([*wanted, *asked])))
            if predicate is not None:
                frame = frame.filter(predicate)
            frame = frame.select(wanted)
            part = (frame if n_rows is None else frame.head(n_rows)).collect()
            yield part
            if n_rows is not None:
                n_rows -= part.height
                if n_rows <= 0:
                    return

    return register_io_source(source, schema=schema, is_pure=True)


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
    @abstractmethod
    def classes(self) -> pl.Series | None:
        """The classes in order; None if the labels are numbers only."""

    @abstractmethod
    def scan_annotations(self) -> pl.LazyFrame:
        """The log, as a lazy scan."""

    @property
    def set_classes(self) -> pl.Series | None:
        """The classes that its labels are sets of, if they are sets."""
        return None
