"""Components: which annotators are joined by examples that they share, directly or through others.

Annotators are the nodes of a graph in which two are neighbours if both labelled an example. Its components
are found without its edges, of which there may be very many: an example joins each of its annotators to the
first of them. Each partition joins the annotators that it has, and sends back one root for each; the roots of
all partitions are joined in the same way.

Between two components nothing in the log compares: whoever looks better in one may have had easier examples,
or neighbours who err as they do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from polars_crowd.arrays import Ints
from polars_crowd.errors import Advice, OverlapWarning, counted, warn_again
from polars_crowd.numerics.graphs import roots
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Merged, Summary

LOOK = Advice("See which they are", python="pc.overlap(log)")


@dataclass(frozen=True, eq=False)
class Components:
    """Which of a log's M annotators are joined, by their codes."""

    root: Ints
    """(M,) the same for all annotators of a component: one of them."""
    annotations: Ints
    """(M,) how many each has."""
    examples: Ints
    """(M,) how many examples each is the first of: over a component, its examples."""

    @classmethod
    def of_log(cls, rounds: Rounds) -> Components:
        """In one round."""
        M = len(rounds.book.annotators)
        return cls.of_sums(rounds.run(join_annotators, M), M)

    @classmethod
    def of_sums(cls, merged: Merged, M: int) -> Components:
        """From the summary of `join_annotators`."""
        found = merged[("annotator", "root")]
        annotator = found["annotator"].to_numpy()
        annotations, examples = (
            np.bincount(annotator, found[c].to_numpy(), M).astype(np.int64)
            for c in ("annotations", "examples")
        )
        return cls(roots(annotator, found["root"].to_numpy(), M), annotations, examples)

    @property
    def sizes(self) -> Ints:
        """How many annotators there are in each component, the largest first."""
        _, sizes = np.unique(self.root[self.annotations > 0], return_counts=True)
        return np.sort(sizes)[::-1]

    def warn(self, what: str) -> None:
        """Warns where `what` compares annotators of whom some share no example, not even through others."""
        sizes = self.sizes
        if len(sizes) > 1:
            listed = ", ".join(f"{n:,}" for n in sizes[:5].tolist()) + (
                ", ..." if len(sizes) > 5 else ""
            )
            warn_again(
                OverlapWarning(
                    f"the annotators are {counted(len(sizes), 'group')} (of {listed}) that share no example, "
                    f"not even through others: {what} compares within a group, not between groups.",
                    LOOK,
                )
            )


def join_annotators(part: Partition, M: int) -> Summary:
    """The root of each annotator, their annotations, and the examples that they are the first of."""
    rows = annotators_of(part).select("annotator", "first", "is_first")
    held = rows.collect(engine=part.handle.engine)
    annotator, first, is_first = (column.to_numpy() for column in held)
    annotations, examples = (
        np.bincount(of, minlength=M) for of in (annotator, annotator[is_first])
    )
    there = np.flatnonzero(annotations)
    sums = {"annotations": annotations[there], "examples": examples[there]}
    found = {"annotator": there, "root": roots(annotator, first, M)[there], **sums}
    return {("annotator", "root"): pl.DataFrame(found)}


def annotators_of(part: Partition) -> pl.LazyFrame:
    """`example`, `annotator`, `first` (of the example's annotators), `is_first`: a row per annotation."""
    rows = part.runs.vote_rows() if part.handle.has_runs else part.values.rows.lazy()
    n = examples_of(part)["num_annotations"].cast(pl.Int64)
    row, begin = pl.int_range(pl.len()), pl.lit(n.cum_sum() - n).gather("example")
    return rows.select(
        "example", "annotator", first=pl.col("annotator").gather(begin), is_first=row == begin
    )


def examples_of(part: Partition) -> pl.DataFrame:
    """`example` (id) and `num_annotations`, in the order of their positions."""
    return part.runs.examples if part.handle.has_runs else part.values.examples


def warn_of_components(rounds: Rounds, what: str) -> None:
    """The warning of a log's components, if there are several, in one round."""
    Components.of_log(rounds).warn(what)
