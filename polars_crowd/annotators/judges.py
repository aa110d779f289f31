"""Judges beside humans: what a log of both says of each judge, and whether it may stand in for a human.

Everything is made of sums over sorted runs (`count_beside`): labels of a judge and of each human on the same
examples, labels beside the consensus of the humans or known ones, and what the alternative annotator test
needs (`stand_in.py`). The consensus of the humans is the label that most of them chose; an example on which
they tie has none.

**Errors of judges together**, by known labels only: with e = 1 where a judge is wrong, phi is the correlation
of e of two judges over the known examples that both labelled, and M judges are worth

    M / (1 + (M - 1) mean phi)

of independent ones (Kish 1965). Without known labels nothing in the log tells a label that all judges share
because it is right from one that they share because they are wrong alike: agreement is no measure of either,
and this is left unsaid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Unpack

import numpy as np
import polars as pl

from polars_crowd.annotators.prevalence import PrevalenceOptions, known_labels
from polars_crowd.annotators.request import Judging, Opened
from polars_crowd.annotators.scores import checked_costs
from polars_crowd.annotators.stand_in import Advantage, Verdict, benjamini_yekutieli, verdict
from polars_crowd.arrays import Floats
from polars_crowd.errors import AnnotationError, OptionError, heard, shown
from polars_crowd.inputs.log import LOG_COLUMNS, scan_annotations
from polars_crowd.inputs.tables import log_and_labels
from polars_crowd.numerics.shares import wilson
from polars_crowd.option_checks import check_number
from polars_crowd.reliability.coefficients import agreement
from polars_crowd.reliability.intra_rater import GROUP, repeated
from polars_crowd.reports import MANY, Heads, header
from polars_crowd.rounds.partitions import Partition, Partitioned
from polars_crowd.rounds.results import Fit
from polars_crowd.rounds.summaries import Merged, Summary
from polars_crowd.signatures import shares

KIND = "annotator_kind"
MACHINES = ("model", "code", "llm", "judge")
HUMAN, JUDGE = 1, 2
COEFFICIENTS = {
    "percent_agreement": "agreement",
    "cohen_kappa": "kappa",
    "gwet_ac1": "ac1",
    "krippendorff_alpha": "alpha",
}
ENDS = ("", "_low", "_high")
SIDES = ("left", "right")
UNSAID = "errors that judges share are unknown: known labels (gold) tell, agreement cannot"


class JudgeReport(Fit):
    """What `judge_report` found out.

    Attributes
    ----------
    judges : DataFrame
        One row per judge, the one that agrees best with the humans' consensus first: `annotator`;
        `num_annotations`; `coverage`, the share of the humans' examples that it labelled; `agreement`,
        `kappa` (Cohen), `ac1` (Gwet) and `alpha` (Krippendorff) with the humans' consensus, each with `_low`
        and `_high`; `winning_rate` and `advantage` of the alternative annotator test, `num_tested`, the
        humans that it is compared with, `may_stand_in`, and `reason`, the verdict in words; `num_repeated`,
        `repeat_consistency` (percent agreement with itself); and where the log has columns `left` and `right`
        (comparisons), `left_share` of the labels that are one of the two, with its interval: 0.5 without a
        bias to either side, if sides were drawn at random.
    classes : DataFrame
        `annotator, label, num_examples` of that true class, `sensitivity` (share of them that the judge says
        are) and `specificity` (share of the others that it says are not) with `_low` and `_high`,
        `expected_cost` of an example of the class. Truths are known labels, or the humans' consensus.
    humans : DataFrame
        A row per judge and human: `annotator, human, num_shared`, the coefficients of `judges` between the
        two; `num_compared` examples of the test, `advantage`, `p_value`, `p_value_corrected`.
    errors : DataFrame or None
        With known labels: `annotator_1, annotator_2, num_examples, num_both_wrong, correlation` of the errors
        of two judges.
    effective_judges : float or None
        How many independent judges they are worth; None without known labels, or with one judge.
    """

    TABLES: ClassVar[tuple[str, ...]] = ("judges", "classes", "humans", "errors")
    VALUES: ClassVar[tuple[str, ...]] = ("effective_judges",)
    HEADS: ClassVar[Heads] = {"judges": ("judges", MANY), "classes": ("by class", MANY)}
    FIRST: ClassVar[tuple[str, ...]] = (
        *("annotator", "num_annotations", "coverage", "agreement", "kappa", "kappa_low"),
        *("kappa_high", "winning_rate", "advantage", "may_stand_in", "reason"),
    )

    method = "judge report"

    def __init__(
        self,
        judges: pl.DataFrame,
        classes: pl.DataFrame,
        humans: pl.DataFrame,
        errors: pl.DataFrame | None,
        effective_judges: float | None,
        said: str,
    ) -> None:
        self.judges = judges
        self.classes = classes
        self.humans = humans
        self.errors = errors
        self.effective_judges = effective_judges
        self._said = said

    def _header(self) -> str:
        return self._said

    def _report(self) -> Any:
        report = super()._report()
        return type(report)(
            report.header, {**report.heads, "judges": self.judges.select(self.FIRST)}
        )


@shares(PrevalenceOptions, Judging)
def judge_report(
    log: Any,
    judges: Any = None,
    humans: Any = None,
    *,
    gold: Any = None,
    epsilon: float = 0.1,
    costs: Any = None,
    **options: Unpack[PrevalenceOptions],
) -> JudgeReport:
    """How good judges (models, say) are beside humans, and whether they may stand in for one.

    Parameters
    ----------
    judges
        Which annotators are judges: names, or a pattern such as `"gpt-*"`, or a list of them. By default
        those whose `annotator_kind` in the log is `model`, `code`, `llm` or `judge`.
    humans
        Which annotators are humans, likewise. By default all who are no judges.
    gold
        Known labels: a frame or file `example, label`, or the name of a column of the log. Sensitivity and
        specificity are by them, and only they say how judges err together.
    epsilon
        The price of the alternative annotator test: by how much a judge may be worse than a human and still
        be preferred, 0 or more. 0.2 where the humans are experts, 0.15 where they are skilled, 0.1 where they
        are a crowd.
    costs
        What each error costs: a (K, K) matrix in class order, a row for each true class, a column for the
        class that it is taken for. By default 1 for any error.

    Returns
    -------
    JudgeReport
        `.judges`, `.classes`, `.humans`, `.errors`. It prints as a report, `.write` writes it.

    Raises
    ------
    AnnotationError
        The log cannot be used; it has no judge or no human, or an annotator is said to be both.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> data = pc.datasets.tutorial()
    >>> says = data.truth.select("example", "label", annotator=pl.lit("model-a"))
    >>> log = pl.concat([data.log.select("example", "annotator", "label"), says], how="diagonal")
    >>> found = pc.judge_report(log, "model-*")
    >>> found.judges.select("annotator", "coverage", pl.col("kappa").round(3)).rows()
    [('model-a', 1.0, 0.894)]
    """
    check_number("epsilon", epsilon, 0.0)
    log, gold = log_and_labels(log, gold, "gold")
    rows = log.scan_annotations() if isinstance(log, Partitioned) else scan_annotations(log)
    asked = Judging(**options)
    opened = asked.open(log)
    roles = roles_of(rows, opened.annotators, judges, humans)
    known = None if gold is None else known_labels(gold, opened.rounds)
    truth = None if known is None else known.frame.select("example", "true_label")
    merged = opened.rounds.run(count_beside, roles, truth)
    if known is not None:
        known.check(int(merged[()]["known"].item()), opened.rounds)
    beside = Beside(opened, merged, roles, asked.confidence, epsilon)
    K = len(opened.classes)
    asked_costs = checked_costs(costs, K)
    of_errors = 1 - np.eye(K) if asked_costs is None else asked_costs
    return reported(beside, rows, of_errors, known is not None)


# --- who is who --------------------------------------------------------------------------------------


def roles_of(rows: pl.LazyFrame, annotators: pl.Series, judges: Any, humans: Any) -> pl.Series:
    """HUMAN, JUDGE or 0 of each annotator."""
    machines = of_kind(rows, annotators) if judges is None else chosen("judges", judges, annotators)
    people = ~machines if humans is None else chosen("humans", humans, annotators)
    both = annotators.filter(machines & people)
    if len(both):
        raise AnnotationError(f"judges and humans: {shown(both.to_list())} would be both.")
    if not machines.any() or not people.any():
        what = "human" if machines.any() else "judge"
        names = shown(annotators.to_list(), 10)
        raise AnnotationError(f"judges: no {what} is in the log; its annotators are {names}.")
    return pl.Series("role", people.cast(pl.Int8) * HUMAN + machines.cast(pl.Int8) * JUDGE)


def of_kind(rows: pl.LazyFrame, annotators: pl.Series) -> pl.Series:
    """Who is a machine by the log's column."""
    if KIND not in rows.collect_schema():
        raise OptionError(
            "judges", ..., f"is needed: the log has no column {KIND!r} that says who is a judge."
        )
    kind = pl.col(KIND).cast(pl.String).str.to_lowercase()
    named = rows.filter(kind.is_in(MACHINES)).select(pl.col("annotator").unique()).collect()
    return annotators.is_in(named["annotator"].implode())


