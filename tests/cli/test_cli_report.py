"""`polars-crowd report`: the report of the library, in a file or printed, in the words of the command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest

import polars_crowd as pc
from tests.cli.commands import PYTHON, refused, run, succeeded
from tests.reporting.hostile import GROUP, HOSTILE, TEXT, hostile_log

DATA = pc.datasets.tutorial()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    DATA.log.rename({"example": "item"}).write_parquet(tmp_path / "log.parquet")
    DATA.pred_probs.write_parquet(tmp_path / "probs.parquet")
    DATA.truth.write_csv(tmp_path / "truth.csv")
    return tmp_path / "log.parquet"


def test_it_is_the_report_of_the_library(log: Path) -> None:
    call: list[str | Path] = [
        "report",
        log,
        "--example",
        "item",
        "-p",
        "probs.parquet",
        "--probs-example",
        "example",
    ]
    found = json.loads(succeeded(*call, "--truth", "truth.csv", "--format", "json", "--quiet"))
    report = pc.report(DATA.log, DATA.pred_probs, truth=DATA.truth, path=None).to_dict()
    for document in (found, report):
        document["about"].pop("options")
    for key in ("numbers", "findings", "about"):
        assert found[key] == report[key]


def test_a_page_is_written_where_the_command_is_called(log: Path) -> None:
    text = succeeded("report", log, "--example", "item")
    assert "warning: 5 of 50 annotators answer like a coin" in text
    assert "report.html" in text
    assert Path("report.html").read_text("utf-8").startswith("<!doctype html>")
    assert "report.html is there already. Overwrite it with --force" in refused(
        "report", log, "--example", "item"
    )
    succeeded("report", log, "--example", "item", "--force", "--title", "Mine")
    assert "<h1>Mine</h1>" in Path("report.html").read_text("utf-8")


def test_markdown_is_printed_and_findings_go_to_stderr(log: Path) -> None:
    for options in (["--format", "md"], ["--format", "md", "--out", "-"]):
        found = run("report", log, "--example", "item", *options)
        assert found.stdout.startswith("# Annotation report\n")
        assert "5 of 50 annotators answer like a coin" in found.stderr
    assert run("report", log, "--example", "item", "--format", "md", "--quiet").stderr == ""
    succeeded("report", log, "--example", "item", "--out", "report.md")
    assert Path("report.md").read_text() == found.stdout


def test_advice_is_in_the_words_of_the_command(tmp_path: Path) -> None:
    rows = DATA.log.with_columns(
        label=pl.when(pl.col("example") == "000").then(pl.lit("NA")).otherwise(pl.col("label"))
    )
    rows.write_csv(tmp_path / "log.csv")
    found = run("report", "log.csv", "--format", "md", "--quiet")
    assert "--missing NA" in found.stdout.replace("\\", "")
    assert not PYTHON.search(found.stdout.replace("\\", ""))


def test_rows_without_a_label_are_reported_as_by_the_library(tmp_path: Path) -> None:
    rows = DATA.log.with_columns(label=pl.when(pl.col("example") != "000").then("label"))
    rows.write_csv(tmp_path / "log.csv")
    document = json.loads(succeeded("report", "log.csv", "--format", "json", "--quiet"))
    expected = pc.report(tmp_path / "log.csv", path=None).to_dict()
    assert [f["key"] for f in document["findings"]] == [f["key"] for f in expected["findings"]]
    assert "check_examples_without_any_label" in {f["key"] for f in document["findings"]}


def test_an_export_and_a_store_are_reported_on(tmp_path: Path) -> None:
    export = pc.datasets.label_studio_sample()
    found = run("report", export, "--question", "sentiment", "--format", "json", "--quiet")
    numbers = {n["key"]: n["value"] for n in json.loads(found.stdout)["numbers"]}
    assert (numbers["num_examples"], numbers["num_annotations"]) == (5, 11)
    pc.AnnotationStore.create(tmp_path / "store", DATA.log, DATA.pred_probs, partitions=2)
    document = json.loads(succeeded("report", "store", "--format", "json", "--quiet"))
    expected = pc.report(DATA.log, DATA.pred_probs, path=None).to_dict()
    assert [f["says"] for f in document["findings"]] == [f["says"] for f in expected["findings"]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--out log.csv", "name a file that ends in .html, .htm, .md"),
        ("--format xml", "--format: 'xml' is not one of"),
        ("--by nothing", "no column 'nothing'"),
        ("--text nothing", "'nothing'"),
        ("--size 0", "--size"),
    ],
)
def test_what_cannot_be_is_refused(options: str, said: str, log: Path) -> None:
    assert said in refused("report", log, "--example", "item", *options.split())
    assert not Path("report.html").exists()


def test_nothing_hostile_acts_in_a_terminal_or_a_spreadsheet(tmp_path: Path) -> None:
    hostile_log().write_parquet(tmp_path / "log.parquet")
    found = run("report", "log.parquet", "--by", GROUP, "--text", TEXT, "--out", "x.html")
    assert found.exit_code == 0, found.output
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", found.output)
    assert run("next", "log.parquet", "--size", "99", "--out", "next.csv").exit_code == 0
    cells = pl.read_csv("next.csv", infer_schema_length=0).to_series().to_list()
    assert len(cells) == len(HOSTILE)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
