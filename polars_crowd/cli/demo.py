"""`polars-crowd demo`: what the library does, on the data that comes with it."""

from __future__ import annotations

import polars as pl

import polars_crowd as pc
from polars_crowd.cli.common import SHOWN, show, stdout, told


@told
def demo() -> None:
    """See it work on a small dataset that comes with the package.

    Compares majority vote and CROWDLAB with the true labels,
    and shows the tables that CROWDLAB makes.

    Example:

      polars-crowd demo
    """
    data, console = pc.datasets.tutorial(), stdout()
    fit = pc.crowdlab(data.log, data.pred_probs)
    console.print(
        f"{data.truth.height} examples of {data.pred_probs.width - 1} classes, with "
        f"{data.log.height:,} labels by {data.log['annotator'].n_unique()} annotators, "
        "a model's predictions and the truth."
    )
    console.print("\nHow many consensus labels are true")
    for name, examples in (
        ("majority vote, from labels alone", pc.majority_vote(data.log)),
        ("CROWDLAB, from labels and model", fit.examples),
    ):
        right = count_true(examples, data.truth)
        share = right / data.truth.height
        console.print(f"  {name:<34}{share:.4f}  ({right} of {data.truth.height})")
    title = "examples: the consensus label of each, and how likely it is to be right"
    show(console, title, fit.examples.head(SHOWN).collect())
    title = "annotations: how likely each label given is to be right"
    show(console, title, fit.annotations.head(SHOWN).collect())
    title = "annotators: the worst first (A0046 to A0050 were made to err often)"
    show(console, title, fit.annotators.head(SHOWN))
    console.print(
        "\nNext, with your own files (Parquet, CSV, NDJSON or Arrow)\n"
        "  polars-crowd check LOG\n"
        "  polars-crowd consensus LOG --pred-probs PROBS --into DIR\n\n"
        "LOG has the columns example, annotator and label; PROBS has example and one\n"
        "column per class. Without a model, leave out --pred-probs for the majority vote.\n"
        "All options: polars-crowd consensus --help"
    )


def count_true(examples: pl.LazyFrame, truth: pl.DataFrame) -> int:
    """How many consensus labels equal the truth."""
    right = pl.col("consensus_label") == pl.col("label")
    joined = examples.join(truth.lazy(), on="example")
    return int(joined.select(right.sum()).collect().item())
