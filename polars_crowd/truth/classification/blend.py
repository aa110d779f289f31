r"""Blend: the mean of what several methods say, tempered; with a model, or without one.

Letters as in `truth.classification.dawid_skene` and `consensus.model`; gamma* is the exponent at which a
posterior predicts labels left out best (`truth.confidence`).

**With a model**: from IBCC with the model (posterior T, class shares pi of weight w0, model weights w[m] and
temperatures t[m]) and from CROWDLAB (posterior q),

    prior[i,k] = w0 pi[k] + sum_m w[m] softmax_k(log p_m[i,k] / t[m])
    LL[i,k]    = log T[i,k] - log prior[i,k], its largest over k set to 0, at least -60
    I[i]       = softmax( gamma*/2 log T[i] )
    E[i]       = softmax( log prior[i] + gamma*/2 LL[i] )
    blend[i]   = ( q[i] + I[i] + E[i] ) / 3

I tempers all that is known of an example, E what its annotators say and not the model.

**Without a model**, the pool of four that err in different ways:

    blend[i]   = mean of the posteriors of Wawa, Dawid-Skene ("loo"), BWA, MACE ("loo")

**Annotators**, with m[j] annotations of j and Q the mean of blend[i,y] over all annotations,

    annotator_quality[j] = ( sum over the labels y of j: blend[i,y]  +  Q ) / ( m[j] + 1 )
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeVar, Unpack

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.consensus.crowdlab import fit as fit_crowdlab
from polars_crowd.consensus.model import Options as CrowdlabOptions
from polars_crowd.consensus.model import Posterior as CrowdlabPosterior
from polars_crowd.consensus.model import vote_shares
from polars_crowd.consensus.result import Crowdlab
from polars_crowd.errors import Advice, AnnotationWarning, heard, warn, warn_again
from polars_crowd.inputs.tables import log_and_labels
from polars_crowd.reports import FEW, Heads
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.signatures import shares
from polars_crowd.truth.block import Block, of_blocks
from polars_crowd.truth.classification.bwa import bwa
from polars_crowd.truth.classification.dawid_skene import dawid_skene
from polars_crowd.truth.classification.ibcc import ibcc
from polars_crowd.truth.classification.mace import mace
from polars_crowd.truth.classification.wawa import wawa
from polars_crowd.truth.options import LogOptions, Options
from polars_crowd.truth.past import places
from polars_crowd.truth.plans import Answer, Estimate, Source, log_of
from polars_crowd.truth.posterior import known_posterior, softmax
from polars_crowd.truth.result import Answers, Fitted, Iterations, TruthInference
from polars_crowd.truth.soundness import warn_of_doubts

W = TypeVar("W")

MOST_EVIDENCE = 60.0
"""The largest difference of LL within an example."""
LITTLE = 0.1
"""A model whose weight in the class prior is below this adds next to nothing."""

# --- what is said of an example --------------------------------------------------------------------


@dataclass(frozen=True)
class Pool:
    """The mean of several answers."""

    members: tuple[Estimate, ...]

    def each(self, part: Partition, work: Callable[[Answer], W]) -> Iterator[W]:
        return of_blocks(part, lambda block: work(self.answer(block)), self.members[0].gold(part))

    def answer(self, block: Block) -> Answer:
        answers = [member.answer(block).confidence for member in self.members]
        return certain(block, np.mean(answers, axis=0))


@dataclass(frozen=True)
class WithModel:
    """The mean of CROWDLAB and of IBCC tempered in two ways; the estimate has the exponent gamma*/2."""

    ibcc: Estimate
    crowdlab: CrowdlabPosterior

    def each(self, part: Partition, work: Callable[[Answer], W]) -> Iterator[W]:
        q = self.crowdlab.of(part).dense()
        return self.ibcc.each(part, lambda answer: work(self.blended(answer, q)))

    def blended(self, answer: Answer, q: Floats) -> Answer:
        block = answer.block
        log_prior = self.ibcc.classes.log_of(block)
        evidence = tempered_evidence(answer.T, log_prior, self.ibcc.exponent)
        of_crowdlab = q[block.first : block.first + block.n_examples].T
        return certain(block, (of_crowdlab + answer.confidence + evidence) / 3)


def tempered_evidence(T: Floats, log_prior: Floats, exponent: float) -> Floats:
    """E: the prior as it is, what annotators say to the power of the exponent."""
    LL = log_of(T) - log_prior
    LL = np.maximum(LL - LL.max(axis=0), -MOST_EVIDENCE)
    return softmax(log_prior + exponent * LL).T


def certain(block: Block, blend: Floats) -> Answer:
    """The answer, with what is known in it."""
    blend = known_posterior(block, blend)
    return Answer(block, blend, blend)


# --- the result ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Members:
    """The fits that are blended, all of one log."""

    fits: Mapping[str, TruthInference]
    crowdlab: Crowdlab | None = None

    @property
    def source(self) -> Source:
        estimates = [fit._fitted.estimate for fit in self.fits.values()]
        if self.crowdlab is None:
            return Pool(tuple(estimates))
        return WithModel(estimates[0], self.crowdlab._main.posterior)

    @property
    def weights(self) -> pl.DataFrame:
        """A row per method."""
        each = 1 / (len(self.fits) if self.crowdlab is None else 3)
        rows = [
            (
                name,
                each if self.crowdlab is None else 2 * each,
                fit.confidence_exponent,
                of_models(fit),
            )
            for name, fit in self.fits.items()
        ]
        if self.crowdlab is not None:
            rows.append(("CROWDLAB", each, 1.0, self.crowdlab._model_share))
        names = ("method", "weight", "confidence_exponent", "model_weight")
        types = (pl.String, pl.Float64, pl.Float64, pl.Float64)
        return pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")


def of_models(fit: TruthInference) -> float | None:
    """The weight of all models in the class prior."""
    weight = fit.model_weight
    return sum(weight) if isinstance(weight, list) else weight


class Blend(Answers):
    """What the blend found out about a log.

    Attributes
    ----------
    examples : LazyFrame
        `example, consensus_label` (the first of the most probable ones, in class order),
        `consensus_quality_score` (its probability), `annotator_agreement, num_annotations`, by example.
    annotations : LazyFrame
        `example, annotator, label, label_quality_score` (the probability of that label), then the log's
        other columns, by example, label, annotator.
    posterior : LazyFrame
        `example, label, probability`: one row per example and class.
    annotators : DataFrame
        `annotator, annotator_quality` (the mean of the annotator's label quality scores and of one more
        that is the mean of all), `num_examples_labeled`; the least accurate first.
    weights : DataFrame
        `method, weight` of each method in the mean; `confidence_exponent` of its posterior; `model_weight`:
        what pred_probs count for in it, in [0, 1] (in IBCC their weight in each example's class prior, in
        CROWDLAB their weight beside that of the annotators), null without any.
    classes : list
        The classes, in order.
    """

    TABLES = ("examples", "annotations", "posterior", "annotators", "weights")
    VALUES = (*Answers.VALUES, "classes")
    HEADS: ClassVar[Heads] = {
        "examples": ("examples", FEW),
        "annotators": ("annotators, least accurate first", FEW),
        "weights": ("weights", FEW),
    }

    method = "Blend"

    def __init__(self, rounds: Rounds, members: Members) -> None:
        self._members = members
        fits = list(members.fits.values())
        self._fitted: Fitted = replace(fits[0]._fitted, rounds=rounds)
        self._iterations = Iterations((), all(fit.converged for fit in fits))
        self._keep(rounds.into)

    @property
    def _source(self) -> Source:
        return self._members.source

    @property
    def weights(self) -> pl.DataFrame:
        return self._members.weights

    def _quality(self, right: Floats, n: Floats) -> Floats:
        """The mean of the annotator's label quality scores and one that is the mean of all."""
        quality: Floats = (right + right.sum() / n.sum()) / (n + 1)
        return np.where(n > 0, quality, np.nan)

    def _how_it_went(self) -> str:
        return f"the mean of {', '.join(self.weights['method'])}"

    def _on(self, rounds: Rounds, gold: Any) -> Self:
        members, inner = self._members, without_directory(rounds)
        fits = {name: fit._on(inner, gold) for name, fit in members.fits.items()}
        crowdlab = None
        if members.crowdlab is not None:
            crowdlab = moved(members.crowdlab, inner, self._fitted.log.annotators)
        return type(self)(rounds.claim(self.method), Members(fits, crowdlab))


