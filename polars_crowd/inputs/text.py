"""Text files: CSV, TSV and their kin, compressed or not, in any encoding.

A file is looked through once when it is opened: every record is held to the header, also in columns that
nobody uses, and what its columns hold is seen in all of its values. Then it is a lazy scan like any other.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypedDict

import polars as pl

from polars_crowd.errors import Advice, AnnotationError, OptionError, shown, warn
from polars_crowd.inputs.blocks import look_at_blocks
from polars_crowd.inputs.records import (
    BYTE_ORDER_MARK,
    Form,
    LineEnd,
    Record,
    Written,
    leave_out_comments,
    lines_of,
    look_at_records,
    out_of_place,
    records,
)
from polars_crowd.inputs.streams import in_utf8, new_copy, readable

SEPARATORS = (",", ";", "\t", "|")
SAMPLE = 1 << 16
"""Bytes from which separator and line end are found out."""
NO_HEADER = Advice("Say that there is none", python="has_header=False", command="--no-header")
COMPARED = 100
"""Records of these that are compared."""


@dataclass(frozen=True)
class Reading:
    """How files are to be read; what is not said is found out, and said where it is not as usual.

    Parameters
    ----------
    separator
        The character between the fields of a text file (`.csv`, `.tsv`, `.txt`). By default a tab in `.tsv`,
        and elsewhere that of `,` `;` tab `|` which the header shows; a warning says so if it is no comma.
    encoding
        The encoding of a text file, as Python names it: `"windows-1252"`, `"latin-1"`, `"utf-16"`. By
        default UTF-8, with or without byte order mark; other bytes are an error.
    has_header
        Whether the first line of a text file, or row of a sheet, names the columns.
    columns
        The names of the columns, in order, where there is no header; by default `column_1`, `column_2`, ...
    comment
        How lines of a text file begin that are to be left out: `"#"`.
    quote
        The quotes around fields with separators, line ends or quotes in them, which are doubled inside. None
        where quotes mean nothing.
    sheet
        The name of the sheet of an Excel workbook, or its number from 1; needed if there are several.
    """

    separator: str | None = None
    encoding: str | None = None
    has_header: bool = True
    columns: Sequence[str] | None = None
    comment: str | None = None
    quote: str | None = '"'
    sheet: str | int | None = None

    def __post_init__(self) -> None:
        for name in ("separator", "quote"):
            value = getattr(self, name)
            if value is not None and not (
                len(value) == 1 and value.isascii() and value not in "\r\n"
            ):
                raise OptionError(name, value, "it must be a single ASCII character.")
        if self.comment == "":
            raise OptionError("comment", "", "it must say how a comment begins: '#', say.")
        if self.columns is not None and self.has_header:
            wrong = "it names the columns of a file without a header."
            raise OptionError("columns", self.columns, wrong, NO_HEADER)
        if self.encoding is not None:
            _check_known(self.encoding)

    @property
    def given(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        values = {f.name: (getattr(self, f.name), f.default) for f in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}


def _check_known(encoding: str) -> None:
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise OptionError("encoding", encoding, "Python knows no encoding of this name.") from None


class ReadingOptions(TypedDict, total=False):
    """The options of `Reading`, for functions that pass them on."""

    separator: str | None
    encoding: str | None
    has_header: bool
    columns: Sequence[str] | None
    comment: str | None
    quote: str | None
    sheet: str | int | None


# --- a file that was looked through ----------------------------------------------------------------


@dataclass(frozen=True)
class TextFile:
    """A text file that was looked through."""

    path: str
    """In UTF-8: itself, or a copy."""
    file: str
    """What errors call it."""
    names: tuple[str, ...]
    form: Form
    first_line: int
    """How many lines come before the first record."""
    written: Written
    hints: tuple[Advice, ...]
    """What may be wrong with how it is read, where its columns are not those that it should have."""

    @property
    def kind(self) -> tuple[Any, ...]:
        """Equal for files that can be scanned together."""
        written = self.written
        return self.names, self.form, self.first_line, written.quoted, written.blank

    def integers(self, column: str) -> bool | None:
        """Whether all values are written as integers are printed; None if there are none."""
        k = self.names.index(column)
        return self.written.integers[k] if self.written.filled[k] else None


def open_text(path: str, reading: Reading) -> TextFile:
    """A text file, looked through.

    Raises
    ------
    AnnotationError
        A record has more or fewer fields than the header, a column is named twice, a quote is out of place,
        bytes are not of the encoding.
    """
    stat = Path(path).stat()
    columns = None if reading.columns is None else tuple(reading.columns)
    reading = replace(reading, columns=columns)
    found = _looked_through(path, stat.st_size, stat.st_mtime_ns, reading)
    separator = found.form.separator
    if reading.separator is None and separator not in (",", usual_separator(path)):
        say = Advice(
            "Say so to read it without this warning",
            python=f"separator={separator!r}",
            command=f"--separator '{separator}'",
        )
        warn(f"{path}: the separator is {separator!r}, as its first line shows.", say)
    return found


@lru_cache(maxsize=1024)
def _looked_through(path: str, size: int, changed: int, reading: Reading) -> TextFile:
    """What a file holds, as long as it stays as it is."""
    copy = path
    if reading.encoding and codecs.lookup(reading.encoding).name not in ("utf-8", "utf-8-sig"):
        copy = in_utf8(path, reading.encoding)
    with readable(copy, path) as stream:
        sample = stream.read(SAMPLE)
    form = found_form(sample, reading, path)
    head = _first_record(copy, form, path)
    if head is None:
        raise AnnotationError(f"{path} is empty: there is no header.")
    names = _names(head, form, reading, path)
    first = _first_record(copy, form, path, head.last_line) if reading.has_header else head
    first_line = first.line - 1 if first else head.last_line
    hints = _hints(head, form, names, reading)
    written = _quickly(copy, form, names, first_line, path)
    if written is None:
        written = _slowly(copy, form, names, first_line, path, hints)
        if form.comment:
            copy, first_line = _without_comments(copy, form, first_line, path), 0
    return TextFile(copy, path, names, form, first_line, written, hints)


def _first_record(copy: str, form: Form, file: str, after: int = 0) -> Record | None:
    """The first record behind so many lines that is not blank."""
    with readable(copy, file) as stream:
        return next((r for r in _records_after(stream, after, form, file) if r.text), None)


def _names(head: Record, form: Form, reading: Reading, file: str) -> tuple[str, ...]:
    values = form.values(head.text)
    if values is None:
        raise out_of_place(head, form, file)
    if reading.has_header:
        return checked_names(values, file)
    numbered = [f"column_{k}" for k in range(1, len(values) + 1)]
    return checked_names(reading.columns or numbered, file)


def checked_names(names: Sequence[str], file: str) -> tuple[str, ...]:
    """The names of columns, each there once."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise AnnotationError(
            f"{file}: several columns are named {shown(twice)}; the columns are {shown(list(names), 20)}.",
            Advice("Give each its own name"),
        )
    return tuple(names)


