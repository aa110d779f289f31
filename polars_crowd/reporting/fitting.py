"""Which chart fits a result."""

from __future__ import annotations

import inspect
from typing import Any

from polars_crowd.errors import OptionError, did_you_mean, shown
from polars_crowd.reporting import plot
from polars_crowd.reporting.charts.tables import FRAMES, has
from polars_crowd.reporting.charts.theme import Chart

BY_COLUMN = (
    ("windows", "accuracy", "drift"),
    ("components", "component", "overlap"),
    ("methods", "method", "comparison"),
    ("judges", "kappa", "judge_agreement"),
    ("examples", "consensus_quality_score", "consensus_quality"),
    ("examples", "score", "ranking"),
    ("annotators", "annotator", "annotator_quality"),
    ("confusion", "true_label", "confusion"),
)
"""The table, and the column of it, by which a result has a chart; the first one fits."""


def chart_of(result: Any, chart: str | None = None, **options: Any) -> Chart:
    """The chart of a result that fits, or the one that is asked for."""
    name = fitting(result) if chart is None else chart
    if name not in plot.__all__:
        near = did_you_mean(str(name), plot.__all__)
        among = shown(plot.__all__, len(plot.__all__))
        raise OptionError("chart", name, f"it must be one of {among}.{near}")
    draw = getattr(plot, name)
    try:
        inspect.signature(draw).bind(result, **options)
    except TypeError as error:
        told = f"{error}; the help of that chart says what it takes."
        raise OptionError("chart", name, told) from None
    drawn: Chart = draw(result, **options)
    return drawn


def fitting(result: Any) -> str | None:
    """The name of the chart; None if there is none."""
    for table, column, name in BY_COLUMN:
        frame = getattr(result, table, None)
        if isinstance(frame, FRAMES) and has(frame.lazy(), column):
            return name
    return None
