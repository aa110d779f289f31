"""A store on a Dask cluster of processes that have their own memory limits, and whose workers die."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.errors import PartitionError
from polars_crowd.rounds import laying, lending
from polars_crowd.rounds.executors import AHEAD, workers_of
from polars_crowd.rounds.opening import open_rounds
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.summaries import Summary
from tests.cases import assert_same

distributed = pytest.importorskip("distributed")

DATA = pc.datasets.tutorial()
PARTITIONS, WORKERS, LIMIT = 6, 2, 10**9


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> pc.AnnotationStore:
    path = tmp_path_factory.mktemp("store") / "store"
    return pc.AnnotationStore.create(path, DATA.log, DATA.pred_probs, partitions=PARTITIONS)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with (
        distributed.LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            processes=True,
            memory_limit=LIMIT,
            dashboard_address=":0",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def peak() -> int:
    """The largest resident memory that this process has had, in bytes."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))


METHODS: dict[str, Callable[..., Any]] = {
    "crowdlab": pc.crowdlab,
    "dawid_skene": pc.dawid_skene,
    "majority_vote": pc.majority_vote,
    "agreement": pc.agreement,
}


def tables(name: str, store: pc.AnnotationStore, into: Path, executor: Any) -> list[pl.DataFrame]:
    """All that a method says of the store."""
    options = {} if name == "agreement" else {"into": into / name}
    found = METHODS[name](store, executor=executor, **options)
    if isinstance(found, pl.DataFrame):
        return [found]
    if isinstance(found, pl.LazyFrame):
        return [found.collect()]
    return [found.examples.collect(), found.annotations.collect(), found.annotators]


@pytest.mark.parametrize("name", METHODS)
def test_results_are_the_same_bit_for_bit(
    store: pc.AnnotationStore, client: Any, tmp_path: Path, name: str
) -> None:
    here = tables(name, store, tmp_path / "here", None)
    there = tables(name, store, tmp_path / "there", client.get_executor())
    for expected, found in zip(here, there, strict=True):
        assert_same(found, expected, 0)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells no peaks")
def test_no_worker_takes_more_than_it_may(
    store: pc.AnnotationStore, client: Any, tmp_path: Path
) -> None:
    tables("crowdlab", store, tmp_path, client.get_executor())
    peaks = client.run(peak)
    assert len(peaks) == WORKERS
    assert max(peaks.values()) < LIMIT


def test_a_cluster_says_how_many_workers_it_has(client: Any) -> None:
    assert workers_of(client.get_executor()) == WORKERS


# --- workers that die ------------------------------------------------------------------------------


def count(part: Partition, begun: str, flag: str, times: int) -> Summary:
    """Examples of a partition; part-0003 kills its worker so many times."""
    with Path(begun).open("a") as file:
        file.write(part.handle.name + "\n")
    n = part.runs.examples.height
    if part.handle.name == "part-0003" and Path(flag).stat().st_size < times:
        with Path(flag).open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    return {("name",): pl.DataFrame({"name": [part.handle.name], "examples": [n]})}


def run_count(
    store: pc.AnnotationStore, client: Any, folder: Path, times: int
) -> tuple[pl.DataFrame, Counter[str]]:
    """What was counted, and how often each partition was begun."""
    begun, flag = folder / "begun", folder / "flag"
    begun.touch()
    flag.touch()
    rounds = open_rounds(store, executor=client.get_executor())
    found = rounds.run(count, str(begun), str(flag), times)[("name",)]
    return found, Counter(begun.read_text().split())


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
def test_a_worker_that_is_killed_costs_what_it_had(
    store: pc.AnnotationStore, client: Any, tmp_path: Path
) -> None:
    """Its partition is done again, and those whose results it still had."""
    found, begun = run_count(store, client, tmp_path, times=1)
    assert found["examples"].sum() == DATA.log["example"].n_unique()
    assert found.height == PARTITIONS
    assert begun["part-0003"] == 2
    assert begun.total() <= PARTITIONS + AHEAD * WORKERS, "no more than was under way"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
def test_a_partition_that_kills_every_worker_is_named(
    store: pc.AnnotationStore, client: Any, tmp_path: Path
) -> None:
    message = (
        "part-0003 of 6 partitions killed every worker that it was given to: KilledWorker: .*"
        "Memory may have run out: .*half as large: .*partitions=12.*same into="
    )
    with pytest.raises(PartitionError, match=message):
        run_count(store, client, tmp_path, times=99)
    (tmp_path / "next").mkdir()
    found, _ = run_count(store, client, tmp_path / "next", times=0)
    assert found.height == PARTITIONS, "the cluster goes on"


