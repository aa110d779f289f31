"""The one door in: any frame, file or dataset becomes a lazy log or lazy pred_probs.

A **log** is a LazyFrame with the columns `example`, `annotator`, `label`, one row per annotation, and
whatever other columns travel along. **pred_probs** are a model's class probabilities, one row per
example. Nothing here reads more than a schema; what the rows hold is checked where they are used.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.errors import AnnotationError, missing_column, shown

LOG_COLUMNS = ("example", "annotator", "label")
PROBABILITIES = "pred_probs"
"""The name of a single column that holds all of an example's probabilities."""

READERS = {
    ".parquet": pl.scan_parquet,
    ".pq": pl.scan_parquet,
    ".csv": pl.scan_csv,
    ".tsv": lambda source: pl.scan_csv(source, separator="\t"),
    ".ndjson": pl.scan_ndjson,
    ".jsonl": pl.scan_ndjson,
    ".arrow": pl.scan_ipc,
    ".ipc": pl.scan_ipc,
    ".feather": pl.scan_ipc,
}


def scan_annotations(
    source: Any, *, example: str = "example", annotator: str = "annotator", label: str = "label"
) -> pl.LazyFrame:
    """A lazy log of annotations, with the columns `example`, `annotator`, `label`, from any source.

    Parameters
    ----------
    source
        A LazyFrame or DataFrame; a path, a glob or a directory (hive partitions become columns) of
        Parquet, CSV, TSV, NDJSON or Arrow IPC files; an object with `__arrow_c_stream__` (a pyarrow
        Table, a pandas frame, a DuckDB relation); or a list of any of these, read one after another.
    example, annotator, label
        The names that these columns have in the source. Ids and labels may be strings, integers,
        booleans, dates, categoricals or enums. Other columns travel along.

    Returns
    -------
    LazyFrame
        `example`, `annotator`, `label`, then the other columns. Rows whose label is null (or NaN) are
        not annotations and are dropped.

    Raises
    ------
    AnnotationError
        Now: a column is missing, named twice, or of a type that cannot be an id or a label. What the
        rows hold (null ids, duplicates) is checked by the function that uses the log.

    Examples
    --------
    >>> import polars as pl
    >>> raw = pl.DataFrame({"task": [1, 1, 2], "worker": ["a", "b", "a"], "answer": ["x", None, "y"]})
    >>> scan_annotations(raw, example="task", annotator="worker", label="answer").collect()
    shape: (2, 3)
    ┌─────────┬───────────┬───────┐
    │ example ┆ annotator ┆ label │
    │ ---     ┆ ---       ┆ ---   │
    │ i64     ┆ str       ┆ str   │
    ╞═════════╪═══════════╪═══════╡
    │ 1       ┆ a         ┆ x     │
    │ 2       ┆ a         ┆ y     │
    └─────────┴───────────┴───────┘
    """
    frame = open_frame(source, "the log")
    schema = frame.collect_schema()
    names = {"example": example, "annotator": annotator, "label": label}
    _check_names(names, schema)
    others = [c for c in schema if c not in names.values()]
    labelled = pl.col("label").is_not_null()
    if schema[label].is_float():
        labelled &= pl.col("label").is_not_nan()
    return frame.select(
        *(pl.col(given).alias(name) for name, given in names.items()), *others
    ).filter(labelled)


def _check_names(names: Mapping[str, str], schema: pl.Schema) -> None:
    advice = "Say which columns they are: pc.scan_annotations(log, example=..., annotator=..., label=...)."
    for name, given in names.items():
        if given not in schema:
            raise missing_column("the log", given, list(schema), advice)
        if given != name and name in schema and name not in names.values():
            raise AnnotationError(
                f"the log has a column {name!r} beside {given!r}, which is to become {name!r}. "
                "Drop or rename one of them."
            )
    if len(set(names.values())) < len(names):
        raise AnnotationError(f"example, annotator and label must be three columns, not {names}.")
    for name, given in names.items():
        dtype = schema[given]
        if dtype.is_nested() or dtype == pl.Object or (name != "label" and dtype.is_float()):
            raise AnnotationError(
                f"column {given!r} of the log is {dtype}, which cannot be an {name}. "
                "Cast it to a string or an integer first."
            )


