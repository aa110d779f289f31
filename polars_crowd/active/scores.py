"""ActiveLab: which example to label next, whether it has labels already or none.

Goh and Mueller (2023), "ActiveLab: Active learning with re-labeling by multiple annotators", arXiv
2301.11856; in the form of cleanlab 2.9, whose numbers this equals to 1e-9.

Letters as in CROWDLAB (`help(polars_crowd.crowdlab)`): example e, annotator a of M, class k of K; p_m[e,k]
the calibrated probability of model m, w_m its weight; w[a] the weight of an annotator, W[e] its sum over
those who labelled e; Q[e] the consensus quality.

The score of an example is its quality, as if one more annotator of mean weight w' = 1/M sum_a w[a] had
chosen a class at random:

    score[e] = ( trust[e] quality[e] + w' / K ) / ( trust[e] + w' )

    annotated    trust = W[e] + sum_m w_m,   quality = Q[e]
    unlabelled   trust = sum_m w_m,          quality = sum_m w_m p_m[e,y] / sum_m w_m

with y the class that the models vote for: of one model the most probable one, of several the majority
vote of their most probable classes, ties broken as for annotators. The fewer labels an example has, and
the less they and the models agree, the lower its score: both kinds are on one scale.

The probabilities are calibrated to the annotators' spread of labels first. Where every annotated example
has one label there is nothing to compare: nothing is calibrated, all weights are 1, and Q[e] is the models'
mean probability of that label. Where nothing is labelled, all weights are 1 too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.active import one_vs_rest
from polars_crowd.active.ballots import cast_votes, score, scored
from polars_crowd.arrays import Codes, Floats
from polars_crowd.consensus.calibration import calibrate, tempered
from polars_crowd.consensus.majority_vote import TieBreaks, break_ties, count_ties, majority_labels
from polars_crowd.consensus.model import (
    Consensus,
    Options,
    Weights,
    consensus_by_method,
    count_overlap,
    posterior,
)
from polars_crowd.errors import AnnotationError
from polars_crowd.inputs import checks
from polars_crowd.inputs.label_sets import open_independent, scan_label_sets
from polars_crowd.inputs.log import scan_annotations
from polars_crowd.inputs.pred_probs import open_models, read_unlabelled
from polars_crowd.numerics import mixture
from polars_crowd.rounds import unlabelled
from polars_crowd.rounds.directory import ResultDirectory
from polars_crowd.rounds.opening import open_label_sets, open_rounds
from polars_crowd.rounds.partitions import InMemory, Partition, Partitioned
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.classes import Runs
from polars_crowd.runs.codes import Codebook, resolve_classes

BEST_QUALITY = Options(("best_quality",), "crowdlab", "self_confidence", False)

# --- scores ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trust:
    """What the score of an example needs of all the others."""

    weights: Weights
    """w[a] and w_m."""
    temperatures: tuple[float, ...]
    consensus: Consensus | None = None
    """None where no example has two labels."""
    ballots: TieBreaks = field(default_factory=TieBreaks)
    """What breaks the ties of the models' vote."""


def score_annotated(part: Partition, trust: Trust) -> Floats:
    """The scores of a partition's annotated examples."""
    run, weights = part.runs, trust.weights
    if trust.consensus is None:
        quality, total = quality_of_labels(run), posterior(run, weights).normaliser
    else:
        q = trust.consensus.posterior.of(part)
        quality = q.at(trust.consensus.choice.labels(part).to_numpy())
        total = q.normaliser
    return score(quality, total, weights.annotators.mean(), run.n_classes)


def quality_of_labels(run: Runs) -> Floats:
    """Q[e] where each example has one label: the models' mean probability of it."""
    example, label = (run.votes[c].to_numpy() for c in ("example", "label"))
    return mixture.at_votes(run.models, example, label)


def score_unlabelled(part: Partition, trust: Trust) -> Floats:
    """The scores of a partition's unlabelled examples."""
    run, weights = part.runs, trust.weights
    label = voted_classes(part, trust.ballots)
    e = np.arange(len(label))
    models = zip(weights.models, run.models, strict=True)
    quality = sum((w * p[e, label] for w, p in models), np.zeros(len(label)))
    total = weights.models.sum()
    return score(quality / total, total, weights.annotators.mean(), run.n_classes)


# --- the models' vote ------------------------------------------------------------------------------


