"""Appen (CrowdFlower, Figure Eight): the full report of a job, a row a judgment."""

from __future__ import annotations

from typing import Unpack

import polars as pl

from polars_crowd.errors import AnnotationError, shown
from polars_crowd.formats.answers import TEXT, Answers, column, first_true
from polars_crowd.formats.export import WHICH, ExportOptions
from polars_crowd.formats.look import Look
from polars_crowd.formats.reader import reads
from polars_crowd.formats.times import dated

GOLD, REASON = "_gold", "_gold_reason"
TIMES = ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M")
PAGES = "Seconds are those of a page, divided by its rows."


@reads(
    "appen",
    "Appen",
    lambda look: (
        look.has("_unit_id") and not look.keys.isdisjoint({"_worker_id", "_trusted_judgments"})
    ),
)
def read_appen(look: Look, *, text: str = "text", **options: Unpack[ExportOptions]) -> Answers:
    """Read the full report of a job of Appen, CSV.

    Parameters
    ----------
    text
        The column of the source that contributors saw.

    Returns
    -------
    Export
        Questions are the columns with a `_gold` beside them, those that differ within a unit, and the one
        that `question` names. Answers of several lines are sets. Tainted judgments are left out; test
        questions are `gold`, and their truth is gold where one answer is accepted. The time of a page is
        divided by its rows.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "full.csv")
    >>> _ = path.write_text("_unit_id,_worker_id,_golden,spam,spam_gold\\n9001,501,true,yes,yes\\n")
    >>> read_appen(path).log.select("example", "annotator", "label", "gold").collect().rows()
    [('9001', '501', 'yes', True)]
    """
    table = look.table().collect()
    if "_worker_id" not in table.columns:
        raise AnnotationError(
            f"{look} is an aggregated report, which does not say who judged what.",
            "Download the full report.",
        )
    asked = options.get("question")
    questions = _questions(table)
    if asked in table.columns and asked not in questions:
        questions.append(str(asked))
    if not questions:
        raise AnnotationError(
            f"{look}: which of {shown(table.columns, 50)} were asked for cannot be told: none has a "
            "column of gold beside it, and none differs within a unit.",
            WHICH,
        )
    return Answers(
        rows=pl.concat([_answered(table, name, text) for name in questions]).lazy(),
        gold=pl.concat([_truth(table, name) for name in questions]).lazy(),
        notes=(PAGES,) if "_started_at" in table.columns else (),
    )


def _questions(table: pl.DataFrame) -> list[str]:
    """The columns that were asked for."""
    own = [name for name in table.columns if not name.startswith("_")]
    sources = [name for name in own if not name.endswith((GOLD, REASON))]
    differ = (
        table.group_by("_unit_id").agg(pl.col(sources).n_unique() > 1).select(pl.col(sources).any())
    )
    return [name for name in sources if f"{name}{GOLD}" in own or differ[name].item()]


def _answered(table: pl.DataFrame, name: str, text: str) -> pl.DataFrame:
    """The answers to a question."""
    lines = pl.col(name).str.replace_all("\r", "").str.split("\n")
    is_gold, is_tainted = (
        column(name, table.columns).str.to_lowercase() == "true" for name in ("_golden", "_tainted")
    )
    started, created = (
        _read(column(name, table.columns)) for name in ("_started_at", "_created_at")
    )
    page = [c for c in ("_worker_id", "_started_at") if c in table.columns]
    seconds = (created - started).dt.total_microseconds() / 1e6 / pl.len().over(page)
    seen = [pl.col(text).alias("text")] if text in table.columns else []
    return table.select(
        *seen,
        *dated(column("_created_at", table.columns), _read),
        example="_unit_id",
        annotator="_worker_id",
        question=pl.lit(name),
        kind=pl.lit("choice"),
        values=lines,
        seconds=seconds,
        gold=is_gold,
        status=first_true(empty=pl.col(name).is_null(), tainted=is_tainted),
    )


def _truth(table: pl.DataFrame, name: str) -> pl.DataFrame:
    """The truth of test questions; one of which several answers are accepted has none."""
    gold = f"{name}{GOLD}"
    if gold not in table.columns:
        return table.head(0).select(
            example="_unit_id", question=pl.lit(name), values=pl.lit([], pl.List(TEXT))
        )
    lines = pl.col(gold).str.split("\n")
    return table.filter(lines.list.len() == 1).select(
        example="_unit_id", question=pl.lit(name), values=lines
    )


def _read(text: pl.Expr) -> pl.Expr:
    """Times like `7/12/2014 01:55:49`, whose seconds some programs drop."""
    read = [text.str.to_datetime(form, time_unit="us", strict=False) for form in TIMES]
    return pl.coalesce(read).dt.replace_time_zone("UTC")
