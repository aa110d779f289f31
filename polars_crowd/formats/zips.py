"""Zips whose entries are compressed as usual, or by Zstandard, which Python's own reader does not know."""

from __future__ import annotations

import struct
import zipfile
from functools import cached_property
from io import BytesIO
from pathlib import Path

import pyarrow as pa

from polars_crowd.errors import AnnotationError

ZSTANDARD = 93
HEADER = struct.Struct("<26xHH")
"""Where the lengths of an entry's name and of its extra field stand, before its bytes."""


class Zip:
    """A zip that is read entry by entry."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def is_one(path: Path) -> bool:
        return zipfile.is_zipfile(path)

    @cached_property
    def _entries(self) -> dict[str, zipfile.ZipInfo]:
        try:
            with zipfile.ZipFile(self.path) as packed:
                return {entry.filename: entry for entry in packed.infolist() if not entry.is_dir()}
        except zipfile.BadZipFile as error:
            raise AnnotationError(f"{self.path} is a damaged zip: {error}.") from error

    @property
    def names(self) -> list[str]:
        """The names of the files in it, but for what file systems add."""
        return [n for n in self._entries if not n.startswith("__MACOSX/")]

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises
        ------
        AnnotationError
            They are damaged, or compressed in a way that is not known.
        """
        entry = self._entries[name]
        try:
            if entry.compress_type == ZSTANDARD:
                return self._of_zstandard(entry)
            with zipfile.ZipFile(self.path) as packed:
                return packed.read(name)
        except (zipfile.BadZipFile, NotImplementedError, OSError, RuntimeError) as error:
            raise AnnotationError(f"{name!r} in {self.path} cannot be read: {error}.") from error

    def _of_zstandard(self, entry: zipfile.ZipInfo) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(entry.header_offset)
            name, extra = HEADER.unpack(file.read(HEADER.size))
            file.seek(name + extra, 1)
            packed = file.read(entry.compress_size)
        with pa.CompressedInputStream(BytesIO(packed), "zstd") as stream:
            return stream.read()  # type: ignore[no-any-return]
