"""`polars-crowd consensus`: a log in, the consensus labels and their quality out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, get_args

import polars as pl
import typer

import polars_crowd as pc
from polars_crowd.cli import common
from polars_crowd.cli.common import asked_for, one_of, progress
from polars_crowd.cli.files import directory_for, out_of, tables, tables_in, write_tables
from polars_crowd.cli.inputs import Input, refuse
from polars_crowd.cli.output import MOST, SHOWN, Answer, Block, aside, written
from polars_crowd.cli.reading import columns, completing, option, reads, text
from polars_crowd.consensus.label_quality import LabelQualityMethod
from polars_crowd.consensus.model import ConsensusMethod, QualityMethod
from polars_crowd.consensus.options import check_model
from polars_crowd.errors import counted, shown
from polars_crowd.inputs.tables import log_and_labels
from polars_crowd.reports import FEW, Heads, header
from polars_crowd.rounds.contents import plain
from polars_crowd.rounds.results import Fit
from polars_crowd.truth.evaluation.judged import judged_labels, judged_numbers
from polars_crowd.truth.options import Confidence
from polars_crowd.truth.registry import METHODS, Method

NAMES = {
    name.replace("_", "-"): method
    for name, method in METHODS.items()
    if method.labels in ("classes", "numbers")
}
"""The methods of truth inference."""
OPTIONS = frozenset(
    {"pred_probs", "classes", "gold", "max_iter", "tol", "executor", "memory_limit", "confidence"}
)
"""Options of the command that some methods have."""
DEFAULTS = {False: "majority-vote", True: "crowdlab"}
"""The methods by whether there is a model."""
TABLES = {"majority-vote": ("examples",), "crowdlab": pc.Crowdlab.TABLES}
"""What they give."""
KEYED = ("examples", "annotations", "annotators")
"""Tables with columns of the log."""
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
    given = {"metavar": "METHOD", "panel": WITH_MODEL}
    return one_of(get_args(allowed), help_text, **given)


Probs = Annotated[
    list[str] | None, common.probs_option("Without it the consensus is the majority vote.")
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
    option(
        "Adjust label scores for class imbalance.", None, "--adjust-pred-probs", panel=WITH_MODEL
    ),
]
Calibrate = Annotated[
    bool,
    option(
        "Fit the temperature of PROBS to the annotators' spread of labels first.",
        None,
        "--calibrate",
        panel=WITH_MODEL,
    ),
]


Name = Annotated[
    str | None,
    option(
        "Another method: dawid-skene, one-coin-dawid-skene, ibcc, glad, mace, ...; for labels that are "
        "numbers mean, median, crh, catd, gaussian. A wrong name shows them all.",
        "NAME",
        "--method",
        "-m",
        autocompletion=completing([*OWN, *NAMES]),
    ),
]
Gold = Annotated[
    str | None,
    option(
        "Known labels, held fixed: a file whose columns are called as in the log (or example, label), "
        "or a column of the log.",
        "FILE|COL",
        panel=WITH_METHOD,
    ),
]
MaxIter = Annotated[int | None, option("How many iterations at most.", panel=WITH_METHOD)]
ConfidenceOption = Annotated[
    str | None,
    one_of(
        get_args(Confidence),
        "How sure posteriors are: cautious (the default), loo (as predicts labels left out best) or model "
        "(as the method has them).",
        metavar="HOW",
        panel=WITH_METHOD,
    ),
]
Tol = Annotated[
    float | None,
    option(
        "Stop when an iteration gains less than this share of the objective.", panel=WITH_METHOD
    ),
]


@common.told
@reads(tables, columns, text)
def consensus(
    call: typer.Context,
    log: common.Log,
    pred_probs: Probs = None,
    method: Name = None,
    probs_example: common.ProbsExample = None,
    classes: common.Classes = None,
    duplicates: common.Duplicates = "error",
    consensus_method: ConsensusMethods = None,
    quality_method: Quality = None,
    label_quality_method: LabelQuality = None,
    adjust_pred_probs: Adjust = False,
    calibrate: Calibrate = False,
    gold: Gold = None,
    truth: common.Truth = None,
    truth_label: common.TruthLabel = None,
    max_iter: MaxIter = None,
    tol: Tol = None,
    confidence: ConfidenceOption = None,
    executor: common.Executor = None,
    memory_limit: common.MemoryLimit = None,
) -> Answer:
    """Find the consensus label of every example, and the quality of labels and annotators.

    Without a model it is the majority vote, the table examples. With one, CROWDLAB: the tables
    examples, annotations, posterior and annotators. With --method NAME, truth inference: these four,
    trace, and class_prior, confusion or difficulty where the method has them.

    Tables are written into DIR, with results.json, by which pc.open_results opens them in Python.

    LOG may be a store (polars-crowd store create). Then tables of CROWDLAB and of the majority vote are
    Parquet files, one for each partition, and a run that was interrupted is taken up again by the same
    command; partitions are worked on by --executor.

    Examples:

      polars-crowd consensus log.parquet -p probs.parquet --out results

      polars-crowd consensus log.csv --out results --out-format csv

      polars-crowd consensus 'logs/*.jsonl' -p a.parquet -p b.parquet -o results

      polars-crowd consensus log.csv --example task --label answer --format json

      polars-crowd consensus log.parquet -m dawid-skene --gold gold.csv -o results

      polars-crowd consensus log.parquet -m blend --truth truth.csv

      gunzip -c log.csv.gz | polars-crowd consensus - --out - > examples.csv

      polars-crowd consensus votes --executor processes:4 --out results
    """
    of_crowdlab = asked_for(
        consensus_method=consensus_method,
        quality_method=quality_method,
        label_quality_method=label_quality_method,
        adjust_pred_probs=adjust_pred_probs,
        calibrate=calibrate,
    )
    of_method: dict[str, Any] = {"gold": gold, "max_iter": max_iter, "tol": tol}
    of_method |= {"memory_limit": memory_limit, "confidence": confidence}
    of_method |= {"truth_label": truth_label} if truth is None or gold is not None else {}
    of_method = {name: value for name, value in of_method.items() if value is not None}
    given = Input.of(call)
    store = given.store
    has_model = bool(pred_probs) or (store is not None and store.n_models > 0)
    name = (method or DEFAULTS[has_model]).replace("_", "-")
    if name != "crowdlab":
        refuse(call, of_crowdlab, f"not with --method {name}." if method else NO_MODEL)
    if name in OWN:
        refuse(call, of_method, "only with --method NAME, of a method that has it.")
        check_model(has_model or name != "crowdlab")
    else:
        without_effect = OPTIONS - method_of(name).options
        more = {"truth_label"} if "gold" in without_effect else set()
        refuse(call, without_effect | more, f"not with --method {name}.")
        known = given.labels(gold, "gold", of_method.pop("truth_label", None))
        of_method |= {} if known is None else {"gold": known}
    judged = given.labels(truth, "truth", truth_label if truth is not None else None)
    taken_up = store is not None and name in OWN
    if taken_up:
        refuse(call, ["force", "out_format"], "not with a store, whose results are taken up.")
        out = out_of(call)
        place = None if out == common.STDOUT else out
    else:
        place = directory_for(call, TABLES.get(name) or method_of(name).tables)
    with progress() as step, given.reading(gold, truth), common.executor_of(executor) as workers:
        step("reading the annotations")
        log_, models = given.annotations(), given.models()
        options = given.options | asked_for(executor=workers)
        if taken_up:
            options |= {"progress": common.on_a_terminal()} | asked_for(into=place)
        step(f"running {name}")
        fit = fit_of(name, log_, models, {**options, **of_crowdlab, **of_method})
        examples = fit.examples
        if place is not None and not taken_up:
            step(f"writing into {place}")
            keyed = [getattr(fit, table) for table in KEYED if table in fit.TABLES]
            write_tables(call, place, fit, given.theirs(*keyed))
            if call.params["out_format"] != "xlsx":
                examples = pc.open_results(place).examples
        scores = {} if judged is None else scores_of(fit, examples, log_, judged)
        renamed = examples.rename(given.theirs(examples))
        return answer_of(fit, renamed, given, scores, tables_in(place))


def method_of(name: str) -> Method:
    """The method of truth inference of a name."""
    method = NAMES.get(name)
    if method is None:
        raise typer.BadParameter(f"--method {name}: it must be one of {shown([*OWN, *NAMES], 30)}.")
    return method


def fit_of(name: str, log: Any, models: Any, options: Mapping[str, Any]) -> Any:
    """What a method finds out."""
    if name == "majority-vote":
        return Vote(pc.majority_vote(log, models, **options), log)
    if name == "crowdlab":
        return pc.crowdlab(log, models, **options)
    return method_of(name).function(log, **options, **asked_for(pred_probs=models))


def scores_of(fit: Any, examples: pl.LazyFrame, log: Any, truth: Any) -> dict[str, float]:
    """What known labels say of the consensus."""
    found = examples.select("example", "consensus_label").collect()
    _, known = log_and_labels(log, truth, "truth")
    if isinstance(fit, pc.NumericTruth):
        return judged_numbers(found, known)
    rounds = getattr(fit, "_rounds", None)
    classes = fit.classes if rounds is None else rounds.book.classes
    return judged_labels(found, known, pl.Series(classes))


class Vote(Fit):
    """The majority vote, as a result that can be written like others."""

    TABLES: ClassVar[tuple[str, ...]] = ("examples",)
    HEADS: ClassVar[Heads] = {"examples": ("examples", FEW)}
    method = "Majority vote"

    def __init__(self, examples: pl.LazyFrame, log: Any) -> None:
        self.examples = examples
        self._log = log

    @property
    def _rows(self) -> pl.LazyFrame:
        return self._log if isinstance(self._log, pl.LazyFrame) else self._log.scan_annotations()

    @cached_property
    def annotators(self) -> pl.DataFrame:
        """Those who voted."""
        return self._rows.select(pl.col("annotator").unique()).collect()

    @property
    def classes(self) -> pl.Series:
        """The labels that there are."""
        labels = self._rows.select(pl.col("label").unique().sort()).collect()
        return labels["label"].drop_nulls()

    @cached_property
    def _size(self) -> tuple[int, int]:
        numbers = numbers_of(self.examples)
        return numbers["num_examples"], numbers["num_annotations"]

    def _header(self) -> str:
        (n_examples, n_annotations), n_annotators = self._size, self.annotators.height
        sizes = {"example": n_examples, "annotator": n_annotators, "annotation": n_annotations}
        return header(self.method, sizes)


# --- the answer ------------------------------------------------------------------------------------


def answer_of(
    fit: Any,
    examples: pl.LazyFrame,
    given: Input,
    scores: Mapping[str, float],
    files: Sequence[Path] = (),
) -> Answer:
    """A fit with its examples, and the files it was written into, if any."""
    annotators = fit.annotators.rename(given.theirs(fit.annotators))
    own = {"annotators": annotators} if "annotators" in fit.TABLES else {}
    found = {"files": list(map(str, files))} if files else {"examples": examples}

    def document() -> dict[str, Any]:
        values = {name: plain(getattr(fit, name)) for name in fit.VALUES}
        sizes = {"num_annotators": annotators.height, **numbers_of(examples)}
        of_truth = {"truth": dict(scores)} if scores else {}
        return {"method": fit.method, **sizes, **values, **of_truth, **found, **own}

    def report() -> Iterator[Block]:
        numbers = numbers_of(examples)
        means = {name: value for name, value in numbers.items() if name.startswith("mean")}
        yield aside(fit._header())
        for name, value in {**means, **weights_of(fit)}.items():
            yield aside(f"  {name.replace('_', ' '):<31}{_number(value)}")
        for name, score in in_words(scores).items():
            yield aside(f"  {name:<31}{score}")
        if not files:
            n = numbers["num_examples"]
            yield Block("Examples", examples.head(MOST).collect(), total=n)
        if own:
            yield aside("The worst annotators", annotators.head(SHOWN))
        if files:
            yield written(files)

    return Answer(examples, report, document)


def in_words(scores: Mapping[str, float]) -> dict[str, str]:
    """What known labels say, a line each.

    >>> in_words({"accuracy": 0.9, "ci_low": 0.8, "ci_high": 0.95, "num_compared": 120})
    {'accuracy': '0.9000 (0.8000 to 0.9500, on 120 known labels)'}
    """
    if not scores:
        return {}
    known = f"on {counted(int(scores['num_compared']), 'known label')}"
    if "accuracy" in scores:
        low, high = scores["ci_low"], scores["ci_high"]
        return {"accuracy": f"{scores['accuracy']:.4f} ({low:.4f} to {high:.4f}, {known})"}
    errors = {name: value for name, value in scores.items() if name.endswith("error")}
    return {name.replace("_", " "): f"{value:.4f} ({known})" for name, value in errors.items()}


def numbers_of(examples: pl.LazyFrame) -> dict[str, Any]:
    """How many examples and annotations there are, and the means of scores."""
    there = examples.collect_schema().names()
    means = [
        pl.col(name).mean().alias(f"mean_{name}")
        for name in ("annotator_agreement", "consensus_quality_score")
        if name in there
    ]
    annotations = pl.col("num_annotations").cast(pl.Int64).sum()
    counts = examples.select(pl.len().alias("num_examples"), annotations, *means)
    return counts.collect().row(0, named=True)


def weights_of(fit: Any) -> dict[str, Any]:
    """What CROWDLAB estimated besides."""
    values = {
        name: getattr(fit, name) for name in ("model_weight", "temperature") if name in fit.VALUES
    }
    return {name: value for name, value in values.items() if value is not None}


def _number(value: float | list[float]) -> str:
    return f"{value:.4f}" if isinstance(value, float) else ", ".join(map(_number, value))
