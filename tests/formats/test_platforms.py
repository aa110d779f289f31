"""Platforms and tools whose exports are tables, zips and directories, and comparisons of models."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from tests.formats.samples import SAMPLES, assert_reads, expected, written

ITEMS = {"Input.id1": "Answer.q1", "Input.id2": "Answer.q2"}
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("mturk/batch.csv", "mturk/expected.csv", {"question": "category"}),
    ("mturk/batch.csv", "mturk/expected_blame.csv", {"question": "Answer.blame"}),
    ("mturk/crowd_radio.csv", "mturk/expected_crowd_radio.csv", {}),
    ("mturk/task_answers.csv", "mturk/expected_task_answers.csv", {"question": "tone"}),
    ("mturk/many_items.csv", "mturk/expected_many_items.csv", {"items": ITEMS}),
    ("toloka/assignments.tsv", "toloka/expected.csv", {"question": "result"}),
    ("toloka/assignments.tsv", "toloka/expected_tags.csv", {"question": "tags"}),
    ("toloka/assignments_default.tsv", "toloka/expected_default.csv", {}),
    ("appen/full_report.csv", "appen/expected.csv", {"question": "is_spam"}),
    ("appen/full_report.csv", "appen/expected_reasons.csv", {"question": "reasons"}),
    ("zooniverse/classifications.csv", "zooniverse/expected.csv", {"question": "T0"}),
    ("zooniverse/classifications.csv", "zooniverse/expected.csv", {"question": "T1"}),
    ("doccano/per_user", "doccano/expected.csv", {}),
    ("doccano/per_user.zip", "doccano/expected.csv", {}),
    ("doccano/multi_csv", "doccano/expected_multi_csv.csv", {}),
    ("doccano/old_1_2.jsonl", "doccano/expected_old_1_2.csv", {}),
    ("potato/v2", "potato/expected_v2.csv", {"question": "sentiment"}),
    ("potato/v2", "potato/expected_v2.csv", {"question": "topic"}),
    ("potato/v1", "potato/expected_v1.csv", {}),
    ("labelbox/export.ndjson", "labelbox/expected.csv", {"question": "tone"}),
    ("labelbox/export.ndjson", "labelbox/expected.csv", {"question": "topics"}),
    ("labelbox/export.ndjson", "labelbox/expected.csv", {"question": "tone > reason"}),
    ("labelbox/export.ndjson", "labelbox/expected.csv", {"question": "tone > why"}),
    ("labelbox/export_v1.json", "labelbox/expected_v1.csv", {"question": "tone"}),
    ("labelbox/export_v1.json", "labelbox/expected_v1.csv", {"question": "topics"}),
    ("preferences/mt_bench_single.jsonl", "preferences/expected_mt_bench_single.csv", {}),
]


@pytest.mark.parametrize(("file", "rows", "options"), CASES)
def test_samples(file: str, rows: str, options: dict[str, Any]) -> None:
    if file == "labelbox/export.ndjson":
        options = {**options, "project": "cproj0000000000000000001"}
    question = options.get("question")
    export = pc.formats.read(SAMPLES / file, **options)
    assert_reads(export, expected(rows, question))


@pytest.mark.parametrize(
    "name",
    [
        *("arena_battles.json", "arena_battles.jsonl", "arena_preference.jsonl", "arena_55k.csv"),
        *("mt_bench_human.jsonl", "mt_bench_pair.jsonl", "alpaca_eval.json"),
        "crowd_kit_pairwise.csv",
    ],
)
def test_comparisons(name: str) -> None:
    rows = expected(f"preferences/expected_{name.partition('.')[0]}.csv")
    if "status" not in rows.columns:
        rows = rows.with_columns(status=pl.lit("submitted"))
    export = pc.formats.read(SAMPLES / "preferences" / name)
    counting = rows.filter(pl.col("status") == "submitted").rename({"winner": "verdict"})
    columns = ("example", "annotator", "left", "right", "verdict", "timestamp", "position")
    common = [c for c in columns if counting.get_column(c, default=pl.Series([None])).count()]
    found = written(export.log, common)
    assert sorted(found.select(common).rows()) == sorted(counting.select(common).rows())
    reasons = rows.filter(pl.col("status") != "submitted")["status"].value_counts()
    assert export.left_out == dict(reasons.iter_rows())
    ids = pl.when(pl.col("verdict") == "left").then("left").when(pl.col("verdict") == "right")
    assert export.log.select(pl.col("winner").eq_missing(ids.then("right")).all()).collect().item()
    if found.get_column("annotator", default=pl.Series([None])).count():
        assert (
            pc.bradley_terry(export).examples.collect().height
            == counting["left"].append(counting["right"]).n_unique()
        )


@pytest.mark.parametrize(
    ("file", "options", "message"),
    [
        ("doccano/all.jsonl", {}, "does not say whose they are"),
        ("labelbox/export_without_details.ndjson", {}, "without label details"),
        ("labelbox/export.ndjson", {}, "in the projects"),
    ],
)
def test_what_is_refused(file: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(pc.AnnotationError, match=message):
        pc.formats.read(SAMPLES / file, **options)


def test_gold_of_platforms() -> None:
    gold = pc.formats.read(
        SAMPLES / "mturk/batch.csv", question="category", truth="Input.gold"
    ).gold
    assert gold is not None
    assert gold.sort("example").equals(expected("mturk/expected_gold.csv").sort("example"))
    gold = pc.formats.read(SAMPLES / "toloka/assignments.tsv", question="result").gold
    assert gold is not None
    assert gold.rows() == [("00g1--00", "OK")]
    gold = pc.formats.read(SAMPLES / "appen/full_report.csv", question="is_spam").gold
    assert gold is not None
    assert gold.rows() == [("9001", "yes")]
