"""Drift: whether an annotator became worse than they were, window of time by window of time.

Of an annotation r with truth T[r,l] (`against`), x_r = T[r,l] is whether it is right. How right it may be
expected to be goes by how hard its example is, which the *other* annotators tell: s_r is the share of the
others' votes that their most chosen label has, and d the mean of what is left of the others' x in its
window w,

    base(s) = the mean of x over all annotations whose others agree as much (s in tenths)
    d_w     = sum over the others' annotations in w of (x - base(s)) / (their number + 50)
    e_r     = x_r - base(s_r) - d_w

Over the windows of an annotator, sums of n, x and base(s) + d are all that is needed. For each window t and
the last L = 1, ..., 4 windows up to it, their accuracy x is compared with that of all windows before them:

    p  = mean base there + mean e before           what was to be expected
    q  = the mean of p (as often as before) and x (as often as there)
    n' = 1 / (1 / n_there + 1 / n_before)          what the difference of two means is worth
    u  = P(Binomial(n', q) <= n' (q - (p - x)))    its point counted by half; n' is no integer, and the
                                                   probabilities are those of the incomplete beta function

where "mean e before" is shrunk by 10 annotations towards 0 if it is above. The smallest u over L, as
-quantile of a normal distribution, is the statistic: a generalised likelihood ratio chart of an unknown
level (Siegmund and Venkatraman 1995, Annals of Statistics 23; Lai 1995, JRSS B 57). An alarm is a statistic
above c, which the chart of a year, 52 windows of a steady annotator with normal means, exceeds at any time
with 3/4 of the probability `false_alarms`; the rest is for what is not normal, and for errors of d. The
mean time between false alarms is above 52 / false_alarms windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Unpack

import numpy as np
import polars as pl

from polars_crowd.annotators.against import Against
from polars_crowd.annotators.request import IntervalOptions, Judging, Opened
from polars_crowd.arrays import Floats
from polars_crowd.errors import Advice, AnnotationError, OptionError, counted, missing_column
from polars_crowd.inputs.order import written_time
from polars_crowd.numerics.shares import at_most, wilson
from polars_crowd.numerics.special import normal
from polars_crowd.option_checks import check_share
from polars_crowd.reliability.units import run_lengths
from polars_crowd.reports import FEW, Heads, header
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.results import Fit
from polars_crowd.rounds.summaries import Summary
from polars_crowd.signatures import shares

YEAR = 52
"""Windows."""
LAGS = 4
"""Up to so many windows are taken together."""
OF_WINDOW, OF_PAST = 50.0, 10.0
"""Annotations by which the mean of a window, and a past above the mean of all, are shrunk towards that."""
KEPT = 0.75
"""The share of false alarms that means which are normal may take: counts are not quite, and d has errors."""
RUNS = 20_000
"""Steady annotators that are drawn to know how far their charts go."""
KEYS = ("annotator", "window", "agreed")
PARSE = Advice(
    "Make it a time",
    python="log.with_columns(pl.col('timestamp').str.to_datetime()), or pl.from_epoch('timestamp', 's')",
)


@shares(IntervalOptions, Judging)
def annotator_drift(
    log: Any,
    *,
    every: str = "1w",
    timestamp: str = "timestamp",
    false_alarms: float = 0.05,
    **options: Unpack[IntervalOptions],
) -> AnnotatorDrift:
    """How accurate each annotator is over time, and where one became worse than they were.

    An alarm says that the accuracy of the last one to four windows is below what the annotator's own past and
    the difficulty of the examples lead to expect. A change of what everybody is given, or of everybody, is no
    change of an annotator's. Of 30 annotations a window, a drop from .9 to .7 is found within three windows
    in nine cases of ten by known labels, and by the others in eight where five annotate each example, in half
    of all cases where three do: they err, too (`benchmarks/annotators.py`).

    Parameters
    ----------
    every
        How long a window is, as Polars writes it: `"1d"`, `"1w"`, `"1mo"` ... Windows begin where the
        calendar's do, in the time zone of the times if they have one.
    timestamp
        The column of the log that says when an annotation was made: dates, times with or without a zone, or
        text that writes these as 2024-05-31T09:30, of one zone, whose clock goes.
        Annotations without are left out, and counted.
    false_alarms
        How probable any alarm is, in 52 windows of an annotator who stays the same; between 0 and 1.

    Returns
    -------
    AnnotatorDrift
        `.windows` and `.alarms`; `.threshold`, `.num_untimed`, `.num_unjudged`.

    Raises
    ------
    AnnotationError
        The log has no such column, or it is no time: numbers do not say their unit, nor other texts their
        format.
    OptionError
        `every` is no duration.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> made = pc.simulate.simulate_annotations(
    ...     n_examples=3000, n_annotators=5, n_classes=2, annotations_per_example=3, accuracy=0.9, seed=2
    ... )
    >>> start, week = pl.datetime(2024, 1, 1), pl.int_range(pl.len()) * 20 // pl.len()
    >>> log = made.log.with_columns(timestamp=start + pl.duration(weeks=week)).join(made.truth, on="example")
    >>> tired = (pl.col("annotator") == "a0003") & (week >= 12) & (pl.col("example").rank("dense") % 3 == 0)
    >>> label = pl.when(tired).then(1 - pl.col("label_right")).otherwise("label")
    >>> drift = pc.annotator_drift(log.with_columns(label=label).drop("label_right"))
    >>> drift.alarms.select("annotator", "window", "since", pl.col("change").round(2)).head(1).rows()
    [('a0003', datetime.datetime(2024, 3, 25, 0, 0), datetime.datetime(2024, 3, 25, 0, 0), -0.21)]
    """
    check_share("false_alarms", false_alarms)
    judging = Judging(**options)
    opened = judging.open(log, (timestamp,))
    time = checked_time(opened, timestamp, every)
    merged = opened.rounds.run(count_windows, opened.against, time, every)
    opened.against.check(int(merged[()]["known"].item()), opened.rounds)
    windows = window_sums(merged[KEYS])
    limit = threshold(false_alarms)
    charted = windows.with_columns(charts(windows, limit))
    return AnnotatorDrift(
        *tables_of(charted, opened, judging.confidence),
        limit,
        int(merged[()]["untimed"].item()),
        int(merged[()]["unjudged"].item()),
        opened.against,
    )


def checked_time(opened: Opened, timestamp: str, every: str) -> pl.Expr:
    """The time of each row, of which windows can be made."""
    schema = opened.rows.collect_schema()
    if timestamp not in schema:
        advice = Advice("Say which it is", python="timestamp='...'")
        raise missing_column("the log", timestamp, list(schema), advice)
    dtype, time = schema[timestamp], written_time(opened.rows, timestamp)
    if time is None:
        wrong = f"is {dtype}, which says no time: numbers have no unit."
        raise AnnotationError(wrong, PARSE, source="the log", column=timestamp)
    try:
        pl.DataFrame(schema={timestamp: dtype}).select(time.dt.truncate(every))
        pl.select(pl.date(2024, 1, 1).dt.truncate(every))
    except pl.exceptions.PolarsError as error:
        wrong = f"it is no duration of windows ({str(error).splitlines()[0]})."
        raise OptionError("every", every, wrong, "Write '1d', '1w' or '1mo', say.") from None
    return time


@dataclass(frozen=True, eq=False, repr=False)
class AnnotatorDrift(Fit):
    """How accurate annotators are over time.

    Attributes
    ----------
    windows : DataFrame
        By annotator and window: `annotator`; `window`, its beginning; `num_annotations` that have a truth;
        `accuracy` by what they are judged by, with Wilson's interval `accuracy_low`, `accuracy_high`;
        `expected_accuracy` of the annotator's windows before and of these examples, null in the first one;
        `statistic`, how unlikely it is, as a normal quantile; `alarm`.
    alarms : DataFrame
        The first alarm of those that follow one another: `annotator`, `window`, `since`, the window from
        which on the annotator seems to be another one; `num_annotations` from there on, their `accuracy`,
        `expected_accuracy`, `change` between the two, and the `statistic`; the largest first.
    threshold : float
        The statistic above which there is an alarm.
    num_untimed : int
        Annotations without a time, which are left out.
    num_unjudged : int
        Annotations with a time, but nothing to judge them by, which are left out.
    """

    TABLES: ClassVar[tuple[str, ...]] = ("windows", "alarms")
    VALUES: ClassVar[tuple[str, ...]] = ("threshold", "num_untimed", "num_unjudged")
    HEADS: ClassVar[Heads] = {"alarms": ("alarms", 2 * FEW)}
    method: ClassVar[str] = "annotator drift"

    windows: pl.DataFrame
    alarms: pl.DataFrame
    threshold: float
    num_untimed: int
    num_unjudged: int
    _against: Against

    def _header(self) -> str:
        n = self.windows["annotator"].n_unique()
        sizes = {"annotator": n, "window": self.windows["window"].n_unique()}
        sizes["annotation"] = int(self.windows["num_annotations"].sum())
        untimed = f"{self.num_untimed:,} without a time left out" if self.num_untimed else ""
        why = f" ({self.num_unjudged:,} left out: {self._against.left_out})"
        judge = f"judged by {self._against.name}{why if self.num_unjudged else ''}"
        alarmed = counted(self.alarms["annotator"].n_unique(), "annotator")
        return header("Drift", sizes, judge, untimed, f"{alarmed} with alarms")


# --- the sums --------------------------------------------------------------------------------------


def count_windows(part: Partition, against: Against, time: pl.Expr, every: str) -> Summary:
    """By (annotator, window, tenths of agreement of the others): `n` and `right`, the sum of x; how many have
    no time, and how many of the others no truth."""
    runs, judged = part.runs, against.of_part(part)
    rows = runs.rows.with_columns(
        window=runs.extra.select(time.dt.truncate(every)).collect().to_series(),
        agreed=agreement_of_others(part),
        right=judged.correct,
    )
    timed = rows.lazy().filter(pl.col("window").is_not_null(), pl.col("right").is_not_null())
    untimed = rows["window"].null_count()
    unjudged = (rows["window"].is_not_null() & rows["right"].is_null()).sum()
    return {
        KEYS: timed.group_by(KEYS).agg(pl.len().alias("n"), pl.col("right").sum()),
        (): pl.LazyFrame(
            {"known": [judged.num_known], "untimed": [untimed], "unjudged": [unjudged]}
        ),
    }


def agreement_of_others(part: Partition) -> pl.Series:
    """The share of the others' votes that the most chosen label among them has, in tenths; -1 without any."""
    runs = part.runs
    n = pl.lit(runs.examples["num_annotations"]).gather("example").cast(pl.Int64)
    votes = runs.votes.lazy().select("example", votes=pl.col("votes").cast(pl.Int64), n=n)
    largest = votes.with_columns(largest=pl.col("votes").max().over("example"))
    chosen = largest.with_columns(is_most=pl.col("votes") == pl.col("largest"))
    is_only = pl.col("is_most") & (pl.col("is_most").sum().over("example") == 1)
    left, others = pl.col("largest") - is_only.cast(pl.Int64), pl.col("n") - 1
    tenths = pl.when(others > 0).then((10 * left / others).round()).otherwise(-1).cast(pl.Int8)
    return chosen.select(agreed=tenths).collect()["agreed"].gather(runs.rows["vote"])


