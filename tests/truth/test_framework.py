"""What all methods of truth inference share: invariances, options, warnings, results."""

from __future__ import annotations

import gc
import pickle
import warnings
from concurrent.futures import Executor
from datetime import date
from pathlib import Path
from typing import Any
from weakref import ref

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import polars_crowd as pc
from polars_crowd.numerics.threads import mapped
from polars_crowd.truth.classification.dawid_skene import dawid_skene
from polars_crowd.truth.classification.ibcc import ibcc
from polars_crowd.truth.classification.one_coin import one_coin_dawid_skene
from polars_crowd.truth.classification.zencrowd import zencrowd
from polars_crowd.truth.em import Steps, iterate
from polars_crowd.truth.model import Model
from polars_crowd.truth.options import Options
from polars_crowd.truth.result import Iterations, TruthInference
from tests.cases import Case, assert_same, bundled, cases, files_of, simulated
from tests.truth.truth_cases import (
    Method,
    accuracy,
    assert_never_lower,
    every_pattern,
    matrix,
    quiet,
)

METHODS: list[Method] = [dawid_skene, one_coin_dawid_skene, zencrowd, ibcc]
WITH_MODELS: list[Method] = [dawid_skene, one_coin_dawid_skene, ibcc]
methods = st.sampled_from(METHODS)

LOG = pl.DataFrame(
    {
        "example": ["e1"] * 3 + ["e2"] * 3 + ["e3"] * 3 + ["e4"] * 2,
        "annotator": ["a", "b", "c"] * 3 + ["a", "b"],
        "label": ["x", "x", "y", "y", "y", "y", "x", "y", "x", "x", "x"],
    }
)


# --- invariances -----------------------------------------------------------------------------------


@given(methods, cases())
def test_no_iteration_lowers_the_objective(method: Method, case: Case) -> None:
    fit = quiet(method, case.log, max_iter=40, tol=0.0)
    assert_never_lower(fit.trace)


@given(st.sampled_from(WITH_MODELS), cases(max_models=2))
def test_nor_does_one_with_models(method: Method, case: Case) -> None:
    fit = quiet(method, case.log, case.pred_probs, max_iter=40, tol=0.0)
    assert_never_lower(fit.trace)
    weights = np.array(fit.model_weight)
    assert (weights >= 0).all()
    assert weights.sum() <= 1


@settings(max_examples=20)
@given(cases())
def test_a_log_twice_with_its_pseudo_counts_twice_is_the_same(case: Case) -> None:
    """... from given labels: whether exchanged classes are put back is a matter of whole annotations."""
    twice = pl.concat([case.log, case.log.with_columns(pl.col("example") + 1000)])
    labels, twice_labels = (
        log.group_by("example").agg(pl.col("label").first()) for log in (case.log, twice)
    )
    names = range(case.n_classes)
    once: dict[Any, dict[str, Any]] = {
        dawid_skene: {"smoothing": 0.1},
        one_coin_dawid_skene: {"smoothing": 0.1, "pseudo_counts": (1.0, 0.5)},
        zencrowd: {"pseudo_counts": (1.0, 0.5)},
    }
    double: dict[Any, dict[str, Any]] = {
        dawid_skene: {"smoothing": 0.2},
        one_coin_dawid_skene: {"smoothing": 0.2, "pseudo_counts": (2.0, 1.0)},
        zencrowd: {"pseudo_counts": (2.0, 1.0)},
    }
    for method in once:
        options: dict[str, Any] = {
            "classes": names,
            "max_iter": 20,
            "tol": 0.0,
            "confidence": "model",
        }
        T = matrix(quiet(method, case.log, init=labels, **options, **once[method]))
        T2 = matrix(quiet(method, twice, init=twice_labels, **options, **double[method]))
        np.testing.assert_allclose(T, T2[: len(T)], atol=1e-7)


def test_other_processes_give_the_same(tmp_path: Path, spawned: Executor) -> None:
    data = simulated(n_examples=60)
    store = pc.AnnotationStore.create(tmp_path / "store", data.log, partitions=2)
    gold = data.truth.head(5)
    fit = dawid_skene(store, gold=gold, max_iter=3, tol=1e-2, executor=spawned)
    assert_same(
        dawid_skene(data.log, gold=gold, max_iter=3, tol=1e-2).examples.collect(),
        fit.examples.collect().sort("example"),
    )


