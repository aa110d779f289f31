"""`polars-crowd store`, and consensus of a store: what the library gives, told on the command line."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

import polars_crowd as pc
from tests.cases import assert_same, files_of
from tests.cli.commands import refused, run, succeeded

DATA = pc.datasets.tutorial()
LATER = pl.col("example") >= "250"


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    log = DATA.log.rename({"annotator": "worker"})
    log.filter(~LATER).write_parquet(tmp_path / "log.parquet")
    log.filter(LATER).write_csv(tmp_path / "later.csv")
    DATA.pred_probs.filter(~LATER).write_parquet(tmp_path / "probs.parquet")
    DATA.pred_probs.filter(LATER).write_parquet(tmp_path / "later_probs.parquet")
    return tmp_path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    pc.AnnotationStore.create(tmp_path / "votes", DATA.log, DATA.pred_probs, partitions=3)
    return tmp_path / "votes"


# --- store -----------------------------------------------------------------------------------------


def test_create_append_describe_verify(inputs: Path) -> None:
    place = inputs / "votes"
    text = succeeded(
        *("store", "create", place, inputs / "log.parquet", "-p", inputs / "probs.parquet"),
        *("--annotator", "worker", "--partitions", "3"),
    )
    early = pc.AnnotationStore.open(place)
    assert text == f"{early!r}\n"
    assert early.describe().height == 3
    probs = inputs / "later_probs.parquet"
    DATA.pred_probs.filter(LATER).write_parquet(probs)
    pl.read_csv(inputs / "later.csv", schema_overrides={"example": pl.String}).write_parquet(
        inputs / "later.parquet"
    )
    text = succeeded(
        *("store", "append", place, inputs / "later.parquet", "-p", probs, "--annotator", "worker")
    )
    grown = pc.AnnotationStore.open(place)
    assert text == f"{grown!r}\n"
    assert "296 examples, 50 annotators, 1,456 annotations" in text
    found = grown.scan_annotations().collect().sort("example", "annotator")
    assert found.equals(DATA.log.sort("example", "annotator"))
    text = succeeded("store", "describe", place)
    assert repr(grown) in text
    for row in grown.describe().iter_rows():
        assert [str(value) for value in row] in [line.split() for line in text.splitlines()]
    assert succeeded("store", "verify", place) == "0 problems\n"
    assert succeeded("store", "vacuum", place) == "0 bytes freed\n"


def test_pred_probs_alone_are_appended(store: Path, inputs: Path) -> None:
    succeeded("store", "append", store, "-p", inputs / "later_probs.parquet")
    assert pc.AnnotationStore.open(store).verify().is_empty()


def test_verify_tells_what_is_damaged(store: Path) -> None:
    first, second, *_ = sorted((store / "files").glob("*annotations*"))
    first.unlink()
    os.truncate(second, 10)
    result = run("store", "verify", store)
    assert result.exit_code == 1
    assert f"{first.name}: missing\n" in result.stdout
    assert f"{second.name}: has 10 bytes, not " in result.stdout
    assert result.stdout.endswith("2 problems\n")
    assert f"lacks 1 of the store's files: '{first.name}'" in refused("store", "describe", store)


def test_what_store_commands_refuse(store: Path, inputs: Path, tmp_path: Path) -> None:
    log = inputs / "log.parquet"
    assert "or add to it: polars-crowd store append STORE LOG" in refused(
        "store", "create", store, log, "--annotator", "worker"
    )
    assert "is no annotation store" in refused("store", "describe", tmp_path)
    assert "is no annotation store" in refused("store", "verify", tmp_path / "nowhere")
    assert "give a LOG, --pred-probs or both" in refused("store", "append", store)
    assert "has no column 'annotator'" in refused("store", "create", tmp_path / "new", log)
    assert "duplicates" in refused("store", "append", store, log, "--annotator", "worker")
    assert not (tmp_path / "new").exists()
    assert "create" in succeeded("store", "--help")


# --- consensus -------------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", [[], ["--executor", "processes:1"]], ids=str)
def test_consensus_of_a_store(store: Path, tmp_path: Path, executor: list[str]) -> None:
    into = tmp_path / "out"
    text = succeeded("consensus", store, "--out", into, "--calibrate", *executor)
    assert (
        "CROWDLAB (best_quality; quality by crowdlab): 296 examples, 50 annotators"
        in text.replace("\n", " ")
    )
    assert "The worst annotators" in text
    assert "part-0002.parquet" in text
    expected = pc.crowdlab(DATA.log, DATA.pred_probs, calibrate=True)
    for table, order in (("examples", ["example"]), ("annotations", ["example", "annotator"])):
        found = pl.read_parquet(files_of(into, table))
        assert_same(found.sort(order), getattr(expected, table).collect().sort(order))
    found = pc.open_results(into).annotators.sort("annotator")
    assert_same(found, expected.annotators.sort("annotator"))
    before = {file: file.stat().st_mtime_ns for file in files_of(into, "examples")}
    succeeded("consensus", store, "--out", into, "--calibrate")
    after = {file: file.stat().st_mtime_ns for file in files_of(into, "examples")}
    assert [*after.values()] == [*before.values()]


def test_majority_vote_of_a_store(tmp_path: Path) -> None:
    pc.AnnotationStore.create(tmp_path / "votes", DATA.log, partitions=3)
    text = succeeded("consensus", tmp_path / "votes", "--out", tmp_path / "out")
    assert "Majority vote: 296 examples, 50 annotators, 1,456 annotations" in text
    found = pl.read_parquet(files_of(tmp_path / "out", "examples")).sort("example")
    assert_same(found, pc.majority_vote(DATA.log).collect().sort("example"))
    message = refused("consensus", tmp_path / "votes", "--out", tmp_path / "o", "--calibrate")
    assert "--calibrate: only with a model" in message


def test_what_does_not_go_with_a_store(store: Path, inputs: Path) -> None:
    into = ["--out", str(inputs / "out")]
    assert "--pred-probs: not with a store" in refused(
        "consensus", store, *into, "-p", inputs / "probs.parquet", "--out-format", "csv"
    )
    assert "--executor: only for a store" in refused(
        "consensus", inputs / "log.parquet", *into, "--executor", "processes:2"
    )
    assert "it must be processes:N, N at least 1, or dask:ADDRESS" in refused(
        "consensus", store, *into, "--executor", "processes:0"
    )
