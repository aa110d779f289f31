"""Random wide logs for the functions of cleanlab, and how cleanlab breaks ties."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

NAN = np.nan
TOLERANCE = 1e-9


ROUNDING = 1e-12
"""Numbers closer than this are ordered by rounding."""


few = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


no_agreement_is_fine = pytest.mark.filterwarnings("ignore:Annotators do not agree:UserWarning")


@dataclass(frozen=True)
class Case:
    """A wide log and the probabilities of some models."""

    matrix: NDArray[Any]
    labels: Any
    """The matrix, as itself or as a frame."""
    pred_probs: NDArray[Any]

    @property
    def tolerance(self) -> float:
        """cleanlab computes in float32 where it is given float32."""
        return TOLERANCE if self.pred_probs.dtype == np.float64 else 1e-5


def matrices() -> st.SearchStrategy[NDArray[Any]]:
    """Ragged float matrices; every row and column has a label, and some rows have several."""

    @st.composite
    def draw_matrix(draw: st.DrawFn) -> NDArray[Any]:
        n_examples, n_annotators = draw(st.integers(1, 12)), draw(st.integers(2, 5))
        classes = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True))
        missing = draw(st.sampled_from([0, 1, 3]))
        entry = st.sampled_from([*classes, *[NAN] * missing * len(classes)])
        row = st.lists(entry, min_size=n_annotators, max_size=n_annotators)
        matrix = np.array(draw(st.lists(row, min_size=n_examples, max_size=n_examples)), float)
        labelled = ~np.isnan(matrix)
        kept: NDArray[Any] = matrix[labelled.any(axis=1)][:, labelled.any(axis=0)]
        assume(kept.shape[1] > 1 and ((~np.isnan(kept)).sum(axis=1) > 1).any())
        return kept

    return draw_matrix()


def as_frame(matrix: NDArray[Any]) -> pd.DataFrame:
    n_examples, n_annotators = matrix.shape
    index = pd.Index([f"task {3 * i}" for i in range(n_examples)], name="task")
    return pd.DataFrame(matrix, index=index, columns=[f"anno_{j}" for j in range(n_annotators)])


def model(rng: np.random.Generator, n_examples: int, n_classes: int) -> NDArray[Any]:
    """Probabilities no two of which are close, more or less sure of themselves."""
    ranks = rng.permuted(np.tile(np.arange(1.0, n_classes + 1), (n_examples, 1)), axis=1)
    odds = (ranks + rng.uniform(0, 0.4, ranks.shape)) ** rng.choice([0.5, 1, 1.5])
    probs: NDArray[Any] = odds / odds.sum(axis=1, keepdims=True)
    return probs


@st.composite
def cases(draw: st.DrawFn, n_models: int | None = None) -> Case:
    """A wide log with one model's pred_probs, (N, K), or with those of several, (P, N, K)."""
    matrix = draw(matrices())
    n_classes = max(2, int(np.nanmax(matrix)) + 1 + draw(st.integers(0, 1)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    models = [model(rng, len(matrix), n_classes) for _ in range(n_models or 1)]
    pred_probs = np.array(models) if n_models else models[0]
    if draw(st.booleans()):
        pred_probs = pred_probs.astype(draw(st.sampled_from([np.float64, np.float32])))
    if not np.isnan(matrix).any() and draw(st.booleans()):
        matrix = matrix.astype(np.int64)
    return Case(matrix, draw(st.sampled_from([matrix, as_frame(matrix)])), pred_probs)


def worst_class_key(
    labels: NDArray[Any], label_quality: pd.DataFrame, label: Any
) -> tuple[float, int, float]:
    """By what an annotator's class is the worst: agreement, annotations, mean consensus quality."""
    there = labels == label
    right = label_quality["consensus_label"].to_numpy()[there] == label
    quality = label_quality["consensus_quality_score"].to_numpy()[there]
    return right.mean(), int(there.sum()), quality.mean()


@contextmanager
def first_for_random() -> Iterator[None]:
    """cleanlab takes the first of the tied classes where it would draw one."""
    with (
        mock.patch("numpy.random.choice", side_effect=lambda tied: tied[0]),
        mock.patch("cleanlab.multiannotator.warnings.warn"),
    ):
        yield


def vote_counts(matrix: NDArray[Any]) -> NDArray[Any]:
    classes = np.arange(int(np.nanmax(matrix)) + 1)
    counts: NDArray[Any] = (matrix[:, :, None] == classes).sum(axis=1)
    return counts


def tie_break_key(matrix: NDArray[Any], example: int, label: int) -> tuple[int, int, float]:
    """By what a class wins a vote without a model: its votes, its rarity, its annotators' agreement."""
    counts = vote_counts(matrix)
    clear = (counts == counts.max(axis=1, keepdims=True)).sum(axis=1) == 1
    votes, winners = matrix[clear], counts[clear].argmax(axis=1)[:, None]
    judged = (~np.isnan(votes)).sum(axis=0)
    agreement = np.where(judged, (votes == winners).sum(axis=0) / np.maximum(judged, 1), NAN)
    agreement[np.isnan(agreement)] = np.nanmean(agreement)
    return (
        counts[example, label],
        -counts[:, label].sum(),
        agreement[matrix[example] == label].mean(),
    )
