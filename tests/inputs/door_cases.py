"""The cases of tests/data/door: files, how they are read, and the log or the error of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

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
