"""What all registered methods promise alike: invariances, options, edges."""

from __future__ import annotations

import inspect
import math
import pickle
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import polars_crowd as pc
from polars_crowd.truth.classification.bwa import bwa
from polars_crowd.truth.classification.ebcc import ebcc
from polars_crowd.truth.classification.iwmv import iwmv
from polars_crowd.truth.classification.kos import kos
from polars_crowd.truth.classification.mace import mace
from polars_crowd.truth.classification.wawa import wawa
from polars_crowd.truth.classification.zero_based_skill import zero_based_skill
from polars_crowd.truth.registry import METHODS as METHOD_NAMES
from polars_crowd.truth.registry import method_named, method_of, methods_for
from tests.cases import Case, assert_same, cases, simulated
from tests.truth.truth_cases import (
    Method,
    accuracy,
    assert_never_lower,
    matrix,
    quiet,
    unwarned,
)


def mace_vb(log: Any, **options: Any) -> Any:
    return mace(log, method="vb", **options)


def few_beginnings(log: Any, **options: Any) -> Any:
    return ebcc(log, n_subtypes=3, restarts=2, **options)


CHEAPER = {ebcc: few_beginnings}
FOR_CLASSES = {CHEAPER.get(m.function, m.function): m for m in methods_for("classes").values()}
FOR_CLASSES[mace_vb] = method_named("mace")
METHODS: list[Method] = [*FOR_CLASSES]
BINARY = [function for function, m in FOR_CLASSES.items() if m.most_classes == 2]
CLIMBING = [function for function, m in FOR_CLASSES.items() if m.climbs]


TIED = pl.DataFrame({"example": [1, 1, 2, 2], "annotator": [1, 2, 1, 2], "label": [0, 1, 1, 0]})


@st.composite
def trials(draw: st.DrawFn, methods: list[Method] = METHODS) -> tuple[Method, Case]:
    """A method and a log that it can be given."""
    method = draw(st.sampled_from(methods))
    return method, draw(cases(max_classes=2 if method in BINARY else 4))


# --- the objective ---------------------------------------------------------------------------------


@given(trials(CLIMBING))
def test_no_iteration_lowers_the_objective(trial: tuple[Method, Case]) -> None:
    method, case = trial
    assert_never_lower(quiet(method, case.log, max_iter=30, tol=0.0).trace)


@given(trials(CLIMBING), st.data())
def test_nor_with_known_labels(trial: tuple[Method, Case], data: st.DataObject) -> None:
    method, case = trial
    gold = drawn_gold(case, data)
    fit = quiet(method, case.log, gold=gold, classes=range(case.n_classes), max_iter=20, tol=0.0)
    assert_never_lower(fit.trace)


def drawn_gold(case: Case, data: st.DataObject) -> pl.DataFrame:
    ids = case.log["example"].unique().sort().to_list()
    known = data.draw(st.lists(st.sampled_from(ids), min_size=1, unique=True))
    labels = st.lists(st.integers(0, case.n_classes - 1), min_size=len(known), max_size=len(known))
    return pl.DataFrame({"example": known, "label": data.draw(labels)})


# --- what is sent -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_what_is_sent_to_other_processes_can_be(method: Method) -> None:
    fit = quiet(method, simulated(n_classes=2, n_examples=30).log)
    estimate = fit._fitted.estimate
    again = pickle.loads(pickle.dumps(estimate))
    assert type(again.model) is type(estimate.model)


# --- logs at the edge ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_report_begins_with_the_name_of_the_model(method: Method) -> None:
    fit = quiet(method, TIED)
    assert repr(fit).startswith(fit.method)


# --- options ---------------------------------------------------------------------------------------


@given(trials(), st.data())
def test_gold_is_held_fixed(trial: tuple[Method, Case], data: st.DataObject) -> None:
    method, case = trial
    gold = drawn_gold(case, data)
    ids = case.log["example"].unique().sort()
    T = matrix(quiet(method, case.log, gold=gold, classes=range(case.n_classes)))
    for example, label in gold.iter_rows():
        assert T[ids.index_of(example), label] == pytest.approx(1, abs=1e-12)


@given(trials())
def test_predicting_the_log_itself_is_its_posterior(trial: tuple[Method, Case]) -> None:
    method, case = trial
    fit = quiet(method, case.log)
    assert_same(fit.examples.collect(), fit.predict(case.log).examples.collect())


