"""Which nodes of a graph are joined by its edges, directly or through others."""

from __future__ import annotations

import numpy as np

from polars_crowd.arrays import Ints


def roots(some: Ints, others: Ints, size: int) -> Ints:
    """(size,) the smallest node that each is joined with, by the edges from `some` to `others`.

    >>> import numpy as np
    >>> roots(np.array([3, 1]), np.array([1, 2]), 5)
    array([0, 1, 1, 1, 4])
    """
    root = np.arange(size)
    while True:
        a, b = root[some], root[others]
        apart = a != b
        if not apart.any():
            return root
        some, others = some[apart], others[apart]  # those that are joined stay so
        high, low = np.maximum(a, b)[apart], np.minimum(a, b)[apart]
        np.minimum.at(root, high, low)
        while (root != root[root]).any():
            root = root[root]
