"""The graph of annotators who share examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from polars_crowd.errors import counted
from polars_crowd.reporting.charts.tables import has, some_of, table_of
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
    more; dashed where without these examples the two would not be connected. Annotators of one component are
    connected, by others if not directly, and stand in one circle. Only within a component can annotators be
    compared.

    **What to do.** Two circles are two crowds whose qualities are on no common scale: give some examples to
    both. An annotator who hangs on one thin or dashed line is known by that one other only: give them
    examples that many have labelled.

    Parameters
    ----------
    found
        What `pc.overlap` returned: it has `annotators` (`annotator, component`) and `pairs` (`annotator_1,
        annotator_2, num_examples`).

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pl.DataFrame({"example": [1, 1, 2], "annotator": ["a", "b", "c"], "label": ["x", "x", "y"]})
    >>> pc.plot.overlap(pc.overlap(log)).to_dict()["title"]["subtitle"][:2]
    ['2 components: their annotators share no example with', 'those of another; 1 of one annotator.']
    """
    annotators = table_of(found, "annotators", "found", "annotator", "component")
    pairs = table_of(found, "pairs", "found", *PAIR, "num_examples")
    only = pl.col("is_bridge") if has(pairs, "is_bridge") else pl.lit(False)
    pairs = pairs.select(*PAIR, n="num_examples", only=only)
    everybody = some_of(annotators.select("annotator", "component").collect(), "found")
    nodes = placed(chosen_nodes(everybody, strengths(pairs)))
    edges, n_edges = edges_between(pairs, nodes)
    rows = pl.concat([edges, nodes.drop("annotator", "rank")], how="diagonal")
    sizes = everybody.group_by("component").len()["len"]
    rest = left_out(nodes.height, everybody.height, "annotator", "best or barely connected")
    of_edges = left_out(edges.height, n_edges, "pair", "widest")
    layers = graph_layers(nodes["group"].n_unique())
    dashed = "Dashed: the only link of the two." if edges["only"].any() else ""
    said = (in_components(sizes), dashed, rest, of_edges)
    return drawn(rows, layers, "Who shares examples", *said, height=HEIGHT)


def in_components(sizes: pl.Series) -> str:
    if len(sizes) == 1:
        return "All annotators are connected."
    single = int((sizes == 1).sum())
    of_one = f"; {single:,} of one annotator" if single else ""
    apart = "their annotators share no example with those of another"
    return f"{counted(len(sizes), 'component')}: {apart}{of_one}."


def strengths(pairs: pl.LazyFrame) -> pl.DataFrame:
    """`annotator`, `n`, how many examples each shares, by pairs; `only`: whether it has an only link."""
    both = pl.concat([pairs.select("n", "only", annotator=name) for name in PAIR])
    return both.group_by("annotator").agg(pl.col("n").sum(), pl.col("only").any()).collect()


def chosen_nodes(everybody: pl.DataFrame, strength: pl.DataFrame) -> pl.DataFrame:
    """Those that are drawn: of each component in turn those with an only link, and the best
    connected; `group` numbers the components."""
    nodes = everybody.join(strength, on="annotator", how="left", maintain_order="left")
    nodes = nodes.with_columns(
        pl.col("n").fill_null(0), pl.col("only").fill_null(False), size=pl.len().over("component")
    )
    nodes = nodes.sort("only", "n", "annotator", descending=[True, True, False])
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
    by = ("only", "n", "name_1", "name_2")
    return found.sort(by, descending=[True, True, False, False]).head(MOST_EDGES), found.height


def graph_layers(n_groups: int) -> list[Any]:
    alt = altair()
    legend = alt.Legend(title="Component, the largest first") if n_groups > 1 else None
    color, shape = (
        channel(
            "component:N",
            sort=in_order("group"),
            legend=legend,
            scale={"range": list(of[:n_groups])},
        )
        for channel, of in ((alt.Color, CATEGORIES), (alt.Shape, SHAPES))
    )
    own = alt.Chart().transform_filter(alt.FieldValidPredicate(field="x", valid=True))
    says = told(("name", "Annotator", ""), ("component", "Component", ""))
    node = own.mark_point(filled=True, size=90, opacity=1).encode(
        **at("x", "y"), color=color, shape=shape, tooltip=says
    )
    name = own.mark_text(fontSize=10).encode(**at("x", "at_y"), text="beside:N")
    return [lines(), node, name]


def at(x: str, y: str) -> dict[str, Any]:
    """Where something is: the two numbers mean nothing, and have no axes."""
    alt = altair()
    none = {"axis": None, "scale": alt.Scale(zero=False, padding=26)}
    return {"x": alt.X(f"{x}:Q", **none), "y": alt.Y(f"{y}:Q", **none)}


def lines() -> Any:
    """The pairs; dashed where they are the only link."""
    alt = altair()
    width = alt.StrokeWidth("n:Q", scale=alt.Scale(range=[1, 6]), legend=None)
    dash = alt.condition(alt.datum.only, alt.value([5, 3]), alt.value([1, 0]))
    says = told(("name_1", "Annotator", ""), ("name_2", "and", ""), ("n", "Shared examples", COUNT))
    ends = {**at("x_1", "y_1"), "x2": "x_2:Q", "y2": "y_2:Q"}
    line = alt.Chart().mark_rule(color=GREY, opacity=0.5)
    return line.encode(**ends, strokeWidth=width, strokeDash=dash, tooltip=says)
