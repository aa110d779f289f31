"""The store: what goes in comes out, methods give what they give in memory, and nothing is ever half."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from tests.cases import assert_same, assert_same_fit

DATA = pc.datasets.tutorial()
NOTED = DATA.log.with_columns(note=pl.format("{}-{}", "example", "annotator"))
BY_ROW = ["example", "annotator"]

OPTIONS: list[dict[str, Any]] = [
    {},
    {"calibrate": True},
    {"adjust_pred_probs": True, "label_quality_method": "normalized_margin"},
    {"consensus_method": ["majority_vote", "best_quality"], "adjust_pred_probs": True},
    {"quality_method": "agreement"},
    {"label_quality_method": "confidence_weighted_entropy"},
]


def store_of(path: Path, partitions: int, *models: pl.DataFrame) -> pc.AnnotationStore:
    given = list(models) if len(models) > 1 else (models or (DATA.pred_probs,))[0]
    return pc.AnnotationStore.create(path / "store", NOTED, given, partitions=partitions)


# --- methods ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store_in(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], pc.AnnotationStore]:
    """The store of so many partitions."""
    return cache(lambda partitions: store_of(tmp_path_factory.mktemp("stores"), partitions))


@pytest.mark.parametrize(
    ("partitions", "options"),
    [*((n, options) for n in (1, 2, 7) for options in OPTIONS), (20, {}), (20, OPTIONS[3])],
    ids=str,
)
def test_crowdlab_of_a_store_is_that_of_the_log(
    store_in: Callable[[int], pc.AnnotationStore],
    tmp_path: Path,
    partitions: int,
    options: dict[str, Any],
) -> None:
    """With all options in one, two and seven partitions; twenty are but more of the same."""
    store = store_in(partitions)
    expected = pc.crowdlab(NOTED, DATA.pred_probs, **options)
    assert_same_fit(pc.crowdlab(store, **options), expected)
    written = pc.crowdlab(store, into=tmp_path / "results", **options)
    assert_same_fit(written, expected)
    annotators = pc.open_results(tmp_path / "results").annotators
    assert_same(annotators, written.annotators)


def test_an_ensemble_of_a_store(tmp_path: Path) -> None:
    other = DATA.pred_probs.select("example", **{"0": "1", "1": "2", "2": "0"})
    store = store_of(tmp_path, 5, DATA.pred_probs, other)
    expected = pc.crowdlab(NOTED, [DATA.pred_probs, other], calibrate=True)
    fit = pc.crowdlab(store, calibrate=True)
    assert_same_fit(fit, expected)
    assert fit.model_weight == pytest.approx(expected.model_weight, abs=1e-9)


@pytest.mark.parametrize("partitions", [1, 7])
def test_majority_vote_of_a_store(tmp_path: Path, partitions: int) -> None:
    store = store_of(tmp_path, partitions)
    expected = pc.majority_vote(NOTED, DATA.pred_probs).collect()
    assert_same(pc.majority_vote(store).collect().sort("example"), expected)
    alone = pc.AnnotationStore.create(tmp_path / "alone", NOTED, partitions=partitions)
    expected = pc.majority_vote(NOTED).collect()
    assert_same(pc.majority_vote(alone).collect().sort("example"), expected)


# --- what goes in comes out ------------------------------------------------------------------------


def test_the_log_comes_out_as_it_went_in(tmp_path: Path) -> None:
    store = store_of(tmp_path, 7)
    assert store.scan_annotations().collect().sort(BY_ROW).equals(NOTED.sort(BY_ROW))
    probs = store.scan_pred_probs()
    assert isinstance(probs, pl.LazyFrame)
    assert probs.collect().sort("example").equals(DATA.pred_probs.sort("example"))
    assert store.verify().is_empty()
    assert repr(store) == (
        "AnnotationStore: 296 examples, 50 annotators, 1,456 annotations, 3 classes, 1 model, 7 partitions"
    )
