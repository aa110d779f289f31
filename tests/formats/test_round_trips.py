"""Exports that a small generator wrote come back as the log they were written from."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import polars_crowd as pc

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8
).filter(lambda text: text.strip() == text and text not in ("None", "null"))
Log = list[tuple[str, str, str]]


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Annotations of up to four examples by up to three annotators."""
    examples = draw(st.lists(TEXT, min_size=1, max_size=4, unique=True))
    annotators = draw(st.lists(TEXT, min_size=1, max_size=3, unique=True))
    pairs = [(example, annotator) for example in examples for annotator in annotators]
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=1, unique=True))
    return [(example, annotator, draw(TEXT)) for example, annotator in chosen]


def label_studio(log: Log) -> tuple[str, str]:
    tasks: dict[str, list[Any]] = {}
    for number, (example, annotator, label) in enumerate(log):
        result = {
            "from_name": "q",
            "to_name": "t",
            "type": "choices",
            "value": {"choices": [label]},
        }
        said = {"id": number, "completed_by": {"email": annotator}, "result": [result]}
        tasks.setdefault(example, []).append(said)
    found = [
        {"id": task, "data": {"text": "x"}, "annotations": said} for task, said in tasks.items()
    ]
    return "export.json", json.dumps(found)


def prodigy(log: Log) -> tuple[str, str]:
    lines = [
        {
            "_input_hash": example,
            "_task_hash": 1,
            "_view_id": "choice",
            "answer": "accept",
            "accept": [label],
            "_annotator_id": annotator,
            "_timestamp": 1,
        }
        for example, annotator, label in log
    ]
    return "out.jsonl", "\n".join(map(json.dumps, lines))


def argilla(log: Log) -> tuple[str, str]:
    records: dict[str, list[Any]] = {}
    for example, annotator, label in log:
        records.setdefault(example, []).append({"user_id": annotator, "value": label})
    found = [
        {"id": example, "fields": {}, "suggestions": {}, "responses": {"q": said}}
        for example, said in records.items()
    ]
    return "records.json", json.dumps(found)


def langfuse(log: Log) -> tuple[str, str]:
    lines = [
        {
            "traceId": example,
            "name": "q",
            "source": "ANNOTATION",
            "dataType": "CATEGORICAL",
            "value": 0,
            "stringValue": label,
            "authorUserId": annotator,
        }
        for example, annotator, label in log
    ]
    return "scores.jsonl", "\n".join(map(json.dumps, lines))


def mlflow(log: Log) -> tuple[str, str]:
    lines = [
        {
            "assessment_name": "q",
            "trace_id": example,
            "feedback": {"value": label},
            "source": {"source_type": "HUMAN", "source_id": annotator},
        }
        for example, annotator, label in log
    ]
    return "assessments.jsonl", "\n".join(map(json.dumps, lines))


def table(
    names: list[str], separator: str = ",", **constant: str
) -> Callable[[Log], tuple[str, str]]:
    """What writes the annotations into three columns, beside others."""

    def write(log: Log) -> tuple[str, str]:
        file = io.StringIO(newline="")
        rows = csv.writer(file, delimiter=separator)
        rows.writerow([*names, *constant])
        rows.writerows([*row, *constant.values()] for row in log)
        return "table.csv", file.getvalue()

    return write


def as_read(log: Log, export: pc.formats.Export) -> list[tuple[Any, ...]]:
    """The annotations with numbers as labels, where all labels are numbers and the tool tells them."""
    if export.log.collect_schema()["label"] == pl.String:
        return list(log)
    return [(example, annotator, float(label)) for example, annotator, label in log]


WRITERS: dict[str, Callable[[Log], tuple[str, str]]] = {
    "label_studio": label_studio,
    "prodigy": prodigy,
    "argilla": argilla,
    "langfuse": langfuse,
    "mlflow": mlflow,
    "crowd_kit": table(["task", "worker", "label"]),
    "mturk": table(["HITId", "WorkerId", "Answer.q"], AssignmentStatus="Approved"),
    "toloka": table(
        ["INPUT:id", "ASSIGNMENT:worker_id", "OUTPUT:q"], "\t", **{"ASSIGNMENT:status": "APPROVED"}
    ),
    "appen": table(["_unit_id", "_worker_id", "q"], q_gold=""),
}
SPLIT = {"mturk": "|", "toloka": "[{"}
"""What stands between the choices of a cell, or begins one that holds several."""


@pytest.mark.parametrize("tool", WRITERS)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=15)
@given(log=logs())
def test_what_was_written_is_read(tool: str, log: Log) -> None:
    log = [
        (e, a, "".join(c for c in label if c not in SPLIT.get(tool, "")) or "x")
        for e, a, label in log
    ]
    name, text = WRITERS[tool](log)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, name)
        path.write_text(text, encoding="utf-8", newline="")
        export = pc.formats.read(
            path, tool, question=None if tool == "prodigy" else QUESTION.get(tool, "q")
        )
        found = export.log.select("example", "annotator", pl.col("label")).collect().rows()
    assert sorted(found) == sorted(as_read(log, export))
    assert not export.left_out


QUESTION = {"crowd_kit": "label"}
