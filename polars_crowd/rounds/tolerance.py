"""How far the parameters behind a table have moved since the table was written."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.rounds.cache import Frames


@dataclass(frozen=True)
class MadeWith:
    """The parameters that tables are made with, to compare them with those of earlier tables."""

    kind: object = None
    """What has to be equal: options."""
    shared: Floats = field(default_factory=lambda: np.zeros(0))
    by_annotator: tuple[Floats, ...] = ()
    """Arrays over all annotators."""

    def frames(self) -> Frames:
        """As frames, to keep them."""
        columns = {str(i): a for i, a in enumerate(self.by_annotator)}
        shared = pl.DataFrame({"value": self.shared})
        return {("shared",): shared, ("annotator",): pl.DataFrame(columns)}


def moved(now: Frames, earlier: Frames, annotators: pl.Series) -> float:
    """The largest difference of parameters, of the annotators only these."""
    of_shared, earlier_shared = now[("shared",)]["value"], earlier[("shared",)]["value"]
    here, there = (frames[("annotator",)] for frames in (now, earlier))
    if len(of_shared) != len(earlier_shared) or here.columns != there.columns:
        return float("inf")
    differences = [of_shared - earlier_shared]
    differences += [here[c].gather(annotators) - there[c].gather(annotators) for c in here.columns]
    return max((float(d.abs().max() or 0) for d in differences), default=0.0)  # type: ignore[arg-type]
