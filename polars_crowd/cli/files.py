"""The files of a command's results: all of them written whole, or none at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import polars as pl

from polars_crowd.rounds import files
from polars_crowd.rounds.files import refusing

Format = Literal["parquet", "csv"]


@contextmanager
def whole_files(into: Path, names: Sequence[str], *, force: bool) -> Iterator[dict[str, Path]]:
    """Paths to write to, by file name, which get their names when the block ends well.

    Should the block fail they are removed, with the directory if it was made for them; files that were
    there before stay as they are.

    Raises
    ------
    FileExistsError
        A file is there already and `force` is not given.
    """
    _refuse_to_overwrite(into, names, force)
    made = [directory for directory in (into, *into.parents) if not directory.exists()]
    into.mkdir(parents=True, exist_ok=True)
    try:
        with files.whole_files([into / name for name in names]) as paths:
            yield dict(zip(names, paths, strict=True))
            _refuse_to_overwrite(into, names, force)
    finally:
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
    with refusing(target):
        if target.suffix == ".parquet":
            frame.sink_parquet(path)
        else:
            frame.sink_csv(path, check_extension=False)


def written(path: Path) -> pl.LazyFrame:
    """A file that was written, to read it again."""
    return (pl.scan_parquet if path.suffix == ".parquet" else pl.scan_csv)(path, glob=False)
