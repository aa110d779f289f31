"""Amazon Mechanical Turk: the results of a batch, CSV, in the many shapes in which forms answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import unescape
from typing import Any, Unpack

import polars as pl

from polars_crowd.errors import AnnotationError, OptionError, shown
from polars_crowd.formats.answers import TEXT, Answers, column, first_true, translated
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look, tables
from polars_crowd.formats.reader import reads
from polars_crowd.formats.times import dated

ANSWER, INPUT, JSON_ANSWERS = "Answer.", "Input.", "Answer.taskAnswers"
TRUTH_VALUE = "(?i)^(true|false)$"
ZONES = {
    "UTC": "+0000",
    "GMT": "+0000",
    "PST": "-0800",
    "PDT": "-0700",
    "MST": "-0700",
    "MDT": "-0600",
    "CST": "-0600",
    "CDT": "-0500",
    "EST": "-0500",
    "EDT": "-0400",
}
"""The names of zones that stand in times."""
KEYS = ("HITId", "WorkerId")
ITEM = "item"
"""The question of forms that ask the same of several items."""


def _is_like(look: Look) -> bool:
    seen = look.inner or look
    return seen.kind == "table" and seen.has(*KEYS)


@reads("mturk", "Mechanical Turk", _is_like)
def read_mturk(
    look: Look,
    *,
    example: str = "HITId",
    items: Mapping[str, str] | None = None,
    truth: str | None = None,
    **options: Unpack[ExportOptions],
) -> Answers:
    """Read the results of a batch of Mechanical Turk: a CSV file, or a directory of them.

    Parameters
    ----------
    example
        What an example is: the HIT, or an input, `"Input.id"`.
    items
        The items of a HIT with several: the input that is the example, and the answer to it, as
        `{"Input.id1": "Answer.q1", "Input.id2": "Answer.q2"}`.
    truth
        The input that holds the true label, if there is one, `"Input.gold"`.

    Returns
    -------
    Export
        A question is the name of an answer, with or without `Answer.`. Checkboxes, columns of options and the
        JSON of newer forms are sets where any answer has several. Rejected assignments are left out. With
        `items` the time of a HIT is divided by their number.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "batch.csv")
    >>> _ = path.write_text("HITId,WorkerId,AssignmentStatus,Answer.tone\\nH1,A1,Approved,warm\\n")
    >>> read_mturk(path).log.select("example", "annotator", "label").collect().rows()
    [('H1', 'A1', 'warm')]
    """
    table = tables(look, *KEYS).collect()
    named: dict[str | None, str] = {
        name: "items" for pair in (items or {}).items() for name in pair
    }
    for name, option in {**named, example: "example", truth: "truth"}.items():
        if name is not None and name not in table.columns:
            raise OptionError(option, name, f"the file has {shown(table.columns, 50)}.")
    questions = _questions(table)
    if not questions:
        raise AnnotationError(
            f"{look} has no answers: no column of {shown(table.columns, 50)} begins with {ANSWER!r}."
        )
    if items:
        parts = [_answered(table, theirs, ITEM, answer) for theirs, answer in items.items()]
    else:
        parts = [_answered(table, example, name, *columns) for name, columns in questions.items()]
    rows = pl.concat(parts)
    if items:
        rows = rows.with_columns(pl.col("seconds") / len(items))
    gold = None
    if truth is not None:
        gold = (
            table.lazy()
            .drop_nulls(truth)
            .select(
                example=example,
                question=pl.lit([ITEM] if items else list(questions)),
                values=pl.concat_list(truth),
            )
            .explode("question", empty_as_null=False)
        )
    return Answers(rows=rows.lazy(), gold=gold, prefix=ANSWER)


def _questions(table: pl.DataFrame) -> dict[str, list[str]]:
    """The questions, each with the columns that hold its answers."""
    found: dict[str, list[str]] = {}
    for answer in table.columns:
        if not answer.startswith(ANSWER):
            continue
        name = answer.removeprefix(ANSWER)
        group, _, option = name.rpartition(".")
        if answer == JSON_ANSWERS:
            for inner in _names_in(table[answer]):
                found[inner] = [answer]
        elif group and option == "label":
            found[group] = [answer]
        elif group and table[answer].drop_nulls().str.contains(TRUTH_VALUE).all():
            found.setdefault(group, []).append(answer)
        else:
            found[name] = [answer]
    return found


def _answered(table: pl.DataFrame, example: str, question: str, *columns: str) -> pl.DataFrame:
    """The answers to a question."""
    status = column("AssignmentStatus", table.columns)
    is_rejected = (status == "Rejected").fill_null(value=False) | column(
        "RejectionTime", table.columns
    ).is_not_null()
    values = pl.Series("values", _values(table, question, columns), dtype=pl.List(TEXT))
    said = pl.col("values").list.len() > 0
    inputs = [name for name in table.columns if name.startswith(INPUT)]
    shown_text = inputs if len(inputs) == 1 else [name for name in inputs if name == f"{INPUT}text"]
    seconds = column("WorkTimeInSeconds", table.columns)
    return table.with_columns(values).select(
        pl.col(example).alias("example"),
        pl.col("WorkerId").alias("annotator"),
        pl.when(said).then("values").alias("values"),
        *(pl.col(name).alias("text") for name in shown_text),
        *dated(column("SubmitTime", table.columns), _time),
        question=pl.lit(question),
        kind=pl.lit("choice"),
        seconds=seconds.cast(pl.Float64, strict=False),
        status=first_true(empty=~said.fill_null(value=False), rejected=is_rejected),
    )


def _time(text: pl.Expr) -> pl.Expr:
    """Times like `Wed Jan 24 09:51:16 PST 2018`."""
    name = text.str.extract(r" ([A-Z]{3,4}) \d{4}$").fill_null("UTC")
    zone = translated(name, ZONES)
    day = text.str.extract(r"^\w{3} (\w{3} +\d{1,2} [\d:]{8}) ")
    year = text.str.extract(r" (\d{4})$")
    written = pl.concat_str([day, year, zone], separator=" ")
    return written.str.to_datetime(
        "%b %d %H:%M:%S %Y %z", time_unit="us", time_zone="UTC", strict=False
    )


# --- the shapes of answers ------------------------------------------------------------------------


def _values(table: pl.DataFrame, question: str, columns: Sequence[str]) -> list[list[str]]:
    """The values that each row chose."""
    if columns[0] == JSON_ANSWERS:
        return [_chosen(_object(cell).get(question)) for cell in table[columns[0]]]
    if len(columns) > 1 or (
        columns[0].startswith(f"{ANSWER}{question}.") and columns[0][-6:] != ".label"
    ):
        options = [answer.removeprefix(f"{ANSWER}{question}.") for answer in columns]
        return [
            [
                option
                for option, cell in zip(options, row, strict=True)
                if cell and cell.lower() == "true"
            ]
            for row in table.select(columns).iter_rows()
        ]
    return [
        [] if cell is None else [unescape(part) for part in cell.split("|")]
        for cell in table[columns[0]]
    ]


def _names_in(cells: pl.Series) -> list[str]:
    """The questions in the JSON of newer forms."""
    return list(dict.fromkeys(name for cell in cells for name in _object(cell)))


def _object(cell: str | None) -> dict[str, Any]:
    found = json.loads(cell) if cell else {}
    merged: dict[str, Any] = {}
    for part in found if isinstance(found, list) else [found]:
        merged |= part
    return merged


def _chosen(said: Any) -> list[str]:
    """What one of these answers says."""
    if isinstance(said, dict):
        if "label" in said:
            return [str(said["label"])]
        return [option for option, is_chosen in said.items() if is_chosen is True]
    return [] if said in (None, "") else [str(said)]
