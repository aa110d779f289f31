"""Majority vote: one lazy plan, every tie-break by an example, and an exact reference on random logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cleanlab.multiannotator as theirs
import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import polars_crowd as pc
from polars_crowd.consensus.majority_vote import break_ties, count_ties, majority_table
from polars_crowd.rounds.opening import open_rounds
from tests.cases import Case, cases, log_of_rows
from tests.compat.cleanlab_cases import ROUNDING, first_for_random, tie_break_key

Rows = Sequence[tuple[Any, Any, Any]]


def vote(rows: Rows, probs: Any = None, **options: Any) -> dict[Any, Any]:
    table = pc.majority_vote(log_of_rows(rows), probs, **options).collect()
    return dict(table.select("example", "consensus_label").iter_rows())


# --- the plan --------------------------------------------------------------------------------------

CLEAR = [("e1", "a", "x"), ("e1", "b", "x"), ("e1", "c", "y"), ("e2", "a", "y")]


def test_the_table() -> None:
    table = pc.majority_vote(log_of_rows(CLEAR)).collect()
    expected = pl.DataFrame(
        {
            "example": ["e1", "e2"],
            "consensus_label": ["x", "y"],
            "annotator_agreement": [2 / 3, 1.0],
            "num_annotations": pl.Series([3, 1], dtype=pl.UInt32),
        }
    )
    assert_frame_equal(table, expected)


def test_nothing_is_computed_before_it_is_collected() -> None:
    read = []

    def count(frame: pl.DataFrame) -> pl.DataFrame:
        read.append(frame.height)
        return frame

    log = log_of_rows(CLEAR)
    counted = log.lazy().map_batches(count, schema=log.schema, predicate_pushdown=False)
    plan = pc.majority_vote(counted)
    assert isinstance(plan, pl.LazyFrame)
    assert plan.collect_schema().names()[1] == "consensus_label"
    assert read == []
    first = plan.filter(pl.col("example") == "e1").select("consensus_label").collect()
    assert first.item() == "x"
    assert set(read) == {len(CLEAR)}


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (log_of_rows(CLEAR).clear(), "the log has no annotations"),
        (log_of_rows([*CLEAR, CLEAR[0]]), "1 pair with more than one annotation"),
        (log_of_rows([*CLEAR, (None, "a", "x")]), "column 'example' of the log is null in 1 row"),
    ],
)
def test_errors_come_when_it_is_collected(log: pl.DataFrame, message: str) -> None:
    plan = pc.majority_vote(log)
    with pytest.raises(pc.AnnotationError, match=message):
        plan.collect()
    with pytest.raises(pc.AnnotationError, match=message):
        plan.head(1).collect()


def test_the_type_of_labels_is_kept() -> None:
    for dtype in (pl.Categorical, pl.Enum(["y", "x", "z"])):
        log = log_of_rows(CLEAR).with_columns(pl.col("label").cast(dtype))
        table = pc.majority_vote(log).collect()
        assert table.schema["consensus_label"] == dtype
        assert table["consensus_label"].to_list() == ["x", "y"]


# --- ties, step by step ----------------------------------------------------------------------------
#
# TIE is undecided between x and y. The other examples settle it by one step each.

TIE = [(0, "a", "x"), (0, "b", "y")]


def probs_of(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"example": [0, 1, 2, 3]}).with_columns(**columns)


def test_step_1_the_model_decides_among_the_tied() -> None:
    probs = probs_of(x=pl.lit(0.2), y=pl.lit(0.3), z=pl.lit(0.5))
    assert vote(TIE, probs) == {0: "y"}
    assert vote(TIE, probs_of(x=pl.lit(0.3), y=pl.lit(0.2), z=pl.lit(0.5))) == {0: "x"}
    more_votes = [*TIE, (0, "c", "x")]
    assert vote(more_votes, probs) == {0: "x"}, "votes come first"


def test_step_1_of_an_ensemble_is_the_mean_of_its_models() -> None:
    slight = probs_of(x=pl.lit(0.6), y=pl.lit(0.4))
    strong = probs_of(x=pl.lit(0.1), y=pl.lit(0.9))
    assert vote(TIE, slight) == {0: "x"}
    assert vote(TIE, [slight, strong]) == {0: "y"}
    assert vote(TIE, [slight, slight, strong]) == {0: "y"}
    assert vote(TIE, [slight, slight, slight, slight, strong]) == {0: "x"}


RARE = [(1, "c", "x"), (1, "d", "x")]
"""x has three annotations in all, y one."""


def test_step_2_the_rarer_class_of_the_whole_log_wins() -> None:
    assert vote([*TIE, *RARE]) == {0: "y", 1: "x"}
    flat = probs_of(x=pl.lit(0.5), y=pl.lit(0.5))
    assert vote([*TIE, *RARE], flat) == {0: "y", 1: "x"}, "where the model ties, too"
    certain = probs_of(x=pl.lit(0.9), y=pl.lit(0.1))
    assert vote([*TIE, *RARE], certain) == {0: "x", 1: "x"}, "the model comes first"


def balanced(rows: Rows) -> Rows:
    """With as many x as y, by examples that one more annotator labelled alone."""
    counts = Counter(label for *_, label in rows)
    rarer = min("xy", key=lambda label: counts[label])
    missing = abs(counts["x"] - counts["y"])
    return [*rows, *((100 + i, "pad", rarer) for i in range(missing))]


SKILLED = [(1, "b", "y"), (1, "c", "y"), (1, "a", "x"), (2, "b", "x"), (2, "c", "x")]
"""b agrees with the majority of examples 1 and 2, a with none."""


def test_step_3_the_annotators_who_agree_with_other_votes_win() -> None:
    assert vote(balanced([*TIE, *SKILLED]))[0] == "y"
    swapped = [(e, {"a": "b", "b": "a"}.get(a, a), label) for e, a, label in SKILLED]
    assert vote(balanced([*TIE, *swapped]))[0] == "x"
    more_y = [(3, "d", "y"), (3, "e", "y")]
    assert vote([*balanced([*TIE, *SKILLED]), *more_y])[0] == "x", "rarity comes first"


def test_step_3_counts_votes_that_were_clear_before_any_tie_break() -> None:
    """The ties of examples 4 to 9 are broken in favour of a's labels, which is no proof of a's skill."""
    broken = [(e, a, label) for e in range(4, 10) for a, label in (("a", "y"), ("b", "x"))]
    rows = balanced([*TIE, *SKILLED, *broken])
    probs = log_of_rows(rows).select(pl.col("example").unique())
    probs = probs.with_columns(
        x=pl.when(pl.col("example").is_between(4, 9)).then(0.1).otherwise(0.5)
    )
    found = vote(rows, probs.with_columns(y=1 - pl.col("x")))
    assert {found[e] for e in range(4, 10)} == {"y"}
    assert found[0] == "y"


def test_step_3_who_has_no_clear_vote_gets_the_mean_of_the_others() -> None:
    """a agrees in 2 of 3 cases, c and d and pad always: the newcomer gets 11/12."""
    rows = [
        *((1, "a", "x"), (1, "c", "x"), (1, "d", "x")),
        *((2, "a", "x"), (2, "c", "y"), (2, "d", "y")),
        *((3, "a", "y"), (3, "c", "y"), (3, "d", "y")),
    ]
    assert vote(balanced([*rows, (0, "new", "y"), (0, "a", "x")]))[0] == "y", "11/12 beat 2/3"
    assert vote(balanced([*rows, (0, "new", "x"), (0, "c", "y")]))[0] == "y", "1 beats 11/12"


def test_step_3_is_a_mean_over_the_annotators_of_the_class() -> None:
    tie = [(0, "a", "y"), (0, "b", "y"), (0, "c", "x"), (0, "d", "x")]
    clear = []
    for e, right in enumerate(("abc", "abc", "c", "abc"), start=1):
        truth, wrong = ("x", "y") if e % 2 else ("y", "x")
        clear += [(e, one, truth if one in right else wrong) for one in "abcd"]
        clear += [(e, f"sure {i}", truth) for i in range(4)]
    assert vote(balanced([*tie, *clear]))[0] == "y", "3/4 and 3/4 beat 1 and 0"


def test_step_3_ties_are_exact_whatever_the_rounding() -> None:
    """Here 0.1 + 0.2 + 0.3 against 0.3 + 0.2 + 0.1, which is less in floating point."""
    tie = [(0, "a", "y"), (0, "b", "y"), (0, "c", "y"), (0, "d", "x"), (0, "e", "x"), (0, "f", "x")]
    clear = []
    for e in range(1, 11):
        truth, wrong = ("x", "y") if e % 2 else ("y", "x")
        right = {"a": e <= 1, "b": e <= 2, "c": e <= 3, "d": e <= 3, "e": e <= 2, "f": e <= 1}
        clear += [(e, one, truth if is_right else wrong) for one, is_right in right.items()]
        clear += [(e, f"sure {i}", truth) for i in range(7)]
    assert vote(balanced([*tie, *clear]))[0] == "x"


@pytest.mark.parametrize("classes", [["x", "y"], ["y", "x"]])
def test_step_4_the_first_class_in_order(classes: list[str]) -> None:
    assert vote(TIE) == {0: "x"}
    assert vote(TIE, classes=classes) == {0: classes[0]}
    flat = probs_of(**{c: pl.lit(0.5) for c in classes})
    assert vote(TIE, flat) == {0: classes[0]}


def test_a_log_of_ties_only() -> None:
    rows = [(e, a, label) for e in range(3) for a, label in (("a", "x"), ("b", "y"))]
    assert vote(rows) == dict.fromkeys(range(3), "x")


# --- references ------------------------------------------------------------------------------------


def exact_vote(case: Case, with_model: bool) -> list[int]:
    """The majority vote as CROWDLAB's paper and steps have it, in exact numbers."""
    labels = case.labels
    votes = [Counter(row[row >= 0].tolist()) for row in labels]
    leaders = [{k for k, n in vote.items() if n == max(vote.values())} for vote in votes]
    in_all = Counter(labels[labels >= 0].tolist())
    clear = {e: next(iter(ks)) for e, ks in enumerate(leaders) if len(ks) == 1}
    shares: dict[int, Fraction] = {}
    for a in range(labels.shape[1]):
        judged = [labels[e, a] == k for e, k in clear.items() if labels[e, a] >= 0]
        if judged:
            shares[a] = Fraction(sum(map(int, judged)), len(judged))
    others = sum(shares.values(), Fraction(0)) / max(len(shares), 1)

    def agreement(e: int, k: int) -> Fraction:
        of_class = [shares.get(a, others) for a in np.flatnonzero(labels[e] == k).tolist()]
        return sum(of_class, Fraction(0)) / len(of_class)

    probability = np.mean(case.models, axis=0) if with_model else np.zeros(case.models[0].shape)

    def merit(e: int, k: int) -> tuple[Any, ...]:
        return probability[e, k], -in_all[k], agreement(e, k), -k

    return [max(ks, key=lambda k: merit(e, k)) for e, ks in enumerate(leaders)]


