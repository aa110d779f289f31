"""Annotators on gold: whom to stop, by a sequential test, and how many gold answers that takes.

Of n gold answers x are right. Wald's sequential probability ratio test (1945, Ann. Math. Stat. 16, 117-186)
of accuracy q (unacceptable) against p (acceptable), q < p, goes by

    s = x log( q / p ) + (n - x) log( (1 - q) / (1 - p) )

and stops an annotator at s >= A, keeps them at s <= B, and asks on between these,

    A = log( (1 - false_keep) / false_stop ),        B = log( false_keep / (1 - false_stop) )

so that about false_stop of those of accuracy p are ever stopped, and false_keep of those of q are ever kept,
however often it is looked at. From s on, exp(s) being a martingale under p and exp(-s) under q, it ends at A
with the probability

    u_p = ( exp(s) - exp(B) ) / ( exp(A) - exp(B) ),     u_q = ( exp(-B) - exp(-s) ) / ( exp(-B) - exp(-A) )

and the expected number of further answers is, with E_r the mean step of an annotator of accuracy r (Wald's
identity; steps past the ends are not counted),

    ( u_r A + (1 - u_r) B - s ) / E_r,       E_r = r log( q / p ) + (1 - r) log( (1 - q) / (1 - p) )

A test of a fixed number of answers takes the least n for which some c has P(X <= c | n, p) <= false_stop and
P(X > c | n, q) <= false_keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import Any, ClassVar, TypedDict, Unpack

import numpy as np
import polars as pl

from polars_crowd.annotators.against import judged_sums
from polars_crowd.annotators.request import Judging, LogIntervals
from polars_crowd.arrays import Floats
from polars_crowd.errors import Advice, OptionError, missing_column
from polars_crowd.inputs.log import open_rows
from polars_crowd.numerics.mixture import DECIMALS
from polars_crowd.numerics.shares import at_most, wilson
from polars_crowd.option_checks import check_share
from polars_crowd.reliability.chance import ratio
from polars_crowd.signatures import checked, shares

GOLD = "gold"
"""The column of known labels that a log may have."""
TAKEN = (
    *("num_annotations", "num_gold", "num_correct", "accuracy", "accuracy_low", "accuracy_high"),
    *("log_ratio", "decision", "needed_if_acceptable", "needed_if_unacceptable"),
)
STOP, KEEP, ASK = "stop", "keep", "ask more"


@dataclass(frozen=True)
class SequentialTest:
    """Wald's test of two accuracies."""

    acceptable: float
    unacceptable: float
    false_stop: float
    false_keep: float

    def __post_init__(self) -> None:
        for name in ("acceptable", "unacceptable", "false_stop", "false_keep"):
            check_share(name, getattr(self, name))
        if self.unacceptable >= self.acceptable:
            wrong = f"it must be below acceptable={self.acceptable}."
            raise OptionError("unacceptable", self.unacceptable, wrong)
        if self.false_stop + self.false_keep >= 1:
            wrong = f"with false_keep={self.false_keep} it must add up to less than 1."
            raise OptionError("false_stop", self.false_stop, wrong)

    @property
    def steps(self) -> tuple[float, float]:
        """What a right and a wrong answer add to s."""
        p, q = self.acceptable, self.unacceptable
        return log(q / p), log((1 - q) / (1 - p))

    @property
    def ends(self) -> tuple[float, float]:
        """A, B."""
        return log((1 - self.false_keep) / self.false_stop), log(
            self.false_keep / (1 - self.false_stop)
        )

    def ratio(self, right: Floats, wrong: Floats) -> Floats:
        """s."""
        of_right, of_wrong = self.steps
        return right * of_right + wrong * of_wrong

    def decision(self, s: float) -> str:
        A, B = self.ends
        return STOP if s >= A else KEEP if s <= B else ASK

    def needed(self, s: float, *, acceptable: bool) -> float:
        """The expected number of further answers of who is of one of the two accuracies; 0 at an end."""
        A, B = self.ends
        if self.decision(s) != ASK:
            return 0.0
        if acceptable:
            stopped = (exp(s) - exp(B)) / (exp(A) - exp(B))
        else:
            stopped = (exp(-B) - exp(-s)) / (exp(-B) - exp(-A))
        r, (of_right, of_wrong) = self.acceptable if acceptable else self.unacceptable, self.steps
        return (stopped * A + (1 - stopped) * B - s) / (r * of_right + (1 - r) * of_wrong)

    def fixed(self) -> int:
        """How many answers a test of a fixed number takes."""
        n, c = 1, -1
        while True:
            while at_most(n, self.acceptable, c + 1) <= self.false_stop:
                c += 1
            if c >= 0 and 1 - at_most(n, self.unacceptable, c) <= self.false_keep:
                return n
            n += 1


class Accuracies(TypedDict, total=False):
    """The two accuracies, and how often the test may err."""

    acceptable: float
    unacceptable: float
    false_stop: float
    false_keep: float


class GoldOptions(LogIntervals, Accuracies, total=False):
    """... and how the log is read."""


@dataclass(frozen=True)
class Gold(Judging):
    """How annotators are tested.

    Parameters
    ----------
    by
        Groups: names of other columns of the log, a frame with a column `example` or `annotator` and
        the group columns, or a list of these. Each group has a test of its own.
    acceptable, unacceptable
        The accuracies that the test tells apart, between 0 and 1: who is as good as the one should be kept,
        who is as bad as the other be stopped.
    false_stop, false_keep
        Of how many acceptable annotators the test may stop, and of how many unacceptable ones keep, between
        0 and 1.
    """

    acceptable: float = 0.9
    unacceptable: float = 0.7
    false_stop: float = 0.05
    false_keep: float = 0.05

    what: ClassVar[tuple[str, str]] = ("gold", "gold")

    @property
    def test(self) -> SequentialTest:
        return SequentialTest(self.acceptable, self.unacceptable, self.false_stop, self.false_keep)


