"""Any executor gives the same results, little travels, and what fails says which partition it was."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import re
from collections.abc import Iterator
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.calls import one_call
from polars_crowd.errors import PartitionError
from polars_crowd.rounds.executors import AHEAD, THREADS, in_order
from polars_crowd.rounds.opening import open_rounds
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.summaries import Summary
from tests.cases import assert_same, files_of

DATA = pc.datasets.tutorial()
PARTITIONS = 5
BY_ROW = ["example", "annotator"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> pc.AnnotationStore:
    path = tmp_path_factory.mktemp("store") / "store"
    return pc.AnnotationStore.create(path, DATA.log, DATA.pred_probs, partitions=PARTITIONS)


def pool(method: str, workers: int = 2) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method))


@pytest.fixture(scope="module")
def forkserver() -> Iterator[Executor]:
    with pool("forkserver") as executor:
        yield executor


@pytest.fixture(scope="module")
def dask() -> Iterator[Executor]:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client.get_executor()


# --- the same results ------------------------------------------------------------------------------


@pytest.fixture(params=["threads", "spawned", "forkserver", "dask"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "threads":
        with ThreadPoolExecutor(2) as threads:
            yield threads
    else:
        yield request.getfixturevalue(request.param)


def test_results_are_those_in_memory(
    store: pc.AnnotationStore, executor: Executor, tmp_path: Path
) -> None:
    expected = pc.crowdlab(DATA.log, DATA.pred_probs)
    fit = pc.crowdlab(store, executor=executor, into=tmp_path / "results")
    assert_same(fit.examples.collect().sort("example"), expected.examples.collect())
    assert_same(fit.annotations.collect().sort(BY_ROW), expected.annotations.collect().sort(BY_ROW))
    assert_same(fit.annotators.sort("annotator"), expected.annotators.sort("annotator"))
    votes = pc.majority_vote(store, executor=executor, into=tmp_path / "votes").collect()
    assert_same(
        votes.sort("example"), pc.majority_vote(DATA.log, DATA.pred_probs).collect().sort("example")
    )


def count_threads(part: Partition) -> Summary:
    counted = {"process": [os.getpid()], "threads": [pl.thread_pool_size()]}
    return {("process",): pl.DataFrame(counted).with_columns(partitions=pl.lit(1))}


@pytest.fixture
def new() -> Iterator[Executor]:
    with pool("spawn") as executor:
        yield executor


@pytest.mark.skipif(THREADS in os.environ, reason="the threads of workers are set from outside")
@pytest.mark.parametrize("kind", ["new", "forkserver"])
def test_processes_share_the_cores(
    store: pc.AnnotationStore, kind: str, request: pytest.FixtureRequest
) -> None:
    executor = request.getfixturevalue(kind)
    found = open_rounds(store, executor=executor).run(count_threads)[("process",)]
    assert THREADS not in os.environ
    threads = found["threads"] // found["partitions"]
    assert threads.to_list() == [max((os.cpu_count() or 1) // 2, 1)] * found.height
    assert os.getpid() not in found["process"]


def test_a_thread_count_that_is_given_stays(
    store: pc.AnnotationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(THREADS, "3")
    with pool("spawn", 1) as executor:
        found = open_rounds(store, executor=executor).run(count_threads)[("process",)]
    assert (found["threads"] // found["partitions"]).to_list() == [3]
    assert os.environ[THREADS] == "3"


# --- what is refused -------------------------------------------------------------------------------


def test_a_pool_that_forks_is_refused(store: pc.AnnotationStore) -> None:
    with pool("fork") as executor:
        message = r"executor forks its processes, in which Polars hangs.*get_context\('spawn'\)"
        with pytest.raises(ValueError, match=message):
            pc.crowdlab(store, executor=executor)


def test_what_is_no_executor_is_refused(store: pc.AnnotationStore) -> None:
    with pytest.raises(TypeError, match=r"executor is a int; give a concurrent.futures.Executor"):
        pc.crowdlab(store, executor=2)


def test_a_log_in_memory_takes_no_executor(spawned: Executor) -> None:
    message = r"executor= needs a log in partitions.*Make a store, and give that: pc.AnnotationStore.create"
    with pytest.raises(ValueError, match=message):
        pc.crowdlab(DATA.log, DATA.pred_probs, executor=spawned)


# --- what fails ------------------------------------------------------------------------------------


def ids(part: Partition, action: str, flag: str) -> pl.DataFrame:
    """The partition's examples; part-0003 fails for as long as the flag is there."""
    if part.handle.name == "part-0003" and Path(flag).exists():
        if action == "die":
            os._exit(9)
        raise RuntimeError(f"{action} on purpose")
    return part.runs.examples.select("example")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_dies_is_told_and_the_run_resumed(
    store: pc.AnnotationStore, tmp_path: Path, workers: int, spawned: Executor
) -> None:
    flag, results = tmp_path / "flag", tmp_path / "results"
    flag.touch()
    where = "part-0003 was" if workers == 1 else "one of .*'part-0003'.* was"
    message = (
        rf"(?s)a worker died while {where} worked on, of 5 partitions: .*use fewer workers.*into="
    )
    with pool("spawn", workers) as executor, one_call():
        rounds = open_rounds(store, executor=executor, into=results)
        with pytest.raises(PartitionError, match=message):
            rounds.tables({"examples": ids}, "die", str(flag))
    made = written(results)
    assert len(made) >= 4 - workers
    assert "part-0003" not in made
    flag.unlink()
    with one_call():
        rounds = open_rounds(store, executor=spawned, into=results)
        found = rounds.tables({"examples": ids}, "die", str(flag))["examples"]
    assert set(found.collect()["example"]) == set(DATA.log["example"])
    again = written(results)
    assert set(again) == {f"part-{i:04d}" for i in range(PARTITIONS)}
    anew = [name for name in made if again[name] != made[name]]
    assert len(anew) < workers, "a file whose worker was stopped before it could say so"


