"""What all readers do around what is a tool's own: which files are read as one, and what errors say."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from glob import glob, has_magic
from inspect import Signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Concatenate, ParamSpec

from polars_crowd.errors import Advised, AnnotationError
from polars_crowd.formats.answers import Answers
from polars_crowd.formats.export import Asked, Export, ExportOptions, export_of
from polars_crowd.formats.look import FORMATS, Format, Look, split
from polars_crowd.formats.records import IN_MEMORY, UNSHAPED
from polars_crowd.inputs.blame import first_line
from polars_crowd.option_checks import check_places
from polars_crowd.signatures import in_module_of, shares, signature_of

P = ParamSpec("P")
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""A file, the directory where a tool writes one, a pattern with `*`, or a list of these."""
ASKED = [field.name for field in fields(Asked)]


Together = Callable[[Sequence[Look], Sequence[Any], Mapping[str, Any]], Export]
"""What makes an export of what was found in each file, by the options that were given."""


def reads(
    name: str,
    title: str,
    is_like: Callable[[Look], bool],
    *,
    accepts: Callable[[Look], bool] | None = None,
    is_plain: bool = False,
) -> Callable[[Callable[Concatenate[Look, P], Answers]], Callable[Concatenate[Paths, P], Export]]:
    """A decorator for what finds the answers in one file of a tool: the tool's reader.

    See `Format` for `name`, `title`, `is_like` and `is_plain`; `accepts` is what a file must look like that
    is said to be the tool's, if that is less.
    """

    def together(looks: Sequence[Look], parts: Sequence[Any], given: Mapping[str, Any]) -> Export:
        asked = {option: given[option] for option in given if option in ASKED}
        return export_of(title, looks, parts, Asked(**asked))

    def decorate(
        function: Callable[Concatenate[Look, P], Answers],
    ) -> Callable[Concatenate[Paths, P], Export]:
        of_files = reader(title, accepts or is_like, together)(function)
        read = shares(ExportOptions, Asked)(of_files)
        FORMATS[name] = Format(name, title, is_like, read, is_plain)
        return read

    return decorate


def reader(
    title: str, is_like: Callable[[Look], bool], together: Together
) -> Callable[[Callable[Concatenate[Look, P], Any]], Callable[Concatenate[Paths, P], Export]]:
    """A decorator for what reads one file: it reads several as one.

    A file that is not built as its tool builds it is an error that says so.
    """
    files_of, unlike, unshaped, of_ours = looks_of, _unshaped, UNSHAPED, (Advised, OSError)

    def decorate(
        function: Callable[Concatenate[Look, P], Any],
    ) -> Callable[Concatenate[Paths, P], Export]:
        def call(path: Any, *args: Any, **given: Any) -> Any:
            def read(looks: list[Look]) -> Export:
                return together(looks, [function(one, *args, **given) for one in looks], given)

            looks = files_of(path)
            suspects, parts = looks, []
            try:
                for look in looks:
                    suspects = [look]
                    look.check(title, is_like)
                    parts.append(function(look, *args, **given))
                suspects = looks
                return together(looks, parts, given)
            except of_ours:
                raise
            except unshaped as error:
                raise unlike(suspects, error, read) from error

        moved: Any = in_module_of(function, call)
        own = list(signature_of(function).parameters.values())
        path = own[0].replace(name="path", annotation=Paths)
        moved.__signature__ = Signature([path, *own[1:]], return_annotation=Export)
        found: Callable[Concatenate[Paths, P], Export] = moved
        return found

    return decorate


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
    looks: list[Look], error: Exception, read: Callable[[list[Look]], Export]
) -> AnnotationError:
    said = first_line(error)
    why = f"a record has no {said}" if isinstance(error, KeyError) else said
    where = next(filter(None, (_place(look, read) for look in looks)), None)
    return AnnotationError(
        f"{where or ', '.join(map(str, looks))}: not built as the tool is known to build it: {why}.",
        "Mend the file, or export it anew; or make a table of examples, annotators and labels of it.",
    )


def _place(look: Look, read: Callable[[list[Look]], Export]) -> str | None:
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
                read([beginning]).log.collect()
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
