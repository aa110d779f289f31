"""Agreement by class and by annotator: what the log tells when it is cut down to the question."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Executor
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import entropy

import polars_crowd as pc
from polars_crowd.reliability import leave_one_out as module
from polars_crowd.reliability.coefficients import agreement
from polars_crowd.reliability.leave_one_out import agreement_by_annotator
from polars_crowd.reliability.one_vs_rest import agreement_by_class
from polars_crowd.reliability.per_example import example_agreement
from polars_crowd.reliability.registry import OF_CLASSES
from polars_crowd.reliability.weights import Level
from tests import DATA
from tests.cases import Case, assert_same, log_of_rows, several, text_case
from tests.reliability.agreement_cases import krippendorff_2011, looped

pytestmark = pytest.mark.filterwarnings("ignore::polars_crowd.OverlapWarning")

LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval", "ratio")


def labelme() -> pl.DataFrame:
    return pl.read_parquet(DATA / "labelme" / "annotations.parquet")


# --- by class: each is a log of its own -----------------------------------------------------------


@given(several(), st.sampled_from(OF_CLASSES))
def test_each_class_is_agreement_on_yes_or_no(case: Case, coefficient: str) -> None:
    found = agreement_by_class(case.log, coefficients=coefficient, classes=range(case.n_classes))
    for k, row in enumerate(found.iter_rows(named=True)):
        yes = case.log.with_columns(pl.col("label") == k)
        alone = agreement(yes, coefficients=coefficient, classes=[False, True]).drop("warning")
        assert_same(found.filter(label=k).select(alone.columns), alone, 1e-9)
        assert row["share"] == pytest.approx(case.log.select((pl.col("label") == k).mean()).item())


@given(several())
def test_specific_agreement_by_its_definition(case: Case) -> None:
    observed = looped(case.labels, case.n_classes)
    n = observed.sum(axis=1)
    found = agreement_by_class(case.log, classes=range(case.n_classes))["specific_agreement"]
    for k, specific in enumerate(found):
        expected = observed[k, k] / n[k] if n[k] else None
        assert specific == (pytest.approx(expected, abs=1e-9) if expected is not None else None)


def test_classes_that_are_numbers_of_any_order_and_unused_ones() -> None:
    log = log_of_rows([(1, "a", "x"), (1, "b", "x"), (2, "a", "y"), (2, "b", "y")])
    found = agreement_by_class(log, classes=["z", "y", "x"])
    assert found["label"].to_list() == ["z", "y", "x"]
    assert found["share"].to_list() == [0.0, 0.5, 0.5]
    assert found["specific_agreement"].to_list() == [None, 1.0, 1.0]
    assert found["value"].to_list() == [None, 1.0, 1.0]
    assert found["reason"][0] == "one class only is used: agreement by chance is certain"
    assert found["num_annotators"].to_list() == [2, 2, 2]


def test_a_rare_class_is_warned_of() -> None:
    log = log_of_rows(
        [
            *(
                (e, a, "rare" if (e, a) in {(0, "a"), (1, "b")} else "x")
                for e in range(30)
                for a in "ab"
            )
        ]
    )
    found = agreement_by_class(log)
    assert (
        found["warning"]
        .str.starts_with("prevalence: Fleiss' kappa -0.03 and Gwet's AC1 0.93")
        .all()
    )


def test_several_coefficients_and_groups() -> None:
    log = labelme().with_columns(third=pl.col("example").rank("dense") % 3)
    classes = sorted(log["label"].unique())
    found = agreement_by_class(log, coefficients=["gwet_ac1", "fleiss_kappa"], by="third")
    assert found.columns[:4] == ["third", "label", "share", "specific_agreement"]
    assert found["coefficient"].to_list() == ["gwet_ac1", "fleiss_kappa"] * len(classes) * 3
    for (third,), rows in log.group_by("third"):
        alone = agreement_by_class(
            rows.drop("third"), coefficients=["gwet_ac1", "fleiss_kappa"], classes=classes
        )
        assert_same(found.filter(third=third).drop("third"), alone)


def test_bootstrap_intervals_by_class() -> None:
    found = agreement_by_class(labelme(), interval="bootstrap", n_boot=300, seed=1)
    analytic = agreement_by_class(labelme())
    assert_same(found.select("label", "value"), analytic.select("label", "value"))
    ratio = found["standard_error"] / analytic["standard_error"]
    assert ratio.is_between(0.7, 1.4).all()


def test_coefficients_that_ask_who_voted_are_refused() -> None:
    with pytest.raises(
        ValueError, match="'conger_kappa'; of single classes they are 'krippendorff"
    ):
        agreement_by_class(labelme(), coefficients=["fleiss_kappa", "conger_kappa"])


def test_partitions(tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", labelme(), partitions=7)
    assert_same(agreement_by_class(store), agreement_by_class(labelme()))
    classes = sorted(labelme()["label"].unique())
    for level in LEVELS:
        found = agreement_by_annotator(store, level=level)
        assert_same(found, agreement_by_annotator(labelme(), level=level, classes=classes), 1e-9)


def test_stores_of_classes_that_write_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    rows = {"example": np.repeat(np.arange(60), 3), "annotator": np.tile(np.arange(3), 60)}
    log = pl.DataFrame({**rows, "label": rng.choice(["1", "2", "10"], 180)})
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=3)
    found = agreement_by_annotator(store, level="interval")
    assert_same(found, agreement_by_annotator(log, level="interval"), 1e-9)


@pytest.mark.filterwarnings(
    "ignore:column .label. of the log may not:polars_crowd.AnnotationWarning"
)
def test_stores_of_numbers(tmp_path: Path) -> None:
    """Their classes are the numbers there are."""
    rng = np.random.default_rng(4)
    rows = {"example": np.repeat(np.arange(60), 3), "annotator": np.tile(np.arange(3), 60)}
    log = pl.DataFrame({**rows, "label": rng.integers(1, 6, 180) / 2})
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=3)
    for function in (pc.pairwise_agreement, pc.disagreements, agreement_by_class):
        assert_same(function(store), function(log))
    for level in LEVELS:
        found = agreement_by_annotator(store, level=level)
        assert_same(found, agreement_by_annotator(log, level=level))
    whole = example_agreement(log).collect()
    assert_same(example_agreement(store).collect().sort("example"), whole)
    assert_same(example_agreement(store, into=tmp_path / "out").collect().sort("example"), whole)


def test_processes(tmp_path: Path, spawned: Executor) -> None:
    """Every function sends its work to an executor."""
    log = labelme()
    classes = sorted(log["label"].unique())
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=3)
    assert_same(pc.pairwise_agreement(store, executor=spawned), pc.pairwise_agreement(log), 1e-8)
    assert_same(agreement_by_class(store, executor=spawned), agreement_by_class(log))
    assert_same(
        agreement_by_annotator(store, level="ordinal", executor=spawned),
        agreement_by_annotator(log, level="ordinal", classes=classes),
    )
    assert_same(pc.disagreements(store, executor=spawned), pc.disagreements(log))
    assert_same(
        pc.multilabel_agreement(store, separator=";", executor=spawned),
        pc.multilabel_agreement(log, separator=";"),
    )


# --- by annotator: leaving out is leaving out -----------------------------------------------------


def alpha_of(
    labels: NDArray[np.int64], K: int, level: Level, values: NDArray[np.float64]
) -> float | None:
    """Krippendorff's alpha by its definition, from the coincidence matrix."""
    o = looped(labels, K)
    n = o.sum(axis=1)
    apart = np.zeros((K, K))
    for k in range(K):
        for j in range(K):
            apart[k, j] = distance(k, j, n, level, values)
    D_e = (np.outer(n, n) * apart).sum()
    return None if D_e == 0 else float(1 - (n.sum() - 1) * (o * apart).sum() / D_e)


