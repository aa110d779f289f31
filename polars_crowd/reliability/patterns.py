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

Both are `Units`, with the sums that coefficients are made of as methods.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Array, Flags, Floats, Ints
from polars_crowd.reliability.grouping import Grouping, Groups, groups_of
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.classes import Runs, pack_votes
from polars_crowd.runs.codes import Codebook

LOW = 32
"""Bits of the lower half of an entry."""


@dataclass(frozen=True)
class Units:
    """Count vectors, sparse: the entries of a unit follow one another."""

    group: Ints
    """(U,) the group of each unit, 0 .. G-1."""
    times: Array
    """(U,) how many examples of the group have this pattern."""
    lengths: Ints
    """(U,) the number of entries of each unit, at least 1."""
    label: Ints
    """(E,) the class of each entry."""
    votes: Array
    """(E,) its count n_k."""
    n_groups: int
    n_classes: int

    @cached_property
    def starts(self) -> Ints:
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def unit(self) -> Ints:
        """(E,) the unit of each entry."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @cached_property
    def n(self) -> Floats:
        """(U,) the annotations of each unit."""
        return self.over_entries(self.votes.astype(np.float64))

    @cached_property
    def pairable(self) -> Flags:
        """(U,) whether the unit has two annotations or more."""
        return self.n > 1

    def over_entries(self, values: NDArray[Any]) -> NDArray[Any]:
        """(..., E) -> (..., U): the sum over the entries of each unit."""
        if not len(self.starts):
            return np.zeros((*values.shape[:-1], 0), values.dtype)
        return np.add.reduceat(values, self.starts, axis=-1)

    def of_group(self, values: Floats) -> Floats:
        """(G,) -> (U,): each unit's value of its group."""
        return values[self.group]

    def over_units(self, values: NDArray[Any]) -> Floats:
        """(U,) -> (G,): the sum over the examples of each group."""
        return sums_at(self.group, self.times * values, self.n_groups)

    def by_label(self, values: Floats) -> Floats:
        """(U,) -> (G, K): the sum over the examples of n_k times a value of the unit."""
        cell = self.group[self.unit] * self.n_classes + self.label
        weight = (self.times * values)[self.unit] * self.votes
        size = self.n_groups * self.n_classes
        return sums_at(cell, weight, size).reshape(self.n_groups, self.n_classes)

    def at_labels(self, values: Floats) -> Floats:
        """(K,) or (G, K) -> (E,): a value of each entry's class (in its group)."""
        if values.ndim == 1:
            return values[self.label]
        return values[self.group[self.unit], self.label]

    def dot(self, values: Floats) -> Floats:
        """(K,) or (G, K) -> (U,): sum_k n_k values_k."""
        return self.over_entries(self.votes * self.at_labels(values))

    def entries(self, first: int, last: int) -> slice:
        """The entries of the groups first .. last-1; units are sorted by group."""
        low, high = np.searchsorted(self.group, [first, last])
        return slice(int(self.lengths[:low].sum()), int(self.lengths[:high].sum()))

    def of_groups(self, first: int, last: int) -> Units:
        """The units of the groups first .. last-1 alone."""
        low, high = np.searchsorted(self.group, [first, last])
        entries = self.entries(first, last)
        return replace(
            self,
            group=self.group[low:high] - first,
            times=self.times[low:high],
            lengths=self.lengths[low:high],
            label=self.label[entries],
            votes=self.votes[entries],
            n_groups=last - first,
        )


def sums_at(codes: NDArray[Any], values: Array, size: int) -> Floats:
    """(size,): the sum of the values at each code."""
    return np.asarray(np.bincount(codes, values, size), dtype=np.float64)


# --- the units of one partition --------------------------------------------------------------------


@dataclass(frozen=True)
class LocalUnits:
    """The units of a partition, and the rows that make them."""

    units: Units
    groups: pl.DataFrame
    """The group of each code: a row with the by-columns (no column, one row without grouping)."""
    example: Ints
    """(U,) the example of each unit, as its position in the partition."""
    row_unit: Ints
    """(R,) the unit of each row."""
    row_label: Ints
    """(R,) the label of each row."""
    row_annotator: Ints
    """(R,) the annotator of each row."""
    n_annotators: int

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

    def of_cells(self) -> dict[str, pl.Expr]:
        """The columns behind a column `cell`."""
        K, M = self.units.n_classes, self.n_annotators
        cell = pl.col("cell")
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


