"""What every fit can do: print its report, and be written."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import polars as pl

from polars_crowd.reports import Report, Reported

Table = pl.LazyFrame | pl.DataFrame | pl.Series | None
Heads = Mapping[str, tuple[str, int]]
"""The tables that a report begins to show, by name: their titles, and how many rows."""
FEW = 5
"""Rows of a head."""
MANY = 100


class Fit(Reported):
    """The base of all results."""

    HEADS: ClassVar[Heads]

    @property
    @abstractmethod
    def method(self) -> str:
        """Its name."""

    @abstractmethod
    def _header(self) -> str:
        """The first line of the report."""

    def _report(self) -> Report:
        return Report(self._header(), heads_of(self, self.HEADS))


def heads_of(fit: object, heads: Heads) -> dict[str, pl.DataFrame]:
    """The first rows of a fit's tables, by title."""
    return {
        title: getattr(fit, name).lazy().head(n).collect() for name, (title, n) in heads.items()
    }
