"""`polars-crowd judges` and `polars-crowd explain` print what the library finds, and guard a bar."""

from __future__ import annotations

import io
import json
from pathlib import Path

import polars as pl
import pytest

import polars_crowd as pc
from tests.cases import assert_same
from tests.cli.commands import refused, run, succeeded

DATA = pc.datasets.tutorial()


def both() -> pl.DataFrame:
    """The tutorial's humans, and a model that knows nearly everything."""
    known = DATA.truth.with_columns(label=(pl.col("label") + (pl.int_range(pl.len()) % 9 == 0)) % 3)
    says = known.select("example", "label", annotator=pl.lit("gpt-x"))
    humans = DATA.log.select("example", "annotator", "label")
    return pl.concat([humans, says.select(humans.columns)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judges")
    both().rename({"example": "item"}).write_parquet(folder / "both.parquet")
    DATA.truth.rename({"example": "item"}).write_parquet(folder / "gold.parquet")
    DATA.log.rename({"example": "item"}).write_parquet(folder / "log.parquet")
    DATA.pred_probs.rename({"example": "item"}).write_parquet(folder / "probs.parquet")
    return folder


def judging(folder: Path, *options: str | Path) -> tuple[str | Path, ...]:
    return ("judges", folder / "both.parquet", "--example", "item", "--judges", "gpt-*", *options)


def test_judges_are_reported(folder: Path) -> None:
    found = pc.judge_report(both(), "gpt-*", gold=DATA.truth)
    text = succeeded(*judging(folder, "--gold", folder / "gold.parquet"))
    assert text.startswith(f"{found._header()}\n")
    assert f"gpt-x: {found.judges['reason'][0]}\n" in text
    document = json.loads(
        succeeded(*judging(folder, "--gold", folder / "gold.parquet", "--format", "json"))
    )
    assert set(document) == {"report", "effective_judges", *found.TABLES}
    assert document["classes"] == found.classes.to_dicts()
    csv = succeeded(*judging(folder, "--format", "csv"))
    table = pl.read_csv(io.StringIO(csv)).select("annotator", "kappa", "winning_rate")
    assert_same(table, found.judges.select("annotator", "kappa", "winning_rate"))


def test_a_bar_for_judges(folder: Path) -> None:
    missed = run(*judging(folder, "--fail-under", "kappa=0.99", "--quiet"))
    assert missed.exit_code == 1
    assert "kappa (annotator=gpt-x) is" in missed.stderr
    assert run(*judging(folder, "--fail-under", "winning-rate=0.01")).exit_code == 0
    few = ("--humans", "A0001", "--humans", "A0002", "--fail-under", "winning_rate=0.1")
    unknown = run(*judging(folder, *few))
    assert unknown.exit_code == 1
    assert "winning_rate (annotator=gpt-x) is unknown" in unknown.stderr
    for bar in ("kappa", "kappa=high", "speed=1"):
        assert f"--fail-under {bar}" in refused(*judging(folder, "--fail-under", bar))
    assert "--judges" in refused("judges", folder / "both.parquet", "--example", "item")


def test_tables_of_judges_go_into_a_directory(folder: Path, tmp_path: Path) -> None:
    succeeded(*judging(folder, "--out", tmp_path / "out"))
    kept = pc.open_results(tmp_path / "out")
    assert_same(kept.humans, pc.judge_report(both(), "gpt-*").humans)


def test_results_are_explained(folder: Path, tmp_path: Path) -> None:
    log, probs = folder / "log.parquet", folder / "probs.parquet"
    out = tmp_path / "out"
    run("consensus", log, "--example", "item", "--pred-probs", probs, "--out", out)
    call = ("explain", out, "000", "017", "--pred-probs", probs)
    found = pc.explain(pc.crowdlab(DATA.log, DATA.pred_probs), ["000", "017"])
    table = pl.read_csv(io.StringIO(succeeded(*call, "--format", "csv")), infer_schema_length=None)
    assert table.columns[0] == "item"
    assert_same(table.select("0", "1", "2", "weight"), found.select("0", "1", "2", "weight"))
    text = succeeded(*call)
    assert "Example 000" in text
    assert "annotation  A0014" in text
    assert json.loads(succeeded(*call, "--format", "json"))[0]["part"] == "model"
    assert "--pred-probs is needed" in refused("explain", out, "000")
    assert "Did you mean '000'?" in refused("explain", out, "0000", "--pred-probs", probs)
    vote = tmp_path / "vote"
    run("consensus", log, "--example", "item", "-m", "majority-vote", "--out", vote)
    assert "--log is needed" in refused("explain", vote, "000")
    said = succeeded("explain", vote, "000", "--log", log, "--example", "item", "--format", "csv")
    assert said.splitlines()[-1].startswith("000,Majority vote,posterior")
