"""What a store will be, said from its log and models before anything is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from polars_crowd.codes import named_classes
from polars_crowd.errors import AnnotationError
from polars_crowd.multilabel_log import read_book
from polars_crowd.pred_probs import PredProbs
from polars_crowd.runs import classes_of
from polars_crowd.store.build import check_columns
from polars_crowd.store.fitting import check_labels, check_models, check_rows
from polars_crowd.store.manifest import Manifest
from polars_crowd.store.rule import RULE, RULE_VERSION

ROWS_PER_PARTITION = 4_000_000
MOST_CLASSES = 65_536
"""Whole numbers with more different values are numbers, not classes."""


def check_partitions(partitions: int | None) -> None:
    if partitions is not None and (not isinstance(partitions, int) or partitions < 1):
        raise ValueError(f"partitions={partitions!r}; it must be a whole number, at least 1.")


def empty(
    log: pl.LazyFrame,
    models: Sequence[PredProbs],
    partitions: int | None,
    declared: Sequence[Any] | None,
    is_ensemble: bool,
) -> Manifest:
    """The manifest of a store for this log and these models, before there is anything in it."""
    schema = log.collect_schema()
    check_columns(schema)
    size = check_rows(log)
    names = _class_names(log, models, declared)
    if names is not None and (models or declared is not None):
        check_labels(log, named_classes(names, schema["label"]))
    check_models(models, schema["example"], names)
    return Manifest(
        rule=RULE,
        rule_version=RULE_VERSION,
        schema=schema,
        classes=names,
        models=len(models),
        is_ensemble=is_ensemble,
        annotators=None,
        parts=(None,) * (partitions or _partitions_for(size, models)),
    )


def empty_of_sets(
    log: Any,
    pred_probs: Any,
    partitions: int | None,
    declared: Sequence[Any] | None,
    is_ensemble: bool,
) -> tuple[pl.LazyFrame, list[PredProbs], Manifest]:
    """... for a log of label sets, with its rows and its models."""
    if pred_probs is None:
        raise AnnotationError(
            "multi_label=True needs pred_probs: their columns are the classes that labels are sets of."
        )
    sets, models, book = read_book(log, pred_probs, declared)
    schema = sets.log.collect_schema()
    check_columns(schema)
    size = check_rows(sets.log)
    check_models(models, schema["example"], book.names)
    manifest = Manifest(
        rule=RULE,
        rule_version=RULE_VERSION,
        schema=schema,
        classes=book.names,
        models=len(models),
        is_ensemble=is_ensemble,
        annotators=None,
        parts=(None,) * (partitions or _partitions_for(size, models)),
        sets=tuple(book.classes),
        set_of=sets.dtype,
    )
    return sets.log, models, manifest


def _class_names(
    log: pl.LazyFrame, models: Sequence[PredProbs], declared: Sequence[Any] | None
) -> tuple[str, ...] | None:
    """The names of the classes; None for labels that are numbers without classes."""
    dtype = log.collect_schema()["label"]
    if not models and declared is None and dtype.is_numeric():
        distinct = log.select(pl.col("label").n_unique()).collect().item()
        if dtype.is_float() or distinct > MOST_CLASSES:
            return None
    return classes_of(log, dtype, models, declared)[1]


def _partitions_for(n_rows: int, models: Sequence[PredProbs]) -> int:
    sizes = (int(probs.frame.select(pl.len()).collect().item()) for probs in models)
    return math.ceil(max(n_rows, *sizes, 1) / ROWS_PER_PARTITION)
