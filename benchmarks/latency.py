"""Small logs: how long CROWDLAB takes where all is set-up, in a process that is warm, and the first command.

    python benchmarks/latency.py [--repeat 30]

The time of a call is the median of 30 after 5 that are not counted, in a process of its own. `polars-crowd
demo` is a process from its start to its end, imports included.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from _measure import BOUNDS, Bound, Job, Shape, best, data, environment, markdown, measure

import polars_crowd as pc

REPEAT, WARM_UP = 30, 5
SMALL = Shape(11_111, 20, 5)
"""10,000 annotations, after a tenth is dropped."""
MOST_MS = 25.0
"""What CROWDLAB of the small log may take, in memory, to all three tables."""


def crowdlab(log: str, probs: str, repeat: int) -> Job:
    """CROWDLAB of frames in memory, several times: the medians of wall and CPU time in ms."""
    rows, p = pl.read_parquet(log), pl.read_parquet(probs)

    def once() -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        fit = pc.crowdlab(rows, p)
        _ = fit.examples.collect(), fit.annotations.collect(), fit.annotators
        return time.perf_counter() - wall, time.process_time() - cpu

    def run() -> list[float]:
        times = [once() for _ in range(WARM_UP + repeat)][WARM_UP:]
        return [1000 * statistics.median(each) for each in zip(*times, strict=True)]

    return Job(run, list)


def demo() -> Job:
    """The command, in a directory that goes again."""

    def run() -> None:
        with tempfile.TemporaryDirectory() as place:
            command = [sys.executable, "-m", "polars_crowd", "demo"]
            subprocess.run(command, cwd=place, check=True, capture_output=True)

    return Job(run)


def bounds(root: Path, repeat: int = REPEAT) -> Iterator[Bound]:
    """The targets, measured; the command has none."""
    files = data(root, SMALL, "integer").files
    wall, cpu = measure("latency:crowdlab", {**files, "repeat": repeat}).report
    yield Bound("CROWDLAB of 10,000 in a warm process, ms", wall, MOST_MS, cpu=cpu)
    command = best([measure("latency:demo", {}) for _ in range(3)])
    yield Bound("polars-crowd demo, s", command.wall)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=REPEAT)
    options = parser.parse_args()
    print(markdown(["environment", ""], environment().items()))
    with tempfile.TemporaryDirectory() as root:
        lines = [bound.line for bound in bounds(Path(root), options.repeat)]
    print(markdown(BOUNDS, lines))


if __name__ == "__main__":
    main()
