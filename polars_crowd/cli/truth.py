"""What `consensus --method` does: truth inference without a model, and for numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.filesize import decimal

from polars_crowd.cli.common import SHOWN, asked_for, progress, show, stdout
from polars_crowd.cli.files import sink, whole_files
from polars_crowd.cli.inputs import Input, refuse
from polars_crowd.errors import shown
from polars_crowd.truth.registry import METHODS, Method

NAMES = {
    name.replace("_", "-"): method
    for name, method in METHODS.items()
    if method.labels in ("classes", "numbers")
}


OPTIONS = frozenset({"pred_probs", "classes", "gold", "max_iter", "tol", "executor"})
"""Options of the command that some methods have."""


def method_of(name: str) -> Method:
    """The method of a name."""
    method = NAMES.get(name)
    if method is None:
        known = ["majority-vote", "crowdlab", *NAMES]
        raise typer.BadParameter(f"--method {name}: it must be one of {shown(known, 30)}.")
    return method


def write_truth(
    call: typer.Context,
    name: str,
    given: Input,
    options: Mapping[str, Any],
    into: Path,
    file_format: str,
    force: bool,
) -> None:
    """Run a method, write its tables, say what was found."""
    method = method_of(name)
    without_effect = OPTIONS - method.options
    if "gold" in without_effect:
        without_effect |= {"truth_label"}
    refuse(call, without_effect, f"not with --method {name}.")
    known = given.labels(options.get("gold"), "gold", options.get("truth_label"))
    options = {name: value for name, value in options.items() if name != "truth_label"}
    options |= {} if known is None else {"gold": known}
    files = {table: f"{table}.{file_format}" for table in method.tables}
    with (
        progress() as step,
        whole_files(into, list(files.values()), force=force) as paths,
    ):
        step("reading the annotations")
        log, models = given.annotations(), given.models()
        step(f"running {name}")
        fit = method.function(log, **given.options, **options, **asked_for(pred_probs=models))
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
