"""What a comparison's verdict says: to whom the win goes, and for how many comparisons it counts.

A verdict is a value of whatever type a column holds. It is one of those that were named if both are equal
numbers, where all that were named are numbers, and else if both are written the same: `1`, `1.0` and `"1"`
are one verdict, and so are `True` and `"true"`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl

from polars_crowd.errors import OptionError, shown
from polars_crowd.inputs.matching import written
from polars_crowd.inputs.numbers import number
from polars_crowd.inputs.parts import is_said, is_text


class Meaning(NamedTuple):
    """What a verdict means."""

    share: float
    """Of the win that is the left example's: 1, 0, or a half for a tie."""
    times: float = 1
    """For how many comparisons it counts."""


TIE = Meaning(0.5)
EMPTY = (None, "")
"""How a verdict is named that is not there."""
ARROWS = ("{0}>>{1}", "{0}>{1}", "{0}={1}", "{1}={0}", "{1}>{0}", "{1}>>{0}")
"""Verdicts that say how sure they are."""
MIRRORED = ("{1}<<{0}", "{1}<{0}", "{0}<{1}", "{0}<<{1}")
BESIDE_ARROWS = r"[\s\[\]]"
"""Spaces and brackets, which such verdicts may have: `[[A >> B]]`."""


# --- what was said of the verdicts -----------------------------------------------------------------


@dataclass(frozen=True)
class Verdicts:
    """What verdicts mean.

    >>> Verdicts.of((1, 0), ["draw"], None).named
    {1: Meaning(share=1, times=1), 0: Meaning(share=0, times=1), 'draw': Meaning(share=0.5, times=1)}
    >>> Verdicts.of(None, (), {"much better": 3, "worse": -1}).named
    {'much better': Meaning(share=1, times=3), 'worse': Meaning(share=0, times=1)}
    """

    named: Mapping[Any, Meaning]
    of_ids: bool
    """Whether those that are not named are ids of examples."""
    have_strength: bool
    """Whether some count more than others."""
    have_arrows: bool
    """Whether they are written with arrows."""

    @classmethod
    def of(
        cls,
        sides: Sequence[Any] | None,
        ties: Sequence[Any],
        strength: float | Mapping[Any, float] | None,
    ) -> Verdicts:
        """From the options that name them."""
        named = _of_sides(_pair(sides), strength)
        for tie in _values("ties", [ties] if isinstance(ties, str) else ties):
            if named.setdefault(tie, TIE) != TIE:
                raise OptionError("ties", ties, f"{shown([tie])} means something else, too.")
        given = strength is not None
        of_ids = sides is None and not given
        return cls(named, of_ids, given, given and not isinstance(strength, Mapping))


def _of_sides(
    sides: tuple[Any, Any] | None, strength: float | Mapping[Any, float] | None
) -> dict[Any, Meaning]:
    if isinstance(strength, Mapping):
        if sides is not None:
            raise OptionError("sides", ..., "has no effect beside strengths of all verdicts.")
        return {verdict: _signed(verdict, value) for verdict, value in strength.items()}
    if strength is not None:
        return _arrows(sides or ("A", "B"), strength)
    return {} if sides is None else {sides[0]: Meaning(1), sides[1]: Meaning(0)}


def _pair(sides: Sequence[Any] | None) -> tuple[Any, Any] | None:
    if sides is None:
        return None
    values = [] if isinstance(sides, str) else _values("sides", sides)
    if len(values) != 2 or values[0] == values[1]:
        raise OptionError(
            "sides", sides, "give two different values, as in ('model_a', 'model_b')."
        )
    return values[0], values[1]


def _values(option: str, given: Any) -> list[Any]:
    """The values of an option, each of which may be what a column says."""
    if not isinstance(given, Iterable):
        raise OptionError(option, given, "give a list of values.")
    values = list(given)
    if not all(isinstance(value, Hashable) for value in values):
        raise OptionError(option, given, "give single values.")
    return values


