"""`polars-crowd compare`: several methods on one log, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

import polars_crowd as pc
from polars_crowd.cli import common
from polars_crowd.cli.common import SHOWN, progress, show, stdout, told
from polars_crowd.cli.files import sink, whole_files
from polars_crowd.cli.inputs import Input, refuse
from polars_crowd.cli.reading import columns, reads, text
from polars_crowd.cli.truth import told_files
from polars_crowd.errors import counted

Truth = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|COL",
        help="Known labels to score the methods by, which no method sees: a file whose columns are called as "
        "in the log (or example, label), or a column of the log.",
        show_default=False,
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        "-m",
        metavar="NAME",
        help="A method to compare, such as dawid-skene. Repeat it for several; by default all but kos "
        "and ebcc.",
        show_default=False,
    ),
]
Folds = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Into how many parts the annotations are dealt, each left out once; 0 for none.",
    ),
]
Into = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where the tables go, if anywhere.", show_default=False),
]

NOT_SHOWN = ("log_loss", "brier_score", "n_iter", "converged", "warnings")
"""Columns that are in the files only."""


@told
@reads(columns, text)
def compare(
    call: typer.Context,
    log: common.Log,
    truth: Truth = None,
    method: Names = None,
    folds: Folds = 5,
    into: Into = None,
    file_format: common.Format = "parquet",
    force: common.Force = False,
    classes: common.Classes = None,
    duplicates: common.Duplicates = "error",
    truth_label: common.TruthLabel = None,
) -> None:
    """Compare methods that find the truth behind annotations, with or without known labels.

    Every method is scored by how well it predicts annotations that were held out;
    with --truth also by its accuracy. Labels that are numbers with decimals are compared
    by methods for numbers. LOG may be a store. With --into the tables methods, labels and
    disagreements are written.

    Examples:

      polars-crowd compare log.parquet

      polars-crowd compare log.csv --truth gold.csv -m majority-vote -m dawid-skene
    """
    files = [f"{table}.{file_format}" for table in ("methods", "labels", "disagreements")]
    given = Input.of(call)
    if into is None:
        refuse(call, ["file_format", "force"], "only with --into.")
    with progress() as step:
        step("reading the annotations")
        annotations = given.annotations()
        step("comparing methods")
        known = given.labels(truth, "truth", truth_label)
        with given.reading(truth):
            found = pc.compare(annotations, method, known, folds=folds, **given.options)
        if into is not None:
            with whole_files(into, files, force=force) as paths:
                for file, table in zip(files, _tables(found), strict=True):
                    sink(table.lazy(), paths[file], into / file)
    _tell(found)
    if into is not None:
        told_files([into / file for file in files])


def _tables(found: pc.MethodComparison) -> tuple[pl.DataFrame, ...]:
    said = pl.col("warnings").list.join(" ")
    return found.methods.with_columns(said), found.labels, found.disagreements


def _as_columns(found: pc.MethodComparison) -> pl.DataFrame:
    """The first disagreements, a column per example: methods have long names."""
    rows = found.disagreements.head(SHOWN).cast(pl.String).fill_null("")
    labels = rows.drop("example")
    by_example = dict(zip(rows["example"], labels.rows(), strict=True))
    return pl.DataFrame({"method": labels.columns, **by_example})


def _tell(found: pc.MethodComparison) -> None:
    console, methods = stdout(), found.methods
    console.print(
        f"{counted(methods.height, 'method')} on {counted(found.labels.height, 'example')}; "
        f"{counted(found.disagreements.height, 'example')} on which they disagree"
    )
    names = [name for name in methods.columns if name not in NOT_SHOWN]
    shown = methods.select(c for c in methods[names] if c.null_count() < methods.height)
    show(console, "Methods, the best at predicting held-out annotations first", shown)
    if found.disagreements.height:
        show(console, "Where they disagree most, an example a column", _as_columns(found))
    for name, said in found._said.items():
        for warning in said:
            common.tell(f"warning: {name}: {common.in_words(warning, common.SOURCES)}")
