"""Judges beside humans: every number written out anew on small logs, and the alternative annotator test."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from scipy import stats

import polars_crowd as pc
from polars_crowd.annotators.judge_tables import COEFFICIENTS
from polars_crowd.annotators.stand_in import FEWEST
from polars_crowd.errors import AnnotationError, OptionError
from polars_crowd.numerics.corrections import benjamini_yekutieli
from tests.cases import log_of_rows
from tests.truth.truth_cases import unwarned

HUMANS = ["ann", "bob", "cyd", "dan"]


def panel(seed: int = 0, n: int = 120, right: float = 0.8) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Four humans and three judges of three classes: a good one, a poor one, and one like the poor one."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    skills = {**dict.fromkeys(HUMANS, right), "m-good": 0.95, "m-poor": 0.5}
    rows = []
    for who, skill in skills.items():
        wrong = (truth + rng.integers(1, 3, n)) % 3
        said = np.where(rng.random(n) < skill, truth, wrong)
        rows += [(e, who, int(said[e])) for e in range(n) if rng.random() < 0.9]
    rows += [(e, "m-copy", label) for e, who, label in rows if who == "m-poor"]
    log = pl.DataFrame(rows, schema=["example", "annotator", "label"], orient="row")
    return log, pl.DataFrame({"example": range(n), "label": truth})


def labels_by(log: pl.DataFrame) -> dict[str, dict[int, int]]:
    return {
        str(who): dict(rows.select("example", "label").rows())
        for (who,), rows in log.group_by("annotator")
    }


def alternative(log: pl.DataFrame, judge: str, humans: list[str], epsilon: float) -> dict[str, Any]:
    """The test by its definition, example by example."""
    said = labels_by(log)
    rho, p = [], []
    for human in humans:
        d, wins = [], []
        for e, own in said[human].items():
            rest = [said[h][e] for h in humans if h != human and e in said[h]]
            if e in said[judge] and rest:
                of_judge = np.mean([label == said[judge][e] for label in rest])
                of_human = np.mean([label == own for label in rest])
                wins.append(of_judge >= of_human)
                d.append(float(of_human >= of_judge) - float(of_judge >= of_human))
        rho.append(np.mean(wins))
        p.append(stats.ttest_1samp(d, epsilon, alternative="less").pvalue)
    corrected = stats.false_discovery_control(p, method="by")
    omega = np.mean(corrected <= 0.05)
    return {"rho": rho, "p": p, "corrected": corrected, "omega": omega}


def test_the_alternative_annotator_test_by_its_definition() -> None:
    log, _ = panel()
    found = pc.judge_report(log, "m-*", epsilon=0.15)
    for judge in ("m-good", "m-poor"):
        expected = alternative(log, judge, HUMANS, 0.15)
        humans = found.humans.filter(annotator=judge)
        assert humans["human"].to_list() == HUMANS
        np.testing.assert_allclose(humans["advantage"], expected["rho"], atol=1e-12)
        np.testing.assert_allclose(humans["p_value"], expected["p"], atol=1e-9)
        np.testing.assert_allclose(humans["p_value_corrected"], expected["corrected"], atol=1e-9)
        row = found.judges.filter(annotator=judge).row(0, named=True)
        assert row["winning_rate"] == expected["omega"]
        assert row["advantage"] == pytest.approx(np.mean(expected["rho"]))
    assert found.judges.filter(pl.col("may_stand_in"))["annotator"].to_list() == ["m-good"]
    assert "may stand in for a human: 'm-good'" in repr(found)


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=8))
@settings(max_examples=20)
def test_correction_is_that_of_scipy(p: list[float]) -> None:
    expected = stats.false_discovery_control(p, method="by")
    np.testing.assert_allclose(benjamini_yekutieli(np.array(p)), expected, atol=1e-12)


def test_agreement_is_that_of_logs_of_two() -> None:
    log, _ = panel(1)
    found = pc.judge_report(log, "m-*")
    names = COEFFICIENTS
    votes = log.filter(pl.col("annotator").is_in(HUMANS)).group_by("example", "label").len()
    most = votes.filter(pl.col("len") == pl.col("len").max().over("example"))
    consensus = most.filter(pl.len().over("example") == 1).select(
        "example", "label", annotator=pl.lit("humans")
    )
    everyone = pl.concat([log, consensus.select(log.columns)])
    rows = {("m-good", "ann"): found.humans.filter(annotator="m-good", human="ann")}
    rows["m-good", "humans"] = found.judges.filter(annotator="m-good")
    for (judge, human), table in rows.items():
        two = everyone.filter(pl.col("annotator").is_in([judge, human]))
        two = two.filter(pl.len().over("example") == 2)
        expected = pc.agreement(two, coefficients=list(names), classes=[0, 1, 2])
        for name, value, low, high in expected.select(
            "coefficient", "value", "ci_low", "ci_high"
        ).rows():
            short = names[name]
            ends = table.select(short, f"{short}_low", f"{short}_high").row(0)
            np.testing.assert_allclose(ends, [value, low, high], atol=1e-9)


def test_classes_and_errors_by_known_labels() -> None:
    log, gold = panel(2)
    found = pc.judge_report(log, "m-*", gold=gold)
    truth, said = dict(gold.rows()), labels_by(log)
    wrong = {judge: {e: label != truth[e] for e, label in said[judge].items()} for judge in said}
    for row in found.classes.iter_rows(named=True):
        labels = [(truth[e], label) for e, label in said[row["annotator"]].items()]
        k = row["label"]
        assert row["num_examples"] == sum(t == k for t, _ in labels)
        assert row["sensitivity"] == pytest.approx(np.mean([y == k for t, y in labels if t == k]))
        assert row["specificity"] == pytest.approx(np.mean([y != k for t, y in labels if t != k]))
        assert row["expected_cost"] == pytest.approx(1 - row["sensitivity"])
        assert row["sensitivity_low"] <= row["sensitivity"] <= row["sensitivity_high"]
    assert found.errors is not None
    for row in found.errors.iter_rows(named=True):
        one, other = (wrong[row[f"annotator_{i}"]] for i in (1, 2))
        both = [(one[e], other[e]) for e in one if e in other]
        assert row["num_examples"] == len(both)
        expected = np.corrcoef(np.array(both, dtype=float).T)[0, 1]
        assert row["correlation"] == pytest.approx(expected)
    mean = float(np.mean(found.errors["correlation"].to_numpy()))
    assert found.effective_judges == pytest.approx(3 / (1 + 2 * mean))
    assert found.effective_judges is not None
    assert found.effective_judges < 2.5
    assert "independent judges" in repr(found)


def test_without_known_labels_shared_errors_are_left_unsaid() -> None:
    log, _ = panel()
    found = pc.judge_report(log, "m-*")
    assert found.errors is None
    assert found.effective_judges is None
    assert "errors that judges share are unknown" in repr(found)


def test_who_is_who() -> None:
    log, _ = panel()
    kinds = log.with_columns(
        annotator_kind=pl.when(pl.col("annotator").str.starts_with("m-"))
        .then(pl.lit("model"))
        .otherwise(pl.lit("human"))
    )
    found = pc.judge_report(kinds)
    for judges in ("m-*", ["m-good", "m-poor", "m-copy"], ["m-good", "m-[cp]*"]):
        assert_frame_equal(pc.judge_report(log, judges).judges, found.judges)
    few = pc.judge_report(log, "m-good", ["ann", "bob"])
    assert few.humans["human"].to_list() == ["ann", "bob"]
    assert few.judges["winning_rate"].to_list() == [None]
    assert "3 are needed" in few.judges["reason"][0]
    short = log.filter(pl.col("example") < FEWEST - 5)
    assert pc.judge_report(short, "m-*").humans["p_value"].null_count() == 12


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        ({}, OptionError, "no column 'annotator_kind'"),
        ({"judges": "x-*"}, AnnotationError, "match no annotator"),
        ({"judges": "*"}, AnnotationError, "no human"),
        ({"judges": "m-*", "humans": "*"}, AnnotationError, "would be both"),
        ({"judges": "m-*", "epsilon": -1}, OptionError, "epsilon"),
        ({"judges": "m-*", "costs": [[0, 1]]}, OptionError, "costs"),
        ({"judges": "m-*", "costs": "x"}, OptionError, "costs"),
        ({"judges": "m-*", "costs": [[0, -1, 1]] * 3}, OptionError, "costs"),
        ({"judges": []}, AnnotationError, "match no annotator"),
    ],
)
def test_what_cannot_be_asked(asked: dict[str, Any], kind: type[Exception], words: str) -> None:
    log, _ = panel(n=10)
    with pytest.raises(kind, match=words):
        pc.judge_report(log, **asked)


def test_repeats_sides_and_costs() -> None:
    log, gold = panel(3, n=40)
    again = log.filter(annotator="m-good").head(10)
    changed = again.with_columns(label=(pl.col("label") + (pl.int_range(pl.len()) < 2)) % 3)
    twice = pl.concat([log, changed])
    costs = np.array([[0, 2, 4], [1, 0, 1], [3, 3, 0]])
    found = pc.judge_report(twice, "m-*", gold=gold, costs=costs, duplicates="first")
    row = found.judges.filter(annotator="m-good").row(0, named=True)
    assert (row["num_repeated"], row["repeat_consistency"]) == (10, pytest.approx(0.8))
    plain = pc.judge_report(log, "m-*", gold=gold)
    assert_frame_equal(found.humans, plain.humans)
    truth, said = dict(gold.rows()), labels_by(log)["m-good"]
    costs_of = [costs[0, y] for e, y in said.items() if truth[e] == 0]
    cost = found.classes.filter(annotator="m-good", label=0)["expected_cost"].item()
    assert cost == pytest.approx(np.mean(costs_of))
    sides = log.with_columns(left=pl.lit(0), right=pl.lit(1))
    share = pc.judge_report(sides, "m-*").judges.filter(annotator="m-poor")
    of_poor = log.filter(pl.col("annotator") == "m-poor", pl.col("label") < 2)["label"]
    assert share["left_share"].item() == pytest.approx((of_poor == 0).mean())
    assert share["left_share_low"].item() < share["left_share"].item()


def test_stores_and_order_of_rows_change_nothing(tmp_path: Path) -> None:
    log, gold = panel(4, n=60)
    expected = pc.judge_report(log, "m-*", gold=gold)
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=3)
    shuffled = pc.judge_report(log.sample(fraction=1, shuffle=True, seed=1), "m-*", gold=gold)
    for found in (shuffled, pc.judge_report(store, "m-*", gold=gold)):
        for name in expected.TABLES:
            assert_frame_equal(getattr(found, name), getattr(expected, name), rel_tol=1e-9)
    expected.write(tmp_path / "report")
    assert_frame_equal(pc.open_results(tmp_path / "report").judges, expected.judges)


def test_judges_are_known_by_their_number() -> None:
    """A simulated panel: rho of judges rises with how often they are right."""
    found = []
    for right in (0.4, 0.7, 0.95):
        rng = np.random.default_rng(7)
        log, gold = panel(5)
        hit = rng.random(len(gold)) < right
        labels = np.where(hit, gold["label"], (gold["label"] + 1) % 3)
        says = gold.select(
            "example", annotator=pl.lit("m"), label=pl.Series(labels, dtype=pl.Int64)
        )
        humans = log.filter(pl.col("annotator").is_in(HUMANS))
        with unwarned():
            report = pc.judge_report(pl.concat([humans, says]), "m")
        found.append(report.judges["advantage"].item())
    assert all(a < b for a, b in pairwise(found))


def test_examples_that_a_judge_labels_again_are_covered_once() -> None:
    humans = [(e, a, "x") for e in range(4) for a in ("ann", "bob")]
    says = [(e, "m", "x") for e in (0, 0, 0, 1, 7, 7)]
    found = pc.judge_report(log_of_rows(humans + says), "m", duplicates="all")
    assert found.judges.select("num_annotations", "coverage", "num_repeated").row(0) == (6, 0.5, 2)


def test_a_judge_of_other_examples_than_the_humans() -> None:
    log, truth = panel(n=12)
    is_judge = pl.col("annotator").str.starts_with("m-")
    apart = log.filter(is_judge == (pl.col("example") % 2 == 0))
    found = pc.judge_report(apart, "m-*", gold=truth)
    assert found.judges["coverage"].to_list() == [0.0] * found.judges.height
    assert found.judges.select("agreement", "kappa_low", "winning_rate").null_count().row(0) == (
        (found.judges.height,) * 3
    )
    assert found.humans["num_shared"].sum() == 0
    assert found.classes["num_examples"].sum() > 0, "known labels judge all the same"


def test_a_log_in_a_stream() -> None:
    log, truth = panel(n=12)
    streamed = pc.judge_report(log.to_arrow().to_reader(), "m-*", gold=truth)
    assert_frame_equal(streamed.judges, pc.judge_report(log, "m-*", gold=truth).judges)
