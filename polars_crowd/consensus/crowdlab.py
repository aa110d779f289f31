"""CROWDLAB as a function of a log. Its formulas are in `consensus.model`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import polars as pl

from polars_crowd.consensus.calibration import calibrate as calibrated
from polars_crowd.consensus.label_quality import LabelQualityMethod
from polars_crowd.consensus.model import (
    Consensus,
    ConsensusMethod,
    Options,
    QualityMethod,
    consensus_by_method,
    count_overlap,
)
from polars_crowd.consensus.one_vs_rest.result import fit_label_sets
from polars_crowd.consensus.result import Crowdlab
from polars_crowd.errors import AnnotationError, AnnotationWarning, counted, shown
from polars_crowd.inputs import checks
from polars_crowd.rounds.opening import open_label_sets, open_rounds
from polars_crowd.rounds.rounds import Rounds

# --- weights ---------------------------------------------------------------------------------------


# --- posterior -------------------------------------------------------------------------------------


# --- consensus -------------------------------------------------------------------------------------


# --- rounds ----------------------------------------------------------------------------------------


# --- the method ------------------------------------------------------------------------------------


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
    multi_label: bool = False,
) -> Crowdlab:
    """Consensus labels and the quality of labels and annotators, by CROWDLAB.

    See the formulas at the head of the module (`polars_crowd/crowdlab.py`).

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
    multi_label
        Whether labels are sets of classes: a List column, or a row per chosen class (a null label says that
        the annotator saw the example and, alone, chose nothing). pred_probs are then one independent
        probability per class. Every class is a problem of its own, chosen or not, and scores are means
        over the classes. Not with several consensus methods or `adjust_pred_probs`.

    Returns
    -------
    Crowdlab
        `.examples`, `.annotations` (LazyFrames), `.annotators` (DataFrame), `.model_weight`,
        `.temperature`, and `.posterior()`. Each table is computed when it is asked for, or once with
        `into`. With `multi_label` a `MultiLabelCrowdlab`, which has the same class by class too.

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
    opened: dict[str, Any] = {
        "classes": classes,
        "duplicates": duplicates,
        "into": into,
        "executor": executor,
        "progress": progress,
    }
    if multi_label:
        return fit_label_sets(
            *open_label_sets(log, pred_probs, **opened),
            consensus_method=consensus_method,
            quality_method=quality_method,
            label_quality_method=label_quality_method,
            adjust_pred_probs=adjust_pred_probs,
            calibrate=calibrate,
        )
    rounds = open_rounds(log, pred_probs, **opened)
    found = fit(rounds, options, calibrate=calibrate, tolerance=tolerance)
    if into is not None:
        found.save()
    return found


def fit(
    rounds: Rounds, options: Options, *, calibrate: bool = False, tolerance: float = 0.0
) -> Crowdlab:
    """CROWDLAB in rounds."""
    if not rounds.n_models:
        raise AnnotationError(
            "CROWDLAB needs a model's pred_probs beside the log. Without a model, use "
            "pc.majority_vote, or a method such as pc.dawid_skene."
        )
    temperatures = None
    if calibrate:
        rounds, temperatures = calibrated(rounds)
    counts = rounds.run(count_overlap, remember=True)
    overlap = counts[("annotator",)]
    _check_overlap(rounds, overlap, counts[("label",)])
    found = consensus_by_method(rounds, counts, options)
    _warn_of_lost_classes(rounds, counts[("label",)], next(iter(found.values())))
    return Crowdlab(rounds, found, options, temperatures, tolerance)


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


def _check_overlap(rounds: Rounds, overlap: pl.DataFrame, labels: pl.DataFrame) -> None:
    alone = overlap.filter(pl.col("others") == 0)["annotator"]
    if len(alone) == overlap.height:
        raise checks.single_annotations(int(labels["annotations"].sum()))
    if len(alone):
        names = rounds.book.annotators.gather(alone).to_list()
        _warn(
            f"{counted(len(alone), 'annotator')} share no example with another annotator: {shown(names)}. "
            "They get the mean weight of the others."
        )
    if overlap["agreeing"].sum() == 0:
        _warn(
            "no two annotators agree on any example; check that the labels mean what they should."
        )


def _warn_of_lost_classes(rounds: Rounds, labels: pl.DataFrame, consensus: Consensus) -> None:
    kept = consensus.counts["label"].implode()
    lost = labels.filter(~pl.col("label").is_in(kept))["label"]
    if len(lost):
        names = rounds.book.classes.gather(lost).to_list()
        _warn(
            f"{counted(len(lost), 'class')} that annotators chose became the consensus of no example: "
            f"{shown(names)}. A model trained on the consensus labels will not know of them."
        )


def _warn(message: str) -> None:
    warnings.warn(message, AnnotationWarning, stacklevel=4)
