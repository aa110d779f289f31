"""Several methods on one log: how they score, with known labels and without, and where they disagree.

Without known labels, methods are compared by the annotations that they have not seen: these are dealt into
folds, each fold is left out once, and what the posterior of the rest says of its labels is scored by log loss
(see `truth.evaluation.scoring`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.consensus.majority_vote import majority_vote
from polars_crowd.errors import AnnotationError, shown
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.inputs.log import scan_annotations
from polars_crowd.runs.classes import Runs, sort_runs
from polars_crowd.runs.codes import Codebook
from polars_crowd.truth.classification.methods import (
    BY_NAME_ONLY,
    MAJORITY_VOTE,
    METHODS,
    Method,
    method_named,
)
from polars_crowd.truth.evaluation import scoring
from polars_crowd.truth.evaluation.numeric import compare_numbers
from polars_crowd.truth.evaluation.result import (
    MethodComparison,
    Methods,
    Ran,
    chosen_methods,
    dealt,
    ran,
)
from polars_crowd.truth.evaluation.scoring import Rows
from polars_crowd.truth.known import ExampleLabels
from polars_crowd.truth.options import check_count

# --- one method on one log -------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What a method said of a log."""

    T: Floats
    """The posterior of its examples, sorted by id; shape (n, K)."""
    ran: Ran


def answer_of(method: Method, log: pl.DataFrame, book: Codebook) -> Answer:
    """Run a method for classes."""
    done = ran(method, log, classes=book.classes.to_list(), duplicates="all")
    T = done.fit.posterior.collect()["probability"].to_numpy()
    return Answer(T.reshape(done.examples.height, -1), done)


@dataclass(frozen=True)
class VoteShares:
    """The majority vote in the form of the other methods: the shares of votes as posterior."""

    log: pl.DataFrame
    classes: list[Any]
    n_iter: int = 0
    converged: bool = True

    @property
    def examples(self) -> pl.LazyFrame:
        return majority_vote(self.log, classes=self.classes, duplicates="all")

    @property
    def posterior(self) -> pl.LazyFrame:
        run = sort_runs(scan_annotations(self.log), classes=self.classes, duplicates="all")
        T = np.zeros((run.examples.height, len(self.classes)))
        T[run.votes["example"], run.votes["label"]] = run.votes["votes"]
        T /= run.examples["num_annotations"].to_numpy()[:, None]
        return pl.LazyFrame({"probability": T.ravel()})


def vote_shares(log: pl.DataFrame, *, classes: list[Any], duplicates: Duplicates) -> VoteShares:
    """The majority vote, called as other methods are."""
    return VoteShares(log, classes)


# --- scores ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """A log, in the order of its sorted runs, and what is known of its examples."""

    run: Runs
    known: Ints | None
    """The class of each example; UNKNOWN where it is not known; None if it is known for none."""
    folds: int
    seed: int

    @cached_property
    def rows(self) -> Rows:
        coded = self.run.vote_rows().select("example", "annotator", "label").collect()
        return Rows(*(column.to_numpy().astype(np.intp) for column in coded))

    @cached_property
    def log(self) -> pl.DataFrame:
        """The annotations, with their ids and labels."""
        run, book = self.run, self.run.book
        return pl.DataFrame(
            {
                "example": run.examples["example"].gather(self.rows.example),
                "annotator": book.annotators.gather(self.rows.annotator),
                "label": book.classes.gather(self.rows.label),
            }
        )

    @cached_property
    def fold(self) -> Ints:
        """The fold of each annotation."""
        return dealt(len(self.rows.example), self.folds, self.seed)


def known_scores(T: Floats, known: Ints | None) -> dict[str, float | None]:
    """Against the known labels; null without any."""
    names = ("accuracy", "log_loss", "brier_score", "calibration_error")
    if known is None:
        return dict.fromkeys(names)
    judged = known >= 0
    T, known = T[judged], known[judged]
    hit = scoring.right(T, known)
    scores = (
        float(hit.mean()),
        scoring.log_loss(T[np.arange(len(T)), known]),
        scoring.brier(T, known),
        scoring.calibration_error(T.max(axis=1), hit),
    )
    return dict(zip(names, scores, strict=True))


def held_out_scores(method: Method, trial: Trial) -> dict[str, float | None]:
    """At predicting the annotations of each fold from the others; null without folds."""
    if not trial.folds:
        return {"held_out_log_loss": None, "held_out_calibration_error": None}
    given, confidence, hit = [], [], []
    for fold in range(trial.folds):
        asked = trial.rows.only(trial.fold == fold)
        predicted = _predict_fold(method, trial, fold, asked)
        at_label = predicted[np.arange(len(predicted)), asked.label]
        top = predicted.max(axis=1)
        given.append(at_label)
        confidence.append(top)
        hit.append((at_label >= top).astype(np.float64))
    return {
        "held_out_log_loss": scoring.log_loss(np.concatenate(given)),
        "held_out_calibration_error": scoring.calibration_error(
            np.concatenate(confidence), np.concatenate(hit)
        ),
    }


