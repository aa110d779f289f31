"""Errors and warnings: what they say to whom, and that they keep it on their way."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path

import polars as pl
import pytest

import polars_crowd
import polars_crowd as pc
from polars_crowd.errors import (
    Advice,
    Advised,
    AnnotationError,
    AnnotationWarning,
    OptionError,
    PartitionError,
    StoreError,
    TakenError,
    rows_shown,
    shown,
)

DECLARE = Advice("Declare them", python="classes=[...]", command="--classes A,B,C")
KINDS = [AnnotationError, AnnotationWarning, PartitionError, StoreError, TakenError]


@pytest.mark.parametrize("kind", KINDS)
def test_advice_is_said_in_two_ways_also_after_a_journey(kind: type[Advised]) -> None:
    error = kind("has 2 rows.", DECLARE, "Then go on.", source="gold", column="label")
    for one in (error, pickle.loads(pickle.dumps(error)), copy.copy(error)):
        where = "column 'label' of gold has 2 rows."
        assert str(one) == f"{where} Declare them: classes=[...]. Then go on."
        assert one.said("command") == f"{where} Declare them: --classes A,B,C. Then go on."
        told = one.said("command", {"gold": "--gold", "label": "answer"})
        assert told.startswith("column 'answer' of --gold has 2 rows. Declare")
        assert (one.advice, one.source, one.column) == ((DECLARE, "Then go on."), "gold", "label")


def test_options_are_named_as_they_are_given() -> None:
    error = OptionError("max_iter", 0, "it must be at least 1.", DECLARE)
    for one in (error, pickle.loads(pickle.dumps(error))):
        assert str(one) == "max_iter=0; it must be at least 1. Declare them: classes=[...]."
        assert one.said("command").startswith("--max-iter 0: it must be at least 1. Declare")
        assert isinstance(one, ValueError)


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_alone_will_do(kind: type[Advised]) -> None:
    error = kind("the message")
    assert str(error) == error.said("command") == "the message"


def _fail(part: int) -> int:
    raise AnnotationError("has 2 rows.", DECLARE, source="the log")


def test_advice_crosses_processes(spawned: Executor) -> None:
    error = spawned.submit(_fail, 1).exception()
    assert isinstance(error, AnnotationError)
    assert error.said("command") == "the log has 2 rows. Declare them: --classes A,B,C."


# --- what is shown --------------------------------------------------------------------------------


def test_rows_are_shown_by_their_keys_cut_and_escaped() -> None:
    long, ugly = "x" * 2000, "a\x1b[31m\x00\u202eb\x9d"
    log = pl.DataFrame(
        {
            "example": [1, 1],
            "annotator": [None, ugly],
            "label": [long, "y"],
            "rationale": ["secret " * 300] * 2,
        }
    )
    with pytest.raises(AnnotationError) as raised:
        pc.majority_vote(log).collect()
    said = str(raised.value)
    assert f"  example=1, annotator=None, label='{'x' * 40}...'\n" in said
    assert "secret" not in said
    assert len(said) < 300
    text = rows_shown(log, "annotator") + shown([ugly, long, [long]])
    assert text.isprintable() or text.replace("\n", "").isprintable()
    assert "'a\\x1b[31m\\x00\\u202eb\\x9d'" in text
    assert max(map(len, re.findall("x+", text))) == 40


def test_few_of_many_values() -> None:
    assert shown(list(range(20_000)), 3) == "0, 1, 2, ... (19,997 more)"


# --- messages of the package ----------------------------------------------------------------------

NOT_FOR_THE_COMMAND = ("compat", "simulate", "namespace.py", "cli", "datasets.py", "signatures.py")
"""What the command never calls, or is."""
OPTIONS = "classes|init|gold|duplicates|into|by|executor|weights|level|max_iter|tol|progress"
PYTHON = re.compile(rf"\bpc\.\w|\blog\.\w+\(|\b({OPTIONS})=")


def _texts(node: ast.AST) -> Iterator[ast.Constant]:
    """The texts in a program, without documentation and what an Advice says of Python."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.keyword) and node.arg == "python":
        return
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "Advice":
        del node.args[1:2]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _texts(child)


def test_python_is_spoken_in_advice_only() -> None:
    root = Path(polars_crowd.__file__).parent
    files = [
        f for f in root.rglob("*.py") if f.relative_to(root).parts[0] not in NOT_FOR_THE_COMMAND
    ]
    assert len(files) > 100
    texts = [(f.name, t.lineno, t.value) for f in files for t in _texts(ast.parse(f.read_text()))]
    assert [text for text in texts if PYTHON.search(str(text[2]))] == []


# --- who is told to do what -----------------------------------------------------------------------

LOG = pl.DataFrame(
    {"example": [1, 1, 2], "annotator": ["a", "b", "a"], "label": ["YES", "NO", "YES"]}
)
YES = LOG.with_columns(label=pl.lit("Yes"))
PROBS = pl.DataFrame({"example": [1, 2], "YES": [0.5, 0.4], "NO": [0.5, 0.6]})
ABOUT_PROBS = "Give pred_probs a column for each of these classes"
ABOUT_CLASSES = "declare all classes, in order: classes=[...]."


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (lambda _: pc.crowdlab(YES, PROBS), ABOUT_PROBS),
        (lambda _: pc.majority_vote(YES, PROBS).collect(), ABOUT_PROBS),
        (lambda _: pc.majority_vote(YES, classes=["YES", "NO"]).collect(), ABOUT_CLASSES),
        (lambda _: pc.dawid_skene(YES, classes=["YES", "NO"]), ABOUT_CLASSES),
        (lambda _: pc.agreement(YES, classes=["YES", "NO"]), ABOUT_CLASSES),
        (lambda path: pc.AnnotationStore.create(path, YES, classes=["YES", "NO"]), ABOUT_CLASSES),
        (lambda path: pc.AnnotationStore.create(path, YES, PROBS), ABOUT_PROBS),
        (lambda path: stored(path).append(YES), "The classes of a store stay"),
        (lambda _: pc.dawid_skene(LOG, gold=YES.head(1)), "'Yes' may be meant to be 'YES'."),
    ],
)
def test_labels_that_are_no_classes_are_told_by_where_classes_come_from(
    call: Callable[[Path], object], advice: str, tmp_path: Path
) -> None:
    with pytest.raises(AnnotationError) as raised:
        call(tmp_path / "store")
    assert advice in str(raised.value)
    assert "'Yes' may be meant to be 'YES'." in str(raised.value)
    assert (ABOUT_PROBS in str(raised.value)) == (advice == ABOUT_PROBS)


def stored(path: Path) -> pc.AnnotationStore:
    return pc.AnnotationStore.create(path, LOG, classes=["YES", "NO"])
