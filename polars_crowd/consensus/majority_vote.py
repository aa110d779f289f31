"""Majority vote: the label with the most votes, and what breaks its ties.

With c[e,k] votes for class k on example e, the candidates on e are the classes with the largest c[e,k].
Ties are narrowed, each step among the classes still tied, by

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
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.errors import OptionError
from polars_crowd.inputs import checks
from polars_crowd.inputs.log import LOG_COLUMNS, scan_annotations
from polars_crowd.inputs.pred_probs import (
    PredProbs,
    found_probabilities,
    lookup,
    open_models,
)
from polars_crowd.numerics import mixture
from polars_crowd.numerics.mixture import EXACT
from polars_crowd.rounds.opening import open_rounds
from polars_crowd.rounds.partitions import Partition, Partitioned
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Merged, Summary, dense
from polars_crowd.runs.classes import Runs, run_lengths
from polars_crowd.runs.codes import declared_values, label_code, largest, resolve_classes

# --- the majority vote, step by step ---------------------------------------------------------------
#
# A candidate is a row `example`, `label` and what it is judged by. Each step keeps, of every example,
# the candidates that are best by one thing.


def narrow(candidates: pl.LazyFrame, by: str, tolerance: float = 0.0) -> pl.LazyFrame:
    """The candidates of each example that are largest by a column."""
    largest = pl.col(by).max().over("example")
    return candidates.filter(
        pl.col(by) >= largest - tolerance if tolerance else pl.col(by) == largest
    )


def tied(candidates: pl.LazyFrame) -> pl.LazyFrame:
    """The candidates that are not alone on their example."""
    return candidates.filter(pl.len().over("example") > 1)


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


# --- the majority vote of a partition's runs --------------------------------------------------------


@dataclass(frozen=True)
class TieBreaks:
    """What the tie-breaks of an example need of all the others."""

    rarity: Floats | None = None
    """The rank of each class by its annotations, shape (K,), if a tie is left after step 1."""
    agreement: Floats | None = None
    """Agreement per annotator (NaN if unknown; as many as are known), if a tie is left after step 2."""


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

    @property
    def is_open(self) -> bool:
        """Whether a tie is left."""
        return not self.candidates.is_empty()

    def labels(self) -> pl.Series:
        """The winners in the order of the examples: step 4 for who is still tied."""
        first = self.candidates.unique("example", keep="first", maintain_order=True)
        return pl.concat([self.clear, self.settled, first]).sort("example")["label"]


def _alone(candidates: pl.DataFrame) -> pl.Series:
    """Whether each candidate, sorted by example, is the only one of its example."""
    lengths = run_lengths(candidates["example"])["len"]
    return (lengths == 1).gather(candidates["example"].rle_id())


def contest_by_probability(part: Partition) -> Contest:
    """The votes after step 1: the class that the models' mean probability prefers."""
    return part.once("contest", lambda: _by_probability(Contest.of(part.runs)))


def _by_probability(contest: Contest) -> Contest:
    candidates, models = contest.candidates, contest.run.models
    if not models or not contest.is_open:
        return contest
    at = mixture.at_votes(models, candidates["example"].to_numpy(), candidates["label"].to_numpy())
    judged = candidates.with_columns(probability=at).lazy()
    return contest.narrowed(narrow(judged, "probability"))


def _by_rarity(contest: Contest, rarity: Floats) -> Contest:
    labels = pl.LazyFrame({"label": range(len(rarity)), "annotations": rarity})
    labels = labels.with_columns(pl.col("label").cast(pl.UInt32))
    return contest.narrowed(by_rarity(contest.candidates.lazy(), labels))


def _by_agreement(contest: Contest, agreement: Floats) -> Contest:
    share = pl.LazyFrame({"annotator": range(len(agreement)), "agreeing": agreement})
    share = share.with_columns(pl.col("annotator").cast(pl.UInt32), judged=1.0)
    share = share.filter(pl.col("agreeing").is_not_nan())
    narrowed = by_agreement(contest.candidates.lazy(), contest.run.vote_rows(), share)
    return contest.narrowed(narrowed)


def count_ties(part: Partition) -> Summary:
    """Summary: the classes' annotations, and how many examples are tied after step 1."""
    tied_ = contest_by_probability(part).candidates["example"].n_unique()
    labels = count_labels(part.runs.votes.lazy())
    return {("label",): labels, (): pl.DataFrame({"tied": [tied_]})}


def count_judged(part: Partition, rarity: Floats) -> Summary:
    """Summary by annotator: agreement with the clear votes; and how many are tied after step 2."""
    contest = _by_rarity(contest_by_probability(part), rarity)
    counts = count_agreement(part.runs.vote_rows(), contest.clear.lazy())
    return {
        ("annotator",): counts,
        (): pl.DataFrame({"tied": [contest.candidates["example"].n_unique()]}),
    }


