"""Runs of the command in this process."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from unittest import mock

from typer.main import get_command
from typer.testing import CliRunner, Result

from polars_crowd import cli

OPTIONS = (
    "classes|init|gold|duplicates|into|by|executor|weights|level|max_iter|tol|progress|separator|encoding|"
    "has_header|columns|comment|quote|sheet|missing|keep_missing|normalize|interval|format|overwrite|names|"
    "truth|truth_label|label_type|decimal_comma|exclude|strength|sides|ties|outcome|order_by"
)
PYTHON = re.compile(rf"\bpc\.\w|\blog\.\w+\(|\b({OPTIONS})=")
"""What is for those who write Python."""
PLAIN = {"COLUMNS": "100", "NO_COLOR": "1", "FORCE_COLOR": None, "TTY_COMPATIBLE": None}


app = cache(cli.app)
built = mock.patch("typer.testing._get_command", cache(get_command))
"""The program is put together once, as in a process: it takes ten times as long as most of its runs here."""


def run(*arguments: str | Path, stdin: bytes | None = None, **env: str) -> Result:
    given = [str(a) for a in arguments]
    with built:
        return CliRunner(env={**PLAIN, **env}).invoke(app(), given, input=stdin)


def succeeded(*arguments: str | Path, stdin: bytes | None = None, **env: str) -> str:
    result = run(*arguments, stdin=stdin, **env)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def refused(*arguments: str | Path, stdin: bytes | None = None) -> str:
    """What is said by a run that ends with exit code 2: its one message, without the program's name."""
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert not PYTHON.search(result.stderr), "advice for Python"
    assert result.stderr.startswith("polars-crowd: error: ")
    assert result.stderr.count("polars-crowd: ") == 1
    return result.stderr.removeprefix("polars-crowd: error: ")


def files_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())
