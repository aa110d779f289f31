r"""Shares of the classes, corrected for the errors of a judge by examples whose label is known.

A judge labelled n examples whose truth is known and N others. Letters: y the truth, f the judge's label; K
classes; for one class k, y and f are 1 where they are k and else 0.

**Rogan and Gladen (1978)**, for K classes: the judge's labels of the others have the shares p, and a known
example of class j gets label l with probability M[j,l] = n[j,l] / n[j]. The shares pi solve

    p[l] = sum_j pi[j] M[j,l],        pi >= 0,  sum_j pi[j] = 1

exactly, or where that takes a share below 0, as nearly as S allows: pi has the least Q = g' S^-1 g,

    g = p - M' pi
    S = (diag p - p p') / N + sum_j pi[j]^2 (diag m[j] - m[j] m[j]') / n[j]
    m[j,l] = (n[j,l] + 1/4) / (n[j] + K/4)

The interval of pi[k] is all t for which the least Q with pi[k] = t is no more than the square of Student's
quantile with n - K degrees of freedom, those of M (Fieller's interval where K = 2): nearly all of [0, 1] for
a judge who hardly knows anything, where the delta method may say anything. Known examples may be chosen by
their class; what must hold is that the judge errs on them as on the others.

**Prediction-powered inference** (Angelopoulos, Bates, Fannjiang, Jordan and Zrnic 2023, Science 382; its
power tuned as in Angelopoulos, Duchi and Zrnic 2023, arXiv 2311.01453): the mean of the known labels, and
what the judge says of the others beside what he says of these,

    theta  = mean_n y + lambda (mean_N f - mean_n f)
    lambda = Cov_n(y, f) / ((1 + n / N) Var(f)),  held in [0, 1]
    var    = lambda^2 Var_N(f) / N + Var_n(y - lambda f) / n

It needs no model of the judge's errors, but known examples that are drawn at random from all. Its interval
is Wilson's, of theta on theta (1 - theta) / var examples (in place of theta +- z sd, which covers too little
where a class is rare); Var_n is that of the counts of (y, f) with 1/4 added to each of the four.

**How often intervals of 95 % hold the share**: of 1,000 drawn logs for each of 24 settings (2 or 3 classes,
with shares from .1 to .8; judges right in 70 or 90 %; 50, 100 or 200 known examples and 2,800 others) 93.7 to
97.6 % of Rogan-Gladen's, where each class is known of some example, and 93.6 to 96.2 % of prediction-powered
ones; of single classes 93 % and more. The least are those with 50 known examples, and with judges right in
70 %; the most Rogan-Gladen's, of a good judge, three classes alike and 50 known examples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Unpack

import numpy as np
import polars as pl

from polars_crowd.annotators.against import OfExamples, against_of
from polars_crowd.annotators.request import Judging, LogIntervals
from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import AnnotationError, OptionError, counted, shown, warn
from polars_crowd.inputs.tables import log_and_labels
from polars_crowd.numerics.shares import wilson
from polars_crowd.numerics.special import t_quantile
from polars_crowd.reliability.chance import ratio
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.results import Fit
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Summary
from polars_crowd.signatures import shares

ADDED = 0.25
"""To counts that variances are taken of."""
TURNS = 3
"""How often S is taken anew at the shares that it led to."""
MOST_STEPS = 60
NEAR = 1e-11
"""Ends of intervals are found to this."""
RIDGE = 1e-14
"""Beside S, which has no inverse where a class is never said."""
GOLD = "gold"


@shares(LogIntervals, Judging)
def corrected_prevalence(log: Any, gold: Any, **options: Unpack[LogIntervals]) -> pl.DataFrame:
    """The share of each class, corrected for the errors of the judge who labelled the examples.

    "The judge says that 12 % are bad": that is no estimate of how many are, as judges err more often one way
    than the other. With some labels that are known it can be corrected, for each judge in two ways: by the
    judge's confusion matrix (Rogan-Gladen) and by prediction-powered inference. See
    `polars_crowd/annotators/prevalence.py` for the formulas.

    Parameters
    ----------
    log
        The labels of one judge or several: whatever `scan_annotations` takes, with columns `example,
        annotator, label`, or an `AnnotationStore`. A rule that labels by several judges is a judge: give the
        consensus as a log of one.
    gold
        Known labels: a frame or file `example, label`, or the name of a column of the log. For `ppi` they are
        to be of examples drawn at random from all; for `rogan_gladen` they may be chosen by class.

    Returns
    -------
    DataFrame
        A row per judge, method and class: `annotator`; `method`: `"judge"` (the shares that the judge says,
        uncorrected), `"gold"` (those of the known labels alone), `"rogan_gladen"`, `"ppi"`; `label`;
        `prevalence`, with the ends of its interval `prevalence_low` and `prevalence_high`; `weight`, how far
        the judge is relied on by `ppi` (lambda, in [0, 1]); `num_known` and `num_others`, the examples that
        the judge labelled whose label is known and is not. Null where there is nothing to say it by: a judge
        without known examples, or for `rogan_gladen` without one of each class.

    Raises
    ------
    AnnotationError
        The log cannot be used; known labels are not among its classes, an example has two, or no judge
        labelled an example whose label is known.
    OptionError
        `gold` is a fit, or probabilities: labels that are known are needed.

    Warns
    -----
    AnnotationWarning
        A judge has no known example of some class.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> says = ["bad"] * 90 + ["good"] * 210
    >>> log = pl.DataFrame({"example": range(300), "annotator": "judge", "label": says})
    >>> known = ["bad"] * 10 + ["good"] * 4 + ["bad"] * 2 + ["good"] * 24
    >>> gold = pl.DataFrame({"example": [*range(14), *range(100, 126)], "label": known})
    >>> found = pc.corrected_prevalence(log, gold).filter(label="bad")
    >>> for row in found.select("method", pl.col("^prevalence.*$").round(2)).rows():
    ...     print(row)
    ('judge', 0.3, 0.25, 0.35)
    ('gold', 0.3, 0.18, 0.45)
    ('rogan_gladen', 0.22, 0.0, 0.41)
    ('ppi', 0.27, 0.17, 0.39)
    """
    log, gold = log_and_labels(log, gold, GOLD)
    asked = Judging(**options)
    opened = asked.open(log)
    rounds = opened.rounds
    known = known_labels(gold, rounds)
    merged = rounds.run(count_by_truth, known)
    known.check(int(merged[()]["known"].item()), rounds)
    n_classes, n_judges = rounds.n_classes, len(opened.annotators)
    judges = [Judge.of(merged[KEY], j, n_classes) for j in range(n_judges)]
    if not any(judge.n for judge in judges):
        raise AnnotationError("has no label of an example that a judge labelled.", source=GOLD)
    check_classes(judges, opened.annotators, opened.classes)
    tables = (judge_table(judge, j, asked.confidence) for j, judge in enumerate(judges))
    return opened.named(pl.concat(tables)).select(COLUMNS)


COLUMNS = (
    *("annotator", "method", "label", "prevalence", "prevalence_low", "prevalence_high"),
    *("weight", "num_known", "num_others"),
)


def known_labels(gold: Any, rounds: Rounds) -> OfExamples:
    """What is known, which is to be labels."""
    known = None if isinstance(gold, Fit) else against_of(gold, rounds, GOLD)
    if not isinstance(known, OfExamples) or (known.frame["weight"] != 1).any():
        raise OptionError(GOLD, ..., "must be labels that are known, one for an example.")
    return known


def check_classes(judges: Sequence[Judge], annotators: pl.Series, classes: pl.Series) -> None:
    """Warns of classes that no known example of a judge has."""
    lacking = [np.flatnonzero(judge.of_class == 0) for judge in judges]
    without = [j for j, none in enumerate(lacking) if len(none) and judges[j].N]
    if without:
        first = classes.gather(lacking[without[0]]).to_list()
        names = annotators.gather(without).to_list()
        warn(
            f"{counted(len(without), 'judge')} without a known example of each class ({shown(names)}; of the "
            f"first: {shown(first)}): there is no Rogan-Gladen estimate of theirs.",
            "Label some examples of these classes.",
        )


# --- counts ------------------------------------------------------------------------------------------

KEY = ("annotator", "label", "true_label")


def count_by_truth(part: Partition, known: OfExamples) -> Summary:
    """Summary by annotator, label and known label (the number of classes, where none is known); and how many
    examples have one."""
    judged, K = known.of_part(part), part.runs.n_classes
    truths = judged.truths.lazy().select("case", "true_label")
    rows = part.runs.rows.lazy().select(
        "annotator", case=judged.case, label=pl.lit(judged.label).gather(judged.case)
    )
    beside = rows.join(truths, on="case", how="left").with_columns(
        pl.col("true_label").fill_null(K)
    )
    return {
        KEY: beside.group_by(KEY).agg(annotations=pl.len().cast(pl.Int64)),
        (): pl.DataFrame({"known": [judged.num_known]}),
    }


@dataclass(frozen=True)
class Judge:
    """What one judge said."""

    confusion: Floats
    """n[j,l], by the truth and the label, shape (K, K)."""
    others: Floats
    """Labels of the others, shape (K,)."""

    @classmethod
    def of(cls, counts: pl.DataFrame, annotator: int, K: int) -> Judge:
        own = counts.filter(pl.col("annotator") == annotator)
        table = np.zeros((K + 1, K))
        at = tuple(own[c].to_numpy().astype(np.intp) for c in ("true_label", "label"))
        np.add.at(table, at, own["annotations"].to_numpy())
        return cls(table[:K], table[K])

    @property
    def n(self) -> float:
        return float(self.confusion.sum())

    @property
    def N(self) -> float:  # noqa: N802 (as in the formulas)
        return float(self.others.sum())

    @property
    def of_class(self) -> Floats:
        """n[j]."""
        found: Floats = self.confusion.sum(axis=1)
        return found

    @cached_property
    def variances(self) -> tuple[Floats, Floats]:
        """What S is made of: (diag p - p p') / N, shape (K, K), and of each class the part by pi[j]^2."""
        K = len(self.others)
        m = (self.confusion + ADDED) / (self.of_class[:, None] + K * ADDED)
        each = [multinomial(share) / n for share, n in zip(m, self.of_class, strict=True)]
        return multinomial(self.others / self.N) / self.N, np.array(each)

    @property
    def said(self) -> Floats:
        """All labels, shape (K,)."""
        found: Floats = self.confusion.sum(axis=0) + self.others
        return found


def judge_table(judge: Judge, annotator: int, confidence: float) -> pl.DataFrame:
    """The rows of one judge."""
    K = len(judge.others)
    found = {
        "judge": of_shares(judge.said, confidence),
        "gold": of_shares(judge.of_class, confidence),
        "rogan_gladen": rogan_gladen(judge, confidence),
        "ppi": prediction_powered(judge, confidence),
    }
    names = ("prevalence", "prevalence_low", "prevalence_high", "weight")
    tables = [
        pl.DataFrame(dict(zip(names, [*values, weight], strict=True))).select(
            pl.all().fill_nan(None), method=pl.lit(method), label=pl.int_range(K, dtype=pl.UInt32)
        )
        for method, (values, weight) in found.items()
    ]
    return pl.concat(tables).with_columns(
        annotator=pl.lit(annotator, pl.UInt32),
        num_known=pl.lit(int(judge.n), pl.Int64),
        num_others=pl.lit(int(judge.N), pl.Int64),
    )


Estimates = tuple[Floats, Floats]
"""The shares and the ends of their intervals, shape (3, K), and the weights, shape (K,)."""


def of_shares(counts: Floats, confidence: float) -> Estimates:
    """Counts over their sum, by Wilson."""
    K = len(counts)
    total = np.full(K, counts.sum())
    share = ratio(counts, total)
    return np.stack([share, *wilson(share, total, confidence)]), np.full(K, np.nan)


# --- prediction-powered inference --------------------------------------------------------------------


def prediction_powered(judge: Judge, confidence: float) -> Estimates:
    """theta, its interval, and lambda, of each class."""
    if judge.n < 2 or judge.N < 2:
        values, _ = of_shares(judge.of_class, confidence)
        return values, np.zeros(len(judge.others))
    found = [of_class(judge, k, confidence) for k in range(len(judge.others))]
    return np.array([ends for ends, _ in found]).T, np.array([weight for _, weight in found])


def of_class(judge: Judge, k: int, confidence: float) -> tuple[list[float], float]:
    """theta and its interval, and lambda, of one class."""
    n, N = judge.n, judge.N
    own = judge.confusion[k, k]
    missed, false = judge.of_class[k] - own, judge.confusion[:, k].sum() - own
    table = np.array([[n - own - missed - false, false], [missed, own]])
    f_others = judge.others[k] / N
    y, f, covariance = moments(table)
    weight = tuned(table, f_others, N)
    theta = float(np.clip(y + weight * (f_others - f), 0, 1))
    y, f, covariance = moments(table + ADDED)
    residual = y * (1 - y) - 2 * weight * covariance + weight**2 * f * (1 - f)
    variance = weight**2 * f_others * (1 - f_others) / N + residual / n
    size = theta * (1 - theta) / variance if 0 < theta < 1 else n
    low, high = wilson(np.array([theta]), np.array([min(size, n + N)]), confidence)
    return [theta, float(low[0]), float(high[0])], weight


def moments(table: Floats) -> tuple[float, float, float]:
    """The means of y and f and their covariance, from counts by y and f."""
    share = table / table.sum()
    y, f = float(share[1].sum()), float(share[:, 1].sum())
    return y, f, float(share[1, 1]) - y * f


def tuned(table: Floats, f_others: float, N: float) -> float:
    """lambda, from counts by y and f."""
    n = float(table.sum())
    _, f, covariance = moments(table)
    f_all = (n * f + N * f_others) / (n + N)
    variance = f_all * (1 - f_all)
    if variance == 0:
        return 0.0
    return float(np.clip(covariance / ((1 + n / N) * variance), 0, 1))


# --- Rogan and Gladen --------------------------------------------------------------------------------


def rogan_gladen(judge: Judge, confidence: float) -> Estimates:
    """pi and its intervals."""
    K = len(judge.others)
    unknown = np.full(K, np.nan)
    if judge.N == 0 or (judge.of_class == 0).any():
        return np.full((3, K), np.nan), unknown
    if K == 1:
        return np.ones((3, K)), unknown
    limit = t_quantile((1 + confidence) / 2, max(judge.n - K, 1)) ** 2
    pi = nearest(judge, None)[0]
    ends = np.array([interval(judge, k, float(pi[k]), limit) for k in range(K)])
    return np.stack([pi, *ends.T]), unknown


def interval(judge: Judge, k: int, at: float, limit: float) -> tuple[float, float]:
    """Between which values Q stays up to the limit."""

    def beyond(t: float) -> float:
        return nearest(judge, (k, t))[1] - limit

    return crossing(beyond, at, 0.0), crossing(beyond, at, 1.0)


def crossing(beyond: Callable[[float], float], inside: float, outside: float) -> float:
    """Where a function goes from below 0, inside, to above, outside, by the Illinois method; the outer end
    where it never does."""
    above, below = beyond(outside), beyond(inside)
    if above <= 0 or below > 0:
        return outside if above <= 0 else inside
    for _ in range(MOST_STEPS):
        middle = (inside * above - outside * below) / (above - below)
        value = beyond(middle)
        if abs(middle - inside) < NEAR or abs(middle - outside) < NEAR or value == 0:
            return middle
        if value > 0:
            outside, above, below = middle, value, below / 2
        else:
            inside, below, above = middle, value, above / 2
    return inside


def nearest(judge: Judge, held: tuple[int, float] | None) -> tuple[Floats, float]:
    """The shares with the least Q, with one of them held if it is said, and that Q."""
    K = len(judge.others)
    p = judge.others / judge.N
    M = judge.confusion / judge.of_class[:, None]
    pi = np.full(K, 1 / K)
    Q = 0.0
    for _ in range(TURNS):
        S = uncertainty(judge, pi)[:-1, :-1]
        inverse: Floats = np.linalg.inv(S + RIDGE * np.eye(K - 1)).astype(np.float64)
        before, pi = pi, least(M.T[:-1], p[:-1], inverse, held)
        g = p[:-1] - M.T[:-1] @ pi
        Q = float(g @ inverse @ g)
        if np.abs(pi - before).max() < NEAR:
            break
    return pi, Q


def uncertainty(judge: Judge, pi: Floats) -> Floats:
    """S."""
    of_others, of_classes = judge.variances
    S: Floats = of_others + np.tensordot(pi**2, of_classes, 1)
    return S


def multinomial(share: Floats) -> Floats:
    """diag s - s s'."""
    variance: Floats = np.diag(share) - np.outer(share, share)
    return variance


def least(A: Floats, p: Floats, inverse: Floats, held: tuple[int, float] | None) -> Floats:
    """pi >= 0 of sum one with the least (p - A pi)' S^-1 (p - A pi): classes whose share would be below 0 get
    none, until no other would be."""
    K = A.shape[1]
    fixed = np.zeros(K)
    free = np.arange(K)
    if held is not None:
        fixed[held[0]] = held[1]
        free = np.delete(free, held[0])
    while True:
        pi = on_plane(A, p, inverse, fixed, free)
        below = free[pi[free] < 0]
        if not len(below):
            return pi
        free = np.setdiff1d(free, below) if len(below) < len(free) else free[[pi[free].argmax()]]


def on_plane(A: Floats, p: Floats, inverse: Floats, fixed: Floats, free: Ints) -> Floats:
    """The same, of the free classes, without the bound: what is left of one is theirs."""
    pi = fixed.copy()
    last, others = free[-1], free[:-1]
    pi[last] = 1 - fixed.sum()
    if len(others):
        X = A[:, others] - A[:, [last]]
        step = np.linalg.lstsq(X.T @ inverse @ X, X.T @ inverse @ (p - A @ pi), rcond=None)[0]
        pi[others] += step
        pi[last] -= step.sum()
    return pi
