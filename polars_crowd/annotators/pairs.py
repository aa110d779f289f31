"""Pairs of annotators who give the same wrong labels more often than their errors explain: copying.

For annotators j and j' let S be on how many of the n examples that both labelled they gave the same wrong
label. If nobody copied, it would be a sum of independent draws with

    P_i = sum over wrong labels l of P(j and j' both choose l), by what the others did on example i

(`common_errors`), so that a hard example, on which everybody errs in the same way, is no evidence, nor are
two annotators who err often, or in the same classes. Then

    p = P(Binomial(n, sum P_i / n) >= S)

is at least as large as the probability under the draws themselves (Hoeffding 1956, Annals of Mathematical
Statistics 27), and takes no more than sums that add up over partitions. The p-values of all pairs are
corrected together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Unpack

import numpy as np
import polars as pl

from polars_crowd.annotators import common_errors
from polars_crowd.annotators.against import Against, Others
from polars_crowd.annotators.common_errors import CELLS, UNKNOWN, Group, Law, groups_in, in_blocks
from polars_crowd.annotators.overlap import count_pairs_of, count_shared
from polars_crowd.annotators.request import Judging, JudgingOptions, Opened
from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import OptionError, check_choice
from polars_crowd.numerics.corrections import benjamini_hochberg, holm
from polars_crowd.numerics.shares import at_least_each
from polars_crowd.reliability.meetings import (
    FEWER_ANNOTATORS,
    FIRST,
    KEY,
    MORE_SHARED,
    PairCodes,
    Span,
    check_codes,
    check_size,
    pair_codes,
    spans,
)
from polars_crowd.reliability.units import pairs_in_blocks, sums_at
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Sum, Summary, dense
from polars_crowd.signatures import shares

Correction = Literal["holm", "bh"]
STEPS = 8
"""How often the odds are made better."""
CELL, PAIR = ("cell",), ("pair",)


@shares(JudgingOptions, Judging)
def annotator_pairs(
    log: Any,
    *,
    correction: Correction = "holm",
    min_shared: int = 1,
    **options: Unpack[JudgingOptions],
) -> pl.DataFrame:
    """Which two annotators give the same wrong labels more often than their errors explain: copying.

    Expected is what two annotators would do who decide for themselves: by how often each of them gives a
    label where another is right, and by how hard the example is, which the labels of the others tell. On
    examples on which everybody errs alike, to err alike is no evidence.

    Copied labels count as votes. With few annotations per example those who copy outvote the others and
    are right by the vote, above all with three, where two who agree always are: judge by known labels then.

    Parameters
    ----------
    against
        What is wrong is judged by: by default the label with most votes (examples on which two labels have
        as many are left out). Or a fit, or results opened again: their most probable labels. Or known labels:
        a frame or file `example, label`, or the name of a column of the log.
    correction
        Of the p-values for the number of pairs that have one: `"holm"`, that any of the pairs below a level
        is there by chance has at most that probability (Holm 1979); `"bh"`, of these pairs at most that
        share is there by chance (Benjamini and Hochberg 1995).
    min_shared
        Leave out pairs with fewer shared examples than this, at least 1.

    Returns
    -------
    DataFrame
        One row per pair with shared examples, the least probable first: `annotator_1`, `annotator_2`;
        `num_examples` that both labelled; `num_judged`, those whose truth is known; `num_same_wrong`, those
        of these on which both gave the same wrong label; `expected_same_wrong`; `p_value`, of as many or
        more if nobody copied, and `p_value_corrected`, null where nothing was judged.

    Raises
    ------
    AnnotationError
        The log has one annotator only, or more annotators than 2^31.
    MemoryLimitError
        There may be more pairs, or annotators x classes x classes, than fit into memory.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pc.simulate.simulate_annotations(
    ...     n_examples=300, n_annotators=8, annotations_per_example=8, accuracy=0.7, seed=1
    ... ).log
    >>> given = log.filter(pl.col("annotator") == "a0001").select("example", given="label")
    >>> copied = log.join(given, on="example").with_columns(
    ...     label=pl.when(pl.col("annotator") == "a0005").then("given").otherwise("label")
    ... )
    >>> found = pc.annotator_pairs(copied)
    >>> found.filter(pl.col("p_value_corrected") < 0.05).select("annotator_1", "annotator_2").rows()
    [('a0001', 'a0005')]
    """
    check_choice("correction", correction, Correction)
    if min_shared < 1:
        raise OptionError("min_shared", min_shared, "it must be at least 1.")
    opened = Judging(**options).open(log)
    rounds, truth = opened.rounds, Truth(opened.against)
    check_codes(rounds)
    codes = pair_codes(opened.annotators, 1)
    first = rounds.run(count_pairs_of, codes)[FIRST]
    n_pairs = int(first["pairs"].sum())
    check_size(rounds, codes, n_pairs, min_shared, MORE_SHARED, FEWER_ANNOTATORS)
    _check_cells(rounds)
    law = fitted_law(opened, truth)
    found = (
        rounds.run(compare_pairs, truth, law, codes, span)[PAIR] for span in spans(first, codes)
    )
    is_enough = pl.col("shared") >= min_shared
    sums = pl.concat([with_p_values(part.filter(is_enough)).cast(HELD) for part in found])
    columns = sums.get_columns()
    del sums
    return pair_table(columns, codes, correction)


PER_CELL = 60
"""Bytes for each (annotator, class, class)."""


def _check_cells(rounds: Rounds) -> None:
    M, K = len(rounds.book.annotators), rounds.n_classes
    what = f"the odds of {M:,} annotators in {K:,} x {K:,} classes take"
    rounds.check_memory(M * K**2 * PER_CELL, what, FEWER_ANNOTATORS)


# --- what is right ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Truth:
    """One label per example."""

    against: Against

    def of_part(self, part: Partition) -> tuple[Ints, int]:
        """(N,) its code, UNKNOWN where there is none, or there are several; how many have any."""
        return part.once("one truth", lambda: self._of_part(part), self.against)

    def _of_part(self, part: Partition) -> tuple[Ints, int]:
        runs = part.runs
        if isinstance(self.against, Others):
            weights = runs.votes.lazy().select("example", true_label="label", weight="votes")
        else:
            found = self.against.of_part(part)
            case = found.truths.lazy().with_columns(
                example=pl.lit(runs.votes["example"]).gather("case")
            )
            weights = case.select("example", "true_label", "weight").unique()
        largest = pl.col("weight") == pl.col("weight").max()
        first = weights.group_by("example").agg(pl.col("true_label").filter(largest)).collect()
        one = first.filter(pl.col("true_label").list.len() == 1).explode(
            "true_label", empty_as_null=False
        )
        truth = np.full(runs.examples.height, UNKNOWN)
        truth[one["example"].to_numpy()] = one["true_label"].to_numpy()
        return truth, first.height

    def groups(self, part: Partition) -> list[Group]:
        """The examples of a partition that have one."""
        return part.once(
            "groups", lambda: groups_in(part.runs, self.of_part(part)[0]), self.against
        )


# --- the law of errors -----------------------------------------------------------------------------


def fitted_law(opened: Opened, truth: Truth) -> Law:
    """The odds of the annotators' errors, and how examples differ."""
    rounds = opened.rounds
    M, K = len(opened.annotators), rounds.n_classes
    merged = rounds.run(count_choices, truth, K)
    opened.against.check(int(merged[()]["known"].item()), rounds)

    def in_cells(frame: pl.DataFrame, column: str) -> Floats:
        return dense(frame, *CELL, column, M * K * K).reshape(M, K, K)

    counts = in_cells(merged[CELL], "annotations")
    law = Law.begin(counts)
    for _ in range(STEPS):
        sums = rounds.run(expect_choices, truth, law)
        of_grid = sums[("kind",)].drop("kind").to_numpy().reshape(K, K, -1)
        law = law.better(counts, in_cells(sums[CELL], "expected"), of_grid)
    return law


