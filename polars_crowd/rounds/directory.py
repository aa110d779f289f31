"""A directory of results: Parquet files per partition, each written whole, that a later run takes up.

    DIR/results.json              what the directory holds (see `contents`), of the last run that ended
    DIR/generation-0001-1a2b3c4d/ its tables: examples/part-0000.parquet, annotations/..., annotators.parquet
    DIR/.work/                    summaries and frames kept between rounds

A file of results carries the digest of all it was made of: the partition, the plan and its parameters.
A run that is started again makes only those whose digest is another.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from polars_crowd.calls import at_its_end
from polars_crowd.errors import Advice, StoreError
from polars_crowd.rounds import contents
from polars_crowd.rounds.cache import (
    FITS,
    SUMMARIES,
    WRITTEN,
    Cache,
    Frames,
    digest,
    params_digest,
    plan_name,
    remove_kept,
)
from polars_crowd.rounds.contents import Contents
from polars_crowd.rounds.digests import checksum, known_checksum
from polars_crowd.rounds.files import (
    abandoned,
    bring_names_to_disk,
    place_of,
    refusing,
    write_whole,
)
from polars_crowd.rounds.generations import (
    DIGEST,
    LOCK,
    generations_in,
    held,
    new_generation,
    remove_ours,
    remove_unused,
    scan_held,
)
from polars_crowd.rounds.locks import WRITER, Hold, Lock, lock_to_write, writing
from polars_crowd.rounds.tolerance import MadeWith, moved
from polars_crowd.rounds.writing import Table, as_lazy, kind_of

WORK = ".work"
CLOCK_STEP = 2.0
"""Seconds by which the clock of a file system may be behind."""


class ResultDirectory:
    """Where a run writes its results: a generation of its own, which replaces the earlier one at its end.

    Nobody else writes into the directory until the run has ended; who reads it finds the earlier generation.
    """

    def __init__(self, path: Path, lock: Lock) -> None:
        self.path = path
        self.started = time.time() - CLOCK_STEP
        self.method: str | None = None
        self.tables: dict[str, Any] = {}
        """As they are listed."""
        self.generation: Path | None = None
        """The directory of this run's tables, once it has begun to write them."""
        self._earlier: tuple[Path, ...] = ()
        """Where tables of earlier runs are, which may be taken over."""
        self._hold: Hold | None = None
        self._lock: Lock | None = lock

    def __getstate__(self) -> dict[str, Any]:
        """A copy reads what the run has written."""
        return {**self.__dict__, "_lock": None}

    @classmethod
    def open(cls, path: str | Path) -> ResultDirectory:
        """An empty or new directory, or one that holds results of a run; until the end of the call nobody
        else can write into it."""
        place = place_of(path)
        _check(place)
        made = not os.path.exists(place)
        with refusing(place):
            place.mkdir(parents=True, exist_ok=True)
        lock = lock_to_write(place / LOCK, place)
        at_its_end(partial(_leave, place, lock, made))
        _check(place)  # another run may have ended meanwhile
        return cls(place, lock)

    def claim(self, method: str) -> None:
        """Say whose results these will be.

        Raises
        ------
        FileExistsError
            Those that are there are another method's.
        """
        found = self._contents()["method"]
        if found not in (None, method):
            raise FileExistsError(
                f"{self.path} holds the results of {found}, and this is {method}. Give another "
                "directory: in one directory a method replaces its own results only."
            )
        self.method = method

    def begin(self) -> Path:
        """The generation of this run."""
        if self.generation is None:
            there = self._contents().get("generation")
            latest = self.path / there if there else self.path
            self._earlier = tuple(dict.fromkeys((latest, *generations_in(self.path))))
            self.generation = new_generation(self.path)
            self._hold = held(self.generation)
        return self.generation

    def complete(self, **about: Any) -> None:
        """Put the results in the place of the earlier ones, and remove those that nobody reads.

        Raises
        ------
        StoreError
            Somebody removed the lock while the run was at work.
        """
        generation, lock = self.begin(), self._lock
        if lock is None or not lock.is_held:
            raise StoreError(
                f"{self.path}: somebody removed the lock of this run, so another may be writing there. Its "
                "results were not put in place.",
                "Run it again.",
            )
        earlier = self._contents()
        folders = {generation, *((self.path / file).parent for file in self._files())}
        for folder in folders:
            with refusing(folder):
                bring_names_to_disk(folder)
        found = {**contents.blank("into"), "method": self.method, "generation": generation.name}
        contents.write_contents(
            self.path, {**found, "tables": self.tables, **about, "complete": True}
        )
        self._remove(earlier)
        self._lock = None
        lock.release()

    @property
    def work(self) -> Path:
        return self.path / WORK

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
        """What writes the tables; the parameters they are made with are written down first.

        Raises
        ------
        StoreError
            They are asked for after the run, and a later one has removed its generation.
        """
        generation = self.begin()
        if not generation.is_dir():
            raise self._gone(" and ".join(plans))
        kind = digest(made_with.kind, [*map(plan_name, plans.values())])
        fits, own = Cache(self.work / FITS), f"{kind}-{params_digest(params)}"
        fits.write(own, made_with.frames())
        last = plan_name(summary) if summary else ""
        earlier = fits.names(f"{kind}-") if tolerance and last else []
        return Writer(
            into=generation,
            others=self._earlier,
            summaries=self.summaries,
            written=Cache(self.work / WRITTEN),
            fits=fits,
            plans={name: plan_name(plan) for name, plan in plans.items()},
            last=last,
            own=own,
            earlier=tuple(fit for fit in earlier if fit != own),
            tolerance=tolerance,
        )

    def finish(self, tables: Sequence[str], handles: Sequence[Any]) -> None:
        """List the files of tables, and remove what this run did not use again."""
        names = sorted(handle.name for handle in handles)
        for table in tables:
            self._list(table, "lazy", [f"{table}/{name}.parquet" for name in names])
        if self._lock is None:
            self._list_late()
        else:
            present = {handle.fingerprint.partition("-")[0] for handle in handles}
            remove_kept(self.work, self.started, present)

    def save(self, name: str, table: Table) -> None:
        """Write a table of the annotators' size; those of the log's are written as they are made."""
        if table is None:
            self.tables[name] = None
        elif not isinstance(table, pl.LazyFrame):
            generation, frame = self.begin(), as_lazy(table).collect()
            metadata = {DIGEST: generation.name}
            write_whole(
                generation / f"{name}.parquet",
                lambda path: frame.write_parquet(path, metadata=metadata),
            )
            self._list(name, kind_of(table), [f"{name}.parquet"])

    def scan(self, table: str) -> pl.LazyFrame:
        """A table of this run, whatever later runs write."""
        listed = self.tables.get(table)
        files = contents.files_in(self.path, {table: listed})
        if listed is None or not all(file.is_file() for file in files):
            raise self._gone(table)
        return scan_held(contents.files_as_written(self.path, table, listed), self._hold)

    def _gone(self, table: str) -> StoreError:
        return StoreError(
            f"{self.path} has no {table} any more: it was moved, or written anew.",
            Advice("Open the results where they are", python="pc.open_results(directory)"),
        )

    def _contents(self) -> Contents:
        return contents.read_contents(self.path) or contents.blank("into")

    def _files(self) -> list[str]:
        return [file for table in self.tables.values() if table for file in table["files"]]

    def _list(self, table: str, kind: str, files: Sequence[str]) -> None:
        place = self.begin()
        digests = [known_checksum(place / file) for file in files]
        names = [f"{place.name}/{file}" for file in files]
        self.tables[table] = contents.stored(kind, names, digests=digests)

    def _list_late(self) -> None:
        """List tables that were asked for after the run, if its results are still the last and nobody writes:
        else they are there for this fit alone."""
        with suppress(StoreError), writing(self.path / LOCK, self.path):
            found = contents.read_contents(self.path)
            if found is not None and found.get("generation") == self.begin().name:
                tables = {**found["tables"], **self.tables}
                contents.write_contents(self.path, {**found, "tables": tables})

    def _remove(self, earlier: Contents) -> None:
        """Remove earlier results that nobody reads, and what was left by runs that were killed."""
        if "generation" not in earlier:  # of a version that wrote them beside results.json
            contents.remove_tables(self.path, {**earlier.get("earlier", {}), **earlier["tables"]})
        for generation in generations_in(self.path):
            if generation != self.generation:
                with suppress(OSError):
                    remove_unused(generation)
        remove_ours(abandoned(self.path / contents.MARK))


