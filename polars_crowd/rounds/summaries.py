"""Summaries: frames of sums under key columns, which merge by adding up.

What a local plan finds out about a partition for the others is a summary, `{("annotator",): frame, ...}`: one
frame for each set of keys, all of whose other columns are sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from polars import selectors as cs

from polars_crowd.arrays import Floats
from polars_crowd.compatible import Engine

Keys = tuple[str, ...]
Frame = pl.DataFrame | pl.LazyFrame
Summary = Mapping[Keys, Frame]
"""Frames of sums by their key columns; the one without keys has one row."""
Merged = dict[Keys, pl.DataFrame]
GATHERED_ROWS = 2_000_000
"""Rows of summaries that are held before they are added up."""


def merge(summaries: Iterable[Mapping[Keys, Frame]]) -> Merged:
    """The sum of summaries under their keys, sorted by them. Counts add up as 64-bit integers.

    >>> part = {("label",): pl.DataFrame({"label": [0, 1], "annotations": [3, 4]})}
    >>> merge([part, part])[("label",)].rows()
    [(0, 6), (1, 8)]
    """
    sums: dict[Keys, Sum] = {}
    for summary in summaries:
        for keys, frame in collected(summary).items():
            sums.setdefault(keys, Sum(keys)).add(frame)
    return {keys: total.frame() for keys, total in sums.items()}


@dataclass
class Sum:
    """The sum of frames under their keys. Some are gathered before they are added up together."""

    keys: Keys
    _frames: list[pl.DataFrame] = field(default_factory=list)

    def add(self, frame: pl.DataFrame) -> None:
        self._frames.append(frame)
        limit = max(GATHERED_ROWS, 2 * self._frames[0].height)  # a large sum is made less often
        if sum(part.height for part in self._frames) > limit:
            self._frames = [self._added()]

    def frame(self) -> pl.DataFrame:
        """The sum, sorted by its keys."""
        total = self._added()
        return total if _in_order(total, self.keys) else total.sort(self.keys)

    def _added(self) -> pl.DataFrame:
        if len(self._frames) == 1:
            return self._frames[0]
        rows = pl.concat(self._frames)
        return rows.group_by(self.keys).agg(pl.all().sum()) if self.keys else rows.sum()


def _in_order(frame: pl.DataFrame, keys: Keys) -> bool:
    """Whether rows are seen to be sorted by their keys, which are codes: those of one partition are."""
    if any(not frame.schema[key].is_integer() or frame[key].null_count() for key in keys):
        return False
    tied = np.ones(max(frame.height - 1, 0), dtype=bool)
    for key in keys:
        codes = frame[key].to_numpy()
        if (codes[1:] < codes[:-1])[tied].any():
            return False
        tied &= codes[1:] == codes[:-1]
    return True


def collected(summary: Summary, engine: Engine = "auto") -> Merged:
    """A summary as frames in memory, its counts as 64-bit integers."""
    ready = {
        keys: frame
        for keys, frame in summary.items()
        if isinstance(frame, pl.DataFrame) and _counts_are_wide(frame, keys)
    }
    waiting = {
        keys: frame.lazy().with_columns((cs.integer() - cs.by_name(keys)).cast(pl.Int64))
        for keys, frame in summary.items()
        if keys not in ready
    }
    frames = pl.collect_all(list(waiting.values()), engine=engine) if waiting else []
    found = ready | dict(zip(waiting, frames, strict=True))
    return {keys: found[keys] for keys in summary}


def _counts_are_wide(frame: pl.DataFrame, keys: Keys) -> bool:
    """Whether counts have 64 bits: then a round of a small log takes no query for them."""
    of_sums = (dtype for name, dtype in frame.schema.items() if name not in keys)
    return all(dtype == pl.Int64 or not dtype.is_integer() for dtype in of_sums)


def dense(frame: pl.DataFrame, key: str, value: str, size: int, missing: float = 0.0) -> Floats:
    """A column as an array over the codes of its key."""
    values = np.full(size, missing)
    values[frame[key].to_numpy()] = frame[value].to_numpy()
    return values
