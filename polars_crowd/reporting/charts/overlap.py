"""The graph of annotators who share examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from polars_crowd.errors import counted
from polars_crowd.reporting.charts.tables import some_of, table_of
from polars_crowd.reporting.charts.theme import (
    CATEGORIES,
    COUNT,
    GREY,
    SHAPES,
    Chart,
    altair,
    chart,
    drawn,
    in_order,
    left_out,
    name_of,
    names_of,
    told,
)

MOST_NODES = 40
MOST_EDGES = 150
MOST_NAMED = 12
HEIGHT = 340
NAMED_AT = 20
"""So many pixels above or below its node is a name."""
NAME = 14
"""Characters of a name."""
PAIR = ("annotator_1", "annotator_2")


@chart
def overlap(found: Any) -> Chart:
    """Which annotators share examples, as a graph.

    **How to read it.** A point is an annotator, a line two who labelled the same examples: the wider, the
    more. Annotators of one component are connected, by others if not directly, and stand in one circle. Only
    within a component can annotators be compared.

    **What to do.** Two circles are two crowds whose qualities are on no common scale: give some examples to
    both. An annotator who hangs on one thin line is known by that one other only: give them examples that
    many have labelled.

    Parameters
    ----------
    found
        What `pc.overlap` returned: it has `annotators` (`annotator, component`) and `pairs` (`annotator_1,
        annotator_2, num_examples`).

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> class Found:
    ...     annotators = pl.DataFrame({"annotator": ["a", "b", "c"], "component": [0, 0, 1]})
    ...     pairs = pl.DataFrame({"annotator_1": ["a"], "annotator_2": ["b"], "num_examples": [7]})
    >>> pc.plot.overlap(Found()).to_dict()["title"]["subtitle"]
    ['2 components: their annotators share no example with', 'those of another; 1 of one annotator.']
    """
    annotators = table_of(found, "annotators", "found", "annotator", "component")
    pairs = table_of(found, "pairs", "found", *PAIR, "num_examples").select(*PAIR, n="num_examples")
    everybody = some_of(annotators.select("annotator", "component").collect(), "found")
    nodes = placed(chosen_nodes(everybody, strengths(pairs)))
    edges, n_edges = edges_between(pairs, nodes)
    rows = pl.concat([edges, nodes.drop("annotator", "rank")], how="diagonal")
    sizes = everybody.group_by("component").len()["len"]
    rest = left_out(nodes.height, everybody.height, "annotator", "best connected")
    of_edges = left_out(edges.height, n_edges, "pair", "widest")
    layers = graph_layers(nodes["group"].unique().sort())
    return drawn(
        rows, layers, "Who shares examples", in_components(sizes), rest, of_edges, height=HEIGHT
    )


def in_components(sizes: pl.Series) -> str:
    if len(sizes) == 1:
        return "All annotators are connected."
    single = int((sizes == 1).sum())
    of_one = f"; {single:,} of one annotator" if single else ""
    apart = "their annotators share no example with those of another"
    return f"{counted(len(sizes), 'component')}: {apart}{of_one}."


def strengths(pairs: pl.LazyFrame) -> pl.DataFrame:
    """`annotator`, `n`: how many examples each shares, by pairs."""
    both = pl.concat([pairs.select(annotator=name, n="n") for name in PAIR])
    return both.group_by("annotator").agg(pl.col("n").sum()).collect()


def chosen_nodes(everybody: pl.DataFrame, strength: pl.DataFrame) -> pl.DataFrame:
    """Those that are drawn: of each component in turn the best connected; `group` numbers the components."""
    nodes = everybody.join(strength, on="annotator", how="left", maintain_order="left")
    nodes = nodes.with_columns(pl.col("n").fill_null(0), size=pl.len().over("component"))
    nodes = nodes.sort("n", "annotator", descending=[True, False])
    nodes = nodes.with_columns(rank=pl.int_range(pl.len()).over("component"))
    by = ("rank", "size", "component")
    nodes = nodes.sort(by, descending=[False, True, False]).head(MOST_NODES)
    largest = nodes.select("component", "size").unique().sort(by[1:], descending=[True, False])
    groups = largest.select("component").with_row_index("group")
    return nodes.join(groups, on="component").sort("group", "rank")


def placed(nodes: pl.DataFrame) -> pl.DataFrame:
    """The nodes with `x`, `y`: the components in a grid, the annotators of each in a circle; and with their
    names, which stand above or below them at `at_y` where they are few."""
    group, rank = (nodes[name].cast(pl.Int64).to_numpy() for name in ("group", "rank"))
    n_in = np.bincount(group)
    columns = int(np.ceil(np.sqrt(len(n_in))))
    angle = 2 * np.pi * rank / n_in[group] - np.pi / 2
    radius = np.where(n_in > 1, 0.25 + 0.1 * np.minimum(n_in, 10) / 10, 0)[group]
    center = np.array([group % columns, -(group // columns)])
    around = np.array([np.cos(angle), np.sin(angle)])
    x, y = center + radius * around
    at_y = y + np.where(around[1] > -0.1, 1, -1) * NAMED_AT / HEIGHT * (np.ptp(center[1]) + 0.9)
    shown = names_of(nodes["annotator"])
    beside = (
        [name_of(name, NAME) for name in shown] if len(nodes) <= MOST_NAMED else [""] * len(nodes)
    )
    of_group = [group_name(k) for k in group]
    return nodes.with_columns(
        name=shown,
        beside=pl.Series(beside, dtype=pl.String),
        component=pl.Series(of_group),
        **{k: pl.Series(v) for k, v in {"x": x, "y": y, "at_y": at_y}.items()},
    )


def group_name(group: int) -> str:
    """Components by size; the small ones under one name."""
    return f"{group + 1}" if group < len(SHAPES) - 1 else f"{len(SHAPES)} and more"


def edges_between(pairs: pl.LazyFrame, nodes: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The widest lines between the nodes, with their ends; and how many there are."""
    places = nodes.select("annotator", "name", "x", "y").lazy()
    edges = pairs
    for one in PAIR:
        ends = places.rename(
            {"annotator": one, **{c: f"{c}_{one[-1]}" for c in ("name", "x", "y")}}
        )
        edges = edges.join(ends, on=one)
    found = edges.drop(PAIR).collect()
    return found.sort("n", "name_1", "name_2", descending=[True, False, False]).head(
        MOST_EDGES
    ), found.height