def test_results_are_written_partition_by_partition(tmp_path: Path) -> None:
    data = simulated(n_examples=60)
    store = pc.AnnotationStore.create(tmp_path / "store", data.log, partitions=3)
    fit = dawid_skene(store, into=tmp_path / "results")
    assert len(files_of(tmp_path / "results", "examples")) == 3
    assert_same(dawid_skene(data.log).examples.collect(), fit.examples.collect().sort("example"))
    assert fit.confusion is not None
    tables = {"annotators": fit.annotators, "confusion": fit.confusion}
    tables |= {"class_prior": fit.class_prior, "trace": fit.trace.to_frame()}
    for name, table in tables.items():
        kept = getattr(pc.open_results(tmp_path / "results"), name)
        assert_same(table, kept.to_frame() if isinstance(kept, pl.Series) else kept)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kept_rows", [0, 1 << 20])
def test_blocks_do_not_matter(
    method: Method, kept_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = simulated()
    models = [data.pred_probs] if method in WITH_MODELS else []
    options: dict[str, Any] = {"gold": data.truth.head(40), "init": data.truth.tail(40)}
    one = method(data.log, *models, **options)
    monkeypatch.setattr("polars_crowd.truth.block.BLOCK_ROWS", 7)
    monkeypatch.setattr("polars_crowd.truth.block.BLOCK_CELLS", 60)
    monkeypatch.setattr("polars_crowd.truth.block.KEPT_ROWS", kept_rows)
    many = method(data.log, *models, **options)
    assert_same(one.posterior.collect(), many.posterior.collect())
    assert_same(one.annotators, many.annotators)
    assert one.n_iter == many.n_iter


@pytest.mark.parametrize("kept_rows", [0, 1 << 20])
@pytest.mark.parametrize("method", [pc.dawid_skene, pc.glad, pc.bwa, pc.blend])
def test_threads_do_not_change_a_bit(
    method: Method, kept_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many blocks are under way at once, they are added in their order."""
    log = simulated(n_examples=600).log
    monkeypatch.setattr("polars_crowd.truth.block.BLOCK_ROWS", 100)
    monkeypatch.setattr("polars_crowd.truth.block.KEPT_ROWS", kept_rows)
    fits = []
    for n_threads in (1, 3):
        monkeypatch.setattr("polars_crowd.numerics.threads.pl.thread_pool_size", lambda: n_threads)  # noqa: B023
        fits.append(quiet(method, log))
    one, several = fits
    assert one.annotators.equals(several.annotators)
    assert one.posterior.collect().equals(several.posterior.collect())


def test_numbers_by_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    log = simulated(n_examples=600).log.with_columns(label=pl.int_range(pl.len()) * 0.37 % 1)
    monkeypatch.setattr("polars_crowd.truth.numeric.block.BLOCK_ROWS", 100)
    fits = []
    for n_threads in (1, 3):
        monkeypatch.setattr("polars_crowd.numerics.threads.pl.thread_pool_size", lambda: n_threads)  # noqa: B023
        fits.append(quiet(pc.gaussian_truth, log))
    one, several = fits
    assert one.annotators.equals(several.annotators)
    assert one.examples.collect().equals(several.examples.collect())


def test_an_error_on_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polars_crowd.numerics.threads.pl.thread_pool_size", lambda: 2)
    assert list(mapped(lambda x: 1 / x, [1.0, 2.0, 4.0] * 3)) == [1.0, 0.5, 0.25] * 3
    with pytest.raises(ZeroDivisionError):
        list(mapped(lambda x: 1 / x, [1.0, 2.0, 0.0] * 3))


# --- logs at the edge ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_balanced_log_stays_balanced(method: Method) -> None:
    """Every pattern once: no annotator is better than another, whatever the order of summing."""
    fit = quiet(method, every_pattern(3, 2), max_iter=200, tol=0.0)
    assert fit.annotators["annotator_quality"].max() == pytest.approx(
        fit.annotators["annotator_quality"].min(), abs=1e-12
    )
    assert fit.class_prior["probability"].to_list() == pytest.approx([0.5, 0.5], abs=1e-12)


def test_duplicates_are_said_to_count() -> None:
    twice = pl.concat([LOG, LOG.head(1)])
    with pytest.raises(pc.AnnotationError, match="1 pair with more than one"):
        quiet(dawid_skene, twice)
    assert quiet(dawid_skene, twice, duplicates="all").examples.collect()["num_annotations"][0] == 4
    assert_same(
        quiet(dawid_skene, twice, duplicates="first").examples.collect(),
        quiet(dawid_skene, LOG).examples.collect(),
    )


# --- options ---------------------------------------------------------------------------------------


@given(methods, cases(), st.data())
def test_gold_is_held_fixed(method: Method, case: Case, data: st.DataObject) -> None:
    ids = case.log["example"].unique().sort()
    known = data.draw(st.lists(st.sampled_from(ids.to_list()), min_size=1, unique=True))
    labels = data.draw(
        st.lists(st.integers(0, case.n_classes - 1), min_size=len(known), max_size=len(known))
    )
    gold = pl.DataFrame({"example": known, "label": labels})
    fit = quiet(method, case.log, gold=gold, classes=range(case.n_classes), tol=0.0, max_iter=30)
    T = matrix(fit)
    for example, label in gold.iter_rows():
        assert T[ids.index_of(example), label] == 1
    assert_never_lower(fit.trace)


def test_gold_tells_the_good_from_the_bad() -> None:
    """Three colluding spammers outvote two experts, until some truth is known."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 200)
    wrong = rng.integers(0, 2, 200)
    labels = np.stack([truth, truth, wrong, wrong, wrong])
    log = pl.DataFrame(
        {
            "example": np.tile(np.arange(200), 5),
            "annotator": np.repeat(list("abcde"), 200),
            "label": labels.ravel(),
        }
    )
    true = pl.DataFrame({"example": np.arange(200), "label": truth})
    for method in METHODS:
        assert accuracy(method(log), true) < 0.6
        with pytest.warns(pc.AnnotationWarning, match="differ .* on 37 of 80 examples"):
            fit = method(log, gold=true.head(120))
        assert accuracy(fit, true) == 1


def test_gold_errors() -> None:
    with pytest.raises(pc.AnnotationError, match=r"gold has no column 'label'.*row per example"):
        dawid_skene(LOG, gold=pl.DataFrame({"example": ["e1"], "truth": ["x"], "by": ["me"]}))
    with pytest.raises(pc.AnnotationError, match=r"1 row with labels that are not among.*'x', 'y'"):
        dawid_skene(LOG, gold=pl.DataFrame({"example": ["e1"], "label": ["z"]}))
    with pytest.raises(pc.AnnotationError, match="1 example with more than one row"):
        dawid_skene(LOG, gold=pl.DataFrame({"example": ["e1", "e1"], "label": ["x", "y"]}))
    with pytest.raises(pc.AnnotationError, match=r"gold: none of its .* is in the log. In"):
        dawid_skene(LOG, gold=pl.DataFrame({"example": ["e9"], "label": ["x"]}))


@pytest.mark.parametrize("label", [1, 1.5, True, date(2020, 1, 1), {"of": 1}, [1]], ids=str)
@pytest.mark.parametrize("option", ["gold", "init", "prior"])
def test_labels_of_a_type_that_classes_are_not(option: str, label: Any) -> None:
    """They are compared with the classes as both are written, and refused in words."""
    given: dict[str, list[Any]] = {"example": ["e1"], "label": [label]}
    if option == "prior":
        given = {"annotator": ["a"], "true_label": [label], "label": ["x"], "num_annotations": [1]}
    with pytest.raises(pc.AnnotationError, match=r"not among the classes|are single values"):
        quiet(dawid_skene, LOG, **{option: pl.DataFrame(given)})


def test_gold_of_other_types_and_examples() -> None:
    log = LOG.with_columns(pl.col("label").cast(pl.Enum(["x", "y"])))
    gold = pl.DataFrame({"example": ["e9", "e3", "e2"], "label": ["x", "y", None]})
    fit = quiet(dawid_skene, log, gold=gold)
    assert fit.examples.collect().row(2)[1:3] == ("y", 1.0)


@pytest.mark.parametrize("method", METHODS)
def test_wrong_options(method: Method) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"max_iter": 0}, "max_iter=0; it must be an integer of at least 1"),
        ({"max_iter": 2.5}, "max_iter=2.5; it must be an integer"),
        ({"tol": -1.0}, "tol=-1.0; it must be a number of at least 0"),
        ({"tol": "small"}, "tol='small'; it must be a number"),
        ({"init": "random"}, "init='random'; it must be 'majority_vote', an earlier fit"),
    ]
    for options, message in wrong:
        with pytest.raises(ValueError, match=message):
            method(LOG, **options)


