"""What options may be: each kind checked once, in words that name the option and the value it has.

Options of functions that share some (`signatures.shares`) are checked by their annotations when they are
given; what else a method asks of a number is checked there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np

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


def check_classes(classes: Any) -> None:
    """The classes in order, each of them once; or by the columns of pred_probs, which say more where
    they are read."""
    if isinstance(classes, (str, bytes, AbstractSet)) or not hasattr(classes, "__iter__"):
        raise OptionError("classes", classes, "it must be a list of the labels, in order.")
    listed = list(classes.values() if isinstance(classes, Mapping) else classes)
    if not listed or None in listed or len(set(map(str, listed))) < len(listed):
        raise OptionError(
            "classes", listed, "it must list the labels, in order, each of them once."
        )


def check_place(name: str, place: Any) -> None:
    """A file or directory: a path that is not empty."""
    if not isinstance(place, (str, os.PathLike)) or not os.fspath(place):
        raise OptionError(name, place, "it must be a path.")


def check_option(name: str, value: Any, hint: Any) -> None:
    """What an option is annotated with; `classes` and `seed` are the same wherever they are.

    What `consensus_method` may be is more than its annotation says, or less: who takes it says so.
    """
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if value is None and NoneType in kinds:
        return
    if name == "classes" and value is not None:
        check_classes(value)
    elif Path in kinds:
        check_place(name, value)
    elif get_origin(hint) is Literal and name != "consensus_method":
        check_choice(name, value, hint)
    elif hint is bool:
        check_flag(name, value)
    elif name == "seed":
        check_count(name, value, 0)
    elif int in kinds and str not in kinds and not _is_integer(value):
        raise OptionError(name, value, "it must be an integer.")
    elif hint is float and not _is_number(value):
        raise OptionError(name, value, "it must be a number.")


def check_options(given: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    """Options that were given, by their annotations; those that are text are not looked at."""
    for name, value in given.items():
        check_option(name, value, hints.get(name))


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
