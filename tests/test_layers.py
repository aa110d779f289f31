"""The house: imports run from a lower floor to a higher one, or inside a folder."""

import ast
from pathlib import Path

import pytest

import polars_crowd

PACKAGE = Path(polars_crowd.__file__).parent
FLOORS = (
    ("escapes",),
    ("errors", "arrays", "compatible", "markup", "charted"),
    ("option_checks", "limits", "calls", "cells"),
    ("reports", "signatures"),
    ("numerics",),
    ("inputs",),
    ("runs",),
    ("rounds",),
    ("formats",),
    ("consensus",),
    ("reliability",),
    ("store",),
    ("truth",),
    ("active",),
    ("simulate", "datasets"),
    ("annotators",),
    ("reporting",),
    ("compat",),
    ("cli", "namespace", "__init__"),
    ("__main__",),
)
FLOOR = {room: level for level, floor in enumerate(FLOORS) for room in floor}
FILES = sorted(PACKAGE.rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    """The rooms of the package that a module imports from."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    modules = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {
        [*name.split("."), "__init__"][1] for name in modules if name.startswith("polars_crowd")
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_from_a_lower_floor_to_a_higher_one(path: Path) -> None:
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    rooms = imports_of(path) - {room}
    assert all(FLOOR[other] < FLOOR[room] for other in rooms), rooms
    if room not in {"cli", "__init__"}:
        assert "store" not in rooms
