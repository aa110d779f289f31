"""What a result prints: one header line, and the heads of its tables.

A table is as wide as the terminal, or as Polars is told (`pl.Config(tbl_width_chars=...)`): long headers are
broken at their underscores if they have to be, and what is wider still goes on below. A column without any
value in the whole head is left out.
"""

from __future__ import annotations

import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from polars_crowd.cells import cells, kind_of
from polars_crowd.charted import chart_of
from polars_crowd.errors import counted
from polars_crowd.escapes import escaped, escaped_lines, escaped_texts
from polars_crowd.markup import Markup, tag

Heads = Mapping[str, tuple[str, int]]
"""The tables that a report begins to show, by name: their titles, and how many rows."""
OF_TEXT = {"String", "Categorical", "Enum"}
"""Types of texts, as the types of nested columns name them."""
FEW = 5
"""Rows of a head."""
MANY = 100
USUAL = 100
"""Characters of a line where there is no terminal; Polars' own."""
UNLIMITED = 10_000
ALL_OF_IT: dict[str, Any] = {"tbl_hide_dataframe_shape": True, "tbl_cols": -1, "tbl_rows": -1}


@dataclass(frozen=True)
class Report:
    """A header line and the heads of tables, by title."""

    header: str
    heads: Mapping[str, pl.DataFrame]

    def __str__(self) -> str:
        tables = (f"{title}\n{table_text(head)}" for title, head in self.heads.items())
        return "\n\n".join((escaped_lines(self.header), *tables))

    def _repr_html_(self) -> str:
        """The same for notebooks."""
        figures = (
            tag("figure", tag("figcaption", title), table_html(with_values(head)))
            for title, head in self.heads.items()
        )
        return str(tag("section", tag("p", self.header), *figures))


class Reported(ABC):
    """A result that prints as its report, in the terminal and in notebooks."""

    @abstractmethod
    def _report(self) -> Report:
        """What it prints."""

    def __repr__(self) -> str:
        return str(self._report())

    def _repr_html_(self) -> str:
        return self._report()._repr_html_()

    def plot(self, chart: str | None = None, **options: Any) -> Any:
        """A chart of it: the one that fits, or another of `pc.plot`.

        Parameters
        ----------
        chart
            The name of a function of `pc.plot`: `"confusion"`, say.
        **options
            What that function takes beside the result.

        Returns
        -------
        altair.LayerChart

        Raises
        ------
        OptionError
            There is no such chart, or none that fits.
        PackageError
            Altair is not installed (the extra `report`).

        Examples
        --------
        >>> import polars_crowd as pc
        >>> fit = pc.dawid_skene(pc.datasets.tutorial().log)
        >>> fit.plot().to_dict()["title"]["text"]
        ['How sure the consensus is']
        >>> fit.plot("confusion", annotator="A0050").to_dict()["title"]["text"]
        ['What A0050 calls what']
        """
        return chart_of(self, chart, **options)


# --- the header ------------------------------------------------------------------------------------


def header(method: str, sizes: Mapping[str, int], *notes: str) -> str:
    """The method, how large the log is, how it went and what is special.

    >>> header("Dawid-Skene", {"example": 1200, "class": 2}, "5 iterations, converged")
    'Dawid-Skene: 1,200 examples, 2 classes; 5 iterations, converged'
    """
    size = ", ".join(counted(n, noun) for noun, n in sizes.items())
    return "; ".join((f"{method}: {size}", *(note for note in notes if note)))


def went(trace: Sequence[float], converged: bool, *, objective: bool = True) -> str:
    """How iterations went.

    >>> went([-12.5, -10.25], True)
    '2 iterations, converged, objective -10.25'
    """
    state = f"{counted(len(trace), 'iteration')}, {'' if converged else 'not '}converged"
    return f"{state}, objective {trace[-1]:.6g}" if objective else state


def value_text(value: float | list[float] | None) -> str:
    """A number of the fit, several of an ensemble, or none.

    >>> value_text(0.51239), value_text([1.0, 2.0]), value_text(None)
    ('0.5124', '1, 2', 'none')
    """
    if value is None:
        return "none"
    return ", ".join(f"{v:.4g}" for v in (value if isinstance(value, list) else [value]))


