"""What must stay true of CROWDLAB and majority vote, on random logs: only the annotations matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import polars_crowd as pc
from tests.cases import Case, assert_same, cases, dense, frame_of, text_case

pytestmark = pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")

KEYS = {
    "majority": ["example"],
    "examples": ["example"],
    "annotations": ["example", "annotator", "label"],
    "annotators": ["annotator"],
}
Answer = dict[str, pl.DataFrame]

options = st.fixed_dictionaries(
    {
        "consensus_method": st.sampled_from(["best_quality", "majority_vote"]),
        "quality_method": st.sampled_from(["crowdlab", "agreement"]),
        "label_quality_method": st.sampled_from(["self_confidence", "normalized_margin"]),
        "adjust_pred_probs": st.booleans(),
        "calibrate": st.booleans(),
    }
)
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=30)


def answer(log: Any, probs: Any, given_options: dict[str, Any]) -> Answer:
    """All the tables, sorted by their keys."""
    fit = pc.crowdlab(log, probs, **given_options)
    policies = {k: given_options[k] for k in ("classes", "duplicates") if k in given_options}
    tables = {
        "majority": pc.majority_vote(log, probs, **policies),
        "examples": fit.examples,
        "annotations": fit.annotations,
        "annotators": fit.annotators.lazy(),
    }
    return {name: table.sort(KEYS[name]).collect() for name, table in tables.items()}


def assert_same_answer(left: Answer, right: Answer) -> None:
    for name in KEYS:
        assert_same(left[name], right[name])


def renamed(found: Answer, **names: dict[Any, Any]) -> Answer:
    """The answer with other ids and labels, sorted anew."""
    columns = {
        "example": names.get("example", {}),
        "annotator": names.get("annotator", {}),
        "label": names.get("label", {}),
        "consensus_label": names.get("label", {}),
        "worst_class": names.get("label", {}),
    }
    return {
        table: frame.with_columns(
            pl.col(column).replace_strict(mapping)
            for column, mapping in columns.items()
            if mapping and column in frame.columns
        ).sort(KEYS[table])
        for table, frame in found.items()
    }


def shuffled(names: list[Any], seed: int) -> dict[int, Any]:
    """Codes 0, 1, ... to names in a random order."""
    return dict(enumerate(np.random.default_rng(seed).permutation(names).tolist()))


# --- order and engine ------------------------------------------------------------------------------


@few
@given(cases(max_models=2, ties=True), options, seeds)
def test_the_order_of_rows_does_not_matter(
    case: Case, given_options: dict[str, Any], seed: int
) -> None:
    log = case.log.sample(fraction=1, shuffle=True, seed=seed)
    probs = [p.sample(fraction=1, shuffle=True, seed=seed) for p in case.pred_probs]
    expected = answer(case.log, case.pred_probs, given_options)
    assert_same_answer(answer(log, probs, given_options), expected)


@few
@given(cases(max_models=2, ties=True), options)
def test_the_engine_does_not_matter(case: Case, given_options: dict[str, Any]) -> None:
    found = []
    for engine in ("in-memory", "streaming"):
        with pl.Config(engine_affinity=engine):
            found.append(answer(case.log.lazy(), case.pred_probs, given_options))
    assert_same_answer(*found)


@few
@given(cases(), options, st.integers(1, 4))
def test_how_the_log_is_cut_into_parts_does_not_matter(
    case: Case, given_options: dict[str, Any], n_parts: int
) -> None:
    parts = [case.log.gather_every(n_parts, i) for i in range(n_parts)]
    expected = answer(case.log, case.pred_probs, given_options)
    assert_same_answer(answer(parts, case.pred_probs, given_options), expected)


def test_results_may_be_the_log_of_another_run() -> None:
    """An earlier label_quality_score gives way to the new one; other columns stay."""
    data = pc.datasets.tutorial()
    first = pc.crowdlab(data.log.with_columns(seconds=1.5), data.pred_probs).annotations.collect()
    again = pc.crowdlab(first, data.pred_probs).annotations.collect()
    assert again.columns == ["example", "annotator", "label", "label_quality_score", "seconds"]
    assert_same(again, first)


# --- names -----------------------------------------------------------------------------------------


@few
@given(cases(max_models=2), options, st.tuples(seeds, seeds, seeds))
def test_renaming_renames_the_answer(
    case: Case, given_options: dict[str, Any], seed: tuple[int, int, int]
) -> None:
    """Of examples, annotators and classes. The order of classes is kept, as it breaks ties."""
    k = case.n_classes
    names = {
        "example": shuffled([f"e{e}" for e in range(len(case.labels))], seed[0]),
        "annotator": shuffled([f"a{a}" for a in range(case.labels.shape[1])], seed[1]),
        "label": shuffled([f"c{c}" for c in range(k)], seed[2]),
    }
    log = case.log.with_columns(pl.col(c).replace_strict(m) for c, m in names.items())
    labels = {str(c): name for c, name in names["label"].items()}
    probs = [
        p.rename(labels).with_columns(pl.col("example").replace_strict(names["example"]))
        for p in case.pred_probs
    ]
    expected = answer(case.log, case.pred_probs, given_options)
    assert_same_answer(answer(log, probs, given_options), renamed(expected, **names))


@few
@given(cases(max_models=2), options)
def test_strings_and_integers_give_the_same_answer(
    case: Case, given_options: dict[str, Any]
) -> None:
    log, probs, classes = text_case(case)
    found = answer(log, probs, given_options)
    expected = answer(case.log, case.pred_probs, given_options)
    names = {
        "example": {e: f"e{e:03}" for e in range(len(case.labels))},
        "annotator": {a: f"a{a:03}" for a in range(case.labels.shape[1])},
        "label": dict(enumerate(classes)),
    }
    assert_same_answer(found, renamed(expected, **names))


@few
@given(cases(), options, st.sampled_from([pl.Categorical, pl.Enum, pl.UInt64, pl.Int8, pl.Date]))
def test_the_type_of_ids_does_not_matter(
    case: Case, given_options: dict[str, Any], dtype: Any
) -> None:
    """Text that sorts like the numbers, and numbers of other widths; ids keep their type."""
    names = [f"{i:02}" for i in range(20)]
    typed = [typed_id(column, dtype, names) for column in ("example", "annotator")]
    log = case.log.with_columns(typed)
    probs = [p.with_columns(typed[0]) for p in case.pred_probs]
    found = answer(log, probs, given_options)
    expected = answer(case.log, case.pred_probs, given_options)
    for table in KEYS:
        ids = [key for key in KEYS[table] if key != "label"]
        assert {found[table].schema[key] for key in ids} == {log.schema["example"]}
        in_order = found[table].sort(
            pl.col(ids).cast(pl.String) if dtype == pl.Categorical else ids
        )
        assert_same(in_order.drop(ids), expected[table].sort(ids).drop(ids))


def typed_id(column: str, dtype: Any, names: list[str]) -> pl.Expr:
    """Integer ids in another type, in the same order."""
    number = pl.col(column).cast(pl.Int32)
    if dtype not in (pl.Categorical, pl.Enum):
        return number.cast(dtype)
    text = number.replace_strict(dict(enumerate(names)))
    return text.cast(pl.Enum(names) if dtype == pl.Enum else pl.Categorical)


# --- duplicates ------------------------------------------------------------------------------------


@few
@given(cases(), options, seeds)
def test_first_and_last_of_duplicates(case: Case, given_options: dict[str, Any], seed: int) -> None:
    """Other annotations of the same pairs, after the log or before it."""
    rng = np.random.default_rng(seed)
    some = case.log.sample(fraction=0.5, seed=seed)
    other = some.with_columns(label=pl.Series(rng.integers(0, case.n_classes, some.height)))
    expected = answer(case.log, case.pred_probs, given_options)
    for policy, log in (("first", [case.log, other]), ("last", [other, case.log])):
        found = answer(log, case.pred_probs, {**given_options, "duplicates": policy})
        assert_same_answer(found, expected)


@few
@given(cases(), options)
def test_a_copy_of_all_annotations_changes_no_share(
    case: Case, given_options: dict[str, Any]
) -> None:
    twice = [case.log, case.log]
    every = {**given_options, "duplicates": "all"}
    found = answer(twice, case.pred_probs, every)["examples"]
    assert found["num_annotations"].to_list() == (2 * (case.labels >= 0).sum(axis=1)).tolist()
    votes = answer(twice, case.pred_probs, every)["majority"]
    once = answer(case.log, case.pred_probs, given_options)["majority"]
    assert votes["annotator_agreement"].to_list() == once["annotator_agreement"].to_list()


# --- degenerate logs -------------------------------------------------------------------------------


def plain(labels: list[list[int]], probs: NDArray[np.float64] | None = None, k: int = 2) -> Answer:
    """The answer for a matrix of labels (-1: none), by default with a model that knows nothing."""
    matrix = np.array(labels)
    p = np.full((len(matrix), k), 1 / k) if probs is None else probs
    case = Case(matrix, [p])
    found = answer(case.log, frame_of(p), {})
    for table in ("examples", "annotations", "annotators"):
        floats = found[table].select(pl.selectors.float())
        assert all(s.drop_nulls().is_finite().all() for s in floats)
        assert all(
            s.drop_nulls().is_between(0, 1 + 1e-12).all()
            for s in floats.drop("annotator_weight", strict=False)
        )
    return found


@pytest.mark.parametrize(
    ("labels", "consensus"),
    [
        pytest.param([[0, 0]], [0], id="one example, agreed"),
        pytest.param([[0, 1]], [0], id="one example, tied"),
        pytest.param([[0, 1, 1]], [1], id="one example, outvoted"),
        pytest.param([[0, 1], [1, 0]], [0, 0], id="two annotators who never agree"),
        pytest.param([[0, 0], [0, 0]], [0, 0], id="one class"),
        pytest.param([[0, 1], [0, 1], [0, 1]], [0, 0, 0], id="all tied"),
        pytest.param([[0, 0, -1], [-1, -1, 1], [1, -1, -1]], [0, 1, 1], id="a single overlap"),
        pytest.param([[1, -1, -1, -1], [-1, 0, 0, -1], [-1, -1, -1, 1]], [1, 0, 1], id="islands"),
        pytest.param([[0] * 40], [0], id="more annotators than examples"),
    ],
)
def test_degenerate_logs_have_an_answer(labels: list[list[int]], consensus: list[int]) -> None:
    found = plain(labels)
    assert found["examples"]["consensus_label"].to_list() == consensus
    assert found["majority"]["consensus_label"].to_list() == consensus
    counts = (np.array(labels) >= 0).sum(axis=0)
    assert found["annotators"]["num_examples_labeled"].to_list() == counts.tolist()


def test_a_model_that_is_always_right_and_one_that_is_always_wrong() -> None:
    labels = [[0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 1, 1]]
    right = np.eye(2)[[0, 1, 0, 1]]
    for probs in (right, 1 - right):
        assert plain(labels, probs)["examples"]["consensus_label"].to_list() == [0, 1, 0, 1]


def test_many_classes_of_which_one_example_each() -> None:
    k = 50
    found = plain([[c, c] for c in range(k)], np.full((k, k), 1 / k), k)
    assert found["examples"]["consensus_label"].to_list() == list(range(k))
    assert found["annotators"]["agreement_with_consensus"].to_list() == [1.0, 1.0]


@few
@given(cases())
def test_one_annotator_of_all_cannot_be_compared(case: Case) -> None:
    alone = case.log.filter(pl.col("annotator") == 0)
    assume(alone.height)
    with pytest.raises(pc.AnnotationError, match="has one annotation only"):
        pc.crowdlab(alone, case.pred_probs[0])
    vote = pc.majority_vote(alone).collect()
    assert vote["consensus_label"].to_list() == alone.sort("example")["label"].to_list()


@few
@given(cases(max_models=2, ties=True))
def test_scores_are_probabilities_of_the_posterior(case: Case) -> None:
    fit = pc.crowdlab(case.log, case.pred_probs)
    q = dense(fit.posterior)
    np.testing.assert_allclose(q.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert q.min() >= 0
    examples = fit.examples.collect()
    own = q[np.arange(len(q)), examples["consensus_label"].to_numpy()]
    np.testing.assert_allclose(examples["consensus_quality_score"], own, rtol=0, atol=1e-12)
    rows = fit.annotations.collect()
    given_labels = q[rows["example"].to_numpy(), rows["label"].to_numpy()]
    np.testing.assert_allclose(rows["label_quality_score"], given_labels, rtol=0, atol=1e-12)
