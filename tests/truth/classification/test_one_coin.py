"""One-coin Dawid-Skene and ZenCrowd: formulas against brute force, crowd-kit, simulated parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given

import polars_crowd as pc
from polars_crowd.truth.classification.one_coin import one_coin_dawid_skene
from polars_crowd.truth.classification.zencrowd import zencrowd
from tests import DATA, GOLDEN
from tests.cases import Case, assert_same, cases
from tests.truth.truth_cases import (
    accuracy,
    assert_never_lower,
    brute_force,
    confusions,
    matrix,
    quiet,
)

GOLDEN = GOLDEN / "crowd-kit-1.4.2"


@given(cases())
def test_posterior_and_objective_are_those_of_products(case: Case) -> None:
    options: dict[str, Any] = {"max_iter": 7, "tol": 0.0, "classes": range(case.n_classes)}
    options["confidence"] = "model"
    for method, s in ((one_coin_dawid_skene, 0.1), (zencrowd, 0.0)):
        fit = quiet(method, case.log, pseudo_counts=(1.0, 0.5), **options)
        evidence, posterior = brute_force(fit, case.log)
        for example, row in zip(sorted(posterior), matrix(fit), strict=True):
            np.testing.assert_allclose(row, posterior[example], atol=1e-9)
        q = fit.annotators["accuracy"].to_numpy()
        prior = (1.0 * np.log(q) + 0.5 * np.log(1 - q)).sum()
        prior += s * np.log(fit.class_prior["probability"].to_numpy()).sum()
        assert fit.trace[-1] == pytest.approx(evidence + prior, rel=1e-9)


@given(cases())
def test_an_annotator_errs_evenly(case: Case) -> None:
    fit = quiet(one_coin_dawid_skene, case.log, max_iter=5)
    accuracies = dict(fit.annotators.select("annotator", "accuracy").iter_rows())
    for annotator, theta in confusions(fit).items():
        np.testing.assert_allclose(np.diag(theta), accuracies[annotator])
        if len(theta) > 1:
            np.testing.assert_allclose(theta.sum(axis=1), 1)
            errors = theta[~np.eye(len(theta), dtype=bool)]
            np.testing.assert_allclose(errors, errors[0])


@pytest.mark.parametrize(("name", "n"), [("digits_sim", 10), ("labelme", 20)])
def test_equals_crowd_kit_after_as_many_iterations(name: str, n: int) -> None:
    log = pl.read_parquet(DATA / name / "annotations.parquet")
    fit = quiet(
        one_coin_dawid_skene,
        log,
        pseudo_counts=(1e-9, 1e-9),
        smoothing=1e-9,
        max_iter=n,
        tol=0.0,
        confidence="model",
    )
    assert fit.n_iter == n
    expected = pl.read_parquet(GOLDEN / f"{name}-one_coin-{n}.parquet")
    assert_same(fit.posterior.collect(), expected, tolerance=1e-6)


@pytest.mark.parametrize("method", [one_coin_dawid_skene, zencrowd])
def test_simulated_accuracies_are_recovered(method: Any) -> None:
    """About 1,000 annotations each: a standard error of 0.016 at most."""
    data = pc.simulate.simulate_annotations(
        n_examples=4000, n_annotators=20, n_classes=2, accuracy=(0.55, 0.95), seed=3
    )
    both = method(data.log).annotators.join(data.annotators, on="annotator")
    error = (both["accuracy"] - both["accuracy_right"]).to_numpy()
    assert np.abs(error).max() < 4 * 0.016
    assert np.sqrt((error**2).mean()) < 0.02


def test_counts_are_those_of_the_annotations() -> None:
    data = pc.datasets.tutorial()
    table = one_coin_dawid_skene(data.log).annotators
    np.testing.assert_allclose(
        table["num_correct"] + table["num_incorrect"], table["num_examples_labeled"]
    )


@given(cases())
def test_past_counts_do_not_let_the_objective_fall(case: Case) -> None:
    past = quiet(one_coin_dawid_skene, case.log, max_iter=5)
    fit = quiet(one_coin_dawid_skene, case.log, prior=past, max_iter=30, tol=0.0)
    assert_never_lower(fit.trace)


def test_past_counts_are_pseudo_counts() -> None:
    log = pl.DataFrame({"example": [1, 1], "annotator": ["good", "bad"], "label": ["x", "y"]})
    past = pl.DataFrame(
        {"annotator": ["good", "bad"], "num_correct": [90, 50], "num_incorrect": [10, 50]}
    )
    for method in (one_coin_dawid_skene, zencrowd):
        fit = quiet(method, log, prior=past)
        assert fit.examples.collect()["consensus_label"].to_list() == ["x"]
    with pytest.raises(pc.AnnotationError, match="prior has no column 'num_incorrect'"):
        one_coin_dawid_skene(log, prior=past.drop("num_incorrect"))


def test_a_lost_class_does_not_go_unsaid() -> None:
    """A rare class that annotators confuse goes under in the estimated shares, and not in equal ones."""
    data = pc.simulate.simulate_annotations(
        n_examples=1500,
        n_annotators=30,
        n_classes=4,
        class_prior=[0.86, 0.1, 0.03, 0.01],
        accuracy=(0.3, 0.45),
        annotations_per_example=3,
        seed=1,
    )
    with pytest.warns(pc.AnnotationWarning) as said:
        one_coin_dawid_skene(data.log, max_iter=300)
    below, differ, lost = (str(warning.message) for warning in said)
    assert "18 of 30 annotators are right less often than by chance" in below
    assert "labels differ from the majority vote" in differ
    assert lost.startswith("2 classes that annotators chose became the truth of next to no example")
    fit = quiet(zencrowd, data.log)
    assert fit.examples.collect()["consensus_label"].n_unique() == 4


@pytest.mark.parametrize("pair", [1.0, (1, 2, 3), (0, 1), (1, float("inf")), "ab"])
def test_pseudo_counts_are_two_numbers_above_zero(pair: Any) -> None:
    for method in (one_coin_dawid_skene, zencrowd):
        with pytest.raises(ValueError, match="pseudo_counts="):
            method(pc.datasets.tutorial().log, pseudo_counts=pair)


def test_accuracy_on_bundled_logs() -> None:
    for name, least in (("digits_sim", 0.91), ("labelme", 0.765)):
        log, truth = (
            pl.read_parquet(DATA / name / f"{file}.parquet") for file in ("annotations", "truth")
        )
        assert accuracy(quiet(one_coin_dawid_skene, log), truth) >= least