def test_an_earlier_fit_is_where_to_begin() -> None:
    data = simulated(n_examples=800)
    examples = data.truth["example"]
    old = data.log.filter(pl.col("example").is_in(examples.head(750).implode()))
    before = dawid_skene(old, tol=1e-9, max_iter=500)
    cold = dawid_skene(data.log, tol=1e-9, max_iter=500)
    warm = dawid_skene(data.log, init=before, tol=1e-9, max_iter=500)
    assert warm.n_iter < cold.n_iter
    np.testing.assert_allclose(matrix(warm), matrix(cold), atol=1e-3)
    assert warm.trace[0] > cold.trace[0]


def test_a_fit_goes_on_where_it_stopped() -> None:
    data = simulated()
    whole = quiet(ibcc, data.log, max_iter=9, tol=0.0)
    part = quiet(ibcc, data.log, max_iter=5, tol=0.0)
    rest = quiet(ibcc, data.log, max_iter=5, tol=0.0, init=part)
    np.testing.assert_allclose([*part.trace, *rest.trace[1:]], whole.trace, rtol=1e-12)


def test_labels_to_begin_with() -> None:
    """Two camps of annotators: which one is right is a matter of where it begins."""
    labels = np.array([0, 1] * 20)
    log = pl.concat(
        [
            pl.DataFrame({"example": range(40), "annotator": a, "label": y})
            for a, y in (("a", labels), ("b", labels), ("c", 1 - labels), ("d", 1 - labels))
        ]
    )
    for begin in (labels, 1 - labels):
        init = pl.DataFrame({"example": range(40), "label": begin})
        found = one_coin_dawid_skene(log, init=init).examples.collect()
        assert found["consensus_label"].to_list() == begin.tolist()


