"""All formats, and the reader that finds out which one a file is of."""

from __future__ import annotations

import csv
import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

from polars_crowd.errors import Advice, AnnotationError, OptionError, shown
from polars_crowd.formats.export import Export
from polars_crowd.formats.look import Format, Look

MODULES = (
    "appen",
    "argilla",
    "crowd_kit",
    "deepeval",
    "doccano",
    "hugging_face",
    "inspect_ai",
    "label_matrices",
    "label_studio",
    "labelbox",
    "langfuse",
    "langsmith",
    "lm_eval",
    "mlflow",
    "mturk",
    "opik",
    "phoenix",
    "potato",
    "preferences",
    "prodigy",
    "promptfoo",
    "toloka",
    "zooniverse",
)
FORMATS: dict[str, Format] = {
    known.name: known
    for name in MODULES
    for known in vars(import_module(f"polars_crowd.formats.{name}")).values()
    if isinstance(known, Format)
}
"""The formats, which are constants of their modules."""


def read(path: str | Path, format: str | None = None, **options: Any) -> Export:
    """Read an export of any tool that is known.

    Parameters
    ----------
    path
        The file, or the directory where the tool writes one.
    format
        The tool; by default it is found out by what the file holds. One of `appen`, `argilla`, `cleanlab`,
        `comparisons` (of models: arena, MT-bench, AlpacaEval, crowd-kit's pairs), `crowd_kit`, `deepeval`,
        `doccano`, `hugging_face`, `inspect`, `label_matrix` (Snorkel, WRENCH), `label_studio`, `labelbox`,
        `langfuse`, `langsmith`, `lewidi`, `lm_eval`, `mlflow`, `mt_bench` (its scores), `mturk`, `opik`,
        `peerannot`, `phoenix`, `potato`, `prodigy`, `promptfoo`, `toloka`, `zooniverse`.
    options
        Those of the tool's own reader: `question`, `status`, `predictions`, `gold`, `annotator`, and its own,
        which `help(pc.formats.read_label_studio)` and the like say.

    Raises
    ------
    AnnotationError
        The file looks like none of the formats, or like several.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> pc.formats.read(pc.datasets.label_studio_sample(), question="stars").questions
    shape: (3, 3)
    ┌───────────┬────────┬─────────────┐
    │ question  ┆ kind   ┆ num_answers │
    │ ---       ┆ ---    ┆ ---         │
    │ str       ┆ str    ┆ i64         │
    ╞═══════════╪════════╪═════════════╡
    │ sentiment ┆ class  ┆ 13          │
    │ stars     ┆ number ┆ 12          │
    │ topics    ┆ set    ┆ 13          │
    └───────────┴────────┴─────────────┘
    """
    known = _known(format) if format is not None else _recognised(path)
    parameters = inspect.signature(known.read).parameters
    for name, value in options.items():
        if name not in parameters:
            raise OptionError(
                name,
                value,
                f"the reader for {known.title} takes {shown(list(parameters)[1:], 20)}.",
            )
    found: Export = known.read(path, **options)
    return found


def format_of(path: str | Path, *, plain: bool = False) -> str | None:
    """The one format that a file is seen to be of; tables of no tool only if they are asked for."""
    try:
        like = _like(Look.at(path))
    except (AnnotationError, OSError, pl.exceptions.PolarsError, csv.Error):
        return None
    return like[0].name if len(like) == 1 and (plain or not like[0].is_plain) else None


def _like(look: Look) -> list[Format]:
    """The formats that a file looks like: those of tools, if there are any."""
    if look.is_empty:
        return []
    of_tools = [f for f in FORMATS.values() if not f.is_plain and f.is_like(look)]
    return of_tools or [f for f in FORMATS.values() if f.is_plain and f.is_like(look)]


def _known(format: str) -> Format:
    if format not in FORMATS:
        raise OptionError("format", format, f"it must be one of {shown(sorted(FORMATS), 50)}.")
    return FORMATS[format]


def _recognised(path: str | Path) -> Format:
    look = Look.at(path)
    like = _like(look)
    if len(like) == 1:
        return like[0]
    name = Advice("Say which it is", python="format=...", command="--export TOOL")
    if like:
        raise AnnotationError(
            f"{path} may be an export of {' or '.join(known.title for known in like)}.", name
        )
    raise AnnotationError(
        f"{path} looks like no export that can be read: it is {look.seen()}.", name
    )
