"""The local plans of truth inference: what is done with the examples of a partition in a round.

Every plan takes the E-step of its examples, block by block, from a few parameters, and keeps nothing of an
example but its part of the sums, or its rows of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np
import polars as pl

from polars_crowd.arrays import Codes, Floats, Ints
from polars_crowd.errors import Advice, counted
from polars_crowd.numerics.mixture import TIE, first_true
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Summary
from polars_crowd.truth.block import UNKNOWN, Block, of_blocks
from polars_crowd.truth.class_prior import ClassWeights
from polars_crowd.truth.known import Known
from polars_crowd.truth.model import ANNOTATOR, CELL, Key, Model
from polars_crowd.truth.posterior import Posterior, known_posterior, softmax
from polars_crowd.truth.sums import added, as_summary, on_grid

W = TypeVar("W")

LEAST = np.finfo(np.float64).tiny
"""Smaller probabilities count as this in logs."""
MOST_KEPT = 1 << 23
"""The posterior of a partition with up to this many examples times classes is found once for all that is
asked of a fit."""
ROUND_SUMS: Mapping[str, Key] = dict.fromkeys(
    ("class_mass", "source_mass", "temperature_fit", "state_mass", "evidence"), ()
)
CENSUS: Mapping[str, Key] = {
    "n_annotations": ANNOTATOR,
    **dict.fromkeys(("n_examples", "n_known", "vote_shares"), ()),
}
RIGHT: Mapping[str, Key] = {"right": ANNOTATOR}
FIRST_SUMS: Mapping[str, Key] = {**CENSUS, "class_mass": (), "n_begun": ()}


def count_beginning(part: Partition, model: Model, known: Known) -> Summary:
    """Round 0: the sums under the shares of votes, and the size of the log."""
    first = None if known.init is None else known.init.of_part(part)

    def count(block: Block) -> dict[str, Floats]:
        shares = block.vote_shares()
        given = None if first is None else first[block.first : block.first + block.n_examples]
        T = known_posterior(block, known_posterior(replace(block, known=given), shares))
        T = on_grid(model.in_states(block, T))
        found = {"class_mass": T.sum(axis=1), "n_begun": n_given(given), **census(block, shares)}
        return {**model.count(block, T, None), **found}

    sums = of_blocks(part, count, known.of_part(part), size_of_sums(part, model))
    return as_summary(added(sums), {**model.sums, **FIRST_SUMS}, part, model.codes)


def n_given(codes: Ints | None) -> Floats:
    """Of how many examples a label is given."""
    return np.array([0.0 if codes is None else float(np.count_nonzero(codes != UNKNOWN))])


def census(block: Block, shares: Floats) -> dict[str, Floats]:
    """How much there is: annotations by annotator, shares of votes, examples."""
    return {
        "n_annotations": block.per_annotator(None),
        "vote_shares": shares.sum(axis=1),
        "n_examples": np.array([float(block.n_examples)]),
        "n_known": n_given(block.known),
    }


def count_census(part: Partition, known: Known) -> Summary:
    """The size of a log."""
    sums = of_blocks(part, lambda block: census(block, block.vote_shares()), known.of_part(part))
    return as_summary(added(sums), CENSUS, part)


def count_expected(
    part: Partition, model: Model, weights: Any, classes: ClassWeights, known: Known
) -> Summary:
    """A round: the E-step of a partition, as the sums that the M-step needs, and the evidence."""

    def count(block: Block) -> dict[str, Floats]:
        found = model.e_step(block, weights, classes.log_of(block))
        T = on_grid(found.T)
        evidence = found.log_evidence.sum(keepdims=True)
        mass = {"evidence": evidence, "state_mass": T.sum(axis=1), **classes.count(block, T)}
        return {**model.count_found(block, found, T, weights), **mass}

    sums = of_blocks(part, count, known.of_part(part), size_of_sums(part, model))
    return as_summary(added(sums), {**model.sums, **ROUND_SUMS}, part, model.codes)


def size_of_sums(part: Partition, model: Model) -> int:
    """How many sums a block is added to: blocks are no smaller."""
    book = part.runs.book
    M, codes = len(book.annotators), model.codes
    sizes = {(): 1, ANNOTATOR: M, CELL: M * len(book.classes) if codes is None else len(codes)}
    return max((sizes[key] for key in model.sums.values()), default=1)


@dataclass(frozen=True)
class Answer:
    """What is said of the examples of a block in the end."""

    block: Block
    T: Floats
    """P(truth of i is class k), as labels go by it, shape (K, n)."""
    confidence: Floats
    """... and as sure as it may be."""


class Source(Protocol):
    """What answers come from: a fit, or several of them. Small enough to travel."""

    def each(self, part: Partition, work: Callable[[Answer], W]) -> Iterator[W]:
        """`work(answer)` of each block of a partition, in their order."""


@dataclass(frozen=True)
class Estimate:
    """A model with its parameters, and the exponent of its posteriors."""

    model: Model
    weights: Any
    classes: ClassWeights
    known: Known
    exponent: float = 1.0

    def each(self, part: Partition, work: Callable[[Answer], W]) -> Iterator[W]:
        if part.runs.examples.height * part.runs.n_classes > MOST_KEPT:
            return of_blocks(part, lambda block: work(self.answer(block)), self.gold(part))
        of = (self.model, self.weights, self.classes, self.known)
        kept: dict[tuple[int, int], Floats] = part.once("truth_posteriors", dict, *of)

        def answered(block: Block) -> W:
            examples = block.first, block.n_examples
            T = kept.get(examples)
            if T is None:
                T = kept[examples] = self.posterior(block)
            return work(self.answer_of(block, T))

        return of_blocks(part, answered, self.gold(part))

    def gold(self, part: Partition) -> Ints | None:
        """The classes that are given."""
        return self.known.of_part(part)

    def answer(self, block: Block) -> Answer:
        return self.answer_of(block, self.posterior(block))

    def answer_of(self, block: Block, T: Floats) -> Answer:
        return Answer(block, T, tempered(block, T, self.exponent))

    def posterior(self, block: Block) -> Floats:
        """Over the classes, shape (K, n)."""
        return over_classes(self.found(block).T, self.model.class_of_state(block.n_classes))

    def found(self, block: Block) -> Posterior:
        """Over the states of the truth."""
        return self.model.e_step(block, self.weights, self.classes.log_of(block))


def tempered(block: Block, T: Floats, exponent: float) -> Floats:
    """T^gamma, brought to a sum of one; what is known stays certain."""
    if exponent == 1:
        return T
    return known_posterior(block, softmax(exponent * log_of(T)).T)


def log_of(T: Floats) -> Floats:
    """log T, with a least value."""
    logs: Floats = np.log(np.maximum(T, LEAST))
    return logs


def over_classes(T: Floats, class_of_state: Ints) -> Floats:
    """A posterior over states as one over classes."""
    n_classes = int(class_of_state.max()) + 1
    if len(T) == n_classes:
        return T
    return np.stack([T[class_of_state == k].sum(axis=0) for k in range(n_classes)])


def label_of(answer: Answer) -> Codes:
    """The first of the most probable classes of each example."""
    return first_true(answer.T.max(axis=0) - TIE <= answer.T)


def example_table(part: Partition, source: Source) -> pl.DataFrame:
    """`example, consensus_label, consensus_quality_score, annotator_agreement, num_annotations`."""
    labels, quality = zip(*source.each(part, label_and_quality), strict=True)
    consensus = pl.Series(np.concatenate(labels), dtype=pl.UInt32)
    run = part.runs
    return run.examples.select(
        "example",
        consensus_label=run.book.classes.gather(consensus),
        consensus_quality_score=pl.lit(pl.Series(np.concatenate(quality))),
        annotator_agreement=run.agreement_with(consensus),
        num_annotations="num_annotations",
    )


def label_and_quality(answer: Answer) -> tuple[Codes, Floats]:
    """The label of each example, and its probability."""
    label = label_of(answer)
    return label, answer.confidence[label, np.arange(len(label))]


def annotation_table(part: Partition, source: Source) -> pl.LazyFrame:
    """`example, annotator, label, label_quality_score` = T[i,y], and the log's other columns."""
    scores = [*source.each(part, label_quality)]
    return part.runs.annotations(pl.Series(np.concatenate(scores)))


