"""Whatever is wrong with a call or its files, the command says so in one message and in its own words."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from tests.cli.commands import run

BASE = pl.DataFrame(
    {"example": [1, 1, 2, 2, 3, 3], "annotator": list("ababab"), "label": list("xxyxyy")}
)
PROBS = pl.DataFrame({"example": [1, 2, 3], "x": [0.9, 0.6, 0.2], "y": [0.1, 0.4, 0.8]})
PAIRS = pl.DataFrame(
    {"left": ["a", "b"], "right": ["b", "a"], "annotator": ["j"] * 2, "winner": ["a", "q"]}
)
FRAMES = {
    "good": BASE,
    "numbers": BASE.with_columns(label=pl.Series([1.5, 2, 3, 4, 5.5, 6])),
    "twice": pl.concat([BASE, BASE.head(1)]),
    "nulls": BASE.with_columns(example=pl.Series([1, None, 2, 2, 3, 3])),
    "alone": BASE.filter(pl.col("annotator") == "a"),
    "empty": BASE.clear(),
    "structs": BASE.with_columns(label=pl.struct(a="label")),
    "sets": BASE.with_columns(label=pl.concat_list("label")),
    "nolabel": BASE.drop("label"),
    "extra": BASE.with_columns(extra=pl.struct(a="label")),
    "wide": pl.DataFrame({"r1": ["x", "y"], "r2": ["x", "x"]}),
    "probs": PROBS,
    "fewer": PROBS.head(2),
    "repeated": pl.concat([PROBS, PROBS.tail(1)]),
    "unfit": PROBS.with_columns(y=pl.Series([0.5, 0.4, 0.8])),
    "strange": PROBS.rename({"x": "q", "y": "r"}),
    "words": PROBS.with_columns(x=pl.lit("a")),
    "nameless": PROBS.rename({"example": "id"}),
    "others": PROBS.with_columns(example=pl.Series(["a", "b", "c"])),
    "two": pl.DataFrame({"example": [1, 1], "label": ["x", "y"]}),
    "q": pl.DataFrame({"example": [1], "label": ["q"]}),
    "elsewhere": pl.DataFrame({"example": [77], "label": ["x"]}),
    "task": pl.DataFrame({"task": [1], "said": ["x"], "z": [1]}),
    "pairs": PAIRS,
    "self": PAIRS.head(1).with_columns(right=pl.lit("a")),
    "half": PAIRS.with_columns(left=pl.Series(["a", None])),
}
TEXTS = {
    "cells.txt": "example,annotator,label\n1;a;x\n",
    "short.csv": "example,annotator,label\n1,a\n",
    "comments.csv": "# c\nexample,annotator,label\n1,a,x\n",
    "object.json": "{}",
    "mixed.jsonl": '{"example":1}\n[]\n',
    "log.doc": "x",
    "log.csv": "example,annotator,label\n1,a,x\n1,b,x\n2,a,y\n",
}
LOGS = (
    *(
        "numbers",
        "twice",
        "nulls",
        "alone",
        "empty",
        "structs",
        "sets",
        "nolabel",
        "wide",
        "none",
        ".",
    ),
    *TEXTS,
)
COMMANDS = (
    *("check", "consensus", "agreement", "next", "compare", "store create new", "rank"),
    "annotators",
    "judges --judges a",
    *("consensus -m dawid-skene", "consensus -m mean", "consensus -m kos", "consensus --wide"),
)
MODELS = (
    "fewer",
    "repeated",
    "unfit",
    "strange",
    "words",
    "nameless",
    "others",
    "none",
    "cells.txt",
)
WITH_MODELS = (
    *("consensus", "next", "consensus -m ibcc", "store create new"),
    *("consensus --classes x", "consensus --classes x,y,z"),
)
KNOWN = ("two", "q", "elsewhere", "task", "none", "nocolumn")
CALLS = [
    *(f"{command} {log}" for command in COMMANDS for log in LOGS),
    *(f"{command} good -p {probs}" for command in WITH_MODELS for probs in MODELS),
    *(f"consensus good -m dawid-skene --gold {known}" for known in KNOWN),
    *(f"compare good -m wawa --folds 0 --truth {known}" for known in KNOWN),
    "next good --exclude task",
    "next good --exclude elsewhere",
    "next good -p probs --exclude cells.txt",
    "next good -p probs --multilabel",
    "next good --multilabel",
    "rank pairs --sides a,b",
    "rank pairs --sides a,b --tie a",
    "rank pairs --strength 3",
    "rank pairs --outcome winner",
    "rank pairs --weight winner",
    "rank pairs --level 2",
    "rank self",
    "rank half",
    "agreement good --by nothing",
    "agreement good --by label",
    "agreement good --confidence 2",
    "agreement good --level interval",
    "agreement good --level ratio --coefficients alpha",
    "agreement good --classes x",
    "consensus good -m dawid-skene --max-iter 0",
    "consensus good -m dawid-skene --max-iter 1",
    "consensus good -m dawid-skene --tol -1",
    "consensus good --classes x",
    "consensus good --classes x,x",
    "consensus good --missing nothing",
    "consensus good --normalize nothing",
    "consensus good --separator ,",
    "consensus good --label-type number",
    "consensus good -p probs --consensus-method best-quality --consensus-method best-quality",
    "consensus good -p probs --adjust-pred-probs --label-quality-method confidence-weighted-entropy",
    "consensus good -p probs --quality-method agreement --calibrate",
    "consensus extra -p probs --out new --out-format csv",
    "consensus log.csv --separator ,,",
    "consensus log.csv --encoding nothing",
    "consensus log.csv --columns a,b",
    "consensus log.csv --no-header --columns a,b,c,d",
    "consensus log.csv --executor processes:2",
    "consensus good --out good.parquet",
    "consensus good --out .",
    "compare good --folds 1",
    "compare numbers -m wawa",
    "store describe .",
    "store verify none",
    "store append none log.csv",
    "store create new good --partitions 0",
]
ROWS = re.compile(r"  (example|annotator|label|left|right|winner)=")
KEYWORD = re.compile(r"\bpc\.\w|\bpl\.\w|(?<![-\w.])[a-z_]+=(?!\d+\b)|\b(True|False)\b")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bad")
    for name, frame in FRAMES.items():
        frame.write_parquet(made / f"{name}.parquet")
    for name, text in TEXTS.items():
        (made / name).write_text(text)
    return made


@pytest.mark.parametrize("call", CALLS)
def test_what_is_wrong_is_said_in_the_commands_words(
    call: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    paths = {name: f"{name}.parquet" for name in FRAMES} | {
        "none": "none.csv",
        "new": str(tmp_path / "new"),
    }
    command, *words = call.split()
    found = run(command, *(paths.get(word, word) for word in words))
    assert found.exception is None or isinstance(found.exception, SystemExit)
    errors = [
        line for line in found.stderr.splitlines() if line.startswith("polars-crowd: error: ")
    ]
    assert (len(errors) == 1) == (found.exit_code == 2)
    assert len(errors) <= 1
    if errors:
        assert found.stdout == ""
    advice = [line for line in found.stderr.splitlines() if not ROWS.match(line)]
    assert [line for line in advice if KEYWORD.search(line)] == []
