"""What the commands share: options, errors, progress, tables."""

from __future__ import annotations

import multiprocessing
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from polars_crowd.cli import files
from polars_crowd.errors import (
    Advised,
    AnnotationWarning,
    PartitionError,
    StoreError,
    UnfinishedError,
    shown,
)
from polars_crowd.inputs import checks
from polars_crowd.reports import printable
from polars_crowd.rounds.files import reason
from polars_crowd.rounds.progress import line

SHOWN = 5
"""How many rows of a table are shown."""
LEAST_WIDTH = 20
"""Up to this many characters of text are not broken."""

# --- options --------------------------------------------------------------------------------------

IN_FILES = "What the files hold"
"""A group of options in the help."""

Log = Annotated[
    list[str],
    typer.Argument(
        metavar="LOG",
        help="The annotations, a row each: files, globs or directories of Parquet, CSV, TSV, "
        "NDJSON or Arrow.",
        show_default=False,
    ),
]


def in_files(
    help_text: str, metavar: str | None = "NAME", *names: str, panel: str = IN_FILES
) -> Any:
    """An option that says what the files hold."""
    return typer.Option(*names, metavar=metavar, help=help_text, rich_help_panel=panel)


Classes = Annotated[
    str | None,
    in_files("The classes in order, if they are not simply the columns of PROBS.", "A,B,C"),
]
Duplicates = Annotated[
    checks.Duplicates,
    in_files("What counts where an annotator labelled an example more than once.", None),
]
TruthLabel = Annotated[
    str | None,
    in_files("The column of known labels in their file, if it is another than in the log."),
]
ProbsExample = Annotated[
    str | None,
    in_files("The column of examples in PROBS, if it is another than in the log."),
]


def probs_option(more: str = "") -> Any:
    """--pred-probs; `more` says what a command does without it."""
    probs = "A model's out-of-sample probabilities: example and a column per class."
    return typer.Option(
        "--pred-probs",
        "-p",
        metavar="PROBS",
        help=f"{probs} Repeat it for an ensemble. {more}".rstrip(),
        show_default=False,
    )


Probs = Annotated[list[str] | None, probs_option()]
Into = Annotated[
    Path, typer.Option(metavar="DIR", help="Where the results go.", show_default=False)
]
Format = Annotated[files.Format, typer.Option("--format", help="Format of the results.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite earlier results.")]
Executor = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="Where partitions are worked on: processes:N for N processes here, or dask:ADDRESS "
        "for a Dask cluster.",
        show_default=False,
    ),
]


def alike(names: Sequence[str]) -> Callable[[str], str]:
    """A parser for an option that is one of several names, written with _ or -.

    >>> alike(["self_confidence"])("self-confidence")
    'self_confidence'
    """
    by_text = {name.replace("-", "_"): name for name in names}

    def parse(text: str) -> str:
        if text.replace("-", "_") not in by_text:
            raise typer.BadParameter(f"{text!r} is not one of {shown(list(names), 20)}.")
        return by_text[text.replace("-", "_")]

    return parse


def asked_for(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value}


@contextmanager
def executor_of(kind: str | None) -> Iterator[futures.Executor | None]:
    """The executor that --executor asks for, shut down when the block ends; None without it."""
    if kind is None:
        yield None
        return
    name, _, where = kind.partition(":")
    if name == "processes" and where.isdecimal() and int(where) > 0:
        with _processes(int(where)) as executor:
            yield executor
    elif name == "dask" and where:
        with _dask_client(where) as client:
            yield client.get_executor()
    else:
        raise typer.BadParameter(
            f"--executor {kind}: it must be processes:N, N at least 1, or dask:ADDRESS."
        )


def _processes(n: int) -> futures.Executor:
    """A pool of processes that are started anew: a forked one hangs once Polars has run."""
    return futures.ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("spawn"))


def _dask_client(address: str) -> Any:
    try:
        from dask.distributed import Client
    except ModuleNotFoundError:
        raise typer.BadParameter(
            '--executor dask: Dask is not installed; install it with: pip install "distributed"'
        ) from None
    return Client(address)


# --- errors and warnings --------------------------------------------------------------------------

