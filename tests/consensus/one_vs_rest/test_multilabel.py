"""CROWDLAB and ActiveLab of sets of classes, against the loop over the classes' binary problems."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from polars.testing import assert_frame_equal

import polars_crowd as pc
from polars_crowd.active.one_vs_rest import multilabel_activelab
from polars_crowd.active.scores import activelab
from tests.cases import CROWDLAB_OPTIONS, NEAR, dense, jitter

pytestmark = pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")


@dataclass(frozen=True)
class SetCase:
    """Who saw what (N, M), what they chose (N, M, K), and models (P, N + U, K) that know U examples more."""

    seen: NDArray[np.bool_]
    chose: NDArray[np.bool_]
    models: NDArray[np.float64]

    @property
    def names(self) -> list[str]:
        return [f"class {k}" for k in range(self.chose.shape[2])]

    @property
    def log(self) -> pl.DataFrame:
        e, a = np.nonzero(self.seen)
        sets = [[self.names[k] for k in np.flatnonzero(row)] for row in self.chose[e, a]]
        label = pl.Series(sets, dtype=pl.List(pl.String))
        return pl.DataFrame({"example": e, "annotator": a, "label": label})

    @property
    def pred_probs(self) -> Any:
        n = np.arange(self.models.shape[1])
        frames = [
            pl.DataFrame({"example": n, **dict(zip(self.names, p.T, strict=True))})
            for p in self.models
        ]
        return frames if len(frames) > 1 else frames[0]

    def binary(self) -> Iterator[tuple[str, pl.DataFrame, Any]]:
        """Each class as a problem of its own: its name, log, and pred_probs."""
        e, a = np.nonzero(self.seen)
        n = np.arange(self.models.shape[1])
        for k, name in enumerate(self.names):
            log = pl.DataFrame(
                {"example": e, "annotator": a, "label": self.chose[e, a, k].astype(int)}
            )
            probs = [
                pl.DataFrame({"example": n, "0": 1 - p[:, k], "1": p[:, k]}) for p in self.models
            ]
            yield name, log, probs if len(probs) > 1 else probs[0]


@st.composite
def set_cases(draw: st.DrawFn, *, max_models: int = 1, ties: bool = False) -> SetCase:
    n, m, k = draw(st.integers(2, 9)), draw(st.integers(2, 5)), draw(st.integers(2, 4))
    rest, P = draw(st.integers(0, 4)), draw(st.integers(1, max_models))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    seen = rng.random((n, m)) < draw(st.sampled_from([0.3, 0.6, 1.0]))
    seen[0, :2] = True
    seen[np.arange(n), rng.integers(0, m, n)] = True
    seen = seen[:, seen.any(axis=0)]
    truth = rng.random((n, 1, k)) < 0.4
    right = rng.random((*seen.shape, k)) < draw(st.sampled_from([0.5, 0.8]))
    chose = (truth == right) & seen[:, :, None]
    models = np.clip(jitter((P, n + rest, k)), 0.02, 0.98)
    if ties:
        models = np.where(models < 0.6, 0.5, models)
    return SetCase(seen, chose, models)


def fitted(case: SetCase, **given_: Any) -> pc.MultiLabelCrowdlab:
    return pc.multilabel_crowdlab(case.log, case.pred_probs, **given_)


def assert_near(left: pl.Series, right: pl.Series) -> None:
    assert left.is_null().equals(right.is_null())
    difference = (left - right).abs().max()
    assert difference is None or difference <= NEAR  # type: ignore[operator]


def assert_is_the_loop(fit: pc.MultiLabelCrowdlab, case: SetCase, given_: dict[str, Any]) -> None:
    examples = fit.example_classes.collect().sort("example")
    annotations = fit.annotation_classes.collect().sort("example", "annotator")
    annotators = fit.annotator_classes.sort("annotator")
    for name, log, probs in case.binary():
        binary = pc.crowdlab(log, probs, **given_)
        of_class = pl.col("class") == name
        expected, found = binary.examples.collect(), examples.filter(of_class)
        assert expected["consensus_label"].to_list() == found["consensus"].cast(int).to_list()
        for column in ("consensus_quality_score", "annotator_agreement"):
            assert_near(expected[column], found[column])
        assert found["num_annotations"].equals(expected["num_annotations"])
        expected = binary.annotations.sort("example", "annotator").collect()
        found = annotations.filter(of_class)
        assert found["chosen"].cast(int).to_list() == expected["label"].to_list()
        assert_near(expected["label_quality_score"], found["label_quality_score"])
        expected, found = binary.annotators.sort("annotator"), annotators.filter(of_class)
        for column in ("annotator_quality", "agreement_with_consensus", "annotator_weight"):
            assert_near(expected[column], found[column])


@given(set_cases(max_models=3), CROWDLAB_OPTIONS)
def test_crowdlab_is_the_loop_over_binary_problems(case: SetCase, given_: dict[str, Any]) -> None:
    assert_is_the_loop(fitted(case, **given_), case, given_)


@given(set_cases(max_models=2, ties=True), CROWDLAB_OPTIONS)
def test_ties_are_broken_as_in_the_loop(case: SetCase, given_: dict[str, Any]) -> None:
    """Uncalibrated: where a model always says 1/2, any temperature is as good, up to rounding."""
    given_ = {**given_, "calibrate": False}
    assert_is_the_loop(fitted(case, **given_), case, given_)


def loop_of_activelab(case: SetCase, log: Any) -> NDArray[np.float64]:
    """The mean of the classes' scores."""
    scores = [
        activelab(binary if log is not None else None, probs).collect()["active_learning_score"]
        for _, binary, probs in case.binary()
    ]
    mean: NDArray[np.float64] = np.mean([s.to_numpy() for s in scores], axis=0)
    return mean


