"""Options that say how LOG's files are to be read, written once for all commands that read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial, wraps
from inspect import Signature, cleandoc, signature
from typing import Annotated, Any, Literal, TypeVar

import typer

from polars_crowd.cli.stdin import InputFormat

T = TypeVar("T")


def option(
    help_text: str, metavar: str | None = None, *names: str, panel: str | None = None, **more: Any
) -> Any:
    """An option of a command; it is called like its parameter where no names are said."""
    return typer.Option(*names, metavar=metavar, help=help_text, rich_help_panel=panel, **more)


def argument(help_text: str, metavar: str) -> Any:
    """An argument of a command."""
    return typer.Argument(metavar=metavar, help=help_text)


in_files = partial(option, panel="What the files hold")
in_text = partial(option, panel="How text files are written")
"""Options of two groups in the help."""


def columns(
    example: Annotated[
        str, in_files("The log's column of examples.", "NAME", "--example", "--id")
    ] = "example",
    annotator: Annotated[
        str, in_files("The log's column of annotators; - if nobody knows who they are.", "NAME")
    ] = "annotator",
    label: Annotated[str, in_files("The log's column of labels.", "NAME")] = "label",
    label_type: Annotated[
        Literal["number"] | None, in_files("Labels are numbers, also where they are text.")
    ] = None,
    wide: Annotated[
        bool,
        in_files(
            "A row is an example, a column an annotator: all but --id (- for none), or --annotator A,B,C.",
            None,
            "--wide",
        ),
    ] = False,
    counts: Annotated[
        bool,
        in_files(
            "A row is an example, a column a class (all but --id, or --label A,B,C): how many chose it.",
            None,
            "--counts",
        ),
    ] = False,
    frequency: Annotated[
        str | None, in_files("The column that says how many examples a row stands for.", "NAME")
    ] = None,
    order_by: Annotated[
        str | None, in_files("The column that says which row came last, for --duplicates.", "NAME")
    ] = None,
    decimal_comma: Annotated[
        bool, in_files("Numbers have a decimal comma.", None, "--decimal-comma")
    ] = False,
    missing: Annotated[str | None, in_files("Labels that say that there is none.", "NA,-1")] = None,
    normalize: Annotated[
        str | None, in_files("Make spellings of an id or label one: strip, case, unicode.", "WAYS")
    ] = None,
    question: Annotated[
        str | None, in_files("Of a tool's export: the question whose answers are read.", "NAME")
    ] = None,
    export: Annotated[
        str | None, in_files("The tool whose export LOG is, if that is not seen.", "TOOL")
    ] = None,
) -> None:
    """What a log's columns hold."""


def text(
    separator: Annotated[str | None, in_text("What stands between fields.", "CHARACTER")] = None,
    encoding: Annotated[str | None, in_text("Such as windows-1252.", "NAME")] = None,
    no_header: Annotated[
        bool, in_text("The first line does not name the columns.", None, "--no-header")
    ] = False,
    columns: Annotated[
        str | None, in_text("The columns' names, where there is no header.", "A,B,C")
    ] = None,
    comment: Annotated[str | None, in_text("How lines begin that are left out.", "TEXT")] = None,
    quote: Annotated[str | None, in_text("The quotes around fields, or none.", "CHARACTER")] = None,
    sheet: Annotated[
        str | None, in_text("The sheet of an Excel file, or its number.", "NAME")
    ] = None,
) -> None:
    """How text files are written, and which sheet of a workbook is meant."""


def sets(
    multilabel: Annotated[
        bool,
        in_files(
            "Labels are sets of classes: lists, or JSON in cells, or a row per class. A store knows.",
            None,
            "--multilabel",
        ),
    ] = False,
    set_separator: Annotated[
        str | None, in_files("What stands between the classes of a set in a cell.", "TEXT")
    ] = None,
) -> None:
    """Whether labels are sets of classes."""


OF_SINGLE = ("label_type", "wide", "counts", "frequency", "order_by", "missing", "normalize")
"""Options that are not about sets of classes."""
EXPORT = ("question", "export")
"""Options that are about the export of a tool."""
COLUMNS = tuple(signature(columns).parameters)
SETS = tuple(signature(sets).parameters)
TEXT = tuple(signature(text).parameters)
"""The names of these options."""


def output(
    format: Annotated[
        Literal["table", "json", "csv"],
        option("What is printed: a report, one JSON document, or the main table."),
    ] = "table",
    quiet: Annotated[
        bool, option("Print the result and errors, nothing else.", None, "--quiet", "-q")
    ] = False,
    raw: Annotated[
        bool,
        option(
            "In CSV, leave text as it is that a spreadsheet would run as a formula.", None, "--raw"
        ),
    ] = False,
) -> None:
    """What every command prints."""


def stdin(
    input_format: Annotated[
        InputFormat | None, in_files("Of a file that is -, standard input, where it is not seen.")
    ] = None,
) -> None:
    """What comes through standard input."""


def reads(*groups: Callable[..., None]) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """A decorator for commands that have the options of these groups, which `Input.of` reads."""

    def decorate(command: Callable[..., T]) -> Callable[..., T]:
        own = signature(command).parameters

        @wraps(command)
        def run(**options: Any) -> T:
            return command(**{name: options[name] for name in own})

        return with_options(run, command, *groups)

    return decorate


def with_options(
    run: Callable[..., T], command: Callable[..., Any], *groups: Callable[..., None]
) -> Callable[..., T]:
    """A function that typer takes for one with the options of a command, and of these groups."""
    every = dict(signature(command, eval_str=True).parameters)
    for group in groups:
        shared = signature(group, eval_str=True).parameters
        every |= {name: option for name, option in shared.items() if name not in every}
    run.__signature__ = Signature(list(every.values()))  # type: ignore[attr-defined]
    run.__annotations__ = {name: option.annotation for name, option in every.items()}
    run.__doc__ = flowing(command.__doc__ or "")
    return run


def flowing(text: str) -> str:
    """A docstring whose paragraphs are lines of their own, for help of any width; examples stay as they are.

    >>> flowing("Do it.\\n\\n    All\\n    of it.\\n\\n      do it")
    'Do it.\\n\\nAll of it.\\n\\n  do it'
    """
    paragraphs = cleandoc(text).split("\n\n")
    return "\n\n".join(p if p.startswith(" ") else p.replace("\n", " ") for p in paragraphs)


def completing(names: Iterable[str], after: str = "") -> Callable[[str], list[str]]:
    """What completes an option that is one of several names, or a list of them after `after`.

    >>> completing(["glad", "mace"])("g"), completing(["ac1", "alpha"], after=",")("ac1,al")
    (['glad'], ['ac1,alpha'])
    """

    def complete(incomplete: str) -> list[str]:
        before, between, begun = incomplete.rpartition(after) if after else ("", "", incomplete)
        return [before + between + name for name in names if name.startswith(begun)]

    return complete
