"""What is remembered of a partition is of that reading of it: never of the same log with other runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import polars_crowd as pc
from polars_crowd.consensus.calibration import tempered
from polars_crowd.consensus.majority_vote import TieBreaks
from polars_crowd.consensus.model import Choice, Posterior, Weights, vote_shares
from polars_crowd.rounds.opening import open_rounds
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds

DATA = pc.datasets.tutorial()
HOT = (3.0,)


def in_memory(_: Path) -> Rounds:
    return open_rounds(DATA.log, DATA.pred_probs)


def in_a_store(folder: Path) -> Rounds:
    pc.AnnotationStore.create(folder / "store", DATA.log, DATA.pred_probs, partitions=1)
    return open_rounds(pc.AnnotationStore.open(folder / "store"))


def some_weights(rounds: Rounds) -> Weights[float]:
    return Weights(0.8, 0.1, np.full(len(rounds.book.annotators), 0.5), np.array([2.0]))


def posterior_of(rounds: Rounds, weights: Posterior) -> np.ndarray:
    return weights.of(Partition(rounds.handles[0])).dense()


def best_of(rounds: Rounds, weights: Posterior) -> np.ndarray:
    return Choice(TieBreaks(), weights).labels(Partition(rounds.handles[0])).to_numpy()


@pytest.mark.parametrize("plan", [posterior_of, best_of])
@pytest.mark.parametrize("opened", [in_memory, in_a_store])
def test_a_view_has_answers_of_its_own(opened, plan, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """... whichever is asked first, and how often."""
    rounds = opened(tmp_path)
    shared = Posterior(some_weights(rounds), vote_shares)
    view = rounds.transformed(tempered, HOT)
    expected = [plan(in_memory(tmp_path), shared)]
    expected.append(plan(in_memory(tmp_path).transformed(tempered, HOT), shared))
    assert (expected[0] != expected[1]).any()
    for _ in range(2):
        for found, right in zip([plan(rounds, shared), plan(view, shared)], expected, strict=True):
            np.testing.assert_array_equal(found, right)


def test_a_view_of_a_view_is_another() -> None:
    rounds = open_rounds(DATA.log, DATA.pred_probs)
    once = rounds.transformed(tempered, HOT)
    twice = once.transformed(tempered, HOT)
    found = [Partition(each.handles[0]).runs.models[0] for each in (rounds, once, twice, once)]
    straight = rounds.transformed(tempered, (HOT[0] ** 2,))
    np.testing.assert_allclose(found[2], Partition(straight.handles[0]).runs.models[0], atol=1e-12)
    np.testing.assert_array_equal(found[1], found[3])
    assert (found[0] != found[1]).any()
    assert (found[1] != found[2]).any()


def test_fingerprints_of_views_differ(tmp_path: Path) -> None:
    rounds = in_a_store(tmp_path)
    views = [rounds, *(rounds.transformed(tempered, (t,)) for t in (1.0, 2.0))]
    assert len({each.handles[0].fingerprint for each in views}) == len(views)


def test_a_memo_holds_the_last_of_each_name() -> None:
    """... made once for the same parameters, anew for others, and for equal ones that are not the same."""
    part, made, parameters = Partition(open_rounds(DATA.log).handles[0]), [], [[1], [1], [2]]

    def make() -> int:
        made.append(1)
        return len(made)

    found = [part.once("it", make, of) for of in (*parameters, parameters[-1])]
    assert found == [1, 2, 3, 3]
    part.forget("it")
    assert part.once("it", make, parameters[-1]) == 4
    assert part.once("it", make) == 5
