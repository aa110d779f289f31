"""Agreement: all coefficients against one count of votes, the bootstrap, a million numbers, and peers.

    python benchmarks/agreement.py [--rows 10000000] [--repeat 3] [--irrcac PYTHON] [--seconds 60]

Every job runs in a fresh process. Peers get the log as they take it, ready made in memory: krippendorff and
irrCAC a matrix of examples by annotators, statsmodels one of examples by slots, which is not counted as their
time. Each is given a log four times larger than the one before, until one takes more than a minute, its
matrix more than 2 GB, or the log more than 5 million annotations; polars_crowd then reads the same log from a
file. irrCAC needs numpy < 2, so it is run by the interpreter of another environment, if one is named.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from _measure import (
    PER_EXAMPLE,
    Bound,
    Call,
    Job,
    Measurement,
    Shape,
    alternate,
    best,
    data,
    environment,
    markdown,
    measure,
    say,
)

import polars_crowd as pc

COEFFICIENTS = [
    "percent_agreement",
    "fleiss_kappa",
    "conger_kappa",
    "brennan_prediger",
    "gwet_ac1",
    "gwet_ac2",
    "krippendorff_alpha",
    "icc(1)",
]
"""All that are there for a crowd: Cohen and Scott take two annotators, Light few."""
ANNOTATORS, CLASSES, DRAWS = 10_000, 5, 2000
PEERS_ANNOTATORS = (1_000, 10_000)
START, GROWTH = 1_000, 4
"""Annotations that a peer begins with, and by how much they grow."""
LARGEST = 5_000_000
"""Annotations beyond which no peer is tried."""
MATRIX_GB = 2.0
"""The largest matrix of examples by annotators that is made for a peer."""
REALS = 1_000_000
TOLERANCE = 1e-9
COUNT, ALL = "one count of votes", "all coefficients"
BY_COUNT = 1.5
"""What all coefficients may take, in counts of votes."""
TIMES = 50
"""How many times as fast as krippendorff, of a thousand annotators."""
MEETING, MET = 5_000, 4
"""Annotators every two of whom meet, and on how many examples."""
PAIRS_GB = 2.0
"""What all their pairs may take."""
ROWS, SECONDS = 10_000_000, 60.0

# --- jobs ------------------------------------------------------------------------------------------


def ours(log: str, interval: str = "analytic", coefficients: list[str] | None = None) -> Job:
    """Coefficients with intervals, from a file."""
    chosen, agreement = coefficients or COEFFICIENTS, pc.agreement

    def run() -> pl.DataFrame:
        return agreement(log, coefficients=chosen, interval=interval)  # type: ignore[arg-type]

    return Job(run, lambda found: dict(found.select("coefficient", "value").iter_rows()))


def floor(log: str) -> Job:
    """Count the votes once."""
    return Job(lambda: pl.scan_parquet(log).group_by("example", "label").len().collect())


def make_meeting(path: str, annotators: int, ids: str) -> Job:
    """All annotators on each of MET examples: every two of them meet."""
    label = np.random.default_rng(0).integers(0, CLASSES, MET * annotators)
    example, annotator = np.divmod(np.arange(MET * annotators), annotators)
    log = pl.DataFrame({"example": example, "annotator": annotator, "label": label})
    if ids == "string":
        log = log.select(pl.format("{}-{}", pl.lit(c), pl.col(c)).alias(c) for c in log.columns)
    return Job(lambda: log.write_parquet(path))


def meeting(path: str, table: str) -> Job:
    """A table of all pairs of annotators; the peak is what counts."""
    tables: dict[str, Callable[[str], pl.DataFrame]] = {
        "pairwise_agreement": pc.pairwise_agreement,
        "annotator_pairs": pc.annotator_pairs,
        "overlap": lambda log: pc.overlap(log).pairs,
    }
    return Job(lambda: tables[table](path), lambda pairs: pairs.height)


def reals(n: int, level: str) -> Job:
    """Alpha of n different numbers, two per example; the peak holds the log itself."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=n // 2), 2) + rng.normal(size=n)
    log = pl.DataFrame(
        {
            "example": np.repeat(np.arange(n // 2), 2),
            "annotator": np.tile([0, 1], n // 2),
            "label": x,
        }
    )
    alpha = pc.krippendorff_alpha
    return Job(lambda: alpha(log, level=level))  # type: ignore[arg-type]


def matrix(log: str) -> np.ndarray:
    """Examples by annotators, NaN where not labelled."""
    rows = pl.read_parquet(log)
    cells = rows["example"].to_numpy(), rows["annotator"].to_numpy()
    wide = np.full((int(cells[0].max()) + 1, int(cells[1].max()) + 1), np.nan)
    wide[cells] = rows["label"].to_numpy()
    return wide


def krippendorff(log: str) -> Job:
    """Alpha by the package krippendorff."""
    import krippendorff as package

    wide = matrix(log).T
    return Job(lambda: package.alpha(wide, level_of_measurement="nominal"), float)


def statsmodels(log: str) -> Job:
    """Fleiss' kappa by statsmodels, which takes examples with equally many annotations."""
    from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

    rows = pl.read_parquet(log).sort("example")
    full = rows.filter(pl.len().over("example") == 5)
    slots = full["label"].to_numpy().reshape(-1, 5)
    return Job(lambda: fleiss_kappa(aggregate_raters(slots)[0]), float)


def irrcac(log: str, python: str) -> Job:
    """Gwet's AC1 by irrCAC, whose own time is taken inside its interpreter."""
    source = log.replace(".parquet", ".csv")
    pl.read_parquet(log).pivot(
        "annotator", index="example", values="label", sort_columns=True
    ).drop("example").write_csv(source)
    code = (
        "import sys, time, json, pandas as pd\n"
        "from irrCAC.raw import CAC\n"
        "wide = pd.read_csv(sys.argv[1])\n"
        "start = time.perf_counter()\n"
        f"found = CAC(wide, categories=list(range({CLASSES})), digits=15).gwet()\n"
        "wall = time.perf_counter() - start\n"
        "print(json.dumps([wall, float(found['est']['coefficient_value'])]))\n"
    )

    def run() -> list[float]:
        done = subprocess.run(
            [python, "-W", "ignore", "-c", code, source],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return [float(v) for v in json.loads(done.stdout.splitlines()[-1])]

    return Job(run, list)


# --- peers -----------------------------------------------------------------------------------------


def log_of(root: Path, rows: int, annotators: int) -> str:
    return data(root, Shape(rows, annotators, CLASSES), "integer").files["log"]


Peer = tuple[str, str, Callable[[str], Call]]
"""A peer, the coefficient it is compared by, and its job on a log."""
KRIPPENDORFF: Peer = (
    "krippendorff",
    "krippendorff_alpha",
    lambda log: ("agreement:krippendorff", {"log": log}),
)


def contest(
    root: Path,
    name: str,
    coefficient: str,
    call: Callable[[str], Call],
    annotators: int,
    seconds: float,
    repeat: int,
) -> tuple[float, list[str]]:
    """How many times as fast we are at the largest log that a peer can do in the time, and a row for the
    table of peers."""
    rows, log, theirs, dense = START, "", Measurement(0, 0, 0), name != "statsmodels"
    while True:
        larger = log_of(root, rows, annotators)
        found = measure(*call(larger))
        wall = found.report[0] if name == "irrCAC" else found.wall
        say(f"{name}, {rows:,} rows: {wall:.2f} s, {found.peak:.2f} GB")
        if wall > seconds:
            break
        log, theirs = larger, found
        rows *= GROWTH
        if (
            rows > LARGEST
            or wall * GROWTH > 2 * seconds
            or (dense and _matrix_gb(rows, annotators) > MATRIX_GB)
        ):
            break
    wall, value = theirs.report if name == "irrCAC" else (theirs.wall, theirs.report)
    ours_call = ("agreement:ours", {"log": log, "coefficients": [coefficient]})
    us = best([measure(*ours_call) for _ in range(repeat)])
    return wall / us.wall, [
        name,
        coefficient,
        f"{annotators:,}",
        f"{pl.scan_parquet(log).select(pl.len()).collect().item():,}",
        f"{wall:.2f}",
        f"{us.wall:.3f}",
        f"{wall / us.wall:.0f}x",
        _agrees(name, value, log, coefficient),
    ]


def _matrix_gb(rows: int, annotators: int) -> float:
    return rows / PER_EXAMPLE * annotators * 8 / 1e9


def _agrees(name: str, value: float, log: str, coefficient: str) -> str:
    """How far the two values are from each other."""
    rows = pl.scan_parquet(log)
    if name == "statsmodels":
        rows = rows.filter(pl.len().over("example") == 5)
    found = pc.agreement(rows, coefficients=coefficient, classes=list(range(CLASSES)))["value"][0]
    apart = abs(found - value)
    return f"{apart:.0e}" if apart <= TOLERANCE else f"APART {apart:.0e}"


# --- report ----------------------------------------------------------------------------------------


def costs(root: Path, rows: int, repeat: int) -> dict[str, Measurement]:
    """The best run of a count of votes, and of all coefficients."""
    log = data(root, Shape(rows, ANNOTATORS, CLASSES), "integer").files["log"]
    calls: dict[str, Call] = {
        COUNT: ("agreement:floor", {"log": log}),
        ALL: ("agreement:ours", {"log": log}),
        f"... with {DRAWS:,} draws": ("agreement:ours", {"log": log, "interval": "bootstrap"}),
    }
    return {name: best(runs) for name, runs in alternate("large", calls, repeat).items()}


def large(root: Path, rows: int, repeat: int) -> str:
    found = costs(root, rows, repeat)
    base = found[COUNT]
    table = [
        [name, f"{m.wall:.2f}", f"{m.cpu:.2f}", f"{m.cpu / base.cpu:.2f}x", f"{m.peak:.2f}"]
        for name, m in found.items()
    ]
    return markdown(("job", "wall s", "CPU s", "CPU by count", "peak GB"), table)


def numbers(repeat: int) -> str:
    found = {
        level: best(
            [measure("agreement:reals", {"n": REALS, "level": level}) for _ in range(repeat)]
        )
        for level in ("interval", "ordinal")
    }
    table = [[level, f"{m.wall:.2f}", f"{m.peak:.2f}"] for level, m in found.items()]
    return markdown((f"alpha of {REALS:,} numbers", "wall s", "peak GB"), table)


def peers(root: Path, seconds: float, repeat: int, python: str | None) -> str:
    given: list[Peer] = [
        KRIPPENDORFF,
        ("statsmodels", "fleiss_kappa", lambda log: ("agreement:statsmodels", {"log": log})),
    ]
    if python:
        other: dict[str, Any] = {"python": python}
        given.append(
            ("irrCAC", "gwet_ac1", lambda log: ("agreement:irrcac", {"log": log, **other}))
        )
    table = [
        contest(root, *peer, annotators, seconds, repeat)[1]
        for peer in given
        for annotators in (PEERS_ANNOTATORS if peer[0] != "statsmodels" else PEERS_ANNOTATORS[:1])
    ]
    header = (
        "peer",
        "coefficient",
        "annotators",
        "annotations",
        "its s",
        "our s",
        "faster",
        "values apart",
    )
    return markdown(header, table)


def bounds(root: Path, repeat: int) -> Iterator[Bound]:
    """The targets, measured."""
    found = costs(root, ROWS, repeat)
    wall, cpu = found[ALL].wall / found[COUNT].wall, found[ALL].cpu / found[COUNT].cpu
    yield Bound(f"all coefficients of {ROWS:,}: wall by count of votes", wall, BY_COUNT, cpu=cpu)
    annotators = PEERS_ANNOTATORS[0]
    faster, _ = contest(root, *KRIPPENDORFF, annotators, SECONDS, repeat)
    yield Bound(
        f"alpha, {annotators:,} annotators: times as fast as krippendorff", faster, least=TIMES
    )
    for ids in ("integer", "string"):
        log = f"{root}/meeting-{ids}.parquet"
        make = {"path": log, "annotators": MEETING, "ids": ids}
        measure("agreement:make_meeting", make)
        for table in ("pairwise_agreement", "annotator_pairs", "overlap"):
            taken = measure("agreement:meeting", {"path": log, "table": table})
            say(f"{table}, {ids} ids: {taken}")
            what = f"{table}, {taken.report:,} pairs, {ids} ids: GB at its peak"
            yield Bound(what, taken.peak, PAIRS_GB)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="0: peers only")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="the time that a peer is given"
    )
    parser.add_argument("--irrcac", help="a Python interpreter that has irrCAC")
    parser.add_argument("--data", type=Path, help="where the data are kept; by default nowhere")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = options.data or Path(scratch)
        for name, value in environment().items():
            print(f"* {name}: {value}")
        if options.rows:
            print(f"\n{large(root, options.rows, options.repeat)}\n", flush=True)
            print(f"{numbers(options.repeat)}\n", flush=True)
        print(peers(root, options.seconds, options.repeat, options.irrcac), flush=True)


if __name__ == "__main__":
    main()
