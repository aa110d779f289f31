"""One task for each of many blocks, on the threads that Polars has.

NumPy lets other threads run while it works on an array. What the tasks return is taken in the order of the
blocks, so that sums of it are the same, to the bit, for any number of threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import islice
from typing import TypeVar

import numpy as np
import polars as pl

AHEAD = 2
"""Blocks under way for each thread: one that is worked on, one that waits."""
KEPT_BYTES = 31 << 20
"""What the C library keeps for the next arrays of a thread, rather than give it back."""

B = TypeVar("B")
T = TypeVar("T")


def mapped(task: Callable[[B], T], blocks: Sequence[B]) -> Iterator[T]:
    """`task(block)` of each block, in their order."""
    keep_memory()
    n_threads = pl.thread_pool_size()
    if n_threads == 1 or len(blocks) < 2:
        return map(task, blocks)
    return _threaded(task, blocks, n_threads)


@cache
def keep_memory() -> None:
    """Have arrays that are freed make room for the next ones.

    glibc gives the free end of a thread's heap back to the system as soon as it is twice as large as the
    largest array that was freed so far (up to 32 MB), and a block's arrays are made of new pages each time,
    which costs up to a third of the time. An array that is freed, and was never written to, is enough.
    """
    np.empty(KEPT_BYTES, dtype=np.uint8)


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
