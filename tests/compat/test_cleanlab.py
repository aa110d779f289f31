"""polars_crowd.compat.cleanlab against the installed cleanlab, value by value and dtype by dtype."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import cleanlab.internal.multiannotator_utils as their_internal
import cleanlab.multiannotator as theirs
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

import polars_crowd as pc
import polars_crowd.compat.cleanlab as ours
from polars_crowd.compat.cleanlab import internal as our_internal
from tests.compat.cleanlab_cases import (
    NAN,
    ROUNDING,
    TOLERANCE,
    Case,
    cases,
    few,
    first_for_random,
    no_agreement_is_fine,
    tie_break_key,
    vote_counts,
    worst_class_key,
)

FUNCTIONS = (
    "convert_long_to_wide_dataset",
    "get_label_quality_multiannotator",
    "get_label_quality_multiannotator_ensemble",
    "get_majority_vote_label",
)
INTERNAL_FUNCTIONS = ("assert_valid_inputs_multiannotator", "format_multiannotator_labels")
SCORING: list[dict[str, Any]] = [
    {},
    {"method": "normalized_margin"},
    {"method": "confidence_weighted_entropy"},
    {"adjust_pred_probs": True},
    {"method": "normalized_margin", "adjust_pred_probs": True},
]

# said by pandas 2.2, which cleanlab asks for the same
downcasting_is_fine = pytest.mark.filterwarnings("ignore:Downcasting behavior:FutureWarning")


# --- random wide logs ------------------------------------------------------------------------------


def options() -> st.SearchStrategy[dict[str, Any]]:
    methods = ["best_quality", "majority_vote"]
    choices = st.fixed_dictionaries(
        {
            "consensus_method": st.sampled_from([*methods, methods, methods[::-1]]),
            "quality_method": st.sampled_from(["crowdlab", "agreement"]),
            **outputs(),
        }
    )
    return choices.filter(lambda o: o["quality_method"] == "crowdlab" or not o["return_weights"])


def outputs() -> dict[str, st.SearchStrategy[Any]]:
    return {
        "calibrate_probs": st.booleans(),
        "return_detailed_quality": st.booleans(),
        "return_annotator_stats": st.booleans(),
        "return_weights": st.booleans(),
        "label_quality_score_kwargs": st.sampled_from(SCORING),
    }


# --- the same result -------------------------------------------------------------------------------


def assert_same(expected: dict[str, Any], found: dict[str, Any], case: Case) -> None:
    """The same keys, and under each the same frame, array or number."""
    assert list(expected) == list(found)
    for key, value in expected.items():
        if key == "annotator_stats":
            assert_same_stats(value, found[key], expected["label_quality"], case)
        elif isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(
                value, found[key], check_index_type=True, rtol=0, atol=case.tolerance
            )
        else:
            assert type(found[key]) is type(value)
            assert np.shape(found[key]) == np.shape(value)
            np.testing.assert_allclose(found[key], value, rtol=case.tolerance, atol=case.tolerance)


def assert_same_stats(
    expected: pd.DataFrame, found: pd.DataFrame, label_quality: pd.DataFrame, case: Case
) -> None:
    """The same rows in the same order; what only rounding decides may differ."""
    assert found.index.dtype == expected.index.dtype
    assert found.index.name == expected.index.name
    ordered = expected.loc[found.index]
    numbers = ["annotator_quality", "agreement_with_consensus", "num_examples_labeled"]
    pd.testing.assert_frame_equal(
        ordered[numbers], found[numbers], check_index_type=False, rtol=0, atol=case.tolerance
    )
    assert list(found.columns) == list(expected.columns)
    assert list(found.dtypes) == list(expected.dtypes)
    quality = ordered["annotator_quality"].to_numpy()
    closeness = ROUNDING if case.tolerance == TOLERANCE else case.tolerance
    assert (np.diff(quality[~np.isnan(quality)]) > -closeness).all()
    assert np.isnan(quality).tolist() == sorted(np.isnan(quality))
    columns = dict(zip(case_columns(case), case.matrix.T, strict=True))
    for annotator in found.index[(found["worst_class"] != ordered["worst_class"]).to_numpy()]:
        keys = [
            worst_class_key(columns[annotator], label_quality, frame.loc[annotator, "worst_class"])
            for frame in (ordered, found)
        ]
        assert keys[0][:2] == keys[1][:2]
        assert keys[0][2] == pytest.approx(keys[1][2], abs=closeness)


def case_columns(case: Case) -> list[Any]:
    return list(case.labels.columns if isinstance(case.labels, pd.DataFrame) else range(10))[
        : case.matrix.shape[1]
    ]


@no_agreement_is_fine
@few
@given(cases(), options())
def test_label_quality_is_that_of_cleanlab(case: Case, given_options: dict[str, Any]) -> None:
    arguments = (case.labels, case.pred_probs)
    expected = theirs.get_label_quality_multiannotator(*arguments, **given_options, verbose=False)
    found = ours.get_label_quality_multiannotator(*arguments, **given_options, verbose=False)
    assert_same(expected, found, case)


@no_agreement_is_fine
@few
@given(cases(n_models=3), st.fixed_dictionaries(outputs()))
def test_label_quality_of_an_ensemble_is_that_of_cleanlab(
    case: Case, given_options: dict[str, Any]
) -> None:
    given_options = {**given_options, "label_quality_score_kwargs": {}, "verbose": False}
    given_probs = case.pred_probs.copy()
    found = ours.get_label_quality_multiannotator_ensemble(
        case.labels, case.pred_probs, **given_options
    )
    np.testing.assert_array_equal(case.pred_probs, given_probs)
    expected = theirs.get_label_quality_multiannotator_ensemble(
        case.labels, given_probs, **given_options
    )
    assert_same(expected, found, case)


@no_agreement_is_fine
@few
@given(cases(), st.fixed_dictionaries(outputs()))
def test_an_ensemble_of_one_model_is_that_model(case: Case, given_options: dict[str, Any]) -> None:
    """So the options of label quality, which are an error in cleanlab's ensembles, are right there."""
    found = ours.get_label_quality_multiannotator_ensemble(
        case.labels, case.pred_probs[None], **given_options, verbose=False
    )
    expected = theirs.get_label_quality_multiannotator(
        case.labels, case.pred_probs, **given_options, verbose=False
    )
    if "model_weight" in found:
        (found["model_weight"],) = found["model_weight"]
    assert_same(expected, found, case)


