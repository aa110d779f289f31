"""CROWDLAB: consensus labels, and the quality of labels and annotators, from annotations and a model.

Goh, Tkachenko and Mueller (2022), "CROWDLAB: Supervised learning to infer consensus labels and quality
scores for data with multiple annotators", arXiv 2210.06812; in the form of cleanlab 2.9, whose numbers
this equals to 1e-9.

Letters: example e, annotator a, class k of K; c[e,k] votes for k on e, n[e] = sum_k c[e,k]; p_m[e,k] the
probability of model m; N annotated examples, M annotators. "Multi" examples have n[e] > 1.

**Weights, for a consensus y.** With s[e] = c[e,y] / n[e] and means over the multi examples,

    CL   = mean s[e]                        the likelihood that an annotator chooses the consensus
    NCL  = (1 - CL) / (K - 1)               ... that they choose another given class
    E0   = share of examples whose y is not the most common y            (at least 1e-6)
    g[a] = sum (c[e,l] - 1) / sum (n[e] - 1)  over a's labels l: agreement with the other annotators;
           who shares no example with anybody gets the mean of the others
    w[a] = 1 - (1 - g[a]) / E0                                           (at least 1e-6)
    w_m  = (1 - share of y that differ from argmax p_m / E0) sqrt(mean n)  (its first factor at least 1e-6)

**Posterior.** With W[e,k] = sum of w[a] over those who chose k on e, and W[e] = sum_k W[e,k],

    q[e,k] = ( sum_m w_m p_m[e,k] + NCL W[e] + (CL - NCL) W[e,k] ) / ( sum_m w_m + W[e] )

**Consensus.** `majority_vote`: y is the majority vote. `best_quality`: y = argmax_k q[e,k] under the
weights for the majority vote (a tie goes to the majority vote); then the weights are taken anew for y.

**Annotators.** Q_l[a] = mean label quality of a's annotations; Q_c[a] = share of a's annotations of multi
examples that equal y;

    annotator_quality = r Q_l + (1 - r) Q_c,    r = w_m / ( w_m + sum_a w[a] mean(n) / M )

With `quality_method="agreement"`: q[e,k] = c[e,k] / n[e], the consensus quality is s, the annotator's Q_c.

Each round below is a local plan over sorted runs and a summary by annotator or label that adds up over
partitions; only the summaries and the weights leave a partition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.compatible import by, engine_for
from polars_crowd.consensus.label_quality import LabelQualityMethod
from polars_crowd.consensus.majority_vote import TieBreaks, count_ties, majority_labels
from polars_crowd.consensus.steady import Pull, recount
from polars_crowd.numerics.mixture import CLIP, Mixture
from polars_crowd.rounds.cache import PLACES, Cache
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.summaries import Summary, exact
from polars_crowd.runs.classes import Runs
from polars_crowd.runs.codes import largest

ConsensusMethod = Literal["best_quality", "majority_vote"]
QualityMethod = Literal["crowdlab", "agreement"]
Shares = Callable[[Runs], Mixture]
L = TypeVar("L", float, Floats)

# --- weights ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Weights(Generic[L]):
    """The parameters of one round: what the posterior of an example needs of all the others.

    For sets of classes each has one more axis, over the K classes.
    """

    consensus_likelihood: L
    """CL."""
    other_likelihood: L
    """NCL."""
    annotators: Floats
    """w[a], shape (M,)."""
    models: Floats
    """w_m, one per model."""
    agreement: Floats | None = None
    """g[a], where no w[a] is at its least; they are linear in it then."""
    most_common_error: float = 1.0
    """E0."""

    @property
    def shared(self) -> Floats:
        """All but the annotators'."""
        return np.array([self.consensus_likelihood, self.other_likelihood, *self.models])

    @property
    def mean_annotator(self) -> L:
        """1/M sum_a w[a]."""
        mean: L = self.annotators.mean(axis=0)
        return mean


