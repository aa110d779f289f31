"""CROWDLAB as a function of a log, and its rounds. The formulas are in `consensus.model`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Unpack

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
    Shares,
    agreement_with_others,
    count_consensus,
    count_overlap,
    recount_consensus,
    vote_shares,
    weigh,
)
from polars_crowd.consensus.options import Asked, CrowdlabOptions, check_model
from polars_crowd.consensus.result import METHOD, Crowdlab
from polars_crowd.errors import Advice, OptionError, check_choice, counted, shown, warn
from polars_crowd.inputs import checks
from polars_crowd.option_checks import check_number
from polars_crowd.rounds.partitions import Partitioned
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Merged
from polars_crowd.signatures import shares


@shares(CrowdlabOptions, Asked)
def crowdlab(
    log: Any,
    pred_probs: Any = None,
    *,
    consensus_method: ConsensusMethod | Sequence[ConsensusMethod] = "best_quality",
    adjust_pred_probs: bool = False,
    tolerance: float = 0.0,
    **options: Unpack[CrowdlabOptions],
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
    adjust_pred_probs
        Whether to adjust the posterior for class imbalance before labels are scored (not with
        `"confidence_weighted_entropy"`).
    tolerance
        With `into` and a store that was appended to: results of partitions that did not change stay where
        they are if every parameter (CL, NCL, annotator and model weights, thresholds) they were made with
        differs from the present one by at most this. By default all are those of a run from scratch;
        parameters and changed partitions are so in any case.

    Returns
    -------
    Crowdlab
        Each of its tables is computed when it is asked for, or once with `into`.

    Agrees with
    -----------
    cleanlab 2.9 (`get_label_quality_multiannotator` and its ensemble form), to 1e-9. Two differences:
    ties that cleanlab breaks at random go to the first class, and posteriors within 1e-12 are ties.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> data = pc.datasets.tutorial()
    >>> fit = pc.crowdlab(data.log, data.pred_probs)
    >>> fit.examples.select("consensus_label", "consensus_quality_score").head(2).collect().rows()
    [(0, 0.7361...), (0, 0.7577...)]
    """
    asked = Asked(**options)
    check_number("tolerance", tolerance, 0.0)
    if tolerance and not (asked.into is not None and isinstance(log, Partitioned)):
        does = "it says which results of an earlier run may stay: give a store, and a directory."
        raise OptionError("tolerance", tolerance, does)
    wanted = Options(
        methods_of(consensus_method),
        asked.quality_method,
        asked.label_quality_method,
        checked_adjustment(adjust_pred_probs, asked.label_quality_method),
    )
    rounds = asked.open(log, pred_probs, glance=wanted.asks_little and not asked.calibrate)
    check_model(rounds.n_models > 0)
    return fit(rounds.claim(METHOD), wanted, calibrate=asked.calibrate, tolerance=tolerance)


def methods_of(
    consensus_method: ConsensusMethod | Sequence[ConsensusMethod],
) -> tuple[ConsensusMethod, ...]:
    """The consensus methods asked for."""
    given = (consensus_method,) if isinstance(consensus_method, str) else consensus_method
    if not isinstance(given, Sequence):
        check_choice("consensus_method", given, ConsensusMethod)
    if not given or len(set(given)) < len(given):
        must = "give one method, or several different ones."
        raise OptionError("consensus_method", list(given), must)
    for method in given:
        check_choice("consensus_method", method, ConsensusMethod)
    return tuple(given)


OTHER_SCORE = Advice(
    "Leave it out, or take another score",
    "label_quality_method='self_confidence' or 'normalized_margin'",
    "--label-quality-method self-confidence or normalized-margin",
)


def checked_adjustment(adjust_pred_probs: bool, method: LabelQualityMethod) -> bool:
    """Whether the posterior is adjusted, which not every score can be of."""
    if adjust_pred_probs and method == "confidence_weighted_entropy":
        must = "it does not go with the entropy as score."
        raise OptionError("adjust_pred_probs", adjust_pred_probs, must, OTHER_SCORE)
    return adjust_pred_probs


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
    if lost := {*chosen} - {*kept}:
        warn_of_lost_classes(rounds.book.classes.gather(sorted(lost)))
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


# --- what limits the result ------------------------------------------------------------------------


def check_overlap(rounds: Rounds, overlap: pl.DataFrame, n_annotations: int) -> None:
    """Some annotators share an example; of those who do not, and of no agreement at all, warn."""
    alone = overlap["annotator"].filter(overlap["others"] == 0)
    if len(alone) == overlap.height:
        raise checks.single_annotations(n_annotations)
    if len(alone):
        names = rounds.book.annotators.gather(alone).to_list()
        warn(
            f"{counted(len(alone), 'annotator')} share no example with another annotator: {shown(names)}. "
            "They get the mean weight of the others."
        )
    if overlap["agreeing"].sum() == 0:
        warn(
            "no two annotators agree on any example.",
            "Check that the labels mean what they should.",
        )


def warn_of_lost_classes(lost: pl.Series) -> None:
    """Of classes that annotators chose and that no example has by consensus."""
    if len(lost):
        warn(
            f"{counted(len(lost), 'class')} that annotators chose became the consensus of no example: "
            f"{shown(lost.to_list())}. A model trained on the consensus labels will not know of them."
        )
