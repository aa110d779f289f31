"""The door for a model's probabilities: from any source to a lazy frame, and to checked numbers.

**pred_probs** are a model's class probabilities, one row per example. `scan_pred_probs` reads no more than
a schema; `inputs.probabilities` reads the rows of given examples and checks that they are probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Probabilities
from polars_crowd.errors import Advice, AnnotationError, OptionError, counted, missing_column, shown
from polars_crowd.inputs.blame import READERS
from polars_crowd.inputs.numbers import as_numbers
from polars_crowd.inputs.parts import Part, is_read_from_text, settled
from polars_crowd.inputs.sources import USUAL, check_names, open_parts, stacked, suffix_of
from polars_crowd.inputs.text import Reading, ReadingOptions
from polars_crowd.signatures import shares

Values = Sequence[Any] | pl.Series | NDArray[Any]
Classes = Values | Mapping[str, Any]

Unlabelled = tuple[pl.Series, tuple[Probabilities, ...]]
"""The ids of examples without annotations, and each model's probabilities of them."""

PROBABILITIES = "pred_probs"
"""The name of a single column that holds all of an example's probabilities."""
NO_NUMBERS = Advice(
    "Correct them, drop these columns, or say which columns are classes",
    python="pc.scan_pred_probs(probs, classes=[...])",
    command="--classes A,B,C",
)


@dataclass(frozen=True)
class PredProbs:
    """pred_probs before they are read: a lazy frame and what its columns mean.

    `frame` has `example` and either one column per class, in the order of `names`, or one Array
    column `pred_probs` whose entries are in that order.
    """

    frame: pl.LazyFrame
    names: tuple[str, ...]
    is_array: bool = False
    independent: bool = False
    """Whether each class has a probability of its own, so that they need not sum to 1."""
    by_columns: bool = False
    """Whether some columns can be read without the others: of files that hold them so."""

    def __post_init__(self) -> None:
        if not self.is_array:
            check_columns_of(self.names)


def check_columns_of(classes: Sequence[str]) -> None:
    """Each class can have a column beside that of the ids."""
    check_names(classes, "pred_probs")
    if "example" in classes:
        raise AnnotationError(
            "has a class 'example', whose column cannot be told from that of the ids.",
            "Call this class otherwise, here and in the log.",
            source="pred_probs",
        )


@shares(ReadingOptions, Reading)
def scan_pred_probs(
    source: Any,
    *,
    example: str | Values = "example",
    classes: Classes | None = None,
    decimal_comma: bool = False,
    **reading: Unpack[ReadingOptions],
) -> pl.LazyFrame | list[pl.LazyFrame]:
    """A model's predicted class probabilities as a lazy frame: `example` and one column per class.

    Parameters
    ----------
    source
        Anything `scan_annotations` takes, holding the probabilities in one of four forms:

        * one column per class, named like the class (`"cat"`, `"3"`, `"true"`);
        * one Array or List column with the probabilities of all classes in the order of `classes`;
        * a long frame with the columns `label` and `probability` beside the example (an absent pair
          counts as probability 0);
        * a numpy matrix of shape (examples, classes), with the examples' ids as `example`.

        A list of these is an ensemble, one entry per model.
    example
        The name of the example column; for a numpy matrix, the sequence of the examples' ids.
    classes
        The classes. For one column per class: which columns to use, in which order, or a mapping
        from column to class (`{"p_cat": "cat"}`). For an Array column or a matrix: what the entries
        mean; without it they mean the integers 0 .. K-1. For a long frame: the classes, if they are
        not to be read from the data.
    decimal_comma
        Whether the probabilities of a text file are written with a decimal comma, `0,5`.

    Returns
    -------
    LazyFrame, or a list of them for an ensemble
        `example` and K columns of probabilities in [0, 1]. A row's probabilities must sum to 1; that
        is checked where they are used.

    Raises
    ------
    AnnotationError
        A column is missing, or a column that is no probability is in the way; what `scan_annotations` says
        of files; a probability in a text file is no number (the values and their rows are counted).

    Examples
    --------
    >>> import numpy as np
    >>> scan_pred_probs(np.array([[0.9, 0.1]]), example=["e1"], classes=["cat", "dog"]).collect()
    shape: (1, 3)
    ┌─────────┬─────┬─────┐
    │ example ┆ cat ┆ dog │
    │ ---     ┆ --- ┆ --- │
    │ str     ┆ f64 ┆ f64 │
    ╞═════════╪═════╪═════╡
    │ e1      ┆ 0.9 ┆ 0.1 │
    └─────────┴─────┴─────┘
    """
    given = Reading(**reading)

    def opened(model: Any) -> pl.LazyFrame:
        return as_columns(
            open_pred_probs(
                model, example=example, classes=classes, decimal_comma=decimal_comma, reading=given
            )
        )

    if isinstance(source, (list, tuple)):
        return [opened(model) for model in models_in(source)]
    return opened(source)


