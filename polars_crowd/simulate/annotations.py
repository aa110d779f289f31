"""Simulated annotators, their annotations, and a model: the law is that of `simulate_annotations`.

References
----------
* A. P. Dawid, A. M. Skene. Maximum likelihood estimation of observer error-rates using the EM algorithm.
  Applied Statistics 28, 1979.
* R. W. Floyd, in J. Bentley, Programming pearls: a sample of brilliance. CACM 30(9), 1987.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from polars_crowd.arrays import Floats, Ints
from polars_crowd.signatures import checked
from polars_crowd.simulate.checks import (
    Classes,
    check_annotations_per_example,
    check_count,
    check_model,
    check_within,
    checked_confusion,
    checked_prior,
    checked_range,
    class_labels,
    fail,
    generator,
    kind_counts,
)

KINDS = np.array(["regular", "adversary", "spammer"])
ADVERSARY, SPAMMER = 1, 2
ACCURACY_CONCENTRATION = 20.0
DIFFICULTY_CONCENTRATION = 2.0


@dataclass(frozen=True, repr=False)
class Simulation:
    """A simulated log with everything that it was drawn from.

    Attributes
    ----------
    log, truth : pl.DataFrame
        ``example, annotator, label``, sorted by example and annotator; ``example, label``.
    annotators : pl.DataFrame
        ``annotator, kind, accuracy, num_examples_labeled``: kind is "regular", "adversary" or "spammer";
        accuracy is ``sum_k class_prior[k] C_a[k, k]``, on an example of difficulty 0.
    confusion : pl.DataFrame
        ``annotator, true_label, label, probability``: ``C_a[k, l]``.
    difficulty : pl.DataFrame
        ``example, difficulty``: ``d_e``, the probability that a label is drawn blindly.
    class_prior : pl.DataFrame
        ``label, probability``, in the order of the classes.
    pred_probs : pl.DataFrame
        ``example`` and one column per class, named by it: rows sum to 1.
    """

    log: pl.DataFrame
    truth: pl.DataFrame
    annotators: pl.DataFrame
    confusion: pl.DataFrame
    difficulty: pl.DataFrame
    class_prior: pl.DataFrame
    pred_probs: pl.DataFrame

    def __repr__(self) -> str:
        return (
            f"Simulation: {self.truth.height} examples, {self.annotators.height} annotators, "
            f"{self.log.height} annotations, {self.class_prior.height} classes\n"
            f"log {self.log.head()}\nannotators {self.annotators.head()}"
        )


@checked
def simulate_annotations(
    *,
    n_examples: int = 1000,
    n_annotators: int = 50,
    n_classes: int | None = None,
    classes: Classes | None = None,
    annotations_per_example: float = 5,
    ragged: bool = False,
    accuracy: float | tuple[float, float] | None = None,
    confusion: ArrayLike | None = None,
    class_prior: ArrayLike | None = None,
    difficulty: float = 0.0,
    adversaries: float = 0,
    spammers: float = 0,
    model_accuracy: float = 0.85,
    model_temperature: float = 1.0,
    integer_ids: bool = False,
    seed: int = 0,
) -> Simulation:
    r"""Simulated annotation log with its truth, annotators and a model's pred_probs.

    Truth ``k_e ~ class_prior``; labels from Dawid & Skene (1979) with a difficulty per example,
    ``P(label=l | truth=k, annotator a, example e) = (1 - d_e) C_a[k, l] + d_e / K``.

    The confusion matrix ``C_a`` by kind of annotator, with accuracy ``q_a``:

    * regular: ``C_a[k, k] = q_a``, ``C_a[k, l] = (1 - q_a) w_a[k, l]``, ``w_a[k, :] ~ Dirichlet(1, ..., 1)``
      over the K - 1 other classes;
    * adversary: knows as much as a regular annotator, and gives the class ``s_a`` places further on,
      ``C_a[k, l] = R_a[k, (l - s_a) mod K]``, ``s_a ~ U{1, ..., K-1}``, ``R_a`` as above;
    * spammer: does not look, ``C_a[k, l] = g_a[l]``, ``g_a ~ Dirichlet(1, ..., 1)``.

    The model observes ``t_l ~ Exponential(rate=1)`` for each class, with rate ``r`` for the true one, and
    reports ``P(truth=l | t) = softmax(-(r - 1) t_l / T)``. With ``r = q (K - 1) / (1 - q)`` it is right with
    probability ``q = model_accuracy`` in each class, and calibrated at ``T = 1`` and a uniform class prior.

    Parameters
    ----------
    n_examples, n_annotators
        At least 1.
    n_classes
        Number of classes K, at least 2; labels are then the integers 0..K-1. By default as many as
        `confusion` or `class_prior` has, else 3.
    classes
        The labels in order, distinct strings or integers, instead of `n_classes`.
    annotations_per_example
        Annotations of an example, by different annotators: in 1..n_annotators. Exactly as many, or on average
        if `ragged`.
    ragged
        Whether the number differs by example:
        ``1 + Binomial(n_annotators - 1, (annotations_per_example - 1) / (n_annotators - 1))``.
    accuracy
        ``q_a`` in [0, 1]: of a mean m drawn from ``Beta(20 m, 20 (1 - m))``, of a pair uniformly between low
        and high. 0.8 by default. Not together with `confusion`.
    confusion
        Confusion matrices of the regular annotators, (K, K) or (n_annotators, K, K), row per truth (the
        transpose of a noise matrix); rows sum to 1. Adversaries shift theirs, spammers have their own.
    class_prior
        ``P(truth=k)``, (K,), sums to 1. Uniform by default.
    difficulty
        Mean of ``d_e ~ Beta(2 m, 2 (1 - m))``, in [0, 1]: 0 for none, 1 for all labels blind.
    adversaries, spammers
        How many of the annotators: a number (int) or a share in [0, 1] (float).
    model_accuracy
        In [1/K, 1). At 1/K all pred_probs are 1/K.
    model_temperature
        Positive: below 1 the model is overconfident, above 1 underconfident.
    integer_ids
        Whether ids are integers, the row in ``truth`` or ``annotators``, rather than strings ("e000000",
        "a0000", ...).
    seed
        Truth, annotators, difficulty, assignment, labels and model draw from streams of their own: changing,
        say, `model_accuracy` leaves the log as it is.

    Returns
    -------
    Simulation
        An annotator who drew no example is in its ``annotators`` but not in its ``log``.

    Raises
    ------
    ValueError
        If an argument is out of its bounds, or two arguments contradict each other.

    Examples
    --------
    >>> simulation = simulate_annotations(n_examples=4, n_annotators=3, annotations_per_example=2,
    ...                                   classes=["cat", "dog"], seed=1)
    >>> simulation.log.height
    8
    >>> simulation.pred_probs.columns
    ['example', 'cat', 'dog']
    """
    labels = class_labels(n_classes, classes, confusion, class_prior)
    K, M, per = len(labels), n_annotators, annotations_per_example
    check_count("n_examples", n_examples, 1, "ask for at least one example")
    check_count("n_annotators", M, 1, "ask for at least one annotator")
    check_annotations_per_example(per, ragged, M)
    check_within("difficulty", difficulty, 0, 1, "give the mean share of blind labels")
    check_model(model_accuracy, model_temperature, K)
    prior = checked_prior("class_prior", class_prior, K)
    n_adversaries, n_spammers = kind_counts(adversaries, spammers, M)

    of_truth, of_annotators, of_difficulty, of_log, of_labels, of_model = generator(seed).spawn(6)
    truth = of_truth.choice(K, n_examples, p=prior)
    kinds = _random_kinds(of_annotators, M, n_adversaries, n_spammers)
    regular = _regular_confusion(of_annotators, M, K, accuracy, confusion)
    C = _confusion_by_kind(of_annotators, regular, kinds)
    d = _beta(of_difficulty, difficulty, DIFFICULTY_CONCENTRATION, n_examples)
    example, annotator = _assignment(of_log, n_examples, M, per, ragged)
    label = _drawn_labels(of_labels, truth[example], annotator, d[example], C)
    probs = _model_probs(of_model, truth, K, model_accuracy, model_temperature)

    examples = _ids("example", "e", n_examples, 6, integer_ids)
    annotators = _ids("annotator", "a", M, 4, integer_ids)
    of_classes = [pl.Series(str(c), p.copy()) for c, p in zip(labels, probs.T, strict=True)]
    of_each_annotator = {
        "kind": pl.Series(KINDS[kinds], dtype=pl.String),
        "accuracy": np.einsum("akk,k->a", C, prior),
        "num_examples_labeled": np.bincount(annotator, minlength=M),
    }
    return Simulation(
        log=pl.DataFrame([examples[example], annotators[annotator], labels[label]]),
        truth=pl.DataFrame([examples, labels[truth]]),
        annotators=pl.DataFrame({"annotator": annotators, **of_each_annotator}),
        confusion=_confusion_frame(annotators, labels, C),
        difficulty=pl.DataFrame([examples, pl.Series("difficulty", d)]),
        class_prior=pl.DataFrame([labels, pl.Series("probability", prior)]),
        pred_probs=pl.DataFrame([examples, *of_classes]),
    )


def _beta(rng: Generator, mean: float, concentration: float, n: int) -> Floats:
    """``Beta(mean c, (1 - mean) c)``; the mean itself at 0 and 1."""
    if mean in (0, 1):
        return np.full(n, float(mean))
    return rng.beta(mean * concentration, (1 - mean) * concentration, n)


def _random_kinds(rng: Generator, M: int, n_adversaries: int, n_spammers: int) -> Ints:
    """Kind of each annotator, in random places."""
    counts = [M - n_adversaries - n_spammers, n_adversaries, n_spammers]
    return rng.permutation(np.repeat(np.arange(len(KINDS)), counts))


def _regular_confusion(
    rng: Generator,
    M: int,
    K: int,
    accuracy: float | tuple[float, float] | None,
    confusion: ArrayLike | None,
) -> Floats:
    """``C_a`` of a regular annotator: the given one, or a random one of the given accuracy."""
    if confusion is None:
        return _random_confusion(rng, _random_accuracy(rng, M, accuracy), K)
    if accuracy is not None:
        fail("accuracy", accuracy, "left out with confusion", "give one of the two")
    return checked_confusion(confusion, M, K)


def _random_accuracy(
    rng: Generator, M: int, accuracy: float | tuple[float, float] | None
) -> Floats:
    """``q_a``: Beta around a mean, or uniform in a range."""
    q = 0.8 if accuracy is None else accuracy
    if isinstance(q, (tuple, list)):
        return rng.uniform(*checked_range("accuracy", q), M)
    check_within("accuracy", q, 0, 1, "give the mean probability of the true label")
    return _beta(rng, q, ACCURACY_CONCENTRATION, M)


def _random_confusion(rng: Generator, q: Floats, K: int) -> Floats:
    """``q_a`` on the diagonal, the rest spread by Dirichlet(1) over the other classes."""
    C = rng.exponential(size=(len(q), K, K))
    diagonal = np.arange(K)
    C[:, diagonal, diagonal] = 0
    C *= (1 - q)[:, None, None] / C.sum(axis=2, keepdims=True)
    C[:, diagonal, diagonal] = q[:, None]
    return C


def _confusion_by_kind(rng: Generator, regular: Floats, kinds: Ints) -> Floats:
    """``C_a``: adversaries shift their answers, spammers answer without looking."""
    C = regular.copy()
    M, K, _ = C.shape
    shift = rng.integers(1, K, size=(M, 1, 1))
    guess = rng.dirichlet(np.ones(K), M)
    adversary, spammer = kinds == ADVERSARY, kinds == SPAMMER
    source = (np.arange(K) - shift[adversary]) % K
    C[adversary] = np.take_along_axis(regular[adversary], source, axis=2)
    C[spammer] = guess[spammer, None, :]
    return C


def _assignment(rng: Generator, n: int, M: int, per: float, ragged: bool) -> tuple[Ints, Ints]:
    """Example and annotator of each annotation, sorted by both."""
    counts = _annotation_counts(rng, n, M, per, ragged)
    chosen = _distinct_annotators(rng, counts, M)
    return np.repeat(np.arange(n), counts), chosen[chosen < M].astype(np.int64)


def _annotation_counts(rng: Generator, n: int, M: int, per: float, ragged: bool) -> Ints:
    """Annotations of each example: at least 1, at most M, `per` on average."""
    if not ragged:
        return np.full(n, int(per), dtype=np.int64)
    return 1 + rng.binomial(M - 1, (per - 1) / max(M - 1, 1), n)


def _distinct_annotators(rng: Generator, counts: Ints, M: int) -> NDArray[np.int32]:
    """A uniform subset of annotators for each example, one row each, filled up with M.

    Floyd 1987: pick i of example e is ``t ~ U{0..top}`` with ``top = M - counts[e] + i``, or
    ``top`` itself where t is among its earlier picks.
    """
    picks = np.full((counts.max(), len(counts)), M, dtype=np.int32)
    for i, pick in enumerate(picks):
        top = (M - counts + i).astype(np.int32)
        t = (rng.random(len(counts)) * (top + 1)).astype(np.int32)
        taken = (picks[:i] == t).any(axis=0)
        pick[:] = np.minimum(np.where(taken | (top >= M), top, t), M)
    return np.sort(picks.T, axis=1)


def _drawn_labels(rng: Generator, truth: Ints, annotator: Ints, d: Floats, C: Floats) -> Ints:
    """``(1 - d_e) C_a[k, l] + d_e / K``: blind with probability d_e, else from C_a."""
    blind = rng.random(len(d)) < d
    guess = rng.integers(0, C.shape[1], len(d))
    return np.where(blind, guess, _drawn_from_rows(rng, annotator * C.shape[1] + truth, C))


def _drawn_from_rows(rng: Generator, row: Ints, C: Floats) -> Ints:
    """A column of each given row of probabilities: one search in all rows, laid end to end."""
    K = C.shape[-1]
    cumulative = C.reshape(-1, K).cumsum(axis=1)
    cumulative /= cumulative[:, -1:]
    edges = (np.arange(len(cumulative))[:, None] + cumulative).ravel()
    u = np.minimum(row + rng.random(len(row)), np.nextafter(row + 1.0, 0))
    return np.asarray(np.searchsorted(edges, u, side="right") - row * K)


def _model_probs(rng: Generator, truth: Ints, K: int, q: float, temperature: float) -> Floats:
    """``softmax(-(r - 1) t / T)``, t Exponential of rate r at the truth and 1 elsewhere."""
    r = q * (K - 1) / (1 - q)
    t = rng.exponential(size=(len(truth), K))
    t[np.arange(len(truth)), truth] /= r
    t -= t.min(axis=1, keepdims=True)
    probs = np.exp(-(r - 1) / temperature * t)
    return np.asarray(probs / probs.sum(axis=1, keepdims=True))


# --- frames --------------------------------------------------------------------------------------


def _ids(name: str, prefix: str, n: int, width: int, integers: bool) -> pl.Series:
    """0, 1, ... or "e000000", "e000001", ...: wide enough that text sorts as the numbers do."""
    numbers = pl.Series(name, np.arange(n))
    if integers:
        return numbers
    digits = numbers.cast(pl.String).str.zfill(max(width, len(str(n - 1))))
    return (prefix + digits).alias(name)


def _confusion_frame(annotators: pl.Series, labels: pl.Series, C: Floats) -> pl.DataFrame:
    """One row per annotator, true label and label: ``C_a[k, l]``."""
    a, k, label = np.unravel_index(np.arange(C.size), C.shape)
    keys = [annotators[a], labels[k].alias("true_label"), labels[label]]
    return pl.DataFrame([*keys, pl.Series("probability", C.ravel())])
