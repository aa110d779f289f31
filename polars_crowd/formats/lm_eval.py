"""lm-evaluation-harness: the samples of a benchmark, whose annotators are the models that answered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Unpack

from polars_crowd.errors import AnnotationError, OptionError, shown
from polars_crowd.formats.answers import Answers, Row, answers_of
from polars_crowd.formats.export import ExportOptions, say
from polars_crowd.formats.look import Look, files_in
from polars_crowd.formats.reader import reads
from polars_crowd.formats.records import objects

NAME = re.compile(r"^samples_(?P<task>.+)_\d{4}-\d{2}-\d{2}T[\d.-]+\.jsonl$")
KEYS = {"doc_id", "resps", "filtered_resps"}


def _is_like(look: Look) -> bool:
    if look.kind == "directory":
        return any(NAME.match(name.rpartition("/")[2]) for name in look.names)
    return look.keys >= KEYS


@reads("lm_eval", "lm-evaluation-harness", _is_like)
def read_lm_eval(
    look: Look, *, filter: str | None = None, **options: Unpack[ExportOptions]
) -> Answers:
    """Read the samples of lm-evaluation-harness, `samples_TASK_DATE.jsonl`, or a directory of them.

    Parameters
    ----------
    filter
        Which filter's answers are read, such as `"strict-match"`: a sample has a line for each.

    Returns
    -------
    Export
        An example is `task|doc_id`, an annotator is a model (the file's directory), a question is a task. The
        label is the choice of the largest likelihood, or what was generated; targets are gold.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "model-a", "samples_sums_2026-06-01T10-00-00.000.jsonl")
    >>> path.parent.mkdir()
    >>> _ = path.write_text(json.dumps({"doc_id": 0, "target": "1", "resps": [], "filter": "none",
    ...                                 "filtered_resps": [["-2.5", "False"], ["-1.5", "False"]]}))
    >>> read_lm_eval(path).log.select("example", "annotator", "label").collect().rows()
    [('sums|0', 'model-a', '1')]
    """
    files = files_in(look.path) if look.kind == "directory" else [look.path]
    samples = [
        sample
        for file in files
        if NAME.match(file.name) or file == look.path
        for sample in _samples(file)
    ]
    chosen = _of_filter(samples, filter, options.get("question"))
    gold = answers_of({**_row(s, s["target"]), "annotator": None} for s in chosen if "target" in s)
    rows = answers_of(
        _row(sample, _answer(sample)) | {"annotator_kind": "model"} for sample in chosen
    )
    return Answers(rows=rows, gold=gold)


def _samples(file: Path) -> Iterator[Row]:
    named = NAME.match(file.name)
    task = named["task"] if named else file.stem
    for sample in objects(file):
        yield {**sample, "task": task, "model": file.absolute().parent.name}


def _of_filter(samples: list[Row], filter: str | None, question: str | None) -> list[Row]:
    """The samples of one filter, where those of the question that is asked have several."""
    of_question = [s for s in samples if question in (None, s["task"])]
    there = sorted({str(s.get("filter")) for s in of_question})
    if filter is not None:
        if filter not in there:
            raise OptionError("filter", filter, f"the samples have {shown(there)}.")
        return [s for s in of_question if str(s.get("filter")) == filter] + [
            s for s in samples if s not in of_question
        ]
    by_task: dict[str, set[str]] = {}
    for sample in of_question:
        by_task.setdefault(sample["task"], set()).add(str(sample.get("filter")))
    several = {task: sorted(filters) for task, filters in by_task.items() if len(filters) > 1}
    if several and (question is not None or len(by_task) == 1):
        task, filters = next(iter(several.items()))
        raise AnnotationError(
            f"the samples of {task} have a line for each of the filters {shown(filters)}.",
            say("filter"),
        )
    return samples


def _row(sample: Row, label: Any) -> Row:
    return {
        "example": f"{sample['task']}|{sample['doc_id']}",
        "annotator": sample["model"],
        "question": sample["task"],
        "kind": "class",
        "values": None if label is None else [str(label)],
        "status": "submitted" if label is not None else "empty",
    }


def _answer(sample: Row) -> Any:
    """The choice of the largest likelihood, or the text that was generated."""
    answers = sample["filtered_resps"]
    while answers and isinstance(answers[0], list) and not _is_likelihood(answers[0]):
        answers = answers[0]
    if answers and isinstance(answers[0], list):
        likelihoods = [float(likelihood) for likelihood, _ in answers]
        return likelihoods.index(max(likelihoods))
    return answers[0] if answers else None


def _is_likelihood(answer: list[Any]) -> bool:
    """Whether an answer is the logarithm of a likelihood, with whether it is the largest."""
    return len(answer) == 2 and str(answer[1]) in ("True", "False")
