"""cleanlab's two active-learning functions against the installed cleanlab, value by value."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import cleanlab.multiannotator as theirs
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import polars_crowd.compat.cleanlab as ours
from tests.compat.cleanlab_cases import (
    NAN,
    Case,
    as_frame,
    cases,
    few,
    first_for_random,
    matrices,
    model,
    no_agreement_is_fine,
)

FUNCTIONS = ("get_active_learning_scores", "get_active_learning_scores_ensemble")


def beside(case: Case, n: int, seed: int) -> NDArray[Any]:
    """Probabilities of n unlabelled examples by as many models as the case has."""
    rng, K = np.random.default_rng(seed), case.pred_probs.shape[-1]
    if case.pred_probs.ndim == 2:
        return model(rng, n, K)
    return np.array([model(rng, n, K) for _ in case.pred_probs])


def assert_same(expected: tuple[Any, Any], found: tuple[Any, Any], tolerance: float = 1e-9) -> None:
    for theirs_, ours_ in zip(expected, found, strict=True):
        assert isinstance(ours_, np.ndarray)
        assert ours_.dtype == np.float64
        assert ours_.shape == np.shape(theirs_)
        np.testing.assert_allclose(ours_, theirs_, rtol=0, atol=tolerance)


@st.composite
def once(draw: st.DrawFn) -> NDArray[Any]:
    """Matrices in which every row has one label."""
    matrix = draw(matrices())
    first = (~np.isnan(matrix)).argmax(axis=1)
    only = np.full_like(matrix, NAN)
    rows = np.arange(len(matrix))
    only[rows, first] = matrix[rows, first]
    kept: NDArray[Any] = only[:, ~np.isnan(only).all(axis=0)]
    return kept


def both_sides(case: Case, n: int, seed: int, kind: str, ensemble: bool) -> None:
    """The same scores of labelled and unlabelled examples, and the caller's arrays left as they are."""
    function = FUNCTIONS[ensemble]
    labels, probs = (None, None) if kind == "unlabelled" else (case.labels, case.pred_probs)
    rest = None if kind == "labelled" else beside(case, n, seed)
    arguments = (labels, probs, rest)
    copies = tuple(a.copy() if isinstance(a, np.ndarray) else a for a in arguments)
    with first_for_random():
        expected = getattr(theirs, function)(*copies)
    given_ = [a.copy() for a in (probs, rest) if a is not None]
    found = getattr(ours, function)(*arguments)
    for before, after in zip(given_, [a for a in (probs, rest) if a is not None], strict=True):
        np.testing.assert_array_equal(before, after)
    assert_same(expected, found, case.tolerance)


KINDS = st.sampled_from(["labelled", "unlabelled", "both"])


@no_agreement_is_fine
@few
@given(cases(), st.integers(1, 8), st.integers(0, 99), KINDS)
def test_scores_are_those_of_cleanlab(case: Case, n: int, seed: int, kind: str) -> None:
    both_sides(case, n, seed, kind, ensemble=False)


@no_agreement_is_fine
@few
@given(st.integers(2, 4).flatmap(cases), st.integers(2, 8), st.integers(0, 99), KINDS)
def test_scores_of_an_ensemble_are_those_of_cleanlab(
    case: Case, n: int, seed: int, kind: str
) -> None:
    both_sides(case, n, seed, kind, ensemble=True)


@few
@given(once(), st.integers(1, 3), st.integers(0, 99), st.booleans())
def test_scores_of_examples_labelled_once_are_those_of_cleanlab(
    matrix: NDArray[Any], n_models: int, seed: int, framed: bool
) -> None:
    rng = np.random.default_rng(seed)
    K = max(2, int(np.nanmax(matrix)) + 1)
    probs = np.array([model(rng, len(matrix), K) for _ in range(n_models)])
    labels = as_frame(matrix) if framed else matrix
    case = Case(matrix, labels, probs if n_models > 1 else probs[0])
    both_sides(case, 5, seed, "both", ensemble=n_models > 1)


