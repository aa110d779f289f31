"""What CROWDLAB returns: three tables, each computed when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from polars_crowd.annotators import (
    annotator_table,
    count_annotations,
    model_share,
    worst_first,
)
from polars_crowd.errors import counted
from polars_crowd.label_quality import LabelQualityMethod, score_consensus, score_rows
from polars_crowd.partitions import merge
from polars_crowd.runs import Runs

if TYPE_CHECKING:
    from polars_crowd.crowdlab import Consensus, ConsensusMethod, Options

EXAMPLE_COLUMNS = ("consensus_label", "consensus_quality_score", "annotator_agreement")
WIDTH = 160
"""Characters of a printed table."""


class Crowdlab:
    """What CROWDLAB found out about a log. See `crowdlab`.

    Attributes
    ----------
    examples : LazyFrame
        `example, consensus_label, consensus_quality_score, annotator_agreement, num_annotations`, and
        for further consensus methods the first three with the method as suffix. One row per example,
        sorted by example.
    annotations : LazyFrame
        `example, annotator, label, label_quality_score`, then the log's other columns. One row per
        annotation, sorted by the first three.
    annotators : DataFrame
        `annotator, annotator_quality, agreement_with_consensus, worst_class, num_examples_labeled,
        annotator_weight`, the worst annotator first.
    model_weight : float, list of float, or None
        w_m; a list for an ensemble; None for `quality_method="agreement"`.
    temperature : float, list of float, or None
        The temperature of the calibrated pred_probs; a list for an ensemble; None if not calibrated.
    """

    def __init__(
        self,
        parts: Sequence[Runs],
        found: dict[ConsensusMethod, Consensus],
        options: Options,
        temperatures: tuple[float, ...] | None,
        is_ensemble: bool,
    ) -> None:
        self._parts = parts
        self._found = found
        self._main = next(iter(found.values()))
        self._options = options
        self._temperatures = temperatures
        self._is_ensemble = is_ensemble

    @property
    def examples(self) -> pl.LazyFrame:
        frames = [
            run.examples.select("example").hstack(self._example_columns(i))
            for i, run in enumerate(self._parts)
        ]
        return pl.concat(frames).lazy()

    def _example_columns(self, part: int) -> list[pl.Series]:
        run, columns = self._parts[part], []
        for i, (method, consensus) in enumerate(self._found.items()):
            suffix = f"_{method}" if i else ""
            label, quality = consensus.labels[part], self._consensus_quality[method][part]
            values = (run.book.classes.gather(label), quality, run.agreement_with(label))
            names = (name + suffix for name in EXAMPLE_COLUMNS)
            columns += [v.alias(name) for v, name in zip(values, names, strict=True)]
        columns.insert(len(EXAMPLE_COLUMNS), run.examples["num_annotations"])
        return columns

    @property
    def annotations(self) -> pl.LazyFrame:
        pairs = zip(self._parts, self._row_quality, strict=True)
        return pl.concat([self._annotations(run, quality) for run, quality in pairs])

    def _annotations(self, run: Runs, quality: pl.Expr) -> pl.LazyFrame:
        named = run.rows.lazy().select(
            example=pl.lit(run.of_votes(run.examples["example"])).gather("vote"),
            annotator=pl.lit(run.book.annotators).gather("annotator"),
            label=pl.lit(run.book.classes.gather(run.votes["label"])).gather("vote"),
            label_quality_score=quality,
        )
        return (
            pl.concat([named, run.others.lazy()], how="horizontal") if run.others.width else named
        )

    @cached_property
    def annotators(self) -> pl.DataFrame:
        of_consensus = self._consensus_quality[next(iter(self._found))]
        columns = (self._parts, self._main.labels, of_consensus, self._row_quality)
        counts = (count_annotations(*of_part) for of_part in zip(*columns, strict=True))
        merged = merge(counts, by=["annotator", "label"])
        return self._named(worst_first(annotator_table(merged, self._model_share)))

    def _named(self, table: pl.DataFrame) -> pl.DataFrame:
        """The annotators with their names and weights."""
        book, weights = self._parts[0].book, self._main.weights
        weight = pl.lit(None, pl.Float64)
        if weights is not None:
            weight = pl.lit(pl.Series(weights.annotators)).gather("annotator")
        return table.with_columns(
            annotator_weight=weight,
            annotator=pl.lit(book.annotators).gather("annotator"),
            worst_class=pl.lit(book.classes).gather("worst_class"),
        )

    @property
    def _model_share(self) -> float | None:
        weights = self._main.weights
        if weights is None:
            return None
        return model_share(weights.models, weights.annotators, self._size[1] / self._size[0])

    @property
    def _size(self) -> tuple[int, int]:
        """How many examples and annotations there are."""
        parts = self._parts
        return sum(run.examples.height for run in parts), sum(run.rows.height for run in parts)

    @cached_property
    def _consensus_quality(self) -> dict[ConsensusMethod, list[pl.Series]]:
        return {method: self._quality_of(consensus) for method, consensus in self._found.items()}

    def _quality_of(self, consensus: Consensus) -> list[pl.Series]:
        if self._options.quality_method == "agreement":
            pairs = zip(self._parts, consensus.labels, strict=True)
            return [run.agreement_with(labels) for run, labels in pairs]
        return score_consensus(self._parts, consensus.labels, consensus.posteriors, *self._scoring)

    @cached_property
    def _row_quality(self) -> list[pl.Expr]:
        return score_rows(self._parts, self._main.posteriors, *self._scoring)

    @property
    def _scoring(self) -> tuple[LabelQualityMethod, bool]:
        return self._options.label_quality_method, self._options.adjust_pred_probs

    @property
    def model_weight(self) -> float | list[float] | None:
        weights = self._main.weights
        return self._of_models(None if weights is None else weights.models.tolist())

    @property
    def temperature(self) -> float | list[float] | None:
        return self._of_models(None if self._temperatures is None else list(self._temperatures))

    def _of_models(self, values: list[float] | None) -> float | list[float] | None:
        return values if values is None or self._is_ensemble else values[0]

    def posterior(self) -> pl.LazyFrame:
        """q[e,k]: `example` and one column per class, the rows of which sum to 1."""
        names = self._parts[0].book.names
        frames = (
            pl.DataFrame(q.dense(), schema=list(names)).select(run.examples["example"], pl.all())
            for run, q in zip(self._parts, self._main.posteriors, strict=True)
        )
        return pl.concat(frames).lazy()

    def __repr__(self) -> str:
        n_examples, n_annotations = self._size
        book = self._parts[0].book
        methods = ", ".join(self._found)
        header = (
            f"CROWDLAB ({methods}; quality by {self._options.quality_method}): "
            f"{counted(n_examples, 'example')}, {counted(len(book.annotators), 'annotator')}, "
            f"{counted(n_annotations, 'annotation')}, {counted(len(book.classes), 'class')}; "
            f"model weight {_text(self.model_weight)}, temperature {_text(self.temperature)}"
        )
        heads = (
            f"{name}\n{frame}"
            for name, frame in (
                ("examples", self.examples.head().collect()),
                ("annotations", self.annotations.head().collect()),
                ("annotators, worst first", self.annotators.head()),
            )
        )
        with pl.Config(tbl_cols=-1, tbl_width_chars=WIDTH, tbl_hide_dataframe_shape=True):
            return "\n\n".join((header, *heads))


def _text(value: float | list[float] | None) -> str:
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else ", ".join(f"{v:.4g}" for v in value)