def groups_of_part(part: Partition, grouping: Grouping) -> Groups:
    """The groups of a partition's examples or annotations, found once for all that is counted of it."""
    return part.once("groups of rows", lambda: groups_of(part.runs, grouping), grouping)


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
    vote = runs.rows["vote"].to_numpy()
    example = runs.votes["example"].to_numpy()
    label = runs.votes["label"].to_numpy()
    if groups.of_rows is None:
        votes = runs.votes["votes"].to_numpy()
        row_unit, unit = example[vote], np.arange(runs.examples.height)
        group, lengths = groups.of_examples, run_lengths(example)
    else:
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
        row_unit,
        runs.votes["label"].to_numpy()[vote],
        runs.rows["annotator"].to_numpy(),
        len(runs.book.annotators),
    )


def run_lengths(codes: NDArray[Any]) -> Ints:
    """The lengths of the runs of equal codes."""
    changes = np.flatnonzero(codes[1:] != codes[:-1]) + 1
    return np.diff(changes, prepend=0, append=len(codes))[: len(codes)]


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
    units = local.units
    pattern = encode(units.label, units.votes, units.lengths)
    columns = {
        "group": units.group,
        "pattern": pattern,
        "examples": np.ones(len(units.n), np.int64),
    }
    by_pattern = summed(pl.DataFrame(columns), ["pattern"], local.groups, grouping)
    return {
        (*grouping.keys, "pattern"): by_pattern,
        (*grouping.keys, "annotator", "label"): _by_annotator_and_label(local, grouping),
    }


def count_repeats(part: Partition, grouping: Grouping) -> Summary:
    """The annotations by which annotators labelled an example again, by group."""
    local = local_units(part, grouping)
    key = local.row_unit * local.n_annotators + local.row_annotator
    once = np.unique(key) // local.n_annotators
    times = np.bincount(local.row_unit) - np.bincount(once)
    frame = pl.DataFrame({"group": local.units.group, "repeats": times})
    return {grouping.keys: summed(frame, [], local.groups, grouping)}


def _by_annotator_and_label(local: LocalUnits, grouping: Grouping) -> pl.LazyFrame:
    cells = pl.LazyFrame({"cell": local.cell}).group_by("cell").agg(annotations=pl.len())
    return named_groups(
        cells.select(**local.of_cells(), annotations="annotations"), local.groups, grouping
    )


def summed(
    frame: pl.DataFrame | pl.LazyFrame,
    keys: Sequence[str],
    groups: pl.DataFrame,
    grouping: Grouping,
) -> pl.LazyFrame:
    """The sums of a frame with column `group` under the groups and some more keys."""
    sums = frame.lazy().group_by("group", *keys).agg(pl.all().sum())
    return named_groups(sums, groups, grouping)


def named_groups(frame: pl.LazyFrame, groups: pl.DataFrame, grouping: Grouping) -> pl.LazyFrame:
    """The groups' own columns in place of their codes, which differ from partition to partition."""
    if not grouping.keys:
        return frame.drop("group")
    named = frame.join(groups.lazy(), on="group")
    return named.select(*grouping.keys, pl.exclude("group", *grouping.keys))


def merged_units(patterns: pl.DataFrame, grouping: Grouping, n_classes: int) -> Units:
    """The units of the whole log: its merged patterns, sorted by group."""
    label, votes, lengths = decode(patterns["pattern"])
    group, n_groups = group_codes(patterns, grouping)
    times = patterns["examples"].to_numpy()
    return Units(group, times, lengths, label, votes, n_groups, n_classes)


def group_codes(summary: pl.DataFrame, grouping: Grouping) -> tuple[Ints, int]:
    """The groups of a merged summary's rows as codes 0 .. G-1 in sorted order, and G."""
    if not grouping.keys:
        return np.zeros(summary.height, np.int64), 1
    codes = summary.select(pl.struct(grouping.keys).rle_id()).to_series()
    return codes.to_numpy().astype(np.int64), int(codes[-1]) + 1


BLOCK = 1 << 20
"""Pairs of annotations that are worked on at once."""


def pairs_in_blocks(lengths: Ints, size: int = BLOCK) -> Iterator[tuple[Ints, Ints]]:
    """The positions (i, j), i < j, of all pairs within runs of these lengths, about `size` at a time.

    >>> [(i.tolist(), j.tolist()) for i, j in pairs_in_blocks(np.array([2, 1, 3]), size=2)]
    [([0], [1]), ([3, 3, 4], [4, 5, 5])]
    """
    end = np.repeat(np.cumsum(lengths), lengths)
    left = end - np.arange(len(end)) - 1
    before = np.cumsum(left) - left
    total = int(left.sum())
    cuts = np.searchsorted(before, np.arange(0, total, size), side="right") - 1
    for low, high in pairwise([*cuts, len(end)]):
        first = np.repeat(np.arange(low, high), left[low:high])
        nth = np.arange(before[low], before[low] + len(first)) - np.repeat(
            before[low:high], left[low:high]
        )
        yield first, first + 1 + nth
