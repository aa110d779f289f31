r"""Noise matrices and simulated annotators, for examples, tests and benchmarks.

The law that `simulate_annotations` draws from, with truth :math:`k`, annotator :math:`a`, example
:math:`e`, given label :math:`l` and :math:`K` classes (Dawid & Skene 1979, with a difficulty per
example):

.. math::
    k_e \sim \pi, \qquad
    P(l \mid k, a, e) = (1 - d_e)\, C_a[k, l] + d_e / K

Two matrices are used, and they are each other's transpose:

* a *noise matrix* has a column per truth, ``N[l, k] = P(label=l | truth=k)``: columns sum to 1
  (the convention of Northcutt et al. 2021);
* a *confusion* matrix has a row per truth, ``C[k, l] = P(label=l | truth=k)``: rows sum to 1.

References
----------
* A. P. Dawid, A. M. Skene. Maximum likelihood estimation of observer error-rates using the EM
  algorithm. Applied Statistics 28, 1979.
* C. Northcutt, L. Jiang, I. Chuang. Confident learning: estimating uncertainty in dataset labels.
  JAIR 70, 2021.
* R. W. Floyd, in J. Bentley, Programming pearls: a sample of brilliance. CACM 30(9), 1987.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from polars_crowd.arrays import Flags, Floats, Ints

if TYPE_CHECKING:
    Classes = Sequence[str] | Sequence[int]

__all__ = ["Simulation", "noise_matrix_from_trace", "noisy_labels", "simulate_annotations"]

KINDS = np.array(["regular", "adversary", "spammer"])
REGULAR, ADVERSARY, SPAMMER = range(3)
SUM_TOLERANCE = 1e-6
ACCURACY_CONCENTRATION = 20.0
DIFFICULTY_CONCENTRATION = 2.0
SPREAD_DECAY = 0.99


@dataclass(frozen=True, repr=False)
class Simulation:
    """A simulated log with everything that it was drawn from.

    Attributes
    ----------
    log : pl.DataFrame
        ``example, annotator, label``: one row per annotation, sorted by example and annotator.
    truth : pl.DataFrame
        ``example, label``: the true label of each example.
    annotators : pl.DataFrame
        ``annotator, kind, accuracy, num_examples_labeled``: kind is "regular", "adversary" or
        "spammer"; accuracy is the probability of the true label on an example of difficulty 0,
        ``sum_k class_prior[k] C_a[k, k]``.
    confusion : pl.DataFrame
        ``annotator, true_label, label, probability``: ``C_a[k, l]``, one row per annotator and
        pair of classes.
    difficulty : pl.DataFrame
        ``example, difficulty``: ``d_e``, the probability that a label is drawn blindly.
    class_prior : pl.DataFrame
        ``label, probability``: one row per class, in the order of the classes.
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


# ------------------------------------------------------------------------------------------------
# noise matrices


