"""Frames, files and datasets, all as LazyFrames. Nothing here reads more than a schema.

Objects with `__arrow_c_stream__` are the exception: a stream is read once, so they are read whole.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl

from polars_crowd.errors import AnnotationError, shown

READERS: dict[str, Callable[..., pl.LazyFrame]] = {
    ".parquet": pl.scan_parquet,
    ".pq": pl.scan_parquet,
    ".csv": pl.scan_csv,
    ".tsv": lambda source, **options: pl.scan_csv(source, separator="\t", **options),
    ".ndjson": pl.scan_ndjson,
    ".jsonl": pl.scan_ndjson,
    ".arrow": pl.scan_ipc,
    ".ipc": pl.scan_ipc,
    ".feather": pl.scan_ipc,
}
TEXT = (".csv", ".tsv", ".ndjson", ".jsonl")
"""Files that may be compressed as a whole, and for which Polars knows no hive partitions."""
COMPRESSED = (".gz", ".zst", ".zlib")
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
FILE = "__file__"
"""A column for the path of a row's file, while a frame is made."""


def open_frame(source: Any, what: str) -> pl.LazyFrame:
    """Any source as a LazyFrame; `what` names it in errors."""
    if isinstance(source, pl.LazyFrame):
        return source
    if isinstance(source, pl.DataFrame):
        return source.lazy()
    if isinstance(source, (str, Path)):
        return _scan_path(str(source), what)
    if isinstance(source, (list, tuple)):
        return stacked([open_frame(part, what) for part in source], what)
    if type(source).__module__.partition(".")[0] == "pandas":
        return _from_pandas(source)
    if hasattr(source, "__arrow_c_stream__"):
        return pl.DataFrame(source).lazy()
    raise TypeError(
        f"{what} is a {type(source).__name__}; give a Polars frame, a path, an object with "
        "__arrow_c_stream__ (pyarrow, pandas, DuckDB), or a list of these."
    )


def _from_pandas(source: Any) -> pl.LazyFrame:
    """A pandas frame or series, with its index as columns if it is named."""
    named = [name for name in source.index.names if name is not None]
    frame: pl.DataFrame = pl.from_pandas(source.reset_index(named) if named else source)
    return frame.lazy()


# --- one after another -----------------------------------------------------------------------------


def stacked(
    frames: Sequence[pl.LazyFrame],
    what: str,
    columns: Sequence[str] = (),
    sources: Sequence[Any] = (),
) -> pl.LazyFrame:
    """Frames one after another. Columns that some do not have are null there.

    `columns` hold ids and labels: their types must be of one kind, so that equal ids are equal everywhere.
    `sources` are what the frames were opened from; errors name the first file that differs.
    """
    if not frames:
        raise AnnotationError(f"{what} is an empty list; give at least one frame or path.")
    if len(frames) == 1:
        return frames[0]
    schemas = [frame.collect_schema() for frame in frames]
    common = [
        pl.col(column).cast(
            _common_type([schema[column] for schema in schemas], column, what, sources)
        )
        for column in columns
    ]
    frame = pl.concat([frame.with_columns(common) for frame in frames], how="diagonal_relaxed")
    try:
        frame.collect_schema()
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise AnnotationError(
            f"the {len(frames)} parts of {what} do not fit together: {reason}. "
            "Cast or drop the columns that differ."
        ) from error
    return frame


def _common_type(
    dtypes: Sequence[pl.DataType], column: str, what: str, sources: Sequence[Any]
) -> pl.DataType:
    """The type that holds equal values of all these types as equal values."""
    different = set(dtypes) - {pl.Null()} or {pl.Null()}
    if len(different) == 1:
        return different.pop()
    if all(map(is_text, different)):
        return pl.String()
    if all(dtype.is_unsigned_integer() for dtype in different):
        return pl.UInt64()
    if all(dtype.is_integer() and dtype != pl.UInt64 for dtype in different):
        return pl.Int64()
    raise AnnotationError(
        f"column {column!r} of {what} is {' in one part and '.join(sorted(map(str, different)))} in "
        "another. Cast it to one type, so that equal values are equal everywhere."
        + _first_that_differs(dtypes, sources)
    )


