"""Parameters too large to be sent with every partition: written once in a round, and read where they are.

A matrix of each of a million annotators is hundreds of megabytes. Workers map the file into memory: those of
a machine share it, and nothing of it is left with them. A worker that does not see the directory says so, and
is sent the parameters.
"""

from __future__ import annotations

import mmap
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from pathlib import Path
from secrets import token_hex
from typing import Any

from polars_crowd.rounds.cache import KEPT, SUFFIX
from polars_crowd.rounds.files import write_whole

LARGE = 1 << 20
"""Bytes of parameters that are no longer sent."""
ALIGNED = 64


class Lost(Enum):
    """What a worker says that does not see the parameters."""

    PARAMETERS = "parameters"


@dataclass(frozen=True)
class Lent:
    """Parameters in a file: a pickle, then the arrays that it refers to."""

    path: Path
    ends: tuple[int, ...]
    """Where the pickle and the arrays end, before they are aligned."""

    def read(self) -> tuple[Any, ...]:
        """They are read as they are used; who changes them changes a copy."""
        with self.path.open("rb") as file:
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
        starts = [0, *map(_aligned, self.ends)]
        pickled, *arrays = (mapped[a:b] for a, b in zip(starts, self.ends, strict=False))
        found: tuple[Any, ...] = pickle.loads(pickled, buffers=arrays)
        return found


@contextmanager
def lending(executor: Any, parts: Sequence[Any], args: Sequence[Any]) -> Iterator[Lent | None]:
    """The parameters of a round in a file that is there as long as the round; None where they can be sent."""
    work = getattr(parts[0], "work", None) if len(parts) > 1 else None
    if work is None or isinstance(executor, ThreadPoolExecutor):
        yield None
        return
    pieces = pieces_of(args)
    if sum(map(len, pieces)) < LARGE:
        yield None
        return
    path = work / KEPT / f"parameters-{token_hex(8)}{SUFFIX}"
    lent = lend(path, pieces)
    try:
        yield lent
    finally:
        with suppress(OSError):
            path.unlink()


def pieces_of(args: Sequence[Any]) -> list[memoryview]:
    """The pickle and its arrays; nothing if there is none, as the executor will say."""
    arrays: list[pickle.PickleBuffer] = []
    try:
        pickled = pickle.dumps(tuple(args), protocol=5, buffer_callback=arrays.append)
    except Exception:
        return []
    return [memoryview(pickled), *(array.raw() for array in arrays)]


def lend(path: Path, pieces: Sequence[memoryview]) -> Lent:
    """Write them into a file."""
    ends = tuple(accumulate(map(len, pieces), lambda end, more: _aligned(end) + more))
    write_whole(path, lambda unfinished: _write(unfinished, pieces), sync=False)
    return Lent(path, ends)


def _write(path: Path, pieces: Sequence[memoryview]) -> None:
    with path.open("wb") as file:
        for piece in pieces:
            file.seek(_aligned(file.tell()))
            file.write(piece)


def _aligned(place: int) -> int:
    return -(-place // ALIGNED) * ALIGNED
