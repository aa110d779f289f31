"""Fits are written, opened again, and never mixed with what is not theirs."""

from __future__ import annotations

import json
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal

import polars_crowd as pc
from polars_crowd.rounds import workbook
from polars_crowd.rounds.contents import MARK
from polars_crowd.rounds.digests import seal
from polars_crowd.rounds.results import Fit
from tests.cases import files_of

DATA = pc.datasets.tutorial()
NUMBERS = DATA.log.with_columns(pl.col("label").cast(pl.Float64))
SETS = pl.DataFrame(
    {
        "example": ["e1", "e1", "e2", "e2", "e3", "e3"],
        "annotator": ["a", "b", "a", "b", "a", "b"],
        "label": [["x"], ["x", "y"], [], ["y"], ["x", "y"], ["x", "y"]],
    }
)
SET_PROBS = pl.DataFrame(
    {"example": ["e1", "e2", "e3"], "x": [0.9, 0.2, 0.8], "y": [0.3, 0.6, 0.7]}
)
COMPARED = pl.DataFrame(
    {
        "annotator": ["a", "b", "a"],
        "left": ["p", "q", "r"],
        "right": ["q", "r", "p"],
        "winner": ["p", "q", "p"],
    }
)
FITS: dict[str, Callable[[], Fit]] = {
    "crowdlab": lambda: pc.crowdlab(DATA.log, DATA.pred_probs, calibrate=True),
    "dawid_skene": lambda: pc.dawid_skene(DATA.log),
    "glad": lambda: pc.glad(DATA.log),
    "crh": lambda: pc.crh(NUMBERS),
    "bradley_terry": lambda: pc.bradley_terry(COMPARED),
    "compare": lambda: pc.compare(DATA.log, ["wawa", "zencrowd"], folds=0),
}
MADE: dict[str, Fit] = {}


def fit_of(name: str) -> Any:
    if name not in MADE:
        MADE[name] = FITS[name]()
    return MADE[name]


def assert_same_tables(found: Any, expected: Fit, without: tuple[str, ...] = ()) -> None:
    for name in [name for name in expected.TABLES if name not in without]:
        here, there = getattr(found, name), getattr(expected, name)
        assert type(here) is type(there), name
        if isinstance(there, pl.Series):
            assert_series_equal(here, there)
        elif there is not None:
            assert_frame_equal(here, there, rel_tol=1e-12, abs_tol=1e-12)


def files_in(directory: Path) -> dict[str, bytes]:
    """All files of a directory, but those that runs keep for themselves."""
    return {
        str(file.relative_to(directory)): file.read_bytes()
        for file in sorted(directory.rglob("*"))
        if file.is_file() and ".work" not in file.parts
    }


# --- writing and opening ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", FITS)
def test_what_is_written_is_opened_as_it_was(name: str, tmp_path: Path) -> None:
    fit = fit_of(name)
    fit.write(tmp_path / "new" / "kept")
    found = pc.open_results(tmp_path / "new" / "kept")
    assert_same_tables(found, fit)
    assert found.method == fit.method
    assert repr(found).splitlines()[0] == repr(fit).splitlines()[0]
    assert {*found.tables} == {t for t in fit.TABLES if getattr(fit, t) is not None}
    for value in fit.VALUES:
        assert getattr(found, value) == getattr(fit, value)


def test_the_report_is_that_of_the_fit(tmp_path: Path) -> None:
    fit = fit_of("crowdlab")
    fit.write(tmp_path)
    found = pc.open_results(tmp_path)
    assert repr(found) == repr(fit)
    assert found._repr_html_() == fit._repr_html_()


def test_results_json_says_what_made_the_tables(tmp_path: Path) -> None:
    pc.dawid_skene(DATA.log, smoothing=0.5, max_iter=50).write(tmp_path)
    about = json.loads((tmp_path / MARK).read_text())
    assert about["method"] == "Dawid-Skene"
    assert about["options"] == {
        "constants": {"pseudo_counts": 0.5, "class_pseudo_count": 0.5, "class_shares": None},
        "max_iter": 50,
        "tol": 1e-6,
    }
    assert about["polars"] == pl.__version__
    assert about["complete"] is True
    assert about["tables"]["difficulty"] is None
    assert about["tables"]["trace"]["files"] == ["trace.parquet"]
    assert pc.open_results(tmp_path).options == about["options"]


