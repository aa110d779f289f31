"""Errors and warnings: what they say to whom, and that they keep it on their way."""

from __future__ import annotations

import copy
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import polars as pl
import pytest

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


def test_advice_crosses_processes() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        error = pool.submit(_fail, 1).exception()
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
