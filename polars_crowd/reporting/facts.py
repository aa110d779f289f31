"""What a report is made from: every number of it, computed once, the log's tables gone through in batches.

Nothing of the log's size is held: the consensus of the examples is a pass that keeps counts and the few rows
that are shown. So a store of any size is reported on by its summaries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import polars as pl

from polars_crowd.active.batches import next_batch
from polars_crowd.active.scores import activelab
from polars_crowd.active.votes import vote_scores
from polars_crowd.annotators.drift import AnnotatorDrift, annotator_drift
from polars_crowd.annotators.habits import TIME
from polars_crowd.annotators.overlap import Overlap, overlap
from polars_crowd.annotators.pairs import annotator_pairs
from polars_crowd.annotators.report import AnnotatorReport, annotator_report
from polars_crowd.errors import Advised, AnnotationWarning, Words, heard
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.inputs.findings import DUPLICATES, as_frame, errors_first, findings_of
from polars_crowd.inputs.log import LOG_COLUMNS, open_rows, scan_annotations
from polars_crowd.numerics.shares import wilson
from polars_crowd.reliability.coefficients import agreement
from polars_crowd.reliability.coincidences import disagreements
from polars_crowd.reporting.charts.tables import BINS, bin_of
from polars_crowd.reporting.fingerprint import fingerprint
from polars_crowd.reporting.why import reasons
from polars_crowd.rounds.partitions import Partitioned
from polars_crowd.truth.classification.blend import Blend, blend
from polars_crowd.truth.known import ExampleLabels, check_matched

T = TypeVar("T")

ALPHA = "krippendorff_alpha"
HEADLINES = (ALPHA, "gwet_ac1", "percent_agreement")
CONFIDENCE = 0.95
SURELY = 0.01
"""The corrected p-value below which a pair is said to copy."""
MANY = 1_000
"""More annotators than are looked at pair by pair."""


@dataclass(frozen=True)
class Asked:
    """What is reported on, and how its log is read."""

    log: Any
    pred_probs: Any = None
    truth: Any = None
    by: Any = None
    text: str | None = None
    size: int = 20
    """How many rows of examples are shown."""
    classes: Any = None
    duplicates: Duplicates = "error"
    executor: Any = None
    words: Words = "python"
    """Who asks: advice is in these words."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What the log's columns are called where they come from."""

    @property
    def rows(self) -> pl.LazyFrame:
        """The annotations as a lazy frame."""
        return scan_annotations(self.log)

    @property
    def options(self) -> dict[str, Any]:
        """What functions of the log are told: nothing that a store has itself."""
        if isinstance(self.log, Partitioned):
            return {"executor": self.executor}
        return {"classes": self.classes, "duplicates": self.duplicates}


@dataclass(frozen=True)
class Missing:
    """Something that could not be computed of this log, and why."""

    why: str


@dataclass
class Listener:
    """Computes the parts of a report; what they warn of, and what they cannot do, is kept to be said."""

    warnings: list[str] = field(default_factory=list)

    def hear(self, compute: Callable[[], T]) -> T:
        """What it computes; warnings go into the report."""
        with heard() as said:
            found = compute()
        texts = [warning.wrong for warning in said if isinstance(warning, AnnotationWarning)]
        self.warnings += [text for text in texts if text not in self.warnings]
        return found

    def attempt(self, compute: Callable[[], T]) -> T | Missing:
        """... or why that cannot be computed of this log."""
        try:
            return self.hear(compute)
        except Advised as error:
            return Missing(error.wrong)


# --- the consensus, in one pass --------------------------------------------------------------------


