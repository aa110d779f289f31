"""A text file looked at in blocks of bytes: whether all is plain, and how the values are written.

The marks of a block, separators and line ends outside of quotes, are found at once. Where every record has k
fields, every k-th mark is a line end and no other is. What is not plain (bytes that are not UTF-8, a quote
out of place, another number of fields, comments) is left to `inputs.records`. Bytes are no log yet; to look
at them costs a third of reading them as a table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
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
        written.blank = True
        block = Block.of(block.without_blank_lines, form)
    if not block.is_plain or not block.has_width(k):
        return None
    written.quoted |= len(block.quotes) > 0
    for column in range(k if len(block.ends) else 0):
        _learn(written, column, block, k)
    return length


@dataclass(frozen=True)
class Block:
    """Some whole records."""

    form: Form
    raw: bytes
    values: Bytes
    ends: Places
    """The marks that end the fields."""
    quotes: Places

    @classmethod
    def of(cls, raw: bytes, form: Form) -> Block:
        """The records that end in these bytes."""
        values = np.frombuffer(raw, np.uint8)
        has_quotes = form.quote is not None and form.quote.encode() in raw
        ends, quotes = _marks(values, form, has_quotes)
        line_ends = np.flatnonzero(values[ends] == ord(form.line_end))
        ends = ends[: line_ends[-1] + 1] if len(line_ends) else ends[:0]
        length = int(ends[-1]) + 1 if len(ends) else 0
        return cls(form, raw[:length], values[:length], ends, quotes[quotes < length])

    def has_width(self, k: int) -> bool:
        """Whether every record has k fields."""
        if len(self.ends) % k:
            return False
        at_line_end = (self.values[self.ends] == ord(self.form.line_end)).reshape(-1, k)
        return bool(at_line_end[:, -1].all()) and not at_line_end[:, :-1].any()

    @property
    def is_plain(self) -> bool:
        """Whether these are UTF-8 without comments and with quotes around whole fields only."""
        return self._decodes and not self._commented and self._quotes_in_place

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

    @cached_property
    def all_digits(self) -> bool:
        """Whether there are only digits between the marks."""
        return int(np.count_nonzero((self.values - ZERO) > 9)) == len(self.ends)

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
        if not len(self.quotes):
            return True
        opening, closing = self.quotes[0::2], self.quotes[1::2]
        began = (opening == 0) | self._are_marks(np.maximum(opening, 1) - 1)
        after = closing + 1
        after += self.values[after] == CR if self.form.line_end == "\n" else 0
        return bool(began.all()) and bool(self._are_marks(after).all())

    def _are_marks(self, places: Places) -> Mask:
        form = self.form
        marks = [ord(mark) for mark in (form.separator, form.line_end, form.quote) if mark]
        return np.isin(self.values[places], marks)


def _marks(values: Bytes, form: Form, has_quotes: bool) -> tuple[Places, Places]:
    """Where separators and line ends outside of quotes are, and quotes."""
    marked = (values == ord(form.separator)) | (values == ord(form.line_end))
    if not has_quotes:
        return np.flatnonzero(marked), np.empty(0, np.intp)
    is_quote = values == ord(form.quote or "")
    places = np.flatnonzero(marked | is_quote)
    quote = is_quote[places]
    inside = np.cumsum(quote, dtype=np.uint8) & 1
    return places[~quote & (inside == 0)], places[quote]


# --- how values are written ------------------------------------------------------------------------


def _learn(written: Written, column: int, block: Block, k: int) -> None:
    """Whether a column has values, and only such as are written like integers."""
    if written.filled[column] and not written.integers[column]:
        return
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
    if len(block.quotes):
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
