"""What the commands share: options, errors, progress."""

from __future__ import annotations

import multiprocessing
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console

from polars_crowd.cli.output import Answer, put
from polars_crowd.cli.reading import (
    argument,
    completing,
    in_files,
    option,
    output,
    stdin,
    with_options,
)
from polars_crowd.cli.stdin import SOURCES as SOURCES_OF_FILES
from polars_crowd.cli.stdin import STANDARD, with_stdin
from polars_crowd.errors import (
    Advised,
    AnnotationWarning,
    MemoryLimitError,
    PackageError,
    PartitionError,
    StoreError,
    UnfinishedError,
    shown,
)
from polars_crowd.escapes import escaped_lines
from polars_crowd.inputs import blame, checks
from polars_crowd.rounds.files import reason
from polars_crowd.rounds.progress import line
from polars_crowd.rounds.writing import Format

STDOUT = Path("-")
"""What --out says for standard output."""
QUIET: ContextVar[bool] = ContextVar("QUIET", default=False)
"""Whether --quiet was given."""
RAW: ContextVar[bool] = ContextVar("RAW", default=False)
"""Whether --raw was given."""

# --- options --------------------------------------------------------------------------------------

Log = Annotated[
    list[str],
    argument(
        "The annotations, a row each: files, globs or directories of Parquet, CSV, TSV, "
        "NDJSON, JSON, Excel or Arrow; - for standard input.",
        "LOG",
    ),
]


Classes = Annotated[
    str | None,
    in_files("The classes in order, if they are not simply the columns of PROBS.", "A,B,C"),
]
ClassesOfLog = Annotated[
    str | None, in_files("The classes in order, also those that nobody chose.", "A,B,C")
]
Duplicates = Annotated[
    checks.Duplicates,
    in_files("What counts where an annotator labelled an example more than once."),
]
Truth = Annotated[
    str | None,
    option(
        "Known labels to score results by, which no method sees: a file whose columns are called as in the "
        "log (or example, label), or a column of the log.",
        "FILE|COL",
    ),
]
TruthLabel = Annotated[
    str | None,
    in_files("The column of known labels in their file, if it is another than in the log.", "NAME"),
]
ProbsExample = Annotated[
    str | None,
    in_files("The column of examples in PROBS, if it is another than in the log.", "NAME"),
]


def probs_option(more: str = "") -> Any:
    """--pred-probs; `more` says what a command does without it."""
    probs = "A model's out-of-sample probabilities: example and a column per class."
    return option(
        f"{probs} Repeat it for an ensemble. {more}".rstrip(), "PROBS", "--pred-probs", "-p"
    )


Probs = Annotated[list[str] | None, probs_option()]
Out = Annotated[
    Path | None,
    option(
        "Where all tables are written, with results.json; - for the main one to standard output. "
        "Without it the main one is printed.",
        "DIR",
        "--out",
        "-o",
        "--into",
    ),
]
OutFile = Annotated[
    Path | None,
    option(
        "Where the table is written: .parquet, .csv, .jsonl or .xlsx; - for standard output.",
        "FILE",
        "--out",
        "-o",
    ),
]
OutFormat = Annotated[
    Format,
    option(
        "Of the files in DIR. In csv an apostrophe stands before text that a spreadsheet would run: "
        "see --raw."
    ),
]
Force = Annotated[bool, option("Overwrite earlier results.", None, "--force")]


def executor_option(works: str) -> Any:
    """--executor; `works` says what is done there."""
    where = "processes:N for N processes here, or dask:ADDRESS for a Dask cluster."
    return option(f"Where {works}: {where}", "KIND")


MemoryLimit = Annotated[
    str | None,
    option(
        "How much memory tables may take, such as 4GB; by default half of what is free.", "SIZE"
    ),
]
Executor = Annotated[str | None, executor_option("partitions are worked on")]
ExecutorOfFits = Annotated[str | None, executor_option("methods run, a fit at a time")]


def one_of(names: Sequence[str], help_text: str, **more: Any) -> Any:
    """An option that is one of several names."""
    written = [name.replace("_", "-") for name in names]
    return option(help_text, parser=alike(names), autocompletion=completing(written), **more)


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
    MemoryLimitError,
    PackageError,
    pl.exceptions.PolarsError,
    StoreError,
)
UNFINISHED = (UnfinishedError, PartitionError, OSError, MemoryError)
SOURCES = {name: f"--{name}" for name in ("gold", "truth", "exclude")}
"""What the command calls sources that Python calls by the names of arguments."""
COLUMNS = ("example", "annotator", "label", "left", "right", "winner")
"""Options that say what the files call the log's columns."""