def chosen(option: str, given: Any, annotators: pl.Series) -> pl.Series:
    """Who is meant by names and patterns.

    Raises
    ------
    AnnotationError
        One of them is nobody.
    """
    wanted = list(given) if isinstance(given, (list, tuple, pl.Series, np.ndarray)) else [given]
    names = annotators.cast(pl.String).to_list()
    meant = np.zeros(len(names), dtype=bool)
    nobody = []
    for one in wanted:
        found = [name == str(one) or fnmatchcase(name, str(one)) for name in names]
        meant |= found
        if not any(found):
            nobody.append(one)
    if nobody or not wanted:
        raise AnnotationError(
            f"{option}: {shown(nobody)} match no annotator of the log, which are {shown(names, 10)}."
        )
    return pl.Series(meant)


# --- sums --------------------------------------------------------------------------------------------

CELLS = ("annotator", "other", "label", "other_label")
TRUTHS = ("annotator", "true_label", "label")
PAIR = ("annotator", "other")


def count_beside(part: Partition, roles: pl.Series, truth: pl.DataFrame | None) -> Summary:
    """Summaries of a partition: how often judges (`annotator`) and humans (`other`; their consensus is one
    more, after the last) say what on the same example; judges beside the truth; the sums of the alternative
    annotator test; errors of two judges together."""
    runs, consensus_code = part.runs, len(roles)
    rows = runs.vote_rows().with_columns(pl.lit(roles).gather("annotator").alias("role"))
    rows = rows.collect().lazy()
    judges = rows.filter(pl.col("role") == JUDGE).drop("role")
    humans = rows.filter(pl.col("role") == HUMAN).drop("role")
    votes = humans.group_by("example", "label").agg(votes=pl.len().cast(pl.Int64)).collect().lazy()
    consensus = consensus_of(votes)
    voiced = humans.rename({"annotator": "other", "label": "other_label"})
    of_all = consensus.select(
        "example", pl.lit(consensus_code, pl.UInt32).alias("other"), "other_label"
    )
    everyone = pl.concat([voiced.select(of_all.collect_schema().names()), of_all])
    one = pl.lit(1, pl.Int64)
    ids = runs.examples.lazy().select(id="example").with_row_index("example")
    if truth is None:
        known = consensus.rename({"other_label": "true_label"})
    else:
        known = ids.join(truth.lazy(), left_on="id", right_on="example").drop("id")
    known = known.collect().lazy()
    beside_truth = judges.join(known, on="example")
    sizes = pl.DataFrame(
        {
            "human_examples": [votes.select(pl.col("example").n_unique()).collect().item()],
            "known": [0 if truth is None else known.select(pl.len()).collect().item()],
        }
    )
    labelled = votes.select(pl.col("example").unique())
    covered = judges.join(labelled, on="example", how="semi")
    counts = pl.concat(
        [
            judges.select("annotator", annotations=one, covered=pl.lit(0, pl.Int64)),
            covered.select("annotator", annotations=pl.lit(0, pl.Int64), covered=one),
        ]
    )
    found: dict[tuple[str, ...], pl.DataFrame | pl.LazyFrame] = {
        (): sizes.cast(pl.Int64),
        ("annotator",): counts.group_by("annotator").agg(pl.all().sum()),
        CELLS: judges.join(everyone, on="example").group_by(CELLS).agg(n=pl.len().cast(pl.Int64)),
        TRUTHS: beside_truth.group_by(TRUTHS).agg(n=pl.len().cast(pl.Int64)),
        PAIR: compared(judges.join(voiced, on="example"), votes),
    }
    if truth is not None:
        wrong = beside_truth.select(
            "example", "annotator", wrong=(pl.col("label") != pl.col("true_label")).cast(pl.Int64)
        )
        found["annotator_1", "annotator_2"] = errors_together(wrong)
    return found


