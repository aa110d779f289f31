"""Options that say how LOG's files are to be read, written once for all commands that read it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Signature, signature
from typing import Annotated, Any, Literal

from polars_crowd.cli.common import in_files

IN_TEXT = "How text files are written"
"""A group of options in the help."""


def in_text(help_text: str, *names: str, metavar: str | None = None) -> Any:
    """An option that says how text files are written."""
    return in_files(help_text, metavar, *names, panel=IN_TEXT)


def columns(
    example: Annotated[
        str, in_files("The log's column of examples.", "NAME", "--example", "--id")
    ] = "example",
    annotator: Annotated[str, in_files("The log's column of annotators.")] = "annotator",
    label: Annotated[str, in_files("The log's column of labels.")] = "label",
    label_type: Annotated[
        Literal["number"] | None, in_files("Labels are numbers, also where they are text.", None)
    ] = None,
    wide: Annotated[
        bool,
        in_files(
            "A row is an example, a column an annotator: all but --id (- for none), or --annotator A,B,C.",
            None,
            "--wide",
        ),
    ] = False,
    decimal_comma: Annotated[
        bool, in_files("Numbers have a decimal comma.", None, "--decimal-comma")
    ] = False,
    missing: Annotated[str | None, in_files("Labels that say that there is none.", "NA,-1")] = None,
    normalize: Annotated[
        str | None,
        in_files("Make spellings of an id or label one: strip, case, unicode.", "WAYS"),
    ] = None,
) -> None:
    """What a log's columns hold."""


def text(
    separator: Annotated[
        str | None, in_text("What stands between fields.", metavar="CHARACTER")
    ] = None,
    encoding: Annotated[str | None, in_text("Such as windows-1252.", metavar="NAME")] = None,
    no_header: Annotated[
        bool, in_text("The first line does not name the columns.", "--no-header")
    ] = False,
    columns: Annotated[
        str | None, in_text("The columns' names, where there is no header.", metavar="A,B,C")
    ] = None,
    comment: Annotated[
        str | None, in_text("How lines begin that are left out.", metavar="TEXT")
    ] = None,
    quote: Annotated[
        str | None, in_text("The quotes around fields, or none.", metavar="CHARACTER")
    ] = None,
    sheet: Annotated[
        str | None, in_text("The sheet of an Excel file, or its number.", metavar="NAME")
    ] = None,
) -> None:
    """How text files are written, and which sheet of a workbook is meant."""


COLUMNS = tuple(signature(columns).parameters)
TEXT = tuple(signature(text).parameters)
"""The names of these options."""


def reads(*groups: Callable[..., None]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator for commands that have the options of these groups, which `Input.of` reads."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = signature(command, eval_str=True).parameters
        shared = [signature(group, eval_str=True).parameters for group in groups]
        every = {name: option for group in shared for name, option in group.items()} | dict(own)

        @wraps(command)
        def run(**options: Any) -> None:
            command(**{name: options[name] for name in own})

        run.__signature__ = Signature(  # type: ignore[attr-defined]
            [*own.values(), *(option for name, option in every.items() if name not in own)]
        )
        run.__annotations__ = {name: option.annotation for name, option in every.items()}
        return run

    return decorate
