"""Truth inference: polars_crowd against crowd-kit on the same annotations, accuracy beside time.

    python benchmarks/truth.py [--rows 1000000] [--only NAME ...] [--scale 10000000] [--costs 3000000]

Every job runs in a fresh process and is given its annotations in memory. The time per iteration is the
difference between runs of many and of few iterations, so that what is done once (encoding, sorting, making
tables) is left out; it stands beside the time of the whole run. GLAD, whose iterations are not alike, is
compared by the time to the objective that crowd-kit reaches.

`--only costs` compares methods with each other: whole fits with Dawid-Skene, `compare` with its fits;
`--only threads` an iteration on one thread with one on two; `--only classes` is Dawid-Skene with a thousand
of them. `benchmarks/summary.py` has the bounds of these.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from _measure import (
    BOUNDS,
    PER_EXAMPLE,
    SEED,
    Bound,
    Call,
    Job,
    Measurement,
    Shape,
    alternate,
    best,
    data,
    environment,
    markdown,
    measure,
)

import polars_crowd as pc
from polars_crowd.truth.registry import METHODS

OURS, THEIRS = "polars_crowd", "crowd-kit"
CLASSES, ANNOTATORS = 5, 1_000
KEPT = 0.9
"""The share of annotations that the data keep."""


@dataclass(frozen=True)
class Contest:
    """How a method is compared."""

    method: str
    few: int
    many: int
    """Iterations."""
    target: float
    """How many times faster an iteration is to be."""
    share: float = 1.0
    """Of the rows asked for."""


CONTESTS = (
    Contest("dawid_skene", 2, 22, 5.0),
    Contest("one_coin_dawid_skene", 2, 12, 50.0),
    Contest("mace", 2, 22, 10.0),
)
GLAD = Contest("glad", 0, 3, 30.0, 0.1)
COMPARED = ("dawid_skene", "one_coin_dawid_skene", "wawa")
COSTS: Mapping[str, float] = {"bwa": 3.0, "glad": 1.7, "ebcc": 20.0}
"""Times the CPU time of Dawid-Skene, that of GLAD a third of what it once took."""
COMPARE = "compare"
COMPARE_TARGET = 3.0
"""Times the CPU time of its fits."""
COMPARE_GB = 1.0
COST_ROWS, COST_ANNOTATORS = 3_000_000, 2_000
MANY_CLASSES = Shape(round(100_000 / KEPT), 200, 1_000)
MANY_ITERATIONS, MANY_SECONDS, MANY_GB = 20, 10.0, 1.0
SCALE_ROWS = 10_000_000
THREADS_TARGET = 1.6
SCALE_SECONDS = 30.0
"""In which ten million binary annotations, ten per example, are to converge."""

# --- data ------------------------------------------------------------------------------------------


def shape_of(rows: int) -> Shape:
    """The shape that leaves so many rows."""
    return Shape(round(rows / KEPT), ANNOTATORS, CLASSES)


def truth_of(shape: Shape) -> pl.DataFrame:
    """The true classes of the data of a shape: the first thing that is drawn for them."""
    rng = np.random.default_rng([SEED, shape.rows, shape.annotators, shape.classes])
    truth = rng.integers(0, shape.classes, shape.rows // PER_EXAMPLE)
    return pl.DataFrame({"example": np.arange(len(truth)), "truth": truth})


def accuracy(labels: pl.DataFrame, truth: pl.DataFrame) -> float:
    """Of `example, label`."""
    both = labels.join(truth, on="example")
    return float((both["label"] == both["truth"]).to_numpy().mean())


# --- jobs ------------------------------------------------------------------------------------------


def ours(method: str, log: str, n_iter: int, shape: Mapping[str, int]) -> Job:
    """A method of this library for so many iterations."""
    frame = pl.read_parquet(log)
    options = {"method": "vb"} if method == "mace" else {}

    def run() -> tuple[pl.DataFrame, int]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pc.AnnotationWarning)
            fit = METHODS[method].function(frame, max_iter=n_iter, tol=0.0, **options)
        return fit.examples.select("example", label="consensus_label").collect(), fit.n_iter

    def report(found: tuple[pl.DataFrame, int]) -> tuple[float, int]:
        labels, iterations = found
        return accuracy(labels, truth_of(Shape(**shape))), iterations

    return Job(run, report)


def theirs(method: str, log: str, n_iter: int, shape: Mapping[str, int]) -> Job:
    """The same of crowd-kit, from a pandas frame."""
    import pandas as pd
    from crowdkit.aggregation import MACE, DawidSkene, OneCoinDawidSkene

    made: dict[str, Any] = {
        "dawid_skene": lambda: DawidSkene(n_iter=n_iter, tol=-1e9),
        "one_coin_dawid_skene": lambda: OneCoinDawidSkene(n_iter=n_iter, tol=-1e9),
        "mace": lambda: MACE(n_restarts=1, n_iter=n_iter),
    }
    # ids by their first appearance: crowd-kit's MACE mixes up those of any other order
    rows = pl.read_parquet(log)
    example, given = pd.factorize(rows["example"].to_pandas())
    annotator, _ = pd.factorize(rows["annotator"].to_pandas())
    frame = pd.DataFrame({"task": example, "worker": annotator, "label": rows["label"].to_pandas()})

    def run() -> Any:
        return made[method]().fit(frame).labels_

    def report(labels: Any) -> tuple[float, int]:
        ids = given[labels.index.to_numpy()]
        found = pl.DataFrame({"example": ids, "label": labels.to_numpy()})
        return accuracy(found, truth_of(Shape(**shape))), n_iter

    return Job(run, report)


# --- iterations ------------------------------------------------------------------------------------


def contest(of: Contest, root: Path, rows: int, repeat: int) -> list[list[str]]:
    """The rows of the table for a method."""
    shape = shape_of(round(rows * of.share))
    log = data(root, shape, "integer").files["log"]
    calls = {
        f"{side} {n}": (
            f"truth:{function}",
            {"method": of.method, "log": log, "n_iter": n, "shape": vars(shape)},
        )
        for side, function in ((OURS, "ours"), (THEIRS, "theirs"))
        for n in (of.few, of.many)
    }
    found = alternate(of.method, calls, repeat)
    lines = []
    spent = {side: _per_iteration(found, side, of) for side in (OURS, THEIRS)}
    for side in (OURS, THEIRS):
        runs = found[f"{side} {of.many}"]
        right, iterations = runs[0].report
        lines.append(
            [
                f"{of.method}, {side}",
                f"{round(shape.rows * KEPT):,}",
                *(f"{spent[side][kind] * 1e3:.1f}" for kind in ("wall", "cpu")),
                f"{best(runs).wall:.2f} ({iterations} iterations)",
                f"{best(runs).peak:.2f}",
                f"{right:.4f}",
                _ratio(spent, of) if side == OURS else "",
            ]
        )
    return lines


def _per_iteration(
    found: Mapping[str, list[Measurement]], side: str, of: Contest
) -> dict[str, float]:
    """Seconds of an iteration: what the many took more than the few."""
    few, many = found[f"{side} {of.few}"], found[f"{side} {of.many}"]
    n = many[0].report[1] - few[0].report[1]
    return {
        "wall": (best(many).wall - best(few).wall) / n,
        "cpu": (best(many).cpu - best(few).cpu) / n,
    }


def _ratio(spent: Mapping[str, Mapping[str, float]], of: Contest) -> str:
    """How many times faster we are, where the machine was quiet enough to tell."""
    said = []
    for kind, name in (("wall", "wall"), ("cpu", "CPU")):
        if min(spent[OURS][kind], spent[THEIRS][kind]) > 0:
            said.append(f"{spent[THEIRS][kind] / spent[OURS][kind]:.1f}x {name}")
    return f"{', '.join(said)} (target {of.target:g}x)"


# --- GLAD ------------------------------------------------------------------------------------------


def glad_objective(rows: pl.DataFrame, ability: np.ndarray, easiness: np.ndarray) -> float:
    """log p(labels) + log priors of GLAD: sigma(a e^b) right, the rest of it equal; equal classes.

    `rows` has positions of examples and annotators; ability ~ N(1, 1), easiness b ~ N(1, 1).
    """
    example, annotator, label = (rows[c].to_numpy() for c in ("example", "annotator", "label"))
    strength = ability[annotator] * np.exp(easiness[example])
    right = -np.logaddexp(0, -strength)
    wrong = -np.logaddexp(0, strength) - np.log(CLASSES - 1)
    n = len(easiness)
    joint = np.repeat(np.bincount(example, wrong, n)[:, None], CLASSES, axis=1)
    np.add.at(joint, (example, label), right - wrong)
    peak = joint.max(axis=1)
    evidence = peak + np.log(np.exp(joint - peak[:, None]).sum(axis=1) / CLASSES)
    parameters = np.concatenate([ability, easiness])
    prior = -0.5 * ((parameters - 1) ** 2 + np.log(2 * np.pi)).sum()
    return float(evidence.sum() + prior)


def glad_theirs(log: str, n_iter: int, shape: Mapping[str, int]) -> Job:
    """crowd-kit's GLAD, and the objective it reaches."""
    from crowdkit import aggregation

    rows = pl.read_parquet(log)
    frame = rows.rename({"example": "task", "annotator": "worker"}).to_pandas()

    def run() -> Any:
        return aggregation.GLAD(n_iter=n_iter, tol=-1e9).fit(frame)

    def report(fit: Any) -> tuple[float, float]:
        objective = glad_objective(
            rows, fit.alphas_.sort_index().to_numpy(), fit.betas_.sort_index().to_numpy()
        )
        labels = pl.DataFrame(
            {"example": fit.labels_.index.to_numpy(), "label": fit.labels_.to_numpy()}
        )
        return accuracy(labels, truth_of(Shape(**shape))), objective

    return Job(run, report)


