"""Logs as wide tables, examples x annotators, and back.

For what other tools and spreadsheets give and want; nothing in this library needs a log in this form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Unpack

import numpy as np
import polars as pl

from polars_crowd.errors import SHOWN, Advice, AnnotationError, missing_column, shown, warn
from polars_crowd.inputs.checks import null_ids
from polars_crowd.inputs.log import LOG_COLUMNS, scan_annotations
from polars_crowd.inputs.missing import as_written, is_this
from polars_crowd.inputs.objects import column_of, frame_of_pandas, is_pandas
from polars_crowd.inputs.parts import is_text, settled, written_as_integer
from polars_crowd.inputs.sources import check_effect, open_parts, stacked
from polars_crowd.inputs.text import Reading, ReadingOptions
from polars_crowd.signatures import shares

Ids = str | Sequence[Any] | Literal[False] | None
SAY = Advice(
    "Say which column holds the examples' ids, or that none does",
    python="example='NAME', or example=False",
    command="--example NAME, or --example - for none",
)
WHAT = "the wide log"


@shares(ReadingOptions, Reading)
def from_wide(
    matrix: Any,
    *,
    example: Ids = None,
    annotators: Sequence[Any] | None = None,
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
    table = _chosen(_table(matrix, Reading(**reading)), example, annotators, as_written(missing))
    if len(table.annotators) != table.labels.width:
        raise AnnotationError(
            f"{table.labels.width} columns of labels, but {len(table.annotators)} annotators."
        )
    long = (
        table.labels.with_columns(table.ids.alias("example"))
        .lazy()
        .unpivot(index="example", variable_name="annotator", value_name="label")
    )
    given = pl.lit(pl.Series(table.annotators))
    annotator = given.gather(pl.col("annotator").cast(pl.UInt32)).alias("annotator")
    log = scan_annotations(long.with_columns(annotator), missing=missing)
    return _typed(log) if missing and table.is_written else log


def _typed(log: pl.LazyFrame) -> pl.LazyFrame:
    """The labels of a text file as integers if all that are left are written so."""
    whole = written_as_integer(pl.col("label").cast(pl.String)).all()
    return log.cast({"label": pl.Int64}) if log.select(whole).collect().item() else log


# --- the table -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """A wide table, its columns by number."""

    columns: pl.DataFrame
    """Called 0, 1, ..., for names need not be text."""
    names: list[Any]
    rows: pl.Series
    """What the rows are called, where no column says it."""
    may_have_ids: bool = True
    """Whether a column may say it."""
    is_written: bool = False
    """Whether the columns come from text, which does not say types."""


@dataclass(frozen=True)
class Labels:
    """A wide table in its parts."""

    labels: pl.DataFrame
    """The columns of labels, called 0, 1, ..."""
    ids: pl.Series
    annotators: list[Any]
    is_written: bool


def _table(matrix: Any, reading: Reading) -> Table:
    if is_pandas(matrix) or isinstance(matrix, np.ndarray):
        check_effect(reading, frozenset(), WHAT)
    if is_pandas(matrix):
        frame = frame_of_pandas(matrix.reset_index(drop=True), WHAT)
        index = column_of("example", matrix.index.tolist(), WHAT)
        is_numbered = matrix.index.name is None and index.dtype.is_integer()
        return Table(_numbered(frame), list(matrix.columns), index, may_have_ids=is_numbered)
    if isinstance(matrix, np.ndarray):
        if matrix.ndim != 2:
            raise AnnotationError(f"a wide log has two dimensions, not {matrix.ndim}.")
        names = list(range(matrix.shape[1]))
        columns = {str(k): _column(matrix[:, k]) for k in names}
        return Table(pl.DataFrame(columns), names, _row_numbers(len(matrix)), may_have_ids=False)
    parts = open_parts(matrix, WHAT, reading)
    frame = stacked(settled(parts), WHAT).collect()
    is_written = any(part.integers for part in parts)
    rows = _row_numbers(frame.height)
    return Table(_numbered(frame), frame.columns, rows, is_written=is_written)


def _row_numbers(n: int) -> pl.Series:
    return pl.Series(range(n), dtype=pl.Int64)


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.rename({name: str(k) for k, name in enumerate(frame.columns)})


def _column(values: np.ndarray) -> pl.Series:
    return pl.Series(values) if values.dtype != object else column_of("", values, WHAT)


def _chosen(
    table: Table, example: Ids, annotators: Sequence[Any] | None, missing: Sequence[str]
) -> Labels:
    """The ids and the labels of a table."""
    given = None if annotators is None else list(annotators)
    chosen = given if given and set(given) <= set(table.names) else None
    at = _ids_at(table, example, chosen, missing)
    labels = [k for k in range(len(table.names)) if k != at]
    if chosen is not None:
        labels = [table.names.index(name) for name in chosen]
    frame = _numbered(table.columns.select(str(k) for k in labels))
    names = given if given is not None else [table.names[k] for k in labels]
    ids = _ids(table, example, at)
    if len(ids) != frame.height:
        raise AnnotationError(f"{frame.height} rows of labels, but {len(ids)} examples.")
    return Labels(_of_one_type(frame, names), ids, names, table.is_written)


def _ids(table: Table, example: Ids, at: int | None) -> pl.Series:
    if at is not None:
        return table.columns[str(at)]
    if example is False:
        return _row_numbers(table.columns.height)
    return table.rows if example is None else pl.Series(example)


def _ids_at(
    table: Table, example: Ids, chosen: Sequence[Any] | None, missing: Sequence[str]
) -> int | None:
    """Where the column of ids is, if there is one."""
    if example is None and "example" in table.names:
        return table.names.index("example")
    if isinstance(example, str):
        if example not in table.names:
            raise missing_column(WHAT, example, list(map(str, table.names)), SAY)
        return table.names.index(example)
    if example is not None or not table.may_have_ids:
        return None
    labels = None if chosen is None else [table.names.index(name) for name in chosen]
    columns = table.columns
    for value in missing:
        filled = [pl.when(~is_this(c.name, c.dtype, value)).then(c.name) for c in columns]
        columns = columns.select(filled)
    found = _ids_among(columns, labels)
    names = [str(table.names[k]) for k in found]
    if len(found) > 1 or (found and not _is_different(table.columns[str(found[0])])):
        raise AnnotationError(
            f"{shown(names)} could hold the examples' ids: no value there is in another column. "
            "Ids that are sure are different in every row, in one column.",
            SAY,
            source=WHAT,
        )
    if found:
        warn(f"the examples' ids are taken from column {names[0]!r} of {WHAT}.", SAY)
    return next(iter(found), None)


def _ids_among(frame: pl.DataFrame, labels: Sequence[int] | None) -> list[int]:
    """Which columns may hold ids: they have no value that is in one of the `labels`, by default the others.

    Their values are different in every row; if there are none such, they are text where all else is numbers.
    """
    places = range(frame.width)
    free = [k for k in places if k not in (labels or ()) and not frame[str(k)].dtype.is_float()]
    different = [k for k in free if _is_different(frame[str(k)])]
    texts = [k for k in free if is_text(frame[str(k)].dtype)]
    alone = (
        texts
        if len(texts) == 1 < sum(frame[str(k)].null_count() < frame.height for k in places)
        else []
    )
    among = places if labels is None else labels
    return [k for k in different or alone if _is_apart(frame, k, [a for a in among if a != k])]


def _is_different(values: pl.Series) -> bool:
    return not values.null_count() and values.n_unique() == len(values)


def _is_apart(frame: pl.DataFrame, column: int, others: Sequence[int]) -> bool:
    """Whether no value of a column, as it is written, is in any of the others."""
    if not others or frame.is_empty():
        return False
    values = frame[str(column)].cast(pl.String).implode()
    found = frame.select(pl.col(str(k)).cast(pl.String).is_in(values).any() for k in others)
    return not any(found.row(0))


def _of_one_type(frame: pl.DataFrame, names: Sequence[Any]) -> pl.DataFrame:
    """The labels in one type: as text, if some are text and all others whole numbers."""
    empty = [c.name for c in frame if c.null_count() == frame.height]
    frame = frame.with_columns(pl.lit(None).alias(name) for name in empty)
    filled = {name: frame[name].dtype for name in frame.columns if name not in empty}
    if len(set(filled.values())) <= 1 or all(dtype.is_numeric() for dtype in filled.values()):
        return frame.with_columns(_integers_again(frame))
    if all(is_text(dtype) or dtype.is_integer() for dtype in filled.values()):
        return frame.with_columns(pl.col(list(filled)).cast(pl.String))
    types = {str(names[int(name)]): str(dtype) for name, dtype in filled.items()}
    raise AnnotationError(
        f"has labels of several types, {', '.join(f'{n!r} {t}' for n, t in list(types.items())[:SHOWN])}.",
        Advice("Make them one type, or say which columns are labels", python="annotators=[...]"),
        source=WHAT,
    )


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
