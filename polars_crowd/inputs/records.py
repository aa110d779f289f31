"""The records of a text file, one by one: which fields they have, and how their values are written.

This says what a record is. A file is looked at in blocks first (`inputs.blocks`), which is fast; what is not
plain there is decided here, with the lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Literal

from polars_crowd.errors import SHOWN, Advice, AnnotationError, counted

LONGEST = 1 << 26
"""Characters of a record beyond which a quote has surely not been closed."""
WIDTH = 60
"""How many characters of a record an error shows."""
INTEGER = r"0|-?[1-9][0-9]{0,18}"
INT64 = range(-(2**63), 2**63)
COMMENTS = ("#", "//", "%", "--")
"""How lines begin that may be comments."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LineEnd = Literal["\n", "\r"]


def is_integer(text: str) -> bool:
    """Whether a value is written as the Int64 that it names is printed.

    >>> [is_integer(text) for text in ("7", "-7", "007", "+7", "7.0", "-0", "9" * 21)]
    [True, True, False, False, False, False, False]
    """
    return re.fullmatch(INTEGER, text) is not None and int(text) in INT64


@dataclass(frozen=True)
class Form:
    """How the records of a file are written."""

    separator: str
    quote: str | None = '"'
    line_end: LineEnd = "\n"
    comment: str | None = None

    def values(self, record: str) -> list[str] | None:
        """The values of a record, without their quotes; None if a quote or a line end is out of place.

        >>> Form(",").values('1,"a ""b"", c",'), Form(",").values('5" wide,x')
        (['1', 'a "b", c', ''], None)
        """
        values, at = [], 0
        while found := self._field.match(record, at):
            values.append(self._value(found[0]))
            at = found.end() + 1
            if at > len(record):
                return values
            if record[at - 1] != self.separator:
                return None
        return None

    @cached_property
    def _field(self) -> re.Pattern[str]:
        separator, q = re.escape(self.separator), re.escape(self.quote or "")
        bare = f"[^{separator}\r\n{q}]*"
        return re.compile(f"{q}(?:[^{q}]|{q}{q})*{q}|{bare}" if q else bare)

    def _value(self, field: str) -> str:
        q = self.quote
        return field[1:-1].replace(q + q, q) if q and field.startswith(q) else field


@dataclass
class Written:
    """How the values of a file are written; by column, in the order of the fields."""

    integers: list[bool]
    """Whether every value is written as an Int64 is printed."""
    filled: list[bool]
    """Whether there is a value at all."""
    quoted: bool = False
    """Whether there are quotes, so that an empty field may be written as two of them."""
    blank: bool = False
    """Whether there are blank lines."""

    @classmethod
    def of(cls, n_columns: int) -> Written:
        """Of no records yet."""
        return cls([True] * n_columns, [False] * n_columns)

    def add(self, values: list[str]) -> None:
        """One more record."""
        for column, value in enumerate(values):
            if value:
                self.filled[column] = True
                self.integers[column] = self.integers[column] and is_integer(value)


@dataclass(frozen=True)
class Record:
    """A record as it is written."""

    line: int
    """That it begins on, from 1."""
    text: str
    last_line: int


def lines_of(stream: IO[bytes], form: Form, file: str) -> Iterator[str]:
    """The lines of a file, with their ends."""
    for number, line in enumerate(_raw_lines(stream, form.line_end.encode()), 1):
        try:
            yield line.removeprefix(BYTE_ORDER_MARK if number == 1 else b"").decode()
        except UnicodeDecodeError as error:
            raise not_utf8(file, f"line {number}", line[error.start : error.start + 1]) from None


def _raw_lines(stream: IO[bytes], end: bytes) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(1 << 20):
        *lines, rest = (rest + block).split(end)
        yield from (line + end for line in lines)
    if rest:
        yield rest


def records(lines: Iterable[str], form: Form, first_line: int = 1) -> Iterator[Record]:
    """The records, blank lines among them, comments left out; the lines are counted from `first_line`."""
    held, begin, odd = "", first_line, False
    for number, line in enumerate(lines, first_line):
        if not held:
            begin = number
            if form.comment and line.startswith(form.comment):
                continue
        held += line
        odd ^= bool(form.quote and line.count(form.quote) % 2)
        if not odd:
            yield Record(begin, _without_end(held, form), number)
            held = ""
        elif len(held) > LONGEST:
            break
    if held:
        yield Record(begin, held, begin)


