"""promptfoo: the results of an evaluation, whose assertions are annotators."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Unpack

import polars as pl

from polars_crowd.formats.answers import SUBMITTED, Answers, Row, answers_of
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look
from polars_crowd.formats.reader import reads
from polars_crowd.formats.records import objects

JUDGES = (
    *("llm-rubric", "g-eval", "factuality", "model-graded-closedqa", "model-graded-factuality"),
    *(
        "answer-relevance",
        "context-faithfulness",
        "context-recall",
        "context-relevance",
        "select-best",
    ),
    *("pi", "search-rubric", "agent-rubric", "trajectory:goal-success"),
)
"""The assertions that a model grades."""
HUMAN = "human"


@reads(
    "promptfoo",
    "promptfoo",
    lambda look: (
        look.has("evalId", "results") or look.has("testIdx", "promptIdx", "provider", "promptId")
    ),
)
def read_promptfoo(look: Look, **options: Unpack[ExportOptions]) -> Answers:
    """Read the output of promptfoo, JSON or JSON lines.

    Returns
    -------
    Export
        An example is an answer, `test|prompt|provider`; a question is an assertion's metric, or its type. An
        annotator is the grader, else the type; the thumb of a person is `human`. Labels are `true` and
        `false`; column `score` has the scores. Results with an error have no answer to judge, and those
        that no assertion grades are `empty`.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "out.json")
    >>> graded = [{"pass": True, "score": 1, "assertion": {"type": "llm-rubric", "provider": "judge"}}]
    >>> result = {"testIdx": 0, "promptIdx": 0, "provider": {"id": "m"},
    ...           "gradingResult": {"componentResults": graded}}
    >>> _ = path.write_text(json.dumps({"evalId": "e", "results": {"results": [result]}}))
    >>> read_promptfoo(path).log.select("example", "annotator", "label").collect().rows()
    [('0|0|m', 'judge', 'true')]
    """
    found = list(_results(look))
    failed = sum(1 for result in found if not _graded(result) and result.get("error"))
    ungraded = sum(1 for result in found if not _graded(result)) - failed
    rows = answers_of((row for result in found for row in _rows(result)), {"score": pl.Float64()})
    return Answers(rows=rows, left_out={"error": failed, "empty": ungraded})


def _results(look: Look) -> Iterable[Row]:
    if look.has("evalId"):
        results: list[Row] = look.first["results"]["results"]
        return results
    return objects(look.path)


def _graded(result: Row) -> list[Row]:
    said = (result.get("gradingResult") or {}).get("componentResults") or []
    return [graded for graded in said if graded]


def _rows(result: Row) -> Iterator[Row]:
    """What each assertion says of a result."""
    provider = _grader(result.get("provider"))
    example = "|".join(map(str, (result["testIdx"], result["promptIdx"], provider)))
    for graded in _graded(result):
        assertion = graded.get("assertion") or {}
        type_ = assertion.get("type", "assertion")
        failed = (graded.get("metadata") or {}).get("graderError")
        yield {
            "example": example,
            "annotator": _grader(assertion.get("provider")) or type_,
            "question": assertion.get("metric") or type_,
            "kind": "class",
            "values": None if failed else [json.dumps(bool(graded["pass"]))],
            "status": "error" if failed else SUBMITTED,
            "score": None if failed else graded.get("score"),
            "annotator_kind": _kind(type_),
        }


def _grader(provider: Any) -> str | None:
    return provider.get("id") if isinstance(provider, dict) else provider


def _kind(type_: str) -> str:
    if type_ == HUMAN:
        return HUMAN
    return "model" if type_.removeprefix("not-") in JUDGES else "code"
