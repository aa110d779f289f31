"""The Polars namespace `crowd`: the functions of this library as methods of frames that hold a log."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import polars as pl

import polars_crowd as pc


class Crowd:
    """`frame.crowd`: every public function that takes a log, with the frame as its log.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd
    >>> frame = pl.DataFrame({"example": [1, 1], "annotator": ["a", "b"], "label": ["x", "x"]})
    >>> frame.crowd.majority_vote().collect().rows()
    [(1, 'x', 1.0, 2)]
    >>> frame.crowd.scan_annotations(label="annotator", annotator="label").collect().rows()
    [(1, 'x', 'a'), (1, 'x', 'b')]
    """

    def __init__(self, frame: pl.DataFrame | pl.LazyFrame) -> None:
        self._frame = frame

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in pc.__all__ or not takes_log(getattr(pc, name)):
            raise AttributeError(
                f"the namespace 'crowd' has no {name!r}; its methods are the functions "
                "of polars_crowd that take a log."
            )
        method = partial(getattr(pc, name), self._frame)
        method.__doc__ = getattr(pc, name).__doc__
        return method

    def __dir__(self) -> list[str]:
        return [name for name in pc.__all__ if takes_log(getattr(pc, name))]


def takes_log(public: Any) -> bool:
    """Whether this is a function of a log."""
    if not inspect.isfunction(public):
        return False
    first = next(iter(inspect.signature(public).parameters), "")
    return first == "log" or public is pc.scan_annotations


def register() -> None:
    """Give every LazyFrame and DataFrame the namespace `crowd`."""
    pl.api.register_lazyframe_namespace("crowd")(Crowd)
    pl.api.register_dataframe_namespace("crowd")(Crowd)