@dataclass(frozen=True)
class Consensus:
    """The examples' consensus, counted."""

    cells: pl.DataFrame
    """`label, bin, num_annotations, n, quality`: how many examples, and the sum of their quality."""
    least: pl.DataFrame
    """The least certain examples, as in `fit.examples`."""
    judged: pl.DataFrame
    """... with `truth`, those whose truth is known."""

    @property
    def n(self) -> int:
        return int(self.cells["n"].sum())

    @property
    def quality(self) -> float:
        """The mean probability of a consensus label."""
        return float(self.cells["quality"].sum()) / max(self.n, 1)

    @property
    def of_labels(self) -> pl.DataFrame:
        """`label, num_examples, share, mean_quality`."""
        n = pl.col("n").sum()
        table = self.cells.group_by("label", maintain_order=True).agg(
            num_examples=n, mean_quality=pl.col("quality").sum() / n
        )
        table = table.with_columns(share=pl.col("num_examples") / self.n)
        return table.select("label", "num_examples", "share", "mean_quality").sort(
            "num_examples", "label", descending=[True, False]
        )

    @property
    def of_bins(self) -> pl.DataFrame:
        """`quality_from, quality_to, num_examples`."""
        return from_to(self.cells.group_by("bin").agg(pl.col("n").sum()), "quality")

    @property
    def of_counts(self) -> pl.DataFrame:
        """`num_annotations, num_examples, mean_quality`."""
        n = pl.col("n").sum()
        by = self.cells.group_by("num_annotations")
        return by.agg(num_examples=n, mean_quality=pl.col("quality").sum() / n).sort(
            "num_annotations"
        )

    @property
    def n_single(self) -> int:
        """Examples with one annotation."""
        return int(self.cells.filter(num_annotations=1)["n"].sum())

    def n_below(self, quality: float) -> int:
        """Examples whose consensus is less probable than this, a multiple of 1 / BINS."""
        return int(self.cells.filter(pl.col("bin") < round(quality * BINS))["n"].sum())


def consensus_of(fit: Blend, size: int, known: pl.DataFrame | None) -> Consensus:
    """One pass over the examples; `known` is `example, truth`."""
    cells, least, judged = [], [], []
    for batch in fit.examples.collect_batches(maintain_order=True):
        if batch.height:
            cells.append(counted_in(batch))
            least.append(least_certain(batch, size))
            judged += [] if known is None else [batch.join(known, on="example")]
    keys = ("label", "bin", "num_annotations")
    return Consensus(
        summed(cells, keys).sort(*keys),
        least_certain(pl.concat(least), size),
        pl.concat(judged) if judged else pl.DataFrame(),
    )


def counted_in(examples: pl.DataFrame) -> pl.DataFrame:
    quality = pl.col("consensus_quality_score")
    keys = (pl.col("consensus_label").alias("label"), bin_of(quality).alias("bin"))
    n = pl.len().cast(pl.Int64)
    return examples.group_by(*keys, "num_annotations").agg(n=n, quality=quality.sum())


def from_to(counts: pl.DataFrame, what: str) -> pl.DataFrame:
    """The ends of each `bin`, and how many examples are in it, `n`."""
    return counts.sort("bin").select(
        (pl.col("bin") / BINS).alias(f"{what}_from"),
        ((pl.col("bin") + 1) / BINS).alias(f"{what}_to"),
        num_examples="n",
    )


def summed(parts: list[pl.DataFrame], keys: tuple[str, ...]) -> pl.DataFrame:
    """The sums of all parts by key."""
    return pl.concat(parts).group_by(*keys).agg(pl.all().sum())


def least_certain(examples: pl.DataFrame, size: int) -> pl.DataFrame:
    return examples.sort("consensus_quality_score", "example").head(size)


# --- what is known ---------------------------------------------------------------------------------


def known_labels(fit: Blend, truth: Any) -> ExampleLabels | None:
    """Labels in the classes of the log."""
    if truth is None:
        return None
    ids = fit.examples.collect_schema()["example"]
    return ExampleLabels.of(truth, "truth", fit._fitted.rounds.book, ids)


def judged_by(fit: Blend, asked: Asked) -> Consensus:
    """The consensus, with what is known of it; labels of no example of the log are counted."""
    labels, classes = known_labels(fit, asked.truth), fit._fitted.log.classes
    if labels is None:
        return consensus_of(fit, asked.size, None)
    known = labels.frame.select("example", truth=classes.gather(labels.frame["known"]))
    found = consensus_of(fit, asked.size, known)
    check_matched(labels.given, found.judged.height, lambda: found.least["example"], "truth")
    return found


@dataclass(frozen=True)
class Accuracy:
    """How many consensus labels are right, of those whose truth is known."""

    n: int
    value: float
    low: float
    high: float
    claimed: float
    """The mean probability that they have."""

    @classmethod
    def of(cls, judged: pl.DataFrame) -> Accuracy:
        n, share, claimed = judged.select(
            pl.len(),
            share=(pl.col("consensus_label") == pl.col("truth")).mean(),
            claimed=pl.col("consensus_quality_score").mean(),
        ).row(0)
        low, high = wilson(np.array([share]), np.array([float(n)]), CONFIDENCE)
        return cls(n, share, float(low[0]), float(high[0]), claimed)


