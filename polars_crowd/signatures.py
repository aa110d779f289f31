"""Options that many functions share: written once, shown by each function in full.

A function names the options it shares by a TypedDict, which is what type checkers read; their defaults are
those of a dataclass, and the words about them stand in its docstring, an entry each:

    @dataclass(frozen=True)
    class Counting:
        '''What counting can be asked for.

        n_boot
            The number of replicates.
        '''

        n_boot: int = 2000

    class Options(TypedDict, total=False):
        n_boot: int

    @shares(Options, Counting)
    def counted(log: Any, *, weights: Any = None, **options: Unpack[Options]) -> Counts: ...

`help(counted)`, completion and `inspect.signature` show `n_boot=2000` like an option of the function's own,
its docstring documents it, and an option that there is not is refused by its name.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import update_wrapper
from inspect import Parameter, Signature
from types import FunctionType
from typing import Any, TypeVar, get_type_hints

from polars_crowd.errors import shown

F = TypeVar("F", bound=Callable[..., Any])

PARAMETERS = "Parameters\n----------\n"
NEXT_SECTION = re.compile(r"\n\n(?=\w[\w ]*\n-{3,}\n)")
ENTRY = re.compile(r"^(\w[\w*, ]*)\n((?: {4}.+(?:\n|$))+)", re.MULTILINE)
"""The names of an entry of a docstring, and its indented lines."""


def shares(options: type, defaults: type, **of_its_own: Any) -> Callable[[F], F]:
    """A decorator for functions that end in `**options: Unpack[...]` of a TypedDict.

    Defaults and words are those of the dataclass `defaults`; `of_its_own` are defaults that the function has
    instead, and it gets them like options that were given. An entry in the function's own docstring stands
    for the shared one.
    """

    def decorate(function: F) -> F:
        hints = get_type_hints(options)
        values = {name: of_its_own.get(name, getattr(defaults, name)) for name in hints}
        signature = in_full(inspect.signature(function, eval_str=True), hints, values)
        refuse = refusal(function.__name__, signature)
        known = frozenset(signature.parameters)

        def call(*args: Any, **given: Any) -> Any:
            if not known.issuperset(given):
                raise refuse(given)
            return function(*args, **{**of_its_own, **given})

        shown_as: Any = in_module_of(function, call)
        shown_as.__signature__ = signature
        shown_as.__doc__ = completed(function.__doc__, defaults.__doc__, list(hints))
        return shown_as  # type: ignore[no-any-return]

    return decorate


def in_module_of(function: Callable[..., Any], call: Any) -> Callable[..., Any]:
    """`call` as a function of the module of `function`: there doctest looks for it, and pickle."""
    moved = FunctionType(call.__code__, function.__globals__, closure=call.__closure__)
    return update_wrapper(moved, function)


# --- signatures ------------------------------------------------------------------------------------


def in_full(signature: Signature, hints: Mapping[str, Any], values: Mapping[str, Any]) -> Signature:
    """The signature with the shared options in the place of `**options`."""
    own = [p for p in signature.parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    shared = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=values[name], annotation=hint)
        for name, hint in hints.items()
    ]
    return signature.replace(parameters=[*own, *shared])


def refusal(name: str, signature: Signature) -> Callable[[Mapping[str, Any]], TypeError]:
    """What makes the error for options among which are some that the function does not have."""

    def refuse(given: Mapping[str, Any]) -> TypeError:
        known = list(signature.parameters)
        unknown = next(option for option in given if option not in known)
        near = get_close_matches(unknown, known)
        meant = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
        return TypeError(
            f"{name}() has no option {unknown!r}.{meant} It takes {shown(known, limit=30)}."
        )

    return refuse


# --- docstrings ------------------------------------------------------------------------------------


def completed(doc: str | None, words: str | None, names: list[str]) -> str | None:
    """A docstring with the entries of shared options behind those of its own; None without docstrings.

    >>> own = "Parameters\\n----------\\nlog\\n    A log."
    >>> print(completed(own, "Options.\\n\\nseed\\n    Of random numbers.\\n", ["seed"]))
    Parameters
    ----------
    log
        A log.
    seed
        Of random numbers.
    """
    if not doc or not words:
        return doc
    head, title, rest = inspect.cleandoc(doc).partition(PARAMETERS)
    own, *after = NEXT_SECTION.split(rest, maxsplit=1)
    said, shared = entries(own), entries(inspect.cleandoc(words))
    missing = [f"{name}\n{shared[name]}" for name in names if name not in said]
    return "\n\n".join(["\n".join([head + title + own, *missing]), *after])


def entries(text: str) -> dict[str, str]:
    """The lines about each name."""
    return {
        name: found[2].rstrip() for found in ENTRY.finditer(text) for name in found[1].split(", ")
    }
