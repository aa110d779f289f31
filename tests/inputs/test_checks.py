"""Unusable logs are refused with a message to act on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import polars_crowd as pc

LOG = pl.DataFrame(
    {
        "example": [1, 1, 2, 2, 3, 3],
        "annotator": ["a", "b", "a", "b", "a", "b"],
        "label": ["x", "x", "y", "x", "y", "y"],
    }
)
PROBS = pl.DataFrame({"example": range(1, 10), "x": 0.25, "y": 0.75})

METHODS: list[Callable[..., Any]] = [
    lambda log, **options: pc.majority_vote(log, **options).collect(),
    lambda log, **options: pc.majority_vote(log, PROBS, **options).collect(),
    lambda log, **options: pc.crowdlab(log, PROBS, **options),
]
methods = pytest.mark.parametrize("method", METHODS, ids=["vote", "vote with model", "crowdlab"])

lost_classes_are_fine = pytest.mark.filterwarnings("ignore:1 class:polars_crowd.AnnotationWarning")


def refused(method: Callable[..., Any], log: Any, message: str, **options: Any) -> None:
    with pytest.raises(pc.AnnotationError) as raised:
        method(log, **options)
    assert str(raised.value) == message


# --- errors ----------------------------------------------------------------------------------------


@methods
@pytest.mark.parametrize(
    "log",
    [LOG.clear(), LOG.with_columns(label=None), LOG.with_columns(label=pl.lit(None, pl.String))],
)
def test_no_annotations(method: Callable[..., Any], log: pl.DataFrame) -> None:
    message = (
        "the log has no annotations: no row has a label. Check the label column and your filters."
    )
    refused(method, log, message)


@methods
@pytest.mark.parametrize("column", ["example", "annotator"])
def test_null_ids(method: Callable[..., Any], column: str) -> None:
    lost = LOG.with_columns(pl.when(pl.col("label") != "y").then(column).alias(column))
    rows = {
        "example": "  example=None, annotator='a', label='y'\n"
        "  example=None, annotator='a', label='y'\n"
        "  example=None, annotator='b', label='y'\n",
        "annotator": "  example=2, annotator=None, label='y'\n"
        "  example=3, annotator=None, label='y'\n"
        "  example=3, annotator=None, label='y'\n",
    }
    message = (
        f"column '{column}' of the log is null in 3 rows:\n{rows[column]}Every annotation needs its "
        f"{column}. Fill in the {column}s, or drop these rows: log.drop_nulls('{column}')."
    )
    refused(method, lost, message)


def test_five_rows_are_shown() -> None:
    lost = pl.concat([LOG.with_columns(annotator=pl.lit(None, pl.String))] * 2)
    with pytest.raises(pc.AnnotationError, match="null in 12 rows") as raised:
        pc.majority_vote(lost).collect()
    assert str(raised.value).count("annotator=None") == 5


@methods
@pytest.mark.parametrize("as_text", [False, True])
def test_duplicates(method: Callable[..., Any], as_text: bool) -> None:
    log = LOG.with_columns(annotator=pl.Series(["a", "b", "a", "a", "b", "b"]))
    shown = "  example={}, annotator='a', rows=2, label=['y', 'x']\n"
    shown += "  example={}, annotator='b', rows=2, label=['y', 'y']\n"
    ids: tuple[Any, Any] = (2, 3)
    if as_text:
        log, ids = log.with_columns(pl.format("e{}", "example").alias("example")), ("'e2'", "'e3'")
    message = (
        "columns 'example', 'annotator' of the log: 2 pairs with more than one annotation, 4 rows in "
        f"all:\n{shown.format(*ids)}"
        "Say which to use (with all, each row counts): duplicates='first', 'last' or 'all'."
    )
    if as_text and method is not METHODS[0]:
        return  # the ids of PROBS are numbers
    refused(method, log, message)


@methods
def test_duplicates_with_the_same_label_are_duplicates(method: Callable[..., Any]) -> None:
    with pytest.raises(pc.AnnotationError, match="1 pair with more than one annotation, 2 rows"):
        method(pl.concat([LOG, LOG.head(1)]))


@methods
@pytest.mark.parametrize("others", [0, 50])
def test_duplicates_are_found_in_short_and_long_examples(
    method: Callable[..., Any], others: int
) -> None:
    """Annotators with other labels lie between the two rows of a pair."""
    crowd = pl.DataFrame(
        {"example": 3, "annotator": [f"c{i}" for i in range(others)], "label": "x"}
    )
    again = pl.DataFrame({"example": [3], "annotator": ["b"], "label": ["x"]})
    log = pl.concat([LOG, crowd.cast(LOG.schema), again])
    with pytest.raises(pc.AnnotationError, match=r"1 pair .*\n  example=3, annotator='b', rows=2"):
        method(log)


@lost_classes_are_fine
def test_which_duplicates_count() -> None:
    log = pl.DataFrame(
        {
            "example": [1, 2, 1, 1, 2, 1],
            "annotator": ["a", "a", "a", "b", "b", "c"],
            "label": ["x", "y", "y", "y", "y", "x"],
        }
    )
    first = log[[0, 1, 3, 4, 5]]
    last = log[[1, 2, 3, 4, 5]]
    every = log.with_columns(annotator=pl.Series(["a", "a", "a2", "b", "b", "c"]))
    for policy, same in (("first", first), ("last", last), ("all", every)):
        for method in METHODS[:2]:
            assert_frame_equal(method(log, duplicates=policy), method(same))
        if policy != "all":
            found = pc.crowdlab(log, PROBS, duplicates=policy)  # type: ignore[arg-type]
            expected = pc.crowdlab(same, PROBS)
            assert_frame_equal(found.annotations.collect(), expected.annotations.collect())
            assert found.annotators.equals(expected.annotators)
    assert pc.crowdlab(log, PROBS, duplicates="all").annotations.collect().height == log.height


@methods
def test_unknown_policies(method: Callable[..., Any]) -> None:
    message = "duplicates='any'; it must be one of 'error', 'first', 'last', 'all', 'mean'."
    with pytest.raises(ValueError, match=re.escape(message)):
        method(LOG, duplicates="any")


@pytest.mark.parametrize("method", METHODS[1:])
def test_labels_that_are_no_classes(method: Callable[..., Any]) -> None:
    log = LOG.with_columns(label=pl.Series(["x", "z", "y", "w", "y", "z"]))
    message = (
        "column 'label' of the log has 3 rows with labels that are not among the classes 'x', 'y': "
        "'w', 'z'.\n  example=1, annotator='b', label='z'\n  example=2, annotator='b', label='w'\n"
        "  example=3, annotator='b', label='z'\n"
    )
    of_probs = "Give pred_probs a column for each of these classes, or filter the rows out."
    refused(method, log, message + of_probs)


def test_labels_that_are_not_declared() -> None:
    with pytest.raises(
        pc.AnnotationError, match=r"1 row with labels that are not .*: 'z'.*\n.*\nFilter"
    ):
        pc.majority_vote(
            LOG.with_columns(label=pl.Series(list("xxyxyz"))), classes=["x", "y"]
        ).collect()


def test_every_example_annotated_once() -> None:
    message = (
        "each of the 3 examples has one annotation only, so annotators cannot be compared and CROWDLAB "
        "has nothing to weigh. The labels are their own majority vote: pc.majority_vote(log). "
        "To score them against the model alone use a label-quality score such as the model's probability "
        "of the label, or collect second annotations for some examples."
    )
    alone = LOG.unique("example", keep="first", maintain_order=True)
    refused(METHODS[2], alone, message)
    assert METHODS[0](alone)["consensus_label"].to_list() == ["x", "y", "y"]


@methods
@pytest.mark.parametrize("column", ["example", "annotator", "label"])
def test_missing_columns_are_told_at_once(method: Callable[..., Any], column: str) -> None:
    with pytest.raises(pc.AnnotationError, match=f"the log has no column '{column}'; its columns"):
        method(LOG.drop(column))


def test_one_error_is_enough() -> None:
    """An AnnotationError is a ValueError, so that callers who know nothing of it may catch it."""
    with pytest.raises(ValueError, match="no annotations"):
        pc.crowdlab(LOG.clear(), PROBS)
