"""The door for a model's probabilities: from any source to a lazy frame, and to checked numbers.

**pred_probs** are a model's class probabilities, one row per example. `scan_pred_probs` reads no more than
a schema; `read_probabilities` reads the rows of given examples and checks that they are probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.errors import AnnotationError, counted, missing_column, rows_shown, shown
from polars_crowd.sources import open_frame

Probabilities = NDArray[np.floating[Any]]

PROBABILITIES = "pred_probs"
"""The name of a single column that holds all of an example's probabilities."""
SUM_TOLERANCE = 1e-3
"""How far a row of pred_probs may be from a sum of 1."""


@dataclass(frozen=True)
class PredProbs:
    """pred_probs before they are read: a lazy frame and what its columns mean.

    `frame` has `example` and either one column per class, in the order of `names`, or one Array
    column `pred_probs` whose entries are in that order.
    """

    frame: pl.LazyFrame
    names: tuple[str, ...]
    is_array: bool = False


def scan_pred_probs(
    source: Any,
    *,
    example: str | Sequence[Any] = "example",
    classes: Sequence[Any] | Mapping[str, Any] | None = None,
) -> pl.LazyFrame | list[pl.LazyFrame]:
    """A model's predicted class probabilities as a lazy frame: `example` and one column per class.

    Parameters
    ----------
    source
        Anything `scan_annotations` takes, holding the probabilities in one of four forms:

        * one column per class, named like the class (`"cat"`, `"3"`, `"true"`);
        * one Array or List column with the probabilities of all classes in the order of `classes`;
        * a long frame with the columns `label` and `probability` beside the example (an absent pair
          counts as probability 0);
        * a numpy matrix of shape (examples, classes), with the examples' ids as `example`.

        A list of these is an ensemble, one entry per model.
    example
        The name of the example column; for a numpy matrix, the sequence of the examples' ids.
    classes
        The classes. For one column per class: which columns to use, in which order, or a mapping
        from column to class (`{"p_cat": "cat"}`). For an Array column or a matrix: what the entries
        mean; without it they mean the integers 0 .. K-1. For a long frame: the classes, if they are
        not to be read from the data.

    Returns
    -------
    LazyFrame, or a list of them for an ensemble
        `example` and K columns of probabilities in [0, 1]. A row's probabilities must sum to 1; that
        is checked where they are used.

    Raises
    ------
    AnnotationError
        A column is missing, or a column that is no probability is in the way.

    Examples
    --------
    >>> import numpy as np
    >>> scan_pred_probs(np.array([[0.9, 0.1]]), example=["e1"], classes=["cat", "dog"]).collect()
    shape: (1, 3)
    ┌─────────┬─────┬─────┐
    │ example ┆ cat ┆ dog │
    │ ---     ┆ --- ┆ --- │
    │ str     ┆ f64 ┆ f64 │
    ╞═════════╪═════╪═════╡
    │ e1      ┆ 0.9 ┆ 0.1 │
    └─────────┴─────┴─────┘
    """
    if isinstance(source, (list, tuple)):
        return [_wide(open_pred_probs(model, example=example, classes=classes)) for model in source]
    return _wide(open_pred_probs(source, example=example, classes=classes))


def _wide(probs: PredProbs) -> pl.LazyFrame:
    if not probs.is_array:
        return probs.frame
    entries = [pl.col(PROBABILITIES).arr.get(k).alias(name) for k, name in enumerate(probs.names)]
    return probs.frame.select("example", *entries)


