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
from polars_crowd.truth import block, held
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
    assert counts.log_prior(prior) == pytest.approx(prior.log_prior(dense, counts.b))
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


def of_many_classes(seed: int, n: int) -> pl.DataFrame:
    """Three of seven annotators on each of n examples, of 30 classes."""
    rng = np.random.default_rng(seed)
    truth, who = rng.integers(0, 30, n), rng.permuted(np.tile(np.arange(7), (n, 1)), axis=1)[:, :3]
    said = np.where(rng.random((n, 3)) < 0.6, truth[:, None], rng.integers(0, 30, (n, 3)))
    columns = {"example": np.repeat(np.arange(n), 3), "annotator": who.ravel()}
    return pl.DataFrame({**columns, "label": said.ravel()})


@settings(max_examples=8)
@given(
    st.integers(0, 10**6),
    st.sampled_from([5, 50]),
    st.sampled_from([pc.dawid_skene, pc.ibcc]),
    st.sampled_from(["gold", "init", "pred_probs", "prior"]),
)
def test_counts_known_from_the_posterior_are_those_that_are_added_up(
    seed: int, n: int, method: Any, given_too: str
) -> None:
    log, more = of_many_classes(seed, n), of_many_classes(seed + 1, 20)
    labels = log.group_by("example", maintain_order=True).first().select("example", "label")
    probs = np.random.default_rng(seed).dirichlet(np.ones(30), n)
    known = {
        "gold": labels.head(3),
        "init": labels,
        "pred_probs": pl.DataFrame(
            {"example": np.arange(n), **dict(zip(map(str, range(30)), probs.T, strict=True))}
        ),
        "prior": pl.DataFrame({"annotator": range(7), "num_correct": 3.0, "num_incorrect": 1.0}),
    }
    options = {given_too: known[given_too], "classes": range(30), "max_iter": 6, "tol": 0.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block, "LIKELY_CELLS", 30 * 20)
        added = quiet(method, log, **options)
        patch.setattr(held, "FROM_CELLS", 0)
        kept = quiet(method, log, **options)
    assert isinstance(kept._fitted.params.skills, held.HeldCounts)
    assert not isinstance(added._fitted.params.skills, held.HeldCounts)
    assert kept.trace.to_list() == pytest.approx(added.trace.to_list(), rel=1e-12)
    assert kept.confidence_exponent == added.confidence_exponent
    for table in ("posterior", "examples", "annotators", "confusion"):
        assert_same(getattr(kept, table).lazy().collect(), getattr(added, table).lazy().collect())
    assert_same(pc.explain(kept, 3), pc.explain(added, 3))
    if given_too != "pred_probs":
        for of_more in (lambda fit: fit.predict(more), lambda fit: method(log, init=fit)):
            found, expected = (quiet(of_more, fit).posterior.collect() for fit in (kept, added))
            assert_same(found, expected)


def test_explanations_of_results_whose_posterior_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "FROM_CELLS", 0)
    fit = quiet(pc.dawid_skene, of_many_classes(0, 40), into=tmp_path / "results")
    assert_same(pc.explain(pc.open_results(tmp_path / "results"), 3), pc.explain(fit, 3))
