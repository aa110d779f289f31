"""What exports hold that is seldom: what becomes of each, and of how many answers."""

from __future__ import annotations

import json
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.errors import OptionError
from tests.formats.samples import SAMPLES
from tests.formats.test_robustness import JSON_SAMPLES, records, write

READ = pc.formats.read


def lines(path: Path, *found: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    return write(path, [*found], array=False)


def table(path: Path, **columns: Any) -> Path:
    named = {name.replace("__", ":"): cells for name, cells in columns.items()}
    pl.DataFrame(named).write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")
    return path


def labels(export: pc.formats.Export) -> list[tuple[Any, ...]]:
    return export.log.select("example", "annotator", "label").collect().rows()


def label_studio(*results: list[dict[str, Any]]) -> dict[str, Any]:
    said = [{"id": n, "completed_by": n, "result": one} for n, one in enumerate(results, start=1)]
    return {"id": 7, "data": {"text": "hi"}, "annotations": said}


def result(kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"from_name": "q", "to_name": "text", "type": kind, "value": value}


@pytest.mark.parametrize(
    ("said", "found", "left_out"),
    [
        ([result("textarea", {"text": ["a", "b"]})], "a", {}),
        ([result("pairwise", {"selected": "left"})], "left", {}),
        ([result("ranker", {"ranker": {"best": ["x"]}})], '{"best": ["x"]}', {}),
        ([result("taxonomy", {"taxonomy": [["A", "B"], ["C"]]})], ["A > B", "C"], {}),
        ([result("choices", {"choices": []})], None, {"empty": 1}),
        ([result("choices", {"choices": None})], None, {"empty": 1}),
        ([result("choices", {"choices": ["A"], "start": 0})], None, {"region": 1}),
        ([result("choices", {"choices": ["A"]})] * 2, None, {"region": 2}),
    ],
)
def test_controls_of_label_studio(
    said: list[dict[str, Any]], found: Any, left_out: dict[str, int], tmp_path: Path
) -> None:
    export = READ(write(tmp_path / "x.json", [label_studio(said)], array=True))
    assert labels(export) == ([] if found is None else [("7", "1", found)])
    assert export.left_out == left_out


ROW = {"id": 1, "created_at": None, "updated_at": None, "lead_time": None}


def test_a_control_that_is_called_like_data(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "text": said, "annotator": n, "annotation_id": n, **ROW}
        for n, said in enumerate(("good", "bad"))
    ]
    path = write(tmp_path / "min.json", rows, array=True)
    assert labels(READ(path)) == [("1", "0", "good"), ("1", "1", "bad")]
    one = write(
        tmp_path / "one.json", [{"s": "A", "annotator": 1, "annotation_id": 1, **ROW}], array=True
    )
    assert "name one" in READ(one).notes[0]
    assert labels(READ(one, question="s")) == [("1", "1", "A")]
    with pytest.raises(ValueError, match="question='z'; the file has no answer"):
        READ(one, question="z")
    with pytest.raises(ValueError, match=r"example='data\.nope'"):
        READ(one, question="s", example="data.nope")


def test_answers_about_nothing(tmp_path: Path) -> None:
    said = {"key": "tone", "value": "warm", "feedback_source": {"type": "app", "user_name": "ann"}}
    path = lines(tmp_path / "x.jsonl", {"run_id": None, **said}, {"run_id": "r", **said})
    export = READ(path)
    assert labels(export) == [("r", "ann", "warm")]
    assert export.left_out == {"no_example": 1}
    with pytest.raises(pc.AnnotationError, match="which are all, do not say which example"):
        READ(SAMPLES / "prodigy" / "choice.jsonl", example="meta.nope")


def test_files_without_any_answer_count_what_is_left_out(tmp_path: Path) -> None:
    span = {"_input_hash": 1, "_task_hash": 2, "_view_id": "ner_manual", "answer": "accept"}
    assert READ(lines(tmp_path / "x.jsonl", span)).left_out == {"no_classification": 1}
    skipped = {"DataRow ID": "r", "Labeled Data": "x", "Label": "Skip", "Created By": "ann"}
    path = write(tmp_path / "x.json", [skipped], array=True)
    assert READ(path).left_out == {"skipped": 1}


FEEDBACK: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
    (
        {"span_id": "s", "name": "q", "annotator_kind": "LLM", "result.label": "a"},
        ("s", "LLM", "a"),
    ),
    (
        {
            "traceId": "t",
            "name": "q",
            "source": "API",
            "dataType": "CATEGORICAL",
            "stringValue": "a",
        },
        ("t", "API", "a"),
    ),
    ({"question_id": 1, "model": "m", "judge": "j", "score": 7.5}, ("1|m", "j", 7.5)),
]