@pytest.mark.parametrize("method", METHODS)
def test_predicting_with_known_and_unknown_annotators(method: Method) -> None:
    data = simulated(n_classes=2, n_examples=600)
    first = data.truth["example"].head(400).implode()
    old, new = (
        data.log.filter(c)
        for c in (pl.col("example").is_in(first), ~pl.col("example").is_in(first))
    )
    fit = quiet(method, old)
    assert accuracy(fit.predict(new), data.truth) >= accuracy(quiet(method, new), data.truth) - 0.03
    strangers = new.with_columns(pl.format("new {}", "annotator").alias("annotator"))
    found = fit.predict(strangers)
    assert found.n_iter == 0
    assert found.annotators.height == strangers["annotator"].n_unique()


OF_LOGS = {name: m for name, m in METHOD_NAMES.items() if m.labels != "comparisons"}
WITH_PAST = [name for name, m in OF_LOGS.items() if "prior" in m.options]


@pytest.mark.parametrize(
    ("name", "with_past"), [*((n, False) for n in OF_LOGS), *((n, True) for n in WITH_PAST)]
)
def test_predicting_logs_of_other_annotators(name: str, with_past: bool) -> None:
    """More, fewer, none of those of the fit: the known ones keep what is theirs, others have all."""
    method, data = OF_LOGS[name].function, simulated(n_classes=2, n_examples=60, n_annotators=6)
    log = data.log.with_columns(label=pl.col("label").rank("dense").cast(pl.Int64) - 1)
    fit = quiet(method, log, **({"prior": quiet(method, log)} if with_past else {}))
    others = log.with_columns(pl.format("new {}", "annotator").alias("annotator"))
    fewer = log.filter(
        pl.col("annotator").is_in(log["annotator"].unique().sort().head(2).implode())
    )
    own = judged(fit)
    for asked in (log, pl.concat([log, others]), fewer, others):
        predicted = quiet(fit.predict, asked)
        assert set(predicted.annotators["annotator"]) == set(asked["annotator"])
        assert predicted.examples.collect().height == asked["example"].n_unique()
        for (annotator, column), count in judged(predicted).items():
            total = sum(of for (_, same), of in own.items() if same == column)
            assert count == pytest.approx(own.get((annotator, column), total)), column


def judged(fit: Any) -> dict[tuple[str, str], float]:
    """What a fit says of annotators in the method's own terms that are counts, and of their confusions."""
    counts = [c for c in fit.annotators.columns[3:] if c.startswith("num_")]
    found = {
        (row["annotator"], c): row[c]
        for row in fit.annotators.iter_rows(named=True)
        for c in counts
    }
    confusion = getattr(fit, "confusion", None)
    if confusion is not None and "num_annotations" in confusion.columns:
        for who, truth, label, _, count in confusion.iter_rows():
            found[who, f"{truth} {label}"] = count
    return found


@pytest.mark.parametrize("method", [f for f, m in FOR_CLASSES.items() if "init" in m.options])
def test_an_earlier_fit_is_where_to_begin(method: Method) -> None:
    data = simulated(n_classes=2, n_examples=200)
    before = quiet(method, data.log)
    again = quiet(method, data.log, init=before)
    assert again.n_iter <= before.n_iter
    assert accuracy(again, data.truth) == pytest.approx(accuracy(before, data.truth), abs=0.02)


@pytest.mark.parametrize("method", [f for f, m in FOR_CLASSES.items() if "prior" in m.options])
def test_an_earlier_fit_is_a_prior(method: Method) -> None:
    """What was seen before counts: the annotators of a small log are judged by a large one."""
    data = simulated(n_classes=2, n_examples=400)
    before = quiet(method, data.log)
    few = data.log.filter(pl.col("example").is_in(data.truth["example"].head(20).implode()))
    fit = quiet(method, few, prior=before)
    truth = data.annotators.select("annotator", truth="accuracy")
    judged = fit.annotators.join(truth, on="annotator")
    alone = quiet(method, few).annotators.join(truth, on="annotator")
    column = fit.annotators.columns[3]  # the method's own
    with_past = judged.select(pl.corr(column, "truth")).item()
    assert with_past > 0.85
    assert with_past > alone.select(pl.corr(column, "truth")).item()


