"""CROWDLAB: consensus labels, and the quality of labels and annotators, from annotations and a model.

Goh, Tkachenko and Mueller (2022), "CROWDLAB: Supervised learning to infer consensus labels and quality
scores for data with multiple annotators", arXiv 2210.06812; in the form of cleanlab 2.9, whose numbers
this equals to 1e-9.

Letters: example e, annotator a, class k of K; c[e,k] votes for k on e, n[e] = sum_k c[e,k]; p_m[e,k] the
probability of model m; N annotated examples, M annotators. "Multi" examples have n[e] > 1.

**Weights, for a consensus y.** With s[e] = c[e,y] / n[e] and means over the multi examples,

    CL   = mean s[e]                        the likelihood that an annotator chooses the consensus
    NCL  = (1 - CL) / (K - 1)               ... that they choose another given class
    E0   = share of examples whose y is not the most common y            (at least 1e-6)
    g[a] = sum (c[e,l] - 1) / sum (n[e] - 1)  over a's labels l: agreement with the other annotators;
           who shares no example with anybody gets the mean of the others
    w[a] = 1 - (1 - g[a]) / E0                                           (at least 1e-6)
    w_m  = (1 - share of y that differ from argmax p_m / E0) sqrt(mean n)  (its first factor at least 1e-6)

**Posterior.** With W[e,k] = sum of w[a] over those who chose k on e, and W[e] = sum_k W[e,k],

    q[e,k] = ( sum_m w_m p_m[e,k] + NCL W[e] + (CL - NCL) W[e,k] ) / ( sum_m w_m + W[e] )

**Consensus.** `majority_vote`: y is the majority vote. `best_quality`: y = argmax_k q[e,k] under the
weights for the majority vote (a tie goes to the majority vote); then the weights are taken anew for y.

**Annotators.** Q_l[a] = mean label quality of a's annotations; Q_c[a] = share of a's annotations of multi
examples that equal y;

    annotator_quality = r Q_l + (1 - r) Q_c,    r = w_m / ( w_m + sum_a w[a] mean(n) / M )

With `quality_method="agreement"`: q[e,k] = c[e,k] / n[e], the consensus quality is s, the annotator's Q_c.

Each round below is a local plan over sorted runs and a summary by annotator or label that adds up over
partitions; only the summaries and the weights leave a partition.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from polars_crowd import checks
from polars_crowd.calibration import calibrate as calibrated
from polars_crowd.codes import largest
from polars_crowd.crowdlab_result import Crowdlab
from polars_crowd.errors import AnnotationWarning, counted, shown
from polars_crowd.label_quality import LabelQualityMethod
from polars_crowd.log import scan_annotations
from polars_crowd.mixing import CLIP, Floats, Mixture
from polars_crowd.partitions import merge
from polars_crowd.pred_probs import open_models
from polars_crowd.runs import Runs, sort_runs
from polars_crowd.votes import majority_labels

ConsensusMethod = Literal["best_quality", "majority_vote"]
QualityMethod = Literal["crowdlab", "agreement"]
Shares = Callable[[Runs], Mixture]


# --- weights ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Weights:
    """The parameters of one round: what the posterior of an example needs of all the others."""

    consensus_likelihood: float
    """CL."""
    other_likelihood: float
    """NCL."""
    annotators: Floats
    """w[a], shape (M,)."""
    models: Floats
    """w_m, one per model."""


def count_overlap(run: Runs) -> pl.LazyFrame:
    """Summary by annotator: sum (c[e,l] - 1), sum (n[e] - 1), and the number of annotations."""
    others = run.of_votes(run.examples["num_annotations"]) - 1
    agreeing = run.votes["votes"] - 1
    return (
        run.rows.lazy()
        .select(
            "annotator",
            agreeing=pl.lit(agreeing).gather("vote").cast(pl.Int64),
            others=pl.lit(others).gather("vote").cast(pl.Int64),
        )
        .group_by("annotator")
        .agg(pl.col("agreeing", "others").sum(), annotations=pl.len())
    )


def agreement_with_others(overlap: pl.DataFrame) -> Floats:
    """g[a], from the merged overlap of all annotators."""
    share = pl.col("agreeing") / pl.when(pl.col("others") > 0).then("others")
    return overlap.select(share.fill_null(share.mean())).to_series().to_numpy()


def count_consensus(run: Runs, consensus: pl.Series) -> pl.LazyFrame:
    """Summary by (y, multi): examples, annotations, sum of s, and the models' errors."""
    errors = {f"error_{m}": top != consensus for m, top in enumerate(run.top_classes)}
    examples = pl.DataFrame(
        {
            "label": consensus,
            "multi": run.on_multi,
            "annotations": run.examples["num_annotations"].cast(pl.Int64),
            "agreement": run.agreement_with(consensus),
            **errors,
        }
    )
    sums = pl.exclude("label", "multi").sum()
    return examples.lazy().group_by("label", "multi").agg(sums, examples=pl.len())


