"""Charts of how sure posteriors are: whether they may be, and what tempering does to them."""

from __future__ import annotations

from typing import Any

import polars as pl

from polars_crowd.errors import AnnotationError
from polars_crowd.inputs.matching import ids_like, written
from polars_crowd.inputs.tables import labels_beside
from polars_crowd.numerics.shares import wilson
from polars_crowd.reporting.charts.examples import OF_SHARES, QUALITY
from polars_crowd.reporting.charts.tables import BINS, bin_of, some_of, table_of
from polars_crowd.reporting.charts.theme import (
    BLUE,
    COUNT,
    GREY,
    ORANGE,
    PERCENT,
    SCORE,
    Chart,
    altair,
    chart,
    drawn,
    told,
)
from polars_crowd.truth.known import check_matched, check_unique

COARSE = 10
"""Bins of a reliability diagram."""
CONFIDENCE = 0.95
SURE = 0.95


@chart
def calibration(fit: Any, truth: Any) -> Chart:
    """Whether the consensus is as often right as it says: a reliability diagram.

    **How to read it.** Examples are put together by their consensus quality, in ten steps. Of each step a
    point says how many are right by the labels that are known, with an interval of 95 %; the larger, the
    more examples. On the dashed line they are right as often as they say; below it they are too sure, above
    it not sure enough.

    **What to do.** Where points lie below the line, take the quality for less than it says, fit with
    `confidence="cautious"`, or collect more known labels to be certain. Points with long lines say little.

    Parameters
    ----------
    fit
        A fit of classes, results that were opened, or a frame with `example, consensus_label,
        consensus_quality_score`.
    truth
        Known labels of some examples: a frame `example, label`.

    Warns
    -----
    AnnotationWarning
        Known labels are of examples that the fit has not.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> data = pc.datasets.tutorial()
    >>> chart = pc.plot.calibration(pc.dawid_skene(data.log), data.truth)
    >>> chart.to_dict()["title"]["subtitle"]
    ['Right in 86% of 296 examples; claimed 91%. Off by 6%', 'on average.']
    """
    rows = reliability(fit, truth)
    low, high = wilson(rows["right"].to_numpy(), rows["n"].cast(pl.Float64).to_numpy(), CONFIDENCE)
    rows = rows.with_columns(low=pl.Series(low), high=pl.Series(high))
    share = pl.col("n") / pl.col("n").sum()
    right, claimed, off = rows.select(
        (pl.col("right") * share).sum(),
        claimed=(pl.col("score") * share).sum(),
        off=((pl.col("right") - pl.col("score")).abs() * share).sum(),
    ).row(0)
    said = f"Right in {right:.0%} of {rows['n'].sum():,} examples; claimed {claimed:.0%}."
    off_by = f"Off by {off:.0%} on average."
    return drawn(
        rows, reliability_layers(), "Is it as right as it says?", f"{said} {off_by}", height=300
    )


def reliability(fit: Any, truth: Any) -> pl.DataFrame:
    """`score`, `right`, `n`: means of the examples of each bin whose truth is known."""
    examples = table_of(fit, "examples", "fit", "example", "consensus_label", QUALITY)
    schema = examples.collect_schema()
    known = labels_beside(truth, "truth").drop_nulls("label").collect()
    check_unique(known, "truth")
    ids = ids_like("example", known.schema["example"], schema["example"], "truth")
    label = written("consensus_label", schema["consensus_label"])
    both = examples.select("example", score=QUALITY, right=label).join(
        known.lazy().select(ids, known=written("label", known.schema["label"])), on="example"
    )
    hit = (pl.col("right") == pl.col("known")).mean()
    bins = (
        both.group_by(bin=bin_of(pl.col("score"), COARSE))
        .agg(pl.col("score").mean(), right=hit, n=pl.len())
        .collect()
    )

    def some_ids() -> pl.Series:
        return examples.select("example").head(COARSE).collect()["example"]

    check_matched(known["example"], int(bins["n"].sum()), some_ids, "truth")
    return some_of(bins.drop_nulls("score"), "fit").sort("bin")


def reliability_layers() -> list[Any]:
    alt = altair()
    says = told(
        ("score", "Claimed", SCORE),
        ("right", "Right", SCORE),
        ("low", "from", SCORE),
        ("high", "to", SCORE),
        ("n", "Examples", COUNT),
    )
    x = alt.X("score:Q", title="Consensus quality (claimed)", **OF_SHARES)
    y = alt.Y("right:Q", title="Share that is right", scale=alt.Scale(domain=[0, 1]))
    size = alt.Size("n:Q", scale=alt.Scale(range=[30, 300]), legend=None)
    ideal = (
        alt.Chart()
        .mark_rule(strokeDash=[4, 3])
        .encode(x=alt.datum(0), y=alt.datum(0), x2=alt.datum(1), y2=alt.datum(1))
    )
    return [
        ideal,
        alt.Chart()
        .mark_rule(color=GREY)
        .encode(x=x, y=alt.Y("low:Q", title="Share that is right"), y2="high:Q"),
        alt.Chart().mark_line(color=BLUE).encode(x=x, y=y),
        alt.Chart()
        .mark_point(filled=True, opacity=1, color=BLUE)
        .encode(x=x, y=y, size=size, tooltip=says),
    ]


