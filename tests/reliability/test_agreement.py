"""Agreement: against definitions, peers and published figures; what changes it and what does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters, cohens_kappa
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss

import polars_crowd as pc
from polars_crowd.reliability import conger, evidence
from polars_crowd.reliability import weights as weights_module
from polars_crowd.reliability.kinds import OfVotes
from polars_crowd.reliability.patterns import count_patterns, merged_units
from polars_crowd.reliability.registry import ALL, ALPHA, ICC_FORMS, KNOWN
from polars_crowd.reliability.request import Request
from polars_crowd.reliability.scales import Scales
from polars_crowd.reliability.soundness import NOTHING_VARIES
from polars_crowd.reliability.weights import make_weights
from tests import GOLDEN
from tests.cases import assert_same
from tests.reliability import agreement_cases as by_definition
from tests.reliability.agreement_cases import (
    Matrix,
    log_of,
    matrices,
    matrix_of,
    of,
    published,
    two_classes,
)

IRRCAC: list[dict[str, Any]] = json.loads((GOLDEN / "irrCAC-0.4.4" / "answers.json").read_text())
LEVELS = {"identity": "nominal", "quadratic": "interval"}
LEVELS |= {name: name for name in ("ratio", "linear", "radical", "circular", "bipolar")}
"""The weights of irrCAC that are levels of alpha."""
BY_DEFINITION = (
    "percent_agreement",
    "fleiss_kappa",
    "conger_kappa",
    "brennan_prediger",
    "gwet_ac1",
    "gwet_ac2",
)
NAMES = ("identity", "linear", "quadratic", "ordinal", "radical", "ratio", "circular", "bipolar")
NUMBERS = ("value", "standard_error", "ci_low", "ci_high", "p_value")


def dense(name: str, K: int, first: float = 1.0) -> np.ndarray:
    """The matrix of weights by name, for classes first, first + 1, ..."""
    values = np.arange(first, first + K)
    w, codes = make_weights(name, values), np.arange(K)
    return np.array([w.between(np.full(K, k), codes) for k in codes])


# --- against peers and published tables ------------------------------------------------------------


@pytest.mark.parametrize(
    "case", IRRCAC, ids=lambda c: f"{c['log']}-{len(c['classes'])}-{c['weights']}"
)
def test_values_errors_and_intervals_of_irrcac(case: dict[str, Any]) -> None:
    log, answers = published(case["log"]), dict(case["answers"])
    level = LEVELS.get(case["weights"])
    if level is None:
        del answers["krippendorff_alpha"]
    found = pc.agreement(
        log,
        coefficients=list(answers),
        classes=case["classes"],
        weights=case["weights"],
        level=level or "nominal",  # type: ignore[arg-type]
    )
    for row in found.to_dicts():
        answer = answers[row["coefficient"]]
        if row["coefficient"] == "brennan_prediger":
            answer["p_value"] *= 2  # one-sided there, and two-sided of all others
        assert [row[c] for c in NUMBERS] == pytest.approx([answer[c] for c in NUMBERS], abs=1e-9)


def test_published_figures() -> None:
    assert of(pc.fleiss_kappa(published("fleiss1971"))) == pytest.approx(0.430, abs=5e-4)
    raw4 = published("krippendorff2011")
    for level, printed in {
        "nominal": 0.743,
        "ordinal": 0.815,
        "interval": 0.849,
        "ratio": 0.797,
    }.items():
        found = pc.krippendorff_alpha(raw4, level=level)  # type: ignore[arg-type]
        assert of(found) == pytest.approx(printed, abs=5e-4)
    assert of(pc.gwet_ac1(raw4)) == pytest.approx(0.77544, abs=5e-6)
    assert of(pc.conger_kappa(raw4)) == pytest.approx(0.76282, abs=5e-6)
    assert of(pc.cohen_kappa(published("irr_vision"))) == pytest.approx(0.595, abs=5e-4)


def test_light_is_the_mean_of_cohens_kappas() -> None:
    for name in ("irr_anxiety", "irr_video"):
        wide = matrix_of(published(name)).astype(int)
        pairs = [
            cohen_kappa_score(wide[:, i], wide[:, j])
            for i in range(wide.shape[1])
            for j in range(i)
        ]
        assert of(pc.light_kappa(published(name))) == pytest.approx(np.mean(pairs), abs=1e-12)


@given(matrices(max_annotators=2, gaps=False).filter(two_classes))
def test_cohen_is_scikit_learns_and_its_error_statsmodels(labels: Matrix) -> None:
    classes = list(range(int(labels.max()) + 1))
    ours = pc.cohen_kappa(log_of(labels), classes=classes)
    table = np.zeros((len(classes), len(classes)))
    np.add.at(table, (labels[:, 0], labels[:, 1]), 1)
    with np.errstate(all="ignore"):  # its z of a kappa without variance
        theirs = cohens_kappa(table)
    assert of(ours) == pytest.approx(theirs.kappa, abs=1e-9)
    # the variance is a difference: near 0 its root keeps half of the digits
    variance = of(ours, "standard_error") ** 2
    assert variance == pytest.approx(theirs.var_kappa, abs=1e-12)
    if variance > 1e-6:
        assert of(ours, "standard_error") == pytest.approx(theirs.std_kappa, abs=1e-9)
    for weights in ("linear", "quadratic"):
        ours = pc.cohen_kappa(log_of(labels), classes=classes, weights=weights)
        theirs = cohen_kappa_score(labels[:, 0], labels[:, 1], weights=weights, labels=classes)
        assert of(ours) == pytest.approx(theirs, abs=1e-9)


@given(matrices(gaps=False).filter(two_classes))
def test_fleiss_and_randolph_are_statsmodels(labels: Matrix) -> None:
    K = int(labels.max()) + 1
    table, _ = aggregate_raters(labels, n_cat=K)
    log, classes = log_of(labels), list(range(K))
    fleiss = pc.fleiss_kappa(log, classes=classes)
    assert of(fleiss) == pytest.approx(statsmodels_fleiss(table), abs=1e-9)
    randolph = pc.brennan_prediger(log, classes=classes)
    assert of(randolph) == pytest.approx(statsmodels_fleiss(table, method="randolph"), abs=1e-9)


# --- against definitions ---------------------------------------------------------------------------


@given(matrices(), st.sampled_from(NAMES))
def test_coefficients_are_their_definitions(labels: Matrix, weights: str) -> None:
    K = 4
    w, log = dense(weights, K), log_of(labels).with_columns(pl.col("label") + 1)
    found = pc.agreement(
        log, coefficients=[*BY_DEFINITION, "light_kappa"], weights=weights, classes=[1, 2, 3, 4]
    )
    for name, value in found.select("coefficient", "value").iter_rows():
        own = np.eye(K) if name == "gwet_ac1" else w
        if name == "light_kappa":
            expected = by_definition.light(labels, own)
        else:
            expected = by_definition.coefficient(name, labels, own)
        if value is None:
            assert not np.isfinite(expected) or not two_classes(labels)
        else:
            assert value == pytest.approx(expected, abs=1e-9), name


@given(matrices(max_annotators=2), st.sampled_from(NAMES))
def test_two_annotators(labels: Matrix, weights: str) -> None:
    w, log = dense(weights, 4), log_of(labels).with_columns(pl.col("label") + 1)
    found = pc.agreement(
        log, coefficients=["cohen_kappa", "scott_pi"], weights=weights, classes=[1, 2, 3, 4]
    )
    both = labels[(labels >= 0).all(axis=1)]
    cohen = by_definition.cohen(both[:, 0], both[:, 1], w)
    assert of(found) == pytest.approx(cohen, abs=1e-9, nan_ok=True)
    scott = by_definition.coefficient("fleiss_kappa", both, w)
    assert of(found[1:]) == pytest.approx(scott, abs=1e-9, nan_ok=True)


def test_weights_of_any_matrix() -> None:
    log = published("gwet_raw5obser")
    w = dense("linear", 4, first=0.0)
    named = pc.agreement(log, coefficients=BY_DEFINITION, weights="linear")
    by_matrix = pc.agreement(log, coefficients=BY_DEFINITION, weights=w)
    names = ["weights", "warning"]
    assert_same(named.drop(names), by_matrix.drop(names), 1e-12)


# --- edges -----------------------------------------------------------------------------------------


def small(*labels: str) -> pl.DataFrame:
    """Each string has the labels of an example, by annotators 0, 1, ...; a dot is a gap."""
    rows = [(e, a, k) for e, row in enumerate(labels) for a, k in enumerate(row) if k != "."]
    return pl.DataFrame(rows, schema=["example", "annotator", "label"], orient="row")


def test_perfect_agreement_is_one_and_nothing_varies() -> None:
    """Wilson's interval of the share of examples that agree, of 5: 5 / (5 + 1.96^2)."""
    for interval in ("analytic", "bootstrap"):
        found = pc.agreement(
            small("aa", "bb", "aa", "bb", "cc"),
            coefficients=[c for c in ALL if c != "icc"],
            interval=interval,
        )
        assert found["value"].to_list() == pytest.approx([1.0] * found.height)
        assert found["standard_error"].to_list() == pytest.approx([0.0] * found.height, abs=1e-7)
        share, others = found.row(0, named=True), found[1:]
        assert (share["ci_low"], share["ci_high"]) == pytest.approx((0.56552, 1), abs=1e-5)
        assert others.select("ci_low", "ci_high", "p_value").null_count().row(0) == (9, 9, 9)
        assert set(others["reason"]) == {NOTHING_VARIES}


