"""Intervals: distributions against SciPy, coverage by simulation, bootstrap, differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import polars_crowd as pc
from polars_crowd.numerics.special import f_cdf, f_quantile, f_upper, t_cdf, t_quantile, t_tails
from polars_crowd.reliability import difference
from polars_crowd.reliability.intervals import bca
from polars_crowd.reliability.registry import COEFFICIENTS
from polars_crowd.reliability.soundness import NOTHING_VARIES
from tests.cases import assert_same
from tests.reliability.agreement_cases import log_of, published

DEGREES = st.one_of(st.floats(0.5, 60), st.floats(60, 5e4), st.integers(1, 10**6))
SHARES = st.floats(0.001, 0.999)

# --- distributions ---------------------------------------------------------------------------------


@given(st.floats(-60, 60), DEGREES)
def test_students_t(t: float, df: float) -> None:
    assert t_cdf(t, df) == pytest.approx(stats.t.cdf(t, df), rel=1e-10, abs=1e-14)
    assert t_tails(t, df) == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-10, abs=1e-14)


@given(SHARES, DEGREES)
def test_quantiles_of_t(p: float, df: float) -> None:
    assert t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-10, abs=1e-10)


ABOUT = 1e-9
"""SciPy 1.15 is off by 2e-10 itself at a million degrees of freedom."""


@given(st.floats(1e-3, 50), DEGREES, DEGREES)
def test_f(f: float, one: float, other: float) -> None:
    assert f_cdf(f, one, other) == pytest.approx(stats.f.cdf(f, one, other), abs=ABOUT)
    assert f_upper(f, one, other) == pytest.approx(stats.f.sf(f, one, other), abs=ABOUT)


@given(SHARES, st.floats(1, 5e4), st.floats(1, 5e4))
def test_quantiles_of_f(p: float, one: float, other: float) -> None:
    assert f_quantile(p, one, other) == pytest.approx(stats.f.ppf(p, one, other), rel=1e-9)


# --- bootstrap -------------------------------------------------------------------------------------


def crowd(seed: int, n: int = 120, accuracy: float = 0.75) -> pl.DataFrame:
    """3 of 5 annotators on each example, right with this probability, 3 classes of unequal shares."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    labels = np.where(rng.random((n, 5)) < accuracy, truth[:, None], rng.integers(0, 3, (n, 5)))
    for row in labels:
        row[rng.choice(5, 2, replace=False)] = -1
    return log_of(labels)


COVERED = ("percent_agreement", "fleiss_kappa", "conger_kappa", "gwet_ac1", "krippendorff_alpha")


def test_analytic_intervals_cover_the_truth() -> None:
    truth = pc.agreement(crowd(1, n=200_000), coefficients=COVERED)["value"]
    logs = pl.concat(
        crowd(seed).with_columns(pl.col("example") + 1000 * seed, run=pl.lit(seed))
        for seed in range(10, 410)
    )
    found = pc.agreement(logs, coefficients=COVERED, by="run", classes=[0, 1, 2])
    of_run = found.join(
        pl.DataFrame({"coefficient": COVERED, "truth": truth}), on="coefficient", how="left"
    )
    inside = pl.col("truth").is_between("ci_low", "ci_high")
    covered = of_run.group_by("coefficient").agg(inside.mean().alias("share"))
    # 400 runs: the share of a right interval lies in 0.95 -+ 4 x 0.011
    assert covered["share"].is_between(0.905, 0.995).all(), covered


def test_bootstrap_intervals_cover_the_truth() -> None:
    options: dict[str, Any] = {"coefficients": ["fleiss_kappa", "gwet_ac1"], "n_boot": 400}
    truth = pc.agreement(crowd(1, n=200_000), coefficients=options["coefficients"])["value"]
    hits = []
    for seed in range(10, 130):
        found = pc.agreement(crowd(seed), interval="bootstrap", seed=seed, **options)
        hits.append(truth.is_between(found["ci_low"], found["ci_high"]).to_list())
    # 120 runs: 0.95 -+ 4 x 0.02
    assert (np.mean(hits, axis=0) > 0.87).all()


def test_bootstrap_agrees_with_analytic_on_many_examples() -> None:
    log = crowd(3, n=3000)
    options: dict[str, Any] = {"coefficients": [*COVERED, "light_kappa", "brennan_prediger"]}
    drawn = pc.agreement(log, interval="bootstrap", n_boot=1000, **options)
    analytic = pc.agreement(log, **options)
    assert_same(drawn.select("coefficient", "value"), analytic.select("coefficient", "value"))
    for column, tolerance in {"standard_error": 0.1, "ci_low": 0.01, "ci_high": 0.01}.items():
        assert drawn[column].to_numpy() == pytest.approx(analytic[column].to_numpy(), rel=tolerance)


