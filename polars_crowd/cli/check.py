"""`polars-crowd check`: what is wrong with a log, and what is worth knowing."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import fill
from typing import Annotated, Any

import typer

from polars_crowd.cli import common
from polars_crowd.cli.common import progress, told
from polars_crowd.cli.files import file_for, write_file
from polars_crowd.cli.inputs import Input, listed
from polars_crowd.cli.output import Answer, Block, aside
from polars_crowd.cli.reading import columns, reads, text
from polars_crowd.errors import counted
from polars_crowd.inputs.findings import SEVERITIES, as_frame, findings_of
from polars_crowd.inputs.suspicions import values_shown
from polars_crowd.reports import line_width

Classes = Annotated[
    str | None, common.in_files("The classes a label may have, if they are known.", "A,B,C")
]


@told
@reads(columns, text)
def check(
    call: typer.Context,
    log: common.Log,
    classes: Classes = None,
    out: common.OutFile = None,
    force: common.Force = False,
) -> Answer:
    """Look for what is wrong with a log of annotations, and what is worth knowing.

    LOG may be a store. The exit code is 1 if there are errors, which stop consensus (with a model at
    least), and 0 if there is nothing, or only warnings and notes.

    Examples:

      polars-crowd check log.parquet

      polars-crowd check log.csv --example task --annotator worker --label answer

      polars-crowd check log.csv --format json
    """
    given, file = Input.of(call, "classes"), file_for(call, out, force)
    with progress() as step, given.reading():
        step("reading the annotations")
        found = findings_of(given.rows(), listed(classes), given.label_type)
        findings = as_frame(found, "command", given.names)
    counts = {kind: findings.filter(severity=kind).height for kind in SEVERITIES}
    made = write_file(findings, file) if file else None

    def report() -> Iterator[Block]:
        for finding in findings.iter_rows(named=True):
            text = told_finding(finding, line_width()) + "\n"
            yield Block(text, aside=made is not None, exact=True)
        yield aside(", ".join(counted(n, kind) for kind, n in counts.items()))
        if made:
            yield made

    return Answer(findings, report, fails=counts["error"] > 0)


def told_finding(finding: dict[str, Any], width: int) -> str:
    """A row of `check_annotations` as text, in lines that are broken between words."""
    head = f"{finding['severity']}: {finding['what']}: {finding['count']:,}"
    said = filter(None, (values_shown(finding["shown"], finding["count"]), finding["advice"]))
    return "\n".join([head, *(_indented(line, width) for line in said)])


def _indented(text: str, width: int) -> str:
    gap = "  "
    return fill(
        text,
        width,
        initial_indent=gap,
        subsequent_indent=gap,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