def break_ties(rounds: Rounds, counted: Merged) -> TieBreaks:
    """The tie-breaks that the log needs, from the merged `count_ties`."""
    if not counted[()]["tied"].item():
        return TieBreaks()
    annotations = dense(counted[("label",)], "label", "annotations", rounds.n_classes)
    rarity = np.unique(annotations, return_inverse=True)[1].astype(np.float64)
    judged = rounds.run(count_judged, rarity, remember=True)
    if not judged[()]["tied"].item():
        return TieBreaks(rarity)
    shares = judged[("annotator",)].with_columns(share=pl.col("agreeing") / pl.col("judged"))
    n_judged = largest(shares["annotator"]) + 1 if shares.height else 0
    return TieBreaks(rarity, dense(shares, "annotator", "share", n_judged, float("nan")))


def majority_labels(part: Partition, ties: TieBreaks) -> pl.Series:
    """The majority vote of a partition's examples, as codes."""

    def decide() -> pl.DataFrame:
        contest = contest_by_probability(part)
        if ties.rarity is not None and contest.is_open:
            contest = _by_rarity(contest, ties.rarity)
        if ties.agreement is not None and contest.is_open:
            contest = _by_agreement(contest, ties.agreement)
        part.forget("contest")
        return contest.labels().to_frame()

    return part.keep("majority", decide, ties)["label"]


def majority_table(part: Partition, ties: TieBreaks) -> pl.DataFrame:
    """The majority vote of a partition's examples."""
    label = majority_labels(part, ties)
    return part.runs.examples.select(
        "example",
        consensus_label=pl.lit(part.runs.book.classes.gather(label)),
        annotator_agreement=pl.lit(part.runs.agreement_with(label)),
        num_annotations="num_annotations",
    )


# --- the majority vote of a log, as one lazy plan --------------------------------------------------


def majority_vote(
    log: Any,
    pred_probs: Any = None,
    *,
    classes: Sequence[Any] | None = None,
    duplicates: checks.Duplicates = "error",
    into: str | Path | None = None,
    executor: Any = None,
    progress: bool = False,
) -> pl.LazyFrame:
    """The majority vote of each example, as one lazy plan: nothing is computed until it is collected.

    The label with the most votes c[e,k]. Ties are narrowed, each step among the labels still tied, by
    the largest model probability, the fewest annotations of the label in the whole log, the largest mean
    agreement of its annotators with the undisputed votes, and the first class in class order (Goh,
    Tkachenko and Mueller 2022, arXiv 2210.06812; the last step replaces a random draw).

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, with columns `example, annotator, label`; or
        an `AnnotationStore`, whose ties are settled now and whose partitions are voted on when collected.
    pred_probs
        A model's probabilities for the first tie-break: whatever `scan_pred_probs` takes; of a list of
        models, their mean. Looked up for tied examples only. A store uses those it has.
    classes
        The classes in order. By default the Enum's order if the label is one, else the order of the
        columns of pred_probs, else sorted.
    duplicates
        What to do where an annotator labelled an example more than once: `"error"`, or keep the
        `"first"` or `"last"` row, or count `"all"`.
    into, executor, progress
        For a store, as in `crowdlab`: a directory for the result (`examples/`), workers, a progress bar.

    Returns
    -------
    LazyFrame
        `example`; `consensus_label`; `annotator_agreement` = c[e, consensus] / n[e], in (0, 1];
        `num_annotations` = n[e]. One row per example, sorted by example.

    Raises
    ------
    AnnotationError
        Now, if a column is missing. On collecting, if the log is empty, ids are null, annotations are
        duplicated, labels are not among the classes, or a tied example has no probabilities.

    Agrees with
    -----------
    `cleanlab.multiannotator.get_majority_vote_label` of cleanlab 2.9, up to its random draws.

    Examples
    --------
    >>> import polars as pl
    >>> log = pl.DataFrame({
    ...     "example": ["e1", "e1", "e1", "e2", "e2"],
    ...     "annotator": ["a", "b", "c", "a", "b"],
    ...     "label": ["cat", "cat", "dog", "dog", "cat"],
    ... })
    >>> majority_vote(log).collect()
    shape: (2, 4)
    ┌─────────┬─────────────────┬─────────────────────┬─────────────────┐
    │ example ┆ consensus_label ┆ annotator_agreement ┆ num_annotations │
    │ ---     ┆ ---             ┆ ---                 ┆ ---             │
    │ str     ┆ str             ┆ f64                 ┆ u32             │
    ╞═════════╪═════════════════╪═════════════════════╪═════════════════╡
    │ e1      ┆ cat             ┆ 0.666667            ┆ 3               │
    │ e2      ┆ dog             ┆ 0.5                 ┆ 2               │
    └─────────┴─────────────────┴─────────────────────┴─────────────────┘
    """
    if isinstance(log, Partitioned) or into is not None or executor is not None:
        rounds = open_rounds(
            log,
            pred_probs,
            classes=classes,
            duplicates=duplicates,
            into=into,
            executor=executor,
            progress=progress,
        )
        rounds.claim("Majority vote")
        ties = break_ties(rounds, rounds.run(count_ties, remember=True))
        return rounds.only("examples", majority_table, ties)
    if progress:
        raise OptionError(
            "progress",
            ...,
            "shows the partitions of a store, or what is written; this is a lazy plan.",
        )
    rows = checks.without_duplicates(scan_annotations(log), duplicates).select(LOG_COLUMNS)
    models = open_models(pred_probs, classes) if pred_probs is not None else []
    schema = rows.collect_schema()
    values, names = _known_classes(schema["label"], models, classes)
    votes = rows.group_by("example", "label").agg(votes=pl.len()).cache()
    leaders = narrow(
        votes.with_columns(num_annotations=pl.col("votes").sum().over("example")), "votes"
    ).with_columns(alone=pl.len().over("example") == 1)
    leaders = leaders.cache()
    clear, candidates = leaders.filter("alone"), leaders.filter(~pl.col("alone"))
    if models and values is not None:
        candidates = _narrow_by_models(candidates, models, values, names, schema["example"])
    candidates = by_rarity(candidates, count_labels(votes)).cache()
    candidates = by_agreement(candidates, rows, _agreement_if_tied(candidates, rows, clear))
    first = _first_of(candidates, schema["label"], values)
    findings = checks.audit(rows, votes, values, duplicates, of_probs=bool(models))
    winners = pl.concat([clear, first, findings], how="diagonal")
    return winners.sort("example").select(
        "example",
        consensus_label="label",
        annotator_agreement=pl.col("votes") / pl.col("num_annotations"),
        num_annotations="num_annotations",
    )


