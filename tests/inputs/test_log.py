"""The door: every source becomes the same lazy log, and leaves the caller's frames as they were."""

from __future__ import annotations

import datetime as dt
import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import polars_crowd as pc

LOG = pl.DataFrame(
    {
        "example": [1, 1, 2, 3],
        "annotator": ["a", "b", "a", "b"],
        "label": ["cat", "dog", "cat", "dog"],
        "seconds": [1.5, 2.5, 3.5, 4.5],
    }
)
ENDINGS = ("parquet", "pq", "csv", "tsv", "ndjson", "jsonl", "arrow", "ipc", "feather")
WRITTEN_AS_TEXT = ("csv", "tsv")
"""Files that do not say types: 1.5 is text there, until somebody asks for numbers."""
WRITERS = {"pq": "parquet", "jsonl": "ndjson", "arrow": "ipc", "feather": "ipc"}


def written(folder: Path, ending: str, frame: pl.DataFrame = LOG) -> Path:
    path = folder / f"log.{ending}"
    if ending == "tsv":
        frame.write_csv(path, separator="\t")
    else:
        getattr(frame, f"write_{WRITERS.get(ending, ending)}")(path)
    return path


def as_read(ending: str, frame: pl.DataFrame = LOG) -> pl.DataFrame:
    seconds = pl.String if ending in WRITTEN_AS_TEXT else pl.Float64
    return frame.with_columns(pl.col("seconds").cast(seconds))


def read(source: Any, **names: Any) -> pl.DataFrame:
    log = pc.scan_annotations(source, **names)
    assert isinstance(log, pl.LazyFrame)
    return log.collect()


# --- frames ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "convert",
    [
        pl.DataFrame.lazy,
        pl.DataFrame.clone,
        pl.DataFrame.to_arrow,
        pl.DataFrame.to_pandas,
        lambda frame: frame.to_arrow().to_reader(),
        lambda frame: frame.to_pandas().set_index("example"),
        lambda frame: frame.to_pandas().set_index(["example", "annotator"]),
        lambda frame: [frame.head(1), frame.lazy().slice(1, 1), frame.slice(2).to_arrow()],
        lambda frame: (frame.head(3).to_pandas(), frame.tail(1)),
        lambda frame: [[frame.head(1), frame.slice(1, 1)], frame.slice(2)],
    ],
)
def test_frames_in_memory(convert: Callable[[pl.DataFrame], Any]) -> None:
    assert_frame_equal(read(convert(LOG)), LOG)


def test_a_duckdb_relation() -> None:
    frame = LOG  # noqa: F841, DuckDB reads it by name
    assert_frame_equal(read(duckdb.sql("select * from frame")), LOG)


def test_what_is_no_source() -> None:
    message = "the log is a dict; give a Polars frame, a path, an object with __arrow_c_stream__"
    with pytest.raises(TypeError, match=message):
        pc.scan_annotations({"example": [1]})


# --- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("as_path", [str, Path])
def test_files(tmp_path: Path, ending: str, as_path: Callable[[Path], Any]) -> None:
    assert_frame_equal(read(as_path(written(tmp_path, ending))), as_read(ending))


@pytest.mark.parametrize("ending", ["csv", "tsv", "ndjson", "jsonl"])
def test_compressed_text(tmp_path: Path, ending: str) -> None:
    plain = written(tmp_path, ending)
    packed = tmp_path / f"packed.{ending}.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert_frame_equal(read(packed), as_read(ending))


@pytest.mark.parametrize("ending", ["parquet", "csv", "ndjson", "arrow"])
def test_globs_directories_and_lists(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "logs"
    (folder / "deep").mkdir(parents=True)
    files = [written(folder, ending), written(folder / "deep", ending)]
    log = as_read(ending)
    both = pl.concat([log, log]).sort(pl.all())
    (folder / "_SUCCESS").touch()
    (folder / "notes.txt").write_text("not a log")
    for source in (folder, f"{folder}/**/*.{ending}", files, [str(file) for file in files]):
        assert_frame_equal(read(source).sort(pl.all()), both)
    assert_frame_equal(read(f"{folder}/*.{ending}"), log)
    assert_frame_equal(read([files[0], log.lazy()]).sort(pl.all()), both)


@pytest.mark.parametrize("ending", ["parquet", "csv", "tsv", "ndjson", "arrow"])
@pytest.mark.parametrize("root", ["logs", "run=3/logs"])
def test_hive_partitions_become_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, root: str
) -> None:
    for language, year, part in (("en", 2024, LOG[:2]), ("d%20e", 2025, LOG[2:])):
        folder = tmp_path / root / f"language={language}" / f"year={year}"
        folder.mkdir(parents=True)
        written(folder, ending, part)
    expected = as_read(ending).with_columns(
        language=pl.Series(["en", "en", "d e", "d e"]),
        year=pl.Series([2024, 2024, 2025, 2025], dtype=pl.Int64),
    )
    assert_frame_equal(read(tmp_path / root).sort("example", "annotator"), expected)
    monkeypatch.chdir(tmp_path)
    assert_frame_equal(read(root).sort("example", "annotator"), expected)


