"""Truth from numeric labels: against plain numpy, against scipy's optimiser, and what must not matter."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from polars.testing import assert_frame_equal
from scipy import optimize, stats

from polars_crowd.errors import AnnotationError, AnnotationWarning
from polars_crowd.rounds.results import open_results
from polars_crowd.store.store import AnnotationStore
from polars_crowd.truth.numeric.averages import mean_truth, median_truth
from polars_crowd.truth.numeric.catd import catd
from polars_crowd.truth.numeric.crh import crh, weights_for
from polars_crowd.truth.numeric.gaussian import gaussian_truth
from polars_crowd.truth.numeric.result import NumericTruth
from tests.cases import files_of, log_of
from tests.truth.truth_cases import assert_never_lower, unwarned

pytestmark = pytest.mark.filterwarnings("ignore::polars_crowd.OverlapWarning")

Method = Callable[..., NumericTruth]
Floats = NDArray[np.float64]

WEIGHTED: dict[str, Method] = {
    "crh": crh,
    "catd": catd,
    "gaussian": gaussian_truth,
    "gaussian without bias": lambda log, **o: gaussian_truth(log, bias=False, **o),
}
ALL: dict[str, Method] = {"mean": mean_truth, "median": median_truth, **WEIGHTED}
follows_annotators = pytest.mark.filterwarnings(
    "ignore:1 annotator at the largest weight:polars_crowd.AnnotationWarning"
)
"""Small logs on which CATD does, as its paper's formulas have it."""


def consensus(fit: NumericTruth) -> Floats:
    return fit.examples.collect()["consensus_label"].to_numpy()


# --- logs ------------------------------------------------------------------------------------------


