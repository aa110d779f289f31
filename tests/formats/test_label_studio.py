"""Label Studio."""

from __future__ import annotations

import pytest

import polars_crowd as pc
from tests.formats.samples import SAMPLES, assert_reads, expected

QUESTIONS = ("sentiment", "topics", "stars")
HERE = SAMPLES / "label_studio"


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    ("file", "rows"),
    [
        ("export.json", "expected.csv"),
        ("enterprise.json", "expected_enterprise.csv"),
        ("target_storage", "expected_target_storage.csv"),
        ("export_min.json", "expected_min.csv"),
        ("export.csv", "expected_min.csv"),
        ("export.tsv", "expected_min.csv"),
    ],
)
def test_samples(file: str, rows: str, question: str) -> None:
    export = pc.formats.read(HERE / file, question=question)
    assert_reads(export, expected(f"label_studio/{rows}", question))


def test_one_file_of_a_target_storage() -> None:
    export = pc.formats.read(HERE / "target_storage" / "501", question="sentiment")
    assert export.log.select("example", "annotator", "label").collect().rows() == [
        ("101", "ann@example.org", "Positive")
    ]
