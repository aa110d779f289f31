"""What cleanlab accepts as labels and pred_probs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from polars_crowd.arrays import Probabilities
from polars_crowd.compat.cleanlab.wide import Wide
from polars_crowd.errors import shown, warn_again

LISTED = 20
"""Up to this many rows or columns are named in an error."""


def check_inputs(
    wide: Wide, pred_probs: Any, ensemble: bool = False, allow_single_label: bool = False
) -> None:
    """Labels, and pred_probs if they are given."""
    check_labels(wide, allow_single_label)
    if pred_probs is not None:
        check_pred_probs(pred_probs, wide, ensemble)


def check_labels(wide: Wide, allow_single_label: bool = False) -> None:
    """Every row and column has a label, labels are class numbers, and some rows have several."""
    _check_rows(wide)
    _check_columns(wide)
    if not allow_single_label:
        _check_several(wide)
    _check_class_numbers(wide.label)
    if not allow_single_label and not any_agreement(wide):
        warn_again(
            UserWarning(
                "Annotators do not agree on any example. Check input data: perhaps their labels do not "
                "mean the same."
            )
        )


def _check_rows(wide: Wide) -> None:
    empty = np.flatnonzero(wide.num_annotations == 0).tolist()
    if empty:
        raise ValueError(
            "labels_multiannotator cannot have rows with all NaN; drop these examples.\n"
            f"Examples [{shown(empty, LISTED)}] do not have any labels."
        )


def _check_columns(wide: Wide) -> None:
    empty = np.flatnonzero(wide.num_examples_labeled == 0)
    if len(empty):
        names = (empty if wide.columns is None else wide.columns[empty]).tolist()
        raise ValueError(
            "labels_multiannotator cannot have columns with all NaN; drop these annotators.\n"
            f"Annotators [{shown(names, LISTED)}] did not label any examples."
        )


def _check_several(wide: Wide) -> None:
    advice = "To score one label per example, use the model's probability of it."
    if wide.shape[1] <= 1:
        raise ValueError(f"labels_multiannotator must have more than one column. {advice}")
    if (wide.num_annotations == 1).all():
        raise ValueError(f"Each example only has one label; there is nobody to compare. {advice}")


def _check_class_numbers(label: NDArray[Any]) -> None:
    with np.errstate(invalid="ignore"):
        whole = np.mod(label, 1) == 0
    if not whole.all():
        raise ValueError(
            "Labels must be zero-indexed integers, the numbers of the classes; "
            f"{shown(np.unique(label[~whole]).tolist())} are not."
        )
    if label.min() < 0:
        raise ValueError(
            "Labels must be positive integers or 0, the numbers of the classes; "
            f"{label.min():.0f} is not."
        )


def any_agreement(wide: Wide) -> bool:
    """Whether two annotators chose the same label anywhere."""
    pairs = wide.example * (int(wide.label.max()) + 1) + wide.label.astype(np.int64)
    return len(np.unique(pairs)) < len(pairs)


def check_pred_probs(pred_probs: Any, wide: Wide, ensemble: bool) -> None:
    """pred_probs have a row per example and a column per class that was chosen, per model."""
    if pred_probs is None:
        raise ValueError("Cannot determine number of classes from None: give pred_probs.")
    check_dimensions("pred_probs", pred_probs, ensemble)
    n_examples, n_classes = pred_probs.shape[-2:]
    if n_examples != wide.shape[0]:
        raise ValueError(
            f"{'each ' if ensemble else ''}pred_probs and labels_multiannotator must have same "
            f"length: {n_examples} and {wide.shape[0]} rows."
        )
    highest = int(wide.label.max()) + 1
    if n_classes < highest:
        raise ValueError(
            f"pred_probs must have at least {highest} columns, since {highest - 1} is a label, and "
            f"have {n_classes}. The model may not know a class that is no example's consensus."
        )


def check_dimensions(name: str, probs: Any, ensemble: bool) -> None:
    """An array with an axis of models, or without."""
    if not isinstance(probs, np.ndarray):
        raise TypeError(f"{name} must be a numpy array, not {type(probs).__name__}.")
    wanted, other = (3, "the non-ensemble") if ensemble else (2, "the ensemble")
    if probs.ndim != wanted:
        hint = f" If they are meant to, use {other} version of this function."
        raise ValueError(
            f"{name} must be a {wanted}d array, these have {probs.ndim} dimensions."
            + (hint if probs.ndim in (2, 3) else "")
        )


def as_model(pred_probs: NDArray[Any]) -> Probabilities:
    """One model's pred_probs as the core takes them; a single class gets a second, unused one."""
    probs = pred_probs if pred_probs.dtype in (np.float32, np.float64) else pred_probs.astype(float)
    if np.isnan(probs.min(initial=0)):
        raise ValueError(
            f"pred_probs are NaN in {np.isnan(probs).any(axis=1).sum()} rows; predict these "
            "examples or drop them."
        )
    return np.pad(probs, ((0, 0), (0, 1))) if probs.shape[1] == 1 else probs
