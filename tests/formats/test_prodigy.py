"""Prodigy."""

from __future__ import annotations

import pytest

import polars_crowd as pc
from tests.formats.samples import SAMPLES, assert_reads, expected

HERE = SAMPLES / "prodigy"


@pytest.mark.parametrize(
    ("file", "question"),
    [
        ("choice", None),
        ("choice_multiple", None),
        ("binary", "ANGRY"),
        ("binary", "URGENT"),
        ("old_without_annotator", None),
        ("review", None),
    ],
)
def test_samples(file: str, question: str | None) -> None:
    export = pc.formats.read(HERE / f"{file}.jsonl", question=question)
    rows = "expected.csv" if file == "choice" else f"expected_{file}.csv"
    assert_reads(export, expected(f"prodigy/{rows}", question))
