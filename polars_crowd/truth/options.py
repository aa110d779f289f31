"""What the methods of truth inference can be asked for, checked: iterations, known labels, beginnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

from polars_crowd.errors import (
    SHOWN,
    Advice,
    AnnotationError,
    check_choice,
    counted,
    shown,
)
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.inputs.suspicions import LABEL_COLUMN, MOST_CLASSES
from polars_crowd.limits import Limit
from polars_crowd.option_checks import check_count, check_number
from polars_crowd.rounds.opening import open_rounds
from polars_crowd.rounds.partitions import Partitioned
from polars_crowd.rounds.rounds import Rounds


class LogOptions(TypedDict, total=False):
    """How a log is read, and where results go."""

    duplicates: Duplicates
    into: str | Path | None
    executor: Any
    progress: bool


class StartOptions(LogOptions, total=False):
    """... what is known of its examples, and where a method begins."""

    gold: Any
    init: Any
    classes: Sequence[Any] | None
    memory_limit: Limit


class WeightingOptions(LogOptions, total=False):
    """... of the methods for numbers that weigh annotators."""

    gold: Any
    init: Any
    max_iter: int
    tol: float


class IterationOptions(StartOptions, total=False):
    """... and when it stops."""

    max_iter: int
    tol: float


Confidence = Literal["cautious", "loo", "model"]


class LikelihoodOptions(IterationOptions, total=False):
    """... and how sure its posterior is."""

    confidence: Confidence


class MatrixOptions(LikelihoodOptions, total=False):
    """... and how large its annotators' matrices may be."""

    max_classes: int


@dataclass(frozen=True)
class Options:
    """The options that methods of truth inference share.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, with columns `example, annotator, label`, or an
        `AnnotationStore`.
    pred_probs
        Models' probabilities as each example's class prior: whatever `scan_pred_probs` takes, a list for
        several models; `True` for those that a store holds. Their weight and temperature are fitted.
    prior
        What is known of annotators from the past: a frame of counts, which are added to theirs,
        `annotator, num_correct, num_incorrect` or `annotator, true_label, label, num_annotations`, or an
        earlier fit.
    gold
        Known labels: the truth of these examples is held there. A frame or file `example, label` (of two
        columns one may be called otherwise), or the name of a column of the log that has the known label of
        its row's example, null where it has none.
    init
        Where to begin: at the `"majority_vote"`, at the labels of a frame `example, label`, or at an
        earlier fit, which saves iterations when a log has grown a little.
    classes
        The classes in order; not for a store, which has its own. By default the Enum's order if the label
        is one, else the order of the columns of pred_probs, else sorted.
    duplicates
        What to do where an annotator labelled an example more than once: `"error"`, or keep the
        `"first"` or `"last"` row (in the order of the log: see `order_by` of `scan_annotations`), count
        `"all"`, or take the `"mean"` where labels are numbers. Not for a store, which was made with an
        answer.
    max_iter
        How many iterations there may be, at least 1.
    tol
        When to stop: at a gain of the objective below `tol` times its size.
    into
        A directory to write the tables into, partition by partition; as for `crowdlab`.
    executor
        Where a store's partitions run: anything like `concurrent.futures.Executor`.
    progress
        Whether to show how far it is.
    memory_limit
        How much memory tables and matrices may take, such as `"4GB"`, or bytes. By default half of what is
        free. What takes more is refused before it is made.

    Notes
    -----
    The formulas of a method stand at the head of its module.

    Raises
    ------
    AnnotationError
        The log, or what is given beside it, cannot be used as it is.
    ValueError
        An option has a value that it cannot have.
    MemoryLimitError
        A table or the matrices would not fit into memory.

    Warns
    -----
    AnnotationWarning
        Not converged; annotators with fewer than 5 annotations; no example with more than one annotation,
        or none on which annotators differ. What speaks against the labels (`truth.soundness`): classes that
        may be exchanged; labels that differ from the majority vote on more than a tenth of the examples; a
        class that annotators chose and that became the truth of next to no example.
    """

    pred_probs: Any = None
    gold: Any = None
    init: Any = "majority_vote"
    classes: Sequence[Any] | None = None
    duplicates: Duplicates = "error"
    max_iter: int = 100
    tol: float = 1e-6
    into: str | Path | None = None
    executor: Any = None
    progress: bool = False
    memory_limit: Limit = None

    def __post_init__(self) -> None:
        check_count("max_iter", self.max_iter, 1)
        check_number("tol", self.tol, 0.0)

    @property
    def of_log(self) -> dict[str, Any]:
        """How the log is read, and where results go."""
        return {name: getattr(self, name) for name in LogOptions.__annotations__}

    def looping(self, title: str) -> dict[str, Any]:
        """When a loop stops, and under which title it shows how far it is."""
        return {"max_iter": self.max_iter, "tol": self.tol, "title": title if self.progress else ""}

    def open(self, log: Any, known_classes: Sequence[Any] | None = None) -> Rounds:
        """The rounds of a log; `known_classes` are those of an earlier fit.

        The models of a store are used only where `pred_probs=True` asks for them.
        """
        given = {**self.of_log, "memory_limit": self.memory_limit}
        if self.classes is not None:
            given["classes"] = self.classes
        elif not isinstance(log, Partitioned):
            given["classes"] = known_classes
        asks = self.pred_probs is True
        if asks and not isinstance(log, Partitioned):
            raise ValueError(
                "pred_probs=True is for a store; give the models' probabilities themselves."
            )
        rounds = open_rounds(log, None if asks else self.pred_probs, **given)
        if asks and not rounds.n_models:
            raise ValueError("pred_probs=True, but the store has none. Make it with pred_probs.")
        return rounds if asks or not isinstance(log, Partitioned) else replace(rounds, n_models=0)