def consensus_of(votes: pl.LazyFrame) -> pl.LazyFrame:
    """The label of most humans, where no other has as many."""
    first = votes.filter(pl.col("votes") == pl.col("votes").max().over("example"))
    alone = first.filter(pl.len().over("example") == 1)
    return alone.select("example", other_label="label")


def compared(pairs: pl.LazyFrame, votes: pl.LazyFrame) -> pl.LazyFrame:
    """The sums of the alternative annotator test, of examples with one more human."""
    own = votes.select("example", other_label="label", own=pl.col("votes") - 1)
    said = votes.select("example", "label", said="votes")
    size = votes.group_by("example").agg(size=pl.col("votes").sum())
    same = (pl.col("label") == pl.col("other_label")).cast(pl.Int64)
    beside = (
        pairs.join(size, on="example")
        .filter(pl.col("size") > 1)
        .join(own, on=["example", "other_label"])
        .join(said, on=["example", "label"], how="left")
        .with_columns(said=pl.col("said").fill_null(0) - same)
    )
    judge = (pl.col("said") >= pl.col("own")).cast(pl.Int64)
    human = (pl.col("own") >= pl.col("said")).cast(pl.Int64)
    d = human - judge
    return beside.group_by(PAIR).agg(
        n=pl.len().cast(pl.Int64), judge=judge.sum(), d=d.sum(), d2=(d**2).sum()
    )


