"""`polars-crowd demo`: what the library does, on the data that comes with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

import polars_crowd as pc
from polars_crowd.cli.common import told
from polars_crowd.cli.output import SHOWN, Answer, Block, aside
from polars_crowd.cli.reading import option
from polars_crowd.datasets import Dataset
from polars_crowd.errors import PackageError
from polars_crowd.reporting.report import report

NEXT = """
Next, with your own files (Parquet, CSV, NDJSON, JSON, Excel or Arrow)
  polars-crowd check LOG
  polars-crowd consensus LOG --pred-probs PROBS --out DIR
  polars-crowd report LOG --pred-probs PROBS

LOG has the columns example, annotator and label; PROBS has example and one
column per class. Without a model, leave out --pred-probs for the majority vote.
All options: polars-crowd consensus --help"""


USUAL = Path("report.html")
Page = Annotated[
    Path, option("The page that it writes; one that is there already stays.", "FILE", "--report")
]


@told
def demo(page: Page = USUAL) -> Answer:
    """See it work on a small dataset that comes with the package.

    Compares majority vote and CROWDLAB with the true labels,
    shows the tables that CROWDLAB makes, and writes a report as a page.

    Example:

      polars-crowd demo
    """
    data = pc.datasets.tutorial()
    fit = pc.crowdlab(data.log, data.pred_probs)
    right = {
        "majority vote, from labels alone": count_true(pc.majority_vote(data.log), data.truth),
        "CROWDLAB, from labels and model": count_true(fit.examples, data.truth),
    }
    n = data.truth.height
    made = written_report(data, page)

    def report() -> Iterator[Block]:
        said = (
            f"{n} examples of {data.pred_probs.width - 1} classes, with {data.log.height:,} labels by "
            f"{data.log['annotator'].n_unique()} annotators, a model's predictions and the truth."
        )
        yield aside(said)
        yield Block("\nHow many consensus labels are true")
        for name, count in right.items():
            yield Block(f"  {name:<34}{count / n:.4f}  ({count} of {n})")
        title = "examples: the consensus label of each, and how likely it is to be right"
        yield aside(title, fit.examples.head(SHOWN).collect())
        title = "annotations: how likely each label given is to be right"
        yield aside(title, fit.annotations.head(SHOWN).collect())
        title = "annotators: the worst first (A0046 to A0050 were made to err often)"
        yield aside(title, fit.annotators.head(SHOWN))
        yield made
        yield aside(NEXT)

    def document() -> dict[str, Any]:
        shares = {name.partition(",")[0]: count / n for name, count in right.items()}
        return {"num_examples": n, "accuracy": shares, "annotators": fit.annotators}

    return Answer(fit.examples, report, document)


def written_report(data: Dataset, page: Path) -> Block:
    """The page of the dataset is written, or it is said why not: the demo goes on."""
    if page.suffix != ".html":
        raise typer.BadParameter(f"--report {page}: name a file that ends in .html.")
    if page.exists():
        return aside(
            f"\nNo report is written: {page} is there already. Name another: --report FILE"
        )
    title = "The tutorial's annotations"
    try:
        report(data.log, data.pred_probs, truth=data.truth, title=title, path=page)
    except PackageError as error:
        return aside(f"\nNo report is written: {error.said('command')}")
    return aside(f"\nA report of it, to be opened in a browser: {page}")


def count_true(examples: pl.LazyFrame, truth: pl.DataFrame) -> int:
    """How many consensus labels equal the truth."""
    right = pl.col("consensus_label") == pl.col("label")
    joined = examples.join(truth.lazy(), on="example")
    return int(joined.select(right.sum()).collect().item())
