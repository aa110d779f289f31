"""The command line gives what the library gives, in whole files, and says what is wrong."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from polars.testing import assert_frame_equal
from rich.text import Text

import polars_crowd as pc
from polars_crowd.cli.common import executor_of
from tests.cli.commands import PLAIN, files_in, refused, run, succeeded

TABLES = ("examples", "annotations", "annotators")
WRITTEN = ("annotations", "annotators", "examples", "parameters", "posterior")


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in {**os.environ, **PLAIN}.items() if value is not None}
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, **options)


def results(into: Path, file_format: str = "parquet") -> list[pl.DataFrame]:
    read = pl.read_parquet if file_format == "parquet" else pl.read_csv
    return [read(into / f"{table}.{file_format}") for table in TABLES]


def assert_results(into: Path, fit: pc.Crowdlab, file_format: str = "parquet") -> None:
    expected = [fit.examples.collect(), fit.annotations.collect(), fit.annotators]
    for found, frame in zip(results(into, file_format), expected, strict=True):
        assert_frame_equal(found, frame, check_dtypes=file_format == "parquet", rel_tol=1e-12)


@pytest.fixture(scope="module")
def data() -> pc.datasets.Dataset:
    return pc.datasets.tutorial()


@pytest.fixture(scope="module")
def inputs(data: pc.datasets.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tutorial as files of several kinds."""
    folder = tmp_path_factory.mktemp("inputs")
    for name, frame in (("log", data.log), ("probs", data.pred_probs)):
        frame.write_parquet(folder / f"{name}.parquet")
        frame.write_csv(folder / f"{name}.csv")
        frame.write_ndjson(folder / f"{name}.ndjson")
    return folder


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "made" / "results"


def of_small_log(folder: Path, **columns: Any) -> Path:
    base: dict[str, list[Any]] = {
        "example": [1, 1, 2, 2, 3, 3],
        "annotator": ["a", "b", "a", "b", "a", "b"],
        "label": ["x", "x", "y", "x", "y", "y"],
    }
    pl.DataFrame(base | columns).write_parquet(folder / "small.parquet")
    return folder / "small.parquet"


def of_small_probs(folder: Path, **columns: Any) -> Path:
    base: dict[str, list[Any]] = {"example": [1, 2, 3], "x": [0.9, 0.6, 0.2], "y": [0.1, 0.4, 0.8]}
    pl.DataFrame(base | columns).write_parquet(folder / "small_probs.parquet")
    return folder / "small_probs.parquet"


# --- demo -----------------------------------------------------------------------------------------


def test_demo_tells_the_published_accuracies() -> None:
    text = succeeded("demo")
    assert "0.8581  (254 of 296)" in text
    assert "0.9797  (290 of 296)" in text
    for noisy in ("A0046", "A0047", "A0048", "A0049", "A0050"):
        assert f"\n{noisy} " in text
    assert "polars-crowd consensus LOG --pred-probs PROBS --out DIR" in text
    assert "A report of it, to be opened in a browser: report.html" in text
    assert "<h1>The tutorial&#x27;s annotations</h1>" in Path("report.html").read_text("utf-8")


def test_demo_writes_no_report_over_another_nor_without_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    text = succeeded("demo")
    assert 'No report is written: charts need altair; install it with: pip install "polars' in text
    Path("mine.html").write_text("mine")
    assert "mine.html is there already" in succeeded("demo", "--report", "mine.html")
    assert Path("mine.html").read_text() == "mine"
    assert "name a file that ends in .html" in refused("demo", "--report", "page.txt")


@pytest.mark.parametrize("width", [80, 120])
def test_demo_fits_the_terminal(width: int) -> None:
    Path("report.html").touch()
    text = succeeded("demo", COLUMNS=str(width))
    assert max(map(len, text.splitlines())) <= width
    assert ("agreement_with_consensus" in text) == (width == 120)


# --- consensus ------------------------------------------------------------------------------------