def open_pred_probs(
    source: Any,
    *,
    example: str | Sequence[Any] = "example",
    classes: Sequence[Any] | Mapping[str, Any] | None = None,
) -> PredProbs:
    """One model's probabilities from any source, still unread."""
    if isinstance(source, PredProbs):
        return source
    if isinstance(source, np.ndarray):
        return _from_matrix(source, example, classes)
    if not isinstance(example, str):
        raise TypeError(
            "example must be a column's name; ids beside the probabilities go with a numpy matrix only."
        )
    frame = open_frame(source, "pred_probs")
    schema = frame.collect_schema()
    if example not in schema:
        advice = "Say which column it is: pc.scan_pred_probs(probs, example=...)."
        raise missing_column("pred_probs", example, list(schema), advice)
    frame = frame.rename({example: "example"})
    others = [c for c in schema if c != example]
    nested = [c for c in others if isinstance(schema[c], (pl.Array, pl.List))]
    if {"label", "probability"} <= set(others):
        return _from_long(frame, classes)
    if nested:
        return _from_array(frame, nested, schema, classes)
    return _from_columns(frame, others, schema, classes)


def open_models(pred_probs: Any, classes: Sequence[Any] | None) -> list[PredProbs]:
    """The pred_probs of one model, or of each model of a list, still unread."""
    given = pred_probs if isinstance(pred_probs, (list, tuple)) else [pred_probs]
    if not given:
        raise AnnotationError(
            "pred_probs is an empty list; give the probabilities of at least one model."
        )
    return [open_pred_probs(model, classes=classes) for model in given]


def _from_columns(
    frame: pl.LazyFrame,
    others: list[str],
    schema: pl.Schema,
    classes: Sequence[Any] | Mapping[str, Any] | None,
) -> PredProbs:
    meaning = classes if isinstance(classes, Mapping) else None
    columns = (
        list(meaning) if meaning else class_names(list(classes)) if classes is not None else others
    )
    for column in columns:
        if column not in others:
            advice = "Name the columns by class, or map them: classes={'column': class}."
            raise missing_column("pred_probs", column, others, advice)
    no_numbers = [c for c in columns if not schema[c].is_numeric()]
    if no_numbers:
        raise AnnotationError(
            f"pred_probs: the columns {shown(no_numbers)} hold no numbers. Drop them, or say which "
            "columns are classes: pc.scan_pred_probs(probs, classes=[...])."
        )
    names = class_names(list(meaning.values())) if meaning else columns
    renamed = [pl.col(c).alias(n) for c, n in zip(columns, names, strict=True)]
    return PredProbs(frame.select("example", *renamed), tuple(names))


def _from_array(
    frame: pl.LazyFrame,
    nested: list[str],
    schema: pl.Schema,
    classes: Sequence[Any] | Mapping[str, Any] | None,
) -> PredProbs:
    if len(nested) > 1:
        raise AnnotationError(
            f"pred_probs has several Array or List columns ({shown(nested)}). Keep one."
        )
    dtype = schema[nested[0]]
    names = class_names(list(classes)) if classes is not None else None
    if isinstance(dtype, pl.Array):
        size = dtype.size
    else:
        size = len(names) if names else int(_list_size(frame, nested[0]))
    names = names or [str(k) for k in range(size)]
    if len(names) != size:
        raise AnnotationError(
            f"pred_probs: column {nested[0]!r} has {size} entries a row, but classes has {len(names)}."
        )
    entries = pl.col(nested[0])
    if isinstance(dtype, pl.List):
        _check_list_sizes(frame, nested[0], size)
        entries = entries.list.to_array(size)
    return PredProbs(frame.select("example", entries.alias(PROBABILITIES)), tuple(names), True)


def _list_size(frame: pl.LazyFrame, column: str) -> int:
    size = frame.select(pl.col(column).list.len().max()).collect().item()
    return int(size or 0)


def _check_list_sizes(frame: pl.LazyFrame, column: str, size: int) -> None:
    other = frame.filter(pl.col(column).list.len() != size).select("example").collect()
    if other.height:
        raise AnnotationError(
            f"pred_probs: {other.height:,} rows of column {column!r} do not have {size} entries, "
            f"first for the examples {shown(other['example'].to_list())}. Each row needs one per class."
        )