def test_a_lazy_plan_has_no_progress_to_show() -> None:
    with pytest.raises(ValueError, match="progress= shows the partitions of a store"):
        pc.majority_vote(Case(np.zeros((2, 2), dtype=int), []).log, progress=True)


@given(cases(max_models=2, ties=True), st.booleans())
def test_majority_vote_is_the_exact_reference(case: Case, with_model: bool) -> None:
    probs = case.pred_probs if with_model else None
    table = pc.majority_vote(case.log, probs).collect()
    expected = exact_vote(case, with_model)
    assert table["consensus_label"].to_list() == expected
    votes = [int((row == k).sum()) for row, k in zip(case.labels, expected, strict=True)]
    counts = (case.labels >= 0).sum(axis=1)
    assert table["num_annotations"].to_list() == counts.tolist()
    assert table["annotator_agreement"].to_list() == pytest.approx(np.array(votes) / counts)


@given(cases(max_models=2, ties=True))
@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
def test_the_plan_and_the_rounds_of_crowdlab_vote_alike(case: Case) -> None:
    fit = pc.crowdlab(case.log, case.pred_probs, consensus_method="majority_vote")
    plan = pc.majority_vote(case.log, case.pred_probs).collect()
    assert_frame_equal(fit.examples.select(plan.columns).collect(), plan)


