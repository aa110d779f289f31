"""Every option of every command has an effect, or is refused."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import typer

import polars_crowd as pc
from polars_crowd import cli
from tests.cli.commands import refused, run

WITHOUT_EFFECT = {
    # command, what it is called with: the options that change nothing there
    "check STORE": "--example x, --annotator x, --label x",
    "consensus LOG --into OUT": (
        "--probs-example x, --consensus-method best-quality, --quality-method agreement, "
        "--label-quality-method self-confidence, --adjust-pred-probs, --calibrate, --gold GOLD, "
        "--max-iter 3, --tol 0.1, --executor processes:1"
    ),
    "consensus LOG -p PROBS --into OUT": "--gold GOLD, --max-iter 3, --tol 0.1, --executor processes:1",
    "consensus LOG -p PROBS -m majority_vote --into OUT": "--calibrate, --gold GOLD, --tol 0.1",
    "consensus LOG -m wawa --into OUT": (
        "--calibrate, --adjust-pred-probs, --quality-method agreement, --max-iter 3, --tol 0.1, "
        "--executor processes:1, --probs-example x, --pred-probs PROBS"
    ),
    "consensus NUMBERS -m median --into OUT": "--classes 1,2, --max-iter 3, --tol 0.1, --calibrate",
    "consensus STORE --into OUT": (
        "--pred-probs PROBS, --probs-example x, --example x, --annotator x, --label x, --classes 0,1,2, "
        "--duplicates error, --duplicates all, --force, --format parquet, --gold GOLD, --max-iter 3, "
        "--tol 0.1"
    ),
    "consensus STORE -m majority-vote --into OUT": "--calibrate, --label x, --classes 0,1,2, --force",
    "consensus STORE -m dawid-skene --into OUT": (
        "--pred-probs PROBS, --probs-example x, --example x, --annotator x, --label x, --classes a,b, "
        "--duplicates all, --calibrate"
    ),
    "next LOG -p PROBS": "--force, --executor processes:1",
    "next STORE": (
        "--pred-probs PROBS, --probs-example x, --example x, --annotator x, --label x, --classes 0,1,2, "
        "--duplicates all, --force, --multilabel"
    ),
    "store create NEW LOG": "--probs-example x",
    "store append STORE -p PROBS": "--annotator x, --label x, --duplicates all",
    "store append STORE LOG": "--probs-example x",
    "compare LOG": "--force, --format csv",
    "compare STORE": "--example x, --annotator x, --label x, --classes 0,1,2, --duplicates all",
    "agreement LOG": "--executor processes:1",
    "agreement LOG --coefficients alpha": "--weights linear",
    "agreement LOG --coefficients fleiss,gwet-ac1": "--level interval",
    "agreement STORE": "--example x, --annotator x, --label x, --classes 0,1,2, --duplicates all",
}
CASES = [
    (call, option.strip().replace(";", ","))
    for call, options in WITHOUT_EFFECT.items()
    for option in options.replace("0,1,2", "0;1;2")
    .replace("1,2", "1;2")
    .replace("a,b", "a;b")
    .split(",")
]
ALWAYS = {
    # options that have an effect whatever is read; tests of their commands say which
    "check": {"classes"},
    "consensus": {"into", "method"},
    "next": {"size", "out", "exclude"},
    "create": {
        "partitions",
        "pred_probs",
        "example",
        "annotator",
        "label",
        "classes",
        "duplicates",
    },
    "append": {"pred_probs", "example"},
    "compare": {"truth", "method", "folds", "into"},
    "rank": {
        "into",
        "method",
        "level",
        "file_format",
        "force",
        "left",
        "right",
        "annotator",
        "winner",
    }
    | {"sides", "tie"},
    "agreement": {"by", "coefficients", "interval", "confidence", "fail_under", "output"},
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder, data = tmp_path_factory.mktemp("options"), pc.datasets.tutorial()
    paths = {
        "LOG": folder / "log.parquet",
        "PROBS": folder / "probs.parquet",
        "GOLD": folder / "gold.parquet",
        "NUMBERS": folder / "numbers.parquet",
        "STORE": folder / "store",
        "OUT": folder / "out",
        "NEW": folder / "new",
    }
    data.log.write_parquet(paths["LOG"])
    data.log.with_columns(pl.col("label").cast(pl.Float64) / 2).write_parquet(paths["NUMBERS"])
    data.pred_probs.write_parquet(paths["PROBS"])
    data.truth.write_parquet(paths["GOLD"])
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
    flags = {"--format": "file_format"}
    for call, option in CASES:
        words = call.split()
        name = words[1] if words[0] == "store" else words[0]
        flag = option.split()[0]
        option_name = flags.get(flag, flag.removeprefix("--").replace("-", "_"))
        refused_somewhere.setdefault(name, set()).add(option_name)
    known = {
        name: options - refused_somewhere.get(name, set()) - ALWAYS.get(name, set())
        for name, options in _commands().items()
    }
    assert {name: left for name, left in known.items() if left} == {}


def test_a_store_is_read_alone(places: dict[str, str]) -> None:
    assert "is a store, which is read alone" in refused("check", places["STORE"], places["LOG"])
    assert "holds labels, not comparisons" in refused(
        "rank", places["STORE"], "--into", places["OUT"]
    )


@pytest.mark.parametrize(
    "method", ["majority-vote", "majority_vote", "dawid_skene", "one-coin_dawid_skene"]
)
@pytest.mark.parametrize("log", ["STORE", "LOG"])
def test_methods_are_named_with_either_sign(
    method: str, log: str, places: dict[str, str], tmp_path: Path
) -> None:
    found = run("consensus", places[log], "--method", method, "--into", tmp_path / "out")
    assert found.exit_code == 0, found.output


def test_a_store_is_checked_like_its_log(places: dict[str, str]) -> None:
    assert run("check", places["STORE"]).stdout == run("check", places["LOG"]).stdout
    assert "labels outside the classes" in run("check", places["STORE"], "--classes", "0,1").stdout
