"""Charts of what is said of annotators: of the real reports, as of frames with their columns."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from tests.reporting.chart_cases import a_log, rows_of


@cache
def a_report(by: str | None = None) -> Any:
    log = a_log().with_columns(half=pl.col("example") < "150")
    return pc.annotator_report(log, by=by)


def test_accuracies_are_those_of_the_report() -> None:
    report = a_report()
    rows = rows_of(a_report().plot())
    worst = report.annotators.drop_nulls("accuracy").sort("accuracy", "annotator").head(len(rows))
    assert [row["name"] for row in rows] == worst["annotator"].to_list()
    ends = worst.select(value="accuracy", low="accuracy_low", high="accuracy_high", n="num_judged")
    assert [{k: row[k] for k in ends.columns} for row in rows] == ends.to_dicts()
    flagged = report.flags.filter(pl.col("flag") != "few")["annotator"]
    assert {row["name"] for row in rows if row["kind"] == "flagged"} == set(
        flagged.filter(flagged.is_in(worst["annotator"].implode()))
    )


def test_a_report_by_groups_names_them() -> None:
    report = a_report("half")
    rows = rows_of(report.plot())
    assert len({row["name"] for row in rows}) == len(rows)
    assert all(row["name"].endswith(("(true)", "(false)", "(True)", "(False)")) for row in rows)


def test_confusions_of_a_report_have_every_cell() -> None:
    report = a_report()
    who = report.annotators["annotator"][0]
    rows = rows_of(report.plot("confusion", annotator=who))
    assert len(rows) == 9
    own = report.confusion.filter(annotator=who)
    assert sum(row["count"] for row in rows) == pytest.approx(own["num_annotations"].sum())
    assert {row["percent"] for row in rows if not row["count"]} <= {""}


def test_the_graph_is_that_of_the_overlap() -> None:
    shared = {"abc": 2, "cd": 1, "def": 3, "xy": 1}
    names = [(who, k) for who, n in shared.items() for k in range(n)]
    log = pl.DataFrame({"who": [who for who, _ in names]}).with_row_index("example")
    log = log.select("example", annotator=pl.col("who").str.split(""), label=pl.lit(0))
    found = pc.overlap(log.explode("annotator", empty_as_null=True, keep_nulls=True))
    rows = rows_of(found.plot())
    edges = {(row["name_1"], row["name_2"]): row for row in rows if row["name_1"]}
    pairs = found.pairs.rows_by_key(["annotator_1", "annotator_2"], named=True, unique=True)
    assert {pair: row["n"] for pair, row in edges.items()} == {
        pair: row["num_examples"] for pair, row in pairs.items()
    }
    assert {pair for pair, row in edges.items() if row["only"]} == {("c", "d"), ("x", "y")}
    places = {row["name"]: (row["x"], row["y"]) for row in rows if row["name"]}
    assert set(places) == set("abcdefxy")
    for (one, other), row in edges.items():
        assert (row["x_1"], row["y_1"], row["x_2"], row["y_2"]) == (*places[one], *places[other])
    components = {row["name"]: row["component"] for row in rows if row["name"]}
    assert components["x"] == components["y"] != components["a"]


def test_reports_that_were_opened_have_the_same_chart(tmp_path: Path) -> None:
    a_report().write(tmp_path / "report")
    kept = pc.open_results(tmp_path / "report")
    assert kept.plot().to_dict() == a_report().plot().to_dict()


def test_judges_are_drawn_as_they_are_reported() -> None:
    log = a_log().with_columns(label=pl.col("label").cast(pl.Int64))
    found = pc.judge_report(log, judges=["A0001", "A0050"])
    rows = rows_of(found.plot())
    expected = found.judges.sort("kappa", descending=True)
    columns = {"name": "annotator", "value": "kappa", "low": "kappa_low", "high": "kappa_high"}
    assert [{k: row[k] for k in columns} for row in rows] == expected.select(**columns).to_dicts()
    by_share = rows_of(found.plot("judge_agreement", measure="agreement"))
    assert {row["value"] for row in by_share} == set(found.judges["agreement"])


@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
def test_drift_is_drawn_as_it_is_reported(zone: str | None) -> None:
    made = pc.simulate.simulate_annotations(
        n_examples=400, n_annotators=4, annotations_per_example=3, accuracy=0.9, seed=1
    ).log
    weeks = pl.int_range(pl.len()) * 12 // pl.len()
    late = (pl.col("annotator") == "a0001") & (weeks > 5)
    log = made.with_columns(
        timestamp=pl.datetime(2026, 1, 5, time_zone=zone) + pl.duration(days=weeks * 7),
        label=pl.when(late).then(pl.lit(0).cast(made["label"].dtype)).otherwise("label"),
    )
    found = pc.annotator_drift(log)
    rows = [row for row in rows_of(found.plot()) if "name" in row]
    drawn = {(row["name"], row["window"]): row["accuracy"] for row in rows}
    clock = pl.col("window").dt.strftime("%Y-%m-%dT%H:%M:%S")
    reported = found.windows.drop_nulls("accuracy").with_columns(clock)
    assert drawn == pytest.approx(
        dict(zip(reported.select("annotator", "window").rows(), reported["accuracy"], strict=True))
    )
    assert {row["name"] for row in rows if row["alarm"]} == set(found.alarms["annotator"])
    assert rows[0]["window"].endswith("T00:00:00")
