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
import os
import pickle
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.errors import StoreError
from polars_crowd.mixing import Floats

MARK = "results.json"
FORMAT = 1
PLACES = "places"
"""What is known of a partition, whatever the parameters."""
CLOCK_STEP = 2.0
"""Seconds by which the clock of a file system may be behind."""
DIGEST = "polars_crowd_digest"
Frames = dict[tuple[str, ...], pl.DataFrame]


@dataclass(frozen=True)
class ResultDirectory:
    """Where results are written."""

    path: Path
    started: float

    @classmethod
    def open(cls, path: str | Path) -> ResultDirectory:
        """An empty or new directory, or one that holds results."""
        directory = cls(Path(path), time.time() - CLOCK_STEP)
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
        made_with: MadeWith,
        tolerance: float,
    ) -> Writer:
        """What writes the tables; the parameters they are made with are written down first."""
        for name in plans:
            (self.path / name).mkdir(exist_ok=True)
        own, kind = params_digest(params), digest(made_with.kind, [*map(plan_name, plans.values())])
        fits = self.work / "fits"
        made_with.write(fits / f"{kind}-{own}")
        earlier = [place for place in fits.glob(f"{kind}-*") if not place.name.endswith(own)]
        last = plan_name(summary) if summary else ""
        return Writer(
            self.work / "summaries",
            digest(last, own),
            into=self.path,
            plans={name: plan_name(plan) for name, plan in plans.items()},
            last=last,
            own=fits / f"{kind}-{own}",
            earlier=tuple(earlier) if tolerance and last else (),
            tolerance=tolerance,
        )

    def finish(self, tables: Sequence[str], handles: Sequence[Any]) -> None:
        """Remove files of partitions that are no more, and what this run did not use again."""
        parts = {handle.name for handle in handles}
        for table in tables:
            for file in (self.path / table).glob("*.parquet"):
                if file.stem not in parts:
                    file.unlink()
        self._mark(complete=True)
        present = {handle.fingerprint.partition("-")[0] for handle in handles}
        for place in self.work.glob("*/*"):
            of_present = place.parent.name == PLACES and place.name.partition("-")[0] in present
            if not of_present and place.stat().st_mtime < self.started:
                remove(place)

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
class MadeWith:
    """The parameters that tables are made with, to compare them with those of earlier tables."""

    kind: object = None
    """What has to be equal: options."""
    shared: Floats = field(default_factory=lambda: np.zeros(0))
    by_annotator: tuple[Floats, ...] = ()
    """Arrays over all annotators."""

    def write(self, place: Path) -> None:
        columns = {str(i): a for i, a in enumerate(self.by_annotator)}
        shared = pl.DataFrame({"value": self.shared})
        write_frames(place, {("shared",): shared, ("annotator",): pl.DataFrame(columns)})


def moved(now: Frames, earlier: Frames, annotators: pl.Series) -> float:
    """The largest difference of parameters, of the annotators only these."""
    of_shared, earlier_shared = now[("shared",)]["value"], earlier[("shared",)]["value"]
    here, there = (frames[("annotator",)] for frames in (now, earlier))
    if len(of_shared) != len(earlier_shared) or here.columns != there.columns:
        return float("inf")
    differences = [of_shared - earlier_shared]
    differences += [here[c].gather(annotators) - there[c].gather(annotators) for c in here.columns]
    return max((float(d.abs().max() or 0) for d in differences), default=0.0)  # type: ignore[arg-type]


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


@dataclass(frozen=True)
class Writer(Remembered):
    """Writes the tables of a partition, and remembers its last summary."""

    into: Path
    plans: Mapping[str, str]
    """The names of the tables' plans."""
    last: str
    """The name of the last summary's plan."""
    own: Path
    """Where it is written down what the tables are made with now."""
    earlier: tuple[Path, ...]
    tolerance: float

    def good_enough(self, handle: Any) -> Frames | None:
        """The last summary of earlier tables that may stay, since their parameters hardly moved."""
        for place in self.earlier:
            digest_then = place.name.split("-")[-1]
            summary = read_frames(self._summary_place(handle, digest_then))
            if summary is None or not self._has_tables(handle, digest_then):
                continue
            now, earlier = read_frames(self.own), read_frames(place)
            if now is None or earlier is None:
                continue
            annotators = next(
                frame["annotator"] for keys, frame in summary.items() if "annotator" in keys
            )
            if moved(now, earlier, annotators.unique()) <= self.tolerance:
                return summary
        return None

    def write(
        self, handle: Any, table: str, make: Callable[[], pl.DataFrame | pl.LazyFrame]
    ) -> None:
        """Write a table, unless it is there."""
        own = self.own.name.split("-")[-1]
        if self._has(handle, table, own):
            return
        frame, metadata = make().lazy(), {DIGEST: self._digest(handle, table, own)}
        file = self._file(handle, table)
        write_whole(file, lambda path: frame.sink_parquet(path, metadata=metadata))

    def _summary_place(self, handle: Any, params: str) -> Path:
        return self.directory / f"{handle.fingerprint}-{digest(self.last, params)}"

    def _has_tables(self, handle: Any, params: str) -> bool:
        return all(self._has(handle, table, params) for table in self.plans)

    def _has(self, handle: Any, table: str, params: str) -> bool:
        file = self._file(handle, table)
        if not handle.fingerprint or not file.exists():
            return False
        return _digest_in(file) == self._digest(handle, table, params)

    def _digest(self, handle: Any, table: str, params: str) -> str:
        return digest(handle.fingerprint, self.plans[table], params)

    def _file(self, handle: Any, table: str) -> Path:
        return self.into / table / f"{handle.name}.parquet"


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
