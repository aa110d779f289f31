"""The sorted runs of a log: what every method works on.

Inside a partition (a set of whole examples) the log is encoded to integer codes and sorted once by
(example, label, annotator). From then on everything is a run: the votes of an (example, label) are a run
of rows, an example is a run of votes. Three frames hold all that a method needs:

* rows: `vote`, `annotator`: one row per annotation, pointing at its vote;
* votes: `example`, `label`, `votes`: one row per (example, label) that occurs, pointing at its example;
* examples: `example` (the id), `num_annotations`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Floats, Probabilities
from polars_crowd.errors import Advice
from polars_crowd.inputs import checks
from polars_crowd.inputs.log import LOG_COLUMNS
from polars_crowd.inputs.pred_probs import PredProbs, class_names, read_probabilities
from polars_crowd.numerics import mixture
from polars_crowd.runs.codes import (
    Codebook,
    ExampleCodes,
    annotator_codes,
    declared_values,
    example_codes,
    id_as_read,
    label_code,
    largest,
    resolve_classes,
)

KEY_BITS = 63
NEAR = 32
"""Up to this many annotations per example, duplicates are looked for among neighbours."""


@dataclass(frozen=True)
class Runs:
    """One partition of a log as sorted runs, with the models' probabilities beside its examples."""

    rows: pl.DataFrame
    """`vote` (position in `votes`), `annotator` (code)."""
    extra: pl.LazyFrame
    """The log's other columns, a row per annotation too."""
    votes: pl.DataFrame
    """`example` (position in `examples`), `label` (code), `votes` = c[e,k]."""
    examples: pl.DataFrame
    """`example` (id), `num_annotations` = n[e]."""
    models: tuple[Probabilities, ...]
    """One (N, K) array per model."""
    book: Codebook

    @property
    def n_classes(self) -> int:
        return len(self.book.classes)

    @cached_property
    def others(self) -> pl.DataFrame:
        """The log's other columns, in memory."""
        return self.extra.collect()

    @cached_property
    def on_multi(self) -> pl.Series:
        """Whether each example has more than one annotation."""
        return self.examples["num_annotations"] > 1

    @cached_property
    def top_classes(self) -> tuple[pl.Series, ...]:
        """Each model's most probable class of each example."""
        return tuple(pl.Series(mixture.top_class(p)) for p in self.models)

    def of_votes(self, examples: pl.Series) -> pl.Series:
        """A value per example, repeated for each of its votes."""
        return examples.gather(self.votes["example"])

    def votes_for(self, labels: pl.Series) -> pl.Series:
        """c[e, label[e]]: how many annotators chose the given label of each example."""
        chosen = self.votes.filter(pl.col("label") == pl.lit(labels).gather("example"))
        counts = pl.zeros(len(labels), chosen["votes"].dtype, eager=True)
        return counts.scatter(chosen["example"], chosen["votes"])

    def agreement_with(self, labels: pl.Series) -> pl.Series:
        """s[e] = c[e, label[e]] / n[e]: the share of its annotators that chose the given label."""
        return self.votes_for(labels) / self.examples["num_annotations"]

    def sum_over_votes(self, by_annotator: Floats) -> pl.Series:
        """The sum, over the annotators of each vote, of a value in [0, 1] per annotator.

        Runs are sums of running sums: in fixed point, where they are exact in any order and may wrap.
        """
        scale = float(1 << (62 - _bits(largest(self.votes["votes"]) + 1)))
        fixed = pl.Series(np.rint(by_annotator * scale).astype(np.int64))
        is_last = pl.col("vote") != pl.col("vote").shift(-1, fill_value=self.votes.height)
        running = pl.lit(fixed).gather("annotator").cum_sum()
        last = self.rows.lazy().select(sum=running, is_last=is_last).filter("is_last").select("sum")
        return (
            last.select(pl.col("sum") - pl.col("sum").shift(1, fill_value=0)).collect()["sum"]
            / scale
        )

    def annotations(self, score: pl.Expr | pl.Series) -> pl.LazyFrame:
        """`example`, `annotator`, `label`, `label_quality_score`, then the log's other columns (an earlier
        score gives way): one row per annotation, by example, label and annotator."""
        named = self.rows.lazy().select(
            example=pl.lit(self.of_votes(self.examples["example"])).gather("vote"),
            annotator=pl.lit(self.book.annotators).gather("annotator"),
            label=pl.lit(self.book.classes.gather(self.votes["label"])).gather("vote"),
            label_quality_score=score,
        )
        return beside(named, self.extra, "label_quality_score")

    def vote_rows(self) -> pl.LazyFrame:
        """`example`, `label`, `annotator` of every annotation, as positions and codes."""
        return self.rows.lazy().select(
            *(pl.lit(self.votes[c]).gather("vote").alias(c) for c in ("example", "label")),
            "annotator",
        )


