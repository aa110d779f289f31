"""What the methods of truth inference can be asked for, checked: iterations, known labels, beginnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.checks import Duplicates
from polars_crowd.codes import Codebook, label_code
from polars_crowd.errors import AnnotationError, counted, missing_column, rows_shown, shown
from polars_crowd.partitions import Partition
from polars_crowd.results import digest
from polars_crowd.rounds import Partitioned, Rounds, open_rounds
from polars_crowd.sources import open_frame
from polars_crowd.truth.block import UNKNOWN, Ints

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Options:
    """The options that all methods share."""

    pred_probs: Any = None
    gold: Any = None
    init: Any = "majority_vote"
    classes: Sequence[Any] | None = None
    duplicates: Duplicates = "error"
    max_iter: int = 100
    tol: float = 1e-6
    into: str | Path | None = None
    executor: Any = None
    progress: bool = False

    def __post_init__(self) -> None:
        check_count("max_iter", self.max_iter, 1)
        check_number("tol", self.tol, 0.0)

    def open(self, log: Any, known_classes: Sequence[Any] | None = None) -> Rounds:
        """The rounds of a log; `known_classes` are those of an earlier fit.

        The models of a store are used only where `pred_probs=True` asks for them.
        """
        given: dict[str, Any] = {"duplicates": self.duplicates, "into": self.into}
        given |= {"executor": self.executor, "progress": self.progress}
        if self.classes is not None:
            given["classes"] = self.classes
        elif not isinstance(log, Partitioned):
            given["classes"] = known_classes
        asks = self.pred_probs is True
        if asks and not isinstance(log, Partitioned):
            raise ValueError(
                "pred_probs=True is for a store; give the models' probabilities themselves."
            )
        rounds = open_rounds(log, None if asks else self.pred_probs, **given)
        if asks and not rounds.n_models:
            raise ValueError("pred_probs=True, but the store has none. Make it with pred_probs.")
        return rounds if asks or not isinstance(log, Partitioned) else replace(rounds, n_models=0)


def check_count(name: str, value: Any, least: int) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r}; it must be an integer of at least {least}.")


def check_number(name: str, value: Any, least: float, *, above: bool = False) -> None:
    """A finite number of at least `least`, or above it."""
    fine = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not fine or not np.isfinite(value) or value < least or (above and value == least):
        bound = f"above {least:g}" if above else f"of at least {least:g}"
        raise ValueError(f"{name}={value!r}; it must be a number {bound}.")


# --- frames keyed by example: gold, and labels to begin with ---------------------------------------


@dataclass(frozen=True)
class ExampleLabels:
    """A label code of some examples."""

    frame: pl.DataFrame
    """`example`, `known`."""

    @classmethod
    def of(cls, source: Any, what: str, book: Codebook, dtype: pl.DataType) -> ExampleLabels:
        """From a frame `example, label`; `what` names it in errors, `dtype` is that of the log's ids."""
        frame = open_frame(source, what)
        schema = frame.collect_schema()
        advice = f"{what} has a row per example: `example`, `label`."
        for column in ("example", "label"):
            if column not in schema:
                raise missing_column(what, column, list(schema), advice)
        given = frame.select("example", "label").filter(pl.col("label").is_not_null()).collect()
        code = label_code(schema["label"], book.classes.cast(schema["label"], strict=False))
        coded = given.with_columns(known=code.cast(pl.Int32))
        _check_labels(coded.filter(pl.col("known").is_null()), what, book)
        check_unique(given, what)
        ids = coded["example"].cast(dtype, strict=False)
        return cls(pl.DataFrame({"example": ids, "known": coded["known"]}).drop_nulls())

    def of_part(self, part: Partition) -> Ints:
        """The codes of a partition's examples, UNKNOWN where there is none."""

        def look_up() -> pl.DataFrame:
            examples = part.runs.examples.select("example")
            found = examples.join(self.frame, on="example", how="left", maintain_order="left")
            return found.select(pl.col("known").fill_null(UNKNOWN))

        found = part.keep(f"labels_{digest(self.frame)}", look_up)
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


def _check_labels(unknown: pl.DataFrame, what: str, book: Codebook) -> None:
    if unknown.height:
        raise AnnotationError(
            f"column 'label' of {what} has {counted(unknown.height, 'row')} with labels that are not among "
            f"the classes {shown(book.classes.to_list(), 20)}:\n"
            f"{rows_shown(unknown.select('example', 'label'))}\n"
            "Say what the classes are, all of them in order: classes=[...]."
        )


def check_unique(given: pl.DataFrame, what: str) -> None:
    """One row per example."""
    twice = given.filter(pl.col("example").is_duplicated()).sort("example")
    if twice.height:
        raise AnnotationError(
            f"column 'example' of {what}: {counted(twice['example'].n_unique(), 'example')} with more than "
            f"one row:\n{rows_shown(twice)}\nKeep one label per example."
        )


# --- frames keyed by annotator: what is known of them from the past ---------------------------------


