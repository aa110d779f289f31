"""What a report finds, in words: each with its number and what to do, the most important first.

A finding is an error where the results cannot be trusted, a warning where it costs quality, a note where it
is worth knowing; of one severity the one that touches the largest share of the log comes first
(`Finding.rank`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import polars as pl

from polars_crowd.annotators.drift import AnnotatorDrift
from polars_crowd.cells import number_text
from polars_crowd.errors import counted
from polars_crowd.inputs.suspicions import Severity, values_shown
from polars_crowd.reporting.content import (
    Finding,
    Sentence,
    listed,
    sentence,
)
from polars_crowd.reporting.facts import ALPHA, DOUBTFUL, Facts, Missing, doubtful

TENTATIVE = 2 / 3
"""Krippendorff (2004, chapter 11): below this alpha no conclusion is drawn, not even a tentative one."""
SLIGHT = 0.2
"""Below this alpha labels hardly depend on the examples (Landis and Koch 1977 call it slight)."""
UNSURE = 0.6
"""A consensus that is less probable is hardly better than a guess between two classes."""
OFTEN = 0.05
"""The least share of examples that is said to be many."""
LIKE_CHANCE = 0.8
"""Two classes are hardly told apart that are taken for one another this often, as a share of by chance."""
FEW = 5
"""The fewest pairs of annotations that say something about two classes."""
OVERSURE = 0.05
"""How far the claimed accuracy may be above the measured one's interval."""
TOO_MUCH = 0.5
"""The share of all annotations from which on one annotator decides the results."""


def findings_of(facts: Facts) -> list[Finding]:
    """All of them, the most important first."""
    found = [finding for find in FINDERS for finding in find(facts)]
    return sorted(found, key=lambda finding: finding.rank)


def share_text(share: float) -> str:
    """A share as percent.

    >>> share_text(0.0512), share_text(0.5), share_text(0.0004)
    ('5.1 %', '50 %', '0.04 %')
    """
    return f"{100 * share:.2g} %" if share < 1 else "100 %"


def low_agreement(facts: Facts) -> Iterator[Finding]:
    """Agreement beyond chance is too low to conclude anything from single labels."""
    alpha = facts.coefficient()
    if alpha is None or alpha["value"] >= TENTATIVE:
        return
    value = alpha["value"]
    severity: Severity = "error" if value < SLIGHT else "warning"
    yield Finding(
        "low_agreement",
        severity,
        1 - max(value, 0),
        sentence(
            "Annotators agree little: alpha is {value}, and {bar} is the least for tentative conclusions.",
            value=number_text(value),
            bar=number_text(TENTATIVE),
        ),
        sentence(
            "Look at the classes that are taken for one another and at the annotators below, sharpen the "
            "instructions for these, and use the consensus with its probability rather than single labels."
        ),
        value,
        alpha["ci_low"],
        alpha["ci_high"],
    )


def no_agreement(facts: Facts) -> Iterator[Finding]:
    """Agreement cannot be measured."""
    if facts.coefficient() is not None:
        return
    if isinstance(facts.agreement, Missing):
        why = facts.agreement.why
    else:
        why = facts.agreement.filter(coefficient=ALPHA)["reason"][0] or "nothing varies"
    yield Finding(
        "no_agreement",
        "error",
        1.0,
        sentence("Agreement cannot be measured: {why}", why=f"{why.rstrip('.')}."),
        sentence("Have some of the examples labelled by a second annotator."),
    )


FLAGGED = {
    "chance": "answer like a coin",
    "below_chance": "are right less often than by chance",
    "one_label": "give one label whatever the example",
    "fast": "answer much faster than the others",
}
"""What is said of the annotators with a flag."""


def flagged_annotators(facts: Facts) -> Iterator[Finding]:
    """Annotators with the same flag, and what agreement would be without all that say nothing."""
    if isinstance(facts.panel, Missing):
        return
    flags, sizes = (
        facts.panel.flags,
        facts.panel.annotators.select("annotator", n="num_annotations"),
    )
    for flag, verb in FLAGGED.items():
        found = flags.filter(flag=flag).join(sizes, on="annotator").sort("value", "annotator")
        if not found.is_empty():
            yield of_flag(facts, flag, verb, found)


