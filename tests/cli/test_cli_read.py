"""`polars-crowd read`, and exports as LOG of the other commands."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import polars_crowd as pc
from tests.cli.commands import refused, run, succeeded
from tests.formats.samples import SAMPLES

EXPORT = str(SAMPLES / "label_studio" / "export.json")
OF_ONE = str(SAMPLES / "zooniverse" / "classifications.csv")
ASKED = ("--question", "sentiment")


def test_what_was_read_and_what_was_left_out_is_said() -> None:
    said = succeeded("read", EXPORT, *ASKED)
    assert "12 annotations of 5 examples by 3 annotators" in said
    assert "left out: 2 empty, 2 skipped, 1 superseded" in said
    assert "gold: 1 example" in said


def test_the_log_is_written(tmp_path: Path) -> None:
    log, gold = tmp_path / "log.parquet", tmp_path / "gold.csv"
    succeeded("read", EXPORT, *ASKED, "--out", log, "--gold-out", gold)
    export = pc.formats.read(EXPORT, question="sentiment")
    assert pl.read_parquet(log).equals(export.log.collect())
    assert pl.read_csv(gold).rows() == [(103, "Negative")]


def test_the_document() -> None:
    found = json.loads(succeeded("read", EXPORT, *ASKED, "--format", "json"))
    assert found["format"] == "Label Studio"
    assert found["left_out"]["superseded"] == 1
    assert len(found["log"]) == 12


def test_which_question_is_asked_for() -> None:
    assert "'stars': number" in refused("read", EXPORT)
    assert "the file asks" in refused("read", EXPORT, "--question", "mood")


def test_what_is_no_export(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("a,b\n1,2\n")
    assert "looks like no export" in refused("read", path)
    assert "--question" in refused("check", path, "--question", "x")


def test_other_commands_take_exports() -> None:
    for command in ("agreement", "check", "consensus"):
        result = run(command, OF_ONE, "--question", "T0", "--format", "json")
        assert result.exit_code == 0, result.output
        assert "Zooniverse export, question 'T0'" in result.stderr
    examples = json.loads(result.stdout)["num_examples"]
    assert examples == 2


def test_an_export_needs_no_columns() -> None:
    said = refused("consensus", EXPORT, *ASKED, "--label", "answer")
    assert "--label: not with a tool's export" in said


def test_a_store_of_an_export(tmp_path: Path) -> None:
    result = run("store", "create", tmp_path / "kept", OF_ONE, "--question", "T0")
    assert result.exit_code == 0, result.output
    assert pc.AnnotationStore.open(tmp_path / "kept").scan_annotations().collect().height == 3


@pytest.mark.parametrize("text", ["[", '[{"data": {}, "annotations": [}]', '{"a": 1}\n{"a"'])
def test_a_damaged_export(tmp_path: Path, text: str) -> None:
    path = tmp_path / "export.json"
    path.write_text(text)
    assert refused("read", path, "--export", "label_studio")


def test_battles_are_ranked() -> None:
    result = run("rank", SAMPLES / "preferences" / "arena_battles.json", "--format", "json")
    assert result.exit_code == 0, result.output
    assert "Arena export: 7 comparisons" in result.stderr
    assert {row["example"] for row in json.loads(result.stdout)} >= {"alpha-7b", "beta-70b"}


def test_options_of_a_tools_own_reader() -> None:
    path = SAMPLES / "labelbox" / "export.ndjson"
    said = refused("read", path, "--question", "tone")
    assert "polars-crowd read --option project=" in said
    given = ("--option", "project=Tone of mails")
    assert "question 'tone'" in succeeded("read", path, "--question", "tone", *given)
    assert "NAME=VALUE" in refused("read", path, "--option", "project")
