"""Which annotators to look at, with the reason in words and numbers.

Letters as in `scores.py`; a' is the median accuracy of the annotators with ENOUGH judged annotations, and all
tests are one-sided, of a share of n independent annotations, at the level TOLD. An annotator

    chance        answers like a coin: a is not surely above c, and not as high as c + 3/4 (a' - c)
    below_chance  is right less often than by chance: a is below c
    one_label     says one label l on nine tenths of the examples, and where the truth is another one more
                  often than r + (1 - r) / 3, r being how often others do
    fast          takes less than a quarter of the median of all seconds, in the median
    few           has less than ENOUGH judged annotations, so that nothing is said of how right they are

Whether a is above c goes by the variance of a - c where labels say nothing about the truth (Fleiss, Cohen and
Everitt 1969), with p and q the shares of truths and labels: ( c + c^2 - sum_k p_k q_k (p_k + q_k) ) / n. Who
is right as often as three quarters of the way from chance to the others gets the first flag in at most one
case of twenty, whatever their number of annotations; `benchmarks/annotators.py` counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.annotators.scores import Confusions, accuracy, chance, chance_error
from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import counted, shown_value
from polars_crowd.numerics.shares import at_least, at_most, wilson
from polars_crowd.numerics.special import normal

ENOUGH = 10
TOLD, SURELY = 0.05, 0.01
TOWARDS = 3 / 4
ALWAYS = 0.9
FAST = 0.25

FLAGS = ("chance", "below_chance", "one_label", "fast", "few")


@dataclass(frozen=True)
class Flag:
    """What is said of an annotator."""

    unit: int
    flag: str
    reason: str
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Seen:
    """What flags go by, an entry for each annotator."""

    found: Confusions
    most_used: Ints
    """The label that each said most often."""
    share: Floats
    """... among all their annotations, judged or not,"""
    num_annotations: Ints
    seconds: Floats
    """The median of each."""
    num_timed: Floats
    seconds_of_all: float
    classes: pl.Series
    confidence: float


def flags_of(seen: Seen) -> list[Flag]:
    """All flags, by annotator."""
    constant = {flag.unit: flag for flag in one_label(seen)}
    by_accuracy = [flag for flag in of_accuracy(seen) if flag.unit not in constant]
    return sorted(
        [*by_accuracy, *constant.values(), *fast(seen), *few(seen)],
        key=lambda flag: (flag.unit, FLAGS.index(flag.flag)),
    )


def usual_accuracy(a: Floats, n: Floats) -> float:
    """a', of all judged annotations together where nobody has enough of them."""
    known = n >= ENOUGH
    if known.any():
        return float(np.median(a[known]))
    return float(np.nansum(a * n) / n.sum()) if n.sum() else float("nan")


def of_accuracy(seen: Seen) -> Iterator[Flag]:
    """`chance` and `below_chance`."""
    n, a, c = seen.found.total, accuracy(seen.found), chance(seen.found)
    low, high = wilson(a, n, seen.confidence)
    above = a - c > normal.inv_cdf(1 - TOLD) * chance_error(seen.found)
    usual = usual_accuracy(a, n)
    for j in np.flatnonzero(n >= ENOUGH).tolist():
        bar = c[j] + TOWARDS * (usual - c[j])
        said = f"accuracy {share_text(a[j], low[j], high[j])} where chance is {share_text(c[j])}"
        numbers = (float(a[j]), float(low[j]), float(high[j]))
        if at_most(n[j], c[j], n[j] * a[j]) < SURELY:
            yield Flag(j, "below_chance", f"is right less often than by chance: {said}", *numbers)
        elif not above[j] and c[j] < usual and at_most(n[j], bar, n[j] * a[j]) < TOLD:
            said = f"{said}; others {share_text(usual)}"
            yield Flag(j, "chance", f"answers like a coin: {said}", *numbers)


def one_label(seen: Seen) -> Iterator[Flag]:
    """`one_label`."""
    found = seen.found
    elsewhere = found.truth != seen.most_used[found.unit]
    says_it = elsewhere & (found.label == seen.most_used[found.unit])
    m, x = (found.summed(found.unit[of], found.n[of]) for of in (elsewhere, says_it))
    for j in np.flatnonzero((seen.share >= ALWAYS) & (seen.num_annotations >= ENOUGH)).tolist():
        others = usual_rate(found, j, int(seen.most_used[j]))
        if m[j] and at_least(m[j], others + (1 - others) / 3, x[j]) < TOLD:
            low, high = wilson(x[[j]] / m[[j]], m[[j]], seen.confidence)
            label = shown_value(seen.classes[int(seen.most_used[j])])
            often = "always" if seen.share[j] == 1 else f"in {share_text(seen.share[j])} of cases"
            reason = (
                f"{often} says {label}: also in {share_text(x[j] / m[j])} of the {m[j]:.4g} cases where the "
                f"truth is another class; others in {share_text(others)}"
            )
            yield Flag(j, "one_label", reason, float(x[j] / m[j]), float(low[0]), float(high[0]))


def usual_rate(found: Confusions, unit: int, label: int) -> float:
    """How often the others say a label where the truth is another one; 0 if there are none."""
    of = (found.unit != unit) & (found.truth != label)
    whole = found.n[of].sum()
    return float(found.n[of & (found.label == label)].sum() / whole) if whole else 0.0


def fast(seen: Seen) -> Iterator[Flag]:
    """`fast`."""
    is_fast = (seen.seconds < FAST * seen.seconds_of_all) & (seen.num_timed >= ENOUGH)
    for j in np.flatnonzero(is_fast).tolist():
        reason = (
            f"{seen.seconds[j]:.2g} s per answer, the median of all is {seen.seconds_of_all:.2g} s"
        )
        yield Flag(j, "fast", reason, float(seen.seconds[j]))


def few(seen: Seen) -> Iterator[Flag]:
    """`few`."""
    n = seen.found.total
    for j in np.flatnonzero(n < ENOUGH).tolist():
        judged = counted(round(n[j]), "judged annotation")
        reason = f"too few to tell: {judged} of {seen.num_annotations[j]:,}"
        yield Flag(j, "few", reason, float(n[j]))


def share_text(share: float, low: float | None = None, high: float | None = None) -> str:
    """A share, with its interval.

    >>> share_text(0.521, 0.414, 0.626), share_text(1.0)
    ('.52 [.41, .63]', '1.00')
    """
    text = f"{share:.2f}".removeprefix("0") if share < 0.995 else "1.00"
    return (
        text if low is None or high is None else f"{text} [{share_text(low)}, {share_text(high)}]"
    )


def flag_table(flags: list[Flag], units: pl.DataFrame) -> pl.DataFrame:
    """`flag, reason, value, low, high` beside the columns of `units` that each is of."""
    names: dict[str, Any] = {"flag": pl.String, "reason": pl.String}
    names |= dict.fromkeys(("value", "low", "high"), pl.Float64)
    rows = {name: [getattr(flag, name) for flag in flags] for name in names}
    return units[[flag.unit for flag in flags]].hstack(pl.DataFrame(rows, schema=names))
