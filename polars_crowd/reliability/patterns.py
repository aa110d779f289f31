"""Vote patterns: all that agreement needs to know of a log.

The votes of an example are a count vector n = (n_1, ..., n_K). Examples with the same vector are the same to
every coefficient that does not ask who voted, so a log collapses to its distinct vectors, the
**patterns**, with the number of examples that have each: 2 million examples of up to 5 votes among 5
classes have 251. Where it does matter who voted, a pattern is the set of (annotator, label) instead.

A pattern is kept as the bytes of its entries: one 64-bit integer, label and number of votes (or annotator
and label), for each, in order. With `by` columns examples are cut up into **units**, the annotations of
one example in one group, and each group has its own patterns.

    units = local_units(part, grouping)          inside a plan: the units of one partition
    units = decode(rounds.run(count_patterns, grouping)[...], ...)    the merged patterns of the log

Both are `Units` (`units.py`), with the sums that coefficients are made of as methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Array, Floats, Ints
from polars_crowd.compatible import Engine, engine_for
from polars_crowd.numerics.threads import mapped
from polars_crowd.reliability.grouping import Grouping, group_codes, groups_of, named_groups, summed
from polars_crowd.reliability.units import Units, positions, run_lengths
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.classes import Runs, pack_votes
from polars_crowd.runs.codes import Codebook, largest
from polars_crowd.runs.reading import bits_for, run_sums
from polars_crowd.runs.reading import run_lengths as run_counts

LOW = 32
"""Bits of the lower half of an entry."""
WORD = 64
"""Bits of an integer."""


# --- the units of one partition --------------------------------------------------------------------


@dataclass(frozen=True)
class LocalUnits:
    """The units of a partition, and the rows that make them."""

    entries: pl.DataFrame
    """`unit`, `label`, `votes` of each entry, sorted by the first two."""
    group: Ints
    """(U,) the group of each unit."""
    groups: pl.DataFrame
    """The group of each code: a row with the by-columns (no column, one row without grouping)."""
    runs: Runs
    of_rows: Ints | None = None
    """(R,) the unit of each row, where those of a unit do not follow one another."""

    @cached_property
    def units(self) -> Units:
        unit, label, votes = (self.entries[c].to_numpy() for c in ("unit", "label", "votes"))
        times, n_groups = np.ones(len(self.group), np.int64), self.groups.height
        return Units(
            self.group, times, run_lengths(unit), label, votes, n_groups, self.runs.n_classes
        )

    @cached_property
    def row_unit(self) -> Ints:
        """(R,) the unit of each row."""
        if self.of_rows is not None:
            return self.of_rows
        lengths = self.runs.examples["num_annotations"].to_numpy()
        return np.repeat(np.arange(len(self.group)), lengths)

    @cached_property
    def row_label(self) -> Ints:
        """(R,) the label of each row."""
        return np.asarray(self.runs.votes["label"].to_numpy()[self.runs.rows["vote"].to_numpy()])

    @property
    def row_annotator(self) -> Ints:
        """(R,) the annotator of each row."""
        return self.runs.rows["annotator"].to_numpy()

    @property
    def n_annotators(self) -> int:
        return len(self.runs.book.annotators)

    @property
    def engine(self) -> Engine:
        """What its rows are worked on with."""
        return engine_for(self.runs.rows.height)

    def over_rows(self, values: pl.Expr) -> pl.Series:
        """(U,): the sums over the rows of each unit of integers, made of columns of `rows`."""
        rows = self.rows.select("unit", value=values)
        if self.of_rows is None:
            return run_sums(rows, "unit", pl.col("value"), self.engine)
        found = rows.group_by("unit").agg(pl.col("value").sum()).sort("unit")
        return found.collect(engine=self.engine)["value"]

    @cached_property
    def pattern(self) -> pl.Series:
        """(U,) what is equal where patterns are: an integer if entries fit into one, else the bytes."""
        packed = self._packed_entries()
        if packed is None:
            return self.encoded
        return run_sums(self.entries.lazy(), "unit", packed, self.engine)

    def _packed_entries(self) -> pl.Expr | None:
        """The part of each entry of an integer: the votes at the place of the label where there is one for
        each class, else label and votes at places in order; None if the longest unit does not fit."""
        K, votes = self.runs.n_classes, pl.col("votes").cast(pl.UInt64)
        of_votes = bits_for(largest(self.entries["votes"]) + 1)
        if K * of_votes <= WORD:
            return votes * _powers(of_votes).gather("label")
        bits = of_votes + bits_for(K)
        if largest(run_counts(self.entries["unit"])["len"]) * bits > WORD:
            return None
        at, unit = pl.int_range(pl.len()), pl.col("unit")
        first = pl.when(unit.ne_missing(unit.shift(1))).then(at).otherwise(0).cum_max()
        entry = pl.col("label").cast(pl.UInt64) * (1 << of_votes) + votes
        return entry * _powers(bits).gather(at - first)

    @property
    def encoded(self) -> pl.Series:
        """(U,) the bytes of the pattern of each unit."""
        return encode(self.units.label, self.units.votes, self.units.lengths)

    def encoded_of(self, chosen: Array) -> pl.Series:
        """The bytes of the patterns of some units."""
        unit, label, votes = (self.entries[c].to_numpy() for c in ("unit", "label", "votes"))
        first, behind = (
            np.searchsorted(unit, chosen.astype(unit.dtype), side) for side in ("left", "right")
        )
        lengths = behind - first
        entry = positions(first, lengths)
        return encode(label[entry], votes[entry], lengths)

    @property
    def rows(self) -> pl.LazyFrame:
        """(R,) `unit` of each row, and `cell`: group, annotator and label in one integer."""
        votes, rows = self.runs.votes, self.runs.rows
        wide, unit = self.cell_type, pl.lit(votes["example"]).gather("vote")
        if self.of_rows is not None:
            rows, unit = rows.with_columns(unit=self.of_rows), pl.col("unit")
        row = pl.col("annotator").cast(wide)
        if self.groups.height > 1:
            group = pl.lit(pl.Series(self.group)).gather(unit)
            row += group.cast(wide) * self.n_annotators
        label = pl.lit(votes["label"]).gather("vote").cast(wide)
        return rows.lazy().select(unit=unit, cell=row * self.runs.n_classes + label)

    @property
    def cell_type(self) -> type[pl.DataType]:
        """A type that holds all cells."""
        return pl.UInt32 if self.n_cells <= 1 << 32 else pl.Int64

    @property
    def n_cells(self) -> int:
        return self.groups.height * self.n_annotators * self.runs.n_classes

    def cells_of(self, group: Ints, annotator: Ints, label: Ints) -> Ints:
        """The integers of other groups, annotators and labels."""
        return (group * self.n_annotators + annotator) * self.runs.n_classes + label

    def of_cells(self, name: str) -> dict[str, pl.Expr]:
        """The columns behind a column of cells."""
        K, M = self.runs.n_classes, self.n_annotators
        cell = pl.col(name)
        return {
            "group": (cell // (M * K)).cast(pl.UInt32),
            "annotator": (cell // K % M).cast(pl.UInt32),
            "label": (cell % K).cast(pl.UInt32),
        }


def _powers(bits: int) -> pl.Expr:
    """1, 2^bits, 2^(2 bits), ... as far as they go."""
    return pl.lit(pl.Series([1 << at for at in range(0, WORD, bits)], dtype=pl.UInt64))


def local_units(part: Partition, grouping: Grouping) -> LocalUnits:
    """The units of a partition, sorted by example, then by group."""
    made: LocalUnits = part.once(
        "agreement units", lambda: _local_units(runs_of(part, grouping), grouping), grouping
    )
    return made


def runs_of(part: Partition, grouping: Grouping) -> Runs:
    """The runs of a partition; of a partition of numbers, those whose classes are the numbers there are."""
    if grouping.numbers is None:
        return part.runs
    if grouping.written is not None:
        runs = part.runs
        number = pl.lit(pl.Series(grouping.written)).gather("label")
        rows = runs.vote_rows().select("example", "annotator", value=number).collect()
        return runs_of_numbers(rows, runs.examples, runs.book.annotators, grouping.numbers)
    values = part.values
    return runs_of_numbers(values.rows, values.examples, values.annotators, grouping.numbers)


def runs_of_numbers(
    rows: pl.DataFrame, examples: pl.DataFrame, annotators: pl.Series, numbers: Floats
) -> Runs:
    """Rows `example, annotator, value` as runs."""
    label = np.searchsorted(numbers, rows["value"].to_numpy()).astype(np.uint32)
    found = rows.lazy().select("example", "annotator", label=pl.lit(pl.Series(label)))
    coded = found.sort("example", "label", "annotator").collect()
    vote, votes = pack_votes(coded["example"], coded["label"])
    return Runs(
        rows=pl.DataFrame({"vote": vote, "annotator": coded["annotator"]}),
        extra=pl.LazyFrame(),
        votes=votes,
        examples=examples,
        models=(),
        book=Codebook(pl.Series("label", numbers), (), annotators),
    )


def _local_units(runs: Runs, grouping: Grouping) -> LocalUnits:
    groups = groups_of(runs, grouping)
    if groups.of_rows is None:
        entries = runs.votes.rename({"example": "unit"})
        group = groups.of_examples.astype(np.int64, copy=False)
        return LocalUnits(entries, group, groups.frame, runs)
    example, label = (runs.votes[column].to_numpy() for column in ("example", "label"))
    vote = runs.rows["vote"].to_numpy()
    keys = example[vote].astype(np.int64) * groups.frame.height + groups.of_rows
    unit, row_unit = np.unique(keys, return_inverse=True)
    cell, votes = np.unique(row_unit * runs.n_classes + label[vote], return_counts=True)
    entries = pl.DataFrame(
        {"unit": cell // runs.n_classes, "label": cell % runs.n_classes, "votes": votes}
    )
    return LocalUnits(entries, unit % groups.frame.height, groups.frame, runs, row_unit)


# --- patterns as bytes -----------------------------------------------------------------------------


def encode(high: NDArray[Any], low: NDArray[Any], lengths: Ints) -> pl.Series:
    """The bytes of each unit's entries (high, low)."""
    import pyarrow as pa  # not with the package, which is to import fast

    entries = high.astype(np.uint64)
    entries <<= np.uint64(LOW)
    entries |= low.astype(np.uint64, copy=False)
    ends = np.concatenate([[0], np.cumsum(lengths)]) * entries.itemsize
    buffers = [None, pa.py_buffer(ends.astype(np.int64)), pa.py_buffer(entries)]
    array = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(lengths), buffers)
    return pl.Series(Exported(array)).alias("pattern")


