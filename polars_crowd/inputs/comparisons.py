"""The door for comparisons: any frame, file or dataset becomes a lazy log of comparisons.

A **log of comparisons** has the columns `left`, `right` (the two examples), `annotator`, `winner` (one of the
two), and `tie`, whether neither was preferred. Where comparisons count differently it has a further column
`comparison_weight`, and where a win was divided `left_share`, the share of it that is the left example's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Unpack, runtime_checkable

import polars as pl

from polars_crowd.errors import Advice, AnnotationError, OptionError, counted, rows_shown
from polars_crowd.inputs.checks import near_classes
from polars_crowd.inputs.matching import ids_like
from polars_crowd.inputs.numbers import as_numbers, values_and_rows
from polars_crowd.inputs.parts import is_said, settled
from polars_crowd.inputs.sources import checked_columns, open_parts, stacked
from polars_crowd.inputs.text import Reading, ReadingOptions
from polars_crowd.inputs.verdicts import Verdicts, said
from polars_crowd.signatures import checked

LOG = "the log of comparisons"
COLUMNS = ("left", "right", "annotator", "winner")
WEIGHT = "comparison_weight"
SHARE = "left_share"
EVERYBODY = "everybody"
"""The annotator of a log that does not say who compared."""


@runtime_checkable
class HoldsComparisons(Protocol):
    """What holds a log of comparisons and can be asked for it: an `Export` of battles."""

    def scan_comparisons(self) -> pl.LazyFrame:
        """The log, as a lazy scan."""


@checked
def scan_comparisons(
    source: Any,
    *,
    left: str = "left",
    right: str = "right",
    annotator: str | None = "annotator",
    winner: str = "winner",
    sides: tuple[Any, Any] | None = None,
    ties: Sequence[Any] = (),
    strength: float | Mapping[Any, float] | None = None,
    outcome: str | None = None,
    weight: str | None = None,
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
        What `winner` says for the left and for the right example, such as `("model_a", "model_b")`,
        `(1, 0)` or `(True, False)`; by default the id of the example that won.
    ties
        What `winner` says where neither won, such as `["tie", "tie (bothbad)"]`; None or `""` for nothing
        at all.
    strength
        How much verdicts count that say how sure they are. A number w, where `winner` says `A>>B`, `A>B`,
        `A=B`, `B>A` or `B>>A` (with the `sides`, if these are given, for A and B; spaces and brackets do
        not matter): `>>` counts as w comparisons, `>` and `=` as one; 3 is usual for LLM judges. Or a
        mapping of all verdicts to numbers, as `{"much better": 3, "better": 1, "same": 0, "worse": -1}`:
        positive where the left example won, negative where the right one did, 0 for a tie; the size says
        for how many comparisons it counts (a tie for one).
    outcome
        A column of numbers from 0 to 1, in place of `winner`: the left example's share of the win. 1 says
        that it won, 0 that it lost, 0.5 is a tie, and 0.8 counts as 0.8 of a win and 0.2 of a loss.
    weight
        A column of numbers, 0 or more: for how many comparisons each row counts. A row of weight 2 is the
        same as two rows, also for intervals; one of weight 0 has no effect.
    reading
        How text files are written: `separator`, `encoding`, ..., as `scan_annotations` takes it.

    Returns
    -------
    LazyFrame
        `left, right, annotator, winner, tie`, then `comparison_weight` (with `weight` or `strength`) and
        `left_share` (with `outcome`), then the source's other columns: `winner` is an id, that of the
        larger share, and null where `tie` is true. Rows without a winner that are no ties are not
        comparisons and are dropped.

    Raises
    ------
    AnnotationError
        Now: a column is missing, or left and right are of different types; `winner` says what is neither side
        nor tie, an outcome is not from 0 to 1, a weight is null or negative (values and rows are named). What
        else the rows hold is checked by the method that uses the log.

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
    >>> raw = pl.DataFrame({"left": ["x", "y"], "right": ["y", "z"], "said": ["[[A>>B]]", "B>A"]})
    >>> scan_comparisons(raw, annotator=None, winner="said", strength=3).collect().rows()
    [('x', 'y', 'everybody', 'x', False, 3.0), ('y', 'z', 'everybody', 'z', False, 1.0)]
    """
    names = Names(left, right, annotator, winner if outcome is None else outcome)
    if isinstance(source, HoldsComparisons):
        source = source.scan_comparisons()
    parts = open_parts(source, LOG, Reading(**reading))
    of_ids = sides is None and strength is None and outcome is None
    ids = (left, right, winner) if of_ids else (left, right)
    frame = stacked(settled(parts, [ids]), LOG)
    checked_columns(frame, LOG, [*names.given, *([weight] if weight else [])], NAME_COLUMNS)
    _check_ids(frame.collect_schema(), names)
    if outcome is not None:
        if sides or ties or strength is not None:
            raise OptionError(
                "outcome", ..., "is read in place of winners, sides, ties and strength."
            )
        frame = _with_outcomes(frame, names)
    else:
        frame = _with_verdicts(frame, names, Verdicts.of(sides, ties, strength))
    if weight is not None:
        frame = _weighted(frame, names, weight)
    return _in_our_words(frame, names, weight)


@dataclass(frozen=True)
class Names:
    """What columns are called in the source."""

    left: str
    right: str
    annotator: str | None
    verdict: str
    """The winner, or the outcome."""

    @property
    def given(self) -> list[str]:
        return [
            name
            for name in (self.left, self.right, self.annotator, self.verdict)
            if name is not None
        ]


