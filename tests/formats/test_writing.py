"""Back again: predictions, suggestions and datasets."""

from __future__ import annotations

import json
from pathlib import Path

import cleanlab
import numpy as np
import polars as pl
import pytest

import polars_crowd as pc
from tests.formats.samples import SAMPLES

pytestmark = pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")


def of_sample(question: str = "sentiment") -> tuple[pc.formats.Export, pc.TruthInference]:
    export = pc.formats.read(
        SAMPLES / "label_studio" / "export.json", question=question, annotator="gone"
    )
    return export, pc.wawa(export)


def test_predictions_of_label_studio_are_read_again(tmp_path: Path) -> None:
    export, fit = of_sample()
    path = tmp_path / "predictions.json"
    assert pc.formats.write_label_studio_predictions(fit, export, path) == 5
    tasks = json.loads(path.read_text())
    said = {
        str(task["id"]): (
            task["predictions"][0]["result"][0]["value"]["choices"][0],
            task["predictions"][0]["score"],
        )
        for task in tasks
    }
    consensus = fit.examples.select(
        "example", "consensus_label", "consensus_quality_score"
    ).collect()
    assert said == {example: (label, score) for example, label, score in consensus.rows()}
    given = {str(task["id"]): task["data"] for task in json.loads(export.paths[0].read_text())}
    assert all(task["data"] == given[str(task["id"])] for task in tasks)


def test_predictions_need_the_tasks_of_the_fit(tmp_path: Path) -> None:
    export, _ = of_sample()
    other = pc.wawa(pl.DataFrame({"example": ["x"] * 2, "annotator": [1, 2], "label": ["a", "a"]}))
    with pytest.raises(pc.AnnotationError, match="none of 1 example of the fit is a task"):
        pc.formats.write_label_studio_predictions(other, export, tmp_path / "p.json")
    table = pc.formats.read(SAMPLES / "label_studio" / "export.csv", question="sentiment")
    with pytest.raises(pc.AnnotationError, match="is no JSON export"):
        pc.formats.write_label_studio_predictions(other, table, tmp_path / "p.json")
    assert not list(tmp_path.iterdir())


def test_suggestions_of_argilla(tmp_path: Path) -> None:
    path = tmp_path / "suggestions.json"
    fit = pc.wawa(pc.formats.read(SAMPLES / "argilla" / "flat.jsonl", question="sentiment"))
    n = pc.formats.write_argilla_suggestions(fit, path, question="sentiment")
    found = json.loads(path.read_text())
    assert len(found) == n == fit.examples.collect().height
    assert set(found[0]) == {"id", "sentiment", "sentiment.score", "sentiment.agent"}


def test_a_hugging_face_dataset_is_read_again(tmp_path: Path) -> None:
    export, fit = of_sample()
    path = tmp_path / "train.parquet"
    pc.formats.write_hugging_face(fit, path, export)
    again = pc.formats.read_hugging_face(
        path, example="id", worker="annotators", labels=["annotator_labels"]
    )
    assert (
        again.log.select("example", "annotator", "label")
        .collect()
        .sort(pl.all())
        .equals(fit.annotations.select("example", "annotator", "label").collect().sort(pl.all()))
    )
    frame = pl.read_parquet(path)
    assert frame["soft_label"].list.sum().to_list() == pytest.approx([1.0] * frame.height)
    assert frame["text"].null_count() == 0


def test_on_to_cleanlab() -> None:
    """The consensus goes into cleanlab in three lines, as the README says."""
    data = pc.datasets.tutorial()
    fit = pc.crowdlab(data.log, data.pred_probs)
    both = fit.examples.collect().join(data.pred_probs, on="example", maintain_order="left")
    probs = both.select(data.pred_probs.columns[1:]).to_numpy()
    issues = cleanlab.filter.find_label_issues(both["consensus_label"].to_numpy(), probs)
    assert issues.dtype == np.bool_
    assert issues.shape == (both.height,)
