"""What the benchmarks share: jobs measured in fresh processes, the data they run on, and Markdown."""

from __future__ import annotations

import datetime
import importlib
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import numpy as np
import polars as pl

import polars_crowd

# --- measurements ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """What is measured, made ready by the function that returns it."""

    run: Callable[[], Any]
    report: Callable[[Any], Any] = lambda result: None
    """Called on the result after the measurement; what it returns must fit in JSON."""


@dataclass(frozen=True)
class Measurement:
    """One run of a job."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds of user and system time, of all threads."""
    peak: float
    """The process's largest resident memory in GB (1e9 bytes), its imports and inputs included."""
    report: Any = None

    def __str__(self) -> str:
        return f"{self.wall:.2f} s wall, {self.cpu:.2f} s CPU, {self.peak:.2f} GB"


Call = tuple[str, Mapping[str, Any]]
"""A function that returns a job, as "module:function", and its arguments."""


def measure(target: str, arguments: Mapping[str, Any]) -> Measurement:
    """Measure a job in a fresh process."""
    command = [sys.executable, __file__, target, json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{target} failed with exit code {done.returncode}: {json.dumps(arguments)}")
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def alternate(title: str, calls: Mapping[str, Call], repeat: int) -> dict[str, list[Measurement]]:
    """Measure each of the jobs `repeat` times, in turns."""
    found: dict[str, list[Measurement]] = {name: [] for name in calls}
    for i in range(repeat):
        for name, (target, arguments) in calls.items():
            found[name].append(measure(target, arguments))
            say(f"{title}: {name}, run {i + 1} of {repeat}: {found[name][-1]}")
    return found


def best(runs: Sequence[Measurement]) -> Measurement:
    """The least wall and CPU time, each for itself, and the largest peak."""
    return Measurement(
        wall=min(run.wall for run in runs),
        cpu=min(run.cpu for run in runs),
        peak=max(run.peak for run in runs),
    )


def say(message: str) -> None:
    """Progress."""
    print(message, file=sys.stderr, flush=True)


def _run_child(target: str, arguments: str) -> None:
    """What a fresh process does: make ready, measure, report."""
    module, function = target.split(":")
    job: Job = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    cpu, wall = _cpu_seconds(), time.perf_counter()
    result = job.run()
    wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
    measured = {"wall": wall, "cpu": cpu, "peak": _peak_gb()}
    print(json.dumps({**measured, "report": job.report(result)}))


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_gb() -> float:
    """Linux hands the peak of the process that starts a child on to it, so that one must stay small."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


# --- data ------------------------------------------------------------------------------------------

Ids = Literal["integer", "string", "padded", "digits", "uuid", "url", "path"]

SEED = 20_240
PER_EXAMPLE = 5
DROPPED = 0.1
MODEL_SIGNAL = 2.5
"""What the true class's logit has above the others."""
CHUNK = ROW_GROUP = 262_144


@dataclass(frozen=True)
class Shape:
    """The size of a log."""

    rows: int
    """Annotations before a tenth of them is dropped."""
    annotators: int
    classes: int


@dataclass(frozen=True)
class Data:
    """A log and a model's probabilities, in Parquet files."""

    folder: Path

    @property
    def files(self) -> dict[str, str]:
        """As the arguments of a job."""
        return {
            "log": str(self.folder / "log.parquet"),
            "probs": str(self.folder / "probs.parquet"),
        }

    @property
    def annotations(self) -> int:
        return pl.scan_parquet(self.files["log"]).select(pl.len()).collect().item()


def data(root: Path, shape: Shape, ids: Ids) -> Data:
    """The data of a shape: those in the folder `root`, or made there now."""
    sizes = f"{shape.rows}-rows-{shape.annotators}-annotators-{shape.classes}-classes"
    folder = root / sizes / ids
    if not folder.exists():
        made_from = vars(shape)
        if ids != "integer":
            made_from = {**data(root, shape, "integer").files, "ids": ids}
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        maker = "make_integer_data" if ids == "integer" else "make_text_data"
        made = measure(f"_measure:{maker}", {"folder": str(unfinished), **made_from})
        unfinished.rename(folder)
        say(f"made {sizes}, {ids} ids: {made}")
    return Data(folder)


def make_integer_data(folder: str, rows: int, annotators: int, classes: int) -> Job:
    """Annotators of accuracy Beta(8, 2), uniform errors, and a model that knows something.

    About 4.5 annotations per example by different annotators, in random order; the ids are 0, 1, ...
    """

    def run() -> None:
        rng = np.random.default_rng([SEED, rows, annotators, classes])
        truth = rng.integers(0, classes, rows // PER_EXAMPLE)
        out = Data(Path(folder)).files
        _log(rng, truth, annotators, classes).write_parquet(out["log"], row_group_size=ROW_GROUP)
        _probs(rng, truth, classes).write_parquet(out["probs"], row_group_size=ROW_GROUP)

    return Job(run)


def _log(rng: np.random.Generator, truth: np.ndarray, M: int, K: int) -> pl.DataFrame:
    accuracy = rng.beta(8, 2, M).clip(0.2, 0.99)
    annotator = _different_annotators(rng, len(truth), M)
    error = rng.integers(1, K, annotator.shape)
    error[rng.random(annotator.shape) < accuracy[annotator]] = 0
    label = (truth[:, None] + error) % K
    kept = rng.random(annotator.shape) >= DROPPED
    kept[:, 0] |= ~kept.any(axis=1)
    order = rng.permutation(kept.sum())
    return pl.DataFrame(
        {
            "example": np.nonzero(kept)[0][order],
            "annotator": annotator[kept][order],
            "label": label[kept].astype(np.int16)[order],
        }
    )


def _different_annotators(rng: np.random.Generator, n: int, M: int) -> np.ndarray:
    """PER_EXAMPLE annotators for each example: drawn anew until no one comes twice."""
    drawn = rng.integers(0, M, (n, PER_EXAMPLE), dtype=np.int32)
    while len(twice := np.flatnonzero((np.diff(np.sort(drawn)) == 0).any(axis=1))):
        drawn[twice] = rng.integers(0, M, (len(twice), PER_EXAMPLE), dtype=np.int32)
    return drawn


def _probs(rng: np.random.Generator, truth: np.ndarray, K: int) -> pl.DataFrame:
    """softmax(N(0, 1) + MODEL_SIGNAL at the truth), made in chunks of examples."""
    probs = np.empty((K, len(truth)), dtype=np.float32)
    for start in range(0, len(truth), CHUNK):
        chunk = truth[start : start + CHUNK]
        p = rng.normal(size=(len(chunk), K))
        p[np.arange(len(chunk)), chunk] += MODEL_SIGNAL
        np.exp(p, out=p)
        probs[:, start : start + CHUNK] = (p / p.sum(axis=1, keepdims=True)).T
    return pl.DataFrame(
        {"example": np.arange(len(truth)), **{str(k): row for k, row in enumerate(probs)}}
    )


def _numbers(n: int) -> pl.Series:
    """n different random numbers of up to ten digits."""
    rng = np.random.default_rng([SEED, n])
    found = pl.Series([], dtype=pl.Int64)
    while len(found) < n:
        more = pl.Series(rng.integers(0, 10**10, n - len(found)))
        found = pl.concat([found, more]).unique(maintain_order=True)
    return found


def _uuids(n: int) -> pl.Series:
    rng = np.random.default_rng([SEED, n])
    return pl.Series([str(UUID(bytes=rng.bytes(16), version=4)) for _ in range(n)])


TEXT_IDS: dict[str, Callable[[int], pl.Series]] = {
    "string": lambda n: pl.select(
        pl.format("task-{}", pl.int_range(n) + 1_000_000_000)
    ).to_series(),
    "padded": lambda n: pl.select(pl.format("e{}", _padded(pl.int_range(n), 7))).to_series(),
    "digits": lambda n: pl.select(pl.format("item-{}", _numbers(n))).to_series(),
    "uuid": _uuids,
    "url": lambda n: _between("https://img{}.example.org/crowd/batch/images/{}.jpg", n),
    "path": lambda n: _between("/mnt/disk{}/projects/annotation/2024/raw/frames/{}.png", n),
}
"""The ids of n examples, as text: `task-1000000000`, `e0000000`, `item-` and up to ten digits, and texts that
differ in front and behind a long common middle."""


def _padded(number: pl.Expr, digits: int) -> pl.Expr:
    return number.cast(pl.String).str.zfill(digits)


def _between(pattern: str, n: int) -> pl.Series:
    number = pl.lit(_numbers(n))
    return pl.select(pl.format(pattern, number % 4, _padded(number, 10))).to_series()


def make_text_data(folder: str, log: str, probs: str, ids: str) -> Job:
    """The same with ids and labels as text: those of examples as named, worker-000123, class-0."""
    names = TEXT_IDS[ids](pl.scan_parquet(probs).select(pl.len()).collect().item())
    example = pl.lit(names).gather("example").alias("example")
    annotator = pl.format("worker-{}", _padded(pl.col("annotator"), 6)).alias("annotator")
    label = pl.format("class-{}", "label").alias("label")

    def run() -> None:
        out = Data(Path(folder)).files
        named = pl.scan_parquet(log).select(example, annotator, label)
        named.sink_parquet(out["log"], row_group_size=ROW_GROUP)
        by_class = pl.exclude("example").name.prefix("class-")
        named = pl.scan_parquet(probs).select(example, by_class)
        named.sink_parquet(out["probs"], row_group_size=ROW_GROUP)

    return Job(run)


# --- targets ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bound:
    """What was measured of something, and what it is to reach."""

    what: str
    value: float
    most: float | None = None
    least: float | None = None
    cpu: float | None = None
    """The same by CPU seconds, which say more where others are at work."""

    @property
    def is_met(self) -> bool:
        above = self.most is not None and self.value > self.most
        return not above and (self.least is None or self.value >= self.least)

    @property
    def line(self) -> list[str]:
        """A row of a table."""
        limits = ((self.most, "at most"), (self.least, "at least"))
        target = " ".join(f"{word} {limit:g}" for limit, word in limits if limit is not None)
        verdict = ("met" if self.is_met else "MISSED") if target else ""
        cpu = "" if self.cpu is None else f"{self.cpu:.2f}"
        value = f"{self.value:.2f}" if self.value >= 0.01 else f"{self.value:.1e}"
        return [self.what, value, cpu, target, verdict]


BOUNDS = ("", "measured", "by CPU", "target", "")
"""The header of their table."""


# --- reports ---------------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """The machine, the versions and the day."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GiB, {_cpu_model()}",
        "load average at the start": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        **{
            package: version(package)
            for package in ("polars", "numpy", "cleanlab")
            if find_spec(package)
        },
        "polars_crowd": polars_crowd.__version__,
        "date": datetime.date.today().isoformat(),
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; all columns but the first to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    _run_child(*sys.argv[1:])
