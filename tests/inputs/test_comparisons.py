"""The door for comparisons: winners of any type, how sure they are, weights and shares of a win."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from polars_crowd.errors import AnnotationError, OptionError
from polars_crowd.inputs.comparisons import scan_comparisons

PAIRS = {"left": ["x", "y", "z"], "right": ["y", "z", "x"], "annotator": ["j", "j", "k"]}
RIGHT = ["x", "z", None]
"""The winners: the left one, the right one, neither."""


def winners(said: pl.Series, **options: Any) -> list[str | None]:
    log = pl.DataFrame({**PAIRS, "winner": said})
    found = scan_comparisons(log, **options).collect()
    assert found["tie"].to_list() == [winner is None for winner in found["winner"]]
    return found["winner"].to_list()


@pytest.mark.parametrize(
    ("said", "sides", "ties"),
    [
        (pl.Series([1, 0, 2]), (1, 0), [2]),
        (pl.Series([1, -1, 0]), (1, -1), [0]),
        (pl.Series([1, -1, 0], dtype=pl.Int8), ("1", "-1"), ["0"]),
        (pl.Series([1.0, 0.0, 0.5]), (1, 0), [0.5]),
        (pl.Series([1.0, 0.0, 0.5]), ("1.0", "0.0"), [".5"]),
        (pl.Series(["1.0", "0.0", "0.5"]), (1, 0), [0.5]),
        (pl.Series(["1", "0", "tie"]), (1, 0), ["tie"]),
        (pl.Series([True, False, None]), (True, False), [None]),
        (pl.Series([True, False, None]), ("True", "false"), [""]),
        (pl.Series([True, False, None]), (1, 0), [None]),
        (pl.Series(["True", "False", "both"]), (True, False), ["both"]),
        (pl.Series(["a,b", "c", ""]), ("a,b", "c"), [""]),
        (pl.Series(["A", "B", "="], dtype=pl.Categorical), ("A", "B"), ["="]),
        (pl.Series(["A", "B", "="], dtype=pl.Enum(["A", "B", "="])), ["A", "B"], "="),
        (pl.Series([date(2024, 1, d) for d in (1, 2, 3)]), ("2024-01-01", date(2024, 1, 2)), None),
    ],
)
def test_winners_of_any_type(said: pl.Series, sides: Any, ties: Any) -> None:
    ties = [date(2024, 1, 3)] if ties is None else ties
    assert winners(said, sides=sides, ties=ties) == RIGHT


def test_several_ties() -> None:
    said = pl.Series(["A", "tie", "tie (bothbad)"])
    assert winners(said, sides=("A", "B"), ties=["tie", "tie (bothbad)"]) == ["x", None, None]


def test_ids_of_another_type() -> None:
    pairs = pl.DataFrame({"left": [7, 8], "right": [8, 9], "annotator": [1, 1]})
    for said in (["7", "9"], [7.0, 9.0]):
        log = pairs.with_columns(pl.Series("winner", said))
        assert scan_comparisons(log).collect()["winner"].to_list() == [7, 9]
    with pytest.raises(AnnotationError, match=r"neither the left nor the right .* 1 row: '07'"):
        scan_comparisons(pairs.with_columns(winner=pl.Series(["07", "9"])))


@pytest.mark.parametrize("said", ["tie (bothbad)", "", "b"])
def test_values_that_nobody_named_are_named_with_their_rows(said: str) -> None:
    with pytest.raises(AnnotationError) as raised:
        winners(pl.Series(["A", said, said]), sides=("A", "B"), ties=["tie"])
    assert f"is neither side nor tie in 2 rows: {said!r} (2 rows)." in str(raised.value)
    assert "left='y', right='z', annotator='j'" in str(raised.value)
    assert ("'b' may be meant to be 'B'" in str(raised.value)) == (said == "b")
    assert "--sides LEFT --sides RIGHT --tie VALUE" in raised.value.said("command")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sides": "ab"}, r"sides='ab'; give two different values"),
        ({"sides": ("a", "a")}, r"sides='a', 'a'; give two different values"),
        ({"sides": ("a", "b", "c")}, "give two different values"),
        ({"sides": ("a", "b"), "ties": ["b"]}, r"ties='b'; 'b' means something else"),
        ({"sides": (1, 0), "ties": ["1.0"]}, r"sides= and ties: 1.0 means two things"),
        ({"sides": (["a"], "b")}, "; give single values"),
        ({"ties": 2}, "ties=2; give a list of values"),
        ({"strength": True}, "strength=True; it must be a number above 0"),
        ({"strength": 0}, r"strength=0; it must be a number above 0"),
        ({"strength": {"a": "x"}}, r"strength=\{'a': 'x'\}; it must be a finite number"),
        ({"strength": {"a": 1}, "sides": ("a", "b")}, "sides= has no effect beside strengths"),
        ({"outcome": "winner", "ties": ["tie"]}, "outcome= is read in place of winners"),
    ],
)
def test_options_that_say_nothing_clear(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        winners(pl.Series(["a", "b", "a"]), **options)


# --- how much a comparison counts ------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}", "[[{}]]", " {} "])
def test_verdicts_that_say_how_sure_they_are(form: str) -> None:
    said = ["A>>B", "A>B", "A=B", "B=A", "B>A", "B >> A", "A<B", "B << A"]
    log = pl.DataFrame({"left": "x", "right": "y", "said": [form.format(v) for v in said]})
    found = scan_comparisons(log, annotator=None, winner="said", strength=3).collect()
    assert found["winner"].to_list() == ["x", "x", None, None, "y", "y", "y", "x"]
    assert found["comparison_weight"].to_list() == [3, 1, 1, 1, 1, 3, 1, 3]
    assert found["tie"].sum() == 2
    with pytest.raises(AnnotationError, match=r"neither side nor tie in 1 row: 'A>C'"):
        scan_comparisons(
            pl.concat([log, log.head(1).with_columns(said=pl.lit("A>C"))]),
            annotator=None,
            winner="said",
            strength=3,
        )


def test_strengths_of_all_verdicts() -> None:
    log = pl.DataFrame({**PAIRS, "winner": [5, 2, 3], "w": [1, 2, 4]})
    scale = {1: -2, 2: -1, 3: 0, 4: 1, 5: 2}
    found = scan_comparisons(log, strength=scale, weight="w").collect()
    assert found["winner"].to_list() == RIGHT
    assert found["comparison_weight"].to_list() == [2, 2, 4]
    assert "w" not in found.columns


def test_outcomes_are_shares_of_the_win() -> None:
    log = pl.DataFrame({**PAIRS, "share": [0.8, 0.0, 0.5], "note": ["", "a", "b"]})
    found = scan_comparisons(log, outcome="share").collect()
    assert found["winner"].to_list() == RIGHT
    assert found["left_share"].to_list() == [0.8, 0.0, 0.5]
    assert found["note"].to_list() == ["", "a", "b"]
    again = scan_comparisons(found).collect()
    assert again.equals(found)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("outcome", 1.2, "column 'v' of the log of comparisons is not from 0 to 1 in 1 row"),
        (
            "weight",
            -1.0,
            "column 'v' of the log of comparisons is not a number of 0 or more in 1 row",
        ),
        ("weight", None, "not a number of 0 or more in 1 row"),
        ("weight", float("inf"), "not a number of 0 or more in 1 row"),
    ],
)
def test_numbers_out_of_range_are_named(option: str, value: float | None, message: str) -> None:
    log = pl.DataFrame({**PAIRS, "winner": ["x", "z", "x"], "v": [1.0, value, 0.5]})
    with pytest.raises(AnnotationError, match=rf"{message}:\n  left='y'.*v="):
        scan_comparisons(log, **{option: "v"})  # type: ignore[arg-type]


def test_rows_that_are_no_comparisons_need_no_weight() -> None:
    log = pl.DataFrame({**PAIRS, "winner": ["x", None, "x"], "w": [1.0, None, 0.5]})
    assert scan_comparisons(log, weight="w").collect()["comparison_weight"].to_list() == [1, 0.5]


def test_missing_columns_name_the_nearest() -> None:
    log = pl.DataFrame({**PAIRS, "Winner": RIGHT})
    with pytest.raises(AnnotationError, match=r"no column 'winner'; .* Did you mean 'Winner'\?"):
        scan_comparisons(log)
    with pytest.raises(AnnotationError, match=r"no column 'wins'"):
        scan_comparisons(log, winner="Winner", weight="wins")


def test_text_files(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("left,right,annotator,winner,w\nx,y,j,1.0,2\ny,z,j,0.0,1\nz,x,k,,1\n")
    found = scan_comparisons(path, sides=(1, 0), weight="w").collect()
    assert found.select("winner", "comparison_weight").rows() == [("x", 2.0), ("z", 1.0)]
    assert scan_comparisons(path, sides=(1, 0), ties=[None]).collect()["winner"].to_list() == RIGHT
