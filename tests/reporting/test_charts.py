"""What every chart keeps to: it draws, it is small, it has words, and names of others are values in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import vl_convert

import polars_crowd as pc
from polars_crowd.errors import PackageError
from tests.reporting.chart_cases import CHARTS, HOSTILE, drawn_rows

MARKS = {
    "bar": "mark-rect",
    "rect": "mark-rect",
    "tick": "mark-rect",
    "rule": "mark-rule",
    "point": "mark-symbol",
    "circle": "mark-symbol",
    "line": "mark-line",
    "area": "mark-area",
    "text": "mark-text",
}
"""What Vega draws each mark as."""
MOST_ROWS = 600
each = pytest.mark.parametrize("name", CHARTS)


@cache
def spec_of(name: str, strange: bool = False) -> dict[str, Any]:
    spec: dict[str, Any] = CHARTS[name](strange).to_dict()
    return spec


def inside(node: Any) -> Iterator[dict[str, Any]]:
    """All tables of a spec but the data."""
    if isinstance(node, dict):
        yield node
        for key, value in node.items():
            if key not in ("data", "datasets"):
                yield from inside(value)
    elif isinstance(node, list):
        for value in node:
            yield from inside(value)


def without_data(spec: dict[str, Any]) -> str:
    """All of a spec but its data, and the texts that are shown as they are."""
    left_out = ("data", "datasets", "title", "description")
    return json.dumps({k: v for k, v in spec.items() if k not in left_out})


@each
def test_every_mark_is_drawn(name: str) -> None:
    spec = {**spec_of(name), "width": 358}
    svg = vl_convert.vegalite_to_svg(spec)
    for layer in spec["layer"]:
        mark = layer["mark"]["type"]
        drawn = re.findall(rf'class="{MARKS[mark]} role-mark [^>]*>(.*?)</g>', svg, re.DOTALL)
        assert any("<path" in one or "<text" in one or "<line" in one for one in drawn), mark
    assert "NaN" not in svg


@each
def test_what_is_drawn_is_small(name: str) -> None:
    spec = spec_of(name)
    assert 0 < len(drawn_rows(spec)) <= MOST_ROWS
    assert len(json.dumps(spec)) < 300_000


@each
def test_titles_are_words_and_the_width_is_the_page(name: str) -> None:
    spec = spec_of(name)
    assert spec["width"] == "container"
    assert spec["title"]["text"]
    lines = [*spec["title"]["text"], *spec["title"].get("subtitle", [])]
    assert max(map(len, lines)) <= 54
    encodings = [layer["encoding"] for layer in spec["layer"]]
    axes = [encoding[at] for encoding in encodings for at in "xy" if at in encoding]
    titles = [axis["title"] for axis in axes if axis.get("axis", "shown") and "field" in axis]
    assert all(title and "_" not in title for title in titles)
    assert not re.search(r"_|\bnull\b|\bnan\b", " ".join(lines))


@each
def test_names_of_others_are_values_and_nothing_else(name: str) -> None:
    strange, plain = spec_of(name, True), spec_of(name)
    same_places = without_data(strange)
    assert re.sub(r"[\d.]+", "0", same_places) == re.sub(r"[\d.]+", "0", without_data(plain))
    fields = {node["field"] for node in inside(strange) if "field" in node}
    assert all(re.fullmatch(r"[a-z]+(_\w+)?", field) for field in fields)
    assert fields <= drawn_rows(strange)[0].keys()
    written = json.dumps(strange, ensure_ascii=False)
    assert "</script" not in written
    assert "<!--" not in written
    assert "\x1b" not in written


@each
def test_strange_names_are_drawn_as_text(name: str) -> None:
    svg = vl_convert.vegalite_to_svg({**spec_of(name, True), "width": 358})
    assert "<img" not in svg
    assert "<script" not in svg


def test_hostile_names_are_there_at_all() -> None:
    assert HOSTILE[0] in json.dumps(spec_of("annotator_quality", True))


@each
def test_what_is_drawn_can_be_told_apart_in_grey(name: str) -> None:
    for layer in spec_of(name)["layer"]:
        scale = layer["encoding"].get("color", {}).get("scale", {})
        if isinstance(scale.get("range"), list):
            greys = sorted(grey(color) for color in scale["range"])
            apart = all(b - a > 20 for a, b in pairwise(greys))
            assert apart or {"shape", "strokeDash"} & layer["encoding"].keys()


def grey(color: str) -> float:
    r, g, b = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return 0.299 * r + 0.587 * g + 0.114 * b


def test_charts_are_listed() -> None:
    drawn = {name.split()[0] for name in CHARTS}
    assert drawn == set(pc.plot.__all__)


def test_a_missing_extra_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(PackageError, match=r"polars-crowd\[report\]"):
        CHARTS["consensus_quality"](False)


def test_the_list_of_charts_does_without_altair() -> None:
    script = "import sys, polars_crowd as pc; pc.plot.confusion; print('altair' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
