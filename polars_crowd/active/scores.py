"""ActiveLab: which example to label next, whether it has labels already or none.

Goh and Mueller (2023), "ActiveLab: Active learning with re-labeling by multiple annotators", arXiv
2301.11856; in the form of cleanlab 2.9, whose numbers this equals to 1e-9.

Letters as in CROWDLAB (`consensus.model`): example e, annotator a of M, class k of K; p_m[e,k]
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

from dataclasses import dataclass, field, replace
from typing import Any, Unpack

import numpy as np
import polars as pl

from polars_crowd.active.ballots import Door, Trust, cast_votes, open_scoring, score, scores_of
from polars_crowd.arrays import Codes, Floats
from polars_crowd.consensus.calibration import calibrate, tempered
from polars_crowd.consensus.crowdlab import consensus_by_method
from polars_crowd.consensus.majority_vote import TieBreaks, break_ties, count_ties, majority_labels
from polars_crowd.consensus.model import LabelConsensus, Options, Weights, count_overlap, posterior
from polars_crowd.inputs.log import scan_annotations
from polars_crowd.inputs.pred_probs import open_models
from polars_crowd.numerics import mixture
from polars_crowd.rounds.opening import Opening, OpenOptions
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.runs.classes import Runs
from polars_crowd.signatures import shares

BEST_QUALITY = Options(("best_quality",), "crowdlab", "self_confidence", False)


@dataclass(frozen=True)
class LabelTrust(Trust):
    """What the score of an example needs of all the others."""

    method = "ActiveLab"

    weights: Weights[float]
    """w[a] and w_m."""
    temperatures: tuple[float, ...]
    consensus: LabelConsensus | None = None
    """None where no example has two labels."""
    ties: TieBreaks = field(default_factory=TieBreaks)
    """What breaks the ties of the models' vote."""

    @classmethod
    def equal(cls, rounds: Rounds) -> LabelTrust:
        M, P = max(len(rounds.book.annotators), 1), rounds.n_models
        return cls(Weights(0.0, 0.0, np.ones(M), np.ones(P)), (1.0,) * P)

    @classmethod
    def weighed(cls, rounds: Rounds) -> tuple[Rounds, LabelTrust]:
        rounds, temperatures = calibrate(rounds)
        counts = rounds.run(count_overlap)
        consensus = consensus_by_method(rounds, counts, BEST_QUALITY)["best_quality"]
        assert consensus.posterior.weights is not None
        return rounds, cls(consensus.posterior.weights, temperatures, consensus)

    @staticmethod
    def ballots(run: Runs, temperatures: tuple[float, ...]) -> Runs:
        """Unlabelled examples with their models tempered; of several, each is an annotator that chose its
        most probable class."""
        run = tempered(run, temperatures)
        if len(run.models) == 1 or run.examples.is_empty():
            return run
        return cast_votes(run, np.concatenate(run.top_classes), run.book.classes)

    def with_ties_of(self, voting: Rounds) -> LabelTrust:
        return replace(self, ties=break_ties(voting, voting.run(count_ties)))

    def score_annotated(self, part: Partition) -> Floats:
        run, weights = part.runs, self.weights
        if self.consensus is None:
            quality, total = quality_of_labels(run), posterior(part, weights).normaliser
        else:
            q = self.consensus.posterior.of(part)
            quality = q.at(self.consensus.choice.labels(part).to_numpy())
            total = q.normaliser
        return score(quality, total, weights.mean_annotator, run.n_classes)

    def score_unlabelled(self, part: Partition) -> Floats:
        run, weights = part.runs, self.weights
        label = voted_classes(part, self.ties)
        e = np.arange(len(label))
        models = mixture.weighted(weights.models, run.models)
        quality = sum((w * p[e, label] for w, p in models), np.zeros(len(label)))
        total = weights.models.sum()
        return score(quality / total, total, weights.mean_annotator, run.n_classes)


def quality_of_labels(run: Runs) -> Floats:
    """Q[e] where each example has one label: the models' mean probability of it."""
    example, label = (run.votes[c].to_numpy() for c in ("example", "label"))
    return mixture.at_votes(run.models, example, label)


def voted_classes(part: Partition, ties: TieBreaks) -> Codes:
    """The class that the models vote for, of each example of a partition of ballots."""
    run = part.runs
    if len(run.models) == 1 or run.examples.is_empty():
        return mixture.top_class(run.models[0])
    return majority_labels(part, ties).to_numpy()


@shares(OpenOptions, Opening)
def activelab(log: Any, pred_probs: Any = None, **options: Unpack[OpenOptions]) -> pl.LazyFrame:
    """How well every example is labelled, by ActiveLab: label those of the lowest scores next.

    See the formulas in `polars_crowd/active/scores.py`. For labels that are sets of classes there is
    `multilabel_activelab`.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, with columns `example, annotator, label`; or
        an `AnnotationStore`. None, or a log without annotations, if nothing is labelled yet.
    pred_probs
        A model's out-of-sample probabilities of all examples, annotated or not: whatever
        `scan_pred_probs` takes; a list is an ensemble of models. An example of pred_probs that has no
        annotation is an unlabelled one. A store holds them itself.
    into
        A directory for the result: `scores/`, a Parquet file per partition, written whole.

    Returns
    -------
    LazyFrame
        `example`; `num_annotations`, 0 for an unlabelled example; `active_learning_score` in [0, 1], lower is
        more worth labelling, on one scale. One row per example, sorted by example (in a store within each
        partition). The weights are computed now, the scores when it is collected.

    Raises
    ------
    AnnotationError
        The log or the pred_probs cannot be used: see `crowdlab`. That every example has one annotation is
        no error here.
    ValueError
        An option has an unknown value, or no effect on this call.

    Agrees with
    -----------
    cleanlab 2.9 (`get_active_learning_scores` and its ensemble form), to 1e-9, where cleanlab calibrates to
    labels of the right classes: see `help(polars_crowd.compat.cleanlab)`, which has its numbers.

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
    >>> activelab(log, probs).sort("active_learning_score").head(2).collect().rows()
    [('e4', 0, 0.580...), ('e2', 2, 0.655...)]
    """
    return scores_of(open_scoring(LABELS, log, pred_probs, Opening(**options)), LabelTrust)


def _scan(log: Any) -> tuple[pl.LazyFrame, pl.LazyFrame, pl.DataType]:
    rows = scan_annotations(log)
    return rows, rows, rows.collect_schema()["label"]


LABELS = Door(_scan, open_models, Opening.open)