def open_frame(source: Any, what: str) -> pl.LazyFrame:
    """Any source as a LazyFrame; `what` names it in errors."""
    if isinstance(source, pl.LazyFrame):
        return source
    if isinstance(source, pl.DataFrame):
        return source.lazy()
    if isinstance(source, (str, Path)):
        return _scan_path(str(source), what)
    if isinstance(source, (list, tuple)):
        if not source:
            raise AnnotationError(f"{what} is an empty list; give at least one frame or path.")
        return pl.concat([open_frame(part, what) for part in source], how="vertical_relaxed")
    if type(source).__module__.partition(".")[0] == "pandas":
        return pl.from_pandas(source).lazy()
    if hasattr(source, "__arrow_c_stream__"):
        return pl.DataFrame(source).lazy()
    raise TypeError(
        f"{what} is a {type(source).__name__}; give a Polars frame, a path, an object with "
        "__arrow_c_stream__ (pyarrow, pandas, DuckDB), or a list of these."
    )


def _scan_path(path: str, what: str) -> pl.LazyFrame:
    remote = "://" in path
    is_directory = not remote and Path(path).is_dir()
    if not remote and not is_directory and not glob.glob(path, recursive=True):
        raise FileNotFoundError(f"{what}: no file at {path!r}.")
    suffix = _directory_suffix(path, what) if is_directory else _suffix(path)
    if suffix not in READERS:
        raise AnnotationError(
            f"{what}: {path!r} ends in {suffix!r}; known endings are {', '.join(READERS)}."
        )
    pattern = f"{path}/**/*{suffix}" if is_directory and suffix != ".parquet" else path
    return READERS[suffix](pattern)


def _suffix(path: str) -> str:
    return Path(path.rstrip("*")).suffix.lower() or ".parquet"


def _directory_suffix(path: str, what: str) -> str:
    found = {file.suffix.lower() for file in Path(path).rglob("*") if file.is_file()}
    known = sorted(found & READERS.keys())
    if len(known) != 1:
        raise AnnotationError(
            f"{what}: the directory {path!r} holds {shown(sorted(found)) or 'no files'}; "
            f"it must hold files of one kind among {', '.join(READERS)}."
        )
    return known[0]


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


def _from_columns(
    frame: pl.LazyFrame,
    others: list[str],
    schema: pl.Schema,
    classes: Sequence[Any] | Mapping[str, Any] | None,
) -> PredProbs:
    meaning = classes if isinstance(classes, Mapping) else None
    columns = list(meaning) if meaning else class_names(classes) if classes is not None else others
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


def _from_long(
    frame: pl.LazyFrame, classes: Sequence[Any] | Mapping[str, Any] | None
) -> PredProbs:
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
        raise AnnotationError(f"pred_probs has {matrix.shape[1]} columns, but classes has {len(names)}.")
    frame = pl.DataFrame({"example": pl.Series(example), PROBABILITIES: np.ascontiguousarray(matrix)})
    return PredProbs(frame.lazy(), tuple(names), True)


def class_names(classes: Sequence[Any]) -> list[str]:
    """Classes as column names: the text of each class, as Polars writes it.

    >>> class_names([3, True, "cat"])
    ['3', 'true', 'cat']
    """
    return [str(c).lower() if isinstance(c, (bool, np.bool_)) else str(c) for c in classes]


def from_wide(
    matrix: Any,
    *,
    example: str | Sequence[Any] | None = None,
    annotators: Sequence[Any] | None = None,
) -> pl.LazyFrame:
    """The log held in a wide matrix: one row per example, one column per annotator.

    Parameters
    ----------
    matrix
        A Polars or pandas frame, or a numpy array, of shape (examples, annotators); a null or NaN
        means that the annotator did not label the example. Labels that are floats only because of
        NaN become integers.
    example
        The column with the examples' ids, or the ids. By default a pandas frame's index, else the
        row numbers from 0.
    annotators
        The annotators' ids; by default the columns' names (the column numbers of a numpy array).

    Returns
    -------
    LazyFrame
        `example`, `annotator`, `label`, one row per annotation.

    Examples
    --------
    >>> import polars as pl
    >>> wide = pl.DataFrame({"a1": ["x", "y"], "a2": ["x", None]})
    >>> from_wide(wide).sort("example", "annotator").collect()
    shape: (3, 3)
    ┌─────────┬───────────┬───────┐
    │ example ┆ annotator ┆ label │
    │ ---     ┆ ---       ┆ ---   │
    │ i64     ┆ str       ┆ str   │
    ╞═════════╪═══════════╪═══════╡
    │ 0       ┆ a1        ┆ x     │
    │ 0       ┆ a2        ┆ x     │
    │ 1       ┆ a1        ┆ y     │
    └─────────┴───────────┴───────┘
    """
    frame, ids, names = _wide_parts(matrix, example)
    given = pl.Series(annotators if annotators is not None else names)
    if len(given) != frame.width:
        raise AnnotationError(f"{frame.width} columns of labels, but {len(given)} annotators.")
    wide = frame.rename(dict(zip(frame.columns, map(str, range(frame.width)), strict=True)))
    long = (
        wide.with_columns(ids.alias("example"))
        .lazy()
        .unpivot(index="example", variable_name="annotator", value_name="label")
    )
    annotator = pl.lit(given).gather(pl.col("annotator").cast(pl.UInt32))
    return scan_annotations(long.with_columns(annotator.alias("annotator")))


