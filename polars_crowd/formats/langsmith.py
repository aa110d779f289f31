"""LangSmith: feedback on runs."""

from __future__ import annotations

import json
from typing import Unpack

import polars as pl

from polars_crowd.formats.answers import (
    TEXT,
    Answers,
    first_true,
    kind_of,
    of_cells,
    one,
    sent,
    translated,
)
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look
from polars_crowd.formats.reader import reads
from polars_crowd.formats.records import unescaped
from polars_crowd.formats.times import dated

FEEDBACK = {
    "run_id": TEXT,
    "key": TEXT,
    "score": TEXT,
    "value": TEXT,
    "correction": TEXT,
    "created_at": TEXT,
    "feedback_source": pl.Struct(
        {
            "type": TEXT,
            "user_id": TEXT,
            "user_name": TEXT,
            "metadata": pl.Struct({"evaluator": TEXT}),
        }
    ),
}
GROUP = "feedback_group_id"
"""What the scores of a comparison of runs share: these are read by `read_comparisons`."""
KINDS = {"app": "human", "model": "model"}
"""Feedback by `api` may be anybody's."""


@reads(
    "langsmith",
    "LangSmith",
    lambda look: look.has("run_id", "key", "feedback_source") and look.first.get(GROUP) is None,
)
def read_langsmith(look: Look, **options: Unpack[ExportOptions]) -> Answers:
    """Read the feedback of LangSmith, as JSON.

    Returns
    -------
    Export
        An example is a run, a question is a feedback key. The label is the `value`, or the `score` where it
        has none; the annotator is the user, else the evaluator, else the type of the source. Corrections are
        gold.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "feedback.jsonl")
    >>> by = {"type": "app", "user_name": "ann"}
    >>> said = {"run_id": "r", "key": "tone", "value": "warm", "feedback_source": by}
    >>> _ = path.write_text(json.dumps(said))
    >>> read_langsmith(path).log.select("example", "annotator", "label").collect().rows()
    [('r', 'ann', 'warm')]
    """
    records = look.records(FEEDBACK)
    value = pl.coalesce("value", "score")
    rows = records.scan().select(
        "correction",
        *dated(pl.col("created_at")),
        *giver(),
        example="run_id",
        question="key",
        kind=kind_of(value),
        values=one(value),
        status=sent(value),
    )
    corrected = of_cells(pl.struct("question", "correction"), _said, TEXT)
    return Answers(
        rows=rows.drop("correction"),
        gold=rows.filter(pl.col("correction").is_not_null())
        .with_columns(corrected=corrected)
        .select("example", "question", values=one(pl.col("corrected"))),
        records=(records,),
    )


def giver() -> list[pl.Expr]:
    """Who gave feedback, and what that is."""
    source = pl.col("feedback_source").struct
    user = pl.coalesce(source.field("user_name"), source.field("user_id"))
    evaluator = source.field("metadata").struct.field("evaluator")
    kind = translated(source.field("type"), KINDS)
    return [
        pl.coalesce(user, evaluator, source.field("type")).alias("annotator"),
        first_true(kind, human=user.is_not_null()).alias("annotator_kind"),
    ]


def _said(row: dict[str, str | None]) -> str | None:
    """What a correction says: a text, or the entry of an object that is called like the question."""
    correction = row["correction"]
    if correction is None or not correction.startswith("{"):
        return correction
    said = unescaped(correction).get(row["question"])
    return said if said is None or isinstance(said, str) else json.dumps(said)
