"""Overlap: components, shared examples and bridges, by hand and against a search without any cleverness."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import polars_crowd as pc

Shared = list[list[int]]
"""The annotators of each example."""
logs = st.lists(
    st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True), min_size=1, max_size=12
)


def log_of(shared: Shared) -> pl.DataFrame:
    rows = [(e, a, "x") for e, annotators in enumerate(shared) for a in annotators]
    return pl.DataFrame(rows, schema=["example", "annotator", "label"], orient="row")


def parts_of(shared: Shared, without: int = -1) -> list[set[int]]:
    """The components of the annotators, one of them left out, as sets."""
    parts: list[set[int]] = []
    for annotators in shared:
        joined = set(annotators) - {without}
        apart = [part for part in parts if not part & joined]
        parts = [*apart, joined.union(*(part for part in parts if part & joined))]
    return [part for part in parts if part]


def found_parts(found: pc.Overlap) -> list[set[int]]:
    by_component = found.annotators.group_by("component", maintain_order=True).agg("annotator")
    return [set(ids) for ids in by_component["annotator"]]


def sets(parts: list[set[int]]) -> set[frozenset[int]]:
    return {frozenset(part) for part in parts}


@given(logs)
def test_components_are_what_a_search_finds(shared: Shared) -> None:
    found = pc.overlap(log_of(shared))
    assert sets(found_parts(found)) == sets(parts_of(shared))
    sizes = found.components["num_annotators"].to_list()
    assert sizes == sorted(sizes, reverse=True)
    assert sizes == [len(part) for part in found_parts(found)]
    assert found.components["num_examples"].sum() == len(shared)
    assert found.components["num_annotations"].sum() == sum(map(len, shared))


@given(logs)
def test_pairs_are_counted_by_their_examples(shared: Shared) -> None:
    found = pc.overlap(log_of(shared)).pairs
    counts: dict[tuple[int, int], int] = {}
    for annotators in shared:
        for pair in combinations(sorted(annotators), 2):
            counts[pair] = counts.get(pair, 0) + 1
    assert {(a, b): n for a, b, n in found.select(found.columns[:3]).rows()} == counts


@given(logs)
def test_bridges_are_those_without_whom_a_component_falls_apart(shared: Shared) -> None:
    found, whole = pc.overlap(log_of(shared)), parts_of(shared)
    expected = {}
    for part in whole:
        for annotator in part:
            left = [p for p in parts_of(shared, annotator) if p <= part]
            if len(left) > 1:
                sizes = [len(p) for p in left]
                expected[annotator] = (len(left), sum(sizes) - max(sizes))
    assert {
        row["annotator"]: (row["num_parts"], row["num_cut_off"]) for row in found.bridges.to_dicts()
    } == expected
    for first, second, is_bridge in found.pairs.select(
        "annotator_1", "annotator_2", "is_bridge"
    ).rows():
        edges = [
            list(pair)
            for annotators in shared
            for pair in combinations(annotators, 2)
            if set(pair) != {first, second}
        ]
        joined = any({first, second} <= part for part in parts_of(edges))
        assert is_bridge != joined


@settings(max_examples=5)
@given(logs, st.sampled_from([2, 7]))
def test_a_store_and_other_names_have_the_same_components(
    tmp_path_factory: pytest.TempPathFactory, shared: Shared, partitions: int
) -> None:
    log, place = log_of(shared), tmp_path_factory.mktemp("store")
    store = pc.AnnotationStore.create(place / "store", log, partitions=partitions)
    found, same = pc.overlap(log), pc.overlap(store)
    for name in found.TABLES:
        assert getattr(found, name).equals(getattr(same, name)), name
    named = pc.overlap(
        log.with_columns(pl.format("n{}", 9 - pl.col("annotator")).alias("annotator"))
    )
    back = [{9 - int(str(a)[1:]) for a in part} for part in found_parts(named)]
    assert sets(back) == sets(found_parts(found))


@pytest.mark.parametrize(
    "label", [pl.lit(1.5), pl.lit("x"), pl.concat_list(pl.lit("x"), pl.lit("y"))], ids=str
)
def test_labels_do_not_matter(label: pl.Expr) -> None:
    log = log_of([[0, 1], [1, 2], [3]])
    found = pc.overlap(log.with_columns(label=label))
    assert found.components.equals(pc.overlap(log).components)
    twice = pc.overlap(pl.concat([log, log]))
    assert twice.pairs.equals(pc.overlap(log).pairs)


def test_a_store_of_numbers_or_sets_has_overlap(tmp_path: Path) -> None:
    log = log_of([[0, 1], [1, 2], [3]])
    create = pc.AnnotationStore.create
    probs = log.select("example").unique().with_columns(x=pl.lit(0.5), y=pl.lit(0.5))
    numbers = create(tmp_path / "numbers", log.with_columns(label=pl.lit(1.5)), partitions=2)
    of_sets = log.with_columns(label=pl.concat_list(pl.lit("x")))
    sets = create(tmp_path / "sets", of_sets, probs, partitions=2, multilabel=True)
    for store in (numbers, sets):
        assert pc.overlap(store).components.equals(pc.overlap(log).components)


def test_it_prints_its_components() -> None:
    assert str(pc.overlap(log_of([[0, 1], [2]]))).startswith(
        "Overlap: 2 examples, 3 annotators; 2 components"
    )


def test_pairs_that_may_not_fit_are_refused_and_components_are_there() -> None:
    found = pc.overlap(log_of([list(range(9))]), memory_limit=1000)
    assert found.components["num_annotators"].to_list() == [9]
    with pytest.raises(pc.MemoryLimitError, match="pairs of annotators share examples"):
        found.pairs  # noqa: B018


APART = pl.DataFrame(
    {
        "example": [1, 1, 2, 2, 3, 3],
        "annotator": ["a", "b", "a", "b", "c", "d"],
        "label": ["x", "y", "x", "x", "y", "y"],
    }
)


@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
@pytest.mark.parametrize(
    "compare",
    [
        lambda log: pc.dawid_skene(log).annotators,
        lambda log: pc.blend(log).annotators,
        lambda log: pc.wawa(log).annotators,
        lambda log: pc.catd(log.with_columns(label=pl.col("example") / 2)).annotators,
        pc.agreement_by_annotator,
        pc.annotator_report,
    ],
)
def test_annotators_of_different_components_are_compared_with_a_warning(compare: Any) -> None:
    with pytest.warns(pc.OverlapWarning, match=r"2 groups \(of 2, 2\).*pc\.overlap\(log\)"):
        compare(APART)
    compare(APART.with_columns(example=pl.col("example").replace({3: 2})))


@pytest.mark.filterwarnings(
    "ignore::polars_crowd.AnnotationWarning", "error::polars_crowd.OverlapWarning"
)
def test_known_labels_and_models_compare_across_components() -> None:
    gold = pl.DataFrame({"example": [1, 3], "label": ["x", "y"]})
    probs = pl.DataFrame({"example": [1, 2, 3], "x": [0.5, 0.6, 0.1], "y": [0.5, 0.4, 0.9]})
    assert pc.dawid_skene(APART, gold=gold).annotators.height == 4
    assert pc.crowdlab(APART, probs).annotators.height == 4
    assert pc.ibcc(APART, probs).annotators.height == 4
