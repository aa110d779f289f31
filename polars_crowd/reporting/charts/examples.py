"""Charts of examples: how sure their consensus is, how many labels they have, what to label next."""

from __future__ import annotations

from math import floor, log10
from typing import Any

import polars as pl

from polars_crowd.errors import counted
from polars_crowd.reporting.charts.tables import (
    BINS,
    FRAMES,
    bin_of,
    ends_of_bins,
    examples_in,
    has,
    share_said,
    some_of,
    table_of,
)
from polars_crowd.reporting.charts.theme import (
    BLUE,
    COUNT,
    ORANGE,
    PERCENT,
    Chart,
    altair,
    chart,
    drawn,
    in_order,
    told,
)
from polars_crowd.rounds.opening import OpenOptions, open_rounds
from polars_crowd.rounds.partitions import Partition, Partitioned
from polars_crowd.rounds.summaries import Summary

MOST_BARS = 30
DOUBTFUL = 0.5
OF_SHARES: dict[str, Any] = {"scale": {"domain": [0, 1]}, "axis": {"tickCount": 10}}
QUALITY = "consensus_quality_score"


@chart
def consensus_quality(fit: Any) -> Chart:
    """How sure the consensus of the examples is, as a histogram.

    **How to read it.** Each bar counts the examples whose consensus quality lies in its range: the
    probability that the consensus is right. Bars left of the dashed line, in orange, are examples whose
    consensus is more likely wrong than right.

    **What to do.** A heap on the right is what one hopes for. Examples on the left want more annotations, or
    the eye of an expert: `fit.examples.sort("consensus_quality_score")` lists them.

    Parameters
    ----------
    fit
        A fit of classes, results that were opened, or a frame with the column `consensus_quality_score`; and
        `num_examples`, if a row stands for several.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = pc.dawid_skene(pc.datasets.tutorial().log)
    >>> chart = pc.plot.consensus_quality(fit)
    >>> chart.to_dict()["title"]["text"]
    ['How sure the consensus is']
    """
    scores = table_of(fit, "examples", "fit", QUALITY).filter(pl.col(QUALITY).is_not_null())
    doubtful = pl.col("bin") < DOUBTFUL * BINS
    rows = some_of(
        scores.group_by(bin=bin_of(pl.col(QUALITY))).agg(count=examples_in(scores)).collect(), "fit"
    )
    rows = rows.sort("bin").with_columns(
        **ends_of_bins(),
        share=pl.col("count") / pl.col("count").sum(),
        kind=pl.when(doubtful)
        .then(pl.lit("more likely wrong"))
        .otherwise(pl.lit("more likely right")),
    )
    alt = altair()
    color = alt.Color("kind:N", title="The consensus is", scale=alt.Scale(range=[BLUE, ORANGE]))
    says = told(*between("Quality"), ("count", "Examples", COUNT), ("share", "Share", PERCENT))
    bars = histogram("Consensus quality", says, **OF_SHARES).encode(color=color)
    half = alt.Chart().mark_rule(strokeDash=[4, 3]).encode(x=alt.datum(DOUBTFUL))
    below = int(rows.filter(doubtful)["count"].sum())
    said = share_said(below, int(rows["count"].sum()), "example")
    return drawn(rows, [bars, half], "How sure the consensus is", f"{said} below {DOUBTFUL}.")


def histogram(of: str, says: list[Any], count: str = "count", **axis: Any) -> Any:
    """A bar for each bin `low, high`, as high as it has examples."""
    alt = altair()
    x = alt.X("low:Q", bin="binned", title=of, **axis)
    y = alt.Y(f"{count}:Q", title="Examples")
    bars = alt.Chart().mark_bar(binSpacing=1, color=BLUE)
    return bars.encode(x=x, x2="high:Q", y=y, tooltip=says)


def between(title: str) -> tuple[tuple[str, str, str], ...]:
    """The ends of a bin, as a mark tells them."""
    return ("low", f"{title} from", ".2f"), ("high", "to", ".2f")


