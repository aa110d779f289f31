"""Sums of posteriors: exact ones, and between the arrays of formulas and the frames of summaries.

A summary is a frame per key of `truth.model`, with a column `name.c` per entry of the leading axis and no
rows of zeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.summaries import GRID, Merged, Summary
from polars_crowd.truth.model import ANNOTATOR, CELL, Key, LogSize

NOTHING = pl.DataFrame()
"""The frame of a key under which nothing was counted."""


def on_grid(T: Floats) -> Floats:
    """A posterior rounded to what adds up exactly."""
    T = T * GRID
    np.rint(T, out=T)
    T *= 1 / GRID
    return T


def added(sums: Iterable[Mapping[str, Floats]]) -> dict[str, Floats]:
    """The sums of all blocks, one after another."""
    totals: dict[str, Floats] = {}
    for of_block in sums:
        for name, values in of_block.items():
            if name in totals:
                totals[name] += values
            else:
                totals[name] = np.array(values, dtype=np.float64)
    return totals


def as_summary(
    totals: Mapping[str, Floats],
    keys: Mapping[str, Key],
    part: Partition,
    pairs: Ints | None = None,
) -> Summary:
    """Arrays of sums as frames under their keys, without the rows of zeros. `pairs` are those of annotator
    and label that sums under CELL are of, if they are not of all."""
    frames: dict[Key, dict[str, Any]] = {}
    for name, values in totals.items():
        key = keys[name]
        rows = values.reshape(1, -1).T if not key else values.reshape(-1, values.shape[-1])
        columns = {f"{name}.{c}": row for c, row in enumerate(rows)}
        frames.setdefault(key, {}).update(columns)
    n_classes = part.runs.n_classes
    return {key: _frame(columns, key, n_classes, pairs) for key, columns in frames.items()}


def _frame(columns: dict[str, Any], key: Key, n_classes: int, pairs: Ints | None) -> pl.DataFrame:
    if not key:
        return pl.DataFrame(columns)
    used = np.flatnonzero(np.logical_or.reduce([values != 0 for values in columns.values()]))
    place = (used if pairs is None or key != CELL else pairs[used]).astype(np.uint32)
    coded = {"annotator": place}
    if key == CELL:
        coded = {"annotator": place // n_classes, "label": place % n_classes}
    return pl.DataFrame({**coded, **{name: values[used] for name, values in columns.items()}})


def as_sums(merged: Merged, keys: Mapping[str, Key], log: LogSize) -> dict[str, Floats]:
    """Merged frames of sums as arrays again."""
    found: dict[str, Floats] = {}
    n_cells = log.n_annotators * log.n_classes if log.pairs is None else len(log.pairs)
    sizes = {ANNOTATOR: log.n_annotators, CELL: n_cells}
    for name, key in keys.items():
        frame = merged.get(key, NOTHING)
        columns = [c for c in frame.columns if c.rpartition(".")[0] == name]
        if not key:
            found[name] = np.array([frame[c].item() for c in columns], dtype=np.float64)
            continue
        values = np.zeros((len(columns), sizes[key]))
        rows = _rows(frame, key, log) if columns else None
        for row, c in zip(values, columns, strict=True):
            row[rows] = frame[c].to_numpy()
        found[name] = values
    return found


def _rows(frame: pl.DataFrame, key: Key, log: LogSize) -> Ints:
    code = frame[key[0]].cast(pl.Int64)
    if len(key) == 2:
        code = code * log.n_classes + frame[key[1]].cast(pl.Int64)
        if log.pairs is not None:
            return np.searchsorted(log.pairs, code.to_numpy())
    return code.to_numpy().astype(np.intp)
