"""A directory of results: Parquet files per partition, each written whole, that a later run takes up.

    DIR/results.json              what this directory holds (see `contents`); `complete` once a run has ended
    DIR/examples/part-0000.parquet, DIR/annotations/..., DIR/annotators.parquet
    DIR/.work/                    summaries and frames kept between rounds

A file of results carries the digest of all it was made of: the partition, the plan and its parameters.
A run that is started again makes only those whose digest is another.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from polars_crowd.errors import Advice, StoreError
from polars_crowd.rounds import contents
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
from polars_crowd.rounds.contents import MARK, Contents
from polars_crowd.rounds.files import write_whole
from polars_crowd.rounds.tolerance import MadeWith, moved
from polars_crowd.rounds.writing import Table, as_lazy, kind_of

CLOCK_STEP = 2.0
"""Seconds by which the clock of a file system may be behind."""
DIGEST = "polars_crowd_digest"


@dataclass(frozen=True)
class ResultDirectory:
    """Where results are written."""

    path: Path
    started: float
    begun: list[bool] = field(default_factory=list, compare=False)
    """Not empty once this run has begun to write tables."""

    @classmethod
    def open(cls, path: str | Path) -> ResultDirectory:
        """An empty or new directory, or one that holds results of a run."""
        directory = cls(Path(path).absolute(), time.time() - CLOCK_STEP)
        if directory.path.exists() and not directory.path.is_dir():
            raise NotADirectoryError(f"{path} is a file; give a directory for the results.")
        found = contents.read_contents(directory.path)
        if found is None and directory.path.exists() and not _is_empty(directory.path):
            raise FileExistsError(
                f"{path} holds files that are no results of this library. Give a new or an empty "
                "directory, or one with earlier results."
            )
        if found is not None and found["by"] != "into":
            raise FileExistsError(
                f"{path} holds results that were written by .write. Give another directory."
            )
        directory.path.mkdir(parents=True, exist_ok=True)
        if found is None:
            contents.write_contents(directory.path, contents.blank("into"))
        directory.work.mkdir(exist_ok=True)
        return directory

    def claim(self, method: str) -> None:
        """Say whose results these will be. Those of an earlier run stay as they are until tables are written.

        Raises
        ------
        FileExistsError
            They are another method's.
        """
        found = self._contents()
        if found["method"] not in (None, method):
            raise FileExistsError(
                f"{self.path} holds the results of {found['method']}, and this is {method}. Give another "
                "directory: two methods in one would leave tables of both."
            )
        self._write({**found, "method": method})

    def begin(self) -> None:
        """Say that tables are written now. Those of an earlier run are listed apart until this one ends."""
        if self.begun:
            return
        self.begun.append(True)
        found = self._contents()
        earlier = {**found.get("earlier", {}), **found["tables"]}
        self._write({**contents.blank("into"), "method": found["method"], "earlier": earlier})

    def complete(self, **about: Any) -> None:
        """Say that the run has ended, and remove the tables of earlier ones that it did not write again."""
        found = self._contents()
        earlier = found.pop("earlier", {})
        contents.remove_tables(
            self.path, {k: v for k, v in earlier.items() if k not in found["tables"]}
        )
        self._write({**found, **about, "complete": True})

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
        self.begin()
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
        names = sorted(handle.name for handle in handles)
        for table in tables:
            self._remove_others(table, names)
            self._list(
                table, contents.stored("lazy", [f"{table}/{name}.parquet" for name in names])
            )
        present = {handle.fingerprint.partition("-")[0] for handle in handles}
        for place in self.work.glob("*/*"):
            of_present = place.parent.name == PLACES and place.name.partition("-")[0] in present
            if not of_present and place.stat().st_mtime < self.started:
                _remove(place)

    def save(self, name: str, table: Table) -> None:
        """Write a table of the annotators' size; those of the log's are written as they are made."""
        if table is None:
            self._list(name, None)
        elif not isinstance(table, pl.LazyFrame):
            file = f"{name}.parquet"
            write_whole(self.path / file, as_lazy(table).collect().write_parquet)
            self._list(name, contents.stored(kind_of(table), [file]))

    def scan(self, table: str) -> pl.LazyFrame:
        there = self._contents()["tables"]
        if table not in there:
            raise StoreError(
                f"{self.path} has no {table} any more: it was moved, or written anew.",
                Advice("Open the results where they are", python="pc.open_results(directory)"),
            )
        files = contents.files_in(self.path, {table: there[table]})
        return pl.scan_parquet(files, glob=False)

    def _remove_others(self, table: str, names: Sequence[str]) -> None:
        """Remove what this library wrote of partitions that are no more."""
        folder = self.path / table
        if not folder.is_symlink():
            for file in folder.glob("part-*.parquet"):
                if file.stem not in names and _digest_in(file) is not None:
                    file.unlink()

    def _contents(self) -> Contents:
        return contents.read_contents(self.path) or contents.blank("into")

    def _list(self, name: str, table: Mapping[str, Any] | None) -> None:
        found = self._contents()
        self._write({**found, "tables": {**found["tables"], name: table}})

    def _write(self, found: Contents) -> None:
        contents.write_contents(self.path, found)


def _is_empty(directory: Path) -> bool:
    """Whether nothing is in it but what a run left that was stopped as it began."""
    return all(place.name.startswith(f".{MARK}.") for place in directory.iterdir())


class WorkDirectory:
    """A directory for frames kept between rounds, removed when nobody refers to it any more."""

    def __init__(self) -> None:
        self.work = Path(tempfile.mkdtemp(prefix="polars-crowd-"))
        self._remove_at_the_end()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy makes the directory anew if it has to, and removes it too."""
        self.__dict__.update(state)
        self._remove_at_the_end()

    def _remove_at_the_end(self) -> None:
        weakref.finalize(self, shutil.rmtree, self.work, ignore_errors=True)


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
