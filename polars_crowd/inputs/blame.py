"""Which file it is that cannot be read: others tell what is wrong with one, but seldom its name.

Files whose columns have types are looked at when they are opened, as far as their schemas say. What shows
only when rows are read is looked for after an error, and only then: files are read one by one.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from polars_crowd.errors import Advice, AnnotationError

READERS: dict[str, Callable[..., pl.LazyFrame]] = {
    ".parquet": pl.scan_parquet,
    ".pq": pl.scan_parquet,
    ".arrow": pl.scan_ipc,
    ".ipc": pl.scan_ipc,
    ".feather": pl.scan_ipc,
}
"""Files whose columns have types."""
FOREIGN = (OSError, pl.exceptions.PolarsError, pa.ArrowException)
"""Errors of others that say that something cannot be read."""
LOOKED_AT = 500
"""So many files of a dataset are looked at when it is opened."""
MEND = "Repair it, or leave it out."
ALIKE = Advice(
    "Make them alike, or give the files one by one: columns that some do not have are null then",
    python="[file, other_file]",
    command="FILE OTHER_FILE",
)


# --- when files are opened -------------------------------------------------------------------------


def check_files(files: Sequence[str]) -> None:
    """That files are there and may be read.

    Raises
    ------
    AnnotationError
        One cannot; it is named.
    """
    for file in files:
        if "://" not in file:
            _check_file(file)


def _check_file(file: str) -> None:
    with named(file):
        Path(file).stat()
        if not os.access(file, os.R_OK):
            raise PermissionError(None, "it may not be read")


def check_schemas(files: Sequence[str], kind: str) -> None:
    """That files of one kind can be read together, as far as their schemas say."""
    first = None
    for file in files[:LOOKED_AT]:
        with named(file):
            found = READERS[kind](file, glob=False).collect_schema()
        first = found if first is None else first
        wrong = difference(found, first)
        if wrong is not None:
            raise AnnotationError(f"{file} does not fit the others: {wrong} in {files[0]}.", ALIKE)


@contextmanager
def named(file: str) -> Iterator[None]:
    """Errors of others as one that names the file."""
    try:
        yield
    except pl.exceptions.DuplicateError as error:
        raise named_twice(file, error) from error
    except FOREIGN as error:
        raise unreadable(file, first_line(error)) from error


def named_twice(what: str, error: Exception) -> AnnotationError:
    """The error for a column that is there twice, of which Polars says no more than the name."""
    return AnnotationError(f"{what}: {first_line(error)}.", Advice("Give each column its own name"))


def unreadable(file: str, why: str) -> AnnotationError:
    """The error for what cannot be read."""
    return AnnotationError(f"{file} cannot be read: {why}.", MEND)


def first_line(error: Exception) -> str:
    """What an error says, without numbers and names that are said besides.

    >>> first_line(FileNotFoundError(2, "No such file or directory", "log.csv"))
    'No such file or directory'
    """
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said.partition("\n")[0].rstrip(".")


def difference(found: pl.Schema, expected: pl.Schema) -> str | None:
    """The first difference of two schemas; columns may be in any order, and without any value.

    >>> difference(pl.Schema({"label": pl.Int64()}), pl.Schema({"label": pl.String()}))
    "column 'label' is Int64, and String"
    """
    for name, dtype in expected.items():
        if name not in found:
            return f"it has no column {name!r}, which is"
        if found[name] != dtype and pl.Null not in (found[name], dtype):
            return f"column {name!r} is {found[name]}, and {dtype}"
    more = next((name for name in found if name not in expected), None)
    return None if more is None else f"it has a column {more!r}, which is not"


# --- when rows are read ----------------------------------------------------------------------------


@contextmanager
def reading(*sources: Any) -> Iterator[None]:
    """Errors of others while rows of sources are read, as one that names the file, or says that it is the
    source that fails."""
    try:
        yield
    except FOREIGN as error:
        found = bad_file(sources) or _bad_frame(sources)
        if found is None:
            raise
        raise unreadable(*found) from error


def bad_file(sources: Sequence[Any]) -> tuple[str, str] | None:
    """The first file that cannot be read or has other columns than the first one, and what is wrong."""
    for source in sources:
        files = files_of(source)
        first = None
        for file in files:
            try:
                Path(file).stat()
                if Path(file).suffix.lower() not in READERS:
                    continue
                frame = READERS[Path(file).suffix.lower()](file, glob=False)
                found = frame.collect_schema()
                first = found if first is None else first
                wrong = difference(found, first)
                if wrong is not None:
                    return file, f"{wrong} in {files[0]}"
                frame.sink_batches(_nothing)
            except FOREIGN as error:
                return file, first_line(error)
    return None


def _bad_frame(sources: Sequence[Any]) -> tuple[str, str] | None:
    """Whether a lazy frame fails by itself, whatever is done with it."""
    for source in sources:
        frame = getattr(source, "frame", source)
        if isinstance(frame, pl.LazyFrame):
            try:
                frame.sink_batches(_nothing)
            except FOREIGN as error:
                return "the source", first_line(error)
    return None


def _nothing(batch: pl.DataFrame) -> None: ...


def files_of(source: Any) -> list[str]:
    """The files that a source consists of, as far as can be told."""
    if isinstance(source, (list, tuple)):
        return [file for part in source for file in files_of(part)]
    if isinstance(source, (str, Path)):
        path = Path(source)
        found = (
            path.rglob("*") if path.is_dir() else map(Path, glob.glob(str(path), recursive=True))
        )
        return [str(file) for file in sorted(found) if file.is_file()]
    frame = getattr(source, "frame", source)
    return _scanned(frame) if isinstance(frame, pl.LazyFrame) else []


def _scanned(frame: pl.LazyFrame) -> list[str]:
    """The files that a plan scans. Polars tells it in a place of its own, so none if it does not."""
    files: list[str] = []
    try:
        plan = frame._ldf.visit()
        nodes = [plan.get_node()]
        while nodes:
            plan.set_node(nodes.pop(0))
            files += map(str, getattr(plan.view_current_node(), "paths", ()))
            nodes += plan.get_inputs()
    except Exception:
        return files
    return files
