"""Published tables: counts by class, and patterns with the number of times that they were seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import polars_crowd as pc
from polars_crowd.errors import heard
from tests.cli.commands import refused, succeeded

FLEISS = [
    # Fleiss 1971, table 1: 30 patients by 6 psychiatrists; depression, personality disorder,
    # schizophrenia, neurosis, other
    *([0, 0, 0, 6, 0], [0, 3, 0, 0, 3], [0, 1, 4, 0, 1], [0, 0, 0, 0, 6], [0, 3, 0, 3, 0]),
    *([2, 0, 4, 0, 0], [0, 0, 4, 0, 2], [2, 0, 3, 1, 0], [2, 0, 0, 4, 0], [0, 0, 0, 0, 6]),
    *([1, 0, 0, 5, 0], [1, 1, 0, 4, 0], [0, 3, 3, 0, 0], [1, 0, 0, 5, 0], [0, 2, 0, 3, 1]),
    *([0, 0, 5, 0, 1], [3, 0, 0, 1, 2], [5, 1, 0, 0, 0], [0, 2, 0, 4, 0], [1, 0, 2, 0, 3]),
    *([0, 0, 0, 0, 6], [0, 1, 0, 5, 0], [0, 2, 0, 1, 3], [2, 0, 0, 4, 0], [1, 0, 0, 4, 1]),
    *([0, 5, 0, 1, 0], [4, 0, 0, 0, 2], [0, 2, 0, 4, 0], [1, 0, 5, 0, 0], [0, 0, 0, 0, 6]),
]
CLASSES = ["depression", "personality", "schizophrenia", "neurosis", "other"]
TABLE = pl.DataFrame(FLEISS, CLASSES, orient="row")
FOURTEEN = [
    # a widely used worked example: 10 subjects, 14 raters, 5 classes
    *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]),
    *([7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
]


@pytest.mark.parametrize(
    ("counts", "kappa", "digits"), [(FLEISS, 0.430, 3), (FOURTEEN, 0.210, 3)], ids=["1971", "14"]
)
def test_published_tables_of_counts(counts: list[list[int]], kappa: float, digits: int) -> None:
    names = [str(k) for k in range(5)]
    table = pl.DataFrame(counts, names, orient="row")
    named = table.with_columns(subject=pl.format("s{}", pl.int_range(pl.len())))
    sources = [table, table.to_pandas(), table.to_arrow(), np.array(counts)]
    logs = [pc.from_counts(source) for source in sources]
    for log in (*logs, pc.from_counts(named, example="subject")):
        found = pc.fleiss_kappa(log)
        assert round(found["value"].item(), digits) == kappa
        assert found["num_annotations"].item() == sum(map(sum, counts))


def test_standard_error_of_fleiss_1971() -> None:
    """Equal to the log of known annotators that has these counts."""
    long = TABLE.with_row_index("example").unpivot(index="example", variable_name="label")
    rows = long.select(pl.all().repeat_by("value").explode(empty_as_null=False)).with_columns(
        annotator=pl.int_range(pl.len()).over("example")
    )
    found, expected = pc.agreement(pc.from_counts(TABLE)), pc.agreement(rows, classes=CLASSES)
    kept = expected["coefficient"] != "conger_kappa"
    values = ["coefficient", "value", "standard_error", "p_value"]
    assert_frame_equal(found.filter(kept).select(values), expected.filter(kept).select(values))


def test_classes_are_the_columns_in_order() -> None:
    log = pc.from_counts(pl.DataFrame({"b": [2, 1], "never": [0, 0], "a": [1, 2]}))
    assert log.collect_schema()["label"] == pl.Enum(["b", "never", "a"])
    assert pc.brennan_prediger(log)["value"].item() == pytest.approx((1 / 3 - 1 / 3) / (1 - 1 / 3))
    numbers = pc.from_counts(pl.DataFrame({"1": [2, 0], "10": [0, 2]}), label_type="number")
    assert numbers.collect()["label"].to_list() == [1.0, 1.0, 10.0, 10.0]
    renamed = pc.from_counts(pl.DataFrame({"1": [2, 0], "10": [0, 2]}), classes=["no", "yes"])
    assert renamed.collect_schema()["label"] == pl.Enum(["no", "yes"])


IDS: list[tuple[dict[str, list[Any]], list[Any] | None]] = [
    ({"item": ["a", "b"], "x": [2, 1], "y": [0, 1]}, ["a", "b"]),
    ({"item": [17, 5, 9], "x": [2, 0, 1], "y": [0, 2, 1]}, [5, 9, 17]),
    ({"item": [1, 2, 3], "x": [0, 1, 3], "y": [1, 5, 1]}, [1, 2, 3]),
    ({"x": [3, 2, 1], "y": [0, 1, 2]}, None),
    ({"x": [2, 1], "y": [0, 4]}, None),
]


@pytest.mark.parametrize(("table", "ids"), IDS)
def test_ids_beside_counts_are_found(table: dict[str, list[Any]], ids: list[Any] | None) -> None:
    frame = pl.DataFrame(table)
    if ids is None:
        assert pc.from_counts(frame).collect()["example"].min() == 0
        return
    with pytest.warns(
        pc.AnnotationWarning, match="ids are taken from column 'item' of the table of"
    ):
        log = pc.from_counts(frame)
    assert log.collect()["example"].unique().sort().to_list() == ids


WRONG: list[tuple[dict[str, list[Any]], str]] = [
    (
        {"x": [2, -1], "y": [0, 1]},
        r"column 'x' of the table of counts is no count in 1 row:\n  row=1, x=-1",
    ),
    ({"x": [2, 1], "y": [0.5, 1.0]}, r"column 'y' .*no count in 1 row:\n  row=0, y=0.5"),
    ({"x": [2, None], "y": [0, 1]}, r"column 'x' .*no count in 1 row:\n  row=1, x=None"),
    ({"id": [1, 2, 3], "x": [2, 1, 0], "y": [0, 4, 2]}, "may have its examples' ids in 'id', 'y'"),
    ({"a": ["u", "v"], "b": ["s", "t"], "x": [2, 1]}, "may have its examples' ids in 'a', 'b'"),
]


@pytest.mark.parametrize(("table", "words"), WRONG)
def test_what_is_no_table_of_counts(table: dict[str, list[Any]], words: str) -> None:
    with pytest.raises(pc.AnnotationError, match=words):
        pc.from_counts(pl.DataFrame(table))


def test_text_among_counts_is_named(tmp_path: Path) -> None:
    (tmp_path / "counts.csv").write_text("item,x,y\na,2,none\nb,1,1\n")
    with pytest.raises(pc.AnnotationError, match="'none'"):
        pc.from_counts(tmp_path / "counts.csv", example="item", classes=["x", "y"])


@given(st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=8))
def test_the_log_of_counts_has_these_counts(counts: list[list[int]]) -> None:
    table = pl.DataFrame(counts, ["a", "b", "c"], orient="row")
    with heard() as said:
        log = pc.from_counts(table, example=False).collect()
    assert len(said) == ([0, 0, 0] in counts)
    votes = log.group_by("example", "label").len("n")
    expected = {
        (e, c): n for e, row in enumerate(counts) for c, n in zip("abc", row, strict=True) if n
    }
    assert {(e, c): n for e, c, n in votes.rows()} == expected


# --- patterns --------------------------------------------------------------------------------------

CONTINGENCY = pl.DataFrame(
    {"a": ["yes", "yes", "no", "no"], "b": ["yes", "no", "yes", "no"], "n": [20, 5, 10, 15]}
)
"""A textbook's table of two readers of 50 proposals: kappa is .4."""


