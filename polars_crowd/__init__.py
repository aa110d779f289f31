"""Consensus, annotator quality and label quality from annotation logs, as Polars queries."""

from polars_crowd import datasets, simulate
from polars_crowd.crowdlab import Crowdlab, crowdlab
from polars_crowd.errors import AnnotationError, AnnotationWarning
from polars_crowd.log import from_wide, scan_annotations, scan_pred_probs, to_wide
from polars_crowd.votes import majority_vote

__version__ = "0.1.0"

__all__ = [
    "AnnotationError",
    "AnnotationWarning",
    "Crowdlab",
    "crowdlab",
    "datasets",
    "from_wide",
    "majority_vote",
    "scan_annotations",
    "scan_pred_probs",
    "simulate",
    "to_wide",
]
