"""What a dataset's card asks for: who labelled what, how often, and how far to trust it."""

from __future__ import annotations

import polars as pl

from polars_crowd.cells import number_text
from polars_crowd.errors import counted, shortened
from polars_crowd.reporting.content import Section, Table, sentence, with_interval
from polars_crowd.reporting.facts import ALPHA, Facts


def card_of(facts: Facts) -> Section:
    """Numbers and sentences that can be pasted into a card."""
    rows = [(name, value) for name, value in entries(facts).items() if value]
    table = Table("card", "Data card", pl.DataFrame(rows, schema=["what", "value"], orient="row"))
    text = sentence(
        "What a card of this dataset has to say of its annotations. In the Markdown of this report it can be "
        "copied as it is."
    )
    return Section("card", "For the dataset's card", text=[text], tables=[table])


def entries(facts: Facts) -> dict[str, str]:
    """What a dataset's card asks for of its annotations."""
    seen = facts.consensus
    per_example = facts.n_annotations / max(seen.n, 1)
    n = facts.annotators["num_examples_labeled"]
    return {
        "Size": f"{counted(seen.n, 'example')}, {counted(facts.n_annotations, 'annotation')}",
        "Annotators": f"{counted(facts.annotators.height, 'annotator')}, with {number_text(n.min())} to "
        f"{number_text(n.max())} annotations each (median {number_text(n.median())})",
        "Annotations per example": f"{number_text(per_example)} on average; "
        f"{counted(seen.n_single, 'example')} with one",
        "Classes": classes_text(facts),
        "Agreement": agreement_text(facts),
        "How labels were made": f"by {facts.fit._how_it_went()} ({facts.fit.method})"
        + (", with a model" if facts.fit.weights["model_weight"].count() else ""),
        "How sure labels are": f"a label is right with a probability of {number_text(seen.quality)} on "
        f"average; {counted(seen.n_below(0.6), 'example')} below .6",
        "Accuracy": accuracy_text(facts),
        "Fingerprint of the annotations": facts.fingerprint,
    }


def classes_text(facts: Facts) -> str:
    """The classes and their shares of the consensus labels."""
    labels = facts.consensus.of_labels.head(20).select("label", "share").rows()
    more = len(facts.fit.classes) - len(labels)
    said = [f"{shortened(str(label))} ({100 * share:.3g} %)" for label, share in labels]
    return ", ".join([*said, *([f"{more:,} more"] if more > 0 else [])])


def agreement_text(facts: Facts) -> str:
    alpha = facts.coefficient(ALPHA)
    if alpha is None:
        return "not measurable"
    return "Krippendorff's alpha " + with_interval(
        alpha["value"], alpha["ci_low"], alpha["ci_high"]
    )


def accuracy_text(facts: Facts) -> str:
    found = facts.accuracy
    if found is None:
        return ""
    return (
        f"{with_interval(found.value, found.low, found.high)} of {counted(found.n, 'known label')}"
    )
