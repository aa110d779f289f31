"""`polars-crowd next`: which examples to label next, by ActiveLab."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

import polars_crowd as pc
from polars_crowd.cli import common
from polars_crowd.cli.common import asked_for, show, stdout
from polars_crowd.cli.files import sink, whole_files
from polars_crowd.cli.inputs import Input, refuse
from polars_crowd.cli.reading import columns, reads, text
from polars_crowd.errors import counted, missing_column
from polars_crowd.inputs.sources import open_frame
from polars_crowd.inputs.text import Reading

Probs = Annotated[
    list[str] | None,
    common.probs_option(
        "Examples here without annotations are the unlabelled ones. Not for a store."
    ),
]
Size = Annotated[int, typer.Option(min=1, help="How many examples.")]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Where they go, Parquet or CSV by the file's name; without it they are printed.",
        show_default=False,
    ),
]
Exclude = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Examples not to choose (a column example): those being labelled now, say.",
        show_default=False,
    ),
]
MultiLabel = Annotated[
    bool,
    typer.Option(
        "--multilabel",
        help="Labels are sets of classes, PROBS independent of each other. A store knows by itself.",
    ),
]


@common.told
@reads(columns, text)
def next(
    call: typer.Context,
    log: common.Log,
    pred_probs: Probs = None,
    size: Size = 100,
    out: Out = None,
    force: common.Force = False,
    exclude: Exclude = None,
    multilabel: MultiLabel = False,
    probs_example: common.ProbsExample = None,
    classes: common.Classes = None,
    duplicates: common.Duplicates = "error",
    executor: common.Executor = None,
) -> None:
    """Find the examples that are most worth a label, annotated ones and those without labels alike.

    By ActiveLab: the lowest active_learning_score first. LOG may be a store.

    Examples:

      polars-crowd next log.parquet -p probs.parquet --size 100 --out batch.csv

      polars-crowd next log.csv -p a.parquet -p b.parquet --exclude batch.csv
    """
    given = Input.of(call)
    if not given.is_store and not pred_probs:
        raise typer.BadParameter(
            "--pred-probs: give a model's probabilities, whose examples are ranked."
        )
    if out is not None and out.suffix not in (".parquet", ".csv"):
        raise typer.BadParameter(f"--out {out}: name a .parquet or a .csv file.")
    if multilabel:
        refuse(call, ["label_type", "wide", "missing", "normalize"], "not with --multilabel.")
    if out is None:
        refuse(call, ["force"], "only with --out.")
    store = given.store
    if store is not None:
        refuse(call, ["multilabel"], "not with a store, which knows what its labels are.")
    of_sets = multilabel or (store is not None and store.set_classes is not None)
    rank = pc.multilabel_activelab if of_sets else pc.activelab
    writing: Any = nullcontext({})
    if out is not None:
        writing = whole_files(out.parent, [out.name], force=force)
    with (
        common.progress() as step,
        given.reading(exclude),
        common.executor_of(executor) as workers,
        writing as paths,
    ):
        step("reading the annotations")
        rows: Any = _label_sets(given) if multilabel else given.annotations()
        scores = rank(rows, given.models(), **given.options, **asked_for(executor=workers))
        step("choosing")
        batch = pc.next_batch(scores.collect(), size, exclude=_examples(exclude))
        if out is not None:
            sink(batch.lazy(), paths[out.name], out)
    _tell(batch, out)


def _label_sets(given: Input) -> list[pl.LazyFrame]:
    """The log's files, with the columns named as they are to be; labels stay what they are."""
    names = {name: column for column, name in given.names.items()}
    how = Reading(**given.how)
    return [open_frame(path, "the log", how).rename(names, strict=False) for path in given.log]


def _examples(path: str | None) -> pl.DataFrame | None:
    if path is None:
        return None
    frame = open_frame(path, "--exclude")
    columns = frame.collect_schema().names()
    if "example" not in columns:
        raise missing_column(path, "example", columns, "Name the column of ids so.")
    return frame.select("example").collect()


def _tell(batch: pl.DataFrame, out: Path | None) -> None:
    console = stdout()
    if out is None:
        show(console, f"To label next: {counted(batch.height, 'example')}", batch)
        return
    unlabelled = batch.filter(pl.col("num_annotations") == 0).height
    console.print(
        f"To label next: {counted(batch.height, 'example')}, {unlabelled:,} of them without a label"
    )
    console.print(f"Written\n  {out}", soft_wrap=True)
