"""Simulations give back the laws they were drawn from.

Statistical tests compare a count with its Binomial law at 5 standard deviations. The seeds are
fixed, so that a test either always passes or always fails; under the right law one comparison in
1.7 million fails.
"""

from __future__ import annotations

import re
from dataclasses import fields
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from polars.testing import assert_frame_equal

from polars_crowd.arrays import Floats
from polars_crowd.simulate import (
    Simulation,
    noise_matrix_from_trace,
    noisy_labels,
    simulate_annotations,
)
from polars_crowd.simulate.annotations import _drawn_from_rows

CONFUSION = np.array([[0.7, 0.3, 0.0], [0.1, 0.6, 0.3], [0.0, 0.25, 0.75]])
quick = settings(max_examples=100, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**32 - 1)


def z_scores(count: ArrayLike, n: ArrayLike, p: ArrayLike) -> Floats:
    """Standard deviations between counts and their Binomial(n, p) means."""
    count, n, p = np.asarray(count), np.asarray(n), np.asarray(p)
    return np.asarray(np.abs(count - n * p) / np.sqrt(np.maximum(n * p * (1 - p), 1e-12)))


def realised_noise_matrix(truth: ArrayLike, labels: ArrayLike, K: int) -> Floats:
    """Counts by label (row) and truth (column)."""
    counts = np.zeros((K, K))
    np.add.at(counts, (np.asarray(labels), np.asarray(truth)), 1)
    return counts


def with_truth(simulation: Simulation) -> pl.DataFrame:
    truth = simulation.truth.rename({"label": "true_label"})
    return simulation.log.join(truth, on="example", how="left", maintain_order="left")


def confusion_counts(simulation: Simulation) -> pl.DataFrame:
    """Per annotator, true label and label: count, total of the row, expected probability."""
    cells = ["annotator", "true_label", "label"]
    counts = with_truth(simulation).group_by(cells).agg(count=pl.len())
    return simulation.confusion.join(counts, on=cells, how="left").with_columns(
        pl.col("count").fill_null(0),
        total=pl.col("count").fill_null(0).sum().over("annotator", "true_label"),
    )


# ------------------------------------------------------------------------------------------------
# noise_matrix_from_trace


@quick
@given(data=st.data(), K=st.integers(2, 7), seed=seeds)
def test_noise_matrix_is_stochastic_learnable_and_has_the_trace(
    data: st.DataObject, K: int, seed: int
) -> None:
    trace = data.draw(st.floats(1.1, K))
    weights = np.array(data.draw(st.lists(st.integers(1, 9), min_size=K, max_size=K)))
    prior = weights / weights.sum()
    N = noise_matrix_from_trace(K, trace, prior=prior, seed=seed)
    assert N.shape == (K, K)
    assert N.min() >= 0
    assert N.max() <= 1 + 1e-12
    np.testing.assert_allclose(N.sum(axis=0), 1, atol=1e-12)
    np.testing.assert_allclose(N.trace(), trace, atol=1e-12)
    assert np.all(N @ prior < np.diag(N)), "P(label=i) P(truth=i) < P(label=i, truth=i)"


@quick
@given(K=st.integers(2, 6), low=st.floats(0, 0.1), high=st.floats(0.12, 0.2), seed=seeds)
def test_noise_rates_keep_their_bounds(K: int, low: float, high: float, seed: int) -> None:
    trace = K - K * (K - 1) * (low + high) / 2
    N = noise_matrix_from_trace(
        K, trace, valid=False, min_noise_rate=low, max_noise_rate=high, seed=seed
    )
    rates = N[~np.eye(K, dtype=bool)]
    assert rates.min() >= low - 1e-12
    assert rates.max() <= high + 1e-12
    np.testing.assert_allclose(N.sum(axis=0), 1, atol=1e-12)
    np.testing.assert_allclose(N.trace(), trace, atol=1e-12)