BAD_INPUT = (
    ValueError,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    pl.exceptions.PolarsError,
    StoreError,
)
UNFINISHED = (UnfinishedError, PartitionError, OSError, MemoryError)
SOURCES = {name: f"--{name}" for name in ("gold", "truth", "exclude")}
"""What the command calls sources that Python calls by the names of arguments."""
COLUMNS = ("example", "annotator", "label", "left", "right", "winner")
"""Options that say what the files call the log's columns."""


def told(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose errors become a message on stderr and an exit code, annotation warnings lines there.

    Other errors are bugs, and show where they are.
    """

    @wraps(command)
    def run(**options: Any) -> None:
        names = SOURCES | {name: options[name] for name in COLUMNS if name in options}
        with warnings.catch_warnings():
            warnings.simplefilter("always", AnnotationWarning)
            warnings.showwarning = _tell_warning(warnings.showwarning, names)
            try:
                command(**options)
            except BrokenPipeError:  # nobody reads on; typer ends quietly
                raise
            except (*BAD_INPUT, *UNFINISHED) as error:
                tell(in_words(error, names))
                is_bad_input = isinstance(error, BAD_INPUT) and not isinstance(
                    error, UnfinishedError
                )
                raise typer.Exit(2 if is_bad_input else 1) from None

    return run


def in_words(problem: Warning | Exception | str, names: Mapping[str, str]) -> str:
    """What is wrong and what to do, in the words of the command line; `names` are those of this call."""
    if isinstance(problem, Advised):
        of_log = str(problem.source).startswith("the log")
        return problem.said("command", names if of_log else SOURCES)
    return reason(problem) if isinstance(problem, Exception) else problem


def _tell_warning(show_other: Callable[..., None], names: Mapping[str, str]) -> Callable[..., None]:
    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, AnnotationWarning):
            tell(f"warning: {in_words(message, names)}")
        else:
            show_other(message, category, *where, **more)

    return show


def tell(message: str) -> None:
    print(f"polars-crowd: {printable_lines(message)}", file=sys.stderr)


def printable_lines(text: str) -> str:
    """A text of several lines that does not steer the terminal."""
    return "\n".join(map(printable, text.split("\n")))


# --- what is shown --------------------------------------------------------------------------------


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Tells on stderr what is being done and for how long, if that is a terminal."""
    with line(on_a_terminal(), transient=True) as step:
        yield step


def on_a_terminal() -> bool:
    """Whether somebody may be watching stderr."""
    return Console(stderr=True).is_terminal


def stdout() -> Console:
    return Console(markup=False, emoji=False, highlight=False)


def show(console: Console, title: str, frame: pl.DataFrame) -> None:
    """A frame as a table, its long headers over two lines if it is too wide otherwise."""
    table = _table(frame, frame.columns)
    unlimited = console.options.update(width=1000)
    if console.measure(table, options=unlimited).maximum > console.width:
        table = _table(frame, [_in_two_lines(column) for column in frame.columns])
    console.print(f"\n{title}")
    console.print(table)


def _table(frame: pl.DataFrame, headers: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column, header in zip(frame, headers, strict=True):
        justify: Any = "right" if column.dtype.is_numeric() else "left"
        table.add_column(header, justify=justify, overflow="fold", min_width=_least_width(column))
    for row in frame.iter_rows():
        table.add_row(*map(_cell, row))
    return table


def _least_width(column: pl.Series) -> int:
    """What text needs to stay on one line, within reason."""
    if column.dtype != pl.String or column.is_empty():
        return 1
    return min(int(column.str.len_chars().max() or 1), LEAST_WIDTH)  # type: ignore[arg-type]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else printable(str(value))


def _in_two_lines(name: str) -> str:
    """A long name broken at the underscore nearest to its middle.

    >>> _in_two_lines("agreement_with_consensus")
    'agreement_\\nwith_consensus'
    """
    breaks = [i + 1 for i, letter in enumerate(name) if letter == "_"]
    if len(name) < 12 or not breaks:
        return name
    at = min(breaks, key=lambda i: abs(len(name) - 2 * i))
    return f"{name[:at]}\n{name[at:]}"
