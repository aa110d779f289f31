"""Langfuse: scores of traces, observations and sessions."""

from __future__ import annotations

from typing import Unpack

import polars as pl

from polars_crowd.formats.answers import TEXT, Answers, first_true, one, sent, translated
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look
from polars_crowd.formats.reader import reads
from polars_crowd.formats.times import dated

OF = ("observationId", "traceId", "sessionId", "datasetRunId")
"""What a score is about, the smallest first."""
SCORE = {
    **dict.fromkeys(OF, TEXT),
    "subject": pl.Struct({"id": TEXT}),
    "name": TEXT,
    "source": TEXT,
    "dataType": TEXT,
    "value": TEXT,
    "stringValue": TEXT,
    "timestamp": TEXT,
    "authorUserId": TEXT,
    "metadata": TEXT,
}
KINDS = {"ANNOTATION": "human", "EVAL": "model", "API": "code"}
ASKS = {"NUMERIC": "number", "BOOLEAN": "class", "CATEGORICAL": "class", "TEXT": "text"}
CORRECTION = "CORRECTION"
EVALUATOR = r'"evaluator": "([^"]*)"'
"""Of metadata, which may be anything."""


@reads(
    "langfuse",
    "Langfuse",
    lambda look: (
        look.has("name", "dataType", "source") and not look.keys.isdisjoint({*OF, "subject"})
    ),
)
def read_langfuse(look: Look, **options: Unpack[ExportOptions]) -> Answers:
    """Read the scores of Langfuse, as JSON.

    Returns
    -------
    Export
        An example is an observation, else a trace (or session); a question is the name of a score. The
        annotator is the author, else `metadata.evaluator`, else the source. Corrections are gold.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "scores.jsonl")
    >>> _ = path.write_text(json.dumps({
    ...     "traceId": "t1", "name": "tone", "source": "ANNOTATION", "dataType": "CATEGORICAL",
    ...     "value": 0, "stringValue": "warm", "authorUserId": "ann",
    ... }))
    >>> read_langfuse(path).log.select("example", "annotator", "label").collect().rows()
    [('t1', 'ann', 'warm')]
    """
    records = look.records(SCORE)
    is_number = pl.col("dataType") == "NUMERIC"
    value = pl.when(is_number).then("value").otherwise(pl.coalesce("stringValue", "value"))
    evaluator = pl.col("metadata").str.extract(EVALUATOR)
    rows = records.scan().select(
        *dated(pl.col("timestamp")),
        example=pl.coalesce(*OF, pl.col("subject").struct.field("id")),
        annotator=pl.coalesce("authorUserId", evaluator, "source"),
        annotator_kind=translated(pl.col("source"), KINDS),
        question="name",
        kind=translated(pl.col("dataType"), ASKS, "class"),
        values=one(value),
        status=first_true(sent(value), correction=pl.col("dataType") == CORRECTION),
    )
    corrected = pl.col("status") == "correction"
    return Answers(rows=rows.filter(~corrected), gold=rows.filter(corrected), records=(records,))
