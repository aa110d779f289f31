"""What truth inference returns, whatever the method: one result, each table computed when it is asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Self, Unpack

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import AnnotationError, OptionError, counted, shown
from polars_crowd.inputs.tables import log_and_labels
from polars_crowd.numerics.mixture import DECIMALS
from polars_crowd.reports import FEW, Heads, header, went
from polars_crowd.rounds.components import warn_of_components
from polars_crowd.rounds.parameters import Kept
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.results import Fit, OfTables
from polars_crowd.rounds.rounds import Rounds, TablePlan, Tables
from polars_crowd.signatures import shares
from polars_crowd.truth.class_prior import ClassPrior
from polars_crowd.truth.known import Known, check_known
from polars_crowd.truth.model import LogSize, Model, Sums
from polars_crowd.truth.options import LogOptions, Options
from polars_crowd.truth.past import places
from polars_crowd.truth.plans import (
    CENSUS,
    RIGHT,
    Estimate,
    Source,
    annotation_table,
    check_posterior,
    count_census,
    count_right,
    dense_posterior,
    difficulty_table,
    example_table,
    posterior_table,
)
from polars_crowd.truth.sums import as_sums


@dataclass(frozen=True)
class Iterations:
    """How the loop went."""

    trace: tuple[float, ...]
    """The objective at the parameters of each iteration."""
    converged: bool
    asked: Mapping[str, float] = field(default_factory=dict, compare=False)
    """`max_iter` and `tol`, where it looped."""


class Iterated(Fit):
    """A fit of a method that iterates, or may."""

    TABLES: ClassVar[tuple[str, ...]] = (
        "examples",
        "annotations",
        "posterior",
        "annotators",
        "trace",
    )
    VALUES: ClassVar[tuple[str, ...]] = ("converged", "n_iter")

    _iterations: Iterations

    @property
    def trace(self) -> pl.Series:
        """The objective at the parameters of each iteration; empty where nothing is iterated."""
        return pl.Series("objective", self._iterations.trace, dtype=pl.Float64)

    @property
    def converged(self) -> bool:
        """Whether the loop stopped by itself."""
        return self._iterations.converged

    @property
    def n_iter(self) -> int:
        """How many iterations there were."""
        return len(self._iterations.trace)


@dataclass(frozen=True)
class Parameters:
    """All that is estimated."""

    skills: Any
    """Of the annotators, as the model has them."""
    classes: ClassPrior


@dataclass(frozen=True)
class Fitted:
    """A log and what was estimated on it."""

    rounds: Rounds
    model: Model
    params: Parameters
    weights: Any
    """What the E-step needs of the skills."""
    known: Known
    log: LogSize
    census: Sums
    """The sums of `plans.CENSUS`."""
    exponent: float = 1.0
    """gamma' of `truth.confidence`."""

    @property
    def estimate(self) -> Estimate:
        """What answers come from."""
        classes = self.params.classes.weights
        return Estimate(self.model, self.weights, classes, self.known, self.exponent)

    def parameters_for(self, rounds: Rounds, model: Model) -> Parameters:
        """The parameters for the annotators of another log: those it does not know get the pooled skill."""
        if type(model) is not type(self.model):
            own = f"is a fit of {self.model.name}; {model.name} can begin at its own fits only."
            raise OptionError("init", ..., own)
        if rounds.book.classes.cast(pl.String).to_list() != self._class_names:
            raise AnnotationError(
                f"the earlier fit has the classes {shown(self._class_names, 20)}, the log has "
                f"{shown(rounds.book.classes.to_list(), 20)}. ",
                "Declare the same classes for both, in one order.",
            )
        skills = self.model.moved(self.params.skills, self.places_of(rounds))
        return replace(self.params, skills=skills)

    def places_of(self, rounds: Rounds) -> Ints:
        """Where the annotators of another log are among those of this one; -1 for the others."""
        return places(self.log.annotators, rounds.book.annotators)

    def on(self, rounds: Rounds, gold: Any = None) -> Fitted:
        """The same parameters, on another log."""
        params, known = self.parameters_for(rounds, self.model), Known.of(rounds, gold)
        model = self.model.for_annotators(self.places_of(rounds), self.params.skills)
        weights = model.weights(params.skills)
        log = LogSize.of(rounds.book)
        census = as_sums(rounds.run(count_census, known), CENSUS, log)
        check_known(known, census, rounds)
        log = log.counted(census["n_annotations"])
        return Fitted(rounds, model, params, weights, known, log, census, self.exponent)

    @property
    def _class_names(self) -> list[str]:
        return self.log.classes.cast(pl.String).to_list()


