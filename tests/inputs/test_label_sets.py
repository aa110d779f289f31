"""Sets of classes from every kind of cell: the same sets, and the empty one is not a missing one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import polars_crowd as pc
from tests.cli.commands import refused, run, succeeded

SETS = pl.DataFrame(
    {
        "example": [1, 1, 2, 2, 3, 3],
        "annotator": ["a", "b"] * 3,
        "label": [["joy"], ["joy", "fear"], [], ["fear"], None, ["joy"]],
    }
)
KEPT = SETS.drop_nulls()
PROBS = pl.DataFrame({"example": [1, 2, 3], "joy": [0.9, 0.2, 0.6], "fear": [0.4, 0.9, 0.1]})
BARS = SETS.with_columns(
    pl.when(pl.col("label").list.len() > 0)
    .then(pl.col("label").list.join("|"))
    .when(pl.col("label").is_not_null())
    .then(pl.lit("|"))
)
JSON = SETS.with_columns(
    pl.Series("label", ['["joy"]', '["joy", "fear"]', "[]", '[ "fear" ]', None, '["joy"]'])
)


def written(frame: pl.DataFrame, path: Path) -> Path:
    frame.write_csv(path)
    return path


@pytest.mark.parametrize(
    ("frame", "options"),
    [(SETS, {}), (JSON, {}), (BARS, {"set_separator": "|"})],
    ids=["lists", "json", "bars"],
)
def test_sets_of_cells(frame: pl.DataFrame, options: dict[str, Any], tmp_path: Path) -> None:
    sources: list[Any] = [frame, frame.lazy()]
    if frame is not SETS:
        sources.append(written(frame, tmp_path / "sets.csv"))
    for source in sources:
        log = pc.scan_label_sets(source, **options)
        assert_frame_equal(log.collect(), KEPT)
        assert pc.multilabel_agreement(log).equals(pc.multilabel_agreement(KEPT))
        found = pc.multilabel_crowdlab(log, PROBS).examples.collect()
        assert_frame_equal(found, pc.multilabel_crowdlab(KEPT, PROBS).examples.collect())
        store = pc.AnnotationStore.create(
            tmp_path / f"store{len(list(tmp_path.iterdir()))}", log, PROBS, multilabel=True
        )
        held = store.scan_annotations().with_columns(pl.col("label").list.sort(descending=True))
        assert_frame_equal(held.collect(), KEPT, check_row_order=False)


def test_json_needs_no_option(tmp_path: Path) -> None:
    path = written(JSON, tmp_path / "sets.csv")
    assert pc.multilabel_agreement(path).equals(pc.multilabel_agreement(KEPT))


def test_columns_have_the_names_that_are_said() -> None:
    frame = JSON.rename({"example": "task", "annotator": "worker", "label": "tags"})
    found = pc.scan_label_sets(frame, example="task", annotator="worker", label="tags")
    assert_frame_equal(found.collect(), KEPT)


@pytest.mark.parametrize(
    ("cell", "ending"),
    [("['joy']", "text in double"), ("joy", "text"), ('["joy", null]', "text"), ('["joy"', "text")],
)
def test_cells_that_are_no_lists(cell: str, ending: str) -> None:
    frame = JSON.with_columns(pl.col("label").fill_null(cell))
    with pytest.raises(pc.AnnotationError, match="holds JSON lists, but in 1 row it does not:"):
        pc.scan_label_sets(frame)


def test_a_separator_is_for_text() -> None:
    with pytest.raises(ValueError, match=r"labels that are text, and these are List\(String\)"):
        pc.scan_label_sets(SETS, set_separator="|")
    with pytest.raises(ValueError, match="what stands between the classes"):
        pc.scan_label_sets(BARS, set_separator="")
    numbers = pl.DataFrame({"example": [1], "annotator": ["a"], "label": [3]})
    assert pc.scan_label_sets(numbers, set_separator="|").collect()["label"].to_list() == [["3"]]


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b c", "é", "1"]), unique=True, max_size=3),
        min_size=1,
        max_size=6,
    )
)
def test_sets_come_back_as_they_were_written(sets: list[list[str]]) -> None:
    rows = pl.DataFrame({"example": range(len(sets)), "annotator": ["a"] * len(sets)})
    bars = rows.with_columns(label=pl.Series(["|".join(names) or "|" for names in sets]))
    found = pc.scan_label_sets(bars, set_separator="|").collect()
    assert found["label"].to_list() == sets
    lists = rows.with_columns(label=pl.Series(sets, dtype=pl.List(pl.String)))
    assert pc.scan_label_sets(lists).collect()["label"].to_list() == sets


def test_the_command(tmp_path: Path) -> None:
    path, probs = written(BARS, tmp_path / "sets.csv"), written(PROBS, tmp_path / "probs.csv")
    options = ("--multilabel", "--set-separator", "|")
    said = succeeded("agreement", path, *options, "--format", "csv")
    expected = pc.multilabel_agreement(KEPT)["value"].to_list()
    assert pl.read_csv(said.encode())["value"].to_list() == pytest.approx(expected)
    assert run("next", path, "-p", probs, *options).exit_code == 0
    store = tmp_path / "store"
    assert run("store", "create", store, path, "-p", probs, *options).exit_code == 0
    again = written(BARS.with_columns(annotator=pl.lit("c")).unique("example"), tmp_path / "c.csv")
    assert run("store", "append", store, again, *options).exit_code == 0
    held = pc.AnnotationStore.open(store).scan_annotations().collect()
    assert held.filter(pl.col("annotator") == "c").height > 0
    assert "only with --multilabel" in refused("agreement", path, "--set-separator", "|")
