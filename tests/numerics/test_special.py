"""Distribution functions against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from polars_crowd.numerics.special import chi2_cdf, chi2_quantile, f_quantile, gamma_cdf

DEGREES = np.concatenate([[0.05, 0.5, 1, 2, 3, 5, 10, 30, 31.5, 33, 100], 10 ** np.arange(3, 6.5)])


@pytest.mark.parametrize("away", [-8, -3, -1, -0.1, 0, 0.1, 1, 3, 8])
def test_chi2_cdf(away: float) -> None:
    x = DEGREES * np.exp(away / np.sqrt(DEGREES + 1))
    np.testing.assert_allclose(chi2_cdf(x, DEGREES), stats.chi2.cdf(x, DEGREES), 1e-11, 1e-15)


@pytest.mark.parametrize("p", [1e-8, 1e-3, 0.025, 0.4, 0.6, 0.975, 0.999])
def test_chi2_quantile(p: float) -> None:
    np.testing.assert_allclose(
        chi2_quantile(p, DEGREES), stats.chi2.ppf(p, DEGREES), rtol=1e-11, atol=1e-290
    )


def test_a_quantile_per_probability() -> None:
    p = np.linspace(0.01, 0.99, 50)
    np.testing.assert_allclose(chi2_quantile(p, 7), stats.chi2.ppf(p, 7), rtol=1e-11)


def test_the_ends() -> None:
    assert gamma_cdf(2.0, [0.0, np.inf]).tolist() == [0.0, 1.0]


def test_degrees_of_next_to_nothing_have_a_quantile_beyond_all_numbers() -> None:
    assert f_quantile(0.975, 4, np.float64(1e-8)) > 1e300
    assert f_quantile(0.975, np.float64(1e-8), 4) >= 0