def noise_matrix_from_trace(
    n_classes: int,
    trace: float,
    *,
    prior: ArrayLike | None = None,
    valid: bool = True,
    max_noise_rate: float = 1.0,
    min_noise_rate: float = 0.0,
    frac_zero_noise_rates: float = 0.0,
    seed: int = 0,
    max_iter: int = 10_000,
) -> Floats:
    """Random noise matrix ``N[l, k] = P(label=l | truth=k)`` with the given trace.

    The diagonal, then each column, is a random point of ``{x : sum(x) = s, low <= x <= high}``:
    ``x_i = low_i + (high_i - low_i) (1 - exp(-p E_i))``, or as far below high_i if s is nearer to
    the sum of highs, with ``E_i = 1 - w + w Exponential(1)`` and ``p`` solved for the sum. The
    spread is ``w = 0.99**i`` in try i: the most random matrix is tried first, and tries that fail
    lead towards the flat one, in which all classes are learnable.

    Parameters
    ----------
    n_classes : int
        Number of classes K, at least 2.
    trace : float
        Sum of the diagonal, in [0, K]; above 1 if `valid`. ``trace / K`` is the accuracy under a
        uniform prior.
    prior : array of shape (K,), optional
        ``P(truth=k)``, positive, sums to 1. Uniform by default. Used only if `valid`.
    valid : bool
        Whether every class must be learnable (Northcutt et al. 2021):
        ``P(label=i) P(truth=i) < P(label=i, truth=i)`` for each class i.
    max_noise_rate, min_noise_rate : float
        Bounds in [0, 1] of each off-diagonal entry that is not set to zero.
    frac_zero_noise_rates : float
        Share in [0, 1] of the ``K (K - 1)`` off-diagonal entries that is set to zero.
    seed : int
        Seed of the draw.
    max_iter : int
        Number of tries, at least 1.

    Returns
    -------
    np.ndarray of shape (K, K)
        Columns (truth) sum to 1, the diagonal sums to `trace`.

    Raises
    ------
    ValueError
        If an argument is out of its bounds, or if no matrix is found in `max_iter` tries.

    Examples
    --------
    >>> N = noise_matrix_from_trace(3, 2.1, prior=[0.2, 0.3, 0.5], seed=1)
    >>> N.sum(axis=0).round(12).tolist(), round(float(N.trace()), 12)
    ([1.0, 1.0, 1.0], 2.1)
    """
    K = n_classes
    _check_count("n_classes", K, 2, "ask for two classes or more")
    _check_count("max_iter", max_iter, 1, "allow at least one try")
    _within("frac_zero_noise_rates", frac_zero_noise_rates, 0, 1, "give a share of the entries")
    n_zero = round(frac_zero_noise_rates * K * (K - 1))
    _check_noise_rates(K, n_zero, min_noise_rate, max_noise_rate)
    _check_trace(K, n_zero, trace, min_noise_rate, max_noise_rate, valid)
    class_prior = _checked_prior("prior", prior, K)
    if valid and class_prior.min() == 0:
        _fail("prior", class_prior.tolist(), "positive in every class", "drop the empty classes")
    rng = _generator(seed)
    tries = (
        _random_noise_matrix(rng, K, trace, n_zero, min_noise_rate, max_noise_rate, SPREAD_DECAY**i)
        for i in range(max_iter)
    )
    usable = (N for N in tries if N is not None and (not valid or _is_learnable(N, class_prior)))
    found = next(usable, None)
    if found is None:
        bound = f"enough to find a noise matrix of trace {trace} (none found)"
        remedy = (
            "raise trace or max_iter, lower frac_zero_noise_rates, widen the bounds of the noise "
            "rates, or pass valid=False"
        )
        _fail("max_iter", max_iter, bound, remedy)
    return found


def noisy_labels(truth: ArrayLike, noise_matrix: ArrayLike, *, seed: int = 0) -> Ints:
    """Labels whose realised noise matrix is the requested one, up to whole examples.

    Of the ``n_k`` examples of truth k, ``n_k N[l, k]`` rounded down or up get the label l (largest
    remainders are rounded up, so that the counts sum to ``n_k``); which ones is random.

    Parameters
    ----------
    truth : integer array of shape (n,)
        Class of each example, in 0..K-1.
    noise_matrix : array of shape (K, K)
        ``N[l, k] = P(label=l | truth=k)``; columns sum to 1.
    seed : int
        Seed of the choice of examples.

    Returns
    -------
    np.ndarray of shape (n,), int64
        The given label of each example.

    Raises
    ------
    ValueError
        If the matrix is not square with columns that sum to 1, or truth is out of 0..K-1.

    Examples
    --------
    >>> labels = noisy_labels([0] * 10 + [1] * 10, [[0.8, 0.3], [0.2, 0.7]])
    >>> int((labels[:10] == 1).sum()), int((labels[10:] == 0).sum())
    (2, 3)
    """
    N = np.asarray(noise_matrix, dtype=np.float64)
    if N.ndim != 2 or N.shape[0] != N.shape[1]:
        _fail("noise_matrix", f"of shape {N.shape}", "of shape (K, K)", "give a square matrix")
    _check_probabilities("noise_matrix", N, axis=0, what="columns (truth)")
    codes = _checked_codes(truth, K := len(N))
    counts = _rounded_counts(np.bincount(codes, minlength=K), N)
    shuffled = _generator(seed).permutation(len(codes))
    by_truth = shuffled[np.argsort(codes[shuffled], kind="stable")]
    labels = np.empty(len(codes), dtype=np.int64)
    labels[by_truth] = np.repeat(np.tile(np.arange(K), K), counts.T.ravel())
    return labels


