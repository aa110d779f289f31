"""What a command answers: a report for people; for programs one JSON document, or its main table as CSV.

A command returns an `Answer`; `common.told` prints it as --format, --quiet and --out - ask for.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from textwrap import fill
from typing import Any, Literal

import polars as pl

from polars_crowd.errors import counted
from polars_crowd.escapes import STEERING, escaped_lines
from polars_crowd.reports import ALL_OF_IT, UNLIMITED, blocks, line_width, presentable
from polars_crowd.rounds.writing import count_kept, flat, warn_of_kept, without_formulas

Format = Literal["table", "json", "csv"]
Rows = pl.LazyFrame | pl.DataFrame

MOST = 50
"""Rows of a table that are printed for people."""
SHOWN = 5
"""Rows of a table that is only looked into."""
LEAST = 24
"""Characters of a text that are shown on the narrowest line."""
PLAIN: dict[str, Any] = {
    "tbl_formatting": "NOTHING",
    "tbl_hide_column_data_types": True,
    "tbl_cell_numeric_alignment": "RIGHT",
    "tbl_width_chars": UNLIMITED,
    "fmt_str_lengths": UNLIMITED,
    "float_precision": 4,
}


@dataclass(frozen=True)
class Block:
    """A piece of a report: lines of text, or a table with its title."""

    text: str
    table: pl.DataFrame | None = None
    total: int | None = None
    """How many rows the table has, if it was cut before."""
    aside: bool = False
    """Whether --quiet leaves it out."""
    exact: bool = False
    """Whether its lines may be wider than the terminal."""


@dataclass(frozen=True)
class Answer:
    """What a command found."""

    rows: Rows
    """The main table: what CSV prints, and JSON if there is no document."""
    report: Callable[[], Iterable[Block]]
    document: Callable[[], Mapping[str, Any]] | None = None
    """What JSON prints: values, and tables as their rows."""
    complaints: Sequence[str] = ()
    """What is told on stderr."""
    fails: bool = False
    """Whether the exit code is 1."""
    text: str | None = None
    """What goes to standard output as it is, in the place of a table."""


def aside(text: str, table: pl.DataFrame | None = None) -> Block:
    """A piece that --quiet leaves out."""
    return Block(text, table, aside=True)


def written(files: Iterable[Any]) -> Block:
    """The files that were written, and how large they are."""
    from rich.filesize import decimal

    lines = [f"  {file}  ({decimal(file.stat().st_size)})" for file in files]
    return Block("\n".join(["\nWritten", *lines]), aside=True, exact=True)


def cut(lines: Sequence[str], noun: str) -> list[str]:
    """As many lines as a table has rows, and how many more there are.

    >>> cut(["a"] * 60, "note")[49:]
    ['a', '... and 10 notes more']
    """
    more = len(lines) - MOST
    return [*lines[:MOST], *([f"... and {counted(more, noun)} more"] if more > 0 else [])]


def put(answer: Answer, form: Format, *, quiet: bool, piped: bool, raw: bool) -> None:
    """Print an answer; where it is piped on, the main table goes to stdout and the report to stderr."""
    if form == "table" and not piped and answer.text is None:
        _put_report([b for b in answer.report() if not (quiet and b.aside)], quiet, sys.stdout)
        return
    pieces: Iterable[str] = csv_of(answer.rows, raw)
    if answer.text is not None:
        pieces = [answer.text]
    elif form == "json":
        pieces = map(_seen, json_of(answer))
    sys.stdout.flush()
    for piece in pieces:
        sys.stdout.buffer.write(piece.encode())
    sys.stdout.flush()
    if (piped or answer.text is not None) and not quiet:
        _put_report([block for block in answer.report() if block.aside], quiet, sys.stderr)


# --- for people ------------------------------------------------------------------------------------


def _put_report(pieces: Iterable[Block], quiet: bool, stream: Any) -> None:
    for block in pieces:
        print("\n".join(_lines(block, quiet)), file=stream)
    stream.flush()


def _lines(block: Block, quiet: bool) -> Iterator[str]:
    if block.table is None or not quiet:
        text = escaped_lines(block.text if block.table is None else f"\n{block.text}")
        yield text if block.exact else _wrapped(text)
    if block.table is not None:
        yield table_text(block.table.head(MOST))
        more = (block.total or block.table.height) - min(MOST, block.table.height)
        if more and not quiet:
            told = f"... and {counted(more, 'row')} more; all of them with --out, or --format csv"
            yield _wrapped(told)


def _wrapped(text: str) -> str:
    """Prose in lines that end between words."""
    wrap = partial(fill, width=line_width(), break_long_words=False, break_on_hyphens=False)
    return "\n".join(map(wrap, text.split("\n")))


def table_text(frame: pl.DataFrame) -> str:
    """A frame as text that is no wider than a line, if its columns are not; wide tables go on below.

    >>> print(table_text(pl.DataFrame({"example": ["a", "b"], "score": [0.5, None]})))
    example   score
    a        0.5000
    b          null
    """
    width = line_width()
    with pl.Config(**ALL_OF_IT, **PLAIN):
        texts = _cut(presentable(frame), max(LEAST, width // 2 - 4))
        room = (
            width - frame.width + 3
        )  # a column takes one more than `blocks` counts, the last two less
        return "\n".join(_text(block) for block in blocks(texts, room))


def _text(block: pl.DataFrame) -> str:
    lines = str(block).split("\n")
    return "\n".join(line.removeprefix(" ").rstrip() for line in lines)


def _cut(frame: pl.DataFrame, width: int) -> pl.DataFrame:
    """The frame with lists as text, and long texts cut."""
    lists = pl.col(pl.List(pl.String)).list.join("; ")
    text = pl.col(pl.String)
    long = pl.format("{}...", text.str.head(width - 3))
    return frame.with_columns(lists).with_columns(
        pl.when(text.str.len_chars() > width).then(long).otherwise(text)
    )


# --- for programs ----------------------------------------------------------------------------------


def csv_of(rows: Rows, raw: bool) -> Iterator[str]:
    """A table as CSV, in pieces; lists are joined, and text is no formula if it is not `raw`."""
    cells = flat("the result", rows.lazy(), "csv")
    frame, kept = cells if raw else without_formulas(cells), 0
    batches = iter(frame.collect_batches(maintain_order=True))
    first = next(batches, frame.clear().collect())  # before the header: now it is known to be right
    yield frame.clear().collect().write_csv()
    for batch in chain([first], batches):
        kept += 0 if raw else count_kept(batch.lazy())
        yield batch.write_csv(include_header=False)
    warn_of_kept(kept, "standard output")


def json_of(answer: Answer) -> Iterator[str]:
    """The document of an answer, in pieces."""
    if answer.document is None:
        yield from _array(answer.rows)
    else:
        between = "{"
        for name, value in answer.document().items():
            yield f"{between}{json.dumps(name)}: "
            yield from _value(value)
            between = ",\n "
        yield "}"
    yield "\n"


def _seen(piece: str) -> str:
    """JSON with what would steer a terminal as JSON escapes it: such characters are in its texts only."""
    return re.sub(
        STEERING, lambda found: found[0] if found[0] == "\n" else json.dumps(found[0])[1:-1], piece
    )


def _value(value: Any) -> Iterator[str]:
    if isinstance(value, (pl.LazyFrame, pl.DataFrame)):
        yield from _array(value)
    else:
        yield json.dumps(finite(value), ensure_ascii=False)


def finite(value: Any) -> Any:
    """The value with null for what JSON has no number for.

    >>> finite({"share": [0.5, float("nan")], "n": 3})
    {'share': [0.5, None], 'n': 3}
    """
    if isinstance(value, Mapping):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _array(rows: Rows) -> Iterator[str]:
    """The rows of a table as objects, a line each."""
    between = "["
    for batch in rows.lazy().collect_batches(maintain_order=True):
        if batch.height:
            yield between + batch.write_ndjson().rstrip("\n").replace("\n", ",\n ")
            between = ",\n "
    yield "[]" if between == "[" else "]"
