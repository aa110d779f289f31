"""Tables of counts, examples x classes: how many annotators chose each class. What many papers publish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, Unpack

import polars as pl

from polars_crowd.errors import Advice, counted, warn
from polars_crowd.inputs.frequency import checked_counts
from polars_crowd.inputs.log import scan_annotations
from polars_crowd.inputs.matrices import Ids, ids_beside_counts, of_one_type, read_table
from polars_crowd.inputs.pred_probs import class_names
from polars_crowd.inputs.text import Reading, ReadingOptions
from polars_crowd.signatures import shares

CHOOSE = Advice("Say which columns are counts", python="classes=[...]", command="--label A,B,C")


@shares(ReadingOptions, Reading)
def from_counts(
    counts: Any,
    *,
    example: Ids = None,
    classes: Sequence[Any] | None = None,
    frequency: str | None = None,
    label_type: Literal["number"] | None = None,
    **reading: Unpack[ReadingOptions],
) -> pl.LazyFrame:
    """The log behind a table of counts: one row per example, one column per class, how many chose it.

    Nobody knows any more who chose what: the annotators are anonymous, numbered within the example. So
    coefficients that ask who voted (Cohen's, Conger's, Light's, Scott's) and methods that judge annotators
    refuse this log.

    Parameters
    ----------
    counts
        A table of shape (examples, classes): a frame, a path or whatever else `scan_annotations` takes, or a
        numpy array, with whole numbers of at least 0.
    example
        The column with the examples' ids, or the ids, or False if there are none: then they are the
        row numbers from 0. By default the column called `example`, else a pandas frame's index, if it is
        not just numbers; else the column of text, or the one that counts the rows or without which all rows
        have the same sum, of which a warning tells; else the row numbers.
    classes
        The columns of counts, if there are others; or the classes, one for each column of counts. By default
        the columns' names. The labels are an Enum of these, in this order, with classes that nobody chose.
    frequency
        The column that says how many examples had just these counts: each row is a pattern. The examples are
        called `id#1`, `id#2`, ... by the row's id.
    label_type
        `"number"` if the classes are numbers: labels are `Float64`.

    Returns
    -------
    LazyFrame
        `example`, `annotator`, `label`, one row per vote; their number is the sum of all counts.

    Raises
    ------
    AnnotationError
        A count is missing, negative or a fraction; several columns have one name, or could be the examples'
        ids; ids or classes are not as many as rows or columns.

    Warns
    -----
    AnnotationWarning
        Which column was taken for the examples' ids; rows without a vote, which are left out.

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({"item": ["a", "b"], "yes": [2, 0], "no": [1, 3]})
    >>> log = from_counts(table, example="item")
    >>> log.sort("example").collect().rows()[:3]
    [('a', '#1', 'yes'), ('a', '#2', 'yes'), ('a', '#3', 'no')]
    """
    table = read_table(counts, "the table of counts", Reading(**reading), ("counts", "classes"))
    split = table.split(example, classes, frequency, ids_beside_counts)
    names = class_names(split.names)
    values = of_one_type(split, CHOOSE).rename(dict(zip(split.values.columns, names, strict=True)))
    whole = checked_counts(values.lazy(), names, split.what).collect()
    _warn_of_none(whole, split.what)
    places = dict(zip(names, split.values.columns, strict=True))
    split = replace(split, values=whole.rename(places), names=names)
    votes = split.long("label", "votes").with_columns(pl.col("label").cast(pl.Enum(names)))
    each = votes.with_columns(pl.int_ranges("votes").alias("votes")).explode(
        "votes", empty_as_null=False
    )
    times = None if frequency is None else "frequency"
    return scan_annotations(
        each.drop("votes"), annotator=None, frequency=times, label_type=label_type
    )


def _warn_of_none(counts: pl.DataFrame, what: str) -> None:
    """Of rows without a vote."""
    empty = int((counts.sum_horizontal() == 0).sum()) if counts.width else 0
    if empty:
        warn(f"{counted(empty, 'row')} of {what} without a vote: no annotations, and left out.")