def _quickly(
    copy: str, form: Form, names: tuple[str, ...], first_line: int, file: str
) -> Written | None:
    with readable(copy, file) as stream:
        begun = _after_lines(stream, first_line, form.line_end.encode())
        return look_at_blocks(stream, form, len(names), begun)


def _slowly(
    copy: str,
    form: Form,
    names: tuple[str, ...],
    first_line: int,
    file: str,
    hints: tuple[Advice, ...],
) -> Written:
    with readable(copy, file) as stream:
        found = _records_after(stream, first_line, form, file)
        return look_at_records(found, form, names, file, hints)


def _records_after(stream: IO[bytes], n: int, form: Form, file: str) -> Iterator[Record]:
    """The records behind n lines."""
    return records(islice(lines_of(stream, form, file), n, None), form, n + 1)


def _without_comments(copy: str, form: Form, first_line: int, file: str) -> str:
    """A copy of the records that are not blank."""
    with readable(copy, file) as stream, new_copy(Path(file).stem).open("wb") as out:
        for record in _records_after(stream, first_line, form, file):
            if record.text:
                out.write((record.text + form.line_end).encode())
        return out.name


def _after_lines(stream: IO[bytes], n: int, end: bytes) -> bytes:
    """What was read of a stream beyond n lines."""
    read = b""
    while read.count(end) < n and (more := stream.read(SAMPLE)):
        read += more
    parts = read.split(end, n)
    return parts[n] if len(parts) > n else b""