def errors_together(wrong: pl.LazyFrame) -> pl.LazyFrame:
    """The sums of the correlation of two judges' errors."""
    held = wrong.collect().lazy()
    pairs = held.join(held, on="example", suffix="_2").rename(
        {"annotator": "annotator_1", "wrong": "wrong_1"}
    )
    pairs = pairs.filter(pl.col("annotator_1") < pl.col("annotator_2"))
    return pairs.group_by("annotator_1", "annotator_2").agg(
        n=pl.len().cast(pl.Int64),
        wrong_1=pl.col("wrong_1").sum(),
        wrong_2=pl.col("wrong_2").sum(),
        both=(pl.col("wrong_1") * pl.col("wrong_2")).sum(),
    )


# --- tables ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Beside:
    """The merged sums, and what they are asked."""

    opened: Opened
    merged: Merged
    roles: pl.Series
    confidence: float
    epsilon: float

    @property
    def judges(self) -> list[int]:
        return self._who(JUDGE)

    @property
    def humans(self) -> list[int]:
        return self._who(HUMAN)

    def _who(self, role: int) -> list[int]:
        return (self.roles == role).arg_true().to_list()

    def name(self, codes: Sequence[int]) -> pl.Series:
        return self.opened.annotators.gather(list(codes))


def reported(beside: Beside, rows: pl.LazyFrame, costs: Floats, has_gold: bool) -> JudgeReport:
    """The tables of the report."""
    coefficients = coefficients_of(beside)
    humans, verdicts = human_table(beside, coefficients)
    judges = judge_table(beside, rows, coefficients, verdicts)
    errors = error_table(beside) if has_gold else None
    worth = None if errors is None else effective(errors, len(beside.judges))
    sizes = {"judge": len(beside.judges), "human": len(beside.humans)}
    sizes |= {"example": int(beside.merged[()]["human_examples"].item())}
    may = judges.filter(pl.col("may_stand_in"))["annotator"].to_list()
    note = (
        f"may stand in for a human: {shown(may)}"
        if may
        else "none is shown to stand in for a human"
    )
    together = UNSAID if worth is None else f"worth {worth:.2g} independent judges"
    if len(beside.judges) == 1 and has_gold:
        together = ""
    said = header("judge report", sizes, note, together)
    return JudgeReport(judges, class_table(beside, costs), humans, errors, worth, said)


def coefficients_of(beside: Beside) -> pl.DataFrame:
    """`annotator, other` (codes), `num_shared`, and each coefficient with its interval, of every two who
    share an example."""
    cells = beside.merged[CELLS].sort(CELLS)
    pairs = cells.select(PAIR).unique(maintain_order=True).with_row_index(GROUP)
    of_pairs = cells.join(pairs, on=list(PAIR), maintain_order="left")
    each = of_pairs.select(GROUP, "label", "other_label", pl.int_ranges(pl.col("n")).alias("time"))
    each = each.explode("time", empty_as_null=False).drop("time").with_row_index("example")
    both = [
        each.select("example", GROUP, label=column, annotator=pl.lit(who))
        for who, column in enumerate(("label", "other_label"))
    ]
    K = len(beside.opened.classes)
    if cells.is_empty():
        empty = {f"{short}{end}": pl.Float64 for short in COEFFICIENTS.values() for end in ENDS}
        return pairs.drop(GROUP).with_columns(
            num_shared=pl.lit(0, pl.Int64), **{c: pl.lit(None, t) for c, t in empty.items()}
        )
    with heard():
        found = agreement(
            pl.concat(both),
            coefficients=list(COEFFICIENTS),
            by=GROUP,
            classes=list(range(K)),
            confidence=beside.confidence,
        )
    wide = pairs.join(cells.group_by(PAIR).agg(num_shared=pl.col("n").sum()), on=list(PAIR))
    for name, short in COEFFICIENTS.items():
        of_one = found.filter(pl.col("coefficient") == name)
        ends = {f"{short}_low": "ci_low", f"{short}_high": "ci_high"}
        named = of_one.select(
            GROUP, pl.col("value").alias(short), **{k: pl.col(v) for k, v in ends.items()}
        )
        wide = wide.join(named, on=GROUP, how="left", maintain_order="left")
    return wide.drop(GROUP)


