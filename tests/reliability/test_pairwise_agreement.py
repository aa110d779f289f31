"""Pairs of annotators: the kappas of scikit-learn and statsmodels, in any partitions; samples say so."""

from __future__ import annotations

import warnings
from itertools import combinations
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

import polars_crowd as pc
from polars_crowd.reliability import meetings, pairwise, patterns
from polars_crowd.reliability.meetings import Meetings
from polars_crowd.reliability.pairwise import pairwise_agreement
from polars_crowd.reliability.units import pairs_in_blocks
from tests import DATA
from tests.cases import Case, assert_same, log_of_rows, several, text_case


def shared_labels(case: Case, i: int, j: int) -> tuple[list[int], list[int]]:
    both = (case.labels[:, i] >= 0) & (case.labels[:, j] >= 0)
    return case.labels[both, i].tolist(), case.labels[both, j].tolist()


def expected_pairs(case: Case, weights: str | None = None) -> pl.DataFrame:
    """Each pair by scikit-learn and statsmodels."""
    rows = []
    classes = list(range(case.n_classes))
    for i, j in combinations(range(case.labels.shape[1]), 2):
        left, right = shared_labels(case, i, j)
        if not left:
            continue
        kappa, error = by_peers(left, right, classes, weights)
        agreeing = np.mean([a == b for a, b in zip(left, right, strict=True)])
        rows.append((i, j, len(left), float(agreeing), kappa, error if len(left) > 1 else None))
    names = ["annotator_1", "annotator_2", "num_shared", "agreement", "kappa", "standard_error"]
    dtypes = [pl.Int64, pl.Int64, pl.Int64, pl.Float64, pl.Float64, pl.Float64]
    return pl.DataFrame(rows, schema=list(zip(names, dtypes, strict=True)), orient="row")


def by_peers(
    left: list[int], right: list[int], classes: list[int], weights: str | None
) -> tuple[float | None, float | None]:
    if len({*left, *right}) == 1:
        return None, None
    table = np.zeros((len(classes), len(classes)))
    np.add.at(table, (left, right), 1)
    kappa = float(cohen_kappa_score(left, right, labels=classes, weights=weights))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = cohens_kappa(table, wt=weights)
        error = float(found.std_kappa)
    return kappa, 0.0 if np.isnan(error) else error


COLUMNS = ("annotator_1", "annotator_2", "num_shared", "agreement", "kappa", "standard_error")


# --- values ---------------------------------------------------------------------------------------


@given(several())
def test_kappas_of_scikit_learn_and_statsmodels(case: Case) -> None:
    """Variances are compared: statsmodels finds 1e-16 for some that are zero, whose root is 1e-8."""
    found = pairwise_agreement(case.log, classes=range(case.n_classes)).select(COLUMNS)
    variance = pl.col("standard_error") ** 2
    assert_same(found.with_columns(variance), expected_pairs(case).with_columns(variance))


@given(several(), st.sampled_from(["linear", "quadratic"]))
def test_weighted_kappas(case: Case, weights: str) -> None:
    given_classes = list(range(case.n_classes))
    found = pairwise_agreement(case.log, weights=weights, classes=given_classes)
    expected = expected_pairs(case, weights)
    assert_same(
        found.select("annotator_1", "annotator_2", "kappa"),
        expected.select("annotator_1", "annotator_2", "kappa"),
    )


@given(several())
def test_what_the_coefficients_of_the_log_make_of_pairs(case: Case) -> None:
    """Light's kappa is the mean kappa; Cohen's, of two annotators, the only one."""
    found = pairwise_agreement(case.log)
    light = pc.light_kappa(case.log)["value"].item()
    mean = found["kappa"].mean()
    assert light == (None if mean is None else pytest.approx(mean, abs=1e-9))
    two = case.log.filter(pl.col("annotator") < 2)
    assert_same(
        pairwise_agreement(two).select(value="kappa", standard_error="standard_error"),
        pc.cohen_kappa(two).select("value", "standard_error"),
        1e-7,
    )


