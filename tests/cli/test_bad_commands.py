"""Bad calls and bad files, kind by kind: one clear message, the exit code, and nothing left behind."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.cli import common
from tests.cli.commands import PYTHON, refused, run

LOG = pl.DataFrame(
    {
        "example": [k // 2 for k in range(40)],
        "annotator": ["a", "b"] * 20,
        "label": ["x", "y", "x", "x"] * 10,
    }
)
PROBS = pl.DataFrame({"example": range(20), "x": [0.75] * 20, "y": [0.25] * 20})
ROW = b"example,annotator,label\n1,a,x\n"
BAD_FILES = {
    "empty.csv": "empty.csv is empty: there is no header",
    "empty.parquet": "empty.parquet cannot be read: parquet",
    "empty.jsonl": "empty.jsonl is no JSON that can be read",
    "cut.parquet": "cut.parquet cannot be read: parquet",
    "damaged.parquet": "damaged.parquet cannot be read: parquet",
    "cut.arrow": "cut.arrow cannot be read: out-of-spec",
    "cut.csv.gz": "cut.csv.gz cannot be decompressed",
    "text.parquet": "text.parquet cannot be read: parquet",
    "utf16.csv": "begins with the byte order mark of UTF-16. Say in which encoding it is: --encoding utf-16.",
    "latin.csv": "latin.csv: the byte 0xe9 in line 2 is not UTF-8",
    "binary.csv": "binary.csv: the byte 0x",
    "short.csv": "short.csv: 1 row without exactly 3 fields",
    "bad.jsonl": "bad.jsonl is no JSON that can be read",
    "none.csv": "no file at 'none.csv'",
    "no-*.csv": "no file at 'no-*.csv'",
    "loop.csv": "loop.csv cannot be read: Too many levels of symbolic links",
    "link.parquet": "link.parquet cannot be read: No such file",
    "log.doc": "ends in '.doc'; known endings are",
    "folder": "the directory 'folder' holds no files",
    "mixed": "other.parquet does not fit the others: column 'example' is String",
}
READERS = ("check", "consensus", "agreement", "store create NEW")
OTHERS = ("next", "compare", "rank", "store append STORE", "consensus -m dawid-skene")
OF_FILES = [
    *((f"{command} {file}", said) for file, said in BAD_FILES.items() for command in READERS),
    *((f"{c} {file}", BAD_FILES[file]) for c in OTHERS for file in ("cut.parquet", "none.csv")),
    *(
        (f"consensus LOG -p {file}", said)
        for file, said in BAD_FILES.items()
        if file not in ("short.csv", "damaged.parquet")
    ),
    *((f"consensus LOG -m wawa --gold {f}", BAD_FILES[f]) for f in ("cut.parquet", "none.csv")),
    *((f"next LOG --exclude {file}", BAD_FILES[file]) for file in ("cut.arrow", "none.csv")),
    *((f"agreement LOG --by {file}", BAD_FILES[file]) for file in ("bad.jsonl", "none.csv")),
]
OF_CALLS = [
    # commands and options that there are not
    (
        "consensu LOG",
        "No such command 'consensu'. Did you mean 'consensus'? See: polars-crowd --help",
    ),
    ("store bild STORE", "No such command 'bild'"),
    ("--nope", "No such option: --nope"),
    (
        "consensus LOG --methd wawa",
        "No such option: --methd (Possible options: --comment, --method",
    ),
    ("agreement LOG --seed 3", "No such option: --seed"),
    *((f"{command}", "Missing argument 'LOG'") for command in ("check", "consensus", "next")),
    ("store create", "Missing argument 'S"),
    ("store verify", "Missing argument 'S"),
    # values that options cannot have
    *(
        (f"{c} LOG --format jsn", "--format: 'jsn' is not one of")
        for c in ("check", "next", "compare")
    ),
    ("consensus LOG -m daw", "--method daw: it must be one of"),
    ("consensus LOG -m wawa --max-iter x", "--max-iter: Input should be a valid integer"),
    (
        "consensus LOG -m dawid-skene --max-iter 0",
        "--max-iter 0: it must be an integer of at least 1",
    ),
    ("consensus LOG -m dawid-skene --tol -1", "--tol -1.0: it must be a number of at least 0"),
    ("consensus LOG -m dawid-skene --tol x", "--tol: Input should be a valid number"),
    ("consensus LOG -m dawid-skene --tol nan", "--tol nan: it must be a number"),
    (
        "consensus LOG -m dawid-skene --memory-limit much",
        "--memory-limit much: it must be a number of bytes",
    ),
    (
        "consensus LOG -m dawid-skene --memory-limit 5",
        "take about 960 bytes of memory; the limit is 5 bytes",
    ),
    ("consensus LOG --duplicates some", "--duplicates: 'some' is not one of"),
    (
        "consensus LOG --classes x",
        "has 10 rows with labels that are not among the classes 'x': 'y'",
    ),
    ("consensus LOG --classes x,x,y", "--classes 'x', 'x', 'y': it must list the labels, in order"),
    ("consensus LOG --separator ;;", "--separator ;;: it must be a single ASCII character"),
    ("consensus log.csv --separator ;;", "--separator ;;: it must be a single ASCII character"),
    ("consensus log.csv --encoding nix", "--encoding nix: Python knows no encoding of this name"),
    (
        "consensus log.csv --columns a,b,c",
        "--columns 'a', 'b', 'c': it names the columns of a file without",
    ),
    ("consensus log.csv --encoding utf-16", "is not written in utf-16"),
    ("consensus log.csv --normalize upper", "--normalize 'upper': it must be a list of some of"),
    ("consensus LOG --executor processes:2", "--executor: only for a store"),
    (
        "consensus STORE --executor threads",
        "--executor threads: it must be processes:N, N at least 1",
    ),
    ("consensus STORE --executor processes:0", "--executor processes:0: it must be processes:N"),
    ("consensus LOG -p PROBS --quality-method best", "--quality-method: 'best' is not one of"),
    ("next LOG --size 0", "--size: Input should be greater than or equal to 1"),
    ("next LOG --size many", "--size: Input should be a valid integer"),
    ("next LOG --multilabel", "--pred-probs: sets of classes are ranked with a model only"),
    ("compare LOG --folds 1", "--folds 1: it must be an integer of at least 2"),
    ("compare LOG --folds x", "--folds: Input should be a valid integer"),
    ("compare LOG -m nobody", "method 'nobody'; it must be one of"),
    ("agreement LOG --coefficients alpa", "coefficient 'alpa' is not one of"),
    ("agreement LOG --weights heavy", "--weights: 'heavy' is not one of"),
    ("agreement LOG --level high", "--level: 'high' is not one of"),
    ("agreement LOG --level ordinal", "it goes by the order of the classes"),
    ("agreement LOG --level interval", "--level interval: it goes by the order of the classes"),
    ("agreement LOG --interval wide", "--interval: 'wide' is not one of"),
    ("agreement LOG --confidence 1", "--confidence 1.0: it must be below 1"),
    ("agreement LOG --confidence nan", "--confidence nan: it must be a number above 0"),
    ("agreement LOG --fail-under alpha", "--fail-under alpha: it must be NAME=BAR"),
    ("agreement LOG --fail-under alpha=high", "--fail-under alpha=high: it must be NAME=BAR"),
    ("agreement LOG --fail-under nobody=1", "coefficient 'nobody' is not one of"),
    ("agreement LOG --by language", "has no column 'language' to group by"),
    ("rank PAIRS --level 2", "--level 2.0: it must be below 1"),
    ("rank PAIRS --sides a", "--sides a: give two values"),
    (
        "store create NEW LOG --partitions 0",
        "--partitions: Input should be greater than or equal to 1",
    ),
    (
        "store create NEW LOG --partitions 1000000000",
        "--partitions 1000000000: it must be a whole number",
    ),
    # columns
    *((f"{c} LOG --label answer", "has no column 'answer'") for c in (*READERS, "next", "compare")),
    ("consensus LOG --example example --annotator example", "must be three columns"),
    ("consensus wide.csv", "has no column 'example'"),
    ("consensus LOG -p PROBS --probs-example id", "has no column 'id'"),
    ("consensus LOG -p LOG", "pred_probs: the columns 'annotator', 'label' hold no numbers"),
    ("consensus nulls.csv", "column 'example' of the log"),
    ("consensus twice.csv", "pair with more than one annotation"),
    ("rank LOG", "has no column 'left'"),
    ("compare LOG --truth PROBS", "has no column 'label'"),
    # stores and logs
    ("store create STORE LOG", "STORE is a store already. Choose another directory, or add to it"),
    ("store create log.csv LOG", "log.csv is there already. Choose a directory that is new"),
    ("store append LOG LOG", "is no annotation store"),
    ("store append none LOG", "none is no annotation store"),
    ("store append STORE", "give a LOG, --pred-probs or both"),
    ("store append STORE LOG", "more than one annotation"),
    ("store verify LOG", "is no annotation store"),
    ("store describe folder", "folder is no annotation store"),
    *(
        (f"{c} garbled", "garbled/manifest.json is damaged")
        for c in ("consensus", "store describe", "store verify")
    ),
    ("consensus future", "the store is of format 99, this version knows up to"),
    ("consensus STORE LOG", "is a store, which is read alone"),
    ("consensus STORE --classes x,y", "--classes: not with a store, which has its own"),
    ("consensus LOG -p STORE", "STORE is a store, which can be LOG only"),
    ("rank STORE", "a store holds labels, not comparisons"),
    # where results go
    ("check LOG --out folder", "--out folder: name a file that ends in .parquet, .csv"),
    ("check LOG --out t.doc", "--out t.doc: name a file that ends in .parquet, .csv"),
    ("check LOG --out there.csv", "there.csv is there already. Overwrite it with --force"),
    ("agreement LOG --out there.csv/t.csv", "Not a directory: there.csv"),
    ("consensus LOG --out there.csv", "there.csv is a file; give a directory to write into"),
    ("consensus LOG --out there.csv/deep", "there.csv"),
    ("consensus LOG --out STORE", "STORE is a store. Name another place for results"),
    (
        "consensus LOG --out NEW --format csv",
        "--format csv: for the files in DIR say --out-format csv",
    ),
    ("consensus LOG --out NEW --out-format ods", "--out-format: 'ods' is not one of"),
    ("consensus LOG --force", "--force: only with --out DIR"),
    ("agreement LOG --raw", "--raw: only with CSV"),
    # standard input
    ("consensus - -p -", "-: standard input can be one file only"),
    ("consensus LOG --input-format csv", "--input-format: only with - for a file"),
]
CALLS = [*OF_FILES, *OF_CALLS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bad")
    LOG.write_parquet(made / "log.parquet")
    LOG.write_csv(made / "log.csv")
    PROBS.write_parquet(made / "probs.parquet")
    pairs = {"left": ["a", "b"], "right": ["b", "a"], "annotator": ["j"] * 2, "winner": ["a", "a"]}
    pl.DataFrame(pairs).write_parquet(made / "pairs.parquet")
    pc.AnnotationStore.create(made / "store", LOG, PROBS)
    whole = (made / "log.parquet").read_bytes()
    LOG.write_ipc(made / "cut.arrow")
    contents = {
        "cut.parquet": whole[: len(whole) // 2],
        "damaged.parquet": whole[:20] + b"\xff" * 60 + whole[80:],
        "cut.arrow": (made / "cut.arrow").read_bytes()[:300],
        "cut.csv.gz": gzip.compress(os.urandom(4000))[:2000],
        "text.parquet": ROW,
        "utf16.csv": ROW.decode().encode("utf-16"),
        "latin.csv": b"example,annotator,label\n1,a,\xe9\n",
        "binary.csv": b"example,annotator,label\n" + bytes(range(128, 256)),
        "short.csv": b"example,annotator,label\n1,a\n",
        "bad.jsonl": b'{"example":1,"annotator":"a","label":"x"}\n{"example":2,,}\n',
        "log.doc": ROW,
        "wide.csv": b"r1,r2\nx,y\n",
        "nulls.csv": b"example,annotator,label\n,a,x\n1,b,y\n",
        "twice.csv": b"example,annotator,label\n1,a,x\n1,a,y\n1,b,x\n",
        "there.csv": b"of somebody else\n",
        **dict.fromkeys(("empty.csv", "empty.parquet", "empty.jsonl"), b""),
    }
    for name, content in contents.items():
        (made / name).write_bytes(content)
    for name in ("folder", "mixed", "garbled", "future"):
        (made / name).mkdir()
    LOG.write_parquet(made / "mixed" / "a.parquet")
    LOG.cast({"example": pl.String}).write_parquet(made / "mixed" / "other.parquet")
    (made / "garbled" / "manifest.json").write_bytes(b'{"version": ')
    manifest = (made / "store" / "manifest.json").read_text()
    (made / "future" / "manifest.json").write_text(manifest.replace('"format": 1', '"format": 99'))
    (made / "loop.csv").symlink_to(made / "loop.csv")
    (made / "link.parquet").symlink_to(made / "nowhere")
    return made


PLACES = {
    "LOG": "log.parquet",
    "PROBS": "probs.parquet",
    "PAIRS": "pairs.parquet",
    "STORE": "store",
    "NEW": "new",
}


def called(call: str) -> list[str]:
    return [PLACES.get(word, word) for word in call.split()]


def everything(folder: Path) -> dict[str, int]:
    """What is there, and when each file but locks was written."""
    there = {path: path.lstat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"}
    return {str(path): 0 if path.is_dir() else time for path, time in there.items()}


@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
@pytest.mark.parametrize(("call", "said"), CALLS)
def test_one_clear_message_and_nothing_left(
    call: str, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    before = everything(folder)
    message = refused(*called(call))
    assert said.replace("STORE", "store") in message
    assert len(message) < 1500
    assert everything(folder) == before


def test_there_are_many_kinds() -> None:
    assert len(CALLS) == len(set(CALLS)) >= 160


# --- standard input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"", "standard input is empty: there is no header"),
        (bytes(range(256)), "standard input: the byte 0x80"),
        (ROW.decode().encode("utf-16"), "standard input begins with the byte order mark of UTF-16"),
        (b"PAR1" + ROW, "standard input cannot be read: parquet"),
        (b"ARROW1" + ROW, "standard input cannot be read: out-of-spec"),
        (b"\x1f\x8bnot gzip", "standard input cannot be decompressed"),
        (b'{"example": ', "standard input is no JSON that can be read"),
        (b"example,annotator\n1,a\n", "has no column 'label'"),
        (b"example,annotator,label\n1,a\n", "standard input"),
    ],
)
def test_bad_standard_input(given: bytes, said: str) -> None:
    assert said in refused("consensus", "-", stdin=given)


# --- what stops a run ------------------------------------------------------------------------------


def stopped(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Every table that is written stops with an error."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    for name in ("sink_csv", "sink_parquet", "sink_ndjson"):
        monkeypatch.setattr(pl.LazyFrame, name, fail)


FULL = OSError(errno.ENOSPC, "No space left on device")
WRITING = {
    "check LOG --out t.csv": "cannot write t.csv: No space left",
    "agreement LOG --out t.jsonl": "cannot write t.jsonl: No space left",
    "next LOG --out t.parquet": "cannot write t.parquet: No space left",
    "consensus LOG --out NEW": "new/examples.parquet: No space left",
    "consensus LOG --out NEW --out-format csv": "new/examples.csv: No space left",
    "compare LOG -m wawa --folds 0 --out NEW": "new/methods.parquet: No space left",
}


@pytest.mark.parametrize("call", WRITING)
@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()])
def test_a_run_that_is_stopped_leaves_nothing(
    call: str, error: BaseException, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    before = everything(folder)
    stopped(monkeypatch, error)
    found = run(*called(call))
    assert "Traceback" not in found.output
    assert found.exit_code == (1 if error is FULL else 130)
    if error is FULL:
        assert WRITING[call] in found.stderr
        assert not PYTHON.search(found.stderr)
    assert everything(folder) == before


@pytest.mark.parametrize(
    "error",
    [PermissionError(errno.EACCES, "Permission denied"), FileNotFoundError(errno.ENOENT, "gone")],
)
def test_a_place_that_cannot_be_written(
    error: OSError, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    stopped(monkeypatch, error)
    found = run("check", "log.parquet", "--out", "t.csv")
    assert found.exit_code == 1
    assert f"error: cannot write t.csv: {error.strerror}" in found.stderr


def test_interrupted_while_it_reads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(folder)
    monkeypatch.setattr(pl.LazyFrame, "collect", interrupt)
    found = run("agreement", "log.parquet")
    assert (found.exit_code, found.output) == (130, "")


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_nobody_reads_on(form: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: Any, **__: Any) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.chdir(folder)
    monkeypatch.setattr(common, "put", closed)
    found = run("consensus", "log.parquet", "--format", form)
    assert (found.exit_code, found.output) == (1, "")