NAME_IDS = Advice(
    "Say which column it is",
    python="pc.scan_pred_probs(probs, example=...)",
    command="--probs-example NAME",
)
MAP_CLASSES = Advice("Name the columns by class", python="or map them, classes={'column': class}")


def as_columns(probs: PredProbs) -> pl.LazyFrame:
    """`example`, and a column per class."""
    if not probs.is_array:
        return probs.frame
    check_columns_of(probs.names)
    entries = [pl.col(PROBABILITIES).arr.get(k).alias(name) for k, name in enumerate(probs.names)]
    return probs.frame.select("example", *entries)


def open_pred_probs(
    source: Any,
    *,
    example: str | Values = "example",
    classes: Classes | None = None,
    decimal_comma: bool = False,
    reading: Reading = USUAL,
) -> PredProbs:
    """One model's probabilities from any source, still unread."""
    if isinstance(source, PredProbs):
        return source
    if isinstance(source, np.ndarray):
        return _from_matrix(source, example, classes)
    if not isinstance(example, str):
        raise TypeError(
            "example must be a column's name; ids beside the probabilities go with a numpy matrix only."
        )
    parts = open_parts(source, "pred_probs", reading)
    frame = stacked(settled(parts), "pred_probs")
    schema = frame.collect_schema()
    if example not in schema:
        raise missing_column("pred_probs", example, list(schema), NAME_IDS, *parts[0].hints)
    others = [c for c in schema if c != example]
    numbers = [c for c in _probability_columns(others, classes) if is_read_from_text(c, parts)]
    if decimal_comma and not numbers:
        raise OptionError("decimal_comma", True, "it has no effect: no probability is text.")
    frame = as_numbers(frame, numbers, _named(parts), decimal_comma, NO_NUMBERS)
    frame, schema = frame.rename({example: "example"}), frame.collect_schema()
    nested = [c for c in others if isinstance(schema[c], (pl.Array, pl.List))]
    if {"label", "probability"} <= set(others):
        return _from_long(frame, classes)
    if nested:
        return _from_array(frame, nested, schema, classes)
    found = _from_columns(frame, others, schema, classes)
    return replace(found, by_columns=all(suffix_of(part.file) in READERS for part in parts))


def _probability_columns(others: list[str], classes: Classes | None) -> list[str]:
    """The columns that hold probabilities, as far as there are such."""
    if {"label", "probability"} <= set(others):
        return ["probability"]
    return others if classes is None else [c for c in _columns_of(classes) if c in others]


def _columns_of(classes: Classes) -> list[str]:
    """The columns that are declared for the classes."""
    return list(classes) if isinstance(classes, Mapping) else declared_classes(classes)


def _named(parts: Sequence[Part]) -> str:
    """The pred_probs in errors, with their file."""
    return f"pred_probs ({parts[0].file})" if parts[0].file else "pred_probs"


def declared_classes(classes: Classes) -> list[str]:
    """The names of declared classes; of a mapping from columns, those mapped to."""
    return class_names(list(classes.values() if isinstance(classes, Mapping) else classes))


def open_models(pred_probs: Any, classes: Classes | None) -> list[PredProbs]:
    """The pred_probs of one model, or of each model of a list, still unread."""
    given = pred_probs if isinstance(pred_probs, (list, tuple)) else [pred_probs]
    return [open_pred_probs(model, classes=classes) for model in models_in(given)]


def models_in(given: Sequence[Any]) -> Sequence[Any]:
    """What is given for the models of an ensemble, one at least."""
    if not given:
        raise AnnotationError(
            "pred_probs is an empty list; give the probabilities of at least one model."
        )
    return given


def _from_columns(
    frame: pl.LazyFrame, others: list[str], schema: pl.Schema, classes: Classes | None
) -> PredProbs:
    names = declared_classes(classes) if classes is not None else others
    columns = names if classes is None else _columns_of(classes)
    for column in columns:
        if column not in others:
            raise missing_column("pred_probs", column, others, MAP_CLASSES)
    no_numbers = [c for c in columns if not schema[c].is_numeric()]
    if no_numbers:
        raise AnnotationError(
            f": the columns {shown(no_numbers)} hold no numbers.",
            Advice(
                "Drop them, or say which columns are classes",
                python="pc.scan_pred_probs(probs, classes=[...])",
                command="--classes A,B,C",
            ),
            source="pred_probs",
        )
    renamed = [pl.col(c).alias(n) for c, n in zip(columns, names, strict=True)]
    return PredProbs(frame.select("example", *renamed), tuple(names))


