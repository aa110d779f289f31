"""GLAD: its gradients, its difficulties, the objective by products, and crowd-kit's mode."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import polars_crowd as pc
from polars_crowd.truth import block
from polars_crowd.truth.block import Examples
from polars_crowd.truth.classification.glad import (
    Labels,
    curvature,
    easiness,
    glad,
    stepped,
)
from tests.cases import Case, cases
from tests.truth import crowd_kit
from tests.truth.truth_cases import accuracy, quiet, unwarned

Floats = NDArray[np.float64]
NUDGE = 1e-5


def logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def softplus(x: Any) -> Any:
    return np.logaddexp(0, x)


@st.composite
def examples(draw: st.DrawFn, least: float = -1.5) -> Labels:
    """One example with up to 12 labels."""
    n, K = draw(st.integers(1, 12)), draw(st.integers(2, 4))
    alpha = np.array(draw(st.lists(st.floats(least, 3), min_size=n, max_size=n)))
    y = np.array(draw(st.lists(st.integers(0, K - 1), min_size=n, max_size=n)))
    A = np.array([alpha[y == k].sum() for k in range(K)])
    votes = np.bincount(y, minlength=K)
    constant = (votes - n) * np.log(max(K - 1, 1)) - np.log(K) - n * np.log(2)
    return Labels(np.array([n]), alpha[:, None] / 2, (A - A.sum() / 2)[:, None], constant[:, None])


@given(examples(), st.floats(-2, 3))
def test_the_gradient_in_b(labels: Labels, b: float) -> None:
    def value(at: float) -> float:
        return float(labels.value(np.array([at]))[0])

    slope, bend, third = labels.derivatives(np.array([b]))
    numeric = (value(b + NUDGE) - value(b - NUDGE)) / (2 * NUDGE)
    assert slope[0] == pytest.approx(numeric, rel=1e-5, abs=1e-5)
    above, below = (labels.derivatives(np.array([b + d])) for d in (NUDGE, -NUDGE))
    for derivative, (up, down) in ((bend, (above[0], below[0])), (third, (above[1], below[1]))):
        numeric = (up[0] - down[0]) / (2 * NUDGE)
        assert derivative[0] == pytest.approx(numeric, rel=1e-4, abs=1e-4)


@given(examples())
def test_the_difficulty_is_where_the_gradient_crosses_zero(labels: Labels) -> None:
    b = easiness(labels)
    slopes = [labels.derivatives(b + d)[0][0] for d in (-1e-6, 1e-6)]
    assert slopes[0] >= 0 >= slopes[1]


@given(examples(), st.integers(1, 5))
def test_labels_without_skill_change_nothing(labels: Labels, more: int) -> None:
    half = np.append(labels.half, np.zeros((more, 1)), axis=0)
    filled = Labels(labels.count, half, labels.B, labels.constant)
    np.testing.assert_allclose(easiness(filled), easiness(labels), atol=1e-7)


@given(examples())
def test_no_other_difficulty_is_better(labels: Labels) -> None:
    best = labels.value(easiness(labels))[0]
    others = [labels.value(np.array([b]))[0] for b in np.linspace(-6, 10, 161)]
    assert best >= max(others) - 1e-9


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.sampled_from((1, 64, 1 << 13)))
def test_examples_by_their_number_of_annotations(counts: list[int], few: int) -> None:
    rows = np.arange(sum(counts))
    some = Examples(rows, np.array(counts), len(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block, "FEW_TOGETHER", few)
        groups = some.by_count
    assert sorted(np.concatenate([which for which, _ in groups])) == list(range(len(counts)))
    for which, annotators in groups:
        for i, column in zip(which, annotators.T, strict=True):
            own = column[: counts[i]]
            np.testing.assert_array_equal(own, some.start[i] + np.arange(counts[i]))
            assert (column[counts[i] :] == len(rows)).all()


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0.05, 8)), min_size=1, max_size=9),
    st.floats(-2, 3),
)
def test_the_gradient_in_alpha_and_the_step(rows: list[tuple[float, float]], alpha: float) -> None:
    """Q of one annotator: its gradient, and that no step to the parabola's maximum and on lowers it."""
    g, u = np.array(rows).T

    def gain(at: float) -> float:
        x = at * u
        return float(-(g * softplus(-x) + (1 - g) * softplus(x)).sum() - (at - 1) ** 2 / 2)

    s = logistic(alpha * u)
    gradient = ((g - s) * u).sum() - (alpha - 1)
    numeric = (gain(alpha + NUDGE) - gain(alpha - NUDGE)) / (2 * NUDGE)
    assert gradient == pytest.approx(numeric, rel=1e-5, abs=1e-5)
    pull, bend = ((g - 0.5) * u).sum(), (curvature(alpha * u) * u**2).sum()
    best = np.array([(1 + pull) / (1 + bend)])
    for new in (best[0], stepped(np.array([alpha]), best)[0]):
        assert gain(new) >= gain(alpha) - 1e-9 * (1 + abs(gain(alpha)))