def test_an_earlier_fit_with_other_options_is_only_where_to_begin() -> None:
    data = simulated()
    strong = dawid_skene(data.log, smoothing=5.0)
    fit = dawid_skene(data.log, init=strong, tol=1e-10, max_iter=1000)
    assert_never_lower(fit.trace)
    np.testing.assert_allclose(
        fit.trace[-1], dawid_skene(data.log, tol=1e-10, max_iter=1000).trace[-1], rtol=1e-7
    )
    with_model = dawid_skene(data.log, data.pred_probs, init=strong)
    assert_never_lower(with_model.trace)


def test_fits_that_cannot_be_begun_at() -> None:
    fit = quiet(dawid_skene, LOG)
    with pytest.raises(ValueError, match="is a fit of Dawid-Skene; IBCC can begin at its own"):
        ibcc(LOG, init=fit)
    more = LOG.with_columns(pl.col("label").replace("x", "z"))
    with pytest.raises(pc.AnnotationError, match="labels that are not among the classes"):
        dawid_skene(more, init=fit)
    with pytest.raises(pc.AnnotationError, match="the earlier fit has the classes 'x', 'y'"):
        dawid_skene(LOG, init=fit, classes=["y", "x"])


# --- other logs ------------------------------------------------------------------------------------


@given(methods, cases())
def test_predicting_the_log_itself_is_its_posterior(method: Method, case: Case) -> None:
    fit = quiet(method, case.log)
    assert_same(fit.examples.collect(), fit.predict(case.log).examples.collect())


