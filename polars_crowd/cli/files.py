"""Result files, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Literal

import polars as pl

Format = Literal["parquet", "csv"]


class UnfinishedError(Exception):
    """A result could not be written: the disk is full, the directory went away."""


@contextmanager
def whole_files(into: Path, names: Sequence[str], *, force: bool) -> Iterator[dict[str, Path]]:
    """Paths to write to, by file name, which get their names when the block ends well.

    The paths are beside the files, in the same directory. Should the block fail they are removed,
    with the directory if it was made for them; files that were there before stay as they are.

    Raises
    ------
    FileExistsError
        A file is there already and `force` is not given.
    """
    _refuse_to_overwrite(into, names, force)
    made = [directory for directory in (into, *into.parents) if not directory.exists()]
    into.mkdir(parents=True, exist_ok=True)
    paths = {name: into / f".{name}.{token_hex(4)}.tmp" for name in names}
    try:
        yield paths
        _refuse_to_overwrite(into, names, force)
        for name, path in paths.items():
            with _unfinished(into / name):
                path.replace(into / name)
    finally:
        for path in paths.values():
            path.unlink(missing_ok=True)
        for directory in made:
            with suppress(OSError):  # it holds the results
                directory.rmdir()


def _refuse_to_overwrite(into: Path, names: Sequence[str], force: bool) -> None:
    if into.exists() and not into.is_dir():
        raise NotADirectoryError(f"{into} is a file; give a directory to write the results into.")
    if into.exists() and not os.access(into, os.W_OK | os.X_OK):
        raise PermissionError(f"the directory {into} is not writable.")
    there = [name for name in names if (into / name).is_dir() or (into / name).exists()]
    directories = [name for name in there if (into / name).is_dir()]
    if directories:
        raise IsADirectoryError(f"{into} has a directory where {', '.join(directories)} would go.")
    if there and not force:
        raise FileExistsError(
            f"{into} has {', '.join(there)} already. Overwrite with --force, or choose another "
            "directory."
        )


def sink(frame: pl.LazyFrame, path: Path, target: Path) -> None:
    """Write a frame to a path of `whole_files`, in the format of the file that it becomes."""
    with _unfinished(target):
        if target.suffix == ".parquet":
            frame.sink_parquet(path, sync_on_close="data")
        else:
            frame.sink_csv(path, sync_on_close="data", check_extension=False)


def written(path: Path) -> pl.LazyFrame:
    """A file that was written, to read it again."""
    return (pl.scan_parquet if path.suffix == ".parquet" else pl.scan_csv)(path, glob=False)


@contextmanager
def _unfinished(target: Path) -> Iterator[None]:
    """Errors of the operating system, which Polars may wrap in its own, as `UnfinishedError`."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        if isinstance(error, OSError) or "(os error" in str(error):
            raise UnfinishedError(f"cannot write {target}: {reason(error)}") from error
        raise


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
