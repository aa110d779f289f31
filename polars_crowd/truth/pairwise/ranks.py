"""Intervals of the ranks of Bradley-Terry, by a bootstrap.

A replicate draws anew, with replacement, what is taken to be independent: the comparisons of a log, or its
annotators with all that they said. Its scores s = log x maximise the objective of
`truth.pairwise.bradley_terry` with the counts of the draw; all replicates of a block take Newton's steps at
once, from the scores of the fit:

    g[a] = sum_b ( C[a,b] - N[a,b] p[a,b] ) + c - 2c x / (1 + x),    s <- s + H^-1 g

no step longer than 2 in any score. The interval of a rank is that of the replicates' ranks between their
(1 -+ level) / 2 quantiles, outwards. Ranks are not smooth in the scores: where strengths are equal they are
anybody's, and intervals are too narrow (Xie, Singh and Zhang 2009, JASA 104).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import OptionError
from polars_crowd.inputs.comparisons import SHARE, WEIGHT
from polars_crowd.truth.pairwise.strengths import Intervals, Strengths

MOST = 500
"""Examples up to which scores are fitted anew."""
CELLS = 1 << 22
"""Replicates times pairs of examples that are worked on at once."""
MAX_STEPS, CLOSE, LONGEST = 50, 1e-6, 2.0
SAME = 6
"""Scores that are equal to so many digits share a rank."""


def check_drawn(n_boot: int | None, n_examples: int) -> None:
    """That ranks can be drawn, if they are to be."""
    if n_boot and n_examples > MOST:
        wrong = (
            f"ranks of more than {MOST} examples are not drawn anew, and there are {n_examples:,}."
        )
        raise OptionError("n_boot", n_boot, wrong)


def rank_intervals(
    log: pl.LazyFrame,
    examples: pl.Series,
    strengths: Strengths,
    intervals: Intervals,
    level: float,
    n_boot: int,
    seed: int,
) -> tuple[Ints, Ints]:
    """The least and the largest rank of each example, shape (N,) each."""
    rng = np.random.default_rng(seed)
    draws = drawn_wins(log, examples, intervals, n_boot, rng)
    ranks = np.concatenate([ranks_of(refitted(C, strengths)) for C in draws])
    low = np.quantile(ranks, (1 - level) / 2, axis=0, method="lower")
    high = np.quantile(ranks, (1 + level) / 2, axis=0, method="higher")
    return low.astype(np.intp), high.astype(np.intp)


def drawn_wins(
    log: pl.LazyFrame,
    examples: pl.Series,
    intervals: Intervals,
    n_boot: int,
    rng: np.random.Generator,
) -> Iterator[Floats]:
    """Blocks (b, N, N) of C of each draw."""
    rows = outcomes(log, examples, by_annotator=intervals == "annotators")
    N = len(examples)
    left, right, times, weight, share = (
        rows[c].to_numpy() for c in ("left", "right", "times", "weight", "share")
    )
    unit = rows["unit"].to_numpy()
    of_unit = np.ones(unit.max() + 1) if intervals == "annotators" else times
    each = times if intervals == "annotators" else np.ones(len(times))
    total = int(of_unit.sum())
    step = max(CELLS // max(N * N, len(unit)), 1)
    for at in range(0, n_boot, step):
        size = min(step, n_boot - at)
        drawn = rng.multinomial(total, of_unit / total, size=size)[:, unit] * (each * weight)
        C = np.zeros((size, N * N))
        for place, part in ((left * N + right, share), (right * N + left, 1 - share)):
            order = np.argsort(place, kind="stable")
            cell, first = np.unique(place[order], return_index=True)
            C[:, cell] += np.add.reduceat((drawn * part)[:, order], first, axis=1)
        yield C.reshape(size, N, N)


def outcomes(log: pl.LazyFrame, examples: pl.Series, *, by_annotator: bool) -> pl.DataFrame:
    """`left, right` as codes, `share` of the left one, `weight`, how many `times`, and the `unit` that is
    drawn: the row itself, or its annotator."""
    columns = log.collect_schema()
    left_won = (pl.col("winner") == pl.col("left")).cast(pl.Float64)
    share = pl.col(SHARE) if SHARE in columns else pl.when("tie").then(0.5).otherwise(left_won)
    weight = pl.col(WEIGHT) if WEIGHT in columns else pl.lit(1.0)
    code = pl.Series(range(len(examples)), dtype=pl.Int64)
    sides = (
        pl.col(c).replace_strict(examples, code, return_dtype=pl.Int64) for c in ("left", "right")
    )
    keys = ["left", "right", "share", "weight", *(["annotator"] if by_annotator else [])]
    rows = log.filter(weight > 0).select(*sides, "annotator", share=share, weight=weight)
    counted = rows.group_by(keys).agg(times=pl.len().cast(pl.Int64)).sort(keys).collect()
    unit = pl.col("annotator").rank("dense") - 1 if by_annotator else pl.int_range(pl.len())
    return counted.with_columns(unit=unit.cast(pl.Int64))


def refitted(C: Floats, strengths: Strengths) -> Floats:
    """(B, N) scores that are best for C (B, N, N)."""
    B, N, _ = C.shape
    c, both = strengths.smoothing, C + C.transpose(0, 2, 1)
    s = np.tile(np.log(strengths.x), (B, 1))
    every = np.arange(N)
    for _ in range(MAX_STEPS):
        p = 1 / (1 + np.exp(s[:, None, :] - s[:, :, None]))
        own = 1 / (1 + np.exp(-s))
        g = (C - both * p).sum(axis=2) + c - 2 * c * own
        H = -both * p * (1 - p)
        H[:, every, every] = -H.sum(axis=2) + H[:, every, every] + 2 * c * own * (1 - own)
        move = np.linalg.solve(H, g[:, :, None])[:, :, 0]
        move /= np.maximum(np.abs(move).max(axis=1, keepdims=True) / LONGEST, 1)
        s += move
        if np.abs(move).max() < CLOSE:
            break
    return s


def ranks_of(s: Floats) -> Ints:
    """1 for the best of each row; equal scores share the least."""
    s = s.round(SAME)
    order = np.sort(-s, axis=1)
    return np.stack([np.searchsorted(row, -one) + 1 for row, one in zip(order, s, strict=True)])
