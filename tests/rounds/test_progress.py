"""Progress on stderr: a bar for partitions, one line for iterations, with rich and without."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.rounds.progress import iterating, line

DATA = pc.datasets.tutorial()
NUMBERS = DATA.log.with_columns(pl.col("label").cast(pl.Float64))
ITERATIVE: dict[str, Callable[..., Any]] = {
    "GLAD": lambda **options: pc.glad(DATA.log, max_iter=4, tol=0.0, **options),
    "Dawid-Skene": lambda **options: pc.dawid_skene(DATA.log, max_iter=4, tol=0.0, **options),
    "CRH": lambda **options: pc.crh(NUMBERS, max_iter=4, tol=0.0, **options),
}


@pytest.fixture(params=["rich", "plain"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "rich.progress", None)
    return str(request.param)


@pytest.mark.parametrize("method", ITERATIVE)
@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
def test_iterations_are_one_line(method: str, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    fit = ITERATIVE[method](progress=True)
    told = capfd.readouterr()
    assert told.out == ""
    lines = [text.strip() for text in told.err.splitlines() if "iteration" in text]
    assert len(lines) == 1
    objective = f"{fit.trace[-1]:.6g}"
    assert re.search(rf"{method}: iteration {fit.n_iter}, objective {objective}\b", lines[0])
    assert re.search(r"\d:\d\d:\d\d$" if kind == "rich" else r", \d+\.\d s$", lines[0])


@pytest.mark.parametrize("method", ITERATIVE)
@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
def test_nothing_is_told_unasked(method: str, capfd: pytest.CaptureFixture[str]) -> None:
    ITERATIVE[method]()
    assert capfd.readouterr().err == ""


def test_partitions_without_rich(
    kind: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pc.AnnotationStore.create(tmp_path / "store", DATA.log, partitions=3, progress=True)
    lines = capfd.readouterr().err.splitlines()
    assert sum("3/3 partitions" in text for text in lines) == 1


def test_a_terminal_sees_every_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with iterating("Method", True) as tell:
        tell(1, -10.5)
        tell(2, -9.25)
    first, second, last = capsys.readouterr().err.strip("\r\n").split("\r")
    assert first.startswith("Method: iteration 1, objective -10.5, ")
    assert second.startswith("Method: iteration 2, objective -9.25, ")
    assert last == second


def test_a_line_survives_an_error(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with line(True) as tell:
            tell("step [1]")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert "step [1]" in capfd.readouterr().err
