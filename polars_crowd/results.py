"""A directory of results: Parquet files per partition, each written whole, that a later run takes up.

    DIR/results.json              what this directory is; `complete` once a run has ended
    DIR/examples/part-0000.parquet, DIR/annotations/..., DIR/annotators.parquet
    DIR/.work/                    summaries and frames kept between rounds

A file of results carries the digest of all it was made of: the partition, the plan and its parameters.
A run that is started again makes only those whose digest is another.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from typing import Any

import polars as pl

from polars_crowd.errors import StoreError

MARK = "results.json"
FORMAT = 1
DIGEST = "polars_crowd_digest"
Frames = dict[tuple[str, ...], pl.DataFrame]


@dataclass(frozen=True)
class ResultDirectory:
    """Where results are written."""

    path: Path

    @classmethod
    def open(cls, path: str | Path) -> ResultDirectory:
        """An empty or new directory, or one that holds results."""
        directory = cls(Path(path))
        mark = directory.path / MARK
        if directory.path.exists() and not directory.path.is_dir():
            raise NotADirectoryError(f"{path} is a file; give a directory for the results.")
        if not mark.exists() and directory.path.exists() and any(directory.path.iterdir()):
            raise FileExistsError(
                f"{path} holds files that are no results of this library. Give a new or an empty "
                "directory, or one with earlier results."
            )
        if mark.exists():
            _check_format(mark)
        directory.work.mkdir(parents=True, exist_ok=True)
        directory._mark(complete=False)
        return directory

    @property
    def work(self) -> Path:
        return self.path / ".work"

    def remembered(self, plan: Callable[..., Any], params: Sequence[Any]) -> Remembered:
        return Remembered(self.work / "summaries", plan_digest(plan, params))

    def writer(
        self,
        plans: Mapping[str, Callable[..., Any]],
        params: Sequence[Any],
        summary: Callable[..., Any] | None,
    ) -> Writer:
        of_summary = plan_digest(summary, params) if summary else ""
        digests = {name: plan_digest(plan, params) for name, plan in plans.items()}
        for name in plans:
            (self.path / name).mkdir(exist_ok=True)
        return Writer(self.work / "summaries", of_summary, self.path, digests)

    def finish(self, tables: Sequence[str], parts: Sequence[str]) -> None:
        """Remove files of partitions that are no more."""
        for table in tables:
            for file in (self.path / table).glob("*.parquet"):
                if file.stem not in parts:
                    file.unlink()
        self._mark(complete=True)

    def save(self, name: str, frame: pl.DataFrame) -> None:
        write_whole(self.path / f"{name}.parquet", frame.write_parquet)

    def scan(self, table: str) -> pl.LazyFrame:
        return pl.scan_parquet(self.path / table / "*.parquet")

    def _mark(self, *, complete: bool) -> None:
        about = {"format": FORMAT, "polars_crowd": version("polars_crowd"), "complete": complete}
        text = json.dumps(about, indent=1)
        write_whole(self.path / MARK, lambda path: path.write_text(text))


class WorkDirectory:
    """A directory for frames kept between rounds, removed when nobody refers to it any more."""

    def __init__(self) -> None:
        self.work = Path(tempfile.mkdtemp(prefix="polars-crowd-"))
        weakref.finalize(self, shutil.rmtree, self.work, ignore_errors=True)


def _check_format(mark: Path) -> None:
    try:
        found = json.loads(mark.read_text())["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{mark} cannot be read: {error}. Remove the directory and run again."
        ) from error
    if found > FORMAT:
        raise StoreError(
            f"{mark}: the results are of format {found}, this version knows up to {FORMAT}. "
            "Update polars_crowd, or choose another directory."
        )


@dataclass(frozen=True)
class Remembered:
    """Summaries of partitions that were made before, by what they were made of."""

    directory: Path
    digest: str

    def recall(self, handle: Any, make: Callable[[], Frames]) -> Frames:
        """The summary of a partition, read if it is there, else made and written."""
        place = self.directory / f"{handle.fingerprint or handle.name}-{self.digest}"
        if place.is_dir() and handle.fingerprint:
            with suppress(OSError, pl.exceptions.PolarsError):
                return _read_frames(place)
        found = make()
        if handle.fingerprint:
            _write_frames(place, found)
        return found


def _read_frames(place: Path) -> Frames:
    names = json.loads((place / "keys.json").read_text())
    return {tuple(keys): pl.read_ipc(place / f"{i}.arrow") for i, keys in enumerate(names)}


def _write_frames(place: Path, frames: Frames) -> None:
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


@dataclass(frozen=True)
class Writer(Remembered):
    """Writes the tables of a partition, and remembers its last summary."""

    into: Path
    digests: Mapping[str, str]

    def write(
        self, handle: Any, table: str, make: Callable[[], pl.DataFrame | pl.LazyFrame]
    ) -> None:
        file = self.into / table / f"{handle.name}.parquet"
        digest = f"{handle.fingerprint}-{self.digests[table]}"
        if handle.fingerprint and file.exists() and _digest_in(file) == digest:
            return
        frame = make().lazy()
        write_whole(file, lambda path: frame.sink_parquet(path, metadata={DIGEST: digest}))


def _digest_in(file: Path) -> str | None:
    try:
        return pl.read_parquet_metadata(file).get(DIGEST)
    except (OSError, pl.exceptions.PolarsError):
        return None


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
    """A short name for parameters: equal parameters have equal names."""
    return hashlib.sha256(pickle.dumps(parts, protocol=4)).hexdigest()[:20]


def plan_digest(plan: Callable[..., Any], params: Iterable[Any]) -> str:
    """A name for a plan with its parameters."""
    return digest(version("polars_crowd"), plan.__module__, plan.__qualname__, tuple(params))
