"""MLflow: the assessments of traces, as `mlflow.search_traces` gives them."""

from __future__ import annotations

from typing import Unpack

import polars as pl

from polars_crowd.formats.answers import TEXT, Answers, first_true, kind_of, one, sent, translated
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look
from polars_crowd.formats.reader import reads
from polars_crowd.formats.times import TIME_READ, dated

ASSESSMENT = {
    "assessment_name": TEXT,
    "trace_id": TEXT,
    "span_id": TEXT,
    "source": pl.Struct({"source_type": TEXT, "source_id": TEXT}),
    "create_time": TEXT,
    "feedback": pl.Struct({"value": TEXT, "error": TEXT}),
    "expectation": pl.Struct({"value": TEXT, "serialized_value": pl.Struct({"value": TEXT})}),
    "valid": pl.Boolean(),
}
KINDS = {"HUMAN": "human", "LLM_JUDGE": "model", "AI_JUDGE": "model", "CODE": "code"}


@reads("mlflow", "MLflow", lambda look: look.has("assessments") or look.has("assessment_name"))
def read_mlflow(look: Look, **options: Unpack[ExportOptions]) -> Answers:
    """Read the assessments of MLflow: JSON of traces with `assessments`, or of assessments.

    Returns
    -------
    Export
        An example is a trace, or `trace|span`; a question is an assessment's name. Expectations are gold.
        Assessments that another overrides are `superseded`; those that failed are `error`.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "traces.json")
    >>> said = {"assessment_name": "correct", "source": {"source_type": "HUMAN", "source_id": "ann"}}
    >>> _ = path.write_text(json.dumps([
    ...     {"trace_id": "t1", "assessments": [{**said, "trace_id": "t1", "feedback": {"value": True}}]}
    ... ]))
    >>> read_mlflow(path).log.select("example", "annotator", "label", "annotator_kind").collect().rows()
    [('t1', 'ann', 'true', 'human')]
    """
    if look.has("assessment_name"):
        records = look.records(ASSESSMENT)
        rows = records.scan()
    else:
        records = look.records({"trace_id": TEXT, "assessments": pl.List(pl.Struct(ASSESSMENT))})
        rows = records.scan().rename({"trace_id": "trace"})
        rows = rows.explode("assessments", empty_as_null=False).drop_nulls("assessments")
        rows = rows.unnest("assessments").with_columns(trace_id=pl.coalesce("trace_id", "trace"))
    rows = rows.with_columns(
        *dated(pl.col("create_time")),
        example=pl.concat_str("trace_id", "span_id", separator="|", ignore_nulls=True),
        annotator=pl.col("source").struct.field("source_id"),
        annotator_kind=translated(pl.col("source").struct.field("source_type"), KINDS),
        question=pl.col("assessment_name"),
    )
    value, error = (pl.col("feedback").struct.field(name) for name in ("value", "error"))
    status = first_true(sent(value), error=error.is_not_null(), superseded=~pl.col("valid"))
    expected = pl.coalesce(
        pl.col("expectation").struct.field("value"),
        pl.col("expectation").struct.field("serialized_value").struct.field("value"),
    )
    columns = ("example", "annotator", "question", "timestamp", "annotator_kind", TIME_READ)
    given = rows.filter(pl.col("feedback").is_not_null())
    return Answers(
        rows=given.select(*columns, kind=kind_of(value), values=one(value), status=status),
        gold=rows.filter(expected.is_not_null()).select(
            "example", "question", values=one(expected)
        ),
        records=(records,),
    )
