"""What makes pred_probs unusable, and the errors that say so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Probabilities
from polars_crowd.errors import (
    SHOWN,
    Advice,
    AnnotationError,
    counted,
    rows_shown,
    shown,
    shown_value,
)
from polars_crowd.numerics.glance import Glance

SUM_TOLERANCE = 1e-3
"""How far a row of pred_probs may be from a sum of 1."""
COLUMNS_SHOWN = 8
"""How many probabilities of a row an error shows."""


def null_ids(frame: pl.DataFrame) -> AnnotationError:
    rows = frame.with_row_index("row").filter(pl.col("example").is_null()).select("row", "example")
    return AnnotationError(
        f"is null in {counted(rows.height, 'row')}:\n{rows_shown(rows, 'row', 'example')}",
        "Every row needs its example; drop those without.",
        source="pred_probs",
        column="example",
    )


def repeated_examples(frame: pl.DataFrame) -> AnnotationError:
    counts = frame.group_by("example").agg(rows=pl.len()).filter(pl.col("rows") > 1).sort("example")
    return AnnotationError(
        f": {counted(counts.height, 'example')} with more than one row:\n"
        f"{rows_shown(counts, 'example', 'rows')}",
        "Keep one row per example.",
        Advice(
            "Give the models of an ensemble one by one",
            python="[probs_a, probs_b]",
            command="--pred-probs A --pred-probs B",
        ),
        source="pred_probs",
        column="example",
    )


def missing_examples(
    missing: pl.Series, n_examples: int, kind: str = "annotated example", sides: Sequence[str] = ()
) -> AnnotationError:
    """The error for examples without pred_probs; `sides` shows ids of both if none is in both."""
    have = "has" if missing.len() == 1 else "have"
    return AnnotationError(
        f"{missing.len():,} of {counted(n_examples, kind)} {have} no pred_probs: "
        f"{shown(missing.to_list())}.",
        Advice(
            "Predict them too (out of sample, by cross-validation), or leave them out",
            python="log.join(pred_probs, on='example', how='semi')",
        ),
        *sides,
    )


def _nulls(probabilities: pl.Series) -> pl.Series:
    """Whether each is null, or has an entry that is."""
    null = probabilities.is_null()
    return null | probabilities.arr.contains(None) if _is_array(probabilities) else null


def _is_array(probabilities: pl.Series) -> bool:
    return isinstance(probabilities.dtype, pl.Array)


def check_nulls(frame: pl.DataFrame, examples: pl.Series) -> None:
    """The probabilities of the examples, in columns or in one of arrays, are not null."""
    asked = (column for column in frame if column.null_count() or _is_array(column))
    null = [null for column in asked if (null := _nulls(column)).any()]
    if null:
        rows = examples.filter(pl.DataFrame(null).select(pl.any_horizontal(pl.all())).to_series())
        lacking = [column.name for column in null]
        raise AnnotationError(
            f"pred_probs are null in {counted(len(rows), 'row')} of the columns {shown(lacking)}, for "
            f"the examples {shown(rows.to_list())}. Every class needs a probability; fill or "
            "drop them."
        )


LOGITS = "Probabilities lie in [0, 1]; if these are logits, apply a softmax first."
OUTSIDE: list[tuple[str, Callable[[Any], Any], str]] = [
    ("NaN", np.isnan, "Every class needs a probability; fill or drop these rows."),
    ("negative", lambda p: p < 0, LOGITS),
    (
        "above 1",
        lambda p: p > 1 + SUM_TOLERANCE,
        LOGITS + " If they are percentages, divide them by 100.",
    ),
]


def are_probabilities(glance: Glance) -> bool:
    """Whether `check_range` and `check_sums` let pass what was looked through."""
    in_range = glance.least >= 0 and glance.largest.max(initial=0) <= 1 + SUM_TOLERANCE
    return bool(in_range and glance.off <= SUM_TOLERANCE)


def check_range(matrix: Probabilities, names: Sequence[str], examples: pl.Series) -> None:
    if matrix.min() >= 0 and matrix.max() <= 1 + SUM_TOLERANCE:
        return
    for what, wrong, advice in OUTSIDE:
        bad = np.flatnonzero(wrong(matrix).any(axis=1))
        if len(bad):
            raise AnnotationError(
                f"pred_probs are {what} in {counted(len(bad), 'row')}:\n"
                f"{_rows_at(matrix, names, examples, bad)}\n{advice}"
            )


def check_sums(matrix: Probabilities, names: Sequence[str], examples: pl.Series) -> None:
    off = np.abs(matrix.sum(axis=1) - 1)
    bad = np.flatnonzero(off > SUM_TOLERANCE)
    if len(bad):
        raise AnnotationError(
            f"pred_probs do not sum to 1 in {counted(len(bad), 'row')} (off by up to {off.max():.3g}; "
            f"{SUM_TOLERANCE} is allowed):\n{_rows_at(matrix, names, examples, bad)}\n"
            "Give one probability per class, all classes and nothing else, and divide each row by its "
            "sum. If a column is no class, drop it."
        )


def _rows_at(
    matrix: Probabilities, names: Sequence[str], examples: pl.Series, at: NDArray[np.integer]
) -> str:
    lines = []
    for i in at[:SHOWN]:
        pairs = zip(names[:COLUMNS_SHOWN], matrix[i], strict=False)
        values = ", ".join(f"{name}: {p:.4g}" for name, p in pairs)
        more = ", ..." if len(names) > COLUMNS_SHOWN else ""
        lines.append(
            f"  example={shown_value(examples[int(i)])}: {values}{more}; sum {matrix[i].sum():.6g}"
        )
    return "\n".join(lines)
