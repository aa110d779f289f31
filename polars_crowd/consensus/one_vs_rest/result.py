"""What CROWDLAB finds in a multi-label log: the tables, and their rounds."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property, partial
from typing import ClassVar

import numpy as np
import polars as pl

from polars_crowd.arrays import Flags, Floats
from polars_crowd.consensus.annotators import worst_first
from polars_crowd.consensus.label_quality import LabelQualityMethod, confidence_weighted_entropy
from polars_crowd.consensus.one_vs_rest.calibration import calibrate
from polars_crowd.consensus.one_vs_rest.model import (
    ClassWeights,
    SetChoice,
    SetPosterior,
    Sets,
    agreement_with_others,
    break_ties,
    by_annotator_and_class,
    count_consensus,
    count_overlap,
    posterior,
    share_agreeing,
    vote_shares,
    weigh,
)
from polars_crowd.consensus.result import Crowdlab
from polars_crowd.errors import AnnotationError, AnnotationWarning, counted, shown
from polars_crowd.inputs import checks
from polars_crowd.reports import header
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.results import FEW
from polars_crowd.rounds.rounds import Rounds, TablePlan, Tables
from polars_crowd.rounds.summaries import Merged, Summary

# --- rounds ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetConsensus:
    """The consensus of every class, the weights it led to (None by agreement), and how labels are scored."""

    choice: SetChoice
    weights: ClassWeights | None
    method: LabelQualityMethod = "self_confidence"

    def posterior(self, part: Partition) -> SetPosterior:
        """q of a partition's examples."""
        return part.once("set_posterior", lambda: self._posterior(Sets.of(part)), self)

    def _posterior(self, sets: Sets) -> SetPosterior:
        return vote_shares(sets) if self.weights is None else posterior(sets, self.weights)


@dataclass(frozen=True)
class Fitted:
    """What the rounds led to."""

    consensus: SetConsensus
    overlap: Merged
    counts: pl.DataFrame
    temperatures: Floats | None


def fit_rounds(
    rounds: Rounds,
    *,
    consensus_method: str = "best_quality",
    by_shares: bool = False,
    method: LabelQualityMethod = "self_confidence",
    calibrated: bool = False,
) -> tuple[Rounds, Fitted]:
    """CROWDLAB of every class, in rounds of all classes at once."""
    temperatures = None
    if calibrated:
        rounds, temperatures = calibrate(rounds)
    overlap = rounds.run(count_overlap)
    if not overlap[()]["multi"].item():
        raise checks.single_annotations(overlap[()]["annotations"].item())
    shape = (len(rounds.book.annotators), len(rounds.book.names))
    g, size = agreement_with_others(overlap, shape), overlap[()]
    choice = SetChoice(break_ties(rounds, overlap))
    counts = rounds.run(count_consensus, choice)[("class",)]
    weights = None
    if not by_shares:
        weights = weigh(counts, size, g, rounds.n_models)
        if consensus_method == "best_quality":
            choice = SetChoice(choice.ties, weights)
            counts = rounds.run(count_consensus, choice)[("class",)]
            weights = weigh(counts, size, g, rounds.n_models)
    return rounds, Fitted(SetConsensus(choice, weights, method), overlap, counts, temperatures)


def warn_of_annotators_alone(rounds: Rounds, overlap: Merged) -> None:
    per_annotator = (
        overlap[("annotator", "class")].group_by("annotator").agg(pl.col("others").max())
    )
    alone = per_annotator.filter(pl.col("others") == 0)["annotator"].sort()
    if len(alone):
        names = rounds.book.annotators.gather(alone).to_list()
        _warn(
            f"{counted(len(alone), 'annotator')} share no example with another annotator: {shown(names)}. "
            "They get the mean weight of the others."
        )


def warn_of_lost_classes(classes: pl.Series, fitted: Fitted) -> None:
    chosen = fitted.overlap[("class",)]["chosen"] > 0
    lost = classes.filter(chosen & (fitted.counts["yes_anywhere"] == 0)).to_list()
    if lost:
        _warn(
            f"{counted(len(lost), 'class')} that annotators chose became the consensus of no example: "
            f"{shown(lost)}. A model trained on the consensus labels will not know of them."
        )


def _warn(message: str) -> None:
    warnings.warn(message, AnnotationWarning, stacklevel=5)


# --- scores ----------------------------------------------------------------------------------------


def quality_of(q: SetPosterior, answer: Flags, method: LabelQualityMethod) -> Floats:
    """The label quality of an answer per example and class."""
    own = q.at(answer)
    if method == "self_confidence":
        return own
    if method == "normalized_margin":
        return (own - q.at(~answer) + 1) / 2
    yes, no = q.yes / q.total, q.no / q.total
    logs = [np.log(p, where=p > 0, out=np.zeros_like(p)) for p in (yes, no)]
    entropy = -(yes * logs[0] + no * logs[1]) / np.log(2)
    return confidence_weighted_entropy(own, entropy)


