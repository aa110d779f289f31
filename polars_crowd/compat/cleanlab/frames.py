"""CROWDLAB's results as cleanlab's pandas frames."""

from __future__ import annotations

import numpy as np
import polars as pl

from polars_crowd.compat.cleanlab.pandas_extra import pd
from polars_crowd.compat.cleanlab.wide import Wide
from polars_crowd.consensus.result import Crowdlab

ORDER_DECIMALS = 14
"""Annotators that differ by less stay in the order of the columns: rounding must not order them."""


def example_frame(result: Crowdlab, wide: Wide) -> pd.DataFrame:
    """`label_quality`."""
    examples = result.examples.drop("example").cast({"num_annotations": pl.Int64}).collect()
    return _to_pandas(examples, wide.index)


def annotation_frame(result: Crowdlab, wide: Wide) -> pd.DataFrame:
    """`detailed_label_quality`: the quality of each label in the place of the label."""
    annotations = result.annotations.select("example", "annotator", "label_quality_score").collect()
    example, annotator, quality = (column.to_numpy() for column in annotations)
    matrix = np.full(wide.shape, np.nan)
    matrix[example, annotator] = quality
    frame = pd.DataFrame(matrix, index=wide.index, columns=wide.columns)
    return frame.add_prefix("quality_annotator_")


def annotator_frame(result: Crowdlab, scored: Crowdlab, wide: Wide) -> pd.DataFrame:
    """`annotator_stats`, with the `annotator_quality` of `scored`."""
    quality = scored.annotators.sort("annotator")["annotator_quality"]
    stats = result.annotators.sort("annotator").select(
        quality, "agreement_with_consensus", "worst_class", "num_examples_labeled"
    )
    frame = _to_pandas(stats.cast({"num_examples_labeled": pl.Int64}), wide.columns)
    worst_first = ["annotator_quality", "agreement_with_consensus"]
    return frame.sort_values(worst_first, key=lambda column: column.round(ORDER_DECIMALS))


def _to_pandas(frame: pl.DataFrame, index: pd.Index | None) -> pd.DataFrame:
    return pd.DataFrame({column.name: column.to_numpy() for column in frame}, index=index)
