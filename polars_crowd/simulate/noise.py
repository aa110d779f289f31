r"""Noise matrices with a given trace, and labels that realise them.

A *noise matrix* has a column per truth, ``N[l, k] = P(label=l | truth=k)``: columns sum to 1 (the convention
of Northcutt et al. 2021). A *confusion* matrix, its transpose, has a row per truth.

References
----------
* C. Northcutt, L. Jiang, I. Chuang. Confident learning: estimating uncertainty in dataset labels.
  JAIR 70, 2021.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from polars_crowd.arrays import Flags, Floats, Ints
from polars_crowd.option_checks import numbers_of
from polars_crowd.signatures import checked
from polars_crowd.simulate.checks import (
    SUM_TOLERANCE,
    check_count,
    check_noise_rates,
    check_probabilities,
    check_trace,
    check_within,
    checked_codes,
    checked_prior,
    fail,
    generator,
)

SPREAD_DECAY = 0.99


@checked
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
    ``x_i = low_i + (high_i - low_i) (1 - exp(-p E_i))``, or as far below high_i if s is nearer to the sum of
    highs, with ``E_i = 1 - w + w Exponential(1)`` and ``p`` solved for the sum. The spread is ``w = 0.99**i``
    in try i: the most random matrix first, and tries that fail lead towards the flat one, in which all
    classes are learnable.

    Parameters
    ----------
    n_classes
        Number of classes K, at least 2.
    trace
        Sum of the diagonal, in [0, K]; above 1 if `valid`. ``trace / K`` is the accuracy under a uniform
        prior.
    prior
        ``P(truth=k)``, (K,), positive, sums to 1. Uniform by default. Used only if `valid`.
    valid
        Whether every class must be learnable (Northcutt et al. 2021):
        ``P(label=i) P(truth=i) < P(label=i, truth=i)`` for each class i.
    max_noise_rate, min_noise_rate
        Bounds in [0, 1] of each off-diagonal entry that is not set to zero.
    frac_zero_noise_rates
        Share in [0, 1] of the ``K (K - 1)`` off-diagonal entries that is set to zero.
    seed, max_iter
        Of the draw; number of tries, at least 1.

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
    check_count("n_classes", K, 2, "ask for two classes or more")
    check_count("max_iter", max_iter, 1, "allow at least one try")
    share = frac_zero_noise_rates
    check_within("frac_zero_noise_rates", share, 0, 1, "give a share of the entries")
    n_zero = round(share * K * (K - 1))
    check_noise_rates(K, n_zero, min_noise_rate, max_noise_rate)
    check_trace(K, n_zero, trace, min_noise_rate, max_noise_rate, valid)
    class_prior = checked_prior("prior", prior, K)
    if valid and class_prior.min() == 0:
        fail("prior", class_prior.tolist(), "positive in every class", "drop the empty classes")
    rng = generator(seed)
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
        fail("max_iter", max_iter, bound, remedy)
    return found


@checked
def noisy_labels(truth: ArrayLike, noise_matrix: ArrayLike, *, seed: int = 0) -> Ints:
    """Labels whose realised noise matrix is the requested one, up to whole examples.

    Of the ``n_k`` examples of truth k, ``n_k N[l, k]`` rounded down or up get the label l (largest
    remainders are rounded up, so that the counts sum to ``n_k``); which ones is random.

    Parameters
    ----------
    truth
        Class of each example, in 0..K-1, (n,).
    noise_matrix
        ``N[l, k] = P(label=l | truth=k)``, (K, K); columns sum to 1.
    seed
        Of the choice of examples.

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
    N = numbers_of("noise_matrix", noise_matrix)
    if N.ndim != 2 or N.shape[0] != N.shape[1]:
        fail("noise_matrix", f"of shape {N.shape}", "of shape (K, K)", "give a square matrix")
    check_probabilities("noise_matrix", N, axis=0, what="columns (truth)")
    codes = checked_codes(truth, K := len(N))
    counts = _rounded_counts(np.bincount(codes, minlength=K), N)
    shuffled = generator(seed).permutation(len(codes))
    by_truth = shuffled[np.argsort(codes[shuffled], kind="stable")]
    labels = np.empty(len(codes), dtype=np.int64)
    labels[by_truth] = np.repeat(np.tile(np.arange(K), K), counts.T.ravel())
    return labels


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
