"""Charts of classes: what annotators call what, and which classes are taken for one another."""

from __future__ import annotations

from functools import partial
from typing import Any

import polars as pl

from polars_crowd.errors import AnnotationError
from polars_crowd.inputs.matching import match_ids
from polars_crowd.reporting.charts.tables import FRAMES, some_of, table_of
from polars_crowd.reporting.charts.theme import (
    BLUE,
    LONGEST,
    PERCENT,
    Chart,
    altair,
    chart,
    drawn,
    in_order,
    left_out,
    name_of,
    named,
    names_of,
    told,
)

MOST_CLASSES = 12
MOST_PAIRS = 15
DARK = 0.3
"""Shares below are so dark that text on them is white."""
PAIR = ("true_label", "label")


@chart
def confusion(found: Any, annotator: Any = None) -> Chart:
    """What annotators call the examples of each class, as a matrix.

    **How to read it.** A row is a class as it is in truth (by the consensus, or by the labels that the report
    was made against), a column the label that was given. A cell is the percentage of the row's annotations
    that got this label: the diagonal is what was right. Light cells off the diagonal are mistakes with a
    system.

    **What to do.** A light cell off the diagonal that all annotators share asks for a better instruction, one
    of a single annotator for a talk with them. A light column takes in whatever somebody is not sure of.

    Parameters
    ----------
    found
        A fit that has `.confusion`, an `AnnotatorReport` or a report on judges, results that were opened; or
        a frame with `true_label, label` and `num_annotations` or `probability`, and `annotator` if it is of
        several.
    annotator
        The id of one annotator, or one judge against the humans; by default all are taken together.

    Returns
    -------
    altair.LayerChart
        Of at most 12 classes: those that are confused most.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = pc.dawid_skene(pc.datasets.tutorial().log)
    >>> chart = pc.plot.confusion(fit, annotator="A0050")
    >>> chart.to_dict()["title"]["text"]
    ['What A0050 calls what']
    """
    cells = class_cells(found, annotator)
    classes = cells["true_label"].unique(maintain_order=True)
    shown = most_confused(cells, classes)
    names = pl.DataFrame({"class": shown, **named(shown)}).with_row_index("place")
    rows = (
        cells.join(names.rename(lambda c: f"true_{c}"), left_on=PAIR[0], right_on="true_class")
        .join(names, left_on=PAIR[1], right_on="class")
        .with_columns(percent=percent_text(), dark=pl.col("share") < DARK)
        .drop(PAIR)
    )
    said = left_out(len(shown), len(classes), "class", "most confused", rest_of(cells, rows))
    how = "In % of each row; right answers lie on the diagonal."
    title = (
        "What annotators call what"
        if annotator is None
        else f"What {name_of(annotator)} calls what"
    )
    height = max(150, 26 * len(shown))
    return drawn(rows, shares_in_cells(), title, how, said, height=height)


def percent_text() -> pl.Expr:
    """A share as a whole number of per cents, nothing below a half."""
    percent = (100 * pl.col("share")).round().cast(pl.Int64)
    return pl.when(percent > 0).then(percent.cast(pl.String)).otherwise(pl.lit(""))


def rest_of(cells: pl.DataFrame, rows: pl.DataFrame) -> str:
    """What share of the annotations the classes that are left out have."""
    whole = float(cells["count"].sum())
    return (
        f"the others have {1 - float(rows['count'].sum()) / whole:.0%} of the annotations"
        if whole
        else ""
    )


def matrix_axes() -> dict[str, Any]:
    alt = altair()
    x = {"labelAngle": -45, "labelLimit": 90}
    return {
        "x": alt.X("short:N", title="Label given", sort=in_order("place"), axis=alt.Axis(**x)),
        "y": alt.Y("true_short:N", title="True label", sort=in_order("true_place")),
    }


