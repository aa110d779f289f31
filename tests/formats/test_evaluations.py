"""Evaluations of language models: Inspect AI, promptfoo, DeepEval, lm-evaluation-harness."""

from __future__ import annotations

import polars as pl
import pytest

import polars_crowd as pc
from tests.formats.samples import SAMPLES, assert_reads, expected

INSPECT = SAMPLES / "inspect"
OUTPUTS = SAMPLES / "eval_outputs"


@pytest.mark.parametrize("question", ["model_graded_qa", "rubric.clarity", "rubric.tone"])
@pytest.mark.parametrize("file", ["log.json", "log.eval"])
def test_inspect(file: str, question: str) -> None:
    export = pc.formats.read(INSPECT / file, question=question)
    assert_reads(export, expected("inspect/expected.csv", question))


@pytest.mark.parametrize(
    ("file", "questions"),
    [
        ("promptfoo", ("polite", "contains", "human")),
        ("deepeval", ("Correctness [GEval]", "Answer Relevancy")),
    ],
)
def test_outputs(file: str, questions: tuple[str, ...]) -> None:
    for question in questions:
        export = pc.formats.read(OUTPUTS / f"{file}.json", question=question)
        rows = expected(f"eval_outputs/expected_{file}.csv", question)
        left_out = {"error": export.left_out.get("error", 0)}
        failed = rows.filter(pl.col("status") == "error").height
        assert left_out["error"] == failed + (file == "promptfoo")
        assert_reads(export, rows.filter(pl.col("status") != "error"))


def test_samples_of_multiple_choice() -> None:
    export = pc.formats.read(OUTPUTS / "lm_eval", question="toy_mc")
    rows = expected("eval_outputs/expected_lm_eval.csv", "toy_mc")
    assert_reads(export, rows)
    truth = rows.select("example", pl.col("gold_label").alias("label")).unique().sort("example")
    assert export.gold is not None
    assert export.gold.sort("example").equals(truth)


@pytest.mark.parametrize("which", ["strict-match", "flexible-extract"])
def test_samples_of_generation(which: str) -> None:
    rows = expected("eval_outputs/expected_lm_eval_gen.csv", "toy_gen")
    export = pc.formats.read(OUTPUTS / "lm_eval", question="toy_gen", filter=which)
    assert_reads(export, rows.filter(pl.col("filter") == which))


def test_a_filter_is_asked_for() -> None:
    with pytest.raises(pc.AnnotationError, match="a line for each of the filters"):
        pc.formats.read(OUTPUTS / "lm_eval", question="toy_gen")