def weigh(counts: pl.DataFrame, g: Floats, n_classes: int, n_models: int) -> Weights:
    """The weights, from the merged counts of a consensus."""
    multi = counts.filter("multi")
    n_multi = int(multi["examples"].sum())
    consensus_likelihood = float(multi["agreement"].sum()) / n_multi
    most_common_error = max(1 - largest(multi["examples"]) / n_multi, CLIP)
    model_errors = np.array([multi[f"error_{m}"].sum() for m in range(n_models)]) / n_multi
    mean_annotations = int(counts["annotations"].sum()) / int(counts["examples"].sum())
    return Weights(
        consensus_likelihood=consensus_likelihood,
        other_likelihood=(1 - consensus_likelihood) / (n_classes - 1),
        annotators=_skill(1 - g, most_common_error),
        models=_skill(model_errors, most_common_error) * np.sqrt(mean_annotations),
    )


def _skill(error: Floats, most_common_error: float) -> Floats:
    """How much better than always saying the most common class."""
    return np.maximum(1 - error / most_common_error, CLIP)


# --- posterior -------------------------------------------------------------------------------------


def posterior(run: Runs, weights: Weights) -> Mixture:
    """q of a partition's examples."""
    return Mixture(
        models=run.models,
        model_weights=weights.models,
        base=weights.other_likelihood,
        gain=weights.consensus_likelihood - weights.other_likelihood,
        example=run.votes["example"].to_numpy(),
        label=run.votes["label"].to_numpy(),
        weight=run.sum_over_votes(weights.annotators).to_numpy(),
        n_classes=run.n_classes,
    )


def vote_shares(run: Runs) -> Mixture:
    """q[e,k] = c[e,k] / n[e]: the posterior of the agreement method."""
    return Mixture(
        models=(),
        model_weights=np.zeros(0),
        base=0.0,
        gain=1.0,
        example=run.votes["example"].to_numpy(),
        label=run.votes["label"].to_numpy(),
        weight=run.votes["votes"].cast(pl.Float64).to_numpy(),
        n_classes=run.n_classes,
    )


def best_labels(q: Mixture, majority: pl.Series) -> pl.Series:
    """argmax_k q[e,k]; the majority vote where the best classes tie."""
    label, tied = q.best()
    return pl.Series("label", np.where(tied, majority.to_numpy(), label))


# --- rounds ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """What `crowdlab` was asked for."""

    consensus_methods: tuple[ConsensusMethod, ...]
    quality_method: QualityMethod
    label_quality_method: LabelQualityMethod
    adjust_pred_probs: bool


@dataclass(frozen=True)
class Consensus:
    """One consensus method's labels, per partition, and the weights they led to."""

    labels: list[pl.Series]
    weights: Weights | None
    posteriors: list[Mixture]


def consensus_of(
    parts: Sequence[Runs], labels: list[pl.Series], g: Floats, shares: Shares | None
) -> Consensus:
    """One round: the weights for these consensus labels, and the posterior under them."""
    if shares:
        return Consensus(labels, None, [shares(run) for run in parts])
    counts = (count_consensus(run, y) for run, y in zip(parts, labels, strict=True))
    merged = merge(counts, by=["label", "multi"])
    weights = weigh(merged, g, parts[0].n_classes, len(parts[0].models))
    return Consensus(labels, weights, [posterior(run, weights) for run in parts])


