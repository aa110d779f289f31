"""Warnings point at the line that called the library, however deep below it they were said."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.compat import cleanlab
from polars_crowd.errors import AnnotationWarning, warn
from polars_crowd.truth.registry import METHODS

LOG = pl.DataFrame(
    {
        "example": [1, 1, 2, 2, 3],
        "annotator": ["a", "b", "a", "b", "c"],
        "label": ["x", "y", "y", "y", "x"],
    }
)
NUMBERS = LOG.with_columns(label=pl.Series([1.0, 2.0, 3.0, 5.0, 4.0]))
COMPARISONS = pl.DataFrame(
    {
        "left": ["a", "b", "x"],
        "right": ["b", "a", "y"],
        "annotator": [1, 2, 1],
        "winner": ["a", "a", "x"],
    }
)
OF_KIND = {"classes": LOG, "numbers": NUMBERS, "comparisons": COMPARISONS}
PROBS = pl.DataFrame({"example": [1, 2, 3], "x": [0.2, 0.3, 0.7], "y": [0.8, 0.7, 0.3]})
SETS = LOG.with_columns(pl.concat_list("label"))
GOLD = pl.DataFrame({"example": [1, 9], "label": ["x", "y"]})
CROWD = pl.DataFrame({"example": [i for i in range(9) for _ in range(9)]}).with_columns(
    annotator=pl.int_range(81) % 9, label=pl.int_range(81) % 2
)

CALLS: dict[str, Callable[[Path], Any]] = {
    "crowdlab": lambda _: pc.crowdlab(LOG, PROBS),
    "crowdlab of a store": lambda path: pc.crowdlab(
        pc.AnnotationStore.create(path / "s", LOG, PROBS)
    ),
    "multilabel_crowdlab": lambda _: pc.multilabel_crowdlab(SETS, PROBS),
    "namespace": lambda _: LOG.crowd.crowdlab(PROBS),  # type: ignore[attr-defined]
    "known labels": lambda _: pc.dawid_skene(LOG, gold=GOLD),
    "pairwise_agreement": lambda _: pc.pairwise_agreement(CROWD, max_pairs=100),
    "cleanlab": lambda _: cleanlab.get_majority_vote_label(np.array([[0, 1], [1, 0], [1, 0]])),
    "a separator": lambda path: pc.majority_vote(semicolons(path)),
}
QUIET = {"mean", "median"}
"""Methods that have nothing to warn of."""


def semicolons(path: Path) -> str:
    LOG.write_csv(path / "log.csv", separator=";")
    return str(path / "log.csv")


def places_of_warnings(call: Callable[[], Any]) -> set[tuple[str, int]]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        call()
    return {(w.filename, w.lineno) for w in said}


@pytest.mark.parametrize("name", CALLS)
def test_warnings_point_at_the_call(name: str, tmp_path: Path) -> None:
    call = CALLS[name]
    assert places_of_warnings(lambda: call(tmp_path)) == {(__file__, call.__code__.co_firstlineno)}


@pytest.mark.parametrize("name", sorted(METHODS.keys() - QUIET))
def test_warnings_of_every_method_point_at_the_call(name: str) -> None:
    method = METHODS[name]
    call = lambda: method.function(OF_KIND[method.labels])  # noqa: E731
    assert places_of_warnings(call) == {(__file__, call.__code__.co_firstlineno)}


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_warnings_from_inside_a_lazy_table_point_at_its_collect(engine: Any) -> None:
    inside: dict[str, Any] = {"__name__": "polars_crowd.somewhere", "warn": warn}
    exec("def judge(frame):\n    warn('it is so')\n    return frame\n", inside)
    table = LOG.lazy().map_batches(inside["judge"])
    call = lambda: table.collect(engine=engine)  # noqa: E731
    assert places_of_warnings(call) == {(__file__, call.__code__.co_firstlineno)}


def test_warnings_are_said_once_for_each_line() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default", AnnotationWarning)
        for _ in range(3):
            pc.wawa(LOG)
        pc.wawa(LOG)
    assert len(said) == 2
