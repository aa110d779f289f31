"""Examples without annotations, which have pred_probs: what there is left to label.

They lie in the partitions of the log, beside the annotated examples, and take part in no round of
CROWDLAB. Here they are made partitions of their own, so that plans run on them too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from polars_crowd.arrays import Probabilities
from polars_crowd.inputs.pred_probs import Unlabelled
from polars_crowd.rounds.partitions import Handle, Partition, Transformed
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.runs.classes import Runs
from polars_crowd.runs.codes import Codebook
from polars_crowd.runs.numbers import Values

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


@dataclass(frozen=True)
class Beside(Handle):
    """A partition's examples without annotations, as a partition."""

    handle: Handle
    codebook: Codebook

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.handle.name

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        given = self.handle.fingerprint
        return f"{given}-unlabelled" if given else ""

    def runs(self) -> Runs:
        return without_votes(*self.unlabelled(), self.codebook)

    def book(self) -> Codebook:
        return self.codebook

    def unlabelled(self) -> Unlabelled:
        return self.handle.unlabelled()

    def values(self) -> Values:
        return self.handle.values()

    def keep(self, name: str, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        return self.handle.keep(f"{name}-unlabelled", make)


@dataclass(frozen=True)
class Idle(Beside):
    """A partition in which no example is annotated."""

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        return self.handle.fingerprint

    def runs(self) -> Runs:
        examples, models = self.unlabelled()
        return without_votes(examples.clear(), tuple(p[:0] for p in models), self.codebook)


def of_partition(part: Partition, transform: Callable[..., Runs], *args: Any) -> Partition:
    """The unlabelled examples of a partition, changed by `transform(runs, *args)`."""
    return Partition(Transformed(Beside(part.handle, part.runs.book), transform, args))


def of_rounds(rounds: Rounds, transform: Callable[..., Runs], *args: Any) -> Rounds:
    """The unlabelled examples of all partitions, changed by `transform(runs, *args)`."""
    beside: Sequence[Handle] = [
        Transformed(Beside(handle, rounds.book), transform, args)
        for handle in (*rounds.handles, *rounds.idle)
    ]
    return replace(rounds, handles=beside, idle=())


def with_idle(rounds: Rounds) -> Rounds:
    """The rounds with the partitions that have unlabelled examples only."""
    idle = (Idle(handle, rounds.book) for handle in rounds.idle)
    return replace(rounds, handles=[*rounds.handles, *idle], idle=())