def consensus_quality(part: Partition, consensus: SetConsensus, y: Flags) -> Floats:
    """The quality of each example's consensus per class; its share of votes by agreement."""
    if consensus.weights is None:
        return share_agreeing(Sets.of(part), y)
    return quality_of(consensus.posterior(part), y, consensus.method)


def answers_quality(part: Partition, consensus: SetConsensus) -> tuple[Floats, Floats]:
    """The quality of yes and of no, (N, K) each: that of every annotation."""
    q = consensus.posterior(part)
    yes = np.ones(q.yes.shape, dtype=bool)
    return quality_of(q, yes, consensus.method), quality_of(q, ~yes, consensus.method)


def row_quality(sets: Sets, yes: Floats, no: Floats, rows: slice) -> Floats:
    """The quality of annotations per class."""
    e = sets.example[rows]
    chose: Flags = sets.member[sets.label[rows]]
    quality: Floats = np.where(chose, yes[e], no[e])
    return quality


# --- the local plans of the tables -----------------------------------------------------------------


def as_sets(flags: Flags, classes: pl.Series) -> pl.Series:
    """Rows of flags as lists of classes."""
    row, k = np.nonzero(flags)
    members = pl.DataFrame({"row": row.astype(np.uint32), "set": classes.gather(k)})
    lists = members.group_by("row", maintain_order=True).agg("set")
    rows = pl.DataFrame({"row": np.arange(len(flags), dtype=np.uint32)})
    joined = rows.join(lists, on="row", how="left", maintain_order="left")["set"]
    return joined.fill_null(pl.Series([[]], dtype=joined.dtype))


def example_table(part: Partition, consensus: SetConsensus, classes: pl.Series) -> pl.DataFrame:
    """The examples of a partition, their scores averaged over the classes."""
    sets, y = Sets.of(part), consensus.choice.flags(part)
    return part.runs.examples.select(
        "example",
        consensus_label=as_sets(y, classes),
        consensus_quality_score=consensus_quality(part, consensus, y).mean(axis=1),
        annotator_agreement=share_agreeing(sets, y).mean(axis=1),
        num_annotations="num_annotations",
    )


def example_class_table(
    part: Partition, consensus: SetConsensus, classes: pl.Series
) -> pl.DataFrame:
    """... and class by class."""
    sets, y = Sets.of(part), consensus.choice.flags(part)
    N, K = y.shape
    ids = part.runs.examples.select("example", "num_annotations")[np.repeat(np.arange(N), K)]
    return ids.select(
        "example",
        pl.lit(classes.gather(np.tile(np.arange(K), N))).alias("class"),
        consensus=y.ravel(),
        consensus_quality_score=consensus_quality(part, consensus, y).ravel(),
        annotator_agreement=share_agreeing(sets, y).ravel(),
        num_annotations="num_annotations",
    )


def annotation_table(
    part: Partition, consensus: SetConsensus, classes: pl.Series
) -> pl.DataFrame | pl.LazyFrame:
    """The annotations of a partition, with the log's other columns."""
    sets, run = Sets.of(part), part.runs
    yes, no = answers_quality(part, consensus)
    quality = [row_quality(sets, yes, no, rows).mean(axis=1) for _, rows in sets.blocks()]
    named = pl.DataFrame(
        {
            "example": run.examples["example"].gather(sets.example),
            "annotator": run.book.annotators.gather(run.rows["annotator"]),
            "label": as_sets(sets.member, classes).gather(sets.label),
            "label_quality_score": np.concatenate(quality),
        }
    )
    if not run.extra.collect_schema():
        return named
    return pl.concat([named.lazy(), run.extra], how="horizontal")


def annotation_class_table(
    part: Partition, consensus: SetConsensus, classes: pl.Series
) -> pl.DataFrame:
    """... and class by class."""
    sets, run, K = Sets.of(part), part.runs, len(classes)
    yes, no = answers_quality(part, consensus)
    quality = [row_quality(sets, yes, no, rows).ravel() for _, rows in sets.blocks()]
    at = np.repeat(np.arange(len(sets.label)), K)
    return pl.DataFrame(
        {
            "example": run.examples["example"].gather(sets.example[at]),
            "annotator": run.book.annotators.gather(sets.annotator[at]),
            "class": classes.gather(np.tile(np.arange(K), len(sets.label))),
            "chosen": sets.member[sets.label].ravel(),
            "label_quality_score": np.concatenate(quality),
        }
    )


