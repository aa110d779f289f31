"""The probabilities of given examples: the rows of pred_probs, in their order, as checked numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.arrays import Probabilities
from polars_crowd.compatible import FEW_ROWS
from polars_crowd.errors import Advice, AnnotationError, counted, shown
from polars_crowd.inputs import blame, probability_checks
from polars_crowd.inputs.matching import are_at, are_equal, both_sides, hashes, ids_like
from polars_crowd.inputs.pred_probs import PROBABILITIES, PredProbs, Unlabelled
from polars_crowd.numerics.glance import Glance, LookedThrough, Models
from polars_crowd.numerics.threads import mapped

ANNOTATED = "annotated example"
AT_ONCE = 16
"""How many columns are read at once, of files that hold columns."""


def read_unlabelled(
    models: Sequence[PredProbs], annotated: pl.Series, names: tuple[str, ...], check: bool = True
) -> Unlabelled:
    """The examples that are not among the annotated ones, sorted, and each model's probabilities."""
    ids = pl.concat([_ids_like(probs, annotated.dtype) for probs in models]).unique()
    known = annotated.alias("example").to_frame().lazy()
    ids = ids.lazy().join(known, on="example", how="anti").sort("example").collect()
    examples = ids["example"].drop_nulls()
    kind = "unlabelled example"
    return examples, tuple(read_probabilities(p, examples, names, check, kind) for p in models)


def _ids_like(probs: PredProbs, dtype: pl.DataType) -> pl.DataFrame:
    """The ids of a model's examples, in the type of the log's."""
    held = with_ids_like(probs, dtype).select("example").collect()
    if probs.frame.collect_schema()["example"] == dtype:
        return held
    given = probs.frame.select("example").collect()
    if held.height < given.height:
        lost = given.filter(
            ids_like("example", given.schema["example"], dtype, "pred_probs").is_null()
        )["example"]
        which = f"{counted(len(lost), 'id')} of examples without annotations"
        raise lost_ids(which, lost.drop_nulls().to_list(), probs, dtype)
    return held


def lost_ids(which: str, ids: list[Any], probs: PredProbs, dtype: pl.DataType) -> AnnotationError:
    """The error for ids of pred_probs that the type of the log's cannot hold."""
    own = probs.frame.collect_schema()["example"]
    return AnnotationError(
        f": {which} cannot be {dtype}, the type of the log's: {shown(ids)}.",
        Advice(
            "Give the ids of the log the type of those of pred_probs",
            python=f"log.with_columns(pl.col('example').cast(pl.{own}))",
        ),
        source="pred_probs",
        column="example",
    )


def read_probabilities(
    probs: PredProbs,
    examples: pl.Series,
    names: tuple[str, ...],
    check: bool = True,
    kind: str = ANNOTATED,
) -> Probabilities:
    """The probabilities of these examples as an array of shape (N, K), in the order of `names`."""
    held = _read(probs, examples, names, check, kind)
    if probs.is_array:
        matrix = _of_array(next(held), probs, names)
    else:
        matrix = _of_columns(held, _precision(probs, names), names)
    if check and len(matrix):
        probability_checks.check_range(matrix, names, examples)
        if not probs.independent:
            probability_checks.check_sums(matrix, names, examples)
    return matrix


def look_through(
    probs: PredProbs, examples: pl.Series, names: tuple[str, ...], votes: pl.DataFrame
) -> Models:
    """The probabilities of these examples, looked through for what is asked at `votes`; files of columns
    are not held."""
    read = partial(read_probabilities, probs, examples, names)
    if not probs.by_columns or probs.independent:
        return (read(),)
    dtype = _precision(probs, names)
    read_ = _read(probs, examples, names, True, ANNOTATED)
    groups = (partial(_block_of, frame.cast(dtype)) for frame in read_)
    example, label = (votes[c].to_numpy() for c in ("example", "label"))
    shape = len(examples), len(names)
    glance = Glance.through(groups, example, label, shape, _numpy_of(dtype))
    if not probability_checks.are_probabilities(glance):
        return (read(),)  # which says which ones are none
    return LookedThrough(glance, partial(_read_again, probs, glance, read))


def _block_of(frame: pl.DataFrame, block: slice) -> list[Probabilities]:
    """The columns of some examples, without a copy where they lie in one piece."""
    return [column.to_numpy() for column in frame[block]]


def _read_again(
    probs: PredProbs, glance: Glance, read: Callable[[], Probabilities]
) -> Probabilities:
    """What was looked through before, as an array."""
    with blame.reading(probs):
        matrix = read()
    if not np.array_equal(matrix[glance.example, glance.label], glance.of_votes):
        raise AnnotationError(
            "are no longer what they were when the result was made.",
            "Leave the file as it is while a result is used, or make the result again.",
            source="pred_probs",
        )
    return matrix


def _read(
    probs: PredProbs, examples: pl.Series, names: tuple[str, ...], check: bool, kind: str
) -> Iterator[pl.DataFrame]:
    """The columns of the classes, some at a time, at the rows of the examples."""
    _check_classes(probs, names)
    columns = [PROBABILITIES] if probs.is_array else list(names)
    rows = with_ids_like(probs, examples.dtype)
    first, *others = read_together(columns, probs)
    frame = rows.select("example", *first).collect()
    at = _places_in(frame, examples, kind, probs)
    yield _at(frame, at, examples, check)
    del frame
    for more in others:
        yield _at(rows.select(more).collect(), at, examples, check)


