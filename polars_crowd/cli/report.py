"""`polars-crowd report`: what there is to say of a log, in one file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from polars_crowd.cli import common
from polars_crowd.cli.agreement import By
from polars_crowd.cli.annotators import rows_of
from polars_crowd.cli.common import STDOUT, progress
from polars_crowd.cli.files import file_for
from polars_crowd.cli.inputs import Input
from polars_crowd.cli.output import Answer, Block, aside, written
from polars_crowd.cli.reading import columns, option, reads
from polars_crowd.cli.reading import text as in_text
from polars_crowd.errors import counted
from polars_crowd.inputs.tables import log_and_labels
from polars_crowd.reporting.content import plain
from polars_crowd.reporting.facts import Asked
from polars_crowd.reporting.html import check_installed
from polars_crowd.reporting.report import ENDINGS, Format, LogReport, content_about, write_report

USUAL = Path("report.html")

Out = Annotated[
    Path | None,
    option(
        "The file: .html, .md or .json; - for standard output. By default report.html; Markdown and "
        "JSON are printed.",
        "FILE",
        "--out",
        "-o",
    ),
]
FormatOption = Annotated[
    Format | None,
    option("A page with charts, Markdown, or JSON for programs; by default as FILE ends."),
]
TextColumn = Annotated[
    str | None,
    option("A column of the log with what an example says, to be shown beside its id.", "COL"),
]
Title = Annotated[str | None, option("The title.", "TEXT")]
Size = Annotated[int, option("How many examples are listed.", min=1)]


@common.told
@reads(columns, in_text)
def report(
    call: typer.Context,
    log: common.Log,
    pred_probs: common.Probs = None,
    truth: common.Truth = None,
    by: By = None,
    text: TextColumn = None,
    format: FormatOption = None,
    out: Out = None,
    force: common.Force = False,
    title: Title = None,
    size: Size = 20,
    executor: common.Executor = None,
    probs_example: common.ProbsExample = None,
    classes: common.Classes = None,
    duplicates: common.Duplicates = "error",
    truth_label: common.TruthLabel = None,
) -> Answer:
    """Report on a log in one file: findings in words, agreement, annotators, consensus, what to label next.

    The page needs the extra `report`; it loads nothing from anywhere, and can be sent to others.
    LOG may be a store, or a tool's export.

    Examples:

      polars-crowd report log.parquet

      polars-crowd report log.csv -p probs.parquet --truth gold.csv --by language --out log.html

      polars-crowd report log.csv --format md
    """
    given = Input.of(call)
    form, file = place_for(call, out, format, force)
    if form == "html":
        check_installed()
    with progress() as step, given.reading(truth), common.executor_of(executor) as workers:
        step("reading the annotations")
        known = given.labels(truth, "truth", truth_label)
        annotations, known = log_and_labels(rows_of(given), known, "truth")
        asked = Asked(
            log=annotations,
            pred_probs=given.models(),
            truth=known,
            by=given.groups(by or []) or None,
            text=text,
            size=size,
            executor=workers,
            words="command",
            names=given.names,
            **given.options,
        )
        found = LogReport(content_about(asked, title, step), file)
        step("writing")
        printed = found.text(form) if file is None else None
        if file is not None:
            write_report(found.content, file, form)

    def told() -> Iterator[Block]:
        yield aside(str(found.content.about["method"]))
        for finding in found.content.findings:
            said = f"{finding.severity}: {plain(finding.says)}"
            yield Block(f"\n{said}\n  {plain(finding.do)}", aside=file is None)
        yield aside(f"\n{counted(len(found.content.findings), 'finding')}")
        if file is not None:
            yield written([file])

    return Answer(found.findings, told, text=printed)


def place_for(
    call: typer.Context, out: Path | None, form: Format | None, force: bool
) -> tuple[Format, Path | None]:
    """The format, and the file; None where it is printed."""
    if out is None and form in (None, "html"):
        out = USUAL
    by_name = None if out in (None, STDOUT) else ENDINGS.get(out.suffix.lower())
    return form or by_name or "html", file_for(call, out, force, ENDINGS)
