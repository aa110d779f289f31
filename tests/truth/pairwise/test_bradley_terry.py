"""Pairwise preferences: against scipy's optimiser, recovery of what was simulated, what must not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from polars.testing import assert_frame_equal
from scipy import optimize

from polars_crowd.errors import AnnotationError, AnnotationWarning
from polars_crowd.inputs.comparisons import scan_comparisons
from polars_crowd.truth.pairwise import strengths
from polars_crowd.truth.pairwise.bradley_terry import bradley_terry
from polars_crowd.truth.pairwise.comparisons import count_comparisons
from polars_crowd.truth.pairwise.crowd_bradley_terry import crowd_bradley_terry
from polars_crowd.truth.pairwise.ranks import refitted
from polars_crowd.truth.pairwise.result import Preferences
from tests import GOLDEN
from tests.truth.truth_cases import quiet

Floats = NDArray[np.float64]
CROWD_KIT = GOLDEN / "crowd-kit-1.4.2"
METHODS = {"bradley_terry": bradley_terry, "crowd_bradley_terry": crowd_bradley_terry}


def comparisons_of(rows: list[tuple[int, int, int, bool]]) -> pl.DataFrame:
    """From (left, right, annotator, whether left won)."""
    frame = pl.DataFrame(rows, schema=["left", "right", "annotator", "first"], orient="row")
    won = pl.when("first").then("left").otherwise("right")
    return frame.select("left", "right", "annotator", winner=won)


@st.composite
def logs(draw: st.DrawFn) -> pl.DataFrame:
    """A few comparisons of a few examples, connected or not."""
    pair = st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda p: p[0] != p[1])
    row = st.tuples(pair, st.integers(0, 3), st.booleans())
    rows = draw(st.lists(row, min_size=1, max_size=40))
    return comparisons_of([(a, b, j, first) for (a, b), j, first in rows])


def comparisons(
    seed: int, n: int = 30, rows: int = 6000, eta: list[float] | None = None
) -> tuple[pl.DataFrame, Floats]:
    """Comparisons by annotators of reliability eta, and the true scores."""
    rng = np.random.default_rng(seed)
    score = rng.normal(size=n)
    score -= score.mean()
    left = rng.integers(0, n, rows)
    right = (left + rng.integers(1, n, rows)) % n
    reliability = np.array(eta or [1.0] * 8)
    annotator = rng.integers(0, len(reliability), rows)
    first = rng.random(rows) < 1 / (1 + np.exp(score[right] - score[left]))
    said = np.where(rng.random(rows) < reliability[annotator], first, ~first)
    winner = np.where(said, left, right)
    frame = pl.DataFrame({"left": left, "right": right, "annotator": annotator, "winner": winner})
    return frame, score


def by_example(fit: Preferences) -> pl.DataFrame:
    return fit.examples.collect().sort("example")


# --- against scipy ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_maximum_and_its_inverse_hessian(seed: int) -> None:
    log, _ = comparisons(seed, n=7, rows=60)
    c = 0.5
    won = np.zeros((7, 7))
    np.add.at(won, (log["winner"], (log["left"] + log["right"] - log["winner"])), 1.0)

    def minus_objective(score: Floats) -> float:
        difference = score[:, None] - score[None, :]
        prior = c * (score - 2 * np.logaddexp(0, score)).sum()
        return float((won * np.logaddexp(0, -difference)).sum() - prior)

    best = optimize.minimize(minus_objective, np.zeros(7), method="BFGS", options={"gtol": 1e-9})
    fit = bradley_terry(log, smoothing=c, tol=1e-16)
    found = by_example(fit)
    np.testing.assert_allclose(found["score"], best.x - best.x.mean(), atol=1e-5)
    assert fit.trace[-1] == pytest.approx(-best.fun, abs=1e-8)
    p = 1 / (1 + np.exp(best.x[None, :] - best.x[:, None]))
    weight = (won + won.T) * p * (1 - p)
    share = 1 / (1 + np.exp(-best.x))
    hessian = np.diag(weight.sum(axis=1) + 2 * c * share * (1 - share)) - weight
    centre = np.eye(7) - 1 / 7
    expected = np.sqrt(np.diag(centre @ np.linalg.inv(hessian) @ centre))
    np.testing.assert_allclose(found["standard_error"], expected, rtol=1e-4)
    assert (found["upper"] - found["score"]).to_numpy() == pytest.approx(
        1.959964 * expected, rel=1e-4
    )


def test_crowd_is_at_a_stationary_point() -> None:
    log, _ = comparisons(1, n=6, rows=300, eta=[0.95, 0.8, 0.6])
    fit = crowd_bradley_terry(log, tol=1e-15, smoothing=0.5)
    eta = fit.annotators.sort("annotator")["reliability"].to_numpy()
    x = fit._strengths.x
    rows = log.to_numpy()
    loser = rows[:, 0] + rows[:, 1] - rows[:, 3]

    def objective(parameters: Floats) -> float:
        score, logit = parameters[:6], parameters[6:]
        reliable = 1 / (1 + np.exp(-logit))
        p = 1 / (1 + np.exp(score[loser] - score[rows[:, 3]]))
        e = reliable[rows[:, 2]]
        prior = (4 * np.log(reliable) + np.log(1 - reliable)).sum()
        prior += 0.5 * (score - 2 * np.logaddexp(0, score)).sum()
        return float(np.log(e * p + (1 - e) * (1 - p)).sum() + prior)

    found = np.concatenate([np.log(x), np.log(eta / (1 - eta))])
    assert fit.trace[-1] == pytest.approx(objective(found), abs=1e-8)
    np.testing.assert_allclose(optimize.approx_fprime(found, objective, 1e-6), 0, atol=1e-3)


def test_without_a_prior_it_is_crowd_kits() -> None:
    fit = bradley_terry(
        pl.read_parquet(CROWD_KIT / "comparisons-log.parquet"), smoothing=1e-9, tol=0, max_iter=5000
    )
    expected = pl.read_parquet(CROWD_KIT / "comparisons-bradley_terry.parquet").sort("example")
    strength = np.exp(by_example(fit)["score"].to_numpy())
    np.testing.assert_allclose(strength / strength.sum(), expected["score"], rtol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_an_earlier_fit_to_begin_with(name: str) -> None:
    log, _ = comparisons(2)
    fit = METHODS[name](log)
    again = METHODS[name](pl.concat([log, comparisons_of([(0, 99, 0, True)])]), init=fit)
    assert again.n_iter < fit.n_iter
    assert METHODS[name](log, init=fit).n_iter <= 3
    with pytest.raises(ValueError, match=r"init='x'; it must be an earlier fit of"):
        quiet(METHODS[name], log, init="x")


# --- recovery --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_scores_and_intervals(seed: int) -> None:
    log, score = comparisons(seed)
    found = by_example(bradley_terry(log))
    np.testing.assert_allclose(found["score"], score, atol=0.4)
    inside = (found["lower"] <= pl.Series(score)) & (found["upper"] >= pl.Series(score))
    assert inside.to_numpy().mean() >= 0.8
    assert 0.05 < found["standard_error"].to_numpy().mean() < 0.2


@pytest.mark.parametrize("seed", range(3))
def test_reliabilities_and_scores_among_spammers(seed: int) -> None:
    eta = [0.98, 0.95, 0.9, 0.5, 0.5, 0.5, 0.05]
    log, score = comparisons(seed, rows=9000, eta=eta)
    fit = crowd_bradley_terry(log)
    np.testing.assert_allclose(fit.annotators.sort("annotator")["reliability"], eta, atol=0.09)
    found = by_example(fit)["score"].to_numpy()
    plain = by_example(bradley_terry(log))["score"].to_numpy()
    assert np.abs(found - score).mean() < 0.5 * np.abs(plain - score).mean()
    assert fit.annotators["annotator"][0] == 6


def test_intervals_cover() -> None:
    covered: list[float] = []
    for seed in range(40):
        log, score = comparisons(seed, n=12, rows=600)
        found = by_example(bradley_terry(log, smoothing=0.05, level=0.9))
        truth = pl.Series(score)
        inside = (found["lower"] <= truth) & (found["upper"] >= truth)
        covered.append(float(inside.to_numpy().mean()))
    assert 0.86 < np.mean(covered) < 0.94


def test_ties_make_scores_surer() -> None:
    """35 wins each and 30 ties: as the sandwich of independent comparisons has it."""
    said = ["x"] * 35 + ["y"] * 35 + ["tie"] * 30
    log = pl.DataFrame({"left": "x", "right": "y", "annotator": "j", "winner": said})
    fit = bradley_terry(scan_comparisons(log, ties=["tie"]), smoothing=1e-9)
    np.testing.assert_allclose(by_example(fit)["standard_error"], np.sqrt(0.7) / 10, rtol=1e-6)


def judged(seed: int, taste: float, ties: float) -> pl.LazyFrame:
    """Comparisons of 8 examples by 20 annotators with tastes of their own, and ties."""
    rng = np.random.default_rng(seed)
    left = rng.integers(0, 8, 800)
    right = (left + rng.integers(1, 8, 800)) % 8
    annotator = rng.integers(0, 20, 800)
    score = np.linspace(-1, 1, 8) + taste * rng.normal(size=(20, 8))
    p = 1 / (1 + np.exp(score[annotator, right] - score[annotator, left]))
    tie = ties * 4 * p * (1 - p)
    u = rng.random(800)
    winner = np.where(u < p - tie / 2, left, np.where(u < p + tie / 2, -1, right))
    log = {"left": left, "right": right, "annotator": annotator, "winner": winner}
    return scan_comparisons(pl.DataFrame(log), ties=[-1])


@pytest.mark.parametrize(
    ("intervals", "taste", "ties"),
    [("comparisons", 0, 0.6), ("annotators", 0, 0.6), ("annotators", 1, 0), ("annotators", 1, 0.3)],
)
def test_standard_errors_are_the_spread(intervals: Any, taste: float, ties: float) -> None:
    logs = [judged(seed, taste, ties) for seed in range(40)]
    fits = [by_example(bradley_terry(log, smoothing=0.1, intervals=intervals)) for log in logs]
    spread = np.std([fit["score"] for fit in fits], axis=0).mean()
    error = np.mean([fit["standard_error"] for fit in fits])
    assert error == pytest.approx(spread, rel=0.15)


def test_intervals_among_annotators() -> None:
    fit = bradley_terry(judged(0, 1, 0), intervals="annotators", level=0.9)
    found = by_example(fit)
    reach = (found["upper"] - found["score"]) / found["standard_error"]
    np.testing.assert_allclose(reach, 1.729133, rtol=1e-6)  # Student's t with 19 degrees of freedom
    alone, _ = comparisons(0, rows=50, eta=[1.0])
    with pytest.raises(ValueError, match="intervals='annotators'; it takes two annotators"):
        bradley_terry(alone, intervals="annotators")
    with pytest.raises(ValueError, match="intervals='x'; it must be one of 'comparisons', 'annot"):
        bradley_terry(alone, intervals="x")  # type: ignore[arg-type]


@pytest.mark.parametrize("intervals", ["comparisons", "annotators"])
def test_estimated_standard_errors(intervals: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log, _ = comparisons(0, n=60, rows=6000)
    exact = by_example(bradley_terry(log, intervals=intervals))["standard_error"].to_numpy()
    monkeypatch.setattr(strengths, "DENSE", 10)
    monkeypatch.setattr(strengths, "PROBES", 400)
    estimated = by_example(bradley_terry(log, intervals=intervals))["standard_error"].to_numpy()
    np.testing.assert_allclose(estimated, exact, rtol=0.1 if intervals == "comparisons" else 0.15)


# --- invariants ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
@given(log=logs())
def test_no_iteration_lowers_the_objective(name: str, log: pl.DataFrame) -> None:
    trace = quiet(METHODS[name], log, tol=0, max_iter=60).trace.to_numpy()
    assert (np.diff(trace) >= -1e-10 * np.maximum(1, np.abs(trace[1:]))).all()


@pytest.mark.parametrize("name", METHODS)
@given(log=logs())
def test_sides_do_not_matter(name: str, log: pl.DataFrame) -> None:
    swapped = log.select("annotator", "winner", left="right", right="left")
    found, expected = (quiet(METHODS[name], each, max_iter=30) for each in (swapped, log))
    assert_frame_equal(by_example(found), by_example(expected), abs_tol=1e-9)


@given(logs())
def test_reversing_all_preferences_reverses_the_scores(log: pl.DataFrame) -> None:
    other = log.with_columns(winner=pl.col("left") + pl.col("right") - pl.col("winner"))
    fit, reverse = quiet(bradley_terry, log), quiet(bradley_terry, other)
    np.testing.assert_allclose(
        by_example(reverse)["score"], -by_example(fit)["score"].to_numpy(), atol=1e-4
    )


def test_annotators_who_are_all_the_same_change_nothing() -> None:
    log, _ = comparisons(5)
    fit = crowd_bradley_terry(log, pseudo_counts=(1e9, 1e-3))
    np.testing.assert_allclose(
        by_example(fit)["score"], by_example(bradley_terry(log))["score"], atol=1e-3
    )


# --- weights and shares ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
@given(log=logs(), data=st.data())
def test_whole_weights_are_repeated_rows(name: str, log: pl.DataFrame, data: st.DataObject) -> None:
    times = data.draw(st.lists(st.integers(0, 4), min_size=log.height, max_size=log.height))
    ties = data.draw(st.lists(st.booleans(), min_size=log.height, max_size=log.height))
    assume(sum(times))
    said = pl.when(pl.Series(ties)).then(-1).otherwise("winner")
    log = log.with_columns(times=pl.Series(times), winner=said)
    repeated = log.select(
        pl.exclude("times").repeat_by("times").explode(empty_as_null=True)
    ).drop_nulls()
    by_weight = quiet(METHODS[name], scan_comparisons(log, ties=[-1], weight="times"), max_iter=9)
    by_rows = quiet(METHODS[name], scan_comparisons(repeated, ties=[-1]), max_iter=9)
    numbers = pl.col("num_comparisons").cast(pl.Float64)
    for table in ("examples", "annotators"):
        expected = getattr(by_rows, table).lazy().with_columns(numbers).collect()
        assert_frame_equal(getattr(by_weight, table).lazy().collect(), expected, check_exact=True)


@pytest.mark.parametrize("name", METHODS)
@given(log=logs(), tenths=st.lists(st.integers(0, 10), min_size=40, max_size=40))
def test_a_share_of_a_win_is_a_weight_each_way(
    name: str, log: pl.DataFrame, tenths: list[int]
) -> None:
    log = log.with_columns(share=pl.Series(tenths[: log.height]) / 10)
    ways = [
        log.with_columns(winner="left", part="share"),
        log.with_columns(winner="right", part=1 - pl.col("share")),
    ]
    by_share = quiet(METHODS[name], scan_comparisons(log, outcome="share"), max_iter=9)
    by_weight = quiet(METHODS[name], scan_comparisons(pl.concat(ways), weight="part"), max_iter=9)
    columns = ["example", "score", "num_wins"]
    assert_frame_equal(by_example(by_share)[columns], by_example(by_weight)[columns])


def test_annotations_keep_what_they_count_for() -> None:
    log = pl.DataFrame({"left": ["x"], "right": ["y"], "annotator": ["j"], "said": ["A>>B"]})
    fit = bradley_terry(scan_comparisons(log, winner="said", strength=3))
    assert fit.annotations.collect().drop("label_quality_score").rows() == [
        ("x", "y", "j", "x", False, 3.0)
    ]
    assert fit.annotators["num_comparisons"].to_list() == [3.0]


# --- ties, groups, edges ---------------------------------------------------------------------------


def test_a_tie_is_half_a_win_each_way() -> None:
    raw = pl.DataFrame(
        {
            "left": ["a", "a", "b"],
            "right": ["b", "b", "c"],
            "annotator": [1, 2, 1],
            "winner": ["tie", "a", "c"],
        }
    )
    comparisons = count_comparisons(scan_comparisons(raw, ties=["tie"]))
    names = comparisons.examples.to_list()
    counted = sorted(
        (names[w], names[v], int(j), float(c))
        for w, v, j, c in zip(
            comparisons.winner,
            comparisons.loser,
            comparisons.annotator,
            comparisons.count,
            strict=True,
        )
    )
    assert counted == [
        ("a", "b", 0, 0.5),
        ("a", "b", 1, 1.0),
        ("b", "a", 0, 0.5),
        ("c", "b", 0, 1.0),
    ]
    found = by_example(bradley_terry(scan_comparisons(raw, ties=["tie"])))
    assert found["num_wins"].to_list() == [1.5, 0.5, 1.0]
    assert found["num_comparisons"].to_list() == [2, 3, 1]


def test_only_ties() -> None:
    raw = pl.DataFrame({"left": [1, 2], "right": [2, 3], "annotator": [1, 1], "winner": [0, 0]})
    found = bradley_terry(scan_comparisons(raw, ties=[0])).examples.collect()
    assert found["rank"].to_list() == [1, 1, 1]
    np.testing.assert_allclose(found["score"], 0, atol=1e-12)


def test_groups_are_reported() -> None:
    log = comparisons_of([(0, 1, 0, True), (1, 2, 0, True), (7, 8, 0, False), (7, 9, 0, True)])
    with pytest.warns(AnnotationWarning, match=r"no comparison connects 2 groups of examples"):
        fit = bradley_terry(log)
    found = by_example(fit)
    assert found["component"].to_list() == [0, 0, 0, 1, 1, 1]
    assert found["score"].is_finite().all()


@given(logs())
def test_groups_are_those_of_a_search(log: pl.DataFrame) -> None:
    group = {e: {e} for row in log.iter_rows() for e in row[:2]}
    for left, right, *_ in log.iter_rows():
        joined = group[left] | group[right]
        for e in joined:
            group[e] = joined
    found = by_example(quiet(bradley_terry, log, max_iter=2))
    for e, component in found.select("example", "component").iter_rows():
        same = set(found.filter(pl.col("component") == component)["example"])
        assert same == group[e]


def test_one_comparison() -> None:
    found = by_example(bradley_terry(comparisons_of([(0, 1, 0, True)])))
    assert found["score"][0] > 0 > found["score"][1]
    assert found["rank"].to_list() == [1, 2]


def test_not_converged() -> None:
    log, _ = comparisons(0)
    with pytest.warns(AnnotationWarning, match="not converged after 3 iterations"):
        fit = bradley_terry(log, max_iter=3)
    assert not fit.converged
    assert fit.n_iter == 3


# --- the door --------------------------------------------------------------------------------------


def test_names_sides_and_no_annotator() -> None:
    raw = pl.DataFrame({"a": ["x", "y"], "b": ["y", "x"], "said": ["first", "first"]})
    log = scan_comparisons(
        raw, left="a", right="b", annotator=None, winner="said", sides=("first", "second")
    )
    assert log.collect()["winner"].to_list() == ["x", "y"]
    assert bradley_terry(log).annotators["annotator"].to_list() == ["everybody"]


def test_rows_without_a_winner_are_dropped() -> None:
    raw = pl.DataFrame({"left": [1, 1], "right": [2, 2], "annotator": [1, 2], "winner": [1, None]})
    assert scan_comparisons(raw).collect().height == 1
    again = scan_comparisons(scan_comparisons(raw, ties=[2]))
    assert again.collect()["tie"].to_list() == [False]


def test_wrong_logs() -> None:
    good = pl.DataFrame({"left": [1], "right": [2], "annotator": [1], "winner": [1]})
    with pytest.raises(AnnotationError, match=r"no column 'winner'.*pc\.scan_comparisons"):
        bradley_terry(good.drop("winner"))
    with pytest.raises(AnnotationError, match=r"'left' and 'right'.* Int64 and String"):
        bradley_terry(good.with_columns(pl.col("right").cast(pl.String)))
    with pytest.raises(
        AnnotationError, match=r"neither .* in 1 row: 3 \(1 row\)\.\n  left=1, right=2"
    ):
        bradley_terry(good.with_columns(pl.col("winner") * 3))
    with pytest.raises(AnnotationError, match=r"1 row compare an example with itself"):
        bradley_terry(good.with_columns(right="left"))
    with pytest.raises(
        AnnotationError, match=r"1 row with a null:\n  left=1, right=2, annotator=None"
    ):
        bradley_terry(good.with_columns(annotator=pl.lit(None, pl.Int64)))
    with pytest.raises(AnnotationError, match="the log of comparisons is empty"):
        bradley_terry(good.clear())
    unsaid = good.with_columns(pl.lit("left").alias("winner"))
    with pytest.raises(AnnotationError, match=r"(?s)column 'winner'.*sides=\(left, right\)"):
        bradley_terry(unsaid)
    with pytest.raises(AnnotationError, match=r"(?s)column 'winner'.*sides=\(left, right\)"):
        bradley_terry(scan_comparisons(unsaid, sides=("Left", "Right")))


def test_wrong_options() -> None:
    log, _ = comparisons(0, rows=200)
    with pytest.raises(ValueError, match=r"smoothing=0; it must be a number above 0"):
        bradley_terry(log, smoothing=0)
    with pytest.raises(ValueError, match=r"level=1; it must be below 1"):
        bradley_terry(log, level=1)
    with pytest.raises(ValueError, match=r"pseudo_counts"):
        crowd_bradley_terry(log, pseudo_counts=(1, 0))


# --- the result ------------------------------------------------------------------------------------


def test_every_comparison_has_the_probability_of_what_was_said() -> None:
    log, _ = comparisons(3, n=5)
    log = log.with_row_index("row").with_columns(
        tie=pl.col("row") % 50 == 0, label_quality_score=pl.lit("of before")
    )
    fit = crowd_bradley_terry(log)
    rows = fit.annotations.collect()
    columns = ["left", "right", "annotator", "winner", "tie", "label_quality_score", "row"]
    assert rows.columns == columns
    assert rows["row"].equals(log["row"])
    p = fit.predict(rows.drop("label_quality_score")).collect()["probability"].to_numpy()
    said = np.where(rows["winner"].eq_missing(rows["left"]), p, 1 - p)
    expected = np.where(rows["tie"], 1 - np.abs(2 * p - 1), said)
    np.testing.assert_allclose(rows["label_quality_score"], expected)
    assert fit.annotators.columns == [
        "annotator",
        "annotator_quality",
        "num_comparisons",
        "reliability",
    ]
    assert fit.posterior.collect_schema().names() == ["example", "score", "probability"]
    middle = fit.posterior.filter(pl.col("probability") == 0.5).drop("probability").collect()
    np.testing.assert_allclose(middle["score"], fit.examples.collect()["score"], atol=1e-12)


def test_predict_and_report() -> None:
    log, _ = comparisons(3, n=5)
    fit = bradley_terry(log)
    score = dict(by_example(fit).select("example", "score").iter_rows())
    asked = pl.DataFrame({"left": [0, 1, 99], "right": [1, 0, 2]})
    probability = fit.predict(asked).collect()["probability"].to_list()
    assert probability[0] == pytest.approx(1 / (1 + np.exp(score[1] - score[0])))
    assert probability[0] + probability[1] == pytest.approx(1)
    assert probability[2] is None
    header = repr(fit).splitlines()[0]
    assert header.startswith("Bradley-Terry: 5 examples, 8 annotators, 6,000 comparisons; ")
    assert fit.examples.collect()["rank"].is_sorted()
    agreement = fit.annotators["annotator_quality"]
    assert agreement.is_sorted()
    assert agreement.is_between(0.5, 0.9).all()


# --- intervals of ranks ----------------------------------------------------------------------------


def test_a_draw_is_fitted_as_the_log_is() -> None:
    """Newton's steps of the counts themselves, from elsewhere, end at the scores of the fit."""
    log, _ = comparisons(3, n=8, rows=200)
    fit = bradley_terry(log, tol=1e-15)
    counts = count_comparisons(scan_comparisons(log)).of_everybody
    C = np.zeros((8, 8))
    C[counts.winner, counts.loser] = counts.count
    away = strengths.Strengths("", np.ones(8), fit._strengths.smoothing, None)
    found = refitted(np.stack([C, C]), away)
    np.testing.assert_allclose(found, np.log(fit._strengths.x)[None].repeat(2, 0), atol=1e-5)