@given(cases(ties=True), st.booleans())
def test_majority_vote_is_that_of_cleanlab(case: Case, with_model: bool) -> None:
    """Up to its random last step, and what rounding decides of its means."""
    probs = case.models[0] if with_model else None
    assume(case.has_clear_vote)
    with first_for_random():
        expected = theirs.get_majority_vote_label(case.wide, probs, verbose=False)
    frames = case.pred_probs[0] if with_model else None
    found = pc.majority_vote(case.log, frames).collect()["consensus_label"].to_numpy()
    for example in np.flatnonzero(found != expected).tolist():
        keys = [tie_break_key(case.wide, example, y[example]) for y in (expected, found)]
        assert keys[0][:2] == keys[1][:2]
        assert keys[0][2] == pytest.approx(keys[1][2], abs=ROUNDING)
        assert found[example] < expected[example]


# --- two ways --------------------------------------------------------------------------------------
#
# The lazy plan votes from a scan, rounds from sorted runs: the same answer, or the same error.


def by_rounds(log: pl.DataFrame, probs: Any) -> pl.DataFrame:
    rounds = open_rounds(log, probs)
    ties = break_ties(rounds, rounds.run(count_ties))
    return rounds.tables({"examples": majority_table}, ties)["examples"].collect()


def outcome(way: Callable[[], pl.DataFrame]) -> pl.DataFrame | str:
    """The table, or what the error says."""
    try:
        return way()
    except pc.AnnotationError as error:
        return str(error)