def _signed(verdict: Any, strength: Any) -> Meaning:
    """For the left example if positive, for the right one if negative, 0 for a tie."""
    if not _is_finite(strength):
        wrong = "it must be a finite number for each verdict."
        raise OptionError("strength", {verdict: strength}, wrong)
    return TIE if strength == 0 else Meaning(int(strength > 0), abs(strength))


def _is_finite(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _arrows(sides: tuple[Any, Any], strength: Any) -> dict[Any, Meaning]:
    """`A>>B` counts `strength` times, `A>B` once, `A=B` is a tie."""
    if not _is_finite(strength) or strength <= 0:
        raise OptionError("strength", strength, "it must be a number above 0, or one per verdict.")
    won, much = Meaning(1), Meaning(1, strength)
    lost, by_far = Meaning(0), Meaning(0, strength)
    of_arrows = dict(zip(ARROWS, (much, won, TIE, TIE, lost, by_far), strict=True))
    of_arrows |= dict(zip(MIRRORED, (much, won, lost, by_far), strict=True))
    return {form.format(*sides): meaning for form, meaning in of_arrows.items()}


# --- what a column says ----------------------------------------------------------------------------


def said(column: str, dtype: pl.DataType, verdicts: Verdicts) -> tuple[pl.Expr, pl.Expr]:
    """The share and the count of each verdict of a column, null where it is none of those that are named."""
    known = {verdict: m for verdict, m in verdicts.named.items() if verdict not in EMPTY}
    of_empty = next((m for verdict, m in verdicts.named.items() if verdict in EMPTY), None)
    key, keys = _keys(column, dtype, list(known), verdicts.have_arrows)
    meanings = _by_key(keys, list(known.values()))
    is_empty = ~is_said(column, dtype)
    if is_text(dtype):
        is_empty |= pl.col(column).cast(pl.String) == ""

    def looked_up(part: int) -> pl.Expr:
        values = {k: float(meaning[part]) for k, meaning in meanings.items()}
        found = pl.lit(None, pl.Float64)
        if values:
            found = key.replace_strict(values, default=None, return_dtype=pl.Float64)
        return (
            found if of_empty is None else pl.when(is_empty).then(of_empty[part]).otherwise(found)
        )

    return looked_up(0), looked_up(1)


def _keys(
    column: str, dtype: pl.DataType, verdicts: Sequence[Any], arrows: bool
) -> tuple[pl.Expr, list[Any]]:
    """The column, and verdicts, as what they are compared by."""
    text = written(column, dtype)
    if arrows:
        return text.str.replace_all(BESIDE_ARROWS, ""), [
            pl.Series([v]).str.replace_all(BESIDE_ARROWS, "").item() for v in verdicts
        ]
    numbers = [_number(verdict, dtype) for verdict in verdicts]
    if None not in numbers:
        value = number(text) if is_text(dtype) else pl.col(column).cast(pl.Float64)
        return value, numbers
    if dtype == pl.Boolean or any(isinstance(verdict, bool) for verdict in verdicts):
        return text.str.to_lowercase(), [_text(verdict).lower() for verdict in verdicts]
    return text, [_text(verdict) for verdict in verdicts]


def _number(verdict: Any, dtype: pl.DataType) -> float | None:
    """The number that a verdict is, in a column of this type."""
    numeric = dtype.is_numeric() or dtype == pl.Boolean
    if not numeric and (isinstance(verdict, bool) or not is_text(dtype)):
        return None
    try:
        value = float(verdict)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _text(verdict: Any) -> str:
    """A verdict as a column would have it written."""
    one = pl.DataFrame({"verdict": [verdict]})
    text: str = one.select(written("verdict", one.schema["verdict"])).item()
    return text


def _by_key(keys: Sequence[Any], meanings: Sequence[Meaning]) -> dict[Any, Meaning]:
    """What verdicts mean, by what they are compared by."""
    found: dict[Any, Meaning] = {}
    for key, meaning in zip(keys, meanings, strict=True):
        if found.setdefault(key, meaning) != meaning:
            raise OptionError("sides", ..., f"and ties: {shown([key])} means two things.")
    return found
