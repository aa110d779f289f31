"""The registry: each coefficient has a function that takes its options and no other, by any of its names."""

from __future__ import annotations

import inspect
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import polars_crowd as pc
from polars_crowd.reliability.kinds import Coefficient
from polars_crowd.reliability.registry import (
    ALL,
    COEFFICIENTS,
    DEFAULT,
    KNOWN,
    OF_CLASSES,
    OF_RANKS,
    OF_SETS,
    chosen,
    named,
)
from polars_crowd.reliability.report import COLUMNS
from tests.cases import assert_same
from tests.reliability.agreement_cases import Matrix, log_of, matrices, published

GIVEN: dict[str, Any] = {"weights": "quadratic", "level": "interval"}
"""A value of each option that says how far labels are apart, other than its default."""


def ids(coefficient: Coefficient) -> str:
    return coefficient.name


def ranked(labels: Matrix) -> pl.DataFrame:
    """Labels 1, 2, ..., which are ratios too."""
    return log_of(labels).with_columns(pl.col("label") + 1)


# --- names -----------------------------------------------------------------------------------------


def test_names_are_known_once() -> None:
    assert len(KNOWN) == len({c.name for c in KNOWN.values()})
    assert set(DEFAULT) <= set(ALL)
    assert set(OF_SETS) <= set(OF_CLASSES) <= set(ALL)


@pytest.mark.parametrize("coefficient", KNOWN.values(), ids=ids)
def test_any_name_will_do(coefficient: Coefficient) -> None:
    for name in (coefficient.name, coefficient.name.replace("_", "-")):
        assert named(name) is coefficient
    words = coefficient.name.split("_")
    functions = (*COEFFICIENTS, *OF_RANKS)
    own = [w for w in words if sum(w in c.name.split("_") for c in functions) == 1]
    assert [named(word) for word in own if word != "icc"] == [coefficient] * (
        len(own) - ("icc" in own)
    )
    assert own or coefficient.name.startswith("icc(")


def test_names_that_are_no_or_several_coefficients() -> None:
    with pytest.raises(ValueError, match=r"='kappa'; they must be among 'cohen_kappa', 'fleiss_k"):
        named("kappa")
    with pytest.raises(ValueError, match=r"='fleis'; they must be among 'percent_agreement'"):
        pc.agreement(published("fleiss1971"), coefficients=["alpha", "fleis"])
    with pytest.raises(ValueError, match=r"='alpha', 'krippendorff_alpha'; it names one twice"):
        chosen(["alpha", "krippendorff_alpha"])


# --- functions and their options -------------------------------------------------------------------


@pytest.mark.parametrize("coefficient", [*COEFFICIENTS, *OF_RANKS], ids=ids)
def test_a_function_takes_what_its_coefficient_goes_by(coefficient: Coefficient) -> None:
    function = getattr(pc, coefficient.name)
    taken = set(inspect.signature(function).parameters)
    assert taken & set(GIVEN) == {coefficient.scale} - {None}
    assert {"log", "classes", "by", "confidence", "interval", "n_boot", "seed"} <= taken
    log = published("krippendorff2011")
    for option in set(GIVEN) - taken:
        with pytest.raises(TypeError) as error:
            function(log, **{option: GIVEN[option]})
        refused = (
            f"{coefficient.name}() has no option '{option}'. {coefficient.goes_by.said('python')}"
        )
        assert str(error.value).startswith(refused)


@pytest.mark.parametrize("coefficient", [*COEFFICIENTS, *OF_RANKS], ids=ids)
def test_a_function_is_its_row_of_agreement(coefficient: Coefficient) -> None:
    log = published("krippendorff2011")
    given_option = {coefficient.scale: GIVEN[coefficient.scale]} if coefficient.scale else {}
    alone = getattr(pc, coefficient.name)(log, **given_option)
    assert alone.columns == list(COLUMNS)
    # the function of ICC has forms, and names the one it takes
    row = alone.with_columns(coefficient=pl.lit(coefficient.name))
    assert_same(row, pc.agreement(log, coefficients=coefficient.name, **given_option))


@pytest.mark.parametrize("coefficient", [*COEFFICIENTS, *OF_RANKS], ids=ids)
def test_an_option_without_effect_is_refused(coefficient: Coefficient) -> None:
    log = published("krippendorff2011")
    for option in set(GIVEN) - {coefficient.scale}:
        with pytest.raises(
            ValueError, match=f"{option}='.*'; it has no effect here. {coefficient.name}"
        ):
            pc.agreement(log, coefficients=coefficient.name, **{option: GIVEN[option]})
    for option in ("n_boot", "seed"):
        with pytest.raises(ValueError, match=f"{option}=3; it has no effect on analytic intervals"):
            pc.agreement(log, coefficients=coefficient.name, **{option: 3})  # type: ignore[arg-type]


