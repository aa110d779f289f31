"""`polars-crowd` itself, without a command."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import polars_crowd as pc
from polars_crowd.cli.common import tell
from polars_crowd.cli.reading import flowing, option


class Program(TyperGroup):
    """The commands; a wrong call is told like other errors, in one message with exit code 2."""

    def main(self, *args: Any, **more: Any) -> Any:
        more["standalone_mode"] = False
        try:
            code = super().main(*args, **more)
        except typer.Abort:
            sys.exit(1)
        except Exception as error:
            if not hasattr(error, "format_message"):  # what typer raises
                raise
            _tell_wrong_call(error)
            sys.exit(2)
        sys.exit(code if isinstance(code, int) else 0)


def _tell_wrong_call(error: Any) -> None:
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.message, end="", file=sys.stderr)  # empty where rich has printed it
        return
    param = getattr(error, "param", None)
    if param is not None and error.message:
        name = next((o for o in param.opts if o.startswith("--")), param.metavar)
        tell(f"error: {name}: {error.message.removeprefix('Value error, ')}")
    elif isinstance(error, typer.BadParameter) and error.message:
        tell(f"error: {error.message}")
    else:
        message = error.format_message().rstrip(".")
        end = "" if message.endswith("?") else "."
        tell(f"error: {message}{end} See: {error.ctx.command_path} --help")


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"polars-crowd {pc.__version__}")
        raise typer.Exit


def program(
    version: Annotated[
        bool,
        option("Show the version.", None, "--version", "-V", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Consensus labels, annotator quality and label quality from annotation logs.

    Start with: polars-crowd demo

    Exit codes: 1 where a check or a bar was missed, or work could not be finished; 2 where the call
    or the files cannot be used; else 0.
    """


program.__doc__ = flowing(program.__doc__ or "")
