"""Files that cannot be read are named, whatever is wrong with them and whenever it shows."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.inputs import blame

LOG = pl.DataFrame(
    {
        "example": [k // 2 for k in range(200)],
        "annotator": ["a", "b"] * 100,
        "label": ["x", "y"] * 100,
    }
)
WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    ".parquet": pl.DataFrame.write_parquet,
    ".arrow": pl.DataFrame.write_ipc,
    ".csv": pl.DataFrame.write_csv,
    ".jsonl": pl.DataFrame.write_ndjson,
}
TYPED = [".parquet", ".arrow"]
EAGER: dict[str, Callable[[Any], Any]] = {
    "dawid_skene": lambda log: pc.dawid_skene(log, max_iter=2),
    "median_truth": lambda log: pc.median_truth(log.with_columns(label=pl.lit(1.0))),
    "agreement": pc.agreement,
    "disagreements": pc.disagreements,
}


def written(path: Path, frame: pl.DataFrame = LOG) -> Path:
    WRITERS[path.suffix](frame, path)
    return path


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def of_text(path: Path) -> None:
    path.write_text("example,annotator,label\n1,a,x\n")


@pytest.mark.parametrize("ending", TYPED)
@pytest.mark.parametrize("spoil", [halved, emptied, of_text])
@pytest.mark.parametrize("beside", [False, True])
def test_what_is_no_such_file(
    ending: str, spoil: Callable[[Path], None], beside: bool, tmp_path: Path
) -> None:
    bad = written(tmp_path / f"b{ending}")
    spoil(bad)
    if beside:
        written(tmp_path / f"a{ending}")
    with pytest.raises(pc.AnnotationError) as raised:
        pc.scan_annotations(tmp_path if beside else bad)
    assert str(raised.value).startswith(f"{bad} cannot be read: ")
    assert "Repair it, or leave it out." in str(raised.value)
    assert isinstance(raised.value.__cause__, blame.FOREIGN)


@pytest.mark.parametrize("ending", TYPED)
@pytest.mark.parametrize(
    ("other", "message"),
    [
        (LOG.cast({"example": pl.String}), "column 'example' is String, and Int64 in A."),
        (LOG.drop("label"), "it has no column 'label', which is in A."),
        (LOG.with_columns(more=1), "it has a column 'more', which is not in A."),
    ],
)
@pytest.mark.parametrize("hive", [False, True])
def test_files_that_differ(
    ending: str, other: pl.DataFrame, message: str, hive: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "language=en" if hive else tmp_path
    folder.mkdir(exist_ok=True)
    first, bad = written(folder / f"a{ending}"), written(folder / f"b{ending}", other)
    with pytest.raises(pc.AnnotationError) as raised:
        pc.scan_annotations(tmp_path)
    said = str(raised.value)
    assert said.startswith(f"{bad} does not fit the others: {message.replace('A', str(first))}")


@pytest.mark.parametrize("ending", TYPED)
def test_an_order_of_columns_and_columns_without_values_fit(ending: str, tmp_path: Path) -> None:
    written(tmp_path / f"a{ending}")
    other = LOG.select("label", "example", "annotator").with_columns(pl.col("example") + 1000)
    written(tmp_path / f"b{ending}", other)
    assert pc.scan_annotations(tmp_path).collect().height == 400


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("name", EAGER)
def test_a_file_that_goes_away(ending: str, name: str, tmp_path: Path) -> None:
    log = pc.scan_annotations(written(tmp_path / f"log{ending}"))
    (tmp_path / f"log{ending}").unlink()
    with pytest.raises(pc.AnnotationError, match="cannot be read: No such file") as raised:
        EAGER[name](log)
    assert str(tmp_path / "log") in str(raised.value)
    assert isinstance(raised.value.__cause__, OSError)


@pytest.mark.parametrize("name", EAGER)
def test_rows_that_are_damaged(name: str, tmp_path: Path) -> None:
    written(tmp_path / "a.parquet")
    bad = written(tmp_path / "b.parquet", LOG.with_columns(pl.col("example") + 1000))
    damaged = bytearray(bad.read_bytes())
    damaged[20:120] = b"\xff" * 100
    bad.write_bytes(damaged)
    with pytest.raises(pc.AnnotationError, match=f"{bad} cannot be read: parquet"):
        EAGER[name](pc.scan_annotations(tmp_path))


def test_a_source_that_fails_by_itself() -> None:
    log = LOG.lazy().with_columns(label=pl.col("label").cast(pl.Int64))
    with pytest.raises(
        pc.AnnotationError, match=r"the source cannot be read: conversion from `str`"
    ):
        pc.dawid_skene(log)


@pytest.mark.parametrize("ending", WRITERS)
def test_what_is_no_file(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link, loop = tmp_path / f"link{ending}", tmp_path / f"loop{ending}"
    link.symlink_to(tmp_path / "nowhere")
    loop.symlink_to(loop)
    for path in (link, loop, tmp_path / f"{'n' * 300}{ending}"):
        with pytest.raises(pc.AnnotationError, match="cannot be read: ") as raised:
            pc.scan_annotations(path)
        assert str(raised.value).startswith(str(path))
    secret = written(tmp_path / f"secret{ending}")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(pc.AnnotationError, match=r"secret.* cannot be read: it may not be read"):
        pc.scan_annotations(secret)


def test_an_address_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> pl.LazyFrame:
        raise ConnectionRefusedError("object-store error: nobody there\n\nand more")

    monkeypatch.setattr(pl, "scan_lines", refuse)
    with pytest.raises(
        pc.AnnotationError, match=r"http://x/log\.csv cannot be read: object-store err"
    ):
        pc.scan_annotations("http://x/log.csv")
