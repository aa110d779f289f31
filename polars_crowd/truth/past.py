"""What is known of annotators from before: past counts as priors of their skills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import AnnotationError, counted, rows_shown
from polars_crowd.inputs.matching import written
from polars_crowd.inputs.numbers import as_numbers
from polars_crowd.inputs.sources import checked_columns, open_frame
from polars_crowd.runs.codes import Codebook
from polars_crowd.truth.known import check_labels, class_codes

CONFUSION = ("annotator", "true_label", "label", "num_annotations")
COUNTS = ("num_correct", "num_incorrect")
SKILLS = ("annotator", *COUNTS)


def past_confusion(prior: Any, book: Codebook) -> Floats:
    """Past counts by true class, annotator and label, shape (K, M, K), from a frame or an earlier fit.

    Columns CONFUSION, or SKILLS, which are spread evenly over the classes. Annotators who are not in the log
    are left out.
    """
    table = _past_table(prior, CONFUSION)
    if _has(table, SKILLS) and not _has(table, CONFUSION):
        return spread_evenly(past_counts(table, book), len(book.classes))
    frame = _past_frame(table, CONFUSION)
    K, M = len(book.classes), len(book.annotators)
    counts = np.zeros((K, M, K))
    coded = frame.select(
        place=places(book.annotators, frame["annotator"]),
        truth=_class_codes(frame, "true_label", book),
        label=_class_codes(frame, "label", book),
        count="num_annotations",
    ).filter(pl.col("place") >= 0)
    at = tuple(coded[c].to_numpy().astype(np.intp) for c in ("truth", "place", "label"))
    np.add.at(counts, at, coded["count"].to_numpy().astype(np.float64))
    return counts


def past_counts(prior: Any, book: Codebook, columns: Sequence[str] = COUNTS) -> Floats:
    """Past counts of each annotator, zero for who has none, shape (columns, M): of right and wrong answers or
    others, from a frame with `annotator` and the columns (or CONFUSION), or from an earlier fit."""
    counts = np.zeros((len(columns), len(book.annotators)))
    if prior is None:
        return counts
    wanted = ("annotator", *columns)
    table = _past_table(prior, wanted)
    if columns == COUNTS and _has(table, CONFUSION) and not _has(table, wanted):
        confusion = past_confusion(table, book)
        right = np.einsum("kjk->j", confusion)
        return np.stack([right, confusion.sum(axis=(0, 2)) - right])
    frame = _past_frame(table, wanted)
    place = places(book.annotators, frame["annotator"])
    known = place >= 0
    np.add.at(counts.T, place[known], frame.select(columns).to_numpy().astype(np.float64)[known])
    return counts


def spread_evenly(counts: Floats, K: int) -> Floats:
    """Right and wrong answers as if all classes had been asked for, and all errors made, equally often."""
    right, wrong = counts[:, :, None]
    own = np.eye(K)[:, None, :]
    return np.asarray(own * right / K + (1 - own) * wrong / (K * max(K - 1, 1)))


def _past_table(prior: Any, columns: Sequence[str]) -> pl.LazyFrame:
    """The frame given as prior, or the table of an earlier fit that has the columns, or else counts."""
    tables = [getattr(prior, name, None) for name in ("confusion", "annotators")]
    found = [table.lazy() for table in tables if isinstance(table, pl.DataFrame)]
    for wanted in (columns, CONFUSION, SKILLS):
        for table in found:
            if _has(table, wanted):
                return table
    return found[0] if found else open_frame(prior, "prior")


def _has(table: pl.LazyFrame, columns: Sequence[str]) -> bool:
    return set(columns) <= set(table.collect_schema())


def _past_frame(table: pl.LazyFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The columns of the table, which must be counts."""
    advice = f"Give the columns {', '.join(columns)}, or an earlier fit that has them."
    checked_columns(table, "prior", columns, advice)
    counts = [c for c in columns if c not in ("annotator", "true_label", "label")]
    found = as_numbers(table.select(columns), counts, "prior").collect()
    fine = ((pl.col(c) >= 0) & pl.col(c).cast(pl.Float64).is_finite() for c in counts)
    wrong = found.filter(pl.any_horizontal(*(~each.fill_null(False) for each in fine)))
    if wrong.height:
        raise AnnotationError(
            f"has {counted(wrong.height, 'row')} with a count that is negative, null or not finite:\n"
            f"{rows_shown(wrong, *columns)}",
            "Counts are what was seen before, 0 or more.",
            source="prior",
        )
    return found


def _class_codes(frame: pl.DataFrame, column: str, book: Codebook) -> pl.Series:
    codes = class_codes(frame[column], book).alias(column)
    strange = frame.filter(codes.is_null()).select(example="annotator", label=column)
    check_labels(strange, "prior", book)
    return codes


def places(known: pl.Series, wanted: pl.Series) -> Ints:
    """Where each wanted id is among the known ones; -1 where it is not."""
    ids = (known.alias("id").to_frame(), wanted.alias("id").to_frame())
    if wanted.dtype != known.dtype:
        ids = (
            ids[0].select(written("id", known.dtype)),
            ids[1].select(written("id", wanted.dtype)),
        )
    at = ids[0].with_row_index("place")
    found = ids[1].join(at, on="id", how="left", maintain_order="left")
    return found["place"].cast(pl.Int64).fill_null(-1).to_numpy().astype(np.intp)
