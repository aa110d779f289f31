"""The door for logs of sets: a label is the set of the classes that an annotator chose on an example.

Sets come as a List or Array column or as text that writes such lists, a row per annotation; or as a long log,
a row per chosen class, in which a row with a null label says that the annotator saw the example (and, if it
is their only one there, chose nothing). A class that is not chosen on an example that was seen is an implicit
negative.

Inside, a set is a text: the names of its classes, sorted and joined by the ASCII unit separator. The texts
that occur are the labels of an ordinary log, so that sorted runs, duplicates and stores are those of any log;
which classes a set holds is read off its text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
import polars as pl

from polars_crowd.arrays import Flags
from polars_crowd.errors import Advice, AnnotationError, OptionError, counted, rows_shown, shown
from polars_crowd.inputs.anonymous import is_anonymous
from polars_crowd.inputs.checks import GIVE_COLUMNS, near_classes
from polars_crowd.inputs.log import LOG_COLUMNS, open_rows
from polars_crowd.inputs.parts import is_text
from polars_crowd.inputs.pred_probs import PredProbs, open_models
from polars_crowd.inputs.text import Reading, ReadingOptions
from polars_crowd.signatures import shares

UNIT = "\x1f"
"""Between the names of a set's classes."""


@dataclass(frozen=True)
class LabelSets:
    """A lazy log whose labels are sets as text, and the type of a class."""

    log: pl.LazyFrame
    dtype: pl.DataType


@shares(ReadingOptions, Reading)
def scan_label_sets(
    source: Any,
    *,
    example: str = "example",
    annotator: str | None = "annotator",
    label: str = "label",
    set_separator: str | None = None,
    **reading: Unpack[ReadingOptions],
) -> pl.LazyFrame:
    """A lazy log whose labels are sets of classes, for the functions that begin with `multilabel_`.

    A label is a list of classes: a column of lists, or text with a JSON list in each cell
    (`["joy", "fear"]`), or, with `set_separator`, the classes one after another (`joy|fear`). Else there is a
    row per chosen class.

    An example of which nothing was chosen is not one that was not labelled: the empty set is `[]`, with a
    `set_separator` a text without a class (`|` alone in a text file), with a row per class a null in the
    only row. A null or an empty field in place of a list is no annotation, and the row is left out.

    Parameters
    ----------
    source
        Whatever `scan_annotations` takes.
    example, annotator, label
        The names that these columns have in the source, as for `scan_annotations`.
    set_separator
        What stands between the classes of a set in a cell: `"|"`. Space around classes is not part of them.

    Returns
    -------
    LazyFrame
        `example`, `annotator`, `label` (a list of classes; one of them a row if the source has them so),
        then the other columns.

    Raises
    ------
    AnnotationError
        As `scan_annotations`; some cells hold JSON lists and others do not; `set_separator` where labels are
        no text.

    Examples
    --------
    >>> import polars as pl
    >>> cells = pl.DataFrame({"example": [1, 2], "annotator": ["a", "a"], "label": ["joy|fear", "|"]})
    >>> scan_label_sets(cells, set_separator="|").collect()["label"].to_list()
    [['joy', 'fear'], []]
    >>> cells = cells.with_columns(label=pl.Series(['["joy", "fear"]', "[]"]))
    >>> scan_label_sets(cells).collect()["label"].to_list()
    [['joy', 'fear'], []]
    """
    names = {"example": example, "annotator": annotator, "label": label}
    rows = open_rows(source, names, Reading(**reading), sets=True)
    rows = in_lists(rows, set_separator)
    has_lists = isinstance(rows.collect_schema()["label"], pl.List)
    return rows.filter(pl.col("label").is_not_null()) if has_lists else rows


def in_lists(rows: pl.LazyFrame, set_separator: str | None) -> pl.LazyFrame:
    """The rows with lists of classes as labels, where cells hold such."""
    dtype = rows.collect_schema()["label"]
    if set_separator is not None:
        return rows.with_columns(_between(set_separator, dtype).alias("label"))
    if isinstance(dtype, pl.Array):
        return rows.with_columns(pl.col("label").arr.to_list())
    if dtype == pl.String and _hold_json(rows):
        return rows.with_columns(pl.col("label").str.json_decode(pl.List(pl.String)))
    return rows


def _between(set_separator: str, dtype: pl.DataType) -> pl.Expr:
    if not set_separator:
        wrong = "it must be what stands between the classes, such as '|'."
        raise OptionError("set_separator", set_separator, wrong)
    if not (is_text(dtype) or dtype.is_integer()):
        wrong = f"it is about labels that are text, and these are {dtype}."
        raise OptionError("set_separator", set_separator, wrong)
    classes = pl.col("label").cast(pl.String).str.split(set_separator)
    element = pl.element().str.strip_chars()
    return classes.list.eval(element.filter(element != ""))


def _hold_json(rows: pl.LazyFrame) -> bool:
    """Whether the cells are JSON lists: looked at once, each distinct one."""
    cells = rows.select(pl.col("label").unique().drop_nulls().sort()).collect()["label"]
    begin = cells.str.strip_chars_start().str.starts_with("[")
    if not begin.any():
        return False
    wrong = [cell for cell in cells if not _is_json_list(cell)]
    if wrong:
        bad = rows.filter(pl.col("label").is_in(wrong)).select(LOG_COLUMNS).collect()
        raise AnnotationError(
            f"holds JSON lists, but in {counted(bad.height, 'row')} it does not:\n{rows_shown(bad)}",
            Advice(
                'Write each as a list of texts in double quotes, ["joy", "fear"], [] for the empty set'
            ),
            source="the log",
            column="label",
        )
    return True


def _is_json_list(cell: str) -> bool:
    try:
        found = json.loads(cell)
    except ValueError:
        return False
    return isinstance(found, list) and all(isinstance(name, (str, int)) for name in found)


def open_label_sets(source: Any) -> LabelSets:
    """A log of sets from any source that `scan_label_sets` takes, or one that is open already."""
    if isinstance(source, LabelSets):
        return source
    rows = scan_label_sets(source)
    dtype = rows.collect_schema()["label"]
    if isinstance(dtype, pl.List):
        sets, inner = rows, dtype.inner
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
