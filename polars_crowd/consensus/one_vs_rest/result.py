"""What CROWDLAB finds in a log of sets of classes: its tables, and the same class by class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import polars as pl

from polars_crowd.arrays import Flags, Floats
from polars_crowd.consensus.annotators import model_share, quality_columns, worst_first
from polars_crowd.consensus.label_quality import (
    LabelQualityMethod,
    confidence_weighted_entropy,
    normalized_margin,
)
from polars_crowd.consensus.model import ConsensusMethod, Weights
from polars_crowd.consensus.one_vs_rest.model import (
    Answers,
    Cells,
    SetConsensus,
    Sets,
    by_annotator_and_class,
    share_agreeing,
)
from polars_crowd.consensus.result import OfModels
from polars_crowd.inputs.label_sets import as_lists
from polars_crowd.reports import FEW, Heads
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds, TablePlan, Tables
from polars_crowd.rounds.summaries import Merged, Summary
from polars_crowd.runs.classes import beside, by_class

METHOD = "CROWDLAB of sets of classes"


@dataclass(frozen=True)
class Fitted:
    """What the rounds led to."""

    method: ConsensusMethod
    consensus: SetConsensus
    overlap: Merged
    temperatures: Floats | None


# --- scores ----------------------------------------------------------------------------------------


def quality_of(q: Answers, answer: Flags, method: LabelQualityMethod) -> Floats:
    """The label quality of an answer per example and class."""
    own = q.at(answer)
    if method == "self_confidence":
        return own
    if method == "normalized_margin":
        return normalized_margin(own, q.at(~answer))
    yes, no = q.yes / q.total, q.no / q.total
    logs = [np.log(p, where=p > 0, out=np.zeros_like(p)) for p in (yes, no)]
    entropy = -(yes * logs[0] + no * logs[1]) / np.log(2)
    return confidence_weighted_entropy(own, entropy)


@dataclass(frozen=True)
class Scored:
    """A consensus, and how it and the annotations are scored."""

    consensus: SetConsensus
    method: LabelQualityMethod
    classes: pl.Series

    def flags(self, part: Partition) -> Flags:
        """y[e,k]."""
        return self.consensus.choice.flags(part)

    def of_examples(self, part: Partition) -> dict[str, Floats]:
        """The quality of each example's consensus per class, and the annotators' agreement with it."""
        y = self.flags(part)
        agreement = share_agreeing(Sets.of(part), y)
        quality = agreement
        if self.consensus.posterior.weights is not None:
            quality = quality_of(self.consensus.posterior.of(part), y, self.method)
        return {"consensus_quality_score": quality, "annotator_agreement": agreement}

    def of_annotations(self, part: Partition) -> Cells:
        """The quality of annotations per class, from that of yes and of no, (N, K) each."""
        q, sets = self.consensus.posterior.of(part), Sets.of(part)
        answer = np.ones(q.yes.shape, dtype=bool)
        yes, no = (quality_of(q, says, self.method) for says in (answer, ~answer))

        def quality(rows: slice) -> Floats:
            e = sets.example[rows]
            return np.asarray(np.where(sets.member[sets.label[rows]], yes[e], no[e]))

        return quality


# --- the local plans of the tables -----------------------------------------------------------------


def example_table(part: Partition, scored: Scored) -> pl.DataFrame:
    """The examples of a partition, their scores averaged over the classes."""
    means = {name: values.mean(axis=1) for name, values in scored.of_examples(part).items()}
    return part.runs.examples.select(
        "example",
        consensus_label=as_lists(scored.flags(part), scored.classes),
        **{name: pl.Series(mean) for name, mean in means.items()},
        num_annotations="num_annotations",
    )


def example_class_table(part: Partition, scored: Scored) -> pl.DataFrame:
    """... and class by class."""
    examples, y = part.runs.examples, scored.flags(part)
    counts = examples["num_annotations"].to_numpy()
    return by_class(
        examples["example"],
        "class",
        scored.classes,
        consensus=y,
        **scored.of_examples(part),
        num_annotations=np.broadcast_to(counts[:, None], y.shape),
    )


def posterior_table(part: Partition, scored: Scored) -> pl.DataFrame:
    """q[e,k], class by class."""
    q = scored.consensus.posterior.of(part).q
    return by_class(part.runs.examples["example"], "class", scored.classes, probability=q)


def annotation_table(part: Partition, scored: Scored) -> pl.LazyFrame:
    """The annotations of a partition."""
    sets, run, quality_of_rows = Sets.of(part), part.runs, scored.of_annotations(part)
    quality = [quality_of_rows(rows).mean(axis=1) for _, rows in sets.blocks()]
    named = pl.LazyFrame(
        {
            "example": run.examples["example"].gather(sets.example),
            "annotator": run.book.annotators.gather(run.rows["annotator"]),
            "label": as_lists(sets.member, scored.classes).gather(sets.label),
            "label_quality_score": np.concatenate(quality),
        }
    )
    return beside(named, run.extra, "label_quality_score")


def annotation_class_table(part: Partition, scored: Scored) -> pl.DataFrame:
    """... and class by class."""
    sets, run, quality_of_rows = Sets.of(part), part.runs, scored.of_annotations(part)
    found = by_class(
        run.examples["example"].gather(sets.example),
        "class",
        scored.classes,
        chosen=sets.member[sets.label],
        label_quality_score=np.concatenate([quality_of_rows(rows) for _, rows in sets.blocks()]),
    )
    annotator = run.book.annotators.gather(np.repeat(sets.annotator, sets.n_classes))
    return found.insert_column(1, annotator.alias("annotator"))


def count_quality(part: Partition, scored: Scored) -> Summary:
    """Summary by annotator and class: annotations, those that agree with the consensus, both on multi
    examples too, and the sum of their quality."""
    sets = Sets.of(part)
    agrees = sets.agrees(scored.flags(part))

    def multi(rows: slice) -> Floats:
        flags = sets.multi[sets.example[rows], None].astype(np.float64)
        return np.broadcast_to(flags, (len(flags), sets.n_classes))

    values: dict[str, Cells] = {
        "annotations": lambda rows: np.ones((rows.stop - rows.start, sets.n_classes)),
        "agreeing": agrees,
        "multi": multi,
        "agreeing_multi": lambda rows: agrees(rows) * multi(rows),
        "label_quality": scored.of_annotations(part),
    }
    sums = dict(zip(values, sets.sum_by_annotator(*values.values()), strict=True))
    return {("annotator", "class"): by_annotator_and_class(sets.present, **sums)}


# --- the result ------------------------------------------------------------------------------------


class MultiLabelCrowdlab(OfModels):
    """What CROWDLAB found out about a log of sets of classes. See `multilabel_crowdlab`.

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
        `annotator, annotator_quality` (mean over the classes), `num_examples_labeled,
        agreement_with_consensus` (mean), `worst_class` (the class on which they agree least with the
        consensus; the first of several), `annotator_weight` (mean), the worst annotator first.
    annotator_classes : DataFrame
        The same class by class: `annotator, class, annotator_quality, num_examples_labeled,
        agreement_with_consensus, annotator_weight`, sorted by annotator and class.
    posterior : LazyFrame
        `example, class, probability`: q[e,k], that the example has the class, one row per example and class;
        those of an example do not sum to 1.
    classes : DataFrame
        `class, num_annotations` (how often it was chosen), `num_examples` (how many have it by consensus),
        and of each model `model_weight, temperature`.
    model_weight, temperature : float, list of float, or None
        Means over the classes.
    """

    TABLES: ClassVar[tuple[str, ...]] = (
        *("examples", "example_classes", "annotations", "annotation_classes", "posterior"),
        *("annotators", "annotator_classes", "classes"),
    )
    HEADS: ClassVar[Heads] = {
        "examples": ("examples", FEW),
        "annotators": ("annotators, worst first", FEW),
        "classes": ("classes", FEW),
    }

    def __init__(
        self, rounds: Rounds, classes: pl.Series, fitted: Fitted, method: LabelQualityMethod
    ) -> None:
        self._rounds = rounds
        self._values = classes.alias("class")
        self._fitted = fitted
        self._method = method
        self._scored = Scored(fitted.consensus, method, self._values)
        self._keep(rounds.into)

    @cached_property
    def _tables(self) -> Tables:
        plans: dict[str, TablePlan] = {
            "examples": example_table,
            "example_classes": example_class_table,
            "annotations": annotation_table,
            "annotation_classes": annotation_class_table,
        }
        return self._rounds.tables(plans, self._scored, summary=count_quality)

    @property
    def example_classes(self) -> pl.LazyFrame:
        return self._tables["example_classes"]

    @property
    def annotation_classes(self) -> pl.LazyFrame:
        return self._tables["annotation_classes"]

    @property
    def posterior(self) -> pl.LazyFrame:
        return self._rounds.tables({"posterior": posterior_table}, self._scored)["posterior"]

    @cached_property
    def annotator_classes(self) -> pl.DataFrame:
        counts = self._tables.summary[("annotator", "class")]
        book, weights = self._rounds.book, self._weights
        share, weight = None, pl.lit(None, pl.Float64)
        if weights is not None:
            n_examples, n_annotations = self._size
            shares = model_share(weights, n_annotations / n_examples)
            share = pl.lit(pl.Series(shares)).gather("class")
            at = pl.col("annotator").cast(pl.UInt64) * len(self._values) + pl.col("class")
            weight = pl.lit(pl.Series(weights.annotators.ravel())).gather(at)
        return counts.select(
            pl.lit(book.annotators).gather("annotator").alias("annotator"),
            pl.lit(self._values).gather("class").alias("class"),
            *quality_columns(share),
            annotator_weight=weight,
        )

    @property
    def _weights(self) -> Weights[Floats] | None:
        return self._fitted.consensus.posterior.weights

    @property
    def _temperatures(self) -> Floats | None:
        return self._fitted.temperatures

    @cached_property
    def annotators(self) -> pl.DataFrame:
        least = pl.col("agreement_with_consensus").arg_min()
        means = self.annotator_classes.group_by("annotator", maintain_order=True).agg(
            pl.col("annotator_quality").mean(),
            pl.col("num_examples_labeled").first(),
            pl.col("agreement_with_consensus").mean(),
            worst_class=pl.col("class").get(least),
            annotator_weight=pl.col("annotator_weight").mean(),
        )
        return worst_first(means)

    @cached_property
    def classes(self) -> pl.DataFrame:
        fitted, weights = self._fitted, self._weights
        numbers = {
            "num_annotations": fitted.overlap[("class",)]["chosen"].cast(pl.Int64),
            "num_examples": fitted.consensus.counts["yes_anywhere"].cast(pl.Int64),
            **self._per_model("model_weight", None if weights is None else weights.models),
            **self._per_model("temperature", self._temperatures),
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

    method = METHOD

    def _options_given(self) -> dict[str, str]:
        return {
            "consensus_method": self._fitted.method,
            "quality_method": "agreement" if self._weights is None else "crowdlab",
            "label_quality_method": self._method,
        }

    def _header(self) -> str:
        options = self._options_given()
        how = f"{options['consensus_method']}; quality by {options['quality_method']}"
        return self._header_of(len(self._values), how)
