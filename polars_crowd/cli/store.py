"""`polars-crowd store`: a log on disk, in partitions, for logs larger than memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polars_crowd.cli import common
from polars_crowd.cli.common import asked_for, show, stdout, told
from polars_crowd.cli.inputs import Input, refuse
from polars_crowd.cli.reading import COLUMNS, TEXT, columns, reads, text
from polars_crowd.errors import counted
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.store.store import AnnotationStore

store = typer.Typer(
    help="Keep a log on disk in partitions, for logs larger than memory.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
"""The commands below."""

Store = Annotated[
    Path, typer.Argument(metavar="STORE", help="The store's directory.", show_default=False)
]
Partitions = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="How many partitions. More of them need less memory at a time. By default one for every "
        "4 million rows.",
        show_default=False,
    ),
]
More = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="LOG",
        help="The annotations to add: files, globs or directories. Without it only pred_probs are "
        "added.",
        show_default=False,
    ),
]
Again = Annotated[
    Duplicates,
    common.in_files("What counts where an annotator labels an example again.", None),
]


@store.command()
@told
@reads(columns, text)
def create(
    call: typer.Context,
    store: Store,
    log: common.Log,
    pred_probs: common.Probs = None,
    partitions: Partitions = None,
    probs_example: common.ProbsExample = None,
    classes: common.Classes = None,
    duplicates: common.Duplicates = "error",
) -> None:
    """Make a store of a log, and of a model's probabilities.

    The log streams through, whatever its size. STORE must be new or empty.

    Examples:

      polars-crowd store create votes 'logs/*.parquet' -p probs.parquet

      polars-crowd store create votes log.csv --partitions 16
    """
    given = Input.of(call)
    with given.reading():
        made = AnnotationStore.create(
            store,
            given.annotations(),
            given.models(),
            **given.options,
            progress=common.on_a_terminal(),
            **asked_for(partitions=partitions),
        )
    stdout().print(repr(made), soft_wrap=True)


@store.command()
@told
@reads(columns, text)
def append(
    call: typer.Context,
    store: Store,
    log: More = None,
    pred_probs: common.Probs = None,
    probs_example: common.ProbsExample = None,
    duplicates: Again = "error",
) -> None:
    """Add annotations, and probabilities of new examples or better ones.

    The store changes all at once, or not at all.

    Examples:

      polars-crowd store append votes today.parquet -p today_probs.parquet

      polars-crowd store append votes --pred-probs better_probs.parquet
    """
    if not log and not pred_probs:
        raise typer.BadParameter("give a LOG, --pred-probs or both.")
    if not log:
        of_ids = () if pred_probs else ("example",)
        refuse(call, [*of_ids, *COLUMNS[1:], *TEXT, "duplicates"], "only with a LOG.")
    given = Input.of(call)
    kept = AnnotationStore.open(store)
    with given.reading():
        rows = given.annotations() if log else None
        progress = common.on_a_terminal()
        kept.append(rows, given.models(), duplicates=duplicates, progress=progress)
    stdout().print(repr(kept), soft_wrap=True)


@store.command()
@told
def verify(store: Store) -> None:
    """Read every file and compare it with what was written.

    Exits with 1 if a file is missing, damaged or in the wrong place.

    Example:

      polars-crowd store verify votes
    """
    found = AnnotationStore.open(store, check=False).verify()
    console = stdout()
    for file, problem in found.iter_rows():
        console.print(f"{file}: {problem}", soft_wrap=True)
    console.print(counted(found.height, "problem"))
    if found.height:
        raise typer.Exit(1)


@store.command()
@told
def describe(store: Store) -> None:
    """Say how large a store is, and its partitions.

    Example:

      polars-crowd store describe votes
    """
    console, kept = stdout(), AnnotationStore.open(store)
    console.print(repr(kept), soft_wrap=True)
    show(console, "Partitions", kept.describe())