def test_one_class_is_null_and_says_why() -> None:
    found = pc.agreement(small("aa", "aa", "aa"), coefficients="all")
    null = found.filter(pl.col("value").is_null())
    assert found.filter(coefficient="percent_agreement")["value"].to_list() == [1.0]
    reasons = dict(null.select("coefficient", "reason").iter_rows())
    assert reasons.pop("icc") == "the labels are no numbers"
    assert set(reasons.values()) == {"one class only is used: agreement by chance is certain"}
    assert {"cohen_kappa", "fleiss_kappa", "krippendorff_alpha"} <= set(reasons)
    declared = pc.agreement(small("aa", "aa"), coefficients="gwet_ac1", classes=["a", "b"])
    assert declared["value"].to_list() == [1.0]


def test_no_overlap_is_null_and_says_why() -> None:
    found = pc.agreement(small("a.", ".b", "a."), coefficients="all")
    assert found["value"].is_null().all()
    assert found["num_pairable"].to_list() == [0] * found.height
    assert set(found["reason"]) == {"no overlap: no example has two annotations"}


def test_one_annotator_is_an_error() -> None:
    with pytest.raises(pc.AnnotationError) as error:
        pc.agreement(small("a", "b"))
    assert str(error.value).startswith("the log has one annotator only (0): agreement compares")


