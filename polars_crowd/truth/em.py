"""The one loop of truth inference: expectation, maximisation, and when to stop.

An iteration is one round: every partition takes the E-step of its examples from the parameters, and adds up
what the M-step needs together with the objective. Nothing of an example leaves its partition but its part
of these sums.

    round 0    T = shares of votes (known labels, init= labels)        -> sums -> parameters 1
    round t    T = P(truth | labels; parameters t)   objective[t]      -> sums -> parameters t + 1

The loop stops at parameters t when the objective has gained no more than `tol` times its size since
parameters t - 1, or after `max_iter` rounds. The posterior that is returned is that of parameters t.

Posteriors are rounded to multiples of 2^-36 before they are counted: sums of up to 100,000 of them are exact
in any order, so that the order of rows does not decide which way a perfectly balanced log tips.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from polars_crowd.errors import (
    Advice,
    OptionError,
    counted,
    shown,
    warn,
)
from polars_crowd.inputs.tables import log_and_labels
from polars_crowd.rounds.progress import iterating
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.truth.class_prior import FACTORS, ClassPrior
from polars_crowd.truth.confidence import exponent_of
from polars_crowd.truth.given import first_matrices, has_matrices
from polars_crowd.truth.known import Known, check_known
from polars_crowd.truth.model import LogSize, Model, Sums
from polars_crowd.truth.options import Likelihood, Options
from polars_crowd.truth.plans import FIRST_SUMS, ROUND_SUMS, count_beginning, count_expected
from polars_crowd.truth.result import Fitted, Iterations, Parameters, TruthInference
from polars_crowd.truth.soundness import warn_of_doubts
from polars_crowd.truth.sums import as_sums

P = TypeVar("P")
S = TypeVar("S")
Chosen = TypeVar("Chosen", bound=Options)

FEW = 5
"""Who has fewer annotations than this can hardly be judged by them."""


# --- the loop --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Steps(Generic[P, S]):
    """What an iterative method does."""

    expect: Callable[[P], tuple[S, float]]
    """Parameters -> sums and the objective at these parameters."""
    maximise: Callable[[S, P], P]
    """Sums and the parameters before -> better parameters."""
    change: Callable[[P, P], float | None] = lambda old, new: None
    """How far parameters moved, if that decides when to stop."""


def iterate(
    steps: Steps[P, S], start: P, *, max_iter: int, tol: float, title: str = ""
) -> tuple[P, S, Iterations]:
    """Expect and maximise in turn until nothing changes any more, or `max_iter` times.

    With a title, progress is shown under it. Returns the last parameters, the sums of their E-step, and how
    it went.
    """
    params, trace = start, list[float]()
    moved: float | None = None
    with iterating(title, wanted=bool(title)) as tell:
        while True:
            sums, objective = steps.expect(params)
            trace.append(objective)
            tell(len(trace), objective)
            converged = moved <= tol if moved is not None else gained_little(trace, tol)
            if converged or len(trace) == max_iter:
                asked = {"max_iter": max_iter, "tol": tol}
                return params, sums, Iterations(tuple(trace), converged, asked)
            better = steps.maximise(sums, params)
            moved, params = steps.change(params, better), better


def gained_little(trace: Sequence[float], tol: float) -> bool:
    """Whether the last iteration gained no more than `tol` times the objective's size."""
    return len(trace) > 1 and trace[-1] - trace[-2] <= tol * abs(trace[-1])


# --- a fit -----------------------------------------------------------------------------------------


def fit(log: Any, model: Callable[[Rounds], Model], options: Options) -> TruthInference:
    """Fit a model to a log; its constants may depend on the rounds."""
    rounds, options = opened(log, options)
    return on_its_own(log, fit_rounds(rounds, model(rounds), options))


def on_its_own(log: Any, fit: TruthInference) -> TruthInference:
    """A fit, with a warning of what speaks against its labels if it is no part of another."""
    if not isinstance(log, Rounds):
        warn_of_doubts(fit._fitted, fit._source)
    return fit


def opened(log: Any, options: Chosen) -> tuple[Rounds, Chosen]:
    """The rounds of a log, which may be open already, with the classes of the fit to begin at, and the
    options with what the log knows."""
    if isinstance(log, Rounds):
        return log, options
    init = options.init
    log, gold = log_and_labels(log, options.gold, "gold")
    rounds = options.open(log, init.classes if isinstance(init, TruthInference) else None)
    return rounds, replace(options, gold=gold)


def fit_rounds(rounds: Rounds, model: Model, options: Options) -> TruthInference:
    """Fit a model to the partitions of a log."""
    rounds.claim(model.name)
    known = Known.of(rounds, options.gold, _labels_of(options.init))
    log = LogSize.of(rounds.book, model.codes)
    first = as_sums(rounds.run(count_beginning, model, known), {**model.sums, **FIRST_SUMS}, log)
    check_known(known, first, rounds)
    log = log.counted(first["n_annotations"])
    start = first_parameters(first, rounds, model, log, options.init)
    steps = steps_of(rounds.quiet(), model, known, log)
    params, _, iterations = iterate(steps, start, **options.looping(model.name))
    if isinstance(options.init, str) and known.gold is None and not rounds.n_models:
        params = with_classes_in_place(model, params)
    warn_of_iterations(iterations, options)
    warn_of_few_annotations(first, log)
    if known.gold is None and not rounds.n_models:
        warn_of_single_annotations(first)
    weights, known = model.weights(params.skills), replace(known, init=None)
    fitted = Fitted(rounds, model, params, weights, known, log, first)
    if isinstance(options, Likelihood):
        exponent = exponent_of(options.confidence, rounds.quiet(), fitted.estimate, log)
        fitted = replace(fitted, exponent=exponent)
    return TruthInference(fitted, iterations)