def _known_classes(
    dtype: pl.DataType, models: Sequence[PredProbs], classes: Sequence[Any] | None
) -> tuple[pl.Series | None, tuple[str, ...]]:
    """The classes, if the caller or the models name them."""
    if models:
        return resolve_classes(dtype, models[0].names, classes)
    if classes is not None:
        return declared_values(classes, dtype)
    return None, ()


def _narrow_by_models(
    candidates: pl.LazyFrame,
    models: Sequence[PredProbs],
    values: pl.Series,
    names: tuple[str, ...],
    example: pl.DataType,
) -> pl.LazyFrame:
    """Step 1, with the probabilities of each candidate's own class looked up in lazy frames."""
    columns = []
    for m, model in enumerate(models):
        probs = lookup(model, example, names, prefix=f"model_{m}_")
        candidates = candidates.join(probs, on="example", how="left")
        own = (
            pl.when(pl.col("label") == pl.lit(value)).then(pl.col(f"model_{m}_{k}"))
            for k, value in enumerate(values)
        )
        columns.append(pl.coalesce(*own).cast(pl.Float64))
    mean = pl.sum_horizontal(columns, ignore_nulls=False) / len(columns)
    known = pl.col("label").is_in(values.implode())
    judged = candidates.with_columns(probability=pl.when(known).then(mean).otherwise(0.0)).pipe(
        found_probabilities
    )
    return narrow(judged, "probability").drop(pl.selectors.starts_with("model_"), "probability")


def _agreement_if_tied(
    candidates: pl.LazyFrame, rows: pl.LazyFrame, clear: pl.LazyFrame
) -> pl.LazyFrame:
    """The annotators' agreement with clear votes; without a row where no tie is left to break."""
    gate = tied(candidates).head(1).select(any_tied=pl.lit(True))
    return count_agreement(rows.join(gate, how="cross").drop("any_tied"), clear)


def _first_of(
    candidates: pl.LazyFrame, dtype: pl.DataType, values: pl.Series | None
) -> pl.LazyFrame:
    """Step 4: the first class in class order."""
    order = pl.col("label").cast(pl.String) if dtype == pl.Categorical else pl.col("label")
    if values is not None:
        order = label_code(dtype, values)
    elif isinstance(dtype, pl.Enum):
        order = pl.col("label").to_physical()
    ordered = candidates.with_columns(order=order)
    return ordered.filter(pl.col("order") == pl.col("order").min().over("example")).drop("order")
