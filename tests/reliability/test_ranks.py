"""Agreement on an order: against SciPy, and where there is none."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from scipy import stats

import polars_crowd as pc
from tests.cases import assert_same
from tests.reliability.agreement_cases import Matrix, log_of, matrices, published

BOTH = ["kendall_w", "spearman"]


def rows(log: Any, **options: Any) -> dict[str, dict[str, Any]]:
    found = pc.agreement(log, **{"coefficients": BOTH, **options})
    return {row["coefficient"]: row for row in found.iter_rows(named=True)}


def ordered(n: int = 60, m: int = 4, seed: int = 0) -> Matrix:
    """A few annotators who rate examples from 0 to 4, with many ties."""
    rng = np.random.default_rng(seed)
    return np.clip(np.round(rng.normal(2, 1, (n, 1)) + rng.normal(0, 0.8, (n, m))), 0, 4).astype(
        int
    )


@given(matrices(gaps=False, min_annotators=3))
def test_w_as_scipys_friedman(labels: Matrix) -> None:
    n, m = labels.shape
    tied = [np.unique(column).size for column in labels.T]
    assume(n > 2 and max(tied) > 1)
    statistic = stats.friedmanchisquare(*labels).statistic if n > 2 else np.nan
    # SciPy's blocks are rows: examples are its treatments
    assert pc.kendall_w(log_of(labels))["value"].item() == pytest.approx(
        statistic / (m * (n - 1)), abs=1e-9
    )


@given(matrices())
def test_spearman_as_scipy(labels: Matrix) -> None:
    found = []
    for a, b in combinations(labels.T, 2):
        both = (a >= 0) & (b >= 0)
        if both.any() and np.ptp(a[both]) and np.ptp(b[both]):
            found.append(stats.spearmanr(a[both], b[both]).statistic)
    value = pc.spearman(log_of(labels))["value"].item()
    assert value == (pytest.approx(np.mean(found), abs=1e-9) if found else None)


def test_w_is_the_mean_correlation_where_nothing_ties() -> None:
    rng = np.random.default_rng(1)
    log = log_of(np.argsort(rng.random((3, 20)), axis=1).T)
    found = rows(log)
    assert found["spearman"]["value"] == pytest.approx((3 * found["kendall_w"]["value"] - 1) / 2)


def test_p_value_of_w() -> None:
    row = rows(log_of(ordered(40, 3, 5)))["kendall_w"]
    F, df = 2 * row["value"] / (1 - row["value"]), 40 - 1 - 2 / 3
    assert row["p_value"] == pytest.approx(stats.f.sf(F, df, 2 * df), abs=1e-12)


def test_bootstrap_intervals() -> None:
    for row in rows(log_of(ordered(150)), interval="bootstrap", n_boot=300).values():
        assert row["ci_low"] < row["value"] < row["ci_high"]
        assert 0.05 < row["ci_high"] - row["ci_low"] < 0.4
        assert row["reason"] is None
    for row in rows(log_of(ordered())).values():
        assert (row["ci_low"], row["standard_error"]) == (None, None)
        assert row["reason"].startswith("no analytic interval")


def test_groups_and_stores(tmp_path: Path) -> None:
    log = log_of(ordered())
    groups = log.with_columns(of=pl.col("example").hash() % 2)
    for of in (0, 1):
        found = pc.agreement(groups, coefficients=BOTH, by="of").filter(of=of)
        alone = pc.agreement(groups.filter(of=of).drop("of"), coefficients=BOTH)
        assert_same(found.drop("of"), alone)
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=3)
    assert_same(pc.agreement(store, coefficients=BOTH), pc.agreement(log, coefficients=BOTH))


def test_numbers_that_are_written_as_text_are_in_their_order(tmp_path: Path) -> None:
    """Of a file whose labels were read as text, decimals and tens included, as icc reads them."""
    log = log_of(ordered()).with_columns(pl.col("label") * 4 + 0.5)
    text = log.with_columns(pl.col("label").cast(pl.String))
    assert text["label"].unique().sort().to_list() != sorted(text["label"].unique(), key=float)
    assert_same(pc.agreement(text, coefficients=BOTH), pc.agreement(log, coefficients=BOTH))
    with_icc = [*BOTH, "icc"]
    assert_same(pc.agreement(text, coefficients=with_icc), pc.agreement(log, coefficients=with_icc))
    digits = log_of(ordered()).with_columns(pl.col("label").cast(pl.String))
    tens = digits.with_columns((pl.col("label").cast(pl.Int64) * 4).cast(pl.String))
    of_example = pl.DataFrame({"example": log["example"].unique(), "g": "a"})
    for name, of in {"tens": tens, "digits": digits}.items():
        store = pc.AnnotationStore.create(tmp_path / name, of, partitions=2)
        for asked in (BOTH, ["icc(1)", "icc(A,1)"]):
            expected = pc.agreement(of, coefficients=asked)
            assert expected["value"].null_count() == 0
            assert_same(pc.agreement(store, coefficients=asked), expected)
            found = pc.agreement(store, coefficients=asked, by=of_example)
            assert_same(found.drop("g"), expected)
        by_level = partial(pc.agreement, coefficients="krippendorff_alpha", level="interval")
        assert_same(by_level(store), by_level(of))
    words = digits.with_columns(
        pl.when(pl.col("label") == "1").then(pl.lit("one")).otherwise("label").alias("label")
    )
    with pytest.raises(pc.AnnotationError, match="one"):
        pc.spearman(words)


def test_what_has_no_order_says_why() -> None:
    text = published("gwet_g1g2")
    reasons = {row["reason"] for row in rows(text).values()}
    assert reasons == {"the labels have no order: say that of the classes, or give numbers"}
    classes = text["label"].unique().sort().to_list()
    assert rows(text, classes=classes)["spearman"]["value"] is not None
    gaps = rows(log_of(ordered())[1:])
    assert (
        gaps["kendall_w"]["reason"]
        == "not every annotator labelled every example, once: see spearman"
    )
    assert gaps["spearman"]["value"] is not None
    flat = log_of(np.zeros((4, 3), int))
    for row in rows(flat).values():
        assert row["reason"].startswith("annotators gave all examples the same label")


@pytest.mark.parametrize("coefficient", BOTH)
def test_a_difference_is_refused(coefficient: str) -> None:
    log = log_of(ordered())
    with pytest.raises(ValueError, match="the difference of intraclass and rank correlations"):
        pc.agreement_difference(log, log, coefficient=coefficient)
