"""Simulated labelling campaigns: bookkeeping, fairness, and that ActiveLab is worth it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from polars_crowd.active.campaign import STRATEGIES, simulate_labelling, simulated_answers

X, Y = load_iris(return_X_y=True)


def test_bookkeeping() -> None:
    curves = simulate_labelling(X, Y, GaussianNB(), n_labelled=40, batch_size=15, rounds=3)
    assert curves.columns == [
        *("strategy", "round", "num_annotations", "num_examples"),
        *("consensus_accuracy", "model_accuracy"),
    ]
    assert curves["strategy"].unique(maintain_order=True).to_list() == list(STRATEGIES)
    for _, curve in curves.group_by("strategy"):
        assert curve["round"].to_list() == [0, 1, 2, 3]
        assert curve["num_annotations"].to_list() == [40, 55, 70, 85]
        assert curve["num_examples"].is_sorted()
    assert curves["consensus_accuracy"].is_between(0, 1).all()
    assert curves["model_accuracy"].is_between(0, 1).all()


def test_all_strategies_start_alike_and_the_seed_decides() -> None:
    curves = simulate_labelling(X, Y, GaussianNB(), n_labelled=40, batch_size=15, rounds=1, seed=5)
    start = curves.filter(round=0).drop("strategy")
    assert start.unique().height == 1
    again = simulate_labelling(X, Y, GaussianNB(), n_labelled=40, batch_size=15, rounds=1, seed=5)
    assert again.equals(curves)


def test_good_random_labels_everything_once_first() -> None:
    curves = simulate_labelling(
        X, Y, GaussianNB(), strategies=["good_random"], n_labelled=20, batch_size=46, rounds=3
    )
    assert curves["num_examples"].to_list() == [20, 66, 112, 112]


def test_annotators_that_cannot_be_asked_are_not() -> None:
    """Two annotators, one of whom knows only half: in the end all answers are there, and no more."""
    answers = np.stack([Y, np.where(np.arange(150) % 2, Y, -1)], axis=1)
    curves = simulate_labelling(
        X,
        Y,
        GaussianNB(),
        strategies=["random"],
        annotations=answers,
        n_labelled=60,
        batch_size=60,
        rounds=4,
    )
    assert curves["num_annotations"][-1] < 60 * 5
    assert curves["num_annotations"][-1] == curves["num_annotations"][-2]
    assert curves["num_examples"][-1] == 112
    assert curves["consensus_accuracy"][-1] > 0.98


def test_simulated_annotators_are_as_accurate_as_asked() -> None:
    truth = np.random.default_rng(0).integers(0, 4, 20_000)
    answers = simulated_answers(truth, 3, (0.7, 0.7), np.random.default_rng(1))
    np.testing.assert_allclose((answers == truth[:, None]).mean(axis=0), 0.7, atol=0.02)
    assert set(np.unique(answers)) == {0, 1, 2, 3}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_activelab_beats_random_on_digits() -> None:
    """A small campaign; the benchmark runs the large one, against all strategies and over five seeds."""
    images, digits = load_digits(return_X_y=True)
    curves = simulate_labelling(
        images[:900] / 16,
        digits[:900],
        LogisticRegression(max_iter=60),
        strategies=["activelab", "random"],
        n_labelled=200,
        batch_size=100,
        rounds=4,
        seed=1,
    )
    columns = pl.col("consensus_accuracy", "model_accuracy").mean()
    means = curves.filter(pl.col("round") > 0).group_by("strategy").agg(columns)
    active, random = (means.filter(strategy=s).drop("strategy") for s in ("activelab", "random"))
    assert (active - random > 0).select(pl.all_horizontal(pl.all())).item()


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match=r"strategies='best'; there are 'activelab', 'random'"):
        simulate_labelling(X, Y, GaussianNB(), strategies=["best"])
    for option in ({"n_annotators": 30}, {"accuracy": (0.5, 0.9)}):
        with pytest.raises(
            ValueError, match=f"{next(iter(option))}=.*; it is of simulated annotators"
        ):
            simulate_labelling(X, Y, GaussianNB(), annotations=Y[:, None], **option)
    with pytest.raises(ValueError, match="n_labelled=200; there are 112 examples to label"):
        simulate_labelling(X, Y, GaussianNB(), n_labelled=200)
