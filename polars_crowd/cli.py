"""The command line: `polars-crowd demo`, `polars-crowd consensus`."""

# typer reads the annotations of the commands when they run
# ruff: noqa: TC001, TC003

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import polars as pl

import polars_crowd as pc
from polars_crowd.checks import Duplicates
from polars_crowd.crowdlab import ConsensusMethod, QualityMethod
from polars_crowd.errors import AnnotationError, AnnotationWarning, counted
from polars_crowd.label_quality import LabelQualityMethod
from polars_crowd.log import PredProbs, open_frame, open_pred_probs
from polars_crowd.output import Format, UnfinishedError, reason, sink, whole_files

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
    "(pc.majority_vote)": "(leave out --pred-probs)",
}
"""What the library's errors advise to do in Python, as it is done here."""


# --- errors and warnings ---------------------------------------------------------------------------


@contextmanager
def told() -> Iterator[None]:
    """Errors as one message on stderr and an exit code; warnings about annotations as lines there."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", AnnotationWarning)
        warnings.showwarning = _tell_warning(warnings.showwarning)
        try:
            yield
        except BrokenPipeError:  # nobody reads on; typer ends quietly
            raise
        except (
            ValueError,
            OSError,
            pl.exceptions.PolarsError,
            UnfinishedError,
            MemoryError,
        ) as error:
            message = reason(error) or type(error).__name__
            _tell(in_options(message))
            raise typer.Exit(exit_code(error)) from None


def exit_code(error: Exception) -> int:
    """2 for input that cannot be used, 1 for a run that could not be finished."""
    of_input = (
        ValueError,
        FileNotFoundError,
        PermissionError,
        FileExistsError,
        IsADirectoryError,
        NotADirectoryError,
        pl.exceptions.PolarsError,
    )
    return 2 if isinstance(error, of_input) else 1


def in_options(message: str) -> str:
    """A message of the library with its advice in options of the command line.

    >>> in_options("Say which to use: duplicates='first', 'last' or 'all' (each row counts).")
    'Say which to use: --duplicates first, last or all (each row counts).'
    """
    for in_python, here in IN_OPTIONS.items():
        message = message.replace(in_python, here)
    return message


def _tell_warning(show_others: Callable[..., None]) -> Callable[..., None]:
    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, AnnotationWarning):
            _tell(f"warning: {message}")
        else:
            show_others(message, category, *where, **more)

    return show


def _tell(message: str) -> None:
    print(f"polars-crowd: {message}", file=sys.stderr)


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Polars does not say which file it could not read."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        raise AnnotationError(f"cannot read {path}: {reason(error)}") from error


# --- what is shown ---------------------------------------------------------------------------------


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Says on stderr what is being done, if that is a terminal."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda step: bar.update(task, description=step)


def stdout() -> Console:
    return Console(markup=False, emoji=False, highlight=False)


def show(console: Console, title: str, frame: pl.DataFrame) -> None:
    """A frame as a table, with headers over two lines if it is too wide otherwise."""
    table = _table(frame, frame.columns)
    if console.measure(table).minimum > console.width:
        table = _table(frame, [_in_two_lines(c) for c in frame.columns])
    console.print(f"\n{title}")
    console.print(table)


def _table(frame: pl.DataFrame, headers: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for header, dtype in zip(headers, frame.dtypes, strict=True):
        number = dtype.is_numeric()
        table.add_column(header, justify="right" if number else "left", overflow="fold")
    for row in frame.iter_rows():
        table.add_row(*map(_cell, row))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _in_two_lines(name: str) -> str:
    """A column's name broken at the underscore nearest to its middle, if it is long.

    >>> _in_two_lines("agreement_with_consensus")
    'agreement_\\nwith_consensus'
    """
    breaks = [i + 1 for i, letter in enumerate(name) if letter == "_"]
    if len(name) < 12 or not breaks:
        return name
    at = min(breaks, key=lambda i: abs(len(name) - 2 * i))
    return f"{name[:at]}\n{name[at:]}"


# --- demo ------------------------------------------------------------------------------------------


@told()
def demo() -> None:
    """Run the library on a small dataset that comes with it.

    Majority vote and CROWDLAB are compared with the true labels, and the tables that CROWDLAB makes
    are shown.
    """
    data, console = pc.datasets.tutorial(), stdout()
    fit = pc.crowdlab(data.log, data.pred_probs)
    console.print(
        f"The data: {data.truth.height} examples of {data.pred_probs.width - 1} classes, "
        f"{data.log.height:,} labels by {data.log['annotator'].n_unique()} annotators, a model's "
        "pred_probs, and the truth."
    )
    console.print("\nConsensus labels that are true:")
    for name, examples in (
        ("majority vote (labels only)", pc.majority_vote(data.log)),
        ("CROWDLAB (labels and model)", fit.examples),
    ):
        right = count_true(examples, data.truth)
        share = right / data.truth.height
        console.print(f"  {name}   {share:.4f}   {right} of {data.truth.height}")
    title = "examples: the consensus label of each, and how likely it is right"
    show(console, title, fit.examples.head(SHOWN).collect())
    title = "annotations: how likely each label is right"
    show(console, title, fit.annotations.head(SHOWN).collect())
    title = "annotators, the worst first (A0046 to A0050 were made to err often)"
    show(console, title, fit.annotators.head(SHOWN))
    console.print(
        "\nNext, on your own files (Parquet, CSV, NDJSON or Arrow):\n"
        "  polars-crowd consensus LOG --pred-probs PROBS --into DIR\n"
        "LOG has the columns example, annotator, label; PROBS has example and one column\n"
        "per class. No model? Leave out --pred-probs for the majority vote.\n"
        "More: polars-crowd consensus --help"
    )


def count_true(examples: pl.LazyFrame, truth: pl.DataFrame) -> int:
    """How many consensus labels equal the truth."""
    right = pl.col("consensus_label") == pl.col("label")
    joined = examples.join(truth.lazy(), on="example")
    return int(joined.select(right.sum()).collect().item())


# --- consensus -------------------------------------------------------------------------------------


@told()
def consensus(
    log: Annotated[
        list[str],
        typer.Argument(
            metavar="LOG...",
            help="The annotations, one row each: files, globs or directories of Parquet, CSV, TSV, "
            "NDJSON or Arrow.",
            show_default=False,
        ),
    ],
    into: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Where the results go; made if needed.", show_default=False
        ),
    ],
    pred_probs: Annotated[
        list[str] | None,
        typer.Option(
            "--pred-probs",
            "-p",
            metavar="PROBS",
            help="A model's out-of-sample class probabilities: example and one column per class. Give "
            "it several times for an ensemble. Without it the consensus is the majority vote.",
            show_default=False,
        ),
    ] = None,
    example: Annotated[
        str, typer.Option(metavar="NAME", help="The log's column of examples.")
    ] = "example",
    annotator: Annotated[
        str, typer.Option(metavar="NAME", help="The log's column of annotators.")
    ] = "annotator",
    label: Annotated[
        str, typer.Option(metavar="NAME", help="The log's column of labels.")
    ] = "label",
    probs_example: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The column of examples in pred_probs.",
            show_default="the name given by --example",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C",
            help="The classes, in order.",
            show_default="the columns of pred_probs",
        ),
    ] = None,
    duplicates: Annotated[
        Duplicates,
        typer.Option(
            help="Where an annotator labelled an example more than once: fail, or count these."
        ),
    ] = "error",
    consensus_method: Annotated[
        list[ConsensusMethod] | None,
        typer.Option(
            help="How the consensus is chosen. Given twice, the second adds columns to examples.",
            show_default="best_quality",
        ),
    ] = None,
    quality_method: Annotated[
        QualityMethod | None,
        typer.Option(help="Quality by CROWDLAB, or by shares of votes.", show_default="crowdlab"),
    ] = None,
    label_quality_method: Annotated[
        LabelQualityMethod | None,
        typer.Option(help="How labels are scored.", show_default="self_confidence"),
    ] = None,
    adjust_pred_probs: Annotated[
        bool, typer.Option("--adjust-pred-probs", help="Adjust label scores for class imbalance.")
    ] = False,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Scale the model's temperature to the annotators' spread."
        ),
    ] = False,
    file_format: Annotated[
        Format, typer.Option("--format", help="Format of the results.")
    ] = "parquet",
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite results that are there already.")
    ] = False,
) -> None:
    """Consensus labels, label quality and annotator quality of a log of annotations.

    Writes examples, annotations and annotators (by majority vote: examples only) into DIR, each file
    whole or not at all.

    Examples:

      polars-crowd consensus log.parquet -p probs.parquet --into results

      polars-crowd consensus log.csv --into results --format csv

      polars-crowd consensus 'logs/*.ndjson' -p model_a.parquet -p model_b.parquet --into results

      polars-crowd consensus log.csv --example task --annotator worker --label answer --into results
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
    with progress() as step, whole_files(into, names, force=force) as paths:
        step("reading the annotations")
        annotations = open_log(log, example=example, annotator=annotator, label=label)
        _refuse_nested(annotations, file_format)
        if pred_probs:
            models = open_models(pred_probs, probs_example or example, order)
            step("weighing the annotators and the model")
            fit = pc.crowdlab(annotations, models, classes=order, duplicates=duplicates, **options)
            tables = tables_of(fit)
        else:
            fit = None
            tables = [lambda: pc.majority_vote(annotations, classes=order, duplicates=duplicates)]
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
            f"{given} needs --pred-probs; without a model the consensus is the majority vote."
        )