def test_one_column_labelled_round_by_round() -> None:
    """An annotator alone labels the lowest score each round."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 30)
    probs = model(rng, 30, 3)
    labelled = list(range(15))
    for _ in range(5):
        rest = [i for i in range(30) if i not in labelled]
        labels = truth[labelled].reshape(-1, 1)
        for function in FUNCTIONS:
            models = [probs, probs] if function.endswith("ensemble") else [probs]
            given_ = [np.array([p[at] for p in models]) for at in (labelled, rest)]
            if len(models) == 1:
                given_ = [p[0] for p in given_]
            expected = getattr(theirs, function)(labels, *(p.copy() for p in given_))
            found = getattr(ours, function)(labels, *given_)
            assert_same(expected, found)
        labelled.append(rest[int(np.argmin(found[1]))])
    assert len(labelled) == 20


def test_one_labelled_and_one_unlabelled_example() -> None:
    labels = pd.DataFrame([[0, 0, 1]], columns=list("abc"))
    one = np.array([[0.7, 0.2, 0.1]])
    assert_same(
        theirs.get_active_learning_scores(labels, one.copy(), one.copy()),
        ours.get_active_learning_scores(labels, one, one),
    )
    two = np.array([one, one[:, [1, 0, 2]]])
    with first_for_random():
        expected = theirs.get_active_learning_scores_ensemble(labels, two.copy(), two[::-1].copy())
    assert_same(expected, ours.get_active_learning_scores_ensemble(labels, two, two[::-1]))


def test_probabilities_that_do_not_sum_to_1_where_each_example_has_one_label() -> None:
    labels = pd.DataFrame([[0, NAN, NAN], [NAN, 1, NAN], [NAN, NAN, 2], [NAN, 1, NAN]])
    probs = np.random.default_rng(0).random((2, 4, 3))
    assert_same(
        theirs.get_active_learning_scores_ensemble(labels, probs.copy(), probs.copy()),
        ours.get_active_learning_scores_ensemble(labels, probs, probs),
    )
    assert_same(
        theirs.get_active_learning_scores(labels, probs[0].copy(), probs[1].copy()),
        ours.get_active_learning_scores(labels, probs[0], probs[1]),
    )


def test_an_ensemble_of_one_model_is_that_model() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, (9, 4))
    probs, rest = model(rng, 9, 3), model(rng, 5, 3)
    assert_same(
        ours.get_active_learning_scores(labels, probs, rest),
        ours.get_active_learning_scores_ensemble(labels, probs[None], rest[None]),
    )


def test_no_unlabelled_examples() -> None:
    rng = np.random.default_rng(1)
    labels, probs = rng.integers(0, 3, (9, 4)), model(rng, 9, 3)
    found = ours.get_active_learning_scores(labels, probs, probs[:0])
    assert_same(theirs.get_active_learning_scores(labels, probs.copy(), probs[:0].copy()), found)
    assert_same(
        ours.get_active_learning_scores_ensemble(labels, probs[None], probs[None, :0]), found
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_signatures_are_those_of_cleanlab(function: str) -> None:
    expected = inspect.signature(getattr(theirs, function)).parameters
    found = inspect.signature(getattr(ours, function)).parameters
    assert list(found) == list(expected)
    assert [p.default for p in found.values()] == [p.default for p in expected.values()]


LABELS = np.array([[0, 1], [1, 1], [0, NAN]])
P2 = np.array([[0.6, 0.4], [0.3, 0.7], [0.8, 0.2]])
P3 = np.array([P2, P2])
WRONG: list[tuple[int, tuple[Any, Any, Any], type[Exception], str]] = [
    (0, (None, None, None), ValueError, "cannot both be None"),
    (1, (None, None, None), ValueError, "cannot both be None"),
    (0, (None, P2, None), ValueError, "labels_multiannotator cannot be None"),
    (1, (None, P3, P3), ValueError, "labels_multiannotator cannot be None"),
    (0, (LABELS, P2.tolist(), None), TypeError, "pred_probs must be a numpy array"),
    (0, (LABELS, P2, P2.tolist()), TypeError, "pred_probs_unlabeled must be a numpy array"),
    (0, (LABELS, P3, None), ValueError, "pred_probs must be a 2d array"),
    (0, (None, None, P3), ValueError, "pred_probs_unlabeled must be a 2d array"),
    (1, (LABELS, P2, None), ValueError, "pred_probs must be a 3d array"),
    (1, (None, None, P2), ValueError, "pred_probs_unlabeled must be a 3d array"),
    (0, (LABELS, P2, P2[:, :1]), ValueError, "must have the same number of classes"),
    (1, (LABELS, P3, P3[:, :, :1]), ValueError, "must have the same number of classes"),
    (0, (LABELS[0], P2, None), ValueError, "labels_multiannotator must be a 2D array"),
    (0, (LABELS.tolist(), P2, None), ValueError, "must be either a NumPy array or Pandas"),
    (0, (LABELS, P2[:2], None), ValueError, "same length"),
    (1, (LABELS + 1, P3, None), ValueError, "at least 3 columns"),
    (0, (LABELS - 1, P2, None), ValueError, "positive integers"),
    (0, (np.array([[0, NAN], [NAN, NAN]]), P2[:2], None), ValueError, "rows with all NaN"),
    (0, (LABELS[:, :1], P2 * 7, None), ValueError, "interval|between 0 and 1"),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("ensemble", "arguments", "error", "message"), WRONG)
def test_errors_are_those_of_cleanlab(
    ensemble: int, arguments: tuple[Any, Any, Any], error: type[Exception], message: str
) -> None:
    function: Callable[..., Any] = getattr(ours, FUNCTIONS[ensemble])
    with pytest.raises(error, match=message):
        function(*arguments)
    with pytest.raises((ValueError, TypeError, IndexError)):
        getattr(theirs, FUNCTIONS[ensemble])(
            *(np.copy(a) if isinstance(a, np.ndarray) else a for a in arguments)
        )


def test_ensembles_of_different_models_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"of the same models, and are of 2 and 1\."):
        ours.get_active_learning_scores_ensemble(LABELS, P3, P3[:1])


def test_cautions_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    labels = np.array([[0, 0, NAN], [1, 0, NAN], [NAN, NAN, 2.0]])
    probs = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.4, 0.3, 0.3]])
    ours.get_active_learning_scores(labels, probs)
    text = capsys.readouterr().out
    theirs.get_active_learning_scores(labels, probs.copy())
    expected = capsys.readouterr().out
    assert ("CAUTION" in text) == ("CAUTION" in expected)
    assert ("overlap" in text) == ("overlap" in expected)


def test_models_that_disagree_on_examples_nobody_labelled() -> None:
    """Votes of models are tied to the last step, with no annotator in sight."""
    one = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8]])
    models = np.stack([one, one[:, [1, 0, 2]]])
    labelled, unlabelled = ours.get_active_learning_scores_ensemble(pred_probs_unlabeled=models)
    assert labelled.shape == (0,)
    assert unlabelled[2] == max(unlabelled)
    assert ((unlabelled > 0) & (unlabelled < 1)).all()
