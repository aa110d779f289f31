"""What CROWDLAB returns: three tables, each computed when it is asked for."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.compatible import engine_for
from polars_crowd.consensus.annotators import (
    annotator_table,
    count_annotations,
    model_share,
    worst_first,
)
from polars_crowd.consensus.label_quality import (
    Scoring,
    merged_thresholds,
    score_consensus,
    score_rows,
    sum_annotator_thresholds,
    sum_consensus_thresholds,
)
from polars_crowd.consensus.model import ConsensusMethod, LabelConsensus, Options, Weights
from polars_crowd.reports import FEW, Heads, header, value_text
from polars_crowd.rounds.parameters import Kept
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.results import OfTables
from polars_crowd.rounds.rounds import Rounds, TablePlan, Tables
from polars_crowd.rounds.summaries import Summary
from polars_crowd.rounds.tolerance import MadeWith
from polars_crowd.runs.classes import by_class

Found = dict[ConsensusMethod, LabelConsensus]

METHOD = "CROWDLAB"
EXAMPLE_COLUMNS = ("consensus_label", "consensus_quality_score", "annotator_agreement")


class OfModels(OfTables):
    """What results of CROWDLAB have in common, of labels and of sets of classes."""

    ON_DEMAND: ClassVar[tuple[str, ...]] = ("posterior",)
    VALUES: ClassVar[tuple[str, ...]] = ("model_weight", "temperature")
    _rounds: Rounds

    @property
    @abstractmethod
    def _size(self) -> tuple[int, int]:
        """How many examples and annotations there are."""

    def _header_of(self, n_classes: int, how: str, *notes: str) -> str:
        (n_examples, n_annotations), annotators = self._size, self._rounds.book.annotators
        sizes = {"example": n_examples, "annotator": len(annotators)}
        sizes |= {"annotation": n_annotations, "class": n_classes}
        return header(f"{self.method} ({how})", sizes, *notes, self._rounds.note)

    @property
    @abstractmethod
    def _weights(self) -> Weights[Any] | None: ...

    @property
    @abstractmethod
    def _temperatures(self) -> Floats | None: ...

    @property
    def model_weight(self) -> float | list[float] | None:
        weights = self._weights
        return self._of_models(None if weights is None else weights.models)

    @property
    def temperature(self) -> float | list[float] | None:
        return self._of_models(self._temperatures)

    def _of_models(self, values: Floats | None) -> float | list[float] | None:
        """A value of each model, the mean of several: a list for an ensemble."""
        if values is None:
            return None
        found: list[float] = values.reshape(len(values), -1).mean(axis=1).tolist()
        return found if self._rounds.is_ensemble else found[0]


class Crowdlab(OfModels):
    """What CROWDLAB found out about a log. See `crowdlab`.

    Attributes
    ----------
    examples : LazyFrame
        `example, consensus_label, consensus_quality_score, annotator_agreement, num_annotations`, and
        for further consensus methods the first three with the method as suffix. One row per example,
        sorted by example.
    annotations : LazyFrame
        `example, annotator, label, label_quality_score`, then the log's other columns (an earlier
        score gives way). One row per annotation, sorted by the first three.
    annotators : DataFrame
        `annotator, annotator_quality, num_examples_labeled, agreement_with_consensus, worst_class,
        annotator_weight`, and `num_abstained` if the log has rows without a label; the worst annotator first.
    posterior : LazyFrame
        `example, label, probability`: q[e,k], one row per example and class, those of an example sum to 1.
        One model's files of pred_probs may be read again for it, and must be as they were.
    model_weight : float, list of float, or None
        w_m; a list for an ensemble; None for `quality_method="agreement"`.
    temperature : float, list of float, or None
        The temperature of the calibrated pred_probs; a list for an ensemble; None if not calibrated.
    """

    TABLES: ClassVar[tuple[str, ...]] = ("examples", "annotations", "posterior", "annotators")
    HEADS: ClassVar[Heads] = {
        "examples": ("examples", FEW),
        "annotations": ("annotations", FEW),
        "annotators": ("annotators, worst first", FEW),
    }

    def __init__(
        self,
        rounds: Rounds,
        found: Found,
        options: Options,
        temperatures: tuple[float, ...] | None,
        tolerance: float = 0.0,
    ) -> None:
        self._rounds = rounds
        self._found = found
        self._main = main(found)
        self._options = options
        self._tempered = temperatures
        self._tolerance = tolerance
        self._keep(rounds.into)

    @cached_property
    def _tables(self) -> Tables:
        plans: dict[str, TablePlan] = {"examples": example_table, "annotations": annotation_table}
        return self._rounds.tables(
            plans,
            self._found,
            self._scoring,
            summary=count_quality,
            made_with=self._made_with,
            tolerance=self._tolerance,
        )

    @property
    def _made_with(self) -> MadeWith:
        """The parameters of the tables."""
        found = self._found.values()
        posteriors = [under for c in found if (under := c.choice.best_under)]
        weights = [w for p in (*(c.posterior for c in found), *posteriors) if (w := p.weights)]
        shared = [w.shared for w in weights] + list(self._scoring.of_consensus)
        own = self._scoring.of_annotators
        return MadeWith(
            kind=(self._options, self._tempered, self._main.choice.ties),
            shared=np.concatenate(shared) if shared else np.zeros(0),
            by_annotator=(*(w.annotators for w in weights), *(own.T if own is not None else ())),
        )

    @cached_property
    def _scoring(self) -> Scoring:
        """With thresholds, where the posterior is adjusted: a round each for examples and annotators."""
        method = self._options.label_quality_method
        if not self._options.adjust_pred_probs:
            return Scoring(method)
        rounds, book = self._rounds, self._rounds.book
        K, M = rounds.n_classes, len(book.annotators)
        return Scoring(
            method,
            tuple(
                merged_thresholds(rounds.run(sum_for_examples, consensus), (K,))
                for consensus in self._found.values()
            ),
            merged_thresholds(rounds.run(sum_for_annotators, self._main), (M, K)),
        )

    @cached_property
    def annotators(self) -> pl.DataFrame:
        counts = self._tables.summary[("annotator", "label")]
        book, weights = self._rounds.book, self._weights
        weight = pl.lit(None, pl.Float64)
        if weights is not None:
            weight = pl.lit(pl.Series(weights.annotators)).gather("annotator")
        table = worst_first(annotator_table(counts, self._model_share)).with_columns(
            annotator_weight=weight,
            annotator=pl.lit(book.annotators).gather("annotator"),
            worst_class=pl.lit(book.classes).gather("worst_class"),
        )
        annotators = table.collect(engine=engine_for(counts.height))
        return self._rounds.with_abstentions(annotators)

    @property
    def _model_share(self) -> float | None:
        weights, (n_examples, n_annotations) = self._weights, self._size
        return None if weights is None else model_share(weights, n_annotations / n_examples)

    @property
    def _size(self) -> tuple[int, int]:
        counts = self._main.counts
        return int(counts["examples"].sum()), int(counts["annotations"].sum())

    @property
    def _weights(self) -> Weights[float] | None:
        return self._main.posterior.weights

    @property
    def _temperatures(self) -> Floats | None:
        return None if self._tempered is None else np.array(self._tempered)

    @property
    def posterior(self) -> pl.LazyFrame:
        return self._rounds.tables({"posterior": posterior_table}, self._main)["posterior"]

    @property
    def _kept(self) -> Kept:
        return Kept(self._main.posterior, self._rounds.book, self._rounds.n_models, self._tempered)

    method = METHOD

    def _options_given(self) -> Options:
        return self._options

    def _header(self) -> str:
        weight, temperature = value_text(self.model_weight), value_text(self.temperature)
        note = f"model weight {weight}, temperature {temperature}"
        how = f"{', '.join(self._found)}; quality by {self._options.quality_method}"
        return self._header_of(self._rounds.n_classes, how, note)


# --- the local plans of the tables -----------------------------------------------------------------


def example_table(part: Partition, found: Found, scoring: Scoring) -> pl.LazyFrame:
    """The examples of a partition."""
    columns: list[pl.Series] = []
    for i, (method, consensus) in enumerate(found.items()):
        suffix = f"_{method}" if i else ""
        label = consensus.choice.labels(part)
        quality = consensus_quality(part, consensus, scoring, i)
        agreement = consensus.choice.agreement(part)
        names = (name + suffix for name in EXAMPLE_COLUMNS)
        values = (label, quality, agreement)
        columns += [v.alias(name) for v, name in zip(values, names, strict=True)]
    columns.insert(len(EXAMPLE_COLUMNS), part.runs.examples["num_annotations"])
    table = pl.LazyFrame([part.runs.examples["example"], *columns])
    named = pl.lit(part.runs.book.classes).gather(pl.col("^consensus_label.*$"))
    return table.with_columns(named.name.keep())


def consensus_quality(
    part: Partition, consensus: LabelConsensus, scoring: Scoring, method: int
) -> pl.Series:
    """The quality of each consensus label; its share of votes under the agreement method."""
    if consensus.posterior.weights is None:
        return consensus.choice.agreement(part)

    def score() -> pl.Series:
        label = consensus.choice.labels(part)
        return score_consensus(label, consensus.posterior.of(part), scoring, method)

    return part.once(f"consensus_quality_{method}", score, consensus, scoring)


def annotation_table(part: Partition, found: Found, scoring: Scoring) -> pl.LazyFrame:
    """The annotations of a partition, with the log's other columns but an earlier score of theirs."""
    return part.runs.annotations(_row_quality(part, main(found), scoring))