@given(several(), st.randoms(use_true_random=False))
def test_swapping_annotators_changes_nothing(case: Case, random: Any) -> None:
    """Kappa of (a, b) is kappa of (b, a): ids may be given in any order."""
    ids = list(range(case.labels.shape[1]))
    random.shuffle(ids)
    renamed = case.log.with_columns(pl.col("annotator").replace_strict(list(range(len(ids))), ids))
    found = pairwise_agreement(renamed)
    back = {new: old for old, new in enumerate(ids)}
    ends = [[back[a], back[b]] for a, b in found.select("annotator_1", "annotator_2").iter_rows()]
    restored = found.with_columns(
        annotator_1=pl.Series([min(e) for e in ends], dtype=pl.Int64),
        annotator_2=pl.Series([max(e) for e in ends], dtype=pl.Int64),
    ).sort("annotator_1", "annotator_2")
    assert_same(restored, pairwise_agreement(case.log), 1e-8)


@given(several())
def test_ids_and_labels_of_text(case: Case) -> None:
    log, _, _ = text_case(case)
    numbers = ("num_shared", "agreement", "kappa", "standard_error", "reason")
    assert_same(
        pairwise_agreement(log).select(numbers), pairwise_agreement(case.log).select(numbers)
    )


def test_a_real_log_pair_by_pair() -> None:
    log = pl.read_parquet(DATA / "labelme" / "annotations.parquet")
    found = pairwise_agreement(log, min_shared=5)
    assert found.height > 20
    labels = sorted(log["label"].unique())
    for row in found.iter_rows(named=True):
        one, two = (log.filter(annotator=row[f"annotator_{i}"]) for i in (1, 2))
        both = one.join(two, on="example")
        kappa = cohen_kappa_score(
            both["label"].to_list(), both["label_right"].to_list(), labels=labels
        )
        assert row["num_shared"] == both.height
        assert row["kappa"] == pytest.approx(kappa, abs=1e-9)


def test_weights_of_identity_and_its_matrix() -> None:
    """The two ways to a kappa, with margins written out and without, are one."""
    log = pl.read_parquet(DATA / "digits_sim" / "annotations.parquet")
    found = pairwise_agreement(log, weights=np.eye(10), classes=[str(k) for k in range(10)])
    assert_same(found, pairwise_agreement(log), 1e-7)
    assert_same(found.select("kappa"), pairwise_agreement(log).select("kappa"), 1e-12)


@pytest.mark.filterwarnings(
    "ignore:column .label. of the log may not:polars_crowd.AnnotationWarning"
)
def test_thousands_of_classes() -> None:
    rng = np.random.default_rng(3)
    example, annotator = (index.ravel() for index in np.indices((3000, 4)))
    label = np.where(rng.random(12_000) < 0.5, example, rng.integers(0, 3000, 12_000))
    log = pl.DataFrame({"example": example, "annotator": annotator, "label": label})
    found = pairwise_agreement(log)
    one, two = (log.filter(annotator=a)["label"].to_list() for a in (0, 3))
    assert found["kappa"][2] == pytest.approx(cohen_kappa_score(one, two), abs=1e-9)


def test_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    log = pl.read_parquet(DATA / "labelme" / "annotations.parquet")
    whole = pairwise_agreement(log)
    monkeypatch.setattr(patterns, "DENSE", 1)
    monkeypatch.setattr(pairwise, "CELLS", 50)
    monkeypatch.setattr(meetings, "SPAN", 7)
    assert_same(pairwise_agreement(log), whole, 1e-12)