def count_quality(part: Partition, consensus: SetConsensus, classes: pl.Series) -> Summary:
    """Summary by annotator and class: annotations, those that agree with the consensus, both on multi
    examples too, and the sum of their quality."""
    sets, y = Sets.of(part), consensus.choice.flags(part)
    agrees = sets.agrees(y)
    quality = partial(row_quality, sets, *answers_quality(part, consensus))

    def multi(rows: slice) -> Floats:
        flags = sets.multi[sets.example[rows], None].astype(np.float64)
        return np.broadcast_to(flags, (len(flags), sets.n_classes))

    def ones(rows: slice) -> Floats:
        return np.ones((rows.stop - rows.start, sets.n_classes))

    names = ("annotations", "agreeing", "multi", "agreeing_multi", "label_quality")
    sums = sets.sum_by_annotator(
        ones, agrees, multi, lambda rows: agrees(rows) * multi(rows), quality
    )
    columns = dict(zip(names, sums, strict=True))
    return {("annotator", "class"): by_annotator_and_class(sets.present, **columns)}


# --- the result ------------------------------------------------------------------------------------


class MultiLabelCrowdlab(Crowdlab):
    """What CROWDLAB found out about a multi-label log. See `crowdlab`.

    Attributes
    ----------
    examples : LazyFrame
        `example, consensus_label` (the List of the classes it has), `consensus_quality_score,
        annotator_agreement` (means over the classes), `num_annotations`. Sorted by example.
    example_classes : LazyFrame
        The same class by class: `example, class, consensus` (whether it has the class),
        `consensus_quality_score, annotator_agreement, num_annotations`.
    annotations : LazyFrame
        `example, annotator, label` (a List), `label_quality_score` (the mean over the classes), then the
        log's other columns.
    annotation_classes : LazyFrame
        The same class by class: `example, annotator, class, chosen, label_quality_score`.
    annotators : DataFrame
        `annotator, annotator_quality, agreement_with_consensus` (means over the classes), `worst_class`
        (the class on which they agree least with the consensus; the first of several),
        `num_examples_labeled, annotator_weight` (mean), the worst annotator first.
    annotator_classes : DataFrame
        The same class by class: `annotator, class, annotator_quality, agreement_with_consensus,
        num_examples_labeled, annotator_weight`, sorted by annotator and class.
    classes : DataFrame
        `class, num_annotations` (how often it was chosen), `num_examples` (how many have it by consensus),
        and of each model `model_weight, temperature`.
    model_weight, temperature : float, list of float, or None
        Means over the classes.
    """

    HEADS: ClassVar = {
        "examples": ("examples", FEW),
        "annotators": ("annotators, worst first", FEW),
        "classes": ("classes", FEW),
    }

    def __init__(
        self, rounds: Rounds, classes: pl.Series, fitted: Fitted, by_shares: bool, method: str
    ) -> None:
        self._rounds = rounds
        self._values = classes.alias("class")
        self._fitted = fitted
        self._about = f"{method}; quality by {'agreement' if by_shares else 'crowdlab'}"
        if rounds.into is not None:
            rounds.save("annotators", self.annotators)
            rounds.save("annotator_classes", self.annotator_classes)
            rounds.save("classes", self.classes)

    @cached_property
    def _tables(self) -> Tables:
        plans: dict[str, TablePlan] = {
            "examples": example_table,
            "example_classes": example_class_table,
            "annotations": annotation_table,
            "annotation_classes": annotation_class_table,
        }
        params = (self._fitted.consensus, self._values)
        return self._rounds.tables(plans, *params, summary=count_quality)

    @property
    def example_classes(self) -> pl.LazyFrame:
        return self._tables["example_classes"]

    @property
    def annotation_classes(self) -> pl.LazyFrame:
        return self._tables["annotation_classes"]

    @cached_property
    def annotator_classes(self) -> pl.DataFrame:
        counts = self._tables.summary[("annotator", "class")]
        book, weights = self._rounds.book, self._fitted.consensus.weights
        quality = pl.col("agreeing_multi") / pl.when(pl.col("multi") > 0).then("multi")
        weight = pl.lit(None, pl.Float64)
        if weights is not None:
            r = pl.lit(pl.Series(self._model_shares(weights))).gather("class")
            mean_quality = pl.col("label_quality") / pl.col("annotations")
            quality = r * mean_quality + (1 - r) * quality
            at = pl.col("annotator").cast(pl.UInt64) * len(self._values) + pl.col("class")
            weight = pl.lit(pl.Series(weights.annotators.ravel())).gather(at)
        return counts.select(
            annotator=pl.lit(book.annotators).gather("annotator"),
            **{"class": pl.lit(self._values).gather("class")},
            annotator_quality=quality,
            agreement_with_consensus=pl.col("agreeing") / pl.col("annotations"),
            num_examples_labeled=pl.col("annotations").cast(pl.Int64),
            annotator_weight=weight,
        )

    def _model_shares(self, weights: ClassWeights) -> Floats:
        """r of each class: how much of an annotator's quality is the model's judgement of their labels."""
        n_examples, n_annotations = self._size
        mean = n_annotations / n_examples
        model = weights.models.mean(axis=0)
        share: Floats = model / (model + weights.annotators.mean(axis=0) * mean)
        return share

    @cached_property
    def annotators(self) -> pl.DataFrame:
        least = pl.col("agreement_with_consensus").arg_min()
        means = self.annotator_classes.group_by("annotator", maintain_order=True).agg(
            pl.col("annotator_quality", "agreement_with_consensus").mean(),
            worst_class=pl.col("class").get(least),
            num_examples_labeled=pl.col("num_examples_labeled").first(),
            annotator_weight=pl.col("annotator_weight").mean(),
        )
        return worst_first(means)

    @cached_property
    def classes(self) -> pl.DataFrame:
        fitted, weights = self._fitted, self._fitted.consensus.weights
        numbers = {
            "num_annotations": fitted.overlap[("class",)]["chosen"].cast(pl.Int64),
            "num_examples": fitted.counts["yes_anywhere"].cast(pl.Int64),
            **self._per_model("model_weight", None if weights is None else weights.models),
            **self._per_model("temperature", fitted.temperatures),
        }
        return pl.DataFrame({"class": self._values, **numbers})

    def _per_model(self, name: str, values: Floats | None) -> dict[str, pl.Series]:
        if values is None:
            return {name: pl.Series([None] * len(self._values), dtype=pl.Float64)}
        if not self._rounds.is_ensemble:
            return {name: pl.Series(values[0])}
        return {f"{name}_{m}": pl.Series(v) for m, v in enumerate(values)}

    @property
    def _size(self) -> tuple[int, int]:
        size = self._fitted.overlap[()]
        return size["examples"].item(), size["annotations"].item()

    @property
    def model_weight(self) -> float | list[float] | None:
        weights = self._fitted.consensus.weights
        return self._of_models(None if weights is None else weights.models.mean(axis=1).tolist())

    @property
    def temperature(self) -> float | list[float] | None:
        values = self._fitted.temperatures
        return self._of_models(None if values is None else values.mean(axis=1).tolist())

    def posterior(self) -> pl.LazyFrame:
        """q[e,k]: `example` and one column per class, the probability that it has the class."""
        plans: dict[str, TablePlan] = {"posterior": posterior_table}
        return self._rounds.tables(plans, self._fitted.consensus)["posterior"]

    @property
    def method(self) -> str:
        return f"CROWDLAB of label sets ({self._about})"

    def _header(self) -> str:
        (n_examples, n_annotations), book = self._size, self._rounds.book
        sizes = {"example": n_examples, "annotator": len(book.annotators)}
        return header(
            self.method, sizes | {"annotation": n_annotations, "class": len(self._values)}
        )


