"""The posterior of a number as quantiles: what is known of numeric truths, and of scores."""

from __future__ import annotations

from statistics import NormalDist

import polars as pl

PROBABILITIES = (0.025, 0.25, 0.5, 0.75, 0.975)


def quantiles(examples: pl.LazyFrame, mean: str, name: str) -> pl.LazyFrame:
    """`example`, the quantile of each of PROBABILITIES as `name`, `probability`: of normal distributions with
    this mean and `standard_error`."""
    reach = (pl.col("standard_error") * NormalDist().inv_cdf(p) for p in PROBABILITIES)
    return examples.select(
        "example",
        pl.concat_list(pl.col(mean) + r for r in reach).alias(name),
        probability=pl.lit(pl.Series([PROBABILITIES])).first(),
    ).explode(name, "probability", empty_as_null=False)
