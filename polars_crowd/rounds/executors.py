"""Running one task for each partition: here, or on any `concurrent.futures.Executor`.

What travels to a worker is the task (a function of a module), where its partition lies, and small parameters;
of large ones, where they lie. What comes back is a summary, of a large one again where it lies. At most a
few partitions per worker are under way at a time, and a result is let go of once it is taken: what is held
does not grow with the partitions.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from secrets import token_hex
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from polars.exceptions import PanicException

from polars_crowd.errors import Advice, Advised, PartitionError, counted, shown, shown_value
from polars_crowd.rounds.lending import Lent, Lost, lending

T = TypeVar("T")

THREADS = "POLARS_MAX_THREADS"
OF_A_FUTURE = ("result", "cancel", "cancelled", "done", "exception")
"""What is asked of the futures that `submit` returns."""
ANEW = "If the executor was shut down, closed or is broken, make a new one."
AHEAD = 2
"""Partitions under way for each worker: one that is worked on, one that waits."""
MANY_WORKERS = 32
"""Where an executor does not say how many it has."""
KILLED = "KilledWorker"
"""What Dask calls it where workers died of a task, one after another."""
RESUMES = Advice(
    "What was written before stays; the same run takes up where it stopped",
    python="with the same into=",
    command="with the same --out",
)


class Named(Protocol):
    """What a task is about."""

    name: str


def in_order(
    executor: Any,
    task: Callable[..., T],
    parts: Sequence[Any],
    args: Sequence[Any],
    n_parts: int | None = None,
) -> Iterator[T]:
    """`task(part, *args)` of each part, in their order; errors say of how many partitions it is one.

    Raises
    ------
    PartitionError
        A task failed or its worker died; the executor takes no more work, cancelled what it had, or gave back
        something else than what was asked for. It names the partition and the cause. Those that have not
        begun are cancelled.
    ValueError
        The executor is a pool of forked processes, in which Polars would hang.
    """
    n_parts = len(parts) if n_parts is None else n_parts
    if executor is not None:
        yield from _submitted(executor, task, parts, args, n_parts)
    elif len(parts) == 1:
        yield task(parts[0], *args)
    else:
        yield from _one_ahead(task, parts, args, n_parts)


def _one_ahead(
    task: Callable[..., T], parts: Sequence[Any], args: Sequence[Any], n_parts: int
) -> Iterator[T]:
    """The tasks one after another, on a thread: while a result is merged, the next one is under way."""
    pool, done = ThreadPoolExecutor(1, "polars_crowd"), deque[T]()
    try:
        for part in parts:
            following = pool.submit(run_named, task, part, n_parts, *args)
            if done:
                yield done.popleft()  # and nothing here holds it
            done.append(following.result())
            del following
        if done:
            yield done.popleft()
    finally:
        pool.shutdown(cancel_futures=True)


def run_named(task: Callable[..., T], part: Named, n_parts: int, *args: Any) -> T:
    """The task; its errors name the partition, and can travel."""
    try:
        return task(part, *args)
    except Advised:  # says for itself what is wrong and where
        raise
    except (Exception, PanicException) as error:
        raise _failed(part, n_parts, "failed", error) from error


class Done(NamedTuple, Generic[T]):
    """What comes back from a worker: the result, and the call that it is of."""

    call: str
    result: T | Lost


def run_call(
    call: str, task: Callable[..., T], part: Named, n_parts: int, lent: Lent | None, *args: Any
) -> Done[T]:
    """What a worker does. `call` is another one each time: Dask takes equal calls for one, and would not do
    them again. Arguments stand one by one, since older Dask takes a tuple that begins with a function for a
    call."""
    if lent is not None:
        try:
            args = lent.read()
        except OSError:
            return Done(call, Lost.PARAMETERS)
    return Done(call, run_named(task, part, n_parts, *args))


@dataclass(frozen=True)
class UnderWay:
    """A partition that an executor was given."""

    part: Named
    call: str
    future: Future[Any]


def _submitted(
    executor: Any,
    task: Callable[..., T],
    parts: Sequence[Any],
    args: Sequence[Any],
    n_parts: int,
) -> Iterator[T]:
    check_executor(executor)
    left = iter(parts)
    ahead = AHEAD * (workers_of(executor) or MANY_WORKERS)
    under_way: deque[UnderWay] = deque()

    def begin(part: Named, lent: Lent | None) -> UnderWay:
        with _as_partition_errors(executor, part, under_way, n_parts):
            return _begun(executor, task, part, n_parts, lent, () if lent else args)

    def result(of: UnderWay) -> Any:
        with _as_partition_errors(executor, of.part, under_way, n_parts):
            return _result(executor, of)

    with lending(executor, parts, args) as lent:
        try:
            while True:
                for part in islice(left, ahead - len(under_way)):
                    under_way.append(begin(part, lent))
                if not under_way:
                    return
                found = result(under_way[0])
                if found is Lost.PARAMETERS:
                    lent, under_way[0] = None, begin(under_way[0].part, None)
                    continue
                under_way.popleft()
                yield found
        finally:
            for one in under_way:
                one.future.cancel()


def _begun(
    executor: Any,
    task: Callable[..., T],
    part: Named,
    n_parts: int,
    lent: Lent | None,
    args: Sequence[Any],
) -> UnderWay:
    call = token_hex(8)
    with threads_per_worker(executor):
        future = executor.submit(run_call, call, task, part, n_parts, lent, *args)
    if not all(callable(getattr(future, name, None)) for name in OF_A_FUTURE):
        raise _nonsense(executor, part, f"submit returned {shown_value(future)}, no future")
    return UnderWay(part, call, future)


def _result(executor: Any, of: UnderWay) -> Any:
    found = of.future.result()
    if not isinstance(found, Done) or found.call != of.call:
        raise _nonsense(executor, of.part, f"the result is {shown_value(found)}, no work of ours")
    return found.result


@contextmanager
def _as_partition_errors(
    executor: Any, part: Named, under_way: Sequence[UnderWay], n_parts: int
) -> Iterator[None]:
    """Errors of executors, and of what travels to them and back, as ones that name the partition."""
    try:
        yield
    except Advised:
        raise
    except BrokenExecutor as error:
        raise _worker_died(executor, [*under_way], n_parts, error) from error
    except CancelledError as error:
        raise _failed(part, n_parts, "was cancelled", error, ANEW) from error
    except Exception as error:
        if type(error).__name__ == KILLED:
            how = "killed every worker that it was given to"
            raise _failed(part, n_parts, how, error, smaller_partitions(n_parts)) from error
        how = "was not done by the executor"
        raise _failed(part, n_parts, how, error, ANEW) from error


def _failed(
    part: Named, n_parts: int, how: str, error: BaseException, *advice: Advice | str
) -> PartitionError:
    """The error for a partition, with the cause."""
    cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    of = counted(n_parts, "partition")
    if isinstance(error, MemoryError):
        advice = (*advice, smaller_partitions(n_parts))
    return PartitionError(f"{part.name} of {of} {how}: {cause}", *advice, RESUMES)


def smaller_partitions(n_parts: int) -> Advice:
    """What to do where memory ran out."""
    n = 2 * n_parts
    return Advice(
        "Memory may have run out: use fewer workers a machine, or a store with partitions half as large",
        python=f"pc.AnnotationStore.create(path, log, partitions={n})",
        command=f"polars-crowd store create STORE LOG --partitions {n}",
    )


def _nonsense(executor: Any, part: Named, what: str) -> PartitionError:
    return PartitionError(
        f"{part.name}: {type(executor).__name__} does not work as an executor does: {what}.",
        "Give a concurrent.futures.Executor, or one that does as they do.",
    )


def _worker_died(
    executor: Any, under_way: Sequence[UnderWay], n_parts: int, error: Exception
) -> PartitionError:
    """Partitions are begun in order: of those that have not ended, the first ones were worked on."""
    begun = [one.part.name for one in under_way if _is_lost(one.future)]
    begun = begun[: workers_of(executor)]
    if not begun:
        return PartitionError(f"the executor is broken: {error}", ANEW, RESUMES)
    where = f"{begun[0]} was" if len(begun) == 1 else f"one of {shown(begun)} was"
    return PartitionError(
        f"a worker died while {where} worked on, of {counted(n_parts, 'partition')}: "
        f"{type(error).__name__}: {error}",
        smaller_partitions(n_parts),
        RESUMES,
    )


def _is_lost(future: Future[Any]) -> bool:
    """Whether there is no result, and there will be none."""
    if future.cancelled() or not future.done():
        return True
    return isinstance(future.exception(), BrokenExecutor)


# --- executors -------------------------------------------------------------------------------------


def workers_of(executor: Any) -> int | None:
    """How many workers an executor has, if it says so."""
    client = getattr(executor, "_client", None)
    if callable(threads := getattr(client, "nthreads", None)):  # Dask's, by worker
        with suppress(Exception):  # such as a client that is closed, of which more when it is used
            return sum(threads().values()) or None
    return getattr(executor, "_max_workers", None) or getattr(executor, "num_workers", None)


def check_executor(executor: Any) -> None:
    """Refuse what is no executor, and pools that fork."""
    if not callable(getattr(executor, "submit", None)):
        raise TypeError(
            f"executor is a {type(executor).__name__}; give a concurrent.futures.Executor, such as "
            "ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn')) or Dask's "
            "client.get_executor()."
        )
    context = getattr(executor, "_mp_context", None)
    if context is not None and context.get_start_method() == "fork":
        raise ValueError(
            "executor forks its processes, in which Polars hangs: its threads do not survive a fork. "
            "Use ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn')), or 'forkserver'."
        )


@contextmanager
def threads_per_worker(executor: Any) -> Iterator[None]:
    """Processes that start now share the cores, unless POLARS_MAX_THREADS says otherwise.

    Polars counts its threads when it is imported, so it must be there before a process starts.
    """
    workers = getattr(executor, "_max_workers", None)
    is_pool = getattr(executor, "_mp_context", None) is not None
    if not is_pool or not workers or THREADS in os.environ:
        yield
        return
    os.environ[THREADS] = str(max((os.cpu_count() or 1) // workers, 1))
    try:
        yield
    finally:
        del os.environ[THREADS]
