"""What is counted in a log of comparisons: how often an annotator preferred one example over another.

The counts are found in one pass. A tie is half a win for each side, a divided win the share that each has,
and a comparison of weight w counts as w of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import AnnotationError, counted, rows_shown
from polars_crowd.inputs.comparisons import (
    COLUMNS,
    EVERYBODY,
    LOG,
    SHARE,
    WEIGHT,
    Names,
    strange_verdicts,
)
from polars_crowd.numerics.graphs import roots


@dataclass(frozen=True)
class Comparisons:
    """How often each annotator preferred one example over another: C counts, sorted by the three codes."""

    winner: Ints
    loser: Ints
    annotator: Ints
    count: Floats
    """Ties are half a count each way."""
    divided: Floats
    """How much of a count is no win of either: w y (1 - y), half of it each way, for a share y of the win."""
    examples: pl.Series
    """The N examples; a code is a position in them."""
    annotators: pl.Series
    """The M annotators."""
    is_weighted: bool = False
    """Whether comparisons count differently."""

    def per_example(self, of_winner: Floats, of_loser: Floats) -> Floats:
        """The sum over the counts that an example won, and over those it lost; shape (N,)."""
        won = np.bincount(self.winner, of_winner, len(self.examples))
        lost = np.bincount(self.loser, of_loser, len(self.examples))
        return (won + lost).astype(np.float64, copy=False)

    def per_annotator(self, counts: Floats) -> Floats:
        """Shape (M,)."""
        sums = np.bincount(self.annotator, counts, len(self.annotators))
        return sums.astype(np.float64, copy=False)

    def numbers(self, counts: Floats) -> pl.Series:
        """How many comparisons these are: whole ones, where each counts as one."""
        return pl.Series(counts if self.is_weighted else counts.round().astype(np.int64))

    @cached_property
    def of_everybody(self) -> Comparisons:
        """The same counts with all annotators taken together."""
        pair = self.winner * len(self.examples) + self.loser
        pairs, place = np.unique(pair, return_inverse=True)
        winner, loser = np.divmod(pairs, len(self.examples))
        count = np.bincount(place, self.count).astype(np.float64)
        divided = np.bincount(place, self.divided).astype(np.float64)
        everybody, annotators = np.zeros_like(winner), pl.Series([EVERYBODY])
        return Comparisons(winner, loser, everybody, count, divided, self.examples, annotators)

    @cached_property
    def components(self) -> Ints:
        """The number of the group that each example is in: comparisons lead from each to each other."""
        root = roots(self.winner, self.loser, len(self.examples))
        return np.unique(root, return_inverse=True)[1].astype(np.intp)


def count_comparisons(log: pl.LazyFrame) -> Comparisons:
    """The counts of a log of comparisons, in one pass over it."""
    columns = log.collect_schema()
    left_won = pl.col("winner") == pl.col("left")
    share = pl.when("tie").then(0.5).otherwise(left_won.cast(pl.Float64))
    share = pl.col(SHARE) if SHARE in columns else share
    weight = pl.col(WEIGHT) if WEIGHT in columns else pl.lit(1.0)
    keys, half = ("winner", "loser", "annotator"), weight * share * (1 - share) / 2
    wins = [
        log.select("annotator", winner=winner, loser=loser, count=weight * part, divided=half)
        for winner, loser, part in (("left", "right", share), ("right", "left", 1 - share))
    ]
    won = pl.concat(wins).filter(pl.col("count") > 0)
    summed = won.group_by(keys).agg(pl.col("count", "divided").sum())
    wrong_rows = log.filter(NULL | ITSELF | STRANGE).select(COLUMNS)
    counts, wrong = pl.collect_all([summed, wrong_rows])
    _check(counts, wrong)
    examples = pl.concat([counts["winner"], counts["loser"]]).unique().sort().alias("example")
    annotators = counts["annotator"].unique().sort()
    known = {"winner": examples, "loser": examples, "annotator": annotators}
    codes = (_code(column, values) for column, values in known.items())
    coded = counts.lazy().select(*codes, "count", "divided").sort(keys).collect()
    winner, loser, annotator = (coded[key].to_numpy().astype(np.intp) for key in keys)
    count, divided = coded["count"].to_numpy(), coded["divided"].to_numpy()
    is_weighted = WEIGHT in columns
    return Comparisons(winner, loser, annotator, count, divided, examples, annotators, is_weighted)


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
        raise strange_verdicts(wrong, Names(*COLUMNS), "neither the left nor the right example")
    if counts.is_empty():
        raise AnnotationError(
            "the log of comparisons is empty: no row has a winner or a tie, and a weight above 0. Check the "
            "columns and your filters."
        )