def _precision(probs: PredProbs, names: Sequence[str]) -> pl.DataType:
    """In which the probabilities are held: Float32 stays what it is."""
    schema = probs.frame.collect_schema()
    is_single = all(schema[name] == pl.Float32 for name in names)
    return pl.Float32() if is_single else pl.Float64()


def _check_classes(probs: PredProbs, names: tuple[str, ...]) -> None:
    if set(probs.names) != set(names):
        raise AnnotationError(
            f"the pred_probs of an ensemble must have the same classes: {shown(list(names), 20)} in one, "
            f"{shown(list(probs.names), 20)} in another."
        )


def lookup(
    probs: PredProbs, dtype: pl.DataType, names: tuple[str, ...], prefix: str
) -> pl.LazyFrame:
    """`example` and a column per class, named by its number: for joins."""
    _check_classes(probs, names)
    entry = pl.col(PROBABILITIES).arr.get
    columns = {
        f"{prefix}{k}": entry(probs.names.index(name)) if probs.is_array else pl.col(name)
        for k, name in enumerate(names)
    }
    return with_ids_like(probs, dtype).select("example", **columns)


def with_ids_like(probs: PredProbs, dtype: pl.DataType) -> pl.LazyFrame:
    """The frame with its example ids in the type of the log's.

    Rows whose id that type cannot hold are left out: they are of no example of the log.
    """
    given = probs.frame.collect_schema()["example"]
    if given == dtype:
        return probs.frame
    example = ids_like("example", given, dtype, "pred_probs")
    held = example.is_not_null() | pl.col("example").is_null()
    return probs.frame.filter(held).with_columns(example)


def _both_sides(probs: PredProbs, examples: pl.Series) -> list[str]:
    """What the ids of pred_probs look like, beside examples none of which is among them."""
    given = probs.frame.select("example").collect()["example"]
    return [] if given.is_empty() else [both_sides(given, examples, "pred_probs")]


def read_together(columns: list[str], probs: PredProbs) -> list[list[str]]:
    """The columns in groups that are read one after another, so that few are held twice."""
    size = AT_ONCE if probs.by_columns else len(columns)
    return [columns[start : start + size] for start in range(0, len(columns), size)]


def _places_in(
    frame: pl.DataFrame, examples: pl.Series, kind: str, probs: PredProbs
) -> pl.Series | None:
    """Where the examples are among the rows of pred_probs; None if these are the rows, in their order."""
    given = frame["example"]
    if given.null_count():
        raise probability_checks.null_ids(frame)
    if are_equal(given, examples):
        return None
    of_given = hashes(given)
    have_own = of_given.n_unique() == len(given)
    if not have_own and given.n_unique() < len(given):
        raise probability_checks.repeated_examples(frame)
    at = _rows_of(given, examples, of_given if have_own else None)
    if at.null_count():
        lacking = examples.filter(at.is_null())
        sides = _both_sides(probs, examples) if len(lacking) == len(examples) else []
        raise probability_checks.missing_examples(lacking, examples.len(), kind, sides)
    return at


def _at(
    frame: pl.DataFrame, at: pl.Series | None, examples: pl.Series, check: bool
) -> pl.DataFrame:
    """Columns of probabilities at the rows of the examples."""
    values = pl.DataFrame([column for column in frame if column.name != "example"])
    values = values if at is None else values.select(pl.all().gather(at))
    if check:
        probability_checks.check_nulls(values, examples)
    return values


def _rows_of(given: pl.Series, examples: pl.Series, of_given: pl.Series | None) -> pl.Series:
    """Where the examples are among the given ids, which are distinct: null if they are not.

    Texts are looked up by their hashes and compared; should two share one, by themselves.
    """
    if given.dtype == pl.String and of_given is not None:
        at = _places(of_given, hashes(examples))
        if are_at(given, at, examples):
            return at
    return _places(given, examples)


def _places(given: pl.Series, wanted: pl.Series) -> pl.Series:
    rows = given.alias("id").to_frame().lazy().with_row_index("row")
    ids = wanted.alias("id").to_frame().lazy()
    return ids.join(rows, on="id", how="left", maintain_order="left").collect()["row"]


def _numpy_of(dtype: pl.DataType) -> type[np.floating[Any]]:
    return np.float32 if dtype == pl.Float32 else np.float64


def _of_columns(
    frames: Iterable[pl.DataFrame], dtype: pl.DataType, names: Sequence[str]
) -> Probabilities:
    """Columns as an array (N, K), which is laid out class by class."""
    frames = iter(frames)
    first = next(frames)
    matrix, k = np.empty((len(names), first.height), _numpy_of(dtype)), 0
    for frame in chain([first], frames):
        columns = [*zip(matrix[k : k + frame.width], frame, strict=True)]
        each = mapped if frame.height > FEW_ROWS else map
        k += len([*each(lambda pair: _put(pair[1].cast(dtype), pair[0]), columns)])
    return matrix.T


def _put(column: pl.Series, to: Probabilities) -> None:
    """Copy the pieces of a column, one after another."""
    at = 0
    for piece in column.get_chunks():
        to[at : at + len(piece)] = piece.to_numpy()
        at += len(piece)


def _of_array(frame: pl.DataFrame, probs: PredProbs, names: Sequence[str]) -> Probabilities:
    matrix = frame[PROBABILITIES].to_numpy()
    if tuple(names) != probs.names:
        matrix = matrix[:, [probs.names.index(name) for name in names]]
    return matrix if matrix.dtype in (np.float32, np.float64) else matrix.astype(np.float64)