def count_overlap(part: Partition) -> Summary:
    """Summary by annotator: sum (c[e,l] - 1), sum (n[e] - 1), and the number of annotations; with the
    counts that say whether votes are tied."""
    run = part.runs
    others = run.there(run.examples["num_annotations"]).cast(pl.UInt64) - 1
    agreeing = pl.col("votes").cast(pl.UInt64) - 1
    both = pl.col("both")  # in one integer, which is looked up once
    votes = run.votes.lazy().select(both=agreeing * (1 << 32) + others)
    of_votes = votes.collect(engine=engine_for(run.votes.height))["both"]
    overlap = (
        run.rows.lazy()
        .select("annotator", both=pl.lit(of_votes).gather("vote"))
        .group_by(by("annotator"))
        .agg(
            agreeing=(both // (1 << 32)).sum(),
            others=(both % (1 << 32)).sum(),
            annotations=pl.len(),
        )
    )
    return {("annotator",): overlap, **count_ties(part)}


def agreement_with_others(overlap: pl.DataFrame) -> Floats:
    """g[a], from the merged overlap of all annotators."""
    return share_or_mean(*(overlap[c].to_numpy() for c in ("agreeing", "others")))


def share_or_mean(part: Floats, whole: Floats) -> Floats:
    """part / whole of each annotator; the mean of the others where whole is 0."""
    known = whole > 0
    share = np.divide(part, whole, where=known, out=np.zeros(part.shape))
    mean = share.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, share, mean)


def weigh(counts: pl.DataFrame, g: Floats, n_classes: int, n_models: int) -> Weights[float]:
    """The weights, from the merged counts of a consensus."""
    multi = {count.name: count.filter(counts["multi"]) for count in counts}
    n_multi = int(multi["examples"].sum())
    mean_annotations = int(counts["annotations"].sum()) / int(counts["examples"].sum())
    most_common_share = largest(multi["examples"]) / n_multi
    weights = weights_for(
        float(multi["agreement"].sum()) / n_multi,
        most_common_share,
        np.array([multi[f"error_{m}"].sum() for m in range(n_models)]) / n_multi,
        g,
        mean_annotations,
        n_classes,
    )
    if weights.annotators.min() == CLIP:
        return weights
    return replace(weights, agreement=g, most_common_error=max(1 - most_common_share, CLIP))


def weights_for(
    consensus_likelihood: L,
    most_common_share: Any,
    model_errors: Floats,
    g: Floats,
    mean_annotations: float,
    n_classes: int,
) -> Weights[L]:
    """w[a] and w_m: how much better each is than always saying the most common class."""
    most_common_error = np.maximum(1 - most_common_share, CLIP)
    return Weights(
        consensus_likelihood=consensus_likelihood,
        other_likelihood=(1 - consensus_likelihood) / (n_classes - 1),
        annotators=np.maximum(1 - (1 - g) / most_common_error, CLIP),
        models=np.maximum(1 - model_errors / most_common_error, CLIP) * np.sqrt(mean_annotations),
    )


# --- posterior -------------------------------------------------------------------------------------


def posterior(part: Partition, weights: Weights[float]) -> Mixture:
    """q of a partition's examples."""
    run = part.runs
    return Mixture(
        models=run.models,
        model_weights=weights.models,
        base=weights.other_likelihood,
        gain=weights.consensus_likelihood - weights.other_likelihood,
        example=run.votes["example"].to_numpy(),
        label=run.votes["label"].to_numpy(),
        weight=weight_of_votes(part, weights),
        n_classes=run.n_classes,
    )


def weight_of_votes(part: Partition, weights: Weights[float]) -> Floats:
    """W[e,k] of each vote: where w[a] is linear in g[a], c[e,k] - sum (1 - g[a]) / E0, a sum that is the same
    for every consensus."""
    run, g = part.runs, weights.agreement
    if g is None:
        return run.sum_over_votes(weights.annotators).to_numpy()
    doubt = part.once("doubt", lambda: run.sum_over_votes(1 - g).to_numpy(), g)
    weight: Floats = run.votes["votes"].to_numpy() - doubt / weights.most_common_error
    return weight