def human_table(
    beside: Beside, coefficients: pl.DataFrame
) -> tuple[pl.DataFrame, dict[int, Verdict]]:
    """Each judge beside each human, and what follows for the judge."""
    sums = beside.merged[PAIR]
    tables, verdicts = [], {}
    for judge in beside.judges:
        pairs = pl.DataFrame({"annotator": judge, "other": beside.humans})
        pairs = pairs.cast(dict.fromkeys(PAIR, pl.UInt32))
        own = pairs.join(sums, on=list(PAIR), how="left", maintain_order="left").fill_null(0)
        columns = (own[c].to_numpy().astype(np.float64) for c in ("n", "judge", "d", "d2"))
        advantage = Advantage(*columns)
        p = advantage.p_values(beside.epsilon)
        corrected = benjamini_yekutieli(p)
        verdicts[judge] = verdict(advantage, corrected, 1 - beside.confidence, beside.epsilon)
        tables.append(
            pairs.with_columns(
                num_compared=own["n"],
                advantage=pl.Series(advantage.share).fill_nan(None),
                p_value=pl.Series(p).fill_nan(None),
                p_value_corrected=pl.Series(corrected).fill_nan(None),
            )
        )
    joined = pl.concat(tables).join(coefficients, on=list(PAIR), how="left", maintain_order="left")
    table = joined.select(
        annotator=pl.lit(beside.opened.annotators).gather("annotator"),
        human=pl.lit(beside.opened.annotators).gather("other"),
        num_shared=pl.col("num_shared").fill_null(0),
        **{
            name: pl.col(name) for name in coefficients.columns if name not in (*PAIR, "num_shared")
        },
        **{n: pl.col(n) for n in ("num_compared", "advantage", "p_value", "p_value_corrected")},
    )
    return table, verdicts


def judge_table(
    beside: Beside, rows: pl.LazyFrame, coefficients: pl.DataFrame, verdicts: dict[int, Verdict]
) -> pl.DataFrame:
    """A row per judge."""
    counts = beside.merged[("annotator",)]
    total = max(int(beside.merged[()]["human_examples"].item()), 1)
    together = coefficients.filter(pl.col("other") == len(beside.roles)).drop("other", "num_shared")
    codes = pl.DataFrame({"annotator": pl.Series(beside.judges, dtype=pl.UInt32)})
    said = [verdicts[judge] for judge in beside.judges]
    found = (
        codes.join(counts, on="annotator", how="left", maintain_order="left")
        .join(together, on="annotator", how="left", maintain_order="left")
        .with_columns(
            winning_rate=pl.Series([v.winning_rate for v in said], dtype=pl.Float64),
            advantage=pl.Series([v.advantage for v in said], dtype=pl.Float64),
            num_tested=pl.Series([v.n_tested for v in said], dtype=pl.Int64),
            reason=pl.Series([v.reason for v in said]),
            coverage=pl.col("covered") / total,
        )
        .with_columns(may_stand_in=pl.col("winning_rate") >= 0.5)
    )
    short = [c for c in together.columns if c != "annotator"]
    table = found.select(
        pl.lit(beside.opened.annotators).gather("annotator").alias("annotator"),
        pl.col("annotations").alias("num_annotations"),
        "coverage",
        *short,
        *("winning_rate", "advantage", "num_tested", "may_stand_in", "reason"),
    )
    table = table.join(of_repeats(rows), on="annotator", how="left", maintain_order="left")
    sides = of_sides(rows, beside.confidence)
    if sides is not None:
        table = table.join(sides, on="annotator", how="left", maintain_order="left")
    table = table.with_columns(pl.col("num_repeated").fill_null(0))
    return table.sort("agreement", "annotator", descending=[True, False], nulls_last=True)