def test_one_annotator_in_a_group_is_null() -> None:
    log = small("aab", "ab.", "..b").with_columns(site=pl.Series(["x", "x", "y", "x", "x", "y"]))
    found = pc.fleiss_kappa(log, by="site")
    assert found["site"].to_list() == ["x", "y"]
    assert found["reason"].to_list() == [None, "one annotator only"]


def test_one_example_has_no_interval() -> None:
    found = pc.fleiss_kappa(small("ab"))
    assert found.select("standard_error", "ci_low", "p_value").row(0) == (None, None, None)
    assert found["reason"].to_list() == ["no interval: it takes two examples or more"]


def test_more_than_two_annotators_have_no_cohen() -> None:
    found = pc.cohen_kappa(small("aab", "bba"))
    assert found["reason"].to_list() == ["compares two annotators, here are 3: see conger_kappa"]


def test_prevalence_is_warned_of() -> None:
    log = small(*["aa"] * 40, "ab", "ba")
    found = pc.agreement(log, coefficients=["percent_agreement", "fleiss_kappa", "gwet_ac1"])
    text = "prevalence: Fleiss' kappa -0.02 and Gwet's AC1 0.95 part by more than 0.2"
    assert found["warning"].to_list() == [None, text, text]
    assert pc.fleiss_kappa(small("aa", "ab", "bb", "bb"))["warning"].to_list() == [None]


