"""What speaks against the labels that a method found, looked for once when it has ended.

Letters as in `truth.classification.dawid_skene`; z[i] is the consensus label of example i, c[i,l] the number
of its annotators who chose l. One pass over the log counts

    read[k,l]  = sum over the examples with z[i] = k: c[i,l]
    right[j]   = how many of the m[j] annotations of j are z[i]

and on how many examples what is the case. A warning says of

* classes exchanged: right[j] / m[j] < 1 / K for most annotators; or most labels on examples of class k are
  another class l, and most labels l are on examples of k: 2 read[k,l] > sum_l read[k,l], sum_k read[k,l];
* a unanimous log: max_l c[i,l] = n[i] wherever n[i] > 1, so that nothing tells annotators apart;
* labels that differ from the vote, c[i,z[i]] < max_l c[i,l], on more than a tenth of the examples;
* a class swallowed: expected, by the posterior, on next to none of the examples that votes give it, or the
  label of none though it alone has the most votes on some.

Examples whose truth is known are not held against the vote, nor is a method that has a model, which is there
to differ from it; with either, annotators can be judged though they never disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from polars_crowd.arrays import Codes, Floats, Ints
from polars_crowd.errors import SHOWN, Advice, counted, shown_value, warn
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.summaries import Merged, Summary
from polars_crowd.truth.block import UNKNOWN, Block
from polars_crowd.truth.model import ANNOTATOR, Key
from polars_crowd.truth.plans import Answer, Source, label_of
from polars_crowd.truth.result import Fitted
from polars_crowd.truth.sums import added, as_summary, as_sums

MOST_DIFFER = 0.1
"""The share of examples whose labels may differ from the vote without a word."""
COLLAPSED = 0.05
"""A class that is expected on less than this share of the examples the votes give it has collapsed."""
PAIR: Key = ("read_as", "label")
COUNTED: dict[str, Key] = {
    "right": ANNOTATOR,
    **dict.fromkeys(("examples", "mass", "found", "won"), ()),
}

COMPARE = Advice(
    "Compare methods on known labels",
    python="pc.compare(log, truth=)",
    command="polars-crowd compare --truth FILE",
)
HOLD = Advice("Give known labels, or more of them", python="gold=", command="--gold FILE")


# --- one pass --------------------------------------------------------------------------------------


def count_against(part: Partition, source: Source) -> Summary:
    """What labels and votes say of each other."""

    def count(answer: Answer) -> tuple[Codes, dict[str, Floats]]:
        label = label_of(answer)
        return label, of_block(answer, label)

    labels, sums = zip(*source.each(part, count), strict=True)
    read_as = pl.lit(pl.Series(np.concatenate(labels), dtype=pl.UInt32)).gather("example")
    votes = part.runs.votes.lazy().select("label", "votes", read_as=read_as)
    return {
        **as_summary(added(sums), COUNTED, part),
        PAIR: votes.group_by(PAIR).agg(pl.all().sum()),
    }


def of_block(answer: Answer, z: Codes) -> dict[str, Floats]:
    """A block's part of all that is counted but pairs of classes."""
    block, K = answer.block, answer.block.n_classes
    is_label = block.vote_label == z[block.vote_example]
    top = np.zeros(block.n_examples, dtype=np.intp)
    np.maximum.at(top, block.vote_example, block.votes)
    is_top = block.votes == top[block.vote_example]
    alone = is_top & (_by_example(block, is_top) == 1)[block.vote_example]
    free = np.ones(block.n_examples, bool) if block.known is None else block.known == UNKNOWN
    several = block.count > 1
    differs = free & (_by_example(block, block.votes * is_label) < top)
    examples = (free, differs, several, several & (top == block.count))
    return {
        "right": block.per_annotator(is_label.astype(np.float64).take(block.vote)),
        "examples": np.array([float(which.sum()) for which in examples]),
        "mass": answer.T.sum(axis=1),
        "found": np.bincount(z, minlength=K),
        "won": np.bincount(block.vote_label[alone], minlength=K),
    }


def _by_example(block: Block, of_votes: Floats | Ints) -> Floats:
    return np.bincount(block.vote_example, of_votes, block.n_examples).astype(np.float64)


