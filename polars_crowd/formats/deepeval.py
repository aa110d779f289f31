"""DeepEval: test runs, whose metrics are graded by models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Unpack

import polars as pl

from polars_crowd.formats.answers import SUBMITTED, Answers, Row, answers_of
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look
from polars_crowd.formats.reader import reads


@reads("deepeval", "DeepEval", lambda look: look.has("testCases"))
def read_deepeval(look: Look, **options: Unpack[ExportOptions]) -> Answers:
    """Read a test run of DeepEval, JSON.

    Returns
    -------
    Export
        An example is a test case, a question is a metric, an annotator is the evaluation model. Labels are
        `true` and `false`, whether the test was passed; column `score` has the scores.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "run.json")
    >>> metric = {"name": "Correctness", "success": True, "score": 0.9, "evaluationModel": "judge"}
    >>> _ = path.write_text(json.dumps({"testCases": [{"name": "case_0", "metricsData": [metric]}]}))
    >>> read_deepeval(path).log.select("example", "annotator", "label", "score").collect().rows()
    [('case_0', 'judge', 'true', 0.9)]
    """
    run = look.first
    cases = [*(run.get("testCases") or []), *(run.get("conversationalTestCases") or [])]
    rows = answers_of((row for case in cases for row in _rows(case)), {"score": pl.Float64()})
    return Answers(rows=rows)


def _rows(case: Row) -> Iterator[Row]:
    """What each metric says of a test case."""
    for metric in case.get("metricsData") or []:
        scored = metric.get("score") is not None
        yield {
            "example": str(case.get("name") or case.get("order")),
            "annotator": metric.get("evaluationModel") or metric["name"],
            "question": metric["name"],
            "kind": "class",
            "values": [json.dumps(bool(metric["success"]))] if scored else None,
            "status": SUBMITTED if scored else "error" if metric.get("error") else "empty",
            "score": metric.get("score"),
            "annotator_kind": "model" if metric.get("evaluationModel") else "code",
        }