def test_unused_classes_count_where_they_should() -> None:
    log = published("gwet_g1g2")
    before = pc.agreement(log, coefficients=BY_DEFINITION)
    after = pc.agreement(log, coefficients=BY_DEFINITION, classes=list("abcdefg"))
    same = before["value"].to_numpy() == pytest.approx(after["value"].to_numpy())
    changed = [c for c in BY_DEFINITION if c in ("brennan_prediger", "gwet_ac1", "gwet_ac2")]
    assert not same
    unlike = (before["value"] - after["value"]).abs() > 1e-6
    assert before.filter(unlike)["coefficient"].to_list() == changed


def test_an_enum_declares_its_classes() -> None:
    log = published("gwet_g1g2")
    as_enum = log.with_columns(pl.col("label").cast(pl.Enum(list("abcdefg"))))
    declared = pc.agreement(log, classes=list("abcdefg"))
    assert_same(pc.agreement(as_enum), declared, 0.0)


# --- wrong calls -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"coefficients": ["kappa"]},
            r"coefficients='kappa'; they must be among 'cohen_kappa', 'fleiss_kappa'",
        ),
        (
            {"coefficients": ["gwet_ac1"] * 2},
            r"coefficients='gwet_ac1', 'gwet_ac1'; it names one twice",
        ),
        ({"level": "metric"}, r"level='metric'; it must be one of 'nominal', 'ordinal'"),
        ({"interval": "exact"}, r"interval='exact'; it must be one of 'analytic', 'bootstrap'"),
        ({"confidence": 95}, r"confidence=95; it must be below 1"),
        ({"n_boot": 1}, r"n_boot=1; it must be an integer of at least 2"),
        ({"n_boot": None}, r"n_boot=None; it must be an integer"),
        ({"confidence": "high"}, r"confidence='high'; it must be a number"),
        ({"seed": -1}, r"seed=-1; it must be an integer of at least 0"),
        ({"seed": "x"}, r"seed='x'; it must be an integer of at least 0"),
        ({"classes": 3}, r"classes=3; it must be a list of the labels, in order"),
        ({"classes": "abc"}, r"classes='abc'; it must be a list of the labels, in order"),
        (
            {"classes": [1, 2, 2]},
            r"classes=1, 2, 2; it must list the labels, in order, each of them once",
        ),
        ({"classes": [1, None]}, r"classes=1, None; it must list the labels"),
        ({"classes": []}, r"classes=\[\]; it must list the labels"),
        (
            {"classes": ["a", "b"]},
            r"the classes declared, 'a', 'b', cannot be labels of the log, which are",
        ),
        (
            {"weights": ["a", "b"]},
            r"weights='a', 'b'; it must be one of .* or a matrix of numbers",
        ),
        ({"weights": [[1], [1, 2]]}, r"weights=\[1\], \[1, 2\]; it must be one of"),
        ({"weights": "cubic"}, r"weights='cubic'; it must be one of 'identity', 'linear'"),
        (
            {"weights": np.eye(3)},
            r"weights= has the shape \(3, 3\); with 4 classes it must be \(4, 4\)",
        ),
        (
            {"weights": np.ones((4, 4)) * 2},
            r"weights= must be finite and symmetric, 1 on the diagonal",
        ),
        ({"by": "town"}, r"the log has no column 'town' to group by; besides .* there are: none"),
        ({"by": "label"}, r"the log has no column 'label' to group by"),
        ({"by": pl.DataFrame({"x": [1]})}, r"by= takes frames with a column 'example' or"),
        (
            {"by": pl.DataFrame({"example": ["1", "1"], "x": [1, 2]})},
            r"column 'example' of the frame of groups repeats 1 example: '1'",
        ),
        ({"by": 3}, r"by takes names of columns of the log, Polars frames, or a list"),
    ],
)
def test_wrong_options_say_so(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        pc.agreement(published("gwet_raw5obser"), **options)


def test_order_must_be_declared() -> None:
    log = published("gwet_g1g2")
    with pytest.raises(ValueError, match=r"weights='linear'; it goes by the order of the classes"):
        pc.fleiss_kappa(log, weights="linear")
    with pytest.raises(ValueError, match=r"level='ordinal'; it goes by the order of the classes"):
        pc.krippendorff_alpha(log, level="ordinal")
    with pytest.raises(ValueError, match=r"weights=array\((.|\n)*; it goes by the order of the cl"):
        pc.fleiss_kappa(log, weights=dense("linear", 5))
    pc.fleiss_kappa(log, weights="linear", classes=list("edcba"))


# --- properties ------------------------------------------------------------------------------------

EVERYTHING = [*ALL, *ICC_FORMS]


@given(matrices())
def test_bounds(labels: Matrix) -> None:
    found = pc.agreement(log_of(labels), coefficients="all")
    defined = found.drop_nulls("value")
    assert (defined["value"] <= 1 + 1e-12).all()
    assert (defined["ci_high"].drop_nulls() <= 1).all()
    inside = defined.drop_nulls("ci_low")
    within = (inside["ci_low"] <= inside["value"] + 1e-12) & (
        inside["value"] <= inside["ci_high"] + 1e-12
    )
    assert within.all()
    assert defined["p_value"].drop_nulls().is_between(0, 1).all()
    assert (found["value"].is_null() <= found["reason"].is_not_null()).all()
    percent = of(found.filter(coefficient="percent_agreement"))
    assert 0 <= percent <= 1


@given(matrices(), st.integers(2, 4))
def test_more_of_the_same_examples_shrink_the_error_only(labels: Matrix, times: int) -> None:
    log, many = log_of(labels), log_of(np.tile(labels, (times, 1)))
    coefficients = [c for c in ALL if c not in ("krippendorff_alpha", "icc")]
    once = pc.agreement(log, coefficients=coefficients)
    often = pc.agreement(many, coefficients=coefficients)
    assert_same(once.select("coefficient", "value"), often.select("coefficient", "value"))
    errors = once.select(pl.col("standard_error").alias("once")).with_columns(
        often=often["standard_error"]
    )
    positive = errors.filter(pl.col("once") > 1e-6)
    assert (positive["often"] < positive["once"]).all()


@pytest.fixture(scope="module")
def grouped() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """A log with a language and a site, pools of annotators, months of examples."""
    log = pc.datasets.tutorial().log.lazy().collect()
    rng = np.random.default_rng(3)
    log = log.with_columns(
        language=pl.Series(["en", "de", None]).gather(rng.integers(0, 3, log.height)),
        site=pl.col("example").cast(pl.String).str.slice(-1),
    )
    pools = log.select("annotator").unique().sort("annotator")
    pools = pools.with_columns(pool=pl.Series(["x", "y"] * (pools.height // 2)))
    months = log.select("example").unique().sort("example")
    months = months.with_columns(month=rng.integers(1, 4, months.height))
    return log, pools, months


def test_groups_are_what_their_rows_are_alone(
    grouped: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
) -> None:
    log, pools, months = grouped
    wide = log.join(pools, on="annotator").join(months, on="example")
    for by, keys in (
        ("language", ["language"]),
        ("site", ["site"]),
        (pools, ["pool"]),
        (months, ["month"]),
        (["language", months, pools], ["language", "month", "pool"]),
    ):
        found = pc.agreement(log, by=by, coefficients=EVERYTHING)
        groups = found.select(keys).unique(maintain_order=True)
        assert groups.equals(wide.select(keys).unique().sort(keys))
        for group in groups.rows(named=True):
            same = pl.all_horizontal(pl.col(k).eq_missing(pl.lit(v)) for k, v in group.items())
            alone = pc.agreement(wide.filter(same), coefficients=EVERYTHING, classes=[0, 1, 2])
            assert_same(found.filter(same).drop(keys), alone)


def test_ids_that_a_frame_lacks_are_a_group(
    grouped: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
) -> None:
    log, pools, _ = grouped
    found = pc.fleiss_kappa(log, by=pools.filter(pool="x"))
    assert found["pool"].to_list() == [None, "x"]
    assert found["num_annotators"].sum() == pools.height


@pytest.mark.parametrize("interval", ["analytic", "bootstrap"])
def test_partitions(
    tmp_path: Path, grouped: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], interval: Any
) -> None:
    log, pools, months = grouped
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=7)
    for by in (None, "site", ["language", pools], months):
        options: dict[str, Any] = {
            "by": by,
            "coefficients": EVERYTHING if interval == "analytic" else "all",
            "interval": interval,
        }
        options |= {"n_boot": 50} if interval == "bootstrap" else {}
        assert_same(pc.agreement(log, **options), pc.agreement(store, **options))


def test_executors(
    tmp_path: Path, grouped: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], spawned: Executor
) -> None:
    log, pools, _ = grouped
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=3)
    options: dict[str, Any] = {"by": ["site", pools], "coefficients": "all"}
    found = pc.agreement(store, executor=spawned, **options)
    assert_same(found, pc.agreement(log, **options))
    with pytest.raises(ValueError, match="executor= needs a log in partitions"):
        pc.agreement(log, executor=spawned)