@dataclass(frozen=True)
class Against:
    """The counts of a whole log, and what its votes say."""

    fitted: Fitted
    right: Floats
    """right[j], shape (M,)."""
    examples: Floats
    """How many examples have a truth that is not known; of these, another label than the vote; of all,
    several annotations; of these, only equal ones."""
    mass: Floats
    """sum_i T[i,k], shape (K,)."""
    found: Floats
    """On how many examples each class is the label, shape (K,)."""
    won: Floats
    """... and has the most votes alone."""
    read: pl.DataFrame
    """`read_as, label, votes`: read[k,l]."""

    @classmethod
    def of(cls, fitted: Fitted, merged: Merged) -> Against:
        sums = as_sums(merged, COUNTED, fitted.log)
        return cls(fitted, read=merged[PAIR], **{name: sums[name].ravel() for name in COUNTED})

    @property
    def has_model(self) -> bool:
        return bool(self.fitted.rounds.n_models)

    @property
    def below_chance(self) -> tuple[int, int]:
        """How many annotators are right less often than one in K, and how many there are."""
        log = self.fitted.log
        there = log.annotations > 0
        below = self.right[there] * log.n_classes < log.annotations[there]
        return int(below.sum()), int(there.sum())

    @property
    def exchanged(self) -> pl.DataFrame:
        """The pairs of classes of which one is read as the other."""
        votes = pl.col("votes")
        most_of = [2 * votes > votes.sum().over(key) for key in PAIR]
        return self.read.filter(pl.col("read_as") != pl.col("label"), *most_of)

    @property
    def swallowed(self) -> Ints:
        voted = self.fitted.census["vote_shares"]
        gone = (voted >= 1) & (self.mass < COLLAPSED * voted)
        return np.flatnonzero(gone | ((self.won > 0) & (self.found == 0)))


# --- what is said ----------------------------------------------------------------------------------


def warn_of_doubts(fitted: Fitted, source: Source) -> None:
    """Warn of all that speaks against the labels that `source` gives to a log, of which a fit knows."""
    against = Against.of(fitted, fitted.rounds.quiet().run(count_against, source))
    warn_of_exchange(against)
    warn_of_unanimity(against)
    warn_of_difference(against)
    warn_of_lost_classes(against)


def warn_of_exchange(against: Against) -> None:
    said = []
    below, of = against.below_chance
    if 2 * below > of:
        said.append(f"{below:,} of {counted(of, 'annotator')} are right less often than by chance")
    classes, pairs = against.fitted.log.classes, against.exchanged
    for pair in pairs.select(PAIR).head(SHOWN).iter_rows():
        truth, label = (shown_value(classes[code]) for code in pair)
        said.append(
            f"most labels on examples of class {truth} are {label}, and most labels {label} are there"
        )
    if said:
        warn(f"classes may be exchanged: {'; '.join(said)}.", HOLD)


def warn_of_unanimity(against: Against) -> None:
    _, _, several, unanimous = against.examples.astype(int).tolist()
    known = against.fitted.known.gold is not None or against.has_model
    if several > 1 and several == unanimous and not known:
        warn(
            f"annotators agree on all of the {counted(several, 'example')} with more than one annotation: "
            "nothing tells them apart, and what is said of them is where the method began.",
            HOLD,
        )


def warn_of_difference(against: Against) -> None:
    free, differ, _, _ = against.examples.astype(int).tolist()
    if differ > MOST_DIFFER * free and not against.has_model:
        warn(
            f"labels differ from the majority vote on {differ:,} of {counted(free, 'example')} "
            f"({differ / free:.0%}): annotators are very unequal, or the method is misled.",
            COMPARE,
        )


def warn_of_lost_classes(against: Against) -> None:
    """Of classes that the votes had and that are left with next to no example."""
    lost = against.swallowed
    if len(lost):
        classes, voted = against.fitted.log.classes, against.fitted.census["vote_shares"]
        found = [
            f"{shown_value(classes[k])} (expected on {against.mass[k]:.1f}, by the votes on {voted[k]:.1f})"
            for k in lost[:SHOWN].tolist()
        ]
        warn(
            f"{counted(len(lost), 'class')} that annotators chose became the truth of next to no example: "
            f"{', '.join(found)}. Either these labels are mistakes, or the method has merged the class "
            "into another.",
            Advice(
                "Compare with the majority vote",
                python="pc.majority_vote(log)",
                command="--method majority-vote",
            ),
        )
