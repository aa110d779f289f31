"""Every option of every command has an effect, or is refused."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import polars as pl
import pytest
import typer

import polars_crowd
import polars_crowd as pc
from polars_crowd import cli
from tests.cli.commands import refused, run

COLUMNS = (
    "--example x | --annotator x | --label x | --label-type number | --wide | --counts | --frequency x | "
    "--order-by x | "
    "--decimal-comma | --missing x | --normalize case | --question x | --export label_studio"
)
TEXT = (
    "--separator x | --encoding latin-1 | --no-header | --columns a,b,c | --comment x | --quote none | "
    "--sheet 2 | --input-format csv"
)
OF_FILES = f"{COLUMNS} | {TEXT} | --classes 0,1,2 | --duplicates all | --duplicates error"
SETS = "--multilabel | --set-separator x"
OF_MODEL = "--pred-probs PROBS | --probs-example x"
OF_METHOD = "--gold GOLD | --truth-label x | --max-iter 3 | --tol 0.1 | --memory-limit 4GB | --confidence loo"
OF_CROWDLAB = (
    "--consensus-method best-quality | --quality-method agreement | --adjust-pred-probs | --calibrate | "
    "--label-quality-method self-confidence"
)
WORKERS = "--executor processes:1"
WITHOUT_EFFECT = {
    # what a command is called with: the options that change nothing there
    "check STORE": f"{COLUMNS} | {TEXT}",
    "check LOG": f"{TEXT} | --decimal-comma | --force",
    "check LOG --out -": "--force",
    "consensus LOG --out OUT": f"{TEXT} | --probs-example x | {OF_CROWDLAB} | {OF_METHOD} | {WORKERS}",
    "consensus LOG -p PROBS --out OUT": f"{TEXT} | --decimal-comma | {OF_METHOD} | {WORKERS}",
    "consensus LOG -p PROBS -m majority_vote --out OUT": f"{OF_CROWDLAB} | {OF_METHOD}",
    "consensus LOG": "--force | --out-format csv",
    "consensus LOG --out -": "--force | --out-format csv",
    "consensus LOG -m wawa --out OUT": (
        f"{OF_CROWDLAB} | --max-iter 3 | --tol 0.1 | --confidence loo | {WORKERS} | {OF_MODEL} | {TEXT}"
    ),
    "consensus LOG -m blend": "--confidence loo | --max-iter 3",
    "consensus NUMBERS -m median --out OUT": (
        f"--memory-limit 4GB | --classes 1,2 | --max-iter 3 | --tol 0.1 | {OF_CROWDLAB}"
    ),
    "consensus STORE --out OUT": f"{OF_MODEL} | {OF_FILES} | {OF_METHOD} | --force | --out-format parquet",
    "consensus STORE -m majority-vote --out OUT": f"{OF_FILES} | {OF_CROWDLAB} | {OF_METHOD} | --force",
    "consensus STORE -m dawid-skene --out OUT": f"{OF_MODEL} | {OF_FILES} | {OF_CROWDLAB}",
    "next LOG -p PROBS": f"--force | {WORKERS} | {TEXT}",
    "next STORE": f"{OF_MODEL} | {OF_FILES} | --force | {SETS}",
    "next LOG -p PROBS --multilabel": "--label-type number | --wide | --counts | --missing x",
    "read LOG": "--force",
    "store create NEW LOG": (
        f"--question x | --export label_studio | --order-by x | --probs-example x | {TEXT} | --decimal-comma"
    ),
    "store append STORE -p PROBS": f"{COLUMNS} | {TEXT} | --duplicates all".replace(
        "--example x | ", ""
    ),
    "store append STORE LOG": f"--probs-example x | {TEXT} | --decimal-comma",
    "compare LOG": f"--force | --out-format csv | --truth-label x | {TEXT}",
    "compare STORE": OF_FILES,
    "report LOG --out OUT.md": f"{WORKERS} | --probs-example x | --truth-label x | {TEXT} | --decimal-comma",
    "report LOG --format md": "--force | --raw",
    "report STORE --out OUT.md": f"{OF_MODEL} | {OF_FILES}",
    "rank COMPARISONS --out OUT": TEXT,
    "rank COMPARISONS --method crowd-bradley-terry": "--n-boot 20",
    "rank COMPARISONS": "--force | --out-format csv",
    "rank COMPARISONS --outcome x --out OUT": "--winner x | --sides A,B | --tie x | --strength 3",
    "annotators LOG": f"--force | --out-format csv | --truth-label x | {WORKERS} | {TEXT} | --decimal-comma",
    "annotators LOG --against OUT": "--truth GOLD",
    "annotators LOG --every 1w": "--by x | --seconds x | --fail-under accuracy=0.5",
    "judges LOG --judges A0001": (
        f"--force | --out-format csv | --truth-label x | {WORKERS} | {TEXT} | --decimal-comma"
    ),
    "judges STORE --judges A0001": OF_FILES,
    "explain KEPT 000": f"{COLUMNS} | {TEXT} | --probs-example x | --log LOG | -p PROBS",
    "annotators STORE": OF_FILES,
    "agreement LOG": f"--force | {WORKERS} | {TEXT} | --decimal-comma",
    "agreement LOG --coefficients alpha": "--weights linear | --tested-by null | --interval wilson",
    "agreement LOG --coefficients fleiss,gwet-ac1": "--level interval",
    "agreement STORE": f"{OF_FILES} | {SETS}",
    "agreement LOG --multilabel": (
        "--weights linear | --level ordinal | --tested-by null | --normalize case"
    ),
    "agreement LOG --coefficients ac1": "--set-separator x",
    "store create NEW LOG --partitions 2": "--set-separator x",
    "store append STORE LOG --duplicates all": SETS,
}
CASES = [(call, option) for call, many in WITHOUT_EFFECT.items() for option in many.split(" | ")]
ALWAYS = {
    # options that have an effect whatever is read; tests of their commands say which
    "demo": {"page"},
    "read": {"question", "export", "annotator_name", "predictions", "gold_out", "option"},
    "check": {"classes"},
    "consensus": {"method", "truth"},
    "next": {"size", "exclude"},
    "create": {"partitions", "pred_probs", "classes", "duplicates"}
    | {
        "example",
        "annotator",
        "label",
        "label_type",
        "wide",
        "counts",
        "frequency",
        "missing",
        "normalize",
        "multilabel",
    },
    "append": {"pred_probs", "example"},
    "compare": {"truth", "method", "folds", "executor"},
    "rank": {"method", "level"} | {"left", "right", "annotator", "outcome", "weight", "intervals"},
    "report": {"truth", "by", "text", "title", "size"},
    "judges": {"judges", "humans", "gold", "epsilon", "confidence", "fail_under", "memory_limit"},
    "explain": {"pred_probs"},
    "annotators": {
        "truth",
        "against",
        "by",
        "every",
        "timestamp",
        "seconds",
        "confidence",
        "fail_under",
    }
    | {"memory_limit"},
    "agreement": {"by", "coefficients", "interval", "confidence", "fail_under", "memory_limit"},
}

PRINTING = {"format", "quiet", "out", "raw"}
"""Options of every command; see the tests of what is printed."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder, data = tmp_path_factory.mktemp("options"), pc.datasets.tutorial()
    paths = {
        "LOG": folder / "log.parquet",
        "PROBS": folder / "probs.parquet",
        "GOLD": folder / "gold.parquet",
        "NUMBERS": folder / "numbers.parquet",
        "COMPARISONS": folder / "comparisons.parquet",
        "STORE": folder / "store",
        "OUT": folder / "out",
        "NEW": folder / "new",
        "KEPT": folder / "kept",
    }
    data.log.write_parquet(paths["LOG"])
    data.log.with_columns(pl.col("label").cast(pl.Float64) / 2).write_parquet(paths["NUMBERS"])
    pairs = {"left": ["a", "b"], "right": ["b", "c"], "annotator": [1, 2], "winner": ["a", "c"]}
    pl.DataFrame(pairs).write_parquet(paths["COMPARISONS"])
    data.pred_probs.write_parquet(paths["PROBS"])
    data.truth.write_parquet(paths["GOLD"])
    pc.dawid_skene(data.log).write(paths["KEPT"])
    pc.AnnotationStore.create(paths["STORE"], data.log, data.pred_probs)
    return {name: str(path) for name, path in paths.items()}


