"""MACE: the likelihood by products, names that do not matter, and competences recovered."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given

import polars_crowd as pc
from polars_crowd.truth.classification.mace import mace
from polars_crowd.truth.result import TruthInference
from tests.cases import Case, assert_same, cases
from tests.truth.truth_cases import accuracy, brute_force, matrix, quiet


@given(cases())
def test_the_objective_is_the_penalised_likelihood(case: Case) -> None:
    """By products of P(label | truth), and the pseudo-counts' part by the formula."""
    s, r = 0.3, 0.2
    fit = quiet(mace, case.log, pseudo_counts=(s, r), confidence="model", max_iter=20)
    evidence, posterior = brute_force(fit, case.log)
    skills = fit._fitted.params.skills
    tau, xi = skills.know / skills.know.sum(axis=0), skills.spam / skills.spam.sum(axis=1)[:, None]
    prior = s * np.log(tau).sum() + r * np.log(xi).sum()
    assert fit.trace[-1] == pytest.approx(evidence + prior, abs=1e-8)
    expected = np.array([posterior[e] for e in fit.examples.collect()["example"]])
    np.testing.assert_allclose(matrix(fit), expected, atol=1e-9)


@pytest.mark.parametrize("method", ["em", "vb"])
def test_names_of_annotators_do_not_matter(method: Any) -> None:
    """On a log whose ids appear in another order than that of their names."""
    data = pc.simulate.simulate_annotations(n_examples=150, n_annotators=15, n_classes=3, seed=7)
    names = dict(
        zip(
            data.annotators["annotator"],
            np.random.default_rng(0).permutation(15).tolist(),
            strict=True,
        )
    )
    renamed = data.log.with_columns(pl.col("annotator").replace_strict(names))
    here, there = mace(data.log, method=method), mace(renamed, method=method)
    assert_same(here.examples.collect(), there.examples.collect())
    mine = dict(here.annotators.select("annotator", "competence").iter_rows())
    theirs = dict(there.annotators.select("annotator", "competence").iter_rows())
    assert {names[a]: c for a, c in mine.items()} == pytest.approx(theirs, abs=1e-9)


def spammers(seed: int) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, float]]:
    """A log from the model itself: some know most of the time, some never, and prefer one label."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, 1200)
    tau = {"knows": 0.9, "often": 0.7, "half": 0.5, "seldom": 0.25, "spams": 0.02}
    frames = []
    for name, competence in tau.items():
        spam = rng.choice(3, 1200, p=[0.7, 0.2, 0.1])
        label = np.where(rng.random(1200) < competence, truth, spam)
        frames.append(pl.DataFrame({"example": range(1200), "annotator": name, "label": label}))
    return pl.concat(frames), pl.DataFrame({"example": range(1200), "label": truth}), tau


@pytest.mark.parametrize("method", ["em", "vb"])
def test_competences_are_recovered(method: Any) -> None:
    log, truth, tau = spammers(1)
    with pytest.warns(pc.AnnotationWarning, match="labels differ from the majority vote"):
        fit: TruthInference = mace(log, method=method, confidence="model")
    found = dict(fit.annotators.select("annotator", "competence").iter_rows())
    assert found == pytest.approx(tau, abs=0.07)
    assert accuracy(fit, truth) > 0.93
    assert fit.confusion is not None
    spam = fit.confusion.filter(annotator="spams", true_label=2)["probability"].to_list()
    assert spam == pytest.approx([0.7, 0.2, 0.12], abs=0.06)


def test_the_entropy_of_each_example() -> None:
    log, _, _ = spammers(2)
    fit = quiet(mace, log, confidence="model")
    T = matrix(fit)
    assert fit.difficulty is not None
    expected = -(T * np.log(np.maximum(T, 1e-300))).sum(axis=1)
    np.testing.assert_allclose(fit.difficulty.collect()["entropy"], expected, atol=1e-12)


def test_knowing_and_spamming_are_all_annotations() -> None:
    log, _, _ = spammers(3)
    found = quiet(mace, log).annotators
    total = found["num_knowing"] + found["num_spamming"]
    np.testing.assert_allclose(total, found["num_examples_labeled"])


def test_wrong_options() -> None:
    log, _, _ = spammers(3)
    with pytest.raises(ValueError, match="method='mcmc'; it must be one of 'em', 'vb'"):
        mace(log, method="mcmc")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pseudo_counts=0; it must be a number above 0"):
        mace(log, pseudo_counts=(0, 1))
    with pytest.raises(ValueError, match=r"pseudo_counts=1\.0; it must be two numbers"):
        mace(log, pseudo_counts=1.0)  # type: ignore[arg-type]