def consensus_by_method(
    parts: Sequence[Runs], g: Floats, options: Options, shares: Shares | None
) -> dict[ConsensusMethod, Consensus]:
    """The rounds of every consensus method asked for."""
    majority = consensus_of(parts, majority_labels(parts), g, shares)
    found: dict[ConsensusMethod, Consensus] = {"majority_vote": majority}
    if "best_quality" in options.consensus_methods:
        pairs = zip(majority.posteriors, majority.labels, strict=True)
        best = [best_labels(q, y) for q, y in pairs]
        found["best_quality"] = consensus_of(parts, best, g, shares)
    return {method: found[method] for method in options.consensus_methods}


# --- the method ------------------------------------------------------------------------------------


def crowdlab(
    log: Any,
    pred_probs: Any,
    *,
    consensus_method: ConsensusMethod | Sequence[ConsensusMethod] = "best_quality",
    quality_method: QualityMethod = "crowdlab",
    label_quality_method: LabelQualityMethod = "self_confidence",
    adjust_pred_probs: bool = False,
    calibrate: bool = False,
    classes: Sequence[Any] | None = None,
    duplicates: checks.Duplicates = "error",
) -> Crowdlab:
    """Consensus labels and the quality of labels and annotators, by CROWDLAB.

    See the formulas at the head of this module (`help(polars_crowd.crowdlab)`).

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, with columns `example, annotator, label`.
    pred_probs
        A model's out-of-sample probabilities: whatever `scan_pred_probs` takes. A list is an ensemble
        of models. Every annotated example must be there; further examples are left aside.
    consensus_method
        `"best_quality"` (the most probable class of the posterior) or `"majority_vote"`, or a list of
        them: the first gives the main columns and the annotators' quality, the others add columns to
        `examples` with the method as suffix.
    quality_method
        `"crowdlab"`, or `"agreement"` for shares of votes without the model.
    label_quality_method
        `"self_confidence"`, `"normalized_margin"` or `"confidence_weighted_entropy"`.
    adjust_pred_probs
        Whether to adjust the posterior for class imbalance before labels are scored (not with
        `"confidence_weighted_entropy"`).
    calibrate
        Whether to scale the temperature of pred_probs to the annotators' spread of labels first.
    classes
        The classes in order; by default the Enum's order if the label is one, else that of the columns
        of pred_probs. Needed to say what an Array column of pred_probs means.
    duplicates
        What to do where an annotator labelled an example more than once: `"error"`, or keep the
        `"first"` or `"last"` row, or count `"all"`.

    Returns
    -------
    Crowdlab
        `.examples`, `.annotations` (LazyFrames), `.annotators` (DataFrame), `.model_weight`,
        `.temperature`, and `.posterior()`. Each table is computed when it is asked for.

    Raises
    ------
    AnnotationError
        The log or the pred_probs cannot be used: a missing column, null ids, duplicates, labels that are
        not classes, annotated examples without probabilities, probabilities that are none, fewer than
        two classes, or only one annotation for every example.
    ValueError
        An option has an unknown value.

    Warns
    -----
    AnnotationWarning
        Annotators who share no example with another; classes that annotators chose and that are nowhere
        the consensus; no two annotators ever agree.

    Agrees with
    -----------
    cleanlab 2.9 (`get_label_quality_multiannotator` and its ensemble form), to 1e-9. Two differences:
    ties that cleanlab breaks at random go to the first class, and posteriors within 1e-12 are ties.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> data = pc.datasets.tutorial()
    >>> fit = pc.crowdlab(data.log, data.pred_probs)
    >>> fit.examples.head(2).collect().select("consensus_label", "consensus_quality_score")
    shape: (2, 2)
    ┌─────────────────┬─────────────────────────┐
    │ consensus_label ┆ consensus_quality_score │
    │ ---             ┆ ---                     │
    │ i64             ┆ f64                     │
    ╞═════════════════╪═════════════════════════╡
    │ 0               ┆ 0.736118                │
    │ 0               ┆ 0.757751                │
    └─────────────────┴─────────────────────────┘
    """
    options = _options(consensus_method, quality_method, label_quality_method, adjust_pred_probs)
    models = open_models(pred_probs, classes)
    run = sort_runs(scan_annotations(log), models, classes=classes, duplicates=duplicates)
    is_ensemble = isinstance(pred_probs, (list, tuple))
    return fit([run], options, calibrate=calibrate, is_ensemble=is_ensemble)


