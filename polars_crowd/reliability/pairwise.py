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
left, whatever partition they lie in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import polars as pl

from polars_crowd.arrays import Flags, Floats, Ints, Packed
from polars_crowd.errors import Advice, AnnotationError, OptionError, counted, warn
from polars_crowd.reliability.chance import corrected, room
from polars_crowd.reliability.gathering import check_annotators
from polars_crowd.reliability.grouping import Grouping
from polars_crowd.reliability.patterns import count_keys, pairs_in_blocks, run_lengths, runs_of
from polars_crowd.reliability.registry import named
from polars_crowd.reliability.request import (
    ClassesOption,
    MemoryOption,
    Reading,
    Request,
    WeightsOption,
)
from polars_crowd.reliability.scales import Scales
from polars_crowd.reliability.weights import Identity, Weights
from polars_crowd.reliability.who_voted import Pairs, cohen, pair_kappa
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.hashing import MIX, hashed
from polars_crowd.signatures import shares

MAX_PAIRS = 50_000_000
"""Pairs of annotations that are looked at, unless the caller says otherwise."""
CELLS = 1 << 20
"""(pair, class) cells whose kappa is computed at once."""
KEY_LIMIT = 1 << 31
"""(annotator, label) codes of which two fit into one integer."""
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
        more, a random sample of the annotations is, and a warning says so. None: all that the memory
        limit allows (about 160 bytes each where most pairs of annotators meet once or twice).
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
        There may be more pairs than fit into memory.

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
    n_pairs = int(rounds.run(count_pairs, grouping)[()]["pairs"].item())
    sample = Sample.of(n_pairs, max_pairs, seed)
    check_size(rounds, codes, n_pairs * sample.share_of_pairs)
    merged = rounds.run(count_labels_of_pairs, grouping, codes, sample)
    scales = Scales.of_classes(rounds.book.classes, request.weights, request.level)
    table = pair_table(merged[("key",)], codes, scales.weights, min_shared)
    return _named(table, codes).with_columns(sampled=pl.lit(sample.share_of_pairs))


def _check_options(min_shared: int, max_pairs: int | None, seed: int) -> None:
    if max_pairs is None and seed:
        raise OptionError(
            "seed", seed, "it has no effect with max_pairs=None: all pairs are looked at."
        )
    for name, value in (("min_shared", min_shared), ("max_pairs", max_pairs)):
        if value is not None and value < 1:
            raise OptionError(name, value, "it must be at least 1.")


