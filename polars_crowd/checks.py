"""What may be wrong with a log or with pred_probs: errors for what cannot be used, findings for the rest.

Looking is cheap (counts taken along with the work); only when something is wrong is the log read again
to say how much and where.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.errors import AnnotationError, counted, rows_shown, shown
from polars_crowd.log import PROBABILITIES, PredProbs, scan_annotations

Duplicates = Literal["error", "first", "last", "all"]

SUM_TOLERANCE = 1e-3
"""How far a row of pred_probs may be from a sum of 1."""


# --- the log ---------------------------------------------------------------------------------------


def without_duplicates(log: pl.LazyFrame, duplicates: Duplicates) -> pl.LazyFrame:
    """The log with the first or last annotation of each (example, annotator), if so asked."""
    if duplicates not in get_args(Duplicates):
        raise ValueError(f"duplicates={duplicates!r}; it must be 'error', 'first', 'last' or 'all'.")
    if duplicates in ("error", "all"):
        return log
    return log.unique(["example", "annotator"], keep=duplicates, maintain_order=True)


def no_annotations() -> AnnotationError:
    return AnnotationError(
        "the log has no annotations: no row has a label. Check the label column and your filters."
    )


def no_models() -> AnnotationError:
    return AnnotationError("pred_probs is an empty list; give the probabilities of at least one model.")


def null_ids(log: pl.LazyFrame, column: str) -> AnnotationError:
    rows = log.with_row_index("row").filter(pl.col(column).is_null()).collect()
    return AnnotationError(
        f"column {column!r} of the log is null in {counted(rows.height, 'row')}:\n{rows_shown(rows)}\n"
        f"Every annotation needs its {column}. Drop the rows with "
        f"log.drop_nulls({column!r}), or fill in the {column}s."
    )


def unknown_labels(log: pl.LazyFrame, classes: pl.Series) -> AnnotationError:
    known = pl.col("label").is_in(classes.implode())
    rows = log.filter(~known).collect()
    labels = rows["label"].unique().sort().to_list()
    return AnnotationError(
        f"column 'label' of the log has {counted(rows.height, 'row')} with labels that are not among the "
        f"classes {shown(classes.to_list(), 20)}: {shown(labels)}.\n{rows_shown(rows)}\n"
        "Give pred_probs a column for each of these classes, or filter the rows out."
    )


def duplicate_annotations(log: pl.LazyFrame) -> AnnotationError:
    pairs = log.group_by("example", "annotator").agg(pl.len().alias("rows"), pl.col("label").head(5))
    twice = pairs.filter(pl.col("rows") > 1).sort("example", "annotator").collect()
    return AnnotationError(
        f"columns 'example', 'annotator' of the log: {counted(twice.height, 'pair')} with more than one "
        f"annotation, {counted(int(twice['rows'].sum()), 'row')} in all:\n{rows_shown(twice)}\n"
        "Say which to use: duplicates='first', 'last' or 'all' (each row counts)."
    )


def single_annotations(n_examples: int) -> AnnotationError:
    return AnnotationError(
        f"each of the {counted(n_examples, 'example')} has one annotation only, so annotators cannot be "
        "compared and CROWDLAB has nothing to weigh. The labels are their own majority vote "
        "(pc.majority_vote); to score them against the model alone use a label-quality score such as "
        "the model's probability of the label, or collect second annotations for some examples."
    )


# --- pred_probs ------------------------------------------------------------------------------------


def read_probabilities(
    probs: PredProbs, examples: pl.Series, names: tuple[str, ...], check: bool = True
) -> NDArray[np.floating[Any]]:
    """The probabilities of these examples as an array of shape (N, K), in the order of `names`."""
    if set(probs.names) != set(names):
        raise AnnotationError(
            f"the pred_probs of an ensemble must have the same classes: {shown(list(names), 20)} in one, "
            f"{shown(list(probs.names), 20)} in another."
        )
    columns = [PROBABILITIES] if probs.is_array else list(names)
    frame = probs.frame.select(_comparable_id(probs, examples.dtype), *columns).collect()
    if frame["example"].null_count():
        raise AnnotationError(
            f"column 'example' of pred_probs is null in {counted(frame['example'].null_count(), 'row')}. "
            "Every row needs its example; drop those without."
        )
    frame = _aligned(frame, examples)
    if check:
        _check_nulls(frame, columns)
    matrix = _matrix(frame, probs, names)
    if check:
        _check_range(matrix, examples)
        _check_sums(matrix, examples)
    return matrix


def _comparable_id(probs: PredProbs, dtype: pl.DataType) -> pl.Expr:
    """The example ids of pred_probs in the type of the log's, if they are of the same kind."""
    given = probs.frame.collect_schema()["example"]
    same_kind = (
        given == dtype
        or (given.is_integer() and dtype.is_integer())
        or (_is_text(given) and _is_text(dtype))
        or (given.is_temporal() and dtype.is_temporal())
    )
    if not same_kind:
        raise AnnotationError(
            f"column 'example' is {dtype} in the log but {given} in pred_probs. "
            "Cast one of them, so that the same example has the same id in both."
        )
    return pl.col("example").cast(dtype)


