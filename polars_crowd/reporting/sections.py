"""The sections of a report, from its facts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import polars as pl

from polars_crowd.annotators.report import AnnotatorReport
from polars_crowd.errors import counted, shortened, shown_value
from polars_crowd.reporting import plot
from polars_crowd.reporting.annotator_sections import of_annotators
from polars_crowd.reporting.card import card_of
from polars_crowd.reporting.charts.tables import BINS
from polars_crowd.reporting.consensus import Accuracy, Consensus
from polars_crowd.reporting.content import (
    MOST,
    Chart,
    Content,
    Number,
    Section,
    Table,
    not_computed,
    sentence,
)
from polars_crowd.reporting.facts import ALPHA, HEADLINES, Facts, Missing
from polars_crowd.reporting.findings import confusions, findings_of
from polars_crowd.reports import with_values

CONFUSED = "Which classes are taken for one another"
TEXT = 300
"""Characters of an example's text that are shown."""
NAMES = {
    ALPHA: "Krippendorff's alpha",
    "gwet_ac1": "Gwet's AC1",
    "percent_agreement": "percent agreement",
}
OF_AGREEMENT = ("value", "ci_low", "ci_high", "num_examples", "num_annotators")


def content_of(facts: Facts, title: str) -> Content:
    """All sections that have something to say, in their order."""
    made = [
        headlines(facts),
        found(facts),
        checked(facts),
        agreed(facts),
        of_annotators(facts),
        confused(facts),
        consensus(facts),
        next_ones(facts),
        card_of(facts),
        how(facts),
    ]
    return Content(title, [section for section in made if not section.is_empty], about(facts))


def headlines(facts: Facts) -> Section:
    """The numbers that people ask for first."""
    seen = facts.consensus
    numbers = [
        Number("num_examples", "examples", seen.n),
        Number("num_annotators", "annotators", facts.annotators.height),
        Number("num_annotations", "annotations", facts.n_annotations),
        Number("num_classes", "classes", len(facts.fit.classes)),
        *(number for name in HEADLINES for number in coefficient(facts, name)),
        Number(
            "consensus_quality",
            "probability of a consensus label",
            seen.quality,
            note="mean over the examples, as the fit has it",
        ),
        *accuracy(facts.accuracy),
    ]
    return Section("headlines", "Headline numbers", numbers=numbers)


def coefficient(facts: Facts, name: str) -> Iterator[Number]:
    row = facts.coefficient(name)
    if row is not None:
        yield Number(name, NAMES[name], row["value"], row["ci_low"], row["ci_high"])


def accuracy(found: Accuracy | None) -> Iterator[Number]:
    if found is not None:
        note = f"of {counted(found.n, 'known label')}"
        yield Number(
            "accuracy", "accuracy of the consensus", found.value, found.low, found.high, note
        )


def found(facts: Facts) -> Section:
    findings = findings_of(facts)
    text = [] if findings else [sentence("Nothing to worry about was found.")]
    return Section("findings", "Findings", text=text, findings=findings)


def checked(facts: Facts) -> Section:
    """What `check_annotations` says."""
    if facts.checks.is_empty():
        return Section(
            "checks", "What the check found", [sentence("The log has no faults of form.")]
        )
    shown = pl.col("shown").list.join("; ")
    table = Table(
        "checks", "Faults of form, and what is worth knowing", facts.checks.with_columns(shown)
    )
    return Section("checks", "What the check found", tables=[table])


def agreed(facts: Facts) -> Section:
    if isinstance(facts.agreement, Missing):
        return Section("agreement", "Agreement", text=[not_computed(facts.agreement.why)])
    frame = with_values(facts.agreement.select("coefficient", *OF_AGREEMENT, "reason"))
    tables = [Table("agreement", "How far annotators agree", frame)]
    if isinstance(facts.groups, pl.DataFrame):
        tables.append(by_group(facts.groups))
    return Section("agreement", "Agreement", tables=tables)


