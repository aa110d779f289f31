"""What `crowdlab` and `multilabel_crowdlab` can both be asked for, checked."""

from __future__ import annotations

from dataclasses import dataclass

from polars_crowd.consensus.label_quality import LabelQualityMethod
from polars_crowd.consensus.model import QualityMethod
from polars_crowd.errors import Advice, AnnotationError, OptionError, check_choice
from polars_crowd.rounds.opening import Opening, OpenOptions

BY_MODEL = Advice(
    "Leave it out, or ask the model too",
    python="quality_method='crowdlab'",
    command="--quality-method crowdlab",
)


class CrowdlabOptions(OpenOptions, total=False):
    """How quality is judged, and how a log is read."""

    quality_method: QualityMethod
    label_quality_method: LabelQualityMethod
    calibrate: bool


@dataclass(frozen=True)
class Judging:
    """How quality is judged.

    Parameters
    ----------
    quality_method
        `"crowdlab"`, or `"agreement"` for shares of votes without the model.
    label_quality_method
        `"self_confidence"`, `"normalized_margin"` or `"confidence_weighted_entropy"`.
    calibrate
        Whether to scale the temperature of pred_probs to the annotators' spread of labels first.
    """

    quality_method: QualityMethod = "crowdlab"
    label_quality_method: LabelQualityMethod = "self_confidence"
    calibrate: bool = False

    def __post_init__(self) -> None:
        check_choice("quality_method", self.quality_method, QualityMethod)
        check_choice("label_quality_method", self.label_quality_method, LabelQualityMethod)
        if self.calibrate and self.quality_method == "agreement":
            raise OptionError(
                "calibrate", True, "it has no effect: quality by agreement asks no model.", BY_MODEL
            )


@dataclass(frozen=True)
class Asked(Opening, Judging):
    """How quality is judged, and how a log is read.

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
    """


def check_model(is_there: bool) -> None:
    """There are pred_probs."""
    if not is_there:
        raise AnnotationError(
            "CROWDLAB needs a model's pred_probs beside the log.",
            Advice(
                "Without a model there are the majority vote and methods such as Dawid-Skene",
                python="pc.majority_vote(log), pc.dawid_skene(log)",
                command="consensus --method majority-vote, dawid-skene",
            ),
        )