def runs_out(part: Partition) -> Summary:
    raise MemoryError("no memory for 3 GB")


def test_memory_that_runs_out_is_told_with_what_to_do(
    store: pc.AnnotationStore, client: Any
) -> None:
    message = "(?s)part-0000 of 6 partitions failed: MemoryError: no memory for 3 GB.*partitions=12"
    with pytest.raises(PartitionError, match=message):
        open_rounds(store, executor=client.get_executor()).run(runs_out)


# --- parameters that are too large to be sent ------------------------------------------------------


class Distant(Executor):
    """Does what it is given at once, and remembers it; files that are not its own may be out of its sight."""

    def __init__(self, sees: bool) -> None:
        self.sees = sees
        self.lent = list[bool]()
        self.tasks = set[str]()

    def submit(self, call: Any, /, *args: Any, **options: Any) -> Future[Any]:
        *what, lent = args[:5]
        self.lent.append(lent is not None)
        self.tasks.add(what[1].__name__)
        if not self.sees:
            lent = lent and lending.Lent(ELSEWHERE, lent.ends)
            args = tuple(
                replace(one, first=ELSEWHERE) if isinstance(one, laying.Ground) else one
                for one in args
            )
        future: Future[Any] = Future()
        future.set_result(call(*what, lent, *args[5:]))
        return future


ELSEWHERE = Path("elsewhere")


@pytest.mark.parametrize("sees", [True, False])
def test_large_parameters_are_read_where_they_are(
    store: pc.AnnotationStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sees: bool
) -> None:
    monkeypatch.setattr(lending, "LARGE", 1)
    executor = Distant(sees)
    here = tables("dawid_skene", store, tmp_path / "here", None)
    there = tables("dawid_skene", store, tmp_path / "there", executor)
    for expected, found in zip(here, there, strict=True):
        assert_same(found, expected, 0)
    assert any(executor.lent)
    assert all(executor.lent) == sees
    assert not list(tmp_path.rglob("parameters-*")), "they are gone with their round"


# --- sums that are too large to be returned --------------------------------------------------------


@pytest.fixture
def all_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums are laid, and added up in many ranges, of a few partitions at a time."""
    monkeypatch.setattr(lending, "LARGE", 1)
    monkeypatch.setattr(laying, "RANGE", 10_000)
    monkeypatch.setattr(laying, "PILE", 30_000)


class Killing(Executor):
    """Dask's executor; a worker is killed when the first range of sums is to be added up."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.executor = client.get_executor()
        self.ranges = 0

    def submit(self, call: Any, /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = self.executor.submit(call, *args, **options)
        if args[1] is laying.add_up:
            if not self.ranges:
                os.kill(next(iter(self._client.run(os.getpid).values())), signal.SIGKILL)
            self.ranges += 1
        return future


@pytest.mark.usefixtures("all_is_large")
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
@pytest.mark.parametrize("name", ["crowdlab", "dawid_skene"])
def test_sums_that_are_laid_are_the_same_bit_for_bit(
    store: pc.AnnotationStore, client: Any, tmp_path: Path, name: str
) -> None:
    """... also where a worker dies that adds them up."""
    here = tables(name, store, tmp_path / "here", None)
    executor = Killing(client)
    there = tables(name, store, tmp_path / "there", executor)
    for expected, found in zip(here, there, strict=True):
        assert_same(found, expected, 0)
    assert executor.ranges > PARTITIONS
    assert not list(tmp_path.rglob("sums-*")), "they are gone with their round"


@pytest.mark.usefixtures("all_is_large")
def test_sums_are_returned_where_they_cannot_be_laid(
    store: pc.AnnotationStore, tmp_path: Path
) -> None:
    executor = Distant(sees=False)
    here = tables("crowdlab", store, tmp_path / "here", None)
    there = tables("crowdlab", store, tmp_path / "there", executor)
    for expected, found in zip(here, there, strict=True):
        assert_same(found, expected, 0)
    assert executor.tasks == {"lay"}


def test_what_is_lent_is_what_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Part:
        work = tmp_path

    given = (np.arange(5.0), "text", np.zeros((0, 3)), pl.Series("x", [1, 2]), np.eye(3)[:, 1])
    monkeypatch.setattr(lending, "LARGE", 1)
    with lending.lending(None, [Part, Part], given) as lent:
        assert lent is not None
        found = lent.read()
    for one, other in zip(found, given, strict=True):
        assert type(one) is type(other)
        assert str(one) == str(other)
    found[0][0] = 7.0  # a copy
    monkeypatch.setattr(lending, "LARGE", 1 << 20)
    for few in (given, (lambda: None,)):
        with lending.lending(None, [Part, Part], few) as lent:
            assert lent is None
