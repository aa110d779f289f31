"""`polars-crowd rank`: scores of examples from pairwise preferences."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

import polars_crowd as pc
from polars_crowd.cli import common
from polars_crowd.cli.common import note, progress, told
from polars_crowd.cli.files import directory_for, tables, write_tables
from polars_crowd.cli.inputs import Input, given, is_store, listed, reading, refuse
from polars_crowd.cli.output import MOST, SHOWN, Answer, Block, aside, written
from polars_crowd.cli.reading import TEXT, argument, in_files, option, reads, text
from polars_crowd.formats.export import Export
from polars_crowd.formats.registry import seen_as
from polars_crowd.truth.pairwise.strengths import Intervals

OF_COLUMNS = {
    *("left", "right", "annotator", "winner", "sides", "tie", "strength", "outcome", "weight"),
    *TEXT,
}
"""Options that say what columns hold, and how text is written."""

Log = Annotated[
    list[str],
    argument(
        "The comparisons, a row each: files, globs or directories; - for standard input.", "LOG"
    ),
]
Method = Annotated[
    str,
    common.one_of(
        ["bradley-terry", "crowd-bradley-terry"],
        "bradley-terry, or crowd-bradley-terry, which judges the annotators, too.",
        metavar="METHOD",
    ),
]
IntervalsOption = Annotated[
    Intervals,
    option(
        "What is taken to be independent: comparisons, or annotators, who may have tastes of their own."
    ),
]
Draws = Annotated[
    int | None,
    option(
        "How many times comparisons or annotators are drawn anew for intervals of ranks (of "
        "bradley-terry)."
    ),
]
Level = Annotated[float, option("The level of the intervals.")]
Left = Annotated[str, in_files("The log's column of the one example.", "NAME")]
Right = Annotated[str, in_files("The log's column of the other example.", "NAME")]
Annotator = Annotated[
    str, in_files("The log's column of annotators; - if it does not say who compared.", "NAME")
]
Winner = Annotated[str, in_files("The log's column of the example that won.", "NAME")]
Sides = Annotated[
    list[str] | None,
    in_files(
        "What that column says for the left and the right one, if not their ids: A,B, or a JSON array, or "
        "this option twice.",
        "A,B",
    ),
]
Tie = Annotated[
    list[str] | None, in_files("What it says where neither won. May be repeated.", "VALUE")
]
Strength = Annotated[
    str | None,
    in_files(
        "How much verdicts count that say how sure they are: a number for A>>B, where A>B counts as 1, or "
        "a JSON object of all verdicts, positive where the left one won and 0 for a tie.",
        "W",
    ),
]
Outcome = Annotated[
    str | None,
    in_files(
        "The log's column of the left one's share of the win, from 0 to 1, in place of winners.",
        "NAME",
    ),
]
Weight = Annotated[
    str | None,
    in_files("The log's column of weights: for how many comparisons a row counts.", "NAME"),
]


@told
@reads(tables, text)
def rank(
    call: typer.Context,
    log: Log,
    method: Method = "bradley-terry",
    level: Level = 0.95,
    intervals: IntervalsOption = "comparisons",
    n_boot: Draws = None,
    left: Left = "left",
    right: Right = "right",
    annotator: Annotator = "annotator",
    winner: Winner = "winner",
    sides: Sides = None,
    tie: Tie = None,
    strength: Strength = None,
    outcome: Outcome = None,
    weight: Weight = None,
) -> Answer:
    """Rank examples by pairwise preferences, with an interval for every score.

    With --out DIR the tables examples, annotations, posterior, annotators and trace are written.

    Examples:

      polars-crowd rank comparisons.parquet

      polars-crowd rank arena.csv --left model_a --right model_b --annotator judge
      --sides model_a,model_b --tie tie --out results

      polars-crowd rank judged.jsonl --winner verdict --strength 3 --out results
    """
    fits: dict[str, Any] = {
        "bradley-terry": pc.bradley_terry,
        "crowd-bradley-terry": pc.crowd_bradley_terry,
    }
    if any(map(is_store, log)):
        raise typer.BadParameter("a store holds labels, not comparisons.")
    if outcome is not None:
        refuse(call, ["winner", "sides", "tie", "strength"], "not with --outcome.")
    theirs = {"left": left, "right": right, "annotator": annotator}
    if not (sides or strength or outcome):
        theirs["winner"] = winner
    names = {ours: name for ours, name in theirs.items() if name not in (ours, "-")}
    meaning = {"sides": _pair(sides or ()), "ties": tie or (), "strength": _strength(strength)}
    place = directory_for(call, pc.Preferences.TABLES)
    with progress() as step, reading(log):
        step("reading the comparisons")
        comparisons = _of_export(call, log) or pc.scan_comparisons(
            log[0] if len(log) == 1 else log,
            left=left,
            right=right,
            annotator=None if annotator == "-" else annotator,
            winner=winner,
            **meaning,
            outcome=outcome,
            weight=weight,
            **Input.of(call).how,
        )
        fit: pc.Preferences = fits[method](
            comparisons, level=level, intervals=intervals, n_boot=n_boot
        )
        files = write_tables(call, place, fit, names)
    annotators = fit.annotators.rename(names, strict=False)

    def report() -> Iterator[Block]:
        n = len(fit._comparisons.examples)
        yield aside(fit._header())
        yield Block(
            "The best first", fit.examples.head(SHOWN if files else MOST).collect(), total=n
        )
        yield aside("The annotators least in agreement", annotators.head(SHOWN))
        if files:
            yield written(files)

    return Answer(fit.examples, report)


def _of_export(call: typer.Context, log: Sequence[str]) -> Export | None:
    """The export of battles that LOG is, if no option says what its columns hold."""
    seen = None if given(call).keys() & OF_COLUMNS else seen_as(log)
    if seen is None or seen[0] != "comparisons":
        return None
    found = pc.formats.read_comparisons(seen[1], annotator="somebody")
    note(f"{', '.join(log)}: {found}")
    return found


def _pair(sides: Sequence[str]) -> tuple[Any, Any] | None:
    """The two sides, of which one text may name both.

    >>> _pair(["a,b"]), _pair(["a,b", "c"]), _pair(['["a,b", 1]'])
    (('a', 'b'), ('a,b', 'c'), ('a,b', 1))
    """
    if not sides:
        return None
    names = list(sides) if len(sides) > 1 else _json("--sides", sides[0], "[") or listed(sides[0])
    if names is None or len(names) != 2:
        given = " --sides ".join(sides)
        raise typer.BadParameter(f"--sides {given}: give two values, as in model_a,model_b.")
    return names[0], names[1]


def _strength(text: str | None) -> Any:
    """A number, or numbers by verdict."""
    if text is None:
        return None
    try:
        return _json("--strength", text, "{") or float(text)
    except ValueError:
        raise typer.BadParameter(f"--strength {text}: give a number, or a JSON object.") from None


def _json(option: str, text: str, opening: str) -> Any:
    """What a text says in JSON, None if it does not begin so."""
    if not text.lstrip().startswith(opening):
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"{option} {text}: no JSON: {error}.") from None