def graph_layers(groups: pl.Series) -> list[Any]:
    alt = altair()
    none = {"axis": None, "scale": alt.Scale(zero=False, padding=26)}
    edge = (
        alt.Chart()
        .mark_rule(color=GREY, opacity=0.5)
        .encode(
            x=alt.X("x_1:Q", **none),
            y=alt.Y("y_1:Q", **none),
            x2="x_2:Q",
            y2="y_2:Q",
            strokeWidth=alt.StrokeWidth(
                "n:Q",
                title="Shared examples",
                scale=alt.Scale(range=[0.5, 5]),
                legend=alt.Legend(tickCount=3),
            ),
            tooltip=told(
                ("name_1", "Annotator", ""), ("name_2", "and", ""), ("n", "Shared examples", COUNT)
            ),
        )
    )
    legend = alt.Legend(title="Component, the largest first") if len(groups) > 1 else None
    color, shape = (
        channel(
            "component:N",
            sort=in_order("group"),
            legend=legend,
            scale={"range": list(of[: len(groups)])},
        )
        for channel, of in ((alt.Color, CATEGORIES), (alt.Shape, SHAPES))
    )
    own = alt.Chart().transform_filter(alt.FieldValidPredicate(field="x", valid=True))
    node = own.mark_point(filled=True, size=90, opacity=1).encode(
        x=alt.X("x:Q", **none),
        y=alt.Y("y:Q", **none),
        color=color,
        shape=shape,
        tooltip=told(("name", "Annotator", ""), ("component", "Component", "")),
    )
    name = own.mark_text(fontSize=10).encode(
        x=alt.X("x:Q", **none), y=alt.Y("at_y:Q", **none), text="beside:N"
    )
    return [edge, node, name]
