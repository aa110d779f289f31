"""Wawa: by hand, against crowd-kit, and on a simulated crowd."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.truth.classification.wawa import wawa
from tests.cases import assert_same
from tests.truth import crowd_kit
from tests.truth.truth_cases import accuracy, quiet

LOG = pl.DataFrame(
    {
        "example": [1, 1, 1, 2, 2, 2, 3, 3],
        "annotator": ["a", "b", "c", "a", "b", "c", "b", "c"],
        "label": ["x", "x", "y", "y", "y", "y", "x", "y"],
    }
)


def test_by_hand() -> None:
    """The votes are x, y and a tie, which is x, the first class."""
    fit = quiet(wawa, LOG)
    skill = dict(fit.annotators.select("annotator", "skill").iter_rows())
    assert skill == pytest.approx({"a": 1, "b": 1, "c": 1 / 3})
    P = fit.posterior.collect()["probability"].to_numpy().reshape(3, 2)
    np.testing.assert_allclose(P[:, 0], [2 / (2 + 1 / 3), 0, 1 / (1 + 1 / 3)])
    assert fit.trace.to_list() == pytest.approx([P.max(axis=1).sum()] * 2)
    assert fit.converged


def test_where_nobody_has_a_weight_the_plain_votes_decide() -> None:
    log = pl.DataFrame(
        {"example": [1, 2, 2], "annotator": ["a", "b", "c"], "label": ["x", "y", "y"]}
    )
    gold = pl.DataFrame({"example": [1, 2], "label": ["y", "y"]})
    fit = quiet(wawa, log, gold=gold)
    again = quiet(wawa, log, init=fit).posterior.collect()["probability"].to_list()
    assert again == [1, 0, 0, 1]


def test_the_same_as_crowd_kit() -> None:
    fit = quiet(wawa, crowd_kit.log())
    skills = fit.annotators.select("annotator", "skill").sort("annotator")
    assert_same(skills, crowd_kit.answer("wawa"), 1e-12)
    labels = fit.examples.select("example", label="consensus_label").collect()
    assert_same(labels, crowd_kit.answer("wawa-labels"))


def test_a_simulated_crowd() -> None:
    data = pc.simulate.simulate_annotations(
        n_examples=1500, n_annotators=20, n_classes=3, annotations_per_example=7, seed=5
    )
    fit = wawa(data.log)
    both = fit.annotators.join(data.annotators, on="annotator")
    assert both.select(pl.corr("skill", "accuracy")).item() > 0.9
    assert accuracy(fit, data.truth) > accuracy_of_votes(data)


def accuracy_of_votes(data: pc.simulate.Simulation) -> float:
    votes = pc.majority_vote(data.log).collect().join(data.truth, on="example")
    return float((votes["consensus_label"] == votes["label"]).mean())  # type: ignore[arg-type]
