"""Consensus labels that a small change of the weights cannot change.

The best class of an example is the k that maximises, of a posterior's numerator,

    t[e,k] = sum_m w_m p_m[e,k] + gain W[e,k],      gain = CL - NCL

(see `crowdlab`). When the weights move, with d = max( sum_m |dw_m|, max_a |d(gain w[a])| ), the difference of
t between two classes of e moves by at most d (1 + n[e]): each model adds at most |dw_m|, since p lies in
[0, 1], and each of the n[e] annotators counts for one class. So an example whose best class leads by more
than REACH (1 + n[e]) keeps its label for as long as d <= REACH. It is **steady**.

In a directory of results, `count_consensus` is made once of a partition's steady examples, and of the few
others as a small partition of their own. After an append, only those few are looked at again, in the
partitions that did not change. The counts are the same as if all had been.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.numerics.mixture import Mixture
from polars_crowd.rounds.cache import Cache
from polars_crowd.rounds.partitions import InMemory, Partition
from polars_crowd.rounds.summaries import Merged, Summary, collected, merge
from polars_crowd.runs.classes import Runs
from polars_crowd.runs.codes import Codebook

REACH = 0.02
"""How far the weights may move until all examples are looked at again."""


@dataclass(frozen=True)
class Pull:
    """What the numerators depend on: the models' weights, and gain times those of all annotators."""

    models: Floats
    annotators: Floats

    def moved_from(self, other: Reference) -> float:
        """d, over the annotators of the reference's partition."""
        if len(self.models) != len(other.models):
            return float("inf")
        annotators = self.annotators[other.annotators["annotator"].to_numpy()]
        moved = np.abs(annotators - other.annotators["weight"].to_numpy())
        return float(max(np.abs(self.models - other.models).sum(), moved.max(initial=0.0)))

    def of(self, runs: Runs) -> pl.DataFrame:
        """`annotator`, `weight` of the annotators of a partition."""
        present = runs.rows.select(pl.col("annotator").unique().sort())
        return present.with_columns(weight=pl.lit(pl.Series(self.annotators)).gather("annotator"))


def recount(
    part: Partition,
    known: Cache,
    name: str,
    pull: Pull,
    posterior: Callable[[Partition], Mixture],
    count: Callable[[Partition], Summary],
) -> Summary:
    """The count of a partition: with the steady examples as they were counted before, if they still are."""
    frames = known.read(name)
    reference = None if frames is None else Reference.of(frames, part.handle.book())
    if reference is not None and pull.moved_from(reference) <= REACH:
        return merge([reference.counts, counted(reference.others, count)])
    counts = collected(count(part))
    others = ~steady(posterior(part), part.runs.examples["num_annotations"])
    few = subset(part.runs, others)
    steady_counts = subtract(counts, counted(few, count))
    known.write(name, Reference(pull.models, pull.of(part.runs), steady_counts, few).frames())
    return counts


def counted(few: Runs, count: Callable[[Partition], Summary]) -> Merged:
    """The count of the examples that are not steady, if there are any."""
    return collected(count(Partition(InMemory(few)))) if few.examples.height else {}


def subtract(counts: Merged, of_some: Merged) -> Merged:
    """Counts of all without those of some."""
    negative = {keys: frame.with_columns(-pl.exclude(keys)) for keys, frame in of_some.items()}
    return merge([counts, negative])


@dataclass(frozen=True)
class Reference:
    """What was counted of a partition under earlier weights."""

    models: Floats
    annotators: pl.DataFrame
    """`annotator`, `weight`: the pull of those who are in the partition."""
    counts: Merged
    """Of the steady examples."""
    others: Runs
    """The other examples."""

    def frames(self) -> Merged:
        """As frames, to keep them."""
        runs = self.others
        models = {f"{m},{k}": p[:, k] for m, p in enumerate(runs.models) for k in range(p.shape[1])}
        return {
            ("models",): pl.DataFrame({"weight": self.models}),
            ("annotators",): self.annotators,
            ("rows",): runs.rows,
            ("votes",): runs.votes,
            ("examples",): runs.examples.select("num_annotations").hstack(pl.DataFrame(models)),
            **{("counts", *keys): frame for keys, frame in self.counts.items()},
        }

    @classmethod
    def of(cls, frames: Merged, book: Codebook) -> Reference:
        """From the frames that were kept."""
        weights = frames[("models",)]["weight"].to_numpy()
        counts = {keys[1:]: frame for keys, frame in frames.items() if keys[0] == "counts"}
        examples, K = frames[("examples",)], len(book.classes)
        models = (
            examples.select(f"{m},{k}" for k in range(K)).to_numpy() for m in range(len(weights))
        )
        others = Runs(
            rows=frames[("rows",)],
            extra=pl.LazyFrame(),
            votes=frames[("votes",)],
            examples=examples.select("num_annotations"),
            models=tuple(models),
            book=book,
        )
        return cls(weights, frames[("annotators",)], counts, others)


def steady(q: Mixture, num_annotations: pl.Series) -> pl.Series:
    """Whether each example is."""
    _, largest, second = q.top_two()
    lead = (largest - second) * q.normaliser
    return pl.Series(lead > REACH * (1 + num_annotations.to_numpy()))


def subset(runs: Runs, chosen: pl.Series) -> Runs:
    """The runs of some of a partition's examples."""
    place = pl.lit(chosen.cast(pl.UInt32).cum_sum() - 1)
    of_votes = runs.of_votes(chosen)
    votes = runs.votes.filter(of_votes)
    rows = runs.rows.filter(of_votes.gather(runs.rows["vote"]))
    vote_place = pl.lit(of_votes.cast(pl.UInt32).cum_sum() - 1)
    mask = chosen.to_numpy()
    return replace(
        runs,
        rows=rows.with_columns(vote_place.gather("vote").cast(pl.UInt32).alias("vote")),
        votes=votes.with_columns(place.gather("example").cast(pl.UInt32).alias("example")),
        examples=runs.examples.filter(chosen),
        models=tuple(p[mask] for p in runs.models),
        extra=pl.LazyFrame(),
    )
