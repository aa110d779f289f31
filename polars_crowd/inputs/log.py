"""The door for annotations: any frame, file or dataset becomes a lazy log.

A **log** is a LazyFrame with the columns `example`, `annotator`, `label`, one row per annotation, and
whatever other columns travel along. Nothing here reads more than a schema; what the rows hold is checked
where they are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import polars as pl

from polars_crowd.errors import Advice, AnnotationError, missing_column
from polars_crowd.inputs.sources import open_frame, stacked

LOG_COLUMNS = ("example", "annotator", "label")


@runtime_checkable
class HoldsLog(Protocol):
    """What holds a log and can be asked for it: an `AnnotationStore`."""

    def scan_annotations(self) -> pl.LazyFrame:
        """The log, as a lazy scan."""


def scan_annotations(
    source: Any, *, example: str = "example", annotator: str = "annotator", label: str = "label"
) -> pl.LazyFrame:
    """A lazy log of annotations, with the columns `example`, `annotator`, `label`, from any source.

    Parameters
    ----------
    source
        A LazyFrame or DataFrame; a path, a glob or a directory (hive partitions become columns) of
        Parquet, CSV, TSV, NDJSON or Arrow IPC files; an object with `__arrow_c_stream__` (a pyarrow
        Table, a pandas frame, a DuckDB relation); or a list of any of these, read one after another.
        Text files may be compressed (`log.csv.gz`). A named index of a pandas frame is a column.
    example, annotator, label
        The names that these columns have in the source. Ids and labels may be strings, integers,
        booleans, dates, categoricals or enums. Other columns travel along.

    Returns
    -------
    LazyFrame
        `example`, `annotator`, `label`, then the other columns. Rows whose label is null (or NaN) are
        not annotations and are dropped.

    Raises
    ------
    AnnotationError
        Now: a column is missing, named twice, or of a type that cannot be an id or a label. What the
        rows hold (null ids, duplicates) is checked by the function that uses the log.

    Examples
    --------
    >>> import polars as pl
    >>> raw = pl.DataFrame({"task": [1, 1, 2], "worker": ["a", "b", "a"], "answer": ["x", None, "y"]})
    >>> scan_annotations(raw, example="task", annotator="worker", label="answer").collect()
    shape: (2, 3)
    ┌─────────┬───────────┬───────┐
    │ example ┆ annotator ┆ label │
    │ ---     ┆ ---       ┆ ---   │
    │ i64     ┆ str       ┆ str   │
    ╞═════════╪═══════════╪═══════╡
    │ 1       ┆ a         ┆ x     │
    │ 2       ┆ a         ┆ y     │
    └─────────┴───────────┴───────┘
    """
    rows = open_rows(source, {"example": example, "annotator": annotator, "label": label})
    return rows.filter(is_labelled(rows.collect_schema()["label"]))


def open_rows(source: Any, names: Mapping[str, str] | None = None) -> pl.LazyFrame:
    """Any source as `example`, `annotator`, `label` and the other columns, rows without a label included.

    `names` says how these three are called in the source.
    """
    if isinstance(source, HoldsLog):
        source = source.scan_annotations()
    parts = source if isinstance(source, (list, tuple)) else [source]
    names = names or {name: name for name in LOG_COLUMNS}
    named = [
        _named(open_frame(part, _log_of(part, parts)), names, _log_of(part, parts))
        for part in parts
    ]
    return stacked(named, "the log", LOG_COLUMNS, parts)


def _log_of(part: Any, parts: Sequence[Any]) -> str:
    """The log in errors, or its file if it has many."""
    named = len(parts) > 1 and isinstance(part, (str, Path))
    return f"the log's file {part}" if named else "the log"


def is_labelled(dtype: pl.DataType) -> pl.Expr:
    """Whether a row is an annotation: its label is neither null nor NaN."""
    label = pl.col("label")
    return label.is_not_null() & label.is_not_nan() if dtype.is_float() else label.is_not_null()


def _named(frame: pl.LazyFrame, names: Mapping[str, str], what: str) -> pl.LazyFrame:
    schema = frame.collect_schema()
    _check_names(names, schema, what)
    others = [c for c in schema if c not in names.values()]
    return frame.select(*(pl.col(given).alias(name) for name, given in names.items()), *others)


NAME_COLUMNS = Advice(
    "Say which columns they are",
    python="pc.scan_annotations(log, example=..., annotator=..., label=...)",
    command="--example NAME --annotator NAME --label NAME",
)


def _check_names(names: Mapping[str, str], schema: pl.Schema, what: str) -> None:
    if len(set(names.values())) < len(names):
        raise AnnotationError(
            "example, annotator and label must be three columns, not "
            f"{', '.join(f'{name}={given!r}' for name, given in names.items())}."
        )
    for name, given in names.items():
        if given not in schema:
            raise missing_column(what, given, list(schema), NAME_COLUMNS)
        if given != name and name in schema and name not in names.values():
            raise AnnotationError(
                f"has a column {name!r} beside {given!r}, which is to become {name!r}.",
                "Drop or rename one of them.",
                source=what,
            )
    for name, given in names.items():
        dtype = schema[given]
        if name == "label" and isinstance(dtype, (pl.List, pl.Array)):
            raise of_sets(f"the labels in column {given!r} of {what}")
        if dtype.is_nested() or dtype == pl.Object or (name != "label" and dtype.is_float()):
            raise AnnotationError(
                f"is {dtype}, which cannot be the {name}.",
                "Cast it to a string or an integer first.",
                source=what,
                column=given,
            )


def of_sets(labels: str) -> AnnotationError:
    """The error for labels that are sets of classes, where an annotation has one label."""
    return AnnotationError(
        f"{labels} are sets of classes, which this is not for.",
        Advice(
            "Sets have functions of their own, for consensus and quality, what to label next, and agreement",
            python="pc.multilabel_crowdlab, pc.multilabel_activelab, pc.multilabel_agreement and "
            "pc.agreement_by_class; a store of sets is made with multilabel=True",
            command="polars-crowd next --multilabel, and more in Python",
        ),
        Advice(
            "To take each whole set for one class, join it to a text",
            python="pl.col('label').list.sort().list.join('+')",
        ),
    )
