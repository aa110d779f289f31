"""Judges beside humans: what a log of both says of each judge, and whether it may stand in for a human.

Everything is made of sums over sorted runs (`beside.py`), of which there are tables (`judge_tables.py`) and
the alternative annotator test (`stand_in.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Unpack

import numpy as np
import polars as pl

from polars_crowd.annotators.beside import HUMAN, JUDGE, Beside, count_beside
from polars_crowd.annotators.judge_tables import (
    class_table,
    coefficients_of,
    effective,
    error_table,
    human_table,
    judge_table,
)
from polars_crowd.annotators.prevalence import known_labels
from polars_crowd.annotators.request import Judging, LogIntervals
from polars_crowd.annotators.scores import checked_costs
from polars_crowd.arrays import Floats
from polars_crowd.errors import AnnotationError, OptionError, shown
from polars_crowd.inputs.log import HoldsLog, open_rows, scan_annotations
from polars_crowd.inputs.tables import log_and_labels
from polars_crowd.option_checks import check_number
from polars_crowd.reports import MANY, Heads, header
from polars_crowd.rounds.results import Fit
from polars_crowd.rounds.writing import Table
from polars_crowd.signatures import shares

KIND = "annotator_kind"
MACHINES = ("model", "code", "llm", "judge")
UNSAID = "errors that judges share are unknown: known labels (gold) tell, agreement cannot"


@dataclass(frozen=True, eq=False, repr=False)
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

    method: ClassVar[str] = "judge report"

    judges: pl.DataFrame
    classes: pl.DataFrame
    humans: pl.DataFrame
    errors: pl.DataFrame | None
    effective_judges: float | None
    _said: str

    def _header(self) -> str:
        return self._said

    def _shown(self, name: str) -> Table:
        return self.judges.select(self.FIRST) if name == "judges" else super()._shown(name)


@shares(LogIntervals, Judging)
def judge_report(
    log: Any,
    judges: Any = None,
    humans: Any = None,
    *,
    gold: Any = None,
    epsilon: float = 0.1,
    costs: Any = None,
    **options: Unpack[LogIntervals],
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
    source = log if isinstance(log, HoldsLog) else open_rows(log)
    rows = scan_annotations(source)
    asked = Judging(**options)
    opened = asked.open(source)
    roles = roles_of(rows, opened.annotators, judges, humans)
    known = None if gold is None else known_labels(gold, opened.rounds)
    merged = opened.rounds.run(count_beside, roles, known)
    if known is not None:
        known.check(int(merged[()]["known"].item()), opened.rounds)
    may_repeat = asked.may_repeat(merged)
    beside = Beside(opened, merged, roles, asked.confidence, epsilon, may_repeat)
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


# --- the report --------------------------------------------------------------------------------------


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
