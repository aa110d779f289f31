"""IWMV: by brute force, adversaries, and the objective at the weights."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given

import polars_crowd as pc
from polars_crowd.truth.classification.iwmv import iwmv
from tests.cases import Case, cases
from tests.truth.truth_cases import accuracy, matrix, quiet


def brute_force(case: Case, classes: list[int]) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Weights, posterior and G by loops over a matrix."""
    y, K, M = case.labels, len(classes), case.labels.shape[1]
    v, z, objective = np.ones(M), None, list[float]()
    while True:
        W = np.array([[v[row == k].sum() for k in classes] for row in y])
        new = (W.max(axis=1, keepdims=True) - 1e-9 <= W).argmax(axis=1)
        a = np.array(
            [(y[y[:, j] >= 0, j] == np.array(classes)[new[y[:, j] >= 0]]).mean() for j in range(M)]
        )
        m = (y >= 0).sum(axis=0)
        v = K * a - 1
        objective.append(float((m * v**2).sum() / (2 * K)))
        same = z is not None and bool((z == new).all())
        if same or (len(objective) > 1 and objective[-1] <= objective[-2]):
            S = K / max(K - 1, 1) * np.array([[v[row == k].sum() for k in classes] for row in y])
            T = np.exp(S - S.max(axis=1, keepdims=True))
            return a, T / T.sum(axis=1, keepdims=True), objective
        z = new


@given(cases())
def test_by_brute_force(case: Case) -> None:
    classes = sorted(case.log["label"].unique().to_list())
    a, T, objective = brute_force(case, classes)
    fit = quiet(iwmv, case.log)
    np.testing.assert_allclose(fit.annotators.sort("annotator")["skill"], a, atol=1e-12)
    np.testing.assert_allclose(matrix(fit), T, atol=1e-9)
    np.testing.assert_allclose(fit.trace, objective, atol=1e-9)


def test_adversaries_speak_against() -> None:
    data = pc.simulate.simulate_annotations(
        n_examples=800,
        n_annotators=12,
        n_classes=2,
        annotations_per_example=8,
        adversaries=0.25,
        seed=4,
    )
    fit = iwmv(data.log)
    both = fit.annotators.join(data.annotators, on="annotator")
    assert both.filter(kind="adversary")["skill"].max() < 0.5  # type: ignore[operator]
    np.testing.assert_allclose(both["skill"], both["accuracy"], atol=0.12)
    votes = pc.majority_vote(data.log).collect().join(data.truth, on="example")
    assert accuracy(fit, data.truth) > (votes["consensus_label"] == votes["label"]).mean()  # type: ignore[operator]


def test_an_even_vote_goes_to_the_first_class() -> None:
    log = pl.DataFrame({"example": [1, 1], "annotator": ["a", "b"], "label": ["y", "x"]})
    fit = quiet(iwmv, log)
    assert fit.examples.collect()["consensus_label"].to_list() == ["x"]
    assert dict(fit.annotators.select("annotator", "skill").iter_rows()) == {"a": 0, "b": 1}
