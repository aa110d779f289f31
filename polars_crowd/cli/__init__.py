"""The command line `polars-crowd`: a module per command.

To add one: a module here with a function (or a `typer.Typer` of subcommands) of the module's own name,
told by `common.told()` and with options from `common`; then that name in COMMANDS, in the help's order.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import typer

COMMANDS = (
    "demo",
    "read",
    "check",
    "consensus",
    "next",
    "store",
    "compare",
    "rank",
    "agreement",
    "annotators",
    "judges",
    "explain",
    "report",
)

EXTRA = ("typer", "rich")
"""What the extra `cli` installs."""


def app(names: Sequence[str] = COMMANDS) -> typer.Typer:
    """The commands, for typer to run."""
    import typer

    program = import_module("polars_crowd.cli.program")
    commands = typer.Typer(
        name="polars-crowd",
        cls=program.Program,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    commands.callback()(program.program)
    for name in names:
        command = getattr(import_module(f"polars_crowd.cli.{name}"), name)
        if isinstance(command, typer.Typer):
            commands.add_typer(command, name=name)
        else:
            commands.command(name)(command)
    return commands


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, _terminated)
    _commands()(prog_name="polars-crowd")


def _commands() -> typer.Typer:
    asked = [name for name in sys.argv[1:2] if name in COMMANDS]
    try:
        return app(asked or COMMANDS)  # one that is named first needs no other
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA:
            raise
        print(
            f'polars-crowd: {package} is not installed; install it with: pip install "polars-crowd[cli]"',
            file=sys.stderr,
        )
        sys.exit(2)


def _terminated(*_: Any) -> None:
    """End as after an error, so that unfinished files are removed."""
    sys.exit(128 + signal.SIGTERM)