def beside(named: pl.LazyFrame, extra: pl.LazyFrame, *found: str) -> pl.LazyFrame:
    """Rows with the log's other columns, but those in whose place something new was `found`."""
    others = extra.drop(found, strict=False)
    if not others.collect_schema():
        return named
    return pl.concat([named, others], how="horizontal")


# --- from a log to sorted runs ---------------------------------------------------------------------


def sort_runs(
    log: pl.LazyFrame,
    probs: Sequence[PredProbs] = (),
    *,
    classes: Sequence[Any] | None = None,
    duplicates: checks.Duplicates = "error",
    book: Codebook | None = None,
    check_probs: bool = True,
) -> Runs:
    """Read one partition of a log, with the probabilities of its examples, into sorted runs.

    `book` holds the classes and annotators of the whole log where this is a part of it.
    """
    log = checks.without_duplicates(log, duplicates)
    schema = log.collect_schema()
    if book:
        values, names = book.classes, book.names
    else:
        values, names = classes_of(log, schema["label"], probs, classes)
    coded = _read_codes(log, schema, values, checks.GIVE_COLUMNS if probs else checks.DECLARE)
    annotator, annotators = annotator_codes(coded["annotator"], book.annotators if book else None)
    bits = KeyBits(_bits(len(annotators)), _bits(len(values)))
    example = example_codes(coded["example"], KEY_BITS - bits.annotator - bits.label)
    key = bits.pack(example, coded["label"], annotator)
    key, others = _sorted(key, coded.drop(LOG_COLUMNS))
    del coded, annotator
    columns = bits.unpack(key)
    del key
    counts = run_lengths(columns["example"])
    if duplicates == "error" and _has_duplicates(columns["pair"], largest(counts["len"])):
        raise checks.duplicate_annotations(log)
    ids = as_dtype(example.decode(counts["key"]), schema["example"])
    vote, votes = _votes(columns["vote"], 1 << bits.label)
    return Runs(
        rows=pl.DataFrame({"vote": vote, "annotator": columns["annotator"]}),
        extra=others.lazy(),
        votes=votes,
        examples=pl.DataFrame({"example": ids, "num_annotations": counts["len"]}),
        models=tuple(read_probabilities(p, ids, names, check_probs) for p in probs),
        book=book or Codebook(values, names, as_dtype(annotators, schema["annotator"])),
    )


def classes_of(
    log: pl.LazyFrame,
    dtype: pl.DataType,
    probs: Sequence[PredProbs] = (),
    declared: Sequence[Any] | None = None,
) -> tuple[pl.Series, tuple[str, ...]]:
    """The classes in order, and their names: as the models name them, else as declared, else those of
    the Enum, else the labels that there are, sorted."""
    if probs:
        return resolve_classes(dtype, probs[0].names, declared)
    if declared is not None:
        return declared_values(declared, dtype)
    if isinstance(dtype, pl.Enum):
        values = pl.Series("label", dtype.categories, dtype)
    else:
        text = (
            pl.col("label").cast(pl.String)
            if isinstance(dtype, pl.Categorical)
            else pl.col("label")
        )
        values = log.select(text.unique().sort()).collect()["label"].cast(dtype)
    if values.is_empty():
        raise checks.no_annotations()
    return values, tuple(class_names(values.to_list()))


def _read_codes(
    log: pl.LazyFrame, schema: pl.Schema, classes: pl.Series, advice: Advice | str
) -> pl.DataFrame:
    """The log in memory: ids as read, labels as codes of the classes; `advice` says how others are had."""
    others = [c for c in schema if c not in LOG_COLUMNS]
    coded = log.select(
        id_as_read("example", schema["example"]),
        id_as_read("annotator", schema["annotator"]),
        label_code(schema["label"], classes).alias("label"),
        *others,
    ).collect()
    if coded.is_empty():
        raise checks.no_annotations()
    for column in ("example", "annotator"):
        if coded[column].null_count():
            raise checks.null_ids(log, column)
    if coded["label"].null_count():
        raise checks.unknown_labels(log, classes, advice)
    return coded