def distance(
    k: int, j: int, n: NDArray[np.float64], level: Level, values: NDArray[np.float64]
) -> float:
    low, high = min(k, j), max(k, j)
    if level == "nominal" or k == j:
        return float(k != j)
    if level == "ordinal":
        return float((n[low : high + 1].sum() - (n[k] + n[j]) / 2) ** 2)
    if level == "interval":
        return float((values[k] - values[j]) ** 2)
    return float(((values[k] - values[j]) / (values[k] + values[j])) ** 2)


@pytest.mark.parametrize("level", LEVELS)
@given(case=several())
def test_leaving_out_is_computing_without(case: Case, level: Level) -> None:
    K = case.n_classes
    values = np.arange(1.0, K + 1)
    log = case.log.with_columns(pl.col("label") + 1)
    found = agreement_by_annotator(log, level=level, classes=range(1, K + 1))
    whole = alpha_of(case.labels, K, level, values)
    assert sorted(found["annotator"].to_list()) == list(range(case.labels.shape[1]))
    for row in found.iter_rows(named=True):
        without = alpha_of(np.delete(case.labels, row["annotator"], axis=1), K, level, values)
        assert row["alpha_without"] == (
            None if without is None else pytest.approx(without, abs=1e-9)
        )
        both = whole is not None and without is not None
        assert (row["alpha_change"] is not None) == both
        if both:
            assert row["alpha_change"] == pytest.approx(without - whole, abs=1e-9)  # type: ignore[operator]


