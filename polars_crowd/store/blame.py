"""Errors while rows stream into a store: the disk's, or those of one file among many, by its name.

Polars tells what is wrong with a file, but seldom which one it is. So after an error, and only then, the
files of the source are read one by one.
"""

from __future__ import annotations

import errno
import glob
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from polars_crowd.errors import AnnotationError, StoreError
from polars_crowd.inputs.sources import READERS, suffix_of

DISK = (errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EDQUOT)
"""What the system says when nothing more can be written."""


@contextmanager
def streaming(store: Path, *sources: Any) -> Iterator[None]:
    """Names the store in errors of the disk, and the file in errors of the sources."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        if is_of_disk(error):
            raise StoreError(
                f"cannot write {store}: {first_line(error)}. Nothing was changed; make room, or choose "
                "another directory."
            ) from error
        found = bad_file(sources)
        if found is None:
            raise
        file, why = found
        raise AnnotationError(f"{file} cannot be read with the others: {why}") from error


def is_of_disk(error: Exception) -> bool:
    """Whether nothing more can be written; Polars tells the system's number in the text only."""
    code = getattr(error, "errno", None) or re.search(r"\(os error (\d+)\)", str(error))
    return (int(code[1]) if isinstance(code, re.Match) else code) in DISK


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def bad_file(sources: tuple[Any, ...]) -> tuple[str, str] | None:
    """The first file that cannot be read or has other columns than the first one, and what is wrong."""
    for source in sources:
        files = files_of(source)
        schema = None
        for file in files:
            try:
                frame = READERS[suffix_of(file)](file)
                found = frame.collect_schema()
                if schema is None:
                    schema = found
                if found != schema:
                    return file, f"{difference(found, schema)} in {files[0]}. Make them alike."
                frame.sink_batches(lambda batch: None)
            except (OSError, pl.exceptions.PolarsError) as error:
                return file, f"{first_line(error)}. Repair it or leave it out."
    return None


def difference(found: pl.Schema, expected: pl.Schema) -> str:
    """The first difference of two schemas.

    >>> difference(pl.Schema({"label": pl.Int64()}), pl.Schema({"label": pl.String()}))
    "column 'label' is Int64, and String"
    """
    for name, dtype in expected.items():
        if name not in found:
            return f"it has no column {name!r}, which is"
        if found[name] != dtype:
            return f"column {name!r} is {found[name]}, and {dtype}"
    more = next((name for name in found if name not in expected), None)
    return "its columns are in another order than" if more is None else f"column {more!r} is not"


def files_of(source: Any) -> list[str]:
    """The files that a source consists of, as far as can be told."""
    if isinstance(source, (list, tuple)):
        return [file for part in source for file in files_of(part)]
    if isinstance(source, (str, Path)):
        path = Path(source)
        found = (
            path.rglob("*") if path.is_dir() else map(Path, glob.glob(str(path), recursive=True))
        )
        return [
            str(file)
            for file in sorted(found)
            if file.is_file() and suffix_of(str(file)) in READERS
        ]
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
    return [file for file in files if suffix_of(file) in READERS]