def test_results_are_those_of_the_library(
    inputs: Path, data: pc.datasets.Dataset, into: Path
) -> None:
    text = succeeded(
        "consensus", inputs / "log.parquet", "-p", inputs / "probs.parquet", "--out", into
    )
    fit = pc.crowdlab(data.log, data.pred_probs)
    assert_results(into, fit)
    assert files_in(into) == [*(f"{table}.parquet" for table in WRITTEN), "results.json"]
    assert_frame_equal(pc.open_results(into).posterior.collect(), fit.posterior.collect())
    assert "296 examples, 50 annotators, 1,456" in text
    assert f"model weight                   {fit.model_weight:.4f}" in text
    assert "mean consensus quality score   0.7196" in text
    assert "temperature none" in text
    assert str(into / "examples.parquet") in text


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_text_files_in_and_out(inputs: Path, into: Path, kind: str, file_format: str) -> None:
    log, probs = inputs / f"log.{kind}", inputs / f"probs.{kind}"
    succeeded("consensus", log, "-p", probs, "--out", into, "--out-format", file_format)
    fit = pc.crowdlab(str(log), str(probs))
    assert fit.examples.collect_schema()["example"] == pl.String
    if file_format == "csv":  # "007" is read back as 7
        quality = pl.read_csv(into / "examples.csv")["consensus_quality_score"]
        assert quality.to_list() == pytest.approx(
            fit.examples.collect()["consensus_quality_score"].to_list()
        )
    else:
        assert_results(into, fit, file_format)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--consensus-method", "majority_vote"], {"consensus_method": "majority_vote"}),
        (
            ["--consensus-method", "majority_vote", "--consensus-method", "best_quality"],
            {"consensus_method": ["majority_vote", "best_quality"]},
        ),
        (["--quality-method", "agreement"], {"quality_method": "agreement"}),
        (
            ["--label-quality-method", "normalized_margin", "--adjust-pred-probs"],
            {"label_quality_method": "normalized_margin", "adjust_pred_probs": True},
        ),
        (
            ["--label-quality-method", "confidence_weighted_entropy"],
            {"label_quality_method": "confidence_weighted_entropy"},
        ),
        (["--calibrate"], {"calibrate": True}),
        (["--classes", "2, 1,0"], {"classes": [2, 1, 0]}),
        (["--duplicates", "last"], {"duplicates": "last"}),
    ],
)
def test_options(
    inputs: Path,
    data: pc.datasets.Dataset,
    into: Path,
    arguments: list[str],
    options: dict[str, Any],
) -> None:
    log, probs = inputs / "log.parquet", inputs / "probs.parquet"
    text = succeeded("consensus", log, "-p", probs, "--out", into, *arguments)
    fit = pc.crowdlab(data.log, data.pred_probs, **options)
    assert_results(into, fit)
    assert ("\n  model weight" in text) == (fit.model_weight is not None)
    assert ("\n  temperature" in text) == (fit.temperature is not None)


def test_ensemble(inputs: Path, data: pc.datasets.Dataset, into: Path) -> None:
    flat = data.pred_probs.with_columns((pl.col("0", "1", "2") + 1) / 4)
    flat.write_parquet(into.parents[1] / "flat.parquet")
    text = succeeded(
        *("consensus", inputs / "log.parquet", "--out", into, "--calibrate"),
        *(
            "--pred-probs",
            inputs / "probs.parquet",
            "--pred-probs",
            into.parents[1] / "flat.parquet",
        ),
    )
    fit = pc.crowdlab(data.log, [data.pred_probs, flat], calibrate=True)
    assert_results(into, fit)
    assert isinstance(fit.temperature, list)
    assert ", ".join(f"{t:.4f}" for t in fit.temperature) in text


