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
from statsmodels.regression.mixed_linear_model import MixedLM

import polars_crowd as pc
from polars_crowd.reliability.registry import ICC_FORMS
from tests import cases
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
    few = pl.DataFrame(
        {"example": [1, 1, 2, 2, 3, 3], "annotator": range(6), "label": [1, 2, 4, 5, 7, 9]}
    )
    apart = pc.icc(few, form=["icc(1)", "icc(A,1)"])
    assert apart["value"].is_null().to_list() == [False, True]
    assert apart["reason"][1].startswith("examples, annotators and the rest cannot be told apart")
    infinite = noisy().with_columns(pl.col("label").replace(noisy()["label"][0], np.inf))
    assert pc.icc(infinite)["reason"].to_list() == ["a label is infinite"]
    text = published("gwet_g1g2")
    assert pc.icc(text)["reason"].to_list() == ["the labels are no numbers"]
    flat = noisy().with_columns(label=pl.lit(2.0))
    assert pc.icc(flat)["reason"].to_list() == ["the labels do not vary"]
    with pytest.raises(ValueError, match=r"form='icc\(2\)'; it must be among 'icc\(1\)'"):
        pc.icc(noisy(), form="icc(2)")


def test_two_way_with_repeats_is_null() -> None:
    """Every example has two annotations, as there are annotators, but not one of each."""
    rows = [(1, "a", 1), (1, "b", 2), (2, "a", 3), (2, "a", 3), (3, "a", 5), (3, "a", 6)]
    log = cases.log_of_rows([*rows, (4, "b", 7), (4, "b", 7)])
    found = pc.icc(log, form=ICC_FORMS, duplicates="all")
    assert found["value"].is_null().to_list() == [
        "(1)" not in f and "(k)" not in f for f in ICC_FORMS
    ]
    why = "an annotator labelled an example more than once: see icc(1)"
    assert set(found["reason"]) == {None, why}
    groups = pl.concat([log.with_columns(of=pl.lit(of)) for of in "xy"]).filter(
        (pl.col("of") == "x") | (pl.col("example") == 1)
    )
    assert pc.icc(groups, form="icc(A,1)", by="of", duplicates="all")["reason"][0] == why


# --- gaps ------------------------------------------------------------------------------------------


def gappy(share: float, n: int, m: int, seed: int = 3) -> pl.DataFrame:
    """Some of the annotations of a complete log."""
    log = noisy(n, m, seed)
    return log.filter(pl.Series(np.random.default_rng(seed).random(log.height) < share))


def henderson(log: pl.DataFrame) -> tuple[float, float, float]:
    """Variances of examples, annotators and the rest, by traces of projections (method 1)."""
    x = log["label"].to_numpy()
    n = len(x)
    of = [np.ones((n, 1))]
    of += [log.select(c).to_dummies().to_numpy().astype(float) for c in ("example", "annotator")]
    P_1, P_a, P_b = (Z @ np.linalg.solve(Z.T @ Z, Z.T) for Z in of)
    forms = [P_a - P_1, P_b - P_1, np.eye(n) - P_a - P_b + P_1]
    effects = [of[1] @ of[1].T, of[2] @ of[2].T, np.eye(n)]
    expected = [[np.trace(form @ effect) for effect in effects] for form in forms]
    A, B, E = np.linalg.solve(np.array(expected), [x @ form @ x for form in forms])
    return float(A), float(B), float(E)


@pytest.mark.parametrize(("share", "n", "m"), [(1.0, 12, 4), (0.8, 15, 4), (0.3, 60, 9)])
def test_gaps_by_the_expectations_of_sums_of_squares(share: float, n: int, m: int) -> None:
    log = gappy(share, n, m)
    A, B, E = henderson(log)
    found = forms_of(log)
    assert found["icc(A,1)"]["value"] == pytest.approx(A / (A + B + E), abs=1e-9)
    assert found["icc(C,1)"]["value"] == pytest.approx(A / (A + E), abs=1e-9)


def test_gaps_about_as_restricted_maximum_likelihood() -> None:
    log = gappy(0.4, 80, 12)
    frame = pd.DataFrame(log.to_dict(as_series=False)).assign(one=1)
    crossed = {"example": "0 + C(example)", "annotator": "0 + C(annotator)"}
    model = MixedLM.from_formula("label ~ 1", groups="one", vc_formula=crossed, data=frame)
    fit = model.fit(reml=True)
    variances = dict(zip(model.exog_vc.names, fit.vcomp, strict=True))
    A, B, E = variances["example"], variances["annotator"], fit.scale
    found = forms_of(log)
    assert found["icc(A,1)"]["value"] == pytest.approx(A / (A + B + E), abs=0.03)
    assert found["icc(C,1)"]["value"] == pytest.approx(A / (A + E), abs=0.03)


def test_gaps_have_no_bias() -> None:
    """Variances 1, 0.25 and 0.5, on half of the annotations."""
    found = forms_of(gappy(0.5, 3000, 60))
    for form, value in {"icc(A,1)": 1 / 1.75, "icc(C,1)": 1 / 1.5}.items():
        row = found[form]
        assert row["value"] == pytest.approx(value, abs=0.03)
        assert row["ci_low"] < row["value"] < row["ci_high"]


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
