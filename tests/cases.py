"""Logs: random with pred_probs for properties, simulated, bundled; and how tables and fits are compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

import polars_crowd as pc
from tests import DATA

EVIL = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]8;;http://x\x1b\\link",
    "\x9b31m",
    "a\x00b",
    "\u202egnp",
    "x\u2066y",
    "a\rb\u2028c\u200f",
    "a\u200bb\ufeff\U000e0041",
]
"""Texts that would steer a terminal, or hold what cannot be seen."""

NEAR = 1e-9


@dataclass(frozen=True)
class Case:
    """A log as a (examples x annotators) matrix of class numbers, -1 where not labelled, and models."""

    labels: NDArray[np.int64]
    models: list[NDArray[np.float64]]
    example_names: list[str] = field(default_factory=list)

    @property
    def n_classes(self) -> int:
        return int(self.models[0].shape[1])

    @property
    def has_clear_vote(self) -> bool:
        """Whether some example's vote is no tie. cleanlab fails without, if a tie is left to break."""
        votes = [np.sort(np.bincount(row[row >= 0])) for row in self.labels]
        return any(len(counts) == 1 or counts[-1] > counts[-2] for counts in votes)

    @property
    def wide(self) -> NDArray[np.float64]:
        """The labels as cleanlab takes them: NaN where not labelled."""
        return np.where(self.labels < 0, np.nan, self.labels)

    @property
    def log(self) -> pl.DataFrame:
        return log_of(self.labels)

    @property
    def pred_probs(self) -> list[pl.DataFrame]:
        return [frame_of(p) for p in self.models]


def frame_of(p: NDArray[np.floating]) -> pl.DataFrame:
    """A matrix of probabilities as a frame: example 0, 1, ..., a column per class."""
    columns = {str(k): p[:, k] for k in range(p.shape[1])}
    return pl.DataFrame({"example": np.arange(len(p)), **columns})


def dense(posterior: pl.LazyFrame) -> NDArray[np.float64]:
    """A posterior, a row per example and class, as a matrix (examples x classes)."""
    found = posterior.collect()
    n_examples = found["example"].n_unique()
    assert found["example"].is_sorted()
    return found["probability"].to_numpy().reshape(n_examples, -1)


def log_of(matrix: NDArray[Any]) -> pl.DataFrame:
    """The log of a (examples x annotators) matrix: -1, or NaN where its labels are numbers, is no label."""
    example, annotator = np.nonzero(matrix >= 0 if matrix.dtype.kind == "i" else ~np.isnan(matrix))
    label = matrix[example, annotator]
    return pl.DataFrame({"example": example, "annotator": annotator, "label": label})


def log_of_rows(rows: Iterable[tuple[Any, Any, Any]]) -> pl.DataFrame:
    """The log of rows (example, annotator, label)."""
    return pl.DataFrame(list(rows), schema=["example", "annotator", "label"], orient="row")


def bundled(name: str) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The log, the probabilities and the truth of the tutorial or of a data set beside the tests."""
    if name == "tutorial":
        data = pc.datasets.tutorial()
        return data.log, data.pred_probs, data.truth
    files = ("annotations", "pred_probs", "truth")
    log, probs, truth = (pl.read_parquet(DATA / name / f"{file}.parquet") for file in files)
    return log, probs, truth


def simulated(**options: Any) -> pc.simulate.Simulation:
    """A small log of three classes, or what the options say."""
    given = {"n_examples": 300, "n_annotators": 12, "n_classes": 3, "seed": 1, **options}
    return pc.simulate.simulate_annotations(**given)


def text_case(case: Case) -> tuple[pl.DataFrame, list[pl.DataFrame], list[str]]:
    """The same log with strings for ids and labels."""
    classes = [f"class {chr(97 + k)}" for k in range(case.n_classes)]
    log = case.log.select(
        pl.format("e{}", pl.col("example").cast(pl.String).str.zfill(3)).alias("example"),
        pl.format("a{}", pl.col("annotator").cast(pl.String).str.zfill(3)).alias("annotator"),
        pl.col("label").replace_strict(list(range(case.n_classes)), classes).alias("label"),
    )
    names = {str(k): c for k, c in enumerate(classes)}
    example = pl.format("e{}", pl.col("example").cast(pl.String).str.zfill(3)).alias("example")
    return log, [p.rename(names).with_columns(example) for p in case.pred_probs], classes


def jitter(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Numbers in [0, 1) that are all different and add up to no ties."""
    return np.sqrt(np.arange(2, 2 + int(np.prod(shape)), dtype=np.float64)).reshape(shape) % 1