def posterior_table(part: Partition, consensus: SetConsensus) -> pl.DataFrame:
    q = pl.DataFrame(consensus.posterior(part).q, schema=list(part.runs.book.names))
    return q.select(part.runs.examples["example"], pl.all())


# --- the method ------------------------------------------------------------------------------------


def fit_label_sets(
    rounds: Rounds,
    classes: pl.Series,
    *,
    consensus_method: object,
    quality_method: str,
    label_quality_method: LabelQualityMethod,
    adjust_pred_probs: bool,
    calibrate: bool,
) -> MultiLabelCrowdlab:
    """CROWDLAB of a multi-label log."""
    if not isinstance(consensus_method, str):
        raise ValueError("consensus_method must be one method, not a list, with multi_label=True.")
    if adjust_pred_probs:
        raise ValueError("adjust_pred_probs=True does not go with multi_label=True.")
    if not rounds.n_models:
        raise AnnotationError(
            "CROWDLAB needs a model's pred_probs beside the log, or in the store."
        )
    by_shares = quality_method == "agreement"
    rounds, fitted = fit_rounds(
        rounds,
        consensus_method=consensus_method,
        by_shares=by_shares,
        method=label_quality_method,
        calibrated=calibrate,
    )
    warn_of_annotators_alone(rounds, fitted.overlap)
    warn_of_lost_classes(classes, fitted)
    return MultiLabelCrowdlab(rounds, classes, fitted, by_shares, consensus_method)