@settings(max_examples=25)
@given(matrices(), st.sampled_from([c for c in COEFFICIENTS if not c.asks_who_voted]))
def test_who_voted_matters_only_to_those_that_ask(labels: Matrix, coefficient: Coefficient) -> None:
    """Annotations dealt out to other annotators of their example leave the others as they are."""
    log = ranked(labels)
    turned = log.with_columns(pl.col("label").reverse().over("example"))
    columns = ["value", "standard_error", "ci_low", "ci_high"]
    one, other = (
        pc.agreement(rows, coefficients=coefficient.name).select(columns) for rows in (log, turned)
    )
    assert_same(one, other)


@pytest.mark.parametrize("coefficient", COEFFICIENTS, ids=ids)
def test_as_many_annotators_as_it_compares(coefficient: Coefficient) -> None:
    log = published("irr_anxiety")
    value = pc.agreement(log, coefficients=coefficient.name)["value"].item()
    assert (value is None) == (coefficient.annotators == 2)


@pytest.mark.parametrize("coefficient", [c for c in COEFFICIENTS if c.name != "icc"], ids=ids)
def test_classes_that_nobody_used_matter_to_those_that_count_them(
    coefficient: Coefficient,
) -> None:
    log = published("irr_vision") if coefficient.annotators == 2 else published("fleiss1971")
    used = sorted(log["label"].unique())
    more = [*used, max(used) + 1] if log.schema["label"].is_numeric() else [*used, "zzz"]
    one, other = (
        pc.agreement(log, coefficients=coefficient.name, classes=classes)["value"].item()
        for classes in (used, more)
    )
    assert (one != pytest.approx(other, abs=1e-9)) == coefficient.counts_classes


# --- which weights and level a row goes by ---------------------------------------------------------


def test_rows_say_what_they_go_by() -> None:
    log = published("krippendorff2011")
    found = pc.agreement(log, coefficients=["fleiss", "ac1", "alpha", "icc"], level="ordinal")
    assert found.select("weights", "level").rows() == [
        ("identity", None),
        ("identity", None),
        (None, "ordinal"),
        (None, "interval"),
    ]
    note = "labels are equal or not here, while krippendorff_alpha goes by 'ordinal': "
    assert found["warning"].to_list() == [
        note + "give weights too",
        note + "see gwet_ac2",
        None,
        None,
    ]
    matrix = [[1.0, 0.5], [0.5, 1.0]]
    binary = log.with_columns(pl.col("label") > 2)
    found = pc.agreement(binary, coefficients=["conger", "alpha"], weights=matrix)
    assert found["weights"].to_list() == ["matrix", None]
    note = "labels are equal or not here, while conger_kappa goes by 'matrix': give level too"
    assert found["warning"].to_list() == [None, note]


def test_rows_that_go_by_the_same_have_no_note() -> None:
    log = published("krippendorff2011")
    assert pc.agreement(log)["warning"].is_null().all()
    found = pc.agreement(log, coefficients=["fleiss", "alpha"], weights="linear", level="ordinal")
    assert found["warning"].is_null().all()


# --- repeated annotations --------------------------------------------------------------------------


@given(matrices(max_examples=6, max_annotators=4), matrices(max_examples=6, max_annotators=4))
def test_nobody_is_compared_with_themselves(once: Matrix, again: Matrix) -> None:
    """Light's kappa of repeated annotations is the mean over pairs, Cohen's that of the pair."""
    log = pl.concat([log_of(once), log_of(again)])
    pairs = pc.pairwise_agreement(log, duplicates="all")
    mean = pairs["kappa"].mean()
    light = pc.light_kappa(log, duplicates="all").row(0, named=True)
    assert light["value"] == (None if mean is None else pytest.approx(mean, abs=1e-9))
    two = log.filter(pl.col("annotator") < "a02")
    pair = pairs.filter(annotator_1="a00", annotator_2="a01")
    assume(pair.height == 1)
    cohen = pc.cohen_kappa(two, duplicates="all", classes=[0, 1, 2, 3])["value"].item()
    kappa = pair["kappa"].item()
    assert cohen == (None if kappa is None else pytest.approx(kappa, abs=1e-9))


def test_two_annotators_without_an_example_in_common() -> None:
    log = pl.DataFrame(
        {"example": [1, 1, 2, 2], "annotator": ["a", "a", "b", "b"], "label": ["x", "y", "x", "x"]}
    )
    found = pc.agreement(log, coefficients=["cohen", "scott", "light"], duplicates="all")
    assert found["value"].is_null().all()
    assert found["standard_error"].is_null().all()
    assert set(found["reason"]) == {"no overlap: no two annotators share an example"}