def _from_array(
    frame: pl.LazyFrame, nested: list[str], schema: pl.Schema, classes: Classes | None
) -> PredProbs:
    if len(nested) > 1:
        raise AnnotationError(
            f"pred_probs has several Array or List columns ({shown(nested)}). Keep one."
        )
    dtype = schema[nested[0]]
    names = declared_classes(classes) if classes is not None else None
    if isinstance(dtype, pl.Array):
        size = dtype.size
    else:
        size = len(names) if names else _longest_list(frame, nested[0])
    names = names or [str(k) for k in range(size)]
    if len(names) != size:
        raise AnnotationError(
            f"has {size} entries a row, but {len(names)} classes are declared.",
            source="pred_probs",
            column=nested[0],
        )
    arrays = frame.select("example", pl.col(nested[0]).alias(PROBABILITIES))
    if isinstance(dtype, pl.List):
        arrays = _arrays(arrays, nested[0], pl.Array(dtype.inner, size))
    return PredProbs(arrays, tuple(names), True)


def _longest_list(frame: pl.LazyFrame, column: str) -> int:
    size = frame.select(pl.col(column).list.len().max()).collect().item()
    return int(size or 0)


def _arrays(frame: pl.LazyFrame, column: str, dtype: pl.Array) -> pl.LazyFrame:
    """Lists as arrays; an error when they are collected if they are not all of one length."""

    def convert(lists: pl.DataFrame) -> pl.DataFrame:
        other = lists.filter(pl.col(PROBABILITIES).list.len() != dtype.size)
        if other.height:
            raise AnnotationError(
                f"has not {dtype.size} entries, one per class, in {counted(other.height, 'row')}, for the "
                f"examples {shown(other['example'].to_list())}.",
                "Give each row all classes.",
                source="pred_probs",
                column=column,
            )
        return lists.with_columns(pl.col(PROBABILITIES).list.to_array(dtype.size))

    schema = {"example": frame.collect_schema()["example"], PROBABILITIES: dtype}
    return frame.map_batches(convert, schema=schema)


def _from_long(frame: pl.LazyFrame, classes: Classes | None) -> PredProbs:
    names = declared_classes(classes) if classes is not None else _labels_in(frame)
    label = pl.col("label").cast(pl.String)
    probability = pl.col("probability")
    columns = [
        pl.when(label.count().gt(label.n_unique()))
        .then(None)
        .otherwise(probability.filter(label == name).sum())
        .alias(name)
        for name in names
    ]
    return PredProbs(frame.group_by("example").agg(columns), tuple(names))


def _labels_in(frame: pl.LazyFrame) -> list[str]:
    labels = frame.select(pl.col("label").unique().sort().cast(pl.String)).collect()
    return labels["label"].drop_nulls().to_list()


def _from_matrix(matrix: np.ndarray, example: str | Values, classes: Classes | None) -> PredProbs:
    if isinstance(example, str):
        raise AnnotationError(
            "a numpy matrix of pred_probs needs the ids of its rows.",
            Advice("Give them", python="pc.scan_pred_probs(matrix, example=ids, classes=[...])"),
        )
    if matrix.ndim != 2 or len(matrix) != len(example):
        raise AnnotationError(
            f"pred_probs of shape {matrix.shape} do not fit {len(example)} example ids; "
            "the matrix must be (examples, classes)."
        )
    names = declared_classes(classes if classes is not None else range(matrix.shape[1]))
    if len(names) != matrix.shape[1]:
        raise AnnotationError(
            f"pred_probs has {matrix.shape[1]} columns, but classes has {len(names)}."
        )
    frame = pl.DataFrame(
        {"example": pl.Series(example), PROBABILITIES: np.ascontiguousarray(matrix)}
    )
    return PredProbs(frame.lazy(), tuple(names), True)


def class_names(classes: Values) -> list[str]:
    """Classes as column names: the text of each class, as Polars writes it.

    >>> class_names([3, True, "cat"])
    ['3', 'true', 'cat']
    """
    return [str(c).lower() if isinstance(c, (bool, np.bool_)) else str(c) for c in classes]
