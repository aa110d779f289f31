"""The panel: everything that a log says about each annotator, and whom to look at.

Sums over sorted runs only: what annotations are judged by and their confusion counts (`against.py`), the
scores that are made of these (`scores.py`), what annotators do whatever the truth (`habits.py`), and what
is odd about it (`flags.py`). Agreement with the others and alpha without each are those of
`agreement_by_annotator`, agreement with themselves that of `intra_rater_agreement`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

import numpy as np
import polars as pl

from polars_crowd.annotators import scores
from polars_crowd.annotators.against import CELLS, Against, Others, count_against
from polars_crowd.annotators.flags import Flag, Seen, flag_table, flags_of
from polars_crowd.annotators.habits import (
    ROW,
    RUNS,
    SECONDS,
    TIME,
    Columns,
    count_habits,
    runs_of_labels,
    seconds_of,
)
from polars_crowd.annotators.request import IntervalOptions, Judging, Opened
from polars_crowd.annotators.scores import Confusions
from polars_crowd.arrays import Floats
from polars_crowd.compatible import HORIZONTAL
from polars_crowd.errors import counted
from polars_crowd.inputs.log import is_labelled
from polars_crowd.numerics.mixture import DECIMALS
from polars_crowd.numerics.shares import wilson
from polars_crowd.reliability.grouping import Grouping, codes_in
from polars_crowd.reliability.intra_rater import consistency
from polars_crowd.reliability.leave_one_out import without_each
from polars_crowd.reliability.units import sums_at
from polars_crowd.reports import MANY, Heads, header
from polars_crowd.rounds.components import Components, join_annotators
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.results import Fit
from polars_crowd.rounds.summaries import Merged, Summary
from polars_crowd.signatures import shares

SHOWN = 10
LONGEST = 200
"""Characters of a reason that are printed."""
OF_ALL = ("agreement", "alpha_without", "alpha_change", "num_repeated", "repeat_consistency")
"""Columns that are of the whole log, and not there by group."""
TAKEN = (
    *("num_annotations", "num_judged", "accuracy", "accuracy_low", "accuracy_high"),
    *("balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high"),
    *("spam_score", "expected_cost", "mutual_information", "worst_class", "worst_class_accuracy"),
    *("most_used_label", "most_used_share", "label_entropy", "median_seconds", "fast_share"),
    "num_timed",
    *(*RUNS, *OF_ALL, "num_abstained", "flags", *CELLS, "probability", "flag", "reason", "value"),
)
"""What no group column may be called."""


@dataclass(frozen=True, eq=False, repr=False)
class AnnotatorReport(Fit):
    """What `annotator_report` found out.

    Attributes
    ----------
    annotators : DataFrame
        One row per annotator (and group), the least accurate first.

        `num_annotations`, and `num_judged`, those that have a truth; over these `accuracy` with
        `accuracy_low, accuracy_high` (Wilson's interval), `balanced_accuracy` (the mean of the accuracies on
        each class) with its interval, `spam_score` (Raykar and Yu 2012; 0: answers without looking, 1: tells
        the classes apart perfectly), `expected_cost` of relying on their labels (Ipeirotis, Provost and Wang
        2010; 0: none, 1: as without them), `mutual_information` of label and truth in bits, `worst_class`
        with the lowest `worst_class_accuracy`, (right + 1) / (judged + 2) on that class.

        Over all annotations `most_used_label`, `most_used_share`, `label_entropy` in bits; `longest_run` of
        one label, by the time of annotations, in a log in memory without times by the order of its rows;
        `first_time`, `last_time`; over the `num_timed` annotations whose seconds are known `median_seconds`,
        and `fast_share`, the share of answers in less than a tenth of the median of all, both to half a
        percent of the seconds.

        Without groups: `agreement` with the others, `alpha_without`, `alpha_change` as
        `agreement_by_annotator` has them; `num_repeated`, the examples that they labelled again, and
        `repeat_consistency`, their percent agreement with themselves there; `num_abstained`, if the log has
        rows without a label.

        `flags`, the names of the flags. What the log does not say is null.
    confusion : DataFrame
        `annotator, true_label, label, num_annotations` (a sum of weights where truth is shared),
        `probability` of the label given the true one; cells that are not 0.
    flags : DataFrame
        `annotator, flag, reason` (in words and numbers), `value, low, high` that it goes by, and
        `num_annotations`; see `polars_crowd.annotators.flags` for the rules. A flag is where to look, not a
        verdict: `few` says only that nothing can be said.
    """

    TABLES: ClassVar[tuple[str, ...]] = ("annotators", "confusion", "flags")
    HEADS: ClassVar[Heads] = {
        "annotators": ("annotators, least accurate first", SHOWN),
        "flags": ("flags", MANY),
    }
    FIRST: ClassVar[tuple[str, ...]] = (
        *("accuracy", "accuracy_low", "accuracy_high", "spam_score", "expected_cost"),
        *("agreement", "flags"),
    )
    """The columns that are printed."""

    method: ClassVar[str] = "annotator report"

    annotators: pl.DataFrame
    confusion: pl.DataFrame
    flags: pl.DataFrame
    _said: str

    def _header(self) -> str:
        return self._said

    def __repr__(self) -> str:
        with pl.Config(fmt_str_lengths=LONGEST):
            return super().__repr__()

    def _shown(self, name: str) -> pl.DataFrame:
        columns = self.annotators.columns
        ids = columns[: columns.index("num_annotations")]
        if name == "flags":
            return self.flags.select(*ids, "flag", "reason")
        first = (c for c in self.FIRST if c in columns)
        return self.annotators.select(*ids, "num_annotations", *first)


@dataclass(frozen=True)
class Panel:
    """The merged sums of a log, a unit being an annotator (in a group)."""

    opened: Opened
    merged: Merged
    columns: Columns
    confidence: float

    @property
    def keys(self) -> list[str]:
        return [*self.opened.grouping.keys, "annotator"]

    @property
    def units(self) -> pl.DataFrame:
        """The keys of each unit, its `annotations` and those `judged`."""
        return self.merged[tuple(self.keys)]

    def coded(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A frame with `unit` in place of its keys."""
        units = self.units.select(self.keys).with_row_index("group")
        return frame.select(codes_in(units, frame).alias("unit"), pl.exclude(self.keys))

    def cells(self) -> pl.DataFrame:
        """n[j,k,l] by `unit`."""
        return self.coded(self.merged[(*self.opened.grouping.keys, *CELLS)])