@shares(GoldOptions, Gold)
def gold_report(
    log: Any, gold: Any = None, *, by: Any = None, **options: Unpack[GoldOptions]
) -> pl.DataFrame:
    """How right annotators are on gold, whom to stop, and how many more gold answers that takes.

    Wald's sequential test goes by all gold answers that there are; it may be looked at after each of them.

    Parameters
    ----------
    gold
        The known labels: a frame or file `example, label` (of two columns one may be called otherwise), or
        the name of a column of the log that has the known label of its row's example. By default the log's
        column `gold`. They meet fits by `gold=` of `dawid_skene`, `blend` and the others, which holds these
        examples there; `annotator_report(log, against=fit)` of such a fit judges by gold where it is known,
        and by the posterior elsewhere.

    Returns
    -------
    DataFrame
        One row per annotator (and group), those nearest to being stopped first: `annotator`,
        `num_annotations`; `num_gold`, those on gold, of which `num_correct` are right; `accuracy` on gold
        with `accuracy_low, accuracy_high` (Wilson's interval), null without any; `log_ratio`, the evidence
        for `unacceptable` against `acceptable`, and the `decision` by it, `"stop"`, `"keep"` or `"ask more"`;
        `needed_if_acceptable` and `needed_if_unacceptable`, the expected number of further gold answers until
        the test decides, if the annotator is so good or so bad; 0 once it has.

    See Also
    --------
    gold_needed : how many gold answers tell two accuracies apart.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> data = pc.datasets.tutorial()
    >>> found = pc.gold_report(data.log, data.truth, acceptable=0.8, unacceptable=0.6)
    >>> found["decision"].value_counts().sort("decision").rows()
    [('ask more', 23), ('keep', 21), ('stop', 6)]
    >>> needed = pl.col("needed_if_acceptable", "needed_if_unacceptable").round(1)
    >>> asked = found.filter(decision="ask more").sort("annotator")
    >>> asked.select("annotator", "num_gold", "num_correct", needed).row(0)
    ('A0002', 29, 23.0, 5.2, 17.1)
    """
    asked = Gold(by=by, against=gold if gold is not None else gold_column(log), **options)
    test = asked.test
    opened = asked.open(log, (GOLD,), ("annotator", *TAKEN))
    keys = [*opened.grouping.keys, "annotator"]
    sums = judged_sums(opened.rounds, opened.against, opened.grouping)[tuple(keys)]
    n, right = (sums[of].to_numpy().astype(np.float64) for of in ("judged", "correct"))
    share = ratio(right, n)
    low, high = wilson(share, n, asked.confidence)
    s = test.ratio(right, n - right)
    numbers = {"accuracy": share, "accuracy_low": low, "accuracy_high": high, "log_ratio": s}
    found = sums.select(
        *keys,
        num_annotations="annotations",
        num_gold="judged",
        num_correct="correct",
        **{name: pl.Series(values).fill_nan(None) for name, values in numbers.items()},
        decision=pl.Series([test.decision(x) for x in s], dtype=pl.String),
        needed_if_acceptable=pl.Series([test.needed(x, acceptable=True) for x in s]),
        needed_if_unacceptable=pl.Series([test.needed(x, acceptable=False) for x in s]),
    )
    return opened.named(found.sort(-pl.col("log_ratio").round(DECIMALS), *keys))


def gold_column(log: Any) -> str:
    """The log's own column of gold."""
    columns = list(open_rows(log).collect_schema())
    if GOLD not in columns:
        raise missing_column("the log", GOLD, columns, GIVE)
    return GOLD


GIVE = Advice(
    "Give the known labels",
    python="gold= a frame `example, label`, or the name of a column",
    command="--truth FILE",
)


@checked
def gold_needed(
    acceptable: float = 0.9,
    unacceptable: float = 0.8,
    *,
    false_stop: float = 0.05,
    false_keep: float = 0.05,
) -> pl.DataFrame:
    """How many gold answers tell an annotator of one accuracy from one of another.

    Parameters
    ----------
    acceptable, unacceptable
        The accuracies, between 0 and 1.
    false_stop, false_keep
        Of how many acceptable annotators the test may stop, and of how many unacceptable ones keep, between
        0 and 1.

    Returns
    -------
    DataFrame
        `design`, `num_gold`: the number that a test of a fixed number takes, and those that the sequential
        test of `gold_report` is expected to take if the annotator is acceptable, and if not.

    Raises
    ------
    OptionError
        These are no such accuracies or shares.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> [(design, round(n)) for design, n in pc.gold_needed(0.9, 0.8).rows()]
    [('fixed', 135), ('sequential, if acceptable', 72), ('sequential, if unacceptable', 60)]
    """
    test = SequentialTest(acceptable, unacceptable, false_stop, false_keep)
    numbers = {
        "fixed": float(test.fixed()),
        "sequential, if acceptable": test.needed(0.0, acceptable=True),
        "sequential, if unacceptable": test.needed(0.0, acceptable=False),
    }
    return pl.DataFrame({"design": [*numbers], "num_gold": [*numbers.values()]})
