"""Batches: which examples to send to annotators next, from their scores."""

from __future__ import annotations

from typing import Any, TypeVar

import polars as pl

from polars_crowd.errors import (
    Advice,
    AnnotationError,
    OptionError,
    missing_column,
)
from polars_crowd.inputs.matching import match_ids
from polars_crowd.inputs.tables import ids_beside
from polars_crowd.signatures import checked

SCORE = "active_learning_score"
DECIMALS = 12
"""Scores that agree to this many decimals are tied: the order of a sum must not decide."""

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)


@checked
def next_batch(
    scores: Frame,
    size: int,
    *,
    per_class: int | None = None,
    exclude: Any = None,
    label: str | None = None,
) -> Frame:
    """The examples most worth labelling: those of the lowest scores.

    Parameters
    ----------
    scores
        What `activelab` returns, collected or not: `example`, `active_learning_score`, and whatever else.
    size
        How many examples, at least 1; all there are if there are fewer.
    per_class
        At most so many of each class, so that a batch is not of one hard class alone. Examples whose class is
        null are not limited.
    exclude
        Examples not to choose, such as those that are being labelled now: ids, or a frame of which they are
        the only column, or the column `example`.
    label
        The column with the class of an example, for `per_class`; `consensus_label` by default.

    Returns
    -------
    DataFrame, or LazyFrame if the scores are one
        The chosen rows of `scores`, lowest score first. Ties go to the example with fewer annotations, then
        to the first id: the same batch on every run.

    Raises
    ------
    AnnotationError
        A column is missing; none of the ids of `exclude` has a score.
    ValueError
        `size` or `per_class` is below 1; `label` without `per_class`.

    Examples
    --------
    >>> import polars as pl
    >>> scores = pl.DataFrame({
    ...     "example": ["e1", "e2", "e3", "e4"],
    ...     "num_annotations": [2, 0, 1, 0],
    ...     "active_learning_score": [0.9, 0.4, 0.2, 0.2],
    ... })
    >>> next_batch(scores, 2, exclude=["e3"])["example"].to_list()
    ['e4', 'e2']
    """
    if not isinstance(scores, (pl.DataFrame, pl.LazyFrame)):
        raise OptionError("scores", scores, "it must be a Polars frame.", SCORES)
    if per_class is None and label is not None:
        raise OptionError("label", label, "it is for per_class=, which is not given.")
    label = label or "consensus_label"
    schema = scores.lazy().collect_schema()
    columns = schema.names()
    _check_columns(schema, label if per_class is not None else None)
    chosen = scores.lazy()
    if exclude is not None:
        ids = _excluded(exclude)
        chosen = chosen.map_batches(lambda frame: _without(frame, ids), schema=schema)
    chosen = chosen.sort(*_order(columns), nulls_last=True)
    if per_class is not None:
        place = pl.int_range(pl.len()).over(label)
        chosen = chosen.filter(pl.col(label).is_null() | (place < per_class))
    chosen = chosen.head(size)
    return chosen if isinstance(scores, pl.LazyFrame) else chosen.collect()


def _order(columns: list[str]) -> list[pl.Expr]:
    order = [pl.col(SCORE).round(DECIMALS), pl.col("example")]
    if "num_annotations" in columns:
        order.insert(1, pl.col("num_annotations"))
    return order


SCORES = Advice("Give scores of examples", python="pc.activelab(log, pred_probs)")


def _check_columns(schema: pl.Schema, label: str | None) -> None:
    columns = schema.names()
    for column in ("example", SCORE):
        if column not in columns:
            raise missing_column("scores", column, columns, SCORES)
    if not schema[SCORE].is_numeric():
        raise AnnotationError(
            f"is {schema[SCORE]}, and no number.", SCORES, source="scores", column=SCORE
        )
    if label is not None and label not in columns:
        raise missing_column(
            "scores",
            label,
            columns,
            "per_class= needs the class of each example: join it to the scores, as in "
            "scores.join(fit.examples.select('example', 'consensus_label'), on='example', how='left').",
        )


def _without(scores: pl.DataFrame, exclude: pl.Series) -> pl.DataFrame:
    """The scores of other examples; a warning says how many of these have none."""
    match = match_ids(exclude, scores["example"], "exclude", of="the scores")
    match.say("exclude", of="the scores")
    return scores.filter(~pl.col("example").is_in(match.ids.drop_nulls().implode()))


def _excluded(exclude: Any) -> pl.Series:
    """The ids of examples not to choose."""
    if not isinstance(exclude, (pl.DataFrame, pl.LazyFrame)):
        exclude = pl.LazyFrame({"example": exclude})
        dtype = exclude.collect_schema()["example"]
        if dtype.is_nested() or dtype == pl.Object:
            raise OptionError("exclude", ..., "must be ids of examples, or a frame of them.")
    return ids_beside(exclude, "exclude").select("example").drop_nulls().collect().to_series()
