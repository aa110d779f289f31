"""Counts at the pairs that occur are those of all pairs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import polars_crowd as pc
from polars_crowd.truth.classification.dawid_skene import log_prior_at_pairs
from polars_crowd.truth.classification.dirichlet import MODE, VARIATIONAL
from polars_crowd.truth.pairs import Counts, Pairs, moved_prior
from tests.cases import assert_same
from tests.truth.truth_cases import quiet

RULES = {"mode": MODE, "variational": VARIATIONAL}


def drawn(seed: int, shape: tuple[int, int, int]) -> Counts:
    """Counts of 3 annotators and 4 classes at some pairs, with pseudo-counts of a shape."""
    rng = np.random.default_rng(seed)
    pairs = Pairs(np.flatnonzero(rng.random(12) < 0.5), 3, 4)
    return Counts(pairs, rng.gamma(1.0, size=(4, len(pairs))), rng.gamma(1.0, size=shape) + 0.1)


shapes = st.sampled_from([(1, 1, 1), (4, 1, 4), (4, 3, 4)])


@given(st.integers(0, 10**6), shapes, st.sampled_from(sorted(RULES)))
def test_what_is_estimated_at_pairs_is_what_all_counts_say(
    seed: int, shape: tuple[int, int, int], rule: str
) -> None:
    counts, prior = drawn(seed, shape), RULES[rule]
    dense = counts.dense
    assert dense.shape == (4, 3, 4)
    np.testing.assert_allclose(counts.total, dense.sum(axis=2))
    log_theta = prior.log_mean(dense).reshape(4, -1)
    for pairs in (counts.pairs, Pairs.all_of(3, 4), Pairs(np.array([1, 7]), 3, 4)):
        if len(counts.pairs):
            found = counts.log_theta(pairs, prior.log_of)
            np.testing.assert_allclose(found, log_theta[:, pairs.code], atol=1e-12)
    assert log_prior_at_pairs(prior, counts) == pytest.approx(prior.log_prior(dense, counts.b))
    np.testing.assert_allclose(
        counts.own_shares(), np.einsum("kjk->kj", dense / dense.sum(axis=2, keepdims=True))
    )


@given(st.integers(0, 10**6), shapes)
def test_counts_of_other_annotators(seed: int, shape: tuple[int, int, int]) -> None:
    counts, place = drawn(seed, shape), np.array([2, -1, 0])
    dense = counts.dense
    expected = np.append(dense, dense.sum(axis=1, keepdims=True), axis=1)[:, place]
    np.testing.assert_allclose(counts.of_annotators(place).dense, expected)
    b = np.broadcast_to(counts.b, dense.shape)
    expected = np.append(b, b.sum(axis=1, keepdims=True), axis=1)[:, place]
    found = np.broadcast_to(moved_prior(counts.b, 3, place), expected.shape)
    np.testing.assert_allclose(found, expected)


def test_places_of_pairs() -> None:
    pairs = pickle.loads(pickle.dumps(Pairs(np.array([1, 4, 11]), 3, 4)))
    assert pairs.place(np.array([11, 1, 4])).tolist() == [2, 0, 1]
    assert pairs.label.tolist() == [1, 0, 3]
    assert Pairs.all_of(3, 4).place(np.array([5])).tolist() == [5]


@settings(max_examples=10)
@given(st.integers(0, 10**6))
def test_labels_that_an_annotator_never_gave_are_there_in_results(seed: int) -> None:
    """Many classes, of which each annotator uses few: EM by arrays of all of them."""
    rng = np.random.default_rng(seed)
    log = pl.DataFrame(
        {
            "example": np.repeat(np.arange(30), 3),
            "annotator": np.tile(np.arange(3), 30),
            "label": rng.integers(0, 12, 90),
        }
    )
    K = 12
    fit = quiet(pc.dawid_skene, log, classes=range(K), max_iter=5, tol=0.0, confidence="model")
    label = log["label"].to_numpy().reshape(30, 3)
    T = np.eye(K)[label].mean(axis=1)
    for _ in range(5):
        C = 0.1 + np.stack([T.T @ np.eye(K)[label[:, j]] for j in range(3)])
        theta = C / C.sum(axis=2, keepdims=True)
        pi = (T.sum(axis=0) + 0.1) / (T.sum() + 0.1 * K)
        joint = np.log(pi) + sum(np.log(theta[j][:, label[:, j]]).T for j in range(3))
        log_evidence = np.logaddexp.reduce(joint, axis=1)
        T = np.exp(joint - log_evidence[:, None])
        objective = log_evidence.sum() + 0.1 * np.log(theta).sum() + 0.1 * np.log(pi).sum()
    found = fit.posterior.collect()["probability"].to_numpy().reshape(30, K)
    np.testing.assert_allclose(found, T, atol=1e-8)
    assert fit.trace[-1] == pytest.approx(objective, rel=1e-9)
    assert fit.confusion is not None
    assert fit.confusion.height == 3 * K * K
    np.testing.assert_allclose(fit.confusion["probability"].to_numpy().reshape(3, K, K), theta)


@pytest.mark.parametrize("method", [pc.dawid_skene, pc.ibcc])
def test_a_store_with_pairs_in_one_of_its_partitions(method: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 40, 200)
    example = np.repeat(np.arange(200), 3)
    label = np.where(rng.random(600) < 0.7, truth[example], rng.integers(0, 40, 600))
    annotator = np.argsort(rng.random((200, 9)), axis=1)[:, :3].ravel()
    log = pl.DataFrame({"example": example, "annotator": annotator, "label": label})
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=4)
    whole, parts = quiet(method, log), quiet(method, store)
    assert_same(whole.examples.collect(), parts.examples.collect().sort("example"))
    assert_same(whole.annotators, parts.annotators)
    again = quiet(method, log, init=whole)
    assert again.n_iter < whole.n_iter
    predicted = quiet(whole.predict, log.with_columns(pl.col("annotator") + 2))
    assert predicted.examples.collect().height == 200
