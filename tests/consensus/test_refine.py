"""The cycle of labels and models: better than one pass, deterministic, and clear about what it cannot use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import polars_crowd as pc
from polars_crowd.consensus.out_of_sample import FLOOR, cross_predicted, folds
from polars_crowd.consensus.refine import refine
from tests.cases import accuracy

pytestmark = pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")

DATA = pc.datasets.tutorial()


def test_the_tutorial_ends_at_least_as_accurate_as_one_pass() -> None:
    bundled = accuracy(pc.crowdlab(DATA.log, DATA.pred_probs).examples, DATA.truth)
    for seed in (0, 2, 3):
        refined = refine(DATA.log, DATA.features, LogisticRegression(), rounds=12, seed=seed)
        once = refine(DATA.log, DATA.features, LogisticRegression(), rounds=1, seed=seed)
        assert accuracy(refined.fit.examples, DATA.truth) >= accuracy(once.fit.examples, DATA.truth)
        assert (
            accuracy(refined.fit.examples, DATA.truth)
            >= bundled
            > accuracy(pc.majority_vote(DATA.log), DATA.truth)
        )


def test_it_ends_where_no_label_changes() -> None:
    refined = refine(DATA.log, DATA.features, LogisticRegression(), rounds=12, seed=3)
    assert refined.converged
    assert refined.trace.columns == ["round", "changed", "mean_quality", "log_loss"]
    assert refined.trace["changed"][-1] == 0
    assert (refined.trace["changed"][:-1] > 0).all()
    assert refined.trace["round"].to_list() == list(range(1, refined.trace.height + 1))
    assert refined.trace["mean_quality"][-1] > refined.trace["mean_quality"][0]
    assert repr(refined).startswith(
        f"Refined: {refined.trace.height} rounds, labels stopped changing"
    )


def test_it_ends_where_labels_go_in_a_circle() -> None:
    refined = refine(DATA.log, DATA.features, LogisticRegression(), rounds=50, seed=0)
    assert not refined.converged
    assert refined.trace.height < 12
    assert refined.trace["changed"][-1] > 0


def test_one_round_has_not_converged() -> None:
    once = refine(DATA.log, DATA.features, LogisticRegression(), rounds=1)
    assert not once.converged
    assert once.trace.height == 1
    assert once.trace["changed"][0] > 0


def test_the_same_seed_gives_the_same_answer_whatever_the_order() -> None:
    forest = RandomForestClassifier(10)
    first = refine(DATA.log, DATA.features, forest, rounds=2, seed=3)
    shuffled = DATA.log.sample(fraction=1, shuffle=True, seed=1)
    features = DATA.features.sample(fraction=1, shuffle=True, seed=2)
    second = refine(shuffled, features, forest, rounds=2, seed=3)
    assert_frame_equal(first.pred_probs, second.pred_probs, rel_tol=1e-9, abs_tol=1e-12)
    assert_frame_equal(first.trace, second.trace, rel_tol=1e-9, abs_tol=1e-12)
    assert not first.pred_probs.equals(
        refine(DATA.log, DATA.features, forest, rounds=2, seed=4).pred_probs
    )


def test_a_store_gives_the_answer_of_memory(tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", DATA.log, partitions=7)
    expected = refine(DATA.log, DATA.features, LogisticRegression(), rounds=2)
    found = refine(store, DATA.features, LogisticRegression(), rounds=2)
    assert found.pred_probs.equals(expected.pred_probs)
    assert found.fit.examples.collect().equals(expected.fit.examples.collect())


def test_examples_without_annotations_get_probabilities_for_activelab() -> None:
    log = DATA.log.filter(pl.col("example") < "250")
    refined = refine(log, DATA.features, LogisticRegression(), rounds=2)
    assert refined.pred_probs.height == DATA.features.height
    assert refined.pred_probs.columns == ["example", "0", "1", "2"]
    scores = pc.activelab(log, refined.pred_probs).collect()
    assert (scores["num_annotations"] == 0).sum() == DATA.features.height - 250


def test_string_labels_and_declared_classes() -> None:
    names = {0: "z", 1: "y", 2: "x"}
    log = DATA.log.with_columns(pl.col("label").replace_strict(names))
    refined = refine(log, DATA.features, LogisticRegression(), rounds=2, classes=["z", "y", "x"])
    expected = refine(DATA.log, DATA.features, LogisticRegression(), rounds=2)
    assert refined.pred_probs.columns == ["example", "z", "y", "x"]
    np.testing.assert_allclose(
        refined.pred_probs.drop("example").to_numpy(),
        expected.pred_probs.drop("example").to_numpy(),
        atol=1e-6,
    )


# --- cross-validation ------------------------------------------------------------------------------


def test_every_class_gets_a_column_however_rare() -> None:
    """Class 2 has one example, class 3 none: one fold's model does not know the one, no model the other."""
    rng = np.random.default_rng(0)
    label = np.array([0] * 20 + [1] * 20 + [2])
    X = rng.normal(size=(41, 2)) + label[:, None]
    p = cross_predicted(LogisticRegression(), X, label, 4, cv=5, seed=0)
    assert p.shape == (41, 4)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p > 0).all()
    assert p[40, 2] == pytest.approx(FLOOR, rel=0.01)
    np.testing.assert_allclose(p[:, 3], FLOOR, rtol=0.01)


