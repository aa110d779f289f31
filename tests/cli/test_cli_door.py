"""The small files of tests/data/door through the command: the log that each gives, or the library's error."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from tests.cli.commands import refused, succeeded
from tests.inputs.door_cases import FILES, GIVEN, REFUSED, expected, named, scanned


def arguments(case: dict[str, Any]) -> list[str]:
    """How the command is asked for what Python is asked for."""
    said: list[str] = [str(FILES / case["file"])]
    for name, value in case["options"].items():
        option = f"--{name.replace('_', '-')}"
        if name == "has_header":
            said += ["--no-header"]
        elif value is True:
            said += [option]
        else:
            values = value if isinstance(value, list) else ["none" if value is None else value]
            said += [option, ",".join(map(str, values))]
    return said


@pytest.mark.parametrize("case", [case for case in GIVEN if case["rows"]], ids=named)
def test_the_size_of_the_log_of_a_file(case: dict[str, Any]) -> None:
    if case["file"].endswith(".xlsx"):
        pytest.importorskip("fastexcel")
    options = ("--duplicates", "all", "--format", "json", "--quiet")
    found = json.loads(succeeded("consensus", *arguments(case), *options))
    rows = expected(case)
    assert found["num_examples"] == rows["example"].n_unique()
    assert found["num_annotators"] == rows["annotator"].n_unique()
    assert found["num_annotations"] == rows.height
    ids = [str(row[case["options"].get("example", "example")]) for row in found["examples"]]
    assert ids == rows["example"].unique().sort().cast(pl.String).to_list()


@pytest.mark.parametrize("command", ["check", "consensus"])
@pytest.mark.parametrize("case", REFUSED, ids=named)
def test_a_file_that_is_refused(case: dict[str, Any], command: str) -> None:
    with pytest.raises(pc.AnnotationError) as error:
        scanned(case)
    assert refused(command, *arguments(case)) == f"{error.value.said('command')}\n"
