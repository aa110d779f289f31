"""ActiveLab for sets of classes: the score of every class as a yes-or-no problem, averaged over the classes.

The formulas are those of `active.scores` with K = 2, the weights those of `consensus.one_vs_rest.model`, each
class with its own:

    score[e,k] = ( trust[e,k] quality[e,k] + w'[k] / 2 ) / ( trust[e,k] + w'[k] )
    score[e]   = mean_k score[e,k]
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
import polars as pl

from polars_crowd.active.ballots import Door, Trust, cast_votes, open_scoring, score, scores_of
from polars_crowd.arrays import Flags, Floats
from polars_crowd.consensus.model import Weights
from polars_crowd.consensus.one_vs_rest import model
from polars_crowd.consensus.one_vs_rest.calibration import calibrate, tempered
from polars_crowd.consensus.one_vs_rest.crowdlab import consensus_of
from polars_crowd.inputs.label_sets import LabelSets, open_independent, open_label_sets, set_texts
from polars_crowd.rounds.opening import Opening, OpenOptions
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.runs.classes import Runs
from polars_crowd.signatures import shares


@dataclass(frozen=True)
class SetTrust(Trust):
    """What the score of an example needs of all the others."""

    method = "ActiveLab of sets of classes"

    weights: Weights[Floats]
    temperatures: Floats
    """(P, K)."""
    consensus: model.SetConsensus | None = None
    """None where no example has two annotations."""
    ties: model.SetTies | None = None
    """What breaks the ties of several models' votes."""

    @classmethod
    def equal(cls, rounds: Rounds) -> SetTrust:
        M, P, K = max(len(rounds.book.annotators), 1), rounds.n_models, len(rounds.book.names)
        weights = Weights(np.zeros(K), np.zeros(K), np.ones((M, K)), np.ones((P, K)))
        return cls(weights, np.ones((P, K)))

    @classmethod
    def weighed(cls, rounds: Rounds) -> tuple[Rounds, SetTrust]:
        rounds, temperatures = calibrate(rounds)
        consensus = consensus_of(rounds, rounds.run(model.count_overlap), "best_quality")
        assert consensus.posterior.weights is not None
        return rounds, cls(consensus.posterior.weights, temperatures, consensus)

    @staticmethod
    def ballots(run: Runs, temperatures: Floats) -> Runs:
        """Unlabelled examples with their models tempered; of several, each is an annotator that chose the
        classes it finds more probable than not."""
        run = tempered(run, temperatures)
        if len(run.models) == 1 or run.examples.is_empty():
            return run
        chosen, label = np.unique(np.concatenate(model.tops(run)), axis=0, return_inverse=True)
        return cast_votes(run, label.ravel(), set_texts(chosen, run.book.names))

    def with_ties_of(self, voting: Rounds) -> SetTrust:
        models = pl.Series("annotator", range(voting.n_models))
        voting = replace(voting, book=replace(voting.book, annotators=models))
        return replace(self, ties=model.break_ties(voting, voting.run(model.count_overlap)))

    def score_annotated(self, part: Partition) -> Floats:
        sets, weights = model.Sets.of(part), self.weights
        if self.consensus is None:
            quality = quality_of_labels(sets)
            total = model.total_weight(sets, weights) + weights.models.sum(axis=0)
        else:
            q = self.consensus.posterior.of(part)
            quality, total = q.at(self.consensus.choice.flags(part)), q.total
        return np.asarray(score(quality, total, weights.mean_annotator, 2).mean(axis=1))

    def score_unlabelled(self, part: Partition) -> Floats:
        weights, answer = self.weights, voted(part, self.ties)
        models = zip(weights.models, part.runs.models, strict=True)
        quality = sum((w * np.where(answer, p, 1 - p) for w, p in models), np.zeros(answer.shape))
        total = weights.models.sum(axis=0)
        return np.asarray(score(quality / total, total, weights.mean_annotator, 2).mean(axis=1))


def quality_of_labels(sets: model.Sets) -> Floats:
    """The models' mean probability of what the only annotation of each example says of each class."""
    models = sets.run.models
    yes, no = sum(models, np.zeros(())), sum((1 - p for p in models), np.zeros(()))
    return np.where(sets.chosen > 0, yes, no) / len(models)


def voted(part: Partition, ties: model.SetTies | None) -> Flags:
    """What the models vote for, class by class."""
    if ties is None or part.runs.examples.is_empty():
        return model.tops(part.runs)[0]
    return model.majority(part, ties)


@shares(OpenOptions, Opening)
def multilabel_activelab(
    log: Any, pred_probs: Any = None, **options: Unpack[OpenOptions]
) -> pl.LazyFrame:
    """How well every example is labelled with sets of classes, by ActiveLab: label the lowest scores next.

    Every class is a problem of its own, chosen or not, and the score is the mean over the classes. See the
    formulas in `polars_crowd/active/one_vs_rest.py`.

    Parameters
    ----------
    log
        The annotations, whose labels are sets of classes: whatever `multilabel_crowdlab` takes. None, or a
        log without annotations, if nothing is labelled yet.
    pred_probs
        A model's out-of-sample probabilities of all examples, annotated or not, one independent of the others
        for each class; a list is an ensemble of models. A store holds them itself.
    classes
        The classes in order; by default that of the columns of pred_probs.
    into
        A directory for the result: `scores/`, a Parquet file per partition, written whole.

    Returns
    -------
    LazyFrame
        `example, num_annotations, active_learning_score`, as of `activelab`.

    Raises
    ------
    AnnotationError
        The log or the pred_probs cannot be used: see `multilabel_crowdlab`.
    ValueError
        An option has an unknown value, or no effect on this call.

    Examples
    --------
    >>> import polars as pl
    >>> log = pl.DataFrame({
    ...     "example": ["e1", "e1", "e2", "e2", "e3"],
    ...     "annotator": ["a", "b", "a", "b", "a"],
    ...     "label": [["cat", "dog"], ["cat"], [], ["dog"], ["dog"]],
    ... })
    >>> columns = {"cat": [0.9, 0.1, 0.2, 0.5], "dog": [0.6, 0.3, 0.9, 0.6]}
    >>> probs = pl.DataFrame({"example": ["e1", "e2", "e3", "e4"], **columns})
    >>> multilabel_activelab(log, probs).sort("active_learning_score").collect()["example"].to_list()
    ['e4', 'e1', 'e2', 'e3']
    """
    return scores_of(open_scoring(SETS, log, pred_probs, Opening(**options)), SetTrust)


def _scan(log: Any) -> tuple[LabelSets, pl.LazyFrame, pl.DataType]:
    sets = open_label_sets(log)
    return sets, sets.log, pl.String()


def _open(opening: Opening, log: Any, pred_probs: Any) -> Rounds:
    return opening.open_sets(log, pred_probs)[0]


SETS = Door(_scan, open_independent, _open)
