"""`polars-crowd agreement` prints what the library finds, in three forms, and guards a bar."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from rich.text import Text

import polars_crowd as pc
from polars_crowd.reliability.coefficients import agreement
from tests.cli.commands import refused, run, succeeded
from tests.reliability.agreement_cases import krippendorff_2011


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worked example of Krippendorff (2011), in two halves that agree unequally."""
    path = tmp_path_factory.mktemp("logs") / "log.csv"
    frame = krippendorff_2011().with_columns(half=pl.col("example") % 2)
    frame.write_csv(path)
    return path


def printed(*arguments: str | Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(succeeded("agreement", *arguments, "--format", "json"))
    return found


# --- three forms ----------------------------------------------------------------------------------


def test_table(log: Path) -> None:
    text = succeeded("agreement", log)
    lines = text.splitlines()
    assert lines[1] == "Agreement"
    assert lines[2].split() == [
        "coefficient",
        "value",
        "ci_low",
        "ci_high",
        "num_examples",
        "num_annotators",
    ]
    assert lines[-1].split() == ["krippendorff_alpha", "0.7434", "0.4191", "1.0000", "12", "4"]
    assert len(lines) == 3 + 6


def test_table_tells_why_a_value_is_missing(log: Path) -> None:
    text = succeeded("agreement", log, "--coefficients", "cohen", "--by", "half")
    assert "cohen_kappa (half=0): compares two annotators, here are 4: see conger_kappa\n" in text
    assert "cohen_kappa (half=1): compares two annotators" in text


def test_json(log: Path) -> None:
    expected = agreement(str(log), by="half")
    assert_frame_equal(pl.DataFrame(printed(log, "--by", "half"), schema=expected.schema), expected)


def test_csv(log: Path) -> None:
    text = succeeded("agreement", log, "--format", "csv")
    found = pl.read_csv(
        io.StringIO(text), schema_overrides={"reason": pl.String, "warning": pl.String}
    )
    assert_frame_equal(found, agreement(str(log)))


# --- options --------------------------------------------------------------------------------------


def test_coefficients_by_their_names_or_a_word_of_them(log: Path) -> None:
    found = printed(log, "--coefficients", "fleiss, ac1,krippendorff_alpha")
    assert [row["coefficient"] for row in found] == [
        "fleiss_kappa",
        "gwet_ac1",
        "krippendorff_alpha",
    ]
    assert len(printed(log, "--coefficients", "all")) == 11
    forms = printed(log, "--coefficients", "icc(A,1),icc(k)")
    assert [row["coefficient"] for row in forms] == ["icc(A,1)", "icc(k)"]


def test_options_are_those_of_the_library(log: Path) -> None:
    options = (
        "--level",
        "ordinal",
        "--weights",
        "linear",
        "--confidence",
        "0.9",
        "--interval",
        "bootstrap",
    )
    expected = agreement(
        str(log), level="ordinal", weights="linear", confidence=0.9, interval="bootstrap"
    )
    assert_frame_equal(pl.DataFrame(printed(log, *options), schema=expected.schema), expected)


def test_names_classes_and_duplicates(tmp_path: Path) -> None:
    rows = {
        "task": [1, 1, 2, 2, 2],
        "worker": ["a", "b", "a", "b", "b"],
        "answer": ["x", "x", "y", "x", "y"],
    }
    pl.DataFrame(rows).write_parquet(tmp_path / "log.parquet")
    given = (
        tmp_path / "log.parquet",
        "--example",
        "task",
        "--annotator",
        "worker",
        "--label",
        "answer",
    )
    assert "--duplicates first, last or all" in refused("agreement", *given)
    found = printed(
        *given, "--duplicates", "last", "--classes", "x,y,z", "--coefficients", "brennan_prediger"
    )
    assert found[0]["value"] == 1.0
    first = printed(
        *given, "--duplicates", "first", "--classes", "x,y,z", "--coefficients", "brennan_prediger"
    )
    assert first[0]["value"] == pytest.approx((1 / 2 - 1 / 3) / (2 / 3))


def test_files_of_groups(log: Path, tmp_path: Path) -> None:
    frame = pl.read_csv(log)
    frame.rename({"example": "item"}).write_parquet(tmp_path / "log.parquet")
    groups = frame.select("example", pool="half").unique()
    groups.rename({"example": "item"}).write_csv(tmp_path / "groups.csv")
    frame.select("annotator", team=pl.lit("a")).unique().write_csv(tmp_path / "teams.csv")
    names = ("--example", "item", "--by", tmp_path / "groups.csv")
    found = printed(tmp_path / "log.parquet", *map(str, names))
    expected = agreement(str(log), by="half").rename({"half": "pool"})
    assert_frame_equal(pl.DataFrame(found, schema=expected.schema), expected)
    teams = printed(log, "--by", str(tmp_path / "teams.csv"), "--by", "half")
    assert {(row["half"], row["team"]) for row in teams} == {
        (half, "a") for half in frame["half"].unique()
    }
    groups.rename({"example": "Item"}).write_csv(tmp_path / "wrong.csv")
    wrong = refused("agreement", tmp_path / "log.parquet", *names[:3], str(tmp_path / "wrong.csv"))
    assert "by has no column 'item'; its columns are 'Item', 'pool'. Did you mean 'Item'?" in wrong


def test_several_columns_to_group_by(log: Path, tmp_path: Path) -> None:
    frame = pl.read_csv(log).with_columns(third=pl.col("example") % 3)
    frame.write_parquet(tmp_path / "log.parquet")
    found = printed(
        tmp_path / "log.parquet", "--by", "half", "--by", "third", "--coefficients", "alpha"
    )
    assert [(row["half"], row["third"]) for row in found] == [
        (h, t) for h in (0, 1) for t in (0, 1, 2)
    ]


def test_a_store_is_a_log(log: Path, tmp_path: Path) -> None:
    pc.AnnotationStore.create(tmp_path / "store", str(log), partitions=3)
    expected = agreement(str(log), by="half")
    found = printed(tmp_path / "store", "--by", "half")
    assert_frame_equal(pl.DataFrame(found, schema=expected.schema), expected, rel_tol=1e-12)
    in_processes = printed(tmp_path / "store", "--by", "half", "--executor", "processes:1")
    assert in_processes == found


# --- the bar --------------------------------------------------------------------------------------


def test_above_the_bar_is_success(log: Path) -> None:
    given = ("agreement", log, "--coefficients", "alpha", "--fail-under", "alpha=0.74")
    assert "krippendorff_alpha" in succeeded(*given)


def test_below_the_bar_is_exit_code_1(log: Path) -> None:
    result = run("agreement", log, "--fail-under", "alpha=0.75", "--fail-under", "ac1=0.5")
    assert result.exit_code == 1
    assert result.stderr == "polars-crowd: krippendorff_alpha is 0.7434, below 0.75\n"
    assert "krippendorff_alpha" in result.stdout


def test_one_group_below_the_bar_is_enough(log: Path) -> None:
    result = run("agreement", log, "--by", "half", "--fail-under", "alpha=0.9", "--format", "json")
    assert result.exit_code == 1
    assert result.stderr == "polars-crowd: krippendorff_alpha (half=1) is 0.4745, below 0.9\n"
    assert len(json.loads(result.stdout)) == 12


def test_an_undefined_value_does_not_pass(tmp_path: Path) -> None:
    pl.DataFrame({"example": [1, 1], "annotator": ["a", "b"], "label": ["x", "x"]}).write_csv(
        tmp_path / "log.csv"
    )
    result = run("agreement", tmp_path / "log.csv", "--fail-under", "alpha=0")
    assert result.exit_code == 1
    expected = (
        "krippendorff_alpha is undefined: one class only is used: agreement by chance is certain\n"
    )
    assert result.stderr == f"polars-crowd: {expected}"


def test_a_coefficient_with_a_bar_is_computed(log: Path) -> None:
    found = printed(log, "--coefficients", "fleiss", "--fail-under", "ac1=0.5")
    assert [row["coefficient"] for row in found] == ["fleiss_kappa", "gwet_ac1"]


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--coefficients", "kappa"), "'kappa' is not one of 'cohen_kappa', 'fleiss_kappa'"),
        (("--coefficients", "magic"), "'magic' is not one of 'percent_agreement'"),
        (("--fail-under", "alpha"), "it must be NAME=BAR, such as alpha=0.67"),
        (("--fail-under", "alpha=high"), "it must be NAME=BAR, such as alpha=0.67"),
        (("--executor", "processes:1"), "--executor: only for a store"),
        (("--level", "cardinal"), "'cardinal' is not one of 'nominal'"),
    ],
)
def test_unknown_names(log: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run("agreement", log, *arguments)
    assert result.exit_code == 2
    assert message in " ".join(Text.from_ansi(result.stderr).plain.replace("│", " ").split())


def test_bad_logs(log: Path, tmp_path: Path) -> None:
    pl.DataFrame({"example": [1], "annotator": ["a"], "label": ["x"]}).write_csv(
        tmp_path / "one.csv"
    )
    assert "one annotator only ('a')" in refused("agreement", tmp_path / "one.csv")
    assert "no file at 'nowhere.csv'" in refused("agreement", "nowhere.csv")
    assert "has no column 'language'" in refused("agreement", log, "--by", "language")
    message = refused("agreement", log, "--by", "hallf")
    assert "Did you mean 'half'" in message
    assert "or by a file of groups, --by FILE" in message


def test_tables_that_do_not_fit_are_refused(log: Path) -> None:
    message = refused("agreement", log, "--by", "half", "--memory-limit", "1MB")
    assert (
        "2 groups with 6 coefficients take about 67.1 MB of memory; the limit is 1.0 MB" in message
    )
    assert message.endswith("Allow more: --memory-limit 16GB.\n")
    assert "must be a number of bytes" in refused("agreement", log, "--memory-limit", "much")


def test_help() -> None:
    text = Text.from_ansi(succeeded("agreement", "--help", COLUMNS="80")).plain
    assert "  polars-crowd agreement log.csv --level ordinal --fail-under alpha=0.67" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    for option in ("--by", "--coefficients", "--fail-under", "--level", "--weights", "--format"):
        assert option in text
