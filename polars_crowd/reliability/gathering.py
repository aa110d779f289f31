"""How evidence is gathered: one round over the log, a second where the request asks who voted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from polars_crowd.arrays import Flags, Floats
from polars_crowd.errors import AnnotationError, counted, shown
from polars_crowd.inputs.anonymous import is_anonymous
from polars_crowd.reliability import conger, ranks, who_voted
from polars_crowd.reliability.conger import Profiles
from polars_crowd.reliability.evidence import BLOCK, Evidence
from polars_crowd.reliability.grouping import Grouping
from polars_crowd.reliability.kinds import Conger, Light, OfTwo
from polars_crowd.reliability.patterns import count_patterns, count_repeats, merged_units
from polars_crowd.reliability.ranked import Kendall, Spearman
from polars_crowd.reliability.request import Request
from polars_crowd.reliability.scales import Scales, are_in_order
from polars_crowd.reliability.units import sums_at
from polars_crowd.reliability.who_voted import Signed
from polars_crowd.rounds.rounds import Rounds


def gather(rounds: Rounds, grouping: Grouping, request: Request) -> Evidence:
    """What the coefficients of a request go by."""
    merged = rounds.run(count_patterns, grouping)
    patterns, classes = merged[(*grouping.keys, "pattern")], rounds.book.classes
    labels = merged[(*grouping.keys, "annotator", "label")]
    groups = patterns.select(grouping.keys).unique(maintain_order=True)
    evidence = Evidence(
        grouping=grouping,
        groups=groups,
        units=merged_units(patterns, grouping, len(classes)),
        profiles=Profiles.of(labels, grouping, len(classes)),
        scales=Scales.of_classes(classes, request.weights, request.level),
        is_ordered=request.classes is not None or are_in_order(classes),
    )
    check_size(rounds, evidence, request)
    check_annotators(rounds.book.annotators)
    if is_anonymous(rounds.book.annotators.dtype):
        return replace(evidence, is_anonymous=True)
    if any(isinstance(c, Conger) for c in request.coefficients):
        evidence = replace(evidence, spread=_conger_spread(rounds, evidence))
    if any(isinstance(c, Kendall) for c in request.coefficients):
        evidence = replace(evidence, spread_of_ranks=_spread_of_ranks(rounds, evidence))
    if any(c.asks_for_repeats for c in request.coefficients):
        repeats = rounds.run(count_repeats, grouping)[grouping.keys]["repeats"]
        evidence = replace(evidence, repeats=repeats.cast(pl.Float64).to_numpy())
    wanted = _groups_to_sign(evidence, request)
    if wanted.any():
        evidence = replace(evidence, signed=_signed(rounds, evidence, wanted))
    return evidence


BASE, PER_GROUP, PER_VALUE, PER_CELL = 1 << 26, 700, 600, 30
"""Bytes that are held in any case, for each group, each value of a group, and each class of a group."""


def check_size(rounds: Rounds, evidence: Evidence, request: Request) -> None:
    """That the table of all groups fits into memory."""
    G, values = evidence.n_groups, len(request.coefficients)
    cells = min(G * rounds.n_classes, BLOCK)
    size = BASE + G * (PER_GROUP + PER_VALUE * values) + cells * PER_CELL
    what = f"{counted(G, 'group')} with {counted(values, 'coefficient')} take"
    rounds.check_memory(size, what, "Group by fewer columns, or ask for fewer coefficients.")


def check_annotators(annotators: pl.Series) -> None:
    """Agreement takes two annotators or more."""
    if len(annotators) < 2 and not is_anonymous(annotators.dtype):
        raise AnnotationError(
            f"the log has one annotator only ({shown(annotators.to_list())}): agreement compares "
            "annotators, at least two. Of one annotator over repeated labels see intra_rater_agreement."
        )


def _spread_of_ranks(rounds: Rounds, evidence: Evidence) -> Floats:
    """(G,) the sums of squares of the examples' ranks: Kendall's second round."""
    u = ranks.ranks_of(evidence.profiles.units)
    squares = _sums_of_spread(rounds, evidence, u)["e2"].to_numpy()
    return sums_at(evidence.units.group, squares, evidence.n_groups)


def _conger_spread(rounds: Rounds, evidence: Evidence) -> Floats:
    """Conger's second round: the sums of the powers of e_i - p_e over the examples of each pattern."""
    u = np.concatenate([_spread(block) for _, block in evidence.blocks()])
    sums_of = _sums_of_spread(rounds, evidence, u)
    return np.stack([sums_of[c].to_numpy() for c in ("e1", "e2", "e3")])


def _sums_of_spread(rounds: Rounds, evidence: Evidence, u: Floats) -> pl.DataFrame:
    """`e1`, `e2`, `e3` of each pattern: of e, which u of its annotations make up, and of its powers."""
    spread = evidence.profiles.frame.drop("annotations").with_columns(u=u)
    merged = rounds.run(conger.count_spread, evidence.grouping, spread)
    return merged[(*evidence.grouping.keys, "pattern")]


def _spread(block: Evidence) -> Floats:
    profiles = block.profiles.units
    N = profiles.of_group(block.counts["num_examples"])
    return np.nan_to_num(N[profiles.unit] * block.chance.spread)


def _groups_to_sign(evidence: Evidence, request: Request) -> Flags:
    """The groups whose patterns of (annotator, label) are asked for, and small enough."""
    of_two = any(isinstance(c, OfTwo) for c in request.coefficients)
    drawn = (Conger, Kendall) if request.interval == "bootstrap" else ()
    of_all = any(isinstance(c, (Light, Spearman, *drawn)) for c in request.coefficients)
    two = evidence.profiles.n_annotators == 2
    wanted: Flags = (of_two & two) | (of_all & evidence.is_small)
    return wanted


def _signed(rounds: Rounds, evidence: Evidence, wanted: Flags) -> Signed:
    groups = evidence.groups.filter(pl.Series(wanted)) if evidence.grouping.keys else None
    merged = rounds.run(who_voted.count_signed_patterns, evidence.grouping, groups)
    patterns = merged[(*evidence.grouping.keys, "pattern")]
    return Signed.of(patterns, evidence.groups, evidence.units)
