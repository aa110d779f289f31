"""What annotations are judged by: a truth of each annotation, hard or soft, beside the sorted runs.

An annotation r of annotator j with label l on example i has a truth T[r,k], the weight of each class k, which
adds up to 1; or none, and then it is left out and counted. By default it is the **consensus of the others**,

    T[r,k] = 1 / t   for the t classes with the most votes c[i,k] - r[j,k] > 0 of other annotators, else 0

so that nobody is judged by their own vote, ties are shared, and an example with one annotator judges nobody.
Or it is that of the example, T[r,k] = T[i,k]: the posterior of a fit, or a label that is known (Waterhouse
2012 and Raykar and Yu 2012 take either). A posterior has seen the annotator's own vote too.

Everything that is said of an annotator is made of the sums

    n[j,k,l] = sum of T[r,k] over the annotations r of j with label l

which add up over partitions under the key (annotator, true_label, label): `count_against` is that summary.
For what goes by the single annotation (time windows, pairs), `Against.of_part(part)` is the truth of a
partition, `Judged.correct` is T[r,l] of each row of `part.runs.rows`, and `Judged.truths` all of T.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.errors import Advice, AnnotationError, OptionError, counted, rows_shown
from polars_crowd.inputs.matching import ids_like
from polars_crowd.inputs.sources import open_frame
from polars_crowd.limits import Limit, check_memory
from polars_crowd.reliability.grouping import Grouping, groups_of_part, summed
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.results import Fit, Results
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import GRID, Merged, Summary
from polars_crowd.runs.classes import Runs
from polars_crowd.runs.codes import Codebook
from polars_crowd.truth.given import SUMS_TO_ONE
from polars_crowd.truth.known import ExampleLabels, check_labels, check_matched, class_codes
from polars_crowd.truth.numeric.result import NumericTruth

SOFT = ("example", "label", "probability")

PER_PAIR = 64
"""Bytes that a label takes beside another of its example."""
FEWER = Advice("Are these the labels? Merge classes, or make a store, whose partitions are smaller")
JUDGE = Advice(
    "Judge by labels",
    python="against=fit of pc.dawid_skene, pc.crowdlab ..., a frame `example, label`, or a column of the log",
    command="--against RESULTS, or --truth FILE",
)


# --- the truth of a partition ----------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """The truth of a partition's annotations.

    A *case* is what has one truth and one label: the annotations of a vote, or where annotators labelled
    examples again, those of an annotator among them.
    """

    case: pl.Series
    """(R,) the case of each annotation, beside `part.runs.rows`."""
    label: pl.Series
    """(C,) the label code of each case."""
    truths: pl.DataFrame
    """`case, true_label` (code), `weight`: T where it is above 0, sorted. No row for a case without truth."""
    num_known: int
    """How many examples of the partition have a truth."""

    @cached_property
    def correct(self) -> pl.Series:
        """(R,) T[r,l], in [0, 1]; null where there is no truth."""
        own = self.truths.filter(pl.lit(self.label).gather("case") == pl.col("true_label"))
        of_cases = pl.repeat(None, len(self.label), dtype=pl.Float64, eager=True)
        of_cases.scatter(self.truths["case"], 0.0)
        of_cases.scatter(own["case"], own["weight"])
        return of_cases.gather(self.case).alias("correct")


class Against(ABC):
    """What annotations are judged by. Small enough to travel, but for a truth of every example."""

    name: str
    """What it is, in words."""
    left_out: str
    """Why an annotation has no truth, in words."""

    @abstractmethod
    def of_part(self, part: Partition) -> Judged:
        """The truth of a partition's annotations."""

    @abstractmethod
    def check(self, num_known: int, rounds: Rounds) -> None:
        """What is given is of examples of the log, of which so many are known."""


@dataclass(frozen=True)
class Others(Against):
    """The consensus of the other annotators."""

    memory_limit: Limit = None
    name = "the others"
    left_out = "nobody else labelled the example"

    def of_part(self, part: Partition) -> Judged:
        pairs, case, cases = _again(part.runs) if part.runs.has_repeats else _once(part.runs)
        check_pairs(part.runs, cases["example"], self.memory_limit)
        left = pairs.filter(pl.col("left") > 0)
        first = left.filter(pl.col("left") == pl.col("left").max().over("case"))
        truths = first.select("case", "true_label", weight=1 / pl.len().over("case"))
        found = truths.sort("case", "true_label").collect(engine="in-memory")
        known = cases["example"].gather(found["case"]).n_unique()
        return Judged(case, cases["label"], found, known)

    def check(self, num_known: int, rounds: Rounds) -> None:
        """Nothing is given."""


