"""CROWDLAB on a wide matrix of labels, with cleanlab's arguments and results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict, Unpack, cast, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polars_crowd.arrays import Probabilities
from polars_crowd.compat.cleanlab.majority import caution_lost_classes
from polars_crowd.compat.cleanlab.pandas_extra import pd
from polars_crowd.compat.cleanlab.valid import as_model, check_labels, check_pred_probs
from polars_crowd.compat.cleanlab.wide import Labels, Wide, read_wide, to_runs
from polars_crowd.consensus.calibration import calibrate, tempered
from polars_crowd.consensus.crowdlab import consensus_by_method
from polars_crowd.consensus.label_quality import LabelQualityMethod
from polars_crowd.consensus.model import (
    ConsensusMethod,
    Options,
    QualityMethod,
    count_overlap,
    vote_shares,
)
from polars_crowd.consensus.result import Crowdlab, Found
from polars_crowd.errors import shown
from polars_crowd.numerics.mixture import Mixture
from polars_crowd.rounds.opening import rounds_of
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.runs.classes import Runs
from polars_crowd.signatures import shares

ORDER_DECIMALS = 14
"""Annotators that differ by less stay in the order of the columns: rounding must not order them."""
OUT_OF_RANGE = 1e-6
"""How far a posterior may lie outside [0, 1]."""


class QualityOptions(TypedDict, total=False):
    """What is returned, and how labels are scored."""

    calibrate_probs: bool
    return_detailed_quality: bool
    return_annotator_stats: bool
    return_weights: bool
    verbose: bool
    label_quality_score_kwargs: Mapping[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What is returned, and how labels are scored.

    Parameters
    ----------
    labels_multiannotator
        The wide matrix, (N, M): class numbers 0, 1, ..., K-1, NaN where an annotator gave no label. A frame's
        columns are the annotators' ids.
    calibrate_probs
        Whether to scale the temperature of pred_probs to the annotators' spread of labels first.
    return_detailed_quality, return_annotator_stats, return_weights
        What to return beside `label_quality`.
    verbose
        Whether to print cautions: annotators without overlap, classes that are nobody's consensus.
    label_quality_score_kwargs
        `method` (`"self_confidence"`, `"normalized_margin"` or `"confidence_weighted_entropy"`) and
        `adjust_pred_probs` (whether to adjust for class imbalance).

    Raises
    ------
    ValueError
        Labels or pred_probs that cannot be used (see `assert_valid_inputs_multiannotator`), NaN in
        pred_probs, posteriors outside [0, 1], a method with an unknown name, or weights asked for with
        `quality_method="agreement"`.
    TypeError
        pred_probs that are no numpy array; an unknown option in `label_quality_score_kwargs`.

    Warns
    -----
    UserWarning
        No two annotators agree on any example.
    """

    calibrate_probs: bool = False
    return_detailed_quality: bool = True
    return_annotator_stats: bool = True
    return_weights: bool = False
    verbose: bool = True
    label_quality_score_kwargs: Mapping[str, Any] = field(default_factory=dict)