def test_names_of_columns_and_integer_ids(
    data: pc.datasets.Dataset, into: Path, tmp_path: Path
) -> None:
    log = data.log.with_columns(
        pl.col("example").cast(pl.Int32),
        pl.col("annotator").str.slice(1).cast(pl.Int64),
        seconds=pl.int_range(pl.len()),
    )
    probs = data.pred_probs.with_columns(pl.col("example").cast(pl.Int64))
    names = {"example": "task", "annotator": "worker", "label": "answer"}
    log.rename(names).write_parquet(tmp_path / "log.parquet")
    for name, column in (("same", "task"), ("other", "id")):
        probs.rename({"example": column}).write_parquet(tmp_path / f"{name}.parquet")
        given: list[str | Path] = ["--probs-example", "id"] if column == "id" else []
        succeeded(
            *("consensus", tmp_path / "log.parquet", "-p", tmp_path / f"{name}.parquet", *given),
            *("--example", "task", "--annotator", "worker", "--label", "answer"),
            *("--out", into, "--force"),
        )
        expected = pc.crowdlab(log, probs)
        found = pc.open_results(into)
        assert_frame_equal(
            found.examples.collect(), expected.examples.collect().rename({"example": "task"})
        )
        assert found.annotators.columns[0] == "worker"
        assert found.annotations.collect_schema().names()[:3] == ["task", "worker", "answer"]
        assert "seconds" in pl.read_parquet_schema(into / "annotations.parquet")


def test_directories_globs_and_several_files(
    data: pc.datasets.Dataset, inputs: Path, into: Path, tmp_path: Path
) -> None:
    parts = tmp_path / "log"
    parts.mkdir()
    for i in range(3):
        data.log.gather_every(3, i).write_parquet(parts / f"{i}.parquet")
    fit = pc.crowdlab(data.log, data.pred_probs)
    for logs in ([parts], [parts / "*.parquet"], sorted(parts.iterdir())):
        given = ("-p", inputs / "probs.parquet", "--out", into, "--force")
        succeeded("consensus", *logs, *given)
        assert_results(into, fit)


def test_array_of_probabilities(data: pc.datasets.Dataset, inputs: Path, into: Path) -> None:
    probs = data.pred_probs.select("example", pred_probs=pl.concat_arr("2", "0", "1"))
    probs.write_parquet(into.parents[1] / "array.parquet")
    succeeded(
        *("consensus", inputs / "log.parquet", "-p", into.parents[1] / "array.parquet"),
        *("--classes", "2,0,1", "--out", into),
    )
    assert_results(into, pc.crowdlab(data.log, probs, classes=[2, 0, 1]))


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_majority_vote(inputs: Path, into: Path, file_format: str) -> None:
    text = succeeded("consensus", inputs / "log.csv", "--out", into, "--out-format", file_format)
    assert files_in(into) == [f"examples.{file_format}", "results.json"]
    assert pc.open_results(into).method == "Majority vote"
    written = into / f"examples.{file_format}"
    if file_format == "parquet":
        found = pl.read_parquet(written)
    else:
        found = pl.read_csv(written, schema_overrides={"example": pl.String})
    expected = pc.majority_vote(str(inputs / "log.csv")).collect()
    assert_frame_equal(found, expected, check_dtypes=file_format == "parquet")
    assert "Majority vote: 296 examples, 50 annotators, 1,456 annotations" in text


def test_majority_vote_with_options(into: Path, tmp_path: Path) -> None:
    log = of_small_log(tmp_path, annotator=["a", "b", "a", "a", "a", "b"])
    succeeded("consensus", log, "--out", into, "--classes", "y,x", "--duplicates", "first")
    expected = pc.majority_vote(str(log), classes=["y", "x"], duplicates="first").collect()
    assert_frame_equal(pl.read_parquet(into / "examples.parquet"), expected)


def test_directory_with_letters_of_globs(inputs: Path, tmp_path: Path) -> None:
    assert "[1]*" in succeeded("consensus", inputs / "log.csv", "--out", tmp_path / "[1]*")