def test_refined_has_the_tables_of_its_fit(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    refined = pc.refine(DATA.log, DATA.features, LogisticRegression(), rounds=2)
    refined.write(tmp_path)
    found = pc.open_results(tmp_path)
    assert_same_tables(found, refined)
    assert_frame_equal(found.annotators, refined.fit.annotators)


def test_unknown_attributes(tmp_path: Path) -> None:
    fit_of("crh").write(tmp_path)
    found = pc.open_results(tmp_path)
    with pytest.raises(AttributeError, match=r"no 'confusion'; they have .*annotations"):
        _ = found.confusion
    assert {"examples", "annotators", "converged", "write"} <= set(dir(found))


def test_a_store_is_written_table_by_table(tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", DATA.log, DATA.pred_probs, partitions=3)
    fit = pc.crowdlab(store)
    fit.write(tmp_path / "kept")
    assert_same_tables(pc.open_results(tmp_path / "kept"), fit)


def test_columns_get_other_names(tmp_path: Path) -> None:
    fit = fit_of("dawid_skene")
    fit.write(tmp_path, names={"example": "item_id", "annotator": "worker"})
    found = pc.open_results(tmp_path)
    assert found.examples.collect_schema().names()[0] == "item_id"
    assert found.posterior.collect_schema().names()[0] == "item_id"
    assert found.confusion.columns[0] == found.annotators.columns[0] == "worker"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "json"}, "format='json'; it must be one of 'parquet', 'csv', 'xlsx'"),
        ({"formulas": True}, 'formulas=True has no effect on format="parquet"'),
        ({"names": {"item": "x"}}, "no table has a column 'item'; there are .*'example'"),
        ({"names": {"example": "annotator_spread"}}, "examples would have several columns"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        fit_of("crh").write(tmp_path / "kept", **options)
    assert not (tmp_path / "kept").exists()


# --- whole or not at all ---------------------------------------------------------------------------


def test_earlier_results_stay_unless_they_are_to_give_way(tmp_path: Path) -> None:
    fit_of("dawid_skene").write(tmp_path)
    before = files_in(tmp_path)
    with pytest.raises(FileExistsError, match="holds results of Dawid-Skene already"):
        fit_of("crh").write(tmp_path)
    assert files_in(tmp_path) == before
    fit_of("crh").write(tmp_path, overwrite=True)
    assert_same_tables(pc.open_results(tmp_path), fit_of("crh"))
    assert {*files_in(tmp_path)} == {MARK, *(f"{name}.parquet" for name in fit_of("crh").TABLES)}


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_not_ours_is_never_replaced(overwrite: bool, tmp_path: Path) -> None:
    (tmp_path / "examples.parquet").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine too")
    before = files_in(tmp_path)
    with pytest.raises(FileExistsError, match=r"has 'examples.parquet', which no results of ours"):
        fit_of("crh").write(tmp_path, overwrite=overwrite)
    assert files_in(tmp_path) == before
    fit_of("crh").write(tmp_path, "csv")
    fit_of("crh").write(tmp_path, "csv", overwrite=True)
    assert before.items() <= files_in(tmp_path).items()


@pytest.mark.parametrize("text", ['{"results": []}', "[1]", '{"format": 1}'])
def test_results_json_of_another_program(text: str, tmp_path: Path) -> None:
    (tmp_path / MARK).write_text(text)
    calls: list[Callable[[], Any]] = [
        lambda: fit_of("crh").write(tmp_path, overwrite=True),
        lambda: pc.crowdlab(DATA.log, DATA.pred_probs, into=tmp_path),
        lambda: pc.open_results(tmp_path),
    ]
    for call in calls:
        with pytest.raises(FileExistsError, match="was not written by this library"):
            call()
    assert files_in(tmp_path) == {MARK: text.encode()}


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    log = DATA.log.with_columns(extra=pl.struct(pl.lit(1).alias("nested")))
    fit = pc.crowdlab(log, DATA.pred_probs)
    with pytest.raises(pc.AnnotationError, match=r"annotations: .*'extra'.*format='parquet'"):
        fit.write(tmp_path / "a" / "b", "csv")
    assert list(tmp_path.iterdir()) == []
    fit.write(tmp_path)
    before = files_in(tmp_path)
    with pytest.raises(pc.AnnotationError, match="'extra'"):
        fit.write(tmp_path, "csv", overwrite=True)
    assert files_in(tmp_path) == before
    assert_same_tables(pc.open_results(tmp_path), fit)


def test_a_file_where_the_directory_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        fit_of("crh").write(tmp_path / "file")


def test_opened_results_are_written_in_another_format(tmp_path: Path) -> None:
    fit = fit_of("dawid_skene")
    fit.write(tmp_path)
    pc.open_results(tmp_path).write(tmp_path, "csv", overwrite=True)
    found = pc.open_results(tmp_path)
    assert_same_tables(found, fit)
    assert not list(tmp_path.glob("*.parquet"))
    assert repr(found).splitlines()[0] == repr(fit).splitlines()[0]


# --- what is not complete --------------------------------------------------------------------------


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match="holds no results"):
            pc.open_results(place)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    fit_of("crh").write(tmp_path)
    (tmp_path / "examples.parquet").unlink()
    with pytest.raises(pc.StoreError, match=r"lists: 'examples.parquet'"):
        pc.open_results(tmp_path)


