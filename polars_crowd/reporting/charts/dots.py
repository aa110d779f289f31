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

FINE, FLAGGED = "not flagged", "flagged"


def dots(
    what: str, of: str, middle: Any = None, *, flagged: bool = False, n: str = "Annotations"
) -> list[Any]:
    """A point `value` with its interval `low, high` for each `name`, in the order of `place`; triangles where
    `kind` is flagged; and a dashed line at the middle of all."""
    alt = altair()
    y = alt.Y("name:N", title=of, sort=in_order("place"))
    x = alt.X("value:Q", title=what, scale=alt.Scale(zero=False))
    numbers = [
        (field, title, SCORE) for field, title in (("value", what), ("low", "from"), ("high", "to"))
    ]
    says = told(("name", of, ""), *numbers, ("n", n, COUNT))
    line = alt.Chart().mark_rule(color=GREY).encode(y=y, x=alt.X("low:Q", title=what), x2="high:Q")
    point = alt.Chart().mark_point(filled=True, size=60, opacity=1, color=BLUE)
    point = point.encode(y=y, x=x, tooltip=says)
    if flagged:
        point = point.encode(
            shape=by_kind(alt.Shape, "circle", "triangle-up"), color=by_kind(alt.Color, BLUE, RED)
        )
    if middle is None:
        return [line, point]
    return [line, point, alt.Chart().mark_rule(strokeDash=[4, 3]).encode(x=alt.datum(middle))]


def by_kind(channel: Any, fine: str, flagged: str) -> Any:
    scale = {"domain": [FINE, FLAGGED], "range": [fine, flagged]}
    return channel("kind:N", scale=scale, legend=altair().Legend(title=None))