@pytest.mark.parametrize("of_pairs", [pairwise_agreement, pc.annotator_pairs])
def test_a_log_in_memory_is_put_in_order_once(
    of_pairs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered = Mock(wraps=Meetings.of)
    monkeypatch.setattr(Meetings, "of", ordered)
    monkeypatch.setattr(meetings, "SPAN", 2)
    of_pairs(log_of_rows([(e, a, (e + a) % 2) for e in range(5) for a in range(4)]))
    assert ordered.call_count == 1


@pytest.mark.parametrize("of_pairs", [pairwise_agreement, pc.annotator_pairs])
def test_pairs_that_share_few_examples_take_no_memory(of_pairs: Any) -> None:
    """160 annotators who met once each are 12,720 pairs; twelve times met one pair alone."""
    met = [(0, a) for a in range(160)] + [(e, a) for e in range(1, 12) for a in (0, 1)]
    log = log_of_rows([(e, a, (e + a) % 2) for e, a in met])
    limit = meetings.BASE + 2_000 * meetings.PER_PAIR
    with pytest.raises(pc.MemoryLimitError, match=r"up to 12,720 pairs .*min_shared=10"):
        of_pairs(log, memory_limit=limit)
    assert of_pairs(log, min_shared=10, memory_limit=limit).height == 1


@given(st.lists(st.integers(1, 6), max_size=12), st.integers(1, 9))
def test_pairs_of_runs(lengths: list[int], size: int) -> None:
    found = [
        (i, j)
        for block in pairs_in_blocks(np.array(lengths, np.int64), size)
        for i, j in zip(*block, strict=True)
    ]
    run = np.repeat(np.arange(len(lengths)), lengths)
    assert found == [(i, j) for i, j in combinations(range(len(run)), 2) if run[i] == run[j]]


# --- partitions -----------------------------------------------------------------------------------


def test_partitions(tmp_path: Path) -> None:
    log = pl.read_parquet(DATA / "digits_sim" / "annotations.parquet").sample(
        fraction=1, shuffle=True, seed=1
    )
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=7)
    assert_same(pairwise_agreement(store), pairwise_agreement(log), 1e-9)
    assert_same(sampled(store, max_pairs=2000), sampled(log, max_pairs=2000), 1e-9)


# --- samples --------------------------------------------------------------------------------------


def crossed(n_examples: int, n_annotators: int) -> pl.DataFrame:
    """Every annotator labels every example."""
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 3, n_examples)
    labels = np.where(rng.random((n_examples, n_annotators)) < 0.7, truth[:, None], 2)
    example, annotator = np.indices(labels.shape)
    columns = {"example": example.ravel(), "annotator": annotator.ravel(), "label": labels.ravel()}
    return pl.DataFrame(columns)


def test_a_sample_says_so_and_is_one_of_the_whole() -> None:
    log = crossed(3000, 8)
    whole = pairwise_agreement(log)
    with pytest.warns(pc.AnnotationWarning) as told:
        sample = pairwise_agreement(log, max_pairs=21_000, seed=3)
    assert str(told[0].message) == (
        "the log has 84,000 pairs of annotations of the same example, more than max_pairs=21,000: each "
        "annotation was kept with probability 0.5 (seed=3), so num_shared counts a sample of the shared "
        "examples and standard errors are larger. Look at all of them: max_pairs=None."
    )
    assert whole["sampled"].unique().to_list() == [1.0]
    assert sample["sampled"].unique().to_list() == [0.25]
    assert sample.height == whole.height
    assert sample["num_shared"].sum() == pytest.approx(21_000, rel=0.05)
    away = (sample["kappa"] - whole["kappa"]) / sample["standard_error"]
    assert away.abs().max() < 4  # type: ignore[operator]
    assert (sample["standard_error"] > whole["standard_error"]).all()


def sampled(log: Any, **options: Any) -> pl.DataFrame:
    with pytest.warns(pc.AnnotationWarning, match=f"max_pairs={options['max_pairs']:,}"):
        return pairwise_agreement(log, **options)


def test_a_sample_depends_on_its_seed_and_on_ids_only() -> None:
    log = crossed(300, 5)
    in_other_order = log.sample(fraction=1, shuffle=True, seed=9)
    found, shuffled = (sampled(rows, max_pairs=1000) for rows in (log, in_other_order))
    other = sampled(log, max_pairs=1000, seed=1)
    assert_same(shuffled, found, 1e-12)
    assert not other["num_shared"].equals(found["num_shared"])


def test_all_pairs_if_so_asked() -> None:
    log = crossed(50, 4)
    assert_same(pairwise_agreement(log, max_pairs=None), pairwise_agreement(log))


def test_one_example_of_many_annotators_is_thinned() -> None:
    log = pl.DataFrame(
        {"example": 0, "annotator": range(3000), "label": [i % 2 for i in range(3000)]}
    )
    found = sampled(log, max_pairs=10_000)
    assert found.height == pytest.approx(10_000, rel=0.25)


# --- corner cases ---------------------------------------------------------------------------------