@no_agreement_is_fine
@few
@given(cases(), st.booleans())
def test_majority_vote_is_that_of_cleanlab(case: Case, with_model: bool) -> None:
    pred_probs = case.pred_probs if with_model else None
    counts = vote_counts(case.matrix)
    leaders = (counts == counts.max(axis=1, keepdims=True)).sum(axis=1)
    assume(with_model or (leaders == 1).any())
    with first_for_random():
        expected = theirs.get_majority_vote_label(case.labels, pred_probs, verbose=False)
    found = ours.get_majority_vote_label(case.labels, pred_probs, verbose=False)
    assert found.dtype == expected.dtype
    for example in np.flatnonzero(found != expected).tolist():
        keys = [tie_break_key(case.matrix, example, y[example]) for y in (expected, found)]
        assert keys[0][:2] == keys[1][:2]
        assert keys[0][2] == pytest.approx(keys[1][2], abs=ROUNDING)
        assert found[example] < expected[example]


# --- whole data sets -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tutorial() -> tuple[pd.DataFrame, NDArray[Any]]:
    data = pc.datasets.tutorial()
    long = data.log.rename({"example": "task"}).to_pandas()
    wide, their_wide = (f.convert_long_to_wide_dataset(long) for f in (ours, theirs))
    pd.testing.assert_frame_equal(wide, their_wide)
    return wide, data.pred_probs.drop("example").to_numpy()


@pytest.mark.parametrize("scoring", SCORING, ids=str)
@pytest.mark.parametrize("quality_method", ["crowdlab", "agreement"])
def test_tutorial(
    tutorial: tuple[pd.DataFrame, NDArray[Any]], quality_method: str, scoring: dict[str, Any]
) -> None:
    labels, pred_probs = tutorial
    given_options = {
        "consensus_method": ["best_quality", "majority_vote"],
        "quality_method": quality_method,
        "calibrate_probs": bool(scoring),
        "return_weights": quality_method == "crowdlab",
        "label_quality_score_kwargs": scoring,
        "verbose": False,
    }
    expected, found = (
        f.get_label_quality_multiannotator(labels, pred_probs, **given_options)
        for f in (theirs, ours)
    )
    assert_same(expected, found, Case(labels.to_numpy(), labels, pred_probs))
    assert found["annotator_stats"].index.equals(expected["annotator_stats"].index)