# --- annotators ------------------------------------------------------------------------------------

DOUBTFUL = ("chance", "below_chance", "one_label")
"""Flags of annotators whose labels do not go by the examples."""


def doubtful(panel: AnnotatorReport) -> pl.Series:
    """The annotators with such a flag."""
    return panel.flags.filter(pl.col("flag").is_in(DOUBTFUL))["annotator"].unique().sort()


def without_doubtful(asked: Asked, panel: AnnotatorReport | Missing) -> dict[str, Any] | None:
    """Alpha among the others, if there are annotators to leave out."""
    if isinstance(panel, Missing) or not len(doubtful(panel)):
        return None
    ids = panel.annotators.select(
        "annotator", is_kept=~pl.col("annotator").is_in(doubtful(panel).implode())
    )
    found = agreement(asked.log, coefficients=[ALPHA], by=ids, **asked.options)
    kept = found.filter(pl.col("is_kept"), pl.col("value").is_not_null())
    return next(kept.iter_rows(named=True), None)


def copying_pairs(asked: Asked, n_annotators: int) -> pl.DataFrame | Missing:
    """The pairs who share wrong labels beyond what is expected, those that are least probable first."""
    if n_annotators > MANY:
        return Missing(
            f"pairs of more than {MANY:,} annotators take long: see annotator_pairs for who copies."
        )
    found = annotator_pairs(asked.log, **asked.options)
    return found.filter(pl.col("p_value_corrected") < SURELY)


def drift_of(asked: Asked) -> AnnotatorDrift | None:
    """Who became worse, week by week, if the log says when annotations were made."""
    when = asked.rows.collect_schema().get(TIME)
    if when is None or not when.is_temporal() or isinstance(when, (pl.Time, pl.Duration)):
        return None
    return annotator_drift(asked.log, timestamp=TIME, **asked.options)


# --- what to label next ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Queue:
    """What to label next."""

    by: str
    batch: pl.DataFrame
    cells: pl.DataFrame
    """`bin, num_annotations, n`: how many examples."""

    @property
    def n(self) -> int:
        return int(self.cells["n"].sum())

    @property
    def n_unlabelled(self) -> int:
        return int(self.cells.filter(num_annotations=0)["n"].sum())

    @property
    def of_bins(self) -> pl.DataFrame:
        """`score_from, score_to, num_examples`."""
        return from_to(self.cells.group_by("bin").agg(pl.col("n").sum()), "score")


def queue_of(asked: Asked) -> Queue:
    """One pass over the scores of all examples, annotated or not."""
    has_model = asked.pred_probs is not None or getattr(asked.log, "n_models", False)
    if has_model:
        probs = None if isinstance(asked.log, Partitioned) else asked.pred_probs
        scores = activelab(asked.log, probs, **asked.options)
    else:
        scores = vote_scores(asked.log, **asked.options)
    best, cells = [], []
    score = bin_of(pl.col("active_learning_score")).alias("bin")
    for batch in scores.collect_batches(maintain_order=True):
        if batch.height:
            best.append(next_batch(batch, asked.size))
            cells.append(batch.group_by("num_annotations", score).agg(n=pl.len().cast(pl.Int64)))
    keys = ("bin", "num_annotations")
    batch = next_batch(pl.concat(best), asked.size)
    return Queue("ActiveLab" if has_model else "the votes", batch, summed(cells, keys).sort(*keys))


# --- the votes of a few examples -------------------------------------------------------------------


def rows_of(asked: Asked, ids: pl.Series) -> pl.DataFrame:
    """The annotations of a few examples, with the text of each, if that is asked for."""
    columns = ["example", "annotator", "label", *([asked.text] if asked.text else [])]
    rows = asked.rows.select(columns).filter(pl.col("example").is_in(ids.implode()))
    return rows.collect().sort("example", "label", "annotator")