@given(several())
def test_agreement_with_the_others_by_its_definition(case: Case) -> None:
    found = agreement_by_annotator(case.log)
    for row in found.iter_rows(named=True):
        own = case.labels[:, row["annotator"]]
        others = np.delete(case.labels, row["annotator"], axis=1)
        shares = [
            float((theirs[theirs >= 0] == label).mean())
            for label, theirs in zip(own, others, strict=True)
            if label >= 0 and (theirs >= 0).any()
        ]
        assert row["num_annotations"] == (own >= 0).sum()
        assert row["num_shared"] == len(shares)
        assert row["agreement"] == (pytest.approx(np.mean(shares)) if shares else None)


@given(several())
def test_names_change_nothing(case: Case) -> None:
    log, _, classes = text_case(case)
    assert_same(
        agreement_by_annotator(log, level="ordinal", classes=classes).drop("annotator"),
        agreement_by_annotator(case.log, level="ordinal").drop("annotator"),
    )


@pytest.mark.parametrize("level", LEVELS)
def test_repeated_annotations_leave_together(level: Level) -> None:
    """With duplicates="all" an annotator's rows of an example go with them, however many."""
    rng = np.random.default_rng(7)
    n = 300
    columns = {
        "example": rng.integers(0, 40, n),
        "annotator": rng.integers(0, 6, n),
        "label": rng.integers(1, 5, n),
    }
    log = pl.DataFrame(columns)
    found = agreement_by_annotator(log, level=level, duplicates="all")
    options: dict[str, Any] = {
        "coefficients": "krippendorff_alpha",
        "level": level,
        "duplicates": "all",
    }
    for row in found.iter_rows(named=True):
        rest = log.filter(pl.col("annotator") != row["annotator"])
        expected = agreement(rest, classes=range(1, 5), **options)["value"].item()
        assert row["alpha_without"] == pytest.approx(expected, abs=1e-9)
        assert row["num_annotations"] == log.filter(annotator=row["annotator"]).height


def test_the_worked_example() -> None:
    """Who disagrees most comes first; the others' alpha is that of the package krippendorff."""
    found = agreement_by_annotator(krippendorff_2011(), level="interval")
    assert found["alpha_change"].is_sorted(descending=True)
    whole = found["alpha_without"] - found["alpha_change"]
    assert whole.to_list() == pytest.approx([0.849107] * 4, abs=1e-6)


def test_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    log = pl.read_parquet(DATA / "digits_sim" / "annotations.parquet")
    classes = [str(k) for k in range(10)]
    whole = {level: agreement_by_annotator(log, level=level, classes=classes) for level in LEVELS}
    monkeypatch.setattr(module, "BLOCK", 50)
    monkeypatch.setattr(module, "CELLS", 40)
    for level in LEVELS:
        found = agreement_by_annotator(log, level=level, classes=classes)
        assert_same(found, whole[level], 1e-9)


# --- corner cases ---------------------------------------------------------------------------------


def test_reasons() -> None:
    log = log_of_rows([(1, "a", "x"), (1, "b", "y"), (2, "a", "x"), (2, "b", "x"), (3, "c", "x")])
    found = {row["annotator"]: row for row in agreement_by_annotator(log).iter_rows(named=True)}
    assert found["a"]["reason"] == "no overlap without them: no example has two annotations"
    assert found["c"]["reason"] == "no overlap: no example of theirs has an annotation of another"
    assert found["c"]["alpha_change"] == 0
    assert found["c"]["agreement"] is None
    log = log_of_rows(
        [*((1, a, "x") for a in "abc"), *((2, a, "y" if a == "c" else "x") for a in "abc")]
    )
    found = {row["annotator"]: row for row in agreement_by_annotator(log).iter_rows(named=True)}
    assert (
        found["c"]["reason"]
        == "one class only is used without them: agreement by chance is certain"
    )
    assert found["a"]["reason"] is None


def test_errors() -> None:
    one = log_of_rows([(1, "a", "x"), (2, "a", "y")])
    for function in (agreement_by_annotator, agreement_by_class):
        with pytest.raises(pc.AnnotationError, match="one annotator only"):
            function(one)
    with pytest.raises(ValueError, match="level='ordinal'; it goes by the order of the classes"):
        agreement_by_annotator(one, level="ordinal")
    with pytest.raises(ValueError, match="level='cardinal'"):
        agreement_by_annotator(one, level="cardinal")  # type: ignore[arg-type]


