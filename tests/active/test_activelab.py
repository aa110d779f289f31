"""ActiveLab against cleanlab and against its formulas; corner cases; stores; batches."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import cleanlab.multiannotator as theirs
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import polars_crowd as pc
from polars_crowd.active.batches import next_batch
from polars_crowd.active.scores import activelab
from tests.cases import NEAR, Case, cases, frame_of, jitter

pytestmark = pytest.mark.filterwarnings(
    "ignore::polars_crowd.AnnotationWarning",
    "ignore:Annotators do not agree:UserWarning",
)


def beside(case: Case, n: int) -> list[NDArray[np.float64]]:
    """Each model's probabilities of n unlabelled examples."""
    p = jitter((len(case.models), n, case.n_classes)) + 0.05
    return list(p / p.sum(axis=2, keepdims=True))


def everything(case: Case, n: int) -> list[pl.DataFrame]:
    """pred_probs of the annotated examples 0, 1, ... and n others after them."""
    both = zip(case.models, beside(case, n), strict=True)
    return [frame_of(np.concatenate(pair)) for pair in both]


def scores(case: Case, n: int, log: Any = "own") -> NDArray[np.float64]:
    found = activelab(case.log if isinstance(log, str) else log, everything(case, n)).collect()
    assert found["example"].is_sorted()
    return found["active_learning_score"].to_numpy()


@contextmanager
def labels_counted_right() -> Iterator[None]:
    """cleanlab with each label counted for its own class, and the first of tied classes drawn."""

    def count(labels: NDArray[Any], num_classes: int, **_: Any) -> NDArray[np.int64]:
        return np.bincount(labels.astype(int), minlength=num_classes)

    with (
        mock.patch("cleanlab.internal.multiannotator_utils.value_counts", count),
        mock.patch("cleanlab.multiannotator.value_counts", count),
        mock.patch("numpy.random.choice", side_effect=lambda tied: tied[0]),
        mock.patch("cleanlab.multiannotator.warnings.warn"),
    ):
        yield


def of_cleanlab(labels: Any, models: Any, rest: Any) -> NDArray[np.float64]:
    """cleanlab's scores of labelled and unlabelled examples, one after another."""
    several = len(rest if models is None else models) > 1
    given_ = [
        None if p is None else np.array(p) if several else p[0].copy() for p in (models, rest)
    ]
    function = (
        theirs.get_active_learning_scores_ensemble if several else theirs.get_active_learning_scores
    )
    with labels_counted_right():
        return np.concatenate(function(labels, *given_))


# --- the same numbers ------------------------------------------------------------------------------


@given(cases(max_models=3), st.integers(2, 6))
def test_scores_are_those_of_cleanlab(case: Case, n: int) -> None:
    expected = of_cleanlab(case.wide, case.models, beside(case, n))
    np.testing.assert_allclose(scores(case, n), expected, rtol=0, atol=NEAR)


@given(cases(max_models=3), st.integers(2, 6))
def test_scores_where_every_example_has_one_label_are_those_of_cleanlab(case: Case, n: int) -> None:
    first = (case.labels >= 0).argmax(axis=1)
    only = np.full_like(case.labels, -1)
    rows = np.arange(len(only))
    only[rows, first] = case.labels[rows, first]
    once = Case(only[:, (only >= 0).any(axis=0)], case.models)
    expected = of_cleanlab(once.wide, once.models, beside(once, n))
    np.testing.assert_allclose(scores(once, n), expected, rtol=0, atol=NEAR)


@given(cases(max_models=3), st.integers(2, 6))
def test_scores_where_nothing_is_labelled_are_those_of_cleanlab(case: Case, n: int) -> None:
    expected = of_cleanlab(None, None, beside(case, n))
    probs = [frame_of(p) for p in beside(case, n)]
    for log in (None, case.log.clear(), case.log.with_columns(label=pl.lit(None, pl.Int64))):
        found = activelab(log, probs if len(probs) > 1 else probs[0]).collect()
        np.testing.assert_allclose(found["active_learning_score"], expected, rtol=0, atol=NEAR)
        assert found["num_annotations"].to_list() == [0] * n


