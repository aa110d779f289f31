"""CROWDLAB for sets of classes: one-vs-rest, with the class as one more key of everything.

Each example may have any number of classes. For class k an annotator who saw an example chose it or not
(an implicit negative); the model says p[e,k], one independent probability per class. So each class is a
problem of two classes, yes and no, to which CROWDLAB applies as it stands
(`consensus.model`): with c[e,k] annotators of n[e] for yes, y[e,k] the consensus, and means
over the examples with n[e] > 1,

    s[e,k] = c[e,k] / n[e] if y[e,k] else 1 - c[e,k] / n[e]
    CL[k]  = mean s[e,k],   NCL[k] = 1 - CL[k]
    E0[k]  = share of the rarer of y[e,k] = yes, no                           (at least 1e-6)
    g[a,k] = share of the other annotators of a's examples who say the same of k
    w[a,k] = 1 - (1 - g[a,k]) / E0[k]                                         (at least 1e-6)
    w_m[k] = (1 - share of y[e,k] that differ from p[e,k] > 1/2, / E0[k]) sqrt(mean n)
    q[e,k] = ( sum_m w_m p_m + NCL W[e] + (CL - NCL) W1[e] ) / ( sum_m w_m + W[e] )

with W[e] the summed weight w[a,k] of e's annotators and W1[e] of those who chose k. Scores of an example,
an annotation or an annotator are means over the classes. The idea of averaging one-vs-rest scores is that
of Goh and Mueller (2023, arXiv 2301.11856) and of multi-label label quality (Thyagarajan et al. 2022, arXiv
2211.13895).

Matrices here are (examples x classes), which the models' probabilities are already; over annotations they
are made in blocks, never whole, and nothing runs once per class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from polars_crowd.arrays import Flags, Floats, Ints
from polars_crowd.consensus.model import Consensus, Weights, share_or_mean, weights_for
from polars_crowd.inputs.label_sets import membership
from polars_crowd.numerics import mixture
from polars_crowd.numerics.mixture import EXACT, TIE
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Merged, Summary
from polars_crowd.runs.classes import Runs

Cells = Callable[[slice], Floats]
"""Numbers (annotations x classes) of a block of annotations."""

# --- a partition -----------------------------------------------------------------------------------


class Sets:
    """A partition of a log of sets: who chose what, as (examples x classes) and in blocks."""

    def __init__(self, run: Runs) -> None:
        self.run = run
        self.member: Flags = membership(run.book.classes, run.book.names)
        self.annotator = run.rows["annotator"].to_numpy()
        vote = run.rows["vote"].to_numpy()
        self.label = run.votes["label"].to_numpy()[vote]
        self.example = run.votes["example"].to_numpy()[vote]
        self.n = run.examples["num_annotations"].to_numpy().astype(np.float64)
        self.first = np.concatenate([[0], np.cumsum(self.n)]).astype(np.int64)

    @classmethod
    def of(cls, part: Partition) -> Sets:
        return part.once("label_sets", lambda: cls(part.runs))

    @property
    def n_classes(self) -> int:
        return len(self.run.book.names)

    @cached_property
    def multi(self) -> Flags:
        """Whether each example has several annotations."""
        return self.n > 1

    @cached_property
    def chosen(self) -> Floats:
        """c[e,k], how many annotators of an example chose a class."""
        return self.sum_by_example(self.chose)

    def chose(self, rows: slice) -> Floats:
        """Whether each annotation of a block chose a class, 1 or 0."""
        flags: Flags = self.member[self.label[rows]]
        return flags.astype(np.float64)

    def blocks(self) -> Iterator[tuple[slice, slice]]:
        """Blocks of examples, and of their annotations."""
        per_example = max(len(self.label) / max(len(self.n), 1), 1)
        for examples in mixture.example_blocks(len(self.n), int(self.n_classes * per_example) + 1):
            yield examples, slice(int(self.first[examples.start]), int(self.first[examples.stop]))

    def sum_by_example(self, values: Cells) -> Floats:
        """The sum of values (annotations x classes) over each example's annotations."""
        sums = np.empty((len(self.n), self.n_classes))
        for examples, rows in self.blocks():
            starts = self.first[examples] - rows.start
            sums[examples] = np.add.reduceat(values(rows), starts, axis=0)
        return sums

    def sum_by_annotator(self, *values: Cells) -> list[Floats]:
        """Sums of values (annotations x classes) over each annotator's annotations, (M, K) each."""
        M = len(self.run.book.annotators)
        sums = [np.zeros((M, self.n_classes)) for _ in values]
        for _, rows in self.blocks():
            order = np.argsort(self.annotator[rows], kind="stable")
            found, starts = np.unique(self.annotator[rows][order], return_index=True)
            for total, value in zip(sums, values, strict=True):
                total[found] += np.add.reduceat(value(rows)[order], starts, axis=0)
        return sums

    def agrees(self, consensus: Flags) -> Cells:
        """Whether annotations say of a class what the consensus says, 1 or 0."""
        return lambda rows: (self.member[self.label[rows]] == consensus[self.example[rows]]).astype(
            np.float64
        )

    @cached_property
    def present(self) -> Ints:
        """The annotators of the partition."""
        return np.unique(self.annotator)


