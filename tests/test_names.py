"""Names of columns, groups and classes: what they are called changes no number, or an error says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import polars_crowd as pc
from polars_crowd.errors import AnnotationError
from polars_crowd.signatures import signature_of
from tests import bad_input
from tests.bad_input import LOG, PAIRS, PROBS, SETS, Call
from tests.truth.truth_cases import unwarned

OF_RESULTS = ["value", "coefficient", "reason", "warning", "num_examples", "ci_low", "label_1"]
OF_RESULTS += ["num_annotations", "consensus_label", "label_quality_score", "active_learning_score"]
OF_THE_WAY = ["n_examples", "e1", "vote", "votes", "weight", "row", "rows", "group", "place", "key"]
OF_THE_WAY += [
    "by_0",
    "pair",
    "times",
    "position",
    "order",
    "suspects",
    "is_labelled",
    "annotations",
]
OF_POLARS = ["len", "count", "literal", "index", "column_0", "example_right", "annotator_right"]
ODD = ["", " ", "größe", "with space", "a.b", "it's", 'say "so"', "a*", "^", "$"]
NAMES = OF_RESULTS + OF_THE_WAY + OF_POLARS + ODD
REFUSED = ["polars_crowd_position", "polars_crowd_x", "*", "^x$"]
TIMES = ["seconds"]
"""Columns of what differs from run to run."""


def tables(found: Any) -> dict[str, pl.DataFrame]:
    """The frames of a result."""
    if isinstance(found, (pl.LazyFrame, pl.DataFrame)):
        return {"": found.lazy().collect()}
    if isinstance(found, list):
        return {str(k): table for k, one in enumerate(found) for table in tables(one).values()}
    named = {name: getattr(found, name) for name in getattr(found, "TABLES", ())}
    frames = (pl.LazyFrame, pl.DataFrame)
    return {name: t.lazy().collect() for name, t in named.items() if isinstance(t, frames)}


def found_by(call: Call, **arguments: Any) -> dict[str, pl.DataFrame]:
    with unwarned():
        return tables(call.function(**{**call.good, **arguments}))


def check_same(found: dict[str, pl.DataFrame], plain: dict[str, pl.DataFrame]) -> None:
    """The same tables; there may be further columns."""
    assert found.keys() == plain.keys()
    for name, table in plain.items():
        told = [column for column in table.columns if column not in TIMES]
        assert_frame_equal(found[name].select(told), table.select(told), check_row_order=False)


def with_further(log: pl.DataFrame) -> pl.DataFrame:
    """The log with columns of all the names."""
    further = {name: np.arange(log.height) * 7 % 5 / 2 for name in NAMES if name not in log.columns}
    return log.with_columns(**{name: pl.Series(values) for name, values in further.items()})


def of_logs() -> Iterator[Call]:
    for call in bad_input.public_functions():
        if not {"log", "a", "source"}.isdisjoint(call.good) and call.name != "scan_pred_probs":
            yield call


@pytest.mark.parametrize("call", list(of_logs()), ids=lambda call: call.name)
def test_further_columns_of_the_log_change_nothing(call: Call) -> None:
    logs = {name: call.good[name] for name in ("log", "a", "b", "source") if name in call.good}
    with_more = {name: with_further(log) for name, log in logs.items()}
    check_same(found_by(call, **with_more), found_by(call))


@pytest.mark.parametrize("call", list(of_logs()), ids=lambda call: call.name)
@pytest.mark.parametrize("name", ["polars_crowd_position", "*"])
def test_names_that_are_ours_are_refused_at_the_door(call: Call, name: str) -> None:
    log = next(call.good[one] for one in ("log", "a", "source") if one in call.good)
    given = {one: log.with_columns(pl.lit(1).alias(name)) for one in ("log", "a", "source")}
    with pytest.raises(AnnotationError, match="Rename or drop them"):
        found_by(call, **{one: log for one, log in given.items() if one in call.good})


# --- groups ------------------------------------------------------------------------------------------


def of_groups() -> Iterator[Call]:
    return (
        call
        for call in bad_input.public_functions()
        if "by" in signature_of(call.function).parameters and call.name not in IN_OTHER_WORDS
    )


IN_OTHER_WORDS = ("intra_rater_agreement", "report")
"""Functions whose groups are others, or whose tables are words."""


MADE_BY_OTHERS = ("agreement", "agreement_by_class", "icc", "pairwise_agreement")
"""Functions whose tables are made each in a way of its own: these are asked for all names."""


def grouped(call: Call, name: str, *, in_frame: bool) -> dict[str, pl.DataFrame]:
    """By a column of the log of this name, or of a frame beside it."""
    logs = {one: log for one, log in call.good.items() if one in ("log", "a", "b")}
    log = next(iter(logs.values())).rename({"language": name})
    if not in_frame:
        return found_by(call, **dict.fromkeys(logs, log), by=name)
    by = pl.DataFrame({"example": log["example"], name: log[name]}).unique("example")
    return found_by(call, **logs, by=by)


@pytest.mark.parametrize("call", list(of_groups()), ids=lambda call: call.name)
def test_groups_of_any_name_have_the_same_numbers(call: Call) -> None:
    plain = grouped(call, "language", in_frame=False)
    for k, name in enumerate(NAMES if call.name in MADE_BY_OTHERS else NAMES[::9]):
        taken = any(name in table.columns for table in plain.values())
        if taken:
            with pytest.raises(AnnotationError, match="is a column of the result"):
                grouped(call, name, in_frame=bool(k % 2))
        else:
            found = grouped(call, name, in_frame=bool(k % 2))
            renamed = {what: table.rename({"language": name}) for what, table in plain.items()}
            check_same(found, renamed)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("in_frame", [False, True])
def test_groups_of_names_that_are_ours_are_refused(name: str, in_frame: bool) -> None:
    call = next(call for call in of_groups() if call.name == "agreement")
    with pytest.raises(AnnotationError, match="Rename or drop them"):
        grouped(call, name, in_frame=in_frame)


# --- classes -----------------------------------------------------------------------------------------

CLASSES = sorted([*NAMES, "annotator", "label", "probability", "winner", "class"])
PAIRED = list(zip(CLASSES[::2], CLASSES[1::2], strict=False))


def of_classes() -> Iterator[Call]:
    return (call for call in of_logs() if call.good.get("log") is LOG and call.name != "gwet_ac2")


def with_classes(call: Call, names: tuple[str, str]) -> dict[str, pl.DataFrame]:
    """What it finds where classes are called so."""
    to = dict(zip(["0", "1"], names, strict=True))
    label = pl.col("label").cast(pl.String).replace(to)
    given: dict[str, Any] = {"log": LOG.with_columns(label)}
    if "gold" in call.good:
        given["gold"] = call.good["gold"].with_columns(label)
    if "pred_probs" in call.good:
        given["pred_probs"] = PROBS.rename(to)
    return found_by(call, **given)


def renamed(table: pl.DataFrame, to: dict[str, str]) -> pl.DataFrame:
    """The table with other names of classes, as columns and as values."""
    texts = (pl.col(name).replace(to) for name, dtype in table.schema.items() if dtype == pl.String)
    return table.with_columns(texts).rename({c: to[c] for c in table.columns if c in to})


ALL_CLASSES = ("activelab", "agreement_by_class", "crowdlab", "dawid_skene", "majority_vote")
"""Functions that are asked for all names of classes."""
USUAL_CLASSES = ("class 0", "class 1")
LOOKS = ("check_annotations",)
"""What says something about the labels' spelling."""


