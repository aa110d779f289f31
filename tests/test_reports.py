"""What results print: a header and heads that fit the line, without what is empty or steers a terminal."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any
from unicodedata import bidirectional, category

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_crowd as pc
from polars_crowd.escapes import STEERING
from polars_crowd.reports import Report, header, table_text

DATA = pc.datasets.tutorial()
FITS: dict[str, Callable[[], Any]] = {
    "crowdlab": lambda: pc.crowdlab(DATA.log, DATA.pred_probs),
    "truth": lambda: pc.dawid_skene(DATA.log),
    "numeric": lambda: pc.crh(DATA.log.with_columns(pl.col("label").cast(pl.Float64))),
    "comparison": lambda: pc.compare(DATA.log, ["wawa", "one_coin_dawid_skene"], folds=0),
    "preferences": lambda: pc.bradley_terry(
        pl.DataFrame(
            {"annotator": "a", "left": ["x", "y"], "right": ["y", "x"], "winner": ["x", "y"]}
        )
    ),
}
MARKS = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
WIDE = pl.DataFrame({f"a_rather_long_name_{i}": [(i + 1) / 7.77] for i in range(12)})


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_report_is_as_wide_as_polars_is_told(name: str, width: int) -> None:
    with pl.Config(tbl_width_chars=width):
        lines = repr(FITS[name]()).splitlines()
    assert max(map(len, lines[2:])) <= width
    assert not any("…" in line for line in lines)


def test_a_report_is_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLARS_TABLE_WIDTH", raising=False)
    monkeypatch.setenv("COLUMNS", "70")
    narrow = table_text(WIDE)
    assert max(map(len, narrow.splitlines())) <= 70
    monkeypatch.setenv("COLUMNS", "1000")
    assert len(table_text(WIDE).splitlines()[0]) > 200


@pytest.mark.parametrize("width", [30, 60, 90, 300])
def test_no_column_is_hidden(width: int) -> None:
    with pl.Config(tbl_width_chars=width):
        text = table_text(WIDE)
    for value in WIDE.row(0):
        assert f"{value:.4f}"[:5] in text


def test_columns_without_a_value_are_left_out() -> None:
    frame = pl.DataFrame({"value": [0.5, None], "standard_error": [None, None]})
    assert "standard_error" not in table_text(frame)
    assert "value" in table_text(frame)
    assert "standard_error" in table_text(frame.clear())


def test_an_empty_frame_is_printed() -> None:
    assert table_text(pl.DataFrame({"example": [None]}))


@given(st.text(max_size=9) | st.text("\x00\t\n\x1b\x7f\x9b\u2028\u202e\u2066x", max_size=9))
def test_nothing_steers_the_terminal(text: str) -> None:
    frame = pl.DataFrame({"id": [text], "sets": [[text]], f"x{text}": [1]})
    printed = str(Report("header", {"title": frame}))
    steering = {"Cc", "Zl", "Zp"}
    left = {c for c in printed if category(c) in steering or bidirectional(c) in MARKS}
    assert left == {"\n"}
    assert re.findall(STEERING, printed.replace("\n", "")) == []


def test_html_is_well_formed_and_escaped() -> None:
    bad = "<script>alert('&')</script>"
    frame = pl.DataFrame({"example": [bad], bad: ["x"]})
    html = Report(header(bad, {"row": 1}), {bad: frame})._repr_html_()
    assert "<script" not in html
    assert ET.fromstring(html).tag == "section"
    assert bad in "".join(ET.fromstring(html).itertext())


@pytest.mark.parametrize("name", FITS)
def test_every_result_has_html(name: str) -> None:
    fit = FITS[name]()
    section = ET.fromstring(fit._repr_html_())
    assert [part.tag for part in section] == ["p", *["figure"] * len(fit.HEADS)]
    assert "".join(section[0].itertext()) == repr(fit).splitlines()[0]


def test_a_table_of_agreement_shows_intervals_and_counts_in_80_columns() -> None:
    found = pc.agreement(DATA.log, coefficients="krippendorff_alpha")
    with pl.Config(tbl_width_chars=80):
        head = str(found).partition("╞")[0].splitlines()[2:]
    cells = zip(*(line.strip("│").split("┆") for line in head), strict=True)
    assert ["".join(map(str.strip, cell)).partition("---")[0] for cell in cells] == [
        *("coefficient", "value", "ci_low", "ci_high", "…"),
        *("num_examples", "num_annotators", "num_annotations", "num_pairable"),
    ]
