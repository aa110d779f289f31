"""HTML that is built of escaped text: what is not marked as markup is none.

>>> print(tag("p", "1 < 2", tag("b", "!"), class_="note"))
<p class="note">1 &lt; 2<b>!</b></p>
"""

from __future__ import annotations

import html
import json
from typing import Any

from polars_crowd.escapes import escaped

EMPTY = ("meta", "br")


class Markup(str):
    """Text that is HTML."""

    __slots__ = ()


def tag(name: str, /, *inside: str, **attributes: Any) -> Markup:
    """An element; attributes that are None are left out, and `_` in their names is `-`."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{quoted(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in EMPTY:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{joined(*inside)}</{name}>")


def joined(*pieces: str) -> Markup:
    """Pieces of markup, and of text, which is escaped."""
    return Markup("".join(p if isinstance(p, Markup) else quoted(p) for p in pieces))


def quoted(text: str) -> str:
    """Text that is no markup, in an element or in an attribute; nothing in it steers a line."""
    return html.escape(escaped(text), quote=True)


def data(value: Any, **attributes: Any) -> Markup:
    """Data in a page for its scripts, which nothing in it can end.

    >>> print(data({"x": "</script>"}, id="d"))
    <script type="application/json" id="d">{"x": "\\u003c/script\\u003e"}</script>
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return tag("script", Markup(text), type="application/json", **attributes)
