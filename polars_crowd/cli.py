"""The command line: `polars-crowd demo`, `polars-crowd consensus`, `polars-crowd check`."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import polars as pl

import polars_crowd as pc
from polars_crowd.checks import Duplicates
from polars_crowd.crowdlab import QualityMethod
from polars_crowd.errors import AnnotationError, AnnotationWarning, counted
from polars_crowd.label_quality import LabelQualityMethod
from polars_crowd.log import open_frame
from polars_crowd.output import Format, UnfinishedError, reason, sink, whole_files, written
from polars_crowd.pred_probs import PredProbs, open_pred_probs

try:
    import typer
    from rich.console import Console
    from rich.filesize import decimal
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Table
except ModuleNotFoundError as error:
    not_installed: str | None = error.name
else:
    not_installed = None

TABLES = ("examples", "annotations", "annotators")
"""What `consensus` writes."""

SHOWN = 5
"""How many rows of a table are shown."""

IN_FILES = "What the files hold"
WITH_MODEL = "With --pred-probs"
"""Groups of options in the help."""


# --- errors and warnings --------------------------------------------------------------------------

BAD_INPUT = (
    ValueError,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    pl.exceptions.PolarsError,
)
UNFINISHED = (UnfinishedError, OSError, MemoryError)

IN_OPTIONS = {
    "pc.scan_annotations(log, example=..., annotator=..., label=...)": (
        "--example NAME --annotator NAME --label NAME"
    ),
    "pc.scan_pred_probs(probs, example=...)": "--probs-example NAME",
    "pc.scan_pred_probs(probs, classes=[...])": "--classes a,b,c",
    ", or map them: pc.scan_pred_probs(probs, classes={'column': class})": "",
    ", or map them: classes={'column': class}": "",
    "duplicates='first', 'last' or 'all'": "--duplicates first, last or all",
    "classes= declares": "--classes declares",
    "Cast one of them, so": "Convert one of the files (Parquet keeps the type of a column), so",
    "(pc.majority_vote)": "(leave out --pred-probs)",
}
"""What the library's errors advise to do in Python, as it is done here."""


@contextmanager
def told() -> Iterator[None]:
    """Errors become a message on stderr and an exit code, annotation warnings lines there.

    Other errors are bugs, and show where they are.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("always", AnnotationWarning)
        warnings.showwarning = _tell_warning(warnings.showwarning)
        try:
            yield
        except BrokenPipeError:  # nobody reads on; typer ends quietly
            raise
        except (*BAD_INPUT, *UNFINISHED) as error:
            tell(in_options(reason(error)))
            raise typer.Exit(2 if isinstance(error, BAD_INPUT) else 1) from None


def in_options(message: str) -> str:
    """A message of the library with its advice in options of the command line.

    >>> in_options("Say which to use: duplicates='first', 'last' or 'all' (each row counts).")
    'Say which to use: --duplicates first, last or all (each row counts).'
    """
    for in_python, here in IN_OPTIONS.items():
        message = message.replace(in_python, here)
    return message


def _tell_warning(show_other: Callable[..., None]) -> Callable[..., None]:
    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, AnnotationWarning):
            tell(f"warning: {message}")
        else:
            show_other(message, category, *where, **more)

    return show


def tell(message: str) -> None:
    print(f"polars-crowd: {message}", file=sys.stderr)


@contextmanager
def reading(paths: Sequence[str]) -> Iterator[None]:
    """Names the files in errors of Polars, which does not say what it could not read."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        raise AnnotationError(f"{', '.join(paths)}: {reason(error)}") from error


# --- what is shown --------------------------------------------------------------------------------


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Tells on stderr what is being done and for how long, if that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda step: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda step: bar.update(task, description=step)


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
    for header, dtype in zip(headers, frame.dtypes, strict=True):
        table.add_column(header, justify="right" if dtype.is_numeric() else "left", overflow="fold")
    for row in frame.iter_rows():
        table.add_row(*map(_cell, row))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


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


# --- demo -----------------------------------------------------------------------------------------


