"""What tells one log from another: a number that is the same for the same annotations, wherever they lie.

With h the hash of a text (`runs.hashing`) and arithmetic modulo 2^64, each annotation adds

    m( ((h(example) P xor h(annotator)) P xor h(label)) P ),     m(x) = (x xor (x >> 32)) M

to a sum, which is written in hexadecimal, with the number of annotations.
"""

from __future__ import annotations

import polars as pl

from polars_crowd.inputs.log import LOG_COLUMNS
from polars_crowd.inputs.matching import written
from polars_crowd.runs.hashing import MIX, PRIME, hashed


def fingerprint(rows: pl.LazyFrame) -> str:
    """A sum of hashes of the rows as they are written: the same whatever their order, types and file.

    >>> log = pl.LazyFrame({"example": [1, 2], "annotator": ["a", "b"], "label": ["x", "y"]})
    >>> fingerprint(log) == fingerprint(log.reverse().cast({"example": pl.String}))
    True
    """
    schema = rows.collect_schema()
    hashes = rows.select(as_written(c, schema).alias(c) for c in LOG_COLUMNS)
    for column in ("annotator", "label"):  # few, each hashed once
        ids = hashes.select(column).unique()
        of_ids = ids.with_columns(hashed(pl.col(column), pl.String()).alias(f"{column}_hash"))
        hashes = hashes.join(of_ids, on=column)
    h = hashed(pl.col("example"), pl.String()) * PRIME
    for column in ("annotator", "label"):
        h = (h ^ pl.col(f"{column}_hash")) * PRIME
    sums = hashes.select(h=(h ^ (h // (1 << 32))) * MIX).select(
        n=pl.len(), low=(pl.col("h") % (1 << 32)).sum(), high=(pl.col("h") // (1 << 32)).sum()
    )
    n, low, high = sums.collect(engine="streaming").row(0)
    return f"{(low + (high << 32)) % (1 << 64):016x}-{n}"


def as_written(column: str, schema: pl.Schema) -> pl.Expr:
    dtype = schema[column]
    return pl.col(column).cast(pl.String) if dtype.is_float() else written(column, dtype)
