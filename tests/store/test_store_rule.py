"""The partition of an example: pinned, and equal to the rule in plain Python."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polars_crowd.store.rule import partition_of

MODULUS = 1 << 64

PINNED: list[tuple[pl.DataType, list[Any], list[int]]] = [
    (
        pl.String(),
        ["", "a", "ä", "example-1", "x" * 8, "x" * 9, "x" * 64, "x" * 65, "ß" * 200, "日本語"],
        [118, 878, 352, 785, 422, 293, 212, 410, 201, 555],
    ),
    (pl.Int64(), [0, 1, -1, 2, 1099511627776, -9223372036854775808], [51, 154, 787, 712, 84, 847]),
    (pl.Boolean(), [False, True], [51, 154]),
    (pl.Date(), [dt.date(1970, 1, 1), dt.date(2026, 11, 25), dt.date(1900, 1, 1)], [51, 302, 734]),
    (pl.Datetime("us"), [dt.datetime(2026, 11, 25, 1, 2, 3, 4)], [733]),
    (pl.Enum(["b", "a", "example-1"]), ["b", "a", "example-1"], [517, 878, 785]),
    (pl.Categorical(), ["a", "example-1"], [878, 785]),
    (pl.Categorical(pl.Categories("pinned")), ["a", "example-1"], [878, 785]),
    (pl.Int128(), [0, 1, -1, (1 << 64) + 2, -9223372036854775808], [51, 154, 787, 712, 847]),
    (pl.Binary(), [b"", b"\xff\x00"], [118, 40]),
]


def rule(words: list[int], n: int) -> int:
    """FNV-1a over 64-bit words, and a finaliser."""
    h = 0xCBF29CE484222325
    for word in words:
        h = (h ^ word) * 0x100000001B3 % MODULUS
    h = (h ^ (h >> 32)) * 0xBF58476D1CE4E5B9 % MODULUS
    return (h ^ (h >> 29)) % n


def words_of_text(text: str) -> list[int]:
    data = text.encode()

    def word(start: int) -> int:
        return int.from_bytes(data[start : start + 8].ljust(8, b"\0"), "little")

    first = [word(8 * i) for i in range(8)]
    last = [word(max(len(data) - 8 * i, 0)) for i in range(1, 5)]
    return [len(data), *first, *last]


def partitions(values: list[Any], dtype: pl.DataType, n: int) -> list[int]:
    frame = pl.DataFrame({"example": pl.Series(values, dtype=dtype)})
    return frame.select(partition_of("example", dtype, n)).to_series().to_list()


@given(st.lists(st.text(max_size=120), min_size=1, max_size=8), st.integers(1, 1000))
def test_text_by_the_rule(texts: list[str], n: int) -> None:
    expected = [rule(words_of_text(text), n) for text in texts]
    assert partitions(texts, pl.String(), n) == expected
    assert partitions(texts, pl.Categorical(), n) == expected
    assert partitions(texts, pl.Enum(sorted(set(texts))), n) == expected


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=1, max_size=8), st.integers(1, 99))
def test_integers_by_the_rule(integers: list[int], n: int) -> None:
    assert partitions(integers, pl.Int64(), n) == [rule([i % MODULUS], n) for i in integers]


@pytest.mark.parametrize(
    "dtype", [pl.Int8(), pl.Int32(), pl.Int64(), pl.UInt8(), pl.UInt16(), pl.UInt64()]
)
def test_the_width_of_an_integer_does_not_matter(dtype: pl.DataType) -> None:
    assert partitions([0, 1, 2, 100], dtype, 97) == [rule([i], 97) for i in (0, 1, 2, 100)]


def test_large_unsigned_integers() -> None:
    assert partitions([MODULUS - 1], pl.UInt64(), 97) == [rule([MODULUS - 1], 97)]
    assert partitions([-1], pl.Int64(), 97) == [rule([MODULUS - 1], 97)]


@given(st.lists(st.dates(), min_size=1, max_size=5), st.integers(1, 99))
def test_dates_by_the_rule(dates: list[dt.date], n: int) -> None:
    days = [(date - dt.date(1970, 1, 1)).days % MODULUS for date in dates]
    assert partitions(dates, pl.Date(), n) == [rule([day], n) for day in days]


@pytest.mark.parametrize(("dtype", "values", "expected"), PINNED, ids=lambda v: str(v)[:20])
def test_pinned(dtype: pl.DataType, values: list[Any], expected: list[int]) -> None:
    """These never change: stores on disk rest on them."""
    assert partitions(values, dtype, 1000) == expected


def test_partitions_are_of_like_sizes() -> None:
    ids = pl.DataFrame({"example": range(100_000)}).with_columns(
        text=pl.format("image-{}.jpg", pl.col("example").cast(pl.String).str.zfill(9))
    )
    for column, dtype in (("example", pl.Int64()), ("text", pl.String())):
        sizes = ids.select(partition_of(column, dtype, 64).value_counts()).unnest("partition")
        assert sizes.height == 64
        assert sizes["count"].max() < 1.1 * 100_000 / 64  # type: ignore[operator]
        assert sizes["count"].min() > 0.9 * 100_000 / 64  # type: ignore[operator]