def window_sums(cells: pl.DataFrame) -> pl.DataFrame:
    """`annotator`, `window`, `n`, `right`, `base`, the sum of base(s); sorted by the first two."""
    mean = cells.group_by("agreed").agg(base=pl.col("right").sum() / pl.col("n").sum())
    based = cells.lazy().join(mean.lazy(), on="agreed").with_columns(pl.col("base") * pl.col("n"))
    sums = based.group_by("annotator", "window").agg(pl.col("n", "right", "base").sum())
    rest, n = pl.col("right") - pl.col("base"), pl.col("n").cast(pl.Float64)
    others, left = (of.sum().over("window") - of for of in (n, rest))
    moved = sums.sort("annotator", "window").with_columns(
        base=pl.col("base") + n * left / (others + OF_WINDOW)
    )
    return moved.collect()


# --- the charts ------------------------------------------------------------------------------------


def charts(windows: pl.DataFrame, limit: float) -> list[pl.Series]:
    """`statistic` of each window, the `lag` that it is of, `expected` accuracy of the window and that of all
    windows of the lag, and whether there is an `alarm`."""
    n, right, base = (windows[c].to_numpy().astype(np.float64) for c in ("n", "right", "base"))
    lengths = run_lengths(windows["annotator"].to_numpy())
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    place = np.arange(len(n)) - first
    sums = [np.concatenate([[0.0], np.cumsum(values)]) for values in (n, right, base)]
    best, lags = np.full(len(n), -np.inf), np.ones(len(n), np.int64)
    expected, of_lag = np.full(len(n), np.nan), np.full((3, len(n)), np.nan)
    for lag in range(1, LAGS + 1):
        at = np.flatnonzero(place >= lag)
        since = at + 1 - lag
        there = [s[at + 1] - s[since] for s in sums]
        before = [s[since] - s[first[at]] for s in sums]
        rest = before[1] - before[2]
        past = np.minimum(rest / before[0], rest / (before[0] + OF_PAST))
        p = np.clip(there[2] / there[0] + past, 0.001, 0.999)
        if lag == 1:
            expected[at] = p
        found = surprise(there[1] / there[0], p, there[0], before[0], limit)
        better = found > best[at]
        best[at[better]], lags[at[better]] = found[better], lag
        of_lag[:, at[better]] = np.array([there[0], there[1] / there[0], p])[:, better]
    return [
        pl.Series("statistic", np.where(place > 0, best, np.nan)).fill_nan(None),
        pl.Series("lag", lags),
        pl.Series("expected", expected).fill_nan(None),
        pl.Series("num_since", np.nan_to_num(of_lag[0]).astype(np.int64)),
        pl.Series("accuracy_since", of_lag[1]),
        pl.Series("expected_since", of_lag[2]),
        pl.Series("alarm", best > limit),
    ]


