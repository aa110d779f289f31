"""`polars-crowd explain`: why results say what they say of an example."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

import polars_crowd as pc
from polars_crowd.cli import common
from polars_crowd.cli.common import progress
from polars_crowd.cli.inputs import Input, reading, refuse
from polars_crowd.cli.output import Answer, Block
from polars_crowd.cli.reading import COLUMNS, TEXT, argument, columns, option, reads, text
from polars_crowd.reports import with_values

ResultsOf = Annotated[
    str, argument("A directory of results of consensus, as --out wrote it, in Parquet.", "RESULTS")
]
Examples = Annotated[list[str], argument("The ids of examples.", "EXAMPLE...")]
LogOption = Annotated[
    list[str] | None,
    option(
        "For results of a majority vote, which hold no annotations: the log that it is of.",
        "LOG",
        "--log",
    ),
]


@common.told
@reads(columns, text)
def explain(
    call: typer.Context,
    results: ResultsOf,
    examples: Examples,
    log: LogOption = None,
    pred_probs: common.Probs = None,
    probs_example: common.ProbsExample = None,
) -> Answer:
    """Say what each annotation, the model and the prior add to the posterior of an example.

    Of each example and method the rows above the posterior add up to it, or to its log where scale is log.

    Examples:

      polars-crowd explain results task-17

      polars-crowd explain results task-17 task-18 --pred-probs probs.parquet --format json
    """
    if log is None:
        refuse(call, {*COLUMNS, *TEXT}, "only with --log.")
    if not pred_probs:
        refuse(call, ["probs_example"], "only with --pred-probs.")
    kept = pc.open_results(results)
    names = kept._renamed
    with progress() as step, reading([*(log or ()), *(pred_probs or ())]):
        step("explaining")
        beside = Input(
            log=(),
            example=names.get("example", "example"),
            pred_probs=pred_probs,
            probs_example=probs_example,
        )
        given = Input.of(call, "pred_probs", "probs_example") if log else None
        found = pc.explain(
            kept,
            examples,
            log=None if given is None else given.annotations(),
            pred_probs=beside.models(),
        )
    there = {ours: theirs for ours, theirs in names.items() if ours in found.columns[:7]}
    table = found.rename(there)

    def report() -> Iterator[Block]:
        for (example,), rows in found.group_by("example", maintain_order=True):
            shown = rows.drop("example").rename(there, strict=False)
            yield Block(f"Example {example}", with_values(shown))

    return Answer(table, report)