@pytest.mark.parametrize("name", ["../../x.parquet", "/etc/passwd", "a/../../b", 3])
def test_a_file_outside_is_refused(name: object, tmp_path: Path) -> None:
    fit_of("crh").write(tmp_path / "kept")
    mark = tmp_path / "kept" / MARK
    about = json.loads(mark.read_text())
    about["tables"]["examples"]["files"] = [name]
    mark.write_text(json.dumps({**about, "checksum": seal(about)}))
    for call in (pc.open_results, lambda place: fit_of("crh").write(place, overwrite=True)):
        with pytest.raises(pc.StoreError, match="Somebody changed it"):
            call(tmp_path / "kept")


def test_a_run_that_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pl.DataFrame, "write_parquet", stop)
        with pytest.raises(KeyboardInterrupt):
            pc.crowdlab(DATA.log, DATA.pred_probs, into=tmp_path)
    with pytest.raises(pc.StoreError, match="not complete"):
        pc.open_results(tmp_path)
    fit = pc.crowdlab(DATA.log, DATA.pred_probs, into=tmp_path)
    assert_same_tables(pc.open_results(tmp_path), fit, fit.ON_DEMAND)
    posterior = fit.posterior.collect()
    assert_frame_equal(pc.open_results(tmp_path).posterior.collect(), posterior)


def test_a_later_version(tmp_path: Path) -> None:
    (tmp_path / MARK).write_text('{"format": 99, "polars_crowd": "9"}')
    with pytest.raises(pc.StoreError, match="format 99, this version knows up to"):
        pc.open_results(tmp_path)


# --- into= -----------------------------------------------------------------------------------------

INTO: dict[str, Callable[..., Any]] = {
    "CROWDLAB": lambda **into: pc.crowdlab(DATA.log, DATA.pred_probs, **into),
    "Dawid-Skene": lambda **into: pc.dawid_skene(DATA.log, **into),
    "CRH": lambda **into: pc.crh(NUMBERS, **into),
    "Majority vote": lambda **into: pc.majority_vote(DATA.log, **into),
    "ActiveLab": lambda **into: pc.activelab(DATA.log, DATA.pred_probs, **into),
}


@pytest.mark.parametrize("method", INTO)
def test_what_into_left_is_opened(method: str, tmp_path: Path) -> None:
    fit = INTO[method](into=tmp_path)
    found = pc.open_results(tmp_path)
    assert found.method == method
    assert repr(found).startswith(method)
    if isinstance(fit, Fit):
        assert_same_tables(found, fit, fit.ON_DEMAND)
        assert repr(found) == repr(fit)
    else:
        assert_frame_equal(getattr(found, found.tables[0]), fit)