@shares(IntervalOptions, Judging)
def annotator_report(
    log: Any,
    *,
    costs: Any = None,
    by: Any = None,
    timestamp: str | None = TIME,
    seconds: str | None = SECONDS,
    **options: Unpack[IntervalOptions],
) -> AnnotatorReport:
    """How good each annotator is, what they do, and whom to look at.

    Everything is counted in a few passes over the sorted log, whatever annotators are judged by.

    Parameters
    ----------
    timestamp
        The column with the time of each annotation: numbers, times, or text that writes these; None to leave
        it aside. The usual one, `timestamp`, need not be there.
    seconds
        The column that says how long each annotation took, numbers of at least 0 (others count as not known),
        or text that writes these; None to leave it aside. The usual one, `seconds`, need not be there.

    Returns
    -------
    AnnotatorReport
        `.annotators`, `.confusion`, `.flags`. It prints as a report, `.write` writes it.

    See Also
    --------
    gold_report : accuracy on gold, whom to stop, and how many gold answers are still needed.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> data = pc.datasets.tutorial()
    >>> report = pc.annotator_report(data.log, against=data.truth)
    >>> worst = report.annotators.filter(pl.col("num_judged") >= 30).head(2)
    >>> worst.select("annotator", pl.col("accuracy", "accuracy_low", "spam_score").round(3)).rows()
    [('A0047', 0.294, 0.168, 0.129), ('A0031', 0.581, 0.408, 0.282)]
    >>> report.flags["reason"][0]
    'answers like a coin: accuracy .35 [.19, .54] where chance is .35; others .79'
    """
    judging = Judging(by=by, **options)
    taken = ("annotator", *TAKEN)
    opened = judging.open(log, (timestamp, seconds), taken, row=ROW)
    columns = Columns.of(opened.rows, timestamp, seconds)
    merged = opened.rounds.run(count_panel, opened.against, opened.grouping, columns.seconds)
    opened.against.check(int(merged[()]["known"].item()), opened.rounds)
    if isinstance(opened.against, Others):
        Components.of_sums(merged, len(opened.annotators)).warn("annotator_report")
    panel = Panel(opened, merged, columns, judging.confidence)
    found = Confusions.of(panel.cells(), panel.units.height, opened.rounds.n_classes)
    habits = habits_of(panel)
    flags = flags_of(seen_of(panel, found, habits))
    table = table_of(panel, found, habits, scores.checked_costs(costs, found.n_classes))
    return reported(panel, table, found, flags, judging)


