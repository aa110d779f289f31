"""Logs larger than memory: an AnnotationStore of 1M, 10M and 100M annotations, in bounded memory.

    python benchmarks/scale.py [--rows 1e6 1e9] [--jobs CROWDLAB ...] [--data DIR]

Data are made in chunks and streamed into a store, never held whole; of files, none stays longer than a job
needs it. Printed are wall and CPU seconds and the peak memory of majority vote, CROWDLAB, agreement and
Dawid-Skene, how time grows with rows, CROWDLAB in memory beside it, and what an iteration of Dawid-Skene
takes.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import shutil
import sys
import tempfile
import warnings
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from _measure import Job, Measurement, environment, markdown, measure, say

import polars_crowd as pc
from polars_crowd.consensus.crowdlab import consensus_by_method
from polars_crowd.consensus.model import Options, count_overlap
from polars_crowd.rounds.opening import open_rounds

PER_EXAMPLE = 5
CLASSES = 5
CHUNK = 1_000_000
"""Examples made at a time."""
ROWS_PER_ANNOTATOR = 1_000
IN_MEMORY = 10_000_000
PROCESSES = 2
LATE = 20_000
"""Annotations that come after a run."""
CROWDLAB, POOL, IN_ONE = "CROWDLAB", f"CROWDLAB, {PROCESSES} processes", "CROWDLAB in memory"
DAWID_SKENE = "Dawid-Skene"
JOBS = ("majority vote", CROWDLAB, "agreement, analytic", "agreement, bootstrap", DAWID_SKENE, POOL)
REFRESH = "parameters after an append"
DIFFERENCE = "difference of memory and"
ITERATIONS = {"Dawid-Skene, 1 iteration": 1, "Dawid-Skene, 5 iterations": 5}
BYTES_PER_ROW = 60
"""Disk for data, store and results."""
SPREAD = 2_654_435_761
"""Ids are the examples' numbers times this, modulo a power of two: no file holds neighbours."""

# --- data ------------------------------------------------------------------------------------------


