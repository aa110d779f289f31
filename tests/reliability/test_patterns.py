"""Patterns of votes, in whatever form they are counted, against counts example by example."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import polars_crowd as pc
from polars_crowd.reliability import conger, patterns
from polars_crowd.reliability.patterns import count_patterns, decode
from polars_crowd.reliability.registry import KNOWN
from polars_crowd.reliability.request import Request

EVERYONE, BY = 40, {"nothing": None, "example": "parity", "annotation": "side"}


def random_log(n_classes: int, most: int) -> pl.DataFrame:
    """30 examples of 1 to `most` annotations, two of which agree more often than not; with groups."""
    rng = np.random.default_rng([n_classes, most])
    sizes = np.append(rng.integers(1, most + 1, 29), most)
    example = np.repeat(np.arange(30), sizes)
    annotator = np.concatenate([rng.permutation(EVERYONE)[:size] for size in sizes])
    label = np.where(
        rng.random(len(example)) < 0.5, example, rng.integers(0, 1 << 30, len(example))
    )
    log = pl.DataFrame({"example": example, "annotator": annotator, "label": label % n_classes})
    return log.with_columns(parity=pl.col("example") % 2, side=pl.col("annotator") % 2)


def counted(log: pl.DataFrame, by: str | None, n_classes: int) -> tuple[Counter[Any], Counter[Any]]:
    """The examples of each pattern, and the annotations by annotator and label, by group."""
    request = Request((KNOWN["fleiss_kappa"],), classes=list(range(n_classes)), by=by)
    rounds, grouping = request.open(log)
    merged = rounds.run(count_patterns, grouping)
    found = merged[(*grouping.keys, "pattern")]
    label, votes, lengths = decode(found["pattern"])
    cuts = np.cumsum(lengths)[:-1]
    units = zip(np.split(label, cuts), np.split(votes, cuts), strict=True)
    groups = found[grouping.keys[0]].to_list() if grouping.keys else [None] * found.height
    of_patterns: Counter[Any] = Counter()
    for group, (labels, n), examples in zip(groups, units, found["examples"], strict=True):
        of_patterns[group, tuple(labels), tuple(n)] += examples
    assert len(of_patterns) == found.height
    cells, annotators = merged[(*grouping.keys, "annotator", "label")], rounds.book.annotators
    group = grouping.keys[0] if by else pl.lit(None).alias("group")
    names = pl.lit(annotators).gather("annotator").alias("annotator")
    rows = cells.select(group, names, "label", "annotations").rows()
    return of_patterns, Counter({tuple(key): n for *key, n in rows})


def by_hand(log: pl.DataFrame, by: str | None) -> tuple[Counter[Any], Counter[Any]]:
    """The same, from one row after another."""
    votes: dict[Any, Counter[int]] = {}
    of_labels: Counter[Any] = Counter()
    for row in log.iter_rows(named=True):
        group = row[by] if by else None
        votes.setdefault((group, row["example"]), Counter())[row["label"]] += 1
        of_labels[group, row["annotator"], row["label"]] += 1
    of_patterns = Counter((g, *zip(*sorted(n.items()), strict=True)) for (g, _), n in votes.items())
    return of_patterns, of_labels


@pytest.mark.parametrize("by", BY.values(), ids=BY)
@pytest.mark.parametrize(
    ("n_classes", "most"),
    [(2, 5), (21, 7), (22, 7), (200, 5), (200, 40)],
    ids=["few classes", "63 bits", "66 bits", "many classes", "more than an integer holds"],
)
def test_every_form_of_pattern(n_classes: int, most: int, by: str | None) -> None:
    log = random_log(n_classes, most)
    assert counted(log, by, n_classes) == by_hand(log, by)


@pytest.mark.parametrize("by", BY.values(), ids=BY)
def test_without_a_table_of_annotators_and_labels(by: str | None, monkeypatch: Any) -> None:
    log = random_log(4, 9)
    expected = pc.agreement(log, coefficients=["conger_kappa", "gwet_ac1"], by=by)
    monkeypatch.setattr(patterns, "DENSE", 1)
    monkeypatch.setattr(conger, "DENSE", 1)
    found = pc.agreement(log, coefficients=["conger_kappa", "gwet_ac1"], by=by)
    assert_frame_equal(found, expected, rel_tol=1e-12, abs_tol=1e-12)


def test_a_group_is_as_exact_as_alone() -> None:
    """What an annotation adds to chance agreement is up to a million times as much in another group."""
    rng = np.random.default_rng(0)
    many = pl.DataFrame({"example": np.arange(40_000) // 2, "annotator": np.arange(40_000) % 2})
    many = many.with_columns(
        annotator=pl.when(pl.col("example") == 0).then(2).otherwise("annotator")
    )
    many = many.unique(["example", "annotator"]).with_columns(label=rng.integers(0, 3, 39_999))
    few = random_log(3, 4).select(pl.col("example") + 20_000, "annotator", "label")
    both = pl.concat([many.with_columns(of=pl.lit("many")), few.with_columns(of=pl.lit("few"))])
    together = pc.conger_kappa(both, by="of")
    for name, log in (("many", many), ("few", few)):
        one = together.filter(of=name).drop("of")
        assert_frame_equal(one, pc.conger_kappa(log), rel_tol=1e-12, abs_tol=1e-12)
