"""Points with intervals, one under the other: what charts of annotators, methods and ranks are made of."""

from __future__ import annotations

from typing import Any

from polars_crowd.reporting.charts.theme import (
    BLUE,
    COUNT,
    GREY,
    RED,
    SCORE,
    altair,
    in_order,
    told,
)

Kinds = tuple[str, str]
"""What points with a circle are, and what those with a triangle."""


def dots(
    what: str, of: str, middle: Any = None, *, kinds: Kinds | None = None, n: str = "Annotations"
) -> list[Any]:
    """A point `value` with its interval `low, high` for each `name` (and `short`), in the order of `place`;
    by its `kind` where there are two; and a dashed line at the middle of all."""
    alt = altair()
    y = alt.Y("short:N", title=of, sort=in_order("place"))
    x = alt.X("value:Q", title=what, scale=alt.Scale(zero=False))
    numbers = [
        (field, title, SCORE) for field, title in (("value", what), ("low", "from"), ("high", "to"))
    ]
    says = told(("name", of, ""), *numbers, ("n", n, COUNT))
    line = alt.Chart().mark_rule(color=GREY).encode(y=y, x=alt.X("low:Q", title=what), x2="high:Q")
    point = alt.Chart().mark_point(filled=True, size=60, opacity=1, color=BLUE)
    point = point.encode(y=y, x=x, tooltip=says)
    if kinds is not None:
        shape, color = by_kind(alt.Shape, kinds, SHAPES), by_kind(alt.Color, kinds, COLORS)
        point = point.encode(shape=shape, color=color)
    if middle is None:
        return [line, point]
    return [line, point, alt.Chart().mark_rule(strokeDash=[4, 3]).encode(x=alt.datum(middle))]


SHAPES, COLORS = ("circle", "triangle-up"), (BLUE, RED)


def by_kind(channel: Any, kinds: Kinds, marks: tuple[str, str]) -> Any:
    scale = {"domain": list(kinds), "range": list(marks)}
    return channel("kind:N", scale=scale, legend=altair().Legend(title=None))
