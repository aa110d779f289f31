"""JSON files as lazy frames: lines as they are, the elements of an array as lines of their own.

What is in a record differs from one to the next, also in its type. A reader says which keys it wants, and
asks for text where it cannot know: there stands the value's JSON, `{"choices": ["a"]}`, or the text itself.
Polars does not escape backslashes in that JSON, so that it is read by `unescaped`, or a reader
has records prepared.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO, TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import polars as pl

from polars_crowd.errors import AnnotationError
from polars_crowd.inputs.blame import first_line, unreadable
from polars_crowd.inputs.streams import damaged

CHUNK = 1 << 24
"""Characters of an array that are read at a time."""
IN_MEMORY = 1 << 26
"""Bytes of an array whose lines stay in memory; those of a longer one go into a file of their own."""
AT_ONCE = 10_000
"""Lines among which a broken one is looked for at a time."""
BLANK = " \t\r\n"
GZIP = b"\x1f\x8b"
UNSHAPED = (
    *(LookupError, TypeError, AttributeError, ValueError, OverflowError, RecursionError),
    pl.exceptions.PolarsError,
)
"""What goes wrong where a record is built otherwise than a reader knows."""
ESCAPES_NOTHING = re.compile(r'\\(?!["/bfnrtu])')


@dataclass(frozen=True)
class Records:
    """The records of a file of JSON lines, or of a JSON array."""

    path: Path
    schema: Mapping[str, Any] | None
    """The keys to read, each with a type; those that a record does not have are null. None for all keys, with
    the types that they are seen to have."""
    prepare: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """What is read of a record, where the record itself says one thing in several ways."""
    made: bytes | None = None
    """The lines, where they were put together from several files of a directory."""

    def scan(self) -> pl.LazyFrame:
        """A row a record."""
        return pl.scan_ndjson(self._lines, **_typed(self.schema))

    def read(self) -> pl.DataFrame:
        """All records, in memory."""
        with named([self]):
            return self.scan().collect()

    @cached_property
    def _lines(self) -> Any:
        if self.made is not None:
            return self.made
        if self.prepare is not None:
            found = map(self.prepare, objects(self.path))
            return _kept((json.dumps(one) + "\n" for one in found), self.path)
        if not starts_with(self.path, "["):
            return _without_blank_start(self.path)
        return _lines_of_array(self.path)

    def broken(self) -> AnnotationError | None:
        """The error for the first record that cannot be read; None if all can."""
        number = 0
        for lines in _batches(self._lines):
            if _why(lines, self.schema):
                while len(lines) > 1:
                    half = len(lines) // 2
                    first_is_good = _why(lines[:half], self.schema) is None
                    lines, number = (
                        (lines[half:], number + half) if first_is_good else (lines[:half], number)
                    )
                why = _why(lines, self.schema)
                text = lines[0].decode("utf-8", "replace")
                return _unread(self.path, number + 1, str(why), text)
            number += len(lines)
        return None


@contextmanager
def named(records: Sequence[Records]) -> Iterator[None]:
    """Names the record of some files that cannot be read.

    Raises
    ------
    AnnotationError
        There is one.
    """
    try:
        yield
    except pl.exceptions.PolarsError as error:
        if not records:
            raise
        found = next(filter(None, (one.broken() for one in records)), None)
        where = ", ".join(str(one.path) for one in records)
        raise found or unreadable(where, first_line(error)) from error


def _typed(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"infer_schema_length": None} if schema is None else {"schema": dict(schema)}


def _why(lines: list[bytes], schema: Mapping[str, Any] | None) -> str | None:
    """Why some lines cannot be read; None if they can."""
    try:
        pl.read_ndjson(BytesIO(b"".join(lines)), **_typed(schema))
    except pl.exceptions.PolarsError as error:
        return first_line(error)
    return None


def _batches(lines: Any) -> Iterator[list[bytes]]:
    with BytesIO(lines) if isinstance(lines, bytes) else open(lines, "rb") as file:
        while batch := list(islice(file, AT_ONCE)):
            yield batch


# --- arrays ---------------------------------------------------------------------------------------


def starts_with(path: Path, character: str) -> bool:
    """Whether a text file starts with a character, blanks left aside."""
    with open_text(path) as file:
        while head := file.read(4096):
            if text := head.lstrip(BLANK):
                return text[0] == character
    return False


class _Unpacked(gzip.GzipFile):
    """The bytes of a file that is packed; damage is said in our words."""

    def read1(self, size: int | None = -1) -> bytes:
        try:
            return super().read1(-1 if size is None else size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise damaged(str(self.name), error) from error


def open_text(path: Path) -> TextIO:
    """A file of UTF-8, with or without its mark; it may be packed by gzip."""
    if is_gzip(path):
        return TextIOWrapper(_Unpacked(path), encoding="utf-8-sig", newline="")
    return open(path, encoding="utf-8-sig", newline="")


def _lines(path: Path) -> Iterator[str]:
    with open_text(path) as file:
        yield from file


def full_lines(path: Path) -> Iterator[str]:
    """The lines of a file that are not blank."""
    return (line for line in _lines(path) if line.strip(BLANK))


def is_gzip(path: Path) -> bool:
    """Whether a file is packed by gzip."""
    with open(path, "rb") as file:
        return file.read(2) == GZIP


def _without_blank_start(path: Path) -> Any:
    """The path, as Polars reads it; the lines alone of a file with a mark of UTF-8, or that is packed."""
    with open(path, "rb") as file:
        plain = not file.read(3).startswith((GZIP, b"\xef\xbb\xbf"))
    return str(path) if plain else _kept(_lines(path), path)


def _lines_of_array(path: Path) -> Any:
    """The elements of an array, a line each."""
    lines = (text.replace("\n", " ").replace("\r", " ") + "\n" for text, _ in elements(path))
    return _kept(lines, path)


def unescaped(text: str) -> Any:
    r"""JSON as Polars writes it where text was asked for: a backslash that escapes nothing stands for itself.

    >>> unescaped('{"a": "x\\y"}')
    {'a': 'x\\y'}
    """
    return json.loads(ESCAPES_NOTHING.sub(r"\\\\", text))


def as_lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    """Records as JSON lines."""
    return "\n".join(map(json.dumps, records)).encode()


def _kept(lines: Iterator[str], path: Path) -> Any:
    """Lines in memory, or in a file if those of the path are many."""
    if path.stat().st_size <= IN_MEMORY:
        return "".join(lines).encode()
    return _Kept(lines)


class _Kept(str):
    """The path of a file of lines, removed with the last reference to it."""

    def __new__(cls, lines: Iterator[str]) -> _Kept:
        handle, name = tempfile.mkstemp(prefix="polars-crowd-", suffix=".ndjson")
        kept = super().__new__(cls, name)
        weakref.finalize(kept, Path(name).unlink, missing_ok=True)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
        return kept


def elements(path: Path) -> Iterator[tuple[str, Any]]:
    """The elements of a JSON array one after another, each as it is written and what that is.

    Raises
    ------
    AnnotationError
        What is written is no JSON: the position is said.
    """
    with open_text(path) as file:
        yield from _Array(path, file.read).elements()


class _Array:
    """An array that is read in chunks."""

    def __init__(self, path: Path, read: Callable[[int], str]) -> None:
        self.path, self.read = path, read
        self.text, self.at, self.gone, self.ended = "", 0, 0, False

    def elements(self) -> Iterator[tuple[str, Any]]:
        self._expect("[")
        if self._next() == "]":
            return
        while True:
            yield self._element()
            if self._next() == "]":
                return
            self._expect(",")

    def _element(self) -> tuple[str, Any]:
        decoder, wanted = json.JSONDecoder(), CHUNK
        self._next()
        while True:
            try:
                value, end = decoder.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if self._more(wanted):
                    wanted *= 2
                    continue
                raise self._broken(error.msg, error.pos) from error
            if end == len(self.text) and self._more(wanted):  # a number may go on
                continue
            text, self.at = self.text[self.at : end], end
            return text, value

    def _next(self) -> str:
        """The next character that is not blank."""
        while True:
            while self.at < len(self.text):
                if self.text[self.at] not in BLANK:
                    return self.text[self.at]
                self.at += 1
            if not self._more(CHUNK):
                raise self._broken("the array does not end", self.at)

    def _expect(self, character: str) -> None:
        if self._next() != character:
            raise self._broken(f"{character!r} was expected", self.at)
        self.at += 1

    def _more(self, wanted: int) -> bool:
        """Read on, if there is more."""
        more = "" if self.ended else self.read(wanted)
        self.ended = not more
        self.gone += self.at
        self.text, self.at = self.text[self.at :] + more, 0
        return bool(more)

    def _broken(self, why: str, at: int) -> AnnotationError:
        near = self.text[max(at - 20, 0) : at + 20]
        return AnnotationError(
            f"{self.path} is no JSON at character {self.gone + at + 1:,}, near {near!r}: {why}.",
            "Export the file anew: it may have been cut short.",
        )


def objects(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON array or of JSON lines, one after another; `NaN` may stand in them.

    Raises
    ------
    AnnotationError
        One of them is no JSON object: its place is said.
    """
    found = elements(path) if starts_with(path, "[") else _decoded_lines(path)
    for number, (text, value) in enumerate(found, start=1):
        if not isinstance(value, dict):
            raise _unread(path, number, "it is no object", text)
        yield value


def _decoded_lines(path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(full_lines(path), start=1):
        try:
            yield line, json.loads(line)
        except json.JSONDecodeError as error:
            raise _unread(path, number, str(error), line) from error


def _unread(path: Path, number: int, why: str, text: str) -> AnnotationError:
    return AnnotationError(
        f"{path}: record {number} cannot be read: {why}. It begins with {text[:80]!r}.",
        "Mend or remove it, or export the file anew.",
    )
