"""Several methods on one log: how they score, with known labels and without, and where they disagree.

Without known labels, methods are compared by the annotations that they have not seen: these are dealt into
folds, each fold is left out once, and what is found from the rest says of its labels is scored by log loss.
With known labels, by how right they are, and each with the best on the same examples. How, for classes and
for numbers, stands in `truth.evaluation.scoring`, `.classes` and `.numbers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.errors import OptionError, shown
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.inputs.log import scan_annotations
from polars_crowd.inputs.tables import log_and_labels
from polars_crowd.option_checks import check_count
from polars_crowd.rounds import executors
from polars_crowd.rounds.opening import refuse_what_a_store_has
from polars_crowd.rounds.partitions import Partitioned
from polars_crowd.rounds.progress import tracked
from polars_crowd.signatures import checked
from polars_crowd.truth.evaluation.classes import ClassTrial, vote_shares
from polars_crowd.truth.evaluation.numbers import NumberTrial
from polars_crowd.truth.evaluation.result import MethodComparison
from polars_crowd.truth.evaluation.trial import PAIRED, Ran, Task, Trial, named, run
from polars_crowd.truth.registry import Kind, method_named, method_of, methods_for

Function = Callable[..., Any]
Methods = Sequence[str] | Mapping[str, str | Function]

MAJORITY_VOTE = "majority_vote"
TAKEN = ("example", ClassTrial.APART, NumberTrial.APART)
"""What no method may be called."""


@checked
def compare(
    log: Any,
    methods: Methods | None = None,
    truth: Any = None,
    *,
    folds: int = 5,
    classes: Sequence[Any] | None = None,
    duplicates: Duplicates = "error",
    seed: int = 0,
    executor: Any = None,
    progress: bool = False,
    truth_label: str | None = None,
) -> MethodComparison:
    """Run several methods of truth inference on one log, score them, and rank them.

    **With known labels** the most accurate method is first, and of each other one there is how far it is
    behind, with an interval and a p-value from the examples on which the two differ. A hundred to two hundred
    known labels tell large differences. The best method was found by the same labels, so that differences are
    rather too large, and p-values are of one comparison each.

    **Without**, the method that predicts annotations best that it has not seen. That is not the one that is
    right most often: where annotators err alike, errors are predicted, too. On real logs the first by this
    rank is right as often as `dawid_skene` (.834 of examples), and where annotators share a bias, as judges
    that are language models do, nothing in the log shows it. Collect known labels, choose by them with
    `truth=`, and hold them with `gold=` in the fit.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, or a store, which is read into memory.
    methods
        Names of methods, for classes (`"dawid-skene"`, ...) or for numbers (`"gaussian"`, ...): what they are
        for decides how labels are read. Or a mapping from names of your own to such names or to functions
        `f(log, classes=..., duplicates=...)` that return a `TruthInference` (for numbers
        `f(log, duplicates=...)`, a `NumericTruth`), such as
        `functools.partial(pc.dawid_skene, smoothing=1.0)`. By default those for numbers where labels are
        floats and no `classes` are given, else those for classes but KOS and EBCC, which takes the longest.
    truth
        Known labels, for scores only: no method sees them. A frame or file `example, label` (of two columns
        one may be called otherwise), or the name of a column of the log that has them.
    folds
        How many folds the annotations are dealt into; 0 leaves the held-out scores out. The power to which
        posteriors are raised (`confidence`) is found anew without each fold; of 100,000 annotations or more
        without the first, for all of them, which takes a third of the time off.
    classes
        The classes in order; not with methods for numbers. By default the Enum's order if the label is one,
        else sorted.
    duplicates
        What to do where an annotator labelled an example more than once: `"error"`, or keep the
        `"first"` or `"last"` row (in the order of the log: see `order_by` of `scan_annotations`), count
        `"all"`, or take the `"mean"` where labels are numbers.
    seed
        Of the deal.
    executor
        Where the fits run, each a task with its annotations: anything like `concurrent.futures.Executor`.
    progress
        Whether to show how many fits are done.
    truth_label
        What the column of labels is called in the frame or file of known labels.

    Returns
    -------
    MethodComparison
        `.methods`, `.labels`, `.disagreements`.

    Raises
    ------
    AnnotationError
        The log or the truth cannot be used as they are; the truth has no example of the log.
    ValueError
        A method is not known; methods for classes and for numbers are mixed, or numbers and classes; folds
        is 1 or negative; an option has no effect, as a seed without folds.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> data = pc.datasets.tutorial()
    >>> found = compare(data.log, ["majority_vote", "dawid_skene"], data.truth, folds=0)
    >>> found.methods.select("method", pl.col("accuracy", "log_loss").round(4)).rows()
    [('majority_vote', 0.8795, 0.9651), ('dawid_skene', 0.8615, 0.3461)]
    >>> found.disagreements.height
    25
    """
    if folds != 0:
        check_count("folds", folds, 2)
    elif seed:
        raise OptionError("seed", seed, "it is of the deal into folds, and there are none.")
    if isinstance(log, Partitioned):
        refuse_what_a_store_has(None, classes, duplicates)
    log, truth = log_and_labels(log, truth, "truth", truth_label)
    scan = scan_annotations(log)
    is_float = scan.collect_schema()["label"].is_float()
    usual: Kind = "numbers" if is_float and classes is None else "classes"
    functions = chosen(default_methods(usual) if methods is None else methods)
    trial: Trial
    if kind_of(functions, usual) == "classes":
        trial = ClassTrial.of(scan, truth, folds, seed, duplicates, classes)
    elif classes is None:
        trial = NumberTrial.of(scan, truth, folds, seed, duplicates)
    else:
        must = f"is not for numbers, which {shown([*functions])} are for."
        raise OptionError("classes", ..., must)
    if folds and len(trial.rows.label) < 2:
        raise OptionError("folds", folds, "the log has one annotation, which cannot be dealt.")
    n_fits = len(functions) * (1 + folds)
    done = [*tracked(fits_of(trial, functions, executor), "comparing", n_fits, progress, "fits")]
    return comparison(trial, {name: done[i :: len(functions)] for i, name in enumerate(functions)})


def fits_of(trial: Trial, functions: Mapping[str, Function], executor: Any) -> Iterator[Ran]:
    """Each method on everything, then all of them without one fold after the other."""
    tasks = [Task(name, function, trial) for name, function in functions.items()]
    yield from ran(executor, tasks)
    if trial.n_folds:
        exponents = []
        for first in ran(executor, [trial.without(0, task) for task in tasks]):
            exponents.append(first.exponent)
            yield first
        of_methods = [*zip(tasks, exponents, strict=True)]
        folds = range(1, trial.n_folds)
        yield from ran(executor, [trial.without(fold, *of) for fold in folds for of in of_methods])


def ran(executor: Any, tasks: Sequence[Task]) -> Iterator[Ran]:
    """The fits in their order, here or where the executor runs them."""
    return map(run, tasks) if executor is None else executors.in_order(executor, run, tasks, ())


def comparison(trial: Trial, fits: Mapping[str, Sequence[Ran]]) -> MethodComparison:
    """The tables, from the fits of each method."""
    found = {name: of[0].examples["consensus_label"] for name, of in fits.items()}
    labels = pl.DataFrame({"example": trial.examples, **found})
    good = {} if trial.known is None else {n: trial.goodness(of[0]) for n, of in fits.items()}
    rows = [
        {
            "method": name,
            **trial.scores(whole, without),
            **from_best(trial, name, good),
            trial.OTHERS: to_others(trial, name, labels.drop("example")),
            "seconds": whole.seconds,
            "n_iter": whole.n_iter,
            "converged": whole.converged,
            "warnings": [str(warning) for warning in whole.warnings],
        }
        for name, (whole, *without) in fits.items()
    ]
    scores = (*trial.KNOWN, *trial.HELD_OUT, *PAIRED, trial.OTHERS)
    dtypes = {
        **dict.fromkeys(scores, pl.Float64()),
        "n_iter": pl.Int64(),
        "num_compared": pl.Int64(),
    }
    table = pl.DataFrame(rows, schema_overrides={**dtypes, "warnings": pl.List(pl.String)})
    apart = trial.apart([*fits]).alias(trial.APART)
    table = table.sort("held_out_log_loss", maintain_order=True)
    if good:
        order = pl.col("method").replace_strict({name: -of.mean() for name, of in good.items()})
        table = table.sort(order, maintain_order=True)
    said = {name: of[0].warnings for name, of in fits.items()}
    return MethodComparison(table, labels, apart, said)


def from_best(trial: Trial, name: str, good: Mapping[str, Floats]) -> dict[str, float | None]:
    """PAIRED of a method; None without known labels, and for the best one itself."""
    best = max(good, key=lambda method: good[method].mean(), default=name)
    return named(PAIRED, None if name == best else trial.paired(good[name] - good[best]))


def to_others(trial: Trial, name: str, labels: pl.DataFrame) -> float | None:
    """None for a method alone."""
    return trial.to_others(labels[name], labels.drop(name)) if labels.width > 1 else None


def default_methods(kind: Kind) -> list[str]:
    vote = [MAJORITY_VOTE] if kind == "classes" else []
    return [*vote, *(name for name, method in methods_for(kind).items() if method.compared)]


def chosen(methods: Methods) -> dict[str, Function]:
    """The methods by the names that they are to have."""
    if isinstance(methods, str):
        methods = [methods]
    if not isinstance(methods, (Sequence, Mapping)) or not all(isinstance(n, str) for n in methods):
        raise OptionError("methods", methods, "it must list names, or name functions.")
    of = methods.values() if isinstance(methods, Mapping) else methods
    if not all(isinstance(one, str) or callable(one) for one in of):
        raise OptionError("methods", methods, "it must map to names or functions.")
    given = (
        methods
        if isinstance(methods, Mapping)
        else {name.replace("-", "_"): name for name in methods}
    )
    if not given or len(given) < len(methods):
        raise ValueError(f"methods={list(methods)!r}; give one method, or several different ones.")
    for taken in TAKEN:
        if taken in given:
            raise ValueError(f"a method may not be called {taken!r}.")
    return {name: function_of(m) if isinstance(m, str) else m for name, m in given.items()}


def function_of(name: str) -> Function:
    if name.replace("-", "_") == MAJORITY_VOTE:
        return vote_shares
    return method_named(name, MAJORITY_VOTE).function


def kind_of(functions: Mapping[str, Function], usual: Kind) -> Kind:
    """What the methods are for; `usual` where they are all of the caller's own making."""
    kinds: dict[Kind, list[str]] = {}
    for name, function in functions.items():
        method = method_of(function)
        if method is not None or function is vote_shares:
            kinds.setdefault("classes" if method is None else method.labels, []).append(name)
    if "comparisons" in kinds:
        raise ValueError(
            f"{shown(kinds['comparisons'])}: a method for pairwise preferences, which compare is not for."
        )
    if len(kinds) > 1:
        raise ValueError(
            f"{shown(kinds['classes'])} for classes and {shown(kinds['numbers'])} for numbers cannot be "
            "compared. Give methods of one kind."
        )
    return next(iter(kinds), usual)