def vote_shares(run: Runs) -> Mixture:
    """q[e,k] = c[e,k] / n[e]: the posterior of the agreement method."""
    return Mixture(
        models=(),
        model_weights=np.zeros(0),
        base=0.0,
        gain=1.0,
        example=run.votes["example"].to_numpy(),
        label=run.votes["label"].to_numpy(),
        weight=run.votes["votes"].cast(pl.Float64).to_numpy(),
        n_classes=run.n_classes,
    )


@dataclass(frozen=True)
class Posterior:
    """What makes the posterior of a partition: weights, or shares of votes."""

    weights: Weights[float] | None
    shares: Shares

    def of(self, part: Partition) -> Mixture:
        """q of a partition's examples."""
        return part.once("posterior", lambda: self._of(part), self)

    def _of(self, part: Partition) -> Mixture:
        if self.weights is None:
            return self.shares(part.runs)
        return posterior(part, self.weights)


# --- consensus -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """How the consensus y is chosen: by majority vote, or as the best class of a posterior."""

    ties: TieBreaks
    best_under: Posterior | None = None

    def labels(self, part: Partition) -> pl.Series:
        """y of a partition's examples, as codes."""
        majority = majority_labels(part, self.ties)
        under = self.best_under
        if under is None:
            return majority
        best = part.keep("best", lambda: best_labels(under.of(part), majority), self)
        return best["label"]

    def agreement(self, part: Partition) -> pl.Series:
        """s of a partition's examples."""
        return part.once("agreement", lambda: part.runs.agreement_with(self.labels(part)), self)


def best_labels(q: Mixture, majority: pl.Series) -> pl.DataFrame:
    """argmax_k q[e,k]; the majority vote where the best classes tie."""
    label, tied = q.best()
    return pl.DataFrame({"label": np.where(tied, majority.to_numpy(), label)})


def count_consensus(part: Partition, choice: Choice) -> Summary:
    """Summary by (y, multi): examples, annotations, sum of s, and the models' errors."""
    run, consensus = part.runs, choice.labels(part)
    errors = {f"error_{m}": top != consensus for m, top in enumerate(run.top_classes)}
    examples = pl.DataFrame(
        {
            "label": consensus,
            "multi": run.on_multi,
            "annotations": run.examples["num_annotations"].cast(pl.Int64),
            "agreement": choice.agreement(part),
            **errors,
        }
    )
    key, sums = pl.col("label") * 2 + pl.col("multi"), pl.exclude("label", "multi").sum()
    scores = examples.lazy().with_columns(exact(pl.col("agreement")))
    by_key = scores.group_by(key=key).agg(sums, examples=pl.len())
    of_key = (pl.col("key") // 2).alias("label"), (pl.col("key") % 2 == 1).alias("multi")
    return {("label", "multi"): by_key.select(*of_key, pl.exclude("key"))}


def recount_consensus(part: Partition, choice: Choice) -> Summary:
    """`count_consensus`; after an append, of few examples only. See `steady`."""
    under = choice.best_under
    if under is None or under.weights is None or part.handle.work is None:
        return count_consensus(part, choice)
    weights = under.weights
    gain = weights.consensus_likelihood - weights.other_likelihood
    pull = Pull(weights.models, gain * weights.annotators)
    name, known = part.named("steady", choice.ties), Cache(part.handle.work / PLACES)
    return recount(part, known, name, pull, under.of, lambda few: count_consensus(few, choice))


@dataclass(frozen=True)
class Options:
    """What `crowdlab` was asked for."""

    consensus_methods: tuple[ConsensusMethod, ...]
    quality_method: QualityMethod
    label_quality_method: LabelQualityMethod
    adjust_pred_probs: bool

    @property
    def asks_little(self) -> bool:
        """Whether labels are scored by nothing but their own probability."""
        return self.label_quality_method == "self_confidence" and not self.adjust_pred_probs


C = TypeVar("C")
P = TypeVar("P")


@dataclass(frozen=True)
class Consensus(Generic[C, P]):
    """One consensus method: how its labels are chosen, how often each, and what they led to."""

    choice: C
    counts: pl.DataFrame
    posterior: P


LabelConsensus = Consensus[Choice, Posterior]
