"""The consensus of a log, counted in one pass over its examples, and how much of it is known to be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from polars_crowd.numerics.shares import wilson
from polars_crowd.reporting.charts.tables import BINS, bin_of, ends_of_bins
from polars_crowd.truth.classification.blend import Blend
from polars_crowd.truth.evaluation.scoring import of_share
from polars_crowd.truth.known import ExampleLabels, check_matched

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Consensus:
    """The examples' consensus, counted."""

    cells: pl.DataFrame
    """`label, bin, num_annotations, n, quality`: how many examples, and the sum of their quality."""
    least: pl.DataFrame
    """The least certain examples, as in `fit.examples`."""
    judged: pl.DataFrame
    """... with `truth`, those whose truth is known."""

    @property
    def n(self) -> int:
        return int(self.cells["n"].sum())

    @property
    def quality(self) -> float:
        """The mean probability of a consensus label."""
        return float(self.cells["quality"].sum()) / max(self.n, 1)

    @property
    def of_labels(self) -> pl.DataFrame:
        """`label, num_examples, share, mean_quality`."""
        share = (pl.col("num_examples") / self.n).alias("share")
        table = self._by("label").select("label", "num_examples", share, "mean_quality")
        return table.sort("num_examples", "label", descending=[True, False])

    @property
    def of_bins(self) -> pl.DataFrame:
        """`quality_from, quality_to, num_examples`."""
        return from_to(self.cells, "quality")

    @property
    def of_counts(self) -> pl.DataFrame:
        """`num_annotations, num_examples, mean_quality`."""
        return self._by("num_annotations").sort("num_annotations")

    def _by(self, key: str) -> pl.DataFrame:
        """How many examples there are of each, and their mean quality."""
        n, quality = pl.col("n").sum(), pl.col("quality").sum()
        groups = self.cells.group_by(key, maintain_order=True)
        return groups.agg(num_examples=n, mean_quality=quality / n)

    @property
    def of_truth(self) -> pl.DataFrame:
        """`mean_quality, num_examples, accuracy, accuracy_low, accuracy_high`: how often labels are right, by
        how probable they are, where the truth is known."""
        quality = pl.col("consensus_quality_score")
        right = pl.col("consensus_label") == pl.col("truth")
        by_bin = self.judged.group_by(bin=bin_of(quality)).agg(
            mean_quality=quality.mean(), num_examples=pl.len().cast(pl.Int64), accuracy=right.mean()
        )
        frame = by_bin.sort("bin").drop("bin")
        n = frame["num_examples"].cast(pl.Float64).to_numpy()
        low, high = wilson(frame["accuracy"].to_numpy(), n, CONFIDENCE)
        return frame.with_columns(accuracy_low=low, accuracy_high=high)

    @property
    def n_single(self) -> int:
        """Examples with one annotation."""
        return int(self.cells.filter(num_annotations=1)["n"].sum())

    def n_below(self, quality: float) -> int:
        """Examples whose consensus is less probable than this, a multiple of 1 / BINS."""
        return int(self.cells.filter(pl.col("bin") < round(quality * BINS))["n"].sum())


def consensus_of(fit: Blend, size: int, known: pl.DataFrame | None) -> Consensus:
    """One pass over the examples; `known` is `example, truth`."""
    cells, least, judged = [], [], []
    for batch in fit.examples.collect_batches(maintain_order=True):
        if batch.height:
            cells.append(counted_in(batch))
            least.append(least_certain(batch, size))
            judged += [] if known is None else [batch.join(known, on="example")]
    keys = ("label", "bin", "num_annotations")
    return Consensus(
        summed(cells, keys).sort(*keys),
        least_certain(pl.concat(least), size),
        pl.concat(judged) if judged else pl.DataFrame(),
    )


def counted_in(examples: pl.DataFrame) -> pl.DataFrame:
    quality = pl.col("consensus_quality_score")
    keys = (pl.col("consensus_label").alias("label"), bin_of(quality).alias("bin"))
    n = pl.len().cast(pl.Int64)
    return examples.group_by(*keys, "num_annotations").agg(n=n, quality=quality.sum())


def from_to(cells: pl.DataFrame, what: str) -> pl.DataFrame:
    """The ends of each `bin`, and how many examples are in it: the sum of `n`."""
    low, high = ends_of_bins().values()
    counts = cells.group_by("bin").agg(num_examples=pl.col("n").sum()).sort("bin")
    return counts.select(low.alias(f"{what}_from"), high.alias(f"{what}_to"), "num_examples")


def summed(parts: list[pl.DataFrame], keys: tuple[str, ...]) -> pl.DataFrame:
    """The sums of all parts by key."""
    return pl.concat(parts).group_by(*keys).agg(pl.all().sum())


def least_certain(examples: pl.DataFrame, size: int) -> pl.DataFrame:
    return examples.sort("consensus_quality_score", "example").head(size)


# --- what is known ---------------------------------------------------------------------------------


def known_labels(fit: Blend, truth: Any) -> ExampleLabels | None:
    """Labels in the classes of the log."""
    if truth is None:
        return None
    ids = fit.examples.collect_schema()["example"]
    return ExampleLabels.of(truth, "truth", fit._fitted.rounds.book, ids)


def judged_by(fit: Blend, truth: Any, size: int) -> Consensus:
    """The consensus, with what is known of it; labels of no example of the log are counted."""
    labels, classes = known_labels(fit, truth), fit._fitted.log.classes
    if labels is None:
        return consensus_of(fit, size, None)
    known = labels.frame.select("example", truth=classes.gather(labels.frame["known"]))
    found = consensus_of(fit, size, known)
    check_matched(labels.given, found.judged.height, lambda: found.least["example"], "truth")
    return found


@dataclass(frozen=True)
class Accuracy:
    """How many consensus labels are right, of those whose truth is known."""

    n: int
    value: float
    low: float
    high: float
    claimed: float
    """The mean probability that they have."""

    @classmethod
    def of(cls, judged: pl.DataFrame) -> Accuracy:
        n, share, claimed = judged.select(
            pl.len(),
            share=(pl.col("consensus_label") == pl.col("truth")).mean(),
            claimed=pl.col("consensus_quality_score").mean(),
        ).row(0)
        return cls(n, share, *of_share(share, n, CONFIDENCE), claimed)