def of_flag(facts: Facts, flag: str, verb: str, found: pl.DataFrame) -> Finding:
    n, all_ = found.height, facts.annotators.height
    says = sentence("{n} of {all} {verb}: ", n=f"{n:,}", all=counted(all_, "annotator"), verb=verb)
    alpha, without = facts.coefficient(), facts.without_doubtful
    effect = ""
    if flag in DOUBTFUL and alpha and without:
        many = len(doubtful(facts.panel)) if not isinstance(facts.panel, Missing) else n
        which = "them" if many == n else f"the {many:,} whose labels say nothing"
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


def weak_groups(facts: Facts) -> Iterator[Finding]:
    """Groups whose agreement is below that of all, intervals apart."""
    alpha, groups = facts.coefficient(), facts.groups
    if alpha is None or groups is None or isinstance(groups, Missing) or alpha["ci_low"] is None:
        return
    below = groups.filter(pl.col("ci_high") < alpha["ci_low"], coefficient=ALPHA).sort("value")
    if below.is_empty():
        return
    names = groups.columns[: groups.columns.index("coefficient")]
    worst = below.row(0, named=True)
    reach = below["num_annotations"].sum() / max(alpha["num_annotations"], 1)
    yield Finding(
        "weak_groups",
        "warning",
        min(reach, 1.0),
        (
            *sentence(
                "In {n} agreement is lower than over all: in ", n=counted(below.height, "group")
            ),
            *listed([worst[name] for name in names]),
            *sentence(
                " alpha is {value}, and {all} over all.",
                value=number_text(worst["value"]),
                all=number_text(alpha["value"]),
            ),
        ),
        sentence(
            "Look at examples of these groups with their annotators: are the instructions made for them?"
        ),
        worst["value"],
        worst["ci_low"],
        worst["ci_high"],
    )


def confused_classes(facts: Facts) -> Iterator[Finding]:
    """Pairs of classes that are told apart hardly better than by chance."""
    if isinstance(facts.cells, Missing):
        return
    pairs = confusions(facts.cells)
    bad = pairs.filter((pl.col("ratio") >= LIKE_CHANCE) & (pl.col("observed") >= FEW))
    if bad.is_empty():
        return
    worst = bad.row(0, named=True)
    reach = 2 * float(bad["observed"].sum()) / float(facts.cells["observed"].sum())
    pair = {"a": worst["label_1"], "b": worst["label_2"], "ratio": number_text(worst["ratio"])}
    yield Finding(
        "confused_classes",
        "warning",
        reach,
        sentence(
            "Annotators cannot tell {a!r} from {b!r}: they are taken for one another {ratio} times as often "
            "as by chance{more}.",
            **pair,
            more="" if bad.height == 1 else f", and so are {counted(bad.height - 1, 'pair')} more",
        ),
        sentence(
            "Say in the instructions what makes the difference, with examples, or make them one class."
        ),
        worst["ratio"],
    )


def confusions(cells: pl.DataFrame) -> pl.DataFrame:
    """The pairs of different classes, those that are told apart worst first."""
    order = {label: k for k, label in enumerate(cells["label_1"].unique(maintain_order=True))}
    place = pl.col("label_1", "label_2").replace_strict(order, return_dtype=pl.UInt32)
    upper = cells.with_columns(place.name.suffix("_place")).filter(
        pl.col("label_1_place") < pl.col("label_2_place")
    )
    return upper.select(cells.columns).sort(
        "ratio", "observed", descending=True, nulls_last=True, maintain_order=True
    )


def unsure_consensus(facts: Facts) -> Iterator[Finding]:
    """Many examples whose consensus is hardly better than a guess."""
    found = facts.consensus
    n = found.n_below(UNSURE)
    if n < OFTEN * found.n:
        return
    wrong = found.n - found.quality * found.n
    yield Finding(
        "unsure_consensus",
        "warning",
        n / found.n,
        sentence(
            "Of {all} the consensus is less than {bar} sure in {n} ({share}); about {wrong} of all labels "
            "are expected to be wrong.",
            all=counted(found.n, "example"),
            bar=share_text(UNSURE),
            n=f"{n:,}",
            share=share_text(n / found.n),
            wrong=f"{wrong:,.0f}",
        ),
        sentence("Have the examples under “What to label next” labelled again, in this order."),
        n / found.n,
    )


