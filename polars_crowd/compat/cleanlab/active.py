"""ActiveLab on a wide matrix of labels, with cleanlab's arguments and results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.active.ballots import ballots_beside, trust_in, with_ballots
from polars_crowd.active.scores import BEST_QUALITY, LabelTrust, quality_of_labels
from polars_crowd.arrays import Floats, Probabilities
from polars_crowd.compat.cleanlab.quality import caution, fit_rounds, in_range, models_of
from polars_crowd.compat.cleanlab.valid import check_dimensions, check_labels, check_pred_probs
from polars_crowd.compat.cleanlab.wide import Labels, Wide, read_wide, to_runs
from polars_crowd.rounds import unlabelled
from polars_crowd.rounds.opening import rounds_of
from polars_crowd.rounds.partitions import InMemory, Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.runs.codes import Codebook
from polars_crowd.signatures import checked

Scores = tuple[Floats, Floats]


@checked
def get_active_learning_scores(
    labels_multiannotator: Labels | None = None,
    pred_probs: NDArray[Any] | None = None,
    pred_probs_unlabeled: NDArray[Any] | None = None,
) -> Scores:
    """How well labelled and unlabelled examples are labelled, by ActiveLab: label the lowest next.

    See `polars_crowd.activelab` for the method, and for the same on a long log of any size.

    Parameters
    ----------
    labels_multiannotator
        The wide matrix, (N, M): class numbers 0, 1, ..., K-1, NaN where an annotator gave no label. M may be
        1. Not needed for unlabelled examples alone.
    pred_probs, pred_probs_unlabeled
        A model's out-of-sample probabilities of the labelled examples, (N, K), and of the others, (U, K).

    Returns
    -------
    tuple of two arrays
        The scores of the labelled examples, (N,), and of the unlabelled ones, (U,), in [0, 1] and on one
        scale; an array is empty where nothing was given for it.

    Raises
    ------
    ValueError, TypeError
        Neither pred_probs are given; labels are missing; numbers of classes or of dimensions differ; labels
        or pred_probs cannot be used (see `assert_valid_inputs_multiannotator`).

    Warns
    -----
    UserWarning
        No two annotators agree on any example.

    Agrees with
    -----------
    cleanlab 2.9, `get_active_learning_scores`, to 1e-9 (1e-5 for float32). Labels are counted on the wrong
    classes in the calibration where cleanlab does so: see `help(polars_crowd.compat.cleanlab)`.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([[0, 0, 1], [1, 1, np.nan], [np.nan, 1, 1], [0, 1, np.nan]])
    >>> probs = np.array([[0.8, 0.2], [0.3, 0.7], [0.1, 0.9], [0.6, 0.4]])
    >>> scores, unlabeled = get_active_learning_scores(labels, probs, np.array([[0.45, 0.55]]))
    >>> scores.round(3).tolist(), unlabeled.round(3).tolist()
    ([0.566, 0.639, 0.655, 0.495], [0.504])
    """
    return _scores(labels_multiannotator, pred_probs, pred_probs_unlabeled, ensemble=False)


@checked
def get_active_learning_scores_ensemble(
    labels_multiannotator: Labels | None = None,
    pred_probs: NDArray[Any] | None = None,
    pred_probs_unlabeled: NDArray[Any] | None = None,
) -> Scores:
    """As `get_active_learning_scores`, for several models.

    Arguments, returns, errors and warnings are those there; pred_probs are of P models, (P, N, K), and those
    of the unlabelled examples (P, U, K).

    Agrees with
    -----------
    cleanlab 2.9, `get_active_learning_scores_ensemble`, to 1e-9. Three differences: pred_probs are left as
    they are (cleanlab calibrates them in place); a tied vote of the models goes to the first class (cleanlab
    draws at random); one model alone is an ensemble (cleanlab: ValueError where there are unlabelled
    examples), whose vote is not checked for agreement.

    Examples
    --------
    >>> import numpy as np
    >>> unlabeled = np.array([[[0.8, 0.2], [0.4, 0.6]], [[0.7, 0.3], [0.9, 0.1]]])
    >>> scores = get_active_learning_scores_ensemble(pred_probs_unlabeled=unlabeled)
    >>> scores[0].tolist(), scores[1].round(3).tolist()
    ([], [0.667, 0.6])
    """
    return _scores(labels_multiannotator, pred_probs, pred_probs_unlabeled, ensemble=True)


def _scores(labels: Any, pred_probs: Any, pred_probs_unlabeled: Any, ensemble: bool) -> Scores:
    _check_arrays(pred_probs, pred_probs_unlabeled, ensemble)
    beside = [] if pred_probs_unlabeled is None else models_of(pred_probs_unlabeled, ensemble)
    if pred_probs is None:
        rounds, trust = trust_in(_nothing_labelled(beside), LabelTrust)
        handle = unlabelled.with_idle(rounds).handles[0]
        return np.array([]), _score_beside(Partition(handle), trust)
    if labels is None:
        raise ValueError(
            "labels_multiannotator cannot be None when passing in pred_probs: give the labels too, or "
            "pred_probs_unlabeled alone for the scores of unlabelled examples."
        )
    wide = read_wide(labels)
    once = bool((wide.num_annotations == 1).all())
    check_labels(wide, allow_single_label=once)
    check_pred_probs(pred_probs, wide, ensemble)
    rounds = _rounds(wide, pred_probs, beside, ensemble)
    rounds, trust = _labelled_once(rounds, pred_probs) if once else _weighed(rounds, wide)
    part = Partition(rounds.handles[0])
    return trust.score_annotated(part), _score_beside(part, trust) if beside else np.array([])


def _score_beside(part: Partition, trust: LabelTrust) -> Floats:
    return trust.score_unlabelled(ballots_beside(part, trust))


def _rounds(
    wide: Wide, pred_probs: NDArray[Any], beside: Sequence[Probabilities], ensemble: bool
) -> Rounds:
    models = models_of(pred_probs, ensemble)
    runs = to_runs(wide, models, models[0].shape[1])
    rest = tuple(beside) or tuple(p[:0] for p in models)
    return rounds_of(runs, lambda: (_numbers(rest), rest), is_ensemble=ensemble)


def _nothing_labelled(beside: Sequence[Probabilities]) -> Rounds:
    classes = pl.Series(range(beside[0].shape[1]), dtype=pl.Int64)
    book = Codebook(classes, tuple(map(str, classes)), pl.Series([], dtype=pl.Int64))
    handle = InMemory(read_unlabelled=lambda: (_numbers(beside), tuple(beside)), codebook=book)
    return Rounds([], book, len(beside), idle=[handle])


def _numbers(models: Sequence[Probabilities]) -> pl.Series:
    """The rows of the models' probabilities as ids."""
    return pl.Series(range(len(models[0])), dtype=pl.Int64)


