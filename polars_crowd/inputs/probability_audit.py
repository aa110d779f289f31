"""pred_probs of a lazy plan: the checks of `read_probabilities`, made when the plan is collected.

Counts are taken along with the work, in one pass over each model's ids and one flag per row. Only where they
raise suspicion are the probabilities read, and judged as they are for a log in memory: one judge for both.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from polars_crowd.compatible import HORIZONTAL
from polars_crowd.inputs.pred_probs import PROBABILITIES, PredProbs
from polars_crowd.inputs.probabilities import read_probabilities, with_ids_like
from polars_crowd.inputs.probability_checks import SUM_TOLERANCE

SUSPICIOUS = 0.9 * SUM_TOLERANCE
"""How far a sum may be from 1 without suspicion: rounding does not hide what the judge would find."""


def audit_probabilities(
    findings: pl.LazyFrame,
    models: Sequence[PredProbs],
    annotated: pl.LazyFrame,
    n_examples: pl.LazyFrame,
    dtype: pl.DataType,
    names: tuple[str, ...],
) -> pl.LazyFrame:
    """`findings` (no rows) as they are, or the error that the models deserve, when it is collected.

    `annotated` has every annotated example in its column `example`, of this type, in one row or more;
    `n_examples` has one row, `examples`: how many there are.
    """
    if not models:
        return findings
    counts = [_counts(probs, annotated, dtype, names, m) for m, probs in enumerate(models)]
    none = findings.select(examples="num_annotations")  # what is wrong with the log is said first

    def judge(found: pl.DataFrame) -> pl.DataFrame:
        if _is_suspicious(found, len(models)):
            ids = annotated.select("example").unique().sort("example").collect()["example"]
            for probs in models:
                read_probabilities(probs, ids, names)
        return found.select(num_annotations="examples").clear()

    found = pl.concat([pl.concat([n_examples, *counts], how=HORIZONTAL), none], how="diagonal")
    return found.map_batches(judge, schema={"num_annotations": pl.UInt32})


def _is_suspicious(found: pl.DataFrame, n_models: int) -> bool:
    row = found.row(0, named=True)
    wrong = (
        row[f"{what}_{m}"] for what in ("unsound", "repeated", "null") for m in range(n_models)
    )
    return any(wrong) or any(row[f"rows_{m}"] != row["examples"] for m in range(n_models))


def _counts(
    probs: PredProbs, annotated: pl.LazyFrame, dtype: pl.DataType, names: tuple[str, ...], m: int
) -> pl.LazyFrame:
    """One row: a model's rows of annotated examples, those that are no probabilities or of no example, and
    repeated hashes of ids (equal ids have equal hashes)."""
    flags = with_ids_like(probs, dtype).select("example", sound=_is_sound(probs, names)).cache()
    known = flags.join(annotated, on="example", how="semi")
    hashes = flags.select(key=pl.col("example").hash()).sort("key")
    unsound = (~pl.col("sound").fill_null(value=False)).sum()
    counts = [
        known.select(pl.len().alias(f"rows_{m}"), unsound.alias(f"unsound_{m}")),
        hashes.select((pl.col("key") == pl.col("key").shift(1)).sum().alias(f"repeated_{m}")),
        flags.select(pl.col("example").null_count().alias(f"null_{m}")),
    ]
    return pl.concat(counts, how=HORIZONTAL)


def _is_sound(probs: PredProbs, names: tuple[str, ...]) -> pl.Expr:
    """Whether a row has probabilities; null or not where one of them is missing."""
    if probs.is_array:
        entries = pl.col(PROBABILITIES)
        least, total = entries.arr.min(), entries.arr.sum().cast(pl.Float64)
        whole = ~entries.arr.contains(None)
    else:
        columns = [pl.col(name).cast(pl.Float64) for name in names]
        least, total = pl.min_horizontal(columns), pl.sum_horizontal(columns, ignore_nulls=False)
        whole = pl.lit(value=True)
    return whole & (least >= 0) & ((total - 1).abs() <= SUSPICIOUS)
