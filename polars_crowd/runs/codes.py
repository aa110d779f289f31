"""Labels and annotators as dense integer codes, and back.

Everything between the door and the results works on codes: labels 0 .. K-1 in class order, annotators
0 .. M-1, and for examples any integer that sorts like the id (`runs.examples`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from polars_crowd.compatible import engine_for
from polars_crowd.errors import Advice, AnnotationError, counted, shown
from polars_crowd.inputs.pred_probs import class_names, declared_classes

WHOLE = re.compile(r"-?[0-9]+\.0")
"""An integer, as a number with a point."""
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Codebook:
    """What the codes of labels and annotators mean."""

    classes: pl.Series
    """The K classes, in class order."""
    names: tuple[str, ...]
    """The columns of pred_probs that hold them."""
    annotators: pl.Series
    """The M annotators."""


def resolve_classes(
    dtype: pl.DataType, names: tuple[str, ...], declared: Any = None
) -> tuple[pl.Series, tuple[str, ...]]:
    """The classes, as values of the log's label type, and the columns of pred_probs, both in order.

    The order is that of `declared`, else the Enum's if the label is one, else that of the columns.
    """
    if declared is not None:
        declared_names = declared_classes(declared)
        _check_declared(declared_names, names)
        names = tuple(declared_names)
    elif isinstance(dtype, pl.Enum):
        position = {c: k for k, c in enumerate(dtype.categories.to_list())}
        names = tuple(sorted(names, key=lambda name: position.get(name, len(position))))
    if len(names) < 2:
        raise AnnotationError(
            f"pred_probs has {counted(len(names), 'class')} ({shown(list(names))}); at least 2 are "
            "needed. For two classes give a column each."
        )
    if len(set(names)) < len(names):
        raise AnnotationError(f"pred_probs names a class twice: {shown(list(names), 20)}.")
    return named_classes(names, dtype, of_probs=True), names


def _check_declared(declared: list[str], names: tuple[str, ...]) -> None:
    if set(declared) != set(names):
        raise AnnotationError(
            f"the classes declared are {shown(declared, 20)}, but pred_probs has the classes "
            f"{shown(list(names), 20)}.",
            "They must be the same, in any order.",
        )


def declared_values(
    classes: Sequence[Any], dtype: pl.DataType
) -> tuple[pl.Series, tuple[str, ...]]:
    """Classes that the caller declares, as values of the log's label type, and their names."""
    names = tuple(class_names(list(classes)))
    if len(set(names)) < len(names):
        raise AnnotationError(f"a class is declared twice: {shown(list(names), 20)}.")
    return named_classes(names, dtype), names


def named_classes(
    names: tuple[str, ...], dtype: pl.DataType, *, of_probs: bool = False
) -> pl.Series:
    """The classes with these names, which may be columns of pred_probs, as values of the log's label type."""
    text = pl.Series("label", names, dtype=pl.String)
    if dtype == pl.Boolean:
        values = text.str.to_lowercase().replace_strict(
            BOOLEANS, default=None, return_dtype=pl.Boolean
        )
    elif dtype.is_integer() and all(WHOLE.fullmatch(name) for name in names):
        values = text.str.replace(r"\.0$", "").cast(dtype, strict=False)
    else:
        values = _parsed(text, dtype)
    lost = [name for name, value in zip(names, values, strict=True) if value is None]
    if lost and of_probs:
        raise AnnotationError(
            f": the columns {shown(lost)} do not name classes of the log, whose labels are {dtype}.",
            Advice("Rename them", python="pc.scan_pred_probs(probs, classes={'column': class})"),
            source="pred_probs",
        )
    if values.n_unique() < len(values) and not lost:
        alike = [name for name, twice in zip(names, values.is_duplicated(), strict=True) if twice]
        what = "the columns of pred_probs" if of_probs else "the classes declared"
        raise AnnotationError(
            f"{what} {shown(alike)} are one class to the log, whose labels are {dtype}.",
            "Name each class once.",
        )
    if lost:
        raise AnnotationError(
            f"the classes declared, {shown(lost)}, cannot be labels of the log, which are {dtype}.",
            "Declare classes of that type.",
        )
    return values


