"""What ActiveLab does for labels and for sets of classes alike: the score, the vote of models, the rounds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Floats
from polars_crowd.errors import Advice, AnnotationError, OptionError
from polars_crowd.inputs.pred_probs import PredProbs
from polars_crowd.inputs.probabilities import read_unlabelled
from polars_crowd.rounds import unlabelled
from polars_crowd.rounds.opening import Opening, opened, refuse_executor
from polars_crowd.rounds.partitions import InMemory, Partition, Partitioned
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.classes import Runs, pack_votes
from polars_crowd.runs.codes import Codebook, resolve_classes


def score(
    quality: Floats, trust: Floats | float, mean_weight: Floats | float, n_classes: int
) -> Floats:
    """The quality, as if one more annotator of mean weight had chosen at random.

    >>> score(np.array([1.0]), 3.0, 1.0, 2).item()
    0.875
    """
    return np.asarray((trust * quality + mean_weight / n_classes) / (trust + mean_weight))


def cast_votes(run: Runs, label: NDArray[np.integer], classes: pl.Series) -> Runs:
    """Unlabelled examples with their P models as annotators; `label` holds the codes of what each model
    chose of each example, the models one after another."""
    P, N = len(run.models), run.examples.height
    log = pl.LazyFrame(
        {
            "example": np.tile(np.arange(N, dtype=np.uint32), P),
            "label": label.astype(np.uint32),
            "annotator": np.repeat(np.arange(P, dtype=np.uint32), N),
        }
    )
    sorted_ = log.sort("example", "label", "annotator").collect()
    vote, votes = pack_votes(sorted_["example"], sorted_["label"])
    return replace(
        run,
        rows=pl.DataFrame({"vote": vote, "annotator": sorted_["annotator"]}),
        votes=votes,
        examples=run.examples.with_columns(num_annotations=pl.lit(P, pl.UInt32)),
        book=replace(run.book, classes=classes, annotators=pl.Series("annotator", range(P))),
    )


class Trust(ABC):
    """What the score of an example needs of all the others."""

    method: ClassVar[str]
    """As in a directory of results."""
    temperatures: Any
    """Of the models."""

    @classmethod
    @abstractmethod
    def equal(cls, rounds: Rounds) -> Self:
        """All weights 1: where no example has two labels there is nothing to compare."""

    @classmethod
    @abstractmethod
    def weighed(cls, rounds: Rounds) -> tuple[Rounds, Self]:
        """The weights of CROWDLAB, and the rounds with the models calibrated."""

    @staticmethod
    @abstractmethod
    def ballots(run: Runs, temperatures: Any) -> Runs:
        """Unlabelled examples with their models tempered; of several, each is an annotator."""

    @abstractmethod
    def with_ties_of(self, voting: Rounds) -> Self:
        """... and what breaks the ties of several models' votes on the unlabelled examples."""

    @abstractmethod
    def score_annotated(self, part: Partition) -> Floats:
        """The scores of a partition's annotated examples."""

    @abstractmethod
    def score_unlabelled(self, part: Partition) -> Floats:
        """The scores of a partition of ballots."""


T = TypeVar("T", bound=Trust)


def trust_in(rounds: Rounds, kind: type[T]) -> tuple[Rounds, T]:
    """The rounds, with the models calibrated where that can be, and what the scores need of them."""
    if not rounds.handles or not rounds.run(count_multi)[()]["multi"].item():
        return rounds, with_ballots(rounds, kind.equal(rounds))
    rounds, trust = kind.weighed(rounds)
    return rounds, with_ballots(rounds, trust)


def count_multi(part: Partition) -> Summary:
    """Summary: how many examples are annotated more than once."""
    return {(): pl.DataFrame({"multi": [part.runs.on_multi.sum()]})}


def with_ballots(rounds: Rounds, trust: T) -> T:
    """... and what breaks the ties of several models' votes on the unlabelled examples."""
    if rounds.n_models == 1:
        return trust
    return trust.with_ties_of(unlabelled.of_rounds(rounds, trust.ballots, trust.temperatures))