def test_predicting_with_known_and_unknown_annotators() -> None:
    data = simulated(n_examples=900)
    first, last = data.truth["example"].head(600), data.truth["example"].tail(300)
    fit = dawid_skene(data.log.filter(pl.col("example").is_in(first.implode())))
    new = data.log.filter(pl.col("example").is_in(last.implode()))
    found = fit.predict(new)
    assert accuracy(found, data.truth) >= accuracy(dawid_skene(new), data.truth) - 0.01
    assert found.n_iter == 0
    assert "with the parameters of an earlier fit" in repr(found)
    strangers = new.with_columns(pl.format("new {}", "annotator").alias("annotator"))
    pooled = fit.predict(strangers)
    assert pooled.confusion is not None
    assert (
        pooled.confusion.group_by("true_label", "label")
        .agg(pl.col("probability").n_unique())["probability"]
        .to_list()
        == [1] * 9
    )
    assert_same(
        pooled.examples.collect().select("example", "consensus_label").tail(5),
        pc.majority_vote(strangers).collect().select("example", "consensus_label").tail(5),
    )


def test_predicting_with_models() -> None:
    data = simulated()
    fit = dawid_skene(data.log, data.pred_probs)
    again = fit.predict(data.log, data.pred_probs)
    assert_same(fit.posterior.collect(), again.posterior.collect())
    with pytest.raises(ValueError, match="0 models here, 1 in the fit"):
        fit.predict(data.log)


def test_a_store_keeps_its_models_to_itself_unless_asked(tmp_path: Path) -> None:
    data = simulated(n_examples=60)
    store = pc.AnnotationStore.create(tmp_path / "1", data.log, data.pred_probs, partitions=2)
    for method in (dawid_skene, zencrowd):
        assert_same(method(data.log).class_prior, method(store).class_prior)
    fit = dawid_skene(store, pred_probs=True)
    assert_same(dawid_skene(data.log, data.pred_probs).class_prior, fit.class_prior)
    found = fit.predict(store, True).examples.collect()
    assert_same(fit.examples.collect(), found)
    with pytest.raises(ValueError, match="pred_probs=True is for a store"):
        dawid_skene(data.log, pred_probs=True)
    without = pc.AnnotationStore.create(tmp_path / "2", data.log, partitions=2)
    with pytest.raises(ValueError, match="pred_probs=True, but the store has none"):
        dawid_skene(without, pred_probs=True)


def test_a_store_that_grew_is_taken_up_where_the_fit_was(tmp_path: Path) -> None:
    data = simulated(n_examples=500)
    new = pl.col("example").is_in(data.truth["example"].tail(20).implode())
    store = pc.AnnotationStore.create(tmp_path / "store", data.log.filter(~new), partitions=3)
    before = dawid_skene(store)
    store.append(data.log.filter(new))
    warm, cold = dawid_skene(store, init=before), dawid_skene(data.log)
    assert warm.n_iter < cold.n_iter
    np.testing.assert_allclose(warm.trace[-1], cold.trace[-1], rtol=1e-5)


def test_predicting_a_store(tmp_path: Path) -> None:
    data = simulated(n_examples=60)
    store = pc.AnnotationStore.create(tmp_path / "store", data.log, partitions=3)
    fit = dawid_skene(data.log)
    found = fit.predict(store, gold=data.truth.head(3)).examples.collect()
    assert found.sort("example")["consensus_quality_score"].head(3).to_list() == [1.0] * 3


# --- models ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", WITH_MODELS)
@pytest.mark.parametrize(
    ("name", "least"), [("tutorial", 0.955), ("digits_sim", 0.98), ("labelme", 0.81)]
)
def test_a_model_is_weighed_and_sharpened(method: Method, name: str, least: float) -> None:
    log, probs, truth = bundled(name)
    with_model = quiet(method, log, probs)
    assert accuracy(with_model, truth) >= least
    assert accuracy(with_model, truth) > accuracy(quiet(method, log), truth) + 0.03
    weight, temperature = with_model.model_weight, with_model.temperature
    assert isinstance(weight, float)
    assert 0.9 < weight <= 1
    assert isinstance(temperature, float)
    assert 0.1 < temperature < 1


