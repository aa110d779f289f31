"""Groups: any name, any value, and frames that are of this log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.reliability import coincidences, one_vs_rest, report
from tests.cases import assert_same
from tests.reliability.agreement_cases import published

INSIDE = (
    *("e1", "e2", "e3", "u", "group", "pattern", "examples", "annotations", "first", "second"),
    *(
        "cell",
        "key",
        "place",
        "by_0",
        "by_1",
        "vote",
        "votes",
        "n",
        "v",
        "times",
        "other_key",
        "unit",
    ),
)
"""What tables of counts call their own columns."""
FUNCTIONS = {
    pc.agreement: report.COLUMNS,
    pc.disagreements: coincidences.COLUMNS,
    pc.agreement_by_class: one_vs_rest.OF_CLASS,
}


def grouped(name: str = "site") -> pl.DataFrame:
    """Two annotators, and groups of examples and of annotations."""
    log = published("irr_vision")
    third = pl.col("example").rank("dense") % 3
    return log.with_columns(third.alias(name), half=third.cum_count() % 2)


def measured(log: Any, name: str) -> list[pl.DataFrame]:
    """Every table, by a column of the log and one more."""
    by = [name, "half"]
    tables = [pc.agreement(log, by=by, coefficients="all"), pc.disagreements(log, by=by)]
    return [*tables, pc.agreement_by_class(log, by=by)]


@pytest.fixture(scope="module")
def by_site() -> list[pl.DataFrame]:
    return measured(grouped(), "site")


@pytest.mark.parametrize("name", INSIDE)
def test_a_group_column_of_any_name(name: str, by_site: list[pl.DataFrame]) -> None:
    for found, expected in zip(measured(grouped(name), name), by_site, strict=True):
        assert_same(found, expected.rename({"site": name}), 0.0)


def test_names_in_stores_and_frames(tmp_path: Path) -> None:
    log = grouped("e1")
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=3)
    for found, expected in zip(measured(store, "e1"), measured(log, "e1"), strict=True):
        assert_same(found, expected)
    keyed = log.select("example", label=pl.col("e1")).unique()
    found = pc.agreement(log, by=keyed, coefficients="all")
    assert_same(found, pc.agreement(log, by="e1", coefficients="all").rename({"e1": "label"}))


@pytest.mark.parametrize(
    ("function", "name"), [(f, name) for f, columns in FUNCTIONS.items() for name in columns]
)
def test_a_name_of_the_result_is_refused(function: Any, name: str) -> None:
    log = grouped()
    by = log.select("example", pl.col("site").alias(name)).unique() if name == "label" else name
    with pytest.raises(
        pc.AnnotationError, match=f"'{name}' is a column of the result. Give the gr"
    ):
        function(log.rename({} if name == "label" else {"site": name}), by=by)


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(pc.AnnotationError, match="by: 'site' is given twice"):
        pc.agreement(grouped(), by=["site", "site"])


def test_a_group_may_be_nan_or_null() -> None:
    log = grouped()
    values = pl.Series([None, float("nan"), 1.5])
    odd = log.with_columns(site=pl.lit(values).gather(pl.col("site")))
    options: dict[str, Any] = {"coefficients": "all", "interval": "bootstrap", "n_boot": 20}
    found = pc.agreement(odd, by="site", **options)
    assert found["site"].unique(maintain_order=True).to_list()[:2] == [None, 1.5]
    for code, value in enumerate(values):
        same = pl.col("site").eq_missing(pl.lit(value, pl.Float64))
        alone = pc.agreement(
            log.filter(site=code), coefficients="all", classes=sorted(log["label"].unique())
        )
        rows = found.filter(same)
        assert_same(
            rows.select("coefficient", "value", "num_examples"),
            alone.select("coefficient", "value", "num_examples"),
        )


@pytest.mark.parametrize("kind", ["example", "annotator"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_frame_of_something_else_is_refused(function: Any, kind: str) -> None:
    for ids in (["p", "q"], [10**6, 10**6 + 1]):
        frame = pl.DataFrame({kind: ids, "pool": ["x", "y"]})
        with pytest.raises(pc.AnnotationError) as error:
            function(grouped(), by=["half", frame])
        assert (
            f"by: none of its 2 {kind}s is in the log. In by: {ids[0]!r}, {ids[1]!r}; in the log: "
            in str(error.value)
        )


@pytest.mark.parametrize("kind", ["example", "annotator"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_ids_of_a_frame_that_are_not_in_the_log_are_counted(function: Any, kind: str) -> None:
    ids = [*grouped()[kind].unique(), "nobody", "none"]
    frame = pl.DataFrame({kind: ids, "pool": "x"})
    said = f"by: 2 {kind}s of {len(ids):,} rows match none of the log and have no effect: 'nobody', 'none'"
    with pytest.warns(pc.AnnotationWarning, match=said):
        function(grouped(), by=frame)