def _weighed(rounds: Rounds, wide: Wide) -> tuple[Rounds, LabelTrust]:
    """Calibrated and weighed, where some examples have several labels."""
    fit = fit_rounds(rounds, wide, BEST_QUALITY, calibrate_probs=True)
    caution(fit, wide, ["crowdlab" if rounds.is_ensemble else "best_quality"])
    (consensus,) = fit.found.values()
    assert consensus.posterior.weights is not None
    assert fit.temperatures is not None
    trust = LabelTrust(consensus.posterior.weights, fit.temperatures, consensus)
    return fit.rounds, with_ballots(fit.rounds, trust)


def _labelled_once(rounds: Rounds, pred_probs: NDArray[Any]) -> tuple[Rounds, LabelTrust]:
    rounds, trust = trust_in(rounds, LabelTrust)
    quality = quality_of_labels(Partition(rounds.handles[0]).runs)
    if not in_range(pred_probs if pred_probs.ndim == 2 else pred_probs.mean(axis=0)):
        raise ValueError(
            "Values in pred_probs must be between 0 and 1, and these are not: labels would have the "
            f"qualities {quality.min():.4g} to {quality.max():.4g}. Logits need a softmax."
        )
    return rounds, trust


def _check_arrays(pred_probs: Any, pred_probs_unlabeled: Any, ensemble: bool) -> None:
    if pred_probs is None and pred_probs_unlabeled is None:
        raise ValueError(
            "pred_probs and pred_probs_unlabeled cannot both be None, specify at least one of the two."
        )
    given = {"pred_probs": pred_probs, "pred_probs_unlabeled": pred_probs_unlabeled}
    for name, probs in given.items():
        if probs is not None:
            check_dimensions(name, probs, ensemble)
    if any(probs is None for probs in given.values()):
        return
    if pred_probs.shape[-1] != pred_probs_unlabeled.shape[-1]:
        raise ValueError(
            "pred_probs and pred_probs_unlabeled must have the same number of classes, and have "
            f"{pred_probs.shape[-1]} and {pred_probs_unlabeled.shape[-1]}."
        )
    if ensemble and len(pred_probs) != len(pred_probs_unlabeled):
        raise ValueError(
            "pred_probs and pred_probs_unlabeled must be of the same models, and are of "
            f"{len(pred_probs)} and {len(pred_probs_unlabeled)}."
        )