def _check(place: Path) -> None:
    """Results of a run can be written into a directory: nothing else is in it."""
    if os.path.lexists(place) and not os.path.isdir(place):
        what = "a file" if os.path.exists(place) else "a link that leads nowhere"
        raise NotADirectoryError(f"{place} is {what}; give a directory for the results.")
    found = contents.read_contents(place)
    if found is None and not _is_empty(place):
        raise FileExistsError(
            f"{place} holds files that are no results of this library. Give a new or an empty "
            "directory, or one with earlier results."
        )
    if found is not None and found["by"] != "into":
        raise FileExistsError(
            f"{place} holds results that were written by .write. Give another directory."
        )


def _is_empty(place: Path) -> bool:
    """Whether nothing is in it but what runs left that were stopped before they had results."""
    if not os.path.isdir(place):
        return True
    with refusing(place):
        left = {file.name for file in (*abandoned(place / contents.MARK), *generations_in(place))}
        left |= {LOCK, f"{LOCK}{WRITER}", WORK}
        return all(there.name in left for there in place.iterdir())


def _leave(place: Path, lock: Lock, made: bool) -> None:
    """The end of a call: others may write, and a directory that was made for nothing goes."""
    lock.release()
    if made:
        with suppress(OSError):  # there is something in it
            place.rmdir()


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