@chart
def labels_per_example(log: Any) -> Chart:
    """How many annotations the examples have, as bars.

    **How to read it.** Each bar counts the examples with so many annotations.

    **What to do.** Of an example with one annotation nothing says whether it is right: agreement is not
    measured on it. A few examples with many more than the others are often wells of repeated work. What to
    label next is `pc.activelab`, how many labels are still needed `pc.label_budget`.

    Parameters
    ----------
    log
        Annotations, whatever `scan_annotations` takes, or a store; or a fit, results that were opened, or a
        frame of examples with the column `num_annotations`; and `num_examples`, if a row stands for several.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> chart = pc.plot.labels_per_example(pc.datasets.tutorial().log)
    >>> chart.to_dict()["title"]["subtitle"]
    ['296 examples, 4.92 annotations each; 5 of 296 examples', '(2%) have one.']
    """
    counts = some_of(annotation_counts(log), "log")
    examples, annotations = pl.col("examples"), pl.col("num_annotations")
    n, total = counts.select(examples.sum(), all=(examples * annotations).sum()).row(0)
    single = int(counts.filter(annotations == 1)["examples"].sum())
    width = -(-int(counts["num_annotations"].max() or 1) // MOST_BARS)  # type: ignore[arg-type]
    rows = counts.group_by(bin=annotations // width).agg(examples.sum()).sort("bin")
    rows = rows.with_columns(least=pl.col("bin") * width, most=(pl.col("bin") + 1) * width - 1)
    rows = rows.with_columns(low=pl.col("least") - 0.5, high=pl.col("most") + 0.5)
    says = told(
        ("least", "Annotations from", COUNT),
        ("most", "to", COUNT),
        ("examples", "Examples", COUNT),
    )
    axis = {"tickMinStep": 1, "format": "d"}
    bars = histogram("Annotations of an example", says, "examples", axis=axis)
    mean = f"{counted(n, 'example')}, {total / n:.3g} annotations each"
    said = f"{mean}; {share_said(single, n, 'example')} have one."
    return drawn(rows, [bars], "Annotations per example", said)


def annotation_counts(log: Any) -> pl.DataFrame:
    """`num_annotations`, `examples`: how many examples have so many."""
    of_examples = isinstance(log, FRAMES) and has(log.lazy(), "num_annotations")
    if not of_examples and (isinstance(log, FRAMES) or not hasattr(log, "examples")):
        options: OpenOptions = {} if isinstance(log, Partitioned) else {"duplicates": "all"}
        return open_rounds(log, anonymous=True, **options).run(count_annotations)[KEY]
    table = table_of(log, "examples", "log", "num_annotations")
    return count_of(table).collect().sort(*KEY)


KEY = ("num_annotations",)


def count_of(examples: pl.LazyFrame) -> pl.LazyFrame:
    number = pl.col("num_annotations").cast(pl.Int64)
    return examples.group_by(num_annotations=number).agg(examples=examples_in(examples))


def count_annotations(part: Partition) -> Summary:
    """How many examples of a partition have so many annotations."""
    return {KEY: count_of(part.runs.examples.lazy())}


QUEUE = "active_learning_score"
SO_FAR = ("none", "one", "two", "three or more")
SHADES = ("#00204C", "#5B5E6E", "#A59C74", "#FDE737")
"""Of cividis, four steps apart."""


@chart
def queue(scores: Any) -> Chart:
    """What to label next: the active learning scores, as a histogram.

    **How to read it.** The lower the score, the more another label of the example is worth: the queue begins
    on the left. The shade says how many annotations the examples have so far.

    **What to do.** Label from the left: `pc.next_batch(scores, size)` picks a batch. A heap of dark bars on
    the left asks for first labels, light ones for another look at disputed examples. Where the left end has
    run dry, another label changes little, and it is time to stop.

    Parameters
    ----------
    scores
        The table of `pc.activelab` or `pc.multilabel_activelab`, or one with `active_learning_score`, and
        `num_annotations` if it is known; and `num_examples`, if a row stands for several.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> data = pc.datasets.tutorial()
    >>> chart = pc.plot.queue(pc.activelab(data.log, data.pred_probs))
    >>> chart.to_dict()["title"]["subtitle"]
    ['296 examples; the lowest scores come first.']
    """
    table = table_of(scores, "scores", "scores", QUEUE)
    number = pl.col("num_annotations") if has(table, "num_annotations") else pl.lit(None, pl.Int64)
    weight = ["num_examples"] if has(table, "num_examples") else []
    place = number.clip(0, len(SO_FAR) - 1).cast(pl.Int64).alias("place")
    known = table.select(place, *weight, score=pl.col(QUEUE)).drop_nulls("score")
    least, most = (
        known.select(least=pl.col("score").min(), most=pl.col("score").max()).collect().row(0)
    )
    width = bin_width((most or 0.0) - (least or 0.0))
    of_bin = known.group_by("place", bin=(pl.col("score") / width).floor()).agg(
        count=examples_in(known)
    )
    rows = (
        some_of(of_bin.collect(), "scores")
        .sort("bin", "place")
        .with_columns(
            low=pl.col("bin") * width,
            high=(pl.col("bin") + 1) * width,
            so_far=pl.col("place").replace_strict(dict(enumerate(SO_FAR)), return_dtype=pl.String),
        )
    )
    said = f"{counted(int(rows['count'].sum()), 'example')}; the lowest scores come first."
    return drawn(rows, [bars_of_queue(rows["place"])], "What to label next", said)


def bin_width(span: float) -> float:
    """A round number that goes into a span about twenty times.

    >>> bin_width(0.3), bin_width(1.0), bin_width(0.0)
    (0.02, 0.05, 0.05)
    """
    rough = span / BINS or 1 / BINS
    unit = 10.0 ** floor(log10(rough) + 1e-9)
    return next(
        round(unit * step, 12) for step in (1, 2, 5, 10) if unit * step >= rough * (1 - 1e-9)
    )


def bars_of_queue(places: pl.Series) -> Any:
    alt = altair()
    there = places.drop_nulls().unique().sort()
    shades = {"domain": [SO_FAR[k] for k in there], "range": [SHADES[k] for k in there]}
    color = alt.Color("so_far:N", title="Annotations so far", scale=shades, sort=in_order("place"))
    says = told(*between("Score"), ("count", "Examples", COUNT))
    bars = histogram("Active learning score", says).encode(order="place:Q")
    return bars.encode(color=color) if len(there) else bars
