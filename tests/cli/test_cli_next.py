"""`polars-crowd next` writes and prints what the library ranks first."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import polars_crowd as pc
from polars_crowd.active.votes import vote_scores
from tests.cli.commands import refused, succeeded

DATA = pc.datasets.tutorial()
LOG = DATA.log.filter(pl.col("example") < "200")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("next")
    log, probs = folder / "log.parquet", folder / "probs.parquet"
    LOG.write_parquet(log)
    DATA.pred_probs.write_parquet(probs)
    return log, probs


def batch(size: int, exclude: pl.DataFrame | None = None) -> pl.DataFrame:
    scores = pc.activelab(LOG, DATA.pred_probs).collect()
    return pc.next_batch(scores, size, exclude=exclude)


def test_a_batch_as_parquet_and_as_csv(files: tuple[Path, Path], tmp_path: Path) -> None:
    log, probs = files
    out = tmp_path / "batch.parquet"
    text = succeeded("next", log, "--pred-probs", probs, "--size", "20", "--out", out)
    assert pl.read_parquet(out).equals(batch(20))
    unlabelled = (batch(20)["num_annotations"] == 0).sum()
    assert f"To label next: 20 examples, {unlabelled} of them without a label" in text
    succeeded("next", log, "-p", probs, "--size", "20", "--out", tmp_path / "batch.csv")
    found = pl.read_csv(tmp_path / "batch.csv", schema_overrides={"example": pl.String})
    assert found["example"].equals(batch(20)["example"])


def test_printed(files: tuple[Path, Path]) -> None:
    text = succeeded("next", files[0], "-p", files[1], "--size", "3")
    assert "To label next: 3 examples" in text
    for example in batch(3)["example"]:
        assert example in text


def test_what_is_being_labelled_is_left_out(files: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    common = (files[0], "-p", files[1], "--size", "10")
    succeeded("next", *common, "--out", first)
    succeeded("next", *common, "--exclude", first, "--out", second)
    assert pl.read_parquet(second).equals(batch(10, exclude=batch(10)))


def test_an_ensemble_and_other_names(files: tuple[Path, Path], tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    LOG.rename({"example": "task", "annotator": "worker", "label": "answer"}).write_csv(log)
    probs = tmp_path / "probs.csv"
    DATA.pred_probs.rename({"example": "task"}).write_csv(probs)
    out = tmp_path / "batch.parquet"
    names = ("--example", "task", "--annotator", "worker", "--label", "answer")
    succeeded("next", log, "-p", probs, "-p", probs, *names, "--size", "5", "--out", out)
    first = pl.read_parquet(out)
    assert first.columns == ["task", "num_annotations", "active_learning_score"]
    again = json.loads(
        succeeded(*("next", log, "-p", probs, *names, "--exclude", out, "--format", "json"))
    )
    assert len(again) == 100
    assert not {row["task"] for row in again} & set(first["task"])


def test_without_a_model_it_is_the_votes(files: tuple[Path, Path], tmp_path: Path) -> None:
    text = succeeded("next", files[0], "--size", "4")
    assert text.startswith("No model: ranked by the majority vote, those least agreed on first\n")
    expected = pc.next_batch(vote_scores(LOG).collect(), 4)
    found = json.loads(succeeded("next", files[0], "--size", "4", "--format", "json"))
    assert_frame_equal(pl.DataFrame(found, schema=expected.schema), expected)
    pc.AnnotationStore.create(tmp_path / "store", LOG, partitions=3)
    assert (
        json.loads(succeeded("next", tmp_path / "store", "--size", "4", "--format", "json"))
        == found
    )


def test_a_store(files: tuple[Path, Path], tmp_path: Path) -> None:
    store = tmp_path / "store"
    pc.AnnotationStore.create(store, LOG, DATA.pred_probs, partitions=3)
    out = tmp_path / "batch.parquet"
    succeeded("next", store, "--size", "20", "--out", out)
    assert pl.read_parquet(out)["example"].equals(batch(20)["example"])


def test_label_sets(tmp_path: Path) -> None:
    log = pl.DataFrame(
        {
            "example": [1, 1, 2, 2],
            "annotator": ["a", "b", "a", "b"],
            "label": [["x"], ["x", "y"], [], ["y"]],
        }
    )
    probs = pl.DataFrame({"example": [1, 2, 3], "x": [0.9, 0.2, 0.5], "y": [0.6, 0.4, 0.5]})
    log.write_parquet(tmp_path / "log.parquet")
    probs.write_parquet(tmp_path / "probs.parquet")
    out = tmp_path / "batch.parquet"
    given = (tmp_path / "log.parquet", "-p", tmp_path / "probs.parquet", "--multilabel")
    succeeded("next", *given, "--size", "2", "--out", out)
    expected = pc.next_batch(pc.multilabel_activelab(log, probs).collect(), 2)
    assert pl.read_parquet(out).equals(expected)
    pc.AnnotationStore.create(tmp_path / "store", log, probs, multilabel=True)
    succeeded("next", tmp_path / "store", "--size", "2", "--out", out, "--force")
    assert pl.read_parquet(out).equals(expected)


def test_refusals(files: tuple[Path, Path], tmp_path: Path) -> None:
    log, probs = files
    (tmp_path / "batch.csv").write_text("mine")
    text = refused("next", log, "-p", probs, "--out", tmp_path / "batch.csv")
    assert "batch.csv is there already. Overwrite it with --force" in text
    assert (tmp_path / "batch.csv").read_text() == "mine"
    probs.with_name("other.csv").write_text("id,note\n1,x\n")
    text = refused("next", log, "-p", probs, "--exclude", probs.with_name("other.csv"))
    assert "has no column 'example'" in text
    text = refused("next", log, "-p", probs, "--annotator", "worker")
    assert "no column 'worker'" in text
