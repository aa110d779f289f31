"""Frames kept by name in a directory, between rounds and between runs. A name says all that made them.

A file of frames is there as a whole or not at all, and begins with the digest of what is in it: one that is
damaged is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl

import polars_crowd
from polars_crowd.rounds.digests import is_sealed, write_sealed
from polars_crowd.rounds.files import write_whole

Frames = dict[tuple[str, ...], pl.DataFrame]

KEPT = "kept"
"""The directory of frames kept between the rounds of a run."""
SUMMARIES = "summaries"
"""... of summaries of partitions and of all of them."""
PLACES = "places"
"""... of what is known of a partition, whatever the parameters."""
FITS = "fits"
"""... of the parameters that tables were made with."""
WRITTEN = "written"
"""... of the checksums of tables that were written."""
SUFFIX = ".frames"
KEYS = "keys.json"


@dataclass(frozen=True)
class Cache:
    """A directory of frames by name."""

    directory: Path

    def recall(self, name: str, make: Callable[[], Frames]) -> Frames:
        """The frames of this name, read if they are there, else made and written."""
        frames = self.read(name)
        if frames is None:
            frames = make()
            self.write(name, frames)
        return frames

    def recall_all(self, names: Sequence[str], of: str, make: Callable[[], Frames]) -> Frames:
        """What is made of all these: the very same numbers when a run is taken up."""
        for name in names:  # in use, though nobody reads them now
            self._use(name)
        return self.recall(f"{digest(*names)}-{of}", make)

    def read(self, name: str) -> Frames | None:
        """The frames that were written under a name, if they were and can be read."""
        if not is_sealed(self._file(name)):
            return None
        with zipfile.ZipFile(self._file(name)) as kept:
            keys = json.loads(kept.read(KEYS))
            self._use(name)
            return {tuple(key): pl.read_ipc(kept.read(str(i))) for i, key in enumerate(keys)}

    def write(self, name: str, frames: Mapping[tuple[str, ...], pl.DataFrame]) -> None:
        """Keep frames under a name."""

        def write(unfinished: BinaryIO) -> None:
            with zipfile.ZipFile(unfinished, "w") as kept:
                kept.writestr(KEYS, json.dumps([list(keys) for keys in frames]))
                for i, frame in enumerate(frames.values()):
                    with kept.open(str(i), "w", force_zip64=True) as file:
                        frame.write_ipc(file, compression="lz4")

        write_whole(self._file(name), lambda path: write_sealed(path, write), sync=False)

    def names(self, prefix: str) -> list[str]:
        """The names that begin so."""
        files = self.directory.glob(f"{prefix}*{SUFFIX}")
        return sorted(file.name.removesuffix(SUFFIX) for file in files)

    def _use(self, name: str) -> None:
        with suppress(OSError):
            os.utime(self._file(name))

    def _file(self, name: str) -> Path:
        return self.directory / f"{name}{SUFFIX}"


def remove_kept(work: Path, started: float, present: Collection[str]) -> None:
    """Remove the frames that a run has not used, but for what is known of partitions that are `present`."""
    for kind in (KEPT, SUMMARIES, PLACES, FITS, WRITTEN):
        folder = work / kind
        if work.is_symlink() or folder.is_symlink() or not folder.is_dir():
            continue
        for file in folder.iterdir():
            of_present = kind == PLACES and file.name.partition("-")[0] in present
            with suppress(OSError):  # somebody else did
                if not of_present and _is_kept(file) and file.stat().st_mtime < started:
                    file.unlink()


def _is_kept(file: Path) -> bool:
    """Whether a file is one of frames, or was to be."""
    return re.fullmatch(rf".+{re.escape(SUFFIX)}(\.[0-9a-f]{{8}})?", file.name) is not None


def digest(*parts: object) -> str:
    """A short name for parameters: equal parameters have equal names.

    >>> digest(1, np.zeros(2)) == digest(1, np.zeros(2)) != digest(1, np.ones(2))
    True
    """
    hashed = hashlib.blake2b(digest_size=10)
    for piece in _pieces(parts):
        hashed.update(piece)
    return hashed.hexdigest()


def _pieces(part: object) -> Iterator[bytes]:
    """A parameter as bytes, the same for equal ones (a pickle tells shared objects from equal ones)."""
    if isinstance(part, np.ndarray):
        yield f"array {part.dtype} {part.shape} ".encode()
        yield np.ascontiguousarray(part).tobytes()
    elif isinstance(part, (pl.Series, pl.DataFrame)):
        frame = part.to_frame() if isinstance(part, pl.Series) else part
        yield f"frame {frame.schema} ".encode()
        yield from (str(frame[c].to_list()).encode() for c in frame.columns)
    elif is_dataclass(part) and not isinstance(part, type):
        yield f"{type(part).__qualname__} ".encode()
        yield from _pieces([getattr(part, own.name) for own in fields(part) if own.init])
    elif isinstance(part, (list, tuple)):
        yield f"list {len(part)} ".encode()
        yield from (piece for item in part for piece in _pieces(item))
    elif isinstance(part, Mapping):
        yield from _pieces(list(part.items()))
    elif callable(part) and hasattr(part, "__qualname__"):
        yield f"function {part.__module__}.{part.__qualname__} ".encode()
    elif part is None or isinstance(part, (str, bytes, int, float, complex, np.generic)):
        yield f"{type(part).__name__} {part!r} ".encode()
    else:
        yield pickle.dumps(part, protocol=4)


def params_digest(params: Iterable[Any]) -> str:
    """A name for parameters, and the version that works with them."""
    return digest(polars_crowd.__version__, tuple(params))


def plan_digest(plan: Callable[..., Any], params: Iterable[Any]) -> str:
    """A name for a plan with its parameters."""
    return digest(plan_name(plan), params_digest(params))


def plan_name(plan: Callable[..., Any]) -> str:
    return f"{plan.__module__}.{plan.__qualname__}"
