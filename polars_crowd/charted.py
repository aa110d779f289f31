"""Where results find their charts, which are drawn on a floor above: the package says who draws, when it is
imported, and nothing of that is loaded before a chart is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Draw = Callable[..., Any]
_DRAWN_BY: list[Callable[[], Draw]] = []


def register(find: Callable[[], Draw]) -> None:
    """Say who draws: `find()` is the function that is called with a result, and with what is asked for."""
    _DRAWN_BY[:] = [find]


def chart_of(result: Any, chart: str | None = None, **options: Any) -> Any:
    """A chart of a result."""
    return _DRAWN_BY[0]()(result, chart, **options)