CONFUSION = ("annotator", "true_label", "label", "count")
SKILLS = ("annotator", "correct", "incorrect")


def past_confusion(prior: Any, book: Codebook) -> Floats:
    """Past counts by true class, annotator and label, shape (K, M, K), from a frame or an earlier fit.

    Columns CONFUSION, or SKILLS, which are spread evenly over the classes. Annotators who are not in the log
    are left out.
    """
    table = _past_table(prior, CONFUSION)
    if _has(table, SKILLS) and not _has(table, CONFUSION):
        return spread_evenly(past_skills(table, SKILLS[1:], book), len(book.classes))
    frame = _past_frame(table, CONFUSION)
    K, M = len(book.classes), len(book.annotators)
    counts = np.zeros((K, M, K))
    coded = frame.select(
        place=places(book.annotators, frame["annotator"]),
        truth=_class_codes(frame, "true_label", book),
        label=_class_codes(frame, "label", book),
        count="count",
    ).filter(pl.col("place") >= 0)
    at = tuple(coded[c].to_numpy().astype(np.intp) for c in ("truth", "place", "label"))
    np.add.at(counts, at, coded["count"].to_numpy().astype(np.float64))
    return counts


def past_skills(prior: Any, columns: Sequence[str], book: Codebook) -> dict[str, Floats]:
    """Past counts per annotator, zero for who has none: M values for each column, from a frame with
    `annotator` and the columns (or CONFUSION, for `correct` and `incorrect`), or from an earlier fit."""
    wanted = ("annotator", *columns)
    table = _past_table(prior, wanted)
    if set(columns) <= set(SKILLS) and _has(table, CONFUSION) and not _has(table, wanted):
        counts = past_confusion(table, book)
        right = np.einsum("kjk->j", counts)
        both = {"correct": right, "incorrect": counts.sum(axis=(0, 2)) - right}
        return {column: both[column] for column in columns}
    frame = _past_frame(table, wanted)
    place = places(book.annotators, frame["annotator"])
    known = place >= 0
    found = {}
    for column in columns:
        values = np.zeros(len(book.annotators))
        np.add.at(values, place[known], frame[column].to_numpy().astype(np.float64)[known])
        found[column] = values
    return found


def spread_evenly(skills: dict[str, Floats], K: int) -> Floats:
    """Right and wrong answers as if all classes had been asked for, and all errors made, equally often."""
    right = np.eye(K)[:, None, :] * skills["correct"][:, None] / K
    wrong = (1 - np.eye(K))[:, None, :] * skills["incorrect"][:, None] / (K * max(K - 1, 1))
    counts: Floats = right + wrong
    return counts


def _past_table(prior: Any, columns: Sequence[str]) -> pl.LazyFrame:
    """The frame given as prior, or the table of an earlier fit that has the columns, or else counts."""
    tables = [getattr(prior, name, None) for name in ("confusion", "annotators")]
    found = [table.lazy() for table in tables if isinstance(table, pl.DataFrame)]
    for wanted in (columns, CONFUSION, SKILLS):
        for table in found:
            if _has(table, wanted):
                return table
    return found[0] if found else open_frame(prior, "prior")


def _has(table: pl.LazyFrame, columns: Sequence[str]) -> bool:
    return set(columns) <= set(table.collect_schema())


def _past_frame(table: pl.LazyFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The columns of the table, which must be counts."""
    for column in columns:
        if not _has(table, [column]):
            advice = f"Give the columns {', '.join(columns)}, or an earlier fit that has them."
            raise missing_column("prior", column, list(table.collect_schema()), advice)
    found = table.select(columns).collect()
    counts = [c for c in columns if c not in ("annotator", "true_label", "label")]
    wrong = found.filter(pl.any_horizontal(*(~(pl.col(c) >= 0).fill_null(False) for c in counts)))
    if wrong.height:
        raise AnnotationError(
            f"prior has {counted(wrong.height, 'row')} with a count that is negative or null:\n"
            f"{rows_shown(wrong)}\nCounts are what was seen before, 0 or more."
        )
    return found


def _class_codes(frame: pl.DataFrame, column: str, book: Codebook) -> pl.Series:
    labels = frame[column].alias("label")
    code = label_code(labels.dtype, book.classes.cast(labels.dtype, strict=False))
    codes = labels.to_frame().select(code.alias(column))[column]
    _check_labels(
        frame.filter(codes.is_null()).select(example="annotator", label=column), "prior", book
    )
    return codes


def places(known: pl.Series, wanted: pl.Series) -> Ints:
    """Where each wanted id is among the known ones; -1 where it is not."""
    if wanted.dtype != known.dtype:
        known, wanted = known.cast(pl.String), wanted.cast(pl.String)
    at = known.alias("id").to_frame().with_row_index("place")
    found = wanted.alias("id").to_frame().join(at, on="id", how="left", maintain_order="left")
    return found["place"].cast(pl.Int64).fill_null(-1).to_numpy().astype(np.intp)