def written(results: Path) -> dict[str, int]:
    """When each partition's file was written, in nanoseconds."""
    return {file.stem: file.stat().st_mtime_ns for file in files_of(results, "examples")}


@pytest.mark.parametrize("kind", ["serial", "threads", "spawned", "dask"])
def test_a_plan_that_raises_names_its_partition(
    store: pc.AnnotationStore, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    message = r"part-0003 of 5 partitions failed: RuntimeError: raised on purpose\s.*takes up"
    with ThreadPoolExecutor(2) as threads:
        given = {"serial": None, "threads": threads}
        executor = given[kind] if kind in given else request.getfixturevalue(kind)
        rounds = open_rounds(store, executor=executor, into=tmp_path / "results")
        with pytest.raises(PartitionError, match=message):
            rounds.tables({"examples": ids}, "raised", str(flag))
        flag.unlink()
        rounds.tables({"examples": ids}, "raised", str(flag))
    assert len(written(tmp_path / "results")) == PARTITIONS


def panic(part: Partition) -> Summary:
    raise pl.exceptions.PanicException("a panic")


def test_a_panic_can_travel(store: pc.AnnotationStore, spawned: Executor) -> None:
    rounds = open_rounds(store, executor=spawned)
    with pytest.raises(PartitionError, match="part-0000 of 5 partitions failed: PanicException"):
        rounds.run(panic)
    assert rounds.run(count_threads)[("process",)]["partitions"].sum() == PARTITIONS


def test_a_pool_that_is_broken_already(store: pc.AnnotationStore) -> None:
    with pool("spawn", 1) as executor:
        with pytest.raises(BrokenExecutor):
            executor.submit(os._exit, 1).result()
        with pytest.raises(PartitionError, match=r"the executor is broken: (?s:.*)make a new one"):
            open_rounds(store, executor=executor).run(count_threads)


def test_an_executor_that_is_shut_down(store: pc.AnnotationStore) -> None:
    for executor in (ThreadPoolExecutor(2), pool("spawn")):
        executor.shutdown()
        with pytest.raises(
            PartitionError, match=r"part-0000 of 5 .*(?s:shutdown.*make a new one)"
        ) as e:
            pc.crowdlab(store, executor=executor)
        assert isinstance(e.value.__cause__, RuntimeError)


def test_an_executor_that_is_shut_down_meanwhile(store: pc.AnnotationStore) -> None:
    with ThreadPoolExecutor(1) as executor:
        parts = [*open_rounds(store).handles] * 3
        results = in_order(executor, lambda part: part.name, parts, ())
        assert next(results) == "part-0000"
        executor.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(PartitionError, match=r"part-000\d of 15 .*(cancelled|shutdown)"):
            list(results)


def test_a_client_that_is_closed(store: pc.AnnotationStore) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster:
        with distributed.Client(cluster) as client:
            executor = client.get_executor()
        with pytest.raises(PartitionError, match=r"part-0000 of 5 partitions was not done .*losed"):
            pc.crowdlab(store, executor=executor)


class Odd(Executor):
    """`submit` answers what it was made with."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def submit(self, call: Any, /, *args: Any, **options: Any) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def ended(result: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def cancelled() -> Future[Any]:
    future: Future[Any] = Future()
    future.cancel()
    future.set_running_or_notify_cancel()
    return future


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "part-0000: Odd does not work as an executor does: submit returned None, no future"),
        (7, "submit returned 7, no future"),
        (ended(None), "the result is None, no work of ours"),
        (ended({}), "the result is {}, no work of ours"),
        (ended(("other", 1)), r"the result is \('other', 1\), no work of ours"),
        (cancelled(), "part-0000 of 5 partitions was cancelled: CancelledError"),
        (
            TypeError("cannot pickle it"),
            "part-0000 .* was not done by the executor: TypeError: cannot",
        ),
    ],
)
def test_an_executor_that_does_as_it_likes(
    store: pc.AnnotationStore, answer: Any, message: str
) -> None:
    with pytest.raises(PartitionError, match=message):
        pc.crowdlab(store, executor=Odd(answer))


class UnpicklableError(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle it")


def unpicklable(handle: Any, what: str) -> Any:
    if what == "error":
        raise UnpicklableError("of no use")
    return lambda: None


@pytest.mark.parametrize(
    ("kind", "what", "message"),
    [
        ("spawned", "error", "failed: UnpicklableError: of no use"),
        ("dask", "error", "failed: UnpicklableError: of no use"),
        ("spawned", "result", "was not done by the executor: "),
    ],
)
def test_what_cannot_travel_back(
    store: pc.AnnotationStore, kind: str, what: str, message: str, request: pytest.FixtureRequest
) -> None:
    handles = open_rounds(store).handles
    with pytest.raises(PartitionError, match=f"part-0000 of 5 partitions {message}"):
        list(in_order(request.getfixturevalue(kind), unpicklable, handles, (what,)))


# --- what travels, and how much is held ------------------------------------------------------------


class Weighing(Executor):
    """Does the work at once, on what is left of it after pickling; remembers the bytes there and back."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.returned: list[int] = []

    def submit(self, call: Any, /, *args: Any, **options: Any) -> Future[Any]:
        there = pickle.dumps((call, args, options))
        call, args, options = pickle.loads(there)
        back = pickle.dumps(call(*args, **options))
        self.sent.append(len(there))
        self.returned.append(len(back))
        future: Future[Any] = Future()
        future.set_result(pickle.loads(back))
        return future


def crowd(examples: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A log of 1,000 annotators, five of them to an example."""
    rng = np.random.default_rng(1)
    example = np.repeat(np.arange(examples), 5)
    annotator = (7 * example + 199 * np.tile(np.arange(5), examples)) % 1000
    label = np.where(rng.random(len(example)) < 0.7, example % 3, rng.integers(0, 3, len(example)))
    log = pl.DataFrame({"example": example, "annotator": annotator, "label": label})
    p = rng.dirichlet([1, 1, 1], examples)
    probs = pl.DataFrame({"example": np.arange(examples), **{str(k): p[:, k] for k in range(3)}})
    return log.with_columns(pl.format("annotator {}", "annotator").alias("annotator")), probs


def test_only_parameters_and_summaries_travel(tmp_path: Path) -> None:
    weights = []
    for examples in (8000, 32_000):
        store = pc.AnnotationStore.create(tmp_path / f"{examples}", *crowd(examples), partitions=3)
        executor = Weighing()
        fit = pc.crowdlab(store, executor=executor, into=tmp_path / f"results-{examples}")
        assert fit.annotators.height == 1000
        weights.append((max(executor.sent), max(executor.returned)))
    (sent, returned), (sent_of_four_times, returned_of_four_times) = weights
    assert max(sent, sent_of_four_times) < 32_000, "1,000 annotators: three numbers of 8 bytes"
    assert max(returned, returned_of_four_times) < 200_000, "... and sums, by class"
    assert sent_of_four_times < sent + 100
    assert returned_of_four_times < 1.05 * returned


def test_no_partitions_have_no_results() -> None:
    assert [*in_order(None, lambda part: part, [], ())] == []


def test_results_are_taken_in_order_and_few_are_under_way() -> None:
    class Counting(Executor):
        _max_workers = 2
        begun = 0

        def submit(self, call: Any, /, *args: Any, **options: Any) -> Future[Any]:
            self.begun += 1
            future: Future[Any] = Future()
            future.set_result(call(*args, **options))
            return future

    class Part:
        def __init__(self, number: int) -> None:
            self.name = f"part-{number:04d}"
            self.number = number

    executor = Counting()
    results = in_order(executor, lambda part: part.number, [Part(i) for i in range(20)], ())
    for taken, number in enumerate(results):
        assert number == taken
        assert executor.begun <= taken + 2 * AHEAD
    assert executor.begun == 20


# --- progress --------------------------------------------------------------------------------------


def test_progress_tells_partitions_rate_and_time_left(
    store: pc.AnnotationStore, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pc.crowdlab(store, progress=True, into=tmp_path / "results")
    told = capfd.readouterr()
    assert told.out == ""
    lines = [line for line in told.err.splitlines() if line.strip()]
    for line in lines:
        assert re.search(r"5/5 partitions", line), line
        assert re.search(r"\d/s", line), line
        assert re.search(r"\d:\d\d:\d\d", line), line
    assert any("write" in line for line in lines)


def test_progress_of_making_a_store(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pc.AnnotationStore.create(tmp_path / "store", DATA.log, partitions=3, progress=True)
    assert "3/3 partitions" in capfd.readouterr().err


def test_without_progress_nothing_is_told(
    store: pc.AnnotationStore, capfd: pytest.CaptureFixture[str]
) -> None:
    pc.crowdlab(store)
    assert capfd.readouterr().err == ""
