"""What a report says, before it is written as HTML, Markdown or JSON: numbers, findings, tables, charts.

It is computed once, and whoever writes it computes nothing: all three say the same. Text of the log (an id, a
label) stands in sentences as a `Quoted` value, so that each writer can show it as what it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import getdoc
from string import Formatter
from typing import Any

import polars as pl

from polars_crowd.cells import number_text
from polars_crowd.errors import shortened, shown_value
from polars_crowd.escapes import escaped
from polars_crowd.inputs.findings import SEVERITIES
from polars_crowd.inputs.suspicions import Severity

MOST = 30
"""Rows of a table of annotators, of groups, of classes."""


@dataclass(frozen=True)
class Quoted:
    """A value of the log in a sentence."""

    value: Any

    def __str__(self) -> str:
        return shown_value(self.value)

    @property
    def text(self) -> str:
        """The value where it is seen to be one: not quoted, and cut if it is long."""
        return shortened(str(self.value))


Sentence = tuple["str | Quoted", ...]


def sentence(template: str, **values: Any) -> Sentence:
    """A sentence with values in the place of `{name}`; text is written as it is, and `{name!r}` is quoted.

    >>> plain(sentence("{who!r} gave {n} labels.", who="ann", n="1,200"))
    "'ann' gave 1,200 labels."
    """
    parts: list[str | Quoted] = []
    for text, name, _, conversion in Formatter().parse(template):
        parts += [text] if text else []
        if name is not None:
            parts.append(Quoted(values[name]) if conversion == "r" else str(values[name]))
    return tuple(parts)


def listed(values: Sequence[Any], most: int = 5) -> Sentence:
    """Values one after another, and how many more there are."""
    parts: list[str | Quoted] = []
    for value in values[:most]:
        parts += [", ", Quoted(value)] if parts else [Quoted(value)]
    more = len(values) - most
    return (*parts, f", ... ({more:,} more)") if more > 0 else tuple(parts)


def not_computed(why: str) -> Sentence:
    """What is said in the place of what this log does not allow."""
    return sentence("Not computed: {why}", why=why)


def plain(said: Sentence) -> str:
    """The sentence as text without what steers a terminal."""
    return escaped("".join(map(str, said)))


@dataclass(frozen=True)
class Number:
    """A headline number, with its interval where it has one."""

    key: str
    name: str
    value: float | int | None
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """Something about the log in words, with its number and what to do about it.

    `severity` is `"error"` for what makes results untrustworthy, `"warning"` for what costs quality, `"note"`
    for what is worth knowing. Of one severity the one that touches the largest `reach` comes first, the share
    of the annotations, examples or annotators that it is about.
    """

    key: str
    severity: Severity
    reach: float
    says: Sentence
    do: Sentence
    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def rank(self) -> tuple[int, float, str]:
        return SEVERITIES.index(self.severity), -self.reach, self.key


@dataclass(frozen=True)
class Table:
    """A table; `total` rows in all, where it was cut."""

    key: str
    title: str
    frame: pl.DataFrame
    says: str = ""
    total: int | None = None

    @classmethod
    def first(cls, key: str, title: str, frame: pl.DataFrame, says: str = "") -> Table:
        """The first rows of a table that may be long."""
        return cls(key, title, frame.head(MOST), says, frame.height)

    @property
    def more(self) -> int:
        """How many rows are left out."""
        return (self.total or self.frame.height) - self.frame.height


@dataclass(frozen=True)
class Chart:
    """A picture of one of the section's tables, drawn when it is asked for."""

    key: str
    title: str
    table: str
    """The key of the table that has its numbers."""
    draw: Callable[..., Any]
    """The function of `plot` with what it is drawn from."""
    given: tuple[Any, ...] = ()
    folds: bool = True
    """Whether the table is there for those only who want to read its numbers."""
    reading: str = ""
    """How to read it, where that is not what its function says."""

    @property
    def says(self) -> str:
        """How to read it, as its function says."""
        if self.reading:
            return self.reading
        found = re.search(
            r"\*\*How to read it\.\*\*(.*?)(?:\n\n|$)", getdoc(self.draw) or "", re.DOTALL
        )
        return " ".join(found[1].replace("`", "").split()) if found else ""


@dataclass(frozen=True)
class Section:
    """A part of a report."""

    key: str
    title: str
    text: Sequence[Sentence] = ()
    numbers: Sequence[Number] = ()
    findings: Sequence[Finding] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.text or self.numbers or self.findings or self.tables)


@dataclass(frozen=True)
class Content:
    """All of a report."""

    title: str
    sections: Sequence[Section]
    about: Mapping[str, Any]
    """How it was made: versions, options, fingerprint."""

    @property
    def findings(self) -> Sequence[Finding]:
        return [finding for section in self.sections for finding in section.findings]

    def tables(self) -> Iterator[Table]:
        for section in self.sections:
            yield from section.tables


# --- how numbers are written -----------------------------------------------------------------------


def with_interval(value: float | None, low: float | None, high: float | None) -> str:
    """A number and its interval.

    >>> with_interval(0.41, 0.38, 0.44), with_interval(3, None, None)
    ('0.410 (0.380 to 0.440)', '3')
    """
    ends = interval(low, high)
    return number_text(value) + (f" ({ends})" if ends else "")


def interval(low: float | None, high: float | None) -> str:
    """An interval; nothing where there is none."""
    return "" if low is None or high is None else f"{number_text(low)} to {number_text(high)}"


def share_text(share: float) -> str:
    """A share as percent.

    >>> share_text(0.0512), share_text(0.5), share_text(0.0004)
    ('5.1 %', '50 %', '0.04 %')
    """
    return f"{100 * share:.2g} %" if share < 1 else "100 %"
