"""One task for each of many blocks, on the threads that Polars has.

NumPy lets other threads run while it works on an array. What the tasks return is taken in the order of the
blocks, so that sums of it are the same, to the bit, for any number of threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import polars as pl

FEWEST = 6
"""Fewer blocks than this are not worth a thread."""
AHEAD = 2
"""Blocks under way for each thread: one that is worked on, one that waits."""

B = TypeVar("B")
T = TypeVar("T")


def mapped(task: Callable[[B], T], blocks: Sequence[B]) -> Iterator[T]:
    """`task(block)` of each block, in their order."""
    n_threads = pl.thread_pool_size()
    if n_threads == 1 or len(blocks) < FEWEST:
        return map(task, blocks)
    return _threaded(task, blocks, n_threads)


def _threaded(task: Callable[[B], T], blocks: Sequence[B], n_threads: int) -> Iterator[T]:
    left, under_way = iter(blocks), deque[Future[T]]()
    with ThreadPoolExecutor(n_threads, "polars_crowd") as pool:
        try:
            while True:
                under_way.extend(
                    pool.submit(task, block)
                    for block in islice(left, AHEAD * n_threads - len(under_way))
                )
                if not under_way:
                    return
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
