"""What the methods of truth inference can be asked for, checked: iterations, known labels, beginnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from polars_crowd.inputs.checks import Duplicates
from polars_crowd.rounds.opening import open_rounds
from polars_crowd.rounds.partitions import Partitioned
from polars_crowd.rounds.rounds import Rounds


@dataclass(frozen=True)
class Options:
    """The options that all methods share."""

    pred_probs: Any = None
    gold: Any = None
    init: Any = "majority_vote"
    classes: Sequence[Any] | None = None
    duplicates: Duplicates = "error"
    max_iter: int = 100
    tol: float = 1e-6
    into: str | Path | None = None
    executor: Any = None
    progress: bool = False

    def __post_init__(self) -> None:
        check_count("max_iter", self.max_iter, 1)
        check_number("tol", self.tol, 0.0)

    def open(self, log: Any, known_classes: Sequence[Any] | None = None) -> Rounds:
        """The rounds of a log; `known_classes` are those of an earlier fit.

        The models of a store are used only where `pred_probs=True` asks for them.
        """
        given: dict[str, Any] = {"duplicates": self.duplicates, "into": self.into}
        given |= {"executor": self.executor, "progress": self.progress}
        if self.classes is not None:
            given["classes"] = self.classes
        elif not isinstance(log, Partitioned):
            given["classes"] = known_classes
        asks = self.pred_probs is True
        if asks and not isinstance(log, Partitioned):
            raise ValueError(
                "pred_probs=True is for a store; give the models' probabilities themselves."
            )
        rounds = open_rounds(log, None if asks else self.pred_probs, **given)
        if asks and not rounds.n_models:
            raise ValueError("pred_probs=True, but the store has none. Make it with pred_probs.")
        return rounds if asks or not isinstance(log, Partitioned) else replace(rounds, n_models=0)


def check_count(name: str, value: Any, least: int) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r}; it must be an integer of at least {least}.")


def check_number(name: str, value: Any, least: float, *, above: bool = False) -> None:
    """A finite number of at least `least`, or above it."""
    fine = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not fine or not np.isfinite(value) or value < least or (above and value == least):
        bound = f"above {least:g}" if above else f"of at least {least:g}"
        raise ValueError(f"{name}={value!r}; it must be a number {bound}.")


# --- frames keyed by example: gold, and labels to begin with ---------------------------------------


# --- frames keyed by annotator: what is known of them from the past ---------------------------------
