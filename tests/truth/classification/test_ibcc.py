"""IBCC: the lower bound against its definition, special functions, simulated parameters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_crowd as pc
from polars_crowd.numerics.special import digamma, log_gamma
from polars_crowd.truth.classification.dirichlet import MODE, VARIATIONAL
from polars_crowd.truth.classification.ibcc import ibcc
from tests import DATA
from tests.cases import Case, cases
from tests.truth.truth_cases import accuracy, assert_never_lower, matrix, quiet


@given(st.floats(1e-3, 1e7))
def test_special_functions(x: float) -> None:
    assert log_gamma(np.array(x)) == pytest.approx(math.lgamma(x), rel=1e-12, abs=1e-13)
    assert digamma(np.array(x + 1)) == pytest.approx(
        digamma(np.array(x)) + 1 / x, rel=1e-12, abs=1e-12
    )
    h = 1e-5 * x
    slope = (math.lgamma(x + h) - math.lgamma(x - h)) / (2 * h)
    assert digamma(np.array(x)) == pytest.approx(slope, rel=1e-5, abs=1e-4)


@given(st.lists(st.floats(0.1, 20), min_size=2, max_size=4), st.floats(0.1, 5))
def test_a_prior_costs_nothing_that_was_not_moved(counts: list[float], b: float) -> None:
    """-KL(q || prior) is 0 where q is the prior, below elsewhere; the mode's part is sum b log theta."""
    c = np.array(counts)
    assert VARIATIONAL.log_prior(np.full(3, b), b) == pytest.approx(0, abs=1e-9)
    assert VARIATIONAL.log_prior(c + b, b) <= 1e-9
    theta = (c + b) / (c + b).sum()
    assert MODE.log_prior(c + b, b) == pytest.approx(b * np.log(theta).sum())


def test_the_kl_of_two_dirichlets_is_that_of_samples() -> None:
    rng = np.random.default_rng(0)
    q, p = np.array([4.0, 2, 3]), np.array([1.0, 1, 2])
    theta = rng.dirichlet(q, size=400_000)

    def log_density(c: Any) -> Any:
        log_beta = sum(map(math.lgamma, c)) - math.lgamma(c.sum())
        return (np.log(theta) * (c - 1)).sum(axis=1) - log_beta

    ratio = log_density(q) - log_density(p)
    error = 5 * ratio.std() / np.sqrt(len(ratio))
    assert -VARIATIONAL.log_prior(q, p) == pytest.approx(ratio.mean(), abs=error)


@given(cases(max_examples=4, max_annotators=3, max_classes=2))
def test_the_bound_is_below_the_evidence(case: Case) -> None:
    """log P(labels) by summing over every possible truth, with the Dirichlets integrated out."""
    K = case.n_classes
    log = case.log
    fit = quiet(ibcc, log, classes=range(K), max_iter=50, tol=0.0)
    assert fit.trace[-1] <= log_evidence(log, K) + 1e-9
    assert fit.trace[-1] >= log_evidence(log, K) - 5


def log_evidence(log: pl.DataFrame, K: int) -> float:
    ids = sorted(log["example"].unique())
    annotators = sorted(log["annotator"].unique())
    rows = [(ids.index(e), annotators.index(a), y) for e, a, y in log.iter_rows()]
    b = 1 + 3 * np.eye(K)
    total = []
    for truth in np.ndindex(*(K,) * len(ids)):
        counts = np.tile(b, (len(annotators), 1, 1))
        for e, a, y in rows:
            counts[a, truth[e], y] += 1
        shares = 1.0 + np.bincount(truth, minlength=K)
        total.append(
            log_beta(counts).sum()
            - len(annotators) * log_beta(b).sum()
            + log_beta(shares)
            - log_beta(np.ones(K))
        )
    return float(np.logaddexp.reduce(total))


def log_beta(c: Any) -> Any:
    lgamma = np.vectorize(math.lgamma)
    return lgamma(c).sum(axis=-1) - lgamma(c.sum(axis=-1))


def test_simulated_parameters_are_recovered() -> None:
    data = pc.simulate.simulate_annotations(
        n_examples=4000, n_annotators=20, n_classes=3, accuracy=(0.5, 0.9), seed=4
    )
    fit = ibcc(data.log)
    assert fit.confusion is not None
    both = fit.confusion.join(data.confusion, on=["annotator", "true_label", "label"])
    error = both["probability"] - both["probability_right"]
    assert error.abs().max() < 4 * 0.027  # type: ignore[operator]


def test_accuracy_on_bundled_logs() -> None:
    for name, least in (("digits_sim", 0.94), ("labelme", 0.78)):
        log, truth = (
            pl.read_parquet(DATA / name / f"{file}.parquet") for file in ("annotations", "truth")
        )
        assert accuracy(quiet(ibcc, log), truth) >= least


@given(cases())
def test_past_counts_do_not_let_the_bound_fall(case: Case) -> None:
    past = quiet(ibcc, case.log, max_iter=5)
    assert_never_lower(quiet(ibcc, case.log, prior=past, max_iter=30, tol=0.0).trace)


def test_few_annotations_leave_the_prior() -> None:
    """Who said nothing about a class is taken to be right on it more often than not."""
    log = pl.DataFrame({"example": [1, 1, 2], "annotator": ["a", "b", "a"], "label": ["x"] * 3})
    fit = quiet(ibcc, log, classes=["x", "y"])
    assert matrix(fit)[:, 0].min() > 0.7
    assert fit.confusion is not None
    of_y = fit.confusion.filter(pl.col("true_label") == "y", pl.col("label") == "y")
    assert of_y["probability"].min() > 0.6  # type: ignore[operator]


def test_wrong_options() -> None:
    log = pc.datasets.tutorial().log
    for option, value in (
        ("pseudo_count", 0),
        ("right_pseudo_count", -1),
        ("class_pseudo_count", float("nan")),
    ):
        with pytest.raises(ValueError, match=f"{option}="):
            ibcc(log, **{option: value})  # type: ignore[arg-type]
