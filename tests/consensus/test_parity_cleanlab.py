"""CROWDLAB on random logs gives the numbers of the installed cleanlab, to 1e-9, with every option."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import cleanlab.multiannotator as theirs
import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

import polars_crowd as pc
from tests.cases import NEAR, Case, cases, dense, frame_of, log_of, without_idle
from tests.compat.cleanlab_cases import ROUNDING, first_for_random, worst_class_key

pytestmark = [
    pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning"),
    pytest.mark.filterwarnings("ignore:Annotators do not agree:UserWarning"),
]

WEIGHTS = ("model_weight", "annotator_weight")
BOTH = ["best_quality", "majority_vote"]
SCORES: list[dict[str, Any]] = [
    {},
    {"label_quality_method": "normalized_margin"},
    {"label_quality_method": "confidence_weighted_entropy"},
    {"adjust_pred_probs": True},
    {"label_quality_method": "normalized_margin", "adjust_pred_probs": True},
]
options = st.fixed_dictionaries(
    {
        "consensus_method": st.sampled_from([*BOTH, BOTH, BOTH[::-1]]),
        "quality_method": st.sampled_from(["crowdlab", "agreement"]),
        "score": st.sampled_from(SCORES),
        "calibrate": st.booleans(),
    }
).map(without_idle)


def ours(case: Case, score: dict[str, Any], **given_options: Any) -> pc.Crowdlab:
    probs: Any = case.pred_probs if len(case.models) > 1 else case.pred_probs[0]
    return pc.crowdlab(case.log, probs, **given_options, **score)


def cleanlabs(case: Case, score: dict[str, Any], **given_options: Any) -> dict[str, Any]:
    """What cleanlab returns, its random draws replaced by the first class."""
    arguments = {
        **given_options,
        "calibrate_probs": given_options["calibrate"],
        "return_weights": given_options.get("quality_method", "crowdlab") == "crowdlab",
        "label_quality_score_kwargs": {SCORE_NAMES[name]: value for name, value in score.items()},
        "verbose": False,
    }
    del arguments["calibrate"]
    with first_for_random(), counting_right():
        if len(case.models) > 1:
            models = np.array(case.models)  # a copy: cleanlab overwrites it
            return dict(
                theirs.get_label_quality_multiannotator_ensemble(case.wide, models, **arguments)
            )
        return dict(theirs.get_label_quality_multiannotator(case.wide, case.models[0], **arguments))


@contextmanager
def counting_right() -> Iterator[None]:
    """cleanlab 2.9 counts an example's labels on the wrong classes if they are floats, as NaN wants them."""

    def value_counts(labels: NDArray[Any], *, num_classes: int) -> NDArray[Any]:
        return np.bincount(labels.astype(int), minlength=num_classes)

    with (
        mock.patch("cleanlab.multiannotator.value_counts", value_counts),
        mock.patch("cleanlab.internal.multiannotator_utils.value_counts", value_counts),
    ):
        yield


SCORE_NAMES = {"label_quality_method": "method", "adjust_pred_probs": "adjust_pred_probs"}


# --- comparing -------------------------------------------------------------------------------------


def assert_near(found: Any, expected: Any) -> None:
    """Equal up to 1e-9, relative or absolute; a null is cleanlab's NaN."""
    left = np.asarray(found, dtype=np.float64)
    np.testing.assert_allclose(left, np.asarray(expected, np.float64), rtol=NEAR, atol=NEAR)


def assert_same_result(found: pc.Crowdlab, expected: dict[str, Any], case: Case) -> None:
    examples = found.examples.collect().sort("example")
    for column in expected["label_quality"].columns:
        assert_near(examples[column], expected["label_quality"][column])
    annotations = found.annotations.collect()
    at = annotations["example"].to_numpy(), annotations["annotator"].to_numpy()
    detailed: NDArray[Any] = expected["detailed_label_quality"].to_numpy()
    assert_near(annotations["label_quality_score"], detailed[at])
    assert annotations.height == np.isfinite(detailed).sum()
    assert_same_annotators(found.annotators, expected, case)
    if WEIGHTS[0] in expected:
        assert_near(found.model_weight, expected["model_weight"])
        weights = found.annotators.sort("annotator")["annotator_weight"]
        assert_near(weights, expected["annotator_weight"])
    else:
        assert found.model_weight is None


def assert_same_annotators(found: pl.DataFrame, expected: dict[str, Any], case: Case) -> None:
    stats = expected["annotator_stats"].sort_index()
    ordered = found.sort("annotator")
    assert ordered["annotator"].to_list() == stats.index.tolist()
    for column in ("annotator_quality", "agreement_with_consensus", "num_examples_labeled"):
        assert_near(ordered[column], stats[column])
    quality = found["annotator_quality"].drop_nulls().to_numpy()
    assert (np.diff(quality) > -ROUNDING).all(), "the worst come first"
    for row in ordered.iter_rows(named=True):
        a = row["annotator"]
        classes = stats["worst_class"][a], row["worst_class"]
        if classes[0] != classes[1]:  # tied, up to rounding
            left, right = (
                worst_class_key(case.wide[:, a], expected["label_quality"], k) for k in classes
            )
            assert left[:2] == right[:2]
            assert left[2] == pytest.approx(right[2], abs=ROUNDING)


