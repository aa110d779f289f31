"""Pairwise preferences: a log of comparisons, its door, and what is counted in it.

A **comparison log** has the columns `left`, `right` (the two examples), `annotator`, `winner` (one of the
two), and `tie`, whether neither was preferred. Methods see it as counts: how often an annotator preferred
one example over another. These are found in one pass; a tie is half a win for each side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Unpack

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import Advice, AnnotationError, counted, rows_shown, shown
from polars_crowd.inputs.parts import settled
from polars_crowd.inputs.sources import open_parts, stacked
from polars_crowd.inputs.text import Reading, ReadingOptions
from polars_crowd.truth.known import checked_columns

LOG = "the log of comparisons"
COLUMNS = ("left", "right", "annotator", "winner")
EVERYBODY = "everybody"
"""The annotator of a log that does not say who compared."""


# --- the door --------------------------------------------------------------------------------------


def scan_comparisons(
    source: Any,
    *,
    left: str = "left",
    right: str = "right",
    annotator: str | None = "annotator",
    winner: str = "winner",
    sides: tuple[Any, Any] | None = None,
    ties: Sequence[Any] = (),
    **reading: Unpack[ReadingOptions],
) -> pl.LazyFrame:
    """A lazy log of comparisons from any source.

    Parameters
    ----------
    source
        Whatever `scan_annotations` takes: frames, files, Arrow objects, lists of these.
    left, right, annotator, winner
        The names of these columns in the source. `annotator=None` where it does not say who compared.
    sides
        What `winner` says for the left and for the right example, such as `("model_a", "model_b")`; by
        default the id of the example that won.
    ties
        What `winner` says where neither won, such as `["tie"]`.
    reading
        How text files are written: `separator`, `encoding`, ..., as `scan_annotations` takes it.

    Returns
    -------
    LazyFrame
        `left, right, annotator, winner, tie`, then the source's other columns: `winner` is an id, null where
        `tie` is true. Rows without a winner that are no ties are not comparisons and are dropped.

    Raises
    ------
    AnnotationError
        Now: a column is missing, or left and right are of different types. What the rows hold is checked by
        the method that uses the log.

    Examples
    --------
    >>> import polars as pl
    >>> raw = pl.DataFrame({
    ...     "model_a": ["x", "y"], "model_b": ["y", "z"], "judge": [1, 2], "winner": ["model_b", "tie"],
    ... })
    >>> scan_comparisons(
    ...     raw, left="model_a", right="model_b", annotator="judge",
    ...     sides=("model_a", "model_b"), ties=["tie"],
    ... ).collect().rows()
    [('x', 'y', 1, 'y', False), ('y', 'z', 2, None, True)]
    """
    named = (left, right, winner) if annotator is None else (left, right, annotator, winner)
    parts = open_parts(source, LOG, Reading(**reading))
    ids = (left, right) if sides else (left, right, winner)
    frame = stacked(settled(parts, [ids]), LOG)
    checked_columns(frame, LOG, named, _NAME_COLUMNS)
    schema = frame.collect_schema()
    if schema[left] != schema[right]:
        raise AnnotationError(
            f"columns {left!r} and {right!r} of the log of comparisons are {schema[left]} and "
            f"{schema[right]}; both hold ids of examples, so give them one type."
        )
    tie = pl.col("tie").fill_null(False) if schema.get("tie") == pl.Boolean else pl.lit(False)
    if ties:
        tie = tie | pl.col(winner).is_in(list(ties)).fill_null(False)
    who = pl.lit(EVERYBODY) if annotator is None else pl.col(annotator)
    said = pl.when(~tie).then(pl.col(winner))
    if sides is None:
        won = said.cast(schema[left])
    else:
        side = said.replace_strict(list(sides), [True, False], return_dtype=pl.Boolean)
        won = pl.when(side).then(pl.col(left)).when(~side).then(pl.col(right))
    own = (pl.col(left), pl.col(right), who, won, tie)
    columns = (c.alias(name) for c, name in zip(own, (*COLUMNS, "tie"), strict=True))
    log = frame.select(*columns, pl.exclude(*named, *COLUMNS, "tie"))
    return log.filter(pl.col("winner").is_not_null() | pl.col("tie"))


_NAME_COLUMNS = Advice(
    "Say which columns they are",
    python="pc.scan_comparisons(log, left=..., right=..., annotator=..., winner=...)",
    command="--left NAME --right NAME --annotator NAME --winner NAME",
)
_SAY_WHAT_IT_MEANS = Advice(
    "Say what the values mean",
    python="pc.scan_comparisons(log, sides=(left, right), ties=[...])",
    command="--sides A,B --tie VALUE",
)


# --- counts ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparisons:
    """How often each annotator preferred one example over another: C counts, sorted by the three codes."""

    winner: Ints
    loser: Ints
    annotator: Ints
    count: Floats
    """Ties are half a count each way."""
    examples: pl.Series
    """The N examples; a code is a position in them."""
    annotators: pl.Series
    """The M annotators."""

    def per_example(self, of_winner: Floats, of_loser: Floats) -> Floats:
        """The sum over the counts that an example won, and over those it lost; shape (N,)."""
        won = np.bincount(self.winner, of_winner, len(self.examples))
        lost = np.bincount(self.loser, of_loser, len(self.examples))
        return (won + lost).astype(np.float64, copy=False)

    def per_annotator(self, counts: Floats) -> Floats:
        """Shape (M,)."""
        sums = np.bincount(self.annotator, counts, len(self.annotators))
        return sums.astype(np.float64, copy=False)

    @cached_property
    def of_everybody(self) -> Comparisons:
        """The same counts with all annotators taken together."""
        pair = self.winner * len(self.examples) + self.loser
        pairs, place = np.unique(pair, return_inverse=True)
        winner, loser = np.divmod(pairs, len(self.examples))
        count = np.bincount(place, self.count).astype(np.float64)
        everybody, annotators = np.zeros_like(winner), pl.Series([EVERYBODY])
        return Comparisons(winner, loser, everybody, count, self.examples, annotators)

    @cached_property
    def components(self) -> Ints:
        """The number of the group that each example is in: comparisons lead from each to each other."""
        group = np.arange(len(self.examples))
        while True:
            before = group.copy()
            least = np.minimum(group[self.winner], group[self.loser])
            np.minimum.at(group, group[self.winner], least)
            np.minimum.at(group, group[self.loser], least)
            group = group[group]
            if (group == before).all():
                return np.unique(group, return_inverse=True)[1].astype(np.intp)


def count_comparisons(log: pl.LazyFrame) -> Comparisons:
    """The counts of a log of comparisons, in one pass over it."""
    left_won = pl.col("tie") | (pl.col("winner") == pl.col("left"))
    wins = log.select(
        "annotator",
        winner=pl.coalesce("winner", "left"),
        loser=pl.when(left_won).then("right").otherwise("left"),
        weight=pl.when("tie").then(0.5).otherwise(1.0),
        tie="tie",
    )
    beaten = wins.filter("tie").with_columns(winner="loser", loser="winner")
    keys = ("winner", "loser", "annotator")
    both_ways = pl.concat([wins, beaten]).group_by(keys).agg(count=pl.col("weight").sum())
    wrong_rows = log.filter(NULL | ITSELF | STRANGE).select(COLUMNS)
    try:
        counts, wrong = pl.collect_all([both_ways, wrong_rows])
    except pl.exceptions.InvalidOperationError as error:
        raise AnnotationError(
            f": {str(error).splitlines()[0]}",
            _SAY_WHAT_IT_MEANS,
            source=LOG,
            column="winner",
        ) from error
    _check(counts, wrong)
    examples = pl.concat([counts["winner"], counts["loser"]]).unique().sort().alias("example")
    annotators = counts["annotator"].unique().sort()
    known = {"winner": examples, "loser": examples, "annotator": annotators}
    codes = (_code(column, values) for column, values in known.items())
    coded = counts.lazy().select(*codes, "count").sort(keys).collect()
    winner, loser, annotator = (coded[key].to_numpy().astype(np.intp) for key in keys)
    return Comparisons(winner, loser, annotator, coded["count"].to_numpy(), examples, annotators)


def _code(column: str, known: pl.Series) -> pl.Expr:
    numbers = pl.Series(range(len(known)), dtype=pl.UInt32)
    return pl.col(column).replace_strict(known, numbers, return_dtype=pl.UInt32)


NULL = pl.any_horizontal(pl.col("left", "right", "annotator").is_null())
ITSELF = pl.col("left") == pl.col("right")
STRANGE = (pl.col("winner") != pl.col("left")) & (pl.col("winner") != pl.col("right"))
IDS_WRONG = (
    (NULL, "'left', 'right', 'annotator'", "with a null", "Drop these rows, or fill the ids in."),
    (ITSELF, "'left', 'right'", "compare an example with itself", "Drop these rows."),
)


def _check(counts: pl.DataFrame, wrong: pl.DataFrame) -> None:
    for rule, columns, what, advice in IDS_WRONG:
        rows = wrong.filter(rule)
        if rows.height:
            raise AnnotationError(
                f"columns {columns} of {LOG}: {counted(rows.height, 'row')} {what}:\n"
                f"{rows_shown(rows, *COLUMNS)}",
                advice,
            )
    if wrong.height:
        values = wrong["winner"].unique().sort().to_list()
        raise AnnotationError(
            f"is neither the left nor the right example in {counted(wrong.height, 'row')}: "
            f"{shown(values)}.\n{rows_shown(wrong, *COLUMNS)}",
            _SAY_WHAT_IT_MEANS,
            source=LOG,
            column="winner",
        )
    if counts.is_empty():
        raise AnnotationError(
            "the log of comparisons is empty: no row has a winner or a tie. Check the winner column and your "
            "filters."
        )
