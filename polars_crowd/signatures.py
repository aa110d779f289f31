"""Options that many functions share: written once, shown by each function in full.

A function names the options it shares by a TypedDict, which is what type checkers read. Their defaults are
those of a dataclass, and the words about them stand in its docstring, which may also say what all these
functions raise and warn of:

    @dataclass(frozen=True)
    class Counting:
        '''What counting can be asked for.

        Parameters
        ----------
        log
            The annotations.
        n_boot
            The number of replicates.
        '''

        n_boot: int = 2000

    class Options(TypedDict, total=False):
        n_boot: int

    @shares(Options, Counting)
    def counted(log: Any, *, weights: Any = None, **options: Unpack[Options]) -> Counts: ...

`help(counted)`, completion and `inspect.signature` show `n_boot=2000` like an option of the function's own,
its docstring documents it, an option that there is not is refused by its name, and one whose value is not
what it is annotated with by its value. Functions that share nothing are `checked` alike.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from functools import cache, update_wrapper
from inspect import Parameter, Signature
from types import FunctionType
from typing import Any, TypeVar, get_type_hints

from polars_crowd.calls import one_call
from polars_crowd.errors import Advice, did_you_mean, shown
from polars_crowd.option_checks import check_options

F = TypeVar("F", bound=Callable[..., Any])

SECTION = re.compile(r"(?:^|\n\n)(\w[\w ]*)\n-{3,}\n")
ENTRY = re.compile(r"^(\w[\w*, ]*)\n(?: {4}.+(?:\n|$))+", re.MULTILINE)
"""The names of an entry of a docstring, and its indented lines."""


def shares(
    options: type,
    defaults: type,
    advice: Callable[[str], Mapping[str, Advice]] = lambda name: {},
    **of_its_own: Any,
) -> Callable[[F], F]:
    """A decorator for functions that end in `**options: Unpack[...]` of a TypedDict.

    Defaults, words and the order of the options are those of the dataclass `defaults`; `of_its_own` are
    defaults that the function has instead, and it gets them like options that were given. An entry or a
    section in the function's own docstring stands for the shared one. `advice(name of the function)` has
    what to do instead of giving options that it does not take.
    """
    by_default = {field.name: default_of(field) for field in fields(defaults)}
    order = list(by_default)
    words = sections_of(defaults)

    def decorate(function: F) -> F:
        found = get_type_hints(options)
        hints = {name: found[name] for name in sorted(found, key=order.index)}
        values = {name: of_its_own.get(name, by_default[name]) for name in hints}
        signature = in_full(signature_of(function), hints, values)
        known = [name for name in signature.parameters if name != "self"]
        refuse = refusal(function.__name__, known, advice(function.__name__))
        names = frozenset(known)
        check, scope = check_of(lambda: signature), one_call

        def call(*args: Any, **given: Any) -> Any:
            if not given.keys() <= names:
                raise refuse(given)
            check(args, given)
            with scope():
                return function(*args, **{**of_its_own, **given})

        shown_as: Any = in_module_of(function, call)
        shown_as.__signature__ = signature
        shown_as.__doc__ = completed(function.__doc__, words, known)
        return shown_as  # type: ignore[no-any-return]

    return decorate


def checked(function: F) -> F:
    """A decorator for functions that share no options: their arguments, too, are checked."""

    check = check_of(lambda: signature_of(function))

    def call(*args: Any, **given: Any) -> Any:
        check(args, given)
        return function(*args, **given)

    moved: Any = in_module_of(function, call)
    return moved  # type: ignore[no-any-return]


PLAIN = {"bool": bool, "int": int, "float": float, "str": str}


def plain(annotation: Any) -> Any:
    """What an annotation says, also where it is text since another name of the signature is not there yet."""
    return PLAIN.get(annotation, annotation) if isinstance(annotation, str) else annotation


def check_of(
    signature: Callable[[], Signature],
) -> Callable[[tuple[Any, ...], Mapping[str, Any]], None]:
    """What checks the arguments of a call, by place and by name, by their annotations."""

    @cache
    def hints() -> tuple[list[str], dict[str, Any]]:
        """The parameters that are given by place, and what each of all is annotated with."""
        known = signature().parameters.values()
        places = [p.name for p in known if p.kind is not Parameter.KEYWORD_ONLY]
        return places, {p.name: plain(p.annotation) for p in known}

    def check(args: tuple[Any, ...], given: Mapping[str, Any]) -> None:
        places, annotations = hints()
        check_options({**dict(zip(places, args, strict=False)), **given}, annotations)

    return check


def default_of(field: Field[Any]) -> Any:
    """The default of a dataclass's field, also if it is made anew each time."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def in_module_of(function: Callable[..., Any], call: Any) -> Callable[..., Any]:
    """`call` as a function of the module of `function`: there doctest looks for it, and pickle."""
    moved = FunctionType(call.__code__, function.__globals__, closure=call.__closure__)
    return update_wrapper(moved, function)