def test_a_contingency_table_is_a_log() -> None:
    log = pc.from_wide(CONTINGENCY, frequency="n")
    assert pc.cohen_kappa(log)["value"].item() == pytest.approx(0.4)
    assert pc.cohen_kappa(log)["num_examples"].item() == 50
    assert log.collect()["example"].unique().sort()[0] == "0#1"


def test_patterns_of_counts_and_of_a_long_log() -> None:
    counts = pc.from_counts(pl.DataFrame({"x": [2, 1], "y": [0, 1], "n": [3, 2]}), frequency="n")
    long = pl.DataFrame(
        {
            "example": ["p", "p", "q", "q"],
            "annotator": ["a", "b", "a", "b"],
            "label": ["x", "x", "x", "y"],
            "n": [3, 3, 2, 2],
        }
    )
    log = pc.scan_annotations(long, frequency="n")
    assert log.collect_schema().names() == ["example", "annotator", "label"]
    assert sorted(log.collect()["example"].unique()) == ["p#1", "p#2", "p#3", "q#1", "q#2"]
    values = [pc.fleiss_kappa(found)["value"].item() for found in (counts, log)]
    assert values[0] == pytest.approx(values[1])


@pytest.mark.parametrize(
    ("frequency", "words"),
    [
        ([3, 3, 2, 1], "column 'n' of the log differs within 1 example:\n  example='q'"),
        ([3, 3, -2, -2], "column 'n' of the log is no count in 2 rows"),
        ([3.0, 3.0, 2.5, 2.5], "is no count in 2 rows"),
        ([3, 3, None, None], "is no count in 2 rows"),
    ],
)
def test_what_is_no_frequency(frequency: list[Any], words: str) -> None:
    log = pl.DataFrame(
        {"example": [*"ppqq"], "annotator": [*"abab"], "label": [*"xxxy"], "n": frequency}
    )
    with pytest.raises(pc.AnnotationError, match=words):
        pc.scan_annotations(log, frequency="n")
    with pytest.raises(pc.AnnotationError, match="no column 'm'"):
        pc.scan_annotations(log, frequency="m")


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_a_pattern_is_there_so_often(times: list[int]) -> None:
    rows = [(str(e), a, "xyz"[(e + k) % 3]) for e in range(len(times)) for k, a in enumerate("ab")]
    log = pl.DataFrame(rows, ["example", "annotator", "label"], orient="row")
    patterns = log.with_columns(n=pl.Series([times[int(e)] for e, *_ in rows]))
    found = pc.scan_annotations(patterns, frequency="n").collect()
    each = [(f"{e}#{k}", a, x) for e, a, x in rows for k in range(1, times[int(e)] + 1)]
    assert sorted(found.rows()) == sorted(each)


def test_the_command(tmp_path: Path) -> None:
    TABLE.with_columns(subject=pl.format("s{}", pl.int_range(pl.len()))).write_csv(
        tmp_path / "f.csv"
    )
    CONTINGENCY.write_csv(tmp_path / "c.csv")
    csv = ("--format", "csv")
    said = succeeded("agreement", tmp_path / "f.csv", "--counts", "--id", "subject", *csv)
    assert round(pl.read_csv(said.encode())["value"][1], 3) == 0.430
    options = ("--wide", "--id", "-", "--frequency", "n", "--coefficients", "cohen")
    said = succeeded("agreement", tmp_path / "c.csv", *options, *csv)
    assert pl.read_csv(said.encode())["value"].item() == pytest.approx(0.4)
    slots = (*options[:-2], "--annotator", "-")
    said = succeeded(
        "agreement", tmp_path / "c.csv", *slots, "--coefficients", "fleiss,cohen", *csv
    )
    assert pl.read_csv(said.encode())["value"].null_count() == 1
    assert "not with --counts" in refused("agreement", tmp_path / "f.csv", "--counts", "--wide")