def test_cohen_and_scott_are_drawn_too() -> None:
    log = published("gwet_ben_gerry")
    options: dict[str, Any] = {"coefficients": ["cohen_kappa", "scott_pi"]}
    drawn = pc.agreement(log, interval="bootstrap", **options)
    analytic = pc.agreement(log, **options)
    assert drawn["standard_error"].to_numpy() == pytest.approx(
        analytic["standard_error"].to_numpy(), rel=0.2
    )
    assert (drawn["ci_low"] < drawn["value"]).all()


def test_draws_go_by_the_seed() -> None:
    log = crowd(3)
    one, again, other = (
        pc.krippendorff_alpha(log, interval="bootstrap", n_boot=99, seed=s) for s in (1, 1, 2)
    )
    assert one.equals(again)
    assert not one["ci_low"].equals(other["ci_low"])


def test_bca_as_scipy_bootstraps_a_mean() -> None:
    rng = np.random.default_rng(0)
    x = rng.exponential(size=40)
    theirs = stats.bootstrap((x,), np.mean, n_resamples=20_000, method="BCa", rng=rng)
    draws = rng.multinomial(40, np.full(40, 1 / 40), size=20_000) @ x / 40
    d = x - x.mean()
    acceleration = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    ours = bca(x.mean(), draws, acceleration, 0.95, np.inf)
    assert ours.ci_low[0] == pytest.approx(theirs.confidence_interval.low, abs=0.02)
    assert ours.ci_high[0] == pytest.approx(theirs.confidence_interval.high, abs=0.02)
    assert ours.standard_error[0] == pytest.approx(theirs.standard_error, rel=0.05)


# --- differences -----------------------------------------------------------------------------------