def fit(
    parts: Sequence[Runs],
    options: Options,
    *,
    calibrate: bool = False,
    is_ensemble: bool = False,
    shares: Shares = vote_shares,
) -> Crowdlab:
    """CROWDLAB over partitions; `shares` gives the posterior of the agreement method."""
    overlap = merge((count_overlap(run) for run in parts), by="annotator")
    _check_overlap(parts, overlap)
    temperatures = None
    if calibrate:
        parts, temperatures = calibrated(parts)
    by_shares = shares if options.quality_method == "agreement" else None
    found = consensus_by_method(parts, agreement_with_others(overlap), options, by_shares)
    _warn_of_lost_classes(parts, next(iter(found.values())).labels)
    return Crowdlab(parts, found, options, temperatures, is_ensemble)


def _options(
    consensus_method: ConsensusMethod | Sequence[ConsensusMethod],
    quality_method: QualityMethod,
    label_quality_method: LabelQualityMethod,
    adjust_pred_probs: bool,
) -> Options:
    given = [consensus_method] if isinstance(consensus_method, str) else list(consensus_method)
    if not given or len(set(given)) < len(given):
        raise ValueError(f"consensus_method={given!r}; give one method, or several different ones.")
    choices: list[tuple[str, str, Any]] = [
        ("consensus_method", method, ConsensusMethod) for method in given
    ]
    choices.append(("quality_method", quality_method, QualityMethod))
    choices.append(("label_quality_method", label_quality_method, LabelQualityMethod))
    for name, value, allowed in choices:
        if value not in get_args(allowed):
            raise ValueError(
                f"{name}={value!r}; it must be one of {shown(list(get_args(allowed)))}."
            )
    if adjust_pred_probs and label_quality_method == "confidence_weighted_entropy":
        raise ValueError(
            "adjust_pred_probs=True does not go with label_quality_method="
            "'confidence_weighted_entropy'; use 'self_confidence' or 'normalized_margin'."
        )
    return Options(tuple(given), quality_method, label_quality_method, adjust_pred_probs)


def _check_overlap(parts: Sequence[Runs], overlap: pl.DataFrame) -> None:
    alone = overlap.filter(pl.col("others") == 0)["annotator"]
    if len(alone) == overlap.height:
        raise checks.single_annotations(sum(run.examples.height for run in parts))
    if len(alone):
        names = parts[0].book.annotators.gather(alone).to_list()
        _warn(
            f"{counted(len(alone), 'annotator')} share no example with another annotator: {shown(names)}. "
            "They get the mean weight of the others."
        )
    if overlap["agreeing"].sum() == 0:
        _warn(
            "no two annotators agree on any example; check that the labels mean what they should."
        )


def _warn_of_lost_classes(parts: Sequence[Runs], labels: Sequence[pl.Series]) -> None:
    chosen = {label for run in parts for label in run.votes["label"].unique()}
    lost = sorted(chosen - {label for y in labels for label in y.unique()})
    if lost:
        names = parts[0].book.classes.gather(lost).to_list()
        _warn(
            f"{counted(len(lost), 'class')} that annotators chose became the consensus of no example: "
            f"{shown(names)}. A model trained on the consensus labels will not know of them."
        )


def _warn(message: str) -> None:
    warnings.warn(message, AnnotationWarning, stacklevel=4)
