"""Agreement of annotators with themselves."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import cohen_kappa_score

import polars_crowd as pc
from tests.cases import assert_same


def twice(seed: int = 0) -> pl.DataFrame:
    """Three annotators on 40 examples; on most of them they are asked again."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, 40)
    rows = [
        (i, f"a{j}", int(truth[i] if rng.random() < 0.6 + 0.1 * j else rng.integers(0, 3)))
        for _ in range(2)
        for i in range(40)
        for j in range(3)
        if rng.random() < 0.8
    ]
    return pl.DataFrame(rows, schema=["example", "annotator", "label"], orient="row")


def test_each_annotator_first_time_against_second() -> None:
    log = twice()
    found = pc.intra_rater_agreement(log, coefficients=["percent_agreement", "cohen_kappa"])
    assert found["annotator"].to_list() == ["a0", "a0", "a1", "a1", "a2", "a2"]
    values = iter(found.select("value", "num_examples").rows())
    for annotator in ("a0", "a1", "a2"):
        labels = (
            log.filter(annotator=annotator).group_by("example", maintain_order=True).agg("label")
        )
        first, second = zip(*(x for x in labels["label"].to_list() if len(x) > 1), strict=True)
        share = np.mean(np.array(first) == np.array(second))
        assert next(values) == (pytest.approx(share), len(first))
        assert next(values) == (pytest.approx(cohen_kappa_score(first, second)), len(first))


def test_all_together() -> None:
    log = pl.concat([twice(0), twice(1)])  # up to four times
    found = pc.intra_rater_agreement(log, by=None, coefficients="percent_agreement").row(
        0, named=True
    )
    shares = [
        np.mean([a == b for a, b in combinations(labels, 2)])
        for labels in log.group_by("example", "annotator").agg("label")["label"].to_list()
        if len(labels) > 1
    ]
    assert found["value"] == pytest.approx(np.mean(shares))
    assert (found["num_examples"], found["num_annotators"]) == (len(shares), 4)


def test_a_store(tmp_path: Path) -> None:
    log = twice()
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=3, duplicates="all")
    assert_same(pc.intra_rater_agreement(store), pc.intra_rater_agreement(log))


def test_nothing_to_compare() -> None:
    once = twice().unique(["example", "annotator"])
    with pytest.raises(pc.AnnotationError, match="nobody labelled an example more than once"):
        pc.intra_rater_agreement(once)
    nobody = pc.scan_annotations(twice().drop("annotator"), annotator=None)
    with pytest.raises(pc.AnnotationError, match="anonymous"):
        pc.intra_rater_agreement(nobody)