def voted_classes(part: Partition, ties: TieBreaks) -> Codes:
    """The class that the models vote for, of each example of a partition of ballots."""
    run = part.runs
    if len(run.models) == 1 or run.examples.is_empty():
        return mixture.top_class(run.models[0])
    return majority_labels(part, ties).to_numpy()


def ballots(run: Runs, temperatures: tuple[float, ...]) -> Runs:
    """Unlabelled examples with their models tempered; of several, each is an annotator that chose its most
    probable class."""
    run = tempered(run, temperatures)
    if len(run.models) == 1 or run.examples.is_empty():
        return run
    return cast_votes(run, np.concatenate(run.top_classes), run.book.classes)


# --- rounds ----------------------------------------------------------------------------------------


def count_multi(part: Partition) -> Summary:
    """Summary: how many examples are annotated more than once."""
    return {(): pl.DataFrame({"multi": [part.runs.on_multi.sum()]})}


def trust_in(rounds: Rounds) -> tuple[Rounds, Trust]:
    """The rounds, with the models calibrated where that can be, and what the scores need of them."""
    if not rounds.handles or not rounds.run(count_multi)[()]["multi"].item():
        equal = Weights(
            0.0, 0.0, np.ones(max(len(rounds.book.annotators), 1)), np.ones(rounds.n_models)
        )
        return rounds, with_ballots(rounds, Trust(equal, (1.0,) * rounds.n_models))
    rounds, temperatures = calibrate(rounds)
    counts = rounds.run(count_overlap)
    consensus = consensus_by_method(rounds, counts, BEST_QUALITY)["best_quality"]
    assert consensus.weights is not None
    return rounds, with_ballots(rounds, Trust(consensus.weights, temperatures, consensus))


def with_ballots(rounds: Rounds, trust: Trust) -> Trust:
    """... and what breaks the ties of several models' votes on the unlabelled examples."""
    if rounds.n_models == 1:
        return trust
    voting = unlabelled.of_rounds(rounds, ballots, trust.temperatures)
    return replace(trust, ballots=break_ties(voting, voting.run(count_ties)))


def score_table(part: Partition, trust: Trust) -> pl.DataFrame:
    """The scores of a partition's examples, by example."""
    beside = unlabelled.of_partition(part, ballots, trust.temperatures)
    return scored(
        part, beside, lambda: score_annotated(part, trust), lambda: score_unlabelled(beside, trust)
    )


# --- the method ------------------------------------------------------------------------------------


def activelab(
    log: Any,
    pred_probs: Any = None,
    *,
    classes: Sequence[Any] | None = None,
    duplicates: checks.Duplicates = "error",
    into: str | Path | None = None,
    executor: Any = None,
    progress: bool = False,
    multi_label: bool = False,
) -> pl.LazyFrame:
    """How well every example is labelled, by ActiveLab: label those of the lowest scores next.

    See the formulas at the head of the module (`polars_crowd/activelab.py`).

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, with columns `example, annotator, label`; or
        an `AnnotationStore`. None, or a log without annotations, if nothing is labelled yet.
    pred_probs
        A model's out-of-sample probabilities of all examples, annotated or not: whatever
        `scan_pred_probs` takes; a list is an ensemble of models. An example of pred_probs that has no
        annotation is an unlabelled one. A store holds them itself.
    classes
        The classes in order; by default the Enum's order if the label is one, else that of the columns
        of pred_probs. Needed to say what an Array column of pred_probs means.
    duplicates
        What to do where an annotator labelled an example more than once: `"error"`, or keep the
        `"first"` or `"last"` row, or count `"all"`.
    into
        A directory for the result: `scores/`, a Parquet file per partition, written whole.
    executor
        For a store: any `concurrent.futures.Executor` whose workers can read the store's files.
    progress
        Whether to show partitions done, rate and time left on stderr (needs the extra `cli`).
    multi_label
        Whether labels are sets of classes, as for `crowdlab`; the score is the mean over the classes.

    Returns
    -------
    LazyFrame
        `example`; `num_annotations`, 0 for an unlabelled example; `active_learning_score` in [0, 1], lower
        = more worth labelling, annotated and unlabelled examples on one scale. One row per example, sorted
        by example (in a store within each partition). The weights are computed now, the scores when it is
        collected.

    Raises
    ------
    AnnotationError
        The log or the pred_probs cannot be used: see `crowdlab`. That every example has one annotation is
        no error here.
    ValueError
        An option has an unknown value.

    Agrees with
    -----------
    cleanlab 2.9 (`get_active_learning_scores` and its ensemble form), to 1e-9. cleanlab counts the labels
    of an example on the wrong classes when it calibrates (see `help(polars_crowd.compat.cleanlab)`); where
    that matters, `polars_crowd.compat.cleanlab` has its numbers.

    Examples
    --------
    >>> import polars as pl
    >>> log = pl.DataFrame({
    ...     "example": ["e1", "e1", "e2", "e2", "e3", "e3"],
    ...     "annotator": ["a", "b", "a", "c", "b", "c"],
    ...     "label": ["cat", "cat", "dog", "cat", "dog", "dog"],
    ... })
    >>> probs = pl.DataFrame({
    ...     "example": ["e1", "e2", "e3", "e4", "e5"],
    ...     "cat": [0.9, 0.4, 0.2, 0.55, 0.05],
    ...     "dog": [0.1, 0.6, 0.8, 0.45, 0.95],
    ... })
    >>> activelab(log, probs).sort("active_learning_score").collect()
    shape: (5, 3)
    ┌─────────┬─────────────────┬───────────────────────┐
    │ example ┆ num_annotations ┆ active_learning_score │
    │ ---     ┆ ---             ┆ ---                   │
    │ str     ┆ u32             ┆ f64                   │
    ╞═════════╪═════════════════╪═══════════════════════╡
    │ e4      ┆ 0               ┆ 0.580124              │
    │ e2      ┆ 2               ┆ 0.655626              │
    │ e3      ┆ 2               ┆ 0.848402              │
    │ e1      ┆ 2               ┆ 0.872402              │
    │ e5      ┆ 0               ┆ 0.902393              │
    └─────────┴─────────────────┴───────────────────────┘
    """
    rounds = open_scoring(
        log,
        pred_probs,
        multi_label,
        classes=classes,
        duplicates=duplicates,
        into=into,
        executor=executor,
        progress=progress,
    )
    return one_vs_rest.scores_of(rounds) if multi_label else scores_of(rounds)


