"""What annotations are judged by: the others, a fit, known labels."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_crowd as pc
from polars_crowd.annotators.against import judged_sums
from polars_crowd.annotators.request import Judging
from polars_crowd.rounds.partitions import Partition
from tests.cases import Case, cases, log_of_rows, simulated

Cells = dict[tuple[Any, ...], float]


def cells_of(log: Any, **options: Any) -> Cells:
    """n[j,k,l], under the names of annotator and classes; first those of the groups."""
    opened = Judging(**options).open(log)
    merged = judged_sums(opened.rounds, opened.against, opened.grouping)
    frame = opened.named(merged[(*opened.grouping.keys, "annotator", "true_label", "label")])
    return {tuple(row[:-1]): row[-1] for row in frame.rows()}


def totals_of(log: Any, **options: Any) -> pl.DataFrame:
    opened = Judging(**options).open(log)
    return opened.named(judged_sums(opened.rounds, opened.against, opened.grouping)[("annotator",)])


def by_the_others(log: pl.DataFrame) -> Cells:
    """n[j,k,l], annotation by annotation."""
    found: Cells = defaultdict(float)
    rows = log.select("example", "annotator", "label").rows()
    for example, annotator, label in rows:
        others = Counter(k for e, a, k in rows if e == example and a != annotator)
        first = [k for k, n in others.items() if n == max(others.values())]
        for k in first:
            found[annotator, k, label] += 1 / len(first)
    return found


@given(cases(), st.data())
def test_the_others(case: Case, data: st.DataObject) -> None:
    log = case.log
    assert cells_of(log) == pytest.approx(by_the_others(log))
    again = log[data.draw(st.lists(st.integers(0, log.height - 1), max_size=5))]
    flipped = again.with_columns(label=(pl.col("label") + 1) % case.n_classes)
    log = pl.concat([log, again, flipped])
    assert cells_of(log, duplicates="all") == pytest.approx(by_the_others(log))


@given(cases(), st.integers(0, 3))
def test_known_labels(case: Case, seed: int) -> None:
    log, n = case.log.with_columns(pl.format("class {}", "label").alias("label")), len(case.labels)
    classes = [f"class {k}" for k in range(case.n_classes)]
    labels = np.random.default_rng(seed).choice(classes, n)
    truth = pl.DataFrame({"example": np.arange(n), "label": labels})
    expected: Counter[tuple[Any, ...]] = Counter()
    for row in log.join(truth.rename({"label": "true"}), on="example").iter_rows(named=True):
        expected[row["annotator"], row["true"], row["label"]] += 1
    assert cells_of(log, against=truth, classes=classes) == expected
    column = log.join(truth.rename({"label": "gold"}), on="example")
    assert cells_of(column, against="gold", classes=classes) == expected


@given(cases())
def test_a_posterior(case: Case) -> None:
    log = case.log
    posterior = pl.concat(
        [
            pl.DataFrame({"example": np.arange(len(p)), "label": k, "probability": p[:, k]})
            for p in case.models
            for k in range(case.n_classes)
        ]
    )
    expected: Cells = defaultdict(float)
    for row in log.join(posterior, on="example").iter_rows(named=True):
        expected[row["annotator"], row["label_right"], row["label"]] += row["probability"]
    classes = [*range(case.n_classes)]
    assert cells_of(log, against=posterior, classes=classes) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["others", "fit", "truth", "consensus"])
def test_partitions_and_single_annotations(tmp_path: Path, kind: str) -> None:
    data = simulated()
    fit = pc.dawid_skene(data.log)
    against = {
        "others": None,
        "fit": fit,
        "truth": data.truth.head(200),
        "consensus": fit.examples,
    }[kind]
    store = pc.AnnotationStore.create(tmp_path / "store", data.log, partitions=4)
    assert cells_of(store, against=against) == pytest.approx(cells_of(data.log, against=against))
    opened = Judging(against=against).open(data.log)
    part = Partition(opened.rounds.handles[0])
    correct = opened.against.of_part(part).correct
    rows = part.runs.rows.with_columns(correct)
    sums = rows.group_by("annotator").agg(pl.col("correct").count(), right=pl.col("correct").sum())
    found = totals_of(data.log, against=against)
    assert found["judged"].to_list() == sums.sort("annotator")["correct"].to_list()
    assert found["correct"].to_numpy() == pytest.approx(sums.sort("annotator")["right"].to_numpy())
    assert found["annotations"].sum() == data.log.height


def test_results_opened_again(tmp_path: Path) -> None:
    data = simulated()
    fit = pc.crowdlab(data.log, data.pred_probs, into=tmp_path / "results")
    opened = pc.open_results(tmp_path / "results")
    hard = pl.DataFrame(fit.examples.collect().select("example", label="consensus_label"))
    assert cells_of(data.log, against=opened) == cells_of(data.log, against=hard)
    pc.dawid_skene(data.log).write(tmp_path / "named", names={"example": "item", "label": "answer"})
    named = cells_of(data.log, against=pc.open_results(tmp_path / "named"))
    assert named == pytest.approx(cells_of(data.log, against=pc.dawid_skene(data.log)))


def test_groups_are_judged_by_the_whole_log() -> None:
    data = simulated()
    log = data.log.with_columns(
        half=pl.col("example").hash() % 2, odd=pl.col("annotator").hash() % 2
    )
    found = cells_of(log, by=["half", "odd"])
    summed: Cells = defaultdict(float)
    for (_, _, *cell), weight in found.items():
        summed[tuple(cell)] += weight
    assert summed == pytest.approx(cells_of(log))


def test_nobody_judges_alone() -> None:
    log = log_of_rows([(1, "a", "x"), (1, "b", "x"), (2, "a", "y"), (3, "a", "x"), (3, "a", "y")])
    found = totals_of(log, duplicates="all")
    assert found.rows() == [("a", 4, 1, 1.0), ("b", 1, 1, 1.0)]
    truth = pl.DataFrame({"example": [2, 9], "label": ["y", "x"]})
    with pytest.warns(pc.AnnotationWarning, match="1 of its 2 examples are not in the log"):
        found = totals_of(log, duplicates="all", against=truth)
    assert found.rows() == [("a", 4, 1, 1.0), ("b", 1, 0, 0.0)]


def test_what_cannot_be_judged_by() -> None:
    log = log_of_rows([(1, "a", "x"), (1, "b", "y")])
    fit = pc.mean_truth(log_of_rows([(1, "a", 1.0), (1, "b", 2.0)]))
    with pytest.raises(ValueError, match="says no labels of classes"):
        cells_of(log, against=fit)
    wrong = {
        "none of its 1 example": [(7, "x")],
        "not among": [(1, "z")],
        "more than": [(1, "x")] * 2,
    }
    for match, rows in wrong.items():
        truth = pl.DataFrame(rows, schema=["example", "label"], orient="row")
        with pytest.raises(pc.AnnotationError, match=match):
            cells_of(log, against=truth)
    half = pl.DataFrame({"example": [1], "label": ["x"], "probability": [0.5]})
    with pytest.raises(pc.AnnotationError, match="does not add up to 1"):
        cells_of(log, against=half)


@pytest.mark.filterwarnings(
    "ignore:column 'label' of the log may not hold:polars_crowd.AnnotationWarning"
)
def test_labels_that_are_all_different_are_refused_before_they_are_compared() -> None:
    log = pl.DataFrame({"example": 1, "annotator": range(2000), "label": range(2000)}).with_columns(
        label=pl.format("class {}", "label")
    )
    with pytest.raises(
        pc.MemoryLimitError, match="4,000,000 pairs of labels of one example take about"
    ):
        cells_of(log, memory_limit="100MB")
    posterior = pl.DataFrame({"example": 1, "label": log["label"], "probability": 1 / 2000})
    with pytest.raises(pc.MemoryLimitError, match="4,000,000 pairs"):
        cells_of(log, against=posterior, memory_limit="100MB")
