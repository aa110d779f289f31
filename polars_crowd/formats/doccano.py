"""doccano: a file per member of a project, whose name is the annotator, zipped or not; older exports."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Unpack

import polars as pl

from polars_crowd.errors import AnnotationError
from polars_crowd.formats.answers import SUBMITTED, Answers, Row, answers_of
from polars_crowd.formats.export import NAME_THEM, ExportOptions
from polars_crowd.formats.look import Look
from polars_crowd.formats.reader import reads
from polars_crowd.formats.records import open_text
from polars_crowd.formats.times import timed
from polars_crowd.formats.zips import Zip

EVERYBODY, UNKNOWN = "all", "unknown"
"""Files that are no member's."""
ENDINGS = (".jsonl", ".json", ".csv")
SEPARATOR = "#"
LABEL = "label"


def _is_like(look: Look) -> bool:
    if look.kind == "zip":
        of_one_directory = len({name.rpartition("/")[0] for name in look.names}) == 1
        return of_one_directory and all(name.endswith(ENDINGS) for name in look.names)
    seen = look.inner or look
    if look.kind == "directory" and not all(name.endswith(ENDINGS) for name in look.names):
        return False
    labels = seen.first.get(LABEL)
    return (
        seen.has("id", LABEL, "Comments")
        or seen.has("id", "text", "annotations", "annotation_approver")
        or seen.has("id", "text", "labels", "annotation_approver")
        or seen.has("doc_id", "text", "labels", "username")
        or (seen.has("id", "data", LABEL) and isinstance(labels, list))
    )


@reads("doccano", "doccano", _is_like)
def read_doccano(
    look: Look, *, confirmed: bool = False, **options: Unpack[ExportOptions]
) -> Answers:
    """Read an export of doccano for classification: a zip, its directory, or one of its files.

    Parameters
    ----------
    confirmed
        Whether only confirmed examples were exported. Then an example without labels says that none applies;
        otherwise a member's file holds every example, and those without labels are `empty`.

    Returns
    -------
    Export
        The annotator is the name of the file. Labels are sets if any example has several.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "ann.jsonl")
    >>> _ = path.write_text('{"id": 1, "text": "hi", "label": ["good"], "Comments": []}')
    >>> read_doccano(path).log.select("example", "annotator", "label").collect().rows()
    [('1', 'ann', 'good')]
    """
    rows = [
        row
        for name, data in _files(look)
        for number, record in enumerate(_records(name, data, look.path))
        for row in _rows(record, number, Path(name).stem, confirmed)
    ]
    if options.get("annotator") is None and rows and all(row["annotator"] is None for row in rows):
        raise AnnotationError(
            f"{look} holds the shared annotations of a project, and does not say whose they are.",
            NAME_THEM,
        )
    answers = timed(answers_of(rows, {"time": pl.String()}))
    return Answers(rows=answers)


def _files(look: Look) -> Iterator[tuple[str, bytes]]:
    """The files, each with its name."""
    if look.kind == "zip":
        packed = Zip(look.path)
        yield from ((n, packed.read(n)) for n in sorted(packed.names) if n.endswith(ENDINGS))
    elif look.kind == "directory":
        names = (name for name in look.names if name.endswith(ENDINGS))
        yield from ((name, _bytes(look.path / name)) for name in names)
    else:
        yield look.path.name, _bytes(look.path)


def _bytes(path: Path) -> bytes:
    with open_text(path) as file:
        return file.read().encode()


def _records(name: str, data: bytes, path: Path) -> Iterator[Row]:
    """The records in a file."""
    text = data.decode("utf-8-sig")
    if name.endswith(".csv"):
        for row in csv.DictReader(io.StringIO(text, newline="")):
            labels = row[LABEL].split(SEPARATOR) if row[LABEL] else []
            yield {**row, LABEL: labels}
        return
    whole = text.lstrip().startswith("[")
    for number, line in enumerate([text] if whole else text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except json.JSONDecodeError as error:
            raise AnnotationError(
                f"{path}: line {number} of {name} is no JSON: {error}."
            ) from error
        for record in found if whole else [found]:
            if not isinstance(record, dict):
                raise AnnotationError(
                    f"{path}: record {number} of {name} is no JSON object: {record!r}."
                )
            yield record


def _rows(record: Row, number: int, name: str, confirmed: bool) -> Iterator[Row]:
    """The answers in a record: of the member whose file it is in, or of those that older exports name."""
    example = str(record.get("id", record.get("doc_id", number)))
    text = record.get("text", record.get("data"))
    about = {"example": example, "question": LABEL, "text": text if isinstance(text, str) else None}
    if "annotations" in record:
        by_user: dict[str, list[Row]] = {}
        for said in record["annotations"]:
            by_user.setdefault(str(said["user"]), []).append(said)
        for user, given in by_user.items():
            times = [said["created_at"] for said in given if said.get("created_at")]
            labels = [said.get(LABEL) for said in given]
            yield {**about, **_answer(labels, confirmed), "annotator": user} | (
                {"time": max(times)} if times else {}
            )
        return
    labels = record.get(LABEL, record.get("labels", record.get("cats"))) or []
    if name == UNKNOWN and not labels:
        return
    who = record.get("username", None if name in (EVERYBODY, UNKNOWN) else name)
    yield {**about, **_answer(labels, confirmed), "annotator": who}


def _answer(labels: list[Any], confirmed: bool) -> Row:
    """What labels say; spans are no classification."""
    if any(isinstance(label, (list, dict)) for label in labels):
        return {"kind": None, "values": None, "status": "no_classification"}
    texts = [str(label) for label in labels if label is not None]
    says = bool(texts) or confirmed
    return {
        "kind": "set" if confirmed else "choice",
        "values": texts if says else None,
        "status": SUBMITTED if says else "empty",
    }
