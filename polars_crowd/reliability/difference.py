"""The difference of two agreements, where the same examples may stand behind both.

Let t_i be the exact influence of example i on a coefficient (`chance.py`) and n the number of examples
it rests on; an example that one side does not have has t_i = 0 there. For the difference D = A - B

    var D = N / (N - 1) sum_i (t_i(A) / n(A) - t_i(B) / n(B))^2

over the N examples of either side. The bootstrap draws examples with all their annotations on both sides, so
that what both share cancels in each replicate; its acceleration comes from the same terms, or, for
coefficients that ask who voted, from leaving one example out at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Unpack

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import Advice, AnnotationError, OptionError, shown, warn
from polars_crowd.inputs.log import scan_annotations
from polars_crowd.reliability import who_voted
from polars_crowd.reliability.chance import EXACT
from polars_crowd.reliability.gathering import check_annotators
from polars_crowd.reliability.grouping import Grouping
from polars_crowd.reliability.intervals import (
    MAX_DRAWS,
    Uncertainty,
    analytic,
    bca,
    draws_of,
    resample,
)
from polars_crowd.reliability.kinds import Coefficient, Icc, Light, OfVotes
from polars_crowd.reliability.patterns import local_units, merged_units
from polars_crowd.reliability.ranked import Ranked
from polars_crowd.reliability.registry import named
from polars_crowd.reliability.request import (
    OF_SHARES,
    ClassesOption,
    Intervals,
    LevelOption,
    Reading,
    Request,
    WeightsOption,
    check_order,
)
from polars_crowd.reliability.scales import Scales
from polars_crowd.reliability.soundness import NOTHING_VARIES, beside, flat, without
from polars_crowd.reliability.units import Units
from polars_crowd.reliability.who_voted import Signed, encode_signed
from polars_crowd.rounds.partitions import Partition, Partitioned
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.signatures import shares

ALL_EXAMPLES = Grouping()


class OfTwoLogs(WeightsOption, LevelOption, ClassesOption, Intervals, Reading, total=False):
    """The options of a difference."""


@shares(OfTwoLogs, Request, interval="bootstrap")
def agreement_difference(
    a: Any,
    b: Any = None,
    *,
    coefficient: str = "krippendorff_alpha",
    other: str | None = None,
    **options: Unpack[OfTwoLogs],
) -> pl.DataFrame:
    """The difference of two agreements with its interval, on shared draws of examples.

    Of two groups of examples (two logs without a common example), two pools of annotators on the same
    examples (two logs with common examples, matched by id), or two coefficients of one log.

    Parameters
    ----------
    a, b
        Two logs: whatever `scan_annotations` takes, or stores. Without `b`, both sides are `a`, and `other`
        says with which coefficient it is compared.
    coefficient, other
        The coefficient of `a`, and that of `b` (by default the same): any of `agreement` but `icc`.
    weights
        As in `agreement`, for a coefficient that goes by them.
    classes
        The classes in order; by default those of both logs. A store has its own.
    interval
        `"bootstrap"` (BCa), or `"analytic"` for coefficients that do not ask who voted.

    Returns
    -------
    DataFrame
        One row: `coefficient`, `other`, `value_a`, `value_b`, `difference` = a - b, `standard_error`,
        `ci_low`, `ci_high`, `p_value` (two-sided, of no difference), `num_examples_a`, `num_examples_b`,
        `num_shared` (examples in both), `reason` why the difference is null.

    Raises
    ------
    AnnotationError
        A log cannot be used; see `agreement`. Two stores have different classes.
    OptionError
        An option has an unknown value, neither `b` nor `other` is given, or the analytic interval is asked
        for of a coefficient that has none here.

    Warns
    -----
    AnnotationWarning
        The labels of the two logs have none in common.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pc.datasets.tutorial().log
    >>> number = pl.col("annotator").str.slice(1).cast(pl.Int32)
    >>> found = pc.agreement_difference(log.filter(number <= 25), log.filter(number > 25))
    >>> found.select("value_a", "value_b", "difference", "ci_low", "ci_high", "num_shared")
    shape: (1, 6)
    ┌──────────┬──────────┬────────────┬──────────┬──────────┬────────────┐
    │ value_a  ┆ value_b  ┆ difference ┆ ci_low   ┆ ci_high  ┆ num_shared │
    │ ---      ┆ ---      ┆ ---        ┆ ---      ┆ ---      ┆ ---        │
    │ f64      ┆ f64      ┆ f64        ┆ f64      ┆ f64      ┆ i64        │
    ╞══════════╪══════════╪════════════╪══════════╪══════════╪════════════╡
    │ 0.530224 ┆ 0.308305 ┆ 0.22192    ┆ 0.129965 ┆ 0.315887 ┆ 257        │
    └──────────┴──────────┴────────────┴──────────┴──────────┴────────────┘
    """
    first = named(coefficient, "coefficient")
    pair = (first, first if other is None else named(other, "other"))
    if b is None and pair[0] == pair[1]:
        raise OptionError(
            "other",
            other,
            "there is nothing to compare.",
            Advice("Give a second log, or a second coefficient", python="b=..., other=..."),
        )
    request = Request(tuple(dict.fromkeys(pair)), **options)
    _check_has_difference(request)
    logs = [request.with_numbers(log) for log in ([a] if b is None else [a, b])]
    for log in logs:
        check_order(log, request)
    common = request.classes if request.classes is not None else _common_classes(logs)
    of_log = replace(request, classes=common)
    known = any(c.asks_who_voted for c in request.coefficients)
    rounds = [
        (request if isinstance(log, Partitioned) else of_log).open(log, anonymous=not known)[0]
        for log in logs
    ]
    sides = _sides(rounds, pair, request)
    return _report(sides, _uncertainty(sides, request))


def _check_has_difference(request: Request) -> None:
    of_numbers = [c.name for c in request.coefficients if isinstance(c, (Icc, Ranked))]
    if of_numbers:
        wrong = "the difference of intraclass and rank correlations is not computed; agreement has theirs."
        raise OptionError("coefficient", of_numbers[0], wrong)
    if request.interval in OF_SHARES:
        wrong = "it is of one share, and not of a difference."
        raise OptionError("interval", request.interval, wrong)
    of_who = [c.name for c in request.coefficients if c.asks_who_voted]
    if request.interval == "analytic" and of_who:
        wrong = f"it is not there for {shown(of_who)}, which asks who voted."
        raise OptionError("interval", "analytic", wrong, "Draw: leave the option out.")


def _common_classes(logs: Sequence[Any]) -> Sequence[Any] | None:
    """Those of a store, else the labels of both logs, sorted, unless their types say what they are."""
    stored = [log.classes for log in logs if isinstance(log, Partitioned)]
    given = [log for log in logs if not isinstance(log, Partitioned)]
    if stored and stored[0] is not None:
        return stored[0].to_list()
    if len(given) < 2:
        return None
    labels = [scan_annotations(log).select("label") for log in given]
    one, other = (rows.collect_schema()["label"] for rows in labels)
    if isinstance(one, pl.Enum):
        return None
    if one.is_numeric() != other.is_numeric():
        raise AnnotationError(
            f"the labels of a are {one} and those of b are {other}: they have no classes in common. Cast "
            "one of them."
        )
    of_one, of_other = (rows.unique().sort("label") for rows in labels)
    if not one.is_numeric():
        _warn_of_other_classes(*(rows.collect().to_series() for rows in (of_one, of_other)))
    both = pl.concat([of_one, of_other], how="vertical_relaxed").unique().sort("label")
    return both.collect()["label"].to_list()


def _warn_of_other_classes(one: pl.Series, other: pl.Series) -> None:
    """Labels without a single one that both logs have."""
    if len(one) and len(other) and set(map(str, one)).isdisjoint(map(str, other)):
        warn(
            f"the labels of a ({shown(one.to_list())}) and those of b ({shown(other.to_list())}) have none "
            f"in common: they count as {len(one) + len(other)} classes in each, of which Brennan-Prediger "
            "and AC1 make use.",
            "If they mean the same, call them the same.",
        )


# --- both sides ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """One of the two agreements: its patterns, and which of them each joint pattern has."""

    coefficient: Coefficient
    scales: Scales
    units: Units
    signed: Signed | None
    place: Ints
    """(J,) the pattern of each joint pattern on this side, -1 for none."""

    @property
    def value(self) -> float:
        return float(self._values(self.units.times[None, :].astype(np.float64))[0])

    def of_draws(self, draws: Floats) -> Floats:
        """(B, J) draws of joint patterns -> (B,) values."""
        own = np.zeros((len(draws), len(self.units.times)))
        there = np.flatnonzero(self.place >= 0)
        order = there[np.argsort(self.place[there], kind="stable")]
        pattern, start = np.unique(self.place[order], return_index=True)
        own[:, pattern] = np.add.reduceat(draws[:, order], start, axis=1)
        return np.array(self._values(own))

    def _values(self, times: Floats) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):
            if isinstance(self.coefficient, OfVotes):
                return self.coefficient.value(resample(self.units, times), self.scales)
            assert self.signed is not None
            weights = self.scales.weights
            return [self.coefficient.of_times(self.signed, t, weights) for t in times]

    def no_cover(self) -> str | None:
        """Why no interval about its value would cover, if so."""
        if not isinstance(self.coefficient, Light) or self.signed is None:
            return None
        with np.errstate(invalid="ignore", divide="ignore"):
            found = self.coefficient.too_sparse(
                self.signed,
                self.scales.weights,
                who_voted.light(self.signed, self.scales.weights),
            )
        return found[0]

    def influence(self) -> Floats:
        """(J,) t_i / n of the examples of each joint pattern."""
        with np.errstate(invalid="ignore", divide="ignore"):
            assert isinstance(self.coefficient, OfVotes)
            found = self.coefficient.of_units(self.units, self.scales)
            assert found.influence is not None
            return np.append(found.influence / found.n[0], 0.0)[self.place]


@dataclass(frozen=True)
class Sides:
    a: Side
    b: Side
    times: Ints
    """(J,) the examples of each joint pattern."""

    @cached_property
    def no_cover(self) -> str | None:
        """Why no interval about their difference would cover, if so."""
        return self.a.no_cover() or self.b.no_cover()

    @property
    def n_shared(self) -> int:
        return int(self.times[(self.a.place >= 0) & (self.b.place >= 0)].sum())

    def of_draws(self, draws: Floats) -> Floats:
        return self.a.of_draws(draws) - self.b.of_draws(draws)


def _sides(
    rounds: Sequence[Rounds], pair: tuple[Coefficient, Coefficient], request: Request
) -> Sides:
    for one in rounds:
        check_annotators(one.book.annotators)
        if not one.book.classes.equals(rounds[0].book.classes):
            raise AnnotationError(
                f"the two logs have different classes: {shown(rounds[0].book.classes.to_list(), 20)} and "
                f"{shown(one.book.classes.to_list(), 20)}. ",
                "Make both stores with the same classes declared, in one order.",
            )
    both = (rounds[0], rounds[-1])
    tables = [_patterns_of(one, c) for one, c in zip(both, pair, strict=True)]
    renamed = [t.rename({"pattern": side}) for t, side in zip(tables, "ab", strict=True)]
    joint = (
        renamed[0]
        .join(renamed[1], on="example", how="full", coalesce=True)
        .group_by("a", "b")
        .agg(examples=pl.len())
        .sort("a", "b")
        .collect()
    )
    a, b = (
        _side(joint, side, one, c, request) for side, one, c in zip("ab", both, pair, strict=True)
    )
    return Sides(a, b, joint["examples"].to_numpy().astype(np.int64))


def example_patterns(part: Partition, signed: bool) -> pl.DataFrame:
    """`example` and its pattern: its votes, or who gave them."""
    local = local_units(part, ALL_EXAMPLES)
    pattern = encode_signed(local) if signed else local.encoded
    return part.runs.examples.select("example").with_columns(pattern)


def _patterns_of(rounds: Rounds, coefficient: Coefficient) -> pl.LazyFrame:
    return rounds.tables({"patterns": example_patterns}, coefficient.asks_who_voted)["patterns"]


def _side(
    joint: pl.DataFrame, side: str, rounds: Rounds, coefficient: Coefficient, request: Request
) -> Side:
    counts = joint.lazy().filter(pl.col(side).is_not_null()).group_by(side)
    patterns = counts.agg(pl.col("examples").cast(pl.Int64).sum()).sort(side).collect()
    codes = patterns.select(side).with_row_index("place")
    place = joint.join(codes, on=side, how="left", maintain_order="left")["place"]
    patterns, classes = patterns.rename({side: "pattern"}), rounds.book.classes
    scales = Scales.of_classes(classes, request.weights, request.level)
    units = merged_units(patterns, ALL_EXAMPLES, len(classes))
    at = place.cast(pl.Int64).fill_null(-1).to_numpy()
    if not coefficient.asks_who_voted:
        return Side(coefficient, scales, units, None, at)
    signed = Signed.of(patterns, pl.DataFrame(), units)
    return Side(coefficient, scales, signed.units, signed, at)


# --- uncertainty -----------------------------------------------------------------------------------


def _uncertainty(sides: Sides, request: Request) -> Uncertainty:
    difference = sides.a.value - sides.b.value
    if sides.times.sum() < 2 or sides.no_cover:
        return Uncertainty.none(1)
    if request.interval == "analytic":
        return _with_width(_analytic(sides, difference, request.confidence), difference)
    if len(sides.times) * request.n_boot > MAX_DRAWS:
        raise OptionError(
            "n_boot",
            request.n_boot,
            f"{len(sides.times):,} different patterns are too many to draw so many times.",
            Advice("Draw fewer times, or none", python="interval='analytic'"),
        )
    rng = np.random.default_rng(request.seed)
    width = len(sides.a.units.label) + len(sides.b.units.label) + len(sides.times)
    blocks = draws_of(sides.times, width, request.n_boot, rng)
    sample = np.concatenate([sides.of_draws(draws) for draws in blocks])
    found = bca(difference, sample, _acceleration(sides, request), request.confidence, np.inf)
    return _with_width(found, difference)


def _with_width(found: Uncertainty, difference: float) -> Uncertainty:
    """No interval where nothing varies, or that does not hold the difference."""
    return without(found, flat(found) | beside(np.array([difference]), found))


def _analytic(sides: Sides, difference: float, confidence: float) -> Uncertainty:
    N = float(sides.times.sum())
    squares = sides.times @ (sides.a.influence() - sides.b.influence()) ** 2
    error = np.sqrt(squares * N / (N - 1)) if N > 1 else np.nan
    one = np.array([difference]), np.array([error]), np.array([N])
    return analytic(*one, confidence, highest=np.inf)


def _acceleration(sides: Sides, request: Request) -> float:
    if sides.a.signed is None and sides.b.signed is None:
        d = sides.a.influence() - sides.b.influence()
    elif len(sides.times) <= request.n_boot:
        d = _left_out(sides)
    else:
        return 0.0
    if not np.isfinite(d).all():
        return 0.0
    squares = float(sides.times @ d**2)
    return float(sides.times @ d**3) / (6 * squares**1.5) if squares > 0 else 0.0


def _left_out(sides: Sides) -> Floats:
    """(J,) how the difference falls when one example of each pattern is left out, less the mean."""
    without = sides.times - np.eye(len(sides.times))
    values = sides.of_draws(without)
    defined = np.isfinite(values)
    if not defined.any():
        return np.zeros(len(values))
    mean = np.average(values[defined], weights=sides.times[defined])
    return np.where(defined, mean - values, 0.0)


def _report(sides: Sides, found: Uncertainty) -> pl.DataFrame:
    a, b = sides.a.value, sides.b.value
    lacking = [name for name, value in (("a", a), ("b", b)) if not np.isfinite(value)]
    columns: dict[str, Any] = {
        "coefficient": sides.a.coefficient.name,
        "other": sides.b.coefficient.name,
        "value_a": a,
        "value_b": b,
        "difference": a - b,
        "standard_error": found.standard_error[0],
        "ci_low": found.ci_low[0],
        "ci_high": found.ci_high[0],
        "p_value": found.p_value[0],
        "num_examples_a": int(sides.a.units.times.sum()),
        "num_examples_b": int(sides.b.units.times.sum()),
        "num_shared": sides.n_shared,
        "reason": _reason(sides, lacking, found),
    }
    one = pl.DataFrame({name: [value] for name, value in columns.items()})
    return one.with_columns(pl.col(pl.Float64).fill_nan(None), pl.col("reason").cast(pl.String))


def _reason(sides: Sides, lacking: Sequence[str], found: Uncertainty) -> str | None:
    """Why the difference or its interval is null."""
    if lacking:
        return f"no value of {' and of '.join(lacking)}: see agreement"
    if np.isfinite(found.ci_low[0]):
        return None
    if sides.times.sum() < 2:
        return "no interval: it takes two examples or more"
    if sides.no_cover:
        return sides.no_cover
    if found.standard_error[0] <= EXACT:
        return NOTHING_VARIES
    return "no interval: it is undefined where examples are drawn anew"
