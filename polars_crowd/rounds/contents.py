"""results.json: what a directory of results holds, so that it can be opened again and taken up.

    {"format": 3, "polars_crowd": "0.1.0", "polars": "2.1.0", "numpy": "2.3.1",
     "by": "write" | "into",          what wrote the directory
     "complete": true,                whether that has ended
     "method": "Dawid-Skene", "header": ..., "heads": ..., "options": ..., "values": ...,
     "generation": "generation-0001-1a2b3c4d",      of a run: where its tables are
     "tables": {"annotators": {"kind": "frame", "files": [".../annotators.parquet"]}, "trace": null, ...}}

Of what .write wrote only the files that are listed there are ours: to be replaced, or removed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

import polars_crowd
from polars_crowd.errors import StoreError
from polars_crowd.rounds.digests import SEAL, known_checksum, seal
from polars_crowd.rounds.files import reason, write_whole

MARK = "results.json"
FORMAT = 3
GENERATION = re.compile(r"generation-(\d{4,})-[0-9a-f]{8}")
"""The directory of a run's tables."""
SEALED = 3
"""The first format that has a digest of itself."""
AGAIN = "Run again with the same directory, which makes it anew, or write the results again."
SMALL = 16
"""Values of an array that are written down."""
Contents = dict[str, Any]
By = Literal["into", "write"]


def is_generation(name: str) -> bool:
    return GENERATION.fullmatch(name) is not None


def blank(by: By) -> Contents:
    """The contents of a directory that is about to be written."""
    versions = {module.__name__: module.__version__ for module in (polars_crowd, pl, np)}
    about = {"format": FORMAT, **versions}
    return {**about, "by": by, "complete": False, "method": None, "tables": {}}


def read_contents(directory: Path) -> Contents | None:
    """What a directory says that it holds; None if it says nothing.

    Raises
    ------
    FileExistsError
        Its results.json is that of another program.
    StoreError
        Its results.json is damaged, or of a later version.
    """
    mark = directory / MARK
    if not os.path.isfile(mark):
        if os.path.islink(mark):
            raise StoreError(f"{mark} is a link that leads nowhere. Give another directory.")
        return None
    try:
        found = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{mark} cannot be read: {error}. Remove the directory and run again."
        ) from error
    if not isinstance(found, dict) or not {"format", "polars_crowd"} <= found.keys():
        raise FileExistsError(f"{mark} was not written by this library. Give another directory.")
    if not isinstance(found["format"], int) or found["format"] > FORMAT:
        raise StoreError(
            f"{mark}: the results are of format {found['format']}, this version knows up to {FORMAT}. "
            "Update polars_crowd, or choose another directory."
        )
    written = found.pop(SEAL, None)
    is_whole = written == seal(found) or (written is None and found["format"] < SEALED)
    if not is_whole or not _is_sound(found):
        raise StoreError(f"{mark} is damaged. Remove the directory and run again.")
    return {**blank("into"), **found}


def _is_sound(found: Contents) -> bool:
    """Whether tables are listed as they are by this library."""
    generation, tables = found.get("generation"), found.get("tables", {})
    return (
        (generation is None or (isinstance(generation, str) and is_generation(generation)))
        and isinstance(tables, dict)
        and all(table is None or {"kind", "files"} <= set(table) for table in tables.values())
        and all(table is None or table["files"] for table in tables.values())
    )


def write_contents(directory: Path, contents: Contents) -> None:
    text = as_json(contents)
    write_whole(directory / MARK, lambda path: path.write_text(text, encoding="utf-8"))


def as_json(contents: Contents) -> str:
    """Contents with their digest."""
    found = json.loads(json.dumps(contents, allow_nan=False))
    return json.dumps({**found, SEAL: seal(found)}, indent=1, ensure_ascii=False)


def files_in(directory: Path, tables: Mapping[str, Any]) -> list[Path]:
    """The files of tables.

    Raises
    ------
    StoreError
        One is not a plain path inside of the directory.
    """
    names = [name for table in tables.values() if table for name in table["files"]]
    strange = [name for name in names if not _is_plain(name)]
    if strange:
        raise StoreError(
            f"{directory / MARK} names {strange[0]!r}, which is not in {directory}. Somebody changed it."
        )
    return [directory / name for name in names]


def files_as_written(directory: Path, name: str, listed: Mapping[str, Any]) -> list[Path]:
    """The files of a table, which are as they were written.

    Raises
    ------
    StoreError
        One is not.
    """
    files = files_in(directory, {name: listed})
    for file, digest in zip(files, listed.get("digests") or (), strict=False):
        try:
            found = known_checksum(file)
        except OSError as error:
            raise StoreError(f"{file} cannot be read: {reason(error)}.", AGAIN) from error
        if found != digest:
            raise StoreError(f"{file} has other bytes than were written: it is damaged.", AGAIN)
    return files


def _is_plain(name: Any) -> bool:
    if not isinstance(name, str):
        return False
    path = Path(name)
    own = path.parts[1:] if path.parts and is_generation(path.parts[0]) else path.parts
    return not path.anchor and ".." not in path.parts and len(own) in (1, 2)


def remove_tables(directory: Path, tables: Mapping[str, Any]) -> None:
    """Remove the files of tables, and the folders that this leaves empty."""
    files = [file for file in files_in(directory, tables) if not file.parent.is_symlink()]
    for file in files:
        if not file.is_dir():
            file.unlink(missing_ok=True)
    for folder in {file.parent for file in files} - {directory}:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers, texts, lists and tables of them; what is large only by its shape.

    >>> plain({"smoothing": float("inf"), "classes": ("a", 1), "past": np.zeros((20, 3))})
    {'smoothing': 'inf', 'classes': ['a', 1], 'past': 'array of shape (20, 3)'}
    """
    if isinstance(value, (np.ndarray, np.generic)) and value.size <= SMALL:
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {own.name: plain(getattr(value, own.name)) for own in fields(value)}
    shape = getattr(value, "shape", None)
    return str(value) if shape is None else f"array of shape {shape}"


def stored(kind: str, files: Iterable[str], **others: Any) -> dict[str, Any]:
    """How a table is listed."""
    return {"kind": kind, "files": list(files), **others}