def pools(seed: int = 3, n: int = 400) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two pools of annotators on the same examples."""
    log = crowd(seed, n=n)
    in_one = pl.col("annotator").is_in(["a00", "a01", "a02"])
    return log.filter(in_one), log.filter(~in_one)


@pytest.mark.parametrize("interval", ["bootstrap", "analytic"])
def test_a_difference_of_groups_adds_their_variances(interval: Any) -> None:
    log = crowd(3, n=800)
    one, other = log.filter(pl.col("example") < 300), log.filter(pl.col("example") >= 300)
    found = pc.agreement_difference(one, other, interval=interval).row(0, named=True)
    alone = [
        pc.krippendorff_alpha(side, interval=interval).row(0, named=True) for side in (one, other)
    ]
    assert found["value_a"] == pytest.approx(alone[0]["value"], abs=1e-12)
    assert found["difference"] == pytest.approx(alone[0]["value"] - alone[1]["value"], abs=1e-12)
    error = np.hypot(*(side["standard_error"] for side in alone))
    assert found["standard_error"] == pytest.approx(error, rel=0.08)
    assert found["num_shared"] == 0
    assert (found["num_examples_a"], found["num_examples_b"]) == (300, 500)


def test_labels_of_which_none_is_in_both_logs() -> None:
    ids = {"example": [1, 1, 2, 2], "annotator": ["a", "b"] * 2}
    one = pl.DataFrame({**ids, "label": ["1", "2", "1", "1"]})
    other = pl.DataFrame({**ids, "label": ["A", "B", "A", "A"]})
    said = (
        r"labels of a \('1', '2'\) and those of b \('A', 'B'\) have none in common: they count as 4"
    )
    with pytest.warns(pc.AnnotationWarning, match=said):
        found = pc.agreement_difference(one, other)
    assert found["value_a"].item() == found["value_b"].item()


def test_shared_examples_are_drawn_together() -> None:
    """A coefficient less itself does not vary, and less a near relative varies little."""
    log = crowd(3)
    same = pc.agreement_difference(log, log).row(0, named=True)
    assert same["num_shared"] == 120
    assert [same[c] for c in ("difference", "standard_error")] == pytest.approx(
        [0.0] * 2, abs=1e-12
    )
    assert (same["ci_low"], same["ci_high"], same["reason"]) == (None, None, NOTHING_VARIES)
    near = pc.agreement_difference(log, coefficient="fleiss_kappa", other="krippendorff_alpha")
    alone = pc.fleiss_kappa(log, interval="bootstrap")
    assert near["standard_error"][0] < alone["standard_error"][0] / 50


@pytest.mark.parametrize("coefficient", ["krippendorff_alpha", "fleiss_kappa", "gwet_ac1"])
def test_both_intervals_of_a_difference_agree(coefficient: str) -> None:
    one, other = pools(n=2000)
    drawn, analytic = (
        pc.agreement_difference(one, other, coefficient=coefficient, interval=i).row(0, named=True)
        for i in ("bootstrap", "analytic")
    )
    assert drawn["difference"] == analytic["difference"]
    assert drawn["standard_error"] == pytest.approx(analytic["standard_error"], rel=0.08)
    assert drawn["ci_low"] == pytest.approx(analytic["ci_low"], abs=0.01)
    assert drawn["ci_high"] == pytest.approx(analytic["ci_high"], abs=0.01)


@pytest.mark.parametrize(("coefficient", "n"), [("conger_kappa", 60), ("light_kappa", 400)])
def test_differences_of_what_asks_who_voted(coefficient: str, n: int) -> None:
    one, other = pools(n=n)
    found = pc.agreement_difference(one, other, coefficient=coefficient, n_boot=200)
    values = [
        pc.agreement(side, coefficients=coefficient, classes=[0, 1, 2])["value"][0]
        for side in (one, other)
    ]
    assert found.select("value_a", "value_b").row(0) == pytest.approx(tuple(values), abs=1e-9)
    row = found.row(0, named=True)
    assert row["ci_low"] < row["difference"] < row["ci_high"]


def test_classes_of_both_logs_count() -> None:
    one, other = (
        log_of(np.array([[0, 0], [1, 1], [0, 1]])),
        log_of(np.array([[2, 2], [1, 1], [2, 1]])),
    )
    found = pc.agreement_difference(one, other, coefficient="brennan_prediger")
    alone = pc.brennan_prediger(one, classes=[0, 1, 2])
    assert found["value_a"].to_list() == alone["value"].to_list()


def test_a_difference_on_stores(tmp_path: Any) -> None:
    one, other = pools()
    stores = [
        pc.AnnotationStore.create(tmp_path / str(i), side, partitions=3, classes=[0, 1, 2])
        for i, side in enumerate((one, other))
    ]
    options: dict[str, Any] = {"coefficient": "fleiss_kappa", "n_boot": 100}
    expected = pc.agreement_difference(one, other, **options)
    assert_same(pc.agreement_difference(*stores, **options), expected)
    alike = other.filter(pl.col("label") < 2)  # its classes are those of the store
    mixed = pc.agreement_difference(stores[0], alike, **options)
    assert_same(mixed, pc.agreement_difference(one, alike, classes=[0, 1, 2], **options))
    unlike = pc.AnnotationStore.create(tmp_path / "unlike", other, classes=[0, 1, 2, 3])
    with pytest.raises(
        pc.AnnotationError, match="the two logs have different classes: 0, 1, 2 and"
    ):
        pc.agreement_difference(stores[0], unlike)


@pytest.mark.parametrize("coefficient", [c.name for c in COEFFICIENTS if c.name != "icc"])
def test_a_difference_of_one_example_has_no_interval(coefficient: str) -> None:
    one = log_of(np.array([[0, 1]]))
    two = log_of(np.array([[0, 0], [1, 1], [0, 1]]))
    alone = pc.agreement_difference(one, one, coefficient=coefficient).row(0, named=True)
    assert (alone["num_examples_a"], alone["num_shared"], alone["ci_low"]) == (1, 1, None)
    reason = "no interval: it takes two examples or more"
    assert alone["reason"] == (reason if alone["difference"] is not None else NO_VALUES)
    beside = pc.agreement_difference(one, two, coefficient=coefficient, n_boot=50)
    assert beside["num_examples_b"].to_list() == [3]
    assert beside["value_b"].null_count() == 0


NO_VALUES = "no value of a and of b: see agreement"


def test_a_difference_takes_options_that_have_an_effect() -> None:
    one, other = pools(n=20)
    with pytest.raises(
        ValueError, match=r"weights='linear'; it has no effect here\. krippendorff_alpha"
    ):
        pc.agreement_difference(one, other, weights="linear")
    with pytest.raises(ValueError, match=r"level='ordinal'; it has no effect here\. fleiss_kappa"):
        pc.agreement_difference(one, other, coefficient="fleiss", level="ordinal")
    with pytest.raises(ValueError, match="n_boot=9; it has no effect on analytic intervals"):
        pc.agreement_difference(one, other, interval="analytic", n_boot=9)


def test_labels_without_classes_in_common() -> None:
    one, other = pools(n=20)
    text = other.with_columns(pl.col("label").cast(pl.String).replace("0", "A"))
    with pytest.raises(
        pc.AnnotationError, match="the labels of a are Int64 and those of b are Str"
    ):
        pc.agreement_difference(one, text)


def test_no_value_no_difference() -> None:
    one, other = pools()
    single = other.unique("example", keep="first")
    found = pc.agreement_difference(one, single)
    assert found["difference"].to_list() == [None]
    assert found["ci_low"].to_list() == [None]
    assert found["reason"].to_list() == ["no value of b: see agreement"]


def test_wrong_differences_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pools()
    with pytest.raises(ValueError, match="there is nothing to compare"):
        pc.agreement_difference(one)
    with pytest.raises(ValueError, match=r"coefficient='icc\(1\)'; the difference of intraclass"):
        pc.agreement_difference(one, other, coefficient="icc(1)")
    with pytest.raises(
        ValueError, match=r"interval='analytic'; it is not there for 'conger_kappa'"
    ):
        pc.agreement_difference(
            one, coefficient="conger_kappa", other="gwet_ac1", interval="analytic"
        )
    with pytest.raises(ValueError, match=r"must be among"):
        pc.agreement_difference(one, other, coefficient="kappa")
    monkeypatch.setattr(difference, "MAX_DRAWS", 100)
    with pytest.raises(
        ValueError, match=r"n_boot=2000; .* different patterns are too many to draw"
    ):
        pc.agreement_difference(one, other)