def _predict_fold(method: Method, trial: Trial, fold: int, asked: Rows) -> Floats:
    kept = trial.fold != fold
    seen = trial.rows.only(kept)
    answer = answer_of(method, trial.log.filter(kept), trial.run.book)
    there = np.unique(seen.example)
    T = np.tile(answer.T.mean(axis=0), (trial.run.examples.height, 1))
    T[there] = answer.T
    return scoring.predicted_labels(T, seen, asked, len(trial.run.book.annotators))


# --- all of them -----------------------------------------------------------------------------------


def compare(
    log: Any,
    methods: Methods | None = None,
    truth: Any = None,
    *,
    folds: int = 5,
    classes: Sequence[Any] | None = None,
    duplicates: Duplicates = "error",
    seed: int = 0,
) -> MethodComparison:
    """Run several methods of truth inference on one log, and score them.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, or a store, which is read into memory. Labels that
        are floats are numbers (unless `classes` are given), which have methods of their own.
    methods
        Names of methods; or a mapping from names of your own to names of methods or to functions
        `f(log, classes=..., duplicates=...)` that return a `TruthInference`, such as
        `functools.partial(pc.dawid_skene, smoothing=1.0)`. By default all but KOS, which is
        experimental, and EBCC, which takes by far the longest.
    truth
        Known labels, a frame `example, label`, for scores only: no method sees them.
    folds
        How many folds the annotations are dealt into; every method is fitted once on all of them and once
        without each. 0 leaves the held-out scores out.
    classes
        The classes in order. By default the Enum's order if the label is one, else sorted.
    duplicates
        What to do where an annotator labelled an example more than once: `"error"`, or keep the
        `"first"` or `"last"` row, or count `"all"`.
    seed
        Of the deal.

    Returns
    -------
    MethodComparison
        `.methods`, `.labels`, `.disagreements`.

    Raises
    ------
    AnnotationError
        The log or the truth cannot be used as they are; the truth has no example of the log.
    ValueError
        A method is not known; folds is 1 or negative.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> data = pc.datasets.tutorial()
    >>> found = compare(data.log, ["majority_vote", "dawid_skene"], data.truth, folds=0)
    >>> found.methods.select("method", pl.col("accuracy", "log_loss").round(4)).rows()
    [('majority_vote', 0.8795, 0.9651), ('dawid_skene', 0.8615, 0.5192)]
    >>> found.disagreements.height
    25
    """
    if folds:
        check_count("folds", folds, 2)
    scan = scan_annotations(log)
    if classes is None and scan.collect_schema()["label"].is_float():
        return compare_numbers(scan, methods, truth, folds, duplicates, seed)
    default = [MAJORITY_VOTE, *(name for name in METHODS if name not in BY_NAME_ONLY)]
    chosen = chosen_methods(methods, default, _named)
    run = sort_runs(scan, classes=classes, duplicates=duplicates)
    trial = Trial(run, known_classes(truth, run), folds, seed)
    answers = {name: answer_of(method, trial.log, run.book) for name, method in chosen.items()}
    labels = pl.DataFrame(
        [
            run.examples["example"],
            *(a.ran.examples["consensus_label"].alias(name) for name, a in answers.items()),
        ]
    )
    rows = [
        {
            "method": name,
            **known_scores(answer.T, trial.known),
            **held_out_scores(chosen[name], trial),
            "agreement_with_others": _agreement(name, labels),
            **answer.ran.columns,
        }
        for name, answer in answers.items()
    ]
    table = pl.DataFrame(rows, schema_overrides=_SCORES)
    return MethodComparison(table.sort("held_out_log_loss", maintain_order=True), labels)


_SCORES = {
    **dict.fromkeys(("accuracy", "log_loss", "brier_score", "calibration_error"), pl.Float64()),
    **dict.fromkeys(("held_out_log_loss", "held_out_calibration_error"), pl.Float64()),
    "agreement_with_others": pl.Float64(),
    "n_iter": pl.Int64(),
    "warnings": pl.List(pl.String),
}


def _named(name: str) -> Method:
    return vote_shares if name.replace("-", "_") == MAJORITY_VOTE else method_named(name)


def known_classes(truth: Any, run: Runs) -> Ints | None:
    """The known class of each example, UNKNOWN where there is none."""
    if truth is None:
        return None
    examples = run.examples.select("example")
    labels = ExampleLabels.of(truth, "truth", run.book, examples.schema["example"])
    found = examples.join(labels.frame, on="example", how="left", maintain_order="left")
    if found["known"].null_count() == found.height:
        raise AnnotationError(
            "column 'example' of truth: none of its examples is in the log, which has "
            f"{shown(examples['example'].head(3).to_list())}, ... Check that both name the same example by "
            "the same id."
        )
    return found["known"].fill_null(-1).to_numpy().astype(np.intp)


def _agreement(name: str, labels: pl.DataFrame) -> float | None:
    """The mean share of the other methods with the same label."""
    others = [other for other in labels.columns if other not in ("example", name)]
    if not others:
        return None
    same = (labels[name] == labels[other] for other in others)
    return float(np.mean([s.to_numpy().mean() for s in same]))