def test_only_annotated_examples() -> None:
    labels = np.array([[0, 0, 1], [1, 1, -1], [-1, 1, 1], [0, 1, -1]])
    p = np.array([[0.8, 0.2], [0.3, 0.7], [0.1, 0.9], [0.6, 0.4]])
    case = Case(labels, [p])
    with labels_counted_right():
        expected, _ = theirs.get_active_learning_scores(case.wide, p.copy())
    np.testing.assert_allclose(scores(case, 0), expected, rtol=0, atol=NEAR)


def test_a_tied_vote_of_the_models_goes_by_rarity_then_class_order() -> None:
    """Two models, mean probabilities equal: e0 is tied between the classes 0 and 1, e1 votes 0."""
    first = frame_of(np.array([[0.75, 0.25], [0.75, 0.25]]))
    second = frame_of(np.array([[0.25, 0.75], [0.75, 0.25]]))
    found = activelab(None, [first, second]).collect()["active_learning_score"]
    assert found[0] == pytest.approx((0.25 + 0.75 + 0.5) / 3)
    assert found[1] == pytest.approx((0.75 + 0.75 + 0.5) / 3)


# --- properties ------------------------------------------------------------------------------------


@given(cases(max_models=2), st.integers(1, 5))
def test_scores_are_in_the_unit_interval_and_counts_are_those_of_the_log(
    case: Case, n: int
) -> None:
    found = activelab(case.log, everything(case, n)).collect()
    assert found.schema == {
        "example": pl.Int64,
        "num_annotations": pl.UInt32,
        "active_learning_score": pl.Float64,
    }
    assert found["active_learning_score"].is_between(0, 1).all()
    counts = (case.labels >= 0).sum(axis=1).tolist() + [0] * n
    assert found["num_annotations"].to_list() == counts


def test_a_store_with_workers_in_other_processes(tmp_path: Path, spawned: Executor) -> None:
    data = pc.datasets.tutorial()
    log = data.log.filter(pl.col("example") < "200")
    expected = activelab(log, data.pred_probs).collect()
    store = pc.AnnotationStore.create(tmp_path / "store", log, data.pred_probs, partitions=7)
    found = activelab(store, into=tmp_path / "out", executor=spawned).collect()
    np.testing.assert_allclose(
        found.sort("example")["active_learning_score"],
        expected["active_learning_score"],
        rtol=0,
        atol=NEAR,
    )


def test_lazy_in_lazy_out() -> None:
    data = pc.datasets.tutorial()
    found = activelab(data.log.lazy(), data.pred_probs.lazy())
    assert isinstance(found, pl.LazyFrame)
    assert found.sort("active_learning_score").head(3).collect().height == 3


# --- what cannot be used ---------------------------------------------------------------------------

LOG = pl.DataFrame({"example": [1, 1], "annotator": ["a", "b"], "label": ["x", "y"]})
PROBS = pl.DataFrame({"example": [1, 2], "x": [0.5, 0.2], "y": [0.5, 0.8]})


def test_without_pred_probs() -> None:
    with pytest.raises(pc.AnnotationError, match="ActiveLab needs a model's pred_probs"):
        activelab(LOG)