def test_warnings_are_lines_on_stderr(into: Path, tmp_path: Path) -> None:
    log = of_small_log(tmp_path, annotator=["a", "b", "a", "b", "a", "b"], label=["x"] * 6)
    lone = pl.DataFrame({"example": [4], "annotator": ["lonely"], "label": ["x"]})
    pl.concat([pl.read_parquet(log), lone]).write_parquet(log)
    probs = of_small_probs(tmp_path)
    more = pl.DataFrame({"example": [4], "x": [0.5], "y": [0.5]})
    pl.concat([pl.read_parquet(probs), more]).write_parquet(probs)
    result = run("consensus", log, "-p", probs, "--out", into)
    assert result.exit_code == 0
    assert result.stderr.startswith("polars-crowd: warning: 1 annotator")
    assert "'lonely'" in result.stderr


def test_progress_is_for_terminals(inputs: Path, tmp_path: Path) -> None:
    arguments = ["consensus", str(inputs / "log.csv"), "--out", str(tmp_path), "--force"]
    assert run(*arguments).stderr == ""
    terminal = run(*arguments, FORCE_COLOR="1", TERM="xterm")
    assert "writing into" in terminal.stderr


# --- errors ---------------------------------------------------------------------------------------


def test_missing_files(inputs: Path, into: Path) -> None:
    assert "no file at 'nowhere.csv'" in refused("consensus", "nowhere.csv", "--out", into)
    probs = ("-p", "nowhere/*.parquet")
    message = refused("consensus", inputs / "log.csv", *probs, "--out", into)
    assert "pred_probs: no file at 'nowhere/*.parquet'" in message
    assert not into.parent.exists()


def test_missing_columns(inputs: Path, into: Path) -> None:
    log, probs = inputs / "log.csv", ("-p", inputs / "probs.csv")
    message = refused("consensus", log, "--annotator", "worker", "--out", into)
    assert "no column 'worker'; its columns are 'example', 'annotator', 'label'" in message
    assert "--example NAME --annotator NAME --label NAME" in message
    message = refused("consensus", log, *probs, "--probs-example", "id", "--out", into)
    assert "pred_probs has no column 'id'" in message
    assert "--probs-example NAME" in message
    message = refused("consensus", log, *probs, "--classes", "0,1,9", "--out", into)
    assert "pred_probs has no column '9'" in message


def test_bad_probabilities(into: Path, tmp_path: Path) -> None:
    log = of_small_log(tmp_path)
    for columns, words in (
        ({"y": [0.1, 0.4, 0.9]}, "do not sum to 1"),
        ({"y": [0.1, None, 0.8]}, "null"),
        ({"x": [1.2, 0.6, 0.2], "y": [-0.2, 0.4, 0.8]}, "negative"),
        ({"example": [1, 2, 4]}, "1 of 3 annotated examples has no pred_probs"),
        ({"example": ["a", "b", "c"]}, "In pred_probs: 'a', 'b', 'c'; in the log: 1, 2, 3"),
        ({"z": ["a", "b", "c"]}, "--classes A,B,C"),
    ):
        probs = of_small_probs(tmp_path, **columns)
        assert words in refused("consensus", log, "-p", probs, "--out", into)
    assert not into.parent.exists()


def test_bad_logs(into: Path, tmp_path: Path) -> None:
    probs = of_small_probs(tmp_path)
    for columns, words in (
        ({"annotator": ["a"] * 6}, "--duplicates first, last or all"),
        (
            {"annotator": ["a", None, "a", "b", "a", "b"]},
            "Fill in the annotators, or drop these rows.",
        ),
        ({"example": [1, 2, 3, 4, 5, 6]}, "6 examples"),
        ({"label": ["x", "x", "y", "z", "y", "y"]}, "'z'"),
        ({"label": pl.Series([None] * 6, dtype=pl.String)}, "no annotations"),
    ):
        log = of_small_log(tmp_path, **columns)
        if "example" in columns:
            probs = of_small_probs(tmp_path, example=[1, 2, 3, 4, 5, 6], x=[0.5] * 6, y=[0.5] * 6)
        message = refused("consensus", log, "-p", probs, "--out", into)
        assert words in message
    assert not into.parent.exists()


