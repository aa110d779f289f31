"""Samples of exports, each with all answers that it holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

import polars_crowd as pc

SAMPLES = Path(__file__).parents[1] / "data" / "formats"
COMPARED = (
    *("example", "annotator", "label", "timestamp"),
    *("seconds", "gold", "status", "annotator_kind"),
)
NONE = pl.Series([], dtype=pl.String)


def expected(file: str, question: str | None = None) -> pl.DataFrame:
    """The answers that a sample holds, those to a question if there are several."""
    rows = pl.read_csv(SAMPLES / file, infer_schema=False)
    if question is not None and "question" in rows.columns:
        rows = rows.filter(pl.col("question") == question)
    return rows


def written(log: pl.LazyFrame, columns: Sequence[str] = COMPARED) -> pl.DataFrame:
    """A log as the expected files write it."""
    frame = log.collect()
    return frame.select(_written(frame[name]) for name in frame.columns if name in columns)


def _written(column: pl.Series) -> pl.Series:
    texts = [None if value is None else _text(value) for value in column.to_list()]
    return pl.Series(column.name, texts, dtype=pl.String)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    if hasattr(value, "isoformat"):
        return str(value.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    return str(value)


def assert_reads(export: pc.formats.Export, rows: pl.DataFrame) -> None:
    """An export's log has the rows that count, and the others are counted by reason."""
    rows = rows if "status" in rows.columns else rows.with_columns(status=pl.lit("submitted"))
    found, counting = written(export.log), rows.filter(pl.col("status") == "submitted")
    common = [name for name in COMPARED if counting.get_column(name, default=NONE).count()]
    assert set(common) <= set(found.columns)
    numbers = [name for name in ("seconds",) if name in common]
    numbers += ["label"] if export.log.collect_schema()["label"] == pl.Float64 else []
    as_numbers = pl.col(numbers).cast(pl.Float64)
    there, wanted = (
        sorted(frame.select(common).with_columns(as_numbers).rows(), key=str)
        for frame in (found, counting)
    )
    assert there == wanted
    reasons = rows.filter(pl.col("status") != "submitted")["status"].value_counts()
    for reason, n in reasons.iter_rows():
        assert export.left_out[reason] == n, reason
