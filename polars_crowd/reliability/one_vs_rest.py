"""Agreement class by class: each class against the rest.

For class k an annotation is 1 if it is k and 0 if not, so an example with n annotations, v of them k, has the
count vector (n - v, v). All classes are groups of one set of such vectors, of which there are few, so any
coefficient that does not ask who voted comes from the engine as it is. Beside it is (Spitzer and Fleiss 1974)

    specific agreement = sum of v (v - 1) / (n - 1)  /  sum of v,    over the examples with n >= 2:

given that an annotator chose the class, how probably another annotator of the example did. Where labels are
sets of classes, an annotation is 1 if k is in its set: what an annotator did not choose is a 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.inputs.log import open_rows
from polars_crowd.reliability.chance import ratio
from polars_crowd.reliability.conger import Profiles
from polars_crowd.reliability.estimates import estimates
from polars_crowd.reliability.evidence import Evidence
from polars_crowd.reliability.gathering import gather
from polars_crowd.reliability.label_sets import SetCodes, has_sets, open_sets
from polars_crowd.reliability.registry import OF_CLASSES, chosen
from polars_crowd.reliability.report import COLUMNS, report
from polars_crowd.reliability.request import Options, Request
from polars_crowd.reliability.scales import Scales
from polars_crowd.reliability.units import Units
from polars_crowd.rounds.partitions import Partitioned
from polars_crowd.signatures import shares

OF_CLASS = ("label", "share", "specific_agreement", *COLUMNS)
"""The columns of the result."""


@shares(Options, Request)
def agreement_by_class(
    log: Any,
    *,
    coefficients: str | Sequence[str] = "krippendorff_alpha",
    separator: str | None = None,
    **options: Unpack[Options],
) -> pl.DataFrame:
    """Agreement on each class against the rest: which classes annotators can tell.

    Labels become yes or no for each class in turn. The specific agreement of a class is the probability that
    another annotator of the example chose it, given that one did (Spitzer and Fleiss 1974).

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, or an `AnnotationStore`. Labels may be sets of
        classes, as in `multilabel_agreement`.
    coefficients
        One or several of `krippendorff_alpha`, `percent_agreement`, `fleiss_kappa`, `brennan_prediger`,
        `gwet_ac1`, `gwet_ac2`.
    separator
        What stands between the classes where a label is text that names several, such as `";"`.

    Returns
    -------
    DataFrame
        One row per group, class and coefficient: the columns of `by`; `label`, the class; `share` of the
        annotations that chose it, in [0, 1]; `specific_agreement` in [0, 1], null if it was never chosen on
        an example with two annotations; then the columns of `agreement`.

    Raises
    ------
    AnnotationError
        The log cannot be used, or has one annotator only.
    OptionError
        A coefficient that asks who voted, or another option out of range.

    Agrees with
    -----------
    `agreement` on the log with labels `label == class`, for each class, exactly.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> labels = {"ann": "xxyyz", "bob": "xyyyz", "cyd": "xyyzz"}
    >>> rows = [(e, a, k) for a, given in labels.items() for e, k in enumerate(given)]
    >>> log = pl.DataFrame(rows, schema=["example", "annotator", "label"], orient="row")
    >>> pc.agreement_by_class(log).select("label", "share", "specific_agreement", "value")
    shape: (3, 4)
    ┌───────┬──────────┬────────────────────┬──────────┐
    │ label ┆ share    ┆ specific_agreement ┆ value    │
    │ ---   ┆ ---      ┆ ---                ┆ ---      │
    │ str   ┆ f64      ┆ f64                ┆ f64      │
    ╞═══════╪══════════╪════════════════════╪══════════╡
    │ x     ┆ 0.266667 ┆ 0.75               ┆ 0.681818 │
    │ y     ┆ 0.466667 ┆ 0.714286           ┆ 0.5      │
    │ z     ┆ 0.266667 ┆ 0.75               ┆ 0.681818 │
    └───────┴──────────┴────────────────────┴──────────┘
    """
    found = chosen(coefficients, OF_CLASSES, "of single classes they are")
    request = Request(found, **options)
    source = log if isinstance(log, Partitioned) else open_rows(log, sets=True)
    if separator is not None or has_sets(source):
        rounds, grouping, sets = open_sets(source, separator, request, OF_CLASS)
    else:
        (rounds, grouping), sets = request.open(source, OF_CLASS), None
    evidence = gather(rounds, grouping, request)
    one_vs_rest = against_the_rest(evidence, rounds.book.classes, sets)
    return report(one_vs_rest, estimates(one_vs_rest, request))


# --- one class against the rest --------------------------------------------------------------------


def against_the_rest(evidence: Evidence, classes: pl.Series, sets: SetCodes | None) -> Evidence:
    """The evidence on each class: groups are (group, class)."""
    classes = classes if sets is None else sets.classes
    K, G = len(classes), evidence.n_groups
    units = binary_units(evidence.units, K, sets)
    share, specific = class_shares(units)
    label = classes.gather(np.tile(np.arange(K), G)).alias("label")
    of_groups = evidence.groups.select(pl.all().gather(np.repeat(np.arange(G), K)))
    numbers = {"share": share, "specific_agreement": specific}
    columns = (pl.Series(name, values).fill_nan(None) for name, values in numbers.items())
    annotators = np.repeat(evidence.profiles.n_annotators, K).astype(np.int64)
    return replace(
        evidence,
        groups=pl.DataFrame([*of_groups.get_columns(), label, *columns]),
        units=units,
        profiles=Profiles(some_annotators(annotators), pl.DataFrame()),
        scales=Scales.plain(2),
    )


def some_annotators(M: Ints) -> Units:
    """(G,) numbers of annotators as units that are all alike."""
    group, ones = np.arange(len(M)), np.ones(len(M), np.int64)
    return Units(group, M, ones, 0 * ones, ones, len(M), 2)


def binary_units(units: Units, K: int, sets: SetCodes | None) -> Units:
    """The count vectors (n - v, v) of each class in each group."""
    times = pl.Series(units.times)
    examples = pl.LazyFrame({"group": units.group, "n": units.n.astype(np.int64), "times": times})
    of_group = examples.group_by("group", "n").agg(pl.col("times").sum())
    chosen = (
        votes_by_class(units, sets).group_by("group", "label", "n", "v").agg(pl.col("times").sum())
    )
    chosen = chosen.cache()
    found = chosen.group_by("group", "label", "n").agg(found=pl.col("times").sum())
    others = (
        of_group.join(pl.LazyFrame({"label": range(K)}), how="cross")
        .join(found, on=["group", "label", "n"], how="left")
        .select(
            "group", "label", "n", v=pl.lit(0), times=pl.col("times") - pl.col("found").fill_null(0)
        )
        .filter(pl.col("times") > 0)
    )
    both = (
        pl.concat([chosen, others], how="vertical_relaxed")
        .sort("group", "label", "n", "v")
        .collect()
    )
    group, label, n, v = (both[c].to_numpy() for c in ("group", "label", "n", "v"))
    votes = np.stack([n - v, v], axis=1)
    is_there = votes > 0
    return Units(
        group * K + label,
        both["times"].to_numpy(),
        is_there.sum(axis=1),
        np.tile(np.arange(2), (len(v), 1))[is_there],
        votes[is_there],
        units.n_groups * K,
        2,
    )


def votes_by_class(units: Units, sets: SetCodes | None) -> pl.LazyFrame:
    """`group`, `label`, `n`, `v`, `times`: the votes for each class that was chosen in a unit."""
    unit, label, votes = units.unit, units.label, units.votes
    if sets is not None:
        entry, label = sets.expanded(label)
        unit, votes = unit[entry], votes[entry]
    entries = pl.LazyFrame({"unit": unit, "label": label, "v": votes})
    if sets is not None:
        entries = entries.group_by("unit", "label").agg(pl.col("v").sum())
    of_unit = {"group": units.group, "n": units.n.astype(np.int64), "times": units.times}
    looked_up = (
        pl.lit(pl.Series(values)).gather("unit").alias(name) for name, values in of_unit.items()
    )
    return entries.select(*looked_up, "label", "v").select("group", "label", "n", "v", "times")


def class_shares(units: Units) -> tuple[Floats, Floats]:
    """(G,) each: the share of the annotations that chose the class, and the specific agreement."""
    v = units.over_entries(units.votes * units.label).astype(np.float64)
    others = np.where(units.pairable, units.n - 1, 1)
    share = units.over_units(v) / units.over_units(units.n)
    both = units.over_units(np.where(units.pairable, v * (v - 1), 0) / others)
    return share, ratio(both, units.over_units(v * units.pairable))