@pytest.mark.parametrize("name", ["tutorial", "digits_sim", "labelme"])
def test_ibcc_with_a_model_is_more_often_right_than_crowdlab(name: str) -> None:
    log, probs, truth = bundled(name)
    fit = quiet(ibcc, log, probs)
    crowdlab = pc.crowdlab(log, probs).examples.collect().join(truth, on="example")
    right = crowdlab["consensus_label"].cast(pl.String) == crowdlab["label"].cast(pl.String)
    assert accuracy(fit, truth) > float(right.mean()) + 0.005  # type: ignore[arg-type]


def test_a_useless_model_weighs_nothing() -> None:
    data = simulated(n_examples=1000)
    rng = np.random.default_rng(0)
    noise = rng.dirichlet(np.ones(3) / 5, size=1000)
    useless = pl.DataFrame({"example": data.truth["example"]}).hstack(
        [pl.Series(c, noise[:, k]) for k, c in enumerate(data.pred_probs.columns[1:])]
    )
    both = dawid_skene(data.log, [useless, data.pred_probs], max_iter=300)
    assert isinstance(both.model_weight, list)
    assert both.model_weight[0] < 0.05 < 0.9 < both.model_weight[1]
    alone = dawid_skene(data.log, useless, max_iter=300)
    assert accuracy(alone, data.truth) >= accuracy(dawid_skene(data.log), data.truth) - 0.01


# --- warnings and report ---------------------------------------------------------------------------


def test_not_converged_is_said() -> None:
    data = simulated()
    message = r"not converged after 2 iterations.*max_iter"
    with pytest.warns(pc.AnnotationWarning, match=message) as record:
        fit = dawid_skene(data.log, max_iter=2)
    assert record[0].filename == __file__
    assert (fit.converged, fit.n_iter) == (False, 2)
    assert "2 iterations, not converged" in repr(fit)


def test_few_annotations_are_said() -> None:
    with pytest.warns(
        pc.AnnotationWarning, match="3 of 3 annotators have fewer than 5 annotations: 'a', 'b', 'c'"
    ):
        dawid_skene(LOG)


def test_single_annotations_are_said() -> None:
    log = pl.DataFrame({"example": range(20), "annotator": ["a", "b"] * 10, "label": [0, 1] * 10})
    message = "each of the 20 examples has one annotation only.*gold="
    for method in METHODS:
        with pytest.warns(pc.AnnotationWarning, match=message):
            fit = method(log, max_iter=1000)
        assert fit.examples.collect()["consensus_label"].to_list() == [0, 1] * 10
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        dawid_skene(log, gold=pl.DataFrame({"example": [0], "label": [0]}), max_iter=1000)
    assert not any("one annotation only" in str(warning.message) for warning in said)


def test_a_lost_class_is_said() -> None:
    """One annotator alone says z, on examples where ten others agree on something else."""
    labels = np.tile(np.array(["x", "y"]), 20)
    crowd = [
        pl.DataFrame({"example": range(40), "annotator": f"a{j}", "label": labels})
        for j in range(10)
    ]
    alone = pl.DataFrame({"example": range(40), "annotator": "b", "label": ["z"] * 40})
    message = r"1 class that .* next to no example: 'z' \(expected on 0.\d, by the votes on 3.6\)"
    with pytest.warns(pc.AnnotationWarning, match=message):
        dawid_skene(pl.concat([*crowd, alone]))


def test_the_report_has_a_header_and_the_tables() -> None:
    fit = quiet(dawid_skene, LOG)
    header, _, tables = repr(fit).partition("\n")
    assert header.startswith("Dawid-Skene: 4 examples, 3 annotators, 11 annotations, 2 classes; ")
    assert "iterations, converged, objective" in header
    for table in ("examples", "annotators, least accurate first", "class prior"):
        assert table in tables


