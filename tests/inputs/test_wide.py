"""Wide tables from any source: which column is the ids, and of which type the labels are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import polars_crowd as pc
from tests.cli.commands import run

ITEMS = pl.DataFrame({"item": [7, 8, 9], "r1": ["x", "y", "x"], "r2": ["x", None, "y"]})
TEXTS = ITEMS.with_columns(pl.format("i{}", "item").alias("item"))
RATINGS = pl.DataFrame({"item": ["a", "b", "c"], "r1": [1, 2, 2], "r2": [2, None, 1]})
TWO = RATINGS.with_columns(text=pl.Series(["one", "two", "three"]))
TWICE = RATINGS.with_columns(item=pl.Series(["a", "b", "a"]))


def examples(source: Any, **options: Any) -> list[Any]:
    return pc.from_wide(source, **options).collect()["example"].unique().sort().to_list()


def annotators(source: Any, **options: Any) -> list[Any]:
    return pc.from_wide(source, **options).collect()["annotator"].unique().sort().to_list()


@pytest.mark.parametrize("table", [ITEMS, TEXTS, RATINGS], ids=["integers", "texts", "ratings"])
def test_ids_are_found_by_what_they_are(table: pl.DataFrame, tmp_path: Path) -> None:
    table.write_csv(tmp_path / "wide.csv")
    filtered = table.to_pandas().set_axis([4, 5, 8])
    sources = (table, table.lazy(), table.to_arrow(), table.to_pandas(), filtered)
    for source in (*sources, tmp_path / "wide.csv"):
        with pytest.warns(pc.AnnotationWarning, match=r"from column 'item' .*example='NAME'"):
            assert examples(source) == table["item"].to_list()
        assert examples(source, example="item") == table["item"].to_list()
        assert annotators(source, example="item") == ["r1", "r2"]


def test_what_says_the_ids_needs_no_warning() -> None:
    named = ITEMS.rename({"item": "example"})
    assert examples(named) == [7, 8, 9]
    assert examples(ITEMS.to_pandas().set_index("item")) == [7, 8, 9]
    assert examples(ITEMS.drop("item").to_pandas().set_axis(["a", "b", "c"])) == ["a", "b", "c"]
    assert examples(ITEMS.drop("item")) == [0, 1, 2]
    assert examples(ITEMS.select("r1", "r2", example="item"), example=False) == [0, 1, 2]


@pytest.mark.parametrize(
    ("table", "names"), [(TWO, "'item', 'text'"), (TWICE, "'item'")], ids=["two", "twice"]
)
def test_ids_that_are_not_sure_are_asked_for(table: pl.DataFrame, names: str) -> None:
    with pytest.raises(pc.AnnotationError, match=f"may have its examples' ids in {names};"):
        pc.from_wide(table)
    assert annotators(table, example="item", annotators=["r2", "r1"]) == ["r1", "r2"]


def test_columns_that_are_no_labels_are_left_out() -> None:
    log = pc.from_wide(TWO, example="item", annotators=["r1"]).collect()
    assert log.rows() == [("a", "r1", 1), ("b", "r1", 2), ("c", "r1", 2)]


def test_annotators_who_never_agree_are_asked_about_too() -> None:
    with pytest.raises(pc.AnnotationError, match="example=False"):
        pc.from_wide(pl.DataFrame({"a": ["x", "y"], "b": ["z", "w"]}))


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        (["1,2", "2,"], [1, 2, 2]),
        (["1,02", "2,"], ["1", "02", "2"]),
        (["1,", "2,"], [1, 2]),
        (["1,2.5", "2,"], ["1", "2.5", "2"]),
    ],
)
def test_labels_of_a_text_file_have_one_type(
    rows: list[str], labels: list[Any], tmp_path: Path
) -> None:
    lines = ["item,r1,r2", *(f"i{k},{row}" for k, row in enumerate(rows))]
    (tmp_path / "wide.csv").write_text("\n".join(lines))
    log = pc.from_wide(tmp_path / "wide.csv", example="item").collect()
    assert log.sort("example", "annotator")["label"].to_list() == labels


def test_what_is_missing_makes_no_text(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text("item,r1,r2\na,1,NA\nb,NA,2\n")
    log = pc.from_wide(tmp_path / "wide.csv", example="item", missing=["NA"]).collect()
    assert log.sort("example")["label"].to_list() == [1, 2]
    with pytest.warns(pc.AnnotationWarning, match="'n/a': no row has this label"):
        pc.from_wide(tmp_path / "wide.csv", example="item", missing=["NA", "n/a"])


def test_wide_files_are_read_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_bytes("# made today\nid;r1;r2\n1;né;né\n".encode("latin-1"))
    how: dict[str, Any] = {"separator": ";", "comment": "#", "encoding": "latin-1"}
    assert pc.from_wide(tmp_path / "wide.csv", example="id", **how).collect()[
        "label"
    ].to_list() == [
        "né",
        "né",
    ]


@pytest.mark.parametrize(
    "source",
    [
        pd.DataFrame([["a", 1, 2]], columns=["item", "r", "r"]),
        "item,r,r\na,1,2\n",
    ],
    ids=["pandas", "text"],
)
def test_columns_that_are_there_twice(source: Any, tmp_path: Path) -> None:
    if isinstance(source, str):
        (tmp_path / "wide.csv").write_text(source)
        source = tmp_path / "wide.csv"
    with pytest.raises(pc.AnnotationError, match="several columns are named 'r'"):
        pc.from_wide(source, example="item")


@pytest.mark.parametrize(
    ("table", "options", "words"),
    [
        (ITEMS, {"example": "itm"}, "no column 'itm'; its columns are 'item'"),
        (
            ITEMS.with_columns(r2=pl.Series([True, False, None])),
            {"example": "item"},
            "'r2' Boolean",
        ),
        (np.zeros((2, 2)), {"separator": ";"}, "it is about text files"),
    ],
)
def test_what_cannot_be_a_wide_log(table: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pc.from_wide(table, **options)


# --- the command -----------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> str:
    TWO.write_csv(tmp_path / "wide.csv")
    return str(tmp_path / "wide.csv")


def test_the_command_reads_wide_files(file: str, tmp_path: Path) -> None:
    options = (file, "--wide", "--id", "item", "--annotator", "r1,r2")
    log = pc.from_wide(TWO, example="item", annotators=["r1", "r2"])
    found = run("agreement", *options, "--format", "csv")
    table = pl.read_csv(found.stdout.encode())
    assert table["value"].to_list() == pytest.approx(pc.agreement(log)["value"].to_list())
    assert run("consensus", *options, "--into", tmp_path / "out").exit_code == 0
    assert run("store", "create", tmp_path / "store", *options).exit_code == 0
    stored = pc.AnnotationStore.open(tmp_path / "store").scan_annotations().collect()
    assert stored.sort("example", "annotator").equals(log.collect().sort("example", "annotator"))
    assert run("check", *options).exit_code == 0


def test_the_command_says_and_asks(file: str) -> None:
    asked = run("agreement", file, "--wide")
    assert asked.exit_code == 2
    assert "--example NAME, or --example - for none" in asked.stderr
    found = run("agreement", file, "--wide", "--annotator", "r1,r2", "--id", "-")
    assert (found.exit_code, found.stderr) == (0, "")
    wrong = run("agreement", file, "--wide", "--label", "text")
    assert "--label: not with --wide" in " ".join(wrong.stderr.replace("│", " ").split())


def test_an_annotator_cannot_have_the_name_of_the_column_of_ids() -> None:
    log = pl.DataFrame({"example": [1, 1], "annotator": ["example", "b"], "label": ["x", "y"]})
    with pytest.raises(pc.AnnotationError, match="an annotator called 'example'"):
        pc.to_wide(log)