@told()
def demo() -> None:
    """See it work on a small dataset that comes with the package.

    Compares majority vote and CROWDLAB with the true labels,
    and shows the tables that CROWDLAB makes.

    Example:

      polars-crowd demo
    """
    data, console = pc.datasets.tutorial(), stdout()
    fit = pc.crowdlab(data.log, data.pred_probs)
    console.print(
        f"{data.truth.height} examples of {data.pred_probs.width - 1} classes, with "
        f"{data.log.height:,} labels by {data.log['annotator'].n_unique()} annotators, "
        "a model's predictions and the truth."
    )
    console.print("\nHow many consensus labels are true")
    for name, examples in (
        ("majority vote, from labels alone", pc.majority_vote(data.log)),
        ("CROWDLAB, from labels and model", fit.examples),
    ):
        right = count_true(examples, data.truth)
        share = right / data.truth.height
        console.print(f"  {name:<34}{share:.4f}  ({right} of {data.truth.height})")
    title = "examples: the consensus label of each, and how likely it is to be right"
    show(console, title, fit.examples.head(SHOWN).collect())
    title = "annotations: how likely each label given is to be right"
    show(console, title, fit.annotations.head(SHOWN).collect())
    title = "annotators: the worst first (A0046 to A0050 were made to err often)"
    show(console, title, fit.annotators.head(SHOWN))
    console.print(
        "\nNext, with your own files (Parquet, CSV, NDJSON or Arrow)\n"
        "  polars-crowd check LOG\n"
        "  polars-crowd consensus LOG --pred-probs PROBS --into DIR\n\n"
        "LOG has the columns example, annotator and label; PROBS has example and one\n"
        "column per class. Without a model, leave out --pred-probs for the majority vote.\n"
        "All options: polars-crowd consensus --help"
    )


def count_true(examples: pl.LazyFrame, truth: pl.DataFrame) -> int:
    """How many consensus labels equal the truth."""
    right = pl.col("consensus_label") == pl.col("label")
    joined = examples.join(truth.lazy(), on="example")
    return int(joined.select(right.sum()).collect().item())


# --- consensus ------------------------------------------------------------------------------------


@told()
def consensus(
    log: Annotated[
        list[str],
        typer.Argument(
            metavar="LOG",
            help="The annotations, a row each: files, globs or directories of Parquet, CSV, TSV, "
            "NDJSON or Arrow.",
            show_default=False,
        ),
    ],
    into: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the results go.", show_default=False)
    ],
    pred_probs: Annotated[
        list[str] | None,
        typer.Option(
            "--pred-probs",
            "-p",
            metavar="PROBS",
            help="A model's out-of-sample probabilities: example and a column per class. Repeat it "
            "for an ensemble. Without it the consensus is the majority vote.",
            show_default=False,
        ),
    ] = None,
    file_format: Annotated[
        Format, typer.Option("--format", help="Format of the results.")
    ] = "parquet",
    force: Annotated[bool, typer.Option("--force", help="Overwrite earlier results.")] = False,
    example: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The log's column of examples.", rich_help_panel=IN_FILES
        ),
    ] = "example",
    annotator: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The log's column of annotators.", rich_help_panel=IN_FILES
        ),
    ] = "annotator",
    label: Annotated[
        str,
        typer.Option(metavar="NAME", help="The log's column of labels.", rich_help_panel=IN_FILES),
    ] = "label",
    probs_example: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The column of examples in PROBS, if it is another than in the log.",
            rich_help_panel=IN_FILES,
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C",
            help="The classes in order, if they are not simply the columns of PROBS.",
            rich_help_panel=IN_FILES,
        ),
    ] = None,
    duplicates: Annotated[
        Duplicates,
        typer.Option(
            help="What counts where an annotator labelled an example more than once.",
            rich_help_panel=IN_FILES,
        ),
    ] = "error",
    consensus_method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD",
            help="best_quality (the default) or majority_vote. Given twice, the second one's "
            "columns are added to examples.",
            rich_help_panel=WITH_MODEL,
        ),
    ] = None,
    quality_method: Annotated[
        QualityMethod | None,
        typer.Option(
            metavar="METHOD",
            help="crowdlab (the default), or agreement: shares of votes without the model.",
            rich_help_panel=WITH_MODEL,
        ),
    ] = None,
    label_quality_method: Annotated[
        LabelQualityMethod | None,
        typer.Option(
            metavar="METHOD",
            help="self_confidence (the default), normalized_margin or confidence_weighted_entropy.",
            rich_help_panel=WITH_MODEL,
        ),
    ] = None,
    adjust_pred_probs: Annotated[
        bool,
        typer.Option(
            "--adjust-pred-probs",
            help="Adjust label scores for class imbalance.",
            rich_help_panel=WITH_MODEL,
        ),
    ] = False,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Fit the temperature of PROBS to the annotators' spread of labels first.",
            rich_help_panel=WITH_MODEL,
        ),
    ] = False,
) -> None:
    """Find the consensus label of every example, and the quality of labels and annotators.

    Writes the tables examples, annotations and annotators into DIR;
    without a model, the majority vote as examples only.

    Examples:

      polars-crowd consensus log.parquet -p probs.parquet --into out

      polars-crowd consensus log.csv --into out --format csv

      polars-crowd consensus 'logs/*.ndjson' -p a.parquet -p b.parquet --into out

      polars-crowd consensus log.csv --example task --annotator worker --into out
    """
    options = asked_for(
        consensus_method=consensus_method,
        quality_method=quality_method,
        label_quality_method=label_quality_method,
        adjust_pred_probs=adjust_pred_probs,
        calibrate=calibrate,
    )
    if not pred_probs:
        _refuse_without_model([*options, *asked_for(probs_example=probs_example)])
    order = [name.strip() for name in classes.split(",")] if classes else None
    names = [f"{table}.{file_format}" for table in (TABLES if pred_probs else TABLES[:1])]
    sources = [*log, *(pred_probs or [])]
    with progress() as step, reading(sources), whole_files(into, names, force=force) as paths:
        step("reading the annotations")
        annotations = open_log(log, example=example, annotator=annotator, label=label)
        _refuse_nested(annotations, file_format)
        fit = None
        if pred_probs:
            models = open_models(pred_probs, probs_example or example, order)
            step("weighing the annotators and the model")
            fit = pc.crowdlab(annotations, models, classes=order, duplicates=duplicates, **options)
            tables = tables_of(fit)
        else:
            vote = pc.majority_vote(annotations, classes=order, duplicates=duplicates)
            tables = [lambda: vote]
        for name, table in zip(names, tables, strict=True):
            step(f"writing {name}")
            sink(table(), paths[name], into / name)
    summarize(fit, [into / name for name in names])


