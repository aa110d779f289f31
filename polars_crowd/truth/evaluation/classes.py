"""Methods for classes compared: their posteriors against known labels, and at predicting annotations.

What the posterior of the annotations seen says of a label that was left out stands in
`truth.evaluation.scoring`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Floats, Ints
from polars_crowd.consensus.majority_vote import majority_vote
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.inputs.log import scan_annotations
from polars_crowd.rounds.opening import look_at_runs, rounds_of
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.runs.classes import Runs, pack_votes, sort_runs
from polars_crowd.runs.codes import Codebook
from polars_crowd.runs.reading import run_lengths
from polars_crowd.truth.evaluation import scoring
from polars_crowd.truth.evaluation.trial import Ran, Rows, Scores, Trial
from polars_crowd.truth.known import ExampleLabels, check_matched
from polars_crowd.truth.registry import method_of
from polars_crowd.truth.result import Answers


@dataclass(frozen=True)
class ClassTrial(Trial):
    """A log of classes. What is known are codes, UNKNOWN where nothing is."""

    book: Codebook

    KNOWN: ClassVar = (
        "accuracy",
        *("num_compared", "ci_low", "ci_high"),
        *("log_loss", "brier_score", "calibration_error"),
    )
    HELD_OUT: ClassVar = ("held_out_log_loss", "held_out_calibration_error")
    OTHERS: ClassVar = "agreement_with_others"
    APART: ClassVar = "num_labels"

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
        return cls(rows, ids, book.annotators, known_classes(truth, run), folds, seed, book)

    @property
    def options(self) -> dict[str, Any]:
        return {"classes": self.book.classes.to_list()}

    def labels(self, labels: NDArray[Any]) -> pl.Series:
        return self.book.classes.gather(labels)

    def part(self, fold: int, function: Callable[..., Any]) -> Any:
        """For methods that take them, the rows as the sorted runs that they are."""
        if not takes_rounds(function):
            return super().part(fold, function)
        return self.once("rounds", fold, lambda: self.rounds(self.seen(fold)))

    def rounds(self, rows: Rows) -> Rounds:
        """The rounds of some of the rows, and of the annotators that have any."""
        example, label = (pl.Series(codes, dtype=pl.UInt32) for codes in (rows.example, rows.label))
        vote, votes = pack_votes(example, label)
        counts = run_lengths(example)
        used = np.bincount(rows.annotator, minlength=len(self.annotators)) > 0
        annotator = (np.cumsum(used) - 1).take(rows.annotator).astype(np.uint32)
        ids = self.examples.gather(counts["key"])
        runs = Runs(
            rows=pl.DataFrame({"vote": vote, "annotator": annotator}),
            extra=pl.LazyFrame(),
            votes=votes,
            examples=pl.DataFrame({"example": ids, "num_annotations": counts["len"]}),
            models=(),
            book=replace(self.book, annotators=self.annotators.filter(pl.Series(used))),
        )
        return rounds_of(runs)

    def exponent(self, fit: Any, function: Callable[..., Any]) -> float | None:
        method = method_of(function) if takes_rounds(function) else None
        asks = method is not None and "confidence" in method.options
        return fit.confidence_exponent if asks else None

    def found(self, fit: Any) -> Floats:
        """T."""
        if isinstance(fit, Answers):
            return fit._dense_posterior()
        T: Floats = fit.posterior.collect()["probability"].to_numpy()
        return T.reshape(-1, len(self.book.classes))

    def answer(self, fit: Any, examples: pl.DataFrame) -> Floats | None:
        """T, where it is judged."""
        return None if self.known is None else self.found(fit)[self.known >= 0]

    def goodness(self, ran: Ran) -> Floats:
        """How right each known example is."""
        return scoring.right(ran.answer, self.known[self.known >= 0])

    @staticmethod
    def paired(better: Floats) -> scoring.Paired:
        """The difference of accuracies."""
        return scoring.paired_shares(better)

    def known_scores(self, ran: Ran) -> Scores:
        T, known, hit = ran.answer, self.known[self.known >= 0], self.goodness(ran)
        accuracy, n = float(hit.mean()), len(hit)
        return (
            accuracy,
            n,
            *scoring.of_share(accuracy, n),
            scoring.log_loss(T[np.arange(len(T)), known]),
            scoring.brier(T, known),
            scoring.calibration_error(T.max(axis=1), hit),
        )

    def held_out(self, found: Floats, seen: Rows, asked: Rows) -> Floats:
        """The number of labels, their log losses, and the bins of their calibration."""
        predicted = scoring.predicted_labels(found, seen, asked, len(self.annotators))
        at_label = predicted[np.arange(len(predicted)), asked.label]
        top = predicted.max(axis=1)
        hit = (at_label >= top).astype(np.float64)
        loss = scoring.log_losses(at_label).sum()
        return np.array([len(at_label), loss, *scoring.calibration_gaps(top, hit)])

    def held_out_scores(self, sums: Floats) -> Scores:
        n, loss, *gaps = sums
        return loss / n, float(np.abs(gaps).sum() / n)

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

    log: pl.DataFrame | Rounds
    classes: list[Any]
    n_iter: int = 0
    converged: bool = True

    @property
    def examples(self) -> pl.LazyFrame:
        return majority_vote(self.log, classes=self.classes, duplicates="all")

    @property
    def posterior(self) -> pl.LazyFrame:
        run = self._runs
        T = np.zeros((run.examples.height, len(self.classes)))
        T[run.votes["example"], run.votes["label"]] = run.votes["votes"]
        T /= run.examples["num_annotations"].to_numpy()[:, None]
        return pl.LazyFrame({"probability": T.ravel()})

    @property
    def _runs(self) -> Runs:
        if isinstance(self.log, Rounds):
            return self.log.handles[0].runs()
        return sort_runs(scan_annotations(self.log), classes=self.classes, duplicates="all")


def vote_shares(
    log: pl.DataFrame | Rounds, *, classes: list[Any], duplicates: Duplicates
) -> VoteShares:
    """The majority vote, called as other methods are."""
    return VoteShares(log, classes)


def takes_rounds(function: Callable[..., Any]) -> bool:
    """Whether a method is one of ours, that works on rounds which are open already."""
    method = method_of(function)
    return function is vote_shares or (method is not None and method.name != "blend")
