"""ActiveLab on 100,000 annotated and 100,000 unlabelled examples: polars_crowd against cleanlab.

    python benchmarks/activelab.py [--examples 100000] [--annotators 1000] [--repeat 3] [--target 100]

Ours goes from two Parquet files to the collected scores; cleanlab from a matrix and arrays that are in memory
already to its two arrays. Each run is a process of its own, which has imported what it needs and, ours,
scored a log of two rows. The functions of `polars_crowd.compat.cleanlab` are held to its scores, to 1e-9.
Exits with 1 if they differ, or ours is not `target` times as fast.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from _measure import BOUNDS, Bound, Job, Measurement, best, markdown, measure, say

import polars_crowd as pc

TOLERANCE = 1e-9
CLASSES = 5
EXAMPLES, ANNOTATORS, REPEAT = 100_000, 1000, 3
TIMES = 100.0
"""How many times as fast as cleanlab it is to be."""


def make(folder: str, examples: int, annotators: int) -> Job:
    """Twice as many examples as are annotated, about 3 annotations each."""

    def run() -> None:
        simulation = pc.simulate.simulate_annotations(
            n_examples=2 * examples,
            n_annotators=annotators,
            n_classes=CLASSES,
            annotations_per_example=3,
            ragged=True,
            integer_ids=True,
        )
        first = simulation.truth["example"].min()
        log = simulation.log.filter(pl.col("example") < first + examples)
        log.write_parquet(Path(folder) / "log.parquet")
        simulation.pred_probs.write_parquet(Path(folder) / "probs.parquet")

    return Job(run)


def ours(folder: str) -> Job:
    log = pl.DataFrame({"example": [1, 1], "annotator": ["a", "b"], "label": ["x", "y"]})
    pc.activelab(log, pl.DataFrame({"example": [1, 2], "x": [0.5, 0.3], "y": [0.5, 0.7]})).collect()

    def run() -> pl.DataFrame:
        return pc.activelab(f"{folder}/log.parquet", f"{folder}/probs.parquet").collect()

    return Job(run, lambda scores: scores.height)


def wide(folder: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels as a matrix, and the probabilities of labelled and unlabelled examples."""
    log = pl.read_parquet(f"{folder}/log.parquet")
    probs = pl.read_parquet(f"{folder}/probs.parquet").sort("example")
    codes = log.select(pl.all().rank("dense") - 1)
    labels = np.full((codes["example"].n_unique(), codes["annotator"].n_unique()), np.nan)
    labels[codes["example"].to_numpy(), codes["annotator"].to_numpy()] = log["label"].to_numpy()
    p = probs.drop("example").to_numpy()
    return labels, p[: len(labels)].copy(), p[len(labels) :].copy()


def compat(folder: str, keep: str) -> Job:
    from polars_crowd.compat.cleanlab.active import get_active_learning_scores

    return _scores(folder, keep, get_active_learning_scores)


def cleanlab(folder: str, keep: str) -> Job:
    from cleanlab.multiannotator import get_active_learning_scores

    return _scores(folder, keep, get_active_learning_scores)


def _scores(folder: str, keep: str, function: Any) -> Job:
    arguments = wide(folder)

    def run() -> np.ndarray:
        with contextlib.redirect_stdout(io.StringIO()):
            return np.concatenate(function(*arguments))

    return Job(run, lambda scores: np.save(keep, scores))


def compared(
    examples: int = EXAMPLES, annotators: int = ANNOTATORS, repeat: int = REPEAT
) -> tuple[dict[str, Measurement], float]:
    """The best run of each, and how far their scores are apart."""
    with tempfile.TemporaryDirectory() as folder:
        sizes = {"examples": examples, "annotators": annotators}
        measure("activelab:make", {"folder": folder, **sizes})
        found: dict[str, Measurement] = {}
        for name in ("ours", "compat", "cleanlab"):
            keep = {} if name == "ours" else {"keep": f"{folder}/{name}.npy"}
            times = 1 if name == "cleanlab" else repeat
            runs = [measure(f"activelab:{name}", {"folder": folder, **keep}) for _ in range(times)]
            found[name] = best(runs)
            say(f"{name}: {found[name]}")
        theirs, same = (np.load(f"{folder}/{name}.npy") for name in ("cleanlab", "compat"))
    return found, float(np.abs(theirs - same).max())


def bounds(repeat: int = REPEAT) -> Iterator[Bound]:
    """The targets, measured."""
    yield from bounds_of(*compared(repeat=repeat))


def bounds_of(
    found: Mapping[str, Measurement], difference: float, least: float = TIMES
) -> Iterator[Bound]:
    """The targets of what was measured."""
    times = found["cleanlab"].wall / found["ours"].wall
    cpu = found["cleanlab"].cpu / found["ours"].cpu
    yield Bound(
        "ActiveLab in a fresh process: times as fast as cleanlab", times, least=least, cpu=cpu
    )
    yield Bound(
        "ActiveLab: largest difference of the scores of cleanlab and compat", difference, TOLERANCE
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    parser.add_argument("--annotators", type=int, default=ANNOTATORS)
    parser.add_argument("--repeat", type=int, default=REPEAT)
    parser.add_argument("--target", type=float, default=TIMES)
    asked = parser.parse_args()
    found, difference = compared(asked.examples, asked.annotators, asked.repeat)
    rows = [
        [
            name,
            f"{m.wall:.2f}",
            f"{m.cpu:.2f}",
            f"{m.peak:.2f}",
            f"{found['cleanlab'].wall / m.wall:.0f}x",
        ]
        for name, m in found.items()
    ]
    print(markdown(["ActiveLab", "wall s", "CPU s", "peak GB", "speed"], rows))
    reached = [*bounds_of(found, difference, asked.target)]
    print(f"\n{markdown(BOUNDS, (bound.line for bound in reached))}")
    if not all(bound.is_met for bound in reached):
        sys.exit(1)


if __name__ == "__main__":
    main()