def glad_ours(log: str, objective: float, shape: Mapping[str, int]) -> Job:
    """Our GLAD, as short as reaches an objective, which is not part of the time."""
    rows = pl.read_parquet(log)
    few = _enough_iterations(rows, objective)

    def run() -> Any:
        return _glad(rows, few)

    def report(fit: Any) -> tuple[float, float, int]:
        labels = fit.examples.select("example", label="consensus_label").collect()
        return accuracy(labels, truth_of(Shape(**shape))), _objective_of(rows, fit), few

    return Job(run, report)


def _glad(rows: pl.DataFrame, n_iter: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pc.AnnotationWarning)
        return METHODS["glad"].function(rows, max_iter=n_iter, tol=0.0)


def _enough_iterations(rows: pl.DataFrame, objective: float) -> int:
    n_iter = 1
    while _objective_of(rows, _glad(rows, n_iter)) < objective and n_iter < 1_000:
        n_iter = max(n_iter + 1, round(n_iter * 1.3))
    return n_iter


def _objective_of(rows: pl.DataFrame, fit: Any) -> float:
    ability = fit.annotators.sort("annotator")["alpha"].to_numpy()
    difficulty = fit.difficulty.collect().sort("example")["difficulty"].to_numpy()
    return glad_objective(rows, ability, -np.log(difficulty))


