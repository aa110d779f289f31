"""Running one task for each partition: here, or on any `concurrent.futures.Executor`.

What travels to a worker is the task (a function of a module), where its partition lies, and small parameters;
what comes back is a summary. At most a few partitions per worker are under way at a time, and a result is let
go of once it is taken: what is held does not grow with the number of partitions.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from itertools import islice
from secrets import token_hex
from typing import Any, Protocol, TypeVar

from polars.exceptions import PanicException

from polars_crowd.errors import Advice, AnnotationError, PartitionError, StoreError, counted, shown

T = TypeVar("T")

THREADS = "POLARS_MAX_THREADS"
AS_THEY_ARE = (AnnotationError, StoreError, PartitionError)
"""Errors that say for themselves what is wrong and where."""
AHEAD = 2
"""Partitions under way for each worker: one that is worked on, one that waits."""
MANY_WORKERS = 32
"""Where an executor does not say how many it has."""
RESUMES = Advice(
    "What was written before stays; the same run takes up where it stopped",
    python="with the same into=",
    command="with the same --out",
)


class Named(Protocol):
    """What a task is about."""

    name: str


def in_order(
    executor: Any, task: Callable[..., T], parts: Sequence[Any], args: Sequence[Any]
) -> Iterator[T]:
    """`task(part, *args)` of each part, in their order.

    Raises
    ------
    PartitionError
        A task failed or its worker died; it names the partition and the cause. Those that have not
        begun are cancelled.
    ValueError
        The executor is a pool of forked processes, in which Polars would hang.
    """
    if executor is not None:
        yield from _submitted(executor, task, parts, args)
    elif len(parts) == 1:
        yield task(parts[0], *args)
    else:
        for part in parts:
            yield run_named(task, part, len(parts), "", *args)


def run_named(task: Callable[..., T], part: Named, n_parts: int, call: str, *args: Any) -> T:
    """What a worker does: the task; its errors name the partition, and can travel back.

    `call` is another one each time: Dask takes equal calls for one, and would not do them again.
    """
    try:
        return task(part, *args)
    except AS_THEY_ARE:
        raise
    except (Exception, PanicException) as error:
        cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise PartitionError(
            f"{part.name} of {counted(n_parts, 'partition')} failed: {cause}", RESUMES
        ) from error


def _submitted(
    executor: Any, task: Callable[..., T], parts: Sequence[Any], args: Sequence[Any]
) -> Iterator[T]:
    check_executor(executor)
    left = iter(parts)
    ahead = AHEAD * (workers_of(executor) or MANY_WORKERS)
    under_way: deque[tuple[Named, Future[T]]] = deque()
    try:
        while True:
            for part in islice(left, ahead - len(under_way)):
                with threads_per_worker(executor):
                    future = executor.submit(run_named, task, part, len(parts), token_hex(8), *args)
                under_way.append((part, future))
            if not under_way:
                return
            yield under_way[0][1].result()
            under_way.popleft()
    except BrokenExecutor as error:
        raise _worker_died(executor, [*under_way], len(parts), error) from error
    finally:
        for _, future in under_way:
            future.cancel()


def _worker_died(
    executor: Any, under_way: Sequence[tuple[Named, Future[Any]]], n_parts: int, error: Exception
) -> PartitionError:
    """Partitions are begun in order: of those that have not ended, the first ones were worked on."""
    begun = [part.name for part, future in under_way if _is_lost(future)]
    begun = begun[: workers_of(executor)]
    advice = "Memory may have run out: use fewer workers, or a store with more partitions."
    if not begun:
        return PartitionError(f"the executor is broken: {error}", "Make a new one.", RESUMES)
    where = f"{begun[0]} was" if len(begun) == 1 else f"one of {shown(begun)} was"
    return PartitionError(
        f"a worker died while {where} worked on, of {counted(n_parts, 'partition')}: "
        f"{type(error).__name__}: {error}",
        advice,
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