@pytest.mark.parametrize("method", INTO)
def test_two_methods_do_not_share_a_directory(method: str, tmp_path: Path) -> None:
    other = "CRH" if method != "CRH" else "CROWDLAB"
    INTO[other](into=tmp_path)
    before = files_in(tmp_path)
    with pytest.raises(
        FileExistsError, match=rf"holds the results of {other}, and this is {method}"
    ):
        INTO[method](into=tmp_path)
    assert files_in(tmp_path) == before
    assert pc.open_results(tmp_path).method == other


def test_a_refused_run_leaves_the_results_there(tmp_path: Path) -> None:
    """Whatever is refused: what is given beside the log too."""
    data = pc.datasets.tutorial()
    pc.dawid_skene(data.log, into=tmp_path)
    before = files_in(tmp_path)
    strange = pl.DataFrame({"example": ["000"], "label": ["no class"]})
    with pytest.raises(pc.AnnotationError, match="not among the classes"):
        pc.dawid_skene(data.log, gold=strange, into=tmp_path)
    assert files_in(tmp_path) == before
    assert pc.open_results(tmp_path).converged


def test_a_run_does_not_overwrite_what_write_wrote(tmp_path: Path) -> None:
    fit_of("dawid_skene").write(tmp_path)
    with pytest.raises(FileExistsError, match=r"written by .write"):
        pc.dawid_skene(DATA.log, into=tmp_path)
    pc.dawid_skene(DATA.log, into=tmp_path / "into")
    with pytest.raises(FileExistsError, match="holds the results of a run"):
        fit_of("dawid_skene").write(tmp_path / "into", overwrite=True)


def test_tables_that_a_later_run_does_not_make_go(tmp_path: Path) -> None:
    fit = pc.crowdlab(DATA.log, DATA.pred_probs, into=tmp_path)
    assert fit.posterior.collect().height
    assert "posterior" in pc.open_results(tmp_path).tables
    del fit
    pc.crowdlab(DATA.log, DATA.pred_probs, into=tmp_path)
    assert "posterior" not in pc.open_results(tmp_path).tables
    assert files_of(tmp_path, "examples") == [*tmp_path.glob("*/examples/*")]
    assert not [*tmp_path.rglob("posterior")]


def test_files_of_others_stay_in_a_directory_of_results(tmp_path: Path) -> None:
    pc.crowdlab(DATA.log, DATA.pred_probs, into=tmp_path)
    (ours,) = files_of(tmp_path, "examples")
    theirs = ours.with_name("part-0009.parquet")
    pl.DataFrame({"example": ["theirs"]}).write_parquet(theirs)
    fit = pc.crowdlab(DATA.log, DATA.pred_probs, into=tmp_path)
    assert theirs.exists()
    assert not ours.exists()
    assert fit.examples.collect().height == DATA.log["example"].n_unique()


@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
def test_brackets_in_a_path(tmp_path: Path) -> None:
    pc.crowdlab(DATA.log, DATA.pred_probs, into=tmp_path / "out1")
    few = DATA.log.filter(pl.col("example") < "050")
    fit = pc.crowdlab(few, DATA.pred_probs, into=tmp_path / "out[1]")
    assert fit.examples.collect().height == few["example"].n_unique()


# --- CSV -------------------------------------------------------------------------------------------

CELLS = ["=1+2", "+x", "-y", "@sum", "\tz", "'=q", "''-r", "-1.5", "+3e4", "plain", "", "'", "a=b"]
"""Text, some of which a spreadsheet would run."""


def labelled(labels: list[str]) -> pl.DataFrame:
    rows = [(f"e{i}", a, label) for i, label in enumerate(labels) for a in ("=a", "b")]
    return pl.DataFrame(rows, schema=["example", "annotator", "label"], orient="row")


@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
def test_csv_runs_no_formulas(tmp_path: Path) -> None:
    fit = pc.wawa(labelled(CELLS))
    fit.write(tmp_path, "csv", names={"example": "=item"})
    raw = pl.read_csv(tmp_path / "examples.csv", infer_schema=False)
    kept = set(CELLS) - {"=1+2", "+x", "-y", "@sum", "\tz", "'=q", "''-r"}
    changed = {f"'{cell}" for cell in CELLS if cell not in kept}
    assert {*raw["consensus_label"]} == kept | changed
    assert raw.columns[0] == "'=item"
    found = pc.open_results(tmp_path).examples.collect()
    assert_frame_equal(found.rename({"=item": "example"}), fit.examples.collect())


