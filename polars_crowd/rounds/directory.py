"""A directory of results: Parquet files per partition, each written whole, that a later run takes up.

    DIR/results.json              what this directory is; `complete` once a run has ended
    DIR/examples/part-0000.parquet, DIR/annotations/..., DIR/annotators.parquet
    DIR/.work/                    summaries and frames kept between rounds

A file of results carries the digest of all it was made of: the partition, the plan and its parameters.
A run that is started again makes only those whose digest is another.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from polars_crowd.errors import StoreError
from polars_crowd.rounds.cache import (
    Frames,
    Remembered,
    digest,
    params_digest,
    plan_digest,
    plan_name,
    read_frames,
    remove,
    write_whole,
)
from polars_crowd.rounds.tolerance import MadeWith, moved

MARK = "results.json"
FORMAT = 1
PLACES = "places"
"""What is known of a partition, whatever the parameters."""
CLOCK_STEP = 2.0
"""Seconds by which the clock of a file system may be behind."""
DIGEST = "polars_crowd_digest"


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
