"""Methods compared on one log: scores by hand, held-out annotations by brute force, what must not matter."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from polars.testing import assert_frame_equal
from scipy.stats import binomtest, ttest_rel
from sklearn.metrics import brier_score_loss, log_loss

import polars_crowd as pc
from polars_crowd.errors import AnnotationError
from polars_crowd.runs.numbers import sort_values
from polars_crowd.simulate import simulate_annotations
from polars_crowd.truth import confidence, em
from polars_crowd.truth.classification.dawid_skene import dawid_skene
from polars_crowd.truth.evaluation import scoring, trial
from polars_crowd.truth.evaluation.compare import compare
from polars_crowd.truth.evaluation.numbers import predicted
from polars_crowd.truth.evaluation.scoring import predicted_labels
from polars_crowd.truth.evaluation.trial import PAIRED, Rows
from polars_crowd.truth.registry import methods_for

Floats = NDArray[np.float64]
FAST = ["majority_vote", "dawid_skene", "zencrowd"]


def crowd(n: int = 120, seed: int = 0) -> Any:
    """A simulated log with good and bad annotators, and its truth."""
    return simulate_annotations(n_examples=n, n_annotators=12, n_classes=3, spammers=2, seed=seed)


# --- scores by hand --------------------------------------------------------------------------------


def test_accuracy_counts_ties_as_shares() -> None:
    T = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.4, 0.3, 0.3], [1 / 3, 1 / 3, 1 / 3]])
    assert scoring.right(T, np.array([1, 2, 1, 0])).tolist() == [0.5, 1.0, 0.0, 1 / 3]


@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(2, 30))
def test_losses_are_sklearns(seed: int, k: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    T, known = rng.dirichlet(np.ones(k), n), rng.integers(0, k, n)
    expected = log_loss(known, T, labels=range(k))
    assert scoring.log_loss(T[np.arange(n), known]) == pytest.approx(expected)
    of_classes = (brier_score_loss(known == c, T[:, c], pos_label=True) for c in range(k))
    assert scoring.brier(T, known) == pytest.approx(sum(of_classes))


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.0, 0.5, 1.0]), min_size=1, max_size=60))
def test_a_difference_of_accuracies(values: list[float]) -> None:
    d = np.array(values)
    difference, low, high, p = scoring.paired_shares(d)
    more, less = int((d > 0).sum()), int((d < 0).sum())
    assert difference == pytest.approx(d.mean())
    assert p == pytest.approx(binomtest(more, more + less).pvalue if more + less else 1.0)
    assert low is not None
    assert high is not None
    assert -1 <= low <= difference <= high <= 1
    n = len(d) + 2
    gains, losses = (d[d > 0].sum() + 1) / n, (-d[d < 0].sum() + 1) / n
    reach = 1.959963985 * np.sqrt((gains + losses - (gains - losses) ** 2) / n)
    assert low == pytest.approx(max(gains - losses - reach, -1))
    assert high == pytest.approx(min(gains - losses + reach, 1))


def test_intervals_of_differences_cover() -> None:
    rng = np.random.default_rng(0)
    for better, worse, n in ((0.1, 0.05, 100), (0.02, 0.0, 150), (0.3, 0.3, 30)):
        draws = rng.choice([1.0, -1, 0], (1000, n), p=[better, worse, 1 - better - worse])
        bounds = np.array([scoring.paired_shares(d)[1:3] for d in draws], dtype=float)
        inside = (bounds[:, 0] <= better - worse) & (better - worse <= bounds[:, 1])
        assert 0.93 < inside.mean() <= 1


def test_a_difference_of_errors_is_that_of_the_paired_t_test() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 40)) + np.array([[0.3], [0.0]])
    found = scoring.paired_errors(a - b)
    expected = ttest_rel(a, b)
    interval = expected.confidence_interval()
    assert found == pytest.approx(
        ((a - b).mean(), interval.low, interval.high, expected.pvalue), rel=1e-9
    )
    assert scoring.paired_errors(np.zeros(5)) == (0, None, None, None)


def test_known_labels_rank_methods_and_compare_each_with_the_best() -> None:
    data = crowd(150)
    found = compare(data.log, FAST, data.truth, folds=2).methods
    assert found["accuracy"].is_sorted(descending=True)
    best, *others = found.rows(named=True)
    assert [best[name] for name in PAIRED] == [None] * 4
    for row in others:
        assert row["difference_from_best"] == pytest.approx(row["accuracy"] - best["accuracy"])
        assert row["difference_low"] < row["difference_from_best"] < row["difference_high"]
    without = compare(data.log, FAST, folds=2)
    assert without.methods["held_out_log_loss"].is_sorted()
    assert without.methods["p_value"].null_count() == without.methods.height
    assert "at predicting annotations left out first (no measure of the truth)" in repr(without)


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.95, 0.95, 0.55, 0.55, 1.0])
    hit = np.array([1.0, 0.0, 1.0, 1.0, 1.0])
    in_top_bin = abs((1 + 0 + 1) - (0.95 + 0.95 + 1.0))
    assert scoring.calibration_error(confidence, hit) == pytest.approx((in_top_bin + 0.9) / 5)


def test_a_calibrated_forecast_has_little_error() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 100_000)
    hit = (rng.random(100_000) < confidence).astype(float)
    assert scoring.calibration_error(confidence, hit) < 0.01
    assert scoring.calibration_error(confidence, np.ones(100_000)) == pytest.approx(0.25, abs=0.01)


@given(st.integers(0, 10**6))
def test_predicted_labels_by_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, M, K, R = 6, 3, 3, 20
    T = rng.dirichlet(np.ones(K), n)
    rows = Rows(rng.integers(0, n, R), rng.integers(0, M, R), rng.integers(0, K, R))
    asked = Rows(np.array([0, 5]), np.array([0, M]), np.array([1, 2]))
    found = predicted_labels(T, rows, asked, M + 1)
    for r in range(2):
        for label in range(K):
            total = 0.0
            for k in range(K):
                own, pooled = np.zeros(K), np.full(K, 1 / K)
                pooled[k] += 1
                for i, j, y in zip(rows.example, rows.annotator, rows.label, strict=True):
                    pooled[y] += T[i, k]
                    own[y] += T[i, k] * (j == asked.annotator[r])
                theta = own + scoring.SHRINKAGE * pooled / pooled.sum()
                total += T[asked.example[r], k] * theta[label] / theta.sum()
            assert found[r, label] == pytest.approx(total)
    np.testing.assert_allclose(found.sum(axis=1), 1)


# --- compare ---------------------------------------------------------------------------------------


def test_accuracy_is_that_of_the_methods_own_answers() -> None:
    data = crowd()
    found = compare(data.log, FAST, data.truth, folds=0).methods
    examples = dawid_skene(data.log).examples.collect().join(data.truth, on="example")
    right = (examples["consensus_label"] == examples["label"]).mean()
    assert found.row(by_predicate=pl.col("method") == "dawid_skene", named=True)[
        "accuracy"
    ] == pytest.approx(right)
    assert found["held_out_log_loss"].null_count() == 3


def test_without_truth_there_is_the_held_out_score() -> None:
    found = compare(crowd().log, FAST).methods
    assert found["accuracy"].null_count() == 3
    assert found["held_out_log_loss"].is_sorted()
    assert found["held_out_log_loss"].is_between(0.1, 1.2).all()
    assert found["held_out_calibration_error"].is_between(0, 0.3).all()
    assert found["converged"].all()


def test_held_out_score_prefers_the_model_that_made_the_labels() -> None:
    data = simulate_annotations(
        n_examples=400,
        n_classes=4,
        n_annotators=15,
        annotations_per_example=6,
        accuracy=(0.2, 0.95),
        seed=1,
    )
    found = compare(data.log, ["majority_vote", "dawid_skene"], data.truth).methods
    assert found["method"].to_list() == ["dawid_skene", "majority_vote"]
    assert found["accuracy"].is_sorted(descending=True)


def test_of_a_large_log_the_power_of_posteriors_is_found_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where each fold would find the same one, nothing changes."""
    log, found, exponent_of = crowd(300).log, list[float](), confidence.exponent_of

    def counting(asked_for: Any, *args: Any) -> float:
        exponent = exponent_of(asked_for, *args)
        if asked_for != "model":
            found.append(exponent)
        return exponent

    monkeypatch.setattr(em, "exponent_of", counting)
    asked: dict[str, Any] = {"ds": "dawid_skene", "sure": partial(dawid_skene, confidence="model")}
    each = compare(log, asked, folds=3)
    whole, *of_folds = found
    assert of_folds == [whole] * 3
    monkeypatch.setattr(trial, "LARGE", 0)
    found.clear()
    once = compare(log, asked, folds=3)
    assert found == [whole] * 2
    assert_frame_equal(each.methods.drop("seconds"), once.methods.drop("seconds"))


