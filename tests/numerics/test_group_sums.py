"""Sums of rows by group are those of a loop over the rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from polars_crowd.numerics.group_sums import FAN_OUT, GroupSums


@given(st.integers(0, 10**6), st.sampled_from([0, 1, 30, 3 * FAN_OUT**2]), st.integers(1, 9))
def test_sums_of_groups(seed: int, n_rows: int, n_groups: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 1000, (50, 3)).astype(np.float64)
    row = rng.integers(0, 50, n_rows)
    group = np.minimum(rng.integers(0, n_groups, n_rows), rng.integers(0, n_groups, n_rows))
    expected = np.zeros((n_groups, 3))
    for r, g in zip(row, group, strict=True):
        expected[g] += values[r]
    found = GroupSums.of(row, group, n_groups).of_rows(values)
    np.testing.assert_array_equal(found, expected)
