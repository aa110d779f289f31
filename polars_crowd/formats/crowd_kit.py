"""crowd-kit: tables of `task, worker, label`, and those of NetEaseCrowd."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import polars as pl

from polars_crowd.errors import AnnotationError
from polars_crowd.formats.answers import Answers, one, sent
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look
from polars_crowd.formats.reader import reads

NAMES = {"task": "example", "worker": "annotator", "performer": "annotator", "label": "label"}
NETEASE = {"taskId": "example", "workerId": "annotator", "answer": "label", "truth": "truth"}


@reads(
    "crowd_kit",
    "crowd-kit",
    lambda look: (
        (look.has("task", "label") and not look.keys.isdisjoint({"worker", "performer"}))
        or look.has("taskId", "workerId", "answer")
    ),
)
def read_crowd_kit(
    look: Look, *, truth: str | Path | None = None, **options: Unpack[ExportOptions]
) -> Answers:
    """Read a table as crowd-kit takes it: `task, worker, label`, or `taskId, workerId, answer`.

    Parameters
    ----------
    truth
        A table `task, label` of true labels, such as `gt.csv`: they are gold.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "labels.csv")
    >>> _ = path.write_text("task,worker,label\\n007,w1,cat\\n")
    >>> read_crowd_kit(path).log.select("example", "annotator", "label").collect().rows()
    [('007', 'w1', 'cat')]
    """
    names = NAMES if look.has("task") else NETEASE
    there = {theirs: ours for theirs, ours in names.items() if theirs in look.keys}
    table = look.table().select(pl.col(list(there)).cast(pl.String)).rename(there)
    label = pl.col("label")
    rows = table.select("example", "annotator", *_question(), values=one(label), status=sent(label))
    gold = None if truth is None else _truth(truth)
    if "truth" in table.collect_schema():
        gold = table.drop_nulls("truth").select(
            "example", *_question(), values=pl.concat_list("truth")
        )
    return Answers(rows=rows, gold=gold)


def _truth(path: str | Path) -> pl.LazyFrame:
    look = Look.at(path)
    label = next((name for name in ("label", "true_label") if look.has(name)), None)
    if label is None or not look.has("task"):
        raise AnnotationError(f"{path} has no columns 'task' and 'label': it is {look.seen()}.")
    table = look.table().select(pl.col("task", label).cast(pl.String))
    return table.select(*_question(), example="task", values=pl.concat_list(label))


def _question() -> list[pl.Expr]:
    return [pl.lit("label").alias("question"), pl.lit("class").alias("kind")]
