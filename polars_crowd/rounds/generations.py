"""Generations of a directory of results: each run writes one of its own, which is there for who reads it.

A generation is held by who reads it, and removed by a later run once nobody does: only what this library
wrote goes, by its name and by what it says of itself, and nothing behind a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from secrets import token_hex

import polars as pl

from polars_crowd.rounds.contents import GENERATION, is_generation
from polars_crowd.rounds.files import refusing
from polars_crowd.rounds.locks import Hold, lock_to_remove
from polars_crowd.rounds.partitions import scan_of

LOCK = ".polars_crowd.lock"
"""Of a directory of results, and of a generation in it."""
DIGEST = "polars_crowd_digest"
"""What files of tables say of themselves: what they were made of."""
UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}")
"""A file that is being written."""


def generations_in(directory: Path) -> list[Path]:
    """The generations there are, the last one first; nothing that is a link."""
    found = [place for place in directory.iterdir() if is_generation(place.name)]
    return sorted((p for p in found if p.is_dir() and not p.is_symlink()), reverse=True)


def is_begun(directory: Path) -> bool:
    """Whether a run has begun to write into a directory, and not ended."""
    return directory.is_dir() and bool(generations_in(directory))


def new_generation(directory: Path) -> Path:
    """The directory of the next one."""
    numbers = [int(found[1]) for p in directory.iterdir() if (found := GENERATION.match(p.name))]
    place = directory / f"generation-{max(numbers, default=0) + 1:04d}-{token_hex(4)}"
    with refusing(place):
        place.mkdir()
        (place / LOCK).touch()
    return place


def held(generation: Path) -> Hold:
    """A generation that stays for as long as the hold, or a copy of it, lives."""
    return Hold(generation / LOCK)


def scan_held(files: list[Path], hold: object) -> pl.LazyFrame:
    """A scan of files that holds on to something, as do all frames that are made of it."""
    return scan_of(files, partial(_scan, hold), _scan(hold, files[0]).collect_schema())


def _scan(hold: object, file: Path, columns: object = None) -> pl.LazyFrame:
    """The file, which stays where it is while somebody has the hold."""
    return pl.scan_parquet(file, glob=False)


# --- removal ---------------------------------------------------------------------------------------


def remove_unused(generation: Path) -> None:
    """Remove what this library wrote into a generation, unless somebody holds it."""
    lock = lock_to_remove(generation / LOCK)
    if lock is None:
        return
    for place in [*generation.iterdir()]:
        if place.is_dir() and not place.is_symlink():
            remove_ours(place.iterdir())
            _remove_empty(place)
    remove_ours(generation.iterdir())
    lock.release()
    _remove_empty(generation)


def remove_ours(files: Iterable[Path]) -> None:
    """Remove those files that this library wrote, or began to."""
    for file in [*files]:
        if is_ours(file):
            with suppress(OSError):
                file.unlink()


def is_ours(file: Path) -> bool:
    if file.is_symlink() or not file.is_file():
        return False
    return UNFINISHED.fullmatch(file.name) is not None or digest_in(file) is not None


def digest_in(file: Path) -> str | None:
    """What a file of a table was made of; None if it does not say it."""
    if file.suffix != ".parquet":
        return None
    try:
        return pl.read_parquet_metadata(file).get(DIGEST)
    except (OSError, pl.exceptions.PolarsError):
        return None


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # there are files of others in it
        folder.rmdir()
