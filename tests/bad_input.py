"""What the public functions are given in tests of bad input: good arguments of each, and bad ones by name."""

from __future__ import annotations

import inspect
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from tempfile import mkdtemp
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import numpy as np
import polars as pl

import polars_crowd as pc
from polars_crowd.compat import cleanlab
from polars_crowd.signatures import signature_of
from polars_crowd.truth.registry import METHODS
from tests.truth.truth_cases import unwarned

LOG: Any = pl.DataFrame(
    {
        "example": [1, 1, 2, 2, 3, 3, 4, 4],
        "annotator": ["a", "b"] * 4,
        "label": [0, 1, 1, 1, 0, 0, 1, 0],
        "language": ["en", "en", "de", "de"] * 2,
    }
)
NUMBERS = LOG.with_columns(pl.col("label").cast(pl.Float64) + 0.5 * pl.col("example"))
SETS = LOG.with_columns(label=pl.concat_list(pl.col("label").cast(pl.String)))
PROBS = pl.DataFrame({"example": [1, 2, 3, 4], "0": [0.5, 0.4, 0.6, 0.5]}).with_columns(
    (1 - pl.col("0")).alias("1")
)
PAIRS = pl.DataFrame(
    {
        "annotator": ["a", "b"] * 2,
        "left": [1, 1, 2, 2],
        "right": [2, 2, 3, 1],
        "winner": [1, 2, 2, 2],
    }
)
SCORES = pl.DataFrame(
    {"example": [1, 2], "active_learning_score": [0.5, 0.4], "consensus_label": [1, 0]}
)
TRUTH = LOG.select("example", "label").unique("example", keep="first", maintain_order=True)
FEATURES = pl.DataFrame({"example": [1, 2, 3, 4], "x": [0.1, 0.9, 0.2, 0.8]})
WIDE = pl.DataFrame({"example": [1, 2], "a": [0, 1], "b": [1, 1]})
COUNTS = pl.DataFrame({"example": ["e1", "e2"], "0": [2, 1], "1": [1, 2]})
MATRIX = np.array([[0, 1], [1, 1], [0, 0], [1, 0]])
P = np.array([[0.5, 0.5], [0.4, 0.6], [0.6, 0.4], [0.5, 0.5]])


class Estimator:
    """A classifier that says each class as often as it was there."""

    def get_params(self, deep: bool = False) -> dict[str, Any]:
        return {}

    def fit(self, X: Any, y: Any) -> Estimator:
        self.classes_, counts = np.unique(y, return_counts=True)
        self.shares = counts / counts.sum()
        return self

    def predict_proba(self, X: Any) -> Any:
        return np.tile(self.shares, (len(X), 1))


@dataclass(frozen=True)
class Call:
    """A public function or method, and arguments that it takes."""

    name: str
    function: Callable[..., Any]
    good: dict[str, Any]
    takes: tuple[str, ...] = ()
    """Arguments that may be what they cannot be elsewhere."""

    def __call__(self, **bad: Any) -> Any:
        """What it returns, computed, with some arguments in the place of good ones."""
        return computed(self.function(**{**self.good, **bad}))


def computed(found: Any) -> Any:
    if isinstance(found, pl.LazyFrame):
        return found.collect()
    if isinstance(found, list):
        return [computed(one) for one in found]
    for table in getattr(found, "TABLES", ()):
        computed(getattr(found, table))
    return found


# --- the functions, and what they take ---------------------------------------------------------------

