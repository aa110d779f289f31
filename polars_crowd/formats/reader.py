"""What all readers do around what is a tool's own: which files are read as one, and what errors say."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol

import polars as pl

from polars_crowd.errors import Advised, AnnotationError
from polars_crowd.formats.export import Export
from polars_crowd.formats.look import Look
from polars_crowd.inputs.blame import first_line
from polars_crowd.option_checks import check_places
from polars_crowd.signatures import in_module_of, signature_of

P = ParamSpec("P")
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""A file, the directory where a tool writes one, a pattern with `*`, or a list of these."""
UNSHAPED = (
    *(LookupError, TypeError, AttributeError, ValueError, OverflowError, RecursionError),
    pl.exceptions.PolarsError,
)
"""What goes wrong where a record is built otherwise than a reader knows."""


class OfFile(Protocol):
    """What a reader finds in one file."""

    def export(self, looks: Sequence[Look], parts: Sequence[Any]) -> Export:
        """The export that the files are together, of which each has its part."""
        ...


def reader(
    function: Callable[Concatenate[Any, P], OfFile],
) -> Callable[Concatenate[Paths, P], Export]:
    """A decorator for what reads one file: it reads several as one.

    A file that is not built as its tool builds it is an error that says so.
    """
    files_of, unlike, unshaped, of_ours = looks_of, _unshaped, UNSHAPED, (Advised, OSError)

    def call(path: Any, *args: Any, **given: Any) -> Any:
        looks: Any = path
        try:
            looks = files_of(path)
            parts = []
            for look in looks:
                path = look
                parts.append(function(look, *args, **given))
            path = looks[0] if len(looks) == 1 else looks
            return parts[0].export(looks, parts)
        except of_ours:
            raise
        except unshaped as error:
            raise unlike(path, error) from error

    moved: Any = in_module_of(function, call)
    moved.__signature__ = signature_of(function).replace(return_annotation=Export)
    return moved  # type: ignore[no-any-return]


def looks_of(path: Any) -> list[Look]:
    """A look at each of the files, those of a pattern in the order of their names.

    Raises
    ------
    OptionError
        It is no path, and no list of paths.
    FileNotFoundError
        There is no such file.
    """
    check_places("path", path)
    if isinstance(path, (list, tuple)):
        return [look for one in path for look in looks_of(one)]
    if isinstance(path, Look):
        return [path]
    if not has_magic(str(path)) or Path(path).exists():
        return [Look.at(path)]
    found = sorted(glob(str(path), recursive=True))
    if not found:
        raise FileNotFoundError(f"no file is like {str(path)!r}.")
    return [Look.at(one) for one in found]


def _unshaped(path: Any, error: Exception) -> AnnotationError:
    said = first_line(error)
    why = f"a record has no {said}" if isinstance(error, KeyError) else said
    where = ", ".join(map(str, path)) if isinstance(path, list) else str(path)
    return AnnotationError(
        f"{where}: not built as the tool is known to build it: {why}.",
        "Mend the file, or export it anew; or make a table of examples, annotators and labels of it.",
    )
