"""Ids of two tables are matched as they are written; what matches nothing is said."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.inputs.matching import ids_like, match_ids

DAY = dt.date(2024, 1, 2)


@pytest.mark.parametrize(
    ("given", "known", "matched"),
    [
        (pl.Series(["7", "007", "x", None]), pl.Series([7, 8]), [7, None, None, None]),
        (pl.Series([7, 8]), pl.Series(["7", "08"]), ["7", None]),
        (pl.Series([7.0, 7.5]), pl.Series([7, 8]), [7, None]),
        (pl.Series([7.0, 7.5]), pl.Series(["7", "7.5"]), ["7", "7.5"]),
        (pl.Series([7, 300], dtype=pl.Int16), pl.Series([7], dtype=pl.UInt8), [7, None]),
        (pl.Series(["true", "False"]), pl.Series([True, False]), [True, None]),
        (pl.Series([True, None]), pl.Series(["true"]), ["true", None]),
        (pl.Series(["2024-01-02", "2024-1-2"]), pl.Series([DAY]), [DAY, None]),
        (pl.Series([DAY]), pl.Series(["2024-01-02"]), ["2024-01-02"]),
        (pl.Series(["b", "z"]), pl.Series(["b"], dtype=pl.Enum(["a", "b"])), ["b", None]),
        (pl.Series(["b"], dtype=pl.Categorical), pl.Series(["b"]), ["b"]),
        (pl.Series([1, 2]), pl.Series(["1"], dtype=pl.Enum(["1", "3"])), ["1", None]),
    ],
)
def test_ids_are_the_same_if_they_are_written_the_same(
    given: pl.Series, known: pl.Series, matched: list[Any]
) -> None:
    match = match_ids(given, known, "gold")
    assert match.ids.dtype == known.dtype
    assert match.ids.to_list() == matched
    lost = [g for g, m in zip(given, matched, strict=True) if m is None and g is not None]
    assert match.unmatched.to_list() == lost


@pytest.mark.parametrize("known", [pl.Series([1, 2]), pl.Series(["a", "b"])])
def test_a_table_that_matches_nothing_shows_both_sides(known: pl.Series) -> None:
    message = (
        r"gold: none of its 2 examples is in the log\. In gold: 'x', 'y'; in the log: .*Say which"
    )
    with pytest.raises(pc.AnnotationError, match=message):
        match_ids(pl.Series(["x", "y", "x"]), known, "gold")


@pytest.mark.parametrize(
    ("given", "known", "words"),
    [
        (["A1"], ["b1", "a1"], "as 'A1' and 'a1' are"),
        ([" a1 "], ["a1"], "as ' a1 ' and 'a1' are"),
        ([7], ["007"], "as '7' and '007' are"),
    ],
)
def test_ids_that_are_almost_the_same_are_shown(given: Any, known: Any, words: str) -> None:
    with pytest.raises(
        pc.AnnotationError, match=f"case, surrounding space or leading zeros, {words}"
    ):
        match_ids(pl.Series(given), pl.Series(known), "gold")


def test_what_matches_in_part_is_counted() -> None:
    match = match_ids(pl.Series(["a", "x", "x"]), pl.Series(["a"]), "gold", "annotator")
    with pytest.warns(
        pc.AnnotationWarning, match="gold: 1 annotator of 3 rows match none of the log .*: 'x'"
    ):
        match.say("gold", "annotator")
    match_ids(pl.Series(["a"]), pl.Series(["a"]), "gold").say("gold")
    nothing = pl.Series([], dtype=pl.String)
    assert match_ids(nothing, pl.Series([1]), "gold").unmatched.is_empty()


def test_ids_that_cannot_be_written_alike() -> None:
    with pytest.raises(
        pc.AnnotationError, match=r"'example' is Duration.* in the log but String in truth"
    ):
        ids_like("example", pl.String(), pl.Duration("us"), "truth")


# --- where tables meet -----------------------------------------------------------------------------

LOG = pl.DataFrame(
    {
        "example": [1, 1, 2, 2, 3, 3],
        "annotator": ["a", "b"] * 3,
        "label": ["x", "x", "y", "y", "x", "y"],
    }
)
PROBS = pl.DataFrame({"example": ["1", "2", "3"], "x": [0.9, 0.2, 0.5], "y": [0.1, 0.8, 0.5]})


def test_pred_probs_of_another_type() -> None:
    same = PROBS.with_columns(pl.col("example").cast(pl.Int64))
    expected = pc.crowdlab(LOG, same).examples.collect()
    for dtype in (pl.String, pl.Float64):
        found = pc.crowdlab(LOG, PROBS.with_columns(pl.col("example").cast(dtype)))
        assert found.examples.collect().equals(expected)


def test_pred_probs_of_files(tmp_path: Path) -> None:
    LOG.with_columns(pl.format("0{}", "example").alias("example")).write_csv(tmp_path / "log.csv")
    PROBS.write_csv(tmp_path / "probs.csv")
    log, probs = tmp_path / "log.csv", tmp_path / "probs.csv"
    with pytest.raises(
        pc.AnnotationError, match=r"In pred_probs: 1, 2, 3; .*'01', '02', '03'.*leading zeros"
    ):
        pc.crowdlab(log, probs)


MANY = pl.DataFrame(
    {
        "example": [e for e in range(1, 7) for _ in "ab"],
        "annotator": ["a", "b"] * 6,
        "label": [0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 1],
    }
)


@pytest.mark.parametrize("label", [[0, 1, 0], [0.0, 1.0, 0.0], ["0", "1", "0"]])
@pytest.mark.parametrize("ids", [pl.Int64, pl.String, pl.Float64])
@pytest.mark.parametrize("of_log", [pl.Int64, pl.String, pl.Float64])
def test_gold_of_another_type(label: list[Any], ids: Any, of_log: Any) -> None:
    written = pl.col("label").cast(of_log)
    gold = pl.DataFrame({"example": pl.Series([1, 2, 3]).cast(ids), "label": label})
    fit = pc.dawid_skene(MANY.with_columns(written), gold=gold)
    truth = fit.examples.sort("example").collect()["consensus_label"]
    assert truth.cast(pl.Float64).to_list() == [0, 1, 0, 0, 1, 1]


def test_gold_that_is_not_in_the_log_is_counted() -> None:
    gold = pl.DataFrame({"example": [1, 8, 9], "label": [0, 1, 1]})
    with pytest.warns(pc.AnnotationWarning, match="gold: 2 of its 3 examples are not in the log"):
        pc.dawid_skene(MANY, gold=gold)
    numbers = MANY.with_columns(label=pl.col("label") + pl.int_range(12) / 10)
    of_numbers = gold.with_columns(label=pl.Series(["1", "2", "3"]))
    with pytest.warns(pc.AnnotationWarning, match="gold: 2 of its 3 examples are not in the log"):
        pc.crh(numbers, gold=of_numbers)
    with pytest.raises(pc.AnnotationError, match=r"gold: 1 value .*\n.*'soso'"):
        pc.crh(numbers, gold=gold.head(1).with_columns(label=pl.lit("soso")))


# --- numbers, where they are asked for -------------------------------------------------------------

RATINGS = ["9", "10", "1", "2", "8", "8"]


def test_ratings_as_text() -> None:
    text, numbers = (
        LOG.with_columns(label=pl.Series(RATINGS).cast(dtype)) for dtype in (pl.String, pl.Int64)
    )
    for found, expected in (
        (
            pc.krippendorff_alpha(text, level="interval"),
            pc.krippendorff_alpha(numbers, level="interval"),
        ),
        (pc.icc(text), pc.icc(numbers)),
    ):
        assert found["value"].to_list() == expected["value"].to_list()
    means = [pc.mean_truth(log).examples.collect() for log in (text, numbers)]
    assert means[0].equals(means[1])
    wrong = text.with_columns(label=pl.col("label").replace("8", "eight"))
    with pytest.raises(pc.AnnotationError, match=r"the log: 2 values .*\n.*'eight' \(2 rows\)"):
        pc.krippendorff_alpha(wrong, level="interval")
    nominal = pc.krippendorff_alpha(text)["value"].item()
    assert nominal == pc.krippendorff_alpha(numbers)["value"].item()
