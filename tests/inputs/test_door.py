"""Small files as people have them: the log that each gives, or the error, through Python and a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from polars.testing import assert_frame_equal

import polars_crowd as pc
from tests.inputs.door_cases import COLUMNS, GIVEN, REFUSED, expected, named, scanned


@pytest.mark.parametrize("case", GIVEN, ids=named)
def test_the_log_of_a_file(case: dict[str, Any]) -> None:
    assert_frame_equal(scanned(case).select(COLUMNS).collect(), expected(case))


@pytest.mark.parametrize("case", REFUSED, ids=named)
def test_a_file_that_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(pc.AnnotationError, match=case["error"]):
        scanned(case)


@pytest.mark.filterwarnings(
    "ignore:column .label. of the log may not:polars_crowd.AnnotationWarning"
)
@pytest.mark.parametrize("case", [case for case in GIVEN if case["rows"]], ids=named)
def test_the_store_of_a_file(case: dict[str, Any], tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", scanned(case), partitions=2)
    held = store.scan_annotations().select(COLUMNS).collect()
    assert_frame_equal(held, expected(case), check_row_order=False)
