"""The commands of truth inference give what the library gives."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import polars_crowd as pc
from polars_crowd.truth.registry import method_named, methods_for
from tests.cli.commands import files_in, refused, run, succeeded
from tests.truth.truth_cases import quiet


@pytest.fixture(scope="module")
def binary() -> Any:
    return pc.simulate.simulate_annotations(n_examples=60, n_classes=2, n_annotators=8)


@pytest.fixture
def log(binary: Any, tmp_path: Path) -> Path:
    binary.log.write_parquet(tmp_path / "log.parquet")
    binary.truth.write_csv(tmp_path / "truth.csv")
    return tmp_path / "log.parquet"


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "example": np.repeat(np.arange(30), 4),
            "annotator": np.tile(np.arange(4), 30),
            "label": np.repeat(rng.normal(size=30), 4) + rng.normal(size=120) * 0.3,
        }
    )
    frame.write_parquet(tmp_path / "numbers.parquet")
    return tmp_path / "numbers.parquet"


def tables(into: Path) -> dict[str, pl.DataFrame]:
    """The tables in a directory; the parameters beside them are none."""
    files = (path for path in into.glob("*.parquet") if path.stem != "parameters")
    return {path.stem: pl.read_parquet(path) for path in files}


# --- consensus --method ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", methods_for("classes"))
def test_every_method_for_classes(name: str, log: Path, tmp_path: Path) -> None:
    result = run("consensus", log, "--method", name.replace("_", "-"), "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pc.AnnotationWarning)
        expected = method_named(name).function(pl.read_parquet(log))
        found = tables(tmp_path / "out")
        kept = pc.open_results(tmp_path / "out")
        assert set(found) == set(kept.tables) >= set(method_named(name).tables)
        assert kept.method == expected.method
        for table in ("confusion", "difficulty"):
            assert (table in found) == (getattr(expected, table, None) is not None)
        assert_frame_equal(found["examples"], expected.examples.collect())
        assert_frame_equal(found["annotators"], expected.annotators)
    assert "60 examples, 8 annotators" in result.stdout


@pytest.mark.parametrize("name", methods_for("numbers"))
def test_every_method_for_numbers(name: str, numbers: Path, tmp_path: Path) -> None:
    result = run("consensus", numbers, "-m", name, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert ("at the largest weight that there can be" in " ".join(result.stderr.split())) == (
        name == "catd"
    )
    text = result.stdout
    expected = quiet(method_named(name).function, pl.read_parquet(numbers))
    found = tables(tmp_path / "out")
    assert_frame_equal(found["examples"], expected.examples.collect())
    assert_frame_equal(found["annotations"], expected.annotations.collect())
    assert_frame_equal(found["annotators"], expected.annotators)
    assert "root_" in text


def test_options_reach_the_method(log: Path, binary: Any, tmp_path: Path) -> None:
    gold = tmp_path / "gold.csv"
    binary.truth.head(20).write_csv(gold)
    arguments = ("--gold", gold, "--max-iter", "500", "--tol", "0.001", "--out", tmp_path / "out")
    succeeded("consensus", log, "-m", "dawid-skene", *arguments)
    expected = pc.dawid_skene(binary.log, gold=binary.truth.head(20), max_iter=500, tol=0.001)
    assert_frame_equal(tables(tmp_path / "out")["posterior"], expected.posterior.collect())


@pytest.mark.parametrize("confidence", ["cautious", "model"])
def test_how_sure_posteriors_are(confidence: Any, log: Path, tmp_path: Path) -> None:
    said = succeeded(
        "consensus", log, "-m", "ibcc", "--confidence", confidence, "--out", tmp_path / "out"
    )
    expected = pc.ibcc(pl.read_parquet(log), confidence=confidence)
    assert_frame_equal(tables(tmp_path / "out")["posterior"], expected.posterior.collect())
    exponent = expected.confidence_exponent
    assert (exponent == 1) == (confidence == "model")
    assert (f"posteriors to the power of {exponent:.3g}" in said) == (confidence == "cautious")
    document = json.loads(
        succeeded("consensus", log, "-m", "ibcc", "--confidence", confidence, "--format", "json")
    )
    assert document["confidence_exponent"] == pytest.approx(exponent)
    error = refused("consensus", log, "-m", "ibcc", "--confidence", "sure")
    assert "'sure' is not one of 'cautious', 'loo', 'model'" in error


def test_known_labels_score_the_consensus(log: Path, binary: Any, tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    for name in ("majority-vote", "dawid-skene", "wawa"):
        found = compare_accuracy(binary, name)
        said = succeeded("consensus", log, "-m", name, "--truth", truth)
        assert re.search(rf"accuracy +{found:.4f} \(0\.\d+ to .*, on 60 known labels\)", said), said
    document = json.loads(
        succeeded("consensus", log, "-m", "wawa", "--truth", truth, "--format", "json")
    )
    assert document["truth"]["num_compared"] == 60
    more = pl.concat(
        [binary.truth, binary.truth.head(3).with_columns(example="none " + pl.col("example"))]
    )
    more.rename({"label": "right"}).write_csv(tmp_path / "more.csv")
    result = run(
        *(
            "consensus",
            log,
            "-m",
            "wawa",
            "--truth",
            tmp_path / "more.csv",
            "--truth-label",
            "right",
        )
    )
    assert "3 of its 63 examples are not in the log" in " ".join(result.stderr.split())
    assert f"{compare_accuracy(binary, 'wawa'):.4f}" in result.stdout


def compare_accuracy(data: Any, name: str) -> float:
    labels = pc.compare(data.log, [name], folds=0).labels.join(data.truth, on="example")
    return float((labels[name.replace("-", "_")] == labels["label"]).mean())  # type: ignore[arg-type]


def test_known_numbers_score_the_consensus(numbers: Path, tmp_path: Path) -> None:
    truth = pl.DataFrame({"example": range(30), "label": [0.5] * 30})
    truth.write_csv(tmp_path / "truth.csv")
    said = succeeded("consensus", numbers, "-m", "mean", "--truth", tmp_path / "truth.csv")
    found = pc.mean_truth(pl.read_parquet(numbers)).examples.collect()["consensus_label"]
    error = float((found - 0.5).abs().mean())  # type: ignore[arg-type]
    assert re.search(rf"mean absolute error +{error:.4f} \(on 30 known labels\)", said)


def test_csv_and_models(log: Path, binary: Any, tmp_path: Path) -> None:
    probs = tmp_path / "probs.parquet"
    binary.pred_probs.write_parquet(probs)
    out = tmp_path / "out"
    succeeded("consensus", log, "-p", probs, "-m", "ibcc", "--out-format", "csv", "--out", out)
    expected = pc.ibcc(binary.log, binary.pred_probs).examples.collect()
    assert_frame_equal(
        pl.read_csv(out / "examples.csv"), expected, check_dtypes=False, rel_tol=1e-9
    )


def test_a_store(log: Path, binary: Any, tmp_path: Path) -> None:
    pc.AnnotationStore.create(tmp_path / "store", binary.log, partitions=3)
    succeeded("consensus", tmp_path / "store", "-m", "dawid-skene", "--out", tmp_path / "out")
    found = tables(tmp_path / "out")["examples"].sort("example")
    assert_frame_equal(found, pc.dawid_skene(binary.log).examples.collect())


def test_what_is_refused(log: Path, numbers: Path, tmp_path: Path) -> None:
    into = ("--out", tmp_path / "out")
    wrong = run("consensus", log, "-m", "dawid", *into)
    assert wrong.exit_code == 2
    assert "'dawid-skene'" in wrong.stderr
    other = run("consensus", numbers, "-m", "mean", "--gold", log, *into)
    assert other.exit_code == 2
    assert "--gold: not with --method mean" in other.stderr
    assert run("consensus", log, "--gold", log, *into).exit_code == 2
    assert run("consensus", log, "-m", "ibcc", "--calibrate", *into).exit_code == 2
    words = tmp_path / "words.csv"
    pl.read_parquet(log).with_columns(label=pl.format("class {}", "label")).write_csv(words)
    said = refused("consensus", words, "-m", "crh", *into)
    assert "column 'label' of the log is String; this method needs numbers. Make it numbers" in said
    assert not (tmp_path / "out").exists()


# --- compare ---------------------------------------------------------------------------------------


def test_compare(log: Path, binary: Any, tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    names = ("-m", "majority-vote", "-m", "dawid-skene")
    text = succeeded("compare", log, "--truth", truth, *names, "--out", tmp_path / "out")
    expected = pc.compare(binary.log, ["majority_vote", "dawid_skene"], binary.truth)
    found = tables(tmp_path / "out")
    assert_frame_equal(
        found["methods"].drop("warnings", "seconds"), expected.methods.drop("warnings", "seconds")
    )
    assert_frame_equal(found["disagreements"], expected.disagreements)
    assert text.startswith("2 methods on 60 examples; ")
    assert f"{expected.methods['accuracy'][0]:.4f}" in text


def test_compare_without_truth_or_files(log: Path) -> None:
    text = succeeded("compare", log, "-m", "majority-vote", "-m", "zencrowd", "--folds", "2")
    assert "accuracy" not in text
    assert "Written" not in text
    assert "method 'nobody'; it must be one of" in refused("compare", log, "-m", "nobody")


def test_compare_numbers(numbers: Path, tmp_path: Path) -> None:
    text = succeeded("compare", numbers, "-m", "mean", "-m", "crh", "--out", tmp_path / "out")
    expected = pc.compare(pl.read_parquet(numbers), ["mean", "crh"])
    found = tables(tmp_path / "out")
    assert_frame_equal(found["disagreements"], expected.disagreements)
    assert f"{expected.methods['held_out_log_loss'][0]:.4f}" in text
    assert "2 methods on 30 examples; 30 examples on which they disagree" in text


# --- rank ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bradley-terry", "crowd-bradley-terry"])
def test_rank(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pairs = np.array([rng.choice(6, 2, replace=False) for _ in range(200)])
    said = np.where(rng.random(200) < 0.1, "tie", np.where(pairs[:, 0] > pairs[:, 1], "A", "B"))
    frame = pl.DataFrame(
        {"a": pairs[:, 0], "b": pairs[:, 1], "who": rng.integers(0, 3, 200), "won": said}
    )
    frame.write_csv(tmp_path / "log.csv")
    columns = ("--left", "a", "--right", "b", "--annotator", "who", "--winner", "won")
    meaning = ("--sides", "A,B", "--tie", "tie")
    text = succeeded(
        "rank",
        tmp_path / "log.csv",
        *columns,
        *meaning,
        "--method",
        name,
        "--out",
        tmp_path / "out",
    )
    comparisons = pc.scan_comparisons(
        frame, left="a", right="b", annotator="who", winner="won", sides=("A", "B"), ties=["tie"]
    )
    fit = getattr(pc, name.replace("-", "_"))(comparisons)
    assert_frame_equal(tables(tmp_path / "out")["examples"], fit.examples.collect())
    kept = pc.open_results(tmp_path / "out")
    assert kept.annotators.rename({"who": "annotator"}).equals(fit.annotators)
    assert kept.annotations.collect_schema().names()[:4] == ["a", "b", "who", "winner"]
    assert re.search(r"^who +annotator_quality", text, re.MULTILINE)
    assert "6 examples, 3 annotators, 200 comparisons" in text
    wrong = refused("rank", tmp_path / "log.csv", *columns, "--out", tmp_path / "other")
    assert "column 'won' of the log of comparisons" in wrong


@pytest.mark.parametrize(
    ("won", "meaning"),
    [
        (["1", "0", "1"], ("--sides", "1,0")),
        (["1.0", "0.0", "0.5"], ("--sides", "1,0", "--tie", "0.5")),
        (["1", "-1", "0"], ("--sides", "1,-1", "--tie", "0")),
        (["true", "false", "true"], ("--sides", "true,false")),
        (["a,b", "c", "="], ("--sides", '["a,b", "c"]', "--tie", "=")),
        (["a,b", "c", "d"], ("--sides", "a,b", "--sides", "c", "--tie", "d", "--tie", "e")),
        (["A>>B", "B>A", "A=B"], ("--strength", "3")),
        (["3", "1", "2"], ("--strength", '{"3": 2, "2": 0, "1": -2}')),
        (["x", "z", "z"], ()),
    ],
)
def test_what_winners_may_say(won: list[str], meaning: tuple[str, ...], tmp_path: Path) -> None:
    frame = pl.DataFrame({"left": ["x", "y", "z"], "right": ["y", "z", "x"], "winner": won})
    frame.write_csv(tmp_path / "log.csv", quote_style="always")
    into = ("--out", tmp_path / "out")
    succeeded("rank", tmp_path / "log.csv", "--annotator", "-", *meaning, *into)
    found = tables(tmp_path / "out")["examples"]
    assert found.filter(rank=1)["example"][0] in ("x", "z")
    assert found["num_comparisons"].dtype == (pl.Float64 if "--strength" in meaning else pl.Int64)


def test_ids_of_winners_are_called_as_in_the_log(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"left": ["x", "y"], "right": ["y", "z"], "who": ["j", "k"], "won": ["x", "z"]}
    )
    frame.write_csv(tmp_path / "log.csv")
    names = ("--annotator", "who", "--winner", "won", "--intervals", "annotators")
    succeeded("rank", tmp_path / "log.csv", *names, "--out", tmp_path / "out")
    kept = pc.open_results(tmp_path / "out").annotations.collect_schema().names()
    assert kept[:4] == ["left", "right", "who", "won"]


def test_weights_and_shares_of_a_win(tmp_path: Path) -> None:
    frame = pl.DataFrame({"left": ["x"], "right": ["y"], "share": [0.75], "w": [2.0]})
    frame.write_csv(tmp_path / "log.csv")
    command = ("rank", tmp_path / "log.csv", "--annotator", "-", "--out", tmp_path / "out")
    succeeded(*command, "--outcome", "share", "--weight", "w")
    assert tables(tmp_path / "out")["examples"]["num_wins"].to_list() == [1.5, 0.5]
    assert "give two values" in refused(*command, "--sides", '["a"]')
    assert "no JSON" in refused(*command, "--sides", '["a"')
    assert "give a number, or a JSON object" in refused(*command, "--strength", "much")


# --- known labels by their names -------------------------------------------------------------------


def test_known_labels_are_called_as_in_the_log(tmp_path: Path) -> None:
    data = pc.datasets.tutorial()
    log = data.log.rename({"example": "item_id", "label": "answer"})
    known = data.truth.head(40).rename({"example": "item_id", "label": "answer"})
    log.join(known.rename({"answer": "expert"}), on="item_id", how="left").write_csv(
        tmp_path / "log.csv"
    )
    columns = ("--example", "item_id", "--label", "answer", "--folds", "0", "-m", "majority-vote")
    command = ("compare", tmp_path / "log.csv", *columns, "--out", tmp_path / "out", "--force")
    known.write_csv(tmp_path / "gold.csv")
    known.rename({"answer": "said"}).with_columns(x=1).write_csv(tmp_path / "said.csv")
    for truth in (["gold.csv"], ["said.csv", "--truth-label", "said"]):
        succeeded(*command, "--truth", str(tmp_path / truth[0]), *truth[1:])
        found = tables(tmp_path / "out")["methods"].row(0, named=True)
        assert found["num_compared"] == 40
        assert found["ci_low"] < found["accuracy"] < found["ci_high"]
    succeeded(*command, "--truth", "expert")
    assert tables(tmp_path / "out")["methods"]["accuracy"].item() == found["accuracy"]
    assert "no column 'said'" in refused(*command, "--truth", "said")
    assert "only with a file as --truth" in refused(
        *command, "--truth", "expert", "--truth-label", "x"
    )
    succeeded(
        *("consensus", tmp_path / "log.csv", *columns[:4], "-m", "dawid-skene"),
        *("--gold", tmp_path / "said.csv", "--truth-label", "said", "--out", tmp_path / "ds"),
    )
    assert "posterior.parquet" in files_in(tmp_path / "ds")