@pytest.mark.parametrize("with_model", [True, False])
def test_duplicates(into: Path, tmp_path: Path, with_model: bool) -> None:
    log = of_small_log(tmp_path, annotator=["a", "a", "a", "b", "a", "b"])
    probs: list[str | Path] = ["-p", of_small_probs(tmp_path)] if with_model else []
    message = refused("consensus", log, *probs, "--out", into)
    assert "1 pair with more than one annotation" in message
    assert "--duplicates first, last or all" in message
    assert not into.parent.exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "broken.parquet",
            "no parquet",
            "broken.parquet cannot be read: parquet: File out of specification",
        ),
        ("empty.csv", "", "empty.csv is empty: there is no header"),
        ("broken.ndjson", '{"example": 1, "an', "broken.ndjson is no JSON that can be read: "),
        ("log.doc", "x", "known endings are"),
        ("log.csv", "example,label,label\n1,a,x\n", "log.csv: several columns are named 'label'"),
    ],
)
def test_broken_files(into: Path, tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    message = refused("consensus", tmp_path / name, "--out", into)
    assert words in message
    assert message.count("\n") == 1
    assert words in refused("check", tmp_path / name)
    assert not into.parent.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--calibrate", "--quality-method", "agreement"],
            "--quality-method, --calibrate: only with",
        ),
        (["--probs-example", "id"], "--probs-example: only with --pred-probs"),
        (["--out-format", "doc"], "--out-format: 'doc' is not one of 'parquet', 'csv', 'xlsx'"),
        (["--format", "csv"], "say --out-format csv"),
        (["--duplicates", "some"], "--duplicates"),
        (["-p", "probs.csv", "--quality-method", "magic"], "--quality-method"),
        (["--unknown"], "No such option"),
    ],
)
def test_usage_errors(inputs: Path, into: Path, arguments: list[str], words: str) -> None:
    result = run("consensus", inputs / "log.csv", "--out", into, *arguments)
    assert result.exit_code == 2
    assert words in Text.from_ansi(result.stderr).plain
    assert not into.parent.exists()
    assert run("consensus", "--out", into).exit_code == 2


def test_options_that_do_not_go_together(inputs: Path, into: Path) -> None:
    given = ("consensus", inputs / "log.csv", "-p", inputs / "probs.csv", "--out", into)
    assert "'magic' is not one of 'best_quality'" in refused(*given, "--consensus-method", "magic")
    entropy = ("--label-quality-method", "confidence_weighted_entropy")
    assert "does not go with" in refused(*given, "--adjust-pred-probs", *entropy)


def test_nested_columns_and_csv(into: Path, tmp_path: Path) -> None:
    log = of_small_log(tmp_path, tags=[{"a": 1}] * 6)
    given = ("consensus", log, "-p", of_small_probs(tmp_path), "--out", into)
    assert "cannot hold the columns 'tags'" in refused(*given, "--out-format", "csv")
    succeeded(*given)
    assert pl.read_parquet(into / "annotations.parquet")["tags"].to_list() == [{"a": 1}] * 6


# --- files ----------------------------------------------------------------------------------------


def test_earlier_results_are_kept_unless_forced(inputs: Path, into: Path) -> None:
    given = ("consensus", inputs / "log.csv", "--out", into)
    succeeded(*given, "-p", inputs / "probs.csv")
    (into / "notes.txt").write_text("mine")
    other = (*given, "-m", "dawid-skene", "--out-format", "csv")
    message = refused(*other)
    assert (
        "holds results of CROWDLAB already. Overwrite them, or give another directory: --force"
        in message
    )
    assert_results(into, pc.crowdlab(str(inputs / "log.csv"), str(inputs / "probs.csv")))
    succeeded(*other, "--force")
    found = pc.open_results(into)
    assert found.method == "Dawid-Skene"
    assert files_in(into) == sorted(
        [*(f"{table}.csv" for table in found.tables), "notes.txt", "results.json"]
    )


