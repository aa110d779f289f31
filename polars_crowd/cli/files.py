"""A table in a file of its own, written whole, in the format that the file's name ends in."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import polars as pl
import typer

from polars_crowd.cli.common import RAW, STDOUT, Force, Out, OutFormat
from polars_crowd.cli.inputs import is_store, refuse
from polars_crowd.cli.output import Block, Rows, written
from polars_crowd.errors import TakenError
from polars_crowd.rounds.contents import blank, files_in, read_contents
from polars_crowd.rounds.files import write_whole
from polars_crowd.rounds.results import Fit
from polars_crowd.rounds.workbook import write_workbook
from polars_crowd.rounds.writing import earlier_tables, file_name, flat, sink_cells, warn_of_kept

WRITERS: dict[str, Callable[[pl.LazyFrame, Path], object]] = {
    ".parquet": lambda frame, path: frame.sink_parquet(path),
    ".csv": lambda frame, path: sink_cells("the table", frame, path, RAW.get()),
    ".jsonl": lambda frame, path: frame.sink_ndjson(path, check_extension=False),
    ".xlsx": lambda frame, path: write_workbook({"results": flat("results", frame, "xlsx")}, path),
}


def tables(out: Out = None, out_format: OutFormat = "parquet", force: Force = False) -> None:
    """Where all tables go."""


def file_for(
    call: typer.Context, out: Path | None, force: bool, endings: Collection[str] = (*WRITERS,)
) -> Path | None:
    """The file that a table goes into; None where it is printed.

    Raises
    ------
    TakenError
        It is there already and may not be overwritten.
    """
    if out is None or out == STDOUT:
        refuse(call, ["force"], "only with --out FILE.")
        return None
    if out.suffix not in endings:
        raise typer.BadParameter(f"--out {out}: name a file that ends in {', '.join(endings)}.")
    if out.is_dir():
        raise IsADirectoryError(f"{out} is a directory; name a file in it.")
    if out.exists() and not force:
        raise TakenError(f"{out} is there already. Overwrite it with --force, or name another.")
    check_place(out.parent)
    return out


def check_place(folder: Path) -> None:
    """That a directory can be written to, or made: no store, which has files of its own."""
    place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not place.is_dir():
        raise NotADirectoryError(f"Not a directory: {place}")
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(f"the directory {place} is not writable.")
    if is_store(str(place)):
        raise TakenError(f"{place} is a store. Name another place for results.")


def write_file(rows: Rows, file: Path) -> Block:
    """Write a table; the answer names the file."""
    kept: list[object] = []
    write_whole(file, lambda path: kept.append(WRITERS[file.suffix](rows.lazy(), path)))
    warn_of_kept(kept[0] if isinstance(kept[0], int) else 0, str(file))
    return written([file])


def out_of(call: typer.Context) -> Path | None:
    """--out, which an older typer keeps as text."""
    out = call.params["out"]
    return None if out is None else Path(out)


def directory_for(call: typer.Context, names: Sequence[str]) -> Path | None:
    """The directory that tables of these names go into; None where the main one is printed.

    Raises
    ------
    FileExistsError
        It holds results that may not be overwritten.
    """
    out, form = out_of(call), call.params["out_format"]
    if out is None or out == STDOUT:
        refuse(call, ["force", "out_format"], "only with --out DIR.")
        return None
    if call.params["format"] == "csv":
        raise typer.BadParameter("--format csv: for the files in DIR say --out-format csv.")
    earlier_tables(out, [file_name(name, form) for name in names], call.params["force"])
    check_place(out)
    return out


def write_tables(
    call: typer.Context, place: Path | None, found: Fit, names: Mapping[str, str]
) -> list[Path]:
    """Write results, if there is a place for them; the files."""
    if place is None:
        return []
    form, force = call.params["out_format"], call.params["force"]
    found.write(place, form, names=names, overwrite=force, formulas=RAW.get())
    return tables_in(place)


def tables_in(out: Path | None) -> list[Path]:
    """The files that results.json lists."""
    if out is None:
        return []
    contents = read_contents(out) or blank("write")
    return list(dict.fromkeys(files_in(out, contents["tables"])))