@pytest.mark.parametrize("share", [0, 0.25, 0.5, 0.75, 1])
def test_share_of_noise_rates_is_zero(share: float) -> None:
    K, trace = 5, 5 if share == 1 else 4
    N = noise_matrix_from_trace(K, trace, frac_zero_noise_rates=share, seed=3)
    rates = N[~np.eye(K, dtype=bool)]
    assert (rates == 0).sum() == round(share * 20)
    np.testing.assert_allclose(N.sum(axis=0), 1, atol=1e-12)
    np.testing.assert_allclose(N.trace(), trace, atol=1e-12)


def test_invalid_matrix_needs_no_learnable_class() -> None:
    N = noise_matrix_from_trace(4, 0.3, valid=False, seed=5)
    np.testing.assert_allclose(N.trace(), 0.3, atol=1e-12)
    assert not np.all(N.mean(axis=1) < np.diag(N))


def test_noise_matrix_is_random_and_depends_on_the_seed_alone() -> None:
    first, again, other = (noise_matrix_from_trace(4, 3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01
    assert np.ptp(np.diag(first)) > 0.01


def test_diagonal_is_as_random_near_1_as_near_0() -> None:
    low, high = (np.diag(noise_matrix_from_trace(6, t, valid=False)) for t in (1.5, 4.5))
    np.testing.assert_allclose(low, 1 - high, atol=1e-12)


def test_tight_trace_is_found_for_many_classes() -> None:
    N = noise_matrix_from_trace(20, 1.05, seed=0)
    assert np.all(N.mean(axis=1) < np.diag(N))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_classes": 1, "trace": 1.0}, "n_classes is 1, must be a whole number, at least 2"),
        ({"n_classes": 3, "trace": 3.5}, "trace is 3.5, must be between 0 and 3"),
        ({"n_classes": 3, "trace": float("nan")}, "trace=nan; it must be a number"),
        ({"n_classes": 3, "trace": 1.0}, "trace is 1.0, must be above 1: .* valid=False"),
        ({"max_noise_rate": 1.5}, "max_noise_rate is 1.5, must be between 0 and 1"),
        ({"min_noise_rate": 0.6}, "min_noise_rate is 0.6, must be between 0 and 0.5: lower it"),
        (
            {"min_noise_rate": 0.1, "max_noise_rate": 0.2, "trace": 1.5},
            "trace is 1.5, must be between 1.8 and 2.4 with 6 noise rates between 0.1 and 0.2",
        ),
        (
            {"frac_zero_noise_rates": 1.0},
            "trace is 2.5, must be between 3 and 3 with 0 noise rates",
        ),
        ({"frac_zero_noise_rates": 2.0}, "frac_zero_noise_rates is 2.0, must be between 0 and 1"),
        ({"prior": [0.5, 0.5]}, r"prior is of shape \(2,\), must be of shape \(3,\)"),
        ({"prior": [0.5, 0.5, 0.0]}, "prior is .*, must be positive in every class"),
        ({"prior": [0.5, 0.6, 0.1]}, "the sum of prior is 1.2, must be 1 within 1e-06"),
        ({"prior": [1.5, -0.5, 0.0]}, "prior is 1.5 in an entry, must be between 0 and 1"),
        ({"max_iter": 0}, "max_iter=0; it must be an integer of at least 1"),
        ({"seed": -1}, "seed=-1; it must be an integer of at least 0"),
        (
            {"n_classes": 10, "trace": 1.01, "frac_zero_noise_rates": 0.5, "max_iter": 3},
            "max_iter is 3, must be enough to find a noise matrix of trace 1.01.*raise trace or",
        ),
    ],
)
def test_noise_matrix_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        noise_matrix_from_trace(**{"n_classes": 3, "trace": 2.5, **arguments})


# ------------------------------------------------------------------------------------------------
# noisy_labels