# --- tables ----------------------------------------------------------------------------------------


def table_text(frame: pl.DataFrame) -> str:
    """A frame as text that is no wider than a line."""
    width = line_width()
    with pl.Config(**ALL_OF_IT, tbl_width_chars=UNLIMITED):
        return "\n".join(str(block) for block in blocks(presentable(frame), width))


def table_html(
    frame: pl.DataFrame, *before: Markup, heading: Callable[[str], str] = escaped
) -> Markup:
    """A frame as a table of HTML, the first cell of a row its head; `before` is what stands before them."""
    kinds = [kind_of(column) for column in frame]
    head = (
        tag("th", heading(name), scope="col", class_=kind)
        for name, kind in zip(frame.columns, kinds, strict=True)
    )
    rows = (
        tag(
            "tr",
            *row[:1] and (tag("th", row[0], scope="row", class_=kinds[0]),),
            *(tag("td", c, class_=kind) for c, kind in zip(row[1:], kinds[1:], strict=True)),
        )
        for row in cells(frame)
    )
    return tag("table", *before, tag("thead", tag("tr", *head)), tag("tbody", *rows))


def line_width() -> int:
    """What Polars is told, else the terminal's width, else Polars' own."""
    told = os.environ.get("POLARS_TABLE_WIDTH", "")
    if told.lstrip("-").isdigit():
        return int(told) if int(told) > 0 else UNLIMITED
    return shutil.get_terminal_size((USUAL, 0)).columns


def with_values(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns that have a value."""
    if frame.is_empty():
        return frame
    return frame[[column.name for column in frame if column.null_count() < frame.height]]


def presentable(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns that have a value, and nothing in them that steers a terminal."""
    frame = with_values(frame)
    texts = pl.col(pl.String, pl.Categorical, pl.Enum).cast(pl.String)
    lists = [name for name, dtype in frame.schema.items() if dtype == pl.List(pl.String)]
    nested = [
        name
        for name, dtype in frame.schema.items()
        if dtype.is_nested() and OF_TEXT & set(re.findall(r"\w+", str(dtype)))
    ]
    safe = frame.with_columns(
        escaped_texts(texts),
        pl.col(lists).list.eval(escaped_texts(pl.element())),
        *(_as_text(frame[name]) for name in nested if name not in lists),
    )
    return safe.rename({name: escaped(name) for name in safe.columns})


def _as_text(column: pl.Series) -> pl.Series:
    """Values that may hold texts somewhere inside, as Python writes them."""
    texts = [None if value is None else repr(value) for value in column.to_list()]
    return pl.Series(column.name, texts, pl.String)


def blocks(frame: pl.DataFrame, width: int) -> Iterator[pl.DataFrame]:
    """The frame, its widest headers broken until it fits; if it never does in pieces, each of which begins
    with the first column."""
    frame = narrowed(frame, width)
    widths = {name: column_width(frame[name]) for name in frame.columns}
    block: list[str] = []
    for name in frame.columns:
        if len(block) > 1 and 1 + sum(widths[c] for c in (*block, name)) > width:
            yield frame[block]
            block = frame.columns[:1]
        block.append(name)
    yield frame[block]


def narrowed(frame: pl.DataFrame, width: int) -> pl.DataFrame:
    """The frame with as many of its headers broken as it takes, the widest columns first."""
    foldable = [name for name in frame.columns if folded(name) != name]
    for name in sorted(foldable, key=lambda name: -column_width(frame[name])):
        if table_width(frame) <= width:
            break
        frame = frame.rename({name: folded(name)})
    return frame


def table_width(frame: pl.DataFrame) -> int:
    return 1 + sum(map(column_width, frame))


def column_width(column: pl.Series) -> int:
    """Characters of a printed column and of the line to its right."""
    return len(str(column.to_frame()).partition("\n")[0]) - 1


def folded(name: str) -> str:
    r"""A long header over two or three lines.

    >>> folded("consensus_quality_score"), folded("log_loss")
    ('consensus_\nquality_\nscore', 'log_loss')
    """
    return name if len(name) <= 9 else name.replace("_", "_\n")
