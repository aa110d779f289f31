"""Bars of `--fail-under NAME=BAR`, below which a command ends with exit code 1."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from polars_crowd.errors import shown

Bar = tuple[str, float]


def bar_of(text: str, such_as: str) -> Bar:
    """A bar from the command line, by the name that it has there.

    >>> bar_of(" alpha=0.67", such_as="alpha=0.67")
    ('alpha', 0.67)
    """
    name, _, bar = text.partition("=")
    try:
        return name.strip(), float(bar)
    except ValueError:
        wrong = f"--fail-under {text}: it must be NAME=BAR, such as {such_as}."
        raise typer.BadParameter(wrong) from None


def bar_of_column(text: str, columns: Sequence[str], such_as: str) -> Bar:
    """... that of a column of a table.

    >>> bar_of_column("winning-rate=0.5", ["winning_rate", "kappa"], such_as="kappa=0.6")
    ('winning_rate', 0.5)
    """
    name, bar = bar_of(text, such_as)
    name = name.replace("-", "_")
    if name not in columns:
        raise typer.BadParameter(
            f"--fail-under {text}: {name!r} is not one of {shown(list(columns), 20)}."
        )
    return name, bar
