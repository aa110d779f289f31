"""Files that are written whole or not at all.

A file is written beside its place under a name of its own, brought to the disk, and renamed: whoever opens it
finds what was there before or all of what is there now, whenever the writer was stopped.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

import polars as pl

from polars_crowd.errors import StoreError, UnfinishedError

NO_SYNC = (errno.EINVAL, errno.ENOTSUP)
"""What file systems say that cannot bring a directory to the disk."""


def write_whole(path: Path, write: Callable[[Path], Any], *, sync: bool = True) -> None:
    """Write a file with `write(path)`, a path beside it, then give it its name.

    Without `sync` it is not waited for the disk: for what can be made anew, and is seen to be broken.

    Raises
    ------
    UnfinishedError
        It cannot be written: the disk is full, or the directory may not be written to. Nothing is left.
    """
    with refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with whole_files([path], sync=sync) as (unfinished,), refusing(path):
        write(unfinished)


@contextmanager
def whole_files(paths: Sequence[Path], *, sync: bool = True) -> Iterator[list[Path]]:
    """Paths to write to, one beside each of these files, which get their names when the block ends well.

    Should the block fail they are removed, and all files that were there before stay as they are.
    """
    unfinished = [path.with_name(f".{path.name}.{token_hex(4)}") for path in paths]
    try:
        yield unfinished
        for written, path in zip(unfinished, paths, strict=True):
            with refusing(path):
                _bring_to_disk(written, sync)
        for written, path in zip(unfinished, paths, strict=True):
            with refusing(path):
                written.replace(path)
        for folder in {path.parent for path in paths}:
            with refusing(folder):
                bring_names_to_disk(folder, sync)
    finally:
        for written in unfinished:
            with suppress(OSError):
                written.unlink(missing_ok=True)


def abandoned(path: Path) -> list[Path]:
    """What writers that died have left beside a file."""
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}")
    return [beside for beside in path.parent.iterdir() if name.fullmatch(beside.name)]


def _bring_to_disk(file: Path, sync: bool) -> None:
    if sync:
        with file.open("rb+") as written:
            os.fsync(written.fileno())


def bring_names_to_disk(folder: Path, sync: bool = True) -> None:
    """... where the system can: Windows opens no directories."""
    if not sync or os.name == "nt":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
    finally:
        os.close(opened)


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Errors of the operating system, which Polars may wrap in its own, as one that names the file.

    Raises
    ------
    UnfinishedError
        The file cannot be written.
    """
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        if isinstance(error, OSError) or "os error" in str(error):
            raise UnfinishedError(f"cannot write {path}: {reason(error)}") from error
        raise


def place_of(path: str | Path, *, behind_links: bool = False) -> Path:
    """A file's or directory's place, wherever the process goes; that `behind_links`, if it is asked for.

    Raises
    ------
    StoreError
        There can be nothing of this name.
    """
    try:
        place = Path(path).resolve() if behind_links else Path(path).absolute()
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            place.stat()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, links in a circle
        raise StoreError(f"{str(path)!r} is no path: {reason(error)}.") from error
    return place


def reason(error: Exception) -> str:
    """The first paragraph of an error's message, without numbers and wrappers.

    >>> reason(OSError(28, "No space left on device"))
    'No space left on device'
    >>> reason(FileNotFoundError(2, "No such file or directory", "log.csv"))
    'No such file or directory: log.csv'
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else "")
    return str(error).split("\n\n")[0]
