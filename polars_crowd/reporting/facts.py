"""What a report is made from: every number of it, computed once, the log's tables gone through in batches.

Of a store nothing of the log's size is held: the consensus of the examples is a pass that keeps counts and
the few rows that are shown. So one of any size is reported on by its summaries; any other log is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import polars as pl

from polars_crowd.active.batches import next_batch
from polars_crowd.active.scores import activelab
from polars_crowd.active.votes import vote_scores
from polars_crowd.annotators.drift import AnnotatorDrift, annotator_drift
from polars_crowd.annotators.habits import SECONDS, TIME
from polars_crowd.annotators.overlap import Overlap, overlap
from polars_crowd.annotators.pairs import annotator_pairs
from polars_crowd.annotators.report import AnnotatorReport, annotator_report
from polars_crowd.errors import (
    Advised,
    AnnotationError,
    AnnotationWarning,
    OptionError,
    Words,
    heard,
    missing_column,
)
from polars_crowd.inputs import blame
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.inputs.findings import DUPLICATES, as_frame, errors_first, findings_of
from polars_crowd.inputs.log import LOG_COLUMNS, open_rows, scan_annotations
from polars_crowd.inputs.order import written_time
from polars_crowd.inputs.pred_probs import open_models
from polars_crowd.inputs.suspicions import DECLARE
from polars_crowd.reliability.coefficients import agreement
from polars_crowd.reliability.coincidences import disagreements
from polars_crowd.reliability.grouping import parse_grouping
from polars_crowd.reporting.charts.tables import bin_of
from polars_crowd.reporting.consensus import Accuracy, Consensus, from_to, judged_by, summed
from polars_crowd.reporting.fingerprint import fingerprint
from polars_crowd.reporting.why import reasons
from polars_crowd.rounds.partitions import Partitioned
from polars_crowd.truth.classification.blend import Blend, blend

T = TypeVar("T")

ALPHA = "krippendorff_alpha"
HEADLINES = (ALPHA, "gwet_ac1", "percent_agreement")
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

    names: Mapping[str, str]
    warnings: list[str] = field(default_factory=list)

    def hear(self, compute: Callable[[], T]) -> T:
        """What it computes; warnings go into the report."""
        with heard() as said:
            found = compute()
        texts = [
            warning.what(self.names) for warning in said if isinstance(warning, AnnotationWarning)
        ]
        self.warnings += [text for text in texts if text not in self.warnings]
        return found

    def attempt(self, compute: Callable[[], T]) -> T | Missing:
        """... or why that cannot be computed of this log."""
        try:
            return self.hear(compute)
        except Advised as error:
            return Missing(error.what(self.names))


def opened(asked: Asked) -> Asked:
    """What is asked of the rows of a log and of its models: a stream can be read once only. A store stays
    where it is."""
    if isinstance(asked.log, Partitioned):
        return asked
    return replace(asked, log=open_rows(asked.log), pred_probs=opened_models(asked))


def opened_models(asked: Asked) -> Any:
    """The model beside a log, or a list of several."""
    given = asked.pred_probs
    if given is None:
        return None
    models = open_models(given, asked.classes)
    return models if isinstance(given, (list, tuple)) else models[0]


def check_log(asked: Asked) -> None:
    """That labels are classes, and that there is the text that is to be shown, besides these."""
    schema = asked.rows.collect_schema()
    if schema["label"].is_float() and asked.classes is None:
        raise AnnotationError("holds numbers; a report is of classes.", DECLARE, source="the log")
    if asked.text in LOG_COLUMNS:
        wrong = f"that is the log's column {asked.text}; name one that has what an example says."
        raise OptionError("text", asked.text, wrong)
    if asked.text is not None and asked.text not in schema:
        raise missing_column("the log", asked.text, list(schema))


def held(asked: Asked) -> Asked:
    """What is asked of a log in memory, with the columns that are looked at: a file is read once, not by each
    of the functions. A store stays where it is."""
    if isinstance(asked.log, Partitioned):
        return asked
    rows: pl.LazyFrame = asked.log
    there = list(rows.collect_schema())
    groups = parse_grouping(asked.by, [c for c in there if c not in LOG_COLUMNS])
    wanted = {*LOG_COLUMNS, *groups.columns, asked.text, TIME, SECONDS}
    with blame.reading(rows):
        return replace(asked, log=rows.select(c for c in there if c in wanted).collect())


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
    rows = asked.rows
    if TIME not in rows.collect_schema() or written_time(rows, TIME) is None:
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
        return from_to(self.cells, "score")


def queue_of(asked: Asked) -> Queue:
    """One pass over the scores of all examples, annotated or not."""
    has_model = probs_for_fit(asked) is not None
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
    ear = Listener(asked.names)
    tell("looking for what is wrong with the log")
    asked = ear.hear(lambda: opened(asked))
    check_log(asked)
    asked = ear.hear(lambda: held(asked))
    checks = ear.hear(lambda: checks_of(asked))
    tell("finding the consensus")
    fit = ear.hear(lambda: blend(asked.log, probs_for_fit(asked), **asked.options))
    consensus = ear.hear(lambda: judged_by(fit, asked.truth, asked.size))
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
    found = [
        replace(finding, severity="note", advice=(CHOSEN[asked.duplicates],))
        if finding.what == DUPLICATES and asked.duplicates in CHOSEN
        else finding
        for finding in findings_of(open_rows(asked.log), asked.classes)
    ]
    return as_frame(errors_first(found), asked.words, asked.names)


def probs_for_fit(asked: Asked) -> Any:
    """The models of a log, or whether those of a store are there."""
    if isinstance(asked.log, Partitioned):
        return True if asked.log.n_models else None
    return asked.pred_probs