def glad_contest(root: Path, rows: int) -> list[list[str]]:
    shape = shape_of(round(rows * GLAD.share))
    log = data(root, shape, "integer").files["log"]
    same = {"log": log, "shape": vars(shape)}
    peer = measure("truth:glad_theirs", {**same, "n_iter": GLAD.many})
    mine = measure("truth:glad_ours", {**same, "objective": peer.report[1]})
    said = (
        f"to the same objective {peer.wall / mine.wall:.1f}x wall, {peer.cpu / mine.cpu:.1f}x CPU "
        f"(target {GLAD.target:g}x)"
    )
    return [
        [
            f"glad, {side}",
            f"{round(shape.rows * KEPT):,}",
            "",
            "",
            f"{run.wall:.2f} ({iterations} iterations, objective {run.report[1]:,.0f})",
            f"{run.peak:.2f}",
            f"{run.report[0]:.4f}",
            said if side == OURS else "",
        ]
        for side, run, iterations in ((OURS, mine, mine.report[2]), (THEIRS, peer, GLAD.many))
    ]


# --- scale -----------------------------------------------------------------------------------------


def binary(rows: int) -> Job:
    """Dawid-Skene to convergence on binary labels, ten per example, of annotators of accuracy Beta(8, 2)."""
    rng = np.random.default_rng([SEED, rows])
    n, per = rows // 10, 10
    truth = rng.integers(0, 2, n, dtype=np.int8)
    quality = rng.beta(8, 2, ANNOTATORS)
    first = rng.integers(0, ANNOTATORS, n)
    step = rng.integers(1, ANNOTATORS // per, n)
    annotator = ((first[:, None] + step[:, None] * np.arange(per)) % ANNOTATORS).astype(np.int32)
    wrong = rng.random((n, per)) >= quality[annotator]
    frame = pl.DataFrame(
        {
            "example": np.repeat(np.arange(n), per),
            "annotator": annotator.ravel(),
            "label": (truth[:, None] ^ wrong).ravel(),
        }
    )
    frame = frame[rng.permutation(frame.height)]
    del first, step, annotator, wrong

    def run() -> pc.TruthInference:
        fit = pc.dawid_skene(frame)
        fit.examples.collect()
        return fit

    def report(fit: pc.TruthInference) -> tuple[float, int, bool]:
        labels = fit.examples.select("example", label="consensus_label").collect()
        known = pl.DataFrame({"example": np.arange(n), "truth": truth})
        return accuracy(labels, known), fit.n_iter, fit.converged

    return Job(run, report)


def report_scale(rows: int) -> str:
    run = measure("truth:binary", {"rows": rows})
    right, n_iter, converged = run.report
    went = "converged" if converged else "not converged"
    return (
        f"{rows:,} binary annotations, 10 per example: {run}; {n_iter} iterations, {went}, accuracy "
        f"{right:.4f} (target: below {SCALE_SECONDS:g} s)"
    )


# --- what methods cost beside each other ----------------------------------------------------------


def fit(method: str, log: str) -> Job:
    """A method as it is by default, with its labels."""
    frame = pl.read_parquet(log)

    def run() -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pc.AnnotationWarning)
            found = METHODS[method].function(frame)
            found.examples.collect()
        return found.n_iter

    return Job(run, lambda n_iter: n_iter)


