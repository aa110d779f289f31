"""The bytes of files: decompressed, in UTF-8, and kept beside where they cannot be read in place."""

from __future__ import annotations

import codecs
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import IO, BinaryIO

import polars as pl
import pyarrow as pa

from polars_crowd.errors import Advice, AnnotationError

COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
AT_ONCE = 1 << 20
"""Bytes that are converted at once."""


@contextmanager
def readable(path: str, file: str) -> Iterator[IO[bytes]]:
    """The bytes of a file, decompressed; `file` is what errors call it."""
    compression = COMPRESSED.get(Path(path).suffix.lower())
    try:
        with pa.input_stream(path, compression=compression) as stream:
            yield stream
    except pa.ArrowException as error:
        raise damaged(file, error) from error
    except OSError as error:
        if not compression or error.errno is not None:
            raise
        raise damaged(file, error) from error


def damaged(file: str, error: Exception) -> AnnotationError:
    """The error that what is packed ends too soon, or is not what was packed."""
    return AnnotationError(
        f"{file} cannot be decompressed: {error}.", Advice("Copy it again from where it is whole")
    )


def in_utf8(path: str, encoding: str) -> str:
    """A copy of a file in UTF-8, which lasts as long as this process."""
    decoder = codecs.getincrementaldecoder(encoding)()
    copy = new_copy(Path(path).stem)
    at = 0
    with readable(path, path) as stream, copy.open("wb") as out:
        while True:
            block = stream.read(AT_ONCE)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeError as error:
                raise _not_in(encoding, path, at, error) from None
            out.write(text.encode())
            at += len(block)
            if not block:
                return str(copy)


def _not_in(encoding: str, path: str, at: int, error: UnicodeError) -> AnnotationError:
    place = at + (error.start if isinstance(error, UnicodeDecodeError) else 0)
    return AnnotationError(
        f"{path} is not written in {encoding}: near byte {place:,} it has what cannot be read so.",
        Advice("Say another encoding, or none if it is UTF-8", "encoding=...", "--encoding NAME"),
    )


def spooled(stream: BinaryIO, ending: str) -> str:
    """The bytes of a stream in a file with this ending (".csv"), which lasts as long as this process.

    What comes through a pipe can be read once only, and a log is read several times.
    """
    copy = new_copy(f"stream{ending}")
    with copy.open("wb") as out:
        shutil.copyfileobj(stream, out, AT_ONCE)
    return str(copy)


def fetched(url: str) -> str:
    """The text at an address, in a file that lasts as long as this process."""
    copy = new_copy(url.rpartition("/")[2])
    lines = pl.scan_lines(url, glob=False)
    lines.sink_csv(copy, include_header=False, quote_style="never", check_extension=False)
    return str(copy)


def new_copy(name: str) -> Path:
    """Where something may be written that lasts as long as this process."""
    return Path(_copies().name) / f"{token_hex(4)}-{name}"


@cache
def _copies() -> tempfile.TemporaryDirectory[str]:
    """Where the copies are; removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="polars-crowd-")
