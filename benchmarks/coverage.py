"""How often the intervals of agreement hold the value they are about.

    python benchmarks/coverage.py [--runs 1000] [--drawn 120] [--n-boot 300] [--check] [--only NAME ...]

Ten shapes of log are drawn many times each, by annotators who stay the same (their skills are part of the
shape), on new examples. The value that an interval of 95 % is to hold is that of one very large log of the
same annotators. Labels of ICC are drawn from its own model, examples and annotators with normal effects, of
known value. Of each coefficient the share of logs whose interval holds it is printed, analytic and bootstrap
(BCa); in brackets the share of logs that have no interval, or a warning about it: these do not count.

With `--check` the program ends with 1 where that share is not within 92 and 98 %, and 2.5 standard errors of
the simulation.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from _measure import environment, markdown, say

import polars_crowd as pc
from polars_crowd.arrays import Ints
from polars_crowd.reliability.estimates import NOT_DRAWN, TOO_MANY
from polars_crowd.reliability.kinds import GAPS
from polars_crowd.reliability.registry import COEFFICIENTS, ICC_FORMS
from polars_crowd.reliability.soundness import ONE_EXAMPLE

LEAST, MOST = 0.92, 0.98
ERRORS = 2.5
"""Standard errors of the simulation that are allowed for."""
LARGE = 50_000
"""Examples of the log whose value is taken for that of the population."""
FEWEST = 30
"""Logs with an interval below which nothing is said of them."""
SEED = 5
TOLD = (ONE_EXAMPLE, TOO_MANY, NOT_DRAWN, GAPS)
"""Warnings that are about the interval."""

NOMINAL = [c.name for c in COEFFICIENTS if c.takes_classes and c.name != "gwet_ac2"]
MEASURES: dict[str, dict[str, Any]] = {
    "": {"coefficients": NOMINAL},
    " quadratic": {"coefficients": ["gwet_ac2"], "weights": "quadratic"},
    " ordinal": {"coefficients": ["krippendorff_alpha"], "level": "ordinal"},
    " interval": {"coefficients": ["krippendorff_alpha"], "level": "interval"},
}
"""What is measured of a log of classes, by what is added to a coefficient's name."""