def count_choices(part: Partition, truth: Truth, K: int) -> Summary:
    """The annotations of each (annotator, truth, label), and how many examples have a truth."""
    cells = [
        ((g.annotator * K + g.truth[:, None]) * K + g.label).ravel() for g in truth.groups(part)
    ]
    cell = pl.LazyFrame({"cell": np.concatenate([np.zeros(0, np.int64), *cells])})
    return {
        CELL: cell.group_by("cell").agg(annotations=pl.len()),
        (): pl.LazyFrame({"known": [truth.of_part(part)[1]]}),
    }


def expect_choices(part: Partition, truth: Truth, law: Law) -> Summary:
    """How often each (annotator, truth, label) is expected, and the sums over the grid by (truth, label)."""
    of_cells, of_grid = common_errors.expected_choices(truth.groups(part), law)
    found = np.flatnonzero(of_cells)
    by_kind = {f"b{g}": column for g, column in enumerate(of_grid.T)}
    return {
        CELL: pl.LazyFrame({"cell": found, "expected": of_cells[found]}),
        ("kind",): pl.LazyFrame({"kind": np.arange(len(of_grid)), **by_kind}),
    }


# --- pairs -----------------------------------------------------------------------------------------


def compare_pairs(part: Partition, truth: Truth, law: Law, codes: PairCodes, span: Span) -> Summary:
    """The sums of each pair of annotators of a span: `shared` examples, `judged` ones, the `same` wrong
    labels, and how many of these are `expected`."""
    schema = {"pair": pl.Int64, "judged": pl.Int64, "same": pl.Int64, "expected": pl.Float64}
    judged = Sum(PAIR)
    judged.add(pl.DataFrame(schema=schema))
    groups = part.once(
        "groups by rank", lambda: [g.ordered(codes.rank) for g in truth.groups(part)], codes, truth
    )
    for block in in_blocks(groups):
        for sums in _compared(block, law, codes, span):
            judged.add(sums)
    counts = count_shared(part, codes, span)[KEY].lazy()
    shared = counts.select(pair="key", shared="times")
    both = shared.join(judged.frame().lazy(), on="pair", how="left", maintain_order="left")
    return {PAIR: both.with_columns(pl.all().fill_null(0))}


