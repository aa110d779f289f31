"""Times without a zone, and exports in several files: notes, errors, and logs as of one file."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from tests.cli.commands import run
from tests.formats.samples import SAMPLES
from tests.formats.test_robustness import JSON_SAMPLES, TABLES

ZONE = re.compile(r"(\d{2}:\d{2}:\d{2}(?:\.\d+)?)(?:Z|\+00:00| UTC)")
TIMED = [
    ("label_studio/export.json", {"question": "sentiment"}),
    ("label_studio/export.csv", {"question": "sentiment"}),
    ("labelbox/export.ndjson", {"question": "tone", "project": "Tone of mails"}),
    ("labelbox/export_v1.json", {"question": "tone"}),
    ("llm_feedback/mlflow_traces.jsonl", {"question": "correct"}),
    ("llm_feedback/langsmith_feedback.jsonl", {"question": "tone"}),
    ("llm_feedback/langfuse_scores.jsonl", {"question": "correct"}),
    ("llm_feedback/phoenix_annotations.jsonl", {"question": "correct"}),
    ("llm_feedback/opik_traces.jsonl", {"question": "correct"}),
    ("toloka/assignments.tsv", {"question": "result"}),
    ("appen/full_report.csv", {"question": "is_spam"}),
    ("zooniverse/classifications.csv", {"question": "T0"}),
    ("inspect/log.json", {"question": "model_graded_qa"}),
    ("mturk/batch.csv", {"question": "category"}),
]


def counted_times(export: pc.formats.Export, what: str) -> int:
    """How many times a note is about."""
    found = [re.match(r"([\d,]+) times? " + what, note) for note in export.notes]
    return sum(int(one[1].replace(",", "")) for one in found if one)


@pytest.mark.parametrize(("file", "options"), TIMED, ids=str)
def test_times_without_a_zone_are_noted(file: str, options: dict[str, Any], tmp_path: Path) -> None:
    source = SAMPLES / file
    text = source.read_text(encoding="utf-8-sig")
    path = tmp_path / source.name
    path.write_text(re.sub(r" P[SD]T (\d{4})", r" \1", ZONE.sub(r"\1", text)), encoding="utf-8")
    export, without = (pc.formats.read(one, **options) for one in (source, path))
    times = without.log.collect()["timestamp"]
    assert times.count()
    assert counted_times(without, "without a zone") >= times.count()
    if "mturk" not in file:
        assert without.log.collect().equals(export.log.collect())
    if "toloka" not in file and "appen" not in file:
        assert counted_times(export, "without a zone") == 0
    assert counted_times(export, "that cannot be read") == 0


def test_times_that_cannot_be_read_are_noted(tmp_path: Path) -> None:
    source = SAMPLES / "llm_feedback" / "langfuse_scores.jsonl"
    path = tmp_path / "scores.jsonl"
    path.write_text(ZONE.sub("soon", source.read_text()))
    export = pc.formats.read(path, question="correct")
    assert export.log.collect()["timestamp"].count() == 0
    assert counted_times(export, "that cannot be read") >= export.log.collect().height


# --- several files ---------------------------------------------------------------------------------


def parts_of(source: Path, folder: Path) -> list[Path]:
    """The lines of a file in two files; a table's header stands in both."""
    first, *lines = source.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    header = first if source.suffix in (".csv", ".tsv") else ""
    lines = lines if header else [first, *lines]
    half = len(lines) // 2
    made = []
    for number, part in enumerate((lines[:half], lines[half:])):
        path = folder / f"part-{number}{source.suffix}"
        path.write_text(header + "".join(part), encoding="utf-8")
        made.append(path)
    return made


@pytest.mark.parametrize(
    ("file", "options"),
    [
        (file, options)
        for file, options in [*JSON_SAMPLES, *TABLES]
        if file.endswith(("l", "n.ndjson", ".tsv", "crowd_kit.csv", "batch.csv"))
        and not any(name in file for name in ("snli", "opik"))
    ],
    ids=str,
)
def test_files_are_read_as_one(file: str, options: dict[str, Any], tmp_path: Path) -> None:
    source = SAMPLES / file
    parts = parts_of(source, tmp_path)
    whole, listed = pc.formats.read(source, **options), pc.formats.read(parts, **options)
    order = pl.all().cast(pl.String, strict=False) if "left" in whole.log.collect_schema() else ROWS
    names = whole.log.collect_schema().names()
    there, wanted = (
        sorted(e.log.select(names).select(order).collect().rows(), key=str) for e in (listed, whole)
    )
    if "doccano" not in file:
        assert there == wanted
        assert listed.left_out == whole.left_out
        assert listed.questions.equals(whole.questions)
    assert listed.paths == tuple(parts)
    again = pc.formats.read(str(tmp_path / f"part-*{source.suffix}"), **options)
    assert again.log.collect().equals(listed.log.collect())


