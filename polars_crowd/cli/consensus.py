"""`polars-crowd consensus`: a log in, the consensus labels and their quality out, as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

import polars_crowd as pc
from polars_crowd.cli import common, files
from polars_crowd.cli.common import asked_for, open_log, open_models, show, stdout, store_at
from polars_crowd.cli.files import sink, whole_files, written
from polars_crowd.cli.truth import told_files, write_truth
from polars_crowd.consensus.label_quality import LabelQualityMethod
from polars_crowd.consensus.model import QualityMethod
from polars_crowd.errors import AnnotationError, counted
from polars_crowd.store.store import AnnotationStore

TABLES = ("examples", "annotations", "annotators")
"""What `consensus` writes."""


DEFAULTS = {False: "majority-vote", True: "crowdlab"}
"""The methods by whether there is a model."""
WITH_MODEL = "With --pred-probs"
WITH_METHOD = "With --method"
"""Groups of options in the help."""


def method(help_text: str) -> Any:
    """An option that chooses among the methods of CROWDLAB."""
    return typer.Option(metavar="METHOD", help=help_text, rich_help_panel=WITH_MODEL)


Probs = Annotated[
    list[str] | None,
    common.probs_option("Without it the consensus is the majority vote."),
]
ConsensusMethods = Annotated[
    list[str] | None,
    method(
        "best_quality (the default) or majority_vote. Given twice, the second one's columns are "
        "added to examples."
    ),
]
Quality = Annotated[
    QualityMethod | None,
    method("crowdlab (the default), or agreement: shares of votes without the model."),
]
LabelQuality = Annotated[
    LabelQualityMethod | None,
    method("self_confidence (the default), normalized_margin or confidence_weighted_entropy."),
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
        metavar="FILE",
        help="Known labels (columns example, label), held fixed.",
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


@common.told()
def consensus(
    log: common.Log,
    into: common.Into,
    pred_probs: Probs = None,
    method: Name = None,
    file_format: common.Format = "parquet",
    force: common.Force = False,
    example: common.Example = "example",
    annotator: common.Annotator = "annotator",
    label: common.Label = "label",
    probs_example: common.ProbsExample = None,
    classes: common.Classes = None,
    duplicates: common.Duplicates = "error",
    consensus_method: ConsensusMethods = None,
    quality_method: Quality = None,
    label_quality_method: LabelQuality = None,
    adjust_pred_probs: Adjust = False,
    calibrate: Calibrate = False,
    gold: Gold = None,
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
    options = asked_for(
        consensus_method=consensus_method,
        quality_method=quality_method,
        label_quality_method=label_quality_method,
        adjust_pred_probs=adjust_pred_probs,
        calibrate=calibrate,
    )
    of_method: dict[str, Any] = {"gold": gold, "max_iter": max_iter, "tol": tol}
    of_method = {name: value for name, value in of_method.items() if value is not None}
    order = common.class_list(classes)
    kept = store_at(log)
    if executor and kept is None:
        raise typer.BadParameter("--executor: only for a store, whose partitions it works on.")
    if kept is not None and method in (None, DEFAULTS[bool(kept.n_models)]):
        _refuse([*of_method], "only with --method NAME.")
        of_files = asked_for(
            pred_probs=pred_probs,
            probs_example=probs_example,
            classes=classes,
            example=example != "example",
            annotator=annotator != "annotator",
            label=label != "label",
            duplicates=duplicates != "error",
            force=force,
            format=file_format != "parquet",
        )
        _refuse([*of_files], "not with a store, which has its own; its results are taken up.")
        consensus_of_store(kept, into, executor, options)
        return
    if method not in (None, DEFAULTS[bool(pred_probs)]):
        _refuse([*options], f"not with --method {method}.")
        with (
            common.progress() as step,
            common.reading([*log, *(pred_probs or [])]),
            common.executor_of(executor) as workers,
        ):
            step("reading the annotations")
            annotations: Any = kept
            if kept is None:
                annotations = open_log(log, example=example, annotator=annotator, label=label)
                of_method |= {"duplicates": duplicates, **asked_for(classes=order)}
            elif workers is not None:
                of_method["executor"] = workers
            if pred_probs:
                of_method["pred_probs"] = open_models(pred_probs, probs_example or example, order)
            write_truth(method, annotations, of_method, into, file_format, force, step)
        return
    _refuse([*of_method], "only with --method NAME.")
    if not pred_probs:
        _refuse(
            [*options, *asked_for(probs_example=probs_example)],
            "only with --pred-probs. Without a model the consensus is the majority vote.",
        )
    names = [f"{table}.{file_format}" for table in (TABLES if pred_probs else TABLES[:1])]
    sources = [*log, *(pred_probs or [])]
    with (
        common.progress() as step,
        common.reading(sources),
        whole_files(into, names, force=force) as paths,
    ):
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
    files = [into / name for name in names]
    summarize(fit, written(files[0]))
    told_files(files)


def consensus_of_store(
    kept: AnnotationStore, into: Path, executor: str | None, options: dict[str, Any]
) -> None:
    """The consensus of a store, its results a Parquet file per partition."""
    if not kept.n_models:
        _refuse(
            [*options], "only for a store with pred_probs. Without, the majority vote is taken."
        )
    with common.executor_of(executor) as workers:
        how: dict[str, Any] = {
            "into": into,
            "executor": workers,
            "progress": common.on_a_terminal(),
        }
        if kept.n_models:
            fit = pc.crowdlab(kept, **options, **how)
            summarize(fit, fit.examples)
        else:
            summarize(None, pc.majority_vote(kept, **how))
    told_files(sorted(into.rglob("*.parquet")))


def _refuse(options: list[str], why: str) -> None:
    if options:
        given = ", ".join("--" + option.replace("_", "-") for option in options)
        raise typer.BadParameter(f"{given}: {why}")


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