def test_disagreements() -> None:
    data = crowd()
    found = compare(data.log, FAST, folds=0)
    labels = {name: found.labels[name].to_list() for name in FAST}
    differing = [len(set(row)) for row in zip(*labels.values(), strict=True)]
    assert found.disagreements.height == sum(n > 1 for n in differing)
    assert found.disagreements["num_labels"].to_list() == sorted(
        (n for n in differing if n > 1), reverse=True
    )
    same = np.mean([a == b for a, b in zip(labels[FAST[0]], labels[FAST[1]], strict=True)])
    pair = compare(data.log, FAST[:2], folds=0).methods
    assert pair["agreement_with_others"].to_list() == pytest.approx([same, same])


def test_methods_of_ones_own() -> None:
    data = crowd()
    methods: dict[str, Any] = {
        "smooth": partial(dawid_skene, smoothing=5.0),
        "DS": "dawid-skene",
        "votes": "majority_vote",
    }
    found = compare(data.log, methods, data.truth, folds=2)
    assert sorted(found.methods["method"]) == ["DS", "smooth", "votes"]
    assert found.labels.columns == ["example", "smooth", "DS", "votes"]
    assert found.methods["held_out_log_loss"].n_unique() == 3


def test_a_store_and_duplicates(tmp_path: Path) -> None:
    data = crowd()
    store = pc.AnnotationStore.create(tmp_path / "store", data.log, partitions=3)
    found = compare(store, FAST[:2], data.truth, folds=2).methods.drop("seconds")
    assert_frame_equal(
        found, compare(data.log, FAST[:2], data.truth, folds=2).methods.drop("seconds")
    )
    twice = pl.concat([data.log, data.log.head(3)])
    with pytest.raises(AnnotationError, match="3 pairs with more than one annotation"):
        compare(twice, FAST[:1], folds=0)
    first = compare(twice, FAST[:1], data.truth, folds=0, duplicates="first").methods
    assert first["accuracy"].item() == pytest.approx(
        compare(data.log, FAST[:1], data.truth, folds=0).methods["accuracy"].item()
    )


