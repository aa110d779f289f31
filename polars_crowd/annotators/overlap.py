"""Overlap: which annotators share examples, directly or through others, and what holds them together.

Components go by `rounds.components`, without a look at pairs. Pairs and bridges take the graph of annotators
itself: an annotator without whom others of their component would not be joined is a bridge, and so is a pair
whose shared examples are the only link between two sides. Both come from one walk through the graph in depth
(Hopcroft and Tarjan 1973, CACM 16(6)): with d the order in which annotators are come to, and

    low(v) = the least d of those that v and what is below v in the walk are neighbours of

the part below a child c of v hangs on v alone where low(c) >= d(v), and on the pair (v, c) where
low(c) > d(v).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Unpack

import numpy as np
import polars as pl

from polars_crowd.arrays import Flags, Ints
from polars_crowd.errors import counted
from polars_crowd.inputs.log import is_labelled, open_rows
from polars_crowd.reliability.meetings import (
    FEWER_ANNOTATORS,
    FIRST,
    KEY,
    Meetings,
    PairCodes,
    Span,
    by_id,
    check_size,
    count_meetings,
    pair_codes,
    spans,
)
from polars_crowd.reliability.request import MemoryOption, Request
from polars_crowd.reports import FEW, Heads, header
from polars_crowd.rounds.components import Components, annotators_of
from polars_crowd.rounds.opening import open_rounds
from polars_crowd.rounds.partitions import Partition, Partitioned
from polars_crowd.rounds.results import Fit
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Summary
from polars_crowd.signatures import shares


class OfOverlap(MemoryOption, total=False):
    """The options of overlap."""

    executor: Any
    progress: bool


@shares(OfOverlap, Request)
def overlap(log: Any, **options: Unpack[OfOverlap]) -> Overlap:
    """Which annotators share examples, directly or through others.

    Labels do not matter, nor whether an annotator labelled an example more than once. Components take one
    pass and memory for the annotators; pairs, on which bridges go, are counted when they are asked for.

    Returns
    -------
    Overlap
        `.components`, `.annotators`, `.pairs`, `.bridges`.

    Raises
    ------
    AnnotationError
        The log cannot be used, or its annotators are anonymous.
    MemoryLimitError
        On `.pairs` and `.bridges`: there may be more pairs than fit into memory.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pl.DataFrame({
    ...     "example": [1, 1, 2, 2, 3, 3, 4],
    ...     "annotator": ["ann", "bob", "bob", "cyd", "dan", "eve", "eve"],
    ...     "label": ["x", "x", "y", "x", "y", "y", "x"],
    ... })
    >>> found = pc.overlap(log)
    >>> found.components.rows()
    [(1, 3, 2, 4), (2, 2, 2, 3)]
    >>> found.bridges.select("annotator", "num_parts").rows()
    [('bob', 2)]
    """
    return Overlap.of_log(log, options)


@dataclass(frozen=True, eq=False, repr=False)
class Overlap(Fit):
    """Which annotators share examples.

    Attributes
    ----------
    components : DataFrame
        The groups of annotators who are joined by examples, directly or through others: `component` (1, 2,
        ..., that of most annotators first, then of most annotations), `num_annotators`, `num_examples`,
        `num_annotations`. With more than one, annotators of different components cannot be compared.
    annotators : DataFrame
        `annotator`, `component`, `num_annotations`, by component and id.
    pairs : DataFrame
        `annotator_1`, `annotator_2`, `num_examples` that both labelled, `component`, `is_bridge`: whether
        without these examples the two would not be joined. A row for each pair that shares any.
    bridges : DataFrame
        Annotators without whom their component would fall apart: `annotator`, `component`, `num_parts` into
        which it would, `num_cut_off`, the annotators outside of the largest of these; most first.
    """

    TABLES: ClassVar[tuple[str, ...]] = ("components", "annotators", "pairs", "bridges")
    HEADS: ClassVar[Heads] = {"components": ("components", FEW)}
    method: ClassVar[str] = "overlap"

    annotators: pl.DataFrame
    components: pl.DataFrame
    _rounds: Rounds

    @classmethod
    def of_log(cls, log: Any, options: Any) -> Overlap:
        """In one round."""
        rounds = open_unlabelled(log, options)
        found = Components.of_log(rounds)
        table = pl.LazyFrame(
            {
                "annotator": rounds.book.annotators,
                "id": by_id(rounds.book.annotators),
                "root": found.root,
                "num_annotations": found.annotations,
                "num_examples": found.examples,
            }
        ).filter(pl.col("num_annotations") > 0)
        sums = table.group_by("root").agg(
            pl.len().cast(pl.Int64).alias("num_annotators"),
            pl.col("num_examples", "num_annotations").sum(),
            pl.col("id").min(),
        )
        down = [True, True, True, False]
        by_size = sums.sort(
            "num_annotators", "num_annotations", "num_examples", "id", descending=down
        )
        numbered = by_size.with_row_index("component", 1).with_columns(
            pl.col("component").cast(pl.Int64)
        )
        both = table.join(numbered.select("root", "component"), on="root").sort("component", "id")
        annotators = both.select("annotator", "component", "num_annotations").collect()
        return cls(annotators, numbered.drop("root", "id").collect(), rounds)

    @cached_property
    def pairs(self) -> pl.DataFrame:
        codes, pair, shared = self._graph
        _, is_bridge = self._walk
        component = self._component.gather(pair // len(codes.rank))
        return pl.DataFrame({"pair": pair}).select(
            *codes.named(),
            num_examples=pl.Series(shared),
            component=component,
            is_bridge=pl.Series(is_bridge),
        )

    @cached_property
    def bridges(self) -> pl.DataFrame:
        codes, _, _ = self._graph
        size = pl.col("component").len().over("component")
        below, _ = self._walk
        table = pl.DataFrame(
            {"annotator": codes.annotators, "component": self._component, "below": below}
        ).with_columns(rest=size - 1 - pl.col("below").list.sum())
        parts = table.with_columns(
            parts=pl.concat_list(pl.col("below"), pl.col("rest").cast(pl.Int64)).list.filter(
                pl.element() > 0
            )
        ).filter(pl.col("parts").list.len() > 1)
        cut_off = pl.col("parts").list.sum() - pl.col("parts").list.max()
        found = parts.select(
            "annotator",
            "component",
            num_parts=pl.col("parts").list.len().cast(pl.Int64),
            num_cut_off=cut_off,
        )
        return found.sort("num_cut_off", descending=True, maintain_order=True)

    @cached_property
    def _graph(self) -> tuple[PairCodes, Ints, Ints]:
        """The pairs of annotators by rank, first * M + second, and how many examples they share."""
        codes = pair_codes(self._rounds.book.annotators, 1)
        first = self._rounds.run(count_pairs_of, codes)[FIRST]
        check_size(self._rounds, codes, int(first["pairs"].sum()), 1, FEWER_ANNOTATORS)
        found = [self._rounds.run(count_shared, codes, span)[KEY] for span in spans(first, codes)]
        shared = pl.concat(found)
        return codes, shared["key"].to_numpy(), shared["times"].to_numpy()

    @cached_property
    def _component(self) -> pl.Series:
        """The component of each annotator by rank."""
        codes = self._graph[0]
        at = codes.annotators.alias("annotator").to_frame()
        return at.join(self.annotators, on="annotator", how="left", maintain_order="left")[
            "component"
        ]

    @cached_property
    def _walk(self) -> tuple[list[list[int]], Flags]:
        codes, pair, _ = self._graph
        return hanging(pair // len(codes.rank), pair % len(codes.rank), len(codes.rank))

    def _header(self) -> str:
        n = self.annotators.height
        sizes = {"example": int(self.components["num_examples"].sum()), "annotator": n}
        joined = counted(self.components.height, "component")
        return header("Overlap", sizes, joined)


def open_unlabelled(log: Any, options: Any) -> Rounds:
    """The rounds of a log, whatever its labels are."""
    if isinstance(log, Partitioned):
        are_sets = log.set_classes is not None
        return open_rounds(log, numeric=log.classes is None, multilabel=are_sets, **options)
    rows = open_rows(log, sets=True)
    label = pl.when(is_labelled(rows.collect_schema()["label"])).then(pl.lit("any"))
    rows = rows.select("example", "annotator", label=label)
    return open_rounds(rows, duplicates="all", **options)


# --- plans -----------------------------------------------------------------------------------------


def count_pairs_of(part: Partition, codes: PairCodes) -> Summary:
    """How many examples each annotator shares with those behind, in all."""
    return meetings_of(part, codes).pairs_by_first


def count_shared(part: Partition, codes: PairCodes, span: Span) -> Summary:
    """The examples that each pair of annotators of a span shares."""
    return count_meetings(meetings_of(part, codes), codes, span)


def meetings_of(part: Partition, codes: PairCodes) -> Meetings:
    """Who labelled which example, whatever with; `codes` of one class."""

    def made() -> Meetings:
        found = annotators_of(part).select("example", "annotator").unique().collect()
        example, annotator = (column.to_numpy() for column in found)
        return Meetings.of(example, codes.rank[annotator], np.zeros(len(example), np.int64))

    return part.once("meetings of annotators", made, codes)


# --- the walk --------------------------------------------------------------------------------------


def neighbourhoods(
    first: Ints, second: Ints, size: int
) -> tuple[list[int], memoryview, memoryview]:
    """Where the neighbours of each node begin; all neighbours, and the edges to them.

    As views of arrays: millions of Python's integers would take eight times as much.
    """
    ends = np.concatenate([first, second], dtype=np.int32)
    order = np.argsort(ends, kind="stable").astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=size))])
    del ends
    others = np.concatenate([second, first], dtype=np.int32)[order]
    return starts.tolist(), others.data, (order % np.int32(len(first))).data


def hanging(first: Ints, second: Ints, size: int) -> tuple[list[list[int]], Flags]:
    """The sizes of the parts that hang on each node alone, and the edges on which a part hangs.

    >>> below, bridges = hanging(np.array([0, 1, 1, 2]), np.array([1, 2, 3, 3]), 4)
    >>> below, bridges.tolist()
    ([[3], [2], [], []], [True, False, False, False])
    """
    starts, neighbours, edges = neighbourhoods(first, second, size)
    found, low, weight = [0] * size, [0] * size, [1] * size
    below: list[list[int]] = [[] for _ in range(size)]
    is_bridge = np.zeros(len(first), np.bool_)
    clock = 0
    for root in range(size):
        if found[root]:
            continue
        clock += 1
        found[root] = low[root] = clock
        path: list[tuple[int, int, Iterator[int]]] = [
            (root, -1, iter(range(starts[root], starts[root + 1])))
        ]
        while path:
            node, came_by, left = path[-1]
            at = next(left, None)
            if at is None:
                path.pop()
                if path:
                    parent = path[-1][0]
                    low[parent] = min(low[parent], low[node])
                    weight[parent] += weight[node]
                    if low[node] >= found[parent]:
                        below[parent].append(weight[node])
                    is_bridge[came_by] = low[node] > found[parent]
                continue
            other = neighbours[at]
            if not found[other]:
                clock += 1
                found[other] = low[other] = clock
                path.append((other, edges[at], iter(range(starts[other], starts[other + 1]))))
            elif edges[at] != came_by:
                low[node] = min(low[node], found[other])
    return below, is_bridge