def test_tutorial_of_an_ensemble(tutorial: tuple[pd.DataFrame, NDArray[Any]]) -> None:
    labels, pred_probs = tutorial
    models = np.array([pred_probs, np.roll(pred_probs, 5, axis=0) / 2 + pred_probs / 2])
    expected, found = (
        f.get_label_quality_multiannotator_ensemble(
            labels, models.copy(), calibrate_probs=True, return_weights=True
        )
        for f in (theirs, ours)
    )
    assert_same(expected, found, Case(labels.to_numpy(), labels, models))


def test_majority_vote_of_the_tutorial(tutorial: tuple[pd.DataFrame, NDArray[Any]]) -> None:
    labels, pred_probs = tutorial
    for probs in (None, pred_probs):
        with first_for_random():
            expected = theirs.get_majority_vote_label(labels, probs)
        np.testing.assert_array_equal(ours.get_majority_vote_label(labels, probs), expected)


# --- special matrices ------------------------------------------------------------------------------

PROBS = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.3, 0.6], [0.5, 0.3, 0.2]])
LABELS = np.array([[0, 0, NAN], [1, 1, 0], [NAN, 2, 2], [0, NAN, NAN]])


def compare(labels: Any, pred_probs: NDArray[Any] = PROBS, **given_options: Any) -> dict[str, Any]:
    expected, found = (
        f.get_label_quality_multiannotator(labels, pred_probs, verbose=False, **given_options)
        for f in (theirs, ours)
    )
    matrix = labels.to_numpy() if isinstance(labels, pd.DataFrame) else labels
    assert_same(expected, found, Case(matrix, labels, pred_probs))
    return dict(found)


@downcasting_is_fine
@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(LABELS),
        pd.DataFrame(LABELS, dtype="Int64"),
        pd.DataFrame(LABELS).astype(object).replace({NAN: pd.NA}),
        pd.DataFrame(LABELS).astype(object).replace({NAN: None}),
        pd.DataFrame(LABELS, columns=pd.Index([7, 5, 9], name="who"), index=[3, 3, 1, 2]),
        pd.DataFrame(LABELS, columns=[["x", "x", "y"], ["a", "b", "a"]]),
        pd.DataFrame([["0", "0", None], ["1", "1", "0"], [None, "2", "2"], ["0", None, None]]),
    ],
    ids=["float", "Int64", "NA", "None", "ids", "MultiIndex", "digits"],
)
def test_frames(frame: pd.DataFrame) -> None:
    expected, found = (
        f.get_label_quality_multiannotator(frame, PROBS, verbose=False) for f in (theirs, ours)
    )
    for key, value in expected.items():
        pd.testing.assert_frame_equal(found[key], value, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.float32])
def test_types_of_labels(dtype: type) -> None:
    labels: NDArray[Any] = np.array([[0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 0, 0]]).astype(dtype)
    compare(labels, quality_method="agreement")
    compare(labels, calibrate_probs=True)


in_double = pytest.mark.skipif(np.__version__ < "2", reason="cleanlab mixes in half precision")


@pytest.mark.parametrize(
    "dtype", [np.int64, pytest.param(np.float16, marks=in_double), np.longdouble]
)
def test_types_of_pred_probs(dtype: type) -> None:
    compare(LABELS, np.eye(3)[[0, 1, 2, 0]].astype(dtype))


def test_pred_probs_that_do_not_sum_to_one() -> None:
    compare(LABELS, PROBS / 2)
    compare(LABELS, PROBS / 2, calibrate_probs=True)


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning:cleanlab")
def test_a_single_class() -> None:
    compare(np.where(np.isnan(LABELS), NAN, 0), np.ones((4, 1)), return_weights=True)


def test_an_annotator_without_overlap_comes_last() -> None:
    labels = np.column_stack([[NAN, NAN, NAN, 1], np.where(LABELS[:, 1:] >= 0, LABELS[:, 1:], 1)])
    labels[3, 1:] = NAN
    found = compare(labels)
    assert found["annotator_stats"].index[-1] == 0
    assert np.isnan(found["annotator_stats"]["annotator_quality"].iloc[-1])


