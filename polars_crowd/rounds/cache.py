"""Frames kept by name in a directory, between rounds and between runs. A name is a digest of what made them.

A frame that cannot be read is made anew. What is written is there as a whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.errors import StoreError

Frames = dict[tuple[str, ...], pl.DataFrame]


@dataclass(frozen=True)
class Remembered:
    """Summaries of partitions that were made before, by what they were made of."""

    directory: Path
    digest: str

    def recall(self, handle: Any, make: Callable[[], Frames]) -> Frames:
        """The summary of a partition, read if it is there, else made and written."""
        if not handle.fingerprint:
            return make()
        return self._recall(self.place(handle.fingerprint), make)

    def recall_all(self, fingerprints: Sequence[str], make: Callable[[], Frames]) -> Frames:
        """The merged summaries of all partitions: the very same numbers when a run is taken up."""
        if not all(fingerprints):
            return make()
        for fingerprint in fingerprints:  # in use, though nobody reads them now
            with suppress(OSError):
                os.utime(self.place(fingerprint))
        return self._recall(self.place(digest(*fingerprints)), make)

    def place(self, fingerprint: str) -> Path:
        return self.directory / f"{fingerprint}-{self.digest}"

    @staticmethod
    def _recall(place: Path, make: Callable[[], Frames]) -> Frames:
        frames = read_frames(place)
        if frames is None:
            frames = make()
            write_frames(place, frames)
        return frames


def read_frames(place: Path) -> Frames | None:
    """The frames that were written there, if they were and can be read."""
    with suppress(OSError, pl.exceptions.PolarsError, ValueError):
        names = json.loads((place / "keys.json").read_text())
        os.utime(place)  # in use
        return {tuple(keys): pl.read_ipc(place / f"{i}.arrow") for i, keys in enumerate(names)}
    return None


def write_frames(place: Path, frames: Mapping[tuple[str, ...], pl.DataFrame]) -> None:
    """Frames as a directory, there as a whole or not at all."""
    unfinished = place.with_name(f".{place.name}.{token_hex(4)}")
    unfinished.mkdir(parents=True)
    try:
        for i, frame in enumerate(frames.values()):
            frame.write_ipc(unfinished / f"{i}.arrow")
        (unfinished / "keys.json").write_text(json.dumps([list(keys) for keys in frames]))
        shutil.rmtree(place, ignore_errors=True)
        unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Write beside the file, then give it its name; nothing half-written is left.

    Raises
    ------
    StoreError
        It cannot be written: the disk is full, or the directory may not be written to.
    """
    unfinished = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        write(unfinished)
        unfinished.replace(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        if isinstance(error, OSError) or "os error" in str(error):
            raise StoreError(f"cannot write {path}: {error}") from error
        raise
    finally:
        unfinished.unlink(missing_ok=True)


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
    return digest(version("polars_crowd"), tuple(params))


def plan_digest(plan: Callable[..., Any], params: Iterable[Any]) -> str:
    """A name for a plan with its parameters."""
    return digest(plan_name(plan), params_digest(params))


def plan_name(plan: Callable[..., Any]) -> str:
    return f"{plan.__module__}.{plan.__qualname__}"


def remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)
