"""Runs of the command in this process."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner, Result

from polars_crowd import cli

OPTIONS = "classes|init|gold|duplicates|into|by|executor|weights|level|max_iter|tol|progress"
PYTHON = re.compile(rf"\bpc\.\w|\blog\.\w+\(|\b({OPTIONS})=")
"""What is for those who write Python."""
PLAIN = {"COLUMNS": "100", "NO_COLOR": "1", "FORCE_COLOR": None, "TTY_COMPATIBLE": None}


def run(*arguments: str | Path, **env: str) -> Result:
    return CliRunner(env={**PLAIN, **env}).invoke(cli.app(), [str(a) for a in arguments])


def succeeded(*arguments: str | Path, **env: str) -> str:
    result = run(*arguments, **env)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def refused(*arguments: str | Path) -> str:
    """What is said by a run that ends with exit code 2: its one message, without the program's name.

    Of a usage error, the words without their frame.
    """
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert not PYTHON.search(result.stderr), "advice for Python"
    if result.stderr.startswith("Usage: "):
        return " ".join(result.stderr.replace("│", " ").split())
    assert result.stderr.startswith("polars-crowd: ")
    assert result.stderr.count("polars-crowd: ") == 1
    return result.stderr.removeprefix("polars-crowd: ")


def files_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())
