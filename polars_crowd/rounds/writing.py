"""Tables of results as Parquet, CSV and sheets of a workbook: all of them written, or none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl

from polars_crowd.errors import (
    Advice,
    AnnotationError,
    OptionError,
    TakenError,
    counted,
    shown,
    warn,
)
from polars_crowd.inputs.parts import is_text
from polars_crowd.rounds.contents import (
    MARK,
    Contents,
    as_json,
    blank,
    files_as_written,
    files_in,
    read_contents,
    remove_tables,
    stored,
    write_contents,
)
from polars_crowd.rounds.digests import checksum
from polars_crowd.rounds.files import abandoned, refusing, whole_files
from polars_crowd.rounds.generations import LOCK, remove_ours, scan_held
from polars_crowd.rounds.locks import Hold, writing
from polars_crowd.rounds.workbook import import_xlsxwriter, write_workbook

Format = Literal["parquet", "csv", "xlsx"]
Table = pl.LazyFrame | pl.DataFrame | pl.Series | None
Frames = dict[str, pl.LazyFrame]
WORKBOOK = "results.xlsx"
KEPT_FROM_RUNNING = "with an apostrophe, not to be run as a formula"
FORMULA = r"^'*[=+\-@\t\r]"
KEPT_FROM_IT = r"^'('*[=+\-@\t\r])"
SEPARATORS = (";", "\n")
"""Of the members of a list, in a cell."""
FROM_CSV: dict[str, type[pl.DataType]] = {
    str(dtype()): dtype
    for dtype in (
        *(pl.Boolean, pl.Float32, pl.Float64, pl.Int8, pl.Int16, pl.Int32, pl.Int64),
        *(pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64),
    )
}
"""What CSV brings back as it was; all else is text."""
GIVE_WAY = Advice("Overwrite them, or give another directory", "overwrite=True", "--force")
NESTED = Advice(
    "Write another format",
    "format='parquet'",
    "--out-format parquet, or --format json without --out",
)


# --- writing ---------------------------------------------------------------------------------------


def write_results(
    directory: Path,
    tables: Mapping[str, Table],
    about: Contents,
    *,
    format: Format,
    names: Mapping[str, str],
    overwrite: bool,
    formulas: bool,
) -> None:
    """Write tables into a directory, and what they are."""
    _check_options(format, formulas)
    frames = renamed({name: as_lazy(t) for name, t in tables.items() if t is not None}, names)
    file_of = {name: file_name(name, format) for name in frames}
    files = list(dict.fromkeys(file_of.values()))
    earlier_tables(directory, files, overwrite)
    contents = {
        **blank("write"),
        **about,
        "file_format": format,
        "names": names_by_now(about.get("names", {}), names),
        "formulas": formulas,
        "tables": dict.fromkeys(tables)
        | {name: _listed(tables[name], frame, file_of[name]) for name, frame in frames.items()},
        "complete": True,
    }
    targets = [directory / file for file in files]
    with (
        _made(directory),
        writing(directory / LOCK, directory),
        whole_files([*targets, directory / MARK]) as (*paths, mark),
    ):
        earlier = earlier_tables(directory, files, overwrite)  # somebody else may have written
        kept = _write(frames, paths, targets, format, formulas)
        if kept:
            contents["header"] += f"; {counted(kept, 'cell')} {KEPT_FROM_RUNNING}"
        digests = dict(zip(files, map(checksum, paths), strict=True))
        for name, file in file_of.items():
            contents["tables"][name]["digests"] = [digests[file]]
        mark.write_text(as_json(contents), encoding="utf-8")
        write_contents(directory, {**contents, "complete": False, "earlier": earlier})
        remove_ours(
            left
            for file in (*targets, directory / MARK)
            for left in abandoned(file)
            if left not in (*paths, mark)
        )
    remove_tables(directory, {k: t for k, t in earlier.items() if t["files"][0] not in files})
    warn_of_kept(kept, str(directory))


def names_by_now(earlier: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """What columns are called that were given other names before.

    >>> names_by_now({"example": "item"}, {"item": "task", "label": "answer"})
    {'example': 'task', 'label': 'answer'}
    """
    first = {old: new for old, new in names.items() if old not in earlier.values()}
    return {**{old: names.get(new, new) for old, new in earlier.items()}, **first}


def file_name(table: str, format: Format) -> str:
    """The file that a table is written into."""
    return WORKBOOK if format == "xlsx" else f"{table}.{format}"


def _check_options(format: str, formulas: bool) -> None:
    if format not in get_args(Format):
        raise ValueError(f"format={format!r}; it must be one of {shown(list(get_args(Format)))}.")
    if formulas and format != "csv":
        raise ValueError(f'formulas=True has no effect on format="{format}": only CSV has any.')
    if format == "xlsx":
        import_xlsxwriter()


def as_lazy(table: pl.LazyFrame | pl.DataFrame | pl.Series) -> pl.LazyFrame:
    return table.to_frame().lazy() if isinstance(table, pl.Series) else table.lazy()


def renamed(frames: Frames, names: Mapping[str, str]) -> Frames:
    """The frames with other names for columns.

    Raises
    ------
    ValueError
        A column is in none of them, or a table would have a name twice.
    """
    unfit = [name for name in names.values() if not isinstance(name, str) or not name]
    if unfit:
        raise OptionError("names", unfit, "columns are called by texts that are not empty.")
    columns = {table: frame.collect_schema().names() for table, frame in frames.items()}
    there = {name for own in columns.values() for name in own}
    strange = [name for name in names if name not in there]
    if strange:
        raise ValueError(
            f"names: no table has a column {shown(strange)}; there are {shown(sorted(there), 50)}."
        )
    for table, own in columns.items():
        new = [names.get(name, name) for name in own]
        twice = sorted({name for name in new if new.count(name) > 1})
        if twice:
            raise ValueError(f"names: {table} would have several columns {shown(twice)}.")
    return {table: frame.rename(names, strict=False) for table, frame in frames.items()}


def earlier_tables(directory: Path, files: Sequence[str], overwrite: bool) -> dict[str, Any]:
    """The tables of the results that are there and give way.

    Raises
    ------
    FileExistsError
        They do not, or files that are not ours would be replaced.
    """
    if directory.exists() and not directory.is_dir():
        raise NotADirectoryError(f"{directory} is a file; give a directory to write into.")
    found = read_contents(directory)
    if found is not None and found["by"] != "write":
        raise FileExistsError(
            f"{directory} holds the results of a run. Write into another directory."
        )
    if found is not None and not overwrite:
        raise TakenError(f"{directory} holds results of {found['method']} already.", GIVE_WAY)
    earlier = {} if found is None else _by_file({**found.get("earlier", {})}, found["tables"])
    ours = set(files_in(directory, earlier))
    strange = [f for f in files if (directory / f).exists() and directory / f not in ours]
    if strange:
        raise FileExistsError(
            f"{directory} has {shown(strange)}, which no results of ours list. Move them away, or give "
            "another directory."
        )
    return earlier


def _by_file(*tables: Mapping[str, Any]) -> dict[str, Any]:
    """All tables that have files, by their first file."""
    return {table["files"][0]: table for some in tables for table in some.values() if table}


@contextmanager
def _made(directory: Path) -> Iterator[None]:
    """The directory is there; if it was made for nothing it goes again."""
    made = [place for place in (directory, *directory.parents) if not place.exists()]
    with refusing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for place in made:
            with suppress(OSError):  # it holds the results
                place.rmdir()


def _listed(table: Table, frame: pl.LazyFrame, file: str) -> dict[str, Any]:
    types = {name: str(dtype) for name, dtype in frame.collect_schema().items()}
    return stored(kind_of(table), [file], types=types)


def kind_of(table: Table) -> str:
    """How an attribute of a fit holds a table."""
    if isinstance(table, pl.LazyFrame):
        return "lazy"
    return "series" if isinstance(table, pl.Series) else "frame"


def _write(
    frames: Frames,
    paths: Sequence[Path],
    targets: Sequence[Path],
    format: Format,
    formulas: bool,
) -> int:
    """Write to paths what the targets will be, by which errors name it; how many cells were changed."""
    if format == "xlsx":
        with refusing(targets[0]):
            write_workbook({name: flat(name, f, format) for name, f in frames.items()}, paths[0])
        return 0
    kept = 0
    for (name, frame), path, target in zip(frames.items(), paths, targets, strict=True):
        with refusing(target):
            if format == "parquet":
                frame.sink_parquet(path)
            else:
                kept += sink_cells(name, frame, path, formulas)
    return kept


# --- cells -----------------------------------------------------------------------------------------


def flat(table: str, frame: pl.LazyFrame, format: str) -> pl.LazyFrame:
    """The frame with lists as text.

    Raises
    ------
    AnnotationError
        A column is nested otherwise, or the members of its lists hold what would stand between them.
    """
    schema = frame.collect_schema()
    lists = [name for name, dtype in schema.items() if isinstance(dtype, pl.List)]
    bad = [name for name, dtype in schema.items() if _is_no_cell(dtype)]
    if bad:
        raise AnnotationError(
            f"{table}: a cell of {format} cannot hold the columns {shown(bad)}.", NESTED
        )
    return frame.with_columns(
        _members(name).list.join(_separator(table, frame, name)).alias(name) for name in lists
    )


def _is_no_cell(dtype: Any) -> bool:
    inner = dtype.inner if isinstance(dtype, pl.List) else dtype
    return bool(inner.is_nested()) or inner in (pl.Object, pl.Binary)


def _members(name: str) -> pl.Expr:
    return pl.col(name).list.eval(pl.element().cast(pl.String))


def _separator(table: str, frame: pl.LazyFrame, name: str) -> str:
    """What no member of the lists holds."""
    for separator in SEPARATORS:
        holds = _members(name).list.eval(pl.element().str.contains(separator, literal=True))
        if not frame.select(holds.list.any().any()).collect().item():
            return separator
    raise AnnotationError(
        f"{table}: lists in column {name!r} cannot be joined, as their members hold `;` and line ends.",
        NESTED,
    )


def sink_cells(table: str, frame: pl.LazyFrame, path: Path, formulas: bool) -> int:
    """Write a table as CSV; how many of its cells are kept from being formulas."""
    cells = flat(table, frame, "csv")
    if formulas:
        cells.sink_csv(path, check_extension=False)
        return 0
    safe = without_formulas(cells)
    safe.sink_csv(path, check_extension=False)
    schema = safe.collect_schema()
    written = pl.scan_csv(path, schema=dict.fromkeys(schema, pl.String()), glob=False)
    return count_kept(written.select(n for n, dtype in schema.items() if is_text(dtype)))


def count_kept(safe: pl.LazyFrame) -> int:
    """How many cells and names of columns have an apostrophe before what would be run."""
    names = safe.collect_schema()
    counts = safe.select(pl.col(pl.String).str.contains(KEPT_FROM_IT).sum())
    cells = (
        counts.collect(engine="streaming").sum_horizontal().sum()
        if pl.String in names.dtypes()
        else 0
    )
    return int(cells) + sum(bool(re.match(KEPT_FROM_IT, name)) for name in names)


def warn_of_kept(kept: int, where: str) -> None:
    """Warns that cells of CSV are not as they were."""
    if kept:
        warn(
            f"{where}: {counted(kept, 'cell')} that a spreadsheet would run as formulas: an apostrophe "
            "stands before each.",
            Advice("To leave them as they are", "formulas=True", "--raw"),
        )


def without_formulas(frame: pl.LazyFrame) -> pl.LazyFrame:
    """The frame with an apostrophe before text, and names of columns, that would be run as formulas."""
    texts = [name for name, dtype in frame.collect_schema().items() if is_text(dtype)]
    return frame.with_columns(_safe_text(name) for name in texts).rename(safe_name)


def _safe_text(name: str) -> pl.Expr:
    text = pl.col(name).cast(pl.String)
    is_number = text.cast(pl.Float64, strict=False).is_not_null()
    runs = text.str.contains(FORMULA) & ~is_number
    return pl.when(runs).then(pl.format("'{}", text)).otherwise(text).alias(name)


def safe_name(name: str) -> str:
    """A column's name with the apostrophe.

    >>> safe_name("=a"), safe_name("'=a"), safe_name("a")
    ("'=a", "''=a", 'a')
    """
    return f"'{name}" if re.match(FORMULA, name) else name


# --- reading ---------------------------------------------------------------------------------------


def read_table(
    directory: Path, contents: Contents, name: str, hold: Hold | None = None, verify: bool = True
) -> Table:
    """A table that was written, as the fit had it; frames of it keep the generation that it is of."""
    listed = contents["tables"][name]
    if listed is None:
        return None
    files = (
        files_as_written(directory, name, listed) if verify else files_in(directory, {name: listed})
    )
    if contents.get("file_format") == "csv":
        frame = _scan_csv(files[0], listed["types"], contents["formulas"])
    elif hold is not None:
        frame = scan_held(files, hold)
    else:
        frame = pl.scan_parquet(files, glob=False)
    as_it_was: dict[str, Callable[[], Table]] = {
        "lazy": lambda: frame,
        "frame": frame.collect,
        "series": lambda: frame.collect().to_series(),
    }
    return as_it_was[listed["kind"]]()


def _scan_csv(file: Path, types: Mapping[str, str], formulas: bool) -> pl.LazyFrame:
    schema = {name: FROM_CSV.get(dtype, pl.String) for name, dtype in types.items()}
    if formulas:
        return pl.scan_csv(file, schema=schema, glob=False)
    frame = pl.scan_csv(file, schema={safe_name(n): t for n, t in schema.items()}, glob=False)
    as_given = frame.rename({safe_name(name): name for name in schema})
    return as_given.with_columns(pl.col(pl.String).str.replace(KEPT_FROM_IT, "${1}"))