def count_panel(
    part: Partition, against: Against, grouping: Grouping, seconds: pl.Expr | None
) -> Summary:
    """Everything that is counted, in one pass."""
    judged, habits = count_against(part, against, grouping), count_habits(part, grouping, seconds)
    sizes = pl.concat([judged[()].lazy(), habits[()].lazy()], how=HORIZONTAL)
    of_others = isinstance(against, Others)
    joined = join_annotators(part, len(part.runs.book.annotators)) if of_others else {}
    return {**judged, **habits, **joined, (): sizes}


def table_of(
    panel: Panel, found: Confusions, habits: pl.DataFrame, costs: Floats | None
) -> pl.DataFrame:
    """A row per unit, in codes."""
    a, b, n = scores.accuracy(found), scores.balanced_accuracy(found), found.total
    worst, worst_accuracy = scores.worst_classes(found)
    low, high = wilson(a, n, panel.confidence)
    balanced_low, balanced_high = wilson(b, scores.balanced_size(found), panel.confidence)
    columns = {
        "accuracy": a,
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy": b,
        "balanced_accuracy_low": balanced_low,
        "balanced_accuracy_high": balanced_high,
        "spam_score": scores.spam_score(found),
        "expected_cost": scores.expected_cost(found, costs),
        "mutual_information": scores.mutual_information(found),
    }
    classes = panel.opened.classes
    return panel.units.select(
        *panel.keys,
        num_annotations="annotations",
        num_judged="judged",
        **{name: pl.Series(values).fill_nan(None) for name, values in columns.items()},
        worst_class=pl.lit(classes).gather(pl.Series(worst).replace(-1, None)),
        worst_class_accuracy=pl.Series(worst_accuracy).fill_nan(None),
        most_used_label=pl.lit(classes).gather(habits["most_used"]),
    ).hstack(habits.drop("most_used", "seconds_of_all"))


def habits_of(panel: Panel) -> pl.DataFrame:
    """`most_used` (code), `most_used_share`, `label_entropy`, then RUNS and seconds, a row per unit."""
    units = panel.units
    labels = panel.coded(panel.merged[(*panel.keys, "label")]).sort("unit")
    first = labels.sort("unit", -pl.col("annotations"), "label").unique("unit", keep="first")
    first, n = first.sort("unit"), labels["annotations"].to_numpy().astype(np.float64)
    entropy = scores.entropy(labels["unit"].to_numpy().astype(np.int64), n, units.height)
    said = pl.DataFrame(
        {
            "most_used": first["label"],
            "most_used_share": first["annotations"] / units["annotations"],
            "label_entropy": entropy,
        }
    )
    return said.hstack(in_time(panel)).hstack(by_seconds(panel))


def in_time(panel: Panel) -> pl.DataFrame:
    """RUNS of each unit; nulls where nothing says when."""
    if panel.columns.order is None:
        nothing = {"longest_run": pl.Int64, "first_time": pl.Datetime, "last_time": pl.Datetime}
        return pl.DataFrame({}, schema=nothing).clear(panel.units.height)
    annotator, annotations = (panel.units[of].to_numpy() for of in ("annotator", "annotations"))
    n = sums_at(annotator, annotations, len(panel.opened.annotators)).astype(np.int64)
    found = runs_of_labels(panel.opened.rounds, panel.opened.grouping, panel.columns, n)
    return beside_units(panel, found).select(RUNS)


def by_seconds(panel: Panel) -> pl.DataFrame:
    steps = panel.merged.get((*panel.keys, "step"))
    if steps is None or steps.is_empty():
        nothing = dict.fromkeys(("median_seconds", "fast_share", "seconds_of_all"), pl.Float64())
        schema = {**nothing, "num_timed": pl.Int64()}
        return pl.DataFrame(schema=schema).clear(panel.units.height)
    return beside_units(panel, seconds_of(steps, panel.keys))


def beside_units(panel: Panel, found: pl.DataFrame) -> pl.DataFrame:
    """A frame by the keys, a row per unit, nulls for those that it has not."""
    units = panel.units.select(unit=pl.int_range(pl.len(), dtype=pl.UInt32))
    return units.join(panel.coded(found), on="unit", how="left", maintain_order="left").drop("unit")


