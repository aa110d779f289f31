"""`polars-crowd judges`: judges (models, say) beside humans, with a bar to pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

import polars_crowd as pc
from polars_crowd.cli import common
from polars_crowd.cli.agreement import Confidence
from polars_crowd.cli.annotators import missed, rows_of, tables_of
from polars_crowd.cli.bars import bar_of_column
from polars_crowd.cli.common import progress
from polars_crowd.cli.consensus import Gold
from polars_crowd.cli.files import directory_for, tables, write_tables
from polars_crowd.cli.inputs import Input
from polars_crowd.cli.output import Answer, Block, aside, cut, written
from polars_crowd.cli.reading import columns, completing, option, reads, text

BARS = (
    *("coverage", "agreement", "agreement_low", "kappa", "kappa_low", "ac1", "ac1_low", "alpha"),
    *("alpha_low", "winning_rate", "advantage", "repeat_consistency"),
)
"""Columns that may have a bar."""
CLASSES = ("num_examples", "sensitivity", "specificity", "expected_cost")

JudgesOption = Annotated[
    list[str] | None,
    option(
        "Which annotators are judges: a name, or a pattern such as 'gpt-*'. Repeat it for several. By "
        "default those whose annotator_kind in the log is model, code, llm or judge.",
        "PATTERN",
    ),
]
HumansOption = Annotated[
    list[str] | None,
    option("Which annotators are humans, likewise. By default all who are no judges.", "PATTERN"),
]
Epsilon = Annotated[
    float,
    option(
        "By how much a judge may be worse than a human and still be preferred: 0.2 where humans are "
        "experts, 0.15 where they are skilled, 0.1 where they are a crowd.",
        "PRICE",
    ),
]
FailUnder = Annotated[
    list[str] | None,
    option(
        "End with exit code 1 if this column is below the bar for a judge, or unknown, such as "
        "winning_rate=0.5 or kappa=0.6. Repeat it for several.",
        "NAME=BAR",
        autocompletion=completing([f"{name}=" for name in BARS]),
    ),
]


@common.told
@reads(tables, columns, text)
def judges(
    call: typer.Context,
    log: common.Log,
    judges: JudgesOption = None,
    humans: HumansOption = None,
    gold: Gold = None,
    epsilon: Epsilon = 0.1,
    confidence: Confidence = 0.95,
    fail_under: FailUnder = None,
    executor: common.Executor = None,
    classes: common.ClassesOfLog = None,
    duplicates: common.Duplicates = "error",
    truth_label: common.TruthLabel = None,
    memory_limit: common.MemoryLimit = None,
) -> Answer:
    """Say how good judges are beside humans, and whether they may stand in for one.

    Agreement with the humans' consensus and with each of them, errors by class, and the alternative annotator
    test. LOG may be a store. With --out DIR the tables judges, classes, humans and errors are written.

    Examples:

      polars-crowd judges log.parquet --judges 'gpt-*'

      polars-crowd judges log.csv --judges model-a --gold gold.csv --format json

      polars-crowd judges log.csv --judges 'gpt-*' --fail-under winning_rate=0.5
    """
    bars = [bar_of_column(one, BARS, "winning_rate=0.5") for one in fail_under or ()]
    given = Input.of(call)
    place = directory_for(call, pc.JudgeReport.TABLES)
    with progress() as step, common.executor_of(executor) as workers, given.reading(gold):
        step("putting judges beside humans")
        options: dict[str, Any] = {"executor": workers, "memory_limit": memory_limit}
        found = pc.judge_report(
            rows_of(given),
            judges,
            humans,
            gold=given.labels(gold, "gold", truth_label),
            epsilon=epsilon,
            confidence=confidence,
            **options,
            **given.options,
        )
        files = write_tables(call, place, found, given.theirs(found.judges, found.classes))
    table = found.judges
    unknown = [
        f"{name} (annotator={who}) is unknown, below {bar:g}"
        for name, bar in bars
        for who in table.filter(table[name].is_null())["annotator"]
    ]
    misses = [*missed(table, bars, ["annotator"]), *unknown]

    def report() -> Iterator[Block]:
        yield aside(found._header())
        yield Block("Judges", table.select(found.FIRST[:-1]))
        lines = [f"{row['annotator']}: {row['reason']}" for row in table.iter_rows(named=True)]
        yield Block("\n".join(cut(lines, "judge")))
        yield Block("By class", found.classes.select("annotator", "label", *CLASSES))
        if files:
            yield written(files)

    worth = {"effective_judges": found.effective_judges}
    return Answer(
        table,
        report,
        document=lambda: {"report": found._header(), **worth, **tables_of(found)},
        complaints=cut(misses, "miss"),
        fails=bool(misses),
    )
