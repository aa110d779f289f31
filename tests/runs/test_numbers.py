"""Numeric logs as sorted rows: the same for every row order, type of id and partitioning."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from polars_crowd.errors import AnnotationError
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.inputs.log import scan_annotations
from polars_crowd.runs.numbers import Values, sort_values

PAIRS = st.lists(
    st.tuples(st.integers(-3, 5), st.integers(0, 4), st.floats(-1e6, 1e6)),
    min_size=1,
    max_size=30,
    unique_by=lambda row: row[:2],
)


def frame(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["example", "annotator", "label"], orient="row")


def read(log: Any, **options: Any) -> Values:
    return sort_values(scan_annotations(log), **options)


def back(values: Values) -> pl.DataFrame:
    """The log that values hold."""
    return values.rows.select(
        pl.lit(values.examples["example"]).gather("example").alias("example"),
        pl.lit(values.annotators).gather("annotator").alias("annotator"),
        pl.col("value").alias("label"),
    )


@given(PAIRS, st.randoms())
def test_rows_come_back_sorted_in_any_order_of_the_log(
    rows: list[tuple[int, int, float]], random: Any
) -> None:
    shuffled = random.sample(rows, len(rows))
    values = read(frame(shuffled))
    assert back(values).rows() == sorted(rows)
    counts = frame(rows).group_by("example").len().sort("example")
    assert values.examples["num_annotations"].to_list() == counts["len"].to_list()


@given(PAIRS)
def test_ids_of_any_type(rows: list[tuple[int, int, float]]) -> None:
    log = frame(rows)
    plain = read(log).rows
    e, a = pl.col("example"), pl.col("annotator")
    for example, annotator in (
        (pl.format("e{}", e + 3), pl.format("a{}", a)),
        (e, a.cast(pl.String).cast(pl.Enum(list("01234")))),
        (pl.lit(dt.date(2026, 1, 5)) + pl.duration(days=e), a.cast(pl.Int8)),
        ((e + 3).cast(pl.UInt64) * 2**60, a),
    ):
        named = log.with_columns(example=example, annotator=annotator)
        values = read(named)
        assert_frame_equal(values.rows, plain)
        assert_frame_equal(back(values), named.sort("example", "annotator"), check_exact=True)


@given(PAIRS, st.integers(2, 4))
def test_partitions_with_the_annotators_of_the_whole(
    rows: list[tuple[int, int, float]], n_parts: int
) -> None:
    log = frame(rows)
    whole = read(log)
    parts = [
        read(part, annotators=whole.annotators)
        for p in range(n_parts)
        if (part := log.filter(pl.col("example") % n_parts == p)).height
    ]
    assert_frame_equal(
        pl.concat(map(back, parts)).sort("example", "annotator"), back(whole), check_exact=True
    )
    assert all(part.annotators.equals(whole.annotators) for part in parts)


@pytest.mark.parametrize(
    ("duplicates", "kept"), [("first", [3.0]), ("last", [1.0]), ("all", [1.0, 2.0, 3.0])]
)
def test_duplicates(duplicates: Duplicates, kept: list[float]) -> None:
    log = frame([(1, "a", 3), (1, "a", 2), (1, "a", 1)])
    assert read(log, duplicates=duplicates).rows["value"].to_list() == kept


def test_duplicates_are_an_error() -> None:
    log = frame([(1, "a", 3), (2, "a", 2), (1, "a", 1)])
    with pytest.raises(AnnotationError, match=r"1 pair with more than one annotation, 2 rows"):
        read(log)


def test_labels_must_be_numbers() -> None:
    with pytest.raises(AnnotationError, match=r"column 'label' of the log is String; .*numbers"):
        read(frame([(1, "a", "x")]))


def test_labels_must_be_finite() -> None:
    log = frame([(1, "a", 3.0), (2, "a", np.inf), (1, "b", -np.inf)])
    with pytest.raises(AnnotationError, match=r"infinite in 2 rows:\n  example=2, annotator='a'"):
        read(log)


def test_missing_labels_are_no_annotations() -> None:
    log = frame([(1, "a", 3.0), (2, "a", None), (1, "b", float("nan"))])
    assert back(read(log)).rows() == [(1, "a", 3.0)]
    with pytest.raises(AnnotationError, match="no annotations"):
        read(log.filter(pl.col("example") == 2))


def test_ids_must_be_there() -> None:
    with pytest.raises(AnnotationError, match=r"column 'annotator' of the log is null in 1 row"):
        read(frame([(1, "a", 3.0), (2, None, 1.0)]))


def test_decimals_and_integers_become_floats() -> None:
    log = frame([(1, "a", 3), (1, "b", 4)])
    for dtype in (pl.UInt8, pl.Decimal(10, 2), pl.Float32):
        rows = read(log.with_columns(pl.col("label").cast(dtype))).rows
        assert rows["value"].to_list() == [3.0, 4.0]
        assert rows.schema["value"] == pl.Float64
