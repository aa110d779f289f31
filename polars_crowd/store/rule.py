"""In which partition an example lies: a rule that never changes with the Polars version or the platform.

The partition is h mod n, with h the hash of the id (see `runs.hashing`).
"""

from __future__ import annotations

import polars as pl

from polars_crowd.runs.hashing import hashed

RULE = "fnv1a-words"
RULE_VERSION = 1


def partition_of(column: str, dtype: pl.DataType, n: int) -> pl.Expr:
    """The partition 0 .. n-1 of an example id.

    >>> frame = pl.DataFrame({"example": ["a", "b", "c"]})
    >>> frame.select(partition_of("example", pl.String(), 5)).to_series().to_list()
    [3, 2, 3]
    """
    return (hashed(pl.col(column), dtype) % n).cast(pl.UInt32).alias("partition")
