"""The Polars namespace `crowd`: the functions of this library as methods of frames that hold a log."""

from __future__ import annotations

from typing import Any

import polars as pl

import polars_crowd as pc


class Crowd:
    """`frame.crowd`: each method is the function of the same name, with the frame as its log.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd
    >>> frame = pl.DataFrame({"example": [1, 1], "annotator": ["a", "b"], "label": ["x", "x"]})
    >>> frame.crowd.majority_vote().collect().rows()
    [(1, 'x', 1.0, 2)]
    """

    def __init__(self, frame: pl.DataFrame | pl.LazyFrame) -> None:
        self._frame = frame

    def scan_annotations(self, **names: str) -> pl.LazyFrame:
        """The frame as a log. See `polars_crowd.scan_annotations`."""
        return pc.scan_annotations(self._frame, **names)

    def check_annotations(self, **options: Any) -> pl.DataFrame:
        """What is wrong with the log. See `polars_crowd.check_annotations`."""
        return pc.check_annotations(self._frame, **options)

    def majority_vote(self, pred_probs: Any = None, **options: Any) -> pl.LazyFrame:
        """The majority vote of each example. See `polars_crowd.majority_vote`."""
        return pc.majority_vote(self._frame, pred_probs, **options)

    def crowdlab(self, pred_probs: Any, **options: Any) -> pc.Crowdlab:
        """Consensus and quality by CROWDLAB. See `polars_crowd.crowdlab`."""
        return pc.crowdlab(self._frame, pred_probs, **options)

    def to_wide(self) -> pl.DataFrame:
        """The log as examples x annotators. See `polars_crowd.to_wide`."""
        return pc.to_wide(self._frame)


def register() -> None:
    """Give every LazyFrame and DataFrame the namespace `crowd`."""
    pl.api.register_lazyframe_namespace("crowd")(Crowd)
    pl.api.register_dataframe_namespace("crowd")(Crowd)