@dataclass(frozen=True)
class Exported:
    """An Arrow array and no more: for one of pyarrow Polars would load all that pyarrow can compute."""

    array: Any

    def __arrow_c_array__(self, requested_schema: object = None) -> Any:
        return self.array.__arrow_c_array__(requested_schema)


def decode(patterns: pl.Series) -> tuple[Ints, Ints, Ints]:
    """The entries (high, low) of all patterns, one after another, and how many each has."""
    lengths = patterns.bin.size().to_numpy().astype(np.int64) // 8
    entries = np.frombuffer(b"".join(patterns.to_list()), np.uint64)
    high, low = entries >> np.uint64(LOW), entries & np.uint64((1 << LOW) - 1)
    return high.astype(np.int64), low.astype(np.int64), lengths


# --- plans -----------------------------------------------------------------------------------------


def count_patterns(part: Partition, grouping: Grouping) -> Summary:
    """The examples of each pattern of votes, and the annotations by annotator and label, by group."""
    local = local_units(part, grouping)
    return {
        (*grouping.keys, "pattern"): by_pattern(local, grouping, {}, examples=pl.len()),
        (*grouping.keys, "annotator", "label"): _by_annotator_and_label(local, grouping),
    }


def by_pattern(
    local: LocalUnits, grouping: Grouping, of_units: Mapping[str, pl.Series], **sums: pl.Expr
) -> pl.LazyFrame:
    """Sums of columns `of_units` over the units of each pattern, by group."""
    columns = {"group": local.group} if grouping.keys else {}
    frame = pl.LazyFrame({**columns, "code": local.pattern, **of_units}).with_row_index("unit")
    grouped = frame.group_by(*columns, "code").agg(pl.col("unit").first(), **sums)
    found = grouped.collect(engine=local.engine)
    pattern = found["code"]
    if pattern.dtype != pl.Binary:
        pattern = local.encoded_of(found["unit"].to_numpy())
    named = found.lazy().select(*columns, pattern.alias("pattern"), *sums)
    return named_groups(named, local.groups, grouping)