def shares_in_cells() -> list[Any]:
    """The shares as shades, and as numbers where they are not next to nothing."""
    alt = altair()
    color = alt.Color("share:Q", scale=alt.Scale(type="sqrt", domain=[0, 1]), legend=None)
    says = told(
        ("true_name", "True label", ""),
        ("name", "Label given", ""),
        ("share", "Share", PERCENT),
        ("count", "Annotations", ",.1f"),
    )
    cell = alt.Chart().encode(**matrix_axes(), tooltip=says)
    white = alt.condition(alt.datum.dark, alt.value("white"), alt.value("black"))
    number = cell.mark_text(fontSize=10).encode(text="percent:N", color=white)
    return [cell.mark_rect().encode(color=color), number]


@chart
def class_confusions(found: Any) -> Chart:
    """Which classes are taken for one another, the most frequent confusion first, as bars.

    **How to read it.** Of a fit or a report a bar says how many annotations of a true class got another
    label: `dog → wolf` are dogs that were called wolves. Of the table of `pc.disagreements` it says how many
    pairs of annotations of one example disagree like this, and the black tick how many would if labels were
    given by chance: a bar well short of its tick is nothing to worry about.

    **What to do.** The first bars are where a sentence in the instructions, or merging two classes, helps
    most.

    Parameters
    ----------
    found
        A fit that has `.confusion`, an `AnnotatorReport` or a report on judges, results that were opened; the
        table of `pc.disagreements`; or a frame like `.confusion`.

    Returns
    -------
    altair.LayerChart
        Of at most 15 pairs of classes.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> log = pc.datasets.tutorial().log
    >>> pc.plot.class_confusions(pc.disagreements(log)).to_dict()["title"]["text"]
    ['Classes taken for one another']
    """
    pairs, what = confused_pairs(found)
    pairs = some_of(pairs.filter(pl.col("count") > 0), "found", "takes no class for another.")
    pairs = pairs.sort("count", descending=True)
    rows = pairs.head(MOST_PAIRS).with_row_index("place")
    rows = rows.with_columns(pair=names_of(rows["pair"]))
    rest = float(pairs["count"].slice(MOST_PAIRS).sum())
    said = left_out(len(rows), len(pairs), "pair", "most frequent", f"the others: {rest:,.0f}")
    by_chance = "Black ticks: as many by chance." if "expected" in rows.columns else ""
    layers = bars_of_pairs(what, "expected" in rows.columns)
    title = "Classes taken for one another"
    return drawn(rows, layers, title, by_chance, said, height=34 * len(rows))


def bars_of_pairs(what: str, has_expected: bool) -> list[Any]:
    """A bar under the names of each pair; with a tick at what chance would give."""
    alt = altair()
    other = (
        ("expected", "By chance", ",.1f") if has_expected else ("share", "Of that class", PERCENT)
    )
    says = told(("pair", "Classes", ""), ("count", what, ",.1f"), other)
    y = alt.Y("pair:N", title=None, sort=in_order("place"), axis=None)
    both = alt.Chart().encode(y=y, tooltip=says)
    along = {"title": what, "axis": {"grid": False}}
    bar = both.mark_bar(color=BLUE, size=12, yOffset=7).encode(x=alt.X("count:Q", **along))
    name = both.mark_text(align="left", baseline="bottom", yOffset=-1).encode(
        x=alt.datum(0, **along), text="pair:N"
    )
    tick = both.mark_tick(color="black", thickness=3, size=16, yOffset=7).encode(
        x=alt.X("expected:Q", **along)
    )
    return [bar, name, tick] if has_expected else [bar, name]


def confused_pairs(found: Any) -> tuple[pl.DataFrame, str]:
    """`pair`, `count` and what is counted: with `share` of the true class, or with `expected` by chance."""
    frame = found if isinstance(found, FRAMES) else None
    if frame is not None and "label_1" in frame.collect_schema():
        return disagreeing_pairs(frame.lazy()), "Pairs of annotations"
    cells = class_cells(found).filter(pl.col("true_label") != pl.col("label"))
    return cells.select(pair=pair_text(*PAIR, "→"), count="count", share="share"), "Annotations"