def test_a_hive_partition_may_hold_the_label(tmp_path: Path) -> None:
    for (label,), part in LOG.partition_by("label", as_dict=True).items():
        (tmp_path / f"label={label}").mkdir()
        part.drop("label").write_csv(tmp_path / f"label={label}" / "part.csv")
    assert_frame_equal(read(tmp_path).sort("example", "annotator"), as_read("csv"))


def test_missing_and_unknown_files(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path / "*.csv"):
        message = re.escape(f"the log: no file at {str(path)!r}.")
        with pytest.raises(FileNotFoundError, match=message):
            pc.scan_annotations(path)
    (tmp_path / "log.doc").touch()
    message = r"the log: '.*log\.doc' ends in '\.doc'; known endings are \.parquet, .*\.feather"
    with pytest.raises(pc.AnnotationError, match=message):
        pc.scan_annotations(tmp_path / "log.doc")
    with pytest.raises(pc.AnnotationError, match=r"holds '\.doc'; it must hold files of one kind"):
        pc.scan_annotations(tmp_path)
    LOG.write_csv(tmp_path / "log.csv")
    LOG.write_parquet(tmp_path / "log.parquet")
    with pytest.raises(pc.AnnotationError, match=r"holds '\.csv', '\.doc', '\.parquet'; it must"):
        pc.scan_annotations(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(pc.AnnotationError, match="holds no files; it must hold"):
        pc.scan_annotations(tmp_path / "empty")


# --- columns ---------------------------------------------------------------------------------------


def test_columns_are_renamed_and_others_travel_along() -> None:
    names = {"example": "task", "annotator": "worker", "label": "answer"}
    raw = LOG.rename(names).select("seconds", "answer", "worker", "task")
    assert_frame_equal(read(raw, **names), LOG)
    assert read(raw.rename({"seconds": "time"}), **names).columns[3] == "time"


def test_names_may_be_swapped() -> None:
    swapped = LOG.rename({"example": "annotator", "annotator": "example"})
    assert_frame_equal(read(swapped, example="annotator", annotator="example"), LOG)


def test_the_callers_frame_is_left_alone() -> None:
    frame = LOG.clone()
    table = LOG.to_pandas()
    pc.scan_annotations(frame.rename({"label": "answer"}), label="answer").collect()
    read(frame)
    read(table)
    assert_frame_equal(frame, LOG)
    pd.testing.assert_frame_equal(table, LOG.to_pandas())


def test_scanning_reads_only_a_schema(tmp_path: Path) -> None:
    """Neither a file that goes away nor a query that fails is an error before it is collected."""
    path = tmp_path / "log.parquet"
    LOG.write_parquet(path)
    log = pc.scan_annotations([path, LOG])
    path.unlink()
    with pytest.raises(FileNotFoundError):
        log.collect()

    def fail(frame: pl.DataFrame) -> pl.DataFrame:
        raise AssertionError("rows were read")

    unread = LOG.lazy().map_batches(fail, schema=LOG.schema)
    pc.scan_annotations(unread)
    pc.scan_annotations([unread, LOG])
    unread.crowd.majority_vote()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("frame", "names", "message"),
    [
        (
            LOG.rename({"annotator": "worker"}),
            {},
            "the log has no column 'annotator'; its columns are 'example', 'worker', 'label', "
            "'seconds'. Say which columns they are: "
            "pc.scan_annotations(log, example=..., annotator=..., label=...).",
        ),
        (LOG, {"label": "answer"}, "the log has no column 'answer'; its columns are 'example'"),
        (
            LOG.rename({"seconds": "task"}),
            {"example": "task"},
            "the log has a column 'example' beside 'task', which is to become 'example'. "
            "Drop or rename one of them.",
        ),
        (
            LOG,
            {"annotator": "example"},
            "example, annotator and label must be three columns, not example='example', "
            "annotator='example', label='label'.",
        ),
        (
            LOG.with_columns(pl.col("example").cast(pl.Float64)),
            {},
            "column 'example' of the log is Float64, which cannot be the example. "
            "Cast it to a string or an integer first.",
        ),
        (
            LOG.with_columns(label=pl.concat_list("label")),
            {},
            "the labels in column 'label' of the log are sets of classes, which this is not for",
        ),
        (
            LOG.with_columns(annotator=pl.struct("annotator")),
            {},
            "column 'annotator' of the log is Struct({'annotator': String}), which cannot be the",
        ),
    ],
)
def test_columns_that_cannot_be(frame: pl.DataFrame, names: dict[str, Any], message: str) -> None:
    with pytest.raises(pc.AnnotationError, match=re.escape(message)):
        pc.scan_annotations(frame, **names)


