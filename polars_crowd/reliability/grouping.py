"""`by=`: the groups for which agreement is computed, all in the same pass.

A group is a combination of values of columns of the log, or of frames keyed by example or by annotator.
Where the annotations of an example lie in several groups (the language of their annotators, say) the
example counts in each of them, with the annotations there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.compatible import HORIZONTAL
from polars_crowd.errors import (
    Advice,
    AnnotationError,
    OptionError,
    counted,
    missing_column,
    shown,
)
from polars_crowd.inputs.log import LOG_COLUMNS
from polars_crowd.inputs.matching import ids_like, match_ids
from polars_crowd.inputs.sources import check_names
from polars_crowd.rounds.partitions import Partition
from polars_crowd.runs.classes import Runs


@dataclass(frozen=True, eq=False)
class Grouping:
    """What the annotations are grouped by: nothing, by default.

    Plans, summaries and joins know the group columns as `keys`, which no column of theirs is called; the
    caller's names come back with `named`.
    """

    columns: tuple[str, ...] = ()
    """Columns of the log."""
    examples: pl.DataFrame | None = None
    """`example` and its group columns."""
    annotators: pl.DataFrame | None = None
    """`annotator` and its group columns."""
    numbers: Floats | None = None
    """The different labels, sorted, of a store whose labels are numbers without classes, or write them."""
    written: Floats | None = None
    """The number that each class of such a store writes."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the caller calls the group columns."""
        return (*self.columns, *_others(self.examples), *_others(self.annotators))

    @property
    def keys(self) -> tuple[str, ...]:
        """... and what they are called inside."""
        return tuple(f"by_{i}" for i in range(len(self.names)))

    def keyed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The caller's group columns in `frame` under their keys, alone."""
        named = zip(self.names, self.keys, strict=True)
        return frame.select(pl.col(name).alias(key) for name, key in named if name in frame.columns)

    def check_ids(self, rows: pl.LazyFrame) -> None:
        """Ids of frames that are not in the log are counted; a frame with none of the log's is an error."""
        for frame in (self.examples, self.annotators):
            if frame is not None:
                ids = frame.to_series(0)
                known = rows.select(pl.col(ids.name).unique().sort()).collect(engine="streaming")
                match_ids(ids, known.to_series(), "by", ids.name).say("by", ids.name)

    def named(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A result with the group columns as the caller calls them."""
        return frame.rename(dict(zip(self.keys, self.names, strict=True)))


def _others(frame: pl.DataFrame | None) -> list[str]:
    return frame.columns[1:] if frame is not None else []


def parse_grouping(by: Any, columns: Iterable[str], taken: Iterable[str] = ()) -> Grouping:
    """`by` as names of columns of the log (which has these `columns`), frames, or a list of both.

    The result has columns of its own (`taken`), whose names a group column cannot have.
    """
    if by is None:
        return Grouping()
    given = list(by) if isinstance(by, (list, tuple)) else [by]
    names = tuple(g for g in given if isinstance(g, str))
    frames = [g.lazy().collect() for g in given if isinstance(g, (pl.DataFrame, pl.LazyFrame))]
    if len(names) + len(frames) < len(given):
        raise TypeError("by takes names of columns of the log, Polars frames, or a list of these.")
    for frame in frames:
        check_names(frame.columns, "the frame of groups")
    by_id = {kind: [f for f in frames if kind in f.columns] for kind in ("example", "annotator")}
    _check_frames(frames, by_id)
    keyed = {kind: _keyed(found, kind) for kind, found in by_id.items()}
    grouping = Grouping(names, keyed["example"], keyed["annotator"])
    _check_names(grouping, list(columns), tuple(taken))
    return grouping


GROUP_BY = Advice(
    "Group by one of these",
    python="or by a frame with a column example or annotator",
    command="or by a file of groups, --by FILE",
)


def _keyed(frames: Sequence[pl.DataFrame], kind: str) -> pl.DataFrame | None:
    if not frames:
        return None
    frame = frames[0].select(kind, pl.exclude(kind))
    twice = frame.filter(pl.col(kind).is_duplicated())
    if twice.height:
        raise AnnotationError(
            f"repeats {counted(twice[kind].n_unique(), kind)}: "
            f"{shown(twice[kind].unique().sort().to_list())}.",
            f"Keep one row for each {kind}.",
            source="the frame of groups",
            column=kind,
        )
    return frame


def _check_frames(frames: Sequence[pl.DataFrame], by_id: dict[str, list[pl.DataFrame]]) -> None:
    keyed = sum(len(found) for found in by_id.values())
    if keyed != len(frames) or any(len(found) > 1 for found in by_id.values()):
        raise OptionError(
            "by",
            ...,
            "takes frames with a column 'example' or a column 'annotator', at most one of each; the "
            f"columns given are {shown([f.columns for f in frames])}.",
        )


def _no_group(name: str, columns: list[str]) -> AnnotationError:
    """The error for a group that is no column of the log besides those of annotations."""
    if columns and name not in LOG_COLUMNS:
        return missing_column("the log", name, columns, GROUP_BY)
    there = shown(columns, limit=20) or "none"
    return AnnotationError(
        f"has no column {name!r} to group by; besides {shown(list(LOG_COLUMNS))} there are: {there}.",
        GROUP_BY,
        source="the log",
    )


def _check_names(grouping: Grouping, columns: list[str], taken: tuple[str, ...]) -> None:
    for name in grouping.columns:
        if name not in columns:
            raise _no_group(name, columns)
    wrong = {
        "is given twice": {name for name in grouping.names if grouping.names.count(name) > 1},
        "is a column of the result": set(grouping.names) & set(taken),
    }
    for what, names in wrong.items():
        if names:
            raise AnnotationError(
                f"by: {shown(sorted(names))} {what}.",
                Advice(
                    "Give the group column another name", f"log.rename({{{min(names)!r}: ...}})"
                ),
            )


# --- the groups of a partition ---------------------------------------------------------------------


@dataclass(frozen=True)
class Groups:
    """The groups that occur in a partition."""

    frame: pl.DataFrame
    """`group` (code 0 .. G-1) and the group's columns."""
    of_examples: Ints
    """(N,) each example's group; unused where `of_rows` is given."""
    of_rows: Ints | None = None
    """(R,) each annotation's group, where those of an example differ."""

    def at_rows(self, runs: Runs) -> Ints:
        """(R,) each annotation's group."""
        if self.of_rows is not None:
            return self.of_rows
        example = runs.votes["example"].gather(runs.rows["vote"])
        return np.asarray(self.of_examples[example.to_numpy()])


def groups_of(runs: Runs, grouping: Grouping) -> Groups:
    """The groups of a partition's examples or annotations."""
    if not grouping.keys:
        one = pl.DataFrame({"group": [0]}, schema={"group": pl.UInt32})
        return Groups(one, np.zeros(runs.examples.height, np.int64))
    of_examples = _look_up(runs.examples["example"], grouping.examples)
    if not grouping.columns and grouping.annotators is None:
        return Groups(*_coded(grouping.keyed(of_examples)))
    example = runs.votes["example"].gather(runs.rows["vote"])
    of_annotators = _look_up(runs.book.annotators.alias("annotator"), grouping.annotators)
    rows = [runs.extra.select(grouping.columns).collect()] if grouping.columns else []
    rows += [of_examples.select(pl.all().gather(example))] if of_examples.width else []
    annotator = runs.rows["annotator"]
    rows += [of_annotators.select(pl.all().gather(annotator))] if of_annotators.width else []
    frame, codes = _coded(grouping.keyed(pl.concat(rows, how=HORIZONTAL)))
    at_example = example.to_numpy()
    first = np.searchsorted(at_example, np.arange(runs.examples.height))
    of_first = codes[first]
    alike = bool((codes == of_first[at_example]).all())
    return Groups(frame, of_first, None if alike else codes)


def groups_of_part(part: Partition, grouping: Grouping) -> Groups:
    """The groups of a partition's examples or annotations, found once for all that is counted of it."""
    return part.once("groups of rows", lambda: groups_of(part.runs, grouping), grouping)


def _look_up(ids: pl.Series, frame: pl.DataFrame | None) -> pl.DataFrame:
    """The group columns of each id: null for one that the frame does not have."""
    if frame is None:
        return pl.DataFrame()
    given = frame.schema[ids.name]
    known = frame.with_columns(ids_like(ids.name, given, ids.dtype, "the frame of groups"))
    return ids.to_frame().join(known, on=ids.name, how="left", maintain_order="left").drop(ids.name)


def _coded(rows: pl.DataFrame) -> tuple[pl.DataFrame, Ints]:
    """The distinct rows with their codes, and the code of each row."""
    frame = rows.unique().with_row_index("group")
    return frame, codes_in(frame, rows).to_numpy()


def codes_in(groups: pl.DataFrame, rows: pl.DataFrame) -> pl.Series:
    """The `group` of each row by its group columns, which are the other columns of `groups`; null if none.

    Groups are looked up by all columns in one: where one column alone is sorted, a join of floats does not
    find NaN.
    """
    keys = [column for column in groups.columns if column != "group"]
    if not keys:
        return pl.Series("group", np.zeros(rows.height, np.uint32))
    key = pl.struct(keys).alias("key")
    known = groups.select(key, "group")
    return rows.select(key).join(known, on="key", how="left", maintain_order="left")["group"]


# --- sums by group ---------------------------------------------------------------------------------


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
        return frame.drop("group", strict=False)
    named = frame.join(groups.lazy(), on="group")
    return named.select(*grouping.keys, pl.exclude("group", *grouping.keys))


def group_codes(summary: pl.DataFrame, grouping: Grouping) -> tuple[Ints, int]:
    """The groups of a merged summary's rows as codes 0 .. G-1 in sorted order, and G."""
    if not grouping.keys:
        return np.zeros(summary.height, np.int64), 1
    codes = summary.select(pl.struct(grouping.keys).rle_id()).to_series()
    return codes.to_numpy().astype(np.int64), int(codes[-1]) + 1
