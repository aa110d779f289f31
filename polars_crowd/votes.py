"""The sorted runs of a log, and the majority vote with its tie-breaks.

Inside a partition (a set of whole examples) the log is encoded to integer codes and sorted once by
(example, label, annotator). From then on everything is a run: the votes of a (example, label) are a run
of rows, an example is a run of votes. Three frames hold all that a method needs:

* rows: `vote`, `annotator`: one row per annotation, pointing at its vote;
* votes: `example`, `label`, `votes`: one row per (example, label) that occurs, pointing at its example;
* examples: `example` (the id), `num_annotations`.

**Majority vote.** With c[e,k] votes for class k on example e, the candidates on e are the classes with
the largest c[e,k]. Ties are narrowed, each step among the classes still tied, by

1. the largest model probability p[e,k], where pred_probs are given;
2. the smallest number of annotations of k in the whole log;
3. the largest mean, over the annotators who chose k on e, of their agreement with the majority vote of
   the examples whose vote had one winner from the start (who has no such example gets the others' mean);
4. the first class in class order.

Steps 1 to 3 are those of Goh, Tkachenko and Mueller (2022, arXiv 2210.06812) and their implementation;
the fourth replaces its random draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd import checks, mixing
from polars_crowd.codes import (
    Codebook,
    ExampleCodes,
    annotator_codes,
    example_codes,
    id_as_read,
    label_code,
    resolve_classes,
)
from polars_crowd.log import LOG_COLUMNS, PredProbs
from polars_crowd.partitions import merge

Floats = mixing.Floats
Probabilities = NDArray[np.floating[Any]]

EXACT = 1e-12
"""Means of agreement closer than this are tied: the order of a sum must not decide a vote."""
KEY_BITS = 63
NEAR = 32
"""Up to this many annotations per example, duplicates are looked for among neighbours."""


@dataclass(frozen=True)
class Runs:
    """One partition of a log as sorted runs, with the models' probabilities beside its examples."""

    rows: pl.DataFrame
    """`vote` (position in `votes`), `annotator` (code), then the log's other columns."""
    votes: pl.DataFrame
    """`example` (position in `examples`), `label` (code), `votes` = c[e,k]."""
    examples: pl.DataFrame
    """`example` (id), `num_annotations` = n[e]."""
    models: tuple[Probabilities, ...]
    """One (N, K) array per model."""
    book: Codebook

    @property
    def n_classes(self) -> int:
        return len(self.book.classes)

    @cached_property
    def on_multi(self) -> pl.Series:
        """Whether each example has more than one annotation."""
        return self.examples["num_annotations"] > 1

    @cached_property
    def top_classes(self) -> tuple[pl.Series, ...]:
        """Each model's most probable class of each example."""
        return tuple(pl.Series(mixing.top_class(p)) for p in self.models)

    def of_votes(self, examples: pl.Series) -> pl.Series:
        """A value per example, repeated for each of its votes."""
        return examples.gather(self.votes["example"])

    def votes_for(self, labels: pl.Series) -> pl.Series:
        """c[e, label[e]]: how many annotators chose the given label of each example."""
        chosen = self.votes.filter(pl.col("label") == pl.lit(labels).gather("example"))
        counts = pl.zeros(len(labels), chosen["votes"].dtype, eager=True)
        return counts.scatter(chosen["example"], chosen["votes"])

    def sum_over_votes(self, by_annotator: Floats) -> pl.Series:
        """The sum, over the annotators of each vote, of a value in [0, 1] per annotator.

        Runs are sums of running sums: in fixed point, where they are exact in any order and may wrap.
        """
        scale = float(1 << (62 - _bits(int(self.votes["votes"].max()) + 1)))
        fixed = pl.Series(np.rint(by_annotator * scale).astype(np.int64))
        is_last = pl.col("vote") != pl.col("vote").shift(-1, fill_value=self.votes.height)
        running = pl.lit(fixed).gather("annotator").cum_sum()
        last = self.rows.lazy().select(sum=running, is_last=is_last).filter("is_last").select("sum")
        return last.select(pl.col("sum") - pl.col("sum").shift(1, fill_value=0)).collect()["sum"] / scale

    def leaders(self) -> pl.DataFrame:
        """The votes with the most annotators of their example."""
        by_example = self.votes.lazy().group_by("example", maintain_order=True)
        most = by_example.agg(pl.col("votes").max()).collect()["votes"]
        return self.votes.filter(pl.col("votes") == pl.lit(most).gather("example"))

    def vote_rows(self) -> pl.LazyFrame:
        """`example`, `label`, `annotator` of every annotation, as positions and codes."""
        return self.rows.lazy().select(
            *(pl.lit(self.votes[c]).gather("vote").alias(c) for c in ("example", "label")), "annotator"
        )


