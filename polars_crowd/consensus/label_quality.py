"""Label quality: how likely a label is right, given the posterior q of its example.

For a label l on an example with the posterior q over K classes,

    self_confidence                q[l]
    normalized_margin              ( q[l] - max_{k != l} q[k] + 1 ) / 2
    confidence_weighted_entropy    log(1 + h) / h,   h = -sum_k q[k] log q[k] / ( log K q[l] )

(Northcutt, Jiang and Chuang 2021, arXiv 1911.00068; Kuan and Mueller 2022, arXiv 2207.03061). All lie in
[0, 1], lower is worse. With `adjust_pred_probs` the first two are taken of

    q'[k] = ( q[k] - t[k] + max t ) / sum_j ( q[j] - t[j] + max t ),

where the threshold t[k] is the mean q[k] over the labels k that are scored together (the consensus
labels, or those of one annotator), at least 2e-6, and 2 for a class that is not among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from polars_crowd.arrays import Codes, Floats
from polars_crowd.numerics.mixture import CLIP, Mixture
from polars_crowd.rounds.summaries import Merged, Summary, exact
from polars_crowd.runs.classes import Runs

LabelQualityMethod = Literal["self_confidence", "normalized_margin", "confidence_weighted_entropy"]

LOWEST_THRESHOLD = 2e-6
UNUSED_CLASS = 2.0


def score_labels(
    q: Mixture, label: Codes, method: LabelQualityMethod, threshold: Floats | None = None
) -> Floats:
    """The label quality of one label per example; `threshold` (K,) adjusts q for class imbalance."""
    everywhere = np.arange(len(label), dtype=np.uint32)
    if threshold is None:
        return _score(q, everywhere, label, q.at(label), method)
    shift, scale = threshold.max(), adjusted_sum(q.row_sums(), threshold)
    own: Floats = (q.at(label) - threshold[label] + shift) / scale
    if method == "self_confidence":
        return own
    rival = (rival_of(everywhere, label, *q.top_two(threshold)) + shift) / scale
    return normalized_margin(own, rival)


def score_annotations(
    q: Mixture, vote: Codes, annotator: Codes, thresholds: Floats, method: LabelQualityMethod
) -> Floats:
    """The adjusted label quality of each annotation; `thresholds` (M, K) are the annotators' own."""
    example, label = q.example[vote], q.label[vote]
    shift = thresholds.max(axis=1)[annotator]
    scale = adjusted_sum(q.row_sums()[example], thresholds[annotator])
    own: Floats = (q.at_votes()[vote] - thresholds[annotator, label] + shift) / scale
    if method == "self_confidence":
        return own
    rival = (q.runner_up(example, label, thresholds, annotator) + shift) / scale
    return normalized_margin(own, rival)


def _score(
    q: Mixture, example: Codes, label: Codes, own: Floats, method: LabelQualityMethod
) -> Floats:
    if method == "self_confidence":
        return own
    if method == "normalized_margin":
        return normalized_margin(own, rival_of(example, label, *q.top_two()))
    return confidence_weighted_entropy(own, q.entropy()[example])


def normalized_margin(own: Floats, rival: Floats) -> Floats:
    """( q[l] - max_{k != l} q[k] + 1 ) / 2."""
    return (own - rival + 1) / 2


def rival_of(example: Codes, label: Codes, top: Codes, largest: Floats, second: Floats) -> Floats:
    """max_{k != label} q[k], from the two largest q of the example."""
    return np.where(top[example] == label, second[example], largest[example])


def confidence_weighted_entropy(own: Floats, entropy: Floats) -> Floats:
    """log(1 + h) / h, h = entropy / q[l]."""
    h = entropy / np.maximum(own, CLIP)
    return np.log(h + 1) / np.maximum(h, CLIP)


def thresholds(sums: Floats, counts: Floats) -> Floats:
    """t from the sums of q[k] over the labels k and their counts, of any shape ending in K."""
    mean = sums / np.maximum(counts, 1)
    return np.where(counts > 0, np.maximum(mean, LOWEST_THRESHOLD), UNUSED_CLASS)


def adjusted_sum(row_sum: Floats, threshold: Floats) -> Floats:
    """sum_j ( q[j] - t[j] + max t )."""
    total: Floats = row_sum + threshold.shape[-1] * threshold.max(axis=-1) - threshold.sum(axis=-1)
    return total


@dataclass(frozen=True)
class Scoring:
    """How labels are scored, with the thresholds if the posterior is adjusted first."""

    method: LabelQualityMethod
    of_consensus: tuple[Floats, ...] = ()
    """t of the consensus labels of each consensus method, shape (K,)."""
    of_annotators: Floats | None = None
    """t of each annotator's own labels, shape (M, K)."""


def sum_consensus_thresholds(labels: pl.Series, q: Mixture) -> Summary:
    """Summary by consensus label: the sum of its q and how many there are."""
    return {("label",): _threshold_sums({"label": labels}, q.at(labels.to_numpy()))}


def sum_annotator_thresholds(run: Runs, q: Mixture) -> Summary:
    """... by annotator and label."""
    label = run.votes["label"].gather(run.rows["vote"])
    keys = {"annotator": run.rows["annotator"], "label": label}
    return {("annotator", "label"): _threshold_sums(keys, q.at_votes()[_vote(run)])}


def _threshold_sums(keys: dict[str, pl.Series], own: Floats) -> pl.LazyFrame:
    labels = pl.LazyFrame({**keys, "sum": own})
    return labels.group_by(list(keys)).agg(exact(pl.col("sum")).sum(), count=pl.len())


def merged_thresholds(merged: Merged, shape: tuple[int, ...]) -> Floats:
    """t from the merged sums, of shape (K,) or (M, K)."""
    (keys, sums), *_ = merged.items()
    totals, counts = np.zeros(shape), np.zeros(shape)
    at = tuple(sums[key].to_numpy() for key in keys)
    totals[at], counts[at] = sums["sum"].to_numpy(), sums["count"].to_numpy()
    return thresholds(totals, counts)


def score_consensus(
    labels: pl.Series, q: Mixture, scoring: Scoring, consensus_method: int
) -> pl.Series:
    """The label quality of each example's consensus label under the i-th consensus method."""
    own = scoring.of_consensus
    threshold = own[consensus_method] if own else None
    return pl.Series(score_labels(q, labels.to_numpy(), scoring.method, threshold))


def score_rows(run: Runs, q: Mixture, scoring: Scoring) -> pl.Expr:
    """The label quality of each annotation, as an expression over the rows."""
    own = scoring.of_annotators
    if own is None:
        of_votes = _score(q, q.example, q.label, q.at_votes(), scoring.method)
        return pl.lit(pl.Series(of_votes)).gather("vote")
    annotator = run.rows["annotator"].to_numpy()
    return pl.lit(pl.Series(score_annotations(q, _vote(run), annotator, own, scoring.method)))


def _vote(run: Runs) -> Codes:
    return run.rows["vote"].to_numpy()