def by_group(groups: pl.DataFrame) -> Table:
    """Alpha of each group, the lowest first."""
    names = groups.columns[: groups.columns.index("coefficient")]
    percent = groups.filter(coefficient="percent_agreement")["value"]
    alpha = groups.filter(coefficient=ALPHA).select(*names, *OF_AGREEMENT, "reason")
    alpha = alpha.insert_column(
        alpha.columns.index("num_examples"), percent.alias("percent_agreement")
    )
    frame = alpha.sort("value", *names, nulls_last=True).head(MOST)
    frame = frame.select(*names, *with_values(frame.drop(names)).columns)
    says = "Krippendorff's alpha, the lowest first."
    return Table("agreement_by_group", "Agreement by group", frame, says, alpha.height)


def confused(facts: Facts) -> Section:
    if isinstance(facts.cells, Missing):
        return Section("confusions", CONFUSED, [not_computed(facts.cells.why)])
    pairs = confusions(facts.cells)
    if pairs.is_empty():
        return Section("confusions", CONFUSED, [sentence("None: there is one class only.")])
    says = (
        "How often two classes are chosen for one example (observed), how often they would be by chance "
        "(expected), and the ratio: 1 says that the two are not told apart at all."
    )
    table = Table.first("confusions", "Pairs of classes, those told apart worst first", pairs, says)
    chart = Chart(
        "class_confusions",
        "How often two classes are chosen for one example",
        "confusions",
        plot.class_confusions,
        (facts.cells,),
        folds=False,
        reading="The longer a bar the more pairs of annotations of one example disagree like this. Bars that "
        "reach their black tick are of classes that are not told apart at all.",
    )
    tables, charts = [table], [chart]
    if isinstance(facts.panel, AnnotatorReport) and not facts.panel.confusion.is_empty():
        tables.append(confusion_of_all(facts.panel))
        title = "What the examples of each class are called"
        charts.append(Chart("confusion", title, "confusion", plot.confusion, (facts.panel,)))
    return Section("confusions", CONFUSED, tables=tables, charts=charts)


def confusion_of_all(panel: AnnotatorReport) -> Table:
    """How often examples of a class get each label, the most frequent confusions first."""
    n = pl.col("num_annotations")
    cells = panel.confusion.group_by("true_label", "label", maintain_order=True).agg(n.sum())
    share = n / n.sum().over("true_label")
    cells = cells.with_columns(probability=share).sort(
        pl.col("true_label") == pl.col("label"),
        "num_annotations",
        "true_label",
        "label",
        descending=[False, True, False, False],
    )
    says = "A true label is the consensus of the other annotators."
    return Table.first("confusion", "Labels by true label", cells, says)


def consensus(facts: Facts) -> Section:
    """The labels that come out, how sure they are, and the least certain of them."""
    seen = facts.consensus
    n = counted(seen.least.height, "example")
    why_not = with_votes(seen.least, facts).join(
        facts.reasons, on="example", how="left", maintain_order="left"
    )
    tables = [
        Table.first("consensus_labels", "Consensus labels", seen.of_labels),
        Table("consensus_quality", "How probable the consensus labels are", seen.of_bins),
        *calibration(seen),
        Table("labels_per_example", "Annotations per example", seen.of_counts),
        Table(
            "least_certain",
            f"The {n} whose consensus is least certain",
            why_not.drop(SAID_BY_VOTES),
            "Why: what each method says and how sure it is; then what speaks for each of the two most "
            "probable classes, with what it adds to the log of their odds.",
        ),
    ]
    return Section("consensus", "The consensus", tables=tables, charts=[*pictures(facts)])


SAID_BY_VOTES = ("annotator_agreement", "num_annotations")
"""Columns of examples that say no more than their votes."""


def pictures(facts: Facts) -> Iterator[Chart]:
    """Of the consensus."""
    cells, judged = facts.consensus.cells, facts.consensus.judged
    examples = cells.select(
        "num_annotations", consensus_quality_score=(pl.col("bin") + 0.5) / BINS, num_examples="n"
    )
    title = "How sure the consensus is"
    yield Chart("quality", title, "consensus_quality", plot.consensus_quality, (examples,))
    if not judged.is_empty():
        given = (judged, judged.select("example", label="truth"))
        yield Chart(
            "calibration", "Is it as right as it says?", "calibration", plot.calibration, given
        )
    if facts.consensus.of_counts.height < 2:
        return
    title = "How many annotations the examples have"
    yield Chart("votes", title, "labels_per_example", plot.labels_per_example, (examples,))


