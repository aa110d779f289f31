"""Examples as integers that sort like their ids, and back.

Encoding string ids is the largest single cost on real logs. Those that are numbered are the numbers that they
write (`runs.numerals`). Others go by a 64-bit hash, which is sorted in place of the strings; that no two ids
share a hash is then proven by reading every id back from its code.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from polars_crowd.compatible import engine_for
from polars_crowd.inputs.matching import are_at, hashes
from polars_crowd.runs.numerals import Numerals
from polars_crowd.runs.order import sorted_order


@dataclass(frozen=True)
class ExampleCodes:
    """Examples as integers that sort like their ids: `values - first`."""

    values: pl.Series
    first: int
    ids: pl.Series | None = None
    """The id of each code, unless the ids are integers themselves, or numbered."""
    numerals: Numerals | None = None
    """How they are numbered."""

    def decode(self, codes: pl.Series) -> pl.Series:
        """The ids behind codes, as UInt64."""
        if self.ids is not None:
            return self.ids.gather(codes)
        wide = pl.UInt64 if self.values.dtype == pl.UInt64 else pl.Int64
        number = (pl.col("code").cast(wide) + self.first).cast(self.values.dtype)
        rows = codes.alias("code").to_frame().lazy().select(number)
        numbers = rows.collect(engine=engine_for(len(codes)))["code"]
        return numbers if self.numerals is None else self.numerals.texts(numbers)


def example_codes(example: pl.Series, bits: int) -> ExampleCodes:
    """Examples as integers of at most `bits` bits that sort like the ids."""
    numerals = Numerals.of(example) if example.dtype == pl.String else None
    numbers = example if numerals is None else numerals.numbers(example)
    if numbers is not None and numbers.dtype.is_integer():
        first, last = _ends(numbers)
        if last - first < 1 << bits:
            return ExampleCodes(numbers, first, numerals=numerals)
    codes, ids = dense_codes(example)
    return ExampleCodes(codes, 0, ids)


def _ends(integers: pl.Series) -> tuple[int, int]:
    """The smallest and the largest."""
    each = pl.col("integer")
    rows = integers.alias("integer").to_frame().lazy().select(first=each.min(), last=each.max())
    return rows.collect(engine=engine_for(len(integers))).row(0)


def dense_codes(ids: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Codes 0 .. N-1 in the order of the ids, and the N ids, sorted.

    Sorts 64-bit hashes instead of the ids: ids that share a hash would become one code, so every id
    is read back from its code and compared. Should one differ, the ids themselves are ranked.
    """
    ids = ids.rechunk()
    rows = pl.DataFrame({"key": hashes(ids)}).with_row_index("row").lazy().sort("key").collect()
    run = rows["key"].rle_id()
    first = rows["row"].filter(run.ne_missing(run.shift(1)))
    by_row = first.arg_sort()  # texts that lie together are read together
    names = ids.gather(first.gather(by_row))
    by_name = sorted_order(names)
    rank = _scattered(by_row.gather(by_name), pl.int_range(len(names), dtype=pl.UInt32, eager=True))
    codes = _scattered(rows["row"], rank.gather(run))
    names = names.gather(by_name)
    if are_at(names, codes, ids):
        return codes.cast(pl.UInt64), names
    return ids.rank("dense").cast(pl.UInt64) - 1, ids.unique().sort()


def _scattered(at: pl.Series, values: pl.Series) -> pl.Series:
    """The values, each at its place."""
    return pl.zeros(len(values), values.dtype, eager=True).scatter(at, values)
