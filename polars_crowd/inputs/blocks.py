"""A text file looked at in blocks of bytes: whether all is plain, and how the values are written.

Of a block the marks are kept, separators and line ends outside of quotes. Records of k fields leave k - 1
separators and a line end each, over and over, which is one comparison. What is not plain (bytes that are not
UTF-8, a quote out of place, another number of fields, comments) is left to `inputs.records`. Only in columns
that may still hold nothing but integers are the values looked at. Bytes are no log yet; to look at them
costs a third of reading them as a table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from polars_crowd.inputs.records import BYTE_ORDER_MARK, LONGEST, Form, Written

BLOCK = 1 << 18
"""Bytes that are looked at together: what stays in a core's cache."""
CR, ZERO, MINUS = b"\r0-"
DIGITS = 19
"""Of the largest Int64."""
LARGEST = np.array([b"9223372036854775807", b"9223372036854775808"])
"""The digits of the largest Int64 and of the smallest."""

Bytes = NDArray[np.uint8]
Places = NDArray[np.intp]
Mask = Any
"""An array of truth values."""


def look_at_blocks(
    stream: IO[bytes], form: Form, n_columns: int, begun: bytes = b""
) -> Written | None:
    """How the values are written, or None if something is not plain.

    The first record begins with `begun`, what was read already, and goes on in the stream.
    """
    written = Written.of(n_columns)
    rest = begun.removeprefix(BYTE_ORDER_MARK)
    while data := stream.read(BLOCK):
        rest += data
        length = _look(rest, form, written)
        if length is None or len(rest) > LONGEST:
            return None
        rest = rest[length:]
    if rest:
        last = rest + form.line_end.encode()
        return written if _look(last, form, written) == len(last) else None
    return written


def _look(raw: bytes, form: Form, written: Written) -> int | None:
    """Look at the whole records at the beginning of the bytes; how long these are, None if not plain."""
    block = Block.of(raw, form)
    length, k = len(block.raw), len(written.filled)
    # a blank line is no record, but where there is one column only it is an empty field
    if (k == 1 or not block.has_width(k)) and block.has_blank_lines:
        rest = Block.of(block.without_blank_lines, form)
        written.blank |= len(rest.marks) < len(block.marks)
        block = rest
    if not block.has_width(k) or not block.is_plain:
        return None
    written.quoted |= block.quoted
    open_to = [c for c in range(k) if written.integers[c] or not written.filled[c]]
    if block.raw and open_to and not (all(written.filled) and block.all_integers):
        for column in open_to:
            _learn(written, column, block, k)
    return length


