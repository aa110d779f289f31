"""Running one task for each partition: here, or on any `concurrent.futures.Executor`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

from polars_crowd.errors import AnnotationError, PartitionError, StoreError

T = TypeVar("T")

THREADS = "POLARS_MAX_THREADS"
AS_THEY_ARE = (AnnotationError, StoreError, PartitionError)
"""Errors that say for themselves what is wrong and where."""


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
        A task failed or its worker died; it names the partition and the cause. The others are
        cancelled.
    ValueError
        The executor is a pool of forked processes, in which Polars would hang.
    """
    if executor is None:
        for part in parts:
            yield _named(part, parts, partial(task, part, *args))
        return
    check_executor(executor)
    with threads_per_worker(executor):
        futures: list[Future[T]] = [executor.submit(task, part, *args) for part in parts]
    try:
        for part, future in zip(parts, futures, strict=True):
            yield _named(part, parts, future.result)
    finally:
        for future in futures:
            future.cancel()


def _named(part: Named, parts: Sequence[Named], call: Callable[[], T]) -> T:
    """What the call returns; its errors name the partition, if there is more than one."""
    if len(parts) == 1:
        return call()
    try:
        return call()
    except AS_THEY_ARE:
        raise
    except Exception as error:
        cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise PartitionError(
            f"{part.name} of {len(parts)} partitions failed: {cause}\n"
            "What was written before stays; with the same into= the run takes up where it stopped."
        ) from error


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
    """Processes that start now share the cores, unless POLARS_MAX_THREADS says otherwise."""
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