def check_pairs(runs: Runs, examples: pl.Series, limit: Limit) -> None:
    """That each vote may be put beside what there is of its example, which is listed here."""
    N = runs.examples.height
    votes, beside = (
        np.bincount(e.to_numpy(), minlength=N) for e in (runs.votes["example"], examples)
    )
    n = int(votes @ beside)
    check_memory(n * PER_PAIR, f"{counted(n, 'pair')} of labels of one example take", limit, FEWER)


Pairs = tuple[pl.LazyFrame, pl.Series, pl.DataFrame]
"""`case, true_label, left`: the votes of others for each class of its example; the case of each annotation;
`example, label` of each case."""


def _once(runs: Runs) -> Pairs:
    """... a case being a vote, from which one annotation is taken."""
    votes = runs.votes.lazy()
    pairs = votes.with_row_index("case").join(votes, on="example", maintain_order="left")
    is_own = (pl.col("label") == pl.col("label_right")).cast(pl.Int64)
    left = pl.col("votes_right").cast(pl.Int64) - is_own
    named = pairs.select("case", true_label="label_right", left=left)
    return named, runs.rows["vote"], runs.votes.select("example", "label")


def _again(runs: Runs) -> Pairs:
    """... a case being the annotations of an annotator in a vote, from which all of theirs are taken."""
    rows = runs.rows.with_columns(case=pl.struct("vote", "annotator").rle_id())
    counts = rows.group_by("case", "vote", "annotator", maintain_order=True)
    cases = counts.agg(own=pl.len().cast(pl.Int64)).with_columns(
        pl.lit(runs.votes[column]).gather("vote").alias(column) for column in ("example", "label")
    )
    votes = runs.votes.lazy().select("example", "votes", true_label="label").with_row_index("vote")
    pairs = cases.lazy().select("case", "annotator", "example").join(votes, on="example")
    own = cases.lazy().select("annotator", "vote", "own")
    left = pl.col("votes").cast(pl.Int64) - pl.col("own").fill_null(0)
    taken = pairs.join(own, on=["annotator", "vote"], how="left")
    return taken.select("case", "true_label", left=left), rows["case"], cases


@dataclass(frozen=True)
class OfExamples(Against):
    """A truth that examples have."""

    name: str
    frame: pl.DataFrame
    """`example` (id), `true_label` (code), `weight`."""
    given: pl.Series
    """The ids as they were given."""
    what: str
    """What the caller gave it as."""
    memory_limit: Limit = None
    left_out = "the truth of the example is not known"

    def of_part(self, part: Partition) -> Judged:
        runs, found = part.runs, self.at_examples(part)
        check_pairs(runs, found["example"], self.memory_limit)
        votes = runs.votes.lazy().select("example").with_row_index("case")
        truths = votes.join(found.lazy(), on="example").drop("example")
        return Judged(
            runs.rows["vote"],
            runs.votes["label"],
            truths.sort("case", "true_label").collect(),
            found["example"].n_unique(),
        )

    def at_examples(self, part: Partition) -> pl.DataFrame:
        """`example` (position in the partition), `true_label`, `weight`."""
        ids = part.runs.examples.lazy().select(id="example").with_row_index("example")
        found = ids.join(self.frame.lazy(), left_on="id", right_on="example")
        return found.select("example", "true_label", "weight").collect()

    def check(self, num_known: int, rounds: Rounds) -> None:
        def some_ids() -> pl.Series:
            return rounds.handles[0].runs().examples["example"]

        check_matched(self.given, num_known, some_ids, self.what)


# --- from what the caller gives --------------------------------------------------------------------


def against_of(given: Any, rounds: Rounds, what: str = "against") -> Against:
    """What to judge by: the others if nothing is given, a fit, or a frame of labels or probabilities, which
    errors call `what`.

    Raises
    ------
    AnnotationError
        Labels are not among the classes, an example has two, or its probabilities do not add up to 1.
    OptionError
        The fit says no labels of classes.
    """
    if given is None:
        return Others(rounds.memory_limit)
    if isinstance(given, Fit):
        name, source = given.method, labels_of_fit(given, what)
    else:
        name, source = "known labels", open_frame(given, what)
    columns = source.collect_schema().names()
    ids = rounds.handles[0].runs().examples.schema["example"]
    if "consensus_label" in columns and "label" not in columns:
        source = source.select("example", label="consensus_label")
    of_examples = soft if set(SOFT) <= set(columns) else hard
    found = of_examples(name, source, rounds.book, ids, what)
    return replace(found, memory_limit=rounds.memory_limit)