def test_files_of_others_are_never_overwritten(inputs: Path, into: Path) -> None:
    into.mkdir(parents=True)
    (into / "examples.parquet").write_text("mine")
    message = refused("consensus", inputs / "log.csv", "--out", into, "--force")
    assert "has 'examples.parquet', which no results of ours list" in message
    assert (into / "examples.parquet").read_text() == "mine"


def test_a_workbook(inputs: Path, into: Path) -> None:
    pytest.importorskip("xlsxwriter")
    succeeded("consensus", inputs / "log.csv", "--out", into, "--out-format", "xlsx")
    assert files_in(into) == ["results.json", "results.xlsx"]


def test_results_need_a_directory(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "examples.parquet").mkdir()
    log = inputs / "log.csv"
    assert "is a file" in refused("consensus", log, "--out", tmp_path / "file")
    assert "Not a directory" in refused("consensus", log, "--out", tmp_path / "file" / "sub")
    message = refused("consensus", log, "--out", tmp_path, "--force")
    assert "has 'examples.parquet', which no results of ours list" in message


def test_directories_without_permission(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)  # root may all
    assert "is not writable" in refused("consensus", inputs / "log.csv", "--out", tmp_path)


FULL = OSError(errno.ENOSPC, "No space left on device")
WRAPPED = pl.exceptions.ComputeError("parquet: underlying IO error: No space left (os error 28)")


@pytest.mark.parametrize("error", [FULL, WRAPPED])
@pytest.mark.parametrize("there", [True, False])
def test_failing_to_write_leaves_nothing_and_keeps_the_old(
    inputs: Path, into: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, there: bool
) -> None:
    given = ("consensus", inputs / "log.csv", "-p", inputs / "probs.csv", "--out", into)
    if there:
        succeeded(*given)
    before = {p.name: p.read_bytes() for p in into.iterdir()} if there else {}
    write = pl.LazyFrame.sink_parquet

    def sink_parquet(self: pl.LazyFrame, path: Path, **options: Any) -> None:
        if "annotations" not in path.name:
            write(self, path, **options)
            return
        path.write_text("half of it")
        raise error

    monkeypatch.setattr(pl.LazyFrame, "sink_parquet", sink_parquet)
    result = run(*given, "--force")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"polars-crowd: error: cannot write {into / 'annotations.parquet'}: " in result.stderr
    assert "No space left" in result.stderr
    assert "Traceback" not in result.stderr
    if there:
        assert {p.name: p.read_bytes() for p in into.iterdir()} == before
    else:
        assert not into.parent.exists()


def test_failing_to_rename(inputs: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(self: Path, target: Path) -> Path:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "replace", replace)
    result = run("consensus", inputs / "log.csv", "--out", into)
    assert result.exit_code == 1
    assert ": Permission denied" in result.stderr
    assert not into.parent.exists()


