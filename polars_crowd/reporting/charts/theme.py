"""How charts look, and how a frame becomes one.

What is drawn is a small frame whose columns have names of ours. Ids and labels are values in it and nothing
else: never the name of a field, an expression, a format or an order that is written into a chart.
Colours are those of Okabe and Ito for categories, told apart by shapes or dashes too, and cividis for
amounts: both can be read by the colour-blind and in grey.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, count
from textwrap import wrap
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from polars_crowd.errors import PackageError, counted
from polars_crowd.escapes import escaped
from polars_crowd.signatures import F, checked, completed, signature_of

if TYPE_CHECKING:
    import altair as alt

    Chart: TypeAlias = alt.LayerChart
else:
    Chart = Any

BLUE, ORANGE, RED, GREY = "#0072B2", "#E69F00", "#D55E00", "#707070"
CATEGORIES = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", RED, "#000000")
"""Of Okabe and Ito, without the yellow that is lost on white."""
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "stroke")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 1], [1, 3], [10, 4])
LONGEST = 80
"""Characters of a name; longer ones are cut in the middle."""
SHORT = 15
"""... of a name at an axis or in a legend."""
TITLE_WIDTH, SAID_WIDTH = 40, 54
"""Characters of a line that a telephone shows."""
SAID_OF_ALL = {
    "Parameters": "",
    "Returns": "altair.LayerChart\n    As wide as what holds it, and small: it draws a summary.",
    "Raises": "AnnotationError\n    What is given is not what is drawn here, or has no rows.\n"
    "PackageError\n    Altair is not installed (the extra `report`).",
}
ENDS_SCRIPT = re.compile(r"<(?=[/!?]|script)", re.IGNORECASE)
INSTEAD = "\u2039"
"""Looks like what it stands for."""
CONFIG: dict[str, Any] = {
    "background": "white",
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelColor": "#333333",
        "titleColor": "#333333",
        "labelLimit": 110,
        "labelFlush": False,
        "gridColor": "#e6e6e6",
        "domainColor": "#888888",
        "tickColor": "#888888",
    },
    "axisQuantitative": {"tickCount": 8, "labelOverlap": "parity", "labelSeparation": 8},
    "legend": {
        "orient": "bottom",
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 130,
        "columns": 2,
    },
    "title": {
        "anchor": "start",
        "frame": "bounds",
        "fontSize": 15,
        "subtitleFontSize": 12,
        "subtitleColor": "#555555",
        "subtitlePadding": 4,
        "offset": 10,
    },
    "range": {
        "category": list(CATEGORIES),
        "ramp": {"scheme": "cividis"},
        "heatmap": {"scheme": "cividis"},
    },
}


def chart(draw: F) -> F:
    """A decorator for charts: arguments are checked, and what all charts return and raise is said once."""
    said = completed(draw.__doc__, SAID_OF_ALL, signature_of(draw).parameters)
    draw.__doc__ = said
    return checked(draw)


def altair() -> Any:
    """The package that draws.

    Raises
    ------
    PackageError
        It is not installed.
    """
    try:
        import altair
    except ImportError as error:
        raise PackageError(
            'charts need altair; install it with: pip install "polars-crowd[report]"'
        ) from error
    return altair


def drawn(
    rows: pl.DataFrame, layers: Sequence[Any], title: str, *said: str, height: int = 240
) -> Chart:
    """Layers over one small frame, as wide as what holds them, under a title and what is to be said."""
    alt = altair()
    lines = [line for sentence in said if sentence for line in wrap(sentence, SAID_WIDTH)]
    chart = alt.layer(*layers, data=alt.InlineData(values=rows.to_dicts())).properties(
        width="container",
        autosize={"type": "fit-x", "contains": "padding"},
        height=height,
        title=alt.TitleParams(text=wrap(title, TITLE_WIDTH), subtitle=lines),
        description=" ".join([f"{title}.", *said]),
    )
    return chart.configure(**CONFIG)


def told(*fields: tuple[str, str, str]) -> list[Any]:
    """What a mark says under the pointer: fields, their titles and the formats of numbers (text has none)."""
    alt = altair()
    return [
        alt.Tooltip(field, type="quantitative", title=title, format=form)
        if form
        else alt.Tooltip(field, type="nominal", title=title)
        for field, title, form in fields
    ]


def in_order(field: str) -> Any:
    """The order of names by a field with their places."""
    return altair().EncodingSortField(field=field, op="min")


COUNT, SCORE, PERCENT = ",d", ".3f", ".1%"
"""Formats of numbers."""


# --- names of others ---------------------------------------------------------------------------------


def name_of(value: Any, longest: int = LONGEST) -> str:
    r"""An id or a label as a chart shows it: cut if it is long, without what steers, and without what ends a
    script, which programs that write charts into pages do not always escape.

    >>> print(name_of("a\x1b[31m"), name_of("<b>"), len(name_of("x" * 999)), "<" in name_of("</script>"))
    a\x1b[31m <b> 80 False
    """
    text = escaped(str(value)) if value is not None else "(none)"
    half = longest // 2
    short = text if len(text) <= longest else f"{text[: half - 1]}…{text[-half:]}"
    return ENDS_SCRIPT.sub(INSTEAD, short)


def named(values: pl.Series) -> dict[str, pl.Series]:
    """Columns for ids or labels: `name`, and `short`, which a telephone has room for beside a chart."""
    return {"name": names_of(values), "short": names_of(values, SHORT)}


def names_of(values: pl.Series, longest: int = LONGEST) -> pl.Series:
    """Different ids or labels under different names, in their order.

    >>> names_of(pl.Series(["a", "b" * 99, "b" * 100])).str.tail(4).to_list()
    ['a', 'bbbb', ' (2)']
    """
    names: dict[str, None] = {}
    for value in values.to_list():
        name = name_of(value, longest)
        others = (f"{name} ({again})" for again in count(2))
        names[next(new for new in chain([name], others) if new not in names)] = None
    return pl.Series(values.name, list(names), pl.String)


def left_out(shown: int, of: int, noun: str, which: str, rest: str = "") -> str:
    """What a chart does not show, in words; nothing if it shows all.

    >>> left_out(30, 1200, "annotator", "least accurate", "the others lie above 0.9")
    'The 30 least accurate of 1,200 annotators; the others lie above 0.9.'
    """
    if shown >= of:
        return ""
    end = f"; {rest}" if rest else ""
    return f"The {shown} {which} of {counted(of, noun)}{end}."
