"""Agreement example by example: which ones annotators do not agree about, and the shares of their votes.

With n annotations of an example, n_k of them of class k:

    agreement = sum_k n_k (n_k - 1) / (n (n - 1))       the share of its pairs of annotations that agree
    entropy   = - sum_k (n_k / n) log(n_k / n)           in nats, at most log(number of labels)

The agreement is null for one annotation; its mean over the other examples is percent agreement.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Unpack

import polars as pl

from polars_crowd.compatible import HORIZONTAL
from polars_crowd.errors import OptionError
from polars_crowd.inputs import checks
from polars_crowd.inputs.log import LOG_COLUMNS, is_labelled, scan_annotations
from polars_crowd.reliability.grouping import Grouping
from polars_crowd.reliability.patterns import runs_of
from polars_crowd.reliability.registry import named
from polars_crowd.reliability.request import ClassesOption, Reading, Request
from polars_crowd.rounds.partitions import Partition, Partitioned
from polars_crowd.runs.codes import class_order, declared_values
from polars_crowd.signatures import shares

PERCENT = (named("percent_agreement"),)
NAMES = {"examples": "Agreement per example", "vote_shares": "Shares of votes"}
"""What results in a directory are called."""


class OfExamples(ClassesOption, Reading, total=False):
    """The options of agreement by example."""


@shares(OfExamples, Request)
def example_agreement(
    log: Any, *, into: str | Path | None = None, **options: Unpack[OfExamples]
) -> pl.LazyFrame:
    """The agreement and the entropy of each example's labels, as one lazy plan.

    With n annotations, n_k of them of class k: agreement = sum n_k (n_k - 1) / (n (n - 1)), the share of the
    pairs of annotations that agree; entropy = - sum (n_k / n) log(n_k / n).

    Parameters
    ----------
    classes
        The classes that labels may be. By default all labels are. A store has its own.
    into
        A directory for the result, written partition by partition; the LazyFrame scans it.
    progress
        Whether to show progress: with a store, or `into`.

    Returns
    -------
    LazyFrame
        One row per example, sorted by example (within each partition of a store): `example`;
        `num_annotations`; `num_labels`, how many different ones it got; `agreement` in [0, 1], null for one
        annotation; `entropy` in nats.

    Raises
    ------
    AnnotationError
        Now, if a column is missing. On collecting, if the log is empty, ids are null, annotations are
        duplicated or labels are not among the classes.

    Agrees with
    -----------
    `scipy.stats.entropy` of SciPy 1.17, to 1e-12.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pl.DataFrame({
    ...     "example": ["e1", "e1", "e1", "e2", "e2", "e3"],
    ...     "annotator": ["a", "b", "c", "a", "b", "a"],
    ...     "label": ["cat", "cat", "dog", "dog", "dog", "cat"],
    ... })
    >>> pc.example_agreement(log).collect()
    shape: (3, 5)
    ┌─────────┬─────────────────┬────────────┬───────────┬──────────┐
    │ example ┆ num_annotations ┆ num_labels ┆ agreement ┆ entropy  │
    │ ---     ┆ ---             ┆ ---        ┆ ---       ┆ ---      │
    │ str     ┆ u32             ┆ u32        ┆ f64       ┆ f64      │
    ╞═════════╪═════════════════╪════════════╪═══════════╪══════════╡
    │ e1      ┆ 3               ┆ 2          ┆ 0.333333  ┆ 0.636514 │
    │ e2      ┆ 2               ┆ 1          ┆ 1.0       ┆ 0.0      │
    │ e3      ┆ 1               ┆ 1          ┆ null      ┆ 0.0      │
    └─────────┴─────────────────┴────────────┴───────────┴──────────┘
    """
    return _by_example(log, into, Request(PERCENT, **options), "examples", of_votes, of_partition)


@shares(OfExamples, Request)
def vote_shares(
    log: Any, *, into: str | Path | None = None, **options: Unpack[OfExamples]
) -> pl.LazyFrame:
    """How many of each example's annotations chose which label, as one lazy plan.

    The votes as they are, n_k of n annotations of an example: soft labels without a model of annotators. A
    label that nobody chose has no row. Of posteriors see `dawid_skene` and the others.

    Parameters
    ----------
    classes
        The classes that labels may be. By default all labels are. A store has its own.
    into
        A directory for the result, written partition by partition; the LazyFrame scans it.
    progress
        Whether to show progress: with a store, or `into`.

    Returns
    -------
    LazyFrame
        One row per example and label that it got, sorted by these (within each partition of a store):
        `example`; `label`; `num_votes`; `vote_share`, num_votes / n, which sum to 1 on each example.

    Raises
    ------
    AnnotationError
        Now, if a column is missing. On collecting, if the log is empty, ids are null, annotations are
        duplicated or labels are not among the classes.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pl.DataFrame({
    ...     "example": ["e1", "e1", "e1", "e2"],
    ...     "annotator": ["a", "b", "c", "a"],
    ...     "label": ["cat", "dog", "cat", "dog"],
    ... })
    >>> pc.vote_shares(log).collect().rows()
    [('e1', 'cat', 2, 0.666...), ('e1', 'dog', 1, 0.333...), ('e2', 'dog', 1, 1.0)]
    """
    request = Request(PERCENT, **options)
    return _by_example(log, into, request, "vote_shares", shares_of_votes, shares_of_partition)


def _by_example(
    log: Any,
    into: str | Path | None,
    request: Request,
    table: str,
    of_votes: Callable[[pl.LazyFrame, pl.LazyFrame, pl.Series | None], pl.LazyFrame],
    of_partition: Callable[[Partition, Grouping], pl.LazyFrame],
) -> pl.LazyFrame:
    """A table of examples: by partitions where it is to be written, else one lazy plan of the votes."""
    if isinstance(log, Partitioned) or into is not None or request.executor is not None:
        rounds, grouping = request.open(log, into=into, anonymous=True)
        return rounds.claim(NAMES[table]).only(table, of_partition, grouping)
    if request.progress:
        wrong = "it has no effect here: nothing is computed before the result is collected."
        raise OptionError("progress", True, wrong, "Leave it out, or have the result written.")
    classes, duplicates = request.classes, request.duplicates
    given = scan_annotations(log, keep_missing=True)
    given = checks.without_duplicates(given, duplicates).select(LOG_COLUMNS)
    rows = given.filter(is_labelled(given.collect_schema()["label"]))
    values = None
    if classes is not None:
        values, _ = declared_values(classes, rows.collect_schema()["label"])
    votes = rows.group_by("example", "label").agg(votes=pl.len()).cache()
    findings = checks.audit(given, votes, values, duplicates)
    return of_votes(votes, findings, values)


def shares_of_votes(
    votes: pl.LazyFrame, findings: pl.LazyFrame, classes: pl.Series | None
) -> pl.LazyFrame:
    """From `example, label, votes`; classes are in order."""
    found = pl.concat([votes, findings], how="diagonal")
    order = class_order(votes.collect_schema()["label"], classes)
    return found.sort("example", order).select("example", "label", *shares_within("example"))


def shares_of_partition(part: Partition, grouping: Grouping) -> pl.LazyFrame:
    runs = runs_of(part, grouping)
    labels, examples = runs.book.classes, runs.examples["example"]
    return runs.votes.lazy().select(
        pl.lit(examples).gather("example").alias("example"),
        pl.lit(labels).gather("label").alias("label"),
        *shares_within("example"),
    )


def shares_within(example: str) -> list[pl.Expr]:
    """Of `votes`."""
    votes = pl.col("votes").cast(pl.Int64)
    share = votes / votes.sum().over(example)
    return [votes.cast(pl.UInt32).alias("num_votes"), share.alias("vote_share")]


def of_votes(
    votes: pl.LazyFrame, findings: pl.LazyFrame, classes: pl.Series | None
) -> pl.LazyFrame:
    """The measures of examples, from `example, label, votes`."""
    found = votes.group_by("example").agg(*measures())
    return pl.concat([found, findings], how="diagonal").sort("example").pipe(ordered)


def of_partition(part: Partition, grouping: Grouping) -> pl.LazyFrame:
    """The measures of a partition's examples."""
    runs = runs_of(part, grouping)
    by_example = runs.votes.lazy().group_by("example", maintain_order=True)
    measured = by_example.agg(*measures()).drop("example")
    return pl.concat([runs.examples.lazy().select("example"), measured], how=HORIZONTAL).pipe(
        ordered
    )


COLUMNS = ("example", "num_annotations", "num_labels", "agreement", "entropy")


def ordered(found: pl.LazyFrame) -> pl.LazyFrame:
    return found.select(COLUMNS)


def measures() -> list[pl.Expr]:
    """Of the `votes` of an example."""
    votes = pl.col("votes").cast(pl.Int64)
    n = votes.sum()
    share = votes / n
    return [
        n.cast(pl.UInt32).alias("num_annotations"),
        pl.len().cast(pl.UInt32).alias("num_labels"),
        ((votes * (votes - 1)).sum() / pl.when(n > 1).then(n * (n - 1))).alias("agreement"),
        (-(share * share.log()).sum()).abs().alias("entropy"),
    ]
