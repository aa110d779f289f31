"""What users call of cleanlab's `internal.multiannotator_utils`: checking and formatting labels."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polars_crowd.compat.cleanlab.pandas_extra import pd
from polars_crowd.compat.cleanlab.valid import check_inputs
from polars_crowd.compat.cleanlab.wide import Labels, read_matrix

__all__ = ["assert_valid_inputs_multiannotator", "format_multiannotator_labels"]


def format_multiannotator_labels(labels: Labels) -> tuple[pd.DataFrame, dict[int, Any]]:
    """Labels of any kind as class numbers 0, 1, ..., K-1, in the order of the sorted labels.

    Parameters
    ----------
    labels
        The wide matrix, (N, M): strings, numbers or booleans; missing where NaN, NA or None (or, in an array
        of strings, `"nan"`).

    Returns
    -------
    DataFrame, dict
        The same matrix with class numbers; the label of each number.

    Raises
    ------
    TypeError
        Not a numpy array or pandas frame, or labels that cannot be sorted.

    Agrees with
    -----------
    cleanlab 2.9, `internal.multiannotator_utils.format_multiannotator_labels`, but that `None` in an array is
    missing (cleanlab: TypeError), and numbers with fractions are labels (cleanlab cuts the fractions off).

    Examples
    --------
    >>> import numpy as np
    >>> numbers, names = format_multiannotator_labels(np.array([["cat", "dog"], ["dog", "dog"]]))
    >>> numbers.to_numpy().tolist()
    [[0, 1], [1, 1]]
    >>> [str(name) for name in names.values()]
    ['cat', 'dog']
    """
    if not isinstance(labels, (np.ndarray, pd.DataFrame)):
        raise TypeError(
            f"labels must be 2D numpy array or pandas DataFrame, not {type(labels).__name__}."
        )
    values = labels.to_numpy() if isinstance(labels, pd.DataFrame) else labels
    names = dict(enumerate(_sorted_labels(values)))
    frame = labels if isinstance(labels, pd.DataFrame) else pd.DataFrame(labels)
    with (
        warnings.catch_warnings()
    ):  # pandas 2 warns that a column of numbers becomes one, as it should
        warnings.filterwarnings("ignore", "Downcasting behavior", FutureWarning)
        return frame.replace({name: number for number, name in names.items()}), names


def _sorted_labels(values: NDArray[Any]) -> NDArray[Any]:
    """The distinct labels, sorted; floats that are whole only because of NaN become integers."""
    found = pd.unique(values.ravel())
    missing = np.array([bool(pd.isna(v)) or v == "nan" for v in found], dtype=bool)
    labels = np.sort(found[~missing])
    whole = labels.dtype == np.float64 and bool((labels == np.floor(labels)).all())
    return labels.astype(np.int64) if whole else labels


def assert_valid_inputs_multiannotator(
    labels_multiannotator: NDArray[Any],
    pred_probs: NDArray[Any] | None = None,
    ensemble: bool = False,
    allow_single_label: bool = False,
    annotator_ids: pd.Index[Any] | None = None,
) -> None:
    """Check labels and pred_probs as the functions of `polars_crowd.compat.cleanlab` do.

    Parameters
    ----------
    labels_multiannotator
        The wide matrix, (N, M): class numbers 0, 1, ..., K-1, NaN where an annotator gave no label.
    pred_probs, ensemble
        Probabilities, (N, K), or (P, N, K) of an ensemble.
    allow_single_label
        Whether one annotator, or one label for every example, will do.
    annotator_ids
        The annotators' names, for errors.

    Raises
    ------
    ValueError, TypeError
        Labels that are not 2D, are strings, fractions or negative; rows or columns without a label; a single
        annotator, or one label for every example; pred_probs that are no array of a shape that fits.

    Warns
    -----
    UserWarning
        No two annotators agree on any example.

    Agrees with
    -----------
    cleanlab 2.9, `internal.multiannotator_utils.assert_valid_inputs_multiannotator`.

    Examples
    --------
    >>> import numpy as np
    >>> assert_valid_inputs_multiannotator(np.array([[0, 0], [1, np.nan]]))
    >>> assert_valid_inputs_multiannotator(np.array([[0, 0], [np.nan, np.nan]]))
    Traceback (most recent call last):
        ...
    ValueError: labels_multiannotator cannot have rows with all NaN; drop these examples.
    Examples [1] do not have any labels.
    """
    wide = read_matrix(labels_multiannotator, columns=annotator_ids)
    check_inputs(wide, pred_probs, ensemble, allow_single_label)
