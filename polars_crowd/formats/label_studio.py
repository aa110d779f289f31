"""Label Studio: JSON, JSON-MIN, CSV and TSV exports, and the files of a target storage.

A task has annotations, an annotation has results, a result is the answer to one control, our question. The
shorter forms have a row per annotation and a column per control beside those of the task's data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import polars as pl

from polars_crowd.errors import OptionError, shown
from polars_crowd.formats.again import KEY
from polars_crowd.formats.answers import (
    NOTHING,
    SUBMITTED,
    TEXT,
    Answers,
    Row,
    answers_of,
    blank_as_null,
    first_true,
    of_cells,
    translated,
)
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look, files_in, object_in
from polars_crowd.formats.reader import reads
from polars_crowd.formats.records import Records, as_lines, objects
from polars_crowd.formats.times import TIME_READ, dated

RESULT = pl.Struct(
    {"question": TEXT, "type": TEXT, "values": pl.List(TEXT), "is_region": pl.Boolean}
)
ANNOTATION = pl.Struct(
    {
        "annotator": TEXT,
        "created_at": TEXT,
        "seconds": pl.Float64,
        "gold": pl.Boolean,
        "is_skipped": pl.Boolean,
        "result": pl.List(RESULT),
    }
)
TASK = {
    "example": TEXT,
    "text": TEXT,
    "num_drafts": pl.Int64,
    "num_predictions": pl.Int64,
    "annotations": pl.List(ANNOTATION),
}
"""What is read of a task, see `_task`."""
KINDS = {
    "choices": "choice",
    "taxonomy": "choice",
    "rating": "number",
    "number": "number",
    "pairwise": "class",
    "datetime": "text",
    "textarea": "text",
    "ranker": "text",
}
"""The controls that are read, by what they ask for. The others mark regions."""
ONE_VALUE = ("rating", "number", "selected", "datetime", "ranker", "text")
"""Where controls write what is no list of choices."""
OF_ANNOTATION = ("annotation_id", "annotator", "lead_time", "created_at", "updated_at")
FEW = 2
"""Of these columns exports of early versions have not all: more than so many are theirs, beside `id`."""
NO_CONTROLS = "No column differs within a task, so that none was taken for a question: name one."
NO_QUESTION = (*OF_ANNOTATION, "id", "agreement", "history", "item_index")
REGION = "region"
"""The reason for results that are about a part of the example, such as a box or a span."""


def _is_like(look: Look) -> bool:
    has_annotations = look.has("annotations") or look.has("completions")
    has_tasks = look.kind == "array" and look.has("data") and has_annotations
    has_rows = look.has("id", "annotator") and len(look.keys & set(OF_ANNOTATION)) > FEW
    return has_tasks or has_rows or _is_stored(look)


def _may_be(look: Look) -> bool:
    """Whether it is like an export, or has the columns that all rows have."""
    return _is_like(look) or look.has("id", "annotator")


@reads("label_studio", "Label Studio", _is_like, accepts=_may_be)
def read_label_studio(
    look: Look,
    *,
    example: str = "id",
    text: str = "text",
    empty_is_set: bool = False,
    **options: Unpack[ExportOptions],
) -> Answers:
    """Read an export of Label Studio: JSON, JSON-MIN, CSV, TSV, or a directory of a target storage.

    Parameters
    ----------
    example
        What an example is: the task (`id`), or a field of its data: `data.NAME`.
    text
        The field of the data that annotators saw.
    empty_is_set
        Whether an annotation that was sent without an answer to a question of several classes says that none
        applies. The tool does not tell; by default it is `empty` and left out.

    Returns
    -------
    Export
        An annotator is the id of the user, or the e-mail address where the export has it. Labels of a
        `Taxonomy` are paths, joined by ` > `. `ground_truth` is `gold`. The shorter forms do not say which
        of their columns are controls: those that differ within a task are, and `question` may name others.
        Drafts and predictions are counted, not read.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> read_label_studio(pc.datasets.label_studio_sample(), question="sentiment").log.head(2).collect()[
    ...     "example", "annotator", "label", "seconds"]
    shape: (2, 4)
    ┌─────────┬───────────┬──────────┬─────────┐
    │ example ┆ annotator ┆ label    ┆ seconds │
    │ ---     ┆ ---       ┆ ---      ┆ ---     │
    │ str     ┆ str       ┆ str      ┆ f64     │
    ╞═════════╪═══════════╪══════════╪═════════╡
    │ 101     ┆ 3         ┆ Positive ┆ 12.5    │
    │ 101     ┆ 5         ┆ Positive ┆ 8.031   │
    └─────────┴───────────┴──────────┴─────────┘
    """
    names = Names(example, text, empty_is_set)
    if look.kind in ("directory", "object"):
        answers = _of_tasks(_stored(look, names), names)
    elif look.has("annotations") or look.has("completions"):
        answers = _of_tasks(Records(look.path, TASK, prepare=partial(_task, names=names)), names)
    else:
        answers = _of_rows(*_rows_and_controls(look, options.get("question")), names)
    return answers


@dataclass(frozen=True)
class Names:
    """What the fields of the data are called, and what an empty answer says."""

    example: str
    text: str
    empty_is_set: bool


# --- JSON: tasks, their annotations, the results of these ---------------------------------------------


def _of_tasks(records: Records, names: Names) -> Answers:
    """The answers in tasks."""
    tasks = records.read().lazy()
    annotations = _annotations(tasks).collect()
    results = _results(annotations.lazy()).collect()
    whole = results.filter("is_whole")
    questions = whole.select("question", "kind").unique(maintain_order=True)
    answers = whole.filter(~pl.col("is_skipped")).lazy().with_columns(status=_status(names))
    rows = pl.concat([answers, _unanswered(annotations.lazy(), questions, names)], how="diagonal")
    beside = tasks.select(draft=pl.col("num_drafts"), prediction=pl.col("num_predictions")).sum()
    return Answers(
        rows=rows.drop("is_whole", "is_skipped", "result", strict=False),
        gold=rows.filter(pl.col("gold"), pl.col("status") == SUBMITTED),
        left_out={REGION: results.height - whole.height, **beside.collect().row(0, named=True)},
    )


def _annotations(tasks: pl.LazyFrame) -> pl.LazyFrame:
    """A row an annotation, with its results."""
    return (
        tasks.select("example", "text", "annotations")
        .explode("annotations", empty_as_null=False)
        .drop_nulls("annotations")
        .unnest("annotations")
        .with_columns(dated(pl.col("created_at")))
        .drop("created_at")
    )


def _results(annotations: pl.LazyFrame) -> pl.LazyFrame:
    """A row an answer; `is_whole` if it is about the example as a whole, and the only one of its control."""
    several = pl.len().over("annotation", "question") > 1
    return (
        annotations.with_row_index("annotation")
        .explode("result", empty_as_null=False)
        .drop_nulls("result")
        .unnest("result")
        .with_columns(
            kind=translated(pl.col("type"), KINDS),
            is_whole=~pl.col("is_region") & ~several & pl.col("type").is_in(list(KINDS)),
        )
        .drop("annotation", "type", "is_region")
    )


def _task(task: Row, names: Names) -> Row:
    """What is read of a task."""
    data = task.get("data") or {}
    example = data.get(names.example.removeprefix("data."))
    said = task.get("annotations") or task.get("completions") or []
    return {
        "example": _cell(task.get(names.example) if "." not in names.example else example),
        "text": _cell(data.get(names.text)),
        "num_drafts": len(task.get("drafts") or []),
        "num_predictions": len(task.get("predictions") or []),
        "annotations": [_annotation(one) for one in said],
    }


def _annotation(annotation: Row) -> Row:
    return {
        "annotator": _user(annotation.get("completed_by")),
        "created_at": annotation.get("created_at"),
        "seconds": annotation.get("lead_time"),
        "gold": bool(annotation.get("ground_truth")),
        "is_skipped": bool(annotation.get("was_cancelled") or annotation.get("skipped")),
        "result": [_result(one) for one in annotation.get("result") or []],
    }


def _user(by: Any) -> str | None:
    """The user of an annotation: an id, or an object that has an e-mail address, too."""
    return _cell(by.get("email") or by.get("id") if isinstance(by, dict) else by)


def _result(result: Row) -> Row:
    value = result.get("value") or {}
    return {
        "question": result.get("from_name"),
        "type": result.get("type"),
        "values": _values(value),
        "is_region": result.get("parentID") is not None or "start" in value or "x" in value,
    }


def _values(value: Row) -> list[str] | None:
    """The values of an answer, as its control writes them."""
    if "choices" in value:
        return [str(choice) for choice in value["choices"] or []]
    if "taxonomy" in value:
        return [" > ".join(map(str, path)) for path in value["taxonomy"] or []]
    found = [value[name] for name in ONE_VALUE if value.get(name) is not None]
    if not found:
        return None
    texts = found[0] if isinstance(found[0], list) else [found[0]]
    return [str(_cell(text)) for text in texts]


def _status(names: Names) -> pl.Expr:
    """An answer without values is empty, unless it says that no class applies."""
    says = pl.col("values").list.len() > 0
    if names.empty_is_set:
        says |= pl.col("values").is_not_null()
    return first_true("empty", submitted=says)


def _unanswered(annotations: pl.LazyFrame, questions: pl.DataFrame, names: Names) -> pl.LazyFrame:
    """A row for each question that an annotation does not answer: it is empty, or was skipped as a whole."""
    every = (
        pl.lit(questions["question"].implode()) if questions.height else pl.lit([], pl.List(TEXT))
    )
    answered = pl.col("result").list.eval(pl.element().struct.field("question"))
    missing = every.list.set_difference(pl.when(~pl.col("is_skipped")).then(answered).otherwise([]))
    return (
        annotations.with_columns(question=missing)
        .explode("question", empty_as_null=False)
        .drop_nulls("question")
        .join(questions.lazy(), on="question", how="left", maintain_order="left")
        .with_columns(
            values=pl.when(
                names.empty_is_set & ~pl.col("is_skipped") & (pl.col("kind") == "choice")
            ).then(pl.lit([], pl.List(TEXT)))
        )
        .with_columns(
            status=first_true(skipped=pl.col("is_skipped"), empty=pl.col("values").is_null())
        )
    )


def _is_stored(look: Look) -> bool:
    """Whether a file, or those of a directory, are of a target storage."""
    seen = look.inner if look.kind == "directory" else look
    if seen is None or seen.kind != "object":
        return False
    return isinstance(seen.first.get("task"), dict) or seen.has("data", "annotations")


def _stored(look: Look, names: Names) -> Records:
    """The files of a target storage, one per annotation or per task, as tasks.

    Files of tasks are written anew with each annotation: of those of one id the newest counts.
    """
    newest: dict[Any, tuple[str, Row]] = {}
    for number, file in enumerate(files_in(look.path) if look.kind == "directory" else [look.path]):
        for task, annotation in _annotations_in(file):
            key = annotation.get("id", f"#{number}")
            updated = str(annotation.get("updated_at") or "")
            if key not in newest or newest[key][0] <= updated:
                newest[key] = updated, _task({**task, "annotations": [annotation]}, names)
    return Records(look.path, TASK, made=as_lines(task for _, task in newest.values()))


def _annotations_in(file: Path) -> Iterator[tuple[Row, Row]]:
    """Each annotation in a file, with its task."""
    found = object_in(file)
    if isinstance(found.get("task"), dict):
        task = found.pop("task")
        yield {"id": task.get("id"), "data": task.get("data")}, found
    for annotation in found.get("annotations", ()):
        yield {"id": found.get("id"), "data": found.get("data")}, annotation


# --- the shorter forms: a row an annotation, a column a control ------------------------------------------


def _rows_and_controls(look: Look, asked: str | None) -> tuple[pl.DataFrame, list[str]]:
    """The rows, with all cells as text, and which columns are controls."""
    if look.kind == "table":
        rows = look.table().collect()
        after_id: set[str] = set()
    else:
        rows, after_id = _of_json_min(look.path)
    columns = [name for name in rows.columns if name not in NO_QUESTION]
    differ = rows.group_by("id").agg(pl.col(columns).n_unique() > 1).select(pl.col(columns).any())
    marked = rows.select(pl.col(columns).str.contains(MARKED).any().fill_null(value=False))
    controls = [
        name
        for name in columns
        if name in after_id or name == asked or differ[name].item() or marked[name].item()
    ]
    return rows, controls


def _of_json_min(path: Path) -> tuple[pl.DataFrame, set[str]]:
    """The rows of JSON-MIN, and the keys between those of the task and those of the annotation."""
    rows, after_id = [], set[str]()
    for record in objects(path):
        keys = list(record)
        after_id |= set(keys[keys.index("id") + 1 : keys.index("annotator")])
        rows.append({key: _cell(value) for key, value in record.items()})
    columns = dict.fromkeys(key for row in rows for key in row)
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, TEXT)), after_id - set(NO_QUESTION)


def _cell(value: Any) -> str | None:
    """A value as the tool's tables have it: texts as they are, all else as JSON."""
    return (
        value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    )


