"""Local plans and additive summaries: how a method runs over partitions.

A method is a short script of rounds. Each round runs one local plan on every partition (a set of whole
examples), and reduces it to a summary: a small frame of sums under a key (`annotator`, `label`, or both).
Summaries of different partitions merge by adding up, and the method turns the merged summary into the few
parameters that the next round needs. A log in memory is the case of one partition.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl
from polars import selectors as cs


def merge(summaries: Iterable[pl.LazyFrame], by: str | Sequence[str]) -> pl.DataFrame:
    """The sum of summaries under their key, sorted by it. Counts add up as 64-bit integers.

    >>> part = pl.LazyFrame({"label": [0, 1], "annotations": [3, 4]})
    >>> merge([part, part], by="label").rows()
    [(0, 6), (1, 8)]
    """
    keys = [by] if isinstance(by, str) else list(by)
    merged: pl.DataFrame | None = None
    for summary in summaries:
        part = summary.with_columns((cs.integer() - cs.by_name(keys)).cast(pl.Int64)).collect()
        merged = part if merged is None else _added(merged, part, keys)
    if merged is None:
        raise ValueError("no partitions: there is nothing to merge.")
    return merged.sort(keys)


def _added(left: pl.DataFrame, right: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    return pl.concat([left, right]).group_by(keys).agg(pl.all().sum())
