"""`polars-crowd check`: what is wrong with a log, as text."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from polars_crowd.cli import common
from polars_crowd.cli.common import progress, reading, stdout, told
from polars_crowd.errors import counted
from polars_crowd.inputs.findings import as_frame, findings_of
from polars_crowd.inputs.log import open_rows

Classes = Annotated[
    str | None, common.in_files("The classes a label may have, if they are known.", "A,B,C")
]


@told()
def check(
    log: common.Log,
    example: common.Example = "example",
    annotator: common.Annotator = "annotator",
    label: common.Label = "label",
    classes: Classes = None,
) -> None:
    """Look for what is wrong with a log of annotations, and what is worth knowing.

    Exits with 1 if there are errors, which stop consensus (with a model at least);
    with 0 if there is nothing or only notes.

    Examples:

      polars-crowd check log.parquet

      polars-crowd check log.csv --example task --annotator worker --label answer
    """
    with progress() as step, reading(log):
        step("reading the annotations")
        names = {"example": example, "annotator": annotator, "label": label}
        rows = open_rows(log, names)
        findings = as_frame(findings_of(rows, common.class_list(classes)), "command")
    console = stdout()
    for finding in findings.iter_rows(named=True):
        console.print(told_finding(finding) + "\n", soft_wrap=True)
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
