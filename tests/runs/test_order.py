"""Members of an Enum are in its order, in every result: not in that of their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import polars_crowd as pc

DATA = pc.datasets.tutorial()


def shuffled(ids: pl.Series) -> pl.Enum:
    """The ids in an order that is not that of their names."""
    return pl.Enum(ids.unique().sort().shuffle(seed=1))


EXAMPLES, ANNOTATORS = (shuffled(DATA.log[column]) for column in ("example", "annotator"))
LOG = DATA.log.with_columns(pl.col("example").cast(EXAMPLES), pl.col("annotator").cast(ANNOTATORS))
PROBS = DATA.pred_probs.with_columns(pl.col("example").cast(EXAMPLES))
NUMBERS = LOG.with_columns(pl.col("label").cast(pl.Float64))
METHODS: dict[str, Callable[[], pl.LazyFrame]] = {
    "majority_vote": lambda: pc.majority_vote(LOG),
    "majority_vote with a model": lambda: pc.majority_vote(LOG, PROBS),
    "crowdlab": lambda: pc.crowdlab(LOG, PROBS).examples,
    "annotations": lambda: pc.crowdlab(LOG, PROBS).annotations,
    "activelab": lambda: pc.activelab(LOG, PROBS),
    "dawid_skene": lambda: pc.dawid_skene(LOG).examples,
    "mean_truth": lambda: pc.mean_truth(NUMBERS).examples,
    "example_agreement": lambda: pc.example_agreement(LOG).lazy(),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_examples_are_in_the_order_of_the_enum(method: Callable[[], pl.LazyFrame]) -> None:
    found = method().collect()["example"]
    assert found.dtype == EXAMPLES
    assert found.unique(maintain_order=True).to_list() == EXAMPLES.categories.to_list()


@pytest.mark.parametrize("log", [LOG, NUMBERS], ids=["classes", "numbers"])
def test_a_store_has_the_same_order(log: pl.DataFrame, tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=1)
    fit = pc.dawid_skene(store) if log is LOG else pc.mean_truth(store)
    assert fit.examples.collect()["example"].to_list() == EXAMPLES.categories.to_list()


def test_methods_are_compared_example_by_example() -> None:
    """... and agree as they do where ids are text."""
    named, text = (pc.compare(log, methods=["majority_vote", "wawa"]) for log in (LOG, DATA.log))
    columns = ["method", "agreement_with_others"]
    found, expected = (each.methods.select(columns).sort("method") for each in (named, text))
    assert found.equals(expected)
    disagreed = (set(each.disagreements["example"].to_list()) for each in (named, text))
    assert next(disagreed) == next(disagreed)


def test_annotators_of_pairs_are_in_the_order_of_the_enum() -> None:
    pairs = pc.pairwise_agreement(LOG)
    places = pairs.select(pl.col("annotator_1", "annotator_2").to_physical())
    assert (places["annotator_1"] < places["annotator_2"]).all()
    assert places["annotator_1"].is_sorted()
