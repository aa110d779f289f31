"""Tables beside the log: columns by their names in the log, by ours, by what is left; columns of the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.errors import AnnotationError, OptionError
from polars_crowd.inputs.tables import labels_beside

NAMES = {"example": "item_id", "label": "answer"}
LOG = pl.DataFrame(
    {
        "example": [1, 1, 2, 2, 3, 3],
        "annotator": ["a", "b"] * 3,
        "label": ["x", "y", "x", "x", "y", "y"],
        "gold": ["x", None, "x", "x", None, None],
        "marked": [True, False] * 3,
    }
)
GOLD = pl.DataFrame({"example": [1, 2], "label": ["x", "x"]})


@pytest.mark.parametrize(
    "columns",
    [
        ("item_id", "answer"),
        ("example", "label"),
        ("item_id", "label", "note"),
        ("example", "answer", "note"),
        ("item_id", "truth"),
        ("truth", "answer"),
        ("item_id", "answer", "example", "label"),
    ],
)
def test_columns_go_by_the_names_of_the_log_or_ours(columns: tuple[str, ...]) -> None:
    row = {name: [value] for name, value in zip(columns, [7, "x", 8, "y"], strict=False)}
    assert labels_beside(pl.DataFrame(row), "gold", **NAMES).collect().rows() == [(7, "x")]


def test_labels_by_a_name_that_is_given() -> None:
    frame = pl.DataFrame({"item_id": [7], "label": ["x"], "expert": ["y"]})
    found = labels_beside(frame, "gold", truth_label="expert", **NAMES).collect()
    assert found.rows() == [(7, "y")]
    with pytest.raises(AnnotationError, match=r"no column 'Expert'; .* Did you mean 'expert'\?"):
        labels_beside(frame, "gold", truth_label="Expert", **NAMES)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("a", "b"), "gold has no column 'item_id'"),
        (("a", "b", "answer"), "gold has no column 'item_id'"),
        (("Item_ID", "b", "answer"), r"no column 'item_id'; .* Did you mean 'Item_ID'\?"),
        (("item_id", "b", "c"), "gold has no column 'answer'"),
    ],
)
def test_what_cannot_be_told_is_an_error(columns: tuple[str, ...], message: str) -> None:
    with pytest.raises(AnnotationError, match=message) as raised:
        labels_beside(pl.DataFrame({name: [1] for name in columns}), "gold", **NAMES)
    assert "--truth-label NAME" in raised.value.said("command")


# --- columns of the log ----------------------------------------------------------------------------


@pytest.fixture(params=["frame", "lazy", "file", "store"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "store":
        return pc.AnnotationStore.create(tmp_path / "store", LOG, partitions=2)
    if request.param == "file":
        LOG.write_csv(tmp_path / "log.csv")
        return tmp_path / "log.csv"
    return LOG if request.param == "frame" else LOG.lazy()


@pytest.mark.filterwarnings("ignore")
def test_gold_is_a_column_of_the_log(log: Any) -> None:
    expected = pc.dawid_skene(LOG, gold=GOLD).examples.collect()
    fit = pc.dawid_skene(log, gold="gold")
    assert fit.examples.collect().sort("example").equals(expected)
    assert fit.predict(log, gold="gold").examples.collect().height == 3
    found = pc.compare(log, ["majority_vote"], "gold", folds=0).methods
    assert found.select("num_compared", "accuracy").rows() == [(2, 0.75)]


@pytest.mark.filterwarnings("ignore")
def test_numbers_in_a_column_of_the_log() -> None:
    numbers = LOG.select("example", "annotator", label=pl.Series([1.0, 2, 3, 4, 5, 7]))
    numbers = numbers.with_columns(gold=pl.Series([1.5, float("nan"), None, 3.0, None, None]))
    found = pc.gaussian_truth(numbers, gold="gold").examples.collect()
    assert found["consensus_label"].to_list()[:2] == [1.5, 3.0]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("label", "column 'label' of the log is what the annotations themselves say"),
        ("marked", r"column 'marked' of the log is true or false: it marks rows"),
        ("Gold", r"the log has no column 'Gold'; .* Did you mean 'gold'\?"),
    ],
)
def test_columns_that_are_no_gold(log: Any, column: str, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        pc.dawid_skene(log, gold=column)


def test_gold_that_is_not_of_one_mind() -> None:
    log = LOG.with_columns(gold=pl.Series(["x", "y", "x", "x", None, None]))
    with pytest.raises(AnnotationError) as raised:
        pc.dawid_skene(log, gold="gold")
    assert "column 'gold' of the log says different labels in the rows of 1 example:" in str(
        raised.value
    )
    assert "  example=1, gold='x'\n  example=1, gold='y'" in str(raised.value)


def test_files_are_still_files(tmp_path: Path) -> None:
    GOLD.rename({"label": "expert"}).write_csv(tmp_path / "gold.csv")
    path = str(tmp_path / "gold.csv")
    assert pc.compare(LOG, ["majority_vote"], path, folds=0).methods["accuracy"].item() == 0.75
    with pytest.raises(FileNotFoundError, match=r"no file at 'other\.csv'"):
        pc.dawid_skene(LOG, gold="other.csv")
    with pytest.raises(OptionError, match="truth_label='x'; it is about a table of truth labels"):
        pc.compare(LOG, truth="gold", truth_label="x")