def test_annotators_who_never_agree() -> None:
    labels = np.array([[0, 1, NAN], [1, 2, 0], [2, NAN, 1], [0, 2, NAN]])
    for f in (theirs, ours):
        with pytest.warns(UserWarning, match="do not agree on any example"):
            f.get_label_quality_multiannotator(labels, PROBS, verbose=False)


# --- labels of any kind ----------------------------------------------------------------------------


@downcasting_is_fine
@pytest.mark.parametrize(
    "labels",
    [
        np.array([["b", "a"], ["c", "b"]]),
        np.array([["b", NAN], ["c", "b"]]),
        np.array([["b", NAN], ["c", "b"]], dtype=object),
        np.array([[3, 1], [7, 3]]),
        np.array([[3, NAN], [7, 3]]),
        pd.DataFrame({"x": ["b", NAN], "y": ["c", "b"]}, index=[5, 4]),
        pd.DataFrame({"x": [3, NAN], "y": [7, 3]}),
        pd.DataFrame({"x": [3, None], "y": [7, 3]}, dtype="Int64"),
        pd.DataFrame({"x": [3, pd.NA], "y": [7, 3]}),
        pd.DataFrame({"x": [True, False], "y": [True, True]}),
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_formatted_labels(labels: Any) -> None:
    found, names = our_internal.format_multiannotator_labels(labels)
    expected, their_names = their_internal.format_multiannotator_labels(labels)
    pd.testing.assert_frame_equal(found, expected)
    assert names == their_names
    assert list(map(type, names.values())) == list(map(type, their_names.values()))


@downcasting_is_fine
def test_labels_with_fractions_and_none_are_formatted() -> None:
    numbers, names = our_internal.format_multiannotator_labels(np.array([[0.5, 1.5], [1.5, NAN]]))
    np.testing.assert_array_equal(numbers, [[0, 1], [1, NAN]])
    assert names == {0: 0.5, 1: 1.5}
    strings = np.array([["b", None], ["c", "b"]], dtype=object)
    numbers, names = our_internal.format_multiannotator_labels(strings)
    assert names == {0: "b", 1: "c"}
    assert numbers.isna().to_numpy().tolist() == [[False, True], [False, False]]


@downcasting_is_fine
def test_formatted_labels_go_through_everything() -> None:
    labels = pd.DataFrame([["cat", "cat", None], ["dog", "cow", "dog"], ["cow", None, "cow"]])
    numbers, names = our_internal.format_multiannotator_labels(labels)
    found = compare(numbers, PROBS[:3])
    consensus = found["label_quality"]["consensus_label"].map(names)
    assert consensus.tolist() == ["cat", "dog", "cow"]


# --- errors, warnings, cautions --------------------------------------------------------------------

STRINGS = np.array([["a", "b"], ["a", "a"]])
EMPTY_ROW = np.array([[0, 1], [NAN, NAN]])
EMPTY_COLUMN = np.array([[0, 1, NAN], [1, 1, NAN]])
SINGLE = np.array([[0, NAN], [NAN, 1]])
PAIR = np.array([[0, 1], [1, 1]])
TWO = np.array([[0.6, 0.4], [0.3, 0.7]])


def quality(labels: Any, pred_probs: Any, **given_options: Any) -> Callable[[Any, Any], Any]:
    return lambda module, _: module.get_label_quality_multiannotator(
        labels, pred_probs, verbose=False, **given_options
    )


def ensemble(labels: Any, pred_probs: Any) -> Callable[[Any, Any], Any]:
    return lambda module, _: module.get_label_quality_multiannotator_ensemble(labels, pred_probs)


def majority(*arguments: Any) -> Callable[[Any, Any], Any]:
    return lambda module, _: module.get_majority_vote_label(*arguments)


def valid(*arguments: Any, **keywords: Any) -> Callable[[Any, Any], Any]:
    return lambda _, internal: internal.assert_valid_inputs_multiannotator(*arguments, **keywords)


def formatted(labels: Any) -> Callable[[Any, Any], Any]:
    return lambda _, internal: internal.format_multiannotator_labels(labels)


def scoring(**keywords: Any) -> Callable[[Any, Any], Any]:
    return quality(PAIR, TWO, label_quality_score_kwargs=keywords)


ERRORS: list[tuple[Callable[[Any, Any], Any], type[Exception], str]] = [
    (quality(PAIR.tolist(), TWO), ValueError, "must be either a NumPy array or Pandas DataFrame"),
    (majority(PAIR.tolist()), ValueError, "must be either a NumPy array or Pandas DataFrame"),
    (quality(PAIR[0], TWO), ValueError, "labels_multiannotator must be a 2D array or dataframe"),
    (quality(STRINGS, TWO), ValueError, "Labels cannot be strings"),
    (quality(STRINGS.astype(object), TWO), ValueError, "Labels cannot be strings"),
    (quality(pd.DataFrame(STRINGS), TWO), ValueError, "could not convert string to float"),
    (quality(EMPTY_ROW, TWO), ValueError, "cannot have rows with all NaN"),
    (quality(EMPTY_ROW, TWO), ValueError, r"Examples \[.*1.*\] do not have any labels"),
    (majority(EMPTY_ROW), ValueError, "cannot have rows with all NaN"),
    (quality(EMPTY_COLUMN, TWO), ValueError, "cannot have columns with all NaN"),
    (quality(EMPTY_COLUMN, TWO), ValueError, r"Annotators \[.*2.*\] did not label any examples"),
    (
        quality(pd.DataFrame(EMPTY_COLUMN, columns=["a", "b", "c"]), TWO),
        ValueError,
        r"Annotators \['c'\] did not label any examples",
    ),
    (
        valid(EMPTY_COLUMN, annotator_ids=pd.Index(["a", "b", "c"])),
        ValueError,
        r"Annotators \['c'\] did not label any examples",
    ),
    (quality(PAIR[:, :1], TWO), ValueError, "must have more than one column"),
    (quality(SINGLE, TWO), ValueError, "Each example only has one label"),
    (quality(PAIR / 2, TWO), ValueError, "Labels must be zero-indexed integers"),
    (quality(np.where(PAIR == 0, np.inf, 1), TWO), ValueError, "must be zero-indexed integers"),
    (quality(PAIR - 1, TWO), ValueError, "Labels must be positive integers"),
    (quality(PAIR.astype(object), TWO), TypeError, "isnan"),
    (quality(PAIR, None), ValueError, "Cannot determine number of classes from None"),
    (quality(PAIR, TWO.tolist()), TypeError, "pred_probs must be a numpy array"),
    (quality(PAIR, TWO[None]), ValueError, "pred_probs must be a 2d array"),
    (quality(PAIR, TWO[None]), ValueError, "use the ensemble version of this function"),
    (quality(PAIR, TWO[0]), ValueError, "pred_probs must be a 2d array"),
    (ensemble(PAIR, TWO.tolist()), TypeError, "pred_probs must be a numpy array"),
    (ensemble(PAIR, TWO), ValueError, "pred_probs must be a 3d array"),
    (ensemble(PAIR, TWO), ValueError, "use the non-ensemble version of this function"),
    (
        quality(PAIR, PROBS),
        ValueError,
        "pred_probs and labels_multiannotator must have same length",
    ),
    (
        ensemble(PAIR, PROBS[None]),
        ValueError,
        "each pred_probs and labels_multiannotator must have",
    ),
    (quality(PAIR + 1, TWO), ValueError, "pred_probs must have at least 3 columns"),
    (ensemble(PAIR + 1, TWO[None]), ValueError, "pred_probs must have at least 3 columns"),
    (majority(PAIR + 1, TWO), ValueError, "pred_probs must have at least 3 columns"),
    (quality(PAIR, 9 * TWO), ValueError, "Values in pred_probs must be between 0 and 1"),
    (
        quality(
            PAIR, 9 * TWO, label_quality_score_kwargs={"method": "confidence_weighted_entropy"}
        ),
        ValueError,
        "between 0 and 1",
    ),
    (quality(PAIR, TWO, consensus_method="fake"), ValueError, "not a valid consensus method"),
    (quality(PAIR, TWO, consensus_method=("x",)), ValueError, "not a valid consensus method"),
    (quality(PAIR, TWO, quality_method="fake"), ValueError, "not a valid quality method"),
    (
        quality(PAIR, TWO, quality_method="agreement", return_weights=True),
        ValueError,
        "weights are only applicable to the crowdlab quality method",
    ),
    (scoring(method="fake"), ValueError, "not a valid scoring method"),
    (scoring(fake=1), TypeError, "got an unexpected keyword argument 'fake'"),
    (
        scoring(method="confidence_weighted_entropy", adjust_pred_probs=True),
        ValueError,
        "adjust_pred_probs is not currently supported for confidence_weighted_entropy",
    ),
    (formatted(PAIR.tolist()), TypeError, "labels must be 2D numpy array or pandas DataFrame"),
]


@no_agreement_is_fine
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning:cleanlab")
@pytest.mark.parametrize(("call", "error", "phrase"), ERRORS, ids=[e[2] for e in ERRORS])
def test_errors(call: Callable[[Any, Any], Any], error: type[Exception], phrase: str) -> None:
    for modules in ((theirs, their_internal), (ours, our_internal)):
        with pytest.raises(error, match=phrase) as raised:
            call(*modules)
        assert raised.type is error


def test_an_empty_list_of_consensus_methods_is_an_error() -> None:
    with pytest.raises(ValueError, match="not a valid consensus method"):
        ours.get_label_quality_multiannotator(PAIR, TWO, consensus_method=[])


def test_posteriors_in_range_may_come_from_pred_probs_that_are_not() -> None:
    labels = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0]])
    compare(labels, np.array([[0.9, 0.1], [-1e-9, 1], [0.8, 0.2]]))


