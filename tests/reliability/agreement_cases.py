"""Random logs for agreement, and its definitions written out example by example, pair by pair."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests import DATA, cases

AGREEMENT_DATA = DATA / "agreement"
Matrix = NDArray[np.int64]


def published(name: str) -> pl.DataFrame:
    return pl.read_parquet(AGREEMENT_DATA / f"{name}.parquet")


def matrix_of(log: pl.DataFrame) -> NDArray[np.float64]:
    """(examples, annotators), NaN where not labelled."""
    wide = log.with_columns(pl.col("label").cast(pl.Float64)).pivot(
        "annotator", index="example", values="label"
    )
    return wide.drop("example").to_numpy()


def of(frame: pl.DataFrame, column: str = "value") -> float:
    """A number of the first row, NaN for a null."""
    found = frame[column][0]
    return float("nan") if found is None else float(found)


def log_of(labels: Matrix) -> pl.DataFrame:
    """The log of a (examples x annotators) matrix of class numbers, -1 where not labelled."""
    return cases.log_of(labels).with_columns(
        pl.format("a{}", pl.col("annotator").cast(pl.String).str.zfill(2)).alias("annotator")
    )


@st.composite
def matrices(
    draw: st.DrawFn,
    *,
    max_examples: int = 14,
    min_annotators: int = 2,
    max_annotators: int = 6,
    max_classes: int = 4,
    gaps: bool = True,
) -> Matrix:
    """Class numbers, -1 where not labelled: at least two annotators, and two labels on some example."""
    n = draw(st.integers(2, max_examples))
    m = draw(st.integers(min_annotators, max_annotators))
    k = draw(st.integers(2, max_classes))
    cell = st.integers(-1 if gaps else 0, k - 1)
    rows = st.lists(st.lists(cell, min_size=m, max_size=m), min_size=n, max_size=n)
    labels = np.array(draw(rows))
    labels[0] = np.maximum(labels[0], 0)
    return labels


def two_classes(labels: Matrix) -> bool:
    """Whether two classes are used on examples with two annotations or more."""
    pairable = labels[(labels >= 0).sum(axis=1) > 1]
    return len(np.unique(pairable[pairable >= 0])) > 1


# --- definitions -----------------------------------------------------------------------------------


def lists(labels: Matrix) -> list[list[int]]:
    """The labels of each example that has any."""
    found = [[int(k) for k in row if k >= 0] for row in labels]
    return [row for row in found if row]


def observed(labels: Matrix, w: NDArray[np.float64]) -> float:
    """p_a: the mean over examples of the mean weight of its ordered pairs."""
    means = [
        np.mean([w[k, j] for k, j in permutations(row, 2)]) for row in lists(labels) if len(row) > 1
    ]
    return float(np.mean(means))


def shares(labels: Matrix, K: int) -> NDArray[np.float64]:
    rows = lists(labels)
    found = np.array([[row.count(k) / len(row) for k in range(K)] for row in rows])
    return np.asarray(found.mean(axis=0))


def chance(name: str, labels: Matrix, w: NDArray[np.float64]) -> float:
    """p_e."""
    K = len(w)
    p = shares(labels, K)
    if name == "percent_agreement":
        return 0.0
    if name == "brennan_prediger":
        return float(w.mean())
    if name == "fleiss_kappa":
        return float(p @ w @ p)
    if name in ("gwet_ac1", "gwet_ac2"):
        return float(w.sum() * (p * (1 - p)).sum() / (K * (K - 1)))
    own = [[(c == k).sum() / (c >= 0).sum() for k in range(K)] for c in labels.T if (c >= 0).any()]
    return float(np.mean([np.array(a) @ w @ np.array(b) for a, b in combinations(own, 2)]))


def coefficient(name: str, labels: Matrix, w: NDArray[np.float64]) -> float:
    p_a, p_e = observed(labels, w), chance(name, labels, w)
    return (p_a - p_e) / (1 - p_e) if p_e < 1 - 1e-12 else float("nan")


def cohen(one: Matrix, other: Matrix, w: NDArray[np.float64]) -> float:
    both = (one >= 0) & (other >= 0)
    if not both.any():
        return float("nan")
    a, b = one[both], other[both]
    p_o = np.mean([w[k, j] for k, j in zip(a, b, strict=True)])
    p_e = np.mean([[w[k, j] for j in b] for k in a])
    return float((p_o - p_e) / (1 - p_e)) if p_e < 1 - 1e-12 else float("nan")


def light(labels: Matrix, w: NDArray[np.float64]) -> float:
    found = [cohen(a, b, w) for a, b in combinations(labels.T, 2)]
    defined = [kappa for kappa in found if not np.isnan(kappa)]
    return float(np.mean(defined)) if defined else float("nan")


def distance(level: str, values: NDArray[np.float64], pairable: list[int]) -> NDArray[Any]:
    """Krippendorff's metric, as he writes it."""
    K = len(values)
    counts = [pairable.count(k) for k in range(K)]
    d = np.zeros((K, K))
    for k, j in permutations(range(K), 2):
        low, high = min(k, j), max(k, j)
        between = sum(counts[low : high + 1]) - (counts[low] + counts[high]) / 2
        total = values[k] + values[j]
        d[k, j] = {
            "nominal": 1.0,
            "ordinal": between**2,
            "interval": (values[k] - values[j]) ** 2,
            "ratio": ((values[k] - values[j]) / total) ** 2 if total else 0.0,
        }[level]
    return d


def alpha(labels: Matrix, level: str, values: NDArray[np.float64]) -> float:
    """1 - D_o / D_e over all ordered pairs."""
    rows = [row for row in lists(labels) if len(row) > 1]
    everything = [k for row in rows for k in row]
    d, n = distance(level, values, everything), len(everything)
    D_o = sum(sum(d[k, j] for k, j in permutations(row, 2)) / (len(row) - 1) for row in rows) / n
    D_e = sum(d[k, j] for k, j in permutations(everything, 2)) / (n * (n - 1))
    return float(1 - D_o / D_e)


def looped(labels: NDArray[np.int64], K: int) -> NDArray[np.float64]:
    """The coincidence matrix by its definition: every ordered pair of annotations of each example."""
    observed = np.zeros((K, K))
    for row in labels:
        given_labels = row[row >= 0]
        for k, j in permutations(given_labels, 2):
            observed[k, j] += 1 / (len(given_labels) - 1)
    return observed


def krippendorff_2011() -> pl.DataFrame:
    """Four observers, twelve units, some missing: the worked example of Krippendorff (2011), part C."""
    given_labels = ["123321412***", "1233224125**", "*33323422513", "12332441251*"]
    rows = [
        (unit, observer, int(value))
        for observer, values in enumerate(given_labels)
        for unit, value in enumerate(values)
        if value != "*"
    ]
    return pl.DataFrame(rows, schema=["example", "annotator", "label"], orient="row")