@shares(QualityOptions, Wanted)
def get_label_quality_multiannotator(
    labels_multiannotator: Labels,
    pred_probs: NDArray[Any],
    *,
    consensus_method: str | list[str] = "best_quality",
    quality_method: str = "crowdlab",
    **options: Unpack[QualityOptions],
) -> dict[str, Any]:
    """Consensus labels and the quality of labels and annotators, by CROWDLAB.

    See `polars_crowd.crowdlab` for the method, and for the same on a long log of any size.

    Parameters
    ----------
    pred_probs
        A model's out-of-sample probabilities, (N, K).
    consensus_method
        `"best_quality"` (the most probable class of the posterior) or `"majority_vote"`, or a list of them:
        the first gives the main columns, `detailed_label_quality` and `annotator_stats`, the others add
        columns with the method as suffix.
    quality_method
        `"crowdlab"`, or `"agreement"` for shares of votes without the model.

    Returns
    -------
    dict
        * `label_quality`: frame, a row per example: `consensus_label, consensus_quality_score,
          annotator_agreement, num_annotations`;
        * `detailed_label_quality`: frame, (N, M), columns `quality_annotator_...`, the quality of each label;
        * `annotator_stats`: frame, a row per annotator, the worst first: `annotator_quality,
          agreement_with_consensus, worst_class, num_examples_labeled`. As in cleanlab its `annotator_quality`
          uses self-confidence where `return_detailed_quality=False`, whatever `label_quality_score_kwargs`
          say;
        * `model_weight`: float, and `annotator_weight`: array, (M,). As in cleanlab, of a list of consensus
          methods they are those of the last.

    Agrees with
    -----------
    cleanlab 2.9, `get_label_quality_multiannotator`, to 1e-9. With `quality_method="agreement"` or
    `calibrate_probs=True` that means labels counted on the wrong classes, which `polars_crowd.crowdlab`
    counts right: see `help(polars_crowd.compat.cleanlab)`, also for what differs.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([[0, 0, 1], [1, 1, np.nan], [np.nan, 1, 1], [0, 1, np.nan]])
    >>> probs = np.array([[0.8, 0.2], [0.3, 0.7], [0.1, 0.9], [0.6, 0.4]])
    >>> info = get_label_quality_multiannotator(labels, probs)
    >>> info["label_quality"]["consensus_label"].tolist()
    [0, 1, 1, 0]
    >>> info["label_quality"]["consensus_quality_score"].round(3).tolist()
    [0.799, 0.711, 0.887, 0.554]
    """
    wanted = Wanted(**options)
    if wanted.return_weights and quality_method != "crowdlab":
        raise ValueError(
            "Model and annotator weights are only applicable to the crowdlab quality method, "
            f"not to {quality_method!r}: leave return_weights or quality_method at its default."
        )
    methods = consensus_method if isinstance(consensus_method, list) else [consensus_method]
    return _quality(labels_multiannotator, pred_probs, wanted, methods, quality_method)


@shares(QualityOptions, Wanted)
def get_label_quality_multiannotator_ensemble(
    labels_multiannotator: Labels, pred_probs: NDArray[Any], **options: Unpack[QualityOptions]
) -> dict[str, Any]:
    """As `get_label_quality_multiannotator`, for several models; the consensus is the best quality.

    Parameters
    ----------
    pred_probs
        The models' out-of-sample probabilities, (P, N, K); each model has its own temperature.

    Returns
    -------
    dict
        As there; `model_weight` is an array, (P,).

    Agrees with
    -----------
    cleanlab 2.9, `get_label_quality_multiannotator_ensemble`, to 1e-9, but for what
    `help(polars_crowd.compat.cleanlab)` says of ensembles.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([[0, 0, 1], [1, 1, np.nan], [np.nan, 1, 1], [0, 1, np.nan]])
    >>> probs = np.array([[0.8, 0.2], [0.3, 0.7], [0.1, 0.9], [0.6, 0.4]])
    >>> both = np.stack([probs, 1 - probs])
    >>> info = get_label_quality_multiannotator_ensemble(labels, both, return_weights=True)
    >>> info["label_quality"]["consensus_label"].tolist(), info["model_weight"].shape
    ([0, 1, 1, 0], (2,))
    """
    wanted = Wanted(**options)
    return _quality(labels_multiannotator, pred_probs, wanted, ["best_quality"], ensemble=True)


def _quality(
    labels: Labels,
    pred_probs: NDArray[Any],
    wanted: Wanted,
    methods: Sequence[str],
    quality_method: str = "crowdlab",
    ensemble: bool = False,
) -> dict[str, Any]:
    wide = read_wide(labels)
    check_labels(wide)
    check_pred_probs(pred_probs, wide, ensemble)
    options = _options(methods, quality_method, wanted.label_quality_score_kwargs)
    models = models_of(pred_probs, ensemble)
    rounds = rounds_of(to_runs(wide, models, models[0].shape[1]), is_ensemble=ensemble)
    fit = fit_rounds(rounds, wide, options, wanted.calibrate_probs)
    if wanted.verbose:
        caution(fit, wide, ["crowdlab"] if ensemble else methods)
    return _info(fit, wide, options, wanted)


