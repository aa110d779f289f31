"""Partitions of whole examples: where one is, how it is read, and what is remembered of it between rounds.

All annotations of an example, and its probabilities, lie in the same partition. A log in memory is one
partition, an `AnnotationStore` has many. A **local plan**, `plan(part, *params)`, works on a `Partition`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from polars_crowd.inputs.pred_probs import Unlabelled
from polars_crowd.rounds.cache import digest
from polars_crowd.runs.classes import Runs
from polars_crowd.runs.codes import Codebook
from polars_crowd.runs.numbers import Values

Latest = dict[str, tuple[tuple[object, ...], Any]]
"""What was made last under a name, and of what."""
T = TypeVar("T")


class Handle(ABC):
    """Where a partition is and how it is read. Those of a store can be sent to another process."""

    name: str
    """`part-0007`."""
    fingerprint: str
    """Changes when the partition does."""

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
    def keep(self, name: str, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """A frame made once and found again in later rounds."""

    def latest(self) -> Latest:
        """Where `Partition.once` looks for what it made in an earlier round."""
        return {}

    def book(self) -> Codebook:
        """What the codes mean."""
        return self.runs().book

    def place(self, name: str) -> Path | None:
        """Where a later run with the same directory of results finds something about this partition."""
        return None


@dataclass(frozen=True)
class InMemory(Handle):
    """The one partition of a log in memory."""

    read_runs: Callable[[], Runs] | None
    read_values: Callable[[], Values] | None = None
    read_unlabelled: Callable[[], Unlabelled] | None = None
    name: str = "part-0000"
    fingerprint: str = ""
    _read: dict[str, Any] = field(default_factory=dict)
    _kept: dict[str, pl.DataFrame] = field(default_factory=dict)
    _latest: Latest = field(default_factory=dict)

    def runs(self) -> Runs:
        assert self.read_runs is not None, "a numeric log has values, not runs"
        return made_once(self._read, "runs", self.read_runs)

    def values(self) -> Values:
        assert self.read_values is not None, "a log of classes has runs, not values"
        return made_once(self._read, "values", self.read_values)

    def unlabelled(self) -> Unlabelled:
        assert self.read_unlabelled is not None, "no pred_probs, no examples but the annotated"
        return made_once(self._read, "unlabelled", self.read_unlabelled)

    def keep(self, name: str, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        return made_once(self._kept, name, make)

    def latest(self) -> Latest:
        return self._latest


@dataclass(frozen=True)
class Transformed(Handle):
    """A partition whose runs are changed after they are read: their probabilities tempered, say."""

    handle: Handle
    transform: Callable[..., Runs]
    args: tuple[Any, ...]
    _read: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.handle.name

    @cached_property
    def _suffix(self) -> str:
        return digest(self.transform.__qualname__, self.args)

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        given = self.handle.fingerprint
        return f"{given}-{self._suffix}" if given else ""

    def runs(self) -> Runs:
        if isinstance(self.handle, InMemory):
            return made_once(self._read, "runs", self._runs)
        return self._runs()

    def _runs(self) -> Runs:
        return self.transform(self.handle.runs(), *self.args)

    def values(self) -> Values:
        return self.handle.values()

    def unlabelled(self) -> Unlabelled:
        return self.handle.unlabelled()

    def keep(self, name: str, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        return self.handle.keep(f"{name}-{self._suffix}", make)

    def latest(self) -> Latest:
        return self.handle.latest()

    def book(self) -> Codebook:
        return self.handle.book()

    def place(self, name: str) -> Path | None:
        return self.handle.place(f"{name}-{self._suffix}")


def made_once(made: dict[str, Any], name: str, make: Callable[[], T]) -> T:
    """What is made under a name, made now if it is not there."""
    if name not in made:
        made[name] = make()
    found: T = made[name]
    return found


class Partition:
    """One partition, while plans work on it."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self._once: Latest = {}

    @cached_property
    def runs(self) -> Runs:
        """The partition as sorted runs."""
        return self.handle.runs()

    @cached_property
    def values(self) -> Values:
        """The partition of a numeric log."""
        return self.handle.values()

    def once(self, name: str, make: Callable[[], T], *of: object) -> T:
        """What `make` returns, made once for the plans that work on the partition now.

        With `of`, the parameters it is made of, a log in memory finds it again in later rounds for as
        long as these are the same objects.
        """
        places = (self._once, self.handle.latest()) if of else (self._once,)
        for place in places:
            if name in place and all(a is b for a, b in zip(place[name][0], of, strict=True)):
                found: T = place[name][1]
                return found
        made = make()
        for place in places:
            place[name] = (of, made)
        return made

    def forget(self, name: str) -> None:
        """Let go of what `once` made."""
        self._once.pop(name, None)
        self.handle.latest().pop(name, None)

    def keep(self, name: str, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """A frame made once and kept for later rounds, on disk for a store.

        `make` must be a pure function of the partition and of what the name says (see `digest`): the
        frame may be made anew at any time.
        """
        return self.handle.keep(name, make)


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