@given(st.data())
def test_activelab_is_the_mean_of_binary_problems(data: st.DataObject) -> None:
    case = data.draw(set_cases(max_models=3))
    kind = data.draw(st.sampled_from(["several", "once", "nothing"]))
    if kind == "once":
        only = np.zeros_like(case.seen)
        only[np.arange(len(only)), case.seen.argmax(axis=1)] = True
        case = SetCase(only, case.chose & only[:, :, None], case.models)
    log = None if kind == "nothing" else case.log
    found = multilabel_activelab(log, case.pred_probs).collect()
    np.testing.assert_allclose(
        found["active_learning_score"], loop_of_activelab(case, log), rtol=0, atol=NEAR
    )


def test_a_tied_vote_of_the_models_goes_to_the_rarer_answer_then_to_no() -> None:
    """The models differ on e0, where their mean is 1/2; the vote of e1 is yes of the first class."""
    first = pl.DataFrame({"example": [0, 1], "x": [0.75, 0.75], "y": [0.75, 0.1]})
    second = pl.DataFrame({"example": [0, 1], "x": [0.25, 0.75], "y": [0.25, 0.9]})
    found = multilabel_activelab(None, [first, second]).collect()["active_learning_score"]
    tied, agreed = (0.75 + 0.25 + 0.5) / 3, (0.75 + 0.75 + 0.5) / 3
    assert found.to_list() == pytest.approx([tied, (agreed + (0.1 + 0.9 + 0.5) / 3) / 2])


@given(set_cases(max_models=2))
def test_averages_and_sets(case: SetCase) -> None:
    fit = fitted(case)
    long, examples = fit.example_classes.collect(), fit.examples.collect()
    chosen = long.filter("consensus").group_by("example").agg(pl.col("class").sort())
    sets = dict(chosen.iter_rows())
    assert examples["consensus_label"].list.sort().to_list() == [
        sets.get(e, []) for e in examples["example"]
    ]
    means = long.group_by("example", maintain_order=True).agg(
        pl.col("consensus_quality_score").mean()
    )
    assert_near(means["consensus_quality_score"], examples["consensus_quality_score"])
    annotations = fit.annotations.collect().sort("example", "annotator")
    assert annotations["label"].list.sort().equals(case.log.sort("example", "annotator")["label"])
    means = (
        fit.annotation_classes.group_by("example", "annotator")
        .agg(pl.col("label_quality_score").mean())
        .sort("example", "annotator")
        .collect()
    )
    assert_near(means["label_quality_score"], annotations["label_quality_score"])
    posterior = fit.posterior.collect()
    assert posterior.columns == ["example", "class", "probability"]
    assert posterior.drop("probability").equals(long.select("example", "class"))
    q = dense(fit.posterior)
    assert ((q >= 0) & (q <= 1)).all()
    assert (fit.annotators["num_examples_labeled"].sum()) == case.log.height


# --- stores ----------------------------------------------------------------------------------------