@pytest.mark.filterwarnings("ignore:annotators agree on all")
def test_cells_that_are_changed_are_counted(tmp_path: Path) -> None:
    fit = pc.wawa(labelled(["x", "x", "=1+2", "=1+2", "=1+2", "-1.5", "-1.5", "-1.5"]))
    with pytest.warns(pc.AnnotationWarning, match="27 cells that a spreadsheet .* formulas=True"):
        fit.write(tmp_path, "csv")
    said = repr(pc.open_results(tmp_path)).splitlines()[0]
    assert said == f"{fit._header()}; 27 cells with an apostrophe, not to be run as a formula"
    fit.write(tmp_path, "csv", overwrite=True, formulas=True)
    assert repr(pc.open_results(tmp_path)) == repr(fit)


@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
def test_csv_with_formulas(tmp_path: Path) -> None:
    fit = pc.wawa(labelled(CELLS))
    fit.write(tmp_path, "csv", formulas=True)
    raw = pl.read_csv(tmp_path / "examples.csv", infer_schema=False)
    assert {*raw["consensus_label"]} == {*CELLS}
    assert_same_tables(pc.open_results(tmp_path), fit)


@given(st.lists(st.text("=+-@'\t\r\n\"; ,a1.", max_size=5), min_size=2, max_size=8))
@settings(max_examples=25)
@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
def test_text_survives_csv(tmp_path_factory: pytest.TempPathFactory, labels: list[str]) -> None:
    place = tmp_path_factory.mktemp("kept")
    fit = pc.wawa(labelled(labels))
    fit.write(place, "csv")
    found = pc.open_results(place)
    assert_frame_equal(found.examples, fit.examples)
    for line in pl.read_csv(place / "class_prior.csv", infer_schema=False)["label"]:
        assert line[:1] not in tuple("=+-@\t\r") or pl.Series([line]).cast(pl.Float64).len()


def test_sets_are_joined(tmp_path: Path) -> None:
    fit = pc.multilabel_crowdlab(SETS, SET_PROBS)
    fit.write(tmp_path, "csv")
    found = pc.open_results(tmp_path).examples.collect()
    sets = fit.examples.collect()["consensus_label"]
    assert found["consensus_label"].fill_null("").to_list() == [";".join(s) for s in sets]


def test_members_with_the_separator_in_them(tmp_path: Path) -> None:
    log = SETS.with_columns(tags=pl.lit(["a;b", "c"], pl.List(pl.String)))
    fit = pc.multilabel_crowdlab(log, SET_PROBS)
    fit.write(tmp_path / "1", "csv")
    assert pc.open_results(tmp_path / "1").annotations.collect()["tags"][0] == "a;b\nc"
    log = log.with_columns(tags=pl.lit(["a;b", "c\nd"], pl.List(pl.String)))
    with pytest.raises(pc.AnnotationError, match="annotations: lists in column 'tags'"):
        pc.multilabel_crowdlab(log, SET_PROBS).write(tmp_path / "2", "csv")


# --- workbooks -------------------------------------------------------------------------------------


def sheets_in(book: Path) -> dict[str, list[list[str]]]:
    """The text of a workbook's cells, by sheet."""
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(book) as files:
        texts = ["".join(t.itertext()) for t in ET.fromstring(files.read("xl/sharedStrings.xml"))]
        names = [
            s.attrib["name"]
            for s in ET.fromstring(files.read("xl/workbook.xml")).iter(f"{space}sheet")
        ]
        sheets = {}
        for number, name in enumerate(names, 1):
            root = ET.fromstring(files.read(f"xl/worksheets/sheet{number}.xml"))
            assert not list(root.iter(f"{space}f"))
            sheets[name] = [
                [_cell(cell, texts) for cell in row] for row in root.iter(f"{space}row")
            ]
    return sheets


def _cell(cell: ET.Element, texts: list[str]) -> str:
    value = "".join(cell.itertext())
    return texts[int(value)] if cell.attrib.get("t") == "s" else value


