"""The section of a report on annotators: how good each is, whom to look at, who copies or became worse."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from polars_crowd.annotators.drift import AnnotatorDrift
from polars_crowd.annotators.overlap import Overlap
from polars_crowd.reporting import plot
from polars_crowd.reporting.charts.drift import mean_accuracy
from polars_crowd.reporting.content import MOST, Chart, Section, Table, not_computed, sentence
from polars_crowd.reporting.facts import Facts, Missing
from polars_crowd.reports import with_values

FEW = 12
"""Annotators whose overlap is drawn also where all are joined."""
OF_ANNOTATORS = (
    *("annotator", "num_annotations", "accuracy", "accuracy_low", "accuracy_high", "spam_score"),
    *("expected_cost", "agreement", "alpha_change", "worst_class", "median_seconds", "flags"),
)
"""What is shown of each annotator."""
OF_ALARMS = (
    *("annotator", "since", "num_annotations"),
    *("accuracy", "expected_accuracy", "change"),
)
"""... and of those who became worse."""
SAYS = {
    "accuracy": "The least accurate first, judged by the consensus of the others.",
    "spam_score": "Spam score: 0 answers without looking, 1 tells the classes apart perfectly.",
    "expected_cost": "Expected cost: 0 for labels that say all, 1 for labels that say nothing.",
    "alpha_change": "Alpha change: how agreement would change without them.",
}
"""What these columns say, where they are."""


def of_annotators(facts: Facts) -> Section:
    if isinstance(facts.panel, Missing):
        return Section("annotators", "Annotators", text=[not_computed(facts.panel.why)])
    panel = facts.panel
    columns = [c for c in OF_ANNOTATORS if c in panel.annotators.columns]
    frame = with_values(panel.annotators.select(columns))
    says = " ".join(said for column, said in SAYS.items() if column in frame.columns)
    tables = [Table.first("annotators", "How good each annotator is", frame, says)]
    flags = panel.flags.filter(pl.col("flag") != "few").select("annotator", "flag", "reason")
    if not flags.is_empty():
        says = "Where to look, no verdict."
        tables.insert(0, Table.first("flags", "Whom to look at", flags, says))
    title = "The least accurate annotators"
    chart = Chart("annotator_quality", title, "annotators", plot.annotator_quality, (panel,), False)
    text = []
    if isinstance(facts.pairs, Missing):
        text.append(sentence("Who copies is not computed: {why}", why=facts.pairs.why))
    tables += [*of_pairs(facts), *of_groups(facts), *over_time(facts)]
    charts = [chart, *who_shares(facts)]
    if isinstance(facts.drift, AnnotatorDrift):
        charts.append(Chart("drift", "Accuracy over time", "windows", plot.drift, (facts.drift,)))
    return Section("annotators", "Annotators", text=text, tables=tables, charts=charts)


def of_pairs(facts: Facts) -> Iterator[Table]:
    if isinstance(facts.pairs, pl.DataFrame) and not facts.pairs.is_empty():
        says = "Those who give the same wrong labels more often than their errors explain."
        yield Table.first("pairs", "Who may have copied", facts.pairs, says)


def of_groups(facts: Facts) -> Iterator[Table]:
    """The groups of annotators who are joined by examples."""
    if isinstance(facts.shared, Overlap) and is_overlap_shown(facts.shared):
        says = "Annotators of different groups share no example, not even through others."
        yield Table.first("components", "Groups of annotators", facts.shared.components, says)


def over_time(facts: Facts) -> Iterator[Table]:
    """Who became worse, and how accurate all are, week by week."""
    if not isinstance(facts.drift, AnnotatorDrift):
        return
    alarms = facts.drift.alarms
    if not alarms.is_empty():
        says = "Those whose accuracy fell below what their own past leads to expect."
        yield Table.first("drift", "Who became worse", alarms.select(OF_ALARMS), says)
    judged = facts.drift.windows.drop_nulls("accuracy")
    weeks = judged.group_by("window").agg(pl.col("num_annotations").sum(), mean_accuracy())
    yield Table(
        "windows", "Accuracy of all by week", weeks.sort("window").tail(MOST), total=weeks.height
    )


def is_overlap_shown(shared: Overlap) -> bool:
    """Whether there is something to see: groups apart, or few annotators."""
    return shared.components.height > 1 or 2 <= shared.annotators.height <= FEW


def who_shares(facts: Facts) -> Iterator[Chart]:
    """Who shares examples with whom."""
    found = facts.shared
    if isinstance(found, Overlap) and is_overlap_shown(found):
        title = "Which annotators share examples"
        yield Chart("overlap", title, "components", plot.overlap, (found,))
