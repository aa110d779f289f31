"""Progress of long work on stderr: partitions done, rate and time left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def tracked(results: Iterator[T], title: str, total: int, wanted: bool) -> Iterator[T]:
    """The same results, with a bar that grows as they come, if wanted."""
    if not wanted:
        yield from results
        return
    try:
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
    except ImportError as error:
        raise ImportError(
            'progress=True needs rich; install it with: pip install "polars-crowd[cli]"'
        ) from error
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("partitions, {task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title.replace("_", " "), total=total, rate="")
        for result in results:
            yield result
            bar.advance(task)
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{speed:.2g}/s" if speed else "")