# --- all of it -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """All that a report says, as numbers."""

    asked: Asked
    fit: Blend
    checks: pl.DataFrame
    consensus: Consensus
    agreement: pl.DataFrame | Missing
    groups: pl.DataFrame | Missing | None
    cells: pl.DataFrame | Missing
    panel: AnnotatorReport | Missing
    without_doubtful: dict[str, Any] | None
    """Alpha without the annotators whose labels say nothing, if there are some."""
    shared: Overlap | Missing
    pairs: pl.DataFrame | Missing
    """Annotators who give the same wrong labels."""
    drift: AnnotatorDrift | Missing | None
    """None where the log does not say when annotations were made."""
    queue: Queue | Missing
    votes: pl.DataFrame
    """The annotations of the examples that are listed."""
    reasons: pl.DataFrame
    """Of the least certain examples, as `why.reasons` has them."""
    fingerprint: str
    warnings: list[str]

    @property
    def annotators(self) -> pl.DataFrame:
        return self.fit.annotators

    @property
    def n_annotations(self) -> int:
        return int(self.annotators["num_examples_labeled"].sum())

    @property
    def accuracy(self) -> Accuracy | None:
        judged = self.consensus.judged
        return None if judged.is_empty() else Accuracy.of(judged)

    def coefficient(self, name: str = ALPHA) -> dict[str, Any] | None:
        """A row of the agreement of all, if it has a value."""
        if isinstance(self.agreement, Missing):
            return None
        found = self.agreement.filter(pl.col("value").is_not_null(), coefficient=name)
        return next(found.iter_rows(named=True), None)


def facts_of(asked: Asked, tell: Callable[[str], None] = lambda text: None) -> Facts:
    """Everything, in the order in which it is likely to fail; errors of the log itself are raised."""
    ear = Listener()
    tell("looking for what is wrong with the log")
    checks = ear.hear(lambda: checks_of(asked))
    tell("finding the consensus")
    fit = ear.hear(lambda: blend(asked.log, probs_for_fit(asked), **asked.options))
    consensus = ear.hear(lambda: judged_by(fit, asked))
    tell("measuring agreement")
    found = partial(agreement, asked.log, **asked.options)
    groups = None
    if asked.by is not None:
        groups = ear.hear(lambda: found(coefficients=[ALPHA, "percent_agreement"], by=asked.by))
    measured = ear.attempt(lambda: found(coefficients=list(HEADLINES)))
    cells = ear.attempt(lambda: disagreements(asked.log, **asked.options))
    tell("judging annotators")
    panel = ear.attempt(lambda: annotator_report(asked.log, **asked.options))
    without = ear.attempt(lambda: without_doubtful(asked, panel))
    shared = ear.attempt(lambda: overlap(asked.log, executor=asked.executor))
    pairs = ear.attempt(lambda: copying_pairs(asked, fit.annotators.height))
    drift = ear.attempt(lambda: drift_of(asked))
    tell("choosing what to label next")
    queue = ear.attempt(lambda: queue_of(asked))
    ids = [consensus.least["example"]] + (
        [] if isinstance(queue, Missing) else [queue.batch["example"]]
    )
    votes = rows_of(asked, pl.concat(ids).unique())
    return Facts(
        asked=asked,
        fit=fit,
        checks=checks,
        consensus=consensus,
        agreement=measured,
        groups=groups,
        cells=cells,
        panel=panel,
        without_doubtful=without if isinstance(without, dict) else None,
        shared=shared,
        pairs=pairs,
        drift=drift,
        queue=queue,
        votes=votes,
        reasons=ear.hear(lambda: reasons(fit, consensus.least["example"])),
        fingerprint=fingerprint(asked.rows),
        warnings=ear.warnings,
    )


CHOSEN = {
    "first": "Of each the first is used.",
    "last": "Of each the last is used.",
    "all": "Each row counts.",
}
"""What is done with duplicates, where that is said."""


def checks_of(asked: Asked) -> pl.DataFrame:
    """What `check_annotations` finds; it is no error that duplicates are there if it is said what of them."""
    names = {**{name: name for name in LOG_COLUMNS}, **asked.names}
    found = [
        replace(finding, severity="note", advice=(CHOSEN[asked.duplicates],))
        if finding.what == DUPLICATES and asked.duplicates in CHOSEN
        else finding
        for finding in findings_of(open_rows(asked.log), asked.classes)
    ]
    return as_frame(errors_first(found), asked.words, names)


def probs_for_fit(asked: Asked) -> Any:
    """The models of a log, or whether those of a store are there."""
    if isinstance(asked.log, Partitioned):
        return True if asked.log.n_models else None
    return asked.pred_probs
