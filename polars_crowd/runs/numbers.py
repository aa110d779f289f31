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
from polars_crowd.inputs.log import LOG_COLUMNS
from polars_crowd.runs.classes import KEY_BITS, as_dtype, run_lengths
from polars_crowd.runs.codes import ExampleCodes, annotator_codes, example_codes, id_as_read


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


def sort_values(
    log: pl.LazyFrame,
    *,
    duplicates: checks.Duplicates = "error",
    annotators: pl.Series | None = None,
) -> Values:
    """Read one partition of a numeric log into sorted rows.

    `annotators` are those of the whole log where this is a part of it. Rows that repeat an (example,
    annotator) pair (with `duplicates="all"`) are sorted by value, so that the order of the log leaves
    no trace.
    """
    log = checks.without_duplicates(log, duplicates)
    schema = log.collect_schema()
    check_numeric(schema["label"])
    coded = _read_numbers(log, schema)
    annotator, annotators = annotator_codes(coded["annotator"], annotators)
    bits = len(annotators).bit_length()
    example = example_codes(coded["example"], KEY_BITS - bits)
    key = _pack(example, annotator, bits)
    rows, extra = _sorted_rows(key, coded["label"], coded.drop(LOG_COLUMNS))
    if duplicates == "error" and bool((rows["key"] == rows["key"].shift(1)).any()):
        raise checks.duplicate_annotations(log)
    return _values(rows, extra.lazy(), bits, example, schema, annotators)


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


def _read_numbers(log: pl.LazyFrame, schema: pl.Schema) -> pl.DataFrame:
    """The log in memory: ids as they are read, labels as floats."""
    coded = log.select(
        id_as_read("example", schema["example"]),
        id_as_read("annotator", schema["annotator"]),
        pl.col("label").cast(pl.Float64),
        *(c for c in schema if c not in LOG_COLUMNS),
    ).collect()
    if coded.is_empty():
        raise checks.no_annotations()
    for column in ("example", "annotator"):
        if coded[column].null_count():
            raise checks.null_ids(log, column)
    if not coded["label"].is_finite().all():
        raise _infinite_labels(log)
    return coded


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


def _pack(example: ExampleCodes, annotator: pl.Series, bits: int) -> pl.Series:
    """(example, annotator) as one integer that sorts like the pair."""
    columns = pl.LazyFrame([example.values.alias("example"), annotator.alias("annotator")])
    wide = pl.UInt64 if example.values.dtype == pl.UInt64 else pl.Int64
    code = (pl.col("example").cast(wide) - example.first).cast(pl.UInt64)
    key = code * (1 << bits) + pl.col("annotator").cast(pl.UInt64)
    return columns.select(key=key).collect()["key"]


def _sorted_rows(
    key: pl.Series, value: pl.Series, others: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = pl.DataFrame({"key": key, "value": value})
    if not others.width:
        return rows.lazy().sort("key", "value").collect(), others
    both = rows.hstack(others.select(pl.all().name.prefix("other_")))
    both = both.lazy().sort("key", "value", maintain_order=True).collect()
    others = both.drop("key", "value").rename(lambda c: c.removeprefix("other_"))
    return both.select("key", "value"), others


def _values(
    rows: pl.DataFrame,
    extra: pl.LazyFrame,
    bits: int,
    example: ExampleCodes,
    schema: pl.Schema,
    annotators: pl.Series,
) -> Values:
    counts = run_lengths(rows["key"] // (1 << bits))
    columns = rows.lazy().select(
        example=(pl.col("key") // (1 << bits)).rle_id(),
        annotator=(pl.col("key") % (1 << bits)).cast(pl.UInt32),
        value="value",
    )
    ids = as_dtype(example.decode(counts["key"]), schema["example"])
    return Values(
        rows=columns.collect().with_columns(pl.col("example").set_sorted()),
        extra=extra,
        examples=pl.DataFrame({"example": ids, "num_annotations": counts["len"]}),
        annotators=as_dtype(annotators, schema["annotator"]),
    )