# --- from a log to sorted runs ---------------------------------------------------------------------


def sort_runs(
    log: pl.LazyFrame,
    probs: Sequence[PredProbs],
    *,
    classes: Sequence[Any] | None = None,
    duplicates: checks.Duplicates = "error",
    book: Codebook | None = None,
    check_probs: bool = True,
) -> Runs:
    """Read one partition of a log, with the probabilities of its examples, into sorted runs.

    `book` holds the classes and annotators of the whole log where this is a part of it.
    """
    log = checks.without_duplicates(log, duplicates)
    schema = log.collect_schema()
    values, names = (
        (book.classes, book.names)
        if book
        else resolve_classes(schema["label"], probs[0].names, classes)
    )
    coded = _read_codes(log, schema, values)
    annotator, annotators = annotator_codes(coded["annotator"], book.annotators if book else None)
    bits = KeyBits(_bits(len(annotators)), _bits(len(values)))
    example = example_codes(coded["example"], KEY_BITS - bits.annotator - bits.label)
    key = bits.pack(example, coded["label"], annotator)
    key, others = _sorted(key, coded.drop(LOG_COLUMNS))
    del coded, annotator
    columns = bits.unpack(key)
    del key
    counts = _run_lengths(columns["example"])
    if duplicates == "error" and _has_duplicates(columns["pair"], int(counts["len"].max())):
        raise checks.duplicate_annotations(log)
    ids = _as_dtype(example.decode(counts["key"]), schema["example"])
    rows = columns.select(pl.col("vote").rle_id().set_sorted(), "annotator").hstack(others)
    return Runs(
        rows=rows,
        votes=_votes(_run_lengths(columns["vote"]), 1 << bits.label),
        examples=pl.DataFrame({"example": ids, "num_annotations": counts["len"]}),
        models=tuple(checks.read_probabilities(p, ids, names, check_probs) for p in probs),
        book=book or Codebook(values, names, _as_dtype(annotators, schema["annotator"])),
    )


def _read_codes(log: pl.LazyFrame, schema: pl.Schema, classes: pl.Series) -> pl.DataFrame:
    """The log in memory: ids as they are read, labels as codes."""
    others = [c for c in schema if c not in LOG_COLUMNS]
    coded = log.select(
        id_as_read("example", schema["example"]),
        id_as_read("annotator", schema["annotator"]),
        label_code(schema["label"], classes).alias("label"),
        *others,
    ).collect()
    if coded.is_empty():
        raise checks.no_annotations()
    for column in ("example", "annotator"):
        if coded[column].null_count():
            raise checks.null_ids(log, column)
    if coded["label"].null_count():
        raise checks.unknown_labels(log, classes)
    return coded


@dataclass(frozen=True)
class KeyBits:
    """How (example, label, annotator) are packed into one integer that sorts like the triple."""

    annotator: int
    label: int

    def pack(self, example: ExampleCodes, label: pl.Series, annotator: pl.Series) -> pl.Series:
        columns = pl.LazyFrame([example.values.alias("e"), label.alias("l"), annotator.alias("a")])
        wide = pl.UInt64 if example.values.dtype == pl.UInt64 else pl.Int64
        code = (pl.col("e").cast(wide) - example.first).cast(pl.UInt64)
        shifted = code * (1 << self.label) + pl.col("l").cast(pl.UInt64)
        key = shifted * (1 << self.annotator) + pl.col("a").cast(pl.UInt64)
        return columns.select(key=key).collect()["key"]

    def unpack(self, key: pl.Series) -> pl.DataFrame:
        """`example`; `vote` = (example, label); `pair` = (example, annotator); `annotator`."""
        packed = pl.col("key")
        annotator = packed % (1 << self.annotator)
        example = packed // (1 << (self.annotator + self.label))
        columns = key.alias("key").to_frame().lazy().select(
            example=example,
            vote=packed // (1 << self.annotator),
            pair=example * (1 << self.annotator) + annotator,
            annotator=annotator.cast(pl.UInt32),
        )
        return columns.collect()