def _from_long(frame: pl.LazyFrame, classes: Sequence[Any] | Mapping[str, Any] | None) -> PredProbs:
    names = class_names(list(classes)) if classes is not None else _labels_in(frame)
    label = pl.col("label").cast(pl.String)
    probability = pl.col("probability")
    columns = [
        pl.when(label.count().gt(label.n_unique()))
        .then(None)
        .otherwise(probability.filter(label == name).sum())
        .alias(name)
        for name in names
    ]
    return PredProbs(frame.group_by("example").agg(columns), tuple(names))


def _labels_in(frame: pl.LazyFrame) -> list[str]:
    labels = frame.select(pl.col("label").unique().sort().cast(pl.String)).collect()
    return labels["label"].drop_nulls().to_list()


def _from_matrix(
    matrix: np.ndarray,
    example: str | Sequence[Any],
    classes: Sequence[Any] | Mapping[str, Any] | None,
) -> PredProbs:
    if isinstance(example, str):
        raise AnnotationError(
            "a numpy matrix of pred_probs needs the ids of its rows: "
            "pc.scan_pred_probs(matrix, example=ids, classes=[...])."
        )
    if matrix.ndim != 2 or len(matrix) != len(example):
        raise AnnotationError(
            f"pred_probs of shape {matrix.shape} do not fit {len(example)} example ids; "
            "the matrix must be (examples, classes)."
        )
    names = class_names(list(classes) if classes is not None else list(range(matrix.shape[1])))
    if len(names) != matrix.shape[1]:
        raise AnnotationError(
            f"pred_probs has {matrix.shape[1]} columns, but classes has {len(names)}."
        )
    frame = pl.DataFrame(
        {"example": pl.Series(example), PROBABILITIES: np.ascontiguousarray(matrix)}
    )
    return PredProbs(frame.lazy(), tuple(names), True)


def class_names(classes: Sequence[Any]) -> list[str]:
    """Classes as column names: the text of each class, as Polars writes it.

    >>> class_names([3, True, "cat"])
    ['3', 'true', 'cat']
    """
    return [str(c).lower() if isinstance(c, (bool, np.bool_)) else str(c) for c in classes]


# --- reading and checking --------------------------------------------------------------------------


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


def lookup(
    probs: PredProbs, dtype: pl.DataType, names: tuple[str, ...], prefix: str
) -> pl.LazyFrame:
    """`example` and a column per class, named by its number: for joins."""
    entry = pl.col(PROBABILITIES).arr.get
    columns = {
        f"{prefix}{k}": entry(probs.names.index(name)) if probs.is_array else pl.col(name)
        for k, name in enumerate(names)
    }
    return probs.frame.select(_comparable_id(probs, dtype), **columns)


def found_probabilities(judged: pl.LazyFrame) -> pl.LazyFrame:
    """The candidates, if every one has a probability; else an error when they are collected."""

    def check(candidates: pl.DataFrame) -> pl.DataFrame:
        probability = candidates["probability"]
        lacking = candidates.filter(probability.is_null() | probability.is_nan())[
            "example"
        ].unique()
        if len(lacking):
            raise _missing_examples(
                lacking.sort(), candidates["example"].n_unique(), "tied example"
            )
        return candidates

    return judged.map_batches(check)


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


def _missing_examples(
    missing: pl.Series, n_examples: int, kind: str = "annotated example"
) -> AnnotationError:
    return AnnotationError(
        f"{missing.len():,} of {counted(n_examples, kind)} have no pred_probs: "
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


def _rows_at(
    matrix: NDArray[np.floating[Any]], examples: pl.Series, at: NDArray[np.integer]
) -> str:
    lines = []
    for i in at[:5]:
        values = ", ".join(f"{p:.4g}" for p in matrix[i][:8])
        more = ", ..." if matrix.shape[1] > 8 else ""
        lines.append(f"  example={examples[int(i)]!r}: [{values}{more}], sum {matrix[i].sum():.6g}")
    return "\n".join(lines)
