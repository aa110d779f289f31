"""Whether a log and pred_probs fit into a store: looked at in one pass each, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from polars_crowd import checks, probability_checks
from polars_crowd.codes import label_code
from polars_crowd.errors import AnnotationError, counted, rows_shown, shown
from polars_crowd.pred_probs import PredProbs, with_ids_like
from polars_crowd.sources import is_text


def check_rows(log: pl.LazyFrame) -> int:
    """How many annotations there are; null ids and none at all are errors."""
    counts = log.select(pl.len(), pl.col("example", "annotator").null_count().name.prefix("null_"))
    found = counts.collect().row(0, named=True)
    if not found["len"]:
        raise checks.no_annotations()
    for column in ("example", "annotator"):
        if found[f"null_{column}"]:
            raise checks.null_ids(log, column)
    return int(found["len"])


def check_labels(log: pl.LazyFrame, classes: pl.Series) -> None:
    """Every label is a class."""
    unknown = label_code(log.collect_schema()["label"], classes).is_null()
    if log.select(unknown.sum()).collect().item():
        raise checks.unknown_labels(log, classes)


def in_columns_of(log: pl.LazyFrame, schema: pl.Schema) -> pl.LazyFrame:
    """The log in the columns and types of a store; columns that it does not have are null."""
    given = log.collect_schema()
    unknown = [name for name in given if name not in schema]
    if unknown:
        raise AnnotationError(
            f"the log has the columns {shown(unknown)}, which the store does not have. Drop them."
        )
    for name, dtype in given.items():
        if not is_held_by(dtype, schema[name]):
            raise AnnotationError(
                f"column {name!r} of the log is {dtype}, in the store {schema[name]}. Cast it first."
            )
    _check_values(log, {name: schema[name] for name in given if given[name] != schema[name]})
    return log.select(
        pl.col(name).cast(dtype) if name in given else pl.lit(None, dtype).alias(name)
        for name, dtype in schema.items()
    )


def is_held_by(given: pl.DataType, stored: pl.DataType) -> bool:
    """Whether a type holds the values of another as they are, if they are not too large.

    >>> is_held_by(pl.Int32(), pl.Float64()), is_held_by(pl.Float64(), pl.Int32())
    (True, False)
    """
    return (
        given == stored
        or given == pl.Null
        or (given.is_integer() and stored.is_numeric())
        or (given.is_float() and stored == pl.Float64)
        or (is_text(given) and is_text(stored))
    )


def _check_values(log: pl.LazyFrame, casts: dict[str, pl.DataType]) -> None:
    """Every value is one of the store's type: no integer too large, no category that an Enum has not."""
    lost = {
        name: pl.col(name).is_not_null() & pl.col(name).cast(dtype, strict=False).is_null()
        for name, dtype in casts.items()
    }
    if not lost:
        return
    found = log.select(is_lost.sum().alias(name) for name, is_lost in lost.items()).collect()
    for name, count in found.row(0, named=True).items():
        if count:
            rows = log.filter(lost[name]).head(5).collect()
            raise AnnotationError(
                f"column {name!r} of the log has {counted(count, 'value')} that {casts[name]}, its type in "
                f"the store, cannot hold:\n{rows_shown(rows)}\nCorrect these rows or filter them out."
            )


# --- pred_probs ------------------------------------------------------------------------------------


def check_models(
    models: Sequence[PredProbs], example: pl.DataType, names: tuple[str, ...] | None
) -> None:
    """Every row of pred_probs has an example that the store can hold, and its classes are the store's."""
    for probs in models:
        if names is not None and set(probs.names) != set(names):
            raise AnnotationError(
                f"pred_probs has the classes {shown(list(probs.names), 20)}, the store "
                f"{shown(list(names), 20)}. They must be the same, in any order."
            )
        _check_ids(probs, example)


def _check_ids(probs: PredProbs, dtype: pl.DataType) -> None:
    with_ids_like(probs, dtype)
    given = pl.col("example")
    is_lost = given.is_not_null() & given.cast(dtype, strict=False).is_null()
    ids = probs.frame.select("example")
    null, lost = ids.select(null=given.null_count(), lost=is_lost.sum()).collect().row(0)
    if null:
        raise probability_checks.null_ids(ids.collect())
    if lost:
        first = ids.filter(is_lost).head(5).collect()["example"].to_list()
        raise AnnotationError(
            f"column 'example' of pred_probs: {counted(lost, 'id')} cannot be {dtype}, the type of the "
            f"log's: {', '.join(map(repr, first))}. Cast the log's column."
        )
