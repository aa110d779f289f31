"""Drift: sums by hand, steady annotators without alarms, a drop that is found, and times of all kinds."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import polars_crowd as pc
from polars_crowd.annotators.drift import threshold
from tests.cases import assert_same

START = date(2024, 1, 1)


def weeks(
    seed: int, n_weeks: int = 30, drop: float = 0.0, since: int = 99, hard: float = 0.0
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Ten annotators of accuracy .9 with thirty annotations a week, three an example, and the truth.

    The first one becomes worse, and examples are harder in some weeks for all.
    """
    random = np.random.default_rng(seed)
    n = n_weeks * 100
    example = np.repeat(np.arange(n), 3)
    annotator = (example + np.tile(np.arange(3), n) * 3) % 10
    week, truth = example // 100, random.integers(0, 3, n)
    accuracy = 0.9 - drop * ((annotator == 0) & (week >= since)) - hard * (week % 10 > 6)
    right = random.random(len(example)) < accuracy
    wrong = (truth[example] + random.integers(1, 3, len(example))) % 3
    label = np.where(right, truth[example], wrong)
    log = pl.DataFrame({"example": example, "annotator": annotator, "label": label})
    time = pl.lit(START) + pl.duration(weeks=pl.lit(pl.Series(week)))
    return log.with_columns(timestamp=time), pl.DataFrame({"example": np.arange(n), "label": truth})