def _bits(n: int) -> int:
    """How many bits hold 0 .. n-1."""
    return max(n - 1, 1).bit_length()


def _sorted(key: pl.Series, others: pl.DataFrame) -> tuple[pl.Series, pl.DataFrame]:
    if not others.width:
        return key.sort(), others
    frame = others.select(pl.all().name.prefix("other_")).with_columns(key.alias("key"))
    frame = frame.lazy().sort("key", maintain_order=True).collect()
    return frame["key"], frame.drop("key").rename(lambda c: c.removeprefix("other_"))


def _run_lengths(sorted_keys: pl.Series) -> pl.DataFrame:
    """`key` and `len` of each run of equal keys."""
    keys = sorted_keys.alias("key").set_sorted().to_frame().lazy()
    return keys.group_by("key", maintain_order=True).len().collect()


def _votes(runs: pl.DataFrame, label_range: int) -> pl.DataFrame:
    example = (runs["key"] // label_range).rle_id().set_sorted()
    label = (runs["key"] % label_range).cast(pl.UInt32)
    return pl.DataFrame({"example": example, "label": label, "votes": runs["len"]})


def _has_duplicates(pairs: pl.Series, longest: int) -> bool:
    """Whether an (example, annotator) pair occurs twice; `longest` = the most rows of an example."""
    distances = range(1, longest)
    if longest > NEAR:
        pairs, distances = pairs.sort(), range(1, 2)
    n = len(pairs)
    return any(bool((pairs.slice(d) == pairs.slice(0, n - d)).any()) for d in distances)


def _as_dtype(ids: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Ids in the type they had in the log."""
    if dtype == pl.Boolean and ids.dtype.is_integer():
        return ids == 1
    return ids.cast(dtype)


# --- the majority vote, step by step ---------------------------------------------------------------
#
# A candidate is a row `example`, `label` and what it is judged by. Each step keeps, of every example,
# the candidates that are best by one thing.


def narrow(candidates: pl.LazyFrame, by: str, tolerance: float = 0.0) -> pl.LazyFrame:
    """The candidates of each example that are largest by a column."""
    largest = pl.col(by).max().over("example")
    return candidates.filter(pl.col(by) >= largest - tolerance if tolerance else pl.col(by) == largest)


def tied(candidates: pl.LazyFrame) -> pl.LazyFrame:
    """The candidates that are not alone on their example."""
    return candidates.filter(pl.len().over("example") > 1)


def untied(candidates: pl.LazyFrame) -> pl.LazyFrame:
    """The candidates that are alone on their example: its winners."""
    return candidates.filter(pl.len().over("example") == 1)


def count_labels(votes: pl.LazyFrame) -> pl.LazyFrame:
    """Summary by label: `annotations` of each class in the log."""
    return votes.group_by("label").agg(annotations=pl.col("votes").cast(pl.Int64).sum())


def by_rarity(candidates: pl.LazyFrame, labels: pl.LazyFrame) -> pl.LazyFrame:
    """Step 2: the class with the fewest annotations in the whole log."""
    counted = candidates.join(labels, on="label").with_columns(rarity=-pl.col("annotations"))
    return narrow(counted, "rarity").drop("annotations", "rarity")


def count_agreement(rows: pl.LazyFrame, winners: pl.LazyFrame) -> pl.LazyFrame:
    """Summary by annotator: `judged` annotations on the winners' examples, `agreeing` with them."""
    winner = winners.select("example", winner="label")
    return (
        rows.join(winner, on="example")
        .group_by("annotator")
        .agg(agreeing=(pl.col("label") == pl.col("winner")).cast(pl.Int64).sum(), judged=pl.len())
    )


def by_agreement(
    candidates: pl.LazyFrame, rows: pl.LazyFrame, agreement: pl.LazyFrame
) -> pl.LazyFrame:
    """Step 3: the class whose annotators agree most with the winners of other examples."""
    share = agreement.select("annotator", share=pl.col("agreeing") / pl.col("judged"))
    others = share.select(others=pl.col("share").mean().fill_null(0.0))
    of_candidates = (
        rows.join(tied(candidates), on=["example", "label"], how="semi")
        .join(share, on="annotator", how="left")
        .join(others, how="cross")
        .group_by("example", "label")
        .agg(agreement=pl.col("share").fill_null(pl.col("others")).mean())
    )
    judged = candidates.join(of_candidates, on=["example", "label"], how="left")
    judged = judged.with_columns(pl.col("agreement").fill_null(0.0))
    return narrow(judged, "agreement", EXACT).drop("agreement")


def majority_labels(parts: Sequence[Runs]) -> list[pl.Series]:
    """The majority vote of each partition's examples, as codes. A step runs only if a tie is left."""
    contests = [Contest.of(run) for run in parts]
    for step in (_by_probability, _by_rarity, _by_agreement):
        if any(contest.candidates.height for contest in contests):
            contests = step(contests)
    return [contest.labels() for contest in contests]


@dataclass(frozen=True)
class Contest:
    """The examples of a partition whose vote is decided, and the candidates of the others."""

    run: Runs
    clear: pl.DataFrame
    """`example`, `label` of the examples with one leader from the start."""
    settled: pl.DataFrame
    """... of the examples settled by a tie-break."""
    candidates: pl.DataFrame
    """... of the candidates on the examples that are not settled."""

    @classmethod
    def of(cls, run: Runs) -> Contest:
        leaders = run.leaders().select("example", "label")
        alone = _alone(leaders)
        return cls(run, leaders.filter(alone), leaders.clear(), leaders.filter(~alone))

    def narrowed(self, candidates: pl.LazyFrame) -> Contest:
        left = candidates.select("example", "label").collect().sort("example", "label")
        alone = _alone(left)
        settled = pl.concat([self.settled, left.filter(alone)])
        return replace(self, settled=settled, candidates=left.filter(~alone))

    def labels(self) -> pl.Series:
        """The winners in the order of the examples: step 4 for who is still tied."""
        first = self.candidates.unique("example", keep="first", maintain_order=True)
        return pl.concat([self.clear, self.settled, first]).sort("example")["label"]


def _alone(candidates: pl.DataFrame) -> pl.Series:
    """Whether each candidate, sorted by example, is the only one of its example."""
    lengths = _run_lengths(candidates["example"])["len"]
    return (lengths == 1).gather(candidates["example"].rle_id())


def _by_probability(contests: list[Contest]) -> list[Contest]:
    return [contest.narrowed(_with_probability(contest)) for contest in contests]


def _with_probability(contest: Contest) -> pl.LazyFrame:
    """Step 1: the class that the models' mean probability prefers."""
    candidates, models = contest.candidates, contest.run.models
    if not models or candidates.is_empty():
        return candidates.lazy()
    at = mixing.at_votes(models, candidates["example"].to_numpy(), candidates["label"].to_numpy())
    return narrow(candidates.with_columns(probability=at).lazy(), "probability")


def _by_rarity(contests: list[Contest]) -> list[Contest]:
    labels = merge((count_labels(c.run.votes.lazy()) for c in contests), by="label").lazy()
    return [c.narrowed(by_rarity(c.candidates.lazy(), labels)) for c in contests]


def _by_agreement(contests: list[Contest]) -> list[Contest]:
    counts = (count_agreement(c.run.vote_rows(), c.clear.lazy()) for c in contests)
    agreement = merge(counts, by="annotator").lazy()
    return [
        c.narrowed(by_agreement(c.candidates.lazy(), c.run.vote_rows(), agreement))
        for c in contests
    ]


# --- the majority vote of a log, as one lazy plan --------------------------------------------------


def majority_vote(
    log: Any,
    pred_probs: Any = None,
    *,
    classes: Sequence[Any] | None = None,
    duplicates: checks.Duplicates = "error",
) -> pl.LazyFrame:
    """TODO"""
    raise NotImplementedError
