"""Labelling campaigns: what a strategy of choosing examples is worth, label for label.

The experiment of Goh and Mueller (2023, arXiv 2301.11856): some examples have a label each; every round a
classifier is fitted to the consensus labels, a strategy chooses a batch of examples, annotated or not, and
each gets one more label of an annotator who has not seen it. All strategies start from the same labels and
use the same model and consensus (CROWDLAB; the label itself while every example has one):

    activelab     the lowest scores of ActiveLab
    random        any examples
    good_random   any of those with the fewest annotations
    entropy       the largest entropy of the model's probabilities
    uncertainty   the smallest largest probability
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.active.batches import next_batch
from polars_crowd.active.scores import activelab
from polars_crowd.arrays import Flags, Floats, Ints
from polars_crowd.consensus.crowdlab import crowdlab
from polars_crowd.consensus.out_of_sample import cross_predicted, fitted, predicted
from polars_crowd.errors import AnnotationWarning, OptionError, counted, shown
from polars_crowd.option_checks import (
    array_of,
    check_count,
    check_estimator,
    check_range,
    integers_of,
)
from polars_crowd.signatures import checked

UNSEEN = -1
"""No label."""


@dataclass(frozen=True)
class State:
    """What a strategy sees: who labelled what (N, M), and the probabilities of all examples (N, K)."""

    labels: Ints
    probs: Floats
    rng: np.random.Generator

    @property
    def log(self) -> pl.DataFrame:
        example, annotator = np.nonzero(self.labels != UNSEEN)
        label = self.labels[example, annotator]
        return pl.DataFrame({"example": example, "annotator": annotator, "label": label})

    @property
    def pred_probs(self) -> pl.DataFrame:
        columns = {str(k): p for k, p in enumerate(self.probs.T)}
        return pl.DataFrame({"example": np.arange(len(self.probs)), **columns})

    @property
    def num_annotations(self) -> Ints:
        return np.asarray((self.labels != UNSEEN).sum(axis=1))


def by_activelab(state: State) -> Floats:
    scores = activelab(state.log, state.pred_probs).sort("example").collect()
    return scores["active_learning_score"].to_numpy()


def at_random(state: State) -> Floats:
    return state.rng.random(len(state.probs))


Strategy = Callable[[State], Floats]
STRATEGIES: dict[str, Strategy] = {
    "activelab": by_activelab,
    "random": at_random,
    "good_random": lambda state: state.num_annotations + at_random(state),
    "entropy": lambda state: (state.probs * np.log(state.probs)).sum(axis=1),
    "uncertainty": lambda state: state.probs.max(axis=1),
}
"""What is labelled first has the lowest value."""


@checked
def simulate_labelling(
    features: NDArray[Any],
    truth: NDArray[Any],
    estimator: Any,
    *,
    strategies: Sequence[str] = tuple(STRATEGIES),
    annotations: NDArray[Any] | None = None,
    n_annotators: int | None = None,
    accuracy: tuple[float, float] | None = None,
    n_labelled: int = 200,
    batch_size: int = 50,
    rounds: int = 10,
    test_share: float = 0.25,
    cv: int = 5,
    seed: int = 0,
) -> pl.DataFrame:
    """A labelling campaign by each strategy, round by round. Needs the extra `sklearn`.

    See the head of `polars_crowd/active/campaign.py` for the experiment and the strategies.

    Parameters
    ----------
    features, truth
        (N, D), and the true classes, integers 0 .. K-1, (N,).
    estimator
        A scikit-learn classifier with `predict_proba`.
    strategies
        Some of `"activelab"`, `"random"`, `"good_random"`, `"entropy"`, `"uncertainty"`.
    annotations
        Held-out annotations, (N, M): what each annotator says of each example, -1 where they cannot be asked.
        By default they are simulated: annotator a is right with probability `q_a`, uniform in `accuracy`, and
        otherwise says any other class.
    n_annotators, accuracy
        Of the simulated annotators: 30 by default, (0.5, 0.9).
    n_labelled
        How many examples have one label at the start, of those that are not for testing.
    batch_size, rounds
        How many examples get one more label each round, and how many rounds.
    test_share
        Share of the examples that are never labelled, on which the model is tested.
    cv
        Folds of the cross-validation, for probabilities out of sample.
    seed
        Of everything random; all strategies start alike.

    Returns
    -------
    DataFrame
        `strategy, round` (0 is the start), `num_annotations`, `num_examples` (annotated ones),
        `consensus_accuracy` (of those), `model_accuracy` (on the test examples): a row per strategy and
        round.

    Raises
    ------
    ValueError
        An unknown strategy; more examples at the start than there are; `n_annotators` or `accuracy` where
        `annotations` are given.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_iris(return_X_y=True)
    >>> curves = simulate_labelling(X, y, GaussianNB(), n_labelled=40, batch_size=10, rounds=2)
    >>> curves.filter(strategy="activelab")["num_annotations"].to_list()
    [40, 50, 60]
    """
    unknown = [name for name in strategies if name not in STRATEGIES]
    if unknown or not len(strategies):
        raise OptionError("strategies", unknown, f"there are {shown(list(STRATEGIES), 9)}.")
    check_estimator(estimator)
    rng = np.random.default_rng(seed)
    X, y = array_of("features", features, 2), integers_of("truth", truth, 1)
    _check_rows("features", X, y)
    if y.min() < 0:
        raise OptionError("truth", ..., "must hold classes, integers from 0.")
    for name, value in (("n_annotators", n_annotators), ("accuracy", accuracy)):
        if annotations is not None and value is not None:
            raise OptionError(name, value, "it is of simulated annotators; annotations= are given.")
    M = 30 if n_annotators is None else n_annotators
    check_count("n_annotators", M, 1)
    check_range("accuracy", accuracy or (0.5, 0.9))
    if annotations is None:
        pool = simulated_answers(y, M, accuracy or (0.5, 0.9), rng)
    else:
        pool = integers_of("annotations", annotations, 2)
        _check_rows("annotations", pool, y)
    order = rng.permutation(len(y))
    n_test = round(len(y) * test_share)
    test, train = order[:n_test], order[n_test:]
    if n_labelled > len(train):
        raise OptionError("n_labelled", n_labelled, f"there are {len(train)} examples to label.")
    campaign = Campaign(X[train], y[train], pool[train], X[test], y[test], estimator, cv, seed)
    start = campaign.first_labels(n_labelled, rng)
    rows = [
        {"strategy": name, **row}
        for name in strategies
        for row in campaign.run(STRATEGIES[name], start, batch_size, rounds)
    ]
    return pl.DataFrame(rows)


def _check_rows(name: str, values: NDArray[Any], truth: Ints) -> None:
    """A row for each example."""
    if len(values) != len(truth):
        wrong = f"has {counted(len(values), 'row')}, and truth {counted(len(truth), 'example')}."
        raise OptionError(name, ..., wrong)


def simulated_answers(
    truth: Ints, n_annotators: int, accuracy: tuple[float, float], rng: np.random.Generator
) -> Ints:
    """What each annotator would say of each example, (N, M)."""
    K = int(truth.max()) + 1
    shape = (len(truth), n_annotators)
    right = rng.random(shape) < rng.uniform(*accuracy, n_annotators)
    other = (truth[:, None] + rng.integers(1, K, shape)) % K
    return np.where(right, truth[:, None], other)


@dataclass(frozen=True)
class Campaign:
    """What all strategies of a campaign have in common."""

    X: Floats
    truth: Ints
    pool: Ints
    X_test: Floats
    truth_test: Ints
    estimator: Any
    cv: int
    seed: int

    def first_labels(self, n: int, rng: np.random.Generator) -> Ints:
        """One label for each of n examples."""
        labels = np.full(self.pool.shape, UNSEEN)
        return self.asked(labels, rng.permutation(len(self.truth))[:n], rng)

    def asked(self, labels: Ints, examples: Ints, rng: np.random.Generator) -> Ints:
        """The labels, with one more for each of these examples that somebody can still be asked about."""
        labels = labels.copy()
        for e in examples:
            left = np.flatnonzero((labels[e] == UNSEEN) & (self.pool[e] != UNSEEN))
            if len(left):
                a = rng.choice(left)
                labels[e, a] = self.pool[e, a]
        return labels

    def run(
        self, strategy: Strategy, labels: Ints, batch_size: int, rounds: int
    ) -> list[dict[str, float]]:
        """The rows of one strategy."""
        rng = np.random.default_rng(self.seed + 1)
        consensus = np.full(len(labels), UNSEEN)
        rows = []
        for number in range(rounds + 1):
            probs, consensus, tested = self.trained(labels, consensus)
            known = consensus != UNSEEN
            rows.append(
                {
                    "round": number,
                    "num_annotations": int((labels != UNSEEN).sum()),
                    "num_examples": int(known.sum()),
                    "consensus_accuracy": float((consensus == self.truth)[known].mean()),
                    "model_accuracy": tested,
                }
            )
            if number < rounds:
                order = strategy(State(labels, probs, rng))
                exhausted = ((labels == UNSEEN) & (self.pool != UNSEEN)).sum(axis=1) == 0
                labels = self.asked(labels, batch_of(order, exhausted, batch_size), rng)
        return rows

    def trained(self, labels: Ints, before: Ints) -> tuple[Floats, Ints, float]:
        """Probabilities of all examples, the consensus under them, and the accuracy of a model fitted to it.

        The model is first fitted to the consensus of the round before, and to the first label of examples
        that had none.
        """
        known = (labels != UNSEEN).any(axis=1)
        first = labels[np.arange(len(labels)), (labels != UNSEEN).argmax(axis=1)]
        y = np.where(before != UNSEEN, before, first)
        K = int(max(self.truth.max(), self.pool.max())) + 1
        probs = np.empty((len(labels), K))
        probs[known] = cross_predicted(
            self.estimator, self.X[known], y[known], K, cv=self.cv, seed=self.seed
        )
        y = np.where(known, self.consensus(labels, probs, first), UNSEEN)
        model = fitted(self.estimator, self.X[known], y[known], self.seed)
        if not known.all():
            probs[~known] = predicted(model, self.X[~known], y[known], K)
        tested = predicted(model, self.X_test, y[known], K).argmax(axis=1) == self.truth_test
        return probs, y, float(tested.mean())

    def consensus(self, labels: Ints, probs: Floats, first: Ints) -> Ints:
        """The consensus labels of annotated examples."""
        state = State(labels, probs, np.random.default_rng(self.seed))
        if state.num_annotations.max() < 2:
            return first
        known = state.num_annotations > 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AnnotationWarning)
            fit = crowdlab(state.log, state.pred_probs.filter(pl.Series(known)))
        found = first.copy()
        found[known] = fit.examples.select("consensus_label").collect().to_series().to_numpy()
        return found


def batch_of(order: Floats, exhausted: Flags, size: int) -> Ints:
    """The examples of the lowest values that somebody can still be asked about."""
    scores = pl.DataFrame({"example": np.arange(len(order)), "active_learning_score": order})
    batch = next_batch(scores, size, exclude=np.flatnonzero(exhausted))
    return batch["example"].to_numpy()
