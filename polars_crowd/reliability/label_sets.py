"""Agreement on sets of classes: MASI and Jaccard distance.

A label is a set of classes: a list, or text with a separator. With J = |A and B| / |A or B| (1 for two empty
sets), two sets agree by

    jaccard    w = J
    masi       w = J M,  M = 1 if A = B, 2/3 if one holds the other, 1/3 if they overlap, else 0
    nominal    w = 1[A = B]

(Passonneau 2006). Krippendorff's alpha is 1 - D_o / D_e with the distance 1 - w (`chance.py`); percent
agreement and Fleiss' kappa take the same w. Each distinct set is a class of the engine, its members one bit
each, so that the size of an intersection is a count of bits; S x S tables of S sets are never held whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Unpack

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints, Packed
from polars_crowd.errors import Advice, AnnotationError, OptionError, check_choice, shown
from polars_crowd.inputs.label_sets import UNIT, open_label_sets
from polars_crowd.inputs.log import open_rows
from polars_crowd.inputs.parts import is_text
from polars_crowd.inputs.pred_probs import class_names
from polars_crowd.reliability.estimates import estimates
from polars_crowd.reliability.evidence import Evidence
from polars_crowd.reliability.gathering import gather
from polars_crowd.reliability.grouping import Grouping
from polars_crowd.reliability.registry import OF_SETS, chosen
from polars_crowd.reliability.report import COLUMNS, report
from polars_crowd.reliability.request import ByOption, Intervals, MemoryOption, Reading, Request
from polars_crowd.reliability.scales import Scales
from polars_crowd.reliability.units import Units, pairs_in_blocks, run_lengths
from polars_crowd.reliability.weights import Weights
from polars_crowd.rounds.partitions import Partitioned
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.runs.codes import declared_values, named_classes
from polars_crowd.signatures import shares

Distance = Literal["masi", "jaccard", "nominal"]

CELLS = 1 << 22
"""(set, set) cells that are worked on at once."""


class OfSets(ByOption, Intervals, Reading, MemoryOption, total=False):
    """The options of agreement on sets of classes."""


@shares(OfSets, Request)
def multilabel_agreement(
    log: Any,
    *,
    distance: Distance = "masi",
    coefficients: str | Sequence[str] = "krippendorff_alpha",
    separator: str | None = None,
    **options: Unpack[OfSets],
) -> pl.DataFrame:
    """Agreement of annotators who choose any number of classes for an example.

    Two sets of classes agree by w = J M (MASI: J the Jaccard index, M = 1, 2/3, 1/3 or 0 for equal, nested,
    overlapping and disjoint sets), by w = J, or only if they are equal; Krippendorff's alpha has the
    distance 1 - w. For single classes against the rest see `agreement_by_class`.

    Parameters
    ----------
    log
        The annotations, with the columns `example`, `annotator` and `label`: whatever `scan_annotations`
        takes, or an `AnnotationStore`. `label` is a list of classes (an empty one: nothing chosen), or text
        with the classes separated by `separator`; or there is a row per class that was chosen (a row with a
        null says that the annotator saw the example).
    distance
        `"masi"`, `"jaccard"` or `"nominal"`.
    coefficients
        One or several of `krippendorff_alpha`, `fleiss_kappa`, `percent_agreement`.
    separator
        What stands between the classes where labels are text, such as `";"`.

    Returns
    -------
    DataFrame
        As of `agreement`: one row per group and coefficient.

    Raises
    ------
    AnnotationError
        Labels are not sets, the log cannot be used, or has one annotator only.
    OptionError
        An option has another value than those above.

    Agrees with
    -----------
    `nltk.metrics.agreement.AnnotationTask.alpha` of NLTK 3.10 with `masi_distance` and
    `jaccard_distance`, to 1e-9.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pl.DataFrame({
    ...     "example": [1, 1, 2, 2, 3, 3],
    ...     "annotator": ["ann", "bob"] * 3,
    ...     "label": [["joy"], ["joy", "trust"], ["fear"], ["fear"], ["joy"], ["joy"]],
    ... })
    >>> found = pc.multilabel_agreement(log)
    >>> round(found["value"].item(), 4)
    0.6667
    >>> text = log.with_columns(pl.col("label").list.join("; "))
    >>> pc.multilabel_agreement(text, separator=";").equals(found)
    True
    """
    check_choice("distance", distance, Distance)
    found = chosen(coefficients, OF_SETS, "for sets of classes they are")
    request = Request(found, **options)
    rounds, grouping, sets = open_sets(log, separator, request, COLUMNS)
    evidence = by_set(gather(rounds, grouping, request), sets, distance)
    return report(evidence, estimates(evidence, request))


def by_set(evidence: Evidence, sets: SetCodes, distance: Distance) -> Evidence:
    """The evidence with sets as its classes, each once, however it was written."""
    kind, first = sets.kinds
    distinct = sets.chosen(first)
    weights, ranks = SetWeights(distinct, distance), np.arange(float(len(first)))
    scales = SetScales(weights, "nominal", ranks, name=distance)
    return replace(evidence, units=relabelled(evidence.units, kind, len(first)), scales=scales)


def relabelled(units: Units, label: Ints, n_classes: int) -> Units:
    """Units with other labels, which may be the same for several."""
    cell, entry = np.unique(units.unit * n_classes + label[units.label], return_inverse=True)
    votes = np.bincount(entry, units.votes, len(cell)).astype(np.int64)
    return replace(
        units,
        lengths=run_lengths(cell // n_classes),
        label=cell % n_classes,
        votes=votes,
        n_classes=n_classes,
    )


# --- labels as sets --------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetCodes:
    """The distinct sets of classes of a log, by the code of their label."""

    classes: pl.Series
    """The K classes, in class order."""
    sizes: Ints
    """(S,) how many classes each set has."""
    members: Ints
    """The classes of all sets, one set after another, each set's in class order."""

    @cached_property
    def starts(self) -> Ints:
        return np.cumsum(self.sizes) - self.sizes

    @cached_property
    def bits(self) -> Packed:
        """(S, words): a bit per class."""
        words = np.zeros((len(self.sizes), max(-(-len(self.classes) // 64), 1)), np.uint64)
        word, bit = np.divmod(self.members, 64)
        owner = np.repeat(np.arange(len(self.sizes)), self.sizes)
        np.bitwise_or.at(words, (owner, word), np.uint64(1) << bit.astype(np.uint64))
        return words

    @property
    def kinds(self) -> tuple[Ints, Ints]:
        """Which of the different sets each is, and the first of each."""
        _, first, kind = np.unique(self.bits, axis=0, return_index=True, return_inverse=True)
        return kind.ravel(), first

    def chosen(self, labels: Ints) -> SetCodes:
        """The sets of these labels, in this order."""
        _, members = self.expanded(labels)
        return SetCodes(self.classes, self.sizes[labels], members)

    def expanded(self, label: Ints) -> tuple[Ints, Ints]:
        """The classes of each of these labels: the position of the label, and the class."""
        sizes = self.sizes[label]
        position = np.repeat(np.arange(len(label)), sizes)
        nth = np.arange(len(position)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return position, self.members[self.starts[label][position] + nth]


def open_sets(
    log: Any, separator: str | None, request: Request, taken: Sequence[str]
) -> tuple[Rounds, Grouping, SetCodes]:
    """The rounds of a log whose labels are sets of classes (each distinct set is one label there)."""
    of_labels = replace(request, classes=None)
    if isinstance(log, Partitioned):
        return _open_store(log, separator, request, of_labels.open(log, taken, **_as_sets(log)))
    found = open_label_sets(log if separator is None else as_lists(log, separator))
    rounds, grouping = of_labels.open(found.log, taken, multilabel=True)
    return rounds, grouping, read_sets(rounds.book.classes, UNIT, found.dtype, request.classes)


def _as_sets(store: Partitioned) -> dict[str, bool]:
    return {"multilabel": True} if store.set_classes is not None else {}


def _open_store(
    store: Partitioned, separator: str | None, request: Request, opened: tuple[Rounds, Grouping]
) -> tuple[Rounds, Grouping, SetCodes]:
    """... of a store of sets of classes, or of labels that are text."""
    (rounds, grouping), known = opened, store.set_classes
    labels = rounds.book.classes
    if known is None:
        between = checked_separator(labels.dtype, separator)
        return rounds, grouping, read_sets(labels, between, pl.String(), request.classes)
    if separator is not None or request.classes is not None:
        option = "separator" if separator is not None else "classes"
        value = separator if separator is not None else request.classes
        raise OptionError(option, value, "a store of sets of classes has its own.", "Leave it out.")
    return rounds, grouping, read_sets(labels, UNIT, known.dtype, known.to_list())


def has_sets(log: Partitioned | pl.LazyFrame) -> bool:
    """Whether labels are lists of classes, or sets in a store."""
    if isinstance(log, Partitioned):
        return log.set_classes is not None
    return isinstance(log.collect_schema()["label"], (pl.List, pl.Array))


def as_lists(log: Any, separator: str) -> pl.LazyFrame:
    """Labels that are text as lists of classes."""
    rows = open_rows(log, sets=True)
    between = checked_separator(rows.collect_schema()["label"], separator)
    names = pl.col("label").cast(pl.String).str.split(between)
    return rows.with_columns(names.list.eval(pl.element().str.strip_chars().replace("", None)))


def checked_separator(dtype: pl.DataType, separator: str | None) -> str:
    """The separator, if labels of this type can be sets."""
    if not is_text(dtype):
        raise AnnotationError(
            f"column 'label' of the log is {dtype}; with separator= it must be text. Leave separator= out "
            "for lists of classes, or for a row per class."
        )
    if not separator:
        raise AnnotationError(
            "column 'label' of the store is text; say what stands between the classes of a set: "
            "separator=';'."
        )
    return separator


def read_sets(
    labels: pl.Series, separator: str, dtype: pl.DataType, declared: Sequence[Any] | None = None
) -> SetCodes:
    """The sets behind labels; their classes are those declared, else those that occur, sorted."""
    parts = labels.cast(pl.String).alias("label").to_frame().with_row_index("set").lazy()
    names = pl.col("label").str.split(separator)
    members = parts.with_columns(names).explode("label", empty_as_null=False, keep_nulls=False)
    members = members.with_columns(pl.col("label").str.strip_chars()).filter(pl.col("label") != "")
    frame = members.unique().collect()
    classes = _classes(frame["label"].unique(), dtype, declared)
    codes = frame.with_columns(_codes(frame["label"], classes))
    if codes["code"].null_count():
        unknown = codes.filter(pl.col("code").is_null())["label"].unique().sort().to_list()
        raise AnnotationError(
            f"has classes that are not declared: {shown(unknown)}.",
            Advice("Add them, or filter them out", "classes=[...]", "--classes A,B,C"),
            source="the log",
            column="label",
        )
    codes = codes.sort("set", "code")
    sizes = np.bincount(codes["set"].to_numpy(), minlength=len(labels))
    return SetCodes(classes, sizes, codes["code"].to_numpy().astype(np.int64))


def _classes(names: pl.Series, dtype: pl.DataType, declared: Sequence[Any] | None) -> pl.Series:
    if declared is not None:
        return declared_values(declared, dtype)[0]
    return named_classes(tuple(names.to_list()), dtype).sort()


def _codes(names: pl.Series, classes: pl.Series) -> pl.Series:
    known = pl.Enum(class_names(classes.to_list()))
    return names.cast(known, strict=False).to_physical().alias("code")


# --- how much sets agree ---------------------------------------------------------------------------


@dataclass(frozen=True)
class SetWeights(Weights):
    """w of pairs of sets, by their codes."""

    sets: SetCodes
    distance: Distance

    @property
    def total(self) -> float:
        return float(sum(w.sum() for _, w in self._rows()))

    def times(self, v: Floats) -> Floats:
        found = np.empty_like(v)
        for rows, w in self._rows():
            found[..., rows] = v @ w.T
        return found

    def at_entries(self, units: Units) -> Floats:
        found = units.votes.astype(np.float64)
        for i, j in pairs_in_blocks(units.lengths):
            w = self.between(units.label[i], units.label[j])
            found += np.bincount(i, w * units.votes[j], len(found))
            found += np.bincount(j, w * units.votes[i], len(found))
        return found

    def between(self, k: Ints, j: Ints) -> Floats:
        bits, sizes = self.sets.bits, self.sets.sizes
        return similarity(shared_bits(bits[k], bits[j]), sizes[k], sizes[j], self.distance)

    def _rows(self) -> Iterator[tuple[slice, Floats]]:
        """The rows of the table of w, some at a time."""
        bits, sizes = self.sets.bits, self.sets.sizes
        step = max(CELLS // bits.size, 1)
        for at in range(0, len(sizes), step):
            rows = slice(at, at + step)
            shared = shared_bits(bits[rows, None], bits[None])
            yield rows, similarity(shared, sizes[rows, None], sizes[None], self.distance)


def shared_bits(a: Packed, b: Packed) -> Ints:
    """|A and B|."""
    both = a & b
    counts = pl.Series(both.ravel()).bitwise_count_ones().to_numpy().reshape(both.shape)
    return np.asarray(counts.sum(axis=-1, dtype=np.int64))


def similarity(shared: Ints, a: Ints, b: Ints, distance: Distance) -> Floats:
    """w of sets with `shared` classes in common and a and b in all."""
    either = a + b - shared
    J: Floats = np.where(either > 0, shared / np.maximum(either, 1), 1.0)
    equal = shared == either
    if distance == "nominal":
        return np.where(equal, 1.0, 0.0)
    if distance == "jaccard":
        return J
    M = np.where(equal, 1, np.where(shared == np.minimum(a, b), 2 / 3, 1 / 3))
    masi: Floats = J * M
    return masi


@dataclass(frozen=True)
class SetScales(Scales):
    """The same weights for every coefficient."""

    def metric(self, units: Units) -> Weights:
        return self.weights

    def measure(self, option: str | None) -> tuple[str | None, str | None]:
        return self.name, None
