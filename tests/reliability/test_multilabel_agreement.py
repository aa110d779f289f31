"""Sets of classes: NLTK's alphas, a definition in loops, and the same sets written in any way."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.metrics.agreement import AnnotationTask
from nltk.metrics.distance import jaccard_distance, masi_distance

import polars_crowd as pc
from polars_crowd.reliability import label_sets as module
from polars_crowd.reliability.coefficients import agreement
from polars_crowd.reliability.label_sets import (
    Distance,
    SetCodes,
    SetWeights,
    multilabel_agreement,
    read_sets,
)
from polars_crowd.reliability.one_vs_rest import agreement_by_class
from tests.cases import assert_same, log_of_rows

DISTANCES: tuple[Distance, ...] = ("masi", "jaccard", "nominal")
CLASSES = ["anger", "fear", "joy", "trust"]
Rows = list[tuple[int, int, frozenset[str]]]
as_text = pytest.mark.filterwarnings(
    "ignore:column 'label' of the log may not:polars_crowd.AnnotationWarning"
)
"""Sets as text are odd labels, which is said."""


@st.composite
def rows_of_sets(draw: st.DrawFn, min_size: int = 0) -> Rows:
    """Who chose what: two to five annotators, up to eight examples, some not labelled."""
    n, m = draw(st.integers(2, 8)), draw(st.integers(2, 5))
    sets = st.frozensets(st.sampled_from(CLASSES), min_size=min_size)
    return [
        (e, a, draw(sets))
        for e in range(n)
        for a in range(m)
        if e == 0 or draw(st.integers(0, 3)) > 0
    ]


def frame_of(rows: Rows) -> pl.DataFrame:
    """Lists in any order, some classes twice."""
    columns: dict[str, Any] = {
        "example": [e for e, _, _ in rows],
        "annotator": [a for _, a, _ in rows],
        "label": [
            [*list(s)[at % 2 :], *list(s)[: 1 + at % 2]] for at, (_, _, s) in enumerate(rows)
        ],
    }
    return pl.DataFrame(columns, schema_overrides={"label": pl.List(pl.String)})


def similarity(a: frozenset[str], b: frozenset[str], distance: Distance) -> float:
    if a == b:
        return 1.0
    if distance == "nominal" or not a & b:
        return 0.0
    jaccard = len(a & b) / len(a | b)
    return jaccard * (1 if distance == "jaccard" else 2 / 3 if a <= b or b <= a else 1 / 3)


def looped_alpha(rows: Rows, distance: Distance) -> float | None:
    """1 - D_o / D_e over all pairs of annotations."""
    by_example: dict[int, list[frozenset[str]]] = {}
    for e, _, s in rows:
        by_example.setdefault(e, []).append(s)
    pairable = [sets for sets in by_example.values() if len(sets) > 1]
    every = [s for sets in pairable for s in sets]
    n = len(every)
    D_o = (
        sum(
            (1 - similarity(a, b, distance)) / (len(sets) - 1)
            for sets in pairable
            for a, b in permutations(sets, 2)
        )
        / n
    )
    D_e = sum(1 - similarity(a, b, distance) for a, b in permutations(every, 2)) / (n * (n - 1))
    return 1 - D_o / D_e if D_e > 1e-12 else None


def value_of(log: Any, **options: Any) -> float | None:
    found: float | None = multilabel_agreement(log, **options)["value"].item()
    return found


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", DISTANCES)
@given(rows=rows_of_sets())
def test_alpha_by_its_definition(rows: Rows, distance: Distance) -> None:
    expected = looped_alpha(rows, distance)
    found = value_of(frame_of(rows), distance=distance)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-9))


@given(rows_of_sets(min_size=1).filter(lambda rows: looped_alpha(rows, "nominal") is not None))
def test_alphas_of_nltk(rows: Rows) -> None:
    """NLTK divides by zero at two empty sets, and has no answer where all sets are the same."""
    triples = [(str(a), str(e), s) for e, a, s in rows]
    for distance, theirs in (("masi", masi_distance), ("jaccard", jaccard_distance)):
        expected = AnnotationTask(triples, distance=theirs).alpha()
        assert value_of(frame_of(rows), distance=distance) == pytest.approx(expected, abs=1e-9)


@as_text
@given(rows_of_sets())
def test_nominal_alpha_is_that_of_the_engine(rows: Rows) -> None:
    text = frame_of(rows).with_columns(pl.col("label").list.unique().list.sort().list.join("+"))
    coefficients = ["krippendorff_alpha", "fleiss_kappa", "percent_agreement"]
    whole = agreement(text, coefficients=coefficients)
    found = multilabel_agreement(frame_of(rows), distance="nominal", coefficients=coefficients)
    names = ["weights", "level", "warning"]
    assert_same(found.drop(names), whole.drop(names), 1e-9)
    assert found["weights"].to_list() == ["nominal"] * 3


@given(rows_of_sets())
def test_sets_written_in_any_way(rows: Rows) -> None:
    """Lists, arrays of one length, text in any order with spaces, categories, numbers for classes."""
    lists = frame_of(rows)
    expected = found_in(lists)
    text = lists.with_columns(pl.col("label").list.join(" ;  "))
    assert_same(found_in(text, separator=";"), expected)
    enum = text.with_columns(pl.col("label").cast(pl.Categorical))
    assert_same(found_in(enum, separator=";"), expected)
    numbers = lists.with_columns(
        pl.col("label").list.eval(
            pl.element().replace_strict(CLASSES, [3, 20, 100, 7], return_dtype=pl.Int64)
        )
    )
    assert_same(found_in(numbers), expected)


def found_in(log: pl.DataFrame, **options: Any) -> pl.DataFrame:
    """Without the warning, whose text has rounded numbers."""
    return multilabel_agreement(log, **options).drop("warning")


@given(rows_of_sets())
def test_a_row_for_each_class(rows: Rows) -> None:
    lists = frame_of(rows)
    long = lists.with_columns(pl.col("label").list.unique()).explode("label", empty_as_null=True)
    assert_same(found_in(long), found_in(lists))


def test_arrays() -> None:
    log = log_of_rows([(1, "a", [1, 2]), (1, "b", [2, 1]), (2, "a", [3, 3]), (2, "b", [3, 1])])
    arrays = log.with_columns(pl.col("label").list.to_array(2))
    assert_same(multilabel_agreement(arrays), multilabel_agreement(log))


# --- class by class -------------------------------------------------------------------------------


@given(rows_of_sets())
def test_each_class_is_agreement_on_chosen_or_not(rows: Rows) -> None:
    """A class that an annotator did not choose on an example they saw counts as a no."""
    lists = frame_of(rows)
    found = agreement_by_class(lists, classes=CLASSES)
    assert found["label"].to_list() == CLASSES
    for k in CLASSES:
        yes = lists.with_columns(pl.col("label").list.contains(k))
        alone = agreement(yes, coefficients="krippendorff_alpha", classes=[False, True]).drop(
            "warning"
        )
        assert_same(found.filter(label=k).select(alone.columns), alone)


def test_classes_of_sets_keep_their_type_and_order() -> None:
    log = log_of_rows([(1, "a", [10, 9]), (1, "b", [9]), (2, "a", [100]), (2, "b", [100, 9])])
    found = agreement_by_class(log)
    assert found["label"].to_list() == [9, 10, 100]
    assert found.schema["label"] == pl.Int64
    assert found["share"].to_list() == [0.75, 0.25, 0.5]
    text = log.with_columns(pl.col("label").cast(pl.List(pl.String)).list.join("|"))
    assert_same(
        agreement_by_class(text, separator="|").drop("label").sort("share"),
        found.drop("label").sort("share"),
    )


# --- many sets, partitions, groups ----------------------------------------------------------------


def many_sets(n_classes: int, n_examples: int = 200) -> pl.DataFrame:
    rng = np.random.default_rng(2)
    chosen = rng.random((n_examples, 3, n_classes)) < 3 / n_classes
    rows = [
        (e, a, np.flatnonzero(chosen[e, a]).tolist()) for e in range(n_examples) for a in range(3)
    ]
    return pl.DataFrame(rows, schema=["example", "annotator", "label"], orient="row")


@pytest.mark.parametrize("distance", DISTANCES)
def test_hundreds_of_classes_and_blocks_of_any_size(
    monkeypatch: pytest.MonkeyPatch, distance: Distance
) -> None:
    log = many_sets(150)
    rows = [(e, a, frozenset(map(str, s))) for e, a, s in log.iter_rows()]
    expected = looped_alpha(rows, distance)
    assert value_of(log, distance=distance) == pytest.approx(expected, abs=1e-9)
    monkeypatch.setattr(module, "CELLS", 1000)
    assert value_of(log, distance=distance) == pytest.approx(expected, abs=1e-9)


def test_weights_by_what_they_do() -> None:
    """W v, the sum of W and single weights are of the same matrix."""
    labels = pl.Series("label", ["", "a", "b", "a,b", "b,a", "a,b,c"])
    weights = SetWeights(read_sets(labels, ",", pl.String()), "masi")
    k, j = (index.ravel() for index in np.indices((6, 6)))
    w = weights.between(k, j).reshape(6, 6)
    assert (w == w.T).all()
    assert (np.diag(w) == 1).all()
    assert w[0, 1] == 0
    assert w[3, 4] == 1
    assert w[1, 3] == pytest.approx(1 / 2 * 2 / 3)
    assert w[3, 5] == pytest.approx(2 / 3 * 2 / 3)
    v = np.arange(12.0).reshape(2, 6)
    assert weights.times(v) == pytest.approx(v @ w)
    assert weights.total == pytest.approx(w.sum())


def test_expanding_labels() -> None:
    sets = SetCodes(pl.Series(["a", "b", "c"]), np.array([2, 0, 1]), np.array([0, 2, 1]))
    position, members = sets.expanded(np.array([2, 1, 0, 0]))
    assert position.tolist() == [0, 2, 2, 3, 3]
    assert members.tolist() == [1, 0, 2, 0, 2]


@as_text
def test_partitions(tmp_path: Path) -> None:
    lists = many_sets(12)
    text = lists.with_columns(pl.col("label").cast(pl.List(pl.String)).list.join(","))
    store = pc.AnnotationStore.create(tmp_path / "store", text, partitions=7)
    assert_same(multilabel_agreement(store, separator=","), multilabel_agreement(lists))
    with pytest.raises(pc.AnnotationError, match="what stands between the classes of a set"):
        multilabel_agreement(store)
    assert_same(
        agreement_by_class(store, separator=",").sort("share", "value").drop("label"),
        agreement_by_class(lists).sort("share", "value").drop("label"),
    )


def test_a_store_of_label_sets(tmp_path: Path) -> None:
    lists = many_sets(12)
    probs = {str(k): [0.5] * 200 for k in range(12)}
    frame = pl.DataFrame({"example": range(200), **probs})
    store = pc.AnnotationStore.create(
        tmp_path / "store", lists, frame, partitions=5, multilabel=True
    )
    assert_same(multilabel_agreement(store), multilabel_agreement(lists))
    assert_same(agreement_by_class(store), agreement_by_class(lists))
    with pytest.raises(ValueError, match="separator=','; a store of sets of classes has its own"):
        multilabel_agreement(store, separator=",")
    with pytest.raises(
        ValueError, match="classes=range\\(0, 12\\); a store of sets of classes has its own"
    ):
        agreement_by_class(store, classes=range(12))
    with pytest.raises(pc.AnnotationError, match=r"pc\.multilabel_agreement and pc\.agreement_by"):
        pc.disagreements(store)


def test_groups_and_bootstrap() -> None:
    log = many_sets(6).with_columns(half=pl.col("example") % 2)
    found = multilabel_agreement(log, by="half")
    for half in (0, 1):
        alone = multilabel_agreement(log.filter(half=half).drop("half"))
        assert_same(found.filter(half=half).drop("half"), alone)
    bootstrap = multilabel_agreement(log.drop("half"), interval="bootstrap", n_boot=500)
    analytic = multilabel_agreement(log.drop("half"))
    assert bootstrap["value"].item() == pytest.approx(analytic["value"].item())
    assert bootstrap["standard_error"].item() == pytest.approx(
        analytic["standard_error"].item(), rel=0.2
    )


# --- corner cases ---------------------------------------------------------------------------------


def test_perfect_agreement_and_one_set() -> None:
    log = log_of_rows([(1, "a", ["x"]), (1, "b", ["x"]), (2, "a", []), (2, "b", [])])
    assert value_of(log) == 1.0
    row = multilabel_agreement(log.filter(example=1)).row(0, named=True)
    assert row["value"] is None
    assert "one class only is used" in row["reason"]


def test_rows_without_a_label_are_not_annotations() -> None:
    log = log_of_rows(
        [(1, "a", ["x"]), (1, "b", ["x"]), (1, "c", None), (2, "a", ["y"]), (2, "b", ["x"])]
    )
    assert multilabel_agreement(log)["num_annotations"].item() == 4


def test_errors() -> None:
    log = log_of_rows([(1, "a", "x;y"), (1, "b", "x"), (2, "a", "y"), (2, "b", "y")])
    with pytest.raises(pc.AnnotationError, match="is Int64; with separator= it must be text"):
        multilabel_agreement(log_of_rows([(1, "a", 1), (1, "b", 2)]), separator=";")
    with pytest.raises(pc.AnnotationError, match="has no column 'label'"):
        multilabel_agreement(log.drop("label"), separator=";")
    with pytest.raises(pc.AnnotationError, match="has no column 'label'"):
        multilabel_agreement(log.drop("label"))
    with pytest.raises(ValueError, match="distance='hamming'; it must be one of 'masi', 'jaccard'"):
        multilabel_agreement(log, distance="hamming", separator=";")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'gwet_ac1'; for sets of classes they are"):
        multilabel_agreement(log, coefficients="gwet_ac1", separator=";")
    with pytest.raises(
        pc.AnnotationError, match=r"classes that are not declared: 'y'\. Add them, or"
    ):
        agreement_by_class(log, separator=";", classes=["x", "z"])
    with pytest.raises(pc.AnnotationError, match="one annotator only"):
        multilabel_agreement(log.filter(annotator="a"), separator=";")
