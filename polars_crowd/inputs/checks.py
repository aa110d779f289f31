"""What makes a log unusable, and the errors that say so.

Looking is cheap (counts taken along with the work); only when something is wrong is the log read again
to say how much and where.
"""

from __future__ import annotations

from typing import Literal, get_args

import polars as pl

from polars_crowd.errors import AnnotationError, counted, rows_shown, shown

Duplicates = Literal["error", "first", "last", "all"]


def check_duplicates(duplicates: str) -> None:
    """What to do with duplicates must be one of these."""
    if duplicates not in get_args(Duplicates):
        raise ValueError(
            f"duplicates={duplicates!r}; it must be 'error', 'first', 'last' or 'all'."
        )


def without_duplicates(log: pl.LazyFrame, duplicates: Duplicates) -> pl.LazyFrame:
    """The log with the first or last annotation of each (example, annotator), if so asked."""
    check_duplicates(duplicates)
    if duplicates == "first" or duplicates == "last":
        return log.unique(["example", "annotator"], keep=duplicates, maintain_order=True)
    return log


def no_annotations() -> AnnotationError:
    return AnnotationError(
        "the log has no annotations: no row has a label. Check the label column and your filters."
    )


def null_ids(log: pl.LazyFrame, column: str) -> AnnotationError:
    rows = log.filter(pl.col(column).is_null()).collect()
    return AnnotationError(
        f"column {column!r} of the log is null in {counted(rows.height, 'row')}:\n{rows_shown(rows)}\n"
        f"Every annotation needs its {column}. Drop the rows with "
        f"log.drop_nulls({column!r}), or fill in the {column}s."
    )


def unknown_labels(log: pl.LazyFrame, classes: pl.Series) -> AnnotationError:
    known = pl.col("label").is_in(classes.implode())
    rows = log.filter(~known).collect()
    labels = rows["label"].unique().sort().to_list()
    return AnnotationError(
        f"column 'label' of the log has {counted(rows.height, 'row')} with labels that are not among the "
        f"classes {shown(classes.to_list(), 20)}: {shown(labels)}.\n{rows_shown(rows)}\n"
        "Give pred_probs a column for each of these classes, or filter the rows out."
    )


def duplicate_annotations(log: pl.LazyFrame) -> AnnotationError:
    pairs = log.group_by("example", "annotator").agg(
        pl.len().alias("rows"), pl.col("label").head(5)
    )
    twice = pairs.filter(pl.col("rows") > 1).sort("example", "annotator").collect()
    return AnnotationError(
        f"columns 'example', 'annotator' of the log: {counted(twice.height, 'pair')} with more than one "
        f"annotation, {counted(int(twice['rows'].sum()), 'row')} in all:\n{rows_shown(twice)}\n"
        "Say which to use: duplicates='first', 'last' or 'all' (each row counts)."
    )


def single_annotations(n_examples: int) -> AnnotationError:
    return AnnotationError(
        f"each of the {counted(n_examples, 'example')} has one annotation only, so annotators cannot be "
        "compared and CROWDLAB has nothing to weigh. The labels are their own majority vote "
        "(pc.majority_vote); to score them against the model alone use a label-quality score such as "
        "the model's probability of the label, or collect second annotations for some examples."
    )


def audit(
    log: pl.LazyFrame, votes: pl.LazyFrame, classes: pl.Series | None, duplicates: Duplicates
) -> pl.LazyFrame:
    """No rows, or the error that the log deserves, when it is collected. To concatenate to a result."""
    counts = [
        log.select(
            rows=pl.len(),
            null_examples=pl.col("example").null_count(),
            null_annotators=pl.col("annotator").null_count(),
        )
    ]
    if classes is not None:
        unknown = ~pl.col("label").is_in(classes.implode())
        counts.append(votes.select(unknown_labels=unknown.sum()))
    if duplicates == "error":
        # equal pairs have equal hashes: no equal neighbours among sorted hashes, no duplicates
        pair = pl.col("example").hash() + pl.col("annotator").hash(1)
        sorted_pairs = log.select(pair=pair).sort("pair")
        counts.append(
            sorted_pairs.select(suspects=(pl.col("pair") == pl.col("pair").shift(1)).sum())
        )

    def judge(found: pl.DataFrame) -> pl.DataFrame:
        _raise_findings(found.row(0, named=True), log, classes)
        return found.select(num_annotations="rows").clear()

    schema = {"num_annotations": pl.UInt32}
    return pl.concat(counts, how="horizontal").map_batches(judge, schema=schema)


def _raise_findings(found: dict[str, int], log: pl.LazyFrame, classes: pl.Series | None) -> None:
    if not found["rows"]:
        raise no_annotations()
    for column in ("example", "annotator"):
        if found[f"null_{column}s"]:
            raise null_ids(log, column)
    if classes is not None and found["unknown_labels"]:
        raise unknown_labels(log, classes)
    if found.get("suspects"):
        pairs = log.group_by("example", "annotator").len().filter(pl.col("len") > 1)
        if pairs.head(1).collect().height:
            raise duplicate_annotations(log)
