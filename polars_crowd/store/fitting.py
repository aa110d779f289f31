"""Whether a log and pred_probs fit into a store: looked at in one pass each, before anything is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from polars_crowd.errors import Advice, AnnotationError, OptionError, counted, rows_shown, shown
from polars_crowd.inputs import checks, probability_checks
from polars_crowd.inputs.anonymous import is_anonymous
from polars_crowd.inputs.log import LOG_COLUMNS
from polars_crowd.inputs.parts import is_text
from polars_crowd.inputs.pred_probs import PredProbs, open_models
from polars_crowd.inputs.probabilities import lost_ids, with_ids_like
from polars_crowd.inputs.suspicions import warn_of_labels
from polars_crowd.rounds.opening import read_book
from polars_crowd.runs.classes import classes_of
from polars_crowd.runs.codes import label_code, named_classes
from polars_crowd.store.manifest import Manifest


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


def check_labels(log: pl.LazyFrame, classes: pl.Series, advice: Advice | str) -> None:
    """Every label is a class; `advice` says how other classes are had."""
    unknown = label_code(log.collect_schema()["label"], classes).is_null()
    if log.select(unknown.sum()).collect().item():
        raise checks.unknown_labels(log, classes, advice)


def fitted(log: pl.LazyFrame, manifest: Manifest) -> pl.LazyFrame:
    """A log that comes in, in the columns and types of a store."""
    rows = in_columns_of(log, manifest.schema)
    check_rows(rows)
    if manifest.labels is not None:
        check_labels(rows, manifest.labels, checks.IN_STORE)
    return rows


def fitted_models(pred_probs: Any, manifest: Manifest) -> list[PredProbs]:
    """pred_probs that come in: of as many models as the store has."""
    if pred_probs is None:
        return []
    models = open_models(pred_probs, None)
    if len(models) != manifest.models:
        raise AnnotationError(
            f"the store has the pred_probs of {counted(manifest.models, 'model')}, and "
            f"{len(models)} are given. Give one for each, in the same order."
        )
    check_models(models, manifest.schema["example"], manifest.classes)
    return models


def in_columns_of(log: pl.LazyFrame, schema: pl.Schema) -> pl.LazyFrame:
    """The log in the columns and types of a store; columns that it does not have are null."""
    given = log.collect_schema()
    unknown = [name for name in given if name not in schema]
    if unknown:
        raise AnnotationError(
            f"the log has the columns {shown(unknown)}, which the store does not have. Drop them."
        )
    _check_who(given["annotator"], schema["annotator"])
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


def _check_who(given: pl.DataType, stored: pl.DataType) -> None:
    """Annotators are anonymous in the log and in the store, or in neither."""
    if is_anonymous(given) != is_anonymous(stored):
        which = ("store", "log") if is_anonymous(stored) else ("log", "store")
        raise AnnotationError(
            f"the annotators of the {which[0]} are anonymous, those of the {which[1]} are not.",
            Advice(
                "To add a log whose annotators are anonymous",
                python="pc.scan_annotations(log, annotator=None)",
                command="--annotator -",
            ),
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
                f"has {counted(count, 'value')} that {casts[name]}, its type in the store, cannot hold:\n"
                f"{rows_shown(rows, *dict.fromkeys((*LOG_COLUMNS, name)))}",
                "Correct these rows or filter them out.",
                source="the log",
                column=name,
            )


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
        raise lost_ids(counted(lost, "id"), first, probs, dtype)


ROWS_PER_PARTITION = 4_000_000
BYTES_LIKE_A_ROW = 100
"""So many bytes of further columns, such as texts, take as much memory as a row without them."""
MOST_CLASSES = 65_536
"""Whole numbers with more different values are numbers, not classes."""
MOST_PARTITIONS = 100_000
"""Each is a file of its own, and takes part in every round."""


def check_partitions(partitions: int | None) -> None:
    fine = isinstance(partitions, int) and 1 <= partitions <= MOST_PARTITIONS
    if partitions is not None and not fine:
        must = f"it must be a whole number, at least 1 and at most {MOST_PARTITIONS:,}."
        raise OptionError("partitions", partitions, must)


def empty(
    log: pl.LazyFrame,
    models: Sequence[PredProbs],
    partitions: int | None,
    declared: Sequence[Any] | None,
    is_ensemble: bool,
) -> Manifest:
    """The manifest of a store for this log and these models, before there is anything in it."""
    n_rows = check_rows(log)
    names = _class_names(log, models, declared)
    schema = log.collect_schema()
    if names is not None and (models or declared is not None):
        advice = checks.GIVE_COLUMNS if models else checks.DECLARE
        check_labels(log, named_classes(names, schema["label"]), advice)
    check_models(models, schema["example"], names)
    parts = (None,) * (partitions or _partitions_for(n_rows, log, models))
    return Manifest(schema, names, len(models), is_ensemble, parts)


def empty_of_sets(
    log: Any,
    pred_probs: Any,
    partitions: int | None,
    declared: Sequence[Any] | None,
    is_ensemble: bool,
) -> tuple[pl.LazyFrame, list[PredProbs], Manifest]:
    """... for a log of sets of classes, with its rows and its models."""
    if pred_probs is None:
        raise AnnotationError(
            "a store of sets of classes needs pred_probs, whose columns are these classes."
        )
    sets, models, book = read_book(log, pred_probs, declared)
    n_rows, schema = check_rows(sets.log), sets.log.collect_schema()
    check_models(models, schema["example"], book.names)
    parts = (None,) * (partitions or _partitions_for(n_rows, sets.log, models))
    manifest = Manifest(schema, book.names, len(models), is_ensemble, parts)
    return sets.log, models, replace(manifest, sets=tuple(book.classes), set_of=sets.dtype)


def _class_names(
    log: pl.LazyFrame, models: Sequence[PredProbs], declared: Sequence[Any] | None
) -> tuple[str, ...] | None:
    """The names of the classes; None for labels that are numbers without classes.

    Warns of labels that may not be what is meant, if no classes are declared.
    """
    dtype = log.collect_schema()["label"]
    if models or declared is not None or isinstance(dtype, pl.Enum):
        return classes_of(log, dtype, models, declared)[1]
    if dtype.is_float():
        return None
    labels = log.group_by("label").agg(annotations=pl.len()).sort("label").collect()
    warn_of_labels(labels, are_numbers=dtype.is_numeric())
    if dtype.is_numeric() and labels.height > MOST_CLASSES:
        return None
    return classes_of(labels.lazy(), dtype)[1]


def _partitions_for(n_rows: int, log: pl.LazyFrame, models: Sequence[PredProbs]) -> int:
    sizes = (int(probs.frame.select(pl.len()).collect().item()) for probs in models)
    of_rows = n_rows * (1 + _further_bytes(log) / BYTES_LIKE_A_ROW)
    return math.ceil(max(of_rows, *sizes, 1) / ROWS_PER_PARTITION)


def _further_bytes(log: pl.LazyFrame) -> float:
    """The bytes of a row in other columns than those of a log, as the first rows have them."""
    further = log.select(pl.exclude(LOG_COLUMNS))
    if not further.collect_schema():
        return 0.0
    first = further.head(10_000).collect(engine="streaming")
    return first.estimated_size() / max(first.height, 1)