def _is_text(dtype: pl.DataType) -> bool:
    return dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum)


def _aligned(frame: pl.DataFrame, examples: pl.Series) -> pl.DataFrame:
    """The rows of pred_probs for the given examples, in their order."""
    given = frame["example"]
    if given.len() == examples.len() and bool((given == examples).all()):
        return frame
    if given.n_unique() < given.len():
        raise _repeated_examples(frame)
    wanted = examples.alias("example").to_frame().lazy()
    rows = given.to_frame().lazy().with_row_index("row")
    at = wanted.join(rows, on="example", how="left", maintain_order="left").collect()["row"]
    if at.null_count():
        raise _missing_examples(examples.filter(at.is_null()), examples.len())
    return frame[at]


def _repeated_examples(frame: pl.DataFrame) -> AnnotationError:
    counts = frame.group_by("example").agg(rows=pl.len()).filter(pl.col("rows") > 1).sort("example")
    return AnnotationError(
        f"column 'example' of pred_probs: {counted(counts.height, 'example')} with more than one row:\n"
        f"{rows_shown(counts)}\nKeep one row per example; several models are a list of pred_probs."
    )


def _missing_examples(missing: pl.Series, n_examples: int) -> AnnotationError:
    return AnnotationError(
        f"{missing.len():,} of {counted(n_examples, 'annotated example')} have no pred_probs: "
        f"{shown(missing.head(6).to_list())}. Predict them too (out of sample, by cross-validation), or "
        "leave them out: log.join(pred_probs, on='example', how='semi')."
    )


def _check_nulls(frame: pl.DataFrame, columns: list[str]) -> None:
    has_null = pl.any_horizontal(
        (pl.col(c).is_null() | pl.col(c).arr.contains(None))
        if isinstance(frame.schema[c], pl.Array)
        else pl.col(c).is_null()
        for c in columns
    )
    if all(frame[c].null_count() == 0 and not _null_entries(frame[c]) for c in columns):
        return
    rows = frame.filter(has_null)
    raise AnnotationError(
        f"pred_probs are null in {counted(rows.height, 'row')}, for the examples "
        f"{shown(rows['example'].head(6).to_list())}. Every class needs a probability; fill or drop them."
    )


def _null_entries(column: pl.Series) -> bool:
    return isinstance(column.dtype, pl.Array) and column.arr.explode().null_count() > 0


def _matrix(
    frame: pl.DataFrame, probs: PredProbs, names: tuple[str, ...]
) -> NDArray[np.floating[Any]]:
    if not probs.is_array:
        matrix = frame.select(names).to_numpy()
    else:
        matrix = frame[PROBABILITIES].to_numpy()
        if names != probs.names:
            matrix = matrix[:, [probs.names.index(name) for name in names]]
    return matrix if matrix.dtype in (np.float32, np.float64) else matrix.astype(np.float64)


def _check_range(matrix: NDArray[np.floating[Any]], examples: pl.Series) -> None:
    tests: list[tuple[str, Callable[[Any], Any]]] = [
        ("NaN", np.isnan),
        ("negative", lambda p: p < 0),
        ("above 1", lambda p: p > 1 + SUM_TOLERANCE),
    ]
    if matrix.min() >= 0 and matrix.max() <= 1 + SUM_TOLERANCE:
        return
    for what, wrong in tests:
        bad = np.flatnonzero(wrong(matrix).any(axis=1))
        if len(bad):
            raise AnnotationError(
                f"pred_probs are {what} in {counted(len(bad), 'row')}:\n{_rows_at(matrix, examples, bad)}\n"
                "Probabilities lie in [0, 1]; if these are logits, apply a softmax first."
            )


def _check_sums(matrix: NDArray[np.floating[Any]], examples: pl.Series) -> None:
    off = np.abs(matrix.sum(axis=1) - 1)
    bad = np.flatnonzero(off > SUM_TOLERANCE)
    if len(bad):
        raise AnnotationError(
            f"pred_probs do not sum to 1 in {counted(len(bad), 'row')} (off by up to {off.max():.3g}; "
            f"{SUM_TOLERANCE} is allowed):\n{_rows_at(matrix, examples, bad)}\n"
            "Give one probability per class, all classes included, and divide each row by its sum."
        )


def _rows_at(matrix: NDArray[np.floating[Any]], examples: pl.Series, at: NDArray[np.integer]) -> str:
    lines = []
    for i in at[:5]:
        values = ", ".join(f"{p:.4g}" for p in matrix[i][:8])
        more = ", ..." if matrix.shape[1] > 8 else ""
        lines.append(f"  example={examples[int(i)]!r}: [{values}{more}], sum {matrix[i].sum():.6g}")
    return "\n".join(lines)