OF_LABELS = {"numbers": NUMBERS, "comparisons": PAIRS, "classes": LOG}
LABELS_OF = {method.function: method.labels for method in METHODS.values()}
TIMED = LOG.with_columns(timestamp=pl.date(2024, 1, 1) + pl.duration(weeks="example"))
GOOD: dict[str, dict[str, Any]] = {
    "annotator_drift": {"log": TIMED},
    "activelab": {"log": LOG, "pred_probs": PROBS},
    "crowdlab": {"log": LOG, "pred_probs": PROBS},
    "agreement_difference": {"a": LOG, "b": LOG, "n_boot": 20},
    "example_agreement": {"log": LOG},
    "corrected_prevalence": {"log": LOG, "gold": TRUTH.head(3)},
    "judge_report": {"log": LOG, "judges": "a"},
    "explain": {"fit": pc.majority_vote(LOG), "example": 1, "log": LOG},
    "from_counts": {"counts": COUNTS},
    "from_wide": {"matrix": WIDE},
    "multilabel_activelab": {"log": SETS, "pred_probs": PROBS},
    "multilabel_agreement": {"log": SETS},
    "multilabel_crowdlab": {"log": SETS, "pred_probs": PROBS},
    "agreement_by_class": {"log": LOG},
    "next_batch": {"scores": SCORES, "size": 1},
    "refine": {"log": LOG, "features": FEATURES, "estimator": Estimator(), "rounds": 1, "cv": 2},
    "scan_annotations": {"source": LOG},
    "scan_comparisons": {"source": PAIRS},
    "scan_label_sets": {"source": SETS},
    "scan_pred_probs": {"source": PROBS},
    "simulate_labelling": {
        "features": np.arange(40.0).reshape(20, 2),
        "truth": np.arange(20) % 2,
        "estimator": Estimator(),
        "n_labelled": 5,
        "batch_size": 2,
        "rounds": 1,
        "cv": 2,
    },
    "compare": {"log": LOG, "methods": ["majority_vote", "wawa"], "folds": 2},
    "gold_needed": {"acceptable": 0.9},
    "gold_report": {"log": LOG, "gold": TRUTH},
    "icc": {"log": NUMBERS},
    "report": {"log": LOG, "path": None},
    "intra_rater_agreement": {"log": pl.concat([LOG, LOG.with_columns(label=1 - pl.col("label"))])},
}


def public_functions() -> Iterator[Call]:
    """The functions of the package."""
    for name in pc.__all__:
        function = getattr(pc, name)
        if inspect.isfunction(function) and name != "open_results":
            good = GOOD.get(name) or {"log": OF_LABELS[LABELS_OF.get(function, "classes")]}
            yield Call(name, function, good)


def of_cleanlab() -> Iterator[Call]:
    """... and of `compat.cleanlab`."""
    two = {"labels_multiannotator": MATRIX, "pred_probs": P}
    several = {"labels_multiannotator": MATRIX, "pred_probs": np.array([P, P])}
    yield Call("get_label_quality_multiannotator", cleanlab.get_label_quality_multiannotator, two)
    ensemble = cleanlab.get_label_quality_multiannotator_ensemble
    yield Call("get_label_quality_multiannotator_ensemble", ensemble, several)
    yield Call("get_majority_vote_label", cleanlab.get_majority_vote_label, two)
    yield Call("get_active_learning_scores", cleanlab.get_active_learning_scores, two)
    scores = cleanlab.get_active_learning_scores_ensemble
    yield Call("get_active_learning_scores_ensemble", scores, several)


def of_simulations() -> Iterator[Call]:
    simulate = pc.simulate
    small = {"n_examples": 6, "n_annotators": 5, "annotations_per_example": 2}
    yield Call("simulate_annotations", simulate.simulate_annotations, small)
    trace = {"n_classes": 3, "trace": 2.1}
    yield Call("noise_matrix_from_trace", simulate.noise_matrix_from_trace, trace)
    noisy = {"truth": [0, 1, 1], "noise_matrix": np.eye(2)}
    yield Call("noisy_labels", simulate.noisy_labels, noisy)


@cache
def a_fit() -> Any:
    with unwarned():
        return pc.dawid_skene(LOG)


@cache
def a_numeric_fit() -> Any:
    with unwarned():
        return pc.catd(NUMBERS)


@cache
def preferences() -> Any:
    with unwarned():
        return pc.bradley_terry(PAIRS)


@cache
def a_blend() -> Any:
    with unwarned():
        return pc.blend(LOG)


