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

from polars_crowd.arrays import Floats
from polars_crowd.compatible import HORIZONTAL, engine_for
from polars_crowd.inputs import checks
from polars_crowd.inputs.log import LOG_COLUMNS, is_labelled
from polars_crowd.inputs.pred_probs import PredProbs, class_names
from polars_crowd.inputs.probabilities import look_through, read_probabilities
from polars_crowd.numerics import mixture
from polars_crowd.numerics.glance import Models
from polars_crowd.runs.abstentions import Abstentions
from polars_crowd.runs.codes import (
    Codebook,
    annotator_codes,
    as_dtype,
    declared_values,
    label_code,
    largest,
    resolve_classes,
)
from polars_crowd.runs.reading import (
    KEY,
    Key,
    bits_for,
    read_coded,
    refuse_duplicates,
    run_lengths,
    run_sums,
    runs_of,
    scale_for,
    sort_by_key,
)

FEW_CLASSES = 16
"""Up to so many, probabilities are held: to mix them is less work than to look through them."""


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
    models: Models
    """One (N, K) array per model."""
    book: Codebook
    abstentions: Abstentions | None = None
    """What the rows without a label say, if the log has any."""

    @property
    def n_classes(self) -> int:
        return len(self.book.classes)

    @cached_property
    def others(self) -> pl.DataFrame:
        """The log's other columns, in memory."""
        return self.extra.collect()

    @cached_property
    def has_repeats(self) -> bool:
        """Whether an annotator labelled an example more than once."""
        example = self.votes["example"].gather(self.rows["vote"]).cast(pl.UInt64)
        pair = example * len(self.book.annotators) + self.rows["annotator"]
        return pair.n_unique() < len(pair)

    @cached_property
    def on_multi(self) -> pl.Series:
        """Whether each example has more than one annotation."""
        return self.examples["num_annotations"] > 1

    @property
    def beside_votes(self) -> pl.Series:
        """n[e] of the example of each vote."""
        return self.of_votes(self.examples["num_annotations"])

    @cached_property
    def top_classes(self) -> tuple[pl.Series, ...]:
        """Each model's most probable class of each example."""
        return tuple(pl.Series(top) for top in mixture.top_classes(self.models))

    def of_votes(self, examples: pl.Series) -> pl.Series:
        """A value per example, repeated for each of its votes."""
        votes = self.votes.lazy().select(value=self.there(examples))
        return votes.collect(engine=engine_for(self.votes.height))["value"]

    def there(self, examples: pl.Series) -> pl.Expr:
        """... as an expression over the votes."""
        return pl.lit(examples).gather("example")

    def agreement_with(self, labels: pl.Series) -> pl.Series:
        """s[e] = c[e, label[e]] / n[e]: the share of its annotators that chose the given label."""
        chosen = self.votes.lazy().filter(pl.col("label") == self.there(labels))
        share = pl.col("votes") / self.there(self.examples["num_annotations"])
        chosen = chosen.select("example", share=share)
        found = chosen.collect(engine=engine_for(self.votes.height))
        if found.height == len(labels):
            return found["share"]
        shares = np.zeros(len(labels))  # of some, nobody chose the label
        shares[found["example"].to_numpy()] = found["share"].to_numpy()
        return pl.Series(shares)

    def sum_over_votes(self, by_annotator: Floats) -> pl.Series:
        """The sum, over the annotators of each vote, of a value of at least 0 per annotator.

        Runs are sums of running sums: in fixed point, where they are exact in any order and may wrap.
        """
        scale = scale_for(by_annotator.max(initial=0.0), largest(self.votes["votes"]))
        fixed = pl.lit(pl.Series(np.rint(by_annotator * scale).astype(np.int64)))
        engine = engine_for(self.rows.height)
        return run_sums(self.rows.lazy(), "vote", fixed.gather("annotator"), engine) / scale

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
    return pl.concat([named, others], how=HORIZONTAL)