@pytest.mark.parametrize("method", METHODS)
def test_wrong_options(method: Method) -> None:
    log = TIED
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"max_iter": 0}, "max_iter=0; it must be an integer of at least 1"),
        ({"tol": -1.0}, "tol=-1.0; it must be a number of at least 0"),
        ({"init": "random"}, "init='random'; it must be 'majority_vote', an earlier fit"),
    ]
    for options, message in wrong:
        if not FOR_CLASSES[method].options >= options.keys():
            continue
        with pytest.raises(ValueError, match=message):
            method(log, **options)


@pytest.mark.parametrize("name", [*methods_for("classes"), *methods_for("numbers")])
def test_a_store_has_its_own_classes_and_duplicates(name: str, tmp_path: Path) -> None:
    method = method_named(name)
    store = pc.AnnotationStore.create(tmp_path / "store", TIED)
    given: dict[str, Any] = {"duplicates": "all", "classes": [0, 1], "pred_probs": store}
    for option in given.keys() & method.options:
        with pytest.raises(ValueError, match=f"{option}= is given with a store, which has its own"):
            method.function(store, **{option: given[option]})


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_every_option_is_shown_documented_and_the_only_one(name: str) -> None:
    method = method_named(name)
    assert getattr(pc, method.function.__name__) is method.function
    entries = re.findall(
        r"^(\w[\w, ]*)\n    \S", inspect.getdoc(method.function) or "", re.MULTILINE
    )
    assert method.options <= {option for entry in entries for option in entry.split(", ")}
    assert "options" not in method.options
    for option in sorted(method.options):
        with pytest.raises(TypeError, match=f"has no option '{option}x'.*'{option}'"):
            method.function(None, **{f"{option}x": 1})


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_names_are_written_either_way(name: str) -> None:
    assert method_named(name.replace("_", "-")) is method_named(name) is METHOD_NAMES[name]
    assert method_of(partial(METHOD_NAMES[name].function, tol=1.0)) is METHOD_NAMES[name]


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_the_tables_of_a_fit_are_those_registered(name: str) -> None:
    method = method_named(name)
    rng = np.random.default_rng(0)
    log = pl.DataFrame(
        {"example": [e // 4 for e in range(80)], "annotator": [e % 4 for e in range(80)]}
    )
    log = log.with_columns(label=pl.Series(rng.integers(0, 2, 80)))
    if method.labels == "comparisons":
        log = log.select("annotator", left="example", right=pl.col("example") + 1, winner="example")
    with unwarned():
        fit = method.function(log)
    for table in ("examples", "annotations", "posterior", "annotators", "confusion", "difficulty"):
        assert (getattr(fit, table, None) is not None) == (table in method.tables), table
    assert fit.annotators.columns[:2] == ["annotator", "annotator_quality"]
    assert fit.annotators.columns[2].startswith("num_")
    score = fit.annotations.collect()["label_quality_score"]
    assert score.is_between(0, 1 + 1e-12).all()
    assert fit.posterior.collect_schema().names()[-1] == "probability"


def test_kos_begins_at_no_labels() -> None:
    log = TIED
    with pytest.raises(ValueError, match="init= has labels, which KOS does not begin at"):
        kos(log, init=log.select("example", "label").unique("example"))


def test_warnings() -> None:
    few = pl.DataFrame({"example": [1, 1, 2], "annotator": ["a", "b", "a"], "label": [0, 0, 1]})
    with pytest.warns(pc.AnnotationWarning, match="2 of 2 annotators have fewer than 5"):
        bwa(few)
    with pytest.warns(pc.AnnotationWarning, match="not converged after 1 iteration"):
        mace(simulated(n_classes=2, n_examples=200).log, max_iter=1)


@settings(max_examples=20)
@given(cases(max_classes=2))
def test_two_rows_of_one_annotator_count_twice(case: Case) -> None:
    twice = pl.concat([case.log, case.log])
    for method in (wawa, zero_based_skill, iwmv):
        once = quiet(method, case.log).annotators
        both = quiet(method, twice, duplicates="all").annotators
        columns = ("annotator", "skill")
        assert_same(once.select(columns).sort("annotator"), both.select(columns).sort("annotator"))


@pytest.mark.parametrize("count", [math.nan, math.inf, -1.0, None])
def test_past_counts_are_finite(count: float | None) -> None:
    """... as one that is none would make every posterior none."""
    prior = {"annotator": [1], "num_correct": [count], "num_incorrect": [1.0]}
    with pytest.raises(
        pc.AnnotationError, match="1 row with a count that is negative, null or not"
    ):
        bwa(TIED, prior=pl.DataFrame(prior))
