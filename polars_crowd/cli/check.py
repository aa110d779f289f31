"""`polars-crowd check`: what is wrong with a log, as text."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from polars_crowd.cli import common
from polars_crowd.cli.common import printable_lines, progress, stdout, told
from polars_crowd.cli.inputs import Input, listed
from polars_crowd.cli.reading import columns, reads, text
from polars_crowd.errors import counted
from polars_crowd.inputs.findings import as_frame, findings_of

Classes = Annotated[
    str | None, common.in_files("The classes a label may have, if they are known.", "A,B,C")
]


@told
@reads(columns, text)
def check(
    call: typer.Context,
    log: common.Log,
    classes: Classes = None,
) -> None:
    """Look for what is wrong with a log of annotations, and what is worth knowing. LOG may be a store.

    Exits with 1 if there are errors, which stop consensus (with a model at least);
    with 0 if there is nothing or only notes.

    Examples:

      polars-crowd check log.parquet

      polars-crowd check log.csv --example task --annotator worker --label answer
    """
    given = Input.of(call, "classes")
    with progress() as step, given.reading():
        step("reading the annotations")
        findings = as_frame(findings_of(given.rows(), listed(classes)), "command")
    console = stdout()
    for finding in findings.iter_rows(named=True):
        console.print(printable_lines(told_finding(finding)) + "\n", soft_wrap=True)
    n_errors = findings.filter(severity="error").height
    n_notes = findings.height - n_errors
    console.print(f"{counted(n_errors, 'error')}, {counted(n_notes, 'note')}")
    if n_errors:
        raise typer.Exit(1)


def told_finding(finding: dict[str, Any]) -> str:
    """A row of `check_annotations` as text."""
    more = finding["count"] - len(finding["shown"])
    shown = ["; ".join(finding["shown"]) + (f"; ... ({more:,} more)" if more > 0 else "")]
    lines = [
        f"{finding['severity']}: {finding['finding']}: {finding['count']:,}",
        *(shown if finding["shown"] else []),
        finding["advice"],
    ]
    return "\n  ".join(lines)
