"""Options with values that they cannot have: an error of ours names them, whatever they are."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.errors import OptionError
from polars_crowd.reliability.registry import COEFFICIENTS
from polars_crowd.truth.registry import METHODS
from tests.truth.truth_cases import unwarned

LOG = pl.DataFrame({"example": [1, 1, 2, 2], "annotator": [1, 2, 1, 2], "label": [0, 1, 1, 1]})
PAIRS = pl.DataFrame({"annotator": [1, 2], "left": [1, 1], "right": [2, 2], "winner": [1, 2]})
SCORES = pl.DataFrame({"example": [1], "active_learning_score": [0.5], "consensus_label": [1]})
PROBS = pl.DataFrame({"example": [1, 2], "0": [0.5, 0.4], "1": [0.5, 0.6]})
COEFFICIENT_FUNCTIONS = {getattr(pc, c.name) for c in COEFFICIENTS if hasattr(pc, c.name)}
FUNCTIONS: list[Callable[..., Any]] = [
    *dict.fromkeys(method.function for method in METHODS.values()),
    *sorted(COEFFICIENT_FUNCTIONS, key=lambda function: function.__name__),
    *(pc.agreement, pc.pairwise_agreement, pc.example_agreement, pc.crowdlab, pc.activelab),
    *(pc.majority_vote, pc.multilabel_crowdlab, pc.multilabel_activelab),
]
next_batch: Any = pc.next_batch
compare: Any = pc.compare
OF_PAIRS = {method.function for method in METHODS.values() if method.labels == "comparisons"}

BY_NAME: dict[str, list[Any]] = {
    "classes": [3, "ab", [], [0, 0, 1], [0, None]],
    "seed": [-1, 1.5, "x", None, True, math.nan],
    "max_iter": [0, -1, 1.5, "x", None, True, math.nan],
    "tol": [-1, math.nan, math.inf, "x", None, True],
    "tolerance": [-1, math.nan, "x", None],
    "smoothing": [-1, math.nan, math.inf, "x", None],
    "n_boot": [1, -1, 1.5, "x", None],
    "consensus_method": [3, None, "x"],
}
BY_KIND: dict[Any, list[Any]] = {
    bool: ["x", None, 1, 0.0],
    int: ["x", 1.5, [1], {}, math.nan],
    float: ["x", [1], {}, True],
    Path: ["", 3, ["x"]],
    Literal: ["nonsense", 3, ["x"]],
}


def bad_values(name: str, hint: Any) -> list[Any]:
    kinds = (*get_args(hint), hint, get_origin(hint))
    none = [] if NoneType in kinds else [None]
    of_kind = next((values + none for kind, values in BY_KIND.items() if kind in kinds), [])
    return BY_NAME.get(name, of_kind)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_an_option_that_cannot_be_is_named(function: Callable[..., Any]) -> None:
    log = PAIRS if function in OF_PAIRS else LOG
    given = {"pred_probs": PROBS} if function in (pc.crowdlab, pc.activelab) else {}
    for name, parameter in inspect.signature(function).parameters.items():
        for value in bad_values(name, parameter.annotation):
            with unwarned(), pytest.raises(OptionError) as caught:
                function(log, **{**given, name: value})
            assert caught.value.option == name, value


@pytest.mark.parametrize(
    ("call", "option"),
    [
        (lambda fit, _: fit.write(""), "directory"),
        (lambda fit, path: fit.write(path, names={"example": ""}), "names"),
        (lambda fit, path: fit.write(path, names={"example": 3}), "names"),
        (lambda fit, _: next_batch(SCORES, 3.5), "size"),
        (lambda fit, _: next_batch(SCORES, None), "size"),
        (lambda fit, _: next_batch(SCORES, 1, per_class=0.5), "per_class"),
        (lambda fit, _: compare(LOG, 3), "methods"),
        (lambda fit, _: compare(LOG, [1]), "methods"),
        (lambda fit, _: compare(LOG, folds=None), "folds"),
        (lambda fit, _: compare(LOG, seed=-1), "seed"),
        (lambda fit, _: compare(LOG, classes=3), "classes"),
        (lambda fit, _: compare(LOG, progress=1), "progress"),
    ],
)
def test_neither_is_one_of_other_functions(
    call: Callable[[Any, Path], Any], option: str, tmp_path: Path
) -> None:
    with unwarned():
        fit = pc.dawid_skene(LOG)
    with pytest.raises(OptionError) as caught:
        call(fit, tmp_path)
    assert caught.value.option == option


@pytest.mark.parametrize("given", [3, [1], "x"])
@pytest.mark.parametrize("option", ["gold", "init", "prior", "pred_probs"])
def test_what_is_no_table_is_refused_in_words(option: str, given: Any) -> None:
    for method in METHODS.values():
        if option in method.options and method.labels != "comparisons":
            with (
                unwarned(),
                pytest.raises(
                    (pc.AnnotationError, OptionError, TypeError, FileNotFoundError), match=r"."
                ) as caught,
            ):
                method.function(LOG, **{option: given})
            said = str(caught.value)
            assert option in said or repr(given) in said, (method.name, said)
