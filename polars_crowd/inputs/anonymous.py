"""Logs whose annotators are anonymous: numbered within the example, `#1` of two examples are two people.

A log knows it by the type of its annotators: categories of a name of their own. The type is in the schema of
a lazy frame before anything is read, and Parquet, Arrow IPC and stores keep it; pandas and text files do not.
"""

from __future__ import annotations

import polars as pl

from polars_crowd.errors import Advice, AnnotationError

ANONYMOUS = pl.Categorical(pl.Categories("anonymous", namespace="polars_crowd"))
"""The type of annotators of whom nobody knows who they are."""


def is_anonymous(annotator: pl.DataType) -> bool:
    """Whether annotators of this type are anonymous."""
    return bool(annotator == ANONYMOUS)


def numbered(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The rows with annotators `#1`, `#2`, ... within each example.

    >>> numbered(pl.LazyFrame({"example": [7, 8, 7]})).collect()["annotator"].to_list()
    ['#1', '#1', '#2']
    """
    number = pl.int_range(1, pl.len() + 1).over("example")
    return rows.with_columns(annotator=pl.format("#{}", number).cast(ANONYMOUS))


def unnumbered(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The rows without the numbers of anonymous annotators, which are given anew where examples are whole."""
    if not is_anonymous(rows.collect_schema()["annotator"]):
        return rows
    return rows.with_columns(annotator=pl.lit("#").cast(ANONYMOUS))


def check_known_annotators(annotator: pl.DataType) -> None:
    """Annotators of this type are known, so that one can ask who voted."""
    if is_anonymous(annotator):
        raise AnnotationError(
            "are anonymous (numbered within the example), and this asks who gave which label.",
            "Majority vote, Fleiss' kappa, Krippendorff's alpha, Gwet's AC1 and AC2, Brennan-Prediger and "
            "percent agreement do not ask that.",
            Advice(
                "If a column says who they are, name it",
                python="pc.scan_annotations(log, annotator='NAME')",
                command="--annotator NAME",
            ),
            source="the log's annotators",
        )
