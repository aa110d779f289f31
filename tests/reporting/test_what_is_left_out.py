"""Charts of much: what does not fit is left out by a rule, counted and said; the numbers are those of all."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import polars_crowd as pc
from polars_crowd.errors import AnnotationError
from polars_crowd.reporting.charts import classes, overlap, posteriors
from tests.reporting.chart_cases import (
    Shared,
    a_fit,
    a_queue,
    a_truth,
    rows_of,
    shared,
    windows,
)

SMALL = 300_000


def said(chart: Any) -> str:
    return " ".join(chart.to_dict()["title"]["subtitle"])


def many(n_annotators: int = 2000, n_classes: int = 60) -> pl.DataFrame:
    """The confusion of many annotators, worse the later."""
    rng = np.random.default_rng(0)
    names = [f"{k:03}" for k in range(n_classes)]
    cells = pl.DataFrame({"true_label": np.repeat(names, n_classes), "label": names * n_classes})
    of_all = rng.integers(0, 40, cells.height) * rng.random(cells.height)
    cells = cells.with_columns(num_annotations=pl.Series(of_all))
    return cells.join(pl.DataFrame({"annotator": ["a", "b"]}), how="cross")


def test_the_most_confused_classes_are_shown_and_the_others_counted() -> None:
    table = many()
    chart = pc.plot.confusion(table)
    rows = pl.DataFrame(rows_of(chart))
    assert rows.height == classes.MOST_CLASSES**2
    assert "The 12 most confused of 60 classes; the others have" in said(chart)
    whole = table.group_by("true_label").agg(pl.col("num_annotations").sum())
    of_one = rows.filter(true_name=rows["true_name"][0]).sort("count").row(-1, named=True)
    total = whole.filter(true_label=of_one["true_name"])["num_annotations"].item()
    assert of_one["share"] == pytest.approx(of_one["count"] / total)


def test_confusions_of_one_annotator_are_theirs() -> None:
    table = a_fit().confusion
    one = table["annotator"][0]
    cells = classes.class_cells(a_fit(), one)
    own = table.filter(annotator=one)
    assert cells["count"].to_list() == own["num_annotations"].to_list()
    shares = cells.group_by("true_label").agg(pl.col("share").sum())["share"]
    assert shares.to_list() == pytest.approx([1.0] * len(shares))


def test_pairs_of_classes_are_the_largest_cells_off_the_diagonal() -> None:
    rows = rows_of(pc.plot.class_confusions(many()))
    table = many().filter(pl.col("true_label") != pl.col("label"))
    sums = table.group_by("true_label", "label").agg(pl.col("num_annotations").sum())
    largest = sums["num_annotations"].sort(descending=True).head(classes.MOST_PAIRS)
    assert [row["count"] for row in rows] == pytest.approx(largest.to_list())


def test_annotators_are_the_worst_and_the_rest_is_said() -> None:
    table = pl.DataFrame({"annotator": range(5000), "num_annotations": 10}).with_columns(
        accuracy=pl.col("annotator") / 10000, accuracy_low=0.0, accuracy_high=1.0
    )
    chart = pc.plot.annotator_quality(table.sample(fraction=1.0, shuffle=True, seed=0))
    assert [row["name"] for row in rows_of(chart)] == [str(k) for k in range(30)]
    assert "The 30 least accurate of 5,000 annotators; the others are at 0.00 or better." in said(
        chart
    )


def test_flags_of_a_report_are_shown() -> None:
    class Report:
        annotators = pl.DataFrame(
            {"annotator": ["a", "b"], "accuracy": [0.5, 0.9], "accuracy_low": [0.4, 0.8]}
        ).with_columns(accuracy_high=pl.col("accuracy") + 0.1, num_annotations=20)
        flags = pl.DataFrame({"annotator": ["a"], "flag": ["spam"]})

    kinds = {row["name"]: row["kind"] for row in rows_of(pc.plot.annotator_quality(Report()))}
    assert kinds == {"a": "flagged", "b": "not flagged"}


def test_wilson_is_the_interval_of_those_without_one() -> None:
    row = rows_of(
        pc.plot.annotator_quality(
            pl.DataFrame(
                {"annotator": ["a"], "annotator_quality": [1.0], "num_examples_labeled": [5]}
            )
        )
    )[0]
    assert (round(row["low"], 2), row["high"]) == (0.57, 1.0)


def test_components_are_shown_in_turn() -> None:
    found = shared(n=48, components=3)
    many_alone = found.annotators.height + np.arange(100)
    alone = pl.DataFrame({"annotator": [f"z{k}" for k in many_alone], "component": many_alone})
    chart = pc.plot.overlap(Shared(pl.concat([found.annotators, alone]), found.pairs))
    nodes = [row for row in rows_of(chart) if row["x"] is not None]
    assert len(nodes) == overlap.MOST_NODES
    assert "103 components" in said(chart)
    assert "100 of one annotator" in said(chart)
    assert "The 40 best or barely connected of 148 annotators" in said(chart)
    places = {(round(row["x"], 6), round(row["y"], 6)) for row in nodes}
    assert len(places) == len(nodes)


def test_windows_that_are_taken_together_keep_the_mean() -> None:
    table = windows()
    rows = pl.DataFrame(rows_of(pc.plot.drift(table)), infer_schema_length=None)
    first = rows.filter(pl.col("place") == 0)
    weight = pl.col("num_annotations")
    mean = (pl.col("accuracy") * weight).sum() / weight.sum()
    of_first = table.filter(annotator=table["annotator"][0])
    assert first.select(mean).item() == pytest.approx(of_first.select(mean).item())
    assert first["name"][0] == table["annotator"][0]
    assert first["alarm"].any()


def test_calibration_is_the_share_right_of_each_bin() -> None:
    rows = posteriors.reliability(a_fit(), a_truth())
    both = a_fit().examples.collect().join(a_truth(), on="example")
    for bin_, score, right, n in rows.iter_rows():
        own = both.filter((both["consensus_quality_score"] * 10).floor().clip(0, 9) == bin_)
        assert n == own.height
        assert score == pytest.approx(own["consensus_quality_score"].mean())
        assert right == pytest.approx((own["consensus_label"] == own["label"]).mean())


def test_known_labels_of_other_examples_are_said() -> None:
    truth = pl.concat([a_truth(), pl.DataFrame({"example": ["nowhere"], "label": ["0"]})])
    with pytest.warns(pc.AnnotationWarning, match="1 of its 297 examples are not in the log"):
        pc.plot.calibration(a_fit(), truth)
    with pytest.raises(AnnotationError, match="none of its"):
        pc.plot.calibration(a_fit(), truth.tail(1))


@pytest.mark.parametrize("confidence", ["cautious", "loo"])
def test_what_was_tempered_is_untempered(confidence: Any) -> None:
    log = a_fit().annotations.select("example", "annotator", "label").collect()
    tempered, model = (pc.dawid_skene(log, confidence=c) for c in (confidence, "model"))
    sure = posteriors.certainties(tempered.posterior, tempered.confidence_exponent)
    expected = model.posterior.group_by("example").agg(model=pl.col("probability").max())
    assert_frame_equal(
        sure.select("example", "model").sort("example").collect(),
        expected.sort("example").collect(),
        abs_tol=1e-6,
    )


def test_the_queue_counts_every_example() -> None:
    rows = rows_of(pc.plot.queue(a_queue()))
    assert sum(row["count"] for row in rows) == a_queue().height
    assert {row["so_far"] for row in rows} >= {"none", "three or more"}
    scores = pc.plot.queue(a_queue().drop("num_annotations"))
    assert sum(row["count"] for row in rows_of(scores)) == a_queue().height


def test_a_million_rows_are_a_small_chart() -> None:
    n = 1_000_000
    rng = np.random.default_rng(0)
    log = pl.DataFrame(
        {
            "example": rng.integers(0, n // 4, n),
            "annotator": rng.integers(0, 20_000, n),
            "label": rng.integers(0, 50, n),
        }
    )
    chart = pc.plot.labels_per_example(log)
    assert len(json.dumps(chart.to_dict())) < SMALL
    assert sum(row["examples"] for row in rows_of(chart)) == log["example"].n_unique()
    examples = pl.DataFrame({"consensus_quality_score": rng.random(n)})
    chart = pc.plot.consensus_quality(examples)
    assert len(json.dumps(chart.to_dict())) < SMALL
    assert sum(row["count"] for row in rows_of(chart)) == n


@pytest.mark.parametrize("name", pc.plot.__all__)
def test_what_is_no_result_is_refused(name: str) -> None:
    draw = getattr(pc.plot, name)
    more = {"truth": a_truth()} if name == "calibration" else {}
    for wrong in (None, 3, pl.DataFrame({"x": [1]}), object()):
        with pytest.raises((AnnotationError, TypeError, ValueError)) as caught:
            draw(wrong, **more)
        assert not isinstance(caught.value, pl.exceptions.PolarsError)