def steps_of(rounds: Rounds, model: Model, known: Known, log: LogSize) -> Steps[Parameters, Sums]:
    """The steps of a model: a round each."""
    keys = {**model.sums, **ROUND_SUMS}

    def expect(params: Parameters) -> tuple[Sums, float]:
        weights = model.weights(params.skills), params.classes.weights
        sums = as_sums(rounds.run(count_expected, model, *weights, known), keys, log)
        prior = model.log_prior(params.skills) + params.classes.log_prior()
        constant = model.log_constant(params.skills, log)
        return sums, float(sums["evidence"][0]) + constant + prior

    def maximise(sums: Sums, params: Parameters) -> Parameters:
        of_classes = (sums[name] for name in ("class_mass", "source_mass", "temperature_fit"))
        classes = params.classes.updated(*of_classes)
        return Parameters(model.maximise(sums, params.skills, log), classes)

    return Steps(expect, maximise, lambda old, new: model.change(old.skills, new.skills))


# --- where it begins -------------------------------------------------------------------------------


def first_parameters(
    sums: Sums, rounds: Rounds, model: Model, log: LogSize, init: Any
) -> Parameters:
    """The parameters of the first iteration: from the votes, or from an earlier fit."""
    classes = first_class_prior(sums, rounds, model)
    if is_matrices(init):
        return Parameters(model.at_confusion(first_matrices(init, rounds.book)), classes)
    if isinstance(init, TruthInference):
        found = init._fitted.parameters_for(rounds, model)
        return Parameters(found.skills, classes.begun_at(found.classes))
    return Parameters(model.start(sums, log), classes)


def first_class_prior(sums: Sums, rounds: Rounds, model: Model) -> ClassPrior:
    """The class shares of the votes; all sources weigh the same, the models as they are given."""
    n_sources, mass = 1 + rounds.n_models, sums["class_mass"]
    by_source = np.full(n_sources, mass.sum() / n_sources)
    as_given = (1.0,) * rounds.n_models
    given = model.class_shares
    prior = ClassPrior(
        model.class_rule,
        model.class_pseudo_count,
        mass if given is None else given,
        by_source,
        as_given,
        is_given=given is not None,
    )
    return prior.updated(mass, by_source, np.zeros(rounds.n_models * len(FACTORS)))


def _labels_of(init: Any) -> Any:
    """The frame of labels to begin with, if `init` is one."""
    if isinstance(init, str) and init != "majority_vote":
        must = (
            "it must be 'majority_vote', an earlier fit, or a frame of `example, label` (of `annotator, "
            "true_label, label, probability` for dawid_skene)."
        )
        raise OptionError("init", init, must)
    return None if isinstance(init, (str, TruthInference)) or is_matrices(init) else init


def is_matrices(init: Any) -> bool:
    """Whether `init` is a frame of confusion matrices to begin at."""
    return not isinstance(init, (str, TruthInference)) and init is not None and has_matrices(init)


# --- where it ends ---------------------------------------------------------------------------------


def with_classes_in_place(model: Model, params: Parameters) -> Parameters:
    """The same parameters with exchanged classes put back, if the model says that there are any."""
    order = model.class_order(params.skills)
    if order is None or bool((order == np.arange(len(order))).all()):
        return params
    classes = params.classes.in_order(order)
    return Parameters(model.exchanged(params.skills, order), classes)


def warn_of_iterations(iterations: Iterations, options: Options) -> None:
    if not iterations.converged:
        warn(f"not converged after {counted(options.max_iter, 'iteration')}.", go_on(options.tol))


def go_on(tol: float) -> Advice:
    """What to do where iterations ended too soon."""
    return Advice(
        "Allow more iterations, or stop sooner",
        python=f"a larger max_iter=, init= this fit, or a tol= above {tol:g}",
        command=f"a larger --max-iter, or a --tol above {tol:g}",
    )


def warn_of_few_annotations(first: Sums, log: LogSize) -> None:
    counts = first["n_annotations"].ravel()
    few = np.flatnonzero(counts < FEW)
    if len(few):
        names = log.annotators.gather(few).to_list()
        warn(
            f"{len(few):,} of {counted(len(counts), 'annotator')} have fewer than {FEW} annotations: "
            f"{shown(names)}. What is said of them rests on the prior more than on their labels."
        )


def warn_of_single_annotations(first: Sums) -> None:
    n_examples = int(first["n_examples"][0])
    if first["n_annotations"].sum() == n_examples:
        warn(
            f"each of the {counted(n_examples, 'example')} has one annotation only, so annotators cannot be "
            "compared: what is said of them is where the method began.",
            Advice(
                "Collect second annotations for some examples, or give known labels",
                python="gold=",
                command="--gold FILE",
            ),
        )