def _refuse_nested(log: pl.LazyFrame, file_format: Format) -> None:
    nested = [name for name, dtype in log.collect_schema().items() if dtype.is_nested()]
    if nested and file_format == "csv":
        raise AnnotationError(
            f"CSV cannot hold nested columns, and the log has {', '.join(nested)}. "
            "Use --format parquet, or drop them from the log."
        )


def open_log(paths: list[str], **names: str) -> pl.LazyFrame:
    with reading(", ".join(paths)):
        return pc.scan_annotations(paths[0] if len(paths) == 1 else paths, **names)


def open_models(paths: list[str], example: str, classes: list[str] | None) -> Any:
    """The pred_probs of a model, or the list of those of an ensemble."""
    models: list[PredProbs] = []
    for path in paths:
        with reading(path):
            models.append(open_pred_probs(path, example=example, classes=classes))
    return models if len(models) > 1 else models[0]


def tables_of(fit: pc.Crowdlab) -> list[Callable[[], pl.LazyFrame]]:
    """TABLES of a result, each made when it is its turn to be written."""
    return [lambda: fit.examples, lambda: fit.annotations, lambda: fit.annotators.lazy()]


def summarize(fit: pc.Crowdlab | None, files: list[Path]) -> None:
    """What was found, and the files it is in, the examples' first."""
    console = stdout()
    counts = open_frame(files[0], "examples").select(
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
        console.print(f"  {name:<32}{value}")
    if fit is not None:
        show(console, "The worst annotators", fit.annotators.head(SHOWN))
    console.print("\nWritten")
    for file in files:
        console.print(f"  {file}  {decimal(file.stat().st_size)}", soft_wrap=True)


def numbers_of(fit: pc.Crowdlab | None, agreement: float) -> dict[str, str]:
    """Single numbers of a result, by what they are."""
    numbers = {"mean agreement with consensus": agreement}
    if fit is not None:
        quality = fit.examples.select(pl.col("consensus_quality_score").mean()).collect().item()
        numbers |= {
            "mean consensus quality": quality,
            "model weight": fit.model_weight,
            "temperature of pred_probs": fit.temperature,
        }
    return {name: _number(value) for name, value in numbers.items() if value is not None}


def _number(value: float | list[float]) -> str:
    return f"{value:.4f}" if isinstance(value, float) else ", ".join(f"{v:.4f}" for v in value)


# --- the program -----------------------------------------------------------------------------------


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
    """Consensus labels, annotator quality and label quality from annotation logs."""


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
    for command in (demo, consensus):
        commands.command()(command)
    return commands


def main() -> None:
    """Run the command line."""
    if not_installed:
        _tell(f'{not_installed} is not installed; install it with: pip install "polars-crowd[cli]"')
        sys.exit(2)
    app()()


if __name__ == "__main__":
    main()
