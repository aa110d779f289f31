"""`polars-crowd rank`: scores of examples from pairwise preferences."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import polars_crowd as pc
from polars_crowd.cli import common
from polars_crowd.cli.common import SHOWN, alike, in_files, progress, show, stdout, told
from polars_crowd.cli.files import sink, whole_files
from polars_crowd.cli.inputs import Input, is_store, listed, reading
from polars_crowd.cli.reading import reads, text
from polars_crowd.cli.truth import told_files

Log = Annotated[
    list[str],
    typer.Argument(
        metavar="LOG",
        help="The comparisons, a row each: files, globs or directories.",
        show_default=False,
    ),
]
Method = Annotated[
    str,
    typer.Option(
        metavar="METHOD",
        parser=alike(["bradley-terry", "crowd-bradley-terry"]),
        help="bradley-terry, or crowd-bradley-terry, which judges the annotators, too.",
    ),
]
Level = Annotated[float, typer.Option(help="The level of the intervals.")]
Left = Annotated[str, in_files("The log's column of the one example.")]
Right = Annotated[str, in_files("The log's column of the other example.")]
Annotator = Annotated[
    str, in_files("The log's column of annotators; - if it does not say who compared.")
]
Winner = Annotated[str, in_files("The log's column of the example that won.")]
Sides = Annotated[
    str | None,
    in_files("What that column says for the left and the right one, if not their ids.", "A,B"),
]
Tie = Annotated[
    list[str] | None, in_files("What it says where neither won. May be repeated.", "VALUE")
]


@told
@reads(text)
def rank(
    call: typer.Context,
    log: Log,
    into: common.Into,
    method: Method = "bradley-terry",
    level: Level = 0.95,
    file_format: common.Format = "parquet",
    force: common.Force = False,
    left: Left = "left",
    right: Right = "right",
    annotator: Annotator = "annotator",
    winner: Winner = "winner",
    sides: Sides = None,
    tie: Tie = None,
) -> None:
    """Rank examples by pairwise preferences, with an interval for every score.

    Writes the tables examples and annotators into DIR.

    Examples:

      polars-crowd rank comparisons.parquet --into out

      polars-crowd rank arena.csv --left model_a --right model_b --annotator judge
      --sides model_a,model_b --tie tie --into out
    """
    fits: dict[str, Any] = {
        "bradley-terry": pc.bradley_terry,
        "crowd-bradley-terry": pc.crowd_bradley_terry,
    }
    files = [f"{table}.{file_format}" for table in ("examples", "annotators")]
    if any(map(is_store, log)):
        raise typer.BadParameter("a store holds labels, not comparisons.")
    with (
        progress() as step,
        reading(log),
        whole_files(into, files, force=force) as paths,
    ):
        step("reading the comparisons")
        comparisons = pc.scan_comparisons(
            log[0] if len(log) == 1 else log,
            left=left,
            right=right,
            annotator=None if annotator == "-" else annotator,
            winner=winner,
            sides=_pair(sides),
            ties=tie or (),
            **Input.of(call).how,
        )
        fit: pc.Preferences = fits[method](comparisons, level=level)
        for file, table in zip(files, (fit.examples, fit.annotators.lazy()), strict=True):
            sink(table, paths[file], into / file)
    console = stdout()
    console.print(repr(fit).splitlines()[0], soft_wrap=True)
    show(console, "The best", fit.examples.head(SHOWN).collect())
    show(console, "The annotators least in agreement", fit.annotators.head(SHOWN))
    told_files([into / file for file in files])


def _pair(sides: str | None) -> tuple[str, str] | None:
    names = listed(sides)
    if names is None:
        return None
    if len(names) != 2:
        raise typer.BadParameter(f"--sides {sides}: give two values, as in model_a,model_b.")
    return names[0], names[1]
