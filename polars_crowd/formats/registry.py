"""All formats, and the reader that finds out which one a file is of."""

from __future__ import annotations

import inspect
from typing import Any

from polars_crowd.errors import Advice, AnnotationError, OptionError, shown
from polars_crowd.formats.export import Export
from polars_crowd.formats.look import FORMATS, Format, Look
from polars_crowd.formats.reader import Paths, looks_in, looks_of


def read(path: Paths, format: str | None = None, **options: Any) -> Export:
    """Read an export of any tool that is known.

    Parameters
    ----------
    path
        The file, or the directory where the tool writes one; several of one format, as a list or a pattern
        with `*`, are read as one.
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
    looks = looks_of(path)
    known = _known(format) if format is not None else _recognised(looks)
    parameters = inspect.signature(known.read).parameters
    for name, value in options.items():
        if name not in parameters:
            raise OptionError(
                name,
                value,
                f"the reader for {known.title} takes {shown(list(parameters)[1:], 20)}.",
            )
    found: Export = known.read(looks, **options)
    return found


def seen_as(path: Paths, *, plain: bool = False) -> tuple[str, list[Look]] | None:
    """The one format that files are seen to be of, with a look at each, by which `read` reads them.

    Tables of no tool only if they are asked for. Where the first file is none, no other is looked at.
    """
    try:
        rest = looks_in(path)
        first = next(rest)
        if not _like([first], plain=plain):
            return None
        looks = [first, *rest]
        like = _like(looks, plain=plain)
    except (AnnotationError, OSError):
        return None
    return (like[0].name, looks) if len(like) == 1 else None


def _like(looks: list[Look], *, plain: bool = True) -> list[Format]:
    """The formats that all the files look like: those of tools, if there are any, else those of none."""
    if any(look.is_empty for look in looks):
        return []
    like = (
        [f for f in FORMATS.values() if f.is_plain == of_none and f.are(looks)]
        for of_none in ((False, True) if plain else (False,))
    )
    return next(filter(None, like), [])


def _known(format: str) -> Format:
    if format not in FORMATS:
        raise OptionError("format", format, f"it must be one of {shown(sorted(FORMATS), 50)}.")
    return FORMATS[format]


def _recognised(looks: list[Look]) -> Format:
    like = _like(looks)
    if len(like) == 1:
        return like[0]
    name = Advice("Say which it is", python="format=...", command="--export TOOL")
    if like:
        raise AnnotationError(
            f"{looks[0]} may be an export of {' or '.join(known.title for known in like)}.", name
        )
    for look in looks:
        if not _like([look]):
            raise AnnotationError(
                f"{look} looks like no export that can be read: it is {look.seen()}.", name
            )
    seen = "\n".join(
        f"  {look}: {' or '.join(f.title for f in _like([look]))}" for look in looks[:20]
    )
    raise AnnotationError(
        f"{len(looks)} files are not exports of one tool:\n{seen}", "Read those of each tool alone."
    )
