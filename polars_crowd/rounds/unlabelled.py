"""Examples without annotations, which have pred_probs: what there is left to label.

They lie in the partitions of the log, beside the annotated examples, and take part in no round of
CROWDLAB. Here they are made partitions of their own, so that plans run on them too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl

from polars_crowd.arrays import Probabilities
from polars_crowd.rounds.partitions import Handle, Partition, View
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.runs.classes import Runs
from polars_crowd.runs.codes import Codebook

NO_ROWS = pl.DataFrame(schema={"vote": pl.UInt32, "annotator": pl.UInt32})
NO_VOTES = pl.DataFrame(schema={"example": pl.UInt32, "label": pl.UInt32, "votes": pl.UInt32})


def without_votes(examples: pl.Series, models: tuple[Probabilities, ...], book: Codebook) -> Runs:
    """Examples that nobody labelled, as runs."""
    counts = pl.zeros(len(examples), pl.UInt32, eager=True)
    return Runs(
        rows=NO_ROWS,
        extra=pl.LazyFrame(),
        votes=NO_VOTES,
        examples=pl.DataFrame({"example": examples, "num_annotations": counts}),
        models=models,
        book=book,
    )


def beside(handle: Handle, transform: Callable[..., Runs], *args: Any) -> Runs:
    """How a view is read of a partition's examples without annotations, changed by `transform`."""
    return transform(without_votes(*handle.unlabelled(), handle.book()), *args)


def none_annotated(handle: Handle) -> Runs:
    """How a view is read of a partition in which no example is annotated."""
    examples, models = handle.unlabelled()
    return without_votes(examples.clear(), tuple(p[:0] for p in models), handle.book())


def of_partition(part: Partition, transform: Callable[..., Runs], *args: Any) -> Partition:
    """The unlabelled examples of a partition, changed by `transform(runs, *args)`."""
    return Partition(View(part.handle, beside, transform, *args))


def of_rounds(rounds: Rounds, transform: Callable[..., Runs], *args: Any) -> Rounds:
    """The unlabelled examples of all partitions, changed by `transform(runs, *args)`."""
    handles = (*rounds.handles, *rounds.idle)
    views = [View(handle, beside, transform, *args) for handle in handles]
    return replace(rounds, handles=views, idle=())


def with_idle(rounds: Rounds) -> Rounds:
    """The rounds with the partitions that have unlabelled examples only."""
    idle = (View(handle, none_annotated) for handle in rounds.idle)
    return replace(rounds, handles=[*rounds.handles, *idle], idle=())
