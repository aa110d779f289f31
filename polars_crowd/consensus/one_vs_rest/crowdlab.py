"""CROWDLAB of sets of classes as a function of a log, and its rounds. Its formulas are in `model`."""

from __future__ import annotations

from typing import Any, Unpack

import polars as pl

from polars_crowd.consensus.crowdlab import by_method, check_overlap, warn_of_lost_classes
from polars_crowd.consensus.model import Consensus, ConsensusMethod
from polars_crowd.consensus.one_vs_rest import model
from polars_crowd.consensus.one_vs_rest.calibration import calibrate as calibrated
from polars_crowd.consensus.one_vs_rest.result import METHOD, Fitted, MultiLabelCrowdlab
from polars_crowd.consensus.options import Asked, CrowdlabOptions, Judging, check_model
from polars_crowd.errors import OptionError, check_choice
from polars_crowd.rounds.partitions import Partitioned
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Merged
from polars_crowd.signatures import shares


@shares(CrowdlabOptions, Asked)
def multilabel_crowdlab(
    log: Any,
    pred_probs: Any = None,
    *,
    consensus_method: ConsensusMethod = "best_quality",
    **options: Unpack[CrowdlabOptions],
) -> MultiLabelCrowdlab:
    """Consensus sets of classes and the quality of labels and annotators, by CROWDLAB.

    An annotator chooses any number of classes for an example. Every class is a problem of its own, chosen or
    not (a class that is not chosen on an example that was seen is a no), with weights of its own for
    annotators and models; scores are means over the classes. See the formulas in
    `polars_crowd/consensus/one_vs_rest/model.py`.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, with columns `example, annotator, label`, where
        `label` is a list of classes (an empty one: nothing chosen); or with a row per chosen class (a row
        with a null label says that the annotator saw the example and, alone, chose nothing). Or an
        `AnnotationStore` that was made with `multilabel=True`.
    pred_probs
        A model's out-of-sample probabilities, one independent of the others for each class: whatever
        `scan_pred_probs` takes; a list is an ensemble of models. Every annotated example must be there;
        further examples are left aside. A store holds them itself.
    consensus_method
        `"best_quality"` (per class the more probable answer of the posterior) or `"majority_vote"`.
    classes
        The classes in order; by default that of the columns of pred_probs.

    Returns
    -------
    MultiLabelCrowdlab
        Tables as of `crowdlab`, and the same class by class.

    References
    ----------
    Goh and Mueller (2023), arXiv 2301.11856, and Thyagarajan et al. (2022), arXiv 2211.13895, for averaging
    one-vs-rest scores.

    Examples
    --------
    >>> import polars as pl
    >>> log = pl.DataFrame({
    ...     "example": ["e1", "e1", "e2", "e2", "e3"],
    ...     "annotator": ["a", "b", "a", "b", "a"],
    ...     "label": [["cat", "dog"], ["cat"], [], ["dog"], ["dog"]],
    ... })
    >>> columns = {"cat": [0.9, 0.1, 0.2], "dog": [0.6, 0.3, 0.9]}
    >>> probs = pl.DataFrame({"example": ["e1", "e2", "e3"], **columns})
    >>> fit = multilabel_crowdlab(log, probs)
    >>> fit.examples.select("example", "consensus_label").collect().rows()
    [('e1', ['cat', 'dog']), ('e2', []), ('e3', ['dog'])]
    >>> fit.classes.select("class", "num_annotations", "num_examples").rows()
    [('cat', 2, 1), ('dog', 3, 2)]
    """
    asked = Asked(**options)
    if not isinstance(consensus_method, str):
        must = "for sets of classes it is one method, not a list."
        raise OptionError("consensus_method", consensus_method, must)
    check_choice("consensus_method", consensus_method, ConsensusMethod)
    check_model(isinstance(log, Partitioned) or pred_probs is not None)
    rounds, classes = asked.open_sets(log, pred_probs)
    check_model(rounds.n_models > 0)
    rounds, fitted = fit_sets(rounds.claim(METHOD), classes, consensus_method, asked)
    return MultiLabelCrowdlab(rounds, classes, fitted, asked.label_quality_method)


def fit_sets(
    rounds: Rounds, classes: pl.Series, consensus_method: ConsensusMethod, asked: Judging
) -> tuple[Rounds, Fitted]:
    """CROWDLAB of every class, in rounds of all classes at once."""
    temperatures = None
    if asked.calibrate:
        rounds, temperatures = calibrated(rounds)
    overlap = rounds.run(model.count_overlap)
    check_overlap(rounds, overlap_of_annotators(overlap), overlap[()]["annotations"].item())
    consensus = consensus_of(
        rounds, overlap, consensus_method, by_shares=asked.quality_method == "agreement"
    )
    lost = (overlap[("class",)]["chosen"] > 0) & (consensus.counts["yes_anywhere"] == 0)
    warn_of_lost_classes(classes.filter(lost))
    return rounds, Fitted(consensus_method, consensus, overlap, temperatures)


def consensus_of(
    rounds: Rounds, overlap: Merged, method: ConsensusMethod, *, by_shares: bool = False
) -> model.SetConsensus:
    """The rounds of a consensus method, from the merged `count_overlap`."""
    shape = (len(rounds.book.annotators), len(rounds.book.names))
    g, ties = model.agreement_with_others(overlap, shape), model.break_ties(rounds, overlap)

    def decide(best_under: model.SetPosterior | None) -> model.SetConsensus:
        choice = model.SetChoice(ties, best_under)
        counts = rounds.run(model.count_consensus, choice)[("class",)]
        weights = None if by_shares else model.weigh(counts, overlap[()], g, rounds.n_models)
        return Consensus(choice, counts, model.SetPosterior(weights))

    return by_method([method], decide)[method]


def overlap_of_annotators(overlap: Merged) -> pl.DataFrame:
    """By annotator: the other annotations of the same examples, and how many say the same of a class."""
    by_annotator = overlap[("annotator", "class")].group_by("annotator")
    sums = by_annotator.agg(pl.col("others").max(), pl.col("agreeing").sum())
    return sums.sort("annotator")