ROWS = pl.all()


def test_an_answer_in_two_files_counts_once(tmp_path: Path) -> None:
    source = SAMPLES / "prodigy" / "choice.jsonl"
    copies = [Path(shutil.copy(source, tmp_path / f"{name}.jsonl")) for name in "ab"]
    one, two = pc.formats.read(source), pc.formats.read(copies)
    rows = one.log.collect().height
    assert two.log.collect().height == rows
    assert two.left_out["superseded"] == rows + 2 * one.left_out["superseded"]


def test_errors_name_the_file(tmp_path: Path) -> None:
    source = SAMPLES / "prodigy" / "choice.jsonl"
    broken, good = tmp_path / "b.jsonl", tmp_path / "a.jsonl"
    lines = source.read_text().splitlines()
    good.write_text("\n".join(lines))
    broken.write_text("\n".join([*lines[:4], lines[4][:-9]]))
    with pytest.raises(pc.AnnotationError, match=r"b\.jsonl: record 5 cannot be read"):
        pc.formats.read([good, broken])
    other = SAMPLES / "llm_feedback" / "langfuse_scores.jsonl"
    with pytest.raises(
        pc.AnnotationError, match=r"not exports of one tool:\n.*Prodigy\n.*Langfuse"
    ):
        pc.formats.read([good, other])
    with pytest.raises(pc.AnnotationError, match=r"langfuse_scores\.jsonl does not look like"):
        pc.formats.read_prodigy([good, other])
    with pytest.raises(FileNotFoundError, match=r"no file is like .*\*\.none"):
        pc.formats.read(str(tmp_path / "*.none"))
    with pytest.raises(ValueError, match="names no file"):
        pc.formats.read([])
    arena = [
        SAMPLES / "preferences" / f"{name}" for name in ("arena_battles.jsonl", "alpaca_eval.json")
    ]
    with pytest.raises(pc.AnnotationError, match="alone"):
        pc.formats.read_comparisons(arena)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are looked at."""
    seen: list[str] = []
    of_text = pc.formats.look._of_text

    def counted(path: Path) -> pc.formats.look.Look:
        seen.append(path.name)
        return of_text(path)

    monkeypatch.setattr(pc.formats.look, "_of_text", counted)
    return seen


def test_the_command_reads_several_files_and_looks_at_each_once(
    tmp_path: Path, looked_at: list[str]
) -> None:
    parts = parts_of(SAMPLES / "prodigy" / "choice.jsonl", tmp_path)
    for command in (["agreement"], ["read"], ["check"]):
        looked_at.clear()
        result = run(*command, *parts)
        assert result.exit_code == 0, result.output
        assert looked_at == ["part-0.jsonl", "part-1.jsonl"]


def test_of_tables_of_no_tool_the_first_is_looked_at_where_it_begins(
    tmp_path: Path, looked_at: list[str]
) -> None:
    paths = [tmp_path / f"{name}.csv" for name in "ab"]
    for path in paths:
        path.write_text("id,worker_id,label\n1,w,x\n2,w,y\n3,w")
    assert pc.formats.registry.seen_as(paths) is None
    assert looked_at == ["a.csv"]
    with pytest.raises(pc.AnnotationError, match=r"a\.csv: the last row has 2 cells"):
        pc.formats.read(paths)


def test_the_first_rows_of_a_table_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("id,worker_id,label\n1,w,x\n2,w,y\n")
    read: list[str] = []
    rows = pc.formats.look.Look._rows

    def counted(look: pc.formats.look.Look) -> pl.LazyFrame:
        read.append(look.path.name)
        return rows(look)

    monkeypatch.setattr(pc.formats.look.Look, "_rows", counted)
    found = pc.formats.registry.seen_as(path, plain=True)
    assert found is not None
    assert (found[0], read) == ("hugging_face", ["table.csv"])
