"""ActiveLab for multi-label data: the score of every class as a yes-or-no problem, averaged over the classes.

The formulas are those of `activelab` with K = 2, the weights those of `multilabel`, every class with its own:

    score[e,k] = ( trust[e,k] quality[e,k] + w'[k] / 2 ) / ( trust[e,k] + w'[k] )
    score[e]   = mean_k score[e,k]
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from polars_crowd.active.ballots import cast_votes, score, scored
from polars_crowd.arrays import Flags, Floats
from polars_crowd.consensus.one_vs_rest.calibration import tempered
from polars_crowd.consensus.one_vs_rest.model import (
    ClassWeights,
    Sets,
    SetTies,
    break_ties,
    count_overlap,
    majority,
    tops,
    total_weight,
)
from polars_crowd.consensus.one_vs_rest.result import SetConsensus, fit_rounds
from polars_crowd.inputs.label_sets import set_texts
from polars_crowd.rounds import unlabelled
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.classes import Runs


@dataclass(frozen=True)
class SetTrust:
    """What the score of an example needs of all the others."""

    weights: ClassWeights
    temperatures: Floats
    """(P, K)."""
    consensus: SetConsensus | None = None
    """None where no example has two annotations."""
    ballots: SetTies | None = None
    """What breaks the ties of several models' votes."""

    @property
    def mean_weight(self) -> Floats:
        """w'[k]."""
        mean: Floats = self.weights.annotators.mean(axis=0)
        return mean


def score_annotated(part: Partition, trust: SetTrust) -> Floats:
    """The scores of a partition's annotated examples."""
    sets = Sets.of(part)
    if trust.consensus is None:
        quality = quality_of_labels(sets)
        total = total_weight(sets, trust.weights) + trust.weights.models.sum(axis=0)
    else:
        q = trust.consensus.posterior(part)
        quality, total = q.at(trust.consensus.choice.flags(part)), q.total
    scores: Floats = score(quality, total, trust.mean_weight, 2).mean(axis=1)
    return scores


def quality_of_labels(sets: Sets) -> Floats:
    """The models' mean probability of what the only annotation of each example says of each class."""
    models = sets.run.models
    yes, no = sum(models, np.zeros(())), sum((1 - p for p in models), np.zeros(()))
    return np.where(sets.chosen > 0, yes, no) / len(models)


def score_unlabelled(part: Partition, trust: SetTrust) -> Floats:
    """The scores of a partition's unlabelled examples."""
    weights, answer = trust.weights, voted(part, trust.ballots)
    models = zip(weights.models, part.runs.models, strict=True)
    quality = sum((w * np.where(answer, p, 1 - p) for w, p in models), np.zeros(answer.shape))
    total = weights.models.sum(axis=0)
    scores: Floats = score(quality / total, total, trust.mean_weight, 2).mean(axis=1)
    return scores


def voted(part: Partition, ties: SetTies | None) -> Flags:
    """What the models vote for, class by class."""
    if ties is None or part.runs.examples.is_empty():
        return tops(part.runs)[0]
    return majority(part, ties)


def ballots(run: Runs, temperatures: Floats) -> Runs:
    """Unlabelled examples with their models tempered; of several, each is an annotator that chose the classes
    it finds more probable than not."""
    run = tempered(run, temperatures)
    if len(run.models) == 1 or run.examples.is_empty():
        return run
    chosen, label = np.unique(np.concatenate(tops(run)), axis=0, return_inverse=True)
    return cast_votes(run, label.ravel(), set_texts(chosen, run.book.names))


# --- rounds ----------------------------------------------------------------------------------------


def count_multi(part: Partition) -> Summary:
    """Summary: how many examples are annotated more than once."""
    return {(): pl.DataFrame({"multi": [part.runs.on_multi.sum()]})}


def trust_in(rounds: Rounds) -> tuple[Rounds, SetTrust]:
    """The rounds, with the models calibrated where that can be, and what the scores need of them."""
    P, K = rounds.n_models, len(rounds.book.names)
    if not rounds.handles or not rounds.run(count_multi)[()]["multi"].item():
        ones = np.ones((max(len(rounds.book.annotators), 1), K))
        equal = ClassWeights(np.zeros(K), ones, np.ones((P, K)))
        return rounds, with_ballots(rounds, SetTrust(equal, np.ones((P, K))))
    rounds, fitted = fit_rounds(rounds, calibrated=True)
    weights, temperatures = fitted.consensus.weights, fitted.temperatures
    assert weights is not None
    assert temperatures is not None
    return rounds, with_ballots(rounds, SetTrust(weights, temperatures, fitted.consensus))


def with_ballots(rounds: Rounds, trust: SetTrust) -> SetTrust:
    """... and what breaks the ties of several models' votes on the unlabelled examples."""
    if rounds.n_models == 1:
        return trust
    voting = unlabelled.of_rounds(rounds, ballots, trust.temperatures)
    models = pl.Series("annotator", range(rounds.n_models))
    voting = replace(voting, book=replace(rounds.book, annotators=models))
    return replace(trust, ballots=break_ties(voting, voting.run(count_overlap)))


def score_table(part: Partition, trust: SetTrust) -> pl.DataFrame:
    """The scores of a partition's examples, by example."""
    beside = unlabelled.of_partition(part, ballots, trust.temperatures)
    return scored(
        part, beside, lambda: score_annotated(part, trust), lambda: score_unlabelled(beside, trust)
    )


def scores_of(rounds: Rounds) -> pl.LazyFrame:
    """ActiveLab of label sets in rounds."""
    rounds, trust = trust_in(rounds)
    return unlabelled.with_idle(rounds).tables({"scores": score_table}, trust)["scores"]
