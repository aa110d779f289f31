"""Agreement example by example: which ones annotators do not agree about.

With n annotations of an example, n_k of them of class k:

    agreement = sum_k n_k (n_k - 1) / (n (n - 1))       the share of its pairs of annotations that agree
    entropy   = - sum_k (n_k / n) log(n_k / n)           in nats, at most log(number of labels)

The agreement is null for one annotation; its mean over the other examples is percent agreement.
"""

from __future__ import annotations

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
from polars_crowd.runs.codes import declared_values
from polars_crowd.signatures import shares


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
    request = Request((named("percent_agreement"),), **options)
    if isinstance(log, Partitioned) or into is not None or request.executor is not None:
        rounds, grouping = request.open(log, into=into, anonymous=True)
        return rounds.tables({"examples": of_partition}, grouping)["examples"]
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
