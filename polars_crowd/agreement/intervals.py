"""Analytic intervals: Student's t around the value, with the linearised standard error.

se = sqrt(sum_i d_i^2 / (n (n - 1))),   d_i the deviations of the influence values
ci = value -+ t_{n-1, (1 + confidence)/2} se, at most 1,    p = P(|t_{n-1}| >= |value| / se)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polars_crowd.agreement.distributions import t_quantile, t_tails
from polars_crowd.agreement.patterns import Floats

HIGHEST = 1.0


@dataclass(frozen=True)
class Uncertainty:
    """(G,) each; NaN where there is none."""

    standard_error: Floats
    ci_low: Floats
    ci_high: Floats
    p_value: Floats

    def replaced(self, group: int, other: Uncertainty) -> Uncertainty:
        """The same with those of one group (of `other`, which has one) in their place."""
        columns = {c: getattr(self, c).copy() for c in self.__dataclass_fields__}
        for name, values in columns.items():
            values[group] = getattr(other, name)[0]
        return Uncertainty(**columns)


def analytic(
    value: Floats, error: Floats, n: Floats, confidence: float, highest: float = HIGHEST
) -> Uncertainty:
    """The interval and the p-value of a t statistic."""
    quantile = np.array([_quantile(confidence, float(df)) for df in n - 1])
    tails = [_tails(v, se, float(df)) for v, se, df in zip(value, error, n - 1, strict=True)]
    return Uncertainty(
        standard_error=error,
        ci_low=value - quantile * error,
        ci_high=np.minimum(value + quantile * error, highest),
        p_value=np.array(tails),
    )


def _quantile(confidence: float, df: float) -> float:
    return t_quantile((1 + confidence) / 2, df) if df > 0 else np.nan


def _tails(value: float, error: float, df: float) -> float:
    if not (np.isfinite(value) and np.isfinite(error)) or df <= 0:
        return np.nan
    if error == 0:
        return float(value == 0)
    return t_tails(value / error, df)