def test_a_single_label_may_be_allowed() -> None:
    for internal in (their_internal, our_internal):
        internal.assert_valid_inputs_multiannotator(SINGLE, allow_single_label=True)
        internal.assert_valid_inputs_multiannotator(PAIR[:, :1], TWO, allow_single_label=True)
        internal.assert_valid_inputs_multiannotator(PAIR, TWO[None], ensemble=True)


def test_the_warning_points_at_the_caller() -> None:
    labels = np.array([[0, 1], [1, 0]])
    for call in (
        lambda: our_internal.assert_valid_inputs_multiannotator(labels),
        lambda: ours.get_majority_vote_label(labels),
        lambda: ours.get_label_quality_multiannotator(labels, TWO),
        lambda: ours.get_label_quality_multiannotator_ensemble(labels, TWO[None]),
    ):
        with pytest.warns(UserWarning, match="do not agree on any example") as caught:
            call()
        assert [w.filename for w in caught] == [__file__]


LOST_CLASS = np.array([[0, 0, 2], [1, 1, 2], [1, 1, NAN], [0, 0, NAN]])
NO_OVERLAP = np.array([[0, 0, NAN], [1, 1, NAN], [2, 2, NAN], [NAN, NAN, 0]])


@pytest.mark.parametrize(
    ("call", "phrases"),
    [
        (
            lambda f: f.get_label_quality_multiannotator(LOST_CLASS, PROBS),
            ["CAUTION", "consensus method 'best_quality'", "not in consensus labels: [2]"],
        ),
        (
            lambda f: f.get_label_quality_multiannotator(
                LOST_CLASS, PROBS, consensus_method=["majority_vote", "best_quality"]
            ),
            ["Number of unique classes", "method 'majority_vote'", "method 'best_quality'"],
        ),
        (
            lambda f: f.get_label_quality_multiannotator_ensemble(LOST_CLASS, PROBS[None]),
            ["CAUTION", "consensus method 'crowdlab'", "not in consensus labels: [2]"],
        ),
        (
            lambda f: f.get_majority_vote_label(LOST_CLASS),
            ["CAUTION", "consensus method 'majority_vote'", "not in consensus labels: [2]"],
        ),
        (
            lambda f: f.get_label_quality_multiannotator(NO_OVERLAP, PROBS),
            ["Annotator(s) [", "2", "did not annotate any examples that overlap with other"],
        ),
        (
            lambda f: f.get_label_quality_multiannotator(
                NO_OVERLAP, PROBS, consensus_method="majority_vote", quality_method="agreement"
            ),
            [],
        ),
        (lambda f: f.get_label_quality_multiannotator(LABELS, PROBS), []),
        (lambda f: f.get_label_quality_multiannotator(LOST_CLASS, PROBS, verbose=False), []),
        (lambda f: f.get_majority_vote_label(LOST_CLASS, verbose=False), []),
    ],
)
def test_cautions(
    call: Callable[[Any], Any], phrases: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (theirs, ours):
        call(module)
        printed = capsys.readouterr().out
        assert bool(printed) == bool(phrases)
        for phrase in phrases:
            assert phrase in printed


# --- cleanlab's faults -----------------------------------------------------------------------------


@no_agreement_is_fine
@pytest.mark.filterwarnings("ignore:breaking ties:UserWarning")
@pytest.mark.filterwarnings("ignore:(Mean of empty|invalid value):RuntimeWarning:numpy")
def test_a_log_of_ties_only_has_a_majority_vote() -> None:
    labels = np.array([[0, 1], [1, 0]])
    with pytest.raises(ValueError, match="'a' cannot be empty"):
        theirs.get_majority_vote_label(labels)
    assert ours.get_majority_vote_label(labels).tolist() == [0, 0]


def test_a_tie_that_is_left_goes_to_the_first_class() -> None:
    labels = np.array([[2, 2, NAN, NAN], [1, 1, NAN, NAN], [NAN, NAN, 1, 2]])
    with pytest.warns(UserWarning, match="random selection"):
        theirs.get_majority_vote_label(labels)
    assert ours.get_majority_vote_label(labels).tolist() == [2, 1, 1]


def test_unlabelled_examples_have_a_majority_vote_if_not_checked() -> None:
    labels = np.array([[0, 0], [NAN, NAN], [2, 2]])
    found = ours.get_majority_vote_label(labels, PROBS[:3], verbose=False)
    expected = theirs.get_majority_vote_label(labels, PROBS[:3], verbose=False)
    np.testing.assert_array_equal(found, expected)
    assert ours.get_majority_vote_label(labels, verbose=False).tolist() == [0, 1, 2]


def test_an_ensemble_keeps_the_given_pred_probs_and_takes_scoring_options() -> None:
    models = np.array([PROBS, PROBS[:, ::-1]])
    given_models = models.copy()
    with pytest.raises(TypeError, match="unexpected keyword argument 'method'"):
        theirs.get_label_quality_multiannotator_ensemble(
            LABELS, models, label_quality_score_kwargs={"method": "normalized_margin"}
        )
    ours.get_label_quality_multiannotator_ensemble(
        LABELS,
        models,
        calibrate_probs=True,
        label_quality_score_kwargs={"method": "normalized_margin"},
    )
    np.testing.assert_array_equal(models, given_models)
    theirs.get_label_quality_multiannotator_ensemble(LABELS, models, calibrate_probs=True)
    assert not np.array_equal(models, given_models)


def test_nan_in_pred_probs_is_an_error() -> None:
    probs = PROBS.copy()
    probs[1] = NAN
    with pytest.raises(ValueError, match="pred_probs are NaN in 1 rows"):
        ours.get_label_quality_multiannotator(LABELS, probs)


def test_labels_are_counted_on_the_wrong_classes_as_in_cleanlab_and_right_in_crowdlab() -> None:
    labels = np.array([[1, 1, 2], [2, 2, 2], [0, 0, 0], [1, 1, NAN]])
    there = compare(labels, quality_method="agreement")["label_quality"]["consensus_label"]
    log, probs = pc.from_wide(labels), pc.scan_pred_probs(PROBS, example=range(4))
    right = pc.crowdlab(log, probs, quality_method="agreement").examples.collect()
    assert there.tolist() == [0, 0, 0, 0]
    assert right["consensus_label"].to_list() == [1, 2, 0, 1]


# --- the import ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*FUNCTIONS, *INTERNAL_FUNCTIONS])
def test_signatures(name: str) -> None:
    is_internal = name in INTERNAL_FUNCTIONS
    modules = (their_internal, our_internal) if is_internal else (theirs, ours)
    expected, found = (
        [(p.name, p.kind, p.default) for p in signature.parameters.values()]
        for signature in (inspect.signature(getattr(m, name)) for m in modules)
    )
    assert found == expected


def test_pandas_is_an_extra() -> None:
    script = """
import sys
import polars_crowd
assert "pandas" not in sys.modules
sys.modules["pandas"] = None
import polars_crowd.compat
try:
    import polars_crowd.compat.cleanlab
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert re.search(r'pip install "polars-crowd\[compat\]"', done.stdout)
