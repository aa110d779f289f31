"""What is known of examples before a fit: gold labels, gold numbers, and labels to begin with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import (
    AnnotationError,
    counted,
    rows_shown,
    shown,
    warn,
)
from polars_crowd.inputs.checks import DECLARE, near_classes
from polars_crowd.inputs.matching import ids_like, no_match, written
from polars_crowd.inputs.numbers import as_numbers
from polars_crowd.inputs.tables import labels_beside
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.runs.codes import Codebook, label_code
from polars_crowd.truth.block import UNKNOWN


@dataclass(frozen=True)
class KnownValues:
    """The known truth of some examples."""

    frame: pl.DataFrame
    """`example`, `known`."""

    @property
    def given(self) -> pl.Series:
        """The ids as they were given."""
        return self.frame["example"]

    @classmethod
    def of(cls, source: Any, what: str = "gold") -> KnownValues:
        """From a frame `example, label`; `what` names it in errors."""
        numbers = as_numbers(labels_beside(source, what), ["label"], what)
        rows = numbers.select("example", known="label").drop_nulls().collect()
        _check_known(rows, what)
        return cls(rows)

    def of_examples(self, examples: pl.Series) -> Floats:
        """The truth of these examples, NaN where it is not given."""
        given = self.frame.schema["example"]
        ids = self.frame.with_columns(ids_like("example", given, examples.dtype, "gold"))
        found = examples.to_frame().join(ids, on="example", how="left", maintain_order="left")
        return found["known"].fill_null(float("nan")).to_numpy()

    def of_part(self, part: Partition) -> Floats:
        """The truth of a partition's examples."""

        def look_up() -> pl.DataFrame:
            return pl.DataFrame({"known": self.of_examples(part.values.examples["example"])})

        return part.keep("gold-values", look_up, self.frame)["known"].to_numpy()


def _check_known(rows: pl.DataFrame, what: str) -> None:
    infinite = rows.filter(~pl.col("known").is_finite())
    if infinite.height:
        raise AnnotationError(
            f"is not a finite number in {counted(infinite.height, 'row')}:\n"
            f"{rows_shown(infinite.rename({'known': 'label'}))}",
            "Leave these rows out.",
            source=what,
            column="label",
        )
    check_unique(rows.rename({"known": "label"}), what)


@dataclass(frozen=True)
class ExampleLabels:
    """A label code of some examples."""

    frame: pl.DataFrame
    """`example`, `known`."""
    given: pl.Series
    """The ids as they were given."""

    @classmethod
    def of(cls, source: Any, what: str, book: Codebook, dtype: pl.DataType) -> ExampleLabels:
        """From a frame `example, label`; `what` names it in errors, `dtype` is that of the log's ids."""
        given = labels_beside(source, what).filter(pl.col("label").is_not_null()).collect()
        schema = given.schema
        coded = given.with_columns(known=class_codes(given["label"], book).cast(pl.Int32))
        check_labels(coded.filter(pl.col("known").is_null()), what, book)
        check_unique(given, what)
        ids = coded.select(ids_like("example", schema["example"], dtype, what)).to_series()
        known = pl.DataFrame({"example": ids, "known": coded["known"]}).drop_nulls()
        return cls(known, coded["example"].drop_nulls())

    def of_part(self, part: Partition) -> Ints:
        """The codes of a partition's examples, UNKNOWN where there is none."""

        def look_up() -> pl.DataFrame:
            examples = part.runs.examples.select("example")
            found = examples.join(self.frame, on="example", how="left", maintain_order="left")
            return found.select(pl.col("known").fill_null(UNKNOWN))

        found = part.keep("gold-labels", look_up, self.frame)
        return found["known"].to_numpy().astype(np.intp)


@dataclass(frozen=True)
class Known:
    """Labels that are given for some examples: the truth, and those to begin with."""

    gold: ExampleLabels | None = None
    init: ExampleLabels | None = None

    @classmethod
    def of(cls, rounds: Rounds, gold: Any = None, init: Any = None) -> Known:
        """From the frames that the caller gave, if any."""
        return cls(_coded(gold, "gold", rounds), _coded(init, "init", rounds))

    def of_part(self, part: Partition) -> Ints | None:
        """The known truth of a partition's examples."""
        gold = self.gold
        return None if gold is None else part.once("gold", lambda: gold.of_part(part), gold)


def _coded(source: Any, what: str, rounds: Rounds) -> ExampleLabels | None:
    if source is None:
        return None
    ids = rounds.handles[0].runs().examples.schema["example"]
    return ExampleLabels.of(source, what, rounds.book, ids)


def check_known(known: Known, found: Mapping[str, Floats], rounds: Rounds) -> None:
    """What is given is of examples of the log, by how many of those are known."""
    for what, labels, sum_ in (("gold", known.gold, "n_known"), ("init", known.init, "n_begun")):
        if labels is not None:
            n_known, ids = int(found[sum_][0]), lambda: rounds.handles[0].runs().examples["example"]
            check_matched(labels.given, n_known, ids, what)


def class_codes(labels: pl.Series, book: Codebook) -> pl.Series:
    """The class of each label, by how both are written; null where it is none."""
    classes, text = (
        of.to_frame("label").select(written("label", of.dtype)) for of in (book.classes, labels)
    )
    return text.select(label_code(pl.String(), classes.to_series())).to_series()


def check_labels(unknown: pl.DataFrame, what: str, book: Codebook) -> None:
    if unknown.height:
        labels = unknown["label"].unique().sort().to_list()
        raise AnnotationError(
            f"has {counted(unknown.height, 'row')} with labels that are not among "
            f"the classes {shown(book.classes.to_list(), 20)}:\n"
            f"{rows_shown(unknown, 'example', 'label')}",
            *(near_classes(labels, book.classes.to_list()) or (DECLARE,)),
            source=what,
            column="label",
        )


def check_unique(given: pl.DataFrame, what: str) -> None:
    """One row per example."""
    twice = given.filter(pl.col("example").is_duplicated()).sort("example")
    if twice.height:
        raise AnnotationError(
            f": {counted(twice['example'].n_unique(), 'example')} with more than one row:\n"
            f"{rows_shown(twice)}",
            "Keep one label per example.",
            source=what,
            column="example",
        )


def check_matched(
    given: pl.Series | None, n_known: int, ids: Callable[[], pl.Series], what: str = "gold"
) -> None:
    """What is known is of examples of the log: an error if none is (`ids` are some of the log's), else a
    warning that says how many are not."""
    if given is None:
        return
    if given.is_empty():
        raise AnnotationError("has no label, and no effect.", "Leave it out.", source=what)
    if n_known == len(given):
        return
    if not n_known:
        raise no_match(given, ids(), what)
    warn(
        f"{what}: {len(given) - n_known:,} of its {counted(len(given), 'example')} are not in the log and "
        "have no effect."
    )