# --- by example -----------------------------------------------------------------------------------


@given(several())
def test_examples_by_their_definition(case: Case) -> None:
    found = example_agreement(case.log).collect()
    assert found["example"].to_list() == list(range(len(case.labels)))
    for row, labels in zip(found.iter_rows(named=True), case.labels, strict=True):
        own = labels[labels >= 0]
        counts = np.unique(own, return_counts=True)[1]
        pairs = [a == b for a, b in combinations(own, 2)]
        assert row["num_annotations"] == len(own)
        assert row["num_labels"] == len(counts)
        assert row["agreement"] == (pytest.approx(np.mean(pairs)) if pairs else None)
        assert row["entropy"] == pytest.approx(entropy(counts), abs=1e-12)


@given(several())
def test_mean_agreement_of_examples_is_percent_agreement(case: Case) -> None:
    whole = agreement(case.log, coefficients="percent_agreement")["value"].item()
    found = example_agreement(case.log).select(pl.col("agreement").mean()).collect().item()
    assert found == pytest.approx(whole)


def test_examples_are_one_lazy_plan() -> None:
    read: list[int] = []

    def seen(frame: pl.DataFrame) -> pl.DataFrame:
        read.append(frame.height)
        return frame

    log = labelme()
    plan = example_agreement(log.lazy().map_batches(seen, schema=log.schema))
    assert not read
    assert plan.collect().height == log["example"].n_unique()
    assert read


def test_examples_of_partitions(tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", labelme(), partitions=7)
    whole = example_agreement(labelme()).collect()
    assert_same(example_agreement(store).collect().sort("example"), whole)
    assert_same(example_agreement(store, into=tmp_path / "out").collect().sort("example"), whole)
    assert_same(example_agreement(labelme(), into=tmp_path / "out2").collect(), whole)
    opened = pc.open_results(tmp_path / "out2")
    assert opened.method == "Agreement per example"
    assert_same(opened.examples.collect(), whole)


def test_progress_of_a_plan_is_refused() -> None:
    with pytest.raises(
        ValueError, match="progress=True; it has no effect here: nothing is computed"
    ):
        example_agreement(labelme(), progress=True)


def test_examples_of_a_bad_log() -> None:
    log = log_of_rows([(1, "a", "x"), (1, "a", "y")])
    with pytest.raises(pc.AnnotationError, match="more than one annotation"):
        example_agreement(log).collect()
    found = example_agreement(log, duplicates="first").collect()
    assert found["num_annotations"].to_list() == [1]
    with pytest.raises(pc.AnnotationError, match="not among the classes"):
        example_agreement(log, classes=["x", "z"], duplicates="all").collect()
    with pytest.raises(pc.AnnotationError, match="no annotations"):
        example_agreement(log.clear()).collect()


# --- shares of votes -------------------------------------------------------------------------------


@given(several())
def test_vote_shares_are_counted(case: Case) -> None:
    rows = case.log.select("example", "label").rows()
    votes, annotations = Counter(rows), Counter(example for example, _ in rows)
    found = pc.vote_shares(case.log).collect()
    assert found.drop("vote_share").rows() == [(*key, n) for key, n in sorted(votes.items())]
    shares = [n / annotations[example] for (example, _), n in sorted(votes.items())]
    assert found["vote_share"].to_list() == pytest.approx(shares, abs=1e-12)


def test_vote_shares_of_stores(tmp_path: Path) -> None:
    log, order = labelme(), sorted(labelme()["label"].unique().to_list(), reverse=True)
    whole = pc.vote_shares(log, classes=order).collect()
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=3, classes=order)
    for found in (
        pc.vote_shares(store),
        pc.vote_shares(store, into=tmp_path / "out"),
        pc.vote_shares(log, classes=order, into=tmp_path / "out2"),
    ):
        assert_same(found.collect().sort("example", maintain_order=True), whole)


def test_vote_shares_check_the_log_when_collected() -> None:
    log = pl.DataFrame({"example": [1, 1], "annotator": ["a", "a"], "label": ["x", "y"]})
    plan = pc.vote_shares(log)
    with pytest.raises(pc.AnnotationError, match="more than one annotation"):
        plan.collect()
    assert pc.vote_shares(log, duplicates="all").collect()["vote_share"].to_list() == [0.5, 0.5]
    with pytest.raises(pc.AnnotationError, match="not among the classes"):
        pc.vote_shares(log, duplicates="first", classes=["y"]).collect()