@pytest.mark.parametrize(
    "call", [c for c in of_classes() if c.name not in LOOKS], ids=lambda call: call.name
)
def test_classes_of_any_name_have_the_same_numbers(call: Call) -> None:
    plain = with_classes(call, USUAL_CLASSES)
    for names in PAIRED if call.name in ALL_CLASSES else PAIRED[::9]:
        to = dict(zip(USUAL_CLASSES, names, strict=True))
        check_same(with_classes(call, names), {k: renamed(t, to) for k, t in plain.items()})


@pytest.mark.parametrize("method", [pc.multilabel_crowdlab, pc.multilabel_activelab])
def test_classes_of_sets_of_any_name_have_the_same_numbers(method: Callable[..., Any]) -> None:
    def numbers(names: tuple[str, str]) -> dict[str, pl.DataFrame]:
        to = dict(zip(["0", "1"], names, strict=True))
        log = SETS.with_columns(label=pl.col("label").list.eval(pl.element().replace(to)))
        with unwarned():
            found = tables(method(log, PROBS.rename(to)))
        return {k: t.select(pl.selectors.numeric()) for k, t in found.items()}

    plain = numbers(USUAL_CLASSES)
    for names in PAIRED[1:]:
        check_same(numbers(names), plain)


@pytest.mark.parametrize("name", [*REFUSED, "example"])
def test_classes_that_no_column_can_be_called_are_refused(name: str) -> None:
    matrix = PROBS.select("0", "1").to_numpy()
    with pytest.raises(AnnotationError, match="pred_probs"):
        pc.scan_pred_probs(matrix, example=PROBS["example"], classes=[name, "b"])
    long = PROBS.rename({"0": "a", "1": "b"}).unpivot(
        index="example", variable_name="label", value_name="probability"
    )
    with pytest.raises(AnnotationError, match="pred_probs"):
        pc.scan_pred_probs(long.with_columns(pl.col("label").replace("a", name)))


# --- the columns themselves --------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["example", "annotator", "label"])
def test_the_columns_of_a_log_may_have_any_name(column: str) -> None:
    for name in NAMES:
        named: dict[str, Any] = {column: name}
        log = pc.scan_annotations(LOG.rename({column: name}), **named)
        assert_frame_equal(log.collect(), LOG)


@pytest.mark.parametrize("column", ["left", "right", "annotator", "winner"])
def test_the_columns_of_comparisons_may_have_any_name(column: str) -> None:
    plain = pc.scan_comparisons(PAIRS).collect()
    for name in NAMES:
        named: dict[str, Any] = {column: name}
        log = pc.scan_comparisons(PAIRS.rename({column: name}), **named)
        assert_frame_equal(log.collect(), plain)


def test_the_ids_of_pred_probs_may_have_any_name() -> None:
    for name in NAMES:
        probs = pc.scan_pred_probs(PROBS.rename({"example": name}), example=name)
        assert isinstance(probs, pl.LazyFrame)
        assert_frame_equal(probs.collect(), PROBS)


def test_a_store_keeps_columns_of_any_name(tmp_path: Path) -> None:
    log = with_further(LOG)
    store = pc.AnnotationStore.create(tmp_path / "store", log, PROBS, partitions=2)
    kept = store.scan_annotations().collect().select(log.columns)
    assert_frame_equal(kept, log, check_row_order=False)
    check_same(tables(pc.crowdlab(store)), tables(pc.crowdlab(LOG, PROBS)))
    check_same({"": pc.agreement(store, by="votes")}, {"": pc.agreement(log, by="votes")})