def _of_rows(rows: pl.DataFrame, controls: list[str], names: Names) -> Answers:
    """The answers in rows, of which those that are about regions are left out."""
    key = "annotation_id" if "annotation_id" in rows.columns else "annotator"
    there = rows.filter(pl.col(key).is_not_null())
    said = [name for name in rows.columns if name not in {*controls, *NO_QUESTION}]
    if names.example.removeprefix("data.") not in rows.columns:
        raise OptionError("example", names.example, f"the file has {shown(rows.columns, 50)}.")
    if not controls:
        return Answers(rows=answers_of([]), notes=(NO_CONTROLS,) if there.height else ())
    missing = [name for name in OF_ANNOTATION if name not in rows.columns]
    if "created_at" in missing:  # the newest of a task comes first, and nothing else says which is
        there = there.reverse()
    answers = (
        there.lazy()
        .with_columns(NOTHING.alias(name) for name in missing)
        .select(
            *(pl.col(name).alias(f"{KEY}{name}") for name in controls),
            *dated(pl.col("created_at")),
            example=pl.col(names.example.removeprefix("data.")),
            text=pl.col(names.text) if names.text in said else NOTHING,
            annotator=blank_as_null(pl.col("annotator"), "None"),
            seconds=pl.col("lead_time").cast(pl.Float64),
        )
        .unpivot(
            [f"{KEY}{name}" for name in controls],
            index=["example", "text", "annotator", "timestamp", TIME_READ, "seconds"],
            variable_name="question",
            value_name="cell",
        )
        .with_columns(
            question=pl.col("question").str.strip_prefix(KEY),
            values=of_cells(pl.col("cell"), _of_cell, pl.List(TEXT)),
            kind=_kind_of_cell(),
            is_region=pl.col("cell").str.contains(SPANS) & ~pl.col("cell").str.contains(MARKED),
        )
    )
    kinds = answers.group_by("question").agg(
        pl.col("kind").cast(TEXT).drop_nulls().mode().sort().first().fill_null("choice")
    )
    answers = answers.drop("kind").join(kinds, on="question", maintain_order="left")
    regions = answers.filter("is_region").select(pl.len()).collect().item()
    return Answers(
        rows=answers.filter(~pl.col("is_region").fill_null(value=False))
        .with_columns(status=_status(names))
        .drop("cell", "is_region"),
        left_out={REGION: int(regions)},
        notes=(f"Columns taken for the task's data, not for questions: {shown(said, 20)}.",)
        if said
        else (),
    )


MARKED = r'^(\{"(choices|text)":|\[\{"(rating|number|selected|datetime|taxonomy|ranker)":)'
"""How the cells of controls begin that do not hold bare text."""
SPANS = r'^(\["|\[\{)'
"""How a cell begins that holds several regions or items, if it is not `MARKED`."""


def _of_cell(cell: str) -> list[str] | None:
    """The values in a cell."""
    return _values(_unwrapped(cell)) if re.match(MARKED, cell) else [cell]


def _unwrapped(cell: str) -> Row:
    """The value in a cell of JSON."""
    value: Any = json.loads(cell)
    found: Row = value[0] if isinstance(value, list) else value
    return found


def _kind_of_cell() -> pl.Expr:
    """What a cell says about its question's kind; nothing if it holds bare text."""
    begins = {"set": r"\{\"choices", "choice": r"\[\{\"taxonomy", "class": r"\[\{\"selected"}
    begins |= {"number": r"\[\{\"(rating|number)", "text": r"\[\{\"(datetime|ranker)|\{\"text"}
    kinds = {kind: pl.col("cell").str.contains(f"^({mark})") for kind, mark in begins.items()}
    return first_true(NOTHING, **kinds)