def test_labels_of_one_class() -> None:
    p = cross_predicted(
        LogisticRegression(), np.zeros((6, 1)), np.ones(6, dtype=int), 2, cv=3, seed=0
    )
    assert (p[:, 1] > 0.99).all()


def test_folds_share_every_class() -> None:
    label = np.repeat([0, 1, 2], [50, 10, 5])
    fold = folds(label, 5, np.random.default_rng(1))
    counts = np.zeros((3, 5))
    np.add.at(counts, (label, fold), 1)
    assert (counts == np.array([[10], [2], [1]])).all()


def test_probabilities_are_out_of_sample() -> None:
    """Labels that are noise cannot be predicted by a model that has not seen them."""
    rng = np.random.default_rng(0)
    X, label = rng.normal(size=(300, 2)), rng.integers(0, 2, 300)
    p = cross_predicted(RandomForestClassifier(20), X, label, 2, cv=5, seed=0)
    assert abs((p.argmax(axis=1) == label).mean() - 0.5) < 0.12


# --- what cannot be used ---------------------------------------------------------------------------


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match="rounds=0; it must be an integer of at least 1"):
        refine(DATA.log, DATA.features, LogisticRegression(), rounds=0)
    with pytest.raises(ValueError, match="cv=1; it must be an integer of at least 2"):
        refine(DATA.log, DATA.features, LogisticRegression(), cv=1)


def test_features_that_cannot_be_used() -> None:
    model = LogisticRegression()
    with pytest.raises(pc.AnnotationError, match="features has no column 'example'"):
        refine(DATA.log, DATA.features.rename({"example": "id"}), model)
    with pytest.raises(pc.AnnotationError, match="1 annotated example without a row: '000'"):
        refine(DATA.log, DATA.features.filter(pl.col("example") != "000"), model)
    with pytest.raises(pc.AnnotationError, match="the columns 'kind' hold no numbers"):
        refine(DATA.log, DATA.features.with_columns(kind=pl.lit("a")), model)
    lacking = DATA.features.with_columns(x0=pl.when(pl.col("example") != "000").then("x0"))
    with pytest.raises(pc.AnnotationError, match=r"features: 1 value are null or NaN"):
        refine(DATA.log, lacking, model)
    with pytest.raises(pc.AnnotationError, match="1 example with more than one row"):
        refine(DATA.log, pl.concat([DATA.features, DATA.features.head(1)]), model)