def _generator(seed: int) -> Generator:
    _check_count("seed", seed, 0, "give a seed that is not negative")
    return np.random.default_rng(seed)


def _nonzero_noise_rates(rng: Generator, K: int, n_zero: int) -> Flags:
    """Mask of the off-diagonal entries that may be positive: all but `n_zero` of them."""
    nonzero = ~np.eye(K, dtype=np.bool_)
    rows, columns = np.nonzero(nonzero)
    zero = rng.choice(len(rows), n_zero, replace=False)
    nonzero[rows[zero], columns[zero]] = False
    return nonzero


def _random_noise_matrix(
    rng: Generator,
    K: int,
    trace: float,
    n_zero: int,
    min_rate: float,
    max_rate: float,
    spread: float,
) -> Floats | None:
    """Diagonal first, then the noise rates of each column; None if the zeros leave no room."""
    nonzero = _nonzero_noise_rates(rng, K, n_zero)
    n_rates = nonzero.sum(axis=0)
    low: Floats = np.maximum(0, 1 - n_rates * max_rate)
    high: Floats = 1.0 - n_rates * min_rate
    room = trace - low.sum(), high.sum() - trace
    if min(room) < -SUM_TOLERANCE or high.min() < -SUM_TOLERANCE:
        return None
    diagonal = _random_with_sum(rng, np.float64(trace), low, np.maximum(high, 0), spread)
    low_rates, high_rates = (nonzero.astype(np.float64) * rate for rate in (min_rate, max_rate))
    N = _random_with_sum(rng, 1 - diagonal, low_rates, high_rates, spread)
    np.fill_diagonal(N, diagonal)
    return N


def _random_with_sum(
    rng: Generator, total: Floats | np.float64, low: Floats, high: Floats, spread: float
) -> Floats:
    """Random x in [low, high] that sums to `total` along the first axis."""
    E = 1 - spread + spread * rng.exponential(size=low.shape)
    width = high - low
    room = width.sum(axis=0)
    target = np.clip(total - low.sum(axis=0), 0, room)
    from_high = target > room / 2
    away = width * _random_shares(E, width, np.where(from_high, room - target, target))
    return np.clip(np.where(from_high, high - away, low + away), low, high)


def _random_shares(E: Floats, width: Floats, target: Floats) -> Floats:
    """``y = 1 - exp(-p E)`` with ``sum(width y) = target``."""
    y = -np.expm1(-_rate(E, width, target) * E)
    reached = (width * y).sum(axis=0)
    return np.asarray(y * np.divide(target, reached, out=np.zeros_like(reached), where=reached > 0))


def _rate(E: Floats, width: Floats, target: Floats) -> Floats:
    """Root p of ``sum(width (1 - exp(-p E))) = target``: concave, so Newton from 0 climbs to it."""
    p = np.zeros_like(target)
    for _ in range(100):
        left = width * np.exp(-p * E)
        missing, slope = target - (width - left).sum(axis=0), (left * E).sum(axis=0)
        step = np.divide(missing, slope, out=np.zeros_like(p), where=slope > 0)
        p = p + step
        if np.all(np.abs(step) <= 1e-14 * np.maximum(p, 1)):
            break
    return p


def _is_learnable(N: Floats, prior: Floats) -> bool:
    """``P(label=i) P(truth=i) < P(label=i, truth=i)`` in every class (Northcutt et al. 2021)."""
    return bool(np.all((N @ prior) * prior < np.diag(N) * prior))


