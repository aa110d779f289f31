"""`polars-crowd annotators` prints what the library finds, in three forms, and guards a bar."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from tests.cases import assert_same
from tests.cli.commands import refused, run, succeeded


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tutorial's log under other names, with languages and a row without a label, and what is known."""
    folder, data = tmp_path_factory.mktemp("annotators"), pc.datasets.tutorial()
    names = {"example": "item", "annotator": "worker", "label": "answer"}
    log = data.log.with_columns(
        language=pl.col("example").str.len_chars()
        + pl.col("example").str.slice(-1).cast(pl.Int64) % 2
    ).rename(names)
    skipped = log.head(1).with_columns(pl.lit(None).alias("answer"), item=pl.lit("none"))
    pl.concat([log, skipped]).write_csv(folder / "log.csv")
    data.truth.rename({"example": "item", "label": "answer"}).write_csv(folder / "gold.csv")
    return {"log": folder / "log.csv", "gold": folder / "gold.csv", "folder": folder}


NAMES = ("--example", "item", "--annotator", "worker", "--label", "answer")


def of_log(places: dict[str, Path], *options: str | Path) -> tuple[str | Path, ...]:
    return ("annotators", places["log"], *NAMES, *options)


def expected(**options: Any) -> pc.AnnotatorReport:
    data = pc.datasets.tutorial()
    log = data.log.with_columns(
        language=pl.col("example").str.len_chars()
        + pl.col("example").str.slice(-1).cast(pl.Int64) % 2
    )
    return pc.annotator_report(log, **options)


def test_table(places: dict[str, Path]) -> None:
    result = run(*of_log(places, "--truth", places["gold"]))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("annotator report: 296 examples, 50 annotators, 1,456 annotations")
    assert "Annotators, least accurate first" in lines
    assert lines[lines.index("Annotators, least accurate first") + 1].split()[:3] == [
        "annotator",
        "num_annotations",
        "accuracy",
    ]
    assert "A0049: answers like a coin: accuracy .34 [" in result.stdout


def test_json_and_csv(places: dict[str, Path]) -> None:
    found = expected(against=pc.datasets.tutorial().truth)
    call = of_log(places, "--truth", places["gold"], "--quiet")
    document = json.loads(succeeded(*call, "--format", "json"))
    assert set(document) == {"report", "annotators", "confusion", "flags"}
    flags = pl.DataFrame(document["flags"], schema=found.flags.schema)
    assert_same(flags, found.flags)
    table = pl.read_csv(io.StringIO(succeeded(*call, "--format", "csv")), infer_schema_length=None)
    same = ["annotator", "num_annotations", "accuracy", "spam_score", "alpha_change"]
    assert_same(table.select(same), found.annotators.select(same))
    assert table["num_abstained"].sum() == 1, "the row without a label"


def test_results_as_what_is_judged_by(places: dict[str, Path]) -> None:
    for method, out in (("dawid-skene", "fit"), ("majority-vote", "vote")):
        results = places["folder"] / out
        consensus = run("consensus", places["log"], *NAMES, "--method", method, "--out", results)
        assert consensus.exit_code == 0, consensus.output
        call = of_log(places, "--against", results, "--format", "csv", "--quiet")
        table = pl.read_csv(io.StringIO(succeeded(*call)), infer_schema_length=None)
        log = pc.datasets.tutorial().log
        fit = pc.dawid_skene(log) if out == "fit" else pc.majority_vote(log)
        assert_same(
            table.select("annotator", "accuracy"),
            expected(against=fit).annotators.select("annotator", "accuracy"),
        )
    wrong = refused(*of_log(places, "--against", places["folder"]))
    assert "holds no results" in wrong


def test_groups_and_tables_in_a_directory(places: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(*of_log(places, "--by", "language", "--out", out))
    assert result.exit_code == 0, result.output
    kept, found = pc.open_results(out), expected(by="language")
    for table in ("annotators", "confusion", "flags"):
        names = {"worker": "annotator", "answer": "label"}
        assert_same(getattr(kept, table).rename(names, strict=False), getattr(found, table))


def test_a_bar(places: dict[str, Path]) -> None:
    call = of_log(places, "--truth", places["gold"], "--quiet")
    missed = run(*call, "--fail-under", "accuracy_high=0.5")
    assert missed.exit_code == 1
    assert "accuracy_high (annotator=A0050) is 0.4047, below 0.5" in missed.stderr
    assert run(*call, "--fail-under", "accuracy=0.1").exit_code == 0
    for bar in ("accuracy", "accuracy=high", "speed=1"):
        assert f"--fail-under {bar}" in refused(*call, "--fail-under", bar)


def test_times_and_seconds_of_a_file_of_text(tmp_path: Path) -> None:
    log = pc.datasets.tutorial().log.select("example", "annotator", "label")
    days = pl.duration(days=pl.int_range(pl.len()) * 60 // pl.len())
    timed = log.with_columns(
        timestamp=pl.datetime(2026, 1, 5) + days, seconds=pl.int_range(pl.len()) % 7 + 0.5
    )
    timed.write_csv(tmp_path / "log.csv")
    call = ("annotators", tmp_path / "log.csv", "--format", "csv", "--quiet")
    table = pl.read_csv(io.StringIO(succeeded(*call)), infer_schema_length=None)
    same = ["annotator", "median_seconds", "longest_run"]
    assert_same(table.select(same), pc.annotator_report(timed).annotators.select(same))
    windows = pl.read_csv(io.StringIO(succeeded(*call, "--every", "2w")), infer_schema_length=None)
    same = ["annotator", "num_annotations", "accuracy"]
    assert_same(windows.select(same), pc.annotator_drift(timed, every="2w").windows.select(same))


def test_over_time(places: dict[str, Path], tmp_path: Path) -> None:
    log = pc.datasets.tutorial().log.sort("example")
    times = pl.datetime(2026, 1, 5) + pl.duration(days=pl.int_range(pl.len()) * 60 // pl.len())
    timed = log.with_columns(timestamp=times)
    timed.write_parquet(tmp_path / "timed.parquet")
    call = ("annotators", tmp_path / "timed.parquet", "--every", "2w", "--quiet")
    drift = pc.annotator_drift(timed, every="2w")
    document = json.loads(succeeded(*call, "--format", "json"))
    assert set(document) == {"report", "windows", "alarms"}
    assert len(document["windows"]) == drift.windows.height
    table = pl.read_csv(io.StringIO(succeeded(*call, "--format", "csv")), infer_schema_length=None)
    same = ["annotator", "num_annotations", "accuracy"]
    assert_same(table.select(same), drift.windows.select(same))
    assert "Windows" in run(*call[:-1]).stdout
    untimed = run(*of_log(places, "--every", "2w", "--quiet"))
    assert untimed.exit_code == 2
    assert "has no column 'timestamp'" in untimed.stderr