def of_methods(path: Path) -> Iterator[Call]:
    """... the methods of classes: of fits, of a store in a new directory, and of frames."""
    pc.AnnotationStore.create(path / "store", LOG.drop("language"), PROBS, partitions=2)

    @wraps(pc.AnnotationStore.append)
    def append(**arguments: Any) -> None:
        """To a new copy of the store."""
        copy = Path(mkdtemp(dir=path)) / "copy"
        shutil.copytree(path / "store", copy)
        pc.AnnotationStore.open(copy).append(**arguments)

    yield Call(
        "AnnotationStore.create", pc.AnnotationStore.create, {"path": path / "new", "log": LOG}
    )
    yield Call("AnnotationStore.open", pc.AnnotationStore.open, {"path": path / "store"})
    more = LOG.drop("language").with_columns(pl.col("example") + 10)
    yield Call(
        "AnnotationStore.append",
        append,
        {"log": more, "pred_probs": PROBS.with_columns(pl.col("example") + 10)},
    )
    yield Call("open_results", pc.open_results, {"directory": path / "store"})
    yield Call("TruthInference.predict", a_fit().predict, {"log": LOG})
    yield Call("NumericTruth.predict", a_numeric_fit().predict, {"log": NUMBERS})
    yield Call("Blend.predict", a_blend().predict, {"log": LOG})
    yield Call("Preferences.predict", preferences().predict, {"log": PAIRS})
    yield Call("TruthInference.write", a_fit().write, {"directory": path / "results"})
    crowd: Any = LOG.crowd
    yield Call("frame.crowd.dawid_skene", crowd.dawid_skene, {})
    yield Call("frame.crowd.agreement", crowd.agreement, {})


# --- what they cannot take ---------------------------------------------------------------------------

