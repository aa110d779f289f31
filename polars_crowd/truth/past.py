"""What is known of annotators from before: past counts as priors of their skills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import AnnotationError, counted, missing_column, rows_shown
from polars_crowd.inputs.sources import open_frame
from polars_crowd.runs.codes import Codebook, label_code
from polars_crowd.truth.known import _check_labels

CONFUSION = ("annotator", "true_label", "label", "num_annotations")
SKILLS = ("annotator", "num_correct", "num_incorrect")


def past_confusion(prior: Any, book: Codebook) -> Floats:
    """Past counts by true class, annotator and label, shape (K, M, K), from a frame or an earlier fit.

    Columns CONFUSION, or SKILLS, which are spread evenly over the classes. Annotators who are not in the log
    are left out.
    """
    table = _past_table(prior, CONFUSION)
    if _has(table, SKILLS) and not _has(table, CONFUSION):
        return spread_evenly(past_skills(table, SKILLS[1:], book), len(book.classes))
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


def past_skills(prior: Any, columns: Sequence[str], book: Codebook) -> dict[str, Floats]:
    """Past counts per annotator, zero for who has none: M values for each column, from a frame with
    `annotator` and the columns (or CONFUSION, for right and wrong answers), or from an earlier fit."""
    wanted = ("annotator", *columns)
    table = _past_table(prior, wanted)
    if set(columns) <= set(SKILLS) and _has(table, CONFUSION) and not _has(table, wanted):
        counts = past_confusion(table, book)
        right = np.einsum("kjk->j", counts)
        both = {"num_correct": right, "num_incorrect": counts.sum(axis=(0, 2)) - right}
        return {column: both[column] for column in columns}
    frame = _past_frame(table, wanted)
    place = places(book.annotators, frame["annotator"])
    known = place >= 0
    found = {}
    for column in columns:
        values = np.zeros(len(book.annotators))
        np.add.at(values, place[known], frame[column].to_numpy().astype(np.float64)[known])
        found[column] = values
    return found


def spread_evenly(skills: dict[str, Floats], K: int) -> Floats:
    """Right and wrong answers as if all classes had been asked for, and all errors made, equally often."""
    right = np.eye(K)[:, None, :] * skills["num_correct"][:, None] / K
    wrong = (1 - np.eye(K))[:, None, :] * skills["num_incorrect"][:, None] / (K * max(K - 1, 1))
    counts: Floats = right + wrong
    return counts


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
    for column in columns:
        if not _has(table, [column]):
            advice = f"Give the columns {', '.join(columns)}, or an earlier fit that has them."
            raise missing_column("prior", column, list(table.collect_schema()), advice)
    found = table.select(columns).collect()
    counts = [c for c in columns if c not in ("annotator", "true_label", "label")]
    wrong = found.filter(pl.any_horizontal(*(~(pl.col(c) >= 0).fill_null(False) for c in counts)))
    if wrong.height:
        raise AnnotationError(
            f"has {counted(wrong.height, 'row')} with a count that is negative or null:\n"
            f"{rows_shown(wrong, *columns)}",
            "Counts are what was seen before, 0 or more.",
            source="prior",
        )
    return found


def _class_codes(frame: pl.DataFrame, column: str, book: Codebook) -> pl.Series:
    labels = frame[column].alias("label")
    code = label_code(labels.dtype, book.classes.cast(labels.dtype, strict=False))
    codes = labels.to_frame().select(code.alias(column))[column]
    _check_labels(
        frame.filter(codes.is_null()).select(example="annotator", label=column), "prior", book
    )
    return codes


def places(known: pl.Series, wanted: pl.Series) -> Ints:
    """Where each wanted id is among the known ones; -1 where it is not."""
    if wanted.dtype != known.dtype:
        known, wanted = known.cast(pl.String), wanted.cast(pl.String)
    at = known.alias("id").to_frame().with_row_index("place")
    found = wanted.alias("id").to_frame().join(at, on="id", how="left", maintain_order="left")
    return found["place"].cast(pl.Int64).fill_null(-1).to_numpy().astype(np.intp)
