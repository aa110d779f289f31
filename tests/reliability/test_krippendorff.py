"""Krippendorff's alpha at four levels: against his definition and the package krippendorff; many values."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_crowd as pc
from polars_crowd.errors import OptionError
from polars_crowd.reliability.weights import Level
from tests.cases import assert_same
from tests.reliability import agreement_cases as by_definition
from tests.reliability.agreement_cases import (
    Matrix,
    log_of,
    matrices,
    matrix_of,
    published,
    two_classes,
)

# numbers are classes at some of the levels, which is said
pytestmark = pytest.mark.filterwarnings(
    "ignore:column .label. of the log may not:polars_crowd.AnnotationWarning"
)
LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval", "ratio")
TABLES = ("krippendorff2011", "gwet_raw5obser", "irr_anxiety", "irr_video", "irr_vision")


def alpha_of(log: pl.DataFrame, level: Level, **options: Any) -> float:
    found = pc.krippendorff_alpha(log, level=level, **options)["value"][0]
    return float("nan") if found is None else float(found)


@pytest.mark.parametrize(("name", "level"), list(itertools.product(TABLES, LEVELS)))
def test_tables_as_the_package_krippendorff(name: str, level: Level) -> None:
    log = published(name)
    theirs = krippendorff.alpha(matrix_of(log).T, level_of_measurement=level)
    assert alpha_of(log, level) == pytest.approx(theirs, abs=1e-9)


@given(matrices(), st.sampled_from(LEVELS))
def test_random_logs_as_the_package_and_the_definition(labels: Matrix, level: Level) -> None:
    log = log_of(labels).with_columns(pl.col("label") * 2.5 + 1)
    ours = alpha_of(log, level)
    if not two_classes(labels):
        assert np.isnan(ours)
        return
    values = 2.5 * np.arange(4.0) + 1
    assert ours == pytest.approx(by_definition.alpha(labels, level, values), abs=1e-9)
    matrix = np.where(labels < 0, np.nan, 2.5 * labels + 1)
    assert ours == pytest.approx(krippendorff.alpha(matrix.T, level_of_measurement=level), abs=1e-9)


@given(matrices())
def test_what_a_level_does_not_see(labels: Matrix) -> None:
    """Interval: shift and scale; ordinal: any increasing function; nominal: any other names."""
    log = log_of(labels).with_columns(pl.col("label").cast(pl.Float64))
    code = pl.col("label")
    for level, changed in (("interval", 3 - 7 * code), ("ordinal", code.exp()), ("nominal", -code)):
        other = log.with_columns(changed.alias("label"))
        same = alpha_of(other, level)  # type: ignore[arg-type]
        assert same == pytest.approx(alpha_of(log, level), abs=1e-9, nan_ok=True)  # type: ignore[arg-type]


def test_far_from_zero() -> None:
    """Squares of large numbers are not subtracted from each other."""
    log = published("irr_anxiety").with_columns(pl.col("label").cast(pl.Float64))
    far = log.with_columns(pl.col("label") + 2.0**40)
    assert alpha_of(far, "interval") == pytest.approx(alpha_of(log, "interval"), abs=1e-12)
    assert pc.icc(far)["value"][0] == pytest.approx(pc.icc(log)["value"][0], abs=1e-12)


def test_unused_classes_change_nothing() -> None:
    log = published("krippendorff2011")
    for level in LEVELS:
        declared = alpha_of(log, level, classes=[1, 2, 3, 4, 5, 6, 70])
        assert declared == pytest.approx(alpha_of(log, level), abs=1e-12)


def reals(n: int) -> pl.DataFrame:
    """n examples with two labels each, of correlation 1/2, all labels different."""
    rng = np.random.default_rng(11)
    x = np.repeat(rng.normal(size=n), 2) + rng.normal(size=2 * n)
    return pl.DataFrame(
        {"example": np.repeat(np.arange(n), 2), "annotator": np.tile([0, 1], n), "label": x}
    )


def test_many_different_reals_as_the_package() -> None:
    log = reals(150)
    for level in LEVELS[1:3]:
        theirs = krippendorff.alpha(matrix_of(log).T, level_of_measurement=level)
        assert alpha_of(log, level) == pytest.approx(theirs, abs=1e-9)


def test_reals_of_a_known_correlation() -> None:
    found = pc.krippendorff_alpha(reals(20_000), level="interval").row(0, named=True)
    assert abs(found["value"] - 0.5) < 4 * found["standard_error"]
    # the correlation of n normal pairs has the standard error (1 - r^2) / sqrt(n)
    assert found["standard_error"] == pytest.approx(0.75 / np.sqrt(20_000), rel=0.03)


def test_the_ratio_of_too_many_values_is_refused() -> None:
    with pytest.raises(ValueError, match=r"level='ratio'; this needs a matrix of 6,000 x 6,000"):
        pc.krippendorff_alpha(reals(3000).with_columns(pl.col("label").exp()), level="ratio")
    with pytest.raises(ValueError, match=r"weights='linear'; this needs a matrix of 6,000 x 6,000"):
        pc.fleiss_kappa(reals(3000), weights="linear")
    assert alpha_of(reals(3000), "ordinal") == pytest.approx(0.48, abs=0.05)


@pytest.mark.parametrize("by_annotator", [False, True])
def test_stores_of_numbers(tmp_path: Path, by_annotator: bool) -> None:
    log = reals(200).with_columns(
        pl.col("annotator") + pl.col("example") % 3, label=pl.col("label").exp()
    )
    pools = pl.DataFrame({"annotator": [0, 1, 2, 3], "pool": ["x", "x", "y", "x"]})
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=5)
    by = pools if by_annotator else None
    for level in LEVELS:
        options: dict[str, Any] = {"level": level, "by": by}
        names = ["krippendorff_alpha", "icc", "gwet_ac1", "conger_kappa"]
        options["coefficients"] = names
        assert_same(pc.agreement(log, **options), pc.agreement(store, **options))
    with pytest.raises(pc.AnnotationError, match="the log has no column 'site'"):
        pc.agreement(store, by="site")


# --- dates, and numbers that are none ----------------------------------------------------------------

DAYS = [date(2020, 1, 1), date(2020, 1, 3), date(2020, 6, 1), date(2020, 6, 5), date(2021, 1, 1)]


@pytest.mark.parametrize("dtype", [pl.Date, pl.Datetime("us"), pl.Datetime("ms", "UTC")])
def test_dates_are_as_far_apart_as_their_days(dtype: Any) -> None:
    days = pl.Series("label", [*DAYS, DAYS[-1]], dtype=pl.Date)
    log = pl.DataFrame({"example": [1, 1, 2, 2, 3, 3], "annotator": ["a", "b"] * 3, "label": days})
    numbers = log.with_columns(pl.col("label").to_physical())
    log = log.with_columns(pl.col("label").cast(dtype))
    measured: list[Callable[[pl.DataFrame], pl.DataFrame]] = [
        pc.icc,
        partial(pc.krippendorff_alpha, level="interval"),
        partial(pc.fleiss_kappa, weights="linear"),
    ]
    for of in measured:
        assert of(log)["value"].item() == pytest.approx(of(numbers)["value"].item(), abs=1e-9)
    with pytest.raises(OptionError, match=r"level='ratio'; labels of type .* have no zero"):
        pc.krippendorff_alpha(log, level="ratio")


@pytest.mark.parametrize(
    ("labels", "options", "wrong"),
    [
        ([1, 2, np.inf, 2], {"level": "interval"}, "level='interval'; .* labels are infinite: inf"),
        ([1, 2, -5.5, 2], {"level": "ratio"}, "level='ratio'; ratios take .* there are -5.5. Take"),
        (
            [1, 2, -5.5, 2],
            {"weights": "ratio"},
            "weights='ratio'; .* Take squared distances: weights=",
        ),
    ],
)
def test_labels_that_have_no_distance_are_refused(
    labels: list[float], options: dict[str, Any], wrong: str
) -> None:
    log = pl.DataFrame(
        {"example": [1, 1, 2, 2], "annotator": ["a", "b"] * 2, "label": [float(x) for x in labels]}
    )
    coefficients = ["fleiss" if "weights" in options else "alpha"]
    with pytest.raises(OptionError, match=wrong):
        pc.agreement(log, coefficients=coefficients, **options)
