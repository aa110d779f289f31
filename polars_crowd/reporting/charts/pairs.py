"""Charts of pairs of annotators: who agrees with whom."""

from __future__ import annotations

from typing import Any, Literal

import polars as pl

from polars_crowd.reporting.charts.tables import some_of, table_of
from polars_crowd.reporting.charts.theme import (
    COUNT,
    SCORE,
    Chart,
    altair,
    chart,
    drawn,
    in_order,
    left_out,
    named,
    told,
)

MOST_COMPARED = 12
BOTH = ("annotator_1", "annotator_2")
WORDS = {"agreement": "Share of same labels", "kappa": "Cohen's kappa"}


@chart
def pairwise_agreement(pairs: Any, measure: Literal["agreement", "kappa"] = "agreement") -> Chart:
    """Who agrees with whom, as a matrix of annotators.

    **How to read it.** A cell is the agreement of two annotators on the examples that both labelled, in
    hundredths: the lighter, the more. Those who agree least with all others stand first. An empty cell is a
    pair without shared examples.

    **What to do.** A dark row and column is an annotator whom nobody agrees with: look at their work first.
    Light blocks beside dark ones are groups that read the task in different ways. A cell of one or two shared
    examples says little: their number is under the pointer.

    Parameters
    ----------
    pairs
        The table of `pc.pairwise_agreement`.
    measure
        `"agreement"`, the share of shared examples with the same label; `"kappa"`, Cohen's, which takes out
        what chance would give.

    Returns
    -------
    altair.LayerChart
        Of at most 12 annotators.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> pairs = pc.pairwise_agreement(pc.datasets.tutorial().log)
    >>> pc.plot.pairwise_agreement(pairs).to_dict()["title"]["text"]
    ['Who agrees with whom']
    """
    table = both_ways(table_of(pairs, "pairs", "pairs", *BOTH, measure, "num_shared"), measure)
    worst = least_agreeing(table)
    shown = worst.head(MOST_COMPARED).with_columns(**named(worst["annotator"].head(MOST_COMPARED)))
    rows = table
    for one in BOTH:
        places = shown.select(pl.all().name.suffix(one[-2:]))
        rows = rows.join(places, left_on=one, right_on=f"annotator{one[-2:]}").drop(one)
    rest = worst["mean"].slice(MOST_COMPARED)
    others = f"the others agree by {rest[0]:.2f} or more on average" if len(rest) else ""
    said = left_out(len(shown), len(worst), "annotator", "least agreeing", others)
    n = len(shown)
    empty = "; empty: no shared examples" if rows.height < n * (n - 1) else ""
    how = f"{WORDS[measure]} in hundredths{empty}."
    layers = cells_of_pairs(WORDS[measure])
    return drawn(rows, layers, "Who agrees with whom", how, said, height=max(140, 24 * n))


def both_ways(pairs: pl.LazyFrame, measure: str) -> pl.DataFrame:
    """Each pair in both orders, with `value`, `n` and the value in hundredths, `text`."""
    known = pairs.select(*BOTH, value=measure, n="num_shared").drop_nulls("value")
    text = pl.col("value").mul(100).round().cast(pl.Int64).cast(pl.String)
    one_way = some_of(known.with_columns(text=text, dark=pl.col("value") < 0.55).collect(), "pairs")
    other = one_way.select(
        pl.col(BOTH[1]).alias(BOTH[0]), pl.col(BOTH[0]).alias(BOTH[1]), *one_way.columns[2:]
    )
    return pl.concat([one_way, other])


def least_agreeing(pairs: pl.DataFrame) -> pl.DataFrame:
    """`place`, `annotator`, `mean`: the annotators, the one who agrees least with the others first."""
    mean = (pl.col("value") * pl.col("n")).sum() / pl.col("n").sum()
    of_each = pairs.group_by(annotator=BOTH[0]).agg(mean=mean)
    return of_each.sort("mean", "annotator").with_row_index("place")


def cells_of_pairs(what: str) -> list[Any]:
    alt = altair()
    narrow = {"labelLimit": 90}
    axes = {
        "x": alt.X(
            "short_2:N",
            title="Annotator",
            sort=in_order("place_2"),
            axis={"labelAngle": -45, **narrow},
        ),
        "y": alt.Y("short_1:N", title="Annotator", sort=in_order("place_1"), axis=narrow),
    }
    color = alt.Color("value:Q", scale=alt.Scale(domainMax=1), legend=None)
    says = told(
        ("name_1", "Annotator", ""),
        ("name_2", "and", ""),
        ("value", what, SCORE),
        ("n", "Shared examples", COUNT),
    )
    white = alt.condition(alt.datum.dark, alt.value("white"), alt.value("black"))
    return [
        alt.Chart().mark_rect().encode(**axes, color=color, tooltip=says),
        alt.Chart().mark_text(fontSize=9).encode(**axes, text="text:N", color=white, tooltip=says),
    ]