def test_warnings_are_kept() -> None:
    found = compare(
        crowd().log, {"short": partial(dawid_skene, max_iter=1), "votes": "majority_vote"}, folds=0
    ).methods
    said = dict(found.select("method", "warnings").iter_rows())
    assert "not converged after 1 iteration" in said["short"][0]
    assert said["votes"] == []
    assert not dict(found.select("method", "converged").iter_rows())["short"]


def test_every_method_can_be_compared() -> None:
    data = simulate_annotations(n_examples=60, n_classes=2, n_annotators=8)
    found = compare(data.log, ["majority_vote", *methods_for("classes")], data.truth, folds=2)
    assert sorted(found.methods["method"]) == sorted(["majority_vote", *methods_for("classes")])
    assert found.methods["accuracy"].is_between(0.3, 1).all()
    assert found.methods["held_out_log_loss"].is_between(0.1, 2).all()


def test_experimental_methods_are_compared_if_asked_for() -> None:
    found = compare(crowd(40).log, folds=0).methods["method"]
    assert sorted(found) == sorted(
        ["majority_vote", *(name for name, m in methods_for("classes").items() if m.compared)]
    )
    assert not {"kos", "ebcc", "blend"} & set(found)


def test_report() -> None:
    lines = repr(compare(crowd().log, FAST, folds=0)).splitlines()
    assert lines[0].startswith("3 methods on 120 examples; ")
    assert "examples on which they disagree" in lines[0]
    assert not any("held_out" in line for line in lines)  # null without folds


# --- numbers -------------------------------------------------------------------------------------


