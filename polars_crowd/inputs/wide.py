"""Logs as wide matrices, examples x annotators, and back.

For what other tools give and want; nothing in this library needs a log in this form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.errors import AnnotationError
from polars_crowd.inputs.checks import null_ids
from polars_crowd.inputs.log import LOG_COLUMNS, scan_annotations
from polars_crowd.inputs.sources import open_frame


def from_wide(
    matrix: Any,
    *,
    example: str | Sequence[Any] | None = None,
    annotators: Sequence[Any] | None = None,
    missing: Sequence[Any] = (),
) -> pl.LazyFrame:
    """The log held in a wide matrix: one row per example, one column per annotator.

    Parameters
    ----------
    matrix
        A Polars or pandas frame, or a numpy array, of shape (examples, annotators); a null or NaN means that
        the annotator did not label the example. Labels that are floats only because of NaN become integers.
    example
        The column with the examples' ids, or the ids. By default a pandas frame's index, else the
        row numbers from 0.
    annotators
        The annotators' ids; by default the columns' names (the column numbers of a numpy array).
    missing
        Labels that say that there is none, as for `scan_annotations`: `["NA", -1]`.

    Returns
    -------
    LazyFrame
        `example`, `annotator`, `label`, one row per annotation.

    Examples
    --------
    >>> import polars as pl
    >>> wide = pl.DataFrame({"a1": ["x", "y"], "a2": ["x", None]})
    >>> from_wide(wide).sort("example", "annotator").collect().rows()
    [(0, 'a1', 'x'), (0, 'a2', 'x'), (1, 'a1', 'y')]
    """
    frame, ids, names = _wide_parts(matrix, example)
    given = pl.Series(annotators if annotators is not None else names)
    if len(given) != frame.width:
        raise AnnotationError(f"{frame.width} columns of labels, but {len(given)} annotators.")
    if len(ids) != frame.height:
        raise AnnotationError(f"{frame.height} rows of labels, but {len(ids)} examples.")
    wide = frame.rename(dict(zip(frame.columns, map(str, range(frame.width)), strict=True)))
    long = (
        wide.with_columns(ids.alias("example"))
        .lazy()
        .unpivot(index="example", variable_name="annotator", value_name="label")
    )
    annotator = pl.lit(given).gather(pl.col("annotator").cast(pl.UInt32))
    return scan_annotations(long.with_columns(annotator.alias("annotator")), missing=missing)


def _wide_parts(
    matrix: Any, example: str | Sequence[Any] | None
) -> tuple[pl.DataFrame, pl.Series, list[Any]]:
    """The labels as a frame, the examples' ids and the annotators' names."""
    names: list[Any]
    if type(matrix).__module__.partition(".")[0] == "pandas":
        if isinstance(example, str):
            matrix = matrix.set_index(example)
        names, ids = list(matrix.columns), pl.from_pandas(matrix.index.to_series())
        frame = pl.from_pandas(matrix.set_axis(list(map(str, range(len(names)))), axis=1))
    elif isinstance(matrix, np.ndarray):
        if matrix.ndim != 2:
            raise AnnotationError(f"a wide log has two dimensions, not {matrix.ndim}.")
        names, ids = list(range(matrix.shape[1])), pl.Series(range(len(matrix)), dtype=pl.Int64)
        frame = pl.DataFrame({str(k): _column(matrix[:, k]) for k in names})
    else:
        frame = open_frame(matrix, "the wide log").collect()
        ids = pl.Series(range(frame.height), dtype=pl.Int64)
        if isinstance(example, str):
            ids = frame[example]
            frame = frame.drop(example)
        names = frame.columns
    if example is not None and not isinstance(example, str):
        ids = pl.Series(example)
    return frame.with_columns(_integers_again(frame)), ids, names


def _column(values: np.ndarray) -> pl.Series:
    if values.dtype != object:
        return pl.Series(values)
    # NaN is the only value that differs from itself
    return pl.Series([None if v is None or v != v else v for v in values.tolist()])


def _integers_again(frame: pl.DataFrame) -> list[pl.Expr]:
    """Float columns of whole numbers, NaN for missing, as integers."""
    floats = [c for c in frame.columns if frame[c].dtype.is_float()]
    values = [frame[c].fill_nan(None).drop_nulls() for c in floats]
    whole = all(bool((v == v.round()).all()) for v in values)
    return [pl.col(c).fill_nan(None).cast(pl.Int64 if whole else pl.Float64) for c in floats]


def to_wide(log: Any) -> pl.DataFrame:
    """The log as a wide frame: `example` and one column per annotator, null where not labelled.

    This is for logs that fit densely in memory; nothing in this library needs it. Examples and
    annotators are sorted.

    Raises
    ------
    AnnotationError
        An annotator labelled an example more than once: a wide frame has one place for it. An
        example or annotator is null.

    Examples
    --------
    >>> import polars as pl
    >>> log = pl.DataFrame({"example": [2, 1], "annotator": ["b", "a"], "label": ["x", "y"]})
    >>> to_wide(log).rows(named=True)
    [{'example': 1, 'a': 'y', 'b': None}, {'example': 2, 'a': None, 'b': 'x'}]
    """
    frame = scan_annotations(log).select(LOG_COLUMNS).collect()
    for column in ("example", "annotator"):
        if frame[column].null_count():
            raise null_ids(frame.lazy(), column)
    twice = frame.filter(pl.struct("example", "annotator").is_duplicated())
    if twice.height:
        raise AnnotationError(
            f"{twice.height:,} rows label an example by the same annotator more than once; "
            "keep one of each (unique(['example', 'annotator'])) before to_wide."
        )
    annotators = frame["annotator"].unique().sort()
    wide = frame.pivot("annotator", index="example", values="label").sort("example")
    return wide.select("example", *annotators.cast(pl.String).to_list())