@dataclass(frozen=True)
class Writer:
    """Writes the tables of a partition, and keeps its last summary. Fits are named by kind and parameters."""

    into: Path
    others: tuple[Path, ...]
    """Where tables of earlier runs are, as they may be again."""
    summaries: Cache
    written: Cache
    """The checksums of files, by what they are made of."""
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
            files = [self._find(handle, table, fit) for table in self.plans]
            if summary is None or None in files:
                continue
            if self._moved_from(fit, summary.items()) <= self.tolerance:
                for table, found in zip(self.plans, files, strict=True):
                    take_over(found, self.into / _file_of(handle, table))
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
        """Write a table, unless it is there: then it is taken over."""
        file, found = self.into / _file_of(handle, table), self._find(handle, table, self.own)
        if found is not None:
            take_over(found, file)
            return
        frame, metadata = make().lazy(), {DIGEST: self._digest(handle, table, self.own)}
        write_whole(file, lambda path: frame.sink_parquet(path, metadata=metadata))
        self.written.write(metadata[DIGEST], {(): pl.DataFrame({"checksum": [checksum(file)]})})

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

    def _find(self, handle: Any, table: str, fit: str) -> Path | None:
        """The file that a run has written of a table of a partition, with a fit."""
        if not handle.fingerprint:
            return None
        digest = self._digest(handle, table, fit)
        written = self.written.read(digest)
        if written is None:
            return None
        files = (place / _file_of(handle, table) for place in (self.into, *self.others))
        as_written = written[()]["checksum"].item()
        return next(
            (file for file in files if file.exists() and known_checksum(file) == as_written), None
        )

    def _digest(self, handle: Any, table: str, fit: str) -> str:
        return digest(handle.fingerprint, self.plans[table], _params(fit))


def take_over(found: Path | None, file: Path) -> None:
    """The same file under another name, or a copy where a file cannot have two."""
    if found is None or found == file:
        return
    with refusing(file):
        file.parent.mkdir(exist_ok=True)
        try:
            os.link(found, file)
        except OSError:
            write_whole(file, partial(shutil.copyfile, found))


def _file_of(handle: Any, table: str) -> str:
    return f"{table}/{handle.name}.parquet"


def _params(fit: str) -> str:
    """The parameters of a fit."""
    return fit.partition("-")[-1]
