"""What is read is what was written: digests of files, and of the JSON that names them.

Polars writes no checksums of Parquet pages, and reads past those that others wrote: a bit that flips on the
disk is another number. So each file has a digest that is written down elsewhere, or before all else in
it. A file is compared with its digest when a process first reads it, and again once the file has changed.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from io import BufferedRandom
from pathlib import Path
from typing import Any, BinaryIO, cast

SIZE = 16
"""Bytes of a digest."""
SEAL = "checksum"
"""Where JSON has its own."""
JUST_NOW = 100_000_000
"""Nanoseconds in which a file may change without another time of its last change."""


def checksum(path: Path, start: int = 0) -> str:
    """The BLAKE2b of a file's bytes, from `start` on."""
    with path.open("rb") as file:
        return _rest_of(file, start).hex()


def known_checksum(path: Path, start: int = 0) -> str:
    """... read once in a process, for as long as the file has the same size, time and inode."""
    found = path.stat()
    if time.time_ns() - found.st_mtime_ns < JUST_NOW:
        return checksum(path, start)
    return _checksum(path, start, found.st_size, found.st_mtime_ns, found.st_ino)


@lru_cache(maxsize=1 << 16)
def _checksum(path: Path, start: int, *_of: int) -> str:
    return checksum(path, start)


def _rest_of(file: BinaryIO, start: int) -> bytes:
    file.seek(start)
    read = cast(BufferedRandom, file)
    return hashlib.file_digest(read, lambda: hashlib.blake2b(digest_size=SIZE)).digest()


# --- a file that begins with its digest ------------------------------------------------------------


def write_sealed(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """A file of the digest, and of what `write(file)` writes after it."""
    with path.open("wb+") as file:
        file.write(bytes(SIZE))
        write(file)
        digest = _rest_of(file, SIZE)
        file.seek(0)
        file.write(digest)


def is_sealed(path: Path) -> bool:
    """Whether a file is there and as it was written."""
    try:
        with path.open("rb") as file:
            return file.read(SIZE).hex() == known_checksum(path, SIZE)
    except OSError:
        return False


# --- JSON ------------------------------------------------------------------------------------------


def seal(found: Mapping[str, Any]) -> str:
    """The digest of a JSON object, but for the one it holds.

    >>> seal({"b": 1, "a": [2]}) == seal({"a": [2], "b": 1, "checksum": "..."}) != seal({"a": [2]})
    True
    """
    text = json.dumps({key: found[key] for key in found if key != SEAL}, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=SIZE).hexdigest()