_SHARE, _COUNT = "polars_crowd_share", "polars_crowd_count"
"""Columns on the way: the left example's share of the win, and for how much it counts."""
NAME_COLUMNS = Advice(
    "Say which columns they are",
    python="pc.scan_comparisons(log, left=..., right=..., annotator=..., winner=...)",
    command="--left NAME --right NAME --annotator NAME --winner NAME",
)
SAY_WHAT_IT_MEANS = Advice(
    "Say what the values mean",
    python="pc.scan_comparisons(log, sides=(left, right), ties=[...])",
    command="--sides LEFT --sides RIGHT --tie VALUE",
)


def _check_ids(schema: pl.Schema, names: Names) -> None:
    left, right = names.left, names.right
    if schema[left] != schema[right]:
        raise AnnotationError(
            f"columns {left!r} and {right!r} of the log of comparisons are {schema[left]} and "
            f"{schema[right]}; both hold ids of examples, so give them one type."
        )


def _in_our_words(frame: pl.LazyFrame, names: Names, weight: str | None) -> pl.LazyFrame:
    schema = frame.collect_schema()
    who = pl.lit(EVERYBODY) if names.annotator is None else pl.col(names.annotator)
    own = {"left": pl.col(names.left), "right": pl.col(names.right), "annotator": who}
    own |= {"winner": pl.col(_WINNER), "tie": pl.col(_TIE)}
    own |= {WEIGHT: pl.col(_COUNT)} if _COUNT in schema else {}
    own |= {SHARE: pl.col(_SHARE)} if _SHARE in schema else {}
    of_source = [*names.given, *([weight] if weight else []), *own, *_ON_THE_WAY]
    log = frame.select(*(column.alias(name) for name, column in own.items()), pl.exclude(of_source))
    return log.filter(pl.col("winner").is_not_null() | pl.col("tie"))


_WINNER, _TIE = "polars_crowd_winner", "polars_crowd_tie"
_ON_THE_WAY = (_SHARE, _COUNT, _WINNER, _TIE)


# --- who won ---------------------------------------------------------------------------------------


def _with_verdicts(frame: pl.LazyFrame, names: Names, verdicts: Verdicts) -> pl.LazyFrame:
    """Winners that are ids, or that are named."""
    schema = frame.collect_schema()
    dtype = schema[names.verdict]
    share, count = said(names.verdict, dtype, verdicts)
    tie = pl.col("tie").fill_null(False) if schema.get("tie") == pl.Boolean else pl.lit(False)
    tie = tie | (share == 0.5).fill_null(False)
    won = _of_share(share, names)
    if verdicts.of_ids:
        won = ids_like(names.verdict, dtype, schema[names.left], LOG)
    if not verdicts.of_ids or dtype != schema[names.left]:
        strange = is_said(names.verdict, dtype) & ~tie & won.is_null()
        _check_verdicts(frame.filter(strange), names, verdicts)
    counts = {_COUNT: count} if verdicts.have_strength else {}
    return frame.with_columns(**{_TIE: tie, _WINNER: pl.when(~tie).then(won)}, **counts)


def _of_share(share: pl.Expr, names: Names) -> pl.Expr:
    """The example with the larger share of the win."""
    return pl.when(share > 0.5).then(pl.col(names.left)).when(share < 0.5).then(pl.col(names.right))


def _check_verdicts(strange: pl.LazyFrame, names: Names, verdicts: Verdicts) -> None:
    rows = strange.select(names.given).collect()
    if rows.height:
        neither = (
            "neither the left nor the right example" if verdicts.of_ids else "neither side nor tie"
        )
        raise strange_verdicts(rows, names, neither, list(verdicts.named))


def strange_verdicts(
    rows: pl.DataFrame, names: Names, neither: str, named: Sequence[Any] = ()
) -> AnnotationError:
    """The error for rows whose winner is nothing that is known."""
    values = rows.group_by(pl.col(names.verdict).alias("value")).agg(rows=pl.len())
    values = values.sort("rows", "value", descending=[True, False])
    return AnnotationError(
        f"is {neither} in {counted(rows.height, 'row')}: {values_and_rows(values)}.\n"
        f"{rows_shown(rows, *names.given)}",
        *near_classes(values["value"].to_list(), named),
        SAY_WHAT_IT_MEANS,
        source=LOG,
        column=names.verdict,
    )


def _with_outcomes(frame: pl.LazyFrame, names: Names) -> pl.LazyFrame:
    """Outcomes that are shares of the win."""
    column = names.verdict
    frame = as_numbers(frame, [column], LOG).with_columns(pl.col(column).fill_nan(None))
    share = pl.col(column)
    _check_numbers(frame, ~share.is_between(0, 1), names, column, "not from 0 to 1")
    found = {_SHARE: share, _TIE: (share == 0.5).fill_null(False), _WINNER: _of_share(share, names)}
    return frame.with_columns(**found)


def _weighted(frame: pl.LazyFrame, names: Names, column: str) -> pl.LazyFrame:
    frame = as_numbers(frame, [column], LOG)
    weight = pl.col(column)
    is_comparison = pl.col(_WINNER).is_not_null() | pl.col(_TIE)
    bad = is_comparison & (~(weight.is_finite() & (weight >= 0))).fill_null(True)
    _check_numbers(frame, bad, names, column, "not a number of 0 or more")
    if _COUNT in frame.collect_schema():
        weight = weight * pl.col(_COUNT)
    return frame.with_columns(weight.alias(_COUNT))


def _check_numbers(frame: pl.LazyFrame, bad: pl.Expr, names: Names, column: str, what: str) -> None:
    rows = frame.filter(bad).select(list(dict.fromkeys([*names.given, column]))).collect()
    if rows.height:
        raise AnnotationError(
            f"is {what} in {counted(rows.height, 'row')}:\n{rows_shown(rows, *rows.columns)}",
            "Correct these rows, or leave them out.",
            source=LOG,
            column=column,
        )
