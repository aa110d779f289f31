"""The report on annotators: its tables by direct computation, its flags, and what it is asked."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

import polars_crowd as pc
from polars_crowd.numerics.shares import at_least, at_most
from tests.cases import assert_same, log_of_rows, simulated


def told(log: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """The log with times and seconds."""
    rng = np.random.default_rng(seed)
    times = [
        datetime(2026, 1, 1) + timedelta(seconds=int(s)) for s in rng.integers(0, 500, log.height)
    ]
    return log.with_columns(
        timestamp=pl.Series(times), seconds=pl.Series(rng.lognormal(1.5, 0.7, log.height))
    )


def one(report: pc.AnnotatorReport, annotator: Any) -> dict[str, Any]:
    return report.annotators.row(by_predicate=pl.col("annotator") == annotator, named=True)


def spammers(seed: int = 0) -> pl.DataFrame:
    """Six good annotators, and one each who throws a coin, says the opposite, or one label, who hurries, and
    who said little."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 120)
    right = np.where(rng.random((11, 120)) < 0.9, truth, 1 - truth)
    right[6] = rng.integers(0, 2, 120)
    right[7] = 1 - right[7]
    right[8] = 1
    seconds = rng.lognormal(2, 0.3, (11, 120))
    seconds[9] = 0.8
    names = [*(f"good {j}" for j in range(6)), "coin", "opposite", "one label", "hurry", "new"]
    parts = [
        pl.DataFrame({"example": range(120), "label": right[j], "seconds": seconds[j]})
        .with_columns(annotator=pl.lit(name))
        .head(4 if name == "new" else 120)
        for j, name in enumerate(names)
    ]
    return pl.concat(parts).with_columns(pl.col("label").replace_strict({0: "dog", 1: "cat"}))


def test_flags_say_why() -> None:
    report = pc.annotator_report(spammers())
    flags = {row["annotator"]: row for row in report.flags.iter_rows(named=True)}
    assert {name: row["flag"] for name, row in flags.items()} == {
        "coin": "chance",
        "opposite": "below_chance",
        "one label": "one_label",
        "hurry": "fast",
        "new": "few",
    }
    assert flags["coin"]["reason"].startswith("answers like a coin: accuracy .")
    assert "where chance is .5" in flags["coin"]["reason"]
    assert flags["one label"]["reason"].startswith("always says 'cat': also in 1.00 of the ")
    assert flags["hurry"]["reason"].startswith("0.8 s per answer, the median of all is ")
    assert flags["new"]["reason"] == "too few to tell: 4 judged annotations of 4"
    assert flags["opposite"]["high"] < 0.5
    printed = str(report)
    assert all(row["reason"] in printed for row in flags.values())
    assert "4 of 11 annotators flagged" in printed
    assert "answers like a coin" in report._repr_html_()
    assert one(report, "coin")["flags"] == "chance"
    assert one(report, "good 0")["flags"] is None


def test_columns_by_direct_computation() -> None:
    data = simulated()
    log = told(data.log)
    report = pc.annotator_report(log, against=data.truth)
    truth = data.truth.rename({"label": "truth"})
    tenth = log.select(pl.col("seconds").median() / 10).item()
    for (annotator,), rows in log.join(truth, on="example").group_by("annotator"):
        found = one(report, annotator)
        right = (rows["label"] == rows["truth"]).mean()
        assert found["accuracy"] == pytest.approx(right)
        by_class = rows.group_by("truth").agg((pl.col("label") == pl.col("truth")).mean())
        assert found["balanced_accuracy"] == pytest.approx(by_class["label"].mean())
        assert found["accuracy_low"] < right < found["accuracy_high"]
        share = rows["label"].value_counts(normalize=True)["proportion"].to_numpy()
        assert found["label_entropy"] == pytest.approx(-(share * np.log2(share)).sum())
        assert found["most_used_share"] == pytest.approx(share.max())
        assert found["median_seconds"] == pytest.approx(rows["seconds"].median(), rel=0.02)
        assert found["fast_share"] == pytest.approx((rows["seconds"] < tenth).mean(), abs=0.02)
        assert (found["first_time"], found["last_time"]) == (
            rows["timestamp"].min(),
            rows["timestamp"].max(),
        )
        in_time = rows.sort("timestamp", "example")["label"]
        assert found["longest_run"] == in_time.rle().struct.field("len").max()
    by_annotator = pc.agreement_by_annotator(log).sort("annotator")
    columns = ["annotator", "agreement", "alpha_without", "alpha_change"]
    assert_same(report.annotators.sort("annotator").select(columns), by_annotator.select(columns))
    assert report.annotators["accuracy"].is_sorted()
    cells = report.confusion
    assert cells["num_annotations"].sum() == pytest.approx(log.height)
    assert cells.group_by("annotator", "true_label").agg(pl.col("probability").sum())[
        "probability"
    ].to_numpy() == pytest.approx(1)


