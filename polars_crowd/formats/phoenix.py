"""Arize Phoenix: annotations of spans, traces and sessions."""

from __future__ import annotations

from typing import Unpack

import polars as pl

from polars_crowd.formats.answers import (
    TEXT,
    Answers,
    blank_as_null,
    first_true,
    kind_of,
    one,
    sent,
    translated,
)
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look
from polars_crowd.formats.reader import reads
from polars_crowd.formats.times import dated

OF = ("span_id", "context.span_id", "trace_id", "context.trace_id", "session_id")
"""What an annotation is about, the smallest first; tables call it as the spans do."""
ANNOTATION = {
    **dict.fromkeys(OF, TEXT),
    "name": TEXT,
    "annotator_kind": TEXT,
    "identifier": TEXT,
    "user_id": TEXT,
    "created_at": TEXT,
    "result": pl.Struct({"label": TEXT, "score": TEXT}),
    "result.label": TEXT,
    "result.score": TEXT,
}
KINDS = {"HUMAN": "human", "LLM": "model", "CODE": "code"}
NOTE = "note"


@reads(
    "phoenix",
    "Arize Phoenix",
    lambda look: look.has("annotator_kind", "name") and not look.keys.isdisjoint(OF),
)
def read_phoenix(look: Look, **options: Unpack[ExportOptions]) -> Answers:
    """Read the annotations of Arize Phoenix, as JSON.

    Returns
    -------
    Export
        An example is a span (or trace, or session), a question is the name of an annotation. The label is the
        result's, or its score where it has none. The annotator is the user, else the identifier, else the
        kind. Notes are left out.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "annotations.jsonl")
    >>> _ = path.write_text(json.dumps({"span_id": "s", "name": "correct", "annotator_kind": "LLM",
    ...                                 "identifier": "judge", "result": {"label": "no", "score": 0.0}}))
    >>> read_phoenix(path).log.select("example", "annotator", "label", "annotator_kind").collect().rows()
    [('s', 'judge', 'no', 'model')]
    """
    records = look.records(ANNOTATION)
    result = pl.col("result").struct
    value = pl.coalesce(
        result.field("label"), "result.label", result.field("score"), "result.score"
    )
    identifier = blank_as_null(pl.col("identifier"))
    is_note = pl.col("name") == NOTE
    rows = records.scan().select(
        *dated(pl.col("created_at")),
        example=pl.coalesce(*OF),
        annotator=pl.coalesce("user_id", identifier, "annotator_kind"),
        annotator_kind=translated(pl.col("annotator_kind"), KINDS),
        question="name",
        kind=first_true(kind_of(value), text=is_note),
        values=one(value),
        status=first_true(sent(value), note=is_note),
    )
    return Answers(rows=rows, records=(records,))
