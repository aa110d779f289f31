"""`polars-crowd compare`: several methods on one log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import polars as pl
import typer

import polars_crowd as pc
from polars_crowd.cli import common
from polars_crowd.cli.common import progress, told
from polars_crowd.cli.consensus import NAMES
from polars_crowd.cli.files import directory_for, tables, write_tables
from polars_crowd.cli.inputs import Input
from polars_crowd.cli.output import SHOWN, Answer, Block, aside, written
from polars_crowd.cli.reading import columns, completing, option, reads, text

Names = Annotated[
    list[str] | None,
    option(
        "A method to compare, such as dawid-skene. Repeat it for several; by default all but kos "
        "and ebcc.",
        "NAME",
        "--method",
        "-m",
        autocompletion=completing(["majority-vote", *NAMES]),
    ),
]
Folds = Annotated[
    int,
    option("Into how many parts the annotations are dealt, each left out once; 0 for none.", "N"),
]

NOT_SHOWN = ("log_loss", "brier_score", "n_iter", "converged", "warnings")
"""Columns that the report leaves out."""


@told
@reads(tables, columns, text)
def compare(
    call: typer.Context,
    log: common.Log,
    truth: common.Truth = None,
    method: Names = None,
    folds: Folds = 5,
    executor: common.ExecutorOfFits = None,
    classes: common.ClassesOfLog = None,
    duplicates: common.Duplicates = "error",
    truth_label: common.TruthLabel = None,
) -> Answer:
    """Compare methods that find the truth behind annotations, with or without known labels.

    Every method is scored by how well it predicts annotations that were held out; with --truth also by
    its accuracy. Labels that are numbers with decimals are compared by methods for numbers. LOG may be a
    store. With --out DIR the tables methods, labels and disagreements are written.

    Examples:

      polars-crowd compare log.parquet

      polars-crowd compare log.csv --truth gold.csv -m majority-vote -m mace

      polars-crowd compare log.csv --executor processes:4 --format json
    """
    given = Input.of(call, "executor")
    place = directory_for(call, pc.MethodComparison.TABLES)
    with progress() as step, common.executor_of(executor) as workers:
        step("reading the annotations")
        annotations = given.annotations()
        step("comparing methods")
        known = given.labels(truth, "truth", truth_label)
        with given.reading(truth):
            found = pc.compare(
                annotations, method, known, folds=folds, executor=workers, **given.options
            )
        files = write_tables(call, place, found, given.theirs(found.labels))

    def report() -> Iterator[Block]:
        yield aside(found._header())
        yield Block("Methods", _shown(found))
        if found.disagreements.height:
            title = "Where they disagree most, an example a column"
            yield aside(title, _as_columns(found))
        if files:
            yield written(files)

    return Answer(found.methods, report, complaints=[] if common.QUIET.get() else _warnings(found))


def _shown(found: pc.MethodComparison) -> pl.DataFrame:
    """What the report shows of the methods."""
    methods = found.methods.drop(NOT_SHOWN, strict=False)
    return methods.select(c for c in methods if c.null_count() < methods.height)


def _as_columns(found: pc.MethodComparison) -> pl.DataFrame:
    """The first disagreements, a column per example: methods have long names."""
    rows = found.disagreements.head(SHOWN).cast(pl.String).fill_null("")
    labels = rows.drop("example")
    by_example = dict(zip(rows["example"], labels.rows(), strict=True))
    return pl.DataFrame({"method": labels.columns, **by_example})


def _warnings(found: pc.MethodComparison) -> list[str]:
    """What the methods warned of, each once, with the names of those that did."""
    by_text: dict[str, list[str]] = {}
    for name, said in found._said.items():
        for warning in said:
            by_text.setdefault(common.in_words(warning, common.SOURCES), []).append(name)
    return [f"warning: {', '.join(names)}: {text}" for text, names in by_text.items()]
