"""`polars-crowd consensus`: a log in, the consensus labels and their quality out, as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

import polars as pl
import typer

import polars_crowd as pc
from polars_crowd.cli import common, files
from polars_crowd.cli.common import alike, asked_for, show, stdout
from polars_crowd.cli.files import sink, whole_files, written
from polars_crowd.cli.inputs import Input, refuse
from polars_crowd.cli.reading import columns, reads, text
from polars_crowd.cli.truth import told_files, write_truth
from polars_crowd.consensus.label_quality import LabelQualityMethod
from polars_crowd.consensus.model import ConsensusMethod, QualityMethod
from polars_crowd.consensus.options import check_model
from polars_crowd.errors import AnnotationError, counted
from polars_crowd.store.store import AnnotationStore

TABLES = ("examples", "annotations", "annotators")
"""What `consensus` writes."""


DEFAULTS = {False: "majority-vote", True: "crowdlab"}
"""The methods by whether there is a model."""
OWN = tuple(DEFAULTS.values())
"""Those that are not of truth inference."""
NO_MODEL = (
    "only with a model (--pred-probs, or in the store). Without one the majority vote is taken."
)
WITH_MODEL = "With --pred-probs"
WITH_METHOD = "With --method"
"""Groups of options in the help."""


def method(allowed: Any, help_text: str) -> Any:
    """An option that chooses among the methods of CROWDLAB."""
    among = alike(get_args(allowed))
    return typer.Option(metavar="METHOD", help=help_text, rich_help_panel=WITH_MODEL, parser=among)


Probs = Annotated[
    list[str] | None,
    common.probs_option("Without it the consensus is the majority vote."),
]
ConsensusMethods = Annotated[
    list[str] | None,
    method(
        ConsensusMethod,
        "best_quality (the default) or majority_vote. Given twice, the second one's columns are "
        "added to examples.",
    ),
]
Quality = Annotated[
    QualityMethod | None,
    method(
        QualityMethod, "crowdlab (the default), or agreement: shares of votes without the model."
    ),
]
LabelQuality = Annotated[
    LabelQualityMethod | None,
    method(
        LabelQualityMethod,
        "self_confidence (the default), normalized_margin or confidence_weighted_entropy.",
    ),
]
Adjust = Annotated[
    bool,
    typer.Option(
        "--adjust-pred-probs",
        help="Adjust label scores for class imbalance.",
        rich_help_panel=WITH_MODEL,
    ),
]
Calibrate = Annotated[
    bool,
    typer.Option(
        "--calibrate",
        help="Fit the temperature of PROBS to the annotators' spread of labels first.",
        rich_help_panel=WITH_MODEL,
    ),
]


Name = Annotated[
    str | None,
    typer.Option(
        "--method",
        "-m",
        metavar="NAME",
        help="Another method: dawid-skene, one-coin-dawid-skene, ibcc, glad, mace, ...; for labels that are "
        "numbers mean, median, crh, catd, gaussian. A wrong name shows them all.",
        show_default=False,
    ),
]
Gold = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|COL",
        help="Known labels, held fixed: a file whose columns are called as in the log (or example, label), "
        "or a column of the log.",
        rich_help_panel=WITH_METHOD,
        show_default=False,
    ),
]
MaxIter = Annotated[
    int | None,
    typer.Option(
        help="How many iterations at most.", rich_help_panel=WITH_METHOD, show_default=False
    ),
]
Tol = Annotated[
    float | None,
    typer.Option(
        help="Stop when an iteration gains less than this share of the objective.",
        rich_help_panel=WITH_METHOD,
        show_default=False,
    ),
]


@common.told
@reads(columns, text)
def consensus(
    call: typer.Context,
    log: common.Log,
    into: common.Into,
    pred_probs: Probs = None,
    method: Name = None,
    file_format: common.Format = "parquet",
    force: common.Force = False,
    probs_example: common.ProbsExample = None,
    classes: common.Classes = None,
    duplicates: common.Duplicates = "error",
    consensus_method: ConsensusMethods = None,
    quality_method: Quality = None,
    label_quality_method: LabelQuality = None,
    adjust_pred_probs: Adjust = False,
    calibrate: Calibrate = False,
    gold: Gold = None,
    truth_label: common.TruthLabel = None,
    max_iter: MaxIter = None,
    tol: Tol = None,
    executor: common.Executor = None,
) -> None:
    """Find the consensus label of every example, and the quality of labels and annotators.

    Writes the tables examples, annotations and annotators into DIR;
    without a model, the majority vote as examples only. With --method NAME truth
    inference instead: examples, posterior, annotators, and more that the method has.

    LOG may be a store (polars-crowd store create). Then examples and annotations are directories of
    Parquet files, one for each partition, and a run that was interrupted is taken up again
    by the same command; partitions are worked on by --executor.

    Examples:

      polars-crowd consensus log.parquet -p probs.parquet --into out

      polars-crowd consensus log.csv --into out --format csv

      polars-crowd consensus 'logs/*.ndjson' -p a.parquet -p b.parquet --into out

      polars-crowd consensus log.csv --example task --annotator worker --into out

      polars-crowd consensus log.parquet --method dawid-skene --gold gold.csv --into out

      polars-crowd consensus votes --executor processes:4 --into out
    """
    of_crowdlab = asked_for(
        consensus_method=consensus_method,
        quality_method=quality_method,
        label_quality_method=label_quality_method,
        adjust_pred_probs=adjust_pred_probs,
        calibrate=calibrate,
    )
    of_method: dict[str, Any] = {"gold": gold, "max_iter": max_iter, "tol": tol}
    of_method["truth_label"] = truth_label
    of_method = {name: value for name, value in of_method.items() if value is not None}
    log_given = Input.of(call)
    store = log_given.store
    has_model = bool(pred_probs) or (store is not None and store.n_models > 0)
    name = (method or DEFAULTS[has_model]).replace("_", "-")
    if name != "crowdlab":
        why = f"not with --method {name}." if method else NO_MODEL
        refuse(call, of_crowdlab, why)
    if name not in OWN:
        with common.executor_of(executor) as workers, log_given.reading(gold):
            more = asked_for(executor=workers)
            write_truth(call, name, log_given, of_method | more, into, file_format, force)
        return
    refuse(call, of_method, "only with --method NAME, of a method that has it.")
    check_model(has_model or name != "crowdlab")
    if store is not None:
        refuse(call, ["force", "file_format"], "not with a store, whose results are taken up.")
        with common.executor_of(executor) as workers:
            consensus_of_store(store, name, into, workers, of_crowdlab)
    else:
        consensus_of_files(log_given, name, into, file_format, force, of_crowdlab)


def consensus_of_files(
    given: Input,
    name: str,
    into: Path,
    file_format: files.Format,
    force: bool,
    options: dict[str, Any],
) -> None:
    """The consensus of a log in files, a file per table."""
    is_crowdlab = name == "crowdlab"
    names = [f"{table}.{file_format}" for table in (TABLES if is_crowdlab else TABLES[:1])]
    with (
        common.progress() as step,
        given.reading(),
        whole_files(into, names, force=force) as paths,
    ):
        step("reading the annotations")
        annotations = given.annotations()
        _refuse_nested(annotations, file_format)
        models, fit = given.models(), None
        if is_crowdlab:
            step("weighing the annotators and the model")
            fit = pc.crowdlab(annotations, models, **given.options, **options)
            tables = tables_of(fit)
        else:
            vote = pc.majority_vote(annotations, models, **given.options)
            tables = [lambda: vote]
        for file, table in zip(names, tables, strict=True):
            step(f"writing {file}")
            sink(table(), paths[file], into / file)
    made = [into / file for file in names]
    summarize(fit, written(made[0]))
    told_files(made)


def consensus_of_store(
    store: AnnotationStore, name: str, into: Path, workers: Any, options: dict[str, Any]
) -> None:
    """The consensus of a store, its results a Parquet file per partition."""
    how: dict[str, Any] = {
        "into": into,
        "executor": workers,
        "progress": common.on_a_terminal(),
    }
    if name == "crowdlab":
        fit = pc.crowdlab(store, **options, **how)
        summarize(fit, fit.examples)
    else:
        summarize(None, pc.majority_vote(store, **how))
    told_files(sorted(into.rglob("*.parquet")))


def _refuse_nested(log: pl.LazyFrame, file_format: files.Format) -> None:
    nested = [name for name, dtype in log.collect_schema().items() if dtype.is_nested()]
    if nested and file_format == "csv":
        raise AnnotationError(
            f"CSV cannot hold nested columns, and the log has {', '.join(nested)}. "
            "Use --format parquet, or drop them from the log."
        )


def tables_of(fit: pc.Crowdlab) -> list[Callable[[], pl.LazyFrame]]:
    """TABLES of a result, each made when it is its turn to be written."""
    return [lambda: fit.examples, lambda: fit.annotations, lambda: fit.annotators.lazy()]


def summarize(fit: pc.Crowdlab | None, examples: pl.LazyFrame) -> None:
    """What was found."""
    console = stdout()
    counts = examples.select(
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
        show(console, "The worst annotators", fit.annotators.head(common.SHOWN))


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
