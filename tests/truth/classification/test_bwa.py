"""BWA: the objective by loops, the fixed point, and precisions recovered."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given

import polars_crowd as pc
from polars_crowd.truth.classification.bwa import bwa
from tests.cases import Case, cases
from tests.truth.truth_cases import accuracy, matrix, quiet

A, LAMBDA = 15.0, 1.0


def brute_force(case: Case, classes: list[int], n: int) -> tuple[list[float], np.ndarray]:
    """The objective before each of n turns, and the truths after the last, by loops."""
    y, K = case.labels, len(classes)
    seen = y >= 0
    m, rows = seen.sum(axis=0), seen.sum()
    objective, truths = np.zeros(n), []
    for k in classes:
        x = (y == k).astype(float)
        z = (x * seen).sum(axis=1) / seen.sum(axis=1)
        spread = max(float((seen * (z * (1 - z))[:, None]).sum() / rows), 1e-6)
        b = A * 4 * (1 - 1 / max(K, 2)) * spread
        for turn in range(n):
            mu = z.mean()
            v = (A + m) / (b + (seen * (x - z[:, None]) ** 2).sum(axis=0))
            z = (LAMBDA * mu + (seen * v * x).sum(axis=1)) / (LAMBDA + (seen * v).sum(axis=1))
            objective[turn] += 0.5 * ((A + m) * np.log(v) - b * v).sum()
            objective[turn] -= 0.5 * (seen * v * (x - z[:, None]) ** 2).sum()
            objective[turn] -= LAMBDA / 2 * ((z - mu) ** 2).sum()
        truths.append(z)
    T = np.stack(truths, axis=1)
    return objective.tolist(), T / T.sum(axis=1, keepdims=True)


@given(cases())
def test_by_brute_force(case: Case) -> None:
    classes = sorted(case.log["label"].unique().to_list())
    fit = quiet(bwa, case.log, max_iter=6, tol=0.0)
    objective, T = brute_force(case, classes, fit.n_iter)
    np.testing.assert_allclose(fit.trace, objective, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(matrix(fit), T, atol=1e-8)


def test_a_simulated_crowd() -> None:
    data = pc.simulate.simulate_annotations(
        n_examples=1500, n_annotators=20, n_classes=3, annotations_per_example=6, seed=5
    )
    fit = bwa(data.log)
    both = fit.annotators.join(data.annotators, on="annotator")
    right = both["num_correct"] / both["num_examples_labeled"]
    np.testing.assert_allclose(right, both["accuracy"], atol=0.15)
    assert both.select(pl.corr("precision", "accuracy", method="spearman")).item() > 0.9
    votes = pc.majority_vote(data.log).collect().join(data.truth, on="example")
    assert accuracy(fit, data.truth) >= (votes["consensus_label"] == votes["label"]).mean()  # type: ignore[operator]


def test_a_strong_prior_is_the_majority_vote() -> None:
    """Where nobody can be told apart, z is the shrunk share of votes."""
    data = pc.simulate.simulate_annotations(n_examples=100, n_annotators=9, n_classes=2, seed=1)
    fit = quiet(bwa, data.log, pseudo_count=1e9, prior_precision=1e-9)
    found = fit.examples.collect()
    agreement = found["annotator_agreement"]
    np.testing.assert_allclose(found["consensus_quality_score"], agreement, atol=1e-3)


@pytest.mark.parametrize("option", ["pseudo_count", "prior_precision"])
def test_wrong_options(option: str) -> None:
    log = pl.DataFrame({"example": [1], "annotator": [1], "label": [1]})
    with pytest.raises(ValueError, match=f"{option}=0; it must be a number above 0"):
        bwa(log, **{option: 0})  # type: ignore[arg-type]


def test_annotators_who_are_always_right_have_a_precision() -> None:
    """Its squares are as small as they are: nothing large cancels in them."""
    votes = np.array([[0, 0], [0, -1], [1, 1]])
    forward, backward = (quiet(bwa, Case(each, []).log) for each in (votes, votes[::-1]))
    precision = forward.annotators.sort("annotator")["precision"]
    assert precision.min() > 1e5  # type: ignore[operator]
    np.testing.assert_allclose(
        precision, backward.annotators.sort("annotator")["precision"], rtol=1e-15
    )
