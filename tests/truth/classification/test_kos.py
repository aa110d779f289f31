"""KOS: its messages by loops, crowd-kit's labels, adversaries, and what it is not for."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from numpy.typing import NDArray

import polars_crowd as pc
from polars_crowd.truth.classification.kos import kos
from tests.cases import Case, assert_same, cases
from tests.truth import crowd_kit
from tests.truth.truth_cases import accuracy, matrix, quiet


def brute_force(A: NDArray[np.int64], rounds: int) -> NDArray[np.float64]:
    """The share of the second class after so many rounds, a message at a time, in exact fractions."""
    edges = [(i, j) for i, j in np.ndindex(A.shape) if A[i, j]]
    sign = {edge: int(A[edge]) for edge in edges}
    y = dict.fromkeys(edges, Fraction(1))
    for _ in range(rounds):
        x = {
            (i, j): sum((sign[i, b] * y[i, b] for a, b in edges if a == i and b != j), Fraction(0))
            for i, j in edges
        }
        full = [
            sum((sign[a, b] * x[a, b] for a, b in edges if b == j), Fraction(0))
            for j in range(A.shape[1])
        ]
        scale = max(map(abs, full)) or Fraction(1)
        y = {(i, j): (full[j] - sign[i, j] * x[i, j]) / scale for i, j in edges}
    return np.array([share_of_second(i, sign, y) for i in range(len(A))])


def share_of_second(
    i: int, sign: dict[tuple[int, int], int], y: dict[tuple[int, int], Fraction]
) -> float:
    """(1 + z / sum |y|) / 2 of one example."""
    own = [edge for edge in y if edge[0] == i]
    size = sum((abs(y[edge]) for edge in own), Fraction(0))
    z = sum((sign[edge] * y[edge] for edge in own), Fraction(0))
    return float((1 + z / size) / 2) if size else 0.5


@given(cases(max_examples=6, max_annotators=4, max_classes=2))
def test_by_brute_force(case: Case) -> None:
    A = np.where(case.labels < 0, 0, 2 * case.labels - 1)
    fit = quiet(kos, case.log, classes=[0, 1], max_iter=4, tol=0.0)
    np.testing.assert_allclose(matrix(fit)[:, 1], brute_force(A, fit.n_iter), atol=1e-6)


def test_the_same_labels_as_crowd_kit() -> None:
    fit = quiet(kos, crowd_kit.log(), max_iter=10)
    labels = fit.examples.select("example", label="consensus_label").collect()
    assert_same(labels, crowd_kit.answer("kos-labels"))


def test_adversaries_are_found() -> None:
    data = pc.simulate.simulate_annotations(
        n_examples=800,
        n_annotators=12,
        n_classes=2,
        annotations_per_example=8,
        adversaries=0.25,
        seed=4,
    )
    fit = kos(data.log)
    both = fit.annotators.join(data.annotators, on="annotator")
    assert (both.filter(kind="adversary")["reliability"] < 0).all()
    assert (both.filter(kind="regular")["reliability"] > 0).all()
    votes = pc.majority_vote(data.log).collect().join(data.truth, on="example")
    assert accuracy(fit, data.truth) > (votes["consensus_label"] == votes["label"]).mean()  # type: ignore[operator]


def test_known_labels_turn_a_crowd_around() -> None:
    """Three of four say the opposite of the truth on everything."""
    truth = np.random.default_rng(0).integers(0, 2, 60)
    frames = [
        pl.DataFrame({"example": range(60), "annotator": a, "label": np.abs(truth - wrong)})
        for a, wrong in (("a", 0), ("b", 1), ("c", 1), ("d", 1))
    ]
    known = pl.DataFrame({"example": range(60), "label": truth})
    assert accuracy(quiet(kos, pl.concat(frames)), known) == 0
    assert accuracy(quiet(kos, pl.concat(frames), gold=known.head(45)), known) == 1


def test_it_is_for_two_classes() -> None:
    log = pl.DataFrame({"example": [1, 1, 1], "annotator": [1, 2, 3], "label": ["x", "y", "z"]})
    with pytest.raises(pc.AnnotationError, match=r"3 classes \('x', 'y', 'z'\); KOS is for two"):
        kos(log)


def test_messages_that_cancel_leave_nothing() -> None:
    """The order of a sum does not decide which way the others are tipped."""
    labels = np.array([[0, 1], [-1, 1], [1, 1], [-1, 1], [0, 1], [1, 0], [0, 1]])
    found, turned = (quiet(kos, Case(each, []).log) for each in (labels, labels[::-1, ::-1]))
    backward = turned.annotators.with_columns(annotator=1 - pl.col("annotator"))
    assert found.annotators.sort("annotator").equals(backward.sort("annotator"))
    assert found.trace.equals(turned.trace)
