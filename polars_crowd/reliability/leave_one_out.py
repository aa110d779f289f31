"""Agreement annotator by annotator: what alpha is without them.

Leaving out annotator a takes their r annotations (mostly one) from each example i they labelled. With n_i
counts, W the weights of alpha's level (`weights.py`), m = |r| and what is left, n - m:

    c_i    = (n'W n - n) / (n - 1)
    c_i^-a = (n'W n - 2 r'W n + r'W r - (n - m)) / (n - m - 1)        0 if fewer than two are left

so that the sums alpha is made of change by sums over a's examples, which add up over partitions under the key
(annotator): of c_i, and of the counts by label, r where two or more are left and all of n_i where not. Every
alpha without an annotator comes from the one summary, exactly.

The ordinal level's weights depend on the counts themselves, so there the whole coincidences o_kl change by

    n_k^-a n_l^-a / (n - m - 1) - n_k n_l / (n - 1)        for each pair k < l of the example's labels

and are summed under (annotator, k, l). The agreement of a is the mean, over their annotations on examples
that others labelled too, of the share of the others' annotations that have the same label.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Unpack

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.numerics.mixture import DECIMALS
from polars_crowd.reliability.chance import PairableSums, alpha_value, mid_ranks, pair_agreement
from polars_crowd.reliability.coincidences import coincidences, sum_keys
from polars_crowd.reliability.gathering import check_annotators
from polars_crowd.reliability.grouping import Grouping
from polars_crowd.reliability.meetings import by_id
from polars_crowd.reliability.pairwise import CELLS
from polars_crowd.reliability.patterns import LocalUnits, local_units
from polars_crowd.reliability.registry import ALPHA
from polars_crowd.reliability.request import ClassesOption, LevelOption, Reading, Request
from polars_crowd.reliability.scales import Scales
from polars_crowd.reliability.units import BLOCK, Units, pairs_in_blocks, positions, run_lengths
from polars_crowd.reliability.weights import Level, SquaredDistance, Weights
from polars_crowd.rounds.components import warn_of_components
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Merged, Summary, dense
from polars_crowd.signatures import shares

WHOLE = Grouping()


class OfAnnotators(LevelOption, ClassesOption, Reading, total=False):
    """The options of agreement by annotator."""


@shares(OfAnnotators, Request)
def agreement_by_annotator(log: Any, **options: Unpack[OfAnnotators]) -> pl.DataFrame:
    """How much each annotator agrees with the others, and Krippendorff's alpha without them.

    Every alpha without an annotator is exact, and all come from one pass over the log.

    Returns
    -------
    DataFrame
        One row per annotator, first those without whom alpha is highest: `annotator`; `num_annotations`;
        `num_shared`, those on examples that others labelled too; `agreement`, the mean over these of the
        share of the others' annotations with the same label, in [0, 1]; `alpha_without`; `alpha_change` =
        `alpha_without` - alpha of the whole log, above 0 where the others agree better among themselves;
        `reason` why these are null.

    Raises
    ------
    AnnotationError
        The log cannot be used, or has one annotator only.
    OptionError
        `level` is another one, or goes by an order that the classes have not.

    Warns
    -----
    OverlapWarning
        Some annotators share no example with the others, not even through a third.

    Agrees with
    -----------
    `krippendorff_alpha` of the log without the annotator's rows, to 1e-9, at every level.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> labels = {"ann": "xxyyz", "bob": "xxyyz", "cyd": "xxyzz", "dan": "zyxzx"}
    >>> rows = [(e, a, k) for a, given in labels.items() for e, k in enumerate(given)]
    >>> log = pl.DataFrame(rows, schema=["example", "annotator", "label"], orient="row")
    >>> found = pc.agreement_by_annotator(log)
    >>> found.select("annotator", "agreement", "alpha_without", "alpha_change").head(2)
    shape: (2, 4)
    ┌───────────┬───────────┬───────────────┬──────────────┐
    │ annotator ┆ agreement ┆ alpha_without ┆ alpha_change │
    │ ---       ┆ ---       ┆ ---           ┆ ---          │
    │ str       ┆ f64       ┆ f64           ┆ f64          │
    ╞═══════════╪═══════════╪═══════════════╪══════════════╡
    │ dan       ┆ 0.066667  ┆ 0.810811      ┆ 0.578488     │
    │ ann       ┆ 0.6       ┆ 0.054054      ┆ -0.178269    │
    └───────────┴───────────┴───────────────┴──────────────┘
    """
    request = Request((ALPHA,), **options)
    rounds, grouping = request.open(log, anonymous=False)
    check_annotators(rounds.book.annotators)
    warn_of_components(rounds, "agreement_by_annotator")
    return without_each(rounds, request.level, grouping)


def without_each(
    rounds: Rounds, level: Level = "nominal", grouping: Grouping = WHOLE
) -> pl.DataFrame:
    """The table, of a log that is open."""
    scales = Scales.of_classes(rounds.book.classes, "identity", level)
    M, K = len(rounds.book.annotators), rounds.n_classes
    merged = rounds.run(
        count_without, grouping, M, scales.weights if level == "ordinal" else scales.fixed_metric
    )
    metric: Metric
    if level == "ordinal":
        changes = rounds.run(count_changes, grouping, M)
        metric = OrdinalMetric(
            changes[("label_1", "label_2")], changes[("annotator", "label_1", "label_2")]
        )
    else:
        metric = FixedMetric.of_sums(merged, M, scales.fixed_metric)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = alphas(merged, M, K, metric)
    return _table(merged[("annotator",)], found, rounds.book.annotators)


# --- an annotator's own annotations ----------------------------------------------------------------


@dataclass(frozen=True)
class Own:
    """The annotations of each annotator of each example: a unit each, its group the example."""

    units: Units
    annotator: Ints
    """(O,)"""
    entry: Ints
    """The entry of the example that each entry is a part of."""

    @property
    def example(self) -> Ints:
        return self.units.group

    def entries(self, low: int, high: int) -> slice:
        """Those of the units low .. high-1."""
        ends = np.append(self.units.starts, len(self.entry))
        return slice(ends[low], ends[high])

    @cached_property
    def repeats(self) -> bool:
        """Whether an annotator labelled an example more than once."""
        return bool((self.units.n > 1).any())


def own_annotations(local: LocalUnits, M: int) -> Own:
    """Those of a partition's units, which are its examples."""
    K, shape = local.units.n_classes, (len(local.units.lengths), local.units.n_classes)
    entry = np.repeat(np.arange(len(local.units.votes)), local.units.votes)
    if not local.runs.has_repeats:
        ones = np.ones(len(entry), np.int64)
        units = Units(local.row_unit, ones, ones, local.row_label, ones, *shape)
        return Own(units, local.row_annotator, entry)
    pair = local.row_unit.astype(np.int64) * M + local.row_annotator
    cell, first, votes = np.unique(
        pair * K + local.row_label, return_index=True, return_counts=True
    )
    lengths = run_lengths(cell // K)
    pair = (cell // K)[np.cumsum(lengths) - lengths]
    units = Units(pair // M, np.ones_like(lengths), lengths, cell % K, votes, *shape)
    return Own(units, pair % M, entry[first])


# --- plans -----------------------------------------------------------------------------------------


def count_without(part: Partition, grouping: Grouping, M: int, weights: Weights) -> Summary:
    """What the sums of alpha lose with each annotator, and their agreement with the others."""
    local = local_units(part, grouping)
    units, own = local.units, own_annotations(local, M)
    n, m = units.n[own.example], own.units.n
    shared = np.where(n > m, m, 0)
    of_annotators = {
        "annotations": np.bincount(own.annotator, m, M).astype(np.int64),
        "shared": np.bincount(own.annotator, shared, M).astype(np.int64),
        "agreeing": np.bincount(own.annotator, agreeing(units, own), M),
        "change": np.bincount(own.annotator, changes(units, own, weights), M),
    }
    counts = units.by_label(units.pairable.astype(np.float64)).sum(axis=0)
    total = float(pair_agreement(units, weights).sum())
    return {
        ("annotator",): pl.LazyFrame({"annotator": range(M), **of_annotators}).filter(
            pl.col("annotations") > 0
        ),
        ("annotator", "label"): lost_counts(units, own, M),
        ("label",): pl.LazyFrame({"label": range(len(counts)), "annotations": counts}),
        (): pl.LazyFrame({"agreement": [total]}),
    }


def agreeing(units: Units, own: Own) -> Floats:
    """(O,) the sum over own annotations of the share of the others' that have the same label."""
    same = own.units.votes * (units.votes[own.entry] - own.units.votes)
    left = units.n[own.example] - own.units.n
    return np.where(left > 0, own.units.over_entries(same) / np.maximum(left, 1), 0)


def changes(units: Units, own: Own, weights: Weights) -> Floats:
    """(O,) c_i^-a - c_i."""
    Wn = weights.at_entries(units)
    nWn = units.over_entries(units.votes * Wn)[own.example]
    rWn = own.units.over_entries(own.units.votes * Wn[own.entry])
    rWr = weights.pairs(own.units) if own.repeats else 1.0
    left = units.n[own.example] - own.units.n
    pairs_left = nWn - 2 * rWn + rWr - left
    c_left = np.where(left > 1, pairs_left / np.maximum(left - 1, 1), 0)
    return c_left - pair_agreement(units, weights)[own.example]


def lost_counts(units: Units, own: Own, M: int) -> pl.LazyFrame:
    """How many annotations of each label leave the pairable ones with an annotator."""
    K = units.n_classes
    owner, pairable = own.units.unit, units.pairable[own.example]
    with_own = np.where(pairable[owner], own.units.votes, 0)
    key = own.annotator[owner].astype(np.int64) * K + own.units.label
    # one annotation that is left alone is lost too: its label is that of all less that of the own
    alone = np.flatnonzero(pairable & (units.n[own.example] - own.units.n == 1))
    labels = units.over_entries(units.votes.astype(np.int64) * units.label)[own.example]
    left_label = labels - own.units.over_entries(own.units.votes * own.units.label)
    key_alone = own.annotator[alone].astype(np.int64) * K + left_label[alone]
    blocks = [(key, with_own.astype(np.float64)), (key_alone, np.ones(len(alone)))]
    cell, lost = sum_keys(iter(blocks), M * K)
    return pl.LazyFrame({"annotator": cell // K, "label": cell % K, "lost": lost}).filter(
        pl.col("lost") > 0
    )


def count_changes(part: Partition, grouping: Grouping, M: int) -> Summary:
    """The coincidences o_kl, k < l, and their change without each annotator."""
    local = local_units(part, grouping)
    units, own, K = local.units, own_annotations(local, M), local.units.n_classes
    cell, observed = sum_keys(coincidences(units), K**2)
    base = pl.LazyFrame({"label_1": cell // K, "label_2": cell % K, "observed": observed})
    cell, change = sum_keys(coincidence_changes(units, own), M * K**2)
    by_annotator = {"annotator": cell // K**2, "label_1": cell // K % K, "label_2": cell % K}
    return {
        ("label_1", "label_2"): base.filter(pl.col("label_1") < pl.col("label_2")),
        ("annotator", "label_1", "label_2"): pl.LazyFrame({**by_annotator, "change": change}),
    }


def coincidence_changes(units: Units, own: Own) -> Iterator[tuple[Ints, Floats]]:
    """The cells (annotator, k, l), k < l, as one number, and how o_kl changes without the annotator."""
    K = units.n_classes
    yield np.zeros(0, np.int64), np.zeros(0)
    entries = np.cumsum(units.lengths[own.example])
    cuts = np.searchsorted(entries, np.arange(0, entries[-1], BLOCK), side="left")
    for low, high in pairwise([*np.unique(cuts), len(entries)]):
        example, m = own.example[low:high], own.units.n[low:high]
        lengths = units.lengths[example]
        owner, start = np.repeat(np.arange(high - low), lengths), np.cumsum(lengths) - lengths
        entry = positions(units.starts[example], lengths)
        before, after = (units.votes[entry].astype(np.int64) for _ in range(2))
        of_own = own.entries(low, high)
        at = (start - units.starts[example])[own.units.unit[of_own] - low] + own.entry[of_own]
        after[at] -= own.units.votes[of_own]
        n = units.n[example]
        per_pair = 1 / np.maximum(n - 1, 1)
        per_pair_left = np.where(n - m > 1, 1 / np.maximum(n - m - 1, 1), 0)
        row = own.annotator[low:high].astype(np.int64)[owner] * K + units.label[entry]
        for i, j in pairs_in_blocks(lengths):
            change = after[i] * after[j] * per_pair_left[owner[i]]
            change -= before[i] * before[j] * per_pair[owner[i]]
            yield row[i] * K + units.label[entry[j]], change


# --- alphas ----------------------------------------------------------------------------------------


class Metric(ABC):
    """The weights of alpha without each annotator, and sum c_i with them."""

    width = 1
    """How many cells it looks at for each annotator."""

    @abstractmethod
    def of(self, low: int, high: int, counts: Floats) -> tuple[Weights, Floats]:
        """For the annotators low .. high-1, without each of whom there are these (B, K) counts."""


@dataclass(frozen=True)
class FixedMetric(Metric):
    """Weights that are the same whatever the counts."""

    weights: Weights
    agreement: Floats
    """(M + 1,) sum c_i without each annotator, and with all."""

    @classmethod
    def of_sums(cls, merged: Merged, M: int, weights: Weights) -> FixedMetric:
        change = dense(merged[("annotator",)], "annotator", "change", M + 1)
        return cls(weights, merged[()]["agreement"].item() + change)

    def of(self, low: int, high: int, counts: Floats) -> tuple[Weights, Floats]:
        return self.weights, self.agreement[low:high]


@dataclass(frozen=True)
class OrdinalMetric(Metric):
    """w_kl = 1 - (x_k - x_l)^2 of the mid-ranks x; sum c_i = n - sum_kl o_kl (x_k - x_l)^2."""

    observed: pl.DataFrame
    changes: pl.DataFrame
    """Sorted by annotator."""

    @property
    def width(self) -> int:  # type: ignore[override]
        return self.observed.height

    def of(self, low: int, high: int, counts: Floats) -> tuple[Weights, Floats]:
        metric = SquaredDistance.scaled(mid_ranks(counts))
        k, j = (self.observed[c].to_numpy() for c in ("label_1", "label_2"))
        apart = (metric.x[:, k] - metric.x[:, j]) ** 2 @ self.observed["observed"].to_numpy()
        first, last = np.searchsorted(self.changes["annotator"].to_numpy(), [low, high])
        changed = self.changes[first:last]
        a, k, j = (changed[c].to_numpy() for c in ("annotator", "label_1", "label_2"))
        squares = (metric.x[a - low, k] - metric.x[a - low, j]) ** 2
        apart += np.bincount(a - low, squares * changed["change"].to_numpy(), high - low)
        return metric, counts.sum(axis=-1) - 2 * apart


def alphas(merged: Merged, M: int, K: int, metric: Metric) -> tuple[Floats, Floats]:
    """(M + 1,) each: alpha without each annotator, and with all; the pairable annotations it is of."""
    counts = dense(merged[("label",)], "label", "annotations", K)
    lost = merged[("annotator", "label")]
    annotator, label, n = (lost[c].to_numpy() for c in ("annotator", "label", "lost"))
    found, left, step = [], [], max(CELLS // max(K, metric.width), 1)
    for low in range(0, M + 1, step):
        high = min(low + step, M + 1)
        first, last = np.searchsorted(annotator, [low, high])
        counts_left = np.tile(counts, (high - low, 1))
        counts_left[annotator[first:last] - low, label[first:last]] -= n[first:last]
        R2 = counts_left.sum(axis=-1)
        weights, agreement = metric.of(low, high, counts_left)
        found.append(alpha_value(PairableSums(R2, R2, agreement, counts_left), weights))
        left.append(R2)
    return np.concatenate(found), np.concatenate(left)


# --- the table -------------------------------------------------------------------------------------

NO_OTHERS = "no overlap: no example of theirs has an annotation of another"
NO_PAIRS = "no overlap without them: no example has two annotations"
NO_CHANCE = "one class only is used without them: agreement by chance is certain"


def _table(
    counts: pl.DataFrame, found: tuple[Floats, Floats], annotators: pl.Series
) -> pl.DataFrame:
    alpha, left = found
    at = counts["annotator"].to_numpy()
    numbers = {"alpha_without": alpha[at], "alpha_change": alpha[at] - alpha[-1]}
    columns = {name: pl.Series(values).fill_nan(None) for name, values in numbers.items()}
    undefined = pl.when(pl.col("left") > 0).then(pl.lit(NO_CHANCE)).otherwise(pl.lit(NO_PAIRS))
    reasons = (
        pl.when(pl.col("shared") == 0).then(pl.lit(NO_OTHERS)),
        pl.when(pl.col("alpha_without").is_null()).then(undefined),
    )
    table = counts.with_columns(**columns, left=left[at]).select(
        annotators.gather(at).alias("annotator"),
        num_annotations="annotations",
        num_shared="shared",
        agreement=pl.col("agreeing") / pl.when(pl.col("shared") > 0).then("shared"),
        alpha_without="alpha_without",
        alpha_change="alpha_change",
        reason=pl.concat_str(reasons, separator="; ", ignore_nulls=True).replace("", None),
    )
    order = by_id(table["annotator"]).arg_sort().arg_sort()
    return table.sort(-pl.col("alpha_change").round(DECIMALS), order, nulls_last=True)
