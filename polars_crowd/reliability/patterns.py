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

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Array, Floats, Ints
from polars_crowd.reliability.grouping import Grouping, group_codes, groups_of, named_groups, summed
from polars_crowd.reliability.units import Units, positions, run_lengths, sums_at
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.classes import Runs, pack_votes
from polars_crowd.runs.codes import Codebook
from polars_crowd.runs.reading import bits_for
from polars_crowd.runs.reading import run_lengths as run_counts

LOW = 32
"""Bits of the lower half of an entry."""


# --- the units of one partition --------------------------------------------------------------------


@dataclass(frozen=True)
class LocalUnits:
    """The units of a partition, and the rows that make them."""

    units: Units
    groups: pl.DataFrame
    """The group of each code: a row with the by-columns (no column, one row without grouping)."""
    example: Ints
    """(U,) the example of each unit, as its position in the partition."""
    runs: Runs
    of_rows: Ints | None = None
    """(R,) the unit of each row, where those of a unit do not follow one another."""

    @cached_property
    def row_unit(self) -> Ints:
        """(R,) the unit of each row."""
        if self.of_rows is not None:
            return self.of_rows
        return np.repeat(np.arange(len(self.example)), self._rows)

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
    def _rows(self) -> Ints:
        """(U,) how many rows each unit has, where these follow one another."""
        return self.runs.examples["num_annotations"].to_numpy().astype(np.int64)

    def over_rows(self, values: Floats) -> Floats:
        """(R,) -> (U,): the sum over the rows of each unit."""
        if self.of_rows is not None:
            return sums_at(self.of_rows, values, len(self.example))
        lengths = self._rows
        return np.add.reduceat(values, np.cumsum(lengths) - lengths)

    @cached_property
    def pattern(self) -> pl.Series:
        """(U,) what is equal where patterns are: an integer if the longest fits into one, else the bytes."""
        units = self.units
        of_votes = bits_for(int(units.votes.max()) + 1)
        bits = of_votes + bits_for(units.n_classes)
        if int(units.lengths.max()) * bits > 64:
            return self.patterns_of(slice(None))
        entry = units.label.astype(np.uint64)
        entry <<= np.uint64(of_votes)
        entry |= units.votes.astype(np.uint64, copy=False)
        place = np.arange(len(entry), dtype=np.uint64)
        place -= np.repeat(units.starts.astype(np.uint64), units.lengths)
        place *= np.uint64(bits)
        return pl.Series(units.over_entries(entry << place))

    def patterns_of(self, chosen: Ints | slice) -> pl.Series:
        """The bytes of the patterns of some units."""
        units = self.units
        lengths = units.lengths[chosen]
        entry = positions(units.starts[chosen], lengths)
        return encode(units.label[entry], units.votes[entry], lengths)

    @cached_property
    def cell(self) -> NDArray[Any]:
        """(R,) group, annotator and label of each row in one integer."""
        wide: Any = np.uint32 if self.n_cells <= 1 << 32 else np.uint64
        row: NDArray[Any] = self.row_annotator.astype(wide, copy=False)
        if self.units.n_groups > 1:
            row = row + self.units.group.astype(wide)[self.row_unit] * wide(self.n_annotators)
        found: NDArray[Any] = row * wide(self.units.n_classes)
        found += self.row_label.astype(wide, copy=False)
        return found

    @property
    def n_cells(self) -> int:
        return self.units.n_groups * self.n_annotators * self.units.n_classes

    def cells_of(self, group: Ints, annotator: Ints, label: Ints) -> Ints:
        """The integers of other groups, annotators and labels."""
        return (group * self.n_annotators + annotator) * self.units.n_classes + label

    def of_cells(self, name: str) -> dict[str, pl.Expr]:
        """The columns behind a column of cells."""
        K, M = self.units.n_classes, self.n_annotators
        cell = pl.col(name)
        return {
            "group": (cell // (M * K)).cast(pl.UInt32),
            "annotator": (cell // K % M).cast(pl.UInt32),
            "label": (cell % K).cast(pl.UInt32),
        }


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
    example, label = (runs.votes[column].to_numpy() for column in ("example", "label"))
    if groups.of_rows is None:
        votes = runs.votes["votes"].to_numpy()
        row_unit, unit = None, np.arange(runs.examples.height)
        group, lengths = groups.of_examples, run_lengths(example)
    else:
        vote = runs.rows["vote"].to_numpy()
        keys = example[vote].astype(np.int64) * groups.frame.height + groups.of_rows
        unit, row_unit = np.unique(keys, return_inverse=True)
        cell, votes = np.unique(row_unit * runs.n_classes + label[vote], return_counts=True)
        label, lengths = cell % runs.n_classes, run_lengths(cell // runs.n_classes)
        group, unit = unit % groups.frame.height, unit // groups.frame.height
    times = np.ones(len(lengths), np.int64)
    return LocalUnits(
        Units(
            group.astype(np.int64, copy=False),
            times,
            lengths,
            label,
            votes,
            groups.frame.height,
            runs.n_classes,
        ),
        groups.frame,
        unit,
        runs,
        row_unit,
    )


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
        (*grouping.keys, "pattern"): by_pattern(local, grouping, examples=local.units.times),
        (*grouping.keys, "annotator", "label"): _by_annotator_and_label(local, grouping),
    }


def by_pattern(local: LocalUnits, grouping: Grouping, **values: Array) -> pl.LazyFrame:
    """The sums of values of the units over those of each pattern, by group."""
    columns = {"group": local.units.group} if grouping.keys else {}
    frame = pl.LazyFrame(
        {**columns, "code": local.pattern, "unit": np.arange(len(local.example)), **values}
    )
    sums = (
        frame.group_by(*columns, "code")
        .agg(pl.col("unit").first(), pl.exclude("unit").sum())
        .collect()
    )
    pattern = sums["code"]
    if pattern.dtype != pl.Binary:
        pattern = local.patterns_of(sums["unit"].to_numpy())
    named = sums.lazy().select(*columns, pattern.alias("pattern"), *values)
    return named_groups(named, local.groups, grouping)


def count_repeats(part: Partition, grouping: Grouping) -> Summary:
    """The annotations by which annotators labelled an example again, by group."""
    local = local_units(part, grouping)
    key = local.row_unit * local.n_annotators + local.row_annotator
    once = np.unique(key) // local.n_annotators
    times = np.bincount(local.row_unit) - np.bincount(once)
    frame = pl.DataFrame({"group": local.units.group, "repeats": times})
    return {grouping.keys: summed(frame, [], local.groups, grouping)}


def _by_annotator_and_label(local: LocalUnits, grouping: Grouping) -> pl.LazyFrame:
    cells = count_keys(local.cell, local.n_cells)
    counts = cells.lazy().select(**local.of_cells("key"), annotations="times")
    return named_groups(counts, local.groups, grouping)


DENSE = 1 << 22
"""Up to this many keys are counted in a table."""


def count_keys(key: NDArray[Any], size: int) -> pl.DataFrame:
    """How many `times` each `key` comes, of those below `size`."""
    if size <= DENSE:
        table = np.bincount(key, minlength=size)
        found = np.flatnonzero(table)
        return pl.DataFrame({"key": found, "times": table[found]})
    runs = run_counts(pl.Series(key).sort())
    return runs.select("key", times=pl.col("len").cast(pl.Int64))


def merged_units(patterns: pl.DataFrame, grouping: Grouping, n_classes: int) -> Units:
    """The units of the whole log: its merged patterns, sorted by group."""
    label, votes, lengths = decode(patterns["pattern"])
    group, n_groups = group_codes(patterns, grouping)
    times = patterns["examples"].to_numpy()
    return Units(group, times, lengths, label, votes, n_groups, n_classes)
