"""The scores of confusion counts: against published and hand-computed values, and by what they must be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, mutual_info_score

from polars_crowd.annotators import scores
from polars_crowd.annotators.scores import Confusions
from polars_crowd.errors import OptionError
from polars_crowd.numerics.shares import wilson


def of(*counts: object) -> Confusions:
    """The confusion counts of several annotators, rows of true classes."""
    n = np.array(counts, dtype=np.float64)
    unit, truth, label = np.nonzero(n)
    return Confusions(unit, truth, label, n[unit, truth, label], len(n), n.shape[1])


def spam(*counts: object) -> list[float]:
    return [round(float(x), 12) for x in scores.spam_score(of(*counts))]


def test_the_spam_score_of_two_classes_is_by_sensitivity_and_specificity() -> None:
    # Raykar and Yu 2012, section 3.1: S = (sensitivity + specificity - 1)^2
    good, biased, spammer, malicious = (
        [[90, 10], [20, 80]],
        [[99, 1], [60, 40]],
        [[30, 70], [30, 70]],
        [[0, 100], [100, 0]],
    )
    assert spam(good, biased, spammer, malicious) == [0.49, 0.1521, 0, 1]


def test_the_spam_score_of_three_classes() -> None:
    # section 3.2: 0 for equal rows, also those of one column; 1 for the identity and its permutations
    constant, guess = [[0, 5, 0]] * 3, [[1, 2, 1]] * 3
    identity = np.eye(3) * 7
    assert spam(constant, guess, identity, identity[[2, 0, 1]]) == [0, 0, 1, 1]
    # by hand: |(.8 .2 0) - (.1 .9 0)|^2 = .98, |(.8 .2 0) - (0 0 1)|^2 = 1.68, |(.1 .9 0) - (0 0 1)|^2 = 1.82
    assert spam([[8, 2, 0], [1, 9, 0], [0, 0, 4]]) == [round((0.98 + 1.68 + 1.82) / 6, 12)]
    assert np.isnan(scores.spam_score(of([[3, 1], [0, 0]]))).all(), "one class tells nothing apart"


def test_the_expected_cost() -> None:
    # Ipeirotis, Provost and Wang 2010, section 3: who always swaps two classes costs nothing though no label
    # is right; who says one class only costs as much as nobody, though half of the labels are right
    swaps, says_one = [[0, 10], [10, 0]], [[10, 0], [10, 0]]
    cost = scores.expected_cost(of(swaps, says_one), scores.checked_costs(None, 2))
    assert cost == pytest.approx([0, 1])
    # by hand: p = (.8, .2), theta = (.9 .1; .3 .7): P = (.78, .22), the truth given the labels (72/78, 6/78)
    # and (8/22, 14/22); cost = .78 * 2 * 72*6/78^2 + .22 * 2 * 8*14/22^2, beside 2 * .8 * .2
    counts = of([[72, 8], [6, 14]])
    told = 2 * 0.72 * 0.06 / 0.78 + 2 * 0.08 * 0.14 / 0.22
    assert scores.expected_cost(counts, scores.checked_costs(None, 2)) == pytest.approx(told / 0.32)
    costs = scores.checked_costs(
        [[0, 1], [5, 0]], 2
    )  # both errors are as likely in the formula: (1 + 5) / 2
    assert scores.expected_cost(counts, costs) == pytest.approx(told / 0.32)
    with pytest.raises(OptionError, match="a row and a column for each of the 2 classes"):
        scores.checked_costs(np.ones((3, 3)), 2)


Counts = NDArray[np.int64]
counts = arrays(np.int64, (3, 3), elements=st.integers(0, 6)).filter(lambda n: n.sum() > 0)


@given(counts)
def test_scores_by_other_libraries_and_by_loops(n: Counts) -> None:
    truth, label = (np.repeat(code, n.ravel()) for code in np.divmod(np.arange(9), 3))
    found = of(n, n)
    assert scores.accuracy(found)[1] == pytest.approx((truth == label).mean())
    seen = np.flatnonzero(n.sum(axis=1))
    shares = n[seen] / n[seen].sum(axis=1, keepdims=True)
    if set(label) <= set(truth) and len(seen) > 1:
        expected = balanced_accuracy_score(truth, label)
        assert scores.balanced_accuracy(found)[0] == pytest.approx(expected)
    bits = mutual_info_score(truth, label) / np.log(2)
    assert scores.mutual_information(found)[0] == pytest.approx(bits, abs=1e-12)
    apart = [((a - b) ** 2).sum() for i, a in enumerate(shares) for b in shares[i + 1 :]]
    pairs = len(seen) * (len(seen) - 1)
    assert scores.spam_score(found)[0] == pytest.approx(
        sum(apart) / pairs if pairs else np.nan, nan_ok=True
    )
    assert scores.chance(found)[0] == pytest.approx((n.sum(axis=0) @ n.sum(axis=1)) / n.sum() ** 2)
    worst, share = scores.worst_classes(found)
    shrunk = (np.diag(n)[seen] + 1) / (n[seen].sum(axis=1) + 2)
    assert share[0] == pytest.approx(shrunk.min())
    assert worst[0] in seen


@given(counts, st.integers(0, 2**16))
def test_the_expected_cost_by_loops(n: Counts, seed: int) -> None:
    c = np.random.default_rng(seed).integers(0, 5, (3, 3)).astype(float)
    found = of(n)
    assert scores.expected_cost(found)[0] == pytest.approx(
        scores.expected_cost(found, 1 - np.eye(3))[0], nan_ok=True
    )
    cost = scores.expected_cost(found, c)[0]
    p = n.sum(axis=1) / n.sum()
    told = 0.0
    for label in range(3):
        joint = p * n[:, label] / np.maximum(n.sum(axis=1), 1)
        if joint.sum():
            s = joint / joint.sum()
            told += joint.sum() * sum(s[k] * s[m] * c[k, m] for k in range(3) for m in range(3))
    whole = p @ c @ p
    assert cost == pytest.approx(told / whole if whole else np.nan, nan_ok=True)


def test_balanced_accuracy_has_the_interval_of_its_own_variance() -> None:
    rng = np.random.default_rng(0)
    theta, sizes = np.array([[0.9, 0.1], [0.35, 0.65]]), (40, 15)
    n = [
        [rng.multinomial(m, row) for m, row in zip(sizes, theta, strict=True)] for _ in range(2000)
    ]
    found = of(*n)
    b = scores.balanced_accuracy(found)
    low, high = wilson(b, scores.balanced_size(found), 0.95)
    assert 0.93 < ((low <= 0.775) & (high >= 0.775)).mean() < 0.98