# --- signatures ------------------------------------------------------------------------------------


def signature_of(function: Callable[..., Any]) -> Signature:
    """The function's own signature; its types are text where a name in them is not there yet."""
    try:
        return inspect.signature(function, eval_str=True)
    except (NameError, TypeError):
        return inspect.signature(function)


def in_full(signature: Signature, hints: Mapping[str, Any], values: Mapping[str, Any]) -> Signature:
    """The signature with the shared options in the place of `**options`."""
    own = [p for p in signature.parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    shared = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=values[name], annotation=hint)
        for name, hint in hints.items()
    ]
    return signature.replace(parameters=[*own, *shared])


def refusal(
    name: str, known: list[str], advice: Mapping[str, Advice]
) -> Callable[[Mapping[str, Any]], TypeError]:
    """What makes the error for options among which are some that the function does not have."""

    def refuse(given: Mapping[str, Any]) -> TypeError:
        unknown = next(option for option in given if option not in known)
        listed = unknown in advice
        instead = f" {advice[unknown].said('python')}" if listed else did_you_mean(unknown, known)
        return TypeError(
            f"{name}() has no option {unknown!r}.{instead} It takes {shown(known, limit=30)}."
        )

    return refuse


# --- docstrings ------------------------------------------------------------------------------------


def completed(doc: str | None, words: Mapping[str, str], parameters: Iterable[str]) -> str | None:
    r"""A docstring with every parameter in it, and with the shared sections that it has not; None if None.

    >>> own = "Counted.\n\nParameters\n----------\nscale\n    Of it.\n\nNotes\n-----\nMore."
    >>> words = {"Parameters": "log\n    A log.", "Raises": "ValueError\n    If it must."}
    >>> print(completed(own, words, ["log", "scale"]))
    Counted.
    <BLANKLINE>
    Parameters
    ----------
    log
        A log.
    scale
        Of it.
    <BLANKLINE>
    Raises
    ------
    ValueError
        If it must.
    <BLANKLINE>
    Notes
    -----
    More.
    """
    if not doc or not words:
        return doc
    head, own = sections(doc)
    said = entries(words["Parameters"]) | entries(own.pop("Parameters", ""))
    entry = dict.fromkeys(said[name] for name in parameters)
    first = {"Parameters": "\n".join(entry), **{t: own[t] for t in own if t == "Returns"}}
    merged = first | {**words, "Parameters": first["Parameters"]} | own
    return "\n\n".join([head, *(f"{t}\n{'-' * len(t)}\n{text}" for t, text in merged.items())])


def sections_of(kind: type) -> dict[str, str]:
    """The sections of a class's docstring; with the entries and sections of what it derives from."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        own = sections(base.__doc__ or "")[1]
        both = [of["Parameters"] for of in (found, own) if "Parameters" in of]
        found |= own | ({"Parameters": "\n".join(both)} if both else {})
    return found


def sections(doc: str) -> tuple[str, dict[str, str]]:
    """What a docstring begins with, and the text of its sections by title."""
    head, *rest = SECTION.split(inspect.cleandoc(doc))
    return head, dict(zip(rest[::2], rest[1::2], strict=True))


def entries(text: str) -> dict[str, str]:
    """The entry about each name; the last one where there are several."""
    return {
        name: found[0].rstrip() for found in ENTRY.finditer(text) for name in found[1].split(", ")
    }
