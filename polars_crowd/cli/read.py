"""`polars-crowd read`: the export of a tool as a log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

import polars_crowd as pc
from polars_crowd.cli import common
from polars_crowd.cli.common import told
from polars_crowd.cli.files import file_for, write_file
from polars_crowd.cli.output import SHOWN, Answer, Block, aside
from polars_crowd.cli.reading import argument, option
from polars_crowd.errors import counted

Paths = Annotated[
    list[str],
    argument(
        "The file, or the directory where the tool writes one; several of one tool are read as one.",
        "EXPORT...",
    ),
]
Question = Annotated[str | None, option("The question whose answers are read.", "NAME")]
Tool = Annotated[
    str | None, option("The tool, if that is not seen, such as label_studio.", "TOOL", "--export")
]
Predictions = Annotated[
    bool, option("What a model said beforehand is an answer, too.", None, "--predictions")
]
AnnotatorName = Annotated[
    str | None, option("Who gave the answers of which the file does not say it.", "NAME")
]
Options = Annotated[
    list[str] | None,
    option(
        "An option of the tool's own reader, its value as JSON or as text; may be repeated.",
        "NAME=VALUE",
        "--option",
    ),
]
GoldOut = Annotated[Path | None, option("Where the truth that the file says is written.", "FILE")]


@told
def read(
    call: typer.Context,
    paths: Paths,
    question: Question = None,
    export: Tool = None,
    annotator_name: AnnotatorName = None,
    predictions: Predictions = False,
    option: Options = None,
    out: common.OutFile = None,
    gold_out: GoldOut = None,
    force: common.Force = False,
) -> Answer:
    """Read the export of a tool: one question's answers as a log, and what became of all else.

    The tool is seen by what the file holds. All other commands take an export as LOG, too.

    Examples:

      polars-crowd read export.json --question sentiment --out log.parquet

      polars-crowd agreement export.json --question sentiment
    """
    file = file_for(call, out, force)
    gold_file = None if gold_out is None else file_for(call, gold_out, force)
    options = _named(option or [])
    if annotator_name is not None:
        options["annotator"] = annotator_name
    if predictions:
        options["predictions"] = True
    if question is not None:
        options["question"] = question
    found = pc.formats.read(paths, export, **options)
    if gold_file is not None and found.gold is None:
        raise typer.BadParameter("--gold-out: the file says no truth.")
    made = [
        write_file(rows, where)
        for rows, where in ((found.log, file), (found.gold, gold_file))
        if where is not None and rows is not None
    ]

    def report() -> Iterator[Block]:
        yield Block(str(found))
        if found.questions.height:
            yield aside("questions", found.questions)
        if found.gold is not None:
            yield aside(f"gold: {counted(found.gold.height, 'example')}")
        if made:
            yield from made
        else:
            size = found.log.select(pl.len()).collect().item()
            yield Block("log", found.log.head(SHOWN).collect(), total=size)

    def document() -> dict[str, Any]:
        return {
            "format": found.format,
            "question": found.question,
            "left_out": dict(found.left_out),
            "notes": list(found.notes),
            "questions": found.questions,
            "log": found.log,
        }

    return Answer(found.log, report, document)


def _named(options: Sequence[str]) -> dict[str, Any]:
    """Options as they are written.

    >>> _named(["project=Tone of mails", 'items={"Input.id": "Answer.q"}'])
    {'project': 'Tone of mails', 'items': {'Input.id': 'Answer.q'}}
    """
    found = {}
    for given in options:
        name, is_one, text = given.partition("=")
        if not is_one:
            raise typer.BadParameter(f"--option {given}: write it as NAME=VALUE.")
        try:
            found[name] = json.loads(text)
        except json.JSONDecodeError:
            found[name] = text
    return found