def objective(
    log: pl.DataFrame, alpha: dict[Any, float], b: dict[Any, float], classes: list[Any]
) -> float:
    """sum_i log sum_k 1/K prod P(y | k) and the normal priors, one annotation at a time."""
    K, total = len(classes), 0.0
    for (example,), rows in log.group_by(["example"]):
        joint = np.full(K, 1 / K)
        for annotator, label in rows.select("annotator", "label").iter_rows():
            s = 1 / (1 + np.exp(-alpha[annotator] * np.exp(b[example])))
            joint *= np.where([k == label for k in classes], s, (1 - s) / max(K - 1, 1))
        total += np.log(joint.sum()) - (b[example] - 1) ** 2 / 2
    return float(total - sum((a - 1) ** 2 for a in alpha.values()) / 2)


@settings(max_examples=30)
@given(cases())
def test_the_objective_by_products(case: Case) -> None:
    fit = quiet(glad, case.log, max_iter=5)
    with unwarned():
        alpha = dict(fit.annotators.select("annotator", "alpha").iter_rows())
    assert fit.difficulty is not None
    b = {e: -np.log(d) for e, d in fit.difficulty.collect().iter_rows()}
    assert fit.trace[-1] == pytest.approx(objective(case.log, alpha, b, fit.classes), abs=1e-8)


def test_the_mode_that_crowd_kit_is_on_its_way_to() -> None:
    fit = quiet(glad, crowd_kit.log(), tol=1e-10, max_iter=500)
    found = fit.annotators.join(crowd_kit.answer("glad-alpha"), on="annotator", suffix="_there")
    np.testing.assert_allclose(found["alpha"], found["alpha_there"], atol=0.15)
    assert fit.difficulty is not None
    b = fit.difficulty.collect().join(crowd_kit.answer("glad-beta"), on="example")
    np.testing.assert_allclose(-b["difficulty"].log(), b["beta"], atol=0.1)
    there = objective(
        crowd_kit.log(),
        dict(crowd_kit.answer("glad-alpha").iter_rows()),
        dict(crowd_kit.answer("glad-beta").iter_rows()),
        fit.classes,
    )
    assert there - 1e-9 <= fit.trace[-1] <= there + 1


def test_skills_and_difficulties_are_recovered() -> None:
    """From the model's own law, many labels each; alpha exp b is known better than either."""
    rng = np.random.default_rng(0)
    alpha, b = rng.normal(1, 0.7, 30), rng.normal(1, 1, 800)
    truth = rng.integers(0, 3, 800)
    right = rng.random((800, 30)) < logistic(np.exp(b)[:, None] * alpha)
    label = np.where(right, truth[:, None], (truth[:, None] + rng.integers(1, 3, (800, 30))) % 3)
    example, annotator = np.indices((800, 30))
    log = pl.DataFrame(
        {"example": example.ravel(), "annotator": annotator.ravel(), "label": label.ravel()}
    )
    fit = glad(log, tol=1e-7, max_iter=500, confidence="model")
    assert accuracy(fit, pl.DataFrame({"example": range(800), "label": truth})) > 0.95
    found = fit.annotators.sort("annotator")["alpha"].to_numpy()
    assert np.corrcoef(found, alpha)[0, 1] > 0.99
    assert fit.difficulty is not None
    easy = -fit.difficulty.collect()["difficulty"].log().to_numpy()
    assert np.corrcoef(easy, b)[0, 1] > 0.8
    scale = np.log(found[alpha > 0.5] / alpha[alpha > 0.5]).mean() + (easy - b).mean()
    assert abs(scale) < 0.25


def test_hard_examples_are_those_that_are_disputed() -> None:
    data = pc.simulate.simulate_annotations(n_examples=300, n_annotators=12, n_classes=2, seed=1)
    fit = glad(data.log)
    assert fit.difficulty is not None
    both = fit.examples.collect().join(fit.difficulty.collect(), on="example")
    assert (
        both.select(pl.corr("annotator_agreement", "difficulty", method="spearman")).item() < -0.9
    )
