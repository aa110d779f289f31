"""`polars-crowd agreement`: how far annotators agree, with a bar to pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import polars as pl
import typer

from polars_crowd.cli import common
from polars_crowd.cli.bars import bar_of
from polars_crowd.cli.common import progress
from polars_crowd.cli.files import file_for, write_file
from polars_crowd.cli.inputs import Input, refuse
from polars_crowd.cli.output import Answer, Block, aside, cut
from polars_crowd.cli.reading import columns, completing, option, reads, sets, text
from polars_crowd.errors import shown
from polars_crowd.reliability.coefficients import agreement as agreement_of
from polars_crowd.reliability.label_sets import multilabel_agreement
from polars_crowd.reliability.registry import ALL, DEFAULT, KNOWN, meant
from polars_crowd.reliability.request import Interval, Tested
from polars_crowd.reliability.weights import Level, WeightName

NUMBERS = ("value", "ci_low", "ci_high", "num_examples", "num_annotators")
"""What the table shows of the result; JSON and CSV have all."""

By = Annotated[
    list[str] | None,
    option(
        "A column of the log to group by, or a file of groups of examples or annotators, whose column "
        "of ids is called as in the log. Repeat it for several.",
        "COL|FILE",
    ),
]
Coefficients = Annotated[
    str | None,
    option(
        "The coefficients, or all.", "A,B,C", autocompletion=completing(["all", *KNOWN], after=",")
    ),
]
Weights = Annotated[WeightName, option("How much two classes agree.")]
LevelOption = Annotated[Level, option("The level of measurement of alpha.")]
IntervalOption = Annotated[Interval, option("How confidence intervals are made.")]
TestedBy = Annotated[
    Tested,
    option(
        "The standard error that p-values go by: the interval's, or that of no agreement beyond chance "
        "(of cohen_kappa and fleiss_kappa)."
    ),
]
Confidence = Annotated[float, option("Of the confidence intervals.", "SHARE")]
FailUnder = Annotated[
    list[str] | None,
    option(
        "End with exit code 1 if this coefficient is below the bar (or undefined) in any group, "
        "such as alpha=0.67. Repeat it for several.",
        "NAME=BAR",
        autocompletion=completing([f"{name}=" for name in KNOWN]),
    ),
]


@common.told
@reads(columns, sets, text)
def agreement(
    call: typer.Context,
    log: common.Log,
    by: By = None,
    coefficients: Coefficients = None,
    weights: Weights = "identity",
    level: LevelOption = "nominal",
    interval: IntervalOption = "analytic",
    confidence: Confidence = 0.95,
    tested_by: TestedBy = "estimate",
    fail_under: FailUnder = None,
    out: common.OutFile = None,
    force: common.Force = False,
    executor: common.Executor = None,
    classes: common.ClassesOfLog = None,
    duplicates: common.Duplicates = "error",
    memory_limit: common.MemoryLimit = None,
) -> Answer:
    """Measure how far annotators agree beyond chance, with confidence intervals.

    LOG may be a store. With --fail-under it guards a pipeline:
    it ends with 1 where agreement is below the bar.

    Examples:

      polars-crowd agreement log.parquet

      polars-crowd agreement log.csv --by language --coefficients fleiss,ac1

      polars-crowd agreement log.csv --level ordinal --fail-under alpha=0.67

      polars-crowd agreement log.parquet --coefficients all --format json
    """
    bars = [bar_of(text, "alpha=0.67") for text in fail_under or ()]
    bars = [(named(name), bar) for name, bar in bars]
    given, file = Input.of(call), file_for(call, out, force)
    of_sets = _are_sets(given)
    default = ("krippendorff_alpha",) if of_sets else DEFAULT
    chosen = chosen_coefficients(coefficients, [name for name, _ in bars], default)
    groups = given.groups(by or [])
    by_columns = [
        name for one in groups for name in ([one] if isinstance(one, str) else one.columns[1:])
    ]
    options: dict[str, Any] = {
        "by": groups or None,
        "interval": interval,
        "confidence": confidence,
        "memory_limit": memory_limit,
    }
    if of_sets:
        refuse(
            call, ["weights", "level", "tested_by"], "not of sets of classes, which agree by MASI."
        )
    else:
        options |= {"weights": weights, "level": level, "tested_by": tested_by}
    with progress() as step, common.executor_of(executor) as workers, given.reading():
        step("comparing annotations")
        options |= {"coefficients": chosen, "executor": workers}
        measured = multilabel_agreement if of_sets else agreement_of
        found = measured(given.annotations(), **options, **given.options)
    made = write_file(found, file) if file else None
    misses = list(missed(found, bars, by_columns))

    def report() -> Iterator[Block]:
        table = found.select(*by_columns, "coefficient", *NUMBERS)
        yield Block("Agreement", table, aside=made is not None)
        yield from map(aside, cut(notes(found, by_columns), "note"))
        if made:
            yield made

    return Answer(found, report, complaints=cut(misses, "miss"), fails=bool(misses))


def _are_sets(given: Input) -> bool:
    """Whether labels are sets of classes."""
    store = given.store
    return given.multilabel or (store is not None and store.set_classes is not None)


# --- coefficients and bars ------------------------------------------------------------------------


def named(name: str) -> str:
    """The coefficient of this name, or the only one with this word in its name.

    >>> named("ac1"), named("fleiss"), named("icc(A,1)")
    ('gwet_ac1', 'fleiss_kappa', 'icc(A,1)')
    """
    found = [coefficient.name for coefficient in meant(name)]
    if len(found) == 1:
        return found[0]
    among = shown(found or list(KNOWN), 20)
    raise typer.BadParameter(f"coefficient {name!r} is not one of {among}.")


def chosen_coefficients(
    text: str | None, barred: Sequence[str], default: Sequence[str] = DEFAULT
) -> list[str]:
    """What --coefficients asks for, and what has a bar.

    >>> chosen_coefficients("ac1, alpha", ["fleiss_kappa"])
    ['gwet_ac1', 'krippendorff_alpha', 'fleiss_kappa']
    """
    if text is None:
        asked = list(default)
    elif text.strip() == "all":
        asked = list(ALL)
    else:
        asked = [named(name) for name in coefficient_names(text)]
    return list(dict.fromkeys([*asked, *barred]))


def coefficient_names(text: str) -> list[str]:
    """Names between commas; those of the ICC have commas of their own.

    >>> coefficient_names("alpha, icc(A,1),icc(k)")
    ['alpha', 'icc(A,1)', 'icc(k)']
    """
    names: list[str] = []
    for part in text.split(","):
        if names and names[-1].count("(") > names[-1].count(")"):
            names[-1] += f",{part.strip()}"
        else:
            names.append(part.strip())
    return names


def missed(
    found: pl.DataFrame, bars: Sequence[tuple[str, float]], by: Sequence[str]
) -> Iterator[str]:
    """What is below its bar, a message each."""
    for name, bar in bars:
        below = found.filter(coefficient=name).filter(~pl.col("value").ge(bar).fill_null(False))
        for row in below.iter_rows(named=True):
            if row["value"] is None:
                yield f"{name}{place(row, by)} is undefined: {row['reason']}"
            else:
                yield f"{name}{place(row, by)} is {row['value']:.4f}, below {bar:g}"


def place(row: Mapping[str, Any], by: Sequence[str]) -> str:
    """Its group, if there are any."""
    where = ", ".join(f"{column}={row[column]}" for column in by)
    return f" ({where})" if where else ""


def notes(found: pl.DataFrame, by: Sequence[str]) -> list[str]:
    """Reasons and warnings, each once."""
    rows = found.iter_rows(named=True)
    lines = [
        f"{row['coefficient'] if kind == 'reason' else kind}{place(row, by)}: {row[kind]}"
        for row in rows
        for kind in ("reason", "warning")
        if row[kind] is not None
    ]
    return list(dict.fromkeys(lines))