def assert_same_tables(found: pc.MultiLabelCrowdlab, expected: pc.MultiLabelCrowdlab) -> None:
    for name in ("examples", "example_classes", "annotations", "annotation_classes"):
        order = [
            c
            for c in ("example", "annotator", "class")
            if c in getattr(expected, name).collect_schema()
        ]
        assert_frame_equal(
            getattr(found, name).sort(order).collect(),
            getattr(expected, name).sort(order).collect(),
            abs_tol=NEAR,
            rel_tol=0,
        )
    assert_frame_equal(
        found.annotator_classes.sort("annotator", "class"),
        expected.annotator_classes.sort("annotator", "class"),
        abs_tol=NEAR,
        rel_tol=0,
    )
    assert_frame_equal(
        found.annotators.sort("annotator"),
        expected.annotators.sort("annotator"),
        abs_tol=NEAR,
        rel_tol=0,
    )
    assert_frame_equal(found.classes, expected.classes, abs_tol=NEAR, rel_tol=0)


def test_a_store_of_label_sets_with_workers_in_other_processes(
    tmp_path: Path, spawned: Executor
) -> None:
    store = pc.AnnotationStore.create(
        tmp_path / "store", LOG.drop("seconds"), PROBS, partitions=3, multilabel=True
    )
    expected = pc.multilabel_crowdlab(LOG.drop("seconds"), PROBS, calibrate=True)
    ranked = multilabel_activelab(LOG, PROBS).collect()
    found = pc.multilabel_crowdlab(store, calibrate=True, into=tmp_path / "out", executor=spawned)
    scores = multilabel_activelab(store, executor=spawned).sort("example").collect()
    assert_same_tables(found, expected)
    assert_frame_equal(scores, ranked, abs_tol=NEAR, rel_tol=0)


def test_appending_label_sets_to_a_store(tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(
        tmp_path / "store", LOG[:3], PROBS, partitions=3, multilabel=True
    )
    assert store.classes is not None
    assert store.classes.to_list() == ["x", "y", "z"]
    store.append(LOG[3:])
    stored = store.scan_annotations().sort("example", "annotator").collect()
    assert_frame_equal(stored.with_columns(pl.col("label").list.sort()), LOG)
    expected = pc.multilabel_crowdlab(LOG, PROBS)
    again = pc.multilabel_crowdlab(pc.AnnotationStore.open(store.path))
    assert_same_tables(again, expected)
    with pytest.raises(pc.AnnotationError, match=r"classes that are not among .*: 'w'\."):
        store.append(LOG[:1].with_columns(label=pl.Series([["w"]])))


def test_stores_of_sets_and_of_labels_are_not_taken_for_each_other(tmp_path: Path) -> None:
    sets = pc.AnnotationStore.create(tmp_path / "sets", LOG, PROBS, multilabel=True)
    with pytest.raises(
        pc.AnnotationError, match=r"the store's labels are sets of classes, which this"
    ):
        pc.crowdlab(sets)
    labels = pc.AnnotationStore.create(
        tmp_path / "labels", LOG.with_columns(pl.lit("x").alias("label"))
    )
    with pytest.raises(pc.AnnotationError, match="the store holds single labels"):
        pc.multilabel_crowdlab(labels)
    with pytest.raises(pc.AnnotationError, match="a store of sets is made with multilabel=True"):
        pc.AnnotationStore.create(tmp_path / "none", LOG, PROBS)
    with pytest.raises(pc.AnnotationError, match="sets of classes needs pred_probs"):
        pc.AnnotationStore.create(tmp_path / "none", LOG, multilabel=True)


# --- forms of the log ------------------------------------------------------------------------------

LOG = pl.DataFrame(
    {
        "example": ["e1", "e1", "e2", "e2", "e3"],
        "annotator": ["a", "b", "a", "b", "a"],
        "label": [["x", "y"], ["x"], [], ["z"], ["y"]],
        "seconds": [1, 2, 3, 4, 5],
    }
)
PROBS = pl.DataFrame(
    {
        "example": ["e1", "e2", "e3", "e4"],
        "x": [0.9, 0.1, 0.2, 0.5],
        "y": [0.6, 0.3, 0.9, 0.6],
        "z": [0.1, 0.4, 0.2, 0.1],
    }
)


def long_form() -> pl.DataFrame:
    """A row per chosen class; who chose nothing has a row with a null label."""
    return LOG.drop("seconds").explode("label", empty_as_null=True)


def test_a_row_per_chosen_class_is_the_same_log() -> None:
    expected = pc.multilabel_crowdlab(LOG.drop("seconds"), PROBS)
    found = pc.multilabel_crowdlab(long_form(), PROBS)
    assert found.examples.collect().equals(expected.examples.collect())
    assert found.annotations.collect().equals(expected.annotations.collect())
    assert found.annotators.equals(expected.annotators)


def test_an_empty_set_is_an_annotation_and_a_null_is_none() -> None:
    fit = pc.multilabel_crowdlab(LOG, PROBS)
    assert fit.examples.collect()["num_annotations"].to_list() == [2, 2, 1]
    null = LOG.with_columns(pl.when(pl.col("label").list.len() > 0).then("label"))
    fit = pc.multilabel_crowdlab(null, PROBS)
    assert fit.examples.collect()["num_annotations"].to_list() == [2, 1, 1]


def test_other_columns_stay_with_their_annotation() -> None:
    annotations = pc.multilabel_crowdlab(LOG, PROBS).annotations.collect()
    found = annotations.sort("example", "annotator").select("label", "seconds")
    assert found["seconds"].to_list() == [1, 2, 3, 4, 5]
    assert found["label"].to_list() == LOG["label"].to_list()


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Boolean, pl.Enum(["0", "1"]), pl.Categorical])
def test_classes_of_any_type(dtype: Any) -> None:
    values: list[Any] = [False, True] if dtype == pl.Boolean else [0, 1]
    if dtype not in (pl.Int64, pl.Boolean):
        values = ["0", "1"]
    names = ["false", "true"] if dtype == pl.Boolean else ["0", "1"]
    log = pl.DataFrame(
        {
            "example": [1, 1, 2, 2],
            "annotator": [1, 2, 1, 2],
            "label": [[values[1]], values, [], values[:1]],
        },
        schema_overrides={"label": pl.List(dtype)},
    )
    probs = pl.DataFrame({"example": [1, 2], names[0]: [0.4, 0.7], names[1]: [0.9, 0.2]})
    fit = pc.multilabel_crowdlab(log, probs)
    examples = fit.examples.collect()
    assert examples.schema["consensus_label"] == pl.List(dtype)
    assert values[1] in examples["consensus_label"][0]