@st.composite
def matrices(draw: st.DrawFn) -> Floats:
    """Ragged logs of annotators with different biases and variances; every example has a label."""
    n, m = draw(st.integers(2, 12)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    noise = rng.normal(size=(n, m)) * rng.uniform(0.1, 3, m) + rng.normal(size=m)
    matrix = rng.normal(size=(n, 1)) * 3 + noise
    missing = np.array(draw(st.lists(st.booleans(), min_size=n * m, max_size=n * m)))
    kept = np.where(missing.reshape(n, m), np.nan, matrix)
    alone = np.flatnonzero(np.isnan(kept).all(axis=1))
    kept[alone, alone % m] = matrix[alone, alone % m]
    return kept


@st.composite
def nearly_full(draw: st.DrawFn) -> Floats:
    """Logs in which no example lacks more than one label, by annotators of like size of error."""
    n, m = draw(st.integers(4, 12)), draw(st.integers(3, 5))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    noise = rng.normal(size=(n, m)) * rng.uniform(0.5, 2, m) + rng.normal(size=m)
    gap = np.array(draw(st.lists(st.integers(0, 2 * m), min_size=n, max_size=n)))
    return np.where(np.arange(m) == gap[:, None], np.nan, rng.normal(size=(n, 1)) * 3 + noise)


def gaussian_log(seed: int, n: int = 600, m: int = 20, per: int = 6) -> tuple[pl.DataFrame, Any]:
    """A log of the Gaussian model, and its truth, biases and standard deviations."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n) * 5 + 50
    bias, deviation = rng.normal(size=m) * 2, rng.uniform(0.6, 4, m)
    bias -= bias.mean()
    matrix = truth[:, None] + bias + rng.normal(size=(n, m)) * deviation
    chosen = rng.permuted(np.tile(np.arange(m), (n, 1)), axis=1) < per
    return log_of(np.where(chosen, matrix, np.nan)), (truth, bias, deviation)


# --- against plain numpy ---------------------------------------------------------------------------


@given(matrices())
def test_mean_and_median(matrix: Floats) -> None:
    log = log_of(matrix)
    by_example = log.group_by("example").agg(
        mean=pl.col("label").mean(),
        median=pl.col("label").median(),
        spread=pl.col("label").std(),
        n=pl.len(),
    )
    expected = by_example.sort("example")
    for method, name in ((mean_truth, "mean"), (median_truth, "median")):
        found = method(log).examples.collect()
        np.testing.assert_allclose(found["consensus_label"], expected[name], rtol=1e-12)
        assert_frame_equal(
            found.select(spread="annotator_spread", n="num_annotations"),
            expected.select("spread", "n"),
        )
    error = mean_truth(log).examples.collect()["standard_error"]
    expected_error = expected.select(pl.col("spread") / pl.col("n").sqrt()).to_series()
    assert_frame_equal(error.alias("e").to_frame(), expected_error.alias("e").to_frame())


@given(nearly_full(), st.integers(1, 10))
def test_crh_of_a_full_log_is_the_papers(matrix: Floats, n_iter: int) -> None:
    matrix = np.where(np.isnan(matrix), np.nanmean(matrix, axis=1, keepdims=True) + 0.1, matrix)
    matrix += np.sqrt(np.arange(matrix.size)).reshape(matrix.shape) % 1
    spread = matrix.std(axis=1, keepdims=True)
    truth = matrix.mean(axis=1)
    for _ in range(n_iter):
        loss = ((matrix - truth[:, None]) ** 2 / spread**2).sum(axis=0)
        weight = -np.log(loss / loss.sum())
        truth = matrix @ weight / weight.sum()
    assume(0.011 < weight.min() < weight.max() < 13)  # neither bound holds
    with unwarned():
        fit = crh(log_of(matrix), max_iter=n_iter, tol=0)
    np.testing.assert_allclose(consensus(fit), truth, rtol=1e-6, atol=1e-6)


def test_crh_weights_are_the_best_that_meet_the_constraint() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        loss, n = rng.exponential(size=30) ** 3, rng.integers(1, 50, 30).astype(float)
        weight = weights_for(loss, n)
        assert (n / n.mean()) @ np.exp(-weight) == pytest.approx(1, abs=1e-9)
        best = weight @ loss
        for _ in range(20):
            other = weight + rng.normal(size=30) * 0.01
            other += np.log((n / n.mean()) @ np.exp(-other))
            assert np.maximum(other, 0.01) @ loss >= best - 1e-9


@given(nearly_full(), st.integers(1, 5))
def test_catd_is_the_papers(matrix: Floats, n_iter: int) -> None:
    quantile = stats.chi2.ppf(0.025, (~np.isnan(matrix)).sum(axis=0))
    truth = np.nanmean(matrix, axis=1)
    for _ in range(n_iter):
        weight = quantile / np.nansum((matrix - truth[:, None]) ** 2, axis=0)
        assume(weight.max() < 1e4 * weight.min())  # one annotator does not decide alone
        truth = np.nansum(matrix * weight, axis=1) / ((~np.isnan(matrix)) @ weight)
    with unwarned():
        fit = catd(log_of(matrix), max_iter=n_iter, tol=0)
    assert fit.n_iter == n_iter
    np.testing.assert_allclose(consensus(fit), truth, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_gaussian_is_at_the_maximum_of_the_marginal_likelihood(seed: int) -> None:
    log, _ = gaussian_log(seed, n=40, m=4, per=3)
    fit = gaussian_truth(log, smoothing=2.0, tol=1e-14, max_iter=5000)
    by_name = fit.annotators.sort("annotator")
    found = np.concatenate([by_name["bias"], np.log(by_name["standard_deviation"] ** 2)])
    matrix = np.full((40, 4), np.nan)
    matrix[log["example"], log["annotator"]] = log["label"]
    within = np.nansum((matrix - np.nanmean(matrix, axis=1, keepdims=True)) ** 2)
    unit = within / (log.height - 40)

    def log_posterior(parameters: Floats) -> float:
        bias, variance = parameters[:4], np.exp(parameters[4:])
        density = 0.0
        for row in matrix:
            there = ~np.isnan(row)
            y, v = (row - bias)[there], variance[there]
            contrast = np.linalg.qr(np.column_stack([np.ones(len(y)), np.eye(len(y))[:, 1:]]))[0]
            covariance = contrast[:, 1:].T @ np.diag(v) @ contrast[:, 1:]
            density += stats.multivariate_normal.logpdf(contrast[:, 1:].T @ y, cov=covariance)
            density -= 0.5 * np.log(there.sum())
        prior = -(2.0 * (np.log(variance / unit) + unit / variance) + bias**2 / unit) / 2
        return density + float(prior.sum())

    in_units = log_posterior(found) + (log.height - 40) * np.log(unit) / 2
    assert fit.trace[-1] == pytest.approx(in_units, abs=1e-6)
    gradient = optimize.approx_fprime(found, log_posterior, 1e-6)
    np.testing.assert_allclose(gradient, 0, atol=2e-3)
    best = optimize.minimize(lambda p: -log_posterior(p), found, method="BFGS")
    np.testing.assert_allclose(best.x, found, atol=1e-4)


# --- the objective is the objective ----------------------------------------------------------------


@pytest.mark.parametrize("name", WEIGHTED)
@given(matrix=matrices())
def test_no_iteration_lowers_the_objective(name: str, matrix: Floats) -> None:
    with unwarned():
        assert_never_lower(WEIGHTED[name](log_of(matrix), tol=0, max_iter=30).trace)


@given(matrices(), st.integers(0, 5))
def test_no_iteration_lowers_the_objective_with_known_truths(matrix: Floats, n_known: int) -> None:
    n = min(n_known, len(matrix))
    gold = pl.DataFrame({"example": np.arange(n), "label": np.linspace(-1, 1, n)})
    for method in WEIGHTED.values():
        with unwarned():
            fit = method(log_of(matrix), tol=0, max_iter=20, gold=gold if n else None)
        assert_never_lower(fit.trace)
        np.testing.assert_array_equal(consensus(fit)[:n], gold["label"])
        assert fit.examples.collect()["standard_error"].to_list()[:n] == [0.0] * n


# --- recovery --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_gaussian_recovers_biases_and_variances(seed: int) -> None:
    log, (truth, bias, deviation) = gaussian_log(seed)
    fit = gaussian_truth(log)
    found = fit.annotators.sort("annotator")
    np.testing.assert_allclose(found["bias"], bias, atol=0.6)
    np.testing.assert_allclose(found["standard_deviation"], deviation, rtol=0.25, atol=0.15)
    error = consensus(fit) - truth
    plain = consensus(mean_truth(log)) - truth
    assert (error**2).mean() < 0.5 * (plain**2).mean()
    stated = fit.examples.collect()["standard_error"].to_numpy()
    assert 0.93 < (np.abs(error) < 1.96 * stated).mean() < 0.97


@follows_annotators
@pytest.mark.parametrize("name", ["crh", "catd", "gaussian without bias"])
def test_weights_help(name: str) -> None:
    log, (truth, _, _) = gaussian_log(7)
    unbiased = log.with_columns(
        pl.col("label") - pl.col("label").mean().over("annotator") + pl.col("label").mean()
    )
    error = consensus(WEIGHTED[name](unbiased)) - truth
    plain = consensus(mean_truth(unbiased)) - truth
    assert (error**2).mean() < (plain**2).mean()


def test_known_truths_fix_the_level_of_biases() -> None:
    log, (truth, bias, _) = gaussian_log(1)
    gold = pl.DataFrame({"example": np.arange(300), "label": truth[:300] - 10})
    found = gaussian_truth(log, gold=gold).annotators.sort("annotator")
    np.testing.assert_allclose(found["bias"], bias + 10, atol=1.0)


def test_a_prior_without_biases_is_refused() -> None:
    log, _ = gaussian_log(2, n=100)
    method = WEIGHTED["gaussian without bias"]
    with pytest.raises(AnnotationError, match=r"prior has no column 'bias'"):
        method(log, prior=method(log))


@follows_annotators
@pytest.mark.parametrize("name", [n for n in WEIGHTED if n != "gaussian without bias"])
def test_an_earlier_fit_as_prior(name: str) -> None:
    log, (truth, _, _) = gaussian_log(2, n=900)
    first, second = log.filter(pl.col("example") < 880), log.filter(pl.col("example") >= 880)
    earlier = WEIGHTED[name](first)
    with unwarned():
        alone, later = WEIGHTED[name](second), WEIGHTED[name](second, prior=earlier)
        of_frame = WEIGHTED[name](second, prior=earlier.annotators.drop("mean_residual"))
        nobody = WEIGHTED[name](second, prior=earlier.annotators.clear())
    errors = [((consensus(fit) - truth[880:]) ** 2).mean() for fit in (later, alone)]
    assert errors[0] < errors[1]
    np.testing.assert_allclose(consensus(of_frame), consensus(later), rtol=1e-12)
    np.testing.assert_allclose(consensus(nobody), consensus(alone), rtol=1e-12)
    assert (np.diff(later.trace.to_numpy()) >= -1e-9).all()


def test_an_earlier_gaussian_fit_keeps_its_deviations() -> None:
    log, (_, _, deviation) = gaussian_log(2, n=900)
    first, second = log.filter(pl.col("example") < 880), log.filter(pl.col("example") >= 880)
    with unwarned():
        later = gaussian_truth(second, prior=gaussian_truth(first))
    np.testing.assert_allclose(
        later.annotators.sort("annotator")["standard_deviation"], deviation, rtol=0.3, atol=0.15
    )


# --- what must not matter --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=8)
@given(matrix=matrices())
def test_partitions_do_not_matter(name: str, matrix: Floats) -> None:
    log = log_of(matrix)
    gold = {} if name in ("mean", "median") else {"gold": log.select("example", "label").head(1)}
    with unwarned(), TemporaryDirectory() as place:
        store = AnnotationStore.create(f"{place}/store", log, partitions=3)
        assert_same_truth(few_steps(name, store), few_steps(name, log))
        assert_same_truth(few_steps(name, store, **gold), few_steps(name, log, **gold))


@follows_annotators
@pytest.mark.parametrize("name", ALL)
def test_a_store_with_an_executor_into_a_directory(name: str, tmp_path: Path) -> None:
    log, _ = gaussian_log(3, n=60, m=6, per=4)
    store = AnnotationStore.create(tmp_path / "store", log, partitions=4)
    plain = ALL[name](log)
    with ThreadPoolExecutor(2) as executor:
        fit = ALL[name](store, executor=executor, into=tmp_path / "out")
    assert_same_truth(fit, plain)
    written = pl.read_parquet(files_of(tmp_path / "out", "examples")).sort("example")
    assert_frame_equal(written, plain.examples.collect())
    method = fit._fit.method
    assert type(pickle.loads(pickle.dumps(method))) is type(method)


def assert_same_truth(found: NumericTruth, expected: NumericTruth) -> None:
    for table, key in (("examples", "example"), ("annotators", "annotator")):
        a, b = (getattr(fit, table).lazy().collect().sort(key) for fit in (found, expected))
        assert_frame_equal(a.drop(key), b.drop(key), abs_tol=1e-7, rel_tol=1e-7)


def few_steps(name: str, log: Any, **options: Any) -> NumericTruth:
    """A method, without many iterations that amplify rounding."""
    if name in WEIGHTED:
        options |= {"max_iter": 5, "tol": 1e-6}
    return ALL[name](log, **options)


@pytest.mark.parametrize("name", ALL)
@given(matrix=matrices(), factor=st.sampled_from([0.01, 3.0, 1000.0]), shift=st.floats(-1000, 1000))
def test_units_and_zero_do_not_matter(
    name: str, matrix: Floats, factor: float, shift: float
) -> None:
    log = log_of(matrix)
    with unwarned():
        plain = few_steps(name, log)
        changed = few_steps(name, log.with_columns(pl.col("label") * factor + shift))
    size = factor + abs(shift)
    np.testing.assert_allclose(
        consensus(changed), consensus(plain) * factor + shift, rtol=0, atol=1e-7 * size
    )
    a, b = plain.annotators.sort("annotator"), changed.annotators.sort("annotator")
    for column in {"bias", "standard_deviation", "root_mean_square_residual"} & {*a.columns}:
        np.testing.assert_allclose(
            b[column].to_numpy(), a[column].to_numpy() * factor, atol=1e-6 * size, rtol=1e-6
        )


@given(matrices())
def test_an_equal_copy_of_the_log_changes_no_crh_weight(matrix: Floats) -> None:
    log = log_of(matrix)
    twice = pl.concat([log, log.with_columns(pl.col("example") + 1000)])
    with unwarned():
        a, b = crh(log, max_iter=4, tol=0), crh(twice, max_iter=4, tol=0)
    if a.n_iter == b.n_iter:
        assert_frame_equal(
            a.annotators.sort("annotator").select("annotator", "weight"),
            b.annotators.sort("annotator").select("annotator", "weight"),
        )


# --- logs at the edge ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WEIGHTED)
def test_one_annotation_per_example(name: str) -> None:
    log = log_of(np.diag([1.0, 2.0, 3.0]) + np.where(np.eye(3) > 0, 0, np.nan))
    with pytest.warns(AnnotationWarning, match=r"each of the 3 examples has one annotation only"):
        fit = WEIGHTED[name](log)
    assert consensus(fit).tolist() == [1.0, 2.0, 3.0]
    assert fit.annotators["root_mean_square_residual"].null_count() == 3
    assert fit.examples.collect()["standard_error"].null_count() == 3
    assert fit.converged


@pytest.mark.parametrize("name", WEIGHTED)
def test_everybody_agrees(name: str) -> None:
    with pytest.warns(AnnotationWarning, match="no label of 2 examples differs from the others"):
        fit = WEIGHTED[name](log_of(np.array([[0.1] * 6, [0.7] * 6])))
    assert consensus(fit).tolist() == [0.1, 0.7]
    assert fit.examples.collect()["standard_error"].to_list() == [0.0, 0.0]
    assert fit.annotators["root_mean_square_residual"].to_list() == [0.0] * 6


@pytest.mark.parametrize("name", WEIGHTED)
def test_one_annotator(name: str) -> None:
    with pytest.warns(AnnotationWarning, match="one annotation only"):
        fit = WEIGHTED[name](log_of(np.array([[1.0], [2.0]])))
    assert consensus(fit).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("name", WEIGHTED)
def test_one_annotator_and_known_truths(name: str) -> None:
    log = log_of(np.arange(8.0)[:, None])
    gold = pl.DataFrame({"example": range(6), "label": [0.5, 1.4, 2.6, 3.5, 4.5, 5.5]})
    fit = WEIGHTED[name](log, gold=gold)
    level = 0.49 if name == "gaussian" else 0.0
    np.testing.assert_allclose(consensus(fit)[6:], [6 + level, 7 + level], atol=0.01)


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_perfect_pair_and_a_careless_third(name: str) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=30)
    matrix = np.column_stack([truth, truth, truth + rng.normal(size=30) * 5])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit = WEIGHTED[name](log_of(matrix))
    error = np.abs(consensus(fit) - truth)
    begin = "2 annotators at the largest weight that there can be, 1e+06"
    assert [str(warning.message).startswith(begin) for warning in said] == [True] * (name == "catd")
    plain = np.abs(matrix.mean(axis=1) - truth)
    assert error.mean() < 0.6 * plain.mean()


def test_few_annotations_are_named() -> None:
    log, _ = gaussian_log(0, n=40, m=5, per=4)
    late = pl.DataFrame({"example": [0, 1], "annotator": [99, 99], "label": [50.0, 50.0]})
    with pytest.warns(AnnotationWarning, match=r"1 annotator with fewer than 5 .*: 99\. "):
        crh(pl.concat([log, late]))


def test_not_converged() -> None:
    log, _ = gaussian_log(0)
    with pytest.warns(AnnotationWarning, match=r"not converged after 2 iterations"):
        fit = gaussian_truth(log, max_iter=2)
    assert not fit.converged
    assert fit.n_iter == 2


def test_duplicates_may_all_count() -> None:
    log, _ = gaussian_log(0, n=50, m=6, per=4)
    twice = pl.concat([log, log])
    with pytest.raises(AnnotationError, match="more than one annotation"):
        crh(twice)
    np.testing.assert_allclose(
        consensus(mean_truth(twice, duplicates="all")), consensus(mean_truth(log)), rtol=1e-12
    )


# --- wrong calls -----------------------------------------------------------------------------------


def test_gold_must_fit() -> None:
    log, _ = gaussian_log(0, n=30, m=6, per=4)
    strange = pl.DataFrame({"example": [1000], "label": [1.0]})
    with pytest.raises(AnnotationError, match=r"gold: none of its .* is in the log. In"):
        crh(log, gold=strange)
    with pytest.raises(AnnotationError, match=r"gold has no column 'label'"):
        crh(log, gold=strange.select("example", truth="label", other="label"))
    with pytest.raises(AnnotationError, match=r"'label' of gold is not a finite number in 1 row"):
        crh(log, gold=pl.DataFrame({"example": [0], "label": [np.inf]}))
    with pytest.raises(AnnotationError, match=r"1 example with more than one row"):
        crh(log, gold=pl.DataFrame({"example": [0, 0], "label": [1.0, 2.0]}))


def test_options_are_checked() -> None:
    log, _ = gaussian_log(0, n=30, m=6, per=4)
    with pytest.raises(ValueError, match=r"alpha=2; it must be below 1"):
        catd(log, alpha=2)
    with pytest.raises(ValueError, match=r"smoothing=-1"):
        gaussian_truth(log, smoothing=-1)
    with pytest.raises(ValueError, match=r"it must be an earlier fit of CATD"):
        catd(log, init=crh(log))
    with pytest.raises(AnnotationError, match=r"prior has no column 'bias'"):
        gaussian_truth(log, prior=gaussian_truth(log, bias=False))


# --- the result ------------------------------------------------------------------------------------


@follows_annotators
@pytest.mark.parametrize("name", WEIGHTED)
def test_predict_and_warm_start(name: str) -> None:
    log, _ = gaussian_log(4, n=200)
    fit = WEIGHTED[name](log, tol=1e-12, max_iter=1000)
    np.testing.assert_allclose(consensus(fit.predict(log)), consensus(fit), rtol=1e-9)
    again = WEIGHTED[name](log, init=fit)
    assert again.n_iter < fit.n_iter
    np.testing.assert_allclose(consensus(again), consensus(fit), rtol=1e-5)
    stranger = pl.DataFrame({"example": [0], "annotator": [77], "label": [3.0]})
    assert consensus(fit.predict(stranger)).tolist() == [3.0]


def test_annotations_and_report() -> None:
    log, _ = gaussian_log(4, n=30, m=8, per=5)
    fit = gaussian_truth(log)
    rows = fit.annotations.collect()
    assert_frame_equal(rows.select("example", "annotator", "label"), log)
    joined = rows.join(fit.examples.collect(), on="example")
    np.testing.assert_allclose(
        joined["residual"], joined["label"] - joined["consensus_label"], atol=1e-12
    )
    header = repr(fit).splitlines()[0]
    assert header.startswith("Gaussian truth: 30 examples, 8 annotators, 150 annotations; ")
    assert "converged, objective" in header
    assert (
        repr(mean_truth(log)).splitlines()[0] == "Mean: 30 examples, 8 annotators, 150 annotations"
    )
    worst = fit.annotators["root_mean_square_residual"]
    assert worst.is_sorted(descending=True)


@pytest.mark.parametrize("stored", [False, True])
def test_scores_fall_with_the_distance_from_the_consensus(stored: bool, tmp_path: Path) -> None:
    log, _ = gaussian_log(4, n=30, m=8, per=5)
    single = pl.DataFrame({"example": [99], "annotator": log["annotator"][:1], "label": [1.0]})
    noted: Any = pl.concat([log, single.cast(log.schema)]).with_columns(
        note=pl.format("{}-{}", "example", "annotator"), residual=pl.lit("of before")
    )
    if stored:
        noted = AnnotationStore.create(tmp_path / "store", noted, partitions=3)
    fit = crh(noted)
    rows = fit.annotations.collect()
    columns = ["example", "annotator", "label", "label_quality_score", "residual", "note"]
    assert rows.columns == columns
    assert (
        rows["note"].to_list()
        == rows.select(pl.format("{}-{}", *columns[:2])).to_series().to_list()
    )
    others = rows.filter(pl.col("example") != 99)
    s2 = (others["residual"] ** 2).sum() / (len(others) - others["example"].n_unique())
    np.testing.assert_allclose(
        others["label_quality_score"], np.exp(-(others["residual"].to_numpy() ** 2) / s2 / 2)
    )
    assert rows.filter(pl.col("example") == 99)["label_quality_score"].to_list() == [None]
    mean = rows.group_by("annotator").agg(pl.col("label_quality_score").mean()).sort("annotator")
    assert fit.annotators.columns[:3] == ["annotator", "annotator_quality", "num_examples_labeled"]
    np.testing.assert_allclose(
        fit.annotators.sort("annotator")["annotator_quality"], mean["label_quality_score"]
    )


def test_the_posterior_is_quantiles_of_a_normal_distribution() -> None:
    log, _ = gaussian_log(4, n=30, m=8, per=5)
    fit = gaussian_truth(log)
    both = fit.posterior.join(fit.examples, on="example", maintain_order="left").collect()
    expected = stats.norm.cdf(both["label"], both["consensus_label"], both["standard_error"])
    np.testing.assert_allclose(both["probability"], expected, atol=1e-12)
    assert both["probability"].unique().sort().to_list() == [0.025, 0.25, 0.5, 0.75, 0.975]
    assert both.height == 5 * 30


def test_results_into_a_directory(tmp_path: Path) -> None:
    log, _ = gaussian_log(4, n=30, m=8, per=5)
    fit = crh(log, into=tmp_path / "out")
    plain = crh(log)
    assert_frame_equal(fit.examples.collect(), plain.examples.collect())
    assert_frame_equal(open_results(tmp_path / "out").annotators, plain.annotators)
    written = pl.read_parquet(files_of(tmp_path / "out", "examples"))
    assert_frame_equal(written, plain.examples.collect())


@pytest.mark.parametrize("method", [mean_truth, median_truth, catd, crh, gaussian_truth])
def test_labels_whose_squares_are_no_numbers_are_refused(method: Any) -> None:
    labels = {"example": [1, 1, 2, 2], "annotator": ["a", "b"] * 2}
    log = pl.DataFrame({**labels, "label": [1.0, 2.0, 3.0, 5.0]})
    with pytest.raises(AnnotationError, match="4 numbers beyond 1e\\+145"):
        method(log.with_columns(pl.col("label") * 1e307))
    with unwarned():
        plain, large = (method(log.with_columns(pl.col("label") * unit)) for unit in (1, 1e144))
    found = [fit.examples.collect()["consensus_label"] for fit in (plain, large)]
    assert (found[1] / 1e144).to_list() == pytest.approx(found[0].to_list(), rel=1e-9)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_prior_of_no_numbers_is_refused(wrong: float) -> None:
    prior = pl.DataFrame(
        {
            "annotator": ["a"],
            "bias": [0.0],
            "standard_deviation": [wrong],
            "num_examples_labeled": [3],
        }
    )
    log = pl.DataFrame({"example": [1, 1], "annotator": ["a", "b"], "label": [1.0, 2.0]})
    with pytest.raises(AnnotationError, match="1 row with a number that is not finite"):
        gaussian_truth(log, prior=prior)
