"""`polars-crowd next`: which examples to label next, by ActiveLab or, without a model, by the votes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import polars as pl
import typer

import polars_crowd as pc
from polars_crowd.active.votes import vote_scores
from polars_crowd.cli import common
from polars_crowd.cli.common import asked_for
from polars_crowd.cli.files import file_for, write_file
from polars_crowd.cli.inputs import Input
from polars_crowd.cli.output import Answer, Block, aside
from polars_crowd.cli.reading import columns, option, reads, sets, text
from polars_crowd.errors import counted
from polars_crowd.inputs.tables import ids_beside

Probs = Annotated[
    list[str] | None,
    common.probs_option(
        "Examples here without annotations are the unlabelled ones. Without it annotated examples are "
        "ranked by their votes."
    ),
]
Size = Annotated[int, option("How many examples.", min=1)]
Exclude = Annotated[
    str | None,
    option("Examples not to choose (a column example): those being labelled now, say.", "FILE"),
]


@common.told
@reads(columns, sets, text)
def next(
    call: typer.Context,
    log: common.Log,
    pred_probs: Probs = None,
    size: Size = 100,
    out: common.OutFile = None,
    force: common.Force = False,
    exclude: Exclude = None,
    probs_example: common.ProbsExample = None,
    classes: common.Classes = None,
    duplicates: common.Duplicates = "error",
    executor: common.Executor = None,
) -> Answer:
    """Find the examples that are most worth a label, annotated ones and those without labels alike.

    By ActiveLab: the lowest active_learning_score first. Without a model the examples that have
    annotations are ranked by the quality of their majority vote. LOG may be a store.

    Examples:

      polars-crowd next log.parquet -p probs.parquet --size 100 --out batch.csv

      polars-crowd next log.csv -p a.parquet -p b.parquet --exclude batch.csv

      polars-crowd next log.csv --size 20
    """
    given, file = Input.of(call), file_for(call, out, force)
    store = given.store
    has_model = bool(pred_probs) if store is None else store.n_models > 0
    of_sets = given.multilabel or (store is not None and store.set_classes is not None)
    if of_sets and not has_model:
        raise typer.BadParameter("--pred-probs: sets of classes are ranked with a model only.")
    with common.progress() as step, given.reading(exclude), common.executor_of(executor) as workers:
        step("reading the annotations")
        rows = given.annotations()
        options = given.options | asked_for(executor=workers)
        if has_model:
            rank = pc.multilabel_activelab if of_sets else pc.activelab
            scores = rank(rows, given.models(), **options)
        else:
            scores = vote_scores(rows, **options)
        step("choosing")
        left_out = exclude and ids_beside(exclude, "exclude", example=given.example).collect()
        batch = pc.next_batch(scores.collect(), size, exclude=left_out)
        batch = batch.rename(given.theirs(batch))
    made = write_file(batch, file) if file else None

    def report() -> Iterator[Block]:
        title = f"To label next: {counted(batch.height, 'example')}"
        unlabelled = batch.filter(pl.col("num_annotations") == 0).height
        if not has_model:
            yield aside("No model: ranked by the majority vote, those least agreed on first")
        if made:
            yield aside(f"{title}, {unlabelled:,} of them without a label")
            yield made
        else:
            yield Block(title, batch)

    return Answer(batch, report)
