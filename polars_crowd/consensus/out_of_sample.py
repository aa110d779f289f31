"""Out-of-sample probabilities of a scikit-learn classifier, by cross-validation that copes with rare classes.

The folds of each class are dealt out in turn after a shuffle, so that a class of at least as many examples as
there are folds is in every training set. Every class gets a column: one that a training set lacks has the
probability FLOOR, and so has any the model holds to be less likely; rows are then divided by their sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from polars_crowd.arrays import Floats, Ints

FLOOR = 1e-6


def folds(label: Ints, cv: int, rng: np.random.Generator) -> Ints:
    """The fold 0 .. cv-1 of each example.

    >>> folds(np.array([0, 0, 0, 0, 1, 1]), 2, np.random.default_rng(0)).reshape(3, 2).sum(axis=1).tolist()
    [1, 1, 1]
    """
    order = rng.permutation(len(label))
    order = order[np.argsort(label[order], kind="stable")]
    fold = np.empty(len(label), dtype=np.int64)
    fold[order] = np.arange(len(label)) % cv
    return fold


def fitted(estimator: Any, X: Floats, label: Ints, seed: int) -> Any:
    """A copy of the estimator, fitted; a random one gets the seed. None for labels of one class."""
    from sklearn.base import clone

    if (label == label[0]).all():
        return None
    model = clone(estimator)
    if "random_state" in model.get_params() and model.get_params()["random_state"] is None:
        model.set_params(random_state=seed)
    return model.fit(X, label)


def predicted(model: Any, X: Floats, label: Ints, n_classes: int) -> Floats:
    """Probabilities (N, K) by a model that was fitted to these labels."""
    p = np.zeros((len(X), n_classes))
    if model is None:
        p[:, label[0]] = 1
    else:
        p[:, model.classes_] = model.predict_proba(X)
    p = np.maximum(p, FLOOR)
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def cross_predicted(
    estimator: Any, X: Floats, label: Ints, n_classes: int, *, cv: int, seed: int
) -> Floats:
    """Probabilities (N, K) of each example by a model that has not seen it."""
    p = np.empty((len(X), n_classes))
    fold = folds(label, min(cv, len(X)), np.random.default_rng(seed))
    for out in np.unique(fold):
        held, rest = fold == out, fold != out
        model = fitted(estimator, X[rest], label[rest], seed)
        p[held] = predicted(model, X[held], label[rest], n_classes)
    return p
