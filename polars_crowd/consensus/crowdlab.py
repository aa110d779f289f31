"""CROWDLAB as a function of a log, and its rounds. The formulas are in `consensus.model`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import polars as pl

from polars_crowd.consensus.calibration import calibrate as calibrated
from polars_crowd.consensus.label_quality import LabelQualityMethod
from polars_crowd.consensus.majority_vote import break_ties
from polars_crowd.consensus.model import (
    C,
    Choice,
    Consensus,
    ConsensusMethod,
    LabelConsensus,
    Options,
    P,
    Posterior,
    QualityMethod,
    Shares,
    agreement_with_others,
    count_consensus,
    count_overlap,
    recount_consensus,
    vote_shares,
    weigh,
)
from polars_crowd.consensus.result import Crowdlab
from polars_crowd.errors import AnnotationError, counted, shown, warn
from polars_crowd.inputs import checks
from polars_crowd.rounds.opening import open_rounds
from polars_crowd.rounds.partitions import Partitioned
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Merged


def crowdlab(
    log: Any,
    pred_probs: Any = None,
    *,
    consensus_method: ConsensusMethod | Sequence[ConsensusMethod] = "best_quality",
    quality_method: QualityMethod = "crowdlab",
    label_quality_method: LabelQualityMethod = "self_confidence",
    adjust_pred_probs: bool = False,
    calibrate: bool = False,
    classes: Sequence[Any] | None = None,
    duplicates: checks.Duplicates = "error",
    into: str | Path | None = None,
    executor: Any = None,
    progress: bool = False,
    tolerance: float = 0.0,
) -> Crowdlab:
    """Consensus labels and the quality of labels and annotators, by CROWDLAB.

    See the formulas in `polars_crowd/consensus/model.py`. For labels that are sets of classes there is
    `multilabel_crowdlab`.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, with columns `example, annotator, label`; or
        an `AnnotationStore`, which is worked on partition by partition.
    pred_probs
        A model's out-of-sample probabilities: whatever `scan_pred_probs` takes. A list is an ensemble
        of models. Every annotated example must be there; further examples are left aside. A store
        holds them itself.
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
    into
        A directory for the results: `examples/` and `annotations/`, a Parquet file per partition, and
        `annotators.parquet`. Files are written whole; a run that was stopped takes up where it was. The
        result's LazyFrames are then scans of these files.
    executor
        For a store: any `concurrent.futures.Executor` whose workers can read the store's files.
    progress
        Whether to show partitions done, rate and time left on stderr (needs the extra `cli`).
    tolerance
        With `into` and a store that was appended to: results of partitions that did not change stay where
        they are if every parameter (CL, NCL, annotator and model weights, thresholds) they were made with
        differs from the present one by at most this. By default they are all made anew, and are exactly
        those of a run from scratch; the parameters are so in any case. Examples in changed partitions
        always are.

    Returns
    -------
    Crowdlab
        `.examples`, `.annotations` (LazyFrames), `.annotators` (DataFrame), `.model_weight`,
        `.temperature`, and `.posterior` (LazyFrame). Each table is computed when it is asked for, or once
        with `into`.

    Raises
    ------
    AnnotationError
        The log or the pred_probs cannot be used: a missing column, null ids, duplicates, labels that are
        not classes, annotated examples without probabilities, probabilities that are none, fewer than
        two classes, or only one annotation for every example.
    ValueError
        An option has an unknown value, or no effect on this call.

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
    if tolerance and not (into is not None and isinstance(log, Partitioned)):
        raise ValueError(
            "tolerance= says which results that an earlier run wrote may stay: it needs a store and into=."
        )
    rounds = open_rounds(
        log,
        pred_probs,
        classes=classes,
        duplicates=duplicates,
        into=into,
        executor=executor,
        progress=progress,
    )
    check_model(rounds.n_models > 0)
    return fit(rounds, options, calibrate=calibrate, tolerance=tolerance)


# --- rounds ----------------------------------------------------------------------------------------


def fit(
    rounds: Rounds, options: Options, *, calibrate: bool = False, tolerance: float = 0.0
) -> Crowdlab:
    """CROWDLAB in rounds."""
    temperatures = None
    if calibrate:
        rounds, temperatures = calibrated(rounds)
    counts = rounds.run(count_overlap, remember=True)
    n_annotations = int(counts[("label",)]["annotations"].sum())
    check_overlap(rounds, counts[("annotator",)], n_annotations)
    found = consensus_by_method(rounds, counts, options)
    chosen, kept = counts[("label",)]["label"], next(iter(found.values())).counts["label"]
    lost = chosen.filter(~chosen.is_in(kept.implode()))
    warn_of_lost_classes(rounds.book.classes.gather(lost))
    return Crowdlab(rounds, found, options, temperatures, tolerance)