def test_a_store_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = simulated()
    log = told(data.log).with_columns(half=pl.col("example").hash() % 2)
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=3)
    monkeypatch.setattr("polars_crowd.annotators.habits.BATCH", 400)
    for by in (None, "half"):
        found, expected = (pc.annotator_report(of, by=by) for of in (store, log))
        for table in pc.AnnotatorReport.TABLES:
            assert_same(getattr(found, table), getattr(expected, table))


def test_groups_are_as_their_rows_alone_against_known_labels() -> None:
    data = simulated()
    log = told(data.log).with_columns(half=pl.col("example").hash() % 2)
    classes = sorted(data.truth["label"].unique())
    together = pc.annotator_report(log, against=data.truth, by="half", classes=classes).annotators
    both = [
        "expected_cost",
        "fast_share",
        "flags",
    ]  # which go by shares and seconds of the whole log
    for (half,), rows in log.group_by("half"):
        truth = data.truth.filter(pl.col("example").is_in(rows["example"].implode()))
        alone = pc.annotator_report(rows, against=truth, classes=classes).annotators
        of_all = set(alone.columns) - set(together.columns)
        assert of_all == {
            "agreement",
            "alpha_without",
            "alpha_change",
            "num_repeated",
            "repeat_consistency",
        }
        assert_same(together.filter(half=half).drop("half", *both), alone.drop(*of_all, *both))


def test_repeats_and_abstentions() -> None:
    rows = [
        (1, "a", "x"),
        (1, "a", "y"),
        (2, "a", "x"),
        (2, "a", "x"),
        (1, "b", "x"),
        (2, "b", None),
    ]
    log = log_of_rows([*rows, (3, "b", "y"), (3, "c", None)])
    report = pc.annotator_report(log, duplicates="all")
    assert (one(report, "a")["num_repeated"], one(report, "a")["repeat_consistency"]) == (2, 0.5)
    assert one(report, "b")["num_repeated"] is None
    assert [one(report, j)["num_abstained"] for j in "abc"] == [0, 1, 1]
    assert (one(report, "c")["num_annotations"], one(report, "c")["accuracy"]) == (0, None)
    first = pc.annotator_report(log.drop_nulls(), duplicates="first")
    assert one(first, "a")["num_annotations"] == 2
    assert one(first, "a")["repeat_consistency"] == 0.5


def test_what_the_log_does_not_say_is_null_and_what_is_asked_for_must_be_there() -> None:
    log = simulated().log
    report = pc.annotator_report(log)
    missing = ["first_time", "last_time", "median_seconds", "fast_share", "num_repeated"]
    assert report.annotators.select(missing).null_count().row(0) == (report.annotators.height,) * 5
    assert report.annotators["longest_run"].null_count() == 0, "by the order of rows"
    for time, seconds in (("when", None), (None, "when")):
        with pytest.raises(pc.AnnotationError, match="has no column 'when'"):
            pc.annotator_report(log, timestamp=time, seconds=seconds)
    text = log.with_columns(timestamp=pl.lit("soon"), seconds=pl.lit("long"))
    with pytest.raises(pc.AnnotationError, match="writes neither numbers nor times"):
        pc.annotator_report(text)
    with pytest.raises(pc.AnnotationError, match="the seconds of each annotation"):
        pc.annotator_report(text, timestamp=None)
    assert_same(
        pc.annotator_report(text, timestamp=None, seconds=None).annotators, report.annotators
    )
    with pytest.raises(pc.AnnotationError, match="is a column of the result"):
        pc.annotator_report(log.with_columns(accuracy=1), by="accuracy")


