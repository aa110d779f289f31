"""Inspect AI: logs of evaluations, `.eval` (a zip) or JSON. Scorers are annotators of a model's answers."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Unpack

import polars as pl

from polars_crowd.formats.answers import SUBMITTED, Answers, Row, answers_of
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look, files_in, object_in
from polars_crowd.formats.reader import reads
from polars_crowd.formats.times import timed
from polars_crowd.formats.zips import Zip


def _is_like(look: Look) -> bool:
    if look.kind == "zip":
        return "header.json" in look.names or "_journal/start.json" in look.names
    if look.kind == "directory":
        return bool(look.names) and all(name.endswith(".eval") for name in look.names)
    return look.has("version", "status", "eval")


@reads("inspect", "Inspect AI", _is_like)
def read_inspect(
    look: Look, *, per: Literal["answer", "sample"] = "answer", **options: Unpack[ExportOptions]
) -> Answers:
    """Read a log of Inspect AI, `.eval` or JSON, or a directory of logs.

    Parameters
    ----------
    per
        What an example is: the `"answer"` of a model to a sample in an epoch, `model|id|epoch`; or the
        `"sample"` by its id alone.

    Returns
    -------
    Export
        An annotator is a scorer: two of one name are `name` and `name1`, and answer one question, `name`.
        A score of several values is a question each, `name.key`. Who edited a score is an annotator, too, and
        what the judge had said is `superseded`. Column `judge_model` says which model the judge is. A scorer
        that holds the majority of several judges has lost their single grades.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "log.json")
    >>> sample = {"id": 1, "epoch": 1, "scores": {"judge": {"value": "C"}}}
    >>> _ = path.write_text(json.dumps(
    ...     {"version": 2, "status": "success", "eval": {"model": "m"}, "samples": [sample]}
    ... ))
    >>> read_inspect(path).log.select("example", "annotator", "label").collect().rows()
    [('m|1|1', 'judge', 'C')]
    """
    files = files_in(look.path) if look.kind == "directory" else [look.path]
    rows = [row for file in files for row in _rows_of(file, per)]
    more = {"judge_model": pl.String(), "time": pl.String()}
    answers = timed(answers_of(rows, more))
    return Answers(rows=answers)


def _rows_of(file: Path, per: str) -> Iterator[Row]:
    """The scores in a log."""
    about, samples = _log_in(file)
    scorers = Scorer.all(about.get("scorers") or [])
    for sample in samples:
        parts = (
            [about["model"], sample["id"], sample.get("epoch", 1)]
            if per == "answer"
            else [sample["id"]]
        )
        for row in _scores(sample, scorers):
            yield {
                **row,
                "example": "|".join(map(str, parts)),
                "time": row.get("time") or sample.get("completed_at"),
            }


def _log_in(file: Path) -> tuple[Row, Iterable[Row]]:
    """What a log says of itself, and its samples. In a zip a sample is a file of its own, or lies in pieces
    in a directory of its own."""
    if not Zip.is_one(file):
        whole = object_in(file)
        return whole["eval"], whole.get("samples") or []
    log = Zip(file)
    names = [n for n in log.names if n.startswith("samples/") and n.endswith(".json")]
    samples = [n for n in names if n.count("/") == 1 or n.endswith("/sample.json")]
    header = next(name for name in ("header.json", "_journal/start.json") if name in log.names)
    return json.loads(log.read(header))["eval"], (json.loads(log.read(name)) for name in samples)


@dataclass(frozen=True)
class Scorer:
    """A scorer, by the name that it has in the scores."""

    key: str
    name: str
    judge: str | None

    @classmethod
    def all(cls, scorers: Sequence[Row]) -> dict[str, Scorer]:
        """All scorers of a log, those of one name numbered."""
        seen: Counter[str] = Counter()
        found = {}
        for scorer in scorers:
            name = scorer["name"]
            key = name if not seen[name] else f"{name}{seen[name]}"
            seen[name] += 1
            found[key] = cls(key, name, _judge(scorer.get("options") or {}))
        return found


def _judge(options: Row) -> str | None:
    model = options.get("model")
    return model if isinstance(model, str) or model is None else json.dumps(model)


def _scores(sample: Row, scorers: dict[str, Scorer]) -> Iterator[Row]:
    """The scores of a sample; of one that failed, that there are none."""
    scores = sample.get("scores") or ({"score": sample["score"]} if sample.get("score") else None)
    if not scores:
        status = "error" if sample.get("error") else "unscored"
        for scorer in scorers.values():
            yield {**_row(scorer, scorer.name, None), "status": status}
        return
    invalid = {"status": "invalidated"} if sample.get("invalidation") else {}
    for key, score in scores.items():
        scorer = scorers.get(key, Scorer(key, key, None))
        for row in _edited(scorer, score):
            yield {**row, **invalid}


def _edited(scorer: Scorer, score: Row) -> Iterator[Row]:
    """A score, or what the judge had said first and what people made of it."""
    edits = score.get("history") or []
    if not edits:
        yield from _values(scorer, score.get("value"))
        return
    value, *people = [edit.get("value") for edit in edits]
    said = [*_values(scorer, value)]
    changed = [row for edit in edits[1:] for row in _by_person(scorer, edit)]
    last = {row["question"]: row for row in changed if row["status"] == SUBMITTED}
    for row in said:
        yield {**row, "status": "superseded"} if row["question"] in last and people else row
    for row in changed:
        yield row if last.get(row["question"]) is row else {**row, "status": "superseded"}


def _by_person(scorer: Scorer, edit: Row) -> Iterator[Row]:
    """What a person made of a score."""
    by = edit.get("provenance") or {}
    if edit.get("value") == "UNCHANGED":
        return
    for row in _values(scorer, edit.get("value")):
        person = {"annotator": by.get("author"), "annotator_kind": "human", "judge_model": None}
        yield {**row, **person, "time": by.get("timestamp")}


def _values(scorer: Scorer, value: Any) -> Iterator[Row]:
    """A value, or each of those in an object."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield _row(scorer, f"{scorer.name}.{key}", one)
    else:
        yield _row(scorer, scorer.name, value)


def _row(scorer: Scorer, question: str, value: Any) -> Row:
    kind, values, status = _said(value)
    return {
        "annotator": scorer.key,
        "question": question,
        "kind": kind,
        "values": values,
        "status": status,
        "annotator_kind": "model",
        "judge_model": scorer.judge,
    }


def _said(value: Any) -> tuple[str | None, list[str] | None, str]:
    """The kind, the values and the status of what a scorer says."""
    if value is None:
        return None, None, "empty"
    if isinstance(value, float) and math.isnan(value):
        return None, None, "unscored"
    if isinstance(value, str):
        return "class", [value], SUBMITTED
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    kind = "text" if isinstance(value, list) else "number" if number else "class"
    return kind, [json.dumps(value)], SUBMITTED