def surprise(x: Floats, p: Floats, n_there: Floats, n_before: Floats, limit: float) -> Floats:
    """-quantile of u, exact where it may come near the limit; elsewhere the normal one is close enough.

    >>> one = [np.array([v]) for v in (0.5, 0.8, 30, 1e9)]
    >>> surprise(*one, 3.0).round(2).tolist()
    [3.63]
    """
    n = 1 / (1 / n_there + 1 / n_before)
    q = (n_before * p + n_there * x) / (n_before + n_there)
    z = (p - x) / np.sqrt(np.maximum(q * (1 - q), 1e-6) / n)
    for i in np.flatnonzero(z > limit / 2):
        right = max(n[i] * (q[i] - p[i] + x[i]), 0.0)
        u = (at_most(n[i], q[i], right) + at_most(n[i], q[i], right - 1)) / 2
        z[i] = -normal.inv_cdf(min(max(u, 1e-300), 1 - 1e-12))
    return np.asarray(z)


@cache
def threshold(false_alarms: float) -> float:
    """c: what the largest statistic of a year exceeds with KEPT of this probability, if nothing changes.

    >>> round(threshold(0.05), 1)
    3.4
    """
    steps = np.random.default_rng(0).standard_normal((RUNS, YEAR))
    sums = np.hstack([np.zeros((RUNS, 1)), steps.cumsum(axis=1)])
    largest = np.full(RUNS, -np.inf)
    for lag in range(1, LAGS + 1):
        t = np.arange(lag + 1, YEAR + 1)
        before = sums[:, t - lag] / (t - lag)
        there = (sums[:, t] - sums[:, t - lag]) / lag
        z = (before - there) / np.sqrt(1 / lag + 1 / (t - lag))
        largest = np.maximum(largest, z.max(axis=1))
    return float(np.quantile(largest, 1 - KEPT * false_alarms))


