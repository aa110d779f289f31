"""What `consensus --method` does: truth inference without a model, and for numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import typer
from rich.filesize import decimal

from polars_crowd.cli.common import SHOWN, show, stdout
from polars_crowd.cli.files import sink, whole_files
from polars_crowd.errors import shown
from polars_crowd.truth.registry import METHODS, Method

NAMES = {
    name.replace("_", "-"): method
    for name, method in METHODS.items()
    if method.labels in ("classes", "numbers")
}


def method_of(name: str, options: Iterable[str]) -> Method:
    """The method of a name, which must know the options that were given."""
    method = NAMES.get(name.replace("_", "-"))
    if method is None:
        raise typer.BadParameter(f"--method {name}: it must be one of {shown(list(NAMES), 30)}.")
    unknown = ["--" + o.replace("_", "-") for o in options if o not in method.options]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: not with --method {name}.")
    return method


def write_truth(
    name: str,
    log: Any,
    options: Mapping[str, Any],
    into: Path,
    file_format: str,
    force: bool,
    step: Callable[[str], None],
) -> None:
    """Run a method, write its tables, say what was found."""
    method = method_of(name, options)
    files = {table: f"{table}.{file_format}" for table in method.tables}
    with whole_files(into, list(files.values()), force=force) as paths:
        step(f"running {name}")
        fit = method.function(log, **options)
        for table, file in files.items():
            step(f"writing {file}")
            sink(getattr(fit, table).lazy(), paths[file], into / file)
    _tell(fit, [into / file for file in files.values()])


def _tell(fit: Any, files: list[Path]) -> None:
    console = stdout()
    console.print(repr(fit).splitlines()[0], soft_wrap=True)
    show(console, "The least accurate annotators", fit.annotators.head(SHOWN))
    told_files(files)


def told_files(files: list[Path]) -> None:
    """The files that were written, and how large they are."""
    console = stdout()
    console.print("\nWritten")
    for file in files:
        console.print(f"  {file}  ({decimal(file.stat().st_size)})", soft_wrap=True)
