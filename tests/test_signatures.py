"""Shared options look, and are refused, like a function's own."""

from __future__ import annotations

import doctest
import inspect
import pickle
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypedDict, Unpack

import pytest

from polars_crowd.signatures import shares


@dataclass(frozen=True)
class Counting:
    """What counting can be asked for.

    Parameters
    ----------
    log
        Not this.
    classes
        The classes in order.
        All of them.
    seed
        Where random numbers start.
    tol
        When to stop.

    Raises
    ------
    ValueError
        Where it must.
    """

    classes: Sequence[str] | None = None
    seed: int = 0
    tol: float = 1e-6


class Seeded(TypedDict, total=False):
    seed: int


class Options(Seeded, total=False):
    classes: Sequence[str] | None
    tol: float


@shares(Options, Counting, tol=1e-3)
def count(log: Any, scale: int = 1, **options: Unpack[Options]) -> dict[str, Any]:
    """What was asked for.

    Parameters
    ----------
    log, scale
        A log, and
        more.
    tol
        The count's own.

    Returns
    -------
    dict

    Examples
    --------
    >>> count([])["tol"]
    0.001
    """
    return asdict(Counting(**options))


def test_the_signature_is_shown_in_full() -> None:
    assert str(inspect.signature(count)) == (
        "(log: Any, scale: int = 1, *, classes: collections.abc.Sequence[str] | None = None, seed: int = 0, "
        "tol: float = 0.001) -> dict[str, typing.Any]"
    )


def test_every_option_is_documented_once() -> None:
    parts = (inspect.getdoc(count) or "").split("\n\n")
    assert parts[1] == (
        "Parameters\n----------\nlog, scale\n    A log, and\n    more.\n"
        "classes\n    The classes in order.\n    All of them.\n"
        "seed\n    Where random numbers start.\ntol\n    The count's own."
    )
    assert [part.partition("\n")[0] for part in parts[1:]] == [
        "Parameters",
        "Returns",
        "Raises",
        "Examples",
    ]
    assert "classes" not in (inspect.unwrap(count).__doc__ or "")


def test_options_are_given_and_have_defaults() -> None:
    assert count([], seed=3) == {"classes": None, "seed": 3, "tol": 1e-3}
    assert count([], tol=0.5)["tol"] == 0.5


@pytest.mark.parametrize(
    ("unknown", "said"),
    [
        (
            "clases",
            r"count\(\) has no option 'clases'. Did you mean 'classes'\? It takes 'log', 'sca",
        ),
        (
            "zzz",
            r"count\(\) has no option 'zzz'. It takes 'log', 'scale', 'classes', 'seed', 'tol'.",
        ),
    ],
)
def test_unknown_options_are_refused_by_name(unknown: str, said: str) -> None:
    options: dict[str, Any] = {"seed": 1, unknown: 1}
    with pytest.raises(TypeError, match=said):
        count([], **options)


def test_it_is_a_function_of_its_module() -> None:
    assert inspect.isfunction(count)
    assert (count.__module__, count.__name__) == (__name__, "count")
    assert pickle.loads(pickle.dumps(count)) is count
    module = sys.modules[__name__]
    found = doctest.DocTestFinder().find(module, extraglobs={})
    assert any(test.name.endswith(".count") and test.examples for test in found)


class Counter:
    @shares(Seeded, Counting)
    def copy(self, **options: Unpack[Seeded]) -> Counter:
        """A method of a class that is not there yet."""
        Counting(**options)
        return self


def test_methods_of_classes() -> None:
    assert str(inspect.signature(Counter().copy)) == "(*, seed: int = 0) -> 'Counter'"
    wrong: dict[str, Any] = {"seeds": 1}
    with pytest.raises(TypeError, match=r"copy\(\) has no option 'seeds'. .* It takes 'seed'."):
        Counter().copy(**wrong)


def test_without_docstrings() -> None:
    def bare(log: Any, **options: Unpack[Seeded]) -> int:
        return Counting(**options).seed

    assert shares(Seeded, Counting)(bare).__doc__ is None