@pytest.mark.parametrize(("call", "option"), CASES)
def test_an_option_without_effect_is_refused(
    call: str, option: str, places: dict[str, str]
) -> None:
    arguments = [places.get(word, word) for word in [*call.split(), *option.split()]]
    assert option.split()[0] in refused(*arguments)
    assert not Path(places["OUT"]).exists()
    assert not Path(places["NEW"]).exists()


def _commands() -> dict[str, set[str]]:
    """The options of every command."""
    found = {}
    groups = [typer.main.get_command(cli.app())]
    while groups:
        for name, command in groups.pop().commands.items():  # type: ignore[attr-defined]
            if hasattr(command, "commands"):
                groups.append(command)
            else:
                options = [p for p in command.params if p.param_type_name == "option"]
                found[name] = {str(option.name) for option in options} - {"help"}
    return found


def test_every_option_is_in_these_tables() -> None:
    refused_somewhere: dict[str, set[str]] = {}
    for call, option in CASES:
        words = call.split()
        name = words[1] if words[0] == "store" else words[0]
        option_name = option.split()[0].removeprefix("--").replace("-", "_")
        refused_somewhere.setdefault(name, set()).add(option_name)
    known = {
        name: options - refused_somewhere.get(name, set()) - ALWAYS.get(name, set()) - PRINTING
        for name, options in _commands().items()
    }
    assert {name: left for name, left in known.items() if left} == {}


def test_advice_names_options_that_there_are() -> None:
    known = {name for options in _commands().values() for name in options}
    root = Path(polars_crowd.__file__).parent
    named: set[str] = set()
    for file in root.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "Advice":
                given = [k.value for k in call.keywords if k.arg == "command"] + call.args[2:3]
                named |= {
                    o for text in given for o in re.findall(r"--([a-z-]+)", ast.unparse(text))
                }
    assert len(named) > 10
    assert {name.replace("-", "_") for name in named} <= known


def test_a_store_is_read_alone(places: dict[str, str]) -> None:
    assert "is a store, which is read alone" in refused("check", places["STORE"], places["LOG"])
    assert "holds labels, not comparisons" in refused(
        "rank", places["STORE"], "--out", places["OUT"]
    )


@pytest.mark.parametrize(
    "method", ["majority-vote", "majority_vote", "dawid_skene", "one-coin_dawid_skene"]
)
@pytest.mark.parametrize("log", ["STORE", "LOG"])
def test_methods_are_named_with_either_sign(
    method: str, log: str, places: dict[str, str], tmp_path: Path
) -> None:
    found = run("consensus", places[log], "--method", method, "--out", tmp_path / "out")
    assert found.exit_code == 0, found.output


def test_a_store_is_checked_like_its_log(places: dict[str, str]) -> None:
    assert run("check", places["STORE"]).stdout == run("check", places["LOG"]).stdout
    assert "labels outside the classes" in run("check", places["STORE"], "--classes", "0,1").stdout