def calibration(seen: Consensus) -> Iterator[Table]:
    """How often labels are right, by how probable they are."""
    if not seen.judged.is_empty():
        yield Table("calibration", "How often labels of that probability are right", seen.of_truth)


def with_votes(examples: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Examples with who said what of them, and with their text."""
    votes = {}
    texts = {}
    for (example,), rows in facts.votes.group_by("example", maintain_order=True):
        votes[example] = votes_text(rows)
        if facts.asked.text:
            texts[example] = next(iter(rows[facts.asked.text].drop_nulls()), None)
    ids = examples["example"]
    more: dict[str, Any] = {
        "votes": pl.Series([votes.get(id_, "") for id_ in ids], dtype=pl.String)
    }
    if facts.asked.text:
        shown = [
            None if texts.get(id_) is None else shortened(str(texts[id_]), TEXT) for id_ in ids
        ]
        more["text"] = pl.Series(shown, dtype=pl.String)
    return examples.with_columns(**more)


def votes_text(rows: pl.DataFrame, most: int = 3) -> str:
    """Who chose which label, the most frequent one first.

    >>> rows = pl.DataFrame({"annotator": ["a", "b", "c"], "label": ["x", "y", "y"]})
    >>> votes_text(rows)
    "'y' (2): b, c; 'x' (1): a"
    """
    by_label = rows.group_by("label", maintain_order=True).agg("annotator", n=pl.len())
    parts = []
    for label, who, n in by_label.sort("n", descending=True, maintain_order=True).rows():
        more = "" if n <= most else ", ..."
        names = ", ".join(shortened(str(one)) for one in who[:most])
        parts.append(f"{shown_value(label)} ({n}): {names}{more}")
    return "; ".join(parts)


def next_ones(facts: Facts) -> Section:
    title = "What to label next"
    if isinstance(facts.queue, Missing):
        return Section("next", title, text=[not_computed(facts.queue.why)])
    queue = facts.queue
    text = sentence(
        "By {by}, the lowest score first, of {n}{unlabelled}.",
        by=queue.by,
        n=counted(queue.n, "example"),
        unlabelled=f", {queue.n_unlabelled:,} of them without a label"
        if queue.n_unlabelled
        else "",
    )
    tables = [
        Table(
            "next", "The examples most worth a label", with_votes(queue.batch, facts), total=queue.n
        ),
        Table("scores", "Scores of all examples", queue.of_bins),
    ]
    scores = queue.cells.select(
        "num_annotations", active_learning_score=(pl.col("bin") + 0.5) / BINS, num_examples="n"
    )
    chart = Chart("queue", "How much another label is worth", "scores", plot.queue, (scores,))
    return Section("next", title, text=[text], tables=tables, charts=[chart])


# --- so that it can be made again ------------------------------------------------------------------


def how(facts: Facts) -> Section:
    """Method, options, versions, fingerprint, warnings."""
    rows = [(name, str(value)) for name, value in about(facts).items()]
    table = Table("about", "Made with", pl.DataFrame(rows, schema=["what", "value"], orient="row"))
    weights = Table("methods", "What each method and the model count for", facts.fit.weights)
    text = [sentence("Warned of: {text}", text=text) for text in facts.warnings]
    return Section("how", "How this was made", text=text, tables=[table, weights])


def about(facts: Facts) -> dict[str, Any]:
    import polars_crowd

    asked = facts.asked
    options = {
        "size": asked.size,
        "by": None if asked.by is None else describe(asked.by),
        "text": asked.text,
        "classes": asked.classes,
        "duplicates": asked.duplicates,
    }
    given = {name: value for name, value in options.items() if value not in (None, "error")}
    return {
        "polars_crowd": polars_crowd.__version__,
        "polars": pl.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "method": facts.fit._header(),
        "options": ", ".join(f"{name}={value!r}" for name, value in given.items()),
        "fingerprint": facts.fingerprint,
    }


def describe(by: Any) -> Any:
    """What it is grouped by, in a word."""
    if isinstance(by, (list, tuple)):
        return [describe(one) for one in by]
    return by if isinstance(by, str) else f"a frame of {', '.join(by.columns)}"
