"""`polars-crowd store`: a log on disk, in partitions, for logs larger than memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from polars_crowd.cli import common
from polars_crowd.cli.common import asked_for, told
from polars_crowd.cli.inputs import Input, refuse
from polars_crowd.cli.output import Answer, Block, aside
from polars_crowd.cli.reading import (
    COLUMNS,
    SETS,
    TEXT,
    argument,
    columns,
    option,
    reads,
    sets,
    text,
)
from polars_crowd.errors import counted
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.store.store import AnnotationStore

store = typer.Typer(
    help="Keep a log on disk in partitions, for logs larger than memory.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
"""The commands below."""

Store = Annotated[Path, argument("The store's directory.", "STORE")]
Partitions = Annotated[
    int | None,
    option(
        "How many partitions. More of them need less memory at a time. By default one for every "
        "4 million rows, and more where these have long texts.",
        "N",
        min=1,
    ),
]
More = Annotated[
    list[str] | None,
    argument(
        "The annotations to add: files, globs or directories; - for standard input. Without it "
        "only pred_probs are added.",
        "LOG",
    ),
]
Again = Annotated[
    Duplicates, common.in_files("What counts where an annotator labels an example again.")
]


@store.command()
@told
@reads(columns, sets, text)
def create(
    call: typer.Context,
    store: Store,
    log: common.Log,
    pred_probs: common.Probs = None,
    partitions: Partitions = None,
    probs_example: common.ProbsExample = None,
    classes: common.Classes = None,
    duplicates: common.Duplicates = "error",
) -> Answer:
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
            **asked_for(partitions=partitions, multilabel=given.multilabel),
        )
    return answer_of(made)


@store.command()
@told
@reads(columns, sets, text)
def append(
    call: typer.Context,
    store: Store,
    log: More = None,
    pred_probs: common.Probs = None,
    probs_example: common.ProbsExample = None,
    duplicates: Again = "error",
) -> Answer:
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
        refuse(call, [*of_ids, *COLUMNS[1:], *SETS, *TEXT, "duplicates"], "only with a LOG.")
    given = Input.of(call)
    kept = AnnotationStore.open(store)
    of_sets = kept.set_classes is not None
    if given.multilabel and not of_sets:
        raise typer.BadParameter("--multilabel: the store holds single labels.")
    given = replace(given, multilabel=of_sets)
    with given.reading():
        rows = given.annotations() if log else None
        progress = common.on_a_terminal()
        kept.append(rows, given.models(), duplicates=duplicates, progress=progress)
    return answer_of(kept)


@store.command()
@told
def verify(store: Store) -> Answer:
    """Read every file and compare it with what was written.

    Exits with 1 if a file is missing, damaged or in the wrong place.

    Example:

      polars-crowd store verify votes
    """
    found = AnnotationStore.open(store, check=False).verify()
    told_problems = [Block(f"{file}: {problem}") for file, problem in found.iter_rows()]
    total = aside(counted(found.height, "problem"))
    return Answer(found, lambda: [*told_problems, total], fails=found.height > 0)


@store.command()
@told
def vacuum(store: Store) -> Answer:
    """Remove files that nobody needs.

    These are files of earlier generations that nobody reads any more, and what writers that were
    killed have left. `append` does the same; this is for what was being read then.

    Example:

      polars-crowd store vacuum votes
    """
    freed = AnnotationStore.open(store).vacuum()
    found = pl.DataFrame({"bytes": [freed]})
    return Answer(found, lambda: [aside(f"{counted(freed, 'byte')} freed")])


@store.command()
@told
def describe(store: Store) -> Answer:
    """Say how large a store is, and its partitions.

    Example:

      polars-crowd store describe votes
    """
    kept = AnnotationStore.open(store)
    table = Block("Partitions", kept.describe())
    return replace(answer_of(kept), report=lambda: [aside(repr(kept)), table])


def answer_of(kept: AnnotationStore) -> Answer:
    """How large a store is."""
    parts = kept.describe()

    def document() -> dict[str, Any]:
        sizes = parts.drop("partition").sum().row(0, named=True)
        more = {"annotators": len(kept.annotators), "models": kept.n_models}
        return {"path": str(kept.path), **sizes, **more, "partitions": parts}

    return Answer(parts, lambda: [aside(repr(kept))], document)