def numbers(seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A log of annotators with biases and variances, five labels per example, and its truth."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=200) * 4
    annotator = rng.permuted(np.tile(np.arange(12), (200, 1)), axis=1)[:, :5]
    bias, deviation = rng.normal(size=12) * 2, rng.uniform(0.3, 4, 12)
    label = truth[:, None] + bias[annotator] + rng.normal(size=(200, 5)) * deviation[annotator]
    log = pl.DataFrame(
        {
            "example": np.repeat(np.arange(200), 5),
            "annotator": annotator.ravel(),
            "label": label.ravel(),
        }
    )
    return log, pl.DataFrame({"example": np.arange(200), "label": truth - bias.mean()})


def test_numbers() -> None:
    log, truth = numbers()
    found = compare(log, truth=truth)
    table = found.methods
    assert sorted(table["method"]) == sorted(methods_for("numbers"))
    assert table["method"][0] == "gaussian"
    by_name = {row["method"]: row for row in table.iter_rows(named=True)}
    best, plain = by_name["gaussian"], by_name["mean"]
    assert best["root_mean_square_error"] < plain["root_mean_square_error"]
    assert best["held_out_error"] < plain["held_out_error"]
    examples = pc.mean_truth(log).examples.collect()
    error = (examples["consensus_label"] - truth["label"]).to_numpy()
    assert plain["mean_absolute_error"] == pytest.approx(np.abs(error).mean())
    assert plain["root_mean_square_error"] == pytest.approx(np.sqrt((error**2).mean()))
    inside = np.abs(error) <= 1.96 * examples["standard_error"].to_numpy()
    assert plain["coverage"] == pytest.approx(inside.mean())
    assert plain["difference_from_best"] == pytest.approx(
        plain["mean_absolute_error"] - best["mean_absolute_error"]
    )
    assert plain["difference_low"] > 0
    assert plain["p_value"] < 0.05
    names = [c for c in found.labels.columns if c != "example"]
    width = found.labels.select(pl.max_horizontal(names) - pl.min_horizontal(names)).to_series()
    assert found.disagreements["range"][0] == pytest.approx(width.max())
    assert found.disagreements["range"].is_sorted(descending=True)
    with pl.Config(tbl_width_chars=300):
        assert "held_out_log_loss" in repr(found)


def test_held_out_numbers_by_brute_force() -> None:
    log, _ = numbers()
    values = sort_values(log.lazy())
    example, annotator = (
        values.rows[c].to_numpy().astype(np.intp) for c in ("example", "annotator")
    )
    rows = Rows(example, annotator, values.rows["value"].to_numpy())
    kept = np.arange(log.height) % 7 != 0
    seen = pl.DataFrame({"e": example[kept], "a": annotator[kept], "x": rows.label[kept]})
    z = dict(seen.group_by("e").agg(pl.col("x").mean()).iter_rows())
    truths = np.array([z[e] for e in range(200)])
    mean, variance = predicted(truths, rows.only(kept), rows.only(~kept), 12)
    left = [(a, x - z[e]) for e, a, x in seen.iter_rows()]
    pooled = np.mean([r**2 for _, r in left])
    for at, (e, a) in enumerate(zip(example[~kept], annotator[~kept], strict=True)):
        own = [r for j, r in left if j == a]
        bias = sum(own) / (len(own) + 5)
        v = (sum((r - bias) ** 2 for r in own) + 5 * pooled) / (len(own) + 5)
        assert mean[at] == pytest.approx(z[e] + bias)
        assert variance[at] == pytest.approx(v)


def test_numbers_in_any_order_and_in_a_store(tmp_path: Path) -> None:
    log, truth = numbers()
    names = ["mean", "crh"]
    found = compare(log, names, truth, folds=2).methods.drop("seconds")
    other = compare(log.sample(fraction=1, shuffle=True, seed=1), names, truth, folds=2)
    assert_frame_equal(other.methods.drop("seconds"), found)
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=3)
    assert_frame_equal(compare(store, names, truth, folds=2).methods.drop("seconds"), found)
    alone = compare(log, "mean", folds=0).methods
    assert (
        alone.select("coverage", "held_out_error", "difference_from_others").row(0) == (None,) * 3
    )


