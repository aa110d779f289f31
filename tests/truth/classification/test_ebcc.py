"""EBCC: the bound by loops, IBCC as its case of one sub-type, annotators who err alike, beginnings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import polars_crowd as pc
from polars_crowd.numerics.special import digamma
from polars_crowd.truth.classification import ebcc as module
from polars_crowd.truth.classification.dirichlet import VARIATIONAL
from polars_crowd.truth.classification.ebcc import (
    Nested,
    annotator_keys,
    drawn_parts,
    ebcc,
    seeds_of,
)
from polars_crowd.truth.classification.ibcc import ibcc
from tests.cases import Case, assert_same, cases
from tests.truth.truth_cases import accuracy, matrix, quiet


@settings(max_examples=30)
@given(cases())
def test_with_one_sub_type_it_is_ibcc(case: Case) -> None:
    one = quiet(ebcc, case.log, n_subtypes=1, restarts=1, max_iter=30, tol=0.0)
    other = quiet(ibcc, case.log, max_iter=30, tol=0.0)
    n = min(one.n_iter, other.n_iter)
    np.testing.assert_allclose(one.trace[:n], other.trace[:n], rtol=1e-9, atol=1e-9)
    if one.n_iter == other.n_iter:
        np.testing.assert_allclose(matrix(one), matrix(other), atol=1e-7)


@settings(max_examples=20)
@given(cases(max_examples=6, max_annotators=4, max_classes=3))
def test_the_evidence_by_loops(case: Case) -> None:
    """sum_i log sum_kg exp(E log tau + E log eta + sum E log theta), and the three divergences."""
    G = 2
    fit = quiet(ebcc, case.log, n_subtypes=G, restarts=1, max_iter=4, tol=0.0)
    C = fit._fitted.params.skills.dense
    N = fit._fitted.params.classes.classes.reshape(-1, G)
    K, names = len(fit.classes), fit._fitted.log.annotators.to_list()
    P = N.sum(axis=1) - 0.1 + 1
    log_theta = digamma(C) - digamma(C.sum(axis=-1, keepdims=True))
    log_state = (
        (digamma(P) - digamma(P.sum()))[:, None] + digamma(N) - digamma(N.sum(axis=1))[:, None]
    )
    bound = 0.0
    for _, rows in case.log.group_by(["example"]):
        joint = log_state.ravel().copy()
        for a, label in rows.select("annotator", "label").iter_rows():
            joint += log_theta[:, names.index(a), fit.classes.index(label)]
        bound += float(np.logaddexp.reduce(joint))
    prior = 1 + 3 * np.repeat(np.eye(K), G, axis=0)[:, None, :]
    bound += VARIATIONAL.log_prior(C, prior) + VARIATIONAL.log_prior(N, 0.1 / G)
    bound += VARIATIONAL.log_prior(P, 1.0)
    assert fit.trace[-1] == pytest.approx(bound, abs=1e-8)


def correlated(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Half of class 1 looks like class 0 to five of nine annotators; four good ones see through it."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 600)
    looks = np.where((truth == 1) & (rng.random(600) < 0.5), 0, truth)
    frames = []
    for a in range(9):
        seen = looks if a < 5 else truth
        label = np.where(rng.random(600) < 0.9, seen, 1 - seen)
        frames.append(pl.DataFrame({"example": range(600), "annotator": a, "label": label}))
    return pl.concat(frames), pl.DataFrame({"example": range(600), "label": truth})


def test_annotators_that_err_alike() -> None:
    """The bound says that they do; with some truth known, the others are told from it."""
    log, truth = correlated(0)
    assert ebcc(log).trace[-1] > ibcc(log).trace[-1] + 100
    with pytest.warns(pc.AnnotationWarning, match="labels differ from the majority vote"):
        fit = ebcc(log, gold=truth.head(200))
    assert accuracy(fit, truth) > 0.96
    assert fit.confusion is not None
    own = fit.confusion.filter(true_label=1, label=1).sort("annotator")["probability"]
    np.testing.assert_allclose(own, [0.5] * 5 + [0.9] * 4, atol=0.07)


def test_the_best_of_several_beginnings_is_kept() -> None:
    log, _ = correlated(1)
    few = {"n_subtypes": 3, "max_iter": 20}
    alone = [quiet(ebcc, log, restarts=1, seed=s, **few).trace[-1] for s in range(3)]
    assert quiet(ebcc, log, restarts=3, **few).trace[-1] == max(alone)
    assert len(set(alone)) > 1


def test_the_same_seed_the_same_answer() -> None:
    log, _ = correlated(2)
    shuffled = log.sample(fraction=1, shuffle=True, seed=0)
    here, there = (quiet(ebcc, x, seed=3, n_subtypes=3, max_iter=30) for x in (log, shuffled))
    assert_same(here.examples.collect(), there.examples.collect())


@given(st.integers(1, 6))
def test_drawn_parts_are_dirichlet(n_parts: int) -> None:
    keys = annotator_keys(np.arange(20_000.0)[:, None], seed=1)
    parts = drawn_parts(keys, n_parts)
    np.testing.assert_allclose(parts.sum(axis=0), 1)
    np.testing.assert_allclose(parts.mean(axis=1), 1 / n_parts, atol=0.01)
    variance = (n_parts - 1) / (n_parts**2 * (n_parts + 1))
    np.testing.assert_allclose(parts.var(axis=1), variance, atol=0.003)


def test_nested_shares_add_up_to_those_of_the_classes() -> None:
    """In the mean: exp E log is below, by as little as the counts are large."""
    counts = np.array([3e5, 1e5, 2e5, 2e5]) + 0.05
    shares = np.exp(Nested("variational", 2, 0.1).log_mean(counts))
    np.testing.assert_allclose(shares, [0.375, 0.125, 0.25, 0.25], atol=1e-5)


def test_results_of_the_best_are_written(tmp_path: pytest.TempPathFactory) -> None:
    data = pc.simulate.simulate_annotations(n_examples=60, n_annotators=6, n_classes=2, seed=1)
    path = f"{tmp_path}/results"
    fit = quiet(ebcc, data.log, restarts=2, into=path)
    assert_same(fit.examples.collect(), quiet(ebcc, data.log, restarts=2).examples.collect())
    assert_same(fit.annotators, pc.open_results(path).annotators)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("n_subtypes", 0, "n_subtypes=0; it must be an integer of at least 1"),
        ("restarts", 0, "restarts=0; it must be an integer of at least 1"),
        ("seed", -1, "seed=-1; it must be an integer of at least 0"),
        ("subtype_count", 0, "subtype_count=0; it must be a number above 0"),
    ],
)
def test_wrong_options(option: str, value: int, message: str) -> None:
    log = pl.DataFrame({"example": [1], "annotator": [1], "label": [1]})
    with pytest.raises(ValueError, match=message):
        ebcc(log, **{option: value})  # type: ignore[arg-type]


def test_a_large_log_has_one_beginning() -> None:
    few, many = np.full((2, 2), 10.0), np.full((2, 2), 1e5)
    assert list(seeds_of(0, None, few, begun=False)) == [0, 1, 2]
    assert list(seeds_of(2, None, many, begun=False)) == [2]
    assert list(seeds_of(2, 4, many, begun=False)) == [8, 9, 10, 11]
    assert list(seeds_of(2, 4, few, begun=True)) == [8]


@pytest.mark.parametrize(
    ("n_examples", "n_annotators", "n_known"), [(60, 5, 0), (30, 60, 0), (60, 9, 9)]
)
def test_what_is_impossible_changes_nothing(
    n_examples: int, n_annotators: int, n_known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where examples have many labels, or the truth of some is known."""
    data = pc.simulate.simulate_annotations(
        n_examples=n_examples, n_annotators=n_annotators, n_classes=3, seed=2
    )
    gold = data.truth.head(n_known) if n_known else None
    few, whole = (
        quiet(ebcc, data.log, gold=gold, restarts=1, n_subtypes=4, max_iter=60, tol=0.0)
        for _ in skipping(monkeypatch)
    )
    np.testing.assert_allclose(few.trace, whole.trace, rtol=1e-12)
    np.testing.assert_allclose(matrix(few), matrix(whole), atol=1e-10)


def skipping(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is impossible is left out, and then it is not."""
    yield
    monkeypatch.setattr(module, "IMPOSSIBLE", np.inf)
    yield


def test_what_was_never_seen_is_believed_of_many() -> None:
    """A class without examples is as good as impossible, until all labels of an example speak for it."""
    every = pl.DataFrame({"annotator": range(60)})
    seen = every.join(pl.DataFrame({"example": range(20)}), how="cross")
    fit = quiet(ebcc, seen.with_columns(label=pl.col("example") % 2), classes=[0, 1, 2], restarts=1)
    shares = fit._fitted.params.classes.weights.log_shares
    assert shares[20:].max() < shares.max() - module.IMPOSSIBLE
    unseen = quiet(fit.predict, every.with_columns(example=0, label=2))
    assert unseen.examples.collect()["consensus_label"].to_list() == [2]