def _hints(
    head: Record, form: Form, names: tuple[str, ...], reading: Reading
) -> tuple[Advice, ...]:
    """What may be wrong with how a file is read, where it has not the columns that it should have."""
    hints = leave_out_comments([head], form)
    if len(names) == 1 and reading.separator is None:
        none = "Its first line has none of the separators ',' ';' tab '|'; say what separates"
        hints.append(Advice(none, python="separator=...", command="--separator CHARACTER"))
    return tuple(hints)


# --- what its form is ------------------------------------------------------------------------------


def usual_separator(path: str) -> str:
    """What the name of a file promises."""
    return "\t" if ".tsv" in Path(path.lower()).suffixes else ","


def found_form(sample: bytes, reading: Reading, file: str) -> Form:
    """How the records at the beginning of a file are written.

    >>> found_form(b"example;annotator;label\\n1;a;3,5\\n", Reading(), "log.csv").separator
    ';'
    """
    _check_encoding(sample, file)
    end: LineEnd = "\r" if b"\r" in sample and b"\n" not in sample else "\n"
    if reading.separator is not None:
        return Form(reading.separator, reading.quote, end, reading.comment)
    if usual_separator(file) == "\t":
        return Form("\t", reading.quote, end, reading.comment)
    forms = [Form(separator, reading.quote, end, reading.comment) for separator in SEPARATORS]
    widths = {form: _widths(sample, form) for form in forms}
    splitting = [form for form in forms if widths[form] and (widths[form][0] or 0) > 1]
    evenly = [form for form in splitting if len(set(widths[form])) == 1]
    if len(splitting) > 1 and len(evenly) != 1:
        raise AnnotationError(
            f"{file}: its first line may be separated by any of {shown([f.separator for f in splitting])}.",
            Advice("Say by which", python="separator=...", command="--separator CHARACTER"),
        )
    return [*evenly, *splitting, forms[0]][0]


def _widths(sample: bytes, form: Form) -> list[int | None]:
    """How many fields each of the first records has, None where a quote is out of place."""
    *lines, rest = (
        sample.removeprefix(BYTE_ORDER_MARK).decode(errors="replace").split(form.line_end)
    )
    ended = [line + form.line_end for line in lines] + [rest] * (len(sample) < SAMPLE or not lines)
    found = islice((record for record in records(ended, form) if record.text), COMPARED)
    values = [form.values(record.text) for record in found]
    return [None if value is None else len(value) for value in values]


def _check_encoding(sample: bytes, file: str) -> None:
    """Errors for what is visibly UTF-16, which reads as UTF-8 with zeros between."""
    if sample[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise AnnotationError(
            f"{file} begins with the byte order mark of UTF-16.", _say_encoding("utf-16")
        )
    if sample[:200].count(0) > len(sample[:200]) // 4:
        order = "be" if sample[:1] == b"\0" else "le"
        raise AnnotationError(
            f"{file} has a zero in every other byte, as UTF-16 has.",
            _say_encoding(f"utf-16-{order}"),
        )


def _say_encoding(name: str) -> Advice:
    return Advice(
        "Say in which encoding it is", python=f"encoding={name!r}", command=f"--encoding {name}"
    )


# --- read ------------------------------------------------------------------------------------------


def scan_text(files: Sequence[TextFile], dtypes: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """Files of one kind as a lazy scan; a column is text if `dtypes` does not say that it is Int64."""
    first = files[0]
    frame = pl.scan_csv(
        [file.path for file in files],
        has_header=False,
        skip_lines=first.first_line,
        schema={name: dtypes.get(name, pl.String()) for name in first.names},
        separator=first.form.separator,
        quote_char=first.form.quote,
        eol_char=first.form.line_end,
        missing_columns="insert",  # where no line but blank ones follows
        glob=False,
        raise_if_empty=False,
    )
    if first.written.blank:
        frame = frame.filter(pl.any_horizontal(pl.all().is_not_null()))
    if first.written.quoted:
        text = pl.col(pl.String)
        frame = frame.with_columns(pl.when(text != "").then(text))
    return frame