def test_files_that_appear_meanwhile_are_kept(
    inputs: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vote = pc.majority_vote

    def slow_vote(*args: Any, **options: Any) -> pl.LazyFrame:
        into.mkdir(parents=True)
        (into / "examples.parquet").write_text("of another run")
        return vote(*args, **options)

    monkeypatch.setattr(pc, "majority_vote", slow_vote)
    message = refused("consensus", inputs / "log.csv", "--out", into)
    assert "which no results of ours list" in message
    assert files_in(into) == ["examples.parquet"]
    assert (into / "examples.parquet").read_text() == "of another run"


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_a_limit_of_the_operating_system(inputs: Path, into: Path, file_format: str) -> None:
    resource = pytest.importorskip("resource", reason="a limit of POSIX")
    result = python(
        *("-m", "polars_crowd.cli", "consensus", str(inputs / "log.csv"), "--out", str(into)),
        *("--out-format", file_format),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert result.returncode == 1
    assert result.stderr.startswith("polars-crowd: error: cannot write ")
    assert "File too large" in result.stderr
    assert not into.parent.exists()


def test_interrupt_is_quiet(inputs: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pc, "crowdlab", interrupted)
    given = ("consensus", inputs / "log.csv", "-p", inputs / "probs.csv", "--out", into)
    result = run(*given)
    assert result.exit_code == 130
    assert result.output == ""
    assert not into.parent.exists()


def test_termination_removes_what_is_unfinished(inputs: Path, into: Path) -> None:
    program = (
        "import os, signal, sys, polars as pl; from polars_crowd.cli import main\n"
        "write = pl.LazyFrame.sink_parquet\n"
        "def sink(self, *args, **options):\n"
        "    write(self, *args, **options)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "pl.LazyFrame.sink_parquet = sink\n"
        "main()"
    )
    result = python("-c", program, "consensus", str(inputs / "log.csv"), "--out", str(into))
    assert result.returncode == 128 + signal.SIGTERM
    assert result.stderr == ""
    assert not into.parent.exists()


# --- check ----------------------------------------------------------------------------------------


def test_check_of_a_good_log(tmp_path: Path) -> None:
    assert succeeded("check", of_small_log(tmp_path)) == "0 errors, 0 warnings, 0 notes\n"


def test_check_with_notes_only(inputs: Path) -> None:
    text = succeeded("check", inputs / "log.parquet")
    assert text.startswith("note: examples with one annotation: 5\n  099; 101; ")
    assert text.endswith("0 errors, 0 warnings, 1 note\n")


def test_check_finds_errors(tmp_path: Path) -> None:
    log = of_small_log(
        tmp_path,
        annotator=["a", "a", "a", "b", None, "b"],
        label=["x", "x", "y", None, "y", "y"],
    )
    names = {"example": "task", "annotator": "worker", "label": "answer"}
    pl.read_parquet(log).rename(names).write_parquet(log)
    given = ("--example", "task", "--annotator", "worker", "--label", "answer")
    result = run("check", log, *given)
    assert result.exit_code == 1
    assert result.stderr == ""
    assert "error: null annotators: 1\n" in result.stdout
    assert "error: duplicate annotations: 1\n" in result.stdout
    assert "--duplicates first, last or all" in result.stdout
    assert "note: rows without a label: 1\n" in result.stdout
    assert "\n2 errors, " in result.stdout


def test_check_with_classes(tmp_path: Path) -> None:
    log = of_small_log(tmp_path, label=[1, 1, 2, 3, 2, 2])
    assert succeeded("check", log, "--classes", "1,2,3") == "0 errors, 0 warnings, 0 notes\n"
    result = run("check", log, "--classes", "1, 2,5")
    assert result.exit_code == 1
    assert "error: labels outside the classes: 1\n  3\n" in result.stdout
    assert "note: classes never chosen: 1\n  5\n" in result.stdout


@pytest.mark.parametrize("width", [60, 80])
def test_check_is_broken_between_words(tmp_path: Path, width: int) -> None:
    log = of_small_log(tmp_path, label=["Yes", "yes", "N/A", "no", "no", "no"])
    text = succeeded("check", log, COLUMNS=str(width))
    assert max(map(len, text.splitlines())) <= width
    assert "warning: labels that look like missing values: 1\n  'N/A' (1 row)\n" in text
    said = " ".join(text.split())
    assert "leave them out: --missing N/A. " in said
    assert "To take them for one: --normalize case." in said


def test_check_tells_how_many_more(tmp_path: Path) -> None:
    n = 20
    log = of_small_log(tmp_path)
    alone = {"example": range(10, 10 + n), "annotator": ["a"] * n, "label": ["x"] * n}
    pl.concat([pl.read_parquet(log), pl.DataFrame(alone)]).write_parquet(log)
    assert "  10; 11; 12; 13; 14; ... (15 more)\n" in succeeded("check", log)


def test_check_leaves_out_what_is_missing(tmp_path: Path) -> None:
    log = of_small_log(tmp_path, label=["Yes", "yes", "N/A", "no", "no", "no"])
    text = succeeded("check", log, "--missing", "N/A", "--normalize", "case")
    assert "warning: " not in text
    assert "note: rows without a label: 1\n" in text


def test_check_of_unusable_input(inputs: Path) -> None:
    assert "no file at" in refused("check", "nowhere.csv")
    assert "--annotator NAME" in refused("check", inputs / "log.csv", "--annotator", "worker")


# --- executors ------------------------------------------------------------------------------------


def test_processes_asked_for() -> None:
    with executor_of(None) as none:
        assert none is None
    with executor_of("processes:1") as pool:
        assert pool is not None
        assert pool.submit(abs, -2).result(timeout=60) == 2


@pytest.mark.parametrize(
    "kind", ["processes", "processes:0", "processes:two", "dask:", "threads:2"]
)
def test_unknown_executors(kind: str) -> None:
    message = "it must be processes:N, N at least 1, or dask:ADDRESS"
    with pytest.raises(typer.BadParameter, match=message), executor_of(kind):
        pass


# --- the program ----------------------------------------------------------------------------------


def test_version() -> None:
    assert succeeded("--version") == f"polars-crowd {pc.__version__}\n"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([], "polars-crowd demo"),
        (["demo"], "  polars-crowd demo"),
        (["consensus"], "  polars-crowd consensus log.parquet -p probs.parquet --out results"),
        (["check"], "  polars-crowd check log.parquet"),
    ],
)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(command: list[str], words: str, flag: str) -> None:
    text = Text.from_ansi(succeeded(*command, flag, COLUMNS="80")).plain
    assert words in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80