def models_of(pred_probs: NDArray[Any], ensemble: bool) -> list[Probabilities]:
    """The probabilities of each model, (N, K)."""
    return [as_model(probs) for probs in (pred_probs if ensemble else [pred_probs])]


# --- options --------------------------------------------------------------------------------------


def _options(
    consensus_methods: Sequence[str], quality_method: str, scoring: Mapping[str, Any]
) -> Options:
    if not consensus_methods:
        raise ValueError("an empty list is not a valid consensus method; name one or more.")
    for method in consensus_methods:
        _check_name(method, "consensus method", ConsensusMethod)
    _check_name(quality_method, "quality method", QualityMethod)
    strange = [name for name in scoring if name not in ("method", "adjust_pred_probs")]
    if strange:
        raise TypeError(
            f"label_quality_score_kwargs={dict(scoring)!r}: got an unexpected keyword argument "
            f"{strange[0]!r}."
        )
    label_quality_method, adjust_pred_probs = _label_quality_options(**scoring)
    return Options(
        consensus_methods=cast("tuple[ConsensusMethod, ...]", tuple(consensus_methods)),
        quality_method=cast("QualityMethod", quality_method),
        label_quality_method=label_quality_method,
        adjust_pred_probs=adjust_pred_probs,
    )


def _check_name(name: Any, what: str, allowed: Any) -> None:
    if name not in get_args(allowed):
        raise ValueError(
            f"{name!r} is not a valid {what}! It must be one of {shown(list(get_args(allowed)))}."
        )


def _label_quality_options(
    *, method: str = "self_confidence", adjust_pred_probs: bool = False
) -> tuple[LabelQualityMethod, bool]:
    """The content of `label_quality_score_kwargs`."""
    _check_name(method, "scoring method", LabelQualityMethod)
    if adjust_pred_probs and method == "confidence_weighted_entropy":
        raise ValueError(f"adjust_pred_probs is not currently supported for {method}.")
    return cast("LabelQualityMethod", method), adjust_pred_probs


# --- the rounds -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """What CROWDLAB found: its rounds, who overlaps with whom, and each method's consensus."""

    rounds: Rounds
    overlap: pl.DataFrame
    found: Found
    temperatures: tuple[float, ...] | None

    def result(self, options: Options) -> Crowdlab:
        """The tables."""
        return Crowdlab(self.rounds, self.found, options, None)


def fit_rounds(rounds: Rounds, wide: Wide, options: Options, calibrate_probs: bool) -> Fit:
    """CROWDLAB as cleanlab counts, on the rounds of a wide matrix."""
    temperatures = None
    if calibrate_probs:
        calibrated = calibrate if wide.holds_integers else calibrate_by_rank
        rounds, temperatures = calibrated(rounds)
    counts = rounds.run(count_overlap)
    shares = vote_shares if wide.holds_integers else shares_by_rank
    found = consensus_by_method(rounds, counts, options, shares)
    part = Partition(rounds.handles[0])
    if not all(in_range(p) for p in part.runs.models):
        for consensus in found.values():
            _check_range(consensus.posterior.of(part), options.label_quality_method)
    return Fit(rounds, counts[("annotator",)], found, temperatures)


def in_range(probs: NDArray[Any], tolerance: float = 0.0) -> bool:
    return bool(probs.min() >= -tolerance and probs.max() <= 1 + tolerance)


def _check_range(q: Mixture, method: LabelQualityMethod) -> None:
    tolerance = 0.0 if method == "confidence_weighted_entropy" else OUT_OF_RANGE
    wrong: list[slice] = []
    q.each(lambda block, values: None if in_range(values, tolerance) else wrong.append(block))
    if wrong:
        raise ValueError(
            "Values in pred_probs must be between 0 and 1: All probabilities are required to be in "
            "the interval [0, 1], and these lead to posteriors outside. Logits need a softmax."
        )