def asked_for(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value}


def _refuse_without_model(options: list[str]) -> None:
    if options:
        given = ", ".join("--" + option.replace("_", "-") for option in options)
        raise typer.BadParameter(
            f"{given}: only with --pred-probs. Without a model the consensus is the majority vote."
        )


def _refuse_nested(log: pl.LazyFrame, file_format: Format) -> None:
    nested = [name for name, dtype in log.collect_schema().items() if dtype.is_nested()]
    if nested and file_format == "csv":
        raise AnnotationError(
            f"CSV cannot hold nested columns, and the log has {', '.join(nested)}. "
            "Use --format parquet, or drop them from the log."
        )


def open_log(paths: list[str], **names: str) -> pl.LazyFrame:
    with reading(paths):
        return pc.scan_annotations(paths[0] if len(paths) == 1 else paths, **names)


def open_models(paths: list[str], example: str, classes: list[str] | None) -> Any:
    """The pred_probs of a model, or a list of those of an ensemble."""
    models: list[PredProbs] = []
    for path in paths:
        with reading([path]):
            models.append(open_pred_probs(path, example=example, classes=classes))
    return models if len(models) > 1 else models[0]


def tables_of(fit: pc.Crowdlab) -> list[Callable[[], pl.LazyFrame]]:
    """TABLES of a result, each made when it is its turn to be written."""
    return [lambda: fit.examples, lambda: fit.annotations, lambda: fit.annotators.lazy()]


def summarize(fit: pc.Crowdlab | None, files: list[Path]) -> None:
    """What was found, and the files it is in, that of the examples first."""
    console = stdout()
    counts = written(files[0]).select(
        examples=pl.len(),
        annotations=pl.col("num_annotations").cast(pl.Int64).sum(),
        agreement=pl.col("annotator_agreement").mean(),
    )
    n_examples, n_annotations, agreement = counts.collect().row(0)
    size = f"{counted(n_examples, 'example')}, {counted(n_annotations, 'annotation')}"
    if fit is None:
        console.print(f"Majority vote: {size}")
    else:
        console.print(f"CROWDLAB: {size}, {counted(fit.annotators.height, 'annotator')}")
    for name, value in numbers_of(fit, agreement).items():
        console.print(f"  {name:<31}{value}")
    if fit is not None:
        show(console, "The worst annotators", fit.annotators.head(SHOWN))
    console.print("\nWritten")
    for file in files:
        console.print(f"  {file}  ({decimal(file.stat().st_size)})", soft_wrap=True)