def _without_end(record: str, form: Form) -> str:
    text = record.removesuffix(form.line_end)
    return text.removesuffix("\r") if form.line_end == "\n" else text


def leave_out_comments(found: Sequence[Record], form: Form) -> list[Advice]:
    """How to leave out the comments, if the first of these records that may be one is."""
    begun = (mark for r in found for mark in COMMENTS if r.text.startswith(mark))
    mark = None if form.comment else next(begun, None)
    if mark is None:
        return []
    do = f"Lines that begin with {mark!r} can be left out"
    return [Advice(do, python=f"comment={mark!r}", command=f"--comment '{mark}'")]


# --- held to the header ----------------------------------------------------------------------------


def look_at_records(
    found: Iterable[Record],
    form: Form,
    names: tuple[str, ...],
    file: str,
    hints: Sequence[Advice] = (),
) -> Written:
    """How the values are written, if each record has one for each of the columns.

    `hints` about the header go into errors.

    Raises
    ------
    AnnotationError
        Records with more or fewer fields, or a quote or a line end that is out of place.
    """
    written = Written.of(len(names))
    wrong: list[tuple[Record, int]] = []
    count = 0
    for record in found:
        if not record.text:
            written.blank = True
            continue
        values = form.values(record.text)
        if values is None:
            raise out_of_place(record, form, file)
        if len(values) == len(names):
            written.add(values)
            written.quoted |= bool(form.quote and form.quote in record.text)
        else:
            count += 1
            wrong += [(record, len(values))] if count <= SHOWN else []
    if count:
        raise _wrong_width(count, wrong, form, names, file, hints)
    return written


def _seen(record: Record, n_fields: int) -> str:
    return f"  line {record.line}, {counted(n_fields, 'field')}: {cut(record.text)}"


def cut(text: str) -> str:
    """The beginning of a text, in quotes.

    >>> cut("x" * 100) == repr("x" * 60) + "..."
    True
    """
    return repr(text[:WIDTH]) + ("..." if len(text) > WIDTH else "")


def _wrong_width(
    count: int,
    wrong: list[tuple[Record, int]],
    form: Form,
    names: tuple[str, ...],
    file: str,
    hints: Sequence[Advice],
) -> AnnotationError:
    columns = ", ".join(map(cut, names))
    advice = Advice(
        f"Put values that hold the separator {form.separator!r} in quotes, or mend the lines"
    )
    return AnnotationError(
        f"{file}: {counted(count, 'row')} without exactly {counted(len(names), 'field')}, one for each of "
        f"the columns {columns}:\n" + "\n".join(_seen(record, n) for record, n in wrong),
        *(leave_out_comments([record for record, _ in wrong], form) or [advice]),
        *hints,
    )


def out_of_place(record: Record, form: Form, file: str) -> AnnotationError:
    """The error for a quote inside of a field that does not begin with one, or that nothing closes, and for
    a line end of another kind outside of quotes."""
    q = form.quote
    if not q or q not in record.text:
        return AnnotationError(
            f"{file}: the record that begins on line {record.line} has a line end of another kind in it: "
            f"{cut(record.text)}.",
            Advice("Put the field in quotes, or write all line ends alike"),
        )
    return AnnotationError(
        f"{file}: the quotes {q} of the record that begins on line {record.line} are out of place: "
        f"{cut(record.text)}. A field with quotes or separators in it begins and ends with a quote, and "
        f"those inside are doubled ({q}a {q}{q}b{q}{q}{q}).",
        Advice("If quotes mean nothing in this file", python="quote=None", command="--quote none"),
    )


def not_utf8(file: str, where: str, byte: bytes) -> AnnotationError:
    """The error for bytes of another encoding."""
    return AnnotationError(
        f"{file}: the byte 0x{byte.hex()} in {where} is not UTF-8.",
        Advice(
            "Say in which encoding the file is written (Excel in western Europe: windows-1252; others are "
            "latin-1, utf-16, shift-jis)",
            python="encoding='windows-1252'",
            command="--encoding windows-1252",
        ),
    )
