"""The difference of two agreements, where the same examples may stand behind both.

Let t_i be the exact influence of example i on a coefficient (`coefficients.py`) and n the number of examples
it rests on; an example that one side does not have has t_i = 0 there. For the difference D = A - B

    var D = N / (N - 1) sum_i (t_i(A) / n(A) - t_i(B) / n(B))^2

over the N examples of either side. The bootstrap draws examples with all their annotations on both sides, so
that what both share cancels in each replicate; its acceleration comes from the same terms, or, for
coefficients that ask who voted, from leaving one example out at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import AnnotationError, shown
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.inputs.log import scan_annotations
from polars_crowd.reliability import who_voted
from polars_crowd.reliability.evidence import check_annotators
from polars_crowd.reliability.grouping import Grouping
from polars_crowd.reliability.intervals import (
    MAX_DRAWS,
    Uncertainty,
    analytic,
    bca,
    draws_of,
    resample,
)
from polars_crowd.reliability.patterns import Units, encode, local_units, merged_units
from polars_crowd.reliability.request import Interval, Level, Request, check_order
from polars_crowd.reliability.scales import (
    BY_PATTERN,
    Scales,
    class_values,
    pattern_estimate,
    pattern_value,
)
from polars_crowd.reliability.weights import make_weights
from polars_crowd.reliability.who_voted import Signed, encode_signed
from polars_crowd.rounds.opening import open_rounds
from polars_crowd.rounds.partitions import Partition, Partitioned
from polars_crowd.rounds.rounds import Rounds

ALL_EXAMPLES = Grouping()


def agreement_difference(
    a: Any,
    b: Any = None,
    *,
    coefficient: str = "krippendorff_alpha",
    other: str | None = None,
    weights: Any = "identity",
    level: Level = "nominal",
    classes: Sequence[Any] | None = None,
    confidence: float = 0.95,
    interval: Interval = "bootstrap",
    n_boot: int = 2000,
    seed: int = 0,
    duplicates: Duplicates = "error",
    executor: Any = None,
    progress: bool = False,
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
    weights, level, classes, confidence, n_boot, seed, duplicates, executor, progress
        As for `agreement`. Classes are by default those of both logs.
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
    ValueError
        An option has an unknown value, neither `b` nor `other` is given, or the analytic interval is asked
        for of a coefficient that has none here.

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
    other = other or coefficient
    request = Request((coefficient,), weights, level, confidence, interval, n_boot, seed)
    Request((other,))
    _check_choice(b, coefficient, other, interval)
    logs = [a] if b is None else [a, b]
    for log in logs:
        check_order(log, classes, weights, level)
    common = classes if classes is not None else _common_classes(logs)
    rounds = [
        open_rounds(
            log,
            classes=classes if isinstance(log, Partitioned) else common,
            duplicates=duplicates,
            executor=executor,
            progress=progress,
        )
        for log in logs
    ]
    sides = _sides(rounds, (coefficient, other), request)
    return _report(sides, _uncertainty(sides, request))


def _check_choice(b: Any, coefficient: str, other: str, interval: Interval) -> None:
    if b is None and other == coefficient:
        raise ValueError(
            "there is nothing to compare: give a second log b, or other= for a second coefficient."
        )
    unknown = [c for c in dict.fromkeys((coefficient, other)) if c.startswith("icc")]
    if unknown:
        raise ValueError(
            f"the difference of {shown(unknown)} is not computed; see pc.icc for its interval."
        )
    signed = [c for c in dict.fromkeys((coefficient, other)) if not _is_by_pattern(c)]
    if interval == "analytic" and signed:
        raise ValueError(
            f"interval='analytic' is not there for {shown(signed)}, which asks who voted. Use "
            "interval='bootstrap'."
        )


def _is_by_pattern(coefficient: str) -> bool:
    return coefficient in BY_PATTERN or coefficient == "krippendorff_alpha"


def _common_classes(logs: Sequence[Any]) -> Sequence[Any] | None:
    """The labels of both logs, sorted, unless their types or their stores say what the classes are."""
    given = [log for log in logs if not isinstance(log, Partitioned)]
    if len(given) < 2:
        return None
    labels = [scan_annotations(log).select("label") for log in given]
    if isinstance(labels[0].collect_schema()["label"], pl.Enum):
        return None
    both = pl.concat(labels, how="vertical_relaxed").unique().sort("label")
    return both.collect()["label"].to_list()


# --- both sides ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """One of the two agreements: its patterns, and which of them each joint pattern has."""

    coefficient: str
    scales: Scales
    votes: Units | None
    signed: Signed | None
    place: Ints
    """(J,) the pattern of each joint pattern on this side, -1 for none."""

    @property
    def units(self) -> Units:
        units = self.votes if self.signed is None else self.signed.units
        assert units is not None
        return units

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
            if self.signed is None:
                return pattern_value(self.coefficient, resample(self.units, times), self.scales)
            value_of = who_voted.VALUES[self.coefficient]
            return [value_of(self.signed, t, self.scales.weights) for t in times]

    def influence(self) -> Floats:
        """(J,) t_i / n of the examples of each joint pattern."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found = pattern_estimate(self.coefficient, self.units, self.scales)
            assert found.influence is not None
            return np.append(found.influence / found.n[0], 0.0)[self.place]