def scores_of(rounds: Rounds) -> pl.LazyFrame:
    """ActiveLab in rounds."""
    rounds, trust = trust_in(rounds)
    return unlabelled.with_idle(rounds).tables({"scores": score_table}, trust)["scores"]


def open_scoring(log: Any, pred_probs: Any, multi_label: bool, **options: Any) -> Rounds:
    """The rounds of a log, or of pred_probs alone where nothing is labelled."""
    if not isinstance(log, Partitioned) and pred_probs is None:
        raise AnnotationError(
            "ActiveLab needs a model's pred_probs: their examples are what it ranks. "
            "pc.activelab(log, pred_probs)."
        )
    if not isinstance(log, Partitioned) and is_empty(log, multi_label):
        return nothing_labelled(log, pred_probs, multi_label, **options)
    if multi_label:
        rounds, _ = open_label_sets(log, pred_probs, **options)
    else:
        rounds = open_rounds(log, pred_probs, **options)
    if not rounds.n_models:
        raise AnnotationError(
            "the store has no pred_probs, which ActiveLab needs: their examples are what it ranks. "
            "Add them: pc.AnnotationStore.create(path, log, pred_probs)."
        )
    return rounds


def is_empty(log: Any, multi_label: bool) -> bool:
    """Whether there is no annotation."""
    if log is None:
        return True
    rows = scan_label_sets(log).log if multi_label else scan_annotations(log)
    return rows.head(1).collect().is_empty()


def nothing_labelled(
    log: Any,
    pred_probs: Any,
    multi_label: bool,
    *,
    classes: Sequence[Any] | None,
    into: str | Path | None,
    executor: Any,
    progress: bool,
    **_: Any,
) -> Rounds:
    """The rounds of the examples of pred_probs, none of them annotated."""
    if executor is not None:
        raise ValueError("executor= needs a log in partitions: an AnnotationStore.")
    open_ = open_independent if multi_label else open_models
    models = open_(pred_probs, classes)
    label: pl.DataType = pl.String()
    if log is not None and not multi_label:
        label = scan_annotations(log).collect_schema()["label"]
    values, names = resolve_classes(label, models[0].names, classes)
    none = pl.Series("example", [], models[0].frame.collect_schema()["example"])
    handle = InMemory(None, read_unlabelled=lambda: read_unlabelled(models, none, names))
    return Rounds(
        handles=[],
        book=Codebook(values, names, pl.Series("annotator", [], pl.String)),
        n_models=len(models),
        is_ensemble=isinstance(pred_probs, (list, tuple)),
        progress=progress,
        into=ResultDirectory.open(into) if into is not None else None,
        idle=[handle],
    )
