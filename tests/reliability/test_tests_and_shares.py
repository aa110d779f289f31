"""p-values under the null hypothesis, and intervals of shares: against statsmodels, irr, SciPy and draws."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.proportion import proportion_confint

import polars_crowd as pc
from polars_crowd.errors import OptionError
from polars_crowd.reliability.request import Interval
from tests.reliability.agreement_cases import Matrix, log_of, matrices, of, two_classes

NULL: dict[str, Any] = {"tested_by": "null"}
DIAGNOSES = (
    "444444 222555 233335 555555 222444 113333 333355 113334 114444 555555 144444 124444 222333 144444 "
    "224445 333335 111455 111112 224444 133555 555555 244444 224555 114444 144445 222224 111155 224444 "
    "133333 555555"
)
"""Fleiss (1971): six psychiatrists, thirty patients, five diagnoses."""


def diagnoses() -> pl.DataFrame:
    return log_of(np.array([[int(c) for c in row] for row in DIAGNOSES.split()]))


# --- p-values --------------------------------------------------------------------------------------


@given(matrices(max_annotators=2, gaps=False).filter(two_classes))
@example(np.array([[0, 0], [0, 0], [0, 0], [0, 1], [0, 2]]))
def test_cohens_p_value_is_that_of_statsmodels(labels: Matrix) -> None:
    K = int(labels.max()) + 1
    table = np.zeros((K, K))
    np.add.at(table, (labels[:, 0], labels[:, 1]), 1)
    by_weights = {"identity": None, "linear": "linear", "quadratic": "quadratic"}
    for weights, wt in by_weights.items():
        ours = pc.cohen_kappa(log_of(labels), classes=list(range(K)), weights=weights, **NULL)
        with np.errstate(all="ignore"):
            theirs = cohens_kappa(table, wt=wt)
        if not theirs.var_kappa0 > 1e-9:
            assert ours["p_value"][0] is None
            continue
        assert of(ours, "p_value") == pytest.approx(theirs.pvalue_two_sided, abs=1e-9)


def test_fleiss_p_value_is_that_of_irr() -> None:
    """`kappam.fleiss(diagnoses)` of R's irr: kappa 0.4302445, z = 17.65183."""
    found = pc.fleiss_kappa(diagnoses(), **NULL)
    z = 17.65183
    assert of(found) == pytest.approx(0.4302445, abs=1e-7)
    assert np.log(of(found, "p_value")) == pytest.approx(np.log(2) + stats.norm.logsf(z), abs=1e-4)


def test_fleiss_p_values_are_uniform_where_labels_are_chance() -> None:
    rng = np.random.default_rng(5)
    labels = rng.choice(3, p=[0.6, 0.3, 0.1], size=(300 * 40, 4))
    log = log_of(labels).with_columns(group=pl.col("example") // 40)
    p = pc.fleiss_kappa(log, by="group", **NULL)["p_value"]
    assert p.null_count() == 0
    assert stats.kstest(p.to_numpy(), "uniform").pvalue > 0.01


def test_where_there_is_no_standard_error_under_the_null() -> None:
    gaps = pc.fleiss_kappa(diagnoses().slice(1), **NULL)
    assert gaps["p_value"][0] is None
    assert "equally many annotations" in gaps["warning"][0]
    flat = pc.cohen_kappa(log_of(np.array([[0, 0], [0, 1], [0, 1]])), **NULL)
    assert flat["p_value"][0] is None
    assert "an annotator gave all examples the same label" in flat["warning"][0]


def test_the_null_hypothesis_changes_nothing_but_p() -> None:
    found = pc.fleiss_kappa(diagnoses(), **NULL).drop("p_value", "warning")
    assert found.equals(pc.fleiss_kappa(diagnoses()).drop("p_value", "warning"))


# --- shares ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "theirs"), [("wilson", "wilson"), ("clopper_pearson", "beta")])
@pytest.mark.parametrize("agree", [0, 1, 7, 19, 20])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_intervals_of_shares_are_those_of_statsmodels(
    kind: Interval, theirs: str, agree: int, confidence: float
) -> None:
    labels = np.array([[0, int(i >= agree)] for i in range(20)])
    log = pl.concat(
        [log_of(labels), pl.DataFrame({"example": [99], "annotator": ["a00"], "label": [1]})],
        how="vertical_relaxed",
    )
    found = pc.percent_agreement(log, interval=kind, confidence=confidence)
    low, high = proportion_confint(agree, 20, alpha=1 - confidence, method=theirs)
    assert of(found) == pytest.approx(agree / 20, abs=1e-12)
    assert of(found, "ci_low") == pytest.approx(low, abs=1e-9)
    assert of(found, "ci_high") == pytest.approx(high, abs=1e-9)
    assert found["p_value"][0] is None


@pytest.mark.parametrize(
    ("call", "options", "wrong"),
    [
        (
            pc.agreement,
            {"interval": "wilson"},
            "percent_agreement alone, and not of 'fleiss_kappa'",
        ),
        (pc.gwet_ac1, {"interval": "clopper_pearson"}, "and not of 'gwet_ac1'"),
        (pc.percent_agreement, {"interval": "wilson", "weights": "linear"}, "agree in part"),
        (pc.percent_agreement, {"interval": "wilson", "seed": 1}, "no effect on wilson intervals"),
        (pc.agreement, NULL, "no standard error under the null hypothesis is known here of"),
        (pc.fleiss_kappa, {**NULL, "weights": "linear"}, "known without weights only"),
        (
            pc.agreement_difference,
            {"coefficient": "percent_agreement", "b": diagnoses(), "interval": "wilson"},
            "it is of one share, and not of a difference",
        ),
    ],
)
def test_what_cannot_be_asked_for(call: Any, options: dict[str, Any], wrong: str) -> None:
    with pytest.raises(OptionError, match=re.escape(wrong)):
        call(diagnoses(), **options)


# --- a difference ----------------------------------------------------------------------------------


def test_a_difference_of_lights_kappa_has_no_interval_where_pairs_share_few() -> None:
    rng = np.random.default_rng(0)
    labels = np.where(rng.random((60, 12)) < 0.25, rng.integers(0, 3, (60, 12)), -1)
    sparse, dense = log_of(labels), log_of(rng.integers(0, 3, (60, 3)))
    alone = pc.light_kappa(sparse)
    assert "a pair of annotators shares" in alone["reason"][0]
    options: dict[str, Any] = {"coefficient": "light_kappa", "n_boot": 50}
    for logs in ((sparse, dense), (dense, sparse)):
        found = pc.agreement_difference(*logs, **options)
        assert found["reason"][0] == alone["reason"][0]
        assert found["difference"][0] is not None
        assert found["ci_low"][0] is found["p_value"][0] is None
    other = log_of(rng.integers(0, 3, (60, 3)))
    assert pc.agreement_difference(dense, other, **options)["ci_low"][0] is not None
