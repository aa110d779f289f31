"""Probabilities that were looked through say the same, to the bit, as those that are held."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polars_crowd.arrays import Probabilities
from polars_crowd.numerics import glance, mixture
from polars_crowd.numerics.glance import Glance, LookedThrough, Models
from polars_crowd.numerics.mixture import Mixture


def not_read() -> Any:
    raise AssertionError("the probabilities are read as a whole")


@st.composite
def held(draw: st.DrawFn, gains: st.SearchStrategy[float]) -> Mixture:
    """A mixture with a model whose probabilities are often equal."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, K = draw(st.integers(1, 30)), draw(st.integers(1, 6))
    p = rng.integers(0, draw(st.integers(1, 8)), (n, K)) / 8
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    chosen = rng.random((n, K)) < draw(st.sampled_from([0.2, 0.7]))
    chosen[np.arange(n), rng.integers(0, K, n)] = True
    example, label = (a.astype(np.uint32) for a in np.nonzero(chosen))
    weight = rng.integers(1, 5, len(example)) / 4
    model_weight = np.array([draw(st.sampled_from([1e-6, 0.5, 1.0]))])
    model = (p.astype(dtype),)
    return Mixture(model, model_weight, 0.1, draw(gains), example, label, weight, K)


def looked_through(q: Mixture, together: int, read: Any = not_read) -> Models:
    """Its model, looked through."""
    (p,) = q.models
    K = p.shape[1]
    groups = (partial(columns, p[:, k : k + together]) for k in range(0, K, together))
    return LookedThrough(Glance.through(groups, q.example, q.label, p.shape, p.dtype), read)


def columns(p: Probabilities, block: slice) -> list[Probabilities]:
    return [*p[block].T]


@given(held(st.sampled_from([0.25, 0.5])), st.integers(1, 3), st.integers(1, 40))
def test_what_is_asked_of_labels(q: Mixture, together: int, rows: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(glance, "ROWS", rows)
        models = looked_through(q, together)
    r = replace(q, models=models)
    assert np.array_equal(q.at_votes(), r.at_votes())
    (label, tied), (again, also_tied) = q.best(), r.best()
    assert np.array_equal(tied, also_tied)
    assert np.array_equal(label[~tied], again[~tied])
    first_votes = q.label[np.unique(q.example, return_index=True)[1]]
    for asked in (np.where(tied, first_votes, label), first_votes):
        assert np.array_equal(q.at(asked), r.at(asked))
    assert np.array_equal(mixture.top_class(q.models[0]), mixture.top_classes(models)[0])
    votes = np.arange(len(q.label))[::-2]
    at = q.example[votes], q.label[votes]
    assert np.array_equal(mixture.at_votes(q.models, *at), mixture.at_votes(models, *at))


@given(held(st.sampled_from([0.0, -0.25, 1e-13])))
def test_what_takes_all_probabilities(q: Mixture) -> None:
    models = looked_through(q, 1, lambda: q.models[0])
    r = replace(q, models=models)
    assert len(models) == 1
    other = (q.best()[0] + np.uint32(1)) % np.uint32(q.n_classes)
    pairs = [(q.best(), r.best()), (q.top_two(), r.top_two())]
    pairs += [((q.at(other), q.dense()), (r.at(other), r.dense()))]
    assert all(
        np.array_equal(a, b) for held, read in pairs for a, b in zip(held, read, strict=True)
    )