def _first_that_differs(dtypes: Sequence[pl.DataType], sources: Sequence[Any]) -> str:
    """The first file with another type than the first part, said as a sentence."""
    for dtype, source in zip(dtypes, sources, strict=False):
        if dtype != dtypes[0] and isinstance(source, (str, Path)):
            return f" The first with another type than the first part is {source}."
    return ""


def is_text(dtype: pl.DataType) -> bool:
    """Whether values of this type are strings."""
    return dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum)


# --- files -----------------------------------------------------------------------------------------


def _scan_path(path: str, what: str) -> pl.LazyFrame:
    if "://" not in path:
        if Path(path).is_dir():
            return _scan_directory(path, what)
        if not glob.glob(path, recursive=True):
            raise FileNotFoundError(f"{what}: no file at {path!r}.")
    suffix = _suffix(path.rstrip("*")) or ".parquet"
    if suffix not in READERS:
        raise AnnotationError(
            f"{what}: {path!r} ends in {suffix!r}; known endings are {', '.join(READERS)}, and of "
            f"text {', '.join(COMPRESSED)} after them."
        )
    return READERS[suffix](path)


def _suffix(path: str) -> str:
    """The ending that says what a file holds.

    >>> _suffix("log.parquet"), _suffix("LOG.CSV.GZ"), _suffix("log.parquet.gz"), _suffix("log")
    ('.parquet', '.csv', '.gz', '')
    """
    *_, before, last = ["", "", *(suffix.lower() for suffix in Path(path).suffixes)]
    return before if last in COMPRESSED and before in TEXT else last


def _scan_directory(path: str, what: str) -> pl.LazyFrame:
    """All files of a directory; directories named like `language=en` in it become columns."""
    every = sorted(file for file in Path(path).rglob("*") if file.is_file())
    suffixes = {_suffix(file.name) for file in every}
    known = sorted(suffixes & READERS.keys())
    if len(known) != 1:
        raise AnnotationError(
            f"{what}: the directory {path!r} holds {shown(sorted(suffixes)) or 'no files'}; "
            f"it must hold files of one kind among {', '.join(READERS)}."
        )
    files = [file for file in every if _suffix(file.name) == known[0]]
    reader = READERS[known[0]]
    if not any("=" in part for file in files for part in file.relative_to(path).parts[:-1]):
        return reader(files)
    if known[0] not in TEXT and "=" not in path:
        return reader(files, hive_partitioning=True)
    return _with_hive_columns(reader(files, include_file_paths=FILE), Path(path), files)


def _with_hive_columns(frame: pl.LazyFrame, root: Path, files: Sequence[Path]) -> pl.LazyFrame:
    """The frame with the values that the directories of its files give, in place of its `FILE`."""
    directories = [file.relative_to(root).parent.as_posix() for file in files]
    given = [dict(re.findall(r"([^/=]+)=([^/]*)", directory)) for directory in directories]
    keys = dict.fromkeys(key for values in given for key in values)
    names = pl.Series([file.as_posix() for file in files])
    columns = [
        pl.col(FILE).replace_strict(names, _hive_values([values.get(key) for values in given]))
        for key in keys
    ]
    return frame.with_columns(
        column.alias(key) for key, column in zip(keys, columns, strict=True)
    ).drop(FILE)


def _hive_values(texts: Sequence[str | None]) -> pl.Series:
    """What the names of directories say, as integers if they all are.

    >>> _hive_values(["1", "__HIVE_DEFAULT_PARTITION__"]).to_list(), _hive_values(["a%20b"]).to_list()
    ([1, None], ['a b'])
    """
    values = [None if text in (None, HIVE_NULL) else unquote(str(text)) for text in texts]
    series = pl.Series(values, dtype=pl.String)
    integers = series.cast(pl.Int64, strict=False)
    return integers if integers.null_count() == series.null_count() else series