@st.composite
def cases(
    draw: st.DrawFn,
    *,
    max_examples: int = 12,
    max_annotators: int = 6,
    max_classes: int = 4,
    max_models: int = 1,
    ties: bool = False,
) -> Case:
    """Ragged logs of any quality, every example annotated, at least one of them twice.

    With `ties` probabilities are multiples of a tenth before they are normalised, so that classes tie;
    without it all are different.
    """
    n = draw(st.integers(2, max_examples))
    m = draw(st.integers(2, max_annotators))
    k = draw(st.integers(2, max_classes))
    labels = np.array(
        draw(
            st.lists(
                st.lists(st.integers(-1, k - 1), min_size=m, max_size=m), min_size=n, max_size=n
            )
        )
    )
    labels[0, :2] = np.maximum(labels[0, :2], 0)
    for e in np.flatnonzero((labels < 0).all(axis=1)):
        labels[e, e % m] = e % k
    labels = labels[:, (labels >= 0).any(axis=0)]
    models = []
    for model in range(draw(st.integers(1, max_models))):
        tenths = st.lists(st.integers(1, 9), min_size=k, max_size=k)
        p = np.array(draw(st.lists(tenths, min_size=n, max_size=n)), dtype=np.float64)
        if not ties:
            p += jitter((model + 1, n, k))[model] / 3
        models.append(p / p.sum(axis=1, keepdims=True))
    return Case(labels, models)


def several(**options: Any) -> st.SearchStrategy[Case]:
    """Logs with two annotators or more."""
    return cases(**options).filter(lambda case: case.labels.shape[1] > 1)


def assert_same(left: pl.DataFrame, right: pl.DataFrame, tolerance: float = NEAR) -> None:
    """Equal columns and values, floats up to the tolerance."""
    assert left.columns == right.columns
    assert left.height == right.height
    for name in left.columns:
        a, b = left[name], right[name]
        if a.dtype.is_float():
            assert a.is_null().equals(b.is_null()), name
            difference = (a - b).abs().max()
            assert difference is None or difference <= tolerance, (name, difference)  # type: ignore[operator]
        elif a.dtype.is_nested():
            assert a.equals(b), name
        else:
            assert a.cast(pl.String).equals(b.cast(pl.String)), name


def assert_same_fit(found: pc.Crowdlab, expected: pc.Crowdlab, tolerance: float = NEAR) -> None:
    """Equal tables, whatever the order of their rows, and parameters."""
    for name in ("examples", "annotations", "annotators"):
        left, right = (getattr(fit, name).lazy().collect() for fit in (found, expected))
        key = [c for c in ("example", "annotator", "label") if c in left.columns]
        assert_same(left.sort(key), right.sort(key), tolerance)
    assert found.model_weight == pytest.approx(expected.model_weight, abs=tolerance)
    assert found.temperature == expected.temperature


def accuracy(examples: pl.LazyFrame, truth: pl.DataFrame) -> float:
    """The share of the examples with truth whose label is right."""
    both = examples.collect().join(truth, on="example")
    right = both["consensus_label"].cast(pl.String) == both["label"].cast(pl.String)
    return float(right.mean())  # type: ignore[arg-type]


def files_of(directory: Path, table: str) -> list[Path]:
    """The files of a table that the last run has written into a directory."""
    generation = max(directory.glob("generation-[0-9]*"))
    return sorted((generation / table).glob("part-*.parquet"))


def bytes_in(directory: Path) -> dict[str, bytes]:
    """What the files of a directory hold."""
    files = (file for file in directory.rglob("*") if file.is_file())
    return {str(file.relative_to(directory)): file.read_bytes() for file in files}


def without_idle(options: dict[str, Any]) -> dict[str, Any]:
    """Options of CROWDLAB without one that has no effect: quality by agreement asks no model."""
    asks = options["quality_method"] == "crowdlab"
    return {**options, "calibrate": options["calibrate"] and asks}


CROWDLAB_OPTIONS = st.fixed_dictionaries(
    {
        "consensus_method": st.sampled_from(["best_quality", "majority_vote"]),
        "quality_method": st.sampled_from(["crowdlab", "agreement"]),
        "label_quality_method": st.sampled_from(
            ["self_confidence", "normalized_margin", "confidence_weighted_entropy"]
        ),
        "calibrate": st.booleans(),
    }
).map(without_idle)
"""Options of CROWDLAB, also for sets of classes."""
