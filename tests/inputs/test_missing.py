"""Labels that say that there is none are left out where they are named; spellings become one on request."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_crowd as pc
from polars_crowd.inputs.spelling import alike, spelled
from tests.cli.commands import succeeded

CSV = "example,annotator,label\n1,a,1\n1,b,NA\n2,a,2\n2,b,-1\n3,a,\n"


@pytest.fixture
def scale(tmp_path: Path) -> str:
    """A scale of numbers, some of which are missing in three ways."""
    path = tmp_path / "scale.csv"
    path.write_text(CSV)
    return str(path)


# --- values that are missing ----------------------------------------------------------------------


@pytest.mark.parametrize("missing", [["NA", "-1"], ["NA", -1]])
def test_missing_labels_are_read_like_empty_fields(scale: str, missing: list[Any]) -> None:
    log = pc.scan_annotations(scale, missing=missing).collect()
    assert log.schema["label"] == pl.Int64
    assert log.rows() == [(1, "a", 1), (2, "a", 2)]


def test_what_is_not_missing_decides_the_type(scale: str) -> None:
    assert pc.scan_annotations(scale, missing=["-1"]).collect_schema()["label"] == pl.String
    assert pc.scan_annotations(scale, missing=["NA"]).collect_schema()["label"] == pl.Int64
    every = pc.scan_annotations(scale, missing=["NA", "1", "2", "-1"])
    assert every.collect_schema()["label"] == pl.String
    assert every.collect().is_empty()


FILES = {
    "json": '[{"example":1,"annotator":"a","label":1},{"example":1,"annotator":"b","label":"NA"}]',
    "jsonl": '{"example":1,"annotator":"a","label":1}\n{"example":1,"annotator":"b","label":"NA"}\n',
    "tsv": "example\tannotator\tlabel\n1\ta\t1\n1\tb\tNA\n",
}


@pytest.mark.parametrize("ending", FILES)
def test_missing_labels_of_every_kind_of_file(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"log.{ending}"
    path.write_text(FILES[ending])
    assert pc.scan_annotations(path, missing="NA").collect().rows() == [(1, "a", 1)]


def test_parts_are_settled_together(scale: str, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text("label,annotator,example\n-,c,3\n2,c,2\n")
    both = pc.scan_annotations(
        [scale, str(tmp_path / "more.csv")], missing=["NA", "-", -1]
    ).collect()
    assert both["label"].to_list() == [1, 2, 2]
    typed = pl.DataFrame({"example": [9], "annotator": ["z"], "label": [3]})
    assert pc.scan_annotations([scale, typed], missing=["NA", -1]).collect()["label"].sum() == 6


DTYPES = [
    (pl.Series([1, -1, 2]), [-1]),
    (pl.Series([1, -1, 2]), ["-1"]),
    (pl.Series([1.0, 99.0, 2.0]), [99]),
    (pl.Series(["x", "?", "y"]), ["?"]),
    (pl.Series(["x", "?", "y"], dtype=pl.Categorical), ["?"]),
    (pl.Series(["x", "?", "y"], dtype=pl.Enum(["x", "?", "y"])), ["?"]),
    (pl.Series([True, False, True]), [False]),
]


@pytest.mark.parametrize(("label", "missing"), DTYPES)
def test_missing_labels_of_every_type(label: pl.Series, missing: list[Any]) -> None:
    frame = pl.DataFrame({"example": [1, 2, 3], "annotator": "a", "label": label})
    log = pc.scan_annotations(frame, missing=missing)
    assert log.collect_schema()["label"] == label.dtype
    assert log.collect()["example"].to_list() == [1, 3]
    kept = pc.scan_annotations(frame, missing=missing, keep_missing=True).collect()
    assert kept["label"].is_null().to_list() == [False, True, False]


def test_numbers_with_missing_values(scale: str) -> None:
    log = pc.scan_annotations(scale, missing=["NA", -1], label_type="number")
    assert log.collect()["label"].to_list() == [1.0, 2.0]
    with pytest.raises(pc.AnnotationError, match="'NA' \\(1 row\\)"):
        pc.scan_annotations(scale, label_type="number")


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (["NA", "N/A"], "'N/A': no row has this label (1 of 2 that would be missing)"),
        (["?", "99"], "'?', '99': no row has these labels (2 of 2 that would be missing)"),
    ],
)
def test_values_of_no_row_are_told(scale: str, missing: list[str], words: str) -> None:
    with pytest.warns(pc.AnnotationWarning, match=re.escape(words)):
        pc.scan_annotations(scale, missing=missing)


def test_null_is_missing_anyway() -> None:
    frame = pl.DataFrame({"example": [1], "annotator": ["a"], "label": ["x"]})
    for null in (None, float("nan")):
        with pytest.raises(ValueError, match="null and NaN are no labels anyway"):
            pc.scan_annotations(frame, missing=[null])


def test_a_wide_log_has_missing_labels() -> None:
    wide = pl.DataFrame({"a": [1, -1], "b": [2, 2]})
    assert pc.from_wide(wide, missing=[-1]).sort("example", "annotator").collect()[
        "label"
    ].to_list() == [1, 2, 2]
    assert pc.from_wide(np.array([[1, -1], [2, 2]]), missing=[-1]).collect().height == 3


def test_a_store_leaves_missing_labels_out(scale: str, tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", scale, missing=["NA", -1])
    assert store.scan_annotations().collect()["label"].sort().to_list() == [1, 2]
    more = pl.DataFrame({"example": [1, 2], "annotator": "c", "label": [99, 2]})
    store.append(more, missing=[99])
    assert store.scan_annotations().collect()["label"].sort().to_list() == [1, 2, 2]
    with pytest.raises(ValueError, match="about a log of single labels"):
        store.append(pred_probs=more, missing=[99])


def test_commands_leave_missing_labels_out(scale: str, tmp_path: Path) -> None:
    more = "1,c,1\n2,c,1\n"
    Path(scale).write_text(CSV + more)
    given = (scale, "--missing", "NA,-1")
    text = succeeded("agreement", *given, "--level", "interval", "--coefficients", "alpha")
    assert re.search(r"\nkrippendorff_alpha +0\.0000 ", text)
    succeeded("consensus", *given, "--method", "median", "--into", tmp_path / "out")
    found = pl.read_parquet(tmp_path / "out" / "examples.parquet")
    assert found.sort("example")["consensus_label"].to_list() == [1.0, 1.5]


# --- spellings ------------------------------------------------------------------------------------

SPELLINGS = [
    "Yes",
    "yes ",
    " YES",
    "caf\u00e9",
    "cafe\u0301",
    "\u00c5",
    "\u212b",
    "a  b",
    "a\u00a0b",
]


def test_spellings_become_one() -> None:
    n = len(SPELLINGS)
    frame = pl.DataFrame({"example": [f"E{k} " for k in range(n)], "annotator": range(n)})
    log = frame.with_columns(label=pl.Series(SPELLINGS))

    def distinct(*ways: Any) -> int:
        return pc.scan_annotations(log, normalize=ways).collect()["label"].n_unique()

    assert (distinct(), distinct("strip"), distinct("case"), distinct("unicode")) == (9, 8, 8, 7)
    assert distinct("strip", "case") == 5
    assert distinct("strip", "case", "unicode") == 4
    ids = pc.scan_annotations(log, normalize=["strip", "case"]).collect()["example"]
    assert ids[0] == "e0"


def test_blank_text_is_no_label_once_it_is_stripped() -> None:
    log = pl.DataFrame({"example": [1, 2], "annotator": "a", "label": ["x", " \t"]})
    assert pc.scan_annotations(log).collect().height == 2
    assert pc.scan_annotations(log, normalize=["strip"]).collect().height == 1


def test_normalizing_what_is_no_text_is_refused() -> None:
    log = pl.DataFrame({"example": [1], "annotator": [2], "label": [3]})
    with pytest.raises(ValueError, match="neither ids nor labels are text"):
        pc.scan_annotations(log, normalize=["strip"])
    with pytest.raises(ValueError, match="some of 'strip', 'case', 'unicode'"):
        pc.scan_annotations(log, normalize=["lower"])  # type: ignore[list-item]


@given(st.lists(st.text(alphabet="aA\u00c5\u212bA\u030a \t", max_size=4), unique=True, max_size=8))
def test_alike_are_those_that_normalizing_makes_equal(values: list[str]) -> None:
    texts = pl.Series("text", values, pl.String)
    forms = pl.DataFrame(texts).with_columns(form=spelled(pl.col("text")).fill_null(""))
    sizes = forms.group_by("form").len().filter(pl.col("len") > 1)["len"].sort().to_list()
    assert sorted(map(len, alike(texts))) == sizes
