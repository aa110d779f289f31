"""Pairs: the law of common errors by hand, who copied is found, and who did not is not accused."""

from __future__ import annotations

from itertools import product
from math import comb
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import polars_crowd as pc
from polars_crowd.annotators.common_errors import GRID, Choices, Group, Law, same_choices
from polars_crowd.annotators.pairs import with_p_values
from polars_crowd.arrays import Ints
from polars_crowd.numerics.corrections import benjamini_hochberg, holm
from polars_crowd.reliability import meetings
from tests.cases import assert_same

Random = np.random.Generator


def drawn(random: Random, n: int, M: int, K: int, hard: float) -> tuple[Ints, Ints]:
    """The truth, and the labels of all annotators, on examples some of which lead all to one wrong label."""
    truth, skill = random.integers(0, K, n), random.uniform(0.5, 0.9, M)
    lure = (truth + random.integers(1, K, n)) % K
    is_hard = random.random(n) < hard
    right = random.random((n, M)) < skill * np.where(is_hard, 0.4, 1.0)[:, None]
    led = is_hard[:, None] & (random.random((n, M)) < 0.9)
    other = (truth[:, None] + random.integers(1, K, (n, M))) % K
    return truth, np.where(right, truth[:, None], np.where(led, lure[:, None], other))


def log_of(labels: Ints, random: Random, per: int) -> pl.DataFrame:
    """A log of `per` annotations of each example."""
    n, M = labels.shape
    who = np.argsort(random.random((n, M)), axis=1)[:, :per]
    return pl.DataFrame(
        {
            "example": np.repeat(np.arange(n), per),
            "annotator": who.ravel(),
            "label": np.take_along_axis(labels, who, 1).ravel(),
        }
    )


# --- the law ---------------------------------------------------------------------------------------


def test_the_posterior_without_a_pair_is_that_of_the_others() -> None:
    random, K, n = np.random.default_rng(0), 3, 4
    law = Law(random.uniform(0.1, 2, (n, K, K)), random.dirichlet(np.ones(len(GRID)), (K, K)))
    group = Group(np.array([0]), np.arange(n)[None], np.array([[1, 0, 1, 2]]), np.array([2]))
    same, expected = same_choices(group, law, np.array([0]), np.array([2]))
    by_hand = 0.0
    for label in (0, 1):
        p = np.array(
            [[o * np.exp(b) / (1 + o * np.exp(b)) for b in GRID] for o in law.odds[:, 2, label]]
        )
        weight = law.difficulty[2, label].copy()
        for other in (1, 3):
            weight *= p[other] if group.label[0, other] == label else 1 - p[other]
        by_hand += float((weight * p[0] * p[2]).sum() / weight.sum())
    assert same.tolist() == [[1.0]]
    assert expected.item() == pytest.approx(by_hand, rel=1e-9)


def test_expected_choices_of_a_class_add_up_over_what_could_be() -> None:
    """P(both) of the model, averaged over all that the others may do, is that of the prior."""
    law = Law(np.full((4, 2, 2), 0.4), np.full((2, 2, len(GRID)), 1 / len(GRID)))
    p = 0.4 * np.exp(GRID) / (1 + 0.4 * np.exp(GRID))
    mean = 0.0
    for others in product((0, 1), repeat=2):
        group = Group(np.array([0]), np.arange(4)[None], np.array([[0, 0, *others]]), np.array([0]))
        chosen = sum(others)
        weight = float((p**chosen * (1 - p) ** (2 - chosen)).mean())
        mean += weight * Choices.of(group, law, 1).together(np.array([0]), np.array([1])).item()
    assert mean == pytest.approx(float((p**2).mean()), rel=1e-9)


@given(st.integers(1, 30), st.floats(0.01, 0.99), st.integers(0, 30))
def test_the_tail_is_the_binomial_one(n: int, share: float, same: int) -> None:
    same = min(same, n)
    tail = sum(comb(n, s) * share**s * (1 - share) ** (n - s) for s in range(same, n + 1))
    sums = pl.DataFrame({"judged": [n, 0], "same": [same, 0], "expected": [n * share, 0.0]})
    found, of_none = with_p_values(sums)["p"]
    assert np.isnan(of_none)
    assert found == (1.0 if same <= n * share else pytest.approx(tail, rel=1e-9, abs=1e-14))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_corrected_p_values_are_in_their_order_and_not_below_them(p: list[float]) -> None:
    given = np.array(p)
    for corrected in (holm(given), benjamini_hochberg(given)):
        assert (corrected >= given - 1e-12).all()
        assert (corrected <= 1).all()
        assert (np.diff(corrected[np.argsort(given, kind="stable")]) >= -1e-12).all()
    assert (benjamini_hochberg(given) <= holm(given) + 1e-12).all()