def label_quality(answer: Answer) -> Floats:
    """T[i,y] of each annotation."""
    return answer.block.of_labels(answer.confidence)


PER_ROW = 40
"""Bytes that a row of the posterior takes, while the table is made."""


def check_posterior(rounds: Rounds, n_examples: int) -> None:
    """That the posterior of so many examples fits into memory, partition by partition."""
    rows = n_examples * rounds.n_classes
    what = (
        f"the posterior of {counted(n_examples, 'example')} has {counted(rows, 'row')}, which take"
    )
    rounds.check_memory(rows * PER_ROW / len(rounds.handles), what, IN_PARTITIONS)


IN_PARTITIONS = Advice(
    "Make a store with more partitions",
    python="pc.AnnotationStore.create(path, log, partitions=...)",
    command="polars-crowd store create STORE LOG --partitions N",
)


def dense_posterior(part: Partition, source: Source) -> Floats:
    """As sure as it may be, shape (n, K)."""
    return np.concatenate([*source.each(part, lambda answer: answer.confidence.T)])


def posterior_table(part: Partition, source: Source) -> pl.DataFrame:
    """`example, label, probability`, a row per example and class."""
    classes = part.runs.book.classes

    def table(answer: Answer) -> pl.DataFrame:
        block = answer.block
        row = np.repeat(np.arange(block.n_examples, dtype=np.uint32), len(classes))
        label = np.tile(np.arange(len(classes), dtype=np.uint32), block.n_examples)
        columns = {"example": block.ids.gather(row), "label": classes.gather(label)}
        probability = np.ascontiguousarray(answer.confidence.T).ravel()
        return pl.DataFrame({**columns, "probability": probability})

    return pl.concat(source.each(part, table))


def difficulty_table(part: Partition, fit: Estimate) -> pl.DataFrame:
    """`example` and the method's columns of `difficulty`."""

    def table(block: Block) -> pl.DataFrame:
        columns = fit.model.example_columns(block, fit.weights, fit.found(block))
        return pl.DataFrame({"example": block.ids, **columns})

    return pl.concat(of_blocks(part, table, fit.gold(part)))


def count_right(part: Partition, source: Source) -> Summary:
    """By annotator: the expected number of annotations that are the truth."""

    def count(answer: Answer) -> dict[str, Floats]:
        return {"right": answer.block.per_annotator(label_quality(answer))}

    return as_summary(added(source.each(part, count)), RIGHT, part)
