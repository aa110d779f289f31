"""The bundled data is the published data."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from polars_crowd.datasets import Dataset, tutorial

PUBLISHED_MAJORITY_VOTE_ACCURACY = 0.8581


@pytest.fixture(scope="module")
def data() -> Dataset:
    return tutorial()


def test_sizes_are_the_published_ones(data: Dataset) -> None:
    assert data.log.height == 1456
    assert data.truth.height == data.pred_probs.height == data.features.height == 296
    assert data.log["annotator"].unique().sort().to_list() == [f"A{i:04}" for i in range(1, 51)]


def test_columns_and_types(data: Dataset) -> None:
    assert data.log.schema == {"example": pl.String, "annotator": pl.String, "label": pl.Int64}
    assert data.truth.schema == {"example": pl.String, "label": pl.Int64}
    assert data.features.schema == {"example": pl.String, "x0": pl.Float64, "x1": pl.Float64}
    classes = dict.fromkeys(("0", "1", "2"), pl.Float64)
    assert data.pred_probs.schema == {"example": pl.String, **classes}


def test_frames_are_complete_and_share_their_examples(data: Dataset) -> None:
    examples = [f"{i:03}" for i in range(296)]
    for frame in (data.truth, data.pred_probs, data.features):
        assert frame["example"].to_list() == examples
    assert data.log["example"].unique().sort().to_list() == examples
    assert data.log.select("example", "annotator").is_unique().all()
    for frame in (data.log, data.truth, data.pred_probs, data.features):
        assert frame.null_count().sum_horizontal().item() == 0
    assert data.log["label"].unique().sort().to_list() == [0, 1, 2]


def test_pred_probs_are_probabilities_by_class(data: Dataset) -> None:
    probs = data.pred_probs.drop("example").to_numpy()
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-12)
    assert probs.min() >= 0
    assert (probs.argmax(axis=1) == data.truth["label"].to_numpy()).mean() > 0.9


def test_published_accuracy_of_majority_vote_is_possible(data: Dataset) -> None:
    """Ties apart: it lies between truth as the only winner of the vote and as one of them."""
    votes = data.log.group_by("example", "label").len()
    winners = votes.filter(pl.col("len") == pl.col("len").max().over("example"))
    right = winners.with_columns(pl.len().over("example").alias("tied")).join(
        data.truth, on=["example", "label"]
    )
    low, high = right.filter(tied=1).height / 296, right.height / 296
    assert low <= PUBLISHED_MAJORITY_VOTE_ACCURACY <= high
    assert high - low < 0.25


def test_last_five_annotators_are_the_noisy_ones(data: Dataset) -> None:
    truth = data.truth.rename({"label": "true_label"})
    right = (
        data.log.join(truth, on="example")
        .group_by(noisy=pl.col("annotator") >= "A0046")
        .agg((pl.col("label") == pl.col("true_label")).mean())
    )
    noisy, rest = right.sort("noisy", descending=True)["label"]
    assert noisy < 0.5 < 0.7 < rest


def test_features_separate_the_classes(data: Dataset) -> None:
    means = (
        data.features.join(data.truth, on="example")
        .group_by("label")
        .agg(pl.col("x0", "x1").mean())
    )
    assert means["x0"].std() + means["x1"].std() > 1  # type: ignore[operator]


def test_repr_is_the_report(data: Dataset) -> None:
    header = "Dataset tutorial: 296 examples, 50 annotators, 1456 annotations, 3 classes"
    assert repr(data).startswith(header)


def test_dataset_is_frozen(data: Dataset) -> None:
    with pytest.raises(AttributeError):
        data.log = data.truth  # type: ignore[misc]