@dataclass(frozen=True)
class Likelihood(Options):
    """... of methods whose annotators err independently, which makes their posteriors too sure.

    Parameters
    ----------
    confidence
        How sure the posterior is. A model that takes annotations for independent proofs is far too sure
        of itself; the log says by how much, by how well the posterior predicts each annotation from the
        others of its example (`truth.confidence` has the formulas). `"loo"` raises posteriors to the
        power that predicts best, `"cautious"` to half of that power: errors that annotators share help
        to predict labels, too, and on real logs half is nearest to the truth (where annotators truly err
        independently, it is not sure enough). `"model"` leaves them as they are. Labels and annotators'
        parameters are the same in all three, and known labels stay certain.
    """

    confidence: Confidence = "cautious"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("confidence", self.confidence, Confidence)


@dataclass(frozen=True)
class Matrices(Likelihood):
    """... of methods whose annotators have a confusion matrix each, of classes x classes.

    Parameters
    ----------
    max_classes
        With more classes than this the log is refused before the work begins: the label column is likely
        another one, and what is counted takes 8 K bytes several times over for each pair of annotator and
        label that occurs, or for each example.
    """

    max_classes: int = MOST_CLASSES

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("max_classes", self.max_classes, 1)

    def open(self, log: Any, known_classes: Sequence[Any] | None = None) -> Rounds:
        rounds = super().open(log, known_classes)
        K, M = rounds.n_classes, len(rounds.book.annotators)
        if self.max_classes < K:
            raise AnnotationError(
                f"has {counted(K, 'class')}, and this method a matrix of {K:,} x {K:,} for each of "
                f"{counted(M, 'annotator')}: {shown(rounds.book.classes.head(SHOWN).to_list())}, ...",
                LABEL_COLUMN,
                Advice(
                    "If it is, take a method without confusion matrices, or allow them",
                    python=f"pc.one_coin_dawid_skene(log), max_classes={K}",
                    command="--method one-coin-dawid-skene",
                ),
                source="the log",
                column="label",
            )
        return rounds


@dataclass(frozen=True)
class NumberOptions(Options):
    """... where labels are numbers.

    Parameters
    ----------
    log
        The annotations, with numbers as labels: whatever `scan_annotations` takes, or an `AnnotationStore`.
    gold
        Known truths, held fixed: a frame or file `example, label` (of two columns one may be called
        otherwise), or the name of a column of the log that has them.
    init
        An earlier fit, to begin with its weights.
    """

    init: Any = None
    max_iter: int = 200
    tol: float = 1e-8
