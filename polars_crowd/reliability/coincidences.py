"""Which classes are taken for which: the coincidence matrix.

From the examples with n_i >= 2 annotations, n_ik of them of class k (Krippendorff 2004, chapter 11):

    observed  o_kl = sum_i n_ik (n_il - 1[k = l]) / (n_i - 1)        n_k = sum_l o_kl,    n = sum_k n_k
    expected  e_kl = n_k (n_l - 1[k = l]) / (n - 1)
    ratio          = o_kl / e_kl

o_kl counts the pairs of annotations of the same example, weighted so that those of an example add up to its
n_i. e_kl is what it would be were the same annotations dealt out at random. Off the diagonal a ratio of 1
says that two classes are told apart no better than by chance; nominal alpha is 1 - sum of o_kl / sum of
e_kl there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Unpack

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.compatible import HORIZONTAL
from polars_crowd.errors import counted
from polars_crowd.reliability.chance import ratio
from polars_crowd.reliability.gathering import gather
from polars_crowd.reliability.patterns import DENSE
from polars_crowd.reliability.registry import ALPHA
from polars_crowd.reliability.request import (
    ByOption,
    ClassesOption,
    MemoryOption,
    Reading,
    Request,
)
from polars_crowd.reliability.units import Units, pairs_in_blocks
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.signatures import shares

COLUMNS = ("label_1", "label_2", "observed", "expected", "ratio")
PER_CELL = 75
"""Bytes that a cell of a coincidence matrix takes, while the table is made."""


class OfCells(ByOption, ClassesOption, Reading, MemoryOption, total=False):
    """The options of the coincidence matrix."""


@shares(OfCells, Request)
def disagreements(log: Any, **options: Unpack[OfCells]) -> pl.DataFrame:
    """Which classes annotators disagree about: the coincidence matrix, in long form.

    o_kl = sum_i n_ik (n_il - 1[k = l]) / (n_i - 1) over the examples with two annotations or more, against
    what chance would give, e_kl = n_k (n_l - 1[k = l]) / (n - 1) (Krippendorff 2004, chapter 11).

    Returns
    -------
    DataFrame
        The columns of `by`; `label_1`, `label_2`, every pair of classes in class order, the same twice and
        in either order included (the matrix is symmetric); `observed` = o_kl, whose sum is the number of
        annotations on examples with two or more; `expected` = e_kl, of the same sum; `ratio` =
        observed / expected, below 1 off the diagonal where annotators tell two classes apart, null where
        nothing is expected.

    Raises
    ------
    AnnotationError
        The log cannot be used, has one annotator only, or too many classes to write out all pairs of; a group
        column is called like one of the result.

    Agrees with
    -----------
    The coincidence matrix printed in Krippendorff (2011), to its digits; 1 - sum of observed / sum of
    expected off the diagonal is `krippendorff_alpha`, to 1e-9.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> labels = {"ann": "xxyyz", "bob": "xyyyz", "cyd": "xyyzz"}
    >>> rows = [(e, a, k) for a, given in labels.items() for e, k in enumerate(given)]
    >>> log = pl.DataFrame(rows, schema=["example", "annotator", "label"], orient="row")
    >>> pc.disagreements(log).filter(pl.col("label_1") < pl.col("label_2")).sort("ratio", descending=True)
    shape: (3, 5)
    ┌─────────┬─────────┬──────────┬──────────┬───────┐
    │ label_1 ┆ label_2 ┆ observed ┆ expected ┆ ratio │
    │ ---     ┆ ---     ┆ ---      ┆ ---      ┆ ---   │
    │ str     ┆ str     ┆ f64      ┆ f64      ┆ f64   │
    ╞═════════╪═════════╪══════════╪══════════╪═══════╡
    │ x       ┆ y       ┆ 1.0      ┆ 2.0      ┆ 0.5   │
    │ y       ┆ z       ┆ 1.0      ┆ 2.0      ┆ 0.5   │
    │ x       ┆ z       ┆ 0.0      ┆ 1.142857 ┆ 0.0   │
    └─────────┴─────────┴──────────┴──────────┴───────┘
    """
    request = Request((ALPHA,), **options)
    rounds, grouping = request.open(log, COLUMNS)
    evidence = gather(rounds, grouping, request)
    check_size(rounds, evidence.n_groups)
    cells = _long(coincidence_matrix(evidence.units), evidence.groups, rounds.book.classes)
    return grouping.named(cells)


def check_size(rounds: Rounds, n_groups: int) -> None:
    """That the matrix of each group fits into memory."""
    K = rounds.n_classes
    of = counted(n_groups, "group")
    what = f"the coincidence matrix of {K:,} classes has {K**2:,} cells, which for {of} take"
    rounds.check_memory(
        n_groups * K**2 * PER_CELL, what, "Merge or round labels, or filter the log."
    )


# --- observed --------------------------------------------------------------------------------------


def coincidence_matrix(units: Units) -> Floats:
    """(G, K, K) o_kl."""
    G, K = units.n_groups, units.n_classes
    key, observed = sum_keys(coincidences(units), G * K**2)
    cells = np.zeros(G * K**2)
    cells[key] = observed
    upper: Floats = cells.reshape(G, K, K)
    return upper + upper.transpose(0, 2, 1) * (1 - np.eye(K))


def coincidences(units: Units) -> Iterator[tuple[Ints, Floats]]:
    """The cells k <= l of each unit, in blocks: (group, k, l) as one number, and its part of o_kl."""
    K, unit = units.n_classes, units.unit
    row = units.group[unit] * K + units.label
    part = units.votes * (units.times / np.maximum(units.n - 1, 1))[unit]
    yield row * K + units.label, part * (units.votes - 1)
    for i, j in pairs_in_blocks(units.lengths):
        yield row[i] * K + units.label[j], part[i] * units.votes[j]


def sum_keys(blocks: Iterator[tuple[Ints, Floats]], size: int) -> tuple[Ints, Floats]:
    """The distinct keys of all blocks, below `size`, and the sum of the values of each."""
    if size <= DENSE:
        sums, found = np.zeros(size), np.zeros(size, bool)
        for key, values in blocks:
            sums += np.bincount(key, values, size)
            found[key] = True
        return np.flatnonzero(found), sums[found]
    parts = [_summed(pl.DataFrame({"key": key, "sum": values})) for key, values in blocks]
    total = _summed(pl.concat(parts)).sort("key")
    return total["key"].to_numpy(), total["sum"].to_numpy()


def _summed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.group_by("key").agg(pl.col("sum").sum())


# --- expected --------------------------------------------------------------------------------------


def expected_coincidences(n: Floats) -> Floats:
    """(..., K) n_k -> (..., K, K) e_kl; 0 where there is no pair of annotations."""
    products = n[..., :, None] * n[..., None, :] - n[..., None] * np.eye(n.shape[-1])
    total = n.sum(axis=-1)[..., None, None]
    return products / np.where(total > 0, total - 1, 1)


def _long(observed: Floats, groups: pl.DataFrame, classes: pl.Series) -> pl.DataFrame:
    expected = expected_coincidences(observed.sum(axis=-1))
    group, k, j = (index.ravel() for index in np.indices(observed.shape))
    cells = pl.DataFrame(
        {
            "label_1": classes.gather(k),
            "label_2": classes.gather(j),
            "observed": observed.ravel(),
            "expected": expected.ravel(),
            "ratio": pl.Series(ratio(observed, expected).ravel()).fill_nan(None),
        }
    )
    return pl.concat([groups[group], cells], how=HORIZONTAL) if groups.width else cells
