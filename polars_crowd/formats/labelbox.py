"""Labelbox: the export of a project, a data row a line; and the array of the exports before 2024."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Unpack

import polars as pl

from polars_crowd.errors import Advice, AnnotationError, OptionError, shown
from polars_crowd.formats.answers import SUBMITTED, Answers, Row, answers_of
from polars_crowd.formats.export import NAME_THEM, ExportOptions, say
from polars_crowd.formats.look import Look
from polars_crowd.formats.reader import reads
from polars_crowd.formats.records import objects
from polars_crowd.formats.times import timed

OLD = "DataRow ID"
INSIDE = " > "
"""Between a question and one that stands inside of its answers."""


@reads(
    "labelbox",
    "Labelbox",
    lambda look: look.has("data_row", "projects") or look.has(OLD, "Labeled Data"),
)
def read_labelbox(
    look: Look,
    *,
    project: str | None = None,
    benchmark_by: str | None = None,
    **options: Unpack[ExportOptions],
) -> Answers:
    """Read an export of Labelbox: NDJSON, or the JSON array of the exports before 2024.

    Parameters
    ----------
    project
        The id or the name of the project, if data rows are in several.
    benchmark_by
        Who made the benchmark labels, where the export does not mark them: they are gold.

    Returns
    -------
    Export
        An example is a data row, by its global key, else its external id, else its id. A question is a
        classification, those inside an answer `outer > inner`; checklists are sets. Objects are no
        classifications. The export needs its label details: they say who labelled.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "export.ndjson")
    >>> said = {"classifications": [{"value": "tone", "radio_answer": {"value": "warm"}}]}
    >>> label = {"label_details": {"created_by": "ann"}, "annotations": said}
    >>> _ = path.write_text(json.dumps({
    ...     "data_row": {"id": "r1"}, "projects": {"p": {"name": "Tone", "labels": [label]}},
    ... }))
    >>> read_labelbox(path).log.select("example", "annotator", "label").collect().rows()
    [('r1', 'ann', 'warm')]
    """
    records = list(objects(look.path))
    found = list(map(_old, records) if look.has(OLD) else _labels(records, project))
    asked_of = {
        question: kind
        for label in found
        for question, kind, _ in _answers(label["said"], "")
        if INSIDE not in question and kind is not None
    }
    rows = [
        row
        | ({"gold": True} if benchmark_by is not None and row["annotator"] == benchmark_by else {})
        for label in found
        for row in _rows(label, asked_of)
    ]
    if rows and options.get("annotator") is None and all(row["annotator"] is None for row in rows):
        raise AnnotationError(
            f"{look} does not say who labelled: it was exported without label details.",
            Advice(
                "Export it with them", python="label_details=True, in the tool's export parameters"
            ),
            NAME_THEM,
        )
    answers = timed(answers_of(rows, {"time": pl.String()}))
    has_gold = any(row.get("gold") for row in rows)
    is_gold = (pl.col("gold"), pl.col("status") == SUBMITTED)
    return Answers(rows=answers, gold=answers.filter(is_gold) if has_gold else None)


def _labels(records: list[Row], project: str | None) -> Iterator[Row]:
    """The labels of a project, each with its data row."""
    there = {
        key: about.get("name") or key
        for record in records
        for key, about in (record.get("projects") or {}).items()
    }
    known = [key for key, name in there.items() if project in (None, key, name)]
    if project is not None and not known:
        raise OptionError("project", project, f"the export has {shown(list(there.items()))}.")
    if len(known) > 1:
        raise AnnotationError(
            f"Data rows are in the projects {shown(list(there))}.", say("project")
        )
    for record in records:
        row = record["data_row"]
        example = row.get("global_key") or row.get("external_id") or row["id"]
        for key in known:
            for label in ((record.get("projects") or {}).get(key) or {}).get("labels") or []:
                yield _new(label, str(example))


def _new(label: Row, example: str) -> Row:
    details, done = label.get("label_details") or {}, label.get("performance_details") or {}
    return {
        "example": example,
        "annotator": details.get("created_by"),
        "time": details.get("created_at"),
        "seconds": done.get("seconds_to_create"),
        "skipped": done.get("skipped", False),
        "said": (label.get("annotations") or {}).get("classifications") or [],
    }


def _old(label: Row) -> Row:
    said = label.get("Label")
    inside = said if isinstance(said, dict) else {}
    example = label.get("Global Key") or label.get("External ID") or label[OLD]
    return {
        "example": str(example),
        "annotator": label.get("Created By"),
        "time": label.get("Created At"),
        "seconds": label.get("Seconds to Create", label.get("Seconds to Label")),
        "skipped": bool(label.get("Skipped")) or said == "Skip",
        "said": inside.get("classifications") or [],
        "gold": bool(label.get("Is Benchmark")),
    }


def _rows(label: Row, asked_of: Mapping[str, str]) -> Iterator[Row]:
    """A row for each question that is asked, or that a label answers; one that was skipped answers none."""
    about = {
        name: label[name] for name in ("example", "annotator", "time") if label[name] is not None
    }
    about |= {"seconds": label["seconds"]} if label["seconds"] is not None else {}
    about |= {"gold": label["gold"]} if "gold" in label else {}
    about.setdefault("annotator", None)
    if label["skipped"]:
        yield {**about, "question": None, "kind": None, "values": None, "status": "skipped"}
        return
    answers = list(_answers(label["said"], ""))
    if not answers and not asked_of:
        yield {**about, "question": None, "kind": None, "values": None, "status": "empty"}
    answered = {question for question, _, _ in answers}
    for missing in (question for question in asked_of if question not in answered):
        kind = asked_of[missing]
        yield {**about, "question": missing, "kind": kind, "values": None, "status": "empty"}
    for question, asks, values in answers:
        status = SUBMITTED if asks is not None else "no_classification"
        yield {**about, "question": question, "kind": asks, "values": values, "status": status}


def _answers(said: Iterable[Row], outer: str) -> Iterator[tuple[str, str | None, list[str] | None]]:
    """The questions of classifications, those that stand inside of answers too."""
    for one in said:
        question = outer + str(one.get("value") or one.get("name") or one.get("title"))
        radio, listed = _radio(one), _checklist(one)
        if radio is not None:
            yield question, "class", [_name(radio)]
            yield from _answers(radio.get("classifications") or [], f"{question}{INSIDE}")
        elif listed is not None:
            yield question, "set", [_name(answer) for answer in listed]
            for answer in listed:
                yield from _answers(
                    answer.get("classifications") or [],
                    f"{question}{INSIDE}{_name(answer)}{INSIDE}",
                )
        elif (text := _text(one)) is not None:
            yield question, "text", [text]
        else:
            yield question, None, None


def _radio(one: Row) -> Row | None:
    found = one.get("radio_answer", one.get("answer"))
    return found if isinstance(found, dict) and "content" not in found else None


def _checklist(one: Row) -> list[Row] | None:
    found: list[Row] | None = one.get("checklist_answers", one.get("answers"))
    return found


def _text(one: Row) -> str | None:
    found = one.get("text_answer", one.get("answer"))
    return found.get("content") if isinstance(found, dict) else found


def _name(answer: Row) -> str:
    return str(answer.get("value") or answer.get("name") or answer.get("title"))