def of_repeats(rows: pl.LazyFrame) -> pl.DataFrame:
    """`annotator, num_repeated, repeat_consistency` of those who labelled an example again."""
    again = repeated(rows.select(LOG_COLUMNS))
    if again.is_empty():
        ids = again[GROUP].alias("annotator")
        return pl.DataFrame({"annotator": ids}).with_columns(
            num_repeated=pl.lit(None, pl.Int64), repeat_consistency=pl.lit(None, pl.Float64)
        )
    with heard():
        found = agreement(again, coefficients="percent_agreement", by=GROUP)
    return found.select(
        annotator=GROUP,
        num_repeated=pl.col("num_examples").cast(pl.Int64),
        repeat_consistency="value",
    )


def of_sides(rows: pl.LazyFrame, confidence: float) -> pl.DataFrame | None:
    """`annotator, left_share` and its interval, if the log says what stood on either side."""
    if not set(SIDES) <= set(rows.collect_schema()):
        return None
    label = pl.col("label").cast(pl.String)
    chose = {side: (label == pl.col(side).cast(pl.String)).sum() for side in SIDES}
    counts = rows.group_by("annotator").agg(**chose).collect()
    n = counts.select(pl.sum_horizontal(SIDES).cast(pl.Float64)).to_series().to_numpy()
    share = np.divide(counts["left"].to_numpy(), n, where=n > 0, out=np.full(len(n), np.nan))
    low, high = wilson(share, np.where(n > 0, n, np.nan), confidence)
    ends = {"left_share": share, "left_share_low": low, "left_share_high": high}
    return counts.select("annotator").with_columns(
        **{name: pl.Series(values).fill_nan(None) for name, values in ends.items()}
    )


def class_table(beside: Beside, costs: Floats) -> pl.DataFrame:
    """A row per judge and class."""
    K, classes = len(beside.opened.classes), beside.opened.classes
    tables = []
    for judge in beside.judges:
        own = beside.merged[TRUTHS].filter(pl.col("annotator") == judge)
        n = np.zeros((K, K))
        at = tuple(own[c].to_numpy().astype(np.intp) for c in ("true_label", "label"))
        n[at] = own["n"].to_numpy()
        truth, right = n.sum(axis=1), np.diag(n)
        false = n.sum(axis=0) - right
        others = n.sum() - truth
        cost = np.divide((n * costs).sum(axis=1), truth, where=truth > 0, out=np.full(K, np.nan))
        columns = {
            **share_columns("sensitivity", right, truth, beside.confidence),
            **share_columns("specificity", others - false, others, beside.confidence),
            "expected_cost": cost,
        }
        tables.append(
            pl.DataFrame(
                {
                    "annotator": beside.name([judge] * K),
                    "label": classes,
                    "num_examples": pl.Series(truth).cast(pl.Int64),
                    **{name: pl.Series(v).fill_nan(None) for name, v in columns.items()},
                }
            )
        )
    return pl.concat(tables)


def share_columns(name: str, part: Floats, n: Floats, confidence: float) -> dict[str, Floats]:
    """part / n with Wilson's interval; NaN where n is 0."""
    share = np.divide(part, n, where=n > 0, out=np.full(len(n), np.nan))
    low, high = wilson(share, np.where(n > 0, n, np.nan), confidence)
    return {name: share, f"{name}_low": low, f"{name}_high": high}


def error_table(beside: Beside) -> pl.DataFrame:
    """The correlation of the errors of every two judges."""
    sums = beside.merged["annotator_1", "annotator_2"].sort("annotator_1", "annotator_2")
    n, a, b, both = (pl.col(c) / 1 for c in ("n", "wrong_1", "wrong_2", "both"))
    spread = (a * (n - a) * b * (n - b)).sqrt()
    phi = pl.when(spread > 0).then((n * both - a * b) / spread)
    names = pl.lit(beside.opened.annotators)
    return sums.select(
        annotator_1=names.gather("annotator_1"),
        annotator_2=names.gather("annotator_2"),
        num_examples="n",
        num_both_wrong="both",
        correlation=phi,
    )


def effective(errors: pl.DataFrame, n_judges: int) -> float | None:
    """M / (1 + (M - 1) mean phi)."""
    known = errors["correlation"].drop_nulls()
    if n_judges < 2 or known.is_empty():
        return None
    mean = float(known.mean())  # type: ignore[arg-type]
    return n_judges / (1 + (n_judges - 1) * max(mean, 0.0))