NO_NUMBERS = ["x", [1], {}, True]
COUNTS_OF_NOTHING = [0, -1, 1.5, "x", True, math.nan, math.inf]
NO_FRAMES = [3, "no/such/file.parquet", "", [], {}, pl.DataFrame(), object()]
NESTED = LOG.with_columns(example=pl.struct("example", "annotator"))
NO_LOGS: dict[str, Any] = {
    "a number": 3,
    "None": None,
    "no file": "no/such/file.parquet",
    "no text": "",
    "an empty list": [],
    "a dict": {},
    "a frame without columns": pl.DataFrame(),
    "a frame without labels": LOG.drop("label"),
    "examples that are structs": NESTED,
    "annotators that are fractions": LOG.with_columns(annotator=pl.lit(0.5)),
    "an example that is null": LOG.with_columns(
        pl.when(pl.col("example") > 1).then(pl.col("example"))
    ),
    "an annotator that is null": LOG.with_columns(annotator=pl.lit(None, pl.String)),
    "no rows": LOG.clear(),
    "labels that are all null": LOG.with_columns(label=pl.lit(None, pl.Int64)),
    "labels that are of no type": LOG.with_columns(label=pl.lit(None)),
    "labels that are structs": LOG.with_columns(label=pl.struct("label")),
    "labels that are objects": LOG.with_columns(
        pl.Series("label", [object()] * LOG.height, dtype=pl.Object)
    ),
    "rows that are there twice": pl.concat([LOG, LOG]),
}
BY_NAME: dict[str, list[Any] | dict[str, Any]] = {
    "classes": [3, "ab", [], [0, 0, 1], [0, None], [[0], [1]], [0, math.nan], {0, 1}, object()],
    "seed": [-1, 1.5, "x", None, True, math.nan],
    "max_iter": [0, -1, 1.5, "x", None, True, math.nan],
    "tol": [-1, math.nan, math.inf, "x", None, True],
    "tolerance": [-1, math.nan, "x", None],
    "smoothing": [-1, math.nan, math.inf, "x", None],
    "n_boot": [1, -1, 1.5, "x", None, True],
    "confidence": [0, 1, 95, -0.1, math.nan, "x", None, True, [0.9]],
    "consensus_method": [3, None, "x", [], ["x"]],
    "pseudo_counts": [3, (1,), (1, -1), (1, math.nan), ("x", "y"), (1, 2, 3), "ab", True],
    "weights": [
        3,
        None,
        "x",
        [[1, 0], [0]],
        [[1, 0], [0, math.nan]],
        [["a", "b"], ["c", "d"]],
        [1, 0],
    ],
    "gold": [
        *NO_FRAMES,
        TRUTH.with_columns(label=pl.lit("no class")),
        TRUTH.with_columns(example=pl.col("example") + 100),
        pl.concat([TRUTH, TRUTH]),
        TRUTH.clear(),
    ],
    "init": [*NO_FRAMES, TRUTH.with_columns(label=pl.lit("no class")), TRUTH.clear()],
    "prior": [
        *NO_FRAMES,
        TRUTH,
        pl.DataFrame({"annotator": ["a"], "num_correct": [math.nan], "num_incorrect": [1]}),
        pl.DataFrame({"annotator": ["a"], "num_correct": ["x"], "num_incorrect": [1]}),
    ],
    "pred_probs": [
        *NO_FRAMES,
        PROBS.drop("1"),
        PROBS.drop("example"),
        PROBS.with_columns(pl.lit("x").alias("1")),
        PROBS.with_columns(pl.lit(math.nan).alias("1")),
        PROBS.with_columns(pl.lit(math.inf).alias("1")),
        PROBS.with_columns(pl.lit(-0.5).alias("1")),
        PROBS.with_columns(pl.lit(None, pl.Float64).alias("1")),
        pl.concat([PROBS, PROBS]),
        PROBS.with_columns(pl.col("example") + 100),
        P[0],
        [PROBS, 3],
    ],
    "by": [
        3,
        [3],
        "",
        "no column",
        ["language", "language"],
        "label",
        "example",
        pl.DataFrame({"x": [1]}),
        {"language"},
        object(),
    ],
    "exclude": [3.5, [9], ["x"], pl.DataFrame({"a": [1], "b": [2]}), [[1]], object(), {}],
    "truth": [
        *NO_FRAMES,
        TRUTH.with_columns(example=pl.col("example") + 100),
        pl.concat([TRUTH, TRUTH]),
    ],
    "features": [
        *NO_FRAMES,
        FEATURES.head(1),
        FEATURES.with_columns(x=pl.lit("a")),
        pl.concat([FEATURES, FEATURES]),
        FEATURES.with_columns(x=pl.lit(None, pl.Float64)),
    ],
    "estimator": [3, None, object(), "x"],
    "executor": [3, "x", object()],
    "methods": [3, [], ["x"], [1], "", ["wawa", "wawa"], {"a": 3}],
    "coefficients": [3, [], "", "x", ["x"], [3]],
    "coefficient": [3, None, "x", ["x"]],
    "form": [3, [], "", "x", ["x"], [3]],
    "missing": [[None], [math.nan], [[1]], object()],
    "normalize": ["x", ["x"], [3], 3],
    "label_type": ["x", 3, []],
    "frequency": ["no column", 3, ""],
    "order_by": ["no column", 3, ""],
    "columns": ["x", 3, [], [3], ["a", "a"]],
    "separator": ["", 3, "ab"],
    "encoding": ["x", 3],
    "comment": ["", 3],
    "quote": ["", 3, "ab"],
    "size": [0, -1, 1.5, "x", None, True],
    "per_class": [0, -1, 1.5, "x", True],
    "folds": [1, -1, 1.5, "x", None, True],
    "level": ["x", 3, None, 1.0, 0.0, math.nan],
    "names": [
        "x",
        3,
        {"example": ""},
        {"example": 3},
        {"no column": "x"},
        {"example": "label", "label": "label"},
    ],
    "rounds": COUNTS_OF_NOTHING,
    "cv": [*COUNTS_OF_NOTHING, 1],
    "partitions": [0, -1, 1.5, "x", 10**9, True],
    "min_shared": [-1, 1.5, "x", None, True],
    "max_pairs": [0, -1, 1.5, "x", True],
    "scores": [
        *NO_FRAMES,
        None,
        SCORES.drop("example"),
        SCORES.with_columns(active_learning_score=pl.lit("x")),
    ],
    "counts": [
        *NO_FRAMES,
        None,
        COUNTS.with_columns(pl.lit(-1).alias("1")),
        COUNTS.with_columns(pl.lit(0.5).alias("1")),
        COUNTS.with_columns(pl.lit("x").alias("1")),
    ],
    "matrix": [*NO_FRAMES, None, np.zeros(3), np.zeros((2, 2, 2))],
    "source": [*NO_FRAMES, None],
    "log": NO_LOGS,
    "a": NO_LOGS,
    "b": {what: value for what, value in NO_LOGS.items() if value is not None},
    "n_subtypes": COUNTS_OF_NOTHING,
    "restarts": COUNTS_OF_NOTHING,
    "max_classes": COUNTS_OF_NOTHING,
    "sides": [3, "ab", (1,), (1, 1), (1, 2, 3)],
    "strength": ["x", True, -1.0, math.nan, object()],
    "example": [3, "", "no column"],
    "annotator": [3, "", "no column"],
    "label": [3, "", "no column"],
    "left": [3, "", "no column", None],
    "right": [3, "", "no column", None],
    "winner": [3, "", "no column", None],
    "annotators": [3, ["x"], [], object()],
    "strategies": [3, ["x"], [], "", [3]],
    "n_annotators": COUNTS_OF_NOTHING,
    "n_examples": COUNTS_OF_NOTHING,
    "n_classes": [1, *COUNTS_OF_NOTHING],
    "annotations": [3, "x", np.zeros(3), np.zeros((3, 3))],
    "n_labelled": [*COUNTS_OF_NOTHING, 10**6],
    "batch_size": COUNTS_OF_NOTHING,
    "test_share": [0, 1, -1, 2, math.nan, "x", None, True],
    "accuracy": [-1, 2, "x", (0.9, 0.5), (1, 2, 3), (0.5, math.nan), object()],
    "confusion": [3, "x", [[1, 0]], [[1, 1], [0, 1]], [[math.nan, 1], [0, 1]]],
    "class_prior": [3, "x", [1, 1, 1], [0.5, math.nan, 0.5], [0.5], [2, -1, 0]],
    "noise_matrix": [3, "x", [[1, 0]], [[1, 1], [1, 1]], [[math.nan, 0], [0, 1]], None],
    "difficulty": [-1, 2, math.nan, "x", None, True],
    "adversaries": [-1, 2.5, math.nan, "x", None, 100],
    "spammers": [-1, 2.5, math.nan, "x", None, 100],
    "model_accuracy": [-1, 1, math.nan, "x", None],
    "model_temperature": [-1, 0, math.nan, math.inf, "x", None],
    "annotations_per_example": [0, -1, 100, 1.5, math.nan, "x", None],
    "trace": [-1, 0.5, 4, math.nan, math.inf, "x", None],
    "max_noise_rate": [-1, 2, math.nan, "x", None],
    "min_noise_rate": [-1, 2, math.nan, "x", None],
    "frac_zero_noise_rates": [-1, 2, math.nan, "x", None],
    "labels_multiannotator": [
        3,
        None,
        "x",
        [],
        np.zeros(3),
        np.array([["a", "b"]]),
        np.full((4, 2), np.nan),
        P,
    ],
    "label_quality_score_kwargs": [3, {"x": 1}, {"method": "x"}, None],
    "quality_method": ["x", 3, None, ["x"]],
    "path": ["", 3, None],
    "directory": ["", 3, None],
    "format": ["x", 3, None],
    "alpha": [-1, 0, 1, math.nan, "x", None],
    "truth_label": ["no column", 3, ""],
    "set_separator": ["", 3],
    "ties": [3],
    "outcome": ["no column", 3],
    "weight": ["no column", 3],
    "other": ["x", 3],
    "distance": ["x", 3, None],
}
BY_KIND: dict[Any, list[Any]] = {
    bool: ["x", None, 1, 0.0],
    int: ["x", 1.5, [1], {}, math.nan],
    float: ["x", [1], {}, True, math.nan, math.inf],
    Path: ["", 3, ["x"]],
    Literal: ["nonsense", 3, ["x"]],
}


def bad_values(name: str, hint: Any) -> dict[str, Any]:
    """What an argument cannot be, by what it is: by its name, or else by its annotation."""
    kinds = (*get_args(hint), hint, get_origin(hint))
    none = [] if NoneType in kinds else [None]
    of_kind = next((values + none for kind, values in BY_KIND.items() if kind in kinds), [])
    values = BY_NAME.get(name, of_kind)
    return values if isinstance(values, dict) else {named(value): value for value in values}


def named(value: Any) -> str:
    """A value in one line; of frames, their columns and first row."""
    if isinstance(value, pl.DataFrame):
        return f"{value.shape} {value.to_dicts()[:1]}"
    return f"{type(value).__name__} {value!r}".replace("\n", " ")


def bad_arguments(call: Call) -> Iterator[tuple[str, str, Any]]:
    """Argument, what it is, value."""
    for name, parameter in signature_of(call.function).parameters.items():
        if parameter.kind is not parameter.VAR_KEYWORD and name not in call.takes:
            for what, value in bad_values(name, parameter.annotation).items():
                yield name, what, value