@dataclass(frozen=True)
class Block:
    """Some whole records."""

    form: Form
    raw: bytes
    marks: bytes
    """The separators and line ends outside of quotes, in their order."""
    quotes: Places
    """Where the quotes are."""

    @classmethod
    def of(cls, raw: bytes, form: Form) -> Block:
        """The records that end in these bytes."""
        end = form.line_end.encode()
        if form.quote and form.quote.encode() in raw:
            return cls._with_quotes(raw, form)
        raw = raw[: raw.rfind(end) + 1]
        marks = raw.translate(None, _all_but(form.separator.encode() + end))
        return cls(form, raw, marks, np.empty(0, np.intp))

    @classmethod
    def _with_quotes(cls, raw: bytes, form: Form) -> Block:
        end, quote = form.line_end.encode(), form.quote or ""
        quotes = np.flatnonzero(np.frombuffer(raw, np.uint8) == ord(quote))
        length = raw.rfind(end) + 1
        while (before := int(np.searchsorted(quotes, length))) % 2:  # a line end within quotes
            length = raw.rfind(end, 0, length - 1) + 1
        raw, quotes = raw[:length], quotes[:before]
        kept = raw.translate(None, _all_but(f"{form.separator}{form.line_end}{quote}".encode()))
        marks = np.frombuffer(kept, np.uint8)
        return cls(form, raw, marks[_is_outside(marks == ord(quote))].tobytes(), quotes)

    @property
    def quoted(self) -> bool:
        """Whether there are quotes."""
        return len(self.quotes) > 0

    def has_width(self, k: int) -> bool:
        """Whether every record has k fields."""
        record = self.form.separator.encode() * (k - 1) + self.form.line_end.encode()
        return self.marks == record * (len(self.marks) // k)

    @property
    def is_plain(self) -> bool:
        """Whether these are UTF-8 without comments, with quotes around whole fields and line ends of one
        kind only."""
        in_place = self._quotes_in_place and self._line_ends_alike
        return in_place and self._decodes and not self._commented

    @property
    def has_blank_lines(self) -> bool:
        """Whether there are any, within quotes included."""
        end = self.form.line_end.encode()
        blank = (end, b"\r" + end)
        return self.raw.startswith(blank) or any(end + line in self.raw for line in blank)

    @property
    def without_blank_lines(self) -> bytes:
        """The bytes without them."""
        end = re.escape(self.form.line_end).encode()
        return re.sub(rb"(?:\A|(?<=" + end + rb"))(?:\r?" + end + rb")+", b"", self.raw)

    @property
    def _decodes(self) -> bool:
        try:
            self.raw.decode()
        except UnicodeDecodeError:
            return False
        return True

    @property
    def _commented(self) -> bool:
        mark, end = (self.form.comment or "").encode(), self.form.line_end.encode()
        return bool(mark) and (self.raw.startswith(mark) or end + mark in self.raw)

    @property
    def _quotes_in_place(self) -> bool:
        """Whether each field's quotes are its first and last byte, or doubled between these."""
        if not self.quoted:
            return True
        opening, closing = self.quotes[0::2], self.quotes[1::2]
        form = self.form
        beside = _among(form.separator + form.line_end + (form.quote or ""))
        began = (opening == 0) | beside[self.values[np.maximum(opening, 1) - 1]]
        ended = beside[self.values[closing + 1]] | self._returns(closing + 1)
        return bool(began.all()) and bool(ended.all())

    @property
    def _line_ends_alike(self) -> bool:
        if self.form.line_end == "\r":
            return b"\n" not in self.raw
        return b"\r" not in self.raw or self.raw.count(b"\r") == self.raw.count(b"\r\n")

    def _returns(self, places: Places) -> Mask:
        """Whether there is a carriage return that belongs to a line end."""
        last = len(self.values) - 1
        behind = self.values[np.minimum(places + 1, last)]
        return (self.values[places] == CR) & (behind == ord(self.form.line_end))

    @cached_property
    def values(self) -> Bytes:
        """The bytes as an array."""
        return np.frombuffer(self.raw, np.uint8)

    @cached_property
    def marked(self) -> Mask:
        """Where separators and line ends are, in quotes included."""
        form, values = self.form, self.values
        return (values == ord(form.separator)) | (values == ord(form.line_end))

    @property
    def all_integers(self) -> bool:
        """Whether all values are digits without zeros before them, and too few to be too large."""
        if not self.all_digits:
            return False
        zero = self.values == ZERO
        padded = self.marked[:-2] & zero[1:-1] & ~self.marked[2:]
        first = bool(zero[0]) and not self.marked[1]
        return not first and not padded.any() and not self._has_long_values

    @property
    def _has_long_values(self) -> bool:
        """Whether there is a value of 19 bytes or more."""
        run = ~self.marked
        for further in (1, 2, 4, 8, 3):  # runs of 2, 4, 8, 16 and 19
            run = run[:-further] & run[further:]
        return bool(run.any())

    @cached_property
    def ends(self) -> Places:
        """Where the marks are that end the fields."""
        if not self.quoted:
            return np.flatnonzero(self.marked)
        marked = self.marked.copy()
        marked[self.quotes] = True
        places = np.flatnonzero(marked)
        outside: Places = places[_is_outside(self.values[places] == ord(self.form.quote or ""))]
        return outside

    @cached_property
    def all_digits(self) -> bool:
        """Whether there are only digits between the marks."""
        return int(np.count_nonzero((self.values - ZERO) > 9)) == len(self.marks)


def _is_outside(quote: Mask) -> Mask:
    """Whether marks are no quotes and not within quotes."""
    inside = np.cumsum(quote, dtype=np.uint8) & 1
    return ~quote & (inside == 0)


@cache
def _among(marks: str) -> NDArray[np.bool_]:
    """For each byte whether it is one of these."""
    return np.isin(np.arange(256), [ord(mark) for mark in marks])


@cache
def _all_but(marks: bytes) -> bytes:
    """All other bytes."""
    return bytes(byte for byte in range(256) if byte not in marks)


# --- how values are written ------------------------------------------------------------------------


def _learn(written: Written, column: int, block: Block, k: int) -> None:
    """Whether a column has values, and only such as are written like integers."""
    starts, ends = _inside(block, column, k)
    there = ends > starts
    written.filled[column] = written.filled[column] or bool(there.any())
    if written.integers[column]:
        written.integers[column] = bool((_are_integers(block, starts, ends) | ~there).all())


def _inside(block: Block, column: int, k: int) -> tuple[Places, Places]:
    """Where the values of a column begin and end, without quotes and carriage returns."""
    ends = block.ends[column::k]
    if column:
        starts = block.ends[column - 1 :: k] + 1
    else:
        starts = np.concatenate([ends[:0], [0], block.ends[k - 1 :: k] + 1])[: len(ends)]
    if column == k - 1 and block.form.line_end == "\n" and b"\r" in block.raw:
        ends = ends - ((block.values[ends - 1] == CR) & (ends > starts))
    if block.quoted:
        quoted = block.values[starts] == ord(block.form.quote or "")
        starts, ends = starts + quoted, ends - quoted
    return starts, ends


def _are_integers(block: Block, starts: Places, ends: Places) -> Mask:
    """Whether each value is written as the Int64 that it names is printed."""
    length = ends - starts
    lead = block.values[starts]
    if block.all_digits and length.max() < DIGITS:
        return (lead != ZERO) | (length == 1)
    negative = lead == MINUS
    first, length = starts + negative, length - negative
    zero = block.values[first] == ZERO
    short = (length > 0) & (length < DIGITS) & (~zero | ((length == 1) & ~negative))
    fits = short | _fit(block, first, length, negative, zero)
    return fits & _digits(block, first, ends)


def _digits(block: Block, first: Places, ends: Places) -> Mask:
    """Whether the first 19 bytes between these places are digits."""
    digits = np.ones(len(first), bool)
    for place in range(min(int((ends - first).max()), DIGITS)):
        at = first + place
        digits &= (at >= ends) | ((block.values[np.minimum(at, ends)] - ZERO) <= 9)
    return digits


def _fit(block: Block, first: Places, length: Places, negative: Mask, zero: Mask) -> Mask:
    """Whether a number has as many digits as the largest Int64 and is no larger."""
    fits = (length == DIGITS) & ~zero
    longest = np.flatnonzero(fits)
    digits = block.values[first[longest][:, None] + np.arange(DIGITS)]
    largest = LARGEST[negative[longest].astype(np.intp)]
    fits[longest] = digits.view(f"S{DIGITS}").ravel() <= largest
    return fits