def test_it_is_written_and_opened(tmp_path: Path) -> None:
    report = pc.annotator_report(spammers())
    report.write(tmp_path / "report")
    kept = pc.open_results(tmp_path / "report")
    for table in pc.AnnotatorReport.TABLES:
        assert_same(getattr(kept, table), getattr(report, table))
    assert kept.method == "annotator report"


@pytest.mark.parametrize(
    "rows",
    [
        [(1, "a", "x")],
        [(1, "a", "x"), (1, "b", "x")],
        [(1, "a", "x"), (2, "b", "y")],
        [(1, "a", "x"), (1, "b", "y"), (2, "a", "x"), (2, "b", "y")],
        [(i, j, i) for i in range(30) for j in "abc"],
    ],
    ids=["one annotation", "one class", "no overlap", "never agree", "a class each"],
)
@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
def test_logs_that_say_little(rows: list[tuple[Any, Any, Any]]) -> None:
    log = log_of_rows(rows)
    report = pc.annotator_report(log)
    assert report.annotators["num_annotations"].sum() == log.height
    assert report.confusion["num_annotations"].sum() == report.annotators["num_judged"].sum()
    shown = report.annotators.select(pl.selectors.float())
    assert not shown.select(pl.any_horizontal(pl.all().is_nan().any())).item()
    assert str(report)


def test_seconds_that_are_none_are_left_out_and_nothing_is_the_least() -> None:
    log = simulated().log
    odd = pl.Series([0.0, -1.0, float("nan"), float("inf"), None] + [5.0] * (log.height - 5))
    report = pc.annotator_report(log.with_columns(seconds=odd, timestamp=pl.lit(None)))
    assert report.annotators["num_timed"].sum() == log.height - 4
    assert report.annotators["fast_share"].max() > 0  # type: ignore[operator]
    assert report.annotators["first_time"].null_count() == report.annotators.height
    nothing = pc.annotator_report(log.with_columns(seconds=pl.lit(None)))
    assert nothing.annotators["num_timed"].null_count() == nothing.annotators.height


def test_costs() -> None:
    data = simulated()
    plain, costly = (
        pc.annotator_report(data.log, against=data.truth, costs=costs).annotators
        for costs in (None, [[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    )
    assert_same(plain, costly)
    other = pc.annotator_report(
        data.log, against=data.truth, costs=[[0, 9, 1], [9, 0, 1], [1, 1, 0]]
    )
    assert (other.annotators["expected_cost"] - plain["expected_cost"]).abs().max() > 0.01  # type: ignore[operator]
    with pytest.raises(ValueError, match="a row and a column for each of the 3 classes"):
        pc.annotator_report(data.log, costs=[[0, 1], [1, 0]])


@pytest.mark.parametrize(("n", "share"), [(10, 0.3), (50, 0.675), (200, 0.9)])
def test_tests_are_those_of_a_share_of_independent_annotations(n: int, share: float) -> None:
    x = np.arange(n + 1)
    assert [at_most(n, share, float(k)) for k in x] == pytest.approx(binom.cdf(x, n, share))
    assert [at_least(n, share, float(k)) for k in x] == pytest.approx(binom.sf(x - 1, n, share))


def test_seconds_may_be_text_that_writes_them() -> None:
    log = simulated(n_examples=20).log.with_columns(seconds=pl.int_range(pl.len()) % 9 + 0.5)
    written = log.with_columns(pl.col("seconds").cast(pl.String))
    assert_same(pc.annotator_report(written).annotators, pc.annotator_report(log).annotators)
    some = written.with_columns(
        seconds=pl.when(pl.int_range(pl.len()) > 0).then("seconds").otherwise(pl.lit("1 min"))
    )
    with pytest.raises(pc.AnnotationError, match="writes no numbers"):
        pc.annotator_report(some)
