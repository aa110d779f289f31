"""An annotator labels an example again: the last by a time, or the mean of numbers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import polars_crowd as pc
from tests.cli.commands import refused, run, succeeded

DAYS = [dt.date(2024, 5, day) for day in (3, 1, 2, 1, 2)]
LOG = pl.DataFrame(
    {
        "example": [1, 1, 1, 2, 2],
        "annotator": ["a", "a", "b", "a", "b"],
        "label": ["late", "early", "late", "x", "x"],
        "ts": DAYS,
    }
)
KEPT = LOG.filter(pl.col("label") != "early").drop("ts")
ORDERS: dict[str, list[Any]] = {
    "dates": DAYS,
    "numbers": [3, 1, 2, 1, 2],
    "fractions": [30.5, 4.25, 20.0, 1.0, 2.0],
    "text of dates": [day.isoformat() for day in DAYS],
    "text of times": [f"{day}T09:30:0{k}Z" for k, day in enumerate(DAYS)],
    "text of numbers": ["30.5", "4.25", "20", "1", "2"],
}


@pytest.mark.parametrize("order", ORDERS)
def test_last_is_the_last_in_time(order: str, tmp_path: Path) -> None:
    log = LOG.with_columns(ts=pl.Series(ORDERS[order]))
    log.write_csv(tmp_path / "log.csv")
    for source in (log, tmp_path / "log.csv"):
        rows = pc.scan_annotations(source, order_by="ts")
        last = pc.majority_vote(rows, duplicates="last").collect()
        assert_frame_equal(last, pc.majority_vote(KEPT).collect())
        first = pc.agreement(rows, duplicates="first")
        assert first.equals(
            pc.agreement(LOG.filter((pl.col("example") == 2) | (pl.col("ts") < DAYS[0])))
        )
    place = tmp_path / "store"
    store = pc.AnnotationStore.create(place, rows, partitions=2, duplicates="last")
    held = store.scan_annotations().select(KEPT.columns).collect()
    assert_frame_equal(held, KEPT, check_row_order=False)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            [1, 1, 1, 1, 1],
            r"does not say which row came last for 1 pair .*:\n  example=1, annotator='a'",
        ),
        ([None, 1, 1, 1, 1], "does not say which row came last for 1 pair"),
        (["soon", "1", "2", "3", "4"], "text that writes neither numbers nor times .*: 'soon'"),
        (["2024-05-01T09:30Z", "2024-05-01T09:31+02:00", *["2024-05-01"] * 3], "of several zones"),
        (["01/02/2024", "02/01/2024", *["03/01/2024"] * 3], "nor times"),
        ([True, False, True, True, True], "is Boolean, which has no order in time"),
    ],
)
def test_what_does_not_say_which_was_last(values: list[Any], words: str) -> None:
    with pytest.raises(pc.AnnotationError, match=words):
        pc.scan_annotations(LOG.with_columns(ts=pl.Series(values)), order_by="ts")
    with pytest.raises(pc.AnnotationError, match="no column 'time'"):
        pc.scan_annotations(LOG, order_by="time")


def test_what_is_sure_anyway_may_lack_a_time() -> None:
    log = LOG.with_columns(ts=pl.Series([3, 1, None, None, 2]))
    found = pc.majority_vote(pc.scan_annotations(log, order_by="ts"), duplicates="last").collect()
    assert_frame_equal(found, pc.majority_vote(KEPT).collect())


@given(st.permutations(range(6)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    log = pl.DataFrame(
        {
            "example": [1] * 6,
            "annotator": [*"aabbcc"],
            "label": [*"xyxyxy"],
            "ts": [1, 2, 2, 1, 3, 4],
        }
    )
    rows = pc.scan_annotations(log[order], order_by="ts")
    kept = pc.majority_vote(rows, duplicates="last").collect()
    assert kept.row(0) == (1, "y", pytest.approx(2 / 3), 3)


# --- means -----------------------------------------------------------------------------------------

NUMBERS = pl.DataFrame(
    {
        "example": [1, 1, 1, 2, 2, 3, 3],
        "annotator": [*"aababab"],
        "label": [1.0, 2.0, 3.5, 4.0, 6.0, 7.5, 7.0],
    }
)
MEANS = NUMBERS.group_by("example", "annotator", maintain_order=True).agg(pl.col("label").mean())


@pytest.mark.parametrize(
    "measured",
    [
        lambda log, **how: pc.mean_truth(log, **how).examples.collect(),
        lambda log, **how: pc.median_truth(log, **how).examples.collect(),
        lambda log, **how: pc.icc(log, **how),
        lambda log, **how: pc.krippendorff_alpha(log, level="interval", **how),
    ],
    ids=["mean", "median", "icc", "alpha"],
)
def test_means_of_numbers(measured: Callable[..., pl.DataFrame]) -> None:
    text = NUMBERS.cast({"label": pl.String})
    for log in (NUMBERS, text):
        assert_frame_equal(measured(log, duplicates="mean"), measured(MEANS))


def test_a_store_of_means(tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "a", NUMBERS, partitions=2, duplicates="mean")
    held = store.scan_annotations().collect()
    assert_frame_equal(held, MEANS, check_row_order=False)
    with pytest.raises(ValueError, match="holds no single labels"):
        store.append(NUMBERS, duplicates="mean")
    with pytest.raises(ValueError, match="numbers with decimals"):
        pc.AnnotationStore.create(tmp_path / "b", KEPT, duplicates="mean")


@pytest.mark.parametrize(
    "function",
    [
        lambda log: pc.majority_vote(log, duplicates="mean"),
        lambda log: pc.dawid_skene(log, duplicates="mean"),
        lambda log: pc.agreement(log, duplicates="mean"),
    ],
)
def test_classes_have_no_mean(function: Callable[[Any], Any]) -> None:
    for log in (KEPT, NUMBERS.cast({"label": pl.Int64})):
        with pytest.raises(ValueError, match="about numbers, and here labels are classes"):
            function(log)


def test_the_command(tmp_path: Path) -> None:
    LOG.write_csv(tmp_path / "log.csv")
    NUMBERS.write_csv(tmp_path / "numbers.csv")
    last = ("--duplicates", "last", "--order-by", "ts")
    said = succeeded("agreement", tmp_path / "log.csv", *last, "--format", "csv")
    values = pl.read_csv(said.encode())["value"].to_list()
    assert values == pytest.approx(pc.agreement(KEPT)["value"].to_list())
    assert run("store", "create", tmp_path / "store", tmp_path / "log.csv", *last).exit_code == 0
    of_numbers = (
        "agreement",
        tmp_path / "numbers.csv",
        "--coefficients",
        "icc",
        "--duplicates",
        "mean",
    )
    assert succeeded(*of_numbers)
    said = refused("agreement", tmp_path / "log.csv", "--duplicates", "mean")
    assert "--duplicates first or last" in said
    assert "only with --duplicates first or last" in refused(
        "agreement", tmp_path / "log.csv", "--order-by", "ts"
    )
