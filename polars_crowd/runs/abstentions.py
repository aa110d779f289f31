"""Rows without a label: annotators who abstain, and examples that nobody labels.

They are no annotations. Where a log still has such rows they are counted while it is read, and left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from polars_crowd.runs.codes import as_dtype


@dataclass(frozen=True)
class Abstentions:
    """What the rows without a label say."""

    by_annotator: pl.DataFrame
    """`annotator`, `num_abstained`."""
    examples: pl.Series
    """The examples without any label."""

    @classmethod
    def of(
        cls, rows: pl.DataFrame, labelled: str, schema: pl.Schema
    ) -> tuple[pl.DataFrame, Abstentions | None]:
        """The annotations among the rows, which are `labelled`, and what the others say, if there are any.

        Ids are as they were read from a log of this schema.
        """
        is_annotation = rows.drop_in_place(labelled)
        if is_annotation.all():
            return rows, None
        annotations = rows.filter(is_annotation)
        others = rows.filter(~is_annotation).select("example", "annotator")
        counts = others.drop_nulls("annotator").group_by("annotator").agg(num_abstained=pl.len())
        by_annotator = counts.with_columns(
            as_dtype(counts["annotator"], schema["annotator"]),
            pl.col("num_abstained").cast(pl.Int64),
        )
        ids = others.select(pl.col("example").unique()).drop_nulls()
        ids = ids.join(annotations.select("example"), on="example", how="anti")
        return annotations, cls(by_annotator, as_dtype(ids["example"], schema["example"]).sort())

    def beside(self, annotators: pl.DataFrame) -> pl.DataFrame:
        """A table of annotators with `num_abstained`."""
        both = annotators.join(self.by_annotator, on="annotator", how="left", maintain_order="left")
        return both.with_columns(pl.col("num_abstained").fill_null(0))
