"""Text files: what is written is what is read, whatever the separator, the quotes and the encoding."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import polars_crowd as pc
from polars_crowd.inputs.blocks import look_at_blocks
from polars_crowd.inputs.records import (
    Form,
    Written,
    is_integer,
    lines_of,
    look_at_records,
    records,
)
from polars_crowd.inputs.streams import spooled
from polars_crowd.inputs.text import Reading

LOG = pl.DataFrame({"example": ["1", "1"], "annotator": ["a", "b"], "label": ["x", "y"]})
NAMES = ("example", "annotator", "label")

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufeff"),
    min_size=1,
    max_size=8,
) | st.sampled_from(
    ["007", "7", "-1", "+1", "3.0", '"', '""', "\n", ",;\t|", "a\rb", "#", " ", "9" * 21]
)
INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 30)


def written_log(columns: Any) -> Any:
    return st.lists(st.tuples(columns, columns, columns), min_size=1, max_size=12)


def as_csv(rows: list[Any], separator: str, quoting: Any, line_end: str) -> str:
    out = io.StringIO()
    if any("\r" in str(value) for row in rows for value in row):
        quoting = (
            csv.QUOTE_ALL
        )  # else Python writes a return bare, as if it belonged to the line end
    writer = csv.writer(out, delimiter=separator, quoting=quoting, lineterminator=line_end)
    writer.writerows([NAMES, *rows])
    return out.getvalue()


def typed(rows: list[Any]) -> pl.DataFrame:
    """The rows after the rule of types."""
    columns = {}
    for name, values in zip(NAMES, zip(*rows, strict=True), strict=True):
        texts = [str(value) for value in values]
        whole = all(map(is_integer, texts))
        columns[name] = pl.Series([int(t) for t in texts] if whole else texts)
    return pl.DataFrame(columns)


def read(data: bytes, ending: str = ".csv", **options: Any) -> pl.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"log{ending}"
        path.write_bytes(data)
        return pc.scan_annotations(path, **options).collect()


# --- there and back --------------------------------------------------------------------------------


@given(
    written_log(TEXTS | INTEGERS),
    st.sampled_from(",;\t|:"),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"]),
    st.booleans(),
)
def test_any_log_comes_back_the_same(
    rows: list[Any], separator: str, quoting: Any, line_end: str, encoding: str, packed: bool
) -> None:
    data = as_csv(rows, separator, quoting, line_end).encode(encoding)
    options = {} if encoding.startswith("utf-8") else {"encoding": encoding}
    if packed:
        data = gzip.compress(data)
    found = read(data, ".csv.gz" if packed else ".csv", separator=separator, **options)
    assert_frame_equal(found, typed(rows))


@given(written_log(st.text(st.characters(codec="cp1252"), min_size=1, max_size=5)))
def test_any_western_log_comes_back_the_same(rows: list[Any]) -> None:
    data = as_csv(rows, ";", csv.QUOTE_ALL, "\r\n").encode("cp1252")
    assert_frame_equal(read(data, separator=";", encoding="windows-1252"), typed(rows))


@given(written_log(st.text(st.characters(codec="ascii", exclude_characters="\r\n\0"), min_size=1)))
def test_any_log_of_old_line_ends_comes_back_the_same(rows: list[Any]) -> None:
    data = as_csv(rows, ",", csv.QUOTE_ALL, "\r").encode()
    assert_frame_equal(read(data, separator=","), typed(rows))


@given(
    st.lists(
        st.tuples(INTEGERS, TEXTS, st.none() | st.sampled_from(["x", "y", "07"])),
        min_size=1,
        max_size=9,
    )
)
def test_a_parquet_log_equals_its_csv(rows: list[Any]) -> None:
    log = pl.DataFrame(
        rows, {"example": pl.Int64, "annotator": pl.String, "label": pl.String}, orient="row"
    )
    if all(map(is_integer, log["annotator"])):
        log = log.with_columns(pl.col("annotator").cast(pl.Int64))
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("csv", "parquet"):
            getattr(log, f"write_{ending}")(f"{folder}/log.{ending}")
        of_csv, of_parquet = (
            pc.scan_annotations(f"{folder}/log.{ending}").collect() for ending in ("csv", "parquet")
        )
    assert_frame_equal(of_csv, of_parquet)


# --- blocks and records ----------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        ",",
        ",",
        "\n",
        "\n",
        '"',
        '""',
        "\r\n",
        "\r",
        "7",
        "-7",
        "07",
        "x",
        "9" * 19,
        "é",
        "#",
        '"a"',
        ",1\n",
        "\n\n",
    ]
)


@given(
    st.lists(PIECES, max_size=40).map("".join),
    st.integers(1, 3),
    st.sampled_from(['"', None]),
    st.sampled_from([None, "#"]),
)
def test_blocks_say_what_records_say(
    text: str, width: int, quote: str | None, comment: str | None
) -> None:
    form = Form(",", quote, "\n", comment)
    data = text.encode()
    quick = look_at_blocks(io.BytesIO(data), form, width)
    if quick is not None:
        assert quick == slow(data, form, width)


@given(st.lists(st.lists(TEXTS | INTEGERS, min_size=2, max_size=2), min_size=1, max_size=9))
def test_plain_blocks_need_no_second_look(rows: list[Any]) -> None:
    text = as_csv(rows, ",", csv.QUOTE_MINIMAL, "\n").partition("\n")[2]
    text = text.replace("\r", "\r\n")  # others are looked at once more
    quick = look_at_blocks(io.BytesIO(text.encode()), Form(","), 2)
    assert quick == slow(text.encode(), Form(","), 2)


DIGITS = st.sampled_from(
    ["0", "7", "07", "00", "-1", "-0", "", "12", "9" * 18, "9" * 19, "9" * 20, str(2**63 - 1)]
)


@given(st.lists(st.tuples(DIGITS, DIGITS), min_size=1, max_size=30), st.integers(1, 60))
def test_integers_in_blocks_are_those_of_records(rows: list[Any], size: int) -> None:
    data = "".join(f"{one},{other}\n" for one, other in [("1", "2"), *rows]).encode()
    with patch("polars_crowd.inputs.blocks.BLOCK", size):
        assert look_at_blocks(io.BytesIO(data), Form(","), 2) == slow(data, Form(","), 2)


def slow(data: bytes, form: Form, width: int) -> Written:
    lines = lines_of(io.BytesIO(data), form, "log.csv")
    return look_at_records(records(lines, form), form, tuple(map(str, range(width))), "log.csv")


FIELDS = st.sampled_from(
    [
        "",
        '""',
        "x",
        "7",
        '"7"',
        "-0",
        "é",
        ' "a"',
        "a b",
        '"a\nb"',
        '"a, ""b"""',
        "#",
        '"#\n#"',
        "\r",
        "x\ry",
        '"\r\n"',
    ]
)
RECORDS = st.one_of(
    st.tuples(FIELDS, FIELDS, FIELDS).map(",".join),
    st.sampled_from(["", "# a comment", '# "odd', ",,"]),
)


