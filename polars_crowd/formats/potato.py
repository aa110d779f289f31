"""Potato: the directories of its annotators, of 2.x and of 1.x."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Unpack

import polars as pl

from polars_crowd.formats.answers import SUBMITTED, Answers, Row, answers_of
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look, object_in
from polars_crowd.formats.reader import reads
from polars_crowd.formats.records import objects
from polars_crowd.formats.times import utc_of_seconds

OF_2, OF_1 = "user_state.json", "annotated_instances.jsonl"
SURVEY = ".html"
MARK, SPANS = ":::", "span_annotation"
SPENT = re.compile(r"(\d+)d (\d+)h (\d+)m (\d+)s")
UNITS = (86400, 3600, 60, 1)
STALE = (
    "Some answers name several options where one may be chosen, and do not say which was last: the last that "
    "is listed was taken."
)


def _is_like(look: Look) -> bool:
    if look.kind == "table":
        marks = (("user", MARK), ("user_id", "."))
        return any(
            look.has("instance_id", user) and any(mark in key for key in look.keys)
            for user, mark in marks
        )
    if look.has("instance_id", "user_id", "labels"):
        return True
    return look.kind == "directory" and any(
        name.rpartition("/")[2] in (OF_2, OF_1) and "/" in name for name in look.names
    )


@reads("potato", "Potato", _is_like)
def read_potato(
    look: Look, *, single: Collection[str] | None = None, **options: Unpack[ExportOptions]
) -> Answers:
    """Read the output of Potato, 2.x or 1.x: its directory, or a table (or JSON lines) of all users.

    Parameters
    ----------
    single
        The schemas of which one option may be chosen, where files list all that were clicked: the last
        counts. By default those of which somebody chose an option anew without taking the first back.

    Returns
    -------
    Export
        A question is a schema; an annotator is a user, or the name of the directory. Pages of surveys are
        left out and counted.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "ada", "user_state.json")
    >>> path.parent.mkdir()
    >>> said = {"i1": [[{"schema": "tone", "name": "warm"}, "true"]]}
    >>> _ = path.write_text(json.dumps({"user_id": "ada", "instance_id_to_label_to_value": said}))
    >>> read_potato(path.parent.parent).log.select("example", "annotator", "label").collect().rows()
    [('i1', 'ada', 'warm')]
    """
    of_2 = [look.path / name for name in look.names if name.endswith(f"/{OF_2}")]
    of_1 = [look.path / name for name in look.names if name.endswith(f"/{OF_1}")]
    said = [one for file in of_2 for one in _said(object_in(file))]
    one_of = set(single) if single is not None else {one.schema for one in said if one.again}
    rows = [_row(one, one.schema in one_of) for one in said]
    older, surveys = _older(_pages(look, of_1))
    answers = answers_of([*rows, *older], {"timestamp": pl.Float64()})
    if "timestamp" in answers.collect_schema():
        answers = answers.with_columns(timestamp=utc_of_seconds(pl.col("timestamp")))
    unsure = any(one.schema in one_of and len(one.names) > 1 and one.last is None for one in said)
    return Answers(rows=answers, notes=(STALE,) if unsure else (), left_out={"survey": surveys})


class Said:
    """What a user said to a schema about an instance."""

    def __init__(
        self, user: str, instance: str, schema: str, options: list[Any], about: Row
    ) -> None:
        self.user, self.instance, self.schema = user, instance, schema
        self.names = [name for name, value in options if _names_itself(name, value)]
        self.texts = [str(value) for name, value in options if not _names_itself(name, value)]
        changes = [
            c for c in about.get("annotation_changes") or [] if c.get("schema_name") == schema
        ]
        self.changes = changes
        selected = [c["label_name"] for c in changes if c.get("action") == "select"]
        self.last = next((name for name in reversed(selected) if name in self.names), None)
        self.again = len(set(selected)) < len(selected) and not any(
            c.get("action") == "deselect" for c in changes
        )
        self.time = changes[-1]["timestamp"] if changes else about.get("session_end")
        spent = about.get("total_time_ms")
        self.seconds = spent / 1000 if spent else None


def _names_itself(name: str, value: Any) -> bool:
    """Whether the name of an option is the label, rather than the name of a field that was filled in."""
    return (
        str(value).lower() in ("true", name.lower())
        or re.fullmatch(r"-?\d+", str(value)) is not None
    )


def _said(state: Row) -> Iterator[Said]:
    """All that a user of 2.x said."""
    spent = state.get("instance_id_to_behavioral_data") or {}
    for instance, listed in state["instance_id_to_label_to_value"].items():
        by_schema: dict[str, list[Any]] = defaultdict(list)
        for label, value in listed:
            by_schema[label["schema"]].append((label["name"], value))
        for schema, options in by_schema.items():
            yield Said(state["user_id"], instance, schema, options, spent.get(instance) or {})


def _row(said: Said, is_single: bool) -> Row:
    """An answer; of a schema of one option the last that was chosen."""
    names = said.names
    if is_single and len(names) > 1:
        names = [said.last if said.last is not None else names[-1]]
    return {
        "example": said.instance,
        "annotator": said.user,
        "question": said.schema,
        "kind": "text" if not said.names else "class" if is_single else "choice",
        "values": names or said.texts,
        "status": SUBMITTED,
        "seconds": said.seconds,
        "timestamp": said.time,
    }


def _pages(look: Look, files: list[Path]) -> list[tuple[str | None, Row]]:
    """What users of 1.x said of an instance, or all users in one table: each with the user."""
    if look.kind == "directory":
        return [(file.parent.name, record) for file in files for record in objects(file)]
    if look.kind == "table":
        return [_of_row(row) for row in look.table().collect().iter_rows(named=True)]
    return [
        (record["user_id"], {"id": record["instance_id"], "label_annotations": record["labels"]})
        for record in objects(look.path)
    ]


def _of_row(row: Row) -> tuple[str | None, Row]:
    """A row whose columns are `SCHEMA:::LABEL`, of 1.x, or `SCHEMA.LABEL`."""
    said: dict[str, Row] = defaultdict(dict)
    for name, value in row.items():
        schema, mark, label = name.partition(MARK if MARK in name else ".")
        if mark and schema != SPANS:
            said[schema].update({label: value} if value is not None else {})
    about = {"id": row["instance_id"], "displayed_text": row.get("displayed_text")}
    return row.get("user", row.get("user_id")), {**about, "label_annotations": said}


def _older(found: list[tuple[str | None, Row]]) -> tuple[list[Row], int]:
    """The answers of users, and how many pages of surveys there are."""
    pages = [(user, record) for user, record in found if not str(record["id"]).endswith(SURVEY)]
    schemas = dict.fromkeys(schema for _, record in pages for schema in record["label_annotations"])
    rows = [_older_row(user, record, schema) for user, record in pages for schema in schemas]
    return rows, len(found) - len(pages)


def _older_row(user: str | None, record: Row, schema: str) -> Row:
    options = record["label_annotations"].get(schema) or {}
    names = [name for name, value in options.items() if _names_itself(name, value)]
    values = names or [str(value) for value in options.values()]
    return {
        "example": str(record["id"]),
        "annotator": user,
        "question": schema,
        "kind": "choice" if names or not options else "text",
        "values": values or None,
        "status": SUBMITTED if values else "empty",
        "seconds": _spent(record),
        "text": record.get("displayed_text"),
    }


def _spent(record: Row) -> float | None:
    found = SPENT.search((record.get("behavioral_data") or {}).get("time_string", ""))
    return (
        None
        if found is None
        else float(sum(int(n) * unit for n, unit in zip(found.groups(), UNITS, strict=True)))
    )
