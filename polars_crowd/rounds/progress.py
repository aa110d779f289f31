"""Progress of long work on stderr: partitions done, rate and time left; one line for iterations.

Through rich if it is installed, else plain.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from polars_crowd.escapes import escaped

T = TypeVar("T")
Tell = Callable[[str], None]


def tracked(
    results: Iterator[T], title: str, total: int, wanted: bool, noun: str = "partitions"
) -> Iterator[T]:
    """The same results, with a bar that grows as they come, if wanted."""
    title = title.replace("_", " ")
    if not wanted:
        yield from results
    elif _has_rich():
        yield from _with_bar(results, title, total, noun)
    else:
        with line(True) as tell:
            for done, result in enumerate(results, 1):
                yield result
                tell(f"{title}: {done}/{total} {noun}")


@contextmanager
def iterating(title: str, wanted: bool) -> Iterator[Callable[[int, float], None]]:
    """What tells how many iterations there were, and the objective at the last."""
    with line(wanted) as tell:
        yield lambda n, objective: tell(f"{title}: iteration {n}, objective {objective:.6g}")


@contextmanager
def line(wanted: bool, *, transient: bool = False) -> Iterator[Tell]:
    """One line that is told anew, and the time it takes; with `transient` it goes at the end."""
    if not wanted:
        yield lambda text: None
        return
    with _rich_line(transient) if _has_rich() else _plain_line() as tell:
        yield lambda text: tell(escaped(text))


def _has_rich() -> bool:
    try:
        import rich.progress  # noqa: F401
    except ImportError:
        return False
    return True


def _with_bar(results: Iterator[T], title: str, total: int, noun: str) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(noun + ", {task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, rate="")
        for result in results:
            yield result
            bar.advance(task)
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{speed:.2g}/s" if speed else "")


@contextmanager
def _rich_line(transient: bool) -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), text, TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=transient) as bar:
        task = bar.add_task("", total=None)
        yield lambda told: bar.update(task, description=told)


@contextmanager
def _plain_line() -> Iterator[Tell]:
    began, last = time.monotonic(), ""

    def tell(text: str) -> None:
        nonlocal last
        last = f"{text}, {time.monotonic() - began:.1f} s"
        if sys.stderr.isatty():
            print(f"\r{last}", end="", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if last:
            print(f"\r{last}" if sys.stderr.isatty() else last, file=sys.stderr)