class Answers(Iterated, OfTables):
    """The labels of a log's examples, and how sure they are."""

    _fitted: Fitted
    """A fit of the log, for what it says of the log."""

    @property
    @abstractmethod
    def _source(self) -> Source:
        """What answers come from."""

    @property
    def _plans(self) -> dict[str, TablePlan]:
        return {
            "examples": example_table,
            "annotations": annotation_table,
            "posterior": posterior_table,
        }

    @cached_property
    def _tables(self) -> Tables:
        if self._fitted.rounds.into is not None:
            self._check_posterior()
        return self._fitted.rounds.tables(self._plans, self._source, summary=count_right)

    @property
    def posterior(self) -> pl.LazyFrame:
        self._check_posterior()
        return self._tables["posterior"]

    def _check_posterior(self) -> None:
        check_posterior(self._fitted.rounds, int(self._fitted.census["n_examples"][0]))

    @cached_property
    def annotators(self) -> pl.DataFrame:
        self._warn_of_components()
        log = self._fitted.log
        right = as_sums(self._tables.summary, RIGHT, log)["right"][0]
        table = pl.DataFrame(
            {
                "annotator": log.annotators,
                "annotator_quality": self._quality(right, log.annotations),
                "num_examples_labeled": pl.Series(log.annotations, dtype=pl.Int64),
                **self._annotator_columns(),
            }
        )
        table = table.with_columns(pl.col("annotator_quality").fill_nan(None))
        quality = pl.col("annotator_quality").round(DECIMALS)
        table = table.sort(quality, "annotator", nulls_last=True)
        return self._fitted.rounds.with_abstentions(table)

    def _warn_of_components(self) -> None:
        """Where neither a model nor known labels say more of the examples than their annotators do."""
        if not self._fitted.rounds.n_models and self._fitted.known.gold is None:
            warn_of_components(self._fitted.rounds, f"the annotator_quality of {self.method}")

    def _quality(self, right: Floats, n: Floats) -> Floats:
        """The mean of the annotators' label quality scores, of which `right` is the sum."""
        return np.divide(right, n, where=n > 0, out=right * np.nan)

    def _annotator_columns(self) -> dict[str, Any]:
        """Columns of `annotators` in the method's own terms."""
        return {}

    @property
    def _kept(self) -> Kept:
        rounds = self._fitted.rounds
        return Kept(self._source, rounds.book, rounds.n_models)

    def _dense_posterior(self) -> Floats:
        """The probabilities of `.posterior` as an array, shape (n, K)."""
        handles = self._fitted.rounds.handles
        return np.concatenate([dense_posterior(Partition(h), self._source) for h in handles])

    @property
    def classes(self) -> list[Any]:
        return self._fitted.log.classes.to_list()

    def _of_models(self, values: Sequence[float]) -> float | list[float] | None:
        if not len(values):
            return None
        return list(values) if self._fitted.rounds.is_ensemble else values[0]

    @shares(LogOptions, Options)
    def predict(
        self, log: Any, pred_probs: Any = None, *, gold: Any = None, **options: Unpack[LogOptions]
    ) -> Self:
        """The truth of another log, with the annotators' skills as they were fitted here.

        Parameters
        ----------
        log
            Annotations: whatever `scan_annotations` takes. Unknown annotators are taken for the pooled one.
        pred_probs
            The models' probabilities of its examples, if the fit had any; True for those of a store.

        Returns
        -------
        TruthInference or Blend
            As this fit, with its parameters; its trace is empty.
        """
        log, gold = log_and_labels(log, gold, "gold")
        return self._on(self._opened(log, pred_probs, options), gold)

    def _opened(self, log: Any, pred_probs: Any, options: Mapping[str, Any]) -> Rounds:
        """The rounds of another log, with the models that the fit had."""
        rounds = Options(pred_probs=pred_probs, **options).open(log, self.classes)
        there = self._fitted.rounds.n_models
        if rounds.n_models != there:
            raise ValueError(
                f"pred_probs: {counted(rounds.n_models, 'model')} here, {there} in the fit. Give the "
                "probabilities of the same models as there."
            )
        return rounds

    @abstractmethod
    def _on(self, rounds: Rounds, gold: Any) -> Self:
        """The truth of another log, with the parameters of this fit."""

    def _header(self) -> str:
        log, census = self._fitted.log, self._fitted.census
        sizes = {"example": int(census["n_examples"][0]), "annotator": log.n_annotators}
        sizes |= {"annotation": int(log.annotations.sum()), "class": log.n_classes}
        return header(self.method, sizes, self._how_it_went(), self._fitted.rounds.note)

    @abstractmethod
    def _how_it_went(self) -> str: ...


