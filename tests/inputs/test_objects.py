"""Python's own values, pandas frames among them; and columns that are there twice, in every format."""

from __future__ import annotations

import datetime as dt
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import polars_crowd as pc

TRIPLES = [("a", 1, "x"), ("a", 2, "y"), ("b", 1, None)]
NAMES = ("example", "annotator", "label")
Row = namedtuple("Row", ["label", "example", "annotator"])


@pytest.mark.filterwarnings("ignore:1 example has no label:polars_crowd.AnnotationWarning")
@pytest.mark.parametrize(
    "source",
    [
        TRIPLES,
        [dict(zip(NAMES, row, strict=True)) for row in TRIPLES],
        [Row(label, example, annotator) for example, annotator, label in TRIPLES],
        [
            {"example": "a", "annotator": 1, "label": "x"},
            {"example": "a", "annotator": 2, "label": "y"},
        ],
    ],
    ids=["triples", "dicts", "named", "whole"],
)
def test_rows_of_python(source: Any) -> None:
    found = pc.scan_annotations(source).select(NAMES).collect()
    assert found.rows() == TRIPLES[:2]
    assert pc.majority_vote(source).collect().height == 1


def test_triples_have_the_names_that_are_said() -> None:
    found = pc.scan_annotations(TRIPLES, example="task", label="answer").collect()
    assert found.columns == list(NAMES)


def test_tuples_that_are_no_triples() -> None:
    with pytest.raises(pc.AnnotationError, match=r"1 row are not \(example, annotator, label\)"):
        pc.scan_annotations([*TRIPLES, ("a", "x")])


MIXED: list[tuple[list[Any], list[Any]]] = [
    (["x", 1, None, "x"], ["x", "1", None, "x"]),
    (["x", 1.5, float("nan"), pd.NA], ["x", "1.5", None, None]),
    ([1, 2, pd.NA, 1], [1, 2, None, 1]),
    ([True, None, False, True], [True, None, False, True]),
]


@pytest.mark.parametrize(("values", "labels"), MIXED)
def test_columns_of_mixed_values(values: list[Any], labels: list[Any]) -> None:
    rows = [(k, "a", value) for k, value in enumerate(values)]
    frame = pd.DataFrame(rows, columns=NAMES).astype({"label": object})
    kept = [label for label in labels if label is not None]
    for source in (frame, rows):
        assert pc.scan_annotations(source).collect()["label"].to_list() == kept


def test_values_that_do_not_go_together() -> None:
    rows = [(1, "a", "x"), (2, "a", True), (3, "a", dt.date(2024, 1, 1))]
    for source in (rows, pd.DataFrame(rows, columns=NAMES)):
        with pytest.raises(
            pc.AnnotationError,
            match="column 'label' of the log holds values of several types, 1 of",
        ):
            pc.scan_annotations(source)


def test_ordered_categories_are_the_order_of_the_classes() -> None:
    order = ["low", "mid", "high"]
    labels = pd.Categorical(["high", "low", "low", "mid"], order, ordered=True)
    frame = pd.DataFrame(
        {"example": [1, 1, 2, 2], "annotator": ["a", "b", "a", "b"], "label": labels}
    )
    log = pc.scan_annotations(frame)
    assert log.collect_schema()["label"] == pl.Enum(order)
    by_order = pc.krippendorff_alpha(frame.astype({"label": str}), level="ordinal", classes=order)
    assert pc.krippendorff_alpha(frame, level="ordinal").equals(by_order)
    plain = frame.astype({"label": "category"}).assign(label=frame["label"].cat.as_unordered())
    assert pc.scan_annotations(plain).collect_schema()["label"] == pl.Categorical()


@pytest.mark.parametrize(
    ("categories", "dtype"), [([1, 2, 3], pl.Int64()), ([3, 1, 2], pl.Enum(["3", "1", "2"]))]
)
def test_ordered_categories_of_numbers(categories: list[int], dtype: pl.DataType) -> None:
    labels = pd.Categorical([1, 2], categories, ordered=True)
    frame = pd.DataFrame({"example": [1, 2], "annotator": ["a", "b"], "label": labels})
    assert pc.scan_annotations(frame).collect_schema()["label"] == dtype


def test_named_categories_are_text_like_others() -> None:
    """Of Polars, of a name of their own."""
    dtype = pl.Categorical(pl.Categories("colours"))
    log = pl.DataFrame(TRIPLES[:2], NAMES, orient="row").with_columns(pl.col("label").cast(dtype))
    vote = pc.majority_vote(log, classes=["y", "x"]).collect()
    assert vote["consensus_label"].to_list() == ["y"]
    assert pc.agreement(log)["num_annotations"].to_list()[0] == 2


# --- columns that are there twice ------------------------------------------------------------------

HEADER = ["example", "annotator", "label", "label"]
TABLE = pa.table([[1], ["a"], ["x"], ["y"]], names=HEADER)


def _arrow(path: Path) -> None:
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, TABLE.schema) as writer:
        writer.write_table(TABLE)


def _excel(path: Path) -> None:
    pytest.importorskip("fastexcel")
    workbook = pytest.importorskip("xlsxwriter").Workbook(path)
    sheet = workbook.add_worksheet()
    sheet.write_row(0, 0, HEADER)
    sheet.write_row(1, 0, [1, "a", "x", "y"])
    workbook.close()


OBJECT = '{"example": 1, "annotator": "a", "label": "x", "label": "y"}'
FORMATS: dict[str, Callable[[Path], Any]] = {
    "csv": lambda path: path.write_text(",".join(HEADER) + "\n1,a,x,y\n"),
    "tsv": lambda path: path.write_text("\t".join(HEADER) + "\n1\ta\tx\ty\n"),
    "json": lambda path: path.write_text(f"[{OBJECT}]"),
    "jsonl": lambda path: path.write_text(f"{OBJECT}\n{OBJECT}\n"),
    "parquet": lambda path: pq.write_table(TABLE, path),
    "arrow": _arrow,
    "xlsx": _excel,
}


@pytest.mark.parametrize("ending", FORMATS)
def test_a_column_that_is_there_twice(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"log.{ending}"
    FORMATS[ending](path)
    with pytest.raises(pc.AnnotationError, match=r"(?s)label.*[Gg]ive each( column)? its own name"):
        pc.scan_annotations(path)


@pytest.mark.parametrize(
    "source",
    [TABLE, pd.DataFrame([[1, "a", "x", "y"]], columns=HEADER)],
    ids=["arrow", "pandas"],
)
def test_a_column_of_a_frame_that_is_there_twice(source: Any) -> None:
    with pytest.raises(pc.AnnotationError, match=r"label"):
        pc.scan_annotations(source)


def test_an_index_that_is_called_like_a_column() -> None:
    frame = pd.DataFrame({"example": [1], "annotator": ["a"], "label": ["x"]})
    with pytest.raises(pc.AnnotationError, match="several columns are named 'label'"):
        pc.scan_annotations(frame.set_index("label", drop=False))
