"""Intervals that hold the value, have a width, and end where the coefficient does."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.reliability.registry import KNOWN
from polars_crowd.reliability.soundness import NOTHING_VARIES, ONE_EXAMPLE
from tests.cases import log_of_rows

FORMS = ["icc(A,1)", "icc(A,k)", "icc(C,1)"]
NOMINAL = [name for name, c in KNOWN.items() if c.takes_classes]


def rows(log: pl.DataFrame, **options: Any) -> dict[str, dict[str, Any]]:
    found = pc.agreement(log, **{"coefficients": "all", **options})
    return {row["coefficient"]: row for row in found.iter_rows(named=True)}


def table(*labels: str) -> pl.DataFrame:
    """An example per text, an annotator per letter."""
    return log_of_rows([(i, a, one) for i, text in enumerate(labels) for a, one in enumerate(text)])


@pytest.mark.parametrize("interval", ["analytic", "bootstrap"])
def test_where_nothing_varies_there_is_no_interval(interval: str) -> None:
    alpha = rows(table("AB", "BA"), interval=interval)["krippendorff_alpha"]
    assert alpha["value"] == pytest.approx(-0.5)
    assert (alpha["ci_low"], alpha["ci_high"], alpha["p_value"]) == (None, None, None)
    assert alpha["reason"] == NOTHING_VARIES


def test_an_interval_ends_where_the_coefficient_does() -> None:
    found = rows(table("AA", "AB"), classes=["A", "B"])
    assert found["percent_agreement"]["value"] == 0.5
    assert found["percent_agreement"]["ci_low"] == 0
    lows = [row["ci_low"] for name, row in found.items() if name in NOMINAL]
    assert all(low is None or low >= -1 for low in lows)


def test_one_example_that_carries_all_is_said() -> None:
    """A class that is chosen 12 times of 20, on one of 42 examples."""
    labels = ["A" * 20] * 20 + ["B" * 20] * 21 + ["R" * 12 + "A" * 8]
    assert ONE_EXAMPLE in rows(table(*labels))["krippendorff_alpha"]["warning"]
    many = rows(table(*["AB", "AA", "BB"] * 10))["krippendorff_alpha"]
    assert many["warning"] is None


def test_intervals_of_lights_kappa_hold_its_value() -> None:
    rng = np.random.default_rng(0)
    log = [
        (i, a, i % 3 if rng.random() < 0.6 else int(rng.integers(3)))
        for i in range(200)
        for a in rng.choice(80, 6, replace=False).tolist()
    ]
    row = rows(log_of_rows(log), interval="bootstrap", n_boot=200)["light_kappa"]
    assert row["ci_low"] is None or row["ci_low"] <= row["value"] <= row["ci_high"]
    assert row["ci_low"] is None or row["ci_high"] - row["ci_low"] > 0.01


@pytest.mark.parametrize("interval", ["analytic", "bootstrap"])
@pytest.mark.parametrize(("of", "examples", "has_interval"), [(30, 60, False), (5, 60, True)])
def test_light_of_pairs_who_share_few_examples_has_no_interval(
    interval: str, of: int, examples: int, has_interval: bool
) -> None:
    """3 annotations each: pairs of 30 annotators share 0.4 examples, of 5 annotators 18."""
    rng = np.random.default_rng(0)
    log = [
        (i, a, i % 3 if rng.random() < 0.6 else int(rng.integers(3)))
        for i in range(examples)
        for a in rng.choice(of, 3, replace=False).tolist()
    ]
    row = rows(log_of_rows(log), coefficients=["light", "conger"], interval=interval)["light_kappa"]
    there = [row[c] is not None for c in ("ci_low", "ci_high", "p_value", "standard_error")]
    assert set(there) == {has_interval}
    assert has_interval or "for the mean of their kappas" in row["reason"]


def test_icc_of_absolute_agreement_without_residual() -> None:
    """Annotators who differ by a constant: the limit of the interval as the residual goes to 0."""
    values = [[2, 4], [4, 6], [6, 8]]
    log = log_of_rows([(i, a, x) for i, row in enumerate(values) for a, x in enumerate(row)])
    found = rows(log, coefficients=FORMS)
    one, mean = found["icc(A,1)"], found["icc(A,k)"]
    assert (one["value"], mean["value"]) == pytest.approx((2 / 3, 0.8))
    assert (one["ci_low"], one["ci_high"]) == pytest.approx((0.0025, 0.9872), abs=1e-4)
    assert (mean["ci_low"], mean["ci_high"]) == pytest.approx((0.0050, 0.9935), abs=1e-4)
    assert (found["icc(C,1)"]["value"], found["icc(C,1)"]["ci_low"]) == (1, 1)


def test_a_difference_that_cannot_vary_has_no_interval() -> None:
    sides = table("AA", "BB"), table("AB", "BA")
    one = pc.agreement_difference(*sides, interval="analytic").row(0, named=True)
    assert one["difference"] == pytest.approx(1.5)
    assert (one["ci_low"], one["p_value"], one["reason"]) == (None, None, NOTHING_VARIES)
