"""Shares corrected for a judge's errors: the formulas by hand, and intervals that hold what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from scipy import stats

import polars_crowd as pc
from polars_crowd.annotators.prevalence import Judge, prediction_powered, rogan_gladen
from polars_crowd.errors import AnnotationError, AnnotationWarning, OptionError
from tests.truth.truth_cases import unwarned

Z2, T2 = stats.norm.ppf(0.975) ** 2, stats.t.ppf(0.975, 100 - 2) ** 2
JUDGE = Judge(np.array([[40.0, 10.0], [6.0, 44.0]]), np.array([380.0, 520.0]))
COLUMNS = ["prevalence", "prevalence_low", "prevalence_high"]


def log_of(judge: Judge) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A log and known labels with these counts."""
    K = len(judge.others)
    cells = [(k, label, judge.confusion[k, label]) for k in range(K) for label in range(K)]
    cells += [(-1, label, judge.others[label]) for label in range(K)]
    rows = [(k, label) for k, label, n in cells for _ in range(int(n))]
    frame = pl.DataFrame(rows, schema=["truth", "label"], orient="row").with_row_index("example")
    log = frame.select("example", "label", annotator=pl.lit("judge"))
    return log, frame.filter(pl.col("truth") >= 0).select("example", label="truth")


def test_prediction_powered_inference_by_hand() -> None:
    """theta, lambda and the variance as the papers have them, with 1/4 in each cell."""
    (theta, low, high), weight = (values[..., 1] for values in prediction_powered(JUDGE, 0.95))
    y = np.repeat([0, 0, 1, 1], [40, 10, 6, 44])
    f = np.repeat([0, 1, 0, 1], [40, 10, 6, 44])
    f_all = np.concatenate([f, np.repeat([0, 1], [380, 520])])
    lambda_ = np.cov(y, f, ddof=0)[0, 1] / ((1 + 100 / 900) * f_all.var())
    assert weight == pytest.approx(lambda_, abs=1e-12)
    assert theta == pytest.approx(y.mean() + lambda_ * (520 / 900 - f.mean()), abs=1e-12)
    share = (np.array([[40, 10], [6, 44]]) + 0.25) / 101
    residual = [(j - lambda_ * l_, share[j, l_]) for j in (0, 1) for l_ in (0, 1)]
    mean = sum(value * weight for value, weight in residual)
    of_known = sum(weight * (value - mean) ** 2 for value, weight in residual) / 100
    variance = lambda_**2 * (520 / 900) * (380 / 900) / 900 + of_known
    n = theta * (1 - theta) / variance
    middle, reach = theta + Z2 / (2 * n), np.sqrt(Z2 * variance + Z2**2 / (4 * n**2))
    assert low == pytest.approx((middle - reach) / (1 + Z2 / n), abs=1e-12)
    assert high == pytest.approx((middle + reach) / (1 + Z2 / n), abs=1e-12)


def test_rogan_gladen_by_hand() -> None:
    """(p - q) / (s - q), and Fieller's interval: the roots of a quadratic."""
    (pi, low, high), _ = rogan_gladen(JUDGE, 0.95)
    s, q, p = 44 / 50, 10 / 50, 520 / 900
    assert pi[1] == pytest.approx((p - q) / (s - q), abs=1e-12)
    assert pi.sum() == pytest.approx(1, abs=1e-12)
    s_, q_ = 44.25 / 50.5, 10.25 / 50.5
    of_p, of_s, of_q = p * (1 - p) / 900, s_ * (1 - s_) / 50, q_ * (1 - q_) / 50
    quadratic = [
        (s - q) ** 2 - T2 * (of_s + of_q),
        -2 * (p - q) * (s - q) + 2 * T2 * of_q,
        (p - q) ** 2 - T2 * (of_p + of_q),
    ]
    roots = sorted(np.roots(quadratic))
    np.testing.assert_allclose([low[1], high[1]], roots, atol=1e-9)
    np.testing.assert_allclose([low[0], high[0]], [1 - roots[1], 1 - roots[0]], atol=1e-9)


def test_shares_that_the_matrix_would_put_below_zero_are_zero() -> None:
    judge = Judge(np.array([[50.0, 10, 0], [5, 40, 5], [0, 10, 30]]), np.array([500.0, 40, 5]))
    (pi, low, high), _ = rogan_gladen(judge, 0.95)
    assert pi.min() == 0
    assert pi.sum() == pytest.approx(1)
    assert (low <= pi).all() and (pi <= high).all()  # noqa: PT018


@given(data=st.data())
@settings(max_examples=4, deadline=None)
def test_of_several_classes_the_matrix_is_inverted(data: st.DataObject) -> None:
    K = data.draw(st.integers(2, 4))
    counts = st.lists(st.integers(1, 9), min_size=K * K, max_size=K * K)
    M = np.array(data.draw(counts), dtype=float).reshape(K, K) + 20 * np.eye(K)
    pi = np.array(data.draw(st.lists(st.integers(1, 9), min_size=K, max_size=K)), dtype=float)
    pi /= pi.sum()
    others = 1000 * (M / M.sum(axis=1, keepdims=True)).T @ pi
    (found, low, high), _ = rogan_gladen(Judge(M, others), 0.95)
    np.testing.assert_allclose(found, pi, atol=1e-9)
    assert (low <= found).all() and (found <= high).all()  # noqa: PT018
    (theta, low, high), weight = prediction_powered(Judge(M, others), 0.95)
    assert ((weight >= 0) & (weight <= 1) & (low <= theta) & (theta <= high)).all()