def caution(fit: Fit, wide: Wide, names: Sequence[str]) -> None:
    """Print what limits the result; `names` are those of the consensus methods."""
    alone = fit.overlap.filter(pl.col("others") == 0)["annotator"].to_list()
    if alone and all(consensus.posterior.weights for consensus in fit.found.values()):
        print(
            f"Annotator(s) {alone} did not annotate any examples that overlap with other "
            "annotators; their agreement is taken to be the mean of the others'."
        )
    for name, consensus in zip(names, fit.found.values(), strict=True):
        caution_lost_classes(wide, consensus.counts["label"].to_numpy(), name)


# --- counts as cleanlab has them of floats: the j-th smallest label of an example counts for class j ---


def by_rank(run: Runs) -> Runs:
    """The runs with each label replaced by its rank among the example's distinct labels, from 0."""
    rank = pl.int_range(pl.len(), dtype=pl.UInt32).over("example")
    return replace(run, votes=run.votes.with_columns(label=rank))


def shares_by_rank(run: Runs) -> Mixture:
    """q[e,j] = c[e,k] / n[e], k the j-th of e's distinct labels; the votes stay where they are."""
    shares = vote_shares(run)
    return replace(
        shares,
        models=(vote_shares(by_rank(run)).dense(),),
        model_weights=np.ones(1),
        gain=0.0,
        weight=np.zeros_like(shares.weight),
    )


def calibrate_by_rank(rounds: Rounds) -> tuple[Rounds, tuple[float, ...]]:
    """The rounds with the models' probabilities tempered to the counts by rank."""
    _, found = calibrate(rounds.transformed(by_rank))
    return rounds.transformed(tempered, found), found


# --- the results ----------------------------------------------------------------------------------


def _info(fit: Fit, wide: Wide, options: Options, wanted: Wanted) -> dict[str, Any]:
    result = fit.result(options)
    info: dict[str, Any] = {"label_quality": example_frame(result, wide)}
    if wanted.return_detailed_quality:
        info["detailed_label_quality"] = annotation_frame(result, wide)
    if wanted.return_annotator_stats:
        plain = replace(options, label_quality_method="self_confidence", adjust_pred_probs=False)
        scored = result if wanted.return_detailed_quality else fit.result(plain)
        info["annotator_stats"] = annotator_frame(result, scored, wide)
    if wanted.return_weights:
        weights = fit.found[options.consensus_methods[-1]].posterior.weights
        assert weights is not None
        info["model_weight"] = weights.models if fit.rounds.is_ensemble else weights.models[0]
        info["annotator_weight"] = weights.annotators
    return info


def example_frame(result: Crowdlab, wide: Wide) -> pd.DataFrame:
    """`label_quality`."""
    examples = result.examples.drop("example").cast({"num_annotations": pl.Int64}).collect()
    return _to_pandas(examples, wide.index)


def annotation_frame(result: Crowdlab, wide: Wide) -> pd.DataFrame:
    """`detailed_label_quality`: the quality of each label in the place of the label."""
    annotations = result.annotations.select("example", "annotator", "label_quality_score").collect()
    example, annotator, quality = (column.to_numpy() for column in annotations)
    matrix = np.full(wide.shape, np.nan)
    matrix[example, annotator] = quality
    frame = pd.DataFrame(matrix, index=wide.index, columns=wide.columns)
    return frame.add_prefix("quality_annotator_")


def annotator_frame(result: Crowdlab, scored: Crowdlab, wide: Wide) -> pd.DataFrame:
    """`annotator_stats`, with the `annotator_quality` of `scored`."""
    quality = scored.annotators.sort("annotator")["annotator_quality"]
    stats = result.annotators.sort("annotator").select(
        quality, "agreement_with_consensus", "worst_class", "num_examples_labeled"
    )
    frame = _to_pandas(stats.cast({"num_examples_labeled": pl.Int64}), wide.columns)
    worst_first = ["annotator_quality", "agreement_with_consensus"]
    return frame.sort_values(worst_first, key=lambda column: column.round(ORDER_DECIMALS))


def _to_pandas(frame: pl.DataFrame, index: pd.Index | None) -> pd.DataFrame:
    return pd.DataFrame({column.name: column.to_numpy() for column in frame}, index=index)