@pytest.mark.parametrize("intervals", ["comparisons", "annotators"])
def test_intervals_of_ranks_hold_the_true_ones(intervals: Any) -> None:
    held, widths = [], []
    for seed in range(12):
        log, score = comparisons(seed, n=10, rows=1000, eta=[1.0] * 20)
        options: dict[str, Any] = {"n_boot": 200, "intervals": intervals, "seed": seed}
        found = bradley_terry(log, **options).examples.collect().sort("example")
        assert found["rank"].is_between(found["rank_low"], found["rank_high"]).all()
        low, high = found["rank_low"].to_numpy(), found["rank_high"].to_numpy()
        truth = np.argsort(np.argsort(-score)) + 1
        held.append((low <= truth) & (truth <= high))
        widths.append(high - low)
    assert np.mean(held) > 0.9
    assert 0 < np.mean(widths) < 4


def test_draws_of_ranks_by_seed_and_where_there_are_none() -> None:
    log, _ = comparisons(1, n=6, rows=80)
    one, again = (bradley_terry(log, n_boot=40, seed=2).examples.collect() for _ in range(2))
    assert_frame_equal(one, again)
    assert "rank_low" not in bradley_terry(log).examples.collect_schema()
    with pytest.raises(ValueError, match="drawn for bradley_terry alone"):
        crowd_bradley_terry(log, n_boot=40)
    chain = pl.DataFrame({"left": range(501), "annotator": 0}).with_columns(
        right=pl.col("left") + 1, winner="left"
    )
    with pytest.raises(ValueError, match="of more than 500 examples are not drawn anew"):
        bradley_terry(chain, n_boot=2)