def _compared(block: Group, law: Law, codes: PairCodes, span: Span) -> Iterator[pl.DataFrame]:
    """The sums over the examples of a block, whose annotators are by rank, a few pairs at a time."""
    rank = codes.rank[block.annotator]
    inside = (rank >= span[0]) & (rank < span[1])
    rows = np.flatnonzero(inside.any(axis=1))
    block, rank, inside = block.part(rows), rank[rows], inside[rows]
    columns = np.flatnonzero(inside.any(axis=0))
    step = max(CELLS // max(len(rank), 1), 1)
    for i, j in pairs_in_blocks(np.array(rank.shape[1:]), step, columns):
        same, expected = common_errors.same_choices(block, law, i, j)
        there = inside[:, i]
        yield _sums(codes.pair(rank[:, i], rank[:, j])[there], same[there], expected[there])


def _sums(pair: Ints, same: Floats, expected: Floats) -> pl.DataFrame:
    """The sums over some pairs of annotations."""
    found, at, judged = np.unique(pair, return_inverse=True, return_counts=True)
    sums = {"same": same, "expected": expected}
    columns = {name: sums_at(at, values, len(found)) for name, values in sums.items()}
    table = pl.DataFrame({"pair": found, "judged": judged, **columns})
    return table.cast({"same": pl.Int64})


# --- the table -------------------------------------------------------------------------------------


def with_p_values(sums: pl.DataFrame) -> pl.DataFrame:
    """The sums of pairs and their `p`, P(Binomial(n, expected / n) >= same): 1 where no more are the same
    than expected, NaN where nothing was judged."""
    n, same, expected = (sums[c].to_numpy() for c in ("judged", "same", "expected"))
    p = np.where(n > 0, 1.0, np.nan)
    more = same > expected
    p[more] = at_least_each(n[more], expected[more] / n[more], same[more])
    return sums.with_columns(p=p)


HELD = pl.Schema(dict.fromkeys(("shared", "judged", "same"), pl.Int32))
"""Counts, while the table is put together."""


def pair_table(columns: list[pl.Series], codes: PairCodes, correction: Correction) -> pl.DataFrame:
    """The pairs by name, the least probable first; takes the columns of their sums one by one, which may be
    half of all memory."""
    sums = {column.name: column for column in columns}
    columns.clear()
    sums["corrected"] = pl.Series(CORRECTIONS[correction](sums["p"].to_numpy()))
    by = pl.DataFrame([sums["p"], sums["pair"]])
    order = by.select(pl.arg_sort_by("p", "pair")).to_series()
    del by
    table = sums.pop("pair").gather(order).alias("pair").to_frame().select(*codes.named())
    for name, column, dtype in (
        ("num_examples", "shared", pl.Int64),
        ("num_judged", "judged", pl.Int64),
        ("num_same_wrong", "same", pl.Int64),
        ("expected_same_wrong", "expected", pl.Float64),
        ("p_value", "p", pl.Float64),
        ("p_value_corrected", "corrected", pl.Float64),
    ):
        values = sums.pop(column).gather(order).cast(dtype).fill_nan(None)
        table.insert_column(table.width, values.alias(name))
    return table


CORRECTIONS = {"holm": holm, "bh": benjamini_hochberg}
