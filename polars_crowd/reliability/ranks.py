"""Agreement on an order: Kendall's W and Spearman's rank correlation.

With r_ij the rank of example i among those of annotator j, ties at the mean of theirs, N examples and M
annotators:

    W = 12 sum_i (sum_j r_ij - M (N + 1) / 2)^2 / (M^2 (N^3 - N) - M sum_j T_j),    T_j = sum_t (t^3 - t)

over the sizes t of the ties of annotator j (Kendall and Babington Smith 1939; Kendall 1948). Spearman's
(1904) is the correlation of the ranks of two annotators on the examples that both labelled, the mean over
pairs.
"""

from __future__ import annotations

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.numerics.special import f_upper
from polars_crowd.reliability.chance import mid_ranks, ratio
from polars_crowd.reliability.units import Units, sums_at
from polars_crowd.reliability.who_voted import Pairs, Signed


def ranks_of(profiles: Units) -> Floats:
    """(E,) the rank of each label of each annotator, less their mean (N + 1) / 2."""
    votes = profiles.votes.astype(np.float64)
    before = np.cumsum(votes) - votes
    own = before - before[profiles.starts][profiles.unit]
    found: Floats = own + votes / 2 - profiles.n[profiles.unit] / 2
    return found


def concordance(profiles: Units, squares: Floats, M: Floats, N: Floats) -> Floats:
    """(G,) W from the sums of squares of the examples' ranks."""
    votes = profiles.votes.astype(np.float64)
    ties = profiles.over_units(profiles.over_entries(votes**3 - votes))
    return ratio(12 * squares, M**2 * (N**3 - N) - M * ties)


def p_of_concordance(W: float, M: float, N: float) -> float:
    """Of no agreement: by F = (M - 1) W / (1 - W)."""
    df = N - 1 - 2 / M
    if not (np.isfinite(W) and df > 0):
        return np.nan
    return f_upper((M - 1) * W / (1 - W), df, df * (M - 1)) if W < 1 else 0.0


def concordance_of_draw(signed: Signed, times: Floats) -> float:
    """W where each pattern of one group comes so many times."""
    units, K = signed.units, signed.units.n_classes
    key = signed.annotator * K + units.label
    M = int(signed.annotator.max()) + 1
    counts = sums_at(key, times[units.unit], M * K).reshape(M, K)
    there = counts.sum(axis=1) > 0
    N, raters = times.sum(), there.sum()
    rank = (mid_ranks(counts) - N / 2).ravel()[key]
    squares = times @ units.over_entries(rank) ** 2
    ties = (counts**3 - counts)[there].sum()
    return float(ratio(12 * squares, raters**2 * (N**3 - N) - raters * ties))


def rank_correlation(pairs: Pairs) -> Floats:
    """Spearman's of each pair of annotators, NaN where one gave the same label to all examples."""
    sides = pairs.sides
    x, y = (side.at_labels(mid_ranks(side.by_label(np.ones(len(side.n))))) for side in sides)
    first = sides[0]
    middle = first.of_group(first.over_units(np.ones(len(x)))) / 2
    x, y = x - middle, y - middle
    xy, xx, yy = (first.over_units(v) for v in (x * y, x**2, y**2))
    return ratio(xy, np.sqrt(xx * yy))