def moved(fit: Crowdlab, rounds: Rounds, annotators: pl.Series) -> Crowdlab:
    """CROWDLAB's weights on another log: unknown annotators get the mean of the others."""
    main, weights = fit._main, fit._weights
    assert weights is not None, "quality is by CROWDLAB"
    own = np.append(weights.annotators, weights.annotators.mean())
    here = replace(weights, annotators=own[places(annotators, rounds.book.annotators)])
    posterior = CrowdlabPosterior(here, vote_shares)
    found = {"best_quality": replace(main, posterior=posterior)}
    return Crowdlab(rounds, found, fit._options, None)  # type: ignore[arg-type]


def without_directory(rounds: Rounds) -> Rounds:
    """The rounds of a member, which writes nothing."""
    return replace(rounds.quiet(), into=None)


# --- the fit ---------------------------------------------------------------------------------------


@shares(LogOptions, Options)
def blend(
    log: Any,
    pred_probs: Any = None,
    *,
    gold: Any = None,
    classes: Sequence[Any] | None = None,
    **options: Unpack[LogOptions],
) -> Blend:
    """The truth of each example by the mean of methods that err in different ways: the best labels.

    With a model CROWDLAB and IBCC, which takes the model for each example's class prior, tempered in two
    ways; without one the pool of Wawa, Dawid-Skene, BWA and MACE. On twelve real logs with known truth the
    pool has a mean accuracy of .827 and a log-loss of .577 (Dawid-Skene .818 and .608).

    Parameters
    ----------
    pred_probs
        Models' out-of-sample probabilities: whatever `scan_pred_probs` takes, a list for several models;
        `True` for those that a store holds. Every annotated example must be there.

    Returns
    -------
    Blend
        `.weights` says what each method and the model count for.

    Warns
    -----
    AnnotationWarning
        What its methods warn of; a model that adds next to nothing.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> data = pc.datasets.tutorial()
    >>> fit = blend(data.log, data.pred_probs)
    >>> fit.weights.select("method", pl.col("weight").round(3)).rows()
    [('IBCC', 0.667), ('CROWDLAB', 0.333)]
    """
    log, gold = log_and_labels(log, gold, "gold")
    asked = Options(pred_probs=pred_probs, classes=classes, **options)
    rounds = asked.open(log).claim(Blend.method)
    inner = without_directory(rounds)
    members = with_model(inner, gold) if rounds.n_models else pool(inner, gold)
    found = Blend(rounds, members)
    warn_of_doubts(found._fitted, found._source)
    return found


