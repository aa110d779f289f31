"""What files have beside what is read, what is missing in them, and what is broken."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.formats.look import Look, split
from tests.formats.samples import SAMPLES

JSON_SAMPLES: list[tuple[str, dict[str, Any]]] = [
    ("label_studio/export.json", {"question": "sentiment"}),
    ("prodigy/choice.jsonl", {}),
    ("argilla/records.json", {"question": "topics"}),
    ("argilla/flat.jsonl", {"question": "topics"}),
    ("llm_feedback/mlflow_traces.jsonl", {"question": "correct"}),
    ("llm_feedback/langsmith_feedback.jsonl", {"question": "tone"}),
    ("llm_feedback/langfuse_scores.jsonl", {"question": "correct"}),
    ("llm_feedback/phoenix_annotations.jsonl", {"question": "correct"}),
    ("llm_feedback/opik_traces.jsonl", {"question": "correct"}),
    ("labelbox/export.ndjson", {"question": "tone", "project": "Tone of mails"}),
    ("labelbox/export_v1.json", {"question": "tone"}),
    ("doccano/per_user/sam.jsonl", {}),
    ("frames/snli_like.jsonl", {}),
    ("preferences/arena_battles.jsonl", {}),
    ("preferences/mt_bench_pair.jsonl", {}),
    ("preferences/mt_bench_single.jsonl", {}),
    ("preferences/alpaca_eval.json", {}),
]
TABLES: list[tuple[str, dict[str, Any]]] = [
    ("label_studio/export.csv", {"question": "sentiment"}),
    ("mturk/batch.csv", {"question": "category"}),
    ("toloka/assignments.tsv", {"question": "result"}),
    ("appen/full_report.csv", {"question": "is_spam"}),
    ("zooniverse/classifications.csv", {"question": "T0"}),
    ("frames/crowd_kit.csv", {}),
]


def records(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    if text.lstrip().startswith("["):
        found: list[dict[str, Any]] = json.loads(text)
        return found
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def write(path: Path, found: list[Any], *, array: bool) -> Path:
    text = json.dumps(found) if array else "\n".join(map(json.dumps, found))
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("file", "options"), JSON_SAMPLES, ids=lambda value: str(value))
def test_unknown_keys_change_nothing(file: str, options: dict[str, Any], tmp_path: Path) -> None:
    source = SAMPLES / file
    array = source.read_text().lstrip().startswith("[")
    more = {"new_in_2031": {"deep": [1, {"x": None}]}, "flag": [True, "a", 1.5]}
    changed = [{**record, **more} for record in records(source)]
    export = pc.formats.read(source, **options)
    again = pc.formats.read(write(tmp_path / source.name, changed, array=array), **options)
    assert again.log.collect().equals(export.log.collect())
    assert again.left_out == export.left_out


@pytest.mark.parametrize(("file", "options"), JSON_SAMPLES, ids=lambda value: str(value))
def test_an_array_is_read_like_lines(file: str, options: dict[str, Any], tmp_path: Path) -> None:
    source = SAMPLES / file
    export, found = pc.formats.read(source, **options), records(source)
    for array in (True, False):
        if len(found) < 2 and not array:
            continue
        path = write(tmp_path / source.name, found, array=array)
        if export.format == "Label Studio" and not array:
            continue
        again = pc.formats.read(path, **options)
        assert again.log.collect().equals(export.log.collect())


@pytest.mark.parametrize(("file", "options"), JSON_SAMPLES, ids=lambda value: str(value))
@pytest.mark.parametrize("damage", ["cut", "type"])
def test_a_broken_record_is_named(
    file: str, options: dict[str, Any], damage: str, tmp_path: Path
) -> None:
    source, path = SAMPLES / file, tmp_path / Path(file).name
    text = source.read_text(encoding="utf-8").rstrip()
    if damage == "cut":
        path.write_text(text[: len(text) * 2 // 3].rstrip("\n}] "), encoding="utf-8")
    else:
        found: list[Any] = [*records(source), "no object"]
        write(path, found, array=text.startswith("["))
    with pytest.raises(pc.AnnotationError, match=r"character|record|line"):
        pc.formats.read(path, **options)


@pytest.mark.parametrize(("file", "options"), TABLES, ids=lambda value: str(value))
def test_a_table_without_rows(file: str, options: dict[str, Any], tmp_path: Path) -> None:
    source = SAMPLES / file
    path = tmp_path / source.name
    path.write_text(source.read_text(encoding="utf-8-sig").partition("\n")[0] + "\n")
    name = file.partition("/")[0].replace("frames", "crowd_kit")
    export = pc.formats.read(path, name)
    assert export.log.collect().height == 0
    assert export.question is None


@pytest.mark.parametrize("text", ["", "[]", "{}", "\n\n", "a,b\n1,2\n", "\x00\x01"])
def test_what_is_no_export(text: str, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(text)
    with pytest.raises(pc.AnnotationError, match="looks like no export"):
        pc.formats.read(path)
    with pytest.raises(pc.AnnotationError, match="does not look like an export of Prodigy"):
        pc.formats.read_prodigy(path)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file at"):
        pc.formats.read(tmp_path / "gone.json")
    path = tmp_path / "latin.csv"
    path.write_bytes("task,worker,label\nä,b,c\n".encode("latin-1"))
    with pytest.raises(pc.AnnotationError, match="UTF-8"):
        pc.formats.read(path)
    path = tmp_path / "broken.zip"
    path.write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(pc.AnnotationError, match="zip"):
        pc.formats.read(path)


def test_options_that_a_reader_does_not_have() -> None:
    path = SAMPLES / "prodigy" / "choice.jsonl"
    with pytest.raises(ValueError, match=r"items=.*Prodigy takes"):
        pc.formats.read(path, items={})
    with pytest.raises(ValueError, match="format='prodgy'"):
        pc.formats.read(path, "prodgy")
    with pytest.raises(ValueError, match="gold='apart'"):
        pc.formats.read(path, gold="apart")


def test_all_formats_are_documented() -> None:
    documented = str(pc.formats.read.__doc__)
    assert [name for name in pc.formats.look.FORMATS if f"`{name}`" not in documented] == []


def test_status_and_gold_that_are_asked_for() -> None:
    path = SAMPLES / "label_studio" / "export.json"
    everything = pc.formats.read(path, question="sentiment", status="all")
    counts = dict(everything.log.collect()["status"].value_counts().iter_rows())
    assert counts == {"submitted": 12, "empty": 2, "skipped": 2, "superseded": 1}
    apart = pc.formats.read(path, question="sentiment", gold="apart")
    assert apart.log.collect().height == 11
    assert apart.left_out["gold"] == 1
    assert apart.gold is not None
    assert apart.gold.rows() == [("103", "Negative")]


def test_several_labels_where_one_is_asked_for(tmp_path: Path) -> None:
    record = {"_input_hash": 1, "_task_hash": 2, "_view_id": "choice", "answer": "accept"}
    said = {"accept": ["A", "B"], "config": {"choice_style": "single"}, "_annotator_id": "ann"}
    path = write(tmp_path / "p.jsonl", [{**record, **said}], array=False)
    with pytest.raises(pc.AnnotationError, match="to a question of one class"):
        pc.formats.read(path)


def test_texts_of_all_scripts_come_back(tmp_path: Path) -> None:
    label = 'naïve 猫 \U0001f600 \u2028 "quoted" \\ \t'
    record = {"_input_hash": 1, "_task_hash": 2, "_view_id": "choice", "answer": "accept"}
    said = {"accept": [label], "_annotator_id": "Zoë"}
    path = write(tmp_path / "p.jsonl", [{**record, **said}], array=False)
    for text in (path.read_text(), "\ufeff" + json.dumps({**record, **said}, ensure_ascii=False)):
        path.write_text(text, encoding="utf-8")
        log = pc.formats.read(path).log.collect()
        assert log.select("annotator", "label").row(0) == ("Zoë", label)


def test_long_arrays_go_through_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polars_crowd.formats.records.IN_MEMORY", 0)
    monkeypatch.setattr("polars_crowd.formats.records.CHUNK", 7)
    path = SAMPLES / "label_studio" / "export.json"
    small = pc.formats.read(path, question="topics").log.collect()
    monkeypatch.undo()
    assert small.equals(pc.formats.read(path, question="topics").log.collect())


def test_numbers_are_numbers() -> None:
    log = pc.formats.read(SAMPLES / "label_studio" / "export.json", question="stars").log
    assert log.collect_schema()["label"] == pl.Float64


@pytest.mark.parametrize(
    "written",
    [gzip.compress, lambda data: b"\xef\xbb\xbf" + data, lambda data: b"\n  \n" + data + b"\n"],
    ids=["gzip", "marked", "blank"],
)
@pytest.mark.parametrize(("file", "options"), [*JSON_SAMPLES, *TABLES], ids=str)
def test_files_that_are_packed_or_begin_otherwise(
    file: str, options: dict[str, Any], written: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    source = SAMPLES / file
    path = tmp_path / source.name
    path.write_bytes(written(source.read_text(encoding="utf-8-sig").encode()))
    log = pc.formats.read(source, **options).log.collect()
    assert pc.formats.read(path, **options).log.collect().equals(log)


@pytest.mark.parametrize(("file", "options"), TABLES, ids=str)
def test_rows_that_are_too_long_or_cut_off(
    file: str, options: dict[str, Any], tmp_path: Path
) -> None:
    source, path = SAMPLES / file, tmp_path / Path(file).name
    separator = "\t" if path.suffix == ".tsv" else ","
    header, rows = split(Look.at(source))
    path.write_text("\n".join([*header, rows[0], f"{rows[1]}{separator}more", *rows[2:]]))
    with pytest.raises(pc.AnnotationError, match=rf"{path.name}, record 2, which begins with"):
        pc.formats.read(path, **options)
    path.write_text("\n".join([*header, *rows, rows[0].partition(separator)[0]]))
    with pytest.raises(pc.AnnotationError, match="the last row has 1 cell, the header"):
        pc.formats.read(path, **options)
    path.write_text("\n".join([*header, rows[0].partition(separator)[0], *rows[1:]]))
    assert pc.formats.read(path, **options).format


@pytest.mark.parametrize(
    "data",
    [b"PAR1 and no more", b"ARROW1 and no more", b"[" * 100_000, b'{"a":' * 100_000],
    ids=["parquet", "arrow", "array", "object"],
)
@pytest.mark.parametrize("read", [pc.formats.read, pc.formats.read_prodigy])
def test_files_that_cannot_be_looked_at(read: Any, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.write_bytes(data)
    with pytest.raises(pc.AnnotationError, match=r"export cannot be read: "):
        read(path)
    assert pc.formats.registry.seen_as(path) is None


def test_cells_of_any_length(tmp_path: Path) -> None:
    source, path = SAMPLES / "mturk" / "batch.csv", tmp_path / "batch.csv"
    table = pl.read_csv(source, infer_schema=False)
    log = pc.formats.read(source, question="category").log.collect()
    table.with_columns(pl.lit("x" * 140_000).alias("Input.text")).write_csv(path)
    found = pc.formats.read(path, question="category").log.collect()
    assert found["text"].str.len_chars().unique().to_list() == [140_000]
    assert found.drop("text").equals(log.drop("text"))


@pytest.mark.parametrize(
    ("file", "key", "options"),
    [
        ("labelbox/export.ndjson", "data_row", {"question": "tone", "project": "Tone of mails"}),
        ("argilla/records.json", "responses", {"question": "topics"}),
        ("label_studio/export.json", "annotations", {"question": "sentiment"}),
        ("llm_feedback/opik_traces.jsonl", "feedback_scores", {"question": "correct"}),
    ],
)
def test_a_record_of_another_build_is_named(
    file: str, key: str, options: dict[str, Any], tmp_path: Path
) -> None:
    source, path = SAMPLES / file, tmp_path / Path(file).name
    found = [*records(source), *records(source)]
    wrong = {"value_by_author": "{1"} if "opik" in file else 7
    found[-1] = {
        **found[-1],
        key: [{"name": "correct", **wrong}] if isinstance(wrong, dict) else wrong,
    }
    write(path, found, array=source.read_text().startswith("["))
    with pytest.raises(pc.AnnotationError, match=f"record {len(found)}[ ,]"):
        pc.formats.read(path, **options)


def test_answers_to_no_question_are_left_out(tmp_path: Path) -> None:
    source = SAMPLES / "llm_feedback" / "langfuse_scores.jsonl"
    found = records(source)
    path = write(tmp_path / "scores.jsonl", [*found, {**found[0], "name": None}], array=False)
    assert pc.formats.read(path, question="correct").left_out["no_question"] == 1
    write(path, [{**one, "name": None} for one in found], array=False)
    with pytest.raises(pc.AnnotationError, match="do not say to which question"):
        pc.formats.read(path)


def test_keys_that_the_first_record_leaves_out(tmp_path: Path) -> None:
    source = SAMPLES / "llm_feedback" / "opik_traces.jsonl"
    found = records(source)
    path = write(tmp_path / "traces.jsonl", [{"id": "t0"}, *found], array=False)
    assert pc.formats.read(path, question="correct").format == "Opik"


@pytest.mark.parametrize("damage", ["cut off", "changed"])
@pytest.mark.parametrize(("file", "options"), [*JSON_SAMPLES, *TABLES], ids=str)
def test_files_whose_packing_is_damaged(
    file: str, options: dict[str, Any], damage: str, tmp_path: Path
) -> None:
    source = SAMPLES / file
    packed = bytearray(gzip.compress(source.read_bytes(), mtime=0))
    if damage == "cut off":
        del packed[-20:]
    else:
        packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / source.name
    path.write_bytes(packed)
    with pytest.raises(pc.AnnotationError, match="cannot be decompressed"):
        pc.formats.read(path, **options).log.collect()