def comparison(methods: Sequence[str], log: str) -> Job:
    """`compare` of methods, with its folds."""
    frame = pl.read_parquet(log)

    def run() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pc.AnnotationWarning)
            pc.compare(frame, methods)

    return Job(run)


def costs(root: Path, rows: int, repeat: int) -> dict[str, list[Measurement]]:
    """Whole fits on string ids, and `compare`."""
    shape = Shape(round(rows / KEPT), COST_ANNOTATORS, CLASSES)
    log = data(root, shape, "string").files["log"]
    calls: dict[str, Call] = {
        method: ("truth:fit", {"method": method, "log": log})
        for method in dict.fromkeys((*COMPARED, *COSTS))
    }
    together = ("truth:comparison", {"methods": COMPARED, "log": log})
    return alternate("costs", {**calls, COMPARE: together}, repeat)


def bounds_of_costs(found: Mapping[str, list[Measurement]], rows: int) -> Iterator[Bound]:
    """The CPU time of fits, as multiples of Dawid-Skene's; `compare` of its fits', and its memory."""
    cpu = {name: best(runs).cpu for name, runs in found.items()}
    for method, most in COSTS.items():
        ratio = cpu[method] / cpu["dawid_skene"]
        yield Bound(f"{method} of {rows:,}: CPU by Dawid-Skene", ratio, most)
    fits = sum(cpu[method] for method in COMPARED)
    said = f"compare of {len(COMPARED)} methods on {rows:,}"
    yield Bound(f"{said}: CPU by its fits", cpu[COMPARE] / fits, COMPARE_TARGET)
    yield Bound(f"{said}: GB", best(found[COMPARE]).peak, COMPARE_GB)


def report_costs(root: Path, rows: int, repeat: int) -> str:
    """What was measured of each, and the bounds."""
    found = costs(root, rows, repeat)
    lines = []
    for method, runs in found.items():
        spent = best(runs)
        size = (f"{spent.wall:.1f}", f"{spent.cpu:.1f}", f"{spent.peak:.2f}")
        lines.append([method, f"{rows:,}", *size, str(runs[0].report or "")])
    head = ["method", "annotations", "s wall", "s CPU", "GB", "iterations"]
    bounds = (bound.line for bound in bounds_of_costs(found, rows))
    return f"{markdown(head, lines)}\n\n{markdown(BOUNDS, bounds)}"


