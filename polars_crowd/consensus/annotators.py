"""Annotators: what the consensus and the quality of their labels say about them.

With y the consensus, over annotator a's annotations (on multi examples for Q_c):

    Q_l = mean label quality,   Q_c = share that equals y,   annotator_quality = r Q_l + (1 - r) Q_c

(Goh, Tkachenko and Mueller 2022, arXiv 2210.06812). The worst class is the class among a's labels of which
the lowest share equals y. Everything is a ratio of sums by (annotator, label), which add up over
partitions.
"""

from __future__ import annotations

from typing import TypeVar

import polars as pl

from polars_crowd.compatible import by, engine_for
from polars_crowd.consensus.model import L, Weights
from polars_crowd.numerics.mixture import DECIMALS
from polars_crowd.rounds.summaries import Summary, exact
from polars_crowd.runs.classes import Runs

F = TypeVar("F", pl.DataFrame, pl.LazyFrame)


def count_annotations(
    run: Runs, consensus: pl.Series, consensus_quality: pl.Series, annotation_quality: pl.Expr
) -> Summary:
    """Summary by (annotator, label): their annotations, those that agree with the consensus, both on
    multi examples too, and the sums of the annotations' and the consensus labels' quality."""
    label, K = pl.col("label"), run.n_classes
    agrees, multi = label == run.there(consensus), run.there(run.on_multi)
    # whether a vote agrees, and whether its example is multi, ride along with its label
    votes = run.votes.lazy().select(
        case=label * 4 + agrees.cast(pl.UInt32) * 2 + multi.cast(pl.UInt32),
        quality=run.there(consensus_quality),
    )
    of_votes, case = votes.collect(engine=engine_for(run.votes.height)), pl.col("case")
    fits = len(run.book.annotators) * K < 1 << 32
    annotator = pl.col("annotator").cast(pl.UInt32 if fits else pl.UInt64)
    counts = (
        run.rows.lazy()
        .select(
            "annotator",
            case=pl.lit(of_votes["case"]).gather("vote"),
            label_quality=annotation_quality,
            consensus_quality=pl.lit(of_votes["quality"]).gather("vote"),
        )
        .group_by(key=annotator * K + case // 4)
        .agg(
            exact(pl.col("label_quality", "consensus_quality")).sum(),
            annotations=pl.len(),
            agreeing=(case // 2 % 2).sum(),
            multi=(case % 2).sum(),
            agreeing_multi=(case % 4 == 3).sum(),
        )
    )
    return {
        ("annotator", "label"): counts.select(
            (pl.col("key") // K).cast(pl.UInt32).alias("annotator"),
            (pl.col("key") % K).cast(pl.UInt32).alias("label"),
            pl.exclude("key"),
        )
    }


def annotator_table(counts: pl.DataFrame, model_share: float | None) -> pl.LazyFrame:
    """The annotators by code, from their merged counts; `model_share` = r, None for agreement."""
    by_annotator = counts.lazy().group_by(by("annotator"))
    totals = by_annotator.agg(pl.exclude("label").sum(), worst_class=worst_class())
    share = None if model_share is None else pl.lit(model_share)
    return totals.select("annotator", *quality_columns(share), "worst_class")


def quality_columns(model_share: pl.Expr | None) -> list[pl.Expr]:
    """`annotator_quality, num_examples_labeled, agreement_with_consensus`, of summed counts."""
    quality = pl.col("agreeing_multi") / pl.when(pl.col("multi") > 0).then("multi")
    if model_share is not None:
        mean_quality = pl.col("label_quality") / pl.col("annotations")
        quality = model_share * mean_quality + (1 - model_share) * quality
    return [
        quality.alias("annotator_quality"),
        pl.col("annotations").cast(pl.Int64).alias("num_examples_labeled"),
        (pl.col("agreeing") / pl.col("annotations")).alias("agreement_with_consensus"),
    ]


def worst_class() -> pl.Expr:
    """Of an annotator's counts, the class with the lowest share of labels that equal the consensus; ties: the
    class with most annotations, then the highest mean consensus quality, then the first."""
    share = pl.col("agreeing") / pl.col("annotations")
    mean_quality = (pl.col("consensus_quality") / pl.col("annotations")).round(DECIMALS)
    ranked = pl.col("label").sort_by(share, -pl.col("annotations"), -mean_quality, "label")
    return ranked.first()


def model_share(weights: Weights[L], mean_annotations: float) -> L:
    """r = w_m / ( w_m + sum_a w[a] mean(n) / M ): how much of an annotator's quality is the model's
    judgement of their labels. Of several models w_m is the mean."""
    model: L = weights.models.mean(axis=0)
    return model / (model + weights.mean_annotator * mean_annotations)


def worst_first(table: F) -> F:
    """The annotators by quality, then agreement, then code."""
    quality = pl.col("annotator_quality", "agreement_with_consensus").round(DECIMALS)
    return table.sort(quality, "annotator", nulls_last=True)
