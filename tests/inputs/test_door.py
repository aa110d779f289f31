"""Small files as people have them: the log that each gives, or the error, through Python and a store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import polars_crowd as pc

FILES = Path(__file__).parents[1] / "data" / "door"
CASES: list[dict[str, Any]] = json.loads((FILES / "logs.json").read_text(encoding="utf-8"))
COLUMNS = ("example", "annotator", "label")
GIVEN = [case for case in CASES if "rows" in case]
REFUSED = [case for case in CASES if "error" in case]


def named(case: dict[str, Any]) -> str:
    return "-".join([case["file"], *case["options"]])


def scanned(case: dict[str, Any]) -> pl.LazyFrame:
    if case["file"].endswith(".xlsx"):
        pytest.importorskip("fastexcel")
    return pc.scan_annotations(FILES / case["file"], **case["options"])


def expected(case: dict[str, Any]) -> pl.DataFrame:
    types = [getattr(pl, name) for name in case["types"]]
    return pl.DataFrame(case["rows"], dict(zip(COLUMNS, types, strict=True)), orient="row")


@pytest.mark.parametrize("case", GIVEN, ids=named)
def test_the_log_of_a_file(case: dict[str, Any]) -> None:
    assert_frame_equal(scanned(case).select(COLUMNS).collect(), expected(case))


@pytest.mark.parametrize("case", REFUSED, ids=named)
def test_a_file_that_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(pc.AnnotationError, match=case["error"]):
        scanned(case)


@pytest.mark.parametrize("case", [case for case in GIVEN if case["rows"]], ids=named)
def test_the_store_of_a_file(case: dict[str, Any], tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", scanned(case), partitions=2)
    held = store.scan_annotations().select(COLUMNS).collect()
    assert_frame_equal(held, expected(case), check_row_order=False)