@dataclass(frozen=True)
class KeyBits:
    """How (example, label, annotator) are packed into one integer that sorts like the triple."""

    annotator: int
    label: int

    def pack(self, example: ExampleCodes, label: pl.Series, annotator: pl.Series) -> pl.Series:
        columns = pl.LazyFrame([example.values.alias("e"), label.alias("l"), annotator.alias("a")])
        wide = pl.UInt64 if example.values.dtype == pl.UInt64 else pl.Int64
        code = (pl.col("e").cast(wide) - example.first).cast(pl.UInt64)
        shifted = code * (1 << self.label) + pl.col("l").cast(pl.UInt64)
        key = shifted * (1 << self.annotator) + pl.col("a").cast(pl.UInt64)
        return columns.select(key=key).collect()["key"]

    def unpack(self, key: pl.Series) -> pl.DataFrame:
        """`example`; `vote` = (example, label); `pair` = (example, annotator); `annotator`."""
        packed = pl.col("key")
        annotator = packed % (1 << self.annotator)
        example = packed // (1 << (self.annotator + self.label))
        columns = (
            key.alias("key")
            .to_frame()
            .lazy()
            .select(
                example=example,
                vote=packed // (1 << self.annotator),
                pair=example * (1 << self.annotator) + annotator,
                annotator=annotator.cast(pl.UInt32),
            )
        )
        return columns.collect()


def _bits(n: int) -> int:
    """How many bits hold 0 .. n-1."""
    return max(n - 1, 1).bit_length()


def _sorted(key: pl.Series, others: pl.DataFrame) -> tuple[pl.Series, pl.DataFrame]:
    if not others.width:
        return key.sort(), others
    frame = others.select(pl.all().name.prefix("other_")).with_columns(key.alias("key"))
    frame = frame.lazy().sort("key", maintain_order=True).collect()
    return frame["key"], frame.drop("key").rename(lambda c: c.removeprefix("other_"))


def run_lengths(sorted_keys: pl.Series) -> pl.DataFrame:
    """`key` and `len` of each run of equal keys."""
    keys = sorted_keys.alias("key").set_sorted().to_frame().lazy()
    return keys.group_by("key", maintain_order=True).len().collect()


def pack_votes(example: pl.Series, label: pl.Series) -> tuple[pl.Series, pl.DataFrame]:
    """The vote of each row, and the votes, of rows that are sorted by (example, label)."""
    bits = _bits(largest(label) + 1)
    columns = pl.LazyFrame({"example": example, "label": label})
    key = pl.col("example").cast(pl.UInt64) * (1 << bits) + pl.col("label")
    return _votes(columns.select(key=key).collect()["key"], 1 << bits)


def _votes(key: pl.Series, label_range: int) -> tuple[pl.Series, pl.DataFrame]:
    """... from (example, label) packed into one integer, sorted."""
    runs = run_lengths(key)
    example = (runs["key"] // label_range).rle_id().set_sorted()
    label = (runs["key"] % label_range).cast(pl.UInt32)
    votes = pl.DataFrame({"example": example, "label": label, "votes": runs["len"]})
    return key.rle_id().set_sorted(), votes


def _has_duplicates(pairs: pl.Series, longest: int) -> bool:
    """Whether an (example, annotator) pair occurs twice; `longest` = the most rows of an example."""
    distances = range(1, longest)
    if longest > NEAR:
        pairs, distances = pairs.sort(), range(1, 2)
    n = len(pairs)
    return any(bool((pairs.slice(d) == pairs.slice(0, n - d)).any()) for d in distances)


def as_dtype(ids: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Ids in the type they had in the log."""
    if dtype == pl.Boolean and ids.dtype.is_integer():
        return ids == 1
    return ids.cast(dtype)


def by_class(ids: pl.Series, name: str, classes: pl.Series, **values: NDArray[Any]) -> pl.DataFrame:
    """Arrays (N, K) as columns: a row per example and class."""
    N, K = len(ids), len(classes)
    return pl.DataFrame(
        {
            "example": ids.gather(np.repeat(np.arange(N, dtype=np.uint32), K)),
            name: classes.gather(np.tile(np.arange(K, dtype=np.uint32), N)),
            **{column: array.ravel() for column, array in values.items()},
        }
    )
