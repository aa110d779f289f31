"""The blend against its formulas, from the fits that it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

import polars_crowd as pc
from tests.cases import Case, assert_same, cases
from tests.truth.truth_cases import accuracy, matrix, quiet

DATA = pc.datasets.tutorial()


def powered(T: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    power = np.maximum(T, np.finfo(float).tiny) ** exponent
    shares: NDArray[np.float64] = power / power.sum(axis=1, keepdims=True)
    return shares


@settings(max_examples=8)
@given(cases())
def test_without_a_model_it_is_the_mean_of_four(case: Case) -> None:
    fit = quiet(pc.blend, case.log)
    sure = {"confidence": "loo"}
    methods: dict[Any, dict[str, str]] = {
        pc.wawa: {},
        pc.dawid_skene: sure,
        pc.bwa: {},
        pc.mace: sure,
    }
    each = [matrix(quiet(method, case.log, **options)) for method, options in methods.items()]
    np.testing.assert_allclose(matrix(fit), np.mean(each, axis=0), atol=1e-9)


def test_with_a_model_it_is_crowdlab_and_ibcc_tempered_twice() -> None:
    fit = pc.blend(DATA.log, DATA.pred_probs)
    ibcc = pc.ibcc(DATA.log, DATA.pred_probs, confidence="model")
    half = pc.ibcc(DATA.log, DATA.pred_probs).confidence_exponent
    q = pc.crowdlab(DATA.log, DATA.pred_probs).posterior.collect()["probability"].to_numpy()
    T = matrix(ibcc)
    annotated = DATA.pred_probs.filter(pl.col("example").is_in(DATA.log["example"].implode()))
    P = annotated.sort("example").drop("example").to_numpy()
    w1, pi = ibcc.model_weight, np.exp(ibcc._fitted.params.classes.weights.log_shares)
    sources = np.exp(ibcc._fitted.params.classes.weights.log_sources)
    assert isinstance(ibcc.temperature, float)
    prior = sources[0] * pi + sources[1] * powered(P, 1 / ibcc.temperature)
    evidence = np.log(np.maximum(T, np.finfo(float).tiny)) - np.log(prior)
    evidence = np.maximum(evidence - evidence.max(axis=1, keepdims=True), -60)
    E = prior * np.exp(half * evidence)
    E /= E.sum(axis=1, keepdims=True)
    expected = (q.reshape(T.shape) + powered(T, half) + E) / 3
    np.testing.assert_allclose(matrix(fit), expected, atol=1e-9)
    by = dict(fit.weights.select("method", "model_weight").iter_rows())
    assert by["IBCC"] == pytest.approx(w1)
    assert 0 < by["CROWDLAB"] < 1


def test_the_quality_of_annotators_is_drawn_to_that_of_all() -> None:
    fit = pc.blend(DATA.log)
    scores = fit.annotations.collect()
    mean = scores["label_quality_score"].mean()
    assert isinstance(mean, float)
    by = scores.group_by("annotator").agg(pl.col("label_quality_score").sum(), n=pl.len())
    expected = by.select(
        "annotator", quality=(pl.col("label_quality_score") + mean) / (pl.col("n") + 1)
    )
    both = fit.annotators.join(expected, on="annotator")
    np.testing.assert_allclose(both["annotator_quality"], both["quality"], atol=1e-9)


def test_known_labels_are_certain_with_a_model_and_without() -> None:
    gold = DATA.truth.head(20)
    for models in ((), (DATA.pred_probs,)):
        fit = pc.blend(DATA.log, *models, gold=gold)
        known = fit.examples.collect().join(gold, on="example")
        assert known["consensus_label"].equals(known["label"])
        assert (known["consensus_quality_score"] == 1).all()


@pytest.mark.parametrize("with_model", [False, True])
def test_a_store_gives_the_answer_of_memory(tmp_path: Path, with_model: bool) -> None:
    models = DATA.pred_probs if with_model else None
    store = pc.AnnotationStore.create(tmp_path / "store", DATA.log, models, partitions=4)
    fit = pc.blend(DATA.log, models)
    parts = pc.blend(store, with_model or None, into=tmp_path / "out")
    assert_same(fit.examples.collect(), parts.examples.collect().sort("example"))
    assert_same(fit.annotators, parts.annotators)
    kept = pc.open_results(tmp_path / "out")
    assert kept.method == "Blend"
    assert_same(kept.weights, fit.weights)
    again = parts.predict(DATA.log, models)
    assert_same(fit.examples.collect(), again.examples.collect())


def test_other_annotators_are_taken_for_the_mean_of_those_that_are_known() -> None:
    fit = pc.blend(DATA.log, DATA.pred_probs)
    half = DATA.log.filter(pl.col("annotator") != DATA.log["annotator"][0])
    more = half.with_columns(pl.col("annotator").replace({half["annotator"][0]: "somebody"}))
    found = quiet(fit.predict, more, DATA.pred_probs)
    assert accuracy(found, DATA.truth) > 0.8


def test_a_model_that_adds_nothing_is_said() -> None:
    data = pc.simulate.simulate_annotations(n_examples=600, n_annotators=8, n_classes=3, seed=4)
    rng = np.random.default_rng(0)
    noise = rng.dirichlet([0.05] * 3, 600)
    ids = data.truth["example"].sort()
    probs = pl.DataFrame({"example": ids, **{str(k): noise[:, k] for k in range(3)}})
    with pytest.warns(pc.AnnotationWarning, match="it adds next to nothing"):
        pc.blend(data.log, probs)


def test_what_one_method_warns_of_bears_its_name() -> None:
    with pytest.warns(pc.AnnotationWarning) as said:
        pc.blend(DATA.log.filter(pl.col("annotator") != "A0001").head(60))
    texts = [str(one.message) for one in said]
    assert len(texts) == len(set(texts))
    assert not any(text.startswith("Wawa, Dawid-Skene, BWA, MACE") for text in texts)
    assert any("fewer than 5 annotations" in text for text in texts)
