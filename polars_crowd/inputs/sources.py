"""Frames, files and datasets, all as LazyFrames. Of files that say their types no more is read than a schema.

Text files are looked through once (`inputs.text`), since their types are in their values. Objects with
`__arrow_c_stream__` are streams that are read once, so they are read whole.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl

from polars_crowd.errors import Advice, AnnotationError, OptionError, counted, missing_column, shown
from polars_crowd.inputs.blame import READERS, check_files, check_schemas, named, named_twice
from polars_crowd.inputs.objects import frame_of_pandas, frame_of_records, is_pandas, is_records
from polars_crowd.inputs.parts import (
    Part,
    check_fields,
    in_directories,
    is_text,
    part_of_excel,
    part_of_frame,
    part_of_json,
    part_of_text,
    settled,
)
from polars_crowd.inputs.streams import COMPRESSED, fetched
from polars_crowd.inputs.text import Reading, open_text

TEXT = (".csv", ".tsv", ".txt")
JSON_LINES = (".ndjson", ".jsonl")
ENDINGS = (*READERS, *TEXT, *JSON_LINES, ".json", ".xlsx")
PACKED = (*TEXT, *JSON_LINES)
"""Files that may be compressed as a whole."""
BESIDE = {".txt", ".json"}
"""What lies beside the files of a dataset and says something about it; a log, if there is nothing else."""
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
USUAL = Reading()
OWN = "polars_crowd_"
"""How the names of columns begin that are made on the way, beside the caller's."""


def open_frame(source: Any, what: str) -> pl.LazyFrame:
    """Any source as a LazyFrame; `what` names it in errors."""
    return stacked(settled(open_parts(source, what)), what)


def checked_columns(
    frame: pl.LazyFrame, what: str, columns: Iterable[str], advice: Advice | str
) -> None:
    """That a frame has the columns; `what` names it."""
    found = list(frame.collect_schema())
    for column in columns:
        if column not in found:
            raise missing_column(what, column, found, advice)


def open_parts(source: Any, what: str, reading: Reading = USUAL) -> list[Part]:
    """Any source as its parts, one after another."""
    parts = list(_parts(source, what, reading))
    if not parts:
        raise AnnotationError(f"{what} is an empty list; give at least one frame or path.")
    for part in parts:
        check_names(part.columns, what)
    check_effect(reading, frozenset[str]().union(*(part.options for part in parts)), what)
    return parts


def check_names(columns: Iterable[str], what: str) -> None:
    """No column is called like those that are made on the way, or as Polars calls several at once."""
    called = list(columns)
    begun = [column for column in called if column.startswith(OWN)]
    wrong = {
        f"names that begin with {OWN!r} are for columns that are made on the way": begun,
        "Polars takes '*' and '^...$' for patterns of names": [c for c in called if is_pattern(c)],
    }
    for why, names in wrong.items():
        if names:
            raise AnnotationError(
                f"cannot have the names of {counted(len(names), 'column')}, {shown(names)}: {why}.",
                "Rename or drop them.",
                source=what,
            )


def is_pattern(name: str) -> bool:
    """Whether Polars takes a name for a pattern of names.

    >>> is_pattern("*"), is_pattern("^a.*$"), is_pattern("a*"), is_pattern("^")
    (True, True, False, False)
    """
    return name == "*" or (name.startswith("^") and name.endswith("$"))


def check_effect(reading: Reading, known: frozenset[str], what: str) -> None:
    """The options that are given have an effect: those that are `known` have one."""
    for name, value in reading.given.items():
        if name not in known:
            kinds = "Excel files (.xlsx)" if name == "sheet" else f"text files ({', '.join(TEXT)})"
            raise OptionError(name, value, f"it is about {kinds}, and {what} has none.")


