"""A store on a Dask cluster: separate worker processes, each with a memory limit of its own.

Data are made in chunks and streamed into a store. Majority vote, CROWDLAB, Dawid-Skene and agreement then run
without an executor, and on a cluster of two workers of 1 GB each, which Dask ends if they take more. Printed
are wall and CPU seconds, the peak of every worker, the tasks of every plan (its rounds times the partitions)
with the bytes that are sent, read from a file of parameters and returned for each, what merging takes of the
parent, how many workers it can serve, and whether results are equal. Sums that are laid into files are
counted by the bytes of these. With --kill a worker is killed in the middle.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import pickle
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scale
from _measure import Job, Measurement, _cpu_seconds, _peak_gb, environment, markdown, measure, say
from polars import selectors

import polars_crowd as pc
from polars_crowd.rounds.laying import Laid, Total

WORKERS = 2
LIMIT = 10**9
"""Bytes of a worker."""
ITERATIONS = 3
"""Of Dawid-Skene."""
KILLED_AFTER = 3
"""Tasks that were done before a worker is killed."""
NEAR = 1e-9
"""How far results may be apart."""
METHODS = ("majority vote", "CROWDLAB", "Dawid-Skene", "agreement")

# --- what is run -----------------------------------------------------------------------------------


def fit(method: str, store: str, into: str, executor: Any = None) -> None:
    """A method on a store; its results are files."""
    opened = pc.AnnotationStore.open(store)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pc.AnnotationWarning)
        if method == "majority vote":
            pc.majority_vote(opened, into=into, executor=executor)
        elif method == "CROWDLAB":
            pc.crowdlab(opened, into=into, executor=executor)
        elif method == "Dawid-Skene":
            pc.dawid_skene(opened, into=into, executor=executor, max_iter=ITERATIONS, tol=0.0)
        else:
            found = pc.agreement(opened, interval="analytic", executor=executor)
            Path(into).mkdir(parents=True)
            found.write_parquet(Path(into) / "agreement.parquet")


def alone(method: str, store: str, into: str) -> Job:
    """... without an executor."""
    return Job(lambda: fit(method, store, into))


def on_cluster(method: str, store: str, into: str, kill: bool) -> Job:
    """... on a cluster, which is up before. Reports what travelled, and what everybody took."""
    distributed = importlib.import_module("distributed")
    os.environ["POLARS_MAX_THREADS"] = "1"  # of the workers, which start now
    workers = {"n_workers": WORKERS, "threads_per_worker": 1, "processes": True}
    cluster = distributed.LocalCluster(**workers, memory_limit=LIMIT, dashboard_address=":0")
    client = distributed.Client(cluster)
    before = client.run(taken)
    executor = Watched(client, kill)

    def run() -> float:
        begun = time.process_time()
        with executor.watching_sums():
            fit(method, store, into, executor)
        return time.process_time() - begun

    def report(cpu: float) -> dict[str, Any]:
        after = client.run(taken)
        spent = sum(cpu for cpu, _ in after.values()) - sum(cpu for cpu, _ in before.values())
        client.close()
        cluster.close()
        peaks = [peak for _, peak in after.values()]
        return {**executor.report(cpu), "workers": spent, "peaks": peaks}

    return Job(run, report)


def taken() -> tuple[float, float]:
    """CPU seconds and peak of a worker."""
    return _cpu_seconds(), _peak_gb()


class Watched(Executor):
    """Dask's executor, with a look at what it is given and what comes back."""

    def __init__(self, client: Any, kill: bool) -> None:
        self._client = client
        """Whom the package asks how many workers there are."""
        self.executor = client.get_executor()
        self.victim = next(iter(client.run(os.getpid).values())) if kill else None
        self.done = 0
        self.tasks = Counter[str]()
        self.bytes: dict[str, Counter[str]] = {
            way: Counter() for way in ("sent", "read", "returned", "laid")
        }
        self.merging = self.watching = 0.0

    def submit(self, call: Any, /, *args: Any, **options: Any) -> Future[Any]:
        begun = time.thread_time()
        _, task, _, _, lent, *parameters = args
        found = parameters if lent is None else lent.read()
        name = next(one for one in (*reversed(found), task) if callable(one)).__name__
        self.tasks[name] += 1
        self.bytes["sent"][name] += len(pickle.dumps((call, args)))
        if lent is not None:
            self.bytes["read"][name] += lent.path.stat().st_size
        self.watching += time.thread_time() - begun
        future: Future[Any] = self.executor.submit(call, *args, **options)
        future.add_done_callback(lambda done: self.came_back(name, done))
        return future

    def came_back(self, name: str, done: Future[Any]) -> None:
        if done.cancelled() or done.exception():
            return
        begun = time.thread_time()
        self.bytes["returned"][name] += len(pickle.dumps(done.result()))
        self.bytes["laid"][name] += sum(one.size for one in laid_in(done.result().result))
        self.watching += time.thread_time() - begun
        self.done += 1
        if self.victim is not None and self.done == KILLED_AFTER:
            os.kill(self.victim, signal.SIGKILL)

    @contextmanager
    def watching_sums(self) -> Iterator[None]:
        """Count the CPU seconds in which this thread adds up summaries."""
        add, frame = Total.add, Total.frame

        def timed(method: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any) -> Any:
                begun = time.thread_time()
                found = method(*args)
                self.merging += time.thread_time() - begun
                return found

            return call

        Total.add, Total.frame = timed(add), timed(frame)  # type: ignore[method-assign]
        try:
            yield
        finally:
            Total.add, Total.frame = add, frame  # type: ignore[method-assign]

    def report(self, cpu: float) -> dict[str, Any]:
        plans = {
            name: {"tasks": n, **{way: of[name] / n for way, of in self.bytes.items()}}
            for name, n in self.tasks.items()
        }
        return {"plans": plans, "merging": self.merging, "parent": cpu - self.watching}