def test_an_array_column_and_several_sources() -> None:
    log = pl.DataFrame(
        {
            "example": [1, 1, 2, 2],
            "annotator": [1, 2, 1, 2],
            "label": [[0, 1], [1, 2], [0, 2], [0, 2]],
        },
        schema_overrides={"label": pl.Array(pl.Int64, 2)},
    )
    probs = pl.DataFrame({"example": [1, 2], "0": [0.4, 0.7], "1": [0.9, 0.2], "2": [0.5, 0.9]})
    whole = pc.multilabel_crowdlab(log, probs).examples.collect()
    parts = pc.multilabel_crowdlab([log[:2], log[2:]], probs).examples.collect()
    assert whole.equals(parts)
    assert whole["consensus_label"].to_list() == [[1], [0, 2]]


def test_the_report_and_the_classes() -> None:
    fit = pc.multilabel_crowdlab(LOG, [PROBS, PROBS], calibrate=True)
    text = repr(fit)
    assert text.startswith(
        "CROWDLAB of sets of classes (best_quality; quality by crowdlab): 3 examples, 2 annotators"
    )
    assert fit.classes.columns == [
        "class",
        "num_annotations",
        "num_examples",
        "model_weight_0",
        "model_weight_1",
        "temperature_0",
        "temperature_1",
    ]
    assert fit.classes["num_annotations"].to_list() == [2, 2, 1]
    assert isinstance(fit.model_weight, list)
    means = fit.classes.select(pl.col("^temperature.*$").mean()).row(0)
    assert fit.temperature == pytest.approx(list(means))


def test_the_worst_class_is_that_of_least_agreement() -> None:
    fit = pc.multilabel_crowdlab(LOG, PROBS)
    least = (
        fit.annotator_classes.sort("agreement_with_consensus", maintain_order=True)
        .group_by("annotator", maintain_order=True)
        .agg(pl.col("class").first())
        .sort("annotator")
    )
    assert fit.annotators.sort("annotator")["worst_class"].to_list() == least["class"].to_list()


# --- what cannot be used ---------------------------------------------------------------------------


def test_unknown_classes_are_named() -> None:
    log = LOG.with_columns(label=pl.Series([["x", "w"], ["v"], [], ["z"], ["y"]]))
    with pytest.raises(
        pc.AnnotationError, match=r"2 rows with classes .* 'x', 'y', 'z': 'v', 'w'\."
    ):
        pc.multilabel_crowdlab(log, PROBS)


def test_probabilities_out_of_range() -> None:
    with pytest.raises(pc.AnnotationError, match="above 1 in 1 row"):
        pc.multilabel_crowdlab(LOG, PROBS.with_columns(x=pl.Series([1.5, 0.1, 0.1, 0.1])))