def _row_quality(part: Partition, consensus: LabelConsensus, scoring: Scoring) -> pl.Expr:
    def score() -> pl.Expr:
        return score_rows(part.runs, consensus.posterior.of(part), scoring)

    return part.once("row_quality", score, consensus, scoring)


def count_quality(part: Partition, found: Found, scoring: Scoring) -> Summary:
    """Summary of the annotators' labels: see `count_annotations`."""
    consensus = main(found)
    label = consensus.choice.labels(part)
    quality = consensus_quality(part, consensus, scoring, 0)
    of_rows = _row_quality(part, consensus, scoring)
    part.forget("posterior")  # whose numbers are in these; to count takes memory
    return count_annotations(part.runs, label, quality, of_rows)


def posterior_table(part: Partition, consensus: LabelConsensus) -> pl.DataFrame:
    """q[e,k], class by class."""
    ids, classes = part.runs.examples["example"], part.runs.book.classes
    return by_class(ids, "label", classes, probability=consensus.posterior.of(part).dense())


def sum_for_examples(part: Partition, consensus: LabelConsensus) -> Summary:
    label = consensus.choice.labels(part)
    return sum_consensus_thresholds(label, consensus.posterior.of(part))


def sum_for_annotators(part: Partition, consensus: LabelConsensus) -> Summary:
    return sum_annotator_thresholds(part.runs, consensus.posterior.of(part))


def main(found: Found) -> LabelConsensus:
    """The method that gives the main columns."""
    return next(iter(found.values()))