def make(folder: str, rows: int, per_annotator: int = ROWS_PER_ANNOTATOR) -> Job:
    """Files of a chunk each: annotators of accuracy Beta(8, 2), a model that knows something."""

    def run() -> None:
        for kind in ("log", "probs"):
            (Path(folder) / kind).mkdir(parents=True)
        chunks = range(math.ceil(rows / PER_EXAMPLE / CHUNK))
        write = partial(write_chunk, folder, rows, max(rows // per_annotator, 100))
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
            list(pool.map(write, chunks))

    return Job(run)


def write_chunk(folder: str, rows: int, M: int, i: int) -> None:
    """The files of a chunk, which do not depend on who writes them."""
    accuracy = np.random.default_rng(rows).beta(8, 2, M).clip(0.2, 0.99)
    chunk = np.arange(i * CHUNK, min((i + 1) * CHUNK, rows // PER_EXAMPLE))
    log, probs = make_chunk(np.random.default_rng([rows, i]), chunk, accuracy)
    log.write_parquet(Path(folder) / "log" / f"{i:04d}.parquet")
    probs.write_parquet(Path(folder) / "probs" / f"{i:04d}.parquet")


def make_chunk(
    rng: np.random.Generator, number: np.ndarray, accuracy: np.ndarray
) -> tuple[pl.DataFrame, pl.DataFrame]:
    n, M = len(number), len(accuracy)
    truth = rng.integers(0, CLASSES, n)
    start, step = rng.integers(0, M, n), rng.integers(1, max(M // PER_EXAMPLE, 2), n)
    annotator = (start[:, None] + step[:, None] * np.arange(PER_EXAMPLE)) % M
    error = rng.integers(1, CLASSES, annotator.shape)
    error[rng.random(annotator.shape) < accuracy[annotator]] = 0
    example = (number * SPREAD) % (1 << 44)
    log = pl.DataFrame(
        {
            "example": np.repeat(example, PER_EXAMPLE),
            "annotator": annotator.ravel(),
            "label": ((truth[:, None] + error) % CLASSES).ravel().astype(np.int16),
        }
    )
    p = rng.normal(size=(n, CLASSES)).astype(np.float32)
    p[np.arange(n), truth] += 2.5
    np.exp(p, out=p)
    p /= p.sum(axis=1, keepdims=True)
    probs = pl.DataFrame({"example": example, **{str(k): p[:, k] for k in range(CLASSES)}})
    return log[rng.permutation(len(log))], probs


# --- jobs ------------------------------------------------------------------------------------------


def create(folder: str, store: str) -> Job:
    def run() -> None:
        pc.AnnotationStore.create(store, f"{folder}/log/*.parquet", f"{folder}/probs/*.parquet")

    return Job(run)


def majority(store: str, into: str) -> Job:
    """Majority vote of a store, written."""
    opened = pc.AnnotationStore.open(store)
    return Job(lambda: pc.majority_vote(opened, into=into))


def crowdlab(store: str, into: str) -> Job:
    """CROWDLAB of a store: all three tables, written."""
    opened = pc.AnnotationStore.open(store)
    return Job(lambda: pc.crowdlab(opened, into=into))


def agreement(store: str, interval: str) -> Job:
    """All coefficients of agreement that are there for a crowd."""
    opened, compute = pc.AnnotationStore.open(store), pc.agreement
    return Job(lambda: compute(opened, interval=interval))  # type: ignore[arg-type]


def pool(store: str, into: str, processes: int) -> Job:
    """... with a pool of processes, whose CPU seconds are not counted here."""
    opened = pc.AnnotationStore.open(store)

    def run() -> None:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, mp_context=context) as executor:
            pc.crowdlab(opened, into=into, executor=executor)

    return Job(run)


def refresh(store: str, into: str) -> Job:
    """CROWDLAB's parameters, after annotations of examples of one partition were appended."""
    opened = pc.AnnotationStore.open(store)
    parts = opened.describe()
    first = int(parts["partition"][0])
    example = opened.scan_annotations().select("example").head(LATE * PER_EXAMPLE).unique()
    late = example.with_columns(annotator=pl.lit(-1, pl.Int64), label=pl.lit(0, pl.Int16))
    opened.append(late)
    say(f"appended {LATE:,} annotations in partition {first} of {parts.height}")
    rounds = open_rounds(opened, into=into)
    options = Options(("best_quality",), "crowdlab", "self_confidence", False)
    return Job(
        lambda: consensus_by_method(rounds, rounds.run(count_overlap, remember=True), options)
    )


def difference(one: str, other: str) -> Job:
    """The largest differences between two directories of results."""
    keys = {"examples": ["example"], "annotations": ["example", "annotator"]}

    def run() -> dict[str, float]:
        found = {}
        results = [pc.open_results(folder) for folder in (one, other)]
        for table, key in keys.items():
            a, b = (getattr(result, table) for result in results)
            columns = [c for c, dtype in a.collect_schema().items() if dtype.is_float()]
            both = a.join(b, on=key, how="full", suffix="_b")
            largest = [(pl.col(c) - pl.col(f"{c}_b")).abs().max() for c in columns]
            unmatched = pl.col(columns[0]).is_null() | pl.col(f"{columns[0]}_b").is_null()
            labels = (
                [(pl.col("consensus_label") != pl.col("consensus_label_b")).sum().alias("labels")]
                if table == "examples"
                else []
            )
            row = both.select(*largest, *labels, unmatched.sum().alias("rows")).collect()
            found.update(
                {f"{table}.{name}": value for name, value in row.row(0, named=True).items()}
            )
        return found

    return Job(run, dict)


def dawid_skene(store: str, iterations: int) -> Job:
    """So many iterations of Dawid-Skene on a store."""
    opened = pc.AnnotationStore.open(store)

    def run() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pc.AnnotationWarning)
            pc.dawid_skene(opened, max_iter=iterations, tol=0.0)

    return Job(run)


def in_memory(folder: str, into: str) -> Job:
    """CROWDLAB of the same files in memory: all three tables, written."""

    def run() -> None:
        pc.crowdlab(f"{folder}/log/*.parquet", f"{folder}/probs/*.parquet", into=into)

    return Job(run)


# --- the runs --------------------------------------------------------------------------------------


def measure_rows(root: Path, rows: int, jobs: Collection[str]) -> dict[str, Measurement]:
    """The jobs of one size, in their order; what none of those to come reads is removed at once."""
    folder = root / f"{rows}-rows"
    shutil.rmtree(folder, ignore_errors=True)
    found = {}
    for name, target, arguments, no_longer_needed in planned(folder, rows, jobs):
        found[name] = measure(target, arguments)
        say(f"{rows:,} rows, {name}: {found[name]}")
        for done_with in no_longer_needed:
            shutil.rmtree(folder / done_with)
    shutil.rmtree(folder, ignore_errors=True)
    return found


Planned = tuple[str, str, Mapping[str, Any], list[str]]
"""A job's name, its function and arguments, and the folders that go after it."""


def planned(folder: Path, rows: int, jobs: Collection[str]) -> Iterator[Planned]:
    """What is to be run: the jobs asked for, and what they are made of."""
    small = rows <= IN_MEMORY
    data, store = str(folder / "data"), str(folder / "store")

    def job(name: str, target: str, into: str = "", *gone: str, **arguments: Any) -> Planned:
        place = {"into": str(folder / into)} if into else {}
        return name, f"scale:{target}", {"store": store, **place, **arguments}, list(gone)

    yield "make", "scale:make", {"folder": data, "rows": rows}, []
    yield job("create", "create", "", *([] if small else ["data"]), folder=data)
    if "majority vote" in jobs:
        yield job("majority vote", "majority", "majority", "majority")
    if CROWDLAB in jobs:
        yield job(CROWDLAB, "crowdlab", "crowdlab")
    for interval in ("analytic", "bootstrap"):
        if (name := f"agreement, {interval}") in jobs:
            yield job(name, "agreement", interval=interval)
    for name, iterations in ITERATIONS.items():
        if DAWID_SKENE in jobs:
            yield job(name, "dawid_skene", iterations=iterations)
    if CROWDLAB in jobs and not small:
        yield job(REFRESH, "refresh", "crowdlab", "crowdlab")
    if POOL in jobs:
        gone = [] if small else ["pool"]
        yield job(POOL, "pool", "pool", *gone, processes=PROCESSES)
    if small and {CROWDLAB, POOL} <= set(jobs):
        memory = str(folder / "memory")
        yield IN_ONE, "scale:in_memory", {"folder": data, "into": memory}, []
        for other in ("crowdlab", "pool"):
            both = {"one": memory, "other": str(folder / other)}
            yield f"{DIFFERENCE} {other}", "scale:difference", both, []


def report(results: Mapping[int, Mapping[str, Measurement]]) -> str:
    header = ["annotations", "job", "wall s", "CPU s", "peak GB"]
    lines = [
        [f"{rows:,}", name, f"{m.wall:.1f}", f"{m.cpu:.1f}", f"{m.peak:.2f}"]
        for rows, found in results.items()
        for name, m in found.items()
        if name != "make" and not name.startswith(DIFFERENCE)
    ]
    return "\n\n".join(
        [
            markdown(header, lines),
            *slopes(results),
            *per_iteration(results),
            *against_memory(results),
            *refreshed(results),
            *differences(results),
        ]
    )


def refreshed(results: Mapping[int, Mapping[str, Measurement]]) -> list[str]:
    return [
        f"Parameters of {rows:,} after an append to one partition: "
        f"{found[REFRESH].wall / found[CROWDLAB].wall:.1%} of the time of CROWDLAB"
        for rows, found in results.items()
        if REFRESH in found
    ]


def differences(results: Mapping[int, Mapping[str, Measurement]]) -> list[str]:
    return [
        f"{rows:,}, {name}: at most {max(m.report.values()):.0e} (labels and rows that differ counted as 1)"
        for rows, found in results.items()
        for name, m in found.items()
        if name.startswith(DIFFERENCE)
    ]


def slopes(results: Mapping[int, Mapping[str, Measurement]]) -> list[str]:
    """How the CPU time grows: 1 is in proportion to the rows."""
    sizes = sorted(results)
    return [
        f"{name}: CPU seconds grow as rows^{math.log(b.cpu / a.cpu) / math.log(big / small):.2f} "
        f"from {small:,} to {big:,}"
        for small, big in pairwise(sizes)
        for name in ("majority vote", CROWDLAB)
        if (a := results[small].get(name)) and (b := results[big].get(name))
    ]


def per_iteration(results: Mapping[int, Mapping[str, Measurement]]) -> list[str]:
    """What one more iteration takes."""
    (first, few), (last, many) = ITERATIONS.items()
    lines = []
    for rows, found in results.items():
        if last not in found:
            continue
        wall, cpu = found[last].wall - found[first].wall, found[last].cpu - found[first].cpu
        lines.append(
            f"Dawid-Skene of {rows:,}: {wall / (many - few):.2f} s and {cpu / (many - few):.2f} CPU seconds "
            "an iteration"
        )
    return lines


def against_memory(results: Mapping[int, Mapping[str, Measurement]]) -> list[str]:
    if IN_ONE not in results.get(IN_MEMORY, ()):
        return []
    once = results[IN_MEMORY][IN_ONE].cpu
    return [
        f"CROWDLAB of {rows:,} in a store: {found[CROWDLAB].cpu / (once * rows / IN_MEMORY):.2f} x the "
        f"CPU seconds of {IN_MEMORY:,} in memory, times {rows / IN_MEMORY:g}"
        for rows, found in results.items()
        if rows >= IN_MEMORY
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = [1_000_000, 10_000_000, 100_000_000]
    parser.add_argument(
        "--rows",
        nargs="+",
        type=lambda text: int(float(text)),
        default=sizes,
        metavar="N",
        help="annotations; 1e9 takes some 60 GB of disk",
    )
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=JOBS, help="which to run")
    cache = Path(tempfile.gettempdir()) / "polars-crowd-benchmarks"
    parser.add_argument("--data", type=Path, default=cache, metavar="DIR", help="%(default)s")
    options = parser.parse_args()
    options.data.mkdir(parents=True, exist_ok=True)
    for rows in options.rows:
        needed, free = rows * BYTES_PER_ROW, shutil.disk_usage(options.data).free
        say(f"{rows:,} rows need {needed / 1e9:.0f} GB of disk in {options.data}")
        if needed > free:
            sys.exit(f"only {free / 1e9:.0f} GB are free")
    results = {rows: measure_rows(options.data, rows, options.jobs) for rows in options.rows}
    print(", ".join(f"{name} {value}" for name, value in environment().items()))
    print()
    print(report(results))


if __name__ == "__main__":
    main()