def test_perfect_agreement_is_one() -> None:
    log = log_of_rows([(1, "a", "x"), (1, "b", "x"), (2, "a", "y"), (2, "b", "y")])
    row = pairwise_agreement(log).row(0, named=True)
    assert (row["kappa"], row["standard_error"], row["reason"]) == (1.0, 0.0, None)


def test_one_class_has_no_kappa() -> None:
    log = log_of_rows([(1, "a", "x"), (1, "b", "x"), (2, "a", "x"), (2, "b", "x"), (3, "a", "y")])
    row = pairwise_agreement(log).row(0, named=True)
    assert row["agreement"] == 1.0
    assert row["kappa"] is None
    assert row["standard_error"] is None
    assert row["reason"] == "one class only is used: agreement by chance is certain"


def test_no_overlap_is_no_row() -> None:
    found = pairwise_agreement(log_of_rows([(1, "a", "x"), (2, "b", "x")]))
    assert found.height == 0
    assert found.columns == [*COLUMNS, "reason", "sampled"]
    assert found.schema["annotator_1"] == pl.String


def test_one_annotator_is_an_error() -> None:
    with pytest.raises(pc.AnnotationError, match=r"one annotator only \('a'\)"):
        pairwise_agreement(log_of_rows([(1, "a", "x"), (2, "a", "y")]))


def test_few_shared_examples_are_left_out() -> None:
    log = log_of_rows([*((e, a, e % 2) for e in range(4) for a in "abc" if e < 3 or a != "c")])
    assert pairwise_agreement(log)["num_shared"].to_list() == [4, 3, 3]
    found = pairwise_agreement(log, min_shared=4)
    assert found.select("annotator_1", "annotator_2", "num_shared").rows() == [("a", "b", 4)]
    assert pairwise_agreement(log, min_shared=5).height == 0


def test_repeated_annotations() -> None:
    """Each row counts, and nobody is a pair with themselves."""
    log = log_of_rows([(1, "a", "x"), (1, "a", "y"), (1, "b", "x")])
    with pytest.raises(pc.AnnotationError, match="more than one annotation"):
        pairwise_agreement(log)
    found = pairwise_agreement(log, duplicates="all")
    assert found.select("annotator_1", "annotator_2", "num_shared", "agreement").rows() == [
        ("a", "b", 2, 0.5)
    ]


def test_annotators_of_an_enum_are_in_its_order() -> None:
    names = pl.Enum(["zoe", "amy"])
    log = log_of_rows([(1, "zoe", "x"), (1, "amy", "y")]).with_columns(
        pl.col("annotator").cast(names)
    )
    assert pairwise_agreement(log).select("annotator_1", "annotator_2").rows() == [("zoe", "amy")]


@pytest.mark.parametrize("option", ["min_shared", "max_pairs"])
def test_options_out_of_range(option: str) -> None:
    log = log_of_rows([(1, "a", "x"), (1, "b", "x")])
    options: dict[str, Any] = {option: 0}
    with pytest.raises(ValueError, match=f"{option}=0; it must be at least 1"):
        pairwise_agreement(log, **options)


def test_a_seed_without_a_sample() -> None:
    log = log_of_rows([(1, "a", "x"), (1, "b", "x")])
    with pytest.raises(ValueError, match="seed=2; it has no effect with max_pairs=None"):
        pairwise_agreement(log, max_pairs=None, seed=2)
    with pytest.raises(ValueError, match="seed=-2; it must be an integer of at least 0"):
        pairwise_agreement(log, seed=-2)
    with pytest.raises(TypeError, match=r"pairwise_agreement\(\) has no option 'by'"):
        pairwise_agreement(log, by="x")  # type: ignore[call-arg]


def test_weights_need_an_order() -> None:
    with pytest.raises(ValueError, match="weights='linear'; it goes by the order of the classes"):
        pairwise_agreement(log_of_rows([(1, "a", "x"), (1, "b", "x")]), weights="linear")


def test_too_many_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meetings, "KEY_LIMIT", 3)
    with pytest.raises(pc.AnnotationError, match="2 annotators and 2 classes: too many"):
        pairwise_agreement(log_of_rows([(1, "a", "x"), (1, "b", "y")]))