def of_classes(**columns: Floats) -> pl.DataFrame:
    """A summary by class, of arrays (K,)."""
    size = len(next(iter(columns.values())))
    return pl.DataFrame({"class": np.arange(size, dtype=np.uint32), **columns})


def by_annotator_and_class(annotators: Ints, **columns: Floats) -> pl.DataFrame:
    """A summary by annotator and class, of arrays (M, K), for these annotators."""
    K = next(iter(columns.values())).shape[1]
    keys = {
        "annotator": np.repeat(annotators, K).astype(np.uint32),
        "class": np.tile(np.arange(K, dtype=np.uint32), len(annotators)),
    }
    return pl.DataFrame({**keys, **{c: v[annotators].ravel() for c, v in columns.items()}})


def tables(counts: Merged, columns: Sequence[str], shape: tuple[int, int]) -> list[Floats]:
    """Columns of a merged summary by annotator and class as arrays (M, K)."""
    frame = counts[("annotator", "class")]
    at = frame["annotator"].to_numpy(), frame["class"].to_numpy()
    arrays = [np.zeros(shape) for _ in columns]
    for array, column in zip(arrays, columns, strict=True):
        array[at] = frame[column].to_numpy()
    return arrays


# --- majority vote ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetTies:
    """What breaks the ties of a class's vote."""

    rarer: Floats
    """Of which of yes (1) and no (-1) there are fewer in the log, (K,)."""
    agreement: Floats | None = None
    """Each annotator's agreement with the votes that are no ties, (M, K), if ties are left."""


def vote_by_probability(sets: Sets) -> Floats:
    """1 for yes, -1 for no, 0 for a tie, after the models' mean probability: step 1."""
    vote = np.sign(2 * sets.chosen - sets.n[:, None])
    models = sets.run.models
    yes, no = sum(models, np.zeros(())), sum((1 - p for p in models), np.zeros(()))
    preferred = np.sign(yes / len(models) - no / len(models)) if models else 0.0
    return np.asarray(np.where(vote == 0, preferred, vote))


def count_overlap(part: Partition) -> Summary:
    """Summary: by annotator and class agreement with the others, by class how often it was chosen and how
    many votes are tied after step 1."""
    sets = Sets.of(part)
    c, n = sets.chosen, sets.n

    def agreeing(rows: slice) -> Floats:
        e = sets.example[rows]
        same: Floats = np.where(sets.member[sets.label[rows]], c[e], n[e, None] - c[e])
        return same - 1

    def others(rows: slice) -> Floats:
        return np.broadcast_to(
            n[sets.example[rows], None] - 1, (rows.stop - rows.start, sets.n_classes)
        )

    agreed, there = sets.sum_by_annotator(agreeing, others)
    size = {"examples": len(n), "multi": int(sets.multi.sum()), "annotations": len(sets.label)}
    tied = (vote_by_probability(sets) == 0).sum(axis=0)
    return {
        (): pl.DataFrame([size]),
        ("class",): of_classes(chosen=c.sum(axis=0), tied=tied),
        ("annotator", "class"): by_annotator_and_class(sets.present, agreeing=agreed, others=there),
    }


