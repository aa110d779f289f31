"""Budget: what is predicted of fewer annotations is what comes of them, and gains and needs by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.annotators.budget import Crowd

MADE = pc.simulate.simulate_annotations(
    n_examples=1500, n_annotators=30, annotations_per_example=6, accuracy=0.7, seed=1
)


@pytest.fixture(scope="module")
def budget() -> pc.LabelBudget:
    found: pc.LabelBudget = pc.label_budget(MADE.log, target=0.9, max_annotations=8)
    return found


@pytest.mark.parametrize("n", [2, 4, 6])
def test_the_accuracy_of_fewer_annotations_is_the_predicted_one(
    budget: pc.LabelBudget, n: int
) -> None:
    order = MADE.log.sample(fraction=1, shuffle=True, seed=n)
    fewer = order.group_by("example", maintain_order=True).head(n)
    found = pc.dawid_skene(fewer).examples.collect().join(MADE.truth, on="example")
    actual = found.select((pl.col("consensus_label") == pl.col("label")).mean()).item()
    predicted = budget.curve.row(n - 1, named=True)
    assert predicted["num_annotations"] == n
    assert predicted["accuracy"] == pytest.approx(actual, abs=0.04)


def test_annotators_of_few_annotations_are_not_taken_for_better_than_they_are() -> None:
    made = pc.datasets.tutorial()
    found = pc.dawid_skene(made.log).examples.collect().join(made.truth, on="example")
    actual = found.select((pl.col("consensus_label") == pl.col("label")).mean()).item()
    assert pc.label_budget(made.log).curve["accuracy"][4] == pytest.approx(actual, abs=0.05)


def test_more_annotations_are_better_and_tell_alpha_more_closely(budget: pc.LabelBudget) -> None:
    curve = budget.curve
    assert curve["num_annotations"].to_list() == list(range(1, 9))
    assert (curve["accuracy"].diff().drop_nulls() > -0.01).all()
    assert (curve["log_loss"].diff().drop_nulls() < 0.01).all()
    assert curve["alpha_width"][0] is None
    assert (curve["alpha_width"].drop_nulls().diff().drop_nulls() < 0.005).all()
    assert (
        (curve["accuracy_low"] < curve["accuracy"]) & (curve["accuracy"] < curve["accuracy_high"])
    ).all()
    measured = pc.krippendorff_alpha(MADE.log).row(0, named=True)
    assert curve["alpha"][5] == pytest.approx(measured["value"], abs=0.06)
    assert curve["alpha_width"][5] == pytest.approx(
        measured["ci_high"] - measured["ci_low"], rel=0.3
    )


def test_what_is_needed_is_where_the_curve_reaches_the_target(budget: pc.LabelBudget) -> None:
    assert budget.needed is not None
    assert (
        budget.curve["accuracy"][budget.needed - 1]
        >= 0.9
        > budget.curve["accuracy"][budget.needed - 2]
    )
    assert str(budget).startswith(
        f"Label budget: {budget.needed} annotations per example for an accuracy of 0.9"
    )
    none = pc.label_budget(MADE.log, target=0.999, max_annotations=2)
    assert none.needed is None
    assert str(none).startswith("Label budget: more than 2 annotations")


def test_examples_need_what_takes_their_odds_to_the_target() -> None:
    theta = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.7, 0.3], [0.4, 0.6]]])
    crowd = Crowd(
        theta, np.ones((2, 2)), np.array([0.75, 0.25]), np.array([0.5, 0.5]), 0.5, 10, 2.0
    )
    D = [sum(t[0, k] * np.log(t[0, k] / t[1, k]) for k in (0, 1)) for t in theta]
    assert crowd.gains()[0, 1] == pytest.approx(0.5 * (0.75 * D[0] + 0.25 * D[1]))
    assert crowd.gains()[0, 0] == pytest.approx(0)
    found = pc.label_budget(MADE.log, target=0.9, max_annotations=1).examples.collect()
    there = found.filter(pl.col("consensus_quality_score") >= 0.9)
    assert (there["num_needed"] == 0).all()
    assert (found.filter(pl.col("consensus_quality_score") < 0.9)["num_needed"] > 0).all()
    assert found["num_needed"].is_sorted(descending=True)
    assert found.height == MADE.truth.height


def test_it_is_the_same_again_in_a_store_and_for_a_fit_that_is_given(
    tmp_path: Path, budget: pc.LabelBudget
) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", MADE.log, partitions=3)
    again = pc.label_budget(MADE.log, target=0.9, max_annotations=8)
    assert again.curve.equals(budget.curve)
    other_seed = pc.label_budget(MADE.log, target=0.9, max_annotations=8, seed=1)
    assert not other_seed.curve.equals(budget.curve)
    shuffled = MADE.log.sample(fraction=1, shuffle=True, seed=0)
    fit = pc.dawid_skene(MADE.log)
    for other in (
        pc.label_budget(store, target=0.9, max_annotations=8),
        pc.label_budget(shuffled, target=0.9, max_annotations=8),
        pc.label_budget(MADE.log, fit=fit, target=0.9, max_annotations=8),
    ):
        for column in ("accuracy", "log_loss", "alpha_width"):
            expected = budget.curve[column].drop_nulls().to_list()
            assert other.curve[column].drop_nulls().to_list() == pytest.approx(expected, abs=2e-3)


@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
def test_there_are_no_more_annotations_than_annotators() -> None:
    few = MADE.log.filter(pl.col("annotator") < "a0003")
    assert pc.label_budget(few, max_annotations=9).curve.height == 3


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="fit= must be a fit with confusion matrices"):
        pc.label_budget(MADE.log, fit=pc.wawa(MADE.log))
    others = MADE.log.with_columns(pl.col("annotator").replace("a0001", "z"))
    with pytest.raises(ValueError, match=r"is of another log: .* 1 annotator of the log \('z'\)"):
        pc.label_budget(others, fit=pc.dawid_skene(MADE.log))
    with pytest.raises(ValueError, match="classes= has no effect beside fit="):
        pc.label_budget(MADE.log, fit=pc.dawid_skene(MADE.log), classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"target=1.5; it must be below 1"):
        pc.label_budget(MADE.log, target=1.5)
    with pytest.raises(pc.MemoryLimitError, match="30 annotators in 3 x 3 classes"):
        pc.label_budget(MADE.log, memory_limit=100)


@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
def test_a_log_of_one_label() -> None:
    budget = pc.label_budget(
        pl.DataFrame({"example": [1], "annotator": ["a"], "label": ["x"]}), n_draws=2
    )
    assert budget.examples.collect().row(0) == (1, "x", 1.0, 1, 0)
    assert "1 annotation per example" in str(budget)
