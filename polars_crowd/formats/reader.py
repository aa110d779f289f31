"""What all readers do around what is a tool's own: which files are read as one, and what errors say."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from glob import glob, has_magic
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Concatenate, ParamSpec, Protocol

from polars_crowd.errors import Advised, AnnotationError
from polars_crowd.formats.export import Export
from polars_crowd.formats.look import Look, split
from polars_crowd.formats.records import IN_MEMORY, UNSHAPED
from polars_crowd.inputs.blame import first_line
from polars_crowd.option_checks import check_places
from polars_crowd.signatures import in_module_of, signature_of

P = ParamSpec("P")
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""A file, the directory where a tool writes one, a pattern with `*`, or a list of these."""


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
        looks = files_of(path)
        suspects, parts = looks, []
        try:
            for look in looks:
                suspects = [look]
                parts.append(function(look, *args, **given))
            suspects = looks
            return parts[0].export(looks, parts)
        except of_ours:
            raise
        except unshaped as error:
            raise unlike(suspects, error, lambda one: function(one, *args, **given)) from error

    moved: Any = in_module_of(function, call)
    moved.__signature__ = signature_of(function).replace(return_annotation=Export)
    found: Callable[Concatenate[Paths, P], Export] = moved
    return found


def looks_of(path: Any) -> list[Look]:
    """A look at each of the files, as `looks_in` has them."""
    return [*looks_in(path)]


def looks_in(path: Any) -> Iterator[Look]:
    """A look at one file after the other, at those of a pattern in the order of their names.

    Raises
    ------
    OptionError
        It is no path, and no list of paths.
    FileNotFoundError
        There is no such file.
    """
    check_places("path", path)
    if isinstance(path, (list, tuple)):
        for one in path:
            yield from looks_in(one)
    elif isinstance(path, Look) or not has_magic(str(path)) or Path(path).exists():
        yield Look.at(path)
    else:
        found = sorted(glob(str(path), recursive=True))
        if not found:
            raise FileNotFoundError(f"no file is like {str(path)!r}.")
        yield from map(Look.at, found)


def _unshaped(
    looks: list[Look], error: Exception, read: Callable[[Look], OfFile]
) -> AnnotationError:
    said = first_line(error)
    why = f"a record has no {said}" if isinstance(error, KeyError) else said
    where = next(filter(None, (_place(look, read) for look in looks)), None)
    return AnnotationError(
        f"{where or ', '.join(map(str, looks))}: not built as the tool is known to build it: {why}.",
        "Mend the file, or export it anew; or make a table of examples, annotators and labels of it.",
    )


def _place(look: Look, read: Callable[[Look], OfFile]) -> str | None:
    """The first record with which a file cannot be read, found by reading its beginnings; None if all can."""
    if look.kind not in ("lines", "array", "table") or look.schema or look.made:
        return None
    if look.path.stat().st_size > IN_MEMORY:
        return None
    try:
        header, records = split(look)
    except csv.Error:  # a cell is too long for it
        return None
    low, high = 0, len(records)
    with TemporaryDirectory(prefix="polars-crowd-") as folder:
        beginning = replace(look, path=Path(folder) / look.path.name)

        def fails(number: int) -> bool:
            beginning.path.write_text("\n".join([*header, *records[:number]]), encoding="utf-8")
            try:
                part = read(beginning)
                part.export([beginning], [part]).log.collect()
            except (Advised, OSError):
                return False
            except UNSHAPED:
                return True
            return False

        if not fails(high):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if fails(middle) else (middle, high)
    return f"{look}, record {high}, which begins with {records[high - 1][:80]!r}"