def told(command: Callable[..., Answer]) -> Callable[..., None]:
    """A command that prints its answer, its errors as a message on stderr with an exit code, annotation
    warnings as lines there.

    It has the options of `reading.output` besides its own, and may read files from standard input. Other
    errors are bugs, and show where they are.
    """
    own = signature(command).parameters
    reads_files = not own.keys().isdisjoint(SOURCES_OF_FILES)

    @wraps(command)
    def run(**options: Any) -> None:
        names = SOURCES | {name: options[name] for name in COLUMNS if name in options}
        with _warnings_told(names, options["quiet"]):
            _check_raw(options)
            RAW.set(options["raw"])
            try:
                answer = _answer(command, {name: options[name] for name in own}, options)
                piped = options.get("out") == STDOUT
                put(
                    answer,
                    "table" if "format" in own else options["format"],
                    quiet=options["quiet"],
                    piped=piped,
                    raw=options["raw"],
                )
            except BrokenPipeError:  # nobody reads on; typer ends quietly
                raise
            except (*BAD_INPUT, *UNFINISHED) as error:
                tell(f"error: {in_words(_of_files(error, options), names)}")
                is_bad_input = isinstance(error, BAD_INPUT) and not isinstance(
                    error, UnfinishedError
                )
                raise typer.Exit(2 if is_bad_input else 1) from None
            for complaint in answer.complaints:
                tell(complaint)
            if answer.fails:
                raise typer.Exit(1)

    return (
        with_options(run, command, output, stdin)
        if reads_files
        else with_options(run, command, output)
    )


def _of_files(error: Exception, options: Mapping[str, Any]) -> Exception:
    """An error of Polars as one that names the file: that of a lazy table shows when it is printed."""
    if not isinstance(error, pl.exceptions.PolarsError):
        return error
    found = blame.bad_file([options.get(name) or () for name in SOURCES_OF_FILES])
    return blame.unreadable(*found) if found else error


def _check_raw(options: Mapping[str, Any]) -> None:
    """--raw is about CSV: printed, in a file, or in the files of a directory."""
    out = options.get("out")
    piped = out == STDOUT and options["format"] != "json"
    in_files = out is not None and "csv" in (out.suffix[1:], options.get("out_format"))
    if options["raw"] and not (options["format"] == "csv" or piped or in_files):
        raise typer.BadParameter("--raw: only with CSV: --format csv, --out FILE.csv or --out -.")


def _answer(
    command: Callable[..., Answer], own: dict[str, Any], options: Mapping[str, Any]
) -> Answer:
    """What a command answers, with the files that standard input is for `-`."""
    files = with_stdin(options)
    if "call" in own:
        own["call"].params.update(files)
    return command(**{**own, **{name: value for name, value in files.items() if name in own}})


@contextmanager
def _warnings_told(names: Mapping[str, str], quiet: bool) -> Iterator[None]:
    """Annotation warnings are lines on stderr, or nothing."""
    before = QUIET.set(quiet)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if quiet else "always", AnnotationWarning)
            warnings.showwarning = _tell_warning(warnings.showwarning, names)
            yield
    finally:
        QUIET.reset(before)


def in_words(problem: Warning | Exception | str, names: Mapping[str, str]) -> str:
    """What is wrong and what to do, in the words of the command line; `names` are those of this call."""
    if isinstance(problem, Advised):
        of_log = str(problem.source).startswith("the log")
        return problem.said("command", names if of_log else SOURCES)
    return reason(problem) if isinstance(problem, Exception) else problem


def _tell_warning(show_other: Callable[..., None], names: Mapping[str, str]) -> Callable[..., None]:
    told = set[str]()

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, AnnotationWarning):
            show_other(message, category, *where, **more)
        elif (text := in_words(message, names)) not in told:  # a lazy table is asked more than once
            told.add(text)
            tell(f"warning: {text}")

    return show


def tell(message: str) -> None:
    for path, name in STANDARD.items():
        message = message.replace(path, name)
    print(f"polars-crowd: {escaped_lines(message)}", file=sys.stderr)


def note(message: str) -> None:
    """Tell what --quiet leaves out."""
    if not QUIET.get():
        tell(message)


# --- progress -------------------------------------------------------------------------------------


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Tells on stderr what is being done and for how long, if that is a terminal."""
    with line(on_a_terminal(), transient=True) as step:
        yield step


def on_a_terminal() -> bool:
    """Whether somebody may be watching stderr."""
    return not QUIET.get() and Console(stderr=True).is_terminal
