"""What arguments may be: each kind checked once, in words that name the argument and the value it has.

Arguments of public functions (`signatures.shares`, `signatures.checked`) are checked by their annotations,
and where one name means one thing in the whole package, by their names. What else a method asks of a number
is checked there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import OptionError, check_choice


def check_flag(name: str, value: Any) -> None:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise OptionError(name, value, "it must be True or False.")


def check_count(name: str, value: Any, least: int) -> None:
    """An integer of at least `least`."""
    if not _is_integer(value) or value < least:
        raise OptionError(name, value, f"it must be an integer of at least {least}.")


def check_positive(**values: Any) -> None:
    """Numbers above 0."""
    for name, value in values.items():
        check_number(name, value, 0.0, above=True)


def check_share(name: str, value: Any) -> None:
    """A number above 0 and below 1."""
    check_number(name, value, 0.0, above=True)
    if value >= 1:
        raise OptionError(name, value, "it must be below 1.")


def check_number(name: str, value: Any, least: float, *, above: bool = False) -> None:
    """A finite number of at least `least`, or above it."""
    fine = _is_number(value) and np.isfinite(value)
    if not fine or value < least or (above and value == least):
        bound = f"above {least:g}" if above else f"of at least {least:g}"
        raise OptionError(name, value, f"it must be a number {bound}.")


def check_text(name: str, value: Any) -> None:
    """A text, such as the name of a column."""
    if not isinstance(value, str):
        raise OptionError(name, value, "it must be a text.")


def check_list(name: str, value: Any, *, of_text: bool = False) -> None:
    """Several values in an order: a list, a tuple, a Series, an array; of texts, if they must be."""
    no_list = (str, bytes, AbstractSet, Mapping)
    if isinstance(value, no_list) or not hasattr(value, "__iter__") or np.ndim(value) == 0:
        raise OptionError(name, value, "it must be a list.")
    if of_text and not all(isinstance(one, str) for one in value):
        raise OptionError(name, list(value), "it must be a list of texts.")


def check_classes(classes: Any) -> None:
    """The classes in order, each of them once; or by the columns of pred_probs, which say more where
    they are read."""
    if isinstance(classes, (str, bytes, AbstractSet)) or not hasattr(classes, "__iter__"):
        raise OptionError("classes", classes, "it must be a list of the labels, in order.")
    listed = list(classes.values() if isinstance(classes, Mapping) else classes)
    if not listed or any(map(_is_no_class, listed)) or len(set(map(str, listed))) < len(listed):
        raise OptionError(
            "classes", listed, "it must list the labels, in order, each of them once."
        )


def _is_no_class(value: Any) -> bool:
    """Whether this is no label: null, NaN, or several values."""
    several = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
    return value is None or several or value != value


def numbers_of(name: str, value: Any) -> Floats:
    """Numbers in an array."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise OptionError(name, value, "it must be an array of numbers.") from None


def array_of(name: str, value: Any, n_dimensions: int) -> Floats:
    """Finite numbers in an array of so many dimensions."""
    found = numbers_of(name, value)
    if found.ndim != n_dimensions or not found.size:
        wrong = f"has the shape {found.shape}; it must have {n_dimensions} dimensions, and values."
        raise OptionError(name, ..., wrong)
    if not np.isfinite(found).all():
        raise OptionError(name, ..., "must hold finite numbers.")
    return found


def integers_of(name: str, value: Any, n_dimensions: int) -> Ints:
    """Integers in an array of so many dimensions."""
    found = array_of(name, value, n_dimensions)
    if (found != np.round(found)).any():
        raise OptionError(name, ..., "must hold integers.")
    return found.astype(np.int64)


def check_estimator(estimator: Any) -> None:
    """A classifier of scikit-learn that says probabilities."""
    if not all(hasattr(estimator, name) for name in ("fit", "predict_proba", "get_params")):
        wrong = "it must be a classifier of scikit-learn that has predict_proba."
        raise OptionError("estimator", estimator, wrong)


def check_range(name: str, bounds: Any) -> None:
    """Two probabilities, the lower one first."""
    low, high = array_of(name, bounds, 1).tolist() if np.size(bounds) == 2 else (1.0, 0.0)
    if not 0 <= low <= high <= 1:
        wrong = "it must be (low, high) with 0 <= low <= high <= 1."
        raise OptionError(name, bounds, wrong)


def check_place(name: str, place: Any) -> None:
    """A file or directory: a path that is not empty."""
    if not isinstance(place, (str, os.PathLike)) or not os.fspath(place):
        raise OptionError(name, place, "it must be a path.")


def check_places(name: str, places: Any) -> None:
    """A path, or a list of at least one."""
    listed = places if isinstance(places, (list, tuple)) else [places]
    for place in listed:
        check_place(name, place)
    if not listed:
        raise OptionError(name, places, "it names no file.")


LEAST = {
    **dict.fromkeys(("max_iter", "rounds", "size", "per_class", "n_labelled", "batch_size"), 1),
    "seed": 0,
    "n_boot": 2,
    "cv": 2,
}
"""Counts that are one thing wherever they are, and the least that each of them can be."""
SHARES = ("confidence", "level", "test_share")
"""Numbers that are shares wherever they are numbers."""


SINGLE = ("missing", "normalize", "consensus_method", "ties", "methods")
"""Lists for which a single value may stand."""


def check_option(name: str, value: Any, hint: Any) -> None:
    """What an argument is annotated with, and what its name says.

    What `consensus_method` may be is more than its annotation says, or less: who takes it says so.
    """
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if value is None and NoneType in kinds:
        return
    if name == "classes" and hint is not Any:
        check_classes(value)
    elif Path in kinds:
        check_place(name, value)
    elif get_origin(kinds[0]) is Literal and len({*kinds} - {NoneType}) == 1 and name not in SINGLE:
        check_choice(name, value, kinds[0])
    elif hint is bool:
        check_flag(name, value)
    elif int in kinds and str not in kinds:
        check_count(name, value, LEAST[name]) if name in LEAST else check_integer(name, value)
    elif hint is float:
        check_share(name, value) if name in SHARES else check_any_number(name, value)
    elif str in kinds and set(kinds) <= {str, NoneType}:
        check_text(name, value)
    elif any(get_origin(kind) is os.PathLike for kind in kinds):
        check_places(name, value)
    elif any(get_origin(kind) is Sequence for kind in kinds):
        _check_sequence(name, value, kinds)
    elif get_origin(kinds[0]) is Mapping and not isinstance(value, Mapping):
        raise OptionError(name, value, "it must be a dict.")


def _check_sequence(name: str, value: Any, kinds: Sequence[Any]) -> None:
    """A list, or what else there may be in its place."""
    if isinstance(value, Mapping) and any(get_origin(kind) is Mapping for kind in kinds):
        return
    if any(value is one for kind in kinds if get_origin(kind) is Literal for one in get_args(kind)):
        return
    if name not in SINGLE and not (str in kinds and isinstance(value, str)):
        check_list(name, value, of_text=Sequence[str] in kinds)


def check_options(given: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    """Arguments that were given, by their annotations; those that are text are not looked at."""
    for name, value in given.items():
        check_option(name, value, hints.get(name))


def check_integer(name: str, value: Any) -> None:
    """An integer."""
    if not _is_integer(value):
        raise OptionError(name, value, "it must be an integer.")


def check_any_number(name: str, value: Any) -> None:
    """A number."""
    if not _is_number(value) or value != value:
        raise OptionError(name, value, "it must be a number.")


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
