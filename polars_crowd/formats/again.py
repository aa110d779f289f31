"""Answers that an annotator gave again: which of several to one question about one example counts."""

from __future__ import annotations

from array import array
from typing import Any, Literal

import numpy as np
import polars as pl

from polars_crowd.formats.answers import SUBMITTED

ROW = "polars_crowd_row"
KEY = "polars_crowd_key"
AGAIN = {"last": "superseded", "first": "repeated"}


class Hashes:
    """What is there, as hashes of eight bytes each."""

    def __init__(self) -> None:
        self._hashes = array("Q")

    def note(self, hashes: pl.Series) -> None:
        """Take note of some."""
        self._hashes.frombytes(hashes.drop_nulls().to_numpy().tobytes())

    def num_distinct(self) -> int:
        """How many different ones there are."""
        hashes = self._sorted()
        return int(len(hashes) > 0) + int(np.count_nonzero(hashes[1:] != hashes[:-1]))

    def twice(self) -> pl.Series:
        """Those that are there more than once."""
        hashes = self._sorted()
        return pl.Series(KEY, hashes[1:][hashes[1:] == hashes[:-1]]).unique()

    def _sorted(self) -> Any:
        hashes = np.frombuffer(self._hashes, np.uint64)
        hashes.sort()
        return hashes


class Keys(Hashes):
    """Who answered what: only answers whose hashes are there twice are looked at."""

    @staticmethod
    def of_rows() -> pl.Expr:
        """The hashes of answers that count; null for the others."""
        counts = (pl.col("status") == SUBMITTED) & pl.col("annotator").is_not_null()
        return pl.when(counts).then(pl.struct("example", "annotator", "question").hash()).alias(KEY)

    def settled(
        self, rows: pl.LazyFrame, counts: Literal["first", "last"]
    ) -> tuple[pl.LazyFrame, dict[str, int]]:
        """The rows with those marked that do not count, since there is another; how many they are."""
        twice = self.twice()
        if not twice.len():
            return rows, {}
        indexed = rows.with_row_index(ROW)
        order = [name for name in ("timestamp",) if name in rows.collect_schema()]
        again = (
            indexed.with_columns(self.of_rows())
            .join(twice.to_frame().lazy(), on=KEY, how="semi")
            .select(ROW, "example", "annotator", "question", *order)
            .collect(engine="streaming")
            .sort(*order, ROW, nulls_last=False)
        )
        one = again.unique(["example", "annotator", "question"], keep=counts, maintain_order=True)
        not_counting = again.filter(~pl.col(ROW).is_in(one[ROW].implode()))[ROW]
        marked = pl.col(ROW).is_in(not_counting.implode())
        status = pl.when(marked).then(pl.lit(AGAIN[counts])).otherwise("status")
        return indexed.with_columns(status=status).drop(ROW), {AGAIN[counts]: len(not_counting)}


def sizes(rows: pl.LazyFrame, *columns: str) -> list[int]:
    """How many rows there are, and how many different values in columns."""
    n_rows, found = 0, {name: Hashes() for name in columns}
    hashed = rows.select(
        pl.when(pl.col(name).is_not_null()).then(pl.col(name).hash()) for name in columns
    )
    for batch in hashed.collect_batches(maintain_order=False, engine="streaming"):
        n_rows += batch.height
        for name, hashes in found.items():
            hashes.note(batch[name])
    return [n_rows, *(hashes.num_distinct() for hashes in found.values())]
