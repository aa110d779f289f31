"""Mixing is the same, to the bit, for any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from polars_crowd.numerics import mixture
from polars_crowd.numerics.mixture import Mixture

THREADS = "polars_crowd.numerics.threads.pl.thread_pool_size"


def mixed() -> list[Any]:
    """All that is asked of a mixture of 60 examples of 3 classes."""
    rng = np.random.default_rng(0)
    n, K = 60, 3
    models = tuple(rng.dirichlet(np.ones(K), n) for _ in range(2))
    chosen = rng.random((n, K)) < 0.6
    chosen[:, 0] |= ~chosen.any(axis=1)
    example, label = (a.astype(np.uint32) for a in np.nonzero(chosen))
    weight = rng.random(len(example))
    q = Mixture(models, np.array([0.5, 0.7]), 0.1, 0.6, example, label, weight, K)
    share = weight / q.total[example]
    return [
        *(q.dense(), q.at_votes(), q.entropy(), *q.best(), *q.top_two(), *q.top_two(rng.random(K))),
        q.runner_up(example, label, rng.random((4, K)), (example % 4).astype(np.uint32)),
        *(mixture.top_class(models[0]), mixture.temper(models[0], 0.7)),
        mixture.cross_entropy(models[0], 0.7, example, label, share),
    ]


def test_mixing_by_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mixed()
    monkeypatch.setattr(mixture, "BLOCK_CELLS", 7)
    monkeypatch.setattr(mixture, "FEW", 7)
    found = []
    for n_threads in (1, 3):
        monkeypatch.setattr(THREADS, lambda: n_threads)  # noqa: B023
        found.append(mixed())
    for one, three, at_once in zip(*found, whole, strict=True):
        assert np.array_equal(one, three)
        assert np.allclose(one, at_once, atol=1e-15)
