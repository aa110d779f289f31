"""A fit can be pickled and copied, wherever its log lies: the copy has the same tables, and predicts."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal, assert_series_equal

import polars_crowd as pc
from polars_crowd.rounds.results import Fit

DATA = pc.datasets.tutorial()
NUMBERS = DATA.log.with_columns(pl.col("label").cast(pl.Float64))
SETS = pl.DataFrame(
    {
        "example": ["e1", "e1", "e2", "e2"],
        "annotator": ["a", "b", "a", "b"],
        "label": [["x"], ["x", "y"], [], ["y"]],
    }
)
SET_PROBS = pl.DataFrame(
    {"example": ["e1", "e2", "e3"], "x": [0.9, 0.2, 0.1], "y": [0.3, 0.6, 0.7]}
)
COMPARED = pl.DataFrame(
    {"annotator": "a", "left": ["p", "q"], "right": ["q", "p"], "winner": ["p", "p"]}
)


def store_in(path: Path) -> pc.AnnotationStore:
    return pc.AnnotationStore.create(path / "store", DATA.log, DATA.pred_probs, partitions=3)


FITS: dict[str, Callable[[Path], Fit]] = {
    "crowdlab": lambda _: pc.crowdlab(DATA.log, DATA.pred_probs, calibrate=True),
    "with other columns": lambda _: pc.crowdlab(
        DATA.log.with_columns(note=pl.lit("x")).lazy(), DATA.pred_probs.lazy()
    ),
    "sets": lambda _: pc.multilabel_crowdlab(SETS, SET_PROBS),
    "truth": lambda _: pc.dawid_skene(DATA.log, DATA.pred_probs),
    "glad": lambda _: pc.glad(DATA.log),
    "wawa": lambda _: pc.wawa(DATA.log),
    "numbers": lambda _: pc.crh(NUMBERS),
    "preferences": lambda _: pc.bradley_terry(COMPARED),
    "comparison": lambda _: pc.compare(DATA.log, ["wawa"], folds=0),
    "store": lambda path: pc.crowdlab(store_in(path), calibrate=True),
    "truth of a store": lambda path: pc.dawid_skene(store_in(path), tol=1e-3),
    "into": lambda path: pc.crowdlab(store_in(path), into=path / "results"),
    "truth into": lambda path: pc.dawid_skene(DATA.log, into=path / "results"),
}
COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda fit: pickle.loads(pickle.dumps(fit)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def tables_of(fit: Fit) -> dict[str, pl.DataFrame | pl.Series]:
    tables = {name: fit._table(name) for name in fit.TABLES}
    return {
        name: table if isinstance(table, pl.Series) else table.lazy().collect()
        for name, table in tables.items()
        if table is not None
    }


def assert_same_tables(found: Fit, expected: Fit) -> None:
    assert_told_by(found, repr(expected), tables_of(expected))


def assert_told_by(found: Fit, text: str, expected: dict[str, pl.DataFrame | pl.Series]) -> None:
    assert repr(found) == text
    tables = tables_of(found)
    assert tables.keys() == expected.keys()
    for name, there in expected.items():
        here = tables[name]
        if isinstance(there, pl.Series):
            assert isinstance(here, pl.Series)
            assert_series_equal(here, there)
        else:
            assert isinstance(here, pl.DataFrame)
            assert_frame_equal(here, there)


@pytest.mark.parametrize("name", FITS)
def test_a_copy_has_the_same_tables(name: str, tmp_path: Path) -> None:
    fit = FITS[name](tmp_path)
    before = [make(fit) for make in COPIES.values()]
    expected = repr(fit), tables_of(fit)
    for found in before:
        assert_told_by(found, *expected)
    for make in COPIES.values():
        assert_told_by(make(fit), *expected)  # with all that was computed meanwhile


@pytest.mark.parametrize("name", ["truth of a store", "glad", "numbers"])
def test_a_copy_predicts(name: str, tmp_path: Path) -> None:
    fit: Any = FITS[name](tmp_path)
    other = (NUMBERS if name == "numbers" else DATA.log).filter(pl.col("example") < "050")
    copies = [make(fit) for make in COPIES.values()]
    expected = fit.predict(other).examples.collect()
    for found in copies:
        assert_frame_equal(found.predict(other).examples.collect(), expected)


@pytest.mark.parametrize("kind", ["pickle", "deepcopy"])
def test_a_copy_outlives_the_fit(kind: str, tmp_path: Path) -> None:
    fit: Any = FITS["store"](tmp_path)
    expected = fit.examples.collect()
    found = COPIES[kind](fit)
    work = Path(found._rounds.work.work)
    del fit
    gc.collect()
    assert_frame_equal(found.examples.collect(), expected)
    del found
    gc.collect()
    assert not work.exists()


def test_a_fit_with_an_executor(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as executor:
        fit = pc.crowdlab(store_in(tmp_path), executor=executor)
        found = pickle.loads(pickle.dumps(fit))
        assert_same_tables(found, fit)


def test_another_process_opens_it(tmp_path: Path) -> None:
    fit: Any = FITS["truth of a store"](tmp_path)
    (tmp_path / "fit.pickle").write_bytes(pickle.dumps(fit))
    code = (
        "import pickle, sys; fit = pickle.load(open(sys.argv[1], 'rb'));"
        "print(fit.examples.collect().hash_rows().sum())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "fit.pickle")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == fit.examples.collect().hash_rows().sum()


def test_opened_results_are_copied(tmp_path: Path) -> None:
    FITS["truth"](tmp_path).write(tmp_path / "kept")
    found = pc.open_results(tmp_path / "kept")
    for make in COPIES.values():
        assert repr(make(found)) == repr(found)
        assert make(found).converged == found.converged