# --- who copied ------------------------------------------------------------------------------------


def copied(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A log in which two of fifty annotators copy all labels of a third, and its truth."""
    made = pc.simulate.simulate_annotations(
        n_examples=1500,
        n_annotators=50,
        annotations_per_example=5,
        accuracy=0.75,
        difficulty=0.1,
        seed=seed,
    )
    by = made.log.filter(pl.col("annotator") == "a0000")
    rest = made.log.filter(~pl.col("annotator").is_in(["a0001", "a0002"]))
    copies = [by.with_columns(annotator=pl.lit(name)) for name in ("a0001", "a0002")]
    return pl.concat([rest, *copies]), made.truth


CLIQUE = {("a0000", "a0001"), ("a0000", "a0002"), ("a0001", "a0002")}


@pytest.mark.parametrize("by_truth", [False, True])
def test_a_clique_of_three_in_fifty_is_found(by_truth: bool) -> None:
    log, truth = copied(3)
    found = pc.annotator_pairs(log, against=truth if by_truth else None)
    below = found.filter(pl.col("p_value_corrected") < 0.05)
    assert set(below.select("annotator_1", "annotator_2").rows()) == CLIQUE
    assert (below["num_same_wrong"] > 2 * below["expected_same_wrong"]).all()


@pytest.mark.parametrize("hard", [0.0, 0.3])
def test_who_decides_alone_is_not_accused_also_where_all_err_alike(hard: bool) -> None:
    accused = 0
    for seed in range(8):
        random = np.random.default_rng(seed)
        _, labels = drawn(random, 300, 20, 3, hard)
        found = pc.annotator_pairs(log_of(labels, random, 8))
        accused += bool((found["p_value_corrected"] < 0.05).any())
    assert accused == 0


def test_two_who_always_say_the_same_are_not_accused_of_copying() -> None:
    random = np.random.default_rng(5)
    _, labels = drawn(random, 300, 12, 3, 0.2)
    labels[:, :2] = 1
    found = pc.annotator_pairs(log_of(labels, random, 9))
    first = found.filter(pl.col("annotator_1") == 0, pl.col("annotator_2") == 1)
    assert first["num_same_wrong"].item() > 40
    assert first["p_value_corrected"].item() > 0.05


@settings(max_examples=5)
@given(st.integers(0, 10**6))
def test_a_store_and_renamed_classes_have_the_same_pairs(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    random = np.random.default_rng(seed)
    _, labels = drawn(random, 40, 6, 3, 0.2)
    log = log_of(labels, random, 4)
    place = tmp_path_factory.mktemp("store") / "store"
    store = pc.AnnotationStore.create(place, log, partitions=5)
    named = log.with_columns(pl.col("label").replace_strict({0: "b", 1: "c", 2: "a"}))
    keys = ["annotator_1", "annotator_2"]
    found = pc.annotator_pairs(log).sort(keys)
    for other in (pc.annotator_pairs(store), pc.annotator_pairs(named)):
        same = other.sort(keys)
        assert same.select(keys, "num_judged", "num_same_wrong").equals(
            found.select(keys, "num_judged", "num_same_wrong")
        )
        for column in ("expected_same_wrong", "p_value_corrected"):
            assert same[column].to_list() == pytest.approx(found[column].to_list(), rel=1e-8)


@pytest.mark.parametrize("of_pairs", [pc.annotator_pairs, lambda log: pc.overlap(log).pairs])
def test_spans_of_any_size(of_pairs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log = pc.simulate.simulate_annotations(n_examples=60, n_annotators=12, seed=2).log
    whole = of_pairs(log)
    monkeypatch.setattr(meetings, "SPAN", 20)
    assert_same(of_pairs(log), whole, 1e-12)


def test_what_is_refused() -> None:
    log = pl.DataFrame({"example": [1, 1], "annotator": ["a", "b"], "label": ["x", "y"]})
    with pytest.raises(ValueError, match="min_shared=0; it must be at least 1"):
        pc.annotator_pairs(log, min_shared=0)
    with pytest.raises(ValueError, match="correction='none'; it must be one of 'holm', 'bh'"):
        pc.annotator_pairs(log, correction="none")  # type: ignore[arg-type]
    with pytest.raises(pc.MemoryLimitError, match="pairs of annotators"):
        pc.annotator_pairs(log, memory_limit=10)
    assert pc.annotator_pairs(log)["p_value"].to_list() == [None]