def count_repeats(part: Partition, grouping: Grouping) -> Summary:
    """The annotations by which annotators labelled an example again, by group."""
    local = local_units(part, grouping)
    key = local.row_unit * local.n_annotators + local.row_annotator
    once = np.unique(key) // local.n_annotators
    times = np.bincount(local.row_unit) - np.bincount(once)
    frame = pl.DataFrame({"group": local.group, "repeats": times})
    return {grouping.keys: summed(frame, [], local.groups, grouping)}


def _by_annotator_and_label(local: LocalUnits, grouping: Grouping) -> pl.LazyFrame:
    cell = local.rows.select("cell").collect(engine=local.engine)["cell"]
    counts = (
        count_keys(cell, local.n_cells).lazy().select(**local.of_cells("key"), annotations="times")
    )
    return named_groups(counts, local.groups, grouping)


DENSE = 1 << 22
"""Up to this many keys are counted in a table."""


def count_keys(key: pl.Series, size: int) -> pl.DataFrame:
    """How many `times` each `key` comes, of those below `size`."""
    if size <= DENSE:
        parts = key.get_chunks() if key.n_chunks() * size <= len(key) else [key]
        tables = mapped(lambda part: np.bincount(part.to_numpy(), minlength=size), parts)
        table = reduce(np.add, tables)
        found = np.flatnonzero(table)
        return pl.DataFrame({"key": found, "times": table[found]})
    runs = run_counts(key.sort())
    return runs.select("key", times=pl.col("len").cast(pl.Int64))


def merged_units(patterns: pl.DataFrame, grouping: Grouping, n_classes: int) -> Units:
    """The units of the whole log: its merged patterns, sorted by group."""
    label, votes, lengths = decode(patterns["pattern"])
    group, n_groups = group_codes(patterns, grouping)
    times = patterns["examples"].to_numpy()
    return Units(group, times, lengths, label, votes, n_groups, n_classes)
