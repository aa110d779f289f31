"""The namespace `crowd` is the functions themselves, and importing the package brings no extra with it."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import polars_crowd as pc
from polars_crowd.namespace import Crowd

EXTRAS = (
    *("pandas", "pyarrow", "scipy", "sklearn", "duckdb", "cleanlab", "matplotlib", "altair"),
    *("typer", "rich", "dask", "distributed", "hypothesis"),
)


@pytest.fixture(scope="module")
def data() -> pc.datasets.Dataset:
    return pc.datasets.tutorial()


@pytest.mark.parametrize("lazy", [False, True])
def test_methods_are_the_functions(data: pc.datasets.Dataset, lazy: bool) -> None:
    frame: Any = data.log.lazy() if lazy else data.log
    assert_frame_equal(frame.crowd.scan_annotations().collect(), data.log)
    assert_frame_equal(frame.crowd.check_annotations(), pc.check_annotations(data.log))
    assert_frame_equal(frame.crowd.to_wide(), pc.to_wide(data.log))
    for probs in ((), (data.pred_probs,)):
        vote = frame.crowd.majority_vote(*probs)
        assert isinstance(vote, pl.LazyFrame)
        assert_frame_equal(vote.collect(), pc.majority_vote(data.log, *probs).collect())
    options = {"consensus_method": "majority_vote", "calibrate": True}
    found = frame.crowd.crowdlab(data.pred_probs, **options)
    expected = pc.crowdlab(data.log, data.pred_probs, **options)  # type: ignore[arg-type]
    assert_frame_equal(found.examples.collect(), expected.examples.collect())
    assert_frame_equal(found.annotators, expected.annotators)


def test_other_names_of_columns(data: pc.datasets.Dataset) -> None:
    names = {"example": "task", "annotator": "worker", "label": "answer"}
    frame: Any = data.log.rename(names)
    log = frame.crowd.scan_annotations(**names)
    assert_frame_equal(log.collect(), data.log)
    assert log.crowd.majority_vote().collect().height == data.truth.height
    with pytest.raises(pc.AnnotationError, match="the log has no column 'example'"):
        frame.crowd.majority_vote()


def test_every_function_of_a_log_is_a_method(data: pc.datasets.Dataset) -> None:
    crowd = Crowd(data.log)
    methods = dir(crowd)
    assert {"crowdlab", "dawid_skene", "agreement", "to_wide", "scan_annotations"} <= set(methods)
    assert "from_wide" not in methods
    assert "AnnotationStore" not in methods
    for name in methods:
        assert getattr(crowd, name).__doc__ == getattr(pc, name).__doc__
    assert crowd.dawid_skene(max_iter=200).n_iter > 1
    with pytest.raises(AttributeError, match="the namespace 'crowd' has no 'from_wide'"):
        _ = crowd.from_wide


def test_importing_brings_no_extra() -> None:
    """Only Polars and NumPy, so that it takes hardly longer than these."""
    script = f"import sys, polars_crowd; print([m for m in {EXTRAS} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_what_is_public_is_listed() -> None:
    assert sorted(pc.__all__) == list(pc.__all__)
    assert all(hasattr(pc, name) for name in pc.__all__)
    for name in pc.__all__:
        assert inspect.getdoc(getattr(pc, name)), name


def test_the_stub_and_the_package_name_the_same() -> None:
    stub = ast.parse(Path(pc.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    declared = {
        (alias.name, str(node.module).removeprefix("polars_crowd").strip("."))
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert declared == set(pc._MODULES.items())  # type: ignore[attr-defined]
    assert dir(pc) == sorted([*pc.__all__, "__version__"])
    assert all(hasattr(pc, name) for name in pc.__all__)