def agreement_with_others(counts: Merged, shape: tuple[int, int]) -> Floats:
    """g[a,k]; who shares no example with anybody gets the mean of the others."""
    return share_or_mean(*tables(counts, ("agreeing", "others"), shape))


def count_judged(part: Partition, ties: SetTies) -> Summary:
    """Summary by annotator and class: agreement with the votes that are no ties; and by class how many are
    tied after step 2."""
    sets = Sets.of(part)
    clear = 2 * sets.chosen != sets.n[:, None]
    leading = 2 * sets.chosen > sets.n[:, None]

    def agreeing(rows: slice) -> Floats:
        return sets.agrees(leading)(rows) * judged(rows)

    def judged(rows: slice) -> Floats:
        flags: Flags = clear[sets.example[rows]]
        return flags.astype(np.float64)

    agreed, there = sets.sum_by_annotator(agreeing, judged)
    tied = (vote_by_rarity(sets, ties) == 0).sum(axis=0)
    return {
        ("class",): of_classes(tied=tied),
        ("annotator", "class"): by_annotator_and_class(sets.present, agreeing=agreed, judged=there),
    }


def vote_by_rarity(sets: Sets, ties: SetTies) -> Floats:
    """... after step 2."""
    vote = vote_by_probability(sets)
    return np.where(vote == 0, ties.rarer, vote)


def break_ties(rounds: Rounds, counts: Merged) -> SetTies:
    """What breaks the ties, from the merged `count_overlap`."""
    classes, size = counts[("class",)], counts[()]
    chosen = classes["chosen"].to_numpy()
    ties = SetTies(np.sign(size["annotations"].item() - 2 * chosen).astype(np.float64))
    if not (classes["tied"].to_numpy() * (ties.rarer == 0)).any():
        return ties
    judged = rounds.run(count_judged, ties)
    shape = (len(rounds.book.annotators), len(rounds.book.names))
    return replace(ties, agreement=share_or_mean(*tables(judged, ("agreeing", "judged"), shape)))


def majority(part: Partition, ties: SetTies) -> Flags:
    """The majority vote of each class on a partition's examples; who is still tied is a no."""

    def decide() -> pl.DataFrame:
        sets = Sets.of(part)
        vote = vote_by_rarity(sets, ties)
        if ties.agreement is not None and (vote == 0).any():
            vote = np.where(vote == 0, prefer_by_agreement(sets, ties.agreement), vote)
        return pl.DataFrame(vote > 0, schema=sets.run.book.names, orient="row")

    kept = part.keep("majority-sets", decide, ties)
    return np.asarray(kept.to_numpy())


def prefer_by_agreement(sets: Sets, agreement: Floats) -> Floats:
    """Step 3: 1 where those who chose a class agree with other votes more than those who did not."""
    total = sets.sum_by_example(lambda rows: agreement[sets.annotator[rows]])
    yes = weight_for(sets, agreement)
    c, rest = sets.chosen, sets.n[:, None] - sets.chosen
    mean_yes, mean_no = yes / np.maximum(c, 1), (total - yes) / np.maximum(rest, 1)
    difference = mean_yes - mean_no
    return np.where(np.abs(difference) <= EXACT, 0.0, np.sign(difference))


def weight_for(sets: Sets, of_annotators: Floats) -> Floats:
    """The sum over those who chose a class of what each counts, (N, K)."""
    return sets.sum_by_example(lambda rows: of_annotators[sets.annotator[rows]] * sets.chose(rows))


# --- weights ---------------------------------------------------------------------------------------