def laid_in(result: Any) -> list[Laid]:
    """What a task has laid down."""
    found = result.values() if isinstance(result, dict) else [result]
    return [one for one in found if isinstance(one, Laid)]


def difference(one: str, other: str) -> Job:
    """By how much floats of the tables differ; all else must be equal, and is infinitely far if not."""

    def run() -> float:
        folders = [next(Path(into).glob("generation-*"), Path(into)) for into in (one, other)]
        names = sorted(set.union(*map(tables, folders)))
        return max(apart(*(folder / name for folder in folders)) for name in names)

    return Job(run, float)


def tables(folder: Path) -> set[Path]:
    found = {file.relative_to(folder) for file in folder.rglob("*.parquet")}
    return {file for file in found if file.name != "parameters.parquet"}


def apart(one: Path, other: Path) -> float:
    if not one.exists() or not other.exists():
        return math.inf
    a, b = (pl.read_parquet(file, glob=False) for file in (one, other))
    floats, others = selectors.float(), ~selectors.float()
    if a.schema != b.schema or not a.select(others).equals(b.select(others)):
        return math.inf
    if a.equals(b):
        return 0.0
    gaps = (a.select(floats) - b.select(floats)).to_numpy()
    return float(np.nanmax(np.abs(gaps), initial=0.0))


# --- the runs --------------------------------------------------------------------------------------