def _parts(source: Any, what: str, reading: Reading) -> Iterable[Part]:
    if isinstance(source, list) and is_records(source):
        return [part_of_frame(frame_of_records(source, what))]
    if isinstance(source, (list, tuple)):
        return [part for one in source for part in _parts(one, what, reading)]
    if isinstance(source, (str, Path)):
        return _parts_at(str(source), what, reading)
    return [part_of_frame(_frame(source, what))]


def _frame(source: Any, what: str) -> pl.LazyFrame:
    if isinstance(source, pl.LazyFrame):
        return source
    if isinstance(source, pl.DataFrame):
        return source.lazy()
    if is_pandas(source):
        return frame_of_pandas(source, what).lazy()
    if hasattr(source, "__arrow_c_stream__"):
        return _of_arrow(source, what).lazy()
    raise TypeError(
        f"{what} is a {type(source).__name__}; give a Polars frame, a path, an object with "
        "__arrow_c_stream__ (pyarrow, pandas, DuckDB), or a list of these."
    )


def _of_arrow(source: Any, what: str) -> pl.DataFrame:
    try:
        return pl.DataFrame(source)
    except pl.exceptions.DuplicateError as error:
        raise named_twice(what, error) from error


# --- one after another -----------------------------------------------------------------------------


def stacked(
    frames: Sequence[pl.LazyFrame],
    what: str,
    columns: Sequence[str] = (),
    files: Sequence[str] = (),
) -> pl.LazyFrame:
    """Frames one after another. Columns that some do not have are null there.

    `columns` hold ids and labels: their types must be of one kind, so that equal ids are equal everywhere.
    `files` are those that the frames are of; errors name the first that differs.
    """
    if len(frames) == 1:
        return frames[0]
    schemas = [frame.collect_schema() for frame in frames]
    common = [
        pl.col(column).cast(
            _common_type([schema[column] for schema in schemas], column, what, files)
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
    dtypes: Sequence[pl.DataType], column: str, what: str, files: Sequence[str]
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
        + _first_that_differs(dtypes, files)
    )


def _first_that_differs(dtypes: Sequence[pl.DataType], files: Sequence[str]) -> str:
    """The first file with another type than the first part, said as a sentence."""
    for dtype, file in zip(dtypes, files, strict=False):
        if dtype != dtypes[0] and file:
            return f" The first with another type than the first part is {file}."
    return ""


# --- files -----------------------------------------------------------------------------------------


def _parts_at(path: str, what: str, reading: Reading) -> list[Part]:
    """The parts of a file, a glob, a directory or an address."""
    if not path:
        raise AnnotationError(f"{what} is an empty text; give a path.")
    if "://" in path:
        kind = _kind(path, what)
        with named(path):
            return _parts_of_kind([fetched(path)] if kind in TEXT else [path], what, reading)
    with named(path):
        is_directory, is_there = Path(path).is_dir(), Path(path).exists()
    if is_directory:
        return _parts_in_directory(Path(path), what, reading)
    found = [path] if is_there else sorted(glob.glob(path, recursive=True))
    if not found:
        raise FileNotFoundError(f"{what}: no file at {path!r}.")
    files = [file for file in found if not Path(file).is_dir()]
    if not files:
        return [part for file in found for part in _parts_in_directory(Path(file), what, reading)]
    return _parts_of_kind(files, what, reading)


def suffix_of(path: str) -> str:
    """The ending that says what a file holds.

    >>> suffix_of("log.parquet"), suffix_of("LOG.CSV.GZ"), suffix_of("log.parquet.gz"), suffix_of("log")
    ('.parquet', '.csv', '.gz', '')
    """
    *_, before, last = ["", "", *(suffix.lower() for suffix in Path(path).suffixes)]
    return before if last in COMPRESSED and before in PACKED else last


def is_path(text: str) -> bool:
    """Whether a text is a path or an address, rather than the name of a column.

    >>> is_path("gold.csv"), is_path("./gold"), is_path("gold")
    (True, True, False)
    """
    return suffix_of(text.rstrip("*")) in ENDINGS or "/" in text or os.sep in text


def _kind(path: str, what: str) -> str:
    ending = suffix_of(path.rstrip("*"))
    if ending not in ENDINGS:
        raise AnnotationError(
            f"{what}: {path!r} ends in {ending!r}; known endings are {', '.join(ENDINGS)}, and of "
            f"{', '.join(PACKED)} also {' and '.join(COMPRESSED)} after them."
        )
    return ending


def _parts_of_kind(files: Sequence[str], what: str, reading: Reading) -> list[Part]:
    """Files of one kind, as few parts as they can be read in."""
    kinds = {_kind(file, what) for file in files}
    if len(kinds) > 1:
        raise AnnotationError(
            f"{what}: the files end in {shown(sorted(kinds))}; give those of one kind, or a list."
        )
    kind = kinds.pop()
    check_files(files)
    if kind in TEXT:
        opened = [open_text(file, reading) for file in files]
        return [part_of_text(list(alike)) for _, alike in groupby(opened, lambda file: file.kind)]
    if kind == ".xlsx":
        return [part_of_excel(file, reading) for file in files]
    if kind == ".json":
        return [part_of_json(file, _json(file)) for file in files]
    if kind in JSON_LINES:
        return [part_of_json(file, _json_lines(file)) for file in files]
    if READERS[kind] is pl.scan_ipc:
        for file in files:
            check_fields(file)
    check_schemas(files, kind)
    return [part_of_frame(READERS[kind](list(files), glob="://" in files[0]), files[0])]


def _json(file: str) -> Callable[[pl.Schema | None], pl.LazyFrame]:
    """An array of objects, which is read whole."""
    return lambda schema: pl.read_json(file, schema=schema, infer_schema_length=None).lazy()


def _json_lines(file: str) -> Callable[[pl.Schema | None], pl.LazyFrame]:
    """An object a line."""
    path = file if "://" in file else glob.escape(file)
    return lambda schema: pl.scan_ndjson(path, schema=schema, infer_schema_length=None)


# --- directories -----------------------------------------------------------------------------------


def _parts_in_directory(path: Path, what: str, reading: Reading) -> list[Part]:
    """All files of a directory; directories named like `language=en` in it become columns."""
    every = sorted(file for file in path.rglob("*") if file.is_file())
    suffixes = {suffix_of(file.name) for file in every}
    known = sorted(suffixes & set(ENDINGS) - BESIDE) or sorted(suffixes & BESIDE)
    if len(known) != 1:
        raise AnnotationError(
            f"{what}: the directory {str(path)!r} holds {shown(sorted(suffixes)) or 'no files'}; "
            f"it must hold files of one kind among {', '.join(ENDINGS)}."
        )
    files = [file for file in every if suffix_of(file.name) == known[0]]
    if not any("=" in part for file in files for part in file.relative_to(path).parts[:-1]):
        return _parts_of_kind([str(file) for file in files], what, reading)
    if known[0] in READERS and "=" not in str(path):
        check_files([str(file) for file in files])
        check_schemas([str(file) for file in files], known[0])
        scan = READERS[known[0]](files, hive_partitioning=True, glob=False)
        return [part_of_frame(scan, str(files[0]))]
    parts, said = [], []
    for values, alike in groupby(files, lambda file: _said_by(file.relative_to(path).parent)):
        found = _parts_of_kind([str(file) for file in alike], what, reading)
        parts += found
        said += [values] * len(found)
    return in_directories(parts, said)


def _said_by(directory: Path) -> Mapping[str, str | None]:
    """What the names of directories say.

    >>> _said_by(Path("language=a%20b/year=2024/part"))
    {'language': 'a b', 'year': '2024'}
    """
    said = re.findall(r"([^/=]+)=([^/]*)", directory.as_posix())
    return {key: None if text == HIVE_NULL else unquote(text) for key, text in said}
