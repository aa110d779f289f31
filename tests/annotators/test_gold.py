"""Gold: the sequential test by simulation and by hand, and what the report says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.annotators.gold import ASK, KEEP, STOP, SequentialTest
from tests.cases import assert_same, log_of_rows, simulated

TEST = SequentialTest(0.9, 0.7, 0.05, 0.05)


def ended(accuracy: float, n: int, seed: int = 0) -> tuple[float, float]:
    """The share of annotators of an accuracy who are stopped, and the mean number of their answers."""
    right = np.random.default_rng(seed).random((n, 400)) < accuracy
    of_right, of_wrong = TEST.steps
    s = np.where(right, of_right, of_wrong).cumsum(axis=1)
    A, B = TEST.ends
    over = (s >= A) | (s <= B)
    assert over.any(axis=1).all()
    at = over.argmax(axis=1)
    return float((s[np.arange(n), at] >= A).mean()), float((at + 1).mean())


def test_error_rates_and_expected_numbers_are_those_that_are_said() -> None:
    stopped, n_good = ended(0.9, 5_000)
    kept, n_bad = ended(0.7, 5_000)
    assert stopped < 0.05
    assert 1 - kept < 0.05
    # steps past the ends are not counted by Wald's formula: it says a little less than it takes
    assert TEST.needed(0, acceptable=True) < n_good < TEST.needed(0, acceptable=True) + 5
    assert TEST.needed(0, acceptable=False) < n_bad < TEST.needed(0, acceptable=False) + 5


def test_by_hand() -> None:
    # Wald (1947), section 3: A = log(19), B = -log(19) with errors of 5 %
    assert TEST.ends == pytest.approx((np.log(19), -np.log(19)))
    A = np.log(19)
    mean = 0.7 * np.log(7 / 9) + 0.3 * np.log(3)
    assert TEST.needed(0, acceptable=False) == pytest.approx((0.95 * A - 0.05 * A) / mean)
    assert [TEST.decision(s) for s in (A, 0.0, -A)] == [STOP, ASK, KEEP]
    assert TEST.needed(A, acceptable=True) == 0
    # the nearer an end, the fewer
    assert TEST.needed(-2.0, acceptable=True) < TEST.needed(0.0, acceptable=True)
    assert TEST.needed(2.0, acceptable=False) < TEST.needed(0.0, acceptable=False)


def test_a_fixed_number_is_the_least_that_does() -> None:
    from scipy.stats import binom

    def does(n: int) -> bool:
        c = binom.ppf(0.05, n, 0.9) - (binom.cdf(binom.ppf(0.05, n, 0.9), n, 0.9) > 0.05)
        return bool(c >= 0 and binom.sf(c, n, 0.7) <= 0.05)

    n = TEST.fixed()
    assert does(n)
    assert not any(does(m) for m in range(1, n))
    table = dict(pc.gold_needed(0.9, 0.7).rows())
    assert table["fixed"] == n
    assert table["sequential, if acceptable"] < n


def test_the_report(tmp_path: Path) -> None:
    data = simulated()
    truth = data.truth.head(150)
    found = pc.gold_report(data.log, truth)
    both = data.log.join(truth.rename({"label": "true"}), on="example")
    for (annotator,), rows in both.group_by("annotator"):
        row = found.row(by_predicate=pl.col("annotator") == annotator, named=True)
        right = (rows["label"] == rows["true"]).sum()
        assert (row["num_gold"], row["num_correct"]) == (rows.height, right)
        s = right * np.log(7 / 9) + (rows.height - right) * np.log(3)
        assert row["log_ratio"] == pytest.approx(s)
        assert row["decision"] == TEST.decision(s)
        assert row["needed_if_acceptable"] == pytest.approx(TEST.needed(s, acceptable=True))
    assert found["log_ratio"].is_sorted(descending=True)
    column = data.log.join(truth.rename({"label": "gold"}), on="example", how="left")
    assert_same(pc.gold_report(column), found)
    store = pc.AnnotationStore.create(tmp_path / "store", data.log, partitions=3)
    assert_same(pc.gold_report(store, truth), found)
    report = pc.annotator_report(data.log, against=truth).annotators
    same = ["annotator", "num_annotations", "accuracy", "accuracy_low", "accuracy_high"]
    assert_same(found.select(same).sort("annotator"), report.select(same).sort("annotator"))


def test_gold_meets_fits_that_hold_it() -> None:
    data = simulated()
    gold = data.truth.head(150)
    fit = pc.dawid_skene(data.log, gold=gold)
    on_gold = data.log.join(gold.select("example"), on="example", how="semi")
    of_fit = fit.examples.collect().join(gold.select("example"), on="example", how="semi")
    by_fit, by_gold = (pc.annotator_report(on_gold, against=of).annotators for of in (of_fit, gold))
    assert_same(by_fit, by_gold)


def test_who_has_no_gold_and_what_cannot_be_asked() -> None:
    log = log_of_rows([(1, "a", "x"), (2, "a", "y"), (2, "b", "y")])
    gold = pl.DataFrame({"example": [1], "label": ["x"]})
    found = {row["annotator"]: row for row in pc.gold_report(log, gold).iter_rows(named=True)}
    assert (found["b"]["num_gold"], found["b"]["accuracy"], found["b"]["decision"]) == (
        0,
        None,
        ASK,
    )
    with pytest.raises(pc.AnnotationError, match="has no column 'gold'"):
        pc.gold_report(log)
    marks = log.with_columns(gold=pl.col("example") == 1)
    with pytest.raises(pc.AnnotationError, match="marks rows, and the gold labels themselves"):
        pc.gold_report(marks)
    with pytest.raises(pc.AnnotationError, match="gold: none of its 1 example"):
        pc.gold_report(log, gold.with_columns(example=9))
    wrong: list[dict[str, Any]] = [
        {"acceptable": 0.7, "unacceptable": 0.7},
        {"acceptable": 1.0},
        {"false_stop": 0.5, "false_keep": 0.5},
    ]
    for options in wrong:
        with pytest.raises(ValueError, match=next(iter(options))):
            pc.gold_report(log, gold, **options)