def scores_of(rounds: Rounds, kind: type[Trust]) -> pl.LazyFrame:
    """ActiveLab in rounds."""
    rounds, trust = trust_in(rounds.claim(kind.method), kind)
    return unlabelled.with_idle(rounds).only("scores", score_table, trust)


def score_table(part: Partition, trust: Trust) -> pl.DataFrame:
    """The scores of a partition's annotated and unlabelled examples, by example."""
    annotated = part.runs.examples
    beside = ballots_beside(part, trust)
    rest = beside.runs.examples.with_columns(num_annotations=pl.lit(0, pl.UInt32))
    tables = [
        examples.with_columns(active_learning_score=pl.Series(score(there), dtype=pl.Float64))
        for examples, there, score in (
            (annotated, part, trust.score_annotated),
            (rest, beside, trust.score_unlabelled),
        )
        if len(examples)
    ]
    nothing = annotated.clear().with_columns(active_learning_score=pl.lit(0.0))
    return pl.concat(tables).sort("example") if tables else nothing


def ballots_beside(part: Partition, trust: Trust) -> Partition:
    """The models' votes on a partition's unlabelled examples."""
    return unlabelled.of_partition(part, trust.ballots, trust.temperatures)


class Door(NamedTuple):
    """How logs of one kind are opened."""

    scan: Callable[[Any], tuple[Any, pl.LazyFrame, pl.DataType]]
    """A source as what `open` takes, its rows, and the type of a class."""
    models: Callable[[Any, Sequence[Any] | None], list[PredProbs]]
    open: Callable[[Opening, Any, Any], Rounds]


def open_scoring(door: Door, log: Any, pred_probs: Any, opening: Opening) -> Rounds:
    """The rounds of a log, or of pred_probs alone where nothing is labelled."""
    if isinstance(log, Partitioned):
        return check_models(door.open(opening, log, pred_probs))
    if pred_probs is None:
        raise AnnotationError(
            "ActiveLab needs a model's pred_probs beside the log: their examples are what it ranks."
        )
    label: pl.DataType = pl.String()
    if log is not None:
        log, rows, label = door.scan(log)
        if not rows.head(1).collect().is_empty():
            return door.open(opening, log, pred_probs)
    else:
        refuse_what_logs_have(opening)
    models = door.models(pred_probs, opening.classes)
    book = Codebook(*resolve_classes(label, models[0].names, opening.classes), NOBODY)
    return nothing_labelled(models, book, isinstance(pred_probs, (list, tuple)), opening)


def refuse_what_logs_have(opening: Opening) -> None:
    """Options that have no effect without a log."""
    if opening.duplicates != "error":
        raise OptionError("duplicates", opening.duplicates, "there is no log that could have any.")
    if opening.progress and opening.into is None:
        raise OptionError(
            "progress",
            True,
            "it has no effect: without a log, and nothing to write, no work is done.",
        )


NOBODY = pl.Series("annotator", [], pl.String)


def check_models(rounds: Rounds) -> Rounds:
    """A store has pred_probs."""
    if not rounds.n_models:
        raise AnnotationError(
            "the store has no pred_probs, which ActiveLab needs: their examples are what it ranks.",
            Advice(
                "Make the store with them",
                python="pc.AnnotationStore.create(path, log, pred_probs)",
                command="polars-crowd store create STORE LOG --pred-probs PROBS",
            ),
        )
    return rounds


def nothing_labelled(
    models: Sequence[PredProbs], book: Codebook, is_ensemble: bool, opening: Opening
) -> Rounds:
    """The rounds of the examples of pred_probs, none of them annotated."""
    refuse_executor(opening.executor)
    none = pl.Series("example", [], models[0].frame.collect_schema()["example"])
    handle = InMemory(
        read_unlabelled=lambda: read_unlabelled(models, none, book.names), codebook=book
    )
    return Rounds(
        handles=[],
        book=book,
        n_models=len(models),
        is_ensemble=is_ensemble,
        progress=opening.progress,
        into=opened(opening.into),
        idle=[handle],
    )