def _wide_parts(
    matrix: Any, example: str | Sequence[Any] | None
) -> tuple[pl.DataFrame, pl.Series, list[Any]]:
    """The labels as a frame, the examples' ids and the annotators' names."""
    names: list[Any]
    if type(matrix).__module__.partition(".")[0] == "pandas":
        if isinstance(example, str):
            matrix = matrix.set_index(example)
        names, ids = list(matrix.columns), pl.from_pandas(matrix.index.to_series())
        frame = pl.from_pandas(matrix.set_axis([str(k) for k in range(matrix.shape[1])], axis=1))
    elif isinstance(matrix, np.ndarray):
        if matrix.ndim != 2:
            raise AnnotationError(f"a wide log has two dimensions, not {matrix.ndim}.")
        names, ids = list(range(matrix.shape[1])), pl.Series(range(len(matrix)), dtype=pl.Int64)
        frame = pl.DataFrame({str(k): _column(matrix[:, k]) for k in names})
    else:
        frame = open_frame(matrix, "the wide log").collect()
        ids = pl.Series(range(frame.height), dtype=pl.Int64)
        if isinstance(example, str):
            ids = frame[example]
            frame = frame.drop(example)
        names = frame.columns
    if example is not None and not isinstance(example, str):
        ids = pl.Series(example)
    return frame.with_columns(_integers_again(frame)), ids, names


def _column(values: np.ndarray) -> pl.Series:
    if values.dtype != object:
        return pl.Series(values)
    # NaN is the only value that differs from itself
    return pl.Series([None if v is None or v != v else v for v in values.tolist()])  # noqa: PLR0124


def _integers_again(frame: pl.DataFrame) -> list[pl.Expr]:
    """Float columns of whole numbers, NaN for missing, as integers."""
    floats = [c for c in frame.columns if frame[c].dtype.is_float()]
    values = [frame[c].fill_nan(None).drop_nulls() for c in floats]
    whole = all(bool((v == v.round()).all()) for v in values)
    return [pl.col(c).fill_nan(None).cast(pl.Int64 if whole else pl.Float64) for c in floats]


def to_wide(log: Any) -> pl.DataFrame:
    """The log as a wide frame: `example` and one column per annotator, null where not labelled.

    This is for logs that fit densely in memory; nothing in this library needs it. Examples and
    annotators are sorted.

    Raises
    ------
    AnnotationError
        An annotator labelled an example more than once: a wide frame has one place for it.

    Examples
    --------
    >>> import polars as pl
    >>> log = pl.DataFrame({"example": [2, 1], "annotator": ["b", "a"], "label": ["x", "y"]})
    >>> to_wide(log)
    shape: (2, 3)
    ┌─────────┬──────┬──────┐
    │ example ┆ a    ┆ b    │
    │ ---     ┆ ---  ┆ ---  │
    │ i64     ┆ str  ┆ str  │
    ╞═════════╪══════╪══════╡
    │ 1       ┆ y    ┆ null │
    │ 2       ┆ null ┆ x    │
    └─────────┴──────┴──────┘
    """
    frame = scan_annotations(log).select(LOG_COLUMNS).collect()
    twice = frame.filter(pl.struct("example", "annotator").is_duplicated())
    if twice.height:
        raise AnnotationError(
            f"{twice.height:,} rows label an example by the same annotator more than once; "
            "keep one of each (unique(['example', 'annotator'])) before to_wide."
        )
    annotators = frame["annotator"].unique().sort()
    wide = frame.pivot("annotator", index="example", values="label").sort("example")
    return wide.select("example", *annotators.cast(pl.String).to_list())
