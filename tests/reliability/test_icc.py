"""Intraclass correlation: against pingouin, its definitions, and a known law."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pingouin
import polars as pl
import pytest
from hypothesis import assume, given
from scipy import stats

import polars_crowd as pc
from polars_crowd.reliability.registry import ICC_FORMS
from tests.reliability.agreement_cases import Matrix, log_of, matrices, matrix_of, published

OF_PINGOUIN = ("icc(1)", "icc(A,1)", "icc(C,1)", "icc(k)", "icc(A,k)", "icc(C,k)")
"""In the order of its rows; it calls them other names in each version."""


def forms_of(log: pl.DataFrame) -> dict[str, dict[str, Any]]:
    found = pc.icc(log, form=ICC_FORMS)
    return {row["coefficient"]: row for row in found.to_dicts()}


def noisy(n: int = 60, m: int = 4, seed: int = 5) -> pl.DataFrame:
    """A complete log: examples and annotators add up, with variances 1, 0.25, 0.5."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=m) + np.sqrt(0.5) * rng.normal(size=(n, m))
    example, annotator = np.indices(x.shape).reshape(2, -1)
    return pl.DataFrame({"example": example, "annotator": annotator, "label": x.ravel()})


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of pandas, in pingouin
@pytest.mark.parametrize("log", [published("irr_anxiety"), published("irr_video"), noisy()])
def test_six_forms_as_pingouin(log: pl.DataFrame) -> None:
    theirs = pingouin.intraclass_corr(
        pd.DataFrame(log.to_dict(as_series=False)), "example", "annotator", "label"
    )
    ours = forms_of(log)
    for form, row in zip(OF_PINGOUIN, theirs.to_dict("records"), strict=True):
        found = ours[form]
        assert found["value"] == pytest.approx(row["ICC"], abs=1e-9)
        assert found["p_value"] == pytest.approx(row["pval"], abs=1e-9)
        # pingouin rounds its intervals
        ends = [found["ci_low"], found["ci_high"]]
        assert ends == pytest.approx(list(row["CI95"]), abs=0.00501)


def test_intervals_of_mcgraw_and_wong() -> None:
    """Table 7, consistency and one-way, by SciPy's F."""
    x = matrix_of(noisy())
    n, k = x.shape
    rows, columns = x.mean(axis=1), x.mean(axis=0)
    MSR = k * rows.var(ddof=1)
    MSW = ((x - rows[:, None]) ** 2).sum() / (n * (k - 1))
    residual = x - rows[:, None] - columns + x.mean()
    MSE = (residual**2).sum() / ((n - 1) * (k - 1))
    found = forms_of(noisy())
    for error, df2, one, mean in (
        (MSW, n * (k - 1), "icc(1)", "icc(k)"),
        (MSE, (n - 1) * (k - 1), "icc(C,1)", "icc(C,k)"),
    ):
        low = MSR / error / stats.f.ppf(0.975, n - 1, df2)
        high = MSR / error * stats.f.ppf(0.975, df2, n - 1)
        ends = [found[one]["ci_low"], found[one]["ci_high"]]
        assert ends == pytest.approx([(f - 1) / (f + k - 1) for f in (low, high)], abs=1e-10)
        ends = [found[mean]["ci_low"], found[mean]["ci_high"]]
        assert ends == pytest.approx([1 - 1 / f for f in (low, high)], abs=1e-10)


@given(matrices())
def test_one_way_of_ragged_logs_by_definition(labels: Matrix) -> None:
    rows = [row[row >= 0].astype(float) for row in labels if (row >= 0).any()]
    n, R = len(rows), sum(map(len, rows))
    everything = np.concatenate(rows)
    assume(2 <= n < R and everything.var() > 0)
    MSR = sum(len(r) * (r.mean() - everything.mean()) ** 2 for r in rows) / (n - 1)
    MSW = sum(((r - r.mean()) ** 2).sum() for r in rows) / (R - n)
    k = (R - sum(len(r) ** 2 for r in rows) / R) / (n - 1)
    assume(MSR + (k - 1) * MSW > 1e-9)
    found = pc.icc(log_of(labels))["value"][0]
    assert found == pytest.approx((MSR - MSW) / (MSR + (k - 1) * MSW), abs=1e-9)


def test_what_was_put_in_comes_out() -> None:
    found = forms_of(noisy(4000, 30))
    assert found["icc(A,1)"]["value"] == pytest.approx(1 / 1.75, abs=0.06)
    assert found["icc(C,1)"]["value"] == pytest.approx(1 / 1.5, abs=0.02)
    for row in found.values():
        assert row["ci_low"] < row["value"] < row["ci_high"]


def test_bootstrap_of_one_way() -> None:
    found = pc.icc(noisy(400), interval="bootstrap").row(0, named=True)
    by_f = pc.icc(noisy(400)).row(0, named=True)
    assert found["value"] == by_f["value"]
    assert found["ci_low"] == pytest.approx(by_f["ci_low"], abs=0.03)
    assert found["ci_high"] == pytest.approx(by_f["ci_high"], abs=0.03)
    assert found["standard_error"] > 0
    two_way = pc.icc(noisy(400), form="icc(A,1)", interval="bootstrap")
    assert two_way["warning"][0].startswith("analytic interval")


def test_what_has_no_icc_says_why() -> None:
    gaps = pc.icc(noisy()[1:], form=["icc(1)", "icc(A,1)"])
    assert gaps["value"].is_null().to_list() == [False, True]
    assert gaps["reason"][1] == "not every annotator labelled every example: see icc(1)"
    text = published("gwet_g1g2")
    assert pc.icc(text)["reason"].to_list() == ["the labels are no numbers"]
    flat = noisy().with_columns(label=pl.lit(2.0))
    assert pc.icc(flat)["reason"].to_list() == ["the labels do not vary"]
    with pytest.raises(ValueError, match=r"form='icc\(2\)'; it must be among 'icc\(1\)'"):
        pc.icc(noisy(), form="icc(2)")


def test_a_share_of_no_variance_is_null() -> None:
    """Every example has the same mean, and every annotator too: what is left under the bar is none."""
    found = forms_of(log_of(np.array([[1, 2], [2, 1]])))
    assert found["icc(1)"]["value"] == found["icc(C,1)"]["value"] == -1
    for form in ("icc(k)", "icc(C,k)", "icc(A,1)", "icc(A,k)"):
        assert found[form]["value"] is None
        assert found[form]["reason"].startswith("the variance it is a share of is none")
    alike = forms_of(log_of(np.array([[1, 2], [1, 2]])))["icc(A,1)"]
    assert alike["value"] == 0
    assert alike["reason"] == "no interval: a variance that it goes by is none"


@given(matrices(gaps=False))
def test_no_form_is_above_one(labels: Matrix) -> None:
    for row in forms_of(log_of(labels)).values():
        assert row["value"] is None or row["value"] <= 1 + 1e-12


def test_perfect_labels() -> None:
    log = noisy().with_columns(label=pl.col("example").cast(pl.Float64))
    for row in forms_of(log).values():
        assert [row["value"], row["ci_low"], row["ci_high"]] == pytest.approx([1.0] * 3)