def test_blocks_of_groups(
    grouped: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    log, _, months = grouped
    whole = pc.agreement(log, by=["site", months], coefficients=EVERYTHING)
    monkeypatch.setattr(evidence, "BLOCK", 7)
    monkeypatch.setattr(weights_module, "CELLS", 5)
    monkeypatch.setattr(conger, "DENSE", 0)
    assert_same(whole, pc.agreement(log, by=["site", months], coefficients=EVERYTHING))


def test_too_large_for_pairs_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MAX_PAIRS", 10)
    log = published("irr_anxiety")
    found = pc.agreement(log, coefficients=["light_kappa", "conger_kappa"], interval="bootstrap")
    assert found["reason"].to_list() == ["over 10 pairs of annotations: see conger_kappa", None]
    assert found["warning"].to_list() == [
        None,
        "analytic interval: too many examples differ to draw them anew",
    ]
    analytic = pc.agreement(log, coefficients="conger_kappa")
    assert found[1:].select(NUMBERS).equals(analytic.select(NUMBERS))


def test_labels_outside_of_the_classes() -> None:
    """The advice is of what was given: there are no pred_probs."""
    log = published("gwet_raw5obser")
    for function in (pc.agreement, pc.disagreements, pc.agreement_by_class, pc.pairwise_agreement):
        with pytest.raises(pc.AnnotationError, match=r"among the\s+classes 1, 2") as error:
            function(log, classes=[1, 2])
        advice = "Filter these rows out, or declare all classes, in order: classes=[...]."
        assert str(error.value).endswith(advice)
    with pytest.raises(pc.AnnotationError, match=r"declare all classes, in order: classes="):
        pc.example_agreement(log, classes=[1, 2]).collect()


def test_two_way_forms_beside_what_asks_who_voted() -> None:
    log = published("irr_anxiety")
    names = ["conger_kappa", "icc(A,1)", "icc(1)"]
    found = pc.agreement(log, coefficients=names, interval="bootstrap", n_boot=50)
    not_drawn = "analytic interval: two-way forms are not drawn anew"
    assert found["warning"].to_list() == [None, not_drawn, None]


def test_duplicates_as_asked() -> None:
    log = pl.concat([small("aa", "ab", "bb"), small("ba")])
    with pytest.raises(pc.AnnotationError, match="more than one annotation"):
        pc.agreement(log)
    first = pc.agreement(log, duplicates="first")
    assert_same(first, pc.agreement(small("aa", "ab", "bb")), 0.0)
    assert pc.fleiss_kappa(log, duplicates="all")["num_annotations"].to_list() == [8]


@settings(max_examples=20)
@given(matrices(max_examples=8, max_annotators=4).filter(two_classes))
def test_influences_are_derivatives(labels: Matrix) -> None:
    """The exact influence is the derivative by an example's multiplicity."""
    rounds, grouping = Request((ALPHA,), classes=[0, 1, 2, 3]).open(log_of(labels))
    units = merged_units(rounds.run(count_patterns, grouping)[("pattern",)], grouping, 4)
    values = np.arange(4.0)
    scales = Scales(make_weights("linear", values), "nominal", values)
    step = 1e-6
    for name in ("percent_agreement", "fleiss_kappa", "gwet_ac2"):
        coefficient = KNOWN[name]
        assert isinstance(coefficient, OfVotes)
        found = coefficient.of_units(units, scales)
        assert found.influence is not None
        for u in range(len(units.times)):
            times = units.times.astype(np.float64)
            times[u] += step
            slope = (coefficient.value(replace(units, times=times), scales) - found.value) / step
            assert found.influence[u] / found.n[0] == pytest.approx(float(slope[0]), abs=1e-4)


def test_values_are_made_of_observed_and_expected_agreement() -> None:
    log = published("gwet_ben_gerry")
    found = pc.agreement(log, coefficients="all")
    made = found.filter(pl.col("expected_agreement").is_not_null())
    a, e = made["observed_agreement"].to_numpy(), made["expected_agreement"].to_numpy()
    assert made["value"].to_numpy() == pytest.approx((a - e) / (1 - e), abs=1e-12)
    lacking = found.filter(pl.col("expected_agreement").is_null())["coefficient"].to_list()
    assert lacking == ["light_kappa", "icc"]
    percent, cohen = (
        found.row(by_predicate=pl.col("coefficient") == c, named=True)
        for c in ("percent_agreement", "cohen_kappa")
    )
    assert percent["expected_agreement"] == 0
    assert cohen["observed_agreement"] == pytest.approx(percent["value"])
    grouped = pc.agreement(log.with_columns(of=pl.col("example").hash() % 2), by="of")
    assert grouped["expected_agreement"].null_count() == 0


@pytest.mark.parametrize("form", [lambda log: log.to_arrow().to_reader(), pl.DataFrame.rows])
@pytest.mark.parametrize(
    ("dtype", "measured"),
    [
        (pl.Int64, lambda log: pc.agreement(log, level="ordinal")),
        (pl.Int64, pc.agreement_by_class),
        (pl.String, lambda log: pc.agreement_by_class(log, separator="|")),
        (pl.Int64, lambda log: pc.agreement_difference(log, other="fleiss_kappa", n_boot=10)),
    ],
    ids=["ordinal", "by class", "sets", "difference"],
)
def test_of_streams_and_tuples_as_of_frames(
    form: Callable[[pl.DataFrame], Any],
    dtype: pl.DataType,
    measured: Callable[[Any], pl.DataFrame],
) -> None:
    log = published("gwet_ben_gerry").cast(pl.String)
    log = log.with_columns(label=pl.col("label").rank("dense").cast(dtype))
    assert_same(measured(form(log)), measured(log))