@dataclass(frozen=True)
class Sides:
    a: Side
    b: Side
    times: Ints
    """(J,) the examples of each joint pattern."""

    @property
    def n_shared(self) -> int:
        return int(self.times[(self.a.place >= 0) & (self.b.place >= 0)].sum())

    def of_draws(self, draws: Floats) -> Floats:
        return self.a.of_draws(draws) - self.b.of_draws(draws)


def _sides(rounds: Sequence[Rounds], names: tuple[str, str], request: Request) -> Sides:
    for one in rounds:
        check_annotators(one.book.annotators)
        if not one.book.classes.equals(rounds[0].book.classes):
            raise AnnotationError(
                f"the two logs have different classes: {shown(rounds[0].book.classes.to_list(), 20)} and "
                f"{shown(one.book.classes.to_list(), 20)}. Make both stores with the same classes=[...]."
            )
    both = (rounds[0], rounds[-1])
    tables = [_patterns_of(one, name) for one, name in zip(both, names, strict=True)]
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
        _side(joint, side, one, name, request)
        for side, one, name in zip("ab", both, names, strict=True)
    )
    return Sides(a, b, joint["examples"].to_numpy().astype(np.int64))


def example_patterns(part: Partition, signed: bool) -> pl.DataFrame:
    """`example` and its pattern: its votes, or who gave them."""
    local = local_units(part, ALL_EXAMPLES)
    if signed:
        pattern = encode_signed(local)
    else:
        pattern = encode(local.units.label, local.units.votes, local.units.lengths)
    return part.runs.examples.select("example").with_columns(pattern)


def _patterns_of(rounds: Rounds, coefficient: str) -> pl.LazyFrame:
    return rounds.tables({"patterns": example_patterns}, not _is_by_pattern(coefficient))[
        "patterns"
    ]


def _side(joint: pl.DataFrame, side: str, rounds: Rounds, name: str, request: Request) -> Side:
    counts = joint.lazy().filter(pl.col(side).is_not_null()).group_by(side)
    patterns = counts.agg(pl.col("examples").cast(pl.Int64).sum()).sort(side).collect()
    codes = patterns.select(side).with_row_index("place")
    place = joint.join(codes, on=side, how="left", maintain_order="left")["place"]
    patterns, classes = patterns.rename({side: "pattern"}), rounds.book.classes
    values = class_values(classes)
    scales = Scales(make_weights(request.weights, values), request.level, values)
    units = merged_units(patterns, ALL_EXAMPLES, len(classes))
    at = place.cast(pl.Int64).fill_null(-1).to_numpy()
    if _is_by_pattern(name):
        return Side(name, scales, units, None, at)
    signed = Signed.of(patterns, ALL_EXAMPLES, pl.DataFrame(), units)
    return Side(name, scales, None, signed, at)


# --- uncertainty -----------------------------------------------------------------------------------


def _uncertainty(sides: Sides, request: Request) -> Uncertainty:
    difference = sides.a.value - sides.b.value
    if request.interval == "analytic":
        return _analytic(sides, difference, request.confidence)
    if len(sides.times) * request.n_boot > MAX_DRAWS:
        raise ValueError(
            f"{len(sides.times):,} different patterns are too many to draw {request.n_boot:,} times. Use "
            "interval='analytic', or fewer draws (n_boot=)."
        )
    rng = np.random.default_rng(request.seed)
    width = len(sides.a.units.label) + len(sides.b.units.label) + len(sides.times)
    blocks = draws_of(sides.times, width, request.n_boot, rng)
    sample = np.concatenate([sides.of_draws(draws) for draws in blocks])
    return bca(difference, sample, _acceleration(sides, request), request.confidence, np.inf)


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
    reason = f"no value of {' and of '.join(lacking)}: see pc.agreement" if lacking else None
    columns: dict[str, Any] = {
        "coefficient": sides.a.coefficient,
        "other": sides.b.coefficient,
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
        "reason": reason,
    }
    one = pl.DataFrame({name: [value] for name, value in columns.items()})
    return one.with_columns(pl.col(pl.Float64).fill_nan(None), pl.col("reason").cast(pl.String))
