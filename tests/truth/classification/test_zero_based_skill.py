"""Zero-based skill: by hand, against crowd-kit, and on a simulated crowd."""

from __future__ import annotations

import numpy as np
import polars as pl

import polars_crowd as pc
from polars_crowd.truth.classification.weighted_votes import Votes
from polars_crowd.truth.classification.zero_based_skill import ZeroBasedSkill, zero_based_skill
from polars_crowd.truth.model import LogSize
from tests.cases import assert_same
from tests.truth import crowd_kit
from tests.truth.truth_cases import accuracy, quiet

NOBODY = LogSize(2, 1, pl.Series(["a"]), pl.Series([0, 1]))


def votes(weight: float, step: int) -> Votes:
    return Votes(np.array([weight]), np.zeros((2, 1)), np.zeros((2, 1)), step)


def test_the_rate_is_halved_every_twenty_steps() -> None:
    model, a = ZeroBasedSkill(np.zeros((2, 1))), np.array([1.0])
    moved = [model.weight(a, votes(0.0, t), NOBODY)[0] for t in (0, 18, 19, 38, 39)]
    assert moved == [1, 1, 0.5, 0.5, 0.25]


def test_the_skill_at_the_end_is_what_the_last_vote_says() -> None:
    data = pc.simulate.simulate_annotations(n_examples=300, n_annotators=15, n_classes=3, seed=2)
    fit = zero_based_skill(data.log)
    assert fit.converged
    both = data.log.join(fit.examples.collect(), on="example").group_by("annotator")
    agrees = both.agg(share=(pl.col("label") == pl.col("consensus_label")).mean())
    found = fit.annotators.join(agrees, on="annotator")
    np.testing.assert_allclose(found["skill"], found["share"], atol=1e-5)


def test_the_same_as_crowd_kit() -> None:
    fit = quiet(zero_based_skill, crowd_kit.log())
    skills = fit.annotators.select("annotator", "skill").sort("annotator")
    assert_same(skills, crowd_kit.answer("zero_based_skill"), 1e-4)
    labels = fit.examples.select("example", label="consensus_label").collect()
    assert_same(labels, crowd_kit.answer("zero_based_skill-labels"))


def test_a_simulated_crowd() -> None:
    data = pc.simulate.simulate_annotations(
        n_examples=1500, n_annotators=20, n_classes=3, annotations_per_example=7, seed=5
    )
    fit = zero_based_skill(data.log)
    both = fit.annotators.join(data.annotators, on="annotator")
    assert both.select(pl.corr("skill", "accuracy")).item() > 0.9
    assert accuracy(fit, data.truth) > 0.85
