"""What a report finds, in words: each with its number and what to do, the most important first.

A finding is an error where the results cannot be trusted, a warning where it costs quality, a note where it
is worth knowing; of one severity the one that touches the largest share of the log comes first
(`Finding.rank`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import polars as pl

from polars_crowd.cells import number_text
from polars_crowd.errors import counted, shortened
from polars_crowd.inputs.suspicions import Severity, values_shown
from polars_crowd.reporting.annotator_findings import OF_ANNOTATORS
from polars_crowd.reporting.charts.classes import each_pair_once
from polars_crowd.reporting.content import Finding, listed, sentence, share_text
from polars_crowd.reporting.facts import ALPHA, Facts, Missing

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


def findings_of(facts: Facts) -> list[Finding]:
    """All of them, the most important first."""
    found = [finding for find in FINDERS for finding in find(facts)]
    return sorted(found, key=lambda finding: finding.rank)


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
    if facts.coefficient("percent_agreement") is not None:
        yield all_alike()
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


def all_alike() -> Finding:
    """Examples have several annotators, and all give one class."""
    return Finding(
        "one_class",
        "note",
        1.0,
        sentence(
            "Annotators agree always, on one class, so that agreement beyond chance cannot be measured."
        ),
        sentence("Check that there are examples of other classes, and that it is asked for them."),
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
                "In {n} agreement is lower than over all: where {names} is ",
                n=counted(below.height, "group"),
                names=", ".join(names),
            ),
            *listed([worst[name] for name in names]),
            *sentence(
                " alpha is {value}, and {all} over all.",
                value=number_text(worst["value"]),
                all=number_text(alpha["value"]),
            ),
        ),
        sentence(
            "Look at examples of these groups with their annotators: are the instructions made for them? "
            "Where percent agreement is no lower one class prevails, and alpha is low for that."
        ),
        worst["value"],
        worst["ci_low"],
        worst["ci_high"],
    )


def confused_classes(facts: Facts) -> Iterator[Finding]:
    """Pairs of classes that are told apart hardly better than by chance; of two classes alpha says it."""
    if isinstance(facts.cells, Missing) or facts.cells["label_1"].n_unique() < 3:
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
            "Annotators {hardly} tell {a!r} from {b!r}: they are taken for one another {ratio} times as "
            "often as by chance{more}.",
            **pair,
            hardly="cannot" if worst["ratio"] >= 1 else "can hardly",
            more=and_more(bad.height - 1),
        ),
        sentence(
            "Say in the instructions what makes the difference, with examples, or make them one class."
        ),
        worst["ratio"],
    )


def and_more(n: int) -> str:
    """How many pairs there are besides the one that is named.

    >>> and_more(0), and_more(1), and_more(2)
    ('', ', and so is 1 pair more', ', and so are 2 pairs more')
    """
    return f", and so {'is' if n == 1 else 'are'} {counted(n, 'pair')} more" if n else ""


def confusions(cells: pl.DataFrame) -> pl.DataFrame:
    """The pairs of different classes, those that are told apart worst first."""
    return each_pair_once(cells).sort(
        "ratio", "observed", descending=True, nulls_last=True, maintain_order=True
    )


def unsure_consensus(facts: Facts) -> Iterator[Finding]:
    """Many examples whose consensus is hardly better than a guess."""
    found = facts.consensus
    n = found.n_below(UNSURE)
    if n < OFTEN * found.n:
        return
    wrong = round(found.n - found.quality * found.n)
    yield Finding(
        "unsure_consensus",
        "warning",
        n / found.n,
        sentence(
            "Of {all} the consensus is less than {bar} sure in {n} ({share}); about {wrong} "
            "{are} expected to be wrong.",
            all=counted(found.n, "example"),
            bar=share_text(UNSURE),
            n=f"{n:,}",
            share=share_text(n / found.n),
            wrong=counted(wrong, "consensus label"),
            are="is" if wrong == 1 else "are",
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
            "{n} of {all} examples ({share}) {have} one annotation, which nobody checked.",
            n=f"{n:,}",
            all=f"{all_:,}",
            have="has" if n == 1 else "have",
            share=share_text(n / all_),
        ),
        sentence(
            "Give a part of them to a second annotator; “What to label next” says which are worth most."
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
        1 - found.high,
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
        head = sentence("{what} ({n})", what=row["what"].capitalize(), n=f"{row['count']:,}")
        shown = [shortened(value) for value in row["shown"]]
        yield Finding(
            f"check_{row['what'].replace(' ', '_').replace(',', '')}",
            row["severity"],
            min(row["count"] / max(facts.n_annotations, 1), 1.0),
            (*head, f": {values_shown(shown, row['count'])}." if shown else "."),
            (row["advice"],),
            float(row["count"]),
        )


FINDERS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    no_agreement,
    low_agreement,
    *OF_ANNOTATORS,
    weak_groups,
    confused_classes,
    unsure_consensus,
    single_annotations,
    oversure,
    wrong_consensus,
    idle_model,
    of_checks,
)
