"""The door for logs of sets: a label is the set of the classes that an annotator chose on an example.

Sets come as a List or Array column, a row per annotation; or as a long log, a row per chosen class, in which
a row with a null label says that the annotator saw the example (and, if it is their only one there, chose
nothing). A class that is not chosen on an example that was seen is an implicit negative.

Inside, a set is a text: the names of its classes, sorted and joined by the ASCII unit separator. The texts
that occur are the labels of an ordinary log, so that sorted runs, duplicates and stores are those of any log;
which classes a set holds is read off its text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.arrays import Flags
from polars_crowd.errors import Advice, AnnotationError, counted, missing_column, rows_shown, shown
from polars_crowd.inputs.anonymous import is_anonymous
from polars_crowd.inputs.checks import GIVE_COLUMNS, near_classes
from polars_crowd.inputs.log import LOG_COLUMNS
from polars_crowd.inputs.parts import settled
from polars_crowd.inputs.pred_probs import PredProbs, open_models
from polars_crowd.inputs.sources import open_parts, stacked

UNIT = "\x1f"
"""Between the names of a set's classes."""


@dataclass(frozen=True)
class LabelSets:
    """A lazy log whose labels are sets as text, and the type of a class."""

    log: pl.LazyFrame
    dtype: pl.DataType


def scan_label_sets(source: Any) -> LabelSets:
    """A log of sets from any source that `scan_annotations` takes, or one that is open already."""
    if isinstance(source, LabelSets):
        return source
    frames = settled(open_parts(source, "the log"))
    rows = stacked([_checked(frame) for frame in frames], "the log", LOG_COLUMNS)
    dtype = rows.collect_schema()["label"]
    if isinstance(dtype, pl.Array):
        rows = rows.with_columns(pl.col("label").arr.to_list())
    if isinstance(dtype, (pl.List, pl.Array)):
        inner = pl.List(dtype.inner).inner
        sets = rows.filter(pl.col("label").is_not_null())
    else:
        inner = dtype
        _refuse_anonymous(rows.collect_schema()["annotator"])
        sets = rows.group_by("example", "annotator", maintain_order=True).agg("label")
    return LabelSets(sets.with_columns(set_text().alias("label")), _as_dtype(inner))


def _refuse_anonymous(annotator: pl.DataType) -> None:
    if is_anonymous(annotator):
        raise AnnotationError(
            "has anonymous annotators and a row per chosen class: nobody knows which rows are one set.",
            "Give a row per set, as a list of its classes.",
            source="the log",
        )


def _as_dtype(dtype: Any) -> pl.DataType:
    found: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return pl.String() if found == pl.Null else found


RENAME = Advice(
    "Rename the columns",
    python="log.rename({'task': 'example', ...})",
    command="--example NAME --annotator NAME --label NAME",
)


def _checked(frame: pl.LazyFrame) -> pl.LazyFrame:
    schema = frame.collect_schema()
    for column in LOG_COLUMNS:
        if column not in schema:
            raise missing_column("the log", column, list(schema), RENAME)
    others = [c for c in schema if c not in LOG_COLUMNS]
    return frame.select(*LOG_COLUMNS, *others)


def set_text() -> pl.Expr:
    """The column `label`, a list of classes, as the text of the set."""
    names = pl.col("label").list.drop_nulls().cast(pl.List(pl.String))
    return names.list.unique().list.sort().list.join(UNIT)


def membership(sets: pl.Series, names: Sequence[str]) -> Flags:
    """Which classes each set holds, (S, K)."""
    member = np.zeros((len(sets), len(names)), dtype=bool)
    at = _members(sets).with_columns(
        k=pl.col("name").replace_strict(list(names), list(range(len(names))), default=None)
    )
    known = at.drop_nulls("k")
    member[known["set"].to_numpy(), known["k"].to_numpy()] = True
    return member


def set_texts(member: Flags, names: Sequence[str]) -> pl.Series:
    """The texts of sets that hold these classes: the other way round.

    >>> membership(set_texts(np.array([[True, False], [False, False]]), ["b", "a"]), ["b", "a"]).tolist()
    [[True, False], [False, False]]
    """
    order = np.argsort(np.array(names, dtype=str), kind="stable")
    texts = [UNIT.join(names[k] for k in order[row[order]]) for row in member]
    return pl.Series("label", texts, pl.String)


def _members(sets: pl.Series) -> pl.DataFrame:
    """`set` (its position), `name`: a row per class of each set that is not empty."""
    texts = pl.DataFrame({"name": sets.cast(pl.String)}).with_row_index("set")
    split = texts.filter(pl.col("name") != "").with_columns(pl.col("name").str.split(UNIT))
    return split.explode("name", empty_as_null=False)


def open_independent(pred_probs: Any, classes: Sequence[Any] | None) -> list[PredProbs]:
    """Models of one probability per class that is none of the others' business."""
    return [replace(model, independent=True) for model in open_models(pred_probs, classes)]


def as_lists(member: Flags, classes: pl.Series) -> pl.Series:
    """Sets, as flags (S, K), as lists of classes."""
    row, k = np.nonzero(member)
    members = pl.DataFrame({"row": row.astype(np.uint32), "set": classes.gather(k)})
    lists = members.group_by("row", maintain_order=True).agg("set")
    rows = pl.DataFrame({"row": np.arange(len(member), dtype=np.uint32)})
    joined = rows.join(lists, on="row", how="left", maintain_order="left")["set"]
    return joined.fill_null(pl.Series([[]], dtype=joined.dtype))


def check_names(names: Sequence[str]) -> None:
    """No class is called what no set can hold."""
    bad = [name for name in names if not name or UNIT in name]
    if bad:
        raise AnnotationError(
            f"pred_probs: the classes {shown(bad)} have empty names or the ASCII unit separator in them. "
            "Rename these columns."
        )


def check_known(log: pl.LazyFrame, sets: pl.Series, names: Sequence[str]) -> None:
    """Every class of every set is among the names."""
    members = _members(sets)
    unknown = members.filter(~pl.col("name").is_in(list(names)))
    if unknown.is_empty():
        return
    bad = sets.gather(unknown["set"].unique(maintain_order=True))
    rows = log.filter(pl.col("label").is_in(bad.implode())).select(LOG_COLUMNS).collect()
    rows = rows.with_columns(pl.col("label").str.split(UNIT))
    classes = unknown["name"].unique().sort().to_list()
    raise AnnotationError(
        f"has {counted(rows.height, 'row')} with classes that are not among those "
        f"of pred_probs, {shown(list(names), 20)}: {shown(classes)}.\n{rows_shown(rows)}",
        *near_classes(classes, names),
        GIVE_COLUMNS,
        source="the log",
        column="label",
    )