def alarmed(found: pc.AnnotatorDrift, annotator: int) -> list[int]:
    """The weeks with an alarm."""
    windows = found.windows.filter("alarm", pl.col("annotator") == annotator)["window"]
    return [(day - START).days // 7 for day in windows]


def test_windows_are_the_accuracies_of_the_annotations_in_them() -> None:
    log, truth = weeks(0, n_weeks=5)
    found = pc.annotator_drift(log, against=truth, every="2w").windows
    both = log.join(truth, on="example").with_columns(window=pl.col("timestamp").dt.truncate("2w"))
    right = (pl.col("label") == pl.col("label_right")).mean()
    by_hand = both.group_by("annotator", "window").agg(num_annotations=pl.len(), accuracy=right)
    by_hand = by_hand.cast({"num_annotations": pl.Int64}).sort("annotator", "window")
    assert found.select(by_hand.columns).equals(by_hand)
    is_first = found["annotator"] != found["annotator"].shift(1)
    assert (found["expected_accuracy"].is_null() == is_first.fill_null(True)).all()
    low, mean, high = (found[f"accuracy{end}"] for end in ("_low", "", "_high"))
    assert ((low <= mean) & (mean <= high)).all()


@pytest.mark.parametrize("hard", [0.0, 0.2])
def test_who_stays_the_same_has_no_alarm_also_where_examples_are_harder(hard: float) -> None:
    for seed in range(3):
        log, truth = weeks(seed, n_weeks=52, hard=hard)
        for against in (None, truth):
            assert pc.annotator_drift(log, against=against).alarms.height <= 1


def test_a_drop_is_found_within_three_windows() -> None:
    found = 0
    for seed in range(10):
        log, truth = weeks(seed, drop=0.2, since=26)
        drift = pc.annotator_drift(log, against=truth)
        found += any(26 <= week <= 28 for week in alarmed(drift, 0))
    assert found >= 8


def test_an_alarm_says_since_when_and_by_how_much() -> None:
    log, truth = weeks(1, drop=0.4, since=20)
    drift = pc.annotator_drift(log, against=truth)
    first = drift.alarms.row(0, named=True)
    assert first["annotator"] == 0
    assert first["since"] <= first["window"]
    assert (first["since"] - START).days // 7 == 20
    assert first["change"] == pytest.approx(-0.4, abs=0.2)
    assert first["change"] == pytest.approx(first["accuracy"] - first["expected_accuracy"])
    assert first["statistic"] > drift.threshold == threshold(0.05)
    said = "Drift: 10 annotators, 30 windows, 9,000 annotations; judged by known labels"
    assert str(drift).startswith(said)


def test_a_smaller_rate_of_false_alarms_asks_for_more() -> None:
    assert threshold(0.01) > threshold(0.05) > threshold(0.2)


# --- times -----------------------------------------------------------------------------------------

TIMES = {
    "dates": pl.col("timestamp"),
    "times": pl.col("timestamp").cast(pl.Datetime("us")),
    "nanoseconds": pl.col("timestamp").cast(pl.Datetime("ns")) + pl.duration(hours=5),
    "zones": pl.col("timestamp").cast(pl.Datetime("ms")).dt.replace_time_zone("Asia/Tokyo"),
}


@pytest.mark.parametrize("time", TIMES.values(), ids=TIMES)
def test_times_may_be_dates_or_times_with_or_without_a_zone(time: pl.Expr) -> None:
    log, _ = weeks(2, n_weeks=6)
    found = pc.annotator_drift(log.with_columns(timestamp=time)).windows
    plain = pc.annotator_drift(log).windows
    assert found["window"].dt.date().to_list() == plain["window"].to_list()
    assert found.drop("window").equals(plain.drop("window"))


WRITTEN = {
    "dates": "%Y-%m-%d",
    "minutes": "%Y-%m-%dT%H:%M",
    "a zone": "%Y-%m-%d %H:%M:%S%.6f+02:00",
}


@pytest.mark.parametrize("form", WRITTEN.values(), ids=WRITTEN)
def test_times_may_be_text_as_in_a_file_of_text(form: str) -> None:
    log, _ = weeks(3, 12)
    timed = log.with_columns(pl.col("timestamp").cast(pl.Datetime) + pl.duration(hours=23))
    text = log.with_columns(timed["timestamp"].dt.strftime(form))
    found, expected = pc.annotator_drift(text), pc.annotator_drift(timed)
    assert_same(found.windows, expected.windows)
    mixed = text.with_columns(
        timestamp=pl.when(pl.int_range(pl.len()) > 0).then("timestamp").otherwise(pl.lit("2 May"))
    )
    with pytest.raises(pc.AnnotationError, match="2 May"):
        pc.annotator_drift(mixed)


def test_what_nobody_can_judge_is_counted() -> None:
    log, truth = weeks(3, 4)
    alone = pc.annotator_drift(log.filter(pl.col("annotator") == log["annotator"][0]))
    assert alone.num_unjudged == log.filter(pl.col("annotator") == log["annotator"][0]).height
    assert "left out: nobody else labelled the example" in str(alone)
    half = truth.filter(pl.col("example") % 2 == 0)
    by_half = pc.annotator_drift(log, against=half)
    assert by_half.num_unjudged == log.filter(pl.col("example") % 2 == 1).height


@pytest.mark.parametrize("time", [pl.lit(1704067200), pl.lit("1704067200"), pl.lit(1.5)], ids=str)
def test_numbers_are_no_times(time: pl.Expr) -> None:
    log, _ = weeks(2, n_weeks=2)
    said = "'timestamp' of the log is .* which says no time.*from_epoch"
    with pytest.raises(pc.AnnotationError, match=said):
        pc.annotator_drift(log.with_columns(timestamp=time))


def test_what_is_refused() -> None:
    log, _ = weeks(2, n_weeks=2)
    with pytest.raises(pc.AnnotationError, match=r"has no column 'at'.*timestamp='...'"):
        pc.annotator_drift(log, timestamp="at")
    with pytest.raises(ValueError, match="every='weekly'; it is no duration"):
        pc.annotator_drift(log, every="weekly")


def test_annotations_without_a_time_are_counted() -> None:
    log, _ = weeks(3, n_weeks=3)
    some = log.with_columns(timestamp=pl.when(pl.int_range(pl.len()) % 3 > 0).then("timestamp"))
    found = pc.annotator_drift(some)
    assert found.num_untimed == log.height // 3
    assert f"{log.height // 3} without a time left out" in str(found)
    assert found.windows["num_annotations"].sum() == log.height - log.height // 3


@settings(max_examples=3, phases=[Phase.generate])
@given(st.integers(0, 10**6))
def test_order_partitions_and_names_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    log, _ = weeks(seed, n_weeks=6, drop=0.5, since=3)
    found = pc.annotator_drift(log)
    place = tmp_path_factory.mktemp("store") / "store"
    store = pc.AnnotationStore.create(place, log, partitions=4)
    named = log.with_columns(pl.format("n{}", "annotator").alias("annotator"))
    others: list[Any] = [store, log.sample(fraction=1, shuffle=True, seed=seed), named]
    for other in others:
        same = pc.annotator_drift(other)
        assert (
            same.windows["expected_accuracy"]
            .is_null()
            .equals(found.windows["expected_accuracy"].is_null())
        )
        assert same.windows["alarm"].to_list() == found.windows["alarm"].to_list()
        for column in ("accuracy", "expected_accuracy", "statistic"):
            values = found.windows[column].drop_nulls().to_list()
            assert same.windows[column].drop_nulls().to_list() == pytest.approx(values, rel=1e-9)
        assert same.alarms["window"].to_list() == found.alarms["window"].to_list()


def test_a_store_without_times_says_so(tmp_path: Any) -> None:
    log, _ = weeks(4, n_weeks=2)
    store = pc.AnnotationStore.create(tmp_path / "store", log.drop("timestamp"))
    with pytest.raises(pc.AnnotationError, match="has no column 'timestamp'"):
        pc.annotator_drift(store)
