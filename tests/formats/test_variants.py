"""The smaller shapes of tools' exports: pages, tables of all users, older versions, comparisons of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from tests.formats.samples import SAMPLES
from tests.formats.test_robustness import records

FEEDBACK = SAMPLES / "llm_feedback"


@pytest.mark.parametrize("lines", [1, 2])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("file", "question"), [("langfuse_scores", "correct"), ("phoenix_annotations", "correct")]
)
def test_pages(file: str, question: str, indent: int | None, lines: int, tmp_path: Path) -> None:
    source = FEEDBACK / f"{file}.jsonl"
    found = records(source)
    more: dict[str, Any] = {"meta": {"page": 1}} if "langfuse" in file else {"next_cursor": None}
    pages = (
        [{"data": found, **more}]
        if lines == 1
        else [{"data": found[:2], **more}, {"data": found[2:], **more}]
    )
    path = tmp_path / "pages.json"
    path.write_text(
        "\n".join(json.dumps(page, indent=indent if lines == 1 else None) for page in pages)
    )
    one, paged = (pc.formats.read(place, question=question) for place in (source, path))
    assert paged.log.collect().equals(one.log.collect())
    assert paged.left_out == one.left_out


def test_phoenix_calls_spans_as_the_tables_of_spans_do(tmp_path: Path) -> None:
    source = FEEDBACK / "phoenix_annotations.jsonl"
    path = tmp_path / "annotations.jsonl"
    path.write_text(source.read_text().replace('"span_id"', '"context.span_id"'))
    one, other = (pc.formats.read(place, question="correct") for place in (source, path))
    assert other.log.collect().equals(one.log.collect())


OF_1 = (
    ("user", "instance_id", "displayed_text", "tone:::warm", "tone:::cold", "stars:::scale_3"),
    ("ann", "i1", "hi", "warm", "", "3"),
    ("bo", "i1", "hi", "", "cold", ""),
)
OF_2 = (
    ("instance_id", "user_id", "tone.warm", "tone.cold", "stars.scale_3"),
    ("i1", "ann", "true", "", "3"),
    ("i1", "bo", "", "true", ""),
)
LINES = (
    {"user_id": "ann", "labels": {"tone": {"warm": "true"}, "stars": {"scale_3": 3}}},
    {"user_id": "bo", "labels": {"tone": {"cold": True}}},
)
POTATO = {
    "all.tsv": "\n".join(map("\t".join, OF_1)),
    "all.csv": "\n".join(map(",".join, OF_2)),
    "all.jsonl": "\n".join(json.dumps({"instance_id": "i1", **line}) for line in LINES),
}


@pytest.mark.parametrize("name", POTATO)
def test_potato_of_all_users(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(POTATO[name])
    export = pc.formats.read(path, question="tone")
    assert export.format == "Potato"
    assert export.log.select("example", "annotator", "label").collect().rows() == [
        ("i1", "ann", "warm"),
        ("i1", "bo", "cold"),
    ]
    stars = pc.formats.read(path, question="stars")
    assert stars.log.select("annotator", "label").collect().rows() == [("ann", "scale_3")]
    assert stars.left_out["empty"] == 1


def test_potato_does_not_take_the_table_of_all_users_for_a_user(tmp_path: Path) -> None:
    said = {"id": "i1", "label_annotations": {"tone": {"warm": "true"}}}
    (tmp_path / "ann").mkdir()
    for folder in (tmp_path, tmp_path / "ann"):
        (folder / "annotated_instances.jsonl").write_text(json.dumps(said))
    assert pc.formats.read(tmp_path).log.collect()["annotator"].to_list() == ["ann"]


@pytest.mark.parametrize("missing", [["created_at", "updated_at"], ["annotation_id", "lead_time"]])
@pytest.mark.parametrize("file", ["export.csv", "export_min.json"])
def test_label_studio_before_it_wrote_all_columns(
    file: str, missing: list[str], tmp_path: Path
) -> None:
    source, path = SAMPLES / "label_studio" / file, tmp_path / file
    if file.endswith("csv"):
        pl.read_csv(source, infer_schema=False).drop(missing, strict=False).write_csv(path)
    else:
        kept = [{k: v for k, v in one.items() if k not in missing} for one in records(source)]
        path.write_text(json.dumps(kept))
    same = ["example", "annotator", "label"]
    one = pc.formats.read(source, question="sentiment")
    other = pc.formats.read_label_studio(path, question="sentiment")
    there, wanted = (sorted(e.log.select(same).collect().rows(), key=str) for e in (other, one))
    assert there == wanted


def test_langsmith_compares_runs_by_their_scores(tmp_path: Path) -> None:
    def score(group: str | None, run: str, score: float | None) -> dict[str, Any]:
        said = {"run_id": run, "session_id": f"model-{run[0]}", "key": "better", "score": score}
        by = {"type": "model", "metadata": {"evaluator": "judge"}}
        time = {"created_at": "2026-06-01T11:00:01Z"}
        return {**said, **time, "feedback_source": by, "feedback_group_id": group}

    scores = [
        score("g1", "a1", 1),
        score("g1", "b1", 0),
        score("g2", "a2", 0.5),
        score("g2", "b2", 0.5),
    ]
    scores += [
        score("g3", "a3", None),
        score("g3", "b3", 1),
        score("g4", "a4", 1),
        score(None, "a5", 1),
    ]
    path = tmp_path / "feedback.jsonl"
    path.write_text("\n".join(map(json.dumps, scores)))
    export = pc.formats.read(path)
    assert sorted(
        export.log.select("left", "right", "annotator", "winner", "tie").collect().rows(), key=str
    ) == [
        ("model-a", "model-b", "judge", "model-a", False),
        ("model-a", "model-b", "judge", None, True),
    ]
    assert export.left_out == {"empty": 1, "no_comparison": 2}


def test_labelbox_counts_questions_that_were_not_answered(tmp_path: Path) -> None:
    def row(number: int, *said: str) -> dict[str, Any]:
        given = [{"value": name, "radio_answer": {"value": "yes"}} for name in said]
        label = {"label_details": {"created_by": "ann"}, "annotations": {"classifications": given}}
        return {
            "data_row": {"id": f"r{number}"},
            "projects": {"p": {"name": "P", "labels": [label]}},
        }

    path = tmp_path / "export.ndjson"
    path.write_text("\n".join(json.dumps(one) for one in (row(1, "a", "b"), row(2, "a"), row(3))))
    for question, answers in (("a", 2), ("b", 1)):
        export = pc.formats.read(path, question=question)
        assert export.log.collect().height == answers
        assert export.left_out["empty"] == 3 - answers