def test_a_workbook_has_a_sheet_per_table(tmp_path: Path) -> None:
    pytest.importorskip("xlsxwriter")
    fit = fit_of("dawid_skene")
    fit.write(tmp_path, "xlsx", names={"example": "item_id"})
    assert {*files_in(tmp_path)} == {MARK, "results.xlsx"}
    sheets = sheets_in(tmp_path / "results.xlsx")
    assert [*sheets] == [name for name in fit.TABLES if getattr(fit, name) is not None]
    header, *rows = sheets["examples"]
    assert header[:2] == ["item_id", "consensus_label"]
    examples = fit.examples.collect()
    assert [row[0] for row in rows] == examples["example"].to_list()
    assert [float(row[2]) for row in rows] == pytest.approx(
        examples["consensus_quality_score"].to_list()
    )
    with pytest.raises(ValueError, match="a workbook, which is for people"):
        pc.open_results(tmp_path)
    fit.write(tmp_path, overwrite=True)
    assert not (tmp_path / "results.xlsx").exists()


@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
def test_a_workbook_holds_texts_as_they_are(tmp_path: Path) -> None:
    pytest.importorskip("xlsxwriter")
    labels = ["=1+2", "http://x.y", "-1.5", "plain"]
    pc.wawa(labelled(labels)).write(tmp_path / "1", "xlsx")
    rows = sheets_in(tmp_path / "1" / "results.xlsx")["examples"][1:]
    assert sorted(row[1] for row in rows) == sorted(labels)
    large = labelled(labels).with_columns(pl.col("example").str.slice(1).cast(pl.Int64) + 2**60)
    pc.wawa(large).write(tmp_path / "2", "xlsx")
    rows = sheets_in(tmp_path / "2" / "results.xlsx")["examples"][1:]
    assert sorted(row[0] for row in rows) == [str(2**60 + i) for i in range(4)]


def test_sheets_of_sets(tmp_path: Path) -> None:
    pytest.importorskip("xlsxwriter")
    pc.multilabel_crowdlab(SETS, SET_PROBS).write(tmp_path, "xlsx")
    rows = sheets_in(tmp_path / "results.xlsx")["examples"]
    assert "x;y" in {row[1] for row in rows}


@pytest.mark.parametrize(
    ("sheet", "message"),
    [
        (pl.DataFrame({"id": ["ok", "a\x01b", "\x02"]}), "column 'id': 2 values with control char"),
        (pl.DataFrame({"id": ["x" * 32_768]}), "column 'id': 1 value with more than 32,767"),
        (pl.DataFrame({"a\x00": [1]}), "control characters"),
        (pl.DataFrame({"Cat": [1], "cat": [2]}), "the columns 'Cat', 'cat' have one name"),
        (pl.DataFrame({f"c{i}": [1] for i in range(16_385)}), "16,384 columns, and .* 16,385"),
        (
            pl.DataFrame({"n": pl.zeros(1_048_576, eager=True)}),
            "1,048,575 rows, and there are more",
        ),
    ],
)
def test_what_a_sheet_cannot_hold(sheet: pl.DataFrame, message: str) -> None:
    with pytest.raises(pc.AnnotationError, match=rf"examples.*{message}"):
        workbook.check_sheet("examples", sheet)


def test_what_does_not_fit_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xlsxwriter")
    monkeypatch.setattr(workbook, "ROWS", 10)
    with pytest.raises(pc.AnnotationError, match="examples: a sheet holds 10 rows"):
        fit_of("crh").write(tmp_path / "kept", "xlsx")
    assert list(tmp_path.iterdir()) == []


def test_a_workbook_needs_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(ImportError, match=r"polars-crowd\[excel\]"):
        fit_of("crh").write(tmp_path / "kept", "xlsx")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_was_moved_is_named(tmp_path: Path) -> None:
    """A fit that was pickled knows where its tables are: that they are there no more is said."""
    first = tmp_path / "first"
    kept = pickle.dumps(pc.dawid_skene(pc.datasets.tutorial().log, into=first))
    first.rename(tmp_path / "moved")
    with pytest.raises(pc.StoreError, match=r"first has no examples any more: it was moved"):
        pickle.loads(kept).examples.collect()