def best_labels_tie(found: pc.Crowdlab, expected: dict[str, Any], majority: pc.Crowdlab) -> bool:
    """Whether rounding decided somewhere what is best: of several best classes none is, and the majority vote
    stands, be it one of them or not."""
    left = found.examples.collect()["consensus_label"].to_numpy()
    right = expected["label_quality"]["consensus_label"].to_numpy()
    at = np.flatnonzero(left != right)
    largest = np.sort(dense(majority.posterior)[at], axis=1)[:, -2:]
    np.testing.assert_allclose(largest[:, 0], largest[:, 1], rtol=0, atol=ROUNDING)
    return len(at) > 0


# --- properties ------------------------------------------------------------------------------------


@given(cases(), options)
def test_one_model(case: Case, given_options: dict[str, Any]) -> None:
    expected = cleanlabs(case, **given_options)
    methods = given_options["consensus_method"]
    if isinstance(methods, list):
        # of several methods cleanlab returns the weights of the last one, we those of the first
        of_first = cleanlabs(case, **{**given_options, "consensus_method": methods[0]})
        expected.update({key: of_first[key] for key in WEIGHTS if key in expected})
    assert_same_result(ours(case, **given_options), expected, case)


@given(cases(max_models=3), st.booleans())
def test_ensembles(case: Case, calibrate: bool) -> None:
    """cleanlab's ensembles take no other option."""
    assume(len(case.models) > 1)
    expected = cleanlabs(case, {}, calibrate=calibrate)
    assert_same_result(ours(case, {}, calibrate=calibrate), expected, case)


@given(cases(ties=True), options)
def test_ties(case: Case, given_options: dict[str, Any]) -> None:
    """Probabilities of whole tenths, and as many votes for one class as for another."""
    assume(case.has_clear_vote)
    given_options["consensus_method"] = "majority_vote"
    majority, of_cleanlab = ours(case, **given_options), cleanlabs(case, **given_options)
    votes = majority.examples.collect()["consensus_label"].to_list()
    # the vote's own ties, as far as rounding decides them in cleanlab, are another test's
    assume(votes == of_cleanlab["label_quality"]["consensus_label"].to_list())
    assert_same_result(majority, of_cleanlab, case)
    given_options["consensus_method"] = "best_quality"
    found, expected = ours(case, **given_options), cleanlabs(case, **given_options)
    if not best_labels_tie(found, expected, majority):
        assert_same_result(found, expected, case)


def test_the_majority_vote_stands_where_several_classes_are_best() -> None:
    """Also if rounding tells them apart, and if it is none of them."""
    votes = [[0] * 5, [0] * 5, [0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [0] * 5, [0, 0, 0, 1, 1]]
    labels = np.array([*votes, [0, 0, 1, 2, 2], [0, 0, -1, 2, 3], [0, 0, 0, 0, 1]])
    probs = np.full((9, 4), 0.25)
    probs[[3, 8]], probs[7] = [0.4, 0.2, 0.2, 0.2], [0.1, 0.1, 0.4, 0.4]
    fit = pc.crowdlab(log_of(labels), frame_of(probs))
    q = dense(fit.posterior)[7]
    assert q[2] == pytest.approx(q[3], abs=ROUNDING)
    assert q[2] > q[0]
    assert fit.examples.collect()["consensus_label"][7] == 0


@pytest.mark.parametrize(("seed", "n_classes", "unused"), [(1, 3, 0), (2, 5, 1), (3, 2, 3)])
@pytest.mark.parametrize("score", SCORES)
def test_simulated_crowds(seed: int, n_classes: int, unused: int, score: dict[str, Any]) -> None:
    """Ragged logs by honest annotators, adversaries and spammers, with classes that nobody chose."""
    crowd = pc.simulate.simulate_annotations(
        n_examples=120,
        n_annotators=15,
        n_classes=n_classes,
        annotations_per_example=3.5,
        ragged=True,
        adversaries=3,
        spammers=3,
        model_accuracy=0.7,
        integer_ids=True,
        seed=seed,
    )
    case = case_of(crowd, n_classes + unused)
    for calibrate in (False, True):
        expected = cleanlabs(case, score, calibrate=calibrate)
        assert_same_result(ours(case, score, calibrate=calibrate), expected, case)


def case_of(crowd: pc.simulate.Simulation, n_classes: int) -> Case:
    """A simulated log of integers as a matrix, with classes that nobody chose at the end."""
    example, annotator, label = (crowd.log[c].to_numpy() for c in ("example", "annotator", "label"))
    labels = np.full((crowd.truth.height, annotator.max() + 1), -1)
    labels[example, annotator] = label
    probs = crowd.pred_probs.drop("example").to_numpy()
    more = np.full((len(probs), n_classes - probs.shape[1]), 0.01)
    probs = np.hstack([probs, more])
    return Case(labels, [probs / probs.sum(axis=1, keepdims=True)])
