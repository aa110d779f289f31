"""Feedback on traces of language models: MLflow, LangSmith, Langfuse, Arize Phoenix, Opik."""

from __future__ import annotations

import pytest

import polars_crowd as pc
from tests.formats.samples import SAMPLES, assert_reads, expected

HERE = SAMPLES / "llm_feedback"
FILES = {
    "mlflow": ("mlflow_traces", ("correct", "tone", "length")),
    "langsmith": ("langsmith_feedback", ("helpful", "tone")),
    "langfuse": ("langfuse_scores", ("correct", "tone", "score", "note")),
    "phoenix": ("phoenix_annotations", ("correct", "relevance")),
    "opik": ("opik_traces", ("correct", "relevance")),
}
CASES = [(tool, file, q) for tool, (file, questions) in FILES.items() for q in questions]


@pytest.mark.parametrize(("tool", "file", "question"), CASES)
def test_samples(tool: str, file: str, question: str) -> None:
    export = pc.formats.read(HERE / f"{file}.jsonl", question=question)
    assert_reads(export, expected(f"llm_feedback/expected_{tool}.csv", question))


def test_expectations_and_corrections_are_gold() -> None:
    gold = pc.formats.read(HERE / "mlflow_traces.jsonl", question="correct").gold
    assert gold is not None
    assert gold.rows() == [("tr-0001", "true")]
    gold = pc.formats.read(HERE / "langsmith_feedback.jsonl", question="tone").gold
    assert gold is not None
    assert gold.rows() == [("run-2", "cold")]
