"""The sorted rows of a numeric log: what every method for numeric labels works on.

Where labels are numbers there are no votes: inside a partition (a set of whole examples) the log is encoded
to integer codes and sorted once by (example, annotator), so that an example is a run of rows. Three frames
hold all that a method needs:

* rows: `example`, `annotator`, `value`: one row per annotation, pointing at its example;
* examples: `example` (the id), `num_annotations`;
* extra: the log's other columns, a row per annotation too;
* annotators: the ids behind the codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from polars_crowd.errors import KEY_COLUMNS, Advice, AnnotationError, counted, rows_shown
from polars_crowd.inputs import checks
from polars_crowd.inputs.log import is_labelled
from polars_crowd.runs.abstentions import Abstentions
from polars_crowd.runs.codes import annotator_codes, as_dtype
from polars_crowd.runs.reading import (
    Key,
    read_coded,
    refuse_duplicates,
    run_lengths,
    sort_by_key,
)

SORTED = 2
"""Equal pairs that are sorted are neighbours: two rows are looked at."""


@dataclass(frozen=True)
class Values:
    """One partition of a numeric log, sorted by (example, annotator)."""

    rows: pl.DataFrame
    """`example` (position in `examples`), `annotator` (code), `value` = x."""
    extra: pl.LazyFrame
    """The log's other columns, a row per annotation too."""
    examples: pl.DataFrame
    """`example` (id), `num_annotations` = n[e]."""
    annotators: pl.Series
    """The M annotators; a code is a position in them."""
    abstentions: Abstentions | None = None
    """What the rows without a label say, if the log has any."""


def sort_values(
    log: pl.LazyFrame,
    *,
    duplicates: checks.Duplicates = "error",
    annotators: pl.Series | None = None,
) -> Values:
    """Read one partition of a numeric log into sorted rows.

    Rows without a label are counted, and left out. `annotators` are those of the whole log where this is a
    part of it. Rows that repeat an (example, annotator) pair (with `duplicates="all"`) are sorted by value,
    so that the order of the log leaves no trace.
    """
    log = checks.without_duplicates(log, duplicates, numeric=True)
    schema = log.collect_schema()
    check_numeric(schema["label"])
    coded, abstentions = read_coded(
        log,
        pl.col("label").cast(pl.Float64),
        ~pl.col("label").is_finite(),
        lambda: _infinite_labels(log),
    )
    annotator, annotators = annotator_codes(coded["annotator"], annotators)
    key = Key.of(coded["example"], len(annotators))
    keys, others = sort_by_key(key.pack(annotator), coded.drop("example", "annotator"), "label")
    if duplicates == "error":
        refuse_duplicates(log.filter(is_labelled(schema["label"])), keys, SORTED)
    columns = (
        keys.alias("key")
        .to_frame()
        .lazy()
        .select(example=key.upto(0).rle_id(), annotator=key.last, value=pl.lit(others["label"]))
    )
    return Values(
        rows=columns.collect().with_columns(pl.col("example").set_sorted()),
        extra=others.drop("label").lazy(),
        examples=key.examples(run_lengths(keys // (1 << key.bits[0])), schema["example"]),
        annotators=as_dtype(annotators, schema["annotator"]),
        abstentions=abstentions,
    )


def check_numeric(dtype: pl.DataType) -> None:
    """Labels must be numbers."""
    if not dtype.is_numeric():
        raise AnnotationError(
            f"is {dtype}; this method needs numbers.",
            Advice(
                "Make it numbers, or use a method for classes",
                python="log.with_columns(pl.col('label').cast(pl.Float64)), pc.dawid_skene(log)",
                command="--method dawid-skene, say",
            ),
            source="the log",
            column="label",
        )


def _infinite_labels(log: pl.LazyFrame) -> AnnotationError:
    rows = log.filter(pl.col("label").is_infinite()).select(KEY_COLUMNS).collect()
    return AnnotationError(
        f"is infinite in {counted(rows.height, 'row')}:\n{rows_shown(rows)}",
        Advice(
            "Replace these labels by numbers, or drop the rows",
            python="log.filter(pl.col('label').is_finite())",
        ),
        source="the log",
        column="label",
    )