def test_duplicates() -> None:
    twice = pl.concat([LOG, LOG.head(1).with_columns(label=pl.Series([["z"]]))])
    with pytest.raises(pc.AnnotationError, match="1 pair with more than one annotation"):
        pc.multilabel_crowdlab(twice, PROBS)
    fit = pc.multilabel_crowdlab(twice, PROBS, duplicates="first")
    assert fit.examples.collect().equals(pc.multilabel_crowdlab(LOG, PROBS).examples.collect())


def test_one_annotation_everywhere() -> None:
    with pytest.raises(pc.AnnotationError, match="one annotation only"):
        pc.multilabel_crowdlab(LOG.filter(annotator="a"), PROBS)


def test_options_that_do_not_go_with_sets_of_classes() -> None:
    with pytest.raises(ValueError, match="for sets of classes it is one method, not a list"):
        pc.multilabel_crowdlab(LOG, PROBS, consensus_method=["best_quality"])  # type: ignore[arg-type]
    fit: Any = pc.multilabel_crowdlab
    for option in ("adjust_pred_probs", "tolerance", "multi_label"):
        with pytest.raises(TypeError, match=f"multilabel_crowdlab.. has no option '{option}'"):
            fit(LOG, PROBS, **{option: 1})
    for option in ("quality_method", "label_quality_method", "consensus_method"):
        with pytest.raises(ValueError, match=f"{option}='x'; it must be one of"):
            fit(LOG, PROBS, **{option: "x"})
    with pytest.raises(ValueError, match="executor= needs a log in partitions"):
        pc.multilabel_crowdlab(LOG, PROBS, executor=object())


def test_without_a_model() -> None:
    for function, reason in (
        (pc.multilabel_crowdlab, "CROWDLAB needs a model's pred_probs"),
        (multilabel_activelab, "ActiveLab needs a model's pred_probs"),
    ):
        with pytest.raises(pc.AnnotationError, match=reason):
            function(LOG)


def test_an_earlier_score_gives_way() -> None:
    first = pc.multilabel_crowdlab(LOG, PROBS).annotations.collect()
    assert pc.multilabel_crowdlab(first, PROBS).annotations.collect().equals(first)


def test_nobody_agrees() -> None:
    log = LOG.head(2).with_columns(label=pl.Series([["x", "y", "z"], []], dtype=pl.List(pl.String)))
    with pytest.warns(pc.AnnotationWarning, match="no two annotators agree on any example"):
        pc.multilabel_crowdlab(log, PROBS)


@pytest.mark.parametrize("dtype", [pl.List(pl.String), pl.Array(pl.String, 1)])
@pytest.mark.parametrize(
    "function",
    [
        *(pc.crowdlab, pc.activelab, pc.majority_vote, pc.dawid_skene, pc.mean_truth, pc.compare),
        *(pc.agreement, pc.krippendorff_alpha, pc.example_agreement, pc.check_annotations),
    ],
)
def test_a_log_of_sets_is_refused_where_labels_are_single(function: Any, dtype: Any) -> None:
    """... and the message names the functions for sets."""
    log = LOG.with_columns(label=pl.Series([["x"]] * 5, dtype=dtype))
    probs = (PROBS,) if function in (pc.crowdlab, pc.activelab) else ()
    with pytest.raises(pc.AnnotationError) as caught:
        function(log, *probs)
    for name in ("crowdlab", "activelab", "agreement"):
        assert f"pc.multilabel_{name}" in str(caught.value)
    assert "Cast" not in str(caught.value)


def test_no_annotations_and_missing_columns() -> None:
    with pytest.raises(pc.AnnotationError, match="no annotations"):
        pc.multilabel_crowdlab(LOG.clear(), PROBS)
    with pytest.raises(pc.AnnotationError, match="the log has no column 'label'"):
        pc.multilabel_crowdlab(LOG.drop("label"), PROBS)


def test_warnings() -> None:
    with pytest.warns(
        pc.AnnotationWarning, match="1 annotator share no example with another annotator: 'c'"
    ):
        pc.multilabel_crowdlab(
            pl.concat(
                [
                    LOG,
                    pl.DataFrame(
                        {"example": ["e4"], "annotator": ["c"], "label": [["x"]], "seconds": [1]}
                    ),
                ]
            ),
            PROBS,
        )
    with pytest.warns(
        pc.AnnotationWarning, match=r"1 class that annotators chose .* no example: 'z'"
    ):
        pc.multilabel_crowdlab(LOG, PROBS)