def test_columns() -> None:
    fit = quiet(dawid_skene, LOG)
    assert fit.examples.collect_schema().names() == [
        "example",
        "consensus_label",
        "consensus_quality_score",
        "annotator_agreement",
        "num_annotations",
    ]
    assert fit.posterior.collect_schema().names() == ["example", "label", "probability"]
    assert fit.annotators.columns == [
        "annotator",
        "annotator_quality",
        "num_examples_labeled",
        "balanced_accuracy",
    ]
    assert fit.confusion is not None
    assert fit.confusion.columns == [
        "annotator",
        "true_label",
        "label",
        "probability",
        "num_annotations",
    ]
    assert fit.class_prior.columns == ["label", "probability"]
    assert fit.difficulty is None
    assert fit.model_weight is fit.temperature is None
    assert fit.classes == ["x", "y"]
    assert fit.trace.name == "objective"
    assert isinstance(fit, TruthInference)


def with_notes(log: pl.DataFrame) -> pl.DataFrame:
    """A log with other columns, one of which is an earlier score."""
    return log.with_columns(
        note=pl.format("{}-{}-{}", "example", "annotator", "label"), label_quality_score=pl.lit(2.0)
    )


@pytest.mark.parametrize("stored", [False, True])
def test_every_annotation_has_the_posterior_of_its_label(stored: bool, tmp_path: Path) -> None:
    log: Any = with_notes(LOG.with_columns(pl.col("label").cast(pl.String)))
    if stored:
        log = pc.AnnotationStore.create(tmp_path / "store", log, partitions=3)
    fit = quiet(dawid_skene, log, **({"into": tmp_path / "out"} if stored else {}))
    found = fit.annotations.collect()
    assert found.columns == ["example", "annotator", "label", "label_quality_score", "note"]
    expected = found.join(fit.posterior.collect(), on=["example", "label"], how="left")
    np.testing.assert_allclose(found["label_quality_score"], expected["probability"], atol=1e-15)
    note = found.select(pl.format("{}-{}-{}", "example", "annotator", "label")).to_series()
    assert found["note"].to_list() == note.to_list()
    assert found.height == LOG.height
    assert found.sort("example", "label", "annotator").equals(
        found.sort("example", maintain_order=True)
    )


def test_annotators_count_and_expect() -> None:
    fit = quiet(dawid_skene, LOG)
    by_name = fit.annotators.sort("annotator")
    assert by_name["num_examples_labeled"].to_list() == [4, 4, 3]
    joined = LOG.join(fit.posterior.collect(), on=["example", "label"])
    expected = joined.group_by("annotator").agg(pl.col("probability").mean()).sort("annotator")
    np.testing.assert_allclose(by_name["annotator_quality"], expected["probability"])


# --- the loop and the frame ------------------------------------------------------------------------


def test_the_loop_stops_by_the_objective_or_by_the_change() -> None:
    halves: Steps[float, float] = Steps(lambda x: (x, -x), lambda s, x: s / 2)
    assert iterate(halves, 1.0, max_iter=9, tol=1.0) == (0.5, 0.5, Iterations((-1.0, -0.5), True))
    assert iterate(halves, 1.0, max_iter=2, tol=0.1)[2] == Iterations((-1.0, -0.5), False)
    moving: Steps[float, float] = Steps(
        lambda x: (x, float("nan")), lambda s, x: s / 2, lambda old, new: abs(new - old)
    )
    x, _, went = iterate(moving, 1.0, max_iter=100, tol=0.1)
    assert (x, went.converged, len(went.trace)) == (0.0625, True, 5)


def test_a_method_may_not_take_the_names_of_other_sums() -> None:
    with pytest.raises(TypeError, match=r"Bad.sums uses names that are taken: \['evidence'\]"):
        type("Bad", (Model,), {"sums": {"evidence": ()}})


def test_what_travels_can_be_pickled() -> None:
    fit = quiet(dawid_skene, LOG, gold=pl.DataFrame({"example": ["e1"], "label": ["x"]}))
    estimate = fit._fitted.estimate
    again = pickle.loads(pickle.dumps(estimate))
    np.testing.assert_array_equal(estimate.weights, again.weights)


def test_what_was_made_of_a_log_goes_with_its_fit() -> None:
    """Without waiting for the garbage collector, which does not see how large arrays are."""
    rounds = Options().open(simulated().log)
    fit = quiet(dawid_skene, rounds)
    memo = ref(rounds.handles[0].memo)
    gc.disable()
    try:
        del rounds, fit
        assert memo() is None
    finally:
        gc.enable()