def numbers_of(fit: pc.Crowdlab | None, agreement: float) -> dict[str, str]:
    """The single numbers of a result, by what they are."""
    numbers: dict[str, float | list[float] | None] = {"mean agreement with consensus": agreement}
    if fit is not None:
        quality = pl.col("consensus_quality_score").mean()
        numbers["mean consensus quality"] = fit.examples.select(quality).collect().item()
        numbers["model weight"] = fit.model_weight
        numbers["temperature"] = fit.temperature
    return {name: _number(value) for name, value in numbers.items() if value is not None}


def _number(value: float | list[float]) -> str:
    return f"{value:.4f}" if isinstance(value, float) else ", ".join(f"{v:.4f}" for v in value)


# --- check ----------------------------------------------------------------------------------------


@told()
def check(
    log: Annotated[
        list[str],
        typer.Argument(
            metavar="LOG", help="The annotations, as for consensus.", show_default=False
        ),
    ],
    example: Annotated[
        str, typer.Option(metavar="NAME", help="The log's column of examples.")
    ] = "example",
    annotator: Annotated[
        str, typer.Option(metavar="NAME", help="The log's column of annotators.")
    ] = "annotator",
    label: Annotated[
        str, typer.Option(metavar="NAME", help="The log's column of labels.")
    ] = "label",
) -> None:
    """Look for what is wrong with a log of annotations, and what is worth knowing.

    Exits with 1 if there are errors, which keep consensus from running;
    with 0 if there is nothing or only notes.

    Examples:

      polars-crowd check log.parquet

      polars-crowd check log.csv --example task --annotator worker --label answer
    """
    with progress() as step, reading(log):
        step("reading the annotations")
        findings = pc.check_annotations(
            open_rows(log, example=example, annotator=annotator, label=label)
        )
    console = stdout()
    for finding in findings.iter_rows(named=True):
        console.print(told_finding(finding) + "\n", soft_wrap=True)
    n_errors = findings.filter(severity="error").height
    n_notes = findings.height - n_errors
    console.print(f"{counted(n_errors, 'error')}, {counted(n_notes, 'note')}")
    if n_errors:
        raise typer.Exit(1)


def open_rows(paths: list[str], **names: str) -> pl.LazyFrame:
    """The log with the rows that have no label, which `scan_annotations` drops."""
    open_log(paths, **names)
    rows = open_frame(paths[0] if len(paths) == 1 else paths, "the log")
    return rows.select(pl.col(given).alias(name) for name, given in names.items())


def told_finding(finding: dict[str, Any]) -> str:
    """A row of `check_annotations` as text."""
    more = finding["count"] - len(finding["shown"])
    shown = ["; ".join(finding["shown"]) + (f"; ... ({more:,} more)" if more > 0 else "")]
    lines = [
        f"{finding['severity']}: {finding['finding']}: {finding['count']:,}",
        *(shown if finding["shown"] else []),
        in_options(finding["advice"]),
    ]
    return "\n  ".join(lines)


# --- the program ----------------------------------------------------------------------------------


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"polars-crowd {pc.__version__}")
        raise typer.Exit


def program(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Consensus labels, annotator quality and label quality from annotation logs.

    Start with: polars-crowd demo
    """


def app() -> typer.Typer:
    """The commands, for typer to run."""
    commands = typer.Typer(
        name="polars-crowd",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    commands.callback()(program)
    for command in (demo, consensus, check):
        commands.command()(command)
    return commands


def main() -> None:
    """Run the command line."""
    if not_installed:
        tell(f'{not_installed} is not installed; install it with: pip install "polars-crowd[cli]"')
        sys.exit(2)
    signal.signal(signal.SIGTERM, _terminated)
    app()(prog_name="polars-crowd")


def _terminated(*_: Any) -> None:
    """End as after an error, so that unfinished files are removed."""
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
