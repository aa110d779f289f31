"""What can be asked of a simulation, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from polars_crowd.arrays import Floats, Ints
from polars_crowd.option_checks import check_any_number, numbers_of

Classes = Sequence[str] | Sequence[int]

SUM_TOLERANCE = 1e-6


def fail(name: str, value: object, bound: str, remedy: str) -> NoReturn:
    raise ValueError(f"{name} is {value}, must be {bound}: {remedy}.")


def check_count(name: str, value: int, low: int, remedy: str) -> None:
    if value < low:
        fail(name, value, f"a whole number, at least {low}", remedy)


def check_within(name: str, value: float, low: float, high: float, remedy: str) -> None:
    check_any_number(name, value)
    if not low <= value <= high:
        fail(name, value, f"between {low} and {high}", remedy)


def check_noise_rates(K: int, n_zero: int, min_rate: float, max_rate: float) -> None:
    """At most 1 in each of the K columns."""
    check_within("max_noise_rate", max_rate, 0, 1, "give the bound of a probability")
    high = min(max_rate, K / max(K * (K - 1) - n_zero, 1))
    check_within("min_noise_rate", min_rate, 0, high, "lower it or raise max_noise_rate")


def check_trace(
    K: int, n_zero: int, trace: float, min_rate: float, max_rate: float, valid: bool
) -> None:
    """The noise rates that are not zero must sum to ``K - trace``."""
    check_within("trace", trace, 0, K, "give the sum of the diagonal, K times the mean accuracy")
    if valid and trace <= 1:
        fail("trace", trace, "above 1", "raise it, as no class is learnable, or pass valid=False")
    n_rates = K * (K - 1) - n_zero
    low, high = K - n_rates * max_rate, K - n_rates * min_rate
    if not low - SUM_TOLERANCE <= trace <= high + SUM_TOLERANCE:
        rates = f"{n_rates} noise rates between {min_rate:g} and {max_rate:g}"
        bound = f"between {max(low, 0):g} and {high:g} with {rates}"
        fail("trace", trace, bound, "change trace, the bounds or frac_zero_noise_rates")


def check_probabilities(name: str, P: Floats, axis: int, what: str) -> None:
    """Entries in [0, 1] that sum to 1 along the axis."""
    if not np.all((P >= 0) & (P <= 1 + SUM_TOLERANCE)):
        entry = P[~((P >= 0) & (P <= 1 + SUM_TOLERANCE))][0]
        fail(name, f"{entry} in an entry", "between 0 and 1", "give probabilities")
    sums = P.sum(axis=axis).ravel()
    worst = sums[np.argmax(np.abs(sums - 1))]
    if abs(worst - 1) > SUM_TOLERANCE:
        bound = f"1 within {SUM_TOLERANCE:g} over the {what}"
        fail(f"the sum of {name}", f"{worst:g}", bound, f"divide the {what} by their sums")


def checked_prior(name: str, prior: ArrayLike | None, K: int) -> Floats:
    """Class probabilities that sum to 1 exactly; uniform if not given."""
    if prior is None:
        return np.full(K, 1 / K)
    P = numbers_of(name, prior)
    if P.shape != (K,):
        fail(name, f"of shape {P.shape}", f"of shape ({K},)", "give one probability per class")
    check_probabilities(name, P, axis=0, what="classes")
    return np.asarray(P / P.sum())


def checked_codes(truth: ArrayLike, K: int) -> Ints:
    codes = np.asarray(truth)
    if codes.ndim != 1 or (codes.size and not np.issubdtype(codes.dtype, np.integer)):
        found = f"of shape {codes.shape} and type {codes.dtype}"
        fail("truth", found, "a vector of integers", "encode the classes as 0..K-1")
    for extreme in (codes.min(initial=0), codes.max(initial=0)):
        check_within("truth", extreme, 0, K - 1, "encode the classes as 0..K-1")
    return np.asarray(codes, dtype=np.int64)


def checked_confusion(confusion: ArrayLike, M: int, K: int) -> Floats:
    """Matrices of shape (M, K, K) with rows that sum to 1."""
    C = numbers_of("confusion", confusion)
    if C.shape not in {(K, K), (M, K, K)}:
        bound = f"of shape ({K}, {K}) or ({M}, {K}, {K})"
        fail("confusion", f"of shape {C.shape}", bound, "give one matrix, or one per annotator")
    check_probabilities("confusion", C, axis=-1, what="rows (truth)")
    return np.broadcast_to(C, (M, K, K))


def checked_range(name: str, bounds: Sequence[float]) -> tuple[float, float]:
    if len(bounds) != 2 or not 0 <= bounds[0] <= bounds[1] <= 1:
        fail(name, tuple(bounds), "(low, high) with 0 <= low <= high <= 1", "give two bounds")
    return bounds[0], bounds[1]


def check_annotations_per_example(per: float, ragged: bool, M: int) -> None:
    bound = f"between 1 and n_annotators = {M}"
    if not 1 <= per <= M:
        fail("annotations_per_example", per, bound, "ask for fewer, or for more annotators")
    if not ragged and per != int(per):
        fail("annotations_per_example", per, "whole", "pass ragged=True for a mean")


def check_model(accuracy: float, temperature: float, K: int) -> None:
    if not 1 / K <= accuracy < 1:
        bound = f"at least 1/{K} and below 1"
        fail("model_accuracy", accuracy, bound, "1/K is a model that knows nothing")
    if not 0 < temperature < np.inf:
        fail("model_temperature", temperature, "positive and finite", "1 is calibrated")


def kind_counts(adversaries: float, spammers: float, M: int) -> tuple[int, int]:
    """Numbers of adversaries and spammers among M annotators."""
    counts = kind_count("adversaries", adversaries, M), kind_count("spammers", spammers, M)
    if sum(counts) > M:
        bound = f"at most n_annotators = {M}"
        fail("adversaries + spammers", sum(counts), bound, "ask for fewer of them")
    return counts


def kind_count(name: str, wanted: float, M: int) -> int:
    if isinstance(wanted, float | np.floating):
        check_within(name, wanted, 0, 1, "give a share as a float or a number as an int")
        return round(wanted * M)
    check_within(name, wanted, 0, M, "give a number of annotators as an int or a share as a float")
    return wanted


def class_labels(
    n_classes: int | None,
    classes: Classes | None,
    confusion: ArrayLike | None,
    class_prior: ArrayLike | None,
) -> pl.Series:
    """The labels in the order of the classes: the names, or 0..K-1."""
    if classes is None:
        K = counted_classes(n_classes, confusion, class_prior)
        check_count("n_classes", K, 2, "ask for two classes or more")
        return pl.Series("label", np.arange(K))
    if n_classes is not None:
        fail("n_classes", n_classes, "left out with classes", "give one of the two")
    return named_labels(classes)


def counted_classes(
    n_classes: int | None, confusion: ArrayLike | None, class_prior: ArrayLike | None
) -> int:
    if n_classes is not None:
        return n_classes
    given: list[NDArray[Any]] = [np.asarray(x) for x in (confusion, class_prior) if x is not None]
    return given[0].shape[-1] if given and given[0].ndim else 3


def named_labels(classes: Classes) -> pl.Series:
    remedy = "give a list of names"
    if isinstance(classes, str) or len(set(classes)) != len(classes) or len(classes) < 2:
        fail("classes", repr(classes), "two or more distinct labels", remedy)
    if "example" in set(classes):
        fail("classes", repr(classes), "without 'example', a column of pred_probs", remedy)
    return pl.Series("label", classes)


def generator(seed: int) -> Generator:
    check_count("seed", seed, 0, "give a seed that is not negative")
    return np.random.default_rng(seed)
