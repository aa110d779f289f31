"""Exports that are lines are read batch by batch: no step of their plans holds a column whole."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.formats.again import Hashes, sizes
from tests.formats.samples import SAMPLES

WHOLE = "columnar-function"
"""What Polars calls a step that needs all values of a column at once."""


def plan(log: pl.LazyFrame) -> str:
    dot = log.show_graph(
        engine="streaming", plan_stage="physical", raw_output=True, show=False, optimized=True
    )
    return str(dot)


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("prodigy/choice.jsonl", {}),
        ("llm_feedback/mlflow_traces.jsonl", {"question": "correct"}),
        ("llm_feedback/langsmith_feedback.jsonl", {"question": "tone"}),
        ("llm_feedback/langfuse_scores.jsonl", {"question": "correct"}),
        ("llm_feedback/phoenix_annotations.jsonl", {"question": "correct"}),
        ("llm_feedback/opik_traces.jsonl", {"question": "correct"}),
        ("preferences/arena_battles.jsonl", {}),
        ("preferences/mt_bench_pair.jsonl", {}),
        ("zooniverse/classifications.csv", {"question": "T0"}),
        ("frames/crowd_kit.csv", {}),
    ],
    ids=lambda value: str(value),
)
def test_no_step_holds_a_column(file: str, options: dict[str, Any]) -> None:
    column = pl.LazyFrame({"a": ["x"]}).select(pl.col("a").replace_strict({"x": "y"}))
    assert WHOLE in plan(column), "this Polars calls such a step otherwise"
    assert WHOLE not in plan(pc.formats.read(SAMPLES / file, **options).log)


def test_hashes_tell_what_is_there_twice() -> None:
    hashes = Hashes()
    for batch in ([1, None, 2**63], [], [5, 1], [1, 7]):
        hashes.note(pl.Series(batch, dtype=pl.UInt64))
    assert hashes.twice().to_list() == [1]
    assert hashes.num_distinct() == 4
    assert Hashes().num_distinct() == 0
    rows = pl.LazyFrame({"a": ["x", None, "y", "x"], "b": ["1", "1", None, "1"]})
    assert sizes(rows, "a", "b") == [4, 2, 1]
