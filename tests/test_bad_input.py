"""Arguments that cannot be: an error of ours names them, or the answer is right."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.errors import Advised, OptionError
from tests import bad_input
from tests.bad_input import Call
from tests.truth.truth_cases import unwarned

LEAST_KINDS = 5000
"""How many kinds of bad input there are: function, argument, value."""
PACKAGE = Path(pc.__file__).parent
RAW = (KeyError, IndexError, AttributeError, ZeroDivisionError)

SOURCES = {
    "labels_multiannotator": "labels",
    "matrix": "the wide log",
    "counts": "the table of counts",
    "class_prior": "n_classes",
    "label_quality_score_kwargs": "scoring method",
}
"""What arguments are called in messages, where that is not their name."""
LOGS = ("log", "a", "b", "source")


def is_unlabelled(found: pl.DataFrame) -> bool:
    return found.height == bad_input.PROBS.height and not found["num_annotations"].sum()


def is_empty(found: Any) -> bool:
    return bool(found.is_empty())


def finds_something(found: pl.DataFrame) -> bool:
    return not found.is_empty()


def says_something(found: Any) -> bool:
    return bool(found.text())


def is_of_sets(found: Any) -> bool:
    """Labels are of sets: a null is the empty one, and the same class twice is there once."""
    return found is not None


NO_LABELS = ("no rows", "labels that are all null", "labels that are of no type")
TWICE = "rows that are there twice"


def has_no_ranks(found: Any) -> bool:
    """No draws were asked for."""
    return "rank_low" not in found.examples.collect_schema()


ANSWERS: dict[tuple[str, str], tuple[tuple[str, ...], Callable[[Any], bool]]] = {
    ("activelab", "log"): (("None", *NO_LABELS), is_unlabelled),
    ("multilabel_activelab", "log"): (("None", *NO_LABELS, TWICE), finds_something),
    ("multilabel_agreement", "log"): ((*NO_LABELS[1:], TWICE), is_of_sets),
    ("multilabel_crowdlab", "log"): ((*NO_LABELS[1:], TWICE), is_of_sets),
    ("check_annotations", "log"): (
        ("an example that is null", "an annotator that is null", *NO_LABELS, TWICE),
        finds_something,
    ),
    ("intra_rater_agreement", "log"): ((TWICE,), finds_something),
    ("report", "path"): (("NoneType None",), says_something),
    ("report", "format"): (("NoneType None",), says_something),
    ("overlap", "log"): ((TWICE,), lambda found: found.annotators.height == 2),
    ("to_wide", "log"): (NO_LABELS, is_empty),
    ("from_wide", "matrix"): (("(0, 0) []",), is_empty),
    ("from_counts", "counts"): (("(0, 0) []",), is_empty),
    ("AnnotationStore.append", "log"): (("None",), lambda found: found is None),
    ("noisy_labels", "truth"): (("list []",), lambda found: len(found) == 0),
    ("explain", "example"): (("int 3",), finds_something),
    ("bradley_terry", "n_boot"): (("NoneType None",), has_no_ranks),
    ("crowd_bradley_terry", "n_boot"): (("NoneType None",), has_no_ranks),
}
"""What is no error: function and argument, which values, and what the answer is."""


def calls(path: Path) -> list[Call]:
    return [
        *bad_input.public_functions(),
        *bad_input.of_cleanlab(),
        *bad_input.of_simulations(),
        *bad_input.of_methods(path),
    ]


def raised_in(error: Exception) -> Path:
    """The file of the line that raised."""
    return Path(traceback.extract_tb(error.__traceback__)[-1].filename)


def says(error: Exception, name: str, what: str) -> bool:
    """Whether the message names the argument, what it stands for, or the value."""
    said = str(error).lower()
    known = [
        name,
        SOURCES.get(name, name),
        name.replace("_", " "),
        *(["the log", "pred_probs", "comparisons"] if name in LOGS else []),
    ]
    value = re.sub(r"^\w+ \[?|\]$", "", what)
    return any(word in said for word in known) or value.lower() in said


def fault_of(call: Call, name: str, what: str, value: Any) -> str | None:
    """What is wrong with how a call goes, if anything is."""
    answered, is_right = ANSWERS.get((call.name, name), ((), bool))
    try:
        with unwarned():
            found = call(**{name: value})
    except Exception as error:
        kind = f"{type(error).__name__}: {str(error)[:200]}"
        ours = isinstance(error, (ValueError, TypeError, OSError, Advised))
        if not ours or isinstance(error, RAW) or PACKAGE not in raised_in(error).parents:
            return f"raw {kind}"
        line = traceback.extract_tb(error.__traceback__)[-1].line or ""
        if not isinstance(error, Advised) and "raise" not in line and "fail(" not in line:
            return f"raw {kind}"
        return None if says(error, name, what) else f"not named in {kind}"
    if what not in answered:
        return "accepted"
    return None if is_right(found) else f"answered {found!r}"


def test_what_cannot_be_is_refused_in_our_words(tmp_path: Path) -> None:
    kinds, faults = 0, []
    for call in calls(tmp_path):
        for name, what, value in bad_input.bad_arguments(call):
            kinds += 1
            if fault := fault_of(call, name, what, value):
                faults.append(f"{call.name}({name}={what[:80]}): {fault}")
    assert not faults, "\n".join([f"{len(faults)} of {kinds}", *faults])
    assert kinds >= LEAST_KINDS


def test_the_arguments_beside_them_are_good(tmp_path: Path) -> None:
    for call in calls(tmp_path):
        if call.name != "open_results":
            with unwarned():
                call()


def test_every_public_function_is_asked() -> None:
    asked = {call.name for call in bad_input.public_functions()} | {
        "open_results",
        "AnnotationStore",
    }
    functions = {name for name in pc.__all__ if callable(getattr(pc, name))}
    results = {name for name in functions if isinstance(getattr(pc, name), type)}
    assert functions - results <= asked


def test_arguments_by_place_are_checked_like_those_by_name(tmp_path: Path) -> None:
    next_batch: Any = pc.next_batch
    with pytest.raises(OptionError, match="size=0"):
        next_batch(bad_input.SCORES, 0)
    with pytest.raises(OptionError, match="directory=''"):
        bad_input.a_fit().write("")
    with pytest.raises(OptionError, match="format='x'"):
        bad_input.a_fit().write(tmp_path, "x")
    with pytest.raises(TypeError, match="positional"):
        next_batch(bad_input.SCORES, 1, 2)


SMALL = {
    "one example": bad_input.LOG.head(2),
    "one annotator": bad_input.LOG.filter(annotator="a"),
    "one annotation": bad_input.LOG.head(1),
    "nothing": bad_input.LOG.clear(),
}


@pytest.mark.parametrize("what", SMALL)
def test_logs_of_next_to_nothing_have_an_answer_or_an_error_of_ours(what: str) -> None:
    for call in bad_input.public_functions():
        logs = {
            name: SMALL[what] for name in ("log", "a", "b") if call.good.get(name) is bad_input.LOG
        }
        if logs:
            with suppress(Advised), unwarned():
                call(**logs)
