"""The score of ActiveLab, and the vote of models, for labels and for label sets alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Floats
from polars_crowd.rounds.partitions import Partition
from polars_crowd.runs.classes import Runs, pack_votes


def score(
    quality: Floats, trust: Floats | float, mean_weight: Floats | float, n_classes: int
) -> Floats:
    """The quality, as if one more annotator of mean weight had chosen at random.

    >>> score(np.array([1.0]), 3.0, 1.0, 2).item()
    0.875
    """
    shrunk: Floats = (trust * quality + mean_weight / n_classes) / (trust + mean_weight)
    return shrunk


def cast_votes(run: Runs, label: NDArray[np.integer], classes: pl.Series) -> Runs:
    """Unlabelled examples with their P models as annotators; `label` holds the codes of what each model
    chose of each example, the models one after another."""
    P, N = len(run.models), run.examples.height
    log = pl.LazyFrame(
        {
            "example": np.tile(np.arange(N, dtype=np.uint32), P),
            "label": label.astype(np.uint32),
            "annotator": np.repeat(np.arange(P, dtype=np.uint32), N),
        }
    )
    sorted_ = log.sort("example", "label", "annotator").collect()
    vote, votes = pack_votes(sorted_["example"], sorted_["label"])
    return replace(
        run,
        rows=pl.DataFrame({"vote": vote, "annotator": sorted_["annotator"]}),
        votes=votes,
        examples=run.examples.with_columns(num_annotations=pl.lit(P, pl.UInt32)),
        book=replace(run.book, classes=classes, annotators=pl.Series("annotator", range(P))),
    )


def scored(
    part: Partition,
    beside: Partition,
    of_annotated: Callable[[], Floats],
    of_unlabelled: Callable[[], Floats],
) -> pl.DataFrame:
    """The scores of a partition's annotated and unlabelled examples, by example."""
    annotated = part.runs.examples
    rest = beside.runs.examples.with_columns(num_annotations=pl.lit(0, pl.UInt32))
    tables = [
        examples.with_columns(active_learning_score=pl.Series(score(), dtype=pl.Float64))
        for examples, score in ((annotated, of_annotated), (rest, of_unlabelled))
        if len(examples)
    ]
    nothing = annotated.clear().with_columns(active_learning_score=pl.lit(0.0))
    return pl.concat(tables).sort("example") if tables else nothing
