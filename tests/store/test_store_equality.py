"""Any partitioning gives what the log gives in memory: labels exactly, numbers to 1e-9."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import polars_crowd as pc
from tests.cases import Case, assert_same, assert_same_fit, cases, text_case

BY_ROW = ["example", "annotator"]
PARTITIONS = (1, 2, 7, 64)

OPTIONS: list[dict[str, Any]] = [
    {},
    {"calibrate": True},
    {"consensus_method": "majority_vote"},
    {"consensus_method": ["majority_vote", "best_quality"], "calibrate": True},
    {"quality_method": "agreement"},
    {"label_quality_method": "normalized_margin", "adjust_pred_probs": True},
    {"label_quality_method": "confidence_weighted_entropy"},
]

few = settings(max_examples=10, suppress_health_check=list(HealthCheck))


def fit_or_error(*args: Any, **options: Any) -> pc.Crowdlab | str:
    try:
        return pc.crowdlab(*args, **options)
    except pc.AnnotationError as error:
        return str(error)


def assert_same_outcome(found: pc.Crowdlab | str, expected: pc.Crowdlab | str) -> None:
    """Fits that are the same, or errors."""
    if isinstance(found, pc.Crowdlab) and isinstance(expected, pc.Crowdlab):
        assert_same_fit(found, expected)
    else:
        assert found == expected


def assert_equal_in_partitions(
    log: pl.DataFrame, models: list[pl.DataFrame], options: dict[str, Any], partitions: int
) -> None:
    given_models = models if len(models) > 1 else models[0]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", pc.AnnotationWarning)
        store = pc.AnnotationStore.create(
            Path(folder) / "store", log, given_models, partitions=partitions
        )
        assert_same_outcome(
            fit_or_error(store, **options), fit_or_error(log, given_models, **options)
        )
        votes = pc.majority_vote(store).collect().sort("example")
        assert_same(votes, pc.majority_vote(log, given_models).collect().sort("example"))


@few
@given(
    cases(max_models=2, ties=True, max_examples=9),
    st.sampled_from(OPTIONS),
    st.sampled_from(PARTITIONS),
)
def test_logs_with_ties(case: Case, options: dict[str, Any], partitions: int) -> None:
    assert_equal_in_partitions(case.log, case.pred_probs, options, partitions)


@few
@given(cases(max_models=2, max_examples=9), st.sampled_from(OPTIONS), st.sampled_from(PARTITIONS))
def test_logs_of_text(case: Case, options: dict[str, Any], partitions: int) -> None:
    log, models, _ = text_case(case)
    assert_equal_in_partitions(log, models, options, partitions)


@few
@given(cases(ties=True), st.sampled_from(PARTITIONS), st.integers(0, 3))
def test_majority_votes_without_a_model(case: Case, partitions: int, seed: int) -> None:
    log = case.log.sample(fraction=1, shuffle=True, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        store = pc.AnnotationStore.create(Path(folder) / "store", log, partitions=partitions)
        assert_same(
            pc.majority_vote(store).collect().sort("example"),
            pc.majority_vote(log).collect().sort("example"),
        )


@few
@given(cases(max_examples=9), st.sampled_from((2, 7)), st.data())
def test_a_store_grown_in_any_batches(case: Case, partitions: int, data: st.DataObject) -> None:
    """However the rows are spread over create and append, the results are the same."""
    log, probs = case.log, case.pred_probs[0]
    batch = data.draw(st.lists(st.integers(0, 2), min_size=log.height, max_size=log.height))
    log = log.with_columns(batch=pl.Series(batch, dtype=pl.Int64))
    batches = [rows for _, rows in sorted(log.group_by("batch"), key=lambda group: group[0])]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", pc.AnnotationWarning)
        store = pc.AnnotationStore.create(
            Path(folder) / "store", batches[0], probs, partitions=partitions
        )
        for rows in batches[1:]:
            store.append(rows)
        found = store.scan_annotations().collect().sort(BY_ROW)
        assert_same(found, log.sort(BY_ROW))
        assert_same_outcome(fit_or_error(store), fit_or_error(log, probs))