def seen_of(panel: Panel, found: Confusions, habits: pl.DataFrame) -> Seen:
    return Seen(
        found,
        habits["most_used"].to_numpy().astype(np.int64),
        habits["most_used_share"].to_numpy(),
        panel.units["annotations"].to_numpy(),
        habits["median_seconds"].fill_null(float("nan")).to_numpy(),
        habits["num_timed"].fill_null(0).to_numpy().astype(np.float64),
        float(habits["seconds_of_all"].max() or np.nan),  # type: ignore[arg-type]
        panel.opened.classes,
        panel.confidence,
    )


def reported(
    panel: Panel, table: pl.DataFrame, found: Confusions, flags: list[Flag], judging: Judging
) -> AnnotatorReport:
    """The tables, by the names of annotators and classes."""
    named = panel.opened.named
    units = panel.units.select(*panel.keys, num_annotations="annotations")
    of_flags = flag_table(flags, units)
    names = of_flags.group_by(panel.keys).agg(flags=pl.col("flag").str.join(", "))
    table = table.join(names, on=panel.keys, how="left", nulls_equal=True, maintain_order="left")
    order = pl.col("accuracy").round(DECIMALS)
    table = named(table.sort(order, *panel.keys, nulls_last=True))
    if not panel.opened.grouping.keys:
        table = beside_all(table, panel, judging).select(pl.exclude("flags"), "flags")
    cells = (
        units[found.unit]
        .drop("num_annotations")
        .with_columns(
            true_label=pl.Series(found.truth),
            label=pl.Series(found.label),
            num_annotations=pl.Series(found.n),
            probability=pl.Series(found.theta),
        )
    )
    last = pl.col("num_annotations")
    return AnnotatorReport(
        table,
        named(cells),
        named(of_flags.select(pl.exclude("num_annotations"), last)),
        said(panel, flags),
    )


def said(panel: Panel, flags: list[Flag]) -> str:
    """The header."""
    opened, units = panel.opened, panel.units
    n, judged = units.select(pl.col("annotations", "judged").sum()).row(0)
    sizes = {"example": panel.merged[()]["examples"].item(), "annotator": len(opened.annotators)}
    sizes |= {"annotation": n, "class": len(opened.classes)}
    left_out = f" ({n - judged:,} left out: {opened.against.left_out})" if n > judged else ""
    flagged = len({flag.unit for flag in flags if flag.flag != "few"})
    of = "row" if opened.grouping.keys else "annotator"
    flagged_text = f"{flagged:,} of {counted(units.height, of)} flagged"
    return header(
        AnnotatorReport.method,
        sizes,
        f"judged by {opened.against.name}{left_out}",
        flagged_text,
        opened.rounds.note,
    )


# --- what is of the whole log ----------------------------------------------------------------------


def beside_all(table: pl.DataFrame, panel: Panel, judging: Judging) -> pl.DataFrame:
    """The annotators, with what is said of them by the whole log."""
    for found in (others_of(panel), repeats_of(panel, judging)):
        table = table.join(found, on="annotator", how="left", maintain_order="left")
    abstentions = panel.opened.rounds.abstentions
    if abstentions is None:
        return table
    zeros = pl.col("num_annotations", "num_judged", "num_abstained").fill_null(0)
    both = table.join(
        abstentions.by_annotator,
        on="annotator",
        how="full",
        coalesce=True,
        maintain_order="left_right",
    )
    return both.with_columns(zeros)


def others_of(panel: Panel) -> pl.DataFrame:
    """Agreement with the others, and alpha without each."""
    columns = ("annotator", *OF_ALL[:3])
    if len(panel.opened.annotators) > 1:
        return without_each(panel.opened.rounds).select(columns)
    numbers = dict.fromkeys(OF_ALL[:3], pl.Float64())
    return pl.DataFrame(schema={"annotator": panel.opened.annotators.dtype, **numbers})


def repeats_of(panel: Panel, judging: Judging) -> pl.DataFrame:
    """How many examples each labelled again, and how far they agree with themselves there."""
    opened = panel.opened
    rows = opened.rows.filter(is_labelled(opened.rows.collect_schema()["label"]))
    rows = rows if judging.may_repeat(panel.merged) else rows.clear()
    return consistency(rows, opened.annotators, opened.classes)
