"""Summaries: frames of sums under key columns, which merge by adding up.

What a local plan finds out about a partition for the others is a summary, `{("annotator",): frame, ...}`: one
frame for each set of keys, all of whose other columns are sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Floats
from polars_crowd.compatible import Engine

Keys = tuple[str, ...]
Frame = pl.DataFrame | pl.LazyFrame
Summary = Mapping[Keys, Frame]
"""Frames of sums by their key columns; the one without keys has one row."""
Merged = dict[Keys, pl.DataFrame]
GATHERED_ROWS = 500_000
"""Rows of summaries that are held before they are added up."""
GRID = 2.0**36
Packed = NDArray[np.uint64]
BITS, MASK = np.uint64(32), np.uint64(2**32 - 1)


def merge(summaries: Iterable[Mapping[Keys, Frame]]) -> Merged:
    """The sum of summaries under their keys, sorted by them. Counts add up as 64-bit integers.

    >>> part = {("label",): pl.DataFrame({"label": [0, 1], "annotations": [3, 4]})}
    >>> merge([part, part])[("label",)].rows()
    [(0, 6), (1, 8)]
    """
    sums: dict[Keys, Sum] = {}
    for summary in summaries:
        found = collected(summary)
        del summary  # while the next one is made, no other is held
        for keys in list(found):
            sums.setdefault(keys, Sum(keys)).add(found.pop(keys))
    return {keys: sums.pop(keys).frame() for keys in list(sums)}


@dataclass
class Sum:
    """The sum of frames under their keys.

    Some are gathered before they are added up together. A large sum is then held in the order of its keys: a
    frame is added to it where its keys stand, and only rows with keys that are new are gathered. So what is
    held does not grow with the number of frames.

    Under keys that are codes, what has the same keys is added in the order of the frames, one after another:
    the sum is the same to the last bit wherever, and in however many pieces, it is taken.
    """

    keys: Keys
    _large: Ordered | None = None
    _frames: list[pl.DataFrame] = field(default_factory=list)
    _limit: int = 0

    def add(self, frame: pl.DataFrame) -> None:
        left = frame if self._large is None else self._large.add(frame)
        if self._large is None or left.height:
            self._frames.append(left)
        if sum(part.height for part in self._frames) > max(GATHERED_ROWS, self._limit):
            self._gather()

    def frame(self) -> pl.DataFrame:
        """The sum, sorted by its keys."""
        if self._large is not None and self._frames:
            self._gather()
        total = self._added() if self._large is None else self._large.into_frame()
        total = total if _in_order(total, self.keys) else total.sort(self.keys)
        self._large, self._frames = None, [total]
        return total

    def _gather(self) -> None:
        """Add up what is held: the larger, the less often."""
        rows = Ordered.of(self._frames, self.keys)
        if self._large is None:
            self._large = rows
        elif rows is not None and rows.schema == self._large.schema:
            self._large.insert(rows)
        else:
            self._frames.insert(0, self._large.into_frame())
            self._large = None
        self._frames = [self._added()] if self._large is None else []
        self._limit = len(self._large.codes) // 8 if self._large else 2 * self._frames[0].height

    def _added(self) -> pl.DataFrame:
        if len(self._frames) == 1:
            return self._frames[0]
        ordered = Ordered.of(self._frames, self.keys)
        if ordered is not None:
            return ordered.into_frame()
        rows = pl.concat(self._frames)
        if not self.keys:
            return rows.sum()
        return rows.group_by(self.keys).agg(pl.all().sum()).select(rows.columns)


@dataclass
class Ordered:
    """A sum under one or two keys that are codes of 32 bits, in their order."""

    keys: Keys
    schema: pl.Schema
    codes: Packed
    """The keys of each row as one number, ascending."""
    sums: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, frames: Sequence[pl.DataFrame], keys: Keys) -> Ordered | None:
        """The sum of frames; None if they cannot be held so."""
        schema = frames[0].schema
        if not all(_has_codes(frame, keys) and frame.schema == schema for frame in frames):
            return None
        if len(frames) == 1:
            rows = cls.rows_of(frames[0], keys)
            if rows is not None and (rows.codes[1:] > rows.codes[:-1]).all():
                return rows.copy()
        return cls.added([cls._unordered(frame, keys) for frame in frames])

    @classmethod
    def rows_of(cls, frame: pl.DataFrame, keys: Keys) -> Ordered | None:
        """The rows of a frame as they are, put in order."""
        if not _has_codes(frame, keys):
            return None
        rows = cls._unordered(frame, keys)
        if not (rows.codes[1:] < rows.codes[:-1]).any():
            return rows
        return rows._taken(_order_of(rows.codes))

    @classmethod
    def _unordered(cls, frame: pl.DataFrame, keys: Keys) -> Ordered:
        sums = {name: frame[name].to_numpy() for name in frame.schema if name not in keys}
        return cls(keys, frame.schema, _packed(frame, keys), sums)

    @classmethod
    def added(cls, pieces: Sequence[Ordered]) -> Ordered:
        """The sum of pieces of one schema, in their order."""
        codes = np.concatenate([piece.codes for piece in pieces])
        order = np.argsort(codes, kind="stable")  # pieces are in order, most of them
        codes = codes[order]
        is_first = np.append(True, codes[1:] != codes[:-1])[: len(codes)]
        later = np.flatnonzero(~is_first)
        place = np.cumsum(is_first)[later] - 1
        sums = {}
        for name in pieces[0].sums:
            values = np.concatenate([piece.sums[name] for piece in pieces])[order]
            sums[name] = values[is_first]
            np.add.at(sums[name], place, values[later])  # one after another
        return cls(pieces[0].keys, pieces[0].schema, codes[is_first], sums)

    @classmethod
    def joined(cls, pieces: Sequence[Ordered]) -> Ordered:
        """Pieces that follow one another, as one."""
        sums = {
            name: np.concatenate([piece.sums[name] for piece in pieces]) for name in pieces[0].sums
        }
        codes = np.concatenate([piece.codes for piece in pieces])
        return cls(pieces[0].keys, pieces[0].schema, codes, sums)

    def between(self, first: np.uint64 | None, end: np.uint64 | None) -> Ordered:
        """The rows whose keys are at least `first` and less than `end`; None stands for no limit."""
        start = 0 if first is None else int(np.searchsorted(self.codes, first))
        stop = len(self.codes) if end is None else int(np.searchsorted(self.codes, end))
        return self._taken(slice(start, stop))

    def copy(self) -> Ordered:
        """The same sums, which may be changed: those of a frame are the frame's."""
        sums = {name: values.copy() for name, values in self.sums.items()}
        return Ordered(self.keys, self.schema, self.codes, sums)

    def _taken(self, rows: Any) -> Ordered:
        sums = {name: values[rows] for name, values in self.sums.items()}
        return Ordered(self.keys, self.schema, self.codes[rows], sums)

    def insert(self, rows: Ordered) -> None:
        """Put rows in whose keys are not here, column by column."""
        place = np.searchsorted(self.codes, rows.codes) + np.arange(len(rows.codes))
        is_old = np.ones(len(self.codes) + len(rows.codes), dtype=bool)
        is_old[place] = False

        def put(old: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
            both = np.empty(len(is_old), dtype=old.dtype)
            both[is_old], both[place] = old, new
            return both

        self.codes = put(self.codes, rows.codes)
        for name in rows.sums:
            self.sums[name] = put(self.sums.pop(name), rows.sums[name])

    def add(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add the rows of a frame whose keys are here; the others are returned."""
        if not _has_codes(frame, self.keys) or frame.schema != self.schema:
            return frame
        codes = _packed(frame, self.keys)
        order = _order_of(codes)  # what is sought in order is found from one to the next
        codes = codes[order]
        place = np.searchsorted(self.codes, codes)
        place[place == len(self.codes)] = 0
        is_here = self.codes[place] == codes
        rows, place = order[is_here], place[is_here]
        for name, sums in self.sums.items():
            np.add.at(sums, place, frame[name].to_numpy()[rows])
        # a filter of few rows would keep all of the frame
        left: pl.DataFrame = frame[order[~is_here]]
        return left

    def into_frame(self) -> pl.DataFrame:
        """The rows, in the order of their keys. Each column is let go once it is there."""
        of_keys = zip(self.keys, _unpacked(self.codes, len(self.keys)), strict=True)
        columns, self.sums = {**dict(of_keys), **self.sums}, {}
        return pl.DataFrame([pl.Series(name, columns.pop(name)) for name in self.schema])


def _has_codes(frame: pl.DataFrame, keys: Keys) -> bool:
    """Whether the keys are one or two codes, and all sums are there, of 64 bits."""
    are_codes = all(frame.schema[key] == pl.UInt32 for key in keys)
    sums = (dtype for name, dtype in frame.schema.items() if name not in keys)
    are_wide = all(dtype in (pl.Int64, pl.Float64) for dtype in sums)
    is_whole = not any(column.null_count() for column in frame)
    return 0 < len(keys) <= 2 and are_codes and are_wide and is_whole


def _order_of(codes: Packed) -> NDArray[np.intp]:
    """The places of codes in their order; those of equal ones stay one after another."""
    order = np.argsort(codes)
    ascending = codes[order]
    is_strict = bool((ascending[1:] != ascending[:-1]).all())
    return order if is_strict else np.argsort(codes, kind="stable")


def _packed(frame: pl.DataFrame, keys: Keys) -> Packed:
    first, *second = (frame[key].to_numpy().astype(np.uint64) for key in keys)
    return (first << BITS) | second[0] if second else first


def _unpacked(codes: Packed, n_keys: int) -> list[NDArray[np.uint32]]:
    of_key = [codes >> BITS, codes & MASK] if n_keys == 2 else [codes]
    return [one.astype(np.uint32) for one in of_key]


def _in_order(frame: pl.DataFrame, keys: Keys) -> bool:
    """Whether rows are seen to be sorted by their keys, which are codes: those of one partition are."""
    columns = [frame[key] for key in keys]
    if any(not _is_code(column) for column in columns):
        return False
    tied = np.ones(max(frame.height - 1, 0), dtype=bool)
    for column in columns:
        codes = column.to_numpy()
        if (codes[1:] < codes[:-1])[tied].any():
            return False
        tied &= codes[1:] == codes[:-1]
    return True


def _is_code(key: pl.Series) -> bool:
    return (key.dtype.is_integer() or key.dtype == pl.Boolean) and not key.null_count()


def collected(summary: Summary, engine: Engine = "auto") -> Merged:
    """A summary as frames in memory, its counts as 64-bit integers."""
    held, waiting = {}, {}
    for keys, frame in summary.items():
        if isinstance(frame, pl.DataFrame):
            held[keys] = frame
        else:
            waiting[keys] = frame.sort(keys) if keys and engine == "in-memory" else frame
    found = held | dict(zip(waiting, _collect([*waiting.values()], engine), strict=True))
    return {keys: _widened(found[keys], keys) for keys in summary}


def _collect(frames: Sequence[pl.LazyFrame], engine: Engine) -> list[pl.DataFrame]:
    """The frames, computed together if there are several."""
    if len(frames) == 1:
        return [frames[0].collect(engine=engine)]
    return pl.collect_all(frames, engine=engine) if frames else []


def _widened(frame: pl.DataFrame, keys: Keys) -> pl.DataFrame:
    """The frame with counts of 64 bits."""
    return pl.DataFrame([c if c.name in keys else _wide(c) for c in frame])


def _wide(sums: pl.Series) -> pl.Series:
    return sums.cast(pl.Int64) if sums.dtype.is_integer() else sums


def exact(values: pl.Expr) -> pl.Expr:
    """Scores of up to 1 rounded to multiples of 2^-36: sums of up to 100,000 of them are exact in any order,
    and so the same whatever thread of Polars adds up which."""
    return (values * GRID).round() * (1 / GRID)


def dense(frame: pl.DataFrame, key: str, value: str, size: int, missing: float = 0.0) -> Floats:
    """A column as an array over the codes of its key."""
    values = np.full(size, missing)
    values[frame[key].to_numpy()] = frame[value].to_numpy()
    return values
