"""The majority vote of a wide matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from polars_crowd.arrays import Ints, Probabilities
from polars_crowd.compat.cleanlab.valid import as_model, check_inputs
from polars_crowd.compat.cleanlab.wide import Labels, Positions, Wide, read_wide, to_runs
from polars_crowd.consensus.majority_vote import break_ties, count_ties, majority_labels
from polars_crowd.rounds.opening import rounds_of
from polars_crowd.rounds.partitions import Partition
from polars_crowd.signatures import checked


@checked
def get_majority_vote_label(
    labels_multiannotator: Labels, pred_probs: NDArray[Any] | None = None, verbose: bool = True
) -> Ints:
    """The label that most annotators chose, for each example.

    Ties are broken as by `polars_crowd.majority_vote`.

    Parameters
    ----------
    labels_multiannotator
        The wide matrix, (N, M): class numbers 0, 1, ..., K-1, NaN where an annotator gave no label.
    pred_probs
        Probabilities, (N, K).
    verbose
        Whether to check the input, and to print which classes are nobody's consensus.

    Returns
    -------
    array of int64, (N,)
        The majority vote. Without the check, an example without labels counts as one where all classes tie.

    Raises
    ------
    ValueError, TypeError
        As `assert_valid_inputs_multiannotator`, when `verbose`.

    Agrees with
    -----------
    cleanlab 2.9, `get_majority_vote_label`, but for ties that are left: they go to the first class, where
    cleanlab draws at random, and fails if every example is tied.

    Examples
    --------
    >>> import numpy as np
    >>> get_majority_vote_label(np.array([[0, 0, 1], [1, 1, np.nan], [0, 1, np.nan]])).tolist()
    [0, 1, 0]
    """
    wide = read_wide(labels_multiannotator)
    if verbose:
        check_inputs(wide, pred_probs)
    majority = _majority(wide, None if pred_probs is None else as_model(pred_probs))
    if verbose:
        caution_lost_classes(wide, majority, "majority_vote")
    return majority


def _majority(wide: Wide, model: Probabilities | None) -> Positions:
    n_classes = int(wide.label.max()) + 1 if model is None else model.shape[1]
    run = to_runs(wide, [] if model is None else [model], n_classes)
    rounds = rounds_of(run)
    ties = break_ties(rounds, rounds.run(count_ties))
    majority = np.empty(wide.shape[0], dtype=np.int64)
    voted = majority_labels(Partition(rounds.handles[0]), ties)
    majority[run.examples["example"].to_numpy()] = voted.to_numpy()
    rest = np.flatnonzero(wide.num_annotations == 0)
    probs = np.zeros((len(rest), n_classes)) if model is None else model[rest]
    majority[rest] = _without_votes(probs, wide)
    return majority


def _without_votes(probs: Probabilities, wide: Wide) -> Positions:
    """The most probable class; among several, that with fewest labels; among several, the first."""
    labels = np.bincount(wide.label.astype(np.int64), minlength=probs.shape[1])
    candidates = probs == probs.max(axis=1, keepdims=True)
    return np.asarray(np.where(candidates, labels, np.inf).argmin(axis=1))


def caution_lost_classes(wide: Wide, consensus: Positions, method: str) -> None:
    """Print the classes that annotators chose and that are no example's consensus."""
    lost = np.setdiff1d(wide.label, consensus).astype(np.int64).tolist()
    if lost:
        print(
            "CAUTION: Number of unique classes has been reduced by the consensus method "
            f"'{method}': a model trained on its consensus labels will not know the classes below. "
            "They may be chosen too rarely to win; if they matter, correct some labels by hand.\n"
            f"Classes in the original data but not in consensus labels: {lost}"
        )
