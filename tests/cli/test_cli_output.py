"""What every command prints: a report, one JSON document, CSV; where it comes from and goes to."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import polars_crowd as pc
from polars_crowd.cli.output import Answer, Block, json_of
from polars_crowd.errors import warn
from polars_crowd.escapes import STEERING
from tests.cases import EVIL
from tests.cli.commands import PLAIN, files_in, refused, run, succeeded

DATA = pc.datasets.tutorial()
COMMANDS = {
    # what each is called with, and its main table's first column
    "demo": "example",
    "check LOG": "severity",
    "consensus LOG": "example",
    "consensus LOG -p PROBS": "example",
    "consensus LOG -m dawid-skene": "example",
    "next LOG -p PROBS --size 5": "example",
    "next LOG --size 5": "example",
    "compare LOG -m majority-vote -m wawa --folds 2": "method",
    "rank COMPARISONS": "example",
    "agreement LOG --coefficients alpha,cohen": "coefficient",
    "store create NEW LOG": "partition",
    "store append STORE -p PROBS": "partition",
    "store describe STORE": "partition",
    "store verify STORE": "file",
}


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    paths = {name: str(tmp_path / name.lower()) for name in ("STORE", "NEW", "OUT")}
    frames = {
        "LOG": DATA.log,
        "PROBS": DATA.pred_probs,
        "COMPARISONS": pl.DataFrame(
            {
                "left": ["a", "b", "c", "a"],
                "right": ["b", "c", "a", "c"],
                "annotator": ["j", "j", "k", "k"],
                "winner": ["a", "b", "a", "a"],
            }
        ),
    }
    for name, frame in frames.items():
        paths[name] = str(tmp_path / f"{name.lower()}.parquet")
        frame.write_parquet(paths[name])
    pc.AnnotationStore.create(paths["STORE"], DATA.log, DATA.pred_probs, partitions=2)
    (tmp_path / "report.html").touch()  # so that the demo writes none, which takes long
    return paths


def called(call: str, places: dict[str, str]) -> list[str]:
    return [places.get(word, word) for word in call.split()]


def csv(text: str) -> pl.DataFrame:
    return pl.read_csv(io.StringIO(text), infer_schema_length=0)


# --- forms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", COMMANDS)
def test_json_is_one_document_and_csv_has_a_header(call: str, places: dict[str, str]) -> None:
    found = json.loads(
        succeeded(*called(call, places), "--format", "json"), parse_constant=pytest.fail
    )
    assert isinstance(found, (list, dict))
    again = call.replace("NEW", "OUT")
    assert csv(succeeded(*called(again, places), "--format", "csv")).columns[0] == COMMANDS[call]


@pytest.mark.parametrize("call", COMMANDS)
@pytest.mark.parametrize("width", [60, 100])
def test_reports_break_between_words(call: str, width: int, places: dict[str, str]) -> None:
    text = succeeded(*called(call, places), COLUMNS=str(width))
    assert max(map(len, text.splitlines())) <= width
    tables = text.partition("\n\n")[2]  # what is above them has an objective
    assert not any(digits.isdigit() for digits in long_fractions(tables))


def long_fractions(text: str) -> list[str]:
    """What is after the fourth digit of a fraction."""
    words = [word.partition(".")[2] for word in text.split()]
    return [word[4:] for word in words if word[:4].isdigit() and "e" not in word]


@pytest.mark.parametrize("call", [c for c in COMMANDS if "store" not in c and c != "demo"])
def test_the_main_table_goes_to_stdout_and_the_rest_to_stderr(
    call: str, places: dict[str, str]
) -> None:
    expected = succeeded(*called(call, places), "--format", "csv")
    found = run(*called(call, places), "--out", "-")
    if not call.startswith("compare"):  # which tells the time it took
        assert found.stdout == expected
    assert csv(found.stdout).height == csv(expected).height
    assert (found.stderr == "") == call.startswith("next LOG -p")  # the batch is all there is
    assert run(*called(call, places), "-o", "-", "--quiet").stderr == ""


def test_json_says_what_the_library_finds(places: dict[str, str]) -> None:
    found = json.loads(
        succeeded("consensus", places["LOG"], "-p", places["PROBS"], "--format", "json")
    )
    fit = pc.crowdlab(DATA.log, DATA.pred_probs)
    examples = fit.examples.collect()
    assert_frame_equal(pl.DataFrame(found["examples"], schema=examples.schema), examples)
    assert found["model_weight"] == pytest.approx(fit.model_weight, rel=1e-12)
    assert (found["num_examples"], found["num_annotators"], found["num_annotations"]) == (
        296,
        50,
        1456,
    )


def test_json_of_files_lists_them(places: dict[str, str]) -> None:
    out = Path(places["OUT"])
    found = json.loads(succeeded("consensus", places["LOG"], "--out", out, "--format", "json"))
    assert found["files"] == [str(out / "examples.parquet")]
    assert "examples" not in found


def test_json_has_null_for_what_is_no_number() -> None:
    rows = pl.DataFrame({"x": [1 / 3, np.nan, np.inf, None], "t": ['a"\n', "b", None, "c"]})
    answer = Answer(rows, lambda: [Block("")], lambda: {"share": float("nan"), "rows": rows})
    found = json.loads("".join(json_of(answer)))
    assert found["share"] is None
    assert [row["x"] for row in found["rows"]] == [1 / 3, None, None, None]
    assert [row["t"] for row in found["rows"]] == ['a"\n', "b", None, "c"]
    assert json.loads("".join(json_of(Answer(rows.clear(), list)))) == []


def test_lists_are_joined_in_csv(places: dict[str, str]) -> None:
    found = csv(succeeded("check", places["LOG"], "--format", "csv"))
    assert found["shown"].to_list() == [";".join(pc.check_annotations(DATA.log)["shown"][0])]


# --- quiet -----------------------------------------------------------------------------------------


def test_quiet_says_no_warnings_and_has_the_same_exit_code(tmp_path: Path) -> None:
    log = pl.DataFrame(
        {"example": [1, 1, 1], "annotator": ["a", "a", "b"], "label": ["x", "y", "x"]}
    )
    log.write_csv(tmp_path / "log.csv")
    loud, quiet = run("check", tmp_path / "log.csv"), run("check", tmp_path / "log.csv", "-q")
    assert loud.exit_code == quiet.exit_code == 1
    assert loud.stdout.splitlines()[:-1] == quiet.stdout.splitlines()
    loud = run("consensus", tmp_path / "log.csv", "-m", "nobody")
    quiet = run("consensus", tmp_path / "log.csv", "-m", "nobody", "-q")
    assert (loud.exit_code, loud.stderr) == (quiet.exit_code, quiet.stderr)


def test_quiet_leaves_warnings_out(places: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    vote = pc.majority_vote

    def warned(*args: Any, **options: Any) -> pl.LazyFrame:
        warn("it is odd.")
        return vote(*args, **options)

    monkeypatch.setattr(pc, "majority_vote", warned)
    assert "warning: it is odd." in run("consensus", places["LOG"]).stderr
    assert run("consensus", places["LOG"], "--quiet").stderr == ""


def test_quiet_is_the_table_alone_and_nothing_where_files_are_written(
    places: dict[str, str],
) -> None:
    lines = succeeded("next", places["LOG"], "--size", "3", "-q").splitlines()
    assert [line.split()[0] for line in lines] == ["example", "014", "050", "077"]
    assert succeeded("consensus", places["LOG"], "--out", places["OUT"], "-q") == ""
    assert files_in(Path(places["OUT"])) == ["examples.parquet", "results.json"]


# --- long tables -----------------------------------------------------------------------------------


def test_long_tables_are_cut_and_say_so(places: dict[str, str], tmp_path: Path) -> None:
    call = ("next", places["LOG"], "--size", "60")
    text = succeeded(*call)
    assert text.endswith("... and 10 rows more; all of them with --out, or --format csv\n")
    assert len(text.splitlines()) == 4 + 50 + 1
    for file, read in (
        ("t.csv", pl.read_csv),
        ("t.parquet", pl.read_parquet),
        ("t.jsonl", pl.read_ndjson),
    ):
        succeeded(*call, "--out", tmp_path / file)
        assert read(tmp_path / file).height == 60


def test_many_groups_are_cut(tmp_path: Path) -> None:
    n = 200
    rows = {"example": np.arange(n).repeat(2), "annotator": np.tile([0, 1], n), "label": [0, 1] * n}
    log = pl.DataFrame(rows).with_columns(
        group="example", label=pl.col("label") * (pl.col("example") % 2)
    )
    log.write_parquet(tmp_path / "log.parquet")
    call = ("agreement", tmp_path / "log.parquet", "--by", "group")
    found = run(*call, "--fail-under", "alpha=0.5")
    assert found.exit_code == 1
    assert "... and 1,150 rows more" in found.stdout
    assert len(found.stdout.splitlines()) < 120
    assert "... and 150 misses more" in found.stderr
    assert len(found.stderr.splitlines()) == 51
    succeeded(*call, "--out", tmp_path / "groups.csv")
    assert pl.read_csv(tmp_path / "groups.csv").height == 1200


def test_bootstraps_of_too_many_groups_are_refused(tmp_path: Path) -> None:
    n = 2001
    rows = {"example": np.arange(n).repeat(2), "annotator": np.tile([0, 1], n), "label": [0, 1] * n}
    pl.DataFrame(rows).with_columns(group="example").write_parquet(tmp_path / "log.parquet")
    call = ("agreement", tmp_path / "log.parquet", "--by", "group", "--interval", "bootstrap")
    message = refused(*call)
    assert (
        "--interval bootstrap: it draws the examples of each group anew, and there are 2,001"
        in message
    )
    assert "--interval analytic" in message


# --- standard input and output ---------------------------------------------------------------------


def as_bytes(kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "json":
        return DATA.log.write_json().encode()
    if kind == "csv.gz":
        return gzip.compress(DATA.log.write_csv().encode())
    if kind == "utf8-bom.csv":
        return b"\xef\xbb\xbf" + DATA.log.write_csv().encode()
    writers: dict[str, Any] = {
        "csv": DATA.log.write_csv,
        "tsv": lambda out: DATA.log.write_csv(out, separator="\t"),
        "jsonl": DATA.log.write_ndjson,
        "parquet": DATA.log.write_parquet,
        "arrow": DATA.log.write_ipc,
    }
    writers[kind](out)
    return out.getvalue()


@pytest.mark.parametrize(
    "kind", ["csv", "tsv", "jsonl", "json", "parquet", "arrow", "csv.gz", "utf8-bom.csv"]
)
def test_standard_input_is_a_log(kind: str) -> None:
    call = ("consensus", "-", "--format", "json", "--quiet")
    found = json.loads(succeeded(*call, stdin=as_bytes(kind)))
    assert_frame_equal(
        pl.DataFrame(found["examples"]),
        pc.majority_vote(DATA.log).collect(),
        check_dtypes=False,
    )


def test_standard_input_is_any_one_file(places: dict[str, str]) -> None:
    out = io.BytesIO()
    DATA.pred_probs.write_parquet(out)
    call = ("consensus", places["LOG"], "--format", "csv")
    assert succeeded(*call, "-p", "-", stdin=out.getvalue()) == succeeded(
        *call, "-p", places["PROBS"]
    )
    truth = DATA.truth.write_csv().encode()
    compared = ("compare", places["LOG"], "-m", "majority-vote", "--folds", "0", "--format", "json")
    assert json.loads(succeeded(*compared, "--truth", "-", stdin=truth))[0]["accuracy"] > 0.8
    assert "standard input can be one file only" in refused("consensus", "-", "-p", "-", stdin=b"")
    stored = ("store", "append", places["STORE"], "-", "--example", "id")
    assert "standard input" not in refused(*stored, stdin=b"id,annotator,label\n")


def test_errors_call_it_standard_input() -> None:
    bad = b"example,annotator,label\n1,a\n"
    message = refused("check", "-", stdin=bad)
    assert message.startswith("standard input: 1 row without exactly 3 ")
    assert "standard input is empty" in refused("check", "-", stdin=b"")
    given = refused("check", "-", "--input-format", "jsonl", stdin=as_bytes("csv"))
    assert given.startswith("standard input is no JSON")


def test_a_format_that_is_said(places: dict[str, str]) -> None:
    rows = b'{"a"},1,x\n'  # begins like JSON
    call = ("check", "-", "--no-header", "--columns", "example,annotator,label", "--format", "json")
    assert "no JSON" in refused(*call[:2], stdin=rows)
    found = run(*call, "--input-format", "csv", "--quote", "none", stdin=rows)
    assert found.exit_code == 1
    assert "every example has one annotation" in found.stdout


def test_a_pipe_that_is_closed_early_is_no_error(tmp_path: Path) -> None:
    n = 20_000
    rows = {"example": np.arange(n).repeat(2), "annotator": np.tile([0, 1], n), "label": [0, 1] * n}
    pl.DataFrame(rows).write_parquet(tmp_path / "log.parquet")
    command = [sys.executable, "-m", "polars_crowd", "consensus", str(tmp_path / "log.parquet")]
    env = {name: value for name, value in {**os.environ, **PLAIN}.items() if value is not None}
    with subprocess.Popen(
        [*command, "--out", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"example,")
        process.stdout.close()
        assert process.stderr.read() == b""


# --- what steers a terminal ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        "consensus LOG",
        "consensus LOG -p PROBS",
        "consensus LOG -m dawid-skene",
        "check LOG",
        "next LOG",
        "next LOG -p PROBS",
        "compare LOG -m majority-vote -m wawa --folds 2",
        "agreement LOG --by group",
        "agreement LOG --by group --fail-under alpha=1",
        "consensus LOG --label group --classes x",
        "agreement LOG --by nothing",
        "rank LOG --left example --right annotator --winner example",
        "rank LOG --left example --right annotator --winner group",
    ],
)
def test_nothing_in_a_log_steers_the_terminal(call: str, tmp_path: Path) -> None:
    evil = pl.Series("id", EVIL)
    log = pl.DataFrame({"example": evil}).join(pl.DataFrame({"annotator": evil}), how="cross")
    labels = pl.Series("label", [*(EVIL * 20)[: len(EVIL) ** 2 - 1], "\x1b[1mx"])
    log = log.with_columns(labels, group=pl.col("example"))
    log = pl.concat([log, log.head(3).with_columns(annotator=pl.lit("\x1b[2Jlone"))])
    classes = [*EVIL, "\x1b[1mx"]
    probs = pl.DataFrame({"example": [*EVIL, "\x1b[1mnew"]}).with_columns(
        pl.lit(1 / len(classes)).alias(name) for name in classes
    )
    log.write_parquet(tmp_path / "log.parquet")
    probs.write_parquet(tmp_path / "probs.parquet")
    places = {"LOG": str(tmp_path / "log.parquet"), "PROBS": str(tmp_path / "probs.parquet")}
    found = run(*called(call, places))
    assert found.exception is None or isinstance(found.exception, SystemExit)
    said = (found.stdout + found.stderr).replace("\n", "")
    assert said != ""
    assert pl.Series([said]).str.extract_all(STEERING)[0].to_list() == []


# --- the program -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("polars-crowd consensus LOG --method dawid", ["dawid-skene"]),
        ("polars-crowd compare LOG -m one", ["one-coin-dawid-skene"]),
        (
            "polars-crowd agreement LOG --coefficients alpha,gwet",
            ["alpha,gwet_ac1", "alpha,gwet_ac2"],
        ),
        ("polars-crowd agreement LOG --fail-under perc", ["percent_agreement="]),
        ("polars-crowd consensus LOG --quality-method a", ["agreement"]),
        ("polars-crowd rank LOG --method crowd", ["crowd-bradley-terry"]),
        ("polars-crowd check LOG --format j", ["json"]),
        ("polars-crowd sto", ["store"]),
    ],
)
def test_completion(words: str, names: list[str]) -> None:
    n = str(len(words.split()) - 1)
    shell = "complete_bash"
    text = succeeded(_POLARS_CROWD_COMPLETE=shell, COMP_WORDS=words, COMP_CWORD=n)
    assert text.split() == names


def test_completion_is_shown_and_the_version_is() -> None:
    assert "--install-completion" in succeeded("--help")
    assert succeeded("-V") == succeeded("--version") == f"polars-crowd {pc.__version__}\n"


# --- formulas --------------------------------------------------------------------------------------

FORMULAS = pl.DataFrame(
    [(e, a, "x") for e in ("=1+1", "+1", "-x", "@y", "plain") for a in ("=a", "b")],
    schema=["example", "annotator", "label"],
    orient="row",
)


@pytest.mark.parametrize("how", ["--format csv", "--out -", "--out DIR/t.csv"])
def test_csv_runs_no_formulas_unless_it_is_raw(how: str, tmp_path: Path) -> None:
    FORMULAS.write_parquet(tmp_path / "log.parquet")
    words = ["next", str(tmp_path / "log.parquet"), *how.replace("DIR", str(tmp_path)).split()]

    def table(*more: str) -> tuple[list[str], str]:
        found = run(*words, *more)
        assert found.exit_code == 0, found.output
        text = (tmp_path / "t.csv").read_text() if "t.csv" in how else found.stdout
        return sorted(csv(text)["example"]), found.stderr

    safe, said = table()
    assert safe == ["'-x", "'=1+1", "'@y", "+1", "plain"]
    assert "warning: " in said
    assert "3 cells that a spreadsheet would run as formulas" in said.replace("\n", " ")
    assert "To leave them as they are: --raw." in said
    assert table("--quiet", "--force")[1] == "" if "t.csv" in how else table("--quiet")[1] == ""
    raw, said = table("--raw", "--force") if "t.csv" in how else table("--raw")
    assert raw == ["+1", "-x", "=1+1", "@y", "plain"]
    assert "warning" not in said


def test_files_of_a_directory_run_no_formulas_unless_they_are_raw(tmp_path: Path) -> None:
    FORMULAS.write_parquet(tmp_path / "log.parquet")
    call = ("consensus", tmp_path / "log.parquet", "-o", tmp_path / "o", "--out-format", "csv")
    assert "3 cells that a spreadsheet" in run(*call).stderr
    assert succeeded(*call, "--force", "--raw")
    assert pl.read_csv(tmp_path / "o" / "examples.csv")["example"].str.starts_with("'").sum() == 0
    for more in (["--out-format", "parquet"], ["--format", "json"]):
        assert "--raw: only with CSV" in refused(
            *call[:-1], "parquet", "--raw", "--force", *more[2:]
        )
    assert "--raw: only with CSV" in refused("agreement", tmp_path / "log.parquet", "--raw")


def test_json_is_exact_and_steers_no_terminal(tmp_path: Path) -> None:
    log = pl.DataFrame(
        {"example": EVIL * 2, "annotator": ["a"] * 9 + ["b"] * 9, "label": "=x\u2028"}
    )
    log.write_parquet(tmp_path / "log.parquet")
    text = succeeded("consensus", tmp_path / "log.parquet", "--format", "json")
    found = json.loads(text)["examples"]
    assert sorted(row["example"] for row in found) == sorted(EVIL)
    assert {row["consensus_label"] for row in found} == {"=x\u2028"}
    assert pl.Series([text.replace("\n", "")]).str.extract_all(STEERING)[0].to_list() == []