@pytest.mark.parametrize(
    ("method", "pi", "drawn", "near"),
    [("ppi", [0.6, 0.3, 0.1], 700, 0.02), ("rogan_gladen", [0.3, 0.7], 60, 0.05)],
)
def test_intervals_cover_what_they_say(
    method: str, pi: list[float], drawn: int, near: float
) -> None:
    rng, K, n, N = np.random.default_rng(6), len(pi), 150, 2000
    M = np.full((K, K), 0.2 / (K - 1)) + (0.8 - 0.2 / (K - 1)) * np.eye(K)
    covered = np.zeros(K)
    for _ in range(drawn):
        confusion = rng.multinomial(n, (np.array(pi)[:, None] * M).ravel()).reshape(K, K)
        judge = Judge(confusion.astype(float), rng.multinomial(N, np.array(pi) @ M).astype(float))
        found = prediction_powered(judge, 0.95) if method == "ppi" else rogan_gladen(judge, 0.95)
        _, low, high = found[0]
        covered += (low <= pi) & (pi <= high)
    assert (np.abs(covered / drawn - 0.95) <= near).all(), covered / drawn


def test_the_table_of_a_log_and_of_a_store(tmp_path: Path) -> None:
    log, gold = log_of(JUDGE)
    found = pc.corrected_prevalence(log, gold)
    assert found.select("num_known", "num_others").unique().rows() == [(100, 900)]
    of = {method: rows for (method,), rows in found.group_by("method")}
    assert of.keys() == {"judge", "gold", "rogan_gladen", "ppi"}
    np.testing.assert_allclose(
        of["ppi"].select(COLUMNS).to_numpy().T, prediction_powered(JUDGE, 0.95)[0]
    )
    np.testing.assert_allclose(
        of["rogan_gladen"].select(COLUMNS).to_numpy().T, rogan_gladen(JUDGE, 0.95)[0]
    )
    assert of["judge"]["prevalence"].to_list() == pytest.approx([0.426, 0.574])
    assert of["gold"]["prevalence"].to_list() == pytest.approx([0.5, 0.5])
    beside = log.join(gold.rename({"label": "known"}), on="example", how="left")
    assert_frame_equal(pc.corrected_prevalence(beside, "known"), found)
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=3)
    assert_frame_equal(pc.corrected_prevalence(store, gold), found)


def test_what_cannot_be_said_is_null() -> None:
    log, gold = log_of(JUDGE)
    more = pl.concat(
        [log, log.filter(pl.col("example") > 900).with_columns(annotator=pl.lit("late"))]
    )
    with pytest.warns(AnnotationWarning, match="2 judges|1 judge without a known example"):
        found = pc.corrected_prevalence(more, gold)
    late = found.filter(annotator="late")
    assert late.filter(pl.col("method") != "judge")["prevalence"].null_count() == 6
    assert late["num_known"].unique().item() == 0
    of_one = gold.filter(pl.col("label") == 0)
    with pytest.warns(AnnotationWarning, match="without a known example of each class"):
        found = pc.corrected_prevalence(log, of_one)
    assert found.filter(method="rogan_gladen")["prevalence"].null_count() == 2
    assert found.filter(method="ppi")["prevalence"].null_count() == 0


def test_all_known_is_what_is_known() -> None:
    log, gold = log_of(Judge(JUDGE.confusion, np.zeros(2)))
    with unwarned():
        found = pc.corrected_prevalence(log, gold)
    known, ppi = (found.filter(method=method).select(COLUMNS) for method in ("gold", "ppi"))
    assert_frame_equal(known, ppi)


def test_what_is_no_known_label_is_refused() -> None:
    log, gold = log_of(JUDGE)
    with unwarned(), pytest.raises(OptionError, match="must be labels that are known"):
        pc.corrected_prevalence(log, pc.dawid_skene(log))
    with pytest.raises(OptionError, match="must be labels that are known"):
        pc.corrected_prevalence(log, None)
    with pytest.raises(AnnotationError, match="none of its"):
        pc.corrected_prevalence(log, gold.with_columns(pl.col("example") + 100_000))


def test_of_one_class_all_are() -> None:
    log = pl.DataFrame({"example": range(20), "annotator": "judge", "label": "x"})
    found = pc.corrected_prevalence(log, log.select("example", "label").head(8))
    assert found["prevalence"].to_list() == [1.0] * 4
    assert found.filter(method="rogan_gladen").select(ENDS).row(0) == (1.0, 1.0)


ENDS = ("prevalence_low", "prevalence_high")