def test_numbers_with_classes_are_classes() -> None:
    data = crowd(40)
    log = data.log.with_columns(pl.col("label").cast(pl.Float64))
    classes = log["label"].unique().sort().to_list()
    assert "accuracy" in compare(log, FAST[:1], folds=0, classes=classes).methods.columns
    assert_frame_equal(
        compare(log, FAST[:1]).methods.drop("seconds"),
        compare(log, FAST[:1], classes=classes).methods.drop("seconds"),
    )
    with pytest.raises(ValueError, match="classes= is not for numbers, which 'gaussian' are for"):
        compare(log, ["gaussian"], classes=classes)


def test_the_methods_say_what_labels_are() -> None:
    log, truth = numbers()
    whole = log.with_columns(pl.col("label").round().cast(pl.Int64))
    found = compare(whole, ["mean-truth", "crh"], truth, folds=2)
    assert found.labels.columns == ["example", "mean_truth", "crh"]
    assert found.methods["mean_absolute_error"].is_between(0, 3).all()
    words = whole.with_columns(pl.col("label").cast(pl.String))
    with pytest.raises(
        AnnotationError, match="column 'label' of the log is String; this method needs"
    ):
        compare(words, ["crh"])
    with pytest.raises(ValueError, match="'zencrowd' for classes and 'crh' for numbers cannot be"):
        compare(whole, ["crh", "zencrowd"])
    with pytest.raises(ValueError, match="'bradley_terry': a method for pairwise preferences"):
        compare(whole, ["bradley-terry"])
    with pytest.raises(AnnotationError, match=r"truth: none of its .* in the log. In truth"):
        compare(log, ["mean"], truth.with_columns(pl.col("example") + 1000))


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_an_executor_and_progress(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    log = crowd(40).log if kind == "classes" else numbers()[0]
    methods: Any = {"a": partial(pc.dawid_skene, max_iter=1), "b": "wawa"}
    if kind == "numbers":
        methods = {"a": partial(pc.crh, max_iter=1), "b": "median"}
    here = compare(log, methods, folds=2).methods.drop("seconds")
    with ThreadPoolExecutor(3) as executor:
        there = compare(log, methods, folds=2, executor=executor, progress=True).methods
    assert_frame_equal(there.drop("seconds"), here)
    assert any("not converged" in said for said in there.sort("method")["warnings"][0])
    assert "6/6 fits" in capsys.readouterr().err


# --- wrong calls -----------------------------------------------------------------------------------


@pytest.mark.parametrize("option", [{"classes": [9]}, {"duplicates": "first"}])
def test_what_a_store_has_is_not_given_again(option: dict[str, Any], tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "votes", crowd(20).log)
    with pytest.raises(ValueError, match=rf"{next(iter(option))}= is given with a store"):
        compare(store, FAST[:1], folds=0, **option)


def test_wrong_calls() -> None:
    data = crowd()
    with pytest.raises(ValueError, match=r"method 'ds'; it must be one of .*'dawid_skene'"):
        compare(data.log, ["ds"])
    with pytest.raises(ValueError, match="give one method, or several different ones"):
        compare(data.log, ["dawid_skene", "dawid_skene"])
    with pytest.raises(ValueError, match="give one method"):
        compare(data.log, [])
    with pytest.raises(ValueError, match="may not be called 'example'"):
        compare(data.log, {"example": "dawid_skene"})
    with pytest.raises(ValueError, match=r"folds=1; it must be an integer of at least 2"):
        compare(data.log, FAST, folds=1)
    with pytest.raises(ValueError, match=r"seed=3; it is of the deal into folds"):
        compare(data.log, FAST, folds=0, seed=3)
    nothing = pl.DataFrame({"example": data.log["example"].head(1), "label": [None]})
    with pytest.raises(AnnotationError, match="truth has no label, and no effect"):
        compare(data.log, FAST, nothing, folds=0)
    strange = pl.DataFrame({"example": ["nowhere"], "label": [data.log["label"][0]]})
    with pytest.raises(AnnotationError, match=r"none of its .* is in the log. In"):
        compare(data.log, FAST, strange)
    with pytest.raises(ValueError, match=r"method 'dawid_skeene'; .* Did you mean 'dawid_skene'"):
        compare(data.log, ["dawid_skeene"])