@quick
@given(truth=st.lists(st.integers(0, 3), max_size=200), trace=st.floats(1.5, 4), seed=seeds)
def test_realised_noise_matrix_is_the_requested_one(
    truth: list[int], trace: float, seed: int
) -> None:
    N = noise_matrix_from_trace(4, trace, seed=seed)
    labels = noisy_labels(np.array(truth, dtype=np.int64), N, seed=seed)
    counts = realised_noise_matrix(np.array(truth, dtype=np.int64), labels, 4)
    n_by_truth = np.bincount(np.array(truth, dtype=np.int64), minlength=4)
    np.testing.assert_array_equal(counts.sum(axis=0), n_by_truth)
    assert np.abs(counts - N * n_by_truth).max() < 1


def test_whole_counts_are_exact() -> None:
    N = np.array([[0.7, 0.1, 0.0], [0.2, 0.9, 0.5], [0.1, 0.0, 0.5]])
    truth = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [1000, 500, 10]))
    counts = realised_noise_matrix(truth, noisy_labels(truth, N), 3)
    np.testing.assert_array_equal(counts, N * [1000, 500, 10])


def test_every_example_is_as_likely_to_be_flipped() -> None:
    truth = np.array([0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    N = [[0.8, 0.0], [0.2, 1.0]]
    draws = np.array([noisy_labels(truth, N, seed=seed) for seed in range(3000)])
    flips = (draws != truth).sum(axis=0)
    assert flips[[1, 4]].tolist() == [0, 0]
    assert z_scores(flips[truth == 0], 3000, 0.2).max() < 5


def test_noisy_labels_depend_on_the_seed_alone_and_keep_truth() -> None:
    truth = np.arange(300) % 3
    N = noise_matrix_from_trace(3, 2)
    first, again, other = (noisy_labels(truth, N, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    assert first.dtype == np.int64
    np.testing.assert_array_equal(truth, np.arange(300) % 3)
    np.testing.assert_array_equal(noisy_labels(pl.Series(truth), N, seed=1), first)


@pytest.mark.parametrize(
    ("truth", "N", "message"),
    [
        ([0, 1], [[1.0, 0.0]], r"noise_matrix is of shape \(1, 2\), must be of shape \(K, K\)"),
        ([0, 1], [[0.9, 0.5], [0.2, 0.5]], r"the sum of noise_matrix is 1.1, .* columns \(truth\)"),
        ([0, 1], [[1.5, 0.5], [-0.5, 0.5]], "noise_matrix is 1.5 in an entry, must be between 0"),
        ([0, 2], np.eye(2), "truth is 2, must be between 0 and 1: encode the classes"),
        ([0, -1], np.eye(2), "truth is -1, must be between 0 and 1: encode the classes"),
        ([0.0, 1.0], np.eye(2), "truth is .* type float64, must be a vector of integers"),
        ([[0, 1]], np.eye(2), r"truth is of shape \(1, 2\) .* must be a vector of integers"),
    ],
)
def test_noisy_labels_errors(truth: ArrayLike, N: ArrayLike, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        noisy_labels(truth, N)


# ------------------------------------------------------------------------------------------------
# simulate_annotations: the frames


@quick
@given(
    n=st.integers(1, 60),
    M=st.integers(1, 12),
    K=st.integers(2, 5),
    share=st.floats(0, 1),
    ragged=st.booleans(),
    difficulty=st.floats(0, 1),
    adversaries=st.floats(0, 0.5),
    spammers=st.floats(0, 0.4),
    integer_ids=st.booleans(),
    seed=seeds,
)
def test_frames_hang_together(
    n: int,
    M: int,
    K: int,
    share: float,
    ragged: bool,
    difficulty: float,
    adversaries: float,
    spammers: float,
    integer_ids: bool,
    seed: int,
) -> None:
    per = 1 + share * (M - 1) if ragged else 1 + int(share * (M - 1))
    s = simulate_annotations(
        n_examples=n,
        n_annotators=M,
        n_classes=K,
        annotations_per_example=per,
        ragged=ragged,
        difficulty=difficulty,
        adversaries=adversaries,
        spammers=spammers,
        integer_ids=integer_ids,
        seed=seed,
    )
    assert s.log.columns == ["example", "annotator", "label"]
    assert s.log.select("example", "annotator").is_unique().all(), "annotators are distinct"
    assert_frame_equal(s.log, s.log.sort("example", "annotator"))
    counts = s.log.group_by("example").len().sort("example")
    assert_frame_equal(counts.select("example"), s.truth.select("example"))
    assert counts["len"].is_between(1, M).all()
    assert ragged or counts["len"].eq(per).all()
    labeled = s.annotators.join(s.log, on="annotator", how="left", maintain_order="left")
    assert (
        labeled.group_by("annotator", maintain_order=True).agg(pl.col("label").count())["label"]
        == s.annotators["num_examples_labeled"]
    ).all()
    assert s.log["annotator"].is_in(s.annotators["annotator"].implode()).all()
    assert s.log["label"].is_between(0, K - 1).all()
    assert s.truth["label"].is_between(0, K - 1).all()
    assert s.difficulty["difficulty"].is_between(0, 1).all()
    probs = s.pred_probs.drop("example")
    assert probs.columns == [str(k) for k in range(K)]
    np.testing.assert_allclose(probs.to_numpy().sum(axis=1), 1, atol=1e-12)
    rows = s.confusion.group_by("annotator", "true_label").agg(pl.col("probability").sum())
    assert rows.height == M * K
    np.testing.assert_allclose(rows["probability"].to_numpy(), 1, atol=1e-12)
    assert all(not getattr(s, f.name).select(pl.all().has_nulls()).row(0)[0] for f in fields(s))


def test_ids_and_labels_have_names() -> None:
    s = simulate_annotations(
        n_examples=3, n_annotators=2, annotations_per_example=2, classes=["no", "yes", "maybe"]
    )
    assert s.truth["example"].to_list() == ["e000000", "e000001", "e000002"]
    assert s.annotators["annotator"].to_list() == ["a0000", "a0001"]
    assert s.class_prior["label"].to_list() == ["no", "yes", "maybe"]
    assert s.pred_probs.columns == ["example", "no", "yes", "maybe"]
    assert s.log.schema == {"example": pl.String, "annotator": pl.String, "label": pl.String}
    assert s.confusion["true_label"].unique().sort().to_list() == ["maybe", "no", "yes"]


def test_ids_and_labels_can_be_integers() -> None:
    s = simulate_annotations(
        n_examples=3, n_annotators=2, annotations_per_example=2, classes=[1, 5], integer_ids=True
    )
    assert s.log.schema == {"example": pl.Int64, "annotator": pl.Int64, "label": pl.Int64}
    assert s.log["example"].to_list() == [0, 0, 1, 1, 2, 2]
    assert s.log["annotator"].to_list() == [0, 1, 0, 1, 0, 1]
    assert set(s.truth["label"]) <= {1, 5}
    assert s.pred_probs.columns == ["example", "1", "5"]


def test_names_change_nothing_else() -> None:
    codes = simulate_annotations(n_examples=200, n_classes=2, integer_ids=True, seed=4)
    names = simulate_annotations(n_examples=200, classes=["no", "yes"], seed=4)
    renamed = codes.log.select(
        pl.format("e{}", pl.col("example").cast(pl.String).str.zfill(6)).alias("example"),
        pl.format("a{}", pl.col("annotator").cast(pl.String).str.zfill(4)).alias("annotator"),
        pl.col("label").replace_strict({0: "no", 1: "yes"}),
    )
    assert_frame_equal(renamed, names.log)


def test_long_ids_sort_as_their_numbers() -> None:
    s = simulate_annotations(n_examples=1, n_annotators=10_002, annotations_per_example=1)
    assert s.annotators["annotator"].is_sorted()
    assert s.annotators["annotator"][-1] == "a10001"


def test_everything_depends_on_the_seed_alone() -> None:
    options: dict[str, Any] = {"ragged": True, "difficulty": 0.3, "spammers": 3, "adversaries": 2}
    first, again, other = (simulate_annotations(**options, seed=seed) for seed in (1, 1, 2))
    for f in fields(Simulation):
        assert_frame_equal(getattr(first, f.name), getattr(again, f.name))
    assert not first.log.equals(other.log)
    assert not first.pred_probs.equals(other.pred_probs)


def test_each_part_draws_from_its_own_stream() -> None:
    base = simulate_annotations()
    assert_frame_equal(base.log, simulate_annotations(model_accuracy=0.6).log)
    harder = simulate_annotations(difficulty=0.5, spammers=5)
    assert_frame_equal(base.truth, harder.truth)
    assert_frame_equal(base.pred_probs, harder.pred_probs)
    assert_frame_equal(base.log.drop("label"), harder.log.drop("label"))
    assert not base.log.equals(harder.log)


def test_simulation_is_frozen_and_its_repr_is_the_report() -> None:
    s = simulate_annotations(n_examples=10, n_annotators=6, annotations_per_example=2)
    header = "Simulation: 10 examples, 6 annotators, 20 annotations, 3 classes"
    assert repr(s).startswith(header)
    with pytest.raises(AttributeError):
        s.log = s.truth  # type: ignore[misc]


# ------------------------------------------------------------------------------------------------
# simulate_annotations: the law


def test_confusion_matrices_come_back() -> None:
    s = simulate_annotations(
        n_examples=30_000,
        n_annotators=6,
        annotations_per_example=5,
        accuracy=(0.4, 0.95),
        adversaries=1,
        spammers=1,
        class_prior=[0.5, 0.3, 0.2],
        seed=7,
    )
    cells = confusion_counts(s)
    assert cells.height == 6 * 9
    assert cells["total"].min() > 1000  # type: ignore[operator]
    z = z_scores(cells["count"], cells["total"], cells["probability"])
    assert z.max() < 5
    assert z.max() > 1, "counts are drawn, not rounded"


def test_prior_comes_back() -> None:
    prior = [0.6, 0.3, 0.1, 0.0]
    s = simulate_annotations(n_examples=50_000, class_prior=prior, annotations_per_example=1)
    counts = np.bincount(s.truth["label"], minlength=4)
    assert z_scores(counts, 50_000, prior).max() < 5
    assert s.class_prior["probability"].to_list() == pytest.approx(prior)


def test_given_confusion_is_the_law_of_every_annotator() -> None:
    s = simulate_annotations(n_examples=20_000, confusion=CONFUSION, annotations_per_example=3)
    counts = realised_noise_matrix(with_truth(s)["true_label"], s.log["label"], 3).T
    totals = counts.sum(axis=1, keepdims=True)
    assert z_scores(counts, totals, CONFUSION).max() < 5
    assert counts[CONFUSION == 0].tolist() == [0, 0]
    assert s.confusion["probability"].to_numpy().reshape(50, 3, 3) == pytest.approx(
        np.broadcast_to(CONFUSION, (50, 3, 3))
    )


@pytest.mark.parametrize("u", [0.0, 1 - 2**-53])
def test_impossible_labels_are_never_drawn(u: float) -> None:
    """Not even at the ends of the unit interval, in the last of many rows."""
    rng = cast("np.random.Generator", SimpleNamespace(random=lambda n: np.full(n, u)))
    rows = np.tile([[0.0, 0.3, 0.7, 0.0], [0.4, 0.0, 0.0, 0.6]], (5000, 1))
    drawn = _drawn_from_rows(rng, np.arange(10_000), rows)
    assert drawn.reshape(-1, 2).tolist() == [[1, 0] if u == 0 else [2, 3]] * 5000


def test_confusion_can_differ_by_annotator() -> None:
    C = np.stack([np.eye(2), np.eye(2)[::-1], [[0.5, 0.5], [0.5, 0.5]]])
    s = simulate_annotations(n_examples=500, n_annotators=3, confusion=C, annotations_per_example=3)
    right = (
        with_truth(s).group_by("annotator").agg((pl.col("label") == pl.col("true_label")).mean())
    )
    assert right.sort("annotator")["label"].to_list()[:2] == [1.0, 0.0]
    assert s.annotators["accuracy"].to_list() == [1.0, 0.0, 0.5]


def test_difficulty_takes_accuracy_to_chance() -> None:
    s = simulate_annotations(
        n_examples=40_000,
        accuracy=(0.9, 0.9),
        difficulty=0.4,
        annotations_per_example=3,
        n_classes=4,
    )
    right = (
        with_truth(s)
        .join(s.difficulty, on="example")
        .with_columns(bin=(pl.col("difficulty") * 10).cast(pl.Int64).clip(0, 9))
        .group_by("bin")
        .agg(
            pl.len(),
            right=(pl.col("label") == pl.col("true_label")).sum(),
            expected=(0.9 * (1 - pl.col("difficulty")) + pl.col("difficulty") / 4).mean(),
        )
        .sort("bin")
    )
    assert right.height == 10
    assert z_scores(right["right"], right["len"], right["expected"]).max() < 5
    assert right["expected"][0] - right["expected"][-1] > 0.5
    d = s.difficulty["difficulty"]
    assert abs(d.mean() - 0.4) < 5 * np.sqrt(0.24 / 3 / 40_000)  # type: ignore[operator]


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_difficulty_at_its_ends(difficulty: float) -> None:
    s = simulate_annotations(n_examples=5000, accuracy=1.0, difficulty=difficulty)
    right = int((with_truth(s)["label"] == with_truth(s)["true_label"]).sum())
    assert s.difficulty["difficulty"].unique().to_list() == [difficulty]
    assert z_scores(right, s.log.height, 1 - difficulty * 2 / 3) < 5
    assert (right == s.log.height) == (difficulty == 0)


def test_labels_of_an_example_are_independent_given_truth() -> None:
    s = simulate_annotations(
        n_examples=40_000, n_annotators=2, accuracy=(0.7, 0.7), annotations_per_example=2
    )
    right = (with_truth(s)["label"] == with_truth(s)["true_label"]).to_numpy().reshape(-1, 2)
    assert z_scores(right.all(axis=1).sum(), 40_000, 0.49) < 5


@pytest.mark.parametrize(("M", "per"), [(5, 2), (5, 3), (6, 5)])
def test_every_set_of_annotators_is_as_likely(M: int, per: int) -> None:
    s = simulate_annotations(
        n_examples=20_000, n_annotators=M, annotations_per_example=per, integer_ids=True
    )
    sets = s.log.group_by("example").agg(pl.col("annotator").sort())["annotator"].value_counts()
    n_sets = {(5, 2): 10, (5, 3): 10, (6, 5): 6}[M, per]
    assert sets.height == n_sets
    assert z_scores(sets["count"], 20_000, 1 / n_sets).max() < 5


@pytest.mark.parametrize(("M", "per"), [(50, 3.5), (4, 2.5), (4, 1), (4, 4), (1, 1)])
def test_ragged_logs_have_the_mean(M: int, per: float) -> None:
    s = simulate_annotations(
        n_examples=20_000, n_annotators=M, annotations_per_example=per, ragged=True
    )
    more, trials = s.log.height - 20_000, 20_000 * (M - 1)
    assert z_scores(more, trials, (per - 1) / max(M - 1, 1)) < 5
    sizes = s.log.group_by("example").len()["len"]
    assert sizes.min() == (M if per == M else 1)
    assert sizes.n_unique() == (1 if per in (1, M) else min(M, sizes.max()))  # type: ignore[type-var]


def test_accuracy_is_a_mean_or_a_range() -> None:
    around = simulate_annotations(n_annotators=4000, accuracy=0.7).annotators["accuracy"]
    sd = np.sqrt(0.7 * 0.3 / 21)
    assert abs(around.mean() - 0.7) < 5 * sd / np.sqrt(4000)  # type: ignore[operator]
    assert around.std() == pytest.approx(sd, rel=0.1)
    between = simulate_annotations(n_annotators=4000, accuracy=(0.6, 0.8)).annotators["accuracy"]
    assert between.is_between(0.6 - 1e-12, 0.8 + 1e-12).all()
    assert between.min() < 0.605  # type: ignore[operator]
    assert between.max() > 0.795  # type: ignore[operator]


@pytest.mark.parametrize(("adversaries", "spammers"), [(3, 5), (0.15, 0.25)])
def test_kinds_are_counted_by_number_or_share(adversaries: float, spammers: float) -> None:
    s = simulate_annotations(n_annotators=20, adversaries=adversaries, spammers=spammers)
    counts = dict(s.annotators["kind"].value_counts().iter_rows())
    assert counts == {"regular": 12, "adversary": 3, "spammer": 5}
    assert s.annotators["kind"].rle().len() > 3, "kinds are in random places"


def test_spammers_ignore_the_truth_and_adversaries_shift_their_label() -> None:
    s = simulate_annotations(
        n_annotators=300, n_classes=4, accuracy=(0.8, 0.8), adversaries=100, spammers=10
    )
    C = s.confusion["probability"].to_numpy().reshape(300, 4, 4)
    kind = s.annotators["kind"].to_numpy()
    spammer, adversary = C[kind == "spammer"], C[kind == "adversary"]
    np.testing.assert_array_equal(spammer, spammer[:, :1].repeat(4, axis=1))
    assert np.ptp(spammer, axis=0).min() > 0.1, "spammers differ"
    at = np.argmax(adversary, axis=2)
    shift = (at - np.arange(4)) % 4
    np.testing.assert_allclose(adversary.max(axis=2), 0.8)
    np.testing.assert_array_equal(shift, shift[:, :1].repeat(4, axis=1))
    assert z_scores(np.bincount(shift[:, 0], minlength=4), 100, [0, 1 / 3, 1 / 3, 1 / 3]).max() < 5
    assert s.annotators.filter(kind="adversary")["accuracy"].max() < 0.2  # type: ignore[operator]
    np.testing.assert_allclose(s.annotators.filter(kind="regular")["accuracy"], 0.8)


def test_accuracy_weighs_classes_by_the_prior() -> None:
    s = simulate_annotations(confusion=CONFUSION, class_prior=[0.5, 0.3, 0.2])
    np.testing.assert_allclose(s.annotators["accuracy"], 0.5 * 0.7 + 0.3 * 0.6 + 0.2 * 0.75)


# ------------------------------------------------------------------------------------------------
# simulate_annotations: the model


def probs_and_truth(simulation: Simulation) -> tuple[Floats, NDArray[np.int64]]:
    assert_frame_equal(simulation.pred_probs.select("example"), simulation.truth.select("example"))
    return simulation.pred_probs.drop("example").to_numpy(), simulation.truth["label"].to_numpy()


@pytest.mark.parametrize("K", [2, 3, 10])
@pytest.mark.parametrize("accuracy", [0.55, 0.9])
def test_model_has_its_accuracy_in_every_class(K: int, accuracy: float) -> None:
    weights = np.arange(1, K + 1)
    s = simulate_annotations(
        n_examples=20_000,
        annotations_per_example=1,
        class_prior=weights / weights.sum(),
        model_accuracy=accuracy,
    )
    probs, truth = probs_and_truth(s)
    right = np.bincount(truth[probs.argmax(axis=1) == truth], minlength=K)
    assert z_scores(right, np.bincount(truth, minlength=K), accuracy).max() < 5


def test_model_is_calibrated() -> None:
    s = simulate_annotations(n_examples=50_000, annotations_per_example=1, model_accuracy=0.7)
    probs, truth = probs_and_truth(s)
    p, hit = probs[:, 1], truth == 1
    bins = np.digitize(p, np.linspace(0, 1, 11)[1:-1])
    n = np.bincount(bins, minlength=10)
    assert n.min() > 500
    expected = np.bincount(bins, p, minlength=10) / n
    assert z_scores(np.bincount(bins, hit, minlength=10), n, expected).max() < 5


@pytest.mark.parametrize("temperature", [0.5, 4.0])
def test_temperature_is_the_power_of_the_probabilities(temperature: float) -> None:
    calibrated, _ = probs_and_truth(simulate_annotations(model_accuracy=0.6))
    probs, _ = probs_and_truth(
        simulate_annotations(model_accuracy=0.6, model_temperature=temperature)
    )
    powers = calibrated ** (1 / temperature)
    np.testing.assert_allclose(probs, powers / powers.sum(axis=1, keepdims=True), atol=1e-12)


def test_model_that_knows_nothing_is_flat() -> None:
    probs, _ = probs_and_truth(simulate_annotations(n_classes=4, model_accuracy=0.25))
    np.testing.assert_allclose(probs, 0.25, atol=1e-12)


# ------------------------------------------------------------------------------------------------
# simulate_annotations: wrong calls


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_examples": 0}, "n_examples is 0, must be a whole number, at least 1: ask for"),
        ({"n_examples": 2.5}, "n_examples=2.5; it must be an integer"),
        ({"n_annotators": 0}, "n_annotators is 0, must be a whole number, at least 1: ask for"),
        ({"n_classes": 1}, "n_classes is 1, must be a whole number, at least 2: ask for two"),
        ({"n_classes": 2, "classes": ["a", "b"]}, "n_classes is 2, must be left out with classes"),
        ({"classes": ["a"]}, r"classes is \['a'\], must be two or more distinct labels"),
        (
            {"classes": ["a", "a"]},
            "classes='a', 'a'; it must list the labels, in order, each of them once",
        ),
        ({"classes": "ab"}, "classes='ab'; it must be a list of the labels"),
        ({"classes": ["example", "b"]}, "classes is .*, must be without 'example', a column of"),
        (
            {"n_annotators": 3, "annotations_per_example": 5},
            "annotations_per_example is 5, must be between 1 and n_annotators = 3: ask for fewer",
        ),
        ({"annotations_per_example": 0.5}, "annotations_per_example is 0.5, must be between 1"),
        ({"annotations_per_example": 2.5}, "is 2.5, must be whole: pass ragged=True for a mean"),
        ({"accuracy": 1.2}, "accuracy is 1.2, must be between 0 and 1"),
        ({"accuracy": (0.9, 0.2)}, r"accuracy is \(0.9, 0.2\), must be \(low, high\) with 0 <="),
        ({"accuracy": 0.5, "confusion": CONFUSION}, "accuracy is 0.5, must be left out with conf"),
        (
            {"confusion": CONFUSION, "n_classes": 4},
            r"confusion is of shape \(3, 3\), must be of shape \(4, 4\) or \(50, 4, 4\)",
        ),
        (
            {"confusion": CONFUSION.T},
            r"the sum of confusion is 0.8, must be 1 within 1e-06 over the rows \(truth\): divide",
        ),
        ({"class_prior": 0.5}, r"class_prior is of shape \(\), must be of shape \(3,\)"),
        ({"class_prior": [0.5, 0.4]}, "the sum of class_prior is 0.9, must be 1"),
        ({"difficulty": -0.1}, "difficulty is -0.1, must be between 0 and 1"),
        ({"adversaries": 1.5}, "adversaries is 1.5, must be between 0 and 1: give a share as"),
        ({"spammers": 51}, "spammers is 51, must be between 0 and 50: give a number of"),
        ({"spammers": 30, "adversaries": 0.5}, r"adversaries \+ spammers is 55, must be at most n"),
        ({"model_accuracy": 1.0}, "model_accuracy is 1.0, must be at least 1/3 and below 1"),
        ({"model_accuracy": 0.3}, "model_accuracy is 0.3, must be at least 1/3 and below 1"),
        ({"model_temperature": 0}, "model_temperature is 0, must be positive and finite"),
        ({"seed": -1}, "seed=-1; it must be an integer of at least 0"),
    ],
)
def test_simulation_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        simulate_annotations(**arguments)
    assert re.fullmatch(r"(.+ is .+, must be .+: .+|.+=.+; it must .+)\.", str(raised.value))