@pytest.mark.parametrize(
    "label",
    [
        pl.Series(["x", None, "y", None]),
        pl.Series([1, None, 2, None]),
        pl.Series([1.0, float("nan"), 2.0, None]),
        pl.Series([True, None, False, None]),
        pl.Series([dt.date(2024, 1, 1), None, dt.date(2024, 1, 2), None]),
        pl.Series(["x", None, "y", None], dtype=pl.Categorical),
        pl.Series(["x", None, "y", None], dtype=pl.Enum(["y", "x"])),
    ],
)
def test_rows_without_a_label_are_no_annotations(label: pl.Series) -> None:
    found = read(LOG.with_columns(label=label))
    assert found["label"].equals(label.gather([0, 2]))
    assert found["label"].dtype == label.dtype
    assert found["example"].to_list() == [1, 2]


# --- lists -----------------------------------------------------------------------------------------


def test_parts_of_a_log_may_differ_in_other_columns() -> None:
    other = LOG.select("label", "annotator", "example", note=pl.lit("n"))
    found = read([LOG, other])
    assert found.columns == ["example", "annotator", "label", "seconds", "note"]
    assert found["seconds"].null_count() == found["note"].null_count() == LOG.height
    assert_frame_equal(found.select("example", "annotator", "label")[4:], LOG.drop("seconds"))


@pytest.mark.parametrize(
    ("left", "right", "common"),
    [
        (pl.Int16, pl.Int32, pl.Int64),
        (pl.UInt8, pl.Int64, pl.Int64),
        (pl.UInt32, pl.UInt64, pl.UInt64),
        (pl.String, pl.Categorical, pl.String),
        (pl.Enum(["1", "2", "3"]), pl.Enum(["3", "2", "1"]), pl.String),
        (pl.Enum(["1", "2", "3"]), pl.Enum(["1", "2", "3"]), pl.Enum(["1", "2", "3"])),
    ],
)
def test_ids_of_a_kind_go_together(left: Any, right: Any, common: Any) -> None:
    text = LOG.with_columns(pl.col("example").cast(pl.String))
    parts = [(text if dtype in (pl.String, pl.Categorical) else LOG) for dtype in (left, right)]
    if isinstance(left, pl.Enum):
        parts = [text, text]
    typed = [
        part.with_columns(pl.col("example").cast(dtype))
        for part, dtype in zip(parts, (left, right), strict=True)
    ]
    found = read(typed)["example"]
    assert found.dtype == common
    assert found.cast(pl.String).to_list() == ["1", "1", "2", "3"] * 2


def test_parts_with_ids_of_different_kinds() -> None:
    text = LOG.with_columns(pl.col("example").cast(pl.String))
    message = (
        "column 'example' of the log is Int64 in one part and String in another. "
        "Cast it to one type, so that equal values are equal everywhere."
    )
    with pytest.raises(pc.AnnotationError, match=message):
        pc.scan_annotations([LOG, text])
    huge = LOG.with_columns(pl.col("example").cast(pl.UInt64))
    with pytest.raises(pc.AnnotationError, match="is Int64 in one part and UInt64 in another"):
        pc.scan_annotations([LOG, huge])


def test_parts_that_do_not_fit_and_no_parts() -> None:
    nested = LOG.with_columns(seconds=pl.lit(b""))
    message = r"the 2 parts of the log do not fit together: .*Cast or drop the columns that differ"
    with pytest.raises(pc.AnnotationError, match=message):
        pc.scan_annotations([LOG, nested])
    with pytest.raises(pc.AnnotationError, match="the log is an empty list; give at least one"):
        pc.scan_annotations([])
    with pytest.raises(pc.AnnotationError, match="no column 'label'; its columns are"):
        pc.scan_annotations([LOG, LOG.drop("label")])


def test_a_part_without_labels_goes_with_any() -> None:
    found = read([LOG, LOG.with_columns(label=None)])
    assert_frame_equal(found, LOG)


# --- wide matrices ---------------------------------------------------------------------------------

WIDE = pl.DataFrame({"a": ["x", None, "y"], "b": ["y", "z", None]})
LONG = pl.DataFrame(
    {
        "example": [0, 0, 1, 2],
        "annotator": ["a", "b", "b", "a"],
        "label": ["x", "y", "z", "y"],
    }
)


def sorted_long(matrix: Any, **options: Any) -> pl.DataFrame:
    return pc.from_wide(matrix, **options).collect().sort("example", "annotator")