NUMBERS = [3.0, 1.2, 1.0005, -0.1, -1e-12, float("inf"), float("-inf"), float("nan"), None]
"""What an entry may be that is no probability; and one that is near enough."""


@st.composite
def damaged(draw: st.DrawFn, case: Case) -> list[pl.DataFrame]:
    """The case's models, some with an entry, row or id that is wrong, and examples that nobody labelled."""
    frames = []
    for frame in case.pred_probs:
        n, columns = frame.height, frame.columns[1:]
        row = draw(st.integers(0, n - 1))
        at = pl.int_range(pl.len()) == row
        more = frame.head(draw(st.integers(0, 2))).with_columns(pl.col("example") + 1000)
        number = draw(st.sampled_from(NUMBERS))
        column = draw(st.sampled_from(columns))
        entry = pl.when(at).then(pl.lit(number, pl.Float64)).otherwise(column).alias(column)
        changes = {
            "nothing": frame,
            "entry": frame.with_columns(entry),
            "number of an unlabelled example": pl.concat(
                [frame, more.with_columns(pl.lit(3.0).alias("0"))]
            ),
            "row": frame.filter(~at),
            "twice": pl.concat([frame, frame.filter(at)]),
            "another instead": pl.concat([frame.filter(~at), frame.filter(~at).head(1)]),
            "unlabelled twice": pl.concat([frame, more, more]),
            "no id": frame.with_columns(pl.when(~at).then("example").alias("example")),
            "scaled": frame.with_columns(
                pl.col(columns) * draw(st.sampled_from([100, 1.0008, 1.002]))
            ),
        }
        changed = pl.concat([changes[draw(st.sampled_from(list(changes)))], more])
        if draw(st.booleans()):
            changed = changed.with_columns(pl.col(columns).cast(pl.Float32))
        if draw(st.booleans()):
            changed = changed.select("example", p=pl.concat_arr(columns))
        frames.append(changed.sample(fraction=1, shuffle=True, seed=draw(st.integers(0, 99))))
    return frames


@settings(max_examples=200)
@given(cases(max_models=2, ties=True), st.data())
def test_both_ways_answer_alike_or_refuse_alike(case: Case, data: st.DataObject) -> None:
    probs = data.draw(damaged(case))
    lazy = outcome(lambda: pc.majority_vote(case.log, probs).collect())
    rounds = outcome(lambda: by_rounds(case.log, probs))
    if isinstance(lazy, pl.DataFrame) and isinstance(rounds, pl.DataFrame):
        assert_frame_equal(lazy, rounds)
    else:
        assert lazy == rounds


@pytest.mark.parametrize(
    ("probs", "message"),
    [
        (probs_of(x=pl.lit(3.0), y=pl.lit(0.3)), "above 1"),
        (probs_of(x=pl.lit(-0.3), y=pl.lit(1.3)), "negative"),
        (probs_of(x=pl.lit(0.3), y=pl.lit(0.3)), "do not sum to 1"),
        (probs_of(x=pl.lit(float("nan")), y=pl.lit(0.3)), "NaN"),
        (probs_of(x=pl.lit(None, pl.Float64), y=pl.lit(0.3)), "null"),
        (
            probs_of(x=pl.lit(0.3), y=pl.lit(0.7)).tail(3),
            "1 of 2 annotated examples has no pred_probs",
        ),
        (
            pl.concat([probs_of(x=pl.lit(0.3), y=pl.lit(0.7))] * 2),
            "4 examples with more than one row",
        ),
    ],
)
@pytest.mark.parametrize("where", ["lazy", "into", "store"])
def test_bad_probabilities_are_refused_everywhere(
    probs: pl.DataFrame, message: str, where: str, tmp_path: Path
) -> None:
    """... though example 1 is not tied, and nothing but the tie on example 0 is broken by them."""
    log = log_of_rows([*TIE, *RARE])
    ways: dict[str, Callable[[], Any]] = {
        "lazy": lambda: pc.majority_vote(log, probs).collect(),
        "into": lambda: pc.majority_vote(log, probs, into=tmp_path / "results"),
        "store": lambda: pc.AnnotationStore.create(tmp_path / "store", log, probs),
    }
    with pytest.raises(pc.AnnotationError, match=message):
        ways[where]()
