"""Logs as wide tables, examples x annotators, and back.

For what other tools and spreadsheets give and want; nothing in this library needs a log in this form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

import polars as pl

from polars_crowd.errors import Advice, AnnotationError
from polars_crowd.inputs.checks import null_ids
from polars_crowd.inputs.log import LOG_COLUMNS, scan_annotations
from polars_crowd.inputs.matrices import Ids, ids_apart, of_one_type, read_table
from polars_crowd.inputs.missing import as_written, is_this
from polars_crowd.inputs.parts import written_as_integer
from polars_crowd.inputs.text import Reading, ReadingOptions
from polars_crowd.signatures import checked, shares

CHOOSE = Advice(
    "Make them one type, or say which columns are labels",
    python="annotators=[...]",
    command="--annotator A,B,C",
)


@shares(ReadingOptions, Reading)
def from_wide(
    matrix: Any,
    *,
    example: Ids = None,
    annotators: Sequence[Any] | None = None,
    frequency: str | None = None,
    missing: Sequence[Any] = (),
    **reading: Unpack[ReadingOptions],
) -> pl.LazyFrame:
    """The log held in a wide table: one row per example, one column per annotator.

    Parameters
    ----------
    matrix
        A table of shape (examples, annotators): a frame, a path or whatever else `scan_annotations` takes,
        or a numpy array. A null, NaN or empty field means that the annotator did not label the example. It is
        read whole. All labels have one type: in a text file integers if every label of every annotator is
        written so, text otherwise. Labels that are floats only because of NaN become integers.
    example
        The column with the examples' ids, or the ids, or False if there are none: then they are the
        row numbers from 0. By default the column called `example`, else a pandas frame's index, if it is
        not just numbers; else the column whose values are different in every row and are no labels in any
        other, of which a warning tells; else the row numbers.
    annotators
        The columns of labels, if there are others; or the annotators' ids, one for each column of labels. By
        default the columns' names (the column numbers of a numpy array).
    frequency
        The column that says how many examples had just these labels: each row is a pattern. The examples are
        called `id#1`, `id#2`, ... by the row's id; 0 is a pattern that was not seen.
    missing
        Labels that say that there is none, as for `scan_annotations`: `["NA", -1]`.

    Returns
    -------
    LazyFrame
        `example`, `annotator`, `label`, one row per annotation.

    Raises
    ------
    AnnotationError
        Several columns have one name, or could be the examples' ids; ids or annotators are not as many as
        rows or columns; the labels are of types that do not go together.

    Warns
    -----
    AnnotationWarning
        Which column was taken for the examples' ids.

    Examples
    --------
    >>> import polars as pl
    >>> wide = pl.DataFrame({"item": [7, 8], "a1": ["x", "y"], "a2": ["x", None]})
    >>> from_wide(wide, example="item").sort("example", "annotator").collect().rows()
    [(7, 'a1', 'x'), (7, 'a2', 'x'), (8, 'a1', 'y')]
    """
    table = read_table(matrix, "the wide log", Reading(**reading))
    look = partial(_look, missing=as_written(missing))
    split = table.split(example, annotators, frequency, look)
    split = replace(split, values=of_one_type(split, CHOOSE))
    times = None if frequency is None else "frequency"
    log = scan_annotations(split.long("annotator", "label"), missing=missing, frequency=times)
    return _typed(log) if missing and table.is_written else log


def _look(
    frame: pl.DataFrame, free: Sequence[str], labels: Sequence[str], missing: Sequence[str]
) -> list[str]:
    """Which columns hold ids, where labels that say that there is none are none."""
    for value in missing:
        filled = [pl.when(~is_this(c.name, c.dtype, value)).then(c.name) for c in frame]
        frame = frame.select(filled)
    return ids_apart(frame, free, labels)


def _typed(log: pl.LazyFrame) -> pl.LazyFrame:
    """The labels of a text file as integers if all that are left are written so."""
    whole = written_as_integer(pl.col("label").cast(pl.String)).all()
    return log.cast({"label": pl.Int64}) if log.select(whole).collect().item() else log


@checked
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
            f"the log: {twice.height:,} rows label an example by the same annotator more than once; "
            "keep one of each (unique(['example', 'annotator'])) before to_wide."
        )
    annotators = frame["annotator"].unique().sort()
    if "example" in annotators.cast(pl.String):
        raise AnnotationError(
            "has an annotator called 'example', as the column of ids is called in a wide table.",
            "Rename the annotator.",
            source="the log",
            column="annotator",
        )
    wide = frame.pivot("annotator", index="example", values="label").sort("example")
    return wide.select("example", *annotators.cast(pl.String).to_list())