def measure_rows(
    folder: Path, rows: int, options: argparse.Namespace
) -> Iterator[tuple[str, Measurement, Measurement, float]]:
    """Each method alone and on the cluster, and how results differ; all is removed in the end."""
    shutil.rmtree(folder, ignore_errors=True)
    data, store = str(folder / "data"), str(folder / "store")
    make = {"folder": data, "rows": rows, "per_annotator": options.per_annotator}
    say(f"make: {measure('scale:make', make)}")
    create = {"folder": data, "store": store, "partitions": options.partitions}
    say(f"create: {measure('cluster:create', create)}")
    shutil.rmtree(data)
    try:
        for method in options.methods:
            here, there = (str(folder / name) for name in ("here", "there"))
            arguments: dict[str, Any] = {"method": method, "store": store}
            one = measure("cluster:alone", {**arguments, "into": here})
            say(f"{method}, alone: {one}")
            two = measure("cluster:on_cluster", {**arguments, "into": there, "kill": options.kill})
            say(f"{method}, on the cluster: {two}")
            gap = measure("cluster:difference", {"one": here, "other": there}).report
            yield method, one, two, gap
            for results in (here, there):
                shutil.rmtree(results)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def create(folder: str, store: str, partitions: int | None) -> Job:
    """The store, of so many partitions."""
    if partitions is None:
        return scale.create(folder, store)
    files = (f"{folder}/{kind}/*.parquet" for kind in ("log", "probs"))
    return Job(lambda: pc.AnnotationStore.create(store, *files, partitions=partitions))


ALONE = ("job", "alone: wall s", "CPU s", "peak GB", "cluster: wall s")
RUNS = (
    *ALONE,
    "workers CPU s",
    "worker peak GB",
    "parent CPU s",
    "of it merging",
    "workers served",
    "apart",
)
PLANS = ("plan", "tasks", "sent, bytes", "read, bytes", "returned, bytes", "laid, bytes")


def run_line(method: str, alone: Measurement, there: Measurement, gap: float) -> list[str]:
    """A worker's CPU seconds over the parent's are how many it can keep at work."""
    of = there.report
    peaks = ", ".join(f"{peak:.2f}" for peak in of["peaks"])
    here = [f"{alone.wall:.1f}", f"{alone.cpu:.1f}", f"{alone.peak:.2f}", f"{there.wall:.1f}"]
    parent = [f"{of['parent']:.1f}", f"{of['merging']:.2f}", f"{of['workers'] / of['parent']:.0f}"]
    return [method, *here, f"{of['workers']:.1f}", peaks, *parent, f"{gap:.0e}"]


def plan_lines(method: str, plans: Mapping[str, Mapping[str, float]]) -> Iterator[list[str]]:
    for name, of in plans.items():
        yield [f"{method}: {name}", *(f"{of[column]:,.0f}" for column in of)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rows", type=lambda text: int(float(text)), default=100_000_000, metavar="N"
    )
    parser.add_argument(
        "--partitions", type=int, metavar="N", help="by default as a store has them"
    )
    parser.add_argument(
        "--per-annotator",
        type=int,
        default=scale.ROWS_PER_ANNOTATOR,
        metavar="N",
        help="annotations of each (%(default)s)",
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, metavar="METHOD")
    parser.add_argument("--kill", action="store_true", help="kill a worker in every run")
    cache = Path(tempfile.gettempdir()) / "polars-crowd-benchmarks"
    parser.add_argument("--data", type=Path, default=cache, metavar="DIR", help="%(default)s")
    options = parser.parse_args()
    options.data.mkdir(parents=True, exist_ok=True)
    needed, free = options.rows * scale.BYTES_PER_ROW, shutil.disk_usage(options.data).free
    if needed > free:
        sys.exit(
            f"{needed / 1e9:.0f} GB of disk are needed in {options.data}, {free / 1e9:.0f} are free"
        )
    folder = options.data / f"cluster-{options.rows}-rows"
    runs, plans, failed = [], list[list[str]](), False
    for method, one, two, gap in measure_rows(folder, options.rows, options):
        runs.append(run_line(method, one, two, gap))
        plans += plan_lines(method, two.report["plans"])
        failed |= gap > NEAR or max(two.report["peaks"]) * 1e9 > LIMIT
    print(", ".join(f"{name} {value}" for name, value in environment().items()))
    print(f"\n{options.rows:,} annotations, {WORKERS} workers of {LIMIT / 1e9:g} GB\n")
    print(markdown(RUNS, runs), markdown(PLANS, plans), sep="\n\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
