"""What judges and humans say on the same examples, as sums over sorted runs.

Labels of a judge and of each human on the same examples, labels beside the consensus of the humans or known
ones, and what the alternative annotator test needs (`stand_in.py`). The consensus of the humans is the label
that most of them chose; an example on which they tie has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from polars_crowd.annotators.against import OfExamples
from polars_crowd.annotators.request import Opened
from polars_crowd.consensus.majority_vote import largest
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.summaries import Merged, Summary

HUMAN, JUDGE = 1, 2
"""What an annotator is."""
CELLS = ("annotator", "other", "label", "other_label")
TRUTHS = ("annotator", "true_label", "label")
PAIR = ("annotator", "other")


def count_beside(part: Partition, roles: pl.Series, truth: OfExamples | None) -> Summary:
    """Summaries of a partition: how often judges (`annotator`) and humans (`other`; their consensus is one
    more, after the last) say what on the same example; judges beside the truth; the sums of the alternative
    annotator test; errors of two judges together."""
    runs = part.runs
    rows = runs.vote_rows().with_columns(pl.lit(roles).gather("annotator").alias("role"))
    rows = rows.collect().lazy()
    judges, humans = (rows.filter(pl.col("role") == r).drop("role") for r in (JUDGE, HUMAN))
    votes = humans.group_by("example", "label").agg(votes=pl.len().cast(pl.Int64)).collect().lazy()
    labelled = votes.select("example", covered=pl.lit(True)).unique().collect()
    consensus = consensus_of(votes).collect().lazy()
    voiced = humans.select("example", other="annotator", other_label="label")
    of_all = consensus.select(
        "example", pl.lit(len(roles), pl.UInt32).alias("other"), "other_label"
    )
    everyone = pl.concat([voiced, of_all])
    known = consensus.rename({"other_label": "true_label"})
    if truth is not None:
        known = truth.at_examples(part).lazy().select("example", "true_label")
    beside_truth = judges.join(known, on="example")
    sizes = {
        "again": int(runs.has_repeats),
        "human_examples": labelled.height,
        "known": 0 if truth is None else known.collect().height,
    }
    n = pl.len().cast(pl.Int64)
    of_judges = judges.join(labelled.lazy(), on="example", how="left").group_by("annotator")
    covered = pl.col("example").filter("covered").n_unique().cast(pl.Int64)
    found: dict[tuple[str, ...], pl.DataFrame | pl.LazyFrame] = {
        (): pl.DataFrame(sizes),
        ("annotator",): of_judges.agg(annotations=n, covered=covered),
        CELLS: judges.join(everyone, on="example").group_by(CELLS).agg(n=n),
        TRUTHS: beside_truth.group_by(TRUTHS).agg(n=n),
        PAIR: compared(judges.join(voiced, on="example"), votes),
    }
    if truth is not None:
        wrong = (pl.col("label") != pl.col("true_label")).cast(pl.Int64)
        errors = beside_truth.select("example", "annotator", wrong=wrong)
        found["annotator_1", "annotator_2"] = errors_together(errors)
    return found


def consensus_of(votes: pl.LazyFrame) -> pl.LazyFrame:
    """The label of most humans, where no other has as many."""
    alone = largest(votes, "votes").filter(pl.len().over("example") == 1)
    return alone.select("example", other_label="label")


def compared(pairs: pl.LazyFrame, votes: pl.LazyFrame) -> pl.LazyFrame:
    """The sums of the alternative annotator test, of examples with one more human."""
    own = votes.select("example", other_label="label", own=pl.col("votes") - 1)
    said = votes.select("example", "label", said="votes")
    size = votes.group_by("example").agg(size=pl.col("votes").sum())
    same = (pl.col("label") == pl.col("other_label")).cast(pl.Int64)
    beside = (
        pairs.join(size, on="example")
        .filter(pl.col("size") > 1)
        .join(own, on=["example", "other_label"])
        .join(said, on=["example", "label"], how="left")
        .with_columns(said=pl.col("said").fill_null(0) - same)
    )
    judge = (pl.col("said") >= pl.col("own")).cast(pl.Int64)
    human = (pl.col("own") >= pl.col("said")).cast(pl.Int64)
    d = human - judge
    return beside.group_by(PAIR).agg(
        n=pl.len().cast(pl.Int64), judge=judge.sum(), d=d.sum(), d2=(d**2).sum()
    )


def errors_together(wrong: pl.LazyFrame) -> pl.LazyFrame:
    """The sums of the correlation of two judges' errors."""
    held = wrong.collect().lazy()
    pairs = held.join(held, on="example", suffix="_2").rename(
        {"annotator": "annotator_1", "wrong": "wrong_1"}
    )
    pairs = pairs.filter(pl.col("annotator_1") < pl.col("annotator_2"))
    return pairs.group_by("annotator_1", "annotator_2").agg(
        n=pl.len().cast(pl.Int64),
        wrong_1=pl.col("wrong_1").sum(),
        wrong_2=pl.col("wrong_2").sum(),
        both=(pl.col("wrong_1") * pl.col("wrong_2")).sum(),
    )


@dataclass(frozen=True)
class Beside:
    """The merged sums, and what they are asked."""

    opened: Opened
    merged: Merged
    roles: pl.Series
    confidence: float
    epsilon: float
    may_repeat: bool
    """Whether annotators may have labelled an example again."""

    @property
    def judges(self) -> list[int]:
        return self._who(JUDGE)

    @property
    def humans(self) -> list[int]:
        return self._who(HUMAN)

    def _who(self, role: int) -> list[int]:
        return (self.roles == role).arg_true().to_list()

    def name(self, codes: Sequence[int]) -> pl.Series:
        return self.opened.annotators.gather(list(codes))
