"""The oldest versions that are tested are the oldest that are declared."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LOWEST = re.compile(r"([\w-]+)[>=]=([\w.]+)")


def lowest(requirements: list[str]) -> dict[str, str]:
    """The lower bound of each requirement, those on the project's own extras left out."""
    found = [LOWEST.match(line) for line in requirements if not line.startswith(PROJECT["name"])]
    return {match[1]: match[2] for match in found if match}


def test_the_lower_bounds_are_the_versions_that_the_oldest_run_installs() -> None:
    tested = (ROOT / ".ci" / "oldest.txt").read_text().splitlines()
    used = [line for extra, lines in EXTRAS.items() if extra != "dev" for line in lines]
    assert lowest([*PROJECT["dependencies"], *used]).items() <= lowest(tested).items()


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_requirement_has_a_lower_bound(extra: str) -> None:
    own = [line for line in EXTRAS[extra] if not line.startswith(PROJECT["name"])]
    assert len(lowest(own)) == len(own)


def test_the_oldest_python_is_declared_alike() -> None:
    oldest = PROJECT["requires-python"].removeprefix(">=")
    named = [c.split(" :: ")[-1] for c in PROJECT["classifiers"] if "Python :: 3." in c]
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert named[0] == oldest
    assert re.findall(r'versions: oldest, python: "([\d.]+)"', workflow) == [oldest]


@pytest.mark.parametrize("folder", ["polars_crowd", "tests"])
def test_what_polars_1_and_2_take_differently_is_said(folder: str) -> None:
    """Polars 1 warns of an explode that does not say what empty lists become, and of frames side by side."""
    calls = [
        (path.name, node.lineno, node)
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]
    assert not [call[:2] for call in calls if differs(call[2])]


def differs(call: ast.Call) -> bool:
    said = {k.arg: ast.unparse(k.value) for k in call.keywords}
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    return (name == "explode" and "empty_as_null" not in said) or said.get("how") == "'horizontal'"