# --- from a log to sorted runs ---------------------------------------------------------------------


def sort_runs(
    log: pl.LazyFrame,
    probs: Sequence[PredProbs] = (),
    *,
    classes: Sequence[Any] | None = None,
    duplicates: checks.Duplicates = "error",
    book: Codebook | None = None,
    glance: bool = False,
) -> Runs:
    """Read one partition of a log, with the probabilities of its examples, into sorted runs.

    Rows without a label are counted, and left out. `book` holds the classes and annotators of the whole log
    where this is a part of it. With `glance`, files of one model of many classes are looked
    through, not held.
    """
    log = checks.without_duplicates(log, duplicates)
    schema = log.collect_schema()
    annotations = log.filter(is_labelled(schema["label"]))
    if book:
        values, names = book.classes, book.names
    else:
        values, names = classes_of(annotations, schema["label"], probs, classes)
    advice = checks.GIVE_COLUMNS if probs else checks.DECLARE
    coded, abstentions = read_coded(
        log,
        label_code(schema["label"], values),
        pl.col("label").is_null(),
        lambda: checks.unknown_labels(annotations, values, advice),
    )
    annotator, annotators = annotator_codes(coded["annotator"], book.annotators if book else None)
    key = Key.of(coded["example"], len(values), len(annotators))
    keys, others = key.pack(coded["label"], annotator), coded.drop(LOG_COLUMNS)
    del coded, annotator
    key = key.packed()
    keys, others = sort_by_key(keys, others)
    counts = run_lengths(keys, key.upto(0))
    if duplicates == "error":
        refuse_duplicates(annotations, keys, largest(counts["len"]), key.without_middle)
    rows = keys.alias("key").to_frame().lazy()
    vote = key.upto(1).rle_id().set_sorted()
    sorted_rows = rows.select(vote=vote, annotator=key.last).collect(engine=engine_for(len(keys)))
    votes = _votes(keys, 1 << key.bits[0], key.upto(1))
    examples = key.examples(counts, schema["example"])
    del keys, key, rows  # before the probabilities are read
    return Runs(
        rows=sorted_rows,
        extra=others.lazy(),
        votes=votes,
        examples=examples,
        models=_models(probs, examples["example"], names, votes if glance else None),
        book=book or Codebook(values, names, as_dtype(annotators, schema["annotator"])),
        abstentions=abstentions,
    )


def _models(
    probs: Sequence[PredProbs],
    examples: pl.Series,
    names: tuple[str, ...],
    votes: pl.DataFrame | None,
) -> Models:
    """The models' probabilities; those of one of many classes are looked through if `votes` are given."""
    if votes is not None and len(probs) == 1 and len(names) > FEW_CLASSES:
        return look_through(probs[0], examples, names, votes)
    return tuple(read_probabilities(p, examples, names) for p in probs)


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


def pack_votes(example: pl.Series, label: pl.Series) -> tuple[pl.Series, pl.DataFrame]:
    """The vote of each row, and the votes, of rows that are sorted by (example, label)."""
    bits = bits_for(largest(label) + 1)
    columns = pl.LazyFrame({"example": example, "label": label})
    key = pl.col("example").cast(pl.UInt64) * (1 << bits) + pl.col("label")
    rows = (
        columns.select(key=key)
        .select("key", vote=KEY.rle_id())
        .collect(engine=engine_for(len(label)))
    )
    return rows["vote"].set_sorted(), _votes(rows["key"], 1 << bits)


def _votes(keys: pl.Series, label_range: int, of: pl.Expr = KEY) -> pl.DataFrame:
    """The votes, from sorted keys that hold (example, label) packed into one integer."""
    code = pl.col("key") % label_range
    votes = runs_of(keys, of).select(
        example=(pl.col("key") // label_range).rle_id().set_sorted(),
        label=code.cast(pl.UInt32),
        votes="len",
    )
    return votes.collect(engine=engine_for(len(keys))).rechunk()


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
