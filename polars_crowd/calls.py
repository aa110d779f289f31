"""What ends with the call of a public function, whether it returns or raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

_ENDS: ContextVar[ExitStack | None] = ContextVar("_ENDS", default=None)


@contextmanager
def one_call() -> Iterator[None]:
    """A call of a public function."""
    with ExitStack() as ends:
        outer = _ENDS.set(ends)
        try:
            yield
        finally:
            _ENDS.reset(outer)


def at_its_end(do: Callable[[], None]) -> None:
    """Have something done when the innermost call ends; outside of any, never."""
    ends = _ENDS.get()
    if ends is not None:
        ends.callback(do)