def test_help_names_every_option() -> None:
    text = Text.from_ansi(succeeded("consensus", "--help")).plain
    for option in (
        *("--pred-probs", "--example", "--annotator", "--label", "--probs-example", "--classes"),
        *("--consensus-method", "--quality-method", "--label-quality-method", "--out"),
        *("--adjust-pred-probs", "--calibrate", "--duplicates", "--out-format", "--force"),
    ):
        assert option in text


def test_nothing_asked_shows_help() -> None:
    assert "consensus" in run().output


def test_as_a_program(inputs: Path, into: Path) -> None:
    program = ("-m", "polars_crowd.cli")
    demo = python(*program, "demo")
    assert (demo.returncode, demo.stderr) == (0, "")
    assert "0.9797" in demo.stdout
    missing = python(*program, "consensus", "nowhere.csv", "--out", str(into))
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr == "polars-crowd: error: the log: no file at 'nowhere.csv'.\n"
    bug = "import polars_crowd as pc, polars_crowd.cli as c; pc.datasets.tutorial = None; c.main()"
    failed = python("-c", bug, "demo")
    assert failed.returncode == 1
    assert failed.stderr.startswith("Traceback"), "bugs show where they are, as Python shows them"


def test_broken_pipe_is_quiet() -> None:
    closed = (
        "import os, subprocess, sys\n"
        "read, write = os.pipe()\n"
        "os.close(read)\n"
        "command = [sys.executable, '-m', 'polars_crowd.cli', 'demo']\n"
        "done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)\n"
        "print(repr(done.stderr))"
    )
    assert python("-c", closed).stdout == "''\n"


def test_the_library_does_without_typer() -> None:
    check = "import sys, polars_crowd; sys.exit(bool({'typer', 'rich'} & set(sys.modules)))"
    assert python("-c", check).returncode == 0


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_what_to_install(module: str) -> None:
    program = (
        f"import sys; sys.modules['{module}'] = None; from polars_crowd.cli import main; main()"
    )
    result = python("-c", program)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"polars-crowd: {module}")
    assert 'pip install "polars-crowd[cli]"' in result.stderr