def seconds_by_threads(root: Path, rows: int, repeat: int) -> dict[int, float]:
    """The wall time of an iteration of Dawid-Skene on one thread and on two."""
    shape = shape_of(rows)
    log = data(root, shape, "integer").files["log"]
    of = Contest("dawid_skene", 2, 8, THREADS_TARGET)
    given = {"method": of.method, "log": log, "shape": vars(shape)}
    spent = {}
    for n_threads in (1, 2):
        os.environ["POLARS_MAX_THREADS"] = str(n_threads)
        calls: dict[str, Call] = {
            f"{OURS} {n}": ("truth:ours", {**given, "n_iter": n}) for n in (of.few, of.many)
        }
        found = alternate(f"{n_threads} threads", calls, repeat)
        spent[n_threads] = _per_iteration(found, OURS, of)["wall"]
    del os.environ["POLARS_MAX_THREADS"]
    return spent


def report_threads(root: Path, rows: int, repeat: int) -> str:
    spent = seconds_by_threads(root, rows, repeat)
    return (
        f"{rows:,} annotations, an iteration of Dawid-Skene: {spent[1]:.2f} s wall on one thread, "
        f"{spent[2]:.2f} s on two: {spent[1] / spent[2]:.2f}x (target {THREADS_TARGET:g}x)"
    )


def bounds_of_classes(root: Path, repeat: int) -> Iterator[Bound]:
    """Dawid-Skene where there are many classes: its time and its memory."""
    log = data(root, MANY_CLASSES, "integer").files["log"]
    given = {"log": log, "n_iter": MANY_ITERATIONS, "shape": vars(MANY_CLASSES)}
    call: Call = ("truth:ours", {"method": "dawid_skene", **given})
    (runs,) = alternate("many classes", {"dawid_skene": call}, repeat).values()
    spent = best(runs)
    said = f"dawid_skene of {MANY_CLASSES.classes:,} classes, {MANY_ITERATIONS} iterations"
    yield Bound(f"{said}: s", spent.wall, MANY_SECONDS, cpu=spent.cpu)
    yield Bound(f"{said}: GB", spent.peak, MANY_GB)


def report_classes(root: Path, repeat: int) -> str:
    return markdown(BOUNDS, (bound.line for bound in bounds_of_classes(root, repeat)))


def bounds(root: Path, repeat: int) -> Iterator[Bound]:
    """The targets, measured; those that need no other library."""
    yield from bounds_of_costs(costs(root, COST_ROWS, repeat), COST_ROWS)
    yield from bounds_of_classes(root, repeat)
    spent = seconds_by_threads(root, SCALE_ROWS, repeat)
    said = f"dawid_skene of {SCALE_ROWS:,}: times as fast on two threads"
    yield Bound(said, spent[1] / spent[2], least=THREADS_TARGET)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="annotations of the contests")
    parser.add_argument(
        "--only", nargs="*", default=[], help="methods, scale, costs, classes, threads"
    )
    parser.add_argument(
        "--scale", type=int, default=SCALE_ROWS, help="annotations of the large run"
    )
    parser.add_argument(
        "--costs", type=int, default=COST_ROWS, help="annotations of what methods cost"
    )
    parser.add_argument(
        "--repeat", type=int, default=1, help="runs of each job, of which the best counts"
    )
    parser.add_argument("--data", type=Path, help="where data are kept; by default nowhere")
    options = parser.parse_args()
    asked = options.only or [
        *(of.method for of in CONTESTS),
        GLAD.method,
        "scale",
        "costs",
        "classes",
        "threads",
    ]
    head = [
        *("method", "annotations", "ms per iteration, wall", "ms per iteration, CPU"),
        *("s, whole run", "GB", "accuracy", "ratio"),
    ]
    lines: list[list[str]] = []
    with tempfile.TemporaryDirectory() as place:
        root = options.data or Path(place)
        for of in CONTESTS:
            if of.method in asked:
                lines += contest(of, root, options.rows, options.repeat)
        if GLAD.method in asked:
            lines += glad_contest(root, options.rows)
        said = []
        if "costs" in asked:
            said.append(report_costs(root, options.costs, options.repeat))
        if "classes" in asked:
            said.append(report_classes(root, options.repeat))
        if "threads" in asked:
            said.append(report_threads(root, options.scale, options.repeat))
    about = {**environment(), "crowd-kit": version("crowd-kit")}
    print("\n".join(f"* {name}: {value}" for name, value in about.items()))
    if lines:
        print("\n" + markdown(head, lines))
    for report in said:
        print("\n" + report)
    if "scale" in asked:
        print("\n" + report_scale(options.scale))


if __name__ == "__main__":
    main()