def pool(rounds: Rounds, gold: Any) -> Members:
    """The four methods without a model."""
    methods: dict[str, Callable[[], TruthInference]] = {
        "Wawa": lambda: wawa(rounds, gold=gold),
        "Dawid-Skene": lambda: dawid_skene(rounds, gold=gold, confidence="loo"),
        "BWA": lambda: bwa(rounds, gold=gold),
        "MACE": lambda: mace(rounds, gold=gold, confidence="loo"),
    }
    return Members(run_all(methods))


def with_model(rounds: Rounds, gold: Any) -> Members:
    """IBCC and CROWDLAB."""
    wanted = CrowdlabOptions(("best_quality",), "crowdlab", "self_confidence", False)
    found = run_all(
        {
            "IBCC": lambda: ibcc(rounds, gold=gold),
            "CROWDLAB": lambda: fit_crowdlab(rounds, wanted),
        }
    )
    crowdlab, fits = found.pop("CROWDLAB"), found
    weight = of_models(fits["IBCC"])
    if weight is not None and weight < LITTLE:
        warn(
            f"the model counts for {weight:.2g} of each example's class prior: it adds next to nothing.",
            Advice("Check that its probabilities are out of sample, and of these examples"),
        )
    return Members(fits, crowdlab)


def run_all(methods: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """What each method finds. What all of them warn of is said once, other warnings with their names."""
    found, said = {}, dict[str, dict[str, Warning]]()
    for name, method in methods.items():
        with heard() as warnings:
            found[name] = method()
        for warning in warnings:
            said.setdefault(str(warning), {})[name] = warning
    for by in said.values():
        warning = next(iter(by.values()))
        if len(by) < len(methods) and isinstance(warning, AnnotationWarning):
            warning = AnnotationWarning(f"{', '.join(by)}: {warning.wrong}", *warning.advice)
        warn_again(warning)
    return found