@pytest.mark.parametrize(
    "matrix",
    [WIDE, WIDE.lazy(), WIDE.to_arrow(), WIDE.to_pandas(), WIDE.to_pandas().fillna(np.nan)],
)
def test_from_wide(matrix: Any) -> None:
    assert_frame_equal(sorted_long(matrix), LONG)


def test_from_wide_of_numpy() -> None:
    text = np.array([["x", "y"], [None, "z"], ["y", np.nan]], dtype=object)
    by_number = LONG.with_columns(annotator=pl.Series([0, 1, 1, 0]))
    assert_frame_equal(sorted_long(text), by_number)
    assert_frame_equal(sorted_long(text, annotators=["a", "b"]), LONG)
    numbers = np.array([[0, 1], [np.nan, 2], [1, np.nan]])
    labels = pl.Series("label", [0, 1, 2, 1])
    assert_frame_equal(sorted_long(numbers), by_number.with_columns(labels))
    whole = np.array([[0, 1], [2, 0]], dtype=np.int8)
    assert sorted_long(whole)["label"].dtype == pl.Int8
    assert sorted_long(whole)["label"].to_list() == [0, 1, 2, 0]


def test_labels_with_fractions_stay_floats() -> None:
    labels = sorted_long(np.array([[0.5, 1], [np.nan, 2]]))["label"]
    assert labels.to_list() == [0.5, 1.0, 2.0]


def test_ids_of_examples_and_annotators() -> None:
    ids = ["e0", "e1", "e2"]
    named = LONG.with_columns(pl.format("e{}", "example").alias("example"))
    assert_frame_equal(sorted_long(WIDE, example=ids), named)
    with_column = WIDE.with_columns(task=pl.Series(ids))
    assert_frame_equal(sorted_long(with_column, example="task"), named)
    assert_frame_equal(sorted_long(with_column.to_pandas(), example="task"), named)
    assert_frame_equal(sorted_long(WIDE.to_pandas().set_axis(ids)), named)
    assert sorted_long(WIDE, annotators=[7, 9])["annotator"].to_list() == [7, 9, 9, 7]
    with pytest.raises(pc.AnnotationError, match="2 columns of labels, but 3 annotators"):
        pc.from_wide(WIDE, annotators=[7, 9, 11])
    with pytest.raises(pc.AnnotationError, match="3 rows of labels, but 2 examples"):
        pc.from_wide(WIDE, example=ids[:2])
    with pytest.raises(pc.AnnotationError, match="the wide log has two dimensions, not 1"):
        pc.from_wide(np.zeros(3))


def test_from_wide_leaves_the_matrix_alone() -> None:
    frame, table, matrix = WIDE.clone(), WIDE.to_pandas(), np.array([[0, np.nan], [1, 1]])
    for source in (frame, table, matrix):
        pc.from_wide(source).collect()
    assert_frame_equal(frame, WIDE)
    pd.testing.assert_frame_equal(table, WIDE.to_pandas())
    np.testing.assert_array_equal(matrix, [[0, np.nan], [1, 1]])


def test_to_wide() -> None:
    expected = WIDE.with_columns(example=pl.Series([0, 1, 2])).select("example", "a", "b")
    assert_frame_equal(pc.to_wide(LONG.sample(fraction=1, shuffle=True, seed=1)), expected)
    integers = LONG.with_columns(annotator=pl.Series([9, 10, 10, 9]))
    assert pc.to_wide(integers).columns == ["example", "9", "10"]
    with pytest.raises(pc.AnnotationError, match="2 rows label an example by the same annotator"):
        pc.to_wide(pl.concat([LONG, LONG.head(1)]))
    for column in ("example", "annotator"):
        lost = LONG.with_columns(pl.when(pl.col("label") != "z").then(column).alias(column))
        with pytest.raises(pc.AnnotationError, match=f"column '{column}' of the log is null in 1"):
            pc.to_wide(lost)


@given(
    st.lists(
        st.lists(st.sampled_from([None, "cat", "dog", "ant"]), min_size=3, max_size=3),
        min_size=1,
        max_size=8,
    )
)
def test_there_and_back(rows: list[list[str | None]]) -> None:
    """Through the log and back, but for rows and columns without a label, whose names are lost."""
    wide = pl.DataFrame(rows, schema=dict.fromkeys(["a", "b", "c"], pl.String), orient="row")
    kept = wide.with_row_index("example").filter(
        pl.any_horizontal(pl.col("a", "b", "c").is_not_null())
    )
    kept = kept.select(s for s in kept if s.null_count() < kept.height)
    for source in (wide, wide.to_pandas(), wide.to_arrow()):
        back = pc.to_wide(pc.from_wide(source, example=False))
        assert back.columns == (kept.columns or ["example"])
        assert back.drop("example").equals(kept.drop("example", strict=False))
