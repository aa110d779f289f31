"""Plain frames and matrices, and Argilla's records."""

from __future__ import annotations

import json

import polars as pl
import pytest

import polars_crowd as pc
from tests.formats.samples import SAMPLES, assert_reads, expected

FRAMES = SAMPLES / "frames"
ARGILLA = SAMPLES / "argilla"


@pytest.mark.parametrize(
    ("file", "rows"),
    [
        ("crowd_kit.csv", "crowd_kit"),
        ("cleanlab_wide.csv", "cleanlab_wide"),
        ("peerannot_answers.json", "peerannot"),
        ("label_matrix.csv", "label_matrix"),
        ("wrench_train.json", "wrench"),
        ("lewidi.json", "lewidi"),
        ("one_hot.csv", "one_hot"),
        ("snli_like.jsonl", "snli_like"),
        ("hf_rows.parquet", "hf_rows"),
        ("hf_list.parquet", "hf_list"),
        ("hf_struct_of_lists.parquet", "hf_list"),
    ],
)
def test_frames(file: str, rows: str) -> None:
    assert_reads(pc.formats.read(FRAMES / file), expected(f"frames/expected_{rows}.csv"))


def test_truth_of_frames() -> None:
    truth = pc.formats.read(FRAMES / "crowd_kit.csv", truth=FRAMES / "crowd_kit_gt.csv").gold
    assert truth is not None
    assert truth.rows() == [("t1", "cat")]
    truth = pc.formats.read(FRAMES / "wrench_train.json").gold
    assert truth is not None
    assert truth.rows() == [("0", "1"), ("1", "0")]


@pytest.mark.parametrize(
    ("file", "rows", "questions"),
    [
        ("flat.jsonl", "expected.csv", ("sentiment", "topics", "stars")),
        ("hub.parquet", "expected.csv", ("sentiment", "topics", "stars")),
        ("records.json", "expected_nested.csv", ("sentiment", "topics", "stars")),
        ("hub_v1.parquet", "expected_v1.csv", ("sentiment",)),
    ],
)
def test_argilla(file: str, rows: str, questions: tuple[str, ...]) -> None:
    answered = (
        pl.when(pl.col("label").is_null()).then(pl.lit("empty")).otherwise(pl.lit("submitted"))
    )
    for question in questions:
        wanted = expected(f"argilla/{rows}", question)
        wanted = wanted.with_columns(status=pl.coalesce("status", answered))
        assert_reads(pc.formats.read(ARGILLA / file, question=question), wanted)


@pytest.mark.parametrize("file", ["flat.jsonl", "hub.parquet", "records.json"])
def test_suggestions_of_argilla_are_predictions(file: str) -> None:
    wanted = (
        expected("argilla/expected_suggestions.csv").select("example", "annotator", "label").rows()
    )
    found = []
    for question in ("sentiment", "topics"):
        export = pc.formats.read(ARGILLA / file, question=question, predictions=True)
        log = export.log.filter(pl.col("annotator_kind") == "model").collect()
        for example, annotator, label in log.select("example", "annotator", "label").rows():
            text = label if isinstance(label, str) else json.dumps(label)
            found.append((example, annotator, text))
    assert sorted(found) == sorted(wanted)
