"""How a partition of a log is read, coded and sorted, whatever its labels are.

Ids and codes are packed into one integer that sorts like them: one sort of integers, and everything after it
is a run of equal keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.compatible import Engine, engine_for
from polars_crowd.errors import AnnotationError
from polars_crowd.inputs import checks
from polars_crowd.inputs.log import LOG_COLUMNS, is_labelled
from polars_crowd.runs.abstentions import Abstentions
from polars_crowd.runs.codes import as_dtype, id_as_read
from polars_crowd.runs.examples import ExampleCodes, example_codes

KEY_BITS = 63
NEAR = 32
"""Up to this many annotations per example, duplicates are looked for among neighbours."""
OTHER = "other_"
KEY = pl.col("key")
LABELLED = "is labelled (polars_crowd)"
"""A column that says which rows are annotations, while they are read."""


def read_coded(
    log: pl.LazyFrame,
    label: pl.Expr,
    is_bad: pl.Expr,
    bad_labels: Callable[[], AnnotationError],
) -> tuple[pl.DataFrame, Abstentions | None]:
    """The log in memory: ids as they are read, labels as `label` makes them, the other columns as they are.

    Rows without a label are apart: what they say is beside the others.

    Raises
    ------
    AnnotationError
        There is no annotation, an id is null, or a label `is_bad`.
    """
    schema = log.collect_schema()
    ids = (id_as_read(column, schema[column]) for column in ("example", "annotator"))
    labelled, others = is_labelled(schema["label"]), (c for c in schema if c not in LOG_COLUMNS)
    rows = log.select(*ids, label.alias("label"), labelled.alias(LABELLED), *others).collect()
    coded, abstentions = Abstentions.of(rows, LABELLED, schema)
    if coded.is_empty():
        raise checks.no_annotations()
    for column in ("example", "annotator"):
        if coded[column].null_count():
            raise checks.null_ids(log.filter(labelled), column)
    if coded.select(is_bad.any()).item():
        raise bad_labels()
    return coded, abstentions


@dataclass(frozen=True)
class Key:
    """How examples, and codes beside them, are packed into one integer that sorts like them."""

    example: ExampleCodes
    bits: tuple[int, ...]
    """Of each code beside the example."""

    @classmethod
    def of(cls, example: pl.Series, *sizes: int) -> Key:
        """For codes 0 .. size-1, of each size."""
        bits = tuple(bits_for(size) for size in sizes)
        return cls(example_codes(example, KEY_BITS - sum(bits)), bits)

    def pack(self, *codes: pl.Series) -> pl.Series:
        """The key of each row, from its codes in the order of `bits`."""
        wide = pl.UInt64 if self.example.values.dtype == pl.UInt64 else pl.Int64
        columns = {"example": self.example.values, **{str(i): code for i, code in enumerate(codes)}}
        key = (pl.col("example").cast(wide) - self.example.first).cast(pl.UInt64)
        for i, bits in enumerate(self.bits):
            key = key * (1 << bits) + pl.col(str(i)).cast(pl.UInt64)
        return (
            pl.LazyFrame(columns).select(key=key).collect(engine=engine_for(len(codes[0])))["key"]
        )

    def packed(self) -> Key:
        """How they are packed, without the examples of each row."""
        return replace(self, example=replace(self.example, values=self.example.values.clear()))

    def upto(self, n: int) -> pl.Expr:
        """The example and the first n codes, packed, from a column `key`."""
        return pl.col("key") // (1 << sum(self.bits[n:]))

    @property
    def last(self) -> pl.Expr:
        """The last code."""
        return (pl.col("key") % (1 << self.bits[-1])).cast(pl.UInt32)

    @property
    def without_middle(self) -> pl.Expr:
        """The example and the last code, packed."""
        return self.upto(0) * (1 << self.bits[-1]) + pl.col("key") % (1 << self.bits[-1])

    def examples(self, runs: pl.DataFrame, dtype: pl.DataType) -> pl.DataFrame:
        """`example` (the id), `num_annotations`, from the run lengths of the packed examples."""
        ids = as_dtype(self.example.decode(runs["key"]), dtype)
        return pl.DataFrame({"example": ids, "num_annotations": runs["len"]})


def bits_for(n: int) -> int:
    """How many bits hold 0 .. n-1."""
    return max(n - 1, 1).bit_length()


def sort_by_key(key: pl.Series, others: pl.DataFrame, *then: str) -> tuple[pl.Series, pl.DataFrame]:
    """The keys in order, and the rows that belong to them; those of equal keys by the columns `then`, else in
    the order they had."""
    if not others.width:
        return key.sort(), others
    frame = others.select(pl.all().name.prefix(OTHER)).with_columns(key.alias("key"))
    by, is_all = ("key", *(OTHER + column for column in then)), others.width == len(then)
    frame = frame.lazy().sort(by, maintain_order=not is_all).collect()
    return frame["key"], frame.drop("key").rename(lambda c: c.removeprefix(OTHER))


def run_lengths(sorted_keys: pl.Series, of: pl.Expr = KEY) -> pl.DataFrame:
    """`key` and `len` of each run of equal keys, or of what ascends with them."""
    return runs_of(sorted_keys, of).collect(engine=engine_for(len(sorted_keys)))


def runs_of(sorted_keys: pl.Series, of: pl.Expr) -> pl.LazyFrame:
    """... as a query."""
    keys = sorted_keys.alias("key").to_frame().lazy().select(key=of.set_sorted())
    return keys.group_by("key", maintain_order=True).len()


def run_sums(rows: pl.LazyFrame, of: str, values: pl.Expr, engine: Engine) -> pl.Series:
    """The sum of integers over each run of rows that are equal in the column `of`.

    These are differences of running sums, which may wrap.
    """
    is_last = pl.col(of).ne_missing(pl.col(of).shift(-1))
    last = rows.select(sum=values.cum_sum(), is_last=is_last).filter("is_last")
    sums = last.select(pl.col("sum") - pl.col("sum").shift(1, fill_value=0))
    return sums.collect(engine=engine)["sum"]


def scale_for(largest: Floats, most: int) -> Floats:
    """Powers of 2: times these, numbers up to the largest are integers in 64 bits, and so are sums of `most`
    of them."""
    _, exponent = np.frexp(largest)
    scale: Floats = np.ldexp(1.0, 62 - bits_for(most + 1) - exponent)
    return scale


def refuse_duplicates(
    log: pl.LazyFrame, sorted_keys: pl.Series, longest: int, pair: pl.Expr = KEY
) -> None:
    """No (example, annotator) may occur twice within `longest` rows: a `pair` of keys sorted by example."""
    pairs = sorted_keys.alias("key").to_frame().lazy().select(pair=pair)
    distances = range(1, longest)
    if longest > NEAR:
        pairs, distances = pairs.sort("pair"), range(1, 2)
    again = (pl.col("pair") == pl.col("pair").shift(d) for d in distances)
    found = pairs.select(same.any().alias(str(i)) for i, same in enumerate(again))
    if any(column[0] for column in found.collect(engine=engine_for(len(sorted_keys)))):
        raise checks.duplicate_annotations(log)
