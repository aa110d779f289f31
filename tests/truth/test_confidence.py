"""How sure posteriors are: against the formulas written out, one annotation at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal
from polars.testing import assert_frame_equal

import polars_crowd as pc
from polars_crowd.errors import OptionError
from polars_crowd.truth import confidence
from polars_crowd.truth.registry import METHODS
from tests.cases import Case, cases
from tests.truth.truth_cases import Method, matrix, quiet

TEMPERED = [m.function for m in METHODS.values() if "confidence" in m.options]


def log_predicted(T: Any, log: pl.DataFrame, classes: list[Any]) -> Any:
    """How well each exponent predicts the annotations left out, by loops."""
    K = len(classes)
    place = {e: i for i, e in enumerate(sorted(log["example"].unique()))}
    rows = [(place[e], a, classes.index(y)) for e, a, y in log.iter_rows()]
    counts = {a: np.zeros((K, K)) for a in log["annotator"]}
    for i, a, y in rows:
        counts[a][:, y] += T[i]
    pooled = sum(counts.values()) + 1 / K + np.eye(K)
    pooled /= pooled.sum(axis=1, keepdims=True)
    n = np.bincount([i for i, _, _ in rows])
    total = np.zeros(len(confidence.EXPONENTS))
    for i, a, y in rows:
        if n[i] == 1:
            continue
        of_truth = counts[a].sum(axis=1)
        rest = np.log(np.maximum(T[i], np.finfo(float).tiny))
        rest -= np.log((counts[a][:, y] + 0.1) / (of_truth + 0.1 * K))
        theta = (counts[a][:, y] - T[i] + 5 * pooled[:, y]) / (of_truth - T[i] + 5)
        for g, gamma in enumerate(confidence.EXPONENTS):
            weight = np.exp(gamma * (rest - rest.max()))
            total[g] += np.log((weight / weight.sum()) @ theta)
    return total


@given(cases())
def test_the_exponent_predicts_what_is_left_out_best(case: Case) -> None:
    options: dict[str, Any] = {"smoothing": 0.3, "max_iter": 5}
    model = quiet(pc.dawid_skene, case.log, confidence="model", **options)
    loo = quiet(pc.dawid_skene, case.log, confidence="loo", **options)
    T = matrix(model)
    predicted = log_predicted(T, case.log, model.classes)
    at = predicted[list(confidence.EXPONENTS).index(loo.confidence_exponent)]
    assert at >= predicted.max() - 1e-7 * max(1.0, np.abs(predicted).max())
    powered = np.maximum(T, np.finfo(float).tiny) ** loo.confidence_exponent
    assert_allclose(matrix(loo), powered / powered.sum(axis=1, keepdims=True), atol=1e-9)


@pytest.mark.parametrize("method", TEMPERED)
def test_labels_and_annotators_are_those_of_the_model(method: Method) -> None:
    log = pc.simulate.simulate_annotations(n_examples=150, n_annotators=12, n_classes=3, seed=3).log
    fits = {c: quiet(method, log, confidence=c) for c in ("model", "loo", "cautious")}
    model = fits["model"]
    assert model.confidence_exponent == 1
    assert fits["cautious"].confidence_exponent == fits["loo"].confidence_exponent / 2 < 1
    for fit in fits.values():
        assert fit.trace.equals(model.trace)
        assert_frame_equal(fit.class_prior, model.class_prior)
        labels = [f.examples.select("example", "consensus_label").collect() for f in (fit, model)]
        assert_frame_equal(*labels)
        quality = fit.examples.collect()["consensus_quality_score"].to_numpy()
        best = np.sort(matrix(fit), axis=1)[:, -1]
        assert_allclose(quality, best, atol=1e-9)
    assert matrix(fits["cautious"]).max() <= matrix(model).max()


def test_what_is_known_stays_certain() -> None:
    data = pc.datasets.tutorial()
    gold = data.truth.head(40)
    fit = quiet(pc.dawid_skene, data.log, gold=gold)
    assert fit.confidence_exponent < 1
    known = fit.examples.collect().join(gold, on="example")
    assert known["consensus_label"].equals(known["label"])
    assert (known["consensus_quality_score"] == 1).all()


def test_examples_annotated_once_say_nothing() -> None:
    log = pl.DataFrame({"example": range(12), "annotator": ["a", "b"] * 6, "label": [0, 1, 1] * 4})
    fit = quiet(pc.dawid_skene, log)
    assert fit.confidence_exponent == 1


def test_shared_errors_are_warned_of() -> None:
    """Each example has a difficulty of its own, so that its annotators err together."""
    rng = np.random.default_rng(0)
    truth, right = rng.integers(0, 2, 300), rng.uniform(0, 1, 300)
    example, annotator = np.indices((300, 60))
    wrong = rng.random((300, 60)) > right[:, None]
    label = np.where(wrong, 1 - truth[:, None], truth[:, None])
    columns = {"example": example, "annotator": annotator, "label": label}
    log = pl.DataFrame({name: values.ravel() for name, values in columns.items()})
    with pytest.warns(pc.AnnotationWarning, match="err on the same examples"):
        fit = pc.dawid_skene(log)
    assert fit.confidence_exponent <= 0.05


def test_on_real_labels_confidence_is_nearer_to_the_truth() -> None:
    data = pc.datasets.tutorial()
    scores = {}
    for c in ("model", "cautious"):
        fit = quiet(pc.dawid_skene, data.log, confidence=c)
        right = fit.posterior.collect().join(data.truth, on=["example", "label"])
        scores[c] = -np.log(np.maximum(right["probability"], 1e-12)).mean()
    assert scores["cautious"] < 0.75 * scores["model"]


def test_the_busiest_stand_for_all_where_annotators_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = pc.datasets.tutorial().log
    counts = log["annotator"].value_counts(sort=True)
    monkeypatch.setattr(confidence, "MOST_COUNTS", 9 * 7)
    busiest = confidence.asked_of(_size(log))
    assert (busiest >= 0).sum() == 7
    assert counts["count"][6] >= counts["count"][7]
    fit = pc.dawid_skene(log, confidence="loo")
    assert fit.confidence_exponent in confidence.EXPONENTS


def _size(log: pl.DataFrame) -> Any:
    return quiet(pc.dawid_skene, log, confidence="model")._fitted.log


def test_a_choice_that_there_is_not() -> None:
    with pytest.raises(OptionError, match=r"confidence='bold'.*'cautious'"):
        pc.dawid_skene(pc.datasets.tutorial().log, confidence="bold")  # type: ignore[arg-type]


def test_predictions_are_as_sure_as_the_fit() -> None:
    log = pc.datasets.tutorial().log
    fit = pc.dawid_skene(log)
    again = fit.predict(log)
    assert again.confidence_exponent == fit.confidence_exponent
    assert_array_equal(matrix(again), matrix(fit))
