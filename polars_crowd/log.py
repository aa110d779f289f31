"""The door for annotations: any frame, file or dataset becomes a lazy log.

A **log** is a LazyFrame with the columns `example`, `annotator`, `label`, one row per annotation, and
whatever other columns travel along. Nothing here reads more than a schema; what the rows hold is checked
where they are used.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.errors import AnnotationError, missing_column, shown

LOG_COLUMNS = ("example", "annotator", "label")

READERS: dict[str, Callable[[str], pl.LazyFrame]] = {
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
        frame: pl.DataFrame = pl.from_pandas(source)
        return frame.lazy()
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
    return pl.Series([None if v is None or v != v else v for v in values.tolist()])


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