def _rounded_counts(n_by_truth: Ints, N: Floats) -> Ints:
    """``n_k N[l, k]`` in whole examples, by largest remainder: column k sums to ``n_k``."""
    exact = N / N.sum(axis=0) * n_by_truth
    counts = np.floor(np.round(exact, 9)).astype(np.int64)
    missing = n_by_truth - counts.sum(axis=0)
    rank = np.argsort(np.argsort(counts - exact, axis=0, kind="stable"), axis=0)
    return np.asarray(counts + (rank < missing), dtype=np.int64)


# ------------------------------------------------------------------------------------------------
# annotators, annotations, a model


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

    * regular: ``C_a[k, k] = q_a``, ``C_a[k, l] = (1 - q_a) w_a[k, l]``,
      ``w_a[k, :] ~ Dirichlet(1, ..., 1)`` over the K - 1 other classes;
    * adversary: knows as much as a regular annotator, and gives the class ``s_a`` places further
      on, ``C_a[k, l] = R_a[k, (l - s_a) mod K]``, ``s_a ~ U{1, ..., K-1}``, ``R_a`` as above;
    * spammer: does not look, ``C_a[k, l] = g_a[l]``, ``g_a ~ Dirichlet(1, ..., 1)``.

    The model observes ``t_l ~ Exponential(rate=1)`` for each class, with rate ``r`` for the true
    one, and reports ``P(truth=l | t) = softmax(-(r - 1) t_l / T)``. With
    ``r = q (K - 1) / (1 - q)`` it is right with probability ``q = model_accuracy`` in each class,
    and at temperature ``T = 1`` and a uniform class prior it is calibrated.

    Parameters
    ----------
    n_examples, n_annotators : int
        At least 1.
    n_classes : int, optional
        Number of classes K, at least 2; labels are then the integers 0..K-1. By default as many
        as `confusion` or `class_prior` has, else 3.
    classes : list of distinct strings or integers, optional
        The labels, instead of `n_classes`. Their order is the order of the classes.
    annotations_per_example : float
        Annotations of an example, by as many different annotators: in 1..n_annotators. Exactly as
        many, or on average if `ragged`.
    ragged : bool
        Whether the number differs by example:
        ``1 + Binomial(n_annotators - 1, (annotations_per_example - 1) / (n_annotators - 1))``.
    accuracy : float or (low, high), optional
        ``q_a`` in [0, 1]: drawn from ``Beta(20 m, 20 (1 - m))`` with mean m, or uniformly between
        low and high. 0.8 by default. Not together with `confusion`.
    confusion : array of shape (K, K) or (n_annotators, K, K), optional
        Confusion matrices of the regular annotators, row per truth (the transpose of a noise
        matrix); rows sum to 1. Adversaries shift theirs, spammers have their own.
    class_prior : array of shape (K,), optional
        ``P(truth=k)``, sums to 1. Uniform by default.
    difficulty : float
        Mean of ``d_e ~ Beta(2 m, 2 (1 - m))``, in [0, 1]: 0 for none, 1 for all labels blind.
    adversaries, spammers : int or float
        How many of the annotators: a number (int) or a share in [0, 1] (float).
    model_accuracy : float
        In [1/K, 1). At 1/K all pred_probs are 1/K.
    model_temperature : float
        Positive: below 1 the model is overconfident, above 1 underconfident.
    integer_ids : bool
        Whether ids are integers (0, 1, ...) rather than strings ("e000000", "a0000", ...). The
        number is the row of the example in ``truth``, of the annotator in ``annotators``.
    seed : int
        Seed of the draw. Truth, annotators, difficulty, assignment, labels and model draw from
        streams of their own: changing, say, `model_accuracy` leaves the log as it is.

    Returns
    -------
    Simulation
        Frames ``log, truth, annotators, confusion, difficulty, class_prior, pred_probs``. An
        annotator who drew no example is in ``annotators`` but not in ``log``.

    Raises
    ------
    ValueError
        If an argument is out of its bounds, or two arguments contradict each other.

    Examples
    --------
    >>> simulation = simulate_annotations(n_examples=4, n_annotators=3, annotations_per_example=2,
    ...                                   classes=["cat", "dog"], seed=1)
    >>> simulation.log.head(3)
    shape: (3, 3)
    ┌─────────┬───────────┬───────┐
    │ example ┆ annotator ┆ label │
    │ ---     ┆ ---       ┆ ---   │
    │ str     ┆ str       ┆ str   │
    ╞═════════╪═══════════╪═══════╡
    ...
    >>> simulation.pred_probs.columns
    ['example', 'cat', 'dog']
    """
    labels = _class_labels(n_classes, classes, confusion, class_prior)
    K, M, per = len(labels), n_annotators, annotations_per_example
    _check_count("n_examples", n_examples, 1, "ask for at least one example")
    _check_count("n_annotators", M, 1, "ask for at least one annotator")
    _check_annotations_per_example(per, ragged, M)
    _within("difficulty", difficulty, 0, 1, "give the mean share of blind labels")
    _check_model(model_accuracy, model_temperature, K)
    prior = _checked_prior("class_prior", class_prior, K)
    n_adversaries, n_spammers = _kind_counts(adversaries, spammers, M)

    of_truth, of_annotators, of_difficulty, of_log, of_labels, of_model = _streams(seed, 6)
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
    num_labeled = np.bincount(annotator, minlength=M)
    return Simulation(
        log=pl.DataFrame([examples[example], annotators[annotator], labels[label]]),
        truth=pl.DataFrame([examples, labels[truth]]),
        annotators=_annotators_frame(annotators, kinds, _accuracy(C, prior), num_labeled),
        confusion=_confusion_frame(annotators, labels, C),
        difficulty=pl.DataFrame([examples, pl.Series("difficulty", d)]),
        class_prior=pl.DataFrame([labels, pl.Series("probability", prior)]),
        pred_probs=_pred_probs_frame(examples, labels, probs),
    )


def _streams(seed: int, n: int) -> list[Generator]:
    """Independent generators from one seed."""
    return _generator(seed).spawn(n)


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
        _fail("accuracy", accuracy, "left out with confusion", "give one of the two")
    return _checked_confusion(confusion, M, K)


def _random_accuracy(
    rng: Generator, M: int, accuracy: float | tuple[float, float] | None
) -> Floats:
    """``q_a``: Beta around a mean, or uniform in a range."""
    q = 0.8 if accuracy is None else accuracy
    if isinstance(q, (tuple, list)):
        return rng.uniform(*_checked_range("accuracy", q), M)
    _within("accuracy", q, 0, 1, "give the mean probability of the true label")
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


def _accuracy(C: Floats, prior: Floats) -> Floats:
    """``sum_k prior[k] C_a[k, k]``."""
    return np.asarray(np.einsum("akk,k->a", C, prior))


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


# ------------------------------------------------------------------------------------------------
# frames


def _ids(name: str, prefix: str, n: int, width: int, integers: bool) -> pl.Series:
    """0, 1, ... or "e000000", "e000001", ...: wide enough that text sorts as the numbers do."""
    numbers = pl.Series(name, np.arange(n))
    if integers:
        return numbers
    digits = numbers.cast(pl.String).str.zfill(max(width, len(str(n - 1))))
    return (prefix + digits).alias(name)


def _annotators_frame(
    annotators: pl.Series, kinds: Ints, accuracy: Floats, num_labeled: Ints
) -> pl.DataFrame:
    return pl.DataFrame(
        [
            annotators,
            pl.Series("kind", KINDS[kinds], dtype=pl.String),
            pl.Series("accuracy", accuracy),
            pl.Series("num_examples_labeled", num_labeled),
        ]
    )


def _confusion_frame(annotators: pl.Series, labels: pl.Series, C: Floats) -> pl.DataFrame:
    """One row per annotator, true label and label: ``C_a[k, l]``."""
    a, k, label = np.unravel_index(np.arange(C.size), C.shape)
    return pl.DataFrame(
        [
            annotators[a],
            labels[k].alias("true_label"),
            labels[label],
            pl.Series("probability", C.ravel()),
        ]
    )


def _pred_probs_frame(examples: pl.Series, labels: pl.Series, probs: Floats) -> pl.DataFrame:
    columns = [pl.Series(str(c), np.ascontiguousarray(probs[:, i])) for i, c in enumerate(labels)]
    return pl.DataFrame([examples, *columns])


# ------------------------------------------------------------------------------------------------
# checks


def _fail(name: str, value: object, bound: str, remedy: str) -> NoReturn:
    raise ValueError(f"{name} is {value}, must be {bound}: {remedy}.")


def _check_count(name: str, value: int, low: int, remedy: str) -> None:
    if not isinstance(value, int | np.integer) or value < low:
        _fail(name, value, f"a whole number, at least {low}", remedy)


def _within(name: str, value: float, low: float, high: float, remedy: str) -> None:
    if not low <= value <= high:
        _fail(name, value, f"between {low} and {high}", remedy)


def _check_noise_rates(K: int, n_zero: int, min_rate: float, max_rate: float) -> None:
    """At most 1 in each of the K columns."""
    _within("max_noise_rate", max_rate, 0, 1, "give the bound of a probability")
    high = min(max_rate, K / max(K * (K - 1) - n_zero, 1))
    _within("min_noise_rate", min_rate, 0, high, "lower it or raise max_noise_rate")


def _check_trace(
    K: int, n_zero: int, trace: float, min_rate: float, max_rate: float, valid: bool
) -> None:
    """The noise rates that are not zero must sum to ``K - trace``."""
    _within("trace", trace, 0, K, "give the sum of the diagonal, K times the mean accuracy")
    if valid and trace <= 1:
        _fail("trace", trace, "above 1", "raise it, as no class is learnable, or pass valid=False")
    n_rates = K * (K - 1) - n_zero
    low, high = K - n_rates * max_rate, K - n_rates * min_rate
    if not low - SUM_TOLERANCE <= trace <= high + SUM_TOLERANCE:
        rates = f"{n_rates} noise rates between {min_rate:g} and {max_rate:g}"
        bound = f"between {max(low, 0):g} and {high:g} with {rates}"
        _fail("trace", trace, bound, "change trace, the bounds or frac_zero_noise_rates")


def _check_probabilities(name: str, P: Floats, axis: int, what: str) -> None:
    """Entries in [0, 1] that sum to 1 along the axis."""
    if not np.all((P >= 0) & (P <= 1 + SUM_TOLERANCE)):
        entry = P[~((P >= 0) & (P <= 1 + SUM_TOLERANCE))][0]
        _fail(name, f"{entry} in an entry", "between 0 and 1", "give probabilities")
    sums = P.sum(axis=axis).ravel()
    worst = sums[np.argmax(np.abs(sums - 1))]
    if abs(worst - 1) > SUM_TOLERANCE:
        bound = f"1 within {SUM_TOLERANCE:g} over the {what}"
        _fail(f"the sum of {name}", f"{worst:g}", bound, f"divide the {what} by their sums")


def _checked_prior(name: str, prior: ArrayLike | None, K: int) -> Floats:
    """Class probabilities that sum to 1 exactly; uniform if not given."""
    if prior is None:
        return np.full(K, 1 / K)
    P = np.asarray(prior, dtype=np.float64)
    if P.shape != (K,):
        _fail(name, f"of shape {P.shape}", f"of shape ({K},)", "give one probability per class")
    _check_probabilities(name, P, axis=0, what="classes")
    return np.asarray(P / P.sum())


def _checked_codes(truth: ArrayLike, K: int) -> Ints:
    codes = np.asarray(truth)
    if codes.ndim != 1 or (codes.size and not np.issubdtype(codes.dtype, np.integer)):
        found = f"of shape {codes.shape} and type {codes.dtype}"
        _fail("truth", found, "a vector of integers", "encode the classes as 0..K-1")
    for extreme in (codes.min(initial=0), codes.max(initial=0)):
        _within("truth", extreme, 0, K - 1, "encode the classes as 0..K-1")
    return np.asarray(codes, dtype=np.int64)


def _checked_confusion(confusion: ArrayLike, M: int, K: int) -> Floats:
    """Matrices of shape (M, K, K) with rows that sum to 1."""
    C = np.asarray(confusion, dtype=np.float64)
    if C.shape not in {(K, K), (M, K, K)}:
        bound = f"of shape ({K}, {K}) or ({M}, {K}, {K})"
        _fail("confusion", f"of shape {C.shape}", bound, "give one matrix, or one per annotator")
    _check_probabilities("confusion", C, axis=-1, what="rows (truth)")
    return np.broadcast_to(C, (M, K, K))


def _checked_range(name: str, bounds: Sequence[float]) -> tuple[float, float]:
    if len(bounds) != 2 or not 0 <= bounds[0] <= bounds[1] <= 1:
        _fail(name, tuple(bounds), "(low, high) with 0 <= low <= high <= 1", "give two bounds")
    return bounds[0], bounds[1]


def _check_annotations_per_example(per: float, ragged: bool, M: int) -> None:
    bound = f"between 1 and n_annotators = {M}"
    if not 1 <= per <= M:
        _fail("annotations_per_example", per, bound, "ask for fewer, or for more annotators")
    if not ragged and per != int(per):
        _fail("annotations_per_example", per, "whole", "pass ragged=True for a mean")


def _check_model(accuracy: float, temperature: float, K: int) -> None:
    if not 1 / K <= accuracy < 1:
        bound = f"at least 1/{K} and below 1"
        _fail("model_accuracy", accuracy, bound, "1/K is a model that knows nothing")
    if not 0 < temperature < np.inf:
        _fail("model_temperature", temperature, "positive and finite", "1 is calibrated")


def _kind_counts(adversaries: float, spammers: float, M: int) -> tuple[int, int]:
    """Numbers of adversaries and spammers among M annotators."""
    counts = _kind_count("adversaries", adversaries, M), _kind_count("spammers", spammers, M)
    if sum(counts) > M:
        bound = f"at most n_annotators = {M}"
        _fail("adversaries + spammers", sum(counts), bound, "ask for fewer of them")
    return counts


def _kind_count(name: str, wanted: float, M: int) -> int:
    if isinstance(wanted, float | np.floating):
        _within(name, wanted, 0, 1, "give a share as a float or a number as an int")
        return round(wanted * M)
    _within(name, wanted, 0, M, "give a number of annotators as an int or a share as a float")
    return wanted


def _class_labels(
    n_classes: int | None,
    classes: Classes | None,
    confusion: ArrayLike | None,
    class_prior: ArrayLike | None,
) -> pl.Series:
    """The labels in the order of the classes: the names, or 0..K-1."""
    if classes is None:
        K = _n_classes(n_classes, confusion, class_prior)
        _check_count("n_classes", K, 2, "ask for two classes or more")
        return pl.Series("label", np.arange(K))
    if n_classes is not None:
        _fail("n_classes", n_classes, "left out with classes", "give one of the two")
    return _named_labels(classes)


def _n_classes(
    n_classes: int | None, confusion: ArrayLike | None, class_prior: ArrayLike | None
) -> int:
    if n_classes is not None:
        return n_classes
    given: list[NDArray[Any]] = [np.asarray(x) for x in (confusion, class_prior) if x is not None]
    return given[0].shape[-1] if given and given[0].ndim else 3


def _named_labels(classes: Classes) -> pl.Series:
    remedy = "give a list of names"
    if isinstance(classes, str) or len(set(classes)) != len(classes) or len(classes) < 2:
        _fail("classes", repr(classes), "two or more distinct labels", remedy)
    if "example" in set(classes):
        _fail("classes", repr(classes), "without 'example', a column of pred_probs", remedy)
    return pl.Series("label", classes)