def consensus_by_method(
    rounds: Rounds, counts: Merged, options: Options, shares: Shares = vote_shares
) -> dict[ConsensusMethod, LabelConsensus]:
    """The rounds of every consensus method asked for, from the merged `count_overlap`."""
    g, ties = agreement_with_others(counts[("annotator",)]), break_ties(rounds, counts)
    plan = count_consensus if rounds.into is None else recount_consensus

    def decide(best_under: Posterior | None) -> LabelConsensus:
        choice = Choice(ties, best_under)
        counts = rounds.run(plan, choice, remember=True)[("label", "multi")]
        weights = None
        if options.quality_method == "crowdlab":
            weights = weigh(counts, g, rounds.n_classes, rounds.n_models)
        return Consensus(choice, counts, Posterior(weights, shares))

    return by_method(options.consensus_methods, decide)


def by_method(
    methods: Sequence[ConsensusMethod], decide: Callable[[P | None], Consensus[C, P]]
) -> dict[ConsensusMethod, Consensus[C, P]]:
    """The consensus of every method asked for: `decide` makes one round, with the classes that are best
    under a posterior, or with the majority vote."""
    majority = decide(None)
    found: dict[ConsensusMethod, Consensus[C, P]] = {"majority_vote": majority}
    if "best_quality" in methods:
        found["best_quality"] = decide(majority.posterior)
    return {method: found[method] for method in methods}


# --- what is asked for -----------------------------------------------------------------------------


def _options(
    consensus_method: ConsensusMethod | Sequence[ConsensusMethod],
    quality_method: QualityMethod,
    label_quality_method: LabelQualityMethod,
    adjust_pred_probs: bool,
) -> Options:
    given = [consensus_method] if isinstance(consensus_method, str) else list(consensus_method)
    if not given or len(set(given)) < len(given):
        raise ValueError(f"consensus_method={given!r}; give one method, or several different ones.")
    check_methods(given, quality_method, label_quality_method)
    if adjust_pred_probs and label_quality_method == "confidence_weighted_entropy":
        raise ValueError(
            "adjust_pred_probs=True does not go with label_quality_method="
            "'confidence_weighted_entropy'; use 'self_confidence' or 'normalized_margin'."
        )
    return Options(tuple(given), quality_method, label_quality_method, adjust_pred_probs)


def check_methods(
    consensus_methods: Sequence[str], quality_method: str, label_quality_method: str
) -> None:
    """Every method is one there is."""
    for method in consensus_methods:
        _check_choice("consensus_method", method, ConsensusMethod)
    _check_choice("quality_method", quality_method, QualityMethod)
    _check_choice("label_quality_method", label_quality_method, LabelQualityMethod)


def _check_choice(name: str, value: str, allowed: Any) -> None:
    if value not in get_args(allowed):
        raise ValueError(f"{name}={value!r}; it must be one of {shown(list(get_args(allowed)))}.")


def check_model(is_there: bool) -> None:
    """There are pred_probs."""
    if not is_there:
        raise AnnotationError(
            "CROWDLAB needs a model's pred_probs beside the log. Without a model, use "
            "pc.majority_vote, or a method such as pc.dawid_skene."
        )


# --- what limits the result ------------------------------------------------------------------------


def check_overlap(rounds: Rounds, overlap: pl.DataFrame, n_annotations: int) -> None:
    """Some annotators share an example; of those who do not, and of no agreement at all, warn."""
    alone = overlap.filter(pl.col("others") == 0)["annotator"]
    if len(alone) == overlap.height:
        raise checks.single_annotations(n_annotations)
    if len(alone):
        names = rounds.book.annotators.gather(alone).to_list()
        warn(
            f"{counted(len(alone), 'annotator')} share no example with another annotator: {shown(names)}. "
            "They get the mean weight of the others."
        )
    if overlap["agreeing"].sum() == 0:
        warn("no two annotators agree on any example; check that the labels mean what they should.")


def warn_of_lost_classes(lost: pl.Series) -> None:
    """Of classes that annotators chose and that no example has by consensus."""
    if len(lost):
        warn(
            f"{counted(len(lost), 'class')} that annotators chose became the consensus of no example: "
            f"{shown(lost.to_list())}. A model trained on the consensus labels will not know of them."
        )
