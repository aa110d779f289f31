"""Parameters that the caller gives: fixed class shares, and the confusion matrices to begin at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.errors import Advice, AnnotationError, counted, rows_shown, shown, warn
from polars_crowd.inputs.matching import no_match
from polars_crowd.inputs.numbers import as_numbers
from polars_crowd.inputs.sources import checked_columns, open_frame
from polars_crowd.runs.codes import Codebook
from polars_crowd.truth.known import check_labels, class_codes
from polars_crowd.truth.past import places

MATRICES = ("annotator", "true_label", "label", "probability")
SHARES = ("label", "probability")
SUMS_TO_ONE = 1e-6


def has_matrices(init: Any) -> bool:
    """Whether a frame to begin at is one of confusion matrices."""
    return set(MATRICES) <= set(open_frame(init, "init").collect_schema())


def class_shares(given: Any, book: Codebook) -> Floats:
    """pi[k] in class order, from a frame SHARES or a mapping of labels to probabilities."""
    if isinstance(given, Mapping):
        given = pl.DataFrame({"label": list(given), "probability": list(given.values())})
    rows = _probabilities(given, "class_prior", SHARES)
    code = _codes(rows, "label", "class_prior", book)
    _check_once(rows, ("label",), "class_prior")
    lacking = np.setdiff1d(np.arange(len(book.classes)), code)
    if len(lacking):
        names = shown(book.classes.gather(lacking).to_list())
        raise AnnotationError(
            f"has no row for {counted(len(lacking), 'class')}: {names}.",
            "Give each class its probability.",
            source="class_prior",
        )
    shares = np.zeros(len(book.classes))
    shares[code] = rows["probability"].to_numpy()
    if shares.min() == 0:
        names = shown(book.classes.gather(np.flatnonzero(shares == 0)).to_list())
        raise AnnotationError(
            f"is 0 for {names}: no example could be of such a class, whatever its labels.",
            "Give classes that may occur a small probability.",
            source="class_prior",
            column="probability",
        )
    if abs(shares.sum() - 1) > SUMS_TO_ONE:
        raise _not_one(f"adds up to {shares.sum():.6g}, not to 1", "class_prior")
    return np.asarray(shares / shares.sum())


def first_matrices(given: Any, book: Codebook) -> Floats:
    """theta[k,j,l], shape (K, M, K), from a frame MATRICES; annotators without one have the mean of those
    that are given. Pairs that are left out have the probability 0."""
    rows = _probabilities(given, "init", MATRICES)
    truth, label = (_codes(rows, column, "init", book) for column in ("true_label", "label"))
    _check_once(rows, MATRICES[:3], "init")
    ids, K = rows["annotator"].unique(maintain_order=True), len(book.classes)
    theta = np.zeros((K, len(ids), K))
    theta[truth, places(ids, rows["annotator"]), label] = rows["probability"].to_numpy()
    _check_rows(theta, ids, book)
    at = places(ids, book.annotators)
    _tell_of_others(ids, at, book)
    with_mean: Floats = np.concatenate([theta, theta.mean(axis=1, keepdims=True)], axis=1)
    return with_mean[:, at]


def _probabilities(given: Any, what: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """The columns of a frame, with probabilities in [0, 1]."""
    frame = open_frame(given, what)
    checked_columns(frame, what, columns, f"Give the columns {', '.join(columns)}.")
    rows = as_numbers(frame.select(columns), ["probability"], what).collect()
    wrong = rows.filter(~pl.col("probability").is_between(0, 1).fill_null(False))
    if wrong.height:
        raise AnnotationError(
            f"is not in [0, 1] in {counted(wrong.height, 'row')}:\n{rows_shown(wrong, *columns)}",
            "Give probabilities.",
            source=what,
            column="probability",
        )
    return rows


def _codes(rows: pl.DataFrame, column: str, what: str, book: Codebook) -> Any:
    codes = class_codes(rows[column], book)
    unknown = rows.filter(codes.is_null())
    check_labels(unknown.select(example=unknown.columns[0], label=column), what, book)
    return codes.to_numpy().astype(np.intp)


def _check_once(rows: pl.DataFrame, keys: tuple[str, ...], what: str) -> None:
    twice = rows.filter(pl.struct(keys).is_duplicated()).sort(keys)
    if twice.height:
        raise AnnotationError(
            f"has {counted(twice.height, 'row')} that say the same thing twice:\n"
            f"{rows_shown(twice, *rows.columns)}",
            "Keep one of them.",
            source=what,
        )


def _check_rows(theta: Floats, ids: pl.Series, book: Codebook) -> None:
    """Each annotator has a row for each class, whose probabilities add up to 1."""
    sums = theta.sum(axis=2)
    truth, j = np.nonzero(~(np.abs(sums - 1) <= SUMS_TO_ONE))
    if len(truth):
        found = pl.DataFrame(
            {
                "annotator": ids.gather(j),
                "true_label": book.classes.gather(truth),
                "sum": sums[truth, j],
            }
        )
        raise _not_one(
            f"does not add up to 1 in {counted(len(truth), 'row')} of the matrices:\n"
            f"{rows_shown(found, *found.columns)}\n",
            "init",
        )


def _not_one(wrong: str, what: str) -> AnnotationError:
    advice = Advice("Divide probabilities by their sum, and leave no class out")
    return AnnotationError(wrong, advice, source=what, column="probability")


def _tell_of_others(ids: pl.Series, at: Any, book: Codebook) -> None:
    """Of annotators without a matrix, and of matrices of nobody."""
    lacking = int((at < 0).sum())
    if lacking == len(at):
        raise no_match(ids, book.annotators, "init", "annotator")
    strangers = len(ids) - (len(at) - lacking)
    if lacking or strangers:
        warn(
            f"init: {lacking:,} of {counted(len(at), 'annotator')} of the log have no confusion matrix and "
            f"begin at the mean of those given; {strangers:,} of its {counted(len(ids), 'annotator')} are "
            "not in the log."
        )
