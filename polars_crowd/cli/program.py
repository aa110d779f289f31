"""`polars-crowd` itself, without a command."""

from __future__ import annotations

from typing import Annotated

import typer

import polars_crowd as pc


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"polars-crowd {pc.__version__}")
        raise typer.Exit


def program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_show_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Consensus labels, annotator quality and label quality from annotation logs.

    Start with: polars-crowd demo
    """
