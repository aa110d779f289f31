"""The coincidence matrix: printed ones, a definition in loops, and alpha from it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given

import polars_crowd as pc
from polars_crowd.reliability import coincidences as module
from polars_crowd.reliability.coefficients import agreement
from polars_crowd.reliability.coincidences import disagreements
from tests import DATA
from tests.cases import Case, assert_same, log_of_rows, several
from tests.reliability.agreement_cases import krippendorff_2011, looped

# --- values ---------------------------------------------------------------------------------------


def test_the_matrix_printed_by_krippendorff() -> None:
    found = disagreements(krippendorff_2011())
    printed = [
        [7, 4 / 3, 1 / 3, 1 / 3, 0],
        [4 / 3, 10, 4 / 3, 1 / 3, 0],
        [1 / 3, 4 / 3, 8, 1 / 3, 0],
        [1 / 3, 1 / 3, 1 / 3, 4, 0],
        [0, 0, 0, 0, 3],
    ]
    assert found["observed"].to_numpy().reshape(5, 5) == pytest.approx(np.array(printed), abs=1e-12)
    assert found["label_1"].to_list() == [k for k in range(1, 6) for _ in range(5)]
    assert found["label_2"].to_list() == list(range(1, 6)) * 5
    assert found.row(1)[3] == pytest.approx(9 * 13 / 39)
    assert found.row(0)[3] == pytest.approx(9 * 8 / 39)


@given(several())
def test_the_definition(case: Case) -> None:
    K = case.n_classes
    found = disagreements(case.log, classes=range(K))
    assert found["observed"].to_numpy().reshape(K, K) == pytest.approx(
        looped(case.labels, K), abs=1e-9
    )


@given(several())
def test_what_it_adds_up_to(case: Case) -> None:
    """Symmetric; observed and expected have the same margins; off the diagonal they give nominal alpha."""
    K = case.n_classes
    found = disagreements(case.log, classes=range(K))
    observed, expected = (found[c].to_numpy().reshape(K, K) for c in ("observed", "expected"))
    assert (observed == observed.T).all()
    assert expected.sum(axis=1) == pytest.approx(observed.sum(axis=1), abs=1e-9)
    alpha = agreement(case.log, coefficients="krippendorff_alpha", classes=range(K)).row(
        0, named=True
    )
    assert observed.sum() == pytest.approx(alpha["num_pairable"])
    off = 1 - np.eye(K)
    apart = (expected * off).sum()
    value = 1 - (observed * off).sum() / apart if apart else None
    assert alpha["value"] == (value if value is None else pytest.approx(value, abs=1e-9))
    assert found["ratio"].is_null().equals(found["expected"] == 0)


@given(several())
def test_relabelling_relabels(case: Case) -> None:
    K = case.n_classes
    turned = case.log.with_columns((pl.col("label") + 1) % K)
    cells = disagreements(case.log, classes=range(K)).with_columns(
        (pl.col("label_1", "label_2") + 1) % K
    )
    assert_same(
        disagreements(turned, classes=range(K)).sort("label_1", "label_2"),
        cells.sort("label_1", "label_2"),
    )


# --- groups, partitions, blocks -------------------------------------------------------------------


def test_groups() -> None:
    log = pl.read_parquet(DATA / "labelme" / "annotations.parquet")
    month = pl.col("example").rank("dense") % 3
    grouped = log.with_columns(month=month)
    found = disagreements(grouped, by="month")
    classes = sorted(log["label"].unique())
    for (value,), rows in grouped.group_by("month"):
        alone = disagreements(rows.drop("month"), classes=classes)
        assert_same(found.filter(month=value).drop("month"), alone)
    assert found.columns[0] == "month"


def test_large_tables_are_summed_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    log = pl.read_parquet(DATA / "labelme" / "annotations.parquet")
    whole = disagreements(log)
    monkeypatch.setattr(module, "DENSE", 1)
    assert_same(disagreements(log), whole)


# --- corner cases ---------------------------------------------------------------------------------


def test_classes_nobody_used_and_no_overlap() -> None:
    log = log_of_rows([(1, "a", "x"), (2, "b", "y")])
    found = disagreements(log, classes=["x", "y", "z"])
    assert found.height == 9
    assert found["observed"].sum() == 0
    assert found["expected"].sum() == 0
    assert found["ratio"].null_count() == 9


def test_one_annotator_is_an_error() -> None:
    with pytest.raises(pc.AnnotationError, match="one annotator only"):
        disagreements(log_of_rows([(1, "a", "x"), (2, "a", "y")]))


def test_too_many_classes() -> None:
    rows = [(e, a, "x") for e in range(2) for a in (0, 1)]
    classes = ["x", *(f"class {k}" for k in range(1999))]
    with pytest.raises(pc.MemoryLimitError, match="of 2,000 classes has 4,000,000 cells"):
        disagreements(log_of_rows(rows), classes=classes, memory_limit="200 MB")