def labels_of_fit(fit: Fit, what: str) -> pl.LazyFrame:
    """The posterior of a fit, or the consensus where it was not written."""
    if not isinstance(fit, NumericTruth):
        for name, columns in (("posterior", SOFT), ("examples", ("example", "consensus_label"))):
            table: pl.LazyFrame | None = getattr(fit, name, None)
            if table is None:
                continue
            named = fit._by_our_names(table.lazy()) if isinstance(fit, Results) else table.lazy()
            if set(columns) <= set(named.collect_schema()):
                return named.select(columns)
    raise OptionError(
        what, ..., f"is a fit of {fit.method}, which says no labels of classes.", JUDGE
    )


def classes_of_fit(given: Any) -> list[Any] | None:
    """The classes of a fit in their order, where it says them."""
    classes = getattr(given, "classes", None) if isinstance(given, Fit) else None
    return classes if isinstance(classes, list) else None


def hard(
    name: str, source: pl.LazyFrame, book: Codebook, dtype: pl.DataType, what: str
) -> OfExamples:
    """A truth of examples by a label each."""
    found = ExampleLabels.of(source, what, book, dtype)
    code = pl.col("known").cast(pl.UInt32).alias("true_label")
    frame = found.frame.select("example", code, pl.lit(1.0).alias("weight"))
    return OfExamples(name, frame, found.given, what)


def soft(
    name: str, source: pl.LazyFrame, book: Codebook, dtype: pl.DataType, what: str
) -> OfExamples:
    """A truth of examples by probabilities, rounded to what adds up exactly."""
    given = source.select(SOFT).filter(pl.col("label").is_not_null()).collect()
    given = given.filter(pl.col("probability") > 0.5 / GRID)
    coded = given.with_columns(true_label=class_codes(given["label"], book))
    check_labels(coded.filter(pl.col("true_label").is_null()), what, book)
    _check_probabilities(given, what)
    weight = (pl.col("probability").cast(pl.Float64) * GRID).round() / GRID
    ids = ids_like("example", given.schema["example"], dtype, what)
    frame = coded.select(ids, "true_label", weight=weight).drop_nulls()
    return OfExamples(name, frame, given["example"].drop_nulls().unique(maintain_order=True), what)


def _check_probabilities(given: pl.DataFrame, what: str) -> None:
    by_example = given.lazy().group_by("example", maintain_order=True)
    twice = pl.col("label").is_duplicated().any()
    sums = by_example.agg(pl.col("probability").sum(), twice=twice)
    wrong = ((pl.col("probability") - 1).abs() > SUMS_TO_ONE) | pl.col("twice")
    found = sums.filter(wrong.fill_null(True)).drop("twice").collect()
    if found.height:
        raise AnnotationError(
            f"does not add up to 1 over the classes of {counted(found.height, 'example')}:\n"
            f"{rows_shown(found, 'example', 'probability')}",
            "Give each example a row for each class, and probabilities that add up to 1.",
            source=what,
            column="probability",
        )


# --- the sums --------------------------------------------------------------------------------------

CELLS = ("annotator", "true_label", "label")


def count_against(part: Partition, against: Against, grouping: Grouping) -> Summary:
    """Summary by (annotator, true_label, label), all codes: `weight`, n[j,k,l]. By annotator: their
    `annotations`, those that are `judged`, and `correct`, the sum of T[r,l]. By nothing: the `examples`, and
    those whose truth is `known`. The group columns come before these keys."""
    judged, runs = against.of_part(part), part.runs
    groups = groups_of_part(part, grouping)
    group = pl.Series(groups.at_rows(runs))
    rows = runs.rows.select("annotator", group=group, case=judged.case, correct=judged.correct)
    by_cell = rows.lazy().select("group", "annotator", "case").join(judged.truths.lazy(), on="case")
    label = pl.lit(judged.label).gather("case").alias("label")
    cells = by_cell.select("group", "annotator", "true_label", label, "weight")
    is_judged = pl.col("correct").is_not_null().cast(pl.Int64)
    totals = rows.lazy().select(
        "group",
        "annotator",
        annotations=pl.lit(1),
        judged=is_judged,
        correct=pl.col("correct").fill_null(0),
    )
    size = {"examples": [runs.examples.height], "known": [judged.num_known]}
    return {
        (*grouping.keys, *CELLS): summed(cells, CELLS, groups.frame, grouping),
        (*grouping.keys, "annotator"): summed(totals, ["annotator"], groups.frame, grouping),
        (): pl.DataFrame(size),
    }


def judged_sums(rounds: Rounds, against: Against, grouping: Grouping) -> Merged:
    """The merged summary, after what is given was found to be of examples of the log."""
    merged = rounds.run(count_against, against, grouping)
    against.check(int(merged[()]["known"].item()), rounds)
    return merged