def _parsed(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Texts as values of a type; null where they are none."""
    if dtype == pl.Date:
        return text.str.to_date(strict=False)
    if isinstance(dtype, pl.Datetime):
        return text.str.to_datetime(
            time_unit=dtype.time_unit, time_zone=dtype.time_zone, strict=False
        )
    return text if dtype == pl.Null else text.cast(dtype, strict=False)


def label_code(dtype: pl.DataType, classes: pl.Series) -> pl.Expr:
    """The column `label` as codes 0 .. K-1; null where the label is not among the classes."""
    label = pl.col("label")
    if dtype == pl.Null:
        return label.cast(pl.UInt32)
    if dtype == pl.String or isinstance(dtype, (pl.Categorical, pl.Enum)):
        known = pl.Enum(classes.cast(pl.String))
        text = label if dtype == pl.String else label.cast(pl.String)
        return text.cast(known, strict=False).to_physical().cast(pl.UInt32)
    first = 0 if classes.is_empty() else classes[0]
    if dtype.is_integer() and classes.to_list() == list(range(first, first + len(classes))):
        inside = label.is_between(first, first + len(classes) - 1)
        code = wide(label, dtype) - first
        return pl.when(inside).then(code).cast(pl.UInt32, strict=False)
    codes = pl.Series(range(len(classes)), dtype=pl.UInt32)
    return label.replace_strict(classes, codes, default=None, return_dtype=pl.UInt32)


def wide(integers: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Integers of a type in which the difference of two that are not far from each other can be."""
    narrow = (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32)
    return integers.cast(pl.Int64) if dtype in narrow else integers


def class_order(dtype: pl.DataType, values: pl.Series | None) -> pl.Expr:
    """What the column `label` is sorted by: the declared classes, or the order that its type has."""
    if values is not None:
        return label_code(dtype, values)
    if isinstance(dtype, pl.Enum):
        return pl.col("label").to_physical()
    return pl.col("label").cast(pl.String) if isinstance(dtype, pl.Categorical) else pl.col("label")


def id_as_read(column: str, dtype: pl.DataType) -> pl.Expr:
    """A column of ids in the form in which it is read into memory.

    Annotators are few: their strings become categories while they are read. Dates, booleans and members of
    an Enum become the integers behind them, and are in their order.
    """
    ids = pl.col(column)
    if dtype == pl.String and column == "annotator":
        return ids.cast(pl.Categorical(pl.Categories.random()))
    if column == "annotator" and isinstance(dtype, (pl.Categorical, pl.Enum)):
        return ids
    if isinstance(dtype, pl.Categorical):
        return ids.cast(pl.String)
    if dtype == pl.Boolean:
        return ids.cast(pl.UInt8)
    return ids.to_physical() if dtype.is_temporal() or isinstance(dtype, pl.Enum) else ids


def annotator_codes(
    annotator: pl.Series, known: pl.Series | None = None
) -> tuple[pl.Series, pl.Series]:
    """Annotators as codes 0 .. M-1, and the M ids, sorted; or as the codes of the known ids."""
    codes, ids = _own_codes(annotator)
    if known is None:
        return codes, ids
    place = ids.cast(known.dtype).replace_strict(
        known, _numbers(len(known)), return_dtype=pl.UInt32
    )
    return place.gather(codes), known


def _own_codes(annotator: pl.Series) -> tuple[pl.Series, pl.Series]:
    if isinstance(annotator.dtype, (pl.Categorical, pl.Enum)):
        return _category_codes(annotator)
    ids = _distinct(annotator).sort()
    if ids.dtype.is_integer() and ids[-1] - ids[0] == len(ids) - 1:
        first, id_ = int(ids[0]), wide(pl.col("id"), ids.dtype)
        rows = annotator.alias("id").to_frame().lazy().select((id_ - first).cast(pl.UInt32))
        return rows.collect(engine=engine_for(len(annotator)))["id"], ids
    return annotator.replace_strict(ids, _numbers(len(ids)), return_dtype=pl.UInt32), ids


def _category_codes(annotator: pl.Series) -> tuple[pl.Series, pl.Series]:
    used = _distinct(annotator)
    names, numbers = used.cast(pl.String), used.to_physical().cast(pl.UInt32)
    in_order = (numbers if isinstance(annotator.dtype, pl.Enum) else names).arg_sort()
    place = numbers.gather(in_order)
    code_of = pl.zeros(largest(place) + 1, pl.UInt32, eager=True)
    code_of.scatter(place, _numbers(len(place)))
    codes = pl.lit(code_of).gather(pl.col("id").to_physical())
    rows = annotator.alias("id").to_frame().lazy().select(code=codes)
    return rows.collect(engine=engine_for(len(annotator)))["code"], names.gather(in_order)


def as_dtype(ids: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Ids in the type they had in the log."""
    if dtype == pl.Boolean and ids.dtype.is_integer():
        return ids == 1
    if isinstance(dtype, pl.Enum) and ids.dtype.is_integer():
        return pl.Series(ids.name, dtype.categories, dtype).gather(ids)
    return ids.cast(dtype)


def _distinct(ids: pl.Series) -> pl.Series:
    rows = ids.alias("id").to_frame().lazy().unique()
    return rows.collect(engine=engine_for(len(ids)))["id"]


def largest(integers: pl.Series) -> int:
    found = integers.max()
    assert isinstance(found, int), "there is a number"
    return found


def _numbers(n: int) -> pl.Series:
    return pl.Series(range(n), dtype=pl.UInt32)
