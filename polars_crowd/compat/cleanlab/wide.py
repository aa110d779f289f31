"""The wide matrix of labels, (examples x annotators), NaN for no label, as a list of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Floats, Ints, Probabilities
from polars_crowd.compat.cleanlab.pandas_extra import pd
from polars_crowd.runs.classes import Runs, sort_runs
from polars_crowd.runs.codes import Codebook
from polars_crowd.signatures import checked

Labels: TypeAlias = "pd.DataFrame | NDArray[Any]"
Positions: TypeAlias = Ints

NO_STRINGS = (
    "Labels cannot be strings, the wide format holds class numbers 0, 1, ..., K-1: convert them "
    "with format_multiannotator_labels, or give the long log to polars_crowd.crowdlab, which takes "
    "strings as they are."
)


@dataclass(frozen=True)
class Wide:
    """The labels of a wide matrix, row by row, and the ids of its rows and columns, if any."""

    example: Positions
    annotator: Positions
    label: NDArray[Any]
    shape: tuple[int, int]
    index: pd.Index[Any] | None = None
    columns: pd.Index[Any] | None = None

    @cached_property
    def num_annotations(self) -> Positions:
        """The number of labels of each row."""
        return np.bincount(self.example, minlength=self.shape[0])

    @cached_property
    def num_examples_labeled(self) -> Positions:
        """The number of labels of each column."""
        return np.bincount(self.annotator, minlength=self.shape[1])

    @property
    def holds_integers(self) -> bool:
        """Whether the matrix was of an integer type, and so without NaN."""
        return bool(np.issubdtype(self.label.dtype, np.integer))


def read_wide(labels: Labels) -> Wide:
    """The labels of a pandas frame or a numpy array."""
    if isinstance(labels, pd.DataFrame):
        return read_matrix(_as_floats(labels), labels.index, labels.columns)
    if isinstance(labels, np.ndarray):
        return read_matrix(labels)
    raise ValueError(
        "labels_multiannotator must be either a NumPy array or Pandas DataFrame, "
        f"not {type(labels).__name__}."
    )


def _as_floats(frame: pd.DataFrame) -> Floats:
    try:
        return frame.replace(pd.NA, np.nan).astype(float).to_numpy()
    except ValueError as error:
        raise ValueError(f"{error}. {NO_STRINGS}") from error


def read_matrix(
    matrix: NDArray[Any], index: pd.Index[Any] | None = None, columns: pd.Index[Any] | None = None
) -> Wide:
    """The labels of a numpy array, with the ids of its rows and columns."""
    if matrix.ndim != 2:
        raise ValueError(
            f"labels_multiannotator must be a 2D array or dataframe, not one of {matrix.ndim} "
            "dimensions: one row per example, one column per annotator."
        )
    if matrix.dtype.kind in "OUT" and any(isinstance(label, str) for label in matrix.ravel()):
        raise ValueError(NO_STRINGS)
    labelled = ~np.isnan(matrix)
    example, annotator = np.nonzero(labelled)
    return Wide(example, annotator, matrix[labelled], matrix.shape, index, columns)


def to_runs(wide: Wide, models: Sequence[Probabilities], n_classes: int) -> Runs:
    """The sorted runs of the labelled examples; annotators and classes are their numbers."""
    log = {
        "example": wide.example,
        "annotator": wide.annotator,
        "label": wide.label.astype(np.int64),
    }
    book = Codebook(
        classes=pl.Series(range(n_classes), dtype=pl.Int64),
        names=tuple(map(str, range(n_classes))),
        annotators=pl.Series(range(wide.shape[1]), dtype=pl.Int64),
    )
    run = sort_runs(pl.LazyFrame(log), [], book=book, duplicates="all")
    if run.examples.height < wide.shape[0]:
        models = [p[run.examples["example"].to_numpy()] for p in models]
    return replace(run, models=tuple(models))


@checked
def convert_long_to_wide_dataset(labels_multiannotator_long: pd.DataFrame) -> pd.DataFrame:
    """The wide matrix of a long log, for the other functions of this module, as cleanlab 2.9 has it.

    `polars_crowd.crowdlab` takes the long log itself.

    Parameters
    ----------
    labels_multiannotator_long
        One row per annotation, with the columns `task` (the example), `annotator`, `label`.

    Returns
    -------
    DataFrame
        One row per task, one column per annotator, both sorted; NaN where there is no annotation.

    Raises
    ------
    KeyError, ValueError
        A column is missing; an annotator labelled a task more than once.

    Examples
    --------
    >>> import pandas as pd
    >>> long = pd.DataFrame({"task": [0, 0, 1], "annotator": ["a", "b", "a"], "label": [1, 0, 1]})
    >>> convert_long_to_wide_dataset(long)
       a    b
    0  1.0  0.0
    1  1.0  NaN
    """
    wide = labels_multiannotator_long.pivot(index="task", columns="annotator", values="label")
    return wide.rename_axis(index=None, columns=None)
