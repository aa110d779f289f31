"""Dawid-Skene: formulas against brute force, published counts, crowd-kit, simulated parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_crowd as pc
from polars_crowd.arrays import Floats as Array
from polars_crowd.runs.codes import Codebook
from polars_crowd.truth.classification.dawid_skene import agreeing_order, dawid_skene
from polars_crowd.truth.classification.ibcc import ibcc
from polars_crowd.truth.classification.one_coin import one_coin_dawid_skene
from polars_crowd.truth.em import with_classes_in_place
from polars_crowd.truth.past import past_confusion
from polars_crowd.truth.result import Parameters
from tests import DATA, GOLDEN
from tests.cases import Case, assert_same, cases, simulated
from tests.truth.truth_cases import (
    accuracy,
    assert_never_lower,
    brute_force,
    confusions,
    matrix,
    quiet,
)

GOLDEN = GOLDEN / "crowd-kit-1.4.2"

AS_FITTED: dict[str, Any] = {"confidence": "model"}
CROWD = {"n_examples": 4000, "n_annotators": 20, "seed": 2}


# --- the formulas ----------------------------------------------------------------------------------


@given(cases(), st.sampled_from([0.01, 0.1, 1.0]))
def test_posterior_and_objective_are_those_of_products(case: Case, smoothing: float) -> None:
    """The E-step against products of probabilities, the objective against its definition."""
    fit = quiet(dawid_skene, case.log, smoothing=smoothing, max_iter=7, tol=0.0, **AS_FITTED)
    evidence, posterior = brute_force(fit, case.log)
    T = matrix(fit)
    for example, row in zip(sorted(posterior), T, strict=True):
        np.testing.assert_allclose(row, posterior[example], atol=1e-9)
    theta, pi = confusions(fit), fit.class_prior["probability"].to_numpy()
    prior = smoothing * (sum(np.log(t).sum() for t in theta.values()) + np.log(pi).sum())
    assert fit.trace[-1] == pytest.approx(evidence + prior, rel=1e-9)


@given(cases(), st.sampled_from([0.1, 1.0]), st.integers(1, 50))
def test_the_m_step_is_the_shares_of_the_posterior(case: Case, smoothing: float, n: int) -> None:
    """theta and pi are the shares of what the posterior before counts, plus the pseudo-counts.

    So they are at the end as well, where an iteration changes nothing.
    """
    before = quiet(dawid_skene, case.log, smoothing=smoothing, max_iter=n, tol=0.0, **AS_FITTED)
    fit = quiet(dawid_skene, case.log, smoothing=smoothing, max_iter=2, tol=0.0, init=before)
    assert fit.n_iter == 2
    K = len(fit.classes)
    T = dict(zip(sorted(case.log["example"].unique()), matrix(before), strict=True))
    share = matrix(before).sum(axis=0) + smoothing
    np.testing.assert_allclose(fit.class_prior["probability"], share / share.sum(), atol=1e-9)
    for annotator, theta in confusions(fit).items():
        counts = np.full((K, K), smoothing)
        for example, label in (
            case.log.filter(pl.col("annotator") == annotator).select("example", "label").iter_rows()
        ):
            counts[:, fit.classes.index(label)] += T[example]
        expected = counts / counts.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(theta, expected, atol=1e-9)


def test_one_annotator_is_taken_at_his_word() -> None:
    log = pl.DataFrame({"example": range(10), "annotator": "a", "label": [0, 1] * 5})
    fit = quiet(dawid_skene, log)
    assert fit.examples.collect()["consensus_label"].to_list() == [0, 1] * 5


def test_the_counts_of_the_confusion_add_up_to_the_annotations() -> None:
    data = pc.datasets.tutorial()
    fit = dawid_skene(data.log)
    assert fit.confusion is not None
    counts = fit.confusion.group_by("annotator", "label").agg(pl.col("num_annotations").sum())
    given = data.log.group_by("annotator", "label").agg(given=pl.len())
    both = counts.join(given, on=["annotator", "label"], how="left").fill_null(0)
    np.testing.assert_allclose(both["num_annotations"], both["given"], atol=1e-8)


# --- against others --------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 20])
def test_equals_crowd_kit_after_as_many_iterations(n: int) -> None:
    log = pl.read_parquet(DATA / "digits_sim" / "annotations.parquet")
    fit = quiet(dawid_skene, log, smoothing=1e-10, max_iter=n, tol=0.0, **AS_FITTED)
    assert fit.n_iter == n
    expected = pl.read_parquet(GOLDEN / f"digits_sim-dawid_skene-{n}.parquet")
    assert_same(fit.posterior.collect(), expected, tolerance=1e-6)


# --- recovery --------------------------------------------------------------------------------------


def test_simulated_parameters_are_recovered() -> None:
    """Each row of a confusion has about 330 annotations: a standard error of 0.027 at most."""
    prior = [0.5, 0.3, 0.2]
    data = simulated(**CROWD, class_prior=prior, accuracy=(0.5, 0.9))
    fit = dawid_skene(data.log)
    assert fit.confusion is not None
    both = fit.confusion.join(data.confusion, on=["annotator", "true_label", "label"])
    error = both["probability"] - both["probability_right"]
    assert error.abs().max() < 4 * 0.027  # type: ignore[operator]
    assert error.pow(2).mean() ** 0.5 < 0.027  # type: ignore[operator]
    np.testing.assert_allclose(fit.class_prior["probability"], prior, atol=4 * 0.008)


def test_it_beats_the_majority_where_annotators_differ() -> None:
    data = simulated(**CROWD, accuracy=(0.4, 0.9), spammers=4)
    majority = pc.majority_vote(data.log).collect().join(data.truth, on="example")
    share = (majority["consensus_label"] == majority["label"]).mean()
    with pytest.warns(pc.AnnotationWarning, match=r"differ .* on 434 of 4,000 examples \(11%\)"):
        fit = dawid_skene(data.log)
    assert accuracy(fit, data.truth) > share + 0.02  # type: ignore[operator]


def test_adversaries_are_turned_round() -> None:
    data = simulated(**CROWD, n_classes=2, accuracy=0.8, adversaries=6)
    with pytest.warns(pc.AnnotationWarning, match="labels differ from the majority vote"):
        fit = dawid_skene(data.log)
    assert accuracy(fit, data.truth) > 0.93


@pytest.mark.parametrize(("name", "least"), [("digits_sim", 0.94), ("labelme", 0.785)])
def test_accuracy_on_real_and_simulated_logs(name: str, least: float) -> None:
    path = DATA / name
    truth = pl.read_parquet(path / "truth.parquet")
    fit = quiet(dawid_skene, pl.read_parquet(path / "annotations.parquet"))
    assert accuracy(fit, truth) >= least


# --- what is known from the past -------------------------------------------------------------------


@given(cases())
def test_past_counts_do_not_let_the_objective_fall(case: Case) -> None:
    past = quiet(dawid_skene, case.log, max_iter=5)
    fit = quiet(dawid_skene, case.log, prior=past, max_iter=30, tol=0.0)
    assert_never_lower(fit.trace)


def test_past_counts_are_pseudo_counts() -> None:
    """One annotation says little; a hundred earlier ones of the same annotator say much."""
    log = pl.DataFrame({"example": [1, 1], "annotator": ["good", "bad"], "label": ["x", "y"]})
    past = pl.DataFrame(
        {
            "annotator": ["good"] * 2 + ["bad"] * 4 + ["gone"],
            "true_label": ["x", "y", "x", "x", "y", "y", "x"],
            "label": ["x", "y", "x", "y", "x", "y", "x"],
            "num_annotations": [50, 50, 25, 25, 25, 25, 9],
        }
    )
    fit = quiet(dawid_skene, log, prior=past)
    assert fit.examples.collect()["consensus_label"].to_list() == ["x"]
    theta = confusions(fit)["good"]
    assert theta[0, 0] == pytest.approx((50 + 0.1 + 1) / (50 + 0.2 + 1), abs=0.01)


def test_a_fit_is_a_prior() -> None:
    data = simulated(**{**CROWD, "n_examples": 400})
    examples = data.truth["example"]
    old, new = (
        data.log.filter(pl.col("example").is_in(part.implode()))
        for part in (examples.head(350), examples.tail(50))
    )
    with_past = dawid_skene(new, prior=dawid_skene(old))
    assert accuracy(with_past, data.truth) >= accuracy(dawid_skene(new), data.truth)
    assert with_past.confusion is not None
    assert with_past.confusion["num_annotations"].sum() == pytest.approx(new.height, abs=1e-6)


def test_past_skills_and_past_confusions_serve_all_methods() -> None:
    data = simulated(**{**CROWD, "n_examples": 300})
    confusion, skills = dawid_skene(data.log), one_coin_dawid_skene(data.log)
    log = data.log.tail(100)
    for past in (confusion, confusion.confusion, skills, skills.annotators):
        for method in (dawid_skene, one_coin_dawid_skene, ibcc):
            fit = quiet(method, log, prior=past)
            assert accuracy(fit, data.truth) >= accuracy(quiet(method, log), data.truth)
    past = pl.DataFrame({"annotator": ["a"], "num_correct": [6], "num_incorrect": [3]})
    pair = pl.DataFrame({"example": [1, 1], "annotator": ["a", "b"], "label": [0, 1]})
    even = past_confusion(past, Codebook(pl.Series([0, 1, 2]), (), pl.Series(["a", "b"])))
    np.testing.assert_allclose(even[:, 0], np.full((3, 3), 0.5) + 1.5 * np.eye(3))
    np.testing.assert_allclose(even[:, 1], 0)
    assert quiet(dawid_skene, pair, prior=past).examples.collect()["consensus_label"][0] == 0


def test_prior_errors() -> None:
    log = pc.datasets.tutorial().log
    columns = {"annotator": ["A0001"], "true_label": [0], "label": [1], "num_annotations": [1]}
    good = pl.DataFrame(columns)
    with pytest.raises(
        pc.AnnotationError, match=r"(?s)prior has no column 'num_annotations'.*an earlier fit"
    ):
        dawid_skene(log, prior=good.drop("num_annotations"))
    with pytest.raises(
        pc.AnnotationError, match="1 row with a count that is negative, null or not finite"
    ):
        dawid_skene(log, prior=good.with_columns(num_annotations=-1))
    with pytest.raises(pc.AnnotationError, match="prior has 1 row with labels that are not among"):
        dawid_skene(log, prior=good.with_columns(label=7))


@pytest.mark.parametrize("smoothing", [0, -1, float("inf"), float("nan"), "much", True])
def test_smoothing_is_a_number_above_zero(smoothing: Any) -> None:
    with pytest.raises(ValueError, match=r"smoothing=.*; it must be a number"):
        dawid_skene(pc.datasets.tutorial().log, smoothing=smoothing)


# --- which class is which --------------------------------------------------------------------------


def test_exchanged_classes_are_put_back() -> None:
    by_label = np.array([[1.0, 9, 0], [8, 2, 1], [0, 1, 7]])
    np.testing.assert_array_equal(agreeing_order(by_label), [1, 0, 2])
    cycle = np.array([[0.0, 9, 0], [0, 0, 9], [9, 0, 0]])
    np.testing.assert_array_equal(np.diag(cycle[agreeing_order(cycle)]), [9, 9, 9])
    np.testing.assert_array_equal(agreeing_order(np.ones((4, 4))), range(4))


def test_classes_that_were_exchanged_inside_the_parameters_are_put_back() -> None:
    """The same objective and the same posterior, under the names that the labels have."""
    data = simulated(**{**CROWD, "n_examples": 300})
    fit = dawid_skene(data.log)
    fitted = fit._fitted
    order = np.array([1, 0, 2])
    exchanged = Parameters(
        fitted.model.exchanged(fitted.params.skills, order), fitted.params.classes.in_order(order)
    )
    for params in (fitted.params, exchanged):
        back = with_classes_in_place(fitted.model, params)
        np.testing.assert_array_equal(back.skills.dense, fitted.params.skills.dense)
        np.testing.assert_array_equal(back.classes.classes, fitted.params.classes.classes)
    assert fitted.model.log_prior(exchanged.skills) == pytest.approx(
        fitted.model.log_prior(fitted.params.skills)
    )


def test_labels_to_begin_with_name_the_classes() -> None:
    data = simulated(**{**CROWD, "n_examples": 300})
    wrong = data.truth.with_columns((pl.col("label").rank("dense").cast(pl.Int64)) % 3)
    names = sorted(data.truth["label"].unique())
    shifted = wrong.with_columns(
        pl.col("label").replace_strict(range(3), names, return_dtype=data.truth.schema["label"])
    )
    right = dawid_skene(data.log)
    with pytest.warns(pc.AnnotationWarning) as said:
        fit = dawid_skene(data.log, init=shifted)
    exchanged, differ = map(str, (warning.message for warning in said))
    assert exchanged.startswith(
        "classes may be exchanged: 19 of 20 annotators are right less often than by chance; most labels on "
        "examples of class 0 are 2, and most labels 2 are there; most labels on examples of class 1 are 0,"
    )
    assert differ.startswith("labels differ from the majority vote on")
    assert accuracy(fit, shifted) > 0.85
    np.testing.assert_allclose(matrix(fit), matrix(right)[:, [2, 0, 1]], atol=0.01)
    assert fit.trace[-1] == pytest.approx(right.trace[-1], rel=1e-4)


# --- parameters that are given ---------------------------------------------------------------------


def by_hand(
    log: pl.DataFrame, theta: Array, pi: Array | None, b: float, n: int
) -> tuple[Array, Array]:
    """T and pi after n E-steps from theta[j,k,l], by loops over the log; pi is estimated unless given."""
    examples, names = (log[c].unique().sort().to_list() for c in ("example", "annotator"))
    K = theta.shape[1]
    votes = np.zeros((len(examples), K))
    for example, label in log.select("example", "label").iter_rows():
        votes[examples.index(example), label] += 1
    share = (votes / votes.sum(axis=1, keepdims=True)).sum(axis=0) + b
    prior, T = share / share.sum() if pi is None else pi, votes
    for step in range(n):
        if step:
            counts = np.full_like(theta, b)
            for example, annotator, label in log.iter_rows():
                counts[names.index(annotator), :, label] += T[examples.index(example)]
            theta = counts / counts.sum(axis=2, keepdims=True)
            share = T.sum(axis=0) + b
            prior = share / share.sum() if pi is None else pi
        T = np.tile(prior, (len(examples), 1))
        for example, annotator, label in log.iter_rows():
            T[examples.index(example)] *= theta[names.index(annotator), :, label]
        T /= T.sum(axis=1, keepdims=True)
    return T, prior


def small_log() -> pl.DataFrame:
    data = simulated(n_examples=40, n_annotators=5, n_classes=3, seed=4)
    return data.log.select("example", "annotator", pl.col("label").cast(pl.Int64)).sort("example")


def as_frame(theta: Array, names: list[Any]) -> pl.DataFrame:
    rows = [(names[j], k, label, p) for (j, k, label), p in np.ndenumerate(theta)]
    return pl.DataFrame(rows, ["annotator", "true_label", "label", "probability"], orient="row")


@pytest.mark.parametrize("pi", [None, np.array([0.7, 0.2, 0.1])])
@pytest.mark.parametrize("n", [1, 2, 9])
def test_given_matrices_and_shares_are_where_em_begins_and_stays(pi: Array | None, n: int) -> None:
    log = small_log()
    names = log["annotator"].unique().sort().to_list()
    theta = np.random.default_rng(1).dirichlet([2.0, 2.0, 2.0], size=(len(names), 3))
    given: dict[str, Any] = {"init": as_frame(theta, names), "max_iter": n, "tol": 0.0}
    if pi is not None:
        given["class_prior"] = dict(enumerate(pi.tolist()))
    fit = quiet(dawid_skene, log, smoothing=0.3, **given, **AS_FITTED)
    T, shares = by_hand(log, theta, pi, 0.3, n)
    np.testing.assert_allclose(matrix(fit), T, atol=1e-9)
    np.testing.assert_allclose(fit.class_prior["probability"], shares, atol=1e-9)
    assert_never_lower(fit.trace)


def test_a_fit_goes_on_at_its_own_matrices() -> None:
    log = small_log()
    done = quiet(dawid_skene, log, max_iter=500, tol=1e-12)
    assert done.confusion is not None
    again = quiet(dawid_skene, log, init=done.confusion, class_prior=done.class_prior, max_iter=1)
    np.testing.assert_allclose(matrix(again), matrix(done), atol=1e-4)


def test_annotators_without_a_matrix_begin_at_the_mean() -> None:
    log = small_log()
    names = log["annotator"].unique().sort().to_list()
    theta = np.random.default_rng(1).dirichlet([2.0, 2.0, 2.0], size=(len(names), 3))
    frame = as_frame(theta, names).filter(pl.col("annotator") != names[0])
    theta[0] = theta[1:].mean(axis=0)
    with pytest.warns(pc.AnnotationWarning) as said:
        fit = dawid_skene(log, init=frame, max_iter=3, tol=0.0, **AS_FITTED)
    lacking = "init: 1 of 5 annotators of the log have no confusion matrix"
    assert any(str(one.message).startswith(lacking) for one in said)
    np.testing.assert_allclose(matrix(fit), by_hand(log, theta, None, 0.1, 3)[0], atol=1e-9)


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"class_prior": {0: 0.5, 1: 0.5}}, "class_prior.* has no row for 1 class: 2"),
        ({"class_prior": {0: 0.5, 1: 0.4, 2: 0.2}}, "adds up to 1.1, not to 1"),
        ({"class_prior": {0: 0.5, 1: 0.5, 2: 0.0}}, "is 0 for 2"),
        ({"class_prior": {0: 0.5, 1: 0.5, 2: 0.0, 3: 0.0}}, "1 row with labels that are not among"),
        ({"class_prior": {0: 1.5, 1: -0.5, 2: 0.0}}, r"is not in \[0, 1\] in 2 rows"),
        ({"class_prior": pl.DataFrame({"label": [0, 1]})}, "no column 'probability'"),
        (
            {"class_prior": pl.DataFrame({"label": [0, 0, 1, 2], "probability": [0.25] * 4})},
            "has 2 rows that say the same thing twice",
        ),
    ],
)
def test_class_shares_that_cannot_be(given: dict[str, Any], wrong: str) -> None:
    with pytest.raises(pc.AnnotationError, match=wrong):
        dawid_skene(small_log(), **given)


def test_matrices_that_cannot_be() -> None:
    log = small_log()
    names = log["annotator"].unique().sort().to_list()
    frame = as_frame(np.full((5, 3, 3), 1 / 3), names)
    with pytest.raises(pc.AnnotationError, match="does not add up to 1 in 1 row of the matrices"):
        dawid_skene(log, init=frame.slice(1))
    with pytest.raises(pc.AnnotationError, match="init: none of its 5 annotators is in the log"):
        dawid_skene(
            log, init=frame.with_columns(pl.format("no {}", "annotator").alias("annotator"))
        )
    with pytest.raises(ValueError, match="confusion matrices is for dawid_skene, not IBCC"):
        quiet(ibcc, log, init=frame)
