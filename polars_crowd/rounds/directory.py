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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from polars_crowd.errors import StoreError
from polars_crowd.rounds.cache import (
    FITS,
    PLACES,
    SUMMARIES,
    Cache,
    Frames,
    digest,
    params_digest,
    plan_name,
)
from polars_crowd.rounds.files import write_whole
from polars_crowd.rounds.tolerance import MadeWith, moved

MARK = "results.json"
FORMAT = 1
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

    @property
    def summaries(self) -> Cache:
        return Cache(self.work / SUMMARIES)

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
        kind = digest(made_with.kind, [*map(plan_name, plans.values())])
        fits, own = Cache(self.work / FITS), f"{kind}-{params_digest(params)}"
        fits.write(own, made_with.frames())
        last = plan_name(summary) if summary else ""
        earlier = fits.names(f"{kind}-") if tolerance and last else []
        return Writer(
            into=self.path,
            summaries=self.summaries,
            fits=fits,
            plans={name: plan_name(plan) for name, plan in plans.items()},
            last=last,
            own=own,
            earlier=tuple(fit for fit in earlier if fit != own),
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
                _remove(place)

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


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


@dataclass(frozen=True)
class Writer:
    """Writes the tables of a partition, and keeps its last summary. Fits are named by kind and parameters."""

    into: Path
    summaries: Cache
    fits: Cache
    """What the tables are, or were, made with."""
    plans: Mapping[str, str]
    """The names of the tables' plans."""
    last: str
    """The name of the last summary's plan."""
    own: str
    """The fit that is written now."""
    earlier: tuple[str, ...]
    """Those before, of the same kind."""
    tolerance: float

    def good_enough(self, handle: Any) -> Frames | None:
        """The last summary of earlier tables that may stay, since their parameters hardly moved."""
        for fit in self.earlier:
            summary = self.summaries.read(self._summary(handle, fit))
            if summary is None or not self._has_tables(handle, fit):
                continue
            if self._moved_from(fit, summary.items()) <= self.tolerance:
                return summary
        return None

    def recall(self, handle: Any, make: Callable[[], Frames]) -> Frames:
        """The last summary, read if it is there, else made and written."""
        if not handle.fingerprint:
            return make()
        return self.summaries.recall(self._summary(handle, self.own), make)

    def write(
        self, handle: Any, table: str, make: Callable[[], pl.DataFrame | pl.LazyFrame]
    ) -> None:
        """Write a table, unless it is there."""
        if self._has(handle, table, self.own):
            return
        frame, metadata = make().lazy(), {DIGEST: self._digest(handle, table, self.own)}
        file = self._file(handle, table)
        write_whole(file, lambda path: frame.sink_parquet(path, metadata=metadata))

    def _moved_from(
        self, fit: str, summary: Iterable[tuple[tuple[str, ...], pl.DataFrame]]
    ) -> float:
        """How far the parameters of the annotators of a summary are from those of an earlier fit."""
        now, earlier = self.fits.read(self.own), self.fits.read(fit)
        if now is None or earlier is None:
            return float("inf")
        annotators = next(frame["annotator"] for keys, frame in summary if "annotator" in keys)
        return moved(now, earlier, annotators.unique())

    def _summary(self, handle: Any, fit: str) -> str:
        return f"{handle.fingerprint}-{digest(self.last, _params(fit))}"

    def _has_tables(self, handle: Any, fit: str) -> bool:
        return all(self._has(handle, table, fit) for table in self.plans)

    def _has(self, handle: Any, table: str, fit: str) -> bool:
        file = self._file(handle, table)
        if not handle.fingerprint or not file.exists():
            return False
        return _digest_in(file) == self._digest(handle, table, fit)

    def _digest(self, handle: Any, table: str, fit: str) -> str:
        return digest(handle.fingerprint, self.plans[table], _params(fit))

    def _file(self, handle: Any, table: str) -> Path:
        return self.into / table / f"{handle.name}.parquet"


def _params(fit: str) -> str:
    """The parameters of a fit."""
    return fit.partition("-")[-1]


def _digest_in(file: Path) -> str | None:
    try:
        return pl.read_parquet_metadata(file).get(DIGEST)
    except (OSError, pl.exceptions.PolarsError):
        return None
