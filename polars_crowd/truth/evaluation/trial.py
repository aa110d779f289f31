"""A trial: one log on which methods are compared, whatever its labels are.

Every method is fitted once on all annotations, and once without those of each fold, which it is then asked to
predict. What these fits are scored by is the business of the two kinds of trial: `classes` and `numbers`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Flags, Floats, Ints
from polars_crowd.errors import heard

T = TypeVar("T")
LARGE = 100_000
"""Of so many annotations the power of posteriors is found without the first fold, for all of them: one of a
few numbers, of which no single annotation decides which it is."""
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
    """A method to run: on all annotations of a trial, or without those of a fold."""

    name: str
    function: Callable[..., Any]
    trial: Trial
    fold: int | None = None
    exponent: float | None = None
    """The power to which the posterior of a fold is raised, if its fit need not find it."""


@dataclass(frozen=True)
class Ran:
    """What a fit found, and how it went. Of a fit without a fold, only what it says of that."""

    seconds: float
    n_iter: int
    converged: bool
    warnings: list[Warning]
    examples: pl.DataFrame = field(default_factory=pl.DataFrame)
    answer: Any = None
    """What it says of the examples with a known truth, if there are any."""
    exponent: float | None = None
    """The power to which its posterior is raised, if that is found from the log."""
    held_out: Floats | None = None
    """How well it predicts the annotations of the fold, in sums over them."""


def run(task: Task) -> Ran:
    """Run a method; its warnings are kept."""
    trial, seen = task.trial, task.trial.seen(task.fold)
    log = trial.log(seen) if task.fold is None else trial.part(task.fold, task.function)
    as_found = {} if task.exponent is None else {"confidence": "model"}
    with heard() as said:
        began = time.perf_counter()
        fit = task.function(log, **trial.options, **as_found, duplicates="all")
        examples = fit.examples.collect() if task.fold is None else pl.DataFrame()
        seconds = time.perf_counter() - began
    exponent = trial.exponent(fit, task.function)
    went = Ran(seconds, fit.n_iter, fit.converged, said, exponent=exponent)
    if task.fold is None:
        return replace(went, examples=examples, answer=trial.answer(fit, examples))
    if task.exponent is not None:
        fit = fit._to_the_power(task.exponent)
    return replace(went, held_out=trial.predicted(fit, seen, task.fold))


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

    def without(self, fold: int, whole: Task, exponent: float | None = None) -> Task:
        """The fit of a method without a fold; `exponent` is that of its fit without the first one."""
        name = f"{whole.name} without fold {fold + 1}"
        of_large = exponent if len(self.rows.example) >= LARGE else None
        return replace(whole, name=name, fold=fold, exponent=of_large)

    def exponent(self, fit: Any, function: Callable[..., Any]) -> float | None:
        """The power to which a fit found that its posterior is to be raised, if it asks that of the log."""
        return None

    @cached_property
    def _made(self) -> dict[str, tuple[int, Any]]:
        return {}

    def once(self, name: str, fold: int, make: Callable[[], T]) -> T:
        """What is made without a fold, for one method after the other."""
        kept = self._made.get(name)
        if kept is None or kept[0] != fold:
            kept = self._made[name] = (fold, make())
        found: T = kept[1]
        return found

    def seen(self, fold: int | None) -> Rows:
        """The annotations that are not in a fold."""
        if fold is None:
            return self.rows
        return self.once("seen", fold, lambda: self.rows.only(self.fold != fold))

    def asked(self, fold: int) -> Rows:
        """Those that are."""
        return self.once("asked", fold, lambda: self.rows.only(self.fold == fold))

    def log(self, rows: Rows) -> pl.DataFrame:
        """Annotations as a log."""
        log = {
            "example": self.examples.gather(rows.example),
            "annotator": self.annotators.gather(rows.annotator),
            "label": self.labels(rows.label),
        }
        return pl.DataFrame(log)

    def part(self, fold: int, function: Callable[..., Any]) -> Any:
        """The annotations without a fold, in a form that a method takes."""
        return self.log(self.seen(fold))

    def scores(self, whole: Ran, without: Sequence[Ran]) -> dict[str, float | None]:
        """What the table of methods says of one."""
        known = named(self.KNOWN, None if self.known is None else self.known_scores(whole))
        of_folds = [ran.held_out for ran in without if ran.held_out is not None]
        held_out = self.held_out_scores(np.sum(of_folds, axis=0)) if of_folds else None
        return known | named(self.HELD_OUT, held_out)

    def predicted(self, fit: Any, seen: Rows, fold: int) -> Floats:
        """How well the annotations of a fold are predicted by a fit without them: of examples that it has
        not seen by what it says on average."""
        found = self.found(fit)
        everywhere = np.repeat(found.mean(axis=0)[None], len(self.examples), axis=0)
        everywhere[np.bincount(seen.example, minlength=len(everywhere)) > 0] = found
        return self.held_out(everywhere, seen, self.asked(fold))

    @property
    def options(self) -> dict[str, Any]:
        """What a method is given."""
        return {}

    @abstractmethod
    def labels(self, labels: NDArray[Any]) -> pl.Series:
        """Labels as the log has them."""

    @abstractmethod
    def found(self, fit: Any) -> Floats:
        """What a fit says of its examples, the first axis of it."""

    @abstractmethod
    def answer(self, fit: Any, examples: pl.DataFrame) -> Any:
        """What it says of those with a known truth."""

    @abstractmethod
    def held_out(self, found: Floats, seen: Rows, asked: Rows) -> Floats:
        """How well labels are predicted by what was found of all examples, in sums."""

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
    def held_out_scores(self, sums: Floats) -> Scores:
        """HELD_OUT, from the sums over all folds."""

    @abstractmethod
    def to_others(self, own: pl.Series, others: pl.DataFrame) -> float:
        """OTHERS: how near other methods' labels are on average."""

    @staticmethod
    @abstractmethod
    def apart(names: list[str]) -> pl.Expr:
        """APART, 0 where methods agree."""
