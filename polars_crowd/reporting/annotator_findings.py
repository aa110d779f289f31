"""What is found about annotators: whose labels say nothing, who copies, drifts, stands apart, decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import polars as pl

from polars_crowd.annotators.drift import AnnotatorDrift
from polars_crowd.cells import number_text
from polars_crowd.errors import counted
from polars_crowd.reporting.content import Finding, listed, sentence, share_text
from polars_crowd.reporting.facts import DOUBTFUL, Facts, Missing, doubtful

TOO_MUCH = 0.5
"""The share of all annotations from which on one annotator decides the results."""
FLAGGED = {
    "chance": ("answers like a coin", "answer like a coin"),
    "below_chance": ("is right less often than by chance", "are right less often than by chance"),
    "one_label": ("gives one label whatever the example", "give one label whatever the example"),
    "fast": ("answers much faster than the others", "answer much faster than the others"),
}
"""What is said of an annotator with a flag, and of several."""


def flagged_annotators(facts: Facts) -> Iterator[Finding]:
    """Annotators with the same flag, and what agreement would be without all that say nothing."""
    if isinstance(facts.panel, Missing):
        return
    flags = facts.panel.flags
    sizes = facts.panel.annotators.select("annotator", n="num_annotations")
    for flag, (of_one, of_several) in FLAGGED.items():
        found = flags.filter(flag=flag).join(sizes, on="annotator").sort("value", "annotator")
        if not found.is_empty():
            verb = of_one if found.height == 1 else of_several
            yield of_flag(facts, flag, verb, found, len(doubtful(facts.panel)))


def of_flag(facts: Facts, flag: str, verb: str, found: pl.DataFrame, n_doubtful: int) -> Finding:
    n, all_ = found.height, facts.annotators.height
    says = sentence("{n} of {all} {verb}: ", n=f"{n:,}", all=counted(all_, "annotator"), verb=verb)
    alpha, without = facts.coefficient(), facts.without_doubtful
    effect = ""
    if flag in DOUBTFUL and alpha and without:
        which = "them" if n_doubtful == n else f"the {n_doubtful:,} whose labels say nothing"
        change = "rises" if without["value"] > alpha["value"] else "changes"
        effect = (
            f" Without {which} alpha {change} from {number_text(alpha['value'])} to "
            f"{number_text(without['value'])}."
        )
    return Finding(
        f"annotators_{flag}",
        "warning",
        float(found["n"].sum()) / facts.n_annotations,
        (*says, *listed(found["annotator"].to_list()), f".{effect}"),
        sentence(
            "Look at some of their answers, and train them or leave them out; the reasons stand under "
            "“Annotators”."
        ),
        float(n),
    )


def copied_labels(facts: Facts) -> Iterator[Finding]:
    """Pairs of annotators who share wrong labels beyond what their errors explain."""
    if isinstance(facts.pairs, Missing) or facts.pairs.is_empty():
        return
    first = facts.pairs.row(0, named=True)
    who = pl.concat([facts.pairs["annotator_1"], facts.pairs["annotator_2"].alias("annotator_1")])
    given = facts.annotators.filter(pl.col("annotator").is_in(who.implode()))
    yield Finding(
        "copied_labels",
        "warning",
        float(given["num_examples_labeled"].sum()) / facts.n_annotations,
        sentence(
            "{n} give the same wrong labels more often than their errors explain: {a!r} and {b!r} did so "
            "{same} times, where {expected} are expected.",
            n=f"{counted(facts.pairs.height, 'pair')} of annotators",
            a=first["annotator_1"],
            b=first["annotator_2"],
            same=f"{first['num_same_wrong']:,}",
            expected=number_text(first["expected_same_wrong"]),
        ),
        sentence(
            "Find out whether they work together, or are one; until then count one of them only, since what "
            "is copied counts as votes."
        ),
        float(facts.pairs.height),
    )


def drifting_annotators(facts: Facts) -> Iterator[Finding]:
    """Annotators who fell below their own past."""
    if not isinstance(facts.drift, AnnotatorDrift) or facts.drift.alarms.is_empty():
        return
    alarms = facts.drift.alarms
    who = alarms["annotator"].unique(maintain_order=True)
    first = alarms.row(0, named=True)
    given = facts.annotators.filter(pl.col("annotator").is_in(who.implode()))
    yield Finding(
        "drifting_annotators",
        "warning",
        float(given["num_examples_labeled"].sum()) / facts.n_annotations,
        (
            *sentence("{n} became worse than before: ", n=counted(len(who), "annotator")),
            *listed(who.to_list()),
            *sentence(
                ". Since {since} {who!r} is right in {now}, where {then} would be expected.",
                since=f"{first['since']:%Y-%m-%d}",
                who=first["annotator"],
                now=share_text(first["accuracy"]),
                then=share_text(first["expected_accuracy"]),
            ),
        ),
        sentence("Look at what they labelled since then, and ask what changed."),
        first["accuracy"],
    )


def separate_crowds(facts: Facts) -> Iterator[Finding]:
    """Annotators who share no example with the others, not even through third ones."""
    if isinstance(facts.shared, Missing) or facts.shared.components.height < 2:
        return
    sizes = facts.shared.components
    apart = int(sizes["num_annotators"].sum()) - int(sizes["num_annotators"][0])
    yield Finding(
        "separate_crowds",
        "warning",
        1 - float(sizes["num_annotations"][0]) / float(sizes["num_annotations"].sum()),
        sentence(
            "The annotators fall into {n} that share no example, {apart} outside of the largest: who is in "
            "different ones cannot be compared.",
            n=counted(sizes.height, "group"),
            apart=counted(apart, "annotator"),
        ),
        sentence("Give some examples of each group to annotators of the others."),
        float(sizes.height),
    )


def one_who_decides(facts: Facts) -> Iterator[Finding]:
    """One annotator gave most of the annotations."""
    most = facts.annotators.sort("num_examples_labeled", descending=True).row(0, named=True)
    share = most["num_examples_labeled"] / facts.n_annotations
    if facts.annotators.height < 3 or share < TOO_MUCH:
        return
    yield Finding(
        "one_who_decides",
        "note",
        share,
        sentence(
            "{who!r} gave {share} of all annotations, so results are largely theirs.",
            who=most["annotator"],
            share=share_text(share),
        ),
        sentence(
            "Give a larger part to others, above all of the examples that they labelled alone."
        ),
        share,
    )


OF_ANNOTATORS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    flagged_annotators,
    copied_labels,
    drifting_annotators,
    separate_crowds,
    one_who_decides,
)
