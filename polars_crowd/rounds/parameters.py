"""The parameters of a fit as a frame, and back: what an explanation needs of results that are opened again.

A fit's parameters are dataclasses of this package, of arrays, frames and plain values. They are kept as a
tree of names in JSON, and beside it each array and frame as bytes: `_name`, `_bytes`. What is read makes
dataclasses of this package and nothing else: no code is run that was not here before.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from io import BytesIO
from types import FunctionType
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.errors import StoreError
from polars_crowd.runs.codes import Codebook

TREE = "tree"
OURS = "polars_crowd."
Tree = Any
"""Of JSON."""


@dataclass(frozen=True)
class Kept:
    """What the posterior of an example is made of, but for its annotations and the models' probabilities."""

    source: Any
    """A fit's own parameters."""
    book: Codebook
    n_models: int
    temperatures: tuple[float, ...] | None = None
    """Of the models' probabilities, where they were calibrated before the fit."""


def as_frame(kept: Kept) -> pl.DataFrame:
    """`_name`, `_bytes`: the tree, and what it refers to by number."""
    parts: list[bytes] = []
    tree = json.dumps(frozen(kept, parts)).encode()
    names = [TREE, *map(str, range(len(parts)))]
    return pl.DataFrame({"_name": names, "_bytes": [tree, *parts]})


def of_frame(frame: pl.DataFrame, where: str) -> Kept:
    """The parameters again.

    Raises
    ------
    StoreError
        They are of another version.
    """
    parts = dict(zip(frame["_name"].to_list(), frame["_bytes"].to_list(), strict=True))
    try:
        found = thawed(json.loads(parts[TREE]), parts)
        assert isinstance(found, Kept)
    except Exception as error:
        raise StoreError(
            f"{where}: the parameters of the fit were written by another version of this library, and "
            f"cannot be read ({error}).",
            "Run again, or explain the fit itself.",
        ) from error
    return found


# --- from values to a tree --------------------------------------------------------------------------


def frozen(value: Any, parts: list[bytes]) -> Tree:
    """A value as JSON; arrays and frames go to `parts`."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.ndarray, pl.Series, pl.DataFrame)):
        kind, write = next(WRITERS[kind] for kind in WRITERS if isinstance(value, kind))
        buffer = BytesIO()
        write(value, buffer)
        parts.append(buffer.getvalue())
        return {kind: len(parts) - 1}
    if isinstance(value, (tuple, list)):
        return {"values": [frozen(one, parts) for one in value]}
    if isinstance(value, FunctionType):
        return {"function": name_of(value)}
    assert is_dataclass(value), f"{type(value)} is no parameter"
    own = {f.name: frozen(getattr(value, f.name), parts) for f in fields(value)}
    return {"of": name_of(type(value)), "fields": own}


WRITERS: dict[type, tuple[str, Callable[[Any, BytesIO], Any]]] = {
    np.ndarray: ("array", lambda array, to: np.save(to, array, allow_pickle=False)),
    pl.Series: ("series", lambda series, to: series.to_frame().write_ipc(to)),
    pl.DataFrame: ("frame", lambda frame, to: frame.write_ipc(to)),
}


def name_of(of_ours: Any) -> str:
    """Where a class or a function of this package is found."""
    return f"{of_ours.__module__}:{of_ours.__qualname__}"


# --- and back ---------------------------------------------------------------------------------------


def thawed(tree: Tree, parts: dict[str, bytes]) -> Any:
    """The value of a tree."""
    if not isinstance(tree, dict):
        return tree
    (kind, of), *_ = tree.items()
    if kind == "values":
        return tuple(thawed(one, parts) for one in of)
    if kind == "function":
        return named(of, lambda found: isinstance(found, FunctionType))
    if kind == "of":
        own = {name: thawed(value, parts) for name, value in tree["fields"].items()}
        return named(of, is_dataclass)(**own)
    data = BytesIO(parts[str(of)])
    if kind == "array":
        return np.load(data, allow_pickle=False)
    frame = pl.read_ipc(data)
    return frame if kind == "frame" else frame.to_series()


def named(name: str, is_right: Callable[[Any], bool]) -> Any:
    """A class or a function of this package by its name."""
    module, _, own = name.partition(":")
    if not module.startswith(OURS):
        raise ValueError(f"{module} is not of this package")
    found = getattr(import_module(module), own)
    if not is_right(found):
        raise ValueError(f"{name} is not what it was")
    return found
