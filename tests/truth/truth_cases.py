"""Logs, runs and oracles for the tests of truth inference."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

import polars_crowd as pc
from polars_crowd.truth.result import Answers, TruthInference
from tests.cases import accuracy as accuracy_of

Method = Callable[..., TruthInference]
R = TypeVar("R")


@contextmanager
def unwarned() -> Iterator[None]:
    """What small random logs are warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pc.AnnotationWarning)
        yield


def quiet(method: Callable[..., R], log: Any, *args: Any, **options: Any) -> R:
    """A fit without warnings."""
    with unwarned():
        return method(log, *args, **options)


def assert_never_lower(trace: pl.Series) -> None:
    """The objective of each iteration is that of the one before, or more."""
    gains = np.diff(trace.to_numpy())
    assert (gains >= -1e-8 * np.maximum(1, np.abs(trace.to_numpy()[1:]))).all(), gains.min()


def matrix(fit: Answers) -> NDArray[np.float64]:
    """The posterior as (examples x classes)."""
    posterior = fit.posterior.collect()
    return posterior["probability"].to_numpy().reshape(-1, len(fit.classes))


def accuracy(fit: Answers, truth: pl.DataFrame) -> float:
    """The share of the examples with truth whose label is right."""
    return accuracy_of(fit.examples, truth)


def confusions(fit: TruthInference) -> dict[Any, NDArray[np.float64]]:
    """theta[k,l] by annotator."""
    assert fit.confusion is not None
    K = len(fit.classes)
    return {
        annotator: rows["probability"].to_numpy().reshape(K, K)
        for (annotator,), rows in fit.confusion.group_by(["annotator"], maintain_order=True)
    }


def brute_force(
    fit: TruthInference, log: pl.DataFrame
) -> tuple[float, dict[Any, NDArray[np.float64]]]:
    """sum_i log P(labels of i), and P(truth | labels), by products over annotations, one by one."""
    theta, pi = confusions(fit), fit.class_prior["probability"].to_numpy()
    number = {label: k for k, label in enumerate(fit.classes)}
    evidence, posterior = 0.0, {}
    for (example,), rows in log.group_by(["example"]):
        joint = pi.copy()
        for annotator, label in rows.select("annotator", "label").iter_rows():
            joint *= theta[annotator][:, number[label]]
        evidence += np.log(joint.sum())
        posterior[example] = joint / joint.sum()
    return evidence, posterior


def every_pattern(n_annotators: int, n_classes: int) -> pl.DataFrame:
    """A log in which every way to label an example occurs once: perfectly balanced."""
    rows = [
        (e, a, label)
        for e, labels in enumerate(product(range(n_classes), repeat=n_annotators))
        for a, label in enumerate(labels)
    ]
    return pl.DataFrame(rows, schema=["example", "annotator", "label"], orient="row")