def disagreeing_pairs(frame: pl.LazyFrame) -> pl.DataFrame:
    """Of each two classes one row, of which the table has two."""
    table_of(frame, "disagreements", "found", "label_1", "label_2", "observed", "expected")
    return each_pair_once(frame.collect()).select(
        pair=pair_text("label_1", "label_2", "and"), count="observed", expected="expected"
    )


def each_pair_once(table: pl.DataFrame) -> pl.DataFrame:
    """The rows of two different classes, the first of which stands before the second in their order."""
    places = pl.DataFrame({"label": table["label_1"].unique(maintain_order=True)}).with_row_index(
        "at"
    )
    first, second = (
        table.join(places, left_on=name, right_on="label", how="left", maintain_order="left")["at"]
        for name in ("label_1", "label_2")
    )
    return table.filter(first < second)


def pair_text(one: str, other: str, between: str) -> pl.Expr:
    return pl.format(f"{{}} {between} {{}}", *(shown_as(name) for name in (one, other)))


def shown_as(column: str) -> pl.Expr:
    """Names that two of fit into a line."""
    name = partial(name_of, longest=LONGEST // 3)
    return pl.col(column).map_elements(name, return_dtype=pl.String)


# --- the cells of a confusion matrix -----------------------------------------------------------------


def class_cells(found: Any, annotator: Any = None) -> pl.DataFrame:
    """`true_label`, `label`, `count`, and `share` of the true label's, of every two classes in their order;
    of one annotator or of all. Where nothing is counted, each annotator counts as one."""
    table = some_of(table_of(found, "confusion", "found", *PAIR).collect(), "found")
    classes = classes_of(table, getattr(found, "classes", None))
    if annotator is not None:
        table = of_annotator(table, annotator)
    count = "num_annotations" if "num_annotations" in table.columns else "probability"
    table_of(table, "confusion", "found", count)
    sums = table.group_by(PAIR).agg(count=pl.col(count).cast(pl.Float64).sum())
    every = classes.rename({"class": "true_label"}).join(
        classes.rename({"class": "label"}), how="cross"
    )
    cells = every.join(sums, on=PAIR, how="left", maintain_order="left")
    share = pl.col("count") / pl.col("count").sum().over("true_label")
    return cells.with_columns(pl.col("count").fill_null(0.0)).with_columns(
        share=share.fill_nan(None)
    )


def classes_of(table: pl.DataFrame, known: Any) -> pl.DataFrame:
    """The classes in the order of a fit that says it, else sorted."""
    there = pl.concat([table.select(pl.col(name).alias("class")) for name in PAIR]).unique()
    if isinstance(known, list):
        order = pl.DataFrame({"class": pl.Series(known).cast(there["class"].dtype, strict=False)})
        there = there.join(order.with_row_index("at"), on="class", how="left").sort("at", "class")
        return there.drop("at")
    return there.sort("class")


def of_annotator(table: pl.DataFrame, annotator: Any) -> pl.DataFrame:
    if "annotator" not in table.columns:
        wrong = "is of nobody in particular: it has no column 'annotator'."
        raise AnnotationError(wrong, "Leave annotator= out.", source="found")
    asked = match_ids(
        pl.Series([annotator]), table["annotator"], "annotator", "annotator", "the table"
    )
    return table.filter(pl.col("annotator") == asked.ids[0])


def most_confused(cells: pl.DataFrame, classes: pl.Series) -> pl.Series:
    """The classes with the most annotations off the diagonal, in their order."""
    wrong = cells.filter(pl.col("true_label") != pl.col("label"))
    both = pl.concat([wrong.select(label=pl.col(name), n="count") for name in PAIR])
    worst = (
        both.group_by("label").agg(pl.col("n").sum()).sort("n", "label", descending=[True, False])
    )
    if len(classes) <= MOST_CLASSES:
        return classes
    return classes.filter(classes.is_in(worst["label"].head(MOST_CLASSES).implode()))
