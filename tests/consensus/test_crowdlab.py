"""CROWDLAB on published data, on corner cases, and what its result offers."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import polars_crowd as pc
from tests import GOLDEN
from tests.cases import Case, accuracy, assert_same, bundled, dense, frame_of

GOLDEN = GOLDEN / "cleanlab-2.9.0"


# --- published numbers -----------------------------------------------------------------------------


def test_tutorial_gives_the_published_accuracies() -> None:
    data = pc.datasets.tutorial()
    majority = pc.majority_vote(data.log)
    fit = pc.crowdlab(data.log, data.pred_probs)
    assert round(accuracy(majority, data.truth), 4) == 0.8581
    assert round(accuracy(fit.examples, data.truth), 4) == 0.9797


def test_tutorial_gives_the_published_tables() -> None:
    data = pc.datasets.tutorial()
    fit = pc.crowdlab(data.log, data.pred_probs)
    first = fit.examples.head(5).collect()
    assert first["consensus_quality_score"].round(6).to_list() == [
        0.736118,
        0.757751,
        0.782232,
        0.715565,
        0.824256,
    ]
    worst = fit.annotators.head(2)
    assert worst["annotator"].to_list() == ["A0050", "A0047"]
    assert worst["annotator_quality"].round(6).to_list() == [0.244981, 0.295979]


@pytest.mark.parametrize("name", ["digits_sim", "labelme"])
@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
def test_golden_answers_of_cleanlab(name: str) -> None:
    fit = pc.crowdlab(*bundled(name)[:2])
    golden = {
        table: pl.read_parquet(GOLDEN / f"{name}-{table}.parquet")
        for table in ("examples", "annotations", "annotators")
    }
    assert_same(
        fit.examples.collect().sort("example"),
        golden["examples"].drop("majority_vote").sort("example"),
    )
    by_row = ["example", "annotator"]
    assert_same(fit.annotations.collect().sort(by_row), golden["annotations"].sort(by_row))
    assert fit.annotators.columns[:3] == ["annotator", "annotator_quality", "num_examples_labeled"]
    annotators = golden["annotators"].drop("model_weight")
    assert_same(fit.annotators.sort("annotator").select(annotators.columns), annotators)
    assert fit.model_weight == pytest.approx(golden["annotators"]["model_weight"][0], abs=1e-9)
    majority = pc.majority_vote(*bundled(name)[:2]).collect().sort("example")
    assert majority["consensus_label"].equals(golden["examples"].sort("example")["majority_vote"])


def test_agreement_quality_is_the_share_of_votes() -> None:
    log, probs, _ = bundled("digits_sim")
    fit = pc.crowdlab(log, probs, consensus_method="majority_vote", quality_method="agreement")
    examples = fit.examples.collect()
    assert examples["consensus_quality_score"].equals(examples["annotator_agreement"])
    assert fit.model_weight is None
    assert fit.annotators["annotator_weight"].null_count() == fit.annotators.height
    assert_same(examples.drop("consensus_quality_score"), pc.majority_vote(log, probs).collect())
    with pytest.raises(ValueError, match="calibrate=True; it has no effect"):
        pc.crowdlab(log, probs, quality_method="agreement", calibrate=True)


# --- corner cases ----------------------------------------------------------------------------------


def test_consensus_likelihood_below_chance_lets_an_unchosen_class_win() -> None:
    """With CL < NCL a vote speaks against its class: here every pair of annotators disagrees."""
    labels = np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 2, 1], [1, 0, 2], [2, 1, 0]])
    p = np.full((6, 4), 0.2)
    p[:, 3] = 0.4
    case = Case(labels, [p])
    with pytest.warns(pc.AnnotationWarning):
        fit = pc.crowdlab(case.log, case.pred_probs[0])
    assert fit.examples.collect()["consensus_label"].to_list() == [3] * 6
    q = dense(fit.posterior)
    assert (q.argmax(axis=1) == 3).all()


def test_exact_posterior_ties_go_to_the_majority_vote() -> None:
    """Two annotators of equal weight disagree and the model has no preference."""
    labels = np.array([[0, 1, -1, -1], [0, 0, 0, 0], [1, 1, 1, 1], [1, 1, -1, -1]])
    p = np.full((4, 2), 0.5)
    case = Case(labels, [p])
    fit = pc.crowdlab(case.log, case.pred_probs[0])
    majority = pc.majority_vote(case.log, case.pred_probs[0]).collect()
    assert fit.examples.collect()["consensus_label"][0] == majority["consensus_label"][0] == 0


def test_annotators_without_overlap_get_the_mean_weight() -> None:
    labels = np.array([[0, 0, 1, -1], [1, 1, 1, -1], [0, 1, 0, -1], [-1, -1, -1, 1]])
    p = frame_of(np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.5, 0.5]]))
    with pytest.warns(pc.AnnotationWarning, match=r"1 annotator share no example .*: 3\."):
        fit = pc.crowdlab(Case(labels, [np.ones((4, 2))]).log, p)
    weight = fit.annotators.sort("annotator")["annotator_weight"]
    others = weight[:3].to_numpy()
    assert weight[3] == pytest.approx(others.mean(), abs=1e-12)


def test_lost_classes_are_named() -> None:
    labels = np.array([[0, 0, 2], [1, 1, -1], [0, 0, 0]])
    p = frame_of(np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1]]))
    with pytest.warns(pc.AnnotationWarning, match=r"1 class .* consensus of no example: 2\."):
        pc.crowdlab(Case(labels, [np.ones((3, 3))]).log, p)


def test_perfect_agreement() -> None:
    labels = np.array([[0, 0], [1, 1], [2, 2]])
    p = np.eye(3) * 0.7 + 0.1
    fit = pc.crowdlab(Case(labels, [p]).log, frame_of(p))
    examples = fit.examples.collect()
    assert examples["consensus_label"].to_list() == [0, 1, 2]
    assert examples["annotator_agreement"].to_list() == [1.0, 1.0, 1.0]
    assert fit.annotators["agreement_with_consensus"].to_list() == [1.0, 1.0]


def test_one_class_everywhere() -> None:
    """E0 is 0 and is clipped: weights stay finite."""
    labels = np.zeros((4, 3), dtype=int)
    p = np.tile([0.6, 0.4], (4, 1))
    fit = pc.crowdlab(Case(labels, [p]).log, frame_of(p))
    assert fit.examples.collect()["consensus_quality_score"].is_between(0, 1).all()
    assert fit.annotators["worst_class"].to_list() == [0, 0, 0]


@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
def test_every_example_tied() -> None:
    labels = np.array([[0, 1], [1, 0], [0, 1]])
    p = np.full((3, 2), 0.5)
    fit = pc.crowdlab(Case(labels, [p]).log, frame_of(p))
    assert fit.examples.collect()["consensus_label"].to_list() == [0, 0, 0]


def test_classes_nobody_chose_are_classes() -> None:
    labels = np.array([[0, 0, 1], [1, 1, 1]])
    p = np.array([[0.5, 0.2, 0.2, 0.1], [0.2, 0.6, 0.1, 0.1]])
    fit = pc.crowdlab(Case(labels, [p]).log, frame_of(p))
    assert fit.posterior.collect()["label"].to_list() == [0, 1, 2, 3] * 2


# --- options and results ---------------------------------------------------------------------------


def test_a_list_of_methods_adds_columns() -> None:
    data = pc.datasets.tutorial()
    both = pc.crowdlab(
        data.log, data.pred_probs, consensus_method=["majority_vote", "best_quality"]
    ).examples.collect()
    assert both.columns == [
        "example",
        "consensus_label",
        "consensus_quality_score",
        "annotator_agreement",
        "num_annotations",
        "consensus_label_best_quality",
        "consensus_quality_score_best_quality",
        "annotator_agreement_best_quality",
    ]
    best = pc.crowdlab(data.log, data.pred_probs).examples.collect()
    assert both["consensus_label_best_quality"].equals(best["consensus_label"])


def test_an_ensemble_of_one_is_the_model_itself() -> None:
    data = pc.datasets.tutorial()
    one = pc.crowdlab(data.log, data.pred_probs)
    listed = pc.crowdlab(data.log, [data.pred_probs])
    assert listed.model_weight == [one.model_weight]
    assert_same(one.examples.collect(), listed.examples.collect())
    assert_same(one.annotators, listed.annotators)


def test_an_ensemble_leaves_the_callers_probabilities_alone() -> None:
    data = pc.datasets.tutorial()
    before = data.pred_probs.clone()
    fit = pc.crowdlab(data.log, [data.pred_probs, data.pred_probs], calibrate=True)
    assert_frame_equal(before, data.pred_probs)
    assert isinstance(fit.temperature, list)
    assert fit.temperature[0] == fit.temperature[1]


def test_posterior_is_the_quality_of_every_class() -> None:
    data = pc.datasets.tutorial()
    fit = pc.crowdlab(data.log, data.pred_probs)
    posterior = fit.posterior.collect()
    assert posterior.columns == ["example", "label", "probability"]
    assert posterior.select("example", "label").is_unique().all()
    assert np.abs(dense(fit.posterior).sum(axis=1) - 1).max() < 1e-12
    examples = fit.examples.collect().join(
        posterior, left_on=["example", "consensus_label"], right_on=["example", "label"]
    )
    assert examples.height == 296
    difference = examples["probability"] - examples["consensus_quality_score"]
    assert difference.abs().max() < 1e-12  # type: ignore[operator]


def test_other_columns_travel_with_their_annotation() -> None:
    data = pc.datasets.tutorial()
    seconds = pl.Series("seconds", range(data.log.height))
    log = data.log.with_columns(seconds, note=pl.lit("x"), vote=pl.col("label") * 10)
    fit = pc.crowdlab(log, data.pred_probs)
    found = fit.annotations.collect()
    assert found.columns == [
        *pc.crowdlab(data.log, data.pred_probs).annotations.collect_schema().names(),
        "seconds",
        "note",
        "vote",
    ]
    by_row = ["example", "annotator"]
    assert found.select(log.columns).sort(by_row).equals(log.sort(by_row))


def test_annotations_keep_their_types() -> None:
    log = pl.DataFrame(
        {
            "example": pl.Series([1, 1, 2, 2], dtype=pl.Int16),
            "annotator": pl.Series(["a", "b", "a", "b"], dtype=pl.Categorical),
            "label": pl.Series(["y", "n", "n", "n"], dtype=pl.Enum(["y", "n"])),
        }
    )
    probs = pl.DataFrame({"example": [1, 2], "n": [0.4, 0.9], "y": [0.6, 0.1]})
    fit = pc.crowdlab(log, probs)
    schema = fit.annotations.collect_schema()
    assert {name: schema[name] for name in log.columns} == dict(log.schema)
    assert fit.examples.collect_schema()["consensus_label"] == log.schema["label"]
    posterior = fit.posterior.collect()
    assert posterior.schema["label"] == log.schema["label"]
    assert posterior["label"].to_list() == ["y", "n"] * 2


def test_tables_are_sorted() -> None:
    data = pc.datasets.tutorial()
    shuffled = data.log.sample(fraction=1, shuffle=True, seed=3)
    fit = pc.crowdlab(shuffled, data.pred_probs)
    assert fit.examples.collect()["example"].is_sorted()
    annotations = fit.annotations.collect()
    assert annotations.equals(annotations.sort("example", "label", "annotator"))
    assert fit.annotators["annotator_quality"].is_sorted()


def test_the_repr_is_a_report() -> None:
    data = pc.datasets.tutorial()
    with pl.Config(tbl_width_chars=160):
        text = repr(pc.crowdlab(data.log, data.pred_probs, calibrate=True))
    header = text.splitlines()[0]
    for part in ("296 examples", "50 annotators", "1,456 annotations", "3 classes", "temperature"):
        assert part in header
    for table in ("consensus_label", "label_quality_score", "annotator_quality"):
        assert table in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"consensus_method": "median"},
            "consensus_method='median'; it must be one of 'best_quality', 'majority_vote'",
        ),
        ({"consensus_method": []}, "give one method, or several different ones"),
        ({"consensus_method": ["best_quality", "best_quality"]}, "several different ones"),
        ({"quality_method": "x"}, "quality_method='x'; it must be one of 'crowdlab', 'agreement'"),
        ({"label_quality_method": "x"}, "label_quality_method='x'; it must be one of"),
        (
            {"label_quality_method": "confidence_weighted_entropy", "adjust_pred_probs": True},
            "does not go with",
        ),
        ({"tolerance": 0.1}, "tolerance=0.1; it says which results of an earlier run may stay"),
        (
            {"duplicates": "any"},
            "duplicates='any'; it must be one of 'error', 'first', 'last', 'all', 'mean'",
        ),
    ],
)
def test_unknown_options(options: dict[str, object], message: str) -> None:
    data = pc.datasets.tutorial()
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(".", r"\.")):
        pc.crowdlab(data.log, data.pred_probs, **options)  # type: ignore[arg-type]


def test_calibration_finds_the_temperature_put_in() -> None:
    """The labels are the truth, so that the model is flattened by as much as it was sharpened."""
    simulation = pc.simulate.simulate_annotations(
        n_examples=3000,
        n_annotators=40,
        n_classes=3,
        accuracy=1.0,
        difficulty=0.0,
        model_temperature=0.5,
        seed=5,
    )
    fit = pc.crowdlab(simulation.log, simulation.pred_probs, calibrate=True)
    assert fit.temperature == pytest.approx(2.0, abs=0.5)


def test_crowdlab_beats_majority_vote_on_simulated_annotators() -> None:
    simulation = pc.simulate.simulate_annotations(
        n_examples=2000,
        n_annotators=60,
        n_classes=4,
        annotations_per_example=3,
        accuracy=(0.4, 0.9),
        spammers=5,
        adversaries=3,
        model_accuracy=0.8,
        seed=7,
    )
    truth = simulation.truth
    fit = pc.crowdlab(simulation.log, simulation.pred_probs)
    gain = accuracy(fit.examples, truth) - accuracy(pc.majority_vote(simulation.log), truth)
    assert gain > 0.05
    joined = fit.annotators.join(simulation.annotators, on="annotator")
    correlation = joined.select(pl.corr("annotator_quality", "accuracy", method="spearman")).item()
    assert correlation > 0.8