def test_a_store_without_pred_probs(tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", LOG)
    with pytest.raises(pc.AnnotationError, match="the store has no pred_probs"):
        activelab(store)


def test_an_annotated_example_without_probabilities() -> None:
    with pytest.raises(pc.AnnotationError, match="1 of 1 annotated example has no pred_probs: 1"):
        activelab(LOG, PROBS.filter(pl.col("example") == 2))


def test_an_unlabelled_example_that_one_model_does_not_know() -> None:
    with pytest.raises(pc.AnnotationError, match="1 of 1 unlabelled example has no pred_probs: 2"):
        activelab(LOG, [PROBS, PROBS.head(1)]).collect()


def test_an_unlabelled_id_that_the_logs_type_cannot_hold() -> None:
    log = LOG.with_columns(pl.col("example").cast(pl.Int8))
    probs = PROBS.with_columns(example=pl.Series([1, 1000]))
    with pytest.raises(pc.AnnotationError, match=r"1 id of examples .* cannot be Int8.*: 1000"):
        activelab(log, probs).collect()


def test_executor_without_a_store() -> None:
    for log in (None, LOG):
        with pytest.raises(ValueError, match="executor= needs a log in partitions"):
            activelab(log, PROBS, executor=object())


def test_options_about_annotations_without_a_log() -> None:
    with pytest.raises(ValueError, match="duplicates='first'; there is no log"):
        activelab(None, PROBS, duplicates="first")
    with pytest.raises(ValueError, match="progress=True; it has no effect"):
        activelab(None, PROBS, progress=True)


def test_unlabelled_probabilities_are_checked() -> None:
    probs = PROBS.with_columns(y=pl.Series([0.5, 0.2]))
    with pytest.raises(pc.AnnotationError, match="do not sum to 1 in 1 row"):
        activelab(LOG, probs).collect()


# --- batches ---------------------------------------------------------------------------------------

SCORES = pl.DataFrame(
    {
        "example": ["a", "b", "c", "d", "e"],
        "num_annotations": [2, 0, 1, 1, 3],
        "active_learning_score": [0.3, 0.1, 0.3, 0.3, 0.9],
        "consensus_label": ["x", None, "x", "y", "x"],
    }
)


def test_a_batch_holds_the_lowest_scores_ties_by_annotations_then_id() -> None:
    assert next_batch(SCORES, 4)["example"].to_list() == ["b", "c", "d", "a"]
    noise = pl.col("active_learning_score") + pl.Series([0.0, 0.0, 1e-15, 0.0, 0.0])
    assert next_batch(SCORES.with_columns(noise), 2)["example"].to_list() == ["b", "c"]


def test_a_batch_is_lazy_if_the_scores_are() -> None:
    batch = next_batch(SCORES.lazy(), 2)
    assert isinstance(batch, pl.LazyFrame)
    assert batch.collect().equals(next_batch(SCORES, 2))


def test_a_batch_larger_than_what_there_is() -> None:
    assert next_batch(SCORES, 100).height == 5


@pytest.mark.parametrize(
    "exclude",
    [
        ["b", "c"],
        pl.Series(["b", "c"]),
        SCORES.filter(example="b"),
        [],
        pl.DataFrame({"id": ["b"]}),
    ],
)
def test_excluded_examples(exclude: Any) -> None:
    excluded = {"b"} if isinstance(exclude, pl.DataFrame) else set(exclude)
    expected = [e for e in ["b", "c", "d", "a", "e"] if e not in excluded]
    assert next_batch(SCORES, 5, exclude=exclude)["example"].to_list() == expected


def test_so_many_of_each_class() -> None:
    assert next_batch(SCORES, 5, per_class=1)["example"].to_list() == ["b", "c", "d"]


def test_wrong_batches() -> None:
    with pytest.raises(ValueError, match="size=0; it must be an integer of at least 1"):
        next_batch(SCORES, 0)
    with pytest.raises(ValueError, match="per_class=0; it must be an integer of at least 1"):
        next_batch(SCORES, 1, per_class=0)
    numbered = SCORES.with_columns(example=pl.int_range(5))
    given: list[Any] = [numbered, numbered.lazy()]
    for scores in given:
        with pytest.warns(pc.AnnotationWarning, match=r"exclude: 1 example of 2 rows .*: 'x'"):
            batch = next_batch(scores, 5, exclude=["x", "3"]).lazy().collect()
        assert sorted(batch["example"]) == [0, 1, 2, 4]
    with pytest.raises(pc.AnnotationError, match=r"exclude: none of its 2 .* as 'B' and 'b' are"):
        next_batch(SCORES, 1, exclude=["B", " C"])
    with pytest.raises(pc.AnnotationError, match="exclude has no column 'example'"):
        next_batch(SCORES, 1, exclude=SCORES.rename({"example": "id"}))
    with pytest.raises(ValueError, match="label='consensus_label'; it is for per_class="):
        next_batch(SCORES, 1, label="consensus_label")
    with pytest.raises(pc.AnnotationError, match="scores has no column 'active_learning_score'"):
        next_batch(SCORES.drop("active_learning_score"), 1)
    with pytest.raises(pc.AnnotationError, match=r"no column 'consensus_label'.*per_class= needs"):
        next_batch(SCORES.drop("consensus_label"), 1, per_class=1)
