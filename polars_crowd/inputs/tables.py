"""Tables beside the log, such as known labels: which of their columns holds the ids, and which the labels.

A column goes by the name that it has in the log, or by ours (`example`, `label`). In a table of two columns
one of which is found so, the other is the other one. Anything else is an error that names the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from polars_crowd.errors import (
    Advice,
    AnnotationError,
    OptionError,
    counted,
    missing_column,
    rows_shown,
)
from polars_crowd.inputs.log import LOG_COLUMNS, HoldsLog, is_labelled, open_rows
from polars_crowd.inputs.sources import is_path, open_frame

NAME_LABELS = Advice(
    "It has a row per example, its id and its label. Say which columns these are",
    python="rename them `example` and `label`",
    command="--example NAME, --truth-label NAME",
)
NAME_IDS = Advice(
    "Say which column holds the ids of examples",
    python="rename it `example`",
    command="--example NAME, as in the log",
)


def labels_beside(
    source: Any,
    what: str,
    *,
    example: str = "example",
    label: str = "label",
    truth_label: str | None = None,
) -> pl.LazyFrame:
    """A table of labels as `example`, `label`; `what` names it in errors.

    `example` and `label` are the log's own names of these columns, `truth_label` what the caller says that
    the labels are called here.

    >>> import polars as pl
    >>> truth = pl.DataFrame({"item_id": [7], "gold": ["cat"]})
    >>> labels_beside(truth, "truth", example="item_id").collect().rows()
    [(7, 'cat')]
    """
    frame = open_frame(source, what)
    columns = list(frame.collect_schema())
    labels = [label, "label"] if truth_label is None else [truth_label]
    ids, of_labels = (first_of(names, columns) for names in ([example, "example"], labels))
    ids = ids or _other(columns, of_labels)
    if truth_label is None:
        of_labels = of_labels or _other(columns, ids)
    if ids is None:
        raise missing_column(what, example, columns, NAME_LABELS)
    if of_labels is None:
        raise missing_column(what, labels[0], columns, NAME_LABELS)
    return frame.select(example=ids, label=of_labels)


def ids_beside(source: Any, what: str, *, example: str = "example") -> pl.LazyFrame:
    """A table of examples as `example` and its other columns; a single column holds the ids."""
    frame = open_frame(source, what)
    columns = list(frame.collect_schema())
    ids = columns[0] if len(columns) == 1 else first_of([example, "example"], columns)
    if ids is None:
        raise missing_column(what, example, columns, NAME_IDS)
    return frame.select(pl.col(ids).alias("example"), *(c for c in columns if c != ids))


def first_of(names: Sequence[str], columns: Sequence[str]) -> str | None:
    """The first of the names that is a column."""
    return next((name for name in names if name in columns), None)


def _other(columns: Sequence[str], one: str | None) -> str | None:
    """Of two columns the one that is not this one."""
    others = [column for column in columns if column != one]
    return others[0] if one and len(columns) == 2 else None


# --- labels in a column of the log -----------------------------------------------------------------

NEEDED = Advice(
    "Give the known label of each example, null where it is not known",
    python="log.with_columns(gold=pl.when('is_gold').then('label')), gold='gold'",
)


def labels_in(rows: pl.LazyFrame, column: str, what: str) -> pl.DataFrame:
    """A column of the log, whose values are labels of their rows' examples, as `example`, `label`.

    Raises
    ------
    AnnotationError
        The column is one of the three, or marks rows only; rows of one example say different labels.
    """
    schema = rows.collect_schema()
    if column in LOG_COLUMNS:
        raise AnnotationError(
            f"is what the annotations themselves say, not the {what} labels.",
            NEEDED,
            source="the log",
            column=column,
        )
    known = rows.select("example", label=pl.col(column))
    known = known.filter(pl.col("example").is_not_null(), is_labelled(schema[column]))
    found = known.unique(maintain_order=True).collect()
    if _are_marks(found["label"], rows):
        raise AnnotationError(
            f"is true or false: it marks rows, and the {what} labels themselves are needed.",
            NEEDED,
            source="the log",
            column=column,
        )
    twice = found.filter(pl.col("example").is_duplicated()).sort("example", "label")
    if twice.height:
        examples = counted(twice["example"].n_unique(), "example")
        named = twice.rename({"label": column})
        raise AnnotationError(
            f"says different labels in the rows of {examples}:\n{rows_shown(named, *named.columns)}",
            "Keep one label per example.",
            source="the log",
            column=column,
        )
    return found


MARKS = frozenset({"true", "false", "yes", "no", "y", "n", "1", "0"})
"""What columns say that mark rows, in whatever case."""


def _are_marks(values: pl.Series, rows: pl.LazyFrame) -> bool:
    """Whether these values mark rows: none of them is a label of the log."""
    said = {str(value) for value in values.unique().to_list()}
    if not said or not {value.lower() for value in said} <= MARKS:
        return False
    labels = rows.select(pl.col("label").unique()).collect().to_series()
    return said.isdisjoint(map(str, labels.to_list()))


def log_and_labels(
    log: Any, given: Any, what: str, truth_label: str | None = None
) -> tuple[Any, Any]:
    """A log, and known labels beside it: a text is the name of a column of the log, or else a path.

    `truth_label` is what the caller says that the labels are called in a table.
    """
    column = None
    if isinstance(given, str):
        rows = open_rows(log)
        log = log if isinstance(log, HoldsLog) else rows
        columns = list(rows.collect_schema())
        column = given if given in columns else None
        if column is None and not is_path(given):
            raise missing_column("the log", given, columns, COLUMN_OR_FILE)
    if truth_label is not None and (given is None or column is not None):
        raise OptionError("truth_label", truth_label, f"it is about a table of {what} labels.")
    if column is not None:
        return log, labels_in(rows, column, what)
    if truth_label is not None:
        return log, labels_beside(given, what, truth_label=truth_label)
    return log, given


COLUMN_OR_FILE = Advice(
    "What is known is a column of the log, or a table",
    python="a frame, or the path of a file",
    command="the path of a file",
)