# --- codes -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PairCodes:
    """How (annotator, annotator, label, label) is one integer: annotators by their rank among the ids."""

    rank: Ints
    """(M,) of each annotator's code."""
    annotators: pl.Series
    """The ids by rank."""
    n_classes: int

    @property
    def size(self) -> int:
        """How many keys there could be."""
        return (len(self.rank) * self.n_classes) ** 2

    def pack(self, pair: tuple[Ints, Ints], label: tuple[Ints, Ints]) -> Ints:
        """The key of each pair of annotations, the annotator with the smaller rank first."""
        swap = pair[0] > pair[1]
        first, second = (np.where(swap, pair[i], pair[1 - i]) for i in (1, 0))
        k, j = (np.where(swap, label[i], label[1 - i]) for i in (1, 0))
        K = self.n_classes
        return ((first * len(self.rank) + second) * K + k) * K + j

    def pair(self, one: Ints, other: Ints) -> Ints:
        """Two annotators, by their ranks, as one number."""
        return np.asarray(np.minimum(one, other) * len(self.rank) + np.maximum(one, other))

    def named(self, pair: str = "pair") -> list[pl.Expr]:
        """The ids of pairs of annotators, `annotator_1` and `annotator_2`."""
        ids, M = pl.lit(self.annotators), len(self.rank)
        return [
            ids.gather(at).alias(f"annotator_{i}")
            for i, at in ((1, pl.col(pair) // M), (2, pl.col(pair) % M))
        ]

    def unpack(self, key: Ints) -> tuple[Ints, Ints, Ints]:
        """The pair of annotators as one number, and the two labels."""
        rest, second = np.divmod(key, self.n_classes)
        pair, first = np.divmod(rest, self.n_classes)
        return pair, first, second


def check_codes(rounds: Rounds) -> PairCodes:
    """The codes of a log, if it has two annotators or more and not too many."""
    check_annotators(rounds.book.annotators)
    return pair_codes(rounds.book.annotators, rounds.n_classes)


def pair_codes(annotators: pl.Series, K: int) -> PairCodes:
    """The codes of so many annotators and classes, if there are."""
    if len(annotators) * K > KEY_LIMIT:
        raise AnnotationError(
            f"the log has {counted(len(annotators), 'annotator')} and {counted(K, 'class')}: too many to "
            f"compare pairwise (at most {KEY_LIMIT:,} annotators x classes). Filter the annotators, or "
            "merge classes."
        )
    by_name = by_id(annotators).arg_sort()
    rank = np.empty(len(annotators), np.int64)
    rank[by_name.to_numpy()] = np.arange(len(annotators))
    return PairCodes(rank, annotators.gather(by_name), K)


def by_id(annotators: pl.Series) -> pl.Series:
    """Ids as they sort: the text of categories, the order of an Enum."""
    return (
        annotators.cast(pl.String) if isinstance(annotators.dtype, pl.Categorical) else annotators
    )


BASE, PER_KEY, PER_PAIR = 1 << 25, 60, 100
"""Bytes that are held in any case, for each key that is counted, and for each pair of annotators."""
FEWER_PAIRS = Advice("Look at fewer pairs of annotations", python="max_pairs=10_000_000")
FEWER_ANNOTATORS = Advice(
    "Look at fewer annotators", python="log.filter(pl.col('annotator').is_in(...))"
)


def check_size(
    rounds: Rounds, codes: PairCodes, n_pairs: float, advice: Advice = FEWER_PAIRS
) -> None:
    """That the counts and the table of so many pairs of annotations fit into memory, if none meet twice."""
    M = len(codes.rank)
    of_annotators = min(n_pairs, M * (M - 1) / 2)
    keys = min(n_pairs, of_annotators * codes.n_classes**2)
    what = f"up to {of_annotators:,.0f} pairs of annotators share examples, which take"
    size = BASE + keys * PER_KEY + of_annotators * PER_PAIR
    rounds.check_memory(size, what, advice)


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
            return cls()
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


def hashes(ids: pl.Series) -> Packed:
    """A number per id that is the same on every machine."""
    frame = ids.alias("id").to_frame()
    return frame.select(hashed(pl.col("id"), ids.dtype)).to_series().to_numpy()


def mixed(h: Packed) -> Packed:
    """The finaliser of `store.rule`, once more."""
    h = (h ^ (h >> np.uint64(32))) * np.uint64(MIX)
    return h ^ (h >> np.uint64(29))


# --- plans -----------------------------------------------------------------------------------------


def count_pairs(part: Partition, grouping: Grouping) -> Summary:
    """How many pairs of annotations there are: what the join will cost."""
    return pairs_among(runs_of(part, grouping).examples)


def pairs_among(examples: pl.DataFrame) -> Summary:
    """How many pairs of annotations of one example there are."""
    n = pl.col("num_annotations").cast(pl.Int64)
    return {(): examples.lazy().select(pairs=(n * (n - 1) // 2).sum())}


def count_labels_of_pairs(
    part: Partition, grouping: Grouping, codes: PairCodes, sample: Sample
) -> Summary:
    """The shared examples of each (annotator, annotator, label, label)."""
    runs = runs_of(part, grouping)
    vote = runs.rows["vote"].to_numpy()
    example, label = (runs.votes[c].to_numpy()[vote].astype(np.int64) for c in ("example", "label"))
    code = runs.rows["annotator"].to_numpy()
    if sample.share < 1:
        kept = sample.kept(runs.examples["example"], runs.book.annotators, (example, code))
        example, label, code = example[kept], label[kept], code[kept]
    annotator = codes.rank[code]
    counts = [pl.DataFrame(schema={"key": pl.Int64, "times": pl.Int64})]
    for i, j in pairs_in_blocks(run_lengths(example)):
        different = annotator[i] != annotator[j]  # an annotator may have labelled an example twice
        i, j = i[different], j[different]
        key = codes.pack((annotator[i], annotator[j]), (label[i], label[j]))
        counts.append(count_keys(key, codes.size))
    if len(counts) == 2:
        return {("key",): counts[1]}
    return {
        ("key",): pl.concat(counts).lazy().sort("key").group_by("key").agg(pl.col("times").sum())
    }


# --- the table -------------------------------------------------------------------------------------


def pair_table(
    counts: pl.DataFrame, codes: PairCodes, weights: Weights, min_shared: int
) -> pl.DataFrame:
    """Agreement and kappa of each pair, by ranks, from the merged counts, sorted by key."""
    blocks = [_empty(), *_table_blocks(counts, codes, weights, min_shared)]
    return pl.concat(blocks)


def _empty() -> pl.DataFrame:
    floats = dict.fromkeys(("agreement", "kappa", "standard_error"), pl.Float64)
    return pl.DataFrame(schema={"pair": pl.Int64, "num_shared": pl.Int64, **floats})


def _table_blocks(
    counts: pl.DataFrame, codes: PairCodes, weights: Weights, min_shared: int
) -> Iterator[pl.DataFrame]:
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


def _named(table: pl.DataFrame, codes: PairCodes) -> pl.DataFrame:
    """The ids of the pairs, and why kappa is null."""
    reasons = pl.Enum([ONE_CLASS])
    return (
        table.lazy()
        .select(
            *codes.named(),
            pl.exclude("pair"),
            reason=pl.when(pl.col("kappa").is_null()).then(pl.lit(ONE_CLASS, reasons)),
        )
        .collect()
    )
