"""Sums of summaries are the same however many are gathered before they are added up."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polars_crowd.rounds import summaries
from polars_crowd.rounds.summaries import Sum, exact
from tests.cases import assert_same

CELL = ("annotator", "label")


def part_of(rng: np.random.Generator, n: int, first: int) -> pl.DataFrame:
    """Sums of some annotators and labels, in any order; halves add up exactly."""
    found = {
        "annotator": rng.integers(first, first + 6, n).astype(np.uint32),
        "label": rng.integers(0, 3, n).astype(np.uint32),
        "count": rng.integers(1, 9, n),
        "mass": rng.integers(1, 9, n) / 2,
    }
    return pl.DataFrame(found)


def parts_of(seed: int, heights: list[int]) -> list[pl.DataFrame]:
    rng = np.random.default_rng(seed)
    return [part_of(rng, n, int(rng.integers(0, 5))) for n in heights]


def expected(parts: list[pl.DataFrame], keys: tuple[str, ...]) -> pl.DataFrame:
    rows = pl.concat(parts)
    return rows.group_by(keys).agg(pl.all().sum()).sort(keys).select(rows.columns)


def added(parts: list[pl.DataFrame], keys: tuple[str, ...], gathered: int) -> pl.DataFrame:
    total = Sum(keys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summaries, "GATHERED_ROWS", gathered)
        for part in parts:
            total.add(part)
            assert sum(left.height for left in total._frames) <= max(gathered, total._limit)
    return total.frame()


@settings(max_examples=30)
@given(st.integers(0, 99), st.lists(st.integers(0, 12), min_size=2, max_size=8), st.integers(0, 30))
def test_sums_of_codes(seed: int, heights: list[int], gathered: int) -> None:
    parts = parts_of(seed, heights)
    assert_same(added(parts, CELL, gathered), expected(parts, CELL), 0)
    of_one = [part.drop("label") for part in parts]
    assert_same(added(of_one, ("annotator",), gathered), expected(of_one, ("annotator",)), 0)


@settings(max_examples=30)
@given(st.integers(0, 99), st.lists(st.integers(0, 40), min_size=2, max_size=12))
def test_sums_are_taken_one_after_another(seed: int, heights: list[int]) -> None:
    """So they are the same to the last bit however many frames are gathered."""
    tenths = [part.with_columns(pl.col("mass") / 10) for part in parts_of(seed, heights)]
    totals: dict[tuple[int, ...], float] = {}
    for *keys, _, mass in (row for part in tenths for row in part.rows()):
        totals[*keys] = totals[*keys] + mass if tuple(keys) in totals else mass
    for gathered in (0, 7, 10**6):
        found = added(tenths, CELL, gathered)
        assert found["mass"].to_list() == [totals[keys] for keys in sorted(totals)]


@pytest.mark.parametrize(
    "change",
    [
        pl.format("label {}", "label").alias("label"),
        pl.when(pl.col("label") > 0).then("label").alias("label"),
        pl.when(pl.col("count") > 2).then("count").alias("count"),
        pl.col("label").cast(pl.Int64),
        pl.col("mass").cast(pl.Float32),
        pl.lit("everyone").alias("group"),
    ],
    ids=["text", "null-keys", "null-sums", "wide-keys", "narrow-sums", "three-keys"],
)
def test_sums_under_other_keys(change: pl.Expr) -> None:
    """What is no sum of numbers under codes is added up as well."""
    parts = [part.with_columns(change) for part in parts_of(1, [12] * 6)]
    keys = (*CELL, *({"group"} & {*parts[0].columns}))
    assert_same(added(parts, keys, 5), expected(parts, keys), 0)


def test_frames_that_cannot_be_added_in_place() -> None:
    """Something is missing in some of the frames only."""
    parts = parts_of(2, [12] * 6)
    parts[3:5] = [part.with_columns(label=pl.lit(None, pl.UInt32)) for part in parts[3:5]]
    assert_same(added(parts, CELL, 5), expected(parts, CELL), 0)


def test_what_is_held_does_not_grow_with_the_partitions() -> None:
    total, part = Sum(CELL), expected(parts_of(3, [200]), CELL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summaries, "GATHERED_ROWS", 10)
        for _ in range(50):
            total.add(part)
    assert total._large is not None
    assert len(total._large.codes) == part.height
    assert not sum(left.height for left in total._frames)
    assert total.frame()["count"].sum() == 50 * part["count"].sum()


def test_exact_sums_are_the_same_in_any_order() -> None:
    rng = np.random.default_rng(4)
    scores = pl.DataFrame({"score": rng.random(50_000), "key": rng.integers(0, 7, 50_000)})
    rounded = scores.select(exact(pl.col("score")))["score"]
    assert (rounded - scores["score"]).abs().max() <= 2.0**-37  # type: ignore[operator]
    in_turn = {float(np.cumsum(rng.permutation(rounded.to_numpy()))[-1]) for _ in range(5)}
    assert len(in_turn) == 1
    by_key = scores.lazy().group_by("key").agg(exact(pl.col("score")).sum()).sort("key")
    streamed = [by_key.collect(engine="streaming") for _ in range(5)]
    for found in streamed:
        assert_same(found, by_key.collect(engine="in-memory"), 0)
