"""Back again: a consensus as predictions, suggestions and datasets that tools read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from polars_crowd.errors import Advice, AnnotationError, counted, shown
from polars_crowd.formats.export import Export
from polars_crowd.formats.look import Look
from polars_crowd.formats.records import objects
from polars_crowd.rounds.files import write_whole

PREDICTED_BY = "polars_crowd"
SOFT_LABEL = "soft_label"


class Fit(Protocol):
    """What a method of consensus returns."""

    @property
    def examples(self) -> pl.LazyFrame:
        """`example, consensus_label, consensus_quality_score`."""

    @property
    def annotations(self) -> pl.LazyFrame:
        """`example, annotator, label`."""

    @property
    def posterior(self) -> pl.LazyFrame:
        """`example, label, probability`."""


def write_label_studio_predictions(
    fit: Fit, export: Export, path: str | Path, *, model_version: str = PREDICTED_BY
) -> int:
    """Write a consensus as predictions that Label Studio imports: JSON, a task each.

    Parameters
    ----------
    fit
        The consensus on the export, of any method that has `.examples`.
    export
        What `pc.formats.read` gave for the tool's JSON export. An example must be a task's `id`.
    path
        The file to write. Each task has its `id`, its `data`, and one prediction with the consensus as an
        answer to the export's question and `consensus_quality_score` as its `score`.
    model_version
        What the tool calls these predictions.

    Returns
    -------
    int
        How many tasks were written: those that have a consensus.

    Raises
    ------
    AnnotationError
        The export is not of that form, or no example of the fit is a task of it.

    Examples
    --------
    >>> import json, pathlib, tempfile, warnings
    >>> import polars_crowd as pc
    >>> export = pc.formats.read(pc.datasets.label_studio_sample(), question="sentiment", annotator="gone")
    >>> with warnings.catch_warnings(action="ignore"):
    ...     fit = pc.wawa(export)
    >>> path = pathlib.Path(tempfile.mkdtemp(), "predictions.json")
    >>> pc.formats.write_label_studio_predictions(fit, export, path)
    5
    >>> json.loads(path.read_text())[0]["predictions"][0]["result"]
    [{'from_name': 'sentiment', 'to_name': 'review', 'type': 'choices', 'value': {'choices': ['Positive']}}]
    """
    look = Look.at(export.paths[0])
    if not (look.has("id", "data") and (look.has("annotations") or look.has("completions"))):
        raise AnnotationError(
            f"{look.path} is no JSON export of Label Studio: it is {look.seen()}.",
            Advice(
                "Predictions are imported with the data of their tasks, which only this form has"
            ),
        )
    consensus = _consensus(fit)
    tasks = [task for path in export.paths for task in objects(path)]
    target = _target(tasks, str(export.question))
    found = [
        {
            "id": task["id"],
            "data": task["data"],
            "predictions": [
                {
                    "model_version": model_version,
                    "score": consensus[str(task["id"])][1],
                    "result": [
                        _result(target, str(export.question), consensus[str(task["id"])][0])
                    ],
                }
            ],
        }
        for task in tasks
        if str(task["id"]) in consensus
    ]
    _check_any(found, consensus)
    _write(Path(path), json.dumps(found, ensure_ascii=False, indent=1))
    return len(found)


def _target(tasks: list[dict[str, Any]], question: str) -> Mapping[str, str]:
    """The object that a control is about, and its type, as the results of annotations say."""
    for task in tasks:
        for annotation in task.get("annotations") or task.get("completions") or []:
            for result in annotation.get("result") or []:
                if result.get("from_name") == question:
                    return {"to_name": result["to_name"], "type": result["type"]}
    raise AnnotationError(f"no annotation of the export answers {question!r}.")


def _result(target: Mapping[str, str], question: str, label: Any) -> dict[str, Any]:
    type_ = target["type"]
    labels = label if isinstance(label, list) else [label]
    value: dict[str, Any] = {
        "taxonomy": {"taxonomy": [str(path).split(" > ") for path in labels]},
        "rating": {"rating": label},
        "number": {"number": label},
        "pairwise": {"selected": label},
    }.get(type_, {"choices": labels})
    return {"from_name": question, **target, "value": value}


def write_argilla_suggestions(
    fit: Fit, path: str | Path, *, question: str, agent: str = PREDICTED_BY
) -> int:
    """Write a consensus as suggestions that Argilla logs to a dataset: JSON, a record each.

    Parameters
    ----------
    fit
        The consensus; its examples are called by the ids of the records.
    path
        The file to write: an array of `{"id", question, question.score, question.agent}`.
    question, agent
        The question's name, and whose suggestions they are.

    Returns
    -------
    int
        How many suggestions were written.

    Examples
    --------
    In the tool they are logged so::

        records = json.loads(path.read_text())
        mapping = {"tone": "tone.suggestion", "tone.score": "tone.suggestion.score",
                   "tone.agent": "tone.suggestion.agent"}
        dataset.records.log(records, mapping=mapping)
    """
    suggestions = [
        {"id": example, question: label, f"{question}.score": score, f"{question}.agent": agent}
        for example, (label, score) in _consensus(fit).items()
    ]
    _write(Path(path), json.dumps(suggestions, ensure_ascii=False, indent=1))
    return len(suggestions)


def write_hugging_face(fit: Fit, path: str | Path, export: Export | None = None) -> int:
    """Write a consensus as a Parquet file that `datasets` and the Hugging Face Hub read: a row an example.

    Parameters
    ----------
    fit
        The consensus.
    path
        The file to write: `id`, `text` (of an export that has it), `label` (the consensus), `label_quality`,
        `soft_label` (the posterior, in the order of the classes), `annotators` and `annotator_labels` (lists
        of equal length: who gave which label). `label` has the names of its classes as `ClassLabel` in the
        file's metadata where labels are text.
    export
        What the log was read from, for its texts.

    Returns
    -------
    int
        How many rows were written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> path = pathlib.Path(tempfile.mkdtemp(), "train.parquet")
    >>> pc.formats.write_hugging_face(pc.wawa(pc.datasets.tutorial().log), path)
    296
    >>> pl.read_parquet(path).select("id", "label", "annotator_labels").row(0)
    ('000', 0, ['0', '2'])
    """
    posterior = fit.posterior.collect()
    classes = posterior["label"].unique().sort().to_list()
    order = pl.col("label").replace_strict(
        classes, list(range(len(classes))), return_dtype=pl.Int64
    )
    soft = (
        posterior.lazy()
        .with_columns(order=order)
        .sort("order")
        .group_by("example")
        .agg(pl.col("probability").alias(SOFT_LABEL))
    )
    by = (
        fit.annotations.sort("annotator")
        .group_by("example")
        .agg(
            annotators=pl.col("annotator").cast(pl.String),
            annotator_labels=pl.col("label").cast(pl.String),
        )
    )
    texts = _texts(export)
    frame = (
        fit.examples.join(soft, on="example", how="left", maintain_order="left")
        .join(by, on="example", how="left", maintain_order="left")
        .pipe(lambda rows: rows if texts is None else rows.join(texts, on="example", how="left"))
        .select(
            pl.col("example").cast(pl.String).alias("id"),
            *(["text"] if texts is not None else []),
            pl.col("consensus_label")
            .replace_strict(classes, list(range(len(classes))), return_dtype=pl.Int64)
            .alias("label"),
            pl.col("consensus_quality_score").alias("label_quality"),
            SOFT_LABEL,
            "annotators",
            "annotator_labels",
        )
        .collect()
    )
    about = {"huggingface": json.dumps(_features(frame, classes))}
    write_whole(Path(path), lambda unfinished: frame.write_parquet(unfinished, metadata=about))
    return frame.height


def _features(frame: pl.DataFrame, classes: list[Any]) -> dict[str, Any]:
    """What `datasets` is told of the columns."""
    text, number = ({"dtype": dtype, "_type": "Value"} for dtype in ("string", "float64"))
    of = {
        "label": {"names": [str(one) for one in classes], "_type": "ClassLabel"},
        "label_quality": number,
        SOFT_LABEL: {"feature": number, "_type": "List"},
        "annotators": {"feature": text, "_type": "List"},
        "annotator_labels": {"feature": text, "_type": "List"},
    }
    return {"info": {"features": {name: of.get(name, text) for name in frame.columns}}}


def _texts(export: Export | None) -> pl.LazyFrame | None:
    if export is None or "text" not in export.log.collect_schema():
        return None
    return export.log.select("example", "text").unique("example", maintain_order=True)


def _consensus(fit: Fit) -> dict[str, tuple[Any, float]]:
    """The consensus of each example, and how sure it is."""
    rows = fit.examples.select("example", "consensus_label", "consensus_quality_score").collect()
    return {str(example): (label, score) for example, label, score in rows.iter_rows()}


def _check_any(found: list[Any], consensus: Mapping[str, Any]) -> None:
    if not found and consensus:
        raise AnnotationError(
            f"none of {counted(len(consensus), 'example')} of the fit is a task of the export: "
            f"{shown(list(consensus))}.",
            "Fit the log that this export gives.",
        )


def _write(path: Path, text: str) -> None:
    write_whole(path, lambda unfinished: unfinished.write_text(text + "\n", encoding="utf-8"))
