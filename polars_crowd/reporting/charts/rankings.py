"""Charts of what was ranked: methods that were compared, and examples by preferences."""

from __future__ import annotations

from typing import Any, Literal

import polars as pl

from polars_crowd.errors import counted
from polars_crowd.reporting.charts.dots import dots
from polars_crowd.reporting.charts.tables import has, some_of, table_of
from polars_crowd.reporting.charts.theme import Chart, chart, drawn, left_out, named

MOST_RANKED = 30
MEASURES = (
    ("accuracy", "Accuracy on known labels", "num_compared", ("ci_low", "ci_high")),
    ("mean_absolute_error", "Mean absolute error (less is better)", "num_compared", None),
    ("held_out_log_loss", "Log loss of annotations left out (less is better)", None, None),
    ("agreement_with_others", "Agreement with the other methods", None, None),
    ("difference_from_others", "Difference from the other methods", None, None),
)
"""What methods are compared by, the most telling first: column, words, numbers behind it, ends."""
NONE = pl.lit(None, pl.Float64)


@chart
def comparison(found: Any) -> Chart:
    """How good the methods are that were compared, the best first.

    **How to read it.** A point is a method's accuracy on known labels, with its interval of 95 %; for numbers
    the mean error. Without known labels it is the log loss of annotations that the method had not seen, which
    says how well it knows the annotators, and is no measure of the truth.

    **What to do.** Methods whose intervals overlap are not told apart by these labels: take the simpler one,
    or compare on more known labels.

    Parameters
    ----------
    found
        What `pc.compare` returned, or its table `methods`.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> data = pc.datasets.tutorial()
    >>> found = pc.compare(data.log, ["majority_vote", "wawa"], truth=data.truth, folds=0)
    >>> pc.plot.comparison(found).to_dict()["title"]["subtitle"]
    ['Accuracy on known labels.']
    """
    table = some_of(table_of(found, "methods", "found", "method").collect(), "found")
    measures = [of for of in MEASURES if has(table.lazy(), of[0]) and table[of[0]].count()]
    table_of(table, "methods", "found", *(of[0] for of in measures[:1] or MEASURES[:1]))
    value, what, n, ends = measures[0]
    low, high = (pl.col(end) for end in ends) if ends else (NONE, NONE)
    rows = table.select(
        **named(table["method"]), value=value, low=low, high=high, n=pl.col(n) if n else NONE
    ).with_row_index("place")
    title = "How good the methods are"
    return drawn(rows, dots(what, "Method", n="Compared"), title, f"{what}.", height=24 * len(rows))


@chart
def ranking(fit: Any) -> Chart:
    """The examples that were preferred most, with the intervals of their scores.

    **How to read it.** A point is the score of an example (the log of its strength: a step of 1 is odds of
    2.7 to 1), the line its interval. The dashed line is the median of all.

    **What to do.** Examples whose intervals overlap are not told apart yet: compare them with each other.

    Parameters
    ----------
    fit
        A fit of comparisons (`pc.bradley_terry`), results that were opened, or a frame with `example, score`,
        and `lower, upper, num_comparisons` if there are intervals.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pl.DataFrame({"annotator": "a", "left": ["x", "y"], "right": ["y", "x"], "winner": ["x", "y"]})
    >>> pc.plot.ranking(pc.bradley_terry(log)).to_dict()["title"]["text"]
    ['What is preferred']
    """
    frame = table_of(fit, "examples", "fit", "example", "score")
    of = {"value": "score", "low": "lower", "high": "upper", "n": "num_comparisons"}
    columns = {to: pl.col(one) if has(frame, one) else NONE for to, one in of.items()}
    best = frame.select("example", **columns).drop_nulls("value")
    all_, middle = best.select(pl.len(), pl.col("value").median()).collect().row(0)
    best = best.sort("value", "example", descending=[True, False]).head(MOST_RANKED)
    rows = some_of(best.collect(), "fit").with_row_index("place")
    rows = rows.with_columns(**named(rows["example"])).drop("example")
    said = left_out(
        len(rows), all_, "example", "best", f"the others score {rows['value'][-1]:.2f} or less"
    )
    layers = dots("Score", "Example", middle, n="Comparisons")
    return drawn(
        rows, layers, "What is preferred", said, "Dashed: the median of all.", height=18 * len(rows)
    )


@chart
def judge_agreement(
    found: Any, measure: Literal["kappa", "ac1", "alpha", "agreement"] = "kappa"
) -> Chart:
    """How far judges agree with the humans, the best first.

    **How to read it.** A point is the agreement of a judge with the consensus of the humans, the line its
    interval of 95 %: 1 is the same label always, and 0 (but for the plain share) what chance gives. Red
    triangles are judges that may not stand in for a human by the alternative annotator test, or for whom it
    could not be made.

    **What to do.** Prefer a judge whose whole interval lies to the right of the others'. Where intervals
    overlap, have more examples labelled by both. What a judge takes for what is `pc.plot.confusion` of
    `pc.annotator_report(log, against=...)` with the judge as `annotator`.

    Parameters
    ----------
    found
        What `pc.judge_report` returned, or its table `judges`.
    measure
        `"kappa"` is Cohen's, `"ac1"` Gwet's, `"alpha"` Krippendorff's; `"agreement"` is the share of examples
        with the same label.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> judges = pl.DataFrame({"annotator": ["gpt"], "kappa": [0.7], "kappa_low": [0.6], "kappa_high": [0.8]})
    >>> judges = judges.with_columns(num_annotations=100, may_stand_in=True)
    >>> pc.plot.judge_agreement(judges).to_dict()["title"]["text"]
    ['How judges agree with the humans']
    """
    ends = {"low": f"{measure}_low", "high": f"{measure}_high"}
    columns = ("annotator", measure, *ends.values(), "num_annotations", "may_stand_in")
    table = table_of(found, "judges", "found", *columns).select(columns).collect()
    table = some_of(table.drop_nulls(measure), "found")
    table = table.sort(measure, "annotator", descending=[True, False])
    best = table.head(MOST_RANKED)
    passed = pl.when("may_stand_in").then(pl.lit(MAY)).otherwise(pl.lit(MAY_NOT))
    rows = best.select(
        value=measure, **ends, n="num_annotations", kind=passed, **named(best["annotator"])
    ).with_row_index("place")
    said = left_out(len(rows), len(table), "judge", "best")
    may = int(table["may_stand_in"].sum())
    passing = f"{may:,} of {counted(len(table), 'judge')} may stand in for a human."
    kinds = KINDS if rows["kind"].n_unique() > 1 else None
    layers = dots(f"{WORDS[measure]} with the humans", "Judge", kinds=kinds)
    title = "How judges agree with the humans"
    return drawn(rows, layers, title, passing, said, height=24 * len(rows))


KINDS = MAY, MAY_NOT = "may stand in", "may not"
WORDS = {"kappa": "Cohen's kappa", "ac1": "Gwet's AC1", "alpha": "Krippendorff's alpha"}
WORDS |= {"agreement": "Share of same labels"}