# --- logs ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """A law that logs are drawn from."""

    name: str
    examples: int
    annotators: int
    per_example: Sequence[int]
    """Annotations of an example, each of these numbers as likely."""
    prior: Sequence[float] = field(default=(0.4, 0.35, 0.25))
    """The shares of the classes."""
    accuracy: tuple[float, float] = (0.55, 0.85)
    """Of the worst annotator and of the best, beyond chance: otherwise they guess."""
    hard: float = 0.0
    """The share of examples on which everybody guesses half of the time more often."""
    variances: tuple[float, float, float] = (1.0, 0.3, 0.7)
    """Of examples, annotators, and the rest, where labels are numbers."""

    def log(self, examples: int, runs: int, rng: np.random.Generator) -> pl.DataFrame:
        """Logs of so many examples each: `run, example, annotator, label`."""
        example, annotator = self._who(examples * runs, rng)
        K = len(self.prior)
        truth = rng.choice(K, examples * runs, p=self.prior)
        is_hard = rng.random(examples * runs) < self.hard
        skill = np.linspace(*self.accuracy, self.annotators)[annotator]
        knows = rng.random(len(example)) < np.where(is_hard[example], skill / 2, skill)
        label = np.where(knows, truth[example], rng.choice(K, len(example), p=self.prior))
        columns = {"example": example, "annotator": annotator, "label": label}
        return pl.DataFrame(columns).with_columns(run=pl.col("example") // examples)

    def numbers(
        self, examples: int, runs: int, with_annotators: bool, rng: np.random.Generator
    ) -> pl.DataFrame:
        """... with numbers as labels; each run has annotators of its own, drawn like the examples."""
        example, annotator = self._who(examples * runs, rng)
        run = example // examples
        A, B, E = np.sqrt(self.variances)
        x = A * rng.normal(size=examples * runs)[example] + E * rng.normal(size=len(example))
        if with_annotators:
            x += B * rng.normal(size=(runs, self.annotators))[run, annotator]
        return pl.DataFrame({"run": run, "example": example, "annotator": annotator, "label": x})

    def _who(self, n: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """The example and the annotator of each annotation."""
        counts = rng.choice(self.per_example, n)
        order = rng.random((n, self.annotators)).argsort(axis=1)
        there = np.arange(self.annotators) < counts[:, None]
        return np.repeat(np.arange(n), counts), order[there]


SHAPES = (
    Shape("two annotators, two classes", 60, 2, [2], prior=(0.6, 0.4)),
    Shape("three annotators, complete", 50, 3, [3]),
    Shape("many annotators", 150, 40, [5]),
    Shape("sparse", 120, 25, [1, 2, 3]),
    Shape("skewed classes", 200, 6, [4], prior=(0.94, 0.06)),
    Shape("easy and hard examples", 80, 6, [4], hard=0.5),
    Shape("many classes", 150, 5, [3], prior=[0.05] * 20),
    Shape("varying counts", 80, 12, range(2, 11)),
    Shape("near-perfect", 150, 4, [4], accuracy=(0.9, 0.96), variances=(1.0, 0.02, 0.05)),
    Shape("near-chance", 60, 4, [4], accuracy=(0.05, 0.3), variances=(0.05, 0.1, 1.0)),
)

# --- intervals -------------------------------------------------------------------------------------


def population(shape: Shape, rng: np.random.Generator) -> dict[str, float]:
    """The value of every coefficient that intervals are to hold."""
    log = shape.log(LARGE, 1, rng).drop("run")
    found = {
        row["coefficient"] + name: row["value"]
        for name, options in MEASURES.items()
        for row in pc.agreement(log, classes=range_of(shape), **options).iter_rows(named=True)
        if row["value"] is not None
    }
    return found | _icc_values(shape, log)


def _icc_values(shape: Shape, log: pl.DataFrame) -> dict[str, float]:
    n = log.group_by("example").len()["len"].to_numpy()
    k = (n.sum() - (n**2).sum() / n.sum()) / (len(n) - 1)
    A, B, E = shape.variances
    others = {"1": E, "C": E, "A": E + B, "k": E}
    return {
        form: A / (A + others[form[4]] / (k if form.endswith("k)") else 1)) for form in ICC_FORMS
    }


def range_of(shape: Shape) -> list[int]:
    return list(range(len(shape.prior)))


def intervals(shape: Shape, runs: int, rng: np.random.Generator, **how: Any) -> pl.DataFrame:
    """`coefficient, ci_low, ci_high, warning` of every coefficient and run."""
    log = shape.log(shape.examples, runs, rng)
    found = [
        _of_runs(log, classes=range_of(shape), **options, **how).with_columns(
            pl.col("coefficient") + name
        )
        for name, options in MEASURES.items()
    ]
    for with_annotators in (False, True):
        forms = [form for form in ICC_FORMS if form[4] in ("AC" if with_annotators else "1k")]
        numbers = shape.numbers(shape.examples, runs, with_annotators, rng)
        found.append(_of_runs(numbers, coefficients=forms, **how))
    return pl.concat(found)


def _of_runs(log: pl.DataFrame, **options: Any) -> pl.DataFrame:
    found = pc.agreement(log, by="run", **options)
    return found.select("coefficient", "ci_low", "ci_high", "warning")


@dataclass(frozen=True)
class Covered:
    """The intervals of one coefficient."""

    share: float
    """Of those intervals that nothing is said of, how many hold the value."""
    counted: int
    told: float
    """The share of logs without an interval, or with a warning about it."""

    @property
    def is_outside(self) -> bool:
        if self.counted < FEWEST:
            return False
        low, high = (
            side * ERRORS * np.sqrt(share * (1 - share) / self.counted)
            for side, share in ((-1, LEAST), (1, MOST))
        )
        return not LEAST + low <= self.share <= MOST + high

    def __str__(self) -> str:
        told = f" ({self.told:.0%})" if self.told >= 0.005 else ""
        if self.counted < FEWEST:
            return f"-{told}"
        text = f"{100 * self.share:.1f}{told}"
        return f"**{text}**" if self.is_outside else text


def covered(found: pl.DataFrame, values: dict[str, float]) -> dict[str, Covered]:
    """Of every coefficient that has a value."""
    found = found.with_columns(value=pl.col("coefficient").replace_strict(values, default=None))
    inside = pl.col("value").is_between("ci_low", "ci_high")
    warned = pl.any_horizontal(
        pl.col("warning").str.contains(text, literal=True).fill_null(False) for text in TOLD
    )
    counted = pl.col("ci_low").is_not_null() & ~warned
    rows = found.drop_nulls("value").group_by("coefficient", maintain_order=True)
    sums = rows.agg(
        share=inside.filter(counted).mean(), counted=counted.sum(), told=1 - counted.mean()
    )
    return {name: Covered(share or 0.0, n, told) for name, share, n, told in sums.iter_rows()}


# --- the table -------------------------------------------------------------------------------------


def table(shape: Shape, options: argparse.Namespace) -> Iterator[tuple[str, Covered, Covered]]:
    rng = np.random.default_rng([SEED, SHAPES.index(shape)])
    values = population(shape, rng)
    analytic = covered(intervals(shape, options.runs, rng), values)
    how = {"interval": "bootstrap", "n_boot": options.n_boot}
    drawn = covered(intervals(shape, options.drawn, rng, **how), values)
    for name, of_name in analytic.items():
        yield name, of_name, drawn[name]


def main() -> None:
    options = arguments()
    print(f"{environment()}\n")
    shapes = [shape for shape in SHAPES if not options.only or shape.name in options.only]
    rows: dict[str, list[str]] = {}
    outside = []
    for shape in shapes:
        began = time.perf_counter()
        for name, analytic, drawn in table(shape, options):
            rows.setdefault(name, []).append(f"{shape.name}: {analytic} / {drawn}")
            outside += [
                f"{shape.name}, {name}, {how}: {100 * found.share:.1f} % of {found.counted}"
                for how, found in (("analytic", analytic), ("bootstrap", drawn))
                if found.is_outside
            ]
        say(f"{shape.name}: {time.perf_counter() - began:.0f} s")
    print_tables(shapes, rows)
    print("\n".join(outside))
    if options.check and outside:
        sys.exit(1)


def print_tables(shapes: Sequence[Shape], rows: dict[str, list[str]]) -> None:
    cells = {name: dict(cell.split(": ", 1) for cell in found) for name, found in rows.items()}
    header = ["analytic / bootstrap, %", *(shape.name for shape in shapes)]
    body = [[name, *(of.get(shape.name, "") for shape in shapes)] for name, of in cells.items()]
    print(markdown(header, body) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--runs", type=int, default=1000, help="logs of each shape, analytic intervals"
    )
    parser.add_argument("--drawn", type=int, default=120, help="... bootstrap intervals")
    parser.add_argument("--n-boot", type=int, default=300, help="replicates of each")
    parser.add_argument(
        "--check", action="store_true", help="end with 1 where intervals do not cover"
    )
    parser.add_argument(
        "--only", nargs="+", choices=[shape.name for shape in SHAPES], metavar="NAME"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
