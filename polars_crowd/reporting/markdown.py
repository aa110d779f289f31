r"""A report as Markdown (CommonMark, with the tables of GitHub), for pipelines and datasets' cards.

Text of the log cannot be markup: values stand in code, or have every sign of markup escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from polars_crowd.cells import cells, heading, is_number
from polars_crowd.escapes import escaped
from polars_crowd.reporting.content import (
    Content,
    Number,
    Quoted,
    Section,
    Sentence,
    Table,
    with_interval,
)

MARKUP = re.compile(r"([\\`*_\[\]<>|&~$#!^{}])")
LINKS = re.compile(r"(?i)(:)(?=//)|((?<=www)\.)|(@)|(?<=mailto)(:)|(?<=xmpp)(:)")
"""Where GitHub would make a link of plain text."""
FIRST = re.compile(r"^(\s*(?:\d+)?)([-+=.)])(?=\s|$)")
"""What would begin a list, or make a heading of the line before."""


def markdown_text(content: Content) -> str:
    """The document."""
    lines = [f"# {text(content.title)}", ""]
    for section in content.sections:
        lines += of_section(section)
    return "\n".join(lines).rstrip("\n") + "\n"


def text(plain: str) -> str:
    r"""Text that is no markup, wherever it stands in a line.

    >>> print(text("<b>[x](http://y)</b> | `z`"))
    \<b\>\[x\](http&#58;//y)\</b\> \| \`z\`
    """
    return FIRST.sub(r"\1\\\2", within(plain))


def within(plain: str) -> str:
    """... in a line that has begun."""
    shown = MARKUP.sub(r"\\\1", escaped(plain))
    return LINKS.sub(lambda found: f"&#{ord(found[0])};", shown)


def code(plain: str) -> str:
    """A value as code; where it has signs that code cannot hold in a table, as text.

    >>> print(code("cat"), code("a|b"))
    `cat` a\\|b
    """
    shown = escaped(plain)
    if re.search(r"[`|\\]", shown) or shown != shown.strip() or not shown:
        return text(plain)
    return f"`{shown}`"


def said(sentence: Sentence) -> str:
    """A sentence, with what is of the log as code."""
    parts = (code(part.text) if isinstance(part, Quoted) else within(part) for part in sentence)
    return "".join(parts)


def of_section(section: Section) -> Iterator[str]:
    yield from (f"## {text(section.title)}", "")
    for paragraph in section.text:
        yield from (said(paragraph), "")
    if section.numbers:
        yield from (*map(of_number, section.numbers), "")
    for k, finding in enumerate(section.findings, 1):
        yield f"{k}. **{finding.severity}**: {said(finding.says)}"
        yield f"   *What to do:* {said(finding.do)}"
    if section.findings:
        yield ""
    for table in section.tables:
        yield from of_table(table)


def of_number(number: Number) -> str:
    note = f" ({text(number.note)})" if number.note else ""
    return f"- {text(number.name)}: {with_interval(number.value, number.low, number.high)}{note}"


def of_table(table: Table) -> Iterator[str]:
    """The table with its title and what it says."""
    yield from (f"### {text(table.title)}", "")
    if table.says:
        yield from (text(table.says), "")
    frame = table.frame
    numbers = [is_number(*column) for column in frame.schema.items()]
    yield f"| {' | '.join(text(heading(name)) for name in frame.columns)} |"
    yield f"| {' | '.join('---:' if number else '---' for number in numbers)} |"
    for row in cells(frame):
        shown = (c if number else text(c) for c, number in zip(row, numbers, strict=True))
        yield f"| {' | '.join(shown)} |"
    if table.more:
        yield from ("", f"... and {table.more:,} more.")
    yield ""
