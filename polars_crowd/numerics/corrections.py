"""p-values of many tests, corrected for their number m, by rank in ascending order:

    Holm (1979)                    (m - rank + 1) p,          none below one before it
    Benjamini and Hochberg (1995)  m p / rank,                none above one after it
    Benjamini and Yekutieli (2001) m p / rank sum_i 1 / i,    likewise: whatever the tests' dependence

Holm's bound the probability of any false discovery, the others' the share of discoveries that are false. A
p-value that is NaN is of no test, and stays NaN.
"""

from __future__ import annotations

import numpy as np

from polars_crowd.arrays import Floats, Ints


def holm(p: Floats) -> Floats:
    """Holm's.

    >>> holm(np.array([0.04, 0.01, 0.5])).tolist()
    [0.08, 0.03, 0.5]
    """
    order, ranks = ranked(p)
    return put_back(p, order, np.maximum.accumulate(p[order] * ranks[::-1]))


def benjamini_hochberg(p: Floats) -> Floats:
    """Benjamini and Hochberg's.

    >>> benjamini_hochberg(np.array([0.04, 0.01, 0.5])).round(3).tolist()
    [0.06, 0.03, 0.5]
    """
    order, ranks = ranked(p)
    scaled = p[order] * len(order) / ranks
    return put_back(p, order, np.minimum.accumulate(scaled[::-1])[::-1])


def benjamini_yekutieli(p: Floats) -> Floats:
    """Benjamini and Yekutieli's.

    >>> benjamini_yekutieli(np.array([0.01, np.nan, 0.02, 0.5])).round(4).tolist()
    [0.055, nan, 0.055, 0.9167]
    """
    m = np.count_nonzero(~np.isnan(p))
    return benjamini_hochberg(p * (1 / np.arange(1, m + 1)).sum())


def ranked(p: Floats) -> tuple[Ints, Ints]:
    """Where the p-values are in ascending order, and their ranks."""
    known = np.flatnonzero(~np.isnan(p))
    return known[np.argsort(p[known])], np.arange(1, len(known) + 1)


def put_back(p: Floats, order: Ints, corrected: Floats) -> Floats:
    """The corrected p-values, none above 1, in the places of the given ones."""
    found = p.copy()
    found[order] = np.minimum(corrected, 1)
    return found
