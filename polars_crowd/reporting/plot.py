"""Charts: what was found, as pictures that one can read at a glance and show to others.

Each function takes a result of this library, or its table, reduces it to at most a few hundred rows, and
returns a chart of Altair (the extra `report`): as wide as the page, and small whatever the log's size. What
does not fit is left out by a rule that the subtitle says. `chart.save("chart.html")` writes it down.
"""

from polars_crowd.reporting.charts.annotators import annotator_quality
from polars_crowd.reporting.charts.classes import class_confusions, confusion
from polars_crowd.reporting.charts.drift import drift
from polars_crowd.reporting.charts.examples import consensus_quality, labels_per_example, queue
from polars_crowd.reporting.charts.overlap import overlap
from polars_crowd.reporting.charts.pairs import pairwise_agreement
from polars_crowd.reporting.charts.posteriors import calibration, confidence
from polars_crowd.reporting.charts.rankings import comparison, judge_agreement, ranking

__all__ = [
    "annotator_quality",
    "calibration",
    "class_confusions",
    "comparison",
    "confidence",
    "confusion",
    "consensus_quality",
    "drift",
    "judge_agreement",
    "labels_per_example",
    "overlap",
    "pairwise_agreement",
    "queue",
    "ranking",
]
