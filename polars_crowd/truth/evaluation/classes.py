"""Methods for classes compared: their posteriors against known labels, and at predicting annotations.

What the posterior of the annotations seen says of a label that was left out stands in
`truth.evaluation.scoring`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Floats, Ints
from polars_crowd.consensus.majority_vote import majority_vote
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.inputs.log import scan_annotations
from polars_crowd.rounds.opening import look_at_runs
from polars_crowd.runs.classes import Runs, sort_runs
from polars_crowd.truth.evaluation import scoring
from polars_crowd.truth.evaluation.trial import Ran, Rows, Scores, Trial
from polars_crowd.truth.known import ExampleLabels, check_matched


@dataclass(frozen=True)
class ClassTrial(Trial):
    """A log of classes. What is known are codes, UNKNOWN where nothing is."""

    classes: pl.Series

    KNOWN: ClassVar = (
        "accuracy",
        *("num_compared", "ci_low", "ci_high"),
        *("log_loss", "brier_score", "calibration_error"),
    )
    HELD_OUT: ClassVar = ("held_out_log_loss", "held_out_calibration_error")
    OTHERS: ClassVar = "agreement_with_others"
    APART: ClassVar = "num_labels"
    WITH_POSTERIOR: ClassVar = True

    @classmethod
    def of(
        cls,
        log: pl.LazyFrame,
        truth: Any,
        folds: int,
        seed: int,
        duplicates: Duplicates,
        classes: Sequence[Any] | None = None,
    ) -> ClassTrial:
        run = sort_runs(log, classes=classes, duplicates=duplicates)
        look_at_runs(run, declared=classes is not None)
        coded = run.vote_rows().select("example", "annotator", "label").collect()
        rows = Rows(*(column.to_numpy().astype(np.intp) for column in coded))
        ids, book = run.examples["example"], run.book
        return cls(rows, ids, book.annotators, known_classes(truth, run), folds, seed, book.classes)

    @property
    def options(self) -> dict[str, Any]:
        return {"classes": self.classes.to_list()}

    def labels(self, labels: NDArray[Any]) -> pl.Series:
        return self.classes.gather(labels)

    def answer(self, ran: Ran) -> Floats:
        """T."""
        assert ran.posterior is not None
        return ran.posterior

    def goodness(self, ran: Ran) -> Floats:
        """How right each known example is."""
        judged = self.known >= 0
        return scoring.right(self.answer(ran)[judged], self.known[judged])

    @staticmethod
    def paired(better: Floats) -> scoring.Paired:
        """The difference of accuracies."""
        return scoring.paired_shares(better)

    def known_scores(self, ran: Ran) -> Scores:
        judged = self.known >= 0
        T, known, hit = self.answer(ran)[judged], self.known[judged], self.goodness(ran)
        accuracy, n = float(hit.mean()), len(hit)
        return (
            accuracy,
            n,
            *scoring.wilson(accuracy, n),
            scoring.log_loss(T[np.arange(len(T)), known]),
            scoring.brier(T, known),
            scoring.calibration_error(T.max(axis=1), hit),
        )

    def held_out_scores(self, without: Sequence[Ran]) -> Scores:
        given, confidence = [], []
        for T, seen, asked in self.folds(without):
            predicted = scoring.predicted_labels(T, seen, asked, len(self.annotators))
            given.append(predicted[np.arange(len(predicted)), asked.label])
            confidence.append(predicted.max(axis=1))
        at_label, top = np.concatenate(given), np.concatenate(confidence)
        hit = (at_label >= top).astype(np.float64)
        return scoring.log_loss(at_label), scoring.calibration_error(top, hit)

    def to_others(self, own: pl.Series, others: pl.DataFrame) -> float:
        """The mean share of the other methods with the same label."""
        return float(np.mean([(own == other).to_numpy().mean() for other in others]))

    @staticmethod
    def apart(names: list[str]) -> pl.Expr:
        """How many different labels there are, where there is more than one."""
        n = pl.concat_list(names).list.n_unique().cast(pl.Int64)
        return pl.when(n > 1).then(n).otherwise(0)


def known_classes(truth: Any, run: Runs) -> Ints | None:
    """The known class of each example, UNKNOWN where there is none."""
    if truth is None:
        return None
    examples = run.examples.select("example")
    labels = ExampleLabels.of(truth, "truth", run.book, examples.schema["example"])
    found = examples.join(labels.frame, on="example", how="left", maintain_order="left")
    n_known = found.height - found["known"].null_count()
    check_matched(labels.given, n_known, lambda: examples["example"], "truth")
    return found["known"].fill_null(-1).to_numpy().astype(np.intp)


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