def weigh(counts: pl.DataFrame, size: pl.DataFrame, g: Floats, n_models: int) -> Weights[Floats]:
    """The weights, from the merged counts of a consensus."""
    n_multi = size["multi"].item()
    yes = counts["yes"].to_numpy()
    return weights_for(
        counts["agreement"].to_numpy() / n_multi,
        np.maximum(yes, n_multi - yes) / n_multi,
        np.array([counts[f"error_{m}"].to_numpy() for m in range(n_models)]) / n_multi,
        g,
        size["annotations"].item() / size["examples"].item(),
        2,
    )


# --- posterior -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """The numerators of q for yes and for no, and what they are divided by, (N, K)."""

    yes: Floats
    no: Floats
    total: Floats

    @property
    def q(self) -> Floats:
        """q[e,k], that an example has a class."""
        return self.yes / self.total

    def at(self, answer: Flags) -> Floats:
        """The posterior of an answer per example and class."""
        return np.where(answer, self.yes, self.no) / self.total

    def best(self, voted: Flags) -> Flags:
        """The better answer per class; a tie goes to the majority vote."""
        tied = np.abs(self.yes - self.no) <= TIE * self.total
        return np.where(tied, voted, self.yes > self.no)


def posterior(sets: Sets, weights: Weights[Floats]) -> Answers:
    """q of a partition's examples."""
    W = total_weight(sets, weights)
    W1 = weight_for(sets, weights.annotators)
    base = weights.other_likelihood
    gain = weights.consensus_likelihood - base
    yes, no = base * W + gain * W1, base * W + gain * (W - W1)
    for w, p in zip(weights.models, sets.run.models, strict=True):
        yes += w * p
        no += w * (1 - p)
    return Answers(yes, no, W + weights.models.sum(axis=0))


def total_weight(sets: Sets, weights: Weights[Floats]) -> Floats:
    """W[e] of each class, (N, K)."""
    return sets.sum_by_example(lambda rows: weights.annotators[sets.annotator[rows]])


def vote_shares(sets: Sets) -> Answers:
    """c / n: the posterior of the agreement method."""
    n = np.broadcast_to(sets.n[:, None], sets.chosen.shape)
    return Answers(sets.chosen, n - sets.chosen, n)


@dataclass(frozen=True)
class SetPosterior:
    """What makes the posterior of a partition: weights, or without them shares of votes."""

    weights: Weights[Floats] | None

    def of(self, part: Partition) -> Answers:
        """q of a partition's examples."""
        return part.once("set_posterior", lambda: self._of(Sets.of(part)), self)

    def _of(self, sets: Sets) -> Answers:
        return vote_shares(sets) if self.weights is None else posterior(sets, self.weights)


# --- consensus -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetChoice:
    """How the consensus y[e,k] is chosen: by majority vote, or as the better answer of a posterior."""

    ties: SetTies
    best_under: SetPosterior | None = None

    def flags(self, part: Partition) -> Flags:
        """y[e,k] of a partition's examples."""
        voted, under = majority(part, self.ties), self.best_under
        if under is None:
            return voted
        names = part.runs.book.names

        def decide() -> pl.DataFrame:
            return pl.DataFrame(under.of(part).best(voted), schema=names, orient="row")

        return np.asarray(part.keep("best-sets", decide, self).to_numpy())


SetConsensus = Consensus[SetChoice, SetPosterior]


def count_consensus(part: Partition, choice: SetChoice) -> Summary:
    """Summary by class: sum of s, how often y is yes (on multi examples, and at all), the models' errors."""
    sets, y = Sets.of(part), choice.flags(part)
    errors = {f"error_{m}": top != y for m, top in enumerate(tops(sets.run))}
    of_multi = {"agreement": share_agreeing(sets, y), "yes": y, **errors}
    sums = {name: values[sets.multi].sum(axis=0) for name, values in of_multi.items()}
    return {("class",): of_classes(**sums, yes_anywhere=y.sum(axis=0))}


def share_agreeing(sets: Sets, y: Flags) -> Floats:
    """s[e,k]."""
    return vote_shares(sets).at(y)


def tops(run: Runs) -> list[Flags]:
    """What each model says of each class; a tie is a no."""
    return [p > 1 - p for p in run.models]