@pytest.mark.parametrize(("record", "found"), FEEDBACK, ids=str)
def test_feedback_in_tables(record: dict[str, Any], found: tuple[Any, ...], tmp_path: Path) -> None:
    frame = pl.DataFrame([record])
    frame.write_csv(tmp_path / "x.csv")
    frame.write_parquet(tmp_path / "x.parquet")
    for name in ("x.csv", "x.parquet"):
        assert labels(READ(tmp_path / name)) == [found]


def test_traces_in_parquet(tmp_path: Path) -> None:
    source = {"source_type": "HUMAN", "source_id": "ann"}
    said = {"assessment_name": "q", "source": source, "feedback": {"value": "yes"}}
    pl.DataFrame([{"trace_id": "t", "assessments": [said]}]).write_parquet(tmp_path / "x.parquet")
    assert labels(READ(tmp_path / "x.parquet")) == [("t", "ann", "yes")]


@pytest.mark.parametrize(("yes", "no"), [(1, 0), (1.0, 0.0), (True, False)])
@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_winners_in_three_columns(yes: Any, no: Any, suffix: str, tmp_path: Path) -> None:
    won = {"winner_model_a": [yes, no], "winner_model_b": [no, no], "winner_tie": [no, yes]}
    frame = pl.DataFrame({"model_a": ["x", "x"], "model_b": ["y", "y"], **won})
    path = tmp_path / f"x.{suffix}"
    write_it: dict[str, Any] = {
        "csv": frame.write_csv,
        "parquet": frame.write_parquet,
        "jsonl": frame.write_ndjson,
    }
    write_it[suffix](path)
    assert READ(path).log.collect()["verdict"].to_list() == ["left", "tie"]


def test_preferences_in_a_table(tmp_path: Path) -> None:
    made = {"instruction": ["i", "j"], "generator_1": ["x"] * 2, "generator_2": ["y"] * 2}
    path = table(tmp_path / "x.csv", **made, annotator=["g"] * 2, preference=[1.2, None])
    export = READ(path)
    assert export.log.collect()["verdict"].to_list() == ["left"]
    assert export.left_out == {"error": 1}


def test_older_doccano(tmp_path: Path) -> None:
    given = [{"label": 2, "user": 1}, {"label": 3, "user": 1}]
    record = {"id": 1, "text": "hi", "meta": {}, "annotation_approver": None}
    path = lines(tmp_path / "a.jsonl", {**record, "annotations": given})
    assert labels(READ(path)) == [("1", "1", ["2", "3"])]
    path = lines(tmp_path / "ann.jsonl", {**record, "labels": ["a"]})
    assert labels(READ(path)) == [("1", "ann", "a")]
    path = lines(
        tmp_path / "b.jsonl", {"doc_id": 1, "text": "hi", "labels": ["a"], "username": "bo"}
    )
    assert labels(READ(path)) == [("1", "bo", "a")]


def test_a_log_that_was_not_finished_is_no_zip_of_members(tmp_path: Path) -> None:
    log = {"version": 2, "status": "started", "eval": {"model": "m", "scorers": [{"name": "j"}]}}
    sample = {"id": 1, "scores": {"j": {"value": "C"}}}
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as packed:
        packed.writestr("_journal/start.json", json.dumps(log))
        packed.writestr("samples/1_epoch_1.json", json.dumps(sample))
    assert labels(READ(tmp_path / "log.eval")) == [("m|1|1", "j", "C")]


def test_mechanical_turk(tmp_path: Path) -> None:
    hit = {"HITId": ["1", "2"], "WorkerId": ["a", "b"]}
    path = table(tmp_path / "a.csv", **hit, **{"Answer.x": ["p", "q"], "Input.gold": ["p", None]})
    (tmp_path / "notes.csv").write_text("what,why\n1,2\n")
    export = READ(tmp_path, truth="Input.gold")
    assert labels(export) == [("1", "a", "p"), ("2", "b", "q")]
    assert export.gold is not None
    assert export.gold.rows() == [("1", "p")]
    with pytest.raises(ValueError, match=r"example='Input\.z'; the file has"):
        READ(path, example="Input.z")
    with pytest.raises(pc.AnnotationError, match=r"begins with 'Answer\.'"):
        READ(table(tmp_path / "b.csv", **hit))