class TruthInference(Answers):
    """What a method of truth inference found out about a log; also `.trace`, `.converged`, `.n_iter`.

    Attributes
    ----------
    examples : LazyFrame
        `example, consensus_label` (the first of the most probable ones, in class order),
        `consensus_quality_score` (its posterior, tempered by `confidence_exponent`),
        `annotator_agreement, num_annotations`, by example.
    annotations : LazyFrame
        `example, annotator, label, label_quality_score` (the posterior of that label), then the log's
        other columns (an earlier score gives way), by example, label, annotator.
    posterior : LazyFrame
        `example, label, probability`: one row per example and class.
    annotators : DataFrame
        `annotator, annotator_quality` (the mean of the annotator's label quality scores),
        `num_examples_labeled`, then the method's own columns, and `num_abstained` if the log has rows without
        a label; the least accurate first.
    confusion : DataFrame or None
        `annotator, true_label, label, probability` = P(label | true label, annotator), and
        `num_annotations`, the expected number behind it, if the method has one.
    confidence_exponent : float
        The power to which posteriors are raised in these tables; 1 as the model has them.
    class_prior : DataFrame
        `label, probability`: the share of each class among the examples.
    model_weight, temperature : float, list of float, or None
        The models' weight in each example's class prior, in [0, 1], and the temperature of their
        probabilities (below 1 sharpens them); a list for an ensemble, None without pred_probs.
    difficulty : LazyFrame or None
        `example` and its difficulty, if the method has one.
    classes : list
        The classes, in order.
    """

    TABLES = (
        *("examples", "annotations", "posterior", "difficulty"),
        *("annotators", "confusion", "class_prior", "trace"),
    )
    VALUES = (
        *Iterated.VALUES,
        *("confidence_exponent", "model_weight", "temperature", "classes"),
    )
    HEADS: ClassVar[Heads] = {
        "examples": ("examples", FEW),
        "annotators": ("annotators, least accurate first", FEW),
        "class_prior": ("class prior", 2 * FEW),
    }

    def __init__(self, fitted: Fitted, iterations: Iterations) -> None:
        self._fitted = fitted
        self._iterations = iterations
        self._keep(fitted.rounds.into)

    @property
    def _source(self) -> Estimate:
        return self._fitted.estimate

    @property
    def _plans(self) -> dict[str, TablePlan]:
        more: dict[str, TablePlan] = {"difficulty": difficulty_table}
        return super()._plans | (more if self._has_difficulty else {})

    @property
    def difficulty(self) -> pl.LazyFrame | None:
        return self._tables["difficulty"] if self._has_difficulty else None

    @property
    def _has_difficulty(self) -> bool:
        return type(self._fitted.model).example_columns is not Model.example_columns

    def _annotator_columns(self) -> dict[str, Any]:
        return self._fitted.model.annotator_columns(self._fitted.params.skills)

    @cached_property
    def confusion(self) -> pl.DataFrame | None:
        log, model, skills = self._fitted.log, self._fitted.model, self._fitted.params.skills
        K, M = log.n_classes, log.n_annotators
        probability = model.confusion(skills, K)
        if probability is None:
            return None
        annotator, truth, label = (a.ravel() for a in np.indices((M, K, K), dtype=np.uint32))
        columns = {
            "annotator": log.annotators.gather(annotator),
            "true_label": log.classes.gather(truth),
            "label": log.classes.gather(label),
            "probability": probability.transpose(1, 0, 2).ravel(),
        }
        count = model.confusion_counts(skills)
        if count is not None:
            columns["num_annotations"] = count.transpose(1, 0, 2).ravel()
        return pl.DataFrame(columns)

    @property
    def class_prior(self) -> pl.DataFrame:
        fitted = self._fitted
        shares = np.exp(fitted.params.classes.weights.log_shares)
        of_class = fitted.model.class_of_state(fitted.log.n_classes)
        by_class = np.bincount(of_class, shares / shares.sum(), fitted.log.n_classes)
        return pl.DataFrame({"label": fitted.log.classes, "probability": by_class})

    @property
    def confidence_exponent(self) -> float:
        return self._fitted.exponent

    @property
    def model_weight(self) -> float | list[float] | None:
        sources = np.exp(self._fitted.params.classes.weights.log_sources)
        return self._of_models((sources / sources.sum())[1:].tolist())

    @property
    def temperature(self) -> float | list[float] | None:
        return self._of_models(list(self._fitted.params.classes.temperatures))

    def _to_the_power(self, exponent: float) -> Self:
        return type(self)(replace(self._fitted, exponent=exponent), self._iterations)

    def _on(self, rounds: Rounds, gold: Any) -> Self:
        return type(self)(self._fitted.on(rounds, gold), Iterations((), self.converged))

    @property
    def method(self) -> str:
        return self._fitted.model.name

    def _options_given(self) -> dict[str, Any]:
        model = self._fitted.model
        own = [f.name for f in fields(model) if f.name != "pairs"]  # type: ignore[arg-type]
        return {"constants": {n: getattr(model, n) for n in own}, **self._iterations.asked}

    def _how_it_went(self) -> str:
        trace = self._iterations.trace
        if not trace:
            return "with the parameters of an earlier fit"
        how = went(trace, self.converged, objective=self._fitted.model.has_objective)
        exponent = self.confidence_exponent
        return how if exponent == 1 else f"{how}, posteriors to the power of {exponent:.3g}"