@chart
def confidence(fit: Any) -> Chart:
    """How the fit's `confidence` moves the posterior: how sure the model is, and how sure the fit lets it be.

    **How to read it.** The lines count the examples by the probability of their most probable class: the
    dashed one as the model has it, as if all annotations were independent, the other one as the fit uses it,
    raised to the power `fit.confidence_exponent`. The further the second lies to the left, the less the log
    bears out the model's certainty.

    **What to do.** A large step to the left says that annotators err on the same examples: then more
    annotators of the same kind help little. Compare with known labels (`pc.plot.calibration`), if there are
    any.

    Parameters
    ----------
    fit
        A fit of truth inference, or results that were opened: what has `posterior` and `confidence_exponent`.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = pc.dawid_skene(pc.datasets.tutorial().log)
    >>> pc.plot.confidence(fit).to_dict()["title"]["subtitle"]
    ['Surer than 0.95: 55%; the model alone: 85%.', 'Posteriors to the power of 0.5.']
    """
    exponent = getattr(fit, "confidence_exponent", None)
    if not isinstance(exponent, float | int):
        raise AnnotationError(
            "has no confidence_exponent: give a fit of truth inference.", source="fit"
        )
    sure = certainties(table_of(fit, "posterior", "fit", "example", "probability"), float(exponent))
    rows = pl.concat([share_by_bin(sure, way, words) for way, words in WAYS.items()])
    above, by_model = sure.select(*((pl.col(way) > SURE).mean() for way in WAYS)).collect().row(0)
    said = f"Surer than {SURE}: {above:.0%}; the model alone: {by_model:.0%}."
    power = f"Posteriors to the power of {exponent:.3g}."
    if exponent == 1:
        power = "The fit is as sure as its model (to the power of 1)."
    return drawn(
        some_of(rows, "fit"), certainty_layers(), "How sure model and fit are", said, power
    )


WAYS = {"fit": "the fit", "model": "the model alone"}


def certainties(posterior: pl.LazyFrame, exponent: float) -> pl.LazyFrame:
    """The largest probability of each example, as it is (`fit`), and before it was tempered (`model`):
    with T' ∝ T^gamma, T ∝ T'^(1/gamma), and max T = 1 / sum (T' / max T')^(1/gamma)."""
    ratio = pl.col("probability") / pl.col("probability").max()
    return posterior.group_by("example").agg(
        fit=pl.col("probability").max(), model=1 / (ratio ** (1 / exponent)).sum()
    )


def share_by_bin(sure: pl.LazyFrame, way: str, words: str) -> pl.DataFrame:
    """The share of the examples in each bin, of all bins."""
    counts = sure.group_by(bin=bin_of(pl.col(way))).agg(count=pl.len()).collect()
    every = pl.DataFrame({"bin": range(BINS)}, schema={"bin": pl.Int64})
    rows = every.join(counts, on="bin", how="left", maintain_order="left")
    return rows.with_columns(
        pl.col("count").fill_null(0),
        middle=(pl.col("bin") + 0.5) / BINS,
        share=pl.col("count").fill_null(0) / pl.col("count").sum(),
        way=pl.lit(words),
    )


def certainty_layers() -> list[Any]:
    alt = altair()
    ways = list(WAYS.values())
    x = alt.X("middle:Q", title="Probability of the most probable class", **OF_SHARES)
    y = alt.Y("share:Q", title="Share of examples", axis=alt.Axis(format=".0%"))
    color = alt.Color("way:N", title="As sure as", scale={"domain": ways, "range": [BLUE, ORANGE]})
    dash = alt.StrokeDash(
        "way:N", title="As sure as", scale={"domain": ways, "range": [[1, 0], [5, 3]]}
    )
    shape = alt.Shape(
        "way:N", title="As sure as", scale={"domain": ways, "range": ["circle", "triangle-up"]}
    )
    says = told(
        ("way", "As sure as", ""),
        ("middle", "Probability about", ".3f"),
        ("share", "Share", PERCENT),
        ("count", "Examples", COUNT),
    )
    line = alt.Chart().mark_line().encode(x=x, y=y, color=color, strokeDash=dash)
    point = (
        alt.Chart()
        .mark_point(filled=True, size=40, opacity=1)
        .encode(x=x, y=y, color=color, shape=shape, tooltip=says)
    )
    return [line, point]
