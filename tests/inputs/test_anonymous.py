"""Annotators of whom nobody knows who they are: what takes such logs, what refuses them, what keeps it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import polars_crowd as pc
from polars_crowd.inputs.anonymous import is_anonymous
from tests.cli.commands import refused, run, succeeded

ROWS = pl.DataFrame(
    {"example": [1, 1, 2, 2, 2, 3, 3], "label": ["x", "x", "x", "y", "y", "y", None]}
)
KNOWN = ROWS.with_columns(annotator=pl.int_range(pl.len()).over("example"))
LOG = pc.scan_annotations(ROWS, annotator=None)
PROBS = pl.DataFrame({"example": [1, 2, 3], "x": [0.9, 0.4, 0.2], "y": [0.1, 0.6, 0.8]})
NUMBERS = LOG.with_columns(label=pl.lit(2.5))

TAKES: dict[str, Callable[[Any], Any]] = {
    "majority_vote": lambda log: pc.majority_vote(log).collect(),
    "example_agreement": lambda log: pc.example_agreement(log).collect(),
    "disagreements": pc.disagreements,
    "agreement_by_class": pc.agreement_by_class,
    "percent": pc.percent_agreement,
    "fleiss": pc.fleiss_kappa,
    "alpha": pc.krippendorff_alpha,
    "ac1": pc.gwet_ac1,
    "ac2": lambda log: pc.gwet_ac2(log, weights="linear", classes=["x", "y"]),
    "brennan": pc.brennan_prediger,
    "bootstrap": lambda log: pc.gwet_ac1(log, interval="bootstrap", n_boot=50),
    "difference": lambda log: pc.agreement_difference(
        log, coefficient="gwet_ac1", other="fleiss_kappa"
    ),
}
REFUSES: dict[str, Callable[[Any], Any]] = {
    "conger": pc.conger_kappa,
    "cohen": pc.cohen_kappa,
    "scott": pc.scott_pi,
    "light": pc.light_kappa,
    "icc(A,1)": lambda log: pc.agreement(log, coefficients="icc(A,1)"),
    "pairwise": pc.pairwise_agreement,
    "by_annotator": pc.agreement_by_annotator,
    "crowdlab": lambda log: pc.crowdlab(log, PROBS),
    "activelab": lambda log: pc.activelab(log, PROBS),
    "compare": pc.compare,
    "dawid_skene": pc.dawid_skene,
    "wawa": pc.wawa,
    "glad": pc.glad,
    "mace": pc.mace,
    "kos": pc.kos,
}


@pytest.mark.parametrize("name", TAKES)
def test_what_does_not_ask_who_voted(name: str) -> None:
    anonymous, known = (TAKES[name](log) for log in (LOG, KNOWN))
    lost = [c for c in known.columns if c == "num_annotators"]
    assert_frame_equal(anonymous.drop(lost), known.drop(lost))
    if lost:
        assert anonymous["num_annotators"].null_count() == anonymous.height


@pytest.mark.parametrize("name", REFUSES)
def test_what_asks_who_voted(name: str) -> None:
    with pytest.raises(
        pc.AnnotationError, match=r"annotators are anonymous .* asks who gave which"
    ):
        REFUSES[name](LOG)


def test_numbers_too() -> None:
    for method in (pc.crh, pc.catd, pc.gaussian_truth, pc.mean_truth):
        with pytest.raises(pc.AnnotationError, match="annotators are anonymous"):
            method(NUMBERS)
    assert pc.icc(NUMBERS)["reason"].to_list() == ["the labels do not vary"]


def test_sets_of_classes_too() -> None:
    sets = LOG.with_columns(pl.concat_list("label"))
    with pytest.raises(pc.AnnotationError, match="annotators are anonymous"):
        pc.multilabel_crowdlab(sets, PROBS)
    known = KNOWN.drop_nulls().with_columns(pl.concat_list("label"))
    found, expected = pc.multilabel_agreement(sets), pc.multilabel_agreement(known)
    assert_frame_equal(found.drop("num_annotators"), expected.drop("num_annotators"))
    with pytest.raises(pc.AnnotationError, match="a row per chosen class"):
        pc.multilabel_agreement(LOG)


def test_a_table_says_which_of_its_rows_ask() -> None:
    found = pc.agreement(LOG, coefficients=["fleiss", "conger", "cohen"])
    assert found["value"].is_null().to_list() == [False, True, True]
    assert set(found["reason"]) == {
        None,
        "asks who gave which label, and the annotators are anonymous",
    }


@pytest.mark.parametrize("ending", ["parquet", "ipc"])
def test_files_keep_it(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"log.{ending}"
    getattr(LOG, f"sink_{ending}")(path)
    again = pc.scan_annotations(path)
    assert is_anonymous(again.collect_schema()["annotator"])
    assert_frame_equal(pc.agreement(again), pc.agreement(LOG))
    assert is_anonymous(pc.scan_annotations(path, annotator=None).collect_schema()["annotator"])
    twice = pc.scan_annotations([path, path]).collect()
    assert twice.select("example", "annotator").is_unique().all()
    with pytest.raises(pc.AnnotationError, match="anonymous annotators in one part"):
        pc.scan_annotations([path, KNOWN.cast({"annotator": pl.String})])
    assert is_anonymous(pc.scan_annotations(LOG.collect().to_arrow()).collect_schema()["annotator"])


@pytest.mark.parametrize("partitions", [1, 3])
def test_stores_keep_it(partitions: int, tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", LOG, partitions=partitions)
    assert "anonymous annotators" in repr(store)
    assert_frame_equal(pc.agreement(store), pc.agreement(LOG))
    with pytest.raises(pc.AnnotationError, match="annotators are anonymous"):
        pc.dawid_skene(store)
    store.append(LOG)
    both = pc.scan_annotations(pl.concat([ROWS, ROWS]), annotator=None)
    assert_frame_equal(pc.agreement(store), pc.agreement(both))
    held = store.scan_annotations().collect()
    assert held.select("example", "annotator").is_unique().all()
    with pytest.raises(
        pc.AnnotationError, match="of the store are anonymous, those of the log are"
    ):
        store.append(KNOWN.cast({"annotator": pl.String}))


def test_names_that_are_there_are_not_dropped() -> None:
    with pytest.raises(pc.AnnotationError, match="has a column 'annotator', and is to have"):
        pc.scan_annotations(KNOWN, annotator=None)
    with pytest.raises(pc.AnnotationError, match="annotator=None"):
        pc.majority_vote(ROWS)
    with pytest.raises(ValueError, match="nobody labels an example again"):
        pc.majority_vote(LOG, duplicates="last")


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("xyz")), min_size=1, max_size=30))
def test_numbers_are_within_the_example(rows: list[tuple[int, str]]) -> None:
    log = pc.scan_annotations(
        pl.DataFrame(rows, ["example", "label"], orient="row"), annotator=None
    ).collect()
    for (_,), of_example in log.group_by("example"):
        numbers = [f"#{k}" for k in range(1, of_example.height + 1)]
        assert sorted(of_example["annotator"].to_list()) == sorted(numbers)


def test_the_command(tmp_path: Path) -> None:
    ROWS.write_csv(tmp_path / "log.csv")
    found = succeeded("agreement", tmp_path / "log.csv", "--annotator", "-", "--format", "csv")
    assert pl.read_csv(found.encode())["coefficient"].to_list()[2] == "conger_kappa"
    into = tmp_path / "out"
    assert run("consensus", tmp_path / "log.csv", "--annotator", "-", "--into", into).exit_code == 0
    said = refused(
        *("consensus", tmp_path / "log.csv", "--annotator", "-"),
        *("-m", "dawid-skene", "--into", into, "--force"),
    )
    assert "annotators are anonymous" in said
    assert "--annotator NAME" in said
