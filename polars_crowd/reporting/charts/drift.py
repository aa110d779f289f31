"""The chart of annotators over time."""

from __future__ import annotations

from typing import Any

import polars as pl

from polars_crowd.errors import counted
from polars_crowd.reporting.charts.tables import some_of, table_of
from polars_crowd.reporting.charts.theme import (
    CATEGORIES,
    COUNT,
    DASHES,
    PERCENT,
    RED,
    SHAPES,
    Chart,
    altair,
    chart,
    drawn,
    in_order,
    left_out,
    named,
    told,
)

MOST_LINES = 5
MOST_WINDOWS = 36
COLUMNS = ("annotator", "window", "num_annotations", "accuracy", "alarm")
WEIGHT = pl.col("num_annotations")


@chart
def drift(found: Any) -> Chart:
    """How the accuracy of annotators goes over time, as lines.

    **How to read it.** A line is an annotator, the wide grey one the mean of all. Those with an alarm come
    first, then those who fell most from the first half of their time to the second. A red triangle is a
    window in which the test raised an alarm: the accuracy is lower than it was.

    **What to do.** Where one line falls and the grey one does not, talk to that annotator (tired, in a hurry,
    or another person at the same account). Where all fall together, look at what changed: the instructions,
    the tool, the data.

    Parameters
    ----------
    found
        What `pc.annotator_drift` returned, or its table `windows`: `annotator, window, num_annotations,
        accuracy, alarm`.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> from datetime import date
    >>> days = pl.date_range(date(2026, 1, 5), date(2026, 3, 2), "1w", eager=True)
    >>> windows = pl.DataFrame({"annotator": "a", "window": days, "num_annotations": 20, "alarm": False})
    >>> windows = windows.with_columns(accuracy=0.9 - 0.05 * pl.int_range(pl.len()))
    >>> pc.plot.drift(windows).to_dict()["title"]["subtitle"]
    ['No alarm.']
    """
    judged = table_of(found, "windows", "found", *COLUMNS).select(COLUMNS).drop_nulls("accuracy")
    windows = in_fewer_windows(some_of(judged.collect(), "found"))
    worst = most_drifting(windows)
    shown = worst.head(MOST_LINES).with_columns(**named(worst["annotator"].head(MOST_LINES)))
    places = shown.select("annotator", "place", "name", "short")
    rows = windows.join(places, on="annotator").drop("annotator").sort("place", "window")
    alarmed = int((worst["alarms"] > 0).sum())
    said = f"{counted(alarmed, 'annotator')} with an alarm." if alarmed else "No alarm."
    rest = left_out(len(shown), len(worst), "annotator", "most drifting")
    layers = drift_layers(rows["window"].dtype.is_temporal(), len(shown))
    mean = mean_of_all(with_times(windows.group_by("window").agg(mean_accuracy()).sort("window")))
    return drawn(with_times(rows), [mean, *layers], "Accuracy over time", said, rest, height=280)


def in_fewer_windows(windows: pl.DataFrame) -> pl.DataFrame:
    """Neighbouring windows taken together, where there are more than can be drawn."""
    starts = windows.select(pl.col("window").unique().sort()).with_row_index("bin")
    each = -(-starts.height // MOST_WINDOWS)
    starts = starts.with_columns(start=pl.col("window").gather(pl.col("bin") // each * each))
    return (
        windows.join(starts, on="window")
        .group_by("annotator", window="start")
        .agg(mean_accuracy(), WEIGHT.sum(), pl.col("alarm").fill_null(False).any())
    )


def mean_accuracy() -> pl.Expr:
    """The share that is right, windows by how much was done in them."""
    return (pl.col("accuracy") * WEIGHT).sum() / WEIGHT.sum()


def most_drifting(windows: pl.DataFrame) -> pl.DataFrame:
    """`place`, `annotator`, `alarms`: those with the most alarms first, then those who fell most."""
    late = pl.col("window").rank() * 2 > pl.len() + 1
    halves = (
        (pl.col("accuracy") * WEIGHT).filter(half).sum() / WEIGHT.filter(half).sum()
        for half in (late, ~late)
    )
    second, first = halves
    of_each = windows.group_by("annotator").agg(
        alarms=pl.col("alarm").sum(), fall=(first - second).fill_nan(None)
    )
    by = ("alarms", "fall", "annotator")
    return of_each.sort(by, descending=[True, True, False], nulls_last=True).with_row_index("place")


def with_times(rows: pl.DataFrame) -> pl.DataFrame:
    """Times as text of the clock that they were given by."""
    dtype, time = rows["window"].dtype, pl.col("window")
    if not dtype.is_temporal():
        return rows
    time = time.cast(pl.Datetime) if dtype == pl.Date else time
    return rows.with_columns(time.dt.strftime("%Y-%m-%dT%H:%M:%S"))


def axes(in_time: bool) -> dict[str, Any]:
    alt = altair()
    return {
        "x": alt.X(f"window:{'T' if in_time else 'Q'}", title="Beginning of the window"),
        "y": alt.Y("accuracy:Q", title="Accuracy", scale=alt.Scale(zero=False)),
    }


def mean_of_all(windows: pl.DataFrame) -> Any:
    """A wide grey line, of rows of its own."""
    alt = altair()
    in_time = windows["window"].dtype == pl.String
    mean = alt.Chart(alt.InlineData(values=windows.to_dicts()))
    return mean.mark_line(color="#BBBBBB", strokeWidth=5).encode(**axes(in_time))


def drift_layers(in_time: bool, n: int) -> list[Any]:
    """The lines and points of n annotators, and their alarms. Colour and shape are in two layers each:
    only then are they one legend."""
    alt = altair()
    color, shape, dash = (
        channel("short:N", title="Annotator", sort=in_order("place"), scale={"range": list(of[:n])})
        for channel, of in ((alt.Color, CATEGORIES), (alt.Shape, SHAPES), (alt.StrokeDash, DASHES))
    )
    says = told(
        ("name", "Annotator", ""),
        ("accuracy", "Accuracy", PERCENT),
        ("num_annotations", "Annotations", COUNT),
    )
    own = alt.Chart().encode(**axes(in_time), tooltip=says)
    line = own.mark_line().encode(color=color, strokeDash=dash.legend(None))
    halo = own.mark_point(filled=True, size=90, opacity=1, color="white").encode(shape=shape)
    point = own.mark_point(filled=True, size=40, opacity=1).encode(color=color, shape=shape)
    alarm = own.mark_point(shape="triangle-down", size=160, color=RED, opacity=1, strokeWidth=3)
    return [line, halo, point, alarm.transform_filter("datum.alarm")]