@given(
    st.lists(RECORDS, max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(['"', None]),
    st.booleans(),
)
def test_tables_are_read_as_records_say(
    lines: list[str], line_end: str, quote: str | None, ended: bool
) -> None:
    text = line_end.join([",".join(NAMES), *lines]) + (line_end if ended else "")
    form = Form(",", quote, "\n", "#")
    given = [r.text for r in records(lines_of(io.BytesIO(text.encode()), form, ""), form) if r.text]
    rows = [form.values(record) for record in given[1:]]
    if any(row is None or len(row) != 3 for row in rows):
        with pytest.raises(pc.AnnotationError):
            read(text.encode(), separator=",", quote=quote, comment="#")
        return
    labelled = [row for row in rows if row and row[2]]
    found = read(text.encode(), separator=",", quote=quote, comment="#")
    assert found.rows() == typed_rows(labelled, [row for row in rows if row])


def typed_rows(labelled: list[list[str]], rows: list[list[str]]) -> list[tuple[Any, ...]]:
    whole = [all(is_integer(row[k]) for row in rows if row[k]) for k in range(3)]
    return [
        tuple(
            None if not value else int(value) if whole[k] else value for k, value in enumerate(row)
        )
        for row in labelled
    ]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr("polars_crowd.inputs.blocks.BLOCK", size)
    data = b'1,-2\r\n\r\n3,"x\n\ny"\n"",5'
    found = look_at_blocks(io.BytesIO(data), Form(","), 2)
    assert found == Written([True, False], [True, True], quoted=True, blank=True)


@pytest.mark.parametrize("kind", ["comment", "quoted"])
def test_files_of_many_blocks(kind: str, tmp_path: Path) -> None:
    rows = 60_000
    label = '"a, ""b""\nc"' if kind == "quoted" else "x"
    lines = [
        f"{i // 2},w{i % 2},{label}\n" + ('# "odd\n' if i % 7 == 0 and kind == "comment" else "")
        for i in range(rows)
    ]
    path = tmp_path / "log.csv"
    path.write_text("example,annotator,label\n" + "".join(lines), encoding="utf-8")
    found = pc.scan_annotations(path, comment="#" if kind == "comment" else None).collect()
    assert found.height == rows
    assert found["label"].unique().to_list() == ['a, "b"\nc' if kind == "quoted" else "x"]
    assert found["example"].dtype == pl.Int64
    with path.open("a", encoding="utf-8") as file:
        file.write("1,2\n")
    with pytest.raises(
        pc.AnnotationError, match=r"1 row without exactly 3 fields[^\n]*\n  line \d+, 2 fields"
    ):
        pc.scan_annotations(path, comment="#" if kind == "comment" else None)


# --- what is found out, and said -------------------------------------------------------------------


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_separator_is_found_and_said(separator: str) -> None:
    data = LOG.write_csv(separator=separator).encode()
    with pytest.warns(pc.AnnotationWarning, match=r"the separator is .*separator=") as told:
        found = read(data)
    assert Path(told[0].filename) == Path(__file__)
    assert found["label"].to_list() == ["x", "y"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_frame_equal(read(data, separator=separator), found)


def test_tabs_of_tsv_and_commas_need_no_word() -> None:
    assert read(LOG.write_csv(separator="\t").encode(), ".tsv").height == 2
    assert read(b"example,annotator,label,a;b\n1,a,x,y\n").height == 1


def test_a_separator_that_may_be_any() -> None:
    with pytest.raises(pc.AnnotationError, match=r"separated by any of ',', ';'. Say by which"):
        read(b"example,annotator;label\n")


def test_a_separator_that_is_not_among_the_usual() -> None:
    with pytest.raises(
        pc.AnnotationError, match=r"no column 'example'.*say what separates: separator="
    ):
        read(b"example:annotator:label\n1:a:x\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": "::"}, "separator='::'; it must be a single ASCII character"),
        ({"quote": "«"}, "quote='«'; it must be a single ASCII character"),
        ({"comment": ""}, "comment=''; it must say how a comment begins"),
        ({"columns": ["a"]}, "it names the columns of a file without a header"),
        ({"encoding": "klingon"}, "encoding='klingon'; Python knows no encoding of this name"),
        ({"encoding": "ascii"}, "log.csv is not written in ascii: near byte 28"),
        ({"sheet": "log"}, "sheet='log'; it is about Excel files"),
        ({"decimal_comma": True}, "decimal_comma=True; it is about labels that are numbers"),
        ({"label_type": "class"}, "label_type='class'; it must be one of 'number'"),
        ({"has_header": False, "columns": ["a", "b"]}, "without exactly 2 fields"),
        ({"has_header": False, "columns": ["a", "b", "b"]}, "several columns are named 'b'"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read("example,annotator,label\n1,a,é\n".encode(), **options)


@pytest.mark.parametrize(
    "option", [{"separator": ","}, {"encoding": "utf-16"}, {"sheet": 1}, {"has_header": False}]
)
def test_options_need_a_file_that_they_are_about(option: dict[str, Any], tmp_path: Path) -> None:
    LOG.write_parquet(tmp_path / "log.parquet")
    for source in (LOG, tmp_path / "log.parquet"):
        with pytest.raises(ValueError, match="it is about"):
            pc.scan_annotations(source, **option)
    with pytest.raises(ValueError, match="decimal_comma=True; it has no effect"):
        pc.scan_annotations(LOG.with_columns(label=1), label_type="number", decimal_comma=True)


def test_only_options_that_differ_are_given() -> None:
    assert Reading(quote='"').given == {}
    assert Reading(separator=";").given == {"separator": ";"}


# --- several files ---------------------------------------------------------------------------------


def test_one_rule_for_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("example,annotator,label\n1,1,0\n2,2,1\n")
    (tmp_path / "b.csv").write_text('note,label,annotator,example\n"a, b",.5,3,img_7\n')
    (tmp_path / "c.csv").write_text("example,annotator,label\n,4,\n")
    files = sorted(tmp_path.glob("*.csv"))
    for source in (tmp_path, f"{tmp_path}/*.csv", files):
        found = pc.scan_annotations(source).collect()
        assert found.rows() == [
            ("1", 1, "0", None),
            ("2", 2, "1", None),
            ("img_7", 3, ".5", "a, b"),
        ]
    numbers = pc.scan_annotations(tmp_path, label_type="number").collect()
    assert numbers["label"].to_list() == [0.0, 1.0, 0.5]


def test_a_file_without_a_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("example,annotator,label\n1,1,0\n")
    (tmp_path / "b.csv").write_text("example,annotator,Label\n1,2,0\n")
    with pytest.raises(pc.AnnotationError, match=r"file .*b\.csv has no column 'label'"):
        pc.scan_annotations(tmp_path)


def test_text_beside_frames(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("example,annotator,label\n7,1,0\n")
    text = LOG.with_columns(label=pl.lit(1))
    assert pc.scan_annotations([tmp_path / "a.csv", text]).collect()["example"].to_list() == [
        "7",
        "1",
        "1",
    ]
    integers = text.with_columns(example=pl.lit(3), annotator=pl.lit(2))
    found = pc.scan_annotations([tmp_path / "a.csv", integers]).collect()
    assert found.rows() == [(7, 1, 0), (3, 2, 1), (3, 2, 1)]


def test_directories_may_hold_text(tmp_path: Path) -> None:
    for part in ("007", "7"):
        (tmp_path / f"example={part}").mkdir()
        (tmp_path / f"example={part}" / "part.csv").write_text("annotator,label\n1,2\n")
    found = pc.scan_annotations(tmp_path).collect()
    assert found.rows() == [("007", 1, 2), ("7", 1, 2)]


def test_a_file_that_changes_is_looked_through_again(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("example,annotator,label\n1,1,0\n")
    assert pc.scan_annotations(path).collect()["example"].dtype == pl.Int64
    path.write_text("example,annotator,label\nimg,1,0\n")
    assert pc.scan_annotations(path).collect()["example"].to_list() == ["img"]


def test_a_stream_is_kept() -> None:
    stream = io.BytesIO(LOG.write_csv().encode())
    log = pc.scan_annotations(spooled(stream, ".csv"))
    assert log.collect().height == log.collect().height == 2


# --- numbers ---------------------------------------------------------------------------------------


def test_labels_that_are_numbers() -> None:
    data = b"example,annotator,label\n1,a,2\n1,b,2.50\n2,a,-1e3\n2,b,\n"
    assert read(data)["label"].to_list() == ["2", "2.50", "-1e3"]
    assert read(data, label_type="number")["label"].to_list() == [2.0, 2.5, -1000.0]
    whole = LOG.with_columns(label=pl.Series([1, 2]))
    assert pc.scan_annotations(whole, label_type="number").collect()["label"].dtype == pl.Float64
    with pytest.raises(
        pc.AnnotationError, match="column 'label' of the log is Boolean, and numbers are needed"
    ):
        pc.scan_annotations(LOG.with_columns(label=True), label_type="number")


def test_every_value_that_is_no_number_is_named() -> None:
    data = b"example,annotator,label\n1,a,2\n1,b,NA\n2,a,nan\n2,b,NA\n"
    with pytest.raises(
        pc.AnnotationError, match=r"3 values .*\n.*'NA' \(2 rows\), 'nan' \(1 row\)\nCorrect them"
    ):
        read(data, label_type="number")
    with pytest.raises(
        pc.AnnotationError, match=r"'3,5' \(1 row\)\nIf the comma is a decimal comma: decimal_comma"
    ):
        read(b"example;annotator;label\n1;a;3,5\n", separator=";", label_type="number")


def test_probabilities_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "probs.csv"
    path.write_text("example;x;y\n1;0,25;0,75\n2;1;0\n")
    found: Any = pc.scan_pred_probs(path, separator=";", decimal_comma=True)
    assert found.collect().rows() == [(1, 0.25, 0.75), (2, 1.0, 0.0)]
    with pytest.raises(
        pc.AnnotationError,
        match=r"probs\.csv\): 2 values .*\n  column 'x': '0,25' .*\n  column 'y'",
    ):
        pc.scan_pred_probs(path, separator=";")
    path.write_text("example,x,y,note\n1,.25,.75,fine\n")
    with pytest.raises(
        pc.AnnotationError, match=r"column 'note': 'fine'.*\n.*say which columns are classes"
    ):
        pc.scan_pred_probs(path)
    found = pc.scan_pred_probs(path, classes=["y", "x"])
    assert found.collect().rows() == [(1, 0.75, 0.25)]
    path.write_text("example,label,probability\n1,x,.25\n1,y,.75\n")
    found = pc.scan_pred_probs(path)
    assert found.collect().rows() == [(1, 0.25, 0.75)]