def test_toloka(tmp_path: Path) -> None:
    said = {"OUTPUT:r": ['{"A": true, "B": false}'], "ASSIGNMENT:worker_id": ["w"]}
    path = table(tmp_path / "a.tsv", **said, **{"INPUT:a": ["1"], "INPUT:b": ["x"]})
    assert labels(READ(path)) == [("1|x", "w", ["A"])]
    for made, options in ((said, {}), ({**said, "INPUT:a": ["1"]}, {"example": "a"})):
        with pytest.raises(ValueError, match=r"example=.*the file has"):
            READ(table(tmp_path / "b.tsv", **made), **options)


def test_appen(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", _unit_id=["1"], _worker_id=["a"], q=["TRUE"])
    with pytest.raises(pc.AnnotationError, match="cannot be told"):
        READ(path)
    assert labels(READ(path, question="q")) == [("1", "a", "TRUE")]


def test_labelbox(tmp_path: Path) -> None:
    said = {"classifications": [{"name": "q", "radio_answer": {"name": "x"}}]}
    given: list[dict[str, Any]] = [
        {"label_details": {"created_by": who}, "annotations": what}
        for who, what in (("ann", said), ("bob", {"classifications": []}))
    ]
    rows = [
        {"data_row": {"id": "r"}, "projects": {"p": {"labels": given}}},
        {"data_row": {"id": "s"}},
    ]
    export = READ(lines(tmp_path / "x.ndjson", *rows))
    assert labels(export) == [("r", "ann", "x")]
    assert export.left_out == {"empty": 1}


def test_promptfoo(tmp_path: Path) -> None:
    graded = {"pass": True, "assertion": {"type": "equals"}}
    about = {"promptIdx": 0, "promptId": "p", "provider": "m"}
    rows = [
        {**about, "testIdx": 0, "error": "gone"},
        {**about, "testIdx": 1, "gradingResult": {"componentResults": []}},
        {**about, "testIdx": 2, "gradingResult": {"componentResults": [graded, None]}},
    ]
    export = READ(lines(tmp_path / "x.jsonl", *rows))
    assert labels(export) == [("2|0|m", "equals", "true")]
    assert export.left_out == {"error": 1, "empty": 1}


def test_repeats_of_what_was_generated(tmp_path: Path) -> None:
    sample = {
        "doc_id": 0,
        "target": "1",
        "resps": [],
        "filter": "none",
        "filtered_resps": [["a", "b"]],
    }
    path = lines(tmp_path / "m" / "x.jsonl", sample)
    assert labels(READ(path)) == [("x|0", "m", "a")]


def test_opik_without_authors(tmp_path: Path) -> None:
    score = {"name": "q", "value": 1.0, "source": "ui", "created_by": "ann", "value_by_author": {}}
    path = lines(tmp_path / "x.jsonl", {"id": "t", "feedback_scores": [score]})
    assert labels(READ(path)) == [("t", "ann", 1.0)]


def test_gaps_in_wide_tables(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(",ann,bob\n0,1.0,NaN\n1,,0\n")
    assert labels(READ(path)) == [("0", "ann", "1"), ("1", "bob", "0")]
    path.write_text("id,ann,bob\n0,1.0,\n")
    assert labels(READ(path, "cleanlab")) == [("0", "ann", "1")]


@pytest.mark.parametrize("option", ["example", "worker", "labels"])
def test_columns_that_a_table_does_not_have(option: str, tmp_path: Path) -> None:
    path = table(tmp_path / "x.csv", id=["1"], annotator_id=["a"], label=["x"])
    with pytest.raises(pc.AnnotationError, match="has no 'zz', but 'id'"):
        READ(path, "hugging_face", **{option: ["zz"] if option == "labels" else "zz"})


def test_counts_are_no_log(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "x.jsonl", {"uid": "1", "label_counter": {"e": 55}, "label_dist": [1.0]}
    )
    with pytest.raises(pc.AnnotationError, match="looks like no export"):
        READ(path)


@pytest.mark.parametrize(("file", "options"), JSON_SAMPLES, ids=str)
@pytest.mark.parametrize("other", [None, 7, "x", ["x"], {"x": 1}], ids=str)
def test_values_of_another_type(
    file: str, options: dict[str, Any], other: Any, tmp_path: Path
) -> None:
    """Whatever stands where something else is expected, the log is read, or an error says what is wrong."""
    source = SAMPLES / file
    found = records(source)
    array = source.read_text().lstrip().startswith("[")
    seen = pc.formats.registry.seen_as(source, plain=True)
    assert seen is not None
    for key in found[-1]:
        path = write(tmp_path / source.name, [*found, {**found[-1], key: other}], array=array)
        with suppress(pc.AnnotationError, OptionError):
            READ(path, seen[0], **options).log.collect()