# --- the tables ------------------------------------------------------------------------------------


def tables_of(
    charted: pl.DataFrame, opened: Opened, confidence: float
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`.windows` and `.alarms`."""
    share = charted["right"] / charted["n"]
    low, high = wilson(share.to_numpy(), charted["n"].to_numpy().astype(np.float64), confidence)
    named = opened.named(charted)
    windows = named.select(
        "annotator",
        "window",
        num_annotations="n",
        accuracy=share,
        accuracy_low=pl.Series(low),
        accuracy_high=pl.Series(high),
        expected_accuracy=pl.col("expected"),
        statistic=pl.col("statistic"),
        alarm=pl.col("alarm"),
    )
    was = pl.col("alarm").shift(1, fill_value=False).over("annotator")
    since = pl.col("window").gather(pl.int_range(pl.len()) + 1 - pl.col("lag"))
    begun = named.with_columns(since=since).filter(pl.col("alarm") & ~was)
    alarms = begun.select(
        "annotator",
        "window",
        "since",
        num_annotations="num_since",
        accuracy="accuracy_since",
        expected_accuracy="expected_since",
        change=pl.col("accuracy_since") - pl.col("expected_since"),
        statistic=pl.col("statistic"),
    )
    return windows, alarms.sort("statistic", descending=True, maintain_order=True)
