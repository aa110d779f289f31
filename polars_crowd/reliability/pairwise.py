"""Who agrees with whom: every pair of annotators on the examples that both labelled.

For annotators 1 and 2 with n shared examples, p_kl the share of these that got class k from 1 and l from 2,
and margins a_k = sum_l p_kl, b_l = sum_k p_kl (w = 1[k = l] by default):

    agreement  p_o = sum_kl w_kl p_kl
    kappa          = (p_o - p_e) / (1 - p_e),    p_e = sum_kl w_kl a_k b_l           (Cohen 1960, 1968)
    d_kl           = w_kl - (1 - kappa) ((W b)_k + (W a)_l)
    var kappa      = (sum p_kl d_kl^2 - (sum p_kl d_kl)^2) / (n (1 - p_e)^2)     (Fleiss, Cohen, Everitt 1969)

The counts n p_kl of all pairs come from one join of the log with itself on examples, which has
sum_i n_i (n_i - 1) / 2 rows. That number is known from the runs before anything is joined. Where it is larger
than `max_pairs`, each annotation is kept with probability q = sqrt(max_pairs / pairs), decided by a hash of
its example, its annotator and the seed: of every pair of annotators, a share q^2 of the shared examples is
left, whatever partition they lie in. Pairs are counted and made rows of a span of annotators at a time
(`meetings`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import polars as pl

from polars_crowd.arrays import Flags, Floats, Ints, Packed
from polars_crowd.compatible import engine_for
from polars_crowd.errors import Advice, OptionError, warn
from polars_crowd.reliability.chance import corrected, room
from polars_crowd.reliability.grouping import Grouping
from polars_crowd.reliability.meetings import (
    FEWER_PAIRS,
    FIRST,
    KEY,
    MORE_SHARED,
    Meetings,
    PairCodes,
    Span,
    check_codes,
    check_size,
    count_meetings,
    spans,
)
from polars_crowd.reliability.patterns import runs_of
from polars_crowd.reliability.registry import named
from polars_crowd.reliability.request import (
    ClassesOption,
    MemoryOption,
    Reading,
    Request,
    WeightsOption,
)
from polars_crowd.reliability.scales import Scales
from polars_crowd.reliability.units import run_lengths
from polars_crowd.reliability.weights import Identity, Weights
from polars_crowd.reliability.who_voted import Pairs, cohen, pair_kappa
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.hashing import MIX, hashed
from polars_crowd.signatures import shares

MAX_PAIRS = 50_000_000
"""Pairs of annotations that are looked at, unless the caller says otherwise."""
CELLS = 1 << 18
"""(pair, class) cells whose kappa is computed at once."""
ODD = 0x9E3779B97F4A7C15
"""The golden ratio in 64 bits, by which a seed is spread."""


class OfPairs(WeightsOption, ClassesOption, Reading, MemoryOption, total=False):
    """The options of pairs of annotators."""


@shares(OfPairs, Request)
def pairwise_agreement(
    log: Any,
    *,
    min_shared: int = 1,
    max_pairs: int | None = MAX_PAIRS,
    seed: int = 0,
    **options: Unpack[OfPairs],
) -> pl.DataFrame:
    """Agreement and Cohen's kappa of every two annotators who share examples.

    kappa = (p_o - p_e) / (1 - p_e) of the examples that both labelled, with p_o the agreement and p_e that
    of independent labels with the two annotators' own frequencies (Cohen 1960); the standard error is that
    of Fleiss, Cohen and Everitt (1969).

    Parameters
    ----------
    min_shared
        Leave out pairs with fewer shared examples than this, at least 1.
    max_pairs
        How many pairs of annotations, sum n (n - 1) / 2 over the examples, are looked at. If there are
        more, a random sample of the annotations is, and a warning says so. None: all of them.
    seed
        Of that sample. It depends on the ids of examples and annotators and on nothing else.

    Returns
    -------
    DataFrame
        One row per pair with shared examples, annotators in order: `annotator_1`, `annotator_2`;
        `num_shared`; `agreement` in [0, 1]; `kappa`; `standard_error`, null below two shared examples;
        `reason` why kappa is null; `sampled`, the share of the pairs of annotations that was looked
        at, 1 without sampling.

    Raises
    ------
    AnnotationError
        The log cannot be used, has one annotator only, or has more annotators x classes than 2^31.
    OptionError
        `min_shared` or `max_pairs` is below 1, or weights go by an order that the classes have not.
    MemoryLimitError
        There may be more pairs of annotators than fit into memory, at about 120 bytes each: `min_shared`
        leaves those out that share less, before they take any. Nothing was counted yet.

    Warns
    -----
    AnnotationWarning
        The log was sampled.

    Agrees with
    -----------
    `sklearn.metrics.cohen_kappa_score` of scikit-learn 1.9 (unweighted, linear and quadratic) and
    `statsmodels.stats.inter_rater.cohens_kappa` of statsmodels 0.15 (value and standard error), to 1e-9.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> labels = {"ann": "xxyyx", "bob": "xxyyy", "cyd": "xyxyy"}
    >>> rows = [(e, a, k) for a, given in labels.items() for e, k in enumerate(given)]
    >>> log = pl.DataFrame(rows, schema=["example", "annotator", "label"], orient="row")
    >>> pairs = pc.pairwise_agreement(log)
    >>> pairs.select("annotator_1", "annotator_2", "num_shared", "agreement", "kappa")
    shape: (3, 5)
    ┌─────────────┬─────────────┬────────────┬───────────┬───────────┐
    │ annotator_1 ┆ annotator_2 ┆ num_shared ┆ agreement ┆ kappa     │
    │ ---         ┆ ---         ┆ ---        ┆ ---       ┆ ---       │
    │ str         ┆ str         ┆ i64        ┆ f64       ┆ f64       │
    ╞═════════════╪═════════════╪════════════╪═══════════╪═══════════╡
    │ ann         ┆ bob         ┆ 5          ┆ 0.8       ┆ 0.615385  │
    │ ann         ┆ cyd         ┆ 5          ┆ 0.4       ┆ -0.153846 │
    │ bob         ┆ cyd         ┆ 5          ┆ 0.6       ┆ 0.166667  │
    └─────────────┴─────────────┴────────────┴───────────┴───────────┘
    """
    _check_options(min_shared, max_pairs, seed)
    request = Request((named("cohen_kappa"),), **options)
    rounds, grouping = request.open(log, anonymous=False)
    codes = check_codes(rounds)
    first = rounds.run(count_pairs, grouping, codes)[FIRST]
    n_pairs = int(first["pairs"].sum())
    sample = Sample.of(n_pairs, max_pairs, seed)
    check_size(rounds, codes, n_pairs * sample.share_of_pairs, min_shared, MORE_SHARED, FEWER_PAIRS)
    weights = Scales.of_classes(rounds.book.classes, request.weights, request.level).weights
    tables = [_named(_empty(), codes, sample)]
    for span in spans(first, codes, sample.share_of_pairs):
        counts = rounds.run(count_labels_of_pairs, grouping, codes, sample, span)[KEY]
        tables += [
            _named(block, codes, sample)
            for block in _table_blocks(counts, codes, weights, min_shared)
        ]
    return pl.concat(tables)


def _check_options(min_shared: int, max_pairs: int | None, seed: int) -> None:
    if max_pairs is None and seed:
        raise OptionError(
            "seed", seed, "it has no effect with max_pairs=None: all pairs are looked at."
        )
    for name, value in (("min_shared", min_shared), ("max_pairs", max_pairs)):
        if value is not None and value < 1:
            raise OptionError(name, value, "it must be at least 1.")


# --- which annotations are looked at ---------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """Each annotation with probability `share`."""

    share: float = 1.0
    seed: int = 0

    @classmethod
    def of(cls, n_pairs: int, max_pairs: int | None, seed: int) -> Sample:
        """The sample that leaves `max_pairs` of the pairs of annotations, with a warning; or all."""
        if max_pairs is None or n_pairs <= max_pairs:
            return EVERYTHING
        share = (max_pairs / n_pairs) ** 0.5
        warn(
            f"the log has {n_pairs:,} pairs of annotations of the same example, more than "
            f"max_pairs={max_pairs:,}: each annotation was kept with probability {share:.3g} (seed={seed}), "
            "so num_shared counts a sample of the shared examples and standard errors are larger.",
            Advice("Look at all of them", python="max_pairs=None"),
        )
        return cls(share, seed)

    @property
    def share_of_pairs(self) -> float:
        return self.share**2

    def kept(self, examples: pl.Series, annotators: pl.Series, at: tuple[Ints, Ints]) -> Flags:
        """Whether the annotations of example at[0] by annotator at[1] are in the sample."""
        seed = np.uint64((self.seed * ODD) % (1 << 64))
        e, a = (hashes(ids)[codes] for ids, codes in zip((examples, annotators), at, strict=True))
        return mixed(mixed(e ^ seed) + a) < np.uint64(self.share * 2**64)


EVERYTHING = Sample()


def hashes(ids: pl.Series) -> Packed:
    """A number per id that is the same on every machine."""
    frame = ids.alias("id").to_frame()
    return frame.select(hashed(pl.col("id"), ids.dtype)).to_series().to_numpy()


def mixed(h: Packed) -> Packed:
    """The finaliser of `store.rule`, once more."""
    h = (h ^ (h >> np.uint64(32))) * np.uint64(MIX)
    return h ^ (h >> np.uint64(29))


# --- plans -----------------------------------------------------------------------------------------


def count_pairs(part: Partition, grouping: Grouping, codes: PairCodes) -> Summary:
    """How many pairs of annotations each annotator is the first of: what their spans go by."""
    return _meetings(part, grouping, codes, EVERYTHING).pairs_by_first


def count_labels_of_pairs(
    part: Partition, grouping: Grouping, codes: PairCodes, sample: Sample, span: Span
) -> Summary:
    """The shared examples of each (annotator, annotator, label, label) of a span."""
    return count_meetings(_meetings(part, grouping, codes, sample), codes, span)


def _meetings(part: Partition, grouping: Grouping, codes: PairCodes, sample: Sample) -> Meetings:
    def made() -> Meetings:
        runs = runs_of(part, grouping)
        vote, code = (runs.rows[c].to_numpy() for c in ("vote", "annotator"))
        example, label = (runs.votes[c].to_numpy()[vote] for c in ("example", "label"))
        if sample.share < 1:
            kept = sample.kept(runs.examples["example"], runs.book.annotators, (example, code))
            example, label, code = example[kept], label[kept], code[kept]
        return Meetings.of(example, codes.rank[code], label)

    return part.once("meetings", made, grouping, codes, sample)


# --- the table -------------------------------------------------------------------------------------


def _empty() -> pl.DataFrame:
    floats = dict.fromkeys(("agreement", "kappa", "standard_error"), pl.Float64)
    return pl.DataFrame(schema={"pair": pl.Int64, "num_shared": pl.Int64, **floats})


def _table_blocks(
    counts: pl.DataFrame, codes: PairCodes, weights: Weights, min_shared: int
) -> Iterator[pl.DataFrame]:
    """Agreement and kappa of each pair, by ranks, from the merged counts, sorted by key."""
    key, shared = counts["key"].to_numpy(), counts["times"].to_numpy()
    starts = run_starts(key // codes.n_classes**2)
    by_class = 1 if isinstance(weights, Identity) else codes.n_classes
    step = max(CELLS // by_class, 1)
    for low in range(0, len(starts), step):
        entries = slice(starts[low], starts[low + step] if low + step < len(starts) else len(key))
        yield _block(key[entries], shared[entries], codes, weights, min_shared)


def run_starts(codes: Ints) -> Ints:
    lengths = run_lengths(codes)
    return np.cumsum(lengths) - lengths


def _block(
    key: Ints, shared: Ints, codes: PairCodes, weights: Weights, min_shared: int
) -> pl.DataFrame:
    pair, first, second = codes.unpack(key)
    lengths = run_lengths(pair)
    n = np.add.reduceat(shared, np.cumsum(lengths) - lengths)
    if min_shared > 1:
        enough = np.repeat(n >= min_shared, lengths)
        return _block(key[enough], shared[enough], codes, weights, 1) if enough.any() else _empty()
    group, owner = np.repeat(np.arange(len(lengths)), lengths), np.arange(len(lengths))
    pairs = Pairs(group, group, shared, first, second, owner, codes.n_classes)
    agreeing = np.bincount(group, shared * weights.between(first, second), len(lengths))
    with np.errstate(invalid="ignore", divide="ignore"):
        if isinstance(weights, Identity):
            kappa, squares = nominal_kappa(pairs, n)
        else:
            found = pair_kappa(pairs, weights, cohen)
            kappa, squares = found.value, found.squares
        error = np.where(n > 1, np.sqrt(squares) / n, np.nan)
    columns = {"agreement": agreeing / n, "kappa": kappa, "standard_error": error}
    numbers = {name: pl.Series(values).fill_nan(None) for name, values in columns.items()}
    return pl.DataFrame({"pair": pair[np.cumsum(lengths) - 1], "num_shared": n, **numbers})


def nominal_kappa(pairs: Pairs, n: Floats) -> tuple[Floats, Floats]:
    """Kappa with w = 1[k = l], and sum d^2: only those a_k and b_l are held that are not zero both."""
    K, G, group = pairs.n_classes, len(n), pairs.group
    sides = np.concatenate([group * K + pairs.first, group * K + pairs.second])
    cell, at = np.unique(sides, return_inverse=True)
    k, j = at[: len(group)], at[len(group) :]
    a, b = (np.bincount(side, pairs.times, len(cell)) / n[cell // K] for side in (k, j))
    p_e = np.bincount(cell // K, a * b, G).astype(np.float64)
    w = np.where(pairs.first == pairs.second, 1.0, 0.0)
    kappa = corrected(np.bincount(group, pairs.times * w, G) / n, p_e)
    d = w - (1 - kappa)[group] * (b[k] + a[j])
    deviation = d - (np.bincount(group, pairs.times * d, G) / n)[group]
    return kappa, np.bincount(group, pairs.times * deviation**2, G) / room(p_e) ** 2


ONE_CLASS = "one class only is used: agreement by chance is certain"


def _named(table: pl.DataFrame, codes: PairCodes, sample: Sample) -> pl.DataFrame:
    """The ids of the pairs, and why kappa is null."""
    reasons = pl.Enum([ONE_CLASS])
    return (
        table.lazy()
        .select(
            *codes.named(),
            pl.exclude("pair"),
            reason=pl.when(pl.col("kappa").is_null()).then(pl.lit(ONE_CLASS, reasons)),
            sampled=pl.lit(sample.share_of_pairs),
        )
        .collect(engine=engine_for(table.height))
    )
