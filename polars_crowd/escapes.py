"""Characters of data that would steer a terminal, or cannot be seen, shown as Python escapes them.

An id may hold what moves the cursor, sets a title, ends a line or turns the direction of writing; two
ids may differ in a space of no width alone. In tables and messages such characters are `\\x1b`, `\\u202e`.
"""

from __future__ import annotations

import re
from functools import cache

import polars as pl

STEERING = (
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f]"
)
"""Control characters, ends of lines, marks of direction, and what has no width."""
_IN_TEXT = re.compile(f"{STEERING}|[\ud800-\udfff]")
"""... and halves of characters, which names of files may hold."""


def escaped(text: str) -> str:
    r"""The text without what steers a terminal.

    >>> print(escaped("a\x1b[31mb\u202e\n"))
    a\x1b[31mb\u202e\n
    """
    return _IN_TEXT.sub(lambda found: repr(found[0])[1:-1], text)


def escaped_lines(text: str) -> str:
    """... of several lines."""
    return "\n".join(map(escaped, text.split("\n")))


def escaped_texts(texts: pl.Expr) -> pl.Expr:
    """The same for columns of text."""
    characters, instead = _replacements()
    return texts.str.replace_many(characters, instead)


@cache
def _replacements() -> tuple[list[str], list[str]]:
    every = map(chr, (*range(0xFFFF), *range(0xE0000, 0xE0080)))
    characters = [one for one in every if re.match(STEERING, one)]
    return characters, list(map(escaped, characters))
