"""Labels and annotators as codes."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from polars_crowd.runs.codes import annotator_codes, label_code

NEAR_ZERO = range(-100, 101)


@pytest.mark.parametrize(
    ("dtype", "integers"),
    [
        (pl.Int8, NEAR_ZERO),
        (pl.Int16, NEAR_ZERO),
        (pl.Int64, range(-(1 << 63), 3 - (1 << 63))),
        (pl.Int64, range((1 << 63) - 3, 1 << 63)),
        (pl.UInt8, range(256)),
        (pl.UInt64, range((1 << 64) - 3, 1 << 64)),
    ],
)
def test_integers_without_a_gap_are_coded_to_the_ends_of_their_type(
    dtype: Any, integers: range
) -> None:
    given = pl.Series("label", list(integers), dtype)
    codes, ids = annotator_codes(given.reverse())
    assert codes.to_list() == list(range(len(integers)))[::-1]
    assert ids.to_list() == list(integers)
    assert (
        given.to_frame()
        .select(label_code(given.dtype, given))["label"]
        .equals(pl.Series("label", range(len(integers)), pl.UInt32))
    )