def single_annotations(facts: Facts) -> Iterator[Finding]:
    """Examples that nobody looked at twice."""
    n, all_ = facts.consensus.n_single, facts.consensus.n
    if n < OFTEN * all_ or n == all_:  # which the check says
        return
    severity: Severity = "warning" if n > all_ / 2 else "note"
    yield Finding(
        "single_annotations",
        severity,
        n / all_,
        sentence(
            "{n} of {all} examples ({share}) have one annotation, which nobody checked.",
            n=f"{n:,}",
            all=f"{all_:,}",
            share=share_text(n / all_),
        ),
        sentence(
            "Give a part of them to a second annotator; the list below says which are worth most."
        ),
        n / all_,
    )


def oversure(facts: Facts) -> Iterator[Finding]:
    """The consensus is right less often than it claims."""
    found = facts.accuracy
    if found is None or found.claimed <= found.high + OVERSURE:
        return
    yield Finding(
        "oversure",
        "warning",
        found.claimed - found.value,
        sentence(
            "The consensus claims to be right in {claimed} of cases, and is in {value} of {n}.",
            claimed=share_text(found.claimed),
            value=share_text(found.value),
            n=counted(found.n, "known label"),
        ),
        sentence(
            "Annotators err alike there. Take more known labels, and hold them in the fit (gold) rather "
            "than trust the probabilities."
        ),
        found.value,
        found.low,
        found.high,
    )


def wrong_consensus(facts: Facts) -> Iterator[Finding]:
    """How often the consensus is wrong, where the truth is known."""
    found = facts.accuracy
    if found is None or found.high >= 0.9:
        return
    yield Finding(
        "wrong_consensus",
        "warning",
        1 - found.value,
        sentence(
            "Of {n} the consensus has {value} right.",
            n=counted(found.n, "known label"),
            value=share_text(found.value),
        ),
        sentence("Compare methods on these labels before you use it: compare says which is best."),
        found.value,
        found.low,
        found.high,
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


def idle_model(facts: Facts) -> Iterator[Finding]:
    """The model adds next to nothing."""
    weights = facts.fit.weights.drop_nulls("model_weight")
    low = weights.filter(pl.col("model_weight") < 0.1)
    if low.is_empty():
        return
    weight = low["model_weight"].min()
    assert isinstance(weight, float)
    yield Finding(
        "idle_model",
        "warning",
        1 - weight,
        sentence(
            "The model counts for {w} in the consensus: next to nothing.", w=share_text(weight)
        ),
        sentence(
            "Check that its probabilities are out of sample, and of these examples and classes."
        ),
        weight,
    )


def of_checks(facts: Facts) -> Iterator[Finding]:
    """What `check_annotations` calls an error or a warning."""
    for row in facts.checks.filter(pl.col("severity") != "note").iter_rows(named=True):
        yield Finding(
            f"check_{row['what'].replace(' ', '_').replace(',', '')}",
            row["severity"],
            min(row["count"] / max(facts.n_annotations, 1), 1.0),
            sentence("{what}: {n}.", what=row["what"].capitalize(), n=f"{row['count']:,}"),
            (*shown_in(row["shown"], row["count"]), row["advice"]),
            float(row["count"]),
        )


def shown_in(values: list[str], count: int) -> Sentence:
    return (f"{values_shown(values, count)}. ",) if values else ()


FINDERS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    no_agreement,
    low_agreement,
    flagged_annotators,
    copied_labels,
    drifting_annotators,
    separate_crowds,
    weak_groups,
    confused_classes,
    unsure_consensus,
    single_annotations,
    oversure,
    wrong_consensus,
    one_who_decides,
    idle_model,
    of_checks,
)
