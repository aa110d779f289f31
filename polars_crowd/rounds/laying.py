"""Sums too large to be returned: laid where all workers see them, and added up there by ranges of keys.

Where annotators are many, the sums of a partition are a hundred megabytes. A worker writes them into a file
of the directory that frames are kept in, sorted by their keys, and returns where they are. Each worker then
adds up a range of the keys of all these files, partition after partition: each number is written and read
once, and the parent takes in one total. It is that of a run without executor to the last bit, however many
ranges there are and whoever adds them up.

A worker that does not see the directory returns its sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.rounds import lending
from polars_crowd.rounds.cache import KEPT, SUFFIX
from polars_crowd.rounds.executors import Named, in_order
from polars_crowd.rounds.lending import Lent, lend
from polars_crowd.rounds.summaries import Keys, Merged, Ordered, Packed, Sum

PILE = 1 << 31
"""Bytes of sums that lie in files before they are added up."""
RANGE = 1 << 26
"""About how many of these a task adds up; so few are added up here."""
MARKS = 64
"""Keys by which is known how the rows of a file are spread over them."""


@dataclass(frozen=True)
class Laid:
    """Sums in a file."""

    lent: Lent
    marks: Packed
    """Keys at equal distances."""

    @property
    def size(self) -> int:
        """In bytes."""
        return self.lent.ends[-1]

    def read(self) -> Ordered:
        """They are read as they are used."""
        (sums,) = self.lent.read()
        return sums  # type: ignore[no-any-return]


Returned = Mapping[Keys, pl.DataFrame | Laid]
"""A summary, some of whose frames may be in files."""


@dataclass(frozen=True)
class Ground:
    """Where the sums of a round are laid: files of a directory, the first of which says that it is seen."""

    first: Path
    large: int
    """Bytes of sums that are no longer returned."""

    def lay(self, summary: Merged) -> Returned:
        """A summary whose large frames are in files, if others can see them."""
        if not self.first.exists():
            return summary
        return {keys: self._laid_if_large(keys, frame) for keys, frame in summary.items()}

    def _laid_if_large(self, keys: Keys, frame: pl.DataFrame) -> pl.DataFrame | Laid:
        rows = Ordered.rows_of(frame, keys) if frame.estimated_size() >= self.large else None
        return frame if rows is None else self.put(rows)

    def put(self, rows: Ordered) -> Laid:
        """Lay down sums."""
        file = self.first.with_name(f"{self._stem}-{token_hex(8)}{SUFFIX}")
        step = max(len(rows.codes) // MARKS, 1)
        return Laid(lend(file, lending.pieces_of([rows])), rows.codes[::step].copy())

    def clear(self) -> None:
        """Remove all that lies here."""
        remove(self.first.parent.glob(f"{self._stem}*{SUFFIX}"))

    @property
    def _stem(self) -> str:
        return self.first.name.removesuffix(SUFFIX)


@contextmanager
def laying(executor: Any, parts: Sequence[Any]) -> Iterator[Ground | None]:
    """Where sums may be laid as long as the round; None where they are returned."""
    work = getattr(parts[0], "work", None) if len(parts) > 1 else None
    if executor is None or work is None or isinstance(executor, ThreadPoolExecutor):
        yield None
        return
    ground = Ground(work / KEPT / f"sums-{token_hex(8)}{SUFFIX}", lending.LARGE)
    lend(ground.first, [])
    try:
        yield ground
    finally:
        ground.clear()


def remove(files: Iterable[Path]) -> None:
    for file in files:
        with suppress(OSError):  # somebody has it open, on Windows
            file.unlink()


# --- what workers do -------------------------------------------------------------------------------


def lay(part: Named, ground: Ground, task: Callable[..., Merged], *args: Any) -> Returned:
    """A task that returns a summary, whose large frames are laid down."""
    return ground.lay(task(part, *args))


@dataclass(frozen=True)
class Range:
    """The keys from `first` up to `end`; None stands for no limit."""

    name: str
    first: np.uint64 | None
    end: np.uint64 | None

    def of(self, pile: Sequence[Laid]) -> Ordered:
        """The sum of what has these keys, in the order of the pile."""
        return Ordered.added([laid.read().between(self.first, self.end) for laid in pile])


def add_up(part: Range, ground: Ground, pile: Sequence[Laid]) -> Laid | None:
    """The sum of a range, laid down; None where the pile is not seen."""
    if not ground.first.exists():
        return None
    return ground.put(part.of(pile))


# --- what the parent does --------------------------------------------------------------------------


def merge_laid(ground: Ground, found: Iterable[Returned], executor: Any, n_parts: int) -> Merged:
    """The sum of summaries under their keys, sorted by them, as `summaries.merge` has it."""
    totals: dict[Keys, Total] = {}
    for summary in found:
        for keys, frame in summary.items():
            totals.setdefault(keys, Total(keys, ground, executor, n_parts)).add(frame)
    return {keys: total.frame() for keys, total in totals.items()}


@dataclass
class Total:
    """The sum of frames under their keys, some of which are in files: from the first of these on, all are."""

    keys: Keys
    ground: Ground
    executor: Any
    n_parts: int
    _here: Sum | None = None
    _pile: list[Laid] = field(default_factory=list)
    """In the order in which it is added up."""
    _limit: int = 0

    def add(self, found: pl.DataFrame | Laid) -> None:
        if isinstance(found, pl.DataFrame) and not self._pile:
            self._here = self._here or Sum(self.keys)
            self._here.add(found)
            return
        waiting = [found] if self._here is None else [self._here.frame(), found]
        laid = [one for one in map(self._laid, waiting) if one is not None]
        if len(laid) == len(waiting):
            self._here, self._pile = None, self._pile + laid
        else:
            self._take_back(waiting)
        if self._size > max(PILE, self._limit):
            self._add_up()
            self._limit = 2 * self._size

    def frame(self) -> pl.DataFrame:
        """The sum, sorted by its keys."""
        if self._here is not None:
            return self._here.frame()
        if self._size <= RANGE:
            return Ordered.added([laid.read() for laid in self._pile]).into_frame()
        self._add_up()
        return Ordered.joined([laid.read() for laid in self._pile]).into_frame()

    @property
    def _size(self) -> int:
        return sum(laid.size for laid in self._pile)

    def _laid(self, found: pl.DataFrame | Laid) -> Laid | None:
        if isinstance(found, Laid):
            return found
        rows = Ordered.rows_of(found, self.keys)
        return None if rows is None else self.ground.put(rows)

    def _take_back(self, waiting: Iterable[pl.DataFrame | Laid]) -> None:
        """Add up here what cannot all be laid, since keys or sums are missing."""
        self._here = Sum(self.keys)
        for one in (*self._pile, *waiting):
            self._here.add(one.read().into_frame() if isinstance(one, Laid) else one)
        self._pile = []

    def _add_up(self) -> None:
        """The pile as one sum for each range of keys."""
        ranges = ranges_of(self._pile)
        args = self.ground, self._pile
        found = in_order(self.executor, add_up, ranges, args, n_parts=self.n_parts)
        added = [
            laid or self.ground.put(part.of(self._pile))
            for part, laid in zip(ranges, found, strict=True)
        ]
        remove(laid.lent.path for laid in self._pile)
        self._pile = added


def ranges_of(pile: Sequence[Laid]) -> list[Range]:
    """Ranges of keys with about as many rows each."""
    n = ceil(sum(laid.size for laid in pile) / RANGE)
    marks = np.unique(np.concatenate([laid.marks for laid in pile]))
    ends = [marks[i * len(marks) // n] for i in range(1, n)]
    limits = zip([None, *ends], [*ends, None], strict=True)
    return [Range(f"range-{i:04d} of the sums", *of) for i, of in enumerate(limits)]
