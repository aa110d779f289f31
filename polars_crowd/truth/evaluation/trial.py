"""A trial: one log on which methods are compared, whatever its labels are.

Every method is fitted once on all annotations, and once without those of each fold, which it is then asked to
predict. What these fits are scored by is the business of the two kinds of trial: `classes` and `numbers`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Flags, Floats, Ints
from polars_crowd.errors import heard

Scores = tuple[float | None, ...]
PAIRED = ("difference_from_best", "difference_low", "difference_high", "p_value")
"""The names of what compares a method with the best one on known labels."""


def named(names: Sequence[str], scores: Scores | None) -> dict[str, float | None]:
    """Scores by their names; None where there are none."""
    return dict.fromkeys(names) if scores is None else dict(zip(names, scores, strict=True))


@dataclass(frozen=True)
class Rows:
    """Annotations as positions of examples, codes of annotators, labels (codes or numbers), shape (R,)."""

    example: Ints
    annotator: Ints
    label: NDArray[Any]

    def only(self, chosen: Flags) -> Rows:
        return Rows(self.example[chosen], self.annotator[chosen], self.label[chosen])


@dataclass(frozen=True)
class Task:
    """A method to run on a log. Small enough to travel, with its log."""

    name: str
    function: Callable[..., Any]
    log: pl.DataFrame
    options: dict[str, Any]
    with_posterior: bool


@dataclass(frozen=True)
class Ran:
    """What a fit found, and how it went."""

    examples: pl.DataFrame
    posterior: Floats | None
    """T of its examples, sorted by id; shape (n, K)."""
    seconds: float
    n_iter: int
    converged: bool
    warnings: list[Warning]


def run(task: Task) -> Ran:
    """Run a method; its warnings are kept."""
    with heard() as said:
        began = time.perf_counter()
        fit = task.function(task.log, **task.options)
        examples = fit.examples.collect()
        seconds = time.perf_counter() - began
    T = None
    if task.with_posterior:
        T = fit.posterior.collect()["probability"].to_numpy().reshape(examples.height, -1)
    return Ran(examples, T, seconds, fit.n_iter, fit.converged, said)


@dataclass(frozen=True)
class Trial(ABC):
    """A log, in the order of its sorted rows, and what is known of its examples."""

    KNOWN: ClassVar[tuple[str, ...]]
    """The names of scores against known labels."""
    HELD_OUT: ClassVar[tuple[str, ...]]
    """... at predicting what was left out."""
    OTHERS: ClassVar[str]
    """... of how near other methods are."""
    APART: ClassVar[str]
    """The column that says how far methods are apart on an example."""
    WITH_POSTERIOR: ClassVar[bool]
    """Whether a method's answer is its posterior."""

    rows: Rows
    examples: pl.Series
    annotators: pl.Series
    known: Any
    """The truth of each example, as its kind has it; None if it is known for none."""
    n_folds: int
    seed: int

    @cached_property
    def fold(self) -> Ints:
        """The fold of each annotation."""
        n = len(self.rows.example)
        return np.random.default_rng(self.seed).permutation(n) % self.n_folds

    def tasks(self, name: str, function: Callable[..., Any]) -> Iterator[Task]:
        """The fits of a method: on everything, then without each fold."""
        yield self._task(name, function, self.rows)
        for fold in range(self.n_folds):
            seen = self.rows.only(self.fold != fold)
            yield self._task(f"{name} without fold {fold + 1}", function, seen)

    def _task(self, name: str, function: Callable[..., Any], rows: Rows) -> Task:
        log = {
            "example": self.examples.gather(rows.example),
            "annotator": self.annotators.gather(rows.annotator),
            "label": self.labels(rows.label),
        }
        options = {**self.options, "duplicates": "all"}
        return Task(name, function, pl.DataFrame(log), options, self.WITH_POSTERIOR)

    def scores(self, whole: Ran, without: Sequence[Ran]) -> dict[str, float | None]:
        """What the table of methods says of one."""
        known = named(self.KNOWN, None if self.known is None else self.known_scores(whole))
        return known | named(self.HELD_OUT, self.held_out_scores(without) if without else None)

    def folds(self, without: Sequence[Ran]) -> Iterator[tuple[Floats, Rows, Rows]]:
        """What the fit without each fold says of all examples (of those it has not seen what it says on
        average), the annotations that it saw, and those it is asked for."""
        for fold, ran in enumerate(without):
            seen, asked = self.rows.only(self.fold != fold), self.rows.only(self.fold == fold)
            found = self.answer(ran)
            everywhere = np.repeat(found.mean(axis=0)[None], len(self.examples), axis=0)
            everywhere[np.unique(seen.example)] = found
            yield everywhere, seen, asked

    @property
    def options(self) -> dict[str, Any]:
        """What a method is given."""
        return {}

    @abstractmethod
    def labels(self, labels: NDArray[Any]) -> pl.Series:
        """Labels as the log has them."""

    @abstractmethod
    def answer(self, ran: Ran) -> Floats:
        """What a fit says of its examples, the first axis of it."""

    @abstractmethod
    def goodness(self, ran: Ran) -> Floats:
        """How well each example with a known truth comes off: the more the better."""

    @staticmethod
    @abstractmethod
    def paired(better: Floats) -> Scores:
        """PAIRED, from how much better each known example comes off than by the best method."""

    @abstractmethod
    def known_scores(self, ran: Ran) -> Scores:
        """KNOWN."""

    @abstractmethod
    def held_out_scores(self, without: Sequence[Ran]) -> Scores:
        """HELD_OUT, from the fits without each fold."""

    @abstractmethod
    def to_others(self, own: pl.Series, others: pl.DataFrame) -> float:
        """OTHERS: how near other methods' labels are on average."""

    @staticmethod
    @abstractmethod
    def apart(names: list[str]) -> pl.Expr:
        """APART, 0 where methods agree."""
