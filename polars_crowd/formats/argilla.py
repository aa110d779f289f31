"""Argilla: records of 2.x, flat (lists, the Hub) and nested (`to_json`), and datasets of 1.x."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Unpack

from polars_crowd.errors import AnnotationError
from polars_crowd.formats.answers import PREDICTION, SUBMITTED, Answers, Row, answers_of
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look
from polars_crowd.formats.reader import reads
from polars_crowd.formats.records import objects

RESPONSES, SUGGESTION = ".responses", ".suggestion"
OF_1 = "-suggestion"
NO_STATUS = "Nested records do not say which answers are drafts or discarded: all count. The flat form does."


def _is_like(look: Look) -> bool:
    if look.has("fields", "responses", "suggestions"):
        return True
    return any(
        f"{key}.users" in look.keys or f"{key}{OF_1}" in look.keys for key in look.keys
    ) and look.kind in ("table", "lines", "array", "object")


@reads("argilla", "Argilla", _is_like)
def read_argilla(
    look: Look,
    *,
    users: Mapping[str, str] | None = None,
    text: str = "text",
    **options: Unpack[ExportOptions],
) -> Answers:
    """Read the records of Argilla: JSON, JSON lines, or Parquet, of 2.x or 1.x.

    Parameters
    ----------
    users
        The names of users, by their ids: no export has them.
    text
        The field that annotators saw.

    Returns
    -------
    Export
        An example is the record's id; an annotator is the user's id, or name. Drafts and what was discarded
        are left out. Suggestions are predictions, by their agents.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "records.json")
    >>> said = [{"value": "good", "user_id": "u1"}]
    >>> _ = path.write_text(json.dumps([
    ...     {"id": "d1", "fields": {"text": "hi"}, "responses": {"tone": said}, "suggestions": {}}
    ... ]))
    >>> read_argilla(path, users={"u1": "ann"}).log.select("example", "annotator", "label").collect().rows()
    [('d1', 'ann', 'good')]
    """
    nested = look.has("responses", "suggestions")
    records = look.table().collect().iter_rows(named=True) if look.schema else objects(look.path)
    rows = [
        {**row, "text": _fields(record).get(text)}
        for number, record in enumerate(records)
        for row in (_nested(record) if nested else _flat(record, number))
    ]
    for row in rows:
        row["annotator"] = (users or {}).get(row["annotator"], row["annotator"])
    return Answers(rows=answers_of(rows), notes=(NO_STATUS,) if nested else ())


def _fields(record: Row) -> Row:
    fields = record.get("fields", record)
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _nested(record: Row) -> Iterator[Row]:
    """The answers and suggestions of a nested record."""
    for question, responses in (record["responses"] or {}).items():
        for response in responses or []:
            yield _answer(record["id"], question, response["user_id"], response["value"], None)
    for question, suggestion in (record["suggestions"] or {}).items():
        if suggestion is None:
            continue
        agent = suggestion.get("agent")
        yield _suggested(
            record["id"], question, suggestion["value"], agent, suggestion.get("score")
        )


def _flat(record: Row, number: int) -> Iterator[Row]:
    """The answers and suggestions of a flat record, or of one of 1.x."""
    example = record.get("id") or record.get("external_id") or number
    for column, value in record.items():
        if value is None:
            continue
        if column.endswith(RESPONSES):
            users, status = (record.get(f"{column}.{name}") for name in ("users", "status"))
            yield from _parallel(example, column.removesuffix(RESPONSES), value, users, status)
        elif column.endswith(SUGGESTION):
            agent, score = (record.get(f"{column}.{name}") for name in ("agent", "score"))
            yield _suggested(example, column.removesuffix(SUGGESTION), value, agent, score)
        elif column.endswith(OF_1):
            about = record.get(f"{column}-metadata") or {}
            question = column.removesuffix(OF_1)
            yield _suggested(example, question, value, about.get("agent"), about.get("score"))
        elif isinstance(value, list) and f"{column}{OF_1}" in record:
            for said in value:
                yield _answer(example, column, said["user_id"], said["value"], said["status"])


def _parallel(
    example: Any,
    question: str,
    values: list[Any],
    users: list[str] | None,
    status: list[str] | None,
) -> Iterator[Row]:
    """Answers in three lists of one length."""
    users, status = users or [], status or []
    if not len(values) == len(users) == len(status):
        raise AnnotationError(
            f"record {example!r} has {len(values)} responses to {question!r} by {len(users)} users with "
            f"{len(status)} statuses.",
            "The tool never writes that: export the dataset anew.",
        )
    for value, user, said in zip(values, users, status, strict=True):
        yield _answer(example, question, user, value, said)


def _answer(example: Any, question: str, user: str | None, value: Any, status: str | None) -> Row:
    kind, values = _values(value)
    if status in (None, SUBMITTED):
        status = SUBMITTED if values is not None else "empty"
    return {
        **_row(example, user, question, kind, values),
        "status": "no_classification" if kind is None and value is not None else status,
    }


def _suggested(example: Any, question: str, value: Any, agent: str | None, score: Any) -> Row:
    kind, values = _values(value)
    return {
        **_row(example, agent or "suggestion", question, kind, values),
        "status": PREDICTION,
    } | ({} if score is None else {"score": score})


def _row(example: Any, annotator: str | None, question: str, kind: str | None, values: Any) -> Row:
    return {
        "example": str(example),
        "annotator": annotator,
        "question": question,
        "kind": kind,
        "values": values,
    }


def _values(value: Any) -> tuple[str | None, list[str] | None]:
    """The kind of question that a value answers, and the value as a list of texts."""
    if value is None:
        return None, None
    if isinstance(value, str):
        return "class", [value]
    if isinstance(value, (int, float)):
        return "number", [json.dumps(value)]
    if all(isinstance(member, str) for member in value):
        return "set", list(value)
    if all(isinstance(member, dict) and "rank" in member for member in value):
        return "text", [json.dumps(value)]
    return None, None
